//! Where relative paths start and where results of reading are kept.

use super::DataError;
use super::remote::Fetched;
use crate::fsx::LeaseTiming;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether reading, generating, learning and tokenising should end early: a flag that somebody else sets, or none.
#[derive(Clone, Debug, Default)]
pub struct Stop(Option<Arc<AtomicBool>>);

impl Stop {
    /// Ends when `flag` is set.
    pub fn when(flag: Arc<AtomicBool>) -> Self {
        Self(Some(flag))
    }

    /// Never ends.
    pub fn never() -> &'static Self {
        static NEVER: Stop = Stop(None);
        &NEVER
    }

    /// Whether it is time to end.
    pub fn is_set(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|flag| flag.load(Ordering::Relaxed))
    }

    /// Called between pieces of work of some milliseconds each.
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

/// Surroundings of a spec, as far as its data is concerned. Never part of an identity.
#[derive(Clone, Debug, Default)]
pub struct DataContext {
    /// Folder of the spec: relative paths start here.
    pub base: PathBuf,
    /// Folder for tokenised slices, trained tokenizers and digests of unchanged files (`tokens-v1`); `None`: nothing is kept.
    pub cache: Option<PathBuf>,
    /// Whether files are digested again even where size, times and inode are unchanged, and text is tokenised again even where its ids
    /// are kept.
    pub paranoid: bool,
    /// Pace of the leases of who tokenises.
    pub leases: LeaseTiming,
    /// Ends reading and preparing early.
    pub stop: Stop,
    /// What addresses stand for, and where their files are.
    pub fetched: Arc<Fetched>,
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
