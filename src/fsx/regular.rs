//! Files that a user named.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

/// Opens a file that a user named; links are followed. Reading it never waits: what has nothing to give yet (some files of `/proc`) is an
/// error then.
///
/// # Errors
/// An absent or unreadable file; a folder, a pipe or a device, without waiting for its other end.
pub fn open_regular(path: &Path) -> io::Result<File> {
    // Opening a device may do something already.
    is_regular(&std::fs::metadata(path)?)?;
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits());
    }
    let file = options.open(path)?;
    is_regular(&file.metadata()?)?;
    Ok(file)
}

fn is_regular(found: &std::fs::Metadata) -> io::Result<()> {
    match found {
        found if found.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        found if !found.is_file() => Err(io::Error::other("it is a pipe or a device, not a file")),
        _ => Ok(()),
    }
}
