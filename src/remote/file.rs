//! A folder on this machine or a file server.

use super::place::{Place, RemoteError};
use crate::fsx::{AtomicFile, Fs, FsError, RealFs};
use crate::net::{Payload, Sink};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

pub(super) struct Folder {
    root: PathBuf,
    fs: RealFs,
}

impl Folder {
    pub(super) fn new(root: PathBuf) -> Self {
        Self {
            root,
            fs: RealFs::new(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        let mut path = self.root.clone();
        path.extend(name.split('/'));
        path
    }
}

impl Place for Folder {
    fn length(&self, name: &str) -> Result<Option<u64>, RemoteError> {
        Ok(self.fs.metadata(&self.path(name))?.map(|found| found.bytes))
    }

    fn get(&self, name: &str, sink: &mut dyn Sink) -> Result<bool, RemoteError> {
        let path = self.path(name);
        let failed = |error| FsError::new("read", &path, error);
        let mut file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            other => other.map_err(failed)?,
        };
        file.seek(SeekFrom::Start(sink.written())).map_err(failed)?;
        pieces(&mut file, &mut |piece| sink.write(piece)).map_err(failed)?;
        Ok(true)
    }

    fn put(&self, name: &str, payload: Payload<'_>) -> Result<(), RemoteError> {
        let path = self.path(name);
        self.fs
            .create_dir_all(path.parent().unwrap_or(&self.root))?;
        let mut to = AtomicFile::create(&self.fs, &path)?;
        match payload {
            Payload::None => {}
            Payload::Bytes(bytes) => to.write(bytes)?,
            Payload::File(from) => copy(from, &mut to)?,
        }
        to.finish()?;
        Ok(())
    }
}

fn copy(from: &Path, to: &mut AtomicFile<'_, RealFs>) -> Result<(), FsError> {
    let failed = |error| FsError::new("read", from, error);
    let mut file = File::open(from).map_err(failed)?;
    let mut written = Ok(());
    let read = pieces(&mut file, &mut |piece| {
        written = to.write(piece);
        match &written {
            Ok(()) => Ok(()),
            Err(_) => Err(io::ErrorKind::Other.into()),
        }
    });
    written?;
    read.map_err(failed)
}

/// Reads in chunks.
fn pieces(from: &mut dyn Read, take: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut piece = vec![0; 1 << 18];
    loop {
        match from.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(count) => take(&piece[..count])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
