//! Kafka worlds of the swarm: clusters, topics, clients and groups, and what happens to them.

use sim_core::config::kafka::*;
use sim_core::config::*;
use sim_core::engine::SimDuration;

use super::draw::{Luck, Mood, mean_bytes};
use crate::bench::{millis, planned, secs};
use crate::kafka_bench;

/// Batches that a case may bring about: its duration follows.
const WORK: u64 = 4_000;
/// The same per second in calm worlds, all producers together.
const CALM_BATCHES_PER_S: u64 = 12;

/// Most that one producer offers.
const MOST_BYTES_PER_S: u64 = 50_000_000;

/// A world of one cluster, or two.
pub(super) fn world_of_clusters(mut luck: Luck, seed: u64, mood: Mood) -> WorldConfig {
    let resolution = luck.resolution(mood);
    let mut config = WorldConfig {
        seed,
        duration: secs(0),
        resolution,
        streams: Vec::new(),
        clusters: (0..luck.of(&[1, 1, 1, 1, 1, 2])).map(|n| luck.cluster(n, mood)).collect(),
        producers: Vec::new(),
        consumers: Vec::new(),
        groups: Vec::new(),
        sinks: Vec::new(),
        timeline: Vec::new(),
    };
    let producers = luck.of(&[1, 1, 2, 3]);
    let mut batches = 0;
    for number in 0..producers {
        let budget = match mood {
            Mood::Calm => CALM_BATCHES_PER_S / producers,
            Mood::Open | Mood::Wild => luck.of(&[5, 20, 50, 150]),
        };
        let producer = luck.kafka_producer(number, &config, mood, budget);
        batches += batches_per_s(&producer, &config);
        config.producers.push(producer);
    }
    config.duration = luck.duration(&config, mood, WORK / batches.max(1));
    for number in 0..luck.of(&[0, 1, 1, 1, 2, 3]) {
        let group = luck.group(number, &config, mood);
        config.groups.push(group);
    }
    for _ in 0..luck.of(&[0, 1, 1, 2, 3, 5, 8]) {
        let entry = luck.kafka_entry(&config, mood);
        let entries = luck.with_another(entry, &config, mood);
        config.timeline.extend(entries);
    }
    config
}

/// About how many batches of one producer come in a second at its greatest rate.
fn batches_per_s(producer: &ProducerConfig, config: &WorldConfig) -> u64 {
    let most = producer.rate.knots.iter().map(|(_, rate)| *rate / 1_000_000).max();
    most.unwrap_or(0).min(most_batches_per_s(producer, config))
}

/// The same at any rate.
fn most_batches_per_s(producer: &ProducerConfig, config: &WorldConfig) -> u64 {
    if config.resolution.0 == 0 {
        return u64::MAX;
    }
    let Destination::Topic { cluster, topic } = producer.to else {
        unreachable!("these producers write to topics");
    };
    let partitions = u64::from(config.clusters[cluster].topics[topic].partitions);
    1_000_000_000 / config.resolution.0 * u64::from(producer.flows) * partitions
}

impl Luck {
    fn cluster(&mut self, number: usize, mood: Mood) -> ClusterConfig {
        let zones = self.within_u32(1, 3);
        let brokers: Vec<usize> =
            (0..self.of(&[1, 2, 3, 3, 3, 4, 5, 6])).map(|_| self.index(zones as usize)).collect();
        let version = self.of(&[
            KafkaVersion::V2_4,
            KafkaVersion::V3_9,
            KafkaVersion::V3_9,
            KafkaVersion::V4_1,
        ]);
        let raft =
            version == KafkaVersion::V4_1 || version == KafkaVersion::V3_9 && self.chance(50);
        let quorum =
            if raft { self.kraft(&brokers, zones) } else { self.zookeeper(zones as usize) };
        let names = ["a", "b", "c"];
        let topics = self.of(&[1, 1, 2, 3]);
        let costs = if raft { [20, 0, 16] } else { [250, 170, 300] };
        let [election, state_load, controlled_shutdown] = costs.map(SimDuration::from_micros);
        ClusterConfig {
            name: format!("cluster{number}"),
            version,
            zones: names[..zones as usize].iter().map(|&name| name.to_owned()).collect(),
            topics: (0..topics).map(|topic| self.topic(topic, brokers.len(), mood)).collect(),
            settings: self.settings(brokers.len(), version, mood),
            hardware: self.hardware(mood),
            costs: ControllerCosts {
                election,
                state_load,
                controlled_shutdown,
                propagation: millis(self.of(&[1, 10, 10, 50])),
            },
            quorum,
            brokers,
        }
    }

