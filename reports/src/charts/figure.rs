//! One figure: title, labels of faults and actions, panels over one time axis, legend. What is
//! in it is data ([`Figure`]); here it is laid out and drawn.

use plotters::style::text_anchor::{HPos, VPos};
use sim_core::result::MarkKind;

use crate::format;
use crate::report::Report;
use crate::series::Xy;

use super::ChartError;
use super::canvas::{Canvas, Failure, Frame, Panel, Stroke, Type};
use super::marks::{self, Item, LABEL_GAP, ROW, SAMPLE};
use super::palette::{AXIS, DIM, FAULT, GRID, INK, Look, PAPER};
use super::scale::Scale;
use super::thin;

const WIDTH: f64 = 1_200.0;
const MARGIN: f64 = 18.0;
/// Left of the panels, for the labels of their axes.
const AXIS_LABELS: f64 = 58.0;
const HEADER: f64 = 66.0;
/// Above each panel, for its heading.
const HEADING: f64 = 26.0;
/// Below the last panel, for the labels of the time axis.
const FOOTER: f64 = 50.0;
const LEGEND_SAMPLE: f64 = 30.0;
const LEGEND_LINE: f64 = 16.0;

/// What a figure shows.
pub(super) struct Figure {
    pub title: String,
    /// For those who cannot see it.
    pub description: String,
    pub panels: Vec<PanelData>,
    pub legend: Vec<LegendEntry>,
}

impl Figure {
    /// Whether it shows all seeds, and not one.
    fn is_over_seeds(&self) -> bool {
        let mut curves = self.panels.iter().flat_map(|it| &it.curves);
        curves.any(|it| matches!(it.data, Data::Band(..)))
    }
}

/// One panel.
pub(super) struct PanelData {
    /// What it shows, with the unit.
    pub heading: String,
    /// Said beside the heading, in a lower voice.
    pub note: String,
    pub height: f64,
    pub scale: Scale,
    pub curves: Vec<Curve>,
}

/// One curve.
pub(super) struct Curve {
    pub look: Look,
    pub title: String,
    /// What to draw; a value that is not a number is a gap.
    pub data: Data,
    pub peak: Option<Peak>,
}

/// The values of a curve.
pub(super) enum Data {
    /// Second and value, drawn as they are.
    Line(Vec<Xy>),
    /// Second and greatest inside each step: a line along the greatest of each column. For what is
    /// bad when it is high. (The least would tell of the grid of arrivals and the rhythm of polls.)
    Crest(Vec<Xy>),
    /// A line as it is, and a shade beneath it.
    Area(Vec<Xy>),
    /// From and until, in seconds: shades of the panel, and bars below it that stay black where
    /// the shade is faint.
    Spells(Vec<(f64, f64)>),
    /// A line, and a shade from low to high around it: second, low, high.
    Band(Vec<Xy>, Vec<(f64, f64, f64)>),
}

/// The greatest value of a curve.
pub(super) struct Peak {
    pub at: Xy,
    /// May be empty: then it is ringed and not named.
    pub label: String,
}

/// One run in the legend.
pub(super) struct LegendEntry {
    pub look: Look,
    pub name: String,
    pub notes: Vec<String>,
}

/// Where things go.
struct Layout {
    plot: Frame,
    panels: Vec<Frame>,
    legend_x: f64,
    height: f64,
    items: Vec<Item>,
    unlabelled: usize,
}

/// The figure as an SVG document.
pub(super) fn draw(figure: &Figure, report: &Report<'_>) -> Result<String, ChartError> {
    let time = Scale::time(report.duration_s);
    let layout = layout(figure, report, &time);
    let canvas = Canvas::new(WIDTH, layout.height)?;
    let paper = Frame { x: 0.0, y: 0.0, width: WIDTH, height: layout.height };
    canvas.rect(paper, PAPER, 1.0)?;
    draw_header(&canvas, figure, report)?;
    draw_shades(&canvas, &layout, &time)?;
    for (data, frame) in figure.panels.iter().zip(&layout.panels) {
        draw_grid(&canvas, data, *frame, &time)?;
    }
    draw_time_axis(&canvas, &layout, &time, report)?;
    draw_lines_of_marks(&canvas, &layout, &time)?;
    for (data, frame) in figure.panels.iter().zip(&layout.panels) {
        draw_panel(&canvas, data, *frame, &time, report)?;
    }
    draw_labels_of_marks(&canvas, &layout)?;
    draw_legend(&canvas, figure, &layout)?;
    Ok(canvas.document(&figure.title, &figure.description))
}

