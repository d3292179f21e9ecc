//! Cross-entropy: `ℓ = ln Σ_j exp f_j − f_y`.

use super::{Formula, LossKind, Reduction};

/// For the documentation.
pub const ABOUT: &str = "Cross-entropy.";

/// Cross-entropy; it has no settings.
pub struct CrossEntropy;

impl LossKind for CrossEntropy {
    fn formula(&self, _: Reduction, _: usize) -> Formula {
        Formula {
            cross_entropy: true,
            square: None,
        }
    }
}
