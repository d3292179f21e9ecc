//! One run, from the lease to the record and the evaluation.

use super::extend::{self, Base, Bases};
use super::memory::peak_rss_bytes;
use super::recorder::Recorder;
use super::start::{StartError, start};
use super::{Event, Events, Options, Prepared, Work, lock};
use crate::data::DataError;
use crate::data::batch::Course;
use crate::eval::EvalError;
use crate::eval::curve::training_metrics;
use crate::plan::Run;
use crate::record::{
    Counts, Digests, Failure, MetricPoint, Provenance, RECORD_FORMAT, RunRecord, RunStatus, Timing,
};
use crate::spec::Keep;
use crate::store::{self, Begin, BeginOptions, Calibration, Store, StoreError};
use crate::train::{Checkpoint, Engine, Finished, TrainError, TrainJob, Trained, Weights};
use std::collections::BTreeSet;
use std::sync::Mutex;

/// Log lines shown with a failure.
const TAIL_LINES: usize = 20;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Done {
        trained: bool,
        evaluated: bool,
        steps: u64,
    },
    Failed {
        message: String,
        steps: u64,
    },
    Stopped {
        steps: u64,
    },
    Busy,
}

/// One run with everything it needs.
pub(super) struct Job<'a> {
    pub(super) store: &'a Store,
    pub(super) engine: &'a dyn Engine,
    pub(super) options: &'a Options,
    pub(super) bases: &'a Bases,
    pub(super) told: &'a Mutex<BTreeSet<String>>,
    pub(super) work: &'a dyn Work,
    pub(super) events: &'a dyn Events,
    pub(super) halted: &'a dyn Fn() -> bool,
    pub(super) spec: &'a str,
    pub(super) run: &'a Run,
    pub(super) index: usize,
    pub(super) threads: usize,
}

/// Result of the training.
enum Training {
    /// The record is in the store; with the weights if they were trained now.
    Ready(Option<Weights>),
    Ended(Outcome),
}

/// Result of rechecking the data of a finished run.
enum Recheck {
    Sound,
    /// It was trained on other data, and has been moved aside.
    Other,
    Ended(Outcome),
}

