//! `specbook status`: which runs exist.

use super::args::{Global, StatusArgs};
use super::failure::Failure;
use super::print::{self, Printer};
use super::shared::status_word;
use super::workspace::{self, Opened};
use super::{exit, jobs, live, plan, project, report};
use crate::fsx::RealFs;
use crate::human;
use crate::record::RunStatus;
use crate::report::ReportFolder;
use crate::store::Store;
use serde::Serialize;
use serde_json::json;
use std::path::Path;

/// Prints one line per run, or only the counts.
pub(crate) fn execute(args: &StatusArgs, global: &Global, printer: Printer) -> Result<u8, Failure> {
    let store = project::store(global, &args.spec.specs[0])?;
    let all = workspace::open_known(&args.spec, &store, printer)?;
    if let Some(file) = &args.watch {
        let page = live::Page::new(file, all.iter(), &store)?;
        live::watch(&page, &store)?;
    }
    let reports = project::committed_reports(args.out.as_deref(), &args.spec.specs[0]);
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
        let evaluations = plan::evaluations_to_make(opened, &store)?;
        let report = state(opened, &store, &reports, cached == statuses.len())?;
        stale |= evaluations > 0 || report == ReportState::OutOfDate;
        if printer.json() {
            let runs: Vec<_> = opened
                .plan
                .runs
                .iter()
                .zip(&statuses)
                .map(|(run, status)| json!({"id": run.id, "name": run.name, "status": status}))
                .collect();
            json_specs.push(json!({"format": 1, "spec": opened.plan.spec, "profile": opened.plan.profile, "cached": cached, "evaluations_to_make": evaluations, "report": report, "runs": runs}));
            continue;
        }
        let mut line = format!(
            "{} (profile {}): {cached} of {} cached",
            opened.plan.spec,
            opened.plan.profile,
            statuses.len()
        );
        if evaluations > 0 {
            line = format!(
                "{line}, {} to make",
                human::counted(evaluations as u64, "evaluation")
            );
        }
        line += report.words();
        printer.result(&line);
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
            printer.result(&print::fitted(&["  run", "id", "status"], &rows, &[]));
        }
        let open = ids.iter().zip(&statuses);
        let open = open.filter(|(_, status)| **status != RunStatus::Cached);
        let open = open.map(|(id, _)| *id).collect();
        if let Some(text) = jobs::explained(&store, &open)?.filter(|_| !printer.quiet) {
            printer.result(&format!("  {text}"));
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

/// The state of a report compared with what the store would give now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum ReportState {
    None,
    NotCompared,
    OfAllRuns,
    UpToDate,
    OutOfDate,
}

impl ReportState {
    fn words(self) -> &'static str {
        match self {
            Self::None => "; no report",
            Self::NotCompared => "; report not compared while runs are missing",
            Self::OfAllRuns => "; report not compared, because it shows all runs",
            Self::UpToDate => "; report up to date",
            Self::OutOfDate => "; report out of date",
        }
    }
}

/// Renders the report of the stored results in memory and compares it; only if every run exists.
fn state(
    opened: &Opened,
    store: &Store,
    reports: &Path,
    is_complete: bool,
) -> Result<ReportState, Failure> {
    let name = report::folder_name(&opened.spec);
    let folder = ReportFolder::new(reports, &name, &RealFs::new());
    let Ok(records) = folder.records() else {
        return Ok(ReportState::None);
    };
    if opened.filtered {
        return Ok(ReportState::OfAllRuns);
    }
    if !is_complete {
        return Ok(ReportState::NotCompared);
    }
    Ok(
        match report::is_current(opened, store, &folder, &records)? {
            true => ReportState::UpToDate,
            false => ReportState::OutOfDate,
        },
    )
}
