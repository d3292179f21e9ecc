//! A file system that checks twice, because the answers of a file server may be outdated.
//!
//! A handle made stale by another machine (`ESTALE`) is looked up again, once. If the reply to a
//! rename was lost, the system repeats the request and then finds nothing to rename: if the source
//! is gone and the target exists, the rename has succeeded.

use super::{DirEntry, Fs, FsError, FsResult, Metadata, Open, WriteFile};
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;

/// Passes everything on, and repeats an operation if that may help.
pub struct Patient(Arc<dyn Fs>);

impl Patient {
    /// Wraps another file system.
    pub fn new(inner: Arc<dyn Fs>) -> Self {
        Self(inner)
    }
}

/// Performs `operation`, and repeats it if a handle was stale.
fn twice<T>(operation: impl Fn() -> FsResult<T>) -> FsResult<T> {
    match operation() {
        Err(error) if error.source.kind() == ErrorKind::StaleNetworkFileHandle => operation(),
        other => other,
    }
}

impl Fs for Patient {
    fn below(&self, root: &Path) -> Arc<dyn Fs> {
        Arc::new(Self(self.0.below(root)))
    }

    fn read(&self, path: &Path, limit: u64) -> FsResult<Vec<u8>> {
        twice(|| self.0.read(path, limit))
    }

    fn read_tail(&self, path: &Path, bytes: u64) -> FsResult<Vec<u8>> {
        twice(|| self.0.read_tail(path, bytes))
    }

    fn open_read(&self, path: &Path) -> FsResult<Box<dyn Read + Send>> {
        twice(|| self.0.open_read(path))
    }

    fn metadata(&self, path: &Path) -> FsResult<Option<Metadata>> {
        match twice(|| self.0.metadata(path)) {
            Err(error) if error.is_not_found() => Ok(None),
            other => other,
        }
    }

    fn list(&self, dir: &Path) -> FsResult<Vec<DirEntry>> {
        match twice(|| self.0.list(dir)) {
            Err(error) if error.is_not_found() => Ok(Vec::new()),
            other => other,
        }
    }

    fn create_dir_all(&self, dir: &Path) -> FsResult<()> {
        twice(|| self.0.create_dir_all(dir))
    }

    fn open_write(&self, path: &Path, open: Open) -> FsResult<Box<dyn WriteFile>> {
        twice(|| self.0.open_write(path, open))
    }

    fn overwrite(&self, path: &Path, bytes: &[u8]) -> FsResult<()> {
        twice(|| self.0.overwrite(path, bytes))
    }

    fn rename(&self, from: &Path, to: &Path) -> FsResult<()> {
        match twice(|| self.0.rename(from, to)) {
            Err(error) if error.is_not_found() && self.has_moved(from, to)? => Ok(()),
            other => other,
        }
    }

    fn remove_file(&self, path: &Path) -> FsResult<()> {
        gone(twice(|| self.0.remove_file(path)))
    }

    fn remove_dir_all(&self, dir: &Path) -> FsResult<()> {
        gone(twice(|| self.0.remove_dir_all(dir)))
    }

    fn remove_dir(&self, dir: &Path) -> FsResult<bool> {
        twice(|| self.0.remove_dir(dir))
    }

    fn sync_dir(&self, dir: &Path) -> FsResult<()> {
        twice(|| self.0.sync_dir(dir))
    }
}

impl Patient {
    fn has_moved(&self, from: &Path, to: &Path) -> FsResult<bool> {
        Ok(self.metadata(from)?.is_none() && self.metadata(to)?.is_some())
    }
}

/// Something that can no longer be found has been removed.
fn gone(removed: Result<(), FsError>) -> FsResult<()> {
    match removed {
        Err(error) if error.is_not_found() => Ok(()),
        other => other,
    }
}
