//! All files of a report.

use crate::charts::{self, ChartError};
use crate::report::{OutputFile, Report};
use crate::{events_ndjson, series_csv, summary_json};

/// A file could not be made from the results. No scenario should bring this about.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// A chart.
    #[error(transparent)]
    Chart(#[from] ChartError),
    /// A JSON document.
    #[error("cannot write JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// `series.csv`.
    #[error("cannot write CSV: {0}")]
    Csv(#[from] csv::Error),
}

/// Every file of a report but the manifest, which [`crate::Output::write`] adds when it knows all
/// files of the directory.
pub fn render(report: &Report<'_>) -> Result<Vec<OutputFile>, RenderError> {
    let mut files = vec![OutputFile::new("summary.json", summary_json::document(report)?)];
    files.extend(charts::all(report)?);
    files.push(OutputFile::new("series.csv", series_csv::document(report.runs)?));
    files.push(OutputFile::new("events.ndjson", events_ndjson::document(report.runs)?));
    Ok(files)
}
