//! GPT-2's rule for cutting text into words, for ASCII, and a cache of the words' ids.
//!
//! The rule, as byte-level BPE tokenizers state it:
//! `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`. A regular expression engine with look-ahead
//! costs more than the merges themselves; most text is ASCII, where the rule is a few comparisons of bytes. Other text
//! goes through the library.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use tokenizers::Tokenizer;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;

/// Words kept at most.
const MAX_WORDS: usize = 1 << 17;
/// Longest word that is kept, in bytes.
const MAX_WORD: usize = 64;

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
    // White space before a word: all of it but the last, which belongs to the word where it is a space.
    let spaces = run(0, Class::Space);
    if spaces == bytes.len() || spaces == 1 {
        spaces
    } else {
        spaces - 1
    }
}

/// The words of an ASCII text, in order; together they are the text.
pub(super) fn ascii_words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (word, after) = rest.split_at(word_length(rest.as_bytes()));
        rest = after;
        Some(word)
    })
}

/// Ids of words seen before. Only speed depends on it: a word's ids are always the library's.
pub(super) struct WordCache {
    words: RwLock<HashMap<Box<str>, Box<[u32]>>>,
}

impl WordCache {
    /// A cache for a tokenizer that cuts by GPT-2's rule and does nothing else to a text; `None` for any other.
    pub(super) fn for_tokenizer(inner: &Tokenizer) -> Option<Self> {
        let by_rule = match inner.get_pre_tokenizer() {
            Some(PreTokenizerWrapper::ByteLevel(level)) => {
                level.use_regex && !level.add_prefix_space
            }
            _ => false,
        };
        let ordinary = inner
            .get_added_tokens_decoder()
            .values()
            .all(|token| token.special);
        (by_rule && ordinary && inner.get_normalizer().is_none()).then(|| Self {
            words: RwLock::default(),
        })
    }

    /// Ids of an ASCII text, its unknown words encoded by `slow`.
    pub(super) fn encode(
        &self,
        text: &str,
        slow: impl Fn(&str) -> Result<Vec<u32>, String>,
    ) -> Result<Vec<u32>, String> {
        let mut ids = Vec::with_capacity(text.len() / 3);
        let mut new: HashMap<&str, Vec<u32>> = HashMap::new();
        {
            // A poisoned lock means a panic between two whole entries: what is there is right.
            let known = self.words.read().unwrap_or_else(PoisonError::into_inner);
            for word in ascii_words(text) {
                if let Some(found) = known.get(word) {
                    ids.extend_from_slice(found);
                } else if let Some(found) = new.get(word) {
                    ids.extend_from_slice(found);
                } else {
                    let found = slow(word)?;
                    ids.extend_from_slice(&found);
                    new.insert(word, found);
                }
            }
        }
        if !new.is_empty() {
            let mut known = self.words.write().unwrap_or_else(PoisonError::into_inner);
            for (word, found) in new {
                if word.len() <= MAX_WORD && known.len() < MAX_WORDS {
                    known.insert(word.into(), found.into());
                }
            }
        }
        Ok(ids)
    }
}
