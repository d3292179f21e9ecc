//! `specbook ls`: the table of stored runs.

use super::args::{Format, Global, LsArgs};
use super::failure::Failure;
use super::print::{self, Printer};
use super::shared::status_word;
use super::{exit, project};
use crate::human;
use crate::record::{Counts, Digests, Numerics, RunId, RunRecord, RunStatus, metric};
use crate::store::Store;
use serde::Serialize;
use serde_json::{Value, json};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The part of a record that is kept: the shown cells, or its JSON. Ten thousand whole records
/// would fill the memory.
struct Row {
    sort: Value,
    tie: (String, String, RunId),
    cells: Vec<Value>,
    json: String,
}

/// The profiles whose newest plan contains a run.
type Asked = BTreeMap<RunId, Vec<String>>;

impl Row {
    fn of(
        record: &RunRecord,
        args: &LsArgs,
        format: Format,
        asked: &Asked,
    ) -> serde_json::Result<Self> {
        let profiles = asked.get(&record.id).map(Vec::as_slice);
        let profiles = profiles.unwrap_or_default();
        let json = match format {
            Format::Json => as_json(record, profiles)?,
            Format::Text | Format::Csv => String::new(),
        };
        let cell = |column: &str| match column {
            "profile" => json!(profiles.join(" ")),
            _ => cell(record, column),
        };
        Ok(Self {
            sort: cell(&args.sort),
            tie: (record.spec.clone(), record.name.clone(), record.id),
            cells: args.columns.iter().map(|column| cell(column)).collect(),
            json,
        })
    }
}

fn asked(store: &Store) -> Result<Asked, Failure> {
    let mut asked = Asked::new();
    for plan in store.latest_plans()? {
        for run in plan.runs {
            let profiles = asked.entry(run.id).or_default();
            if !profiles.contains(&plan.profile) {
                profiles.push(plan.profile.clone());
            }
        }
    }
    Ok(asked)
}

/// Distinguishes runs of the same name by their profile, or as superseded if no plan contains them
/// any more. Returns whether there are any.
fn tell_apart(rows: &mut [Row], args: &LsArgs, asked: &Asked) -> bool {
    let mut of_name: BTreeMap<(String, String), (usize, bool)> = BTreeMap::new();
    for Row { tie, .. } in rows.iter() {
        let (count, any) = of_name.entry((tie.0.clone(), tie.1.clone())).or_default();
        *count += 1;
        *any |= asked.contains_key(&tie.2);
    }
    let mut superseded = false;
    for row in rows {
        let (spec, name, id) = &row.tie;
        if !matches!(
            of_name.get(&(spec.clone(), name.clone())),
            Some((2.., true))
        ) {
            continue;
        }
        let said = match asked.get(id) {
            Some(profiles) => format!("cached ({})", profiles.join(", ")),
            None => "superseded".to_owned(),
        };
        superseded |= !asked.contains_key(id);
        let columns = args.columns.iter().zip(&mut row.cells);
        for (_, cell) in columns.filter(|(column, _)| *column == "status") {
            *cell = json!(said);
        }
    }
    superseded
}