    fn kraft(&mut self, brokers: &[usize], zones: u32) -> Quorum {
        let combined = self.chance(40);
        let count = self.of(&[1, 2, 3, 3, 3, 4, 5]);
        let nodes = if combined {
            brokers.iter().copied().take(count).collect()
        } else {
            (0..count).map(|_| self.index(zones as usize)).collect()
        };
        let heartbeat = self.of(&[500, 2_000, 2_000]);
        Quorum::KRaft(KRaftConfig {
            nodes,
            combined,
            fetch_timeout: millis(self.of(&[1_000, 2_000])),
            election_timeout: millis(self.of(&[500, 1_000])),
            election_backoff_max: millis(self.of(&[0, 1_000])),
            heartbeat_interval: millis(heartbeat),
            session_timeout: millis(self.of(&[heartbeat * 2, 9_000, 18_000])),
        })
    }

    fn zookeeper(&mut self, zones: usize) -> Quorum {
        let count = self.of(&[1, 2, 3, 3, 3, 4, 5]);
        let mut quorum = kafka_bench::zookeeper((0..count).map(|_| self.index(zones)).collect());
        if let Quorum::ZooKeeper(of) = &mut quorum {
            let tick = self.of(&[500, 2_000]);
            of.tick_time = millis(tick);
            of.sync_limit = self.of(&[2, 5]);
            of.session_timeout = millis(tick * self.of(&[2, 3, 9, 20]));
        }
        quorum
    }

    fn topic(&mut self, number: usize, brokers: usize, mood: Mood) -> TopicConfig {
        let most = u32::try_from(brokers).expect("few brokers");
        let replication_factor = self.of(&[1, 2, 3, 3, 3, 6]).min(most);
        let beyond = u32::from(mood != Mood::Calm && self.chance(10));
        let forgets = self.chance(30);
        TopicConfig {
            partitions: self.of(&[1, 1, 2, 3, 6, 12]),
            replication_factor,
            min_insync_replicas: self.within_u32(1, replication_factor) + beyond,
            unclean_leader_election: self.chance(25),
            retention: forgets.then(|| secs(self.within(5, 120))),
            retention_bytes: (forgets && self.chance(50)).then(|| self.of(&[1, 20_000, 1 << 20])),
            segment_bytes: self.of(&[1_000, 100_000, 1 << 30]),
            segment_time: secs(self.of(&[1, 10, 7 * 86_400])),
            ..kafka_bench::topic(&format!("topic{number}"), 1)
        }
    }

    fn settings(&mut self, brokers: usize, version: KafkaVersion, mood: Mood) -> BrokerSettings {
        let most = u32::try_from(brokers).expect("few brokers");
        let offsets_replicas = self.of(&[1, 2, 3, 3]).min(most);
        let small = mood != Mood::Calm && self.chance(40);
        BrokerSettings {
            replica_lag_time_max: secs(self.of(&[2, 10, 30])),
            num_replica_fetchers: self.of(&[1, 1, 2, 3]),
            replica_fetch_max_bytes: if small { self.of(&[1, 500, 20_000]) } else { 1 << 20 },
            replica_fetch_response_max_bytes: if small {
                self.of(&[1, 1_000, 50_000])
            } else {
                10 << 20
            },
            replica_fetch_backoff: millis(self.of(&[100, 1_000])),
            auto_leader_rebalance: self.chance(80),
            leader_imbalance_check_interval: secs(self.of(&[5, 60, 300])),
            num_io_threads: self.of(&[1, 8]),
            controlled_shutdown: self.chance(80),
            eligible_leader_replicas: version == KafkaVersion::V4_1 && self.chance(60),
            rack_aware_selector: self.chance(30),
            retention_check_interval: secs(self.of(&[1, 5, 60, 300])),
            group_initial_rebalance_delay: secs(self.of(&[0, 3])),
            group_consumer_heartbeat_interval: secs(self.of(&[1, 5])),
            group_consumer_session_timeout: secs(self.of(&[10, 45])),
            offsets_topic_replication_factor: offsets_replicas,
            offsets_topic_min_insync_replicas: self.within_u32(1, offsets_replicas),
            ..kafka_bench::settings()
        }
    }

