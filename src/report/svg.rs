//! The finishing step of figures: roles instead of literal colours, short paths, titles for pointers and screen readers.
//!
//! Two forms leave here. Inline graphics carry CSS classes and follow the page's light or dark colours; graphics that
//! stand alone carry literal colours that can be seen on both.

use super::figure::{Key, Style};
use super::palette::{GRID, INK, Slot};
use super::plot::{Drawing, FONT, TENTHS};
use super::text::{clean, escape};
use std::fmt::Write as _;

/// What an object of a drawing is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Role {
    Tick,
    Axis,
    Grid,
    Band(Slot),
    Bar(Slot, String),
    Line(Slot, Style, String),
    /// A point; whether it is seen or only felt by a pointer.
    Point(Slot, bool, String),
}

/// Who dresses the graphic.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dress {
    Classes,
    Literal,
}

/// The inline form of a panel.
pub(crate) fn inline(drawing: &Drawing, title: &str, description: &str) -> String {
    let (width, height) = (drawing.size.width * TENTHS, drawing.size.height * TENTHS);
    let mut out = format!(
        "<svg class=\"plot{}\" viewBox=\"0 0 {width} {height}\" role=\"img\"><title>{}</title><desc>{}</desc>",
        if drawing.is_crowded { " crowd" } else { "" },
        escape(&clean(title)),
        escape(&clean(description)),
    );
    body(drawing, Dress::Classes, &mut out);
    out.push_str("</svg>");
    out
}

/// A whole figure that stands alone: panels in rows, legend above them.
pub(crate) fn standalone(
    drawings: &[(String, Drawing)],
    legend: &[Key],
    columns: usize,
    title: &str,
    description: &str,
) -> String {
    const GAP: u32 = 12;
    let panel = drawings
        .first()
        .map_or((600, 340), |(_, d)| (d.size.width, d.size.height));
    let columns = columns.clamp(1, drawings.len().max(1)) as u32;
    let rows = (drawings.len() as u32).div_ceil(columns);
    let has_titles = drawings.iter().any(|(title, _)| !title.is_empty());
    let head = if has_titles { 18 } else { 0 };
    let width = columns * panel.0 + (columns - 1) * GAP;
    let (legend, legend_height) = legend_rows(legend, width);
    let height = legend_height + rows * (panel.1 + head) + rows.saturating_sub(1) * GAP;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\" font-family=\"system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif\">\n<title>{}</title>\n<desc>{}</desc>\n{legend}",
        escape(&clean(title)),
        escape(&clean(description)),
    );
    for (index, (title, drawing)) in drawings.iter().enumerate() {
        let (column, row) = (index as u32 % columns, index as u32 / columns);
        let x = column * (panel.0 + GAP);
        let y = legend_height + row * (panel.1 + head + GAP);
        if has_titles {
            let _ = writeln!(
                out,
                "<text x=\"{}\" y=\"{}\" font-size=\"13\" font-weight=\"600\" fill=\"{INK}\">{}</text>",
                x + 4,
                y + 13,
                escape(&clean(title))
            );
        }
        let _ = write!(
            out,
            "<svg x=\"{x}\" y=\"{}\" width=\"{}\" height=\"{}\" viewBox=\"0 0 {} {}\">",
            y + head,
            panel.0,
            panel.1,
            panel.0 * TENTHS,
            panel.1 * TENTHS
        );
        body(drawing, Dress::Literal, &mut out);
        out.push_str("</svg>\n");
    }
    out.push_str("</svg>\n");
    out
}

/// The legend as rows of swatches and labels, and its height in pixels.
fn legend_rows(legend: &[Key], width: u32) -> (String, u32) {
    const ROW: u32 = 20;
    let mut out = String::new();
    let (mut x, mut row) = (4, 0);
    for key in legend {
        let label = clean(&key.label);
        let length = 30 + text_width(&label, 12) + 18;
        if x > 4 && x + length > width {
            x = 4;
            row += 1;
        }
        let y = row * ROW + 10;
        let paint = line_paint(key.slot, key.style, 1, false);
        let _ = match key.style {
            Style::Bars => writeln!(
                out,
                "<rect x=\"{x}\" y=\"{}\" width=\"22\" height=\"10\" fill=\"{}\" fill-opacity=\"0.75\"/>",
                y - 5,
                key.slot.literal()
            ),
            _ => writeln!(out, "<path d=\"M{x} {y}h22\" {paint}/>"),
        };
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{}\" font-size=\"12\" fill=\"{INK}\">{}</text>",
            x + 28,
            y + 4,
            escape(&label)
        );
        x += length;
    }
    let height = if legend.is_empty() {
        0
    } else {
        (row + 1) * ROW + 6
    };
    (out, height)
}

/// Estimated width of a text in pixels.
fn text_width(text: &str, size: u32) -> u32 {
    use unicode_width::UnicodeWidthStr as _;
    (text.width() as u32 * size * 56).div_ceil(100)
}

