//! Documents of a folder: every file is one, its contents unchanged, in the order of the paths relative to the folder
//! (compared byte by byte with `/` between parts). Names that begin with a dot are left out; links to folders are not followed.

use super::{DataError, Document, Fingerprint, MAX_DOCUMENT, inode, modified_nanos};
use crate::digest::Hasher;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A file of a folder.
pub(super) struct Listed {
    /// Path relative to the folder, parts joined by `/`.
    name: String,
    /// Path to open.
    pub(super) path: PathBuf,
}

/// Lists the files of `folder` that have `extension`, in order.
pub(super) fn list(folder: &Path, extension: Option<&str>) -> Result<Vec<Listed>, DataError> {
    let mut files = Vec::new();
    let mut pending = vec![(folder.to_owned(), String::new())];
    while let Some((path, prefix)) = pending.pop() {
        let failed = |source| DataError::Io {
            path: path.clone(),
            source,
        };
        for entry in std::fs::read_dir(&path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let file_name = entry.file_name();
            let file_name = file_name.to_string_lossy();
            if file_name.starts_with('.') {
                continue;
            }
            let name = format!("{prefix}{file_name}");
            let kind = entry.file_type().map_err(failed)?;
            if kind.is_dir() {
                pending.push((entry.path(), name + "/"));
            } else if entry.path().is_file() && has_extension(&entry.path(), extension) {
                files.push(Listed {
                    name,
                    path: entry.path(),
                });
            }
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

fn has_extension(path: &Path, extension: Option<&str>) -> bool {
    let wanted = extension.map(|extension| extension.trim_start_matches('.'));
    wanted.is_none_or(|wanted| path.extension().is_some_and(|actual| actual == wanted))
}

/// Reads one file.
pub(super) fn read(path: &Path) -> Result<Document, DataError> {
    let failed = |source| DataError::Io {
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .map_err(failed)?
        .take(MAX_DOCUMENT as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() > MAX_DOCUMENT {
        return Err(DataError::TooLong {
            path: path.to_owned(),
            place: "the file".to_owned(),
            limit: MAX_DOCUMENT,
            documents: 0,
        });
    }
    String::from_utf8(bytes)
        .map(Document::Text)
        .map_err(|error| DataError::Utf8 {
            path: path.to_owned(),
            offset: error.utf8_error().valid_up_to() as u64,
        })
}

/// Size, time and inode of all files.
pub(super) fn fingerprint(files: &[Listed]) -> Result<Fingerprint, DataError> {
    let mut hasher = Hasher::new();
    let mut latest = 0;
    for file in files {
        let metadata = std::fs::metadata(&file.path).map_err(|source| DataError::Io {
            path: file.path.clone(),
            source,
        })?;
        let modified = modified_nanos(&metadata);
        latest = latest.max(modified);
        hasher.update_prefixed(file.name.as_bytes());
        hasher.update(&metadata.len().to_le_bytes());
        hasher.update(&modified.to_le_bytes());
        hasher.update(&inode(&metadata).to_le_bytes());
    }
    Ok(Fingerprint {
        text: format!("{} files, {}", files.len(), hasher.finish()),
        modified: latest,
    })
}
