//! The files of a corpus in order: one, several, or all that match a pattern.

use super::Paths;
use super::{DataError, Fingerprint, changed_nanos, inode, modified_nanos};
use crate::digest::Hasher;
use crate::text::DataContext;
use crate::text::remote::is_address;
use glob::{MatchOptions, Pattern};
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

/// Whether a path is a pattern; a file with exactly this name takes precedence.
fn is_pattern(path: &Path) -> bool {
    path.as_os_str()
        .as_encoded_bytes()
        .iter()
        .any(|byte| matches!(byte, b'*' | b'?' | b'['))
}

/// The files, in the order of the spec; those of a pattern sorted by path, byte by byte.
pub(super) fn list(paths: &Paths, context: &DataContext) -> Result<Vec<PathBuf>, DataError> {
    let mut files = Vec::new();
    for path in paths.iter() {
        if is_address(path) {
            files.extend(context.fetched.files(path)?);
            continue;
        }
        let full = context.resolve(path);
        if !is_pattern(path) || full.exists() {
            files.push(full);
            continue;
        }
        let mut found = matches(&context.base, path)?;
        if found.is_empty() {
            return Err(DataError::Io {
                path: full,
                source: std::io::Error::new(
                    std::io::ErrorKind::NotFound,
                    "no file matches the pattern",
                ),
            });
        }
        found.sort_by(|a, b| {
            let bytes = |path: &PathBuf| path.as_os_str().as_encoded_bytes().to_vec();
            bytes(a).cmp(&bytes(b))
        });
        files.extend(found);
    }
    Ok(files)
}

/// Paths without a file, and patterns without a match.
pub(super) fn absent(paths: &Paths, context: &DataContext) -> Vec<PathBuf> {
    let full = paths.iter().map(|path| match is_address(path) {
        true => (path, path.clone()),
        false => (path, context.resolve(path)),
    });
    let absent = full.filter(|(path, full)| {
        if is_address(path) {
            return context.fetched.files(path).is_err();
        }
        let matched = || matches(&context.base, path).is_ok_and(|found| !found.is_empty());
        let is_matched = || is_pattern(path) && matched();
        !full.exists() && !is_matched()
    });
    absent.map(|(_, full)| full).collect()
}

/// The files below `base` that match a pattern, in no particular order. Matched part by part, because `base` is not a
/// pattern and need not be UTF-8.
fn matches(base: &Path, pattern: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut found = vec![base.to_owned()];
    for part in pattern.components() {
        found = match part {
            Component::Normal(name) if name == "**" => {
                let mut all = Vec::new();
                found
                    .into_iter()
                    .try_for_each(|path| folders(path, &mut all))?;
                all
            }
            Component::Normal(name) if is_pattern(Path::new(name)) => {
                let name = Pattern::new(&name.to_string_lossy()).map_err(|error| {
                    let reason = format!("not a pattern: {error}");
                    failed(
                        pattern,
                        std::io::Error::new(ErrorKind::InvalidInput, reason),
                    )
                })?;
                let mut all = Vec::new();
                for folder in found {
                    all.extend(
                        entries(&folder)?
                            .into_iter()
                            .filter(|path| fits(&name, path)),
                    );
                }
                all
            }
            other => found.into_iter().map(|path| path.join(other)).collect(),
        };
    }
    Ok(found
        .into_iter()
        .filter(|path| path.exists() && !path.is_dir())
        .collect())
}

/// As in a shell: hidden files match only a pattern that starts with a dot.
fn fits(name: &Pattern, path: &Path) -> bool {
    let options = MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: true,
    };
    let found = path.file_name().unwrap_or_default().to_string_lossy();
    name.matches_with(&found, options)
}

/// Adds a folder and its subfolders, except hidden and linked ones.
fn folders(folder: PathBuf, all: &mut Vec<PathBuf>) -> Result<(), DataError> {
    for path in entries(&folder)? {
        let is_hidden = path
            .file_name()
            .unwrap_or_default()
            .as_encoded_bytes()
            .starts_with(b".");
        if !is_hidden && !path.is_symlink() && path.is_dir() {
            folders(path, all)?;
        }
    }
    all.push(folder);
    Ok(())
}

/// The entries of a folder; empty if it is not a folder.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let list = match std::fs::read_dir(folder) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        list => list.map_err(|error| failed(folder, error))?,
    };
    let paths = list.map(|entry| entry.map(|entry| entry.path()));
    paths
        .collect::<Result<_, _>>()
        .map_err(|error| failed(folder, error))
}

fn failed(path: &Path, source: std::io::Error) -> DataError {
    let path = path.to_owned();
    DataError::Io { path, source }
}

/// One fingerprint of several files.
pub(super) fn fingerprint<'a>(
    files: impl ExactSizeIterator<Item = (&'a [u8], &'a Path)>,
) -> Result<Fingerprint, DataError> {
    let (mut hasher, mut latest, count) = (Hasher::new(), 0, files.len());
    for (name, path) in files {
        let metadata = std::fs::metadata(path).map_err(|source| DataError::Io {
            path: path.to_owned(),
            source,
        })?;
        let (modified, changed) = (modified_nanos(&metadata), changed_nanos(&metadata));
        latest = latest.max(modified).max(changed);
        hasher.update_prefixed(name);
        hasher.update(&metadata.len().to_le_bytes());
        hasher.update(&modified.to_le_bytes());
        hasher.update(&changed.to_le_bytes());
        hasher.update(&inode(&metadata).to_le_bytes());
    }
    Ok(Fingerprint {
        text: format!("{count} files, {}", hasher.finish()),
        modified: latest,
    })
}
