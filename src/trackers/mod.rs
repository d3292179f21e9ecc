//! Exports runs to trackers and tables: every run of a plan with its settings, results and curves.
//!
//! A format is one file: `tensorboard` (event files), `csv`, `parquet`; `mlflow` talks to a server. None of them computes anything.

pub mod csv;
pub mod mlflow;
pub mod parquet;
pub mod table;
pub mod tensorboard;

use crate::interop::{Folder, InteropError};
use crate::plan::Plan;
use crate::record::{MetricPoint, RunStatus, Sample};
use crate::store::{Store, StoreError};
use serde_json::Value;
use std::collections::BTreeMap;

/// A finished run with everything a tracker shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tracked {
    /// Name of the spec.
    pub spec: String,
    /// Profile.
    pub profile: String,
    /// Name of the run.
    pub name: String,
    /// Its id.
    pub id: String,
    /// Its settings by dotted path, in the order of its key: numbers, booleans and strings.
    pub settings: Vec<(String, Value)>,
    /// Its final metrics and those of its evaluation, by name.
    pub metrics: BTreeMap<String, f64>,
    /// Its steps.
    pub points: Vec<MetricPoint>,
    /// Seconds of training and validation up to the end of each step.
    pub seconds: Vec<f64>,
    /// Its samples.
    pub samples: Vec<Sample>,
}

/// An export format for tables of runs.
pub trait TableFormat {
    /// Its name for `--to`.
    fn name(&self) -> &'static str;

    /// Its use, in one sentence.
    fn about(&self) -> &'static str;

    /// The files it writes.
    fn files(&self, runs: &[Tracked]) -> Vec<String>;

    /// Writes the runs.
    ///
    /// # Errors
    /// A file that cannot be written.
    fn write(&self, runs: &[Tracked], out: &mut Folder<'_>) -> Result<(), InteropError>;
}

/// The formats.
pub const FORMATS: [&dyn TableFormat; 3] =
    [&tensorboard::TensorBoard, &csv::Csv, &parquet::Parquet];

/// The finished runs of a plan, each once, and the number of unfinished ones.
///
/// # Errors
/// A run that cannot be read.
pub fn gather(plan: &Plan, store: &Store) -> Result<(Vec<Tracked>, usize), StoreError> {
    let (mut runs, mut missing) = (Vec::new(), 0);
    for run in &plan.runs {
        let record = store.record(&run.id)?;
        let Some(record) = record.filter(|record| record.status == RunStatus::Cached) else {
            missing += 1;
            continue;
        };
        let mut metrics = record.metrics.clone();
        metrics.insert("params".to_owned(), record.counts.params as f64);
        let evaluated = store.eval(&run.eval_id)?.unwrap_or_default();
        metrics.extend(evaluated.metrics);
        let mut settings = Vec::new();
        flatten("", &record.key, &mut settings);
        runs.push(Tracked {
            spec: plan.spec.clone(),
            profile: plan.profile.clone(),
            name: run.name.clone(),
            id: run.id.to_string(),
            settings,
            metrics,
            points: store.metrics(&run.id)?,
            seconds: seconds(&store.timing(&run.id)?),
            samples: evaluated.samples,
        });
    }
    Ok((runs, missing))
}

/// Values by dotted path; lists as their JSON.
fn flatten(path: &str, value: &Value, out: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = match path {
                    "" => name.clone(),
                    path => format!("{path}.{name}"),
                };
                flatten(&path, value, out);
            }
        }
        Value::Array(_) => out.push((path.to_owned(), value.to_string().into())),
        Value::Null => {}
        value => out.push((path.to_owned(), value.clone())),
    }
}

/// Cumulative seconds over the lines of `timing.jsonl`.
fn seconds(lines: &[u8]) -> Vec<f64> {
    let mut sum = 0.0;
    let lines = lines
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let line: Value = serde_json::from_slice(line).unwrap_or_default();
            let part = |name: &str| line[name].as_f64().unwrap_or(0.0);
            sum += part("train_seconds") + part("validation_seconds");
            sum
        })
        .collect()
}

/// A setting as text.
pub fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// A name made valid as a folder name on every system.
pub fn folder_name(name: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "=,._-".contains(c) {
            c
        } else {
            '-'
        }
    };
    name.chars()
        .map(plain)
        .collect::<String>()
        .trim_start_matches('.')
        .to_owned()
}

#[cfg(test)]
mod tests;
