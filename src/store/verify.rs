//! `store verify`: checks every digest of every file, and names against contents.

use super::cache::is_tokenizer;
use super::error::StoreError;
use super::layout::{
    ARRAYS_LIMIT, CHECKPOINT, EVAL_FILES, GONE, JSON_LIMIT, KEY, RECORD, ShardName, is_plain_path,
    join,
};
use super::plans::read_manifest;
use super::runs::{Entry, Store};
use crate::digest::Sha256Hex;
use crate::fsx::{self, DirEntry, Fs, Judge};
use crate::plan::{EvalKey, RunKey};
use crate::record::{EvalId, FileEntry, RunId};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The result of [`verify`].
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
    /// The problems found; empty if the store is sound.
    pub problems: Vec<Problem>,
}

/// A problem in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The path.
    pub path: PathBuf,
    /// The reason.
    pub reason: String,
    /// The run, if it is one; `run` makes it anew.
    pub run: Option<RunId>,
}

/// Length and digest of a file, read in pieces; `None` if there is none.
pub(crate) fn digest(fs: &dyn Fs, path: &Path) -> Result<Option<FileEntry>, StoreError> {
    let found = fsx::digest(fs, path)?;
    Ok(found.map(|(bytes, sha256)| FileEntry { bytes, sha256 }))
}

/// Reads every file of the store except those in the folders of the token cache (whose format only `data`
/// knows), and compares digests, and names with contents. Changes nothing. The contents of `damaged/` and files
/// being written are ignored.
///
/// # Errors
/// A folder that cannot be read; a damaged file is not an error but a problem in the result.
pub fn verify(store: &Store) -> Result<Verification, StoreError> {
    let mut found = Verification::default();
    found.runs(store)?;
    found.evals(store)?;
    found.models(store)?;
    found.tokenizers(store)?;
    found.plans(store)?;
    for folder in [store.layout.sweeps(), store.layout.damaged(1)] {
        found.listed(store, &folder)?;
    }
    found.sealed(
        &store.layout.calibration(),
        store.read_calibration().map(|read| read.is_some()),
    )?;
    Ok(found)
}

impl Store {
    /// The problem of a finished or failed run, if any: every file is read and compared with its record.
    ///
    /// # Errors
    /// A folder or file that cannot be read for a reason other than damage.
    pub fn problem_of(&self, id: &RunId) -> Result<Option<Problem>, StoreError> {
        let mut found = Verification::default();
        let problem = verify_run(self, id, &mut found)?.err();
        Ok(problem)
    }

    /// The same for an evaluation, if it exists.
    ///
    /// # Errors
    /// Those of [`problem_of`](Self::problem_of).
    pub fn problem_of_eval(&self, id: &EvalId) -> Result<Option<Problem>, StoreError> {
        let dir = self.layout.eval(id);
        Ok(match self.fs().metadata(&dir)? {
            Some(_) => verify_eval(self, id, &dir)?.err(),
            None => None,
        })
    }
}

fn problem(path: impl Into<PathBuf>, reason: impl Into<String>) -> Problem {
    Problem {
        path: path.into(),
        reason: reason.into(),
        run: None,
    }
}

/// Classifies an error: damage, or an entry of another version, is a problem.
fn judged<T>(path: &Path, result: Result<T, StoreError>) -> Result<Result<T, Problem>, StoreError> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(error @ (StoreError::Damaged { .. } | StoreError::Version { .. })) => {
            Ok(Err(problem(path, error.chain())))
        }
        Err(StoreError::Fs(error))
            if error.is_damage() || error.source.kind() == ErrorKind::PermissionDenied =>
        {
            Ok(Err(problem(path, format!("{error}: {}", error.source))))
        }
        Err(error) => Err(error),
    }
}

impl Verification {
    fn tell(&mut self, path: impl Into<PathBuf>, reason: &str) {
        self.problems.push(problem(path, reason));
    }

    /// Counts a standalone sealed file.
    fn sealed(&mut self, path: &Path, read: Result<bool, StoreError>) -> Result<(), StoreError> {
        match judged(path, read)? {
            Ok(is_there) => self.files += usize::from(is_there),
            Err(problem) => self.problems.push(problem),
        }
        Ok(())
    }