/// Rewrites the elements of a drawing.
fn body(drawing: &Drawing, dress: Dress, out: &mut String) {
    let mut grid = String::new();
    let mut axis = String::new();
    let mut marks = String::new();
    let mut lines = drawing.raw.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(element) = Element::parse(line) else {
            continue;
        };
        let role = element.role(&drawing.roles);
        match (element.name, role) {
            ("text", _) => {
                let text = lines.next().unwrap_or_default();
                tick(&element, text, dress, &mut marks);
            }
            (_, Some(Role::Grid)) => grid.push_str(&element.path(true)),
            (_, Some(Role::Axis)) => axis.push_str(&element.path(true)),
            (_, Some(role)) => mark(&element, role, dress, drawing.is_crowded, &mut marks),
            (_, None) => {}
        }
    }
    let rules = [
        ("grid", GRID, "stroke-opacity=\"0.35\"", grid),
        ("axis", INK, "", axis),
    ];
    for (class, colour, extra, path) in rules {
        let _ = match dress {
            Dress::Classes => write!(out, "<path class=\"{class}\" d=\"{path}\"/>"),
            Dress::Literal => write!(
                out,
                "<path fill=\"none\" stroke=\"{colour}\" stroke-width=\"8\" {extra} d=\"{path}\"/>"
            ),
        };
    }
    out.push_str(&marks);
    axis_labels(drawing, dress, out);
}

/// The labels of the axes: the vertical one lies flat above its axis, where it can be read.
fn axis_labels(drawing: &Drawing, dress: Dress, out: &mut String) {
    let (width, height) = (drawing.size.width * TENTHS, drawing.size.height * TENTHS);
    let left = drawing.left * TENTHS;
    let labels = [
        (40, 130, "start", &drawing.y_label),
        (
            left + (width - left) / 2,
            height - 50,
            "middle",
            &drawing.x_label,
        ),
    ];
    for (x, y, anchor, label) in labels {
        let label = escape(&clean(label));
        let _ = match dress {
            Dress::Classes => write!(
                out,
                "<text class=\"label\" x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{label}</text>"
            ),
            Dress::Literal => write!(
                out,
                "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\" font-size=\"{}\" fill=\"{INK}\">{label}</text>",
                (FONT + 1) * TENTHS
            ),
        };
    }
}

fn tick(element: &Element<'_>, text: &str, dress: Dress, out: &mut String) {
    let get = |name| element.get(name).unwrap_or_default();
    // The label of a vertical axis is centred on its tick, that of a horizontal one hangs below it.
    let dy = if get("text-anchor") == "end" { 38 } else { 80 };
    let y = get("y").parse::<i64>().unwrap_or_default() + dy;
    let (x, anchor) = (get("x"), get("text-anchor"));
    let _ = match dress {
        Dress::Classes => write!(
            out,
            "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{text}</text>"
        ),
        Dress::Literal => write!(
            out,
            "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\" font-size=\"{}\" fill=\"{INK}\">{text}</text>",
            FONT * TENTHS
        ),
    };
}

fn mark(element: &Element<'_>, role: &Role, dress: Dress, is_crowded: bool, out: &mut String) {
    let get = |name| element.get(name).unwrap_or_default();
    let title = |text: &str| format!("<title>{}</title>", escape(&clean(text)));
    let _ = match (role, dress) {
        (Role::Band(slot), Dress::Classes) => {
            write!(
                out,
                "<path class=\"band {}\" d=\"{}z\"/>",
                slot.class(),
                element.path(false)
            )
        }
        (Role::Band(slot), Dress::Literal) => write!(
            out,
            "<path fill=\"{}\" fill-opacity=\"0.18\" d=\"{}z\"/>",
            slot.literal(),
            element.path(false)
        ),
        (Role::Line(slot, style, name), Dress::Classes) => write!(
            out,
            "<path class=\"{} {}\" d=\"{}\">{}</path>",
            style.class(),
            slot.class(),
            element.path(false),
            title(name)
        ),
        (Role::Line(slot, style, name), Dress::Literal) => write!(
            out,
            "<path {} d=\"{}\">{}</path>",
            line_paint(*slot, *style, TENTHS, is_crowded),
            element.path(false),
            title(name)
        ),
        (Role::Bar(slot, name), _) => {
            let paint = match dress {
                Dress::Classes => format!("class=\"bars {}\"", slot.class()),
                Dress::Literal => format!("fill=\"{}\" fill-opacity=\"0.75\"", slot.literal()),
            };
            let (x, y, width) = (get("x"), get("y"), get("width"));
            // A hair of space between bars.
            let width = width.parse::<i64>().map_or(10, |w| (w - 8).max(4));
            let height = get("height");
            write!(
                out,
                "<rect {paint} x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\">{}</rect>",
                title(name)
            )
        }
        (Role::Point(slot, is_visible, name), _) => {
            let paint = match (dress, is_visible) {
                (Dress::Classes, true) => format!("class=\"point {}\"", slot.class()),
                (Dress::Classes, false) => "class=\"hint\"".to_owned(),
                (Dress::Literal, true) => format!("fill=\"{}\"", slot.literal()),
                (Dress::Literal, false) => return,
            };
            let (x, y, r) = (get("cx"), get("cy"), get("r"));
            write!(
                out,
                "<circle {paint} cx=\"{x}\" cy=\"{y}\" r=\"{r}\">{}</circle>",
                title(name)
            )
        }
        (Role::Tick | Role::Axis | Role::Grid, _) => Ok(()),
    };
}

