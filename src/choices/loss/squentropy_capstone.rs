//! Squentropy as in the capstone's code: cross-entropy plus the weighted square loss, `ℓ = ln Σ_j
//! exp f_j − f_y + 1/C (w (f_y − 1)² + Σ_{j≠y} f_j²)`.

use super::{ClassWeight, Formula, LossKind, Reduction, SquareTerm};
use crate::choices::Findings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// For the documentation.
pub const ABOUT: &str = "Cross-entropy plus the weighted square loss, as in the capstone's code.";
/// An example.
pub const EXAMPLE: SquentropyCapstone = SquentropyCapstone {
    w: ClassWeight::Absolute(20.0),
};

/// Weight of the correct class.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SquentropyCapstone {
    /// A number, or `{per_50304: x}`, which keeps x/50304 per class for any vocabulary.
    pub w: ClassWeight,
}

impl LossKind for SquentropyCapstone {
    fn formula(&self, reduction: Reduction, classes: usize) -> Formula {
        let weight = self.w.value(classes);
        Formula {
            cross_entropy: true,
            square: Some(SquareTerm::new(reduction, classes, [weight, 1.0])),
        }
    }

    fn check(&self, findings: &mut Findings) {
        self.w.check("train.loss.squentropy_capstone.w", findings);
    }
}
