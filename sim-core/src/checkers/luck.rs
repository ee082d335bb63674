//! The same luck: a digest of all that a producer was offered, by flow, class, number and instant
//! (decision D-9). It is a sum over records, so that it does not matter into which batches a clump
//! was cut on its way to which shards.

use crate::ledger::Seen;

/// A number for what each producer was offered, by index.
#[derive(Clone, Debug)]
pub(super) struct Luck {
    pub(super) digests: Vec<u64>,
}

impl Luck {
    pub(super) fn new(producers: usize) -> Self {
        Self { digests: vec![0; producers] }
    }

    pub(super) fn see(&mut self, seen: &Seen) {
        let Seen::Offered { producer, batch } = *seen else { return };
        let flow_and_class = u64::from(batch.flow.0) << 32 | u64::from(batch.class.0);
        let mixed = mix(mix(flow_and_class) ^ batch.offered_at.0);
        let count = u64::from(batch.count);
        // The numbers are first, first + stride, ..: their sum, and one for each record.
        let steps = count * (count - 1) / 2;
        let numbers =
            count.wrapping_mul(batch.first_seq).wrapping_add(steps * u64::from(batch.stride));
        let sum = mixed.wrapping_mul(numbers).wrapping_add(mix(mixed).wrapping_mul(count));
        self.digests[producer] = self.digests[producer].wrapping_add(sum);
    }
}

/// A bijection that spreads each bit over all (the finalizer of `SplitMix64`); odd, as a factor.
fn mix(number: u64) -> u64 {
    let mut it = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    it = (it ^ it >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    it = (it ^ it >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    (it ^ it >> 31) | 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::SimTime;
    use crate::flow::{Batch, FlowId, KeyClass, NO_PARTITION};

    fn batch(first_seq: u64, count: u32) -> Batch {
        Batch {
            offered_at: SimTime(70),
            first_sent_at: SimTime::MAX,
            first_seq,
            backlog_ns: 0,
            count,
            bytes: count * 100,
            class: KeyClass(3),
            partition: NO_PARTITION,
            flow: FlowId(2),
            stride: 1,
            failures: 0,
            already_stored: false,
        }
    }

    fn digest(batches: &[Batch]) -> u64 {
        let mut luck = Luck::new(1);
        batches.iter().for_each(|&batch| luck.see(&Seen::Offered { producer: 0, batch }));
        luck.digests[0]
    }

    /// One batch of ten, or the same ten in two on their way to two shards.
    #[test]
    fn the_digest_does_not_depend_on_how_records_are_cut() {
        let other_shard = Batch { partition: 1, ..batch(4, 6) };
        assert_eq!(digest(&[batch(0, 10)]), digest(&[other_shard, batch(0, 4)]));
    }

    #[test]
    fn another_record_class_flow_or_instant_is_found() {
        let whole = digest(&[batch(0, 10)]);
        let others = [
            batch(1, 10),
            batch(0, 11),
            Batch { offered_at: SimTime(71), ..batch(0, 10) },
            Batch { class: KeyClass(4), ..batch(0, 10) },
            Batch { flow: FlowId(1), ..batch(0, 10) },
            Batch { stride: 2, ..batch(0, 10) },
        ];
        for other in others {
            assert_ne!(digest(&[other]), whole, "{other:?}");
        }
    }
}
