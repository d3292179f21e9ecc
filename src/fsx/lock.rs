//! One writer at a time: a lock that the system releases when its holder ends, for whatever reason.

use super::{FsError, FsResult};
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// Interval between attempts to take a lock that is held.
const POLL: Duration = Duration::from_millis(50);

/// A lock, held until it is dropped. On a file system without locks, it holds nothing.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock on the file `path`, creating the file; waits at most `patience`. A link is
    /// refused. The holder may remove the file.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if another process holds it for longer; no permission, no
    /// folder, or a link.
    pub fn take(path: &Path, patience: Duration) -> FsResult<Self> {
        let begun = Instant::now();
        loop {
            match attempt(path).map_err(|error| FsError::new("lock", path, error))? {
                Some(lock) => return Ok(lock),
                None if begun.elapsed() >= patience => {
                    let text = format!("another process has held it for {patience:?}");
                    let error = io::Error::new(io::ErrorKind::WouldBlock, text);
                    return Err(FsError::new("lock", path, error));
                }
                None => std::thread::sleep(POLL),
            }
        }
    }
}

fn attempt(path: &Path) -> io::Result<Option<Lock>> {
    let mut options = OpenOptions::new();
    // Windows locks only files open for reading or writing, and appending is neither.
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.custom_flags(nix::fcntl::OFlag::O_NOFOLLOW.bits());
    }
    let file = options.open(path)?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) if error.kind() != io::ErrorKind::Unsupported => {
            return Err(error);
        }
        Ok(()) | Err(TryLockError::Error(_)) => {}
    }
    // The former holder may have removed the file after we opened it; the lock would then protect
    // nothing.
    Ok(is_at(&file, path)?.then_some(Lock { _file: file }))
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let ours = file.metadata()?;
    match std::fs::symlink_metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> io::Result<bool> {
    path.try_exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time_even_when_the_file_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = Lock::take(&path, Duration::ZERO).unwrap();
        let error = Lock::take(&path, Duration::from_millis(60)).unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::WouldBlock);
        let waiting = std::thread::scope(|scope| {
            let waiter = scope.spawn(|| Lock::take(&path, Duration::from_secs(20)));
            std::thread::sleep(Duration::from_millis(120));
            std::fs::remove_file(&path).unwrap();
            drop(held);
            waiter.join().unwrap()
        });
        assert!(waiting.is_ok() && path.exists());
        assert!(Lock::take(&path, Duration::ZERO).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_no_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        std::os::unix::fs::symlink(folder.path().join("elsewhere"), &path).unwrap();
        assert!(Lock::take(&path, Duration::ZERO).is_err());
        assert!(!folder.path().join("elsewhere").exists());
    }
}
