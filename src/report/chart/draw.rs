//! Drawing a figure: layout, axes and marks of every panel, with plotters.

use super::canvas::{Canvas, Mark, Outline, UNITS, text_width};
use super::scale::Scale;
use super::{Colour, Figure, Panel, Remark, Series, Style};
use crate::human;
use plotters::coord::Shift;
use plotters::coord::cartesian::Cartesian2d;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::{
    ChartBuilder, ChartContext, DrawingArea, IntoDrawingArea, LabelAreaPosition,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Number of lines in a panel from which they are drawn thin and their ends are unmarked.
const CROWD: usize = 8;

/// Type size on narrow screens, in pixels of the drawing; space for the names and ends of lines is
/// reserved at this size.
const NARROW: u32 = 17;

/// Maximum number of points in a figure that have a tooltip.
const HINTS: usize = 240;

/// Size of a panel, in pixels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// A drawn panel.
pub(crate) struct Drawing {
    /// Its elements, without the enclosing `svg`.
    pub(super) marks: String,
    /// Invisible points that carry tooltips.
    pub(super) hints: String,
    pub(super) size: Size,
    /// Whether the panel has so many lines that each must be thin.
    pub(super) is_crowded: bool,
}

/// Why a panel could not be drawn (a broken invariant of the back end, never the user's fault).
#[derive(Debug, thiserror::Error)]
#[error("could not draw a panel: {0}")]
pub struct PlotError(String);

type Failure = plotters::drawing::DrawingAreaErrorKind<std::fmt::Error>;
type Area<'a> = DrawingArea<Canvas<'a>, Shift>;
type Chart<'a, 'b> = ChartContext<'a, Canvas<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// Draws all panels of a figure with a common vertical scale.
pub(crate) fn draw(figure: &Figure, size: Size) -> Result<Vec<Drawing>, PlotError> {
    let wanted = if size.height > 280 { 6 } else { 5 };
    let all = figure.panels.iter().flat_map(|panel| &panel.series);
    let heights = all.flat_map(heights);
    let mut y = match &figure.y.names[..] {
        [] => Scale::new(heights, figure.y.range, figure.y.is_log, wanted, true),
        names => Scale::of_names(names, true),
    };
    if has_bars(&figure.panels) {
        y.low = 0.0;
    }
    if figure.y.is_whole {
        y = y.whole();
    }
    let lines: usize = figure.panels.iter().map(|panel| panel.series.len()).sum();
    let hints = (HINTS / lines.max(1)).clamp(2, 24);
    let panels = figure.panels.iter();
    panels
        .enumerate()
        .map(|(place, panel)| {
            let x = horizontal(figure, panel, size);
            draw_panel(figure, (place, panel), &x, &y, size, hints)
                .map_err(|error| PlotError(error.to_string()))
        })
        .collect()
}

fn has_bars(panels: &[Panel]) -> bool {
    let mut series = panels.iter().flat_map(|panel| &panel.series);
    series.any(|series| !series.bars.is_empty())
}

fn heights(series: &Series) -> Vec<f64> {
    let mut values: Vec<f64> = series.points.iter().map(|point| point[1]).collect();
    values.extend(series.band.iter().flat_map(|band| [band[1], band[2]]));
    values.extend(series.bars.iter().map(|bar| bar[2]));
    values.extend(series.whiskers.iter().flat_map(|[_, a, _, b]| [*a, *b]));
    if !series.bars.is_empty() {
        values.push(0.0);
    }
    values
}

/// The horizontal scale of a panel. Histograms share it across panels; curves may have different
/// lengths.
fn horizontal(figure: &Figure, panel: &Panel, size: Size) -> Scale {
    if !figure.x.names.is_empty() {
        return Scale::of_names(&figure.x.names, false);
    }
    let panels = std::slice::from_ref(panel);
    let shown = if has_bars(panels) {
        &figure.panels
    } else {
        panels
    };
    let xs = shown.iter().flat_map(|panel| &panel.series).flat_map(|s| {
        let points = s.points.iter().map(|point| point[0]);
        let bars = s.bars.iter().flat_map(|bar| [bar[0], bar[1]]);
        let spans = s.whiskers.iter().chain(&s.rects);
        points
            .chain(bars)
            .chain(spans.flat_map(|[a, _, b, _]| [*a, *b]))
    });
    // Names leave less room for the plot.
    let wanted = match size.width > 450 && figure.y.names.is_empty() {
        true => 7,
        false => 4,
    };
    let scale = Scale::new(
        xs,
        figure.x.range,
        figure.x.is_log,
        wanted,
        figure.x.is_padded,
    );
    if figure.x.is_whole {
        scale.whole()
    } else {
        scale
    }
}

fn draw_panel(
    figure: &Figure,
    (place, panel): (usize, &Panel),
    x: &Scale,
    y: &Scale,
    size: Size,
    hints: usize,
) -> Result<Drawing, Failure> {
    let is_line = |series: &&Series| series.look.style != Style::Raw;
    let is_crowded = panel.series.iter().filter(is_line).count() > CROWD;
    let (width, height) = (size.width * UNITS, size.height * UNITS);
    let is_named = !figure.y.names.is_empty();
    let left = match is_named {
        // Reserve room for names in the larger type of narrow screens.
        true => widest(figure.y.names.iter(), NARROW) + 8 * UNITS,
        false => y.longest_label() as u32 * 7 * UNITS + 12 * UNITS,
    };
    let ends = panel.series.iter().filter_map(|series| series.end.as_ref());
    let ends = widest(ends, NARROW)
        + if panel.series.iter().any(|s| s.end.is_some()) {
            16 * UNITS
        } else {
            0
        };
    let bars = panel
        .series
        .iter()
        .filter(|series| is_named && series.look.style == Style::Bars);
    let remarks = widest(
        bars.flat_map(|series| &series.remarks)
            .map(|remark| &remark.text),
        NARROW,
    );
    // Half of the last label may extend to the right.
    let last = x.ticks.last();
    let last = last.map_or(0, |(_, label)| label.chars().count() as u32);
    let right = ((8 + last * 4) * UNITS).max(ends).max(remarks + 12 * UNITS);
    let top = if figure.y.label.is_empty() { 6 } else { 26 };
    let (mut marks, mut hidden) = (String::new(), String::new());
    for (out, is_hint) in [(&mut marks, false), (&mut hidden, true)] {
        let root = Canvas::new((width, height), out).into_drawing_area();
        let mut chart = ChartBuilder::on(&root)
            .margin_top(top * UNITS)
            .margin_right(right)
            .margin_bottom(20 * UNITS)
            .set_label_area_size(LabelAreaPosition::Left, left)
            .set_label_area_size(LabelAreaPosition::Bottom, 22 * UNITS)
            .build_cartesian_2d(x.low..x.high, y.low..y.high)?;
        if !is_hint {
            axes(&root, &mut chart, x, y, figure)?;
            // The vertical label is set horizontally above its axis, where it is readable; panels
            // share it.
            let above = Some(&figure.y.label).filter(|_| place == 0);
            // Centred below the axis, or as near to that as the larger type of narrow screens
            // allows.
            let half = text_width(&figure.x.label, NARROW) / 2;
            let middle = ((width - right + left) / 2).min(width.saturating_sub(half));
            let middle = middle as i32;
            let labels = [
                ((40, 140), HPos::Left, above),
                (
                    (middle, height as i32 - 50),
                    HPos::Center,
                    Some(&figure.x.label),
                ),
            ];
            for (at, side, label) in labels {
                if let Some(label) = label.filter(|label| !label.is_empty()) {
                    root.draw(&text("label", label, at, side, VPos::Bottom))?;
                }
            }
        }
        for series in &panel.series {
            if !is_hint {
                bands_bars_lines(&mut chart, series, x, y)?;
            }
            if series.look.style != Style::Raw {
                points(&mut chart, series, x, y, hints, is_crowded, is_hint)?;
            }
        }
        if !is_hint {
            end_labels(&root, &chart, panel, x, y)?;
            for remark in panel.series.iter().flat_map(|series| &series.remarks) {
                place_remark(&root, &chart, remark, (left, width))?;
            }
        }
        root.present()?;
    }
    Ok(Drawing {
        marks,
        hints: hidden,
        size,
        is_crowded,
    })
}

/// The width, in units, of the longest of some texts set at `size` pixels.
fn widest<'t>(texts: impl Iterator<Item = &'t String>, size: u32) -> u32 {
    texts.map(|text| text_width(text, size)).max().unwrap_or(0)
}

