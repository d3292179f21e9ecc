//! `specbook submit`: hands the missing runs of specs to a job queue. All possible mistakes are
//! reported here, before anything is queued.

use super::args::{Global, Limit, QueueKind, SubmitArgs};
use super::failure::Failure;
use super::plan::Pace;
use super::print::Printer;
use super::workspace::{self, Opened};
use super::{check, exit, jobs, project, report};
use crate::fsx::AnyPath;
use crate::human;
use crate::plan::Run;
use crate::queue::{
    self, Calls, Chunk, Job, JobKind, Jobs, Needs, Piece, Slurm, Submission, Sweep, SweepFolder,
    SweepSpec,
};
use crate::record::{RunId, RunStatus};
use crate::spec::EvalSettings;
use crate::store::{LeaseTiming, Store};
use crate::train::Engine;
use crate::train::engine::{self, DeviceKind};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

/// Extra minutes for a task beyond twice its estimate: for starting, reading, evaluating.
const SPARE_MINUTES: u64 = 5;
/// Extra memory for a task beyond its estimate, in MiB: for the program itself.
const SPARE_MIB: u64 = 128;
/// How long before its end a task is notified, in seconds.
const WARNING: u64 = 120;
/// Polling interval of `--wait`.
const POLL: Duration = Duration::from_secs(5);

/// Submits the missing runs.
pub(crate) fn execute(args: &SubmitArgs, global: &Global, printer: Printer) -> Result<u8, Failure> {
    let near = &args.spec.specs[0];
    let store = project::store(global, near)?;
    let Some(leases) = LeaseTiming::new(args.lease_beat, args.lease_stale) else {
        return Err(Failure::usage(
            "`--lease-stale` has to be three times `--lease-beat` at least, and at most an hour",
        ));
    };
    let engine = engine(args.device)?;
    let all = workspace::open(&args.spec, &store, printer)?;
    for opened in &all {
        let spec = &opened.spec;
        if let Some(engine) = &engine {
            check::supported(spec, &spec.profile, &spec.runs, engine.as_ref())?;
        }
        check::no_mistakes(spec)?;
        report::check_files(spec)?;
    }
    let reports = project::reports(args.out.as_deref(), near)?;
    let whole = all.iter().all(|opened| !opened.filtered);
    if whole {
        let specs = all.iter().map(|opened| &opened.spec);
        report::check_places(specs, &reports, args.out.is_some())?;
    }
    let wanted = Wanted::look(&all, &store, args, printer)?;
    if wanted.pieces.is_empty() {
        printer.note(&wanted.nothing());
        return Ok(exit::OK);
    }
    let sweep = sweep(args, &all, &wanted, engine.as_deref(), leases)?;
    let needs = needs(args, &all, &sweep)?;
    if args.dry_run {
        let folder = SweepFolder(absolute(store.root())?.join("jobs-v1/NEW"));
        printer.result(&shown(
            args,
            &calls(args, &store, &folder, &reports, whole)?,
            &folder,
            &sweep,
            needs,
            &all,
        ));
        printer.note(&summary(&sweep, needs, &wanted));
        return Ok(exit::OK);
    }
    for opened in &all {
        store.put_plan(&opened.manifest)?;
    }
    let folder = SweepFolder::create(&store, &all[0].spec.name, &sweep)?;
    let folder = SweepFolder(absolute(&folder.0)?);
    let calls = calls(args, &store, &folder, &reports, whole)?;
    printer.note(&summary(&sweep, needs, &wanted));
    let code = match args.to {
        QueueKind::Script => {
            printer.result(&queue::commands(&calls, sweep.chunks.len()));
            exit::OK
        }
        QueueKind::Slurm => to_slurm(args, &store, &folder, &calls, &sweep, needs, &all, printer)?,
        QueueKind::Hyperqueue => {
            let text = queue::job_file(
                &calls,
                sweep.chunks.len(),
                needs,
                &all[0].spec.name,
                &folder.logs(),
            );
            let file = folder.0.join("hyperqueue.toml");
            store
                .fs()
                .write_atomic(&file, text.as_bytes())
                .map_err(crate::error::Error::from)?;
            let id = queue::submit_file(&file, &args.extra).map_err(Failure::input)?;
            let jobs = Jobs {
                queue: "hyperqueue".to_owned(),
                jobs: vec![Job {
                    id: id.clone(),
                    kind: JobKind::Chunks {
                        offset: 0,
                        count: sweep.chunks.len(),
                    },
                }],
                ..Jobs::default()
            };
            folder.put_jobs(&store, &jobs)?;
            printer.note(&format!("submitted: HyperQueue job {id}"));
            exit::OK
        }
    };
    match args.wait && args.to != QueueKind::Script {
        true => wait(&folder, &store, &all, printer),
        false => Ok(code),
    }
}

