//! `specbook cancel`: removes the jobs of specs from their queue.

use super::args::{CancelArgs, Global};
use super::failure::Failure;
use super::print::Printer;
use super::{exit, jobs, project, workspace};
use crate::queue::{self, Slurm};
use std::collections::BTreeSet;

/// Cancels every job that makes runs of the specs. Saved results are kept.
pub(crate) fn execute(args: &CancelArgs, global: &Global, printer: Printer) -> Result<u8, Failure> {
    let store = project::store(global, &args.spec.specs[0])?;
    let all = workspace::open(&args.spec, &store, printer)?;
    let runs: BTreeSet<_> = all
        .iter()
        .flat_map(|opened| &opened.plan.runs)
        .map(|run| run.id)
        .collect();
    let mut cancelled = Vec::new();
    for folder in queue::sweeps(&store)? {
        let sweep = folder.sweep(&store)?;
        let ours = sweep
            .chunks
            .iter()
            .flat_map(|chunk| &chunk.runs)
            .any(|(_, id)| runs.contains(id));
        let submitted = folder.jobs(&store)?;
        if !ours || submitted.jobs.is_empty() {
            continue;
        }
        let living = jobs::living(&submitted).map_err(Failure::input)?;
        let ids: BTreeSet<String> = living.into_iter().map(|(_, task)| task.job).collect();
        let ids: Vec<String> = ids.into_iter().collect();
        if ids.is_empty() {
            continue;
        }
        let called = match submitted.queue.as_str() {
            Slurm::NAME => queue::call("scancel", &ids, None),
            _ => queue::call("hq", &["job", "cancel", &ids.join(",")], None),
        };
        called.map_err(Failure::input)?;
        cancelled.extend(ids);
    }
    match cancelled.is_empty() {
        true => printer.note("no job of these specs is in a queue"),
        false => printer.note(&format!(
            "cancelled: jobs {}; checkpoints are kept",
            cancelled.join(", ")
        )),
    }
    Ok(exit::OK)
}
