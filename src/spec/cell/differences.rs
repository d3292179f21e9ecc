//! Differences between matched runs.

use super::{CellKind, Checker, Filter};
use crate::spec::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// For the documentation.
pub const ABOUT: &str = "Differences between matched runs, by change.";
/// An example.
pub static EXAMPLE: LazyLock<DifferencesCell> = LazyLock::new(|| DifferencesCell {
    metric: "nll".to_owned(),
    pairs: vec![Pairing {
        axis: "dim".to_owned(),
        from: None,
        to: None,
        label: Some("wider".to_owned()),
    }],
    filter: Filter::new(),
    caption: Some("What one setting changes.".to_owned()),
    id: None,
});

/// Differences between matched runs: one row per change, averaged over the pairs that differ in nothing else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DifferencesCell {
    /// The metric to compare.
    pub metric: String,
    /// The changes, one row each.
    pub pairs: Vec<Pairing>,
    /// Only runs with these axis values, as in a plot.
    #[serde(default)]
    pub filter: Filter,
    /// Sentence below the figure.
    #[serde(default)]
    pub caption: Option<String>,
    /// Name by which texts refer to it: `@fig-NAME`.
    #[serde(default)]
    pub id: Option<String>,
}

/// A change of one axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pairing {
    /// The axis.
    pub axis: String,
    /// Its value before the change; default: the smallest.
    #[serde(default)]
    pub from: Option<serde_json::Value>,
    /// Its value after the change; default: the largest.
    #[serde(default)]
    pub to: Option<serde_json::Value>,
    /// Name of the row; default: the axis and its two values.
    #[serde(default)]
    pub label: Option<String>,
}

impl CellKind for DifferencesCell {
    fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    fn check(&self, checker: &mut Checker<'_, '_>) {
        checker.metric(&["metric"], &self.metric);
        checker.filter(&self.filter);
        if self.pairs.is_empty() {
            let problem = Problem::new("no pair of settings is compared")
                .hint("write `pairs: [{axis: dim}]`, or with `from:` and `to:`");
            checker.push(&["pairs"], problem);
        }
        for (at, pairing) in self.pairs.iter().enumerate() {
            let (at, axis) = (at.to_string(), &pairing.axis);
            checker.axis(&["pairs", &at, "axis"], axis, &[]);
            for (key, end) in [("from", &pairing.from), ("to", &pairing.to)] {
                match end {
                    Some(value) => checker.value(&["pairs", &at, key], axis, value),
                    None if checker.has_extremes(axis) => {}
                    None => {
                        let message = format!("the axis `{axis}` has no smallest or largest value");
                        let problem = Problem::new(message)
                            .hint(format!("write `{key}:` with one of its values"));
                        checker.push(&["pairs", &at], problem);
                    }
                }
            }
        }
    }
}
