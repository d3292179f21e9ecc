//! Training curves of two devices on one small spec.

use super::{Outcome, Part};
use crate::cli::args::SpecArgs;
use crate::cli::failure::Failure;
use crate::cli::print::{self, Printer};
use crate::cli::workspace::Opened;
use crate::cli::{init, workspace};
use crate::fsx::RealFs;
use crate::plan::Run;
use crate::record::MetricPoint;
use crate::scheduler::{LOSS_TOLERANCE, Prepared, Work as _};
use crate::store::Store;
use crate::train::engine::{self, DeviceKind};
use crate::train::{Checkpoint, Engine, Observer, StepTiming, TrainJob, Trained};
use crate::workload::Workload;
use serde_json::json;
use std::ops::ControlFlow;
use std::sync::Arc;

/// The smoke profile of epoch-frenzy in its own folder.
pub(super) struct Smoke {
    _folder: tempfile::TempDir,
    store: Store,
    specs: Vec<Opened>,
}

impl Smoke {
    pub(super) fn new(overrides: &[String]) -> Result<Self, Failure> {
        let folder = tempfile::tempdir().map_err(|error| Failure::input(error.to_string()))?;
        let path = folder.path().join("specs").join("epoch-frenzy.yaml");
        init::write("epoch-frenzy", &path)?;
        let store = Store::open(folder.path().join(".specbook"), Arc::new(RealFs::new()));
        let spec = SpecArgs {
            specs: vec![path],
            profile: Some("smoke".to_owned()),
            overrides: overrides.to_vec(),
            filter: Vec::new(),
            paranoid: false,
        };
        let specs = workspace::open(&spec, &store, Printer::silent())?;
        Ok(Self {
            _folder: folder,
            store,
            specs,
        })
    }

    /// The shortest of its runs that has `steps` steps; its first run if none has.
    pub(super) fn of_steps<'a>(
        &'a self,
        steps: u64,
        engine: &'a dyn Engine,
    ) -> Option<(&'a Run, Workload<'a>)> {
        let opened = self.specs.first()?;
        let runs = &opened.plan.runs;
        let long = runs.iter().filter(|run| run.estimate.steps >= steps);
        let run = long.min_by_key(|run| run.estimate.steps);
        let run = run.or_else(|| runs.first())?;
        Some((run, Workload::new(&self.store, engine, &opened.context)))
    }
}

/// Trains the runs on both devices from the same initial weights.
pub(super) fn run(
    smoke: &Smoke,
    engine: &dyn Engine,
    device: DeviceKind,
    threads: usize,
) -> Result<Part, Failure> {
    let other = match device {
        DeviceKind::Cpu => DeviceKind::CpuReference,
        _ => DeviceKind::Cpu,
    };
    let beside = engine::open(other)?;
    let mut curves = Vec::new();
    for opened in &smoke.specs {
        for run in &opened.plan.runs {
            let workload = Workload::new(&smoke.store, engine, &opened.context);
            let found =
                [engine, beside.as_ref()].map(|engine| train(engine, run, &workload, threads));
            let [here, there] = found;
            curves.push(Curves::of(&run.name, &here?, &there?));
        }
    }
    Ok(part(&curves, device, other))
}

/// A run's data.
pub(super) fn prepare(run: &Run, workload: &Workload<'_>) -> Result<Arc<Prepared>, Failure> {
    let failed = |error: crate::scheduler::WorkError| Failure::input(error.to_string());
    workload.prepare(run).map_err(failed)
}

fn train(
    engine: &dyn Engine,
    run: &Run,
    workload: &Workload<'_>,
    threads: usize,
) -> Result<Vec<MetricPoint>, Failure> {
    let prepared = prepare(run, workload)?;
    let job = TrainJob {
        model: &run.model,
        train: &run.settings.train,
        data: &prepared.training,
        validation: &prepared.validation,
        start: None,
        threads,
    };
    let mut points = Points::default();
    match engine.train(&job, None, &mut points)? {
        Trained::Finished(_) => Ok(points.all),
        Trained::Stopped => Err(Failure::run("training stopped by itself")),
    }
}

/// Collects the metrics and, if wanted, a checkpoint.
#[derive(Default)]
pub(super) struct Points {
    pub(super) all: Vec<MetricPoint>,
    pub(super) middle: Option<Checkpoint>,
    wants_middle: bool,
}

