//! A bench that runs the coordination on a queue of its own and keeps the readers' side honest.

mod failover;
mod laws;
mod v2;
mod v3;

use std::collections::BTreeMap;

use super::*;
use crate::config::{InitialPosition, Outset, Retrieval, ServiceTime};
use crate::engine::ctx::Scoped;
use crate::engine::{EventQueue, NANOS_PER_SEC};

const STEADY: bool = true;
const COLD: bool = false;

fn secs(s: u64) -> SimDuration {
    SimDuration::from_secs(s)
}

fn at(s: u64) -> SimTime {
    SimTime(s * NANOS_PER_SEC)
}

fn shard(n: u32) -> ShardIndex {
    ShardIndex(n)
}

/// The defaults of N-KCL-2.
fn config(version: KclVersion, workers: u32) -> KclConfig {
    KclConfig {
        name: "profiles".to_owned(),
        stream: 0,
        workers,
        version,
        retrieval: Retrieval::FanOut,
        service: ServiceTime::Fixed(SimDuration::from_micros(300)),
        worker_threads: 0,
        failover_time: secs(10),
        max_leases_for_worker: i32::MAX.unsigned_abs(),
        max_leases_to_steal_at_one_time: 1,
        parent_shard_poll_interval: secs(10),
        max_records: 10_000,
        lease_count_based: false,
        graceful_handoff: true,
        graceful_handoff_timeout: secs(30),
        checkpoint_interval: SimDuration::ZERO,
        parents_first: true,
        renews_iterators: true,
        sink_idempotent: false,
        sink: None,
        outset: Outset::default(),
        initial_position: InitialPosition::Latest,
        leases: Vec::new(),
    }
}

enum BenchEvent {
    Kcl(Event),
    /// A reader that was asked to shut down has done so.
    ReaderDone(ShardIndex, WorkerId),
}

/// How a bench's reader answers a request to shut down.
#[derive(Clone, Copy)]
enum OnShutdown {
    DoneAfter(SimDuration),
    Never,
}

struct Bench {
    kcl: Coordination,
    queue: EventQueue<BenchEvent>,
    now: SimTime,
    log: Vec<(SimTime, Change)>,
    /// Every owner that the table has shown, with the instant.
    owners: BTreeMap<ShardIndex, Vec<(SimTime, Option<WorkerId>)>>,
    /// Active readers by shard.
    readers: BTreeMap<ShardIndex, Vec<WorkerId>>,
    most_readers: usize,
    on_shutdown: OnShutdown,
}

impl Bench {
    fn new(config: &KclConfig, shards: u32, seed: u64, steady: bool) -> Self {
        let shards: Vec<_> = (0..shards).map(ShardIndex).collect();
        let mut bench = Self {
            kcl: Coordination::new(config, &shards, &Rngs::new(seed)),
            queue: EventQueue::new(),
            now: SimTime::ZERO,
            log: Vec::new(),
            owners: BTreeMap::new(),
            readers: BTreeMap::new(),
            most_readers: 0,
            on_shutdown: OnShutdown::DoneAfter(SimDuration::from_millis(400)),
        };
        bench.act(|kcl, ctx, changes| kcl.start(steady, ctx, changes));
        bench
    }

