//! Paired differences: for each change of one setting, the mean difference of a metric over matched
//! runs, with its interval.

use super::settings::others;
use super::{Axis, Colour, Drawn, Figure, Kind, Look, Panel, Remark, Series, Style, same};
use crate::expr::Estimate;
use crate::human;
use crate::record::{REPLICATE_AXES, RunResult};
use crate::report::metric::{self, Shape};
use crate::report::scope::{Scope, axis_value};
use crate::report::{ReportError, csv};
use crate::spec::{DifferencesCell, Pairing};
use crate::stats::mean;
use serde_json::Value;

/// A setting as its axes and values.
type Axes = Vec<(String, Value)>;

/// Resolves the names of a `differences` cell and returns the runs it shows.
fn look_up<'a>(
    scope: &Scope<'a>,
    cell: &DifferencesCell,
    line: usize,
) -> Result<Vec<&'a RunResult>, ReportError> {
    for pairing in &cell.pairs {
        scope.axis(&pairing.axis, line)?;
    }
    scope.filtered(&cell.filter, line)
}

/// A row: a change of one setting, and its effect.
struct Change {
    name: String,
    /// One difference per matched pair of settings, or per replicate if there is only one such
    /// pair.
    values: Vec<f64>,
    estimate: Option<Estimate>,
    unit: &'static str,
}

/// Builds the figure of a `differences` cell.
pub(crate) fn differences(
    scope: &Scope<'_>,
    cell: &DifferencesCell,
    line: usize,
) -> Result<Figure, ReportError> {
    let runs = look_up(scope, cell, line)?;
    let changes: Vec<Change> = cell
        .pairs
        .iter()
        .map(|pairing| change(scope, cell, pairing, &runs))
        .collect();
    let about = scope.metric(&cell.metric);
    let last = changes.len().saturating_sub(1) as f64;
    let mut csv_text = csv::line(["change", "difference", "half-width", "pairs"]);
    let colour = Colour::Series(0);
    let mut pairs = Series::new("pairs", Look::new(colour, Style::Faint));
    let mut means = Series::new(&about.label, Look::new(colour, Style::Points));
    let mut zero = Series::new("no difference", Look::new(Colour::Ink, Style::Points));
    zero.whiskers.push([0.0, -0.5, 0.0, last + 0.5]);
    for (index, change) in changes.iter().enumerate() {
        let place = last - index as f64;
        pairs
            .points
            .extend(change.values.iter().map(|value| [*value, place]));
        let estimate = change.estimate;
        let half = estimate.and_then(|estimate| estimate.half);
        let fields = [
            change.name.clone(),
            estimate
                .map(|estimate| estimate.mean.to_string())
                .unwrap_or_default(),
            half.map(|half| half.to_string()).unwrap_or_default(),
            change.values.len().to_string(),
        ];
        csv_text.push_str(&csv::line(fields.iter().map(String::as_str)));
        let Some(estimate) = estimate else { continue };
        let [low, high] = estimate.ends();
        means.points.push([estimate.mean, place]);
        means.whiskers.push([low, place, high, place]);
        means.remarks.push(Remark {
            span: change
                .values
                .iter()
                .fold([low, high], |[a, b], value| [a.min(*value), b.max(*value)]),
            is_inside: false,
            y: place,
            text: format!(
                "{} · {}",
                told(estimate, about.shape),
                human::counted(change.values.len() as u64, change.unit)
            ),
        });
    }
    let names: Vec<String> = changes.iter().map(|change| change.name.clone()).collect();
    let has_intervals = changes.iter().any(|change| {
        change
            .estimate
            .is_some_and(|estimate| estimate.half.is_some())
    });
    let lines = match has_intervals {
        true => format!(
            " Lines: the widest 95 % interval, over {} or held-out documents.",
            told_units(&changes)
        ),
        false => " One pair each: no interval.".to_owned(),
    };
    Ok(Figure {
        x: Axis {
            is_padded: true,
            ..Axis::new(&format!("change of {}", about.on_axis()))
        },
        alt: format!(
            "Differences of {} by {}{}.",
            about.label.to_lowercase(),
            names.join("; "),
            if has_intervals {
                ", with 95 % intervals"
            } else {
                ""
            }
        ),
        size: Some((560, 34 * names.len() as u32 + 66)),
        y: Axis {
            names,
            ..Axis::new("")
        },
        panels: vec![Panel {
            title: String::new(),
            series: vec![zero, pairs, means],
        }],
        notes: format!(
            "Faint dots are pairs of runs that differ in nothing else, thick dots their means.{lines}"
        ),
        csv: Some(csv_text),
        kind: Kind::Rows,
        ..Figure::default()
    })
}

