//! The drawing back end: writes plotters' elements as SVG with CSS classes. Colours and widths come
//! from the style sheet.

use crate::report::text::{clean, escape};
use plotters::element::{Drawable, PointCollection};
use plotters::prelude::{BLACK, Color as _, DrawingBackend, TextStyle};
use plotters::style::text_anchor::Pos;
use plotters_backend::text_anchor::{HPos, VPos};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingErrorKind,
};
use std::fmt::{Error, Write as _};
use unicode_width::UnicodeWidthStr as _;

/// Drawing units per pixel; plotters works in whole units.
pub(crate) const UNITS: u32 = 10;

/// Height of a tick label, in pixels and in units.
pub(super) const FONT_SIZE: u32 = 12;
const FONT: u32 = FONT_SIZE * UNITS;

/// Gap between two bars, in units.
const HAIR: i32 = 8;

type Drawn = Result<(), DrawingErrorKind<Error>>;

/// An SVG drawing under construction.
pub(super) struct Canvas<'a> {
    size: (u32, u32),
    out: &'a mut String,
    class: String,
    title: String,
    /// Whether the last element is a path of `class` that the next piece may join.
    is_open: bool,
}

impl<'a> Canvas<'a> {
    pub(super) fn new(size: (u32, u32), out: &'a mut String) -> Self {
        Self {
            size,
            out,
            class: String::new(),
            title: String::new(),
            is_open: false,
        }
    }

    /// Begins a mark; lines of the same class share one path.
    fn begin(&mut self, class: &str, title: &str) {
        self.is_open &= self.class == class && self.title.is_empty() && title.is_empty();
        class.clone_into(&mut self.class);
        title.clone_into(&mut self.title);
    }

    fn element(&mut self, name: &str, attributes: &str) -> Drawn {
        self.is_open = false;
        let _ = write!(self.out, "<{name} class=\"{}\" {attributes}", self.class);
        if self.title.is_empty() {
            self.out.push_str("/>");
        } else {
            let title = escape(&clean(&self.title));
            let _ = write!(self.out, "><title>{title}</title></{name}>");
        }
        Ok(())
    }

    fn path(&mut self, corners: impl IntoIterator<Item = BackendCoord>, end: &str) -> Drawn {
        let data = path_data(corners) + end;
        if self.is_open {
            self.out.truncate(self.out.len() - "\"/>".len());
            let _ = write!(self.out, "{data}\"/>");
            return Ok(());
        }
        self.element("path", &format!("d=\"{data}\""))?;
        self.is_open = self.title.is_empty();
        Ok(())
    }
}

/// Estimated width in units of a text set at `size` pixels.
pub(super) fn text_width(text: &str, size: u32) -> u32 {
    (text.width() as u32 * size * 56 * UNITS).div_ceil(100)
}

/// A path of relative moves, the shortest encoding of a long line.
fn path_data(corners: impl IntoIterator<Item = BackendCoord>) -> String {
    let mut out = String::new();
    let mut before = None;
    for (x, y) in corners {
        let _ = match before {
            None => write!(out, "M{x} {y}l"),
            Some(before) if before == (x, y) => continue,
            Some((px, py)) => {
                let (dx, dy) = (x - px, y - py);
                let space = |number: i32| if number < 0 { "" } else { " " };
                let first = if out.ends_with('l') { "" } else { space(dx) };
                write!(out, "{first}{dx}{}{dy}", space(dy))
            }
        };
        before = Some((x, y));
    }
    if out.ends_with('l') {
        // A zero-length line keeps the path valid.
        out.push_str("0 0");
    }
    out
}

