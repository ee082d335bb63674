//! A refused record is in no log: what a client has given up without a copy stored is not there, nor
//! comes later, unless the books count it as unconfirmed.

use std::collections::BTreeMap;

use crate::flow::FlowId;
use crate::ledger::{Records, Seen};

use super::ranges::Ranges;

type Lane = (FlowId, (u32, u16, u16));

/// What is in a log and its client does not know, and what was refused. A lane of the first is empty
/// once everything is answered; of the second, neighbours are one range.
#[derive(Clone, Debug, Default)]
pub(super) struct Refused {
    stored: BTreeMap<Lane, Ranges>,
    refused: BTreeMap<Lane, Ranges>,
}

impl Refused {
    pub(super) fn see(&mut self, seen: &Seen) -> Result<(), String> {
        if let Seen::Appended { batch, partition, .. } = *seen {
            if let Some(refused) = self.refused.get(&lane(&batch))
                && let Some(number) = refused.overlap(batch.from, batch.until)
            {
                return Err(format!("{}, partition {partition}: appended", name(&batch, number)));
            }
            self.stored.entry(lane(&batch)).or_default().add(batch.from, batch.until);
        } else if let Seen::Acknowledged { batch } | Seen::Unstored { batch, .. } = *seen {
            self.settle(&batch);
        } else if let Seen::Regretted { batch } = *seen {
            if let Some(refused) = self.refused.get_mut(&lane(&batch)) {
                refused.remove(batch.from, batch.until);
            }
        } else if let Seen::GaveUp { batch, stored } = *seen {
            let live = self.stored.get(&lane(&batch));
            if !stored {
                let found = live.and_then(|it| it.overlap(batch.from, batch.until));
                if let Some(number) = found {
                    return Err(format!("{}: still in the log", name(&batch, number)));
                }
                let refused = self.refused.entry(lane(&batch)).or_default();
                refused.add(batch.from, batch.until);
            }
            self.settle(&batch);
        }
        Ok(())
    }

    /// Nothing can become of the records that would make them refused.
    fn settle(&mut self, batch: &Records) {
        if let Some(stored) = self.stored.get_mut(&lane(batch)) {
            stored.remove(batch.from, batch.until);
            if stored.is_empty() {
                self.stored.remove(&lane(batch));
            }
        }
    }
}

fn lane(batch: &Records) -> Lane {
    (batch.flow, batch.lane)
}

fn name(batch: &Records, number: u64) -> String {
    format!("number {number} of flow {} in {:?}, which is refused", batch.flow.0, batch.lane)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(serial: u32) -> Records {
        Records::batch(FlowId(4), 2, serial)
    }

    fn appended(serial: u32) -> Seen {
        let batch = batch(serial);
        Seen::Appended { partition: 2, batch, run: batch, in_order: false, copy: false }
    }

    fn refused(serial: u32) -> Seen {
        Seen::GaveUp { batch: batch(serial), stored: false }
    }

    fn after(seen: &[Seen]) -> Refused {
        let mut checker = Refused::default();
        seen.iter().for_each(|it| checker.see(it).unwrap());
        checker
    }

    #[test]
    fn a_refused_record_that_is_in_the_log_is_found() {
        let mut checker = after(&[appended(7), refused(8)]);
        let breach = checker.see(&refused(7)).unwrap_err();
        assert!(breach.contains("number 7 of flow 4"), "{breach}");
    }

    #[test]
    fn a_refused_record_that_comes_later_is_found() {
        let mut checker = after(&[refused(7), appended(8)]);
        assert!(checker.see(&appended(7)).is_err());
        after(&[refused(7), Seen::Regretted { batch: batch(7) }, appended(7)]);
    }

    /// Unconfirmed, or cut before it was given up: no breach. Nor of another partition.
    #[test]
    fn what_is_unconfirmed_or_gone_is_not_found() {
        after(&[appended(7), Seen::GaveUp { batch: batch(7), stored: true }]);
        let gone = Seen::Unstored { partition: 2, batch: batch(7), run: batch(7), held: true };
        after(&[appended(7), gone, refused(7)]);
        let other = Seen::GaveUp { batch: Records::batch(FlowId(4), 1, 7), stored: false };
        after(&[appended(7), other]);
    }

    /// What is answered is forgotten.
    #[test]
    fn only_what_is_unanswered_is_kept() {
        let acknowledged = |it| Seen::Acknowledged { batch: batch(it) };
        let checker = after(&[appended(7), appended(8), acknowledged(8), acknowledged(7)]);
        assert!(checker.stored.is_empty());
    }
}
