//! Learning curves: panels by one axis, colours by another, means and bands over seeds, and
//! published curves beside ours.

use super::colour::{MOST_LINES, our_style, published_style};
use super::{Axis, Colour, Drawn, Figure, Key, Look, Panel, Series, Style, reduce, same};
use crate::record::{REPLICATE_AXES, RunResult};
use crate::report::ReportError;
use crate::report::metric::{CURVES, at, curve_label};
use crate::report::scope::{Group, Scope, axis_value, groups, value_text};
use crate::report::text::one_line;
use crate::spec::{PlotAxis, PlotCell, PlotX, PublishedCurve};
use crate::stats::{by_draw, half_width, mean};
use serde_json::Value;
use std::collections::BTreeMap;

/// Maximum number of points in a figure; beyond it, every series is reduced.
const POINTS: usize = 12_000;

/// Resolves the names of a `plot` cell and returns the runs it shows.
fn look_up<'a>(
    scope: &Scope<'a>,
    cell: &PlotCell,
    line: usize,
) -> Result<Vec<&'a RunResult>, ReportError> {
    for curve in &cell.curves {
        if !CURVES.contains(&curve.as_str()) {
            return Err(ReportError::Unknown {
                line,
                what: "curve",
                name: curve.clone(),
                known: CURVES.iter().map(|name| (*name).to_owned()).collect(),
            });
        }
    }
    for axis in cell.panels.iter().chain(&cell.colours) {
        scope.axis(axis, line)?;
    }
    scope.filtered(&cell.filter, line)
}

/// Builds the figure of a `plot` cell.
pub(crate) fn curves(
    scope: &Scope<'_>,
    cell: &PlotCell,
    line: usize,
) -> Result<Figure, ReportError> {
    let runs = look_up(scope, cell, line)?;
    let runs: Vec<&RunResult> = runs.into_iter().filter(|r| !r.series.is_empty()).collect();
    let mut builder = Builder {
        scope,
        cell,
        lines: lines(scope, cell, &runs),
        legend: Vec::new(),
        most_runs: 1,
        has_draws: false,
        last_step: last_step(&runs),
        buckets: (POINTS / (4 * runs.len().max(1) * cell.curves.len().max(1))).clamp(12, 300),
    };
    let panels = match &cell.panels {
        None => vec![builder.panel(String::new(), None, &runs)],
        Some(axis) => scope
            .values(axis, &runs)
            .into_iter()
            .map(|value| {
                let has =
                    |run: &&RunResult| axis_value(run, axis).is_some_and(|v| same(&v, &value));
                let inside: Vec<&RunResult> = runs.iter().copied().filter(has).collect();
                builder.panel(scope.value_title(axis, &value), Some(&value), &inside)
            })
            .collect(),
    };
    let notes = builder.notes(&runs);
    // Our curves come first.
    builder
        .legend
        .sort_by_key(|key| key.look.colour == Colour::Published);
    let alt = alt(cell, &panels, runs.len());
    let mut figure = Figure {
        x: Axis {
            label: match cell.x {
                PlotX::Step => "step",
                PlotX::Epoch => "epoch",
                PlotX::Tokens => "tokens",
            }
            .to_owned(),
            is_log: cell.log.contains(&PlotAxis::X),
            is_whole: cell.x != PlotX::Epoch,
            ..Axis::default()
        },
        y: Axis {
            label: y_label(scope, &cell.curves),
            is_log: cell.log.contains(&PlotAxis::Y),
            range: cell.y_range,
            ..Axis::default()
        },
        panels,
        legend: builder.legend,
        alt,
        notes,
        ..Figure::default()
    };
    figure.keep_ours_tall();
    figure.tell_what_is_hidden();
    figure.label_ends();
    Ok(figure)
}

/// The axis distinguished by the line styles of one colour, with its values: the only axis that
/// neither panels nor colours show.
fn lines(scope: &Scope<'_>, cell: &PlotCell, runs: &[&RunResult]) -> Option<(String, Vec<Value>)> {
    let colours = cell.colours.as_ref().filter(|_| cell.curves.len() == 1)?;
    let axes = runs.first()?.axes.iter().map(|(axis, _)| axis);
    let hidden = axes.filter(|axis| {
        let is_shown = *axis == colours || cell.panels.as_ref() == Some(*axis);
        !is_shown && !REPLICATE_AXES.contains(&axis.as_str())
    });
    let values = hidden.map(|axis| (axis.clone(), scope.values(axis, runs)));
    let mut several = values.filter(|(_, values)| values.len() > 1);
    let only = several.next().filter(|_| several.next().is_none());
    only.filter(|(_, values)| values.len() <= MOST_LINES)
}

