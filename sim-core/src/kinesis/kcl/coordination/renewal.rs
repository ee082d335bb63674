//! Renewal: keeping a lease, noticing its loss, pauses, and the fence around checkpoints.
//!
//! | Mechanism                                                                 | Fact     |
//! |---------------------------------------------------------------------------|----------|
//! | A lease that is locally older than F is dropped, not renewed              | N-KCL-4  |
//! | Another's write fails the next renewal: lost, at once                     | N-KCL-4  |
//! | A checkpoint is a renewal                                                 | N-KCL-4  |
//! | Both workers process until the victim's next renewal                      | N-KCL-8  |
//! | A checkpoint needs a lease that is held and not older than F              | N-KCL-9  |
//! | A renewal that meets a handoff goes on, and asks the reader to shut down  | N-KCL-22 |
//!
//! Healthy renewals are no events (D-16); one is scheduled when it will notice something.
//!
//! Simplification: a reader stops at the renewal that fails; really the loop stops it, up to a
//! second later. After a pause, the overdue renewal runs before the process's other threads: a real
//! zombie may process (not checkpoint) a little longer.

use super::table::{Pulse, Stage};
use super::{Change, Coordination, Event, WorkerId};
use crate::engine::{Ctx, SimTime};
use crate::kinesis::ShardIndex;

impl Coordination {
    /// Whether a checkpoint by `worker` now would succeed (N-KCL-9).
    #[must_use]
    pub fn may_checkpoint(&self, shard: ShardIndex, worker: WorkerId, now: SimTime) -> bool {
        self.lease(shard).is_some_and(|lease| {
            lease.holder.is_some_and(|h| h.worker == worker)
                && lease.local_age(now, &self.workers) <= self.intervals.failover
        })
    }

    /// A checkpoint of `worker` was written, which renews its lease (N-KCL-4).
    pub fn note_checkpoint(&mut self, shard: ShardIndex, worker: WorkerId, now: SimTime) {
        let workers = &self.workers;
        let Some(lease) = self.leases.get_mut(shard.0 as usize).and_then(Option::as_mut) else {
            return;
        };
        if let Some(holder) = lease.holder.filter(|h| h.worker == worker) {
            lease.write(now, Some(holder), workers);
        }
    }

    /// A checkpoint of `worker` was refused because another worker has the lease: it notices the
    /// loss now rather than at its next renewal.
    pub fn checkpoint_refused(
        &mut self,
        shard: ShardIndex,
        worker: WorkerId,
        changes: &mut Vec<Change>,
    ) {
        self.notice_loss(shard, worker, changes);
    }

    /// A pause (GC): the worker neither renews nor scans until [`Coordination::resume`].
    pub fn pause(&mut self, worker: WorkerId, now: SimTime) {
        let worker = &mut self.workers[worker.index()];
        if worker.pulse == Pulse::Running {
            worker.freeze(now);
            worker.pulse = Pulse::Paused;
        }
    }

    /// The end of a pause. If renewals were missed, the overdue one runs at once: it drops what is
    /// older than F, notices what others took, and renews the rest.
    pub fn resume(
        &mut self,
        worker: WorkerId,
        ctx: &mut Ctx<'_, Event>,
        changes: &mut Vec<Change>,
    ) {
        let state = &self.workers[worker.index()];
        if state.pulse != Pulse::Paused {
            return;
        }
        let overdue = state.renewals_due(ctx.now) > 0;
        if overdue {
            self.renew_after_pause(worker, ctx.now, changes);
        }
        let state = &mut self.workers[worker.index()];
        state.thaw(ctx.now);
        state.pulse = Pulse::Running;
        for event in std::mem::take(&mut state.missed) {
            ctx.at(ctx.now, event);
        }
        if overdue {
            self.on_renewed(worker, ctx, changes);
            self.arm_discovery(worker, ctx);
        } else if !state.stale.is_empty() || !state.handoffs.is_empty() {
            self.arm_renewal(worker, ctx);
        }
    }

