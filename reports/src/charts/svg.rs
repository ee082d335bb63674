//! A plotters backend that writes SVG in tenths of a pixel.
//!
//! Plotters' own SVG backend knows whole pixels only (curves become stairs) and no dashes (each
//! dash becomes an element). This one has a canvas ten times as fine, writes decimals, one path a
//! curve, and takes from its [`Pen`] what plotters' styles cannot say.

use std::convert::Infallible;
use std::fmt::Write as _;

use plotters::prelude::DrawingBackend;
use plotters::style::FontStyle;
use plotters::style::text_anchor::{HPos, VPos};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingErrorKind,
};

/// Backend units in a pixel.
pub(super) const UNITS: i32 = 10;

/// The family of all text. Inter is what the layout is measured with; where it is missing the
/// next ones stand in, the narrower first.
pub(super) const FAMILY: &str =
    "Inter, Segoe UI, Helvetica Neue, Arial, Liberation Sans, DejaVu Sans, sans-serif";

/// Height of Inter's capitals in hundredths of the font size.
const CAP_HEIGHT: f64 = 0.727;

/// What plotters' styles cannot say; holds for what is drawn until it is changed.
#[derive(Clone, Default)]
pub(super) struct Pen {
    /// Lengths of dashes and gaps in tenths of a pixel; empty for a solid line.
    pub dash: Vec<u16>,
    /// How far into the pattern a line begins.
    pub dash_offset: u16,
    /// Whether text gets a white rim, to be readable over curves.
    pub halo: bool,
    /// What a browser shows on hovering.
    pub title: String,
    /// What follows a text on its line, wherever that ends.
    pub tail: Option<Tail>,
}

/// Text in a lower voice behind another.
#[derive(Clone)]
pub(super) struct Tail {
    pub text: String,
    /// In tenths of a pixel.
    pub size: i32,
    pub color: BackendColor,
}

/// The backend: collects the elements of an SVG document.
pub(super) struct Svg {
    size: (u32, u32),
    pub pen: Pen,
    body: String,
}

type Drawn = Result<(), DrawingErrorKind<Infallible>>;

impl Svg {
    /// An empty canvas of that size in pixels.
    pub(super) fn new(width: u32, height: u32) -> Self {
        Self {
            size: (width * UNITS.unsigned_abs(), height * UNITS.unsigned_abs()),
            pen: Pen::default(),
            body: String::new(),
        }
    }

    /// The document, with a title and a description for those who cannot see it.
    pub(super) fn document(&self, title: &str, description: &str) -> String {
        let (width, height) = (self.size.0 / 10, self.size.1 / 10);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{label}\" \
             font-family=\"{FAMILY}\">\n<title>{label}</title>\n<desc>{desc}</desc>\n{body}</svg>\n",
            label = escape(title),
            desc = escape(description),
            body = self.body,
        )
    }

    fn stroke<S: BackendStyle>(&mut self, style: &S) {
        let width = tenths(i32::try_from(style.stroke_width()).unwrap_or(i32::MAX));
        let color = style.color();
        let _ = write!(
            self.body,
            " fill=\"none\" stroke=\"{}\"{} stroke-width=\"{width}\"",
            hex(color),
            opacity("stroke", color)
        );
        if self.pen.dash.is_empty() {
            return;
        }
        let lengths: Vec<String> = self.pen.dash.iter().map(|it| tenths((*it).into())).collect();
        let _ = write!(self.body, " stroke-dasharray=\"{}\"", lengths.join(" "));
        if self.pen.dash_offset > 0 {
            let offset = tenths(self.pen.dash_offset.into());
            let _ = write!(self.body, " stroke-dashoffset=\"{offset}\"");
        }
    }

    fn fill(&mut self, color: BackendColor) {
        let _ = write!(self.body, " fill=\"{}\"{}", hex(color), opacity("fill", color));
    }

    /// Ends an element, with the hover text inside it if there is one.
    fn close(&mut self, element: &str) {
        if self.pen.title.is_empty() {
            self.body.push_str("/>\n");
        } else {
            let title = escape(&self.pen.title);
            let _ = writeln!(self.body, "><title>{title}</title></{element}>");
        }
    }
}

