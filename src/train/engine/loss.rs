//! Values and gradients of the losses for one row in f64: the reference for tests; implementations need not call them.
//!
//! Gradients of a row of the [formula](crate::choices::loss): cross-entropy `p_j − o_j`; square on logits
//! `2 correct (f_y − target)` and `2 wrong f_j`; square on probabilities, with `e_y = 2 correct (p_y − target)` and
//! `e_j = 2 wrong p_j`: `p_j (e_j − Σ_k p_k e_k)`.

pub(crate) use row::{row_gradient, row_value};

mod row {
    use crate::choices::loss::{Formula, SquareTerm};

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
                    term.factor(*s) * (s - term.target) * (s - term.target)
                } else {
                    term.wrong * s * s
                }
            });
            each.sum()
        });
        (ce, square)
    }

    fn slope(term: &SquareTerm, value: f64, is_target: bool) -> f64 {
        if is_target {
            2.0 * term.factor(value) * (value - term.target)
        } else {
            2.0 * term.wrong * value
        }
    }

    /// Gradient of one row's loss with respect to its logits.
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

pub(super) mod tests;