fn y_label(scope: &Scope<'_>, curves: &[String]) -> String {
    match curves {
        [only] if is_loss(only) => format!("{} (nats per token)", scope.curve_name(only)),
        [only] => scope.curve_name(only),
        _ if curves.iter().all(|curve| is_loss(curve)) => "loss (nats per token)".to_owned(),
        _ => {
            let names: Vec<String> = curves.iter().map(|curve| scope.curve_name(curve)).collect();
            names.join(", ")
        }
    }
}

/// The name of a curve among `curves`: if the axis label already says that all are losses,
/// `training` and `validation` suffice.
fn short_name(scope: &Scope<'_>, curve: &str, curves: &[String]) -> String {
    let name = scope.curve_name(curve);
    let is_plain = |curve: &String| matches!(curve.as_str(), "train/loss" | "val/loss");
    match name.strip_suffix(" loss") {
        Some(short) if curves.len() > 1 && curves.iter().all(is_plain) => short.to_owned(),
        _ => name,
    }
}

/// Whether a curve is a loss in nats: the square part is not, nor are norms and rates.
fn is_loss(curve: &str) -> bool {
    matches!(
        curve,
        "train/loss" | "train/ce" | "val/loss" | "val/ce" | "val/loss_batch_mean"
    )
}

fn alt(cell: &PlotCell, panels: &[Panel], runs: usize) -> String {
    let names: Vec<&str> = cell.curves.iter().map(|c| curve_label(c)).collect();
    let x = match cell.x {
        PlotX::Step => "step",
        PlotX::Epoch => "epoch",
        PlotX::Tokens => "tokens",
    };
    let mut text = format!("{} against {x} for {runs} runs", names.join(" and "));
    if let Some(first) = text.get_mut(0..1) {
        first.make_ascii_uppercase();
    }
    if panels.len() > 1 {
        let titles: Vec<&str> = panels.iter().map(|panel| panel.title.as_str()).collect();
        text.push_str(", one panel each: ");
        text.push_str(&titles.join("; "));
    }
    text.push('.');
    text
}

fn last_step(runs: &[&RunResult]) -> u64 {
    let ends = runs.iter().filter_map(|run| run.series.last());
    ends.map(|point| point.step).max().unwrap_or(0)
}

/// The points of a published curve, rescaled to the steps of our longest run if the curve states
/// its number of steps, and to our vocabulary if it states its number of classes.
fn scaled(published: &PublishedCurve, last_step: u64, classes: Option<u64>) -> Vec<[f64; 2]> {
    let stretch = published
        .of_steps
        .map_or(1.0, |steps| last_step as f64 / steps as f64);
    let height = match (published.classes, classes) {
        (Some(theirs), Some(ours)) => libm::log(ours as f64) / libm::log(theirs as f64),
        _ => 1.0,
    };
    let points = published.points.iter();
    points.map(|[x, y]| [x * stretch, y * height]).collect()
}

/// Number of classes of the runs' models.
fn classes(runs: &[&RunResult]) -> Option<u64> {
    runs.first()?.key.pointer("/model/vocab_size")?.as_u64()
}

struct Builder<'a, 'b> {
    scope: &'b Scope<'a>,
    cell: &'b PlotCell,
    /// The axis distinguished by line styles, if any, and its values.
    lines: Option<(String, Vec<Value>)>,
    legend: Vec<Key>,
    most_runs: usize,
    /// Whether runs use different draws of documents.
    has_draws: bool,
    buckets: usize,
    /// Last step of the longest run.
    last_step: u64,
}

impl Builder<'_, '_> {
    fn key(&mut self, label: &str, look: Look) {
        let key = Key {
            label: label.to_owned(),
            look,
        };
        if !self.legend.contains(&key) {
            self.legend.push(key);
        }
    }

