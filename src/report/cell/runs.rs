//! The runs: the cell `plan`, and the appendix that every number links to.

use super::columns::drop_repeats;
use super::{Builder, Place, Shown, problem, prose, prose_line};
use crate::expr::Session;
use crate::human;
use crate::record::{Counts, RunResult, RunStatus};
use crate::report::context::{
    Block, CellView, ColumnView, FoldView, Prose, RowView, Setting, TableView, ValueView,
};
use crate::report::metric as metric_of;
use crate::report::scope::Scope;
use crate::report::text::{code, escape_markdown, one_line, shorten};
use crate::report::{ReportError, csv};
use crate::spec::{PlanCell, Selection};
use serde_json::Value;
use std::collections::BTreeSet;

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
    ) -> Result<Vec<Block>, ReportError> {
        let runs = self.scope.select(selection, line)?;
        let heads = [
            ("Run", false),
            ("Id", false),
            ("Parameters", true),
            ("Steps", true),
            ("Tokens", true),
            ("Status", false),
        ];
        let mut csv_text = csv::line([
            "run",
            "id",
            "seed",
            "params",
            "steps",
            "tokens",
            "status",
            "beats_ngrams",
        ]);
        let mut rows = Vec::with_capacity(runs.len());
        for run in runs {
            rows.push(self.plan_row(run));
            let [params, steps, tokens] = sizes(run).map(|size| size.to_string());
            let fields = [
                run.name.clone(),
                run.id.to_string(),
                run.seed.to_string(),
                params,
                steps,
                tokens,
                status(run).to_owned(),
                run.metrics
                    .get("beats_ngrams")
                    .map(f64::to_string)
                    .unwrap_or_default(),
            ];
            csv_text.push_str(&csv::line(fields.iter().map(String::as_str)));
        }
        let number = self.next_table();
        let name = format!("table-{number}");
        let caption = "What was planned and run: identities and sizes. The settings of each run are in the appendix; estimated and measured costs are in `timing.json`.";
        let marks = runs_marks(&self.scope.select(selection, line)?);
        let caption = [Some(caption.to_owned()), marks];
        let caption = caption.into_iter().flatten().collect::<Vec<_>>().join(" ");
        let table = Block::Table(TableView {
            anchor: name.clone(),
            number: Some(number),
            caption: prose_line(&caption),
            columns: heads
                .map(|(label, is_number)| ColumnView::new(label, is_number))
                .into(),
            rows,
            csv: format!("data/{name}.csv"),
            csv_text,
        });
        Ok(folded_if_long(table, 3, "ids and sizes"))
    }

    fn plan_row(&self, run: &RunResult) -> RowView {
        let anchor = self.scope.anchor(run);
        let [params, steps, tokens] = sizes(run).map(human::count);
        let texts = [
            one_line(&run.name),
            run.id.0.short(),
            params,
            steps,
            tokens,
            status(run).to_owned(),
        ];
        let mut cells = texts.map(ValueView::text).to_vec();
        cells[0].text.push_str(&marked([run]));
        cells[0].run = Some(anchor);
        RowView {
            cells,
            ..RowView::default()
        }
    }
}

/// Parameters, steps and tokens: counted if the run has finished, otherwise estimated.
fn sizes(run: &RunResult) -> [u64; 3] {
    let estimate = run.estimate;
    let counts = run.record.as_ref().map(|record| record.counts);
    counts.map_or(
        [estimate.params, estimate.steps, estimate.tokens],
        |counts| [counts.params, counts.steps, counts.tokens],
    )
}

/// The mark of runs, preceded by a space; empty if there is none.
pub(super) fn marked<'a>(runs: impl IntoIterator<Item = &'a RunResult>) -> String {
    metric_of::mark(runs).map_or_else(String::new, |(sign, _)| format!("\u{a0}{sign}"))
}

/// The meaning of the marks of single runs.
fn runs_marks(runs: &[&RunResult]) -> Option<String> {
    metric_of::marks_told(runs.iter().filter_map(|run| metric_of::mark([*run])))
}

/// Folds a table of more than `most` runs; `what` names its contents.
pub(super) fn folded_if_long(table: Block, most: usize, what: &str) -> Vec<Block> {
    match &table {
        Block::Table(view) if view.rows.len() > most => vec![Block::Fold(FoldView {
            summary: format!("{} runs: {what}", view.rows.len()),
            is_open: false,
            is_bulk: true,
            blocks: vec![table],
        })],
        _ => vec![table],
    }
}

