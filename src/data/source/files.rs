//! The files of a corpus: one, several, or all that a pattern matches, in order.

use super::{DataError, Fingerprint, inode, modified_nanos};
use crate::data::DataContext;
use crate::digest::Hasher;
use crate::spec::Paths;
use std::path::{Path, PathBuf};

/// Whether a path is a pattern unless a file has that very name.
fn is_pattern(path: &Path) -> bool {
    path.as_os_str()
        .as_encoded_bytes()
        .iter()
        .any(|byte| matches!(byte, b'*' | b'?' | b'['))
}

/// The files, in the order of the spec; those of a pattern in the order of their paths, compared byte by byte.
pub(super) fn list(paths: &Paths, context: &DataContext) -> Result<Vec<PathBuf>, DataError> {
    let mut files = Vec::new();
    for path in paths.iter() {
        let full = context.resolve(path);
        if !is_pattern(path) || full.exists() {
            files.push(full);
            continue;
        }
        let mut found = matches(&full)?;
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

/// Paths without a file, and patterns that match none.
pub(super) fn absent(paths: &Paths, context: &DataContext) -> Vec<PathBuf> {
    let full = paths.iter().map(|path| (path, context.resolve(path)));
    let absent = full.filter(|(path, full)| {
        let is_matched = || is_pattern(path) && matches(full).is_ok_and(|found| !found.is_empty());
        !full.exists() && !is_matched()
    });
    absent.map(|(_, full)| full).collect()
}

fn matches(pattern: &Path) -> Result<Vec<PathBuf>, DataError> {
    let refused = |reason: String| DataError::Io {
        path: pattern.to_owned(),
        source: std::io::Error::new(std::io::ErrorKind::InvalidInput, reason),
    };
    let text = pattern
        .to_str()
        .ok_or_else(|| refused("a pattern must be UTF-8".to_owned()))?;
    // As in a shell: `*` stops at `/`, and hidden files are matched only by a dot.
    let options = glob::MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: true,
    };
    let found = glob::glob_with(text, options)
        .map_err(|error| refused(format!("not a pattern: {error}")))?;
    let found = found.map(|entry| entry.map_err(|error| refused(error.to_string())));
    let found: Vec<PathBuf> = found.collect::<Result<_, _>>()?;
    Ok(found.into_iter().filter(|path| !path.is_dir()).collect())
}

/// Sizes, times and inodes of several files as one.
pub(super) fn fingerprint<'a>(
    files: impl ExactSizeIterator<Item = (&'a [u8], &'a Path)>,
) -> Result<Fingerprint, DataError> {
    let (mut hasher, mut latest, count) = (Hasher::new(), 0, files.len());
    for (name, path) in files {
        let metadata = std::fs::metadata(path).map_err(|source| DataError::Io {
            path: path.to_owned(),
            source,
        })?;
        let modified = modified_nanos(&metadata);
        latest = latest.max(modified);
        hasher.update_prefixed(name);
        hasher.update(&metadata.len().to_le_bytes());
        hasher.update(&modified.to_le_bytes());
        hasher.update(&inode(&metadata).to_le_bytes());
    }
    Ok(Fingerprint {
        text: format!("{count} files, {}", hasher.finish()),
        modified: latest,
    })
}
