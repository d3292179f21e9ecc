//! Reads `data/records.jsonl` line by line, since the file may be long and may come from somebody
//! else.

use super::{COSTS, ClaimLine, RECORDS_FORMAT, Records, RecordsHeader, Shared};
use crate::record::{MetricPoint, Provenance, Results, RunResult, Timing};
use crate::report::ReportError;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Map, Value, json};
use std::io::{BufRead, Read as _};

/// Maximum length of a line, in bytes; its parsed values take up to sixteen times as much memory.
/// Nearly a million steps of a run fit into it.
const LONGEST_LINE: usize = 64 << 20;

/// Maximum length of the file, in bytes.
const LONGEST_FILE: u64 = 256 << 20;

/// The lines of a file.
struct Lines<R> {
    source: R,
    line: Vec<u8>,
    /// Number of `line`, from 1.
    at: usize,
    bytes: u64,
}

impl<R: BufRead> Lines<R> {
    fn new(source: R) -> Self {
        Self {
            source,
            line: Vec::new(),
            at: 0,
            bytes: 0,
        }
    }

    /// Reads the next line as JSON; `what` names its contents in errors.
    fn next<T: DeserializeOwned>(&mut self, what: &str) -> Result<T, ReportError> {
        self.at += 1;
        self.line.clear();
        let most = LONGEST_LINE as u64 + 2;
        let read = (&mut self.source)
            .take(most)
            .read_until(b'\n', &mut self.line);
        let read = read.map_err(|error| self.damaged(format!("it cannot be read: {error}")))?;
        self.bytes += read as u64;
        if read == 0 {
            return Err(self.damaged(format!("the file ends before {what}")));
        }
        if self.line.strip_suffix(b"\n").unwrap_or(&self.line).len() > LONGEST_LINE {
            let reason = format!("it is longer than {LONGEST_LINE} bytes and is not read");
            return Err(self.damaged(reason));
        }
        if self.bytes > LONGEST_FILE {
            let reason =
                format!("the file is longer than {LONGEST_FILE} bytes; the rest is not read");
            return Err(self.damaged(reason));
        }
        serde_json::from_slice(&self.line).map_err(|error| self.damaged(error.to_string()))
    }

    /// The entry `name` of the map on the next line.
    fn part(&mut self, name: &str, what: &str) -> Result<Value, ReportError> {
        let mut value: Value = self.next(what)?;
        let part = value.get_mut(name).map(Value::take);
        part.ok_or_else(|| self.damaged(format!("expected `{name}`")))
    }

    /// The same entry, parsed into its type.
    fn parsed<T: DeserializeOwned>(&mut self, name: &str, what: &str) -> Result<T, ReportError> {
        let part = self.part(name, what)?;
        serde_json::from_value(part).map_err(|error| self.damaged(error.to_string()))
    }

    fn header(&mut self) -> Result<RecordsHeader, ReportError> {
        let header: Value = self.next("its header")?;
        let found = header.get("format").and_then(Value::as_u64);
        let strange = "it is not the first line of a report's records";
        let found = found.ok_or_else(|| self.damaged(strange.to_owned()))?;
        if found != u64::from(RECORDS_FORMAT) {
            let known = RECORDS_FORMAT;
            return Err(ReportError::RecordsFormat { found, known });
        }
        serde_json::from_value(header).map_err(|error| self.damaged(error.to_string()))
    }

    /// An error about the line read last.
    fn damaged(&self, reason: String) -> ReportError {
        let line = self.at;
        ReportError::Records { line, reason }
    }
}

