//! The cell `perplexity`: a summary by run, the best, median and worst document, and the histogram.

use super::{Builder, prose_line};
use crate::record::{DocumentScore, EvalResult, RunResult};
use crate::report::context::{
    ColumnView, DocumentView, DocumentsView, PerplexityView, RowView, TableView, ValueView,
};
use crate::report::text::{one_line, shorten};
use crate::report::{ReportError, chart, csv};
use crate::spec::{HistogramCell, HistogramOf, PerplexityCell, PlotAxis};
use crate::{human, stats};

/// Characters of an excerpt that are shown.
const EXCERPT: usize = 160;

/// Characters from which on an excerpt is taken to be cut: evaluations keep the first 80.
const WHOLE: usize = 79;

/// Most runs whose documents are listed one by one.
const LISTED: usize = 12;

/// What the summary shows: the name of the metric, the head of the column, decimals or significant digits.
const COLUMNS: [(&str, &str, &str); 5] = [
    ("perplexity", "All tokens", ""),
    ("perplexity_median", "Median", ""),
    ("perplexity_mean", "Mean", ""),
    ("perplexity_geometric", "Geometric mean", ""),
    ("bits_per_byte", "Bits per byte", ""),
];

impl Builder<'_, '_> {
    pub(crate) fn perplexity(
        &mut self,
        anchor: String,
        cell: &PerplexityCell,
        line: usize,
    ) -> Result<PerplexityView, ReportError> {
        let runs = self.scope.select(&cell.runs, line)?;
        let scored: Vec<(&RunResult, &EvalResult)> = runs
            .iter()
            .filter_map(|run| Some((*run, run.eval.as_ref()?)))
            .filter(|(_, eval)| !eval.documents.is_empty())
            .collect();
        let table = self.summary(&scored);
        let mut documents = Vec::new();
        for group in crate::report::scope::groups(&runs).iter().take(LISTED) {
            let first = group.runs.iter().find_map(|run| {
                let eval = run
                    .eval
                    .as_ref()
                    .filter(|eval| !eval.documents.is_empty())?;
                Some((*run, eval))
            });
            if let Some((run, eval)) = first {
                documents.push(DocumentsView {
                    run_name: one_line(&run.name),
                    run: self.scope.anchor(run),
                    rows: ends(&eval.documents),
                });
            }
        }
        let figure = if scored.is_empty() {
            None
        } else {
            let histogram = HistogramCell {
                of: HistogramOf::Perplexity,
                first: Vec::new(),
                bins: 30,
                log: vec![PlotAxis::X],
                caption: None,
            };
            let figure = chart::perplexity(self.scope, &runs, &histogram);
            let pooled = if crate::report::scope::groups(&runs)
                .iter()
                .any(|g| g.runs.len() > 1)
            {
                ", the seeds of a setting together"
            } else {
                ""
            };
            let caption = format!(
                "How many documents have which perplexity{pooled}; the horizontal axis is logarithmic."
            );
            Some(self.figure(&figure, Some(&caption))?)
        };
        Ok(PerplexityView {
            anchor,
            has_heading: true,
            table,
            documents,
            figure,
        })
    }

