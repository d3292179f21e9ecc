//! Trains a case and times it.

use super::Case;
use crate::data::SequenceSet;
use crate::plan::forward_flops;
use crate::record::{MetricPoint, Numerics};
use crate::spec::TrainSettings;
use crate::train::{Checkpoint, Engine, Observer, Part, PartSeconds, StepTiming, TrainError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// Warm-up steps before the measured ones, in which memory is allocated and threads are started.
const WARM_UP: usize = 2;
/// Minimum number of measured steps, however long they take.
const LEAST_STEPS: usize = 3;

/// How long to train a case after the warm-up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Extent {
    /// This many steps.
    Steps(u64),
    /// This long, and at least a few steps.
    Time(Duration),
}

/// The measurements, as printed in JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// Version of this format.
    pub format: u32,
    /// The shape's or the run's name.
    pub shape: String,
    /// The engine.
    pub numerics: Numerics,
    /// Threads.
    pub threads: usize,
    /// Measured steps.
    pub steps: usize,
    /// Positions (batch · length) per second: the median over the steps.
    pub tokens_per_second: f64,
    /// Positions per second of the fastest step.
    pub best_tokens_per_second: f64,
    /// Achieved 10⁹ operations per second: three forward passes per step (the backward pass counts twice), at the
    /// median.
    pub gflops: f64,
    /// Peak of the engine's matrix product in 10⁹ operations per second; `None` if not measured.
    pub peak_gflops: Option<f64>,
    /// Model FLOPs utilisation: the share of that peak.
    pub mfu: Option<f64>,
    /// Peak resident memory of the process during training; 0 if the system does not report it.
    pub peak_rss_bytes: u64,
    /// Mean seconds per step of each part; `other` is the rest: batches, memory, the tape.
    pub parts: BTreeMap<String, f64>,
}

/// Trains `case` with `engine` for the given `extent`. `peak_rss` returns the process's peak resident memory so far.
///
/// # Errors
/// Those of training.
pub fn measure(
    engine: &dyn Engine,
    case: &Case,
    extent: Extent,
    threads: usize,
    peak_rss: &dyn Fn() -> u64,
) -> Result<Measurement, TrainError> {
    let train = TrainSettings {
        epochs: None,
        max_steps: Some(match extent {
            Extent::Steps(steps) => WARM_UP + steps as usize,
            Extent::Time(_) => u32::MAX as usize,
        }),
        ..case.train.clone()
    };
    let validation = SequenceSet::new();
    let job = case.job(&train, &validation, threads);
    let mut watch = Stopwatch {
        time: match extent {
            Extent::Time(time) => Some(time),
            Extent::Steps(_) => None,
        },
        begun: None,
        warm_up: WARM_UP,
        steps: Vec::new(),
        peak_rss,
        peak_rss_bytes: 0,
    };
    engine.train(&job, None, &mut watch)?;
    let peak = engine.product_rate(threads, job.train.dtype);
    Ok(watch.result(engine, case, threads, peak))
}

/// Measures times and stops when the time is up.
struct Stopwatch<'a> {
    time: Option<Duration>,
    begun: Option<Instant>,
    warm_up: usize,
    steps: Vec<StepTiming>,
    peak_rss: &'a dyn Fn() -> u64,
    peak_rss_bytes: u64,
}

