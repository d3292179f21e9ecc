//! Runs and evaluations from other stores: their parts, and how they are received. Nothing received is trusted:
//! digests must match, and the id must follow from the key.

use super::begin::BeginOptions;
use super::error::StoreError;
use super::evals::{FORMAT as EVAL_FORMAT, Head, work_name};
use super::layout::{JSON_LIMIT, KEY, RECORD, RESULT, is_plain_path, join};
use super::runs::{Entry, Store};
use super::seal::parse_sealed;
use super::verify::digest;
use super::work::drop_unlisted;
use crate::digest::Sha256Hex;
use crate::fsx::Owner;
use crate::plan::{EvalKey, RunKey};
use crate::record::{EvalId, FileEntry, RECORD_FORMAT, RunId, RunRecord, RunStatus};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The outcome of receiving an entry from another store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// It was added to this store.
    New,
    /// It was already here.
    There,
    /// Another process is making it.
    Busy,
}

/// An entry as offered to other stores: the file that lists all others, and those files.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The bytes of `record.json` or `result.json`.
    pub list: Vec<u8>,
    /// The other files, by name.
    pub files: BTreeMap<String, FileEntry>,
    /// Their folder.
    pub folder: PathBuf,
    /// For a run, the digest of its tokenizer.
    pub tokenizer: Option<Sha256Hex>,
}

impl Store {
    /// A finished run as offered to other stores; `None` if it is not finished.
    ///
    /// # Errors
    /// Files that cannot be read.
    pub fn listed_run(&self, id: &RunId) -> Result<Option<Listed>, StoreError> {
        if !matches!(self.finished(id)?, Entry::Cached) {
            return Ok(None);
        }
        let folder = self.layout.run(id);
        let Some(record) = self.record_in(id, &folder)? else {
            return Ok(None);
        };
        Ok(Some(Listed {
            list: self.fs.read(&folder.join(RECORD), JSON_LIMIT)?,
            files: record.files,
            folder,
            tokenizer: Some(record.digests.tokenizer),
        }))
    }

    /// The same for an evaluation.
    ///
    /// # Errors
    /// Files that cannot be read.
    pub fn listed_eval(&self, id: &EvalId) -> Result<Option<Listed>, StoreError> {
        if !self.has_eval(id)? {
            return Ok(None);
        }
        let folder = self.layout.eval(id);
        let head = self.eval_head(id, &folder)?;
        let list = self.fs.read(&folder.join(RESULT), JSON_LIMIT)?;
        Ok(head.map(|head| Listed {
            list,
            files: head.files,
            folder,
            tokenizer: None,
        }))
    }

    /// Receives a finished run. `record` is its `record.json`; `fetch` downloads a file of the entry to a path,
    /// where part of it may exist from an earlier attempt. Returns the digest of its tokenizer too.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if something does not match its digest or id; files that cannot be written; the
    /// errors of `fetch`. Everything received so far is kept for the next attempt.
    pub fn receive_run<E: From<StoreError>>(
        &self,
        id: &RunId,
        record: &[u8],
        fetch: &mut dyn FnMut(&FileEntry, &Path) -> Result<(), E>,
    ) -> Result<(Received, Option<Sha256Hex>), E> {
        let told = Path::new(RECORD);
        let found: RunRecord =
            parse_sealed(record.to_vec(), told, "a run's record", RECORD_FORMAT)?;
        let is_plain =
            found.files.keys().all(|name| is_plain_path(name)) && found.files.contains_key(KEY);
        if found.id != *id || found.status != RunStatus::Cached || !is_plain {
            return Err(damaged(told, "it is not the record of this run").into());
        }
        let tokenizer = Some(found.digests.tokenizer);
        if matches!(self.finished(id)?, Entry::Cached) {
            return Ok((Received::There, tokenizer));
        }
        let Some(lease) = self.lease(id)? else {
            return Ok((Received::Busy, None));
        };
        let (dir, published) = self.take_over(&lease, BeginOptions::default())?;
        if published.is_some() {
            return Ok((Received::There, tokenizer));
        }
        self.fetch_all(&dir, &found.files, fetch)?;
        let key = self
            .fs
            .read(&dir.join(KEY), JSON_LIMIT)
            .map_err(StoreError::from)?;
        // A key of another version cannot be read, so its id cannot be checked.
        if let Ok(key) = serde_json::from_slice::<RunKey>(&key)
            && key.id() != *id
        {
            return Err(damaged(&dir.join(KEY), "it does not give the run's id").into());
        }
        let publish = || {
            lease.check()?;
            self.fs.write_atomic(&dir.join(RECORD), record)?;
            drop_unlisted(self.fs(), &dir, &found)?;
            self.publish(&lease, &dir, found, BeginOptions::default())
        };
        publish().map_err(|error| lease.explain(error))?;
        Ok((Received::New, tokenizer))
    }

