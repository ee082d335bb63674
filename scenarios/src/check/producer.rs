//! Checks of producers: rates, sizes, keys, and their clients against the systems they write to.
//!
//! What Kafka refuses is refused in its own words: `ProducerConfig` and `KafkaProducer` (K-PRD-2,
//! K-IDM-4).

use crate::check::{Checker, MAX_HASH_KEYS, MAX_INSTANCES, MAX_KEY_LENGTH, MAX_KEYS, MAX_SALT};
use crate::defaults;
use crate::effective::{client, idempotence};
use crate::knobs::{KPL, PRODUCER};
use crate::nearest;
use crate::path::Path;
use crate::rates::{MOST_CSV_LINES, MOST_WAVES};
use crate::schema::{
    Client, Kafka, KafkaProducer, KafkaVersion, Keys, Producer, RateShape, RecordSize, System,
};
use crate::units::{Bytes, Dur, shortened};
use crate::version::Release;

impl Checker<'_> {
    pub(super) fn producer(&mut self, path: &Path, name: &str, producer: &Producer) {
        self.reference(path.name("to"), &producer.to, "system", &self.names.systems);
        self.range(path.name("instances"), producer.instances, 1, MAX_INSTANCES);
        self.range(path.name("salt"), producer.salt, 1, MAX_SALT);
        self.rate(&path.name("rate"), &producer.rate);
        self.record_size(path, producer);
        self.keys(&path.name("keys"), &producer.keys);
        let mut total = 0_u64;
        for (key, share) in &producer.hot_keys {
            let path = path.name("hot_keys").name(key);
            self.key(path.clone(), key);
            total += u64::from(share.0);
            if share.0 == 0 {
                self.error(path, "a share of 0% is no hot key".to_owned());
            }
        }
        if total > 1_000_000 {
            let message = "the shares of hot keys add up to more than 100%".to_owned();
            self.error(path.name("hot_keys"), message);
        }
        self.client(path, name, producer);
    }

    /// The client, and what it needs of the system.
    fn client(&mut self, path: &Path, name: &str, producer: &Producer) {
        let scenario = self.scenario;
        let client_path = path.name("client");
        let client = client(scenario, producer);
        let system = scenario.systems.get(&producer.to);
        let (reads, other) = match (&*client, system) {
            (Client::Kpl(_) | Client::Sdk(_), Some(System::Kafka(_))) => ("Kafka cluster", "Kafka"),
            (Client::Kafka(_), Some(System::Kinesis(_))) => ("Kinesis stream", "Kpl"),
            (Client::Kpl(_) | Client::Sdk(_), Some(System::Kinesis(_)) | None)
            | (Client::Kafka(_), Some(System::Kafka(_)) | None) => ("", ""),
        };
        if !other.is_empty() {
            let message = format!("`{name}` writes to a {reads}, which this client cannot");
            self.error(client_path, message).help =
                Some(format!("write `client: {other}(..)`, or leave it out"));
            return;
        }
        match (&*client, system) {
            (Client::Kpl(kpl), _) => {
                self.config(&client_path.name("config"), &KPL, &kpl.config, None);
            }
            (Client::Sdk(sdk), _) => self.sdk(&client_path, sdk),
            (Client::Kafka(kafka), Some(System::Kafka(cluster))) => {
                self.topic(path, producer, cluster);
                self.kafka_producer(path, producer, kafka, cluster);
                return;
            }
            (Client::Kafka(_), Some(System::Kinesis(_)) | None) => return,
        }
        if producer.topic.is_some() && system.is_some() {
            let message = format!("`{}` is a Kinesis stream: it has no topics", producer.to);
            self.error(path.name("topic"), message);
        }
    }

    fn topic(&mut self, path: &Path, producer: &Producer, cluster: &Kafka) {
        let names = self.names;
        let Some(topics) = names.topics.get(&producer.to) else {
            return;
        };
        match &producer.topic {
            Some(topic) => self.reference(path.name("topic"), topic, "topic", topics),
            None if cluster.topics.len() > 1 => {
                let message = format!("`{}` has several topics", producer.to);
                self.error(path.name("to"), message).help =
                    nearest::help("", topics.iter()).map(|it| format!("add `topic: ..`; {it}"));
            }
            None => {}
        }
        if matches!(producer.keys, Keys::HashKeys(_)) {
            let message = "Kafka has no explicit hash keys".to_owned();
            self.error(path.name("keys"), message);
        }
    }

    fn kafka_producer(
        &mut self,
        path: &Path,
        producer: &Producer,
        kafka: &KafkaProducer,
        cluster: &Kafka,
    ) {
        let version = cluster.version;
        let path = path.name("client");
        let config_path = path.name("config");
        if let Some(zone) = &kafka.zone {
            self.zone(path.name("zone"), zone, &producer.to, cluster);
        }
        self.kafka_config(&config_path, &[PRODUCER], &kafka.config, version);
        let time = |name| Dur(PRODUCER.value(&kafka.config, name, version));
        let least = Dur(time("linger.ms").0 + time("request.timeout.ms").0);
        let delivery = config_path.name("delivery.timeout.ms");
        match PRODUCER.given(&kafka.config, "delivery.timeout.ms", version) {
            Some(given) if given < least.0 => {
                let message = format!(
                    "delivery.timeout.ms should be equal to or larger than linger.ms + \
                     request.timeout.ms, which are \"{least}\" (K-PRD-2)"
                );
                self.error(delivery, message);
            }
            None if time("delivery.timeout.ms") < least => {
                let message = format!(
                    "Kafka raises `delivery.timeout.ms` to linger.ms + request.timeout.ms, \
                     \"{least}\""
                );
                self.warning(config_path.clone(), message);
            }
            Some(_) | None => {}
        }
        if version.release() >= Release(3, 7)
            && time("retry.backoff.max.ms") < time("retry.backoff.ms")
        {
            let message = "above `retry.backoff.max.ms`, which limits it".to_owned();
            self.warning(config_path.name("retry.backoff.ms"), message);
        }
        self.idempotence(&config_path, kafka, version);
    }

    /// K-IDM-4: what Kafka refuses, and what it switches off without a word.
    fn idempotence(&mut self, path: &Path, kafka: &KafkaProducer, version: KafkaVersion) {
        let found = idempotence(&kafka.config, version);
        let Some(against) = found.against.filter(|_| found.wanted) else {
            return;
        };
        let path = path.name(against);
        let in_flight = against == "max.in.flight.requests.per.connection";
        if found.explicit || in_flight && version >= KafkaVersion::V4_1 {
            let message = match against {
                "retries" => {
                    "must set retries to non-zero when using the idempotent producer (K-IDM-4)"
                }
                "acks" => {
                    "must set acks to all in order to use the idempotent producer. Otherwise we \
                     cannot guarantee idempotence (K-IDM-4)"
                }
                _ => {
                    "must set max.in.flight.requests.per.connection to at most 5 to use the \
                     idempotent producer (K-IDM-4)"
                }
            };
            self.error(path, message.to_owned());
        } else {
            let message = "idempotence is off: Kafka switches it off without a word (K-IDM-4)";
            self.warning(path, message.to_owned()).help = Some(
                "set `enable.idempotence` to false to say so, or to true to be refused".to_owned(),
            );
        }
    }

    pub(crate) fn key(&mut self, path: Path, key: &str) {
        let length = key.chars().count();
        if !(1..=MAX_KEY_LENGTH).contains(&length) {
            let message = format!("a partition key has 1 to {MAX_KEY_LENGTH} characters (N-W-2)");
            self.error(path, message);
        }
    }

    fn rate(&mut self, path: &Path, rate: &RateShape) {
        match rate {
            RateShape::Constant(_) | RateShape::Csv(_) => {}
            RateShape::Steps(points) | RateShape::Ramps(points) => {
                self.at_most(path.clone(), points.len(), MOST_CSV_LINES, "points");
                if points.is_empty() {
                    self.error(path.clone(), "there is no point of the rate".to_owned());
                }
                for (index, pair) in points.windows(2).enumerate() {
                    if pair[1].0 < pair[0].0 {
                        let message = format!("\"{}\" is before the point above it", pair[1].0);
                        self.error(path.index(index + 1), message);
                    }
                }
            }
            RateShape::Spikes { spikes, .. } => {
                let path = path.name("spikes");
                self.at_most(path.clone(), spikes.len(), MOST_CSV_LINES, "spikes");
                let mut free_at = Dur(0);
                for (index, spike) in spikes.iter().enumerate() {
                    if spike.at < free_at {
                        let message = "begins before the spike above it has ended".to_owned();
                        self.error(path.index(index), message);
                    }
                    free_at = Dur(spike.at.0.saturating_add(spike.lasts.0));
                }
            }
            RateShape::Diurnal { period, .. } => {
                let least = Dur((self.scenario.duration.0 / MOST_WAVES).max(1_000_000_000));
                let most = Dur::secs(366 * 86_400);
                self.range(path.name("period"), *period, least, most);
            }
        }
    }

    fn record_size(&mut self, path: &Path, producer: &Producer) {
        let size_path = path.name("record_size");
        let limit = match (self.scenario.systems.get(&producer.to), &producer.client) {
            (Some(System::Kinesis(kinesis)), _) => kinesis.max_record_size,
            (Some(System::Kafka(kafka)), Some(Client::Kafka(client))) => {
                Bytes(PRODUCER.value(&client.config, "max.request.size", kafka.version))
            }
            (Some(System::Kafka(_)) | None, _) => defaults::max_record_size(),
        };
        let limit = Bytes(limit.0.clamp(1, 10 << 20));
        match &producer.record_size {
            RecordSize::Fixed(size) => self.range(size_path, *size, Bytes(1), limit),
            RecordSize::Uniform { min, max } => {
                self.range(size_path.name("max"), *max, Bytes(1), limit);
                self.range(size_path.name("min"), *min, Bytes(1), *max);
            }
            RecordSize::LogNormal { median, sigma, max } => {
                self.range(size_path.name("max"), *max, Bytes(1), limit);
                self.range(size_path.name("median"), *median, Bytes(1), *max);
                self.range(size_path.name("sigma"), *sigma, 0.0, 10.0);
            }
        }
    }

    fn keys(&mut self, path: &Path, keys: &Keys) {
        match keys {
            Keys::Random => {}
            Keys::Uniform { prefix, keys } => {
                self.numbered_keys(path, prefix, *keys);
            }
            Keys::Zipf { prefix, keys, exponent } => {
                self.numbered_keys(path, prefix, *keys);
                self.range(path.name("exponent"), *exponent, 0.0, 10.0);
            }
            Keys::HashKeys(hash_keys) => {
                self.at_most(path.clone(), hash_keys.len(), MAX_HASH_KEYS, "hash keys");
                if hash_keys.is_empty() {
                    self.error(path.clone(), "there is no hash key".to_owned());
                }
                let wrong = |key: &str| {
                    let decimal = key.bytes().all(|it| it.is_ascii_digit());
                    let canonical = key == "0" || !key.starts_with('0');
                    !decimal || !canonical || key.parse::<u128>().is_err()
                };
                // One mistake is often made throughout: a few of them say it.
                let all = hash_keys.iter().enumerate();
                for (index, key) in all.filter(|it| wrong(it.1)).take(5) {
                    let message = format!("`{}` is no hash key", shortened(key));
                    self.error(path.index(index), message).help =
                        Some("a decimal number below 2^128, in quotes (N-W-2)".to_owned());
                }
            }
        }
    }

    fn numbered_keys(&mut self, path: &Path, prefix: &str, keys: u32) {
        self.range(path.name("keys"), keys, 1, MAX_KEYS);
        // The number takes up to eight more.
        if prefix.chars().count() > MAX_KEY_LENGTH - 8 {
            let message =
                format!("a partition key has at most {MAX_KEY_LENGTH} characters (N-W-2)");
            self.error(path.name("prefix"), message);
        }
    }
}
