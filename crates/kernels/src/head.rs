//! The output matrix and all losses, [`CHUNK`] rows of logits at a time: the logits of a whole batch never exist at
//! once.
//!
//! The gradients of a loss are computed in the forward pass, while a chunk's logits are in memory.

use super::gemm::{Matrix, gemm};
use super::rows::{dot, exp_and_linear, exp_row, exp_sum, row_max, scale, square_softmax_gradient};
use super::{Compute, Isa, Scratch};

/// Rows of logits at a time. Part of the recipe: the gradient of the output matrix is summed chunk by chunk.
const CHUNK: usize = 512;

/// A square term: `wrong · Σ_{j≠y} z_j² + right · (z_y − target)²`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Square {
    /// Whether z are the probabilities; otherwise the logits.
    pub of_probabilities: bool,
    /// Factor of the wrong classes.
    pub wrong: f32,
    /// Factor of the right class.
    pub right: f32,
    /// Target of the right class.
    pub target: f32,
    /// If the absolute value of the right class's logit is not below this, it gets the factor of the wrong classes.
    pub near: f32,
}

/// The terms of a loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossTerms {
    /// Whether the loss has a cross-entropy term.
    pub cross_entropy: bool,
    /// The square term, if any.
    pub square: Option<Square>,
}

/// Destinations of the gradients; both are overwritten.
pub struct HeadGradients<'a> {
    /// Of the rows: (n, d).
    pub x: &'a mut [f32],
    /// Of the output matrix: (classes, d).
    pub weight: &'a mut [f32],
}

/// The sums of cross-entropy and of the square term over the rows whose mask is set; 0 for a term that the loss
/// does not have.
///
/// `x`: (n, d); `weight`: (classes, d); `targets` and the mask: (n). The gradients are those of `factor` times
/// the sum of both.
pub fn head_loss(
    compute: &Compute,
    [x, weight]: [&[f32]; 2],
    targets: &[u32],
    (mask, factor): (&[bool], f32),
    terms: LossTerms,
    mut gradients: Option<HeadGradients<'_>>,
) -> (f64, f64) {
    let n = targets.len();
    assert!(n > 0 && mask.len() == n);
    let both = terms.cross_entropy && terms.square.is_some_and(|square| square.of_probabilities);
    assert!(
        !both,
        "no loss mixes cross-entropy and squares of probabilities"
    );
    let d = x.len() / n;
    let classes = weight.len() / d;
    let mut logits = Scratch::new(CHUNK.min(n) * classes);
    let mut losses = Scratch::new(2 * CHUNK.min(n));
    let mut sums = (0.0, 0.0);
    for r0 in (0..n).step_by(CHUNK) {
        let m = CHUNK.min(n - r0);
        let rows = &x[r0 * d..(r0 + m) * d];
        let (logits, losses) = (&mut logits[..m * classes], &mut losses[..2 * m]);
        gemm(
            compute,
            [m, classes, d],
            Matrix::rows(rows, d),
            Matrix::rows(weight, d).transposed(),
            logits,
            false,
        );
        let with_gradient = gradients.is_some();
        let outputs = [(&mut *logits, classes), (&mut *losses, 2)];
        compute.rows(m, 4, outputs, &|part, [logits, losses]| {
            let rows = logits.chunks_exact_mut(classes);
            for ((r, row), loss) in part.zip(rows).zip(losses.chunks_exact_mut(2)) {
                if mask[r0 + r] {
                    let target = targets[r0 + r] as usize;
                    let value = row_loss(compute.isa, row, target, factor, terms, with_gradient);
                    loss.copy_from_slice(&value);
                } else {
                    row.fill(0.0);
                    loss.fill(0.0);
                }
            }
        });
        for loss in losses.chunks_exact(2) {
            sums.0 += f64::from(loss[0]);
            sums.1 += f64::from(loss[1]);
        }
        if let Some(to) = &mut gradients {
            let slopes = Matrix::rows(logits, classes);
            gemm(
                compute,
                [m, d, classes],
                slopes,
                Matrix::rows(weight, d),
                &mut to.x[r0 * d..(r0 + m) * d],
                false,
            );
            gemm(
                compute,
                [classes, d, m],
                slopes.transposed(),
                Matrix::rows(rows, d),
                to.weight,
                r0 > 0,
            );
        }
    }
    sums
}

/// Cross-entropy and square term of one row; with `gradient`, the row becomes the gradient of their sum times `factor`.
fn row_loss(
    isa: Isa,
    row: &mut [f32],
    y: usize,
    factor: f32,
    terms: LossTerms,
    gradient: bool,
) -> [f32; 2] {
    match (terms.cross_entropy, terms.square) {
        (_, None) => [cross_entropy(isa, row, y, factor, gradient), 0.0],
        (false, Some(square)) if square.of_probabilities => {
            square_softmax(isa, row, y, factor, square, gradient)
        }
        (with, Some(square)) => logit_square(isa, row, y, factor, with, square, gradient),
    }
}

fn cross_entropy(isa: Isa, row: &mut [f32], y: usize, factor: f32, gradient: bool) -> f32 {
    let (top, right) = (row_max(isa, row), row[y]);
    if !gradient {
        return top + libm::logf(exp_sum(isa, row, 1.0, top)) - right;
    }
    let sum = exp_row(isa, row, 1.0, top);
    scale(isa, row, factor / sum);
    row[y] -= factor;
    top + libm::logf(sum) - right
}