    fn summary(&mut self, scored: &[(&RunResult, &EvalResult)]) -> TableView {
        let value = |run: &RunResult, eval: &EvalResult, name: &str| -> Option<f64> {
            let stored = eval.metrics.get(name).or_else(|| run.metrics.get(name));
            stored.copied().or_else(|| computed(&eval.documents, name))
        };
        let shown: Vec<_> = COLUMNS
            .into_iter()
            .filter(|(name, _, _)| scored.iter().any(|(r, e)| value(r, e, name).is_some()))
            .collect();
        let mut columns = vec![column("Run", "", false)];
        columns.extend(
            shown
                .iter()
                .map(|(_, label, unit)| column(label, unit, true)),
        );
        columns.push(column("Documents", "", true));
        let mut csv_text = csv::line(
            ["run"]
                .into_iter()
                .chain(shown.iter().map(|(name, _, _)| *name))
                .chain(["documents"]),
        );
        let mut rows: Vec<RowView> = Vec::new();
        for (run, eval) in scored {
            let anchor = self.scope.anchor(run);
            let mut cells = vec![cell(one_line(&run.name), &anchor)];
            let mut fields = vec![run.name.clone()];
            for (name, _, _) in &shown {
                let value = value(run, eval, name);
                let digits = |value| match *name {
                    "bits_per_byte" => human::fixed(value, 3),
                    _ => human::significant(value, 4),
                };
                cells.push(cell(value.map_or_else(|| "–".to_owned(), digits), &anchor));
                fields.push(value.map(|value| value.to_string()).unwrap_or_default());
            }
            let count = eval.documents.len() as u64;
            cells.push(cell(human::count(count), &anchor));
            fields.push(count.to_string());
            rows.push(RowView { cells });
            csv_text.push_str(&csv::line(fields.iter().map(String::as_str)));
        }
        for (index, (name, _, _)) in shown.iter().enumerate() {
            let values = scored
                .iter()
                .map(|(r, e)| value(r, e, name).unwrap_or(f64::INFINITY));
            let best = values.enumerate().min_by(|a, b| a.1.total_cmp(&b.1));
            if let Some((row, _)) = best.filter(|_| scored.len() > 1) {
                rows[row].cells[index + 1].is_best = true;
            }
        }
        let number = self.next_table();
        let name = format!("table-{number}");
        let caption = "Perplexity of held-out documents, from the cross-entropy: over all their tokens, and summarised over documents. Lower is better; the best value is bold.";
        TableView {
            anchor: name.clone(),
            number,
            caption: prose_line(caption),
            columns,
            rows,
            csv: format!("data/{name}.csv"),
            csv_text,
        }
    }
}

fn column(label: &str, unit: &str, is_number: bool) -> ColumnView {
    ColumnView {
        label: label.to_owned(),
        unit: unit.to_owned(),
        about: None,
        is_number,
    }
}

fn cell(text: String, anchor: &str) -> ValueView {
    ValueView {
        text,
        run: Some(anchor.to_owned()),
        ..ValueView::default()
    }
}

/// Summaries that an evaluation did not store.
fn computed(documents: &[DocumentScore], name: &str) -> Option<f64> {
    let documents = documents.iter();
    let values: Vec<f64> = documents.map(|document| document.perplexity).collect();
    match name {
        "perplexity_mean" => stats::mean(&values),
        "perplexity_median" => stats::median(&values),
        _ => None,
    }
}

/// The first words of a document, marked as such.
fn beginning(excerpt: &str) -> String {
    let text = shorten(&one_line(excerpt), EXCERPT);
    if text.chars().count() < WHOLE || text.ends_with('…') {
        return text;
    }
    let (words, _) = text.rsplit_once(' ').unwrap_or((&text, ""));
    format!("{} …", words.trim_end())
}

/// The best, the median and the worst document.
fn ends(documents: &[DocumentScore]) -> Vec<DocumentView> {
    let mut order: Vec<&DocumentScore> = documents.iter().collect();
    order.sort_by(|a, b| {
        a.perplexity
            .total_cmp(&b.perplexity)
            .then(a.document.cmp(&b.document))
    });
    let places: &[(&'static str, usize)] = match order.len() {
        0 => &[],
        1 => &[("only", 0)],
        2 => &[("best", 0), ("worst", 1)],
        n => &[("best", 0), ("median", (n - 1) / 2), ("worst", n - 1)],
    };
    places
        .iter()
        .map(|(place, index)| {
            let document = order[*index];
            DocumentView {
                place,
                perplexity: human::significant(document.perplexity, 4),
                tokens: human::count(document.tokens),
                document: document.document,
                excerpt: beginning(&document.excerpt),
            }
        })
        .collect()
}
