//! The lowered form of a Kafka cluster, its producers and its consumer groups. Fields are named
//! after the real configuration keys where there is one; what only the simulator knows is said to
//! be an assumption.

use crate::engine::SimDuration;

use super::{HistoryConfig, Outset, ServiceTime, SinkUse};

/// Most brokers of a cluster: sets of them are bits.
pub const MOST_BROKERS: usize = 128;

/// A Kafka cluster.
#[derive(Clone, Debug)]
pub struct ClusterConfig {
    /// Its name in the scenario.
    pub name: String,
    /// Which generation of the software: what is not a configuration key follows it.
    pub version: KafkaVersion,
    /// Names of the availability zones, at least one.
    pub zones: Vec<String>,
    /// Zone of each broker; broker ids are 0 to n-1.
    pub brokers: Vec<usize>,
    /// Who keeps the metadata.
    pub quorum: Quorum,
    /// Topics, in the order of their names.
    pub topics: Vec<TopicConfig>,
    /// Broker configuration, the same on all.
    pub settings: BrokerSettings,
    /// Machines and links.
    pub hardware: Hardware,
    /// What controllers spend per partition.
    pub costs: ControllerCosts,
}

/// Generations of the software (facts of section "Version profiles").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KafkaVersion {
    /// 2.4: ZooKeeper only; ISR changes are written to ZooKeeper by the leader (K-ZKL-3).
    V2_4,
    /// 3.9: ZooKeeper or KRaft; AlterPartition, frozen watermark below min ISR (K-ISR-8).
    V3_9,
    /// 4.1: KRaft only; KIP-848, ELR (K-ELC-4).
    V4_1,
}

/// Who keeps the metadata.
#[derive(Clone, Debug)]
pub enum Quorum {
    /// A ZooKeeper ensemble; one of the brokers is the controller.
    ZooKeeper(ZooKeeperConfig),
    /// A Raft quorum of controllers.
    KRaft(KRaftConfig),
}

/// A ZooKeeper ensemble (K-ZK-3).
#[derive(Clone, Debug)]
pub struct ZooKeeperConfig {
    /// Zone of each server.
    pub nodes: Vec<usize>,
    /// `tickTime`.
    pub tick_time: SimDuration,
    /// `syncLimit`, ticks.
    pub sync_limit: u32,
    /// `initLimit`, ticks.
    pub init_limit: u32,
    /// The brokers' `zookeeper.session.timeout.ms`, within 2 to 20 ticks.
    pub session_timeout: SimDuration,
    /// The brokers' `zookeeper.max.in.flight.requests`.
    pub max_in_flight: u32,
}

/// A KRaft quorum (K-KR-1 to K-KR-7).
#[derive(Clone, Debug)]
pub struct KRaftConfig {
    /// Zone of each controller.
    pub nodes: Vec<usize>,
    /// Combined mode: controller i is the same process as broker i.
    pub combined: bool,
    /// `controller.quorum.fetch.timeout.ms`.
    pub fetch_timeout: SimDuration,
    /// `controller.quorum.election.timeout.ms`.
    pub election_timeout: SimDuration,
    /// `controller.quorum.election.backoff.max.ms`.
    pub election_backoff_max: SimDuration,
    /// `broker.heartbeat.interval.ms`.
    pub heartbeat_interval: SimDuration,
    /// `broker.session.timeout.ms`.
    pub session_timeout: SimDuration,
}

/// A topic.
#[derive(Clone, Debug)]
pub struct TopicConfig {
    /// Its name.
    pub name: String,
    /// Partitions at the start, at least one.
    pub partitions: u32,
    /// Replicas of each partition, at most the number of brokers.
    pub replication_factor: u32,
    /// `min.insync.replicas`; in effect min(this, replication factor) from 3.7 (K-ISR-7).
    pub min_insync_replicas: u32,
    /// `unclean.leader.election.enable`.
    pub unclean_leader_election: bool,
    /// `retention.ms`; `None` for ever.
    pub retention: Option<SimDuration>,
    /// `retention.bytes` of a partition; `None` without limit.
    pub retention_bytes: Option<u64>,
    /// `segment.bytes`.
    pub segment_bytes: u64,
    /// `segment.ms`.
    pub segment_time: SimDuration,
    /// Brokers of each partition in assignment order; empty: as Kafka assigns them.
    pub assignment: Vec<Vec<usize>>,
    /// What its first partitions hold when the run begins.
    pub history: Option<HistoryConfig>,
}

