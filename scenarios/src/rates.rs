//! Rates over time as knots joined by straight lines, and the integral of them.

use std::collections::BTreeMap;

use sim_core::config::RateProfile;
use sim_core::engine::SimTime;

use crate::schema::{RateShape, Spike};
use crate::units::{Dur, MAX_RATE, Quantity, Rate};

/// Rates read from CSV files, by the path that a scenario names.
pub type Profiles = BTreeMap<String, Vec<(Dur, Rate)>>;

/// Lines of a CSV file that are read.
pub const MOST_CSV_LINES: usize = 100_000;
/// Straight lines per wave of a diurnal rate: a quarter of an hour each in a day; the error of
/// the rate is below 0.06 % of the amplitude.
const KNOTS_PER_WAVE: u64 = 96;
/// Waves that are drawn; a check refuses more.
pub(crate) const MOST_WAVES: u64 = 1_000;

/// The knots of a rate over a run of that length.
#[must_use]
pub fn profile(shape: &RateShape, duration: Dur, profiles: &Profiles) -> RateProfile {
    let mut knots = Vec::new();
    match shape {
        RateShape::Constant(rate) => knots.push((Dur(0), *rate)),
        RateShape::Steps(points) => steps(&mut knots, points),
        RateShape::Ramps(points) => knots.clone_from(points),
        RateShape::Spikes { base, spikes } => with_spikes(&mut knots, *base, spikes),
        RateShape::Diurnal { mean, amplitude, period, peak_at } => {
            let peak_at = peak_at.unwrap_or(Dur(period.0 / 2));
            let wave = Wave {
                mean: *mean,
                amplitude: f64::from(amplitude.0) / 1e6,
                period: *period,
                peak_at,
            };
            wave.knots(&mut knots, duration);
        }
        RateShape::Csv(path) => knots.clone_from(profiles.get(path).unwrap_or(&Vec::new())),
    }
    if knots.is_empty() {
        knots.push((Dur(0), Rate(0)));
    }
    let knots = knots.into_iter();
    RateProfile { knots: knots.map(|(at, rate)| (SimTime(at.0), rate.0)).collect() }
}

fn steps(knots: &mut Vec<(Dur, Rate)>, points: &[(Dur, Rate)]) {
    let mut before = None;
    for (at, rate) in points {
        if let Some(before) = before {
            knots.push((*at, before));
        }
        knots.push((*at, *rate));
        before = Some(*rate);
    }
}

fn with_spikes(knots: &mut Vec<(Dur, Rate)>, base: Rate, spikes: &[Spike]) {
    knots.push((Dur(0), base));
    for spike in spikes {
        let end = Dur(spike.at.0.saturating_add(spike.lasts.0));
        knots.push((spike.at, base));
        knots.push((spike.at, spike.rate));
        knots.push((end, spike.rate));
        knots.push((end, base));
    }
}

struct Wave {
    mean: Rate,
    amplitude: f64,
    period: Dur,
    peak_at: Dur,
}

impl Wave {
    fn knots(&self, knots: &mut Vec<(Dur, Rate)>, duration: Dur) {
        let period = self.period.0.max(KNOTS_PER_WAVE);
        let last = (duration.0 / period + 1).min(MOST_WAVES) * KNOTS_PER_WAVE;
        for i in 0..=last {
            let (wave, place) = (i / KNOTS_PER_WAVE, i % KNOTS_PER_WAVE);
            // In this order nothing overflows: a period is at most 10,000 h.
            let at = wave * period + place * (period / KNOTS_PER_WAVE);
            knots.push((Dur(at), self.rate_at(at % period, period)));
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "lowering may use floats (D-20); the result is within 0 and twice the mean"
    )]
    fn rate_at(&self, since_start: u64, period: u64) -> Rate {
        let peak = self.peak_at.0 % period;
        let phase = (since_start as f64 - peak as f64) / period as f64;
        let wave = libm::cos(phase * std::f64::consts::TAU);
        let rate = self.mean.0 as f64 * (1.0 + self.amplitude * wave);
        Rate(rate.round() as u64)
    }
}

/// Records within a run: the integral of the rate, rounded down.
#[must_use]
pub fn records_within(profile: &RateProfile, duration: Dur) -> u128 {
    /// Millionths of a record per second times nanoseconds, twice over (of a trapezium).
    const TWICE_A_RECORD: u128 = 2 * 1_000_000 * 1_000_000_000;
    let mut twice = 0_u128;
    let (mut at, mut rate) = (0_u64, profile.knots.first().map_or(0, |knot| knot.1));
    let end = duration.0;
    for &(SimTime(next_at), next_rate) in &profile.knots {
        if next_at > end {
            // The last line is cut at the end of the run.
            let whole = u128::from(next_at - at);
            let part = u128::from(end - at);
            let (from, to) = (u128::from(rate), u128::from(next_rate));
            let at_end = (from * (whole - part) + to * part) / whole;
            return (twice + part * (from + at_end)) / TWICE_A_RECORD;
        }
        twice +=
            u128::from(next_at.saturating_sub(at)) * (u128::from(rate) + u128::from(next_rate));
        (at, rate) = (next_at, next_rate);
    }
    twice += u128::from(end - at) * 2 * u128::from(rate);
    twice / TWICE_A_RECORD
}

