//! `specbook diff`: two stored runs beside each other.

use super::args::{DiffArgs, Global};
use super::failure::Failure;
use super::print::{self, Printer};
use super::{exit, workspace};
use crate::plan::changes;
use crate::record::{MetricPoint, RunRecord, RunStatus, Sample};
use crate::store::Store;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Prints what differs: settings, metrics, the first step at which the curves part, samples.
pub(crate) fn execute(args: &DiffArgs, global: &Global, printer: Printer) -> Result<u8, Failure> {
    let store = workspace::store_here(global)?;
    let a = Side::open(&store, &args.a)?;
    let b = Side::open(&store, &args.b)?;
    let settings = changes(&a.record.key, &b.record.key);
    let first_difference = a
        .points
        .iter()
        .zip(&b.points)
        .find(|(a, b)| a != b)
        .map(|(a, _)| a.step);
    let first_difference = first_difference.or_else(|| {
        (a.points.len() != b.points.len()).then(|| a.points.len().min(b.points.len()) as u64 + 1)
    });
    if printer.json() {
        printer.json_result(&json!({
            "format": 1,
            "a": {"id": a.record.id, "name": a.record.name, "spec": a.record.spec},
            "b": {"id": b.record.id, "name": b.record.name, "spec": b.record.spec},
            "same_weights": a.record.digests.weights == b.record.digests.weights,
            "same_engine": a.record.numerics == b.record.numerics,
            "settings": settings,
            "metrics": metrics(&a.record, &b.record).into_iter().map(|(name, a, b)| json!({"name": name, "a": a, "b": b})).collect::<Vec<Value>>(),
            "first_differing_step": first_difference,
            "samples": samples(&a.samples, &b.samples),
        }))?;
        return Ok(exit::OK);
    }
    printer.result(&format!(
        "a: {}/{} ({})\nb: {}/{} ({})",
        a.record.spec,
        a.record.name,
        a.record.id.0.short(),
        b.record.spec,
        b.record.name,
        b.record.id.0.short()
    ));
    if a.record.numerics != b.record.numerics {
        printer.note(&format!(
            "computed differently: {} and {}; their bits are not comparable",
            a.record.numerics.engine, b.record.numerics.engine
        ));
    }
    let lines: Vec<String> = settings
        .iter()
        .map(|change| format!("  {change}"))
        .collect();
    printer.result(&format!(
        "\nsettings: {}\n{}",
        if lines.is_empty() { "equal" } else { "a → b" },
        lines.join("\n")
    ));
    let rows: Vec<Vec<String>> = metrics(&a.record, &b.record)
        .into_iter()
        .map(|(name, a, b)| {
            let show = |value: Option<f64>| {
                value.map_or_else(|| "–".to_owned(), |value| format!("{value:.4}"))
            };
            let difference = a.zip(b).map(|(a, b)| b - a);
            vec![
                name,
                show(a),
                show(b),
                difference.map_or_else(|| "–".to_owned(), |difference| format!("{difference:+.4}")),
            ]
        })
        .collect();
    printer.result(&format!(
        "\n{}",
        print::table(&["metric", "a", "b", "b − a"], &rows)
    ));
    printer.result(&match first_difference {
        None => "\ncurves: equal bit for bit".to_owned(),
        Some(step) => format!("\ncurves: first differ at step {step}"),
    });
    printer.result(&format!(
        "weights: {}",
        if a.record.digests.weights == b.record.digests.weights {
            "equal bit for bit"
        } else {
            "differ"
        }
    ));
    for pair in samples(&a.samples, &b.samples) {
        let text = |side: &str| pair[side].as_str().unwrap_or("–").to_owned();
        printer.result(&format!(
            "\nprompt: {}\n  a: {}\n  b: {}",
            text("prompt"),
            text("a"),
            text("b")
        ));
    }
    Ok(exit::OK)
}

struct Side {
    record: RunRecord,
    points: Vec<MetricPoint>,
    samples: Vec<Sample>,
}

impl Side {
    fn open(store: &Store, name: &str) -> Result<Self, Failure> {
        let id = store.resolve(name)?;
        match store.record(&id)? {
            Some(record) if record.status == RunStatus::Cached => {
                let samples = super::eval::stored(store, &id)?
                    .map(|eval| eval.samples)
                    .unwrap_or_default();
                Ok(Self {
                    points: store.metrics(&id)?,
                    record,
                    samples,
                })
            }
            _ => Err(Failure::input(format!("run `{name}` is not finished"))),
        }
    }
}

fn metrics(a: &RunRecord, b: &RunRecord) -> Vec<(String, Option<f64>, Option<f64>)> {
    let names: BTreeSet<&String> = a.metrics.keys().chain(b.metrics.keys()).collect();
    names
        .into_iter()
        .map(|name| {
            (
                name.clone(),
                a.metrics.get(name).copied(),
                b.metrics.get(name).copied(),
            )
        })
        .collect()
}

fn samples(a: &[Sample], b: &[Sample]) -> Vec<Value> {
    a.iter()
        .filter_map(|sample| {
            let other = b.iter().find(|other| other.prompt == sample.prompt)?;
            Some(
                json!({"prompt": sample.prompt, "a": sample.continuation, "b": other.continuation}),
            )
        })
        .collect()
}
