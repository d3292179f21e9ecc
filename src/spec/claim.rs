//! Published statements as assertions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A published statement and how a rerun checks it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// Short name, unique in the spec (`EF-3`).
    pub id: String,
    /// The statement, in our words.
    pub says: String,
    /// What kind of statement it is.
    #[serde(default, rename = "type")]
    pub kind: Option<ClaimType>,
    /// Where the study makes it.
    #[serde(default, rename = "where")]
    pub place: String,
    /// What was published.
    #[serde(default)]
    pub published: Option<Published>,
    /// A minijinja expression that gives one number.
    #[serde(default)]
    pub measure: Option<String>,
    /// What the number has to be. Required beside `measure`.
    #[serde(default)]
    pub expect: Option<Expect>,
    /// What our runs show, as a reader would write it beside the published value: a text with expressions and its unit.
    #[serde(default)]
    pub show: Option<String>,
    /// What makes the claim checkable; default: everywhere.
    #[serde(default)]
    pub needs: Needs,
    /// Why the source contradicts itself: gives the verdict `source inconsistent`.
    #[serde(default)]
    pub inconsistent: Option<String>,
    /// A remark shown beside the verdict (our treatment of an error, a confound).
    #[serde(default)]
    pub note: Option<String>,
}

/// What kind of statement a claim is: it says how sharp its check can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClaimType {
    /// A count that follows from settings and text by a formula.
    Exact,
    /// Which of several is the larger.
    Order,
    /// How a curve or an average behaves.
    Trend,
    /// A measured number: with its own data only.
    Approximate,
    /// Mathematics, whatever the data.
    Derived,
    /// What a text is like: for a reader.
    Qualitative,
}

impl std::fmt::Display for ClaimType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Exact => "exact",
            Self::Order => "order",
            Self::Trend => "trend",
            Self::Approximate => "approximate",
            Self::Derived => "derived",
            Self::Qualitative => "qualitative",
        })
    }
}

/// A published value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// As text, as published.
    pub value: String,
    /// How we know it.
    pub mark: Mark,
}

/// How a published value is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// Printed in the study.
    Printed,
    /// Read from the study's code.
    Code,
    /// Read from a stored program output or image.
    StoredOutput,
    /// Derived by arithmetic.
    Derived,
}

/// What a measure has to be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Expect {
    /// Greater than the bound.
    Above(f64),
    /// Less than the bound.
    Below(f64),
    /// `[centre, tolerance]`.
    Within([f64; 2]),
    /// Exactly the value.
    Equals(f64),
}

/// What makes a claim checkable.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Needs {
    /// Only with one of these profiles; empty: any.
    #[serde(default)]
    pub profiles: Vec<String>,
    /// Only with this kind of data: `stories`, `documents` (embedded) or `files`.
    #[serde(default)]
    pub data: Option<String>,
    /// Needs a reader: never decided by the program.
    #[serde(default)]
    pub reading: bool,
    /// Measures wall-clock time (`train_seconds`, `validation_seconds`): decided in `timing.json` only, since no rerun gives it again.
    #[serde(default)]
    pub timing: bool,
}
