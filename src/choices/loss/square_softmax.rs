//! The square loss on softmax probabilities: `ℓ = 1/C (w (p_y − 1)² + Σ_{j≠y} p_j²)`.

use super::{ClassWeight, Formula, LossKind, Reduction, SquareTerm};
use crate::choices::Findings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// For the documentation.
pub const ABOUT: &str =
    "Square loss on the softmax probabilities, the correct class weighted by `w`.";
/// An example.
pub const EXAMPLE: SquareSoftmax = SquareSoftmax {
    w: ClassWeight::Absolute(20.0),
};

/// Weight of the correct class.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SquareSoftmax {
    /// A number, or `{per_50304: x}`, which keeps x/50304 per class for any vocabulary.
    pub w: ClassWeight,
}

impl LossKind for SquareSoftmax {
    fn formula(&self, reduction: Reduction, classes: usize) -> Formula {
        let term = SquareTerm::new(reduction, classes, [self.w.value(classes), 1.0]);
        Formula {
            cross_entropy: false,
            square: Some(SquareTerm {
                on_probabilities: true,
                ..term
            }),
        }
    }

    fn check(&self, findings: &mut Findings) {
        self.w.check("train.loss.square_softmax.w", findings);
    }
}
