//! The notebook checked against the rules of nbformat 4.5, restated here from its documentation.

use super::{files, fixture, text};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Violations of the format's rules.
fn faults(notebook: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let mut ask = |holds: bool, what: String| {
        if !holds {
            faults.push(what);
        }
    };
    ask(
        has_keys(
            notebook,
            &["cells", "metadata", "nbformat", "nbformat_minor"],
            &[],
        ),
        "keys of the notebook".to_owned(),
    );
    ask(notebook["nbformat"] == 4, "nbformat is 4".to_owned());
    ask(notebook["nbformat_minor"] == 5, "minor is 5".to_owned());
    ask(notebook["metadata"].is_object(), "metadata".to_owned());
    let mut ids = BTreeSet::new();
    let empty = Vec::new();
    for cell in notebook["cells"].as_array().unwrap_or(&empty) {
        let id = cell["id"].as_str().unwrap_or_default();
        ask(is_id(id) && ids.insert(id.to_owned()), format!("id `{id}`"));
        ask(is_multiline(&cell["source"]), format!("{id}: source"));
        ask(cell["metadata"].is_object(), format!("{id}: metadata"));
        let common = ["id", "cell_type", "metadata", "source"];
        let code = [&common[..], &["execution_count", "outputs"]].concat();
        match cell["cell_type"].as_str() {
            Some("markdown") => ask(
                has_keys(cell, &common, &["attachments"]),
                format!("{id}: keys"),
            ),
            Some("code") => {
                ask(has_keys(cell, &code, &[]), format!("{id}: keys"));
                let count = &cell["execution_count"];
                ask(count.is_null() || count.is_u64(), format!("{id}: count"));
                let outputs = cell["outputs"].as_array();
                ask(
                    outputs.is_some_and(|outputs| outputs.iter().all(is_display)),
                    format!("{id}: outputs"),
                );
            }
            other => ask(false, format!("{id}: cell type {other:?}")),
        }
    }
    faults
}

/// Whether an object has all the keys in `needed` and no others except those in `allowed`.
fn has_keys(value: &Value, needed: &[&str], allowed: &[&str]) -> bool {
    value.as_object().is_some_and(|map: &Map<String, Value>| {
        needed.iter().all(|key| map.contains_key(*key))
            && map
                .keys()
                .all(|key| needed.contains(&key.as_str()) || allowed.contains(&key.as_str()))
    })
}

fn is_id(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

/// A string, or a list of strings.
fn is_multiline(value: &Value) -> bool {
    value.is_string()
        || value
            .as_array()
            .is_some_and(|lines| lines.iter().all(Value::is_string))
}

fn is_display(output: &Value) -> bool {
    has_keys(output, &["output_type", "data", "metadata"], &[])
        && output["output_type"] == "display_data"
        && output["metadata"].is_object()
        && output["data"]
            .as_object()
            .is_some_and(|data| data.values().all(is_multiline))
}

#[test]
fn the_notebook_keeps_the_rules() {
    for fixture in [fixture::three_runs(), fixture::grid(1)] {
        let notebook: Value =
            serde_json::from_str(&text(&files(&fixture), "report.ipynb")).unwrap();
        assert_eq!(faults(&notebook), Vec::<String>::new());
        let pictures = notebook["cells"].as_array().unwrap().iter();
        let pictures =
            pictures.filter(|cell| !cell["outputs"][0]["data"]["image/svg+xml"].is_null());
        assert!(pictures.count() > 0, "figures are there when it is opened");
    }
}

#[test]
fn the_rules_find_faults() {
    let text = text(&files(&fixture::three_runs()), "report.ipynb");
    let mut notebook: Value = serde_json::from_str(&text).unwrap();
    notebook["cells"][0]["id"] = "not an id".into();
    notebook["cells"][1]["source"] = 1.into();
    notebook["cells"][1]["more"] = true.into();
    assert_eq!(faults(&notebook).len(), 3);
}