fn layout(figure: &Figure, report: &Report<'_>, time: &Scale) -> Layout {
    let name = Type::new(12.5, INK).bold();
    let note = Type::new(11.5, DIM);
    let names = figure.legend.iter().map(|it| name.measure(&it.name));
    let notes = figure.legend.iter().flat_map(|it| &it.notes);
    let widest = names.chain(notes.map(|it| note.measure(it)));
    let text = widest.fold(110.0, f64::max).min(190.0);
    let legend_x = WIDTH - MARGIN - text - LEGEND_SAMPLE - 10.0;
    let left = MARGIN + AXIS_LABELS;
    let width = legend_x - 22.0 - left;

    let mut items = marks::collect(report.runs);
    let x = |second: f64| left + time.share(second) * width;
    let (rows, unlabelled) = marks::pack(&mut items, left, left + width, x);
    let rows = f64::from(u32::try_from(rows).unwrap_or(0));
    let mut y = HEADER + rows * ROW;
    let top = y;
    let mut panels = Vec::new();
    for panel in &figure.panels {
        y += HEADING;
        panels.push(Frame { x: left, y, width, height: panel.height });
        y += panel.height;
    }
    let legend = HEADER + HEADING + legend_height(figure, text);
    Layout {
        plot: Frame { x: left, y: top, width, height: y - top },
        panels,
        legend_x,
        height: (y + FOOTER).max(legend + MARGIN),
        items,
        unlabelled,
    }
}

fn draw_header(canvas: &Canvas, figure: &Figure, report: &Report<'_>) -> Result<(), Failure> {
    let title = Type::new(19.0, INK).bold();
    let text = title.fit(&figure.title, WIDTH - 2.0 * MARGIN);
    canvas.text(&text, (MARGIN, 25.0), title)?;
    let resolution = match report.resolution_ms {
        0 => "record by record".to_owned(),
        millis => format!("resolution {millis} ms"),
    };
    let seed = match (figure.is_over_seeds(), report.seeds) {
        (true, (first, last)) => format!("seeds {first} to {last}"),
        (false, _) => format!("seed {}", report.seed),
    };
    let caption = format!("scenario {} · {seed} · {resolution}", report.scenario);
    let dim = Type::new(12.5, DIM);
    canvas.text(&dim.fit(&caption, WIDTH - 2.0 * MARGIN), (MARGIN, 48.0), dim)
}

fn draw_shades(canvas: &Canvas, layout: &Layout, time: &Scale) -> Result<(), Failure> {
    for item in &layout.items {
        let (MarkKind::Fault, Some(until)) = (item.kind, item.until) else {
            continue;
        };
        let from = layout.plot.x + time.share(item.from) * layout.plot.width;
        let until = layout.plot.x + time.share(until) * layout.plot.width;
        // However short, it is seen.
        let width = (until - from).max(1.5);
        for panel in &layout.panels {
            let shade = Frame { x: from, width, ..*panel };
            canvas.rect(shade, FAULT, 0.10)?;
            let bar = Frame { y: panel.y - 3.0, height: 3.0, ..shade };
            canvas.rect(bar, FAULT, 0.55)?;
        }
    }
    Ok(())
}

fn draw_grid(canvas: &Canvas, data: &PanelData, frame: Frame, time: &Scale) -> Result<(), Failure> {
    let grid = Stroke::solid(GRID, 1.0);
    for (second, _) in &time.ticks {
        let x = frame.x + time.share(*second) * frame.width;
        canvas.line((x, frame.y), (x, frame.bottom()), &grid)?;
    }
    let label = Type::new(11.5, DIM).anchor(HPos::Right, VPos::Center);
    for (value, text) in &data.scale.ticks {
        let y = frame.bottom() - data.scale.share(*value) * frame.height;
        canvas.line((frame.x, y), (frame.right(), y), &grid)?;
        canvas.text(text, (frame.x - 8.0, y), label)?;
    }
    let axis = Stroke::solid(AXIS, 1.0);
    canvas.line((frame.x, frame.y), (frame.x, frame.bottom()), &axis)?;
    let corner = (frame.right(), frame.bottom());
    canvas.line((frame.x, frame.bottom()), corner, &axis)
}