/// Broker configuration under its real names.
#[derive(Clone, Debug)]
pub struct BrokerSettings {
    /// `replica.lag.time.max.ms`.
    pub replica_lag_time_max: SimDuration,
    /// `num.replica.fetchers`.
    pub num_replica_fetchers: u32,
    /// `replica.fetch.max.bytes`, per partition.
    pub replica_fetch_max_bytes: u64,
    /// `replica.fetch.response.max.bytes`.
    pub replica_fetch_response_max_bytes: u64,
    /// `replica.fetch.wait.max.ms`.
    pub replica_fetch_wait_max: SimDuration,
    /// `replica.fetch.backoff.ms`.
    pub replica_fetch_backoff: SimDuration,
    /// `replica.socket.timeout.ms`.
    pub replica_socket_timeout: SimDuration,
    /// `auto.leader.rebalance.enable`.
    pub auto_leader_rebalance: bool,
    /// `leader.imbalance.check.interval.seconds`.
    pub leader_imbalance_check_interval: SimDuration,
    /// `leader.imbalance.per.broker.percentage`, per cent (ZooKeeper mode).
    pub leader_imbalance_percent: u32,
    /// `num.io.threads`.
    pub num_io_threads: u32,
    /// `num.recovery.threads.per.data.dir`.
    pub num_recovery_threads: u32,
    /// `controlled.shutdown.enable`.
    pub controlled_shutdown: bool,
    /// `eligible.leader.replicas.version` is 1 (K-ELC-4).
    pub eligible_leader_replicas: bool,
    /// `replica.selector.class` is the rack-aware one (K-FET-4).
    pub rack_aware_selector: bool,
    /// `log.retention.check.interval.ms`.
    pub retention_check_interval: SimDuration,
    /// `group.initial.rebalance.delay.ms`.
    pub group_initial_rebalance_delay: SimDuration,
    /// `group.consumer.heartbeat.interval.ms` (KIP-848).
    pub group_consumer_heartbeat_interval: SimDuration,
    /// `group.consumer.session.timeout.ms` (KIP-848).
    pub group_consumer_session_timeout: SimDuration,
    /// `offsets.topic.num.partitions`.
    pub offsets_topic_partitions: u32,
    /// `offsets.topic.replication.factor`.
    pub offsets_topic_replication_factor: u32,
    /// `min.insync.replicas` of the brokers, which the offsets topic uses (K-GRP-10).
    pub offsets_topic_min_insync_replicas: u32,
}

