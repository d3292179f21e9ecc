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
    /// What the statement is about; default `finding`. Only findings are counted and corrected for their number.
    #[serde(default)]
    pub kind: ClaimKind,
    /// How the measure is tested; default `difference`.
    #[serde(default, rename = "type")]
    pub test: ClaimType,
    /// Where the study makes it.
    #[serde(default, rename = "where")]
    pub place: String,
    /// What was published.
    #[serde(default)]
    pub published: Option<Published>,
    /// What the measure measures, in words.
    #[serde(default)]
    pub quantity: Option<String>,
    /// Unit of the measure (`nats`, `steps`); default: a pure number.
    #[serde(default)]
    pub unit: String,
    /// A minijinja expression that gives one number; of the types `order`, `trend`, `difference`, `equivalence` and `within` also a list.
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
    /// Line of the spec, from 1.
    #[serde(skip)]
    pub line: usize,
}

/// What a claim is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClaimKind {
    /// What a study found out.
    #[default]
    Finding,
    /// What was done: sizes, counts, steps.
    Setting,
    /// What follows by arithmetic, whatever was trained.
    Formula,
    /// Ours: it checks what a finding rests on.
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

/// How a measure is tested. A list is of matched pairs (`difference`, `equivalence`, `within`: their mean is tested) or ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClaimType {
    /// Above or below a bound: the 95 % interval lies on that side.
    #[default]
    Difference,
    /// A list rises (`expect: {increasing: gap}`) or falls: every later value differs from every earlier one by more than the gap.
    Order,
    /// No difference that matters: two one-sided tests against `expect: {within: [centre, bound]}`, each at 5 %.
    Equivalence,
    /// A list that rises or falls by trend: Spearman's correlation of the values with their places, above or below a bound.
    Trend,
    /// A number as published: the 95 % interval lies within the tolerance.
    Within,
    /// The spread over the seeds: the measure is a statistic of all of them, tested by the jackknife over seeds, two spreads also by exchanging seeds.
    Spread,
    /// A count or an identity: compared, not tested.
    Exact,
    /// For a reader.
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
    /// Of a list: every later value exceeds every earlier one by more than this.
    Increasing(f64),
    /// Of a list: every later value lies below every earlier one by more than this.
    Decreasing(f64),
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
