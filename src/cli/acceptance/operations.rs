//! The time of each operation of a step, compared with what the GPU's ceilings allow.

use super::clock::{Clock, OVER};
use super::{Outcome, Part};
use crate::bench::{Case, Shape, shapes};
use crate::cli::args::AcceptanceArgs;
use crate::cli::failure::Failure;
use crate::cli::print;
use crate::data::SequenceSet;
use crate::spec::{Dtype, TrainSettings};
use crate::train::engine::DeviceKind;
use crate::train::engine::cuda::{self, Ceilings, Operation, Profile};
use serde_json::{Value, json};
use std::time::Duration;

/// The published shapes that are profiled: a LLaMA, a GPT-2, and one so small that the host limits it.
const PUBLISHED: [&str; 3] = ["epoch-frenzy", "loss-comparison", "grid-128-2-32"];
/// Number of operations in the table, starting with the one furthest above its prediction.
const WORST: usize = 10;
/// Number of kernels that are examined further.
const PROFILED: usize = 3;
/// Minimum cost of a launch, in seconds.
const LAUNCH: f64 = 1e-6;
/// Time that must remain to start a shape.
const ENOUGH: Duration = Duration::from_secs(15);

/// Times a few steps of the published shapes among those requested, or of the first requested shape
/// if none is published.
pub(super) fn run(
    args: &AcceptanceArgs,
    device: DeviceKind,
    clock: Clock,
) -> Result<(Part, Vec<Worst>), Failure> {
    let skipped = |why: &str| Ok((Part::skipped("operations", why), Vec::new()));
    let DeviceKind::Cuda(number) = device else {
        return skipped("it is for GPUs");
    };
    let asked = |shape: &&Shape| args.shape.contains(&shape.name);
    let known = shapes();
    let mut wanted: Vec<&Shape> = known.iter().filter(asked).collect();
    if wanted
        .iter()
        .any(|shape| PUBLISHED.contains(&shape.name.as_str()))
    {
        wanted.retain(|shape| PUBLISHED.contains(&shape.name.as_str()));
    }
    wanted.truncate(PUBLISHED.len());
    if wanted.is_empty() {
        return skipped("no shape was asked for");
    }
    let ceilings = cuda::ceilings(number)?;
    let mut found = Vec::new();
    for shape in wanted {
        for dtype in [Dtype::Bf16, Dtype::F32] {
            if clock.lacks(ENOUGH) {
                break;
            }
            let profile = timed(number, shape, dtype)?;
            found.push(Step::new(&shape.name, dtype, &profile, ceilings));
        }
    }
    Ok((part(&found), worst(&found)))
}

fn timed(number: usize, shape: &Shape, dtype: Dtype) -> Result<Profile, Failure> {
    let case = Case::of_shape(shape);
    let train = TrainSettings {
        dtype,
        epochs: None,
        max_steps: Some(u32::MAX as usize),
        ..case.train.clone()
    };
    let validation = SequenceSet::new();
    Ok(cuda::profile(number, &case.job(&train, &validation, 1))?)
}

/// A kernel that is far above its prediction.
#[derive(Debug)]
pub(super) struct Worst {
    pub(super) shape: String,
    pub(super) dtype: &'static str,
    pub(super) name: String,
    /// Launches per step.
    pub(super) launches: f64,
    /// Predicted seconds and bytes per launch.
    pub(super) predicted: f64,
    pub(super) bytes: f64,
}

/// The kernels in the table whose time is the largest multiple of the prediction, each once. Products are
/// left out, because the names of cuBLAS's kernels are unknown.
fn worst(found: &[Step]) -> Vec<Worst> {
    let mut all: Vec<(&Step, &Operation, f64)> = Vec::new();
    for step in found {
        for (of, predicted) in step.operations.iter().take(WORST) {
            if !of.name.starts_with("product ") {
                all.push((step, of, *predicted));
            }
        }
    }
    let times = |(_, of, predicted): &(&Step, &Operation, f64)| of.seconds / predicted;
    all.sort_by(|a, b| times(b).total_cmp(&times(a)));
    let mut worst: Vec<Worst> = Vec::new();
    for (step, of, predicted) in all {
        if worst.len() < PROFILED && worst.iter().all(|known| known.name != of.name) {
            worst.push(Worst {
                shape: step.shape.clone(),
                dtype: step.dtype,
                name: of.name.clone(),
                launches: of.launches,
                predicted: predicted / of.launches,
                bytes: of.bytes / of.launches,
            });
        }
    }
    worst
}

/// The operations of a step.
struct Step {
    shape: String,
    dtype: &'static str,
    /// Seconds of the step as a whole.
    whole: f64,
    /// Seconds of its operations.
    seconds: f64,
    predicted: f64,
    /// Each with its prediction, starting with the one furthest above it.
    operations: Vec<(Operation, f64)>,
}