#[cfg(test)]
impl BrokerSettings {
    /// Those of 3.9, for tests inside this crate; who knows the defaults of all versions is above it.
    pub(crate) fn of_3_9() -> Self {
        let secs = SimDuration::from_secs;
        Self {
            replica_lag_time_max: secs(30),
            num_replica_fetchers: 1,
            replica_fetch_max_bytes: 1 << 20,
            replica_fetch_response_max_bytes: 10 << 20,
            replica_fetch_wait_max: SimDuration::from_millis(500),
            replica_fetch_backoff: secs(1),
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
}

/// Machines and links: what only the simulator knows. Bytes per second unless said otherwise.
#[derive(Clone, Debug)]
pub struct Hardware {
    /// Sustained disk bandwidth of a broker.
    pub disk: DiskConfig,
    /// Network of a broker, each direction.
    pub network: u64,
    /// Memory that the page cache of a broker can use, bytes.
    pub page_cache: u64,
    /// Round trip inside a zone.
    pub rtt_in_zone: SimDuration,
    /// Round trip between zones.
    pub rtt_across_zones: SimDuration,
    /// Work of a broker thread per request, beyond its bytes.
    pub request_time: SimDuration,
    /// Added to a follower's fetch cycle per partition with data (V-61: 20 us).
    pub fetch_time_per_partition: SimDuration,
    /// From starting the process until it registers, beyond log recovery.
    pub broker_start_time: SimDuration,
    /// `vm.max_map_count` of a broker; two maps a partition replica (V-79).
    pub max_map_count: u32,
}

/// A disk with an optional burst (K-DSK-1, K-DSK-2). Bytes per second, bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskConfig {
    /// Sustained bandwidth.
    pub bandwidth: u64,
    /// Bandwidth while credits last; equal to `bandwidth` without burst.
    pub burst_bandwidth: u64,
    /// Burst credits at the start, bytes above the sustained bandwidth.
    pub burst_credits: u64,
}

/// What controllers spend (section "Numbers" of the facts; which result fixed which: `docs/facts.md`).
/// Requests to ZooKeeper are pipelined (`max_in_flight`) inside these figures.
#[derive(Clone, Debug)]
pub struct ControllerCosts {
    /// Election, removal from an ISR or commit of an ISR change, per partition, serial. ZooKeeper
    /// 0.25 ms (K-NUM-3; 5 ms before 1.1: V-46), KRaft 0.02 ms (K-NUM-3).
    pub election: SimDuration,
    /// A new controller's reading of the state, per partition (ZooKeeper mode only): 0.17 ms (V-50;
    /// 0.63 ms before 1.1). KRaft reads nothing (K-KR-2).
    pub state_load: SimDuration,
    /// Controlled shutdown, per in-sync replica on the broker. ZooKeeper 0.3 ms (V-48; 39 ms before
    /// 1.1), KRaft 0.07 ms (V-55: 32 s against 135 s).
    pub controlled_shutdown: SimDuration,
    /// From the controller's commit until the brokers concerned act on it: its request to them
    /// (ZooKeeper), or append linger, quorum and their fetch (KRaft, 25 ms and more: K-KR-1). Up to
    /// 2.6 also the time of a leader's own write of its ISR. An assumption.
    pub propagation: SimDuration,
}

/// A Kafka producer (the Java client) under its real names (K-PRD-1, K-PRD-2).
#[derive(Clone, Debug, PartialEq)]
pub struct KafkaProducerConfig {
    /// `acks`.
    pub acks: Acks,
    /// Whether idempotence is in effect, after its silent switch-off (K-IDM-4).
    pub idempotence: bool,
    /// `linger.ms`.
    pub linger: SimDuration,
    /// `batch.size`, bytes.
    pub batch_size: u32,
    /// `buffer.memory`, bytes, of one process.
    pub buffer_memory: u64,
    /// `max.block.ms`.
    pub max_block: SimDuration,
    /// `max.request.size`, bytes.
    pub max_request_size: u32,
    /// `max.in.flight.requests.per.connection`.
    pub max_in_flight: u32,
    /// `retries`.
    pub retries: u32,
    /// `retry.backoff.ms`.
    pub retry_backoff: SimDuration,
    /// `retry.backoff.max.ms`; equal to `retry_backoff` before 3.7.
    pub retry_backoff_max: SimDuration,
    /// `request.timeout.ms`.
    pub request_timeout: SimDuration,
    /// `delivery.timeout.ms`.
    pub delivery_timeout: SimDuration,
    /// `metadata.max.age.ms`.
    pub metadata_max_age: SimDuration,
    /// Error replies name the new leader (KIP-951, 3.7+, K-PRD-4).
    pub learns_leader_from_errors: bool,
    /// Zone of all its processes; `None`: outside the zones, reached from all.
    pub zone: Option<usize>,
}

/// `acks`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// 0: no reply.
    None,
    /// 1: the leader's append.
    Leader,
    /// all: the whole current ISR.
    All,
}

