//! Blame against a naive book-keeper: what all deliveries of a consumer have waited for, by cause,
//! is the sum of their ages, exactly (decision D-19). The age of each is computed here anew, from
//! when its records were offered and when their processing was over.

use std::collections::BTreeMap;

use crate::engine::SimTime;
use crate::ledger::Seen;

/// Record-nanoseconds of age of each consumer's deliveries, and the last of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Age {
    ages: BTreeMap<usize, (u128, SimTime)>,
}

impl Age {
    pub(super) fn see(&mut self, seen: &Seen) -> Result<(), String> {
        if let Seen::Delivered { consumer, records, offered_at, age } = *seen {
            let sum = self.ages.entry(consumer).or_default();
            *sum = (sum.0 + u128::from(records) * u128::from(age.0), offered_at);
        } else if let Seen::Blamed { consumer, nanos } = *seen {
            let (naive, last) = self.ages.get(&consumer).copied().unwrap_or_default();
            if naive != nanos {
                return Err(format!(
                    "consumer {consumer}: its records waited {naive} ns in all and are blamed for \
                     {nanos} ns, once those offered at {last} are delivered"
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::SimDuration;

    /// Three records of 40 and two of 5: 3 * 40 + 2 * 5 = 130.
    #[test]
    fn blame_that_is_not_the_age_is_found() {
        let mut checker = Age::default();
        let delivered = |records, offered, at| {
            Seen::delivered(2, records, (SimTime(offered), SimDuration::ZERO), SimTime(at))
        };
        let blamed = |nanos| Seen::Blamed { consumer: 2, nanos };
        checker.see(&blamed(0)).unwrap();
        checker.see(&delivered(3, 60, 100)).unwrap();
        checker.see(&delivered(2, 95, 100)).unwrap();
        checker.see(&blamed(130)).unwrap();
        for wrong in [129, 131, 170] {
            let breach = checker.see(&blamed(wrong)).unwrap_err();
            assert!(breach.contains("130"), "{breach}");
        }
    }
}
