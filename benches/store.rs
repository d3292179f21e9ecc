//! Measures commands on full stores: `cargo bench --bench store [-- RUNS…]` (default: 36 and 10,000 runs).
//!
//! The records are those of an engine without mathematics, published through the scheduler as any other; the commands are
//! processes of their own, timed from start to end. The smallest of five times is shown, the limit of DESIGN 9 beside it.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a bench prints, and stops where something is missing"
)]

use specbook::data::{DataContext, SequenceSet, TrainingData};
use specbook::digest::Sha256Hex;
use specbook::fsx::RealFs;
use specbook::plan::{self, Run};
use specbook::record::{DocumentScore, EvalResult};
use specbook::scheduler::{Evaluation, Options, Prepared, Scheduler, Silent, Work, WorkError};
use specbook::spec::{self, LoadRequest};
use specbook::store::{Manifest, Store};
use specbook::train::{FakeEngine, Weights};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

const SPEC: &str = "specbook: 1
name: many
title: \"Many runs\"
base:
  data:
    corpus: {stories: {version: 1}}
    tokenizer: {train_bpe: {vocab_size: 300}}
    train: 8
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
            excerpt: "Once".to_owned(),
        });
        let key = serde_json::json!({"run": run.id});
        Ok(Some(Evaluation { key, result }))
    }

    fn has_evaluation(&self, _: &Run) -> bool {
        true
    }
}

fn main() {
    let numbers: Vec<usize> = std::env::args()
        .skip(1)
        .filter_map(|text| text.parse().ok())
        .collect();
    let numbers = if numbers.is_empty() {
        vec![36, 10_000]
    } else {
        numbers
    };
    println!("| runs | command | ms | limit |");
    println!("|---|---|---|---|");
    for runs in numbers {
        measure(runs);
    }
}

fn measure(runs: usize) {
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
    let limit = if runs <= 36 { 10 } else { 300 };
    let spec = "specs/many.yaml";
    for (arguments, limit) in [
        (&["check", spec][..], 5),
        (&["status", spec], limit),
        (&["ls"], limit),
        (&["plan", spec], limit),
        (&["plan", spec, "--format", "json"], limit),
        (&["run", spec, "--no-report"], limit),
    ] {
        let best = (0..5)
            .map(|_| time(folder.path(), arguments))
            .min()
            .unwrap();
        let milliseconds = best.as_secs_f64() * 1e3;
        println!(
            "| {runs} | {} | {milliseconds:.1} | {limit} |",
            arguments.join(" ")
        );
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
    };
    let plan = plan::expand(&spec, &context).unwrap();
    store
        .put_plan(&Manifest::new(&plan, spec.digest, Vec::new()))
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

fn time(project: &Path, arguments: &[&str]) -> Duration {
    let mut command = Command::new(env!("CARGO_BIN_EXE_specbook"));
    command.args(arguments).current_dir(project);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let began = Instant::now();
    let status = command.status().unwrap();
    let took = began.elapsed();
    assert!(status.success(), "{arguments:?}");
    took
}
