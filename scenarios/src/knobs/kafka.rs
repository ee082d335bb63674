//! Keys of Kafka: what is modelled, with ranges and the defaults of each version profile.
//!
//! Names, types and defaults are those of Kafka's own sources at 2.4, 3.9 and 4.1 (facts K-PRD-1,
//! K-PRD-2, K-IDM-4, K-GRP-4, K-FET-1, K-LOG-2, K-ISR-1, K-KR-1, K-KR-3, K-ZK-3, K-RET-1 and the
//! table of version profiles); `zoo.cfg` those of ZooKeeper. Ranges are Kafka's where it has them,
//! else what a run can hold.

use sim_core::config::kafka::Assignor;

use super::kafka_keys::{self as keys, Keys};
use super::{HOUR, Kind, Knob, Setting, knob};
use crate::units::{Bytes, Dur, shortened};
use crate::value::{ConfigValue, Named};
use crate::version::{KafkaVersion, Release};

/// Where -1 stands for none.
pub const NONE: u64 = u64::MAX;

/// A modelled key of Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KafkaKnob {
    /// As in the oldest profile that has it; without a default if that is empty.
    pub knob: Knob,
    /// Later defaults, in order of release.
    pub changed: &'static [(Release, &'static str)],
    /// First release that has it, or an older one.
    pub since: Release,
    /// First release that has it no more.
    pub removed: Option<Release>,
}

/// One of Kafka's sets of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KafkaLibrary {
    /// As in messages.
    pub name: &'static str,
    /// What the simulator follows.
    pub modelled: &'static [KafkaKnob],
    /// What exists, and has no effect here.
    pub known: &'static [&'static [Keys]],
}

/// What a name is to a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A modelled key.
    Modelled(Knob),
    /// A key that has no effect here.
    Known,
    /// Only later versions have it, from this one on.
    NotYet(Release),
    /// Only earlier versions have it: this one is the first without.
    Removed(Release),
    /// Nothing.
    Unknown,
}

const fn plain(name: &'static str, kind: Kind, default: &'static str) -> KafkaKnob {
    KafkaKnob { knob: knob(name, kind, default), changed: &[], since: Release(2, 4), removed: None }
}

const fn changed(knob: KafkaKnob, changed: &'static [(Release, &'static str)]) -> KafkaKnob {
    KafkaKnob { changed, ..knob }
}

const fn since(since: Release, knob: KafkaKnob) -> KafkaKnob {
    KafkaKnob { since, ..knob }
}

const fn until(removed: Release, knob: KafkaKnob) -> KafkaKnob {
    KafkaKnob { removed: Some(removed), ..knob }
}

const DAY: Dur = Dur::secs(86_400);
/// The greatest time that a run can tell from none.
const AGE: Dur = Dur::secs(10_000 * 3_600);
const MS: Dur = Dur::millis(1);
/// Kafka's `Integer.MAX_VALUE`.
const INT: u64 = i32::MAX as u64;
const GREATEST: Bytes = Bytes(i32::MAX as u64);
const ZK_GONE: Release = Release(4, 0);
const KRAFT: Release = Release(3, 0);
const KIP_848: Release = Release(3, 7);

/// Values of `replica.selector.class`; the first stands for none.
const SELECTORS: &[&str] = &[
    "org.apache.kafka.common.replica.LeaderSelector",
    "org.apache.kafka.common.replica.RackAwareReplicaSelector",
];
/// Values of `group.coordinator.rebalance.protocols`.
const PROTOCOLS: &[&str] = &["classic", "consumer", "streams", "share"];

