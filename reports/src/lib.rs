//! Turns the results of runs into what people and programs read: charts, tables, data files and
//! the directory that holds them. Sees [`sim_core::result::RunResult`] and nothing of the models.
//!
//! [`render`] gives every file of a report as bytes, [`table::summary`] the text for a terminal,
//! and [`Output`] is the one place that writes to a disk. The same report gives the same bytes on
//! any machine (PNG: on the same machine); nothing in a file tells when, where or how fast it was
//! made.

pub mod charts;
pub mod events_ndjson;
pub mod format;
pub mod manifest;
pub mod output;
mod render;
mod report;
mod seeds;
mod series;
pub mod series_csv;
pub mod summary_json;
pub mod table;

pub use output::{Output, OutputError};
pub use render::{RenderError, render};
pub use report::{Bound, ExpectationRow, OutputFile, OverSeeds, Provenance, Report, Verdict};
pub use seeds::{Seeds, Spread};
