//! Small Kafka worlds for tests.

use sim_core::config::kafka::*;
use sim_core::config::*;
use sim_core::engine::{SimDuration, SimTime};

use crate::bench::{millis, plain, secs};

/// Three brokers in three zones, KRaft, one topic `orders`.
pub(crate) fn cluster(brokers: usize, partitions: u32) -> ClusterConfig {
    ClusterConfig {
        brokers: (0..brokers).map(|broker| broker % 3).collect(),
        topics: vec![topic("orders", partitions)],
        hardware: hardware(),
        costs: ControllerCosts {
            election: SimDuration::from_micros(20),
            state_load: SimDuration::ZERO,
            controlled_shutdown: SimDuration::from_micros(16),
            propagation: millis(10),
        },
        ..plain().clusters[0].clone()
    }
}

pub(crate) fn kraft() -> Quorum {
    plain().clusters[0].quorum.clone()
}

pub(crate) fn zookeeper(nodes: Vec<usize>) -> Quorum {
    let Quorum::ZooKeeper(config) = plain().clusters[1].quorum.clone() else { unreachable!() };
    Quorum::ZooKeeper(ZooKeeperConfig { nodes, ..config })
}

pub(crate) fn topic(name: &str, partitions: u32) -> TopicConfig {
    let plain = plain().clusters[0].topics[0].clone();
    TopicConfig { name: name.into(), partitions, retention: None, ..plain }
}

pub(crate) fn settings() -> BrokerSettings {
    plain().clusters[0].settings.clone()
}

pub(crate) fn hardware() -> Hardware {
    Hardware {
        disk: DiskConfig { bandwidth: 500_000_000, burst_bandwidth: 500_000_000, burst_credits: 0 },
        ..plain().clusters[0].hardware.clone()
    }
}

pub(crate) fn client(acks: Acks) -> KafkaProducerConfig {
    let ClientConfig::Kafka(client) = plain().producers[2].client.clone() else { unreachable!() };
    KafkaProducerConfig { acks, idempotence: acks == Acks::All, ..client }
}

pub(crate) fn producer(rate: u64, acks: Acks) -> ProducerConfig {
    ProducerConfig {
        to: Destination::Topic { cluster: 0, topic: 0 },
        client: ClientConfig::Kafka(client(acks)),
        ..crate::bench::producer(rate)
    }
}

/// The same, silent from that second on.
pub(crate) fn producer_until(rate: u64, acks: Acks, until: u64) -> ProducerConfig {
    let (rate, stop) = (rate * 1_000_000, crate::bench::at(until));
    let knots = vec![(SimTime::ZERO, rate), (stop, rate), (stop, 0)];
    ProducerConfig { rate: RateProfile { knots }, ..producer(1, acks) }
}

pub(crate) fn group(members: u32) -> GroupConfig {
    GroupConfig { members, start_time: secs(2), ..plain().groups[0].clone() }
}

/// A world of one cluster.
pub(crate) fn world(duration: SimDuration, cluster: ClusterConfig) -> WorldConfig {
    WorldConfig {
        seed: 1,
        duration,
        resolution: millis(1),
        streams: Vec::new(),
        clusters: vec![cluster],
        producers: Vec::new(),
        consumers: Vec::new(),
        groups: Vec::new(),
        sinks: Vec::new(),
        timeline: Vec::new(),
    }
}
