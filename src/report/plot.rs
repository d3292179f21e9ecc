//! Drawing: the only user of `plotters`. Its SVG backend places whole pixels, so a panel is drawn on a canvas of tenths;
//! every object gets a colour of its own that names its role, and [`super::svg`] turns roles into the final markup.

use super::figure::{Figure, Panel, Series, Style};
use super::number;
use super::palette::Slot;
use super::svg::Role;
use super::ticks::Scale;
use plotters::coord::Shift;
use plotters::coord::cartesian::Cartesian2d;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::prelude::{
    ChartBuilder, ChartContext, Circle, Color, DrawingArea, IntoDrawingArea, IntoFont,
    LabelAreaPosition, PathElement, Polygon, RGBColor, Rectangle, SVGBackend, ShapeStyle,
};

/// Units of the canvas per pixel.
pub(crate) const TENTHS: u32 = 10;

/// Height of a tick label in pixels.
pub(crate) const FONT: u32 = 11;

/// Lines in a panel from which on they are thin and their ends are not marked.
const CROWD: usize = 8;

/// Most points of a figure that show their value to a pointer.
const HINTS: usize = 240;

/// Size of a panel in pixels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// A panel as plotters wrote it.
pub(crate) struct Drawing {
    pub(crate) raw: String,
    pub(crate) roles: Vec<Role>,
    pub(crate) size: Size,
    /// Left edge of the plotting area in pixels: the label of the vertical axis starts there.
    pub(crate) left: u32,
    /// Whether there are so many lines that each has to be thin.
    pub(crate) is_crowded: bool,
    pub(crate) x_label: String,
    pub(crate) y_label: String,
}

/// Why a panel could not be drawn (an invariant of the backend, never the user's fault).
#[derive(Debug, thiserror::Error)]
#[error("could not draw a panel: {0}")]
pub struct PlotError(String);

type Backend<'a> = SVGBackend<'a>;
type Chart<'a, 'b> = ChartContext<'a, Backend<'b>, Cartesian2d<Ticked, Ticked>>;

/// A [`Scale`] as plotters sees it: its own ticks, its own labels.
struct Ticked(Scale);

impl Ranged for Ticked {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let part = (value - self.0.low) / (self.0.high - self.0.low);
        limit.0 + (part * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() {
            return Vec::new();
        }
        self.0.ticks.iter().map(|tick| tick.0).collect()
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.0.low..self.0.high
    }
}

impl ValueFormatter<f64> for Ticked {
    fn format_ext(&self, value: &f64) -> String {
        let found = self.0.ticks.iter().find(|(place, _)| place == value);
        found.map(|(_, label)| label.clone()).unwrap_or_default()
    }
}

/// Draws all panels of a figure; the vertical scale is common to them.
pub(crate) fn draw(figure: &Figure, size: Size) -> Result<Vec<Drawing>, PlotError> {
    let heights = figure
        .panels
        .iter()
        .flat_map(|panel| heights(panel, figure));
    let has_bars = figure
        .panels
        .iter()
        .any(|panel| panel.series.iter().any(|series| !series.bars.is_empty()));
    let wanted = if size.height > 280 { 6 } else { 5 };
    let mut y = Scale::new(heights, figure.y.range, figure.y.is_log, wanted, true);
    if has_bars && !figure.y.is_log {
        y.low = 0.0;
    }
    let lines = figure
        .panels
        .iter()
        .map(|panel| panel.series.len())
        .sum::<usize>();
    let hints = (HINTS / lines.max(1)).clamp(2, 24);
    figure
        .panels
        .iter()
        .map(|panel| draw_panel(figure, panel, &y, size, hints))
        .collect()
}

fn heights(panel: &Panel, figure: &Figure) -> Vec<f64> {
    let mut values = Vec::new();
    for series in &panel.series {
        values.extend(series.points.iter().map(|point| point[1]));
        values.extend(series.band.iter().flat_map(|band| [band[1], band[2]]));
        values.extend(series.bars.iter().map(|bar| bar[2]));
        if !series.bars.is_empty() {
            // Bars stand on the axis; on a logarithmic one a single count has to be seen.
            values.push(if figure.y.is_log { 0.7 } else { 0.0 });
        }
    }
    values
}

