//! Checks the import rules: where each crate may be named, which module may use which, and where `unsafe` is
//! allowed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A dependency, and the only places (path prefixes below `src/`) that may name it.
const CRATES: &[(&str, &[&str])] = &[
    ("dfdx", &["train/engine/"]),
    ("tokenizers", &["text/tokenizer"]),
    ("plotters", &["report/chart/"]),
    ("plotters_backend", &["report/chart/canvas"]),
    ("minijinja", &["report/export/", "report/index", "expr/"]),
    ("serde_yaml", &["spec/load"]),
    ("saphyr_parser", &["spec/load"]),
    ("clap", &["cli/"]),
    ("clap_complete", &["cli/"]),
    ("clap_mangen", &["cli/man"]),
    ("indicatif", &["cli/"]),
    ("rustyline", &["cli/chat"]),
    ("ureq", &["net/"]),
    ("rustls_native_certs", &["net/"]),
    ("signal_hook", &["cli/"]),
    ("sha2", &["digest.rs"]),
    ("pulldown_cmark", &["report/"]),
    ("ruzstd", &["parquet/", "text/"]),
    ("snap", &["parquet/"]),
    ("sysinfo", &["cli/"]),
    ("nix", &["scheduler/", "fsx/"]),
    ("specbook_kernels", &["train/", "internals"]),
];

/// A module, and the modules of this crate it may name.
const MODULES: &[(&str, &[&str])] = &[
    ("digest", &[]),
    ("human", &[]),
    ("shell", &["human"]),
    ("stats", &[]),
    ("rng", &[]),
    ("weights", &["digest"]),
    ("parquet", &[]),
    ("fsx", &["digest"]),
    ("net", &[]),
    ("choices", &[]),
    ("fetch", &["digest", "net", "text"]),
    ("text", &["choices", "digest", "fsx", "parquet", "rng"]),
    ("spec", &["choices", "digest", "human", "record", "text"]),
    ("record", &["digest", "fsx"]),
    ("bundle", &["digest", "plan", "record", "store"]),
    (
        "trackers",
        &[
            "digest", "fsx", "interop", "net", "parquet", "plan", "record", "store",
        ],
    ),
    (
        "interop",
        &["choices", "data", "digest", "fsx", "record", "weights"],
    ),
    ("data", &["choices", "digest", "fsx", "rng", "spec", "text"]),
    (
        "train",
        &[
            "choices", "data", "digest", "record", "rng", "spec", "weights",
        ],
    ),
    (
        "plan",
        &["choices", "data", "digest", "record", "spec", "text"],
    ),
    ("bench", &["data", "plan", "record", "rng", "spec", "train"]),
    (
        "store",
        &["digest", "fsx", "human", "plan", "record", "rng", "weights"],
    ),
    (
        "remote",
        &["digest", "fsx", "net", "plan", "record", "store"],
    ),
    (
        "queue",
        &["digest", "fsx", "plan", "record", "shell", "store"],
    ),
    (
        "eval",
        &[
            "choices", "data", "digest", "record", "rng", "spec", "stats", "train",
        ],
    ),
    ("expr", &["eval", "human", "record", "rng", "stats"]),
    (
        "claim",
        &["eval", "expr", "human", "record", "spec", "stats"],
    ),
    (
        "report",
        &[
            "claim", "digest", "eval", "expr", "fsx", "human", "plan", "record", "shell", "spec",
            "stats", "store", "text",
        ],
    ),
    (
        "scheduler",
        &[
            "data", "digest", "eval", "fsx", "plan", "record", "spec", "store", "train",
        ],
    ),
    (
        "error",
        &[
            "claim",
            "data",
            "eval",
            "expr",
            "fsx",
            "human",
            "interop",
            "plan",
            "record",
            "remote",
            "report",
            "scheduler",
            "spec",
            "store",
            "train",
        ],
    ),
];

fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path
                    .strip_prefix(&root)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .replace('\\', "/");
                files.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

/// Whether a file holds only tests.
fn is_test(file: &str) -> bool {
    let parts = [
        "/tests/",
        "/tests.rs",
        "test_support",
        "scheduler/testing",
        "scheduler/faults",
    ];
    parts.iter().any(|part| file.contains(part))
}

/// The text above the test module.
fn without_tests(text: &str) -> &str {
    &text[..text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len())]
}

/// The code of a line, without its comment.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

/// Whether `code` names `word::` as a path's first part or in a `use`.
fn names_crate(code: &str, word: &str) -> bool {
    let path = format!("{word}::");
    code.match_indices(&path).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
    }) || code.trim_start().starts_with(&format!("use {word};"))
}

#[test]
fn crates_are_named_only_behind_their_module() {
    let mut breaches = Vec::new();
    for (file, text) in sources() {
        if is_test(&file) {
            continue;
        }
        for (number, line) in without_tests(&text).lines().enumerate() {
            for (name, places) in CRATES {
                if names_crate(code(line), name)
                    && !places.iter().any(|place| file.starts_with(place))
                {
                    breaches.push(format!(
                        "src/{file}:{} names `{name}`; only {places:?} may",
                        number + 1
                    ));
                }
            }
        }
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

#[test]
fn modules_use_only_what_lies_below_them() {
    let known: BTreeSet<&str> = MODULES.iter().map(|(module, _)| *module).collect();
    let mut breaches = Vec::new();
    for (file, text) in sources() {
        let module = file.split(['/', '.']).next().unwrap_or_default().to_owned();
        let Some((_, allowed)) = MODULES.iter().find(|(name, _)| *name == module) else {
            continue;
        };
        if is_test(&file) {
            continue;
        }
        for (number, line) in without_tests(&text).lines().enumerate() {
            for (at, _) in code(line).match_indices("crate::") {
                let used: String = code(line)[at + 7..]
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                if known.contains(used.as_str())
                    && used != module
                    && !allowed.contains(&used.as_str())
                {
                    breaches.push(format!(
                        "src/{file}:{}: `{module}` must not use `{used}`",
                        number + 1
                    ));
                }
            }
        }
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

#[test]
fn unsafe_stands_only_where_it_must() {
    let mut breaches = Vec::new();
    for (file, text) in sources() {
        let allowed =
            file == "train/engine/fused/view.rs" || file.starts_with("train/engine/cuda/");
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let words: Vec<&str> = code(line)
                .split(|c: char| !(c.is_alphanumeric() || c == '_'))
                .collect();
            if !words.contains(&"unsafe") {
                continue;
            }
            if !allowed {
                breaches.push(format!(
                    "src/{file}:{}: `unsafe` outside the crate of kernels, the view of tensors and CUDA",
                    number + 1
                ));
            }
        }
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}
