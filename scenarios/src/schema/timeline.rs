//! What is planned: faults and operator actions, and the changes that make a mitigation.

use serde::{Deserialize, Serialize};

use super::{Capacity, Factor, SetText};
use crate::units::{ByteRate, Dur, Share};

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
    /// Fault: workers crash again and again.
    RestartLoop { consumer: String, workers: u32, up: Dur, down: Dur },
    /// Fault: brokers die without a word; with `for`, they restart after it.
    KillBrokers { cluster: String, brokers: Vec<u32> },
    /// Fault: brokers stand still and then go on.
    PauseBrokers { cluster: String, brokers: Vec<u32> },
    /// Fault: nothing passes between a zone and everything outside it.
    CutZone { cluster: String, zone: String },
    /// Fault: each access to the disks of brokers takes longer.
    SlowDisks { cluster: String, brokers: Vec<u32>, factor: Factor },
    /// Fault: ZooKeeper servers or KRaft controllers die; with `for`, they restart after it.
    KillQuorumNodes { cluster: String, nodes: Vec<u32> },
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
    /// Action: restart workers cleanly one after the other.
    RollingRestart {
        consumer: String,
        down: Dur,
        #[serde(default)]
        gap: Dur,
    },
    /// Action: controlled shutdown of brokers; with `for`, they start again after it.
    StopBrokers { cluster: String, brokers: Vec<u32> },
    /// Action: more partitions for a topic.
    AddPartitions { cluster: String, topic: String, total: u32 },
    /// Action: elect leaders for a topic's leaderless partitions, in sync or not.
    ElectUnclean { cluster: String, topic: String },
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

/// What a happening is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target<'s> {
    Stream(&'s str),
    Producer(&'s str),
    Consumer(&'s str),
    Cluster(&'s str),
}

impl Happening {
    /// Whether this is what an operator does, as against something that breaks.
    #[must_use]
    pub fn is_action(&self) -> bool {
        match self {
            Self::HotKey { .. }
            | Self::RateFactor { .. }
            | Self::SlowConsumer { .. }
            | Self::KillWorkers { .. }
            | Self::PauseWorkers { .. }
            | Self::ThrottleApi { .. }
            | Self::ExpireIterators { .. }
            | Self::LoseAnswers { .. }
            | Self::RestartLoop { .. }
            | Self::KillBrokers { .. }
            | Self::PauseBrokers { .. }
            | Self::CutZone { .. }
            | Self::SlowDisks { .. }
            | Self::KillQuorumNodes { .. } => false,
            Self::SplitShard { .. }
            | Self::SplitHottestShard(_)
            | Self::MergeShards { .. }
            | Self::UpdateShardCount { .. }
            | Self::SwitchMode(..)
            | Self::WarmThroughput { .. }
            | Self::AddWorkers { .. }
            | Self::StopWorkers { .. }
            | Self::RollingRestart { .. }
            | Self::StopBrokers { .. }
            | Self::AddPartitions { .. }
            | Self::ElectUnclean { .. } => true,
        }
    }

    /// Whether `for` means something: all faults last, and so does a stop.
    pub(crate) fn may_last(&self) -> bool {
        !self.is_action() || matches!(self, Self::StopWorkers { .. } | Self::StopBrokers { .. })
    }

    /// The target, and its step in a path.
    pub(crate) fn target(&self) -> (Target<'_>, Option<&'static str>) {
        match self {
            Self::HotKey { producer, .. } | Self::RateFactor { producer, .. } => {
                (Target::Producer(producer), Some("producer"))
            }
            Self::SlowConsumer { consumer, .. }
            | Self::KillWorkers { consumer, .. }
            | Self::PauseWorkers { consumer, .. }
            | Self::AddWorkers { consumer, .. }
            | Self::RestartLoop { consumer, .. }
            | Self::RollingRestart { consumer, .. }
            | Self::StopWorkers { consumer, .. } => (Target::Consumer(consumer), Some("consumer")),
            Self::ThrottleApi { stream, .. }
            | Self::ExpireIterators { stream, .. }
            | Self::LoseAnswers { stream, .. }
            | Self::SplitShard { stream, .. }
            | Self::MergeShards { stream, .. }
            | Self::UpdateShardCount { stream, .. }
            | Self::WarmThroughput { stream, .. } => (Target::Stream(stream), Some("stream")),
            Self::KillBrokers { cluster, .. }
            | Self::PauseBrokers { cluster, .. }
            | Self::CutZone { cluster, .. }
            | Self::SlowDisks { cluster, .. }
            | Self::KillQuorumNodes { cluster, .. }
            | Self::StopBrokers { cluster, .. }
            | Self::AddPartitions { cluster, .. }
            | Self::ElectUnclean { cluster, .. } => (Target::Cluster(cluster), Some("cluster")),
            Self::SplitHottestShard(stream) | Self::SwitchMode(stream, _) => {
                (Target::Stream(stream), None)
            }
        }
    }
}