/// Labels lines at their right ends. Labels that would overlap move apart, and a short line
/// connects each end with its label.
fn end_labels(
    root: &Area<'_>,
    chart: &Chart<'_, '_>,
    panel: &Panel,
    x: &Scale,
    y: &Scale,
) -> Result<(), Failure> {
    const GAP: i32 = 185;
    let (right, bottom) = chart.backend_coord(&(x.high, y.low));
    let (_, top) = chart.backend_coord(&(x.low, y.high));
    let mut ends = Vec::new();
    for series in &panel.series {
        let is_inside = |point: &&[f64; 2]| {
            let place = y.place(point[1]);
            place.is_some_and(|place| (y.low..=y.high).contains(&place))
        };
        let last = series.points.iter().rev().find(is_inside);
        let place = last.and_then(|point| Some((x.place(point[0])?, y.place(point[1])?)));
        if let (Some(label), Some(place)) = (&series.end, place) {
            ends.push((
                chart.backend_coord(&place),
                label,
                series.look.colour.class(),
            ));
        }
    }
    ends.sort_by_key(|((_, py), _, _)| *py);
    let mut heights: Vec<i32> = ends.iter().map(|((_, py), _, _)| *py).collect();
    for index in 1..heights.len() {
        heights[index] = heights[index].max(heights[index - 1] + GAP);
    }
    // Labels pushed below the axis move up again and push the others in turn.
    let mut limit = bottom.max(top);
    for height in heights.iter_mut().rev() {
        *height = (*height).min(limit);
        limit = *height - GAP;
    }
    for (((px, py), label, colour), height) in ends.into_iter().zip(heights) {
        let lead = vec![(px + 30, py), (right + 110, height)];
        root.draw(&mark(&format!("lead {colour}"), "", Outline::Line, lead))?;
        root.draw(&text(
            "end",
            label,
            (right + 140, height),
            HPos::Left,
            VPos::Center,
        ))?;
    }
    Ok(())
}