    fn hardware(&mut self, mood: Mood) -> Hardware {
        let slow = mood != Mood::Calm && self.chance(40);
        let bandwidth = if slow { self.of(&[50_000, 2_000_000]) } else { 500_000_000 };
        let burst = self.chance(30);
        Hardware {
            disk: DiskConfig {
                bandwidth,
                burst_bandwidth: if burst { bandwidth * 4 } else { bandwidth },
                burst_credits: if burst { 10_000_000 } else { 0 },
            },
            network: if slow { self.of(&[200_000, 10_000_000]) } else { 1_250_000_000 },
            page_cache: if slow { self.of(&[0, 100_000, 10 << 20]) } else { 16 << 30 },
            rtt_in_zone: SimDuration::from_micros(self.of(&[0, 500])),
            rtt_across_zones: SimDuration::from_micros(self.of(&[500, 1_500, 50_000])),
            request_time: SimDuration::from_micros(self.of(&[0, 100])),
            fetch_time_per_partition: SimDuration::from_micros(self.of(&[0, 20])),
            broker_start_time: secs(self.of(&[0, 1, 10, 40])),
            ..kafka_bench::hardware()
        }
    }

    fn kafka_producer(
        &mut self,
        number: u64,
        config: &WorldConfig,
        mood: Mood,
        budget: u64,
    ) -> ProducerConfig {
        let calm = mood == Mood::Calm;
        let (cluster, topic) = match config.producers.last().map(|before| before.to) {
            Some(Destination::Topic { cluster, topic }) if self.chance(50) => (cluster, topic),
            _ => {
                let cluster = self.index(config.clusters.len());
                (cluster, self.index(config.clusters[cluster].topics.len()))
            }
        };
        let instances = self.of(&[1, 1, 2, 3, 9, 20]);
        let hot = self.of(&[0, 0, 0, 1, 2]);
        let prefix = || "k".to_owned();
        let keys = self.of(&[1, 2, 30, 1_000]);
        let large = [20, 200, 2_000, 30_000, 1_000_000];
        let top = if calm { self.of(&[20, 200]) } else { self.of(&large) };
        let mut producer = ProducerConfig {
            name: format!("producer{number}"),
            to: Destination::Topic { cluster, topic },
            instances,
            flows: if instances > 8 { 1 } else { instances },
            rate: RateProfile { knots: Vec::new() },
            arrivals: self.of(&[Arrivals::Even, Arrivals::Poisson]),
            record_size: self.of_sizes(top),
            keys: match self.within(0, 2) {
                0 => KeyDistribution::Random,
                1 => KeyDistribution::Uniform { prefix: prefix(), keys },
                _ => KeyDistribution::Zipf { prefix: prefix(), keys, exponent: 1.0 },
            },
            hot_keys: (0..hot)
                .map(|key| (format!("k{key}"), self.within_u32(0, 600_000)))
                .collect(),
            salt: self.of(&[1, 1, 2, 7]),
            client: ClientConfig::Kafka(kafka_bench::client(Acks::All)),
        };
        let all = most_batches_per_s(&producer, config);
        let most = if all <= budget.max(1) { self.of(&[50, 1_000, 6_000]) } else { budget.max(1) };
        // What comes within one cell of the grid must fit into one clump.
        let most = most.min(MOST_BYTES_PER_S / mean_bytes(&producer.record_size)).max(1);
        producer.rate = self.rate(most);
        producer.client =
            ClientConfig::Kafka(self.kafka_client(&config.clusters[cluster], &producer));
        producer
    }

    fn of_sizes(&mut self, top: u32) -> SizeDistribution {
        match self.within(0, 2) {
            0 => SizeDistribution::Fixed(self.within_u32(1, top)),
            1 => SizeDistribution::Uniform { min: 1 + top / 10, max: top },
            _ => SizeDistribution::LogNormal {
                median: top,
                sigma: self.of(&[0.1, 1.0]),
                max: 1 << 20,
            },
        }
    }

