//! Where an application stands when the run begins, and how it begins during the run.
//!
//! | Mechanism                                                             | Fact     |
//! |-----------------------------------------------------------------------|----------|
//! | LATEST: leases of the shards that are open, behind what is there        | N-KCL-24 |
//! | TRIM_HORIZON: leases of the oldest shards, at what retention has left   | N-KCL-24 |
//! | nobody holds a lease: whoever scans first takes them                    | N-KCL-7  |
//!
//! An application that has run for long, or has only been away, has checkpoints: so long before the
//! start of the run, in what its stream held by then.
//!
//! What was stored before its first position is not the application's: neither unread nor lost.
//!
//! Simplification: LATEST is where the stream ends when the workers start. Really each shard's
//! iterator says it, some seconds later, when its first reader asks: who counts the records of
//! these seconds could tell. Leases of an application that was away have no owner, where really they
//! keep the name of one that is long gone, and are free after the failover time.

use crate::config::InitialPosition;
use crate::engine::SimDuration;
use crate::ledger::Seen;

use super::{App, AppCtx, ShardIndex, ShardState};

impl App {
    /// Whether it has yet to begin and will then read what is stored now.
    #[must_use]
    pub fn waits_for_all(&self) -> bool {
        let all = self.config.initial_position == InitialPosition::TrimHorizon;
        self.waits && all && !self.config.outset.has_position()
    }

    /// What it has not read of what was there before the run.
    pub(super) fn take_position(&mut self, at: &mut AppCtx<'_, '_>) {
        let lag = self.config.outset.lag.unwrap_or(SimDuration::ZERO);
        for (state, source) in self.shards.iter_mut().zip(&at.stream.shards) {
            let Some(state) = state else { continue };
            let first = source.log.position_before_start(lag);
            state.begin_at(first, source.log.fresh_between(first, source.log.end()));
            self.unread += state.unread;
        }
        at.ledger.begin(self.index, self.unread);
        self.tell_positions(at);
        self.counts.lag_records_max = self.unread;
    }

    /// Checkers learn from where on it reads.
    fn tell_positions(&self, at: &mut AppCtx<'_, '_>) {
        for (state, shard) in self.shards.iter().zip(0..) {
            if let Some(first) = state.as_ref().map(|it| it.delivered).filter(|it| *it > 0) {
                at.ledger.saw(|| Seen::begins(self.index, shard, first));
            }
        }
    }

    /// Its workers start.
    pub fn begin(&mut self, at: &mut AppCtx<'_, '_>) {
        let now = at.ctx.now;
        self.waits = false;
        let leases = if self.config.outset.has_position() {
            self.coordination.open_leases().to_vec()
        } else {
            self.take_first_position(at)
        };
        self.workers.iter_mut().for_each(|worker| worker.running = true);
        let workers = self.slots();
        self.with_leases(at, |it, ctx, changes| it.begin(workers, &leases, ctx, changes));
        for shard in leases {
            self.note_pause(shard.0, now);
        }
    }

    /// Where it reads from without a checkpoint; returns the shards that get a lease.
    fn take_first_position(&mut self, at: &mut AppCtx<'_, '_>) -> Vec<ShardIndex> {
        let now = at.ctx.now;
        let all = 0..u32::try_from(at.stream.shards.len()).expect("fewer than 2^32 shards");
        let latest = self.config.initial_position == InitialPosition::Latest;
        let known: Vec<u32> = if latest { at.stream.open.clone() } else { all.clone().collect() };
        self.shards = all.map(|_| None).collect();
        for &shard in &known {
            let log = &at.stream.shards[shard as usize].log;
            let mut state = ShardState::new(now);
            let first = if latest {
                log.end()
            } else {
                state.expired.horizon(log, at.stream.config.retention, now).max(log.start())
            };
            state.begin_at(first, log.fresh_between(first, log.end()));
            self.unread += state.unread;
            self.shards[shard as usize] = Some(state);
        }
        at.ledger.begin(self.index, self.unread);
        self.tell_positions(at);
        self.counts.lag_records_max = self.unread;
        // A child waits until whoever ends its parents makes its lease.
        let waits = |shard: &&u32| {
            let parents = at.stream.shards[**shard as usize].parents;
            let any_known = parents.iter().flatten().any(|it| known.contains(it));
            self.config.parents_first && any_known
        };
        known.iter().filter(|it| !waits(it)).map(|&it| ShardIndex(it)).collect()
    }
}

impl ShardState {
    /// It begins at a position, with so many records from there on.
    fn begin_at(&mut self, position: u64, unread: u64) {
        (self.delivered, self.checkpoint, self.unread) = (position, position, unread);
    }
}
