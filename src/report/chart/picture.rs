//! Drawings as SVG: inline in the page, styled by its style sheet, and as standalone pictures that
//! contain the same rules.

use super::canvas::{UNITS, text_width};
use super::{Drawing, Key, Style};
use crate::report::text::{clean, escape, shorten};
use std::fmt::Write as _;

/// The style of drawings, in terms of the variables of the page's style sheet.
pub(crate) const FIGURE_CSS: &str = include_str!("../../../templates/figure.css");

/// The style sheet of the page, which sets the variables.
const PAGE_CSS: &str = include_str!("../../../templates/style.css");

/// The inline form of a panel.
pub(crate) fn inline(drawing: &Drawing, title: &str, description: &str) -> String {
    let crowd = if drawing.is_crowded { " crowd" } else { "" };
    let (width, height) = (drawing.size.width * UNITS, drawing.size.height * UNITS);
    let (title, description) = (escape(&clean(title)), escape(&clean(description)));
    let (marks, hints) = (&drawing.marks, &drawing.hints);
    format!(
        "<svg class=\"plot{crowd}\" viewBox=\"0 0 {width} {height}\" role=\"img\"><title>{title}</title><desc>{description}</desc>{marks}{hints}</svg>"
    )
}

/// A whole standalone figure: panels in rows, the legend above them, on its own background.
pub(crate) fn standalone(
    drawings: &[(String, Drawing)],
    legend: &[Key],
    columns: usize,
    title: &str,
    description: &str,
) -> String {
    const GAP: u32 = 12 * UNITS;
    const EDGE: u32 = 8 * UNITS;
    let panel = drawings.first().map_or((600, 340), |(_, drawing)| {
        (drawing.size.width, drawing.size.height)
    });
    let panel = (panel.0 * UNITS, panel.1 * UNITS);
    let columns = columns.clamp(1, drawings.len().max(1)) as u32;
    let rows = (drawings.len() as u32).div_ceil(columns);
    let has_titles = drawings.iter().any(|(title, _)| !title.is_empty());
    let head = if has_titles { 18 * UNITS } else { 0 };
    let width = columns * panel.0 + (columns - 1) * GAP;
    let (legend, legend_height) = legend_rows(legend, width);
    let height = legend_height + rows * (panel.1 + head) + rows.saturating_sub(1) * GAP;
    let (outer_width, outer_height) = (width + 2 * EDGE, height + 2 * EDGE);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"plot\" width=\"{}\" height=\"{}\" viewBox=\"-{EDGE} -{EDGE} {outer_width} {outer_height}\" role=\"img\">\n<title>{}</title>\n<desc>{}</desc>\n<style>{}</style>\n<rect class=\"paper\" x=\"-{EDGE}\" y=\"-{EDGE}\" width=\"{outer_width}\" height=\"{outer_height}\"/>\n{legend}",
        outer_width / UNITS,
        outer_height / UNITS,
        escape(&clean(title)),
        escape(&clean(description)),
        style(),
    );
    let titles = titles(
        drawings.iter().map(|(title, _)| clean(title)).collect(),
        panel.0 - 8 * UNITS,
    );
    for (index, (title, (_, drawing))) in titles.iter().zip(drawings).enumerate() {
        let (column, row) = (index as u32 % columns, index as u32 / columns);
        let x = column * (panel.0 + GAP);
        let y = legend_height + row * (panel.1 + head + GAP);
        if has_titles {
            let title = escape(title);
            let _ = writeln!(
                out,
                "<text class=\"head\" x=\"{}\" y=\"{}\">{title}</text>",
                x + 40,
                y + 130
            );
        }
        let class = if drawing.is_crowded {
            " class=\"crowd\""
        } else {
            ""
        };
        let _ = writeln!(
            out,
            "<g{class} transform=\"translate({x} {})\">{}</g>",
            y + head,
            drawing.marks
        );
    }
    out.push_str("</svg>\n");
    out
}

