//! Opening a file of a corpus: regular files only, decompressed according to their first bytes, without a byte order
//! mark.
//!
//! A compressed file is decompressed as it is read. The memory needed is the window for zstd, at most [`MAX_WINDOW`];
//! the dictionary for xz, at most [`MAX_DICTIONARY`]; 32 KiB for gzip.

use super::zst::ZstReader;
use super::{DataError, MAX_DICTIONARY};
use flate2::bufread::MultiGzDecoder;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

const BUFFER: usize = 1 << 17;
const ZSTD: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
const XZ: [u8; 6] = [0xFD, b'7', b'z', b'X', b'Z', 0];
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// A problem with a compressed file; carried inside an [`io::Error`].
#[derive(Debug)]
pub(super) struct CompressionFailure {
    /// `zstd`, `gzip` or `xz`.
    pub(super) format: &'static str,
    /// Whether the file ends too early.
    pub(super) truncated: bool,
    /// Decompressed bytes before the problem.
    pub(super) decoded: u64,
    /// Reason given by the decoder, or ours if the file is valid but needs too much memory.
    pub(super) reason: String,
    /// Whether the file is valid.
    pub(super) sound: bool,
}

impl fmt::Display for CompressionFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for CompressionFailure {}

/// A file, decompressed as it is read.
pub(super) type Input = Box<dyn BufRead + Send>;

/// Opens a regular file.
pub(super) fn open_file(path: &Path) -> Result<File, DataError> {
    let failed = |source| DataError::Io {
        path: path.to_owned(),
        source,
    };
    // Opening a pipe would block until there is a writer.
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if metadata.is_dir() {
        return Err(failed(io::ErrorKind::IsADirectory.into()));
    }
    if !metadata.is_file() {
        return Err(failed(io::Error::other(
            "it is a pipe or a device; documents are read more than once, so they must be in a file",
        )));
    }
    crate::fsx::open_regular(path).map_err(failed)
}

/// Opens a binary file.
pub(super) fn open_bytes(path: &Path) -> Result<Input, DataError> {
    let failed = |source| DataError::Io {
        path: path.to_owned(),
        source,
    };
    let mut file = BufReader::with_capacity(BUFFER, open_file(path)?);
    let first = file.fill_buf().map_err(failed)?;
    let decoded: Box<dyn Read + Send> = if first.starts_with(&ZSTD) || is_skippable(first) {
        Box::new(ZstReader::new(file))
    } else if first.starts_with(&[0x1F, 0x8B]) {
        Box::new(Counted::new(MultiGzDecoder::new(file), "gzip"))
    } else if first.starts_with(&XZ) {
        let kib = (MAX_DICTIONARY >> 10) as u32;
        let reader = lzma_rust2::XzReader::new_mem_limit(file, true, kib);
        Box::new(Counted::new(reader, "xz"))
    } else if let Some((name, advice)) = unread(first) {
        return Err(failed(io::Error::other(format!("it is {name}; {advice}"))));
    } else if let Some(format) = named_as_compressed(path, first) {
        return Err(DataError::Compressed {
            path: path.to_owned(),
            format,
            truncated: false,
            sound: false,
            decoded: 0,
            documents: 0,
            reason: "it does not begin like such a file".to_owned(),
        });
    } else {
        return Ok(Box::new(file));
    };
    Ok(Box::new(BufReader::with_capacity(BUFFER, decoded)))
}

/// Opens a file of UTF-8 text, without its byte order mark.
pub(super) fn open_text(path: &Path) -> Result<Input, DataError> {
    let mut input = open_bytes(path)?;
    let first = input.fill_buf().map_err(|error| failure(path, error, 0))?;
    if first.starts_with(&[0xFF, 0xFE]) || first.starts_with(&[0xFE, 0xFF]) {
        return Err(DataError::Io {
            path: path.to_owned(),
            source: io::Error::other(
                "it is UTF-16 (by its byte order mark); convert it to UTF-8, as with `iconv -f UTF-16 -t UTF-8`",
            ),
        });
    }
    if first.starts_with(BYTE_ORDER_MARK) {
        input.consume(BYTE_ORDER_MARK.len());
    }
    Ok(input)
}

/// A read error, with the decoder's reason.
pub(super) fn failure(path: &Path, error: io::Error, documents: usize) -> DataError {
    let path = path.to_owned();
    match error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<CompressionFailure>())
    {
        Some(found) => DataError::Compressed {
            path,
            format: found.format,
            truncated: found.truncated,
            sound: found.sound,
            decoded: found.decoded,
            documents,
            reason: found.reason.clone(),
        },
        None => DataError::Io {
            path,
            source: error,
        },
    }
}

/// The compression format suggested by the name, if the first bytes are neither that format nor text.
fn named_as_compressed(path: &Path, first: &[u8]) -> Option<&'static str> {
    let extension = path.extension()?;
    let known = [("zst", "zstd"), ("gz", "gzip"), ("xz", "xz")];
    let (_, format) = known.into_iter().find(|(known, _)| extension == *known)?;
    let is_text =
        std::str::from_utf8(first).map_or_else(|error| error.error_len().is_none(), |_| true);
    (!is_text).then_some(format)
}

fn is_skippable(first: &[u8]) -> bool {
    matches!(first, [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..])
}

/// Recognised but unsupported formats.
fn unread(first: &[u8]) -> Option<(&'static str, &'static str)> {
    let known: [(&[u8], &str, &str); 5] = [
        (
            b"BZh",
            "compressed with bzip2",
            "zstd, gzip, xz and plain files are read",
        ),
        (
            b"PK\x03\x04",
            "a zip archive",
            "unpack it; zstd, gzip, xz and plain files are read",
        ),
        (
            &[0x04, 0x22, 0x4D, 0x18],
            "compressed with lz4",
            "zstd, gzip, xz and plain files are read",
        ),
        (
            crate::parquet::MAGIC,
            "a Parquet file",
            "read it with `corpus: {parquet: {path: …}}`",
        ),
        (
            b"7z\xBC\xAF\x27\x1C",
            "a 7z archive",
            "unpack it; zstd, gzip, xz and plain files are read",
        ),
    ];
    let found = known
        .into_iter()
        .find(|(magic, ..)| first.starts_with(magic));
    found.map(|(_, name, advice)| (name, advice))
}

/// Counts decoded bytes, so that errors can name a position.
struct Counted<R> {
    inner: R,
    format: &'static str,
    decoded: u64,
}

impl<R: Read> Counted<R> {
    fn new(inner: R, format: &'static str) -> Self {
        Self {
            inner,
            format,
            decoded: 0,
        }
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.inner.read(buffer) {
            Ok(read) => {
                self.decoded += read as u64;
                Ok(read)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => Err(io::Error::other(CompressionFailure {
                format: self.format,
                truncated: error.kind() == io::ErrorKind::UnexpectedEof,
                decoded: self.decoded,
                sound: error.kind() == io::ErrorKind::OutOfMemory,
                reason: error.to_string(),
            })),
        }
    }
}
