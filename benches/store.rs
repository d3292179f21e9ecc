//! Measures commands on full stores: `cargo bench --bench store [-- RUNS…]` (default: 36, 1,000 and 10,000 runs).
//!
//! The records are those of the fake engine, published through the scheduler like any other; the commands are separate
//! processes, timed from start to end, of a copy of the program as made by `cargo install` (a file just written by the
//! linker is in memory in small pieces, which costs a program of a few milliseconds a sixth of its time). It prints the
//! smallest of seven times and its limit, and the peak resident memory of the command with its limit at 10,000 runs;
//! the allowed growth from 1,000 runs is in the last column. A number beyond its limit is marked with `!`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a bench prints, and stops where something is missing"
)]

use specbook::DataContext;
use specbook::internals::data::{self, SequenceSet, TrainingData};
use specbook::internals::digest::Sha256Hex;
use specbook::internals::plan;
use specbook::internals::record::{DocumentScore, EvalResult};
use specbook::internals::scheduler::{Evaluation, Prepared, Work, WorkError};
use specbook::internals::spec;
use specbook::internals::store::Manifest;
use specbook::internals::train::Weights;
use specbook::{FakeEngine, LoadRequest, Options, RealFs, Run, Scheduler, Silent, Store};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

/// As many documents as in the shipped specs, some of which each run uses.
const SPEC: &str = "specbook: 1
name: many
title: \"Many runs\"
base:
  data:
    corpus: {stories: {version: 1}}
    tokenizer: {train_bpe: {vocab_size: 300}}
    train: 2500
    validation: 2
  model: {dim: 16, n_layers: 1, n_heads: 2, max_seq_len: 16}
  train:
    batch_size: 2
    max_steps: 3
    optimizer: {adamw: {learning_rate: 1e-3}}
    validate: {every: epoch}
  eval:
    perplexity: {documents: 2}
seeds: [";

/// Four sequences and a score.
struct Small;

impl Work for Small {
    fn prepare(&self, _: &Run) -> Result<Arc<Prepared>, WorkError> {
        let mut set = SequenceSet::new();
        (0..4).for_each(|start| set.push(&[start, 1, 2], &[1, 2, 3]));
        Ok(Arc::new(Prepared {
            validation: set.clone(),
            training: TrainingData::Sequences(set),
            docs: 4,
            sequences: 4,
            tokenizer: Sha256Hex::of(b"tokenizer"),
            notes: Vec::new(),
            warnings: Vec::new(),
            ids: Sha256Hex::of(b"ids"),
        }))
    }

    fn evaluate(&self, run: &Run, _: &Weights, _: usize) -> Result<Option<Evaluation>, WorkError> {
        let mut result = EvalResult {
            format: 1,
            ..EvalResult::default()
        };
        result.metrics.insert("perplexity".to_owned(), 5.0);
        result.documents.push(DocumentScore {
            document: 0,
            tokens: 3,
            nll: 1.5,
            perplexity: 1.6,
            hits: Some(1),
            excerpt: "Once".to_owned(),
        });
        let key = serde_json::json!({"run": run.id});
        Ok(Some(Evaluation { key, result }))
    }

    fn has_evaluation(&self, _: &Run) -> bool {
        true
    }
}

/// The argument with which this program measures a single command (a process knows only the peak of all its children).
const ONE: &str = "--one";

/// The measured copy of the program.
static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| {
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("specbook");
    std::fs::copy(env!("CARGO_BIN_EXE_specbook"), &copy).unwrap();
    copy
});

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == ONE) {
        return one(&arguments[1..]);
    }
    let numbers: Vec<usize> = arguments
        .iter()
        .filter_map(|text| text.parse().ok())
        .collect();
    let numbers = if numbers.is_empty() {
        vec![36, 1000, 10_000]
    } else {
        numbers
    };
    println!("| runs | command | ms | limit | MiB | KiB a run |");
    println!("|---|---|---|---|---|---|");
    shipped();
    let mut least = BTreeMap::new();
    for runs in numbers {
        measure(runs, &mut least);
    }
}

/// `check` of this repository's specs.
fn shipped() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut specs: Vec<String> = std::fs::read_dir(root.join("specs"))
        .unwrap()
        .map(|entry| format!("specs/{}", entry.unwrap().file_name().to_string_lossy()))
        .collect();
    specs.sort();
    for spec in specs {
        let (time, _) = best(root, &["check", &spec]);
        let milliseconds = time.as_secs_f64() * 1e3;
        println!(
            "| | check {spec} | {milliseconds:.1}{} | 5 | | |",
            mark(milliseconds, 5)
        );
    }
}

fn mark(milliseconds: f64, limit: u64) -> &'static str {
    if milliseconds > limit as f64 {
        " !"
    } else {
        ""
    }
}

