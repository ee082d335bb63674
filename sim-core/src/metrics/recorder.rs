//! Time series at one fixed step. Models never read from here.

use crate::result::{Point, Series, SeriesKind};

/// Which series, as the recorder numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeriesId(usize);

/// Collects series step by step.
#[derive(Clone, Debug)]
pub struct Recorder {
    step_s: f64,
    series: Vec<Series>,
    /// Of each series, the present step: (last value, least, greatest, samples).
    present: Vec<(f64, f64, f64, u32)>,
    /// Of each rate, the count at the end of the last step.
    counted: Vec<u64>,
}

impl Recorder {
    /// An empty recorder with the step in seconds.
    #[must_use]
    pub fn new(step_s: f64) -> Self {
        Self { step_s, series: Vec::new(), present: Vec::new(), counted: Vec::new() }
    }

    /// A new series of levels.
    pub fn gauge(&mut self, name: String, unit: &'static str) -> SeriesId {
        self.add(name, unit, SeriesKind::Gauge)
    }

    /// A new series of flows, given as running counts.
    pub fn rate(&mut self, name: String, unit: &'static str) -> SeriesId {
        self.add(name, unit, SeriesKind::Rate)
    }

    fn add(&mut self, name: String, unit: &'static str, kind: SeriesKind) -> SeriesId {
        self.series.push(Series { name, unit, kind, points: Vec::new() });
        self.present.push((0.0, 0.0, 0.0, 0));
        self.counted.push(0);
        SeriesId(self.series.len() - 1)
    }

    /// A level at this moment; several samples in a step keep its extremes.
    pub fn level(&mut self, id: SeriesId, value: f64) {
        let present = &mut self.present[id.0];
        *present = if present.3 == 0 {
            (value, value, value, 1)
        } else {
            (value, present.1.min(value), present.2.max(value), present.3 + 1)
        };
    }

    /// A running count at the end of a step.
    #[expect(clippy::cast_precision_loss, reason = "series are for reports only")]
    pub fn count(&mut self, id: SeriesId, total: u64) {
        // What was counted as refused can turn out to be stored.
        let rate = total.saturating_sub(self.counted[id.0]) as f64 / self.step_s;
        self.counted[id.0] = total;
        self.level(id, rate);
    }

    /// Ends a step: every series gets its point.
    pub fn end_step(&mut self) {
        for (series, present) in self.series.iter_mut().zip(&mut self.present) {
            let (value, min, max, _) = *present;
            series.points.push(Point { value, min, max });
            // A level that is not sampled again stays what it was.
            *present = (value, value, value, 0);
        }
    }

    /// All series.
    #[must_use]
    pub fn finish(self) -> Vec<Series> {
        self.series
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_keeps_its_extremes_and_a_rate_the_difference_per_second() {
        let mut recorder = Recorder::new(0.5);
        let lag = recorder.gauge("lag".into(), "records");
        let flow = recorder.rate("flow".into(), "records/s");
        for value in [5.0, 9.0, 1.0, 4.0] {
            recorder.level(lag, value);
        }
        recorder.count(flow, 10);
        recorder.end_step();
        recorder.count(flow, 40);
        recorder.end_step();
        let series = recorder.finish();
        assert_eq!(series[0].points[0], Point { value: 4.0, min: 1.0, max: 9.0 });
        assert_eq!(series[0].points[1], Point { value: 4.0, min: 4.0, max: 4.0 });
        assert_eq!(series[1].points.iter().map(|p| p.value).collect::<Vec<_>>(), [20.0, 60.0]);
    }
}
