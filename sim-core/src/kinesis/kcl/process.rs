//! One reader's processor: what was fetched is processed in order, one record after the other, and
//! delivered at the end of its own processing (decision D-14).
//!
//! Between two events nothing is computed: when a processor begins a fetched chunk, it lays down
//! the instants at which its parts will be done, and whoever looks settles what is over by then.

use std::collections::VecDeque;

use crate::blame::{BlameBook, CAUSES, Cause, Clocks, Detour};
use crate::engine::dist::binomial;
use crate::engine::{RngStream, SimDuration, SimTime};

use crate::flow::KeyClass;
use crate::kinesis::log::{Extent, Log, Part};
use crate::ledger::Seen;
use crate::order::{KeyOrder, RestOrder};
use crate::service::{time_to_process, times_as_slow};
use crate::sink::{Progress, Write, book_given_up};

use super::coordination::WorkerId;
use super::{App, AppCtx, Event, ShardIndex, ShardState, Stream};

/// A worker's reading of one shard.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    pub(super) shard: u32,
    pub(super) worker: WorkerId,
    /// Events that carry another generation are stale.
    pub(super) generation: u32,
    /// Next position to fetch.
    pub(super) next_fetch: u64,
    /// Next position to process.
    cursor: u64,
    /// Number of the extent of what was processed last, or one before it.
    cursor_extent: u64,
    /// The fetched chunks that are not processed yet, the one in hand included.
    pub(super) chunks: VecDeque<Chunk>,
    /// What fetching is about.
    pub(super) fetching: Fetching,
    /// When the last GetRecords call succeeded; with fan-out: when the link is free again.
    pub(super) last_success: SimTime,
    /// When the iterator in hand was returned.
    pub(super) iterator_at: SimTime,
    /// Its last call was refused.
    pub(super) refused: bool,
    /// What the call under way will bring begins and ends here.
    pub(super) asked_from: u64,
    pub(super) asked_until: u64,
    /// There was no room for more when the last records came.
    pub(super) was_full: bool,
    processing: bool,
    /// Processed events of another plan are stale.
    plan: u32,
    began_at: SimTime,
    /// The clocks of the place when it began, and the cause that ran from then on.
    clocks_then: Clocks,
    busy_cause: Cause,
    /// When each part of the chunk in hand will be done; with a sink only the next one's.
    ends: VecDeque<End>,
    /// The part in hand on its way into the sink, and since when.
    write: Option<(Write, SimTime)>,
    sunk: Sunk,
    waits_for_thread: bool,
    shutdown_requested: bool,
    frozen: bool,
}

/// The end of a part's processing, and its processing time; `SimTime::MAX` while a sink has not
/// answered.
type End = (SimTime, SimDuration);

/// What a sink made of the part that it took last.
#[derive(Clone, Copy, Debug, Default)]
struct Sunk {
    /// Time that it took.
    time: SimDuration,
    /// Records that it did not take in the end.
    given_up: u64,
}

/// What one call or push brought.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunk {
    /// The position of its first part.
    pub(super) start: u64,
    /// The position after its last part.
    pub(super) end: u64,
    /// Application records.
    pub(super) records: u64,
    /// Bytes on the wire.
    pub(super) bytes: u64,
}

/// What a reader's fetching is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fetching {
    /// Nothing to fetch, or no room: woken by an append or by the processor.
    Parked,
    /// An event will ask.
    Planned,
    /// A call is under way.
    UnderWay,
    /// Its iterator has expired and it does not renew it.
    Stuck,
}

impl Reader {
    /// The lowest position that it still needs.
    pub(super) fn position(&self) -> u64 {
        self.cursor
    }

    /// The positions that it has fetched and not processed, or that are on their way to it.
    pub(super) fn in_hand(&self) -> (u64, u64) {
        let coming = if self.fetching == Fetching::UnderWay { self.asked_until } else { 0 };
        (self.cursor, self.next_fetch.max(coming))
    }

    /// With nothing left in hand it stands where it asks next, behind what has expired.
    pub(super) fn pass_gap(&mut self) {
        if self.chunks.is_empty() && self.fetching != Fetching::UnderWay {
            self.cursor = self.next_fetch;
        }
    }

