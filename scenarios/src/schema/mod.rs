//! A scenario as its file says it: typed, strict, every default filled in by serde.
//!
//! The types derive their reading and writing, so that a scenario is also a JSON tree (decision
//! D-2) that changes are made in. Three values have a short form in the file, which
//! `source.rs` writes out before parsing: `rate: "6000/s"` is `Constant("6000/s")`,
//! `record_size: "1KiB"` and `service_time: "300us"` are `Fixed(..)`.
//!
//! Real configuration stands in maps named `config`, under the library's own names; the tables of
//! [`crate::knobs`] say what each means.

mod kafka;
mod kinesis;
mod timeline;

use serde::{Deserialize, Serialize};

use crate::defaults;
use crate::units::{Bytes, Dur, Rate, Share};
use crate::value::finite;

pub use crate::value::{ConfigValue, Factor, Named, SetText};
pub use crate::version::{KafkaVersion, KclVersion};
pub use kafka::{
    ControllerCosts, Disk, Kafka, KafkaGroup, KafkaProducer, LocalState, Placed, Quorum, Streams,
    Topic,
};
pub use kinesis::{Capacity, GrowthRule, Kcl, Kinesis, Kpl, OnDemand, Retrieval, RetryFailed, Sdk};
pub use timeline::{Brokers, Change, Happening, Nodes, Planned, Who, Workers};
pub(crate) use timeline::{Hit, Target};

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
    /// Streams and clusters.
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

/// What a stream or topic holds when the run begins, written evenly over the time before.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// Bytes, over all shards or partitions.
    pub bytes: Bytes,
    /// Age of the oldest record.
    pub age: Dur,
}

/// A system that holds records.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum System {
    /// A Kinesis data stream.
    Kinesis(Kinesis),
    /// A Kafka cluster.
    Kafka(Box<Kafka>),
}

impl System {
    /// The stream that it is, if it is one.
    #[must_use]
    pub fn as_kinesis(&self) -> Option<&Kinesis> {
        match self {
            Self::Kinesis(kinesis) => Some(kinesis),
            Self::Kafka(_) => None,
        }
    }

    /// The cluster that it is, if it is one.
    #[must_use]
    pub fn as_kafka(&self) -> Option<&Kafka> {
        match self {
            Self::Kinesis(_) => None,
            Self::Kafka(kafka) => Some(kafka),
        }
    }
}

/// A workload and the client that sends it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Producer {
    /// Name of the system that it writes to.
    pub to: String,
    /// The topic, if it is a cluster; may be left out where the cluster has one.
    #[serde(default)]
    pub topic: Option<String>,
    /// Records per second over time, all instances together.
    pub rate: RateShape,
    /// Client processes.
    #[serde(default = "defaults::one")]
    pub instances: u32,
    /// Fine structure of arrivals.
    #[serde(default)]
    pub arrivals: Arrivals,
    /// Data of one record, without its partition key.
    #[serde(default)]
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
    /// The client library; that of the system if left out: the KPL, or Kafka's producer.
    #[serde(default)]
    pub client: Option<Client>,
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

impl Default for RecordSize {
    fn default() -> Self {
        Self::Fixed(defaults::RECORD_SIZE)
    }
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
    /// The Java producer of Kafka (K-PRD).
    Kafka(KafkaProducer),
}

impl Client {
    /// What a producer uses that names no client.
    #[must_use]
    pub fn default_for(system: Option<&System>) -> Self {
        match system {
            Some(System::Kafka(_)) => Self::Kafka(KafkaProducer::default()),
            Some(System::Kinesis(_)) | None => Self::Kpl(Kpl::default()),
        }
    }
}

/// What reads from a system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Consumer {
    /// A Kinesis Client Library application.
    Kcl(Kcl),
    /// A Kafka consumer group.
    KafkaGroup(KafkaGroup),
}

impl Consumer {
    /// Name of the system that it reads.
    #[must_use]
    pub fn from(&self) -> &str {
        match self {
            Self::Kcl(kcl) => &kcl.from,
            Self::KafkaGroup(group) => &group.from,
        }
    }

