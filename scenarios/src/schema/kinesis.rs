//! Kinesis in the scenario language: streams, the KPL, callers of the SDK, KCL applications.

use serde::{Deserialize, Serialize};

use super::{History, ServiceTime};
use crate::defaults;
use crate::units::{ByteRate, Bytes, Dur};
use crate::value::{ConfigValue, Named};
use crate::version::KclVersion;

/// A Kinesis data stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kinesis {
    /// Provisioned or on-demand.
    pub capacity: Capacity,
    /// 24 h to 8,760 h (N-R-7).
    #[serde(default = "defaults::retention")]
    pub retention: Dur,
    /// Data and key of one record, 1 MiB to 10 MiB (N-W-6).
    #[serde(default = "defaults::max_record_size")]
    pub max_record_size: Bytes,
    /// From sending PutRecords until it is answered; an assumption.
    #[serde(default = "defaults::put_latency")]
    pub put_latency: Dur,
    /// From sending GetRecords until its records are with the reader (D-25).
    #[serde(default = "defaults::get_latency")]
    pub get_latency: Dur,
    /// From the append until a fan-out subscriber has the record; an assumption that makes
    /// N-R-5's 70 ms together with `put_latency`.
    #[serde(default = "defaults::push_latency")]
    pub push_latency: Dur,
    /// Time of one split or merge: 30 s when provisioned (N-C-2), none on demand (D-24).
    #[serde(default)]
    pub reshard_time: Option<Dur>,
    /// Whether UpdateShardCount runs its steps one after the other (N-C-2).
    #[serde(default = "defaults::reshard_serially")]
    pub reshard_serially: bool,
    /// What its shards hold when the run begins.
    #[serde(default)]
    pub history: Option<History>,
}

/// How a stream's capacity is set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Capacity {
    /// A fixed number of shards.
    Provisioned {
        /// Open shards, 1 to 10,000.
        shards: u32,
    },
    /// Shards follow the traffic (N-C-6).
    OnDemand(OnDemand),
}

/// On-demand capacity (N-C-6 to N-C-10, D-24).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OnDemand {
    /// How capacity grows.
    pub rule: GrowthRule,
    /// Peak write of the last 30 days; twice of it is there at once. A new stream takes 4 MB/s,
    /// as if its peak had been 2 MB/s.
    pub peak_history: ByteRate,
    /// Warm throughput, if any (N-C-10).
    pub warm_throughput: Option<ByteRate>,
    /// From passing the trigger until the shard has split, at most 15 min.
    pub split_delay: Dur,
    /// No growth beyond this (N-C-8).
    pub ceiling: ByteRate,
}

impl Default for OnDemand {
    fn default() -> Self {
        Self {
            rule: GrowthRule::default(),
            peak_history: defaults::PEAK_HISTORY,
            warm_throughput: None,
            split_delay: defaults::SPLIT_DELAY,
            ceiling: defaults::CEILING,
        }
    }
}

/// How on-demand capacity grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum GrowthRule {
    /// A shard whose one-minute mean passes 500,000 B/s splits (N-C-6).
    #[default]
    Documented,
    /// The popular belief: the total doubles every 15 minutes while demand exceeds it.
    DoublesEvery15Minutes,
}

/// Kinesis Producer Library.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Kpl {
    /// Under the library's own names (N-KPL-2).
    pub config: Named<ConfigValue>,
}

/// A caller of the SDK's PutRecords.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sdk {
    /// A request is sent when it holds this many records, at most 500 (N-W-6).
    pub batch_records: u32,
    /// A request is sent when its first record is this old; an assumption.
    pub linger: Dur,
    /// Requests in flight per process; an assumption (as the KPL).
    pub max_in_flight: u32,
    /// A request unanswered for this long is an error to the caller.
    pub request_timeout: Dur,
    /// What the caller does with failed entries (D-26); `None` ignores them.
    pub retry_failed: Option<RetryFailed>,
}

impl Default for Sdk {
    fn default() -> Self {
        Self {
            batch_records: 500,
            linger: Dur::millis(100),
            max_in_flight: 24,
            request_timeout: Dur::secs(6),
            retry_failed: Some(RetryFailed::default()),
        }
    }
}

/// Re-sending with full jitter (D-26).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetryFailed {
    /// Re-sends before giving up.
    pub attempts: u32,
    /// First ceiling of the wait.
    pub base: Dur,
    /// Greatest ceiling of the wait.
    pub ceiling: Dur,
}

impl Default for RetryFailed {
    fn default() -> Self {
        Self { attempts: 3, base: Dur::millis(100), ceiling: Dur::secs(1) }
    }
}

/// A Kinesis Client Library application.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kcl {
    /// Name of the system that it reads.
    pub from: String,
    /// Worker processes at the start.
    #[serde(default = "defaults::one")]
    pub workers: u32,
    /// `"2"` or `"3"`: generation of lease management.
    #[serde(default)]
    pub version: KclVersion,
    /// Enhanced fan-out by default (N-KCL-3).
    #[serde(default)]
    pub retrieval: Retrieval,
    /// Time to process one record.
    pub service_time: ServiceTime,
    /// Leases that one worker processes at the same time; 0 for no limit.
    #[serde(default)]
    pub worker_threads: u32,
    /// Name of the sink that records are applied to; an idempotent one if left out.
    #[serde(default)]
    pub sink: Option<String>,
    /// What it does when the sink does not take a record.
    #[serde(default)]
    pub on_failure: super::OnFailure,
    /// Least time between checkpoints of a shard; 0 s checkpoints after each processRecords.
    #[serde(default)]
    pub checkpoint_interval: Dur,
    /// When its workers start, with an empty lease table; at work from the start if left out.
    #[serde(default)]
    pub begins: Option<Dur>,
    /// How far before the start of the run its checkpoints are.
    #[serde(default)]
    pub lag: Option<Dur>,
    /// Shards by worker whose leases it holds at the start; dealt in turn if left out.
    #[serde(default)]
    pub leases: Vec<Vec<u32>>,
    /// Under the library's own names (N-KCL-2).
    #[serde(default)]
    pub config: Named<ConfigValue>,
}

/// How records reach a worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Retrieval {
    /// SubscribeToShard.
    #[default]
    FanOut,
    /// GetRecords.
    Polling,
}
