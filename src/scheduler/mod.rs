//! Runs a plan: skips cached runs, trains the rest, records failures and continues; writes after every run.
//!
//! Parts: [`Scheduler`] (the loop over workers), `job` (one run, from lease to record), `admission` (the next run to
//! start), `extend` (longer runs that extend shorter ones), `reproduce` (retrains a stored run to compare), [`Event`]
//! (progress reports).
//!
//! It depends on neither file formats nor terminals: data and evaluations come from [`Work`], progress goes to
//! [`Events`]. It reads wall time for cadence and timing, which reaches only `timing.jsonl` and a record's `timing`.

mod admission;
mod events;
mod extend;
mod job;
mod memory;
mod recorder;
mod reproduce;
mod start;

pub use events::{Event, Events, Silent};
pub use extend::{Base, Bases, begins_like};
pub use memory::peak_rss_bytes;
pub use reproduce::{Difference, LOSS_TOLERANCE, Losses, ReproduceError, Reproduction, reproduce};
pub use start::StartError;

use crate::data::{SequenceSet, TrainingData};
use crate::digest::Sha256Hex;
use crate::plan::{Plan, Run};
use crate::record::{EvalResult, RunId};
use crate::store::{Store, StoreError};
use crate::train::{Engine, Weights};
use admission::{Admission, Next, Worker};
use job::{Job, Outcome};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Any error of data or evaluation.
pub type WorkError = Box<dyn std::error::Error + Send + Sync>;

/// The source of data and evaluations.
pub trait Work: Sync {
    /// Reads and prepares the training data of `run`. Runs on the same slice may share it.
    ///
    /// # Errors
    /// Missing or damaged input: the run fails, the others continue.
    fn prepare(&self, run: &Run) -> Result<Arc<Prepared>, WorkError>;

    /// Scores and samples a finished run with at most `threads` threads; `None` if nothing is requested.
    ///
    /// # Errors
    /// The run then counts as failed in the summary; its record stays.
    fn evaluate(
        &self,
        run: &Run,
        weights: &Weights,
        threads: usize,
    ) -> Result<Option<Evaluation>, WorkError>;

    /// Whether `run` has anything to evaluate.
    fn has_evaluation(&self, run: &Run) -> bool;
}

/// The training data of a run, as plain data.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Training sequences or stream.
    pub training: TrainingData,
    /// Validation sequences.
    pub validation: SequenceSet,
    /// Training documents.
    pub docs: u64,
    /// Training sequences.
    pub sequences: u64,
    /// Digest of the tokenizer.
    pub tokenizer: Sha256Hex,
    /// Notes on the data for readers of the run; kept in the record.
    pub notes: Vec<String>,
    /// Warnings from reading the data, such as a damaged cache entry; not kept in the record.
    pub warnings: Vec<String>,
    /// Digest of the ids of the training and validation documents.
    pub ids: Sha256Hex,
}

/// A finished evaluation.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// The key of its id.
    pub key: serde_json::Value,
    /// Result.
    pub result: EvalResult,
}

/// Options for running a plan. None of them changes a result.
#[derive(Clone, Debug)]
pub struct Options {
    /// Maximum number of concurrent runs; ≥ 1.
    pub jobs: usize,
    /// Total threads of all runs; ≥ 1.
    pub threads: usize,
    /// Whether other runs continue after one has failed.
    pub keep_going: bool,
    /// Whether to retry runs that failed before.
    pub retry_failed: bool,
    /// Whether to keep the final checkpoint of each run.
    pub keep_checkpoints: bool,
    /// Whether a run may extend a shorter one that kept its final checkpoint.
    pub extend: bool,
    /// Wall time between checkpoints.
    pub checkpoint_every: Duration,
    /// Maximum share of wall time spent on checkpoints: if writing is slow, the interval grows.
    pub checkpoint_share: f64,
    /// Whether to check all digests of a cached run, not only its sizes.
    pub paranoid: bool,
    /// Free memory in bytes: bounds the summed estimates of concurrent runs (one run always starts).
    pub free_memory: Option<u64>,
    /// `cpu` or `cuda:0`, for the provenance.
    pub device: String,
    /// How often to check a run that another process is making.
    pub poll: Duration,
    /// Whether to wait for such a run; otherwise it is left to that process.
    pub wait: bool,
}