/// The engine that the tasks will use; `None` for a GPU that this machine, a login node, does not
/// have.
fn engine(device: DeviceKind) -> Result<Option<Box<dyn Engine>>, Failure> {
    match (engine::open(device), device) {
        (Err(_), DeviceKind::Cuda(_)) => Ok(None),
        (opened, _) => Ok(Some(opened?)),
    }
}

fn absolute(path: &Path) -> Result<std::path::PathBuf, Failure> {
    std::path::absolute(path)
        .map_err(|error| Failure::input(format!("`{}`: {error}", path.display())))
}

/// The runs to make.
struct Wanted<'a> {
    /// Index of the spec, the run, its seconds.
    pieces: Vec<Piece<(usize, &'a Run)>>,
    cached: usize,
    /// Number of runs that wait in the queue or are being trained.
    queued: usize,
}

impl<'a> Wanted<'a> {
    fn look(
        all: &'a [Opened],
        store: &Store,
        args: &SubmitArgs,
        printer: Printer,
    ) -> Result<Self, Failure> {
        let threads = usize::from(args.threads / args.jobs).max(1);
        let pace = Pace::of_tasks(store, args.device, threads).ok();
        let queued = jobs::queued(store, printer)?;
        let mut wanted = Self {
            pieces: Vec::new(),
            cached: 0,
            queued: 0,
        };
        let mut seen = BTreeSet::new();
        for (place, opened) in all.iter().enumerate() {
            let ids: Vec<_> = opened.plan.runs.iter().map(|run| run.id).collect();
            for (run, status) in opened.plan.runs.iter().zip(store.statuses(&ids)?) {
                if !seen.insert((run.id, run.eval_id)) {
                    continue;
                }
                let is_scored =
                    run.settings.eval == EvalSettings::default() || store.has_eval(&run.eval_id)?;
                if status == RunStatus::Cached && is_scored {
                    wanted.cached += 1;
                } else if queued.contains(&run.id) {
                    wanted.queued += 1;
                } else {
                    wanted.pieces.push(Piece {
                        run: (place, run),
                        seconds: pace
                            .as_ref()
                            .and_then(|pace| pace.guess(run))
                            .map(|seconds| seconds / f64::from(args.jobs)),
                    });
                }
            }
        }
        Ok(wanted)
    }

    fn nothing(&self) -> String {
        match self.queued {
            0 => format!("nothing to submit: all {} runs are cached", self.cached),
            queued => format!(
                "nothing to submit: {} runs are cached, {queued} are in the queue",
                self.cached
            ),
        }
    }
}

fn sweep(
    args: &SubmitArgs,
    all: &[Opened],
    wanted: &Wanted<'_>,
    engine: Option<&dyn Engine>,
    leases: LeaseTiming,
) -> Result<Sweep, Failure> {
    let specs = all.iter().map(|opened| {
        let spec = &opened.spec;
        let text = std::fs::read_to_string(&spec.path).map_err(|error| {
            Failure::input(format!("cannot read `{}`: {error}", spec.path.display()))
        })?;
        if crate::digest::Sha256Hex::of(text.as_bytes()) != spec.digest {
            return Err(
                Failure::input(format!("`{}` was changed just now", spec.path.display()))
                    .hint("submit again"),
            );
        }
        Ok(SweepSpec {
            path: AnyPath(absolute(&spec.path)?),
            text,
            profile: spec.profile.clone(),
            overrides: spec.overrides.clone(),
            plan: opened.whole,
        })
    });
    let dtypes: Vec<_> = wanted
        .pieces
        .iter()
        .map(|piece| piece.run.1.settings.train.dtype)
        .collect();
    let mut numerics = Vec::new();
    for dtype in dtypes {
        let found = engine.map(|engine| engine.numerics(dtype));
        numerics.extend(found.filter(|found| !numerics.contains(found)));
    }
    let least = f64::from(args.task_minutes) * 60.0;
    let chunks = queue::chunks(&wanted.pieces, least)
        .into_iter()
        .map(|chunk| Chunk {
            seconds: chunk.iter().map(|piece| piece.seconds).sum(),
            runs: chunk
                .iter()
                .map(|piece| (piece.run.0, piece.run.1.id))
                .collect(),
        });
    Ok(Sweep {
        format: Sweep::FORMAT,
        specs: specs.collect::<Result<_, Failure>>()?,
        numerics,
        chunks: chunks.collect(),
        threads: usize::from(args.threads.max(args.jobs)),
        jobs: usize::from(args.jobs),
        device: args.device.to_string(),
        requeues: args.max_requeues,
        beat_seconds: leases.beat.as_secs_f64(),
        stale_seconds: leases.stale.as_secs_f64(),
    })
}

