//! Figures as data: series, axes, units. Nothing here depends on how a figure is drawn, so tests
//! inspect figures as JSON.

use super::Colour;
use crate::human;
use crate::report::text::escape_markdown;
use serde::Serialize;

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Figure {
    /// Horizontal axis.
    pub(crate) x: Axis,
    /// Vertical axis.
    pub(crate) y: Axis,
    /// Panels in reading order.
    pub(crate) panels: Vec<Panel>,
    pub(crate) legend: Vec<Key>,
    /// A one-sentence description of the picture.
    pub(crate) alt: String,
    /// How to read lines, bands and means; appended to the spec's caption.
    pub(crate) notes: String,
    /// Width and height of a panel in pixels, if the contents determine them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<(u32, u32)>,
    /// The kind of its data.
    #[serde(skip)]
    pub(crate) kind: Kind,
    /// Its data as CSV, if a table of points would not express it.
    #[serde(skip)]
    pub(crate) csv: Option<String>,
}

/// Kinds of figures, by the columns of their data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Lines, bands and bars over a horizontal axis.
    #[default]
    Lines,
    /// One point per setting.
    Scatter,
    /// One row per name.
    Rows,
    /// One value per pair of names.
    Heat,
}

/// An axis of a figure.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Axis {
    /// Quantity and unit.
    pub(crate) label: String,
    /// Whether it is logarithmic.
    pub(crate) is_log: bool,
    /// Whether it counts something, so that its ticks are whole numbers.
    pub(crate) is_whole: bool,
    /// Lowest and highest value, if set by the spec.
    pub(crate) range: Option<[f64; 2]>,
    /// Whether to leave room beyond the data at both ends (a vertical axis always does).
    #[serde(skip)]
    pub(crate) is_padded: bool,
    /// The names at 0, 1, 2, … of an axis of names; from the top down on a vertical axis.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) names: Vec<String>,
}

impl Axis {
    /// A linear axis over the range of its data.
    pub(crate) fn new(label: &str) -> Self {
        Self {
            label: label.to_owned(),
            ..Self::default()
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Panel {
    /// Title; empty if there is only one panel.
    pub(crate) title: String,
    /// Series, from back to front.
    pub(crate) series: Vec<Series>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Series {
    /// Its run and metric.
    pub(crate) label: String,
    /// Anchor of its run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) run: Option<String>,
    /// Its appearance.
    pub(crate) look: Look,
    /// Points in order of x; empty for bars.
    pub(crate) points: Vec<[f64; 2]>,
    /// Band as `[x, low, high]`; empty for single runs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) band: Vec<[f64; 3]>,
    /// Bars as `[from, to, height]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) bars: Vec<[f64; 3]>,
    /// Words at the end of the line, instead of a legend entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) end: Option<String>,
    /// Intervals as `[x, y, x, y]`, from one end to the other.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) whiskers: Vec<[f64; 4]>,
    /// Filled rectangles as `[x, y, x, y]`, two opposite corners.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) rects: Vec<[f64; 4]>,
    /// Words beside its marks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) remarks: Vec<Remark>,
}

/// Words beside a mark.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Remark {
    /// Horizontal extent of the mark: the words are to its right, or to its left if there is no
    /// room.
    pub(crate) span: [f64; 2],
    /// Whether the words are in the middle of the mark instead.
    pub(crate) is_inside: bool,
    /// Height.
    pub(crate) y: f64,
    pub(crate) text: String,
}

impl Series {
    /// A series with nothing to draw yet.
    pub(crate) fn new(label: &str, look: Look) -> Self {
        Self {
            label: label.to_owned(),
            run: None,
            look,
            points: Vec::new(),
            band: Vec::new(),
            bars: Vec::new(),
            end: None,
            whiskers: Vec::new(),
            rects: Vec::new(),
            remarks: Vec::new(),
        }
    }
}

/// Appearance of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Look {
    pub(crate) colour: Colour,
    /// Line style.
    pub(crate) style: Style,
    /// Whether it is thinner and lighter than others of its colour.
    pub(crate) is_thin: bool,
}

impl Look {
    pub(crate) fn new(colour: Colour, style: Style) -> Self {
        Self {
            colour,
            style,
            is_thin: false,
        }
    }

    /// CSS classes.
    pub(crate) fn class(self) -> String {
        let thin = if self.is_thin { " thin" } else { "" };
        format!("{}{thin} {}", self.style.class(), self.colour.class())
    }
}

/// Line styles, and bars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Style {
    /// A solid line.
    Line,
    /// The raw curve behind a smoothed one.
    Raw,
    /// Round dots.
    Dotted,
    /// Dashes.
    Dashed,
    /// Long dashes.
    Broken,
    /// A dash and a dot.
    DashDot,
    /// Short dashes.
    Short,
    /// Filled bars.
    Bars,
    /// Points without a line.
    Points,
    /// Small faint points.
    Faint,
    /// A filled cell in one of ten shades.
    Heat(u8),
}

/// CSS classes of the shades.
const HEAT: [&str; 10] = [
    "heat h0", "heat h1", "heat h2", "heat h3", "heat h4", "heat h5", "heat h6", "heat h7",
    "heat h8", "heat h9",
];

impl Style {
    /// CSS class.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Line => "line",
            Self::Raw => "raw",
            Self::Dotted => "dotted",
            Self::Dashed => "dashed",
            Self::Broken => "broken",
            Self::DashDot => "dashdot",
            Self::Short => "short",
            Self::Bars => "bars",
            Self::Points => "points",
            Self::Faint => "faint",
            Self::Heat(shade) => HEAT[usize::from(shade).min(HEAT.len() - 1)],
        }
    }
}

