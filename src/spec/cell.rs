//! The notebook: cells in reading order.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One cell of the report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cell {
    /// Markdown with minijinja expressions over the results.
    Text(String),
    /// Learning curves.
    Plot(PlotCell),
    /// A table of results.
    Table(TableCell),
    /// A histogram.
    Histogram(HistogramCell),
    /// Final values as points, against a size, an axis or another metric.
    Scatter(ScatterCell),
    /// Differences between matched runs, by what was changed.
    Differences(DifferencesCell),
    /// A metric as bars.
    Bars(BarsCell),
    /// A metric by two axes, as shades.
    Heat(HeatCell),
    /// Sampled continuations.
    Samples(SamplesCell),
    /// Perplexity per document.
    Perplexity(PerplexityCell),
    /// Claims and verdicts: `all` or a list of ids.
    Claims(Selection),
    /// What was run: names, ids, settings, cost.
    Plan(Selection),
}

impl Cell {
    /// The name by which texts refer to the figure or table of the cell.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Plot(cell) => cell.id.as_deref(),
            Self::Table(cell) => cell.id.as_deref(),
            Self::Histogram(cell) => cell.id.as_deref(),
            Self::Scatter(cell) => cell.id.as_deref(),
            Self::Differences(cell) => cell.id.as_deref(),
            Self::Bars(cell) => cell.id.as_deref(),
            Self::Heat(cell) => cell.id.as_deref(),
            Self::Text(_)
            | Self::Samples(_)
            | Self::Perplexity(_)
            | Self::Claims(_)
            | Self::Plan(_) => None,
        }
    }
}

/// `all`, or a list of names (of runs, cases or claims).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Selection {
    /// Everything.
    #[default]
    All,
    /// These, in this order.
    Only(Vec<String>),
}

/// Axes, and the value or list of values that runs have to have.
pub type Filter = std::collections::BTreeMap<String, serde_json::Value>;

/// Learning curves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlotCell {
    /// Metrics, as in `metrics.jsonl`.
    pub curves: Vec<String>,
    /// `step` (default), `epoch` or `tokens`.
    #[serde(default)]
    pub x: PlotX,
    /// Axis whose values get a panel each.
    #[serde(default)]
    pub panels: Option<String>,
    /// Axis whose values get a colour each; default: one colour per curve.
    #[serde(default)]
    pub colours: Option<String>,
    /// Only runs with these axis values; `min` and `max` are the smallest and the largest of an axis of numbers.
    #[serde(default)]
    pub filter: Filter,
    /// Logarithmic axes: `x`, `y`, or both.
    #[serde(default)]
    pub log: Vec<PlotAxis>,
    /// Width of a moving mean in points; the raw curve stays behind it.
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

/// What a plot's x axis shows.
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

/// An axis of a plot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlotAxis {
    /// Horizontal.
    X,
    /// Vertical.
    Y,
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
    /// Steps of the published run that x counts: the curve is scaled to the longest run of the plot. Default: drawn as it stands.
    #[serde(default)]
    pub of_steps: Option<u64>,
    /// Classes (vocabulary) of the published run: its losses are drawn as the same share of ln C that they were there, so that an
    /// untrained model starts at one height. Default: drawn as they stand.
    #[serde(default)]
    pub classes: Option<u64>,
}

/// A table of results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TableCell {
    /// Axis whose values are the rows, or `run`.
    pub rows: String,
    /// Metrics, or `published: <text>` columns by name.
    pub columns: Vec<String>,
    /// Axis that is spread over columns (one metric only).
    #[serde(default)]
    pub pivot: Option<String>,
    /// Only runs with these axis values, as in a plot.
    #[serde(default)]
    pub filter: Filter,
    /// Columns whose best value is bold; default: none. Name only columns whose rows can be compared.
    #[serde(default)]
    pub best: Vec<String>,
    /// Metric to sort by, ascending; default: order of the plan.
    #[serde(default)]
    pub sort: Option<String>,
    /// Published values by row name, shown in a column of their own.
    #[serde(default)]
    pub published: std::collections::BTreeMap<String, String>,
    /// Sentence below the table.
    #[serde(default)]
    pub caption: Option<String>,
    /// Name by which texts refer to it: `@tbl-NAME`.
    #[serde(default)]
    pub id: Option<String>,
}

/// A histogram.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HistogramCell {
    /// `document_tokens` (lengths of the training documents) or `perplexity` (per document).
    pub of: HistogramOf,
    /// A panel each for the first so many training documents; default: one for all.
    #[serde(default)]
    pub first: Vec<usize>,
    /// Number of bins; default 40.
    #[serde(default = "forty")]
    pub bins: usize,
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

fn forty() -> usize {
    40
}

/// What a histogram counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HistogramOf {
    /// Ids per training document.
    DocumentTokens,
    /// Perplexity per held-out document.
    Perplexity,
}

/// Final values as points: one for each setting, its seeds together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScatterCell {
    /// Axis of numbers or metric (`params`) across.
    pub x: String,
    /// Metric upwards.
    pub y: String,
    /// Axis whose values get a panel each.
    #[serde(default)]
    pub panels: Option<String>,
    /// Axis whose values get a colour each.
    #[serde(default)]
    pub colours: Option<String>,
    /// Whether a line joins the settings that differ in `x` alone.
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

/// Differences between matched runs: a row for each change, its mean over the pairs that differ in nothing else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DifferencesCell {
    /// The metric that is compared.
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
    /// Its value after it; default: the largest.
    #[serde(default)]
    pub to: Option<serde_json::Value>,
    /// Name of the row; default: the axis and its two values.
    #[serde(default)]
    pub label: Option<String>,
}

/// A metric as bars from zero.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BarsCell {
    /// The metric.
    pub metric: String,
    /// Axis whose values get a bar each, or `run`.
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

/// A metric by two axes, as shades with its values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeatCell {
    /// The metric.
    pub metric: String,
    /// Axis across.
    pub x: String,
    /// Axis downwards.
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

/// Sampled continuations.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SamplesCell {
    /// Which runs; default all.
    #[serde(default)]
    pub runs: Selection,
}

/// Perplexity per document.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PerplexityCell {
    /// Which runs; default all.
    #[serde(default)]
    pub runs: Selection,
}
