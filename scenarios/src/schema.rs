//! A scenario as its file says it: typed, strict, every default filled in by serde.
//!
//! The types derive their reading and writing, so that a scenario is also a JSON tree (decision
//! D-2) that changes are made in. Three values have a short form in the file, which
//! `source.rs` writes out before parsing: `rate: "6000/s"` is `Constant("6000/s")`,
//! `record_size: "1KiB"` and `service_time: "300us"` are `Fixed(..)`.
//!
//! Real configuration stands in maps named `config`, under the library's own names; the tables of
//! [`crate::knobs`] say what each means.

use std::fmt;

use indexmap::IndexMap;
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::defaults;
use crate::units::{ByteRate, Bytes, Dur, Rate, Share};

/// Things by name, in the order of the file.
pub type Named<T> = IndexMap<String, T>;

/// A whole scenario file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// One line for people.
    pub title: String,
    /// What happens and why it is worth watching.
    #[serde(default)]
    pub about: String,
    /// Simulated time of a run.
    pub duration: Dur,
    /// Seed of all random streams; 42 by default.
    #[serde(default = "defaults::seed")]
    pub seed: u64,
    /// The arrival grid W; chosen by decision D-8 when left out.
    #[serde(default)]
    pub resolution: Option<Dur>,
    /// Streams.
    pub systems: Named<System>,
    /// What writes into them.
    pub producers: Named<Producer>,
    /// What reads from them.
    #[serde(default)]
    pub consumers: Named<Consumer>,
    /// Where consumers apply records.
    #[serde(default)]
    pub sinks: Named<Sink>,
    /// Faults and operator actions that every run has.
    #[serde(default)]
    pub timeline: Vec<Planned>,
    /// Changed runs to compare with the baseline.
    #[serde(default)]
    pub mitigations: Named<Vec<Change>>,
    /// Claims about the runs.
    #[serde(default)]
    pub expect: Vec<Claim>,
    /// What is popularly believed.
    #[serde(default)]
    pub folklore: Vec<String>,
    /// Ids of facts that the scenario rests on.
    #[serde(default)]
    pub sources: Vec<String>,
}

/// A system that holds records.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum System {
    /// A Kinesis data stream.
    Kinesis(Kinesis),
}

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

/// A workload and the client that sends it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Producer {
    /// Name of the system that it writes to.
    pub to: String,
    /// Records per second over time, all instances together.
    pub rate: RateShape,
    /// Client processes.
    #[serde(default = "defaults::one")]
    pub instances: u32,
    /// Fine structure of arrivals.
    #[serde(default)]
    pub arrivals: Arrivals,
    /// Data of one record, without its partition key.
    #[serde(default = "defaults::record_size")]
    pub record_size: RecordSize,
    /// Partition keys.
    #[serde(default)]
    pub keys: Keys,
    /// Keys that take a share of all records from the start, by name.
    #[serde(default)]
    pub hot_keys: Named<Share>,
    /// Sub-keys that each hot key is spread over; 1 for none.
    #[serde(default = "defaults::one")]
    pub salt: u32,
    /// The client library; the KPL by default.
    #[serde(default)]
    pub client: Client,
}

/// Records per second over time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum RateShape {
    /// Always the same; in a file just `"6000/s"`.
    Constant(Rate),
    /// From each instant on, that rate: `[("0s", "1k/s"), ("5m", "4k/s")]`.
    Steps(Vec<(Dur, Rate)>),
    /// The same points joined by straight lines.
    Ramps(Vec<(Dur, Rate)>),
    /// A base with spikes on it.
    Spikes {
        /// Between the spikes.
        base: Rate,
        /// In order of time.
        spikes: Vec<Spike>,
    },
    /// A daily wave: `mean * (1 + amplitude * cos)`, greatest at `peak_at`.
    Diurnal {
        /// Mean over a period.
        mean: Rate,
        /// How far the peak is above the mean, as a share of the mean.
        amplitude: Share,
        /// Length of the wave; 24 h by default.
        #[serde(default = "defaults::day")]
        period: Dur,
        /// When it is greatest; half a period by default.
        #[serde(default)]
        peak_at: Option<Dur>,
    },
    /// A file of two columns: seconds (or a duration) and records per second, joined by straight
    /// lines. The path is relative to the scenario file.
    Csv(String),
}

/// One spike of a rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spike {
    /// When it begins.
    pub at: Dur,
    /// How long it lasts.
    #[serde(rename = "for")]
    pub lasts: Dur,
    /// The rate meanwhile.
    pub rate: Rate,
}

