//! A scenario for the record: every default filled in, and where each value comes from.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::defaults;
use crate::effective::{
    costs, delivery_timeout, idempotence, is_kip_848, quorum, streams_default, topic_settings,
};
use crate::knobs::{
    BROKER, CONSUMER, KCL, KPL, KafkaLibrary, Knob, Library, NONE, PRODUCER, STREAMS, ZOOKEEPER,
};
use crate::load::{Loaded, Variant};
use crate::path::Path;
use crate::schema::{
    Capacity, Client, ConfigValue, Consumer, ControllerCosts, Kafka, KafkaGroup, KafkaProducer,
    KafkaVersion, KclVersion, Named, Quorum, RateShape, Scenario, System, Topic,
};
use crate::tree::{collect, to_tree};
use crate::units::{Bytes, Dur};

/// Sections that decide what a run does.
const RUNNING: [&str; 8] =
    ["duration", "seed", "resolution", "systems", "producers", "consumers", "sinks", "timeline"];

impl Loaded {
    /// The scenario as `manifest.json` holds it:
    ///
    /// * `scenario`: the whole tree, every default filled in;
    /// * `provenance`: for each value of it `file`, `set` or `default`; for configuration of Kafka
    ///   instead of `default` the version profile, or that a topic follows its brokers, or that
    ///   Kafka Streams sets it;
    /// * `runs`: for each mitigation the paths that it changes, with both values.
    #[must_use]
    pub fn manifest(&self) -> Value {
        let filled = self.filled(&self.scenario);
        let mut provenance = Map::new();
        for path in leaves(&filled).into_keys() {
            let origin = self.origin(&path, &filled);
            provenance.insert(path.to_string(), json!(origin));
        }
        let runs = self.variants.iter().skip(1);
        let runs: Map<_, _> =
            runs.map(|variant| (variant.name.clone(), json!(self.differences(variant)))).collect();
        json!({
            "scenario": to_tree(&filled),
            "provenance": provenance,
            "runs": runs,
        })
    }

    /// What a mitigation changes, by path: `[baseline, here]`; null where it is not.
    #[must_use]
    pub fn differences(&self, variant: &Variant) -> BTreeMap<String, [Value; 2]> {
        let before = leaves(&self.filled(&self.scenario));
        let after = leaves(&self.filled(&variant.scenario));
        let paths = before.keys().chain(after.keys());
        paths
            .filter(|path| before.get(path) != after.get(path))
            .map(|path| {
                let value = |leaves: &BTreeMap<Path, Value>| {
                    leaves.get(path).cloned().unwrap_or(Value::Null)
                };
                (path.to_string(), [value(&before), value(&after)])
            })
            .collect()
    }

    fn origin(&self, path: &Path, scenario: &Scenario) -> String {
        if self.set_paths.iter().any(|set| path.is_within(set)) {
            "set".to_owned()
        } else if self.scan.has(path) {
            "file".to_owned()
        } else {
            of_kafka(path, scenario).unwrap_or_else(|| "default".to_owned())
        }
    }

    fn filled(&self, scenario: &Scenario) -> Scenario {
        let mut scenario = scenario.clone();
        scenario.resolution = Some(Dur(self.resolution.0));
        for system in scenario.systems.values_mut() {
            match system {
                System::Kinesis(kinesis) => {
                    let reshard_time = match kinesis.capacity {
                        Capacity::Provisioned { .. } => defaults::RESHARD_TIME_PROVISIONED,
                        Capacity::OnDemand(_) => defaults::RESHARD_TIME_ON_DEMAND,
                    };
                    kinesis.reshard_time.get_or_insert(reshard_time);
                }
                System::Kafka(kafka) => fill_cluster(kafka),
            }
        }
        let systems = scenario.systems.clone();
        let clusters = |name: &str| systems.get(name).and_then(System::as_kafka);
        for producer in scenario.producers.values_mut() {
            if let RateShape::Diurnal { period, peak_at, .. } = &mut producer.rate {
                peak_at.get_or_insert(Dur(period.0 / 2));
            }
            let default = || Client::default_for(systems.get(&producer.to));
            let cluster = clusters(&producer.to);
            match producer.client.get_or_insert_with(default) {
                Client::Kpl(kpl) => fill_config(&mut kpl.config, &KPL, None),
                Client::Sdk(_) => {}
                Client::Kafka(kafka) => {
                    if let Some(cluster) = cluster {
                        fill_producer(kafka, cluster.version);
                        let only = cluster.topics.keys().next().cloned();
                        producer.topic = producer.topic.take().or(only);
                    }
                }
            }
        }
        for consumer in scenario.consumers.values_mut() {
            match consumer {
                Consumer::Kcl(kcl) => fill_config(&mut kcl.config, &KCL, Some(kcl.version)),
                Consumer::KafkaGroup(group) => {
                    if let Some(cluster) = clusters(&group.from) {
                        fill_group(group, cluster);
                    }
                }
            }
        }
        scenario
    }
}

