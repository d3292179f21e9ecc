//! Writing files below a folder all at once.
//!
//! New files are gathered in the folder `.specbook-write`, which git ignores; a journal then says what is to be put where and what is to
//! be removed; then it is done, and the folder goes. Whoever comes after a writer that was killed finishes what the journal says, or, where
//! there is none yet, throws away what was gathered. A lock lets one writer in at a time; readers wait for it where they find the folder.

use crate::digest::Sha256Hex;
use crate::fsx::{Fs, FsResult, Lock};
use serde::{Deserialize, Serialize};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const FOLDER: &str = ".specbook-write";
const JOURNAL: &str = "journal.json";
const NEW: &str = "new";
const LOCK: &str = "lock";

/// How long a writer waits for another one.
const PATIENCE: Duration = Duration::from_secs(60);

/// Longest journal that is read, bytes.
const LIMIT: u64 = 64 << 20;

/// What is to be done; paths are relative to the folder written to, with forward slashes.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Journal {
    put: Vec<String>,
    /// Removed only while they have this digest.
    remove: Vec<(String, Sha256Hex)>,
}

/// A change of files below a folder that is being prepared. Dropped before [`finish`](Self::finish), nothing happens.
pub(super) struct Staging<'a> {
    root: &'a Path,
    fs: Arc<dyn Fs>,
    journal: Journal,
    _lock: Lock,
}

impl<'a> Staging<'a> {
    /// Becomes the writer of `root`, which is created; finishes first what a killed one began.
    pub(super) fn begin(root: &'a Path, fs: &Arc<dyn Fs>) -> FsResult<Self> {
        let folder = root.join(FOLDER);
        let lock = loop {
            fs.create_dir_all(&folder)?;
            // A writer that ends removes the folder.
            match Lock::take(&folder.join(LOCK), PATIENCE) {
                Err(error) if error.is_not_found() => {}
                other => break other?,
            }
        };
        fs.write_atomic(&folder.join(".gitignore"), b"*\n")?;
        let staging = Self {
            root,
            fs: Arc::clone(fs),
            journal: Journal::default(),
            _lock: lock,
        };
        staging.recover()?;
        Ok(staging)
    }

    /// Waits for a writer at work below `root`, and finishes what a killed one began.
    pub(super) fn settle(root: &'a Path, fs: &Arc<dyn Fs>) -> FsResult<()> {
        match fs.metadata(&root.join(FOLDER))? {
            Some(found) if found.is_dir() => Self::begin(root, fs)?.clear(),
            _ => Ok(()),
        }
    }

    /// Prepares a file, unless the same stands there already (it then keeps its modification time).
    pub(super) fn put(&mut self, path: &str, bytes: &[u8]) -> FsResult<()> {
        let old = self.fs.read(&self.root.join(path), bytes.len() as u64);
        if old.is_ok_and(|old| old == bytes) {
            return Ok(());
        }
        let new = self.new_file(path);
        if let Some(parent) = new.parent() {
            self.fs.create_dir_all(parent)?;
        }
        self.fs.write_atomic(&new, bytes)?;
        self.journal.put.push(path.to_owned());
        Ok(())
    }

    /// Prepares the removal of a file, if it still has this digest then.
    pub(super) fn remove(&mut self, path: &str, digest: Sha256Hex) {
        self.journal.remove.push((path.to_owned(), digest));
    }

    /// Does all that was prepared.
    pub(super) fn finish(self) -> FsResult<()> {
        let journal = serde_json::to_vec(&self.journal).expect("a list of paths and digests");
        let path = self.root.join(FOLDER).join(JOURNAL);
        self.fs.write_atomic(&path, &journal)?;
        self.apply(&self.journal)?;
        self.clear()
    }

    fn new_file(&self, path: &str) -> PathBuf {
        self.root.join(FOLDER).join(NEW).join(path)
    }

    fn recover(&self) -> FsResult<()> {
        let path = self.root.join(FOLDER).join(JOURNAL);
        match self.fs.read(&path, LIMIT) {
            Ok(bytes) => {
                // A journal is written whole; one that cannot be read is not ours to follow.
                if let Ok(journal) = serde_json::from_slice::<Journal>(&bytes) {
                    self.apply(&journal)?;
                }
                self.fs.remove_file(&path)?;
            }
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
        self.fs.remove_dir_all(&self.root.join(FOLDER).join(NEW))
    }

    fn apply(&self, journal: &Journal) -> FsResult<()> {
        let fs = self.fs.as_ref();
        for path in journal.put.iter().filter(|path| is_below(path)) {
            let (new, target) = (self.new_file(path), self.root.join(path));
            // Where it is gone, it was put in place before.
            if fs.metadata(&new)?.is_none_or(|found| found.is_dir()) {
                continue;
            }
            if let Some(parent) = target.parent() {
                fs.create_dir_all(parent)?;
            }
            fs.rename(&new, &target)?;
        }
        for (path, digest) in journal.remove.iter().filter(|(path, _)| is_below(path)) {
            let path = self.root.join(path);
            match fs.read(&path, super::folder::LIMIT) {
                Ok(bytes) if Sha256Hex::of(&bytes) == *digest => fs.remove_file(&path)?,
                Ok(_) => {}
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Ends being the writer.
    fn clear(self) -> FsResult<()> {
        self.fs.remove_dir_all(&self.root.join(FOLDER))
    }
}

/// Whether a path of a journal stays below the folder and out of our own.
fn is_below(path: &str) -> bool {
    let mut parts = Path::new(path).components();
    parts.all(|part| matches!(part, Component::Normal(name) if name != FOLDER))
}