/// Places words to the right of their mark, to its left or above it, wherever they fit between the
/// names and the edge; otherwise inside it.
fn place_remark(
    root: &Area<'_>,
    chart: &Chart<'_, '_>,
    remark: &Remark,
    (left, width): (u32, u32),
) -> Result<(), Failure> {
    let at = |x: f64| chart.backend_coord(&(x, remark.y));
    let ((from, y), (to, _)) = (at(remark.span[0]), at(remark.span[1]));
    let length = text_width(&remark.text, NARROW) as i32;
    let above = y - 11 * UNITS as i32;
    let (place, y, side) = if remark.is_inside {
        ((from + to) / 2, y, HPos::Center)
    } else if to + 100 + length <= width as i32 {
        (to + 100, y, HPos::Left)
    } else if from - 100 - length >= left as i32 {
        (from - 100, y, HPos::Right)
    } else {
        ((from + to) / 2, above, HPos::Center)
    };
    root.draw(&text(
        "remark",
        &remark.text,
        (place, y),
        side,
        VPos::Center,
    ))
}

fn mark<C>(
    class: &str,
    title: &str,
    outline: Outline<'static>,
    points: Vec<C>,
) -> Mark<'static, C> {
    Mark {
        class: class.to_owned(),
        title: title.to_owned(),
        points,
        outline,
    }
}

fn text<'t>(
    class: &str,
    label: &'t str,
    place: (i32, i32),
    side: HPos,
    height: VPos,
) -> Mark<'t, (i32, i32)> {
    Mark {
        class: class.to_owned(),
        title: String::new(),
        points: vec![place],
        outline: Outline::Text(label, Pos::new(side, height)),
    }
}

