//! Charts: series as data ([`Figure`]), scales and colours, and the drawing of both by plotters.
//!
//! Nothing outside knows how a figure is drawn; tests look at figures as data. A drawing carries CSS classes alone: the page
//! and a picture that stands alone dress it with the same rules, `templates/figure.css`.

mod canvas;
mod colour;
mod curves;
mod draw;
mod figure;
mod histogram;
mod picture;
mod scale;

pub(crate) use colour::{Colour, Colours, same};
pub(crate) use curves::{curves, look_up};
pub use draw::PlotError;
pub(crate) use draw::{Drawing, Size, draw};
pub(crate) use figure::{Axis, Figure, Key, Look, Panel, Series, Style, csv, reduce};
pub(crate) use histogram::{document_tokens, perplexity};
pub(crate) use picture::{FIGURE_CSS, inline, standalone};
