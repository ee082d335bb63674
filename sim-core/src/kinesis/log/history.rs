//! What a shard holds when the run begins. It is not stored: each slice of it is worked out from its
//! number, so that a day of it costs no more than a second.
//!
//! Simplifications: the records are as large as each other, each a Kinesis record of its own, of keys
//! that come only once, and count as offered and appended at one instant. A run of many keys in
//! order, or an aggregate, could tell. A slice is 64 KiB, or a record if that is larger: readers,
//! checkpoints and retention go by slices.

use crate::config::{HistoryConfig, part};
use crate::engine::{SimDuration, SimTime};
use crate::flow::{FlowId, KeyClass};

use super::{Extent, Part};

/// Bytes of a slice: a quarter of what is pushed at once.
const SLICE_BYTES: u64 = 64 << 10;

/// Records of the time before the run. A slice is a part, and an extent, of its number.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct History {
    slices: u64,
    records: u64,
    bytes: u64,
    age: SimDuration,
}

impl History {
    pub(super) fn new(config: &HistoryConfig) -> Self {
        let slices = config.bytes.div_ceil(SLICE_BYTES).min(config.records);
        Self { slices, records: config.records, bytes: config.bytes, age: config.age }
    }

    /// How many slices there are: the number after the last.
    pub(super) fn end(&self) -> u64 {
        self.slices
    }

    /// How long before the start of the run its oldest record was appended.
    pub(super) fn age(&self) -> SimDuration {
        if self.slices == 0 { SimDuration::ZERO } else { self.age }
    }

    /// How long before the start of the run a slice was appended: the oldest all its age.
    fn before(&self, number: u64) -> SimDuration {
        let left = u128::from(self.slices - number);
        let nanos = u128::from(self.age.0) * left / u128::from(self.slices);
        SimDuration(u64::try_from(nanos).expect("at most the age"))
    }

    /// The first slice that was appended no longer than that before the start of the run.
    pub(super) fn position_of(&self, before: SimDuration) -> u64 {
        let (mut low, mut high) = (0, self.slices);
        while low < high {
            let middle = low.midpoint(high);
            if self.before(middle) > before {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    pub(super) fn part(&self, number: u64) -> Part {
        let narrow = |count: u64| u32::try_from(count).expect("a slice is small");
        Part {
            offered_at: SimTime::ZERO,
            first_seq: 0,
            count: narrow(part(self.records, number, self.slices)),
            bytes: narrow(part(self.bytes, number, self.slices)),
            class: KeyClass::UNIQUE,
            flow: FlowId(0),
            stride: 1,
            copy: false,
            detoured: false,
        }
    }

    pub(super) fn extent(&self, number: u64) -> Extent {
        let of = self.part(number);
        Extent {
            appended_at: SimTime::ZERO,
            sent_at: SimTime::ZERO,
            first_part: number,
            parts: 1,
            records: of.count,
            wire_records: of.count,
            bytes: u64::from(of.bytes),
            before: self.before(number),
        }
    }

    /// Records of the slices from `from` to `until`, as far as they are of the history.
    pub(super) fn records_between(&self, from: u64, until: u64) -> u64 {
        let sum = |slices: u64| {
            let all = u128::from(self.records) * u128::from(slices.min(self.slices));
            u64::try_from(all / u128::from(self.slices.max(1))).expect("at most all records")
        };
        sum(until).saturating_sub(sum(from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: SimDuration = SimDuration::from_secs(3_600);

    /// 100 MiB in slices of 64 KiB are 1,600, with 100,000 records 62.5 in each; they are spread over an
    /// hour, so 2.25 s lie between two.
    #[test]
    fn slices_add_up_to_the_history_and_lie_evenly_over_its_age() {
        let history =
            History::new(&HistoryConfig { records: 100_000, bytes: 100 << 20, age: HOUR });
        assert_eq!(history.end(), 1_600);
        let extents: Vec<Extent> = (0..1_600).map(|number| history.extent(number)).collect();
        assert_eq!(extents.iter().map(|it| u64::from(it.records)).sum::<u64>(), 100_000);
        assert_eq!(extents.iter().map(|it| it.bytes).sum::<u64>(), 100 << 20);
        assert!(extents.iter().all(|it| it.records == 62 || it.records == 63));
        assert_eq!(extents[0].before, HOUR);
        assert_eq!(extents[1_599].before, SimDuration::from_millis(2_250));
        assert_eq!(history.records_between(0, 1_600), 100_000);
        assert_eq!(history.records_between(400, 800), 25_000);
        assert_eq!(history.records_between(1_600, 9_999), 0);
    }

    /// Half of the age ago is half of the slices; none is younger than the start.
    #[test]
    fn a_position_is_where_the_time_before_the_start_says() {
        let history =
            History::new(&HistoryConfig { records: 100_000, bytes: 100 << 20, age: HOUR });
        let positions = [0, 1_800, 3_600, 7_200].map(SimDuration::from_secs);
        assert_eq!(positions.map(|it| history.position_of(it)), [1_600, 800, 0, 0]);
    }

    /// Three records of 1 MiB are three slices, and no history is none.
    #[test]
    fn a_large_record_is_a_slice_of_its_own() {
        let large = History::new(&HistoryConfig { records: 3, bytes: 3 << 20, age: HOUR });
        assert_eq!(large.end(), 3);
        assert_eq!((large.extent(2).records, large.extent(2).bytes), (1, 1 << 20));
        assert_eq!((History::default().end(), History::default().age()), (0, SimDuration::ZERO));
    }
}