/// Prints the matching runs, sorted, with the requested columns.
pub(crate) fn execute(args: &LsArgs, global: &Global, printer: Printer) -> Result<u8, Failure> {
    let store = project::store_that_exists(global, Path::new("."))?;
    let matches = |record: &RunRecord| {
        let name = format!("{}/{}", record.spec, record.name);
        args.filter.is_empty() || args.filter.iter().any(|text| name.contains(text.as_str()))
    };
    let asked = asked(&store)?;
    let row = |record: RunRecord| {
        matches(&record).then(|| Row::of(&record, args, printer.format, &asked))
    };
    let mut rows = store
        .collect(row)?
        .into_iter()
        .collect::<serde_json::Result<Vec<_>>>()?;
    fill_from_evaluations(&mut rows, args, &store)?;
    let superseded = tell_apart(&mut rows, args, &asked);
    for (index, column) in args.columns.iter().enumerate() {
        let is_known = rows.is_empty() || rows.iter().any(|row| !row.cells[index].is_null());
        known_column(column, is_known, &store)?;
    }
    let is_known = rows.is_empty() || rows.iter().any(|row| !row.sort.is_null());
    known_column(&args.sort, is_known, &store)?;
    rows.extend(unfinished(&store, args)?);
    rows.sort_by(|a, b| compare(&a.sort, &b.sort).then_with(|| a.tie.cmp(&b.tie)));
    if args.reverse {
        rows.reverse();
    }
    for warning in store.take_warnings() {
        printer.warning(&warning);
    }
    match printer.format {
        Format::Json => {
            // One JSON value, with one record per line.
            let mut list = "{\n  \"format\": 1,\n  \"runs\": [".to_owned();
            for (index, row) in rows.into_iter().enumerate() {
                list.push_str(if index == 0 { "\n    " } else { ",\n    " });
                list.push_str(&row.json);
            }
            list.push_str("\n  ]\n}");
            printer.result(&list);
        }
        Format::Csv => {
            let mut lines = vec![args.columns.join(",")];
            lines.extend(rows.iter().map(|row| {
                let entries: Vec<String> = row
                    .cells
                    .iter()
                    .map(|cell| csv_field(&plain(cell)))
                    .collect();
                entries.join(",")
            }));
            printer.result(&lines.join("\n"));
        }
        Format::Text => {
            let header: Vec<&str> = args.columns.iter().map(String::as_str).collect();
            let shown = |row: &Row| -> Vec<String> {
                let cells = args.columns.iter().zip(&row.cells);
                cells.map(|(column, cell)| shown(column, cell)).collect()
            };
            let table: Vec<Vec<String>> = rows.iter().map(shown).collect();
            printer.result(&print::fitted(
                &header,
                &table,
                &["params", "steps", "train_loss"],
            ));
            if superseded {
                printer.note("superseded: the spec makes another run of that name now; `specbook diff ID ID` compares them, `specbook store gc` lists what can go");
            }
            if rows.is_empty() && !store.collect(|_| Some(()))?.is_empty() {
                printer.note("no stored run matches the filter, which is a piece of `SPEC/RUN`; `specbook ls` lists all");
            } else if rows.is_empty() {
                printer.note("no runs are stored here; `specbook run SPEC` makes some");
            }
        }
    }
    Ok(exit::OK)
}

/// Fills the columns of metrics that no record has from the evaluations requested by the plans.
fn fill_from_evaluations(rows: &mut [Row], args: &LsArgs, store: &Store) -> Result<(), Failure> {
    let is_open = |column: &str, row: &Row| match column == args.sort {
        true => row.sort.is_null(),
        false => args
            .columns
            .iter()
            .zip(&row.cells)
            .any(|(name, cell)| name == column && cell.is_null()),
    };
    let mut wanted: Vec<&str> = args.columns.iter().map(String::as_str).collect();
    wanted.push(&args.sort);
    wanted.retain(|name| metric(name).is_some() && rows.iter().all(|row| is_open(name, row)));
    if wanted.is_empty() {
        return Ok(());
    }
    let mut evals = BTreeMap::new();
    for plan in store.plans()? {
        evals.extend(plan.runs.into_iter().map(|run| (run.id, run.eval)));
    }
    for row in rows {
        let Some(eval) = evals.get(&row.tie.2) else {
            continue;
        };
        let Some(result) = store.eval(eval)? else {
            continue;
        };
        for name in &wanted {
            let Some(value) = result.metrics.get(*name) else {
                continue;
            };
            if *name == args.sort {
                row.sort = json!(value);
            }
            let columns = args.columns.iter().zip(&mut row.cells);
            for (_, cell) in columns.filter(|(column, _)| column == name) {
                *cell = json!(value);
            }
        }
    }
    Ok(())
}

