//! The training losses (docs/studies.md#e1 to #e5).
//!
//! With logits `f` (C classes), target `y`, softmax `p`, every loss is one [`Formula`]:
//!
//! `ℓ = [cross_entropy] (ln Σ_j exp f_j − f_y) + correct · (s_y − target)² + wrong · Σ_{j≠y} s_j²`, `s = f` or `s = p`.
//!
//! | loss | cross-entropy | s | correct | target | wrong |
//! |---|---|---|---|---|---|
//! | `cross_entropy` | yes | – | – | – | – |
//! | `square {k, m}` | no | f | k / C | m | 1 / C |
//! | `square {k, m, near}` | no | f | k / C where abs(f_y) < near, else 1 / C | m | 1 / C |
//! | `square_softmax {w, scale}` | no | p | scale² w / C | 1 | scale² / C |
//! | `squentropy` | yes | f | 0 | 0 | 1 / (C − 1) |
//! | `squentropy_capstone {w}` | yes | f | w / C | 1 | 1 / C |
//!
//! `reduction: sum_classes` leaves out the divisions by C (and C − 1). A batch's loss is the mean over the N scored
//! rows, with the same mask and N for every term; 0 if N = 0.

use super::{Findings, choices};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod weight;

pub use weight::ClassWeight;

choices! {
    /// A training loss.
    #[derive(Copy, Default)]
    Loss: LossKind {
        #[default]
        cross_entropy: CrossEntropy,
        square: Square(Square),
        square_softmax: SquareSoftmax(SquareSoftmax),
        squentropy: Squentropy,
        squentropy_capstone: SquentropyCapstone(SquentropyCapstone),
    }
}

/// The computation of a loss and the check of its settings.
pub trait LossKind {
    /// Its coefficients for `classes` classes.
    fn formula(&self, reduction: Reduction, classes: usize) -> Formula;

    /// Checks its settings, found at `train.loss`.
    fn check(&self, _: &mut Findings) {}
}

/// Reduction of square terms over classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reduction {
    /// Divided by the number of classes, as printed.
    #[default]
    MeanClasses,
    /// Not divided: C times larger.
    SumClasses,
}

impl Reduction {
    /// `value` reduced over `classes` classes.
    fn apply(self, value: f64, classes: usize) -> f64 {
        match self {
            Self::MeanClasses => value / classes.max(1) as f64,
            Self::SumClasses => value,
        }
    }
}

/// A loss as coefficients.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Formula {
    /// Whether the cross-entropy term is present.
    pub cross_entropy: bool,
    /// The square term.
    pub square: Option<SquareTerm>,
}

/// A square term.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SquareTerm {
    /// Whether it applies to the softmax probabilities instead of the logits.
    pub on_probabilities: bool,
    /// Factor of the correct class, including the reduction.
    pub correct: f64,
    /// Target of the correct class.
    pub target: f64,
    /// Factor of every other class, including the reduction.
    pub wrong: f64,
    /// If the correct class's absolute value is not below this, it gets the factor of the other classes.
    pub near: f64,
}

impl Formula {
    /// The coefficients of `loss` for `classes` classes.
    pub fn new(loss: &Loss, reduction: Reduction, classes: usize) -> Self {
        loss.get().formula(reduction, classes)
    }

    /// Whether the logits estimate probabilities, as with a pure square loss on logits.
    pub fn is_linear(&self) -> bool {
        !self.cross_entropy && self.square.is_some_and(|term| !term.on_probabilities)
    }
}

impl SquareTerm {
    /// The term with weight `correct` and target `target` for the correct class and weight 1 for every other class.
    fn new(reduction: Reduction, classes: usize, [correct, target]: [f64; 2]) -> Self {
        Self {
            on_probabilities: false,
            correct: reduction.apply(correct, classes),
            target,
            wrong: reduction.apply(1.0, classes),
            near: f64::INFINITY,
        }
    }

    /// The factor of the correct class, whose value is `value`.
    pub fn factor(&self, value: f64) -> f64 {
        if value.abs() < self.near {
            self.correct
        } else {
            self.wrong
        }
    }
}
