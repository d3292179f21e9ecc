//! Every read and write of a store or report goes through here.
//!
//! [`Fs`] is the door to the file system: [`RealFs`] is the real one, `FaultFs` (in tests) fails or «kills the process» at a chosen
//! operation, so that tests can show what survives. Nothing here knows what the files mean.

mod across;
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

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// A file operation that failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} `{}`", path.display())]
pub struct FsError {
    /// What was tried: `read`, `write`, `rename`, ….
    pub operation: &'static str,
    /// On which path.
    pub path: PathBuf,
    /// What the operating system said.
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

    /// Whether the path does not exist: also where it did a moment ago, and another machine has removed it since (`ESTALE` of NFS).
    pub fn is_not_found(&self) -> bool {
        matches!(
            self.source.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::StaleNetworkFileHandle
        )
    }

    /// Whether something else than a file or folder of the expected size is there: a link, a device, a longer file.
    pub fn is_damage(&self) -> bool {
        matches!(
            self.source.kind(),
            io::ErrorKind::InvalidData | io::ErrorKind::NotADirectory
        )
    }
}

/// What a path leads to. Links are never followed.
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

/// What is known of a path without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Length in bytes (of a folder: whatever the system says).
    pub bytes: u64,
    /// What it is.
    pub kind: Kind,
    /// When its contents changed last, by the clock of the file system.
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
    /// Name within the folder; names that are not UTF-8 are left out of listings.
    pub name: String,
    /// What it is.
    pub kind: Kind,
}

impl DirEntry {
    /// Whether it is a folder.
    pub fn is_dir(&self) -> bool {
        self.kind == Kind::Dir
    }
}

/// How a file is opened for writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// Created; an error ([`io::ErrorKind::AlreadyExists`]) where it exists.
    New,
    /// Created where absent; writes go to the end.
    Append,
}

/// A file opened for writing.
pub trait WriteFile: Write + Send {
    /// Waits until the contents are on the disk.
    ///
    /// # Errors
    /// Whatever the operating system reports, a full disk among it.
    fn sync(&mut self) -> io::Result<()>;
}

/// Result of a file operation.
pub type FsResult<T> = Result<T, FsError>;

/// The file system as a store needs it. Every method names its path and operation in the error.
pub trait Fs: Send + Sync {
    /// The same file system, where no link below `root` is followed: one that is met is an error ([`FsError::is_damage`]).
    fn below(&self, root: &Path) -> Arc<dyn Fs>;

    /// Reads a whole file of at most `limit` bytes; a longer one is an error before memory is taken.
    ///
    /// # Errors
    /// An absent, unreadable or longer file.
    fn read(&self, path: &Path, limit: u64) -> FsResult<Vec<u8>>;

    /// Reads the last `bytes` bytes of a file (all, where it is shorter).
    ///
    /// # Errors
    /// An absent or unreadable file.
    fn read_tail(&self, path: &Path, bytes: u64) -> FsResult<Vec<u8>>;

    /// Opens a file for reading piece by piece.
    ///
    /// # Errors
    /// An absent or unreadable file.
    fn open_read(&self, path: &Path) -> FsResult<Box<dyn Read + Send>>;

    /// Size and kind; `None` where nothing is there.
    ///
    /// # Errors
    /// No permission, or a failing disk.
    fn metadata(&self, path: &Path) -> FsResult<Option<Metadata>>;

    /// The entries of a folder, sorted by name; none where it does not exist.
    ///
    /// # Errors
    /// No permission, a failing disk, or not a folder.
    fn list(&self, dir: &Path) -> FsResult<Vec<DirEntry>>;

    /// Creates a folder and those above it; what is new is on the disk then.
    ///
    /// # Errors
    /// No permission, no space, or a file in the way.
    fn create_dir_all(&self, dir: &Path) -> FsResult<()>;

    /// Opens a file for writing.
    ///
    /// # Errors
    /// No permission, no space; for [`Open::New`] also a file that exists.
    fn open_write(&self, path: &Path, open: Open) -> FsResult<Box<dyn WriteFile>>;

    /// Writes `bytes` over the start of an existing file, in place. Never creates it.
    ///
    /// # Errors
    /// An absent file, no permission, a failing disk.
    fn overwrite(&self, path: &Path, bytes: &[u8]) -> FsResult<()>;

    /// Renames a file (replacing the one at `to`) or a folder (only to where nothing, or an empty folder, is).
    ///
    /// # Errors
    /// An absent source, a folder in the way, no permission.
    fn rename(&self, from: &Path, to: &Path) -> FsResult<()>;

    /// Removes a file; no error where it is absent.
    ///
    /// # Errors
    /// No permission, or a folder.
    fn remove_file(&self, path: &Path) -> FsResult<()>;

    /// Removes a folder with its contents, of a link the link; no error where it is absent.
    ///
    /// # Errors
    /// No permission.
    fn remove_dir_all(&self, dir: &Path) -> FsResult<()>;

    /// Removes an empty folder; gives `false` where something is in it. No error where it is absent.
    ///
    /// # Errors
    /// No permission, or no folder.
    fn remove_dir(&self, dir: &Path) -> FsResult<bool>;

    /// Waits until the entries of a folder are on the disk (does nothing where the system cannot).
    ///
    /// # Errors
    /// A failing disk.
    fn sync_dir(&self, dir: &Path) -> FsResult<()>;

    /// Replaces a file as a whole: temporary file in the same folder, sync, rename, sync of the folder. Readers see the old
    /// contents or the new, never a part. Where somebody takes the temporary file for rubbish (who was held up for long may find
    /// that), it is written again.
    ///
    /// # Errors
    /// Whatever step fails; the old file then stays, and the temporary one is removed if that is possible.
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

    /// Moves a folder to where nothing is; gives `false` where something is in the way already. Of several that try, one wins.
    ///
    /// # Errors
    /// An absent source, no permission.
    fn rename_dir_new(&self, from: &Path, to: &Path) -> FsResult<bool> {
        match self.rename(from, to) {
            Ok(()) => Ok(true),
            Err(error) => match error.source.kind() {
                io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists => Ok(false),
                _ => Err(error),
            },
        }
    }

    /// Creates a file with `bytes`; gives `false` where one exists. Of several that try, one wins.
    ///
    /// # Errors
    /// No permission, no space.
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
