//! `data/records.jsonl`: the plan and every number a report used, enough to render it again without a store.
//!
//! One JSON object per line: the header; texts and lists that several runs share; one line per run, in plan order; the
//! claims as they were judged. Nothing volatile is kept: no timing, no costs, no provenance, no file sizes, and of the
//! instruction set only what results depend on. Steps are kept by column, since most columns are constant or equal to
//! another one.

use super::{Making, ReportError};
use crate::claim::Verdict;
use crate::record::{Estimate, MetricPoint, Provenance, Results, RunRecord, RunResult, Timing};
use crate::spec::Spec;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Format number of `data/records.jsonl`.
pub const RECORDS_FORMAT: u32 = 1;

/// Longest line that is read, bytes: the values of a line take up to sixteen times its length. Nearly a million steps of
/// a run have room in it.
const LONGEST_LINE: usize = 64 << 20;

/// First line of `data/records.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordsHeader {
    /// [`RECORDS_FORMAT`].
    pub format: u32,
    /// Name of the spec.
    pub spec: String,
    /// Title of the report.
    pub title: String,
    /// What was found, as Markdown; may be empty.
    #[serde(default)]
    pub finding: String,
    /// Profile.
    pub profile: String,
    /// `--set` arguments, in order.
    pub overrides: Vec<String>,
    /// The spec file as the command named it; of an absolute path the name alone.
    #[serde(default)]
    pub file: String,
    /// Version of the program and neighbours.
    #[serde(default)]
    pub making: Making,
    /// SHA-256 of the spec file.
    pub spec_sha256: String,
    /// Number of runs that follow.
    pub runs: usize,
}

/// A claim as it was judged, in `data/records.jsonl` and in the index.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimLine {
    /// Id of the claim.
    pub id: String,
    /// Verdict.
    pub verdict: Verdict,
    /// Whether it restates a setting or a formula and is no finding.
    #[serde(default)]
    pub aside: bool,
    /// Published value, where there is one.
    pub published: Option<String>,
    /// Measured value, where there is one.
    pub ours: Option<f64>,
}

/// What `data/records.jsonl` holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Records {
    /// First line.
    pub header: RecordsHeader,
    /// The results, without anything volatile.
    pub results: Results,
    /// The claims as they were judged.
    pub claims: Vec<ClaimLine>,
}

/// Lists and texts that runs refer to by index.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shared {
    document_tokens: Vec<Vec<u32>>,
    excerpts: Vec<String>,
    keys: Vec<Value>,
}

/// Removes from `results` whatever may differ between two computations of the same thing: time, place, files, estimated costs,
/// steps that are not numbers. Reports see nothing else; judge claims over these results too, so that `report --check` judges
/// the same.
pub fn stable(results: &Results) -> Results {
    let mut stable = results.clone();
    for run in &mut stable.runs {
        run.estimate = Estimate {
            flops: 0.0,
            peak_rss_bytes: 0,
            disk_bytes: 0,
            seconds: None,
            ..run.estimate
        };
        run.metrics.retain(|_, value| value.is_finite());
        run.series.retain(is_finite);
        if let Some(record) = &mut run.record {
            record.timing = Timing::default();
            record.provenance = Provenance::default();
            record.files = BTreeMap::new();
            record.key = run.key.clone();
            record.name.clone_from(&run.name);
            record.spec.clone_from(&results.spec);
            record.numerics.isa = record.numerics.decisive_isa().to_owned();
        }
        if let Some(eval) = &mut run.eval {
            eval.metrics.retain(|_, value| value.is_finite());
            eval.documents
                .retain(|document| document.nll.is_finite() && document.perplexity.is_finite());
            if eval.validation.iter().any(|(_, nll)| !nll.is_finite()) {
                eval.validation.clear();
            }
        }
    }
    stable
}

fn is_finite(point: &MetricPoint) -> bool {
    [
        point.epoch,
        point.train_loss,
        point.train_ce,
        point.train_square,
        point.lr,
        point.grad_norm,
    ]
    .into_iter()
    .chain(point.val_loss)
    .chain(point.val_ce)
    .chain(point.val_loss_batch_mean)
    .all(f64::is_finite)
}

/// The spec file as it was named, with forward slashes; of an absolute path, which belongs to one machine, the name alone.
pub(crate) fn file(spec: &Spec) -> String {
    let name = match spec.path.is_absolute() {
        true => spec.path.file_name().unwrap_or_default().as_ref(),
        false => spec.path.as_path(),
    };
    let name = name
        .to_string_lossy()
        .replace(std::path::MAIN_SEPARATOR, "/");
    name.strip_prefix("./").unwrap_or(&name).to_owned()
}

