//! Bars: a metric by setting or by the values of an axis, starting at zero.

use super::{Axis, Colour, Drawn, Figure, Kind, Look, Panel, Remark, Series, Style, same};
use crate::expr::Estimate;
use crate::record::RunResult;
use crate::report::scope::{Scope, axis_value, groups};
use crate::report::{ReportError, csv};
use crate::spec::BarsCell;

/// Resolves the names of a `bars` cell and returns the runs it shows.
fn look_up<'a>(
    scope: &Scope<'a>,
    cell: &BarsCell,
    line: usize,
) -> Result<Vec<&'a RunResult>, ReportError> {
    if cell.rows != "run" {
        scope.axis(&cell.rows, line)?;
    }
    scope.filtered(&cell.filter, line)
}

/// Builds the figure of a `bars` cell.
pub(crate) fn bars(scope: &Scope<'_>, cell: &BarsCell, line: usize) -> Result<Figure, ReportError> {
    let runs = look_up(scope, cell, line)?;
    let mut rows: Vec<(String, Vec<&RunResult>)> = match cell.rows.as_str() {
        "run" => groups(&runs)
            .into_iter()
            .map(|group| (scope.setting_name(&group), group.runs))
            .collect(),
        axis => scope
            .values(axis, &runs)
            .into_iter()
            .map(|value| {
                let has =
                    |run: &&RunResult| axis_value(run, axis).is_some_and(|v| same(&v, &value));
                let inside = runs.iter().copied().filter(has).collect();
                (scope.value_title(axis, &value), inside)
            })
            .collect(),
    };
    let value = |runs: &[&RunResult]| {
        let settings = groups(runs);
        let of_setting: Vec<Estimate> = settings
            .iter()
            .filter_map(|group| scope.estimate(&group.runs, &cell.metric))
            .collect();
        match of_setting.as_slice() {
            [only] => Some(*only),
            // Different settings are not replicates: their mean has no interval.
            several => crate::stats::mean(&several.iter().map(|one| one.mean).collect::<Vec<_>>())
                .map(|mean| Estimate { mean, half: None }),
        }
    };
    rows.retain(|(_, runs)| value(runs).is_some());
    let about = scope.metric(&cell.metric);
    let last = rows.len().saturating_sub(1) as f64;
    let mut drawn = Series::new(&about.label, Look::new(Colour::Series(0), Style::Bars));
    let mut csv_text = csv::line([cell.rows.as_str(), &cell.metric, "half-width"]);
    for (index, (name, runs)) in rows.iter().enumerate() {
        let Some(estimate) = value(runs) else {
            continue;
        };
        let (place, [low, high]) = (last - index as f64, estimate.ends());
        drawn
            .rects
            .push([0.0, place - 0.32, estimate.mean, place + 0.32]);
        if estimate.half.is_some() {
            drawn.whiskers.push([low, place, high, place]);
        }
        drawn.remarks.push(Remark {
            span: [low.min(0.0), high.max(0.0)],
            is_inside: false,
            y: place,
            text: estimate.to_string(),
        });
        let half = estimate
            .half
            .map(|half| half.to_string())
            .unwrap_or_default();
        csv_text.push_str(&csv::line([
            name.as_str(),
            &estimate.mean.to_string(),
            &half,
        ]));
    }
    let names: Vec<String> = rows.into_iter().map(|(name, _)| name).collect();
    let has_intervals = !drawn.whiskers.is_empty();
    Ok(Figure {
        x: Axis {
            is_padded: true,
            ..Axis::new(&about.on_axis())
        },
        alt: format!(
            "Bars of {} by {}.",
            about.label.to_lowercase(),
            scope.axis_name(&cell.rows)
        ),
        size: Some((560, 26 * names.len() as u32 + 66)),
        y: Axis {
            names,
            ..Axis::new("")
        },
        panels: vec![Panel {
            title: String::new(),
            series: vec![drawn],
        }],
        notes: if has_intervals {
            format!("Lines: {}.", scope.interval_told())
        } else {
            String::new()
        },
        csv: Some(csv_text),
        kind: Kind::Rows,
        ..Figure::default()
    })
}

impl Drawn for BarsCell {
    fn look_up(&self, scope: &Scope<'_>, line: usize) -> Result<(), ReportError> {
        look_up(scope, self, line).map(drop)
    }

    fn figure(&self, scope: &Scope<'_>, line: usize) -> Result<Figure, ReportError> {
        bars(scope, self, line)
    }

    fn caption(&self) -> Option<&str> {
        self.caption.as_deref()
    }
}