    fn panel(&mut self, title: String, value: Option<&Value>, runs: &[&RunResult]) -> Panel {
        let mut series = Vec::new();
        for published in &self.cell.published {
            let is_here = match (&published.panel, value) {
                (Some(wanted), Some(value)) => value_text(value) == *wanted,
                (Some(_), None) => false,
                (None, _) => true,
            };
            if is_here {
                let label = one_line(&published.label);
                let look = Look::new(Colour::Published, published_style(series.len()));
                self.key(&label, look);
                series.push(Series {
                    points: scaled(published, self.last_step, classes(runs)),
                    ..Series::new(&label, look)
                });
            }
        }
        let groups = groups(runs);
        for curve in &self.cell.curves {
            for group in &groups {
                self.series(curve, group, &mut series);
            }
        }
        // Raw curves are drawn behind everything else.
        series.sort_by_key(|series| series.look.style != Style::Raw);
        Panel { title, series }
    }

    /// The appearance of a curve's lines. Colours stand for curves or for the values of an axis; in
    /// the latter case training curves are thinner than the others, and further curves, like values
    /// beyond the eight colours, get their own line styles.
    fn look(&mut self, curve: &str, group: &Group<'_>) -> Look {
        let Some(axis) = &self.cell.colours else {
            let look = Look::new(Colour::of_curve(curve), Style::Line);
            self.key(&short_name(self.scope, curve, &self.cell.curves), look);
            return look;
        };
        let value = group.runs.first().and_then(|run| axis_value(run, axis));
        let title = self.scope.value_title(axis, &value.unwrap_or(Value::Null));
        let (colour, repeated) = self.scope.colours.of(&title);
        self.key(&title, Look::new(colour, our_style(repeated)));
        if let Some(line) = self.line(group) {
            return Look::new(colour, our_style(repeated + line));
        }
        let is_train = |curve: &&String| curve.starts_with("train/");
        let (thin, full): (Vec<&String>, Vec<&String>) =
            self.cell.curves.iter().partition(is_train);
        let is_thin = !full.is_empty() && thin.iter().any(|known| *known == curve);
        let alike = if is_thin || full.is_empty() {
            thin
        } else {
            full
        };
        let place = alike.iter().position(|known| *known == curve);
        Look {
            is_thin,
            ..Look::new(colour, our_style(repeated + place.unwrap_or_default()))
        }
    }

    /// The line style of a group within its colour; the legend explains it in ink.
    fn line(&mut self, group: &Group<'_>) -> Option<usize> {
        let (axis, values) = self.lines.clone()?;
        let value = axis_value(group.runs.first()?, &axis)?;
        let place = values.iter().position(|known| same(known, &value))?;
        let title = self.scope.value_title(&axis, &value);
        self.key(&title, Look::new(Colour::Ink, our_style(place)));
        Some(place)
    }

    fn series(&mut self, curve: &str, group: &Group<'_>, out: &mut Vec<Series>) {
        let look = self.look(curve, group);
        let (points, band) = replicates(&group.runs, curve, self.cell.x);
        if points.is_empty() {
            return;
        }
        self.most_runs = self.most_runs.max(group.runs.len());
        self.has_draws |= group.runs.iter().any(|run| run.draw() != 0);
        let label = format!(
            "{}, {}",
            self.scope.setting_name(group),
            self.scope.curve_name(curve)
        );
        let run = group.runs.first().map(|run| self.scope.anchor(run));
        let width = self.cell.smooth.unwrap_or(0);
        let make = |points: &[[f64; 2]], band: &[[f64; 3]], look: Look| {
            let kept = reduce(points, self.buckets);
            Series {
                run: run.clone(),
                points: kept.iter().map(|index| points[*index]).collect(),
                band: kept.iter().filter_map(|i| band.get(*i)).copied().collect(),
                ..Series::new(&label, look)
            }
        };
        // Curves with few points are not smoothed.
        if width > 1 && points.len() >= 2 * width {
            out.push(make(&points, &[], Look::new(look.colour, Style::Raw)));
            out.push(make(&moving_mean(&points, width), &[], look));
        } else {
            out.push(make(&points, &band, look));
        }
    }