/// Grid lines, axes, ticks and their labels. Grid lines cross numeric axes; axes of names have
/// neither grid lines nor ticks.
fn axes(
    root: &Area<'_>,
    chart: &mut Chart<'_, '_>,
    x: &Scale,
    y: &Scale,
    figure: &Figure,
) -> Result<(), Failure> {
    const TICK: i32 = 4 * UNITS as i32;
    let inside = |scale: &Scale, value: f64| (scale.low..=scale.high).contains(&value);
    let across: Vec<&(f64, String)> = x.ticks.iter().filter(|t| inside(x, t.0)).collect();
    let up: Vec<&(f64, String)> = y.ticks.iter().filter(|t| inside(y, t.0)).collect();
    let (across_named, up_named) = (!figure.x.names.is_empty(), !figure.y.names.is_empty());
    let rules: Vec<Vec<(f64, f64)>> = match (across_named, up_named) {
        (_, false) => up
            .iter()
            .map(|tick| vec![(x.low, tick.0), (x.high, tick.0)])
            .collect(),
        (false, true) => across
            .iter()
            .map(|tick| vec![(tick.0, y.low), (tick.0, y.high)])
            .collect(),
        (true, true) => Vec::new(),
    };
    for rule in rules {
        chart.draw_series([mark("grid", "", Outline::Line, rule)])?;
    }
    if !up_named {
        let corner = vec![(x.low, y.high), (x.low, y.low), (x.high, y.low)];
        chart.draw_series([mark("axis", "", Outline::Line, corner)])?;
    }
    let places = |ticks: &[&(f64, String)], at: &dyn Fn(f64) -> (f64, f64)| {
        let places = ticks.iter().map(|tick| chart.backend_coord(&at(tick.0)));
        places.collect::<Vec<(i32, i32)>>()
    };
    let below = places(&across, &|value| (value, y.low));
    let beside = places(&up, &|value| (x.low, value));
    let outward = |(px, py): (i32, i32), (dx, dy): (i32, i32)| {
        mark(
            "axis",
            "",
            Outline::Line,
            vec![(px, py), (px + dx, py + dy)],
        )
    };
    for place in below.iter().filter(|_| !across_named) {
        root.draw(&outward(*place, (0, TICK)))?;
    }
    for place in beside.iter().filter(|_| !up_named) {
        root.draw(&outward(*place, (-TICK, 0)))?;
    }
    for ((px, py), (_, label)) in below.into_iter().zip(across) {
        root.draw(&text(
            "tick",
            label,
            (px, py + TICK + 40),
            HPos::Center,
            VPos::Top,
        ))?;
    }
    for ((px, py), (_, label)) in beside.into_iter().zip(up) {
        root.draw(&text(
            "tick",
            label,
            (px - TICK - 30, py),
            HPos::Right,
            VPos::Center,
        ))?;
    }
    Ok(())
}

fn bands_bars_lines(
    chart: &mut Chart<'_, '_>,
    series: &Series,
    x: &Scale,
    y: &Scale,
) -> Result<(), Failure> {
    let colour = series.look.colour.class();
    // On a logarithmic scale, a band that reaches below zero has no lower edge.
    let has_edges = !y.is_log || series.band.iter().all(|band| band[1] > 0.0);
    if !series.band.is_empty() && has_edges {
        let clamp = |value: f64| y.place(value).unwrap_or(y.low).clamp(y.low, y.high);
        let edge = |side: usize| {
            let band = series.band.iter();
            band.filter_map(move |b| Some((x.place(b[0])?, clamp(b[side]))))
        };
        let mut outline: Vec<(f64, f64)> = edge(2).collect();
        outline.extend(edge(1).collect::<Vec<_>>().into_iter().rev());
        let class = format!("band {colour}");
        chart.draw_series([mark(&class, "", Outline::Area, outline)])?;
    }
    for [from, to, height] in &series.bars {
        let (Some(a), Some(b), Some(top)) = (x.place(*from), x.place(*to), y.place(*height)) else {
            continue;
        };
        let [height, from, to] = [height, from, to].map(|value| human::plain(*value, 4));
        let title = format!("{}: {height} from {from} to {to}", series.label);
        let (class, corners) = (format!("bars {colour}"), vec![(a, y.low), (b, top)]);
        chart.draw_series([mark(&class, &title, Outline::Bar, corners)])?;
    }
    let is_ink = series.look.colour == Colour::Ink || !series.rects.is_empty();
    for [ax, ay, bx, by] in &series.rects {
        let class = match series.look.style {
            Style::Heat(_) => series.look.class(),
            _ => format!("bars {colour}"),
        };
        let corners = vec![(*ax, *ay), (*bx, *by)];
        chart.draw_series([mark(&class, &series.label, Outline::Bar, corners)])?;
    }
    for [ax, ay, bx, by] in &series.whiskers {
        let ends = [
            x.place(*ax).zip(y.place(*ay)),
            x.place(*bx).zip(y.place(*by)),
        ];
        let [Some(from), Some(to)] = ends else {
            continue;
        };
        let class = match (series.look.colour, is_ink) {
            (Colour::Ink, _) => "axis".to_owned(),
            (_, true) => "whisker ink".to_owned(),
            (_, false) => format!("whisker {colour}"),
        };
        chart.draw_series([mark(&class, "", Outline::Line, vec![from, to])])?;
    }
    if matches!(series.look.style, Style::Points | Style::Faint) {
        return Ok(());
    }
    let placed = series.points.iter();
    let placed = placed.filter_map(|point| Some((x.place(point[0])?, y.place(point[1])?)));
    let placed: Vec<(f64, f64)> = placed.collect();
    for piece in clip(&placed, y.low, y.high) {
        let class = series.look.class();
        chart.draw_series([mark(&class, &series.label, Outline::Line, piece)])?;
    }
    Ok(())
}

