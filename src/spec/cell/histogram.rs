//! A histogram.

use super::{CellKind, Checker, PlotAxis};
use crate::spec::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// For the documentation.
pub const ABOUT: &str = "A histogram.";
/// An example.
pub static EXAMPLE: LazyLock<HistogramCell> = LazyLock::new(|| HistogramCell {
    of: HistogramOf::DocumentTokens,
    first: Vec::new(),
    bins: 40,
    log: vec![PlotAxis::X],
    caption: Some("Ids per training document.".to_owned()),
    id: None,
});

/// A histogram.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HistogramCell {
    /// `document_tokens` (lengths of the training documents) or `perplexity` (per document).
    pub of: HistogramOf,
    /// One panel for each number of training documents, counted from the first; default: one panel
    /// for all.
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

/// The quantity a histogram shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HistogramOf {
    /// Tokens per training document.
    DocumentTokens,
    /// Perplexity per held-out document.
    Perplexity,
}

impl CellKind for HistogramCell {
    fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    fn shows_lengths(&self) -> bool {
        self.of == HistogramOf::DocumentTokens
    }

    fn check(&self, checker: &mut Checker<'_, '_>) {
        if !(1..=1000).contains(&self.bins) {
            let problem = Problem::new(format!("a histogram cannot have {} bins", self.bins));
            checker.push(&["bins"], problem.allowed("1 to 1000"));
        }
        if self.log.contains(&PlotAxis::Y) {
            let problem = Problem::new(
                "counts need a linear axis: bars on a logarithmic one have no baseline",
            );
            checker.push(&["log"], problem.allowed("`[x]`"));
        }
        if !self.first.is_empty() && self.of == HistogramOf::Perplexity {
            let problem = Problem::new("`first` counts training documents")
                .hint("write `of: document_tokens`, or leave `first` out");
            checker.push(&["first"], problem);
        }
        if self.first.contains(&0) || self.first.len() > 12 {
            let problem = Problem::new("these panels cannot be drawn")
                .allowed("at most 12 numbers of documents, each at least 1");
            checker.push(&["first"], problem);
        }
    }
}