/// Brokers and controllers.
pub const BROKER: KafkaLibrary = KafkaLibrary {
    name: "Kafka broker",
    modelled: &[
        plain("auto.leader.rebalance.enable", Kind::Flag, "true"),
        since(KRAFT, plain("broker.heartbeat.interval.ms", Kind::Time(MS, HOUR), "2s")),
        since(KRAFT, plain("broker.session.timeout.ms", Kind::Time(MS, HOUR), "9s")),
        plain("controlled.shutdown.enable", Kind::Flag, "true"),
        since(
            KRAFT,
            plain("controller.quorum.election.backoff.max.ms", Kind::Time(MS, HOUR), "1s"),
        ),
        since(KRAFT, plain("controller.quorum.election.timeout.ms", Kind::Time(MS, HOUR), "1s")),
        since(KRAFT, plain("controller.quorum.fetch.timeout.ms", Kind::Time(MS, HOUR), "2s")),
        // A feature level, not a line of server.properties (K-ELC-4).
        since(
            Release(4, 0),
            changed(
                plain("eligible.leader.replicas.version", Kind::Count(0, 1), "0"),
                &[(Release(4, 1), "1")],
            ),
        ),
        since(KIP_848, plain("group.consumer.heartbeat.interval.ms", Kind::Time(MS, HOUR), "5s")),
        since(
            KIP_848,
            plain("group.consumer.max.heartbeat.interval.ms", Kind::Time(MS, HOUR), "15s"),
        ),
        since(KIP_848, plain("group.consumer.max.session.timeout.ms", Kind::Time(MS, HOUR), "1m")),
        since(
            KIP_848,
            plain("group.consumer.min.heartbeat.interval.ms", Kind::Time(MS, HOUR), "5s"),
        ),
        since(KIP_848, plain("group.consumer.min.session.timeout.ms", Kind::Time(MS, HOUR), "45s")),
        since(KIP_848, plain("group.consumer.session.timeout.ms", Kind::Time(MS, HOUR), "45s")),
        since(
            KIP_848,
            changed(
                plain("group.coordinator.rebalance.protocols", Kind::Words(PROTOCOLS), "classic"),
                &[(Release(4, 0), "classic,consumer"), (Release(4, 1), "classic,consumer,streams")],
            ),
        ),
        plain("group.initial.rebalance.delay.ms", Kind::Time(Dur(0), HOUR), "3s"),
        plain("group.max.session.timeout.ms", Kind::Time(MS, DAY), "30m"),
        plain("group.max.size", Kind::Count(1, INT), "2147483647"),
        plain("group.min.session.timeout.ms", Kind::Time(Dur(0), DAY), "6s"),
        plain("leader.imbalance.check.interval.seconds", Kind::Time(Dur::secs(1), DAY), "5m"),
        until(ZK_GONE, plain("leader.imbalance.per.broker.percentage", Kind::Count(0, 100), "10")),
        plain("log.retention.bytes", Kind::SizeOrNone(Bytes(0), Bytes(1 << 40)), "-1"),
        plain("log.retention.check.interval.ms", Kind::Time(MS, DAY), "5m"),
        plain("log.retention.hours", Kind::TimeOrNone(Dur(0), AGE), "168h"),
        plain("log.retention.minutes", Kind::TimeOrNone(Dur(0), AGE), ""),
        plain("log.retention.ms", Kind::TimeOrNone(Dur(0), AGE), ""),
        plain("log.roll.hours", Kind::Time(HOUR, AGE), "168h"),
        plain("log.roll.ms", Kind::Time(MS, AGE), ""),
        plain("log.segment.bytes", Kind::Size(Bytes(14), GREATEST), "1GiB"),
        plain("min.insync.replicas", Kind::Count(1, 128), "1"),
        plain("num.io.threads", Kind::Count(1, 10_000), "8"),
        changed(
            plain("num.recovery.threads.per.data.dir", Kind::Count(1, 10_000), "1"),
            &[(Release(4, 0), "2")],
        ),
        plain("num.replica.fetchers", Kind::Count(1, 1_000), "1"),
        plain("offsets.topic.num.partitions", Kind::Count(1, 10_000), "50"),
        plain("offsets.topic.replication.factor", Kind::Count(1, 128), "3"),
        plain("replica.fetch.backoff.ms", Kind::Time(Dur(0), HOUR), "1s"),
        plain("replica.fetch.max.bytes", Kind::Size(Bytes(1), GREATEST), "1MiB"),
        plain("replica.fetch.response.max.bytes", Kind::Size(Bytes(1), GREATEST), "10MiB"),
        plain("replica.fetch.wait.max.ms", Kind::Time(Dur(0), HOUR), "500ms"),
        changed(
            plain("replica.lag.time.max.ms", Kind::Time(MS, DAY), "10s"),
            &[(Release(2, 5), "30s")],
        ),
        plain("replica.selector.class", Kind::Choice(SELECTORS), SELECTORS[0]),
        plain("replica.socket.timeout.ms", Kind::Time(MS, HOUR), "30s"),
        plain("unclean.leader.election.enable", Kind::Flag, "false"),
        until(ZK_GONE, plain("zookeeper.max.in.flight.requests", Kind::Count(1, 10_000), "10")),
        until(
            ZK_GONE,
            changed(
                plain("zookeeper.session.timeout.ms", Kind::Time(MS, HOUR), "6s"),
                &[(Release(2, 5), "18s")],
            ),
        ),
    ],
    known: &[keys::BROKER, keys::SECURITY],
};

