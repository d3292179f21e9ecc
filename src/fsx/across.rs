//! Moving where a rename is impossible: to another device, or out of a lower layer of an overlay.

use super::atomic::temporary;
use super::{Fs, FsError, FsResult, Kind, Open};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

/// Copies `from` to a temporary place, makes the complete copy appear at `to`, and then removes
/// exactly what was copied: at any moment one of the two is complete. Links and devices do not
/// belong in a store and are removed without a copy.
///
/// # Errors
/// The error of the failing step. Until the copy is complete, `from` is unchanged; an incomplete
/// copy is removed if possible.
pub(super) fn across(fs: &dyn Fs, from: &Path, to: &Path) -> FsResult<()> {
    let new = temporary(to);
    let there = copy(fs, from, &new).and_then(|()| fs.rename(&new, to));
    if there.is_err() {
        // The first error is the one to report.
        let _ = fs.remove_dir_all(&new);
        return there;
    }
    if let Some(parent) = to.parent() {
        fs.sync_dir(parent)?;
    }
    remove(fs, from)
}

fn kind(fs: &dyn Fs, path: &Path) -> FsResult<Kind> {
    let absent = || FsError::new("rename", path, io::ErrorKind::NotFound.into());
    Ok(fs.metadata(path)?.ok_or_else(absent)?.kind)
}

fn copy(fs: &dyn Fs, from: &Path, to: &Path) -> FsResult<()> {
    match kind(fs, from)? {
        Kind::File => copy_file(fs, from, to),
        Kind::Dir => {
            fs.create_dir_all(to)?;
            for entry in fs.list(from)? {
                copy(fs, &from.join(&entry.file_name), &to.join(&entry.file_name))?;
            }
            fs.sync_dir(to)
        }
        Kind::Link | Kind::Special => Ok(()),
    }
}

fn copy_file(fs: &dyn Fs, from: &Path, to: &Path) -> FsResult<()> {
    let mut old = fs.open_read(from)?;
    let mut new = fs.open_write(to, Open::New)?;
    let mut piece = vec![0; 1 << 18];
    loop {
        let count = match old.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other.map_err(|error| FsError::new("read", from, error))?,
        };
        if count == 0 {
            break;
        }
        let written = new.write_all(&piece[..count]);
        written.map_err(|error| FsError::new("write", to, error))?;
    }
    new.sync().map_err(|error| FsError::new("sync", to, error))
}

/// Removes exactly what [`copy`] copies.
fn remove(fs: &dyn Fs, path: &Path) -> FsResult<()> {
    if kind(fs, path)? != Kind::Dir {
        return fs.remove_file(path);
    }
    for entry in fs.list(path)? {
        remove(fs, &path.join(&entry.file_name))?;
    }
    match fs.remove_dir(path)? {
        true => Ok(()),
        false => {
            let error = io::ErrorKind::DirectoryNotEmpty.into();
            Err(FsError::new("remove", path, error))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Fault, FaultFs, RealFs};
    use super::*;
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::PathBuf;
    use std::sync::Arc;

    const FILES: [(&str, &str); 4] = [
        ("record.json", "{}"),
        ("model", "weights of a model"),
        ("checkpoint/head", "step 7"),
        ("checkpoint/moments", ""),
    ];

    /// Files below a folder; empty if there is no folder.
    fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
        let Ok(entries) = fs::read_dir(folder) else {
            return BTreeMap::new();
        };
        let mut found = BTreeMap::new();
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found.extend(contents(&path));
            } else {
                let bytes = fs::read(&path).unwrap();
                found.insert(path, bytes);
            }
        }
        found
    }

    fn is_whole(folder: &Path) -> bool {
        let expected = FILES.map(|(name, text)| (folder.join(name), text.as_bytes().to_vec()));
        contents(folder) == BTreeMap::from(expected)
    }

    /// Whatever fails at whichever operation, one of the two places holds everything, and whatever
    /// is at the new place is complete.
    #[test]
    fn a_copy_that_breaks_anywhere_loses_nothing() {
        let mut broken = 0;
        // ENOSPC once and permanently, and EIO.
        let faults = [
            Fault::Kill,
            Fault::Fail(28),
            Fault::FailFrom(28),
            Fault::Fail(5),
            Fault::ShortWrite,
        ];
        for fault in faults {
            for at in 0.. {
                let dir = tempfile::tempdir().unwrap();
                let (from, to) = (dir.path().join("from"), dir.path().join("there/to"));
                fs::create_dir_all(to.parent().unwrap()).unwrap();
                for (name, text) in FILES {
                    fs::create_dir_all(from.join(name).parent().unwrap()).unwrap();
                    fs::write(from.join(name), text).unwrap();
                }
                let real: Arc<dyn Fs> = Arc::new(RealFs::without_sync());
                let faulty = FaultFs::new(real, at, fault);
                let moved = across(&faulty, &from, &to);
                let told = format!("{fault:?} at {at}: {moved:?}");
                assert!(is_whole(&to) || !to.exists(), "{told}");
                assert!(is_whole(&to) || is_whole(&from), "{told}");
                assert!(moved.is_err() || is_whole(&to) && !from.exists(), "{told}");
                let left = fs::read_dir(to.parent().unwrap()).unwrap().count();
                let can_tidy = !matches!(fault, Fault::Kill | Fault::FailFrom(_));
                assert!(!can_tidy || left == usize::from(to.exists()), "{told}");
                broken += usize::from(moved.is_err());
                if faulty.operations() <= at {
                    break;
                }
            }
        }
        assert!(broken > 80, "{broken}");
    }

    #[cfg(unix)]
    #[test]
    fn any_name_is_copied_and_links_are_not() {
        use std::os::unix::ffi::OsStrExt as _;
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        let odd = std::ffi::OsStr::from_bytes(b"\xff");
        fs::create_dir(&from).unwrap();
        fs::write(from.join(odd), "mine").unwrap();
        fs::write(from.join("plain"), "ours").unwrap();
        std::os::unix::fs::symlink(odd, from.join("link")).unwrap();
        across(&RealFs::without_sync(), &from, &to).unwrap();
        assert_eq!(fs::read_to_string(to.join(odd)).unwrap(), "mine");
        assert_eq!(fs::read_to_string(to.join("plain")).unwrap(), "ours");
        assert!(!from.exists() && fs::read_dir(&to).unwrap().count() == 2);
    }
}
