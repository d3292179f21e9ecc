//! What was run: the cell `plan`, and the appendix that every number links to.

use super::{Builder, prose_line};
use crate::human;
use crate::record::{RunResult, RunStatus};
use crate::report::context::{ColumnView, Fact, RowView, RunView, Setting, TableView, ValueView};
use crate::report::scope::Scope;
use crate::report::text::{clean, one_line, shorten};
use crate::report::{ReportError, csv};
use crate::spec::Selection;
use serde_json::Value;

/// A status as text.
pub(crate) fn status(run: &RunResult) -> &'static str {
    match run.status {
        RunStatus::Cached => "finished",
        RunStatus::Missing => "not run",
        RunStatus::Partial => "interrupted",
        RunStatus::Running => "running",
        RunStatus::Failed => "failed",
    }
}

impl Builder<'_, '_> {
    pub(crate) fn plan(
        &mut self,
        selection: &Selection,
        line: usize,
    ) -> Result<TableView, ReportError> {
        let runs = self.scope.select(selection, line)?;
        let heads = [
            ("Run", false),
            ("Id", false),
            ("Parameters", true),
            ("Steps", true),
            ("Tokens", true),
            ("Status", false),
        ];
        let mut csv_text = csv::line(["run", "id", "seed", "params", "steps", "tokens", "status"]);
        let mut rows = Vec::with_capacity(runs.len());
        for run in runs {
            rows.push(self.plan_row(run));
            let estimate = run.estimate;
            let fields = [
                run.name.clone(),
                run.id.to_string(),
                run.seed.to_string(),
                estimate.params.to_string(),
                estimate.steps.to_string(),
                estimate.tokens.to_string(),
                status(run).to_owned(),
            ];
            csv_text.push_str(&csv::line(fields.iter().map(String::as_str)));
        }
        let number = self.next_table();
        let name = format!("table-{number}");
        let caption = "What was planned and run: identities and sizes. The settings of each run are in the appendix; estimated and measured costs are in `timing.json`.";
        Ok(TableView {
            anchor: name.clone(),
            number,
            caption: prose_line(caption),
            columns: heads
                .iter()
                .map(|(label, is_number)| ColumnView {
                    label: (*label).to_owned(),
                    unit: String::new(),
                    about: None,
                    is_number: *is_number,
                })
                .collect(),
            rows,
            csv: format!("data/{name}.csv"),
            csv_text,
        })
    }

    fn plan_row(&self, run: &RunResult) -> RowView {
        let anchor = self.scope.anchor(run);
        let counts = run.record.as_ref().map(|record| record.counts);
        let estimate = run.estimate;
        let texts = [
            one_line(&run.name),
            run.id.0.short(),
            human::count(counts.map_or(estimate.params, |counts| counts.params)),
            human::count(counts.map_or(estimate.steps, |counts| counts.steps)),
            human::count(counts.map_or(estimate.tokens, |counts| counts.tokens)),
            status(run).to_owned(),
        ];
        let mut cells: Vec<ValueView> = texts
            .into_iter()
            .map(|text| ValueView {
                text,
                ..ValueView::default()
            })
            .collect();
        for cell in &mut cells[..2] {
            cell.run = Some(anchor.clone());
        }
        cells[1].hint = Some(run.id.to_string());
        RowView { cells }
    }
}

/// The appendix: settings that all runs share, and the runs.
pub(crate) fn appendix(scope: &Scope<'_>) -> (Vec<Setting>, Vec<RunView>) {
    let settings: Vec<Vec<Setting>> = scope
        .results
        .runs
        .iter()
        .map(|run| {
            let mut settings = Vec::new();
            flatten("", &run.key, &mut settings);
            settings
        })
        .collect();
    let shared: Vec<Setting> = settings
        .first()
        .map(|first| {
            let is_shared = |setting: &&Setting| settings.iter().all(|run| run.contains(setting));
            first.iter().filter(is_shared).cloned().collect()
        })
        .unwrap_or_default();
    // With one run everything is shared: it is shown with the run.
    let shared = if settings.len() > 1 {
        shared
    } else {
        Vec::new()
    };
    let runs = scope
        .results
        .runs
        .iter()
        .zip(settings)
        .map(|(run, mut settings)| {
            settings.retain(|setting| !shared.contains(setting));
            run_view(scope, run, settings)
        })
        .collect();
    (shared, runs)
}

fn flatten(path: &str, value: &Value, out: &mut Vec<Setting>) {
    let join = |name: &str| {
        if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        }
    };
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (name, value) in map {
                flatten(&join(name), value, out);
            }
        }
        Value::Null if path.is_empty() => {}
        other => out.push(Setting {
            path: one_line(path),
            value: shorten(&one_line(&other.to_string()), 200),
        }),
    }
}

/// A metric for reading; all its digits are in `records.jsonl`.
fn metric(value: f64) -> String {
    let is_whole = value.fract() == 0.0 && value.abs() < 1e9;
    if is_whole {
        human::fixed(value, 0)
    } else {
        human::significant(value, 5)
    }
}

fn run_view(scope: &Scope<'_>, run: &RunResult, settings: Vec<Setting>) -> RunView {
    let fact = |label: &str, value: String| Fact {
        label: label.to_owned(),
        value,
    };
    let record = run.record.as_ref();
    let counts = record.map(|record| {
        let counts = record.counts;
        [
            ("parameters", counts.params),
            ("steps", counts.steps),
            ("tokens", counts.tokens),
            ("documents", counts.docs),
            ("sequences", counts.sequences),
        ]
        .map(|(label, value)| fact(label, human::count(value)))
        .to_vec()
    });
    let digests = record.map(|record| {
        let mut digests = Vec::new();
        if let Some(weights) = record.digests.weights {
            digests.push(fact("weights", weights.to_string()));
        }
        digests.push(fact("metrics", record.digests.metrics.to_string()));
        digests.push(fact("tokenizer", record.digests.tokenizer.to_string()));
        digests
    });
    RunView {
        anchor: scope.anchor(run),
        name: one_line(&run.name),
        id: run.id.to_string(),
        short_id: run.id.0.short(),
        status: status(run).to_owned(),
        failure: record
            .and_then(|record| record.failure.as_ref())
            .map(|failure| {
                let at = failure
                    .last_good_step
                    .map(|step| format!(" (last good step: {step})"));
                format!("{}{}", clean(&failure.message), at.unwrap_or_default())
            }),
        counts: counts.unwrap_or_default(),
        metrics: run
            .metrics
            .iter()
            .map(|(name, value)| fact(&one_line(name), metric(*value)))
            .collect(),
        settings,
        numerics: record.map(|record| {
            let numerics = &record.numerics;
            format!(
                "{}, recipe {}, {}, {}",
                numerics.engine, numerics.recipe, numerics.isa, numerics.dtype
            )
        }),
        digests: digests.unwrap_or_default(),
    }
}
