//! Which first deliveries came after a later record of the same flow and key (decision D-10).
//!
//! Simplification: batches of many keys are judged by chance: with m later records of the flow
//! already delivered from the same part of the key space, a record of key k was overtaken with
//! chance 1 - (1-p_k)^m. Later records are counted in slots of 100 ms of their offered instants
//! over the last 51 s. At resolution 0 every record carries its key and the count is exact.

use std::collections::BTreeMap;

use crate::engine::SimTime;
use crate::flow::{FlowId, KeyClass};

/// Slots kept, and their width in nanoseconds.
const SLOTS: u64 = 512;
const SLOTS_LEN: usize = 512;
/// Slots that are also summed up together.
const BLOCK: usize = 16;
const SLOT_NS: u64 = 100_000_000;

/// Records of one flow and class that were offered together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// Which client process.
    pub(crate) flow: FlowId,
    /// Which keys.
    pub(crate) class: KeyClass,
    /// Number of the first record within flow and class.
    pub(crate) first_seq: u64,
    /// From one record's number to the next.
    pub(crate) stride: u16,
    /// Records.
    pub(crate) count: u32,
    /// When they were offered.
    pub(crate) offered_at: SimTime,
}

/// Highest delivered number of every single key.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyOrder {
    delivered: BTreeMap<(FlowId, KeyClass), u64>,
}

impl KeyOrder {
    /// A batch of one key is delivered for the first time: how many of its records came late.
    pub(crate) fn deliver(&mut self, run: &Run) -> u64 {
        let stride = u64::from(run.stride);
        let last = run.first_seq + u64::from(run.count - 1) * stride;
        let highest = self.delivered.entry((run.flow, run.class)).or_insert(0);
        // Numbers are kept plus one, so that zero means none.
        let below = (*highest).saturating_sub(1);
        *highest = (*highest).max(last + 1);
        if below <= run.first_seq {
            return 0;
        }
        (below - run.first_seq).div_ceil(stride).min(u64::from(run.count))
    }
}

/// Delivered records of the rest, by flow and offered instant.
#[derive(Clone, Debug, Default)]
pub(crate) struct RestOrder {
    flows: Vec<Option<Slots>>,
}

#[derive(Clone, Debug)]
struct Slots {
    counts: Vec<u32>,
    blocks: Vec<u64>,
    newest: u64,
}

impl RestOrder {
    /// A batch of many keys is delivered for the first time: how many later records of its flow
    /// were delivered before.
    pub(crate) fn deliver(&mut self, run: &Run) -> u64 {
        let flow = usize::from(run.flow.0);
        if self.flows.len() <= flow {
            self.flows.resize(flow + 1, None);
        }
        let slots = self.flows[flow].get_or_insert_with(|| Slots {
            counts: vec![0; SLOTS_LEN],
            blocks: vec![0; SLOTS_LEN / BLOCK],
            newest: 0,
        });
        slots.deliver(run.offered_at, run.count)
    }

    /// A child shard begins with the history of its parents.
    pub(crate) fn inherit(&mut self, parent: &Self) {
        if self.flows.len() < parent.flows.len() {
            self.flows.resize(parent.flows.len(), None);
        }
        for (own, of_parent) in self.flows.iter_mut().zip(&parent.flows) {
            match (own, of_parent) {
                (_, None) => {}
                (own @ None, of_parent) => *own = of_parent.clone(),
                (Some(own), Some(of_parent)) => own.add(of_parent),
            }
        }
    }
}

impl Slots {
    fn deliver(&mut self, offered_at: SimTime, count: u32) -> u64 {
        let slot = offered_at.0 / SLOT_NS;
        if slot > self.newest {
            for passed in self.newest.max(slot.saturating_sub(SLOTS)) + 1..=slot {
                let old = std::mem::take(&mut self.counts[index(passed)]);
                self.blocks[index(passed) / BLOCK] -= u64::from(old);
            }
            self.newest = slot;
        }
        let oldest = self.newest.saturating_sub(SLOTS - 1);
        let ahead = self.sum((slot + 1).max(oldest), self.newest + 1);
        if slot >= oldest {
            // Shards that are split and joined again count some twice: a full slot stays full.
            let counted = &mut self.counts[index(slot)];
            let added = count.min(u32::MAX - *counted);
            *counted += added;
            self.blocks[index(slot) / BLOCK] += u64::from(added);
        }
        ahead
    }