/// The limits of a task: the largest needs of all chunks.
fn needs(args: &SubmitArgs, all: &[Opened], sweep: &Sweep) -> Result<Needs, Failure> {
    let mut seconds = sweep.chunks.iter().map(|chunk| chunk.seconds);
    let longest = seconds.try_fold(0.0, |most: f64, seconds| Some(most.max(seconds?)));
    let minutes = match (args.time, longest) {
        (Limit::Default, _) => None,
        (Limit::Given(minutes), _) => Some(minutes),
        (Limit::Auto, Some(seconds)) => Some((2.0 * seconds / 60.0).ceil() as u64 + SPARE_MINUTES),
        (Limit::Auto, None) if args.to == QueueKind::Slurm => {
            let message = "it is not known how long the runs take: none like them was trained into this store yet";
            return Err(Failure::usage(message).hint(
                "give minutes with `--time`, or let `specbook run SPEC --filter NAME --jobs 1` measure one run first",
            ));
        }
        (Limit::Auto, None) => None,
    };
    let estimate = |(place, id): &(usize, RunId)| {
        let runs = &all.get(*place)?.plan.runs;
        let run = runs.iter().find(|run| run.id == *id)?;
        Some(run.estimate.peak_rss_bytes)
    };
    let largest = sweep
        .chunks
        .iter()
        .flat_map(|chunk| &chunk.runs)
        .filter_map(estimate)
        .max();
    let mib = match args.mem {
        Limit::Default => None,
        Limit::Given(mib) => Some(mib),
        Limit::Auto => largest.map(|bytes| {
            let bytes = bytes as f64 * sweep.jobs as f64 * 1.15;
            (bytes / f64::from(1 << 20)).ceil() as u64 + SPARE_MIB
        }),
    };
    Ok(Needs {
        minutes,
        mib,
        cores: sweep.threads,
    })
}

fn calls(
    args: &SubmitArgs,
    store: &Store,
    folder: &SweepFolder,
    reports: &Path,
    whole: bool,
) -> Result<Calls, Failure> {
    let program = std::env::current_exe()
        .map_err(|error| Failure::input(format!("the program cannot name itself: {error}")))?;
    let report = || {
        let mut words = vec![OsString::from("report")];
        for spec in workspace::spec_files(&args.spec.specs)? {
            words.push(absolute(&spec)?.into());
        }
        let spec = &args.spec;
        let profile = spec.profile.iter().map(|name| ["--profile", name]);
        let overrides = spec.overrides.iter().map(|set| ["--set", set]);
        words.extend(profile.chain(overrides).flatten().map(OsString::from));
        words.extend(["--store".into(), absolute(store.root())?.into()]);
        words.extend(["--out".into(), absolute(reports)?.into()]);
        Ok::<_, Failure>(words)
    };
    Ok(Calls {
        program: absolute(&program)?,
        sweep: absolute(&folder.file())?,
        report: whole.then(report).transpose()?,
    })
}

fn slurm(args: &SubmitArgs, needs: Needs) -> Slurm {
    Slurm {
        partition: args.partition.clone(),
        max_running: args.max_running.map(|most| most as usize),
        // At most a quarter of a short task's time.
        warning: needs
            .minutes
            .map_or(WARNING, |minutes| WARNING.min(minutes * 15)),
        array_size: queue::array_size(),
        extra: args.extra.clone(),
    }
}

fn submissions(
    args: &SubmitArgs,
    calls: &Calls,
    folder: &SweepFolder,
    sweep: &Sweep,
    needs: Needs,
    all: &[Opened],
) -> Vec<Submission> {
    slurm(args, needs).submissions(
        calls,
        sweep.chunks.len(),
        needs,
        &all[0].spec.name,
        &folder.logs(),
    )
}