fn change(
    scope: &Scope<'_>,
    cell: &DifferencesCell,
    pairing: &Pairing,
    runs: &[&RunResult],
) -> Change {
    let axis = &pairing.axis;
    let end = |value: &Option<Value>, extreme: &str| {
        let asked = value.clone().unwrap_or_else(|| Value::from(extreme));
        scope.wanted(axis, &asked).pop().unwrap_or(asked)
    };
    let (from, to) = (end(&pairing.from, "min"), end(&pairing.to, "max"));
    let of = |value: &Value| {
        let has = |run: &&&RunResult| axis_value(run, axis).is_some_and(|v| same(&v, value));
        runs.iter()
            .filter(has)
            .copied()
            .collect::<Vec<&RunResult>>()
    };
    // Differences by setting, each over the seeds that both sides have.
    let mut settings: Vec<(Axes, Vec<f64>)> = Vec::new();
    let mut matched: Vec<Vec<[&str; 2]>> = Vec::new();
    let after = of(&to);
    for run in of(&from) {
        let key = others(run, axis);
        let Some(partner) = after.iter().find(|other| others(other, axis) == key) else {
            continue;
        };
        let values = metric::value(run, &cell.metric).zip(metric::value(partner, &cell.metric));
        let Some((before, after)) = values else {
            continue;
        };
        let mut setting = key;
        setting.retain(|(name, _)| !REPLICATE_AXES.contains(&name.as_str()));
        let names = [run.name.as_str(), partner.name.as_str()];
        match settings.iter().position(|(known, _)| *known == setting) {
            Some(place) => {
                settings[place].1.push(after - before);
                matched[place].push(names);
            }
            None => {
                settings.push((setting, vec![after - before]));
                matched.push(vec![names]);
            }
        }
    }
    let (values, unit) = match settings.as_slice() {
        [(_, only)] if runs.iter().any(|run| run.draw() != 0) => (only.clone(), "run"),
        [(_, only)] => (only.clone(), "seed"),
        several => (
            several
                .iter()
                .filter_map(|(_, values)| mean(values))
                .collect(),
            "pair",
        ),
    };
    let text = |value: &Value| scope.value_name(axis, value);
    Change {
        name: match &pairing.label {
            Some(label) => crate::report::text::one_line(label),
            None if from.is_string() => format!("{} → {}", text(&from), text(&to)),
            None => format!("{} {} → {}", scope.axis_name(axis), text(&from), text(&to)),
        },
        values,
        estimate: scope.session().change(&matched, &cell.metric),
        unit,
    }
}

/// A difference as text; without an interval, it gets the same digits as its metric in tables.
fn told(estimate: Estimate, shape: Shape) -> String {
    match (estimate.half, shape) {
        (None, Shape::Loss) => human::fixed(estimate.mean, 3),
        _ => estimate.to_string(),
    }
}

/// The units over which the changes were averaged.
fn told_units(changes: &[Change]) -> &'static str {
    let has = |unit: &str| changes.iter().any(|change| change.unit == unit);
    match (has("seed"), has("run"), has("pair")) {
        (_, true, true) => "seeds, draws of documents, pairs",
        (_, true, false) => "seeds, draws of documents",
        (true, _, true) => "seeds, pairs",
        (true, _, false) => "seeds",
        _ => "pairs",
    }
}

impl Drawn for DifferencesCell {
    fn look_up(&self, scope: &Scope<'_>, line: usize) -> Result<(), ReportError> {
        look_up(scope, self, line).map(drop)
    }

    fn figure(&self, scope: &Scope<'_>, line: usize) -> Result<Figure, ReportError> {
        differences(scope, self, line)
    }

    fn caption(&self) -> Option<&str> {
        self.caption.as_deref()
    }
}
