//! Files that a user named.

use std::fs::File;
use std::io;
use std::path::Path;

/// Opens a file that a user named; links are followed.
///
/// # Errors
/// An absent or unreadable file; a folder, a pipe or a device, without waiting for its other end.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let found = std::fs::metadata(path)?;
    if found.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !found.is_file() {
        return Err(io::Error::other("it is a pipe or a device, not a file"));
    }
    File::open(path)
}
