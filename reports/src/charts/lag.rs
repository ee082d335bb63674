//! The lag chart: unread records and the age of the oldest, all runs on one scale.

use sim_core::result::{RunResult, Series, Value};

use crate::format;
use crate::report::Report;
use crate::seeds::Moment;
use crate::series::{self, Xy};

use super::figure::{Curve, Data, Figure, LegendEntry, PanelData, Peak};
use super::palette;
use super::scale::Scale;

/// The chart of the consumer, or of all together if there is none; `None` if no run tells of
/// its lag.
pub(super) fn figure(report: &Report<'_>, consumer: Option<&str>) -> Option<Figure> {
    let prefix = consumer.map_or("total".to_owned(), |name| format!("consumers.{name}"));
    let records = Measure::new(report, &prefix, "lag_records", format::compact);
    let seconds = Measure::new(report, &prefix, "lag_seconds", format::duration);
    let mut panels = Vec::new();
    if let Some(greatest) = records.greatest() {
        panels.push(PanelData {
            heading: "Lag in records".to_owned(),
            note: format!("log scale; {}", records.note()),
            height: 290.0,
            scale: Scale::log(greatest),
            curves: records.curves(" records"),
        });
    }
    if let Some(panel) = consumer.and_then(|name| client_panel(report, name, &records, &seconds)) {
        panels.push(panel);
    }
    if let Some(greatest) = seconds.greatest() {
        panels.push(PanelData {
            heading: "Lag in time".to_owned(),
            note: "age of the oldest unread record, worst partition".to_owned(),
            height: 210.0,
            scale: Scale::seconds(greatest, 6.5),
            curves: seconds.curves(""),
        });
    }
    if panels.is_empty() {
        return None;
    }
    let whose = consumer.map_or("all consumers".to_owned(), str::to_owned);
    let entry = |(index, run): (usize, &RunResult)| LegendEntry {
        look: palette::look(index),
        name: run.name.clone(),
        notes: notes(report, consumer, [&records, &seconds], index),
    };
    let legend: Vec<LegendEntry> = report.runs.iter().enumerate().map(entry).collect();
    let told = legend.iter().map(|it| format!("{}: {}", it.name, it.notes.join(", ")));
    Some(Figure {
        title: format!("Lag of {whose} — {}", report.title),
        description: told.collect::<Vec<_>>().join("; "),
        panels,
        legend,
    })
}

/// What the client itself reports, where that ever hides what is unread: it counts up to the high
/// watermark, and what is stored beyond a watermark that is held it does not know.
fn client_panel(
    report: &Report<'_>,
    consumer: &str,
    records: &Measure<'_>,
    seconds: &Measure<'_>,
) -> Option<PanelData> {
    let prefix = format!("consumers.{consumer}");
    let client = Measure::new(report, &prefix, "client_lag_records", format::compact);
    let greatest = records.greatest()?;
    let hidden = |index: usize| -> f64 {
        let [truth, told, age] =
            [records, &client, seconds].map(|it| it.series.get(index).copied().flatten());
        let (Some(truth), Some(told), Some(age)) = (truth, told, age) else {
            return 0.0;
        };
        hidden(truth, told, age, greatest)
    };
    let runs = 0..report.runs.len();
    let worst = runs.max_by(|a, b| hidden(*a).total_cmp(&hidden(*b)).then(b.cmp(a)))?;
    if hidden(worst) <= 0.0 {
        return None;
    }
    let run = report.runs.get(worst)?;
    let truth = records.series.get(worst).copied().flatten()?;
    let mut curves = client.curves("");
    curves.iter_mut().for_each(|curve| curve.peak = None);
    let reference = Curve {
        look: palette::reference(),
        title: format!("truth in {}", run.name),
        data: Data::Crest(series::crest(truth, run)),
        peak: None,
    };
    curves.insert(0, reference);
    Some(PanelData {
        heading: "Lag in records, as the client reports it".to_owned(),
        note: format!(
            "records-lag: up to the high watermark; dotted: the truth in {}",
            super::shortened(&run.name)
        ),
        height: 150.0,
        scale: Scale::log(greatest),
        curves,
    })
}

/// The most records that the client's own lag hides, if it does so for long enough to be seen:
/// less than half of the truth is told while the oldest has waited for more than a second.
fn hidden(truth: &Series, told: &Series, age: &Series, greatest: f64) -> f64 {
    const LEAST_STEPS: usize = 5;
    const LEAST_SHARE: f64 = 0.05;
    let steps = truth.points.iter().zip(&told.points).zip(&age.points);
    let hidden = steps.filter_map(|((truth, told), age)| {
        let much = truth.min >= greatest * LEAST_SHARE && age.min > 1.0;
        (much && told.max * 2.0 < truth.min).then_some(truth.min - told.max)
    });
    let hidden: Vec<f64> = hidden.collect();
    if hidden.len() < LEAST_STEPS { 0.0 } else { hidden.into_iter().fold(0.0, f64::max) }
}

