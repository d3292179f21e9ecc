//! The tokens that begin and end a text: found by their usual names, or named by the spec.
//!
//! A name given by the spec is written into the `tokenizer.json` as its first key, `"specbook": {"bos": …}`. So the
//! digest of that one file is the whole identity of a tokenizer, and a stored run needs no other file.

use super::Named;
use super::sentencepiece;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use tokenizers::Tokenizer;

/// Pairs of tokens that begin and end a text, in order of preference.
const USUAL: [(&str, &str); 8] = [
    ("<s>", "</s>"),
    ("<|begin_of_text|>", "<|end_of_text|>"),
    ("<|endoftext|>", "<|endoftext|>"),
    ("<bos>", "<eos>"),
    ("[BOS]", "[EOS]"),
    ("[CLS]", "[SEP]"),
    ("<eos>", "<eos>"),
    ("</s>", "</s>"),
];
/// Maximum number of tokens listed in a message.
const LISTED: usize = 8;
/// The first bytes of a `tokenizer.json` with names.
pub(super) const HEAD: &[u8] = b"{\"specbook\":";

/// Names of tokens given by the spec.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Head {
    /// Begins a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bos: Option<String>,
    /// Ends a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) eos: Option<String>,
    /// Pads batches in other programs; only written into exports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pad: Option<String>,
    /// The SentencePiece model used instead of the file's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sentencepiece: Option<sentencepiece::Data>,
}

/// Ids of the tokens that begin and end a text; they may be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) bos: u32,
    pub(super) eos: u32,
}

impl Head {
    /// A head with these names.
    pub(crate) fn named(bos: Option<String>, eos: Option<String>, pad: Option<String>) -> Self {
        Self {
            bos,
            eos,
            pad,
            sentencepiece: None,
        }
    }

    /// The names given by the spec.
    pub(crate) fn of(file: &Named) -> Self {
        Self::named(file.bos.clone(), file.eos.clone(), file.pad.clone())
    }

    /// Writes the names into a `tokenizer.json`; without names its bytes are unchanged.
    pub(crate) fn write_into(&self, json: Vec<u8>) -> Vec<u8> {
        let rest = json.trim_ascii_start().strip_prefix(b"{");
        match rest {
            Some(rest) if *self != Self::default() => {
                let names = serde_json::json!(self).to_string();
                [HEAD, names.as_bytes(), b",", rest].concat()
            }
            _ => json,
        }
    }

    /// The names in a `tokenizer.json`, and the file without them.
    pub(super) fn split_off(bytes: &[u8]) -> Result<(Self, Cow<'_, [u8]>), String> {
        let Some(rest) = bytes.strip_prefix(HEAD) else {
            return Ok((Self::default(), bytes.into()));
        };
        let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<Self>();
        let names = values.next().transpose();
        let names = names.map_err(|error| format!("its names of tokens: {error}"))?;
        let json = rest[values.byte_offset()..].trim_ascii_start();
        let json = json.strip_prefix(b",").unwrap_or(json);
        Ok((names.unwrap_or_default(), [b"{", json].concat().into()))
    }

    /// Ids of the tokens that begin and end a text. If a tokenizer has special tokens, an ordinary one is used only if
    /// named: `<s>` can be the HTML tag.
    pub(super) fn choose(&self, inner: &Tokenizer) -> Result<Chosen, String> {
        let id = |role: &str, name: &String| {
            inner.token_to_id(name).ok_or_else(|| {
                format!("it has no token `{name}`, which `data.tokenizer` names as `{role}`")
            })
        };
        let named = |role: &str, name: &Option<String>| {
            name.as_ref().map(|name| id(role, name)).transpose()
        };
        let (bos, eos) = (named("bos", &self.bos)?, named("eos", &self.eos)?);
        named("pad", &self.pad)?;
        if let (Some(bos), Some(eos)) = (bos, eos) {
            return Ok(Chosen { bos, eos });
        }
        let found = usual(inner);
        match (
            bos.or(found.map(|ends| ends.bos)),
            eos.or(found.map(|ends| ends.eos)),
        ) {
            (Some(bos), Some(eos)) => Ok(Chosen { bos, eos }),
            // A single name without any other candidate both begins and ends a text.
            (Some(id), None) | (None, Some(id)) => Ok(Chosen { bos: id, eos: id }),
            (None, None) => Err(none_found(inner)),
        }
    }
}

fn special_tokens(inner: &Tokenizer) -> Vec<(u32, String)> {
    let added = inner.get_added_tokens_decoder().into_iter();
    let mut special: Vec<(u32, String)> = added
        .filter(|(_, token)| token.special)
        .map(|(id, token)| (id, token.content))
        .collect();
    special.sort_unstable();
    special
}

fn usual(inner: &Tokenizer) -> Option<Chosen> {
    let special = special_tokens(inner);
    let id = |name: &str| {
        if special.is_empty() {
            return inner.token_to_id(name);
        }
        special
            .iter()
            .find(|(_, token)| token == name)
            .map(|(id, _)| *id)
    };
    let pairs = USUAL.iter().filter_map(|(bos, eos)| id(bos).zip(id(eos)));
    pairs.map(|(bos, eos)| Chosen { bos, eos }).next()
}

fn none_found(inner: &Tokenizer) -> String {
    let special = special_tokens(inner);
    let listed: Vec<String> = special
        .iter()
        .take(LISTED)
        .map(|(_, name)| format!("`{name}`"))
        .collect();
    let has = match listed.len() {
        0 => "it has no special tokens".to_owned(),
        _ => format!(
            "its special tokens are {}{}",
            listed.join(", "),
            if special.len() > LISTED { ", …" } else { "" }
        ),
    };
    format!(
        "no token is known to begin or end a text: {has}; name them in the spec, as in `tokenizer: {{file: {{path: …, bos: \"[START]\", eos: \"[END]\"}}}}`"
    )
}
