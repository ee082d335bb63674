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
    /// Fault: processing takes longer, on all workers or on some.
    SlowConsumer {
        consumer: String,
        factor: Factor,
        #[serde(default)]
        who: Option<Who>,
    },
    /// Fault: workers die; with `for`, replacements start after it.
    KillWorkers(Workers),
    /// Fault: workers stand still and then go on.
    PauseWorkers(Workers),
    /// Fault: a share of API calls throws ProvisionedThroughputExceeded.
    ThrottleApi { stream: String, share: Share },
    /// Fault: a share of GetRecords calls throws ExpiredIterator.
    ExpireIterators { stream: String, share: Share },
    /// Fault: a share of PutRecords calls is stored, but never answered.
    LoseAnswers { stream: String, share: Share },
    /// Fault: workers, brokers or nodes of a quorum crash again and again.
    RestartLoop {
        #[serde(default)]
        consumer: Option<String>,
        #[serde(default)]
        workers: Option<u32>,
        #[serde(default)]
        cluster: Option<String>,
        #[serde(default)]
        brokers: Vec<u32>,
        #[serde(default)]
        nodes: Vec<u32>,
        #[serde(default)]
        who: Option<Who>,
        up: Dur,
        down: Dur,
    },
    /// Fault: brokers die without a word; with `for`, they restart after it.
    KillBrokers(Brokers),
    /// Fault: brokers stand still and then go on.
    PauseBrokers(Brokers),
    /// Fault: the writes of a sink take longer.
    SlowSink { sink: String, factor: Factor },
    /// Fault: a share of the writes of a sink fails.
    FailSink { sink: String, share: Share },
    /// Fault: nothing passes between a zone and everything outside it.
    CutZone { cluster: String, zone: String },
    /// Fault: each access to the disks of brokers takes longer.
    SlowDisks {
        cluster: String,
        #[serde(default)]
        brokers: Vec<u32>,
        #[serde(default)]
        who: Option<Who>,
        factor: Factor,
    },
    /// Fault: ZooKeeper servers or KRaft controllers die; with `for`, they restart after it.
    KillQuorumNodes(Nodes),
    /// Fault: ZooKeeper servers or KRaft controllers stand still and then go on.
    PauseQuorumNodes(Nodes),
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
    StopWorkers(Workers),
    /// Action: restart workers cleanly one after the other.
    RollingRestart {
        consumer: String,
        down: Dur,
        #[serde(default)]
        gap: Dur,
    },
    /// Action: controlled shutdown of brokers; with `for`, they start again after it.
    StopBrokers(Brokers),
    /// Action: more partitions for a topic.
    AddPartitions { cluster: String, topic: String, total: u32 },
    /// Action: elect leaders for a topic's leaderless partitions, in sync or not.
    ElectUnclean { cluster: String, topic: String },
}

/// Workers of a consumer: so many, lowest number first, or those named.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workers {
    /// Consumer.
    pub consumer: String,
    /// How many of those that run.
    #[serde(default)]
    pub workers: Option<u32>,
    /// Which.
    #[serde(default)]
    pub who: Option<Who>,
}

/// Brokers of a cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Brokers {
    /// Cluster.
    pub cluster: String,
    /// Their numbers.
    #[serde(default)]
    pub brokers: Vec<u32>,
    /// Or those with a role, or at random.
    #[serde(default)]
    pub who: Option<Who>,
}

/// ZooKeeper servers or KRaft controllers of a cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nodes {
    /// Cluster.
    pub cluster: String,
    /// Their numbers.
    #[serde(default)]
    pub nodes: Vec<u32>,
    /// Or those with a role, or at random.
    #[serde(default)]
    pub who: Option<Who>,
}

/// Which of several processes; roles are looked for when it begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Who {
    /// By number.
    Numbers(Vec<u32>),
    /// So many, at random.
    Random(u32),
    /// The leader of the group, of the KCL application, of the quorum.
    Leader,
    /// The active controller.
    Controller,
    /// The broker that coordinates a group.
    Coordinator(String),
    /// The broker that leads a partition of a topic.
    LeaderOf(String, u32),
}

