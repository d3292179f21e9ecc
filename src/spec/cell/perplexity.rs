//! Perplexity per document.

use super::{CellKind, Checker, Selection};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// For the documentation.
pub const ABOUT: &str = "Perplexity per document.";
/// An example.
pub static EXAMPLE: LazyLock<PerplexityCell> = LazyLock::new(|| PerplexityCell {
    runs: Selection::Only(vec!["dim=64,n_layers=2".to_owned()]),
});

/// Perplexity per document.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PerplexityCell {
    /// Which runs; default all.
    #[serde(default)]
    pub runs: Selection,
}

impl CellKind for PerplexityCell {
    fn check(&self, checker: &mut Checker<'_, '_>) {
        checker.runs(&["runs"], &self.runs);
    }
}
