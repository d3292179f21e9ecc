//! A run in progress: its lease, its work folder, its path to a published record.

use super::begin::BeginOptions;
use super::checkpoint::{self, Progress};
use super::error::StoreError;
use super::layout::{BEST, CHECKPOINT, KEY, LOG, METRICS, RECORD, TIMING, WEIGHTS};
use super::lease::RunLease;
use super::lines::Lines;
use super::runs::Store;
use super::seal::seal;
use super::weights::write_arrays;
use crate::digest::Sha256Hex;
use crate::fsx::{AtomicFile, Fs};
use crate::record::{FileEntry, MetricPoint, Numerics, RunId, RunRecord};
use crate::weights::file::TensorRef;
use crate::weights::{Checkpoint, Weights};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A run that this process is making. If dropped, it stays in place and can be continued.
pub struct Work {
    lease: RunLease,
    open: OpenWork,
}

/// The open work folder of a run.
pub(super) struct OpenWork {
    pub(super) dir: PathBuf,
    pub(super) key: FileEntry,
    pub(super) numerics: Numerics,
    pub(super) log: Lines,
    pub(super) metrics: Lines,
    pub(super) timing: Lines,
    pub(super) resume: Option<Checkpoint>,
    pub(super) points: Vec<MetricPoint>,
    pub(super) progress: Progress,
}

/// Whether a checkpoint belongs to the last of these steps.
pub(super) fn fits(points: &[MetricPoint], checkpoint: &Checkpoint) -> bool {
    points.len() as u64 == checkpoint.step
        && points.last().map_or(0, |last| last.tokens) == checkpoint.tokens
}

/// Removes everything that the record does not list: checkpoints that are no longer needed, and leftovers of
/// killed processes.
pub(super) fn drop_unlisted(fs: &dyn Fs, dir: &Path, record: &RunRecord) -> Result<(), StoreError> {
    for entry in fs.list(dir)? {
        let path = dir.join(&entry.file_name);
        let prefix = format!("{}/", entry.name);
        if !entry.is_dir() {
            if entry.name != RECORD && !record.files.contains_key(&entry.name) {
                fs.remove_file(&path)?;
            }
        } else if !record.files.keys().any(|name| name.starts_with(&prefix)) {
            fs.remove_dir_all(&path)?;
        } else {
            for inner in fs.list(&path)? {
                if !record
                    .files
                    .contains_key(&format!("{prefix}{}", inner.name))
                {
                    fs.remove_file(&path.join(&inner.file_name))?;
                }
            }
        }
    }
    Ok(())
}

impl Work {
    /// The run.
    pub fn id(&self) -> RunId {
        self.lease.id
    }

    /// Path of the existing log.
    pub fn log_path(&self) -> PathBuf {
        self.open.dir.join(LOG)
    }

    /// The checkpoint to continue from; taken out, because it is large.
    pub fn take_checkpoint(&mut self) -> Option<Checkpoint> {
        self.open.resume.take()
    }

    /// Starts from the finished run `from`, which kept its final checkpoint: its checkpoint, its metrics (each
    /// passed through `adapt`) and its times become those of this run, which has no steps yet.
    ///
    /// # Errors
    /// A run that is gone, or a damaged file of it (nothing has changed in that case); files that cannot be
    /// written.
    pub fn adopt(
        &mut self,
        store: &Store,
        from: &RunId,
        mut adapt: impl FnMut(&mut MetricPoint),
    ) -> Result<(), StoreError> {
        let dir = store.run_dir(from).join(CHECKPOINT);
        let damaged = |reason: &str| StoreError::Damaged {
            path: dir.clone(),
            reason: reason.to_owned(),
        };
        let saved = checkpoint::load(store.fs(), &dir)?.ok_or_else(|| damaged("it is gone"))?;
        let mut points = store.metrics(from)?;
        let timing = store.timing(from)?;
        if !fits(&points, &saved.checkpoint) {
            return Err(damaged("it does not fit the metrics"));
        }
        for point in &mut points {
            adapt(point);
            self.open.metrics.push_json(point)?;
        }
        for line in timing
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            self.open.timing.push(line)?;
        }
        self.open.points = points;
        self.open.progress = saved.progress;
        self.open.resume = Some(saved.checkpoint);
        Ok(())
    }

    /// The metrics of all steps so far.
    pub fn points(&self) -> &[MetricPoint] {
        &self.open.points
    }

    /// Total wall-clock times so far.
    pub fn progress(&mut self) -> &mut Progress {
        &mut self.open.progress
    }

    /// Appends a line to the log immediately.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn log(&mut self, line: &str) -> Result<(), StoreError> {
        let written = self.open.log.push(line.as_bytes());
        let written = written.and_then(|()| self.open.log.flush());
        written.map_err(|error| self.lease.explain(error.into()))
    }

    /// Appends a step to the metrics, and `timing` to the file of wall-clock times.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn push(
        &mut self,
        point: &MetricPoint,
        timing: &impl serde::Serialize,
    ) -> Result<(), StoreError> {
        let written = self.open.metrics.push_json(point);
        let written = written.and_then(|()| self.open.timing.push_json(timing));
        written.map_err(|error| self.lease.explain(error))?;
        self.open.points.push(point.clone());
        Ok(())
    }

    /// Saves a checkpoint that belongs to the metrics so far; returns its files.
    ///
    /// # Errors
    /// Files that cannot be written (the former checkpoint then stays); [`StoreError::LostLease`].
    pub fn save(
        &mut self,
        store: &Store,
        checkpoint: &Checkpoint,
    ) -> Result<BTreeMap<String, FileEntry>, StoreError> {
        if self.open.points.len() as u64 != checkpoint.step {
            return Err(StoreError::Unstorable {
                what: "a checkpoint",
                reason: format!(
                    "it is of step {}, the metrics of step {}",
                    checkpoint.step,
                    self.open.points.len()
                ),
            });
        }
        self.lease.check()?;
        let saved = self.open.save(store, checkpoint);
        saved.map_err(|error| self.lease.explain(error))
    }

    /// Digest of the metrics so far.
    pub fn metrics_digest(&mut self) -> Result<Sha256Hex, StoreError> {
        self.open.metrics.flush()?;
        Ok(self.open.metrics.entry().sha256)
    }

    /// Publishes the run. `record.files` is filled in; `best` is written beside `weights` if both are kept. The
    /// last checkpoint is removed, unless `final_checkpoint` is given to be kept.
    ///
    /// # Errors
    /// Files that cannot be written (the work folder then stays); [`StoreError::LostLease`].
    pub fn finish(
        mut self,
        store: &Store,
        mut record: RunRecord,
        weights: &Weights,
        best: Option<&Weights>,
        final_checkpoint: Option<&Checkpoint>,
    ) -> Result<RunRecord, StoreError> {
        let open = &mut self.open;
        let written = open.write_finished(store, &mut record, weights, best, final_checkpoint);
        self.publish(store, record, written)
    }

    /// Publishes a failed run, with its log, its metrics so far and its last checkpoint.
    ///
    /// # Errors
    /// Files that cannot be written; [`StoreError::LostLease`].
    pub fn fail(mut self, store: &Store, mut record: RunRecord) -> Result<RunRecord, StoreError> {
        let written = self.open.write_failed(store, &mut record);
        self.publish(store, record, written)
    }

    fn publish(
        &self,
        store: &Store,
        record: RunRecord,
        written: Result<(), StoreError>,
    ) -> Result<RunRecord, StoreError> {
        let (lease, dir) = (&self.lease, &self.open.dir);
        let published =
            written.and_then(|()| store.publish(lease, dir, record, BeginOptions::default()));
        published.map_err(|error| lease.explain(error))
    }

    /// Stops for now: pending data reaches the files, and the lease is released.
    ///
    /// # Errors
    /// Files that cannot be written.
    pub fn suspend(mut self) -> Result<(), StoreError> {
        let OpenWork {
            log,
            metrics,
            timing,
            ..
        } = &mut self.open;
        let written = log.flush().and_then(|()| metrics.flush());
        let written = written.and_then(|()| timing.flush());
        written.map_err(|error| self.lease.explain(error.into()))
    }
}

