//! `specbook plan`: the runs of specs, their costs, and which of them exist.

use super::args::{Global, PlanArgs};
use super::failure::Failure;
use super::print::{self, Printer};
use super::shared::status_word;
use super::workspace::{self, Listed, Opened};
use super::{exit, explain, project};
use crate::human;
use crate::plan::{Outline, Run, Uncounted};
use crate::record::{Estimate, RunId, RunStatus};
use crate::scheduler::{Base, Bases};
use crate::spec::EvalSettings;
use crate::store::{Calibration, Store};
use crate::train::Engine;
use crate::train::engine::{self, DeviceKind};
use serde::{Serialize, Serializer};
use serde_json::Value;

/// Lists the runs.
pub(crate) fn execute(args: &PlanArgs, global: &Global, printer: Printer) -> Result<u8, Failure> {
    let PlanArgs {
        planned: args,
        device,
    } = args;
    let store = project::store(global, &args.spec.specs[0])?;
    let all = workspace::list(&args.spec, &store, printer)?;
    if printer.json() {
        let plans = all.iter().map(|listed| match listed {
            Listed::Opened(opened) => as_json(opened, &store, !args.no_extend, *device),
            Listed::Outlined(outline) => Ok(outline_as_json(outline)),
        });
        printer.json_result(&plans.collect::<Result<Vec<_>, _>>()?)?;
        return Ok(exit::OK);
    }
    for listed in &all {
        printer.result(&match listed {
            Listed::Opened(opened) => as_text(opened, &store, !args.no_extend, *device)?,
            Listed::Outlined(outline) => outline_as_text(outline),
        });
    }
    Ok(exit::OK)
}

/// A plan as JSON; if something is `missing`, without ids and statuses.
#[derive(Serialize)]
pub(crate) struct PlanJson<'a> {
    format: u32,
    spec: &'a str,
    profile: &'a str,
    /// The missing input, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<&'a [String]>,
    runs: Vec<RunJson<'a>>,
}

#[derive(Serialize)]
struct RunJson<'a> {
    id: Option<RunId>,
    name: &'a str,
    #[serde(serialize_with = "as_map")]
    axes: &'a [(String, Value)],
    seed: u64,
    status: Option<RunStatus>,
    reason: Option<String>,
    estimate: Option<Estimate>,
    /// Peak GPU memory in bytes, if the runs are planned for a GPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    gpu_bytes: Option<u64>,
    awaits_text: bool,
    awaits_lengths: bool,
}

fn as_map<S: Serializer>(axes: &[(String, Value)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(axes.iter().map(|(name, value)| (name, value)))
}

fn outline_as_json(outline: &Outline) -> PlanJson<'_> {
    let runs = outline.runs.iter().map(|run| RunJson {
        id: None,
        name: &run.name,
        axes: &run.axes,
        seed: run.seed,
        status: None,
        reason: Some("its input is not there".to_owned()),
        estimate: run.estimate,
        gpu_bytes: None,
        awaits_text: run.uncounted.sequences,
        awaits_lengths: run.uncounted.lengths,
    });
    PlanJson {
        format: 1,
        spec: &outline.spec,
        profile: &outline.profile,
        missing: Some(&outline.missing),
        runs: runs.collect(),
    }
}

fn outline_as_text(outline: &Outline) -> String {
    let rows = outline.runs.iter().map(|run| {
        let unknown = || vec!["–".to_owned(); COSTS.len()];
        let head = vec![run.name.clone()];
        let costs = |estimate: &Estimate| costs(estimate, run.uncounted);
        [head, run.estimate.as_ref().map_or_else(unknown, costs)].concat()
    });
    let header = [&["run"], &COSTS[..]].concat();
    let note = sign(outline.runs.iter().map(|run| run.uncounted));
    format!(
        "{} (profile {}): {}; fix this to see run ids and cache status:\n  {}\n{}{note}",
        outline.spec,
        outline.profile,
        human::counted(outline.runs.len() as u64, "run"),
        outline.missing.join("\n  "),
        print::fitted(&header, &rows.collect::<Vec<_>>(), EXPENDABLE)
    )
}

/// Explains the sign before estimates, if there is one.
fn sign(runs: impl Iterator<Item = Uncounted>) -> &'static str {
    let mut guesses = runs.filter(|uncounted| uncounted.any());
    match guesses.next() {
        None => "",
        Some(first) if first.is_sampled && guesses.all(|guess| guess.is_sampled) => {
            "\n~ a guess from the first documents; a run counts them all"
        }
        Some(_) => "\n~ estimate: one full-length sequence per document until the text is read",
    }
}

