//! The cell `perplexity`: a summary per run; the best, median and worst document; and the
//! histogram.

use super::{Builder, Place, Shown, problem, prose_line};
use crate::expr::Session;
use crate::record::{DocumentScore, EvalResult, RunResult};
use crate::report::context::{Block, ColumnView, FoldView, RowView, TableView, ValueView};
use crate::report::scope::{Scope, groups};
use crate::report::text::{one_line, shorten};
use crate::report::{ReportError, chart, csv};
use crate::spec::{HistogramCell, HistogramOf, PerplexityCell, PlotAxis};
use crate::{human, stats};

/// Number of characters of an excerpt that are shown.
const EXCERPT: usize = 160;

/// Length in characters from which an excerpt counts as truncated: evaluations keep the first 80.
const WHOLE: usize = 79;

/// Maximum number of runs whose documents are listed individually.
const LISTED: usize = 12;

/// Columns of the summary: the name of the metric and the column head.
const COLUMNS: [(&str, &str); 5] = [
    ("perplexity", "All tokens"),
    ("perplexity_median", "Median"),
    ("perplexity_mean", "Mean"),
    ("perplexity_geometric", "Geometric mean"),
    ("bits_per_byte", "Bits per byte"),
];

impl Builder<'_, '_> {
    pub(crate) fn perplexity(
        &mut self,
        cell: &PerplexityCell,
        line: usize,
    ) -> Result<Vec<Block>, ReportError> {
        let runs = self.scope.select(&cell.runs, line)?;
        let scored: Vec<(&RunResult, &EvalResult)> = runs
            .iter()
            .filter_map(|run| Some((*run, run.eval.as_ref()?)))
            .filter(|(_, eval)| !eval.documents.is_empty())
            .collect();
        let mut blocks = super::runs::folded_if_long(
            Block::Table(self.summary(&scored)),
            LISTED,
            "perplexities",
        );
        if scored.is_empty() {
            return Ok(blocks);
        }
        let histogram = HistogramCell {
            of: HistogramOf::Perplexity,
            first: Vec::new(),
            bins: 30,
            log: vec![PlotAxis::X],
            caption: None,
            id: None,
        };
        let figure = chart::perplexity(self.scope, &runs, &histogram);
        let groups = groups(&runs);
        let pooled = match groups.iter().any(|group| group.runs.len() > 1) {
            true => ", with the seeds of a setting together",
            false => "",
        };
        let caption = format!(
            "Perplexity of the held-out documents{pooled}; the horizontal axis is logarithmic."
        );
        blocks.push(self.figure(&figure, Some(&caption))?);
        let listed = groups.iter().take(LISTED).filter_map(|group| {
            let (run, eval) = group.runs.iter().find_map(|run| {
                let eval = run
                    .eval
                    .as_ref()
                    .filter(|eval| !eval.documents.is_empty())?;
                Some((*run, eval))
            })?;
            Some(self.ends(run, &eval.documents))
        });
        let rows: Vec<RowView> = listed.flatten().collect();
        let heads = [
            ("Run", false),
            ("Place", false),
            ("Perplexity", true),
            ("Tokens", true),
            ("Beginning", false),
        ];
        blocks.push(Block::Fold(FoldView {
            summary: "Best, median and worst document of each run".to_owned(),
            is_open: false,
            is_bulk: true,
            blocks: vec![Block::Table(TableView {
                anchor: format!("documents-{}", self.tables),
                columns: heads
                    .map(|(label, is_number)| ColumnView::new(label, is_number))
                    .into(),
                rows,
                ..TableView::default()
            })],
        }));
        Ok(blocks)
    }

