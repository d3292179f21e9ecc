//! Finished runs: what is there, and reading it with every digest checked.

use super::claim::{Claim, ClaimTiming, Numbers, Observed, is_held};
use super::error::StoreError;
use super::layout::{
    ARRAYS_LIMIT, BEST, CHECKPOINT, JSON_LIMIT, LINES_LIMIT, LOG, Layout, METRICS, RECORD,
    ShardName, TIMING, WEIGHTS, is_plain_path, join,
};
use super::seal::read_sealed;
use super::weights::read_arrays;
use super::{checkpoint, error};
use crate::digest::Sha256Hex;
use crate::fsx::Fs;
use crate::record::{FileEntry, MetricPoint, RECORD_FORMAT, RunId, RunRecord, RunStatus};
use crate::train::{Checkpoint, Weights};
use rayon::prelude::*;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A folder of finished runs, evaluations and plans. Opening it creates nothing.
pub struct Store {
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) layout: Layout,
    pub(crate) observed: Observed,
    pub(crate) timing: ClaimTiming,
    warnings: Mutex<Vec<String>>,
}

/// State of a run in a store, with what follows from it.
#[derive(Clone, Debug)]
pub enum Entry {
    /// Finished, and all sizes are right.
    Cached,
    /// Ended with an error, which its record holds.
    Failed,
    /// Being made, by a process that is not known to have died.
    Running,
    /// A checkpoint to go on from.
    Partial {
        /// Steps done.
        step: u64,
    },
    /// Nothing that could be used.
    Missing,
    /// Something that cannot be used; `run` moves it to `damaged/` and makes it anew.
    Damaged {
        /// Why.
        reason: String,
    },
}

impl Entry {
    /// The state in one word: what is damaged is missing.
    pub fn status(&self) -> RunStatus {
        match self {
            Self::Cached => RunStatus::Cached,
            Self::Failed => RunStatus::Failed,
            Self::Running => RunStatus::Running,
            Self::Partial { .. } => RunStatus::Partial,
            Self::Missing | Self::Damaged { .. } => RunStatus::Missing,
        }
    }
}

/// What of a record is needed to know its state.
#[derive(Deserialize)]
struct Head {
    id: RunId,
    status: RunStatus,
    files: BTreeMap<String, FileEntry>,
}

impl Store {
    /// Opens the store at `root`.
    pub fn open(root: impl Into<PathBuf>, fs: Arc<dyn Fs>) -> Self {
        Self {
            fs,
            layout: Layout { root: root.into() },
            observed: Observed::default(),
            timing: ClaimTiming::default(),
            warnings: Mutex::new(Vec::new()),
        }
    }

    /// Sets the pace of claims.
    #[must_use]
    pub fn with_claim_timing(mut self, timing: ClaimTiming) -> Self {
        self.timing = timing;
        self
    }

    /// The store's folder.
    pub fn root(&self) -> &Path {
        &self.layout.root
    }

    /// The file system it is written through.
    pub fn fs(&self) -> &dyn Fs {
        self.fs.as_ref()
    }

    /// Claims a run; `None` where another process that may be alive holds it.
    pub(crate) fn claim(&self, id: &RunId) -> Result<Option<Claim>, StoreError> {
        Claim::acquire(&self.fs, &self.layout, id, &self.observed, self.timing)
    }

    /// Folder of a finished run.
    pub fn run_dir(&self, id: &RunId) -> PathBuf {
        self.layout.run(id)
    }

