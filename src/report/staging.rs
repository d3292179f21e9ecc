//! Writes files below a folder all at once.
//!
//! New files are collected in the folder `.specbook-write`, which git ignores. A journal then lists
//! the files to put in place and the files to remove; these changes are carried out, and the folder
//! is deleted. Whoever comes after a killed writer completes the journal or, if there is none yet,
//! discards the collected files. A lock admits one writer at a time; readers wait for it if the
//! folder exists.

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

/// Time that a writer waits for another one.
const PATIENCE: Duration = Duration::from_secs(60);

/// Maximum length of a journal, in bytes.
const LIMIT: u64 = 64 << 20;

/// The changes to carry out; paths are relative to the folder written to, with forward slashes.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Journal {
    put: Vec<String>,
    /// Files to remove if they still have this digest.
    remove: Vec<(String, Sha256Hex)>,
}

/// A change of files below a folder, in preparation. If it is dropped before
/// [`finish`](Self::finish), nothing happens.
pub(super) struct Staging<'a> {
    root: &'a Path,
    fs: Arc<dyn Fs>,
    journal: Journal,
    lock: Lock,
}

impl<'a> Staging<'a> {
    /// Becomes the writer of `root`, creating the folder if necessary; first completes the work of
    /// a killed writer.
    pub(super) fn begin(root: &'a Path, fs: &Arc<dyn Fs>) -> FsResult<Self> {
        let folder = root.join(FOLDER);
        let lock = loop {
            fs.create_dir_all(&folder)?;
            // A finishing writer removes the folder.
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
            lock,
        };
        staging.recover()?;
        Ok(staging)
    }

    /// Waits for an active writer below `root`, and completes the work of a killed one.
    pub(super) fn settle(root: &'a Path, fs: &Arc<dyn Fs>) -> FsResult<()> {
        match fs.metadata(&root.join(FOLDER))? {
            Some(found) if found.is_dir() => Self::begin(root, fs)?.clear(),
            _ => Ok(()),
        }
    }

    /// Prepares a file unless the same contents are already in place; the file then keeps its
    /// modification time.
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

    /// Prepares the removal of a file, which takes place only if the file then still has this
    /// digest.
    pub(super) fn remove(&mut self, path: &str, digest: Sha256Hex) {
        self.journal.remove.push((path.to_owned(), digest));
    }

    /// Carries out all prepared changes.
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
                // Journals are written atomically, so an unreadable one is not ours and is ignored.
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
            // A missing file was already put in place.
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

    /// Stops being the writer. The lock is released last: whoever waits for it may begin at once,
    /// and the folder is then theirs.
    fn clear(self) -> FsResult<()> {
        let Self { root, fs, lock, .. } = self;
        let folder = root.join(FOLDER);
        let entries = fs.list(&folder)?;
        for entry in entries.iter().filter(|entry| entry.name != LOCK) {
            let path = folder.join(&entry.file_name);
            if entry.is_dir() {
                fs.remove_dir_all(&path)?;
            } else {
                fs.remove_file(&path)?;
            }
        }
        fs.remove_file(&folder.join(LOCK))?;
        // Windows keeps the name of a removed file until the file is closed.
        drop(lock);
        fs.remove_dir(&folder).map(|_| ())
    }
}

/// Whether a path in a journal stays below the folder and outside our own folder.
fn is_below(path: &str) -> bool {
    let mut parts = Path::new(path).components();
    parts.all(|part| matches!(part, Component::Normal(name) if name != FOLDER))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fsx::{Fault, FaultFs, RealFs};

    const OLD: [(&str, &str); 3] = [("a/x", "1"), ("a/gone", "2"), ("index", "3")];

    /// Replaces two files and removes one.
    fn change(root: &Path, fs: &Arc<dyn Fs>) -> FsResult<()> {
        let mut staging = Staging::begin(root, fs)?;
        staging.put("a/x", b"new 1")?;
        staging.put("a/sub/y", b"new 4")?;
        staging.put("index", b"new 3")?;
        staging.remove("a/gone", Sha256Hex::of(b"2"));
        staging.remove("a/mine", Sha256Hex::of(b"what it was"));
        staging.finish()
    }

    fn state(root: &Path) -> [Option<String>; 5] {
        ["a/x", "a/sub/y", "index", "a/gone", "a/mine"]
            .map(|path| std::fs::read_to_string(root.join(path)).ok())
    }

    #[test]
    fn a_writer_killed_anywhere_leaves_all_or_nothing() {
        let real: Arc<dyn Fs> = Arc::new(RealFs::without_sync());
        let mut outcomes = [0, 0];
        for at in 0.. {
            let folder = tempfile::tempdir().unwrap();
            let root = folder.path();
            std::fs::create_dir_all(root.join("a")).unwrap();
            for (path, text) in OLD {
                std::fs::write(root.join(path), text).unwrap();
            }
            std::fs::write(root.join("a/mine"), "not as it was").unwrap();
            let before = state(root);
            let faulty = FaultFs::new(Arc::clone(&real), at, Fault::Kill);
            let faulty: Arc<dyn Fs> = Arc::new(faulty);
            let ended = change(root, &faulty.below(root));
            // The next reader sees one state or the other, and nothing of the writer is left.
            Staging::settle(root, &real.below(root)).unwrap();
            let after = state(root);
            let changed = [
                Some("new 1"),
                Some("new 4"),
                Some("new 3"),
                None,
                Some("not as it was"),
            ]
            .map(|text| text.map(str::to_owned));
            assert!(
                after == before || after == changed,
                "killed at {at}: {after:?}"
            );
            assert!(!root.join(FOLDER).exists(), "killed at {at}");
            outcomes[usize::from(after == changed)] += 1;
            if ended.is_ok() {
                break;
            }
        }
        assert!(outcomes[0] > 10 && outcomes[1] > 5, "{outcomes:?}");
    }

    /// No writer fails, and the final contents are those of one writer as a whole.
    #[test]
    fn writers_beside_each_other_all_succeed() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let fs: Arc<dyn Fs> = Arc::new(RealFs::without_sync());
        let write = |writer: usize| {
            for round in 0..40 {
                let text = format!("{writer} {round}");
                let mut staging = Staging::begin(root, &fs.below(root)).unwrap();
                for path in ["a/x", "a/sub/y", "index"] {
                    staging.put(path, text.as_bytes()).unwrap();
                }
                staging.finish().unwrap();
                Staging::settle(root, &fs.below(root)).unwrap();
            }
        };
        std::thread::scope(|scope| {
            for writer in 0..4 {
                scope.spawn(move || write(writer));
            }
        });
        let [x, y, index, ..] = state(root);
        assert!(x.is_some() && x == y && y == index, "{x:?} {y:?} {index:?}");
        assert!(!root.join(FOLDER).exists());
    }

    #[test]
    fn a_journal_cannot_lead_outside() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("reports");
        let victim = folder.path().join("victim");
        std::fs::write(&victim, "mine").unwrap();
        std::fs::create_dir_all(root.join(FOLDER)).unwrap();
        let digest = Sha256Hex::of(b"mine");
        let journal = format!(r#"{{"put":["../victim"],"remove":[["../victim","{digest}"]]}}"#);
        std::fs::write(root.join(FOLDER).join(JOURNAL), journal).unwrap();
        let real: Arc<dyn Fs> = Arc::new(RealFs::without_sync());
        Staging::settle(&root, &real.below(&root)).unwrap();
        assert_eq!(std::fs::read_to_string(victim).unwrap(), "mine");
        assert!(!root.join(FOLDER).exists());
    }
}
