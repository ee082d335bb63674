//! Latency histograms, weighted by records.

use hdrhistogram::Histogram;

use crate::engine::SimDuration;

/// Microseconds up to a day at three significant digits; beyond a day counts as a day.
const MOST_MICROS: u64 = 86_400_000_000;

/// How long records took.
#[derive(Clone, Debug)]
pub struct Latency {
    histogram: Histogram<u64>,
    longest: SimDuration,
}

impl Default for Latency {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, MOST_MICROS, 3);
        Self { histogram: histogram.expect("fixed bounds are valid"), longest: SimDuration::ZERO }
    }
}

impl Latency {
    /// `records` records took `time`.
    pub fn record(&mut self, time: SimDuration, records: u32) {
        self.longest = self.longest.max(time);
        let micros = (time.0 / 1_000).min(MOST_MICROS);
        self.histogram.saturating_record_n(micros, u64::from(records));
    }

    /// The time that a share of the records stayed below, in milliseconds; `None` without records.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "for reports only")]
    pub fn quantile_ms(&self, share: f64) -> Option<f64> {
        (!self.histogram.is_empty()).then(|| self.histogram.value_at_quantile(share) as f64 / 1e3)
    }

    /// The longest, in milliseconds; `None` without records.
    #[must_use]
    pub fn longest_ms(&self) -> Option<f64> {
        (!self.histogram.is_empty()).then(|| self.longest.as_secs_f64() * 1e3)
    }

    /// Adds another's records to this one.
    pub fn merge(&mut self, other: &Self) {
        self.histogram.add(&other.histogram).expect("equal bounds");
        self.longest = self.longest.max(other.longest);
    }
}
