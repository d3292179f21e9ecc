//! Lines of bounded length, with their number and offset.

use super::{DataError, MAX_DOCUMENT, input};
use std::io::{self, BufRead};
use std::path::PathBuf;

/// Reads lines of bytes; the line end (`\n` or `\r\n`) is removed.
pub(super) struct Lines<R> {
    reader: R,
    /// The file, for messages.
    pub(super) path: PathBuf,
    /// Number of the line read last, from 1.
    pub(super) number: u64,
    /// Offset of its first byte.
    pub(super) offset: u64,
    /// Documents read so far, kept by the caller for messages.
    pub(super) documents: usize,
    next_offset: u64,
    buffer: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(reader: R, path: PathBuf) -> Self {
        Self {
            reader,
            path,
            number: 0,
            offset: 0,
            documents: 0,
            next_offset: 0,
            buffer: Vec::new(),
        }
    }

    /// Reads the next line, `None` at the end.
    pub(super) fn read(&mut self) -> Result<Option<&[u8]>, DataError> {
        self.buffer.clear();
        self.offset = self.next_offset;
        self.number += 1;
        loop {
            let available = match self.reader.fill_buf() {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.failed(error)),
            };
            let ends = available.iter().position(|byte| *byte == b'\n');
            let used = ends.map_or(available.len(), |at| at + 1);
            if used == 0 {
                break;
            }
            self.buffer.extend_from_slice(&available[..used]);
            self.reader.consume(used);
            self.next_offset += used as u64;
            if self.buffer.len() > MAX_DOCUMENT {
                return Err(self.too_long(format!("line {}", self.number)));
            }
            if ends.is_some() {
                break;
            }
        }
        if self.buffer.is_empty() {
            return Ok(None);
        }
        if self.buffer.last() == Some(&b'\n') {
            self.buffer.pop();
            if self.buffer.last() == Some(&b'\r') {
                self.buffer.pop();
            }
        }
        Ok(Some(&self.buffer))
    }

    /// Reads the next line as text.
    pub(super) fn read_text(&mut self) -> Result<Option<&str>, DataError> {
        if self.read()?.is_none() {
            return Ok(None);
        }
        match std::str::from_utf8(&self.buffer) {
            Ok(text) => Ok(Some(text)),
            Err(error) => Err(DataError::Utf8 {
                path: self.path.clone(),
                offset: self.offset + error.valid_up_to() as u64,
            }),
        }
    }

    pub(super) fn too_long(&self, place: String) -> DataError {
        DataError::TooLong {
            path: self.path.clone(),
            place,
            limit: MAX_DOCUMENT,
            documents: self.documents,
        }
    }

    fn failed(&self, error: io::Error) -> DataError {
        input::failure(&self.path, error, self.documents)
    }
}