/// Reads `data/records.jsonl`, holding only one line at a time in memory.
///
/// # Errors
///
/// The line that cannot be read, or a format of another version.
pub fn read_records(source: impl BufRead) -> Result<Records, ReportError> {
    let mut lines = Lines::new(source);
    let header = lines.header()?;
    let shared: Shared = lines.parsed("shared", "the shared lists")?;
    let mut budget = Budget::default();
    budget.grow(lines.bytes as usize);
    let mut runs = Vec::with_capacity(header.runs.min(10_000));
    for _ in 0..header.runs {
        let value = lines.part("run", "its last run")?;
        budget.grow(lines.line.len());
        let run = run_from_value(value, &shared, &mut budget);
        let mut run = run.map_err(|reason| lines.damaged(reason))?;
        if let Some(record) = &mut run.record {
            record.spec.clone_from(&header.spec);
        }
        runs.push(run);
    }
    let claims = lines.parsed("claims", "the claims")?;
    let results = Results {
        spec: header.spec.clone(),
        profile: header.profile.clone(),
        runs,
    };
    Ok(Records {
        header,
        results,
        claims,
    })
}

/// Reads only the header and the claims. Other lines are only checked for their form.
///
/// # Errors
///
/// Those of [`read_records`], except for the contents of lists and runs.
pub(crate) fn read_summary(
    source: impl BufRead,
) -> Result<(RecordsHeader, Vec<ClaimLine>), ReportError> {
    #[derive(Deserialize)]
    struct Run {
        #[serde(rename = "run")]
        _run: IgnoredAny,
    }
    let mut lines = Lines::new(source);
    let header = lines.header()?;
    let _: IgnoredAny = lines.next("the shared lists")?;
    for _ in 0..header.runs {
        let _: Run = lines.next("its last run")?;
    }
    let claims = lines.parsed("claims", "the claims")?;
    Ok((header, claims))
}

/// Limits the number of values that the lines of a file may expand to: short lines can refer to
/// long lists and many points.
struct Budget {
    left: u64,
    /// How many values the next lines may still add.
    unearned: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            left: Self::LEAST,
            unearned: Self::MOST - Self::LEAST,
        }
    }
}

impl Budget {
    /// Sufficient for the smallest file.
    const LEAST: u64 = 1 << 20;
    /// Upper limit, equal to 2 GB of values.
    const MOST: u64 = 1 << 27;

    /// Grants 16 more values per byte of a line, far more than any report needs.
    fn grow(&mut self, line: usize) {
        let grown = (16 * line as u64).min(self.unearned);
        self.unearned -= grown;
        self.left += grown;
    }

    fn take(&mut self, values: u64) -> Result<(), String> {
        self.left = self
            .left
            .checked_sub(values)
            .ok_or("it stands for more values than a report can have")?;
        Ok(())
    }
}

fn series_from_value(value: &Value, budget: &mut Budget) -> Result<Vec<MetricPoint>, String> {
    let map = value.as_object().ok_or("`series` is not a map")?;
    let count = map
        .get("points")
        .and_then(Value::as_u64)
        .and_then(|count| usize::try_from(count).ok())
        .ok_or("`series.points` is missing")?;
    let longest = map.values().filter_map(Value::as_array).map(Vec::len).max();
    if longest.is_some_and(|longest| longest != count) {
        return Err("`series` has columns of different lengths".into());
    }
    budget.take((count as u64).saturating_mul(map.len() as u64))?;
    let cell = |value: &Value, index: usize| -> Value {
        match value {
            Value::Array(list) => list.get(index).cloned().unwrap_or(Value::Null),
            Value::String(word) if word == "1.." => Value::from(index + 1),
            other => other.clone(),
        }
    };
    (0..count)
        .map(|index| {
            let mut point = Map::new();
            for (name, column) in map.iter().filter(|(name, _)| *name != "points") {
                let source = match column.as_str().and_then(|word| word.strip_prefix('=')) {
                    Some(other) => map
                        .get(other)
                        .ok_or_else(|| format!("no column `{other}`"))?,
                    None => column,
                };
                let value = cell(source, index);
                if !value.is_null() {
                    point.insert(name.clone(), value);
                }
            }
            serde_json::from_value(Value::Object(point)).map_err(|error| error.to_string())
        })
        .collect()
}