    /// Name of its sink, if it has one.
    #[must_use]
    pub fn sink(&self) -> Option<&str> {
        match self {
            Self::Kcl(kcl) => kcl.sink.as_deref(),
            Self::KafkaGroup(group) => group.sink.as_deref(),
        }
    }

    /// Processes at the start.
    #[must_use]
    pub fn workers(&self) -> u32 {
        match self {
            Self::Kcl(kcl) => kcl.workers,
            Self::KafkaGroup(group) => group.members,
        }
    }

    /// The KCL application that it is, if it is one.
    #[must_use]
    pub fn as_kcl(&self) -> Option<&Kcl> {
        match self {
            Self::Kcl(kcl) => Some(kcl),
            Self::KafkaGroup(_) => None,
        }
    }

    /// The consumer group that it is, if it is one.
    #[must_use]
    pub fn as_group(&self) -> Option<&KafkaGroup> {
        match self {
            Self::Kcl(_) => None,
            Self::KafkaGroup(group) => Some(group),
        }
    }
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
    /// Records that it takes; no limit if left out.
    #[serde(default)]
    pub capacity: Option<Rate>,
    /// Writes under way at the same time; no limit if left out.
    #[serde(default)]
    pub concurrency: Option<u32>,
    /// From a write to its answer, per record.
    #[serde(default = "no_time")]
    pub latency: ServiceTime,
    /// Share of writes that fail.
    #[serde(default)]
    pub errors: Share,
}

fn no_time() -> ServiceTime {
    ServiceTime::Fixed(Dur(0))
}

/// What a consumer does when its sink does not take a record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum OnFailure {
    /// It writes again until it succeeds, and does nothing else meanwhile.
    Block(BackOff),
    /// It writes again so often, and then lets go.
    Retry(Retry),
    /// It sends the record to a dead-letter queue at once.
    DeadLetter,
    /// It skips the record at once: lost.
    Skip,
}

/// Waits between writes, doubling.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackOff {
    /// The first.
    #[serde(default = "back_off_base")]
    pub base: Dur,
    /// The longest.
    #[serde(default = "back_off_ceiling")]
    pub ceiling: Dur,
}

/// So many writes, and what follows the last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// Writes of a record in all.
    pub attempts: u32,
    /// The first wait.
    #[serde(default = "back_off_base")]
    pub base: Dur,
    /// The longest wait.
    #[serde(default = "back_off_ceiling")]
    pub ceiling: Dur,
    /// What becomes of the record.
    pub then: GivenUp,
}

/// What becomes of a record that the sink does not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GivenUp {
    /// It goes to a dead-letter queue.
    DeadLetter,
    /// It is skipped: lost.
    Skip,
}

/// First wait of a consumer whose sink fails it; an assumption.
fn back_off_base() -> Dur {
    Dur::millis(100)
}

/// Longest one; an assumption.
fn back_off_ceiling() -> Dur {
    Dur::secs(10)
}

impl Default for OnFailure {
    fn default() -> Self {
        Self::Block(BackOff { base: back_off_base(), ceiling: back_off_ceiling() })
    }
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

impl Claim {
    /// The run and the metric that it is about.
    #[must_use]
    pub fn subject(&self) -> (&str, &str) {
        match self {
            Self::Above(run, metric, _)
            | Self::Below(run, metric, _)
            | Self::Between(run, metric, _, _)
            | Self::Higher(run, metric, _)
            | Self::Lower(run, metric, _) => (run, metric),
        }
    }

    /// The run that it compares with, if it compares two.
    #[must_use]
    pub fn than(&self) -> Option<&str> {
        match self {
            Self::Above(..) | Self::Below(..) | Self::Between(..) => None,
            Self::Higher(_, _, than) | Self::Lower(_, _, than) => Some(than),
        }
    }

    pub(crate) fn bounds(&self) -> Vec<&ConfigValue> {
        match self {
            Self::Above(_, _, bound) | Self::Below(_, _, bound) => vec![bound],
            Self::Between(_, _, low, high) => vec![low, high],
            Self::Higher(..) | Self::Lower(..) => Vec::new(),
        }
    }
}
