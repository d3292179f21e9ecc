//! Files of finished runs, read with every digest checked.

use super::checkpoint;
use super::error::StoreError;
use super::layout::{
    ARRAYS_LIMIT, BEST, CHECKPOINT, JSON_LIMIT, LINES_LIMIT, LOG, METRICS, RECORD, TIMING, WEIGHTS,
    is_plain_path, join,
};
use super::lease::Numbers;
use super::runs::Store;
use super::seal::read_sealed;
use super::weights::read_arrays;
use crate::digest::Sha256Hex;
use crate::record::{MetricPoint, RECORD_FORMAT, RunId, RunRecord};
use crate::weights::{Checkpoint, Weights};
use std::path::{Path, PathBuf};

impl Store {
    pub(super) fn read_record<T: serde::de::DeserializeOwned>(
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

    /// The record of a finished or failed run; `None` if there is none, or (with a warning) if it is damaged.
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
    /// [`StoreError::Damaged`] if the run has no such file, or if it differs from what was written.
    pub fn file(&self, id: &RunId, name: &str) -> Result<Vec<u8>, StoreError> {
        let dir = self.layout.run(id);
        let damaged = |reason: &str| StoreError::Damaged {
            path: join(&dir, name),
            reason: reason.to_owned(),
        };
        let record = self
            .record_in(id, &dir)?
            .ok_or_else(|| StoreError::NoSuchRun {
                text: id.0.short(),
                near: Vec::new(),
            })?;
        let Some(file) = record.files.get(name).filter(|_| is_plain_path(name)) else {
            return Err(damaged("the record does not list it"));
        };
        let limit = match name {
            _ if name.ends_with(".safetensors") => ARRAYS_LIMIT,
            _ if name.ends_with(".json") => JSON_LIMIT,
            _ => LINES_LIMIT,
        };
        // A file longer than its record states is damaged and is not read.
        let bytes = match self.fs.read(&join(&dir, name), limit.min(file.bytes)) {
            Err(error) if error.is_not_found() => return Err(damaged("it is missing")),
            Err(error) if error.is_damage() => return Err(damaged(&error.source.to_string())),
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
    /// [`StoreError::Damaged`], or files that cannot be read.
    pub fn metrics(&self, id: &RunId) -> Result<Vec<MetricPoint>, StoreError> {
        let bytes = self.file(id, METRICS)?;
        parse_points(&bytes).map_err(|reason| StoreError::Damaged {
            path: self.layout.run(id).join(METRICS),
            reason,
        })
    }

    /// The metrics of a run written so far; for an unfinished run, those of its newest attempt, without
    /// unreadable ones.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn metrics_so_far(&self, id: &RunId) -> Result<Vec<MetricPoint>, StoreError> {
        let works = Numbers::of(self.fs(), &self.layout, id)?.works;
        let work = works.last().map(|number| self.layout.work(id, *number));
        for dir in [Some(self.layout.run(id)), work].into_iter().flatten() {
            let bytes = match self.fs.read(&dir.join(METRICS), LINES_LIMIT) {
                Ok(bytes) => bytes,
                Err(error) if error.is_not_found() => continue,
                Err(error) => return Err(error.into()),
            };
            // The last line may be incomplete.
            let end = bytes.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
            return Ok(parse_points(&bytes[..end]).unwrap_or_default());
        }
        Ok(Vec::new())
    }

    /// The weights used in evaluations: the last ones, or the best if only those are kept.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], or files that cannot be read.
    pub fn weights(&self, id: &RunId) -> Result<Weights, StoreError> {
        self.weights_of(id, WEIGHTS)
    }

    /// The weights with the lowest validation loss, for a run that keeps both.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], or files that cannot be read.
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

    /// The checkpoint of a run: the final one if a finished run kept it, or the last one of an unfinished run.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], or files that cannot be read.
    pub fn checkpoint(&self, id: &RunId) -> Result<Option<Checkpoint>, StoreError> {
        let work = Numbers::of(self.fs(), &self.layout, id)?
            .works
            .pop()
            .map(|number| self.layout.work(id, number));
        for dir in [Some(self.layout.run(id)), work].into_iter().flatten() {
            if let Some(saved) = checkpoint::load(self.fs.as_ref(), &dir.join(CHECKPOINT))? {
                return Ok(Some(saved.checkpoint));
            }
        }
        Ok(None)
    }

    /// Whether a finished run has kept its final checkpoint; does not read it.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn keeps_checkpoint(&self, id: &RunId) -> Result<bool, StoreError> {
        let head = join(&self.layout.run(id), checkpoint::HEAD_NAME);
        Ok(self.fs.metadata(&head)?.is_some())
    }

    /// Path of a run's log and its last `lines` lines; `None` if there is none. Control characters are escaped.
    ///
    /// # Errors
    /// A log that cannot be read.
    pub fn log_tail(
        &self,
        id: &RunId,
        lines: usize,
    ) -> Result<Option<(PathBuf, String)>, StoreError> {
        let works = Numbers::of(self.fs(), &self.layout, id)?.works;
        let dirs = works
            .iter()
            .rev()
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
    /// [`StoreError::Damaged`], or files that cannot be read.
    pub fn timing(&self, id: &RunId) -> Result<Vec<u8>, StoreError> {
        self.file(id, TIMING)
    }
}

/// Parses lines of metrics; steps must increase by one.
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
