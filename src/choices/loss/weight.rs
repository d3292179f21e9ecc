//! The weight of the correct class, shared by several losses.

use crate::choices::Findings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::borrow::Cow;

/// Weight of the correct class, absolute or in proportion to the number of classes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ClassWeight {
    /// Independent of the number of classes.
    Absolute(f64),
    /// `x · C / 50304`.
    Per50304(f64),
}

impl ClassWeight {
    /// The weight for `classes` classes.
    pub fn value(&self, classes: usize) -> f64 {
        match self {
            Self::Absolute(w) => *w,
            Self::Per50304(w) => w * classes as f64 / 50_304.0,
        }
    }

    /// Requires a weight above 0; `path` is its setting.
    pub(super) fn check(&self, path: &str, findings: &mut Findings) {
        let (Self::Absolute(w) | Self::Per50304(w)) = *self;
        findings.number(path, w, w > 0.0, "above 0");
    }
}

impl<'de> Deserialize<'de> for ClassWeight {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        if let Some(weight) = value.as_f64() {
            return Ok(Self::Absolute(weight));
        }
        match value.as_object() {
            Some(map) if map.len() == 1 => map
                .get("per_50304")
                .and_then(Value::as_f64)
                .map(Self::Per50304),
            _ => None,
        }
        .ok_or_else(|| D::Error::custom("expected a number or `{per_50304: number}`"))
    }
}

impl Serialize for ClassWeight {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Absolute(weight) => serializer.serialize_f64(*weight),
            Self::Per50304(weight) => serializer.collect_map([("per_50304", weight)]),
        }
    }
}

impl JsonSchema for ClassWeight {
    fn schema_name() -> Cow<'static, str> {
        "ClassWeight".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [
            {"type": "number"},
            {"type": "object", "properties": {"per_50304": {"type": "number", "description": "Weight at 50,304 classes; scaled in proportion to the number of classes."}}, "required": ["per_50304"], "additionalProperties": false}
        ]})
    }
}
