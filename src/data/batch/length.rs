//! Length of a course: epochs, steps and the targets of the last step, from counts alone.

use super::order_of;
use crate::spec::{LastBatch, TrainSettings};

/// Length of a course.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Length {
    /// Micro-batches per epoch.
    pub batches_per_epoch: usize,
    /// Epochs, the last one possibly cut short.
    pub epochs: usize,
    /// Optimizer steps.
    pub steps: u64,
    /// Scored targets of the last step; `None`: all.
    pub last_targets: Option<usize>,
}

impl Length {
    /// Length for `sequences` training sequences (`None`: a stream, which is one epoch). `targets` gives the scored
    /// targets of a sequence (for a stream, of a window); only `max_tokens` uses it.
    pub fn of(
        sequences: Option<usize>,
        train: &TrainSettings,
        targets: impl Fn(usize) -> usize,
    ) -> Self {
        let Some(sequences) = sequences else {
            return Self::of_stream(train, targets(0));
        };
        let mut batches_per_epoch = match train.last_batch {
            LastBatch::Keep => sequences.div_ceil(train.batch_size),
            LastBatch::Drop => sequences / train.batch_size,
        };
        if let Some(max) = train.max_batches {
            batches_per_epoch = batches_per_epoch.min(max);
        }
        let steps_per_epoch = batches_per_epoch.div_ceil(train.grad_accum_steps) as u64;
        let whole = |epochs: usize, steps: u64| Self {
            batches_per_epoch,
            epochs,
            steps,
            last_targets: None,
        };
        if steps_per_epoch == 0 {
            return whole(0, 0);
        }
        match (train.epochs, train.max_steps, train.max_tokens) {
            (None, Some(steps), _) => whole(steps.div_ceil(steps_per_epoch as usize), steps as u64),
            (None, None, Some(tokens)) => {
                let epoch = whole(1, steps_per_epoch);
                epoch.until(tokens, sequences, train, targets)
            }
            (epochs, ..) => {
                let epochs = epochs.unwrap_or(1);
                whole(epochs, steps_per_epoch * epochs as u64)
            }
        }
    }

    fn of_stream(train: &TrainSettings, window: usize) -> Self {
        let accumulated = train.grad_accum_steps;
        let (steps, last_targets) = match train.max_tokens {
            Some(tokens) => {
                let batch = window.saturating_mul(train.batch_size);
                let step = batch.saturating_mul(accumulated).max(1);
                let steps = tokens.div_ceil(step);
                (steps, Some(tokens - (steps - 1) * step))
            }
            None => (train.max_steps.unwrap_or(0), None),
        };
        Self {
            batches_per_epoch: steps.saturating_mul(accumulated),
            epochs: 1,
            steps: steps as u64,
            last_targets,
        }
    }

    /// Repeats this epoch, which scores all sequences, until `tokens` targets are scored; truncates the last step
    /// there.
    fn until(
        self,
        tokens: usize,
        sequences: usize,
        train: &TrainSettings,
        targets: impl Fn(usize) -> usize,
    ) -> Self {
        let all: usize = (0..sequences).map(&targets).sum();
        // Without scored targets there is nothing to train.
        let Some(epoch) = (tokens - 1).checked_div(all) else {
            return Self {
                epochs: 0,
                steps: 0,
                ..self
            };
        };
        let mut left = tokens - epoch * all;
        let mut steps = self.steps * epoch as u64;
        let order = order_of(train, sequences, epoch as u64);
        for step in order.chunks(train.batch_size * train.grad_accum_steps) {
            steps += 1;
            let counted: usize = step.iter().map(|index| targets(*index)).sum();
            if counted >= left {
                break;
            }
            left -= counted;
        }
        Self {
            epochs: epoch + 1,
            steps,
            last_targets: Some(left),
            ..self
        }
    }
}
