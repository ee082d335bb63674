//! Fixtures: a small world in a few words, with plain defaults and no randomness but the seed's.

use std::sync::OnceLock;

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

/// Whatever may be left out of a scenario is: what remains are the defaults, which only
/// `scenarios` knows. Kafka is 3.9, the application KCL 2.x.
const PLAIN: &str = r#"(
    title: "plain",
    duration: "1m",
    systems: {
        "stream": Kinesis(capacity: Provisioned(shards: 1)),
        "orders": Kafka(
            version: "3.9",
            zones: ["a", "b", "c"],
            topics: {"orders": (partitions: 1, replication_factor: 3)},
        ),
        "zookeeper": Kafka(
            version: "3.9",
            quorum: ZooKeeper(),
            topics: {"orders": (partitions: 1, replication_factor: 3)},
        ),
    },
    producers: {
        "producer": (to: "stream", rate: "1/s", client: Sdk()),
        "kpl": (to: "stream", rate: "1/s", client: Kpl()),
        "kafka": (to: "orders", rate: "1/s", client: Kafka()),
    },
    consumers: {
        "app": Kcl(from: "stream", version: "2", service_time: "0s"),
        "billing": KafkaGroup(from: "orders", service_time: "10us"),
    },
)"#;

/// The lowered form of [`PLAIN`].
pub(crate) fn plain() -> &'static WorldConfig {
    static LOWERED: OnceLock<WorldConfig> = OnceLock::new();
    LOWERED.get_or_init(|| {
        let loaded = scenarios::load("plain.ron", PLAIN, &[], &|_| Err("none".into()));
        let loaded = loaded.unwrap_or_else(|problems| panic!("{problems}"));
        loaded.lower(&loaded.variants[0], 1)
    })
}

/// A provisioned stream.
pub(crate) fn stream(shards: u32) -> StreamConfig {
    StreamConfig { capacity: Capacity::Provisioned { shards }, ..plain().streams[0].clone() }
}

/// `rate` records per second, one after the other, through the plain SDK without re-sends.
pub(crate) fn producer(rate: u64) -> ProducerConfig {
    ProducerConfig {
        rate: RateProfile { knots: vec![(SimTime::ZERO, rate * 1_000_000)] },
        arrivals: Arrivals::Even,
        record_size: SizeDistribution::Fixed(100),
        client: ClientConfig::Sdk(sdk(None)),
        ..plain().producers[0].clone()
    }
}

pub(crate) fn sdk(retry_failed: Option<RetryConfig>) -> SdkConfig {
    let ClientConfig::Sdk(sdk) = plain().producers[0].client.clone() else { unreachable!() };
    SdkConfig { linger: millis(20), max_in_flight: 1_000, retry_failed, ..sdk }
}

/// KPL with the defaults of N-KPL-2.
pub(crate) fn kpl() -> KplConfig {
    let ClientConfig::Kpl(kpl) = plain().producers[1].client.clone() else { unreachable!() };
    kpl
}

/// A KCL 2.x application with fan-out that processes at once.
pub(crate) fn kcl(workers: u32) -> KclConfig {
    KclConfig { workers, sink_idempotent: false, ..plain().consumers[0].clone() }
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
        sinks: Vec::new(),
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

/// Every run of a scenario, by name.
pub(crate) fn play(text: &str) -> Vec<RunResult> {
    let none = |name: &str| Err(format!("{name}: stands alone"));
    let loaded = scenarios::load("test.ron", text, &[], &none)
        .unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    let run = |variant: &scenarios::Variant| {
        let mut result = sim_core::run::run(&loaded.lower(variant, 42), &|_| {});
        result.name.clone_from(&variant.name);
        result
    };
    loaded.variants.iter().map(run).collect()
}
