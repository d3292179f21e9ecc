//! The planned runs.

use super::{CellKind, Checker, Selection};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// For the documentation.
pub const ABOUT: &str = "The planned runs: names, ids, settings, cost.";
/// An example.
pub static EXAMPLE: LazyLock<PlanCell> = LazyLock::new(|| PlanCell(Selection::All));

/// Which runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct PlanCell(pub Selection);

impl CellKind for PlanCell {
    fn check(&self, checker: &mut Checker<'_, '_>) {
        checker.runs(&[], &self.0);
    }
}
