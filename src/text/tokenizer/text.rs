//! A loaded tokenizer: its file, encoding and decoding.

use super::growth::Growth;
use super::head::{Chosen, Head};
use super::sentencepiece::SentencePiece;
use super::train::{self, WordCounts};
use super::{fidelity, split};
use crate::digest::Sha256Hex;
use crate::text::{DataError, Stop};
use rayon::prelude::*;
use std::cell::Cell;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{DecoderWrapper, ModelWrapper, Tokenizer};

/// Maximum size of a `tokenizer.json`, in bytes.
pub const MAX_FILE: u64 = 64 << 20;
/// Maximum size of a vocabulary.
pub const MAX_VOCAB: usize = 1 << 20;

/// A tokenizer with a begin-of-text and an end-of-text id (they may be the same).
pub struct TextTokenizer {
    pub(super) inner: Tokenizer,
    pub(super) parts: Option<split::PartCache>,
    chosen: Chosen,
    vocab_size: usize,
    sha256: Sha256Hex,
    json: Box<[u8]>,
    notes: Vec<String>,
    is_lossless: bool,
    growth: Growth,
    /// Used instead of `inner`.
    pieces: Option<SentencePiece>,
}

impl std::fmt::Debug for TextTokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TextTokenizer")
            .field("vocab_size", &self.vocab_size)
            .field("ends", &self.chosen)
            .field("sha256", &self.sha256)
            .finish_non_exhaustive()
    }
}

impl TextTokenizer {
    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// A missing or oversized file; contents that the library refuses; no special tokens that begin and end a text.
    #[cfg(test)]
    pub(crate) fn read(path: &Path) -> Result<Self, DataError> {
        let bytes = read_bounded(path)?;
        Self::from_bytes(&bytes, path)
    }

    /// Parses the contents of a `tokenizer.json`; `path` only names it in messages.
    ///
    /// # Errors
    /// As [`TextTokenizer::read`], except for reading the file.
    pub fn from_bytes(bytes: &[u8], path: &Path) -> Result<Self, DataError> {
        let refused = |reason: String| DataError::Tokenizer {
            path: PathBuf::from(path),
            reason,
        };
        if bytes.len() as u64 > MAX_FILE {
            return Err(refused(too_large()));
        }
        guarded(|| Self::build(bytes)).map_err(refused)
    }

    fn build(bytes: &[u8]) -> Result<Self, String> {
        let (head, json) = Head::split_off(bytes)?;
        let mut inner = Tokenizer::from_bytes(&json)
            .map_err(|error| format!("not a usable `tokenizer.json`: {error}"))?;
        let mut notes = Vec::new();
        if let Some(truncation) = inner.get_truncation() {
            notes.push(format!(
                "the tokenizer file cuts texts at {} tokens; this is switched off",
                truncation.max_length
            ));
        }
        if inner.get_padding().is_some() {
            notes.push("the tokenizer file pads texts; this is switched off".to_owned());
        }
        inner
            .with_truncation(None)
            .map_err(|error| error.to_string())?;
        inner.with_padding(None);
        inner.set_encode_special_tokens(true);
        if let ModelWrapper::BPE(bpe) = inner.get_model()
            && bpe.dropout.is_some()
        {
            let mut bpe = bpe.clone();
            bpe.dropout = None;
            inner.with_model(bpe);
            notes
                .push("the tokenizer file drops merges at random; this is switched off".to_owned());
        }
        let missing = missing_bytes(&inner);
        let is_lossless = missing == 0
            && inner.get_normalizer().is_none()
            && matches!(inner.get_pre_tokenizer(), Some(PreTokenizerWrapper::ByteLevel(level)) if !level.add_prefix_space)
            && matches!(inner.get_decoder(), Some(DecoderWrapper::ByteLevel(_)))
            && matches!(inner.get_model(), ModelWrapper::BPE(_))
            && inner
                .get_added_tokens_decoder()
                .values()
                .all(|token| token.special);
        if missing > 0 {
            notes.push(format!(
                "the tokenizer file has no entry for {missing} of the 256 bytes; characters that need them are lost from texts"
            ));
        }
        let vocabulary = inner.get_vocab(true);
        let vocab_size = vocabulary.values().max().map_or(0, |id| *id as usize + 1);
        if vocab_size > MAX_VOCAB {
            return Err(format!(
                "its largest id is {}; at most {} is supported",
                vocab_size - 1,
                MAX_VOCAB - 1
            ));
        }
        let chosen = head.choose(&inner)?;
        let longest = vocabulary.keys().map(String::len).max().unwrap_or(0);
        let growth = Growth::of(inner.get_normalizer(), inner.get_decoder(), longest)?;
        Ok(Self {
            parts: split::PartCache::for_tokenizer(&inner),
            chosen,
            vocab_size,
            sha256: Sha256Hex::of(bytes),
            json: bytes.into(),
            notes,
            is_lossless,
            growth,
            pieces: head.sentencepiece.map(SentencePiece::new).transpose()?,
            inner,
        })
    }

