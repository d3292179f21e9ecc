//! The base of relative paths and the place of caches.

use super::DataError;
use super::remote::Fetched;
use crate::fsx::LeaseTiming;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// An optional flag that ends reading, generating, training and tokenising early.
#[derive(Clone, Debug, Default)]
pub struct Stop(Option<Arc<AtomicBool>>);

impl Stop {
    /// Stops when `flag` is set.
    pub fn when(flag: Arc<AtomicBool>) -> Self {
        Self(Some(flag))
    }

    /// Never stops.
    pub fn never() -> &'static Self {
        static NEVER: Stop = Stop(None);
        &NEVER
    }

    /// Whether to stop.
    pub fn is_set(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|flag| flag.load(Ordering::Relaxed))
    }

    /// Call this between pieces of work of a few milliseconds.
    ///
    /// # Errors
    /// [`DataError::Stopped`] once the flag is set.
    pub fn check(&self) -> Result<(), DataError> {
        match self.is_set() {
            true => Err(DataError::Stopped),
            false => Ok(()),
        }
    }
}

/// The environment of a spec's data. Never part of an identity.
#[derive(Clone, Debug, Default)]
pub struct DataContext {
    /// Folder of the spec: relative paths start here.
    pub base: PathBuf,
    /// Folder for tokenised slices, trained tokenizers and digests of unchanged files (`tokens-v1`); `None`: no cache.
    pub cache: Option<PathBuf>,
    /// Whether to digest files again even if size, times and inode are unchanged, and to tokenise text again even if
    /// its ids are cached.
    pub paranoid: bool,
    /// Timing of tokenisation leases.
    pub leases: LeaseTiming,
    /// Ends reading and preparing early.
    pub stop: Stop,
    /// The resolved addresses and their files.
    pub fetched: Arc<Fetched>,
}

impl DataContext {
    /// `path` relative to the spec's folder, ready to open.
    pub(crate) fn resolve(&self, path: &Path) -> PathBuf {
        self.base.join(path)
    }

    /// A canonical form of a path.
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
