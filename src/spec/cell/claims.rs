//! Claims and their verdicts.

use super::{CellKind, Checker, Selection};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// For the documentation.
pub const ABOUT: &str = "Claims and verdicts: `all` or a list of ids.";
/// An example.
pub static EXAMPLE: LazyLock<ClaimsCell> =
    LazyLock::new(|| ClaimsCell(Selection::Only(vec!["A-1".to_owned()])));

/// Which claims.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct ClaimsCell(pub Selection);

impl CellKind for ClaimsCell {
    fn check(&self, checker: &mut Checker<'_, '_>) {
        checker.claims(&self.0);
    }
}
