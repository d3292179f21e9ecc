//! Made-up specs and results: three runs like epoch frenzy, and grids.

use crate::claim::{Judged, Verdict};
use crate::digest::Sha256Hex;
use crate::record::*;
use crate::rng::{Purpose, Stream};
use crate::spec::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// All inputs of a report.
pub(crate) struct Fixture {
    pub(crate) spec: Spec,
    pub(crate) results: Results,
    pub(crate) claims: Vec<Judged>,
}

pub(crate) fn settings() -> Settings {
    serde_json::from_value(json!({
        "data": {
            "corpus": {"documents": {"version": 1}},
            "tokenizer": {"train_bpe": {"vocab_size": 2048}},
            "train": 2500, "validation": 100
        },
        "model": {"dim": 128, "n_layers": 2, "n_heads": 4, "max_seq_len": 64},
        "train": {
            "batch_size": 10,
            "optimizer": {"adamw": {"learning_rate": 0.001}},
            "validate": {"every": "epoch"}
        },
        "eval": {"samples": {"prompts": ["Once upon a time"], "max_new_tokens": 64, "temperature": 0.8, "top_p": 0.95, "seed": 1}}
    }))
    .unwrap()
}

/// The shape of a made-up run.
pub(crate) struct Shape {
    pub(crate) name: String,
    pub(crate) group: String,
    pub(crate) axes: Vec<(String, Value)>,
    pub(crate) seed: u64,
    pub(crate) steps: u64,
    pub(crate) epochs: f64,
    pub(crate) validate_every: u64,
    pub(crate) floor: f64,
    /// The increase of the validation loss after its minimum.
    pub(crate) rise: f64,
}

pub(crate) fn run(shape: &Shape) -> RunResult {
    let key = json!({
        "recipe": 1,
        "model": {"arch": "llama", "dim": 128, "n_layers": 2},
        "train": {"epochs": shape.epochs, "batch_size": 10, "seed": shape.seed},
        "data": {"train": {"take": shape.steps * 10}},
        "axes": shape.axes.iter().cloned().collect::<BTreeMap<_, _>>(),
    });
    let noise = Stream::new(
        shape.seed,
        Purpose::Corpus,
        shape.steps + shape.axes.len() as u64,
    );
    let series: Vec<MetricPoint> = (1..=shape.steps)
        .map(|step| {
            let part = step as f64 / shape.steps as f64;
            let drop = 1.0 / (1.0 + 12.0 * part);
            let jitter = 0.25 * (noise.uniform(step) - 0.5);
            let train = shape.floor + (7.6 - shape.floor) * drop + jitter * drop.sqrt();
            let val = 4.2 + 3.4 * drop + shape.rise * (part - 0.15).max(0.0) + 0.3 * jitter * drop;
            let is_due = step % shape.validate_every == 0 || step == shape.steps;
            MetricPoint {
                step,
                epoch: shape.epochs * part,
                tokens: step * 630,
                train_loss: train,
                train_ce: train,
                train_square: 0.0,
                val_loss: is_due.then_some(val),
                val_ce: is_due.then_some(val),
                val_loss_batch_mean: is_due.then_some(val + 0.004),
                lr: 0.001,
                grad_norm: 0.4 + drop,
            }
        })
        .collect();
    let last = series.last().unwrap().clone();
    let metrics: BTreeMap<String, f64> = [
        ("train_loss".to_owned(), last.train_loss),
        ("val_loss".to_owned(), last.val_loss.unwrap()),
        ("val_loss_min".to_owned(), 4.1 + 0.1 * noise.uniform(0)),
    ]
    .into();
    let eval = eval(shape, last.val_loss.unwrap(), &noise);
    let mut all = metrics.clone();
    all.extend(eval.metrics.clone());
    let id = RunId(Sha256Hex::of(key.to_string().as_bytes()));
    RunResult {
        id,
        name: shape.name.clone(),
        group: shape.group.clone(),
        axes: shape.axes.clone(),
        seed: shape.seed,
        estimate: Estimate {
            params: 918_656,
            steps: shape.steps,
            tokens: shape.steps * 640,
            flops: 3.4e12,
            peak_rss_bytes: 212_000_000,
            disk_bytes: 3_900_000,
            seconds: Some(21.5),
        },
        status: RunStatus::Cached,
        record: Some(record(shape, id, &key, &metrics)),
        key,
        metrics: all,
        series,
        eval: Some(eval),
        document_tokens: (0..250)
            .map(|i| (20.0 + 2000.0 * noise.uniform(5000 + i).powi(3)) as u32)
            .collect(),
    }
}