/// One measure of lag in all runs.
struct Measure<'a> {
    report: &'a Report<'a>,
    series: Vec<Option<&'a Series>>,
    /// The same over all seeds, if there are several.
    bands: Vec<Option<Vec<Moment>>>,
    peaks: Vec<Option<(f64, f64)>>,
    format: fn(f64) -> String,
}

impl<'a> Measure<'a> {
    fn new(report: &'a Report<'a>, prefix: &str, name: &str, format: fn(f64) -> String) -> Self {
        let name = format!("{prefix}.{name}");
        let find = |run: &'a RunResult| series::find(run, &name);
        let series: Vec<Option<&Series>> = report.runs.iter().map(find).collect();
        let band = |index| report.spread?.band(index, &name);
        let bands: Vec<Option<Vec<Moment>>> = (0..series.len()).map(band).collect();
        let peaks = series
            .iter()
            .zip(report.runs)
            .zip(&bands)
            .map(|((series, run), band)| match band {
                Some(band) => greatest(band.iter().map(|it| (it.at, it.median))),
                None => peak(series.as_ref()?, run),
            })
            .collect();
        Self { report, series, bands, peaks, format }
    }

    /// The greatest value of any run; `None` if no run has the series.
    fn greatest(&self) -> Option<f64> {
        self.series.iter().flatten().next()?;
        let peaks = self.peaks.iter().flatten().map(|it| it.1);
        let bands = self.bands.iter().flatten().flatten().map(|it| it.high);
        Some(peaks.chain(bands).fold(0.0, f64::max))
    }

    /// How the lines and shades are to be read.
    fn note(&self) -> String {
        match self.report.spread {
            Some(seeds) => seeds.shade(),
            None => "the greatest at each moment".to_owned(),
        }
    }

    fn peak_text(&self, index: usize) -> Option<String> {
        let peak = self.peaks.get(index).copied().flatten()?;
        Some((self.format)(peak.1))
    }

    fn curves(&self, unit: &str) -> Vec<Curve> {
        let named = self.named_peaks();
        let greatest = self.greatest().unwrap_or_default();
        let mut curves = Vec::new();
        for (index, (series, run)) in self.series.iter().zip(self.report.runs).enumerate() {
            let Some(series) = series else { continue };
            // A ring around a ripple would only distract.
            let peak = self.peaks[index].filter(|peak| peak.1 > greatest * 0.05).map(|at| Peak {
                at,
                label: if named.contains(&index) {
                    let when = format::moment(at.0, self.report.duration_s);
                    format!("peak {}{unit} at {when}", (self.format)(at.1))
                } else {
                    String::new()
                },
            });
            curves.push(Curve {
                look: palette::look(index),
                title: run.name.clone(),
                data: match &self.bands[index] {
                    Some(band) => over_seeds(band),
                    None => Data::Crest(series::crest(series, run)),
                },
                peak,
            });
        }
        curves
    }

    /// Baseline, and the mitigation that is worst if it is worse than the baseline.
    fn named_peaks(&self) -> Vec<usize> {
        let value = |index: usize| self.peaks.get(index).copied().flatten().map_or(0.0, |it| it.1);
        let worst = (0..self.peaks.len())
            .fold(0, |worst, index| if value(index) > value(worst) * 1.02 { index } else { worst });
        vec![0, worst]
    }
}

fn peak(series: &Series, run: &RunResult) -> Option<(f64, f64)> {
    greatest(series::crest(series, run).into_iter())
}

/// The first of the greatest points.
fn greatest(points: impl Iterator<Item = Xy>) -> Option<Xy> {
    let finite = points.filter(|it| it.1.is_finite());
    finite.reduce(|best, it| if it.1 > best.1 { it } else { best })
}

fn over_seeds(band: &[Moment]) -> Data {
    let line = band.iter().map(|it| (it.at, it.median));
    let shade = band.iter().map(|it| (it.at, it.low, it.high));
    Data::Band(line.collect(), shade.collect())
}

/// What the legend says of a run.
fn notes(
    report: &Report<'_>,
    consumer: Option<&str>,
    [records, seconds]: [&Measure<'_>; 2],
    index: usize,
) -> Vec<String> {
    let peaks: Vec<String> =
        [records, seconds].iter().filter_map(|it| it.peak_text(index)).collect();
    if peaks.is_empty() {
        return vec!["no lag was measured".to_owned()];
    }
    let run = &report.runs[index];
    let summary = consumer.map_or(Some(&run.summary), |name| run.consumers.get(name));
    let recovery = match report.spread {
        // Only the whole run is known on all seeds; that of an only consumer is the same.
        Some(seeds) if run.consumers.len() <= 1 => seeds.median(index, "lag_recovery_s"),
        Some(_) => None,
        None => summary.and_then(|it| it.get("lag_recovery_s")).copied(),
    };
    let mut notes = vec![format!("peak {}", peaks.join(" · "))];
    match recovery {
        Some(Value::Never) => notes.push("not recovered by the end".to_owned()),
        Some(value) if value.as_f64() > 0.0 => {
            notes.push(format!("recovered {} after the fault", format::duration(value.as_f64())));
        }
        Some(_) | None => {}
    }
    notes
}
