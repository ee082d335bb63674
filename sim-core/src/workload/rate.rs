//! How many records by when: the integral of a rate profile, exact in integers.

use crate::config::RateProfile;
use crate::engine::{SimDuration, SimTime};

/// Units of the integral in one record: millionths of a record per second, times nanoseconds.
const UNITS_PER_RECORD: u128 = 1_000_000 * 1_000_000_000;

/// A rate over time with its running integral.
#[derive(Clone, Debug)]
pub struct Rate {
    /// (instant, rate there, integral up to there), in order of time.
    knots: Vec<(SimTime, u64, u128)>,
}

/// A factor on the rate: reached linearly between `from` and `full`, gone at `until`.
#[derive(Clone, Copy, Debug)]
pub struct Factor {
    /// Where it begins to grow (or shrink) from 1.
    pub from: SimTime,
    /// Where it is reached.
    pub full: SimTime,
    /// Where the rate falls back to what it was.
    pub until: SimTime,
    /// The factor, in millionths.
    pub ppm: u64,
}

impl Rate {
    /// The profile with factors applied. Where profile and factor both change, their product is
    /// followed by straight lines of at most a second.
    #[must_use]
    pub fn new(profile: &RateProfile, factors: &[Factor]) -> Self {
        let mut instants: Vec<SimTime> = vec![SimTime::ZERO];
        instants.extend(profile.knots.iter().map(|(at, _)| *at));
        for factor in factors {
            instants.extend([factor.from, factor.full, factor.until]);
            let mut at = factor.from + SimDuration::from_secs(1);
            while at < factor.full && profile.knots.len() > 1 {
                instants.push(at);
                at += SimDuration::from_secs(1);
            }
        }
        instants.sort_unstable();
        instants.dedup();
        let mut knots: Vec<(SimTime, u64, u128)> = Vec::new();
        for at in instants {
            // Both sides of a step are knots: the rate just before, and the rate from then on.
            for rate in [product(profile, factors, at, false), product(profile, factors, at, true)]
            {
                let integral = knots
                    .last()
                    .map_or(0, |(from, start, sum)| sum + trapezoid(*start, rate, at.since(*from)));
                knots.push((at, rate, integral));
            }
        }
        knots.dedup();
        Self { knots }
    }

    /// The integral of the rate up to `at`, in units of 10^-15 records.
    fn integral(&self, at: SimTime) -> u128 {
        let after = self.knots.partition_point(|(knot, ..)| *knot <= at);
        let (from, start, sum) = self.knots[after.saturating_sub(1)];
        let into = at.since(from);
        match self.knots.get(after) {
            Some((to, end, _)) => sum + part_of_trapezoid(start, *end, into, to.since(from)),
            None => sum + trapezoid(start, start, into),
        }
    }

    /// Whole records offered by `at`.
    #[must_use]
    pub fn records_by(&self, at: SimTime) -> u64 {
        u64::try_from(self.integral(at) / UNITS_PER_RECORD).unwrap_or(u64::MAX)
    }

    /// Expected records between two instants.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "the mean of a Poisson draw")]
    pub fn mean_between(&self, from: SimTime, until: SimTime) -> f64 {
        (self.integral(until) - self.integral(from)) as f64 / UNITS_PER_RECORD as f64
    }