impl Default for Options {
    /// One run at a time, one thread, continuing after failures, retrying, a checkpoint every 30 s.
    fn default() -> Self {
        Self {
            jobs: 1,
            threads: 1,
            keep_going: true,
            retry_failed: true,
            keep_checkpoints: false,
            extend: true,
            checkpoint_every: Duration::from_secs(30),
            checkpoint_share: 0.02,
            paranoid: false,
            free_memory: None,
            device: "cpu".to_owned(),
            poll: Duration::from_millis(200),
            wait: true,
        }
    }
}

/// The outcome of a plan. Runs that share an id count once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Distinct runs of the plan.
    pub runs: usize,
    /// Trained now.
    pub trained: usize,
    /// Already finished.
    pub cached: usize,
    /// Evaluated now.
    pub evaluated: usize,
    /// Steps trained now.
    pub steps: u64,
    /// Names and messages of runs that failed, in plan order.
    pub failed: Vec<(String, String)>,
    /// Names of runs that were stopped or not started, in plan order.
    pub stopped: Vec<String>,
    /// Names of runs left to other processes, in plan order.
    pub left: Vec<String>,
}

impl Summary {
    /// Whether every run is finished and evaluated.
    pub fn is_complete(&self) -> bool {
        self.failed.is_empty() && self.stopped.is_empty() && self.left.is_empty()
    }
}

/// An error that ends a plan before its runs.
#[derive(Debug, thiserror::Error)]
pub enum SchedulerError {
    /// The store cannot be read or written. It holds the work up to the last checkpoints.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Runs plans into a store.
pub struct Scheduler<'a> {
    /// The store for results.
    pub store: &'a Store,
    /// The training engine.
    pub engine: &'a dyn Engine,
    /// The options.
    pub options: Options,
}

