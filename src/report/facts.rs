//! Facts of a report: sizes, the origin of its text and numbers, and what a reader must know first.

use super::context::Fact;
use super::records;
use super::scope::groups;
use super::text::one_line;
use crate::human;
use crate::record::{Results, RunResult, RunStatus};
use crate::spec::Spec;
use crate::text::source::Origin;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Text, tokenizer, arithmetic and program, each in a few words.
pub(super) fn origin(spec: &Spec, results: &Results, version: &str) -> Vec<Fact> {
    let fact = |label: &str, value: String| Fact {
        label: label.to_owned(),
        value,
    };
    let mut facts = Vec::new();
    let all = |of: &dyn Fn(&crate::spec::SpecRun) -> String| {
        let values: BTreeSet<String> = spec.runs.iter().map(of).collect();
        let shown: Vec<String> = values.iter().take(3).cloned().collect();
        let more = if values.len() > 3 { ", …" } else { "" };
        shown.join("; ") + more
    };
    let data = |run: &crate::spec::SpecRun| run.settings.data.clone();
    facts.push(fact(
        "Text",
        all(&|run| {
            let corpus = data(run).corpus;
            if let Origin::Set(set) = corpus.get().origin() {
                let (name, licence, cited) = (set.name, set.licence, set.citation);
                return format!("public set {name} (licence: {licence}; {cited})");
            }
            named(
                &serde_json::to_value(&corpus).unwrap_or_default(),
                corpus.path(),
            )
        }),
    ));
    let digests = documents(results);
    if !digests.is_empty() {
        facts.push(fact("Documents", digests));
    }
    facts.push(fact(
        "Tokenizer",
        all(&|run| {
            let tokenizer = data(run).tokenizer;
            named(
                &serde_json::to_value(&tokenizer).unwrap_or_default(),
                tokenizer.path(),
            )
        }),
    ));
    let vocabulary = results
        .runs
        .iter()
        .filter_map(|run| run.key.pointer("/model/vocab_size")?.as_u64());
    let vocabulary: BTreeSet<u64> = vocabulary.collect();
    let sizes: Vec<String> = vocabulary.into_iter().take(3).map(human::count).collect();
    if let (Some(last), false) = (facts.last_mut(), sizes.is_empty()) {
        last.value = format!("{}, {} entries", last.value, sizes.join(" / "));
    }
    let numerics = results.runs.iter().filter_map(|run| run.record.as_ref());
    let devices: BTreeSet<String> = numerics
        .map(|record| {
            let numerics = &record.numerics;
            let device = match numerics.engine.as_str() {
                "cuda" => "GPU",
                engine if engine.starts_with("cpu") => "CPU",
                engine => engine,
            };
            one_line(&format!("{device} ({}), {}", numerics.isa, numerics.dtype))
        })
        .collect();
    if !devices.is_empty() {
        facts.push(fact(
            "Device",
            devices.into_iter().collect::<Vec<_>>().join("; "),
        ));
    }
    facts.push(fact("Program", format!("specbook {}", one_line(version))));
    facts
}

/// The file slices that runs were trained and validated on, with their digests; empty for embedded
/// corpora.
fn documents(results: &Results) -> String {
    let mut slices = BTreeSet::new();
    for (name, word) in [("train", "training"), ("validation", "validation")] {
        for run in &results.runs {
            let slice = run.key.pointer(&format!("/data/{name}/documents"));
            let parts =
                slice.and_then(|slice| Some((slice["take"].as_u64()?, slice["sha256"].as_str()?)));
            if let Some((take, digest)) = parts {
                let digest: String = digest.chars().take(12).collect();
                slices.insert(format!(
                    "{} for {word} (SHA-256 {digest}…)",
                    human::count(take)
                ));
            }
        }
    }
    let shown: Vec<String> = slices.iter().take(4).cloned().collect();
    let more = if slices.len() > 4 { ", …" } else { "" };
    shown.join("; ") + more
}

/// A choice in a few words: its name, and its file or version.
fn named(choice: &Value, path: Option<&std::path::Path>) -> String {
    let (name, settings) = match choice {
        Value::String(name) => (name.as_str(), &Value::Null),
        Value::Object(map) => match map.iter().next() {
            Some((name, settings)) => (name.as_str(), settings),
            None => ("", &Value::Null),
        },
        _ => ("", &Value::Null),
    };
    let name = name.replace('_', " ");
    let file = path.and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    let version = settings.get("version").and_then(Value::as_u64);
    one_line(&match (file, version) {
        (Some(file), _) if name == "file" => file,
        (Some(file), _) => format!("{file} ({name})"),
        (None, Some(version)) => format!("generated {name}, version {version}"),
        (None, None) if name == "train bpe" => "BPE trained on the text".to_owned(),
        (None, None) => name,
    })
}

