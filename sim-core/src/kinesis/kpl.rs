//! The Kinesis Producer Library: aggregator, limiter, collector, retrier, in this order.
//!
//! | Mechanism                                                                | Fact    |
//! |--------------------------------------------------------------------------|---------|
//! | a buffer per predicted shard, flushed by size, count or deadline          | N-KPL-1, N-KPL-3 |
//! | the collector gathers 500 records, 5 MiB, or 256 KiB for one shard        | N-KPL-2, N-KPL-3 |
//! | entering the collector moves the deadline to max(old, now + 20 ms)         | N-KPL-3 |
//! | a token bucket per shard and process at 150 % of the shard's limit         | N-KPL-4 |
//! | it is drained on every put and each 25 ms, in order, stopping at the first | N-KPL-4 |
//! | a failed record comes back after 50 ms, without back-off, until RecordTtl  | N-KPL-5 |
//! | a record in the wrong shard is sent again; the map is read anew if it still shows that shard | N-KPL-6 |
//! | while the map is invalid, records go unaggregated and past the limiter     | N-KPL-6 |
//! | an aggregate goes by the hash of its first record and counts once          | N-KPL-7 |
//!
//! Simplifications: within a buffer records leave in the order in which they came, not sorted by
//! deadline; a limiter's queue likewise. Protobuf framing is a constant per record and aggregate.
//! Several processes folded into one flow (D-11) share buffers n times as large, and their flushes
//! make n(1 - (1 - 1/n)^m) aggregates of m records. Reading the shard map takes 100 ms (an
//! assumption). A tail of single records could tell.

use std::collections::VecDeque;

use crate::config::KplConfig;
use crate::engine::{SimDuration, SimTime};
use crate::flow::{Batch, split_prefix};

use super::ShardIndex;
use super::client::{ClientCtx, ClientEvent, Connections, note_backlog};
use super::limiter::TokenBucket;
use super::put::PutItem;
use super::shard::{WRITE_BYTES_PER_SEC, WRITE_RECORDS_PER_SEC};

/// How often the limiter looks at its queues (N-KPL-4).
const DRAIN_PERIOD: SimDuration = SimDuration::from_millis(25);
/// Depth of the limiter's byte bucket (N-KPL-4).
const LIMITER_BURST_BYTES: u64 = 10 << 20;
/// Bytes for one shard that make the collector send (N-KPL-3).
const COLLECTION_SHARD_BYTES: u64 = 256 << 10;
/// Magic number and MD5 around an aggregate (N-KPL-7).
const AGGREGATE_OVERHEAD: u64 = 20;
/// Protobuf framing of a record in an aggregate: an assumption.
const RECORD_OVERHEAD: u64 = 8;
/// Time to list the shards: an assumption.
const MAP_REFRESH: SimDuration = SimDuration::from_millis(100);

/// One KPL process, or several folded into one.
#[derive(Clone, Debug)]
pub struct Kpl {
    config: KplConfig,
    processes: u32,
    buffers: Vec<Buffer>,
    /// Deadlines of the buffers, in order: one event for all that are due at one instant.
    agenda: VecDeque<(SimTime, u32)>,
    limiters: Vec<Option<ShardLimiter>>,
    /// Shards whose limiter holds records back.
    held_back: Vec<u32>,
    draining: bool,
    collector: Collector,
    connections: Connections,
    map_valid: bool,
    /// New shards that the map does not show yet, with the shard that it shows instead.
    stale: Vec<(u32, u32)>,
}

/// Records that wait to be aggregated.
#[derive(Clone, Debug, Default)]
struct Buffer {
    batches: Vec<Batch>,
    users: u64,
    bytes: u64,
    deadline: SimTime,
}

#[derive(Clone, Debug)]
struct ShardLimiter {
    records: TokenBucket,
    bytes: TokenBucket,
    queue: VecDeque<PutItem>,
}

/// The request that is being gathered.
#[derive(Clone, Debug, Default)]
struct Collector {
    items: Vec<PutItem>,
    wire_records: u32,
    wire_bytes: u64,
    deadline: SimTime,
    number: u32,
    /// Bytes by shard: as many entries as the request has shards.
    by_shard: Vec<(ShardIndex, u64)>,
}

