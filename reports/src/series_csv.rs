//! `series.csv`: one row for each run and step, one column for each series.
//!
//! `time_s` is the end of the step. A gauge has its value at that instant and, as `NAME.min` and
//! `NAME.max`, the extremes inside the step; a rate has its mean over the step. A run that lacks
//! a series, and a value that is not a number, leave the field empty.

use std::io::Write as _;

use sim_core::result::{Point, RunResult, Series, SeriesKind};

/// The document.
pub fn document(runs: &[RunResult]) -> Result<Vec<u8>, csv::Error> {
    let columns = columns(runs);
    let mut writer = csv::Writer::from_writer(Vec::new());
    write_header(&mut writer, &columns)?;
    let mut field = Vec::new();
    for run in runs {
        let series: Vec<Option<&Series>> = columns
            .iter()
            .map(|column| run.series.iter().find(|it| it.name == column.name))
            .collect();
        let steps = run.series.iter().map(|it| it.points.len()).max();
        for step in 0..steps.unwrap_or(0) {
            writer.write_field(&run.name)?;
            write_number(&mut writer, end_of_step(step, run.series_step_s), &mut field)?;
            for (column, series) in columns.iter().zip(&series) {
                let point = series.and_then(|it| it.points.get(step));
                write_point(&mut writer, column.kind, point, &mut field)?;
            }
            writer.write_record(None::<&[u8]>)?;
        }
    }
    writer.into_inner().map_err(|error| error.into_error().into())
}

struct Column<'a> {
    name: &'a str,
    kind: SeriesKind,
}

/// Every series of any run, in order of first appearance.
fn columns(runs: &[RunResult]) -> Vec<Column<'_>> {
    let mut seen = std::collections::BTreeSet::new();
    let mut columns = Vec::new();
    for series in runs.iter().flat_map(|run| &run.series) {
        if seen.insert(series.name.as_str()) {
            columns.push(Column { name: &series.name, kind: series.kind });
        }
    }
    columns
}

fn write_header(
    writer: &mut csv::Writer<Vec<u8>>,
    columns: &[Column<'_>],
) -> Result<(), csv::Error> {
    writer.write_field("run")?;
    writer.write_field("time_s")?;
    for column in columns {
        writer.write_field(column.name)?;
        if column.kind == SeriesKind::Gauge {
            writer.write_field(format!("{}.min", column.name))?;
            writer.write_field(format!("{}.max", column.name))?;
        }
    }
    writer.write_record(None::<&[u8]>)
}

fn write_point(
    writer: &mut csv::Writer<Vec<u8>>,
    kind: SeriesKind,
    point: Option<&Point>,
    field: &mut Vec<u8>,
) -> Result<(), csv::Error> {
    let nothing = Point { value: f64::NAN, min: f64::NAN, max: f64::NAN };
    let point = point.unwrap_or(&nothing);
    write_number(writer, point.value, field)?;
    if kind == SeriesKind::Gauge {
        write_number(writer, point.min, field)?;
        write_number(writer, point.max, field)?;
    }
    Ok(())
}

/// The shortest decimal that reads back as the same number.
fn write_number(
    writer: &mut csv::Writer<Vec<u8>>,
    number: f64,
    field: &mut Vec<u8>,
) -> Result<(), csv::Error> {
    field.clear();
    if number.is_finite() {
        write!(field, "{}", number + 0.0)?;
    }
    writer.write_field(&field)
}

#[expect(clippy::cast_precision_loss, reason = "a run has far fewer than 2^52 steps")]
fn end_of_step(step: usize, step_s: f64) -> f64 {
    // Rounded to the nanosecond, so that 3 x 0.1 s reads 0.3.
    ((step + 1) as f64 * step_s * 1e9).round() / 1e9
}