    /// Whether its worker stands still.
    pub(super) fn frozen(&self) -> bool {
        self.frozen
    }
}

impl App {
    /// A worker starts to read a shard from its checkpoint.
    pub(super) fn start_reader(&mut self, shard: u32, worker: WorkerId, at: &mut AppCtx<'_, '_>) {
        let now = at.ctx.now;
        if self.reader_of(shard, worker).is_some() || !self.workers[worker.0 as usize].running {
            return;
        }
        let generation = self.next_generation;
        self.next_generation += 1;
        self.expire(shard, at);
        let state = self.shards[shard as usize].as_mut().expect("leases exist for known shards");
        let start = state.checkpoint.max(at.stream.shards[shard as usize].log.start());
        let reader = Reader {
            shard,
            worker,
            generation,
            next_fetch: start,
            cursor: start,
            cursor_extent: 0,
            chunks: VecDeque::new(),
            fetching: Fetching::Parked,
            last_success: now,
            iterator_at: now,
            refused: false,
            asked_from: start,
            asked_until: start,
            was_full: false,
            processing: false,
            plan: generation,
            began_at: now,
            clocks_then: [0; CAUSES.len()],
            busy_cause: Cause::Capacity,
            ends: VecDeque::new(),
            write: None,
            sunk: Sunk::default(),
            waits_for_thread: false,
            shutdown_requested: false,
            frozen: false,
        };
        let id = match self.readers.iter().position(Option::is_none) {
            Some(free) => {
                self.readers[free] = Some(reader);
                u32::try_from(free).expect("fewer than 2^32 readers")
            }
            None => {
                self.readers.push(Some(reader));
                u32::try_from(self.readers.len() - 1).expect("fewer than 2^32 readers")
            }
        };
        state.readers.push(id);
        at.ledger.saw(|| Seen::assigned(self.index, (shard, worker.0)));
        self.choose_cause(shard, now);
        self.note_pause(shard, now);
        self.begin_fetching(id, at);
        self.check_end(shard, at);
    }

    /// A reader stops where it is, without a checkpoint.
    pub(super) fn stop_reader(&mut self, id: u32, at: &mut AppCtx<'_, '_>) {
        self.settle(id, at);
        let Some(reader) = self.readers[id as usize].take() else {
            return;
        };
        if reader.processing {
            self.free_thread(reader.worker, at);
        }
        let state = self.shards[reader.shard as usize].as_mut().expect("a read shard is known");
        state.readers.retain(|&other| other != id);
        at.ledger.saw(|| Seen::stopped(self.index, (reader.shard, reader.worker.0)));
        self.expire(reader.shard, at);
        self.choose_cause(reader.shard, at.ctx.now);
        self.note_pause(reader.shard, at.ctx.now);
    }

    /// A graceful handoff: finish the chunk in hand, checkpoint, give the lease away (N-KCL-22).
    pub(super) fn request_shutdown(&mut self, id: u32, at: &mut AppCtx<'_, '_>) {
        let Some(reader) = self.readers[id as usize].as_mut() else {
            return;
        };
        reader.shutdown_requested = true;
        if !reader.processing {
            self.complete_shutdown(id, at);
        }
    }

    fn complete_shutdown(&mut self, id: u32, at: &mut AppCtx<'_, '_>) {
        let shard = self.reader(id).shard;
        self.write_checkpoint(id, at);
        self.stop_reader(id, at);
        self.hand_off(ShardIndex(shard), at);
    }

    /// Its worker stands still: what is in hand goes back to the queue.
    pub(super) fn freeze_reader(&mut self, id: u32, at: &mut AppCtx<'_, '_>) {
        self.settle(id, at);
        let Some(reader) = self.readers[id as usize].as_mut() else {
            return;
        };
        reader.frozen = true;
        let (shard, worker) = (reader.shard, reader.worker);
        if std::mem::take(&mut reader.processing) {
            reader.ends.clear();
            reader.write = None;
            reader.plan = self.next_generation;
            self.next_generation += 1;
            self.free_thread(worker, at);
        }
        self.choose_cause(shard, at.ctx.now);
        self.note_pause(shard, at.ctx.now);
    }

