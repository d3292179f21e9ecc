//! A heat map: a metric by two axes, averaged over all others.

use super::{Axis, Colour, Drawn, Figure, Kind, Look, Panel, Remark, Series, Style, same};
use crate::record::RunResult;
use crate::report::scope::{Scope, axis_value, groups};
use crate::report::{ReportError, csv};
use crate::spec::HeatCell;
use crate::{human, stats};
use serde_json::Value;

/// Number of shade steps.
const SHADES: f64 = 9.0;

/// Resolves the names of a `heat` cell and returns the runs it shows.
fn look_up<'a>(
    scope: &Scope<'a>,
    cell: &HeatCell,
    line: usize,
) -> Result<Vec<&'a RunResult>, ReportError> {
    scope.axis(&cell.x, line)?;
    scope.axis(&cell.y, line)?;
    scope.filtered(&cell.filter, line)
}

/// Builds the figure of a `heat` cell.
pub(crate) fn heat(scope: &Scope<'_>, cell: &HeatCell, line: usize) -> Result<Figure, ReportError> {
    let runs = look_up(scope, cell, line)?;
    let (across, down) = (scope.values(&cell.x, &runs), scope.values(&cell.y, &runs));
    let value = |x: &Value, y: &Value| {
        let has = |run: &&RunResult, axis: &str, wanted: &Value| {
            axis_value(run, axis).is_some_and(|v| same(&v, wanted))
        };
        let inside: Vec<&RunResult> = runs
            .iter()
            .copied()
            .filter(|run| has(run, &cell.x, x) && has(run, &cell.y, y))
            .collect();
        let means = groups(&inside)
            .iter()
            .filter_map(|group| scope.estimate(&group.runs, &cell.metric))
            .map(|one| one.mean)
            .collect::<Vec<_>>();
        stats::mean(&means).map(|mean| (mean, means.len()))
    };
    let mut found = Vec::new();
    for (row, y) in down.iter().enumerate() {
        for (column, x) in across.iter().enumerate() {
            found.extend(value(x, y).map(|(mean, settings)| (column, row, mean, settings)));
        }
    }
    let (low, high) = found
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), one| {
            (a.min(one.2), b.max(one.2))
        });
    let last = down.len().saturating_sub(1) as f64;
    let about = scope.metric(&cell.metric);
    let mut csv_text = csv::line([cell.x.as_str(), &cell.y, &cell.metric, "settings"]);
    let series = found.iter().map(|(column, row, mean, settings)| {
        let (x, y) = (*column as f64, last - *row as f64);
        let shade = if high > low {
            ((mean - low) / (high - low) * SHADES) as u8
        } else {
            0
        };
        let (name_x, name_y) = (
            scope.value_name(&cell.x, &across[*column]),
            scope.value_name(&cell.y, &down[*row]),
        );
        csv_text.push_str(&csv::line([
            name_x.as_str(),
            &name_y,
            &mean.to_string(),
            &settings.to_string(),
        ]));
        let mut drawn = Series::new(
            &format!("{name_y}, {name_x}"),
            Look::new(Colour::Series(0), Style::Heat(shade)),
        );
        drawn.rects.push([x - 0.48, y - 0.46, x + 0.48, y + 0.46]);
        drawn.remarks.push(Remark {
            span: [x, x],
            is_inside: true,
            y,
            text: human::significant(*mean, 4),
        });
        drawn
    });
    let series: Vec<Series> = series.collect();
    let most = found.iter().map(|one| one.3).max().unwrap_or(1);
    let names = |axis: &str, values: &[Value]| {
        values
            .iter()
            .map(|value| scope.value_name(axis, value))
            .collect::<Vec<_>>()
    };
    Ok(Figure {
        x: Axis {
            names: names(&cell.x, &across),
            ..Axis::new(&scope.axis_name(&cell.x))
        },
        y: Axis {
            names: names(&cell.y, &down),
            ..Axis::new(&scope.axis_name(&cell.y))
        },
        size: Some((560, 40 * down.len() as u32 + 70)),
        alt: format!(
            "{} by {} and {}.",
            about.with_unit(),
            scope.axis_name(&cell.y),
            scope.axis_name(&cell.x)
        ),
        panels: vec![Panel {
            title: String::new(),
            series,
        }],
        notes: if most > 1 {
            format!(
                "Each value is the mean of up to {most} settings; the stronger the colour, the higher."
            )
        } else {
            "The stronger the colour, the higher.".to_owned()
        },
        csv: Some(csv_text),
        kind: Kind::Heat,
        ..Figure::default()
    })
}

impl Drawn for HeatCell {
    fn look_up(&self, scope: &Scope<'_>, line: usize) -> Result<(), ReportError> {
        look_up(scope, self, line).map(drop)
    }

    fn figure(&self, scope: &Scope<'_>, line: usize) -> Result<Figure, ReportError> {
        heat(scope, self, line)
    }

    fn caption(&self) -> Option<&str> {
        self.caption.as_deref()
    }
}
