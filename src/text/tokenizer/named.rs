//! A file with the names of the tokens that begin and end a text and pad batches.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::borrow::Cow;
use std::path::PathBuf;

/// A file with the names of tokens. Written as a path, or as a map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Path, relative to the spec's folder.
    pub path: PathBuf,
    /// Token that begins a text; default: found by its usual name among the special tokens.
    pub bos: Option<String>,
    /// Token that ends a text; default: found by its usual name among the special tokens.
    pub eos: Option<String>,
    /// Token with which other programs pad batches; only written into exports.
    pub pad: Option<String>,
}

/// [`Named`] as a map.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NamedMap {
    /// Path, relative to the spec's folder.
    path: PathBuf,
    /// Token that begins a text; default: found by its usual name among the special tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bos: Option<String>,
    /// Token that ends a text; default: found by its usual name among the special tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    eos: Option<String>,
    /// Token with which other programs pad batches; only written into exports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pad: Option<String>,
}

impl<'de> Deserialize<'de> for Named {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(path) => Ok(Self {
                path: path.into(),
                ..Self::default()
            }),
            value => serde_json::from_value::<NamedMap>(value)
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

impl Serialize for Named {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.bos.is_none() && self.eos.is_none() && self.pad.is_none() {
            return self.path.serialize(serializer);
        }
        NamedMap {
            path: self.path.clone(),
            bos: self.bos.clone(),
            eos: self.eos.clone(),
            pad: self.pad.clone(),
        }
        .serialize(serializer)
    }
}

impl JsonSchema for Named {
    fn schema_name() -> Cow<'static, str> {
        "TokenizerFile".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let map = generator.subschema_for::<NamedMap>();
        json_schema!({"description": "A path, or a path with the names of tokens.", "anyOf": [{"type": "string"}, map]})
    }
}

impl From<PathBuf> for Named {
    fn from(path: PathBuf) -> Self {
        Self {
            path,
            ..Self::default()
        }
    }
}
