//! Every metric name, with its unit and which way is better. Expectations, tables and files all
//! read from here, so a name exists in one place.

/// Which way a metric improves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// Less harm is better.
    Lower,
    /// More is better.
    Higher,
    /// A fact about the run, neither good nor bad.
    Neither,
}

/// The unit of a metric, as expectations write their bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A bare count.
    Count,
    /// A share: `"25%"`.
    Ratio,
    /// Seconds.
    Seconds,
    /// Seconds summed over partitions: a length of no clock. Bounds are written as durations.
    PartitionSeconds,
    /// Milliseconds.
    Millis,
    /// Bytes.
    Bytes,
    /// US dollars.
    Usd,
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// The name in `summary`, and after `producers.NAME.` and the like.
    pub name: &'static str,
    /// Its unit.
    pub unit: Unit,
    /// Which way is better.
    pub better: Better,
    /// One line for people.
    pub about: &'static str,
}

const fn metric(name: &'static str, unit: Unit, better: Better, about: &'static str) -> Metric {
    Metric { name, unit, better, about }
}

use Better::{Higher, Lower, Neither};
use Unit::{Bytes, Count, Millis, PartitionSeconds, Ratio, Seconds, Usd};

/// All metrics, in the order in which people read them.
pub const METRICS: &[Metric] = &[
    metric("records_offered", Count, Neither, "records that applications handed to their client"),
    metric("records_accepted", Count, Higher, "records whose client was told that they are stored"),
    metric("records_throttled", Count, Lower, "attempts refused for want of throughput"),
    metric("throttled_ratio", Ratio, Lower, "throttled attempts / attempts"),
    metric("records_refused", Count, Lower, "given up by the producer and not stored"),
    metric("records_unconfirmed", Count, Lower, "given up by the producer, yet stored"),
    metric("records_lost", Count, Lower, "acknowledged, then gone or skipped unread"),
    metric("records_delivered", Count, Higher, "records processed at least once"),
    metric(
        "records_dead_lettered",
        Count,
        Lower,
        "given up by a consumer and kept in a dead-letter queue",
    ),
    metric("records_redelivered", Count, Lower, "completed processings beyond the first"),
    metric("records_reordered", Count, Lower, "first deliveries after a later record of their key"),
    metric("effects_duplicated", Count, Lower, "repeats applied by a sink that is not idempotent"),
    metric("records_filtered", Count, Neither, "compacted or aborted before they were read"),
    metric("records_unread", Count, Lower, "stored and not yet processed at the end"),
    metric("bytes_offered", Bytes, Neither, "data and partition keys of offered records"),
    metric("bytes_accepted", Bytes, Higher, "data and partition keys of accepted records"),
    metric("bytes_delivered", Bytes, Higher, "data and partition keys of delivered records"),
    metric("lag_records_max", Count, Lower, "greatest number of unread records"),
    metric("lag_seconds_max", Seconds, Lower, "greatest age of an unread record since its append"),
    metric(
        "lag_recovery_s",
        Seconds,
        Lower,
        "from the end of the last fault until lag is as before",
    ),
    metric("e2e_latency_ms_p50", Millis, Lower, "offered to first delivery, median"),
    metric("e2e_latency_ms_p95", Millis, Lower, "offered to first delivery, 95 % below"),
    metric("e2e_latency_ms_p99", Millis, Lower, "offered to first delivery, 99 % below"),
    metric("e2e_latency_ms_p999", Millis, Lower, "offered to first delivery, 99.9 % below"),
    metric("e2e_latency_ms_max", Millis, Lower, "offered to first delivery, the slowest"),
    metric("produce_latency_ms_p50", Millis, Lower, "offered to acknowledged, median"),
    metric("produce_latency_ms_p99", Millis, Lower, "offered to acknowledged, 99 % below"),
    metric("produce_latency_ms_max", Millis, Lower, "offered to acknowledged, the slowest"),
    metric(
        "produce_unavailable_s",
        Seconds,
        Lower,
        "longest that a producer could not write to a shard or partition",
    ),
    metric("consume_paused_s", Seconds, Lower, "longest that readable records had no active owner"),
    metric("partition_paused_s", Seconds, Lower, "the same, summed over partitions"),
    metric(
        "partition_unavailable_s",
        PartitionSeconds,
        Lower,
        "partition-seconds without a usable leader",
    ),
    metric("rebalances", Count, Lower, "times that work moved between live members"),
    metric("leader_elections", Count, Lower, "partition leaders elected"),
    metric("unclean_elections", Count, Lower, "leaders elected from outside the ISR"),
    metric("isr_shrinks", Count, Lower, "removals from an ISR"),
    metric("isr_expands", Count, Neither, "additions to an ISR"),
    metric("under_replicated_max", Count, Lower, "greatest number of under-replicated partitions"),
    metric(
        "get_records_throttled",
        Count,
        Lower,
        "GetRecords calls refused for want of throughput",
    ),
    metric("iterators_expired", Count, Lower, "shard iterators used after their five minutes"),
    metric("leases_taken", Count, Lower, "leases that got another owner"),
    metric("shards_max", Count, Neither, "greatest number of open shards"),
    metric("cost_usd_per_month", Usd, Lower, "this usage for 730 hours, where a price is known"),
];

/// The metric of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| metric.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_listed_twice() {
        let mut names: Vec<_> = METRICS.iter().map(|metric| metric.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), METRICS.len());
    }
}
