//! `specbook verify`: retrains stored runs, in memory and from the files that the spec names, and
//! compares every bit.

use super::args::{Global, SpecArgs, VerifyArgs};
use super::failure::Failure;
use super::print::Printer;
use super::shared;
use super::signals::Signals;
use super::workspace::{self, Opened};
use super::{bundle, exit, project};
use crate::plan::Run;
use crate::record::{RunId, RunRecord, RunStatus};
use crate::scheduler::{
    Difference, Losses, ReproduceError, Reproduction, StartError, Work, WorkError, reproduce,
};
use crate::spec::{self, LoadRequest};
use crate::store::{Manifest, Store};
use crate::train::{Engine, engine};
use crate::workload::Workload;
use serde_json::{Value, json};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

/// Number of differing values shown per step.
const SHOWN: usize = 4;

/// Retrains the finished runs of the targets and compares.
pub(crate) fn execute(args: &VerifyArgs, global: &Global, printer: Printer) -> Result<u8, Failure> {
    let is_bundle = |text: &OsString| Path::new(text).extension().is_some_and(|end| end == "zip");
    if args.targets.iter().any(is_bundle) {
        let mut code = exit::OK;
        for text in &args.targets {
            if !is_bundle(text) {
                return Err(Failure::usage(
                    "bundles are verified apart from specs and runs",
                ));
            }
            code = code.max(bundle::verify(Path::new(text), printer)?);
        }
        return Ok(code);
    }
    let specs: Vec<PathBuf> = args
        .targets
        .iter()
        .filter_map(|text| as_spec(text))
        .collect();
    let near = specs.first().map_or(Path::new("."), |path| path);
    let store = project::store(global, near)?;
    let engine = engine::open(args.device)?;
    let mut work = Vec::new();
    for text in &args.targets {
        match as_spec(text) {
            Some(path) => {
                let opened = workspace::open_afresh(&spec_args(args, path), &store, printer)?;
                work.extend(opened.into_iter().map(|opened| (opened, None)));
            }
            None => {
                let text = text.to_string_lossy();
                let id = store.resolve(&text)?;
                work.push((spec_of(&store, &id, &text, printer)?, Some(id)));
            }
        }
    }
    let signals = Signals::listen(printer)?;
    for (opened, _) in &mut work {
        opened.context.stop = signals.stop();
    }
    let session = Session {
        store: &store,
        engine: engine.as_ref(),
        signals: &signals,
        threads: args.threads.map_or_else(
            || std::thread::available_parallelism().map_or(1, usize::from),
            usize::from,
        ),
        paranoid: args.paranoid,
        printer,
    };
    let mut found = Vec::new();
    for (opened, only) in &work {
        session.verify(opened, only.as_ref(), &mut found)?;
        if signals.flag().load(Ordering::SeqCst) {
            return Ok(signals.exit_code().unwrap_or(exit::UNEXPECTED));
        }
    }
    conclude(&found, printer)
}

/// The outcome for a run.
struct Verified {
    id: RunId,
    name: String,
    /// `None` if the store has no finished record of it.
    result: Option<Reproduction>,
}

impl Verified {
    fn is_mismatch(&self) -> bool {
        match &self.result {
            Some(Reproduction::Differs(_)) => true,
            Some(Reproduction::NotComparable(losses)) => !losses.agree(),
            _ => false,
        }
    }
}

fn conclude(found: &[Verified], printer: Printer) -> Result<u8, Failure> {
    let compared = found.iter().filter(|run| run.result.is_some()).count();
    if compared == 0 {
        return Err(Failure::input("none of the runs is finished in this store")
            .hint("`specbook run` trains them"));
    }
    let mismatches = found.iter().filter(|run| run.is_mismatch()).count();
    if printer.json() {
        let runs: Vec<Value> = found.iter().map(as_json).collect();
        printer.json_result(&json!({"format": 1, "runs": runs}))?;
    } else {
        let count = |is: fn(&Reproduction) -> bool| {
            let results = found.iter().filter_map(|run| run.result.as_ref());
            results.filter(|result| is(result)).count()
        };
        let mut parts = vec![format!(
            "{} equal in every bit",
            count(|result| *result == Reproduction::Equal)
        )];
        let by_loss = count(|result| matches!(result, Reproduction::NotComparable(_)));
        if by_loss > 0 {
            parts.push(format!("{by_loss} compared by their losses"));
        }
        parts.push(format!("{mismatches} differ"));
        let runs = if compared == 1 { "run" } else { "runs" };
        printer.result(&format!(
            "{compared} {runs} trained again: {}",
            parts.join(", ")
        ));
    }
    Ok(match mismatches {
        0 => exit::OK,
        _ => exit::VERIFY_MISMATCH,
    })
}

