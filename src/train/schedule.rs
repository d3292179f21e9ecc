//! Learning-rate and validation schedules as pure functions of the step (PAPER-FACTS E10).

use crate::spec::{Every, Optimizer, Schedule, TrainSettings, WarmupFrom};

/// The learning rate of step `step` (counted from 0).
pub fn learning_rate(train: &TrainSettings, step: u64) -> f64 {
    let Optimizer::Adamw(optimizer) = &train.optimizer;
    let peak = optimizer.learning_rate;
    let Schedule::Cosine(cosine) = &train.schedule else {
        return peak;
    };
    let (t, warmup) = (step as f64, cosine.warmup_steps as f64);
    if t < warmup {
        return match cosine.warmup_from {
            WarmupFrom::Zero => peak * t / warmup,
            WarmupFrom::Next => peak * (t + 1.0) / (warmup + 1.0),
        };
    }
    let decay = cosine.decay_steps as f64;
    if t >= decay {
        return cosine.min_lr;
    }
    let progress = (t - warmup) / (decay - warmup);
    cosine.min_lr
        + 0.5 * (1.0 + libm::cos(std::f64::consts::PI * progress)) * (peak - cosine.min_lr)
}

/// Whether the validation loss is measured after step `step` (from 0) of `steps`.
pub fn validation_due(train: &TrainSettings, step: u64, steps: u64, end_of_epoch: bool) -> bool {
    step + 1 == steps
        || match train.validate.every {
            Every::Epoch => end_of_epoch,
            Every::Step => true,
            Every::Steps(n) => step == 0 || (step + 1).is_multiple_of(n.max(1) as u64),
            Every::End => false,
        }
}
