//! Kafka in the scenario language: clusters, topics, the Java producer, consumer groups.

use std::fmt;

use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::{History, ServiceTime};
use crate::defaults;
use crate::units::{ByteRate, Bytes, Dur};
use crate::value::{ConfigValue, Named};
use crate::version::KafkaVersion;

/// A Kafka cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kafka {
    /// `"2.4"`, `"3.9"` or `"4.1"`: the profile that defaults of brokers and clients come from.
    pub version: KafkaVersion,
    /// Names of availability zones.
    #[serde(default = "defaults::zones")]
    pub zones: Vec<String>,
    /// How many, dealt over the zones in turn, or the zone of each.
    #[serde(default)]
    pub brokers: Placed,
    /// Who keeps the metadata; ZooKeeper up to 3.2, KRaft from 3.3 on if left out.
    #[serde(default)]
    pub quorum: Option<Quorum>,
    /// Topics by name.
    pub topics: Named<Topic>,
    /// Broker configuration under its real names, the same on all brokers.
    #[serde(default)]
    pub config: Named<ConfigValue>,
    /// The volume of a broker (K-DSK-1).
    #[serde(default)]
    pub disk: Disk,
    /// EC2 instance type whose EBS bandwidth limits the volume (K-DSK-2); no limit if left out.
    #[serde(default)]
    pub instance: Option<String>,
    /// Network of a broker, each direction.
    #[serde(default = "defaults::network")]
    pub network: ByteRate,
    /// Memory that the page cache of a broker can use.
    #[serde(default = "defaults::page_cache")]
    pub page_cache: Bytes,
    /// Round trip inside a zone.
    #[serde(default = "defaults::rtt_in_zone")]
    pub rtt_in_zone: Dur,
    /// Round trip between zones.
    #[serde(default = "defaults::rtt_across_zones")]
    pub rtt_across_zones: Dur,
    /// Work of a broker thread per request, beyond its bytes.
    #[serde(default = "defaults::request_time")]
    pub request_time: Dur,
    /// Added to a follower's fetch cycle per partition with data (V-61).
    #[serde(default = "defaults::fetch_time_per_partition")]
    pub fetch_time_per_partition: Dur,
    /// From starting a broker until it registers, beyond log recovery.
    #[serde(default = "defaults::broker_start_time")]
    pub broker_start_time: Dur,
    /// `vm.max_map_count`; a partition replica takes two maps (V-79).
    #[serde(default = "defaults::max_map_count")]
    pub max_map_count: u32,
    /// What controllers spend per partition.
    #[serde(default)]
    pub controller_costs: ControllerCosts,
}

/// Machines of a cluster: how many, or the zone of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placed {
    /// So many, dealt over the zones in turn.
    Count(u32),
    /// The zone of each.
    Zones(Vec<String>),
}

impl Default for Placed {
    fn default() -> Self {
        Self::Count(defaults::MACHINES)
    }
}

impl Placed {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        match self {
            Self::Count(count) => usize::try_from(*count).unwrap_or(usize::MAX),
            Self::Zones(zones) => zones.len(),
        }
    }
}

/// Who keeps the metadata.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Quorum {
    /// A ZooKeeper ensemble; one of the brokers is the controller (K-ZK).
    ZooKeeper {
        /// Its servers.
        #[serde(default)]
        nodes: Placed,
        /// `zoo.cfg` under its real names.
        #[serde(default)]
        config: Named<ConfigValue>,
    },
    /// A Raft quorum of controllers (K-KR).
    KRaft {
        /// The controllers.
        #[serde(default)]
        nodes: Placed,
        /// Whether controller i is the same process as broker i.
        #[serde(default)]
        combined: bool,
    },
}

/// A topic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topic {
    /// Partitions at the start.
    pub partitions: u32,
    /// Replicas of each partition.
    pub replication_factor: u32,
    /// Under the real names; what is missing follows the brokers' configuration.
    #[serde(default)]
    pub config: Named<ConfigValue>,
    /// Brokers of each partition, the preferred leader first; as Kafka assigns them if left out.
    #[serde(default)]
    pub assignment: Vec<Vec<u32>>,
    /// What its partitions hold when the run begins.
    #[serde(default)]
    pub history: Option<History>,
}

