//! A file that appears at its path completely or not at all, and is digested as it is written.

use super::{Fs, FsError, FsResult, Open, WriteFile};
use crate::digest::{Hasher, Sha256Hex};
use std::hash::{BuildHasher, Hasher as _, RandomState};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers the temporary files of this process.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Distinguishes processes, even on two machines that share a folder, where process numbers may
/// coincide.
static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().build_hasher().finish());

/// An unused name beside `path`, beginning with `.tmp-`.
pub(super) fn temporary(path: &Path) -> PathBuf {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".tmp-{:016x}-{number}-{name}", *PROCESS))
}

/// A file being written beside its path; [`finish`](Self::finish) moves it there. If dropped before
/// that, it is removed.
pub struct AtomicFile<'a, F: Fs + ?Sized> {
    fs: &'a F,
    path: PathBuf,
    temporary: PathBuf,
    file: Option<Box<dyn WriteFile>>,
    hasher: Hasher,
    bytes: u64,
}

impl<'a, F: Fs + ?Sized> AtomicFile<'a, F> {
    /// Opens a temporary file in the folder of `path`.
    ///
    /// # Errors
    /// No permission, no space, or no such folder.
    pub fn create(fs: &'a F, path: &Path) -> FsResult<Self> {
        let temporary = temporary(path);
        let file = fs.open_write(&temporary, Open::New)?;
        Ok(Self {
            fs,
            path: path.to_path_buf(),
            temporary,
            file: Some(file),
            hasher: Hasher::new(),
            bytes: 0,
        })
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// No space, or a failing disk.
    pub fn write(&mut self, bytes: &[u8]) -> FsResult<()> {
        if let Some(file) = &mut self.file {
            file.write_all(bytes)
                .map_err(|error| FsError::new("write", &self.path, error))?;
        }
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Moves the file to its path; returns its length and digest.
    ///
    /// # Errors
    /// A failing sync or rename; the old file then stays.
    pub fn finish(mut self) -> FsResult<(u64, Sha256Hex)> {
        if let Some(file) = &mut self.file {
            file.sync()
                .map_err(|error| FsError::new("sync", &self.path, error))?;
        }
        let file = self.file.take();
        drop(file);
        if let Err(error) = self.fs.rename(&self.temporary, &self.path) {
            // The rename failed, so the temporary file is still there.
            let _ = self.fs.remove_file(&self.temporary);
            return Err(error);
        }
        if let Some(dir) = self.path.parent() {
            self.fs.sync_dir(dir)?;
        }
        Ok((self.bytes, std::mem::take(&mut self.hasher).finish()))
    }
}

impl<F: Fs + ?Sized> Drop for AtomicFile<'_, F> {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // If even this fails, nothing more can be done here; `store gc` finds the rest.
            let _ = self.fs.remove_file(&self.temporary);
        }
    }
}
