//! The rescaled square loss of Hui and Belkin (arXiv:2006.07322), on raw logits: `ℓ = 1/C (k (f_y − m)² + Σ_{j≠y} f_j²)`.
//!
//! With `near`, the weight is k where `|f_y| < near` and 1 elsewhere: the loss is discontinuous there, and its gradient
//! is one-sided.

use super::{Formula, LossKind, Reduction, SquareTerm};
use crate::choices::Findings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// For the documentation.
pub const ABOUT: &str = "Square loss on the raw logits (arXiv:2006.07322).";
/// An example.
pub const EXAMPLE: Square = Square {
    k: 15.0,
    m: 30.0,
    near: None,
};

/// Weight and target of the correct class.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Square {
    /// Weight of the correct class; default 1.
    #[serde(default = "one")]
    pub k: f64,
    /// Target of the correct class's logit; default 1.
    #[serde(default = "one")]
    pub m: f64,
    /// Apply the weight k only where the correct class's logit is below this in absolute value; default: everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub near: Option<f64>,
}

fn one() -> f64 {
    1.0
}

impl LossKind for Square {
    fn formula(&self, reduction: Reduction, classes: usize) -> Formula {
        Formula {
            cross_entropy: false,
            square: Some(SquareTerm {
                near: self.near.unwrap_or(f64::INFINITY),
                ..SquareTerm::new(reduction, classes, [self.k, self.m])
            }),
        }
    }

    fn check(&self, findings: &mut Findings) {
        findings.number("train.loss.square.k", self.k, self.k > 0.0, "above 0");
        findings.number("train.loss.square.m", self.m, self.m > 0.0, "above 0");
        if let Some(near) = self.near {
            findings.number("train.loss.square.near", near, near > 0.0, "above 0");
        }
    }
}
