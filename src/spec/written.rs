//! Settings with two written forms (a number or a map, a word or a list). Each is serialised in its short form.

use super::{Corpus, Selection, Slice};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::borrow::Cow;

/// The long form of a [`Slice`].
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SliceMap {
    /// First document, counted from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    skip: Option<usize>,
    /// Number of documents.
    take: usize,
    /// Corpus to use instead of `data.corpus`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    corpus: Option<Corpus>,
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