/// Topics. A missing key follows the brokers' (K-RET-1): see [`crate::lower`].
pub const TOPIC: KafkaLibrary = KafkaLibrary {
    name: "Kafka topic",
    modelled: &[
        plain("min.insync.replicas", Kind::Count(1, 128), ""),
        plain("retention.bytes", Kind::SizeOrNone(Bytes(0), Bytes(1 << 40)), ""),
        plain("retention.ms", Kind::TimeOrNone(Dur(0), AGE), ""),
        plain("segment.bytes", Kind::Size(Bytes(14), GREATEST), ""),
        plain("segment.ms", Kind::Time(MS, AGE), ""),
        plain("unclean.leader.election.enable", Kind::Flag, ""),
    ],
    known: &[keys::TOPIC],
};

/// The Java producer (K-PRD-1, K-PRD-2, K-IDM-4).
pub const PRODUCER: KafkaLibrary = KafkaLibrary {
    name: "Kafka producer",
    modelled: &[
        changed(plain("acks", Kind::Acks, "1"), &[(Release(3, 0), "all")]),
        plain("batch.size", Kind::Size(Bytes(0), GREATEST), "16KiB"),
        plain("buffer.memory", Kind::Size(Bytes(1), Bytes(1 << 40)), "32MiB"),
        plain("delivery.timeout.ms", Kind::Time(Dur(0), DAY), "2m"),
        changed(plain("enable.idempotence", Kind::Flag, "false"), &[(Release(3, 0), "true")]),
        changed(plain("linger.ms", Kind::Time(Dur(0), HOUR), "0s"), &[(Release(4, 0), "5ms")]),
        plain("max.block.ms", Kind::Time(Dur(0), DAY), "1m"),
        plain("max.in.flight.requests.per.connection", Kind::Count(1, 10_000), "5"),
        plain("max.request.size", Kind::Size(Bytes(1), GREATEST), "1MiB"),
        plain("metadata.max.age.ms", Kind::Time(MS, DAY), "5m"),
        plain("request.timeout.ms", Kind::Time(MS, DAY), "30s"),
        plain("retries", Kind::Count(0, INT), "2147483647"),
        since(Release(3, 7), plain("retry.backoff.max.ms", Kind::Time(Dur(0), HOUR), "1s")),
        plain("retry.backoff.ms", Kind::Time(Dur(0), HOUR), "100ms"),
    ],
    known: &[keys::PRODUCER, keys::CLIENT, keys::SECURITY],
};

