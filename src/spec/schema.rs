//! The shape of a spec, that of the JSON Schema which the settings types generate: one source for `specbook schema`, for the
//! structure check and for what a dot path may name.

use super::error::list;
use super::file::SpecFile;
use super::tree::{Node, Value};
use serde_json::Value as Json;

pub(crate) use super::shape::FILE;

/// The JSON Schema (draft 2020-12) of a spec file, generated from the types that read it.
pub fn json_schema() -> Json {
    let mut schema = schemars::schema_for!(SpecFile).to_value();
    if let Some(top) = schema.as_object_mut() {
        top.insert("title".to_owned(), "specbook spec".into());
    }
    schema
}

/// What a value may be.
#[derive(Debug)]
pub(crate) enum Shape {
    Any,
    Bool,
    Text,
    /// A whole number up to the given one.
    Integer(u64),
    Number,
    /// A list of so many items, where that is fixed.
    List(&'static Self, Option<usize>),
    /// Any keys.
    Map(&'static Self),
    /// These keys.
    Record(&'static [Field]),
    /// One of these names, bare or as the only key of a map.
    Choice(&'static [Variant]),
    /// Any of these shapes.
    Either(&'static [Self]),
    /// This or nothing.
    Nullable(&'static Self),
}

/// A key of a record.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) required: bool,
}

/// A name of a choice, with its parameters where it has any.
#[derive(Debug)]
pub(crate) struct Variant {
    pub(crate) name: &'static str,
    pub(crate) shape: Option<Shape>,
}

/// A dot path that names nothing: the part at fault and what is allowed in its place.
pub(crate) struct NoSuchPath<'a> {
    pub(crate) part: usize,
    pub(crate) allowed: Vec<&'a str>,
}

/// The sections of `base`.
pub(crate) fn settings() -> &'static Shape {
    FILE.field("base").map_or(&Shape::Any, |field| &field.shape)
}

impl Shape {
    /// The key `name` of a record.
    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        match self {
            Self::Record(fields) => fields.iter().find(|field| field.name == name),
            _ => None,
        }
    }

    /// The shape that `path` leads to.
    pub(crate) fn at<'a>(&'a self, path: &[String]) -> Result<&'a Self, NoSuchPath<'a>> {
        let mut shape = self;
        for (part, name) in path.iter().enumerate() {
            shape = shape.child(name).ok_or_else(|| NoSuchPath {
                part,
                allowed: shape.keys(),
            })?;
        }
        Ok(shape)
    }

    /// The shape below `name`.
    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Record(_) => self.field(name).map(|field| &field.shape),
            Self::Choice(variants) => variants
                .iter()
                .find(|variant| variant.name == name)?
                .shape
                .as_ref(),
            Self::Map(shape) => Some(shape),
            Self::Nullable(shape) => shape.child(name),
            Self::Either(shapes) => shapes.iter().find_map(|shape| shape.child(name)),
            _ => None,
        }
    }

    /// The names that may follow in a path.
    pub(crate) fn keys(&self) -> Vec<&str> {
        match self {
            Self::Record(fields) => fields.iter().map(|field| field.name).collect(),
            Self::Choice(variants) => variants
                .iter()
                .filter(|variant| variant.shape.is_some())
                .map(|variant| variant.name)
                .collect(),
            Self::Nullable(shape) => shape.keys(),
            Self::Either(shapes) => shapes.iter().flat_map(Self::keys).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether a map without any key is enough.
    pub(crate) fn needs_nothing(&self) -> bool {
        matches!(self, Self::Record(fields) if fields.iter().all(|field| !field.required))
    }

    /// What is expected, in words.
    pub(crate) fn expected(&self) -> String {
        match self {
            Self::Any => "a value".to_owned(),
            Self::Bool => "`true` or `false`".to_owned(),
            Self::Text => "text".to_owned(),
            Self::Integer(_) => "a whole number of at least 0".to_owned(),
            Self::Number => "a number".to_owned(),
            Self::List(item, None) => format!("a list (each item: {})", item.expected()),
            Self::List(_, Some(len)) => format!("a list of {len} numbers"),
            Self::Map(_) => "a map".to_owned(),
            Self::Record(fields) => {
                let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
                format!("a map with the keys {}", list(&names))
            }
            Self::Choice(variants) => variants
                .iter()
                .map(Variant::written)
                .collect::<Vec<_>>()
                .join(", "),
            Self::Either(shapes) => shapes
                .iter()
                .map(Self::expected)
                .collect::<Vec<_>>()
                .join(", or "),
            Self::Nullable(shape) => shape.expected(),
        }
    }

    /// Brings the two ways to write a choice to the one that decodes: `square` to `{square: {}}`, `{squentropy: {}}` to `squentropy`.
    pub(crate) fn canonicalize(&self, node: &mut Node) {
        match self {
            Self::Nullable(shape) => shape.canonicalize(node),
            Self::Record(_) | Self::Map(_) => {
                if let Value::Map(entries) = &mut node.value {
                    for (key, child) in entries {
                        if let Some(shape) = self.child(&key.name) {
                            shape.canonicalize(child);
                        }
                    }
                }
            }
            Self::List(shape, _) => {
                if let Value::List(items) = &mut node.value {
                    items.iter_mut().for_each(|item| shape.canonicalize(item));
                }
            }
            Self::Either(shapes) => shapes.iter().for_each(|shape| shape.canonicalize(node)),
            Self::Choice(variants) => canonicalize_choice(variants, node),
            _ => {}
        }
    }
}

fn canonicalize_choice(variants: &[Variant], node: &mut Node) {
    let find = |name: &str| variants.iter().find(|variant| variant.name == name);
    let span = node.span;
    match &mut node.value {
        Value::String(name) => {
            let needs_nothing = find(name)
                .and_then(|variant| variant.shape.as_ref())
                .is_some_and(Shape::needs_nothing);
            if needs_nothing {
                let name = std::mem::take(name);
                let empty = Node {
                    value: Value::Map(Vec::new()),
                    span,
                };
                node.value = Value::Map(vec![(super::tree::Key { name, span }, empty)]);
            }
        }
        Value::Map(entries) => {
            if let [(key, child)] = entries.as_mut_slice() {
                match find(&key.name).map(|variant| &variant.shape) {
                    Some(Some(shape)) => shape.canonicalize(child),
                    Some(None) if is_empty(child) => {
                        node.value = Value::String(std::mem::take(&mut key.name));
                    }
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

fn is_empty(node: &Node) -> bool {
    match &node.value {
        Value::Null => true,
        Value::Map(entries) => entries.is_empty(),
        _ => false,
    }
}

impl Variant {
    /// How it is written: `` `stream` `` or `` `{informed_as_run: {tol: …}}` ``.
    pub(crate) fn written(&self) -> String {
        match &self.shape {
            None => format!("`{}`", self.name),
            Some(shape) if shape.needs_nothing() => format!("`{}`", self.name),
            Some(Shape::Record(fields)) => {
                let required: Vec<String> = fields
                    .iter()
                    .filter(|field| field.required)
                    .map(|field| format!("{}: …", field.name))
                    .collect();
                format!("`{{{}: {{{}}}}}`", self.name, required.join(", "))
            }
            Some(_) => format!("`{{{}: …}}`", self.name),
        }
    }
}