fn measure(runs: usize, least: &mut BTreeMap<String, (usize, u64)>) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("specs")).unwrap();
    std::fs::create_dir_all(folder.path().join(".specbook")).unwrap();
    let seeds: Vec<String> = (0..runs).map(|seed| seed.to_string()).collect();
    let path = folder.path().join("specs/many.yaml");
    std::fs::write(&path, format!("{SPEC}{}]\n", seeds.join(", "))).unwrap();
    let began = Instant::now();
    fill(folder.path(), &path);
    eprintln!(
        "{runs} records made in {:.1} s",
        began.elapsed().as_secs_f64()
    );
    let limit = Some(if runs <= 36 { 10 } else { 300 });
    let spec = "specs/many.yaml";
    // Only missing runs, each compared with every finished one.
    let other = "model.norm_eps=1e-4";
    for (arguments, limit) in [
        (
            &["check", spec][..],
            if runs <= 36 { Some(5) } else { limit },
        ),
        (&["status", spec], limit),
        (&["ls"], limit),
        (&["ls", "--sort", "val_loss", "--format", "json"], limit),
        (&["plan", spec], limit),
        (&["plan", spec, "--format", "json"], limit),
        (&["run", spec, "--no-report"], limit),
        (&["plan", spec, "--set", other, "--format", "json"], None),
    ] {
        let (time, bytes) = best(folder.path(), arguments);
        let milliseconds = time.as_secs_f64() * 1e3;
        let name = arguments.join(" ");
        let growth = match least.get(&name) {
            Some((fewer, before)) => {
                let more = bytes.saturating_sub(*before) as f64 / 1024.0;
                format!("{:.1}", more / (runs - fewer).max(1) as f64)
            }
            None => String::new(),
        };
        println!(
            "| {runs} | {name} | {milliseconds:.1}{} | {} | {:.1} | {growth} |",
            limit.map_or("", |limit| mark(milliseconds, limit)),
            limit.map_or_else(String::new, |limit| limit.to_string()),
            bytes as f64 / f64::from(1 << 20)
        );
        least.entry(name).or_insert((runs, bytes));
    }
}

/// Publishes a record and an evaluation of every run of the spec.
fn fill(project: &Path, spec: &Path) {
    let root = project.join(".specbook");
    let store = Store::open(&root, Arc::new(RealFs::without_sync()));
    let spec = spec::load(spec, &LoadRequest::default()).unwrap();
    let context = DataContext {
        base: project.join("specs"),
        cache: Some(root.join("tokens-v1")),
        paranoid: false,
        ..DataContext::default()
    };
    // As after a real sweep: the lengths of all documents are known.
    data::document_lengths(&spec.runs[0].settings, &context, &mut Vec::new()).unwrap();
    let plan = plan::expand(&spec, &context).unwrap();
    store
        .put_plan(&Manifest::new(&plan, None, spec.digest, Vec::new()))
        .unwrap();
    let scheduler = Scheduler {
        store: &store,
        engine: &FakeEngine::default(),
        options: Options {
            jobs: 2,
            ..Options::default()
        },
    };
    let summary = scheduler
        .run(&plan, &Small, &Silent, &AtomicBool::new(false))
        .unwrap();
    assert!(summary.is_complete());
}

/// The smallest of seven times, and the peak resident memory.
fn best(folder: &Path, arguments: &[&str]) -> (Duration, u64) {
    let measured = (0..7).map(|_| time(folder, arguments));
    measured
        .reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
        .unwrap_or_default()
}

/// Runs the command through a small helper process, which knows its time and peak.
fn time(folder: &Path, arguments: &[&str]) -> (Duration, u64) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg(ONE).arg(&*PROGRAM).args(arguments);
    command.current_dir(folder);
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{arguments:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut numbers = text
        .split_whitespace()
        .map(|word| word.parse::<u64>().unwrap());
    let mut next = || numbers.next().unwrap();
    (Duration::from_nanos(next()), next())
}

/// Runs a program with its arguments; prints nanoseconds and bytes.
fn one(arguments: &[String]) {
    let [program, arguments @ ..] = arguments else {
        panic!("a program and its arguments");
    };
    let mut command = Command::new(program);
    command.args(arguments);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let began = Instant::now();
    let status = command.status().unwrap();
    let took = began.elapsed();
    assert!(status.success(), "{arguments:?}");
    println!("{} {}", took.as_nanos(), peak_of_children());
}

#[cfg(unix)]
fn peak_of_children() -> u64 {
    use nix::sys::resource::{UsageWho, getrusage};
    // Linux counts in KiB, macOS in bytes.
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    getrusage(UsageWho::RUSAGE_CHILDREN).map_or(0, |usage| usage.max_rss() as u64 * unit)
}

#[cfg(not(unix))]
fn peak_of_children() -> u64 {
    0
}
