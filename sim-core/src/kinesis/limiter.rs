//! Token buckets in exact integers: what a shard accepts, and what the KPL allows itself.
//!
//! | Mechanism                                                              | Fact    |
//! |------------------------------------------------------------------------|---------|
//! | a shard is a tank, refilled at 1 MiB/s and 1,000 records/s             | N-W-4, N-W-5 |
//! | the first rejection of an overload a > r comes at b / (a - r)          | V-09    |
//!
//! Simplification: AWS does not publish the shape of its limiter. We refill continuously. Averaged
//! over a minute nobody can tell; within one second a client could.

use crate::engine::{NANOS_PER_SEC, SimDuration, SimTime};

/// A budget, held in units of 1 / [`NANOS_PER_SEC`] so that refilling is exact.
#[derive(Clone, Debug)]
pub struct TokenBucket {
    rate_per_sec: u64,
    capacity: u64,
    level_scaled: u128,
    refilled_at: SimTime,
}

impl TokenBucket {
    /// A full bucket of `capacity` units, refilled at `rate_per_sec` units per second.
    #[must_use]
    pub fn full(rate_per_sec: u64, capacity: u64) -> Self {
        Self {
            rate_per_sec,
            capacity,
            level_scaled: u128::from(capacity) * u128::from(NANOS_PER_SEC),
            refilled_at: SimTime::ZERO,
        }
    }

    /// Credits the time since the last refill.
    ///
    /// # Panics
    /// If `now` is before it: the clock ran backwards.
    pub fn refill(&mut self, now: SimTime) {
        assert!(self.refilled_at <= now, "the clock ran backwards");
        let elapsed_ns = u128::from(now.since(self.refilled_at).0);
        let full = u128::from(self.capacity) * u128::from(NANOS_PER_SEC);
        self.level_scaled =
            (self.level_scaled + u128::from(self.rate_per_sec) * elapsed_ns).min(full);
        self.refilled_at = now;
    }

    /// Whole units that can be spent at the instant of the last refill.
    #[must_use]
    pub fn level(&self) -> u64 {
        u64::try_from(self.level_scaled / u128::from(NANOS_PER_SEC)).unwrap_or(u64::MAX)
    }

    /// Whether `amount` units can be spent at the instant of the last refill.
    #[must_use]
    pub fn affords(&self, amount: u64) -> bool {
        u128::from(amount) * u128::from(NANOS_PER_SEC) <= self.level_scaled
    }

    /// Takes `amount` units.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn spend(&mut self, amount: u64) {
        let scaled = u128::from(amount) * u128::from(NANOS_PER_SEC);
        assert!(scaled <= self.level_scaled, "{amount} units overdraw the bucket");
        self.level_scaled -= scaled;
    }

    /// Time from the last refill until `amount` units are there; `None` if they never fit.
    #[must_use]
    pub fn time_until(&self, amount: u64) -> Option<SimDuration> {
        if amount > self.capacity || self.rate_per_sec == 0 {
            return None;
        }
        let missing =
            (u128::from(amount) * u128::from(NANOS_PER_SEC)).saturating_sub(self.level_scaled);
        let nanos = missing.div_ceil(u128::from(self.rate_per_sec));
        Some(SimDuration(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// V-09: rate r, depth b, one unit each 1/a s with a > r, full at 0: the first rejection comes
    /// at t = b / (a - r), accepted by then b + r t, long-run reject share 1 - r / a.
    #[test]
    fn v_09_first_rejection_and_long_run_share() {
        for (rate, depth, offered) in [(1_000, 1_000, 1_500), (1_000, 250, 3_000), (7, 21, 11)] {
            let mut bucket = TokenBucket::full(rate, depth);
            let (mut accepted, mut first_rejection) = (0_u64, None);
            let total = 400 * offered;
            for i in 0..total {
                let now = SimTime(i * NANOS_PER_SEC / offered);
                bucket.refill(now);
                if bucket.level() >= 1 {
                    bucket.spend(1);
                    accepted += 1;
                } else if first_rejection.is_none() {
                    first_rejection = Some(now.as_secs_f64());
                }
            }
            let expected = depth as f64 / (offered - rate) as f64;
            // T1: one arrival of tolerance.
            let tick = 1.5 / offered as f64 + 1.0 / rate as f64;
            assert!((first_rejection.unwrap() - expected).abs() <= tick);
            assert!(accepted.abs_diff(depth + rate * 400) <= 1);
        }
    }

    /// The negative: at or below the rate nothing is ever refused.
    #[test]
    fn an_offer_at_the_rate_is_never_refused() {
        let mut bucket = TokenBucket::full(1_000, 1);
        for i in 1..5_000 {
            bucket.refill(SimTime(i * 1_000_000));
            bucket.spend(1);
        }
    }

    proptest! {
        /// Over no window is more spent than one depth plus the rate.
        #[test]
        fn spending_stays_within_depth_plus_rate(
            arrivals in prop::collection::vec((0..300_000_000_u64, 1..=5_000_u64), 1..200),
        ) {
            let (rate, depth) = (3_000_u64, 5_000_u64);
            let mut bucket = TokenBucket::full(rate, depth);
            let mut now = SimTime::ZERO;
            let mut spent: Vec<(SimTime, u128)> = Vec::new();
            for (gap, amount) in arrivals {
                now = SimTime(now.0 + gap);
                bucket.refill(now);
                if bucket.level() < amount {
                    let wait = bucket.time_until(amount).unwrap();
                    let mut later = bucket.clone();
                    later.refill(now + wait);
                    prop_assert!(later.level() >= amount);
                    continue;
                }
                bucket.spend(amount);
                spent.push((now, u128::from(amount)));
                let mut sum = 0;
                for &(at, amount) in spent.iter().rev() {
                    sum += amount;
                    let scaled = u128::from(depth) * u128::from(NANOS_PER_SEC)
                        + u128::from(rate) * u128::from(now.since(at).0);
                    prop_assert!(sum * u128::from(NANOS_PER_SEC) <= scaled);
                }
            }
        }
    }
}
