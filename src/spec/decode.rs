//! Decodes settings types from the tree, without a copy of it. Choices are names or maps of one key.

use super::tree::{Key, Node, Value};
use serde::de::value::{MapDeserializer, SeqDeserializer, StrDeserializer};
use serde::de::{Deserializer, EnumAccess, Error as _, IntoDeserializer, VariantAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::Error;

/// Decodes `node`.
///
/// # Errors
/// A tree that its structure check has not let through.
pub(crate) fn decode<'a, T: serde::Deserialize<'a>>(node: &'a Node) -> Result<T, Error> {
    T::deserialize(Decode(node))
}

/// A node to decode from.
#[derive(Clone, Copy)]
struct Decode<'a>(&'a Node);

impl<'a> IntoDeserializer<'a, Error> for Decode<'a> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

fn entry((key, node): &(Key, Node)) -> (StrDeserializer<'_, Error>, Decode<'_>) {
    (key.name.as_str().into_deserializer(), Decode(node))
}

impl<'de> Deserializer<'de> for Decode<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.0.value {
            Value::Null | Value::Refused => visitor.visit_unit(),
            Value::Bool(yes) => visitor.visit_bool(*yes),
            Value::Number(number) => number.deserialize_any(visitor),
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::List(items) => {
                SeqDeserializer::new(items.iter().map(Decode)).deserialize_any(visitor)
            }
            Value::Map(entries) => {
                MapDeserializer::new(entries.iter().map(entry)).deserialize_any(visitor)
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.0.value {
            Value::Null | Value::Refused => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match &self.0.value {
            Value::String(name) => visitor.visit_enum(Choice { name, node: None }),
            Value::Map(entries) if entries.len() == 1 => visitor.visit_enum(Choice {
                name: &entries[0].0.name,
                node: Some(&entries[0].1),
            }),
            _ => Err(Error::custom("expected a name or a map of one key")),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

/// A choice: its name and its settings.
struct Choice<'a> {
    name: &'a str,
    node: Option<&'a Node>,
}

impl<'a> Choice<'a> {
    fn settings(&self) -> Result<Decode<'a>, Error> {
        let missing = || Error::custom(format!("`{}` needs its settings", self.name));
        self.node.map(Decode).ok_or_else(missing)
    }
}

impl<'a> EnumAccess<'a> for Choice<'a> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<S: serde::de::DeserializeSeed<'a>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Self), Error> {
        let name: StrDeserializer<'_, Error> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'a> VariantAccess<'a> for Choice<'a> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        match self.node {
            None => Ok(()),
            Some(_) => Err(Error::custom(format!("`{}` has no settings", self.name))),
        }
    }

    fn newtype_variant_seed<S: serde::de::DeserializeSeed<'a>>(
        self,
        seed: S,
    ) -> Result<S::Value, Error> {
        seed.deserialize(self.settings()?)
    }

    fn tuple_variant<V: Visitor<'a>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.settings()?.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'a>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.settings()?.deserialize_any(visitor)
    }
}
