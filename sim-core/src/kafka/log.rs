//! The log of one partition as its leader has it: entries with offsets, the high watermark, and
//! segments for retention.
//!
//! | Mechanism                                                          | Fact   |
//! |--------------------------------------------------------------------|--------|
//! | the high watermark never moves back within an epoch                | K-HW-1 |
//! | a new leader cuts what it does not have                            | K-EPO-1, K-DL-1 |
//! | whole old segments go by age or size, the active one too           | K-RET-1 |
//! | what was written lately is in the page cache                       | K-DSK-3 |
//!
//! Simplifications: one entry is a run of records of one flow, key class and offered instant, also
//! when a request brought several. A tail that is cut is gone at the election; in truth it stays on
//! the old leader's disk until that one follows, so an unclean election that brings just that
//! leader back would find it. A follower that reads below the first kept entry gets records of the
//! mean size of those forgotten. What was there before the run: see `history`.

mod history;

use std::collections::VecDeque;

use crate::config::kafka::TopicConfig;
use crate::engine::{SimDuration, SimTime};
use crate::flow::{Batch, FlowId, KeyClass};
use crate::ledger::Records;

use super::broker::CACHE_STEPS;
use super::detour::Detour;

use history::History;

/// A stored run of records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// Offset of its first record.
    pub(crate) base: u64,
    /// Number of the append on its leader: appends of one broker are numbered over all partitions.
    pub(crate) stamp: u64,
    /// When its records were offered.
    pub(crate) offered_at: SimTime,
    /// When the request that brought it was sent.
    pub(crate) sent_at: SimTime,
    /// When the leader appended it.
    pub(crate) appended_at: SimTime,
    /// When the high watermark passed it; `SimTime::MAX` before.
    pub(crate) visible_at: SimTime,
    /// Number of its first record within flow and class.
    pub(crate) first_seq: u64,
    /// The client's number of the batch that brought it.
    pub(crate) serial: u32,
    /// Records.
    pub(crate) count: u32,
    /// Their bytes.
    pub(crate) bytes: u32,
    /// Which keys.
    pub(crate) class: KeyClass,
    /// Which client process.
    pub(crate) flow: FlowId,
    /// From one record's number to the next.
    pub(crate) stride: u16,
    /// A second copy of records that are stored already.
    pub(crate) copy: bool,
    /// Its client-side wait had more to it than batching and one attempt: see [`Log::detour`].
    pub(crate) detoured: bool,
}

impl Entry {
    /// The offset after its last record.
    pub(crate) fn end(&self) -> u64 {
        self.base + u64::from(self.count)
    }

    /// Its records, as checkers know them.
    pub(crate) fn run(&self) -> Records {
        Records::numbered(self.flow, self.class, self.first_seq, self.stride, self.count)
    }

    /// What fits of it from an offset inside it on, or a record if it must be something: (the offset
    /// after it, its bytes).
    fn take(&self, from: u64, room: u64, must: bool) -> (u64, u64) {
        let (count, bytes) = (u128::from(self.count), u128::from(self.bytes).max(1));
        let fits = u64::try_from(u128::from(room) * count / bytes).unwrap_or(u64::MAX);
        let records = fits.max(u64::from(must)).min(self.end() - from);
        (from + records, records * u64::from(self.bytes) / u64::from(self.count))
    }
}

/// How a batch came to be appended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    /// The leader's number of the append.
    pub(crate) stamp: u64,
    /// When the request was sent.
    pub(crate) sent_at: SimTime,
    /// When it is appended.
    pub(crate) now: SimTime,
    /// When the last step of its leader's page cache began.
    pub(crate) cache_step: SimTime,
    /// The client's number of the batch.
    pub(crate) serial: u32,
    /// What delayed the batch in the client.
    pub(crate) detour: Detour,
}

/// A run of offsets that goes as a whole.
#[derive(Clone, Copy, Debug)]
struct Segment {
    base: u64,
    /// Bytes in the log before it.
    base_bytes: u64,
    opened_at: SimTime,
    newest: SimTime,
}

/// The log of one partition.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    history: History,
    entries: VecDeque<Entry>,
    /// Entries that are no longer kept.
    dropped: u64,
    /// Entries below the high watermark, those not kept included.
    committed: u64,
    start: u64,
    end: u64,
    end_bytes: u64,
    /// Bytes of the entries that are no longer kept.
    dropped_bytes: u64,
    high_watermark: u64,
    segments: VecDeque<Segment>,
    detours: VecDeque<(u64, Detour)>,
    /// How far the log had come when: (instant, offset), one for each step of its leader's page
    /// cache in which something was appended. It outlives the entries, which are forgotten once no
    /// group needs them, and so knows what a follower that was away finds in memory.
    written: VecDeque<(SimTime, u64)>,
}

