//! Files that a user named.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

/// Opens a file named by the user; links are followed. Reading it never blocks: a file without
/// available data (some files of `/proc`) then gives an error.
///
/// # Errors
/// An absent or unreadable file; a folder, a pipe or a device, without waiting for its other end.
pub fn open_regular(path: &Path) -> io::Result<File> {
    // Merely opening a device may have effects.
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
