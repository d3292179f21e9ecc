//! All reads and writes of stores and reports go through this module.
//!
//! [`Fs`] is the interface to the file system: [`RealFs`] is the real one; `FaultFs` (in tests)
//! fails or “kills the process” at a chosen operation, so that tests can show what survives. This
//! module does not interpret the files.

mod across;
mod any_path;
mod aside;
mod atomic;
#[cfg(test)]
mod fault;
mod lease;
mod lock;
#[cfg(test)]
mod network;
mod owner;
mod patient;
mod place;
mod real;
mod regular;
mod stranger;
mod whole;

pub use any_path::AnyPath;
pub use aside::aside;
pub use atomic::AtomicFile;
#[cfg(test)]
pub use fault::{Fault, FaultFs};
pub use lease::{Judge, LEASE_MARK, Lease, LeaseName, LeaseTiming, Observed, age, lease_number};
pub use lock::Lock;
#[cfg(test)]
pub use network::{ClientFs, Weather};
pub use owner::{Owner, QueueJob};
pub use patient::Patient;
pub use real::RealFs;
pub use regular::open_regular;
pub use stranger::stranger;
pub use whole::digest;

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// A file operation that failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} `{}`", path.display())]
pub struct FsError {
    /// The operation: `read`, `write`, `rename`, ….
    pub operation: &'static str,
    /// Its path.
    pub path: PathBuf,
    /// The error of the operating system.
    pub source: io::Error,
}

impl FsError {
    /// Builds the error of `operation` on `path`.
    pub fn new(operation: &'static str, path: &Path, source: io::Error) -> Self {
        Self {
            operation,
            path: path.to_path_buf(),
            source,
        }
    }

    /// Whether the path does not exist, including a path that another machine has just removed
    /// (`ESTALE` of NFS).
    pub fn is_not_found(&self) -> bool {
        matches!(
            self.source.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::StaleNetworkFileHandle
        )
    }

    /// Whether something other than a file or folder of the expected size is there: a link, a
    /// device, a longer file.
    pub fn is_damage(&self) -> bool {
        matches!(
            self.source.kind(),
            io::ErrorKind::InvalidData | io::ErrorKind::NotADirectory
        )
    }
}

/// What is found at a path. Links are never followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Dir,
    /// A link.
    Link,
    /// A device, a pipe or a socket.
    Special,
}

/// Facts about a path, obtained without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Length in bytes (for a folder, the system's value).
    pub bytes: u64,
    /// Its kind.
    pub kind: Kind,
    /// When its contents last changed, by the clock of the file system.
    pub modified: SystemTime,
}

impl Metadata {
    /// Whether it is a folder.
    pub fn is_dir(&self) -> bool {
        self.kind == Kind::Dir
    }
}

/// An entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirEntry {
    /// Name within the folder, to tell what it is; in a name that is not UTF-8, U+FFFD stands for other bytes.
    pub name: String,
    /// The exact name, for paths.
    pub file_name: OsString,
    /// Its kind.
    pub kind: Kind,
}

impl DirEntry {
    fn new(file_name: OsString, kind: Kind) -> Self {
        Self {
            name: file_name.to_string_lossy().into_owned(),
            file_name,
            kind,
        }
    }

    /// Whether it is a folder.
    pub fn is_dir(&self) -> bool {
        self.kind == Kind::Dir
    }
}

/// How a file is opened for writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// Created; fails with [`io::ErrorKind::AlreadyExists`] if it exists.
    New,
    /// Created if absent; writes go to the end.
    Append,
}

/// A file opened for writing.
pub trait WriteFile: Write + Send {
    /// Waits until the contents are on disk.
    ///
    /// # Errors
    /// Whatever the operating system reports, including a full disk.
    fn sync(&mut self) -> io::Result<()>;
}

/// Result of a file operation.
pub type FsResult<T> = Result<T, FsError>;

/// The file system as needed by a store. Errors of every method name the path and the operation.
pub trait Fs: Send + Sync {
    /// The same file system, but links below `root` are not followed: they are errors
    /// ([`FsError::is_damage`]).
    fn below(&self, root: &Path) -> Arc<dyn Fs>;

    /// Reads a whole file of at most `limit` bytes; a longer file is refused before memory is
    /// allocated.
    ///
    /// # Errors
    /// A file that is absent, unreadable or longer.
    fn read(&self, path: &Path, limit: u64) -> FsResult<Vec<u8>>;

