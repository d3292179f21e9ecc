//! What a scheduler tells while it runs.

use super::Base;
use crate::record::{EvalResult, MetricPoint, RunRecord};
use crate::train::StepTiming;
use std::path::Path;

/// Something that happened. `index` is the run's place in the plan.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The plan begins.
    Began {
        /// Runs of the plan.
        runs: usize,
        /// Different runs of the plan.
        unique: usize,
    },
    /// The run was found finished.
    Cached {
        /// Which run.
        index: usize,
    },
    /// Another process makes the run. It is looked at again later, and told each time.
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
        /// The shorter run whose checkpoint that is; `None` where it is its own.
        extends: Option<&'a Base>,
        /// Steps in all.
        steps: u64,
        /// Threads it has.
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
        /// Steps in all.
        steps: u64,
    },
    /// A long validation is in progress.
    Validation {
        /// Which run.
        index: usize,
        /// Sequences done.
        done: usize,
        /// Of all.
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
        /// Seconds that took.
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
        /// Its log, where there is one.
        log: Option<&'a Path>,
        /// The log's last lines.
        tail: &'a str,
    },
    /// The run was stopped; next time it continues from here.
    Stopped {
        /// Which run.
        index: usize,
        /// Steps that are saved.
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
    /// Something that changes no result but should be known.
    Warning(&'a str),
}

/// Receives events, from several threads.
pub trait Events: Sync {
    /// Receives one.
    fn on(&self, event: Event<'_>);
}

impl<F: Fn(Event<'_>) + Sync> Events for F {
    fn on(&self, event: Event<'_>) {
        self(event);
    }
}

/// Receives events and does nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Events for Silent {
    fn on(&self, _: Event<'_>) {}
}
