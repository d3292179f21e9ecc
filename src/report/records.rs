//! `data/records.jsonl`: the plan and every number used by a report, enough to render it again
//! without a store.
//!
//! One JSON object per line: the header; texts and lists shared by several runs; one line per run,
//! in plan order; the judged claims. Nothing volatile is kept: no timing, costs, provenance or file
//! sizes, and only that part of the instruction set on which results depend. Steps are stored by
//! column, since most columns are constant or equal to another one.

use super::Making;
use crate::claim::Verdict;
use crate::fsx::AnyPath;
use crate::record::{Estimate, MetricPoint, Provenance, Results, RunRecord, RunResult, Timing};
use crate::spec::Spec;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

mod read;

pub use read::read_records;
pub(crate) use read::read_summary;

/// Format number of `data/records.jsonl`.
pub const RECORDS_FORMAT: u32 = 1;

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
    /// The finding, as Markdown; may be empty.
    #[serde(default)]
    pub finding: String,
    /// Profile.
    pub profile: String,
    /// `--set` arguments, in order.
    pub overrides: Vec<String>,
    /// The spec file as named on the command line; only the file name of an absolute path.
    #[serde(default)]
    pub file: AnyPath,
    /// Version of the program, and neighbouring reports.
    #[serde(default)]
    pub making: Making,
    /// SHA-256 of the spec file.
    pub spec_sha256: String,
    /// Number of runs that follow.
    pub runs: usize,
}

/// A judged claim, in `data/records.jsonl` and in the index.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimLine {
    /// Id of the claim.
    pub id: String,
    /// Verdict.
    pub verdict: Verdict,
    /// Whether it restates a setting or a formula, and so is not a finding.
    #[serde(default)]
    pub aside: bool,
    /// Published value, if any.
    pub published: Option<String>,
    /// Measured value, if any.
    pub ours: Option<f64>,
}

/// The contents of `data/records.jsonl`.
#[derive(Clone, Debug, PartialEq)]
pub struct Records {
    /// First line.
    pub header: RecordsHeader,
    /// The results, without volatile values.
    pub results: Results,
    /// The judged claims.
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

/// Removes from `results` everything that may differ between two computations of the same thing:
/// time, place, files, estimated costs, and steps that are not numbers. Reports see nothing else.
/// Judge claims on these results too, so that `report --check` judges the same.
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

/// The spec file as named, with forward slashes; only the file name of an absolute path, which
/// belongs to one machine.
pub(crate) fn file(spec: &Spec) -> AnyPath {
    let name = match spec.path.is_absolute() {
        true => spec.path.file_name().unwrap_or_default().as_ref(),
        false => spec.path.as_path(),
    };
    let name = name.strip_prefix(".").unwrap_or(name);
    AnyPath(name.to_path_buf()).with_slashes()
}

/// Writes the file. `results` must be [`stable`].
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
    let mut sharing = Sharing::default();
    let mut lines = Vec::with_capacity(results.runs.len());
    for run in &results.runs {
        lines.push(run_to_value(run, &mut sharing)?);
    }
    let mut bytes = Vec::new();
    let mut line = |value: &Value| {
        serde_json::to_writer(&mut bytes, value)?;
        bytes.push(b'\n');
        Ok::<(), serde_json::Error>(())
    };
    line(&serde_json::to_value(&header)?)?;
    line(&json!({"shared": sharing.shared}))?;
    for run in &lines {
        line(&json!({"run": run}))?;
    }
    line(&json!({"claims": claims}))?;
    Ok(bytes)
}

/// The parts of an estimate that appear in `timing.json` only.
const COSTS: [&str; 4] = ["flops", "peak_rss_bytes", "disk_bytes", "seconds"];

/// Values shared by several runs, each stored once, with an index by their JSON.
#[derive(Default)]
struct Sharing {
    shared: Shared,
    document_tokens: BTreeMap<String, usize>,
    excerpts: BTreeMap<String, usize>,
    keys: BTreeMap<String, usize>,
}

fn index_of<T: PartialEq + Clone + Serialize>(
    list: &mut Vec<T>,
    places: &mut BTreeMap<String, usize>,
    item: &T,
) -> Result<usize, serde_json::Error> {
    // Most runs share with the one before them.
    if list.last() == Some(item) {
        return Ok(list.len() - 1);
    }
    let place = places.entry(serde_json::to_string(item)?);
    Ok(*place.or_insert_with(|| {
        list.push(item.clone());
        list.len() - 1
    }))
}

fn run_to_value(run: &RunResult, sharing: &mut Sharing) -> Result<Value, serde_json::Error> {
    let mut value = serde_json::to_value(run)?;
    let Some(map) = value.as_object_mut() else {
        return Ok(value);
    };
    let shared = &mut sharing.shared;
    map.insert(
        "document_tokens".into(),
        index_of(
            &mut shared.document_tokens,
            &mut sharing.document_tokens,
            &run.document_tokens,
        )?
        .into(),
    );
    map.insert(
        "key".into(),
        index_of(&mut shared.keys, &mut sharing.keys, &run.key)?.into(),
    );
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
                let excerpt = index_of(&mut shared.excerpts, &mut sharing.excerpts, &d.excerpt)?;
                Ok(json!([
                    d.document,
                    d.tokens,
                    d.nll,
                    d.perplexity,
                    excerpt,
                    d.hits
                ]))
            })
            .collect::<Result<_, serde_json::Error>>()?;
        eval_map.insert("documents".into(), documents.into());
    }
    Ok(value)
}

/// Points by column. A column is a list; or one value shared by all points; or `"=other"`, equal to
/// another column; or `"1.."`, counting from 1.
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

/// `timing.json`: the volatile figures of the runs and the claims about them. No other file in a
/// report folder holds any.
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

/// Whether a run has results to show.
pub(crate) fn is_finished(run: &RunResult) -> bool {
    run.record
        .as_ref()
        .is_some_and(|record: &RunRecord| record.status == crate::record::RunStatus::Cached)
}
