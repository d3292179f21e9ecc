//! `specbook worker`: one task of a sweep. It trains the runs of its chunk, leaves runs that
//! another process is making to that process, and puts itself into the queue again if it is told to
//! end.

use super::args::{Global, WorkerArgs};
use super::failure::Failure;
use super::print::Printer;
use super::progress::Progress;
use super::signals::Signals;
use super::{check, exit, project, run, workspace};
use crate::fsx::QueueJob;
use crate::plan::Plan;
use crate::queue::{Slurm, Sweep, SweepFolder, SweepSpec, requeue};
use crate::scheduler::{Options, Scheduler, Summary, Work as _};
use crate::spec::{LoadRequest, SpecText};
use crate::store::Store;
use crate::train::Engine;
use crate::train::engine::{self, DeviceKind};
use crate::workload::Workload;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::Ordering;

/// Does the task's share of the work.
pub(crate) fn execute(args: &WorkerArgs, global: &Global, printer: Printer) -> Result<u8, Failure> {
    let task = Task::of_environment(|name| std::env::var(name).ok());
    if let Some(task) = &task {
        task.job().adopt();
    }
    let root = SweepFolder::store_of(&args.manifest);
    let root = global.store.clone().or(root);
    let named = Global {
        store: root,
        ..global.clone()
    };
    let store = project::store_that_exists(&named, Path::new("."))?;
    let sweep = Sweep::read(store.fs(), &args.manifest)?;
    let leases = sweep.leases().ok_or_else(|| {
        Failure::input(format!(
            "`{}`: its pace of leases is not possible",
            args.manifest.display()
        ))
    })?;
    let store = store.with_lease_timing(leases);
    let device: DeviceKind = sweep.device.parse()?;
    let engine = engine::open(device)?;
    let again = task.clone().filter(|task| task.tries < sweep.requeues);
    let signals = Signals::in_queue(printer, move || {
        again.iter().for_each(|task| task.requeue(printer))
    })?;
    let mut worker = Worker {
        args,
        sweep: &sweep,
        store: &store,
        engine: engine.as_ref(),
        signals: &signals,
        printer,
        summary: Summary::default(),
        is_whole: false,
    };
    let ended = match args.index {
        Some(index) => worker.chunk(index),
        None => worker.prepare(),
    };
    let (summary, is_whole) = (worker.summary, worker.is_whole);
    if signals.flag().load(Ordering::SeqCst) && !(ended.is_ok() && is_whole) {
        signals.end();
        return Ok(exit::TERMINATED);
    }
    ended?;
    for warning in store.take_warnings() {
        printer.warning(&warning);
    }
    printer.note(&run::sentence(&summary, None));
    Ok(match summary.failed.is_empty() {
        true => exit::OK,
        false => exit::RUN_FAILED,
    })
}

struct Worker<'a> {
    args: &'a WorkerArgs,
    sweep: &'a Sweep,
    store: &'a Store,
    engine: &'a dyn Engine,
    signals: &'a Signals,
    printer: Printer,
    summary: Summary,
    /// Whether everything was done.
    is_whole: bool,
}