impl Kpl {
    /// A client of `processes` equal processes.
    #[must_use]
    pub fn new(config: &KplConfig, processes: u32) -> Self {
        Self {
            connections: Connections::new(config.max_connections.saturating_mul(processes)),
            config: config.clone(),
            processes,
            buffers: Vec::new(),
            agenda: VecDeque::new(),
            limiters: Vec::new(),
            held_back: Vec::new(),
            draining: false,
            collector: Collector::default(),
            map_valid: true,
            stale: Vec::new(),
        }
    }

    /// The application hands over records.
    pub fn offer(&mut self, batches: &mut Vec<Batch>, ctx: &mut ClientCtx<'_>) {
        let deadline = ctx.now + self.config.record_max_buffered_time;
        for batch in batches.drain(..) {
            self.add(batch, deadline, ctx);
        }
    }

    /// An event of its own.
    pub fn handle(&mut self, event: ClientEvent, ctx: &mut ClientCtx<'_>) {
        match event {
            ClientEvent::BufferDue => self.flush_due(ctx),
            ClientEvent::CollectionDue(number) => {
                if number == self.collector.number && self.collector.deadline <= ctx.now {
                    self.send_collection(ctx);
                }
            }
            ClientEvent::Drain => self.drain_all(ctx),
            ClientEvent::MapRefreshed => {
                self.map_valid = true;
                self.stale.clear();
            }
            ClientEvent::Resend(_) => unreachable!("the KPL sends again through its buffers"),
        }
    }

    /// A request is answered: what failed comes back into the buffers (N-KPL-5).
    pub fn answered(&mut self, mut items: Vec<PutItem>, ctx: &mut ClientCtx<'_>) {
        self.connections.release(ctx);
        let deadline = ctx.now + self.retry_delay();
        for mut item in items.drain(..) {
            // An answer about a shard that the map no longer shows is old news: what still waits for
            // it when the map is read again must not make it be read once more.
            let shown = self.stale.iter().any(|(_, old)| *old == item.shard.0);
            if item.landed != item.shard && shown && self.map_valid {
                self.map_valid = false;
                ctx.timers.push((ctx.now + MAP_REFRESH, ClientEvent::MapRefreshed));
            }
            for batch in item.batches.drain(..) {
                let throttled = item.landed == item.shard;
                let expired = batch.offered_at + self.config.record_ttl <= ctx.now;
                if expired || (throttled && self.config.fail_if_throttled) {
                    ctx.give_up(&batch);
                } else {
                    self.add(batch, deadline, ctx);
                }
            }
            ctx.recycle(item.batches);
        }
        ctx.item_pool.push(items);
    }

    /// Shards were replaced: until the map is read again, records for the new ones are taken for
    /// the old ones.
    pub fn resharded(&mut self, closed: &[u32], opened: &[u32]) {
        let known = |stale: &[(u32, u32)], shard: u32| {
            stale.iter().find(|(new, _)| *new == shard).map_or(shard, |(_, old)| *old)
        };
        let old = known(&self.stale, closed[0]);
        self.stale.extend(opened.iter().map(|&new| (new, old)));
    }

    /// Calls `each` with every batch that it holds.
    pub fn for_each_held(&self, each: &mut dyn FnMut(&Batch)) {
        self.buffers.iter().flat_map(|buffer| &buffer.batches).for_each(&mut *each);
        let queued = self.limiters.iter().flatten().flat_map(|limiter| &limiter.queue);
        let items = queued.chain(&self.collector.items);
        items.flat_map(|item| &item.batches).for_each(&mut *each);
        self.connections.for_each_held(each);
    }

    /// Half of RecordMaxBufferedTime (N-KPL-5), and at least a millisecond: without buffering and
    /// over a network without latency, time would stand still.
    fn retry_delay(&self) -> SimDuration {
        SimDuration(self.config.record_max_buffered_time.0 / 2).max(SimDuration::from_millis(1))
    }

    fn predicted(&self, shard: u32) -> u32 {
        self.stale.iter().find(|(new, _)| *new == shard).map_or(shard, |(_, old)| *old)
    }

