//! Small Kafka worlds for tests.

use sim_core::config::kafka::*;
use sim_core::config::*;
use sim_core::engine::{SimDuration, SimTime};

use crate::bench::{millis, secs};

/// Three brokers in three zones, KRaft, one topic `orders`.
pub(crate) fn cluster(brokers: usize, partitions: u32) -> ClusterConfig {
    ClusterConfig {
        name: "orders".into(),
        version: KafkaVersion::V3_9,
        zones: vec!["a".into(), "b".into(), "c".into()],
        brokers: (0..brokers).map(|broker| broker % 3).collect(),
        quorum: kraft(),
        topics: vec![topic("orders", partitions)],
        settings: settings(),
        hardware: hardware(),
        costs: ControllerCosts {
            election: SimDuration::from_micros(20),
            state_load: SimDuration::ZERO,
            controlled_shutdown: SimDuration::from_micros(16),
            propagation: millis(10),
        },
    }
}

pub(crate) fn kraft() -> Quorum {
    Quorum::KRaft(KRaftConfig {
        nodes: vec![0, 1, 2],
        combined: false,
        fetch_timeout: millis(2_000),
        election_timeout: millis(1_000),
        election_backoff_max: millis(1_000),
        heartbeat_interval: millis(2_000),
        session_timeout: millis(9_000),
    })
}

pub(crate) fn zookeeper(nodes: Vec<usize>) -> Quorum {
    Quorum::ZooKeeper(ZooKeeperConfig {
        nodes,
        tick_time: millis(2_000),
        sync_limit: 5,
        init_limit: 10,
        session_timeout: millis(18_000),
        max_in_flight: 10,
    })
}

pub(crate) fn topic(name: &str, partitions: u32) -> TopicConfig {
    TopicConfig {
        name: name.into(),
        partitions,
        replication_factor: 3,
        min_insync_replicas: 1,
        unclean_leader_election: false,
        retention: None,
        retention_bytes: None,
        segment_bytes: 1 << 30,
        segment_time: secs(7 * 86_400),
        assignment: Vec::new(),
    }
}

pub(crate) fn settings() -> BrokerSettings {
    BrokerSettings {
        replica_lag_time_max: secs(30),
        num_replica_fetchers: 1,
        replica_fetch_max_bytes: 1 << 20,
        replica_fetch_response_max_bytes: 10 << 20,
        replica_fetch_wait_max: millis(500),
        replica_fetch_backoff: millis(1_000),
        replica_socket_timeout: secs(30),
        auto_leader_rebalance: true,
        leader_imbalance_check_interval: secs(300),
        leader_imbalance_percent: 10,
        num_io_threads: 8,
        num_recovery_threads: 1,
        controlled_shutdown: true,
        eligible_leader_replicas: false,
        rack_aware_selector: false,
        retention_check_interval: secs(300),
        group_initial_rebalance_delay: secs(3),
        group_consumer_heartbeat_interval: secs(5),
        group_consumer_session_timeout: secs(45),
        offsets_topic_partitions: 50,
        offsets_topic_replication_factor: 3,
        offsets_topic_min_insync_replicas: 1,
    }
}

pub(crate) fn hardware() -> Hardware {
    Hardware {
        disk: DiskConfig { bandwidth: 500_000_000, burst_bandwidth: 500_000_000, burst_credits: 0 },
        network: 1_250_000_000,
        page_cache: 16 << 30,
        rtt_in_zone: SimDuration::from_micros(500),
        rtt_across_zones: SimDuration::from_micros(1_500),
        request_time: SimDuration::from_micros(100),
        fetch_time_per_partition: SimDuration::from_micros(20),
        broker_start_time: secs(10),
        max_map_count: 65_530,
    }
}

pub(crate) fn client(acks: Acks) -> KafkaProducerConfig {
    KafkaProducerConfig {
        acks,
        idempotence: acks == Acks::All,
        linger: millis(0),
        batch_size: 16_384,
        buffer_memory: 32 << 20,
        max_block: secs(60),
        max_request_size: 1 << 20,
        max_in_flight: 5,
        retries: u32::MAX,
        retry_backoff: millis(100),
        retry_backoff_max: millis(1_000),
        request_timeout: secs(30),
        delivery_timeout: secs(120),
        metadata_max_age: secs(300),
        learns_leader_from_errors: true,
        zone: None,
    }
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
    GroupConfig {
        name: "billing".into(),
        cluster: 0,
        topics: vec![0],
        members,
        protocol: GroupProtocol::Classic {
            assignors: vec![Assignor::Range, Assignor::CooperativeSticky],
        },
        static_membership: false,
        session_timeout: secs(45),
        heartbeat_interval: secs(3),
        max_poll_interval: secs(300),
        max_poll_records: 500,
        auto_commit: Some(secs(5)),
        fetch_min_bytes: 1,
        fetch_max_wait: millis(500),
        fetch_max_bytes: 50 << 20,
        max_partition_fetch_bytes: 1 << 20,
        read_committed: false,
        auto_offset_reset: OffsetReset::Latest,
        metadata_max_age: secs(300),
        zones: Vec::new(),
        service: ServiceTime::Fixed(SimDuration::from_micros(10)),
        sink_idempotent: true,
        leaves_on_close: true,
        start_time: secs(2),
        state: None,
    }
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
        timeline: Vec::new(),
    }
}