fn draw_panel(
    figure: &Figure,
    panel: &Panel,
    y: &Scale,
    size: Size,
    hints: usize,
) -> Result<Drawing, PlotError> {
    // Histograms are compared across panels; curves may run over different lengths.
    let has_bars = panel.series.iter().any(|series| !series.bars.is_empty());
    let shown = if has_bars {
        &figure.panels[..]
    } else {
        std::slice::from_ref(panel)
    };
    let all = shown.iter().flat_map(|panel| &panel.series);
    let xs = all.flat_map(|series| {
        let points = series.points.iter().map(|point| point[0]);
        points.chain(series.bars.iter().flat_map(|bar| [bar[0], bar[1]]))
    });
    let wanted = if size.width > 450 { 7 } else { 4 };
    let mut x = Scale::new(xs, figure.x.range, figure.x.is_log, wanted, false);
    if figure.x.is_whole {
        x = x.whole();
    }
    let lines = panel
        .series
        .iter()
        .filter(|s| s.style != Style::Raw)
        .count();
    let is_crowded = lines > CROWD;
    let left = (y.longest_label() as u32 * 65).div_ceil(10) + 12;
    let mut pen = Pen {
        roles: Vec::new(),
        is_crowded,
    };
    let mut raw = String::new();
    {
        let canvas = SVGBackend::with_string(&mut raw, (size.width * TENTHS, size.height * TENTHS));
        let root = canvas.into_drawing_area();
        let failed = |error: &dyn std::fmt::Display| PlotError(error.to_string());
        let mut chart = chart(&root, &x, y, left).map_err(|e| failed(&e))?;
        mesh(&mut chart, &mut pen).map_err(|e| failed(&e))?;
        for series in &panel.series {
            series_elements(&mut chart, &mut pen, series, &x, y, hints).map_err(|e| failed(&e))?;
        }
        root.present().map_err(|e| failed(&e))?;
    }
    Ok(Drawing {
        raw,
        roles: pen.roles,
        size,
        left,
        is_crowded,
        x_label: figure.x.label.clone(),
        y_label: figure.y.label.clone(),
    })
}

/// Hands out colours that name roles.
struct Pen {
    roles: Vec<Role>,
    is_crowded: bool,
}

impl Pen {
    fn ink(&mut self, role: Role) -> RGBColor {
        self.roles.push(role);
        let index = self.roles.len();
        RGBColor((index >> 16) as u8, (index >> 8) as u8, index as u8)
    }

    fn stroke(&mut self, role: Role) -> ShapeStyle {
        self.ink(role).stroke_width(1)
    }

    fn fill(&mut self, role: Role) -> ShapeStyle {
        self.ink(role).filled()
    }
}

type Failure = plotters::drawing::DrawingAreaErrorKind<std::io::Error>;

fn chart<'a, 'b>(
    root: &'a DrawingArea<Backend<'b>, Shift>,
    x: &Scale,
    y: &Scale,
    left: u32,
) -> Result<Chart<'a, 'b>, Failure> {
    // Half of the last label may stand out to the right.
    let last = x
        .ticks
        .last()
        .map_or(0, |(_, label)| label.chars().count() as u32);
    ChartBuilder::on(root)
        .margin_top(24 * TENTHS)
        .margin_right((8 + last * 4) * TENTHS)
        .margin_bottom(18 * TENTHS)
        .set_label_area_size(LabelAreaPosition::Left, left * TENTHS)
        .set_label_area_size(LabelAreaPosition::Bottom, 20 * TENTHS)
        .build_cartesian_2d(Ticked(x.clone()), Ticked(y.clone()))
}

fn mesh(chart: &mut Chart<'_, '_>, pen: &mut Pen) -> Result<(), Failure> {
    let text = ("sans-serif", (FONT * TENTHS) as i32)
        .into_font()
        .color(&pen.ink(Role::Tick));
    chart
        .configure_mesh()
        .disable_x_mesh()
        .max_light_lines(0)
        .set_all_tick_mark_size(4 * TENTHS as i32)
        .axis_style(pen.stroke(Role::Axis))
        .bold_line_style(pen.stroke(Role::Grid))
        .label_style(text)
        .draw()
}