    /// Its worker goes on.
    pub(super) fn thaw_reader(&mut self, id: u32, at: &mut AppCtx<'_, '_>) {
        let Some(reader) = self.readers[id as usize].as_mut() else {
            return;
        };
        reader.frozen = false;
        // What was under way when the worker stopped is asked for again.
        reader.generation = self.next_generation;
        self.next_generation += 1;
        if reader.fetching != Fetching::Stuck {
            reader.fetching = Fetching::Parked;
        }
        let shard = reader.shard;
        self.choose_cause(shard, at.ctx.now);
        self.note_pause(shard, at.ctx.now);
        self.plan_fetch(id, at);
        self.begin_chunk(id, at);
    }

    pub(super) fn reader(&self, id: u32) -> &Reader {
        self.readers[id as usize].as_ref().expect("a live reader")
    }

    pub(super) fn reader_mut(&mut self, id: u32) -> &mut Reader {
        self.readers[id as usize].as_mut().expect("a live reader")
    }

    /// The reader, if the event is not stale.
    pub(super) fn live(&mut self, id: u32, generation: u32) -> Option<&mut Reader> {
        let reader = self.readers.get_mut(id as usize)?.as_mut()?;
        (reader.generation == generation && !reader.frozen).then_some(reader)
    }

    /// Begins the next chunk, if the processor is free and there is one.
    pub(super) fn begin_chunk(&mut self, id: u32, at: &mut AppCtx<'_, '_>) {
        let now = at.ctx.now;
        let threads = self.config.worker_threads;
        let Some(reader) = self.readers[id as usize].as_mut() else {
            return;
        };
        if reader.processing || reader.frozen || reader.waits_for_thread {
            return;
        }
        let Some(&Chunk { start, end, .. }) = reader.chunks.front() else {
            return;
        };
        // What expired before this chunk was fetched is passed over.
        reader.cursor = reader.cursor.max(start);
        let worker = &mut self.workers[reader.worker.0 as usize];
        if threads > 0 && worker.busy >= threads {
            reader.waits_for_thread = true;
            worker.waiting.push_back(id);
            let shard = reader.shard;
            self.choose_cause(shard, now);
            return;
        }
        worker.busy += 1;
        reader.processing = true;
        reader.began_at = now;
        let (shard, worker, from) = (reader.shard, reader.worker, reader.cursor);
        let mut ends = std::mem::take(&mut reader.ends);
        ends.clear();
        let mut done = now;
        for position in from..end {
            let count = at.stream.shards[shard as usize].log.part(position).count;
            let service = self.service_of(worker, count);
            done += service;
            let known = if self.config.sink.is_some() { SimTime::MAX } else { done };
            ends.push_back((known, service));
            if self.config.sink.is_some() {
                break;
            }
        }
        self.choose_cause(shard, now);
        let state = self.shards[shard as usize].as_ref().expect("a read shard is known");
        let (clocks, cause) = (state.clock.read(now), state.clock.cause());
        let reader = self.reader_mut(id);
        reader.ends = ends;
        reader.clocks_then = clocks;
        reader.busy_cause = cause;
        let plan = reader.plan;
        at.ctx.at(done, Event::Processed(id, plan));
    }

    /// Time to process `count` records one after the other.
    fn service_of(&mut self, worker: WorkerId, count: u32) -> SimDuration {
        let ppm = times_as_slow(self.slow_ppm, self.workers[worker.0 as usize].slow_ppm);
        time_to_process(self.config.service, u64::from(count), ppm, &mut self.service)
    }