/// Marks all points of a curve with few points, otherwise only its end. The other points, in
/// `hints`, only carry tooltips.
fn points(
    chart: &mut Chart<'_, '_>,
    series: &Series,
    x: &Scale,
    y: &Scale,
    most: usize,
    is_crowded: bool,
    hints: bool,
) -> Result<(), Failure> {
    let count = series.points.len();
    let is_plain = matches!(series.look.style, Style::Points | Style::Faint);
    let is_sparse = count <= 12 || is_plain;
    let shown = if is_sparse { count } else { most.min(count) };
    for number in 0..shown {
        let index = if shown > 1 {
            number * (count - 1) / (shown - 1)
        } else {
            count - 1
        };
        let [px, py] = series.points[index];
        let place = x.place(px).zip(y.place(py));
        let Some(place) = place.filter(|(_, cy)| (y.low..=y.high).contains(cy)) else {
            continue;
        };
        let marks_end =
            index + 1 == count && series.look.colour != Colour::Published && !is_crowded;
        let is_visible = is_sparse || marks_end;
        if is_visible == hints {
            continue;
        }
        let (value, at) = (human::significant(py, 4), human::plain(px, 4));
        let title = format!("{}: {value} at {at}", series.label);
        let (class, radius) = match hints {
            true => ("hint".to_owned(), 50),
            false if series.look.style == Style::Faint => {
                (format!("faint {}", series.look.colour.class()), 24)
            }
            false if is_plain => (format!("point {}", series.look.colour.class()), 45),
            false => (format!("point {}", series.look.colour.class()), 24),
        };
        chart.draw_series([mark(&class, &title, Outline::Dot(radius), vec![place])])?;
    }
    Ok(())
}

/// The pieces of a line between two heights, cut where the line crosses them.
fn clip(line: &[(f64, f64)], low: f64, high: f64) -> Vec<Vec<(f64, f64)>> {
    let is_inside = |y: f64| (low..=high).contains(&y);
    if line.iter().all(|point| is_inside(point.1)) {
        return if line.is_empty() {
            Vec::new()
        } else {
            vec![line.to_vec()]
        };
    }
    let cross =
        |a: (f64, f64), b: (f64, f64), at: f64| (a.0 + (b.0 - a.0) * (at - a.1) / (b.1 - a.1), at);
    let mut pieces = Vec::new();
    let mut piece: Vec<(f64, f64)> = Vec::new();
    for pair in line.windows(2) {
        let (a, b) = (pair[0], pair[1]);
        let (bottom, top) = (a.1.min(b.1), a.1.max(b.1));
        if top < low || bottom > high {
            continue;
        }
        let edge = |inner: (f64, f64), outer: (f64, f64)| {
            if is_inside(inner.1) {
                inner
            } else {
                cross(inner, outer, if inner.1 < low { low } else { high })
            }
        };
        let (from, to) = (edge(a, b), edge(b, a));
        if piece.last() != Some(&from) {
            if piece.len() > 1 {
                pieces.push(std::mem::take(&mut piece));
            }
            piece = vec![from];
        }
        piece.push(to);
    }
    if piece.len() > 1 {
        pieces.push(piece);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::clip;

    #[test]
    fn lines_are_cut_where_they_leave_the_range() {
        let line = [(0.0, 0.0), (1.0, 2.0), (2.0, 0.0)];
        assert_eq!(clip(&line, 0.0, 2.0), vec![line.to_vec()]);
        assert_eq!(
            clip(&line, 0.0, 1.0),
            vec![vec![(0.0, 0.0), (0.5, 1.0)], vec![(1.5, 1.0), (2.0, 0.0)]]
        );
        assert!(clip(&line, 5.0, 6.0).is_empty() && clip(&[], 0.0, 1.0).is_empty());
    }
}
