//! Learning-rate schedules: pure functions of the step.

use super::{Findings, choices};

choices! {
    /// The learning-rate schedule.
    #[derive(Copy, Default)]
    Schedule: ScheduleKind {
        #[default]
        constant: Constant,
        cosine: Cosine(Cosine),
    }
}

/// The computation of a schedule and the check of its settings.
pub trait ScheduleKind {
    /// The learning rate at `step` (counted from 0) for the optimizer's learning rate `peak`.
    fn rate(&self, peak: f64, step: u64) -> f64;

    /// Checks its settings, found at `train.schedule`.
    fn check(&self, _peak: f64, _: &mut Findings) {}
}
