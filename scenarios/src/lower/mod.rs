//! From a checked scenario to what a world is built of: names become indices, shapes become knots,
//! real configuration becomes fields, and the resolution is chosen (decision D-8).

mod kafka;
mod kinesis;
mod timeline;

use sim_core::config as sim;
use sim_core::engine::{SimDuration, SimTime};

use crate::effective::{client, topic_names, topic_of};
use crate::rates::{Profiles, profile, records_within};
use crate::schema::{
    Arrivals, Capacity, Client, GivenUp, History, Keys, Named, OnFailure, Producer, RecordSize,
    Scenario, ServiceTime, Sink, System, Target,
};
use crate::units::{Bytes, Dur};

pub(crate) use kinesis::{LEAST_IDLE_TIME_V3, shards_on_demand};

/// D-8: clumps times partitions that a run may have. Half of what the decision first allowed: a
/// comparison of seven runs should take about a second, and a part costs some 100 ns.
const MOST_PARTS: u128 = 2_000_000;
/// D-8: records that a record-exact run may have.
const MOST_EXACT_RECORDS: u128 = 2_000_000;
/// D-8, in milliseconds.
const GRIDS_MS: [u64; 8] = [1, 2, 5, 10, 20, 50, 100, 250];
/// A part of Kafka counts as so many of Kinesis: its followers and its group act on it, too.
const KAFKA_WEIGHT: u128 = 4;
/// Further grids for Kafka, whose topics have thousands of partitions.
const KAFKA_GRIDS_MS: [u64; 2] = [500, 1_000];
/// D-11: instances that are simulated one by one.
const MOST_FLOWS: u32 = 8;

/// The configuration of one run. `resolution` is that of the baseline ([`resolution`]).
///
/// The scenario must have passed [`crate::check`]: a name that is not there becomes index 0.
#[must_use]
pub fn lower(
    scenario: &Scenario,
    profiles: &Profiles,
    resolution: SimDuration,
    seed: u64,
) -> sim::WorldConfig {
    let systems = || scenario.systems.iter();
    let streams = systems().filter_map(|(name, it)| Some((name, it.as_kinesis()?)));
    let clusters = systems().filter_map(|(name, it)| Some((name, it.as_kafka()?)));
    let consumers = || scenario.consumers.iter();
    let applications = consumers().filter_map(|(name, it)| Some((name, it.as_kcl()?)));
    let groups = consumers().filter_map(|(name, it)| Some((name, it.as_group()?)));
    let producers = scenario.producers.iter();
    let planned = scenario.timeline.iter();
    sim::WorldConfig {
        seed,
        duration: scenario.duration.sim(),
        resolution,
        streams: streams.map(|(name, it)| kinesis::stream(scenario, name, it)).collect(),
        clusters: clusters.map(|(name, it)| kafka::cluster(scenario, name, it)).collect(),
        producers: producers.map(|(name, it)| producer(scenario, name, it, profiles)).collect(),
        consumers: applications
            .map(|(name, it)| kinesis::application(scenario, name, it))
            .collect(),
        groups: groups.map(|(name, it)| kafka::group(scenario, name, it)).collect(),
        sinks: scenario.sinks.iter().map(|(name, it)| sink(name, it)).collect(),
        timeline: planned.map(|it| timeline::entry(scenario, it)).collect(),
    }
}

/// The place of a name among those of its kind.
fn index_among<T>(names: &Named<T>, name: &str, is_of_kind: impl Fn(&T) -> bool) -> usize {
    let of_kind = names.iter().filter(|it| is_of_kind(it.1));
    let mut names = of_kind.map(|it| it.0);
    names.position(|it| it == name).unwrap_or(0)
}

fn index<T>(names: &Named<T>, name: &str) -> usize {
    index_among(names, name, |_| true)
}

fn stream_index(scenario: &Scenario, name: &str) -> usize {
    index_among(&scenario.systems, name, |it| it.as_kinesis().is_some())
}

fn cluster_index(scenario: &Scenario, name: &str) -> usize {
    index_among(&scenario.systems, name, |it| it.as_kafka().is_some())
}

fn service(time: ServiceTime) -> sim::ServiceTime {
    match time {
        ServiceTime::Fixed(time) => sim::ServiceTime::Fixed(time.sim()),
        ServiceTime::Exponential(mean) => sim::ServiceTime::Exponential(mean.sim()),
    }
}

