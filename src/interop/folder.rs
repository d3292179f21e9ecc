//! The output folder of an export.
//!
//! `specbook.json` lists the files made by exports, with their digests. Only listed files are replaced or removed, and
//! removed only if their digest matches; a non-empty folder without such a list is refused. Files are written
//! atomically. A file's name is listed before the file is created, so that the leftovers of a killed export can be
//! overwritten.

use super::InteropError;
use crate::digest::Sha256Hex;
use crate::fsx::{AtomicFile, Fs};
use crate::record::FileEntry;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const LIST: &str = "specbook.json";
/// Maximum size of a list, bytes.
const LIMIT: u64 = 1 << 20;

/// `specbook.json`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct List {
    /// 1.
    format: u32,
    /// Name of the export format.
    export: String,
    /// The exported run or model.
    of: String,
    /// Files by name; `None` while being written.
    files: BTreeMap<String, Option<FileEntry>>,
}

/// A folder being written.
pub struct Folder<'a> {
    fs: Arc<dyn Fs>,
    path: &'a Path,
    before: BTreeMap<String, Option<FileEntry>>,
    list: List,
    aside: Vec<String>,
}

/// Passes bytes on to an atomic file.
struct Sink<'a, 'f>(&'a mut AtomicFile<'f, dyn Fs>);

impl Write for Sink<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let failed = |error: crate::fsx::FsError| io::Error::new(error.source.kind(), error);
        self.0.write(bytes).map_err(failed)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> Folder<'a> {
    /// Begins the export `export` of `of` with these files.
    ///
    /// # Errors
    /// [`InteropError::Foreign`] for a folder, or a file in it, not made by an export.
    pub fn begin(
        fs: &dyn Fs,
        path: &'a Path,
        export: &str,
        of: &str,
        files: &[&str],
    ) -> Result<Self, InteropError> {
        let fs = fs.below(path);
        let foreign = |path: PathBuf| InteropError::Foreign { path };
        let before = match fs.read(&path.join(LIST), LIMIT) {
            Ok(bytes) => match serde_json::from_slice::<List>(&bytes) {
                Ok(list) => list.files,
                Err(_) => return Err(foreign(path.join(LIST))),
            },
            Err(error) if !error.is_not_found() => return Err(error.into()),
            Err(_) => match fs.metadata(path)? {
                None => BTreeMap::new(),
                Some(found) if !found.is_dir() => return Err(foreign(path.to_owned())),
                Some(_) if fs.list(path)?.is_empty() => BTreeMap::new(),
                Some(_) => return Err(foreign(path.to_owned())),
            },
        };
        for name in files {
            if !before.contains_key(*name) && fs.metadata(&path.join(name))?.is_some() {
                return Err(foreign(path.join(name)));
            }
        }
        fs.create_dir_all(path)?;
        let mut listed = before.clone();
        listed.extend(files.iter().map(|name| ((*name).to_owned(), None)));
        let folder = Self {
            fs,
            path,
            before,
            list: List {
                format: 1,
                export: export.to_owned(),
                of: of.to_owned(),
                files: listed,
            },
            aside: Vec::new(),
        };
        folder.save()?;
        Ok(folder)
    }

    fn save(&self) -> Result<(), InteropError> {
        let mut text = serde_json::json!(self.list).to_string();
        text.push('\n');
        let path = self.path.join(LIST);
        Ok(self.fs.write_atomic(&path, text.as_bytes())?)
    }

    /// Writes one of the files.
    ///
    /// # Errors
    /// A full disk, or values that cannot be written.
    pub fn put(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), InteropError> {
        let path = self.path.join(name);
        if let Some(folder) = path.parent() {
            self.fs.create_dir_all(folder)?;
        }
        self.set_aside(name)?;
        let mut file = AtomicFile::create(self.fs.as_ref(), &path)?;
        let mut buffered = io::BufWriter::with_capacity(1 << 16, Sink(&mut file));
        let written = write(&mut buffered).and_then(|()| buffered.flush());
        drop(buffered);
        written.map_err(|error| InteropError::input(&path, error.to_string()))?;
        let (bytes, sha256) = file.finish()?;
        let entry = Some(FileEntry { bytes, sha256 });
        self.list.files.insert(name.to_owned(), entry);
        Ok(())
    }

    /// Renames a file that was edited after its export.
    ///
    /// # Errors
    /// A file that cannot be read or renamed.
    pub fn set_aside(&mut self, name: &str) -> Result<(), InteropError> {
        let path = self.path.join(name);
        let Some(Some(made)) = self.before.get(name) else {
            return Ok(());
        };
        let is_same = match self.fs.metadata(&path)? {
            None => true,
            Some(found) if found.bytes != made.bytes => false,
            Some(_) => self.digest(&path)? == Some(made.sha256),
        };
        if is_same {
            return Ok(());
        }
        for to in crate::fsx::aside(name) {
            if self.fs.metadata(&self.path.join(&to))?.is_none() {
                self.fs.rename(&path, &self.path.join(&to))?;
                self.aside.push(format!(
                    "`{}` was edited after an earlier export made it; the edited version is kept as `{to}`",
                    path.display()
                ));
                break;
            }
        }
        Ok(())
    }

    /// The digest of a file, read in chunks; `None` if it does not exist.
    fn digest(&self, path: &Path) -> Result<Option<Sha256Hex>, InteropError> {
        let found = crate::fsx::digest(self.fs.as_ref(), path)?;
        Ok(found.map(|(_, sha256)| sha256))
    }

    /// Messages about edited files that were set aside.
    pub fn aside(&self) -> &[String] {
        &self.aside
    }

    /// Writes one of the files from its contents.
    ///
    /// # Errors
    /// As [`Folder::put`].
    pub fn put_bytes(&mut self, name: &str, bytes: &[u8]) -> Result<(), InteropError> {
        self.put(name, |out| out.write_all(bytes))
    }

    /// Completes the folder and keeps other files of earlier exports.
    ///
    /// # Errors
    /// As [`Folder::finish`].
    pub fn keep(mut self, files: &[&str]) -> Result<Vec<String>, InteropError> {
        self.before.clear();
        self.finish(files)
    }

    /// Completes the folder: removes unedited files of an earlier export that this one did not write. Returns the names
    /// of this export's files.
    ///
    /// # Errors
    /// A file that cannot be removed.
    pub fn finish(mut self, files: &[&str]) -> Result<Vec<String>, InteropError> {
        for (name, entry) in std::mem::take(&mut self.before) {
            if files.contains(&name.as_str()) {
                continue;
            }
            let path = self.path.join(&name);
            let found = self.digest(&path).ok().flatten();
            if entry.is_some_and(|entry| found == Some(entry.sha256)) {
                self.fs.remove_file(&path)?;
            }
            self.list.files.remove(&name);
        }
        self.save()?;
        Ok(files.iter().map(|name| (*name).to_owned()).collect())
    }
}
