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
use crate::train::engine::cuda::{self, Ceilings, Operation};
use serde_json::{Value, json};
use std::time::Duration;

/// The published shapes that are profiled: a LLaMA and a GPT-2.
const PUBLISHED: [&str; 2] = ["epoch-frenzy", "loss-comparison"];
/// Number of operations in the table, starting with the one furthest above its prediction.
const WORST: usize = 10;
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
) -> Result<Part, Failure> {
    let DeviceKind::Cuda(number) = device else {
        return Ok(Part::skipped("operations", "it is for GPUs"));
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
        return Ok(Part::skipped("operations", "no shape was asked for"));
    }
    let ceilings = cuda::ceilings(number)?;
    let mut found = Vec::new();
    for shape in wanted {
        for dtype in [Dtype::Bf16, Dtype::F32] {
            if clock.lacks(ENOUGH) {
                break;
            }
            let operations = timed(number, shape, dtype)?;
            found.push(Step::new(&shape.name, dtype, &operations, ceilings));
        }
    }
    Ok(part(&found))
}

fn timed(number: usize, shape: &Shape, dtype: Dtype) -> Result<Vec<Operation>, Failure> {
    let case = Case::of_shape(shape);
    let train = TrainSettings {
        dtype,
        epochs: None,
        max_steps: Some(u32::MAX as usize),
        ..case.train.clone()
    };
    let validation = SequenceSet::new();
    Ok(cuda::operations(number, &case.job(&train, &validation, 1))?)
}

/// The operations of a step.
struct Step {
    name: String,
    seconds: f64,
    predicted: f64,
    /// Each with its prediction, starting with the one furthest above it.
    operations: Vec<(Operation, f64)>,
}

impl Step {
    fn new(shape: &str, dtype: Dtype, found: &[Operation], ceilings: Ceilings) -> Self {
        let (name, rate) = match dtype {
            Dtype::F32 => ("f32", ceilings.f32),
            Dtype::Bf16 => ("bf16", ceilings.bf16),
        };
        let predicted = |of: &Operation| {
            let work = (of.bytes / ceilings.copied).max(of.operations / rate);
            of.launches * LAUNCH + work
        };
        let mut operations: Vec<(Operation, f64)> =
            found.iter().map(|of| (of.clone(), predicted(of))).collect();
        let lost = |(of, predicted): &(Operation, f64)| of.seconds - predicted;
        operations.sort_by(|a, b| lost(b).total_cmp(&lost(a)));
        Self {
            name: format!("{shape}, {name}"),
            seconds: found.iter().map(|of| of.seconds).sum(),
            predicted: operations.iter().map(|(_, predicted)| predicted).sum(),
            operations,
        }
    }

    fn json(&self) -> Value {
        let operations = self.operations.iter().map(|(of, predicted)| {
            json!({
                "operation": of.name, "launches": of.launches, "milliseconds": 1e3 * of.seconds, "predicted_milliseconds": 1e3 * predicted,
                "bytes": of.bytes, "operations": of.operations,
            })
        });
        json!({
            "step": self.name, "milliseconds": 1e3 * self.seconds, "predicted_milliseconds": 1e3 * self.predicted,
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
                step.name.clone(),
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
            let (seconds, predicted) = (1e3 * step.seconds, 1e3 * step.predicted);
            format!("{}: {seconds:.2} ms, {predicted:.2} predicted", step.name)
        })
        .collect();
    Part {
        name: "operations",
        outcome: Outcome::Measured,
        summary: format!("sums of a step's operations: {}", steps.join("; ")),
        table: print::table(&header, &rows),
        details: json!(found.iter().map(Step::json).collect::<Vec<_>>()),
        seconds: 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn predictions_are_the_longer_of_memory_and_products() {
        let operation = |name: &str, seconds, bytes, operations| Operation {
            name: name.to_owned(),
            launches: 2.0,
            seconds,
            bytes,
            operations,
        };
        let ceilings = Ceilings {
            copied: 1e12,
            f32: 1e13,
            bf16: 1e14,
        };
        let found = [
            operation("product", 3e-3, 1e9, 2e11),
            operation("adamw", 9e-3, 4e9, 0.0),
        ];
        let part = part(&[Step::new("llama-s", Dtype::Bf16, &found, ceilings)]);
        insta::assert_snapshot!(part.table, @"
        step           operation  launches     ms  predicted  times
        llama-s, bf16  adamw             2  9.000      4.002    2.2
        llama-s, bf16  product           2  3.000      2.002    1.5
        ");
        assert_eq!(
            part.summary,
            "sums of a step's operations: llama-s, bf16: 12.00 ms, 6.00 predicted"
        );
        assert_eq!(super::part(&[]).outcome, Outcome::Skipped);
    }
}