/// A sink, as far as consumers feel it.
fn sink(name: &str, sink: &Sink) -> sim::SinkConfig {
    sim::SinkConfig {
        name: name.to_owned(),
        capacity_milli_per_s: sink.capacity.map_or(0, |rate| rate.0 / 1_000),
        concurrency: sink.concurrency.unwrap_or(0),
        latency: service(sink.latency),
        errors_ppm: sink.errors.0,
    }
}

/// A consumer's use of its sink; none if the sink is never felt.
fn sink_use(
    scenario: &Scenario,
    name: Option<&str>,
    on_failure: &OnFailure,
) -> Option<sim::SinkUse> {
    let name = name?;
    let config = sink(name, scenario.sinks.get(name)?);
    let is_hit = scenario.timeline.iter().any(|it| it.what.target().0 == Target::Sink(name));
    (is_hit || config.is_felt())
        .then(|| sim::SinkUse { sink: index(&scenario.sinks, name), retry: retry(on_failure) })
}

fn retry(on_failure: &OnFailure) -> sim::SinkRetry {
    let (attempts, base, ceiling, then) = match on_failure {
        OnFailure::Block(it) => (0, it.base, it.ceiling, GivenUp::Skip),
        OnFailure::Retry(it) => (it.attempts, it.base, it.ceiling, it.then),
        OnFailure::DeadLetter => (1, Dur(0), Dur(0), GivenUp::DeadLetter),
        OnFailure::Skip => (1, Dur(0), Dur(0), GivenUp::Skip),
    };
    sim::SinkRetry {
        attempts,
        base: base.sim(),
        ceiling: ceiling.sim(),
        then: match then {
            GivenUp::DeadLetter => sim::GivenUp::DeadLetter,
            GivenUp::Skip => sim::GivenUp::Skip,
        },
    }
}

fn outset(begins: Option<Dur>, lag: Option<Dur>) -> sim::Outset {
    sim::Outset { begins: begins.map(|at| SimTime(at.0)), lag: lag.map(Dur::sim) }
}

/// What is there before the run: records of the mean size of those that are written to it, or of
/// 1 KiB if none are.
fn history(
    scenario: &Scenario,
    history: History,
    writes: impl Fn(&Producer) -> bool,
) -> sim::HistoryConfig {
    let writers = scenario.producers.values().filter(|it| writes(it));
    let sizes: Vec<u64> = writers.map(|it| mean_size(&it.record_size).0).collect();
    let count = sizes.len() as u64;
    let mean = sizes.iter().sum::<u64>().checked_div(count).map_or(1 << 10, |it| it.max(1));
    let records = (history.bytes.0 / mean).max(1);
    sim::HistoryConfig { records, bytes: history.bytes.0, age: history.age.sim() }
}

/// About the mean of a record's size.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a positive number, at most the greatest size"
)]
pub(crate) fn mean_size(size: &RecordSize) -> Bytes {
    match size {
        RecordSize::Fixed(size) => *size,
        RecordSize::Uniform { min, max } => Bytes(min.0.midpoint(max.0)),
        RecordSize::LogNormal { median, sigma, max } => {
            let mean = median.0 as f64 * libm::exp(sigma * sigma / 2.0);
            Bytes(mean.min(max.0 as f64) as u64)
        }
    }
}

fn is_idempotent(scenario: &Scenario, sink: Option<&str>) -> bool {
    let sink = sink.and_then(|name| scenario.sinks.get(name));
    sink.is_none_or(|sink| sink.idempotent)
}

fn destination(scenario: &Scenario, producer: &Producer) -> sim::Destination {
    match scenario.systems.get(&producer.to) {
        Some(System::Kafka(kafka)) => {
            let topic = topic_of(kafka, producer);
            let place = topic_names(kafka).iter().position(|it| Some(*it) == topic);
            sim::Destination::Topic {
                cluster: cluster_index(scenario, &producer.to),
                topic: place.unwrap_or(0),
            }
        }
        Some(System::Kinesis(_)) | None => {
            sim::Destination::Stream(stream_index(scenario, &producer.to))
        }
    }
}

