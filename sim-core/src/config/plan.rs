//! What is planned: faults and operator actions, and whom they hit.

use crate::engine::{SimDuration, SimTime};

use super::Capacity;

/// Something planned: a fault, or what an operator does.
#[derive(Clone, Debug)]
pub struct TimelineEntry {
    /// When it begins.
    pub at: SimTime,
    /// How long it lasts; `None`: to the end, or it has no duration.
    pub lasts: Option<SimDuration>,
    /// What happens.
    pub what: Happening,
}

/// Worker processes that come, go and stand still together, by index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fleet {
    /// A KCL application: [`WorldConfig::consumers`](super::WorldConfig::consumers).
    App(usize),
    /// A Kafka consumer group: [`WorldConfig::groups`](super::WorldConfig::groups).
    Group(usize),
}

/// Processes of one kind, numbered from 0. A number is a slot: whoever replaces a process that has
/// gone has its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Processes {
    /// The workers of an application, or the members of a group.
    Workers(Fleet),
    /// The brokers of a cluster.
    Brokers(usize),
    /// A cluster's ZooKeeper servers or KRaft controllers.
    QuorumNodes(usize),
}

/// Which processes of a kind; those with a role or a rank are looked for when it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// So many of those that run, lowest number first.
    First(u32),
    /// Those of these numbers.
    Numbers(Vec<u32>),
    /// So many of those that run, at random: from the entry's own luck.
    Random(u32),
    /// The one that leads: a group's leader, the KCL's, a quorum's.
    Leader,
    /// The active controller.
    Controller,
    /// The broker that coordinates a group, by index in
    /// [`WorldConfig::groups`](super::WorldConfig::groups).
    Coordinator(usize),
    /// The broker that leads a partition.
    LeaderOf {
        /// Topic within the cluster.
        topic: usize,
        /// Its number within the topic.
        partition: u32,
    },
}

/// Whom a fault or an action hits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whom {
    /// Processes of which kind.
    pub of: Processes,
    /// Which of them.
    pub who: Who,
}

impl Whom {
    /// So many workers of a fleet, lowest number first.
    #[must_use]
    pub fn workers(fleet: Fleet, count: u32) -> Self {
        Self { of: Processes::Workers(fleet), who: Who::First(count) }
    }

    /// These brokers of a cluster.
    #[must_use]
    pub fn brokers(cluster: usize, numbers: &[u32]) -> Self {
        Self { of: Processes::Brokers(cluster), who: Who::Numbers(numbers.to_vec()) }
    }

    /// These nodes of a cluster's quorum.
    #[must_use]
    pub fn nodes(cluster: usize, numbers: &[u32]) -> Self {
        Self { of: Processes::QuorumNodes(cluster), who: Who::Numbers(numbers.to_vec()) }
    }
}