impl Worker<'_> {
    /// Trains the runs of a chunk.
    fn chunk(&mut self, index: usize) -> Result<(), Failure> {
        let Some(chunk) = self.sweep.chunks.get(index) else {
            let count = self.sweep.chunks.len();
            return Err(Failure::usage(format!(
                "there is no chunk {index}: the sweep has {count}, from 0"
            )));
        };
        let specs: BTreeSet<usize> = chunk.runs.iter().map(|(spec, _)| *spec).collect();
        for place in specs {
            let wanted: BTreeSet<_> = chunk
                .runs
                .iter()
                .filter(|(spec, _)| *spec == place)
                .map(|(_, id)| *id)
                .collect();
            let (mut plan, context) = self.plan(place)?;
            plan.runs.retain(|run| wanted.contains(&run.id));
            let workload = Workload::new(self.store, self.engine, &context);
            let defaults = Options::default();
            let device: DeviceKind = self.sweep.device.parse()?;
            let scheduler = Scheduler {
                store: self.store,
                engine: self.engine,
                options: Options {
                    jobs: self.sweep.jobs,
                    threads: self.sweep.threads,
                    free_memory: run::free_memory(device),
                    device: self.sweep.device.clone(),
                    wait: false,
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
            let ids: Vec<_> = plan.runs.iter().map(|run| run.id).collect();
            let progress = Progress::new(&plan.runs, &self.store.statuses(&ids)?, self.printer);
            let summary = scheduler.run(&plan, &workload, &progress, self.signals.flag())?;
            run::calibrate(self.store, &progress, self.sweep.threads, self.sweep.jobs);
            let is_stopped = !summary.stopped.is_empty();
            self.add(summary);
            if is_stopped {
                return Ok(());
            }
        }
        self.is_whole = true;
        Ok(())
    }

    fn add(&mut self, other: Summary) {
        let all = &mut self.summary;
        all.runs += other.runs;
        all.trained += other.trained;
        all.cached += other.cached;
        all.evaluated += other.evaluated;
        all.steps += other.steps;
        all.failed.extend(other.failed);
        all.stopped.extend(other.stopped);
        all.left.extend(other.left);
    }

    /// Reads and tokenises the data of every run once, so that the tasks find it ready.
    fn prepare(&mut self) -> Result<(), Failure> {
        for place in 0..self.sweep.specs.len() {
            let (plan, context) = self.plan(place)?;
            let workload = Workload::new(self.store, self.engine, &context);
            let mut seen = BTreeSet::new();
            for run in &plan.runs {
                let data = serde_json::to_string(&(&run.key.data, run.model.max_seq_len))?;
                if self.signals.flag().load(Ordering::SeqCst) {
                    return Ok(());
                }
                if seen.insert(data) {
                    let prepared = workload.prepare(run);
                    prepared.map_err(|error| {
                        let text = crate::store::chain(error.as_ref());
                        Failure::input(format!("run `{}`: {text}", run.name))
                    })?;
                }
            }
        }
        self.is_whole = true;
        Ok(())
    }

    /// The plan of a spec, which must equal that of `submit`.
    fn plan(&self, place: usize) -> Result<(Plan, crate::data::DataContext), Failure> {
        let Some(of) = self.sweep.specs.get(place) else {
            return Err(Failure::input(
                "the sweep names a spec that it does not hold",
            ));
        };
        let request = LoadRequest {
            profile: Some(of.profile.clone()),
            overrides: of.overrides.clone(),
        };
        let text = SpecText::new(of.text.clone(), &of.path.0);
        let spec = text.and_then(|text| text.spec(&request));
        let spec = spec.map_err(|error| Failure::from(error).invalid_spec(&of.path.0))?;
        check::supported(&spec, &spec.profile, &spec.runs, self.engine)?;
        let mut context = workspace::context(&spec, false, self.store)?;
        context.stop = self.signals.stop();
        let plan = crate::plan::expand(&spec, &context).map_err(crate::error::Error::from)?;
        if SweepSpec::digest(plan.runs.iter()) != of.plan {
            let message = format!(
                "the data of `{}` has changed since the sweep was submitted: its runs are other ones now",
                spec.name
            );
            return Err(
                Failure::input(message).hint("`specbook cancel` and `specbook submit` again")
            );
        }
        for pinned in &self.sweep.numerics {
            let dtype = serde_json::from_value(pinned.dtype.clone().into())?;
            let ours = self.engine.numerics(dtype);
            if !ours.agrees_with(pinned) {
                let message =
                    format!("this machine computes by {ours}, the sweep is pinned to {pinned}");
                return Err(Failure::input(message).hint(
                    "ask for machines of one kind: `specbook submit … -- --constraint=NAME`",
                ));
            }
        }
        Ok((plan, context))
    }
}

/// The queue task that this process belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Task {
    queue: &'static str,
    /// Name of the cluster or server.
    of: String,
    /// Its id as the queue accepts it: `12`, `12_3`.
    id: String,
    /// Number of earlier attempts.
    tries: u32,
}

impl Task {
    /// Reads the environment; `None` outside a queue.
    fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let number = |name: &str| {
            variable(name)
                .and_then(|text| text.parse().ok())
                .unwrap_or(0)
        };
        if let Some(job) = variable("SLURM_JOB_ID") {
            let array = variable("SLURM_ARRAY_JOB_ID").zip(variable("SLURM_ARRAY_TASK_ID"));
            return Some(Self {
                queue: "slurm",
                of: variable("SLURM_CLUSTER_NAME").unwrap_or_default(),
                id: array.map_or(job, |(array, index)| format!("{array}_{index}")),
                tries: number("SLURM_RESTART_COUNT"),
            });
        }
        let (job, task) = variable("HQ_JOB_ID").zip(variable("HQ_TASK_ID"))?;
        Some(Self {
            queue: "hyperqueue",
            of: variable("HQ_SERVER_UID").unwrap_or_default(),
            id: format!("{job}.{task}"),
            tries: number("HQ_INSTANCE_ID"),
        })
    }

    fn job(&self) -> QueueJob {
        QueueJob {
            name: format!("{}:{}:{}", self.queue, self.of, self.id),
            tries: self.tries,
        }
    }

    /// Puts it into the queue again; HyperQueue does so by itself.
    fn requeue(&self, printer: Printer) {
        if self.queue != Slurm::NAME {
            return;
        }
        let text = match requeue(&self.id) {
            Ok(true) => format!("task {} is in the queue again", self.id),
            Ok(false) => format!(
                "task {} is not put into the queue again: the queue ends it",
                self.id
            ),
            Err(reason) => format!(
                "task {} cannot be put into the queue again: {reason}",
                self.id
            ),
        };
        printer.note(&text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(variables: &[(&str, &str)]) -> Option<Task> {
        let find = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Task::of_environment(find)
    }

    #[test]
    fn the_environment_names_the_task() {
        assert_eq!(task(&[("PATH", "/bin")]), None);
        let slurm = [
            ("SLURM_JOB_ID", "15"),
            ("SLURM_CLUSTER_NAME", "lab"),
            ("SLURM_ARRAY_JOB_ID", "12"),
            ("SLURM_ARRAY_TASK_ID", "3"),
            ("SLURM_RESTART_COUNT", "2"),
        ];
        let job = task(&slurm).unwrap().job();
        assert_eq!((job.name.as_str(), job.tries), ("slurm:lab:12_3", 2));
        let alone = task(&slurm[..2]).unwrap().job();
        assert_eq!((alone.name.as_str(), alone.tries), ("slurm:lab:15", 0));
        let hq = [
            ("HQ_JOB_ID", "4"),
            ("HQ_TASK_ID", "7"),
            ("HQ_INSTANCE_ID", "1"),
        ];
        let job = task(&hq).unwrap().job();
        assert_eq!((job.name.as_str(), job.tries), ("hyperqueue::4.7", 1));
    }
}
