//! Charts: series as data ([`Figure`]), scales and colours, and the drawing of figures with
//! plotters.
//!
//! No other module depends on how a figure is drawn; tests inspect figures as data. A drawing
//! contains only CSS classes: the page and the standalone pictures style it with the same rules,
//! `templates/figure.css`.

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

use super::ReportError;
use super::scope::Scope;

/// A cell that consists of one figure.
pub(crate) trait Drawn {
    /// Resolves the names of the cell, without building the figure.
    ///
    /// # Errors
    ///
    /// Those with which [`Self::figure`] would fail.
    fn look_up(&self, scope: &Scope<'_>, line: usize) -> Result<(), ReportError>;

    /// Its series and axes.
    fn figure(&self, scope: &Scope<'_>, line: usize) -> Result<Figure, ReportError>;

    fn caption(&self) -> Option<&str>;
}

#[cfg(test)]
pub(crate) use histogram::document_tokens;