/// Consumers of a group (K-GRP, K-FET, K-OFF-1, K-848).
pub const CONSUMER: KafkaLibrary = KafkaLibrary {
    name: "Kafka consumer",
    modelled: &[
        plain("auto.commit.interval.ms", Kind::Time(Dur(0), DAY), "5s"),
        plain("auto.offset.reset", Kind::Choice(&["latest", "earliest"]), "latest"),
        plain("enable.auto.commit", Kind::Flag, "true"),
        plain("fetch.max.bytes", Kind::Size(Bytes(1), GREATEST), "50MiB"),
        plain("fetch.max.wait.ms", Kind::Time(Dur(0), HOUR), "500ms"),
        plain("fetch.min.bytes", Kind::Size(Bytes(0), GREATEST), "1B"),
        plain("group.instance.id", Kind::Name, ""),
        since(KIP_848, plain("group.protocol", Kind::Choice(&["classic", "consumer"]), "classic")),
        since(KIP_848, plain("group.remote.assignor", Kind::Choice(&["uniform", "range"]), "")),
        plain("heartbeat.interval.ms", Kind::Time(MS, HOUR), "3s"),
        plain(
            "isolation.level",
            Kind::Choice(&["read_uncommitted", "read_committed"]),
            "read_uncommitted",
        ),
        plain("max.partition.fetch.bytes", Kind::Size(Bytes(1), GREATEST), "1MiB"),
        plain("max.poll.interval.ms", Kind::Time(MS, Dur::secs(25 * 86_400)), "5m"),
        plain("max.poll.records", Kind::Count(1, INT), "500"),
        plain("metadata.max.age.ms", Kind::Time(MS, DAY), "5m"),
        changed(
            plain("partition.assignment.strategy", Kind::Assignors, "range"),
            &[(Release(3, 0), "range,cooperative-sticky")],
        ),
        changed(plain("session.timeout.ms", Kind::Time(MS, DAY), "10s"), &[(Release(3, 0), "45s")]),
    ],
    known: &[keys::CONSUMER, keys::CLIENT, keys::SECURITY],
};

/// Kafka Streams, beyond the keys of its consumers (K-STR-1).
pub const STREAMS: KafkaLibrary = KafkaLibrary {
    name: "Kafka Streams",
    modelled: &[
        plain("commit.interval.ms", Kind::Time(Dur(0), DAY), "30s"),
        plain("num.standby.replicas", Kind::Count(0, 127), "0"),
    ],
    known: &[keys::STREAMS],
};

/// ZooKeeper servers (K-ZK-3).
pub const ZOOKEEPER: KafkaLibrary = KafkaLibrary {
    name: "zoo.cfg",
    modelled: &[
        plain("initLimit", Kind::Count(1, 100_000), "10"),
        plain("syncLimit", Kind::Count(1, 100_000), "5"),
        plain("tickTime", Kind::Count(1, 3_600_000), "2000"),
    ],
    known: &[keys::ZOOKEEPER],
};

/// All sets of keys.
pub const KAFKA: [KafkaLibrary; 6] = [BROKER, TOPIC, PRODUCER, CONSUMER, STREAMS, ZOOKEEPER];

impl KafkaKnob {
    /// The key as a version has it, with that version's default.
    #[must_use]
    pub fn of(&self, version: KafkaVersion) -> Option<Knob> {
        let release = version.release();
        let there = self.since <= release && self.removed.is_none_or(|it| release < it);
        let later = self.changed.iter().rev().find(|(since, _)| *since <= release);
        let default = later.map_or(self.knob.default, |it| it.1);
        there.then_some(Knob { default, ..self.knob })
    }
}

impl KafkaLibrary {
    /// What a name is to a version.
    #[must_use]
    pub fn place(&self, name: &str, version: KafkaVersion) -> Place {
        let found = self.modelled.iter().find(|it| it.knob.name == name);
        let spans = || self.known.iter().copied().flatten();
        let known = || spans().find(|it| it.names.split(' ').any(|it| it == name));
        let span = found
            .map(|it| (it.since, it.removed))
            .or_else(|| known().map(|it| (it.since, it.removed)));
        let release = version.release();
        match span {
            None => Place::Unknown,
            Some((since, _)) if release < since => Place::NotYet(since),
            Some((_, Some(removed))) if release >= removed => Place::Removed(removed),
            Some(_) => {
                let knob = found.and_then(|it| it.of(version));
                knob.map_or(Place::Known, Place::Modelled)
            }
        }
    }