/// A consumer group.
#[derive(Clone, Debug)]
pub struct GroupConfig {
    /// Its name in the scenario.
    pub name: String,
    /// Index of its cluster.
    pub cluster: usize,
    /// Indices of its topics, ascending.
    pub topics: Vec<usize>,
    /// Member processes at the start, at least one.
    pub members: u32,
    /// Which protocol it speaks.
    pub protocol: GroupProtocol,
    /// Whether each member has a `group.instance.id` (KIP-345).
    pub static_membership: bool,
    /// `session.timeout.ms` (classic).
    pub session_timeout: SimDuration,
    /// `heartbeat.interval.ms` (classic).
    pub heartbeat_interval: SimDuration,
    /// `max.poll.interval.ms`.
    pub max_poll_interval: SimDuration,
    /// `max.poll.records`.
    pub max_poll_records: u32,
    /// `auto.commit.interval.ms`; `None`: `enable.auto.commit` is false and each poll's records are
    /// committed when they are processed.
    pub auto_commit: Option<SimDuration>,
    /// `fetch.min.bytes`.
    pub fetch_min_bytes: u64,
    /// `fetch.max.wait.ms`.
    pub fetch_max_wait: SimDuration,
    /// `fetch.max.bytes`.
    pub fetch_max_bytes: u64,
    /// `max.partition.fetch.bytes`.
    pub max_partition_fetch_bytes: u64,
    /// `isolation.level` is read_committed.
    pub read_committed: bool,
    /// `auto.offset.reset`.
    pub auto_offset_reset: OffsetReset,
    /// `metadata.max.age.ms`.
    pub metadata_max_age: SimDuration,
    /// Zone of each member (`client.rack`), dealt in turn; empty: outside the zones.
    pub zones: Vec<usize>,
    /// Time to process one record.
    pub service: ServiceTime,
    /// Whether applying a record twice at the sink does harm.
    pub sink_idempotent: bool,
    /// The sink that holds it back, if one does.
    pub sink: Option<SinkUse>,
    /// Whether a clean stop sends LeaveGroup; Kafka Streams does not (K-STR-1).
    pub leaves_on_close: bool,
    /// From the start of a process until its first poll.
    pub start_time: SimDuration,
    /// Local state per partition, as Kafka Streams keeps it; `None`: stateless.
    pub state: Option<StateConfig>,
    /// How it stands when the run begins.
    pub outset: Outset,
}

/// Which group protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupProtocol {
    /// Join and sync barriers; `partition.assignment.strategy` in order of preference (K-GRP).
    Classic {
        /// At least one.
        assignors: Vec<Assignor>,
    },
    /// KIP-848: the broker assigns.
    Consumer {
        /// `group.remote.assignor`.
        assignor: ServerAssignor,
    },
}

/// A client-side assignor (K-ASG-1 to K-ASG-5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assignor {
    /// `RangeAssignor`.
    Range,
    /// `RoundRobinAssignor`.
    RoundRobin,
    /// `StickyAssignor`.
    Sticky,
    /// `CooperativeStickyAssignor`.
    CooperativeSticky,
}

/// A server-side assignor (K-848-5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerAssignor {
    /// `uniform`.
    Uniform,
    /// `range`.
    Range,
}

/// `auto.offset.reset` (K-FET-3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetReset {
    /// To the end of the log.
    Latest,
    /// To its start.
    Earliest,
}

/// Local state of a stateful consumer (K-STR-1, K-STR-2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateConfig {
    /// Changelog of one partition, bytes.
    pub bytes_per_partition: u64,
    /// How fast a member restores, bytes per second, all its partitions together.
    pub restore_rate: u64,
    /// `num.standby.replicas`.
    pub standbys: u32,
    /// Whether a member's copies outlive its process (a persistent volume).
    pub survives_restart: bool,
    /// 3.8+: partitions that need no restore run meanwhile.
    pub others_run: bool,
}