    /// The original `tokenizer.json`, byte for byte.
    pub fn json(&self) -> &[u8] {
        &self.json
    }

    /// Trains a byte-level BPE with at most `vocab_size` entries on `texts` and returns its `tokenizer.json`. The same
    /// texts give the same bytes for any number of threads.
    ///
    /// # Errors
    /// A vocabulary size below [`MIN_BPE_VOCAB`] or above [`MAX_BPE_VOCAB`].
    #[cfg(test)]
    pub fn train_bpe<T: AsRef<str> + Sync>(
        texts: &[T],
        vocab_size: usize,
    ) -> Result<Vec<u8>, DataError> {
        let (mut words, stop) = (WordCounts::default(), Stop::default());
        words.add(texts, &stop)?;
        train::train(words, vocab_size, &stop)
    }

    /// As [`Self::train_bpe`], from word counts; can be stopped early.
    ///
    /// # Errors
    /// As [`Self::train_bpe`]; [`DataError::Stopped`].
    pub(crate) fn train_bpe_unless(
        stop: &Stop,
        words: WordCounts,
        vocab_size: usize,
    ) -> Result<Vec<u8>, DataError> {
        train::train(words, vocab_size, stop)
    }

    /// Ids of a text, without BOS and EOS.
    ///
    /// # Errors
    /// A character that the vocabulary cannot express, without an unknown token.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, DataError> {
        guarded(|| self.encode_unguarded(text)).map_err(DataError::Encode)
    }

    fn encode_unguarded(&self, text: &str) -> Result<Vec<u32>, String> {
        if let Some(pieces) = &self.pieces {
            return pieces.encode(text);
        }
        self.growth.check(text, self.inner.get_normalizer())?;
        let slow = |text: &str| {
            self.inner
                .encode_fast(text, false)
                .map(|encoding| encoding.get_ids().to_vec())
                .map_err(|error| error.to_string())
        };
        match &self.parts {
            Some(parts) => parts.encode(text, slow),
            None => slow(text),
        }
    }

    /// Ids of many texts, in order, on all threads of the current pool.
    ///
    /// # Errors
    /// As [`TextTokenizer::encode`], for the first text that fails.
    pub fn encode_all<T: AsRef<str> + Sync>(
        &self,
        texts: &[T],
    ) -> Result<Vec<Vec<u32>>, DataError> {
        self.encode_all_unless(&Stop::default(), texts)
    }

    /// As [`Self::encode_all`]; can be stopped early.
    ///
    /// # Errors
    /// As [`Self::encode_all`]; [`DataError::Stopped`].
    pub(crate) fn encode_all_unless<T: AsRef<str> + Sync>(
        &self,
        stop: &Stop,
        texts: &[T],
    ) -> Result<Vec<Vec<u32>>, DataError> {
        let encode = |text: &T| {
            stop.check()?;
            self.encode(text.as_ref())
        };
        let encoded: Vec<_> = texts.par_iter().map(encode).collect();
        encoded.into_iter().collect()
    }

    /// Decodes ids; special tokens are omitted.
    ///
    /// # Errors
    /// The file's decoder fails.
    pub fn decode(&self, ids: &[u32]) -> Result<String, DataError> {
        guarded(|| {
            let length = |id| self.inner.id_to_token(id).map_or(0, |entry| entry.len());
            self.growth.check_ids(ids, length)?;
            if let Some(pieces) = &self.pieces {
                return Ok(pieces.decode(ids));
            }
            self.inner
                .decode(ids, true)
                .map_err(|error| error.to_string())
        })
        .map_err(DataError::Encode)
    }

    /// The text that `new` adds to the text of `prompt`, unaffected by the decoder's treatment of the start of a text
    /// (dropping a space).
    ///
    /// # Errors
    /// As [`TextTokenizer::decode`].
    pub fn decode_continuation(&self, prompt: &[u32], new: &[u32]) -> Result<String, DataError> {
        let before = self.decode(prompt)?;
        let all = self.decode(&[prompt, new].concat())?;
        match all.strip_prefix(&before) {
            Some(rest) => Ok(rest.to_owned()),
            None => self.decode(new),
        }
    }

    /// The characters of `text` that cannot be recovered from its `ids`; `None` if all can.
    ///
    /// # Errors
    /// As [`TextTokenizer::decode`].
    pub fn lost(&self, text: &str, ids: &[u32]) -> Result<Option<fidelity::Lost>, DataError> {
        Ok(fidelity::lost(text, &self.decode(ids)?))
    }

    /// Id that begins a text.
    pub fn bos(&self) -> u32 {
        self.chosen.bos
    }

    /// Id that ends a text.
    pub fn eos(&self) -> u32 {
        self.chosen.eos
    }

    /// Id with which other programs pad batches, if named.
    pub(crate) fn pad(&self) -> Option<u32> {
        let pad = self.names().pad?;
        self.inner.token_to_id(&pad)
    }

    /// One more than the largest id.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// Digest of the `tokenizer.json`.
    pub fn sha256(&self) -> Sha256Hex {
        self.sha256
    }

    /// Whether every text can be recovered from its ids: true for a plain byte-level BPE with all bytes.
    pub(crate) fn is_lossless(&self) -> bool {
        self.is_lossless
    }

    /// Adds a note about the tokenizer for readers.
    pub(crate) fn add_note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// Notes for readers: disabled settings of the file, missing entries.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}

