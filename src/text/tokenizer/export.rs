//! Exports a tokenizer for other programs: a `tokenizer.json` they can read, the names of special tokens, and the
//! tokens one by one.

use super::TextTokenizer;
use super::head::Head;
use super::sentencepiece::{Algorithm, Data, Kind, SPACE, portable};
use super::train::byte_characters;
use serde_json::{Map, Value, json};
use std::collections::HashMap;

pub(crate) use super::sentencepiece::Kind as TokenKind;

/// Texts that reveal differences between tokenizers.
const PROBES: [&str; 12] = [
    "",
    "Once upon a time, there was a girl. She said: \"I'm 3!\"",
    " leading",
    "trailing ",
    "   a  b    c  ",
    "  ",
    "a\n\n b\tc\r\n",
    "\u{2581}\u{2581}a \u{2581} b\u{2581}",
    "h\u{e4} \u{65e5}\u{672c} \u{1f600} \u{fb01} e\u{301}",
    "\u{a0}x\u{2028}y\u{3000}z",
    "12345 ''' ...",
    "\0\u{7f}\u{fffd}",
];

/// Names of a tokenizer's special tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    /// Begins a text.
    pub(crate) bos: Option<String>,
    /// Ends a text.
    pub(crate) eos: Option<String>,
    /// Pads batches.
    pub(crate) pad: Option<String>,
    /// Stands for text without a token.
    pub(crate) unknown: Option<String>,
}

/// The tokens of a tokenizer, and how to cut text into them.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    /// Tokens by id.
    pub(crate) tokens: Vec<Token>,
    /// Merges, in order.
    pub(crate) merges: Vec<[String; 2]>,
    /// How text is cut and tokens are spelled.
    pub(crate) spelling: Spelling,
}