/// The fine structure of arrivals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Arrivals {
    /// Evenly spaced.
    Even,
    /// A Poisson process.
    #[default]
    Poisson,
}

/// Data bytes of one record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum RecordSize {
    /// All alike; in a file just `"1KiB"`.
    Fixed(Bytes),
    /// Uniform over a range, both ends included.
    Uniform {
        /// Least.
        min: Bytes,
        /// Greatest.
        max: Bytes,
    },
    /// Log-normal, cut off at `max`.
    LogNormal {
        /// Half of the records are smaller.
        median: Bytes,
        /// Standard deviation of the logarithm.
        #[serde(deserialize_with = "finite")]
        sigma: f64,
        /// Greatest.
        max: Bytes,
    },
}

/// Partition keys of a workload.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Keys {
    /// Every record its own random key.
    #[default]
    Random,
    /// `{prefix}0` to `{prefix}{keys-1}`, all equally likely.
    Uniform {
        /// Before the number.
        prefix: String,
        /// How many.
        keys: u32,
    },
    /// The same names with mass proportional to 1 / (number + 1)^exponent.
    Zipf {
        /// Before the number.
        prefix: String,
        /// How many.
        keys: u32,
        /// Skew; 0 is uniform.
        #[serde(deserialize_with = "finite")]
        exponent: f64,
    },
    /// Explicit hash keys in decimal, all equally likely (N-W-2).
    HashKeys(Vec<String>),
}

/// The client library of a producer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Client {
    /// Kinesis Producer Library (N-KPL).
    Kpl(Kpl),
    /// A caller of the SDK's PutRecords (N-W-7, D-26).
    Sdk(Sdk),
}

impl Default for Client {
    fn default() -> Self {
        Self::Kpl(Kpl::default())
    }
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

/// What reads from a system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Consumer {
    /// A Kinesis Client Library application.
    Kcl(Kcl),
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
    /// Least time between checkpoints of a shard; 0 s checkpoints after each processRecords.
    #[serde(default)]
    pub checkpoint_interval: Dur,
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

/// Generation of KCL lease management: `"2"` or `"3"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KclVersion {
    /// 2.x: every worker takes leases for itself.
    V2,
    /// 3.x: a leader assigns leases.
    #[default]
    V3,
}

/// Time to process one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum ServiceTime {
    /// Always the same; in a file just `"300us"`.
    Fixed(Dur),
    /// Exponential with this mean.
    Exponential(Dur),
}

/// Where a consumer applies records.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sink {
    /// Whether applying a record twice does no harm.
    pub idempotent: bool,
}

/// An entry of the timeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Planned {
    /// When it begins.
    pub at: Dur,
    /// How long it lasts; to the end, or without duration, if left out.
    #[serde(rename = "for", default)]
    pub lasts: Option<Dur>,
    /// What happens.
    pub what: Happening,
}

/// A fault or an operator action; see [`sim_core::config::Happening`] for what each does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "fields are named as in sim_core::config::Happening")]
pub enum Happening {
    /// Fault: a key takes a share of a producer's records.
    HotKey { producer: String, key: String, share: Share },
    /// Fault: a producer's rate is multiplied.
    RateFactor {
        producer: String,
        factor: Factor,
        #[serde(default)]
        ramp: Dur,
    },
    /// Fault: processing takes longer.
    SlowConsumer { consumer: String, factor: Factor },
    /// Fault: workers die; with `for`, replacements start after it.
    KillWorkers { consumer: String, workers: u32 },
    /// Fault: workers stand still and then go on.
    PauseWorkers { consumer: String, workers: u32 },
    /// Fault: a share of API calls throws ProvisionedThroughputExceeded.
    ThrottleApi { stream: String, share: Share },
    /// Fault: a share of GetRecords calls throws ExpiredIterator.
    ExpireIterators { stream: String, share: Share },
    /// Fault: a share of PutRecords calls is stored, but never answered.
    LoseAnswers { stream: String, share: Share },
    /// Action: split one shard in the middle.
    SplitShard { stream: String, shard: u32 },
    /// Action: split the shard that was written most in the last minute.
    SplitHottestShard(String),
    /// Action: merge two adjacent shards.
    MergeShards { stream: String, shard: u32, adjacent: u32 },
    /// Action: UpdateShardCount.
    UpdateShardCount { stream: String, target: u32 },
    /// Action: switch the capacity mode.
    SwitchMode(String, Capacity),
    /// Action: UpdateStreamWarmThroughput.
    WarmThroughput { stream: String, throughput: ByteRate },
    /// Action: start more workers.
    AddWorkers { consumer: String, workers: u32 },
    /// Action: stop workers cleanly; with `for`, replacements start after it.
    StopWorkers { consumer: String, workers: u32 },
}

