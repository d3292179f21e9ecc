//! `specbook explain`: why runs are not cached, shown as the settings that differ from the most
//! similar cached run.

use super::args::{Global, Planned};
use super::failure::Failure;
use super::plan::{Extensions, Pace, goes_on};
use super::print::Printer;
use super::shared::status_word;
use super::{exit, project, workspace};
use crate::plan::{self, Change, Nearest, Run};
use crate::record::{RunRecord, RunStatus};
use crate::scheduler::begins_like;
use crate::store::Store;
use serde_json::json;
use std::collections::BTreeMap;

/// The finished runs of a store, for comparison.
#[derive(Default)]
pub(crate) struct Relatives {
    records: Vec<RunRecord>,
    nearest: Nearest,
}

impl Relatives {
    /// Reads the runs.
    pub(crate) fn new(store: &Store) -> Result<Self, Failure> {
        let mut records = store.list()?;
        records.retain(|record| record.status == RunStatus::Cached);
        let nearest = Nearest::new(records.iter().map(|record| &record.key));
        Ok(Self { records, nearest })
    }

    /// The most similar run to `run` (the first of several) and the differences.
    fn nearest(&self, run: &Run) -> Option<(&RunRecord, Vec<Change>)> {
        let key = serde_json::to_value(&run.key).ok()?;
        let record = &self.records[self.nearest.of(&key)?];
        Some((record, plan::changes(&record.key, &key)))
    }

    /// One sentence on why `run` has this `status`; `None` for cached runs.
    pub(crate) fn reason(&self, run: &Run, status: RunStatus) -> Option<String> {
        match status {
            RunStatus::Cached => None,
            RunStatus::Running => Some("another process is training it".to_owned()),
            RunStatus::Partial => {
                Some("interrupted; `run` continues from its checkpoint".to_owned())
            }
            RunStatus::Failed => Some("failed; `run` tries it again".to_owned()),
            RunStatus::Missing => Some(match self.nearest(run) {
                None => "the store has no finished run".to_owned(),
                Some((record, changes)) => {
                    let shown: Vec<String> =
                        changes.iter().take(4).map(ToString::to_string).collect();
                    let more = changes.len().saturating_sub(4);
                    let more = if more > 0 {
                        format!(" and {more} more")
                    } else {
                        String::new()
                    };
                    let extended = if begins_like(record, run) {
                        "; it is the first part of this run: had it been made with `run --keep-checkpoints`, this run would \
                         continue from its end"
                    } else {
                        ""
                    };
                    format!(
                        "differs from {}/{}: {}{more}{extended}",
                        record.spec,
                        record.name,
                        shown.join("; ")
                    )
                }
            }),
        }
    }
}

/// Prints each reason, and each changed setting with the number of runs it affects.
pub(crate) fn execute(args: &Planned, global: &Global, printer: Printer) -> Result<u8, Failure> {
    let store = project::store(global, &args.spec.specs[0])?;
    let all = workspace::open(&args.spec, &store, printer)?;
    let relatives = Relatives::new(&store)?;
    let pace = Pace::new(&store)?;
    let extensions = Extensions::new(!args.no_extend);
    let mut json_specs = Vec::new();
    for opened in &all {
        let mut affected: BTreeMap<String, usize> = BTreeMap::new();
        let mut lines = Vec::new();
        let mut json_runs = Vec::new();
        for run in &opened.plan.runs {
            let status = store.status(&run.id)?;
            let base = extensions.of(run, status, &store, &pace)?;
            let reason = match base {
                Some(base) => Some(goes_on(run, &base)),
                None => relatives.reason(run, status),
            };
            let changes = if status == RunStatus::Missing {
                relatives.nearest(run).map(|(_, changes)| changes)
            } else {
                None
            };
            for change in changes.iter().flatten() {
                *affected.entry(change.to_string()).or_default() += 1;
            }
            if let Some(reason) = &reason {
                lines.push(format!(
                    "  {} ({}): {reason}",
                    run.name,
                    status_word(status)
                ));
            }
            json_runs.push(json!({"id": run.id, "name": run.name, "status": status, "reason": reason, "changes": changes}));
        }
        if printer.json() {
            json_specs.push(json!({"format": 1, "spec": opened.plan.spec, "profile": opened.plan.profile, "runs": json_runs}));
            continue;
        }
        let runs = opened.plan.runs.len();
        if lines.is_empty() {
            printer.result(&format!("{}: all {runs} runs are cached", opened.plan.spec));
            continue;
        }
        printer.result(&format!(
            "{}: {} of {runs} runs are not cached",
            opened.plan.spec,
            lines.len()
        ));
        for (change, count) in &affected {
            printer.result(&format!("{change}; affects {count} of {runs} runs"));
        }
        printer.result(&lines.join("\n"));
    }
    if printer.json() {
        printer.json_result(&json_specs)?;
    }
    Ok(exit::OK)
}
