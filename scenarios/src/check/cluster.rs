//! Checks of Kafka clusters: zones, brokers, the quorum, topics, machines.
//!
//! What Kafka refuses is refused here: a replication factor above the brokers, ZooKeeper after
//! 3.9, KRaft before 3.3. What it accepts and lives to regret is a warning: an even quorum, a
//! `min.insync.replicas` above the replication factor (K-ISR-7), more maps than a broker may have
//! (V-79: the simulator plays the crash, so it is no error).

use sim_core::config::kafka::MOST_BROKERS;

use crate::check::{Checker, MAX_MEMBERS, MAX_PARTITIONS, MAX_QUORUM, MAX_REPLICAS, MAX_ZONES};
use crate::effective::{
    INSTANCES, granted_session, has_zookeeper, places, quorum, quorum_places, topic_settings,
    unless_none,
};
use crate::knobs::{BROKER, TOPIC, ZOOKEEPER};
use crate::nearest;
use crate::path::{Path, root};
use crate::schema::{Disk, History, Kafka, KafkaVersion, Placed, Quorum, Topic};
use crate::units::{ByteRate, Bytes, Dur, shortened};
use crate::version::Release;

/// Keys of brokers that only mean something with the one or the other quorum.
const OF_QUORUM: [(&str, bool); 4] = [
    ("zookeeper.", true),
    ("leader.imbalance.per.broker.percentage", true),
    ("controller.quorum.", false),
    ("broker.", false),
];

