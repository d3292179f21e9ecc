//! tiktoken's rank files: one token per line, its bytes in base64 and its rank.

use super::gpt2::byte_level;
use super::head::Head;
use super::text::read_bounded;
use super::train::byte_characters;
use super::{Made, OfFiles, TokenizerKind, refused};
use crate::text::DataError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// For the documentation.
pub const ABOUT: &str = "A tiktoken rank file.";
/// An example.
pub static EXAMPLE: LazyLock<Tiktoken> = LazyLock::new(|| Tiktoken {
    path: "data/cl100k_base.tiktoken".into(),
    pattern: Pattern::Cl100k,
    bos: None,
    eos: None,
    pad: None,
});

/// A rank file of tiktoken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tiktoken {
    /// Path, relative to the spec's folder.
    pub path: PathBuf,
    /// The encoding that provides the rule for cutting words and the special tokens.
    pub pattern: Pattern,
    /// Token that begins a text; default: the encoding's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bos: Option<String>,
    /// Token that ends a text; default: the encoding's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eos: Option<String>,
    /// Token with which other programs pad batches; only written into exports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pad: Option<String>,
}

/// A published encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pattern {
    /// `gpt2` and `r50k_base`.
    Gpt2,
    /// `cl100k_base`.
    Cl100k,
    /// `o200k_base`.
    O200k,
    /// Llama 3's.
    Llama3,
}

impl TokenizerKind for Tiktoken {
    fn made(&self) -> Made<'_> {
        Made::OfFiles(self)
    }
}

impl OfFiles for Tiktoken {
    fn path(&self) -> Option<&Path> {
        Some(&self.path)
    }

    fn json(&self, files: &[PathBuf]) -> Result<Vec<u8>, DataError> {
        let path = &files[0];
        let json = to_json(&read_bounded(path)?, self.pattern);
        let json = json.map_err(|reason| refused(path, reason))?;
        Ok(Head::named(self.bos.clone(), self.eos.clone(), self.pad.clone()).write_into(json))
    }
}

/// A published encoding: the rule for cutting words and the special tokens.
struct Encoding {
    /// A regular expression; `None` for GPT-2's rule.
    words: Option<&'static str>,
    special: &'static [(u32, &'static str)],
}

const CL100K: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const O200K: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

fn encoding(pattern: Pattern) -> Encoding {
    match pattern {
        Pattern::Gpt2 => Encoding {
            words: None,
            special: &[(50256, "<|endoftext|>")],
        },
        Pattern::Cl100k => Encoding {
            words: Some(CL100K),
            special: &[
                (100_257, "<|endoftext|>"),
                (100_258, "<|fim_prefix|>"),
                (100_259, "<|fim_middle|>"),
                (100_260, "<|fim_suffix|>"),
                (100_276, "<|endofprompt|>"),
            ],
        },
        Pattern::O200k => Encoding {
            words: Some(O200K),
            special: &[(199_999, "<|endoftext|>"), (200_018, "<|endofprompt|>")],
        },
        Pattern::Llama3 => Encoding {
            words: Some(CL100K),
            special: &[(128_000, "<|begin_of_text|>"), (128_001, "<|end_of_text|>")],
        },
    }
}

/// Longest token in bytes; finding its merges takes quadratic time.
const LONGEST: usize = 1024;

/// The `tokenizer.json` of a rank file.
pub(super) fn to_json(file: &[u8], pattern: Pattern) -> Result<Vec<u8>, String> {
    let ranks = parse(file)?;
    let letters = byte_characters();
    let text = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| letters[usize::from(*byte)])
            .collect::<String>()
    };
    let mut tokens: Vec<(&[u8], u32)> = ranks
        .iter()
        .map(|(token, rank)| (&token[..], *rank))
        .collect();
    tokens.sort_by_key(|(_, rank)| *rank);
    let vocabulary: Map<String, Value> = tokens
        .iter()
        .map(|(token, rank)| (text(token), (*rank).into()))
        .collect();
    let merges: Vec<[String; 2]> = tokens
        .iter()
        .filter(|(token, _)| token.len() > 1)
        .filter_map(|(token, rank)| last_merge(token, *rank, &ranks))
        .map(|(left, right)| [text(left), text(right)])
        .collect();
    let encoding = encoding(pattern);
    let mut special: Vec<(u32, String)> = encoding
        .special
        .iter()
        .map(|(id, name)| (*id, (*name).to_owned()))
        .collect();
    let most = tokens.last().map_or(0, |(_, rank)| *rank);
    if special.iter().any(|(id, _)| *id <= most) {
        return Err(format!(
            "its largest rank is {most}, which is not that of the encoding `{pattern:?}`; name the right `pattern`"
        ));
    }
    // A vocabulary of another size: the special token follows it.
    if special.first().is_some_and(|(id, _)| *id > most + 2) {
        special = vec![(most + 1, "<|endoftext|>".to_owned())];
    }
    let bytes = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": encoding.words.is_none()});
    let cut = match encoding.words {
        None => bytes,
        Some(words) => json!({"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": words}, "behavior": "Isolated", "invert": false}, bytes,
        ]}),
    };
    Ok(byte_level(&vocabulary, &merges, &special, &cut, true))
}

fn parse(file: &[u8]) -> Result<HashMap<Vec<u8>, u32>, String> {
    let text =
        std::str::from_utf8(file).map_err(|_| "not a rank file: it is not UTF-8".to_owned())?;
    let mut ranks = HashMap::new();
    for (number, line) in text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.is_empty())
    {
        let parsed = line
            .split_once(' ')
            .and_then(|(token, rank)| Some((base64(token)?, rank.trim().parse().ok()?)));
        let (token, rank) = parsed
            .filter(|(token, _)| token.len() <= LONGEST)
            .ok_or_else(|| {
                format!(
                    "line {}: expected a token in base64, of at most {LONGEST} bytes, and its rank",
                    number + 1
                )
            })?;
        ranks.insert(token, rank);
    }
    if (0..=255_u8).any(|byte| !ranks.contains_key(&[byte][..])) {
        return Err("not a rank file: some of the 256 bytes have no rank".to_owned());
    }
    Ok(ranks)
}

pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for letter in text.trim_end_matches('=').bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    (!bytes.is_empty()).then_some(bytes)
}

/// The last two tokens merged into `token`, when only tokens of lower rank are merged.
fn last_merge<'a>(
    token: &'a [u8],
    rank: u32,
    ranks: &HashMap<Vec<u8>, u32>,
) -> Option<(&'a [u8], &'a [u8])> {
    let mut borders: Vec<usize> = (0..=token.len()).collect();
    while borders.len() > 3 {
        let candidates = borders.windows(3).enumerate();
        let ranked = candidates.filter_map(|(at, borders)| {
            let rank = ranks.get(&token[borders[0]..borders[2]])?;
            Some((*rank, at + 1))
        });
        let (_, at) = ranked.filter(|(of_pair, _)| *of_pair < rank).min()?;
        borders.remove(at);
    }
    Some(token.split_at(borders[1]))
}
