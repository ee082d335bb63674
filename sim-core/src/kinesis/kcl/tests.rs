//! A bench that holds one application, its stream, its queue and its books, and nothing else.

mod blame;
mod books;
mod checkpoints;
mod fetching;
mod retention;
mod shards;
mod threads;

use std::collections::BTreeMap;

use super::*;
use crate::config::{
    Capacity, InitialPosition, KclVersion, Outset, Retrieval, ServiceTime, StreamConfig,
};
use crate::engine::EventQueue;
use crate::flow::{Batch, KeyClass};

fn ms(ms: u64) -> SimDuration {
    SimDuration::from_millis(ms)
}

fn at_ms(ms: u64) -> SimTime {
    SimTime(ms * 1_000_000)
}

/// Just before an instant.
fn before(instant: SimTime) -> SimTime {
    SimTime(instant.0 - 1)
}

/// Provisioned, with no latency of its own and resharding in no time.
fn stream(shards: u32) -> StreamConfig {
    StreamConfig {
        name: "clicks".to_owned(),
        capacity: Capacity::Provisioned { shards },
        retention: SimDuration::from_secs(86_400),
        burst_bytes: 1 << 20,
        put_latency: SimDuration::ZERO,
        get_latency: SimDuration::ZERO,
        push_latency: SimDuration::ZERO,
        reshard_time: SimDuration::ZERO,
        reshard_serially: true,
        history: None,
    }
}