impl DrawingBackend for Canvas<'_> {
    type ErrorType = Error;

    fn get_size(&self) -> (u32, u32) {
        self.size
    }

    fn ensure_prepared(&mut self) -> Drawn {
        Ok(())
    }

    fn present(&mut self) -> Drawn {
        Ok(())
    }

    /// SVG has no pixels, so an element that draws them is a bug.
    fn draw_pixel(&mut self, _: BackendCoord, _: BackendColor) -> Drawn {
        Err(DrawingErrorKind::DrawingError(Error))
    }

    fn draw_line<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, _: &S) -> Drawn {
        self.path([from, to], "")
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        _: &S,
    ) -> Drawn {
        self.path(path, "")
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        corners: I,
        _: &S,
    ) -> Drawn {
        self.path(corners, "z")
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        (left, top): BackendCoord,
        (right, bottom): BackendCoord,
        _: &S,
        _: bool,
    ) -> Drawn {
        let (width, height) = ((right - left - HAIR).max(4), bottom - top);
        let place = format!("x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\"");
        self.element("rect", &place)
    }

    fn draw_circle<S: BackendStyle>(
        &mut self,
        (x, y): BackendCoord,
        radius: u32,
        _: &S,
        _: bool,
    ) -> Drawn {
        self.element("circle", &format!("cx=\"{x}\" cy=\"{y}\" r=\"{radius}\""))
    }

    fn draw_text<S: BackendTextStyle>(
        &mut self,
        text: &str,
        style: &S,
        (x, y): BackendCoord,
    ) -> Drawn {
        self.is_open = false;
        let anchor = style.anchor();
        let side = match anchor.h_pos {
            HPos::Left => "start",
            HPos::Center => "middle",
            HPos::Right => "end",
        };
        // SVG anchors text at the baseline: a third of the type size below its middle.
        let y = match anchor.v_pos {
            VPos::Top => y + 88,
            VPos::Center => y + 42,
            VPos::Bottom => y,
        };
        let (class, text) = (&self.class, escape(&clean(text)));
        let _ = write!(
            self.out,
            "<text class=\"{class}\" x=\"{x}\" y=\"{y}\" text-anchor=\"{side}\">{text}</text>"
        );
        Ok(())
    }
}

/// The shape of a mark.
pub(super) enum Outline<'t> {
    Line,
    Area,
    Bar,
    /// A circle with this radius.
    Dot(u32),
    Text(&'t str, Pos),
}

/// An element with its class and its tooltip; `C` is the type of its coordinates.
pub(super) struct Mark<'t, C> {
    pub(super) class: String,
    pub(super) title: String,
    pub(super) points: Vec<C>,
    pub(super) outline: Outline<'t>,
}

impl<'a, C> PointCollection<'a, C> for &'a Mark<'_, C> {
    type Point = &'a C;
    type IntoIter = std::slice::Iter<'a, C>;

    fn point_iter(self) -> Self::IntoIter {
        self.points.iter()
    }
}

impl<'b, C> Drawable<Canvas<'b>> for Mark<'_, C> {
    fn draw<I: Iterator<Item = BackendCoord>>(
        &self,
        mut points: I,
        canvas: &mut Canvas<'b>,
        _: (u32, u32),
    ) -> Drawn {
        // The canvas leaves colours to the style sheet.
        let ink = BLACK.to_backend_color();
        canvas.begin(&self.class, &self.title);
        match self.outline {
            Outline::Line => canvas.draw_path(points, &ink),
            Outline::Area => canvas.fill_polygon(points, &ink),
            Outline::Bar => match (points.next(), points.next()) {
                (Some(a), Some(b)) => {
                    let (left, right) = (a.0.min(b.0), a.0.max(b.0));
                    let (top, bottom) = (a.1.min(b.1), a.1.max(b.1));
                    canvas.draw_rect((left, top), (right, bottom), &ink, true)
                }
                _ => Ok(()),
            },
            Outline::Dot(radius) => {
                points.try_for_each(|place| canvas.draw_circle(place, radius, &ink, true))
            }
            Outline::Text(text, pos) => {
                let style = TextStyle::from(("sans-serif", FONT)).pos(pos);
                points.try_for_each(|place| canvas.draw_text(text, &style, place))
            }
        }
    }
}
