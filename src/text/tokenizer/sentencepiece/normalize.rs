//! Normalization as in SentencePiece: rules from a compiled trie, spaces, and the space before a text.

use super::{SPACE, SentencePiece};
use crate::text::tokenizer::growth::LIMIT;

/// Compiled rules: a double-array trie over bytes, and replacement strings.
#[derive(Debug, Default)]
pub(super) struct Rules {
    units: Vec<u32>,
    strings: Vec<u8>,
}

fn damaged() -> String {
    "its normalization rules are damaged".to_owned()
}

/// Bytes from hexadecimal digits.
///
/// # Errors
/// A character that is not a hexadecimal digit.
pub(super) fn hexadecimal(digits: &str) -> Result<Vec<u8>, String> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<_> = digits.as_bytes().chunks(2).map(byte).collect();
    bytes.ok_or_else(damaged)
}

impl Rules {
    /// Parses hexadecimal digits: the length of the trie in bytes, its units, and zero-terminated strings.
    pub(super) fn new(digits: &str) -> Result<Self, String> {
        let bytes = hexadecimal(digits)?;
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let (length, rest) = bytes.split_first_chunk().ok_or_else(damaged)?;
        let length = u32::from_le_bytes(*length) as usize;
        let (units, strings) = rest.split_at_checked(length).ok_or_else(damaged)?;
        let (units, _) = units.as_chunks();
        Ok(Self {
            units: units.iter().map(|unit| u32::from_le_bytes(*unit)).collect(),
            strings: strings.to_vec(),
        })
    }

    /// The longest rule that matches at the start of a text: its length and replacement.
    fn find(&self, text: &str) -> Option<(usize, &str)> {
        let offset = |unit: u32| ((unit >> 10) << ((unit & (1 << 9)) >> 6)) as usize;
        let mut at = offset(*self.units.first()?);
        let mut found = None;
        for (index, byte) in text.bytes().enumerate() {
            at ^= usize::from(byte);
            let Some(unit) = self.units.get(at).copied() else {
                break;
            };
            if unit & ((1 << 31) | 0xFF) != u32::from(byte) {
                break;
            }
            at ^= offset(unit);
            if (unit >> 8) & 1 == 1 {
                let value = self.units.get(at)? & !(1 << 31);
                found = Some((index + 1, value as usize));
            }
        }
        let (length, start) = found.filter(|(length, _)| text.is_char_boundary(*length))?;
        let rest = self.strings.get(start..)?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        Some((length, std::str::from_utf8(&rest[..end]).ok()?))
    }
}

impl SentencePiece {
    /// The normalized start of a text, and its original length.
    fn prefix<'a>(&'a self, text: &'a str) -> (&'a str, usize) {
        if let Some(length) = self.user_defined(text) {
            return (&text[..length], length);
        }
        if let Some((length, replacement)) = self.rules.find(text) {
            return (replacement, length);
        }
        let length = text.chars().next().map_or(0, char::len_utf8);
        (&text[..length], length)
    }

    /// The text in the form used by pieces.
    ///
    /// # Errors
    /// Rules that make it too long.
    pub(super) fn normalize(&self, mut text: &str) -> Result<String, String> {
        let data = &self.data;
        let space = if data.escape_whitespaces { SPACE } else { ' ' };
        if data.remove_extra_whitespaces {
            while !text.is_empty() {
                let (replacement, length) = self.prefix(text);
                if replacement != " " {
                    break;
                }
                text = &text[length..];
            }
        }
        if text.is_empty() {
            return Ok(String::new());
        }
        let mut normal = String::with_capacity(text.len() + text.len() / 4);
        if data.add_dummy_prefix && !data.treat_whitespace_as_suffix {
            normal.push(space);
        }
        let mut after_space = data.remove_extra_whitespaces;
        while !text.is_empty() {
            let (replacement, length) = self.prefix(text);
            let mut part = replacement;
            if after_space {
                part = part.trim_start_matches(' ');
            }
            if !part.is_empty() {
                normal.extend(part.chars().map(|c| if c == ' ' { space } else { c }));
                after_space = part.ends_with(' ');
            }
            text = &text[length..];
            if !data.remove_extra_whitespaces {
                after_space = false;
            }
            if normal.len() > LIMIT {
                return Err(format!(
                    "its rules make more than {} MiB of this text",
                    LIMIT >> 20
                ));
            }
        }
        if data.remove_extra_whitespaces {
            normal.truncate(normal.trim_end_matches(space).len());
        }
        if data.add_dummy_prefix && data.treat_whitespace_as_suffix {
            normal.push(space);
        }
        Ok(normal)
    }
}
