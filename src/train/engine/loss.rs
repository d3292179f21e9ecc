//! The losses (docs/studies.md#e1 to #e5), and their values and gradients for one row in f64.
//!
//! With logits `f` (C classes), target `y`, softmax `p`, every loss is one formula, [`Formula`]:
//!
//! `ℓ = [cross_entropy] (ln Σ_j exp f_j − f_y) + correct · (s_y − target)² + wrong · Σ_{j≠y} s_j²`, `s = f` or `s = p`.
//!
//! | loss | cross-entropy | s | correct | target | wrong |
//! |---|---|---|---|---|---|
//! | `cross_entropy` | yes | – | – | – | – |
//! | `square {k, m}` | no | f | k / C | m | 1 / C |
//! | `square_softmax {w}` | no | p | w / C | 1 | 1 / C |
//! | `squentropy` | yes | f | 0 | 0 | 1 / (C − 1) |
//! | `squentropy_capstone {w}` | yes | f | w / C | 1 | 1 / C |
//!
//! `reduction: sum_classes` leaves out the divisions by C (and C − 1). Gradients of a row:
//! cross-entropy `p_j − o_j`; square on logits `2 correct (f_y − target)` and `2 wrong f_j`; square on probabilities, with
//! `e_y = 2 correct (p_y − target)` and `e_j = 2 wrong p_j`: `p_j (e_j − Σ_k p_k e_k)`.
//! A batch's loss is the mean over the N rows that count, one mask and one N for every term; 0 where N = 0.
//!
//! The row functions here are the yardstick of tests; no implementation needs to call them.

use crate::spec::{Loss, Reduction};

/// A loss as numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Formula {
    /// Whether the cross-entropy term is there.
    pub(crate) cross_entropy: bool,
    /// The square term.
    pub(crate) square: Option<Square>,
}

/// A square term.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Square {
    /// Whether it is taken on the softmax probabilities instead of the logits.
    pub(crate) on_probabilities: bool,
    /// Factor of the correct class, division by C included.
    pub(crate) correct: f64,
    /// Target of the correct class.
    pub(crate) target: f64,
    /// Factor of every other class.
    pub(crate) wrong: f64,
}

impl Formula {
    /// The numbers of `loss` for `classes` classes.
    pub(crate) fn new(loss: &Loss, reduction: Reduction, classes: usize) -> Self {
        let divide = |value: f64, by: usize| match reduction {
            Reduction::MeanClasses => value / by.max(1) as f64,
            Reduction::SumClasses => value,
        };
        let square = |on_probabilities, correct, target| Square {
            on_probabilities,
            correct: divide(correct, classes),
            target,
            wrong: divide(1.0, classes),
        };
        let (cross_entropy, square) = match loss {
            Loss::CrossEntropy => (true, None),
            Loss::Square(parameters) => (false, Some(square(false, parameters.k, parameters.m))),
            Loss::SquareSoftmax(weight) => {
                (false, Some(square(true, weight.w.value(classes), 1.0)))
            }
            Loss::Squentropy => {
                let wrong = divide(1.0, classes.saturating_sub(1));
                let term = Square {
                    on_probabilities: false,
                    correct: 0.0,
                    target: 0.0,
                    wrong,
                };
                (true, Some(term))
            }
            Loss::SquentropyCapstone(weight) => {
                (true, Some(square(false, weight.w.value(classes), 1.0)))
            }
        };
        Self {
            cross_entropy,
            square,
        }
    }
}

#[cfg(test)]
pub(crate) use row::{row_gradient, row_value};

#[cfg(test)]
mod row {
    use super::{Formula, Square};

    fn softmax(logits: &[f64]) -> (Vec<f64>, f64) {
        let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let exponentials: Vec<f64> = logits.iter().map(|f| libm::exp(f - max)).collect();
        let sum: f64 = exponentials.iter().sum();
        let probabilities = exponentials.iter().map(|e| e / sum).collect();
        (probabilities, max + libm::log(sum))
    }

    /// Cross-entropy part and square part of one row.
    pub(crate) fn row_value(formula: &Formula, logits: &[f64], target: usize) -> (f64, f64) {
        let (probabilities, lse) = softmax(logits);
        let ce = if formula.cross_entropy {
            lse - logits[target]
        } else {
            0.0
        };
        let square = formula.square.map_or(0.0, |term| {
            let values = if term.on_probabilities {
                &probabilities
            } else {
                logits
            };
            let each = values.iter().enumerate().map(|(class, s)| {
                if class == target {
                    term.correct * (s - term.target) * (s - term.target)
                } else {
                    term.wrong * s * s
                }
            });
            each.sum()
        });
        (ce, square)
    }

    fn slope(term: &Square, value: f64, is_target: bool) -> f64 {
        if is_target {
            2.0 * term.correct * (value - term.target)
        } else {
            2.0 * term.wrong * value
        }
    }

    /// Gradient of one row's loss by its logits.
    pub(crate) fn row_gradient(formula: &Formula, logits: &[f64], target: usize) -> Vec<f64> {
        let (p, _) = softmax(logits);
        let mut gradient = vec![0.0; logits.len()];
        if formula.cross_entropy {
            for (class, slot) in gradient.iter_mut().enumerate() {
                *slot += p[class] - f64::from(u8::from(class == target));
            }
        }
        if let Some(term) = &formula.square {
            if term.on_probabilities {
                let e: Vec<f64> = (0..p.len())
                    .map(|class| slope(term, p[class], class == target))
                    .collect();
                let mean: f64 = p.iter().zip(&e).map(|(p, e)| p * e).sum();
                for (class, slot) in gradient.iter_mut().enumerate() {
                    *slot += p[class] * (e[class] - mean);
                }
            } else {
                for (class, slot) in gradient.iter_mut().enumerate() {
                    *slot += slope(term, logits[class], class == target);
                }
            }
        }
        gradient
    }
}

#[cfg(test)]
pub(super) mod tests;
