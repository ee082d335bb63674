//! At least once: before a position that is committed, or a checkpoint that counts, every record
//! was processed, or the books know what became of it.

use std::collections::BTreeMap;

use crate::ledger::Seen;

use super::ranges::Ranges;

/// What each consumer need not read again: processed, skipped or expired. What is settled up to its
/// position is one range.
#[derive(Clone, Debug, Default)]
pub(super) struct AtLeastOnce {
    settled: BTreeMap<(usize, u32), Ranges>,
}

impl AtLeastOnce {
    pub(super) fn see(&mut self, seen: &Seen) -> Result<(), String> {
        if let Seen::Processed { consumer, partition, from, until, .. }
        | Seen::Skipped { consumer, partition, from, until } = *seen
        {
            self.of(consumer, partition).add(from, until);
        } else if let Seen::Expired { consumer, partition, until, .. } = *seen {
            self.of(consumer, partition).add(0, until);
        } else if let Seen::Cut { consumer, partition, from } = *seen {
            self.of(consumer, partition).remove(from, u64::MAX);
        } else if let Seen::Committed { consumer, partition, position, .. } = *seen
            && let Some(missed) = self.of(consumer, partition).gap(0, position)
        {
            return Err(format!(
                "consumer {consumer}, partition {partition}: {position} is committed, and the \
                 record at {missed} was neither processed nor lost"
            ));
        }
        Ok(())
    }

    fn of(&mut self, consumer: usize, partition: u32) -> &mut Ranges {
        self.settled.entry((consumer, partition)).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn committed(position: u64) -> Seen {
        Seen::Committed { consumer: 0, partition: 3, reader: 0, position }
    }

    fn processed(from: u64, until: u64) -> Seen {
        Seen::processed(0, (3, 0), from, until)
    }

    fn cut(from: u64) -> Seen {
        Seen::Cut { consumer: 0, partition: 3, from }
    }

    fn after(seen: &[Seen]) -> AtLeastOnce {
        let mut checker = AtLeastOnce::default();
        seen.iter().for_each(|it| checker.see(it).unwrap());
        checker
    }

    /// Up to 20 two members have processed all, in whatever order; nobody has processed 20.
    #[test]
    fn a_commit_ahead_of_processing_is_found() {
        let mut checker = after(&[processed(10, 20), processed(0, 10), committed(20)]);
        let breach = checker.see(&committed(21)).unwrap_err();
        assert!(breach.contains("partition 3") && breach.contains("record at 20 was"), "{breach}");
    }

    #[test]
    fn a_gap_behind_a_commit_is_found() {
        let mut checker = after(&[processed(0, 10), processed(11, 20), committed(10)]);
        let breach = checker.see(&committed(20)).unwrap_err();
        assert!(breach.contains("record at 10 was"), "{breach}");
    }

    /// Lost by the books is no breach: skipped by a reset, or expired.
    #[test]
    fn what_is_lost_need_not_be_processed() {
        let skipped = Seen::Skipped { consumer: 0, partition: 3, from: 10, until: 15 };
        let expired = Seen::Expired { consumer: 0, partition: 3, until: 40, newest: None };
        let mut checker = after(&[processed(0, 10), skipped, committed(15)]);
        assert!(checker.see(&committed(16)).is_err());
        after(&[processed(0, 10), expired, committed(40)]);
    }

    /// What comes after a cut at the same offsets is something else.
    #[test]
    fn processing_what_was_cut_does_not_count_for_what_took_its_place() {
        let mut checker = after(&[processed(0, 20), cut(15), committed(15)]);
        assert!(checker.see(&committed(20)).is_err());
        after(&[processed(0, 20), cut(15), processed(15, 20), committed(20)]);
    }

    /// Partitions and consumers are apart.
    #[test]
    fn another_consumers_processing_does_not_count() {
        let mut checker = after(&[Seen::processed(1, (3, 0), 0, 10)]);
        assert!(checker.see(&committed(10)).is_err());
    }
}
