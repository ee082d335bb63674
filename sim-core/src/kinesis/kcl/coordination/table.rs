//! The lease table, the workers' threads, and what an observer concludes from scans.
//!
//! | Mechanism                                                       | Fact            |
//! |-----------------------------------------------------------------|-----------------|
//! | Lease row: leaseOwner, checkpointOwner, leaseCounter, parents   | N-KCL-1         |
//! | Every renewal adds one to the counter                           | N-KCL-4         |
//! | Age by the observer's clock since it saw the counter change     | N-KCL-5         |
//!
//! Renewals are closed form (D-16): a row stores the counter at its last other write and how often
//! its holder's renewal thread had run by then; the counter at any instant follows.
//!
//! Simplification: the lease table always answers, so a renewal is never throttled.

use super::timing::Threads;
use super::{Event, WorkerId};
use crate::engine::{RngStream, SimDuration, SimTime};
use crate::kinesis::ShardIndex;

/// How far the worker that holds a lease has come with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It waits for the scheduler's loop.
    Held,
    /// WAITING_ON_PARENT_SHARDS.
    WaitingOnParents,
    /// A reader runs.
    Reading,
    /// A reader runs and was asked to shut down (3.x).
    ShutdownRequested,
}

/// The worker that holds a lease and renews it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Holder {
    /// Who.
    pub(super) worker: WorkerId,
    /// How far it is.
    pub(super) stage: Stage,
}

impl Holder {
    /// Whether a reader was started for it.
    pub(super) fn has_reader(&self) -> bool {
        match self.stage {
            Stage::Held | Stage::WaitingOnParents => false,
            Stage::Reading | Stage::ShutdownRequested => true,
        }
    }
}

/// One row of the lease table, with the local state of the worker that rightly holds it.
#[derive(Clone, Debug)]
pub(super) struct Lease {
    /// parentShardId.
    pub(super) parents: [Option<ShardIndex>; 2],
    /// checkpoint = SHARD_END.
    pub(super) ended: bool,
    /// leaseOwner.
    pub(super) lease_owner: Option<WorkerId>,
    /// checkpointOwner: set while a graceful handoff runs.
    pub(super) checkpoint_owner: Option<WorkerId>,
    /// leaseCounter at the last write that was not a renewal.
    counter: u64,
    /// How often the holder's renewal thread had run by then.
    renewals_then: u64,
    /// When the holder last learnt of the lease other than by its own renewal thread.
    pub(super) noted_at: SimTime,
    /// Who holds it, if anyone does.
    pub(super) holder: Option<Holder>,
    /// Number of the latest acquisition (concurrencyToken): an older one's events are stale.
    pub(super) acquisition: u32,
    /// Whether the next reader takes over from another worker.
    pub(super) taken: bool,
    /// Bytes per second as last reported, if ever (throughputKBps).
    pub(super) throughput: Option<u64>,
    /// From when on the leader may cut a running handoff short.
    pub(super) handoff_deadline: SimTime,
}

impl Lease {
    /// A row as a shard sync or the end of a parent creates it.
    pub(super) fn unowned(parents: [Option<ShardIndex>; 2]) -> Self {
        Self {
            parents,
            ended: false,
            lease_owner: None,
            checkpoint_owner: None,
            counter: 0,
            renewals_then: 0,
            noted_at: SimTime::ZERO,
            holder: None,
            acquisition: 0,
            taken: false,
            throughput: None,
            handoff_deadline: SimTime::MAX,
        }
    }

    /// Who owns it now, also while it is being handed over.
    pub(super) fn actual_owner(&self) -> Option<WorkerId> {
        self.checkpoint_owner.or(self.lease_owner)
    }

    /// leaseCounter, given how often each worker's renewal thread has run.
    pub(super) fn counter_with(&self, renewals: impl Fn(WorkerId) -> u64) -> u64 {
        let since = |h: Holder| renewals(h.worker) - self.renewals_then;
        self.counter + self.holder.map_or(0, since)
    }

    /// Adds one to the counter, and makes `holder` the one that renews from here on.
    pub(super) fn write(&mut self, now: SimTime, holder: Option<Holder>, workers: &[Worker]) {
        self.settle(now, holder, workers);
        self.counter += 1;
        self.noted_at = now;
    }

