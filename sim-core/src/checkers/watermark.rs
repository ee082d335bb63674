//! No answer holds what cannot be read yet: records above the high watermark, or beyond the end of a
//! shard. What was never in an answer is not processed.

use std::collections::BTreeMap;

use crate::ledger::Seen;

/// How far the answers to each consumer have come.
#[derive(Clone, Debug, Default)]
pub(super) struct Watermark {
    fetched: BTreeMap<(usize, u32), u64>,
}

impl Watermark {
    pub(super) fn see(&mut self, seen: &Seen) -> Result<(), String> {
        if let Seen::Fetched { consumer, partition, until, readable, .. } = *seen {
            if until > readable {
                return Err(format!(
                    "consumer {consumer}, partition {partition}: an answer holds records up to \
                     {until}, and only those up to {readable} can be read"
                ));
            }
            let fetched = self.fetched.entry((consumer, partition)).or_default();
            *fetched = until.max(*fetched);
        } else if let Seen::Cut { consumer, partition, from } = *seen {
            let fetched = self.fetched.entry((consumer, partition)).or_default();
            *fetched = from.min(*fetched);
        } else if let Seen::Processed { consumer, partition, until, .. } = *seen {
            let fetched = self.fetched.get(&(consumer, partition)).copied().unwrap_or(0);
            if until > fetched {
                return Err(format!(
                    "consumer {consumer}, partition {partition}: records up to {until} are \
                     processed, and only those up to {fetched} were ever in an answer"
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::SimTime;

    fn fetched(until: u64, readable: u64) -> Seen {
        Seen::Fetched { consumer: 1, partition: 2, until, readable, oldest: SimTime::ZERO }
    }

    #[test]
    fn an_answer_beyond_the_watermark_is_found() {
        let mut checker = Watermark::default();
        checker.see(&fetched(10, 10)).unwrap();
        let breach = checker.see(&fetched(11, 10)).unwrap_err();
        assert!(breach.contains("consumer 1, partition 2") && breach.contains("11"), "{breach}");
    }

    /// Ten were in an answer; a cut at 6 takes four of them back.
    #[test]
    fn processing_what_was_in_no_answer_is_found() {
        let mut checker = Watermark::default();
        let processed = |until| Seen::processed(1, (2, 0), 5, until);
        checker.see(&fetched(10, 12)).unwrap();
        checker.see(&processed(10)).unwrap();
        assert!(checker.see(&processed(11)).is_err());
        checker.see(&Seen::Cut { consumer: 1, partition: 2, from: 6 }).unwrap();
        checker.see(&processed(6)).unwrap();
        assert!(checker.see(&processed(7)).is_err());
    }
}
