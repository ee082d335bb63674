//! Checks of Kafka consumer groups.
//!
//! What Kafka refuses is refused in its own words: `ConsumerConfig`, the group coordinator
//! (K-GRP-4), and KIP-848 where the brokers do not speak it (K-848-1). Idle members are a warning.

use sim_core::config::kafka::Assignor;

use crate::check::{Checker, MAX_MEMBERS, MAX_WORKERS, MAX_ZONES};
use crate::effective::{assignors_of, consumer_value, has_zookeeper, is_kip_848, topics_of};
use crate::knobs::{BROKER, CONSUMER, STREAMS};
use crate::nearest;
use crate::path::Path;
use crate::schema::{ConfigValue, Kafka, KafkaGroup, KafkaVersion, Named, ServiceTime, System};
use crate::units::{ByteRate, Bytes, Dur, MAX_BYTES};

impl Checker<'_> {
    pub(super) fn group(&mut self, path: &Path, group: &KafkaGroup) {
        let scenario = self.scenario;
        self.reference(path.name("from"), &group.from, "system", &self.names.systems);
        if let Some(sink) = &group.sink {
            self.reference(path.name("sink"), sink, "sink", &self.names.sinks);
        }
        self.range(path.name("members"), group.members, 1, MAX_WORKERS);
        let (ServiceTime::Fixed(time) | ServiceTime::Exponential(time)) = group.service_time;
        self.range(path.name("service_time"), time, Dur(0), Dur::secs(3_600));
        self.range(path.name("start_time"), group.start_time, Dur(0), Dur::secs(3_600));
        self.begins(path, group.begins);
        if let Some(streams) = &group.streams {
            let (bytes, rate) = (streams.state_per_partition, streams.restore_rate);
            self.state(&path.name("streams"), bytes, rate);
        }
        if let Some(state) = &group.state {
            let of_state = path.name("state");
            self.state(&of_state, state.state_per_partition, state.restore_rate);
            self.range(of_state.name("standbys"), state.standbys, 0, MAX_WORKERS);
            if group.streams.is_some() {
                let message = "`streams` keeps its own state".to_owned();
                self.error(of_state, message).help = Some("leave one of the two out".to_owned());
            }
        }
        match scenario.systems.get(&group.from) {
            Some(System::Kafka(kafka)) => {
                let of_zones = path.name("zones");
                self.at_most(of_zones, group.zones.len(), MAX_ZONES, "zones");
                for (index, zone) in group.zones.iter().enumerate().take(MAX_ZONES) {
                    self.zone(path.name("zones").index(index), zone, &group.from, kafka);
                }
                let topics = topics_of(kafka, group);
                let ages = topics.iter().filter_map(|it| kafka.topics.get(*it));
                let ages: Vec<Option<Dur>> =
                    ages.map(|it| it.history.map(|history| history.age)).collect();
                // What no topic says is none; the shallowest history bounds the lag.
                self.lag(path, group.lag, ages.into_iter().min().flatten());
                self.group_topics(path, group, kafka);
                self.group_config(&path.name("config"), group, kafka);
            }
            Some(System::Kinesis(_)) => {
                let message = format!("`{}` is a Kinesis stream, not a Kafka cluster", group.from);
                self.error(path.name("from"), message);
            }
            None => {}
        }
    }

    fn state(&mut self, path: &Path, bytes: Bytes, rate: ByteRate) {
        self.range(path.name("state_per_partition"), bytes, Bytes(0), MAX_BYTES);
        let (least, most) = (ByteRate(1_000), ByteRate(1_000_000_000_000));
        self.range(path.name("restore_rate"), rate, least, most);
    }

    fn group_topics(&mut self, path: &Path, group: &KafkaGroup, kafka: &Kafka) {
        let names = self.names;
        let Some(topics) = names.topics.get(&group.from) else {
            return;
        };
        self.at_most(path.name("topics"), group.topics.len(), MAX_MEMBERS, "topics");
        for (index, topic) in group.topics.iter().enumerate().take(MAX_MEMBERS) {
            let path = path.name("topics").index(index);
            self.reference(path.clone(), topic, "topic", topics);
            if group.topics.iter().take(index).any(|it| it == topic) {
                self.error(path, "this topic is given twice".to_owned());
            }
        }
        if group.topics.is_empty() && kafka.topics.len() > 1 {
            let message = format!("`{}` has several topics", group.from);
            self.error(path.name("from"), message).help =
                nearest::help("", topics.iter()).map(|it| format!("add `topics: [..]`; {it}"));
            return;
        }
        let partitions = topics_of(kafka, group);
        let partitions = partitions.iter().filter_map(|it| kafka.topics.get(*it));
        let partitions = partitions.map(|it| u64::from(it.partitions));
        // Only range gives a member partitions of each topic.
        let by_topic = !is_kip_848(group, kafka.version)
            && assignors_of(group, kafka.version).first() == Some(&Assignor::Range);
        let most = if by_topic { partitions.max().unwrap_or(0) } else { partitions.sum() };
        let members = u64::from(group.members);
        if members > most && most > 0 {
            let message = format!(
                "{} of {members} members are idle: there are {most} partitions to share",
                members - most
            );
            self.warning(path.name("members"), message);
        }
    }

    fn group_config(&mut self, path: &Path, group: &KafkaGroup, kafka: &Kafka) {
        let version = kafka.version;
        if group.streams.is_some() {
            self.kafka_config(path, &[CONSUMER, STREAMS], &group.config, version);
            for key in ["partition.assignment.strategy", "group.protocol", "group.remote.assignor"]
            {
                if group.config.contains_key(key) {
                    let message = format!("`{key}` has no effect: Kafka Streams sets it itself");
                    self.warning(path.name(key), message);
                }
            }
        } else {
            let of_streams =
                |key: &&String| STREAMS.names().any(|it| it == *key) && !is_consumer_key(key);
            let wrong: Vec<String> = group.config.keys().filter(of_streams).cloned().collect();
            for key in &wrong {
                let message = format!("the Kafka consumer has no `{key}`");
                self.error(path.name(key), message).help =
                    Some("it is a key of Kafka Streams: add `streams: (..)`".to_owned());
            }
            let rest = group.config.iter().filter(|it| !wrong.contains(it.0));
            let rest: Named<ConfigValue> =
                rest.map(|(key, value)| (key.clone(), value.clone())).collect();
            self.kafka_config(path, &[CONSUMER], &rest, version);
        }
        if group.config.contains_key("client.rack") {
            let message = "members have the racks of `zones`".to_owned();
            self.warning(path.name("client.rack"), message);
        }
        if is_kip_848(group, version) {
            self.kip_848(path, group, kafka);
        } else {
            self.classic(path, group, kafka);
        }
    }

    fn classic(&mut self, path: &Path, group: &KafkaGroup, kafka: &Kafka) {
        let version = kafka.version;
        let session = Dur(consumer_value(group, "session.timeout.ms", version));
        let heartbeat = Dur(consumer_value(group, "heartbeat.interval.ms", version));
        let of_brokers = |key| Dur(BROKER.value(&kafka.config, key, version));
        let least = of_brokers("group.min.session.timeout.ms");
        let most = of_brokers("group.max.session.timeout.ms");
        if session < least || session > most {
            let message = format!(
                "the session timeout \"{session}\" is not within the range allowed by the broker \
                 (as configured by group.min.session.timeout.ms and group.max.session.timeout.ms): \
                 \"{least}\" to \"{most}\""
            );
            self.error(path.name("session.timeout.ms"), message);
        }
        if heartbeat >= session {
            let message = format!(
                "heartbeat must be set lower than the session timeout, which is \"{session}\""
            );
            self.error(path.name("heartbeat.interval.ms"), message);
        }
        if group.config.contains_key("group.remote.assignor") && group.streams.is_none() {
            let message = "group.remote.assignor cannot be set when group.protocol=CLASSIC";
            self.error(path.name("group.remote.assignor"), message.to_owned());
        }
        self.group_size(path, group, kafka, "group.max.size");
    }

    fn kip_848(&mut self, path: &Path, group: &KafkaGroup, kafka: &Kafka) {
        let version = kafka.version;
        let protocols =
            BROKER.value(&kafka.config, "group.coordinator.rebalance.protocols", version);
        let of_protocol = path.name("group.protocol");
        if has_zookeeper(kafka) {
            let message = "group.protocol=consumer needs KRaft (KIP-848)".to_owned();
            self.error(of_protocol, message);
        } else if protocols & 2 == 0 {
            let message = "the brokers do not speak group.protocol=consumer (KIP-848)".to_owned();
            self.error(of_protocol, message).help = Some(
                "add \"group.coordinator.rebalance.protocols\": \"classic,consumer\" to the \
                 cluster's `config`"
                    .to_owned(),
            );
        }
        // Where 3.7 to 3.9 ignore them, 4.x refuses them.
        let not_of_client =
            ["partition.assignment.strategy", "heartbeat.interval.ms", "session.timeout.ms"];
        for key in not_of_client {
            if !group.config.contains_key(key) {
                continue;
            }
            if version >= KafkaVersion::V4_1 {
                let message = format!("{key} cannot be set when group.protocol=CONSUMER");
                self.error(path.name(key), message);
            } else {
                let message = format!("`{key}` has no effect with group.protocol=consumer");
                self.warning(path.name(key), message);
            }
        }
    }

    fn group_size(&mut self, path: &Path, group: &KafkaGroup, kafka: &Kafka, key: &str) {
        let most = BROKER.value(&kafka.config, key, kafka.version);
        if u64::from(group.members) > most {
            let message = format!(
                "{} members are beyond {key} = {most}: the consumer group has reached its max size",
                group.members
            );
            let mut of_members = path.clone();
            of_members.0.pop();
            self.error(of_members.name("members"), message);
        }
    }
}

fn is_consumer_key(key: &str) -> bool {
    CONSUMER.names().any(|it| it == key)
}