    /// Modelled keys of a version.
    pub fn of(&self, version: KafkaVersion) -> impl Iterator<Item = Knob> {
        let modelled: &'static [KafkaKnob] = self.modelled;
        modelled.iter().filter_map(move |it| it.of(version))
    }

    /// All names, modelled or not.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        let known: &'static [&'static [Keys]] = self.known;
        let modelled: &'static [KafkaKnob] = self.modelled;
        let names = known.iter().copied().flatten().flat_map(|it| it.names.split(' '));
        modelled.iter().map(|it| it.knob.name).chain(names)
    }

    /// The value of a modelled key that stands in a map, if it is there and right.
    pub(crate) fn given(
        &self,
        config: &Named<ConfigValue>,
        name: &str,
        version: KafkaVersion,
    ) -> Option<u64> {
        let Place::Modelled(knob) = self.place(name, version) else {
            return None;
        };
        knob.read(config.get(name)?).ok().map(|it| it.0)
    }

    /// The value of a modelled key: that of the map, else the default of the version; 0 if the
    /// version does not have it.
    pub(crate) fn value(
        &self,
        config: &Named<ConfigValue>,
        name: &str,
        version: KafkaVersion,
    ) -> u64 {
        let Place::Modelled(knob) = self.place(name, version) else {
            return 0;
        };
        let given = self.given(config, name, version);
        given.unwrap_or_else(|| knob.default_setting().0)
    }
}

/// Names of assignors: short, and the last part of the class.
const ASSIGNORS: [(Assignor, &str, &str); 4] = [
    (Assignor::Range, "range", "RangeAssignor"),
    (Assignor::RoundRobin, "roundrobin", "RoundRobinAssignor"),
    (Assignor::Sticky, "sticky", "StickyAssignor"),
    (Assignor::CooperativeSticky, "cooperative-sticky", "CooperativeStickyAssignor"),
];

/// Reads `partition.assignment.strategy`: short names or classes, separated by commas.
///
/// # Errors
/// A sentence: what was expected, what came.
pub fn assignors(text: &str) -> Result<Vec<Assignor>, String> {
    let mut found = Vec::new();
    for word in text.split(',').map(str::trim) {
        let name = word.strip_prefix("org.apache.kafka.clients.consumer.").unwrap_or(word);
        let known = ASSIGNORS.iter().find(|it| it.1 == word || it.2 == name);
        let Some((assignor, ..)) = known else {
            return Err(format!(
                "expected \"range\", \"roundrobin\", \"sticky\" or \"cooperative-sticky\", or \
                 their classes, separated by commas, got \"{}\"",
                shortened(word)
            ));
        };
        if found.contains(assignor) {
            return Err(format!("`{}` is listed twice", shortened(word)));
        }
        found.push(*assignor);
    }
    Ok(found)
}

/// Reads `acks`: 0, 1, or 2 for all.
pub(super) fn acks(value: &ConfigValue) -> Option<Setting> {
    match value {
        ConfigValue::Whole(0) => Some(Setting(0)),
        ConfigValue::Whole(1) => Some(Setting(1)),
        ConfigValue::Whole(-1) => Some(Setting(2)),
        ConfigValue::Text(text) => match text.as_str() {
            "0" => Some(Setting(0)),
            "1" => Some(Setting(1)),
            "-1" | "all" => Some(Setting(2)),
            _ => None,
        },
        ConfigValue::Bool(_) | ConfigValue::Whole(_) | ConfigValue::Real(_) => None,
    }
}