fn record(shape: &Shape, id: RunId, key: &Value, metrics: &BTreeMap<String, f64>) -> RunRecord {
    RunRecord {
        format: RECORD_FORMAT,
        id,
        name: "trained-elsewhere".into(),
        spec: "another-spec".into(),
        status: RunStatus::Cached,
        key: key.clone(),
        numerics: Numerics {
            engine: "cpu-fused".into(),
            recipe: 1,
            isa: "x86_64+avx512".into(),
            dtype: "f32".into(),
        },
        counts: Counts {
            params: 918_656,
            steps: shape.steps,
            tokens: shape.steps * 630,
            docs: shape.steps * 10,
            sequences: shape.steps * 10,
        },
        metrics: metrics.clone(),
        digests: Digests {
            weights: Some(Sha256Hex::of(shape.name.as_bytes())),
            metrics: Sha256Hex::of(b"metrics"),
            tokenizer: Sha256Hex::of(b"tokenizer"),
            ids: None,
        },
        files: BTreeMap::from([(
            "timing.jsonl".to_owned(),
            FileEntry {
                bytes: 12,
                sha256: Sha256Hex::of(b"t"),
            },
        )]),
        notes: Vec::new(),
        failure: None,
        timing: Timing {
            train_seconds: 20.25,
            ..Timing::default()
        },
        provenance: Provenance {
            specbook: "0.1.0".into(),
            device: "cpu".into(),
            threads: 2,
            platform: "linux".into(),
        },
    }
}

fn eval(shape: &Shape, val_loss: f64, noise: &Stream) -> EvalResult {
    const TEXTS: [&str; 4] = [
        "Lily found a small red boat by the river and asked her brother to help her mend it.",
        "fn main() { let total: u64 = (1..=10).sum(); println!(\"{total}\"); }",
        "| item | price |\n| ---- | ----- |\n| rope | 3.20 |",
        "Dear Mr. Ellery, thank you for your letter of the 4th; the parcel has not arrived.",
    ];
    let documents: Vec<DocumentScore> = (0..100)
        .map(|document| {
            let tokens = 40 + (noise.uniform(900 + document) * 60.0) as u64;
            let mean = val_loss + 1.6 * (noise.uniform(300 + document) - 0.5);
            DocumentScore {
                document: document as usize,
                tokens,
                nll: mean * tokens as f64,
                perplexity: libm::exp(mean),
                hits: Some(tokens / 4),
                excerpt: format!("{} ({document})", TEXTS[document as usize % 4]),
            }
        })
        .collect();
    EvalResult {
        format: 1,
        metrics: BTreeMap::from([
            ("perplexity".to_owned(), libm::exp(val_loss)),
            ("bits_per_byte".to_owned(), val_loss / 2.4),
            ("accuracy".to_owned(), 0.5 - val_loss / 30.0),
        ]),
        documents,
        validation: Vec::new(),
        samples: vec![
            Sample {
                prompt: "Once upon a time".into(),
                continuation: format!(
                    ", there was a girl who lived near the {} and wanted to learn how the clock worked. She asked \"Why?\" every day.",
                    shape.name
                ),
                new_tokens: 64,
                ended: false,
            },
            Sample {
                prompt: "def sum(a, b):\n\tc = a + b".into(),
                continuation: "\n\treturn c\n\nprint(sum(1, 2))".into(),
                new_tokens: 14,
                ended: true,
            },
        ],
    }
}

pub(crate) fn spec(name: &str, runs: &[RunResult], axes: Vec<Axis>, cells: Vec<Cell>) -> Spec {
    Spec {
        profiles: vec!["desk".to_owned()],
        path: format!("specs/{name}.yaml").into(),
        digest: Sha256Hex::of(name.as_bytes()),
        text: "".into(),
        name: name.into(),
        title: "Epoch frenzy: many passes over little text, or one pass over much?".into(),
        source: Source {
            study: "CSE 493S/599S HW2, 2023".into(),
            section: "3.1".into(),
        },
        summary: "Three runs see the same number of training documents: 25 documents a hundred times, 250 ten times, and 2,500 once. *Which learns the most that is true of other text?*".into(),
        finding: None,
        labels: BTreeMap::new(),
        bibliography: String::new(),
        theme: BTreeMap::new(),
        profile: "desk".into(),
        overrides: Vec::new(),
        axes,
        runs: runs
            .iter()
            .map(|run| SpecRun {
                name: run.name.clone(),
                axes: run.axes.clone(),
                settings: settings().into(),
            })
            .collect(),
        claims: Vec::new(),
        cells: cells
            .into_iter()
            .enumerate()
            .map(|(index, value)| Located {
                value,
                line: 50 + 2 * index,
            })
            .collect(),
        run_names: RunNames::default(),
    }
}

