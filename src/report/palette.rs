//! Colours: the eight of Okabe and Ito (2008), which colour-blind readers can tell apart, with the black replaced by the
//! ink of the page and the yellow darkened. A value of an axis has the same colour in every figure of a report.

use crate::spec::Spec;
use serde::Serialize;
use serde_json::Value;

/// Number of colours.
pub(crate) const SLOTS: usize = 8;

/// First slot of axis values: training and validation curves keep the two before it to themselves.
const FIRST_AXIS_SLOT: usize = 2;

/// A colour of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Slot {
    /// One of the [`SLOTS`].
    Colour(usize),
    /// What the study published.
    Published,
    /// The ink of the page: legend entries that stand for a style.
    Ink,
}

impl Slot {
    /// CSS class.
    pub(crate) fn class(self) -> String {
        match self {
            Self::Colour(slot) => format!("s{slot}"),
            Self::Published => "published".to_owned(),
            Self::Ink => "ink".to_owned(),
        }
    }

    /// Literal colour for graphics that stand alone, of middle lightness: it has to be seen on white and on black.
    pub(crate) fn literal(self) -> &'static str {
        const COLOURS: [&str; SLOTS] = [
            "#1a7fc1", "#dd6310", "#0c9f75", "#c4659b", "#d59000", "#48a7dc", "#7d838c", "#a39a10",
        ];
        match self {
            Self::Colour(slot) => COLOURS[slot % SLOTS],
            Self::Published | Self::Ink => INK,
        }
    }
}

/// Ink of graphics that stand alone: readable on white (4.1:1) and on black.
pub(crate) const INK: &str = "#767c85";

/// Grid lines of graphics that stand alone.
pub(crate) const GRID: &str = "#9aa1ab";

/// The colour of a curve by its name.
pub(crate) fn of_curve(curve: &str) -> Slot {
    Slot::Colour(match curve {
        "train/loss" => 0,
        "val/loss" => 1,
        "train/ce" => 5,
        "val/ce" => 4,
        "train/square" => 2,
        "val/loss_batch_mean" => 3,
        _ => 6,
    })
}

/// The colour of a value of an axis, by its place on the axis; and whether an earlier value has it already.
pub(crate) fn of_axis_value(spec: &Spec, axis: &str, value: &Value) -> (Slot, bool) {
    let place = spec
        .axes
        .iter()
        .find(|known| known.name == axis)
        .and_then(|known| known.values.iter().position(|v| same(v, value)))
        .unwrap_or_default();
    (of_place(place), place >= SLOTS)
}

/// The colour of the `place`-th value of something that is no axis.
pub(crate) fn of_place(place: usize) -> Slot {
    Slot::Colour((FIRST_AXIS_SLOT + place) % SLOTS)
}

/// Whether two values of an axis are the same (1 and 1.0 are).
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}
