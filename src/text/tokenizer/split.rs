//! Cuts text into parts that are encoded once each, with a cache of their ids.
//!
//! Byte-level BPE tokenizers cut text into words by GPT-2's rule,
//! `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`.
//! The library's regular expression with look-ahead costs more than the merges, but most text is ASCII, where the rule
//! takes a few byte comparisons; text around other characters goes through the library. LLaMA's tokenizer merges over
//! the whole text; it is cut before spaces, which its merges never cross.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::{Model, ModelWrapper, Tokenizer};

/// Maximum number of cached parts.
const MAX_PARTS: usize = 1 << 17;
/// Longest cached part, in bytes.
const MAX_PART: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Letter,
    Number,
    Space,
    Other,
}

fn class(byte: u8) -> Class {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' => Class::Letter,
        b'0'..=b'9' => Class::Number,
        // Unicode's White_Space within ASCII: tab, line feed, vertical tab, form feed, carriage return, space.
        b'\t'..=b'\r' | b' ' => Class::Space,
        _ => Class::Other,
    }
}

/// Length of the word at the start of `bytes` (ASCII, not empty).
fn word_length(bytes: &[u8]) -> usize {
    if bytes[0] == b'\'' {
        match bytes.get(1) {
            Some(b's' | b't' | b'm' | b'd') => return 2,
            Some(b'r' | b'v') if bytes.get(2) == Some(&b'e') => return 3,
            Some(b'l') if bytes.get(2) == Some(&b'l') => return 3,
            _ => {}
        }
    }
    let run = |from: usize, kind: Class| {
        from + bytes[from..]
            .iter()
            .take_while(|byte| class(**byte) == kind)
            .count()
    };
    let first = class(bytes[0]);
    if first != Class::Space {
        return run(0, first);
    }
    if bytes[0] == b' ' && bytes.len() > 1 && class(bytes[1]) != Class::Space {
        return run(1, class(bytes[1]));
    }
    // White space before a word, except the last character, which belongs to the word if it is a space.
    let spaces = run(0, Class::Space);
    if spaces == bytes.len() || spaces == 1 {
        spaces
    } else {
        spaces - 1
    }
}

/// A part of a text that can be encoded separately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// A word of GPT-2's rule.
    Word(&'a str),
    /// Text around non-ASCII characters, which the library cuts.
    Other(&'a str),
}

/// The parts of a text, in order; concatenated, they are the text.
pub(super) fn gpt2_parts(text: &str) -> impl Iterator<Item = Part<'_>> {
    let mut rest = text;
    // Length of the prefix of `rest` known to be ASCII and to end at a boundary.
    let mut ascii = 0;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if ascii == 0 {
            let (length, is_ascii) = stretch(rest.as_bytes());
            if !is_ascii {
                let (part, after) = rest.split_at(length);
                rest = after;
                return Some(Part::Other(part));
            }
            ascii = length;
        }
        let (word, after) = rest.split_at(word_length(&rest.as_bytes()[..ascii]));
        ascii -= word.len();
        rest = after;
        Some(Part::Word(word))
    })
}

/// Length of the first span of a text between boundaries, and whether it is ASCII. A boundary lies between an ASCII
/// character other than white space and ASCII white space: no word of the rule crosses it or looks beyond it.
fn stretch(bytes: &[u8]) -> (usize, bool) {
    let is_border = |at: &usize| {
        let before = bytes[*at - 1];
        before.is_ascii() && class(before) != Class::Space && class(bytes[*at]) == Class::Space
    };
    let Some(foreign) = bytes.iter().position(|byte| !byte.is_ascii()) else {
        return (bytes.len(), true);
    };
    match (1..foreign).rev().find(is_border) {
        Some(border) => (border, true),
        None => (
            (foreign + 1..bytes.len())
                .find(is_border)
                .unwrap_or(bytes.len()),
            false,
        ),
    }
}

/// Pieces of a text for a tokenizer that writes spaces as a special letter and merges over the whole text, but has no
/// entry with that letter after another one: no merge crosses the start of a space.
fn spaced_parts(text: &str, letter: char) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let begins = |at: &usize| {
            rest.as_bytes()[*at] == b' '
                && rest.as_bytes()[*at - 1] != b' '
                && !rest[..*at].ends_with(letter)
        };
        let end = (1..rest.len()).find(begins).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        rest = after;
        Some(part)
    })
}

/// Rule for cutting a tokenizer's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    Gpt2,
    Spaces(char),
}

/// Cached ids of parts. It affects only speed: the ids are always the library's.
pub(super) struct PartCache {
    rule: Rule,
    known: RwLock<HashMap<Box<str>, Box<[u32]>>>,
}

impl PartCache {
    /// A cache for a tokenizer whose texts can be cut into independent parts; `None` for any other.
    pub(super) fn for_tokenizer(inner: &Tokenizer) -> Option<Self> {
        let only_special = inner
            .get_added_tokens_decoder()
            .values()
            .all(|token| token.special);
        if !only_special || inner.get_normalizer().is_some() {
            return None;
        }
        let rule = match (inner.get_pre_tokenizer()?, inner.get_model()) {
            (PreTokenizerWrapper::ByteLevel(level), ModelWrapper::BPE(_))
                if level.use_regex && !level.add_prefix_space =>
            {
                Rule::Gpt2
            }
            (PreTokenizerWrapper::Metaspace(space), ModelWrapper::BPE(bpe)) => {
                let letter = space.get_replacement();
                let plain = bpe
                    .continuing_subword_prefix
                    .as_ref()
                    .is_none_or(String::is_empty)
                    && bpe.end_of_word_suffix.as_ref().is_none_or(String::is_empty)
                    && !bpe.ignore_merges
                    && bpe.token_to_id(letter.encode_utf8(&mut [0; 4])).is_some();
                let reaches_over =
                    |entry: &String| entry.trim_start_matches(letter).contains(letter);
                if !plain || inner.get_vocab(true).keys().any(reaches_over) {
                    return None;
                }
                Rule::Spaces(letter)
            }
            _ => return None,
        };
        Some(Self {
            rule,
            known: RwLock::default(),
        })
    }

    /// Ids of a text; `slow` encodes parts that are not cached.
    pub(super) fn encode(
        &self,
        text: &str,
        slow: impl Fn(&str) -> Result<Vec<u32>, String>,
    ) -> Result<Vec<u32>, String> {
        if text.is_empty() {
            return slow(text);
        }
        let mut ids = Vec::with_capacity(text.len() / 3);
        let mut new: HashMap<&str, Vec<u32>> = HashMap::new();
        {
            // A poisoned lock means a panic between two complete entries: the existing ones are right.
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            let mut add = |part| {
                if let Some(found) = known.get(part) {
                    ids.extend_from_slice(found);
                } else if let Some(found) = new.get(part) {
                    ids.extend_from_slice(found);
                } else {
                    let found = slow(part)?;
                    ids.extend_from_slice(&found);
                    if part.len() <= MAX_PART {
                        new.insert(part, found);
                    }
                }
                Ok::<(), String>(())
            };
            match self.rule {
                Rule::Gpt2 => gpt2_parts(text).try_for_each(|part| match part {
                    Part::Word(part) | Part::Other(part) => add(part),
                })?,
                Rule::Spaces(letter) => spaced_parts(text, letter).try_for_each(add)?,
            }
        }
        if !new.is_empty() {
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            for (part, found) in new {
                if known.len() < MAX_PARTS {
                    known.insert(part.into(), found.into());
                }
            }
        }
        Ok(ids)
    }
}
