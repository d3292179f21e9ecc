//! A file server as seen by one of its clients: the test double for stores shared by many machines.
//!
//! Each client is an instance over the same folder. It sees changes made by others only after a
//! delay, and handles to files that others have removed are stale. It sees its own changes at once.

use super::{DirEntry, Fs, FsError, FsResult, Metadata, Open, WriteFile};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Faults that a client suffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// Handles to files removed by others are stale, and every `n`-th handle is stale even though
    /// the file exists.
    Stale(u64),
    /// Listings, and the absence of files, may be outdated by at most this long.
    Late(Duration),
    /// The reply to every `n`-th rename is lost, and the system repeats the request, which finds
    /// nothing to rename.
    LostAnswers(u64),
}

#[derive(Default)]
struct Seen {
    lists: BTreeMap<PathBuf, (Instant, Vec<DirEntry>)>,
    absent: BTreeMap<PathBuf, Instant>,
    files: BTreeSet<PathBuf>,
}

/// One client.
#[derive(Clone)]
pub struct ClientFs {
    inner: Arc<dyn Fs>,
    weather: Weather,
    seen: Arc<Mutex<Seen>>,
    count: Arc<AtomicU64>,
    suffered: Arc<AtomicU64>,
}

impl ClientFs {
    /// A client of the folder behind `inner`.
    pub fn new(inner: Arc<dyn Fs>, weather: Weather) -> Self {
        Self {
            inner,
            weather,
            seen: Arc::default(),
            count: Arc::default(),
            suffered: Arc::default(),
        }
    }

    /// How often something was late, stale or lost.
    pub fn suffered(&self) -> u64 {
        self.suffered.load(Ordering::SeqCst)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn suffer(&self) {
        self.suffered.fetch_add(1, Ordering::SeqCst);
    }

    /// Whether this operation, one in `every`, is due for a fault.
    fn is_due(&self, every: u64) -> bool {
        let due = self.count.fetch_add(1, Ordering::SeqCst) % every == every - 1;
        if due {
            self.suffer();
        }
        due
    }

    /// A client sees its own changes.
    fn changed(&self, path: &Path) {
        let mut seen = self.seen();
        seen.absent.retain(|absent, _| !absent.starts_with(path));
        seen.lists.remove(path);
        if let Some(parent) = path.parent() {
            seen.lists.remove(parent);
        }
    }

    /// Passes on the result of opening the file at `path`.
    fn opened<T>(&self, path: &Path, result: FsResult<T>) -> FsResult<T> {
        let stale = || FsError::new("read", path, io::Error::from_raw_os_error(116));
        let Weather::Stale(every) = self.weather else {
            return result;
        };
        match result {
            Ok(_) if self.is_due(every) => Err(stale()),
            Ok(value) => {
                self.seen().files.insert(path.to_path_buf());
                Ok(value)
            }
            Err(error) if error.is_not_found() && self.seen().files.remove(path) => {
                self.suffer();
                Err(stale())
            }
            Err(error) => Err(error),
        }
    }
}

impl Fs for ClientFs {
    fn below(&self, root: &Path) -> Arc<dyn Fs> {
        Arc::new(Self {
            inner: self.inner.below(root),
            ..self.clone()
        })
    }

    fn read(&self, path: &Path, limit: u64) -> FsResult<Vec<u8>> {
        self.opened(path, self.inner.read(path, limit))
    }

    fn read_tail(&self, path: &Path, bytes: u64) -> FsResult<Vec<u8>> {
        self.opened(path, self.inner.read_tail(path, bytes))
    }

    fn open_read(&self, path: &Path) -> FsResult<Box<dyn Read + Send>> {
        self.opened(path, self.inner.open_read(path))
    }

    fn metadata(&self, path: &Path) -> FsResult<Option<Metadata>> {
        if let Weather::Late(most) = self.weather {
            let mut seen = self.seen();
            if seen
                .absent
                .get(path)
                .is_some_and(|since| since.elapsed() < most)
            {
                self.suffer();
                return Ok(None);
            }
            let found = self.inner.metadata(path)?;
            if found.is_none() {
                seen.absent.insert(path.to_path_buf(), Instant::now());
            }
            return Ok(found);
        }
        self.inner.metadata(path)
    }

    fn list(&self, dir: &Path) -> FsResult<Vec<DirEntry>> {
        if let Weather::Late(most) = self.weather {
            let mut seen = self.seen();
            if let Some((since, list)) = seen.lists.get(dir)
                && since.elapsed() < most
            {
                self.suffer();
                return Ok(list.clone());
            }
            let list = self.inner.list(dir)?;
            seen.lists
                .insert(dir.to_path_buf(), (Instant::now(), list.clone()));
            return Ok(list);
        }
        self.inner.list(dir)
    }

    fn create_dir_all(&self, dir: &Path) -> FsResult<()> {
        self.changed(dir);
        self.inner.create_dir_all(dir)
    }

    fn open_write(&self, path: &Path, open: Open) -> FsResult<Box<dyn WriteFile>> {
        self.changed(path);
        self.inner.open_write(path, open)
    }

    fn overwrite(&self, path: &Path, bytes: &[u8]) -> FsResult<()> {
        self.opened(path, self.inner.overwrite(path, bytes))
    }

    fn rename(&self, from: &Path, to: &Path) -> FsResult<()> {
        self.changed(from);
        self.changed(to);
        self.inner.rename(from, to)?;
        match self.weather {
            Weather::LostAnswers(every) if self.is_due(every) => {
                Err(FsError::new("rename", from, io::ErrorKind::NotFound.into()))
            }
            _ => Ok(()),
        }
    }

    fn remove_file(&self, path: &Path) -> FsResult<()> {
        self.changed(path);
        self.inner.remove_file(path)
    }

    fn remove_dir_all(&self, dir: &Path) -> FsResult<()> {
        self.changed(dir);
        self.inner.remove_dir_all(dir)
    }

    fn remove_dir(&self, dir: &Path) -> FsResult<bool> {
        self.changed(dir);
        self.inner.remove_dir(dir)
    }

    fn sync_dir(&self, dir: &Path) -> FsResult<()> {
        self.inner.sync_dir(dir)
    }
}
