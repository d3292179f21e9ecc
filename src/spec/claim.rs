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
    /// Kind of statement; default `finding`. Only findings are counted, and corrected for multiple testing.
    #[serde(default)]
    pub kind: ClaimKind,
    /// How the measure is tested; default `difference`.
    #[serde(default, rename = "type")]
    pub test: ClaimType,
    /// Where the study makes the statement.
    #[serde(default, rename = "where")]
    pub place: String,
    /// The published value.
    #[serde(default)]
    pub published: Option<Published>,
    /// The measured quantity, in words.
    #[serde(default)]
    pub quantity: Option<String>,
    /// Unit of the measure (`nats`, `steps`); default: a pure number.
    #[serde(default)]
    pub unit: String,
    /// A minijinja expression that gives a number or, for the tests `order`, `trend`, `difference`, `equivalence` and
    /// `within`, a list.
    #[serde(default)]
    pub measure: Option<String>,
    /// What the number must be. Required with `measure`.
    #[serde(default)]
    pub expect: Option<Expect>,
    /// Our result as a reader would write it beside the published value: text with expressions and a unit.
    #[serde(default)]
    pub show: Option<String>,
    /// Conditions for checking the claim; default: none.
    #[serde(default)]
    pub needs: Needs,
    /// Why the source contradicts itself; sets the verdict `source inconsistent`.
    #[serde(default)]
    pub inconsistent: Option<String>,
    /// A remark shown beside the verdict (our treatment of an error, a confound).
    #[serde(default)]
    pub note: Option<String>,
    /// Line of the spec, from 1.
    #[serde(skip)]
    pub line: usize,
}

/// The kind of a claim.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClaimKind {
    /// A result of the study.
    #[default]
    Finding,
    /// The setup: sizes, counts, steps.
    Setting,
    /// Arithmetic that holds whatever was trained.
    Formula,
    /// Our own check of an assumption behind a finding.
    Control,
}

impl std::fmt::Display for ClaimKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Finding => "finding",
            Self::Setting => "setting",
            Self::Formula => "formula",
            Self::Control => "control",
        })
    }
}

/// How a measure is tested. A list holds matched pairs (`difference`, `equivalence`, `within`: their mean is tested) or
/// is ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClaimType {
    /// Above or below a bound: the 95 % interval lies on that side.
    #[default]
    Difference,
    /// A list rises (`expect: {increasing: gap}`) or falls (`decreasing`): every later value differs from every earlier
    /// one by more than the gap.
    Order,
    /// No difference that matters: two one-sided tests against `expect: {within: [centre, bound]}`, each at 5 %.
    Equivalence,
    /// A list with a trend: Spearman's rank correlation of the values with their positions is above or below a bound.
    Trend,
    /// A number as published: the 95 % interval lies within the tolerance.
    Within,
    /// A spread over seeds: the measure is a statistic of all seeds, tested by a jackknife over seeds, and for two
    /// spreads also by exchanging seeds.
    Spread,
    /// A count or an identity: compared, not tested.
    Exact,
    /// For a human reader.
    Reading,
}

impl ClaimType {
    /// Whether the measure may be a list.
    pub fn takes_lists(self) -> bool {
        !matches!(self, Self::Spread | Self::Exact | Self::Reading)
    }
}

impl std::fmt::Display for ClaimType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Difference => "difference",
            Self::Order => "order",
            Self::Equivalence => "equivalence",
            Self::Trend => "trend",
            Self::Within => "within",
            Self::Spread => "spread",
            Self::Exact => "exact",
            Self::Reading => "reading",
        })
    }
}

/// A published value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// As text, as published.
    pub value: String,
    /// How the value is known.
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

/// What a measure must be.
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
    /// For a list: every later value exceeds every earlier one by more than this.
    Increasing(f64),
    /// For a list: every later value is below every earlier one by more than this.
    Decreasing(f64),
}

/// Conditions for checking a claim.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Needs {
    /// Only with one of these profiles; empty: any.
    #[serde(default)]
    pub profiles: Vec<String>,
    /// Only with this kind of data: `stories`, `documents` (embedded) or `files`; or only with the training documents of
    /// this SHA-256 digest, which `specbook show RUN` prints.
    #[serde(default)]
    pub data: Option<String>,
    /// Needs a human reader: never decided by the program.
    #[serde(default)]
    pub reading: bool,
    /// Measures wall-clock time (`train_seconds`, `validation_seconds`): decided only in `timing.json`, since it is not
    /// reproducible.
    #[serde(default)]
    pub timing: bool,
}
