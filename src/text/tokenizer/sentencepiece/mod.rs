//! SentencePiece models: BPE and unigram, with their own normalization, user-defined pieces and byte fallback.
//!
//! A `.model` file is parsed (`proto`), stored as plain data in the head of its `tokenizer.json`, and run like the
//! original program (`normalize`, `bpe`, `unigram`), because the `tokenizers` library differs in corner cases (leading
//! spaces, user-defined pieces, ties between merges). The rest of that `tokenizer.json` is for other programs.

mod bpe;
mod file;
mod normalize;
mod proto;
mod unigram;

use file::of_data;
pub(super) use file::portable;
pub(super) use proto::parse;

use super::head::Head;
use super::text::read_bounded;
use super::{Made, Named, OfFiles, TokenizerKind, refused};
use crate::text::DataError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// For the documentation.
pub const ABOUT: &str = "A SentencePiece `.model` file, BPE or unigram; path relative to the spec's folder, or `{path, bos, eos, pad}`.";
/// An example.
pub static EXAMPLE: LazyLock<Sentencepiece> =
    LazyLock::new(|| Sentencepiece(PathBuf::from("data/tokenizer.model").into()));

/// Its path and the names of tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(transparent)]
pub struct Sentencepiece(pub Named);

impl TokenizerKind for Sentencepiece {
    fn made(&self) -> Made<'_> {
        Made::OfFiles(self)
    }
}

impl OfFiles for Sentencepiece {
    fn path(&self) -> Option<&Path> {
        Some(&self.0.path)
    }

    fn json(&self, files: &[PathBuf]) -> Result<Vec<u8>, DataError> {
        let path = &files[0];
        let data = proto::parse(&read_bounded(path)?).map_err(|reason| refused(path, reason))?;
        Ok(data.into_json(Head::of(&self.0)))
    }
}

/// The character that stands for a space in pieces.
pub(super) const SPACE: char = '\u{2581}';

/// Kind of a piece.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Trained on text.
    #[default]
    Normal,
    /// Stands for text without a piece.
    Unknown,
    /// Never occurs in a text.
    Control,
    /// Always one piece where it occurs.
    UserDefined,
    /// In the vocabulary but never output.
    Unused,
    /// One byte of a character without a piece.
    Byte,
}

/// The algorithm of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Algorithm {
    Bpe,
    Unigram,
}

/// A model as plain data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Data {
    pub(super) algorithm: Algorithm,
    /// Text, score and kind by id.
    pub(super) pieces: Vec<(String, f32, Kind)>,
    pub(super) byte_fallback: bool,
    pub(super) add_dummy_prefix: bool,
    pub(super) remove_extra_whitespaces: bool,
    pub(super) escape_whitespaces: bool,
    pub(super) treat_whitespace_as_suffix: bool,
    /// The compiled normalization rules, in hexadecimal digits; empty for none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) rules: String,
}

impl Data {
    /// The `tokenizer.json` that embeds this model, which replaces the file's own.
    pub(super) fn into_json(self, head: Head) -> Vec<u8> {
        let json = of_data(&self);
        let sentencepiece = Some(self);
        Head {
            sentencepiece,
            ..head
        }
        .write_into(json)
    }
}

/// A model, ready to run.
pub(super) struct SentencePiece {
    data: Data,
    /// Ids of pieces that can occur in a text.
    ids: HashMap<Box<str>, u32>,
    /// User-defined pieces, longest first.
    user_defined: Vec<Box<str>>,
    bytes: Vec<Option<u32>>,
    unknown: u32,
    rules: normalize::Rules,
    longest: usize,
    scores: unigram::Scores,
    /// Whether a piece has a space after another character; words then cannot be encoded separately.
    spans_words: bool,
}

impl SentencePiece {
    pub(super) fn new(data: Data) -> Result<Self, String> {
        let mut ids: HashMap<Box<str>, u32> = HashMap::new();
        let mut bytes = vec![None; 256];
        let mut user_defined: Vec<Box<str>> = Vec::new();
        let (mut unknown, mut longest) = (None, 1);
        for (id, (text, _, kind)) in data.pieces.iter().enumerate() {
            let id = id as u32;
            match kind {
                Kind::Normal | Kind::UserDefined | Kind::Unused => {
                    if text.is_empty() {
                        return Err(format!("its piece {id} is empty"));
                    }
                    if *kind == Kind::UserDefined {
                        user_defined.push(text.as_str().into());
                    }
                    longest = longest.max(text.len());
                    ids.entry(text.as_str().into()).or_insert(id);
                }
                Kind::Unknown => unknown = unknown.or(Some(id)),
                Kind::Control => {}
                Kind::Byte => match byte_of(text) {
                    Some(byte) => bytes[usize::from(byte)] = Some(id),
                    None => return Err(format!("the byte piece `{text}` names no byte")),
                },
            }
        }
        if data.byte_fallback && bytes.contains(&None) {
            return Err("it uses byte fallback but lacks pieces for some bytes".to_owned());
        }
        user_defined.sort_by_key(|text| std::cmp::Reverse(text.len()));
        let spans = |text: &str| text.trim_start_matches(SPACE).contains(SPACE);
        Ok(Self {
            spans_words: ids.keys().any(|text| spans(text)) || data.treat_whitespace_as_suffix,
            rules: normalize::Rules::new(&data.rules)?,
            unknown: unknown.ok_or("it has no unknown piece")?,
            scores: unigram::Scores::of(&data.pieces),
            ids,
            user_defined,
            bytes,
            longest,
            data,
        })
    }

