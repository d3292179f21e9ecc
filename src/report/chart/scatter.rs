//! Final values as points: a metric against a size, an axis or another metric, one point per
//! setting.

use super::settings::{number, others};
use super::{Axis, Colour, Drawn, Figure, Key, Kind, Look, Panel, Series, Style, same};
use crate::record::RunResult;
use crate::report::ReportError;
use crate::report::csv;
use crate::report::scope::{Group, Scope, axis_value, groups};
use crate::spec::{PlotAxis, ScatterCell};

/// A setting as its axes and values.
type Axes = Vec<(String, serde_json::Value)>;

/// Resolves the names of a `scatter` cell and returns the runs it shows.
fn look_up<'a>(
    scope: &Scope<'a>,
    cell: &ScatterCell,
    line: usize,
) -> Result<Vec<&'a RunResult>, ReportError> {
    for axis in cell.panels.iter().chain(&cell.colours) {
        scope.axis(axis, line)?;
    }
    scope.filtered(&cell.filter, line)
}

/// Builds the figure of a `scatter` cell.
pub(crate) fn scatter(
    scope: &Scope<'_>,
    cell: &ScatterCell,
    line: usize,
) -> Result<Figure, ReportError> {
    let runs = look_up(scope, cell, line)?;
    let mut legend = Vec::new();
    let mut csv_text = csv::line(["panel", "setting", &cell.x, &cell.y, "half-width"]);
    let panels: Vec<Panel> = match &cell.panels {
        None => vec![panel(
            scope,
            cell,
            String::new(),
            &runs,
            &mut legend,
            &mut csv_text,
        )],
        Some(axis) => scope
            .values(axis, &runs)
            .into_iter()
            .map(|value| {
                let has =
                    |run: &&RunResult| axis_value(run, axis).is_some_and(|v| same(&v, &value));
                let inside: Vec<&RunResult> = runs.iter().copied().filter(has).collect();
                let title = scope.value_title(axis, &value);
                panel(scope, cell, title, &inside, &mut legend, &mut csv_text)
            })
            .collect(),
    };
    let named = |name: &str| match scope.is_axis(name) {
        true => scope.axis_name(name),
        false => scope.metric(name).on_axis(),
    };
    let count: usize = panels
        .iter()
        .map(|panel| panel.series.iter().map(|s| s.points.len()).sum::<usize>())
        .sum();
    let mut notes = Vec::new();
    if panels
        .iter()
        .flat_map(|panel| &panel.series)
        .any(|series| !series.whiskers.is_empty())
    {
        notes.push(format!("Vertical lines: {}.", scope.interval_told()));
    }
    if cell.join {
        notes.push("Lines join settings that differ in nothing else.".to_owned());
    }
    let (x, y) = (named(&cell.x), named(&cell.y));
    let mut figure = Figure {
        alt: format!("{y} against {x}, one point for each of {count} settings."),
        x: Axis {
            is_log: cell.log.contains(&PlotAxis::X),
            is_padded: true,
            ..Axis::new(&x)
        },
        y: Axis {
            is_log: cell.log.contains(&PlotAxis::Y),
            ..Axis::new(&y)
        },
        panels,
        legend,
        notes: notes.join(" "),
        csv: Some(csv_text),
        kind: Kind::Scatter,
        ..Figure::default()
    };
    figure.tell_what_is_hidden();
    figure.label_ends();
    Ok(figure)
}

fn panel(
    scope: &Scope<'_>,
    cell: &ScatterCell,
    title: String,
    runs: &[&RunResult],
    legend: &mut Vec<Key>,
    csv_text: &mut String,
) -> Panel {
    // Settings joined by a line are kept together.
    let mut lines: Vec<(Axes, Vec<Group<'_>>)> = Vec::new();
    for group in groups(runs) {
        let Some(run) = group.runs.first() else {
            continue;
        };
        let mut key = others(run, "seed");
        if cell.join {
            key.retain(|(name, _)| *name != cell.x);
        }
        match lines.iter_mut().find(|(known, _)| *known == key) {
            Some((_, groups)) => groups.push(group),
            None => lines.push((key, vec![group])),
        }
    }
    let mut series = Vec::new();
    for (_, groups) in lines {
        let Some(first) = groups.first().and_then(|group| group.runs.first()) else {
            continue;
        };
        let colour = match cell
            .colours
            .as_ref()
            .and_then(|axis| Some((axis, axis_value(first, axis)?)))
        {
            None => Colour::Series(0),
            Some((axis, value)) => {
                let name = scope.value_title(axis, &value);
                let colour = scope.colours.of(&name).0;
                let key = Key {
                    label: name,
                    look: Look::new(colour, Style::Points),
                };
                if !legend.contains(&key) {
                    legend.push(key);
                }
                colour
            }
        };
        let style = if cell.join {
            Style::Line
        } else {
            Style::Points
        };
        let mut drawn = Series {
            run: Some(scope.anchor(first)),
            ..Series::new(
                &scope.setting_name(&groups[0]),
                Look {
                    is_thin: cell.join,
                    ..Look::new(colour, style)
                },
            )
        };
        for group in &groups {
            let x = group.runs.first().and_then(|run| number(run, &cell.x));
            let (Some(x), Some(y)) = (x, scope.estimate(&group.runs, &cell.y)) else {
                continue;
            };
            drawn.points.push([x, y.mean]);
            if y.half.is_some_and(|half| half > 0.0) {
                let [low, high] = y.ends();
                drawn.whiskers.push([x, low, x, high]);
            }
            let half = y.half.map(|half| half.to_string()).unwrap_or_default();
            let fields = [
                &title,
                &group.name,
                &x.to_string(),
                &y.mean.to_string(),
                &half,
            ];
            csv_text.push_str(&csv::line(fields.map(String::as_str)));
        }
        drawn.points.sort_by(|a, b| a[0].total_cmp(&b[0]));
        if !drawn.points.is_empty() {
            series.push(drawn);
        }
    }
    Panel { title, series }
}

impl Drawn for ScatterCell {
    fn look_up(&self, scope: &Scope<'_>, line: usize) -> Result<(), ReportError> {
        look_up(scope, self, line).map(drop)
    }

    fn figure(&self, scope: &Scope<'_>, line: usize) -> Result<Figure, ReportError> {
        scatter(scope, self, line)
    }

    fn caption(&self) -> Option<&str> {
        self.caption.as_deref()
    }
}
