//! The chart of a consumer group: how many partitions are read, and when it rebalances; a strip
//! for each run, all on one scale.
//!
//! Strips and not one panel: partitions fall to zero and come back every half a minute in a storm,
//! and the teeth of several such saws on top of each other are a grey wall.

use sim_core::result::{RunResult, Series};

use crate::format;
use crate::report::Report;
use crate::series::{self, Xy};

use super::figure::{Curve, Data, Figure, LegendEntry, PanelData};
use super::palette::{self, INK, Look};
use super::scale::Scale;
use super::shortened;

/// Height that the strips share, if each has neither too little nor more than is of use.
const STRIPS: f64 = 620.0;

/// The chart of the group, or `None` if in no run anything moved.
pub(super) fn figure(report: &Report<'_>, group: &str) -> Option<Figure> {
    let assigned = all(report, group, "partitions_assigned");
    let rebalancing = all(report, group, "rebalancing");
    let moves = |it: &&Series| {
        let first = it.points.first().map_or(0.0, |point| point.value);
        it.points.iter().any(|point| point.min < first || point.max > first)
    };
    let is_on = |it: &&Series| it.points.iter().any(|point| point.max > 0.0);
    if !assigned.iter().flatten().any(moves) && !rebalancing.iter().flatten().any(is_on) {
        return None;
    }
    let values = assigned.iter().flatten().flat_map(|it| &it.points).map(|it| it.max);
    let most = values.filter(|it| it.is_finite()).fold(0.0, f64::max);
    let same = series::all_same(&assigned) && series::all_same(&rebalancing);
    let shown = if same { 1 } else { report.runs.len() };
    let height = STRIPS / f64::from(u32::try_from(shown).unwrap_or(u32::MAX));
    let height = height.clamp(48.0, 150.0);
    let strip = |index: usize| {
        let run = &report.runs[index];
        let strip = Strip::new(run, assigned[index]?, rebalancing[index]);
        let whose = if same && report.runs.len() > 1 { "all runs" } else { &run.name };
        Some(PanelData {
            heading: format!("Partitions read: {}", shortened(whose)),
            note: strip.told(most),
            height,
            scale: Scale::whole(most),
            curves: strip.curves(run, index),
        })
    };
    let panels: Vec<PanelData> = (0..shown).filter_map(strip).collect();
    let told = panels.iter().map(|it| format!("{}: {}", it.heading, it.note));
    Some(Figure {
        title: format!("Group {group} — {}", report.title),
        description: told.collect::<Vec<_>>().join("; "),
        legend: legend(),
        panels,
    })
}

fn legend() -> Vec<LegendEntry> {
    let entry = |look, name: &str, notes: &[&str]| LegendEntry {
        look,
        name: name.to_owned(),
        notes: notes.iter().map(|it| (*it).to_owned()).collect(),
    };
    let line = Look { color: INK, ink: INK, width: 2.4, dash: &[] };
    vec![
        entry(line, "partitions read", &["by a member that lives", "and may read"]),
        entry(palette::spell(), "rebalancing", &["the group is not stable"]),
    ]
}

fn all<'a>(report: &'a Report<'_>, group: &str, name: &str) -> Vec<Option<&'a Series>> {
    let name = format!("consumers.{group}.{name}");
    report.runs.iter().map(|run| series::find(run, &name)).collect()
}

/// What one run did.
struct Strip {
    read: Vec<Xy>,
    /// Seconds from and until.
    spells: Vec<(f64, f64)>,
}

impl Strip {
    fn new(run: &RunResult, assigned: &Series, rebalancing: Option<&Series>) -> Self {
        let crest = rebalancing.map(|it| series::crest(it, run)).unwrap_or_default();
        let on = crest.chunk_by(|a, b| (a.1 > 0.0) == (b.1 > 0.0)).filter(|it| it[0].1 > 0.0);
        // A step is told by its end.
        let spells = on.map(|it| (it[0].0 - run.series_step_s, it[it.len() - 1].0)).collect();
        Self { read: series::trough(assigned, run), spells }
    }

    /// `rebalances 9 times, 5m 10s in all; at worst 0 of 24 read`.
    fn told(&self, most: f64) -> String {
        let whole: f64 = self.spells.iter().map(|it| it.1 - it.0).sum();
        let spells = match self.spells.len() {
            0 => "never rebalancing".to_owned(),
            1 => format!("rebalancing once, for {}", format::duration(whole)),
            more => format!("rebalancing {more} times, {} in all", format::duration(whole)),
        };
        let values = self.read.iter().map(|it| it.1).filter(|it| it.is_finite());
        let least = values.fold(most, f64::min);
        let [least, most] = [least, most].map(format::compact);
        format!("{spells}; at worst {least} of {most} read")
    }

    fn curves(self, run: &RunResult, index: usize) -> Vec<Curve> {
        let spells = Curve {
            look: palette::spell(),
            title: format!("rebalancing in {}", run.name),
            data: Data::Spells(self.spells),
            peak: None,
        };
        // Solid: a dash could hide a dip, and the heading says whose it is.
        let look = Look { dash: &[], width: 2.0, ..palette::look(index) };
        let read = Curve { look, title: run.name.clone(), data: Data::Area(self.read), peak: None };
        vec![spells, read]
    }
}
