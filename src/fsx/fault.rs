//! A file system that fails on purpose: the test double for all code that writes.

use super::{DirEntry, Fs, FsError, FsResult, Metadata, Open, WriteFile};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What happens at the selected operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails once with this error number (28 `ENOSPC`, 13 `EACCES`, 5 `EIO`); a write stores
    /// half of its bytes.
    Fail(i32),
    /// It and all later writing operations fail with this error number, as on a full disk.
    FailFrom(i32),
    /// A write stores half of its bytes and reports that, without an error; other operations are
    /// unaffected.
    ShortWrite,
    /// The process is delayed before it, while others do what was passed to [`FaultFs::held_up`].
    HeldUp,
    /// The process dies: a write stores half of its bytes, and no later operation takes place, not
    /// even cleaning up.
    Kill,
}

/// What others do while a process is delayed.
type Meanwhile = Box<dyn FnOnce() + Send>;

struct State {
    count: AtomicU64,
    at: u64,
    fault: Fault,
    dead: AtomicBool,
    meanwhile: Mutex<Option<Meanwhile>>,
    log: Mutex<Vec<String>>,
}

/// How to treat an operation.
enum Verdict {
    Go,
    Half,
    Error(io::Error),
}

impl State {
    /// Counts an operation and decides how to treat it.
    fn strike(&self, what: &str, path: &Path, writes: bool) -> Verdict {
        let killed = || io::Error::other("the process was killed (injected)");
        if self.dead.load(Ordering::SeqCst) {
            return Verdict::Error(killed());
        }
        let number = self.count.fetch_add(1, Ordering::SeqCst);
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(format!("{what} {}", path.display()));
        match self.fault {
            Fault::FailFrom(code) if number >= self.at && writes => {
                Verdict::Error(io::Error::from_raw_os_error(code))
            }
            Fault::Fail(code) if number == self.at => {
                Verdict::Error(io::Error::from_raw_os_error(code))
            }
            Fault::ShortWrite if number == self.at => Verdict::Half,
            Fault::HeldUp if number == self.at => {
                let mut meanwhile = self
                    .meanwhile
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                if let Some(meanwhile) = meanwhile.take() {
                    meanwhile();
                }
                Verdict::Go
            }
            Fault::Kill if number == self.at => {
                self.dead.store(true, Ordering::SeqCst);
                Verdict::Error(killed())
            }
            _ => Verdict::Go,
        }
    }
}

/// Passes operations on to another file system, counts them, and makes the n-th one fail.
#[derive(Clone)]
pub struct FaultFs {
    inner: Arc<dyn Fs>,
    state: Arc<State>,
}

impl FaultFs {
    /// Applies `fault` to operation number `at` (from 0) of `inner`.
    pub fn new(inner: Arc<dyn Fs>, at: u64, fault: Fault) -> Self {
        let state = State {
            count: AtomicU64::new(0),
            at,
            fault,
            dead: AtomicBool::new(false),
            meanwhile: Mutex::default(),
            log: Mutex::new(Vec::new()),
        };
        Self {
            inner,
            state: Arc::new(state),
        }
    }

    /// Delays the process before operation number `at`, while `meanwhile` runs.
    pub fn held_up(inner: Arc<dyn Fs>, at: u64, meanwhile: impl FnOnce() + Send + 'static) -> Self {
        let fs = Self::new(inner, at, Fault::HeldUp);
        let boxed: Meanwhile = Box::new(meanwhile);
        *fs.state
            .meanwhile
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(boxed);
        fs
    }

    /// Counts operations without failing.
    pub fn counting(inner: Arc<dyn Fs>) -> Self {
        Self::new(inner, u64::MAX, Fault::Kill)
    }

    /// Number of operations so far.
    pub fn operations(&self) -> u64 {
        self.state.count.load(Ordering::SeqCst)
    }

