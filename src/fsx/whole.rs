//! Length and digest of a file.

use super::{Fs, FsError, FsResult};
use crate::digest::{Hasher, Sha256Hex};
use std::path::Path;

/// Length and digest of a file, read in pieces; `None` if there is none.
///
/// # Errors
/// A file that cannot be read.
pub fn digest(fs: &dyn Fs, path: &Path) -> FsResult<Option<(u64, Sha256Hex)>> {
    let mut file = match fs.open_read(path) {
        Ok(file) => file,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut hasher = Hasher::new();
    let mut piece = vec![0; 1 << 18];
    let mut bytes = 0;
    loop {
        let count = match file.read(&mut piece) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            other => other.map_err(|error| FsError::new("read", path, error))?,
        };
        if count == 0 {
            return Ok(Some((bytes, hasher.finish())));
        }
        hasher.update(&piece[..count]);
        bytes += count as u64;
    }
}