fn producer(
    scenario: &Scenario,
    name: &str,
    producer: &Producer,
    profiles: &Profiles,
) -> sim::ProducerConfig {
    let hot_keys = producer.hot_keys.iter();
    sim::ProducerConfig {
        name: name.to_owned(),
        to: destination(scenario, producer),
        instances: producer.instances,
        flows: flows(scenario, producer),
        rate: profile(&producer.rate, scenario.duration, profiles),
        arrivals: match producer.arrivals {
            Arrivals::Even => sim::Arrivals::Even,
            Arrivals::Poisson => sim::Arrivals::Poisson,
        },
        record_size: record_size(&producer.record_size),
        keys: keys(&producer.keys),
        hot_keys: hot_keys.map(|(key, share)| (key.clone(), share.0)).collect(),
        salt: producer.salt,
        client: match &*client(scenario, producer) {
            Client::Kpl(kpl) => sim::ClientConfig::Kpl(kinesis::kpl_config(kpl)),
            Client::Sdk(sdk) => sim::ClientConfig::Sdk(kinesis::sdk_config(sdk)),
            Client::Kafka(it) => {
                let cluster = scenario.systems.get(&producer.to).and_then(System::as_kafka);
                sim::ClientConfig::Kafka(kafka::producer_config(it, cluster))
            }
        },
    }
}

fn bytes_32(bytes: crate::units::Bytes) -> u32 {
    u32::try_from(bytes.0).unwrap_or(u32::MAX)
}

fn record_size(size: &RecordSize) -> sim::SizeDistribution {
    match size {
        RecordSize::Fixed(size) => sim::SizeDistribution::Fixed(bytes_32(*size)),
        RecordSize::Uniform { min, max } => {
            sim::SizeDistribution::Uniform { min: bytes_32(*min), max: bytes_32(*max) }
        }
        RecordSize::LogNormal { median, sigma, max } => sim::SizeDistribution::LogNormal {
            median: bytes_32(*median),
            sigma: *sigma,
            max: bytes_32(*max),
        },
    }
}

fn keys(keys: &Keys) -> sim::KeyDistribution {
    match keys {
        Keys::Random => sim::KeyDistribution::Random,
        Keys::Uniform { prefix, keys } => {
            sim::KeyDistribution::Uniform { prefix: prefix.clone(), keys: *keys }
        }
        Keys::Zipf { prefix, keys, exponent } => {
            sim::KeyDistribution::Zipf { prefix: prefix.clone(), keys: *keys, exponent: *exponent }
        }
        Keys::HashKeys(hash_keys) => sim::KeyDistribution::HashKeys(
            hash_keys.iter().filter_map(|key| key.parse().ok()).collect(),
        ),
    }
}

/// The arrival grid W of decision D-8 for a baseline and all its runs.
#[must_use]
pub fn resolution(scenario: &Scenario, profiles: &Profiles) -> SimDuration {
    if let Some(given) = scenario.resolution {
        return given.sim();
    }
    if records(scenario, profiles) <= MOST_EXACT_RECORDS {
        return SimDuration::ZERO;
    }
    let fits = |grid: &&u64| parts(scenario, Dur::millis(**grid)) <= MOST_PARTS;
    let kafka = scenario.systems.values().any(|it| matches!(it, System::Kafka(_)));
    let coarser: &[u64] = if kafka { &KAFKA_GRIDS_MS } else { &[] };
    let grid = GRIDS_MS.iter().chain(coarser).find(fits).copied();
    SimDuration::from_millis(grid.unwrap_or(if kafka { 1_000 } else { 250 }))
}

/// Records that all producers offer, without what faults add.
pub(crate) fn records(scenario: &Scenario, profiles: &Profiles) -> u128 {
    let producers = scenario.producers.values();
    producers
        .map(|it| {
            let knots = profile(&it.rate, scenario.duration, profiles);
            records_within(&knots, scenario.duration)
        })
        .sum()
}

/// Clumps times partitions on a grid: duration / W x flows x partitions, over all producers.
pub(crate) fn parts(scenario: &Scenario, grid: Dur) -> u128 {
    let producers = scenario.producers.values();
    producers.map(|it| parts_of(scenario, it, grid, flows(scenario, it))).sum()
}

fn parts_of(scenario: &Scenario, producer: &Producer, grid: Dur, flows: u32) -> u128 {
    let cells = u128::from(scenario.duration.0 / grid.0.max(1));
    let each = u128::from(flows) * u128::from(shards_of(scenario, producer));
    let kafka = matches!(scenario.systems.get(&producer.to), Some(System::Kafka(_)));
    cells * if kafka { each * KAFKA_WEIGHT } else { each }
}

/// Shards of the stream or partitions of the topic that a producer writes to, at the start.
fn shards_of(scenario: &Scenario, producer: &Producer) -> u32 {
    match scenario.systems.get(&producer.to) {
        Some(System::Kinesis(kinesis)) => match &kinesis.capacity {
            Capacity::Provisioned { shards } => *shards,
            Capacity::OnDemand(on_demand) => shards_on_demand(on_demand),
        },
        Some(System::Kafka(kafka)) => {
            let topic = topic_of(kafka, producer).and_then(|it| kafka.topics.get(it));
            topic.map_or(1, |it| it.partitions)
        }
        None => 1,
    }
}