impl Log {
    pub(crate) fn new() -> Self {
        Self {
            history: History::default(),
            entries: VecDeque::new(),
            dropped: 0,
            committed: 0,
            start: 0,
            end: 0,
            end_bytes: 0,
            dropped_bytes: 0,
            high_watermark: 0,
            segments: VecDeque::from([Segment {
                base: 0,
                base_bytes: 0,
                opened_at: SimTime::ZERO,
                newest: SimTime::ZERO,
            }]),
            detours: VecDeque::new(),
            written: VecDeque::new(),
        }
    }

    /// The offset after the last record: the leader's LEO.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// The first offset that retention has left.
    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    /// The high watermark.
    pub(crate) fn high_watermark(&self) -> u64 {
        self.high_watermark
    }

    /// Whether there is nothing above the high watermark.
    pub(crate) fn is_committed(&self) -> bool {
        self.high_watermark == self.end
    }

    /// Appends a batch. `topic` says when segments roll.
    pub(crate) fn append(&mut self, batch: &Batch, arrival: &Arrival, topic: &TopicConfig) {
        let now = arrival.now;
        // Segments and the page cache count from the beginning of all history.
        let clock = now + self.history.epoch;
        let active = self.segments.back().expect("there is an active segment");
        let full = self.end_bytes - active.base_bytes >= topic.segment_bytes;
        let holds = self.end > active.base;
        if holds && (full || clock.since(active.opened_at) >= topic.segment_time) {
            let (base, base_bytes) = (self.end, self.end_bytes);
            self.segments.push_back(Segment { base, base_bytes, opened_at: clock, newest: clock });
        }
        let active = self.segments.back_mut().expect("there is an active segment");
        if self.end == active.base {
            active.opened_at = clock;
        }
        active.newest = active.newest.max(batch.offered_at + self.history.epoch);
        if self.written.back().is_none_or(|(at, _)| *at < arrival.cache_step) {
            self.written.push_back((clock, self.end));
            // Twice what the page cache holds is enough: what is older is on disk alone.
            if self.written.len() as u64 > 2 * CACHE_STEPS {
                self.written.pop_front();
            }
        }
        let mut detour = arrival.detour;
        detour.backlog_ns += batch.backlog_ns;
        let detoured = detour != Detour::default();
        if detoured {
            self.detours.push_back((self.end_index(), detour));
        }
        self.entries.push_back(Entry {
            base: self.end,
            stamp: arrival.stamp,
            offered_at: batch.offered_at,
            sent_at: arrival.sent_at,
            appended_at: now,
            visible_at: SimTime::MAX,
            first_seq: batch.first_seq,
            serial: arrival.serial,
            count: batch.count,
            bytes: batch.bytes,
            class: batch.class,
            flow: batch.flow,
            stride: batch.stride,
            copy: batch.already_stored,
            detoured,
        });
        self.end += u64::from(batch.count);
        self.end_bytes += u64::from(batch.bytes);
    }

    /// Index of the entry after the last.
    pub(crate) fn end_index(&self) -> u64 {
        self.dropped + self.entries.len() as u64
    }

    /// Index of the first entry kept.
    pub(crate) fn start_index(&self) -> u64 {
        self.dropped
    }

    /// The entry of that index, if it is kept.
    pub(crate) fn entry(&self, index: u64) -> Option<&Entry> {
        self.entries.get(place(index.checked_sub(self.dropped)?))
    }

    /// Index of the kept entry that holds `offset`, or of the first one after it.
    pub(crate) fn index_of(&self, offset: u64) -> u64 {
        let before = self.entries.partition_point(|entry| entry.end() <= offset);
        self.dropped + before as u64
    }

    /// The same, if it is probably the entry of index `hint` or the one after it.
    pub(crate) fn index_near(&self, offset: u64, hint: u64) -> u64 {
        let holds =
            |index: u64| self.entry(index).is_some_and(|it| it.base <= offset && offset < it.end());
        if holds(hint) {
            hint
        } else if holds(hint + 1) {
            hint + 1
        } else if offset >= self.end {
            self.end_index()
        } else {
            self.index_of(offset)
        }
    }

