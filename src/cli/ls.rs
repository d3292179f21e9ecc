//! `specbook ls`: the table of stored runs.

use super::args::{Format, Global, LsArgs};
use super::failure::Failure;
use super::plan::status_word;
use super::print::{self, Printer};
use super::{exit, workspace};
use crate::record::RunRecord;
use serde_json::{Value, json};
use std::cmp::Ordering;

/// Prints the runs that match, sorted, with the columns asked for.
pub(crate) fn execute(args: &LsArgs, global: &Global, printer: Printer) -> Result<u8, Failure> {
    let store = workspace::store_here(global)?;
    let mut records = store.list()?;
    let matches = |record: &RunRecord| {
        args.filter.is_empty()
            || args
                .filter
                .iter()
                .any(|text| format!("{}/{}", record.spec, record.name).contains(text.as_str()))
    };
    records.retain(matches);
    for column in args.columns.iter().chain([&args.sort]) {
        known_column(column, &records)?;
    }
    records.sort_by(|a, b| {
        compare(&cell(a, &args.sort), &cell(b, &args.sort))
            .then_with(|| (&a.spec, &a.name, a.id).cmp(&(&b.spec, &b.name, b.id)))
    });
    if args.reverse {
        records.reverse();
    }
    match printer.format {
        Format::Json => {
            let runs: Vec<Value> = records.iter().map(as_json).collect();
            printer.json_result(&json!({"format": 1, "runs": runs}))?;
        }
        Format::Csv => {
            let mut lines = vec![args.columns.join(",")];
            lines.extend(records.iter().map(|record| {
                let entries: Vec<String> = args
                    .columns
                    .iter()
                    .map(|column| csv_field(&plain(&cell(record, column))))
                    .collect();
                entries.join(",")
            }));
            printer.result(&lines.join("\n"));
        }
        Format::Text => {
            let header: Vec<&str> = args.columns.iter().map(String::as_str).collect();
            let rows: Vec<Vec<String>> = records
                .iter()
                .map(|record| {
                    args.columns
                        .iter()
                        .map(|column| shown(column, &cell(record, column)))
                        .collect()
                })
                .collect();
            printer.result(&print::table(&header, &rows));
            if records.is_empty() {
                printer.note("no runs are stored here; `specbook run SPEC` makes some");
            }
        }
    }
    Ok(exit::OK)
}

/// A record without the lists that only files need.
fn as_json(record: &RunRecord) -> Value {
    json!({
        "id": record.id, "name": record.name, "spec": record.spec, "status": record.status, "key": record.key,
        "numerics": record.numerics, "counts": record.counts, "metrics": record.metrics, "digests": record.digests,
    })
}

/// The value of a column: identity words, counts, metrics, then paths into the key.
fn cell(record: &RunRecord, column: &str) -> Value {
    match column {
        "id" => json!(record.id.0.short()),
        "spec" => json!(record.spec),
        "name" => json!(record.name),
        "status" => json!(status_word(record.status)),
        "engine" => json!(record.numerics.engine),
        "params" => json!(record.counts.params),
        "steps" => json!(record.counts.steps),
        "tokens" => json!(record.counts.tokens),
        "docs" => json!(record.counts.docs),
        "sequences" => json!(record.counts.sequences),
        "seconds" => json!(record.timing.train_seconds),
        "tokens_per_second" => json!(record.timing.train_tokens_per_second),
        _ => match metric_name(column, record) {
            Some(value) => json!(value),
            None => record
                .key
                .pointer(&format!("/{}", column.replace('.', "/")))
                .cloned()
                .unwrap_or(Value::Null),
        },
    }
}

/// A metric, also by its tag with a slash (`val/loss`).
fn metric_name(column: &str, record: &RunRecord) -> Option<f64> {
    record
        .metrics
        .get(column)
        .or_else(|| record.metrics.get(&column.replace('/', "_")))
        .copied()
}

fn known_column(column: &str, records: &[RunRecord]) -> Result<(), Failure> {
    if records.is_empty() || records.iter().any(|record| !cell(record, column).is_null()) {
        return Ok(());
    }
    let metrics: std::collections::BTreeSet<&str> = records
        .iter()
        .flat_map(|record| record.metrics.keys().map(String::as_str))
        .collect();
    let nearest = metrics
        .iter()
        .copied()
        .max_by(|a, b| strsim::jaro_winkler(a, column).total_cmp(&strsim::jaro_winkler(b, column)));
    let failure = Failure::usage(format!("no stored run has a column `{column}`"));
    Err(match nearest {
        Some(nearest) if strsim::jaro_winkler(nearest, column) > 0.8 => failure.hint(format!("did you mean `{nearest}`?")),
        _ => failure.hint("columns are id, spec, name, status, engine, params, steps, tokens, docs, sequences, seconds, metrics (`val_loss`) and settings (`model.dim`)"),
    })
}

fn compare(a: &Value, b: &Value) -> Ordering {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => plain(a).cmp(&plain(b)),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

fn shown(column: &str, value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::Number(number) if number.is_u64() && !column.contains('.') => {
            print::count(number.as_u64().unwrap_or_default())
        }
        Value::Number(number) if number.is_f64() && !column.contains('.') => {
            format!("{:.4}", number.as_f64().unwrap_or_default())
        }
        value => plain(value),
    }
}

/// A CSV field, quoted where needed (RFC 4180).
fn csv_field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