/// What can be planned. Indices refer to the lists of [`WorldConfig`](super::WorldConfig); shares
/// and factors are in millionths.
#[derive(Clone, Debug, PartialEq)]
pub enum Happening {
    /// Fault: a key takes a share of a producer's records.
    HotKey {
        /// Producer.
        producer: usize,
        /// The key.
        key: String,
        /// Its share of all records.
        share_ppm: u32,
    },
    /// Fault: a producer's rate is multiplied, reaching the factor after `ramp` (zero: a step).
    RateFactor {
        /// Producer.
        producer: usize,
        /// Factor.
        factor_ppm: u64,
        /// Time to reach it.
        ramp: SimDuration,
    },
    /// Fault: processing takes longer by a factor.
    SlowConsumer {
        /// Consumer.
        consumer: Fleet,
        /// Which workers; `None`: all, those that come later too.
        who: Option<Who>,
        /// Factor.
        factor_ppm: u64,
    },
    /// Fault: processes die without a word; with a duration, they start again after it.
    Kill(Whom),
    /// Fault: processes stand still (a long GC pause) and then go on, not knowing what they missed.
    Pause(Whom),
    /// Fault: processes crash again and again: each runs for `up`, is gone for `down`.
    RestartLoop {
        /// Whom; they start one after the other within `up + down`.
        whom: Whom,
        /// From a start to the crash.
        up: SimDuration,
        /// From the crash to the next start.
        down: SimDuration,
    },
    /// Fault: a share of the API calls of a stream throws ProvisionedThroughputExceeded (N-FIS-1).
    ThrottleApi {
        /// Stream.
        stream: usize,
        /// Share of calls.
        share_ppm: u32,
    },
    /// Fault: a share of GetRecords calls throws ExpiredIterator (N-FIS-1).
    ExpireIterators {
        /// Stream.
        stream: usize,
        /// Share of calls.
        share_ppm: u32,
    },
    /// Fault: a share of PutRecords calls is stored, but its answer never arrives (N-W-10).
    LoseAnswers {
        /// Stream.
        stream: usize,
        /// Share of calls.
        share_ppm: u32,
    },
    /// Fault: the writes of a sink take longer by a factor.
    SlowSink {
        /// Sink.
        sink: usize,
        /// Factor.
        factor_ppm: u64,
    },
    /// Fault: a share of the writes of a sink fails.
    FailSink {
        /// Sink.
        sink: usize,
        /// Share of writes.
        share_ppm: u32,
    },
    /// Fault: nothing passes between a zone and the others, clients in no zone included.
    CutZone {
        /// Cluster.
        cluster: usize,
        /// Zone.
        zone: usize,
    },
    /// Fault: the disks of brokers have a fraction of their bandwidth.
    SlowDisks {
        /// Cluster.
        cluster: usize,
        /// Which brokers.
        who: Who,
        /// Factor on the time of each access.
        factor_ppm: u64,
    },
    /// Action: split one shard in the middle (N-C-3).
    SplitShard {
        /// Stream.
        stream: usize,
        /// Number of the shard.
        shard: u32,
    },
    /// Action: split the open shard that was written most in the last minute.
    SplitHottestShard {
        /// Stream.
        stream: usize,
    },
    /// Action: merge two adjacent shards (N-C-3).
    MergeShards {
        /// Stream.
        stream: usize,
        /// Number of the lower shard.
        shard: u32,
        /// Number of the one above it.
        adjacent: u32,
    },
    /// Action: UpdateShardCount (N-C-1).
    UpdateShardCount {
        /// Stream.
        stream: usize,
        /// Wanted open shards.
        target: u32,
    },
    /// Action: switch the capacity mode (N-C-9).
    SwitchMode {
        /// Stream.
        stream: usize,
        /// The new mode; `shards` of a provisioned one is not used, the count stays.
        capacity: Capacity,
    },
    /// Action: UpdateStreamWarmThroughput (N-C-10), ready after five minutes.
    WarmThroughput {
        /// Stream.
        stream: usize,
        /// Bytes per second.
        bytes_per_s: u64,
    },
    /// Action: start more workers.
    AddWorkers {
        /// Consumer.
        consumer: Fleet,
        /// How many.
        workers: u32,
    },
    /// Action: stop processes cleanly; with a duration, they start again after it (a deploy).
    Stop(Whom),
    /// Action: restart the workers of a fleet cleanly one after the other.
    RollingRestart {
        /// Consumer.
        consumer: Fleet,
        /// From the stop of one to the start of its replacement.
        down: SimDuration,
        /// From the start of a replacement to the stop of the next one.
        gap: SimDuration,
    },
    /// Action: more partitions for a topic (K-PRT-3).
    AddPartitions {
        /// Cluster.
        cluster: usize,
        /// Topic within it.
        topic: usize,
        /// Partitions that it has then.
        total: u32,
    },
    /// Action: elect leaders for a topic's leaderless partitions, in sync or not (K-ELC-3).
    ElectUnclean {
        /// Cluster.
        cluster: usize,
        /// Topic within it.
        topic: usize,
    },
}

