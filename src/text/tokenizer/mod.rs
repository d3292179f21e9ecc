//! Text to ids and back: the only user of `tokenizers`. Each kind of tokenizer has its own file; all become a
//! `tokenizer.json`, whose digest is the identity.
//!
//! A `tokenizer.json` is an untrusted file: its size is bounded, and since the library can panic on unexpected contents
//! (it indexes and unwraps while building its parts), every call into it is guarded by `catch_unwind`. Documents are
//! ordinary text: `</s>` in one is encoded letter by letter, never as the special token.

mod any;
mod export;
mod fidelity;
mod growth;
mod head;
mod named;
mod split;
mod text;
mod train;

use super::{DataContext, DataError, Stop, remote};
use crate::choices::{Findings, choices};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

pub(crate) use export::{Spelling, Table, Token, TokenKind};
pub(crate) use fidelity::Fidelity;
pub(crate) use head::Head;
pub use named::Named;
pub(crate) use text::is_guarded;
pub use text::{MAX_FILE, TextTokenizer};
pub use train::{MAX_BPE_VOCAB, MIN_BPE_VOCAB};

choices! {
    /// How text becomes ids.
    #[derive(Eq)]
    Tokenizer: TokenizerKind {
        train_bpe: TrainBpe(TrainBpe),
        file: File(File),
        sentencepiece: Sentencepiece(Sentencepiece),
        gpt2: Gpt2(Gpt2),
        tiktoken: Tiktoken(Tiktoken),
        llama2c: Llama2c(Llama2c),
        characters: Characters,
        bytes: Bytes,
    }
}

/// The basis of a kind of tokenizer.
pub trait TokenizerKind {
    /// Files, or training documents.
    fn made(&self) -> Made<'_>;

    /// Checks its settings, found at `path` (`data.tokenizer.train_bpe`).
    fn check(&self, _path: &str, _: &mut Findings) {}
}

/// The basis of a tokenizer.
pub enum Made<'a> {
    /// Files, or nothing at all.
    OfFiles(&'a dyn OfFiles),
    /// Documents.
    OfDocuments(&'a dyn OfDocuments),
}

/// A tokenizer that needs no documents.
pub trait OfFiles {
    /// The file or folder it is made from, as written in the spec; `None` if it needs none.
    fn path(&self) -> Option<&Path>;

    /// The files of `path`.
    fn files(&self, path: PathBuf) -> Vec<PathBuf> {
        vec![path]
    }

    /// Vocabulary size, if the settings determine it.
    fn entries(&self) -> Option<usize> {
        None
    }

    /// The `tokenizer.json` of `files`.
    ///
    /// # Errors
    /// A missing or oversized file; contents that do not match the kind.
    fn json(&self, files: &[PathBuf]) -> Result<Vec<u8>, DataError>;
}

/// A tokenizer trained on the first training documents.
pub trait OfDocuments {
    /// Number of documents it is trained on; `None`: all training documents.
    fn documents(&self) -> Option<usize> {
        None
    }

    /// Vocabulary size, if the settings determine it.
    fn entries(&self) -> Option<usize> {
        None
    }

    /// Everything besides its documents that determines it: part of a run's identity.
    fn recipe(&self) -> Map<String, Value>;

    /// Checks the settings that enter an identity.
    ///
    /// # Errors
    /// Impossible settings.
    fn is_possible(&self) -> Result<(), DataError> {
        Ok(())
    }

    /// Starts training.
    fn learn(&self) -> Box<dyn Learning>;
}

/// A tokenizer being trained. The same texts give the same bytes for any number of threads and calls.
pub trait Learning {
    /// Trains on some texts.
    ///
    /// # Errors
    /// [`DataError::Stopped`] if `stop` is set.
    fn add(&mut self, texts: &[String], stop: &Stop) -> Result<(), DataError>;

    /// Its `tokenizer.json`.
    ///
    /// # Errors
    /// As [`Self::add`].
    fn finish(self: Box<Self>, stop: &Stop) -> Result<Vec<u8>, DataError>;
}

impl Tokenizer {
    /// The file or folder it is made from, as written in the spec; `None` if it needs none.
    pub fn path(&self) -> Option<&Path> {
        match self.get().made() {
            Made::OfFiles(kind) => kind.path(),
            Made::OfDocuments(_) => None,
        }
    }

    /// Its training; `None` if it needs no documents.
    pub fn learns(&self) -> Option<&dyn OfDocuments> {
        match self.get().made() {
            Made::OfFiles(_) => None,
            Made::OfDocuments(kind) => Some(kind),
        }
    }

    /// Vocabulary size, if the settings determine it.
    pub fn entries(&self) -> Option<usize> {
        match self.get().made() {
            Made::OfFiles(kind) => kind.entries(),
            Made::OfDocuments(kind) => kind.entries(),
        }
    }

    /// Checks its settings, found at `data.tokenizer`.
    pub fn check(&self, findings: &mut Findings) {
        let path = format!("data.tokenizer.{}", self.name());
        self.get().check(&path, findings);
        if self.path().is_some_and(|path| path.as_os_str().is_empty()) {
            findings.say(path.clone(), format!("`{path}` is empty"));
        }
    }
}

/// Files that a tokenizer is made from; empty if it is made from documents or from nothing.
pub(crate) fn files(tokenizer: &Tokenizer, context: &DataContext) -> Vec<PathBuf> {
    match tokenizer.get().made() {
        Made::OfFiles(kind) => {
            kind.path()
                .map_or_else(Vec::new, |path| match remote::is_address(path) {
                    // An address that was not downloaded is returned as it is and will not be found.
                    true => {
                        let here = context.fetched.files(path);
                        here.unwrap_or_else(|_| vec![path.to_owned()])
                    }
                    false => kind.files(context.resolve(path)),
                })
        }
        Made::OfDocuments(_) => Vec::new(),
    }
}

/// Opens a tokenizer that needs no documents; `None` for one that is trained.
///
/// # Errors
/// A missing or oversized file; contents that do not match the kind.
pub(crate) fn open(
    tokenizer: &Tokenizer,
    context: &DataContext,
) -> Result<Option<TextTokenizer>, DataError> {
    let Made::OfFiles(kind) = tokenizer.get().made() else {
        return Ok(None);
    };
    let files = files(tokenizer, context);
    let first = files
        .first()
        .map_or(Path::new(tokenizer.name()), PathBuf::as_path);
    TextTokenizer::from_bytes(&kind.json(&files)?, first).map(Some)
}

/// The error of a tokenizer file that cannot be used.
fn refused(path: &Path, reason: String) -> DataError {
    DataError::Tokenizer {
        path: path.to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests;