    fn kafka_client(
        &mut self,
        cluster: &ClusterConfig,
        producer: &ProducerConfig,
    ) -> KafkaProducerConfig {
        let acks = self.of(&[Acks::None, Acks::Leader, Acks::All, Acks::All, Acks::All]);
        let idempotence = acks == Acks::All && self.chance(60);
        let is_3_7 = cluster.version >= KafkaVersion::V3_9;
        let backoff = millis(self.of(&[10, 100, 100, 1_000]));
        let linger = millis(self.of(&[0, 0, 5, 100, 2_000]));
        let request_timeout = millis(self.of(&[200, 5_000, 30_000]));
        let beyond = millis(self.of(&[0, 1_000, 90_000]));
        let far = u32::MAX;
        KafkaProducerConfig {
            acks,
            idempotence,
            linger,
            batch_size: self.of(&[1, 1_000, 16_384, 16_384, 1 << 20]),
            buffer_memory: if self.chance(30) {
                mean_bytes(&producer.record_size) * self.of(&[3, 50])
            } else {
                32 << 20
            },
            max_block: millis(self.of(&[0, 500, 60_000])),
            max_request_size: self.of(&[1 << 10, 1 << 20]),
            max_in_flight: if idempotence { self.of(&[1, 5]) } else { self.of(&[1, 5, 50]) },
            retries: if idempotence { self.of(&[3, far, far]) } else { self.of(&[0, 3, far, far]) },
            retry_backoff: backoff,
            retry_backoff_max: if is_3_7 { backoff.max(millis(1_000)) } else { backoff },
            request_timeout,
            delivery_timeout: linger + request_timeout + beyond,
            metadata_max_age: secs(self.of(&[5, 60, 300])),
            learns_leader_from_errors: is_3_7,
            zone: self.chance(40).then(|| self.index(cluster.zones.len())),
        }
    }

    fn group(&mut self, number: usize, config: &WorldConfig, mood: Mood) -> GroupConfig {
        let calm = mood == Mood::Calm;
        let cluster = self.index(config.clusters.len());
        let of = &config.clusters[cluster];
        let first = self.index(of.topics.len());
        let topics = (0..of.topics.len()).filter(|&it| it == first || self.chance(40)).collect();
        let session = self.of(&[6_000, 10_000, 45_000]);
        let members = self.of(&[1, 2, 3, 5, 8]);
        let service = self.service_of_group(cluster, config, calm);
        let small = !calm && self.chance(15);
        let state = self.chance(25).then(|| self.state(of.version, calm));
        GroupConfig {
            name: format!("group{number}"),
            cluster,
            topics,
            members,
            protocol: self.protocol(of.version),
            static_membership: self.chance(30),
            session_timeout: millis(session),
            heartbeat_interval: millis(self.of(&[1_000, session / 3])),
            max_poll_interval: match mood {
                Mood::Calm => secs(300),
                Mood::Wild => secs(self.of(&[30, 300, 300])),
                Mood::Open => secs(self.of(&[1, 20, 300])),
            },
            max_poll_records: if small { self.of(&[1, 20]) } else { self.of(&[500, 5_000]) },
            auto_commit: self.chance(60).then(|| millis(self.of(&[100, 5_000, 30_000]))),
            fetch_min_bytes: self.of(&[1, 1, 5_000, 1 << 20]),
            fetch_max_wait: millis(self.of(&[0, 500, 5_000])),
            fetch_max_bytes: if small { self.of(&[1, 5_000]) } else { 50 << 20 },
            max_partition_fetch_bytes: if small { self.of(&[1, 1_000]) } else { 1 << 20 },
            read_committed: self.chance(30),
            auto_offset_reset: self.of(&[OffsetReset::Latest, OffsetReset::Earliest]),
            metadata_max_age: secs(self.of(&[5, 300])),
            zones: if self.chance(50) { (0..of.zones.len()).collect() } else { Vec::new() },
            service,
            sink_idempotent: self.chance(50),
            sink: None,
            leaves_on_close: self.chance(70),
            start_time: millis(self.of(&[0, 2_000, 20_000])),
            state,
            outset: Outset::default(),
        }
    }

    fn protocol(&mut self, version: KafkaVersion) -> GroupProtocol {
        if version == KafkaVersion::V4_1 && self.chance(50) {
            let assignor = self.of(&[ServerAssignor::Uniform, ServerAssignor::Range]);
            return GroupProtocol::Consumer { assignor };
        }
        let of_one = self.of(&[
            Assignor::Range,
            Assignor::RoundRobin,
            Assignor::Sticky,
            Assignor::CooperativeSticky,
        ]);
        let both = vec![Assignor::Range, Assignor::CooperativeSticky];
        GroupProtocol::Classic { assignors: if self.chance(25) { both } else { vec![of_one] } }
    }

    fn state(&mut self, version: KafkaVersion, calm: bool) -> StateConfig {
        let top = if calm { 1_000_000 } else { 100_000_000 };
        StateConfig {
            bytes_per_partition: self.of(&[0, 1_000_000, top]),
            restore_rate: 1_000_000,
            standbys: self.of(&[0, 0, 1, 2]),
            survives_restart: self.chance(50),
            others_run: version >= KafkaVersion::V3_9,
        }
    }