    /// Reads the last `bytes` bytes of a file, or all of a shorter file.
    ///
    /// # Errors
    /// An absent or unreadable file.
    fn read_tail(&self, path: &Path, bytes: u64) -> FsResult<Vec<u8>>;

    /// Opens a file for reading in pieces.
    ///
    /// # Errors
    /// An absent or unreadable file.
    fn open_read(&self, path: &Path) -> FsResult<Box<dyn Read + Send>>;

    /// Size and kind; `None` if nothing is there.
    ///
    /// # Errors
    /// No permission, or a failing disk.
    fn metadata(&self, path: &Path) -> FsResult<Option<Metadata>>;

    /// The entries of a folder, sorted by name; empty if it does not exist.
    ///
    /// # Errors
    /// No permission, a failing disk, or not a folder.
    fn list(&self, dir: &Path) -> FsResult<Vec<DirEntry>>;

    /// Creates a folder and its parents; on return, new folders are on disk.
    ///
    /// # Errors
    /// No permission, no space, or a file in the way.
    fn create_dir_all(&self, dir: &Path) -> FsResult<()>;

    /// Opens a file for writing.
    ///
    /// # Errors
    /// No permission, or no space; for [`Open::New`], also an existing file.
    fn open_write(&self, path: &Path, open: Open) -> FsResult<Box<dyn WriteFile>>;

    /// Overwrites the start of an existing file with `bytes`, in place. Never creates the file.
    ///
    /// # Errors
    /// An absent file, no permission, or a failing disk.
    fn overwrite(&self, path: &Path, bytes: &[u8]) -> FsResult<()>;

    /// Renames a file (replacing a file at `to`) or a folder (only if `to` is absent or an empty
    /// folder).
    ///
    /// # Errors
    /// An absent source, a folder in the way, or no permission.
    fn rename(&self, from: &Path, to: &Path) -> FsResult<()>;

    /// Removes a file; absence is not an error.
    ///
    /// # Errors
    /// No permission, or a folder.
    fn remove_file(&self, path: &Path) -> FsResult<()>;

    /// Removes a folder with its contents or, for a link, the link itself; absence is not an error.
    ///
    /// # Errors
    /// No permission.
    fn remove_dir_all(&self, dir: &Path) -> FsResult<()>;

    /// Removes an empty folder; returns `false` if it is not empty. Absence is not an error.
    ///
    /// # Errors
    /// No permission, or not a folder.
    fn remove_dir(&self, dir: &Path) -> FsResult<bool>;

    /// Waits until the entries of a folder are on disk (does nothing if the system cannot).
    ///
    /// # Errors
    /// A failing disk.
    fn sync_dir(&self, dir: &Path) -> FsResult<()>;

    /// Replaces a file as a whole: temporary file in the same folder, sync, rename, sync of the
    /// folder. Readers see the old or the new contents, never a mixture. If another process removes
    /// the temporary file as garbage (which can happen after a long delay), it is written again.
    ///
    /// # Errors
    /// The error of the failing step; the old file then stays, and the temporary one is removed if
    /// possible.
    fn write_atomic(&self, path: &Path, bytes: &[u8]) -> FsResult<()> {
        let write = || {
            let mut file = AtomicFile::create(self, path)?;
            file.write(bytes)?;
            file.finish().map(|_| ())
        };
        match write() {
            Err(error) if error.operation == "rename" && error.is_not_found() => write(),
            other => other,
        }
    }

    /// Moves a folder to an unused path; returns `false` if something is already there. If several
    /// processes try, one wins.
    ///
    /// # Errors
    /// An absent source, or no permission.
    fn rename_dir_new(&self, from: &Path, to: &Path) -> FsResult<bool> {
        match self.rename(from, to) {
            Ok(()) => Ok(true),
            Err(error) => match error.source.kind() {
                io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists => Ok(false),
                _ => Err(error),
            },
        }
    }

    /// Creates a file with `bytes`; returns `false` if it exists. If several processes try, one
    /// wins.
    ///
    /// # Errors
    /// No permission, or no space.
    fn create_new(&self, path: &Path, bytes: &[u8]) -> FsResult<bool> {
        match self.open_write(path, Open::New) {
            Ok(mut file) => file
                .write_all(bytes)
                .map(|()| true)
                .map_err(|error| FsError::new("write", path, error)),
            Err(error) if error.source.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