    /// Makes `holder` the one that renews from here on; the row itself is not written.
    pub(super) fn settle(&mut self, now: SimTime, holder: Option<Holder>, workers: &[Worker]) {
        let renewals = |worker: WorkerId| workers[worker.index()].renewals_by(now);
        let counter = self.counter_with(renewals);
        assert!(self.counter <= counter, "a lease counter only grows");
        self.counter = counter;
        self.renewals_then = holder.map_or(0, |h| renewals(h.worker));
        self.holder = holder;
    }

    /// Time since the holder last wrote or learnt of the lease, by its own clock
    /// (lastCounterIncrementNanos).
    pub(super) fn local_age(&self, now: SimTime, workers: &[Worker]) -> SimDuration {
        let renewed = self.holder.and_then(|h| workers[h.worker.index()].renewed_by(now));
        let known = renewed.map_or(self.noted_at, |at| at.max(self.noted_at));
        now.since(known)
    }
}

/// Whether a worker's process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pulse {
    /// It runs.
    Running,
    /// It is stopped for a while, e.g. by a long collection.
    Paused,
    /// It was killed or stopped.
    Gone,
}

/// One worker process.
#[derive(Clone, Debug)]
pub(super) struct Worker {
    /// Whether it runs.
    pub(super) pulse: Pulse,
    /// When it joined: it reported its metrics then for the first time.
    joined_at: SimTime,
    /// Until when its threads ran; [`SimTime::MAX`] while they do.
    ran_until: SimTime,
    /// Runs of its renewal thread that never were, in pauses that are over.
    renewals_skipped: u64,
    /// Its periodic threads.
    pub(super) threads: Threads,
    /// Draws for its taker and its lock checks.
    pub(super) rng: RngStream,
    /// What it concludes from scans of the lease table (2.x; in 3.x as the leader).
    pub(super) observer: Observer,
    /// Readers of leases that are no longer its own, which it has not noticed yet.
    pub(super) stale: Vec<ShardIndex>,
    /// Leases of which it will learn at its next renewal that a handoff was asked for.
    pub(super) handoffs: Vec<ShardIndex>,
    /// Leases that wait for its scheduler's loop.
    pub(super) waiting: Vec<ShardIndex>,
    /// What came due while it was paused.
    pub(super) missed: Vec<Event>,
    /// Whether its next renewal is scheduled as an event.
    pub(super) renewal_armed: bool,
    /// Whether the next run of its loop is scheduled as an event.
    pub(super) loop_armed: bool,
    /// Whether its next discovery is scheduled as an event.
    pub(super) discovery_armed: bool,
    /// 3.x: the last of its metrics reports that a leader read.
    pub(super) report: Report,
    /// What it saw of the leader's lock, and when it first saw that.
    pub(super) lock_seen: Option<(LockVersion, SimTime)>,
}

/// A report of a worker's metrics.
#[derive(Clone, Debug, Default)]
pub(super) struct Report {
    /// When; `None`: none yet.
    pub(super) at: Option<SimTime>,
    /// The leases whose load it shows.
    pub(super) held: Vec<ShardIndex>,
}

/// What changes with each write of the leader's lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LockVersion {
    /// How often the lock changed hands.
    pub(super) term: u32,
    /// The last heartbeat.
    pub(super) beat_at: SimTime,
}

impl Worker {
    /// A process that starts at `now`.
    pub(super) fn started(threads: Threads, rng: RngStream, now: SimTime) -> Self {
        Self {
            pulse: Pulse::Running,
            joined_at: now,
            ran_until: SimTime::MAX,
            renewals_skipped: 0,
            threads,
            rng,
            observer: Observer::default(),
            stale: Vec::new(),
            handoffs: Vec::new(),
            waiting: Vec::new(),
            missed: Vec::new(),
            renewal_armed: false,
            loop_armed: false,
            discovery_armed: false,
            report: Report::default(),
            lock_seen: None,
        }
    }

    /// Its threads stop at `now`, if they ran.
    pub(super) fn freeze(&mut self, now: SimTime) {
        self.ran_until = self.ran_until.min(now);
    }

    /// Its threads go on at `now`.
    pub(super) fn thaw(&mut self, now: SimTime) {
        self.renewals_skipped += self.renewals_due(now);
        self.ran_until = SimTime::MAX;
    }

    /// How many runs of its renewal thread fell into the pause that lasts at `now`.
    pub(super) fn renewals_due(&self, now: SimTime) -> u64 {
        let thread = &self.threads.renewal;
        thread.runs_by(now) - thread.runs_by(self.ran_by(now))
    }

