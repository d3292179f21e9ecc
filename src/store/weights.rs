//! Arrays in files of the store: the format is that of [`crate::weights::file`]; they are written to disk like
//! every other file.

use super::error::StoreError;
use crate::fsx::{AtomicFile, Fs, FsError};
use crate::weights::NamedTensor;
use crate::weights::file::{self, TensorRef};
use std::io::{self, Write};

/// Passes bytes on to a file of the store and keeps its error, which names operation and path.
struct Sink<'a, 'f, F: Fs + ?Sized> {
    file: &'a mut AtomicFile<'f, F>,
    error: Option<FsError>,
}

impl<F: Fs + ?Sized> Write for Sink<'_, '_, F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes).map_err(|error| {
            self.error = Some(error);
            io::Error::other("the store's file cannot be written")
        })?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes `arrays` into a file of the store.
pub(crate) fn write_arrays<F: Fs + ?Sized>(
    file: &mut AtomicFile<'_, F>,
    arrays: &[TensorRef<'_>],
) -> Result<(), StoreError> {
    let mut sink = Sink { file, error: None };
    let written = file::write_tensors(arrays, &mut sink);
    written.map_err(|error| match sink.error.take() {
        Some(cause) => cause.into(),
        None => StoreError::Unstorable {
            what: "weights",
            reason: error.to_string(),
        },
    })
}

/// Reads the arrays of a file; the error describes why it cannot be read.
pub(crate) fn read_arrays(bytes: &[u8]) -> Result<Vec<NamedTensor>, String> {
    file::from_bytes(bytes).map(|weights| weights.0)
}
