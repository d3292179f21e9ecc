//! A metric as bars.

use super::{CellKind, Checker, Filter};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// For the documentation.
pub const ABOUT: &str = "A metric as bars.";
/// An example.
pub static EXAMPLE: LazyLock<BarsCell> = LazyLock::new(|| BarsCell {
    metric: "nll".to_owned(),
    rows: "dim".to_owned(),
    filter: Filter::new(),
    caption: Some("Loss on held-out documents.".to_owned()),
    id: None,
});

/// A metric as bars from zero.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BarsCell {
    /// The metric.
    pub metric: String,
    /// Axis with one bar per value, or `run`.
    pub rows: String,
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

impl CellKind for BarsCell {
    fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    fn check(&self, checker: &mut Checker<'_, '_>) {
        checker.metric(&["metric"], &self.metric);
        checker.rows(&self.rows);
        checker.filter(&self.filter);
    }
}
