//! Learning curves.

use super::{CellKind, Checker, Filter, PlotAxis};
use crate::record::MetricPoint;
use crate::spec::{Problem, error::list};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// For the documentation.
pub const ABOUT: &str = "Learning curves.";
/// An example.
pub static EXAMPLE: LazyLock<PlotCell> = LazyLock::new(|| PlotCell {
    curves: vec!["val/loss".to_owned()],
    x: PlotX::Step,
    panels: None,
    colours: Some("dim".to_owned()),
    filter: Filter::new(),
    log: Vec::new(),
    smooth: None,
    y_range: None,
    published: Vec::new(),
    caption: Some("Validation loss.".to_owned()),
    id: None,
});

/// Learning curves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlotCell {
    /// Metrics, as in `metrics.jsonl`.
    pub curves: Vec<String>,
    /// `step` (default), `epoch` or `tokens`.
    #[serde(default)]
    pub x: PlotX,
    /// Axis with one panel per value.
    #[serde(default)]
    pub panels: Option<String>,
    /// Axis with one colour per value; default: one colour per curve.
    #[serde(default)]
    pub colours: Option<String>,
    /// Only runs with these axis values; `min` and `max` stand for the smallest and the largest value of a numeric
    /// axis.
    #[serde(default)]
    pub filter: Filter,
    /// Logarithmic axes: `x`, `y`, or both.
    #[serde(default)]
    pub log: Vec<PlotAxis>,
    /// Window of a moving mean, in points; the raw curve stays visible behind it.
    #[serde(default)]
    pub smooth: Option<usize>,
    /// Lowest and highest y; default: from the data.
    #[serde(default)]
    pub y_range: Option<[f64; 2]>,
    /// Published curves drawn beside ours.
    #[serde(default)]
    pub published: Vec<PublishedCurve>,
    /// Sentence below the figure.
    #[serde(default)]
    pub caption: Option<String>,
    /// Name by which texts refer to it: `@fig-NAME`.
    #[serde(default)]
    pub id: Option<String>,
}

/// The quantity on a plot's x axis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlotX {
    /// Optimizer steps.
    #[default]
    Step,
    /// Passes over the training sequences.
    Epoch,
    /// Scored training targets.
    Tokens,
}

/// A published curve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishedCurve {
    /// Name in the legend.
    pub label: String,
    /// Panel (value of the `panels` axis) to draw in; default: all.
    #[serde(default)]
    pub panel: Option<String>,
    /// `[x, y]` points.
    pub points: Vec<[f64; 2]>,
    /// Length of the published run in the units of x; the curve is scaled to the longest run of the plot. Default: not
    /// scaled.
    #[serde(default)]
    pub of_steps: Option<u64>,
    /// Classes (vocabulary size) of the published run: its losses are rescaled by the ratio of ln C, so that untrained
    /// models start at the same height. Default: not rescaled.
    #[serde(default)]
    pub classes: Option<u64>,
}

impl CellKind for PlotCell {
    fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    fn check(&self, checker: &mut Checker<'_, '_>) {
        if self.curves.is_empty() {
            let problem =
                Problem::new("this plot has no curves").allowed(list(MetricPoint::CURVES));
            checker.push(&["curves"], problem);
        }
        for (at, curve) in self.curves.iter().enumerate() {
            if !MetricPoint::CURVES.contains(&curve.as_str()) {
                let problem = Problem::new(format!("there is no curve `{curve}`"));
                let problem = problem.choices(curve, MetricPoint::CURVES.iter().copied());
                checker.push(&["curves", &at.to_string()], problem);
            }
        }
        checker.axes(&[("panels", &self.panels), ("colours", &self.colours)]);
        checker.filter(&self.filter);
        for (at, curve) in self.published.iter().enumerate() {
            let at = at.to_string();
            if curve.classes.is_some_and(|classes| classes < 2) {
                let problem = Problem::new("a published run has two classes or more");
                checker.push(&["published", &at, "classes"], problem);
            }
            if curve.of_steps == Some(0) || curve.of_steps.is_some() && self.x != PlotX::Step {
                let problem = Problem::new("`of_steps` scales a curve over steps")
                    .allowed("at least 1, in a plot with `x: step`");
                checker.push(&["published", &at, "of_steps"], problem);
            }
        }
        if self.smooth == Some(0) {
            let problem = Problem::new("a moving mean over 0 points has no value");
            checker.push(&["smooth"], problem.allowed("at least 1"));
        }
        let Some([low, high]) = self.y_range else {
            return;
        };
        if self.log.contains(&PlotAxis::Y) && low <= 0.0 {
            let problem = Problem::new(format!("a logarithmic axis cannot begin at {low}"));
            checker.push(&["y_range"], problem.allowed("a lowest value above 0"));
        } else if low >= high {
            let problem = Problem::new(format!("the range from {low} to {high} is empty"));
            checker.push(&["y_range"], problem.allowed("`[lowest, highest]`"));
        }
    }
}
