//! For systems without folder handles: every folder on the way is examined first.

use super::super::{DirEntry, Kind, Metadata, Open};
use super::wrong_kind;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

pub(in super::super) struct Place {
    path: PathBuf,
    is_root: bool,
}

fn kind_of(kind: fs::FileType) -> Kind {
    match kind {
        kind if kind.is_file() => Kind::File,
        kind if kind.is_dir() => Kind::Dir,
        kind if kind.is_symlink() => Kind::Link,
        _ => Kind::Special,
    }
}

impl Place {
    pub(in super::super) fn of(root: Option<&Path>, path: &Path) -> io::Result<Self> {
        let is_root = root == Some(path);
        if let (Some(root), Some(rest)) = (root, super::below(root, path)?) {
            let mut folder = root.to_path_buf();
            for part in rest.parent().into_iter().flat_map(Path::components) {
                folder.push(part);
                match kind_of(fs::symlink_metadata(&folder)?.file_type()) {
                    Kind::Dir => {}
                    // As a file in the way of a path: nothing is there.
                    Kind::File => return Err(io::ErrorKind::NotADirectory.into()),
                    kind => return Err(super::on_the_way(part.as_os_str(), kind)),
                }
            }
        }
        let path = path.to_path_buf();
        Ok(Self { path, is_root })
    }

    pub(in super::super) fn metadata(&self) -> io::Result<Metadata> {
        let found = match self.is_root {
            true => fs::metadata(&self.path)?,
            false => fs::symlink_metadata(&self.path)?,
        };
        Ok(Metadata {
            bytes: found.len(),
            kind: kind_of(found.file_type()),
            modified: found.modified()?,
        })
    }

    fn expect(&self, expected: Kind) -> io::Result<()> {
        match self.metadata()?.kind {
            found if found == expected => Ok(()),
            found => Err(wrong_kind(found, expected)),
        }
    }

    pub(in super::super) fn open(&self) -> io::Result<File> {
        self.expect(Kind::File)?;
        File::open(&self.path)
    }

    pub(in super::super) fn open_write(&self, open: Option<Open>) -> io::Result<File> {
        match self.expect(Kind::File) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        match open {
            None => options.write(true),
            Some(Open::New) => options.write(true).create_new(true),
            Some(Open::Append) => options.append(true).create(true),
        };
        options.open(&self.path)
    }

    pub(in super::super) fn list(&self) -> io::Result<Vec<DirEntry>> {
        self.expect(Kind::Dir)?;
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let kind = kind_of(entry.file_type()?);
            found.push(DirEntry::new(entry.file_name(), kind));
        }
        Ok(found)
    }

    pub(in super::super) fn create_dir(&self) -> io::Result<()> {
        fs::create_dir(&self.path)
    }

    pub(in super::super) fn rename(&self, to: &Self) -> io::Result<()> {
        if self.metadata()?.kind != Kind::Dir {
            return fs::rename(&self.path, &to.path);
        }
        // Windows does not replace folders, not even empty ones, and does not always report that a
        // non-empty one is in the way.
        let _ = fs::remove_dir(&to.path);
        fs::rename(&self.path, &to.path).map_err(|error| match to.metadata() {
            Ok(_) => io::ErrorKind::AlreadyExists.into(),
            Err(_) => error,
        })
    }

    pub(in super::super) fn remove_file(&self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }

    pub(in super::super) fn remove_all(&self) -> io::Result<()> {
        match self.metadata()?.kind {
            Kind::Dir => fs::remove_dir_all(&self.path),
            _ => fs::remove_file(&self.path),
        }
    }

    pub(in super::super) fn remove_dir(&self) -> io::Result<()> {
        fs::remove_dir(&self.path)
    }

    pub(in super::super) fn sync_dir(&self) -> io::Result<()> {
        Ok(())
    }
}