    /// Receives an evaluation, as [`receive_run`](Self::receive_run) does a run.
    ///
    /// # Errors
    /// Those of [`receive_run`](Self::receive_run).
    pub fn receive_eval<E: From<StoreError>>(
        &self,
        id: &EvalId,
        result: &[u8],
        fetch: &mut dyn FnMut(&FileEntry, &Path) -> Result<(), E>,
    ) -> Result<Received, E> {
        if self.has_eval(id)? {
            return Ok(Received::There);
        }
        let told = Path::new(RESULT);
        let head: Head = parse_sealed(result.to_vec(), told, "an evaluation", EVAL_FORMAT)?;
        if head.id != *id || !head.files.keys().all(|name| is_plain_path(name)) {
            return Err(damaged(told, "it is not the result of this evaluation").into());
        }
        let target = self.layout.eval(id);
        let work = target.with_file_name(work_name(id, &Owner::new()));
        let write = |error| E::from(StoreError::Fs(error));
        self.fs.create_dir_all(&work).map_err(write)?;
        let mut bring = || {
            self.fetch_all(&work, &head.files, fetch)?;
            self.fs
                .write_atomic(&work.join(RESULT), result)
                .map_err(write)?;
            self.read_eval(id, &work)?;
            let key = self.fs.read(&work.join(KEY), JSON_LIMIT).map_err(write)?;
            if let Ok(key) = serde_json::from_slice::<EvalKey>(&key)
                && key.id() != *id
            {
                return Err(
                    damaged(&work.join(KEY), "it does not give the evaluation's id").into(),
                );
            }
            Ok(self.publish_eval(id, &work)?)
        };
        let brought = bring();
        if brought.is_err() {
            // The first error is the one to report.
            let _ = self.fs.remove_dir_all(&work);
        }
        brought.map(|()| Received::New)
    }

    /// Fetches every file and compares its digest. A complete file is not fetched again; a wrong one is
    /// removed.
    fn fetch_all<E: From<StoreError>>(
        &self,
        dir: &Path,
        files: &BTreeMap<String, FileEntry>,
        fetch: &mut dyn FnMut(&FileEntry, &Path) -> Result<(), E>,
    ) -> Result<(), E> {
        for (name, file) in files {
            let path = join(dir, name);
            if let Some(parent) = path.parent() {
                self.fs.create_dir_all(parent).map_err(StoreError::from)?;
            }
            if digest(self.fs(), &path)? == Some(*file) {
                continue;
            }
            self.fs.remove_file(&path).map_err(StoreError::from)?;
            fetch(file, &path)?;
            if digest(self.fs(), &path)? != Some(*file) {
                self.fs.remove_file(&path).map_err(StoreError::from)?;
                return Err(
                    damaged(Path::new(name), "it does not have the digest of the record").into(),
                );
            }
        }
        Ok(())
    }
}

fn damaged(path: &Path, reason: &str) -> StoreError {
    StoreError::Damaged {
        path: path.to_path_buf(),
        reason: reason.to_owned(),
    }
}