    /// Calls the coordination as the world would, and acts on what it answers.
    fn act<T>(
        &mut self,
        what: impl FnOnce(&mut Coordination, &mut Ctx<'_, Event>, &mut Vec<Change>) -> T,
    ) -> T {
        let mut changes = Vec::new();
        let mut scoped = Scoped::new(&mut self.queue, BenchEvent::Kcl);
        let mut ctx = Ctx::new(self.now, &mut scoped);
        let result = what(&mut self.kcl, &mut ctx, &mut changes);
        for change in changes {
            self.on_change(change);
        }
        self.kcl.audit();
        self.note_owners();
        result
    }

    fn on_change(&mut self, change: Change) {
        self.log.push((self.now, change));
        match change {
            Change::Acquired { shard, worker, .. } => {
                let readers = self.readers.entry(shard).or_default();
                assert!(!readers.contains(&worker), "{worker:?} reads {shard:?} already");
                readers.push(worker);
                self.most_readers = self.most_readers.max(readers.len());
            }
            Change::Lost { shard, worker } => self.reader_stops(shard, worker),
            Change::ShutdownRequested { shard, worker } => {
                if let OnShutdown::DoneAfter(delay) = self.on_shutdown {
                    let done = BenchEvent::ReaderDone(shard, worker);
                    self.queue.schedule_at(self.now + delay, done);
                }
            }
            Change::LeaderChanged { .. } => {}
        }
    }

    fn reader_stops(&mut self, shard: ShardIndex, worker: WorkerId) {
        let readers = self.readers.entry(shard).or_default();
        let before = readers.len();
        readers.retain(|&reader| reader != worker);
        assert!(readers.len() < before, "{worker:?} was told twice that it lost {shard:?}");
    }

    fn note_owners(&mut self) {
        for &shard in &self.kcl.open {
            let owner = self.kcl.owner(shard);
            let seen = self.owners.entry(shard).or_default();
            if seen.last().is_none_or(|&(_, last)| last != owner) {
                seen.push((self.now, owner));
            }
        }
    }

    fn run_until(&mut self, until: SimTime) {
        while self.queue.next_at().is_some_and(|next| next <= until) {
            let Some(next) = self.queue.pop() else { break };
            self.now = next.at;
            match next.event {
                BenchEvent::Kcl(event) => {
                    self.act(|kcl, ctx, changes| kcl.handle(event, ctx, changes));
                }
                BenchEvent::ReaderDone(shard, worker) => {
                    if self.readers.get(&shard).is_some_and(|r| r.contains(&worker)) {
                        self.reader_stops(shard, worker);
                        self.act(|kcl, ctx, changes| kcl.handed_off(shard, ctx, changes));
                    }
                }
            }
        }
        self.now = until;
    }

    fn kill(&mut self, worker: u32) {
        let worker = WorkerId(worker);
        self.kcl.kill(worker, self.now);
        self.readers.values_mut().for_each(|r| r.retain(|&w| w != worker));
    }

    fn stop(&mut self, worker: u32) {
        let worker = WorkerId(worker);
        self.kcl.stop(worker, self.now);
        self.readers.values_mut().for_each(|r| r.retain(|&w| w != worker));
    }

    fn pause(&mut self, worker: u32) {
        self.kcl.pause(WorkerId(worker), self.now);
    }

    fn resume(&mut self, worker: u32) {
        self.act(|kcl, ctx, changes| kcl.resume(WorkerId(worker), ctx, changes));
    }

    fn add_worker(&mut self) -> WorkerId {
        self.act(|kcl, ctx, _| kcl.add_worker(ctx))
    }

    /// The owner's reader of `shard` stops at its end.
    fn end_shard(&mut self, ended: u32, children: &[(u32, [Option<u32>; 2])]) {
        let owner = self.kcl.owner(shard(ended)).expect("a shard that is read has an owner");
        self.reader_stops(shard(ended), owner);
        let children: Vec<_> = children
            .iter()
            .map(|&(child, parents)| (shard(child), parents.map(|p| p.map(ShardIndex))))
            .collect();
        self.act(|kcl, ctx, _| kcl.shard_ended(shard(ended), &children, ctx));
    }

    /// Leases by owner in the table.
    fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.kcl.workers.len()];
        for &shard in &self.kcl.open {
            if let Some(owner) = self.kcl.owner(shard) {
                counts[owner.index()] += 1;
            }
        }
        counts
    }

    fn readers_of(&self, n: u32) -> &[WorkerId] {
        self.readers.get(&shard(n)).map_or(&[], Vec::as_slice)
    }

    /// When each lease of `former` got another owner after `since`, in order.
    fn takeovers(&self, former: WorkerId, since: SimTime) -> Vec<SimTime> {
        let mut instants = Vec::new();
        for seen in self.owners.values() {
            for pair in seen.windows(2) {
                if pair[0].1 == Some(former) && since < pair[1].0 {
                    instants.push(pair[1].0);
                }
            }
        }
        instants.sort();
        instants
    }

    /// When readers started after `since`.
    fn starts(&self, since: SimTime) -> Vec<(SimTime, ShardIndex)> {
        let later = self.log.iter().filter(|(at, _)| since < *at);
        let start = later.filter_map(|&(at, change)| match change {
            Change::Acquired { shard, .. } => Some((at, shard)),
            Change::Lost { .. }
            | Change::ShutdownRequested { .. }
            | Change::LeaderChanged { .. } => None,
        });
        start.collect()
    }
}
