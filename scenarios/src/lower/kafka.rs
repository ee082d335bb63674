//! Kafka: clusters, the Java producer, consumer groups.
//!
//! Everything that follows from something else is worked out in `effective.rs`.

use sim_core::config::kafka as sim;
use sim_core::engine::SimDuration;

use super::{cluster_index, is_idempotent, service, sink_use};
use crate::effective::{
    assignors_of, consumer_value, costs, delivery_timeout, disk, granted_session, idempotence,
    is_kip_848, places, quorum, quorum_places, streams_value, topic_names, topic_of,
    topic_settings, topics_of, unless_none, zookeeper_value,
};
use crate::knobs::{BROKER, PRODUCER};
use crate::schema::{
    Kafka, KafkaGroup, KafkaProducer, KafkaVersion, LocalState, Producer, Quorum, Scenario,
    Streams, Topic,
};
use crate::version::Release;

fn narrow(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

pub(super) fn cluster(scenario: &Scenario, name: &str, kafka: &Kafka) -> sim::ClusterConfig {
    let topics = topic_names(kafka).into_iter();
    let topics = topics.filter_map(|name| Some((name, kafka.topics.get(name)?)));
    sim::ClusterConfig {
        name: name.to_owned(),
        version: match kafka.version {
            KafkaVersion::V2_4 => sim::KafkaVersion::V2_4,
            KafkaVersion::V3_9 => sim::KafkaVersion::V3_9,
            KafkaVersion::V4_1 => sim::KafkaVersion::V4_1,
        },
        zones: kafka.zones.clone(),
        brokers: places(&kafka.brokers, &kafka.zones),
        quorum: keeper(kafka),
        topics: topics
            .map(|(topic, it)| topic_config(scenario, (name, kafka), topic, it))
            .collect(),
        settings: settings(kafka),
        hardware: hardware(kafka),
        costs: controller_costs(kafka),
    }
}

fn keeper(kafka: &Kafka) -> sim::Quorum {
    let value = |name| BROKER.value(&kafka.config, name, kafka.version);
    let time = |name| SimDuration(value(name));
    let nodes = quorum_places(kafka);
    match &*quorum(kafka) {
        Quorum::ZooKeeper { config, .. } => {
            let of_file = |name| zookeeper_value(config, name, kafka.version);
            sim::Quorum::ZooKeeper(sim::ZooKeeperConfig {
                nodes,
                tick_time: SimDuration::from_millis(of_file("tickTime")),
                sync_limit: narrow(of_file("syncLimit")),
                init_limit: narrow(of_file("initLimit")),
                session_timeout: granted_session(kafka, config).sim(),
                max_in_flight: narrow(value("zookeeper.max.in.flight.requests")),
            })
        }
        Quorum::KRaft { combined, .. } => sim::Quorum::KRaft(sim::KRaftConfig {
            nodes,
            combined: *combined,
            fetch_timeout: time("controller.quorum.fetch.timeout.ms"),
            election_timeout: time("controller.quorum.election.timeout.ms"),
            election_backoff_max: time("controller.quorum.election.backoff.max.ms"),
            heartbeat_interval: time("broker.heartbeat.interval.ms"),
            session_timeout: time("broker.session.timeout.ms"),
        }),
    }
}

fn topic_config(
    scenario: &Scenario,
    (cluster, kafka): (&str, &Kafka),
    name: &str,
    topic: &Topic,
) -> sim::TopicConfig {
    let settings = topic_settings(kafka, topic);
    let numbers = |list: &Vec<u32>| {
        list.iter().filter_map(|it| usize::try_from(*it).ok()).collect::<Vec<usize>>()
    };
    sim::TopicConfig {
        name: name.to_owned(),
        partitions: topic.partitions,
        replication_factor: topic.replication_factor,
        min_insync_replicas: narrow(settings.min_insync_replicas),
        unclean_leader_election: settings.unclean_leader_election != 0,
        retention: unless_none(settings.retention).map(SimDuration),
        retention_bytes: unless_none(settings.retention_bytes),
        segment_bytes: settings.segment_bytes,
        segment_time: SimDuration(settings.segment_time),
        assignment: topic.assignment.iter().map(numbers).collect(),
        history: topic.history.map(|it| {
            let writes =
                |writer: &Producer| writer.to == cluster && topic_of(kafka, writer) == Some(name);
            super::history(scenario, it, writes)
        }),
    }
}

fn settings(kafka: &Kafka) -> sim::BrokerSettings {
    let value = |name| BROKER.value(&kafka.config, name, kafka.version);
    let time = |name| SimDuration(value(name));
    let count = |name| narrow(value(name));
    let flag = |name| value(name) != 0;
    sim::BrokerSettings {
        replica_lag_time_max: time("replica.lag.time.max.ms"),
        num_replica_fetchers: count("num.replica.fetchers"),
        replica_fetch_max_bytes: value("replica.fetch.max.bytes"),
        replica_fetch_response_max_bytes: value("replica.fetch.response.max.bytes"),
        replica_fetch_wait_max: time("replica.fetch.wait.max.ms"),
        replica_fetch_backoff: time("replica.fetch.backoff.ms"),
        replica_socket_timeout: time("replica.socket.timeout.ms"),
        auto_leader_rebalance: flag("auto.leader.rebalance.enable"),
        leader_imbalance_check_interval: time("leader.imbalance.check.interval.seconds"),
        leader_imbalance_percent: count("leader.imbalance.per.broker.percentage"),
        num_io_threads: count("num.io.threads"),
        num_recovery_threads: count("num.recovery.threads.per.data.dir"),
        controlled_shutdown: flag("controlled.shutdown.enable"),
        eligible_leader_replicas: flag("eligible.leader.replicas.version"),
        rack_aware_selector: flag("replica.selector.class"),
        retention_check_interval: time("log.retention.check.interval.ms"),
        group_initial_rebalance_delay: time("group.initial.rebalance.delay.ms"),
        group_consumer_heartbeat_interval: time("group.consumer.heartbeat.interval.ms"),
        group_consumer_session_timeout: time("group.consumer.session.timeout.ms"),
        offsets_topic_partitions: count("offsets.topic.num.partitions"),
        offsets_topic_replication_factor: count("offsets.topic.replication.factor"),
        offsets_topic_min_insync_replicas: count("min.insync.replicas"),
    }
}

fn hardware(kafka: &Kafka) -> sim::Hardware {
    sim::Hardware {
        disk: disk(kafka),
        network: kafka.network.0,
        page_cache: kafka.page_cache.0,
        rtt_in_zone: kafka.rtt_in_zone.sim(),
        rtt_across_zones: kafka.rtt_across_zones.sim(),
        request_time: kafka.request_time.sim(),
        fetch_time_per_partition: kafka.fetch_time_per_partition.sim(),
        broker_start_time: kafka.broker_start_time.sim(),
        max_map_count: kafka.max_map_count,
    }
}

fn controller_costs(kafka: &Kafka) -> sim::ControllerCosts {
    let [election, state_load, controlled_shutdown, propagation] = costs(kafka);
    sim::ControllerCosts {
        election: election.sim(),
        state_load: state_load.sim(),
        controlled_shutdown: controlled_shutdown.sim(),
        propagation: propagation.sim(),
    }
}

/// The Java producer, of the version of the cluster that it writes to.
pub(super) fn producer_config(
    producer: &KafkaProducer,
    cluster: Option<&Kafka>,
) -> sim::KafkaProducerConfig {
    let version = cluster.map_or(KafkaVersion::V4_1, |it| it.version);
    let config = &producer.config;
    let value = |name| PRODUCER.value(config, name, version);
    let time = |name| SimDuration(value(name));
    let zones = cluster.map(|it| it.zones.as_slice()).unwrap_or_default();
    // KIP-580 came with 3.7, as did KIP-951.
    let is_3_7 = version.release() >= Release(3, 7);
    let backoff = time("retry.backoff.ms");
    sim::KafkaProducerConfig {
        acks: match value("acks") {
            0 => sim::Acks::None,
            1 => sim::Acks::Leader,
            _ => sim::Acks::All,
        },
        idempotence: idempotence(config, version).in_effect(),
        linger: time("linger.ms"),
        // 0 switches batching off: a batch is full with its first record.
        batch_size: narrow(value("batch.size")).max(1),
        buffer_memory: value("buffer.memory"),
        max_block: time("max.block.ms"),
        max_request_size: narrow(value("max.request.size")),
        max_in_flight: narrow(value("max.in.flight.requests.per.connection")),
        retries: narrow(value("retries")),
        retry_backoff: backoff,
        retry_backoff_max: if is_3_7 { time("retry.backoff.max.ms") } else { backoff },
        request_timeout: time("request.timeout.ms"),
        delivery_timeout: delivery_timeout(config, version).sim(),
        metadata_max_age: time("metadata.max.age.ms"),
        learns_leader_from_errors: is_3_7,
        zone: producer.zone.as_ref().and_then(|zone| zones.iter().position(|it| it == zone)),
    }
}

pub(super) fn group(scenario: &Scenario, name: &str, group: &KafkaGroup) -> sim::GroupConfig {
    let cluster = crate::effective::cluster(scenario, &group.from);
    let version = cluster.map_or(KafkaVersion::V4_1, |it| it.version);
    let value = |name| consumer_value(group, name, version);
    let time = |name| SimDuration(value(name));
    let names = cluster.map(topic_names).unwrap_or_default();
    let read = cluster.map(|it| topics_of(it, group)).unwrap_or_default();
    let topics = (0..names.len()).filter(|it| read.contains(&names[*it])).collect();
    let zones = cluster.map(|it| it.zones.as_slice()).unwrap_or_default();
    let place = |zone: &String| zones.iter().position(|it| it == zone);
    sim::GroupConfig {
        name: name.to_owned(),
        cluster: cluster_index(scenario, &group.from),
        topics,
        members: group.members,
        protocol: protocol(group, version),
        static_membership: group.config.contains_key("group.instance.id"),
        session_timeout: time("session.timeout.ms"),
        heartbeat_interval: time("heartbeat.interval.ms"),
        max_poll_interval: time("max.poll.interval.ms"),
        max_poll_records: narrow(value("max.poll.records")),
        auto_commit: auto_commit(group, version),
        fetch_min_bytes: value("fetch.min.bytes"),
        fetch_max_wait: time("fetch.max.wait.ms"),
        fetch_max_bytes: value("fetch.max.bytes"),
        max_partition_fetch_bytes: value("max.partition.fetch.bytes"),
        read_committed: value("isolation.level") != 0,
        auto_offset_reset: if value("auto.offset.reset") == 0 {
            sim::OffsetReset::Latest
        } else {
            sim::OffsetReset::Earliest
        },
        metadata_max_age: time("metadata.max.age.ms"),
        zones: group.zones.iter().filter_map(place).collect(),
        service: service(group.service_time),
        sink_idempotent: is_idempotent(scenario, group.sink.as_deref()),
        sink: sink_use(scenario, group.sink.as_deref(), &group.on_failure),
        leaves_on_close: group.streams.is_none(),
        start_time: group.start_time.sim(),
        state: group
            .streams
            .as_ref()
            .map(|it| state(group, it, version))
            .or_else(|| group.state.as_ref().map(local_state)),
        outset: super::outset(group.begins, group.lag),
    }
}

/// Kafka Streams commits by an interval of its own (K-STR-1).
fn auto_commit(group: &KafkaGroup, version: KafkaVersion) -> Option<SimDuration> {
    if group.streams.is_some() {
        return Some(SimDuration(streams_value(group, "commit.interval.ms", version)));
    }
    let interval = consumer_value(group, "auto.commit.interval.ms", version);
    let enabled = consumer_value(group, "enable.auto.commit", version) != 0;
    enabled.then_some(SimDuration(interval))
}

fn protocol(group: &KafkaGroup, version: KafkaVersion) -> sim::GroupProtocol {
    if is_kip_848(group, version) {
        let range = consumer_value(group, "group.remote.assignor", version) == 1;
        let assignor =
            if range { sim::ServerAssignor::Range } else { sim::ServerAssignor::Uniform };
        return sim::GroupProtocol::Consumer { assignor };
    }
    sim::GroupProtocol::Classic { assignors: assignors_of(group, version) }
}

fn local_state(state: &LocalState) -> sim::StateConfig {
    sim::StateConfig {
        bytes_per_partition: state.state_per_partition.0,
        restore_rate: state.restore_rate.0,
        standbys: state.standbys,
        survives_restart: state.survives_restart,
        // A plain consumer replays on the thread that polls.
        others_run: false,
    }
}

fn state(group: &KafkaGroup, streams: &Streams, version: KafkaVersion) -> sim::StateConfig {
    sim::StateConfig {
        bytes_per_partition: streams.state_per_partition.0,
        restore_rate: streams.restore_rate.0,
        standbys: narrow(streams_value(group, "num.standby.replicas", version)),
        survives_restart: streams.survives_restart,
        // The state updater (K-STR-2).
        others_run: version.release() >= Release(3, 8),
    }
}