    /// The end of what was appended up to the stamp.
    pub(crate) fn end_at(&self, stamp: u64) -> u64 {
        if self.entries.back().is_none_or(|last| last.stamp <= stamp) {
            return self.end;
        }
        let within = self.entries.partition_point(|entry| entry.stamp <= stamp);
        match within.checked_sub(1) {
            Some(last) => self.entries[last].end(),
            None => self.entries.front().map_or(self.end, |first| first.base),
        }
    }

    /// When the record at `offset` was appended, or a little before: to a step of the page cache, and
    /// counted from the beginning of all history.
    pub(crate) fn written_at(&self, offset: u64) -> SimTime {
        if offset < self.history.end {
            return SimTime::ZERO + (self.history.epoch - self.before(offset));
        }
        // Most readers are at the tail.
        let last = self.written.back().filter(|(_, from)| *from <= offset);
        let found = last.or_else(|| {
            let after = self.written.partition_point(|(_, from)| *from <= offset);
            self.written.get(after.checked_sub(1)?)
        });
        found.map_or(SimTime::ZERO, |(at, _)| *at)
    }

    /// Records from `offset` on, without second copies; from there on all is kept.
    pub(crate) fn fresh_from(&self, offset: u64) -> u64 {
        let first = self.entries.partition_point(|entry| entry.end() <= offset);
        let fresh = self.entries.range(first..).filter(|entry| !entry.copy);
        fresh.map(|entry| entry.end() - entry.base.max(offset)).sum()
    }

    /// Raises the high watermark over every entry that was appended up to `stamp` and ends by
    /// `bound`.
    pub(crate) fn commit(&mut self, stamp: u64, bound: u64, now: SimTime) {
        while let Some(entry) = self.entries.get_mut(place(self.committed - self.dropped)) {
            if entry.stamp > stamp || entry.end() > bound {
                break;
            }
            entry.visible_at = now;
            self.committed += 1;
            self.high_watermark = entry.end();
        }
    }

    /// What delayed the entry at `index` in the client, beyond batching and one attempt.
    pub(crate) fn detour(&self, index: u64) -> Detour {
        self.detours
            .binary_search_by_key(&index, |(at, _)| *at)
            .map_or(Detour::default(), |found| self.detours[found].1)
    }

    /// What a fetch from `offset` gets of at most `most` bytes: (the offset after it, its bytes).
    /// The first batch always fits (K-LOG-2); batches are not cut.
    pub(crate) fn read(&self, offset: u64, most: u64) -> (u64, u64) {
        let mut index = self.index_of(offset);
        let kept_from = self.entries.front().map_or(self.end, |first| first.base);
        if offset < kept_from {
            return self.read_forgotten(offset, kept_from, most);
        }
        let (mut until, mut bytes) = (offset, 0);
        while let Some(first) = self.entry(index) {
            let (flow, serial) = (first.flow, first.serial);
            let mut batch_bytes = 0;
            let mut end = first.end();
            while let Some(part) = self.entry(index) {
                if (part.flow, part.serial) != (flow, serial) {
                    break;
                }
                batch_bytes += u64::from(part.bytes);
                end = part.end();
                index += 1;
            }
            if bytes > 0 && bytes + batch_bytes > most {
                break;
            }
            (until, bytes) = (end, bytes + batch_bytes);
        }
        (until, bytes)
    }

    /// What a consumer's fetch from `offset`, in the entry of index `index`, gets of at most `most`
    /// bytes: whole entries below the high watermark, and at least one.
    pub(crate) fn read_visible(&self, offset: u64, index: u64, most: u64) -> (u64, u64) {
        let (mut until, mut bytes) = (offset, 0);
        let first = place(index.saturating_sub(self.dropped));
        for entry in self.entries.range(first.min(self.entries.len())..) {
            if entry.base < self.history.end {
                // An entry of the history is many batches: it is cut anywhere.
                let (end, read) = entry.take(until, most.saturating_sub(bytes), bytes == 0);
                (until, bytes) = (end, bytes + read);
                if until < entry.end() {
                    break;
                }
                continue;
            }
            let size = u64::from(entry.bytes);
            if entry.end() > self.high_watermark || bytes > 0 && bytes + size > most {
                break;
            }
            (until, bytes) = (entry.end(), bytes + size);
        }
        (until, bytes)
    }

