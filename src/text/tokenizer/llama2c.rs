//! llama2.c's `tokenizer.bin`: the length of the longest token; per id a score (f32), a length (i32) and the bytes.
//!
//! It is exported from a SentencePiece BPE: id 0 is unknown, 1 begins and 2 ends a text, 3 to 258 are the 256
//! bytes.

use super::head::Head;
use super::sentencepiece::{Algorithm, Data, Kind, SPACE};
use super::text::read_bounded;
use super::{Made, Named, OfFiles, TokenizerKind, refused};
use crate::text::DataError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// For the documentation.
pub const ABOUT: &str = "llama2.c's `tokenizer.bin`, such as `tok512.bin`; path relative to the spec's folder, or `{path, bos, eos, pad}`.";
/// An example.
pub static EXAMPLE: LazyLock<Llama2c> =
    LazyLock::new(|| Llama2c(PathBuf::from("data/tok512.bin").into()));

/// Its path and the names of tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(transparent)]
pub struct Llama2c(pub Named);

impl TokenizerKind for Llama2c {
    fn made(&self) -> Made<'_> {
        Made::OfFiles(self)
    }
}

impl OfFiles for Llama2c {
    fn path(&self) -> Option<&Path> {
        Some(&self.0.path)
    }

    fn json(&self, files: &[PathBuf]) -> Result<Vec<u8>, DataError> {
        let path = &files[0];
        let data = parse(&read_bounded(path)?).map_err(|reason| refused(path, reason))?;
        Ok(data.into_json(Head::of(&self.0)))
    }
}

/// The SentencePiece model it was exported from, as far as the file describes it.
pub(super) fn parse(bytes: &[u8]) -> Result<Data, String> {
    let wrong = || "not a tokenizer of llama2.c: it is damaged or another kind of file".to_owned();
    let mut rest = bytes.get(4..).ok_or_else(wrong)?;
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        let word = |at: usize| rest.get(at..at + 4)?.try_into().ok();
        let score = word(0).map(f32::from_le_bytes).ok_or_else(wrong)?;
        let length = word(4).map(u32::from_le_bytes).ok_or_else(wrong)?;
        let end = usize::try_from(length)
            .ok()
            .and_then(|length| length.checked_add(8));
        let text = end.and_then(|end| rest.get(8..end)).ok_or_else(wrong)?;
        let text = std::str::from_utf8(text).map_err(|_| wrong())?;
        let (kind, text) = match pieces.len() {
            0 => (Kind::Unknown, text.trim()),
            1 | 2 => (Kind::Control, text.trim()),
            3..=258 => (Kind::Byte, text),
            _ => (Kind::Normal, text),
        };
        let text = match kind {
            Kind::Normal => text.replace(' ', &SPACE.to_string()),
            _ => text.to_owned(),
        };
        pieces.push((text, score, kind));
        rest = &rest[8 + length as usize..];
    }
    if pieces.len() < 259 {
        return Err(wrong());
    }
    Ok(Data {
        algorithm: Algorithm::Bpe,
        pieces,
        byte_fallback: true,
        add_dummy_prefix: true,
        remove_extra_whitespaces: false,
        escape_whitespaces: true,
        treat_whitespace_as_suffix: false,
        rules: String::new(),
    })
}
