//! One reader per generation: a partition's position is moved by the process that was told last to
//! read it, and by no other (a Kafka coordinator refuses an older generation or epoch, a KCL lease is
//! written if its counter is as expected: K-OFF-1, N-KCL-9). Only a process that was told to read it
//! processes it; one that has not heard that it lost it, a zombie, may.

use std::collections::{BTreeMap, BTreeSet};

use crate::ledger::Seen;

/// Who was told last to read each partition, and who has not been told to stop.
#[derive(Clone, Debug, Default)]
pub(super) struct Owner {
    of: BTreeMap<(usize, u32), (Option<u32>, BTreeSet<u32>)>,
}

impl Owner {
    pub(super) fn see(&mut self, seen: &Seen) -> Result<(), String> {
        if let Seen::Assigned { consumer, partition, reader } = *seen {
            let (owner, readers) = self.of.entry((consumer, partition)).or_default();
            *owner = Some(reader);
            readers.insert(reader);
        } else if let Seen::Stopped { consumer, partition, reader } = *seen {
            self.of.entry((consumer, partition)).or_default().1.remove(&reader);
        } else if let Seen::Processed { consumer, partition, reader, from, .. } = *seen {
            let of = self.of.get(&(consumer, partition));
            if !of.is_some_and(|(_, readers)| readers.contains(&reader)) {
                return Err(format!(
                    "consumer {consumer}, partition {partition}: process {reader} has no business \
                     with it and processes the record at {from}"
                ));
            }
        } else if let Seen::Committed { consumer, partition, reader, position } = *seen {
            let owner = self.of.get(&(consumer, partition)).and_then(|it| it.0);
            if owner != Some(reader) {
                return Err(format!(
                    "consumer {consumer}, partition {partition}: {position} is committed by \
                     process {reader}, and it is {owner:?} that was told last to read it"
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assigned(reader: u32) -> Seen {
        Seen::Assigned { consumer: 0, partition: 2, reader }
    }

    fn stopped(reader: u32) -> Seen {
        Seen::Stopped { consumer: 0, partition: 2, reader }
    }

    fn processed(reader: u32) -> Seen {
        Seen::processed(0, (2, reader), 10, 20)
    }

    fn committed(reader: u32) -> Seen {
        Seen::Committed { consumer: 0, partition: 2, reader, position: 20 }
    }

    fn after(seen: &[Seen]) -> Owner {
        let mut checker = Owner::default();
        seen.iter().for_each(|it| checker.see(it).unwrap());
        checker
    }

    /// A zombie processes until it learns, but its commit does not count.
    #[test]
    fn a_commit_of_a_zombie_is_found() {
        let zombie = [assigned(1), processed(1), assigned(4), processed(1), processed(4)];
        let mut checker = after(&zombie);
        checker.see(&committed(4)).unwrap();
        let breach = checker.see(&committed(1)).unwrap_err();
        assert!(breach.contains("process 1") && breach.contains("Some(4)"), "{breach}");
        // It may get the partition back.
        after(&[zombie.as_slice(), &[assigned(1), committed(1)]].concat());
    }

    /// Who was told to stop, or never to begin, does not process.
    #[test]
    fn processing_without_a_lease_is_found() {
        let mut checker = after(&[assigned(1), processed(1), stopped(1), committed(1)]);
        assert!(checker.see(&processed(1)).is_err());
        assert!(checker.see(&processed(4)).is_err());
    }
}
