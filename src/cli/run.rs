//! `specbook run`: trains missing runs, evaluates, and writes reports.

use super::args::{AtATime, Global, RunArgs};
use super::failure::Failure;
use super::live::{self, Live};
use super::memory::Memory;
use super::print::Printer;
use super::progress::Progress;
use super::report::Built;
use super::signals::Signals;
use super::tensorboard::EventFiles;
use super::workspace::{self, Opened};
use super::{check, exit, fetch, outcome, plan, project, remote, report, shared};
use crate::human;
use crate::record::RunStatus;
use crate::report::Making;
use crate::scheduler::{Events, Options, Scheduler, Summary};
use crate::store::{Calibration, Store};
use crate::train::Engine;
use crate::train::engine::{self, DeviceKind};
use crate::workload::Workload;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Runs the specs, one after another.
pub(crate) fn execute(args: &RunArgs, global: &Global, printer: Printer) -> Result<u8, Failure> {
    let mut store = project::store(global, &args.spec.specs[0])?;
    if let Some(timing) = args.lease_stale {
        store = store.with_lease_timing(timing);
    }
    let engine = engine::open(args.compute.device)?;
    if args.fetch {
        for spec in workspace::load(&args.spec, printer)? {
            fetch::fetch(&spec, false, printer)?;
        }
    }
    let mut all = workspace::open(&args.spec, &store, printer)?;
    for opened in &all {
        let spec = &opened.spec;
        check::supported(spec, &spec.profile, &spec.runs, engine.as_ref())?;
        check::no_mistakes(spec)?;
    }
    if args.dry_run && printer.json() {
        let plans = all.iter();
        let plans =
            plans.map(|opened| plan::as_json(opened, &store, !args.no_extend, args.compute.device));
        printer.json_result(&plans.collect::<Result<Vec<_>, _>>()?)?;
        return Ok(exit::OK);
    }
    if args.dry_run {
        for opened in &all {
            printer.result(&plan::as_text(
                opened,
                &store,
                !args.no_extend,
                args.compute.device,
            )?);
        }
        return Ok(exit::OK);
    }
    let signals = Signals::listen(printer)?;
    for opened in &mut all {
        opened.context.stop = signals.stop();
    }
    let (out, near) = (args.out.as_deref(), &args.spec.specs[0]);
    let reports = match args.no_report {
        true => project::committed_reports(out, near),
        false => project::reports(out, near)?,
    };
    if !args.no_report {
        let whole = all.iter().filter(|opened| !opened.filtered);
        let specs = whole.map(|opened| &opened.spec);
        report::check_places(specs, &reports, args.out.is_some())?;
    }
    let whole = all.iter().filter(|opened| !opened.filtered);
    let names: Vec<String> = whole
        .map(|opened| report::folder_name(&opened.spec))
        .collect();
    let session = Session {
        args,
        store: &store,
        engine: engine.as_ref(),
        signals: &signals,
        printer,
    };
    let page = args
        .live
        .as_ref()
        .map(|file| live::Page::new(file, all.iter(), &store));
    let live = page.transpose()?.map(|page| Live::start(page, &store));
    let place = args.remote.as_deref().map(remote::open).transpose()?;
    let mut code = exit::OK;
    let mut summaries = Vec::new();
    for opened in &all {
        if let Some(place) = &place {
            remote::before(place.as_ref(), opened, &store, printer)?;
        }
        let summary = session.train(opened, args.spec.paranoid)?;
        if signals.flag().load(Ordering::SeqCst) {
            return Ok(session.stopped());
        }
        if !summary.failed.is_empty() {
            code = exit::RUN_FAILED;
        }
        if let Some(place) = &place {
            remote::after(place.as_ref(), opened, &store, printer)?;
        }
        if !args.no_report && !opened.filtered {
            let Built {
                report,
                results,
                judged,
            } = match session.report(opened, &report::making(&opened.spec, &reports, &names)?) {
                // The rest was not tokenised.
                Err(_) if signals.flag().load(Ordering::SeqCst) => return Ok(session.stopped()),
                made => made?,
            };
            for warning in store.take_warnings() {
                printer.warning(&warning);
            }
            super::register::note(&opened.spec, printer)?;
            report::write(&opened.spec, &report, &reports, printer)?;
            if !printer.json() {
                printer.note(&outcome::text(&results, &judged));
            }
            for sentence in outcome::diverged(&results) {
                printer.warning(&sentence);
                code = exit::RUN_FAILED;
            }
            if let Some(claims) = outcome::failing(&judged).filter(|_| args.strict_claims) {
                printer.error(&claims, None);
                if code == exit::OK {
                    code = exit::CLAIM_FAILS;
                }
            }
            summaries.push(report::summary(opened, &judged));
        } else if opened.filtered {
            printer.note("no report written: `--filter` selected only some runs");
        }
        if !summary.failed.is_empty() && !args.keep_going {
            break;
        }
    }
    drop(live);
    if printer.json() {
        printer.json_result(&summaries)?;
    }
    Ok(code)
}