/// A legend entry.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Key {
    /// Text.
    pub(crate) label: String,
    /// Its appearance.
    pub(crate) look: Look,
}

/// Reduces `points` to the first, lowest, highest and last point of each of `buckets` stretches,
/// and returns their indices; extremes are never lost.
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

/// Maximum number of characters in a label at the end of a line, for wide and for narrow panels.
const END: [usize; 2] = [30, 12];

/// Maximum number of lines per panel that are labelled at their ends.
const NAMED: usize = 7;

impl Figure {
    /// Labels lines at their ends instead of in the legend: every entry that is short and stands
    /// for one line in each panel.
    pub(crate) fn label_ends(&mut self) {
        // A single line named by the axis needs no other label.
        if let [only] = self.legend.as_slice()
            && self.y.label.starts_with(&only.label)
        {
            self.legend.clear();
        }
        let most = END[usize::from(self.panels.len() > 2)];
        let lines = |panel: &Panel, look: Look| {
            let alike = panel.series.iter().filter(|series| series.look == look);
            alike.count()
        };
        let is_full = |panel: &Panel| {
            let lines = panel.series.iter();
            lines
                .filter(|series| series.look.style != Style::Raw)
                .count()
                > NAMED
        };
        if self.panels.iter().any(is_full) {
            return;
        }
        let (panels, legend) = (&mut self.panels, &mut self.legend);
        legend.retain(|key| {
            let is_line = key.look.colour != Colour::Ink;
            let fits = key.label.chars().count() <= most;
            let is_alone = panels.iter().all(|panel| lines(panel, key.look) <= 1);
            let is_known = panels.iter().any(|panel| lines(panel, key.look) == 1);
            if !(is_line && fits && is_alone && is_known) {
                return true;
            }
            let series = panels.iter_mut().flat_map(|panel| &mut panel.series);
            for series in series.filter(|series| series.look == key.look) {
                series.end = Some(key.label.clone());
            }
            false
        });
    }