/// Writes the file. `results` are [`stable`].
pub(crate) fn write(
    spec: &Spec,
    finding: &str,
    making: &Making,
    results: &Results,
    claims: &[ClaimLine],
) -> Result<Vec<u8>, serde_json::Error> {
    let header = RecordsHeader {
        format: RECORDS_FORMAT,
        spec: results.spec.clone(),
        title: spec.title.clone(),
        finding: finding.to_owned(),
        profile: results.profile.clone(),
        overrides: spec.overrides.clone(),
        file: file(spec),
        making: making.clone(),
        spec_sha256: spec.digest.to_string(),
        runs: results.runs.len(),
    };
    let mut shared = Shared::default();
    let mut lines = Vec::with_capacity(results.runs.len());
    for run in &results.runs {
        lines.push(run_to_value(run, &mut shared)?);
    }
    let mut bytes = Vec::new();
    let mut line = |value: &Value| {
        serde_json::to_writer(&mut bytes, value)?;
        bytes.push(b'\n');
        Ok::<(), serde_json::Error>(())
    };
    line(&serde_json::to_value(&header)?)?;
    line(&json!({"shared": shared}))?;
    for run in &lines {
        line(&json!({"run": run}))?;
    }
    line(&json!({"claims": claims}))?;
    Ok(bytes)
}

/// The parts of an estimate that stand in `timing.json` alone.
const COSTS: [&str; 4] = ["flops", "peak_rss_bytes", "disk_bytes", "seconds"];

fn index_of<T: PartialEq + Clone>(list: &mut Vec<T>, item: &T) -> usize {
    list.iter()
        .position(|known| known == item)
        .unwrap_or_else(|| {
            list.push(item.clone());
            list.len() - 1
        })
}

fn run_to_value(run: &RunResult, shared: &mut Shared) -> Result<Value, serde_json::Error> {
    let mut value = serde_json::to_value(run)?;
    let Some(map) = value.as_object_mut() else {
        return Ok(value);
    };
    map.insert(
        "document_tokens".into(),
        index_of(&mut shared.document_tokens, &run.document_tokens).into(),
    );
    map.insert("key".into(), index_of(&mut shared.keys, &run.key).into());
    map.insert("series".into(), series_to_value(&run.series)?);
    if let Some(estimate) = map.get_mut("estimate").and_then(Value::as_object_mut) {
        estimate.retain(|name, _| !COSTS.contains(&name.as_str()));
    }
    if let Some(record) = map.get_mut("record").and_then(Value::as_object_mut) {
        for volatile in ["timing", "provenance", "files", "key", "name", "spec"] {
            record.shift_remove(volatile);
        }
    }
    if let (Some(eval), Some(eval_map)) = (
        &run.eval,
        map.get_mut("eval").and_then(Value::as_object_mut),
    ) {
        let documents: Vec<Value> = eval
            .documents
            .iter()
            .map(|d| {
                let excerpt = index_of(&mut shared.excerpts, &d.excerpt);
                json!([d.document, d.tokens, d.nll, d.perplexity, excerpt, d.hits])
            })
            .collect();
        eval_map.insert("documents".into(), documents.into());
    }
    Ok(value)
}