/// Sizes, as short facts.
pub(super) fn sizes(results: &Results) -> Vec<Fact> {
    let fact = |label: &str, value: String| Fact {
        label: label.to_owned(),
        value,
    };
    let finished = results
        .runs
        .iter()
        .filter(|run| records::is_finished(run))
        .count();
    let total = results.runs.len();
    let mut facts = vec![fact(
        "runs",
        if finished == total {
            human::count(total as u64)
        } else {
            format!("{finished} of {total}")
        },
    )];
    let counts = |f: fn(&crate::record::Counts) -> u64| -> Vec<u64> {
        let records = results.runs.iter().filter_map(|run| run.record.as_ref());
        records.map(|record| f(&record.counts)).collect()
    };
    let span = |values: &[u64]| -> Option<String> {
        let (low, high) = (values.iter().min()?, values.iter().max()?);
        let text = |n: u64| human::scaled(n as f64);
        Some(if low == high {
            text(*low)
        } else {
            format!("{} – {}", text(*low), text(*high))
        })
    };
    facts.extend(span(&counts(|c| c.params)).map(|text| fact("parameters", text)));
    facts.extend(span(&counts(|c| c.steps)).map(|text| fact("steps per run", text)));
    let all: Vec<_> = results.runs.iter().collect();
    let most = |of: fn(&RunResult) -> u64| {
        let groups = groups(&all);
        let counts = groups.iter().map(|group| {
            let values = group.runs.iter().map(|run| of(run));
            values.collect::<BTreeSet<u64>>().len()
        });
        counts.max().filter(|count| *count > 1)
    };
    let replicates = [
        ("seeds", most(|run| run.seed)),
        ("draws of documents", most(RunResult::draw)),
    ];
    facts.extend(
        replicates
            .into_iter()
            .filter_map(|(label, count)| Some(fact(label, count?.to_string()))),
    );
    facts
}

/// What the reader must know first.
pub(super) fn warnings(results: &Results) -> Vec<String> {
    let mut warnings = Vec::new();
    let count = |status: fn(RunStatus) -> bool| {
        let runs = results.runs.iter().filter(|run| status(run.status));
        runs.map(|run| one_line(&run.name)).collect::<Vec<_>>()
    };
    let failed = count(|status| status == RunStatus::Failed);
    if !failed.is_empty() {
        warnings.push(format!("Failed: {}.", failed.join(", ")));
    }
    let missing = count(|s| !matches!(s, RunStatus::Failed | RunStatus::Cached));
    if !missing.is_empty() {
        warnings.push(format!("Not finished: {}.", missing.join(", ")));
    }
    let engines: BTreeSet<&str> = results
        .runs
        .iter()
        .filter_map(|run| run.record.as_ref())
        .map(|record| record.numerics.engine.as_str())
        .filter(|engine| *engine != "cpu-fused")
        .collect();
    for engine in engines {
        warnings.push(match engine {
            "cuda" => {
                "Some runs were trained on a GPU: they repeat statistically, not bit for bit."
                    .to_owned()
            }
            "fake" => {
                "These runs come from the fake engine of the tests: the numbers mean nothing."
                    .to_owned()
            }
            engine => format!("Some runs were trained by the engine {}.", one_line(engine)),
        });
    }
    warnings.extend(data_notes(results));
    warnings
}

/// The data notes of the records; a note that does not apply to all settings names those it applies
/// to.
fn data_notes(results: &Results) -> Vec<String> {
    let recorded = |run: &RunResult| run.record.is_some();
    let mut groups: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for run in &results.runs {
        for note in run.record.iter().flat_map(|record| &record.notes) {
            groups.entry(note).or_default().insert(&run.group);
        }
    }
    let all: BTreeSet<&str> = (results.runs.iter().filter(|run| recorded(run)))
        .map(|run| run.group.as_str())
        .collect();
    let told = groups.into_iter().map(|(note, of)| match of.len() {
        some if some == all.len() => format!("Data: {}.", one_line(note)),
        1..=3 => {
            let names: Vec<String> = of.into_iter().map(one_line).collect();
            format!("Data of {}: {}.", names.join(", "), one_line(note))
        }
        some => format!("Data of {some} settings: {}.", one_line(note)),
    });
    told.collect()
}