/// Column heads for the costs of a run.
const COSTS: [&str; 6] = ["params", "steps", "tokens", "work", "memory", "disk"];

/// Columns omitted on a narrow terminal, in this order.
const EXPENDABLE: &[&str] = &["disk", "work", "tokens", "memory", "params"];

/// Peak GPU memory in bytes for training a run, if `device` is a GPU.
fn gpu_bytes(run: &Run, device: DeviceKind) -> Option<u64> {
    let settings = &run.settings.train;
    matches!(device, DeviceKind::Cuda(_))
        .then(|| engine::cuda::training_bytes(&run.model, settings))
}

/// Marks a guess.
fn guess(is_guess: bool, text: String) -> String {
    match is_guess {
        true => format!("~{text}"),
        false => text,
    }
}

/// The costs of a run, with `uncounted` ones marked.
fn costs(estimate: &Estimate, uncounted: Uncounted) -> Vec<String> {
    let follows = |text: String| guess(uncounted.any(), text);
    vec![
        human::count(estimate.params),
        guess(uncounted.sequences, human::count(estimate.steps)),
        follows(human::count(estimate.tokens)),
        follows(human::flops(estimate.flops)),
        follows(human::bytes(estimate.peak_rss_bytes)),
        human::bytes(estimate.disk_bytes),
    ]
}

pub(crate) fn as_json<'a>(
    opened: &'a Opened,
    store: &Store,
    extend: bool,
    device: DeviceKind,
) -> Result<PlanJson<'a>, Failure> {
    let pace = Pace::new(store)?;
    let statuses = statuses(opened, store)?;
    let extensions = Extensions::new(extend);
    // Other runs are examined only if one is missing.
    let relatives = match statuses.contains(&RunStatus::Missing) {
        true => explain::Relatives::new(store)?,
        false => explain::Relatives::default(),
    };
    let runs = opened
        .plan
        .runs
        .iter()
        .zip(&statuses)
        .map(|(run, &status)| {
            let base = extensions.of(run, status, store, &pace)?;
            let reason = base.map(|base| goes_on(run, &base));
            Ok(RunJson {
                id: Some(run.id),
                name: &run.name,
                axes: &run.axes,
                seed: run.seed,
                status: Some(status),
                reason: reason.or_else(|| relatives.reason(run, status)),
                estimate: Some(with_seconds(run, &pace)),
                gpu_bytes: gpu_bytes(run, device),
                awaits_text: run.uncounted.sequences,
                awaits_lengths: run.uncounted.lengths,
            })
        });
    Ok(PlanJson {
        format: 1,
        spec: &opened.plan.spec,
        profile: &opened.plan.profile,
        missing: None,
        runs: runs.collect::<Result<_, Failure>>()?,
    })
}

/// Runs that would extend a shorter run.
pub(crate) struct Extensions(Option<Bases>);

impl Extensions {
    pub(crate) fn new(extend: bool) -> Self {
        Self(extend.then(Bases::default))
    }

    pub(crate) fn of(
        &self,
        run: &Run,
        status: RunStatus,
        store: &Store,
        pace: &Pace,
    ) -> Result<Option<Base>, Failure> {
        let Some(bases) = self.0.as_ref().filter(|_| status == RunStatus::Missing) else {
            return Ok(None);
        };
        let numerics = pace.engine.numerics(run.settings.train.dtype);
        Ok(bases.find(store, run, run.estimate.steps, &numerics)?)
    }
}

/// Describes the checkpoint from which a run continues.
pub(crate) fn goes_on(run: &Run, base: &Base) -> String {
    format!(
        "continues from {} ({}) at step {} of {}",
        base.name,
        base.id.0.short(),
        base.steps,
        run.estimate.steps
    )
}

/// The training speed of this machine on all its cores, as measured in runs.
pub(crate) struct Pace {
    calibration: Calibration,
    engine: Box<dyn Engine>,
    threads: usize,
}

