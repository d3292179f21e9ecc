//! Prose.

use super::{CellKind, Checker};
use crate::spec::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// For the documentation.
pub const ABOUT: &str = "Markdown with minijinja expressions over the results.";
/// An example.
pub static EXAMPLE: LazyLock<TextCell> = LazyLock::new(|| {
    TextCell("Two layers of width 64 end at {{ run('dim=64,n_layers=2').val_loss | round(2) }} nats.".to_owned())
});

/// Markdown with expressions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct TextCell(pub String);

impl CellKind for TextCell {
    fn check(&self, checker: &mut Checker<'_, '_>) {
        if self.0.trim().is_empty() {
            checker.push(&[], Problem::new("this text cell is empty"));
        }
    }
}