const ABOUT: &str = "Every number above comes from one of these runs. A run's id is a digest of everything that can change its result: the same id on the same kind of machine gives the same numbers, bit for bit.";

/// The appendix: the settings that all runs share and the runs that numbers link to, both folded.
pub(crate) fn appendix(scope: &Scope<'_>) -> CellView {
    let runs = &scope.results.runs;
    let settings: Vec<Vec<Setting>> = runs
        .iter()
        .map(|run| {
            let mut settings = Vec::new();
            flatten("", &run.key, &mut settings);
            settings
        })
        .collect();
    let is_shared = |setting: &&Setting| settings.iter().all(|run| run.contains(setting));
    let first = settings.first().into_iter().flatten();
    let shared: Vec<&Setting> = first.filter(is_shared).collect();
    let mut varying: Vec<&str> = Vec::new();
    for setting in settings
        .iter()
        .flatten()
        .filter(|setting| !shared.contains(setting))
    {
        if !varying.contains(&setting.path.as_str()) {
            varying.push(&setting.path);
        }
    }
    let fold = |summary: String, table: TableView, is_bulk: bool| {
        Block::Fold(FoldView {
            summary,
            is_open: false,
            is_bulk,
            blocks: vec![Block::Table(table)],
        })
    };
    let all: Vec<&RunResult> = runs.iter().collect();
    let mut table = run_table(scope, &settings, &varying);
    let repeats = drop_repeats(&mut table);
    let about = [
        Some(ABOUT.to_owned()),
        runs_marks(&all),
        repeats_told(&repeats),
        engine_told(runs),
    ];
    let about: Vec<String> = about.into_iter().flatten().collect();
    let mut blocks = vec![Block::Prose(prose(&about.join(" ")))];
    if !shared.is_empty() {
        let row = |setting: &&Setting| RowView {
            cells: vec![
                ValueView::text(&*setting.path),
                ValueView::text(&*setting.value),
            ],
            ..RowView::default()
        };
        let table = TableView {
            anchor: "shared-settings".to_owned(),
            columns: ["Setting", "Value"]
                .map(|label| ColumnView::new(label, false))
                .into(),
            rows: shared.iter().map(row).collect(),
            ..TableView::default()
        };
        let summary = match runs.len() {
            1 => "All settings".to_owned(),
            _ => format!("{} settings that all runs share", shared.len()),
        };
        blocks.push(fold(summary, table, false));
    }
    let summary = match runs.len() {
        1 => "The run".to_owned(),
        count => format!("All {count} runs"),
    };
    blocks.push(fold(summary, table, true));
    CellView {
        anchor: "runs".to_owned(),
        heading: Some("Runs and settings"),
        blocks,
    }
}

/// The metrics that readers look for first.
const FIRST: [&str; 9] = [
    "val_loss",
    "nll",
    "perplexity",
    "accuracy",
    "train_loss",
    "train_loss_mean",
    "val_loss_min",
    "bits_per_byte",
    "beats_ngrams",
];

/// One row per run: its distinguishing settings, results, sizes and identity.
fn run_table(scope: &Scope<'_>, settings: &[Vec<Setting>], varying: &[&str]) -> TableView {
    let runs = &scope.results.runs;
    let metrics: BTreeSet<&String> = runs.iter().flat_map(|run| run.metrics.keys()).collect();
    let mut metrics: Vec<&String> = metrics.into_iter().collect();
    let place = |name: &str| FIRST.iter().position(|first| *first == name);
    metrics.sort_by_key(|name| place(name).unwrap_or(FIRST.len()));
    let mut columns = vec![ColumnView::new("Run", false)];
    columns.extend(varying.iter().map(|path| ColumnView::new(path, false)));
    columns.extend(
        metrics
            .iter()
            .map(|name| ColumnView::new(&one_line(name), true)),
    );
    columns.extend(SIZES.map(|(label, _)| ColumnView::new(label, true)));
    columns.extend(["Status", "Id"].map(|label| ColumnView::new(label, false)));
    let tells_engine = engine_told(runs).is_none();
    let rows = runs.iter().zip(settings).map(|(run, settings)| {
        let dash = || "–".to_owned();
        let record = run.record.as_ref();
        let mut texts = vec![one_line(&run.name) + &marked([run])];
        texts.extend(varying.iter().map(|path| {
            let setting = settings.iter().find(|setting| setting.path == *path);
            setting.map_or_else(dash, |setting| setting.value.clone())
        }));
        texts.extend(metrics.iter().map(|name| {
            run.metrics
                .get(*name)
                .map_or_else(dash, |value| metric(*value))
        }));
        texts.extend(SIZES.map(|(_, size)| {
            record.map_or_else(dash, |record| human::count(size(&record.counts)))
        }));
        texts.extend([status_with_cause(run), run.id.0.short()]);
        RowView {
            anchor: Some(scope.anchor(run)),
            cells: texts.into_iter().map(ValueView::text).collect(),
            details: Some((
                format!("Id and digests of {}", run.id.0.short()),
                digests(run, tells_engine),
            )),
            ..RowView::default()
        }
    });
    TableView {
        anchor: "all-runs".to_owned(),
        rows: rows.collect(),
        columns,
        ..TableView::default()
    }
}