impl Pace {
    /// Reads the measurements of `store`.
    pub(crate) fn new(store: &Store) -> Result<Self, Failure> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            calibration: store.calibration(),
            engine: engine::open(DeviceKind::Cpu)?,
            threads,
        })
    }

    /// The speed of tasks with `threads` threads on machines like this one.
    pub(crate) fn of_tasks(
        store: &Store,
        device: DeviceKind,
        threads: usize,
    ) -> Result<Self, Failure> {
        Ok(Self {
            calibration: store.calibration(),
            engine: engine::open(device)?,
            threads,
        })
    }

    /// Seconds for a run with those threads, measured or extrapolated from other numbers of
    /// threads.
    pub(crate) fn guess(&self, run: &Run) -> Option<f64> {
        let numerics = self.engine.numerics(run.settings.train.dtype);
        let flops = run.estimate.flops;
        self.calibration
            .seconds_with(&numerics, self.threads, flops)
    }

    fn seconds(&self, run: &Run) -> Option<f64> {
        let numerics = self.engine.numerics(run.settings.train.dtype);
        self.calibration.seconds(
            &Calibration::key(&numerics, self.threads),
            run.estimate.flops,
        )
    }
}

/// The estimate, with seconds if this machine is calibrated.
pub(crate) fn with_seconds(run: &Run, pace: &Pace) -> Estimate {
    Estimate {
        seconds: pace.seconds(run),
        ..run.estimate
    }
}

/// Number of finished runs without a current evaluation: it was never made, or its settings have
/// changed.
pub(crate) fn evaluations_to_make(opened: &Opened, store: &Store) -> Result<usize, Failure> {
    let mut count = 0;
    for (run, status) in opened.plan.runs.iter().zip(statuses(opened, store)?) {
        let is_due = status == RunStatus::Cached && run.settings.eval != EvalSettings::default();
        count += usize::from(is_due && !store.has_eval(&run.eval_id)?);
    }
    Ok(count)
}

fn statuses(opened: &Opened, store: &Store) -> Result<Vec<RunStatus>, Failure> {
    let ids: Vec<_> = opened.plan.runs.iter().map(|run| run.id).collect();
    Ok(store.statuses(&ids)?)
}

pub(crate) fn as_text(
    opened: &Opened,
    store: &Store,
    extend: bool,
    device: DeviceKind,
) -> Result<String, Failure> {
    let pace = Pace::new(store)?;
    let extensions = Extensions::new(extend);
    let mut notes = String::new();
    let mut rows = Vec::new();
    let (mut missing, mut total, mut known) = (0, 0.0, true);
    for (run, status) in opened.plan.runs.iter().zip(statuses(opened, store)?) {
        let estimate = with_seconds(run, &pace);
        if status != RunStatus::Cached {
            missing += 1;
            let base = extensions.of(run, status, store, &pace)?;
            let left = base.as_ref().map_or(1.0, |base| {
                1.0 - base.steps as f64 / estimate.steps.max(1) as f64
            });
            if let Some(base) = &base {
                notes = format!("{notes}\n{} {}", run.name, goes_on(run, base));
            }
            match estimate.seconds {
                Some(seconds) => total += seconds * left,
                None => known = false,
            }
        }
        let time = estimate.seconds.map_or_else(
            || "–".to_owned(),
            |seconds| guess(run.uncounted.any(), human::seconds(seconds)),
        );
        let status = status_word(status).to_owned();
        let head = vec![run.name.clone(), run.id.0.short(), status];
        let mut costs = costs(&estimate, run.uncounted);
        if let Some(bytes) = gpu_bytes(run, device) {
            costs[4] = human::bytes(bytes);
        }
        rows.push([head, costs, vec![time]].concat());
    }
    let mut header = [&["run", "id", "status"], &COSTS[..], &["time"]].concat();
    if matches!(device, DeviceKind::Cuda(_)) {
        header[3 + 4] = "GPU memory";
    }
    let time = match (missing, known) {
        (0, _) => "nothing to train".to_owned(),
        (missing, true) => format!("{missing} to train, about {}", human::seconds(total)),
        (missing, false) => {
            format!("{missing} to train; times are known after a first run on this machine")
        }
    };
    let time = match evaluations_to_make(opened, store)? {
        0 => time,
        1 => format!("{time}; 1 evaluation to make"),
        count => format!("{time}; {count} evaluations to make"),
    };
    let open = sign(opened.plan.runs.iter().map(|run| run.uncounted));
    Ok(format!(
        "{} (profile {}): {}, {time}\n{}{open}{notes}",
        opened.plan.spec,
        opened.plan.profile,
        human::counted(opened.plan.runs.len() as u64, "run"),
        print::fitted(&header, &rows, EXPENDABLE)
    ))
}