fn draw_time_axis(
    canvas: &Canvas,
    layout: &Layout,
    time: &Scale,
    report: &Report<'_>,
) -> Result<(), Failure> {
    let bottom = layout.plot.bottom();
    let label = Type::new(11.5, DIM).anchor(HPos::Center, VPos::Top);
    for (second, text) in &time.ticks {
        let x = layout.plot.x + time.share(*second) * layout.plot.width;
        canvas.line((x, bottom), (x, bottom + 4.0), &Stroke::solid(AXIS, 1.0))?;
        canvas.text(text, (x, bottom + 9.0), label)?;
    }
    let unit = if format::is_long(report.duration_s) {
        "simulated time, h:mm"
    } else {
        "simulated time, m:ss"
    };
    let middle = layout.plot.x + layout.plot.width / 2.0;
    canvas.text(unit, (middle, bottom + 28.0), label)
}

/// The vertical lines of actions, and of faults that happen at once. Where several stand at one
/// place they share the line, dash by dash.
fn draw_lines_of_marks(canvas: &Canvas, layout: &Layout, time: &Scale) -> Result<(), Failure> {
    const DASH: u16 = 50;
    let lines: Vec<&Item> = layout
        .items
        .iter()
        .filter(|it| it.kind == MarkKind::Action || it.until.is_none())
        .collect();
    for (index, item) in lines.iter().enumerate() {
        // Closer than the lines are wide is the same place.
        let place = |it: &Item| (time.share(it.from) * layout.plot.width / 2.0).round();
        let same = |it: &&Item| place(it).total_cmp(&place(item)).is_eq();
        let of = u16::try_from(lines.iter().filter(|it| same(it)).count()).unwrap_or(u16::MAX);
        let turn = lines[..index].iter().filter(|it| same(it)).count();
        let turn = u16::try_from(turn).unwrap_or(u16::MAX);
        let period = DASH.saturating_mul(of);
        let dash = [DASH, period - DASH];
        let stroke = Stroke {
            dash: if of > 1 { &dash } else { &[] },
            dash_offset: period.saturating_sub(DASH.saturating_mul(turn)) % period.max(1),
            title: &item.label,
            ..Stroke::solid(line_color(item), 1.4)
        };
        let x = layout.plot.x + time.share(item.from) * layout.plot.width;
        // Lines that share a place begin together, or their dashes would overlap.
        let rows = lines.iter().filter(|it| same(it)).filter_map(|it| it.place);
        let top = rows.map(|place| row_y(place.0) + 4.0).fold(layout.plot.y, f64::min);
        canvas.line((x, top), (x, layout.plot.bottom()), &stroke)?;
    }
    Ok(())
}

fn line_color(item: &Item) -> plotters::style::RGBColor {
    match (item.kind, item.run) {
        (MarkKind::Fault, _) => FAULT,
        (MarkKind::Action, Some(run)) => super::palette::look(run).color,
        (MarkKind::Action, None) => INK,
    }
}

fn row_y(row: usize) -> f64 {
    HEADER + f64::from(u32::try_from(row).unwrap_or(0)) * ROW
}

fn draw_labels_of_marks(canvas: &Canvas, layout: &Layout) -> Result<(), Failure> {
    for item in &layout.items {
        let Some((row, start)) = item.place else {
            continue;
        };
        let y = row_y(row) + ROW / 2.0;
        let mut x = start + LABEL_GAP;
        if let (true, Some(run)) = (item.has_sample(), item.run) {
            let look = super::palette::look(run);
            canvas.line((x, y), (x + SAMPLE, y), &sample(&look, 2.2))?;
            x += SAMPLE + 4.0;
        }
        canvas.text(&item.label, (x, y), item.text())?;
    }
    if layout.unlabelled > 0 {
        let text = format!("and {} more", layout.unlabelled);
        let look = Type::new(11.5, DIM).halo().anchor(HPos::Right, VPos::Center);
        let at = (layout.plot.right(), layout.plot.y - ROW / 2.0);
        canvas.text(&text, at, look)?;
    }
    Ok(())
}

