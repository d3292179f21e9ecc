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

pub(crate) use bars::{bars, look_up as look_up_bars};
pub(crate) use colour::{Colour, Colours, same};
pub(crate) use curves::{curves, look_up};
pub(crate) use differences::{differences, look_up as look_up_differences};
pub use draw::PlotError;
pub(crate) use draw::{Drawing, Size, draw};
pub(crate) use figure::{Axis, Figure, Key, Kind, Look, Panel, Remark, Series, Style, csv, reduce};
pub(crate) use heat::{heat, look_up as look_up_heat};
pub(crate) use histogram::{document_tokens, perplexity};
pub(crate) use picture::{FIGURE_CSS, inline, standalone};
pub(crate) use scatter::{look_up as look_up_scatter, scatter};