impl Job<'_> {
    /// Makes or finds the run, and evaluates it.
    pub(super) fn execute(&self) -> Result<Outcome, StoreError> {
        let mut steps = 0;
        // A second round only if the weights of a cached run turn out to be damaged.
        for round in 0..2 {
            let (trained, weights) = match self.train(&mut steps) {
                // Another process took over the run: it is finished or in progress.
                Err(StoreError::LostLease { .. }) => return Ok(Outcome::Busy),
                other => match other? {
                    Training::Ended(outcome) => return Ok(outcome),
                    Training::Ready(weights) => (weights.is_some(), weights),
                },
            };
            match self.evaluate(weights) {
                Ok(evaluated) => {
                    return Ok(Outcome::Done {
                        trained,
                        evaluated,
                        steps,
                    });
                }
                Err(EvaluationError::Store(error)) if error.is_damage() && round == 0 => {
                    self.store.set_aside(&self.run.id)?;
                }
                Err(EvaluationError::Store(error)) => return Err(error),
                Err(EvaluationError::Stopped) => return Ok(Outcome::Stopped { steps }),
                Err(EvaluationError::Work(message)) => {
                    let message = format!("evaluation: {message}");
                    return self.report_failure(message, steps);
                }
            }
        }
        let message = "its weights are damaged again after training".to_owned();
        Ok(Outcome::Failed { message, steps })
    }

    fn report_failure(&self, message: String, steps: u64) -> Result<Outcome, StoreError> {
        let log = self.store.log_tail(&self.run.id, TAIL_LINES)?;
        let (path, tail) = log.map_or((None, String::new()), |(path, tail)| (Some(path), tail));
        self.events.on(Event::Failed {
            index: self.index,
            message: &message,
            log: path.as_deref(),
            tail: &tail,
        });
        Ok(Outcome::Failed { message, steps })
    }

    fn train(&self, steps: &mut u64) -> Result<Training, StoreError> {
        let key = serde_json::to_vec(&self.run.key).map_err(|error| StoreError::Unstorable {
            what: "a run's key",
            reason: error.to_string(),
        })?;
        let options = BeginOptions {
            retry_failed: self.options.retry_failed,
            paranoid: self.options.paranoid,
        };
        let numerics = self.engine.numerics(self.run.settings.train.dtype);
        let begun = self.store.begin(&self.run.id, &key, &numerics, options)?;
        let work = match begun {
            Begin::Cached(record) => {
                if self.options.paranoid {
                    match self.recheck(&record)? {
                        Recheck::Sound => {}
                        Recheck::Ended(outcome) => return Ok(Training::Ended(outcome)),
                        // It starts again.
                        Recheck::Other => return Ok(Training::Ended(Outcome::Busy)),
                    }
                }
                self.events.on(Event::Cached { index: self.index });
                return Ok(Training::Ready(None));
            }
            Begin::Failed(record) => {
                let message = record.failure.map(|failure| failure.message);
                let message = message.unwrap_or_else(|| "it failed before".to_owned());
                let outcome = self.report_failure(message, 0)?;
                return Ok(Training::Ended(outcome));
            }
            Begin::Busy => return Ok(Training::Ended(Outcome::Busy)),
            Begin::Ours(work) => *work,
        };
        self.train_ours(work, steps)
    }

    /// Rereads and tokenises the data of a finished run, ignoring the cache and rewriting damaged or missing entries. A
    /// run that was trained on other data is moved aside.
    fn recheck(&self, record: &RunRecord) -> Result<Recheck, StoreError> {
        let prepared = match self.work.prepare(self.run) {
            Ok(prepared) => prepared,
            Err(error) if is_stop(error.as_ref()) => {
                return Ok(Recheck::Ended(Outcome::Stopped { steps: 0 }));
            }
            Err(error) => {
                let message = format!("its data: {}", store_chain(error.as_ref()));
                return self.report_failure(message, 0).map(Recheck::Ended);
            }
        };
        self.tell(&prepared.warnings);
        let ids = record.digests.ids.unwrap_or(prepared.ids);
        if (record.digests.tokenizer, ids) == (prepared.tokenizer, prepared.ids) {
            return Ok(Recheck::Sound);
        }
        let reason = "it was trained on other token ids than its data gives";
        self.store.set_aside_for(&self.run.id, reason)?;
        Ok(Recheck::Other)
    }

    /// Reports notes about data, each once.
    fn tell(&self, notes: &[String]) {
        for note in notes {
            if lock(self.told).insert(note.clone()) {
                self.events.on(Event::Warning(note));
            }
        }
    }

    fn train_ours(&self, mut work: store::Work, steps: &mut u64) -> Result<Training, StoreError> {
        work.log(&format!("run {} `{}`", self.run.id, self.run.name))?;
        let prepared = match self.work.prepare(self.run) {
            Ok(prepared) => prepared,
            Err(error) if is_stop(error.as_ref()) => {
                work.suspend()?;
                return Ok(Training::Ended(self.stopped(0, *steps)));
            }
            Err(error) => {
                let message = store_chain(error.as_ref());
                return self.fail(work, message, None, None);
            }
        };
        for note in prepared.notes.iter().chain(&prepared.warnings) {
            work.log(&format!("note: {note}"))?;
        }
        self.tell(&prepared.notes);
        self.tell(&prepared.warnings);
        let (model, train) = (&self.run.model, &self.run.settings.train);
        if let Some(reason) = self.engine.unsupported(model, train) {
            return self.fail(work, reason, None, Some(&prepared));
        }
        let start = match start(self.store, self.run, &prepared.tokenizer) {
            Ok(start) => start,
            Err(StartError::Store(error)) if !error.is_damage() => return Err(error),
            Err(error) => return self.fail(work, store_chain(&error), None, Some(&prepared)),
        };
        let (start, note) = start.unzip();
        if let Some(note) = note.flatten() {
            work.log(&format!("note: {note}"))?;
            self.events.on(Event::Warning(&note));
        }
        let course = Course::new(&prepared.training, train);
        let (resume, base) = self.start(&mut work, &course)?;
        let job = TrainJob {
            model,
            train,
            data: &prepared.training,
            validation: &prepared.validation,
            start: start.as_ref(),
            threads: self.threads,
        };
        let resumed_at = resume.as_ref().map(|checkpoint| checkpoint.step);
        work.log(&format!(
            "{} steps from step {} with {} threads",
            course.steps(),
            resumed_at.unwrap_or(0),
            self.threads
        ))?;
        self.events.on(Event::Started {
            index: self.index,
            resumed_at,
            extends: base.as_ref(),
            steps: course.steps(),
            threads: self.threads,
            log: &work.log_path(),
        });
        let mut recorder = Recorder::new(self, work, course.steps());
        let result = self.engine.train(&job, resume.as_ref(), &mut recorder);
        let (work, error) = (recorder.work, recorder.error);
        *steps += recorder.steps;
        if let Some(error) = error {
            return self.interrupted(work, error, &prepared);
        }
        match result {
            Ok(Trained::Finished(finished)) => self
                .finish(work, &prepared, *finished)
                .map(|weights| Training::Ready(Some(weights))),
            Ok(Trained::Stopped) => {
                let step = recorder.saved_step.or(resumed_at).unwrap_or(0);
                work.suspend()?;
                Ok(Training::Ended(self.stopped(step, *steps)))
            }
            Err(error) => self.fail(work, store_chain(&error), None, Some(&prepared)),
        }
    }

    /// The run was stopped; it continues from `step` next time.
    fn stopped(&self, step: u64, steps: u64) -> Outcome {
        let index = self.index;
        self.events.on(Event::Stopped { index, step });
        Outcome::Stopped { steps }
    }

    /// The starting point: the run's own checkpoint, otherwise the end of a shorter run (also returned), otherwise
    /// none.
    fn start(
        &self,
        work: &mut store::Work,
        course: &Course<'_>,
    ) -> Result<(Option<Checkpoint>, Option<Base>), StoreError> {
        if let Some(own) = work.take_checkpoint() {
            return Ok((Some(own), None));
        }
        let base = match self.options.extend {
            true => self.extend(work, course)?,
            false => None,
        };
        Ok((work.take_checkpoint(), base))
    }

    /// Starts the run with the steps of a shorter one, if there is one that kept its checkpoint.
    fn extend(
        &self,
        work: &mut store::Work,
        course: &Course<'_>,
    ) -> Result<Option<Base>, StoreError> {
        let numerics = self.engine.numerics(self.run.settings.train.dtype);
        let found = self
            .bases
            .find(self.store, self.run, course.steps(), &numerics)?;
        let Some(base) = found else { return Ok(None) };
        let mut tokens = 0;
        let adapt = |point: &mut MetricPoint| {
            extend::adapt(point, tokens, self.run, course);
            tokens = point.tokens;
        };
        match work.adopt(self.store, &base.id, adapt) {
            Ok(()) => {
                work.log(&format!("continues from run {} `{}`", base.id, base.name))?;
                Ok(Some(base))
            }
            // It is missing or damaged: train from the start.
            Err(error @ (StoreError::Damaged { .. } | StoreError::NoSuchRun { .. })) => {
                let text = format!(
                    "{}; `{}` begins at its first step",
                    error.chain(),
                    self.run.name
                );
                self.events.on(Event::Warning(&text));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Handles an error of the recorder: numbers that cannot be stored fail the run, a failing store ends the plan.
    fn interrupted(
        &self,
        work: store::Work,
        error: StoreError,
        prepared: &Prepared,
    ) -> Result<Training, StoreError> {
        match error {
            StoreError::Unstorable { .. } => self.fail(work, error.chain(), None, Some(prepared)),
            error => {
                // Save what can be saved; report the first error.
                let _ = work.suspend();
                Err(error)
            }
        }
    }

    fn record(&self, work: &mut store::Work, prepared: Option<&Prepared>) -> RunRecord {
        let points = work.points().len() as u64;
        let tokens = work.points().last().map_or(0, |point| point.tokens);
        let progress = *work.progress();
        RunRecord {
            format: RECORD_FORMAT,
            id: self.run.id,
            name: self.run.name.clone(),
            spec: self.spec.to_owned(),
            status: RunStatus::Failed,
            key: serde_json::to_value(&self.run.key).unwrap_or_default(),
            numerics: self.engine.numerics(self.run.settings.train.dtype),
            counts: Counts {
                params: self.run.model.parameters() as u64,
                steps: points,
                tokens,
                docs: prepared.map_or(0, |prepared| prepared.docs),
                sequences: prepared.map_or(0, |prepared| prepared.sequences),
            },
            metrics: std::collections::BTreeMap::new(),
            digests: Digests {
                weights: None,
                metrics: crate::digest::Sha256Hex::of(b""),
                tokenizer: prepared.map_or(crate::digest::Sha256Hex::of(b""), |prepared| {
                    prepared.tokenizer
                }),
                ids: prepared.map(|prepared| prepared.ids),
            },
            files: std::collections::BTreeMap::new(),
            notes: prepared.map_or_else(Vec::new, |prepared| prepared.notes.clone()),
            failure: None,
            timing: Timing {
                train_seconds: progress.train_seconds,
                validation_seconds: progress.validation_seconds,
                train_tokens_per_second: if progress.train_seconds > 0.0 {
                    progress.positions as f64 / progress.train_seconds
                } else {
                    0.0
                },
                peak_rss_bytes: peak_rss_bytes(),
            },
            provenance: Provenance {
                specbook: env!("CARGO_PKG_VERSION").to_owned(),
                device: self.options.device.clone(),
                threads: self.threads,
                platform: format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH),
            },
        }
    }

    fn finish(
        &self,
        mut work: store::Work,
        prepared: &Prepared,
        finished: Finished,
    ) -> Result<Weights, StoreError> {
        let keep = self.run.settings.train.keep;
        let (weights, best) = kept_weights(keep, &finished);
        let keeps = self.options.keep_checkpoints;
        let checkpoint = keeps.then_some(&finished.checkpoint);
        let mut record = self.record(&mut work, Some(prepared));
        record.status = RunStatus::Cached;
        record.metrics = training_metrics(work.points());
        record.digests.weights = Some(weights.digest());
        work.log(&format!("finished after {} steps", record.counts.steps))?;
        let record = work.finish(self.store, record, weights, best, checkpoint)?;
        self.calibrate(&record);
        self.bases.add(&record);
        let index = self.index;
        let record = &record;
        self.events.on(Event::Trained { index, record });
        Ok(into_kept(keep, finished))
    }

    /// Stores the speed for estimates. Runs of less than a second are too noisy.
    fn calibrate(&self, record: &RunRecord) {
        let seconds = record.timing.train_seconds + record.timing.validation_seconds;
        if seconds < 1.0 || self.run.estimate.flops <= 0.0 {
            return;
        }
        let key = Calibration::key(&record.numerics, self.threads);
        self.store
            .calibrate([(key, self.run.estimate.flops, seconds)]);
    }

    fn fail(
        &self,
        mut work: store::Work,
        message: String,
        last_good_step: Option<u64>,
        prepared: Option<&Prepared>,
    ) -> Result<Training, StoreError> {
        work.log(&format!("failed: {message}"))?;
        let mut record = self.record(&mut work, prepared);
        let last = work.points().last().map(|point| point.step);
        record.failure = Some(Failure {
            message: message.clone(),
            last_good_step: last_good_step.or(last),
        });
        let steps = record.counts.steps;
        work.fail(self.store, record)?;
        self.report_failure(message, steps).map(Training::Ended)
    }

    fn evaluate(&self, weights: Option<Weights>) -> Result<bool, EvaluationError> {
        if !self.work.has_evaluation(self.run) {
            return Ok(false);
        }
        let id = &self.run.eval_id;
        let there = if self.options.paranoid {
            self.store.eval(id)?.is_some()
        } else {
            self.store.has_eval(id)?
        };
        if there {
            return Ok(false);
        }
        // An existing one that does not match is moved aside.
        self.store.eval(id)?;
        let weights = match weights {
            Some(weights) => weights,
            None => self.store.weights(&self.run.id)?,
        };
        self.events.on(Event::Evaluating { index: self.index });
        let evaluated = self.work.evaluate(self.run, &weights, self.threads);
        let evaluated = evaluated.map_err(|error| match is_stop(error.as_ref()) {
            true => EvaluationError::Stopped,
            false => EvaluationError::Work(store_chain(&*error)),
        })?;
        let Some(evaluation) = evaluated else {
            return Ok(false);
        };
        self.store
            .put_eval(id, &evaluation.key, &evaluation.result)?;
        let (index, result) = (self.index, &evaluation.result);
        self.events.on(Event::Evaluated { index, result });
        Ok(true)
    }
}

enum EvaluationError {
    Store(StoreError),
    Work(String),
    /// The run is finished, its evaluation is not.
    Stopped,
}

/// Whether preparing or evaluating was stopped on request.
fn is_stop(error: &(dyn std::error::Error + 'static)) -> bool {
    matches!(error.downcast_ref(), Some(DataError::Stopped))
        || matches!(
            error.downcast_ref(),
            Some(EvalError::Engine(TrainError::Stopped))
        )
}

impl From<StoreError> for EvaluationError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unstorable { .. } => Self::Work(error.chain()),
            other => Self::Store(other),
        }
    }
}

/// The weights covered by a record's digest, and those kept beside them.
pub(super) fn kept_weights(keep: Keep, finished: &Finished) -> (&Weights, Option<&Weights>) {
    let best = finished.checkpoint.best.as_ref().map(|(_, best)| best);
    match (keep, best) {
        (Keep::Best, Some(best)) => (best, None),
        (Keep::Both, best) => (&finished.last, best),
        (_, _) => (&finished.last, None),
    }
}

/// The weights covered by a record's digest, without a copy.
fn into_kept(keep: Keep, finished: Finished) -> Weights {
    match (keep, finished.checkpoint.best) {
        (Keep::Best, Some((_, best))) => best,
        (_, _) => finished.last,
    }
}

/// A message with its causes.
fn store_chain(error: &dyn std::error::Error) -> String {
    crate::store::chain(error)
}
