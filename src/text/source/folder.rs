//! Documents of a folder: every file is one, sorted by path relative to the folder, byte by byte with `/` between
//! parts. Names that begin with a dot are skipped. Linked files and folders are read; unreadable ones are an error,
//! never skipped.

use super::{
    BinVocabulary, DataError, Document, Documents, Fingerprint, MAX_DOCUMENT, Origin, Source,
};
use super::{files, input};
use crate::choices::Findings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// For the documentation.
pub const ABOUT: &str = "A folder of UTF-8 files, one document each, ordered by relative path.";
/// An example.
pub static EXAMPLE: LazyLock<Folder> = LazyLock::new(|| Folder {
    path: "data/notes".into(),
    extension: Some("txt".to_owned()),
});

/// A folder of files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Folder {
    /// Path, relative to the spec's folder.
    pub path: PathBuf,
    /// Only files with this extension (no dot); default: all.
    #[serde(default)]
    pub extension: Option<String>,
}

impl Source for Folder {
    fn origin(&self) -> Origin<'_> {
        Origin::Folder(self)
    }

    fn check(&self, path: &str, findings: &mut Findings) {
        let extension = self.extension.as_ref();
        if extension.is_some_and(|extension| extension.starts_with('.')) {
            let message = "an extension is written without its dot";
            findings.say(format!("{path}.extension"), message);
        }
    }

    fn read(&self, path: PathBuf, _: Option<BinVocabulary>) -> Result<Documents, DataError> {
        Ok(Box::new(std::iter::once(document(&path))))
    }
}

/// A file in a folder.
pub(super) struct Listed {
    /// Path relative to the folder, with `/` between parts, as bytes since names need not be UTF-8.
    name: Vec<u8>,
    /// Path to open.
    pub(super) path: PathBuf,
}

/// A folder to be read.
struct Pending {
    path: PathBuf,
    prefix: Vec<u8>,
    /// Its parent folders with links resolved, to detect link cycles.
    within: Vec<PathBuf>,
}

fn refused(path: &Path, reason: impl Into<String>) -> DataError {
    DataError::Io {
        path: path.to_owned(),
        source: io::Error::other(reason.into()),
    }
}

/// Lists the files in `folder` with `extension`, in order.
pub(super) fn list(folder: &Path, extension: Option<&str>) -> Result<Vec<Listed>, DataError> {
    let mut files = Vec::new();
    let mut pending = vec![Pending {
        path: folder.to_owned(),
        prefix: Vec::new(),
        within: Vec::new(),
    }];
    while let Some(Pending {
        path,
        prefix,
        mut within,
    }) = pending.pop()
    {
        let failed = |source| DataError::Io {
            path: path.clone(),
            source,
        };
        let real = path.canonicalize().map_err(failed)?;
        if within.contains(&real) {
            return Err(refused(
                &path,
                "it is a link to one of its own parent folders, an endless loop; remove it",
            ));
        }
        within.push(real);
        for entry in std::fs::read_dir(&path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let (full, file_name) = (entry.path(), entry.file_name());
            let file_name = file_name.as_encoded_bytes();
            if file_name.starts_with(b".") {
                continue;
            }
            let name = [&prefix, file_name].concat();
            let metadata = match std::fs::metadata(&full) {
                Ok(metadata) => metadata,
                Err(_) if is_other_file(&full, extension) => continue,
                Err(error) => return Err(dangling(&full, error)),
            };
            if metadata.is_dir() {
                let (prefix, within) = ([&name[..], b"/"].concat(), within.clone());
                pending.push(Pending {
                    path: full,
                    prefix,
                    within,
                });
            } else if !has_extension(&full, extension) {
            } else if metadata.is_file() {
                files.push(Listed { name, path: full });
            } else {
                return Err(refused(&full, "it is neither a file nor a folder"));
            }
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

/// The error for a link that cannot be followed.
fn dangling(path: &Path, error: io::Error) -> DataError {
    match std::fs::read_link(path) {
        Ok(target) if error.kind() == io::ErrorKind::NotFound => refused(
            path,
            format!(
                "it is a link to `{}`, which does not exist; fetch that file or remove the link",
                target.display()
            ),
        ),
        _ => DataError::Io {
            path: path.to_owned(),
            source: error,
        },
    }
}

fn has_extension(path: &Path, extension: Option<&str>) -> bool {
    let wanted = extension.map(|extension| extension.trim_start_matches('.'));
    wanted.is_none_or(|wanted| path.extension().is_some_and(|actual| actual == wanted))
}

/// Whether the name alone shows that a file is not wanted. A name without extension could be a folder.
fn is_other_file(path: &Path, extension: Option<&str>) -> bool {
    path.extension().is_some() && !has_extension(path, extension)
}

/// Reads one file and normalises line ends to `\n`.
fn document(path: &Path) -> Result<Document, DataError> {
    let mut bytes = Vec::new();
    input::open_text(path)?
        .take(MAX_DOCUMENT as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| input::failure(path, error, 0))?;
    if bytes.len() > MAX_DOCUMENT {
        return Err(DataError::TooLong {
            path: path.to_owned(),
            place: "the file".to_owned(),
            limit: MAX_DOCUMENT,
            documents: 0,
        });
    }
    let text = String::from_utf8(bytes).map_err(|error| DataError::Utf8 {
        path: path.to_owned(),
        offset: error.utf8_error().valid_up_to() as u64,
    })?;
    Ok(Document::Text(if text.contains("\r\n") {
        text.replace("\r\n", "\n")
    } else {
        text
    }))
}

/// Fingerprint of all files.
pub(super) fn fingerprint(listed: &[Listed]) -> Result<Fingerprint, DataError> {
    files::fingerprint(listed.iter().map(|file| (&file.name[..], &*file.path)))
}
