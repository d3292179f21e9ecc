//! Events a scheduler reports while it runs.

use super::Base;
use crate::record::{EvalResult, MetricPoint, RunRecord};
use crate::train::StepTiming;
use std::path::Path;

/// A progress event. `index` is the run's position in the plan.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The plan begins.
    Began {
        /// Runs of the plan.
        runs: usize,
        /// Distinct runs of the plan.
        unique: usize,
    },
    /// The run was already finished.
    Cached {
        /// Which run.
        index: usize,
    },
    /// Another process is making the run. It is checked again later, with an event each time.
    Waiting {
        /// Which run.
        index: usize,
    },
    /// Training begins.
    Started {
        /// Which run.
        index: usize,
        /// Steps already done, if it continues from a checkpoint.
        resumed_at: Option<u64>,
        /// The shorter run that the checkpoint comes from; `None` if it is its own.
        extends: Option<&'a Base>,
        /// Total steps.
        steps: u64,
        /// Its threads.
        threads: usize,
        /// Its log.
        log: &'a Path,
    },
    /// A step is done.
    Step {
        /// Which run.
        index: usize,
        /// Its metrics.
        point: &'a MetricPoint,
        /// Its wall time.
        timing: StepTiming,
        /// Total steps.
        steps: u64,
    },
    /// A long validation is in progress.
    Validation {
        /// Which run.
        index: usize,
        /// Sequences done.
        done: usize,
        /// Total sequences.
        all: usize,
    },
    /// A checkpoint was written.
    Checkpoint {
        /// Which run.
        index: usize,
        /// Steps done.
        step: u64,
        /// Bytes written.
        bytes: u64,
        /// Seconds taken.
        seconds: f64,
    },
    /// The run is trained and in the store.
    Trained {
        /// Which run.
        index: usize,
        /// Its record.
        record: &'a RunRecord,
    },
    /// The run failed, now or before.
    Failed {
        /// Which run.
        index: usize,
        /// Why.
        message: &'a str,
        /// Its log, if any.
        log: Option<&'a Path>,
        /// The log's last lines.
        tail: &'a str,
    },
    /// The run was stopped; next time it continues from here.
    Stopped {
        /// Which run.
        index: usize,
        /// Saved steps.
        step: u64,
    },
    /// Evaluation begins.
    Evaluating {
        /// Which run.
        index: usize,
    },
    /// The evaluation is in the store.
    Evaluated {
        /// Which run.
        index: usize,
        /// Its result.
        result: &'a EvalResult,
    },
    /// A warning that affects no result.
    Warning(&'a str),
}

/// Receives events, from several threads.
pub trait Events: Sync {
    /// Receives one event.
    fn on(&self, event: Event<'_>);
}

impl<F: Fn(Event<'_>) + Sync> Events for F {
    fn on(&self, event: Event<'_>) {
        self(event);
    }
}

/// Ignores all events.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Events for Silent {
    fn on(&self, _: Event<'_>) {}
}
