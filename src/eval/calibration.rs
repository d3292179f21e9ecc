//! Scores for losses that do not give probabilities (PAPER-FACTS E7).
//!
//! One temperature is fitted on the even documents and scored on the odd ones. The engine scores many temperatures in one
//! pass, so the search is a section search over a grid instead of a golden section: the cross-entropy of `f / τ` is convex
//! in `1/τ`, hence has one minimum, and each round keeps the two cells around the best point.

use crate::data::SequenceSet;
use crate::spec::ModelConfig;
use crate::train::{Engine, EvalJob, TrainError, Weights};

/// Range of temperatures: square losses with target 1 need about 1/30, no sane model more than 30.
const RANGE: [f64; 2] = [1e-3, 1e3];
/// Temperatures per pass.
const POINTS: usize = 15;
/// Passes: the bracket shrinks by 1/7 each, to a factor of about 1 + 1e-5.
const ROUNDS: usize = 7;

/// What a fit and its scores need.
pub(super) struct Calibrator<'a> {
    pub(super) engine: &'a dyn Engine,
    pub(super) weights: &'a Weights,
    pub(super) model: &'a ModelConfig,
    pub(super) threads: usize,
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
        };
        let scores = self.engine.evaluate(self.weights, &job)?;
        Ok(scores.tempered.iter().map(|row| mean_nll(row)).collect())
    }

    /// The temperature with the lowest NLL on `sequences`.
    pub(super) fn fit(&self, sequences: &SequenceSet) -> Result<f64, TrainError> {
        let mut range = RANGE.map(libm::log);
        let mut best = 1.0;
        for _ in 0..ROUNDS {
            let width = (range[1] - range[0]) / (POINTS - 1) as f64;
            let grid: Vec<f64> = (0..POINTS).map(|i| range[0] + width * i as f64).collect();
            let temperatures: Vec<f64> = grid.iter().map(|log| libm::exp(*log)).collect();
            let nll = self.nll(sequences, &temperatures)?;
            let lowest = (0..nll.len())
                .min_by(|&a, &b| nll[a].total_cmp(&nll[b]))
                .unwrap_or(0);
            best = temperatures[lowest];
            range = [
                grid[lowest.saturating_sub(1)],
                grid[(lowest + 1).min(POINTS - 1)],
            ];
        }
        Ok(best)
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

/// Mean negative log-likelihood, summed in order.
pub(super) fn mean_nll(log_likelihood: &[f32]) -> f64 {
    let sum: f64 = log_likelihood.iter().map(|value| -f64::from(*value)).sum();
    sum / log_likelihood.len() as f64
}