    /// Another pace from now on: what is in service keeps its end, what comes after it does not.
    pub(super) fn replan(&mut self, id: u32, at: &mut AppCtx<'_, '_>) {
        self.settle(id, at);
        let Some(reader) = self.readers[id as usize].as_ref() else {
            return;
        };
        // With a sink only the part in hand is laid down.
        if !reader.processing || reader.ends.is_empty() || self.config.sink.is_some() {
            return;
        }
        let (shard, worker, cursor) = (reader.shard, reader.worker, reader.cursor);
        let mut ends = reader.ends.clone();
        let mut done = ends[0].0;
        for (position, entry) in (cursor + 1..).zip(ends.iter_mut().skip(1)) {
            let count = at.stream.shards[shard as usize].log.part(position).count;
            let service = self.service_of(worker, count);
            done += service;
            *entry = (done, service);
        }
        let plan = self.next_generation;
        self.next_generation += 1;
        let reader = self.reader_mut(id);
        reader.ends = ends;
        reader.plan = plan;
        at.ctx.at(done, Event::Processed(id, plan));
    }

    /// The processor has finished its chunk.
    pub(super) fn on_processed(&mut self, id: u32, plan: u32, at: &mut AppCtx<'_, '_>) {
        let reader = self.readers.get(id as usize).and_then(Option::as_ref);
        if reader.is_none_or(|reader| reader.plan != plan || !reader.processing) {
            return;
        }
        if self.writes_on(id, at) {
            return;
        }
        self.settle(id, at);
        let now = at.ctx.now;
        let reader = self.reader_mut(id);
        debug_assert!(reader.ends.is_empty(), "the last part ends the chunk");
        reader.processing = false;
        reader.chunks.pop_front();
        reader.pass_gap();
        let (shard, worker) = (reader.shard, reader.worker);
        self.free_thread(worker, at);
        let state = self.shards[shard as usize].as_ref().expect("a read shard is known");
        if now.since(state.checkpointed_at) >= self.config.checkpoint_interval {
            self.write_checkpoint(id, at);
        }
        if self.reader(id).shutdown_requested {
            self.complete_shutdown(id, at);
            return;
        }
        self.begin_chunk(id, at);
        self.choose_cause(shard, now);
        self.plan_fetch(id, at);
        self.check_end(shard, at);
    }

    /// With a sink: the part in hand goes on into it, and the next one follows; whether that has to
    /// be waited for before the chunk is done.
    fn writes_on(&mut self, id: u32, at: &mut AppCtx<'_, '_>) -> bool {
        let now = at.ctx.now;
        let Some(using) = self.config.sink.clone() else { return false };
        let reader = self.reader_mut(id);
        let (shard, worker, plan, cursor) =
            (reader.shard, reader.worker, reader.plan, reader.cursor);
        let log = &at.stream.shards[shard as usize].log;
        let records = u64::from(log.part(cursor).count);
        let (mut write, since) = reader.write.take().unwrap_or((Write::new(records), now));
        match write.next(&mut at.sinks[using.sink], &using.retry, now) {
            Progress::At(next) => {
                self.reader_mut(id).write = Some((write, since));
                at.ctx.at(next, Event::Processed(id, plan));
                return true;
            }
            Progress::Over(given_up) => {
                let reader = self.reader_mut(id);
                reader.ends.front_mut().expect("a part in hand").0 = now;
                reader.sunk = Sunk { time: now.since(since), given_up };
            }
        }
        self.settle(id, at);
        let reader = self.reader(id);
        let next = reader.cursor;
        if reader.chunks.front().is_none_or(|chunk| next >= chunk.end) {
            return false;
        }
        let count = at.stream.shards[shard as usize].log.part(next).count;
        let service = self.service_of(worker, count);
        self.reader_mut(id).ends.push_back((SimTime::MAX, service));
        at.ctx.at(now + service, Event::Processed(id, plan));
        true
    }

    /// A thread is free: the first reader that still waits for it and has something to do gets it.
    fn free_thread(&mut self, worker: WorkerId, at: &mut AppCtx<'_, '_>) {
        let threads = self.config.worker_threads;
        self.workers[worker.0 as usize].busy -= 1;
        while self.workers[worker.0 as usize].busy < threads {
            let Some(next) = self.workers[worker.0 as usize].waiting.pop_front() else {
                return;
            };
            // It may have stopped meanwhile, and its number may be another reader's.
            let reader = self.readers[next as usize].as_mut();
            let waits = |reader: &&mut Reader| reader.worker == worker && reader.waits_for_thread;
            if let Some(reader) = reader.filter(waits) {
                reader.waits_for_thread = false;
                self.begin_chunk(next, at);
            }
        }
    }

