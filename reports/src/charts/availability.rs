//! The availability chart of a Kafka cluster: which partitions nobody can use, and beside that what
//! monitoring makes of it.
//!
//! Under-replicated partitions are counted by the brokers that lead them. A partition without a
//! leader is in no broker's count, so the usual gauge can read zero in the worst minute of an
//! outage. The truth and the gauge stand on one scale, one above the other, to show that.

use sim_core::result::{RunResult, Series};

use crate::format;
use crate::report::Report;
use crate::series::{self, Xy};

use super::figure::{Curve, Data, Figure, LegendEntry, PanelData};
use super::palette;
use super::scale::Scale;

/// The chart of the cluster, or `None` if nothing ever ailed it in any run.
pub(super) fn figure(report: &Report<'_>, cluster: &str) -> Option<Figure> {
    let level = |name| Level::new(report, cluster, name);
    let unavailable = level("partitions_unavailable");
    let under_replicated = level("under_replicated");
    let under_min_isr = level("under_min_isr");
    let in_sync = level("in_sync_replicas");
    let counts = [&unavailable, &under_replicated, &under_min_isr];
    let most = counts.iter().map(|it| it.greatest).fold(0.0, f64::max);
    if most <= 0.0 && !in_sync.ever_falls() {
        return None;
    }
    let scale = || Scale::counts(most, 5.0);
    let mut panels = vec![
        PanelData {
            heading: "Unavailable partitions".to_owned(),
            note: format!("no usable leader: neither written nor read{}", unavailable.same()),
            height: 150.0,
            scale: scale(),
            curves: unavailable.curves(Data::Crest, series::crest),
        },
        gauge_panel(&under_replicated, &unavailable, scale()),
    ];
    if under_min_isr.greatest > 0.0 {
        panels.push(PanelData {
            heading: "Partitions under min ISR, as monitoring reads them".to_owned(),
            note: format!(
                "JMX gauge, with the same gap; acks=all is refused{}",
                under_min_isr.same()
            ),
            height: 110.0,
            scale: scale(),
            curves: under_min_isr.curves(Data::Crest, series::crest),
        });
    }
    if in_sync.ever_falls() {
        panels.push(PanelData {
            heading: "In-sync replicas of all partitions".to_owned(),
            note: format!(
                "as committed: a dead one counts until a controller removes it{}",
                in_sync.same()
            ),
            height: 130.0,
            scale: Scale::counts(in_sync.greatest, 5.0),
            curves: in_sync.curves(Data::Line, series::trough),
        });
    }
    let legend = (0..report.runs.len()).map(|index| LegendEntry {
        look: palette::look(index),
        name: report.runs[index].name.clone(),
        notes: notes(report, cluster, [&unavailable, &under_replicated], index),
    });
    let legend: Vec<LegendEntry> = legend.collect();
    let told = legend.iter().map(|it| format!("{}: {}", it.name, it.notes.join(", ")));
    Some(Figure {
        title: format!("Availability of {cluster} — {}", report.title),
        description: told.collect::<Vec<_>>().join("; "),
        panels,
        legend,
    })
}

/// What monitoring reads, with the truth beneath it.
fn gauge_panel(gauge: &Level<'_>, truth: &Level<'_>, scale: Scale) -> PanelData {
    let mut note = "JMX gauge: without a leader a partition is in no count".to_owned();
    note.push_str(&gauge.same());
    let mut curves = gauge.curves(Data::Crest, series::crest);
    // Of the baseline alone: of all runs it would hide what it is to be compared with.
    let reference = truth.series.first().copied().flatten().zip(truth.report.runs.first());
    let ails = |(series, _): &(&Series, &RunResult)| series.points.iter().any(|it| it.max > 0.0);
    if let Some((series, run)) = reference.filter(ails) {
        curves.insert(
            0,
            Curve {
                look: palette::reference(),
                title: format!("unavailable in {}", run.name),
                data: Data::Crest(series::crest(series, run)),
                peak: None,
            },
        );
        note.push_str("; dotted: unavailable in baseline");
    }
    PanelData {
        heading: "Under-replicated partitions, as monitoring reads them".to_owned(),
        note,
        height: 150.0,
        scale,
        curves,
    }
}

/// What the legend says of a run.
fn notes(
    report: &Report<'_>,
    cluster: &str,
    [truth, gauge]: [&Level<'_>; 2],
    index: usize,
) -> Vec<String> {
    let Some(series) = truth.series[index] else {
        return Vec::new();
    };
    let most = series.points.iter().map(|it| it.max).fold(0.0, f64::max);
    if most <= 0.0 {
        return vec!["none unavailable".to_owned()];
    }
    let mut notes = vec![format!("at most {} unavailable", format::compact(most))];
    let run = &report.runs[index];
    let total = run.systems.get(cluster).and_then(|it| it.get("partition_unavailable_s"));
    if let Some(total) = total {
        notes.push(format!("{} in all", format::partition_seconds(total.as_f64())));
    }
    let Some(gauge) = gauge.series[index] else {
        return notes;
    };
    let both = series.points.iter().zip(&gauge.points);
    let blind = both.filter(|(truth, gauge)| truth.min > 0.0 && gauge.max <= 0.0).count();
    let blind_s = f64::from(u32::try_from(blind).unwrap_or(u32::MAX)) * run.series_step_s;
    if blind_s > 1.0 {
        notes.push(format!("under-replicated: 0 for {}", format::duration(blind_s)));
    }
    notes
}

/// One level of the cluster in all runs.
struct Level<'a> {
    report: &'a Report<'a>,
    series: Vec<Option<&'a Series>>,
    greatest: f64,
}

impl<'a> Level<'a> {
    fn new(report: &'a Report<'a>, cluster: &str, name: &str) -> Self {
        let name = format!("systems.{cluster}.{name}");
        let find = |run| series::find(run, &name);
        let series: Vec<Option<&Series>> = report.runs.iter().map(find).collect();
        let values = series.iter().flatten().flat_map(|it| &it.points);
        let finite = values.map(|it| it.max).filter(|it| it.is_finite());
        Self { report, greatest: finite.fold(0.0, f64::max), series }
    }

    /// Whether it is ever below what it was. (It grows with new partitions, which is no harm.)
    fn ever_falls(&self) -> bool {
        let falls = |it: &&Series| {
            it.points.iter().any(|point| point.min < point.value)
                || it.points.windows(2).any(|two| two[1].min < two[0].value)
        };
        self.series.iter().flatten().any(falls)
    }

    fn same(&self) -> String {
        let alone = self.report.runs.len() == 1;
        if alone || !series::all_same(&self.series) {
            String::new()
        } else {
            "; the same in all runs".to_owned()
        }
    }

    fn curves(
        &self,
        data: fn(Vec<Xy>) -> Data,
        points: fn(&Series, &RunResult) -> Vec<Xy>,
    ) -> Vec<Curve> {
        let shown = if series::all_same(&self.series) { 1 } else { self.series.len() };
        let runs = self.report.runs.iter().enumerate().take(shown);
        let curve = |(index, run): (usize, &RunResult)| {
            Some(Curve {
                look: palette::look(index),
                title: run.name.clone(),
                data: data(points(self.series[index]?, run)),
                peak: None,
            })
        };
        runs.filter_map(curve).collect()
    }
}