fn repeats_told(repeats: &[(String, String)]) -> Option<String> {
    let is_of_words = |(name, of): &&(String, String)| !name.eq_ignore_ascii_case(of);
    let each = repeats.iter().filter(is_of_words);
    let each: Vec<String> = each
        .map(|(name, of)| format!("{} (as {})", code(name), code(of)))
        .collect();
    (!each.is_empty()).then(|| {
        let each = each.join(", ");
        format!("Columns identical to another one are left out: {each}.")
    })
}

/// What computed the runs, if it is the same for all.
fn engine_told(runs: &[RunResult]) -> Option<String> {
    let mut engines = runs.iter().filter_map(engine);
    let first = engines.next()?;
    (runs.len() > 1 && engines.all(|engine| engine == first)).then_some(first)
}

fn engine(run: &RunResult) -> Option<String> {
    let numerics = &run.record.as_ref()?.numerics;
    Some(escape_markdown(&format!(
        "Computed by {}, recipe {}, {}, {}.",
        numerics.engine, numerics.recipe, numerics.isa, numerics.dtype
    )))
}

type Size = fn(&Counts) -> u64;

/// Sizes of a finished run.
const SIZES: [(&str, Size); 5] = [
    ("Parameters", |counts| counts.params),
    ("Steps", |counts| counts.steps),
    ("Tokens", |counts| counts.tokens),
    ("Documents", |counts| counts.docs),
    ("Sequences", |counts| counts.sequences),
];

/// A status, with the reason if the run failed.
fn status_with_cause(run: &RunResult) -> String {
    let failure = run
        .record
        .as_ref()
        .and_then(|record| record.failure.as_ref());
    let Some(failure) = failure else {
        return status(run).to_owned();
    };
    let at = failure.last_good_step;
    let at = at.map(|step| format!(" (last good step: {step})"));
    let (status, message) = (status(run), one_line(&failure.message));
    format!("{status}: {message}{}", at.unwrap_or_default())
}

/// Identity and digests of a run, and its engine if runs differ in it.
fn digests(run: &RunResult, tells_engine: bool) -> Prose {
    let mut parts = vec![format!("Id {}.", code(&run.id.to_string()))];
    if let Some(record) = &run.record {
        parts.extend(engine(run).filter(|_| tells_engine));
        let digests = &record.digests;
        let weights = digests.weights.map(|weights| ("Weights", weights));
        let others = [
            ("metrics", digests.metrics),
            ("tokenizer", digests.tokenizer),
        ];
        let all = weights.into_iter().chain(others);
        let all = all.map(|(name, digest)| format!("{name} {}", code(&digest.to_string())));
        parts.push(format!("SHA-256: {}.", all.collect::<Vec<_>>().join(", ")));
    }
    prose_line(&parts.join(" "))
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

/// A metric formatted for reading; `records.jsonl` has all its digits.
fn metric(value: f64) -> String {
    let is_whole = value.fract() == 0.0 && value.abs() < 1e9;
    if is_whole {
        human::fixed(value, 0)
    } else {
        human::significant(value, 5)
    }
}

impl Shown for PlanCell {
    fn look_up(&self, scope: &Scope<'_>, _: &Session, line: usize) -> Vec<ReportError> {
        problem(scope.select(&self.0, line))
    }

    fn blocks(
        &self,
        builder: &mut Builder<'_, '_>,
        place: &Place<'_>,
    ) -> Result<Vec<Block>, ReportError> {
        builder.plan(&self.0, place.line)
    }
}
