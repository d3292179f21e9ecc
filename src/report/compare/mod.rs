//! Comparison of two settings: their settings, where their curves diverge, their metrics and their
//! samples.
//!
//! A side is one setting with its replicates. If both sides have at least two seeds, the difference
//! of a metric gets a 95 % interval: over pairs if the seeds are the same, otherwise by Welch's
//! method. Nothing is read or printed here; `diff --json` shows a [`Comparison`].

mod metrics;
#[cfg(test)]
mod tests;

pub use metrics::{Method, MetricDifference};

use super::metric::{CURVES, at};
use crate::digest::Sha256Hex;
use crate::plan::{Change, changes};
use crate::record::{EvalResult, MetricPoint, Numerics, Results, RunRecord, RunResult, Sample};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Format number of [`Comparison`].
pub const COMPARISON_FORMAT: u32 = 1;

/// A run, reduced to what can be compared.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// Identity.
    pub id: String,
    /// Name.
    pub name: String,
    /// Seed.
    pub seed: u64,
    /// Its key.
    pub key: Value,
    /// What computed it: engine and arithmetic.
    pub numerics: Option<Numerics>,
    /// Digest of its weights.
    pub weights: Option<Sha256Hex>,
    /// Metrics of record and evaluation.
    pub metrics: BTreeMap<String, f64>,
    /// Recorded steps.
    pub series: Vec<MetricPoint>,
    /// Sampled text.
    pub samples: Vec<Sample>,
}

impl Compared {
    /// A run from its parts in a store. `record.json` alone contains no steps and no evaluation.
    pub fn new(record: &RunRecord, series: Vec<MetricPoint>, eval: Option<EvalResult>) -> Self {
        let eval = eval.unwrap_or_default();
        let mut metrics = record.metrics.clone();
        metrics.extend(eval.metrics);
        Self {
            id: record.id.0.to_string(),
            name: format!("{}/{}", record.spec, record.name),
            seed: seed(&record.key),
            key: record.key.clone(),
            numerics: Some(record.numerics.clone()),
            weights: record.digests.weights,
            metrics,
            series,
            samples: eval.samples,
        }
    }
}

impl From<&RunResult> for Compared {
    fn from(run: &RunResult) -> Self {
        let record = run.record.as_ref();
        let mut metrics = run.metrics.clone();
        metrics.extend(run.eval.iter().flat_map(|eval| eval.metrics.clone()));
        Self {
            id: run.id.0.to_string(),
            name: run.name.clone(),
            seed: run.seed,
            key: run.key.clone(),
            numerics: record.map(|record| record.numerics.clone()),
            weights: record.and_then(|record| record.digests.weights),
            metrics,
            series: run.series.clone(),
            samples: run
                .eval
                .iter()
                .flat_map(|eval| eval.samples.clone())
                .collect(),
        }
    }
}

/// The seed of a key; 0 if it has none.
fn seed(key: &Value) -> u64 {
    key.pointer("/train/seed")
        .and_then(Value::as_u64)
        .unwrap_or(0)
}

/// Whether two keys are equal except for the seed, so that their runs are replicates.
pub fn are_replicates(a: &Value, b: &Value) -> bool {
    changes(a, b)
        .iter()
        .all(|change| change.path == "train.seed")
}

/// The runs of `results` by setting, in plan order, without unfinished runs.
pub fn by_setting(results: &Results) -> Vec<(String, Vec<Compared>)> {
    let mut settings: Vec<(String, Vec<Compared>)> = Vec::new();
    let finished = results
        .runs
        .iter()
        .filter(|run| super::records::is_finished(run));
    for run in finished {
        let place = settings.iter().position(|(name, _)| *name == run.group);
        let place = place.unwrap_or_else(|| {
            settings.push((run.group.clone(), Vec::new()));
            settings.len() - 1
        });
        settings[place].1.push(run.into());
    }
    settings
}

/// A side of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Side {
    /// Identity of the run whose curves and samples are compared.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Seeds of the replicates over which the metrics are averaged.
    pub seeds: Vec<u64>,
}

/// How a curve differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CurveDifference {
    /// `train/loss`, `val/loss`, …
    pub name: String,
    /// Steps at which both sides have a value.
    pub common: usize,
    /// First step at which the sides differ in any bit or only one of them has a value.
    pub first_step: Option<u64>,
    /// Largest absolute difference over the common steps.
    pub largest: Option<f64>,
    /// The step of that difference.
    pub largest_step: Option<u64>,
}