pub(crate) fn cells(json: Value) -> Vec<Cell> {
    serde_json::from_value(json).unwrap()
}

/// Three runs like epoch frenzy.
pub(crate) fn three_runs() -> Fixture {
    let shape = |case: &str, steps, epochs, every, floor, rise| Shape {
        name: case.into(),
        group: case.into(),
        axes: vec![("case".into(), case.into())],
        seed: 0,
        steps,
        epochs,
        validate_every: every,
        floor,
        rise,
    };
    let runs = vec![
        run(&shape("25x100", 300, 100.0, 3, -0.6, 3.2)),
        run(&shape("250x10", 250, 10.0, 25, 2.4, 0.6)),
        run(&shape("2500x1", 250, 1.0, 10, 3.6, -0.1)),
    ];
    let values = vec!["25x100".into(), "250x10".into(), "2500x1".into()];
    let axes = vec![Axis {
        name: "case".into(),
        values,
    }];
    let mut spec = spec("epoch-frenzy", &runs, axes, cells(three_cells()));
    spec.claims = claims();
    Fixture {
        results: Results {
            spec: "epoch-frenzy".into(),
            profile: "desk".into(),
            runs,
        },
        claims: judged(&spec.claims),
        spec,
    }
}

fn three_cells() -> Value {
    json!([
        {"text": "## What happens\n\nWith 25 documents the model learns them **by heart**: its training loss falls to {{ run('25x100').train_loss | round(2) }} while the validation loss rises again, to {{ run('25x100').val_loss | round(2) }}. One pass over 2,500 documents keeps both curves together.\n\n- equal budgets: 25 · 100 = 250 · 10 = 2500 · 1\n- `validate` differs between the runs, as in the study"},
        {"plot": {"curves": ["train/loss", "val/loss"], "x": "epoch", "panels": "case", "smooth": 9,
            "published": [{"label": "published validation loss", "panel": "2500x1", "points": [[0.004, 10.188], [0.04, 7.858], [0.1, 7.577], [0.2, 7.304], [0.4, 6.942], [0.6, 6.668], [0.8, 6.549], [1.0, 6.394]]}],
            "caption": "Training and validation loss of the three runs. Note the different numbers of epochs."}},
        {"table": {"rows": "case", "columns": ["train_loss", "val_loss", "val_loss_min", "perplexity", "accuracy", "steps"], "published": {"2500x1": "6.394"}}},
        {"claims": "all"},
        {"samples": {"runs": "all"}},
        {"perplexity": {"runs": "all"}},
        {"histogram": {"of": "document_tokens", "log": ["x"]}},
        {"plot": {"curves": ["val/loss"], "x": "tokens", "colours": "case", "log": ["x"]}},
        {"plan": "all"}
    ])
}

fn claims() -> Vec<Claim> {
    serde_json::from_value(json!([
        {"id": "EF-1", "says": "Documents times epochs is the same for all runs.", "where": "3.1", "published": {"value": "25·100 = 250·10 = 2500·1", "mark": "printed"}, "measure": "spread(docs * epochs)", "expect": {"equals": 0.0}},
        {"id": "EF-3", "type": "order", "says": "The final validation loss falls when more documents are each seen less often.", "where": "figure 3", "published": {"value": "2500x1 < 250x10 < 25x100", "mark": "printed"}, "measure": "min(run('25x100').val_loss - run('250x10').val_loss, run('250x10').val_loss - run('2500x1').val_loss)", "expect": {"above": 0.1}},
        {"id": "EF-10", "says": "One pass over 2,500 documents ends at this validation loss.", "where": "stored output", "published": {"value": "6.394", "mark": "stored_output"}, "measure": "run('2500x1').val_loss", "expect": {"within": [6.394, 0.15]}, "needs": {"profiles": ["paper"]}},
        {"id": "EF-11", "says": "The third run is slower only because it is validated more often.", "where": "3.1", "note": "Time is shown in `timing.json` only."},
        {"id": "EF-6", "says": "The highest validation loss of 250x10 lies below the lowest of 25x100.", "where": "3.1", "measure": "run('25x100').val_loss_min - run('250x10').val_loss_max", "expect": {"above": 0.0}},
        {"id": "D-3", "says": "Test loss and perplexity of the cross-entropy model agree.", "where": "table 1", "published": {"value": "1.826 and 3.8", "mark": "printed"}, "inconsistent": "exp(1.826) is 6.21, not 3.8"}
    ]))
    .unwrap()
}