    /// It will notice and start nothing any more.
    pub(super) fn forget_plans(&mut self) {
        self.stale.clear();
        self.handoffs.clear();
        self.waiting.clear();
        self.missed.clear();
    }

    /// Until when its threads ran, at most `now`.
    fn ran_by(&self, now: SimTime) -> SimTime {
        self.ran_until.min(now)
    }

    /// How often its renewal thread has run by `now`.
    pub(super) fn renewals_by(&self, now: SimTime) -> u64 {
        self.threads.renewal.runs_by(self.ran_by(now)) - self.renewals_skipped
    }

    /// When its renewal thread last ran.
    fn renewed_by(&self, now: SimTime) -> Option<SimTime> {
        self.threads.renewal.last_by(self.ran_by(now))
    }

    /// When its metrics were last reported.
    pub(super) fn reported_by(&self, now: SimTime) -> SimTime {
        let last = self.threads.metrics.last_by(self.ran_by(now));
        last.unwrap_or(self.joined_at).max(self.joined_at)
    }

    /// When it last wrote the leader's lock, if its thread has run.
    pub(super) fn heartbeat_by(&self, now: SimTime) -> Option<SimTime> {
        self.threads.heartbeat.last_by(self.ran_by(now))
    }
}

/// What one worker concludes from its scans: when, by its own clock, each counter last changed.
#[derive(Clone, Debug, Default)]
pub(super) struct Observer {
    /// By shard index; `None` where the row was never seen.
    seen: Vec<Option<Seen>>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    counter: u64,
    changed_at: Option<SimTime>,
}

impl Observer {
    /// Notes a row of a scan at `now`. Returns when the counter last changed: `None` is "never".
    pub(super) fn note(
        &mut self,
        shard: ShardIndex,
        counter: u64,
        owned: bool,
        now: SimTime,
    ) -> Option<SimTime> {
        let at = shard.0 as usize;
        if self.seen.len() <= at {
            self.seen.resize(at + 1, None);
        }
        let changed_at = match self.seen[at] {
            Some(before) if before.counter == counter => before.changed_at,
            Some(_) => Some(now),
            None => owned.then_some(now),
        };
        let seen = Seen { counter, changed_at };
        self.seen[at] = Some(seen);
        changed_at
    }

    /// Forgets everything, as a new leader does.
    pub(super) fn clear(&mut self) {
        self.seen.clear();
    }
}

/// Whether a counter that last changed at `changed_at` has stood still for longer than `limit`.
pub(super) fn unchanged_for(changed_at: Option<SimTime>, limit: SimDuration, now: SimTime) -> bool {
    changed_at.is_none_or(|at| now.since(at) > limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARD: ShardIndex = ShardIndex(3);

    fn secs(s: u64) -> SimTime {
        SimTime(s * crate::engine::NANOS_PER_SEC)
    }

    /// N-KCL-5, all four cases: new and owned, unchanged, changed, new and unowned.
    #[test]
    fn an_observer_dates_a_counter_by_its_own_scans() {
        let mut observer = Observer::default();
        assert_eq!(observer.note(SHARD, 7, true, secs(20)), Some(secs(20)));
        assert_eq!(observer.note(SHARD, 7, true, secs(40)), Some(secs(20)));
        assert_eq!(observer.note(SHARD, 9, true, secs(60)), Some(secs(60)));
        assert_eq!(observer.note(ShardIndex(0), 0, false, secs(60)), None);
        assert_eq!(observer.note(ShardIndex(0), 0, false, secs(80)), None);
    }

    #[test]
    fn a_cleared_observer_takes_an_owned_lease_for_fresh() {
        let mut observer = Observer::default();
        observer.note(SHARD, 7, true, secs(20));
        observer.clear();
        assert_eq!(observer.note(SHARD, 7, true, secs(40)), Some(secs(40)));
    }

    #[test]
    fn a_lease_expires_strictly_after_the_limit() {
        let limit = SimDuration::from_secs(10);
        assert!(!unchanged_for(Some(secs(5)), limit, secs(15)));
        assert!(unchanged_for(Some(secs(5)), limit, SimTime(secs(15).0 + 1)));
        assert!(unchanged_for(None, limit, secs(0)));
    }
}
