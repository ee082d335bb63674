//! How records reach a reader: GetRecords in a loop, or pushed by enhanced fan-out.
//!
//! | Mechanism                                                                | Fact     |
//! |--------------------------------------------------------------------------|----------|
//! | a call follows the last success by the idle time, a failure likewise       | N-KCL-3, N-KCL-11 |
//! | at most maxRecords records and 10 MiB a call; calls and bytes are shared   | N-R-3    |
//! | no call while 4 chunks, 8 MiB or 30,000 records wait to be processed        | N-KCL-11 |
//! | an iterator expires 5 minutes after it was returned                         | N-R-2, V-22 |
//! | the KCL then gets another one from where it stood: no loss                   | N-KCL-11, V-23 |
//! | fan-out: pushed, 2 MiB/s for this consumer and shard alone                   | N-R-6, V-19 |
//!
//! Only calls that can return data or be refused are events (decision D-14): a reader that is level
//! with the shard is parked, and an append plans the poll that will find it. Simplifications: a
//! push comes one latency after the first record that waits and brings all that is there by then,
//! in pieces of at most 256 KiB (an assumption), so a busy shard's mean is below the latency;
//! renewing a subscription each 5 minutes costs nothing. Who looks below 100 ms could tell.

use std::collections::VecDeque;

use crate::config::Retrieval;
use crate::engine::SimDuration;
use crate::kinesis::shard::{READ_BYTES_PER_SEC, nanos_at};
use crate::ledger::Seen;

use super::process::{Chunk, Fetching};
use super::{App, AppCtx, Event, Stream};

/// Iterators are good for this long (N-R-2).
const ITERATOR_LIFE: SimDuration = SimDuration::from_secs(300);
/// Most bytes of one GetRecords response (N-R-3).
const RESPONSE_BYTES: u64 = 10 << 20;
/// Most bytes of one push: an assumption.
const PUSH_BYTES: u64 = 256 << 10;
/// What may wait to be processed (N-KCL-11).
const PREFETCH_CHUNKS: usize = 4;
const PREFETCH_RECORDS: u64 = 30_000;
const PREFETCH_BYTES: u64 = 8 << 20;

impl App {
    /// A new reader asks at once.
    pub(super) fn begin_fetching(&mut self, id: u32, at: &mut AppCtx<'_, '_>) {
        let now = at.ctx.now;
        match self.config.retrieval {
            Retrieval::FanOut => self.plan_fetch(id, at),
            Retrieval::Polling { .. } => {
                let reader = self.reader_mut(id);
                reader.fetching = Fetching::Planned;
                let generation = reader.generation;
                at.ctx.at(now, Event::Fetch(id, generation));
            }
        }
    }

    /// Plans the next call that can find something, if none is planned and there is room.
    pub(super) fn plan_fetch(&mut self, id: u32, at: &mut AppCtx<'_, '_>) {
        let now = at.ctx.now;
        let push_latency = at.stream.config.push_latency;
        let polls_all = self.polls_all;
        let retrieval = self.config.retrieval;
        let Some(reader) = self.readers[id as usize].as_mut() else {
            return;
        };
        if reader.fetching != Fetching::Parked || reader.frozen() || is_full(&reader.chunks) {
            return;
        }
        let log = &at.stream.shards[reader.shard as usize].log;
        let level = reader.next_fetch >= log.end();
        let due = match retrieval {
            Retrieval::FanOut if level => return,
            Retrieval::FanOut => {
                let next = log.extent(log.extent_of(reader.next_fetch)).expect("not level");
                reader.last_success.max(next.appended_at + push_latency)
            }
            Retrieval::Polling { .. } if level && !polls_all => return,
            Retrieval::Polling { idle_time_between_reads: idle } => {
                // Polls that found nothing have moved the cadence on by whole idle times.
                let since = now.since(reader.last_success).0;
                let missed = if polls_all { 1 } else { since.div_ceil(idle.0.max(1)).max(1) };
                // While the queue was full no call was made: then the next one is due at once.
                let due = reader.last_success + idle.times(missed);
                if reader.was_full { now.max(reader.last_success + idle) } else { due }
            }
        };
        reader.was_full = false;
        reader.fetching = Fetching::Planned;
        let generation = reader.generation;
        at.ctx.at(due.max(now), Event::Fetch(id, generation));
    }

