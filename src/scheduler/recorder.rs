//! Writes the engine's training events to the store: steps, times, checkpoints.

use super::Event;
use super::job::Job;
use crate::record::MetricPoint;
use crate::store::{StoreError, Work};
use crate::train::{Checkpoint, Observer, StepTiming};
use serde::Serialize;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// How long a validation may continue after a stop request.
const PATIENCE: Duration = Duration::from_secs(1);

/// A line of `timing.jsonl`.
#[derive(Serialize)]
struct TimingLine {
    step: u64,
    train_seconds: f64,
    validation_seconds: f64,
    positions: u64,
}

/// Writes the engine's events to the store.
pub(super) struct Recorder<'a> {
    job: &'a Job<'a>,
    pub(super) work: Work,
    /// Total steps.
    all: u64,
    /// Steps of this session.
    pub(super) steps: u64,
    pub(super) saved_step: Option<u64>,
    saved_at: Instant,
    interval: Duration,
    /// When a validation in progress first received the stop request.
    halted_at: Option<Instant>,
    pub(super) error: Option<StoreError>,
}

impl<'a> Recorder<'a> {
    pub(super) fn new(job: &'a Job<'a>, work: Work, all: u64) -> Self {
        Self {
            job,
            work,
            all,
            steps: 0,
            saved_step: None,
            saved_at: Instant::now(),
            interval: job.options.checkpoint_every,
            halted_at: None,
            error: None,
        }
    }
}

impl Observer for Recorder<'_> {
    fn on_step(&mut self, point: &MetricPoint, timing: StepTiming) -> ControlFlow<()> {
        self.steps += 1;
        let progress = self.work.progress();
        progress.train_seconds += timing.train_seconds;
        progress.validation_seconds += timing.validation_seconds;
        progress.positions = progress.positions.saturating_add(timing.positions);
        let line = TimingLine {
            step: point.step,
            train_seconds: timing.train_seconds,
            validation_seconds: timing.validation_seconds,
            positions: timing.positions,
        };
        let numbers = [point.train_loss, point.train_ce, point.grad_norm, point.lr];
        let written = if numbers.iter().all(|number| number.is_finite()) {
            self.work.push(point, &line)
        } else {
            Err(StoreError::Unstorable {
                what: "metrics",
                reason: format!("step {} has numbers that are not finite", point.step),
            })
        };
        if let Err(error) = written {
            self.error = Some(error);
            return ControlFlow::Break(());
        }
        self.job.events.on(Event::Step {
            index: self.job.index,
            point,
            timing,
            steps: self.all,
        });
        // After the last step there is nothing left to stop.
        if point.step < self.all && (self.job.halted)() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    fn wants_checkpoint(&mut self) -> bool {
        self.saved_at.elapsed() >= self.interval
    }

    fn on_checkpoint(&mut self, checkpoint: &Checkpoint) -> ControlFlow<()> {
        if self.error.is_some() {
            return ControlFlow::Break(());
        }
        let began = Instant::now();
        match self.work.save(self.job.store, checkpoint) {
            Ok(files) => {
                self.saved_step = Some(checkpoint.step);
                self.job.events.on(Event::Checkpoint {
                    index: self.job.index,
                    step: checkpoint.step,
                    bytes: files.values().map(|file| file.bytes).sum(),
                    seconds: began.elapsed().as_secs_f64(),
                });
            }
            Err(error @ StoreError::LostLease { .. }) => {
                self.error = Some(error);
                return ControlFlow::Break(());
            }
            Err(error) => {
                // If killed, the run continues from an older checkpoint; the disk may have space again by the end.
                let text = format!(
                    "no checkpoint at step {}: {}",
                    checkpoint.step,
                    error.chain()
                );
                self.job.events.on(Event::Warning(&text));
            }
        }
        let share = self.job.options.checkpoint_share;
        let least = Duration::try_from_secs_f64(began.elapsed().as_secs_f64() / share);
        let least = least.unwrap_or(Duration::ZERO);
        self.interval = self.job.options.checkpoint_every.max(least);
        self.saved_at = Instant::now();
        ControlFlow::Continue(())
    }

    fn on_validation(&mut self, done: usize, all: usize) -> ControlFlow<()> {
        let index = self.job.index;
        self.job.events.on(Event::Validation { index, done, all });
        if !(self.job.halted)() {
            return ControlFlow::Continue(());
        }
        // If the validation ends soon, its step completes and is saved; otherwise the step is lost.
        let since = self.halted_at.get_or_insert_with(Instant::now);
        match since.elapsed() < PATIENCE {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    }
}
