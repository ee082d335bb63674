//! An application that begins during the run: its workers start with nothing checkpointed.
//!
//! | Mechanism                                                             | Fact     |
//! |-----------------------------------------------------------------------|----------|
//! | LATEST: leases of the shards that are open, behind what is there        | N-KCL-24 |
//! | TRIM_HORIZON: leases of the oldest shards, at what retention has left   | N-KCL-24 |
//! | nobody holds a lease: whoever scans first takes them                    | N-KCL-7  |
//!
//! What was stored before its first position is not the application's: neither unread nor lost.
//!
//! Simplification: LATEST is where the stream ends when the workers start. Really each shard's
//! iterator says it, some seconds later, when its first reader asks: who counts the records of
//! these seconds could tell.

use crate::config::InitialPosition;

use super::{App, AppCtx, ShardIndex, ShardState};

impl App {
    /// Whether it has yet to begin and will then read what is stored now.
    #[must_use]
    pub fn waits_for_all(&self) -> bool {
        self.waits && self.config.initial_position == InitialPosition::TrimHorizon
    }

    /// Its workers start.
    pub fn begin(&mut self, at: &mut AppCtx<'_, '_>) {
        let now = at.ctx.now;
        self.waits = false;
        let all = 0..u32::try_from(at.stream.shards.len()).expect("fewer than 2^32 shards");
        let known: Vec<u32> = match self.config.initial_position {
            InitialPosition::Latest => at.stream.open.clone(),
            InitialPosition::TrimHorizon => all.clone().collect(),
        };
        self.shards = all.map(|_| None).collect();
        for &shard in &known {
            let log = &at.stream.shards[shard as usize].log;
            let mut state = ShardState::new(now);
            let first = match self.config.initial_position {
                InitialPosition::Latest => log.end(),
                InitialPosition::TrimHorizon => {
                    let retention = at.stream.config.retention;
                    state.expired.horizon(log, retention, now).max(log.start())
                }
            };
            let parts = (first..log.end()).map(|position| log.part(position));
            state.unread =
                parts.filter(|part| !part.copy).map(|part| u64::from(part.count)).sum::<u64>();
            (state.delivered, state.checkpoint) = (first, first);
            self.unread += state.unread;
            at.ledger.begin(self.index, state.unread);
            self.shards[shard as usize] = Some(state);
        }
        self.counts.lag_records_max = self.counts.lag_records_max.max(self.unread);
        self.workers.iter_mut().for_each(|worker| worker.running = true);
        let workers = self.slots();
        // A child waits until whoever ends its parents makes its lease.
        let waits = |shard: &&u32| {
            let parents = at.stream.shards[**shard as usize].parents;
            let any_known = parents.iter().flatten().any(|it| known.contains(it));
            self.config.parents_first && any_known
        };
        let leases: Vec<ShardIndex> =
            known.iter().filter(|it| !waits(it)).map(|&it| ShardIndex(it)).collect();
        self.with_leases(at, |it, ctx, changes| it.begin(workers, &leases, ctx, changes));
        for &shard in &known {
            self.note_pause(shard, now);
        }
    }
}
