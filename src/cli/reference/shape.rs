//! Entries derived from the JSON Schema: every key of a spec by its dot path, with its allowed
//! values and default.

use super::{Entry, examples};
use crate::spec::json_schema;
use serde_json::{Map, Value as Json};
use std::sync::LazyLock;

static SCHEMA: LazyLock<Json> = LazyLock::new(json_schema);

/// The settings, by path below `base`.
pub(super) fn settings() -> Vec<Entry> {
    below("Settings")
}

/// The keys of a spec file, including nested keys that no other topic lists.
pub(super) fn keys_of_the_file() -> Vec<Entry> {
    let mut entries = Vec::new();
    let keys = SCHEMA["properties"].as_object().into_iter().flatten();
    for (name, schema) in keys {
        let elsewhere = matches!(name.as_str(), "base" | "claims" | "cells");
        let mut found = Vec::new();
        walk(name, schema, is_required(&SCHEMA, name), &mut found);
        found.truncate(if elsewhere { 1 } else { usize::MAX });
        entries.extend(found);
    }
    entries
}

/// The entries of a named type: those of its keys or, for a choice, of its values.
pub(super) fn below(name: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    descend("", &SCHEMA["$defs"][name], &mut entries);
    once(entries)
}

/// Adds an entry for the schema at `path`, followed by those below it.
fn walk(path: &str, schema: &Json, required: bool, entries: &mut Vec<Entry>) {
    let resolved = resolve(schema);
    let about = [schema, resolved]
        .into_iter()
        .find_map(|schema| schema["description"].as_str());
    let about = about.unwrap_or_default().replace('\n', " ");
    // Many descriptions already state the default.
    let default = default(schema, required)
        .filter(|default| default == "required" || !about.contains("default"));
    entries.push(Entry {
        name: path.to_owned(),
        takes: takes(schema),
        default,
        about,
        example: examples::of(path),
    });
    descend(path, resolved, entries);
}

/// Lists a type with many keys only once; later occurrences refer to the first.
fn once(entries: Vec<Entry>) -> Vec<Entry> {
    let parts = |name: &str| -> Vec<String> {
        let below = format!("{name}.");
        let names = entries.iter().map(|entry| &entry.name);
        names
            .filter_map(|name| name.strip_prefix(&below).map(str::to_owned))
            .collect()
    };
    let mut short: Vec<Entry> = Vec::new();
    let mut skipped: Option<String> = None;
    for entry in &entries {
        if skipped
            .as_ref()
            .is_some_and(|below| entry.name.starts_with(below))
        {
            continue;
        }
        let own = parts(&entry.name);
        let twin = short
            .iter()
            .find(|other| own.len() > 3 && other.takes == entry.takes && parts(&other.name) == own);
        let mut entry = entry.clone();
        skipped = twin.map(|twin| {
            entry.about = format!("{} Written as `{}`.", entry.about, twin.name);
            format!("{}.", entry.name)
        });
        short.push(entry);
    }
    short
}

/// Adds the entries below a type.
fn descend(path: &str, schema: &Json, entries: &mut Vec<Entry>) {
    let join = |name: &str| {
        if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        }
    };
    let keys = schema["properties"].as_object().into_iter().flatten();
    for (name, key) in keys {
        walk(&join(name), key, is_required(schema, name), entries);
    }
    for item in variants(schema) {
        let item = resolve(item);
        if let Some(name) = item["const"].as_str() {
            entries.push(Entry {
                name: join(name),
                takes: "the name alone".to_owned(),
                about: text(&item["description"]),
                ..Entry::default()
            });
        } else if is_choice_with_settings(item) {
            let only = item["properties"].as_object().into_iter().flatten();
            for (name, inner) in only {
                entries.push(Entry {
                    name: join(name),
                    takes: takes(inner),
                    about: text(&item["description"]),
                    example: examples::of(&join(name)),
                    ..Entry::default()
                });
                descend(&join(name), resolve(inner), entries);
            }
        } else {
            descend(path, item, entries);
        }
    }
    if let Some(items) = schema.get("items") {
        descend(&format!("{path}[]"), resolve(items), entries);
    }
    if let Some(values) = schema
        .get("additionalProperties")
        .filter(|values| values.is_object())
    {
        descend(&join("NAME"), resolve(values), entries);
    }
}

