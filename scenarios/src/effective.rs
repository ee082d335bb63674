//! What holds in a Kafka cluster and its clients when all is said: values that follow from a
//! version, from brokers for topics, from Kafka Streams for its consumers, or that Kafka itself
//! changes. Checks, lowering and the manifest share them.

use std::borrow::Cow;

use sim_core::config::kafka::{Assignor, DiskConfig};

use crate::knobs::{BROKER, CONSUMER, Knob, NONE, PRODUCER, STREAMS, TOPIC, ZOOKEEPER, assignors};
use crate::schema::{
    Client, ConfigValue, ControllerCosts, Disk, Kafka, KafkaGroup, KafkaVersion, Named, Placed,
    Producer, Quorum, Scenario, Topic,
};
use crate::units::Dur;

/// The cluster of that name.
pub(crate) fn cluster<'s>(scenario: &'s Scenario, name: &str) -> Option<&'s Kafka> {
    scenario.systems.get(name)?.as_kafka()
}

/// The client of a producer, named or not.
pub(crate) fn client<'s>(scenario: &Scenario, producer: &'s Producer) -> Cow<'s, Client> {
    match &producer.client {
        Some(client) => Cow::Borrowed(client),
        None => Cow::Owned(Client::default_for(scenario.systems.get(&producer.to))),
    }
}

/// A default that hangs on the version: ZooKeeper up to 3.2.
pub(crate) fn quorum(kafka: &Kafka) -> Cow<'_, Quorum> {
    match (&kafka.quorum, kafka.version) {
        (Some(quorum), _) => Cow::Borrowed(quorum),
        (None, KafkaVersion::V2_4) => {
            Cow::Owned(Quorum::ZooKeeper { nodes: Placed::default(), config: Named::new() })
        }
        (None, KafkaVersion::V3_9 | KafkaVersion::V4_1) => {
            Cow::Owned(Quorum::KRaft { nodes: Placed::default(), combined: false })
        }
    }
}

/// Whether the cluster is in ZooKeeper mode.
pub(crate) fn has_zookeeper(kafka: &Kafka) -> bool {
    matches!(*quorum(kafka), Quorum::ZooKeeper { .. })
}

/// More machines than a check lets pass: what is beyond need not be placed.
const MOST_PLACED: usize = 1_000;

/// Zone of each machine, by its place in the list of zones.
pub(crate) fn places(placed: &Placed, zones: &[String]) -> Vec<usize> {
    let count = placed.count().min(MOST_PLACED);
    match placed {
        Placed::Count(_) => (0..count).map(|it| it % zones.len().max(1)).collect(),
        Placed::Zones(named) => {
            let zones = || zones.iter().take(MOST_PLACED);
            let place = |name| zones().position(|it| it == name).unwrap_or(0);
            named.iter().take(count).map(place).collect()
        }
    }
}

/// Zone of each node of the quorum; in combined mode those of the first brokers.
pub(crate) fn quorum_places(kafka: &Kafka) -> Vec<usize> {
    match &*quorum(kafka) {
        Quorum::KRaft { nodes, combined: true } => {
            let brokers = places(&kafka.brokers, &kafka.zones);
            brokers.into_iter().take(nodes.count()).collect()
        }
        Quorum::ZooKeeper { nodes, .. } | Quorum::KRaft { nodes, combined: false } => {
            places(nodes, &kafka.zones)
        }
    }
}

/// Names of a cluster's topics as the simulator numbers them: in alphabetical order.
pub(crate) fn topic_names(kafka: &Kafka) -> Vec<&str> {
    let mut names: Vec<&str> = kafka.topics.keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

/// The topic that a producer writes to.
pub(crate) fn topic_of<'s>(kafka: &'s Kafka, producer: &'s Producer) -> Option<&'s str> {
    match &producer.topic {
        Some(topic) => Some(topic),
        None => kafka.topics.keys().next().map(String::as_str),
    }
}

/// The topics that a group reads.
pub(crate) fn topics_of<'s>(kafka: &'s Kafka, group: &'s KafkaGroup) -> Vec<&'s str> {
    if group.topics.is_empty() {
        kafka.topics.keys().next().map(String::as_str).into_iter().collect()
    } else {
        group.topics.iter().map(String::as_str).collect()
    }
}

/// A topic's configuration with the brokers' where it has none; times in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TopicSettings {
    pub(crate) min_insync_replicas: u64,
    pub(crate) unclean_leader_election: u64,
    pub(crate) retention: u64,
    pub(crate) retention_bytes: u64,
    pub(crate) segment_bytes: u64,
    pub(crate) segment_time: u64,
}

/// The keys of a topic, each with the brokers' keys that it follows, the first given one wins.
const SYNONYMS: [(&str, &[&str]); 6] = [
    ("min.insync.replicas", &["min.insync.replicas"]),
    ("unclean.leader.election.enable", &["unclean.leader.election.enable"]),
    ("retention.ms", &["log.retention.ms", "log.retention.minutes", "log.retention.hours"]),
    ("retention.bytes", &["log.retention.bytes"]),
    ("segment.bytes", &["log.segment.bytes"]),
    ("segment.ms", &["log.roll.ms", "log.roll.hours"]),
];

