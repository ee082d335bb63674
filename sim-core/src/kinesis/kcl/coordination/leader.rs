//! 3.x: the leader's lock, the leader's runs, discovery of assigned leases, graceful handoff.
//!
//! | Mechanism                                                                     | Fact     |
//! |-------------------------------------------------------------------------------|----------|
//! | A candidate takes a lock whose version it has seen unchanged for over 120 s   | N-KCL-18 |
//! | Candidates check every 30 to 31 s; a clean stop releases the lock             | N-KCL-18 |
//! | The leader runs every 2F; its first run only learns; every third run balances | N-KCL-19 |
//! | A dead worker is a candidate for leases until its metrics are over 60 s old   | N-KCL-19 |
//! | Assigning adds one to the counter: the old owner fails its next renewal       | N-KCL-21 |
//! | The new owner discovers its leases every F - 25 ms                            | N-KCL-21 |
//! | Handoff: the old owner keeps renewing until its reader has shut down          | N-KCL-22 |
//! | ... cut short by it after 30 s, or by the leader's next move after 30 s + F   | N-KCL-22 |
//!
//! A discovery is an event only where it will find something.
//!
//! Simplification: the leader's runs never fail, so it never gives up its lock for that. Metrics
//! are reported when a worker starts and when a pause ends; a report shows the leases held at the
//! leader's next run rather than at its own instant, seconds earlier. In a steady start worker 0 leads, where
//! really any worker may.

use super::assignment::{self, AssignableLease, AssignmentStrategy, Candidate, Fleet};
use super::table::{Holder, LockVersion, Pulse, Report, Stage, unchanged_for};
use super::timing::{LOCK_HEARTBEAT, LOCK_LEASE, LOOP_INTERVAL, METRICS_EXPIRY};
use super::{Change, Coordination, Event, WorkerId};
use crate::engine::{Ctx, SimDuration, SimTime};
use crate::kinesis::ShardIndex;

/// The leader balances in one of this many runs (`varianceBalancingFrequency`).
const BALANCE_EVERY: u32 = 3;

/// The leader's lock in DynamoDB, and how far its holder is.
#[derive(Clone, Debug, Default)]
pub(super) struct Lock {
    holder: Option<WorkerId>,
    /// How often it was acquired.
    term: u32,
    acquired_at: SimTime,
    /// Runs of the leader since it acquired the lock.
    runs: u32,
}

impl Lock {
    /// Who holds it, alive or not.
    pub(super) fn holder(&self) -> Option<WorkerId> {
        self.holder
    }

    /// `worker` holds it from now on.
    pub(super) fn seize(&mut self, worker: WorkerId, now: SimTime) {
        self.holder = Some(worker);
        self.term += 1;
        self.acquired_at = now;
        self.runs = 0;
    }

    /// `worker` gives it back, if it holds it.
    pub(super) fn release(&mut self, worker: WorkerId) {
        if self.holder == Some(worker) {
            self.holder = None;
        }
    }
}

/// Whether a candidate that first saw the lock's present version at `since` may take the lock.
fn lock_expired(since: SimTime, now: SimTime) -> bool {
    unchanged_for(Some(since), LOCK_LEASE, now)
}

impl Coordination {
    /// A worker that does not lead looks at the lock.
    pub(super) fn on_lock_checked(
        &mut self,
        worker: WorkerId,
        ctx: &mut Ctx<'_, Event>,
        changes: &mut Vec<Change>,
    ) {
        if self.lock_is_free_for(worker, ctx.now) {
            self.lock.seize(worker, ctx.now);
            let state = &mut self.workers[worker.index()];
            state.observer.clear();
            let next_run = state.threads.assigner.next_from(ctx.now);
            ctx.at(next_run, Event::AssignerRan(worker));
            changes.push(Change::LeaderChanged { worker });
        } else {
            self.check_lock_later(worker, ctx);
        }
    }

    fn lock_is_free_for(&mut self, worker: WorkerId, now: SimTime) -> bool {
        let Some(holder) = self.lock.holder else {
            return true;
        };
        let beat = self.workers[holder.index()].heartbeat_by(now);
        let version = LockVersion {
            term: self.lock.term,
            beat_at: beat.map_or(self.lock.acquired_at, |at| at.max(self.lock.acquired_at)),
        };
        let seen = &mut self.workers[worker.index()].lock_seen;
        match *seen {
            Some((before, since)) if before == version => lock_expired(since, now),
            Some(_) | None => {
                *seen = Some((version, now));
                false
            }
        }
    }

