//! The files of a sweep in a store.

use crate::digest::Sha256Hex;
use crate::fsx::{AnyPath, Fs, LeaseTiming};
use crate::record::{Numerics, RunId};
use crate::store::{Store, StoreError, read_sealed, seal};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

const FORMAT: u32 = 1;
/// Maximum size of a sweep file in bytes.
const LIMIT: u64 = 256 << 20;
const SWEEP: &str = "sweep.json";
const JOBS: &str = "jobs.json";
const WHAT: &str = "a sweep";

/// Runs for the tasks of a queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sweep {
    /// Format number.
    pub format: u32,
    /// The specs of the runs.
    pub specs: Vec<SweepSpec>,
    /// The required numerics for each dtype, so that all tasks can continue each other's checkpoints; empty if unknown
    /// on this machine.
    pub numerics: Vec<Numerics>,
    /// The runs of each task.
    pub chunks: Vec<Chunk>,
    /// Threads per task.
    pub threads: usize,
    /// Concurrent runs per task.
    pub jobs: usize,
    /// `cpu`, `cuda:0`.
    pub device: String,
    /// Number of times a task ended by a signal may requeue itself.
    pub requeues: u32,
    /// Seconds between two heartbeats of a lease.
    pub beat_seconds: f64,
    /// Seconds without a heartbeat after which a lease is stale.
    pub stale_seconds: f64,
}

/// A spec of a sweep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweepSpec {
    /// Absolute path of its file, the base of relative paths.
    pub path: AnyPath,
    /// Its text.
    pub text: String,
    /// Its profile.
    pub profile: String,
    /// `path=value` arguments.
    pub overrides: Vec<String>,
    /// Digest of the runs of its plan.
    pub plan: Sha256Hex,
}

/// The runs of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chunk {
    /// Estimated seconds; `None` without a measurement.
    pub seconds: Option<f64>,
    /// Runs, each with the index of its spec in [`Sweep::specs`].
    pub runs: Vec<(usize, RunId)>,
}

impl Sweep {
    /// The current format number.
    pub const FORMAT: u32 = FORMAT;

    /// Reads the file at `path`.
    ///
    /// # Errors
    /// A file that is missing, damaged, or of another version.
    pub fn read(fs: &dyn Fs, path: &Path) -> Result<Self, StoreError> {
        let found: Option<Self> = read_sealed(fs, path, LIMIT, WHAT, FORMAT)?;
        found.ok_or_else(|| StoreError::Damaged {
            path: path.to_path_buf(),
            reason: "there is no such file".to_owned(),
        })
    }

    /// The runs of all chunks.
    pub fn runs(&self) -> BTreeSet<RunId> {
        let runs = self.chunks.iter().flat_map(|chunk| &chunk.runs);
        runs.map(|(_, id)| *id).collect()
    }

    /// The timing of leases.
    pub fn leases(&self) -> Option<LeaseTiming> {
        let seconds = |value| Duration::try_from_secs_f64(value).ok();
        LeaseTiming::new(seconds(self.beat_seconds)?, seconds(self.stale_seconds)?)
    }
}

impl SweepSpec {
    /// Digest of the runs of a plan and their evaluations, in order.
    pub fn digest<'a>(runs: impl Iterator<Item = &'a crate::plan::Run>) -> Sha256Hex {
        let text: String = runs
            .map(|run| format!("{} {}\n", run.id, run.eval_id))
            .collect();
        Sha256Hex::of(text.as_bytes())
    }
}

/// The submitted jobs of a sweep.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jobs {
    /// Format number.
    pub format: u32,
    /// `slurm` or `hyperqueue`.
    pub queue: String,
    /// Jobs in order of submission.
    pub jobs: Vec<Job>,
}

/// A job of a queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// The queue's job id.
    pub id: String,
    /// Its kind.
    pub kind: JobKind,
}

/// The kind of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum JobKind {
    /// Prepares data and tokenizers.
    Prepare,
    /// Task `i` trains chunk `offset + i`.
    Chunks {
        /// First chunk.
        offset: usize,
        /// Tasks.
        count: usize,
    },
    /// Writes the reports.
    Report,
}

/// The folder of a sweep in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SweepFolder(pub PathBuf);

impl SweepFolder {
    /// Creates the folder of a new sweep and writes it; `name` is the name of its first spec.
    ///
    /// # Errors
    /// Files that cannot be written.
    pub fn create(store: &Store, name: &str, sweep: &Sweep) -> Result<Self, StoreError> {
        let bytes = seal(WHAT, sweep)?;
        let short = Sha256Hex::of(&bytes).short();
        let all = folder(store);
        let taken = |path: &Path| Ok::<_, StoreError>(store.fs().metadata(path)?.is_some());
        let mut path = all.join(format!("{name}-{short}"));
        let mut again = 1;
        while taken(&path)? {
            again += 1;
            path = all.join(format!("{name}-{short}-{again}"));
        }
        store.fs().create_dir_all(&path.join("logs"))?;
        store.fs().write_atomic(&path.join(SWEEP), &bytes)?;
        Ok(Self(path))
    }

    /// The file read by workers.
    pub fn file(&self) -> PathBuf {
        self.0.join(SWEEP)
    }

    /// Folder for the tasks' logs.
    pub fn logs(&self) -> PathBuf {
        self.0.join("logs")
    }

    /// The sweep.
    ///
    /// # Errors
    /// As [`Sweep::read`].
    pub fn sweep(&self, store: &Store) -> Result<Sweep, StoreError> {
        Sweep::read(store.fs(), &self.file())
    }

    /// The submitted jobs; may be empty.
    ///
    /// # Errors
    /// A damaged file.
    pub fn jobs(&self, store: &Store) -> Result<Jobs, StoreError> {
        let found = read_sealed(store.fs(), &self.0.join(JOBS), LIMIT, WHAT, FORMAT)?;
        Ok(found.unwrap_or_default())
    }

    /// Writes the jobs submitted so far.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn put_jobs(&self, store: &Store, jobs: &Jobs) -> Result<(), StoreError> {
        let jobs = Jobs {
            format: FORMAT,
            ..jobs.clone()
        };
        Ok(store
            .fs()
            .write_atomic(&self.0.join(JOBS), &seal(WHAT, &jobs)?)?)
    }

    /// The store that contains a sweep's file.
    pub fn store_of(file: &Path) -> Option<PathBuf> {
        let file = std::path::absolute(file).ok()?;
        Some(file.parent()?.parent()?.parent()?.to_path_buf())
    }
}

fn folder(store: &Store) -> PathBuf {
    store.root().join("jobs-v1")
}

/// All sweeps of a store, sorted by name.
///
/// # Errors
/// A folder that cannot be read.
pub fn sweeps(store: &Store) -> Result<Vec<SweepFolder>, StoreError> {
    let all = folder(store);
    let entries = store.entries(&all)?.into_iter();
    let folders = entries.filter(|entry| entry.is_dir());
    Ok(folders
        .map(|entry| SweepFolder(all.join(entry.file_name)))
        .collect())
}
