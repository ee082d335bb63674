//! Series of a run as points in time.

use std::collections::BTreeSet;

use sim_core::result::{RunResult, Series, SeriesKind};

/// A point of a curve: seconds and value.
pub(crate) type Xy = (f64, f64);

/// The run's series of that name.
pub(crate) fn find<'a>(run: &'a RunResult, name: &str) -> Option<&'a Series> {
    run.series.iter().find(|series| series.name == name)
}

/// Names of the members of that kind for which any run has the series: `systems.NAME.SERIES`.
pub(crate) fn members(runs: &[RunResult], kind: &str, series: &str) -> Vec<String> {
    let mut names = BTreeSet::new();
    for of in runs.iter().flat_map(|run| &run.series) {
        let name = of.name.strip_prefix(kind).and_then(|it| it.strip_prefix('.'));
        let name = name.and_then(|it| it.strip_suffix(series)).and_then(|it| it.strip_suffix('.'));
        names.extend(name.map(str::to_owned));
    }
    names.into_iter().collect()
}

/// Names of all consumers whose lag any run tells of.
pub(crate) fn consumers(runs: &[RunResult]) -> Vec<String> {
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

/// All series of the run that tell of lag, that of clients included.
pub(crate) fn lag(run: &RunResult) -> impl Iterator<Item = &Series> {
    const NAMES: [&str; 3] = [".lag_records", ".lag_seconds", ".client_lag_records"];
    let is_lag = |it: &&Series| NAMES.iter().any(|name| it.name.ends_with(name));
    run.series.iter().filter(is_lag)
}

/// Whether all runs have the series, and the same values in it.
pub(crate) fn all_same(series: &[Option<&Series>]) -> bool {
    let first = series.first().copied().flatten();
    let equal = |it: &Option<&Series>| match (it, first) {
        (Some(it), Some(first)) => it.points == first.points,
        _ => false,
    };
    series.iter().all(equal)
}

/// Second and value of each step: a gauge at the end of the step, a rate in its middle.
pub(crate) fn points(series: &Series, run: &RunResult) -> Vec<Xy> {
    let times = times(series, run);
    times.zip(&series.points).map(|(at, point)| (at, point.value)).collect()
}

/// Second and greatest value of each step.
pub(crate) fn crest(series: &Series, run: &RunResult) -> Vec<Xy> {
    let times = times(series, run);
    times.zip(&series.points).map(|(at, point)| (at, point.max.max(point.value))).collect()
}

/// Second and least value of each step.
pub(crate) fn trough(series: &Series, run: &RunResult) -> Vec<Xy> {
    let times = times(series, run);
    times.zip(&series.points).map(|(at, point)| (at, point.min.min(point.value))).collect()
}

fn times(series: &Series, run: &RunResult) -> impl Iterator<Item = f64> + use<> {
    let into_step = match series.kind {
        SeriesKind::Gauge => 1.0,
        SeriesKind::Rate => 0.5,
    };
    let step_s = run.series_step_s;
    (0u32..).map(move |step| (f64::from(step) + into_step) * step_s)
}
