//! What a partition holds when the run begins: a bounded number of large entries, in segments as they
//! would have been rolled.
//!
//! Instants before the start are counted from the beginning of the oldest history of the cluster, its
//! epoch: segments and page caches go by that clock. An entry's own instants are those of the run, and
//! how long before it a record was written follows from its offset.
//!
//! Simplifications: the records are as large as each other, of keys that come only once, and count as
//! offered, appended and replicated at one instant. A fetch cuts them anywhere, where the real one
//! takes whole batches. Of a log that would have more segments than entries, segments are larger.

use crate::config::kafka::TopicConfig;
use crate::config::{HistoryConfig, part};
use crate::engine::{SimDuration, SimTime};
use crate::flow::{FlowId, KeyClass};

use super::{Entry, Log, Segment};

/// Most bytes of an entry: 32 bits count them.
const MOST_BYTES: u64 = 1 << 30;

/// Records of the time before the run.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct History {
    /// The offset after the last of them.
    pub(super) end: u64,
    age: SimDuration,
    /// From the beginning of the oldest history of the cluster to the start of the run.
    pub(super) epoch: SimDuration,
}

impl Log {
    /// An empty log in a cluster whose oldest record is so old.
    pub(crate) fn since(epoch: SimDuration) -> Self {
        Self { history: History { epoch, ..History::default() }, ..Self::new() }
    }

    /// A log that holds something when the run begins, in at most so many entries and segments.
    pub(crate) fn with_history(
        config: &HistoryConfig,
        topic: &TopicConfig,
        epoch: SimDuration,
        most: u64,
    ) -> Self {
        let HistoryConfig { records, bytes, age } = *config;
        let mut log = Self::since(epoch);
        if records == 0 {
            return log;
        }
        log.history = History { end: records, age, epoch };
        let whole = |numerator: u128, denominator: u64| {
            u64::try_from(numerator / u128::from(denominator.max(1))).unwrap_or(u64::MAX)
        };
        let rolled = whole(u128::from(bytes) * u128::from(topic.segment_time.0), age.0);
        let least = bytes.div_ceil(most.min(records));
        let each = topic.segment_bytes.min(rolled).max(least).max(1);
        let base = |bytes_before: u64| whole(u128::from(records) * u128::from(bytes_before), bytes);
        let written = |offset: u64| SimTime::ZERO + (epoch - log.history.before(offset));
        let segment = |number: u64| {
            let base_bytes = number * each;
            let (from, until) = (base(base_bytes), base(bytes.min(base_bytes + each)));
            let (opened_at, newest) = (written(from), written(until));
            Segment { base: from, base_bytes, opened_at, newest }
        };
        let segments = (0..bytes.div_ceil(each)).map(segment).collect();
        let count = most.max(bytes.div_ceil(MOST_BYTES)).min(records);
        log.entries = (0..count).map(|number| entry(config, number, count)).collect();
        log.segments = segments;
        (log.committed, log.end, log.end_bytes) = (count, records, bytes);
        log.high_watermark = records;
        log
    }

    /// How long before the start of the run the record at `offset` was appended; zero for what the
    /// run brings.
    pub(crate) fn before(&self, offset: u64) -> SimDuration {
        self.history.before(offset)
    }

    /// The first offset that was appended no longer than `lag` before the start of the run.
    pub(crate) fn offset_before_start(&self, lag: SimDuration) -> u64 {
        let History { end, age, .. } = self.history;
        let back = u128::from(end) * u128::from(lag.0) / u128::from(age.0.max(1));
        end - u64::try_from(back).map_or(end, |back| back.min(end))
    }
}

impl History {
    fn before(&self, offset: u64) -> SimDuration {
        let left = u128::from(self.end.saturating_sub(offset));
        let nanos = u128::from(self.age.0) * left / u128::from(self.end.max(1));
        SimDuration(u64::try_from(nanos).expect("at most the age"))
    }
}

fn entry(config: &HistoryConfig, number: u64, of: u64) -> Entry {
    let narrow = |value: u64| u32::try_from(value).expect("an entry is bounded");
    let base = u128::from(config.records) * u128::from(number) / u128::from(of);
    Entry {
        base: u64::try_from(base).expect("within the history"),
        stamp: 0,
        offered_at: SimTime::ZERO,
        sent_at: SimTime::ZERO,
        appended_at: SimTime::ZERO,
        visible_at: SimTime::ZERO,
        first_seq: 0,
        serial: narrow(number),
        count: narrow(part(config.records, number, of)),
        bytes: narrow(part(config.bytes, number, of)),
        class: KeyClass::UNIQUE,
        flow: FlowId(0),
        stride: 1,
        copy: false,
        detoured: false,
    }
}
