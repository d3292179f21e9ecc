//! The status that queues report for the sweeps of a store.

use super::failure::Failure;
use super::print::Printer;
use crate::queue::{self, JobKind, Jobs, Slurm, Task};
use crate::record::RunId;
use crate::store::Store;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Tasks of a sweep that its queue still knows, each with its chunk; `None` for a task without one.
pub(crate) fn living(jobs: &Jobs) -> Result<Vec<(Option<usize>, Task)>, String> {
    let tasks = match jobs.queue.as_str() {
        Slurm::NAME => queue::tasks()?,
        "hyperqueue" => queue::hyperqueue_tasks(jobs)?,
        _ => Vec::new(),
    };
    let chunk = |task: &Task| {
        let job = jobs.jobs.iter().find(|job| job.id == task.job)?;
        Some(match job.kind {
            JobKind::Chunks { offset, .. } => task.index.map(|index| offset + index),
            JobKind::Prepare | JobKind::Report => None,
        })
    };
    let tasks = tasks.into_iter();
    Ok(tasks
        .filter_map(|task| Some((chunk(&task)?, task)))
        .collect())
}

/// Runs that a waiting or working task will make. If a queue does not answer, there are none:
/// leases prevent two processes from making the same run.
pub(crate) fn queued(store: &Store, printer: Printer) -> Result<BTreeSet<RunId>, Failure> {
    let mut runs = BTreeSet::new();
    for folder in queue::sweeps(store)? {
        let jobs = folder.jobs(store)?;
        if jobs.jobs.is_empty() {
            continue;
        }
        match living(&jobs) {
            Ok(tasks) if tasks.is_empty() => {}
            Ok(tasks) => {
                let sweep = folder.sweep(store)?;
                let chunks = tasks
                    .iter()
                    .filter_map(|(chunk, _)| sweep.chunks.get((*chunk)?));
                runs.extend(chunks.flat_map(|chunk| &chunk.runs).map(|(_, id)| *id));
            }
            Err(reason) => {
                printer.warning(&format!("what waits in the queue is not known: {reason}"))
            }
        }
    }
    Ok(runs)
}

/// Sweeps with no task known to their queue, with their runs, including sweeps run by a shell.
/// Sweeps whose queue does not answer are left out, and so are damaged ones unless `damaged` is set.
pub(crate) fn idle(
    store: &Store,
    damaged: bool,
    printer: Printer,
) -> Result<BTreeMap<PathBuf, BTreeSet<RunId>>, Failure> {
    let mut all = BTreeMap::new();
    for folder in queue::sweeps(store)? {
        let runs = match folder
            .jobs(store)
            .and_then(|jobs| Ok((jobs, folder.sweep(store)?)))
        {
            Ok((jobs, sweep)) => match living(&jobs) {
                Ok(tasks) if tasks.is_empty() => sweep.runs(),
                Ok(_) => continue,
                Err(reason) => {
                    let path = folder.0.display();
                    printer.warning(&format!(
                        "`{path}` stays: what waits in its queue is not known: {reason}"
                    ));
                    continue;
                }
            },
            Err(error) if error.is_damage() && damaged => BTreeSet::new(),
            Err(error) => {
                printer.warning(&format!(
                    "`{}` stays: {}",
                    folder.0.display(),
                    error.chain()
                ));
                continue;
            }
        };
        all.insert(folder.0, runs);
    }
    Ok(all)
}

/// What the queue reports about the `open` runs of a plan, in words; `None` if they were never
/// submitted.
pub(crate) fn explained(store: &Store, open: &BTreeSet<RunId>) -> Result<Option<String>, Failure> {
    let mut states: BTreeMap<String, BTreeSet<RunId>> = BTreeMap::new();
    let mut known = BTreeSet::new();
    let mut notes = BTreeSet::new();
    for folder in queue::sweeps(store)? {
        let jobs = folder.jobs(store)?;
        let Ok(sweep) = folder.sweep(store) else {
            continue;
        };
        let of_chunk = |chunk: usize| {
            let runs = sweep.chunks.get(chunk).map_or(&[][..], |chunk| &chunk.runs);
            runs.iter()
                .map(|(_, id)| *id)
                .filter(|id| open.contains(id))
        };
        let all: BTreeSet<RunId> = (0..sweep.chunks.len()).flat_map(of_chunk).collect();
        if jobs.jobs.is_empty() || all.is_empty() {
            continue;
        }
        known.extend(all);
        match living(&jobs) {
            Ok(tasks) => {
                for (chunk, task) in tasks {
                    let runs = chunk.into_iter().flat_map(of_chunk);
                    states
                        .entry(task.state.to_lowercase())
                        .or_default()
                        .extend(runs);
                }
            }
            Err(reason) => drop(notes.insert(reason)),
        }
    }
    if known.is_empty() {
        return Ok(None);
    }
    let mut parts: Vec<String> = states
        .iter()
        .filter(|(_, runs)| !runs.is_empty())
        .map(|(state, runs)| format!("{} {state}", runs.len()))
        .collect();
    let living: BTreeSet<RunId> = states.into_values().flatten().collect();
    let gone = known.difference(&living).count();
    if notes.is_empty() && gone > 0 {
        parts.push(format!(
            "{gone} gone from it (`specbook submit` queues them again)"
        ));
    }
    parts.extend(notes);
    Ok(Some(format!("in the queue: {}", parts.join(", "))))
}
