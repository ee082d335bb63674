//! Checks of sinks, and of what consumers do when one fails them.

use crate::path::Path;
use crate::schema::{Consumer, OnFailure, ServiceTime, Sink};
use crate::units::{Dur, MAX_RATE, Rate};

use super::Checker;

/// Most writes at the same time.
const MAX_CONCURRENCY: u32 = 100_000;
/// Longest answer, and longest wait.
const MAX_WAIT: Dur = Dur::secs(3_600);
/// Most writes of one record.
const MAX_ATTEMPTS: u32 = 1_000;

/// A sink by itself.
pub(super) fn check(checker: &mut Checker<'_>, path: &Path, sink: &Sink) {
    if let Some(capacity) = sink.capacity {
        // A thousandth of a record per second is the least that is told apart.
        checker.range(path.name("capacity"), capacity, Rate(1_000), MAX_RATE);
    }
    if let Some(concurrency) = sink.concurrency {
        checker.range(path.name("concurrency"), concurrency, 1, MAX_CONCURRENCY);
    }
    let (ServiceTime::Fixed(latency) | ServiceTime::Exponential(latency)) = sink.latency;
    checker.range(path.name("latency"), latency, Dur(0), MAX_WAIT);
}

/// A consumer's use of its sink.
pub(super) fn check_use(checker: &mut Checker<'_>, path: &Path, consumer: &Consumer) {
    let on_failure = match consumer {
        Consumer::Kcl(kcl) => &kcl.on_failure,
        Consumer::KafkaGroup(group) => &group.on_failure,
    };
    let path = path.name("on_failure");
    if consumer.sink().is_none() && *on_failure != OnFailure::default() {
        let message = "without a sink nothing fails".to_owned();
        checker.error(path, message).help = Some("name one: `sink: ..`".to_owned());
        return;
    }
    let (base, ceiling) = match on_failure {
        OnFailure::Block(it) => (it.base, it.ceiling),
        OnFailure::Retry(it) => {
            checker.range(path.name("attempts"), it.attempts, 1, MAX_ATTEMPTS);
            (it.base, it.ceiling)
        }
        OnFailure::DeadLetter | OnFailure::Skip => return,
    };
    // Without any wait a write that always fails would be repeated for ever at one instant.
    checker.range(path.name("base"), base, Dur::millis(1), MAX_WAIT);
    checker.range(path.name("ceiling"), ceiling, base, MAX_WAIT);
}