/// KCL 2.x with fan-out and the defaults of N-KCL-2; a second for each record.
fn config(workers: u32) -> KclConfig {
    KclConfig {
        name: "profiles".to_owned(),
        stream: 0,
        workers,
        version: KclVersion::V2,
        retrieval: Retrieval::FanOut,
        service: ServiceTime::Fixed(SimDuration::from_secs(1)),
        worker_threads: 0,
        failover_time: SimDuration::from_secs(10),
        max_leases_for_worker: u32::MAX,
        max_leases_to_steal_at_one_time: 1,
        parent_shard_poll_interval: SimDuration::from_secs(10),
        max_records: 10_000,
        lease_count_based: false,
        graceful_handoff: true,
        graceful_handoff_timeout: SimDuration::from_secs(30),
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

fn polling(idle: SimDuration) -> Retrieval {
    Retrieval::Polling { idle_time_between_reads: idle }
}

/// So many bytes that a push takes no more than this record.
const ALONE: u32 = 200 << 10;

struct Bench {
    app: App,
    stream: Stream,
    queue: EventQueue<Event>,
    ledger: Ledger,
    faults: ReadFaults,
    now: SimTime,
    /// What a person would see: (when, kind, subject).
    notes: Vec<(SimTime, &'static str, String)>,
    /// Next number of each class.
    numbers: BTreeMap<KeyClass, u64>,
}

impl Bench {
    /// An application in its balanced state at the start of a run.
    fn new(config: &KclConfig, stream: &StreamConfig, seed: u64) -> Self {
        let stream = Stream::new(stream);
        let rngs = Rngs::new(seed);
        let mut bench = Self {
            app: App::new(config, 0, &stream, &rngs),
            stream,
            queue: EventQueue::new(),
            ledger: Ledger::new(1, 1),
            faults: ReadFaults::default(),
            now: SimTime::ZERO,
            notes: Vec::new(),
            numbers: BTreeMap::new(),
        };
        bench.act(|app, at| app.start(false, &rngs, at));
        bench
    }

    /// Lets the application act as the world would; every overtaken record is of the same key.
    fn act<T>(&mut self, what: impl FnOnce(&mut App, &mut AppCtx<'_, '_>) -> T) -> T {
        let mut journal = Vec::new();
        let mut at = AppCtx {
            ctx: Ctx::new(self.now, &mut self.queue),
            stream: &mut self.stream,
            ledger: &mut self.ledger,
            sinks: &mut [],
            overtaking: &|_, _, _| 1.0,
            faults: self.faults,
            journal: &mut journal,
        };
        let result = what(&mut self.app, &mut at);
        self.notes.extend(journal.into_iter().map(|(kind, subject, _)| (self.now, kind, subject)));
        self.app.audit();
        self.ledger.audit(&[0], &[self.app.count_unread(&self.stream)]);
        result
    }

    /// Lets everything happen that is due by `until`, and looks at what has been processed.
    fn run_until(&mut self, until: SimTime) {
        while self.queue.next_at().is_some_and(|next| next <= until) {
            let Some(next) = self.queue.pop() else { break };
            self.now = next.at;
            self.act(|app, at| app.handle(next.event, at));
        }
        self.now = until;
        self.act(|app, at| {
            app.settle_all(at);
            app.expire_all(at);
        });
    }

    /// Records of many keys that were offered, sent and stored now.
    fn append(&mut self, shard: u32, records: u32) {
        let batch = self.batch(KeyClass::REST, records, records * 100);
        self.put(shard, self.now, &[batch]);
    }

    /// A record that no push brings together with another one.
    fn append_alone(&mut self, shard: u32) {
        let batch = self.batch(KeyClass::REST, 1, ALONE);
        self.put(shard, self.now, &[batch]);
    }

    /// Records of one class, offered and first sent now.
    fn batch(&mut self, class: KeyClass, count: u32, bytes: u32) -> Batch {
        let next = self.numbers.entry(class).or_default();
        let first_seq = *next;
        *next += u64::from(count);
        Batch {
            offered_at: self.now,
            first_sent_at: self.now,
            first_seq,
            backlog_ns: 0,
            count,
            bytes,
            class,
            partition: 0,
            flow: FlowId(0),
            stride: 1,
            failures: 0,
            already_stored: false,
        }
    }

    /// A request that was sent at `sent_at` is stored in one shard now.
    fn put(&mut self, shard: u32, sent_at: SimTime, batches: &[Batch]) {
        let (mut new, mut wire) = (0, (0, 0));
        for batch in batches {
            let count = u64::from(batch.count);
            wire = (wire.0 + batch.count, wire.1 + u64::from(batch.bytes));
            if !batch.already_stored {
                self.ledger.offer(0, count, u64::from(batch.bytes));
                new += count;
            }
            self.ledger.append(0, &[0], count, batch.already_stored);
        }
        self.stream.shards[shard as usize].log.append(sent_at, self.now, wire, batches);
        self.act(|app, at| app.appended(shard, new, at));
    }

    /// A shard is split in the middle, at once.
    fn split(&mut self, shard: u32) {
        let split = self.stream.split(shard, self.now, SimDuration::ZERO);
        split.unwrap_or_else(|problem| panic!("{problem}"));
        self.reshard();
    }

    /// Two neighbours are merged, at once.
    fn merge(&mut self, lower: u32, upper: u32) {
        let merge = self.stream.merge(lower, upper, self.now);
        merge.unwrap_or_else(|problem| panic!("{problem}"));
        self.reshard();
    }

    fn reshard(&mut self) {
        for change in self.stream.reshard_due(self.now) {
            self.act(|app, at| app.resharded(&change.opened, at));
        }
    }

    fn kill(&mut self, workers: u32) {
        for _ in 0..workers {
            let next = (0..self.app.slots()).find(|&slot| self.app.is_running(slot));
            let next = next.expect("a worker that runs");
            assert!(self.act(|app, at| app.end_worker(next, false, at)));
        }
    }

    fn add_worker(&mut self) {
        self.act(|app, at| app.add_workers(1, at));
    }

    fn delivered(&self) -> u64 {
        self.ledger.consumers[0].delivered
    }

    fn redelivered(&self) -> u64 {
        self.ledger.consumers[0].redelivered
    }

    fn unread(&self) -> u64 {
        self.ledger.consumers[0].unread()
    }

    /// When something of this kind was noted, in order.
    fn noted(&self, kind: &str) -> Vec<SimTime> {
        self.notes.iter().filter(|note| note.1 == kind).map(|note| note.0).collect()
    }

    /// The delivery of the greatest age, in milliseconds by cause.
    fn longest(&self) -> Vec<(&'static str, u64)> {
        in_millis(&self.app.blame.longest())
    }

    /// All deliveries, in record-milliseconds by cause.
    fn total(&self) -> Vec<(&'static str, u64)> {
        in_millis(&self.app.blame.total())
    }
}

/// Blame in whole milliseconds, in the order in which a record meets the causes.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small positive numbers of a test"
)]
fn in_millis(blame: &crate::result::BlameMap) -> Vec<(&'static str, u64)> {
    let of_cause = |(_, name): &(Cause, &'static str)| {
        blame.get(*name).map(|seconds| (*name, (seconds * 1e3).round() as u64))
    };
    let parts: Vec<_> = crate::blame::CAUSES.iter().filter_map(of_cause).collect();
    assert_eq!(parts.len(), blame.len(), "every cause of {blame:?} is known");
    parts
}

fn sum(parts: &[(&'static str, u64)]) -> u64 {
    parts.iter().map(|(_, ms)| ms).sum()
}
