//! The square loss on softmax probabilities: `ℓ = scale²/C (w (p_y − 1)² + Σ_{j≠y} p_j²)`.

use super::{ClassWeight, Formula, LossKind, Reduction, SquareTerm};
use crate::choices::Findings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// For the documentation.
pub const ABOUT: &str =
    "Square loss on the softmax probabilities, with the correct class weighted by `w`.";
/// An example.
pub const EXAMPLE: SquareSoftmax = SquareSoftmax {
    w: ClassWeight::Absolute(20.0),
    scale: 1.0,
};

/// Weight of the correct class.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SquareSoftmax {
    /// A number, or `{per_50304: x}`, which keeps x/50304 per class for any vocabulary.
    pub w: ClassWeight,
    /// Factor applied to probabilities and targets before they are compared; default 1. Its square scales the loss.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub scale: f64,
}

fn one() -> f64 {
    1.0
}

fn is_one(scale: &f64) -> bool {
    *scale == 1.0
}

impl LossKind for SquareSoftmax {
    fn formula(&self, reduction: Reduction, classes: usize) -> Formula {
        let term = SquareTerm::new(reduction, classes, [self.w.value(classes), 1.0]);
        let factor = self.scale * self.scale;
        Formula {
            cross_entropy: false,
            square: Some(SquareTerm {
                on_probabilities: true,
                correct: factor * term.correct,
                wrong: factor * term.wrong,
                ..term
            }),
        }
    }

    fn check(&self, findings: &mut Findings) {
        self.w.check("train.loss.square_softmax.w", findings);
        let path = "train.loss.square_softmax.scale";
        findings.number(path, self.scale, self.scale > 0.0, "above 0");
    }
}