impl Checker<'_> {
    pub(super) fn cluster(&mut self, path: &Path, name: &str, kafka: &Kafka) {
        let errors = self.errors();
        self.zones(path, kafka);
        self.placed(path, "brokers", &kafka.brokers, kafka, MOST_BROKERS);
        self.quorum(path, kafka);
        self.kafka_config(&path.name("config"), &[BROKER], &kafka.config, kafka.version);
        self.without_effect(&path.name("config"), kafka);
        self.kip_848_times(&path.name("config"), kafka);
        self.machines(path, kafka);
        let unread = self.names.topics.get(name).is_some_and(|it| !it.is_empty());
        if kafka.topics.is_empty() && !unread {
            self.error(path.name("topics"), "there is no topic".to_owned());
        }
        self.at_most(path.name("topics"), kafka.topics.len(), MAX_MEMBERS, "topics");
        // Where the brokers could not be read, nothing is said of what hangs on their number.
        let brokers = kafka.brokers.count();
        let brokers = if self.names.is_read(&path.name("brokers")) { brokers } else { 0 };
        for (topic_name, topic) in &kafka.topics {
            let path = path.name("topics").name(topic_name);
            self.name(path.clone(), topic_name);
            self.kafka_topic(&path, kafka, topic, brokers);
        }
        self.sums(path, kafka);
        // Whether a zone is in use only shows once all names are right.
        let fields = ["zones", "brokers", "quorum"];
        let is_read = fields.iter().all(|it| self.names.is_read(&path.name(it)));
        if self.errors() == errors && is_read {
            self.empty_zones(path, kafka);
            self.offsets_topic(path, name, kafka);
        }
    }

    /// A name that must be one of the cluster's zones.
    pub(crate) fn zone(&mut self, path: Path, zone: &str, cluster: &str, kafka: &Kafka) {
        if !self.names.is_read(&root("systems").name(cluster).name("zones")) {
            return;
        }
        let zones = || kafka.zones.iter().take(MAX_ZONES);
        if !zones().any(|it| it == zone) {
            let help = nearest::help(zone, zones().map(String::as_str));
            let message = format!("`{}` has no zone `{}`", shortened(cluster), shortened(zone));
            self.error(path, message).help = help;
        }
    }

    fn zones(&mut self, path: &Path, kafka: &Kafka) {
        let path = path.name("zones");
        self.at_most(path.clone(), kafka.zones.len(), MAX_ZONES, "zones");
        if kafka.zones.is_empty() {
            self.error(path.clone(), "there is no zone".to_owned());
        }
        for (index, zone) in kafka.zones.iter().enumerate().take(MAX_ZONES) {
            self.name(path.index(index), zone);
            if kafka.zones.iter().take(index).any(|it| it == zone) {
                self.error(path.index(index), format!("`{}` is given twice", shortened(zone)));
            }
        }
    }

    fn placed(&mut self, path: &Path, field: &str, placed: &Placed, kafka: &Kafka, most: usize) {
        let zones_are_read = self.names.is_read(&path.name("zones"));
        let path =
            if field == "nodes" { path.name("quorum").name(field) } else { path.name(field) };
        if !(1..=most).contains(&placed.count()) {
            let message = format!("{} {field} are out of range: 1 to {most}", placed.count());
            self.error(path, message);
            return;
        }
        if let Placed::Zones(zones) = placed
            && zones_are_read
        {
            let known = || kafka.zones.iter().take(MAX_ZONES);
            for (index, zone) in zones.iter().enumerate() {
                if !known().any(|it| it == zone) {
                    let help = nearest::help(zone, known().map(String::as_str));
                    let message = format!("there is no zone `{}`", shortened(zone));
                    self.error(path.index(index), message).help = help;
                }
            }
        }
    }

    fn quorum(&mut self, cluster: &Path, kafka: &Kafka) {
        let path = cluster.name("quorum");
        let version = kafka.version;
        match &*quorum(kafka) {
            Quorum::ZooKeeper { nodes, config } => {
                if version.release() >= Release(4, 0) {
                    let message =
                        format!("Kafka {version} has no ZooKeeper: it was removed in 4.0");
                    self.error(path, message).help =
                        Some("write `quorum: KRaft(..)`, or `version: \"3.9\"`".to_owned());
                    return;
                }
                self.placed(cluster, "nodes", nodes, kafka, MAX_QUORUM);
                self.majority(&path, nodes.count(), "ZooKeeper servers");
                self.kafka_config(&path.name("config"), &[ZOOKEEPER], config, version);
                let granted = granted_session(kafka, config);
                let key = "zookeeper.session.timeout.ms";
                let wanted = Dur(BROKER.value(&kafka.config, key, version));
                if granted != wanted {
                    let message = format!(
                        "ZooKeeper makes \"{granted}\" of `{key}` = \"{wanted}\": within 2 to 20 \
                         ticks (K-ZK-3)"
                    );
                    self.warning(path, message);
                }
            }
            Quorum::KRaft { nodes, combined } => {
                if version == KafkaVersion::V2_4 {
                    let message = "Kafka 2.4 has no KRaft: it is for production from 3.3 on";
                    self.error(path, message.to_owned()).help =
                        Some("write `quorum: ZooKeeper(..)`, or `version: \"3.9\"`".to_owned());
                    return;
                }
                self.placed(cluster, "nodes", nodes, kafka, MAX_QUORUM);
                self.majority(&path, nodes.count(), "controllers");
                if *combined {
                    self.combined(&path.name("nodes"), nodes, kafka);
                }
            }
        }
    }

    /// In combined mode controller i is broker i.
    fn combined(&mut self, path: &Path, nodes: &Placed, kafka: &Kafka) {
        let brokers = places(&kafka.brokers, &kafka.zones);
        if nodes.count() > brokers.len() {
            let message = format!(
                "{} controllers cannot be combined with {} brokers",
                nodes.count(),
                brokers.len()
            );
            self.error(path.clone(), message);
        } else if let Placed::Zones(_) = nodes
            && !brokers.starts_with(&places(nodes, &kafka.zones))
        {
            let message = "combined controllers are in the zones of the first brokers".to_owned();
            self.error(path.clone(), message).help = Some("write how many: `nodes: 3`".to_owned());
        }
    }

    fn majority(&mut self, path: &Path, count: usize, what: &str) {
        if count > 0 && count.is_multiple_of(2) {
            let message = format!(
                "{count} {what} survive the loss of {}, no more than {} do: a majority is {}",
                count / 2 - 1,
                count - 1,
                count / 2 + 1
            );
            self.warning(path.name("nodes"), message);
        }
    }

    fn without_effect(&mut self, path: &Path, kafka: &Kafka) {
        let zookeeper = has_zookeeper(kafka);
        for key in kafka.config.keys() {
            let of = OF_QUORUM.iter().find(|(start, _)| key.starts_with(start));
            let there = BROKER.of(kafka.version).any(|it| it.name == key);
            if let Some((_, wanted)) = of
                && *wanted != zookeeper
                && there
            {
                let mode = if zookeeper { "ZooKeeper" } else { "KRaft" };
                let message = format!("`{key}` has no effect in {mode} mode");
                self.warning(path.name(key), message);
            }
        }
    }

    /// What `GroupCoordinatorConfig` requires of the times that brokers set (K-848-1).
    fn kip_848_times(&mut self, path: &Path, kafka: &Kafka) {
        let time = |key: &str| Dur(BROKER.value(&kafka.config, key, kafka.version));
        for kind in ["session.timeout.ms", "heartbeat.interval.ms"] {
            let key = format!("group.consumer.{kind}");
            let least = time(&format!("group.consumer.min.{kind}"));
            let most = time(&format!("group.consumer.max.{kind}"));
            let value = time(&key);
            if value < least || value > most {
                let message = format!(
                    "{key} must be within group.consumer.min.{kind} and \
                     group.consumer.max.{kind}: \"{least}\" to \"{most}\""
                );
                self.error(path.name(&key), message);
            }
        }
    }

    fn machines(&mut self, path: &Path, kafka: &Kafka) {
        let (least, most) = (ByteRate(1_000_000), ByteRate(1_000_000_000_000));
        let disk = path.name("disk");
        match &kafka.disk {
            Disk::Gp3 { throughput } => {
                let most = ByteRate(1_000 << 20);
                self.range(disk.name("throughput"), *throughput, ByteRate(125 << 20), most);
            }
            Disk::Gp2 { size } => {
                self.range(disk.name("size"), *size, Bytes(1 << 30), Bytes(1 << 40));
            }
            Disk::Custom { bandwidth, burst_bandwidth, .. } => {
                self.range(disk.name("bandwidth"), *bandwidth, least, most);
                if let Some(burst) = burst_bandwidth {
                    self.range(disk.name("burst_bandwidth"), *burst, *bandwidth, most);
                }
            }
        }
        if let Some(instance) = &kafka.instance
            && !INSTANCES.iter().any(|it| it.0 == instance)
        {
            let message = format!("no bandwidth is known for `{}`", shortened(instance));
            self.error(path.name("instance"), message).help =
                nearest::help(instance, INSTANCES.iter().map(|it| it.0));
        }
        let minute = Dur::secs(60);
        self.range(path.name("network"), kafka.network, least, most);
        self.range(path.name("page_cache"), kafka.page_cache, Bytes(0), Bytes(1 << 40));
        self.range(path.name("rtt_in_zone"), kafka.rtt_in_zone, Dur(0), minute);
        self.range(path.name("rtt_across_zones"), kafka.rtt_across_zones, Dur(0), minute);
        self.range(path.name("request_time"), kafka.request_time, Dur(0), minute);
        let of_fetch = path.name("fetch_time_per_partition");
        self.range(of_fetch, kafka.fetch_time_per_partition, Dur(0), minute);
        let start = path.name("broker_start_time");
        self.range(start, kafka.broker_start_time, Dur(0), Dur::secs(3_600));
        self.range(path.name("max_map_count"), kafka.max_map_count, 2, i32::MAX.unsigned_abs());
        let costs = &kafka.controller_costs;
        let costs = [
            ("election", costs.election),
            ("state_load", costs.state_load),
            ("controlled_shutdown", costs.controlled_shutdown),
            ("propagation", costs.propagation),
        ];
        for (field, cost) in costs {
            let path = path.name("controller_costs").name(field);
            self.range(path, cost.unwrap_or_default(), Dur(0), minute);
        }
    }

    fn kafka_topic(&mut self, path: &Path, kafka: &Kafka, topic: &Topic, brokers: usize) {
        self.kafka_config(&path.name("config"), &[TOPIC], &topic.config, kafka.version);
        if topic.partitions == 0 {
            let message = "number of partitions must be larger than 0".to_owned();
            self.error(path.name("partitions"), message);
        }
        let replicas = usize::try_from(topic.replication_factor).unwrap_or(usize::MAX);
        let of_factor = path.name("replication_factor");
        if replicas == 0 {
            let message = "replication factor must be larger than 0".to_owned();
            self.error(of_factor, message);
        } else if replicas > brokers && brokers > 0 {
            let message =
                format!("replication factor: {replicas} larger than available brokers: {brokers}");
            self.error(of_factor, message);
        } else {
            self.min_insync(path, kafka, topic);
            self.assignment(&path.name("assignment"), topic, brokers);
            if let Some(history) = topic.history {
                self.history_of_topic(&path.name("history"), kafka, topic, history);
            }
        }
    }

    /// K-ISR-7.
    fn min_insync(&mut self, path: &Path, kafka: &Kafka, topic: &Topic) {
        let least = topic_settings(kafka, topic).min_insync_replicas;
        let replicas = topic.replication_factor;
        if least <= u64::from(replicas) {
            return;
        }
        let then = if kafka.version.release() >= Release(3, 7) {
            format!("{replicas} is in effect (3.7+, K-ISR-7)")
        } else {
            "every write with acks=all is refused: NOT_ENOUGH_REPLICAS".to_owned()
        };
        let message = format!(
            "min.insync.replicas {least} is above the replication factor {replicas}: {then}"
        );
        self.warning(path.name("config").name("min.insync.replicas"), message);
    }

    fn history_of_topic(&mut self, path: &Path, kafka: &Kafka, topic: &Topic, history: History) {
        self.history(path, history);
        let settings = topic_settings(kafka, topic);
        let help = |what: &str| Some(format!("lower `{what}`, or raise the topic's retention"));
        if let Some(retention) = unless_none(settings.retention).map(Dur)
            && history.age > retention
        {
            let message = format!("retention of \"{retention}\" has taken what is older");
            self.error(path.name("age"), message).help = help("age");
        }
        let partitions = u64::from(topic.partitions.max(1));
        if let Some(bytes) = unless_none(settings.retention_bytes).map(Bytes)
            && history.bytes.0 / partitions > bytes.0
        {
            let message = format!("retention has left no more than {bytes} of each partition");
            self.error(path.name("bytes"), message).help = help("bytes");
        }
    }

    fn assignment(&mut self, path: &Path, topic: &Topic, brokers: usize) {
        if topic.assignment.is_empty() {
            return;
        }
        let partitions = usize::try_from(topic.partitions).unwrap_or(usize::MAX);
        if topic.assignment.len() != partitions {
            let message = format!("{} lists for {partitions} partitions", topic.assignment.len());
            self.error(path.clone(), message);
        }
        let replicas = usize::try_from(topic.replication_factor).unwrap_or(usize::MAX);
        for (index, list) in topic.assignment.iter().enumerate() {
            let path = path.index(index);
            self.machines_of(&path, list, brokers, "broker");
            if list.len() != replicas {
                let message = format!("{} brokers for {replicas} replicas", list.len());
                self.error(path, message);
            }
        }
    }

    /// Numbers of brokers or nodes: some, each there, none twice.
    pub(crate) fn machines_of(&mut self, path: &Path, list: &[u32], count: usize, what: &str) {
        // A count of none is reported where it stands.
        if count == 0 {
            return;
        }
        self.at_most(path.clone(), list.len(), MOST_BROKERS, "numbers");
        if list.is_empty() {
            self.error(path.clone(), format!("there is no {what}"));
        }
        for (index, number) in list.iter().enumerate().take(MOST_BROKERS) {
            let path = path.index(index);
            if usize::try_from(*number).is_ok_and(|it| it < count) {
                if list.iter().take(index).any(|it| it == number) {
                    self.error(path, format!("{what} {number} is given twice"));
                }
            } else {
                let last = count.saturating_sub(1);
                self.error(path, format!("{what} {number} is out of range: 0 to {last}"));
            }
        }
    }

    fn sums(&mut self, path: &Path, kafka: &Kafka) {
        let topics = kafka.topics.values();
        let (mut partitions, mut replicas) = (0_u64, 0_u64);
        for topic in topics {
            partitions += u64::from(topic.partitions);
            replicas = replicas
                .saturating_add(u64::from(topic.partitions) * u64::from(topic.replication_factor));
        }
        let path = path.name("topics");
        if partitions > MAX_PARTITIONS {
            let message =
                format!("{partitions} partitions are beyond the limit of {MAX_PARTITIONS}");
            self.error(path, message);
            return;
        }
        if replicas > MAX_REPLICAS {
            let message = format!("{replicas} replicas are beyond the limit of {MAX_REPLICAS}");
            self.error(path, message);
            return;
        }
        let brokers = u64::try_from(kafka.brokers.count()).unwrap_or(1).max(1);
        let (each, most) = (replicas.div_ceil(brokers), u64::from(kafka.max_map_count) / 2);
        if each > most {
            let message = format!(
                "{each} partition replicas a broker are more than max_map_count / 2 = {most}: \
                 brokers die of `Map failed` (V-79)"
            );
            self.warning(path, message);
        }
    }

    fn empty_zones(&mut self, path: &Path, kafka: &Kafka) {
        let mut used = places(&kafka.brokers, &kafka.zones);
        used.extend(quorum_places(kafka));
        for (index, zone) in kafka.zones.iter().enumerate() {
            if !used.contains(&index) {
                let message = format!("no broker and no node of the quorum is in zone `{zone}`");
                self.error(path.name("zones").index(index), message);
            }
        }
    }

    /// The first group makes Kafka create the offsets topic, which it cannot on too few brokers.
    fn offsets_topic(&mut self, path: &Path, name: &str, kafka: &Kafka) {
        let key = "offsets.topic.replication.factor";
        let replicas = BROKER.value(&kafka.config, key, kafka.version);
        let brokers = u64::try_from(kafka.brokers.count()).unwrap_or(u64::MAX);
        let is_read = self.scenario.consumers.values().any(|it| it.from() == name);
        if is_read && replicas > brokers {
            let message = format!(
                "the offsets topic has replication factor {replicas}, larger than available \
                 brokers: {brokers}; no group would find its coordinator"
            );
            self.error(path.name("config").name(key), message).help =
                Some(format!("add `config: {{\"{key}\": {brokers}}}`"));
        }
    }

    fn errors(&self) -> usize {
        self.findings.iter().filter(|it| it.severity == crate::Severity::Error).count()
    }
}