/// Reads words of a list that are separated by commas: a bit for each.
pub(super) fn words(value: &ConfigValue, all: &[&str]) -> Option<Setting> {
    let mut bits = 0;
    for word in value.as_text()?.split(',').map(str::trim) {
        bits |= 1 << all.iter().position(|it| *it == word)?;
    }
    Some(Setting(bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn default_of(library: KafkaLibrary, name: &str) -> [String; 3] {
        KafkaVersion::ALL.map(|version| match library.place(name, version) {
            Place::Modelled(knob) => knob.default_value().to_string(),
            other @ (Place::Known | Place::NotYet(_) | Place::Removed(_) | Place::Unknown) => {
                format!("{other:?}")
            }
        })
    }

    #[test]
    fn every_default_of_every_version_reads() {
        for library in KAFKA {
            for version in KafkaVersion::ALL {
                for knob in library.of(version).filter(|it| !it.default.is_empty()) {
                    let setting = knob.read(&knob.default_value());
                    assert!(setting.is_ok(), "{}: {setting:?}", knob.name);
                    if let Kind::Time(..) = knob.kind {
                        let shown = knob.default.parse::<Dur>().unwrap().to_string();
                        assert_eq!(shown, knob.default, "{}", knob.name);
                    }
                }
            }
        }
    }

    #[test]
    fn no_key_of_a_set_is_listed_twice() {
        for library in KAFKA {
            let mut names: Vec<_> = library.names().collect();
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count, "{}", library.name);
        }
    }

    #[test]
    fn defaults_follow_the_version() {
        // The table of version profiles.
        let quoted = |all: [&str; 3]| all.map(|it| format!("\"{it}\""));
        let lag = default_of(BROKER, "replica.lag.time.max.ms");
        assert_eq!(lag, quoted(["10s", "30s", "30s"]));
        assert_eq!(default_of(CONSUMER, "session.timeout.ms"), quoted(["10s", "45s", "45s"]));
        assert_eq!(default_of(PRODUCER, "acks"), quoted(["1", "all", "all"]));
        assert_eq!(default_of(PRODUCER, "linger.ms"), quoted(["0s", "0s", "5ms"]));
        assert_eq!(default_of(PRODUCER, "enable.idempotence"), ["false", "true", "true"]);
        assert_eq!(default_of(BROKER, "num.recovery.threads.per.data.dir"), ["1", "1", "2"]);
        let session = default_of(BROKER, "zookeeper.session.timeout.ms");
        assert_eq!(session, ["\"6s\"", "\"18s\"", "Removed(Release(4, 0))"]);
        let protocol = default_of(CONSUMER, "group.protocol");
        assert_eq!(protocol, ["NotYet(Release(3, 7))", "\"classic\"", "\"classic\""]);
    }

    #[test]
    fn a_bare_number_has_the_unit_of_the_name() {
        let read = |library: KafkaLibrary, name: &str, value| {
            let Place::Modelled(knob) = library.place(name, KafkaVersion::V3_9) else {
                panic!("{name}");
            };
            knob.read(&value).map(|it| it.0)
        };
        let whole = ConfigValue::Whole;
        assert_eq!(read(CONSUMER, "session.timeout.ms", whole(45_000)), Ok(45_000_000_000));
        let interval = "leader.imbalance.check.interval.seconds";
        assert_eq!(read(BROKER, interval, whole(300)), Ok(300_000_000_000));
        assert_eq!(read(BROKER, "log.retention.hours", whole(1)), Ok(3_600_000_000_000));
        assert_eq!(read(PRODUCER, "batch.size", whole(16_384)), Ok(16_384));
        assert_eq!(read(TOPIC, "retention.ms", whole(-1)), Ok(NONE));
        for all in [whole(-1), ConfigValue::Text("all".into())] {
            assert_eq!(read(PRODUCER, "acks", all), Ok(2));
        }
        assert!(read(PRODUCER, "acks", whole(2)).is_err());
    }

    #[test]
    fn assignors_have_short_names_and_classes() {
        let class = "org.apache.kafka.clients.consumer.CooperativeStickyAssignor";
        let found = assignors(&format!("range, {class}"));
        assert_eq!(found, Ok(vec![Assignor::Range, Assignor::CooperativeSticky]));
        assert!(assignors("range,range").is_err());
        assert!(assignors("").is_err());
    }
}