/// The configuration of a topic.
pub(crate) fn topic_settings(kafka: &Kafka, topic: &Topic) -> TopicSettings {
    let [min, unclean, retention, retention_bytes, segment_bytes, segment_time] =
        SYNONYMS.map(|(key, of_brokers)| {
            let version = kafka.version;
            let own = TOPIC.given(&topic.config, key, version);
            let given =
                || of_brokers.iter().find_map(|it| BROKER.given(&kafka.config, it, version));
            let last = of_brokers.last().copied().unwrap_or_default();
            own.or_else(given).unwrap_or_else(|| BROKER.value(&kafka.config, last, version))
        });
    TopicSettings {
        min_insync_replicas: min,
        unclean_leader_election: unclean,
        retention,
        retention_bytes,
        segment_bytes,
        segment_time,
    }
}

/// K-IDM-4: idempotence in effect, and what switched it off without a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Idempotence {
    pub(crate) wanted: bool,
    pub(crate) explicit: bool,
    /// The first key that is against it.
    pub(crate) against: Option<&'static str>,
}

impl Idempotence {
    pub(crate) fn in_effect(self) -> bool {
        self.wanted && self.against.is_none()
    }
}

/// Idempotence of a producer.
pub(crate) fn idempotence(config: &Named<ConfigValue>, version: KafkaVersion) -> Idempotence {
    let value = |name| PRODUCER.value(config, name, version);
    let against = if value("retries") == 0 {
        Some("retries")
    } else if value("acks") != 2 {
        Some("acks")
    } else if value("max.in.flight.requests.per.connection") > 5 {
        Some("max.in.flight.requests.per.connection")
    } else {
        None
    };
    Idempotence {
        wanted: value("enable.idempotence") != 0,
        explicit: config.contains_key("enable.idempotence"),
        against,
    }
}

/// `delivery.timeout.ms`; Kafka raises a default to `linger.ms` + `request.timeout.ms`.
pub(crate) fn delivery_timeout(config: &Named<ConfigValue>, version: KafkaVersion) -> Dur {
    let value = |name| PRODUCER.value(config, name, version);
    let given = PRODUCER.given(config, "delivery.timeout.ms", version);
    let least = value("linger.ms") + value("request.timeout.ms");
    Dur(given.unwrap_or_else(|| value("delivery.timeout.ms").max(least)))
}

/// What Kafka Streams sets where its user has not.
pub(crate) const STREAMS_OVERRIDES: [(&str, &str); 3] = [
    ("auto.offset.reset", "earliest"),
    ("enable.auto.commit", "false"),
    ("max.poll.records", "1000"),
];

/// What Kafka Streams sets a key of its consumers to, if it does.
pub(crate) fn streams_default(name: &str, version: KafkaVersion) -> Option<Knob> {
    let (_, default) = STREAMS_OVERRIDES.iter().find(|it| it.0 == name)?;
    let knob = CONSUMER.of(version).find(|it| it.name == name)?;
    Some(Knob { default, ..knob })
}

/// A key of a group's consumers, as Kafka Streams changes it.
pub(crate) fn consumer_value(group: &KafkaGroup, name: &str, version: KafkaVersion) -> u64 {
    let given = CONSUMER.given(&group.config, name, version);
    let of_streams = group.streams.as_ref().and_then(|_| streams_default(name, version));
    given
        .or_else(|| of_streams.map(|it| it.default_setting().0))
        .unwrap_or_else(|| CONSUMER.value(&group.config, name, version))
}

/// A key of Kafka Streams.
pub(crate) fn streams_value(group: &KafkaGroup, name: &str, version: KafkaVersion) -> u64 {
    STREAMS.value(&group.config, name, version)
}

/// Whether a group speaks KIP-848.
pub(crate) fn is_kip_848(group: &KafkaGroup, version: KafkaVersion) -> bool {
    group.streams.is_none() && consumer_value(group, "group.protocol", version) == 1
}

/// The assignors of a group that speaks the classic protocol, by preference.
pub(crate) fn assignors_of(group: &KafkaGroup, version: KafkaVersion) -> Vec<Assignor> {
    // From 2.4 on the assignor of Kafka Streams is sticky and cooperative (KIP-429).
    if group.streams.is_some() {
        return vec![Assignor::CooperativeSticky];
    }
    let key = "partition.assignment.strategy";
    let given = group.config.get(key).and_then(ConfigValue::as_text);
    let default = CONSUMER.of(version).find(|it| it.name == key).map(|it| it.default);
    assignors(given.or(default).unwrap_or_default()).unwrap_or_default()
}

/// A key of `zoo.cfg`.
pub(crate) fn zookeeper_value(
    config: &Named<ConfigValue>,
    name: &str,
    version: KafkaVersion,
) -> u64 {
    ZOOKEEPER.value(config, name, version)
}