fn judged(claims: &[Claim]) -> Vec<Judged> {
    use Verdict::*;
    let outcomes = [
        ("EF-1", Holds, Some(0.0), Some(0.0), ""),
        (
            "EF-3",
            Inconclusive,
            Some(0.64213),
            Some(0.54213),
            "too few seeds",
        ),
        (
            "EF-10",
            NotCheckableHere,
            None,
            None,
            "needs the profile paper",
        ),
        ("EF-11", NotCheckableHere, None, None, "needs a reader"),
        ("EF-6", Fails, Some(-0.8731), Some(-0.8731), ""),
        (
            "D-3",
            SourceInconsistent,
            None,
            None,
            "exp(1.826) is 6.21, not 3.8",
        ),
    ];
    outcomes
        .into_iter()
        .zip(claims)
        .map(|((id, verdict, ours, margin, reason), claim)| Judged {
            id: id.into(),
            says: claim.says.clone(),
            place: claim.place.clone(),
            published: claim.published.clone(),
            measure: claim.measure.clone(),
            expect: claim.expect.map(|_| "above 0.1".to_owned()),
            ours,
            per_seed: ours.map(|ours| (0, ours)).into_iter().collect(),
            quantity: claim.quantity.clone(),
            unit: claim.unit.clone(),
            interval: None,
            intervals: Vec::new(),
            p: None,
            adjusted: None,
            noise: None,
            registered: None,
            margin,
            verdict,
            reason: reason.into(),
            note: claim.note.clone(),
            kind: claim.kind,
            test: claim.test,
            needs_reading: claim.needs.reading,
        })
        .collect()
}

/// A grid over dim, n_layers, n_heads and max_seq_len: 36 runs with one seed, or 12 settings with three.
pub(crate) fn grid(seeds: u64) -> Fixture {
    let lengths: &[u64] = if seeds > 1 { &[512] } else { &[32, 128, 512] };
    let mut runs = Vec::new();
    for dim in [128u64, 512] {
        for layers in [2u64, 8] {
            for heads in [2u64, 4, 8] {
                for length in lengths {
                    for seed in 0..seeds {
                        runs.push(run(&grid_shape(dim, layers, heads, *length, seed, seeds)));
                    }
                }
            }
        }
    }
    let axis = |name: &str, values: &[u64]| Axis {
        name: name.into(),
        values: values.iter().map(|value| json!(value)).collect(),
    };
    let mut axes = vec![
        axis("dim", &[128, 512]),
        axis("n_layers", &[2, 8]),
        axis("n_heads", &[2, 4, 8]),
        axis("max_seq_len", lengths),
    ];
    if seeds > 1 {
        axes.push(axis("seed", &(0..seeds).collect::<Vec<_>>()));
    }
    let cells = cells(json!([
        {"text": "## Four axes\n\nEach figure shows every run; the panels are one axis, the colours another."},
        {"plot": {"curves": ["train/loss", "val/loss"], "panels": "dim", "colours": "n_heads"}},
        {"plot": {"curves": ["val/loss"], "panels": "max_seq_len", "colours": "dim"}},
        {"plot": {"curves": ["val/loss"], "panels": "n_heads", "colours": "dim", "filter": {"n_layers": 2}}},
        {"plot": {"curves": ["train/loss"], "panels": "n_layers", "colours": "dim", "smooth": 15}},
        {"table": {"rows": "run", "columns": ["train_loss", "val_loss", "perplexity"], "sort": "val_loss"}},
        {"table": {"rows": "n_heads", "columns": ["val_loss"], "pivot": "dim"}},
        {"samples": {"runs": "all"}},
        {"perplexity": {"runs": "all"}},
        {"plan": "all"}
    ]));
    let spec = spec("grid-search", &runs, axes, cells);
    Fixture {
        results: Results {
            spec: "grid-search".into(),
            profile: "desk".into(),
            runs,
        },
        claims: Vec::new(),
        spec,
    }
}

fn grid_shape(dim: u64, layers: u64, heads: u64, length: u64, seed: u64, seeds: u64) -> Shape {
    let group = format!("dim={dim},n_layers={layers},n_heads={heads},max_seq_len={length}");
    let mut axes = vec![
        ("dim".to_owned(), json!(dim)),
        ("n_layers".to_owned(), json!(layers)),
        ("n_heads".to_owned(), json!(heads)),
        ("max_seq_len".to_owned(), json!(length)),
    ];
    let mut name = group.clone();
    if seeds > 1 {
        axes.push(("seed".to_owned(), json!(seed)));
        name = format!("{name},seed={seed}");
    }
    Shape {
        name,
        group,
        axes,
        seed: seed * 1000 + dim + layers * 7 + heads * 3 + length,
        steps: 157,
        epochs: 1.0,
        validate_every: 1,
        floor: 4.6 - dim as f64 / 700.0,
        rise: -(heads as f64) / 20.0 - dim as f64 / 1500.0,
    }
}
