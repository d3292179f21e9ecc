//! Histograms: lengths of training documents, and perplexity per held-out document.

use super::{Axis, Colour, Drawn, Figure, Key, Look, Panel, Series, Style};
use crate::record::RunResult;
use crate::report::ReportError;
use crate::report::records::is_finished;
use crate::report::scope::{Scope, groups};
use crate::report::text::escape_markdown;
use crate::spec::{HistogramCell, HistogramOf, PlotAxis};

/// Maximum number of groups that get a panel each.
const PANELS: usize = 12;

/// The counted values: `(label, anchor of a run, values)`.
type Populations = Vec<(String, Option<String>, Vec<f64>)>;

/// Lengths of the training documents, one panel per distinct training slice, or per prefix of it
/// that the cell names.
pub(crate) fn document_tokens(
    scope: &Scope<'_>,
    runs: &[&RunResult],
    cell: &HistogramCell,
) -> Figure {
    let mut populations: Populations = Vec::new();
    let mut unknown = Vec::new();
    for group in groups(runs) {
        let Some(run) = group.runs.first() else {
            continue;
        };
        let values: Vec<f64> = run.document_tokens.iter().map(|n| f64::from(*n)).collect();
        if values.is_empty() {
            if is_finished(run) {
                unknown.push(escape_markdown(&scope.setting_name(&group)));
            }
            continue;
        }
        match populations
            .iter_mut()
            .find(|(_, _, known)| *known == values)
        {
            Some((label, _, _)) => {
                label.push_str(", ");
                label.push_str(&scope.setting_name(&group));
            }
            None => populations.push((scope.setting_name(&group), Some(scope.anchor(run)), values)),
        }
    }
    if !cell.first.is_empty() {
        populations = beginnings(&populations, &cell.first);
    } else if let [only] = populations.as_mut_slice() {
        only.0 = "training documents".to_owned();
    }
    let mut figure = histogram(
        scope,
        &populations,
        cell,
        "tokens per document",
        "lengths of the training documents",
    );
    if !unknown.is_empty() {
        let note = format!(
            "– Not drawn: {}, because neither the text nor its tokens were there when this report was made.",
            unknown.join(", ")
        );
        figure.notes = match populations.is_empty() {
            true => note,
            false => format!("{} {note}", figure.notes),
        };
    }
    figure
}

/// The first values of every population, as many as each entry of `first` asks for.
fn beginnings(populations: &Populations, first: &[usize]) -> Populations {
    let is_alone = populations.len() == 1;
    let of = |(label, anchor, values): &(String, Option<String>, Vec<f64>), count: usize| {
        let values = values[..count.min(values.len())].to_vec();
        let beginning = format!("first {} documents", values.len());
        let label = match is_alone {
            true => beginning,
            false => format!("{label}: {beginning}"),
        };
        (label, anchor.clone(), values)
    };
    populations
        .iter()
        .flat_map(|population| first.iter().map(move |count| of(population, *count)))
        .collect()
}

/// Perplexity per held-out document, one panel per setting, seeds together.
pub(crate) fn perplexity(scope: &Scope<'_>, runs: &[&RunResult], cell: &HistogramCell) -> Figure {
    let populations: Populations = groups(runs)
        .iter()
        .filter_map(|group| {
            let values: Vec<f64> = group
                .runs
                .iter()
                .filter_map(|run| run.eval.as_ref())
                .flat_map(|eval| eval.documents.iter().map(|document| document.perplexity))
                .collect();
            let anchor = group.runs.first().map(|run| scope.anchor(run));
            (!values.is_empty()).then(|| (scope.setting_name(group), anchor, values))
        })
        .collect();
    histogram(
        scope,
        &populations,
        cell,
        "perplexity of a document",
        "perplexities of the held-out documents",
    )
}

