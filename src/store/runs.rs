//! The runs of a store and their states.

use super::error::StoreError;
use super::layout::{CHECKPOINT, Layout, RECORD, is_plain_path, join};
use super::lease::Numbers;
use super::{checkpoint, error};
use crate::fsx::{Fs, Judge, Kind, LeaseTiming, Observed, Patient};
use crate::record::{FileEntry, RunId, RunStatus};
use rayon::prelude::*;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// A folder of finished runs, evaluations and plans. Opening it creates nothing.
pub struct Store {
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) layout: Layout,
    pub(crate) observed: Observed,
    pub(crate) timing: LeaseTiming,
    warnings: Mutex<Vec<String>>,
    /// Runs that [`Store::statuses`] found finished, and the time when it did.
    seen: Mutex<HashMap<RunId, Instant>>,
}

/// How long [`Store::has_run`] trusts the results of [`Store::statuses`], so that a command examines ten
/// thousand runs only once.
const FRESH: Duration = Duration::from_secs(1);

/// State of a run in a store, with its details.
#[derive(Clone, Debug)]
pub enum Entry {
    /// Finished, and all sizes are right.
    Cached,
    /// Ended with an error, which is in its record.
    Failed,
    /// Being made by a process that is not known to have died.
    Running,
    /// A checkpoint from which the run can continue.
    Partial {
        /// Number of completed steps.
        step: u64,
    },
    /// Nothing usable.
    Missing,
    /// Something unusable; `run` moves it to `damaged/` and makes the run anew.
    Damaged {
        /// The reason.
        reason: String,
    },
}

impl Entry {
    /// The state in one word; damaged runs count as missing.
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

/// The part of a record that determines the state.
#[derive(Deserialize)]
struct Head {
    id: RunId,
    status: RunStatus,
    files: BTreeMap<String, FileEntry>,
}

impl Store {
    /// Opens the store at `root`. Links below it are not followed: an entry that is a link counts as damaged.
    pub fn open(root: impl Into<PathBuf>, fs: Arc<dyn Fs>) -> Self {
        let root = root.into();
        Self {
            fs: Arc::new(Patient::new(fs.below(&root))),
            layout: Layout { root },
            observed: Observed::default(),
            timing: LeaseTiming::default(),
            warnings: Mutex::new(Vec::new()),
            seen: Mutex::default(),
        }
    }

    /// Sets the pace of leases.
    #[must_use]
    pub fn with_lease_timing(mut self, timing: LeaseTiming) -> Self {
        self.timing = timing;
        self
    }

    /// The pace of leases.
    pub fn lease_timing(&self) -> LeaseTiming {
        self.timing
    }

    /// The store's folder.
    pub fn root(&self) -> &Path {
        &self.layout.root
    }

    /// The file system used for reading and writing.
    pub fn fs(&self) -> &dyn Fs {
        self.fs.as_ref()
    }

    /// Folder of a finished run.
    pub fn run_dir(&self, id: &RunId) -> PathBuf {
        self.layout.run(id)
    }

    /// Warnings since the last call: damaged entries that were found and moved aside.
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

    /// State of a run; a damaged one counts as missing, with a warning.
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

    /// Whether a run is finished, judging by file sizes; also `false` if that cannot be read. A result of
    /// [`statuses`](Self::statuses) that is less than a second old is reused.
    pub fn has_run(&self, id: &RunId) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let is_fresh = seen.get(id).is_some_and(|at| at.elapsed() < FRESH);
        drop(seen);
        is_fresh || matches!(self.finished(id), Ok(Entry::Cached))
    }

    /// States of many runs, in the given order.
    ///
    /// # Errors
    /// Those of [`status`](Self::status).
    pub fn statuses(&self, ids: &[RunId]) -> Result<Vec<RunStatus>, StoreError> {
        let look = |id: &RunId| self.status(id);
        let statuses: Vec<RunStatus> = ids
            .par_iter()
            .with_min_len(64)
            .map(look)
            .collect::<Result<_, _>>()?;
        let now = Instant::now();
        let finished = ids
            .iter()
            .zip(&statuses)
            .filter(|(_, status)| **status == RunStatus::Cached);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.extend(finished.map(|(id, _)| (*id, now)));
        Ok(statuses)
    }

    /// State of a run, with its details.
    ///
    /// # Errors
    /// Those of [`status`](Self::status).
    pub fn entry(&self, id: &RunId) -> Result<Entry, StoreError> {
        match self.finished(id)? {
            // A failed run may be in progress again; a sound one is finished.
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

    /// Examines only the run's own folder.
    pub(crate) fn finished(&self, id: &RunId) -> Result<Entry, StoreError> {
        self.finished_in(id, &self.layout.run(id))
    }

    /// Examines a folder that may contain the finished run `id`.
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
                Some(found) if found.kind != Kind::File => {
                    return Ok(Some(format!("`{}` is not a file", path.display())));
                }
                Some(found) if found.bytes == file.bytes => {}
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
        if let Some(last) = numbers.leases.last()
            && self.may_live(id, *last, Judge::Clock(SystemTime::now()))?
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

    /// Moves a damaged run to `damaged/`, where it is kept. Every digest is checked after the move: a sound run
    /// that another process has put there meanwhile is moved back. Nothing happens while another process is
    /// making the run.
    ///
    /// # Errors
    /// A folder that cannot be moved.
    pub fn set_aside(&self, id: &RunId) -> Result<(), StoreError> {
        if let Some(lease) = self.lease(id)? {
            let target = self.layout.work(id, lease.number());
            let moved = self.take_away(id, &target, true);
            moved.map_err(|error| lease.explain(error))?;
        }
        Ok(())
    }

    /// Moves a run that is complete but not what it claims to be to `damaged/`. Nothing happens while another
    /// process is making the run.
    ///
    /// # Errors
    /// A folder that cannot be moved.
    pub fn set_aside_for(&self, id: &RunId, reason: &str) -> Result<(), StoreError> {
        if let Some(_lease) = self.lease(id)? {
            let reason = format!("run {}: {reason}", id.0.short());
            self.move_aside(&self.layout.run(id), &id.to_string(), &reason)?;
        }
        Ok(())
    }

    pub(crate) fn move_aside(
        &self,
        from: &Path,
        name: &str,
        reason: &str,
    ) -> Result<PathBuf, StoreError> {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        let damaged = self.make_damaged()?;
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
                // Another process has moved it.
                Err(error) if error.is_not_found() => return Ok(to),
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Damaged {
            path: from.to_path_buf(),
            reason: error::chain(&StoreError::NoSuchRun {
                text: name.to_owned(),
                near: Vec::new(),
            }),
        })
    }
}
