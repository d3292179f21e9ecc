//! Parquet files: reads string columns and writes tables of runs.
//!
//! Written here instead of using a library, because files are untrusted: no allocation depends on a size merely claimed
//! by the file, and only the parts needed for a string column are read. Format:
//! <https://parquet.apache.org/docs/file-format/>.

mod encodings;
mod read;
mod schema;
mod thrift;
mod write;

#[cfg(test)]
mod tests;

pub(crate) use read::Texts;
pub(crate) use write::{Cells, Kind, Writer};

/// The bytes at the beginning and the end of a file.
pub(crate) const MAGIC: &[u8; 4] = b"PAR1";
/// Maximum page size, compressed or not, in bytes.
const MAX_PAGE: usize = 512 << 20;
/// Maximum size of a file's metadata, in bytes.
const MAX_FOOTER: usize = 16 << 20;
/// Maximum values per page.
const MAX_VALUES: usize = 1 << 24;

/// Number of the physical type of strings.
const BYTE_ARRAY: i64 = 6;
/// Numbers of encodings.
const PLAIN: i64 = 0;
const RLE: i64 = 3;
/// Numbers of compression codecs.
const UNCOMPRESSED: i64 = 0;
const SNAPPY: i64 = 1;

/// Why a file cannot be read.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It cannot be read from the disk.
    Io(std::io::Error),
    /// It ends too early.
    Ends,
    /// It violates the format.
    Damaged(String),
    /// It is valid but uses an unsupported feature, or lacks the field.
    Unread(String),
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::UnexpectedEof => Self::Ends,
            _ => Self::Io(error),
        }
    }
}

/// A damaged file.
fn damaged<T>(what: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Damaged(what.into()))
}

/// An unsupported feature.
fn unread<T>(what: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Unread(what.into()))
}
