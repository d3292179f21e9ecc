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
//! `reduction: sum_classes` leaves out the divisions by C (and C − 1). A batch's loss is the mean over the N rows that count,
//! with one mask and one N for every term; 0 where N = 0.

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

/// What a loss computes and which settings it allows.
pub trait LossKind {
    /// Its numbers for `classes` classes.
    fn formula(&self, reduction: Reduction, classes: usize) -> Formula;

    /// Checks its settings, which stand at `train.loss`.
    fn check(&self, _: &mut Findings) {}
}

/// How square terms are reduced over classes.
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

/// A loss as numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Formula {
    /// Whether the cross-entropy term is there.
    pub cross_entropy: bool,
    /// The square term.
    pub square: Option<SquareTerm>,
}

/// A square term.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SquareTerm {
    /// Whether it is taken on the softmax probabilities instead of the logits.
    pub on_probabilities: bool,
    /// Factor of the correct class, reduction included.
    pub correct: f64,
    /// Target of the correct class.
    pub target: f64,
    /// Factor of every other class, reduction included.
    pub wrong: f64,
    /// Where the correct class's value is not below this in size, its factor is that of every other class.
    pub near: f64,
}

impl Formula {
    /// The numbers of `loss` for `classes` classes.
    pub fn new(loss: &Loss, reduction: Reduction, classes: usize) -> Self {
        loss.get().formula(reduction, classes)
    }

    /// Whether logits estimate probabilities: a square loss on the logits alone.
    pub fn is_linear(&self) -> bool {
        !self.cross_entropy && self.square.is_some_and(|term| !term.on_probabilities)
    }
}

impl SquareTerm {
    /// The term with weight `correct` and goal `target` for the correct class and weight 1 for every other.
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
