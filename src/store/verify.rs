//! `store verify`: every digest of every file.

use super::cache::tokens_are_sound;
use super::error::StoreError;
use super::layout::{ARRAYS_LIMIT, KEY, RECORD, ShardName, join};
use super::plans::read_manifest;
use super::runs::{Entry, Store};
use crate::digest::{Hasher, Sha256Hex};
use crate::fsx::{Fs, FsError};
use crate::plan::RunKey;
use crate::record::{EvalId, FileEntry, RunId};
use std::path::{Path, PathBuf};

/// What [`verify`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// Finished and failed runs.
    pub runs: usize,
    /// Evaluations.
    pub evals: usize,
    /// Files read.
    pub files: usize,
    /// Bytes read.
    pub bytes: u64,
    /// What is wrong; empty where the store is sound.
    pub problems: Vec<Problem>,
}

/// Something wrong in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub path: PathBuf,
    /// What.
    pub reason: String,
    /// The run, where it is one: `run` makes it anew.
    pub run: Option<RunId>,
}

/// Length and digest of a file, read piece by piece; `None` where there is none.
pub(crate) fn digest(fs: &dyn Fs, path: &Path) -> Result<Option<FileEntry>, StoreError> {
    let mut file = match fs.open_read(path) {
        Ok(file) => file,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut hasher = Hasher::new();
    let mut piece = vec![0; 1 << 18];
    let mut bytes = 0;
    loop {
        let count = match file.read(&mut piece) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            other => other.map_err(|error| FsError::new("read", path, error))?,
        };
        if count == 0 {
            break;
        }
        hasher.update(&piece[..count]);
        bytes += count as u64;
    }
    let sha256 = hasher.finish();
    Ok(Some(FileEntry { bytes, sha256 }))
}

/// Checks every digest of the store. Changes nothing.
///
/// # Errors
/// A folder that cannot be read; a damaged file is no error but a problem in the result.
pub fn verify(store: &Store) -> Result<Verification, StoreError> {
    let mut found = Verification::default();
    for id in store.ids(false)? {
        found.runs += 1;
        if let Err(problem) = verify_run(store, &id, &mut found)? {
            found.problems.push(problem);
        }
    }
    verify_evals(store, &mut found)?;
    verify_others(store, &mut found)?;
    Ok(found)
}

fn verify_run(
    store: &Store,
    id: &RunId,
    found: &mut Verification,
) -> Result<Result<(), Problem>, StoreError> {
    let dir = store.run_dir(id);
    let problem = |path: PathBuf, reason: &str| {
        Ok(Err(Problem {
            path,
            reason: reason.to_owned(),
            run: Some(*id),
        }))
    };
    match store.finished(id) {
        Ok(Entry::Damaged { reason }) => return problem(dir, &reason),
        Err(error @ StoreError::Version { .. }) => return problem(dir, &error.chain()),
        other => other?,
    };
    let record = match store.record_in(id, &dir) {
        Ok(Some(record)) => record,
        Ok(None) => return problem(dir, "the record is missing"),
        Err(error @ StoreError::Damaged { .. }) => return problem(dir, &error.chain()),
        Err(error) => return Err(error),
    };
    found.files += 1;
    for (name, file) in &record.files {
        let path = join(&dir, name);
        let now = digest(store.fs(), &path)?;
        if now != Some(*file) {
            return problem(path, "it does not have the digest of the record");
        }
        found.files += 1;
        found.bytes += file.bytes;
    }
    let key = store.fs().read(&dir.join(KEY), super::layout::JSON_LIMIT)?;
    // A key of another version cannot be read, and its id not checked.
    if let Ok(key) = serde_json::from_slice::<RunKey>(&key)
        && key.id() != *id
    {
        return problem(dir.join(KEY), "it does not give the run's id");
    }
    let listed = |name: &str| name == RECORD || record.files.contains_key(name);
    for entry in store.fs().list(&dir)? {
        let known = if entry.is_dir() {
            let prefix = format!("{}/", entry.name);
            record.files.keys().any(|name| name.starts_with(&prefix))
        } else {
            listed(&entry.name)
        };
        if !known {
            return problem(dir.join(&entry.name), "the record does not list it");
        }
    }
    Ok(Ok(()))
}

fn verify_evals(store: &Store, found: &mut Verification) -> Result<(), StoreError> {
    let root = store.layout.evals();
    for shard in store.fs().list(&root)? {
        for entry in store.fs().list(&root.join(&shard.name))? {
            let Some(ShardName::Run(id)) = ShardName::parse(&entry.name) else {
                continue;
            };
            found.evals += 1;
            let dir = root.join(&shard.name).join(&entry.name);
            match store.read_eval(&EvalId(id.0), &dir) {
                Ok(_) => found.files += 4,
                Err(error @ (StoreError::Damaged { .. } | StoreError::Version { .. })) => {
                    found.problems.push(Problem {
                        path: dir,
                        reason: error.chain(),
                        run: None,
                    });
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

fn verify_others(store: &Store, found: &mut Verification) -> Result<(), StoreError> {
    let mut report = |path: PathBuf, reason: String| {
        found.problems.push(Problem {
            path,
            reason,
            run: None,
        });
    };
    let tokens = store.layout.tokens();
    for entry in store.fs().list(&tokens)? {
        if entry.is_dir() || Sha256Hex::parse(&entry.name).is_none() {
            continue;
        }
        let path = tokens.join(&entry.name);
        if !tokens_are_sound(&store.fs().read(&path, ARRAYS_LIMIT)?) {
            report(path, "it does not have its digest".to_owned());
        }
    }
    let plans = store.layout.plans();
    for entry in store.fs().list(&plans)? {
        let path = plans.join(&entry.name);
        if entry.is_dir() || entry.name.starts_with('.') {
            continue;
        }
        match read_manifest(store, &path) {
            Ok(_) => {}
            Err(error @ (StoreError::Damaged { .. } | StoreError::Version { .. })) => {
                report(path, error.chain());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
