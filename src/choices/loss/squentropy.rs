//! Squentropy (Hui, Belkin and Wright, arXiv:2302.03952): cross-entropy plus the mean squared logit of the wrong classes,
//! `ℓ = ln Σ_j exp f_j − f_y + 1/(C − 1) Σ_{j≠y} f_j²`.

use super::{Formula, LossKind, Reduction, SquareTerm};

/// For the documentation.
pub const ABOUT: &str = "Cross-entropy plus the mean squared wrong logit (arXiv:2302.03952).";

/// Squentropy; it has no settings.
pub struct Squentropy;

impl LossKind for Squentropy {
    fn formula(&self, reduction: Reduction, classes: usize) -> Formula {
        Formula {
            cross_entropy: true,
            square: Some(SquareTerm::new(
                reduction,
                classes.saturating_sub(1),
                [0.0, 0.0],
            )),
        }
    }
}