/// Reads a file of at most [`MAX_FILE`] bytes.
pub(super) fn read_bounded(path: &Path) -> Result<Vec<u8>, DataError> {
    let failed = |source| DataError::Io {
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    crate::fsx::open_regular(path)
        .map_err(failed)?
        .take(MAX_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(DataError::Tokenizer {
            path: path.to_owned(),
            reason: too_large(),
        });
    }
    Ok(bytes)
}

fn too_large() -> String {
    format!("larger than the limit of {} MiB", MAX_FILE >> 20)
}

/// Number of bytes that a byte-level BPE cannot express, which the library silently drops.
fn missing_bytes(inner: &Tokenizer) -> usize {
    let byte_level = matches!(inner.get_decoder(), Some(DecoderWrapper::ByteLevel(_)));
    match inner.get_model() {
        ModelWrapper::BPE(bpe) if byte_level && bpe.unk_token.is_none() && !bpe.byte_fallback => {
            ByteLevel::alphabet()
                .into_iter()
                .filter(|byte| inner.token_to_id(byte.encode_utf8(&mut [0; 4])).is_none())
                .count()
        }
        _ => 0,
    }
}

thread_local! {
    /// Whether this thread is inside [`guarded`].
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic on this thread is converted to an error.
pub(crate) fn is_guarded() -> bool {
    GUARDED.get()
}

/// Runs a call into the library and turns a panic into an error.
fn guarded<T>(call: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    let outer = GUARDED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(call));
    GUARDED.set(outer);
    result.unwrap_or_else(|panic| {
        let reason = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_default();
        Err(format!(
            "the tokenizer library failed on this file: {reason}"
        ))
    })
}
