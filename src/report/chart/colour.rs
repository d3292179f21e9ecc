//! Colours of series: eight that colour-blind readers can distinguish, after Okabe and Ito (2008).
//! A setting or value keeps its colour in all figures of a report.

use super::Style;
use serde::Serialize;
use serde_json::Value;
use std::cell::RefCell;

/// Number of colours.
const COUNT: usize = 8;

/// First colour for settings: the two before it are reserved for training and validation curves as
/// long as possible.
const FIRST: usize = 2;

/// The colour of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Colour {
    /// One of the eight.
    Series(usize),
    /// Published data.
    Published,
    /// The ink of the page, for legend entries that explain a line style.
    Ink,
}

impl Colour {
    /// CSS class.
    pub(crate) fn class(self) -> String {
        match self {
            Self::Series(index) => format!("s{index}"),
            Self::Published => "published".to_owned(),
            Self::Ink => "ink".to_owned(),
        }
    }

    /// The colour of a curve, by its name.
    pub(crate) fn of_curve(curve: &str) -> Self {
        const CURVES: [&str; COUNT] = [
            "train/loss",
            "val/loss",
            "train/square",
            "val/loss_batch_mean",
            "val/ce",
            "train/ce",
            "lr",
            "grad_norm",
        ];
        let place = CURVES.iter().position(|known| *known == curve);
        Self::Series(place.unwrap_or(COUNT - 2))
    }
}

/// The colours assigned in a report, in order of first use.
#[derive(Debug, Default)]
pub(crate) struct Colours(RefCell<Vec<String>>);

impl Colours {
    /// The colour of a setting or value, by its name in legends, and the number of earlier ones
    /// with the same colour.
    pub(crate) fn of(&self, name: &str) -> (Colour, usize) {
        let mut names = self.0.borrow_mut();
        let place = names.iter().position(|known| known == name);
        let place = place.unwrap_or_else(|| {
            names.push(name.to_owned());
            names.len() - 1
        });
        (Colour::Series((FIRST + place) % COUNT), place / COUNT)
    }
}

/// Number of line styles of one colour that can be distinguished.
pub(super) const MOST_LINES: usize = 4;

/// The line styles of one colour that can be distinguished.
const OURS: [Style; MOST_LINES] = [Style::Line, Style::Broken, Style::DashDot, Style::Short];

/// The line styles of published curves.
const PUBLISHED: [Style; 5] = [
    Style::Dotted,
    Style::Dashed,
    Style::DashDot,
    Style::Broken,
    Style::Short,
];

/// The line style number `place` for a colour of ours; from the fifth on, styles repeat.
pub(super) fn our_style(place: usize) -> Style {
    OURS[place % OURS.len()]
}

/// The line style of published curve number `place` in a panel.
pub(super) fn published_style(place: usize) -> Style {
    PUBLISHED[place % PUBLISHED.len()]
}

/// Whether two axis values are equal (1 equals 1.0).
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}
