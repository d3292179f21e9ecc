//! The real file system.

use super::across::across;
use super::place::{Place, wrong_kind};
use super::{DirEntry, Fs, FsError, FsResult, Kind, Metadata, Open, WriteFile};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

/// The real file system. A link at the end of a path is not followed; below the root of
/// [`Fs::below`], no link is.
#[derive(Clone, Debug)]
pub struct RealFs {
    sync: bool,
    root: Option<Arc<Path>>,
}

impl RealFs {
    /// Waits for the disk whenever a caller requests it.
    pub fn new() -> Self {
        let (sync, root) = (true, None);
        Self { sync, root }
    }

    /// Never waits for the disk: for tests and for stores in memory.
    pub fn without_sync() -> Self {
        let (sync, root) = (false, None);
        Self { sync, root }
    }

    fn place(&self, path: &Path) -> io::Result<Place> {
        Place::of(self.root.as_deref(), path)
    }

    /// Creates the folder and its missing parents, and syncs each with its parent.
    fn create_dirs(&self, dir: &Path) -> io::Result<()> {
        let is_there = |place: io::Result<Place>| present(place.and_then(|place| place.metadata()));
        match is_there(self.place(dir))?.map(|found| found.kind) {
            Some(Kind::Dir) => return Ok(()),
            // Links above the root are the caller's choice.
            Some(Kind::Link) if dir.is_dir() && !self.is_below(dir) => return Ok(()),
            Some(found) => return Err(wrong_kind(found, Kind::Dir)),
            None => {}
        }
        let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
        if let Some(parent) = parent {
            self.create_dirs(parent)?;
        }
        match self.place(dir)?.create_dir() {
            Ok(()) => {}
            // Another process was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return match present(self.place(dir)?.metadata())?.map(|found| found.kind) {
                    Some(Kind::Dir) => Ok(()),
                    Some(found) => Err(wrong_kind(found, Kind::Dir)),
                    // And has already removed it again.
                    None => self.place(dir)?.create_dir(),
                };
            }
            Err(error) => return Err(error),
        }
        match (self.sync, parent) {
            (true, Some(parent)) => self.place(parent)?.sync_dir().or_else(unsupported),
            _ => Ok(()),
        }
    }

    fn is_below(&self, path: &Path) -> bool {
        self.root
            .as_deref()
            .is_some_and(|root| path != root && path.starts_with(root))
    }
}

/// A folder that cannot be read, or a file system that cannot sync it, must not prevent writing.
fn unsupported(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::PermissionDenied
        | io::ErrorKind::Unsupported
        | io::ErrorKind::InvalidInput => Ok(()),
        _ => Err(error),
    }
}

impl Default for RealFs {
    fn default() -> Self {
        Self::new()
    }
}

struct RealFile {
    file: File,
    sync: bool,
}

impl Write for RealFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl WriteFile for RealFile {
    fn sync(&mut self) -> io::Result<()> {
        if self.sync {
            self.file.sync_data()
        } else {
            Ok(())
        }
    }
}

/// Turns “not found” into `None`, including a file in the place of a folder.
fn present<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn read_limited(file: File, limit: u64) -> io::Result<Vec<u8>> {
    let length = file.metadata()?.len();
    let too_long = || {
        let text = format!("it is longer than the {limit} bytes that such a file may have");
        io::Error::new(io::ErrorKind::InvalidData, text)
    };
    if length > limit {
        return Err(too_long());
    }
    let mut bytes = Vec::new();
    bytes
        .try_reserve_exact(length as usize)
        .map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(too_long());
    }
    Ok(bytes)
}

fn read_tail(mut file: File, bytes: u64) -> io::Result<Vec<u8>> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(bytes)))?;
    let mut tail = Vec::new();
    file.take(bytes).read_to_end(&mut tail)?;
    Ok(tail)
}

impl Fs for RealFs {
    fn below(&self, root: &Path) -> Arc<dyn Fs> {
        Arc::new(Self {
            sync: self.sync,
            root: Some(root.into()),
        })
    }

    fn read(&self, path: &Path, limit: u64) -> FsResult<Vec<u8>> {
        self.place(path)
            .and_then(|place| read_limited(place.open()?, limit))
            .map_err(|error| FsError::new("read", path, error))
    }

    fn read_tail(&self, path: &Path, bytes: u64) -> FsResult<Vec<u8>> {
        self.place(path)
            .and_then(|place| read_tail(place.open()?, bytes))
            .map_err(|error| FsError::new("read", path, error))
    }

    fn open_read(&self, path: &Path) -> FsResult<Box<dyn Read + Send>> {
        let file = self.place(path).and_then(|place| place.open());
        let file = file.map_err(|error| FsError::new("read", path, error))?;
        Ok(Box::new(file))
    }

    fn metadata(&self, path: &Path) -> FsResult<Option<Metadata>> {
        let found = self.place(path).and_then(|place| place.metadata());
        present(found).map_err(|error| FsError::new("read the size of", path, error))
    }

    fn list(&self, dir: &Path) -> FsResult<Vec<DirEntry>> {
        let found = match self.place(dir).and_then(|place| place.list()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other,
        };
        let mut found = found.map_err(|error| FsError::new("list", dir, error))?;
        found.sort_unstable();
        Ok(found)
    }

    fn create_dir_all(&self, dir: &Path) -> FsResult<()> {
        self.create_dirs(dir)
            .map_err(|error| FsError::new("create the folder", dir, error))
    }

    fn open_write(&self, path: &Path, open: Open) -> FsResult<Box<dyn WriteFile>> {
        let file = self
            .place(path)
            .and_then(|place| place.open_write(Some(open)))
            .map_err(|error| FsError::new("create", path, error))?;
        Ok(Box::new(RealFile {
            file,
            sync: self.sync,
        }))
    }

    fn overwrite(&self, path: &Path, bytes: &[u8]) -> FsResult<()> {
        self.place(path)
            .and_then(|place| place.open_write(None)?.write_all(bytes))
            .map_err(|error| FsError::new("write", path, error))
    }

    fn rename(&self, from: &Path, to: &Path) -> FsResult<()> {
        let renamed = self
            .place(from)
            .and_then(|place| place.rename(&self.place(to)?));
        match renamed {
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => across(self, from, to),
            other => other.map_err(|error| FsError::new("rename", from, error)),
        }
    }

    fn remove_file(&self, path: &Path) -> FsResult<()> {
        present(self.place(path).and_then(|place| place.remove_file()))
            .map(|_| ())
            .map_err(|error| FsError::new("remove", path, error))
    }

    fn remove_dir_all(&self, dir: &Path) -> FsResult<()> {
        present(self.place(dir).and_then(|place| place.remove_all()))
            .map(|_| ())
            .map_err(|error| FsError::new("remove", dir, error))
    }

    fn remove_dir(&self, dir: &Path) -> FsResult<bool> {
        match self.place(dir).and_then(|place| place.remove_dir()) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(false),
            other => present(other)
                .map(|_| true)
                .map_err(|error| FsError::new("remove", dir, error)),
        }
    }

    fn sync_dir(&self, dir: &Path) -> FsResult<()> {
        if !self.sync {
            return Ok(());
        }
        self.place(dir)
            .and_then(|place| place.sync_dir())
            .map_err(|error| FsError::new("sync the folder", dir, error))
    }
}
