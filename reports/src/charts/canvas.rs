//! Drawing in pixels: shapes, text that is measured before it is placed, and panels with axes.

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::OnceLock;

use plotters::coord::Shift;
use plotters::coord::cartesian::Cartesian2d;
use plotters::drawing::DrawingArea;
use plotters::element::{Circle, PathElement, Polygon, Rectangle};
use plotters::prelude::DrawingAreaErrorKind;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontDesc, FontFamily, FontStyle, RGBColor, ShapeStyle, TextStyle};

use crate::series::Xy;

use super::ChartError;
use super::scale::Scale;
use super::svg::{self, FAMILY, Pen, Svg, Tail, UNITS};

/// Inter, regular weight.
pub(super) const REGULAR: &[u8] = include_bytes!("../../assets/inter-latin-400.ttf");
/// Inter, semibold.
pub(super) const SEMIBOLD: &[u8] = include_bytes!("../../assets/inter-latin-600.ttf");

/// What plotters reports; our backend itself cannot fail.
pub(super) type Failure = DrawingAreaErrorKind<Infallible>;

/// Plotters takes a size for ascent plus descent, which in Inter is this many times the em.
const LINE_TO_EM: f64 = 1.2102;

/// A rectangle in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Frame {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
}

impl Frame {
    pub(super) fn right(self) -> f64 {
        self.x + self.width
    }

    pub(super) fn bottom(self) -> f64 {
        self.y + self.height
    }

    pub(super) fn overlaps(self, other: Self) -> bool {
        self.x < other.right()
            && other.x < self.right()
            && self.y < other.bottom()
            && other.y < self.bottom()
    }
}

/// How a text looks and hangs on its point.
#[derive(Clone, Copy)]
pub(super) struct Type {
    pub size: f64,
    pub color: RGBColor,
    pub bold: bool,
    pub halo: bool,
    pub anchor: Pos,
}

impl Type {
    /// Regular text, its left end and the middle of its capitals on the point.
    pub(super) fn new(size: f64, color: RGBColor) -> Self {
        Self { size, color, bold: false, halo: false, anchor: Pos::new(HPos::Left, VPos::Center) }
    }

    pub(super) fn bold(self) -> Self {
        Self { bold: true, ..self }
    }

    pub(super) fn halo(self) -> Self {
        Self { halo: true, ..self }
    }

    pub(super) fn anchor(self, h_pos: HPos, v_pos: VPos) -> Self {
        Self { anchor: Pos::new(h_pos, v_pos), ..self }
    }

    fn font(&self, size: f64) -> FontDesc<'static> {
        let style = if self.bold { FontStyle::Bold } else { FontStyle::Normal };
        FontDesc::new(FontFamily::Name(FAMILY), size, style)
    }

    /// The width of a text in pixels.
    pub(super) fn measure(&self, text: &str) -> f64 {
        // A figure is laid out before it has a canvas. If this fails, the canvas says so.
        let _ = register_fonts();
        let units = self.font(self.size * LINE_TO_EM * f64::from(UNITS));
        // Without its font a text has some width all the same.
        let estimate = || self.size * 0.6 * f64::from(u32::try_from(text.len()).unwrap_or(0));
        units
            .box_size(text)
            .map_or_else(|_| estimate(), |size| f64::from(size.0) / f64::from(UNITS))
    }

    /// The text, cut with an ellipsis if it is wider than `width`.
    pub(super) fn fit(&self, text: &str, width: f64) -> String {
        if self.measure(text) <= width {
            return text.to_owned();
        }
        let mut chars: Vec<char> = text.chars().collect();
        while chars.pop().is_some() {
            let cut: String = chars.iter().collect::<String>().trim_end().to_owned() + "…";
            if self.measure(&cut) <= width {
                return cut;
            }
        }
        String::new()
    }

    /// The text in at most `lines` lines, broken between words where that is possible.
    pub(super) fn wrap(&self, text: &str, width: f64, lines: usize) -> Vec<String> {
        let mut wrapped: Vec<String> = Vec::new();
        let mut words = text.split_whitespace().peekable();
        while let Some(word) = words.next() {
            let mut line = word.to_owned();
            if wrapped.len() + 1 == lines {
                for word in words.by_ref() {
                    line = line + " " + word;
                }
            }
            while let Some(next) = words.peek() {
                let longer = format!("{line} {next}");
                if self.measure(&longer) > width {
                    break;
                }
                line = longer;
                words.next();
            }
            wrapped.push(self.fit(&line, width));
        }
        wrapped
    }
}

/// How a line looks.
#[derive(Clone, Debug)]
pub(super) struct Stroke<'a> {
    pub color: RGBColor,
    pub width: f64,
    pub dash: &'a [u16],
    pub dash_offset: u16,
    /// What a browser shows on hovering.
    pub title: &'a str,
}

impl Stroke<'_> {
    pub(super) fn solid(color: RGBColor, width: f64) -> Self {
        Self { color, width, dash: &[], dash_offset: 0, title: "" }
    }

    fn style(&self) -> ShapeStyle {
        self.color.stroke_width(units(self.width).unsigned_abs())
    }
}

/// A drawing of a given size.
pub(super) struct Canvas {
    svg: Rc<RefCell<Svg>>,
    root: DrawingArea<Svg, Shift>,
}

impl Canvas {
    pub(super) fn new(width: f64, height: f64) -> Result<Self, ChartError> {
        register_fonts()?;
        let pixels = |length: f64| svg::round(length).unsigned_abs();
        let svg = Rc::new(RefCell::new(Svg::new(pixels(width), pixels(height))));
        let root = DrawingArea::from(&svg);
        Ok(Self { svg, root })
    }

    /// The finished document.
    pub(super) fn document(&self, title: &str, description: &str) -> String {
        self.svg.borrow().document(title, description)
    }

