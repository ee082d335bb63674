//! Fixtures: a small world in a few words, with plain defaults and no randomness but the seed's.

use sim_core::config::*;
use sim_core::engine::{SimDuration, SimTime};
use sim_core::result::{RunResult, Summary, Value};

pub(crate) fn secs(secs: u64) -> SimDuration {
    SimDuration::from_secs(secs)
}

pub(crate) fn millis(millis: u64) -> SimDuration {
    SimDuration::from_millis(millis)
}

pub(crate) fn at(seconds: u64) -> SimTime {
    SimTime::ZERO + secs(seconds)
}

/// A provisioned stream.
pub(crate) fn stream(shards: u32) -> StreamConfig {
    StreamConfig {
        name: "stream".into(),
        capacity: Capacity::Provisioned { shards },
        retention: secs(86_400),
        burst_bytes: 1 << 20,
        put_latency: millis(10),
        get_latency: millis(20),
        push_latency: millis(60),
        reshard_time: secs(30),
        reshard_serially: true,
    }
}

/// `rate` records per second, one after the other, through the plain SDK without re-sends.
pub(crate) fn producer(rate: u64) -> ProducerConfig {
    ProducerConfig {
        name: "producer".into(),
        to: Destination::Stream(0),
        instances: 1,
        flows: 1,
        rate: RateProfile { knots: vec![(SimTime::ZERO, rate * 1_000_000)] },
        arrivals: Arrivals::Even,
        record_size: SizeDistribution::Fixed(100),
        keys: KeyDistribution::Random,
        hot_keys: Vec::new(),
        salt: 1,
        client: ClientConfig::Sdk(sdk(None)),
    }
}

pub(crate) fn sdk(retry_failed: Option<RetryConfig>) -> SdkConfig {
    SdkConfig {
        batch_records: 500,
        linger: millis(20),
        max_in_flight: 1_000,
        request_timeout: secs(6),
        retry_failed,
    }
}

/// KPL with the defaults of N-KPL-2.
pub(crate) fn kpl() -> KplConfig {
    KplConfig {
        aggregation_enabled: true,
        aggregation_max_size: 51_200,
        aggregation_max_count: u32::MAX,
        collection_max_count: 500,
        collection_max_size: 5 << 20,
        record_max_buffered_time: millis(100),
        record_ttl: secs(30),
        rate_limit: 150,
        max_connections: 24,
        request_timeout: secs(6),
        fail_if_throttled: false,
    }
}

/// A KCL 2.x application with fan-out that processes at once.
pub(crate) fn kcl(workers: u32) -> KclConfig {
    KclConfig {
        name: "app".into(),
        stream: 0,
        workers,
        version: KclVersion::V2,
        retrieval: Retrieval::FanOut,
        service: ServiceTime::Fixed(SimDuration::ZERO),
        worker_threads: 0,
        failover_time: secs(10),
        max_leases_for_worker: u32::MAX,
        max_leases_to_steal_at_one_time: 1,
        parent_shard_poll_interval: secs(10),
        max_records: 10_000,
        lease_count_based: false,
        graceful_handoff: true,
        graceful_handoff_timeout: secs(30),
        checkpoint_interval: SimDuration::ZERO,
        parents_first: true,
        renews_iterators: true,
        sink_idempotent: false,
    }
}

pub(crate) fn polling(idle: SimDuration) -> Retrieval {
    Retrieval::Polling { idle_time_between_reads: idle }
}

pub(crate) fn world(duration: SimDuration, stream: StreamConfig) -> WorldConfig {
    WorldConfig {
        seed: 1,
        duration,
        resolution: millis(1),
        streams: vec![stream],
        clusters: Vec::new(),
        producers: Vec::new(),
        consumers: Vec::new(),
        groups: Vec::new(),
        timeline: Vec::new(),
    }
}

pub(crate) fn planned(at: SimTime, lasts: Option<SimDuration>, what: Happening) -> TimelineEntry {
    TimelineEntry { at, lasts, what }
}

/// One hash key in the middle of each of `shards` equal shards: dealt in turn, an exact spread.
pub(crate) fn one_key_per_shard(shards: u32) -> KeyDistribution {
    let ranges = sim_core::hash::create_ranges(shards);
    KeyDistribution::HashKeys(ranges.into_iter().map(|range| range.middle()).collect())
}

pub(crate) fn run(config: &WorldConfig) -> RunResult {
    sim_core::run::run(config, &|_| {})
}

/// A metric of the whole run.
pub(crate) fn metric(summary: &Summary, name: &str) -> f64 {
    summary[name].as_f64()
}

/// A count of the whole run.
pub(crate) fn count(summary: &Summary, name: &str) -> u64 {
    match summary[name] {
        Value::Count(count) => count,
        other @ (Value::Number(_) | Value::Never) => panic!("{name} is no count: {other:?}"),
    }
}

#[test]
fn the_kpl_fixture_has_the_defaults_of_scenario_files() {
    let loaded = scenarios::load("new.ron", scenarios::TEMPLATE, &[], &|_| Err("none".into()));
    let loaded = loaded.unwrap_or_else(|problems| panic!("{problems}"));
    let world = loaded.lower(&loaded.variants[0], 1);
    let fixture = ClientConfig::Kpl(kpl());
    assert_eq!(format!("{:?}", world.producers[0].client), format!("{fixture:?}"));
}