    /// The entries of a folder; anything else in its place is a problem.
    fn listed(&mut self, store: &Store, dir: &Path) -> Result<Vec<DirEntry>, StoreError> {
        let listed = store.fs().list(dir).map_err(StoreError::from);
        Ok(judged(dir, listed)?.unwrap_or_else(|problem| {
            self.problems.push(problem);
            Vec::new()
        }))
    }

    /// Visits entries grouped in folders by the beginnings of their names. Entries that `take` does not
    /// recognise are problems.
    fn shards(
        &mut self,
        store: &Store,
        root: &Path,
        mut take: impl FnMut(&mut Self, PathBuf, ShardName) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        for shard in self.listed(store, root)? {
            let folder = root.join(&shard.file_name);
            if !shard.is_dir() {
                if !shard.name.starts_with('.') {
                    self.tell(folder, "no folder of a store");
                }
                continue;
            }
            for entry in self.listed(store, &folder)? {
                let path = folder.join(&entry.file_name);
                // In the process of being written or removed; `store gc` finds abandoned ones.
                let passing = entry.name.starts_with('.') || entry.name.ends_with(GONE);
                match ShardName::parse(&entry.name) {
                    Some(ShardName::Lease(..)) => {}
                    Some(_) if !entry.name.starts_with(&shard.name) => {
                        self.tell(path, "it is in the wrong folder, where nothing finds it");
                    }
                    Some(name) => take(self, path, name)?,
                    None if passing || entry.name.contains(".work-") => {}
                    None => self.tell(path, "no entry of a store"),
                }
            }
        }
        Ok(())
    }

    fn runs(&mut self, store: &Store) -> Result<(), StoreError> {
        let now = Judge::Clock(SystemTime::now());
        self.shards(store, &store.layout.runs(), |found, path, name| {
            match name {
                ShardName::Run(id) => {
                    found.runs += 1;
                    if let Err(problem) = verify_run(store, &id, found)? {
                        found.problems.push(problem);
                    }
                }
                // An unfinished run that no process is making: the next process continues from its checkpoint.
                ShardName::Work(id, _) if !store.is_leased(&id, now)? => {
                    let dir = path.join(CHECKPOINT);
                    let saved = super::checkpoint::load(store.fs(), &dir);
                    found.sealed(&dir, saved.map(|saved| saved.is_some()))?;
                }
                ShardName::Work(..) | ShardName::Lease(..) => {}
            }
            Ok(())
        })
    }

    fn evals(&mut self, store: &Store) -> Result<(), StoreError> {
        self.shards(store, &store.layout.evals(), |found, path, name| {
            let ShardName::Run(id) = name else {
                return Ok(());
            };
            found.evals += 1;
            match verify_eval(store, &EvalId(id.0), &path)? {
                Ok((files, bytes)) => {
                    found.files += files;
                    found.bytes += bytes;
                }
                Err(problem) => found.problems.push(problem),
            }
            Ok(())
        })
    }

    fn models(&mut self, store: &Store) -> Result<(), StoreError> {
        self.shards(store, &store.layout.models(), |found, path, name| {
            let ShardName::Run(id) = name else {
                return Ok(());
            };
            let record = match judged(&path, store.read_model(&path.join(RECORD)))? {
                Ok(Some(record)) if record.id == id.0 && record.key.id() == id.0 => record,
                Ok(_) => {
                    found.tell(path, "it does not hold the model of that id");
                    return Ok(());
                }
                Err(problem) => {
                    found.problems.push(problem);
                    return Ok(());
                }
            };
            found.files += 1;
            let before = found.problems.len();
            for (name, file) in &record.files {
                let path = join(&path, name);
                match judged(&path, digest(store.fs(), &path))? {
                    Ok(now) if is_plain_path(name) && now == Some(*file) => {
                        found.files += 1;
                        found.bytes += file.bytes;
                    }
                    Ok(_) => found.tell(path, "it does not have the digest of the record"),
                    Err(problem) => found.problems.push(problem),
                }
            }
            let known = |name: &str, _| name == RECORD || record.files.contains_key(name);
            found.problems.extend(unlisted(store, &path, known)?);
            if found.problems.len() == before && !store.is_model(&record) {
                found.tell(
                    path,
                    "its weights or its tokenizer are not those that its id stands for",
                );
            }
            Ok(())
        })
    }

