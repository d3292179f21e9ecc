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

use super::ReportError;
use super::scope::Scope;

/// A cell that is one figure.
pub(crate) trait Drawn {
    /// Looks up what it names: whether [`Self::figure`] would succeed.
    fn look_up(&self, scope: &Scope<'_>, line: usize) -> Result<(), ReportError>;

    /// Its series and axes.
    fn figure(&self, scope: &Scope<'_>, line: usize) -> Result<Figure, ReportError>;

    /// The sentence below it.
    fn caption(&self) -> Option<&str>;
}

#[cfg(test)]
pub(crate) use histogram::document_tokens;
