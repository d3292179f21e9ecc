//! The schedules of the learning rate: pure functions of the step.

use super::{Findings, choices};

choices! {
    /// How the learning rate changes over the steps.
    #[derive(Copy, Default)]
    Schedule: ScheduleKind {
        #[default]
        constant: Constant,
        cosine: Cosine(Cosine),
    }
}

/// What a schedule computes and which settings it allows.
pub trait ScheduleKind {
    /// The learning rate of `step` (counted from 0) where the optimizer's is `peak`.
    fn rate(&self, peak: f64, step: u64) -> f64;

    /// Checks its settings, which stand at `train.schedule`.
    fn check(&self, _peak: f64, _: &mut Findings) {}
}
