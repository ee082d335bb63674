//! Kinesis: streams, the KPL, callers of the SDK, KCL applications.

use sim_core::config as sim;
use sim_core::engine::SimDuration;

use crate::defaults;
use crate::knobs::{KCL, KPL};
use crate::schema::{
    Capacity, GrowthRule, Kcl, KclVersion, Kinesis, Kpl, OnDemand, Retrieval, Scenario, Sdk,
};
use crate::units::Dur;

pub(super) fn stream(scenario: &Scenario, name: &str, kinesis: &Kinesis) -> sim::StreamConfig {
    let reshard_time = kinesis.reshard_time.unwrap_or(match kinesis.capacity {
        Capacity::Provisioned { .. } => defaults::RESHARD_TIME_PROVISIONED,
        Capacity::OnDemand(_) => defaults::RESHARD_TIME_ON_DEMAND,
    });
    sim::StreamConfig {
        name: name.to_owned(),
        capacity: capacity(&kinesis.capacity),
        retention: kinesis.retention.sim(),
        burst_bytes: burst_bytes(kinesis),
        put_latency: kinesis.put_latency.sim(),
        get_latency: kinesis.get_latency.sim(),
        push_latency: kinesis.push_latency.sim(),
        reshard_time: reshard_time.sim(),
        reshard_serially: kinesis.reshard_serially,
        history: kinesis.history.map(|it| super::history(scenario, it, |writer| writer.to == name)),
    }
}

/// N-W-5: with large records a shard's bucket holds ten seconds of its rate.
fn burst_bytes(kinesis: &Kinesis) -> u64 {
    if kinesis.max_record_size > defaults::max_record_size() { 10 << 20 } else { 1 << 20 }
}

pub(super) fn capacity(capacity: &Capacity) -> sim::Capacity {
    match capacity {
        Capacity::Provisioned { shards } => sim::Capacity::Provisioned { shards: *shards },
        Capacity::OnDemand(on_demand) => sim::Capacity::OnDemand(sim::OnDemandConfig {
            rule: match on_demand.rule {
                GrowthRule::Documented => sim::OnDemandRule::Documented,
                GrowthRule::DoublesEvery15Minutes => sim::OnDemandRule::DoublesEvery15Minutes,
            },
            peak_history: on_demand.peak_history.0,
            warm_throughput: on_demand.warm_throughput.map_or(0, |rate| rate.0),
            split_delay: on_demand.split_delay.sim(),
            ceiling: on_demand.ceiling.0,
        }),
    }
}

pub(super) fn kpl_config(kpl: &Kpl) -> sim::KplConfig {
    let count = |name| u32::try_from(KPL.value(&kpl.config, name)).unwrap_or(u32::MAX);
    let time = |name| SimDuration(KPL.value(&kpl.config, name));
    let flag = |name| KPL.value(&kpl.config, name) != 0;
    sim::KplConfig {
        aggregation_enabled: flag("AggregationEnabled"),
        aggregation_max_size: count("AggregationMaxSize"),
        aggregation_max_count: count("AggregationMaxCount"),
        collection_max_count: count("CollectionMaxCount"),
        collection_max_size: count("CollectionMaxSize"),
        record_max_buffered_time: time("RecordMaxBufferedTime"),
        record_ttl: time("RecordTtl"),
        rate_limit: count("RateLimit"),
        max_connections: count("MaxConnections"),
        request_timeout: time("RequestTimeout"),
        fail_if_throttled: flag("FailIfThrottled"),
    }
}

pub(super) fn sdk_config(sdk: &Sdk) -> sim::SdkConfig {
    sim::SdkConfig {
        batch_records: sdk.batch_records,
        linger: sdk.linger.sim(),
        max_in_flight: sdk.max_in_flight,
        request_timeout: sdk.request_timeout.sim(),
        retry_failed: sdk.retry_failed.as_ref().map(|retry| sim::RetryConfig {
            attempts: retry.attempts,
            base: retry.base.sim(),
            ceiling: retry.ceiling.sim(),
        }),
    }
}

pub(super) fn application(scenario: &Scenario, name: &str, kcl: &Kcl) -> sim::KclConfig {
    let count = |name| u32::try_from(KCL.value(&kcl.config, name)).unwrap_or(u32::MAX);
    let time = |name| SimDuration(KCL.value(&kcl.config, name));
    let flag = |name| KCL.value(&kcl.config, name) != 0;
    sim::KclConfig {
        name: name.to_owned(),
        stream: super::stream_index(scenario, &kcl.from),
        workers: kcl.workers,
        version: match kcl.version {
            KclVersion::V2 => sim::KclVersion::V2,
            KclVersion::V3 => sim::KclVersion::V3,
        },
        retrieval: match kcl.retrieval {
            Retrieval::FanOut => sim::Retrieval::FanOut,
            Retrieval::Polling => {
                sim::Retrieval::Polling { idle_time_between_reads: idle_time(kcl).sim() }
            }
        },
        service: super::service(kcl.service_time),
        worker_threads: kcl.worker_threads,
        failover_time: time("failoverTimeMillis"),
        max_leases_for_worker: count("maxLeasesForWorker"),
        max_leases_to_steal_at_one_time: count("maxLeasesToStealAtOneTime"),
        parent_shard_poll_interval: time("parentShardPollIntervalMillis"),
        max_records: count("maxRecords"),
        lease_count_based: flag("leaseAssignmentStrategy"),
        graceful_handoff: flag("isGracefulLeaseHandoffEnabled"),
        graceful_handoff_timeout: time("gracefulLeaseHandoffTimeoutMillis"),
        checkpoint_interval: kcl.checkpoint_interval.sim(),
        parents_first: true,
        renews_iterators: true,
        sink_idempotent: super::is_idempotent(scenario, kcl.sink.as_deref()),
        sink: super::sink_use(scenario, kcl.sink.as_deref(), &kcl.on_failure),
        outset: super::outset(kcl.begins, kcl.lag),
        initial_position: if flag("initialPositionInStreamExtended") {
            sim::InitialPosition::TrimHorizon
        } else {
            sim::InitialPosition::Latest
        },
        leases: kcl.leases.clone(),
    }
}

/// N-KCL-3: 3.x raises a lower value to 200 ms, 2.x does not.
pub(crate) const LEAST_IDLE_TIME_V3: Dur = Dur::millis(200);

fn idle_time(kcl: &Kcl) -> Dur {
    let given = Dur(KCL.value(&kcl.config, "idleTimeBetweenReadsInMillis"));
    match kcl.version {
        KclVersion::V2 => given,
        KclVersion::V3 => given.max(LEAST_IDLE_TIME_V3),
    }
}

/// N-C-6 and D-23: four shards, or one per 10^6 B/s of twice the peak or of the warm throughput.
pub(crate) fn shards_on_demand(on_demand: &OnDemand) -> u32 {
    let warm = on_demand.warm_throughput.map_or(0, |rate| rate.0);
    let capacity = on_demand.peak_history.0.saturating_mul(2).max(warm);
    u32::try_from(capacity.div_ceil(1_000_000)).map_or(u32::MAX, |shards| shards.max(4))
}
