//! Folders as open handles.

use super::super::{DirEntry, Kind, Metadata, Open};
use super::{on_the_way, wrong_kind};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat, mkdirat};
use nix::unistd::{UnlinkatFlags, fsync, unlinkat};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// An open folder (`None` for the current one) and a path in it.
pub(in super::super) struct Place {
    folder: Option<OwnedFd>,
    name: PathBuf,
    /// Whether this is the caller's root, which may be a link.
    is_root: bool,
}

/// Opens a folder only to traverse it.
#[cfg(target_os = "linux")]
const THROUGH: OFlag = OFlag::O_PATH
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_CLOEXEC);
#[cfg(not(target_os = "linux"))]
const THROUGH: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_CLOEXEC);

/// Folder mode and file mode before the umask.
const FOLDER: Mode = Mode::from_bits_truncate(0o777);
const FILE: Mode = Mode::from_bits_truncate(0o666);

fn kind_of(stat: &FileStat) -> Kind {
    match SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT {
        SFlag::S_IFREG => Kind::File,
        SFlag::S_IFDIR => Kind::Dir,
        SFlag::S_IFLNK => Kind::Link,
        _ => Kind::Special,
    }
}

fn metadata_of(stat: &FileStat) -> Metadata {
    let since = Duration::new(stat.st_mtime.max(0) as u64, stat.st_mtime_nsec as u32);
    Metadata {
        bytes: stat.st_size.max(0) as u64,
        kind: kind_of(stat),
        modified: SystemTime::UNIX_EPOCH + since,
    }
}

/// Opens `name` in `folder` as a folder, never through a link.
fn step(folder: BorrowedFd<'_>, name: &OsStr) -> io::Result<OwnedFd> {
    match openat(folder, name, THROUGH | OFlag::O_NOFOLLOW, Mode::empty()) {
        Err(Errno::ENOTDIR | Errno::ELOOP) => {
            let kind = kind_of(&fstatat(folder, name, AtFlags::AT_SYMLINK_NOFOLLOW)?);
            Err(match kind {
                // Like any file on the way of a path: nothing is there.
                Kind::File => Errno::ENOTDIR.into(),
                other => on_the_way(name, other),
            })
        }
        other => Ok(other?),
    }
}

/// Opens the folder `rest` below `root` in one call, if the system has such a call.
#[cfg(target_os = "linux")]
fn leap(root: BorrowedFd<'_>, rest: &Path) -> Option<OwnedFd> {
    use nix::fcntl::{OpenHow, ResolveFlag, openat2};
    let how = OpenHow::new()
        .flags(THROUGH)
        .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_BENEATH);
    openat2(root, rest, how).ok()
}

#[cfg(not(target_os = "linux"))]
fn leap(_: BorrowedFd<'_>, _: &Path) -> Option<OwnedFd> {
    None
}

impl Place {
    /// Resolves `path`.
    pub(in super::super) fn of(root: Option<&Path>, path: &Path) -> io::Result<Self> {
        let whole = |is_root| Self {
            folder: None,
            name: path.to_path_buf(),
            is_root,
        };
        let (Some(rest), Some(root)) = (super::below(root, path)?, root) else {
            return Ok(whole(root == Some(path)));
        };
        let (Some(parent), Some(name)) = (rest.parent(), rest.file_name()) else {
            return Ok(whole(false));
        };
        let start = if root.as_os_str().is_empty() {
            Path::new(".")
        } else {
            root
        };
        let mut folder = openat(AT_FDCWD, start, THROUGH, Mode::empty())?;
        if !parent.as_os_str().is_empty() {
            folder = match leap(folder.as_fd(), parent) {
                Some(folder) => folder,
                // Absent, a link, or a system without the call: the steps below tell which.
                None => {
                    for part in parent.components() {
                        folder = step(folder.as_fd(), part.as_os_str())?;
                    }
                    folder
                }
            };
        }
        Ok(Self {
            folder: Some(folder),
            name: PathBuf::from(name),
            is_root: false,
        })
    }