    /// Not before 30 s have passed, on the next run of a loop whose phase drifts.
    fn check_lock_later(&mut self, worker: WorkerId, ctx: &mut Ctx<'_, Event>) {
        let rng = &mut self.workers[worker.index()].rng;
        let loop_delay = SimDuration(rng.below(LOOP_INTERVAL.0));
        ctx.after(LOCK_HEARTBEAT + loop_delay, Event::LockChecked(worker));
    }

    /// One run of the LeaseAssignmentManager.
    pub(super) fn on_assigner_ran(&mut self, leader: WorkerId, ctx: &mut Ctx<'_, Event>) {
        if self.lock.holder != Some(leader) {
            // It was paused so long that another one leads.
            return self.check_lock_later(leader, ctx);
        }
        let leases = self.load_leases(leader, ctx.now);
        let fleet = Fleet {
            candidates: self.candidates(&leases, ctx.now),
            worker_count: self.workers.len(),
            max_leases_for_worker: self.config.max_leases_for_worker,
        };
        let strategy = if self.config.lease_count_based {
            AssignmentStrategy::LeaseCount
        } else {
            AssignmentStrategy::Throughput
        };
        let balances = self.lock.runs.is_multiple_of(BALANCE_EVERY);
        self.lock.runs += 1;
        let rng = &mut self.workers[leader.index()].rng;
        let plan = assignment::plan(&leases, fleet, strategy, balances, rng);
        for (at, owner) in plan {
            self.carry_out(&leases[at], owner, leader, ctx);
        }
        ctx.after(self.intervals.assign, Event::AssignerRan(leader));
    }

    /// The open leases as the leader sees them.
    fn load_leases(&mut self, leader: WorkerId, now: SimTime) -> Vec<AssignableLease> {
        let renewals = self.renewals_by(now);
        let failover = self.intervals.failover;
        let observer = &mut self.workers[leader.index()].observer;
        let mut loaded = Vec::with_capacity(self.open.len());
        for &shard in &self.open {
            let Some(lease) = &self.leases[shard.0 as usize] else {
                continue;
            };
            let owner = lease.actual_owner();
            let counter = lease.counter_with(|worker| renewals[worker.index()]);
            let changed_at = observer.note(shard, counter, owner.is_some(), now);
            let available = owner.is_none() || unchanged_for(changed_at, failover, now);
            let handing_over = lease.checkpoint_owner.is_some();
            loaded.push(AssignableLease {
                shard,
                owner,
                available,
                changed_at,
                handing_over,
                movable: available || !handing_over || lease.handoff_deadline <= now,
                throughput: lease.throughput,
            });
        }
        loaded
    }

    /// Workers whose metrics are fresh, dead or alive, with what their last report shows.
    fn candidates(&mut self, leases: &[AssignableLease], now: SimTime) -> Vec<Candidate> {
        let mut held = vec![Vec::new(); self.workers.len()];
        for lease in leases {
            if let Some(holder) = self.lease(lease.shard).and_then(|row| row.holder) {
                held[holder.worker.index()].push(lease.shard);
            }
        }
        let find = |shard: &ShardIndex| leases.binary_search_by_key(shard, |l| l.shard).ok();
        let mut candidates = Vec::new();
        for (worker, held) in self.worker_ids().zip(held) {
            let state = &mut self.workers[worker.index()];
            let reported_at = state.reported_by(now);
            if state.report.at.is_none_or(|before| before < reported_at) {
                state.report = Report { at: Some(reported_at), held };
            }
            if !unchanged_for(state.report.at, METRICS_EXPIRY, now) {
                let reported = state.report.held.iter().filter_map(find).collect();
                candidates.push(Candidate { worker, reported });
            }
        }
        candidates
    }

    /// Writes one decision of the leader into the table.
    fn carry_out(
        &mut self,
        lease: &AssignableLease,
        owner: WorkerId,
        leader: WorkerId,
        ctx: &mut Ctx<'_, Event>,
    ) {
        let shard = lease.shard;
        if !lease.movable {
            return;
        }
        if self.config.graceful_handoff && !lease.available && !lease.handing_over {
            return self.begin_handoff(shard, owner, ctx);
        }
        self.assign(shard, owner, ctx);
        // The leader knows the counter it has just written.
        let renewals = self.renewals_by(ctx.now);
        if let Some(row) = &self.leases[shard.0 as usize] {
            let counter = row.counter_with(|worker| renewals[worker.index()]);
            let observer = &mut self.workers[leader.index()].observer;
            observer.note(shard, counter, true, ctx.now);
        }
    }