    pub(super) fn on_fetch(&mut self, id: u32, generation: u32, at: &mut AppCtx<'_, '_>) {
        if self.live(id, generation).is_none() {
            return;
        }
        match self.config.retrieval {
            Retrieval::FanOut => self.push(id, at),
            Retrieval::Polling { idle_time_between_reads: idle } => self.poll(id, idle, at),
        }
    }

    /// A GetRecords call.
    fn poll(&mut self, id: u32, idle: SimDuration, at: &mut AppCtx<'_, '_>) {
        let now = at.ctx.now;
        self.expire(self.reader(id).shard, at);
        let Some(_) = self.readers[id as usize] else { return };
        let reader = self.reader(id);
        let (shard, generation, next) = (reader.shard, reader.generation, reader.next_fetch);
        let iterator_age = now.since(reader.iterator_at);
        let injected = at.faults.expire_ppm > 0
            && self.luck.below(1_000_000) < u64::from(at.faults.expire_ppm);
        if injected || iterator_age > ITERATOR_LIFE {
            self.counts.iterators_expired += 1;
            at.journal.push(("iterator_expired", Stream::shard_name(shard), String::new()));
            let renews = self.config.renews_iterators;
            let reader = self.reader_mut(id);
            if renews {
                // Another iterator from where it stood, and another try after the idle time.
                reader.iterator_at = now;
                at.ctx.at(now + idle, Event::Fetch(id, generation));
            } else {
                reader.fetching = Fetching::Stuck;
            }
            return;
        }
        let injected = at.faults.throttle_ppm > 0
            && self.luck.below(1_000_000) < u64::from(at.faults.throttle_ppm);
        let source = &mut at.stream.shards[shard as usize];
        if injected || source.begin_read(now).is_err() {
            self.counts.get_records_throttled += 1;
            self.reader_mut(id).refused = true;
            self.choose_cause(shard, now);
            at.ctx.at(now + idle, Event::Fetch(id, generation));
            return;
        }
        let (end, _, bytes) = take(source, next, self.config.max_records, RESPONSE_BYTES);
        source.charge_read(now, bytes);
        self.saw_answer(shard, (next, end), at);
        let arrives = now + at.stream.config.get_latency;
        let reader = self.reader_mut(id);
        reader.fetching = Fetching::UnderWay;
        (reader.asked_from, reader.asked_until) = (next, end);
        at.ctx.at(arrives, Event::Arrived(id, generation));
    }

    pub(super) fn on_arrived(&mut self, id: u32, generation: u32, at: &mut AppCtx<'_, '_>) {
        let now = at.ctx.now;
        let Some(reader) = self.live(id, generation) else {
            return;
        };
        let (from, end) = (reader.asked_from, reader.asked_until);
        reader.last_success = now;
        reader.iterator_at = now;
        reader.refused = false;
        reader.fetching = Fetching::Parked;
        self.receive(id, (from, end), at);
    }

    /// Fan-out pushes what is there.
    fn push(&mut self, id: u32, at: &mut AppCtx<'_, '_>) {
        let now = at.ctx.now;
        self.expire(self.reader(id).shard, at);
        let Some(_) = self.readers[id as usize] else { return };
        let reader = self.reader(id);
        let (shard, next) = (reader.shard, reader.next_fetch);
        let source = &at.stream.shards[shard as usize];
        let (end, _, bytes) = take(source, next, u32::MAX, PUSH_BYTES);
        self.saw_answer(shard, (next, end), at);
        let reader = self.reader_mut(id);
        reader.last_success = now + SimDuration(nanos_at(bytes, READ_BYTES_PER_SEC));
        reader.fetching = Fetching::Parked;
        self.receive(id, (next, end), at);
    }