/// How tokens are spelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// Characters, with `▁` for a space and bytes written as `<0x0A>`.
    Pieces {
        /// Whether a space is prepended to a text.
        adds_space: bool,
        /// Whether pairs are merged best first; otherwise the most likely cut is taken.
        merges: bool,
    },
    /// One character per byte, as in GPT-2.
    Bytes {
        /// The regular expression that cuts words; `None` for GPT-2's.
        words: Option<String>,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token {
    /// Its spelling in the tokenizer.
    pub(crate) text: String,
    /// Higher scores are merged earlier.
    pub(crate) score: f32,
    /// Its kind.
    pub(crate) kind: TokenKind,
    /// Its bytes in a text.
    pub(crate) bytes: Vec<u8>,
}

impl TextTokenizer {
    /// Names of the special tokens.
    pub(crate) fn names(&self) -> Names {
        let (head, json) = self.parsed();
        let added = added(&json);
        let name = |id: u32| added.get(&id).map(|(text, _)| text.clone());
        let from_model = |id: u32| {
            self.table()
                .ok()?
                .tokens
                .get(id as usize)
                .map(|token| token.text.clone())
        };
        Names {
            bos: name(self.bos()).or_else(|| from_model(self.bos())),
            eos: name(self.eos()).or_else(|| from_model(self.eos())),
            pad: head.pad,
            unknown: json["model"]["unk_token"].as_str().map(str::to_owned),
        }
    }

    fn parsed(&self) -> (Head, Value) {
        let (head, json) = Head::split_off(self.json()).unwrap_or_default();
        let json = serde_json::from_slice(&json).unwrap_or_default();
        (head, json)
    }

    /// The `tokenizer.json` for other programs, without our own keys and with the begin-of-text token prepended to each
    /// text, as every text begins here; and a note if it still gives different ids.
    ///
    /// # Errors
    /// A description, for a tokenizer that the library cannot represent.
    pub(crate) fn portable_json(&self) -> Result<(Vec<u8>, Option<String>), String> {
        let (head, mut json) = self.parsed();
        if let Some(data) = &head.sentencepiece {
            let [normalizer, decoder] = portable(data)?;
            json["normalizer"] = normalizer;
            json["decoder"] = decoder;
        }
        let names = self.names();
        let has_template = |value: &Value| value.to_string().contains("\"TemplateProcessing\"");
        if let Some(bos) = names.bos.filter(|_| !has_template(&json["post_processor"])) {
            let begin = json!({"SpecialToken": {"id": bos, "type_id": 0}});
            let text = |id: &str| json!({"Sequence": {"id": id, "type_id": 0}});
            let template = json!({
                "type": "TemplateProcessing",
                "single": [begin, text("A")],
                "pair": [begin, text("A"), begin, text("B")],
                "special_tokens": {&bos: {"id": bos, "ids": [self.bos()], "tokens": [bos]}},
            });
            json["post_processor"] = match json["post_processor"].take() {
                Value::Null => template,
                before => json!({"type": "Sequence", "processors": [before, template]}),
            };
        }
        let bytes = json.to_string().into_bytes();
        let note = self.differs_from(&bytes, head.sentencepiece.as_ref())?;
        Ok((bytes, note))
    }

    /// Describes a text for which the library, with the file `json`, gives other ids or decodes another text.
    fn differs_from(&self, json: &[u8], data: Option<&Data>) -> Result<Option<String>, String> {
        let theirs = tokenizers::Tokenizer::from_bytes(json).map_err(|error| error.to_string())?;
        let always = data.into_iter().flat_map(|data| &data.pieces);
        let always = always.filter(|(_, _, kind)| *kind == Kind::UserDefined);
        let always = always.map(|(text, _, _)| format!("a {text} b{text}"));
        for text in PROBES.into_iter().map(str::to_owned).chain(always.take(4)) {
            let Ok(ids) = self.encode(&text) else {
                continue;
            };
            let found = theirs.encode_fast(&*text, false);
            let found = found.map_err(|error| error.to_string())?;
            let same = found.get_ids() == ids;
            if !same || theirs.decode(&ids, true).ok() != self.decode(&ids).ok() {
                return Ok(Some(format!(
                    "the exported `tokenizer.json` gives {} on texts such as `{}`",
                    if same {
                        "another text back"
                    } else {
                        "other ids"
                    },
                    text.escape_debug()
                )));
            }
        }
        Ok(None)
    }

    /// The tokens, one by one.
    ///
    /// # Errors
    /// A description, for a kind of tokenizer whose tokens no other format can hold.
    pub(crate) fn table(&self) -> Result<Table, String> {
        let (head, json) = self.parsed();
        match &head.sentencepiece {
            Some(data) => Ok(of_pieces(data)),
            None => of_json(&json, self.vocab_size()),
        }
    }
}

fn added(json: &Value) -> HashMap<u32, (String, bool)> {
    let added = json["added_tokens"].as_array().into_iter().flatten();
    let token = |token: &Value| {
        let id = u32::try_from(token["id"].as_u64()?).ok()?;
        let is_special = token["special"].as_bool().unwrap_or(false);
        Some((id, (token["content"].as_str()?.to_owned(), is_special)))
    };
    added.filter_map(token).collect()
}

fn of_pieces(data: &Data) -> Table {
    let tokens = data.pieces.iter().map(|(text, score, kind)| Token {
        text: text.clone(),
        score: *score,
        kind: *kind,
        bytes: piece_bytes(text, *kind),
    });
    Table {
        tokens: tokens.collect(),
        merges: Vec::new(),
        spelling: Spelling::Pieces {
            adds_space: data.add_dummy_prefix,
            merges: data.algorithm == Algorithm::Bpe,
        },
    }
}

fn piece_bytes(text: &str, kind: Kind) -> Vec<u8> {
    match kind {
        Kind::Byte => super::sentencepiece::byte_of(text).into_iter().collect(),
        _ => text.replace(SPACE, " ").into_bytes(),
    }
}

/// The tokens of a BPE in a `tokenizer.json`.
fn of_json(json: &Value, vocab_size: usize) -> Result<Table, String> {
    let model = &json["model"];
    if model["type"] != "BPE" && !model["merges"].is_array() {
        let kind = model["type"].as_str().unwrap_or("of an unknown kind");
        return Err(format!("a tokenizer whose model is {kind}"));
    }
    let empty = Map::new();
    let vocabulary = model["vocab"].as_object().unwrap_or(&empty);
    let merges = merges(&model["merges"]);
    let spelling = spelling(json)?;
    let mut ranks: HashMap<String, usize> = HashMap::new();
    for (rank, [left, right]) in merges.iter().enumerate() {
        ranks.entry(format!("{left}{right}")).or_insert(rank);
    }
    let unused = |id: usize| Token {
        text: format!("<unused {id}>"),
        score: -1e9,
        kind: Kind::Unused,
        bytes: Vec::new(),
    };
    let mut tokens: Vec<Token> = (0..vocab_size).map(unused).collect();
    let letters: HashMap<char, u8> = (0..=255_u8)
        .zip(byte_characters())
        .map(|(byte, letter)| (letter, byte))
        .collect();
    for (text, id) in vocabulary {
        let id = id.as_u64().and_then(|id| usize::try_from(id).ok());
        let Some(token) = id.and_then(|id| tokens.get_mut(id)) else {
            continue;
        };
        let (kind, bytes) = match &spelling {
            Spelling::Bytes { .. } => {
                let bytes = text.chars().map(|letter| letters.get(&letter).copied());
                let bytes: Option<Vec<u8>> = bytes.collect();
                (
                    Kind::Normal,
                    bytes.unwrap_or_else(|| text.clone().into_bytes()),
                )
            }
            Spelling::Pieces { .. } => {
                let is_byte =
                    model["byte_fallback"] == true && super::sentencepiece::byte_of(text).is_some();
                let kind = match is_byte {
                    true => Kind::Byte,
                    false if model["unk_token"] == text.as_str() => Kind::Unknown,
                    false => Kind::Normal,
                };
                (kind, piece_bytes(text, kind))
            }
        };
        let score = ranks.get(text).map_or(0.0, |rank| -(*rank as f32) - 1.0);
        *token = Token {
            text: text.clone(),
            score,
            kind,
            bytes,
        };
    }
    for (id, (text, is_special)) in added(json) {
        let Some(token) = tokens.get_mut(id as usize) else {
            continue;
        };
        let kind = match is_special {
            _ if token.kind == Kind::Unknown => Kind::Unknown,
            true => Kind::Control,
            false => Kind::UserDefined,
        };
        *token = Token {
            bytes: text.clone().into_bytes(),
            text,
            score: 0.0,
            kind,
        };
    }
    Ok(Table {
        tokens,
        merges,
        spelling,
    })
}

fn merges(list: &Value) -> Vec<[String; 2]> {
    let merge = |merge: &Value| match merge {
        Value::String(text) => {
            let (left, right) = text.split_once(' ')?;
            Some([left.to_owned(), right.to_owned()])
        }
        other => Some([other[0].as_str()?.to_owned(), other[1].as_str()?.to_owned()]),
    };
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(merge)
        .collect()
}

/// The spelling of the file's tokens, from its steps before the model.
fn spelling(json: &Value) -> Result<Spelling, String> {
    let cut = &json["pre_tokenizer"];
    let steps = match cut["type"].as_str() {
        Some("Sequence") => cut["pretokenizers"].as_array().cloned().unwrap_or_default(),
        _ => vec![cut.clone()],
    };
    let kinds: Vec<&str> = steps
        .iter()
        .map(|step| step["type"].as_str().unwrap_or(""))
        .collect();
    match kinds[..] {
        ["ByteLevel"] if json["normalizer"].is_null() => Ok(Spelling::Bytes { words: None }),
        ["Split", "ByteLevel"] if json["normalizer"].is_null() => {
            let words = steps[0]["pattern"]["Regex"].as_str().map(str::to_owned);
            Ok(Spelling::Bytes { words })
        }
        ["Metaspace"] => Ok(Spelling::Pieces {
            adds_space: cut["prepend_scheme"] != "never",
            merges: true,
        }),
        [""] if json["normalizer"].to_string().contains(SPACE) => Ok(Spelling::Pieces {
            adds_space: json["normalizer"].to_string().contains("\"Prepend\""),
            merges: true,
        }),
        _ => Err("a tokenizer with its own rules for cutting text".to_owned()),
    }
}
