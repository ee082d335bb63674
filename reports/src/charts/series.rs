//! Series of a run as points of a chart.

use std::collections::BTreeSet;

use sim_core::result::{RunResult, Series, SeriesKind};

use super::thin::Xy;

/// The run's series of that name.
pub(super) fn find<'a>(run: &'a RunResult, name: &str) -> Option<&'a Series> {
    run.series.iter().find(|series| series.name == name)
}

/// Names of all consumers whose lag any run tells of.
pub(super) fn consumers(runs: &[RunResult]) -> Vec<String> {
    let mut names = BTreeSet::new();
    for series in runs.iter().flat_map(|run| &run.series) {
        let Some(name) = series.name.strip_prefix("consumers.") else {
            continue;
        };
        let lag = [".lag_records", ".lag_seconds"];
        if let Some(name) = lag.iter().find_map(|it| name.strip_suffix(it)) {
            names.insert(name.to_owned());
        }
    }
    names.into_iter().collect()
}

/// All series of the run that tell of lag.
pub(crate) fn lag(run: &RunResult) -> impl Iterator<Item = &Series> {
    let is_lag =
        |it: &&Series| it.name.ends_with(".lag_records") || it.name.ends_with(".lag_seconds");
    run.series.iter().filter(is_lag)
}

/// Second and value of each step: a gauge at the end of the step, a rate in its middle.
pub(super) fn points(series: &Series, run: &RunResult) -> Vec<Xy> {
    let times = times(series, run);
    times.zip(&series.points).map(|(at, point)| (at, point.value)).collect()
}

/// Second and greatest value of each step.
pub(crate) fn crest(series: &Series, run: &RunResult) -> Vec<Xy> {
    let times = times(series, run);
    times.zip(&series.points).map(|(at, point)| (at, point.max.max(point.value))).collect()
}

fn times(series: &Series, run: &RunResult) -> impl Iterator<Item = f64> + use<> {
    let into_step = match series.kind {
        SeriesKind::Gauge => 1.0,
        SeriesKind::Rate => 0.5,
    };
    let step_s = run.series_step_s;
    (0u32..).map(move |step| (f64::from(step) + into_step) * step_s)
}
