//! Sampled continuations.

use super::{CellKind, Checker, Selection};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// For the documentation.
pub const ABOUT: &str = "Sampled continuations.";
/// An example.
pub static EXAMPLE: LazyLock<SamplesCell> = LazyLock::new(|| SamplesCell {
    runs: Selection::Only(vec!["dim=64,n_layers=2".to_owned()]),
});

/// Sampled continuations.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SamplesCell {
    /// Which runs; default all.
    #[serde(default)]
    pub runs: Selection,
}

impl CellKind for SamplesCell {
    fn check(&self, checker: &mut Checker<'_, '_>) {
        checker.runs(&["runs"], &self.runs);
    }
}