    /// Limits the vertical axis so that our lines keep at least two fifths of it, however high
    /// published curves are.
    pub(crate) fn keep_ours_tall(&mut self) {
        if self.y.range.is_some() || self.y.is_log {
            return;
        }
        let reach = |published: bool| {
            let series = self.panels.iter().flat_map(|panel| &panel.series);
            let series =
                series.filter(|series| (series.look.colour == Colour::Published) == published);
            let ys = series.flat_map(|series| {
                let band = series.band.iter().flat_map(|band| [band[1], band[2]]);
                series.points.iter().map(|point| point[1]).chain(band)
            });
            ys.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], y| {
                [low.min(y), high.max(y)]
            })
        };
        let (ours, theirs) = (reach(false), reach(true));
        let span = ours[1] - ours[0];
        if span <= 0.0 || !span.is_finite() || theirs[0] > theirs[1] {
            return;
        }
        let all = theirs[1].max(ours[1]) - theirs[0].min(ours[0]);
        if all <= 2.5 * span {
            return;
        }
        let room = 0.75 * span;
        let low = theirs[0].max(ours[0] - room).min(ours[0]);
        let high = theirs[1].min(ours[1] + room).max(ours[1]);
        self.y.range = Some([low - 0.04 * span, high + 0.04 * span]);
    }

    /// Adds to the notes what the drawing cannot show: values that do not fit on its axes, and
    /// series that look alike.
    pub(crate) fn tell_what_is_hidden(&mut self) {
        let points = || {
            let series = self.panels.iter().flat_map(|panel| &panel.series);
            series.flat_map(|series| series.points.iter().copied())
        };
        let (x, y) = (&self.x, &self.y);
        let has_no_log =
            |point: &[f64; 2]| x.is_log && point[0] <= 0.0 || y.is_log && point[1] <= 0.0;
        let is_outside = |point: &[f64; 2]| {
            let range = y.range.filter(|_| !has_no_log(point));
            range.is_some_and(|[low, high]| point[1] < low || point[1] > high)
        };
        let count =
            |is_hidden: &dyn Fn(&[f64; 2]) -> bool| points().filter(|p| is_hidden(p)).count();
        let (without_log, outside) = (count(&has_no_log), count(&is_outside));
        let looks = self.legend.iter().enumerate().filter(|(place, key)| {
            let earlier = &self.legend[..*place];
            earlier
                .iter()
                .any(|known| known.look == key.look && known.label != key.label)
        });
        let alike: Vec<String> = looks.map(|(_, key)| escape_markdown(&key.label)).collect();
        let values = |n: usize| match n {
            1 => "1 value".to_owned(),
            n => format!("{} values", human::count(n as u64)),
        };
        let mut notes = Vec::new();
        if without_log > 0 {
            let values = values(without_log);
            notes.push(format!(
                "Not drawn: {values} at or below 0, which a logarithmic axis has no place for."
            ));
        }
        if let Some([low, high]) = y.range.filter(|_| outside > 0) {
            let [low, high] = [low, high].map(|end| human::plain(end, 4));
            let values = values(outside);
            notes.push(format!(
                "The vertical axis shows {low} to {high}; {values} outside it are not drawn."
            ));
        }
        if !alike.is_empty() {
            notes.push(format!(
                "Lines that look like an earlier one: {}.",
                alike.join(", ")
            ));
        }
        for note in notes {
            if !self.notes.is_empty() {
                self.notes.push(' ');
            }
            self.notes.push_str(&note);
        }
    }
}

/// The figure's data as CSV, one line per point, band or bar.
pub(crate) fn csv(figure: &Figure) -> String {
    if let Some(text) = &figure.csv {
        return text.clone();
    }
    let mut out = String::from("panel,series,style,x,y,low,high\n");
    let mut row = |cells: [&str; 7]| {
        out.push_str(&cells.map(crate::report::csv::field).join(","));
        out.push('\n');
    };
    for panel in &figure.panels {
        for series in &panel.series {
            let head = [
                panel.title.as_str(),
                &series.label,
                series.look.style.class(),
            ];
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