    fn folder(&self) -> BorrowedFd<'_> {
        self.folder.as_ref().map_or(AT_FDCWD, AsFd::as_fd)
    }

    fn name(&self) -> &Path {
        // For the standard library's joins, the empty path is the current folder.
        if self.name.as_os_str().is_empty() {
            Path::new(".")
        } else {
            &self.name
        }
    }

    fn no_follow(&self) -> OFlag {
        if self.is_root {
            OFlag::empty()
        } else {
            OFlag::O_NOFOLLOW
        }
    }

    pub(in super::super) fn metadata(&self) -> io::Result<Metadata> {
        let flags = if self.is_root {
            AtFlags::empty()
        } else {
            AtFlags::AT_SYMLINK_NOFOLLOW
        };
        Ok(metadata_of(&fstatat(self.folder(), self.name(), flags)?))
    }

    /// Opens it with `flags`; anything but a regular file is an error. A pipe does not block this.
    fn open_file(&self, flags: OFlag) -> io::Result<File> {
        let flags = flags | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let opened = openat(self.folder(), self.name(), flags | self.no_follow(), FILE);
        let found = match opened {
            Ok(file) => {
                let kind = kind_of(&fstat(&file)?);
                if kind == Kind::File {
                    return Ok(File::from(file));
                }
                kind
            }
            // A link; a pipe without a reader, or a socket; a folder.
            Err(Errno::ELOOP | Errno::ENXIO | Errno::EISDIR) => self.metadata()?.kind,
            Err(error) => return Err(error.into()),
        };
        Err(wrong_kind(found, Kind::File))
    }

    pub(in super::super) fn open(&self) -> io::Result<File> {
        self.open_file(OFlag::O_RDONLY)
    }

    /// Opens for writing, in place if `open` is `None`.
    pub(in super::super) fn open_write(&self, open: Option<Open>) -> io::Result<File> {
        self.open_file(match open {
            None => OFlag::O_WRONLY,
            Some(Open::New) => OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL,
            Some(Open::Append) => OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_APPEND,
        })
    }

    fn open_dir(&self) -> io::Result<OwnedFd> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | self.no_follow();
        match openat(self.folder(), self.name(), flags, Mode::empty()) {
            Err(Errno::ENOTDIR | Errno::ELOOP) => Err(wrong_kind(self.metadata()?.kind, Kind::Dir)),
            other => Ok(other?),
        }
    }

    pub(in super::super) fn list(&self) -> io::Result<Vec<DirEntry>> {
        let mut dir = Dir::from_fd(self.open_dir()?)?;
        let found = entries(&mut dir)?.into_iter();
        Ok(found
            .map(|(name, kind)| DirEntry::new(name, kind))
            .collect())
    }

    pub(in super::super) fn create_dir(&self) -> io::Result<()> {
        Ok(mkdirat(self.folder(), self.name(), FOLDER)?)
    }

    pub(in super::super) fn rename(&self, to: &Self) -> io::Result<()> {
        Ok(renameat(
            self.folder(),
            self.name(),
            to.folder(),
            to.name(),
        )?)
    }

    pub(in super::super) fn remove_file(&self) -> io::Result<()> {
        let flag = UnlinkatFlags::NoRemoveDir;
        Ok(unlinkat(self.folder(), self.name(), flag)?)
    }

    /// Removes a folder with its contents or, for a link, the link itself.
    pub(in super::super) fn remove_all(&self) -> io::Result<()> {
        let no_follow = AtFlags::AT_SYMLINK_NOFOLLOW;
        let kind = kind_of(&fstatat(self.folder(), self.name(), no_follow)?);
        remove(self.folder(), self.name().as_os_str(), kind)
    }

    pub(in super::super) fn remove_dir(&self) -> io::Result<()> {
        let flag = UnlinkatFlags::RemoveDir;
        Ok(unlinkat(self.folder(), self.name(), flag)?)
    }

    pub(in super::super) fn sync_dir(&self) -> io::Result<()> {
        Ok(fsync(self.open_dir()?)?)
    }
}

/// Names and kinds of the entries of an open folder.
fn entries(dir: &mut Dir) -> io::Result<Vec<(OsString, Kind)>> {
    use nix::dir::Type;
    use std::os::unix::ffi::OsStrExt as _;
    let mut found = Vec::new();
    for entry in dir.iter() {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes()).to_os_string();
        if name == "." || name == ".." {
            continue;
        }
        let kind = match entry.file_type() {
            Some(Type::File) => Some(Kind::File),
            Some(Type::Directory) => Some(Kind::Dir),
            Some(Type::Symlink) => Some(Kind::Link),
            Some(_) => Some(Kind::Special),
            None => None,
        };
        found.push((name, kind));
    }
    let mut kinds = Vec::with_capacity(found.len());
    for (name, kind) in found {
        let kind = match kind {
            Some(kind) => kind,
            None => match fstatat(&*dir, name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW) {
                Ok(stat) => kind_of(&stat),
                // Removed since it was listed.
                Err(Errno::ENOENT) => continue,
                Err(error) => return Err(error.into()),
            },
        };
        kinds.push((name, kind));
    }
    Ok(kinds)
}

/// Removes `name` in `folder`, whatever it is, without following links.
fn remove(folder: BorrowedFd<'_>, name: &OsStr, kind: Kind) -> io::Result<()> {
    if kind != Kind::Dir {
        return gone(unlinkat(folder, name, UnlinkatFlags::NoRemoveDir));
    }
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let opened = match openat(folder, name, flags, Mode::empty()) {
        Err(Errno::ENOENT) => return Ok(()),
        other => other?,
    };
    let mut dir = Dir::from_fd(opened)?;
    for (inner, kind) in entries(&mut dir)? {
        remove(dir.as_fd(), &inner, kind)?;
    }
    gone(unlinkat(folder, name, UnlinkatFlags::RemoveDir))
}

fn gone(result: nix::Result<()>) -> io::Result<()> {
    match result {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
