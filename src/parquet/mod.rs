//! Parquet files, as far as texts are read from them and tables of runs are written.
//!
//! Written here and not taken from a library, because files are untrusted: nothing is allocated by a size that the file only claims, and
//! nothing but what a column of texts needs is read. Format: <https://parquet.apache.org/docs/file-format/>.

mod encodings;
mod read;
mod schema;
mod thrift;
mod write;

#[cfg(test)]
mod tests;

pub(crate) use read::Texts;
pub(crate) use write::{Cells, Kind, Writer};

/// What a file begins and ends with.
pub(crate) const MAGIC: &[u8; 4] = b"PAR1";
/// Largest page, compressed or not, in bytes.
const MAX_PAGE: usize = 512 << 20;
/// Largest description of a file, in bytes.
const MAX_FOOTER: usize = 16 << 20;
/// Most values of a page.
const MAX_VALUES: usize = 1 << 24;

/// Number of the physical type of texts.
const BYTE_ARRAY: i64 = 6;
/// Numbers of ways to write values.
const PLAIN: i64 = 0;
const RLE: i64 = 3;
/// Numbers of kinds of compression.
const UNCOMPRESSED: i64 = 0;
const SNAPPY: i64 = 1;

/// Why a file is not read.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It cannot be read from the disk.
    Io(std::io::Error),
    /// It ends within something.
    Ends,
    /// What stands there is not what the format asks for.
    Damaged(String),
    /// It is sound, but of a form that is not read; or the field is not there.
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

/// A form that is not read.
fn unread<T>(what: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Unread(what.into()))
}