/// A part of a mitigation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Change {
    /// Another value at a path, in force from the start.
    Set(String, SetText),
    /// An operator action at an instant.
    At(Dur, Happening),
}

/// A claim about a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Claim {
    /// run, metric, bound: measured > bound.
    Above(String, String, ConfigValue),
    /// run, metric, bound: measured < bound.
    Below(String, String, ConfigValue),
    /// run, metric, low, high: low < measured < high.
    Between(String, String, ConfigValue, ConfigValue),
    /// run, metric, other run: measured > the other's.
    Higher(String, String, String),
    /// run, metric, other run: measured < the other's.
    Lower(String, String, String),
}

/// A value of real configuration, or a bound: bool, number or text.
#[derive(Clone, Debug, PartialEq)]
pub enum ConfigValue {
    /// `true`, `false`.
    Bool(bool),
    /// A whole number.
    Whole(i64),
    /// Another number.
    Real(f64),
    /// Text, mostly with a unit.
    Text(String),
}

impl ConfigValue {
    /// Its text, if it is text.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// Its number, if it is a whole one that is not negative.
    #[must_use]
    pub fn as_count(&self) -> Option<u64> {
        if let Self::Whole(number) = self { u64::try_from(*number).ok() } else { None }
    }
}

impl fmt::Display for ConfigValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Whole(value) => write!(f, "{value}"),
            Self::Real(value) => write!(f, "{value}"),
            Self::Text(value) => write!(f, "\"{value}\""),
        }
    }
}

/// The value text of a `Set`; a bare bool or number is taken as its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct SetText(pub String);

/// A factor in millionths; a bare number in the file, for it has no unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Factor(pub u64);

impl Factor {
    /// Greatest factor: a million.
    pub const MAX: u64 = 1_000_000_000_000;
}

impl Serialize for Factor {
    #[expect(
        clippy::cast_precision_loss,
        reason = "at most 10^12, exact in the 53 bits of a double"
    )]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0 as f64 / 1e6)
    }
}

impl<'de> Deserialize<'de> for Factor {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be within 0 and a million just above"
    )]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let factor = f64::deserialize(deserializer)?;
        if !(0.0..=1e6).contains(&factor) {
            return Err(de::Error::custom(format!(
                "expected a factor from 0 to 1000000, such as 2.5, got {factor}"
            )));
        }
        Ok(Self((factor * 1e6).round() as u64))
    }
}

/// NaN and infinity have no place in a scenario, nor in JSON.
fn finite<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let number = f64::deserialize(deserializer)?;
    if number.is_finite() {
        Ok(number)
    } else {
        Err(de::Error::custom(format!("expected a finite number, got {number}")))
    }
}

impl Serialize for KclVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::V2 => "2",
            Self::V3 => "3",
        })
    }
}

impl<'de> Deserialize<'de> for KclVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "2" => Ok(Self::V2),
            "3" => Ok(Self::V3),
            other => Err(de::Error::custom(format!(
                "expected a KCL version, \"2\" or \"3\", got \"{}\"",
                crate::units::shortened(other)
            ))),
        }
    }
}

impl Serialize for ConfigValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Whole(value) => serializer.serialize_i64(*value),
            Self::Real(value) => serializer.serialize_f64(*value),
            Self::Text(value) => serializer.serialize_str(value),
        }
    }
}

impl<'de> Deserialize<'de> for ConfigValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ConfigValueVisitor)
    }
}

impl<'de> Deserialize<'de> for SetText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = deserializer.deserialize_any(ConfigValueVisitor)?;
        Ok(Self(match value {
            ConfigValue::Text(text) => text,
            ConfigValue::Bool(_) | ConfigValue::Whole(_) | ConfigValue::Real(_) => {
                value.to_string()
            }
        }))
    }
}

struct ConfigValueVisitor;

impl Visitor<'_> for ConfigValueVisitor {
    type Value = ConfigValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a bool, a number or text in quotes")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<ConfigValue, E> {
        Ok(ConfigValue::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<ConfigValue, E> {
        Ok(ConfigValue::Whole(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<ConfigValue, E> {
        i64::try_from(value)
            .map(ConfigValue::Whole)
            .map_err(|_| E::custom(format!("{value} is beyond the limit of {}", i64::MAX)))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<ConfigValue, E> {
        if value.is_finite() {
            Ok(ConfigValue::Real(value))
        } else {
            Err(E::custom(format!("expected a finite number, got {value}")))
        }
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<ConfigValue, E> {
        Ok(ConfigValue::Text(value.to_owned()))
    }
}
