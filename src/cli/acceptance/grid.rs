//! Training time of the 36 runs of the published grid, as published: f32, validated at every step.

use super::clock::Clock;
use super::{Outcome, Part};
use crate::bench::{Case, Shape, shapes};
use crate::cli::args::AcceptanceArgs;
use crate::cli::failure::Failure;
use crate::cli::print;
use crate::data::SequenceSet;
use crate::record::MetricPoint;
use crate::spec::{Every, TrainSettings};
use crate::train::engine::DeviceKind;
use crate::train::{Checkpoint, Engine, Observer, StepTiming};
use serde_json::json;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// Numbers of heads for each shape.
const HEADS: [usize; 3] = [2, 4, 8];
/// Steps per run: 2,500 documents in batches of 16.
const STEPS: u32 = 157;
/// Number of documents validated at each step.
const VALIDATION: usize = 300;
/// Number of untimed steps before the timed ones.
const WARM_UP: u32 = 1;
const TIMED: u32 = 5;
/// Time limit for all runs together, in seconds.
const TARGET: f64 = 15.0 * 60.0;
/// Time that must remain to start another run.
const ENOUGH: Duration = Duration::from_secs(10);

/// Times a few steps of each run if a shape of the grid was requested.
pub(super) fn run(
    args: &AcceptanceArgs,
    engine: &dyn Engine,
    device: DeviceKind,
    clock: Clock,
) -> Result<Part, Failure> {
    if !args.shape.iter().any(|shape| shape.starts_with("grid-")) {
        return Ok(Part::skipped("grid", "no shape of the grid was asked for"));
    }
    let runs = grid();
    let mut found = Vec::new();
    for shape in &runs {
        if clock.lacks(ENOUGH) {
            break;
        }
        found.push((shape.name.clone(), measured(engine, shape, VALIDATION)?));
    }
    Ok(part(
        &found,
        runs.len(),
        matches!(device, DeviceKind::Cuda(_)),
    ))
}

/// The published grid.
fn grid() -> Vec<Shape> {
    let all = shapes().into_iter();
    let grid = all.filter(|shape| shape.name.starts_with("grid-"));
    grid.flat_map(|shape| {
        HEADS.map(|heads| {
            let mut shape = shape.clone();
            shape.name = format!("{}, {heads} heads", shape.name);
            (shape.model.n_heads, shape.model.n_kv_heads) = (heads, heads);
            shape
        })
    })
    .collect()
}

/// Seconds for a whole run: a few steps and their validations are timed and extrapolated to all
/// steps.
fn measured(engine: &dyn Engine, shape: &Shape, validation: usize) -> Result<f64, Failure> {
    let case = Case::of_shape(shape);
    let mut train = TrainSettings {
        epochs: None,
        max_steps: Some((WARM_UP + TIMED + 1) as usize),
        ..case.train.clone()
    };
    train.validate.every = Every::Step;
    let mut set = SequenceSet::new();
    let ids: Vec<u32> = (0..=shape.seq_len as u32).collect();
    for _ in 0..validation {
        set.push(&ids[..shape.seq_len], &ids[1..]);
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let job = case.job(&train, &set, threads);
    let mut watch = Watch::default();
    engine.train(&job, None, &mut watch)?;
    match watch.times[..] {
        [first, .., last] => Ok(f64::from(STEPS) * (last - first).as_secs_f64() / f64::from(TIMED)),
        _ => Err(Failure::run("training stopped by itself")),
    }
}

/// Start and end of the timed steps.
#[derive(Default)]
struct Watch {
    steps: u32,
    begun: Option<Instant>,
    times: Vec<Duration>,
}

impl Observer for Watch {
    fn on_step(&mut self, _: &MetricPoint, _: StepTiming) -> ControlFlow<()> {
        self.steps += 1;
        if self.steps >= WARM_UP {
            let begun = self.begun.get_or_insert_with(Instant::now);
            self.times.push(begun.elapsed());
        }
        match self.steps < WARM_UP + TIMED {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    }

    fn wants_checkpoint(&mut self) -> bool {
        false
    }

    fn on_checkpoint(&mut self, _: &Checkpoint) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// Passed if below the target; only GPUs have a target.
fn part(found: &[(String, f64)], runs: usize, has_target: bool) -> Part {
    let seconds: f64 = found.iter().map(|(_, seconds)| seconds).sum();
    let rows: Vec<Vec<String>> = found
        .iter()
        .map(|(name, seconds)| vec![name.clone(), format!("{seconds:.1}")])
        .collect();
    let outcome = match (found.len() == runs, has_target) {
        // If the measured time already exceeds the target, the missing runs cannot reduce it.
        _ if has_target && (seconds.is_nan() || seconds >= TARGET) => Outcome::Failed,
        (false, _) => Outcome::Skipped,
        (true, false) => Outcome::Measured,
        (true, true) => Outcome::Passed,
    };
    let details = found
        .iter()
        .map(|(name, seconds)| json!({"run": name, "seconds": seconds}));
    let details = json!({
        "seconds": seconds, "target_seconds": has_target.then_some(TARGET), "steps": STEPS, "timed_steps": TIMED,
        "runs": details.collect::<Vec<_>>(),
    });
    Part {
        name: "grid",
        outcome,
        summary: format!(
            "{} of {runs} runs of {STEPS} steps, each validated, come to {seconds:.0} s (below {TARGET:.0} wanted), by {TIMED} steps of each",
            found.len()
        ),
        table: print::table(&["run", "seconds"], &rows),
        details,
        seconds: 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::{DeviceKind, FakeEngine, open};

    #[test]
    fn the_published_grid_has_36_runs() {
        let all = grid();
        assert_eq!(all.len(), 36);
        let widest = all.iter().map(|shape| shape.model.head_dim()).max();
        assert_eq!(widest, Some(256));
    }

    #[test]
    fn a_run_is_timed_with_its_validations() {
        let mut shape = grid().remove(0);
        (shape.model.dim, shape.model.hidden_dim) = (16, 24);
        (shape.model.vocab_size, shape.seq_len, shape.batch_size) = (50, 8, 2);
        let engine = open(DeviceKind::Cpu).unwrap();
        let few = measured(engine.as_ref(), &shape, 1).unwrap();
        assert!(few > 0.0 && few < TARGET, "{few}");
        assert!(measured(&FakeEngine::default(), &shape, 1).is_ok());
    }

    #[test]
    fn fifteen_minutes_are_the_target_of_a_gpu_alone() {
        let run = |seconds| ("grid".to_owned(), seconds);
        let outcome = |seconds: [f64; 2], runs, gpu| part(&seconds.map(run), runs, gpu).outcome;
        assert_eq!(outcome([400.0, 499.0], 2, true), Outcome::Passed);
        assert_eq!(outcome([400.0, 500.0], 2, true), Outcome::Failed);
        assert_eq!(outcome([400.0, f64::NAN], 2, true), Outcome::Failed);
        assert_eq!(outcome([400.0, 500.0], 2, false), Outcome::Measured);
        assert_eq!(outcome([400.0, 499.0], 3, true), Outcome::Skipped);
        assert_eq!(outcome([400.0, 500.0], 3, true), Outcome::Failed);
    }
}