    /// Warnings since the last call: damaged entries that were met and moved aside.
    pub fn take_warnings(&self) -> Vec<String> {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *warnings)
    }

    pub(crate) fn warn(&self, text: String) {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        if !warnings.contains(&text) {
            warnings.push(text);
        }
    }

    /// State of a run; a damaged one is missing, with a warning.
    ///
    /// # Errors
    /// A folder that cannot be read; a record of a newer version.
    pub fn status(&self, id: &RunId) -> Result<RunStatus, StoreError> {
        let entry = self.entry(id)?;
        if let Entry::Damaged { reason } = &entry {
            self.warn(format!("run {}: {reason}; it will run again", id.0.short()));
        }
        Ok(entry.status())
    }

    /// Whether a run is finished, as far as sizes show; `false` too where that cannot be read.
    pub fn has_run(&self, id: &RunId) -> bool {
        matches!(self.finished(id), Ok(Entry::Cached))
    }

    /// States of many runs, in their order.
    ///
    /// # Errors
    /// As [`status`](Self::status).
    pub fn statuses(&self, ids: &[RunId]) -> Result<Vec<RunStatus>, StoreError> {
        ids.par_iter()
            .with_min_len(64)
            .map(|id| self.status(id))
            .collect()
    }

    /// State of a run, with its reason.
    ///
    /// # Errors
    /// As [`status`](Self::status).
    pub fn entry(&self, id: &RunId) -> Result<Entry, StoreError> {
        match self.finished(id)? {
            // A failed run may be in the making again; a sound one is done.
            Entry::Cached => Ok(Entry::Cached),
            other => {
                let unfinished = self.unfinished(id)?;
                Ok(match unfinished {
                    Entry::Missing => other,
                    unfinished => unfinished,
                })
            }
        }
    }

    /// Looks at the run's own folder alone.
    pub(crate) fn finished(&self, id: &RunId) -> Result<Entry, StoreError> {
        self.finished_in(id, &self.layout.run(id))
    }

    /// Looks at a folder that may hold the finished run `id`.
    pub(crate) fn finished_in(&self, id: &RunId, dir: &Path) -> Result<Entry, StoreError> {
        let path = dir.join(RECORD);
        let head: Head = match self.read_record(&path) {
            Ok(Some(head)) => head,
            Ok(None) => {
                return Ok(match self.fs.metadata(dir)? {
                    Some(_) => Entry::Damaged {
                        reason: format!("`{}` is missing", path.display()),
                    },
                    None => Entry::Missing,
                });
            }
            Err(error) if error.is_damage() => {
                return Ok(Entry::Damaged {
                    reason: error.chain(),
                });
            }
            Err(error) => return Err(error),
        };
        if head.id != *id {
            return Ok(Entry::Damaged {
                reason: format!("`{}` is of another run", path.display()),
            });
        }
        if let Some(reason) = self.wrong_size(dir, &head.files)? {
            return Ok(Entry::Damaged { reason });
        }
        Ok(match head.status {
            RunStatus::Cached => Entry::Cached,
            RunStatus::Failed => Entry::Failed,
            _ => Entry::Damaged {
                reason: format!("`{}` has an impossible status", path.display()),
            },
        })
    }

    fn wrong_size(
        &self,
        dir: &Path,
        files: &BTreeMap<String, FileEntry>,
    ) -> Result<Option<String>, StoreError> {
        for (name, file) in files {
            if !is_plain_path(name) {
                let name = name.escape_debug();
                return Ok(Some(format!("its record lists `{name}`")));
            }
            let path = join(dir, name);
            match self.fs.metadata(&path)? {
                Some(found) if found.bytes == file.bytes && !found.is_dir => {}
                Some(found) => {
                    return Ok(Some(format!(
                        "`{}` has {} bytes, not {}",
                        path.display(),
                        found.bytes,
                        file.bytes
                    )));
                }
                None => return Ok(Some(format!("`{}` is missing", path.display()))),
            }
        }
        Ok(None)
    }

    fn unfinished(&self, id: &RunId) -> Result<Entry, StoreError> {
        let fs = self.fs.as_ref();
        let numbers = Numbers::of(fs, &self.layout, id)?;
        if let Some(&last) = numbers.claims.last()
            && is_held(fs, &self.layout, id, last, None)?
        {
            return Ok(Entry::Running);
        }
        let Some(&last) = numbers.works.last() else {
            return Ok(Entry::Missing);
        };
        let dir = self.layout.work(id, last).join(CHECKPOINT);
        Ok(match checkpoint::step(fs, &dir) {
            Some(step) => Entry::Partial { step },
            None => Entry::Missing,
        })
    }

    fn read_record<T: serde::de::DeserializeOwned>(
        &self,
        path: &Path,
    ) -> Result<Option<T>, StoreError> {
        read_sealed(
            self.fs.as_ref(),
            path,
            JSON_LIMIT,
            "a run's record",
            RECORD_FORMAT,
        )
    }

    /// The record of a finished or failed run; `None` where there is none, or (with a warning) a damaged one.
    ///
    /// # Errors
    /// A file that cannot be read; a record of a newer version.
    pub fn record(&self, id: &RunId) -> Result<Option<RunRecord>, StoreError> {
        match self.record_in(id, &self.layout.run(id)) {
            Err(error) if error.is_damage() => {
                self.warn(format!("run {}: {}", id.0.short(), error.chain()));
                Ok(None)
            }
            other => other,
        }
    }

    pub(crate) fn record_in(
        &self,
        id: &RunId,
        dir: &Path,
    ) -> Result<Option<RunRecord>, StoreError> {
        let path = dir.join(RECORD);
        let record: Option<RunRecord> = self.read_record(&path)?;
        match record {
            Some(record) if record.id != *id => Err(StoreError::Damaged {
                path,
                reason: "it is of another run".to_owned(),
            }),
            other => Ok(other),
        }
    }

    /// Reads a file of a finished run and checks its digest.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] where the run has no such file, or it is not what was written.
    pub fn file(&self, id: &RunId, name: &str) -> Result<Vec<u8>, StoreError> {
        let dir = self.layout.run(id);
        let damaged = |reason: &str| StoreError::Damaged {
            path: join(&dir, name),
            reason: reason.to_owned(),
        };
        let record = self
            .record_in(id, &dir)?
            .ok_or_else(|| StoreError::NoSuchRun { text: id.0.short() })?;
        let Some(file) = record.files.get(name).filter(|_| is_plain_path(name)) else {
            return Err(damaged("the record does not list it"));
        };
        let limit = match name {
            _ if name.ends_with(".safetensors") => ARRAYS_LIMIT,
            _ if name.ends_with(".json") => JSON_LIMIT,
            _ => LINES_LIMIT,
        };
        let bytes = match self.fs.read(&join(&dir, name), limit) {
            Err(error) if error.is_not_found() => return Err(damaged("it is missing")),
            other => other?,
        };
        if bytes.len() as u64 != file.bytes || Sha256Hex::of(&bytes) != file.sha256 {
            return Err(damaged("it does not have the digest of the record"));
        }
        Ok(bytes)
    }

    /// The metrics of a finished or failed run, one point per step.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], and files that cannot be read.
    pub fn metrics(&self, id: &RunId) -> Result<Vec<MetricPoint>, StoreError> {
        let bytes = self.file(id, METRICS)?;
        parse_points(&bytes).map_err(|reason| StoreError::Damaged {
            path: self.layout.run(id).join(METRICS),
            reason,
        })
    }

    /// The weights that evaluations use: the last ones, or the best where only those are kept.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], and files that cannot be read.
    pub fn weights(&self, id: &RunId) -> Result<Weights, StoreError> {
        self.weights_of(id, WEIGHTS)
    }

    /// The weights with the lowest validation loss of a run that keeps both.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], and files that cannot be read.
    pub fn best_weights(&self, id: &RunId) -> Result<Weights, StoreError> {
        self.weights_of(id, BEST)
    }

    fn weights_of(&self, id: &RunId, name: &str) -> Result<Weights, StoreError> {
        let bytes = self.file(id, name)?;
        let tensors = read_arrays(&bytes).map_err(|reason| StoreError::Damaged {
            path: self.layout.run(id).join(name),
            reason,
        })?;
        Ok(Weights(tensors))
    }

    /// The checkpoint of a run: the final one of a finished run that kept it, or the last of one in the making.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], and files that cannot be read.
    pub fn checkpoint(&self, id: &RunId) -> Result<Option<Checkpoint>, StoreError> {
        let numbers = Numbers::of(self.fs.as_ref(), &self.layout, id)?;
        let work = numbers
            .works
            .last()
            .map(|number| self.layout.work(id, *number));
        for dir in [Some(self.layout.run(id)), work].into_iter().flatten() {
            if let Some(saved) = checkpoint::load(self.fs.as_ref(), &dir.join(CHECKPOINT))? {
                return Ok(Some(saved.checkpoint));
            }
        }
        Ok(None)
    }

    /// Path of a run's log and its last `lines` lines; `None` where there is none. Control characters are escaped.
    ///
    /// # Errors
    /// A log that cannot be read.
    pub fn log_tail(
        &self,
        id: &RunId,
        lines: usize,
    ) -> Result<Option<(PathBuf, String)>, StoreError> {
        let numbers = Numbers::of(self.fs.as_ref(), &self.layout, id)?;
        let works = numbers.works.iter().rev();
        let dirs = works
            .map(|number| self.layout.work(id, *number))
            .chain([self.layout.run(id)]);
        for dir in dirs {
            let path = dir.join(LOG);
            match self.fs.read_tail(&path, 64 << 10) {
                Ok(bytes) => return Ok(Some((path, tail(&bytes, lines)))),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    /// Bytes of `timing.jsonl`.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], and files that cannot be read.
    pub fn timing(&self, id: &RunId) -> Result<Vec<u8>, StoreError> {
        self.file(id, TIMING)
    }

    /// The ids that have a folder of their own, in order; with `unfinished`, also those in the making.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn ids(&self, unfinished: bool) -> Result<Vec<RunId>, StoreError> {
        let mut ids = Vec::new();
        for shard in self.fs.list(&self.layout.runs())? {
            if shard.name.len() == 2 {
                ids.extend(self.ids_in(&shard.name, unfinished)?);
            }
        }
        Ok(ids)
    }

    fn ids_in(&self, shard: &str, unfinished: bool) -> Result<Vec<RunId>, StoreError> {
        let entries = self.fs.list(&self.layout.runs().join(shard))?;
        let names = entries
            .iter()
            .filter_map(|entry| ShardName::parse(&entry.name));
        let mut ids: Vec<RunId> = names
            .filter_map(|name| match name {
                ShardName::Run(id) => Some(id),
                ShardName::Work(id, _) if unfinished => Some(id),
                _ => None,
            })
            .collect();
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }

    /// All records that can be read, by id; the others give warnings.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn list(&self) -> Result<Vec<RunRecord>, StoreError> {
        let ids = self.ids(false)?;
        let read = |id: &RunId| match self.record(id) {
            Err(error @ StoreError::Version { .. }) => {
                self.warn(error.chain());
                Ok(None)
            }
            other => other,
        };
        let records: Result<Vec<_>, StoreError> =
            ids.par_iter().with_min_len(64).map(read).collect();
        Ok(records?.into_iter().flatten().collect())
    }

    /// Finds the run that `text` means: an id, the unique beginning of one, or `spec/name`.
    ///
    /// # Errors
    /// No such run, or several.
    pub fn resolve(&self, text: &str) -> Result<RunId, StoreError> {
        let lower = text.to_ascii_lowercase();
        let found: Vec<RunId> = if !lower.is_empty() && lower.bytes().all(|b| b.is_ascii_hexdigit())
        {
            let ids = if lower.len() >= 2 {
                self.ids_in(&lower[..2], true)?
            } else {
                self.ids(true)?
            };
            let fits = |id: &RunId| id.to_string().starts_with(&lower);
            ids.into_iter().filter(fits).collect()
        } else if let Some((spec, name)) = text.split_once('/') {
            self.named(spec, name)?
        } else {
            Vec::new()
        };
        match found[..] {
            [id] => Ok(id),
            [] => Err(StoreError::NoSuchRun {
                text: text.to_owned(),
            }),
            _ => Err(StoreError::Ambiguous {
                text: text.to_owned(),
                count: found.len(),
                examples: found.iter().take(3).map(|id| id.0.short()).collect(),
            }),
        }
    }

    /// Runs of that name: of the manifests, newest settings of each spec, and of the records.
    fn named(&self, spec: &str, name: &str) -> Result<Vec<RunId>, StoreError> {
        let mut found = Vec::new();
        for manifest in self.plans()?.iter().filter(|plan| plan.spec == spec) {
            let runs = manifest.runs.iter().filter(|run| run.name == name);
            found.extend(runs.map(|run| run.id));
        }
        if found.is_empty() {
            let records = self.list()?.into_iter();
            let fits = |record: &RunRecord| record.spec == spec && record.name == name;
            found.extend(records.filter(fits).map(|record| record.id));
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// Moves a run that is damaged to `damaged/`, where it is kept; gives the new place.
    ///
    /// # Errors
    /// A folder that cannot be moved.
    pub fn set_aside(&self, id: &RunId, reason: &str) -> Result<PathBuf, StoreError> {
        self.move_aside(&self.layout.run(id), &id.to_string(), reason)
    }

    pub(crate) fn move_aside(
        &self,
        from: &Path,
        name: &str,
        reason: &str,
    ) -> Result<PathBuf, StoreError> {
        let damaged = self.layout.damaged();
        self.fs.create_dir_all(&damaged)?;
        for number in 1.. {
            let to = damaged.join(format!("{name}-{number}"));
            if self.fs.metadata(&to)?.is_some() {
                continue;
            }
            match self.fs.rename_dir_new(from, &to) {
                Ok(true) => {
                    self.warn(format!("{reason}; moved to `{}`", to.display()));
                    return Ok(to);
                }
                Ok(false) => {}
                // Another process moved it.
                Err(error) if error.is_not_found() => return Ok(to),
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Damaged {
            path: from.to_path_buf(),
            reason: error::chain(&StoreError::NoSuchRun {
                text: name.to_owned(),
            }),
        })
    }
}

/// Parses lines of metrics; steps must rise one by one.
pub(crate) fn parse_points(bytes: &[u8]) -> Result<Vec<MetricPoint>, String> {
    let mut points: Vec<MetricPoint> = Vec::new();
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        if line.is_empty() {
            continue;
        }
        let point: MetricPoint =
            serde_json::from_slice(line).map_err(|error| format!("line {}: {error}", index + 1))?;
        if point.step != points.len() as u64 + 1 {
            return Err(format!("line {} is of step {}", index + 1, point.step));
        }
        points.push(point);
    }
    Ok(points)
}

/// The last lines of a log, safe to print.
pub(crate) fn tail(bytes: &[u8], lines: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    let all: Vec<&str> = text.lines().collect();
    let shown = all[all.len().saturating_sub(lines)..].iter();
    let clean = |line: &&str| -> String {
        line.chars()
            .map(|c| {
                if c.is_control() && c != '\t' {
                    char::REPLACEMENT_CHARACTER
                } else {
                    c
                }
            })
            .collect()
    };
    shown.map(clean).collect::<Vec<_>>().join("\n")
}
