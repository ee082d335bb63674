//! What the models say of what happens, for whoever listens: checkers outside of them. A model says
//! it beside the line that books it, and reads nothing back.

use crate::engine::{SimDuration, SimTime};
use crate::flow::{Batch, FlowId, KeyClass};

/// Records of one flow that go one way together, by numbers without a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Records {
    /// Which client process.
    pub flow: FlowId,
    /// What its numbers are counted within: the partition, for batches of a Kafka client; else key
    /// class and sub-key.
    pub lane: (u32, u16, u16),
    /// The first number.
    pub from: u64,
    /// The number after the last.
    pub until: u64,
}

impl Records {
    /// A batch of a Kafka client, by its number.
    #[must_use]
    pub fn batch(flow: FlowId, partition: u32, serial: u32) -> Self {
        let from = u64::from(serial);
        Self { flow, lane: (partition, 0, 0), from, until: from + 1 }
    }

    /// Records by their numbers within flow and class; those of a salted key within its sub-key.
    #[must_use]
    pub fn run(batch: &Batch) -> Self {
        Self::numbered(batch.flow, batch.class, batch.first_seq, batch.stride, batch.count)
    }

    /// The same of records that are no batch any more.
    #[must_use]
    pub fn numbered(flow: FlowId, class: KeyClass, first: u64, stride: u16, count: u32) -> Self {
        let of = u64::from(stride);
        let sub_key = u16::try_from(first % of).expect("less than the stride");
        let from = first / of;
        Self { flow, lane: (class.0, stride, sub_key), from, until: from + u64::from(count) }
    }
}

/// Something that happened.
#[derive(Clone, Copy, Debug)]
pub enum Seen {
    /// An application handed a batch to its client.
    Offered { producer: usize, batch: Batch },
    /// A client that promises order sent a batch of which no copy is stored.
    Sent { batch: Records },
    /// Records were appended to a log. A client knows them as `batch`, and `in_order` if it
    /// promises order; a `copy` of them is in the log already.
    Appended { partition: u32, batch: Records, run: Records, in_order: bool, copy: bool },
    /// A client was told that records are stored.
    Acknowledged { batch: Records },
    /// A client gave records up; `stored` if the books count them as unconfirmed.
    GaveUp { batch: Records, stored: bool },
    /// Records that were given up are stored, and the books count them as unconfirmed from now on.
    Regretted { batch: Records },
    /// The only copy of records is gone from its log; `held` if their client is to send them again.
    Unstored { partition: u32, batch: Records, run: Records, held: bool },
    /// An answer to a reader was put together: positions up to `until` while those up to `readable`
    /// could be read, the first of them appended at `oldest`.
    Fetched { consumer: usize, partition: u32, until: u64, readable: u64, oldest: SimTime },
    /// A process was told to read a partition.
    Assigned { consumer: usize, partition: u32, reader: u32 },
    /// It was told not to read it any more, or is gone.
    Stopped { consumer: usize, partition: u32, reader: u32 },
    /// A process has processed these positions.
    Processed { consumer: usize, partition: u32, reader: u32, from: u64, until: u64 },
    /// Records were delivered for the first time, `age` after they were offered.
    Delivered { consumer: usize, records: u64, offered_at: SimTime, age: SimDuration },
    /// All that a consumer's deliveries have waited for so far, in record-nanoseconds.
    Blamed { consumer: usize, nanos: u128 },
    /// A position was committed, or a checkpoint written, and it counts.
    Committed { consumer: usize, partition: u32, reader: u32, position: u64 },
    /// A consumer skipped positions, and its books count those that it had not processed as lost.
    Skipped { consumer: usize, partition: u32, from: u64, until: u64 },
    /// Retention has taken what a consumer could read up to a position; the last of it was appended
    /// at `newest`, if that is still known.
    Expired { consumer: usize, partition: u32, until: u64, newest: Option<SimTime> },
    /// A log was cut, as a consumer sees it: positions from `from` on are others from now on.
    Cut { consumer: usize, partition: u32, from: u64 },
    /// Retention took the oldest segments of a log.
    Trimmed { topic: (usize, usize), partition: u32, newest: Option<SimTime>, kept_bytes: u64 },
}

impl Seen {
    /// A reader was told to read a partition.
    #[must_use]
    pub fn assigned(consumer: usize, (partition, reader): (u32, u32)) -> Self {
        Self::Assigned { consumer, partition, reader }
    }

    /// A reader reads a partition no more.
    #[must_use]
    pub fn stopped(consumer: usize, (partition, reader): (u32, u32)) -> Self {
        Self::Stopped { consumer, partition, reader }
    }

    /// A consumer begins to read a partition at a position: what is before it is none of its.
    #[must_use]
    pub fn begins(consumer: usize, partition: u32, position: u64) -> Self {
        Self::Skipped { consumer, partition, from: 0, until: position }
    }

    /// A reader's position counts.
    #[must_use]
    pub fn committed(consumer: usize, (partition, reader): (u32, u32), position: u64) -> Self {
        Self::Committed { consumer, partition, reader, position }
    }

    /// One position, or several, processed by a reader.
    #[must_use]
    pub fn processed(
        consumer: usize,
        (partition, reader): (u32, u32),
        from: u64,
        until: u64,
    ) -> Self {
        Self::Processed { consumer, partition, reader, from, until }
    }

    /// Records of one batch delivered for the first time; they were offered at an instant, or so long
    /// before the run.
    #[must_use]
    pub fn delivered(
        consumer: usize,
        records: u64,
        (offered_at, before): (SimTime, SimDuration),
        at: SimTime,
    ) -> Self {
        Self::Delivered { consumer, records, offered_at, age: at.since(offered_at) + before }
    }
}
