//! PNG from SVG, with the embedded fonts and no others: the same picture whatever the machine
//! has installed.

use resvg::{tiny_skia, usvg};

use super::ChartError;
use super::canvas::{REGULAR, SEMIBOLD};

/// Arrows and Greek letters, which Inter's Latin subset lacks.
const SYMBOLS: &[u8] = include_bytes!("../../assets/DejaVuSans-sub.ttf");

/// Pixels of the picture for each pixel of the drawing.
const ZOOM: f32 = 2.0;

/// The drawing as a picture.
pub fn from_svg(svg: &str) -> Result<Vec<u8>, ChartError> {
    let mut options = usvg::Options { font_family: "Inter".to_owned(), ..usvg::Options::default() };
    for font in [REGULAR, SEMIBOLD, SYMBOLS] {
        options.fontdb_mut().load_font_data(font.to_vec());
    }
    let picture = |reason: &str| ChartError::Picture(reason.to_owned());
    let tree = usvg::Tree::from_str(svg, &options).map_err(|it| picture(&it.to_string()))?;
    let size = tree
        .size()
        .to_int_size()
        .scale_by(ZOOM)
        .ok_or_else(|| picture("the drawing has no size"))?;
    let mut pixels = tiny_skia::Pixmap::new(size.width(), size.height())
        .ok_or_else(|| picture("the drawing is too large"))?;
    let zoom = tiny_skia::Transform::from_scale(ZOOM, ZOOM);
    resvg::render(&tree, zoom, &mut pixels.as_mut());
    pixels.encode_png().map_err(|it| picture(&it.to_string()))
}
