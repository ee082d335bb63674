//! Charts as SVG, and as PNG on request. All runs of a scenario share one chart and its scales.
//!
//! Runs differ in dash as well as in hue; faults are shaded, and what an operator did is a line
//! in the colour of the run in which it was done. The same results give the same bytes.

mod availability;
mod canvas;
mod figure;
mod group;
mod lag;
pub(crate) mod marks;
mod palette;
#[cfg(feature = "png")]
pub mod png;
mod scale;
mod svg;
mod thin;
mod throughput;

use std::collections::BTreeSet;

use crate::report::{OutputFile, Report};
use crate::series;

/// A chart could not be drawn. No result of a run should bring this about.
#[derive(Debug, thiserror::Error)]
pub enum ChartError {
    /// The embedded fonts could not be read.
    #[error("the embedded fonts cannot be read")]
    Font,
    /// The drawing library.
    #[error("cannot draw: {0}")]
    Drawing(#[from] canvas::Failure),
    /// PNG from SVG.
    #[error("cannot make a picture: {0}")]
    Picture(String),
}

/// Every chart of the report, under `charts/`.
///
/// `lag.svg` is the one consumer's, or that of all together; if there are several, each has its
/// own `lag_NAME.svg` beside it. `availability.svg` is the one Kafka cluster's and `group.svg` the
/// one consumer group's, with the name appended if there are several; neither is drawn for what
/// was well in every run, nor lag where nobody reads.
pub fn all(report: &Report<'_>) -> Result<Vec<OutputFile>, ChartError> {
    let mut files = Vec::new();
    let consumers = series::consumers(report.runs);
    let first = match consumers.as_slice() {
        [] => None,
        [one] => lag::figure(report, Some(one)),
        [..] => lag::figure(report, None),
    };
    if let Some(figure) = first {
        add(&mut files, "lag", &figure, report)?;
    }
    if consumers.len() > 1 {
        let mut taken = BTreeSet::new();
        for name in &consumers {
            if let Some(figure) = lag::figure(report, Some(name)) {
                let name = file_name(name, &mut taken);
                add(&mut files, &format!("lag_{name}"), &figure, report)?;
            }
        }
    }
    if let Some(figure) = throughput::figure(report) {
        add(&mut files, "throughput", &figure, report)?;
    }
    let clusters = series::members(report.runs, "systems", "partitions_unavailable");
    add_each(&mut files, "availability", &clusters, availability::figure, report)?;
    let groups = series::members(report.runs, "consumers", "partitions_assigned");
    add_each(&mut files, "group", &groups, group::figure, report)?;
    Ok(files)
}

/// A chart for each member that has one; the only member's bears no name.
fn add_each(
    files: &mut Vec<OutputFile>,
    chart: &str,
    members: &[String],
    figure: fn(&Report<'_>, &str) -> Option<figure::Figure>,
    report: &Report<'_>,
) -> Result<(), ChartError> {
    let mut taken = BTreeSet::new();
    for member in members {
        let Some(figure) = figure(report, member) else { continue };
        let name = match members {
            [_] => chart.to_owned(),
            _ => format!("{chart}_{}", file_name(member, &mut taken)),
        };
        add(files, &name, &figure, report)?;
    }
    Ok(())
}

fn add(
    files: &mut Vec<OutputFile>,
    name: &str,
    figure: &figure::Figure,
    report: &Report<'_>,
) -> Result<(), ChartError> {
    let svg = figure::draw(figure, report)?;
    #[cfg(feature = "png")]
    if report.png {
        let picture = png::from_svg(&svg)?;
        files.push(OutputFile::new(format!("charts/{name}.png"), picture));
    }
    files.push(OutputFile::new(format!("charts/{name}.svg"), svg));
    Ok(())
}

/// The name of a run, short enough to stand in a line that says more.
fn shortened(name: &str) -> String {
    const LONGEST: usize = 44;
    if name.chars().count() <= LONGEST {
        return name.to_owned();
    }
    let cut: String = name.chars().take(LONGEST - 1).collect();
    cut.trim_end().to_owned() + "…"
}

/// The name with what a file system may not like replaced, and a number if it is taken.
fn file_name(name: &str, taken: &mut BTreeSet<String>) -> String {
    let safe = |char: char| {
        if char.is_ascii_alphanumeric() || matches!(char, '-' | '_') {
            char.to_ascii_lowercase()
        } else {
            '_'
        }
    };
    let base: String = name.chars().map(safe).take(60).collect();
    let mut candidate = base.clone();
    let mut number = 2;
    while !taken.insert(candidate.clone()) {
        candidate = format!("{base}_{number}");
        number += 1;
    }
    candidate
}