fn logit_square(
    isa: Isa,
    row: &mut [f32],
    y: usize,
    factor: f32,
    with_entropy: bool,
    square: Square,
    gradient: bool,
) -> [f32; 2] {
    let right = row[y];
    row[y] = 0.0;
    let wrong_squares = dot(isa, row, row);
    row[y] = right;
    let miss = right - square.target;
    let right_factor = if right.abs() < square.near {
        square.right
    } else {
        square.wrong
    };
    let value = square.wrong * wrong_squares + right_factor * miss * miss;
    let lse = if with_entropy {
        let top = row_max(isa, row);
        top + libm::logf(exp_sum(isa, row, 1.0, top))
    } else {
        right
    };
    if gradient {
        let right_slope = 2.0 * right_factor * miss * factor;
        let wrong_slope = 2.0 * square.wrong * factor;
        if with_entropy {
            exp_and_linear(isa, row, lse, factor, wrong_slope);
            row[y] = (libm::expf(right - lse) - 1.0) * factor + right_slope;
        } else {
            scale(isa, row, wrong_slope);
            row[y] = right_slope;
        }
    }
    [lse - right, value]
}

fn square_softmax(
    isa: Isa,
    row: &mut [f32],
    y: usize,
    factor: f32,
    square: Square,
    gradient: bool,
) -> [f32; 2] {
    let top = row_max(isa, row);
    let sum = exp_row(isa, row, 1.0, top);
    scale(isa, row, 1.0 / sum);
    let right = row[y];
    row[y] = 0.0;
    let wrong_squares = dot(isa, row, row);
    let miss = right - square.target;
    if gradient {
        let right_slope = 2.0 * square.right * miss;
        let inner = 2.0 * square.wrong * wrong_squares + right_slope * right;
        square_softmax_gradient(isa, row, 2.0 * square.wrong * factor, inner * factor);
        row[y] = right * (right_slope - inner) * factor;
    }
    [
        0.0,
        square.wrong * wrong_squares + square.right * miss * miss,
    ]
}

/// Scores to compute besides log-likelihood, rank and confidence.
#[derive(Clone, Copy, Debug, Default)]
pub struct ScoreOptions<'a> {
    /// Also score logits divided by each of these.
    pub temperatures: &'a [f64],
    /// Also score `p ∝ max(logit, eps)`.
    pub clipped_linear_eps: Option<f64>,
}

/// The scores of one target.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowScore {
    /// Natural log-probability.
    pub log_likelihood: f32,
    /// Number of classes with a larger logit, or an equal one and a lower index.
    pub rank: u32,
    /// Largest probability.
    pub confidence: f32,
    /// Log-probability at each temperature.
    pub tempered: Vec<f32>,
    /// Clipped-linear log-probability.
    pub clipped_linear: Option<f32>,
}

/// Scores the target of every row of `x` (n, d) whose mask is true, in order; `weight`: (classes, d).
pub fn head_scores(
    compute: &Compute,
    [x, weight]: [&[f32]; 2],
    targets: &[u32],
    mask: &[bool],
    options: ScoreOptions<'_>,
) -> Vec<RowScore> {
    let n = targets.len();
    assert!(n > 0 && mask.len() == n);
    let d = x.len() / n;
    let classes = weight.len() / d;
    let mut logits = Scratch::new(CHUNK.min(n) * classes);
    let mut scores = Vec::new();
    for r0 in (0..n).step_by(CHUNK) {
        let m = CHUNK.min(n - r0);
        let rows = Matrix::rows(&x[r0 * d..(r0 + m) * d], d);
        let logits = &mut logits[..m * classes];
        gemm(
            compute,
            [m, classes, d],
            rows,
            Matrix::rows(weight, d).transposed(),
            logits,
            false,
        );
        let logits: &[f32] = logits;
        let found: Vec<std::sync::OnceLock<RowScore>> =
            (0..m).map(|_| std::sync::OnceLock::new()).collect();
        compute.pool.pieces(m, 4, &|a, b| {
            for r in (a..b).filter(|r| mask[r0 + r]) {
                let row = &logits[r * classes..(r + 1) * classes];
                let _ = found[r].set(row_score(
                    compute.isa,
                    row,
                    targets[r0 + r] as usize,
                    options,
                ));
            }
        });
        scores.extend(
            found
                .into_iter()
                .filter_map(std::sync::OnceLock::into_inner),
        );
    }
    scores
}

/// Scores one row of logits.
pub(crate) fn row_score(isa: Isa, row: &[f32], y: usize, options: ScoreOptions<'_>) -> RowScore {
    let (top, right) = (row_max(isa, row), row[y]);
    let sum = exp_sum(isa, row, 1.0, top);
    let before = row[..y].iter().filter(|&&z| z >= right).count();
    let after = row[y + 1..].iter().filter(|&&z| z > right).count();
    let tempered = |&t: &f64| {
        let c = (1.0 / t) as f32;
        let sum = exp_sum(isa, row, c, top * c);
        (right - top) * c - libm::logf(sum)
    };
    let clipped = |eps: f64| {
        let value = |z: f32| f64::from(z).max(eps);
        let sum: f64 = row.iter().map(|&z| value(z)).sum();
        libm::log(value(right) / sum) as f32
    };
    RowScore {
        log_likelihood: right - top - libm::logf(sum),
        rank: (before + after) as u32,
        confidence: 1.0 / sum,
        tempered: options.temperatures.iter().map(tempered).collect(),
        clipped_linear: options.clipped_linear_eps.map(clipped),
    }
}