impl Step {
    fn new(shape: &str, dtype: Dtype, profile: &Profile, ceilings: Ceilings) -> Self {
        let (name, rate) = match dtype {
            Dtype::F32 => ("f32", ceilings.f32),
            Dtype::Bf16 => ("bf16", ceilings.bf16),
        };
        let predicted = |of: &Operation| {
            let work = (of.bytes / ceilings.copied).max(of.operations / rate);
            of.launches * LAUNCH + work
        };
        let found = &profile.operations;
        let mut operations: Vec<(Operation, f64)> =
            found.iter().map(|of| (of.clone(), predicted(of))).collect();
        let lost = |(of, predicted): &(Operation, f64)| of.seconds - predicted;
        operations.sort_by(|a, b| lost(b).total_cmp(&lost(a)));
        Self {
            shape: shape.to_owned(),
            dtype: name,
            whole: profile.seconds,
            seconds: found.iter().map(|of| of.seconds).sum(),
            predicted: operations.iter().map(|(_, predicted)| predicted).sum(),
            operations,
        }
    }

    fn name(&self) -> String {
        format!("{}, {}", self.shape, self.dtype)
    }

    fn json(&self) -> Value {
        let operations = self.operations.iter().map(|(of, predicted)| {
            json!({
                "operation": of.name, "launches": of.launches, "milliseconds": 1e3 * of.seconds, "predicted_milliseconds": 1e3 * predicted,
                "bytes": of.bytes, "operations": of.operations,
            })
        });
        json!({
            "step": self.name(), "whole_milliseconds": 1e3 * self.whole, "milliseconds": 1e3 * self.seconds, "predicted_milliseconds": 1e3 * self.predicted,
            "operations": operations.collect::<Vec<_>>(),
        })
    }
}

fn part(found: &[Step]) -> Part {
    if found.is_empty() {
        return Part::skipped("operations", OVER);
    }
    let mut rows = Vec::new();
    for step in found {
        for (of, predicted) in step.operations.iter().take(WORST) {
            rows.push(vec![
                step.name(),
                of.name.clone(),
                format!("{:.0}", of.launches),
                format!("{:.3}", 1e3 * of.seconds),
                format!("{:.3}", 1e3 * predicted),
                format!("{:.1}", of.seconds / predicted),
            ]);
        }
    }
    let header = ["step", "operation", "launches", "ms", "predicted", "times"];
    let steps: Vec<String> = found
        .iter()
        .map(|step| {
            let times = [step.whole, step.seconds, step.predicted];
            let [whole, seconds, predicted] = times.map(|seconds| 1e3 * seconds);
            format!(
                "{}: {whole:.2} ms, operations {seconds:.2}, {predicted:.2} predicted",
                step.name()
            )
        })
        .collect();
    Part {
        name: "operations",
        outcome: Outcome::Measured,
        summary: format!("a step takes: {}", steps.join("; ")),
        table: print::table(&header, &rows),
        details: json!(found.iter().map(Step::json).collect::<Vec<_>>()),
        seconds: 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CEILINGS: Ceilings = Ceilings {
        copied: 1e12,
        f32: 1e13,
        bf16: 1e14,
    };

    fn step(shape: &str, dtype: Dtype, operations: &[Operation]) -> Step {
        let profile = Profile {
            seconds: 11e-3,
            operations: operations.to_vec(),
        };
        Step::new(shape, dtype, &profile, CEILINGS)
    }

    #[test]
    fn predictions_are_the_longer_of_memory_and_products() {
        let operation = |name: &str, seconds, bytes, operations| Operation {
            name: name.to_owned(),
            launches: 2.0,
            seconds,
            bytes,
            operations,
        };
        let found = [
            operation("product", 3e-3, 1e9, 2e11),
            operation("adamw", 9e-3, 4e9, 0.0),
        ];
        let steps = [step("llama-s", Dtype::Bf16, &found)];
        let part = part(&steps);
        insta::assert_snapshot!(part.table, @"
        step           operation  launches     ms  predicted  times
        llama-s, bf16  adamw             2  9.000      4.002    2.2
        llama-s, bf16  product           2  3.000      2.002    1.5
        ");
        assert_eq!(
            part.summary,
            "a step takes: llama-s, bf16: 11.00 ms, operations 12.00, 6.00 predicted"
        );
        assert_eq!(super::part(&[]).outcome, Outcome::Skipped);
    }

    #[test]
    fn the_worst_are_kernels_by_the_multiple_of_their_prediction() {
        let operation = |name: &str, seconds| Operation {
            name: name.to_owned(),
            launches: 2.0,
            seconds,
            bytes: 1e9,
            operations: 0.0,
        };
        let found = [
            operation("product 1 × 2 over 3", 9.0),
            operation("a", 1.0),
            operation("b", 4.0),
            operation("c", 3.0),
            operation("d", 2.0),
        ];
        let again = [operation("b", 5.0)];
        let steps = [
            step("llama-s", Dtype::F32, &found),
            step("gpt2-s", Dtype::Bf16, &again),
        ];
        let worst = worst(&steps);
        let names = worst.iter().map(|it| (it.name.as_str(), it.dtype));
        let due = [("b", "bf16"), ("c", "f32"), ("d", "f32")];
        assert_eq!(names.collect::<Vec<_>>(), due);
        assert_eq!((worst[0].shape.as_str(), worst[0].bytes), ("gpt2-s", 5e8));
        assert!((worst[0].predicted - 0.501e-3).abs() < 1e-9);
    }
}
