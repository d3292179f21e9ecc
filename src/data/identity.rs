//! Identity of data: what of a corpus and a tokenizer enters a run's key.

use crate::digest::Sha256Hex;
use crate::spec::{Embedded, SeqLen, Sequence};
use serde::{Deserialize, Serialize};

/// Identity of the data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataKey {
    /// Training slice.
    pub train: SliceKey,
    /// Validation slice.
    pub validation: SliceKey,
    /// Tokenizer.
    pub tokenizer: TokenizerKey,
    /// Sequence policy.
    pub sequence: Sequence,
    /// Sequence length, decided (`shortest` stays, its value follows from the data).
    pub seq_len: SeqLen,
    /// Distance from input to target.
    pub target_shift: usize,
}

/// Identity of a slice of documents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SliceKey {
    /// Documents of an embedded generator: its name, parameters and the range.
    Embedded {
        /// `stories` or `documents`.
        generator: String,
        /// Version and seed.
        parameters: Embedded,
        /// First document.
        skip: usize,
        /// Number of documents.
        take: usize,
    },
    /// Documents of a file: sha256 over the length-prefixed decoded texts of the slice.
    Documents {
        /// Number of documents.
        take: usize,
        /// Digest.
        sha256: Sha256Hex,
    },
}

/// Identity of a tokenizer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TokenizerKey {
    /// Digest of the file.
    File {
        /// Digest.
        sha256: Sha256Hex,
    },
    /// Recipe of a trained byte-level BPE.
    TrainBpe {
        /// Version of the training algorithm.
        algorithm: u32,
        /// Entries.
        vocab_size: usize,
        /// What it learns from.
        slice: SliceKey,
    },
}