    fn take_pen(&self, pen: Pen) {
        self.svg.borrow_mut().pen = pen;
    }

    pub(super) fn rect(&self, frame: Frame, color: RGBColor, alpha: f64) -> Result<(), Failure> {
        self.take_pen(Pen::default());
        let corners =
            [(units(frame.x), units(frame.y)), (units(frame.right()), units(frame.bottom()))];
        self.root.draw(&Rectangle::new(corners, color.mix(alpha).filled()))
    }

    pub(super) fn line(&self, from: Xy, to: Xy, stroke: &Stroke<'_>) -> Result<(), Failure> {
        self.take_pen(pen(stroke));
        let ends = [from, to].map(|(x, y)| (units(x), units(y)));
        self.root.draw(&PathElement::new(ends, stroke.style()))
    }

    pub(super) fn text(&self, text: &str, at: Xy, look: Type) -> Result<(), Failure> {
        self.draw_text(text, at, look, None)
    }

    fn draw_text(
        &self,
        text: &str,
        (x, y): Xy,
        look: Type,
        tail: Option<Tail>,
    ) -> Result<(), Failure> {
        self.take_pen(Pen { halo: look.halo, tail, ..Pen::default() });
        let style = TextStyle {
            font: look.font(look.size * f64::from(UNITS)),
            color: look.color.to_backend_color(),
            pos: look.anchor,
        };
        self.root.draw_text(text, &style, (units(x), units(y)))
    }

    /// A text and, behind it on the same line, another in its own look.
    pub(super) fn text_and_tail(
        &self,
        (text, look): (&str, Type),
        (tail, tail_look): (&str, Type),
        at: Xy,
    ) -> Result<(), Failure> {
        let tail = Tail {
            text: tail.to_owned(),
            size: units(tail_look.size),
            color: tail_look.color.to_backend_color(),
        };
        self.draw_text(text, at, look, Some(tail))
    }

    pub(super) fn panel(&self, frame: Frame, x: &Scale, y: &Scale) -> Panel<'_> {
        let (left, top) = (units(frame.x), units(frame.y));
        let (right, bottom) = (units(frame.right()), units(frame.bottom()));
        let area =
            self.root.clone().shrink((left, top), (right - left, bottom - top)).apply_coord_spec(
                Cartesian2d::new(x.clone(), y.clone(), (left..right, bottom..top)),
            );
        Panel { canvas: self, area }
    }
}

/// A part of the drawing where places are times and values.
pub(super) struct Panel<'a> {
    canvas: &'a Canvas,
    area: DrawingArea<Svg, Cartesian2d<Scale, Scale>>,
}

impl Panel<'_> {
    pub(super) fn curve(&self, points: Vec<Xy>, stroke: &Stroke<'_>) -> Result<(), Failure> {
        self.canvas.take_pen(pen(stroke));
        self.area.draw(&PathElement::new(points, stroke.style()))
    }

    /// The area between the low and the high of each (time, low, high).
    pub(super) fn band(
        &self,
        spans: &[(f64, f64, f64)],
        color: RGBColor,
        alpha: f64,
    ) -> Result<(), Failure> {
        self.canvas.take_pen(Pen::default());
        let low = spans.iter().map(|(at, low, _)| (*at, *low));
        let high = spans.iter().rev().map(|(at, _, high)| (*at, *high));
        let outline: Vec<Xy> = low.chain(high).collect();
        self.area.draw(&Polygon::new(outline, color.mix(alpha).filled()))
    }

    pub(super) fn ring(&self, at: Xy, stroke: &Stroke<'_>) -> Result<(), Failure> {
        self.canvas.take_pen(pen(stroke));
        self.area.draw(&Circle::new(at, units(4.0), stroke.style()))
    }

    /// Where a time and a value are, in pixels.
    pub(super) fn place(&self, at: Xy) -> Xy {
        let (x, y) = self.area.map_coordinate(&at);
        (f64::from(x) / f64::from(UNITS), f64::from(y) / f64::from(UNITS))
    }
}

fn pen(stroke: &Stroke<'_>) -> Pen {
    Pen {
        dash: stroke.dash.to_vec(),
        dash_offset: stroke.dash_offset,
        title: stroke.title.to_owned(),
        ..Pen::default()
    }
}

fn units(pixels: f64) -> i32 {
    svg::round(pixels * f64::from(UNITS))
}

fn register_fonts() -> Result<(), ChartError> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    let registered = REGISTERED.get_or_init(|| {
        let register = plotters::style::register_font;
        register(FAMILY, FontStyle::Normal, REGULAR).is_ok()
            && register(FAMILY, FontStyle::Bold, SEMIBOLD).is_ok()
    });
    if *registered { Ok(()) } else { Err(ChartError::Font) }
}

#[cfg(test)]
mod tests {
    use super::super::palette::INK;
    use super::*;

    fn text() -> Type {
        Type::new(12.0, INK)
    }

    #[test]
    fn a_text_is_cut_to_its_width_and_says_so() {
        let text = text();
        let name = "switch the stream to on-demand three minutes in";
        let cut = text.fit(name, 120.0);
        assert!(cut.ends_with('…') && text.measure(&cut) <= 120.0, "{cut}");
        assert_eq!(text.fit("short", 120.0), "short");
    }

    #[test]
    fn a_long_name_wraps_between_words_and_keeps_to_its_lines() {
        let lines = text().wrap("switch to on-demand at +3m after a long wait", 90.0, 2);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0], "switch to");
        assert!(lines.iter().all(|line| text().measure(line) <= 90.0), "{lines:?}");
    }

    #[test]
    fn bold_text_is_wider() {
        assert!(text().bold().measure("baseline") > text().measure("baseline"));
    }
}
