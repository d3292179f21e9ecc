//! Every byte is a token.

use super::train::{MIN_BPE_VOCAB, WordCounts};
use super::{Made, OfFiles, TextTokenizer, TokenizerKind};
use crate::text::{DataError, Stop};
use std::path::{Path, PathBuf};

/// For the documentation.
pub const ABOUT: &str = "Every byte is a token.";

/// It has no settings.
pub struct Bytes;

impl TokenizerKind for Bytes {
    fn made(&self) -> Made<'_> {
        Made::OfFiles(self)
    }
}

impl OfFiles for Bytes {
    fn path(&self) -> Option<&Path> {
        None
    }

    fn entries(&self) -> Option<usize> {
        Some(MIN_BPE_VOCAB)
    }

    /// A byte-level BPE without merges.
    fn json(&self, _: &[PathBuf]) -> Result<Vec<u8>, DataError> {
        TextTokenizer::train_bpe_unless(Stop::never(), WordCounts::default(), MIN_BPE_VOCAB)
    }
}
