//! Errors of the store.

use crate::fsx::FsError;
use crate::record::RunId;
use crate::record::format::FormatError;
use std::path::PathBuf;

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file operation failed.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// An entry differs from what was written.
    #[error("`{}` is damaged: {reason}", path.display())]
    Damaged {
        /// The file or folder.
        path: PathBuf,
        /// Description of the problem.
        reason: String,
    },
    /// An entry of another version of specbook.
    #[error("`{}`: {source}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Too old or too new.
        #[source]
        source: FormatError,
    },
    /// Nothing matches.
    #[error("no run `{text}` in the store; `specbook ls` lists the runs")]
    NoSuchRun {
        /// The text given by the user.
        text: String,
        /// Names of runs that may have been meant, the most similar first.
        near: Vec<String>,
    },
    /// Several runs match.
    #[error("`{text}` fits {count} runs, among them `{}`; name one by its id", examples.join("`, `"))]
    Ambiguous {
        /// The text given by the user.
        text: String,
        /// Number of matching runs.
        count: usize,
        /// Some of them.
        examples: Vec<String>,
    },
    /// Another process took over the run while this one was delayed.
    #[error("run {} was taken over by another process, which continues it", id.0.short())]
    LostLease {
        /// The run.
        id: RunId,
    },
    /// Values that cannot be stored.
    #[error("cannot store {what}: {reason}")]
    Unstorable {
        /// The kind of value.
        what: &'static str,
        /// The reason.
        reason: String,
    },
}

impl StoreError {
    /// Whether an entry has to be made anew: it is damaged, or of a format that is no longer supported.
    pub fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::Damaged { .. }
                | Self::Version {
                    source: FormatError::TooOld { .. },
                    ..
                }
        )
    }

    /// Whether the store, or this part of it, is read-only.
    pub fn is_read_only(&self) -> bool {
        let kind = match self {
            Self::Fs(error) => error.source.kind(),
            _ => return false,
        };
        matches!(
            kind,
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem
        )
    }

    /// The message followed by all its causes, joined by `: `.
    pub fn chain(&self) -> String {
        chain(self)
    }
}

/// The message of an error followed by all its causes, joined by `: ` (a cause already printed by its parent is
/// not repeated).
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}
