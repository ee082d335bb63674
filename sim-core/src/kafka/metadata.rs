//! What a cluster agrees on: which replicas a partition has, who leads it, who is in sync. This is
//! the committed state; what a broker or client has learned of it may be older.
//!
//! | Mechanism                                              | Fact    |
//! |--------------------------------------------------------|---------|
//! | leader, leader epoch, ISR, partition epoch per partition | K-ZK-1, K-KR-7 |
//! | eligible leader replicas                               | K-ELC-4 |

use crate::config::kafka::ClusterConfig;

/// A broker by its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BrokerId(pub u16);

/// A partition by its index within the cluster, over all topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PartitionId(pub u32);

impl BrokerId {
    /// As a place in a list.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl PartitionId {
    /// As a place in a list.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Brokers, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct BrokerSet(u128);

impl BrokerSet {
    /// No broker.
    pub const EMPTY: Self = Self(0);

    /// Just this one.
    #[must_use]
    pub fn of(broker: BrokerId) -> Self {
        Self(1 << broker.0)
    }

    /// Whether it holds the broker.
    #[must_use]
    pub fn has(self, broker: BrokerId) -> bool {
        self.0 & (1 << broker.0) != 0
    }

    /// With the broker.
    #[must_use]
    pub fn with(self, broker: BrokerId) -> Self {
        Self(self.0 | 1 << broker.0)
    }

    /// Without the broker.
    #[must_use]
    pub fn without(self, broker: BrokerId) -> Self {
        Self(self.0 & !(1 << broker.0))
    }

    /// In either.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// In both.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// How many.
    #[must_use]
    pub fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Its members, ascending.
    pub fn iter(self) -> impl Iterator<Item = BrokerId> {
        let mut bits = self.0;
        std::iter::from_fn(move || {
            if bits == 0 {
                return None;
            }
            let lowest = bits.trailing_zeros();
            bits &= bits - 1;
            Some(BrokerId(u16::try_from(lowest).expect("below 128")))
        })
    }
}

impl FromIterator<BrokerId> for BrokerSet {
    fn from_iter<I: IntoIterator<Item = BrokerId>>(brokers: I) -> Self {
        brokers.into_iter().fold(Self::EMPTY, Self::with)
    }
}

/// The committed state of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionState {
    /// Index of its topic.
    pub topic: u16,
    /// Its number within the topic.
    pub number: u32,
    /// Its brokers in assignment order.
    pub replicas: Vec<BrokerId>,
    /// Who leads it; `None`: nobody.
    pub leader: Option<BrokerId>,
    /// Raised with every new leader.
    pub leader_epoch: u32,
    /// Who is in sync, the leader included.
    pub isr: BrokerSet,
    /// Raised with every change.
    pub partition_epoch: u32,
    /// Eligible leader replicas (K-ELC-4); always empty without them.
    pub elr: BrokerSet,
    /// The last leader, for an unclean choice with ELR.
    pub last_leader: Option<BrokerId>,
}

impl PartitionState {
    /// Its brokers as a set.
    #[must_use]
    pub fn replica_set(&self) -> BrokerSet {
        self.replicas.iter().copied().collect()
    }

    /// `min.insync.replicas` in effect: never more than there are replicas (K-ISR-7).
    #[must_use]
    pub fn min_isr(&self, configured: u32) -> u32 {
        configured.min(u32::try_from(self.replicas.len()).unwrap_or(u32::MAX))
    }
}

/// The committed state of a cluster.
#[derive(Clone, Debug, Default)]
pub struct Metadata {
    /// By [`PartitionId`]: topic after topic at the start, added partitions behind.
    pub partitions: Vec<PartitionState>,
    /// By topic: its partitions in order of their numbers.
    pub topics: Vec<Vec<PartitionId>>,
}

impl Metadata {
    /// The state of a new cluster: every first replica leads, all replicas are in sync.
    #[must_use]
    pub fn new(config: &ClusterConfig) -> Self {
        let mut metadata = Self::default();
        for topic in 0..config.topics.len() {
            metadata.topics.push(Vec::new());
            let placed = crate::kafka::assignment::of_topic(config, topic);
            for replicas in placed {
                metadata.add(topic, replicas);
            }
        }
        metadata
    }

    /// One more partition of a topic.
    pub fn add(&mut self, topic: usize, replicas: Vec<BrokerId>) -> PartitionId {
        let id = PartitionId(u32::try_from(self.partitions.len()).expect("fewer than 2^32"));
        let number = u32::try_from(self.topics[topic].len()).expect("fewer than 2^32");
        self.partitions.push(PartitionState {
            topic: u16::try_from(topic).expect("fewer than 2^16 topics"),
            number,
            leader: replicas.first().copied(),
            leader_epoch: 0,
            isr: replicas.iter().copied().collect(),
            partition_epoch: 0,
            elr: BrokerSet::EMPTY,
            last_leader: None,
            replicas,
        });
        self.topics[topic].push(id);
        id
    }

    /// The state of a partition.
    #[must_use]
    pub fn of(&self, partition: PartitionId) -> &PartitionState {
        &self.partitions[partition.index()]
    }

    /// The same, to change it.
    pub fn of_mut(&mut self, partition: PartitionId) -> &mut PartitionState {
        &mut self.partitions[partition.index()]
    }

    /// Every partition with its id.
    pub fn iter(&self) -> impl Iterator<Item = (PartitionId, &PartitionState)> {
        (0_u32..).map(PartitionId).zip(&self.partitions)
    }
}
