//! `specbook show`: one stored run.

use super::args::{Global, ShowArgs};
use super::failure::Failure;
use super::print::{self, Printer};
use super::shared::status_word;
use super::{exit, project, terminal_plot};
use crate::human;
use crate::record::{MetricPoint, RunRecord, RunStatus};
use serde_json::Value;

/// Prints the record and, if requested, a curve.
pub(crate) fn execute(args: &ShowArgs, global: &Global, printer: Printer) -> Result<u8, Failure> {
    let store = project::store_here(global)?;
    let id = store.resolve(&args.run)?;
    let Some(record) = store.record(&id)? else {
        return Err(Failure::input(format!(
            "run `{}` has no finished record; it is {}",
            args.run,
            status_word(store.status(&id)?)
        )));
    };
    if printer.json() {
        printer.json_result(&record)?;
        return Ok(exit::OK);
    }
    printer.result(&text(&record));
    if record.status == RunStatus::Failed
        && let Some((path, tail)) = store.log_tail(&id, 20)?
    {
        printer.result(&format!("\nlog {}\n{tail}", path.display()));
    }
    if let Some(metric) = &args.plot {
        let points = store.metrics(&id)?;
        let curve: Vec<(f64, f64)> = points
            .iter()
            .filter_map(|point| point.value(metric).map(|value| (point.step as f64, value)))
            .collect();
        match terminal_plot::curve(&curve) {
            Some(drawn) => printer.result(&format!("\n{metric} by step\n{drawn}")),
            None => {
                return Err(
                    Failure::usage(format!("run `{}` has no curve `{metric}`", args.run))
                        .hint(format!("curves are: {}", MetricPoint::CURVES.join(", "))),
                );
            }
        }
    }
    Ok(exit::OK)
}

fn text(record: &RunRecord) -> String {
    let mut lines = vec![
        format!(
            "{}/{}  {}",
            record.spec,
            record.name,
            status_word(record.status)
        ),
        format!("id       {}", record.id),
    ];
    if let Some(failure) = &record.failure {
        lines.push(format!("failure  {}", failure.message));
    }
    let counts = &record.counts;
    lines.push(format!(
        "counts   {} parameters, {} steps, {} tokens, {} documents, {} sequences",
        human::count(counts.params),
        human::count(counts.steps),
        human::count(counts.tokens),
        human::count(counts.docs),
        human::count(counts.sequences)
    ));
    let numerics = &record.numerics;
    lines.push(format!(
        "numerics {}, recipe {}, {}, {}",
        numerics.engine, numerics.recipe, numerics.isa, numerics.dtype
    ));
    if let Some(weights) = &record.digests.weights {
        lines.push(format!(
            "digests  weights {}, metrics {}",
            weights.short(),
            record.digests.metrics.short()
        ));
    }
    let timing = &record.timing;
    lines.push(format!(
        "timing   {} training, {} validation, {} tokens/s, {} peak memory",
        human::seconds(timing.train_seconds),
        human::seconds(timing.validation_seconds),
        human::count(timing.train_tokens_per_second as u64),
        human::bytes(timing.peak_rss_bytes)
    ));
    lines.push("\nmetrics".to_owned());
    let rows: Vec<Vec<String>> = record
        .metrics
        .iter()
        .map(|(name, value)| vec![format!("  {name}"), format!("{value:.6}")])
        .collect();
    lines.extend(
        print::table(&["", ""], &rows)
            .lines()
            .skip(1)
            .map(str::to_owned),
    );
    lines.push("\nsettings".to_owned());
    settings("  ", &record.key, &mut lines);
    lines.join("\n")
}

/// The key as indented lines.
fn settings(indent: &str, value: &Value, lines: &mut Vec<String>) {
    let Value::Object(map) = value else { return };
    for (name, value) in map {
        match value {
            Value::Object(inner) if inner.values().any(Value::is_object) || indent.len() == 2 => {
                lines.push(format!("{indent}{name}:"));
                settings(&format!("{indent}  "), value, lines);
            }
            Value::String(text) => lines.push(format!("{indent}{name}: {text}")),
            value => lines.push(format!("{indent}{name}: {value}")),
        }
    }
}
