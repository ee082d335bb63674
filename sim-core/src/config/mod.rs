//! What a world is built from: the lowered form of a scenario, every default filled in, every
//! name resolved to an index. Units are in the types or in the field's doc.
//!
//! Building a world from a configuration that breaks a stated range is a bug of the caller: the
//! `scenarios` crate checks ranges and reports them with a position in the file.

pub mod kafka;
mod plan;
mod sink;

use crate::engine::{SimDuration, SimTime};
use kafka::{ClusterConfig, GroupConfig, KafkaProducerConfig};

pub use plan::{Fleet, Happening, Processes, TimelineEntry, Who, Whom};
pub use sink::{GivenUp, SinkConfig, SinkRetry, SinkUse};

/// One run.
#[derive(Clone, Debug)]
pub struct WorldConfig {
    /// Seed of all random streams.
    pub seed: u64,
    /// Simulated time of the run.
    pub duration: SimDuration,
    /// The arrival grid W of decision D-8; zero is record-exact.
    pub resolution: SimDuration,
    /// Kinesis streams.
    pub streams: Vec<StreamConfig>,
    /// Kafka clusters.
    pub clusters: Vec<ClusterConfig>,
    /// Producers, each into one stream or topic.
    pub producers: Vec<ProducerConfig>,
    /// KCL applications, each from one stream.
    pub consumers: Vec<KclConfig>,
    /// Kafka consumer groups, each from topics of one cluster.
    pub groups: Vec<GroupConfig>,
    /// Where consumers apply records, as far as it is felt.
    pub sinks: Vec<SinkConfig>,
    /// Faults and operator actions, in file order.
    pub timeline: Vec<TimelineEntry>,
}

/// A Kinesis stream.
#[derive(Clone, Debug)]
pub struct StreamConfig {
    /// Its name in the scenario.
    pub name: String,
    /// Provisioned or on-demand.
    pub capacity: Capacity,
    /// How long records are kept (N-R-7): 24 h to 8,760 h.
    pub retention: SimDuration,
    /// Depth of a shard's byte bucket (N-W-5): 1 MiB, or 10 MiB with large records. Bytes.
    pub burst_bytes: u64,
    /// From sending PutRecords until it is judged, stored and answered.
    pub put_latency: SimDuration,
    /// From sending GetRecords until its records are with the reader (D-25: 20 ms).
    pub get_latency: SimDuration,
    /// From the append until an enhanced fan-out subscriber has the record.
    pub push_latency: SimDuration,
    /// Time of one split or merge (N-C-2).
    pub reshard_time: SimDuration,
    /// Whether UpdateShardCount runs its steps one after the other (N-C-2) or all at once.
    pub reshard_serially: bool,
    /// What its first shards hold when the run begins.
    pub history: Option<HistoryConfig>,
}

/// How a stream's capacity is set.
#[derive(Clone, Debug, PartialEq)]
pub enum Capacity {
    /// A fixed number of shards, 1 to 10,000.
    Provisioned {
        /// Open shards.
        shards: u32,
    },
    /// Shards follow the traffic (N-C-6).
    OnDemand(OnDemandConfig),
}

/// On-demand capacity (N-C-6 to N-C-10, D-23, D-24).
#[derive(Clone, Debug, PartialEq)]
pub struct OnDemandConfig {
    /// How capacity grows.
    pub rule: OnDemandRule,
    /// Peak write of the last 30 days, bytes per second; twice of it is there at once.
    pub peak_history: u64,
    /// Warm throughput, bytes per second; zero for none (N-C-10).
    pub warm_throughput: u64,
    /// From passing the trigger until the shard has split (0 to 15 min).
    pub split_delay: SimDuration,
    /// No growth beyond this, bytes per second (N-C-8).
    pub ceiling: u64,
}

/// How on-demand capacity grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDemandRule {
    /// Per shard: one whose one-minute mean passes 500,000 B/s splits (N-C-6).
    Documented,
    /// The popular belief: total capacity doubles every 15 minutes while demand exceeds it.
    DoublesEvery15Minutes,
}

/// Where a producer writes to, by index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A Kinesis stream.
    Stream(usize),
    /// A topic of a Kafka cluster.
    Topic {
        /// The cluster.
        cluster: usize,
        /// The topic within it.
        topic: usize,
    },
}

