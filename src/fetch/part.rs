//! A file being downloaded.

use crate::net::Sink;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::Path;

/// The part of a file received so far.
pub(super) struct Part<'a> {
    file: File,
    bytes: u64,
    /// Bytes after which the download ends.
    enough: Option<u64>,
    told: &'a mut dyn FnMut(u64),
}

impl<'a> Part<'a> {
    /// Opens or creates the file at `path`; `enough` bytes end the download.
    pub(super) fn open(
        path: &Path,
        enough: Option<u64>,
        told: &'a mut dyn FnMut(u64),
    ) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        let bytes = file.seek(SeekFrom::End(0))?;
        Ok(Self {
            file,
            bytes,
            enough,
            told,
        })
    }

    /// Whether the requested bytes have been received.
    pub(super) fn is_enough(&self) -> bool {
        self.enough.is_some_and(|enough| self.bytes >= enough)
    }

    /// Bytes received.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Sink for Part<'_> {
    fn written(&self) -> u64 {
        self.bytes
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.bytes += bytes.len() as u64;
        (self.told)(self.bytes);
        match self.is_enough() {
            true => Err(io::Error::other("enough has come")),
            false => Ok(()),
        }
    }

    fn restart(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.bytes = 0;
        Ok(())
    }
}