    fn add(&mut self, batch: Batch, deadline: SimTime, ctx: &mut ClientCtx<'_>) {
        if !self.config.aggregation_enabled || !self.map_valid {
            self.collect_plain(batch, deadline, ctx);
            return;
        }
        let shard = self.predicted(batch.partition);
        let index = shard as usize;
        if self.buffers.len() <= index {
            self.buffers.resize_with(index + 1, Buffer::default);
        }
        let processes = self.processes;
        let buffer = &mut self.buffers[index];
        if buffer.batches.is_empty() || deadline < buffer.deadline {
            buffer.deadline = deadline;
            enter(&mut self.agenda, deadline, shard, ctx);
        }
        buffer.users += u64::from(batch.count);
        buffer.bytes += u64::from(batch.bytes) + RECORD_OVERHEAD * u64::from(batch.count);
        buffer.batches.push(batch);
        let most_bytes = u64::from(self.config.aggregation_max_size) * u64::from(processes);
        let most_users = u64::from(self.config.aggregation_max_count) * u64::from(processes);
        let overhead = AGGREGATE_OVERHEAD * u64::from(processes);
        let is_full =
            |buffer: &Buffer| buffer.bytes + overhead >= most_bytes || buffer.users >= most_users;
        while self.buffers[index].users > 0 && is_full(&self.buffers[index]) {
            self.flush(shard, ctx);
        }
    }

    fn flush_due(&mut self, ctx: &mut ClientCtx<'_>) {
        while let Some((deadline, shard)) = self.agenda.pop_front() {
            if deadline > ctx.now {
                self.agenda.push_front((deadline, shard));
                break;
            }
            // A buffer that was flushed meanwhile has another deadline.
            let buffer = &self.buffers[shard as usize];
            if !buffer.batches.is_empty() && buffer.deadline <= ctx.now {
                self.flush(shard, ctx);
            }
        }
    }

    /// Makes an aggregate of what the buffer holds, as much as fits.
    fn flush(&mut self, shard: u32, ctx: &mut ClientCtx<'_>) {
        let processes = u64::from(self.processes);
        let room = u64::from(self.config.aggregation_max_size) * processes
            - (AGGREGATE_OVERHEAD * processes).min(u64::from(self.config.aggregation_max_size));
        let most_users = u64::from(self.config.aggregation_max_count) * processes;
        let buffer = &mut self.buffers[shard as usize];
        let per_user = buffer.bytes.div_ceil(buffer.users).max(1);
        let fits = if buffer.bytes <= room { buffer.users } else { room / per_user };
        let fits = fits.min(most_users).clamp(1, buffer.users);
        // What is beyond 32 bits goes with the next flush.
        let users = u32::try_from(fits).unwrap_or(u32::MAX);
        let deadline = buffer.deadline;
        let mut batches = ctx.pool.pop().unwrap_or_default();
        let bytes = if u64::from(users) == buffer.users {
            std::mem::swap(&mut batches, &mut buffer.batches);
            std::mem::take(&mut buffer.bytes)
        } else {
            split_prefix(&mut buffer.batches, users, &mut batches);
            let bytes: u64 = batches.iter().map(|batch| u64::from(batch.bytes)).sum();
            let bytes = bytes + RECORD_OVERHEAD * u64::from(users);
            buffer.bytes -= bytes;
            bytes
        };
        buffer.users -= u64::from(users);
        if buffer.users > 0 {
            // What is left keeps its own deadlines; the earliest of them is not before this one.
            buffer.deadline = deadline.max(ctx.now);
            enter(&mut self.agenda, buffer.deadline, shard, ctx);
        }
        let oldest = batches.iter().map(|batch| batch.offered_at).min().unwrap_or(ctx.now);
        let wire_records = self.aggregates_of(users, bytes);
        // A lone record is sent plain (N-KPL-7).
        let wire_bytes = if users == 1 {
            bytes - RECORD_OVERHEAD
        } else {
            bytes + AGGREGATE_OVERHEAD * u64::from(wire_records)
        };
        let item = PutItem {
            shard: ShardIndex(shard),
            wire_records,
            wire_bytes,
            users,
            aggregated: true,
            deadline,
            queued_at: ctx.now,
            oldest,
            landed: ShardIndex(shard),
            batches,
        };
        self.limit(item, ctx);
    }