    /// Writes a checkpoint at the reader's position, unless it is fenced off (N-KCL-9).
    fn write_checkpoint(&mut self, id: u32, at: &mut AppCtx<'_, '_>) {
        let now = at.ctx.now;
        let reader = self.readers[id as usize].as_ref().expect("a live reader");
        let (shard, worker, cursor) = (ShardIndex(reader.shard), reader.worker, reader.cursor);
        if !self.coordination.may_checkpoint(shard, worker, now) {
            return;
        }
        self.coordination.note_checkpoint(shard, worker, now);
        let state = self.shards[shard.0 as usize].as_mut().expect("a read shard is known");
        state.checkpoint = state.checkpoint.max(cursor);
        state.checkpointed_at = now;
        at.ledger.saw(|| Seen::committed(self.index, (shard.0, worker.0), cursor));
    }

    /// A closed shard that is read to its end: its children can be read (N-KCL-14, N-KCL-15).
    pub(super) fn check_end(&mut self, shard: u32, at: &mut AppCtx<'_, '_>) {
        let source = &at.stream.shards[shard as usize];
        let Some(state) = self.shards[shard as usize].as_ref() else {
            return;
        };
        if source.is_open() || state.ended || state.readers.is_empty() {
            return;
        }
        let end = source.log.end();
        let now = at.ctx.now;
        // A zombie that stands at the end too ends nothing.
        let done = state.readers.iter().copied().find(|&id| {
            let reader = self.reader(id);
            let stands = reader.cursor == end && !reader.processing && !reader.frozen;
            stands && self.coordination.may_checkpoint(ShardIndex(shard), reader.worker, now)
        });
        let Some(id) = done else { return };
        self.write_checkpoint(id, at);
        let state = self.shards[shard as usize].as_mut().expect("just seen");
        state.ended = true;
        state.checkpoint = end;
        for reader in state.readers.clone() {
            self.stop_reader(reader, at);
        }
        at.journal.push(("shard_ended", Stream::shard_name(shard), String::new()));
        self.announce_children(shard, at);
    }

    /// Tells the coordination about the children of a shard.
    fn announce_children(&mut self, shard: u32, at: &mut AppCtx<'_, '_>) {
        let children: Vec<(ShardIndex, [Option<ShardIndex>; 2])> = (0..at.stream.shards.len())
            .filter(|&child| at.stream.shards[child].parents.contains(&Some(shard)))
            .map(|child| {
                let parents = at.stream.shards[child].parents.map(|parent| parent.map(ShardIndex));
                (ShardIndex(u32::try_from(child).expect("fewer than 2^32 shards")), parents)
            })
            .collect();
        self.with_leases(at, |leases, ctx, _| {
            leases.shard_ended(ShardIndex(shard), &children, ctx);
        });
    }

