//! Retrains a stored run in memory and compares; writes nothing.

use super::Prepared;
use super::job::kept_weights;
use super::start::{StartError, start};
use crate::digest::{Hasher, Sha256Hex};
use crate::plan::Run;
use crate::record::{MetricPoint, Numerics, RunRecord};
use crate::store::{Store, StoreError};
use crate::train::{Checkpoint, Engine, Observer, StepTiming, TrainError, TrainJob, Trained};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

/// Maximum difference between the final training losses of two engines, relative to the stored one.
pub const LOSS_TOLERANCE: f64 = 0.02;

/// Comparison of a retrained run with its record.
#[derive(Clone, Debug, PartialEq)]
pub enum Reproduction {
    /// Weights and metrics match the digests of the record.
    Equal,
    /// The computation should give the same bits but did not.
    Differs(Difference),
    /// A different computation: only losses can be compared.
    NotComparable(Losses),
    /// Stopped before the end.
    Stopped,
}

/// The first difference between two training runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Difference {
    /// The first step whose metrics differ; `None` if only the weights do.
    pub step: Option<u64>,
    /// The metrics that differ at that step: name, stored value, new value; `None` for a missing value.
    pub metrics: Vec<(String, Option<f64>, Option<f64>)>,
    /// The first tensor that differs, if the weights do.
    pub tensor: Option<String>,
    /// Whether the weights differ.
    pub weights: bool,
    /// Whether the run was trained on other token ids, or with another tokenizer, than its data now gives.
    pub ids: bool,
}

/// Losses of two engines side by side.
#[derive(Clone, Debug, PartialEq)]
pub struct Losses {
    /// The numerics of the record.
    pub stored_by: Numerics,
    /// The numerics of the retraining.
    pub now_by: Numerics,
    /// Training loss of the last step: stored, new.
    pub last: (f64, f64),
    /// Largest difference between training losses over all steps, and its step.
    pub largest: (f64, u64),
}

impl Losses {
    /// Whether the final losses agree within [`LOSS_TOLERANCE`].
    pub fn agree(&self) -> bool {
        (self.last.0 - self.last.1).abs() <= LOSS_TOLERANCE * self.last.0.abs()
    }
}

/// Why a run cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum ReproduceError {
    /// The stored side cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Training failed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The initial model cannot be used.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Retrains `run` with `threads` threads and compares it with its `record` in `store`.
///
/// # Errors
/// Stored metrics or weights that are needed to show a difference but cannot be read; failed training.
pub fn reproduce(
    store: &Store,
    engine: &dyn Engine,
    run: &Run,
    prepared: &Prepared,
    record: &RunRecord,
    threads: usize,
    stop: &AtomicBool,
) -> Result<Reproduction, ReproduceError> {
    let start = start(store, run, &prepared.tokenizer)?.map(|(weights, _)| weights);
    let job = TrainJob {
        model: &run.model,
        train: &run.settings.train,
        data: &prepared.training,
        validation: &prepared.validation,
        start: start.as_ref(),
        threads,
    };
    let mut collector = Collector {
        stop,
        points: Vec::new(),
    };
    let Trained::Finished(finished) = engine.train(&job, None, &mut collector)? else {
        return Ok(Reproduction::Stopped);
    };
    let points = collector.points;
    let (weights, _) = kept_weights(run.settings.train.keep, &finished);
    let same_weights = Some(weights.digest()) == record.digests.weights;
    let digests = &record.digests;
    let same_ids = digests.ids.is_none_or(|ids| ids == prepared.ids)
        && digests.tokenizer == prepared.tokenizer;
    if same_ids && same_weights && metrics_digest(&points) == record.digests.metrics {
        return Ok(Reproduction::Equal);
    }
    let stored = store.metrics(&run.id)?;
    let now_by = engine.numerics(run.settings.train.dtype);
    if same_ids && (!repeats(&now_by) || !record.numerics.agrees_with(&now_by)) {
        return Ok(Reproduction::NotComparable(Losses {
            stored_by: record.numerics.clone(),
            now_by,
            last: (last_loss(&stored), last_loss(&points)),
            largest: largest_difference(&stored, &points),
        }));
    }
    let mut difference = first_difference(&stored, &points).unwrap_or_default();
    difference.ids = !same_ids;
    if !same_weights {
        difference.weights = true;
        let before = store.weights(&run.id)?;
        let pairs = before.0.iter().zip(&weights.0);
        let bits = |data: &[f32]| data.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        difference.tensor = pairs
            .filter(|(a, b)| a.shape != b.shape || bits(&a.data) != bits(&b.data))
            .map(|(a, _)| a.name.clone())
            .next();
    }
    Ok(Reproduction::Differs(difference))
}

/// Whether the engine reproduces its own bits: on a GPU, the order of sums varies.
fn repeats(numerics: &Numerics) -> bool {
    numerics.engine != "cuda"
}

/// Digest of the corresponding `metrics.jsonl`.
fn metrics_digest(points: &[MetricPoint]) -> Sha256Hex {
    let mut hasher = Hasher::new();
    for point in points {
        let line = serde_json::to_vec(point).expect("a point holds only numbers");
        hasher.update(&line);
        hasher.update(b"\n");
    }
    hasher.finish()
}