    /// An answer with records of these positions leaves the shard.
    fn saw_answer(&self, shard: u32, (from, until): (u64, u64), at: &mut AppCtx<'_, '_>) {
        let log = &at.stream.shards[shard as usize].log;
        let first = log.extent(log.extent_of(from)).filter(|_| until > from);
        if let Some(oldest) = first.map(|extent| extent.appended_at) {
            let (consumer, readable) = (self.index, log.end());
            at.ledger.saw(|| Seen::Fetched { consumer, partition: shard, until, readable, oldest });
        }
    }

    /// Records of these positions are with the worker.
    fn receive(&mut self, id: u32, (from, end): (u64, u64), at: &mut AppCtx<'_, '_>) {
        let shard = self.reader(id).shard;
        if end > from {
            let log = &at.stream.shards[shard as usize].log;
            let records = log.records_between(from, end);
            let first = log.extent_of(from);
            let bytes = (first..log.extent_of(end)).filter_map(|n| log.extent(n));
            let bytes = bytes.map(|extent| extent.bytes).sum::<u64>();
            let reader = self.reader_mut(id);
            reader.next_fetch = end;
            reader.chunks.push_back(Chunk { start: from, end, records, bytes });
            reader.was_full = is_full(&reader.chunks);
            self.counts.bytes_read += bytes;
            let state = self.shards[shard as usize].as_mut().expect("a read shard is known");
            state.bytes += bytes;
            self.begin_chunk(id, at);
        }
        self.reader_mut(id).pass_gap();
        self.choose_cause(shard, at.ctx.now);
        self.plan_fetch(id, at);
        self.check_end(shard, at);
    }
}

/// Whether so much waits to be processed, the chunk in hand included, that no call is made.
fn is_full(chunks: &VecDeque<Chunk>) -> bool {
    chunks.len() >= PREFETCH_CHUNKS
        || chunks.iter().map(|chunk| chunk.records).sum::<u64>() >= PREFETCH_RECORDS
        || chunks.iter().map(|chunk| chunk.bytes).sum::<u64>() >= PREFETCH_BYTES
}

/// Whole extents from `next` on, up to so many Kinesis records and bytes, but at least one:
/// (end, Kinesis records, bytes).
fn take(
    shard: &crate::kinesis::shard::Shard,
    next: u64,
    max_records: u32,
    max_bytes: u64,
) -> (u64, u32, u64) {
    let log = &shard.log;
    let (mut end, mut records, mut bytes) = (next, 0_u32, 0_u64);
    let mut number = log.extent_of(next);
    while let Some(extent) = log.extent(number) {
        let fits = records.saturating_add(extent.wire_records) <= max_records
            && bytes + extent.bytes <= max_bytes;
        if !fits && end > next {
            break;
        }
        records = records.saturating_add(extent.wire_records);
        bytes += extent.bytes;
        end = extent.end();
        number += 1;
    }
    (end, records, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunks(records_and_bytes: &[(u64, u64)]) -> VecDeque<Chunk> {
        let chunk = |&(records, bytes): &(u64, u64)| Chunk { start: 0, end: 0, records, bytes };
        records_and_bytes.iter().map(chunk).collect()
    }

    /// 4 batches, 8 MiB or 30,000 records (N-KCL-11).
    #[test]
    fn the_queue_is_full_by_chunks_bytes_or_records() {
        assert!(!is_full(&chunks(&[(1, 1); 3])));
        assert!(is_full(&chunks(&[(1, 1); 4])));
        assert!(!is_full(&chunks(&[(1, 4 << 20), (1, (4 << 20) - 1)])));
        assert!(is_full(&chunks(&[(1, 4 << 20), (1, 4 << 20)])));
        assert!(!is_full(&chunks(&[(20_000, 1), (9_999, 1)])));
        assert!(is_full(&chunks(&[(20_000, 1), (10_000, 1)])));
    }

    /// A processed chunk makes room at once, not only once the queue is empty.
    #[test]
    fn a_processed_chunk_makes_room() {
        let mut chunks = chunks(&[(10_000, 1); 3]);
        assert!(is_full(&chunks));
        chunks.pop_front();
        assert!(!is_full(&chunks));
    }
}
