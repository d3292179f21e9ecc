//! Where relative paths start and where results of reading are kept.

use std::path::{Component, Path, PathBuf};

/// Surroundings of a spec, as far as its data is concerned. Never part of an identity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataContext {
    /// Folder of the spec: relative paths start here.
    pub base: PathBuf,
    /// Folder for tokenised slices, trained tokenizers and digests of unchanged files (`tokens-v1`); `None`: nothing is kept.
    pub cache: Option<PathBuf>,
    /// Whether files are digested again even where size, modification time and inode are unchanged.
    pub paranoid: bool,
}

impl DataContext {
    /// `path` as the system needs it.
    pub(crate) fn resolve(&self, path: &Path) -> PathBuf {
        self.base.join(path)
    }

    /// One spelling for every spelling of a path.
    pub(crate) fn same_file(&self, path: &Path) -> PathBuf {
        let full = self.resolve(path);
        full.canonicalize().unwrap_or_else(|_| {
            let mut plain = PathBuf::new();
            for component in full.components() {
                match component {
                    Component::CurDir => {}
                    Component::ParentDir if plain.file_name().is_some() => {
                        plain.pop();
                    }
                    other => plain.push(other),
                }
            }
            plain
        })
    }
}
