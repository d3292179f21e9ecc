//! The length of a sequence.

use crate::text::DataError;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::borrow::Cow;

/// Length of a sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SeqLen {
    /// `model.max_seq_len`.
    #[default]
    Max,
    /// The ids of the shortest document of the slice (the naive pair of the ablation, docs/studies.md#b).
    Shortest,
    /// A number of tokens.
    Tokens(usize),
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

/// Resolves the sequence length for training documents of these `lengths`, and checks it against the
/// model.
///
/// # Errors
/// A length below 2 or above the model's.
pub fn sequence_length(
    seq_len: SeqLen,
    max_seq_len: usize,
    lengths: &[u32],
) -> Result<usize, DataError> {
    let (length, origin) = match seq_len {
        SeqLen::Max => (max_seq_len, "`model.max_seq_len`"),
        SeqLen::Tokens(tokens) => (tokens, "`data.seq_len`"),
        SeqLen::Shortest => (
            lengths
                .iter()
                .min()
                .map_or(0, |shortest| *shortest as usize),
            "the shortest training document, `data.seq_len: shortest`",
        ),
    };
    let reason = if length < 2 {
        "at least 2 tokens are needed, BOS and one more".to_owned()
    } else if length > max_seq_len {
        format!("the model has {max_seq_len} positions (`model.max_seq_len`)")
    } else {
        return Ok(length);
    };
    Err(DataError::SeqLen {
        seq_len: length,
        origin,
        reason,
    })
}