fn series_elements(
    chart: &mut Chart<'_, '_>,
    pen: &mut Pen,
    series: &Series,
    x: &Scale,
    y: &Scale,
    hints: usize,
) -> Result<(), Failure> {
    let place = |px: f64, py: f64| Some((x.place(px)?, y.place(py)?));
    // On a logarithmic scale a band that reaches below zero has no lower edge.
    let has_edges = !y.is_log || series.band.iter().all(|band| band[1] > 0.0);
    if !series.band.is_empty() && has_edges {
        let clamp = |value: f64| y.place(value).unwrap_or(y.low).clamp(y.low, y.high);
        let edge = |side: usize| {
            let band = series.band.iter();
            band.filter_map(move |b| Some((x.place(b[0])?, clamp(b[side]))))
        };
        let mut outline: Vec<(f64, f64)> = edge(2).collect();
        outline.extend(edge(1).collect::<Vec<_>>().into_iter().rev());
        let style = pen.fill(Role::Band(series.slot));
        chart.draw_series([Polygon::new(outline, style)])?;
    }
    for [from, to, height] in &series.bars {
        let title = format!(
            "{}: {} from {} to {}",
            series.label,
            number::plain(*height, 4),
            number::plain(*from, 4),
            number::plain(*to, 4)
        );
        let style = pen.fill(Role::Bar(series.slot, title));
        if let (Some(a), Some(b)) = (x.place(*from), place(*to, *height)) {
            chart.draw_series([Rectangle::new([(a, y.low), b], style)])?;
        }
    }
    let placed: Vec<(f64, f64)> = series
        .points
        .iter()
        .filter_map(|point| place(point[0], point[1]))
        .collect();
    if placed.is_empty() {
        return Ok(());
    }
    let style = pen.stroke(Role::Line(series.slot, series.style, series.label.clone()));
    for piece in clip(&placed, y.low, y.high) {
        chart.draw_series([PathElement::new(piece, style)])?;
    }
    if series.style != Style::Raw {
        points(chart, pen, series, x, y, hints)?;
    }
    Ok(())
}

/// Marks points: all where a curve has few, else only those that show their value to a pointer.
fn points(
    chart: &mut Chart<'_, '_>,
    pen: &mut Pen,
    series: &Series,
    x: &Scale,
    y: &Scale,
    hints: usize,
) -> Result<(), Failure> {
    let count = series.points.len();
    let is_sparse = count <= 12;
    let shown = if is_sparse { count } else { hints.min(count) };
    for number in 0..shown {
        let index = if shown > 1 {
            number * (count - 1) / (shown - 1)
        } else {
            count - 1
        };
        let [px, py] = series.points[index];
        let (Some(cx), Some(cy)) = (x.place(px), y.place(py)) else {
            continue;
        };
        if cy < y.low || cy > y.high {
            continue;
        }
        let title = format!(
            "{}: {} at {}",
            series.label,
            number::significant(py, 4),
            number::plain(px, 4)
        );
        let is_last = index + 1 == count;
        let is_visible =
            is_sparse || (is_last && series.slot != Slot::Published && !pen.is_crowded);
        let style = pen.fill(Role::Point(series.slot, is_visible, title));
        let radius = if is_visible { 22 } else { 50 };
        chart.draw_series([Circle::new((cx, cy), radius, style)])?;
    }
    Ok(())
}

/// The pieces of a line between two heights, cut where it crosses them.
fn clip(line: &[(f64, f64)], low: f64, high: f64) -> Vec<Vec<(f64, f64)>> {
    let is_inside = |y: f64| (low..=high).contains(&y);
    if line.iter().all(|point| is_inside(point.1)) {
        return vec![line.to_vec()];
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
        assert!(clip(&line, 5.0, 6.0).is_empty());
    }
}