impl OpenWork {
    /// The same, held by the given lease.
    pub(super) fn held_by(self, lease: RunLease) -> Work {
        Work { lease, open: self }
    }

    fn save(
        &mut self,
        store: &Store,
        checkpoint: &Checkpoint,
    ) -> Result<BTreeMap<String, FileEntry>, StoreError> {
        let metrics = self.metrics.sync()?;
        self.timing.flush()?;
        checkpoint::save(
            store.fs(),
            &self.dir.join(CHECKPOINT),
            checkpoint,
            &self.numerics,
            metrics,
            self.timing.entry().bytes,
            self.progress,
        )
    }

    fn write_finished(
        &mut self,
        store: &Store,
        record: &mut RunRecord,
        weights: &Weights,
        best: Option<&Weights>,
        final_checkpoint: Option<&Checkpoint>,
    ) -> Result<(), StoreError> {
        record.files = BTreeMap::new();
        for (name, weights) in [(WEIGHTS, Some(weights)), (BEST, best)] {
            if let Some(weights) = weights {
                let file = self.write_weights(store, name, weights)?;
                record.files.insert(name.to_owned(), file);
            }
        }
        if let Some(checkpoint) = final_checkpoint {
            record.files.extend(self.save(store, checkpoint)?);
        }
        self.write_record(store, record)
    }

    fn write_failed(&mut self, store: &Store, record: &mut RunRecord) -> Result<(), StoreError> {
        record.files = BTreeMap::new();
        let dir = self.dir.join(CHECKPOINT);
        for entry in store.fs.list(&dir)? {
            let name = format!("{CHECKPOINT}/{}", entry.name);
            if let Some(file) = super::verify::digest(store.fs(), &dir.join(&entry.file_name))? {
                record.files.insert(name, file);
            }
        }
        self.write_record(store, record)
    }

    /// Syncs the files of lines to disk, lists them and the key, and writes the record: from then on, the run
    /// is complete.
    fn write_record(&mut self, store: &Store, record: &mut RunRecord) -> Result<(), StoreError> {
        for (name, lines) in [
            (METRICS, &mut self.metrics),
            (TIMING, &mut self.timing),
            (LOG, &mut self.log),
        ] {
            record.files.insert(name.to_owned(), lines.sync()?);
        }
        record.files.insert(KEY.to_owned(), self.key);
        record.digests.metrics = record.files[METRICS].sha256;
        let bytes = seal("a run's record", record)?;
        store.fs.write_atomic(&self.dir.join(RECORD), &bytes)?;
        // Only after the record: a process killed before this line has lost nothing from which it could have
        // continued.
        drop_unlisted(store.fs(), &self.dir, record)
    }

    fn write_weights(
        &self,
        store: &Store,
        name: &str,
        weights: &Weights,
    ) -> Result<FileEntry, StoreError> {
        let arrays: Vec<_> = weights
            .0
            .iter()
            .map(|tensor| TensorRef::of("", tensor))
            .collect();
        let mut file = AtomicFile::create(store.fs(), &self.dir.join(name))?;
        write_arrays(&mut file, &arrays)?;
        let (bytes, sha256) = file.finish()?;
        Ok(FileEntry { bytes, sha256 })
    }
}