impl Points {
    /// Keeps the first possible checkpoint.
    pub(super) fn with_middle() -> Self {
        Self {
            wants_middle: true,
            ..Self::default()
        }
    }
}

impl Observer for Points {
    fn on_step(&mut self, point: &MetricPoint, _: StepTiming) -> ControlFlow<()> {
        self.all.push(point.clone());
        ControlFlow::Continue(())
    }

    fn wants_checkpoint(&mut self) -> bool {
        self.wants_middle && self.middle.is_none()
    }

    fn on_checkpoint(&mut self, checkpoint: &Checkpoint) -> ControlFlow<()> {
        self.middle = Some(checkpoint.clone());
        ControlFlow::Continue(())
    }
}

/// The larger of two differences, where NaN counts as larger than any number (`f64::max` would drop
/// it).
fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        return f64::INFINITY;
    }
    a.max(b)
}

/// Two trainings of one run.
struct Curves {
    run: String,
    steps: usize,
    /// Loss of the last step on each device.
    last: (f64, f64),
    /// Largest relative difference between training losses.
    largest: f64,
    /// Largest relative difference between validation losses.
    validation: f64,
}

impl Curves {
    fn of(run: &str, here: &[MetricPoint], there: &[MetricPoint]) -> Self {
        let apart = |a: f64, b: f64| (a - b).abs() / b.abs().max(f64::MIN_POSITIVE);
        let pairs = || here.iter().zip(there);
        let validated = pairs().filter_map(|(a, b)| Some(apart(a.val_loss?, b.val_loss?)));
        let last =
            |points: &[MetricPoint]| points.last().map_or(f64::NAN, |point| point.train_loss);
        Self {
            run: run.to_owned(),
            steps: here.len().min(there.len()),
            last: (last(here), last(there)),
            largest: pairs()
                .map(|(a, b)| apart(a.train_loss, b.train_loss))
                .fold(0.0, larger),
            validation: validated.fold(0.0, larger),
        }
    }

    fn agree(&self) -> bool {
        let (here, there) = self.last;
        (here - there).abs() <= LOSS_TOLERANCE * there.abs() && self.validation <= LOSS_TOLERANCE
    }
}

fn part(curves: &[Curves], device: DeviceKind, other: DeviceKind) -> Part {
    let apart = curves.iter().filter(|curves| !curves.agree()).count();
    let rows: Vec<Vec<String>> = curves
        .iter()
        .map(|curves| {
            vec![
                curves.run.clone(),
                curves.steps.to_string(),
                format!("{:.5}", curves.last.0),
                format!("{:.5}", curves.last.1),
                format!("{:.1e}", curves.largest),
                format!("{:.1e}", curves.validation),
            ]
        })
        .collect();
    let (here, there) = (device.to_string(), other.to_string());
    let header = ["run", "steps", &here, &there, "train apart", "val apart"];
    let details = curves.iter().map(|curves| {
        json!({
            "run": curves.run, "steps": curves.steps, "last": [curves.last.0, curves.last.1],
            "largest_difference": curves.largest, "largest_validation_difference": curves.validation, "agree": curves.agree(),
        })
    });
    Part {
        name: "curves",
        outcome: match (curves.is_empty(), apart) {
            (false, 0) => Outcome::Passed,
            _ => Outcome::Failed,
        },
        summary: format!(
            "{} runs of epoch-frenzy (smoke) on {here} and {there}: {apart} end further apart than {} %",
            curves.len(),
            100.0 * LOSS_TOLERANCE
        ),
        table: print::table(&header, &rows),
        details: json!(details.collect::<Vec<_>>()),
        seconds: 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(train_loss: f64, val_loss: Option<f64>) -> MetricPoint {
        MetricPoint {
            train_loss,
            val_loss,
            ..MetricPoint::default()
        }
    }

    #[test]
    fn curves_agree_where_they_end_together() {
        let here = [point(5.0, None), point(4.0, Some(4.5))];
        let near = [point(5.4, None), point(4.01, Some(4.52))];
        let curves = Curves::of("a", &here, &near);
        assert!(curves.agree());
        assert!((curves.largest - 0.4 / 5.4).abs() < 1e-12);
        let far = [point(5.0, None), point(4.0, Some(5.0))];
        assert!(!Curves::of("a", &here, &far).agree());
        assert!(!Curves::of("a", &[], &[]).agree());
        let broken = [point(5.0, None), point(4.0, Some(f64::NAN))];
        assert!(!Curves::of("a", &broken, &near).agree());
    }
}
