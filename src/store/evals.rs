//! Evaluations: separate entries, so that a new prompt never requires retraining.

use super::error::StoreError;
use super::layout::{
    JSON_LIMIT, KEY, LINES_LIMIT, PERPLEXITY, RESULT, SAMPLES, is_plain_path, join,
};
use super::runs::Store;
use super::seal::{read_sealed, seal};
use crate::digest::Sha256Hex;
use crate::fsx::{Kind, Metadata, Owner};
use crate::record::{DocumentScore, EvalId, EvalResult, FileEntry, Sample};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

pub(super) const FORMAT: u32 = 1;

/// Name of the folder in which `owner` makes an evaluation.
pub(super) fn work_name(id: &EvalId, owner: &Owner) -> String {
    let process = owner.process.replace(':', "_");
    format!("{id}.work-{}-{process}", owner.token)
}

/// Whether `name` is that of a folder in which a process that is known to have died was making an evaluation.
pub(crate) fn is_left_over(name: &str) -> bool {
    let owner = name.split_once(".work-").and_then(|(_, rest)| {
        let (token, process) = rest.split_once('-')?;
        Owner::parse(&format!("{token} {}", process.replace('_', ":")))
    });
    owner.is_some_and(|owner| owner.is_dead())
}

/// `result.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    format: u32,
    pub(super) id: EvalId,
    metrics: BTreeMap<String, f64>,
    pub(super) files: BTreeMap<String, FileEntry>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    validation: Vec<(u64, f64)>,
}

impl Store {
    /// The result of an evaluation, with every digest checked; `None` if there is none. A damaged result is
    /// moved aside with a warning.
    ///
    /// # Errors
    /// A file that cannot be read; a result of a newer version.
    pub fn eval(&self, id: &EvalId) -> Result<Option<EvalResult>, StoreError> {
        let dir = self.layout.eval(id);
        match self.read_eval(id, &dir) {
            Err(error) if error.is_damage() => {
                let reason = format!("evaluation {}: {}", id.0.short(), error.chain());
                self.take_eval_away(id, &dir, reason)
            }
            other => other,
        }
    }

    /// Moves a damaged evaluation aside and examines it again afterwards: if it is a sound one that another
    /// process has put there meanwhile, it is moved back and returned.
    fn take_eval_away(
        &self,
        id: &EvalId,
        dir: &Path,
        reason: String,
    ) -> Result<Option<EvalResult>, StoreError> {
        let away = dir.with_file_name(work_name(id, &Owner::new()));
        match self.fs.rename(dir, &away) {
            Err(error) if error.is_not_found() => return Ok(None),
            // A read-only store can still be read.
            Err(_) => {
                self.warn(reason);
                return Ok(None);
            }
            Ok(()) => {}
        }
        match self.read_eval(id, &away) {
            Err(error) if error.is_damage() => {
                self.move_aside(&away, &format!("eval-{id}"), &reason)?;
                Ok(None)
            }
            Err(error) => Err(error),
            Ok(sound) => {
                if !self.fs.rename_dir_new(&away, dir)? {
                    self.fs.remove_dir_all(&away)?;
                }
                Ok(sound)
            }
        }
    }