    /// How many aggregates `users` records of `bytes` bytes make, over all processes.
    fn aggregates_of(&self, users: u32, bytes: u64) -> u32 {
        if self.processes == 1 {
            return 1;
        }
        let n = f64::from(self.processes);
        let touched = n * -libm::expm1(f64::from(users) * libm::log1p(-1.0 / n));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and the number of processes"
        )]
        let touched = libm::round(touched) as u64;
        let full = bytes.div_ceil(u64::from(self.config.aggregation_max_size));
        let aggregates = touched.max(full).clamp(1, u64::from(users));
        u32::try_from(aggregates).expect("no more than its records")
    }

    /// Into the limiter of its shard.
    fn limit(&mut self, item: PutItem, ctx: &mut ClientCtx<'_>) {
        let shard = item.shard.0;
        let index = shard as usize;
        if self.limiters.len() <= index {
            self.limiters.resize_with(index + 1, || None);
        }
        let (n, percent) = (u64::from(self.processes), u64::from(self.config.rate_limit));
        let limiter = self.limiters[index].get_or_insert_with(|| ShardLimiter {
            records: TokenBucket::full(
                WRITE_RECORDS_PER_SEC * percent * n / 100,
                WRITE_RECORDS_PER_SEC * n,
            ),
            bytes: TokenBucket::full(
                WRITE_BYTES_PER_SEC * percent * n / 100,
                LIMITER_BURST_BYTES * n,
            ),
            queue: VecDeque::new(),
        });
        let was_empty = limiter.queue.is_empty();
        limiter.queue.push_back(item);
        self.drain(shard, ctx);
        let holds = self.limiters[index].as_ref().is_some_and(|l| !l.queue.is_empty());
        if holds && was_empty {
            self.held_back.push(shard);
        }
        if holds && !self.draining {
            self.draining = true;
            let next = (ctx.now.0 / DRAIN_PERIOD.0 + 1) * DRAIN_PERIOD.0;
            ctx.timers.push((SimTime(next), ClientEvent::Drain));
        }
    }

    fn drain_all(&mut self, ctx: &mut ClientCtx<'_>) {
        let held_back = std::mem::take(&mut self.held_back);
        for shard in held_back {
            self.drain(shard, ctx);
            let limiter = self.limiters[shard as usize].as_ref();
            if limiter.is_some_and(|l| !l.queue.is_empty()) && !self.held_back.contains(&shard) {
                self.held_back.push(shard);
            }
        }
        self.draining = !self.held_back.is_empty();
        if self.draining {
            ctx.timers.push((ctx.now + DRAIN_PERIOD, ClientEvent::Drain));
        }
    }

    /// Lets through what the budget allows, in order, stopping at the first that does not fit.
    fn drain(&mut self, shard: u32, ctx: &mut ClientCtx<'_>) {
        let ttl = self.config.record_ttl;
        loop {
            let Some(limiter) = self.limiters[shard as usize].as_mut() else {
                return;
            };
            let Some(front) = limiter.queue.front() else {
                return;
            };
            if front.oldest + ttl <= ctx.now {
                let item = limiter.queue.pop_front().expect("just seen");
                self.expire(item, ctx);
                continue;
            }
            limiter.records.refill(ctx.now);
            limiter.bytes.refill(ctx.now);
            let fits = limiter.records.affords(u64::from(front.wire_records))
                && limiter.bytes.affords(front.wire_bytes);
            if !fits {
                return;
            }
            let mut item = limiter.queue.pop_front().expect("just seen");
            limiter.records.spend(u64::from(item.wire_records));
            limiter.bytes.spend(item.wire_bytes);
            let waited = ctx.now.since(item.queued_at).0;
            if waited > 0 {
                note_backlog(std::slice::from_mut(&mut item), waited);
            }
            self.collect(item, ctx);
        }
    }

    /// Expired records of a waiting aggregate fail, the others go back to be aggregated.
    fn expire(&mut self, mut item: PutItem, ctx: &mut ClientCtx<'_>) {
        let ttl = self.config.record_ttl;
        let waited = ctx.now.since(item.queued_at).0;
        note_backlog(std::slice::from_mut(&mut item), waited);
        for batch in item.batches.drain(..) {
            if batch.offered_at + ttl <= ctx.now {
                ctx.give_up(&batch);
            } else {
                let deadline = ctx.now + self.retry_delay();
                self.add(batch, deadline, ctx);
            }
        }
        ctx.recycle(item.batches);
    }

    /// A record without a predicted shard: no aggregation, no limit.
    fn collect_plain(&mut self, batch: Batch, deadline: SimTime, ctx: &mut ClientCtx<'_>) {
        let shard = ShardIndex(batch.partition);
        let (users, bytes) = (batch.count, u64::from(batch.bytes));
        let mut batches = ctx.empty();
        batches.push(batch);
        let item = PutItem {
            shard,
            wire_records: users,
            wire_bytes: bytes,
            users,
            aggregated: false,
            deadline,
            queued_at: ctx.now,
            oldest: batch.offered_at,
            landed: shard,
            batches,
        };
        self.collect(item, ctx);
    }

    /// Into the request that is being gathered; a plain item too large for one request is cut.
    fn collect(&mut self, mut item: PutItem, ctx: &mut ClientCtx<'_>) {
        let most = self.config.collection_max_count * self.processes;
        while self.collector.wire_records + item.wire_records > most && item.wire_records > 1 {
            let room = (most - self.collector.wire_records.min(most)).max(1);
            if room >= item.wire_records {
                break;
            }
            let mut cut = PutItem { batches: ctx.empty(), ..item };
            let admission = item.admit(u64::from(room), u64::MAX, &mut cut.batches);
            cut.wire_records = admission.wire_records;
            cut.wire_bytes = admission.wire_bytes;
            cut.users -= item.users;
            self.collect_whole(cut, ctx);
        }
        self.collect_whole(item, ctx);
    }

    fn collect_whole(&mut self, item: PutItem, ctx: &mut ClientCtx<'_>) {
        let grace = SimDuration((self.config.record_max_buffered_time.0 / 5).min(50_000_000));
        let deadline = if self.config.aggregation_enabled {
            item.deadline.max(ctx.now + grace)
        } else {
            item.deadline
        };
        let collector = &mut self.collector;
        collector.wire_records += item.wire_records;
        collector.wire_bytes += item.wire_bytes;
        let known = collector.by_shard.iter_mut().find(|(shard, _)| *shard == item.shard);
        let of_shard = match known {
            Some((_, bytes)) => {
                *bytes += item.wire_bytes;
                *bytes
            }
            None => {
                collector.by_shard.push((item.shard, item.wire_bytes));
                item.wire_bytes
            }
        };
        let processes = u64::from(self.processes);
        let full = collector.wire_records >= self.config.collection_max_count * self.processes
            || collector.wire_bytes >= u64::from(self.config.collection_max_size) * processes
            || of_shard >= COLLECTION_SHARD_BYTES * processes;
        let first = collector.items.is_empty();
        // Plain records of one shard that meet here are one item.
        match collector.items.last_mut() {
            Some(last) if !item.aggregated && !last.aggregated && last.shard == item.shard => {
                last.wire_records += item.wire_records;
                last.wire_bytes += item.wire_bytes;
                last.users += item.users;
                last.batches.extend_from_slice(&item.batches);
                ctx.recycle(item.batches);
            }
            _ => collector.items.push(item),
        }
        if full {
            self.send_collection(ctx);
        } else if first || deadline < collector.deadline {
            collector.deadline = deadline;
            ctx.timers.push((deadline, ClientEvent::CollectionDue(collector.number)));
        }
    }

    fn send_collection(&mut self, ctx: &mut ClientCtx<'_>) {
        let collector = &mut self.collector;
        if collector.items.is_empty() {
            return;
        }
        collector.number = collector.number.wrapping_add(1);
        (collector.wire_records, collector.wire_bytes) = (0, 0);
        collector.by_shard.clear();
        let items =
            std::mem::replace(&mut collector.items, ctx.item_pool.pop().unwrap_or_default());
        self.connections.send(items, ctx);
    }
}

/// Puts a buffer's deadline into the agenda; the first at its instant gets an event.
fn enter(
    agenda: &mut VecDeque<(SimTime, u32)>,
    deadline: SimTime,
    shard: u32,
    ctx: &mut ClientCtx<'_>,
) {
    let mut place = agenda.len();
    while place > 0 && agenda[place - 1].0 > deadline {
        place -= 1;
    }
    if place == 0 || agenda[place - 1].0 != deadline {
        ctx.timers.push((deadline, ClientEvent::BufferDue));
    }
    agenda.insert(place, (deadline, shard));
}

#[cfg(test)]
mod tests;
