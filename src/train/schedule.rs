//! Learning-rate and validation schedules as pure functions of the step (docs/studies.md#e10).

use crate::spec::{Every, Optimizer, TrainSettings};

/// The learning rate of step `step` (counted from 0).
pub fn learning_rate(train: &TrainSettings, step: u64) -> f64 {
    let Optimizer::Adamw(optimizer) = &train.optimizer;
    let schedule = train.schedule.get();
    schedule.rate(optimizer.learning_rate, step)
}

/// A step of a run, for validation schedules.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The step, from 0.
    pub step: u64,
    /// Steps of the run.
    pub steps: u64,
    /// Whether the step is the last of an epoch.
    pub end_of_epoch: bool,
    /// Scored training targets before the step and after it.
    pub tokens: [u64; 2],
}

/// Whether a validation is due after a step.
pub fn validation_due(train: &TrainSettings, place: Place) -> bool {
    let Place { step, steps, .. } = place;
    step + 1 == steps
        || match train.validate.every {
            Every::Epoch => place.end_of_epoch,
            Every::Step => true,
            Every::Steps(n) => step == 0 || (step + 1).is_multiple_of(n.max(1) as u64),
            Every::Tokens(n) => {
                let [before, after] = place.tokens.map(|tokens| tokens / n.max(1) as u64);
                step == 0 || before < after
            }
            Every::End => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn train(more: &str) -> TrainSettings {
        let text = format!(
            r#"{{"batch_size": 1, "optimizer": {{"adamw": {{"learning_rate": 0.5}}}}, {more}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn cosine(warmup: u32, decay: u32, from: &str) -> TrainSettings {
        train(&format!(
            r#""validate": {{"every": "end"}}, "schedule": {{"cosine": {{"warmup_steps": {warmup}, "decay_steps": {decay}, "min_lr": 0.1, "warmup_from": "{from}"}}}}"#
        ))
    }

    #[test]
    fn constant_rate_is_the_peak() {
        let train = train(r#""validate": {"every": "end"}"#);
        assert_eq!(
            [0, 1, 1_000_000].map(|t| learning_rate(&train, t)),
            [0.5; 3]
        );
    }

    #[test]
    fn warm_up_starts_at_zero_or_at_the_next_step() {
        let rates = |from| [0, 1, 2, 3, 4].map(|t| learning_rate(&cosine(4, 12, from), t));
        assert_eq!(rates("zero"), [0.0, 0.125, 0.25, 0.375, 0.5]);
        assert_eq!(rates("next"), [0.1, 0.2, 0.3, 0.4, 0.5]);
    }

    #[test]
    fn cosine_falls_from_the_peak_to_the_least_rate() {
        let settings = cosine(4, 12, "next");
        let rate = |t| learning_rate(&settings, t);
        // Half-way, the rate is the mean of both ends; a quarter of the way, cos 45° above it.
        assert!((rate(8) - 0.3).abs() < 1e-15);
        assert!((rate(6) - (0.3 + 0.2 * std::f64::consts::FRAC_1_SQRT_2)).abs() < 1e-15);
        assert_eq!([12, 13, 500].map(rate), [0.1; 3]);
        assert!((4..12).all(|t| rate(t) > rate(t + 1)));
        // Without warm-up, the first step has the peak rate.
        assert_eq!(learning_rate(&cosine(0, 10, "next"), 0), 0.5);
        // No decay left after the warm-up.
        assert_eq!(learning_rate(&cosine(4, 4, "next"), 4), 0.1);
    }

    #[test]
    fn validation_is_due_by_cadence_and_always_at_the_end() {
        let due = |every: &str| -> Vec<u64> {
            let train = train(&format!(r#""validate": {{"every": {every}}}"#));
            // Ten steps in epochs of four.
            // Seven tokens per step.
            let due = |step: &u64| {
                let place = Place {
                    step: *step,
                    steps: 10,
                    end_of_epoch: (step + 1).is_multiple_of(4),
                    tokens: [7 * step, 7 * (step + 1)],
                };
                validation_due(&train, place)
            };
            (0..10).filter(due).map(|step| step + 1).collect()
        };
        assert_eq!(due(r#""step""#), (1..=10).collect::<Vec<_>>());
        assert_eq!(due(r#""epoch""#), [4, 8, 10]);
        assert_eq!(due(r#""end""#), [10]);
        assert_eq!(due(r#"{"steps": 3}"#), [1, 3, 6, 9, 10]);
        assert_eq!(due(r#"{"steps": 0}"#), (1..=10).collect::<Vec<_>>());
        assert_eq!(due(r#"{"tokens": 21}"#), [1, 3, 6, 9, 10]);
        assert_eq!(due(r#"{"tokens": 20}"#), [1, 3, 6, 9, 10]);
        assert_eq!(due(r#"{"tokens": 22}"#), [1, 4, 7, 10]);
        assert_eq!(due(r#"{"tokens": 5}"#), (1..=10).collect::<Vec<_>>());
        assert_eq!(due(r#"{"tokens": 1000}"#), [1, 10]);
    }
}
