//! Standard errors due to the choice of held-out documents: a paired bootstrap and a jackknife over them.

use super::Scope;
use crate::stats;

/// Resamples of the bootstrap: enough for a standard deviation, not for tails.
pub(super) const RESAMPLES: u64 = 200;
/// Groups of the jackknife, if there are as many documents.
const GROUPS: usize = 40;

/// The held-out documents that determine a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HeldOut {
    /// Effective number of documents: (Σ tokens)² / Σ tokens², rounded down.
    pub effective: usize,
    /// Number of documents.
    pub count: usize,
}

impl HeldOut {
    /// From the tokens of each document; `None` for fewer than two documents.
    pub(super) fn of(tokens: impl Iterator<Item = u64>) -> Option<Self> {
        let (mut count, mut sum, mut squares) = (0, 0.0, 0.0);
        for tokens in tokens {
            let tokens = tokens as f64;
            (count, sum, squares) = (count + 1, sum + tokens, squares + tokens * tokens);
        }
        let effective = (sum * sum / squares) as usize;
        (count > 1 && squares > 0.0).then_some(Self { effective, count })
    }

    /// Degrees of freedom of an interval.
    pub fn degrees(self) -> usize {
        self.effective.max(2) - 1
    }

    /// Standard errors of the numbers `measure` gives, from resamples paired across runs; `None` if it gives none.
    ///
    /// The larger of two: the spread over resamples, corrected for a small number of documents, and the jackknife's.
    /// The first is too small for few or unequal documents; the second errs on the other side.
    pub fn errors(self, measure: impl Fn(&[Scope]) -> Option<Vec<Vec<f64>>>) -> Option<Vec<f64>> {
        let resamples: Vec<Scope> = (0..RESAMPLES).map(Scope::Documents).collect();
        let groups = self.count.min(GROUPS);
        let parts: Vec<Scope> = (0..groups)
            .map(|part| Scope::WithoutDocuments { part, groups })
            .collect();
        let (bootstrap, jackknife) = (measure(&resamples)?, measure(&parts)?);
        let loss = (self.degrees() + 1) as f64 / self.degrees() as f64;
        let numbers = bootstrap.first()?.len();
        let error = |number: usize| {
            let column = |rows: &[Vec<f64>]| -> Option<Vec<f64>> {
                rows.iter().map(|row| row.get(number).copied()).collect()
            };
            let bootstrap = stats::sd(&column(&bootstrap)?)? * loss.sqrt();
            let spread = stats::population_sd(&column(&jackknife)?)?;
            Some(bootstrap.max(spread * (groups as f64 - 1.0).sqrt()))
        };
        (0..numbers).map(error).collect()
    }
}
