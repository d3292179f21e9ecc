//! The folders of a store. Anything else in the place of a folder (a link, a file, a device) is damage: it
//! contains nothing, and it is neither followed nor overwritten.

use super::error::StoreError;
use super::runs::Store;
use crate::fsx::{DirEntry, FsError};
use std::path::{Path, PathBuf};

impl Store {
    /// The entries of a folder of the store; empty, with a warning, if something else is in its place.
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

    /// Creates a folder for entries. Anything else in its place is moved aside; in the place of a parent
    /// folder, it is an error, because replacing a top-level folder of the store is somebody's decision.
    pub(super) fn make_shard(&self, dir: &Path) -> Result<(), StoreError> {
        if self.fs.metadata(dir)?.is_some_and(|found| !found.is_dir()) {
            let part = |path: Option<&Path>| {
                let name = path.and_then(Path::file_name).unwrap_or_default();
                name.to_string_lossy().into_owned()
            };
            let name = format!("{}-{}", part(dir.parent()), part(Some(dir)));
            self.move_aside(dir, &name, &format!("`{}` is not a folder", dir.display()))?;
        }
        Ok(self.fs.create_dir_all(dir)?)
    }

    /// Creates the folder for damaged entries: `damaged`, or `damaged-2` and so on if something else has that
    /// name.
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

    /// The folders that damaged entries were moved to.
    pub(super) fn damaged(&self) -> Result<Vec<PathBuf>, StoreError> {
        let first = self.layout.damaged(1);
        let is_one = |entry: &DirEntry| {
            let rest = entry.name.strip_prefix("damaged-");
            entry.is_dir() && rest.is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()))
        };
        let more = self.entries(self.root())?.into_iter().filter(is_one);
        let more = more.map(|entry| self.root().join(entry.file_name));
        Ok(std::iter::once(first).chain(more).collect())
    }
}

fn not_used(error: &FsError) -> String {
    format!("`{}` is not used: {}", error.path.display(), error.source)
}