    /// Delivers what the processor has finished by now.
    pub(super) fn settle(&mut self, id: u32, at: &mut AppCtx<'_, '_>) {
        let now = at.ctx.now;
        let Some(reader) = self.readers[id as usize].as_mut() else {
            return;
        };
        if reader.ends.front().is_none_or(|(end, _)| *end > now) {
            return;
        }
        let shard = reader.shard as usize;
        let state = self.shards[shard].as_mut().expect("a read shard is known");
        let log = &at.stream.shards[shard].log;
        let mut extent_number = reader.cursor_extent.max(log.start_extent());
        let mut summed = None;
        let mut sums = Sums::new();
        while let Some(&(end, service)) = reader.ends.front().filter(|(end, _)| *end <= now) {
            reader.ends.pop_front();
            let position = reader.cursor;
            reader.cursor += 1;
            let part = log.part(position);
            let place = (reader.shard, reader.worker.0);
            at.ledger.saw(|| Seen::processed(self.index, place, position, position + 1));
            if position < state.delivered || part.copy {
                state.delivered = state.expired.skip(state.delivered.max(position + 1));
                at.ledger.redeliver(self.index, u64::from(part.count), self.config.sink_idempotent);
                continue;
            }
            while log.extent(extent_number).is_some_and(|extent| extent.end() <= position) {
                extent_number += 1;
            }
            let extent = log.extent(extent_number).expect("a processed part is kept");
            if summed != Some(extent_number) {
                summed = Some(extent_number);
                sums.flush(&mut self.blame);
                let entered = state.clock.read_entry(extent.appended_at);
                sums.begin(&reader.clocks_then, &entered, reader.busy_cause);
                sums.common[Cause::BeforeStart as usize] = extent.before.0;
            }
            state.delivered = state.expired.skip(position + 1);
            state.unread -= u64::from(part.count);
            self.unread -= u64::from(part.count);
            let of = (reader.sunk.given_up, u64::from(part.count));
            let left = book_given_up(at.ledger, self.index, self.config.sink.as_ref(), of);
            let records = u32::try_from(left).expect("of a part's records");
            if records == 0 {
                continue;
            }
            let bytes = u64::from(part.bytes) * left / u64::from(part.count);
            at.ledger.deliver(self.index, left, bytes);
            let offered = (part.offered_at, extent.before);
            at.ledger.saw(|| Seen::delivered(self.index, left, offered, end));
            self.latency.record(end.since(part.offered_at) + extent.before, records);
            self.counts.lag_max = self.counts.lag_max.max(extent.age(end));
            let orders = (&mut self.keys, &mut state.rest, &mut self.luck);
            let late = late(&part, orders, |ahead| (at.overtaking)(part.flow, reader.shard, ahead));
            at.ledger.consumers[self.index].reordered += late;
            let detour = if part.detoured { log.detour(position) } else { Detour::default() };
            let times = (reader.began_at, end, service, reader.sunk.time);
            let parts = Parts::of((&part, records), &extent, detour, times);
            sums.add(&parts, &mut self.blame);
        }
        reader.cursor_extent = extent_number;
        sums.flush(&mut self.blame);
        at.ledger.saw(|| Seen::Blamed { consumer: self.index, nanos: self.blame.sum() });
    }

    /// A reader that asks for something goes on at the horizon if it is behind it.
    pub(super) fn leap(&mut self, id: u32, horizon: u64) {
        let reader = self.reader_mut(id);
        if reader.fetching == Fetching::UnderWay || reader.next_fetch >= horizon {
            return;
        }
        reader.next_fetch = horizon;
        reader.pass_gap();
    }

    /// What processors have finished of a shard and nobody has settled: (position after it,
    /// records that count as delivered by it).
    pub(super) fn finished(&self, state: &ShardState, log: &Log, now: SimTime) -> (u64, u64) {
        let (mut delivered, mut records) = (state.delivered, 0);
        for reader in state.readers.iter().filter_map(|&id| self.readers[id as usize].as_ref()) {
            let done = reader.ends.iter().take_while(|(end, _)| *end <= now);
            for (position, _) in (reader.cursor..).zip(done) {
                if position >= delivered {
                    let part = log.part(position);
                    records += if part.copy { 0 } else { u64::from(part.count) };
                    delivered = position + 1;
                }
            }
        }
        (delivered, records)
    }

    /// The active cause of waiting at a shard (decision D-19).
    pub(super) fn choose_cause(&mut self, shard: u32, now: SimTime) {
        let state = self.shards[shard as usize].as_ref().expect("a read shard is known");
        let (mut awake, mut busy, mut refused) = (false, false, false);
        for reader in state.readers.iter().filter_map(|&id| self.readers[id as usize].as_ref()) {
            if !reader.frozen {
                awake = true;
                busy |= reader.processing || reader.waits_for_thread;
                refused |= reader.refused;
            }
        }
        if !awake {
            let owner = self.coordination.owner(ShardIndex(shard));
            let unnoticed = owner.is_some_and(|worker| {
                let worker = &self.workers[worker.0 as usize];
                !worker.running || worker.paused
            });
            let state = self.shards[shard as usize].as_mut().expect("just seen");
            let cause = if unnoticed { Cause::OwnerDead } else { Cause::LeaseGap };
            state.clock.set(now, cause);
            state.interrupted = true;
            return;
        }
        let state = self.shards[shard as usize].as_mut().expect("just seen");
        let cause = if busy {
            if state.interrupted { Cause::CatchUp } else { Cause::Capacity }
        } else if refused {
            state.interrupted = true;
            Cause::FetchThrottled
        } else {
            if state.unread == 0 {
                state.interrupted = false;
            }
            Cause::PollGap
        };
        state.clock.set(now, cause);
    }
}