struct Session<'a> {
    store: &'a Store,
    engine: &'a dyn Engine,
    signals: &'a Signals,
    threads: usize,
    paranoid: bool,
    printer: Printer,
}

impl Session<'_> {
    /// Verifies the runs of a spec, or only the run `only`.
    fn verify(
        &self,
        opened: &Opened,
        only: Option<&RunId>,
        found: &mut Vec<Verified>,
    ) -> Result<(), Failure> {
        let workload = Workload::new(self.store, self.engine, &opened.context);
        for run in &opened.plan.runs {
            let known = found.iter().any(|done: &Verified| done.id == run.id);
            if known || only.is_some_and(|id| *id != run.id) {
                continue;
            }
            let record = self.store.record(&run.id)?;
            let finished = record.filter(|record| record.status == RunStatus::Cached);
            if self.paranoid && finished.is_some() {
                shared::every_digest(self.store, run)?;
            }
            let result = finished.map(|record| self.again(&workload, run, &record));
            // Unfinished work is not a result, whatever became of it.
            if self.signals.flag().load(Ordering::SeqCst) {
                return Ok(());
            }
            let result = result.transpose()?;
            let verified = Verified {
                id: run.id,
                name: format!("{}/{}", opened.plan.spec, run.name),
                result,
            };
            if !self.printer.json() {
                self.printer.result(&as_text(&verified));
            }
            found.push(verified);
        }
        Ok(())
    }

    fn again(
        &self,
        workload: &Workload<'_>,
        run: &Run,
        record: &RunRecord,
    ) -> Result<Reproduction, Failure> {
        let steps = record.counts.steps;
        self.printer
            .note(&format!("{}: {steps} steps again", run.name));
        let failed = |error: WorkError| Failure::input(crate::store::chain(error.as_ref()));
        let prepared = workload.prepare(run).map_err(failed)?;
        if let Some(reason) = self.engine.unsupported(&run.model, &run.settings.train) {
            return Err(Failure::usage(reason));
        }
        let stop = self.signals.flag();
        let (store, engine) = (self.store, self.engine);
        reproduce(store, engine, run, &prepared, record, self.threads, stop).map_err(|error| {
            match error {
                ReproduceError::Store(error) => error.into(),
                ReproduceError::Train(error) => error.into(),
                ReproduceError::Start(StartError::Store(error)) => error.into(),
                ReproduceError::Start(error) => Failure::input(error.to_string()),
            }
        })
    }
}

/// The path, if a target is a spec or a folder of specs.
fn as_spec(text: &OsStr) -> Option<PathBuf> {
    let path = PathBuf::from(text);
    (workspace::is_spec(&path) || path.is_dir()).then_some(path)
}

fn spec_args(args: &VerifyArgs, path: PathBuf) -> SpecArgs {
    SpecArgs {
        specs: vec![path],
        profile: args.profile.clone(),
        overrides: args.overrides.clone(),
        filter: args.filter.clone(),
        paranoid: false,
    }
}

/// Finds the spec of a stored run: a plan that was run names the spec's location, profile and
/// overrides; otherwise, the file is searched for in the project's `specs` folder and in the
/// current folder.
fn spec_of(store: &Store, id: &RunId, text: &str, printer: Printer) -> Result<Opened, Failure> {
    let unknown = |why: &str| {
        let hint = "name the spec: `specbook verify SPEC --filter NAME`";
        Err(Failure::input(format!("the data of run `{text}` cannot be found: {why}")).hint(hint))
    };
    let plans = store.plans()?;
    let has = |plan: &&Manifest| plan.runs.iter().any(|run| run.id == *id);
    let mut last = "no plan of this store names it".to_owned();
    for manifest in plans.iter().filter(has) {
        let own = manifest
            .place
            .iter()
            .map(|place| store.root().join(&place.0));
        let own = own.filter(|path| path.is_file());
        for path in own.chain(candidates(store)) {
            let request = LoadRequest {
                profile: Some(manifest.profile.clone()),
                overrides: manifest.overrides.clone(),
            };
            // Specs of other names, and files that are not specs, are skipped.
            let Ok(spec) = spec::load(&path, &request) else {
                continue;
            };
            if spec.name != manifest.spec {
                continue;
            }
            let args = SpecArgs {
                specs: vec![path.clone()],
                profile: request.profile,
                overrides: request.overrides,
                filter: Vec::new(),
                paranoid: false,
            };
            for opened in workspace::open_afresh(&args, store, printer)? {
                if opened.plan.runs.iter().any(|run| run.id == *id) {
                    return Ok(opened);
                }
            }
            last = format!("`{}` no longer describes it", path.display());
        }
        if last.starts_with("no plan") {
            last = format!("no file with the spec `{}` is here", manifest.spec);
        }
    }
    unknown(&last)
}

