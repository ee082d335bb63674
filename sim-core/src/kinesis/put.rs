//! A PutRecords request, and how a shard judges it.
//!
//! | Mechanism                                                             | Fact  |
//! |-----------------------------------------------------------------------|-------|
//! | every record is judged alone: it takes both budgets, or neither        | N-W-5, N-W-7 |
//! | a failed record does not stop later ones, so order in a request is lost | N-W-7 |
//! | an aggregate is one Kinesis record: one record of the budget            | N-KPL-7 |
//!
//! Simplification (D-12): equal records of one request for one shard form an item, and a prefix of
//! the item is admitted: the least of what the budgets allow. Real entries of different sizes could
//! let a small one pass after a large one failed; nobody sees it unless sizes differ much.

use crate::engine::SimTime;
use crate::flow::{Batch, FlowId, split_prefix};

use super::ShardIndex;

/// Equal Kinesis records for one shard inside a request.
#[derive(Clone, Debug, Default)]
pub struct PutItem {
    /// The shard that the sender had in mind; the stream routes by the hash key.
    pub shard: ShardIndex,
    /// Kinesis records: 1 for an aggregate, else one per application record.
    pub wire_records: u32,
    /// Bytes of all of them as the service counts them.
    pub wire_bytes: u64,
    /// Application records.
    pub users: u32,
    /// Whether application records are packed into aggregates by the KPL.
    pub aggregated: bool,
    /// When it should leave the client, at the latest.
    pub deadline: SimTime,
    /// When it began to wait for its turn.
    pub queued_at: SimTime,
    /// No record of it was offered before this instant.
    pub oldest: SimTime,
    /// The shard that took it, which is another than `shard` once that is closed.
    pub landed: ShardIndex,
    /// The application records; after the judgement, those that failed.
    pub batches: Vec<Batch>,
}

/// A request on its way.
#[derive(Clone, Debug)]
pub struct PutRequest {
    /// Who sent it.
    pub flow: FlowId,
    /// Index of the stream.
    pub stream: u16,
    /// When it was sent.
    pub sent_at: SimTime,
    /// Its records.
    pub items: Vec<PutItem>,
}

/// What became of an item: `stored` was appended; `item` keeps what failed.
#[derive(Debug)]
pub struct Admission {
    /// Kinesis records admitted.
    pub wire_records: u32,
    /// Their bytes.
    pub wire_bytes: u64,
}

impl PutItem {
    /// Splits off what fits into the budgets: `record_budget` Kinesis records, `byte_budget` bytes.
    /// The admitted batches go to `stored`, the rest stays.
    pub fn admit(
        &mut self,
        record_budget: u64,
        byte_budget: u64,
        stored: &mut Vec<Batch>,
    ) -> Admission {
        let per_record = self.wire_bytes.div_ceil(u64::from(self.wire_records)).max(1);
        let fits = if self.wire_bytes <= byte_budget {
            u64::from(self.wire_records)
        } else {
            byte_budget / per_record
        };
        let wire = u32::try_from(fits.min(record_budget).min(u64::from(self.wire_records)))
            .expect("no more than the item holds");
        if wire == 0 {
            return Admission { wire_records: 0, wire_bytes: 0 };
        }
        if wire == self.wire_records {
            let admission = Admission { wire_records: wire, wire_bytes: self.wire_bytes };
            stored.append(&mut self.batches);
            (self.wire_records, self.wire_bytes, self.users) = (0, 0, 0);
            return admission;
        }
        let users = share(self.users, wire, self.wire_records);
        let wire_bytes = u64::from(wire) * per_record;
        split_prefix(&mut self.batches, users, stored);
        self.wire_records -= wire;
        self.wire_bytes = self.wire_bytes.saturating_sub(wire_bytes);
        self.users -= users;
        Admission { wire_records: wire, wire_bytes }
    }
}

/// `whole * part / of`, rounded down.
fn share(whole: u32, part: u32, of: u32) -> u32 {
    let share = u64::from(whole) * u64::from(part) / u64::from(of);
    u32::try_from(share).expect("a share is no larger than the whole")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::KeyClass;

    /// Ten Kinesis records of 100 bytes, of two batches.
    fn item() -> PutItem {
        let batch = |first_seq, count: u32| Batch {
            offered_at: SimTime::ZERO,
            first_sent_at: SimTime::ZERO,
            first_seq,
            backlog_ns: 0,
            count,
            bytes: count * 100,
            class: KeyClass(0),
            partition: 0,
            flow: FlowId(0),
            stride: 1,
            failures: 0,
            already_stored: false,
        };
        PutItem {
            wire_records: 10,
            wire_bytes: 1_000,
            users: 10,
            batches: vec![batch(0, 6), batch(6, 4)],
            ..PutItem::default()
        }
    }

    /// (Kinesis records, bytes, application records) admitted, and what stays.
    fn admit(records: u64, bytes: u64) -> [(u32, u64, u32); 2] {
        let (mut item, mut stored) = (item(), Vec::new());
        let admission = item.admit(records, bytes, &mut stored);
        let users = stored.iter().map(|batch| batch.count).sum();
        let held: u32 = item.batches.iter().map(|batch| batch.count).sum();
        assert_eq!(held, item.users, "what failed is still there");
        [
            (admission.wire_records, admission.wire_bytes, users),
            (item.wire_records, item.wire_bytes, item.users),
        ]
    }

    /// N-W-5: a record takes both budgets or neither, so the smaller one decides.
    #[test]
    fn the_smaller_of_both_budgets_decides_how_much_is_admitted() {
        assert_eq!(admit(4, 5_000), [(4, 400, 4), (6, 600, 6)]);
        // 3.5 records of 100 bytes are three.
        assert_eq!(admit(50, 350), [(3, 300, 3), (7, 700, 7)]);
        assert_eq!(admit(10, 1_000), [(10, 1_000, 10), (0, 0, 0)]);
        assert_eq!(admit(0, 5_000), [(0, 0, 0), (10, 1_000, 10)]);
        assert_eq!(admit(50, 99), [(0, 0, 0), (10, 1_000, 10)]);
    }

    /// N-KPL-7: an aggregate is one record of the budget with all that is in it, or nothing.
    #[test]
    fn an_aggregate_is_admitted_as_a_whole_for_one_record() {
        let (mut aggregate, mut stored) = (item(), Vec::new());
        (aggregate.wire_records, aggregate.aggregated) = (1, true);
        assert_eq!(aggregate.admit(1, 999, &mut stored).wire_records, 0);
        assert_eq!((aggregate.users, stored.len()), (10, 0));
        assert_eq!(aggregate.admit(1, 1_000, &mut stored).wire_records, 1);
        assert_eq!((aggregate.users, stored.len()), (0, 2));
    }
}