fn sample(look: &Look, width: f64) -> Stroke<'static> {
    Stroke { dash: look.dash, ..Stroke::solid(look.color, width) }
}

fn draw_panel(
    canvas: &Canvas,
    data: &PanelData,
    frame: Frame,
    time: &Scale,
    report: &Report<'_>,
) -> Result<(), Failure> {
    let heading = Type::new(12.5, INK).bold().halo();
    let y = frame.y - HEADING / 2.0 + 1.0;
    let note = Type::new(11.5, DIM);
    canvas.text_and_tail((&data.heading, heading), (&data.note, note), (frame.x, y))?;

    let panel = canvas.panel(frame, time, &data.scale);
    // Many shades on top of each other must not turn into mud.
    let curves = f64::from(u32::try_from(data.curves.len()).unwrap_or(u32::MAX));
    let alpha = (0.4 / curves).min(0.14);
    for curve in &data.curves {
        if let Data::Spells(spells) = &curve.data {
            draw_spells(canvas, spells, frame, time, &curve.look)?;
        }
        draw_shade(&panel, curve, frame, report, alpha)?;
    }
    for curve in &data.curves {
        draw_curve(&panel, curve, frame, report)?;
    }
    draw_peaks(canvas, &panel, data, frame)
}

fn draw_spells(
    canvas: &Canvas,
    spells: &[(f64, f64)],
    frame: Frame,
    time: &Scale,
    look: &Look,
) -> Result<(), Failure> {
    for (from, until) in spells {
        let x = frame.x + time.share(*from) * frame.width;
        let end = frame.x + time.share(*until) * frame.width;
        // However short, it is seen.
        let shade = Frame { x, width: (end - x).max(1.5), ..frame };
        canvas.rect(shade, look.color, 0.13)?;
        let bar = Frame { y: frame.bottom() + 1.0, height: look.width, ..shade };
        canvas.rect(bar, look.color, 0.9)?;
    }
    Ok(())
}

fn draw_shade(
    panel: &Panel<'_>,
    curve: &Curve,
    frame: Frame,
    report: &Report<'_>,
    alpha: f64,
) -> Result<(), Failure> {
    let area: Vec<_>;
    let spans = match &curve.data {
        Data::Band(_, spans) => spans,
        Data::Area(points) => {
            area = points.iter().map(|it| (it.0, it.1.min(0.0), it.1)).collect();
            &area
        }
        Data::Line(_) | Data::Crest(_) | Data::Spells(_) => return Ok(()),
    };
    for spans in spans.split(|it| !(it.1.is_finite() && it.2.is_finite())) {
        let spans = thin::envelope(spans, report.duration_s, frame.width);
        panel.band(&spans, curve.look.color, alpha)?;
    }
    Ok(())
}

fn draw_curve(
    panel: &Panel<'_>,
    curve: &Curve,
    frame: Frame,
    report: &Report<'_>,
) -> Result<(), Failure> {
    let stroke = Stroke {
        dash: curve.look.dash,
        title: &curve.title,
        ..Stroke::solid(curve.look.color, curve.look.width)
    };
    let columns = (report.duration_s, frame.width);
    match &curve.data {
        Data::Spells(_) => {}
        Data::Line(points) | Data::Area(points) | Data::Band(points, _) => {
            for points in points.split(|it| !it.1.is_finite()) {
                panel.curve(thin::thin(points, columns.0, columns.1), &stroke)?;
            }
        }
        Data::Crest(crest) => {
            for points in crest.split(|it| !it.1.is_finite()) {
                panel.curve(thin::crest(points, columns.0, columns.1), &stroke)?;
            }
        }
    }
    Ok(())
}