    /// Makes `owner` the owner; whoever held the lease learns of it by itself.
    fn assign(&mut self, shard: ShardIndex, owner: WorkerId, ctx: &mut Ctx<'_, Event>) {
        self.evict(shard, ctx);
        self.write_owner(shard, owner, None, ctx.now);
        self.arm_discovery(owner, ctx);
    }

    /// Names the next owner, and leaves the lease with the present one until its reader is done.
    fn begin_handoff(&mut self, shard: ShardIndex, next: WorkerId, ctx: &mut Ctx<'_, Event>) {
        let patience = self.config.graceful_handoff_timeout + self.intervals.failover;
        let Some(lease) = self.lease_mut(shard) else {
            return;
        };
        lease.checkpoint_owner = lease.lease_owner;
        lease.lease_owner = Some(next);
        lease.handoff_deadline = ctx.now + patience;
        if let Some(holder) = lease.holder {
            self.workers[holder.worker.index()].handoffs.push(shard);
            self.arm_renewal(holder.worker, ctx);
        }
    }

    /// The worker finished its graceful shutdown of the shard's reader: the lease goes to its next
    /// owner. Without a running handoff nothing happens.
    pub fn handed_off(
        &mut self,
        shard: ShardIndex,
        ctx: &mut Ctx<'_, Event>,
        _changes: &mut Vec<Change>,
    ) {
        let stage = self.lease(shard).and_then(|lease| lease.holder).map(|h| h.stage);
        if stage == Some(Stage::ShutdownRequested) {
            self.hand_over(shard, ctx);
        }
    }

    /// The old owner completes a handoff; it holds the lease no longer, and knows it.
    pub(super) fn hand_over(&mut self, shard: ShardIndex, ctx: &mut Ctx<'_, Event>) {
        let next = self.lease(shard).and_then(|lease| lease.lease_owner);
        if let Some(next) = next {
            self.write_owner(shard, next, None, ctx.now);
            self.arm_discovery(next, ctx);
        }
    }

    /// The old owner gives the lease away although its reader still runs.
    pub(super) fn on_handoff_timed_out(&mut self, shard: ShardIndex, ctx: &mut Ctx<'_, Event>) {
        let next = self.lease(shard).and_then(|lease| lease.lease_owner);
        if let Some(next) = next {
            self.assign(shard, next, ctx);
        }
    }

    /// Schedules the worker's next look for leases that were assigned to it.
    pub(super) fn arm_discovery(&mut self, worker: WorkerId, ctx: &mut Ctx<'_, Event>) {
        let state = &mut self.workers[worker.index()];
        if state.pulse != Pulse::Gone && !state.discovery_armed {
            state.discovery_armed = true;
            let next = state.threads.discovery.next_after(ctx.now);
            ctx.at(next, Event::LeasesDiscovered(worker));
        }
    }

    pub(super) fn on_leases_discovered(&mut self, worker: WorkerId, ctx: &mut Ctx<'_, Event>) {
        self.workers[worker.index()].discovery_armed = false;
        for shard in self.open.clone() {
            let workers = &self.workers;
            let Some(lease) = self.leases[shard.0 as usize].as_mut() else {
                continue;
            };
            let mine = lease.lease_owner == Some(worker) && lease.checkpoint_owner.is_none();
            if !mine || lease.holder.is_some() {
                continue;
            }
            let holder = Holder { worker, stage: Stage::Held };
            lease.settle(ctx.now, Some(holder), workers);
            lease.noted_at = ctx.now;
            self.wait_for_loop(shard, worker, ctx);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_expires_strictly_after_its_lease() {
        let since = SimTime(7);
        assert!(!lock_expired(since, since + LOCK_LEASE));
        assert!(lock_expired(since, since + LOCK_LEASE + SimDuration(1)));
    }

    #[test]
    fn only_the_holder_releases_the_lock() {
        let mut lock = Lock::default();
        lock.seize(WorkerId(1), SimTime(5));
        lock.release(WorkerId(2));
        assert_eq!(lock.holder(), Some(WorkerId(1)));
        lock.release(WorkerId(1));
        assert_eq!(lock.holder(), None);
    }
}