    /// Renews what `worker` still holds after a pause, and drops what expired meanwhile.
    fn renew_after_pause(&mut self, worker: WorkerId, now: SimTime, changes: &mut Vec<Change>) {
        for &shard in &self.open {
            let expired = !self.may_checkpoint(shard, worker, now);
            let Some(lease) = self.leases[shard.0 as usize].as_mut() else {
                continue;
            };
            let Some(holder) = lease.holder.filter(|h| h.worker == worker) else {
                continue;
            };
            if !expired {
                lease.write(now, Some(holder), &self.workers);
                continue;
            }
            lease.settle(now, None, &self.workers);
            if holder.has_reader() {
                changes.push(Change::Lost { shard, worker });
            }
        }
    }

    /// A renewal that notices something: leases lost, or handoffs asked for.
    pub(super) fn on_renewed(
        &mut self,
        worker: WorkerId,
        ctx: &mut Ctx<'_, Event>,
        changes: &mut Vec<Change>,
    ) {
        let state = &mut self.workers[worker.index()];
        state.renewal_armed = false;
        let lost = std::mem::take(&mut state.stale);
        let handoffs = std::mem::take(&mut state.handoffs);
        changes.extend(lost.into_iter().map(|shard| Change::Lost { shard, worker }));
        for shard in handoffs {
            self.request_shutdown(shard, worker, ctx, changes);
        }
    }

    /// The holder of a lease no longer owns it. If it has a reader, it will notice at its next
    /// renewal, which is scheduled.
    pub(super) fn evict(&mut self, shard: ShardIndex, ctx: &mut Ctx<'_, Event>) {
        let workers = &mut self.workers;
        let Some(lease) = self.leases[shard.0 as usize].as_mut() else {
            return;
        };
        let Some(holder) = lease.holder else { return };
        lease.settle(ctx.now, None, workers);
        let victim = &mut workers[holder.worker.index()];
        if victim.pulse == Pulse::Gone || !holder.has_reader() {
            return;
        }
        victim.stale.push(shard);
        self.arm_renewal(holder.worker, ctx);
    }

    /// `worker` notices the loss of `shard` now, if it had not yet.
    pub(super) fn notice_loss(
        &mut self,
        shard: ShardIndex,
        worker: WorkerId,
        changes: &mut Vec<Change>,
    ) {
        let stale = &mut self.workers[worker.index()].stale;
        if let Some(at) = stale.iter().position(|&s| s == shard) {
            stale.remove(at);
            changes.push(Change::Lost { shard, worker });
        }
    }

    /// Schedules the worker's next renewal; a paused one renews at the end of its pause.
    pub(super) fn arm_renewal(&mut self, worker: WorkerId, ctx: &mut Ctx<'_, Event>) {
        let state = &mut self.workers[worker.index()];
        if state.pulse == Pulse::Running && !state.renewal_armed {
            state.renewal_armed = true;
            let next = state.threads.renewal.next_after(ctx.now);
            ctx.at(next, Event::Renewed(worker));
        }
    }

    /// Asks the reader of a lease that is being handed over to shut down. Without a reader there is
    /// nothing to wait for.
    fn request_shutdown(
        &mut self,
        shard: ShardIndex,
        worker: WorkerId,
        ctx: &mut Ctx<'_, Event>,
        changes: &mut Vec<Change>,
    ) {
        let patience = self.config.graceful_handoff_timeout;
        let Some(lease) = self.lease_mut(shard) else {
            return;
        };
        let acquisition = lease.acquisition;
        if lease.checkpoint_owner != Some(worker) {
            return;
        }
        let Some(holder) = lease.holder.as_mut().filter(|h| h.worker == worker) else {
            return;
        };
        if holder.has_reader() {
            holder.stage = Stage::ShutdownRequested;
            changes.push(Change::ShutdownRequested { shard, worker });
            let threads = self.workers[worker.index()].threads;
            let gives_up = threads.handoff_check.next_from(ctx.now + patience);
            ctx.at(gives_up, Event::HandoffTimedOut { shard, acquisition });
        } else {
            self.hand_over(shard, ctx);
        }
    }
}