    /// In calm worlds one member could process everything in a fifth of its time.
    fn service_of_group(
        &mut self,
        cluster: usize,
        config: &WorldConfig,
        calm: bool,
    ) -> ServiceTime {
        let reads = |it: &&ProducerConfig| matches!(it.to, Destination::Topic { cluster: of, .. } if of == cluster);
        let producers = config.producers.iter().filter(reads);
        let most: u64 = producers
            .filter_map(|it| it.rate.knots.iter().map(|(_, rate)| *rate / 1_000_000).max())
            .sum();
        let percent = if calm { 20 } else { self.of(&[0, 10, 50, 100, 300]) };
        let each = SimDuration(10_000_000 * percent / most.max(1));
        let each = if calm { each.min(SimDuration::from_micros(200)) } else { each };
        if self.chance(50) { ServiceTime::Fixed(each) } else { ServiceTime::Exponential(each) }
    }

    fn kafka_entry(&mut self, config: &WorldConfig, mood: Mood) -> TimelineEntry {
        let calm = mood == Mood::Calm;
        let (at, lasts) = self.times(config, mood);
        let what = if self.chance(40) && !config.groups.is_empty() {
            self.member_fault(config)
        } else {
            self.broker_fault(config, calm)
        };
        let endless = mood == Mood::Open && self.chance(30);
        planned(at, (!endless).then_some(lasts), what)
    }

    fn broker_fault(&mut self, config: &WorldConfig, calm: bool) -> Happening {
        let cluster = self.index(config.clusters.len());
        let of = &config.clusters[cluster];
        let nodes = match &of.quorum {
            Quorum::ZooKeeper(quorum) => quorum.nodes.len(),
            Quorum::KRaft(quorum) => quorum.nodes.len(),
        };
        let topic = self.index(of.topics.len());
        let brokers = self.some_of(of.brokers.len());
        match self.within(0, 11) {
            0 | 1 => Happening::Kill(Whom::brokers(cluster, &brokers)),
            2 | 3 => Happening::Pause(Whom::brokers(cluster, &brokers)),
            4 => Happening::Stop(Whom::brokers(cluster, &brokers)),
            5 => Happening::CutZone { cluster, zone: self.index(of.zones.len()) },
            6 => Happening::SlowDisks {
                cluster,
                who: Who::Numbers(brokers),
                factor_ppm: self.of(&[2_000_000, 50_000_000, 5_000_000_000]),
            },
            7 => Happening::Kill(Whom::nodes(cluster, &self.some_of(nodes))),
            8 => {
                let most = of.topics[topic].partitions * 2 + 1;
                Happening::AddPartitions { cluster, topic, total: self.within_u32(1, most) }
            }
            9 => Happening::ElectUnclean { cluster, topic },
            10 => Happening::HotKey {
                producer: self.index(config.producers.len()),
                key: format!("k{}", self.within(0, 2)),
                share_ppm: self.of(&[1_000, 300_000, 1_000_000]),
            },
            _ => Happening::RateFactor {
                producer: self.index(config.producers.len()),
                factor_ppm: if calm {
                    self.of(&[0, 2_000_000])
                } else {
                    self.of(&[0, 300_000, 5_000_000])
                },
                ramp: millis(self.of(&[0, 500, 20_000])),
            },
        }
    }

    /// One of so many, several, or all.
    fn some_of(&mut self, count: usize) -> Vec<u32> {
        let percent = self.of(&[0, 0, 40, 100]);
        let first = self.index(count);
        (0_u32..).take(count).filter(|&it| it as usize == first || self.chance(percent)).collect()
    }

    fn member_fault(&mut self, config: &WorldConfig) -> Happening {
        let group = self.index(config.groups.len());
        let workers = self.within_u32(1, config.groups[group].members);
        let consumer = Fleet::Group(group);
        match self.within(0, 6) {
            0 => Happening::SlowConsumer {
                consumer,
                who: None,
                factor_ppm: self.of(&[0, 500_000, 3_000_000, 20_000_000]),
            },
            1 => Happening::Kill(Whom::workers(consumer, workers)),
            2 => Happening::Pause(Whom::workers(consumer, workers)),
            3 => Happening::AddWorkers { consumer, workers },
            4 => Happening::Stop(Whom::workers(consumer, workers)),
            5 => self.restart_loop(consumer, workers),
            _ => self.rolling_restart(consumer),
        }
    }
}
