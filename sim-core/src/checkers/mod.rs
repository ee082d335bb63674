//! Checkers outside the models: each judges one property by what it is told that happened
//! ([`Seen`]), keeps no more than what is not yet settled, and breaks the run if the property does
//! not hold. No model can read them, and without them nothing is told.
//!
//! | Property                                                              | Checker         |
//! |-----------------------------------------------------------------------|-----------------|
//! | what is before a commit was processed, or is lost by the books        | `at_least_once` |
//! | an idempotent producer's sequence has no gap and does not go back      | `order`         |
//! | a position is moved by who was told last to read the partition         | `owner`         |
//! | nothing expires early, and nothing expired is read                      | `retention`     |
//! | no answer holds what cannot be read yet                                | `watermark`     |
//! | a refused record is in no log                                          | `refused`       |
//! | the parts of all ages add up to the ages                               | `age`           |
//! | what is offered is luck alone: compared by a test                      | `luck`          |

mod age;
mod at_least_once;
mod luck;
mod order;
mod owner;
mod ranges;
mod refused;
mod retention;
mod watermark;

use crate::config::WorldConfig;
use crate::engine::SimTime;
use crate::ledger::Seen;

/// All checkers of one world.
#[derive(Clone, Debug)]
pub(crate) struct Checkers {
    at_least_once: at_least_once::AtLeastOnce,
    order: order::Order,
    owner: owner::Owner,
    retention: retention::Retention,
    watermark: watermark::Watermark,
    refused: refused::Refused,
    age: age::Age,
    luck: luck::Luck,
}

impl Checkers {
    /// Checkers of a world before its first instant.
    #[must_use]
    pub(crate) fn new(config: &WorldConfig) -> Self {
        Self {
            at_least_once: at_least_once::AtLeastOnce::default(),
            order: order::Order::default(),
            owner: owner::Owner::default(),
            retention: retention::Retention::new(config),
            watermark: watermark::Watermark::default(),
            refused: refused::Refused::default(),
            age: age::Age::default(),
            luck: luck::Luck::new(config.producers.len()),
        }
    }

    /// Something happened at `now`.
    ///
    /// # Panics
    /// If a property does not hold, with its name, the place, the record and the instant.
    pub(crate) fn see(&mut self, seen: &Seen, now: SimTime) {
        let verdicts = [
            ("at least once", self.at_least_once.see(seen)),
            ("order where it is promised", self.order.see(seen)),
            ("one reader per generation", self.owner.see(seen)),
            ("retention", self.retention.see(seen, now)),
            ("nothing beyond the watermark", self.watermark.see(seen)),
            ("refused is in no log", self.refused.see(seen)),
            ("blame is the age", self.age.see(seen)),
        ];
        for (property, verdict) in verdicts {
            if let Err(breach) = verdict {
                panic!("{property}, at {now}: {breach}");
            }
        }
        self.luck.see(seen);
    }

    /// A number for what each producer was offered: two runs on the same luck have the same.
    #[must_use]
    pub(crate) fn digests(&self) -> &[u64] {
        &self.luck.digests
    }
}