struct Session<'a> {
    args: &'a RunArgs,
    store: &'a Store,
    engine: &'a dyn Engine,
    signals: &'a Signals,
    printer: Printer,
}

impl Session<'_> {
    fn train(&self, opened: &Opened, paranoid: bool) -> Result<Summary, Failure> {
        let threads = shared::threads(&self.args.compute);
        let device = self.args.compute.device;
        let free_memory = free_memory(device);
        self.fits(opened, free_memory)?;
        if !self.keep_plan(opened)? {
            return Ok(Summary::default());
        }
        let ids: Vec<_> = opened.plan.runs.iter().map(|run| run.id).collect();
        let statuses = self.store.statuses(&ids)?;
        let open = opened.plan.runs.iter().zip(&statuses);
        let open = open.filter(|(_, status)| **status != RunStatus::Cached);
        let open: Vec<u64> = open.map(|(run, _)| run.estimate.peak_rss_bytes).collect();
        let largest = open.iter().copied().max().unwrap_or(0);
        let asked = AtATime::or_by_size(self.args.compute.jobs, largest, free_memory);
        let jobs = asked.number(threads, open.len(), largest, free_memory);
        let workload = Workload::new(self.store, self.engine, &opened.context);
        let defaults = Options::default();
        let scheduler = Scheduler {
            store: self.store,
            engine: self.engine,
            options: Options {
                jobs,
                threads,
                keep_going: self.args.keep_going,
                retry_failed: !self.args.no_retry,
                keep_checkpoints: self.args.keep_checkpoints,
                extend: !self.args.no_extend,
                paranoid,
                free_memory,
                device: device.to_string(),
                checkpoint_every: self
                    .args
                    .checkpoint_every
                    .unwrap_or(defaults.checkpoint_every),
                checkpoint_share: match self.args.checkpoint_every {
                    Some(_) => f64::INFINITY,
                    None => defaults.checkpoint_share,
                },
                ..defaults
            },
        };
        let progress = Progress::new(&opened.plan.runs, &statuses, self.printer);
        let files = self.args.tensorboard.as_deref();
        let files = files.map(|folder| EventFiles::begin(folder, opened, &progress, self.printer));
        let files = files.transpose()?;
        let events = files
            .as_ref()
            .map_or(&progress as &dyn Events, |files| files);
        let summary = scheduler.run(&opened.plan, &workload, events, self.signals.flag())?;
        progress.finish();
        if let Some(files) = &files {
            files.finish(opened, self.store)?;
        }
        calibrate(self.store, &progress, threads, jobs);
        if self.args.keep_checkpoints {
            self.tell_of_runs_without_checkpoint(opened)?;
        }
        let took = (summary.trained + summary.evaluated > 0).then(|| progress.elapsed());
        let done = sentence(&summary, took);
        self.printer.note(&format!("{}: {done}", opened.plan.spec));
        Ok(summary)
    }

    /// Warns about runs finished before `--keep-checkpoints` was requested, which have no
    /// checkpoints to keep.
    fn tell_of_runs_without_checkpoint(&self, opened: &Opened) -> Result<(), Failure> {
        let mut without = 0;
        for run in &opened.plan.runs {
            let has_finished = self.store.record(&run.id)?.is_some();
            without += u64::from(has_finished && !self.store.keeps_checkpoint(&run.id)?);
        }
        if without > 0 {
            self.printer.note(&format!(
                "{} kept no checkpoint and cannot be extended: `--keep-checkpoints` keeps those of runs that it trains",
                human::counted(without, "finished run")
            ));
        }
        Ok(())
    }

    /// Writes the manifest that protects the plan's runs from any later `store gc`; waits for a
    /// running one. Returns `false` if a signal came.
    fn keep_plan(&self, opened: &Opened) -> Result<bool, Failure> {
        for turn in 0.. {
            if let Err(error) = self.store.put_plan(&opened.manifest) {
                if !error.is_read_only() {
                    return Err(error.into());
                }
                // Existing runs are used all the same.
                let text = format!("{}; `store gc` may remove its runs", error.chain());
                self.printer.warning(&text);
                return Ok(true);
            }
            if !self.store.is_being_cleaned()? {
                break;
            }
            if turn == 0 {
                self.printer
                    .note("another process removes what nothing refers to; waiting");
            }
            std::thread::sleep(Duration::from_millis(50));
            if self.signals.flag().load(Ordering::SeqCst) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reports that a signal ended the command; returns its exit code.
    fn stopped(&self) -> u8 {
        let note = "stopped; checkpoints are kept, and the next `run` continues from them";
        self.printer.note(note);
        self.signals.exit_code().unwrap_or(exit::UNEXPECTED)
    }

    /// Builds the report. If a file that it reads is damaged in a way that its size did not reveal,
    /// every digest is checked and damaged parts are rebuilt.
    fn report(&self, opened: &Opened, making: &Making) -> Result<Built, Failure> {
        match report::build(opened, self.store, making) {
            Err(failure) if failure.code == exit::INPUT && !self.args.spec.paranoid => {
                failure.print(self.printer);
                self.train(opened, true)?;
                report::build(opened, self.store, making)
            }
            built => built,
        }
    }

    /// Refuses a run that cannot fit into memory, before anything is trained.
    fn fits(&self, opened: &Opened, free: Option<u64>) -> Result<(), Failure> {
        let Some(free) = free else { return Ok(()) };
        for run in &opened.plan.runs {
            let needed = run.estimate.peak_rss_bytes;
            if needed > free && self.store.status(&run.id)? != RunStatus::Cached {
                let message = format!(
                    "run `{}` needs about {} of memory; {} are free",
                    run.name,
                    human::bytes(needed),
                    human::bytes(free)
                );
                return Err(Failure::run(message).hint("a smaller `train.batch_size` with more `train.grad_accum_steps` gives nearly the same training in less memory"));
            }
        }
        Ok(())
    }
}

/// Stores this machine's speed with all threads, shared by `jobs` runs at a time, for later estimates.
pub(crate) fn calibrate(store: &Store, progress: &Progress<'_>, threads: usize, jobs: usize) {
    let speeds = progress.speeds().into_iter();
    store.calibrate(speeds.map(|(numerics, flops, seconds)| {
        let key = Calibration::key(&numerics, threads);
        (key, flops, seconds / jobs as f64)
    }));
}

/// Memory available to runs on `device`; `None` if it is not known here.
pub(crate) fn free_memory(device: DeviceKind) -> Option<u64> {
    match device {
        // The need for GPU memory is checked when a run starts.
        DeviceKind::Cuda(_) => None,
        DeviceKind::Cpu | DeviceKind::CpuReference => Memory::look().map(|found| found.free),
    }
}

/// A sentence on what a scheduler did and how long it took.
pub(crate) fn sentence(summary: &Summary, took: Option<Duration>) -> String {
    let mut parts = vec![
        format!("{} trained", summary.trained),
        format!("{} cached", summary.cached),
    ];
    if summary.evaluated > 0 {
        parts.push(format!("{} evaluated", summary.evaluated));
    }
    if !summary.stopped.is_empty() {
        parts.push(format!("{} not finished", summary.stopped.len()));
    }
    if !summary.left.is_empty() {
        let left = summary.left.len();
        parts.push(format!("{left} left to other processes"));
    }
    if !summary.failed.is_empty() {
        parts.push(format!("{} failed", summary.failed.len()));
    }
    let took = took.map(|took| format!("in {}", human::seconds(took.as_secs_f64())));
    parts.extend(took);
    let mut text = parts.join(", ");
    for (place, (name, message)) in summary.failed.iter().enumerate() {
        text += if place == 0 { ":\n  " } else { "\n  " };
        text += name;
        text += ": ";
        text += message;
    }
    text
}