    fn notes(&mut self, runs: &[&RunResult]) -> String {
        let mut notes: Vec<String> = Vec::new();
        if self.cell.colours.is_some() && self.cell.curves.len() > 1 {
            let (thin, full): (Vec<&String>, Vec<&String>) = self
                .cell
                .curves
                .iter()
                .partition(|c| c.starts_with("train/"));
            let names = |curves: &[&String]| {
                let name = |curve: &&String| short_name(self.scope, curve, &self.cell.curves);
                curves.iter().map(name).collect::<Vec<_>>().join(", ")
            };
            if !thin.is_empty() && !full.is_empty() {
                self.key(&names(&full), Look::new(Colour::Ink, Style::Line));
                let thin_line = Look::new(Colour::Ink, Style::Line);
                self.key(
                    &names(&thin),
                    Look {
                        is_thin: true,
                        ..thin_line
                    },
                );
            }
        }
        if let Some(width) = self.cell.smooth.filter(|width| *width > 1) {
            notes.push(format!(
                "Strong lines are moving means over {width} points; the raw curves lie behind them."
            ));
        }
        if self.most_runs > 1 {
            let runs = self.most_runs;
            let (what, over) = match self.has_draws {
                true => ("runs", " over draws of documents"),
                false => ("seeds", " over seeds"),
            };
            let band = if self.cell.smooth.is_some() {
                format!("Lines are means over {runs} {what}.")
            } else {
                format!(
                    "Lines are means over {runs} {what}, bands their 95 % intervals{over} (Student's t)."
                )
            };
            notes.push(band);
        }
        if !self.cell.published.is_empty() {
            notes.push("Grey, dotted or dashed: as published.".to_owned());
        }
        if runs.is_empty() {
            notes.push("No finished run has these curves yet.".to_owned());
        }
        notes.join(" ")
    }
}

type Points = Vec<[f64; 2]>;
type Band = Vec<[f64; 3]>;

/// The mean curve of replicates with the band of its 95 % intervals.
fn replicates(runs: &[&RunResult], curve: &str, x: PlotX) -> (Points, Band) {
    let mut by_step: BTreeMap<u64, (f64, Vec<(u64, f64)>)> = BTreeMap::new();
    let with_series: Vec<&&RunResult> = runs.iter().filter(|r| !r.series.is_empty()).collect();
    for run in &with_series {
        for point in &run.series {
            if let Some(y) = at(point, curve) {
                let x = match x {
                    PlotX::Step => point.step as f64,
                    PlotX::Epoch => point.epoch,
                    PlotX::Tokens => point.tokens as f64,
                };
                let entry = by_step.entry(point.step).or_insert((x, Vec::new()));
                entry.1.push((run.draw(), y));
            }
        }
    }
    let mut points = Vec::with_capacity(by_step.len());
    let mut band = Vec::new();
    for (x, ys) in by_step.into_values() {
        // The mean would jump where a seed is missing.
        if ys.len() < with_series.len() {
            continue;
        }
        let mut values = by_draw(&ys);
        let Some(mean) = mean(&values) else { continue };
        points.push([x, mean]);
        // Seeds of one draw are not replicates over documents.
        if values.len() == 1 {
            values = ys.into_iter().map(|(_, y)| y).collect();
        }
        if let Some(half) = half_width(&values) {
            band.push([x, mean - half, mean + half]);
        }
    }
    (points, band)
}

/// Centred moving mean. At the start, where curves fall steeply, the window grows symmetrically
/// from one point; at the end only its later half shrinks, so the last point is a mean too.
fn moving_mean(points: &[[f64; 2]], width: usize) -> Vec<[f64; 2]> {
    let half = width / 2;
    (0..points.len())
        .map(|index| {
            let back = half.min(index);
            let window = &points[index - back..=(index + back).min(points.len() - 1)];
            let sum: f64 = window.iter().map(|point| point[1]).sum();
            [points[index][0], sum / window.len() as f64]
        })
        .collect()
}

impl Drawn for PlotCell {
    fn look_up(&self, scope: &Scope<'_>, line: usize) -> Result<(), ReportError> {
        look_up(scope, self, line).map(drop)
    }

    fn figure(&self, scope: &Scope<'_>, line: usize) -> Result<Figure, ReportError> {
        curves(scope, self, line)
    }

    fn caption(&self) -> Option<&str> {
        self.caption.as_deref()
    }
}
