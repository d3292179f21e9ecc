//! Extracts the text of a JSON value, or describes what was found instead.

use super::DataError;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::path::Path;

/// Maximum number of names listed in a message.
const LISTED: usize = 6;

/// Expected and found content.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) expected: String,
    pub(super) found: String,
}

/// The error for a `problem` in a line, after `documents` documents.
pub(super) fn mismatch(path: &Path, line: u64, documents: usize, problem: Problem) -> DataError {
    DataError::Line {
        path: path.to_owned(),
        line,
        expected: problem.expected,
        found: problem.found,
        documents,
    }
}

/// The text of a line, which is an object with the text in `field`.
pub(super) fn text_of(line: &str, field: &str) -> Result<String, Problem> {
    let expected = || format!("a JSON object with the text in `{field}`");
    let value: &RawValue = serde_json::from_str(line).map_err(|error| Problem {
        expected: expected(),
        found: syntax(line, &error),
    })?;
    match value.get().as_bytes().first() {
        Some(b'{') => in_field(value, field),
        first => Err(Problem {
            expected: expected(),
            found: kind(first.copied()).to_owned(),
        }),
    }
}

/// The text of an element, which is a string or an object with the text in `field`.
pub(super) fn text_of_element(text: &str, field: &str) -> Result<String, Problem> {
    if text.starts_with('{') {
        return text_of(text, field);
    }
    let expected = format!("a string, or an object with the text in `{field}`");
    let value: &RawValue = serde_json::from_str(text).map_err(|error| Problem {
        expected: expected.clone(),
        found: syntax(text, &error),
    })?;
    string(value, expected)
}

/// Looks up `field`, then its parts: `meta.text` is the field `text` of the object in `meta`.
fn in_field(object: &RawValue, field: &str) -> Result<String, Problem> {
    let expected = || format!("a field `{field}`");
    let entries = Entries::of(object, expected)?;
    if let Some(value) = entries.get(field, expected)? {
        return string(value, format!("a string in `{field}`"));
    }
    if let Some((outer, inner)) = field.split_once('.')
        && let Some(value) = entries.get(outer, expected)?
    {
        return match value.get().as_bytes().first() {
            Some(b'{') => in_field(value, inner),
            first => Err(Problem {
                expected: format!("an object in `{outer}`, with a field `{inner}`"),
                found: kind(first.copied()).to_owned(),
            }),
        };
    }
    let names = entries.0.iter().take(LISTED);
    let names = names.map(|(name, _)| format!("`{}`", name.chars().take(40).collect::<String>()));
    let names: Vec<String> = names.collect();
    Err(Problem {
        expected: expected(),
        found: match names.len() {
            0 => "an object without fields".to_owned(),
            _ => format!("only {}", names.join(", ")),
        },
    })
}

fn string(value: &RawValue, expected: String) -> Result<String, Problem> {
    let text = value.get();
    match text.as_bytes().first() {
        Some(b'"') => serde_json::from_str(text).map_err(|error| Problem {
            expected,
            found: syntax(text, &error),
        }),
        first => Err(Problem {
            expected,
            found: kind(first.copied()).to_owned(),
        }),
    }
}

fn kind(first: Option<u8>) -> &'static str {
    match first {
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "`null`",
        Some(b'-' | b'0'..=b'9') => "a number",
        _ => "nothing",
    }
}

/// The problem with invalid JSON and its column, in words for users.
fn syntax(text: &str, error: &serde_json::Error) -> String {
    let message = error.to_string();
    let (what, column) = match message.split_once(" at line ") {
        Some((what, place)) => (what, place.rsplit(' ').next().unwrap_or_default()),
        None => (message.as_str(), ""),
    };
    let at = error.column().saturating_sub(1).min(text.len());
    let word = ["NaN", "-Infinity", "Infinity"].into_iter().find(|word| {
        let near = text.floor_char_boundary(at.saturating_sub(1))
            ..text.ceil_char_boundary((at + 10).min(text.len()));
        text[near].contains(word)
    });
    match (word, lone_surrogate(text)) {
        (Some(word), _)
            if what.starts_with("expected value") || what.starts_with("invalid number") =>
        {
            format!(
                "`{word}` (column {column}), which is not JSON; Python writes it unless `allow_nan=False`"
            )
        }
        (_, Some(escape)) => {
            format!("`{escape}` (column {column}), an unpaired surrogate, which is not a character")
        }
        _ => format!("{what} (column {column})"),
    }
}

/// The first escape that is an unpaired surrogate.
fn lone_surrogate(text: &str) -> Option<&str> {
    let unit = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let bytes = text.as_bytes();
    let mut at = 0;
    while at + 1 < bytes.len() {
        if bytes[at] != b'\\' {
            at += 1;
            continue;
        }
        match unit(at) {
            Some(0xD800..=0xDBFF) if matches!(unit(at + 6), Some(0xDC00..=0xDFFF)) => at += 12,
            Some(0xD800..=0xDFFF) => return text.get(at..at + 6),
            _ => at += 2,
        }
    }
    None
}

/// The entries of an object, with unparsed values.
struct Entries<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Entries<'a> {
    fn of(object: &'a RawValue, expected: impl Fn() -> String) -> Result<Self, Problem> {
        let mut parser = serde_json::Deserializer::from_str(object.get());
        let entries = parser.deserialize_map(EntriesVisitor);
        entries.map(Self).map_err(|error| Problem {
            expected: expected(),
            found: syntax(object.get(), &error),
        })
    }

    fn get(
        &self,
        name: &str,
        expected: impl Fn() -> String,
    ) -> Result<Option<&'a RawValue>, Problem> {
        let mut found = self.0.iter().filter(|(key, _)| key == name);
        let first = found.next();
        match found.next() {
            None => Ok(first.map(|(_, value)| *value)),
            Some(_) => Err(Problem {
                expected: expected(),
                found: format!("the field `{name}` twice"),
            }),
        }
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some((Name(name), value)) = map.next_entry()? {
            entries.push((name, value));
        }
        Ok(entries)
    }
}

/// A name, borrowed if it contains no escapes.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