fn histogram(
    scope: &Scope<'_>,
    populations: &Populations,
    cell: &HistogramCell,
    x: &str,
    what: &str,
) -> Figure {
    let is_log = cell.log.contains(&PlotAxis::X);
    let shown = &populations[..populations.len().min(PANELS)];
    let all = shown
        .iter()
        .flat_map(|(_, _, values)| values.iter().copied());
    let edges = edges(
        all.filter(|value| !is_log || *value > 0.0),
        cell.bins.clamp(1, 400),
        is_log,
    );
    let look = |label: &str| {
        let colour = match shown.len() {
            1 => Colour::Series(0),
            // Prefixes of a text are not settings.
            _ if !cell.first.is_empty() => Colour::Series(0),
            // A colour stands for one setting; settings beyond the last colour have none.
            _ => match scope.colours.of(label) {
                (colour, 0) => colour,
                _ => Colour::Ink,
            },
        };
        Look::new(colour, Style::Bars)
    };
    let panels: Vec<Panel> = shown
        .iter()
        .map(|(label, run, values)| Panel {
            title: if shown.len() == 1 {
                String::new()
            } else {
                label.clone()
            },
            series: vec![Series {
                run: run.clone(),
                bars: count(values, &edges),
                ..Series::new(label, look(label))
            }],
        })
        .collect();
    let mut notes = Vec::new();
    if populations.len() > PANELS {
        notes.push(format!(
            "The first {PANELS} of {} are shown.",
            populations.len()
        ));
    }
    let without_log = |values: &[f64]| {
        values
            .iter()
            .filter(|value| is_log && **value <= 0.0)
            .count()
    };
    for (label, _, values) in shown {
        let hidden = without_log(values);
        if hidden > 0 {
            notes.push(format!(
                "Not drawn: {hidden} of {} documents ({}) with 0 tokens, which a logarithmic axis has no place for.",
                values.len(),
                escape_markdown(label)
            ));
        }
    }
    if populations.is_empty() {
        notes.push("Nothing has been counted yet.".to_owned());
    }
    let totals: Vec<String> = shown
        .iter()
        .map(|(label, _, values)| format!("{label}: {} documents", values.len()))
        .collect();
    Figure {
        x: Axis {
            is_log,
            ..Axis::new(x)
        },
        y: Axis {
            is_whole: true,
            ..Axis::new("documents")
        },
        legend: if shown.len() > 1 {
            Vec::new()
        } else {
            shown
                .iter()
                .map(|(label, _, _)| Key {
                    label: label.clone(),
                    look: look(label),
                })
                .collect()
        },
        panels,
        alt: format!("Histogram of the {what}; {}.", totals.join("; ")),
        notes: notes.join(" "),
        ..Figure::default()
    }
}

/// Edges of equal bins, or of bins with equal ratios.
fn edges(values: impl Iterator<Item = f64>, bins: usize, is_log: bool) -> Vec<f64> {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in values {
        low = low.min(value);
        high = high.max(value);
    }
    if low > high {
        return Vec::new();
    }
    if low == high {
        high = low + if is_log { low } else { 1.0 };
    }
    (0..=bins)
        .map(|edge| {
            let part = edge as f64 / bins as f64;
            if is_log {
                low * libm::exp(part * libm::log(high / low))
            } else {
                low + part * (high - low)
            }
        })
        .collect()
}

/// Counts the values between edges; the last bin includes its upper edge. Empty bins are omitted.
fn count(values: &[f64], edges: &[f64]) -> Vec<[f64; 3]> {
    let bins = edges.len().saturating_sub(1);
    let mut counts = vec![0u64; bins];
    for value in values {
        let above = edges.partition_point(|edge| edge <= value);
        if above > 0 && bins > 0 {
            counts[(above - 1).min(bins - 1)] += 1;
        }
    }
    counts
        .iter()
        .enumerate()
        .filter(|(_, count)| **count > 0)
        .map(|(bin, count)| [edges[bin], edges[bin + 1], *count as f64])
        .collect()
}

impl Drawn for HistogramCell {
    /// A histogram names nothing that must be resolved.
    fn look_up(&self, _: &Scope<'_>, _: usize) -> Result<(), ReportError> {
        Ok(())
    }

    fn figure(&self, scope: &Scope<'_>, _: usize) -> Result<Figure, ReportError> {
        let runs: Vec<&RunResult> = scope.results.runs.iter().collect();
        let make = match self.of {
            HistogramOf::DocumentTokens => document_tokens,
            HistogramOf::Perplexity => perplexity,
        };
        Ok(make(scope, &runs, self))
    }

    fn caption(&self) -> Option<&str> {
        self.caption.as_deref()
    }
}
