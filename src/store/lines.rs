//! A growing file of lines: appended to in pieces and digested at the same time.

use super::error::StoreError;
use super::layout::LINES_LIMIT;
use crate::digest::{Hasher, Sha256Hex};
use crate::fsx::{Fs, FsError, Open, WriteFile};
use crate::record::FileEntry;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How much may be lost when the process is killed: this many bytes of lines, or the lines of this period.
const PENDING_BYTES: usize = 64 << 10;
const PENDING_TIME: Duration = Duration::from_secs(2);

/// A growing file of lines.
pub(crate) struct Lines {
    fs: Arc<dyn Fs>,
    path: PathBuf,
    /// Whether a write failed, so that the file may end in an incomplete line.
    is_torn: bool,
    file: Box<dyn WriteFile>,
    pending: Vec<u8>,
    written: Instant,
    hasher: Hasher,
    bytes: u64,
}

impl Lines {
    /// Opens `path` to continue after its first `keep` bytes (all of it if `None`). The kept part is copied to
    /// a new file, so that a former owner's open handle has no effect. Returns the kept part too; `None` if the
    /// file is shorter.
    pub(crate) fn open(
        fs: &Arc<dyn Fs>,
        path: &Path,
        keep: Option<u64>,
    ) -> Result<Option<(Self, Vec<u8>)>, FsError> {
        let mut kept = match fs.read(path, LINES_LIMIT) {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => Vec::new(),
            Err(error) => return Err(error),
        };
        if let Some(keep) = keep {
            if (kept.len() as u64) < keep {
                return Ok(None);
            }
            kept.truncate(keep as usize);
        }
        fs.write_atomic(path, &kept)?;
        let mut hasher = Hasher::new();
        hasher.update(&kept);
        let lines = Self {
            fs: Arc::clone(fs),
            path: path.to_path_buf(),
            is_torn: false,
            file: fs.open_write(path, Open::Append)?,
            pending: Vec::new(),
            written: Instant::now(),
            hasher,
            bytes: kept.len() as u64,
        };
        Ok(Some((lines, kept)))
    }

    /// Appends a line, which reaches the file soon.
    pub(crate) fn push(&mut self, line: &[u8]) -> Result<(), FsError> {
        self.pending.extend_from_slice(line);
        self.pending.push(b'\n');
        if self.pending.len() >= PENDING_BYTES || self.written.elapsed() >= PENDING_TIME {
            self.flush()?;
        }
        Ok(())
    }

    /// Appends a value as a line of JSON.
    pub(crate) fn push_json(&mut self, value: &impl serde::Serialize) -> Result<(), StoreError> {
        let line = serde_json::to_vec(value).map_err(|error| StoreError::Unstorable {
            what: "a line",
            reason: error.to_string(),
        })?;
        Ok(self.push(&line)?)
    }

    /// Writes everything pending to the file.
    pub(crate) fn flush(&mut self) -> Result<(), FsError> {
        self.written = Instant::now();
        if self.pending.is_empty() {
            return Ok(());
        }
        if self.is_torn {
            let mut sound = self.fs.read(&self.path, LINES_LIMIT)?;
            sound.truncate(self.bytes as usize);
            self.fs.write_atomic(&self.path, &sound)?;
            self.file = self.fs.open_write(&self.path, Open::Append)?;
            self.is_torn = false;
        }
        let result = self.file.write_all(&self.pending);
        self.is_torn = result.is_err();
        result.map_err(|error| FsError::new("write", &self.path, error))?;
        self.hasher.update(&self.pending);
        self.bytes += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    /// Waits until everything is on disk; returns size and digest.
    pub(crate) fn sync(&mut self) -> Result<FileEntry, FsError> {
        self.flush()?;
        let result = self.file.sync();
        result.map_err(|error| FsError::new("sync", &self.path, error))?;
        Ok(self.entry())
    }

    /// Size and digest of what was written so far.
    pub(crate) fn entry(&self) -> FileEntry {
        let sha256: Sha256Hex = self.hasher.clone().finish();
        FileEntry {
            bytes: self.bytes,
            sha256,
        }
    }
}
