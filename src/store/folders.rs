//! The folders of a store. What stands in the place of one and is none (a link, a file, a device) is damage: it holds nothing, and is
//! neither followed nor written over.

use super::error::StoreError;
use super::runs::Store;
use crate::fsx::{DirEntry, FsError};
use std::path::{Path, PathBuf};

impl Store {
    /// The entries of a folder of the store; none, with a warning, where something else stands in its place.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn entries(&self, dir: &Path) -> Result<Vec<DirEntry>, StoreError> {
        match self.fs.list(dir) {
            Err(error) if error.is_damage() => {
                self.warn(not_used(&error));
                Ok(Vec::new())
            }
            other => Ok(other?),
        }
    }

    /// Makes a folder in which entries lie. What stands in its place is moved aside; above it, that is an error: a whole folder of the
    /// store is somebody's decision.
    pub(super) fn make_shard(&self, dir: &Path) -> Result<(), StoreError> {
        if self.fs.metadata(dir)?.is_some_and(|found| !found.is_dir()) {
            let part = |path: Option<&Path>| {
                let name = path.and_then(Path::file_name).unwrap_or_default();
                name.to_string_lossy().into_owned()
            };
            let name = format!("{}-{}", part(dir.parent()), part(Some(dir)));
            self.move_aside(dir, &name, &format!("`{}` is no folder", dir.display()))?;
        }
        Ok(self.fs.create_dir_all(dir)?)
    }

    /// Where damaged entries go: `damaged`; where that is no folder, `damaged-2` and so on.
    pub(super) fn make_damaged(&self) -> Result<PathBuf, StoreError> {
        let mut number = 1;
        loop {
            let folder = self.layout.damaged(number);
            match self.fs.create_dir_all(&folder) {
                Err(error) if error.is_damage() => self.warn(not_used(&error)),
                other => return Ok(other.map(|()| folder)?),
            }
            number += 1;
        }
    }

    /// The folders to which damaged entries were moved.
    pub(super) fn damaged(&self) -> Result<Vec<PathBuf>, StoreError> {
        let first = self.layout.damaged(1);
        let is_one = |entry: &DirEntry| {
            let rest = entry.name.strip_prefix("damaged-");
            entry.is_dir() && rest.is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()))
        };
        let more = self.entries(self.root())?.into_iter().filter(is_one);
        let more = more.map(|entry| self.root().join(entry.name));
        Ok(std::iter::once(first).chain(more).collect())
    }
}

fn not_used(error: &FsError) -> String {
    format!("`{}` is not used: {}", error.path.display(), error.source)
}
