//! Text to ids and back: the only user of `tokenizers`. Each kind of tokenizer is a file; all become one `tokenizer.json`, whose
//! digest is the identity.
//!
//! A `tokenizer.json` is an untrusted file: its size is bounded, and since the library can panic on contents that it does
//! not expect (it indexes and unwraps while it builds its parts), every call into it is guarded by `catch_unwind`.
//! Documents are ordinary text: `</s>` written in one is encoded letter by letter, never as the special token.

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

/// What a kind of tokenizer is made of.
pub trait TokenizerKind {
    /// Files, or documents that it learns from.
    fn made(&self) -> Made<'_>;

    /// Checks its settings, which stand at `path` (`data.tokenizer.train_bpe`).
    fn check(&self, _path: &str, _: &mut Findings) {}
}

/// What a tokenizer is made of.
pub enum Made<'a> {
    /// Files, or nothing at all.
    OfFiles(&'a dyn OfFiles),
    /// Documents.
    OfDocuments(&'a dyn OfDocuments),
}

/// A tokenizer that needs no documents.
pub trait OfFiles {
    /// The file or folder that it is made of, as the spec writes it; `None` for one that needs none.
    fn path(&self) -> Option<&Path>;

    /// The files of `path`.
    fn files(&self, path: PathBuf) -> Vec<PathBuf> {
        vec![path]
    }

    /// Entries of its vocabulary, where the settings tell.
    fn entries(&self) -> Option<usize> {
        None
    }

    /// The `tokenizer.json` of `files`.
    ///
    /// # Errors
    /// A missing or oversized file; contents that are not what the kind promises.
    fn json(&self, files: &[PathBuf]) -> Result<Vec<u8>, DataError>;
}

/// A tokenizer that learns from the first training documents.
pub trait OfDocuments {
    /// How many documents it learns from; `None`: all training documents.
    fn documents(&self) -> Option<usize> {
        None
    }

    /// Entries of its vocabulary, where the settings tell.
    fn entries(&self) -> Option<usize> {
        None
    }

    /// What beside its documents it follows from: part of a run's identity.
    fn recipe(&self) -> Map<String, Value>;

    /// Checks what an identity is made of.
    ///
    /// # Errors
    /// Settings that no tokenizer can have.
    fn is_possible(&self) -> Result<(), DataError> {
        Ok(())
    }

    /// Begins to learn.
    fn learn(&self) -> Box<dyn Learning>;
}

/// A tokenizer that is being learnt. The same texts give the same bytes, whatever the number of threads and of calls.
pub trait Learning {
    /// Learns from some texts.
    ///
    /// # Errors
    /// [`DataError::Stopped`] when `stop` says so.
    fn add(&mut self, texts: &[String], stop: &Stop) -> Result<(), DataError>;

    /// Its `tokenizer.json`.
    ///
    /// # Errors
    /// As [`Self::add`].
    fn finish(self: Box<Self>, stop: &Stop) -> Result<Vec<u8>, DataError>;
}

impl Tokenizer {
    /// The file or folder that it is made of, as the spec writes it; `None` for one that needs none.
    pub fn path(&self) -> Option<&Path> {
        match self.get().made() {
            Made::OfFiles(kind) => kind.path(),
            Made::OfDocuments(_) => None,
        }
    }

    /// How it learns; `None` for one that needs no documents.
    pub fn learns(&self) -> Option<&dyn OfDocuments> {
        match self.get().made() {
            Made::OfFiles(_) => None,
            Made::OfDocuments(kind) => Some(kind),
        }
    }

    /// Entries of its vocabulary, where the settings tell.
    pub fn entries(&self) -> Option<usize> {
        match self.get().made() {
            Made::OfFiles(kind) => kind.entries(),
            Made::OfDocuments(kind) => kind.entries(),
        }
    }

    /// Checks its settings, which stand at `data.tokenizer`.
    pub fn check(&self, findings: &mut Findings) {
        let path = format!("data.tokenizer.{}", self.name());
        self.get().check(&path, findings);
        if self.path().is_some_and(|path| path.as_os_str().is_empty()) {
            findings.say(path.clone(), format!("`{path}` is empty"));
        }
    }
}

/// Files that a tokenizer is made from; none where it is made from documents or from nothing.
pub(crate) fn files(tokenizer: &Tokenizer, context: &DataContext) -> Vec<PathBuf> {
    match tokenizer.get().made() {
        Made::OfFiles(kind) => {
            kind.path()
                .map_or_else(Vec::new, |path| match remote::is_address(path) {
                    // One that is not here stands for itself, and is not found.
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

/// Opens a tokenizer that needs no documents; `None` for one that learns from them.
///
/// # Errors
/// A missing or oversized file; contents that are not what the kind promises.
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