    /// Ids of a text.
    ///
    /// # Errors
    /// A text that the model's rules make too long.
    pub(super) fn encode(&self, text: &str) -> Result<Vec<u32>, String> {
        let text = self.normalize(text)?;
        let mut ids = Vec::with_capacity(text.len() / 3);
        let mut known: HashMap<&str, std::ops::Range<usize>> = HashMap::new();
        let mut was_unknown = false;
        for part in self.parts(&text) {
            // A part after an unknown piece may be joined with it.
            if let Some(range) = known.get(part).filter(|_| !was_unknown) {
                ids.extend_from_within(range.clone());
                continue;
            }
            let (start, joined) = (ids.len(), was_unknown);
            match self.data.algorithm {
                Algorithm::Bpe => {
                    self.bpe(part, |piece| self.push(piece, &mut was_unknown, &mut ids))
                }
                Algorithm::Unigram => {
                    self.unigram(part, |piece| self.push(piece, &mut was_unknown, &mut ids))
                }
            }
            if !joined && !was_unknown {
                known.insert(part, start..ids.len());
            }
        }
        Ok(ids)
    }

    /// Parts of a normalized text that are encoded separately.
    fn parts<'a>(&self, text: &'a str) -> Vec<&'a str> {
        if self.spans_words || self.data.algorithm == Algorithm::Unigram {
            return if text.is_empty() {
                Vec::new()
            } else {
                vec![text]
            };
        }
        let mut parts = Vec::new();
        let (mut start, mut before) = (0, SPACE);
        for (at, character) in text.char_indices() {
            if character == SPACE && before != SPACE {
                parts.push(&text[start..at]);
                start = at;
            }
            before = character;
        }
        if start < text.len() {
            parts.push(&text[start..]);
        }
        parts
    }

    /// Adds the id of a piece or its replacement. Consecutive unknown pieces become one.
    fn push(&self, piece: &str, was_unknown: &mut bool, ids: &mut Vec<u32>) {
        let id = self.ids.get(piece);
        if let Some(id) = id {
            ids.push(*id);
        } else if self.data.byte_fallback {
            ids.extend(
                piece
                    .bytes()
                    .filter_map(|byte| self.bytes[usize::from(byte)]),
            );
        } else if !*was_unknown {
            ids.push(self.unknown);
        }
        *was_unknown = id.is_none() && !self.data.byte_fallback;
    }

    /// The longest user-defined piece at the start of a text.
    fn user_defined(&self, text: &str) -> Option<usize> {
        let found = self
            .user_defined
            .iter()
            .find(|piece| text.starts_with(&***piece));
        found.map(|piece| piece.len())
    }

    /// Decodes ids; control and unknown pieces are omitted.
    pub(super) fn decode(&self, ids: &[u32]) -> String {
        let (mut text, mut bytes) = (String::new(), Vec::new());
        let strips = self.data.add_dummy_prefix || self.data.remove_extra_whitespaces;
        let mut is_first = true;
        for id in ids {
            let Some((piece, _, kind)) = self.data.pieces.get(*id as usize) else {
                continue;
            };
            if *kind == Kind::Byte {
                bytes.extend(byte_of(piece));
                is_first = false;
                continue;
            }
            text.push_str(&String::from_utf8_lossy(&bytes));
            bytes.clear();
            match kind {
                Kind::Control | Kind::Unknown => {}
                Kind::Byte | Kind::Normal | Kind::UserDefined | Kind::Unused => {
                    let strip = is_first && strips && !self.data.treat_whitespace_as_suffix;
                    let piece = piece.strip_prefix(SPACE).filter(|_| strip).unwrap_or(piece);
                    text.extend(piece.chars().map(|c| if c == SPACE { ' ' } else { c }));
                    is_first = false;
                }
            }
        }
        text.push_str(&String::from_utf8_lossy(&bytes));
        text
    }
}

/// The byte named by a piece such as `<0x0A>`.
pub(super) fn byte_of(piece: &str) -> Option<u8> {
    let digits = piece.strip_prefix("<0x")?.strip_suffix('>')?;
    u8::from_str_radix(digits, 16).ok()
}
