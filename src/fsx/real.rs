//! The real file system.

use super::{DirEntry, Fs, FsError, FsResult, Metadata, Open, WriteFile};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// The real file system.
#[derive(Clone, Copy, Debug)]
pub struct RealFs {
    sync: bool,
}

impl RealFs {
    /// Waits for the disk wherever a caller asks for it.
    pub fn new() -> Self {
        Self { sync: true }
    }

    /// Never waits for the disk: for tests and for stores in memory.
    pub fn without_sync() -> Self {
        Self { sync: false }
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

/// Turns «not there» into `None`.
fn present<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn read_limited(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
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

fn read_tail(path: &Path, bytes: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(bytes)))?;
    let mut tail = Vec::new();
    file.take(bytes).read_to_end(&mut tail)?;
    Ok(tail)
}

fn list(dir: &Path) -> io::Result<Vec<DirEntry>> {
    let Some(entries) = present(fs::read_dir(dir))? else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if let Ok(name) = entry.file_name().into_string() {
            let is_dir = entry.file_type()?.is_dir();
            found.push(DirEntry { name, is_dir });
        }
    }
    found.sort_unstable();
    Ok(found)
}

impl Fs for RealFs {
    fn read(&self, path: &Path, limit: u64) -> FsResult<Vec<u8>> {
        read_limited(path, limit).map_err(|error| FsError::new("read", path, error))
    }

    fn read_tail(&self, path: &Path, bytes: u64) -> FsResult<Vec<u8>> {
        read_tail(path, bytes).map_err(|error| FsError::new("read", path, error))
    }

    fn open_read(&self, path: &Path) -> FsResult<Box<dyn Read + Send>> {
        let file = File::open(path).map_err(|error| FsError::new("read", path, error))?;
        Ok(Box::new(file))
    }

    fn metadata(&self, path: &Path) -> FsResult<Option<Metadata>> {
        let found = present(fs::symlink_metadata(path).and_then(|metadata| {
            // A link counts as what it points at.
            if metadata.is_symlink() {
                fs::metadata(path)
            } else {
                Ok(metadata)
            }
        }));
        let found = match found {
            // A file where a folder is expected: nothing is there.
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(None),
            other => other,
        };
        let metadata = found.map_err(|error| FsError::new("read the size of", path, error))?;
        Ok(metadata.map(|metadata| Metadata {
            bytes: metadata.len(),
            is_dir: metadata.is_dir(),
        }))
    }

    fn list(&self, dir: &Path) -> FsResult<Vec<DirEntry>> {
        list(dir).map_err(|error| FsError::new("list", dir, error))
    }

    fn create_dir_all(&self, dir: &Path) -> FsResult<()> {
        fs::create_dir_all(dir).map_err(|error| FsError::new("create the folder", dir, error))
    }

    fn open_write(&self, path: &Path, open: Open) -> FsResult<Box<dyn WriteFile>> {
        let mut options = OpenOptions::new();
        match open {
            Open::Truncate => options.write(true).create(true).truncate(true),
            Open::New => options.write(true).create_new(true),
            Open::Append => options.append(true).create(true),
        };
        let file = options
            .open(path)
            .map_err(|error| FsError::new("create", path, error))?;
        Ok(Box::new(RealFile {
            file,
            sync: self.sync,
        }))
    }

    fn overwrite(&self, path: &Path, bytes: &[u8]) -> FsResult<()> {
        OpenOptions::new()
            .write(true)
            .open(path)
            .and_then(|mut file| file.write_all(bytes))
            .map_err(|error| FsError::new("write", path, error))
    }

    fn rename(&self, from: &Path, to: &Path) -> FsResult<()> {
        fs::rename(from, to).map_err(|error| FsError::new("rename", from, error))
    }

    fn remove_file(&self, path: &Path) -> FsResult<()> {
        present(fs::remove_file(path))
            .map(|_| ())
            .map_err(|error| FsError::new("remove", path, error))
    }

    fn remove_dir_all(&self, dir: &Path) -> FsResult<()> {
        present(fs::remove_dir_all(dir))
            .map(|_| ())
            .map_err(|error| FsError::new("remove", dir, error))
    }

    fn sync_dir(&self, dir: &Path) -> FsResult<()> {
        if !self.sync || !cfg!(unix) {
            return Ok(());
        }
        File::open(dir)
            .and_then(|folder| folder.sync_all())
            .map_err(|error| FsError::new("sync the folder", dir, error))
    }
}
