//! The same bits for any number of threads and jobs, with concurrent runs and interruptions.

use crate::project::{Project, TINY};
use specbook::internals::scheduler::Event;
use specbook::internals::{plan, spec};
use specbook::{
    DataContext, DeviceKind, Engine, LoadRequest, Options, Plan, RealFs, Scheduler, Silent, Store,
    Workload, open_engine,
};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// Every loss, with both models; dropout if the model has it.
const MODELS: [&str; 2] = [
    "{arch: llama, dim: 32, n_layers: 2, n_heads: 4, n_kv_heads: 2, max_seq_len: 24}",
    "{arch: gpt2, dim: 32, n_layers: 2, n_heads: 4, max_seq_len: 24, dropout: 0.2}",
];

const LOSSES: [&str; 6] = [
    "cross_entropy",
    "{square: {k: 1, m: 1}}",
    "{square: {k: 15, m: 30}}",
    "{square_softmax: {w: 100}}",
    "squentropy",
    "{squentropy_capstone: {w: {per_50304: 65}}}",
];

/// Six runs of one model, six steps each.
fn sweep(model: &str) -> Plan {
    let text = format!(
        "specbook: 1
name: bits
title: Bits
base:
  data: {{corpus: {{stories: {{version: 1}}}}, tokenizer: {{train_bpe: {{vocab_size: 300}}}}, train: 11, validation: 3}}
  model: {model}
  train:
    batch_size: 2
    grad_accum_steps: 2
    epochs: 2
    grad_clip: 1.0
    keep: both
    optimizer: {{adamw: {{learning_rate: 3e-3, decay: matrices}}}}
    schedule: {{cosine: {{warmup_steps: 2, decay_steps: 6, min_lr: 1e-4}}}}
    validate: {{every: {{steps: 2}}}}
  eval:
    perplexity: {{documents: 3}}
    samples: {{prompts: [Once, \"One day\"], max_new_tokens: 8, temperature: 0.8, top_p: 0.95, seed: 1}}
vary:
  train.loss: [{}]
cells:
  - plan: all
",
        LOSSES.join(", ")
    );
    let spec = spec::parse(&text, Path::new("bits.yaml"), &LoadRequest::default())
        .unwrap_or_else(|error| panic!("{error}"));
    plan::expand(&spec, &DataContext::default()).unwrap()
}

fn options(jobs: usize, threads: usize) -> Options {
    Options {
        jobs,
        threads,
        checkpoint_every: Duration::ZERO,
        checkpoint_share: f64::INFINITY,
        ..Options::default()
    }
}

/// Runs the plan in a separate store; optionally, every run is interrupted every second step and resumed.
fn digests(
    engine: &dyn Engine,
    plan: &Plan,
    options: Options,
    is_interrupted: bool,
) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Arc::new(RealFs::without_sync()));
    let context = DataContext::default();
    let scheduler = Scheduler {
        store: &store,
        engine,
        options,
    };
    loop {
        let workload = Workload::new(&store, engine, &context);
        let (stop, steps) = (AtomicBool::new(false), AtomicUsize::new(0));
        let events = |event: Event<'_>| {
            if is_interrupted
                && matches!(event, Event::Step { .. })
                && steps.fetch_add(1, Ordering::SeqCst) == 1
            {
                stop.store(true, Ordering::SeqCst);
            }
        };
        let summary = match is_interrupted {
            true => scheduler.run(plan, &workload, &events, &stop),
            false => scheduler.run(plan, &workload, &Silent, &stop),
        };
        let summary = summary.unwrap();
        assert_eq!(summary.failed, []);
        if summary.is_complete() {
            break;
        }
    }
    let mut found = Vec::new();
    for run in &plan.runs {
        let record = store.record(&run.id).unwrap().unwrap();
        let eval = store.eval(&run.eval_id).unwrap().unwrap();
        let best = store.best_weights(&run.id).unwrap();
        let mut put =
            |what: &str, digest: String| found.push(format!("{} {what}: {digest}", run.name));
        put("weights", record.digests.weights.unwrap().to_string());
        put("metrics", record.digests.metrics.to_string());
        put("best weights", best.digest().to_string());
        put("samples", format!("{:?}", eval.samples));
        put("scores", format!("{:?} {:?}", eval.metrics, eval.documents));
    }
    found
}

fn compare(expected: &[String], now: &[String], how: &str) -> usize {
    assert_eq!(expected.len(), now.len());
    for (a, b) in expected.iter().zip(now) {
        assert_eq!(a, b, "{how}");
    }
    now.len()
}

#[test]
fn nothing_changes_a_bit() {
    let engine = open_engine(DeviceKind::Cpu).unwrap();
    let plans = MODELS.map(sweep);
    let mut compared = 0;
    let expected = plans.each_ref().map(|plan| {
        let digests = digests(engine.as_ref(), plan, options(1, 1), false);
        let different: std::collections::BTreeSet<_> = digests.iter().collect();
        assert_eq!(different.len(), 5 * LOSSES.len());
        digests
    });
    for (plan, expected) in plans.iter().zip(&expected) {
        for (jobs, threads) in [(1, 2), (1, 3), (1, 8), (2, 2), (4, 8)] {
            let now = digests(engine.as_ref(), plan, options(jobs, threads), false);
            let how = format!("{jobs} jobs, {threads} threads");
            compared += compare(expected, &now, &how);
        }
        let now = digests(engine.as_ref(), plan, options(1, 3), true);
        compared += compare(expected, &now, "stopped every other step");
    }
    // Both models at once in one process, one of them interrupted.
    let both = std::thread::scope(|scope| {
        let start = |index: usize| {
            let (engine, plan) = (engine.as_ref(), &plans[index]);
            scope.spawn(move || digests(engine, plan, options(2, 3), index == 1))
        };
        [start(0), start(1)].map(|thread| thread.join().unwrap())
    });
    for (expected, now) in expected.iter().zip(&both) {
        compared += compare(expected, now, "two models at once");
    }
    println!("{compared} digests compared");
    assert_eq!(compared, 14 * 5 * LOSSES.len());
}

/// Why the validation interval is in the key: it determines the recorded curve, and nothing else.
#[test]
fn another_interval_is_another_run_with_the_same_weights() {
    let project = Project::new();
    project.write("specs/tiny.yaml", TINY);
    let record = |sets: &[&str]| {
        let run = ["run", "specs/tiny.yaml", "--no-report"];
        project.run(&[&run, sets].concat()).success();
        let plan = ["plan", "specs/tiny.yaml", "--format", "json"];
        let plan = project.run(&[&plan, sets].concat()).success().json();
        let id = plan[0]["runs"][0]["id"].as_str().unwrap().to_owned();
        let shown = project.run(&["show", &id, "--format", "json"]).success();
        (id, shown.json()["digests"].clone())
    };
    let (id, digests) = record(&[]);
    let interval: &[&str] = &["--set", "train.validate={every: end}"];
    let fewer: &[&str] = &[
        "--set",
        "data.validation={skip: 0, take: 3}",
        "--set",
        "data.train={skip: 4, take: 20}",
        "--set",
        "eval.perplexity.documents=3",
    ];
    for sets in [interval, fewer] {
        let (other, others) = record(sets);
        assert_ne!(id, other, "{sets:?}");
        assert_eq!(digests["weights"], others["weights"], "{sets:?}");
        assert_ne!(digests["metrics"], others["metrics"], "{sets:?}");
    }
}
