//! `shape.rs` from the JSON Schema: what the types say, as constants.

use crate::spec::json_schema;
use serde_json::Value as Json;
use std::fmt::Write as _;

const HEAD: &str = "//! What a spec file may hold: written from the JSON Schema by the test `the_shape_is_that_of_the_schema`, so that no command
//! has to make the schema first. After a change of the types, `SPECBOOK_WRITE_SHAPE=1 cargo test the_shape_is` writes it again.

use super::schema::{Field, Shape, Variant};
";

#[test]
fn the_shape_is_that_of_the_schema() {
    let schema = json_schema();
    let mut source = HEAD.to_owned();
    for (name, schema) in schema["$defs"].as_object().unwrap() {
        let (name, shape) = (constant(name), shape(schema, true));
        writeln!(source, "\nconst {name}: Shape = {shape};").unwrap();
    }
    let whole = shape(&schema, true);
    let file = "/// The whole spec file.\npub(crate) static FILE: Shape";
    writeln!(source, "\n{file} = {whole};").unwrap();
    if std::env::var_os("SPECBOOK_WRITE_SHAPE").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/spec/shape.rs");
        std::fs::write(path, &source).unwrap();
        return;
    }
    same_lines(include_str!("../shape.rs"), &source);
}

/// Shows the first line that differs.
fn same_lines(written: &str, made: &str) {
    for (number, (written, made)) in written.lines().zip(made.lines()).enumerate() {
        assert_eq!(written, made, "line {} of shape.rs", number + 1);
    }
    assert_eq!(written.len(), made.len());
}

/// `TrainBpe` as `TRAIN_BPE`.
fn constant(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase()
            && out.ends_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        {
            out.push('_');
        }
        out.push(c);
    }
    out.to_uppercase()
}

/// A list of constants: one a line where it stands at the top.
fn list(items: impl Iterator<Item = String>, top: bool) -> String {
    let items: Vec<String> = items.collect();
    if items.is_empty() || !top {
        return format!("&[{}]", items.join(", "));
    }
    let lines: String = items.iter().map(|item| format!("    {item},\n")).collect();
    format!("&[\n{lines}]")
}

fn nullable(shape: String, null: bool) -> String {
    if null {
        format!("Shape::Nullable(&{shape})")
    } else {
        shape
    }
}

fn shape(schema: &Json, top: bool) -> String {
    let defined = schema["$ref"]
        .as_str()
        .and_then(|path| path.strip_prefix("#/$defs/"));
    if let Some(name) = defined {
        return constant(name);
    }
    if let Some(all) = schema["oneOf"].as_array() {
        return format!(
            "Shape::Choice({})",
            list(all.iter().flat_map(variants), top)
        );
    }
    if let Some(shapes) = schema["anyOf"].as_array() {
        let is_null = |one: &&Json| one["type"] == "null";
        let others: Vec<String> = shapes
            .iter()
            .filter(|one| !is_null(one))
            .map(|one| shape(one, false))
            .collect();
        let inner = match others.as_slice() {
            [one] => one.clone(),
            _ => format!("Shape::Either({})", list(others.into_iter(), top)),
        };
        return nullable(inner, shapes.iter().any(|one| is_null(&one)));
    }
    if schema["enum"].is_array() {
        return format!("Shape::Choice({})", list(variants(schema).into_iter(), top));
    }
    let types: Vec<&str> = match &schema["type"] {
        Json::String(name) => vec![name],
        Json::Array(names) => names.iter().filter_map(Json::as_str).collect(),
        _ => Vec::new(),
    };
    let inner = match types.iter().find(|name| **name != "null") {
        Some(&"boolean") => "Shape::Bool".to_owned(),
        Some(&"string") => "Shape::Text".to_owned(),
        Some(&"integer") if schema["format"] == "uint32" => format!("Shape::Integer({})", u32::MAX),
        Some(&"integer") => format!("Shape::Integer({})", u64::MAX),
        Some(&"number") => "Shape::Number".to_owned(),
        Some(&"array") => {
            let items = shape(&schema["items"], false);
            format!("Shape::List(&{items}, {:?})", schema["minItems"].as_u64())
        }
        Some(&"object") => object(schema, top),
        _ => "Shape::Any".to_owned(),
    };
    nullable(inner, types.contains(&"null"))
}

fn object(schema: &Json, top: bool) -> String {
    let Some(properties) = schema["properties"].as_object() else {
        let values = shape(&schema["additionalProperties"], false);
        return format!("Shape::Map(&{values})");
    };
    let required = |name: &str| {
        let names = schema["required"].as_array();
        names.is_some_and(|names| names.iter().any(|one| one == name))
    };
    let field = |(name, schema): (&String, &Json)| {
        let (required, shape) = (required(name), shape(schema, false));
        format!("Field {{ name: {name:?}, required: {required}, shape: {shape} }}")
    };
    format!("Shape::Record({})", list(properties.iter().map(field), top))
}

/// The variants that one alternative of a choice stands for.
fn variants(schema: &Json) -> Vec<String> {
    let bare = |name: &str| format!("Variant {{ name: {name:?}, shape: None }}");
    if let Some(name) = schema["const"].as_str() {
        return vec![bare(name)];
    }
    if let Some(names) = schema["enum"].as_array() {
        return names.iter().filter_map(Json::as_str).map(bare).collect();
    }
    let with_parameters = |(name, schema): (&String, &Json)| {
        let shape = shape(schema, false);
        format!("Variant {{ name: {name:?}, shape: Some({shape}) }}")
    };
    let properties = schema["properties"].as_object();
    properties
        .map(|all| all.iter().map(with_parameters).collect())
        .unwrap_or_default()
}