fn text(value: &Json) -> String {
    value.as_str().unwrap_or_default().replace('\n', " ")
}

fn variants(schema: &Json) -> impl Iterator<Item = &Json> {
    ["oneOf", "anyOf"]
        .into_iter()
        .filter_map(|key| schema[key].as_array())
        .flatten()
}

/// Whether a schema is `{name: {…}}`, a value of a choice with its settings.
fn is_choice_with_settings(schema: &Json) -> bool {
    let one = schema["properties"]
        .as_object()
        .is_some_and(|keys| keys.len() == 1);
    one && schema["required"]
        .as_array()
        .is_some_and(|keys| keys.len() == 1)
        && schema.get("description").is_some()
}

fn resolve(schema: &Json) -> &Json {
    let named = schema["$ref"]
        .as_str()
        .and_then(|path| path.strip_prefix("#/$defs/"));
    if let Some(name) = named {
        return resolve(&SCHEMA["$defs"][name]);
    }
    // An optional type is described by the type itself.
    let mut others = variants(schema).filter(|item| item["type"] != "null");
    match (others.next(), others.next()) {
        (Some(only), None) => resolve(only),
        _ => schema,
    }
}

fn is_required(schema: &Json, name: &str) -> bool {
    let required = schema["required"].as_array().into_iter().flatten();
    required.into_iter().any(|key| key == name)
}

fn default(schema: &Json, required: bool) -> Option<String> {
    match schema.get("default") {
        None | Some(Json::Null) if required => Some("required".to_owned()),
        None | Some(Json::Null) => None,
        Some(Json::String(text)) if text.is_empty() => None,
        Some(Json::Object(map)) if is_empty(map) => None,
        Some(Json::Array(list)) if list.is_empty() => None,
        Some(value) => Some(examples::flow(value)),
    }
}

/// Whether no entry of a map carries information.
fn is_empty(map: &Map<String, Json>) -> bool {
    let nothing = |value: &Json| match value {
        Json::Null | Json::Bool(false) => true,
        Json::String(text) => text.is_empty(),
        Json::Array(list) => list.is_empty(),
        Json::Object(map) => is_empty(map),
        _ => false,
    };
    map.values().all(nothing)
}

/// The allowed values, in words.
fn takes(schema: &Json) -> String {
    let schema = resolve(schema);
    let one_of: Vec<String> = variants(schema)
        .map(resolve)
        .filter(|item| item["type"] != "null")
        .map(|item| match item["const"].as_str() {
            Some(name) => format!("`{name}`"),
            None if is_choice_with_settings(item) => {
                let name = item["properties"]
                    .as_object()
                    .and_then(|keys| keys.keys().next());
                format!("`{}: …`", name.map_or("", String::as_str))
            }
            None => takes(item),
        })
        .collect();
    if !one_of.is_empty() {
        return one_of.join(" or ");
    }
    if let Some(names) = schema["enum"].as_array() {
        let names: Vec<String> = names
            .iter()
            .map(|name| format!("`{}`", text(name)))
            .collect();
        return names.join(" or ");
    }
    let kind = match &schema["type"] {
        Json::Array(kinds) => kinds
            .iter()
            .find_map(|kind| kind.as_str().filter(|kind| *kind != "null")),
        kind => kind.as_str(),
    };
    match kind {
        Some("integer") => "whole number".to_owned(),
        Some("number") => "number".to_owned(),
        Some("boolean") => "`true` or `false`".to_owned(),
        Some("string") => "text".to_owned(),
        Some("array") => {
            let items = takes(&schema["items"]);
            match schema["minItems"]
                .as_u64()
                .filter(|_| schema["minItems"] == schema["maxItems"])
            {
                Some(count) => format!("list of {count}: {items}"),
                None => format!("list: {items}"),
            }
        }
        Some("object") => "map".to_owned(),
        _ => "any value".to_owned(),
    }
}