/// A producer: one workload, sent by a number of equal client processes.
#[derive(Clone, Debug)]
pub struct ProducerConfig {
    /// Its name in the scenario.
    pub name: String,
    /// Where it writes to.
    pub to: Destination,
    /// Client processes, at least 1.
    pub instances: u32,
    /// Flows that the workload is dealt to (D-11): `instances`, or 1 for all of them together.
    pub flows: u32,
    /// Records per second over time, all instances together.
    pub rate: RateProfile,
    /// Whether arrivals are even or Poisson.
    pub arrivals: Arrivals,
    /// Bytes of data per record, without the partition key.
    pub record_size: SizeDistribution,
    /// Partition keys.
    pub keys: KeyDistribution,
    /// Keys that take a share of all records from the start on: (key, millionths).
    pub hot_keys: Vec<(String, u32)>,
    /// Sub-keys that each hot key is spread over; 1 for none. Sub-key i of `k` is `k#i`.
    pub salt: u32,
    /// The client library.
    pub client: ClientConfig,
}

/// Records per second as knots joined by straight lines; two knots at one instant make a step.
/// Before the first knot the first rate holds, after the last one the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateProfile {
    /// (instant, millionths of a record per second), in order of time, at least one.
    pub knots: Vec<(SimTime, u64)>,
}

/// The fine structure of arrivals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrivals {
    /// Evenly spaced: counts are differences of floor(integral of the rate).
    Even,
    /// A Poisson process of that rate.
    Poisson,
}

/// Bytes per record.
#[derive(Clone, Debug, PartialEq)]
pub enum SizeDistribution {
    /// All alike.
    Fixed(u32),
    /// Uniform over a range, both ends included.
    Uniform {
        /// Least.
        min: u32,
        /// Greatest.
        max: u32,
    },
    /// Log-normal, cut off at `max`.
    LogNormal {
        /// Half of the records are smaller.
        median: u32,
        /// Standard deviation of the logarithm.
        sigma: f64,
        /// Greatest.
        max: u32,
    },
}

/// Partition keys of a workload.
#[derive(Clone, Debug, PartialEq)]
pub enum KeyDistribution {
    /// Every record its own random key: mass follows the hash range.
    Random,
    /// Keys `{prefix}0` .. `{prefix}{keys-1}`, all equally likely.
    Uniform {
        /// Before the number.
        prefix: String,
        /// How many.
        keys: u32,
    },
    /// The same key names with mass proportional to 1 / (rank + 1)^exponent, rank = the number.
    Zipf {
        /// Before the number.
        prefix: String,
        /// How many.
        keys: u32,
        /// Skew.
        exponent: f64,
    },
    /// Explicit hash keys, all equally likely.
    HashKeys(Vec<u128>),
}

/// The client library that a producer uses.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientConfig {
    /// Kinesis Producer Library (N-KPL).
    Kpl(KplConfig),
    /// Plain SDK PutRecords (N-W-7, D-26).
    Sdk(SdkConfig),
    /// The Kafka producer (K-PRD-1).
    Kafka(KafkaProducerConfig),
}

/// KPL configuration under its own names (N-KPL-2 has the defaults).
#[derive(Clone, Debug, PartialEq)]
pub struct KplConfig {
    /// `AggregationEnabled`.
    pub aggregation_enabled: bool,
    /// `AggregationMaxSize`, bytes.
    pub aggregation_max_size: u32,
    /// `AggregationMaxCount`, user records.
    pub aggregation_max_count: u32,
    /// `CollectionMaxCount`, Kinesis records, at most 500.
    pub collection_max_count: u32,
    /// `CollectionMaxSize`, bytes.
    pub collection_max_size: u32,
    /// `RecordMaxBufferedTime`.
    pub record_max_buffered_time: SimDuration,
    /// `RecordTtl`.
    pub record_ttl: SimDuration,
    /// `RateLimit`, per cent of a shard's limit, per process.
    pub rate_limit: u32,
    /// `MaxConnections`: requests in flight per process.
    pub max_connections: u32,
    /// `RequestTimeout`.
    pub request_timeout: SimDuration,
    /// `FailIfThrottled`.
    pub fail_if_throttled: bool,
}

/// A caller of the SDK's PutRecords.
#[derive(Clone, Debug, PartialEq)]
pub struct SdkConfig {
    /// A request is sent when it holds this many records, at most 500.
    pub batch_records: u32,
    /// A request is sent when its first record is this old.
    pub linger: SimDuration,
    /// Requests in flight per process.
    pub max_in_flight: u32,
    /// A request unanswered for this long is an error to the caller.
    pub request_timeout: SimDuration,
    /// What the caller does with failed entries; `None` ignores them (they are refused).
    pub retry_failed: Option<RetryConfig>,
}

/// Re-sending with full jitter: before try i (from 1) wait rand(0,1) * min(base * 2^(i-1), ceiling).
#[derive(Clone, Debug, PartialEq)]
pub struct RetryConfig {
    /// Re-sends before giving up.
    pub attempts: u32,
    /// First ceiling of the wait.
    pub base: SimDuration,
    /// Greatest ceiling of the wait.
    pub ceiling: SimDuration,
}

