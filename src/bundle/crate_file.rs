//! `ro-crate-metadata.json`: RO-Crate 1.1 with the Process Run Crate profile, as JSON-LD.

use crate::digest::Sha256Hex;
use crate::record::RunRecord;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The contents of a bundle.
pub struct About<'a> {
    /// Title of the spec.
    pub title: &'a str,
    /// Summary of the spec.
    pub summary: &'a str,
    /// Path of the spec in the bundle.
    pub spec: &'a str,
    /// Date of publication, `2026-11-30`.
    pub date: &'a str,
    /// Licence, as a name or URL.
    pub license: &'a str,
    /// Its runs.
    pub runs: &'a [RunRecord],
}

/// The metadata file for `files`.
pub fn text(about: &About<'_>, files: &BTreeMap<String, Vec<u8>>) -> String {
    let id = |id: &str| json!({"@id": id});
    let mut graph = vec![json!({
        "@id": super::METADATA, "@type": "CreativeWork", "about": id("./"),
        "conformsTo": [id("https://w3id.org/ro/crate/1.1")],
    })];
    let actions = about.runs.iter().map(|run| id(&action(run)));
    let license = match about.license.starts_with("http") {
        true => about.license,
        false => "#license",
    };
    graph.push(json!({
        "@id": "./", "@type": "Dataset", "name": about.title, "datePublished": about.date, "license": id(license),
        "description": match about.summary { "" => about.title, summary => summary },
        "conformsTo": [id("https://w3id.org/ro/wfrun/process/0.5")],
        "hasPart": files.keys().map(|path| id(path)).collect::<Vec<_>>(),
        "mentions": actions.collect::<Vec<_>>(),
    }));
    graph.push(json!({
        "@id": license, "@type": "CreativeWork", "name": about.license, "description": "Licence of what this crate holds.",
    }));
    graph.push(json!({
        "@id": "https://w3id.org/ro/wfrun/process/0.5", "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5",
    }));
    graph.push(json!({
        "@id": "#specbook", "@type": "SoftwareApplication", "name": "specbook", "softwareVersion": env!("CARGO_PKG_VERSION"),
        "url": env!("CARGO_PKG_REPOSITORY"),
    }));
    if let Some(Value::Object(software)) = graph.last_mut() {
        software.retain(|_, value| *value != "");
    }
    for run in about.runs {
        let folder = format!("runs/{}/", run.id);
        let results = files.keys().filter(|path| path.starts_with(&folder));
        graph.push(json!({
            "@id": action(run), "@type": "CreateAction", "name": format!("Training of {}", run.name),
            "description": format!("{} steps of the run `{}`, trained by {}", run.counts.steps, run.name, run.numerics),
            "instrument": id("#specbook"), "object": [id(about.spec)],
            "result": results.map(|path| id(path)).collect::<Vec<_>>(),
            "actionStatus": id("http://schema.org/CompletedActionStatus"),
        }));
    }
    for (path, bytes) in files {
        graph.push(json!({
            "@id": path, "@type": "File", "name": path, "contentSize": bytes.len().to_string(), "encodingFormat": kind(path),
            "sha256": Sha256Hex::of(bytes).to_string(),
        }));
    }
    let context = json!([
        "https://w3id.org/ro/crate/1.1/context", {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"},
    ]);
    format!("{:#}\n", json!({"@context": context, "@graph": graph}))
}

fn action(run: &RunRecord) -> String {
    format!("#run-{}", run.id)
}

/// The media type of a file, by its name.
fn kind(path: &str) -> &'static str {
    let extension = path.rsplit('.').next().unwrap_or_default();
    match extension {
        "json" | "ipynb" => "application/json",
        "jsonl" => "application/jsonl",
        "yaml" | "yml" => "application/yaml",
        "html" => "text/html",
        "md" => "text/markdown",
        "csv" => "text/csv",
        "svg" => "image/svg+xml",
        "txt" | "lock" => "text/plain",
        _ => "application/octet-stream",
    }
}

/// The files listed in the metadata, with sizes and digests.
///
/// # Errors
/// A description, for text that is not such metadata.
pub fn listed(bytes: &[u8]) -> Result<BTreeMap<String, (u64, String)>, String> {
    let list: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let graph = list["@graph"].as_array().ok_or("it has no `@graph`")?;
    let files = graph.iter().filter(|entity| entity["@type"] == "File");
    let file = |entity: &Value| {
        let size = entity["contentSize"].as_str()?.parse().ok()?;
        Some((
            entity["@id"].as_str()?.to_owned(),
            (size, entity["sha256"].as_str()?.to_owned()),
        ))
    };
    files
        .map(|entity| file(entity).ok_or_else(|| format!("an entry is not whole: {entity}")))
        .collect()
}