/// How many records of a part come after a later one of their key (D-10).
fn late(
    part: &Part,
    (keys, rest, luck): (&mut KeyOrder, &mut RestOrder, &mut RngStream),
    chance_of_overtaking: impl Fn(u64) -> f64,
) -> u64 {
    if part.class == KeyClass::UNIQUE {
        return 0;
    }
    if part.class.is_one_key() {
        return keys.deliver(&part.run());
    }
    match rest.deliver(&part.run()) {
        0 => 0,
        ahead => binomial(luck, u64::from(part.count), chance_of_overtaking(ahead)),
    }
}

/// The parts of a delivered batch's age, in nanoseconds.
struct Parts {
    records: u32,
    in_client: u64,
    detour: Detour,
    put: u64,
    queued: u64,
    service: u64,
    sink: u64,
    age: u64,
}

/// What the deliveries of one extent have in common, and the sums of what they have not.
struct Sums {
    /// From the append until the chunk was begun, by cause: the same for all.
    common: Clocks,
    busy: Cause,
    records: u64,
    /// Record-nanoseconds of each batch's own.
    own: Clocks,
    age: u128,
}

impl Sums {
    fn new() -> Self {
        let zero = [0; CAUSES.len()];
        Self { common: zero, busy: Cause::Capacity, records: 0, own: zero, age: 0 }
    }

    /// Begins another extent, which entered the place when its clocks read `entered`.
    fn begin(&mut self, then: &Clocks, entered: &Clocks, busy: Cause) {
        for (common, (then, entered)) in self.common.iter_mut().zip(then.iter().zip(entered)) {
            *common = then - entered;
        }
        self.busy = busy;
    }

    fn add(&mut self, parts: &Parts, book: &mut BlameBook) {
        let records = u64::from(parts.records);
        self.records += records;
        self.age += u128::from(records) * u128::from(parts.age);
        parts.each(self.busy, |cause, ns| self.own[cause as usize] += records * ns);
        if book.is_longest(parts.age) {
            let mut clocks = self.common;
            parts.each(self.busy, |cause, ns| clocks[cause as usize] += ns);
            book.set_longest(parts.age, clocks);
        }
    }

    fn flush(&mut self, book: &mut BlameBook) {
        if self.records > 0 {
            book.add(self.records, &self.common, &self.own, self.age);
            (self.records, self.age, self.own) = (0, 0, [0; CAUSES.len()]);
        }
    }
}

impl Parts {
    /// The parts of a batch whose chunk was begun at, and which was done at, after a service of.
    fn of(
        (part, records): (&Part, u32),
        extent: &Extent,
        detour: Detour,
        (began_at, end, service, sink): (SimTime, SimTime, SimDuration, SimDuration),
    ) -> Self {
        let in_client = extent.sent_at.since(part.offered_at).0;
        Self {
            records,
            put: extent.appended_at.since(extent.sent_at).0,
            in_client: in_client - detour.backlog_ns - detour.throttled_ns,
            detour,
            queued: end.since(began_at).0 - service.0 - sink.0,
            service: service.0,
            sink: sink.0,
            age: (end.since(part.offered_at) + extent.before).0,
        }
    }

    fn each(&self, busy: Cause, mut add: impl FnMut(Cause, u64)) {
        add(Cause::ClientBatching, self.in_client);
        add(Cause::ClientBacklog, self.detour.backlog_ns);
        add(Cause::Throttled, self.detour.throttled_ns);
        add(Cause::Put, self.put);
        add(busy, self.queued);
        add(Cause::Service, self.service);
        add(Cause::Sink, self.sink);
    }
}
