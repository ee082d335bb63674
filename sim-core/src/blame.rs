//! Why a record was late: the age of every delivered record as the exact sum of what it waited for
//! (decision D-19). A record is in one place at a time; each place has one active cause.
//!
//! Shared places (the queue of one consumer at one partition) keep a running clock per cause; a
//! batch's share is the difference between its exit and its entry, so the sum is exact and the
//! cost constant.

use std::collections::{BTreeMap, VecDeque};

use crate::engine::{NANOS_PER_SEC, SimTime};
use crate::result::BlameMap;

/// What a record can wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Written before the run: all the time until its start.
    BeforeStart,
    /// In the client, until its batch was due.
    ClientBatching,
    /// In the client, due, behind other records that had to be sent first.
    ClientBacklog,
    /// Attempts refused for want of throughput, and what followed until the next attempt.
    Throttled,
    /// Attempts at a leader that was not there, and what followed until the next attempt; or, for
    /// stored records, that their partition has no leader to read from.
    LeaderUnavailable,
    /// Attempts that failed for want of in-sync replicas, and what followed until the next attempt.
    ReplicasMissing,
    /// The attempt that succeeded.
    Put,
    /// Stored, and on its way to the other in-sync replicas.
    Replication,
    /// Stored, and invisible while a replica that it needs is dead, frozen or out.
    WatermarkHeld,
    /// The owner is dead or frozen and nobody has noticed.
    OwnerDead,
    /// Nobody owns the partition, or the owner has not begun.
    LeaseGap,
    /// The group is rebalancing, or the new owner has not begun.
    Rebalance,
    /// The owner restores its local state.
    StateRestore,
    /// The reader's last fetch was refused.
    FetchThrottled,
    /// Behind a backlog that an interruption left.
    CatchUp,
    /// Behind other records, in the order of their arrival.
    Capacity,
    /// Waiting for the next fetch or push to pick it up.
    PollGap,
    /// Being processed.
    Service,
    /// Written to the sink, and not answered or not taken yet.
    Sink,
}

/// All causes, in the order in which a record can meet them.
pub const CAUSES: [(Cause, &str); 19] = [
    (Cause::BeforeStart, "before_start"),
    (Cause::ClientBatching, "client_batching"),
    (Cause::ClientBacklog, "client_backlog"),
    (Cause::Throttled, "throttled"),
    (Cause::LeaderUnavailable, "leader_unavailable"),
    (Cause::ReplicasMissing, "replicas_missing"),
    (Cause::Put, "put"),
    (Cause::Replication, "replication"),
    (Cause::WatermarkHeld, "watermark_held"),
    (Cause::OwnerDead, "owner_dead"),
    (Cause::LeaseGap, "lease_gap"),
    (Cause::Rebalance, "rebalance"),
    (Cause::StateRestore, "state_restore"),
    (Cause::FetchThrottled, "fetch_throttled"),
    (Cause::CatchUp, "catch_up"),
    (Cause::Capacity, "capacity"),
    (Cause::PollGap, "poll_gap"),
    (Cause::Service, "service"),
    (Cause::Sink, "sink"),
];

/// Nanoseconds (or record-nanoseconds) by cause.
pub type Clocks = [u64; CAUSES.len()];

/// The client-side wait of a batch beyond batching and one attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Detour {
    /// Due, but behind others.
    pub backlog_ns: u64,
    /// From the first attempt to the one that succeeded.
    pub throttled_ns: u64,
}

/// The running clocks of one shared place.
#[derive(Clone, Debug)]
pub struct PlaceClock {
    cause: Cause,
    since: SimTime,
    clocks: Clocks,
    /// Changes that a batch still in the place may have entered before: (instant, clocks then,
    /// cause from then on).
    changes: VecDeque<(SimTime, Clocks, Cause)>,
}

impl PlaceClock {
    /// A place whose active cause is `cause` from the start of the run.
    #[must_use]
    pub fn new(cause: Cause) -> Self {
        let zero = [0; CAUSES.len()];
        let mut changes = VecDeque::new();
        changes.push_back((SimTime::ZERO, zero, cause));
        Self { cause, since: SimTime::ZERO, clocks: zero, changes }
    }