fn last_loss(points: &[MetricPoint]) -> f64 {
    points.last().map_or(f64::NAN, |point| point.train_loss)
}

fn largest_difference(a: &[MetricPoint], b: &[MetricPoint]) -> (f64, u64) {
    let differences = a
        .iter()
        .zip(b)
        .map(|(a, b)| ((a.train_loss - b.train_loss).abs(), a.step));
    differences.fold(
        (0.0, 0),
        |most, next| {
            if next.0 > most.0 { next } else { most }
        },
    )
}

fn first_difference(stored: &[MetricPoint], now: &[MetricPoint]) -> Option<Difference> {
    for index in 0..stored.len().max(now.len()) {
        let (before, after) = (stored.get(index), now.get(index));
        let number = |point: Option<&MetricPoint>, name: &str| point?.value(name);
        let metrics: Vec<_> = MetricPoint::SERIES
            .iter()
            .map(|name| {
                let (a, b) = (number(before, name), number(after, name));
                ((*name).to_owned(), a, b)
            })
            .filter(|(_, a, b)| a.map(f64::to_bits) != b.map(f64::to_bits))
            .collect();
        if !metrics.is_empty() {
            return Some(Difference {
                step: Some(index as u64 + 1),
                metrics,
                ..Difference::default()
            });
        }
    }
    None
}

/// Keeps the metrics, takes no checkpoints.
struct Collector<'a> {
    stop: &'a AtomicBool,
    points: Vec<MetricPoint>,
}

impl Observer for Collector<'_> {
    fn on_step(&mut self, point: &MetricPoint, _: StepTiming) -> ControlFlow<()> {
        self.points.push(point.clone());
        if self.stop.load(Ordering::SeqCst) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn wants_checkpoint(&mut self) -> bool {
        false
    }

    fn on_checkpoint(&mut self, _: &Checkpoint) -> ControlFlow<()> {
        ControlFlow::Break(())
    }

    fn on_validation(&mut self, _: usize, _: usize) -> ControlFlow<()> {
        match self.stop.load(Ordering::SeqCst) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{SmallWork, go, plan, store};
    use super::*;
    use crate::scheduler::Work;
    use crate::train::FakeEngine;

    fn again(store: &Store, run: &Run, record: &RunRecord) -> Reproduction {
        let prepared = SmallWork::default().prepare(run).unwrap();
        let stop = AtomicBool::new(false);
        let engine = FakeEngine::default();
        reproduce(store, &engine, run, &prepared, record, 1, &stop).unwrap()
    }

    #[test]
    fn a_run_reproduces_and_the_first_step_that_differs_is_shown() {
        let dir = tempfile::tempdir().unwrap();
        let (store, plan) = (store(dir.path()), plan(1, 4));
        go(&store, &plan).unwrap();
        let run = &plan.runs[0];
        let mut record = store.record(&run.id).unwrap().unwrap();
        assert_eq!(again(&store, run, &record), Reproduction::Equal);
        // The same run with another seed simulates a training whose bits changed.
        let mut other = run.clone();
        other.settings.train.seed = 7;
        let Reproduction::Differs(difference) = again(&store, &other, &record) else {
            panic!("not noticed");
        };
        assert_eq!(difference.step, Some(1));
        let names: Vec<_> = difference.metrics.iter().map(|(name, ..)| name).collect();
        assert_eq!(names, ["train/loss", "train/ce"]);
        assert_eq!(difference.tensor.as_deref(), Some("fake.weight"));
        assert!(!difference.ids);
        // Trained on other ids, by any engine.
        let mut forged = record.clone();
        forged.digests.ids = Some(Sha256Hex::of(b"other ids"));
        forged.numerics.engine = "another".to_owned();
        let Reproduction::Differs(difference) = again(&store, run, &forged) else {
            panic!("not noticed");
        };
        assert!(difference.ids && difference.step.is_none() && !difference.weights);
        // An older record lacks the digest of its ids.
        forged = record.clone();
        forged.digests.ids = None;
        assert_eq!(again(&store, run, &forged), Reproduction::Equal);
        record.numerics.engine = "another".to_owned();
        let Reproduction::NotComparable(losses) = again(&store, &other, &record) else {
            panic!("other engines need not agree in every bit");
        };
        assert!(losses.largest.0 > 0.0 && !losses.agree(), "{losses:?}");
        assert!(repeats(&record.numerics));
        record.numerics.engine = "cuda".to_owned();
        assert!(!repeats(&record.numerics));
    }

    #[test]
    fn a_missing_step_is_a_difference() {
        let point = |step| MetricPoint {
            step,
            ..MetricPoint::default()
        };
        let difference = first_difference(&[point(1), point(2)], &[point(1)]).unwrap();
        assert_eq!(difference.step, Some(2));
        assert_eq!(difference.metrics[2].2, None);
        assert_eq!(first_difference(&[point(1)], &[point(1)]), None);
    }
}
