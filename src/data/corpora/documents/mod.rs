//! Mixed documents.
use super::grammar::Draws;
pub(super) fn document(mut draws: Draws) -> String {
    draws.normal().to_string()
}