    /// The same below what is kept: by the mean size of a record.
    fn read_forgotten(&self, offset: u64, kept_from: u64, most: u64) -> (u64, u64) {
        let mean = (self.dropped_bytes / kept_from.max(1)).max(1);
        let records = (most / mean).max(1).min(kept_from - offset);
        (offset + records, records * mean)
    }

    /// Cuts everything from `offset` on, which is a boundary of entries; `each` gets what goes,
    /// with its index.
    pub(crate) fn truncate(&mut self, offset: u64, mut each: impl FnMut(u64, &Entry)) {
        while let Some(last) = self.entries.back().copied().filter(|last| last.base >= offset) {
            self.entries.pop_back();
            each(self.end_index(), &last);
            self.end = last.base;
            self.end_bytes -= u64::from(last.bytes);
        }
        let end_index = self.end_index();
        self.committed = self.committed.min(end_index);
        self.high_watermark = self.high_watermark.min(self.end);
        while self.detours.back().is_some_and(|(at, _)| *at >= end_index) {
            self.detours.pop_back();
        }
        while self.written.back().is_some_and(|(_, from)| *from >= self.end) {
            self.written.pop_back();
        }
        while self.segments.len() > 1 && self.segments.back().is_some_and(|s| s.base > self.end) {
            self.segments.pop_back();
        }
    }

    /// A new leader begins: entries so far count as appended before everything else on it.
    pub(crate) fn restamp(&mut self, high_watermark: u64) {
        for entry in &mut self.entries {
            entry.stamp = 0;
        }
        self.high_watermark = high_watermark.min(self.end);
        let visible = self.entries.partition_point(|entry| entry.end() <= self.high_watermark);
        self.committed = self.dropped + visible as u64;
    }

    /// Forgets entries that nobody needs: those that end by `offset` and are committed.
    pub(crate) fn drop_before(&mut self, offset: u64) {
        let offset = offset.min(self.high_watermark);
        while self.entries.front().is_some_and(|entry| entry.end() <= offset) {
            if self.dropped >= self.committed {
                break;
            }
            self.dropped_bytes += self.entries.pop_front().map_or(0, |it| u64::from(it.bytes));
            self.dropped += 1;
        }
        while self.detours.front().is_some_and(|(at, _)| *at < self.dropped) {
            self.detours.pop_front();
        }
    }

    /// Lets retention take whole segments (K-RET-1); returns whether the start moved.
    pub(crate) fn retain(&mut self, topic: &TopicConfig, now: SimTime) -> bool {
        let before = self.start;
        let now = now + self.history.epoch;
        let too_old = |segment: &Segment| {
            topic.retention.is_some_and(|keep: SimDuration| now.since(segment.newest) > keep)
        };
        while let Some(&first) = self.segments.front() {
            let next = self.segments.get(1).copied();
            let end = next.map_or(self.end, |next| next.base);
            let bytes = next.map_or(self.end_bytes, |next| next.base_bytes) - first.base_bytes;
            let held = self.end_bytes - first.base_bytes;
            let too_large =
                topic.retention_bytes.is_some_and(|most| held >= most.saturating_add(bytes));
            let empty = end == first.base;
            if empty || end > self.high_watermark || !(too_old(&first) || too_large) {
                break;
            }
            self.segments.pop_front();
            self.start = end;
            if self.segments.is_empty() {
                // The active segment goes too: it is rolled first.
                let (base, base_bytes) = (self.end, self.end_bytes);
                self.segments.push_back(Segment { base, base_bytes, opened_at: now, newest: now });
            }
        }
        self.start > before
    }

    /// When the newest of the records kept between two offsets was offered, if it was during the run.
    pub(crate) fn newest_between(&self, from: u64, until: u64) -> Option<SimTime> {
        let kept = self.entries.iter().skip_while(|entry| entry.base < from);
        let kept = kept.take_while(|entry| entry.end() <= until);
        kept.filter(|it| self.before(it.base).0 == 0).map(|entry| entry.offered_at).max()
    }

    /// Bytes that retention has left.
    pub(crate) fn kept_bytes(&self) -> u64 {
        self.end_bytes - self.segments.front().map_or(0, |oldest| oldest.base_bytes)
    }

    /// Bytes of the active segment.
    pub(crate) fn active_size(&self) -> u64 {
        self.end_bytes - self.segments.back().map_or(0, |active| active.base_bytes)
    }
}

fn place(n: u64) -> usize {
    usize::try_from(n).expect("a place within memory")
}

#[cfg(test)]
mod tests;