/// Literal attributes of a line; `unit` is the number of canvas units per pixel.
fn line_paint(slot: Slot, style: Style, unit: u32, is_crowded: bool) -> String {
    let (width, extra) = match style {
        Style::Line if is_crowded => (10, " stroke-opacity=\"0.85\"".to_owned()),
        Style::Thin if is_crowded => (7, " stroke-opacity=\"0.5\"".to_owned()),
        Style::Line | Style::Bars => (18, String::new()),
        Style::Thin => (11, " stroke-opacity=\"0.7\"".to_owned()),
        Style::Raw => (8, " stroke-opacity=\"0.3\"".to_owned()),
        Style::Dashed => (
            14,
            format!(" stroke-dasharray=\"{} {}\"", 5 * unit, 3 * unit),
        ),
        Style::Broken => (
            16,
            format!(" stroke-dasharray=\"{} {}\"", 12 * unit, 4 * unit),
        ),
        Style::Dotted => {
            let (dash, gap) = (f64::from(unit) * 0.1, 4 * unit);
            (
                20,
                format!(" stroke-linecap=\"round\" stroke-dasharray=\"{dash} {gap}\""),
            )
        }
    };
    let width = f64::from(width * unit) / 10.0;
    format!(
        "fill=\"none\" stroke=\"{}\" stroke-width=\"{width}\" stroke-linejoin=\"round\"{extra}",
        slot.literal()
    )
}

/// An element of the backend's output, which writes one per line.
struct Element<'a> {
    name: &'a str,
    attributes: Vec<(&'a str, &'a str)>,
}

impl<'a> Element<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let inner = line.strip_prefix('<')?.strip_suffix('>')?;
        let inner = inner.strip_suffix('/').unwrap_or(inner);
        let (name, mut rest) = inner.split_once(' ')?;
        let mut attributes = Vec::new();
        while let Some((key, after)) = rest.split_once("=\"") {
            let (value, after) = after.split_once('"')?;
            attributes.push((key.trim(), value));
            rest = after;
        }
        Some(Self { name, attributes })
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        let found = self.attributes.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| *value)
    }

    /// The role that the element's colour names.
    fn role<'r>(&self, roles: &'r [Role]) -> Option<&'r Role> {
        let index = ["stroke", "fill"]
            .into_iter()
            .filter_map(|name| self.get(name)?.strip_prefix('#'))
            .find_map(|digits| usize::from_str_radix(digits, 16).ok())?;
        roles.get(index.checked_sub(1)?)
    }

    /// The corners of a line, polyline or polygon.
    fn corners(&self) -> Vec<(i64, i64)> {
        let number = |text: &str| text.parse::<i64>().unwrap_or_default();
        if self.name == "line" {
            let get = |name| number(self.get(name).unwrap_or_default());
            return vec![(get("x1"), get("y1")), (get("x2"), get("y2"))];
        }
        let points = self.get("points").unwrap_or_default().split_whitespace();
        points
            .filter_map(|pair| pair.split_once(','))
            .map(|(x, y)| (number(x), number(y)))
            .collect()
    }

    /// A path of relative moves, the shortest form of a long line. Points on a straight rule (`is_rule`) stay as they are.
    fn path(&self, is_rule: bool) -> String {
        let mut corners = self.corners();
        if !is_rule {
            corners.dedup();
        }
        let mut out = String::with_capacity(corners.len() * 7);
        let mut before = (0, 0);
        for (index, (x, y)) in corners.into_iter().enumerate() {
            let (dx, dy) = (x - before.0, y - before.1);
            let _ = match index {
                0 => write!(out, "M{x} {y}l"),
                1 => write!(out, "{dx}{}{dy}", if dy < 0 { "" } else { " " }),
                _ => {
                    let space = if dx < 0 { "" } else { " " };
                    write!(out, "{space}{dx}{}{dy}", if dy < 0 { "" } else { " " })
                }
            };
            before = (x, y);
        }
        if out.ends_with('l') {
            // One point only: a line of no length, so that the path stays valid.
            out.push_str("0 0");
        }
        out
    }
}