/// A description of what would be submitted.
fn shown(
    args: &SubmitArgs,
    calls: &Calls,
    folder: &SweepFolder,
    sweep: &Sweep,
    needs: Needs,
    all: &[Opened],
) -> String {
    match args.to {
        QueueKind::Script => queue::commands(calls, sweep.chunks.len()),
        QueueKind::Hyperqueue => queue::job_file(
            calls,
            sweep.chunks.len(),
            needs,
            &all[0].spec.name,
            &folder.logs(),
        ),
        QueueKind::Slurm => {
            let mut before = Vec::new();
            let mut texts = Vec::new();
            for (number, submission) in submissions(args, calls, folder, sweep, needs, all)
                .iter()
                .enumerate()
            {
                texts.push(submission.as_text(&before));
                before.push((submission.kind, format!("$JOB{}", number + 1)));
            }
            texts.join("\n\n")
        }
    }
}

/// `36 runs in 4 tasks, about 31 min each at most; 20 cached`.
fn summary(sweep: &Sweep, needs: Needs, wanted: &Wanted<'_>) -> String {
    let mut parts = vec![format!(
        "{} in {}",
        human::counted(wanted.pieces.len() as u64, "run"),
        human::counted(sweep.chunks.len() as u64, "task")
    )];
    let longest = sweep.chunks.iter().filter_map(|chunk| chunk.seconds);
    let longest = longest.max_by(f64::total_cmp).map(human::seconds);
    parts.extend(longest.map(|longest| format!("the longest about {longest}")));
    parts.extend(
        needs
            .minutes
            .map(|minutes| format!("each may take {minutes} min")),
    );
    let memory = needs.mib.map(|mib| human::bytes(mib << 20));
    parts.extend(memory.map(|memory| format!("{memory} of memory")));
    let others = [
        (wanted.cached, "cached"),
        (wanted.queued, "in the queue already"),
    ];
    let others = others.iter().filter(|(count, _)| *count > 0);
    parts.extend(others.map(|(count, what)| format!("{count} {what}")));
    parts.join(", ")
}

#[expect(clippy::too_many_arguments, reason = "the parts of one submission")]
fn to_slurm(
    args: &SubmitArgs,
    store: &Store,
    folder: &SweepFolder,
    calls: &Calls,
    sweep: &Sweep,
    needs: Needs,
    all: &[Opened],
    printer: Printer,
) -> Result<u8, Failure> {
    let mut before: Vec<(JobKind, String)> = Vec::new();
    let mut jobs = Jobs {
        queue: Slurm::NAME.to_owned(),
        ..Jobs::default()
    };
    for submission in submissions(args, calls, folder, sweep, needs, all) {
        let id = submission.submit(&before).map_err(|reason| {
            let ids: Vec<&str> = before.iter().map(|(_, id)| id.as_str()).collect();
            let hint = match ids.is_empty() {
                true => "nothing was submitted".to_owned(),
                false => format!("submitted so far: jobs {}; `specbook cancel` removes them; `specbook submit` later adds missing ones", ids.join(", ")),
            };
            Failure::input(reason).hint(hint)
        })?;
        before.push((submission.kind, id.clone()));
        jobs.jobs.push(Job {
            id,
            kind: submission.kind,
        });
        // Stored after each job, so that `cancel` finds them whatever happens next.
        folder.put_jobs(store, &jobs)?;
    }
    let ids: Vec<&str> = before.iter().map(|(_, id)| id.as_str()).collect();
    printer.note(&format!(
        "submitted: Slurm jobs {}; logs are in `{}`",
        ids.join(", "),
        folder.logs().display()
    ));
    Ok(exit::OK)
}

/// Waits until the queue no longer knows any job of the sweep, then examines the store.
fn wait(
    folder: &SweepFolder,
    store: &Store,
    all: &[Opened],
    printer: Printer,
) -> Result<u8, Failure> {
    let submitted = folder.jobs(store)?;
    let mut told = false;
    loop {
        match jobs::living(&submitted) {
            Ok(living) if living.is_empty() => break,
            Ok(_) => told = false,
            // A restarting queue does not answer.
            Err(reason) if !told => {
                printer.warning(&format!("{reason}; asking again"));
                told = true;
            }
            Err(_) => {}
        }
        std::thread::sleep(POLL);
    }
    let mut missing = 0;
    for opened in all {
        let ids: Vec<_> = opened.plan.runs.iter().map(|run| run.id).collect();
        let statuses = store.statuses(&ids)?;
        missing += statuses
            .iter()
            .filter(|status| **status != RunStatus::Cached)
            .count();
    }
    match missing {
        0 => Ok(exit::OK),
        missing => {
            let text = format!("no task is left, and {missing} runs are missing");
            printer.error(&text, Some("`specbook status` names them, `specbook submit` queues them again; the logs say why"));
            Ok(exit::RUN_FAILED)
        }
    }
}
