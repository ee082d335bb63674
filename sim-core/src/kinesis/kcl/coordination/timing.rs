//! When a worker does what: the intervals that follow from `failoverTimeMillis`, and periodic
//! threads in closed form (decision D-16).
//!
//! | Mechanism                                                     | Fact            |
//! |---------------------------------------------------------------|-----------------|
//! | Renew every F/3 - 25 ms, take every 2(F + 25 ms)              | N-KCL-2, V-32   |
//! | Discover every F - 25 ms, assign every 2F                     | N-KCL-19, -21   |
//! | Leader lock: lease 120 s, heartbeat and check 30 s            | N-KCL-18        |
//! | Worker metrics: reported every 30 s, dropped when over 60 s   | N-KCL-19        |
//! | The scheduler's loop: 1 s                                     | N-KCL-2         |
//!
//! Simplification: a periodic thread keeps its grid for ever; calls to DynamoDB take no time. With
//! a slow lease table the taker's fixed delay would stretch.

use crate::engine::{RngStream, SimDuration, SimTime};

/// `epsilonMillis`.
const EPSILON: SimDuration = SimDuration::from_millis(25);
/// `shardConsumerDispatchPollIntervalMillis`: the loop that starts readers.
pub(super) const LOOP_INTERVAL: SimDuration = SimDuration::from_secs(1);
/// Heartbeat of the leader's lock, and the least time between two checks of another worker.
pub(super) const LOCK_HEARTBEAT: SimDuration = SimDuration::from_secs(30);
/// How long a candidate must have seen the lock's version unchanged before it takes it.
pub(super) const LOCK_LEASE: SimDuration = SimDuration::from_secs(120);
/// `workerMetricsReporterFreqInMillis`.
const METRICS_INTERVAL: SimDuration = SimDuration::from_secs(30);
/// A worker whose metrics are older than this is no longer given leases.
pub(super) const METRICS_EXPIRY: SimDuration = SimDuration::from_secs(60);
/// How often a worker looks at its running handoffs.
const HANDOFF_CHECK_INTERVAL: SimDuration = SimDuration::from_secs(2);

/// The intervals that follow from `failoverTimeMillis`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Intervals {
    /// F: age at which a lease counts as expired.
    pub(super) failover: SimDuration,
    /// R: between two renewals by a worker, at a fixed rate.
    pub(super) renew: SimDuration,
    /// T: between two scans of a 2.x taker.
    pub(super) take: SimDuration,
    /// Between two looks for leases that a 3.x leader assigned.
    pub(super) discover: SimDuration,
    /// Between two runs of the 3.x leader.
    pub(super) assign: SimDuration,
}

impl Intervals {
    /// Computed in whole milliseconds, as the library does; at least 1 ms each.
    pub(super) fn of(failover: SimDuration) -> Self {
        let failover_ms = failover.0 / 1_000_000;
        let at_least_a_ms = |d: SimDuration| d.max(SimDuration::from_millis(1));
        Self {
            failover,
            renew: at_least_a_ms(SimDuration::from_millis(failover_ms / 3) - EPSILON),
            take: (failover + EPSILON).times(2),
            discover: at_least_a_ms(failover - EPSILON),
            assign: at_least_a_ms(failover.times(2)),
        }
    }
}

/// A thread that runs at a fixed rate from some instant on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticker {
    first: SimTime,
    period: SimDuration,
}

impl Ticker {
    /// First runs at a random instant of the period that begins at `from`.
    fn drawn(from: SimTime, period: SimDuration, rng: &mut RngStream) -> Self {
        let phase = SimDuration(rng.below(period.0));
        Self { first: from + phase, period }
    }

    /// How often it has run by `until`, inclusive.
    pub(super) fn runs_by(&self, until: SimTime) -> u64 {
        if until < self.first {
            return 0;
        }
        until.since(self.first).0 / self.period.0 + 1
    }

    /// Its last run by `until`, inclusive.
    pub(super) fn last_by(&self, until: SimTime) -> Option<SimTime> {
        let before = self.runs_by(until).checked_sub(1)?;
        Some(self.first + self.period.times(before))
    }

    /// Its first run strictly after `now`.
    pub(super) fn next_after(&self, now: SimTime) -> SimTime {
        self.first + self.period.times(self.runs_by(now))
    }