    fn tokenizers(&mut self, store: &Store) -> Result<(), StoreError> {
        let folder = store.layout.tokens();
        for entry in self.listed(store, &folder)? {
            let path = folder.join(&entry.file_name);
            let Some(id) = Sha256Hex::parse(&entry.name) else {
                if !entry.is_dir() && !entry.name.starts_with('.') {
                    self.tell(path, "no file of a store");
                }
                continue;
            };
            let bytes = store.fs().read(&path, ARRAYS_LIMIT);
            match judged(&path, bytes.map_err(StoreError::from))? {
                Ok(bytes) if is_tokenizer(&bytes, &id) => {
                    self.files += 1;
                    self.bytes += bytes.len() as u64;
                }
                Ok(_) => self.tell(path, "it is not the tokenizer whose digest is its name"),
                Err(problem) => self.problems.push(problem),
            }
        }
        Ok(())
    }

    fn plans(&mut self, store: &Store) -> Result<(), StoreError> {
        let folder = store.layout.plans();
        for entry in self.listed(store, &folder)? {
            if entry.name.starts_with('.') {
                continue;
            }
            let path = folder.join(&entry.file_name);
            match judged(&path, read_manifest(store, &path))? {
                Ok(Some(manifest)) if manifest.is_named(&entry.name) => self.files += 1,
                Ok(Some(_)) => self.tell(path, "it is the plan of another name"),
                Ok(None) => {}
                Err(problem) => self.problems.push(problem),
            }
        }
        Ok(())
    }
}

/// The first entry of `dir` that `known` does not list, if any.
fn unlisted(
    store: &Store,
    dir: &Path,
    known: impl Fn(&str, bool) -> bool,
) -> Result<Option<Problem>, StoreError> {
    for entry in store.fs().list(dir)? {
        if !known(&entry.name, entry.is_dir()) {
            let path = dir.join(&entry.file_name);
            return Ok(Some(problem(path, "the record does not list it")));
        }
    }
    Ok(None)
}

/// Files and bytes of an evaluation, or its problem.
fn verify_eval(
    store: &Store,
    id: &EvalId,
    dir: &Path,
) -> Result<Result<(usize, u64), Problem>, StoreError> {
    if let Err(problem) = judged(dir, store.read_eval(id, dir))? {
        return Ok(Err(problem));
    }
    let key = store.fs().read(&dir.join(KEY), JSON_LIMIT)?;
    // A key of another version cannot be read, so its id cannot be checked.
    if let Ok(key) = serde_json::from_slice::<EvalKey>(&key)
        && key.id() != *id
    {
        return Ok(Err(problem(
            dir.join(KEY),
            "it does not give the evaluation's id",
        )));
    }
    let known = |name: &str, is_dir: bool| !is_dir && EVAL_FILES.contains(&name);
    if let Some(problem) = unlisted(store, dir, known)? {
        return Ok(Err(problem));
    }
    Ok(Ok((EVAL_FILES.len(), super::gc::extent(store, dir, 1)?.0)))
}

fn verify_run(
    store: &Store,
    id: &RunId,
    found: &mut Verification,
) -> Result<Result<(), Problem>, StoreError> {
    let dir = store.run_dir(id);
    let problem = |path: PathBuf, reason: &str| {
        Ok(Err(Problem {
            run: Some(*id),
            ..problem(path, reason)
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
        match judged(&path, digest(store.fs(), &path))? {
            Ok(now) if now == Some(*file) => {}
            Ok(_) => return problem(path, "it does not have the digest of the record"),
            Err(found) => return problem(path, &found.reason),
        }
        found.files += 1;
        found.bytes += file.bytes;
    }
    let key = match store.fs().read(&dir.join(KEY), JSON_LIMIT) {
        Ok(key) => key,
        Err(error) if error.is_not_found() => return problem(dir.join(KEY), "it is missing"),
        Err(error) => return Err(error.into()),
    };
    // A key of another version cannot be read, so its id cannot be checked.
    if let Ok(key) = serde_json::from_slice::<RunKey>(&key)
        && key.id() != *id
    {
        return problem(dir.join(KEY), "it does not give the run's id");
    }
    let known = |name: &str, is_dir: bool| {
        if is_dir {
            let prefix = format!("{name}/");
            record.files.keys().any(|name| name.starts_with(&prefix))
        } else {
            name == RECORD || record.files.contains_key(name)
        }
    };
    if let Some(unlisted) = unlisted(store, &dir, known)? {
        return problem(unlisted.path, &unlisted.reason);
    }
    Ok(Ok(()))
}
