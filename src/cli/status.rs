//! `specbook status`: which runs are there.

use super::args::{Global, StatusArgs};
use super::failure::Failure;
use super::print::{self, Printer};
use super::shared::status_word;
use super::{exit, workspace};
use crate::record::RunStatus;
use serde_json::json;

/// Prints a line per run, or the counts alone.
pub(crate) fn execute(args: &StatusArgs, global: &Global, printer: Printer) -> Result<u8, Failure> {
    let store = workspace::store(global, &args.spec.specs[0])?;
    let all = workspace::open(&args.spec, &store, printer)?;
    let mut stale = false;
    let mut json_specs = Vec::new();
    for opened in &all {
        let ids: Vec<_> = opened.plan.runs.iter().map(|run| run.id).collect();
        let statuses = store.statuses(&ids)?;
        stale |= statuses.iter().any(|status| *status != RunStatus::Cached);
        let cached = statuses
            .iter()
            .filter(|status| **status == RunStatus::Cached)
            .count();
        if printer.json() {
            let runs: Vec<_> = opened
                .plan
                .runs
                .iter()
                .zip(&statuses)
                .map(|(run, status)| json!({"id": run.id, "name": run.name, "status": status}))
                .collect();
            json_specs.push(json!({"format": 1, "spec": opened.plan.spec, "profile": opened.plan.profile, "cached": cached, "runs": runs}));
            continue;
        }
        printer.result(&format!(
            "{} (profile {}): {cached} of {} cached",
            opened.plan.spec,
            opened.plan.profile,
            statuses.len()
        ));
        let shown = opened
            .plan
            .runs
            .iter()
            .zip(&statuses)
            .filter(|(_, status)| {
                !printer.quiet && (**status != RunStatus::Cached || printer.verbose)
            });
        let rows: Vec<Vec<String>> = shown
            .map(|(run, status)| {
                vec![
                    format!("  {}", run.name),
                    run.id.0.short(),
                    status_word(*status).to_owned(),
                ]
            })
            .collect();
        if !rows.is_empty() {
            printer.result(&print::table(&["  run", "id", "status"], &rows));
        }
    }
    if printer.json() {
        printer.json_result(&json_specs)?;
    }
    Ok(if stale && args.exit_code {
        exit::STALE
    } else {
        exit::OK
    })
}
