//! Scores for losses that do not yield probabilities (docs/studies.md#e7).
//!
//! One temperature is fitted on the even documents and scored on the odd ones. Each pass scores many temperatures, so the search is
//! a section search over a grid instead of a golden section: the cross-entropy of `f / τ` is convex in `1/τ`, so it has one minimum,
//! and each round keeps the two cells around the best point. The lowest point of the parabola through the last three is the result.

use crate::data::{SequenceSet, Stop};
use crate::spec::ModelConfig;
use crate::train::{Engine, EvalJob, TrainError, Weights};

/// Range of temperatures: square losses with target 1 need about 1/30, and no sensible model needs more than 30.
const RANGE: [f64; 2] = [1e-3, 1e3];
/// Temperatures per pass.
const POINTS: usize = 25;
/// Passes: the cells shrink by 1/12 each, to a factor of 1.004, in which the cross-entropy is a parabola.
const ROUNDS: usize = 3;

/// The inputs of a fit and its scores.
pub(super) struct Calibrator<'a> {
    pub(super) engine: &'a dyn Engine,
    pub(super) weights: &'a Weights,
    pub(super) model: &'a ModelConfig,
    pub(super) threads: usize,
    pub(super) halt: &'a Stop,
}

impl Calibrator<'_> {
    /// Mean NLL of `sequences` at each temperature.
    fn nll(&self, sequences: &SequenceSet, temperatures: &[f64]) -> Result<Vec<f64>, TrainError> {
        let job = EvalJob {
            model: self.model,
            sequences,
            temperatures,
            clipped_linear_eps: None,
            threads: self.threads,
            halt: self.halt,
        };
        let scores = self.engine.evaluate(self.weights, &job)?;
        Ok(scores.tempered.iter().map(|row| mean_nll(row)).collect())
    }

    /// The temperature with the lowest NLL on `sequences`.
    pub(super) fn fit(&self, sequences: &SequenceSet) -> Result<f64, TrainError> {
        minimum(|temperatures| self.nll(sequences, temperatures))
    }

    /// Mean NLL of `sequences` at one temperature.
    pub(super) fn score(
        &self,
        sequences: &SequenceSet,
        temperature: f64,
    ) -> Result<Option<f64>, TrainError> {
        Ok(self.nll(sequences, &[temperature])?.first().copied())
    }
}

/// The temperature at which `nll` is lowest; `nll` takes several temperatures at once.
fn minimum<E>(nll: impl Fn(&[f64]) -> Result<Vec<f64>, E>) -> Result<f64, E> {
    let mut range = RANGE.map(libm::log);
    let mut best = 0.0;
    for _ in 0..ROUNDS {
        let width = (range[1] - range[0]) / (POINTS - 1) as f64;
        let grid: Vec<f64> = (0..POINTS).map(|i| range[0] + width * i as f64).collect();
        let temperatures: Vec<f64> = grid.iter().map(|log| libm::exp(*log)).collect();
        let nll = nll(&temperatures)?;
        let lowest = (0..nll.len())
            .min_by(|&a, &b| nll[a].total_cmp(&nll[b]))
            .unwrap_or(0);
        let inner = lowest.clamp(1, POINTS - 2);
        let shift = vertex([nll[inner - 1], nll[inner], nll[inner + 1]]);
        best = (grid[inner] + width * shift).clamp(grid[inner - 1], grid[inner + 1]);
        range = [
            grid[lowest.saturating_sub(1)],
            grid[(lowest + 1).min(POINTS - 1)],
        ];
    }
    Ok(libm::exp(best))
}

/// Minimum of the parabola through these values at −1, 0 and 1, or the lowest of the three if it has none.
fn vertex([left, middle, right]: [f64; 3]) -> f64 {
    let bend = left - 2.0 * middle + right;
    if bend > 0.0 && bend.is_finite() {
        return 0.5 * (left - right) / bend;
    }
    match left.total_cmp(&right) {
        _ if middle <= left && middle <= right => 0.0,
        std::cmp::Ordering::Greater => 1.0,
        _ => -1.0,
    }
}

/// Mean negative log-likelihood, summed in order.
pub(super) fn mean_nll(log_likelihood: &[f32]) -> f64 {
    let sum: f64 = log_likelihood.iter().map(|value| -f64::from(*value)).sum();
    sum / log_likelihood.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cross-entropy of three classes at a temperature, where the classes are drawn as at the temperature `truth`.
    fn cross_entropy(temperature: f64, truth: f64) -> f64 {
        let exponents = [-2.2, -3.7, 0.0].map(|f| f * truth);
        let norm = |t: f64| libm::log(exponents.iter().map(|f| libm::exp(f / t)).sum::<f64>());
        let log = |f: f64, t: f64| f / t - norm(t);
        let terms = exponents.map(|f| -libm::exp(log(f, truth)) * log(f, temperature));
        terms.iter().sum()
    }

    #[test]
    fn the_minimum_is_found_to_four_digits() {
        for truth in [0.0021, 0.033, 0.7, 1.0, 1.9, 12.0, 470.0] {
            let nll = |some: &[f64]| {
                Ok::<_, TrainError>(some.iter().map(|t| cross_entropy(*t, truth)).collect())
            };
            let found = minimum(nll).unwrap();
            let lowest = cross_entropy(truth, truth);
            assert!((found / truth - 1.0).abs() < 1e-4, "{truth}: {found}");
            assert!(cross_entropy(found, truth) - lowest < 1e-8 * lowest);
        }
    }

    #[test]
    fn a_minimum_at_an_end_is_the_end() {
        let rising = |some: &[f64]| Ok::<_, TrainError>(some.to_vec());
        assert!((minimum(rising).unwrap() / RANGE[0] - 1.0).abs() < 1e-9);
        let falling = |some: &[f64]| Ok::<_, TrainError>(some.iter().map(|t| -t).collect());
        assert!((minimum(falling).unwrap() / RANGE[1] - 1.0).abs() < 1e-9);
        let level = |some: &[f64]| Ok::<_, TrainError>(vec![1.0; some.len()]);
        let found = minimum(level).unwrap();
        assert!((RANGE[0]..=RANGE[1]).contains(&found));
    }
}