/// The session that ZooKeeper grants: what brokers ask for, within 2 to 20 ticks (K-ZK-3).
pub(crate) fn granted_session(kafka: &Kafka, config: &Named<ConfigValue>) -> Dur {
    let tick = zookeeper_value(config, "tickTime", kafka.version) * 1_000_000;
    let wanted = BROKER.value(&kafka.config, "zookeeper.session.timeout.ms", kafka.version);
    Dur(wanted.clamp(2 * tick, 20 * tick))
}

/// Costs of controllers in the order of [`ControllerCosts`]: K-NUM-3 and those that fit it.
pub(crate) fn costs(kafka: &Kafka) -> [Dur; 4] {
    let defaults = if has_zookeeper(kafka) {
        [Dur(250_000), Dur(170_000), Dur(300_000), Dur::millis(20)]
    } else {
        [Dur(20_000), Dur(0), Dur(70_000), Dur::millis(30)]
    };
    let ControllerCosts { election, state_load, controlled_shutdown, propagation } =
        kafka.controller_costs;
    let given = [election, state_load, controlled_shutdown, propagation];
    let mut all = defaults;
    for (cost, given) in all.iter_mut().zip(given) {
        *cost = given.unwrap_or(*cost);
    }
    all
}

/// EBS bandwidth of instance types (K-DSK-2): name, sustained and burst in Mbit/s. Those that
/// burst do so for half an hour a day.
pub(crate) const INSTANCES: [(&str, u64, u64); 14] = [
    ("m5.large", 650, 4_750),
    ("m5.xlarge", 1_150, 4_750),
    ("m5.2xlarge", 2_300, 4_750),
    ("m5.4xlarge", 4_750, 4_750),
    ("m5.8xlarge", 6_800, 6_800),
    ("m5.12xlarge", 9_500, 9_500),
    ("m5.16xlarge", 13_600, 13_600),
    ("m7g.large", 630, 10_000),
    ("m7g.xlarge", 1_250, 10_000),
    ("m7g.2xlarge", 2_500, 10_000),
    ("m7g.4xlarge", 5_000, 10_000),
    ("m7g.8xlarge", 10_000, 10_000),
    ("m7g.12xlarge", 15_000, 15_000),
    ("m7g.16xlarge", 20_000, 20_000),
];
/// Seconds of a burst of an instance.
const INSTANCE_BURST_S: u64 = 1_800;

/// gp2 (K-DSK-1): the greatest request, I/O operations a second and GiB, its burst and credits.
const GP2_REQUEST: u64 = 256 << 10;
const GP2_CREDITS: u64 = 5_400_000;

/// The disk of a broker: the lesser of its volume and its instance (K-DSK-1, K-DSK-2).
pub(crate) fn disk(kafka: &Kafka) -> DiskConfig {
    let volume = volume(&kafka.disk);
    let named = kafka.instance.as_deref();
    let Some((_, base, burst)) = INSTANCES.iter().find(|it| Some(it.0) == named) else {
        return volume;
    };
    // Mbit/s to bytes per second.
    let (base, burst) = (base * 125_000, burst * 125_000);
    let credits = (burst - base) * INSTANCE_BURST_S;
    let bandwidth = volume.bandwidth.min(base);
    let burst_bandwidth = volume.burst_bandwidth.min(burst);
    let limits = [
        (volume.bandwidth < burst_bandwidth).then_some(volume.burst_credits),
        (base < burst_bandwidth).then_some(credits),
    ];
    let burst_credits = limits.into_iter().flatten().min().unwrap_or(0);
    DiskConfig { bandwidth, burst_bandwidth, burst_credits }
}

fn volume(disk: &Disk) -> DiskConfig {
    let steady = |bandwidth| DiskConfig { bandwidth, burst_bandwidth: bandwidth, burst_credits: 0 };
    match disk {
        Disk::Gp3 { throughput } => steady(throughput.0),
        Disk::Gp2 { size } => {
            let gib = size.0 >> 30;
            let most = if gib <= 170 { 128 << 20 } else { 250 << 20 };
            let base = ((3 * gib).clamp(100, 16_000) * GP2_REQUEST).min(most);
            if base == most {
                steady(most)
            } else {
                let burst_credits = GP2_CREDITS * GP2_REQUEST;
                DiskConfig { bandwidth: base, burst_bandwidth: most, burst_credits }
            }
        }
        Disk::Custom { bandwidth, burst_bandwidth, burst_credits } => DiskConfig {
            bandwidth: bandwidth.0,
            burst_bandwidth: burst_bandwidth.map_or(bandwidth.0, |it| it.0.max(bandwidth.0)),
            burst_credits: burst_credits.0,
        },
    }
}

/// Whether a time or size stands for none.
pub(crate) fn unless_none(value: u64) -> Option<u64> {
    Some(value).filter(|it| *it != NONE)
}