/// Where a value of Kafka's configuration comes from that nobody gave.
fn of_kafka(path: &Path, scenario: &Scenario) -> Option<String> {
    let names = path.names();
    let version = |name: &str| Some(scenario.systems.get(name)?.as_kafka()?.version);
    let profile = |name: &str| Some(format!("Kafka {}", version(name)?));
    match names.as_slice() {
        ["systems", _, "topics", _, "config", ..] => Some("brokers".to_owned()),
        ["systems", name, "config" | "quorum", ..] => profile(name),
        ["producers", name, "client", "config", ..] => profile(&scenario.producers.get(*name)?.to),
        ["consumers", name, "config", key] => {
            let group = scenario.consumers.get(*name)?.as_group()?;
            let of_streams =
                group.streams.is_some() && streams_default(key, version(&group.from)?).is_some();
            let of_streams = of_streams || STREAMS.names().any(|it| it == *key);
            if of_streams { Some("Kafka Streams".to_owned()) } else { profile(&group.from) }
        }
        _ => None,
    }
}

fn fill_cluster(kafka: &mut Kafka) {
    let version = kafka.version;
    let settings: Vec<_> =
        kafka.topics.values().map(|topic| topic_settings(kafka, topic)).collect();
    for (topic, settings) in kafka.topics.values_mut().zip(settings) {
        let whole = |value: u64| ConfigValue::Whole(i64::try_from(value).unwrap_or(i64::MAX));
        let text = |value: String| ConfigValue::Text(value);
        let time =
            |value: u64| if value == NONE { whole_none() } else { text(Dur(value).to_string()) };
        let size =
            |value: u64| if value == NONE { whole_none() } else { text(Bytes(value).to_string()) };
        let unclean = ConfigValue::Bool(settings.unclean_leader_election != 0);
        fill(topic, "min.insync.replicas", whole(settings.min_insync_replicas));
        fill(topic, "retention.bytes", size(settings.retention_bytes));
        fill(topic, "retention.ms", time(settings.retention));
        fill(topic, "segment.bytes", size(settings.segment_bytes));
        fill(topic, "segment.ms", time(settings.segment_time));
        fill(topic, "unclean.leader.election.enable", unclean);
    }
    let [election, state_load, controlled_shutdown, propagation] = costs(kafka).map(Some);
    kafka.controller_costs =
        ControllerCosts { election, state_load, controlled_shutdown, propagation };
    let mut quorum = quorum(kafka).into_owned();
    if let Quorum::ZooKeeper { config, .. } = &mut quorum {
        fill_kafka(config, ZOOKEEPER, version, |_| true);
    }
    let zookeeper = matches!(quorum, Quorum::ZooKeeper { .. });
    kafka.quorum = Some(quorum);
    let applies = |knob: &Knob| {
        let of_zookeeper =
            knob.name.starts_with("zookeeper.") || knob.name.ends_with("per.broker.percentage");
        let of_kraft =
            knob.name.starts_with("controller.quorum.") || knob.name.starts_with("broker.");
        if zookeeper { !of_kraft } else { !of_zookeeper }
    };
    fill_kafka(&mut kafka.config, BROKER, version, applies);
}

fn whole_none() -> ConfigValue {
    ConfigValue::Whole(-1)
}

fn fill(topic: &mut Topic, key: &str, value: ConfigValue) {
    topic.config.entry(key.to_owned()).or_insert(value);
}

/// With what Kafka makes of it: idempotence in effect, a delivery timeout that is raised.
fn fill_producer(kafka: &mut KafkaProducer, version: KafkaVersion) {
    let config = &mut kafka.config;
    let idempotence = ConfigValue::Bool(idempotence(config, version).in_effect());
    let timeout = ConfigValue::Text(delivery_timeout(config, version).to_string());
    config.entry("enable.idempotence".to_owned()).or_insert(idempotence);
    config.entry("delivery.timeout.ms".to_owned()).or_insert(timeout);
    fill_kafka(config, PRODUCER, version, |_| true);
}