    /// Its first run at `now` or later.
    pub(super) fn next_from(&self, now: SimTime) -> SimTime {
        match self.last_by(now) {
            Some(last) if last == now => now,
            Some(_) | None => self.next_after(now),
        }
    }
}

/// The periodic threads of one worker, each with its own phase (D-28). All are drawn for both
/// versions, so that an upgrade is compared on the same luck.
#[derive(Clone, Copy, Debug)]
pub(super) struct Threads {
    /// Renews the leases.
    pub(super) renewal: Ticker,
    /// 2.x: takes leases.
    pub(super) taker: Ticker,
    /// The scheduler's loop.
    pub(super) scheduler: Ticker,
    /// 3.x: finds assigned leases.
    pub(super) discovery: Ticker,
    /// 3.x: reports the worker's metrics.
    pub(super) metrics: Ticker,
    /// 3.x: heartbeats of the leader's lock, if this worker holds it.
    pub(super) heartbeat: Ticker,
    /// 3.x: assigns leases, if this worker is the leader.
    pub(super) assigner: Ticker,
    /// 3.x: checks of the leader's lock (only the first; later ones ride on the loop).
    pub(super) lock_check: Ticker,
    /// 3.x: looks for handoffs that time out.
    pub(super) handoff_check: Ticker,
}

impl Threads {
    /// Draws all phases of a worker that starts at `from`.
    pub(super) fn drawn(intervals: &Intervals, from: SimTime, rng: &mut RngStream) -> Self {
        Self {
            renewal: Ticker::drawn(from, intervals.renew, rng),
            taker: Ticker::drawn(from, intervals.take, rng),
            scheduler: Ticker::drawn(from, LOOP_INTERVAL, rng),
            discovery: Ticker::drawn(from, intervals.discover, rng),
            metrics: Ticker::drawn(from, METRICS_INTERVAL, rng),
            heartbeat: Ticker::drawn(from, LOCK_HEARTBEAT, rng),
            assigner: Ticker::drawn(from, intervals.assign, rng),
            lock_check: Ticker::drawn(from, LOCK_HEARTBEAT, rng),
            handoff_check: Ticker::drawn(from, HANDOFF_CHECK_INTERVAL, rng),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// V-32: a log line of KCL 1.x with F = 30 s, and the formula at the default F = 10 s and at an
    /// odd one, in whole milliseconds: floor(12,346 / 3) - 25 and 2 * 12,371.
    #[test]
    fn v32_renew_and_take_intervals_follow_from_the_failover_time() {
        let logged = Intervals::of(SimDuration::from_secs(30));
        assert_eq!(logged.renew, SimDuration::from_millis(9_975));
        assert_eq!(logged.take, SimDuration::from_millis(60_050));

        let default = Intervals::of(SimDuration::from_secs(10));
        assert_eq!(default.renew, SimDuration::from_millis(3_308));
        assert_eq!(default.take, SimDuration::from_millis(20_050));
        let odd = Intervals::of(SimDuration::from_millis(12_346));
        assert_eq!(odd.renew, SimDuration::from_millis(4_090));
        assert_eq!(odd.take, SimDuration::from_millis(24_742));
        assert_eq!(default.discover, SimDuration::from_millis(9_975));
        assert_eq!(default.assign, SimDuration::from_secs(20));
    }

    #[test]
    fn a_tiny_failover_time_still_leaves_a_period() {
        let tiny = Intervals::of(SimDuration::from_millis(10));
        assert_eq!(tiny.renew, SimDuration::from_millis(1));
        assert_eq!(tiny.discover, SimDuration::from_millis(1));
    }

    #[test]
    fn a_ticker_runs_at_its_first_instant_and_every_period_after() {
        let ticker = Ticker { first: SimTime(5), period: SimDuration(10) };
        assert_eq!(ticker.runs_by(SimTime(4)), 0);
        assert_eq!(ticker.last_by(SimTime(4)), None);
        assert_eq!(ticker.runs_by(SimTime(5)), 1);
        assert_eq!(ticker.runs_by(SimTime(25)), 3);
        assert_eq!(ticker.last_by(SimTime(24)), Some(SimTime(15)));
        assert_eq!(ticker.next_after(SimTime(15)), SimTime(25));
        assert_eq!(ticker.next_from(SimTime(15)), SimTime(15));
        assert_eq!(ticker.next_from(SimTime(16)), SimTime(25));
        assert_eq!(ticker.next_from(SimTime(0)), SimTime(5));
    }
}
