//! Whether a device reproduces the same bits: for a training, a repetition of it, and one resumed
//! from the middle.

use super::curves::{Points, Smoke};
use super::graph::{self, Compared};
use super::{Outcome, Part};
use crate::cli::failure::Failure;
use crate::cli::print;
use crate::plan::Run;
use crate::record::MetricPoint;
use crate::spec::{Dtype, TrainSettings};
use crate::train::engine::{DeviceKind, cuda};
use crate::train::{Checkpoint, Engine, TrainJob, Trained};
use crate::workload::Workload;
use serde_json::json;

/// Steps that a training should have to tell whether it repeats.
const STEPS: u64 = 50;

/// Trains a run of the spec's smoke profile three times in every number format of the device.
/// On a GPU, also compares steps as CUDA graphs with steps call by call.
pub(super) fn run(
    smoke: &Smoke,
    engine: &dyn Engine,
    device: DeviceKind,
    threads: usize,
) -> Result<Part, Failure> {
    let mut found = Vec::new();
    if let Some((run, workload)) = smoke.of_steps(STEPS, engine) {
        for (name, dtype) in [("f32", Dtype::F32), ("bf16", Dtype::Bf16)] {
            let train = TrainSettings {
                dtype,
                ..run.settings.train.clone()
            };
            if engine.unsupported(&run.model, &train).is_none() {
                found.push(Repeated::of(name, engine, run, &train, &workload, threads)?);
            }
        }
    }
    let graphs = match device {
        DeviceKind::Cuda(number) => graph::run(engine, cuda::is_emulated(number))?,
        _ => Vec::new(),
    };
    Ok(part(&found, &graphs))
}

/// Results of the three trainings.
struct Repeated {
    dtype: &'static str,
    steps: usize,
    /// Training losses of the first and the last step.
    losses: (f64, f64),
    again: bool,
    resumed: bool,
}

impl Repeated {
    fn of(
        dtype: &'static str,
        engine: &dyn Engine,
        run: &Run,
        train: &TrainSettings,
        workload: &Workload<'_>,
        threads: usize,
    ) -> Result<Self, Failure> {
        let prepared = super::curves::prepare(run, workload)?;
        let job = TrainJob {
            model: &run.model,
            train,
            data: &prepared.training,
            validation: &prepared.validation,
            start: None,
            threads,
        };
        let finished = |resume: Option<&Checkpoint>, points: &mut Points| match engine
            .train(&job, resume, points)?
        {
            Trained::Finished(finished) => Ok(finished.checkpoint),
            Trained::Stopped => Err(Failure::run("training stopped by itself")),
        };
        let mut points = Points::with_middle();
        let whole = finished(None, &mut points)?;
        let again = finished(None, &mut Points::default())?;
        let Some(middle) = &points.middle else {
            return Err(Failure::run("the training is too short to go on from"));
        };
        let resumed = finished(Some(middle), &mut Points::default())?;
        let loss_of =
            |point: Option<&MetricPoint>| point.map_or(f64::NAN, |point| point.train_loss);
        Ok(Self {
            dtype,
            steps: points.all.len(),
            losses: (loss_of(points.all.first()), loss_of(points.all.last())),
            again: again == whole,
            resumed: resumed == whole,
        })
    }

    /// Also requires that the model learned, because a device that computes nothing repeats itself
    /// too.
    fn holds(&self) -> bool {
        self.again && self.resumed && self.losses.1 < self.losses.0 && self.losses.1 > 0.0
    }
}

fn part(found: &[Repeated], graphs: &[Compared]) -> Part {
    let wrong = found.iter().filter(|found| !found.holds()).count();
    let wrong_graphs = graphs.iter().filter(|found| !found.holds()).count();
    let word = |same: bool| if same { "same bits" } else { "OTHER BITS" }.to_owned();
    let rows = found.iter().map(|found| {
        vec![
            found.dtype.to_owned(),
            found.steps.to_string(),
            format!("{:.4} to {:.4}", found.losses.0, found.losses.1),
            word(found.again),
            word(found.resumed),
        ]
    });
    let details = found.iter().map(|found| {
        json!({
            "dtype": found.dtype, "steps": found.steps, "losses": [found.losses.0, found.losses.1], "again": found.again,
            "resumed": found.resumed, "ok": found.holds(),
        })
    });
    let details = details.chain(graphs.iter().map(Compared::as_json));
    let header = ["dtype", "steps", "loss", "again", "resumed"];
    let table = print::table(&header, &rows.collect::<Vec<_>>());
    Part {
        name: "repeat",
        outcome: match (found.is_empty(), wrong + wrong_graphs) {
            (false, 0) => Outcome::Passed,
            _ => Outcome::Failed,
        },
        summary: format!(
            "a training, again, and resumed after its first step, in {} number formats: {wrong} differ or do not learn; with and without CUDA graphs, {} \
             trainings: {wrong_graphs} differ, do not learn, or use none",
            found.len(),
            graphs.len()
        ),
        table: match graphs {
            [] => table,
            graphs => format!("{table}\n\n{}", graph::table(graphs)),
        },
        details: json!(details.collect::<Vec<_>>()),
        seconds: 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_bits_fail_and_so_does_a_device_that_never_learns() {
        let found = |again, resumed, last| {
            let repeated = Repeated {
                dtype: "f32",
                steps: 4,
                losses: (5.0, last),
                again,
                resumed,
            };
            part(&[repeated], &[])
        };
        assert_eq!(found(true, true, 4.0).outcome, Outcome::Passed);
        assert_eq!(part(&[], &[]).outcome, Outcome::Failed);
        for (again, resumed, last) in [
            (false, true, 4.0),
            (true, false, 4.0),
            (true, true, 5.0),
            (true, true, 0.0),
            (true, true, f64::NAN),
        ] {
            assert_eq!(found(again, resumed, last).outcome, Outcome::Failed);
        }
    }
}
