//! The document as a tree; every node has its place in the spec or a `--set` argument.
//!
//! Profiles, axes, cases and aliases are resolved on this tree, so that messages can point at the text that caused
//! them.

use serde::de::DeserializeOwned;
use serde_json::{Map, Number};
use std::fmt::Write as _;

/// A place in one of the source texts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Span {
    /// 0: the spec; n: the n-th `--set` argument.
    pub(crate) source: u32,
    /// Line, from 1.
    pub(crate) line: u32,
    /// Column in characters, from 1.
    pub(crate) column: u32,
    /// Characters on that line (at least 1 is underlined).
    pub(crate) len: u32,
}

/// A value and its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) value: Value,
    /// Its place.
    pub(crate) span: Span,
}

/// A key and its place.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    /// As written.
    pub(crate) name: String,
    /// Its place.
    pub(crate) span: Span,
}

/// A YAML value; maps keep their written order and have unique keys.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    /// Replaces a refused value, so that it is not reported again.
    Refused,
    Bool(bool),
    Number(Number),
    String(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

impl Node {
    /// The value of the entry `name`, if this is a map with one.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        Some(&self.entry(name)?.1)
    }

    /// The entry `name` with its key.
    pub(crate) fn entry(&self, name: &str) -> Option<&(Key, Self)> {
        self.entries().iter().find(|(key, _)| key.name == name)
    }

    /// The entries of a map; otherwise empty.
    pub(crate) fn entries(&self) -> &[(Key, Self)] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; otherwise empty.
    pub(crate) fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The text, if this is a string.
    pub(crate) fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// Removes the entry `name` from a map.
    pub(crate) fn take(&mut self, name: &str) -> Option<(Key, Self)> {
        let Value::Map(entries) = &mut self.value else {
            return None;
        };
        let index = entries.iter().position(|(key, _)| key.name == name)?;
        Some(entries.remove(index))
    }

    /// Sets the entry `key` of a map, replacing any old value; anything else becomes a map.
    pub(crate) fn put(&mut self, key: Key, node: Self) {
        if !matches!(self.value, Value::Map(_)) {
            self.value = Value::Map(Vec::new());
        }
        if let Value::Map(entries) = &mut self.value {
            match entries.iter_mut().find(|(old, _)| old.name == key.name) {
                Some(entry) => *entry = (key, node),
                None => entries.push((key, node)),
            }
        }
    }

    /// The value without places.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match &self.value {
            Value::Null | Value::Refused => Json::Null,
            Value::Bool(yes) => Json::Bool(*yes),
            Value::Number(number) => Json::Number(number.clone()),
            Value::String(text) => Json::String(text.clone()),
            Value::List(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            Value::Map(entries) => {
                let mut map = Map::with_capacity(entries.len());
                for (key, node) in entries {
                    map.insert(key.name.clone(), node.to_json());
                }
                Json::Object(map)
            }
        }
    }

    /// Decodes the value into settings; its structure must have been checked.
    pub(crate) fn decode<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_value(self.to_json())
    }

    /// Whether both hold the same value, ignoring places and key order.
    pub(crate) fn same(&self, other: &Self) -> bool {
        match (&self.value, &other.value) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
            (Value::String(a), Value::String(b)) => a == b,
            (Value::List(a), Value::List(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b))
            }
            (Value::Map(a), Value::Map(b)) => {
                a.len() == b.len()
                    && a.iter()
                        .all(|(key, node)| other.get(&key.name).is_some_and(|own| node.same(own)))
            }
            _ => false,
        }
    }

    /// The place of `path`: of the last existing key on it, or of that key's value if `value` is set.
    pub(crate) fn place(&self, path: &[&str], value: bool) -> Span {
        let mut node = self;
        let mut span = self.span;
        for (depth, part) in path.iter().enumerate() {
            let last = depth + 1 == path.len();
            if let Some((key, child)) = node.entry(part) {
                span = if last && value { child.span } else { key.span };
                node = child;
            } else if let Some(item) = part.parse().ok().and_then(|i: usize| node.items().get(i)) {
                span = item.span;
                node = item;
            } else {
                break;
            }
        }
        span
    }

    /// The kind of value, with the value if short: `text `abc``, `number 3`, `a list`.
    pub(crate) fn describe(&self) -> String {
        match &self.value {
            Value::Null | Value::Refused => "nothing".to_owned(),
            Value::Bool(yes) => format!("`{yes}`"),
            Value::Number(number) => format!("`{number}`"),
            Value::String(text) => format!("the text `{}`", shorten(text, 40)),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a map".to_owned(),
        }
    }

    /// A short form that fits into a run's name: `512`, `squentropy`, `square{k=100}`, `[0.9;0.95]`.
    pub(crate) fn label(&self) -> String {
        match &self.value {
            Value::Null | Value::Refused => "null".to_owned(),
            Value::Bool(yes) => yes.to_string(),
            Value::Number(number) => number.to_string(),
            Value::String(text) => text.replace(',', ";"),
            Value::List(items) => {
                let items: Vec<String> = items.iter().map(Self::label).collect();
                format!("[{}]", items.join(";"))
            }
            Value::Map(entries) => match entries.as_slice() {
                [(key, node)] if matches!(node.value, Value::Map(_)) => {
                    format!("{}{}", key.name, node.label())
                }
                entries => {
                    let mut text = String::from("{");
                    for (index, (key, node)) in entries.iter().enumerate() {
                        let between = if index == 0 { "" } else { ";" };
                        let _ = write!(text, "{between}{}={}", key.name, node.label());
                    }
                    text + "}"
                }
            },
        }
    }
}

/// `text` on one line, cut to `limit` characters.
pub(crate) fn shorten(text: &str, limit: usize) -> String {
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(limit + 1)
        .collect();
    match line.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// Splits a dot path; a double-quoted part is taken literally (`cases."v1.5".train.epochs`).
pub(crate) fn split_path(text: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        let end = if let Some(quoted) = rest.strip_prefix('"') {
            let end = quoted.find('"')?;
            parts.push(quoted[..end].to_owned());
            end + 2
        } else {
            let end = rest.find('.').unwrap_or(rest.len());
            parts.push(rest[..end].to_owned());
            end
        };
        if parts.last().is_none_or(String::is_empty) {
            return None;
        }
        rest = &rest[end..];
        if rest.is_empty() {
            return Some(parts);
        }
        rest = rest.strip_prefix('.')?;
    }
}

/// Joins path parts; a part that contains a dot is quoted.
pub(crate) fn join_path<S: AsRef<str>>(parts: &[S]) -> String {
    let parts: Vec<String> = parts
        .iter()
        .map(|part| {
            let part = part.as_ref();
            if part.contains('.') {
                format!("\"{part}\"")
            } else {
                part.to_owned()
            }
        })
        .collect();
    parts.join(".")
}