    /// Records in the slots from `from` to before `until`.
    fn sum(&self, mut from: u64, until: u64) -> u64 {
        let mut sum = 0;
        while from < until {
            let place = index(from);
            if place.is_multiple_of(BLOCK) && from + BLOCK as u64 <= until {
                sum += self.blocks[place / BLOCK];
                from += BLOCK as u64;
            } else {
                sum += u64::from(self.counts[place]);
                from += 1;
            }
        }
        sum
    }

    fn add(&mut self, other: &Self) {
        for slot in other.newest.saturating_sub(SLOTS - 1)..=other.newest {
            let count = other.counts[index(slot)];
            if count > 0 {
                self.deliver(SimTime(slot * SLOT_NS), count);
            }
        }
    }
}

fn index(slot: u64) -> usize {
    usize::try_from(slot % SLOTS).expect("below 512")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(offered_ms: u64, first_seq: u64, count: u32, stride: u16) -> Run {
        Run {
            offered_at: SimTime(offered_ms * 1_000_000),
            first_seq,
            count,
            class: KeyClass(0),
            flow: FlowId(0),
            stride,
        }
    }

    /// One key over two shards, numbers 0..8: the odd ones first. Then 0, 2, 4 and 6 are all below
    /// the delivered maximum, 7. In order nothing is late.
    #[test]
    fn records_below_the_delivered_maximum_are_late() {
        let mut order = KeyOrder::default();
        assert_eq!(order.deliver(&run(0, 1, 4, 2)), 0);
        assert_eq!(order.deliver(&run(0, 0, 4, 2)), 4);
        // 6, 8, 10: only 6 is below 7.
        assert_eq!(order.deliver(&run(0, 6, 3, 2)), 1);
        assert_eq!(order.deliver(&run(0, 11, 3, 1)), 0);
    }

    /// A key salted over two sub-keys, dealt in turn: after 3 has been delivered, of 0, 2, 4 and 6
    /// those below it are late, two of four.
    #[test]
    fn a_salted_key_is_late_by_its_own_numbers() {
        let mut order = KeyOrder::default();
        assert_eq!(order.deliver(&run(0, 1, 2, 2)), 0);
        assert_eq!(order.deliver(&run(0, 0, 4, 2)), 2);
    }

    /// Within a slot of 100 ms nothing is later than anything else; the next slot is.
    #[test]
    fn records_of_one_slot_do_not_overtake_each_other() {
        let mut order = RestOrder::default();
        assert_eq!(order.deliver(&run(2_099, 0, 5, 1)), 0);
        assert_eq!(order.deliver(&run(2_000, 0, 1, 1)), 0);
        assert_eq!(order.deliver(&run(1_999, 0, 1, 1)), 6);
    }

    #[test]
    fn later_records_of_the_flow_are_counted_once_each() {
        let mut order = RestOrder::default();
        assert_eq!(order.deliver(&run(1_000, 0, 5, 1)), 0);
        assert_eq!(order.deliver(&run(3_000, 0, 7, 1)), 0);
        assert_eq!(order.deliver(&run(2_000, 0, 1, 1)), 7);
        assert_eq!(order.deliver(&run(500, 0, 1, 1)), 13);
        // A minute later the old ones are beyond the window.
        assert_eq!(order.deliver(&run(63_000, 0, 2, 1)), 0);
        assert_eq!(order.deliver(&run(900, 0, 2, 1)), 2);
    }

    #[test]
    fn a_merged_shard_knows_what_both_parents_delivered() {
        let (mut low, mut high) = (RestOrder::default(), RestOrder::default());
        low.deliver(&run(2_000, 0, 3, 1));
        high.deliver(&run(3_000, 0, 4, 1));
        let mut child = RestOrder::default();
        child.inherit(&low);
        child.inherit(&high);
        assert_eq!(child.deliver(&run(1_000, 0, 1, 1)), 7);
    }
}
