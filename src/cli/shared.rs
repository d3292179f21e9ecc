//! Code shared by commands: device, threads, a finished run, and the words for a status.

use super::args::ComputeArgs;
use super::failure::Failure;
use super::print::Printer;
use crate::data::TextTokenizer;
use crate::interop;
use crate::plan::{Run, RunKey};
use crate::record::{RunId, RunRecord, RunStatus};
use crate::spec::{Loss, ModelConfig};
use crate::store::{ModelRecord, Problem, Store, StoreError};
use crate::train::engine;
use crate::train::{Engine, Weights};
use std::ffi::OsStr;
use std::path::Path;

/// A usable model: a finished run, an imported model, or files of another program.
pub(crate) struct LoadedModel {
    /// Its name in results: an id or a path.
    pub(crate) id: String,
    pub(crate) origin: Origin,
    pub(crate) model: ModelConfig,
    /// Distance from an input to its target.
    pub(crate) target_shift: usize,
    /// The loss used in training.
    pub(crate) loss: Loss,
    pub(crate) tokenizer: TextTokenizer,
    pub(crate) weights: Weights,
    pub(crate) engine: Box<dyn Engine>,
    /// Number of threads.
    pub(crate) threads: usize,
}

/// Origin of a model.
pub(crate) enum Origin {
    /// A run of the store.
    Run(Box<RunRecord>),
    /// An imported model of the store.
    Model(Box<ModelRecord>),
    /// Files of another program.
    Files,
}

impl LoadedModel {
    /// Resolves `name` (first as a run, then as an imported model, then as a path) and reads what
    /// is needed.
    pub(crate) fn open(
        store: &Store,
        name: &(impl AsRef<OsStr> + ?Sized),
        compute: &ComputeArgs,
        printer: Printer,
    ) -> Result<Self, Failure> {
        let path = Path::new(name);
        let name = &*path.to_string_lossy();
        let engine = engine::open(compute.device)?;
        let threads = threads(compute);
        let missing = match store.resolve(name) {
            Ok(id) => return Self::of_run(store, name, &id, engine, threads),
            Err(error @ StoreError::NoSuchRun { .. }) => error,
            Err(error) => return Err(error.into()),
        };
        let of_others = |id, origin, model, weights, tokenizer| Self {
            id,
            origin,
            model,
            target_shift: 1,
            loss: Loss::default(),
            tokenizer,
            weights,
            engine,
            threads,
        };
        if let Some(record) = store.resolve_model(name)? {
            let tokenizer = store.model_tokenizer(&record)?;
            let tokenizer = TextTokenizer::from_bytes(&tokenizer, Path::new("tokenizer.json"))?;
            let (id, model) = (record.id.to_string(), record.key.model.clone());
            let weights = store.model_weights(&record)?;
            let origin = Origin::Model(Box::new(record));
            return Ok(of_others(id, origin, model, weights, tokenizer));
        }
        if !interop::is_model(path) {
            let failure = Failure::from(missing);
            let what = "name a run (an id, a unique prefix of one, or `spec/name`), an imported model, a Hugging Face folder or a llama2.c file";
            return Err(match failure.advice() {
                Some(near) => {
                    let hint = format!("{near}\n{what}");
                    failure.hint(hint)
                }
                None => failure.hint(what),
            });
        }
        let read = interop::read(path, None)?;
        read.notes.iter().for_each(|note| printer.warning(note));
        Ok(of_others(
            path.display().to_string(),
            Origin::Files,
            read.model,
            read.weights,
            read.tokenizer,
        ))
    }

    fn of_run(
        store: &Store,
        name: &str,
        id: &RunId,
        engine: Box<dyn Engine>,
        threads: usize,
    ) -> Result<Self, Failure> {
        let Some(record) = store
            .record(id)?
            .filter(|record| record.status == RunStatus::Cached)
        else {
            return Err(Failure::input(format!("run `{name}` is not finished"))
                .hint("train it with `specbook run`"));
        };
        let key: RunKey = serde_json::from_value(record.key.clone())?;
        let weights = store.weights(id)?;
        let Some(json) = store.tokenizer(&record.digests.tokenizer)? else {
            return Err(Failure::input(format!(
                "the tokenizer of run `{name}` is not in the store"
            ))
            .hint("`specbook run` on its spec puts it there"));
        };
        Ok(Self {
            id: id.to_string(),
            origin: Origin::Run(Box::new(record)),
            model: key.model,
            target_shift: key.data.target_shift,
            loss: key.train.loss,
            tokenizer: TextTokenizer::from_bytes(&json, Path::new("tokenizer.json"))?,
            weights,
            engine,
            threads,
        })
    }

    /// Number of ids that the tokenizer can produce and the model accepts.
    pub(crate) fn usable_vocab(&self) -> usize {
        self.tokenizer.vocab_size().min(self.model.vocab_size)
    }

    /// The ids of a prompt, beginning a text.
    pub(crate) fn prompt(&self, text: &str) -> Result<Vec<u32>, Failure> {
        Ok([vec![self.tokenizer.bos()], self.tokenizer.encode(text)?].concat())
    }
}

/// Reads every file of a stored run and of its evaluation; fails if one differs from what was
/// written.
pub(crate) fn every_digest(store: &Store, run: &Run) -> Result<(), Failure> {
    let problem = match store.problem_of(&run.id)? {
        None => store.problem_of_eval(&run.eval_id)?,
        found => found,
    };
    match problem {
        None => Ok(()),
        Some(Problem { path, reason, .. }) => {
            let message = format!("run `{}`: `{}`: {reason}", run.name, path.display());
            Err(Failure::input(message)
                .hint("`specbook run SPEC --paranoid` moves it to `damaged/` and makes it again"))
        }
    }
}

/// The requested number of threads, or one per core.
pub(crate) fn threads(compute: &ComputeArgs) -> usize {
    compute.threads.map_or_else(
        || std::thread::available_parallelism().map_or(1, usize::from),
        usize::from,
    )
}

/// The failure if the system refuses a thread.
pub(crate) fn no_thread(error: std::io::Error) -> Failure {
    Failure::run(format!("the system refuses another thread: {error}")).hint(
        "the limit of processes (`ulimit -u`, `pids.max` of a container) counts threads too; raise it, or use fewer with `--threads`",
    )
}

/// The word for a status.
pub(crate) fn status_word(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Cached => "cached",
        RunStatus::Missing => "missing",
        RunStatus::Partial => "partial",
        RunStatus::Running => "running",
        RunStatus::Failed => "failed",
    }
}
