//! Order where the client promises it: an idempotent producer's batches are appended to a partition
//! without a gap, and so the records of each key never go back (K-IDM-1, K-IDM-3). Copies apart.

use std::collections::{BTreeMap, BTreeSet};

use crate::flow::FlowId;
use crate::ledger::{Records, Seen};

/// What each client has sent and has neither in the log nor given up, and how far its numbers have
/// come in each log.
#[derive(Clone, Debug, Default)]
pub(super) struct Order {
    missing: BTreeMap<Lane, BTreeSet<u64>>,
    /// By number of the partition, and flow and class.
    next: BTreeMap<(u32, Lane), u64>,
}

type Lane = (FlowId, (u32, u16, u16));

impl Order {
    pub(super) fn see(&mut self, seen: &Seen) -> Result<(), String> {
        if let Seen::Sent { batch } = *seen {
            self.missing.entry(lane(&batch)).or_default().insert(batch.from);
        } else if let Seen::GaveUp { batch, .. } = *seen {
            self.found(&batch);
        } else if let Seen::Appended { partition, batch, run, in_order: true, copy: false } = *seen
        {
            let of = format!("flow {}, partition {partition}", batch.flow.0);
            let missing = self.missing.get(&lane(&batch)).and_then(BTreeSet::first);
            if let Some(first) = missing.filter(|first| **first < batch.from) {
                return Err(format!("{of}: batch {} is appended before batch {first}", batch.from));
            }
            self.found(&batch);
            let next = self.next.entry((partition, lane(&run))).or_default();
            if run.from < *next {
                let (class, from) = (run.lane.0, run.from);
                return Err(format!("{of}: number {from} of class {class} goes back from {next}"));
            }
            *next = run.until;
        } else if let Seen::Unstored { partition, batch, run, held } = *seen
            && let Some(next) = self.next.get_mut(&(partition, lane(&run)))
        {
            *next = run.from.min(*next);
            if held {
                self.missing.entry(lane(&batch)).or_default().insert(batch.from);
            }
        }
        Ok(())
    }

    /// A batch is in the log, or nobody waits for it.
    fn found(&mut self, batch: &Records) {
        if let Some(missing) = self.missing.get_mut(&lane(batch)) {
            missing.remove(&batch.from);
        }
    }
}

fn lane(batch: &Records) -> Lane {
    (batch.flow, batch.lane)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::KeyClass;

    const FLOW: FlowId = FlowId(1);

    fn batch(serial: u32) -> Records {
        Records::batch(FLOW, 5, serial)
    }

    /// Ten records of the key for each batch.
    fn run(serial: u32) -> Records {
        Records::numbered(FLOW, KeyClass(0), u64::from(serial) * 10, 1, 10)
    }

    fn sent(serial: u32) -> Seen {
        Seen::Sent { batch: batch(serial) }
    }

    fn appended(serial: u32) -> Seen {
        let (batch, run) = (batch(serial), run(serial));
        Seen::Appended { partition: 5, batch, run, in_order: true, copy: false }
    }

    fn cut(serial: u32, held: bool) -> Seen {
        Seen::Unstored { partition: 5, batch: batch(serial), run: run(serial), held }
    }

    fn after(seen: &[Seen]) -> Order {
        let mut checker = Order::default();
        seen.iter().for_each(|it| checker.see(it).unwrap());
        checker
    }

    #[test]
    fn a_gap_in_the_sequence_is_found() {
        let mut checker = after(&[sent(1), sent(2), sent(3), appended(1)]);
        let breach = checker.see(&appended(3)).unwrap_err();
        assert!(breach.contains("flow 1, partition 5: batch 3"), "{breach}");
        // What was given up leaves no gap.
        let given_up = Seen::GaveUp { batch: batch(2), stored: false };
        after(&[sent(1), sent(2), sent(3), appended(1), given_up, appended(3)]);
    }

    #[test]
    fn a_key_that_goes_back_is_found() {
        let mut checker = after(&[appended(1), appended(2)]);
        assert!(checker.see(&appended(1)).is_err());
        // A copy that the client knows of is no step back, nor is another sub-key's number.
        let copy = Seen::Appended {
            partition: 5,
            batch: batch(1),
            run: run(1),
            in_order: true,
            copy: true,
        };
        after(&[appended(1), appended(2), copy]);
    }

    /// A leader that has less takes the sequence from where its log ends.
    #[test]
    fn what_was_cut_and_is_held_comes_again_in_order() {
        let all = [sent(1), sent(2), appended(1), appended(2), cut(2, true), cut(1, true)];
        let mut checker = after(&all);
        assert!(checker.see(&appended(2)).is_err());
        after(&[all.as_slice(), &[appended(1), appended(2)]].concat());
        // What was acknowledged never comes again.
        after(&[sent(1), appended(1), cut(1, false), sent(2), appended(2)]);
    }

    /// Who promises nothing is held to nothing.
    #[test]
    fn a_client_without_idempotence_may_overtake_itself() {
        let unordered = |serial| {
            let (batch, run) = (batch(serial), run(serial));
            Seen::Appended { partition: 5, batch, run, in_order: false, copy: false }
        };
        after(&[unordered(2), unordered(1)]);
    }
}