    /// The operations so far, each as `operation path`.
    pub fn log(&self) -> Vec<String> {
        self.state
            .log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn check(&self, what: &'static str, path: &Path, writes: bool) -> FsResult<()> {
        match self.state.strike(what, path, writes) {
            Verdict::Go | Verdict::Half => Ok(()),
            Verdict::Error(error) => Err(FsError::new(what, path, error)),
        }
    }
}

struct FaultFile {
    inner: Box<dyn WriteFile>,
    path: PathBuf,
    state: Arc<State>,
}

impl Write for FaultFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let was_dead = self.state.dead.load(Ordering::SeqCst);
        match self.state.strike("write", &self.path, true) {
            Verdict::Go => self.inner.write(bytes),
            Verdict::Half if bytes.len() > 1 => self.inner.write(&bytes[..bytes.len() / 2]),
            Verdict::Half => self.inner.write(bytes),
            Verdict::Error(error) => {
                if !was_dead {
                    self.inner.write_all(&bytes[..bytes.len() / 2])?;
                }
                Err(error)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl WriteFile for FaultFile {
    fn sync(&mut self) -> io::Result<()> {
        match self.state.strike("sync", &self.path, true) {
            Verdict::Error(error) => Err(error),
            _ => self.inner.sync(),
        }
    }
}

impl Fs for FaultFs {
    fn below(&self, root: &Path) -> Arc<dyn Fs> {
        Arc::new(Self {
            inner: self.inner.below(root),
            state: Arc::clone(&self.state),
        })
    }

    fn read(&self, path: &Path, limit: u64) -> FsResult<Vec<u8>> {
        self.check("read", path, false)?;
        self.inner.read(path, limit)
    }

    fn read_tail(&self, path: &Path, bytes: u64) -> FsResult<Vec<u8>> {
        self.check("read", path, false)?;
        self.inner.read_tail(path, bytes)
    }

    fn open_read(&self, path: &Path) -> FsResult<Box<dyn Read + Send>> {
        self.check("read", path, false)?;
        self.inner.open_read(path)
    }

    fn metadata(&self, path: &Path) -> FsResult<Option<Metadata>> {
        self.check("read the size of", path, false)?;
        self.inner.metadata(path)
    }

    fn list(&self, dir: &Path) -> FsResult<Vec<DirEntry>> {
        self.check("list", dir, false)?;
        self.inner.list(dir)
    }

    fn create_dir_all(&self, dir: &Path) -> FsResult<()> {
        self.check("create the folder", dir, true)?;
        self.inner.create_dir_all(dir)
    }

    fn open_write(&self, path: &Path, open: Open) -> FsResult<Box<dyn WriteFile>> {
        self.check("create", path, true)?;
        Ok(Box::new(FaultFile {
            inner: self.inner.open_write(path, open)?,
            path: path.to_path_buf(),
            state: Arc::clone(&self.state),
        }))
    }

    fn overwrite(&self, path: &Path, bytes: &[u8]) -> FsResult<()> {
        self.check("write", path, true)?;
        self.inner.overwrite(path, bytes)
    }

    fn rename(&self, from: &Path, to: &Path) -> FsResult<()> {
        self.check("rename", from, true)?;
        self.inner.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> FsResult<()> {
        self.check("remove", path, true)?;
        self.inner.remove_file(path)
    }

    fn remove_dir_all(&self, dir: &Path) -> FsResult<()> {
        let was_dead = self.state.dead.load(Ordering::SeqCst);
        let struck = self.check("remove", dir, true);
        if struck.is_err() && !was_dead {
            // Removing a folder takes many operations, so leave it half done.
            let entries = self.inner.list(dir)?;
            if let Some(entry) = entries.iter().find(|entry| !entry.is_dir()) {
                self.inner.remove_file(&dir.join(&entry.file_name))?;
            }
        }
        struck?;
        self.inner.remove_dir_all(dir)
    }

    fn remove_dir(&self, dir: &Path) -> FsResult<bool> {
        self.check("remove", dir, true)?;
        self.inner.remove_dir(dir)
    }

    fn sync_dir(&self, dir: &Path) -> FsResult<()> {
        self.check("sync the folder", dir, true)?;
        self.inner.sync_dir(dir)
    }
}