    /// When record number `number` (from 1) is offered: the first instant in (`from`, `until`] by
    /// which the integral reaches it.
    #[must_use]
    pub fn offered_at(&self, number: u64, from: SimTime, until: SimTime) -> SimTime {
        let (mut low, mut high) = (from.0, until.0);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.records_by(SimTime(middle)) >= number {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        SimTime(low)
    }
}

/// The rate at an instant; of a step, the side before it or the side from it on.
fn product(profile: &RateProfile, factors: &[Factor], at: SimTime, from_then_on: bool) -> u64 {
    let before = |knot: SimTime| if from_then_on { knot <= at } else { knot < at };
    let next = profile.knots.partition_point(|(knot, _)| before(*knot));
    let rate = match (next.checked_sub(1).map(|i| profile.knots[i]), profile.knots.get(next)) {
        (Some((from, start)), Some((to, end))) => {
            interpolate(start, *end, at.since(from), to.since(from))
        }
        (Some((_, only)), None) => only,
        (None, first) => first.map_or(0, |(_, rate)| *rate),
    };
    let mut rate = u128::from(rate);
    for factor in factors {
        if !before(factor.from) || before(factor.until) {
            continue;
        }
        let ramp = factor.full.since(factor.from);
        let into = at.since(factor.from);
        let ppm =
            if into >= ramp { factor.ppm } else { interpolate(1_000_000, factor.ppm, into, ramp) };
        rate = rate * u128::from(ppm) / 1_000_000;
    }
    u64::try_from(rate).unwrap_or(u64::MAX)
}

fn interpolate(start: u64, end: u64, into: SimDuration, whole: SimDuration) -> u64 {
    if whole.0 == 0 {
        return end;
    }
    let (start, end) = (i128::from(start), i128::from(end));
    let value = start + (end - start) * i128::from(into.0) / i128::from(whole.0);
    u64::try_from(value).expect("between two rates")
}

fn trapezoid(start: u64, end: u64, over: SimDuration) -> u128 {
    (u128::from(start) + u128::from(end)) * u128::from(over.0) / 2
}

/// The integral over the first `into` of a line from `start` to `end` that lasts `whole`. Rounded
/// once, so that it never falls as time goes on: the rate itself, rounded first, would make it.
fn part_of_trapezoid(start: u64, end: u64, into: SimDuration, whole: SimDuration) -> u128 {
    let into = u128::from(into.0);
    let level = u128::from(start) * into;
    let twice = 2 * u128::from(whole.0);
    if start == end || twice == 0 {
        return level;
    }
    // |end - start| * into^2 / (2 * whole), with the square kept within 128 bits.
    let slope = u128::from(start.abs_diff(end)) * into;
    let (quotient, rest) = (slope / twice, slope % twice * into);
    if start < end {
        level + quotient * into + rest / twice
    } else {
        level - quotient * into - rest.div_ceil(twice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> SimTime {
        SimTime::ZERO + SimDuration::from_secs(secs)
    }

    #[test]
    fn a_constant_rate_offers_its_whole_multiples() {
        let rate = Rate::new(&RateProfile { knots: vec![(SimTime::ZERO, 1_500_000_000)] }, &[]);
        assert_eq!(rate.records_by(at(60)), 90_000);
        assert_eq!(rate.offered_at(3, SimTime::ZERO, at(1)), SimTime(2_000_000));
    }

    /// 1,000/s to 60 s, a step to 3,000/s, and from 120 s a ramp down to 0 at 180 s:
    /// 60,000 + 180,000 + 60 * 1,500 = 330,000.
    #[test]
    fn steps_and_ramps_integrate_exactly() {
        let k = 1_000_000_000;
        let knots = vec![(at(0), k), (at(60), k), (at(60), 3 * k), (at(120), 3 * k), (at(180), 0)];
        let rate = Rate::new(&RateProfile { knots }, &[]);
        assert_eq!(rate.records_by(at(60)), 60_000);
        assert_eq!(rate.records_by(at(120)), 240_000);
        assert_eq!(rate.records_by(at(180)), 330_000);
        assert_eq!(rate.records_by(at(500)), 330_000);
    }

    /// Factor 10 reached over 30 s from t = 60, gone at 120: 60 s at 100, 30 s at a mean of 550,
    /// 30 s at 1,000, then 100 again: 6,000 + 16,500 + 30,000 + 6,000 by t = 180.
    #[test]
    fn a_factor_grows_holds_and_goes() {
        let profile = RateProfile { knots: vec![(SimTime::ZERO, 100_000_000)] };
        let factor = Factor { from: at(60), full: at(90), until: at(120), ppm: 10_000_000 };
        let rate = Rate::new(&profile, &[factor]);
        assert_eq!(rate.records_by(at(60)), 6_000);
        assert_eq!(rate.records_by(at(90)), 22_500);
        assert_eq!(rate.records_by(at(120)), 52_500);
        assert_eq!(rate.records_by(at(180)), 58_500);
    }

    /// Near the end of a slow ramp the rate itself, in whole millionths, falls in steps; the
    /// integral must not. Ramps of 1 record/s to 0 and back over 70 s, looked at each millisecond.
    #[test]
    fn the_integral_of_a_ramp_never_falls() {
        let rate = Rate::new(
            &RateProfile { knots: vec![(at(0), 1_000_000), (at(70), 0), (at(140), 1_000_000)] },
            &[],
        );
        let instants = (0..141_000).map(|ms| SimTime(ms * 1_000_000));
        let integrals: Vec<u128> = instants.map(|now| rate.integral(now)).collect();
        assert!(integrals.is_sorted());
        // 70 s at a mean of half a record a second, twice.
        assert_eq!(rate.records_by(at(70)), 35);
        assert_eq!(rate.records_by(at(140)), 70);
    }
}
