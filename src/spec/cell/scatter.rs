//! Final values as points.

use super::{CellKind, Checker, Filter, PlotAxis};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// For the documentation.
pub const ABOUT: &str = "Final values as points, against a size, an axis or another metric.";
/// An example.
pub static EXAMPLE: LazyLock<ScatterCell> = LazyLock::new(|| ScatterCell {
    x: "params".to_owned(),
    y: "nll".to_owned(),
    panels: None,
    colours: Some("dim".to_owned()),
    join: false,
    filter: Filter::new(),
    log: vec![PlotAxis::X],
    caption: Some("Loss against parameters.".to_owned()),
    id: None,
});

/// Final values as points: one per setting, averaged over seeds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScatterCell {
    /// Numeric axis or metric (`params`) on the x axis.
    pub x: String,
    /// Metric on the y axis.
    pub y: String,
    /// Axis with one panel per value.
    #[serde(default)]
    pub panels: Option<String>,
    /// Axis with one colour per value.
    #[serde(default)]
    pub colours: Option<String>,
    /// Whether a line joins settings that differ only in `x`.
    #[serde(default)]
    pub join: bool,
    /// Only runs with these axis values, as in a plot.
    #[serde(default)]
    pub filter: Filter,
    /// Logarithmic axes.
    #[serde(default)]
    pub log: Vec<PlotAxis>,
    /// Sentence below the figure.
    #[serde(default)]
    pub caption: Option<String>,
    /// Name by which texts refer to it: `@fig-NAME`.
    #[serde(default)]
    pub id: Option<String>,
}

impl CellKind for ScatterCell {
    fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    fn check(&self, checker: &mut Checker<'_, '_>) {
        checker.axes(&[("panels", &self.panels), ("colours", &self.colours)]);
        if !checker.has_axis(&self.x) {
            checker.metric(&["x"], &self.x);
        }
        checker.metric(&["y"], &self.y);
        checker.filter(&self.filter);
    }
}
