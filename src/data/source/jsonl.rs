//! Documents of JSON lines: one object per line, one of its fields is the text. Blank lines are no documents.

use super::lines::Lines;
use super::{DataError, Document};
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use std::fmt;
use std::io::BufRead;
use std::path::PathBuf;

/// Reads the documents of a JSONL file.
pub(super) struct JsonlDocuments<R> {
    lines: Lines<R>,
    field: String,
}

impl<R: BufRead> JsonlDocuments<R> {
    pub(super) fn new(reader: R, path: PathBuf, field: String) -> Self {
        Self {
            lines: Lines::new(reader, path),
            field,
        }
    }
}

impl<R: BufRead> Iterator for JsonlDocuments<R> {
    type Item = Result<Document, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let parsed = match self.lines.read_text() {
                Err(error) => return Some(Err(error)),
                Ok(None) => return None,
                Ok(Some(line)) if line.trim().is_empty() => continue,
                Ok(Some(line)) => text_of(line, &self.field),
            };
            return Some(match parsed {
                Ok(text) => {
                    self.lines.documents += 1;
                    Ok(Document::Text(text))
                }
                Err((expected, found)) => Err(DataError::Line {
                    path: self.lines.path.clone(),
                    line: self.lines.number,
                    expected,
                    found,
                    documents: self.lines.documents,
                }),
            });
        }
    }
}

/// The text of a line, or what was expected and what was found.
fn text_of(line: &str, field: &str) -> Result<String, (String, String)> {
    let expected_object = || format!("a JSON object with the text in `{field}`");
    let mut parser = serde_json::Deserializer::from_str(line);
    let parsed = TextField { field }
        .deserialize(&mut parser)
        .and_then(|found| parser.end().map(|()| found));
    match parsed {
        Err(error) => Err((expected_object(), error_text(&error))),
        Ok(Found::Text(text)) => Ok(text),
        Ok(Found::NotAnObject(kind)) => Err((expected_object(), kind.to_owned())),
        Ok(Found::OtherKind(kind)) => Err((format!("a string in `{field}`"), kind.to_owned())),
        Ok(Found::Missing(names)) => Err((
            format!("a field `{field}`"),
            if names.is_empty() {
                "an object without fields".to_owned()
            } else {
                format!("only {}", names.join(", "))
            },
        )),
    }
}

/// serde_json's message with the column alone: its line number is always 1 here.
fn error_text(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.split_once(" at line 1 column ") {
        Some((what, column)) => format!("{what} (column {column})"),
        None => text,
    }
}

enum Found {
    Text(String),
    /// The value of the field is of another kind.
    OtherKind(&'static str),
    /// Names of the fields there are, at most six.
    Missing(Vec<String>),
    NotAnObject(&'static str),
}

/// Takes one string field of an object and skips the others without storing them.
struct TextField<'a> {
    field: &'a str,
}

impl<'de> DeserializeSeed<'de> for TextField<'_> {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Found, D::Error> {
        deserializer.deserialize_any(ObjectVisitor { field: self.field })
    }
}

struct ObjectVisitor<'a> {
    field: &'a str,
}

impl<'de> Visitor<'de> for ObjectVisitor<'_> {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found, A::Error> {
        let mut found = None;
        let mut names = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == self.field {
                if found.is_some() {
                    return Err(A::Error::custom(format!("the field `{name}` twice")));
                }
                found = Some(map.next_value_seed(KindSeed)?);
            } else {
                map.next_value::<IgnoredAny>()?;
                if names.len() < 6 {
                    names.push(format!("`{}`", name.chars().take(40).collect::<String>()));
                }
            }
        }
        Ok(match found {
            Some(Ok(text)) => Found::Text(text),
            Some(Err(kind)) => Found::OtherKind(kind),
            None => Found::Missing(names),
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Found, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Found::NotAnObject("a list"))
    }

    fn visit_str<E>(self, _: &str) -> Result<Found, E> {
        Ok(Found::NotAnObject("a string"))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Found, E> {
        Ok(Found::NotAnObject("a boolean"))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Found, E> {
        Ok(Found::NotAnObject("a number"))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Found, E> {
        Ok(Found::NotAnObject("a number"))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Found, E> {
        Ok(Found::NotAnObject("a number"))
    }

    fn visit_unit<E>(self) -> Result<Found, E> {
        Ok(Found::NotAnObject("`null`"))
    }
}

/// A string, or the name of another kind of value.
struct KindSeed;

impl<'de> DeserializeSeed<'de> for KindSeed {
    type Value = Result<String, &'static str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(KindVisitor)
    }
}

struct KindVisitor;

impl<'de> Visitor<'de> for KindVisitor {
    type Value = Result<String, &'static str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Ok(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
        Ok(Ok(text))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Err("an object"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Err("a list"))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Err("a boolean"))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Err("a number"))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Err("a number"))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Err("a number"))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Err("`null`"))
    }
}