    /// The active cause.
    #[must_use]
    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// From `now` on, `cause` is active.
    pub fn set(&mut self, now: SimTime, cause: Cause) {
        if cause == self.cause {
            return;
        }
        self.clocks = self.read(now);
        self.since = now;
        self.cause = cause;
        // Two changes at one instant: only the last one has any extent.
        if self.changes.back().is_some_and(|(at, ..)| *at == now) {
            self.changes.pop_back();
        }
        self.changes.push_back((now, self.clocks, cause));
    }

    /// The clocks at `now`, which is no earlier than the last change.
    #[must_use]
    pub fn read(&self, now: SimTime) -> Clocks {
        let mut clocks = self.clocks;
        clocks[self.cause as usize] += now.since(self.since).0;
        clocks
    }

    /// The clocks when a batch entered. Entries must be asked for in order of time: what lies
    /// before is forgotten.
    pub fn read_entry(&mut self, entered_at: SimTime) -> Clocks {
        while self.changes.get(1).is_some_and(|(at, ..)| *at <= entered_at) {
            self.changes.pop_front();
        }
        let (at, mut clocks, cause) = self.changes[0];
        clocks[cause as usize] += entered_at.since(at).0;
        clocks
    }
}

/// The blame of one consumer: the longest delivery, and all of them together.
#[derive(Clone, Debug, Default)]
pub struct BlameBook {
    longest_ns: u64,
    longest: Clocks,
    total: [u128; CAUSES.len()],
    /// Record-nanoseconds of age of all deliveries: what the parts must add up to.
    total_age: u128,
}

impl BlameBook {
    /// Whether a delivery at this age would be the longest.
    #[must_use]
    pub fn is_longest(&self, age_ns: u64) -> bool {
        age_ns > self.longest_ns
    }

    /// The longest delivery so far: its age, made up of `parts`.
    ///
    /// # Panics
    /// In debug builds, if the parts do not add up to the age.
    pub fn set_longest(&mut self, age_ns: u64, parts: Clocks) {
        debug_assert_eq!(parts.iter().sum::<u64>(), age_ns, "blame must add up: {parts:?}");
        (self.longest_ns, self.longest) = (age_ns, parts);
    }

    /// `records` records were delivered that each waited for `common`, and together also for `own`
    /// record-nanoseconds; `age` is the sum of their ages in record-nanoseconds.
    ///
    /// # Panics
    /// In debug builds, if the parts do not add up to the age.
    pub fn add(&mut self, records: u64, common: &Clocks, own: &Clocks, age: u128) {
        let mut sum = 0;
        for (total, (common, own)) in self.total.iter_mut().zip(common.iter().zip(own)) {
            let part = u128::from(records) * u128::from(*common) + u128::from(*own);
            *total += part;
            sum += part;
        }
        debug_assert_eq!(sum, age, "blame must add up: {common:?} and {own:?}");
        self.total_age += age;
    }

    /// All parts together, in record-nanoseconds.
    #[must_use]
    pub fn sum(&self) -> u128 {
        self.total.iter().sum()
    }

    /// Checks the whole book.
    ///
    /// # Panics
    /// If the sums disagree.
    pub fn audit(&self) {
        assert_eq!(self.total.iter().sum::<u128>(), self.total_age, "blame totals must add up");
        assert_eq!(self.longest.iter().sum::<u64>(), self.longest_ns, "longest must add up");
    }

    /// The delivery of the greatest age, in seconds by cause.
    #[must_use]
    pub fn longest(&self) -> BlameMap {
        to_map(self.longest.map(u128::from))
    }

    /// All deliveries, in record-seconds by cause.
    #[must_use]
    pub fn total(&self) -> BlameMap {
        to_map(self.total)
    }
}

