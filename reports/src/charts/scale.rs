//! Axes: how values map to places, and where the ticks stand and what they say.
//!
//! The logarithm is ours and not the chart library's, which uses the platform's (decision D-20).
//! It is linear from 0 to 1 and logarithmic beyond, so that zero has a place.

use std::ops::Range;

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};

use crate::format;

use super::svg;

/// The share of a decade that the stretch from 0 to 1 takes on a logarithmic axis.
const ZERO_TO_ONE: f64 = 0.5;

/// One axis from zero up.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scale {
    kind: Kind,
    /// The greatest value that has a place.
    top: f64,
    /// Values with their labels.
    pub ticks: Vec<(f64, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Linear,
    Log,
}

impl Scale {
    /// Simulated time, from the start to the end of the run.
    pub(super) fn time(seconds: f64) -> Self {
        let seconds = sane(seconds);
        let step = time_step(seconds, 11.0);
        let label = |at: f64| {
            if step < 1.0 { format!("0:{at:04.1}") } else { format::clock(at, seconds) }
        };
        Self { kind: Kind::Linear, top: seconds, ticks: multiples(step, seconds, label) }
    }

    /// Counts from 0 to `greatest`, logarithmic, with room above.
    pub(super) fn log(greatest: f64) -> Self {
        let decades = libm::log10(sane(greatest).max(10.0));
        let top = (decades + ZERO_TO_ONE) * 1.12 - ZERO_TO_ONE;
        let mut ticks = vec![(0.0, "0".to_owned())];
        let mut decade = 1.0;
        // A long axis labels each second decade.
        let every = if top > 8.0 { 100.0 } else { 10.0 };
        while libm::log10(decade) <= top {
            ticks.push((decade, si(decade)));
            if top < 2.5 {
                let five = decade * 5.0;
                if libm::log10(five) <= top {
                    ticks.push((five, si(five)));
                }
            }
            decade *= every;
        }
        Self { kind: Kind::Log, top: libm::exp10(top), ticks }
    }

    /// Rates from 0 to `greatest`, linear, with room above.
    pub(super) fn linear(greatest: f64, ticks: f64) -> Self {
        let top = sane(greatest) * 1.08;
        Self { kind: Kind::Linear, top, ticks: multiples(decimal_step(top, ticks), top, si) }
    }

    /// Whole things from 0 to `greatest`, linear, with room above; no tick at half a thing.
    pub(super) fn counts(greatest: f64, ticks: f64) -> Self {
        let top = sane(greatest) * 1.08;
        let step = decimal_step(top, ticks).max(1.0);
        Self { kind: Kind::Linear, top, ticks: multiples(step, top, si) }
    }

    /// Parts of a whole number of things: ticks at none, half if that is whole, and all.
    pub(super) fn whole(all: f64) -> Self {
        let all = sane(all);
        let mut ticks = vec![(0.0, "0".to_owned()), (all, si(all))];
        if (all / 2.0).fract() == 0.0 {
            ticks.insert(1, (all / 2.0, si(all / 2.0)));
        }
        Self { kind: Kind::Linear, top: all * 1.08, ticks }
    }

    /// Lengths of time from 0 to `greatest` seconds, linear, with room above.
    pub(super) fn seconds(greatest: f64, ticks: f64) -> Self {
        let top = sane(greatest) * 1.12;
        let step = if top < 60.0 { decimal_step(top, ticks) } else { time_step(top, ticks) };
        Self { kind: Kind::Linear, top, ticks: multiples(step, top, |at| length(at, step, top)) }
    }

    /// The share of the axis below a value: 0 at its start, 1 at its end.
    pub(super) fn share(&self, value: f64) -> f64 {
        let place = |value: f64| match self.kind {
            Kind::Linear => value,
            Kind::Log if value <= 1.0 => value * ZERO_TO_ONE,
            Kind::Log => libm::log10(value) + ZERO_TO_ONE,
        };
        (place(value.max(0.0)) / place(self.top)).clamp(0.0, 1.0)
    }
}

impl Ranged for Scale {
    type ValueType = f64;
    type FormatOption = DefaultFormatting;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        from + svg::round(self.share(*value) * f64::from(to - from))
    }

    fn key_points<H: KeyPointHint>(&self, _: H) -> Vec<f64> {
        self.ticks.iter().map(|tick| tick.0).collect()
    }

    fn range(&self) -> Range<f64> {
        0.0..self.top
    }
}

/// A length that an axis can have, also where there is nothing to show.
fn sane(greatest: f64) -> f64 {
    if greatest.is_finite() && greatest > 0.0 { greatest } else { 1.0 }
}

/// 1, 2 or 5 times a power of ten, so that about `ticks` steps fill `top`.
fn decimal_step(top: f64, ticks: f64) -> f64 {
    let rough = top / ticks;
    let power = libm::exp10(libm::floor(libm::log10(rough)));
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| rough <= factor * power).unwrap_or(10.0);
    factor * power
}

