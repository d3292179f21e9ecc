//! Figures as data: series, axes, units. Nothing here knows how a figure is drawn, so tests look at it as JSON.

mod curves;
mod histogram;

pub(crate) use curves::{curves, look_up};
pub(crate) use histogram::{document_tokens, perplexity};

use super::palette::Slot;
use serde::Serialize;

/// A figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Figure {
    /// Horizontal axis.
    pub(crate) x: Axis,
    /// Vertical axis.
    pub(crate) y: Axis,
    /// Panels in reading order.
    pub(crate) panels: Vec<Panel>,
    /// Legend.
    pub(crate) legend: Vec<Key>,
    /// What is seen, in one sentence.
    pub(crate) alt: String,
    /// How lines, bands and means are to be read; follows the caption of the spec.
    pub(crate) notes: String,
}

/// An axis of a figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Axis {
    /// Quantity and unit.
    pub(crate) label: String,
    /// Whether it is logarithmic.
    pub(crate) is_log: bool,
    /// Whether it counts: its ticks are whole numbers.
    pub(crate) is_whole: bool,
    /// Lowest and highest value, where the spec fixes them.
    pub(crate) range: Option<[f64; 2]>,
}

/// A panel.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Panel {
    /// Title; empty where there is one panel.
    pub(crate) title: String,
    /// Series, those behind first.
    pub(crate) series: Vec<Series>,
}

/// A series.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Series {
    /// What it is: run and metric.
    pub(crate) label: String,
    /// Anchor of the run it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) run: Option<String>,
    /// Colour.
    pub(crate) slot: Slot,
    /// How it is drawn.
    pub(crate) style: Style,
    /// Points in order of x; empty for bars.
    pub(crate) points: Vec<[f64; 2]>,
    /// Band as `[x, low, high]`; empty for single runs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) band: Vec<[f64; 3]>,
    /// Bars as `[from, to, height]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) bars: Vec<[f64; 3]>,
}

/// How a series is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Style {
    /// A full line.
    Line,
    /// A thin, lighter line: the second curve of a colour.
    Thin,
    /// The raw curve behind a smoothed one.
    Raw,
    /// A published curve.
    Dotted,
    /// Another published curve of the same panel.
    Dashed,
    /// A line of ours in long dashes: its colour stands for another value already.
    Broken,
    /// Filled bars.
    Bars,
}

impl Style {
    /// CSS class.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Line => "line",
            Self::Thin => "thin",
            Self::Raw => "raw",
            Self::Dotted => "dotted",
            Self::Dashed => "dashed",
            Self::Broken => "broken",
            Self::Bars => "bars",
        }
    }
}

/// A line of the legend.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Key {
    /// Text.
    pub(crate) label: String,
    /// Colour.
    pub(crate) slot: Slot,
    /// Style.
    pub(crate) style: Style,
}

/// Keeps of `points` the first, lowest, highest and last of each of `buckets` stretches: extremes are never lost.
pub(crate) fn reduce(points: &[[f64; 2]], buckets: usize) -> Vec<usize> {
    let count = points.len();
    if count <= 4 * buckets.max(1) {
        return (0..count).collect();
    }
    let mut kept = Vec::with_capacity(4 * buckets);
    for bucket in 0..buckets {
        let range = bucket * count / buckets..(bucket + 1) * count / buckets;
        let (first, last) = (range.start, range.end - 1);
        let by_height = |a: &usize, b: &usize| points[*a][1].total_cmp(&points[*b][1]);
        let low = range.clone().min_by(by_height).unwrap_or(first);
        let high = range.max_by(by_height).unwrap_or(last);
        let mut four = [first, low, high, last];
        four.sort_unstable();
        for index in four {
            if kept.last() != Some(&index) {
                kept.push(index);
            }
        }
    }
    kept
}

/// The figure's data as CSV, one line per point, band or bar.
pub(crate) fn csv(figure: &Figure) -> String {
    let mut out = String::from("panel,series,style,x,y,low,high\n");
    let mut row = |cells: [&str; 7]| {
        out.push_str(&cells.map(super::csv::field).join(","));
        out.push('\n');
    };
    for panel in &figure.panels {
        for series in &panel.series {
            let head = [panel.title.as_str(), &series.label, series.style.class()];
            for (index, [x, y]) in series.points.iter().enumerate() {
                let band = series.band.get(index);
                let low = band.map(|b| b[1].to_string()).unwrap_or_default();
                let high = band.map(|b| b[2].to_string()).unwrap_or_default();
                let (x, y) = (x.to_string(), y.to_string());
                row([head[0], head[1], head[2], &x, &y, &low, &high]);
            }
            for [from, to, height] in &series.bars {
                let (from, to, height) = (from.to_string(), to.to_string(), height.to_string());
                row([head[0], head[1], head[2], &from, &height, &from, &to]);
            }
        }
    }
    out
}