/// Points by column. A column is a list; or one value that all points have; or `"=other"`, equal to another column; or
/// `"1.."`, counting from 1.
fn series_to_value(series: &[MetricPoint]) -> Result<Value, serde_json::Error> {
    let points: Vec<Map<String, Value>> = series
        .iter()
        .map(|point| match serde_json::to_value(point)? {
            Value::Object(map) => Ok(map),
            _ => Ok(Map::new()),
        })
        .collect::<Result<_, serde_json::Error>>()?;
    let mut names: Vec<&String> = Vec::new();
    for point in &points {
        for name in point.keys() {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    let column = |name: &str| -> Vec<Value> {
        points
            .iter()
            .map(|point| point.get(name).cloned().unwrap_or(Value::Null))
            .collect()
    };
    let mut written: Vec<(&String, Vec<Value>)> = Vec::new();
    let mut out = Map::new();
    out.insert("points".into(), series.len().into());
    for name in names {
        let values = column(name);
        let is_counting = (1..).zip(&values).all(|(n, v)| v.as_u64() == Some(n));
        let short = if is_counting {
            Value::from("1..")
        } else if values.iter().all(|value| value == &values[0]) {
            values[0].clone()
        } else if let Some((other, _)) = written.iter().find(|(_, column)| *column == values) {
            Value::from(format!("={other}"))
        } else {
            Value::Array(values.clone())
        };
        out.insert(name.clone(), short);
        written.push((name, values));
    }
    Ok(Value::Object(out))
}

/// How many values the lines of a file may stand for in all: short lines can name long lists and many points.
struct Budget(u64);

impl Budget {
    /// 16 values for each byte of the file, which no report comes near, and some for the smallest; never more than 2 GB of them.
    fn of(bytes: usize) -> Self {
        Self((16 * bytes as u64 + (1 << 20)).min(1 << 27))
    }

    fn take(&mut self, values: u64) -> Result<(), String> {
        self.0 = self
            .0
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

/// The score of a document; reports of before hits were counted have none.
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

/// Reads `data/records.jsonl`.
///
/// # Errors
///
/// Names the line that cannot be read, and a format of another version.
pub fn read_records(bytes: &[u8]) -> Result<Records, ReportError> {
    let damaged = |line: usize, reason: String| ReportError::Records { line, reason };
    let text = std::str::from_utf8(bytes).map_err(|error| damaged(1, error.to_string()))?;
    let mut lines = text.lines().enumerate().map(|(index, line)| {
        if line.len() > LONGEST_LINE {
            let reason = format!("it is longer than {LONGEST_LINE} bytes and is not read");
            return Err(damaged(index + 1, reason));
        }
        serde_json::from_str::<Value>(line)
            .map(|value| (index + 1, value))
            .map_err(|error| damaged(index + 1, error.to_string()))
    });
    let mut next = |what: &str, at: usize| {
        lines
            .next()
            .unwrap_or_else(|| Err(damaged(at, format!("the file ends before {what}"))))
    };
    let (_, header) = next("its header", 1)?;
    let format = header.get("format").and_then(Value::as_u64);
    let found = format.ok_or_else(|| {
        damaged(
            1,
            "it is not the first line of a report's records".to_owned(),
        )
    })?;
    if found != u64::from(RECORDS_FORMAT) {
        let known = RECORDS_FORMAT;
        return Err(ReportError::RecordsFormat { found, known });
    }
    let header: RecordsHeader =
        serde_json::from_value(header).map_err(|error| damaged(1, error.to_string()))?;
    let part = |value: &mut Value, name: &str| value.get_mut(name).map(Value::take);
    let (at, mut shared) = next("the shared lists", 2)?;
    let shared: Shared = part(&mut shared, "shared")
        .ok_or_else(|| "expected `shared`".to_owned())
        .and_then(|value| serde_json::from_value(value).map_err(|error| error.to_string()))
        .map_err(|reason| damaged(at, reason))?;
    let mut budget = Budget::of(bytes.len());
    let mut runs = Vec::with_capacity(header.runs.min(10_000));
    for index in 0..header.runs {
        let (at, mut line) = next("its last run", index + 3)?;
        let mut run = part(&mut line, "run")
            .ok_or_else(|| "expected `run`".to_owned())
            .and_then(|value| run_from_value(value, &shared, &mut budget))
            .map_err(|reason| damaged(at, reason))?;
        if let Some(record) = &mut run.record {
            record.spec.clone_from(&header.spec);
        }
        runs.push(run);
    }
    let (at, mut line) = next("the claims", header.runs.saturating_add(3))?;
    let claims = part(&mut line, "claims")
        .ok_or_else(|| "expected `claims`".to_owned())
        .and_then(|value| serde_json::from_value(value).map_err(|error| error.to_string()))
        .map_err(|reason| damaged(at, reason))?;
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

/// `timing.json`: the volatile figures of the runs and the claims about them, the only place in a report folder that holds them.
pub(crate) fn timing(spec: &Spec, results: &Results) -> Result<Vec<u8>, serde_json::Error> {
    let runs: Vec<Value> = results
        .runs
        .iter()
        .map(|run| {
            let record = run.record.as_ref();
            json!({
                "name": run.name,
                "id": run.id,
                "estimate": run.estimate,
                "timing": record.map(|record| record.timing),
                "provenance": record.map(|record| &record.provenance),
                "isa": record.map(|record| &record.numerics.isa),
            })
        })
        .collect();
    let judged = crate::claim::judge_times(&spec.claims, &spec.profile, results);
    let claims: Vec<Value> = judged
        .iter()
        .map(|claim| {
            json!({
                "id": claim.id,
                "says": claim.says,
                "published": claim.published.as_ref().map(|published| &published.value),
                "measure": claim.measure,
                "expect": claim.expect,
                "ours": claim.ours,
                "verdict": claim.verdict,
                "reason": claim.reason,
            })
        })
        .collect();
    let timing = json!({"format": 1, "claims": claims, "runs": runs});
    let mut bytes = serde_json::to_vec_pretty(&timing)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Whether a run has something to show.
pub(crate) fn is_finished(run: &RunResult) -> bool {
    run.record
        .as_ref()
        .is_some_and(|record: &RunRecord| record.status == crate::record::RunStatus::Cached)
}