/// The legend as rows of swatches and labels, and its height.
fn legend_rows(legend: &[Key], width: u32) -> (String, u32) {
    const ROW: u32 = 20 * UNITS;
    let mut out = String::new();
    let (mut x, mut row) = (40, 0);
    for key in legend {
        let label = fitting(&clean(&key.label), width - 400, 12);
        let length = text_width(&label, 12) + 48 * UNITS;
        if x > 40 && x + length > width {
            x = 40;
            row += 1;
        }
        let y = row * ROW + 100;
        let class = key.look.class();
        let _ = match key.look.style {
            Style::Bars => writeln!(
                out,
                "<rect class=\"{class}\" x=\"{x}\" y=\"{}\" width=\"220\" height=\"100\"/>",
                y - 50
            ),
            _ => writeln!(out, "<path class=\"{class}\" d=\"M{x} {y}h220\"/>"),
        };
        let _ = writeln!(
            out,
            "<text class=\"label\" x=\"{}\" y=\"{}\">{}</text>",
            x + 280,
            y + 40,
            escape(&label)
        );
        x += length;
    }
    let height = match legend {
        [] => 0,
        _ => (row + 1) * ROW + 60,
    };
    (out, height)
}

/// Titles that fit into `width` and stay distinct: the parts that similar titles have in common are
/// left out.
fn titles(whole: Vec<String>, width: u32) -> Vec<String> {
    let cut: Vec<String> = whole
        .iter()
        .map(|title| fitting(title, width, 13))
        .collect();
    let alike = |index: &usize| {
        let mut others = (0..cut.len()).filter(|other| other != index);
        others.any(|other| cut[other] == cut[*index] && whole[other] != whole[*index])
    };
    let shorter = |index: usize| {
        if !alike(&index) {
            return cut[index].clone();
        }
        let rivals = (0..cut.len())
            .filter(|other| cut[*other] == cut[index] && whole[*other] != whole[index]);
        let common = rivals.map(|other| {
            let pairs = whole[index].chars().zip(whole[other].chars());
            pairs.take_while(|(a, b)| a == b).count()
        });
        let skipped = common.min().unwrap_or_default().saturating_sub(10);
        let rest: String = whole[index].chars().skip(skipped).collect();
        fitting(&format!("…{rest}"), width, 13)
    };
    (0..cut.len()).map(shorter).collect()
}

/// As much of a text as fits into a width.
fn fitting(text: &str, width: u32, size: u32) -> String {
    let mut length = text.chars().count();
    let mut shown = text.to_owned();
    while length > 1 && text_width(&shown, size) > width {
        length -= 1;
        shown = shorten(text, length);
    }
    shown
}

/// The rules of a picture: those of the page with literal colours, light and dark.
fn style() -> String {
    let (light, dark) = PAGE_CSS
        .split_once("(prefers-color-scheme:dark)")
        .unwrap_or((PAGE_CSS, ""));
    let value = |scheme: &str, name: &str| -> Option<String> {
        let (_, rest) = scheme.split_once(&format!("--{name}:"))?;
        rest.split([';', '}']).next().map(str::to_owned)
    };
    let resolved = |scheme: &str| -> String {
        let mut pieces = FIGURE_CSS.split("var(--");
        let mut out = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let (name, rest) = piece.split_once(')').unwrap_or((piece, ""));
            let known = value(scheme, name).or_else(|| value(light, name));
            out.push_str(&known.unwrap_or_default());
            out.push_str(rest);
        }
        out
    };
    format!(
        "{}@media (prefers-color-scheme:dark){{{}}}",
        resolved(light),
        resolved(dark)
    )
}

#[cfg(test)]
mod tests {
    use super::titles;

    #[test]
    fn titles_that_differ_late_still_differ() {
        let title = |rate: &str| {
            format!("cosine{{warmup_steps=1,decay_steps=3,min_lr={rate},warmup_from=zero}}")
        };
        let cut = titles(
            vec!["constant".to_owned(), title("0.0001"), title("0.0005")],
            2_200,
        );
        assert_eq!(cut[0], "constant");
        assert!(
            cut[1].contains("0.0001") && cut[2].contains("0.0005"),
            "{cut:?}"
        );
        assert!(
            cut.iter().all(|title| title.chars().count() < 32),
            "{cut:?}"
        );
    }
}
