//! The throughput chart: what was offered, accepted, delivered and throttled.

use sim_core::result::{RunResult, Series};

use crate::format;
use crate::report::Report;
use crate::series;

use super::figure::{Curve, Data, Figure, LegendEntry, PanelData};
use super::palette;
use super::scale::Scale;

/// The chart, or `None` if no run has any of its series.
pub(super) fn figure(report: &Report<'_>) -> Option<Figure> {
    let [offered, accepted, delivered, throttled] = [
        Flow::new(report, "offered", "what applications hand to their clients"),
        Flow::new(report, "accepted", "what clients were told is stored"),
        Flow::new(report, "delivered", "first deliveries to consumers"),
        Flow::new(report, "throttled", "attempts refused for want of throughput"),
    ];
    // What flows through is compared, so it shares a scale; refusals can be many times as much.
    let through = [&offered, &accepted, &delivered];
    let most = through.iter().map(|it| it.greatest).fold(0.0, f64::max);
    let panels: Vec<PanelData> = [
        offered.panel(most),
        accepted.panel(most).map(|it| offered.beneath(it)),
        delivered.panel(most).map(|it| offered.beneath(it)),
        throttled.panel_of_refusals(),
    ]
    .into_iter()
    .flatten()
    .collect();
    if panels.is_empty() {
        return None;
    }
    Some(Figure {
        title: format!("Throughput — {}", report.title),
        description: "Records per second offered, accepted, delivered and throttled".to_owned(),
        panels,
        legend: report
            .runs
            .iter()
            .enumerate()
            .map(|(index, run)| LegendEntry {
                look: palette::look(index),
                name: run.name.clone(),
                notes: throttled_share(run).into_iter().collect(),
            })
            .collect(),
    })
}

fn throttled_share(run: &RunResult) -> Option<String> {
    let ratio = run.summary.get("throttled_ratio")?.as_f64();
    let told = ratio.is_finite() && ratio > 0.0;
    told.then(|| format!("{} throttled", format::percent(ratio)))
}

/// One kind of flow in all runs.
struct Flow<'a> {
    report: &'a Report<'a>,
    name: &'static str,
    about: &'static str,
    series: Vec<Option<&'a Series>>,
    greatest: f64,
}

impl<'a> Flow<'a> {
    fn new(report: &'a Report<'a>, name: &'static str, about: &'static str) -> Self {
        let full = format!("total.records_{name}_per_s");
        let find = |run| series::find(run, &full);
        let series: Vec<Option<&Series>> = report.runs.iter().map(find).collect();
        let values = series.iter().flatten().flat_map(|it| &it.points);
        let finite = values.map(|it| it.value).filter(|it| it.is_finite());
        Self { report, name, about, greatest: finite.fold(0.0, f64::max), series }
    }

    /// The runs to draw: the baseline alone where all are equal.
    fn shown(&self) -> usize {
        if series::all_same(&self.series) { 1 } else { self.series.len() }
    }

    /// The panel with this flow of the baseline beneath its curves, to be compared with.
    fn beneath(&self, mut panel: PanelData) -> PanelData {
        if let (Some(series), Some(run)) =
            (self.series.first().copied().flatten(), self.report.runs.first())
        {
            let reference = Curve {
                look: palette::reference(),
                title: format!("{} in {}", self.name, run.name),
                data: Data::Line(series::points(series, run)),
                peak: None,
            };
            panel.curves.insert(0, reference);
            panel.note.push_str("; dotted: offered");
        }
        panel
    }

    /// On a log scale: a retry storm of a second must not flatten the refusals of a quarter of an
    /// hour into what looks like none.
    fn panel_of_refusals(&self) -> Option<PanelData> {
        let mut panel = self.panel(self.greatest)?;
        panel.scale = Scale::log(self.greatest);
        panel.note.push_str("; log scale");
        Some(panel)
    }

    fn panel(&self, greatest: f64) -> Option<PanelData> {
        self.series.iter().flatten().next()?;
        let shown = self.shown();
        let same = if shown < self.report.runs.len() { "; the same in all runs" } else { "" };
        let mut heading = self.name.to_owned();
        if let Some(first) = heading.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        let runs = self.report.runs.iter().enumerate().take(shown);
        let curves = runs.filter_map(|(index, run)| {
            let series = self.series[index]?;
            Some(Curve {
                look: palette::look(index),
                title: run.name.clone(),
                data: Data::Line(series::points(series, run)),
                peak: None,
            })
        });
        let most = format::compact(self.greatest);
        Some(PanelData {
            heading: format!("{heading}, records/s"),
            note: format!("{}; at most {most}/s{same}", self.about),
            height: 118.0,
            scale: Scale::linear(greatest, 5.0),
            curves: curves.collect(),
        })
    }
}
