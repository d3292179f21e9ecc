//! Charts: series as data ([`Figure`]), scales and colours, and the drawing of both by plotters.
//!
//! Nothing outside knows how a figure is drawn; tests look at figures as data. A drawing carries CSS classes alone: the page
//! and a picture that stands alone dress it with the same rules, `templates/figure.css`.

mod bars;
mod canvas;
mod colour;
mod curves;
mod differences;
mod draw;
mod figure;
mod heat;
mod histogram;
mod picture;
mod scale;
mod scatter;
mod settings;

pub(crate) use colour::{Colour, Colours, same};
pub use draw::PlotError;
pub(crate) use draw::{Drawing, Size, draw};
pub(crate) use figure::{Axis, Figure, Key, Kind, Look, Panel, Remark, Series, Style, csv, reduce};
pub(crate) use histogram::perplexity;
pub(crate) use picture::{FIGURE_CSS, inline, standalone};

/// Figures by themselves, for tests.
#[cfg(test)]
pub(crate) use {
    bars::bars, curves::curves, differences::differences, heat::heat, histogram::document_tokens,
    scatter::scatter,
};
