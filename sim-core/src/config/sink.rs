//! Sinks, and what a consumer does when one fails it.

use crate::engine::SimDuration;

use super::ServiceTime;

/// Where consumers apply records: a database, an index, an API. Several may share one.
#[derive(Clone, Debug, PartialEq)]
pub struct SinkConfig {
    /// Its name in the scenario.
    pub name: String,
    /// Records that it takes, in thousandths per second; zero for no limit.
    pub capacity_milli_per_s: u64,
    /// Writes under way at the same time; zero for no limit.
    pub concurrency: u32,
    /// From a write to its answer, per record.
    pub latency: ServiceTime,
    /// Writes that fail, in millionths.
    pub errors_ppm: u32,
}

impl SinkConfig {
    /// Whether it can hold a consumer back at all; one that cannot costs nothing.
    #[must_use]
    pub fn is_felt(&self) -> bool {
        let instant = self.latency == ServiceTime::Fixed(SimDuration::ZERO);
        let limited = self.capacity_milli_per_s > 0 || self.concurrency > 0;
        limited || self.errors_ppm > 0 || !instant
    }
}

/// A consumer's use of a sink.
#[derive(Clone, Debug, PartialEq)]
pub struct SinkUse {
    /// Index of the sink.
    pub sink: usize,
    /// What follows a failed write.
    pub retry: SinkRetry,
}

/// What a consumer does when a write fails: it waits and writes again, and in the end it lets go.
#[derive(Clone, Debug, PartialEq)]
pub struct SinkRetry {
    /// Writes of a record in all; zero: until it succeeds.
    pub attempts: u32,
    /// Wait before the second write; it doubles with each.
    pub base: SimDuration,
    /// Longest wait.
    pub ceiling: SimDuration,
    /// What becomes of a record whose last write failed.
    pub then: GivenUp,
}

/// What becomes of a record that a sink does not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivenUp {
    /// It goes to a dead-letter queue, out of order.
    DeadLetter,
    /// It is logged and skipped: lost.
    Skip,
}