/// Reads a file of two columns, time and records per second.
///
/// # Errors
/// A sentence naming the line that is wrong.
pub fn read_csv(text: &str) -> Result<Vec<(Dur, Rate)>, String> {
    let mut points: Vec<(Dur, Rate)> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if points.len() == MOST_CSV_LINES {
            return Err(format!("more than {MOST_CSV_LINES} lines"));
        }
        let columns: Vec<_> = line.split(',').map(str::trim).collect();
        let [time, rate] = columns.as_slice() else {
            return Err(format!("line {number}: expected two columns, got {}", columns.len()));
        };
        let point = csv_time(time).zip(csv_rate(rate));
        let Some(point) = point else {
            // The first line may name the columns.
            if points.is_empty() && number == 1 {
                continue;
            }
            return Err(format!(
                "line {number}: expected seconds and records per second, such as \"60,1500\""
            ));
        };
        if points.last().is_some_and(|last| point.0 < last.0) {
            return Err(format!("line {number}: time runs backwards"));
        }
        points.push(point);
    }
    if points.is_empty() {
        return Err("holds no line of seconds and records per second".to_owned());
    }
    Ok(points)
}

fn csv_time(text: &str) -> Option<Dur> {
    Dur::read(text).or_else(|_| Dur::read(&format!("{text}s"))).ok()
}

fn csv_rate(text: &str) -> Option<Rate> {
    let rate = Rate::read(text).or_else(|_| Rate::read(&format!("{text}/s")));
    rate.ok().filter(|rate| *rate <= MAX_RATE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(text: &str) -> Rate {
        text.parse().unwrap()
    }

    fn dur(text: &str) -> Dur {
        text.parse().unwrap()
    }

    fn records(shape: &RateShape, duration: &str) -> u128 {
        let duration = dur(duration);
        records_within(&profile(shape, duration, &Profiles::new()), duration)
    }

    #[test]
    fn a_step_changes_the_rate_at_its_instant() {
        let shape = RateShape::Steps(vec![(dur("0s"), rate("10/s")), (dur("10s"), rate("30/s"))]);
        // 10 s of 10/s and 10 s of 30/s.
        assert_eq!(records(&shape, "20s"), 400);
        // Before the step only the first counts.
        assert_eq!(records(&shape, "5s"), 50);
    }

    #[test]
    fn a_ramp_has_the_mean_rate_of_its_ends() {
        let shape = RateShape::Ramps(vec![(dur("0s"), rate("0/s")), (dur("20s"), rate("40/s"))]);
        assert_eq!(records(&shape, "20s"), 400);
        // Half the time reaches 20/s: a triangle of 10 s x 20/s / 2.
        assert_eq!(records(&shape, "10s"), 100);
        // The last rate holds: another 10 s of 40/s.
        assert_eq!(records(&shape, "30s"), 800);
    }

    #[test]
    fn a_spike_adds_its_height_times_its_length() {
        let spikes = vec![Spike { at: dur("5s"), lasts: dur("2s"), rate: rate("110/s") }];
        let shape = RateShape::Spikes { base: rate("10/s"), spikes };
        assert_eq!(records(&shape, "20s"), 20 * 10 + 2 * 100);
    }

    #[test]
    fn a_wave_peaks_where_it_says_and_averages_its_mean() {
        let shape = RateShape::Diurnal {
            mean: rate("100/s"),
            amplitude: "50%".parse().unwrap(),
            period: dur("96s"),
            peak_at: Some(dur("24s")),
        };
        let knots = profile(&shape, dur("96s"), &Profiles::new()).knots;
        let greatest = knots.iter().map(|knot| knot.1).max();
        assert_eq!(greatest, Some(rate("150/s").0));
        assert!(knots.contains(&(SimTime(dur("24s").0), rate("150/s").0)));
        // The integral of a cosine over a whole period is 0; the knots are rounded to 1e-6.
        let total = records(&shape, "96s");
        assert!((9_599..=9_600).contains(&total), "{total}");
    }

    #[test]
    fn a_csv_file_takes_seconds_or_durations_and_names_a_wrong_line() {
        let points = vec![(dur("0s"), rate("10/s")), (dur("1m"), rate("20.5/s"))];
        assert_eq!(read_csv("seconds,rate\n0,10\n1m,20.5\n"), Ok(points));
        let wrong = |text: &str| read_csv(text).unwrap_err();
        assert_eq!(
            wrong("0,10\n5,x"),
            "line 2: expected seconds and records per second, such as \"60,1500\""
        );
        assert_eq!(wrong("5,10\n0,10"), "line 2: time runs backwards");
        assert_eq!(wrong("0,1,2"), "line 1: expected two columns, got 3");
        assert!(wrong("").starts_with("holds no line"));
    }
}