    /// Whether a result exists whose files have the right sizes; nothing else is read.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn has_eval(&self, id: &EvalId) -> Result<bool, StoreError> {
        let dir = self.layout.eval(id);
        let head = match self.eval_head(id, &dir) {
            Ok(Some(head)) => head,
            Ok(None) => return Ok(false),
            Err(error) if error.is_damage() => return Ok(false),
            Err(error) => return Err(error),
        };
        for (name, file) in &head.files {
            let found = self.fs.metadata(&join(&dir, name))?;
            let is_whole = |found: Metadata| found.kind == Kind::File && found.bytes == file.bytes;
            if !found.is_some_and(is_whole) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(super) fn eval_head(&self, id: &EvalId, dir: &Path) -> Result<Option<Head>, StoreError> {
        let path = dir.join(RESULT);
        let damaged = |reason: &str| StoreError::Damaged {
            path: path.clone(),
            reason: reason.to_owned(),
        };
        let head: Option<Head> =
            read_sealed(self.fs(), &path, JSON_LIMIT, "an evaluation", FORMAT)?;
        match head {
            None if self.fs.metadata(dir)?.is_some() => Err(damaged("it is missing")),
            Some(head) if head.id != *id => Err(damaged("it is of another evaluation")),
            Some(head) if !head.files.keys().all(|name| is_plain_path(name)) => {
                Err(damaged("it lists files outside"))
            }
            other => Ok(other),
        }
    }

    pub(crate) fn read_eval(
        &self,
        id: &EvalId,
        dir: &Path,
    ) -> Result<Option<EvalResult>, StoreError> {
        let Some(head) = self.eval_head(id, dir)? else {
            return Ok(None);
        };
        let read = |name: &str| {
            let path = dir.join(name);
            let damaged = |reason: &str| StoreError::Damaged {
                path: path.clone(),
                reason: reason.to_owned(),
            };
            let file = head.files.get(name).ok_or_else(|| damaged("not listed"))?;
            let bytes = match self.fs.read(&path, LINES_LIMIT.min(file.bytes)) {
                Err(error) if error.is_not_found() => return Err(damaged("it is missing")),
                Err(error) if error.is_damage() => {
                    return Err(damaged(&error.source.to_string()));
                }
                other => other?,
            };
            if Sha256Hex::of(&bytes) != file.sha256 {
                return Err(damaged("it does not have the digest of the result"));
            }
            Ok(bytes)
        };
        let parse_error = |error: serde_json::Error| StoreError::Damaged {
            path: dir.to_path_buf(),
            reason: error.to_string(),
        };
        read(KEY)?;
        let samples: Vec<Sample> = serde_json::from_slice(&read(SAMPLES)?).map_err(parse_error)?;
        let mut documents: Vec<DocumentScore> = Vec::new();
        for line in read(PERPLEXITY)?.split(|byte| *byte == b'\n') {
            if !line.is_empty() {
                documents.push(serde_json::from_slice(line).map_err(parse_error)?);
            }
        }
        Ok(Some(EvalResult {
            format: head.format,
            metrics: head.metrics,
            documents,
            samples,
            validation: head.validation,
        }))
    }

    /// Publishes the result of an evaluation; `key` is the key from which its id is computed. If a result
    /// exists already, it stays.
    ///
    /// # Errors
    /// Files that cannot be written; numbers that are not finite.
    pub fn put_eval(
        &self,
        id: &EvalId,
        key: &serde_json::Value,
        result: &EvalResult,
    ) -> Result<(), StoreError> {
        let finite = result.metrics.iter().find(|(_, value)| !value.is_finite());
        if let Some((name, value)) = finite {
            return Err(StoreError::Unstorable {
                what: "an evaluation",
                reason: format!("`{name}` is {value}"),
            });
        }
        match self.write_eval(id, key, result) {
            // After a long delay, this process may find that its folder was removed as garbage.
            Err(StoreError::Fs(error)) if error.is_not_found() => self.write_eval(id, key, result),
            other => other,
        }
    }

    fn write_eval(
        &self,
        id: &EvalId,
        key: &serde_json::Value,
        result: &EvalResult,
    ) -> Result<(), StoreError> {
        let unstorable = |error: serde_json::Error| StoreError::Unstorable {
            what: "an evaluation",
            reason: error.to_string(),
        };
        let shard = self.layout.evals().join(&id.to_string()[..2]);
        let work = shard.join(work_name(id, &Owner::new()));
        self.make_shard(&shard)?;
        self.fs.create_dir_all(&work)?;
        // Leftovers of the same evaluation from a killed process.
        for entry in self.fs.list(&shard)? {
            if entry.name.starts_with(&id.to_string()) && is_left_over(&entry.name) {
                self.fs.remove_dir_all(&shard.join(&entry.file_name))?;
            }
        }
        let mut lines = Vec::new();
        for document in &result.documents {
            serde_json::to_writer(&mut lines, document).map_err(unstorable)?;
            lines.push(b'\n');
        }
        let contents = [
            (KEY, serde_json::to_vec(key).map_err(unstorable)?),
            (
                SAMPLES,
                serde_json::to_vec_pretty(&result.samples).map_err(unstorable)?,
            ),
            (PERPLEXITY, lines),
        ];
        let mut files = BTreeMap::new();
        for (name, bytes) in &contents {
            self.fs.write_atomic(&work.join(name), bytes)?;
            let entry = FileEntry {
                bytes: bytes.len() as u64,
                sha256: Sha256Hex::of(bytes),
            };
            files.insert((*name).to_owned(), entry);
        }
        let head = Head {
            format: FORMAT,
            id: *id,
            metrics: result.metrics.clone(),
            files,
            validation: result.validation.clone(),
        };
        self.fs
            .write_atomic(&work.join(RESULT), &seal("an evaluation", &head)?)?;
        self.publish_eval(id, &work)
    }

    /// Moves a complete evaluation from `work` to its place.
    pub(super) fn publish_eval(&self, id: &EvalId, work: &Path) -> Result<(), StoreError> {
        let target = self.layout.eval(id);
        for _ in 0..3 {
            if self.fs.rename_dir_new(work, &target)? {
                let shard = target.parent().unwrap_or(&target);
                return Ok(self.fs.sync_dir(shard)?);
            }
            // A readable evaluation stays; an unreadable one is moved aside and replaced by ours.
            if self.eval(id)?.is_some() {
                return Ok(self.fs.remove_dir_all(work)?);
            }
        }
        Err(StoreError::Damaged {
            path: target,
            reason: "it cannot be moved aside".to_owned(),
        })
    }
}
