//! `specbook plan`: the runs of specs, what each will cost, and which are there.

use super::args::{Global, Planned};
use super::failure::Failure;
use super::print::{self, Printer};
use super::workspace::{self, Listed, Opened};
use super::{exit, explain};
use crate::plan::{Outline, Run};
use crate::record::{Estimate, RunStatus};
use crate::scheduler::{Base, Bases};
use crate::store::{Calibration, Store};
use crate::train::Engine;
use crate::train::engine::{self, DeviceKind};
use serde_json::{Value, json};

/// Lists the runs.
pub(crate) fn execute(args: &Planned, global: &Global, printer: Printer) -> Result<u8, Failure> {
    let store = workspace::store(global, &args.spec.specs[0])?;
    let all = workspace::list(&args.spec, &store, printer)?;
    if printer.json() {
        let plans = all.iter().map(|listed| match listed {
            Listed::Opened(opened) => as_json(opened, &store, !args.no_extend),
            Listed::Outlined(outline) => Ok(outline_as_json(outline)),
        });
        printer.json_result(&plans.collect::<Result<Vec<_>, _>>()?)?;
        return Ok(exit::OK);
    }
    for listed in &all {
        printer.result(&match listed {
            Listed::Opened(opened) => as_text(opened, &store, !args.no_extend)?,
            Listed::Outlined(outline) => outline_as_text(outline),
        });
    }
    Ok(exit::OK)
}

/// The shape of a plan, without ids and statuses, and with what is `missing`.
fn outline_as_json(outline: &Outline) -> Value {
    let runs = outline.runs.iter().map(|run| {
        json!({
            "id": null,
            "name": run.name,
            "axes": run.axes.iter().cloned().collect::<serde_json::Map<String, Value>>(),
            "seed": run.seed,
            "status": null,
            "reason": "its input is not there",
            "estimate": run.estimate,
            "awaits_text": run.awaits_text,
        })
    });
    json!({
        "format": 1,
        "spec": outline.spec,
        "profile": outline.profile,
        "missing": outline.missing,
        "runs": runs.collect::<Vec<_>>(),
    })
}

fn outline_as_text(outline: &Outline) -> String {
    let rows = outline.runs.iter().map(|run| {
        let unknown = || vec!["–".to_owned(); COSTS.len()];
        let head = vec![run.name.clone()];
        let costs = |estimate: &Estimate| costs(estimate, run.awaits_text);
        [head, run.estimate.as_ref().map_or_else(unknown, costs)].concat()
    });
    let header = [&["run"], &COSTS[..]].concat();
    let note = uncounted(outline.runs.iter().any(|run| run.awaits_text));
    format!(
        "{} (profile {}): {} runs; their ids and what is cached are known once this is mended:\n  {}\n{}{note}",
        outline.spec,
        outline.profile,
        outline.runs.len(),
        outline.missing.join("\n  "),
        print::table(&header, &rows.collect::<Vec<_>>())
    )
}

/// Says what the sign means that stands before a guess, where there is one.
fn uncounted(any: bool) -> &'static str {
    match any {
        true => {
            "\n~ only the text tells how many sequences it makes: until it is counted, this is for one full sequence a document"
        }
        false => "",
    }
}

/// Headers of what a run costs.
const COSTS: [&str; 6] = ["params", "steps", "tokens", "work", "memory", "disk"];

/// Marks a guess.
fn guess(is_guess: bool, text: String) -> String {
    match is_guess {
        true => format!("~{text}"),
        false => text,
    }
}

/// What a run costs; `guessed` marks what follows from its sequences.
fn costs(estimate: &Estimate, guessed: bool) -> Vec<String> {
    let follows = |text: String| guess(guessed, text);
    vec![
        print::count(estimate.params),
        follows(print::count(estimate.steps)),
        follows(print::count(estimate.tokens)),
        follows(print::flops(estimate.flops)),
        follows(print::bytes(estimate.peak_rss_bytes)),
        print::bytes(estimate.disk_bytes),
    ]
}

pub(crate) fn as_json(opened: &Opened, store: &Store, extend: bool) -> Result<Value, Failure> {
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
                "awaits_text": run.awaits_text,
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
        let time = estimate.seconds.map_or_else(
            || "–".to_owned(),
            |seconds| guess(run.awaits_text, print::seconds(seconds)),
        );
        let status = status_word(status).to_owned();
        let head = vec![run.name.clone(), run.id.0.short(), status];
        rows.push([head, costs(&estimate, run.awaits_text), vec![time]].concat());
    }
    let header = [&["run", "id", "status"], &COSTS[..], &["time"]].concat();
    let time = match (missing, known) {
        (0, _) => "nothing to train".to_owned(),
        (missing, true) => format!("{missing} to train, about {}", print::seconds(total)),
        (missing, false) => {
            format!("{missing} to train; times are known after a first run on this machine")
        }
    };
    let open = uncounted(opened.plan.runs.iter().any(|run| run.awaits_text));
    Ok(format!(
        "{} (profile {}): {} runs, {time}\n{}{open}{notes}",
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