/// A KCL application.
#[derive(Clone, Debug)]
pub struct KclConfig {
    /// Its name in the scenario.
    pub name: String,
    /// Index of its stream.
    pub stream: usize,
    /// Worker processes at the start, at least 1.
    pub workers: u32,
    /// 2.x or 3.x lease management.
    pub version: KclVersion,
    /// Polling or enhanced fan-out (N-KCL-3).
    pub retrieval: Retrieval,
    /// Time to process one record.
    pub service: ServiceTime,
    /// Leases that one worker processes at the same time; zero for no limit.
    pub worker_threads: u32,
    /// `failoverTimeMillis`.
    pub failover_time: SimDuration,
    /// `maxLeasesForWorker`.
    pub max_leases_for_worker: u32,
    /// `maxLeasesToStealAtOneTime`.
    pub max_leases_to_steal_at_one_time: u32,
    /// `parentShardPollIntervalMillis`.
    pub parent_shard_poll_interval: SimDuration,
    /// `maxRecords` of one GetRecords call, at most 10,000.
    pub max_records: u32,
    /// `leaseAssignmentStrategy` by throughput, or by count (3.x).
    pub lease_count_based: bool,
    /// `isGracefulLeaseHandoffEnabled` (3.x).
    pub graceful_handoff: bool,
    /// `gracefulLeaseHandoffTimeoutMillis` (3.x).
    pub graceful_handoff_timeout: SimDuration,
    /// Least time between checkpoints of a shard; zero checkpoints after each processRecords call.
    pub checkpoint_interval: SimDuration,
    /// Whether a child shard waits until its parents are read; the KCL does, a naive reader does not.
    pub parents_first: bool,
    /// Whether an expired iterator is replaced; the KCL does, a naive reader stops for ever (V-23).
    pub renews_iterators: bool,
    /// Whether applying a record twice at the sink does harm.
    pub sink_idempotent: bool,
    /// The sink that holds it back, if one does.
    pub sink: Option<SinkUse>,
    /// How it stands when the run begins.
    pub outset: Outset,
    /// `initialPositionInStreamExtended`: where it begins without a checkpoint.
    pub initial_position: InitialPosition,
    /// Leases by worker when the run begins; empty: dealt in turn, as a balanced fleet holds them.
    pub leases: Vec<Vec<u32>>,
}

/// How a consumer stands when the run begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outset {
    /// When its processes start; `None`: they have run for long.
    pub begins: Option<SimTime>,
    /// How far before the start of the run what it has committed ends. `None`: at the start; or
    /// nothing is committed, if it begins later.
    pub lag: Option<SimDuration>,
}

impl Outset {
    /// Whether it has a position when the run begins.
    #[must_use]
    pub fn has_position(&self) -> bool {
        self.begins.is_none() || self.lag.is_some()
    }
}

/// What a log holds when the run begins, written evenly over the time before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryConfig {
    /// Records, over all partitions or shards.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Age of the oldest.
    pub age: SimDuration,
}

impl HistoryConfig {
    /// The part of one partition or shard of so many.
    #[must_use]
    pub fn share(&self, number: u64, of: u64) -> Self {
        Self {
            records: part(self.records, number, of),
            bytes: part(self.bytes, number, of),
            ..*self
        }
    }
}

/// Part `number` of `of` equal ones, to a whole number: together they are the total.
#[must_use]
pub fn part(total: u64, number: u64, of: u64) -> u64 {
    let until = |number: u64| u128::from(total) * u128::from(number) / u128::from(of.max(1));
    u64::try_from(until(number + 1) - until(number)).expect("a part of 64 bits")
}

/// Where an application begins to read a shard that it has no checkpoint of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InitialPosition {
    /// `LATEST`: behind what is there.
    #[default]
    Latest,
    /// `TRIM_HORIZON`: at the oldest record that retention has left.
    TrimHorizon,
}

/// Lease management generations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KclVersion {
    /// 2.x: every worker takes leases for itself (N-KCL-6).
    V2,
    /// 3.x: a leader assigns leases (N-KCL-19).
    V3,
}

/// How records reach a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retrieval {
    /// SubscribeToShard: pushed, 2 MiB/s for this consumer and shard alone (N-R-6).
    FanOut,
    /// GetRecords, sharing the shard's 5 calls/s and 2 MiB/s (N-R-3).
    Polling {
        /// `idleTimeBetweenReadsInMillis`.
        idle_time_between_reads: SimDuration,
    },
}

/// Time to process one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceTime {
    /// Always the same.
    Fixed(SimDuration),
    /// Exponential with this mean.
    Exponential(SimDuration),
}
