//! Settings that a spec may write in two ways (a number or a map, a word or a list). Each is written back in its short form.

use super::{Corpus, Paths, Selection, SeqLen, Slice, TokenizerFile, Width};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::borrow::Cow;
use std::path::PathBuf;

/// The long form of a [`Slice`].
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SliceMap {
    /// First document, counted from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    skip: Option<usize>,
    /// How many documents.
    take: usize,
    /// Another corpus than `data.corpus`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    corpus: Option<Corpus>,
}

/// [`TokenizerFile`] as a map.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TokenizerFileMap {
    /// Path, relative to the spec's folder.
    path: PathBuf,
    /// Token that begins a text; default: found by its usual name among the special tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bos: Option<String>,
    /// Token that ends a text; default: found by its usual name among the special tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    eos: Option<String>,
    /// Token that other programs fill up batches with: written into exports, used nowhere else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pad: Option<String>,
}

impl<'de> Deserialize<'de> for TokenizerFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(path) => Ok(Self {
                path: path.into(),
                ..Self::default()
            }),
            value => serde_json::from_value::<TokenizerFileMap>(value)
                .map(|map| Self {
                    path: map.path,
                    bos: map.bos,
                    eos: map.eos,
                    pad: map.pad,
                })
                .map_err(D::Error::custom),
        }
    }
}

impl Serialize for TokenizerFile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.bos.is_none() && self.eos.is_none() && self.pad.is_none() {
            return self.path.serialize(serializer);
        }
        TokenizerFileMap {
            path: self.path.clone(),
            bos: self.bos.clone(),
            eos: self.eos.clone(),
            pad: self.pad.clone(),
        }
        .serialize(serializer)
    }
}

impl JsonSchema for TokenizerFile {
    fn schema_name() -> Cow<'static, str> {
        "TokenizerFile".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let map = generator.subschema_for::<TokenizerFileMap>();
        json_schema!({"description": "A path, or a path with the names of tokens.", "anyOf": [{"type": "string"}, map]})
    }
}

impl<'de> Deserialize<'de> for Paths {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(path) => Ok(PathBuf::from(path).into()),
            value => serde_json::from_value(value)
                .map(Self)
                .map_err(D::Error::custom),
        }
    }
}

impl Serialize for Paths {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0[..] {
            [one] => one.serialize(serializer),
            several => several.serialize(serializer),
        }
    }
}

impl JsonSchema for Paths {
    fn schema_name() -> Cow<'static, str> {
        "Paths".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A path, or a list of paths. A path with `*`, `?` or `[…]` is a pattern.",
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
        })
    }
}

impl<'de> Deserialize<'de> for Width {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)?.as_f64() {
            Some(16.0) => Ok(Self::Bits16),
            Some(32.0) => Ok(Self::Bits32),
            _ => Err(D::Error::custom("expected 16 or 32")),
        }
    }
}

impl Serialize for Width {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(8 * self.bytes() as u64)
    }
}

impl JsonSchema for Width {
    fn schema_name() -> Cow<'static, str> {
        "Width".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"description": "Bits of an id.", "enum": [16, 32]})
    }
}

impl<'de> Deserialize<'de> for Slice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            value @ Value::Number(_) => serde_json::from_value(value).map(|take| Self {
                take,
                ..Self::default()
            }),
            value => serde_json::from_value::<SliceMap>(value).map(|map| Self {
                skip: map.skip,
                take: map.take,
                corpus: map.corpus,
            }),
        }
        .map_err(D::Error::custom)
    }
}

impl Serialize for Slice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.skip.is_none() && self.corpus.is_none() {
            return serializer.serialize_u64(self.take as u64);
        }
        SliceMap {
            skip: self.skip,
            take: self.take,
            corpus: self.corpus.clone(),
        }
        .serialize(serializer)
    }
}

impl JsonSchema for Slice {
    fn schema_name() -> Cow<'static, str> {
        "Slice".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let map = generator.subschema_for::<SliceMap>();
        json_schema!({"description": "A number of documents, or a range.", "anyOf": [{"type": "integer", "minimum": 0}, map]})
    }
}

impl<'de> Deserialize<'de> for SeqLen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(word) if word == "max" => Ok(Self::Max),
            Value::String(word) if word == "shortest" => Ok(Self::Shortest),
            value => serde_json::from_value(value)
                .map(Self::Tokens)
                .map_err(|_| D::Error::custom("expected a number of tokens, `max` or `shortest`")),
        }
    }
}

impl Serialize for SeqLen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Max => serializer.serialize_str("max"),
            Self::Shortest => serializer.serialize_str("shortest"),
            Self::Tokens(tokens) => serializer.serialize_u64(*tokens as u64),
        }
    }
}

impl JsonSchema for SeqLen {
    fn schema_name() -> Cow<'static, str> {
        "SeqLen".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "enum": ["max", "shortest"]}]})
    }
}

impl<'de> Deserialize<'de> for Selection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(word) if word == "all" => Ok(Self::All),
            value => serde_json::from_value(value)
                .map(Self::Only)
                .map_err(|_| D::Error::custom("expected `all` or a list of names")),
        }
    }
}

impl Serialize for Selection {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::All => serializer.serialize_str("all"),
            Self::Only(names) => names.serialize(serializer),
        }
    }
}

impl JsonSchema for Selection {
    fn schema_name() -> Cow<'static, str> {
        "Selection".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [{"type": "string", "enum": ["all"]}, {"type": "array", "items": {"type": "string"}}]})
    }
}