fn run_from_value(
    mut value: Value,
    shared: &Shared,
    budget: &mut Budget,
) -> Result<RunResult, String> {
    let map = value.as_object_mut().ok_or("`run` is not a map")?;
    let index = |map: &Map<String, Value>, name: &str| -> Result<usize, String> {
        map.get(name)
            .and_then(Value::as_u64)
            .and_then(|index| usize::try_from(index).ok())
            .ok_or_else(|| format!("`{name}` is not an index"))
    };
    let missing = |name: &str| format!("`{name}` points outside the shared list");
    let tokens = index(map, "document_tokens")?;
    let tokens = shared.document_tokens.get(tokens);
    let tokens = tokens.ok_or_else(|| missing("document_tokens"))?;
    budget.take(tokens.len() as u64)?;
    let key = shared.keys.get(index(map, "key")?);
    let key = key.ok_or_else(|| missing("key"))?.clone();
    let series = series_from_value(map.get("series").unwrap_or(&Value::Null), budget)?;
    let documents = documents_from_value(map, shared, budget)?;
    map.insert("document_tokens".into(), json!([]));
    map.insert("series".into(), json!([]));
    map.insert("key".into(), key.clone());
    if let Some(estimate) = map.get_mut("estimate").and_then(Value::as_object_mut) {
        estimate.retain(|name, _| !COSTS.contains(&name.as_str()));
        let zero = |name: &str| (name.to_owned(), json!(0));
        estimate.extend(COSTS[..3].iter().copied().map(zero));
    }
    let names = (map.get("name").cloned(), key);
    if let Some(record) = map.get_mut("record").and_then(Value::as_object_mut) {
        record.insert("name".into(), names.0.unwrap_or_default());
        record.insert("spec".into(), "".into());
        record.insert("key".into(), names.1);
        record.insert("files".into(), json!({}));
        record.insert("timing".into(), json!(Timing::default()));
        record.insert("provenance".into(), json!(Provenance::default()));
    }
    let mut run: RunResult = serde_json::from_value(value).map_err(|error| error.to_string())?;
    run.document_tokens.clone_from(tokens);
    run.series = series;
    if let (Some(eval), Some(documents)) = (&mut run.eval, documents) {
        eval.documents = documents;
    }
    Ok(run)
}

type Documents = Vec<crate::record::DocumentScore>;

/// The score of a document; older reports have no hits.
#[derive(Deserialize)]
#[serde(untagged)]
enum Row {
    WithHits((usize, u64, f64, f64, usize, Option<u64>)),
    WithoutHits(usize, u64, f64, f64, usize),
}

fn documents_from_value(
    map: &mut Map<String, Value>,
    shared: &Shared,
    budget: &mut Budget,
) -> Result<Option<Documents>, String> {
    let Some(eval) = map.get_mut("eval").and_then(Value::as_object_mut) else {
        return Ok(None);
    };
    let rows: Vec<Row> = serde_json::from_value(
        eval.insert("documents".into(), json!([]))
            .unwrap_or_default(),
    )
    .map_err(|error| format!("`eval.documents`: {error}"))?;
    rows.into_iter()
        .map(|row| {
            let (document, tokens, nll, perplexity, excerpt, hits) = match row {
                Row::WithHits(row) => row,
                Row::WithoutHits(a, b, c, d, e) => (a, b, c, d, e, None),
            };
            let excerpt = shared.excerpts.get(excerpt).cloned();
            budget.take(excerpt.as_ref().map_or(0, |text| text.len() as u64 / 16))?;
            Ok(crate::record::DocumentScore {
                document,
                tokens,
                nll,
                perplexity,
                hits,
                excerpt: excerpt.ok_or("`excerpt` points outside the shared list")?,
            })
        })
        .collect::<Result<_, String>>()
        .map(Some)
}