/// Rows for running or interrupted runs; their names come from the plans that requested them.
fn unfinished(store: &Store, args: &LsArgs) -> Result<Vec<Row>, Failure> {
    let finished: BTreeSet<RunId> = store.ids(false)?.into_iter().collect();
    let mut ids = store.ids(true)?;
    ids.retain(|id| !finished.contains(id));
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut names = BTreeMap::new();
    for plan in store.plans()? {
        for run in plan.runs {
            names.insert(run.id, (plan.spec.clone(), run.name));
        }
    }
    let mut rows = Vec::new();
    for (id, status) in ids.iter().zip(store.statuses(&ids)?) {
        let (spec, name) = names.remove(id).unwrap_or_default();
        let full = format!("{spec}/{name}");
        let is_wanted = args.filter.iter().any(|text| full.contains(text.as_str()));
        if status == RunStatus::Missing || !(args.filter.is_empty() || is_wanted) {
            continue;
        }
        let cell = |column: &str| match column {
            "id" => json!(id.0.short()),
            "spec" => json!(spec),
            "name" => json!(name),
            "status" => json!(status_word(status)),
            _ => Value::Null,
        };
        let json = json!({"id": id, "name": name, "spec": spec, "status": status});
        rows.push(Row {
            sort: cell(&args.sort),
            cells: args.columns.iter().map(|column| cell(column)).collect(),
            json: print::escaped(&json.to_string()).into_owned(),
            tie: (spec, name, *id),
        });
    }
    Ok(rows)
}

/// A record on one line, without the lists that only files need.
fn as_json(record: &RunRecord, profiles: &[String]) -> serde_json::Result<String> {
    #[derive(Serialize)]
    struct Listed<'a> {
        id: RunId,
        name: &'a str,
        spec: &'a str,
        status: RunStatus,
        profiles: &'a [String],
        key: &'a Value,
        numerics: &'a Numerics,
        counts: Counts,
        metrics: &'a BTreeMap<String, f64>,
        digests: &'a Digests,
    }
    let json = serde_json::to_string(&Listed {
        id: record.id,
        name: &record.name,
        spec: &record.spec,
        status: record.status,
        profiles,
        key: &record.key,
        numerics: &record.numerics,
        counts: record.counts,
        metrics: &record.metrics,
        digests: &record.digests,
    })?;
    Ok(print::escaped(&json).into_owned())
}

/// The value of a column, looked up first as an identity word, then as a count, a metric, and a
/// path into the key.
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
        "seconds" | "train_seconds" => json!(record.timing.train_seconds),
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

/// A metric by name, or by its tag with a slash (`val/loss`).
fn metric_name(column: &str, record: &RunRecord) -> Option<f64> {
    record
        .metrics
        .get(column)
        .or_else(|| record.metrics.get(&column.replace('/', "_")))
        .copied()
}

/// Refuses a column that no stored run has.
fn known_column(column: &str, is_known: bool, store: &Store) -> Result<(), Failure> {
    if is_known {
        return Ok(());
    }
    let names = store.collect(|record| Some(record.metrics.into_keys().collect::<Vec<_>>()))?;
    let metrics: std::collections::BTreeSet<&str> =
        names.iter().flatten().map(String::as_str).collect();
    let mut metrics: Vec<&str> = metrics.into_iter().collect();
    crate::human::likest_first(&mut metrics, column);
    let is_near = |name: &&str| name.contains(column) || strsim::jaro_winkler(name, column) > 0.8;
    let failure = Failure::usage(format!("no stored run has a column `{column}`"));
    Err(match metrics.first().filter(|name| is_near(name)) {
        Some(nearest) => failure.hint(format!("did you mean `{nearest}`?")),
        _ => failure.hint("columns are id, spec, name, status, profile, engine, params, steps, tokens, docs, sequences, seconds, metrics (`val_loss`) and settings (`model.dim`)"),
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
            human::count(number.as_u64().unwrap_or_default())
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