fn candidates(store: &Store) -> Vec<PathBuf> {
    let project = store.root().parent().unwrap_or(Path::new("."));
    let folders = [
        project.join("specs"),
        project.to_path_buf(),
        PathBuf::from("."),
    ];
    let mut files = Vec::new();
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        files.extend(workspace::spec_files(std::slice::from_ref(folder)).unwrap_or_default());
    }
    files
}

fn as_text(run: &Verified) -> String {
    let words = match &run.result {
        None => "not finished, nothing to compare".to_owned(),
        Some(Reproduction::Equal) => "equal in every bit".to_owned(),
        Some(Reproduction::Stopped) => "stopped".to_owned(),
        Some(Reproduction::Differs(difference)) => differs(difference),
        Some(Reproduction::NotComparable(losses)) => not_comparable(losses),
    };
    format!("{} {}: {words}", run.id.0.short(), run.name)
}

fn differs(difference: &Difference) -> String {
    let number =
        |value: &Option<f64>| value.map_or("nothing".to_owned(), |value| value.to_string());
    let mut lines = vec![match difference.step {
        Some(step) => format!("DIFFERS, first at step {step}"),
        None => "DIFFERS in the weights alone; the metrics of every step are equal".to_owned(),
    }];
    for (name, stored, now) in difference.metrics.iter().take(SHOWN) {
        let (stored, now) = (number(stored), number(now));
        lines.push(format!("  {name}: stored {stored}, now {now}"));
    }
    if difference.ids {
        lines[0] = "DIFFERS: it was trained on other token ids than its data gives now".to_owned();
    }
    lines.push(match &difference.tensor {
        Some(tensor) => format!("  weights: `{tensor}` is the first to differ"),
        None if difference.weights => "  weights: they differ".to_owned(),
        None => "  weights: equal".to_owned(),
    });
    lines.join("\n")
}

fn not_comparable(losses: &Losses) -> String {
    let name = |numerics: &crate::record::Numerics| {
        format!(
            "{} on {}, recipe {}",
            numerics.engine, numerics.isa, numerics.recipe
        )
    };
    let verdict = if losses.agree() { "agrees" } else { "DIFFERS" };
    format!(
        "not comparable bit for bit (stored by {}, now by {}); the final training loss {verdict}: stored {:.6}, now {:.6}; \
         largest difference {:.2e} at step {}",
        name(&losses.stored_by),
        name(&losses.now_by),
        losses.last.0,
        losses.last.1,
        losses.largest.0,
        losses.largest.1
    )
}

fn as_json(run: &Verified) -> Value {
    let mut value = json!({"id": run.id, "name": run.name});
    match &run.result {
        None => value["result"] = json!("missing"),
        Some(Reproduction::Equal) => value["result"] = json!("equal"),
        Some(Reproduction::Stopped) => value["result"] = json!("stopped"),
        Some(Reproduction::Differs(difference)) => {
            value["result"] = json!("differs");
            let metrics: Vec<Value> = difference
                .metrics
                .iter()
                .map(|(name, stored, now)| json!({"metric": name, "stored": stored, "now": now}))
                .collect();
            value["first_difference"] = json!({
                "step": difference.step, "metrics": metrics, "weights": difference.weights, "tensor": difference.tensor, "ids": difference.ids,
            });
        }
        Some(Reproduction::NotComparable(losses)) => {
            value["result"] = json!("not_comparable");
            value["losses"] = json!({
                "stored_by": losses.stored_by, "now_by": losses.now_by, "agree": losses.agree(),
                "stored": losses.last.0, "now": losses.last.1,
                "largest_difference": losses.largest.0, "at_step": losses.largest.1,
            });
        }
    }
    value
}
