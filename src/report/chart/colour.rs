//! Colours of series: eight that colour-blind readers can tell apart, after Okabe and Ito (2008). A setting or value keeps its
//! colour in all figures of a report.

use super::Style;
use serde::Serialize;
use serde_json::Value;
use std::cell::RefCell;

/// Number of colours.
const COUNT: usize = 8;

/// First colour of settings: training and validation curves keep the two before it to themselves as long as they can.
const FIRST: usize = 2;

/// A colour of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Colour {
    /// One of the eight.
    Series(usize),
    /// What the study published.
    Published,
    /// The ink of the page: legend entries that stand for a style.
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

    /// The colour of a curve by its name.
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

/// The colours that a report has given away, in order of their first use.
#[derive(Debug, Default)]
pub(crate) struct Colours(RefCell<Vec<String>>);

impl Colours {
    /// The colour of a setting or value, by its name in legends; and how many earlier ones have the same colour.
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

/// How many lines of one colour can be told apart.
pub(super) const MOST_LINES: usize = 4;

/// The lines of one colour that can be told apart.
const OURS: [Style; MOST_LINES] = [Style::Line, Style::Broken, Style::DashDot, Style::Short];

/// The lines of published curves.
const PUBLISHED: [Style; 5] = [
    Style::Dotted,
    Style::Dashed,
    Style::DashDot,
    Style::Broken,
    Style::Short,
];

/// The `place`-th line of a colour of ours; lines from the fifth on look like an earlier one.
pub(super) fn our_style(place: usize) -> Style {
    OURS[place % OURS.len()]
}

/// The line of the `place`-th published curve of a panel.
pub(super) fn published_style(place: usize) -> Style {
    PUBLISHED[place % PUBLISHED.len()]
}

/// Whether two values of an axis are the same (1 and 1.0 are).
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}