impl Scheduler<'_> {
    /// Runs `plan`: every run is trained (or found) and evaluated once. When `stop` is set, runs save a checkpoint and end.
    ///
    /// # Errors
    /// A store that cannot be read or written. A failed run is not an error; it is listed in the summary.
    pub fn run(
        &self,
        plan: &Plan,
        work: &dyn Work,
        events: &dyn Events,
        stop: &AtomicBool,
    ) -> Result<Summary, SchedulerError> {
        let unique = unique(plan);
        events.on(Event::Began {
            runs: plan.runs.len(),
            unique: unique.len(),
        });
        let (done, open) = self.divide(plan, work, &unique);
        for index in done.keys() {
            events.on(Event::Cached { index: *index });
        }
        let admission = Admission::new(&open, &self.options);
        let shared = Shared {
            halt: AtomicBool::new(false),
            outcomes: Mutex::new(done),
            error: Mutex::new(None),
            bases: Bases::default(),
            told: Mutex::default(),
        };
        let workers = self.options.jobs.clamp(1, open.len().max(1));
        std::thread::scope(|scope| {
            let worker = || self.worker(plan, work, events, stop, &admission, &shared);
            for _ in 1..workers {
                if let Err(error) = std::thread::Builder::new().spawn_scoped(scope, worker) {
                    let text =
                        format!("fewer runs at a time: the system refuses another thread: {error}");
                    events.on(Event::Warning(&text));
                    break;
                }
            }
            worker();
        });
        self.pass_warnings(events);
        let error = shared.error.into_inner();
        if let Some(error) = error.unwrap_or_else(PoisonError::into_inner) {
            return Err(error.into());
        }
        let outcomes = shared.outcomes.into_inner();
        Ok(tally(
            plan,
            &unique,
            &outcomes.unwrap_or_else(PoisonError::into_inner),
        ))
    }

    /// Separates the runs that are trained and evaluated, judging by file sizes, from the others. A run that cannot be
    /// inspected is left to its worker.
    fn divide(
        &self,
        plan: &Plan,
        work: &dyn Work,
        unique: &[(usize, u64)],
    ) -> (BTreeMap<usize, Outcome>, Vec<(usize, u64)>) {
        let is_done = |(index, _): &(usize, u64)| {
            let run = &plan.runs[*index];
            let is_scored = || {
                !work.has_evaluation(run) || matches!(self.store.has_eval(&run.eval_id), Ok(true))
            };
            !self.options.paranoid && self.store.has_run(&run.id) && is_scored()
        };
        let done: Vec<bool> = unique.par_iter().with_min_len(64).map(is_done).collect();
        let found = Outcome::Done {
            trained: false,
            evaluated: false,
            steps: 0,
        };
        let all = || unique.iter().zip(&done);
        let done = all().filter(|(_, done)| **done);
        let open = all().filter(|(_, done)| !**done);
        (
            done.map(|((index, _), _)| (*index, found.clone()))
                .collect(),
            open.map(|(run, _)| *run).collect(),
        )
    }

    fn pass_warnings(&self, events: &dyn Events) {
        for warning in self.store.take_warnings() {
            events.on(Event::Warning(&warning));
        }
    }

    fn worker(
        &self,
        plan: &Plan,
        work: &dyn Work,
        events: &dyn Events,
        stop: &AtomicBool,
        admission: &Admission,
        shared: &Shared,
    ) {
        let mut this = Worker::default();
        // A run that panics must not leave the others waiting for its memory.
        loop {
            let halted = || stop.load(Ordering::SeqCst) || shared.halt.load(Ordering::SeqCst);
            let (index, ticket) = match admission.next(&mut this, &halted, self.options.poll) {
                Next::Start(index, ticket) => (index, ticket),
                Next::Done => return,
            };
            let job = Job {
                store: self.store,
                engine: self.engine,
                options: &self.options,
                bases: &shared.bases,
                told: &shared.told,
                work,
                events,
                halted: &halted,
                spec: &plan.spec,
                run: &plan.runs[index],
                index,
                threads: ticket.threads,
            };
            let outcome = job.execute();
            memory::forget_peak();
            self.pass_warnings(events);
            match outcome {
                Ok(Outcome::Busy) if self.options.wait => {
                    events.on(Event::Waiting { index });
                    admission.put_back(index, ticket);
                    continue;
                }
                Ok(outcome) => {
                    if matches!(outcome, Outcome::Failed { .. }) && !self.options.keep_going {
                        shared.halt.store(true, Ordering::SeqCst);
                    }
                    lock(&shared.outcomes).insert(index, outcome);
                }
                Err(error) => {
                    // A store that cannot be written ends everything, since results could not be saved.
                    shared.halt.store(true, Ordering::SeqCst);
                    lock(&shared.error).get_or_insert(error);
                }
            }
            admission.finish(ticket);
        }
    }
}

struct Shared {
    halt: AtomicBool,
    outcomes: Mutex<BTreeMap<usize, Outcome>>,
    error: Mutex<Option<StoreError>>,
    bases: Bases,
    /// Notes about data already shown: runs on the same data have the same notes.
    told: Mutex<BTreeSet<String>>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Indices of the first run of each id, with the bytes it needs.
fn unique(plan: &Plan) -> Vec<(usize, u64)> {
    let mut seen = std::collections::BTreeSet::<(RunId, crate::record::EvalId)>::new();
    let mut found = Vec::new();
    for (index, run) in plan.runs.iter().enumerate() {
        if seen.insert((run.id, run.eval_id)) {
            found.push((index, run.estimate.peak_rss_bytes));
        }
    }
    found
}

fn tally(plan: &Plan, unique: &[(usize, u64)], outcomes: &BTreeMap<usize, Outcome>) -> Summary {
    let mut summary = Summary {
        runs: unique.len(),
        ..Summary::default()
    };
    for (index, _) in unique {
        let name = plan.runs[*index].name.clone();
        match outcomes.get(index) {
            Some(Outcome::Done {
                trained,
                evaluated,
                steps,
            }) => {
                summary.trained += usize::from(*trained);
                summary.cached += usize::from(!trained);
                summary.evaluated += usize::from(*evaluated);
                summary.steps += steps;
            }
            Some(Outcome::Failed { message, steps }) => {
                summary.failed.push((name, message.clone()));
                summary.steps += steps;
            }
            Some(Outcome::Stopped { steps }) => {
                summary.stopped.push(name);
                summary.steps += steps;
            }
            Some(Outcome::Busy) => summary.left.push(name),
            None => summary.stopped.push(name),
        }
    }
    summary
}

#[cfg(test)]
mod faults;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
