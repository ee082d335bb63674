//! What a shard holds: extents, each of them what one request appended at one instant.
//!
//! Positions are *part numbers*: parts are numbered from 0 in the order of their append, and a
//! position names the next part. Only what some reader may still ask for is kept (decision D-15);
//! everything behind the lowest checkpoint is dropped, so memory follows what is live. What was
//! there before the run comes first, and is worked out when it is looked at (`history`).

mod history;

use std::collections::VecDeque;

use crate::blame::Detour;
use crate::config::HistoryConfig;
use crate::engine::{SimDuration, SimTime};
use crate::flow::{Batch, FlowId, KeyClass};
use crate::order::Run;

use history::History;

/// A stored batch, as much of it as readers need.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// When its records were offered.
    pub offered_at: SimTime,
    /// Number of its first record within flow and class.
    pub first_seq: u64,
    /// Records.
    pub count: u32,
    /// Their data and partition keys, bytes.
    pub bytes: u32,
    /// Which keys.
    pub class: KeyClass,
    /// Which client process.
    pub flow: FlowId,
    /// From one record's number to the next.
    pub stride: u16,
    /// A second copy of records that are stored already.
    pub copy: bool,
    /// Its client-side wait had more to it than batching and one attempt: see [`Log::detour`].
    pub detoured: bool,
}

impl Part {
    /// As the order of deliveries sees it.
    pub(crate) fn run(&self) -> Run {
        Run {
            flow: self.flow,
            class: self.class,
            first_seq: self.first_seq,
            stride: self.stride,
            count: self.count,
            offered_at: self.offered_at,
        }
    }
}

/// What one request appended to one shard.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// When it was appended, and became readable (N-R-5).
    pub appended_at: SimTime,
    /// When the request that brought it was sent.
    pub sent_at: SimTime,
    /// Number of its first part.
    pub first_part: u64,
    /// Number of parts.
    pub parts: u32,
    /// Application records.
    pub records: u32,
    /// Kinesis records: aggregates count once.
    pub wire_records: u32,
    /// Bytes on the wire.
    pub bytes: u64,
    /// How long before the start of the run it was appended; zero for what the run brings.
    pub before: SimDuration,
}

impl Extent {
    /// Time since its append, also if that was before the start of the run.
    #[must_use]
    pub fn age(&self, now: SimTime) -> SimDuration {
        now.since(self.appended_at) + self.before
    }

    /// The number of the part after its last.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.first_part + u64::from(self.parts)
    }
}

/// The records of one shard that may still be read.
#[derive(Clone, Debug, Default)]
pub struct Log {
    history: History,
    /// The lowest position of the history that is still kept.
    history_from: u64,
    extents: VecDeque<Extent>,
    dropped_extents: u64,
    parts: VecDeque<Part>,
    dropped_parts: u64,
    detours: VecDeque<(u64, Detour)>,
}

impl Log {
    /// A log that holds something when the run begins.
    #[must_use]
    pub fn with_history(config: &HistoryConfig) -> Self {
        let history = History::new(config);
        // Positions and extents of the run are numbered behind those of the history.
        Self {
            dropped_extents: history.end(),
            dropped_parts: history.end(),
            history,
            ..Self::default()
        }
    }

    /// How long before the start of the run its oldest record was appended.
    #[must_use]
    pub fn age_at_start(&self) -> SimDuration {
        self.history.age()
    }

    /// The first position that was appended no longer than `lag` before the start of the run.
    #[must_use]
    pub fn position_before_start(&self, lag: SimDuration) -> u64 {
        self.history.position_of(lag)
    }