impl DrawingBackend for Svg {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        self.size
    }

    fn ensure_prepared(&mut self) -> Drawn {
        Ok(())
    }

    fn present(&mut self) -> Drawn {
        Ok(())
    }

    fn draw_pixel(&mut self, _: BackendCoord, _: BackendColor) -> Drawn {
        // Nothing we draw consists of pixels.
        Ok(())
    }

    fn draw_line<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        style: &S,
    ) -> Drawn {
        self.draw_path([from, to], style)
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        upper_left: BackendCoord,
        bottom_right: BackendCoord,
        style: &S,
        fill: bool,
    ) -> Drawn {
        let (x, y) = upper_left;
        let _ = write!(
            self.body,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"",
            tenths(x),
            tenths(y),
            tenths(bottom_right.0 - x),
            tenths(bottom_right.1 - y)
        );
        if fill {
            self.fill(style.color());
        } else {
            self.stroke(style);
        }
        self.close("rect");
        Ok(())
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Drawn {
        let points = without_idle_points(path);
        if points.len() < 2 {
            return Ok(());
        }
        let _ = write!(self.body, "<path d=\"{}\"", path_data(&points));
        self.stroke(style);
        if points.len() > 2 {
            self.body.push_str(" stroke-linejoin=\"round\"");
        }
        self.close("path");
        Ok(())
    }

    fn draw_circle<S: BackendStyle>(
        &mut self,
        center: BackendCoord,
        radius: u32,
        style: &S,
        fill: bool,
    ) -> Drawn {
        let _ = write!(
            self.body,
            "<circle cx=\"{}\" cy=\"{}\" r=\"{}\"",
            tenths(center.0),
            tenths(center.1),
            tenths(i32::try_from(radius).unwrap_or(i32::MAX))
        );
        if fill {
            self.fill(style.color());
        } else {
            self.stroke(style);
        }
        self.close("circle");
        Ok(())
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        vertices: I,
        style: &S,
    ) -> Drawn {
        let points = without_idle_points(vertices);
        if points.len() < 3 {
            return Ok(());
        }
        let _ = write!(self.body, "<path d=\"{}z\"", path_data(&points));
        self.fill(style.color());
        self.close("path");
        Ok(())
    }

    fn draw_text<S: BackendTextStyle>(
        &mut self,
        text: &str,
        style: &S,
        (x, y): BackendCoord,
    ) -> Drawn {
        let size = style.size();
        let anchor = style.anchor();
        let drop = match anchor.v_pos {
            VPos::Top => CAP_HEIGHT,
            VPos::Center => CAP_HEIGHT / 2.0,
            VPos::Bottom => 0.0,
        };
        let baseline = y + round(size * drop);
        let _ = write!(
            self.body,
            "<text x=\"{}\" y=\"{}\" font-size=\"{}\"",
            tenths(x),
            tenths(baseline),
            tenths(round(size))
        );
        match anchor.h_pos {
            HPos::Left => {}
            HPos::Center => self.body.push_str(" text-anchor=\"middle\""),
            HPos::Right => self.body.push_str(" text-anchor=\"end\""),
        }
        if matches!(style.style(), FontStyle::Bold) {
            self.body.push_str(" font-weight=\"600\"");
        }
        self.fill(style.color());
        if self.pen.halo {
            self.body.push_str(
                " stroke=\"#ffffff\" stroke-width=\"3\" stroke-linejoin=\"round\" \
                 paint-order=\"stroke\"",
            );
        }
        let _ = write!(self.body, ">{}", escape(text));
        if let Some(tail) = self.pen.tail.take() {
            let _ = write!(
                self.body,
                "<tspan dx=\"8\" font-size=\"{}\" font-weight=\"400\" fill=\"{}\">{}</tspan>",
                tenths(tail.size),
                hex(tail.color),
                escape(&tail.text)
            );
        }
        self.body.push_str("</text>\n");
        Ok(())
    }
}

/// A length in backend units as pixels: `123.4`.
fn tenths(units: i32) -> String {
    let sign = if units < 0 { "-" } else { "" };
    let (whole, rest) = (units.unsigned_abs() / 10, units.unsigned_abs() % 10);
    if rest == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{rest}") }
}

/// The nearest whole number of units.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the cast saturates, and nothing is drawn outside the canvas"
)]
pub(super) fn round(units: f64) -> i32 {
    units.round() as i32
}

/// Drops points that lie where the one before does, or between two of the same height.
fn without_idle_points(path: impl IntoIterator<Item = BackendCoord>) -> Vec<BackendCoord> {
    let mut points: Vec<BackendCoord> = Vec::new();
    for point in path {
        if points.last() == Some(&point) {
            continue;
        }
        if let [.., before, last] = points.as_slice()
            && before.1 == last.1
            && last.1 == point.1
            && (before.0..=point.0).contains(&last.0)
        {
            points.pop();
        }
        points.push(point);
    }
    points
}

/// Absolute start, then relative steps: half the bytes, and exact since all are integers.
fn path_data(points: &[BackendCoord]) -> String {
    let mut data = String::with_capacity(points.len() * 9);
    let mut last = (0, 0);
    for (index, point) in points.iter().enumerate() {
        let (dx, dy) = (point.0 - last.0, point.1 - last.1);
        let command = match index {
            0 => "M",
            1 => "l",
            _ => " ",
        };
        // A minus separates numbers as well as a blank does.
        let gap = if dy < 0 { "" } else { " " };
        let command = if index > 1 && dx < 0 { "" } else { command };
        let _ = write!(data, "{command}{}{gap}{}", tenths(dx), tenths(dy));
        last = *point;
    }
    data
}

fn hex(color: BackendColor) -> String {
    let (red, green, blue) = color.rgb;
    format!("#{red:02x}{green:02x}{blue:02x}")
}

fn opacity(what: &str, color: BackendColor) -> String {
    if color.alpha < 1.0 {
        format!(" {what}-opacity=\"{:.2}\"", color.alpha)
    } else {
        String::new()
    }
}

/// Text as XML may hold it, in an element or an attribute.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\t' | '\n' | '\r' => escaped.push(' '),
            // XML 1.0 has no way to write these.
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            _ => escaped.push(char),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_in_tenths_without_idle_zeros() {
        assert_eq!(tenths(0), "0");
        assert_eq!(tenths(-7), "-0.7");
        assert_eq!(tenths(1_234), "123.4");
    }

    #[test]
    fn steps_of_a_path_add_up_to_its_points() {
        let data = path_data(&[(10, 20), (25, 15), (20, 30)]);
        // +1.5 -0.5, then -0.5 +1.5.
        assert_eq!(data, "M1 2l1.5-0.5-0.5 1.5");
    }

    #[test]
    fn a_level_stretch_keeps_its_ends_only() {
        let points = without_idle_points([(0, 5), (1, 5), (1, 5), (2, 5), (3, 6)]);
        assert_eq!(points, [(0, 5), (2, 5), (3, 6)]);
    }

    #[test]
    fn what_xml_reserves_or_cannot_hold_is_replaced() {
        assert_eq!(
            escape("a<b> & \"c\" 'd'\u{0}\n"),
            "a&lt;b&gt; &amp; &quot;c&quot; &#39;d&#39;\u{fffd} "
        );
    }
}
