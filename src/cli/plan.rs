//! `specbook plan`: the runs of specs, what each will cost, and which are there.

use super::args::{Global, Planned};
use super::failure::Failure;
use super::print::{self, Printer};
use super::workspace::{self, Opened};
use super::{exit, explain};
use crate::plan::Run;
use crate::record::{Estimate, RunStatus};
use crate::scheduler::{Base, Bases};
use crate::store::{Calibration, Store};
use crate::train::Engine;
use crate::train::engine::{self, DeviceKind};
use serde_json::{Value, json};

/// Lists the runs.
pub(crate) fn execute(args: &Planned, global: &Global, printer: Printer) -> Result<u8, Failure> {
    let store = workspace::store(global, &args.spec.specs[0])?;
    let all = workspace::open(&args.spec, &store, printer)?;
    if printer.json() {
        let plans = all
            .iter()
            .map(|opened| as_json(opened, &store, !args.no_extend))
            .collect::<Result<Vec<_>, _>>()?;
        printer.json_result(&plans)?;
        return Ok(exit::OK);
    }
    for opened in &all {
        printer.result(&as_text(opened, &store, !args.no_extend)?);
    }
    Ok(exit::OK)
}

fn as_json(opened: &Opened, store: &Store, extend: bool) -> Result<Value, Failure> {
    let pace = Pace::new(store)?;
    let statuses = statuses(opened, store)?;
    let extensions = Extensions::new(extend);
    // Other runs are looked at only where one is missing.
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
            Ok(json!({
                "id": run.id,
                "name": run.name,
                "axes": run.axes.iter().cloned().collect::<serde_json::Map<String, Value>>(),
                "seed": run.seed,
                "status": status,
                "reason": reason.or_else(|| relatives.reason(run, status)),
                "estimate": with_seconds(run, &pace),
            }))
        });
    let runs = runs.collect::<Result<Vec<Value>, Failure>>()?;
    Ok(json!({"format": 1, "spec": opened.plan.spec, "profile": opened.plan.profile, "runs": runs}))
}

/// Which runs would go on from a shorter one.
struct Extensions(Option<Bases>);

impl Extensions {
    fn new(extend: bool) -> Self {
        Self(extend.then(Bases::default))
    }

    fn of(
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

/// Says from where a run goes on.
fn goes_on(run: &Run, base: &Base) -> String {
    format!(
        "goes on from {} ({}) at step {} of {}",
        base.name,
        base.id.0.short(),
        base.steps,
        run.estimate.steps
    )
}

/// How fast this machine trains on all its cores, as runs have measured it.
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

    fn seconds(&self, run: &Run) -> Option<f64> {
        let numerics = self.engine.numerics(run.settings.train.dtype);
        self.calibration.seconds(
            &Calibration::key(&numerics, self.threads),
            run.estimate.flops,
        )
    }
}

/// The estimate, with seconds where this machine has a calibration.
pub(crate) fn with_seconds(run: &Run, pace: &Pace) -> Estimate {
    Estimate {
        seconds: pace.seconds(run),
        ..run.estimate
    }
}

fn statuses(opened: &Opened, store: &Store) -> Result<Vec<RunStatus>, Failure> {
    let ids: Vec<_> = opened.plan.runs.iter().map(|run| run.id).collect();
    Ok(store.statuses(&ids)?)
}

pub(crate) fn as_text(opened: &Opened, store: &Store, extend: bool) -> Result<String, Failure> {
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
        rows.push(vec![
            run.name.clone(),
            run.id.0.short(),
            status_word(status).to_owned(),
            print::count(estimate.params),
            print::count(estimate.steps),
            print::count(estimate.tokens),
            print::flops(estimate.flops),
            print::bytes(estimate.peak_rss_bytes),
            print::bytes(estimate.disk_bytes),
            estimate
                .seconds
                .map_or_else(|| "–".to_owned(), print::seconds),
        ]);
    }
    let header = [
        "run", "id", "status", "params", "steps", "tokens", "work", "memory", "disk", "time",
    ];
    let time = match (missing, known) {
        (0, _) => "nothing to train".to_owned(),
        (missing, true) => format!("{missing} to train, about {}", print::seconds(total)),
        (missing, false) => {
            format!("{missing} to train; times are known after a first run on this machine")
        }
    };
    Ok(format!(
        "{} (profile {}): {} runs, {time}\n{}{notes}",
        opened.plan.spec,
        opened.plan.profile,
        opened.plan.runs.len(),
        print::table(&header, &rows)
    ))
}

/// The word for a status.
pub(crate) fn status_word(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Cached => "cached",
        RunStatus::Missing => "missing",
        RunStatus::Partial => "partial",
        RunStatus::Running => "running",
        RunStatus::Failed => "failed",
    }
}