    /// Appends what a request brought.
    pub fn append(&mut self, sent_at: SimTime, now: SimTime, wire: (u32, u64), batches: &[Batch]) {
        let first_part = self.end();
        let mut records = 0;
        for batch in batches {
            let detour = Detour {
                backlog_ns: batch.backlog_ns,
                throttled_ns: sent_at.since(batch.first_sent_at).0,
            };
            let detoured = detour != Detour::default();
            if detoured {
                self.detours.push_back((self.end(), detour));
            }
            self.parts.push_back(Part {
                offered_at: batch.offered_at,
                first_seq: batch.first_seq,
                count: batch.count,
                bytes: batch.bytes,
                class: batch.class,
                flow: batch.flow,
                stride: batch.stride,
                copy: batch.already_stored,
                detoured,
            });
            records += batch.count;
        }
        self.extents.push_back(Extent {
            appended_at: now,
            sent_at,
            first_part,
            parts: u32::try_from(batches.len()).expect("a request holds few batches"),
            records,
            wire_records: wire.0,
            bytes: wire.1,
            before: SimDuration::ZERO,
        });
    }

    /// The position after the last part.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.dropped_parts + self.parts.len() as u64
    }

    /// The lowest position still kept.
    #[must_use]
    pub fn start(&self) -> u64 {
        if self.history_from < self.history.end() { self.history_from } else { self.dropped_parts }
    }

    /// The part at `position`, which must be kept.
    #[must_use]
    pub fn part(&self, position: u64) -> Part {
        if position < self.history.end() {
            return self.history.part(position);
        }
        self.parts[usize_of(position - self.dropped_parts)]
    }

    /// What delayed the part at `position` on the client's side, beyond batching and one attempt.
    #[must_use]
    pub fn detour(&self, position: u64) -> Detour {
        self.detours
            .binary_search_by_key(&position, |(at, _)| *at)
            .map_or(Detour::default(), |index| self.detours[index].1)
    }

    /// Number of the first extent kept.
    #[must_use]
    pub fn start_extent(&self) -> u64 {
        if self.history_from < self.history.end() {
            self.history_from
        } else {
            self.dropped_extents
        }
    }

    /// The extent of that number, if there is one.
    #[must_use]
    pub fn extent(&self, number: u64) -> Option<Extent> {
        if number < self.history.end() {
            return (number >= self.history_from).then(|| self.history.extent(number));
        }
        self.extents.get(usize_of(number.checked_sub(self.dropped_extents)?)).copied()
    }

    /// Number of the extent that holds the part at `position`, or the end.
    #[must_use]
    pub fn extent_of(&self, position: u64) -> u64 {
        if position < self.history.end() {
            return position.max(self.history_from);
        }
        let before = self.extents.partition_point(|extent| extent.end() <= position);
        self.dropped_extents + before as u64
    }

    /// Records in the parts from `from` to `until`.
    #[must_use]
    pub fn records_between(&self, from: u64, until: u64) -> u64 {
        let of_run = from.max(self.history.end())..until;
        self.history.records_between(from, until)
            + of_run.map(|position| u64::from(self.part(position).count)).sum::<u64>()
    }

    /// The same, without second copies.
    #[must_use]
    pub fn fresh_between(&self, from: u64, until: u64) -> u64 {
        let of_run = from.max(self.history.end())..until;
        let parts = of_run.map(|position| self.part(position)).filter(|part| !part.copy);
        self.history.records_between(from, until)
            + parts.map(|part| u64::from(part.count)).sum::<u64>()
    }

    /// Forgets whole extents below `position`.
    pub fn drop_before(&mut self, position: u64) {
        self.history_from = self.history_from.max(position.min(self.history.end()));
        while self.extents.front().is_some_and(|extent| extent.end() <= position) {
            let extent = self.extents.pop_front().expect("just seen");
            self.dropped_extents += 1;
            self.dropped_parts += u64::from(extent.parts);
            self.parts.drain(..extent.parts as usize);
        }
        while self.detours.front().is_some_and(|(at, _)| *at < self.dropped_parts) {
            self.detours.pop_front();
        }
    }
}

fn usize_of(n: u64) -> usize {
    usize::try_from(n).expect("a position within memory")
}