/// The volume of a broker (K-DSK-1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Disk {
    /// gp3: no burst.
    Gp3 {
        /// Provisioned throughput, 125 to 1,000 MiB/s.
        #[serde(default = "defaults::gp3_throughput")]
        throughput: ByteRate,
    },
    /// gp2: bandwidth by size, burst below 1 TiB.
    Gp2 {
        /// Size of the volume.
        size: Bytes,
    },
    /// Any other.
    Custom {
        /// Sustained.
        bandwidth: ByteRate,
        /// While credits last; the sustained one if left out.
        #[serde(default)]
        burst_bandwidth: Option<ByteRate>,
        /// Bytes above the sustained bandwidth at the start.
        #[serde(default)]
        burst_credits: Bytes,
    },
}

impl Default for Disk {
    fn default() -> Self {
        Self::Gp3 { throughput: defaults::gp3_throughput() }
    }
}

/// What controllers spend; each by the kind of quorum if left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ControllerCosts {
    /// Election and propagation, per partition.
    pub election: Option<Dur>,
    /// A new controller's reading of the state, per partition.
    pub state_load: Option<Dur>,
    /// Controlled shutdown, per replica on the broker.
    pub controlled_shutdown: Option<Dur>,
    /// From a decision until the brokers concerned act on it.
    pub propagation: Option<Dur>,
}

/// The Java producer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KafkaProducer {
    /// Zone of all its processes; outside the zones if left out.
    pub zone: Option<String>,
    /// Under the real names.
    pub config: Named<ConfigValue>,
}

/// A consumer group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaGroup {
    /// Name of the cluster that it reads.
    pub from: String,
    /// Its topics; may be left out where the cluster has one.
    #[serde(default)]
    pub topics: Vec<String>,
    /// Member processes at the start.
    #[serde(default = "defaults::one")]
    pub members: u32,
    /// Time to process one record.
    pub service_time: ServiceTime,
    /// Name of the sink that records are applied to; an idempotent one if left out.
    #[serde(default)]
    pub sink: Option<String>,
    /// What it does when the sink does not take a record.
    #[serde(default)]
    pub on_failure: super::OnFailure,
    /// Zones of the members, dealt in turn; outside the zones if left out.
    #[serde(default)]
    pub zones: Vec<String>,
    /// From the start of a process until its first poll; an assumption.
    #[serde(default = "defaults::member_start_time")]
    pub start_time: Dur,
    /// When its members start, with nothing committed; at work from the start if left out.
    #[serde(default)]
    pub begins: Option<Dur>,
    /// How far before the start of the run its committed offsets are.
    #[serde(default)]
    pub lag: Option<Dur>,
    /// The members run Kafka Streams with local state.
    #[serde(default)]
    pub streams: Option<Streams>,
    /// The members are plain consumers that keep local state all the same; not beside `streams`.
    #[serde(default)]
    pub state: Option<LocalState>,
    /// Under the real names.
    #[serde(default)]
    pub config: Named<ConfigValue>,
}

/// Local state, as Kafka Streams keeps it (K-STR-1, K-STR-2).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Streams {
    /// Changelog of one partition.
    pub state_per_partition: Bytes,
    /// How fast a member restores, all its partitions together; an assumption.
    #[serde(default = "defaults::restore_rate")]
    pub restore_rate: ByteRate,
    /// Whether a member's copies outlive its process, as on a persistent volume.
    #[serde(default)]
    pub survives_restart: bool,
}

/// Local state of a plain consumer, rebuilt from a topic when a partition moves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalState {
    /// What is replayed for one partition.
    pub state_per_partition: Bytes,
    /// How fast a member replays, all its partitions together; an assumption.
    #[serde(default = "defaults::restore_rate")]
    pub restore_rate: ByteRate,
    /// Whether a member's copies outlive its process, as on a persistent volume.
    #[serde(default)]
    pub survives_restart: bool,
    /// Other members that keep a copy of each partition's state.
    #[serde(default)]
    pub standbys: u32,
}

impl Serialize for Placed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Count(count) => serializer.serialize_u32(*count),
            Self::Zones(zones) => zones.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Placed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PlacedVisitor)
    }
}

struct PlacedVisitor;

impl<'de> Visitor<'de> for PlacedVisitor {
    type Value = Placed;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a count such as 6, or a list of zones such as [\"a\", \"a\", \"b\"]")
    }

    fn visit_u64<E: de::Error>(self, count: u64) -> Result<Placed, E> {
        let count = u32::try_from(count).map_err(|_| {
            E::custom(format!("{count} machines are beyond the limit of {}", u32::MAX))
        })?;
        Ok(Placed::Count(count))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Placed, A::Error> {
        let mut zones = Vec::new();
        while let Some(zone) = seq.next_element()? {
            zones.push(zone);
        }
        Ok(Placed::Zones(zones))
    }
}
