//! What several commands take: device, threads, a finished run, and the words for a status.

use super::args::ComputeArgs;
use super::failure::Failure;
use crate::data::TextTokenizer;
use crate::plan::RunKey;
use crate::record::{RunId, RunStatus};
use crate::store::Store;
use crate::train::engine;
use crate::train::{Engine, Weights};

/// A finished run, ready to be used.
pub(crate) struct TrainedRun {
    /// Its id.
    pub(crate) id: RunId,
    /// Its settings.
    pub(crate) key: RunKey,
    /// Its tokenizer.
    pub(crate) tokenizer: TextTokenizer,
    /// Its weights.
    pub(crate) weights: Weights,
    /// What computes.
    pub(crate) engine: Box<dyn Engine>,
    /// With how many threads.
    pub(crate) threads: usize,
}

impl TrainedRun {
    /// Finds the run and reads what is needed.
    pub(crate) fn open(store: &Store, name: &str, compute: &ComputeArgs) -> Result<Self, Failure> {
        let id = store.resolve(name)?;
        let Some(record) = store
            .record(&id)?
            .filter(|record| record.status == RunStatus::Cached)
        else {
            return Err(Failure::input(format!("run `{name}` is not finished"))
                .hint("train it with `specbook run`"));
        };
        let key: RunKey = serde_json::from_value(record.key.clone())?;
        let weights = store.weights(&id)?;
        let Some(json) = store.tokens(&record.digests.tokenizer)? else {
            return Err(Failure::input(format!(
                "the tokenizer of run `{name}` is not in the store"
            ))
            .hint("`specbook run` on its spec puts it there"));
        };
        let tokenizer = TextTokenizer::from_bytes(&json, std::path::Path::new("tokenizer.json"))?;
        let threads = threads(compute);
        Ok(Self {
            id,
            key,
            tokenizer,
            weights,
            engine: engine::open(compute.device)?,
            threads,
        })
    }
}

/// The number of threads asked for, or one per core.
pub(crate) fn threads(compute: &ComputeArgs) -> usize {
    compute.threads.map_or_else(
        || std::thread::available_parallelism().map_or(1, usize::from),
        usize::from,
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