impl Happening {
    /// Whether this is what an operator does, as against something that breaks.
    #[must_use]
    pub fn is_action(&self) -> bool {
        match self {
            Self::HotKey { .. }
            | Self::RateFactor { .. }
            | Self::SlowConsumer { .. }
            | Self::Kill(_)
            | Self::Pause(_)
            | Self::RestartLoop { .. }
            | Self::ThrottleApi { .. }
            | Self::ExpireIterators { .. }
            | Self::LoseAnswers { .. }
            | Self::SlowSink { .. }
            | Self::FailSink { .. }
            | Self::CutZone { .. }
            | Self::SlowDisks { .. } => false,
            Self::SplitShard { .. }
            | Self::SplitHottestShard { .. }
            | Self::MergeShards { .. }
            | Self::UpdateShardCount { .. }
            | Self::SwitchMode { .. }
            | Self::WarmThroughput { .. }
            | Self::AddWorkers { .. }
            | Self::Stop(_)
            | Self::RollingRestart { .. }
            | Self::AddPartitions { .. }
            | Self::ElectUnclean { .. } => true,
        }
    }

    /// The processes that come, go or stand still by this.
    #[must_use]
    pub fn whom(&self) -> Option<Whom> {
        match self {
            Self::Kill(whom)
            | Self::Pause(whom)
            | Self::Stop(whom)
            | Self::RestartLoop { whom, .. } => Some(whom.clone()),
            Self::RollingRestart { consumer, .. } => Some(Whom::workers(*consumer, u32::MAX)),
            Self::AddWorkers { .. }
            | Self::HotKey { .. }
            | Self::RateFactor { .. }
            | Self::SlowConsumer { .. }
            | Self::ThrottleApi { .. }
            | Self::ExpireIterators { .. }
            | Self::LoseAnswers { .. }
            | Self::SlowSink { .. }
            | Self::FailSink { .. }
            | Self::CutZone { .. }
            | Self::SlowDisks { .. }
            | Self::SplitShard { .. }
            | Self::SplitHottestShard { .. }
            | Self::MergeShards { .. }
            | Self::UpdateShardCount { .. }
            | Self::SwitchMode { .. }
            | Self::WarmThroughput { .. }
            | Self::AddPartitions { .. }
            | Self::ElectUnclean { .. } => None,
        }
    }

    /// The stream on which an operator acts by this.
    #[must_use]
    pub fn stream_operated(&self) -> Option<usize> {
        match self {
            Self::SplitShard { stream, .. }
            | Self::SplitHottestShard { stream }
            | Self::MergeShards { stream, .. }
            | Self::UpdateShardCount { stream, .. }
            | Self::SwitchMode { stream, .. }
            | Self::WarmThroughput { stream, .. } => Some(*stream),
            Self::HotKey { .. }
            | Self::RateFactor { .. }
            | Self::SlowConsumer { .. }
            | Self::Kill(_)
            | Self::Pause(_)
            | Self::Stop(_)
            | Self::RestartLoop { .. }
            | Self::RollingRestart { .. }
            | Self::AddWorkers { .. }
            | Self::ThrottleApi { .. }
            | Self::ExpireIterators { .. }
            | Self::LoseAnswers { .. }
            | Self::SlowSink { .. }
            | Self::FailSink { .. }
            | Self::CutZone { .. }
            | Self::SlowDisks { .. }
            | Self::AddPartitions { .. }
            | Self::ElectUnclean { .. } => None,
        }
    }

    /// The fleet whose workers come, go or stand still by this.
    #[must_use]
    pub fn fleet_of(&self) -> Option<Fleet> {
        if let Self::AddWorkers { consumer, .. } = self {
            return Some(*consumer);
        }
        match self.whom()?.of {
            Processes::Workers(fleet) => Some(fleet),
            Processes::Brokers(_) | Processes::QuorumNodes(_) => None,
        }
    }
}
