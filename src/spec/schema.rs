//! The shape of a spec, that of the JSON Schema which the settings types generate: one source for `specbook schema`, for the
//! structure check and for what a dot path may name.

use super::error::list;
use super::file::SpecFile;
use super::tree::{Node, Value};
use serde_json::Value as Json;
use std::sync::LazyLock;

/// The JSON Schema (draft 2020-12) of a spec file, generated from the types that read it.
pub fn json_schema() -> Json {
    let mut schema = schemars::schema_for!(SpecFile).to_value();
    if let Some(top) = schema.as_object_mut() {
        top.insert("title".to_owned(), "specbook spec".into());
    }
    schema
}

/// The JSON Schema of a spec file, in draft 7 or in draft 2020-12.
pub(crate) fn json_schema_of(draft_7: bool) -> Json {
    if !draft_7 {
        return json_schema();
    }
    let settings = schemars::generate::SchemaSettings::draft07();
    let mut schema = settings
        .into_generator()
        .into_root_schema_for::<SpecFile>()
        .to_value();
    if let Some(top) = schema.as_object_mut() {
        top.insert("title".to_owned(), "specbook spec".into());
    }
    schema
}

/// The schema that the shape borrows its names from.
static SCHEMA: LazyLock<Json> = LazyLock::new(json_schema);
/// The whole spec file.
static FILE: LazyLock<Shape> = LazyLock::new(|| Shape::of(&SCHEMA));

/// The shape of the whole spec file.
pub(crate) fn file() -> &'static Shape {
    &FILE
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
    List(Box<Self>, Option<usize>),
    /// Any keys.
    Map(Box<Self>),
    /// These keys.
    Record(Vec<Field>),
    /// One of these names, bare or as the only key of a map.
    Choice(Vec<Variant>),
    /// Any of these shapes.
    Either(Vec<Self>),
    /// This or nothing.
    Nullable(Box<Self>),
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
    file()
        .field("base")
        .map_or(&Shape::Any, |field| &field.shape)
}

impl Shape {
    /// The shape that `schema`, a part of [`SCHEMA`], describes.
    fn of(schema: &'static Json) -> Self {
        let defined = schema["$ref"].as_str();
        if let Some(name) = defined.and_then(|path| path.strip_prefix("#/$defs/")) {
            return Self::of(&SCHEMA["$defs"][name]);
        }
        if let Some(all) = schema["oneOf"].as_array() {
            return Self::Choice(all.iter().flat_map(Variant::of).collect());
        }
        if schema["enum"].is_array() {
            return Self::Choice(Variant::of(schema));
        }
        let nullable = |shape: Self, null: bool| match null {
            true => Self::Nullable(Box::new(shape)),
            false => shape,
        };
        if let Some(shapes) = schema["anyOf"].as_array() {
            let is_null = |one: &&Json| one["type"] == "null";
            let others = shapes.iter().filter(|one| !is_null(one));
            let mut others: Vec<Self> = others.map(Self::of).collect();
            let inner = match others.len() {
                1 => others.remove(0),
                _ => Self::Either(others),
            };
            return nullable(inner, shapes.iter().any(|one| is_null(&one)));
        }
        let types: Vec<&str> = match &schema["type"] {
            Json::String(name) => vec![name],
            Json::Array(names) => names.iter().filter_map(Json::as_str).collect(),
            _ => Vec::new(),
        };
        let inner = match types.iter().find(|name| **name != "null") {
            Some(&"boolean") => Self::Bool,
            Some(&"string") => Self::Text,
            Some(&"integer") if schema["format"] == "uint32" => Self::Integer(u32::MAX.into()),
            Some(&"integer") => Self::Integer(u64::MAX),
            Some(&"number") => Self::Number,
            Some(&"array") => {
                let len = schema["minItems"].as_u64().map(|len| len as usize);
                Self::List(Box::new(Self::of(&schema["items"])), len)
            }
            Some(&"object") => Self::object(schema),
            _ => Self::Any,
        };
        nullable(inner, types.contains(&"null"))
    }

    fn object(schema: &'static Json) -> Self {
        let Some(properties) = schema["properties"].as_object() else {
            return Self::Map(Box::new(Self::of(&schema["additionalProperties"])));
        };
        let names = schema["required"].as_array();
        let required = |name: &str| names.is_some_and(|names| names.iter().any(|one| one == name));
        let field = |(name, schema): (&'static String, &'static Json)| Field {
            required: required(name),
            name,
            shape: Self::of(schema),
        };
        Self::Record(properties.iter().map(field).collect())
    }

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
    /// The variants that one alternative of a choice stands for.
    fn of(schema: &'static Json) -> Vec<Self> {
        let bare = |name| Self { name, shape: None };
        let with_settings = |(name, schema): (&'static String, _)| Self {
            name,
            shape: Some(Shape::of(schema)),
        };
        let names = schema["enum"].as_array().into_iter().flatten();
        let names = names.chain(schema.get("const")).filter_map(Json::as_str);
        let settings = schema["properties"].as_object().into_iter().flatten();
        names.map(bare).chain(settings.map(with_settings)).collect()
    }

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