    fn summary(&mut self, scored: &[(&RunResult, &EvalResult)]) -> TableView {
        let value = |run: &RunResult, eval: &EvalResult, name: &str| -> Option<f64> {
            let stored = eval.metrics.get(name).or_else(|| run.metrics.get(name));
            stored.copied().or_else(|| computed(&eval.documents, name))
        };
        let shown: Vec<_> = COLUMNS
            .into_iter()
            .filter(|(name, _)| scored.iter().any(|(r, e)| value(r, e, name).is_some()))
            .collect();
        let mut columns = vec![ColumnView::new("Run", false)];
        columns.extend(shown.iter().map(|(_, label)| ColumnView::new(label, true)));
        columns.push(ColumnView::new("Documents", true));
        let mut csv_text = csv::line(
            ["run"]
                .into_iter()
                .chain(shown.iter().map(|(name, _)| *name))
                .chain(["documents"]),
        );
        let mut rows: Vec<RowView> = Vec::new();
        for (run, eval) in scored {
            let anchor = self.scope.anchor(run);
            let mut cells = vec![ValueView::of_run(self.scope.run_name(run), &anchor)];
            let mut fields = vec![run.name.clone()];
            for (name, _) in &shown {
                let value = value(run, eval, name);
                let digits = |value| match *name {
                    "bits_per_byte" => human::fixed(value, 3),
                    _ => human::significant(value, 4),
                };
                let text = value.map_or_else(|| "–".to_owned(), digits);
                cells.push(ValueView::of_run(text, &anchor));
                fields.push(value.map(|value| value.to_string()).unwrap_or_default());
            }
            let count = eval.documents.len() as u64;
            cells.push(ValueView::of_run(human::count(count), &anchor));
            fields.push(count.to_string());
            rows.push(RowView {
                cells,
                ..RowView::default()
            });
            csv_text.push_str(&csv::line(fields.iter().map(String::as_str)));
        }
        let number = self.next_table();
        let name = format!("table-{number}");
        let caption = "Perplexity of held-out documents, from the cross-entropy: over all their tokens, and summarised over documents. Lower is better.";
        TableView {
            anchor: name.clone(),
            number: Some(number),
            caption: prose_line(caption),
            columns,
            rows,
            csv: format!("data/{name}.csv"),
            csv_text,
        }
    }
}

/// Summaries that the evaluation did not store.
fn computed(documents: &[DocumentScore], name: &str) -> Option<f64> {
    let documents = documents.iter();
    let values: Vec<f64> = documents.map(|document| document.perplexity).collect();
    match name {
        "perplexity_mean" => stats::mean(&values),
        "perplexity_median" => stats::median(&values),
        _ => None,
    }
}

/// The first words of a document, marked as a beginning.
fn beginning(excerpt: &str) -> String {
    let text = shorten(&one_line(excerpt), EXCERPT);
    if text.chars().count() < WHOLE || text.ends_with('…') {
        return text;
    }
    let (words, _) = text.rsplit_once(' ').unwrap_or((&text, ""));
    format!("{} …", words.trim_end())
}

impl Builder<'_, '_> {
    /// The best, median and worst document of a run.
    fn ends(&self, run: &RunResult, documents: &[DocumentScore]) -> Vec<RowView> {
        let mut order: Vec<&DocumentScore> = documents.iter().collect();
        order.sort_by(|a, b| {
            a.perplexity
                .total_cmp(&b.perplexity)
                .then(a.document.cmp(&b.document))
        });
        let places: &[(&str, usize)] = match order.len() {
            0 => &[],
            1 => &[("only", 0)],
            2 => &[("best", 0), ("worst", 1)],
            n => &[("best", 0), ("median", (n - 1) / 2), ("worst", n - 1)],
        };
        let anchor = self.scope.anchor(run);
        let row = |(place, index): &(&str, usize)| {
            let document = order[*index];
            let texts = [
                (*place).to_owned(),
                human::significant(document.perplexity, 4),
                human::count(document.tokens),
                beginning(&document.excerpt),
            ];
            let mut cells = vec![ValueView::of_run(self.scope.run_name(run), &anchor)];
            cells.extend(texts.map(ValueView::text));
            RowView {
                cells,
                ..RowView::default()
            }
        };
        places.iter().map(row).collect()
    }
}

impl Shown for PerplexityCell {
    fn heading(&self) -> Option<&'static str> {
        Some("Perplexity")
    }

    fn look_up(&self, scope: &Scope<'_>, _: &Session, line: usize) -> Vec<ReportError> {
        problem(scope.select(&self.runs, line))
    }

    fn blocks(
        &self,
        builder: &mut Builder<'_, '_>,
        place: &Place<'_>,
    ) -> Result<Vec<Block>, ReportError> {
        builder.perplexity(self, place.line)
    }
}