/// A prompt continued by both sides.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SamplePair {
    /// The prompt.
    pub prompt: String,
    /// The text of the first side.
    pub a: String,
    /// The text of the second side.
    pub b: String,
}

/// Two settings compared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// [`COMPARISON_FORMAT`].
    pub format: u32,
    /// First side.
    pub a: Side,
    /// Second side.
    pub b: Side,
    /// Whether the weights are equal bit for bit; unknown if a side has no digest.
    pub same_weights: Option<bool>,
    /// Whether both sides were computed by engines that promise the same bits; only then is a
    /// bitwise comparison meaningful.
    pub same_numerics: bool,
    /// Settings that differ.
    pub settings: Vec<Change>,
    /// Metrics of either side.
    pub metrics: Vec<MetricDifference>,
    /// Curves that both sides have.
    pub curves: Vec<CurveDifference>,
    /// Prompts continued by both sides.
    pub samples: Vec<SamplePair>,
}

/// Compares two settings with at least one run each; `None` if a side is empty. Curves, settings
/// and samples are taken from the first run of `a` and from the run of `b` with the same seed, or
/// else the first run of `b`. If each side's first run is a replicate of the other's, the settings
/// are equal and only these two runs are compared.
pub fn compare(a: &[Compared], b: &[Compared]) -> Option<Comparison> {
    let has = |runs: &[Compared], other: &Compared| runs.iter().any(|run| run.id == other.id);
    let (mut a, mut b) = (a, b);
    if a.first()?.id != b.first()?.id && has(a, b.first()?) && has(b, a.first()?) {
        (a, b) = (&a[..1], &b[..1]);
    }
    let first = a.first()?;
    let second = b.iter().find(|run| run.seed == first.seed).or(b.first())?;
    let side = |run: &Compared, all: &[Compared]| Side {
        id: run.id.clone(),
        name: run.name.clone(),
        seeds: all.iter().map(|run| run.seed).collect(),
    };
    Some(Comparison {
        format: COMPARISON_FORMAT,
        a: side(first, a),
        b: side(second, b),
        same_weights: first.weights.zip(second.weights).map(|(a, b)| a == b),
        same_numerics: match (&first.numerics, &second.numerics) {
            (Some(first), Some(second)) => first.agrees_with(second),
            (first, second) => first == second,
        },
        settings: changes(&first.key, &second.key),
        metrics: metrics::differences(a, b),
        curves: CURVES
            .iter()
            .filter_map(|name| curve(name, &first.series, &second.series))
            .collect(),
        samples: samples(&first.samples, &second.samples),
    })
}

fn curve(name: &str, a: &[MetricPoint], b: &[MetricPoint]) -> Option<CurveDifference> {
    let values = |series: &[MetricPoint]| -> BTreeMap<u64, f64> {
        let points = series.iter();
        points
            .filter_map(|point| Some((point.step, at(point, name)?)))
            .collect()
    };
    let (a, b) = (values(a), values(b));
    let mut steps: Vec<u64> = a.keys().chain(b.keys()).copied().collect();
    steps.sort_unstable();
    steps.dedup();
    let mut difference = CurveDifference {
        name: name.to_owned(),
        common: 0,
        first_step: None,
        largest: None,
        largest_step: None,
    };
    for step in steps {
        let is_equal = match (a.get(&step), b.get(&step)) {
            (Some(a), Some(b)) => {
                difference.common += 1;
                let distance = (a - b).abs();
                if difference.largest.is_none_or(|largest| distance > largest) {
                    difference.largest = Some(distance);
                    difference.largest_step = Some(step);
                }
                a.to_bits() == b.to_bits()
            }
            _ => false,
        };
        if !is_equal && difference.first_step.is_none() {
            difference.first_step = Some(step);
        }
    }
    (difference.common > 0).then_some(difference)
}

fn samples(a: &[Sample], b: &[Sample]) -> Vec<SamplePair> {
    let mut pairs = Vec::new();
    for (index, sample) in a.iter().enumerate() {
        // The n-th continuation of a prompt is paired with the n-th of the other side.
        let earlier = a[..index]
            .iter()
            .filter(|other| other.prompt == sample.prompt)
            .count();
        let mut same = b.iter().filter(|other| other.prompt == sample.prompt);
        if let Some(other) = same.nth(earlier) {
            pairs.push(SamplePair {
                prompt: sample.prompt.clone(),
                a: sample.continuation.clone(),
                b: other.continuation.clone(),
            });
        }
    }
    pairs
}