impl Observer for Stopwatch<'_> {
    fn on_step(&mut self, _: &MetricPoint, timing: StepTiming) -> ControlFlow<()> {
        // Measured here, since the state returned after the last step is not part of training.
        self.peak_rss_bytes = (self.peak_rss)();
        let begun = *self.begun.get_or_insert_with(Instant::now);
        if self.warm_up > 0 {
            self.warm_up -= 1;
            return ControlFlow::Continue(());
        }
        self.steps.push(timing);
        let over = self.time.is_some_and(|time| begun.elapsed() >= time);
        if over && self.steps.len() >= LEAST_STEPS {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    fn wants_checkpoint(&mut self) -> bool {
        false
    }

    fn on_checkpoint(&mut self, _: &Checkpoint) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

impl Stopwatch<'_> {
    fn result(
        self,
        engine: &dyn Engine,
        case: &Case,
        threads: usize,
        peak: Option<f64>,
    ) -> Measurement {
        let rate = |step: &StepTiming| step.positions as f64 / step.train_seconds.max(1e-9);
        let mut rates: Vec<f64> = self.steps.iter().map(rate).collect();
        rates.sort_by(f64::total_cmp);
        let median = rates.get(rates.len() / 2).copied().unwrap_or_default();
        let operations = 3.0 * forward_flops(&case.model, case.seq_len) * median;
        Measurement {
            format: 1,
            shape: case.name.clone(),
            numerics: engine.numerics(case.train.dtype),
            threads,
            steps: rates.len(),
            tokens_per_second: median,
            best_tokens_per_second: rates.last().copied().unwrap_or_default(),
            gflops: operations / 1e9,
            peak_gflops: peak.map(|peak| peak / 1e9),
            mfu: peak.map(|peak| operations / peak),
            peak_rss_bytes: self.peak_rss_bytes,
            parts: self.parts(),
        }
    }

    fn parts(&self) -> BTreeMap<String, f64> {
        let mut sums = PartSeconds::default();
        self.steps.iter().for_each(|step| sums.add_all(&step.parts));
        if sums.total() == 0.0 {
            return BTreeMap::new();
        }
        let all: f64 = self.steps.iter().map(|step| step.train_seconds).sum();
        let steps = self.steps.len() as f64;
        let mut parts: BTreeMap<String, f64> = Part::ALL
            .iter()
            .map(|&part| (part.name().to_owned(), sums.get(part) / steps))
            .collect();
        parts.insert("other".to_owned(), (all - sums.total()).max(0.0) / steps);
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{Shape, shapes};
    use crate::train::{DeviceKind, FakeEngine, open};

    fn tiny() -> Case {
        let mut shape: Shape = shapes().remove(0);
        shape.model.dim = 16;
        shape.model.hidden_dim = 24;
        shape.model.vocab_size = 50;
        (shape.seq_len, shape.batch_size) = (8, 2);
        Case::of_shape(&shape)
    }

    #[test]
    fn the_parts_of_a_step_add_up_to_it() {
        let engine = open(DeviceKind::Cpu).unwrap();
        let found = measure(engine.as_ref(), &tiny(), Extent::Steps(5), 1, &|| 7).unwrap();
        assert_eq!((found.steps, found.peak_rss_bytes), (5, 7));
        assert_eq!(found.parts.len(), Part::ALL.len() + 1);
        assert!(Part::ALL.iter().all(|part| found.parts[part.name()] > 0.0));
        let step: f64 = found.parts.values().sum();
        // A mean against a median of five: equal within an order of magnitude even on a busy machine.
        let median = 16.0 / found.tokens_per_second;
        assert!(
            step > median / 10.0 && step < median * 1000.0,
            "{step} {median}"
        );
        assert!(found.best_tokens_per_second >= found.tokens_per_second);
        let mfu = found.mfu.unwrap();
        assert!((mfu - found.gflops / found.peak_gflops.unwrap()).abs() < 1e-12);
        assert!(mfu > 0.0 && mfu < 1.0, "{mfu}");
    }

    #[test]
    fn an_engine_that_says_less_is_measured_too() {
        let engine = FakeEngine::default();
        let time = Extent::Time(Duration::ZERO);
        let found = measure(&engine, &tiny(), time, 1, &|| 0).unwrap();
        assert_eq!((found.steps, found.parts.len()), (LEAST_STEPS, 0));
        assert_eq!(found.peak_gflops, None);
        // Two sequences of eight positions in the millisecond reported by the fake engine.
        assert!((found.tokens_per_second - 16_000.0).abs() < 1.0);
        let text = serde_json::to_string(&found).unwrap();
        assert_eq!(serde_json::from_str::<Measurement>(&text).unwrap(), found);
    }
}