/// A step that people count time in.
fn time_step(seconds: f64, ticks: f64) -> f64 {
    const MINUTE: f64 = 60.0;
    const HOUR: f64 = 3_600.0;
    let steps = [
        0.1,
        0.2,
        0.5,
        1.0,
        2.0,
        5.0,
        10.0,
        15.0,
        20.0,
        30.0,
        MINUTE,
        2.0 * MINUTE,
        3.0 * MINUTE,
        5.0 * MINUTE,
        10.0 * MINUTE,
        15.0 * MINUTE,
        20.0 * MINUTE,
        30.0 * MINUTE,
        HOUR,
        2.0 * HOUR,
        3.0 * HOUR,
        4.0 * HOUR,
        6.0 * HOUR,
        12.0 * HOUR,
        24.0 * HOUR,
        48.0 * HOUR,
        168.0 * HOUR,
    ];
    steps
        .into_iter()
        .find(|step| seconds / step <= ticks)
        .unwrap_or_else(|| decimal_step(seconds / HOUR, ticks) * HOUR)
}

fn multiples(step: f64, top: f64, label: impl Fn(f64) -> String) -> Vec<(f64, String)> {
    // The last tick may stand a hair beyond the end.
    (0u32..1_000)
        .map(|index| f64::from(index) * step)
        .take_while(|at| *at <= top * (1.0 + 1e-9))
        .map(|at| (at, label(at)))
        .collect()
}

/// A round number with its prefix: `0`, `500`, `1.5k`, `10M`.
fn si(number: f64) -> String {
    let (size, unit) = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")]
        .into_iter()
        .find(|(size, _)| number >= size * (1.0 - 1e-9))
        .unwrap_or((1.0, ""));
    format!("{}{unit}", trimmed(number / size))
}

/// Up to three decimals, none idle: what a multiple of a decimal step needs.
fn trimmed(number: f64) -> String {
    let text = format!("{number:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A tick of an axis of lengths, all in one unit.
fn length(at: f64, step: f64, top: f64) -> String {
    if at == 0.0 {
        "0".to_owned()
    } else if top < 1.0 {
        format!("{} ms", trimmed(at * 1e3))
    } else if step < 60.0 && top < 180.0 {
        format!("{} s", trimmed(at))
    } else if top < 7_200.0 {
        format!("{} min", trimmed(at / 60.0))
    } else {
        format!("{} h", trimmed(at / 3_600.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: &Scale) -> Vec<&str> {
        scale.ticks.iter().map(|tick| tick.1.as_str()).collect()
    }

    #[test]
    fn half_an_hour_is_ticked_every_three_minutes() {
        let scale = Scale::time(1_800.0);
        assert_eq!(labels(&scale)[..3], ["0:00", "3:00", "6:00"]);
        assert_eq!(labels(&scale).last(), Some(&"30:00"));
    }

    #[test]
    fn a_day_is_ticked_in_hours() {
        assert_eq!(labels(&Scale::time(86_400.0))[..3], ["0:00", "3:00", "6:00"]);
    }

    #[test]
    fn a_second_is_ticked_in_tenths() {
        assert_eq!(labels(&Scale::time(1.0))[..3], ["0:00.0", "0:00.1", "0:00.2"]);
    }

    #[test]
    fn zero_and_one_have_their_own_places_on_a_log_axis() {
        let scale = Scale::log(1e6);
        assert_eq!(labels(&scale), ["0", "1", "10", "100", "1k", "10k", "100k", "1M"]);
        assert!(scale.share(0.0).abs() < 1e-12);
        assert!(scale.share(1.0) > 0.03);
        // Linear in between.
        assert!((scale.share(0.5) - scale.share(1.0) / 2.0).abs() < 1e-12);
        // A decade is a decade wherever it stands.
        let decade = scale.share(1e3) - scale.share(1e2);
        assert!((scale.share(1e6) - scale.share(1e5) - decade).abs() < 1e-12);
    }

    #[test]
    fn an_axis_without_values_still_has_ticks() {
        for scale in [
            Scale::log(0.0),
            Scale::linear(0.0, 4.0),
            Scale::seconds(f64::NAN, 4.0),
            Scale::time(0.0),
        ] {
            assert!(scale.ticks.len() > 1, "{scale:?}");
            assert!(scale.share(0.0).abs() < 1e-12);
        }
    }

    #[test]
    fn lengths_of_time_are_told_in_one_unit() {
        assert_eq!(labels(&Scale::seconds(412.0, 4.0)), ["0", "2 min", "4 min", "6 min"]);
        assert_eq!(labels(&Scale::seconds(40.0, 4.0)), ["0", "20 s", "40 s"]);
        assert_eq!(labels(&Scale::seconds(0.3, 4.0)), ["0", "100 ms", "200 ms", "300 ms"]);
    }

    #[test]
    fn things_are_ticked_whole() {
        assert_eq!(labels(&Scale::counts(1.0, 5.0)), ["0", "1"]);
        assert_eq!(labels(&Scale::counts(24.0, 5.0)), ["0", "10", "20"]);
        assert_eq!(labels(&Scale::whole(24.0)), ["0", "12", "24"]);
        assert_eq!(labels(&Scale::whole(7.0)), ["0", "7"]);
    }

    #[test]
    fn rates_keep_their_decimals_and_lose_idle_ones() {
        assert_eq!(si(1_500.0), "1.5k");
        assert_eq!(si(2e6), "2M");
        assert_eq!(si(0.25), "0.25");
    }
}