#[expect(clippy::cast_precision_loss, reason = "for reports only")]
fn to_map(nanos: [u128; CAUSES.len()]) -> BlameMap {
    CAUSES
        .iter()
        .zip(nanos)
        .filter(|(_, nanos)| *nanos > 0)
        .map(|((_, name), nanos)| ((*name).to_owned(), nanos as f64 / NANOS_PER_SEC as f64))
        .collect::<BTreeMap<_, _>>()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// The consumer's half of the example of D-19 (ms): stored at 170, no owner 150 to 400, backlog
    /// to 600, then service: 230 without an owner, 200 behind the backlog.
    #[test]
    fn a_wait_is_cut_where_the_cause_changes() {
        let mut place = PlaceClock::new(Cause::PollGap);
        place.set(SimTime(150 * MS), Cause::LeaseGap);
        place.set(SimTime(400 * MS), Cause::CatchUp);
        let exit = place.read(SimTime(600 * MS));
        let entry = place.read_entry(SimTime(170 * MS));
        let wait = |cause: Cause| exit[cause as usize] - entry[cause as usize];
        assert_eq!(wait(Cause::LeaseGap), 230 * MS);
        assert_eq!(wait(Cause::CatchUp), 200 * MS);
        assert_eq!(wait(Cause::PollGap), 0);
    }

    /// Of two changes at one instant the first has no extent; from a change on, its cause runs.
    #[test]
    fn the_last_cause_of_an_instant_is_the_one_that_runs_from_then_on() {
        let mut place = PlaceClock::new(Cause::PollGap);
        place.set(SimTime(10), Cause::Capacity);
        place.set(SimTime(10), Cause::OwnerDead);
        assert_eq!(place.cause(), Cause::OwnerDead);
        let exit = place.read(SimTime(25));
        let entry = place.read_entry(SimTime(4));
        let wait = |cause: Cause| exit[cause as usize] - entry[cause as usize];
        let waits = [Cause::PollGap, Cause::Capacity, Cause::OwnerDead].map(wait);
        assert_eq!(waits, [6, 0, 15]);
    }

    /// Each name belongs to the cause at its place, in the order in which a record can meet them.
    #[test]
    fn every_cause_stands_at_its_own_place() {
        for (place, (cause, name)) in CAUSES.iter().enumerate() {
            assert_eq!(*cause as usize, place, "{name}");
            let words = format!("{cause:?}").replace('_', "").to_lowercase();
            assert_eq!(words, name.replace('_', ""));
        }
    }

    /// s: three records waited 2 in common for a poll and together 3 in service, 9 in all; the
    /// longest of them 4. A shorter one that comes later leaves the longest alone.
    #[test]
    fn the_book_keeps_the_longest_delivery_and_the_sum_of_all() {
        const S: u64 = NANOS_PER_SEC;
        let mut common = [0; CAUSES.len()];
        common[Cause::PollGap as usize] = 2 * S;
        let mut own = [0; CAUSES.len()];
        own[Cause::Service as usize] = 3 * S;
        let mut longest = common;
        longest[Cause::Service as usize] = 2 * S;
        let mut book = BlameBook::default();
        book.set_longest(4 * S, longest);
        book.add(3, &common, &own, u128::from(9 * S));
        assert!(!book.is_longest(4 * S) && book.is_longest(4 * S + 1));
        let map = |poll_gap, service| {
            BTreeMap::from([("poll_gap".to_owned(), poll_gap), ("service".to_owned(), service)])
        };
        assert_eq!(book.longest(), map(2.0, 2.0));
        assert_eq!(book.total(), map(6.0, 3.0));
        book.audit();
    }

    #[test]
    fn entries_before_and_after_a_change_differ_by_the_time_between_them() {
        let mut place = PlaceClock::new(Cause::PollGap);
        place.set(SimTime(10), Cause::Capacity);
        place.set(SimTime(20), Cause::PollGap);
        for entered in [0, 5, 10, 15, 20, 25] {
            let exit: u64 = place.read(SimTime(40)).iter().sum();
            let entry: u64 = place.read_entry(SimTime(entered)).iter().sum();
            assert_eq!(exit - entry, 40 - entered);
        }
    }
}