/// Rings every peak; names those that have a label and find room for it.
fn draw_peaks(
    canvas: &Canvas,
    panel: &Panel<'_>,
    data: &PanelData,
    frame: Frame,
) -> Result<(), Failure> {
    let mut taken: Vec<Frame> = Vec::new();
    for curve in &data.curves {
        let Some(peak) = &curve.peak else { continue };
        panel.ring(peak.at, &Stroke::solid(curve.look.color, 2.0))?;
    }
    for curve in &data.curves {
        let Some(peak) = &curve.peak else { continue };
        let look = Type::new(11.5, curve.look.ink).bold().halo();
        let (x, y) = panel.place(peak.at);
        let width = look.measure(&peak.label);
        let spot = |dx: f64, dy: f64| Frame { x: x + dx, y: y + dy, width, height: 14.0 };
        let spots = [
            spot(9.0, -14.0),
            spot(-9.0 - width, -14.0),
            spot(-width / 2.0, -22.0),
            spot(9.0, 4.0),
            spot(-9.0 - width, 4.0),
            spot(9.0, 18.0),
            spot(-9.0 - width, 18.0),
        ];
        let fits = |it: &Frame| {
            frame.x <= it.x
                && it.right() <= frame.right()
                && frame.y <= it.y
                && it.bottom() <= frame.bottom()
                && !taken.iter().any(|other| it.overlaps(*other))
        };
        let Some(spot) = spots.into_iter().find(fits) else {
            continue;
        };
        canvas.text(&peak.label, (spot.x, spot.y + 7.0), look)?;
        taken.push(spot);
    }
    Ok(())
}

fn legend_height(figure: &Figure, text_width: f64) -> f64 {
    let name = Type::new(12.5, INK).bold();
    let lines =
        figure.legend.iter().map(|it| name.wrap(&it.name, text_width, 2).len() + it.notes.len());
    let lines = f64::from(u32::try_from(lines.sum::<usize>() + 3).unwrap_or(0));
    let entries = f64::from(u32::try_from(figure.legend.len()).unwrap_or(0));
    lines * LEGEND_LINE + entries * 8.0 + 16.0
}

fn draw_legend(canvas: &Canvas, figure: &Figure, layout: &Layout) -> Result<(), Failure> {
    let x = layout.legend_x;
    let text_x = x + LEGEND_SAMPLE + 10.0;
    let text_width = WIDTH - MARGIN - text_x;
    let mut y = HEADER + HEADING;
    for (index, entry) in figure.legend.iter().enumerate() {
        let mut name = Type::new(12.5, INK);
        if index == 0 {
            name = name.bold();
        }
        let width = entry.look.width.max(2.4);
        canvas.line((x, y), (x + LEGEND_SAMPLE, y), &sample(&entry.look, width))?;
        for line in name.wrap(&entry.name, text_width, 2) {
            canvas.text(&line, (text_x, y), name)?;
            y += LEGEND_LINE;
        }
        let note = Type::new(11.5, DIM);
        for line in &entry.notes {
            canvas.text(&note.fit(line, text_width), (text_x, y), note)?;
            y += LEGEND_LINE;
        }
        y += 8.0;
    }
    draw_key_of_marks(canvas, layout, (x, y + 8.0))
}

fn draw_key_of_marks(canvas: &Canvas, layout: &Layout, (x, y): Xy) -> Result<(), Failure> {
    let dim = Type::new(11.5, DIM);
    let text_x = x + LEGEND_SAMPLE + 10.0;
    let mut y = y;
    if layout.items.iter().any(|it| it.kind == MarkKind::Fault) {
        let shade = Frame { x, y: y - 5.0, width: LEGEND_SAMPLE, height: 12.0 };
        canvas.rect(shade, FAULT, 0.10)?;
        let bar = Frame { y: shade.y - 2.0, height: 2.0, ..shade };
        canvas.rect(bar, FAULT, 0.55)?;
        canvas.text("fault", (text_x, y), dim)?;
        y += LEGEND_LINE + 4.0;
    }
    if layout.items.iter().any(|it| it.kind == MarkKind::Action) {
        let middle = x + LEGEND_SAMPLE / 2.0;
        let line = Stroke::solid(INK, 1.4);
        canvas.line((middle, y - 7.0), (middle, y + 7.0), &line)?;
        canvas.text("operator action", (text_x, y), dim)?;
    }
    Ok(())
}