/// How many flows a producer has (D-11): one per instance up to 8; beyond, or where even 250 ms
/// would make too many parts of this producer, one for all. Other producers have no say: they would
/// change which records each instance is offered (D-9).
fn flows(scenario: &Scenario, producer: &Producer) -> u32 {
    let own = producer.instances.max(1);
    let parts = || parts_of(scenario, producer, Dur::millis(250), own);
    if own <= MOST_FLOWS && parts() <= MOST_PARTS { own } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{Loaded, load};

    fn loaded(sets: &[(&str, &str)]) -> Loaded {
        let sets: Vec<_> = sets.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect();
        let text = include_str!("../../tests/hot_key.ron");
        let loaded = load("hot_key.ron", text, &sets, &|_| Err("none".into()));
        loaded.unwrap_or_else(|problems| panic!("{problems}"))
    }

    fn world(sets: &[(&str, &str)]) -> sim::WorldConfig {
        let loaded = loaded(sets);
        loaded.lower(&loaded.variants[0], 1)
    }

    fn grid_ms(sets: &[(&str, &str)]) -> u64 {
        world(sets).resolution.0 / 1_000_000
    }

    #[test]
    fn the_grid_is_the_finest_that_keeps_clumps_times_shards_within_two_million() {
        // 1,800 s x 4 flows x 10 shards = 72,000 s: 50 ms makes 1.44 M, 20 ms 3.6 M.
        assert_eq!(grid_ms(&[]), 50);
        // One flow: 18,000 s: 10 ms makes 1.8 M.
        assert_eq!(grid_ms(&[("producers.web.instances", "1")]), 10);
        // Nine instances are one flow (D-11).
        assert_eq!(grid_ms(&[("producers.web.instances", "9")]), 10);
        // 3,600 s x 1,000 shards at 250 ms makes 14.4 M: the coarsest, and one flow (D-16).
        let large = [("systems.clicks.capacity.shards", "1000"), ("duration", "1h")];
        assert_eq!(grid_ms(&large), 250);
        assert_eq!(world(&large).producers[0].flows, 1);
    }

    /// An hour at 250 ms on 1,000 shards is 14.4 M parts a flow, one flow of all eight; on one shard
    /// it is 14,400, and stays as it is whatever else there is.
    #[test]
    fn a_producer_is_not_folded_because_another_one_is_large() {
        for instances in [2, 4, 8] {
            let text = format!(
                r#"(title: "x", duration: "1h",
                systems: {{"a": Kinesis(capacity: Provisioned(shards: 1)),
                           "b": Kinesis(capacity: Provisioned(shards: 1000))}},
                producers: {{"p": (to: "a", rate: "9/s", instances: {instances}),
                             "q": (to: "b", rate: "9/s", instances: 8)}})"#
            );
            let loaded = load("x.ron", &text, &[], &|_| Err("none".into())).unwrap();
            let world = loaded.lower(&loaded.variants[0], 1);
            let flows: Vec<_> = world.producers.iter().map(|it| it.flows).collect();
            assert_eq!(flows, [instances, 1]);
        }
    }

    #[test]
    fn few_records_are_exact_and_a_given_grid_is_taken() {
        // 1,800 s x 1,111/s = 1,999,800 records, 1,112/s 2,001,600; the limit is 2 M.
        assert_eq!(grid_ms(&[("producers.web.rate", "1111/s")]), 0);
        assert_eq!(grid_ms(&[("producers.web.rate", "1112/s")]), 50);
        assert_eq!(grid_ms(&[("resolution", "7ms")]), 7);
    }

    #[test]
    fn all_runs_have_the_grid_of_the_baseline() {
        let loaded = loaded(&[]);
        for variant in &loaded.variants {
            assert_eq!(loaded.lower(variant, 1).resolution, loaded.resolution);
        }
    }

    #[test]
    fn defaults_that_hang_on_another_value_follow_it() {
        let stream = |sets| world(sets).streams[0].clone();
        assert_eq!(stream(&[]).reshard_time, SimDuration::from_secs(30));
        let on_demand = [("systems.clicks.capacity", "OnDemand")];
        assert_eq!(stream(&on_demand).reshard_time, SimDuration::ZERO);
        assert_eq!(stream(&[]).burst_bytes, 1 << 20);
        let large = [("systems.clicks.max_record_size", "2MiB")];
        assert_eq!(stream(&large).burst_bytes, 10 << 20);
    }

    #[test]
    fn defaults_of_the_libraries_are_those_of_the_facts() {
        let world = world(&[]);
        let sim::ClientConfig::Kpl(kpl) = &world.producers[0].client else {
            panic!("no KPL");
        };
        // N-KPL-2.
        let expected = sim::KplConfig {
            aggregation_enabled: true,
            aggregation_max_size: 51_200,
            aggregation_max_count: u32::MAX,
            collection_max_count: 500,
            collection_max_size: 5 << 20,
            record_max_buffered_time: SimDuration::from_millis(100),
            record_ttl: SimDuration::from_millis(30_000),
            rate_limit: 150,
            max_connections: 24,
            request_timeout: SimDuration::from_millis(6_000),
            fail_if_throttled: false,
        };
        assert_eq!(*kpl, expected);
        // N-KCL-2, N-KCL-3, N-KCL-22.
        let kcl = &world.consumers[0];
        assert_eq!(kcl.failover_time, SimDuration::from_millis(10_000));
        assert_eq!(kcl.max_leases_to_steal_at_one_time, 1);
        assert_eq!(kcl.parent_shard_poll_interval, SimDuration::from_secs(10));
        assert_eq!(kcl.max_records, 10_000);
        assert_eq!(kcl.retrieval, sim::Retrieval::FanOut);
        assert!(kcl.graceful_handoff && !kcl.lease_count_based);
        assert_eq!(kcl.graceful_handoff_timeout, SimDuration::from_secs(30));
    }

    #[test]
    fn kcl_3_raises_the_idle_time_to_200_ms_and_kcl_2_does_not() {
        let idle = |version, config| {
            let sets = [
                ("consumers.profiles.retrieval", "Polling"),
                ("consumers.profiles.version", version),
                ("consumers.profiles.config.idleTimeBetweenReadsInMillis", config),
            ];
            match world(&sets).consumers[0].retrieval {
                sim::Retrieval::Polling { idle_time_between_reads } => idle_time_between_reads,
                sim::Retrieval::FanOut => panic!("fan-out"),
            }
        };
        assert_eq!(idle("3", "100"), SimDuration::from_millis(200));
        assert_eq!(idle("2", "100"), SimDuration::from_millis(100));
        assert_eq!(idle("3", "1s"), SimDuration::from_secs(1));
    }

    #[test]
    fn names_become_the_places_in_their_lists() {
        let text = r#"(title: "x", duration: "1m",
            systems: {"a": Kinesis(capacity: Provisioned(shards: 1)),
                      "b": Kinesis(capacity: Provisioned(shards: 2))},
            producers: {"p": (to: "a", rate: "1/s", hot_keys: {"k": "10%"}), "q": (to: "b", rate: "1/s")},
            consumers: {"c": Kcl(from: "b", service_time: "1ms", sink: "s"),
                        "d": Kcl(from: "a", service_time: "1ms")},
            sinks: {"s": Sink(idempotent: false)},
            timeline: [(at: "1s", what: SwitchMode("b", OnDemand)),
                       (at: "2s", what: SlowConsumer(consumer: "d", factor: 2.5)),
                       (at: "3s", what: RateFactor(producer: "q", factor: 3))])"#;
        let loaded = load("x.ron", text, &[], &|_| Err("none".into())).unwrap();
        let world = loaded.lower(&loaded.variants[0], 9);
        assert_eq!(world.seed, 9);
        let to: Vec<_> = world.producers.iter().map(|it| it.to).collect();
        assert_eq!(to, [sim::Destination::Stream(0), sim::Destination::Stream(1)]);
        assert_eq!(world.producers[0].hot_keys, [("k".to_owned(), 100_000)]);
        assert_eq!(world.consumers.iter().map(|it| it.stream).collect::<Vec<_>>(), [1, 0]);
        // Without a sink nothing can be applied twice.
        let idempotent: Vec<_> = world.consumers.iter().map(|it| it.sink_idempotent).collect();
        assert_eq!(idempotent, [false, true]);
        assert!(matches!(world.timeline[0].what, sim::Happening::SwitchMode { stream: 1, .. }));
        let slow = sim::Happening::SlowConsumer {
            consumer: sim::Fleet::App(1),
            who: None,
            factor_ppm: 2_500_000,
        };
        assert_eq!(world.timeline[1].what, slow);
        assert!(matches!(world.timeline[2].what, sim::Happening::RateFactor { producer: 1, .. }));
    }
}