fn fill_group(group: &mut KafkaGroup, cluster: &Kafka) {
    let version = cluster.version;
    if group.topics.is_empty() {
        group.topics = cluster.topics.keys().take(1).cloned().collect();
    }
    let classic_only = |name: &str| {
        ["partition.assignment.strategy", "heartbeat.interval.ms", "session.timeout.ms"]
            .contains(&name)
    };
    if group.streams.is_some() {
        for knob in CONSUMER.of(version).filter_map(|it| streams_default(it.name, version)) {
            let value = knob.default_value();
            group.config.entry(knob.name.to_owned()).or_insert(value);
        }
        fill_kafka(&mut group.config, STREAMS, version, |_| true);
        let of_streams = ["partition.assignment.strategy", "group.protocol"];
        fill_kafka(&mut group.config, CONSUMER, version, |it| !of_streams.contains(&it.name));
    } else {
        let kip_848 = is_kip_848(group, version);
        let applies = |it: &Knob| !(kip_848 && classic_only(it.name));
        fill_kafka(&mut group.config, CONSUMER, version, applies);
    }
}

fn fill_kafka(
    config: &mut Named<ConfigValue>,
    library: KafkaLibrary,
    version: KafkaVersion,
    applies: impl Fn(&Knob) -> bool,
) {
    for knob in library.of(version).filter(|it| !it.default.is_empty() && applies(it)) {
        config.entry(knob.name.to_owned()).or_insert_with(|| knob.default_value());
    }
}

fn fill_config(config: &mut Named<ConfigValue>, library: &Library, version: Option<KclVersion>) {
    for knob in library.modelled {
        let applies = knob.only.is_none() || knob.only == version;
        if applies && !config.contains_key(knob.name) {
            config.insert(knob.name.to_owned(), knob.default_value());
        }
    }
}

/// All values that decide what a run does, by path.
fn leaves(scenario: &Scenario) -> BTreeMap<Path, Value> {
    let mut found = BTreeMap::new();
    let tree = to_tree(scenario);
    for section in RUNNING {
        if let Some(value) = tree.get(section) {
            collect(value, &Path::default().name(section), &mut |path, value| {
                found.insert(path.clone(), value.clone());
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::load;

    fn loaded(sets: &[(&str, &str)]) -> Loaded {
        let sets: Vec<_> = sets.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect();
        let text = include_str!("../tests/hot_key.ron");
        load("hot_key.ron", text, &sets, &|_| Err("none".into())).unwrap()
    }

    #[test]
    fn every_value_says_whether_it_is_from_the_file_the_command_line_or_a_default() {
        let manifest = loaded(&[("producers.web.instances", "2")]).manifest();
        let provenance = &manifest["provenance"];
        let web = "producers.web";
        assert_eq!(provenance["systems.clicks.capacity.shards"], "file");
        assert_eq!(provenance["systems.clicks.put_latency"], "default");
        assert_eq!(provenance[format!("{web}.instances")], "set");
        assert_eq!(provenance[format!("{web}.rate")], "file");
        assert_eq!(provenance[format!("{web}.client.config.RecordMaxBufferedTime")], "file");
        assert_eq!(provenance[format!("{web}.client.config.RateLimit")], "default");
        assert_eq!(provenance["timeline[0].what.share"], "file");
    }

    #[test]
    fn the_recorded_scenario_reads_back_as_one_that_has_all_defaults() {
        let loaded = loaded(&[]);
        let manifest = loaded.manifest();
        let read: Scenario = serde_json::from_value(manifest["scenario"].clone()).unwrap();
        let (a, b) = (&loaded.scenario, &read);
        let world = |it| crate::lower::lower(it, &loaded.profiles, loaded.resolution, 1);
        assert_eq!(format!("{:?}", world(a)), format!("{:?}", world(b)));
        // 1,800 s x 4 flows x 10 shards: 50 ms makes 1.44 M parts, 20 ms more than 2 M.
        assert_eq!(manifest["scenario"]["resolution"], "50ms");
    }

    #[test]
    fn a_mitigation_is_recorded_as_what_it_changes() {
        let loaded = loaded(&[]);
        let salted = loaded.variant("salt the key x8").unwrap();
        let differences = loaded.differences(salted);
        let expected = [("producers.web.salt".to_owned(), [json!(1), json!(8)])];
        assert_eq!(differences, BTreeMap::from(expected));
    }
}
