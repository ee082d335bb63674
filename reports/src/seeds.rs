//! What many seeds say together: the spread of every metric, and of the lag at every moment.
//!
//! Results are added seed by seed and are not kept: only the measured values stay, and the lag in
//! as many columns as a chart has pixels.

use std::collections::BTreeMap;

use sim_core::result::{RunResult, Series, Value};

use crate::series;

/// Below this many seeds a band spans all of them; above, the middle 90 %.
const FEW: usize = 20;
/// Seeds beyond these add nothing that could be seen in a band.
const MOST_IN_BANDS: usize = 200;
/// Columns in which the lag is kept.
const COLUMNS: usize = 900;

/// All seeds of one call.
#[derive(Clone, Debug, Default)]
pub struct Seeds {
    added: usize,
    runs: Vec<Run>,
}

/// One run on all seeds.
#[derive(Clone, Debug, Default)]
struct Run {
    name: String,
    metrics: BTreeMap<String, Vec<Value>>,
    lag: BTreeMap<String, Columns>,
}

/// The greatest lag in each column of time: its second, and a value for each seed.
type Columns = Vec<(f64, Vec<f64>)>;

/// The spread of a metric over seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The least.
    pub min: Value,
    /// The one in the middle; of two, the lesser, so that it is one that was measured.
    pub median: Value,
    /// The greatest; never is greater than all numbers.
    pub max: Value,
}

impl Spread {
    /// Of these values; `None` if there are none.
    #[must_use]
    pub fn of(values: &[Value]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(|a, b| a.as_f64().total_cmp(&b.as_f64()));
        Some(Self {
            min: *sorted.first()?,
            median: *sorted.get((sorted.len() - 1) / 2)?,
            max: *sorted.last()?,
        })
    }
}

/// The lag of one run over seeds, at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Moment {
    pub(crate) at: f64,
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
}

impl Seeds {
    /// Adds the runs of the next seed, in the same order each time.
    pub fn add(&mut self, of_seed: &[RunResult]) {
        self.runs.resize_with(of_seed.len(), Run::default);
        for (run, result) in self.runs.iter_mut().zip(of_seed) {
            run.name.clone_from(&result.name);
            for (metric, value) in &result.summary {
                let values = run.metrics.entry(metric.clone()).or_default();
                values.push(*value);
            }
            if self.added < MOST_IN_BANDS {
                for series in series::lag(result) {
                    run.add_lag(series, result);
                }
            }
        }
        self.added += 1;
    }

    /// How many seeds there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.added
    }

    /// The spread of each metric of each run, runs in their order.
    pub(crate) fn metrics(&self) -> impl Iterator<Item = (&str, BTreeMap<&str, Spread>)> {
        self.runs.iter().map(|run| {
            let metrics = run.metrics.iter();
            let spreads = metrics.filter_map(|(name, it)| Some((name.as_str(), Spread::of(it)?)));
            (run.name.as_str(), spreads.collect())
        })
    }

    /// The median of a metric of the run with that index.
    pub(crate) fn median(&self, run: usize, metric: &str) -> Option<Value> {
        let values = self.runs.get(run)?.metrics.get(metric)?;
        Spread::of(values).map(|it| it.median)
    }

    /// The lag over all seeds, of the run with that index; `None` without that series.
    pub(crate) fn band(&self, run: usize, series: &str) -> Option<Vec<Moment>> {
        let columns = self.runs.get(run)?.lag.get(series)?;
        Some(columns.iter().map(|(at, it)| moment(*at, it)).collect())
    }

    /// What the shade of a band is.
    pub(crate) fn shade(&self) -> String {
        let of = self.added.min(MOST_IN_BANDS);
        let seeds =
            if of < self.added { format!("the first {of} seeds") } else { format!("{of} seeds") };
        if of < FEW {
            format!("line: median of {seeds}, shade: all of them")
        } else {
            format!("line: median of {seeds}, shade: 5th to 95th percentile")
        }
    }
}

impl Run {
    fn add_lag(&mut self, series: &Series, result: &RunResult) {
        let crest = series::crest(series, result);
        let group = crest.len().div_ceil(COLUMNS).max(1);
        let columns = self.lag.entry(series.name.clone()).or_default();
        for (index, steps) in crest.chunks(group).enumerate() {
            let finite = steps.iter().filter(|it| it.1.is_finite());
            let Some(top) = finite.max_by(|a, b| a.1.total_cmp(&b.1)) else {
                continue;
            };
            if columns.len() <= index {
                // The end of the column: the same for every seed.
                columns.push((steps[steps.len() - 1].0, Vec::new()));
            }
            if let Some(column) = columns.get_mut(index) {
                column.1.push(top.1);
            }
        }
    }
}

fn moment(at: f64, values: &[f64]) -> Moment {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len() - 1;
    // Nearest rank, in integers; the ranks of p5 and p95 lie equally far from the ends.
    let cut = if sorted.len() < FEW { 0 } else { last / 20 };
    Moment { at, low: sorted[cut], median: sorted[last / 2], high: sorted[last - cut] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sim_core::result::{Point, SeriesKind};

    fn run(lag: &[f64], recovery: Value) -> RunResult {
        let point = |it: &f64| Point { value: *it, min: 0.0, max: *it };
        RunResult {
            name: "baseline".to_owned(),
            summary: BTreeMap::from([("lag_recovery_s".to_owned(), recovery)]),
            series: vec![Series {
                name: "total.lag_records".to_owned(),
                unit: "records",
                kind: SeriesKind::Gauge,
                points: lag.iter().map(point).collect(),
            }],
            series_step_s: 1.0,
            ..RunResult::default()
        }
    }

    #[test]
    fn never_is_the_greatest_and_the_median_is_one_that_was_measured() {
        let values = [Value::Never, Value::Count(3), Value::Count(9), Value::Count(1)];
        let spread = Spread::of(&values).unwrap();
        assert_eq!(spread.min, Value::Count(1));
        assert_eq!(spread.median, Value::Count(3));
        assert_eq!(spread.max, Value::Never);
        assert_eq!(Spread::of(&[]), None);
    }

    /// Of 0..=20, a twentieth of the way in from both ends lie 1 and 19; the middle is 10.
    #[test]
    fn a_band_spans_few_seeds_and_cuts_the_ends_of_many() {
        let few: Vec<f64> = (0..3).map(f64::from).collect();
        assert_eq!((moment(1.0, &few).low, moment(1.0, &few).high), (0.0, 2.0));
        let many: Vec<f64> = (0..21).map(f64::from).collect();
        let band = moment(1.0, &many);
        assert_eq!((band.low, band.median, band.high), (1.0, 10.0, 19.0));
    }

    /// 1,800 steps in 900 columns: each keeps the greater of its two steps.
    #[test]
    fn a_band_keeps_the_greatest_of_what_it_puts_together() {
        let mut lag = vec![0.0; 1_800];
        lag[1] = 7.0;
        lag[4] = 5.0;
        let mut seeds = Seeds::default();
        seeds.add(&[run(&lag, Value::Count(0))]);
        let band = seeds.band(0, "total.lag_records").unwrap();
        assert_eq!(band.len(), 900);
        let tops: Vec<f64> = band[..4].iter().map(|it| it.high).collect();
        assert_eq!(tops, [7.0, 0.0, 5.0, 0.0]);
        let places: Vec<f64> = band[..2].iter().map(|it| it.at).collect();
        assert_eq!(places, [2.0, 4.0]);
    }
}
