//! A metric by two axes.

use super::{CellKind, Checker, Filter};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// For the documentation.
pub const ABOUT: &str = "A metric by two axes, as shaded cells.";
/// An example.
pub static EXAMPLE: LazyLock<HeatCell> = LazyLock::new(|| HeatCell {
    metric: "nll".to_owned(),
    x: "dim".to_owned(),
    y: "n_layers".to_owned(),
    filter: Filter::new(),
    caption: Some("Loss by width and depth.".to_owned()),
    id: None,
});

/// A metric by two axes, as shaded cells with their values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeatCell {
    /// The metric.
    pub metric: String,
    /// Horizontal axis.
    pub x: String,
    /// Vertical axis, downwards.
    pub y: String,
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

impl CellKind for HeatCell {
    fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    fn check(&self, checker: &mut Checker<'_, '_>) {
        checker.metric(&["metric"], &self.metric);
        checker.axis(&["x"], &self.x, &[]);
        checker.axis(&["y"], &self.y, &[]);
        checker.filter(&self.filter);
    }
}