/// Processes that something hits, as the file names them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Hit<'s> {
    /// Workers: (consumer, how many, which).
    Workers(&'s str, Option<u32>, Option<&'s Who>),
    /// Brokers: (cluster, numbers, which).
    Brokers(&'s str, &'s [u32], Option<&'s Who>),
    /// Nodes of a quorum: likewise.
    Nodes(&'s str, &'s [u32], Option<&'s Who>),
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
    Sink(&'s str),
}

impl Happening {
    /// Whether this is what an operator does, as against something that breaks.
    #[must_use]
    pub fn is_action(&self) -> bool {
        match self {
            Self::HotKey { .. }
            | Self::RateFactor { .. }
            | Self::SlowConsumer { .. }
            | Self::KillWorkers(_)
            | Self::PauseWorkers(_)
            | Self::ThrottleApi { .. }
            | Self::ExpireIterators { .. }
            | Self::LoseAnswers { .. }
            | Self::RestartLoop { .. }
            | Self::KillBrokers(_)
            | Self::PauseBrokers(_)
            | Self::SlowSink { .. }
            | Self::FailSink { .. }
            | Self::CutZone { .. }
            | Self::SlowDisks { .. }
            | Self::KillQuorumNodes(_)
            | Self::PauseQuorumNodes(_) => false,
            Self::SplitShard { .. }
            | Self::SplitHottestShard(_)
            | Self::MergeShards { .. }
            | Self::UpdateShardCount { .. }
            | Self::SwitchMode(..)
            | Self::WarmThroughput { .. }
            | Self::AddWorkers { .. }
            | Self::StopWorkers(_)
            | Self::RollingRestart { .. }
            | Self::StopBrokers(_)
            | Self::AddPartitions { .. }
            | Self::ElectUnclean { .. } => true,
        }
    }

    /// Whether `for` means something: all faults last, and so does a stop.
    pub(crate) fn may_last(&self) -> bool {
        !self.is_action() || matches!(self, Self::StopWorkers(_) | Self::StopBrokers(_))
    }

    /// The target, and its step in a path.
    pub(crate) fn target(&self) -> (Target<'_>, Option<&'static str>) {
        match self {
            Self::HotKey { producer, .. } | Self::RateFactor { producer, .. } => {
                (Target::Producer(producer), Some("producer"))
            }
            Self::SlowConsumer { consumer, .. }
            | Self::KillWorkers(Workers { consumer, .. })
            | Self::PauseWorkers(Workers { consumer, .. })
            | Self::AddWorkers { consumer, .. }
            | Self::RestartLoop { consumer: Some(consumer), .. }
            | Self::RollingRestart { consumer, .. }
            | Self::StopWorkers(Workers { consumer, .. }) => {
                (Target::Consumer(consumer), Some("consumer"))
            }
            Self::RestartLoop { consumer: None, cluster, .. } => {
                (Target::Cluster(cluster.as_deref().unwrap_or_default()), Some("cluster"))
            }
            Self::ThrottleApi { stream, .. }
            | Self::ExpireIterators { stream, .. }
            | Self::LoseAnswers { stream, .. }
            | Self::SplitShard { stream, .. }
            | Self::MergeShards { stream, .. }
            | Self::UpdateShardCount { stream, .. }
            | Self::WarmThroughput { stream, .. } => (Target::Stream(stream), Some("stream")),
            Self::KillBrokers(Brokers { cluster, .. })
            | Self::PauseBrokers(Brokers { cluster, .. })
            | Self::StopBrokers(Brokers { cluster, .. })
            | Self::KillQuorumNodes(Nodes { cluster, .. })
            | Self::PauseQuorumNodes(Nodes { cluster, .. })
            | Self::CutZone { cluster, .. }
            | Self::SlowDisks { cluster, .. }
            | Self::AddPartitions { cluster, .. }
            | Self::ElectUnclean { cluster, .. } => (Target::Cluster(cluster), Some("cluster")),
            Self::SlowSink { sink, .. } | Self::FailSink { sink, .. } => {
                (Target::Sink(sink), Some("sink"))
            }
            Self::SplitHottestShard(stream) | Self::SwitchMode(stream, _) => {
                (Target::Stream(stream), None)
            }
        }
    }

    /// The processes that it hits, where the file chooses them.
    pub(crate) fn hit(&self) -> Option<Hit<'_>> {
        Some(match self {
            Self::KillWorkers(it) | Self::PauseWorkers(it) | Self::StopWorkers(it) => {
                Hit::Workers(&it.consumer, it.workers, it.who.as_ref())
            }
            Self::KillBrokers(it) | Self::PauseBrokers(it) | Self::StopBrokers(it) => {
                Hit::Brokers(&it.cluster, &it.brokers, it.who.as_ref())
            }
            Self::KillQuorumNodes(it) | Self::PauseQuorumNodes(it) => {
                Hit::Nodes(&it.cluster, &it.nodes, it.who.as_ref())
            }
            Self::SlowDisks { cluster, brokers, who, .. } => {
                Hit::Brokers(cluster, brokers, who.as_ref())
            }
            Self::SlowConsumer { consumer, who: Some(who), .. } => {
                Hit::Workers(consumer, None, Some(who))
            }
            Self::RestartLoop { consumer: Some(consumer), workers, who, .. } => {
                Hit::Workers(consumer, *workers, who.as_ref())
            }
            Self::RestartLoop { cluster: Some(cluster), brokers, nodes, who, .. } => {
                if nodes.is_empty() {
                    Hit::Brokers(cluster, brokers, who.as_ref())
                } else {
                    Hit::Nodes(cluster, nodes, who.as_ref())
                }
            }
            Self::RestartLoop { consumer: None, cluster: None, .. }
            | Self::SlowConsumer { who: None, .. }
            | Self::HotKey { .. }
            | Self::RateFactor { .. }
            | Self::ThrottleApi { .. }
            | Self::ExpireIterators { .. }
            | Self::LoseAnswers { .. }
            | Self::SlowSink { .. }
            | Self::FailSink { .. }
            | Self::CutZone { .. }
            | Self::SplitShard { .. }
            | Self::SplitHottestShard(_)
            | Self::MergeShards { .. }
            | Self::UpdateShardCount { .. }
            | Self::SwitchMode(..)
            | Self::WarmThroughput { .. }
            | Self::AddWorkers { .. }
            | Self::RollingRestart { .. }
            | Self::AddPartitions { .. }
            | Self::ElectUnclean { .. } => return None,
        })
    }
}
