//! One cluster with its clients on a queue of their own. Batches are handed in and faults begun by
//! hand; the books are audited whenever time has passed.
//!
//! Every instant can be worked out. A packet takes 5 ms one way, a broker 1 ms for a request, bytes
//! nothing at all. So what a client sends at 0 is appended at 5, and answered at 5 + 1 + 5 = 11 if
//! the append was enough. A follower whose fetch waits has it at 5 + 1 + 5 = 11, and its next fetch
//! says so at 16: the watermark rises, acks=all is answered at 16 + 1 + 5 = 22, and a consumer
//! whose fetch waits has the records at 22.

use super::super::*;
use crate::config::WorldConfig;
use crate::config::kafka::*;
use crate::config::{Outset, ServiceTime};
use crate::engine::EventQueue;
use crate::flow::KeyClass;

/// Bytes of a record.
pub(super) const RECORD: u32 = 100;

pub(super) fn ms(millis: u64) -> SimDuration {
    SimDuration::from_millis(millis)
}

/// So many milliseconds after the start.
pub(super) fn at(millis: u64) -> SimTime {
    SimTime::ZERO + ms(millis)
}

/// What a bench is built from.
#[derive(Clone)]
pub(super) struct Setup {
    pub(super) cluster: ClusterConfig,
    /// Each with the topic that it writes to; flow and producer i is the i-th.
    pub(super) producers: Vec<(usize, KafkaProducerConfig)>,
    pub(super) groups: Vec<GroupConfig>,
}

impl Setup {
    /// A cluster of 3.9 with a producer for each topic. Broker i is in zone i and the only
    /// controller in the zone after the last broker's, so that a cut of one broker is no other's.
    pub(super) fn new(brokers: usize, topics: Vec<TopicConfig>) -> Self {
        let producers = (0..topics.len()).map(|topic| (topic, producer())).collect();
        let cluster = ClusterConfig {
            name: "main".to_owned(),
            version: KafkaVersion::V3_9,
            zones: (0..=brokers).map(|zone| format!("zone-{zone}")).collect(),
            brokers: (0..brokers).collect(),
            quorum: Quorum::KRaft(KRaftConfig {
                nodes: vec![brokers],
                combined: false,
                fetch_timeout: ms(2_000),
                election_timeout: ms(1_000),
                election_backoff_max: ms(1_000),
                heartbeat_interval: ms(2_000),
                session_timeout: ms(9_000),
            }),
            topics,
            settings: settings(),
            hardware: hardware(),
            costs: ControllerCosts {
                election: SimDuration::ZERO,
                state_load: SimDuration::ZERO,
                controlled_shutdown: SimDuration::ZERO,
                propagation: SimDuration::ZERO,
            },
        };
        Self { cluster, producers, groups: Vec::new() }
    }

    /// The configuration of one producer, to change it.
    pub(super) fn producer(&mut self, flow: usize) -> &mut KafkaProducerConfig {
        &mut self.producers[flow].1
    }

    /// One more group, which reads topic 0; its configuration, to change it.
    pub(super) fn group(&mut self, name: &str, members: u32) -> &mut GroupConfig {
        self.groups.push(group(name, members));
        self.groups.last_mut().unwrap()
    }

    /// The controller never misses a broker: only a leader removes followers from the ISR.
    pub(super) fn never_fence(&mut self) {
        let Quorum::KRaft(quorum) = &mut self.cluster.quorum else { unreachable!() };
        quorum.session_timeout = ms(1_000_000);
    }

    /// The same cluster before 3.7, which ZooKeeper keeps.
    pub(super) fn of_2_4(&mut self) {
        self.cluster.version = KafkaVersion::V2_4;
        self.cluster.quorum = Quorum::ZooKeeper(ZooKeeperConfig {
            nodes: vec![self.cluster.brokers.len()],
            tick_time: ms(2_000),
            sync_limit: 5,
            init_limit: 10,
            session_timeout: ms(6_000),
            max_in_flight: 10,
        });
    }
}

/// A topic with these replicas for each partition, the first of them its leader.
pub(super) fn topic(name: &str, partitions: &[&[usize]]) -> TopicConfig {
    TopicConfig {
        name: name.to_owned(),
        partitions: u32::try_from(partitions.len()).unwrap(),
        replication_factor: u32::try_from(partitions[0].len()).unwrap(),
        min_insync_replicas: 1,
        unclean_leader_election: false,
        retention: None,
        retention_bytes: None,
        segment_bytes: 1 << 30,
        segment_time: ms(7 * 86_400_000),
        assignment: partitions.iter().map(|replicas| replicas.to_vec()).collect(),
        history: None,
    }
}

/// One partition on so many brokers, led by broker 0.
pub(super) fn orders(brokers: usize) -> Setup {
    let all: Vec<usize> = (0..brokers).collect();
    Setup::new(brokers, vec![topic("orders", &[&all])])
}

/// K-PRD-1, K-PRD-2; no linger, and a back-off of 100 ms each time, which has no jitter.
fn producer() -> KafkaProducerConfig {
    KafkaProducerConfig {
        acks: Acks::All,
        idempotence: true,
        linger: SimDuration::ZERO,
        batch_size: 16_384,
        buffer_memory: 32 << 20,
        max_block: ms(60_000),
        max_request_size: 1 << 20,
        max_in_flight: 5,
        retries: u32::MAX,
        retry_backoff: ms(100),
        retry_backoff_max: ms(100),
        request_timeout: ms(30_000),
        delivery_timeout: ms(120_000),
        metadata_max_age: ms(300_000),
        learns_leader_from_errors: true,
        zone: None,
    }
}

/// K-GRP-4 and K-FET-1; 1 ms a record, each poll's records are committed when they are processed.
fn group(name: &str, members: u32) -> GroupConfig {
    GroupConfig {
        name: name.to_owned(),
        cluster: 0,
        topics: vec![0],
        members,
        protocol: GroupProtocol::Classic { assignors: vec![Assignor::Range] },
        static_membership: false,
        session_timeout: ms(45_000),
        heartbeat_interval: ms(3_000),
        max_poll_interval: ms(300_000),
        max_poll_records: 500,
        auto_commit: None,
        fetch_min_bytes: 1,
        fetch_max_wait: ms(500),
        fetch_max_bytes: 50 << 20,
        max_partition_fetch_bytes: 1 << 20,
        read_committed: false,
        auto_offset_reset: OffsetReset::Latest,
        metadata_max_age: ms(300_000),
        zones: Vec::new(),
        service: ServiceTime::Fixed(ms(1)),
        sink_idempotent: false,
        sink: None,
        leaves_on_close: true,
        start_time: SimDuration::ZERO,
        state: None,
        outset: Outset::default(),
    }
}

fn settings() -> BrokerSettings {
    BrokerSettings {
        replica_lag_time_max: ms(10_000),
        num_replica_fetchers: 1,
        replica_fetch_max_bytes: 1 << 20,
        replica_fetch_response_max_bytes: 10 << 20,
        replica_fetch_wait_max: ms(500),
        replica_fetch_backoff: ms(1_000),
        replica_socket_timeout: ms(30_000),
        auto_leader_rebalance: false,
        leader_imbalance_check_interval: ms(300_000),
        leader_imbalance_percent: 10,
        num_io_threads: 8,
        num_recovery_threads: 1,
        controlled_shutdown: true,
        eligible_leader_replicas: false,
        rack_aware_selector: false,
        retention_check_interval: ms(300_000),
        group_initial_rebalance_delay: ms(3_000),
        group_consumer_heartbeat_interval: ms(5_000),
        group_consumer_session_timeout: ms(45_000),
        offsets_topic_partitions: 50,
        offsets_topic_replication_factor: 3,
        offsets_topic_min_insync_replicas: 1,
    }
}

fn hardware() -> Hardware {
    Hardware {
        disk: DiskConfig { bandwidth: 1 << 62, burst_bandwidth: 1 << 62, burst_credits: 0 },
        network: 1 << 62,
        page_cache: 1 << 40,
        rtt_in_zone: ms(10),
        rtt_across_zones: ms(10),
        request_time: ms(1),
        fetch_time_per_partition: SimDuration::ZERO,
        broker_start_time: ms(1_000),
        max_map_count: 65_530,
    }
}

/// A cluster that runs.
pub(super) struct Bench {
    pub(super) cluster: Cluster,
    pub(super) ledger: Ledger,
    pub(super) now: SimTime,
    queue: EventQueue<Event>,
    /// Events so far at this instant.
    still: u32,
    /// With the instant of each entry: (kind, subject, detail).
    pub(super) journal: Vec<(SimTime, &'static str, String, String)>,
    /// Records so far, by flow and partition.
    offered: std::collections::BTreeMap<(u16, u32), u64>,
}

impl Bench {
    pub(super) fn new(setup: &Setup) -> Self {
        let world = WorldConfig {
            seed: 7,
            duration: ms(1_000_000),
            resolution: SimDuration::ZERO,
            streams: Vec::new(),
            clusters: vec![setup.cluster.clone()],
            producers: Vec::new(),
            consumers: Vec::new(),
            groups: setup.groups.clone(),
            sinks: Vec::new(),
            timeline: Vec::new(),
        };
        let rngs = Rngs::new(world.seed);
        let mut cluster = Cluster::new(&world, 0, &rngs);
        for (flow, (topic, config)) in (0_u16..).zip(&setup.producers) {
            let of_flow = (FlowId(flow), usize::from(flow), *topic);
            let name = format!("producer/producer-{flow}/client/0");
            cluster.add_producer(of_flow, config, 1, &rngs, &name);
        }
        let mut bench = Self {
            cluster,
            ledger: Ledger::new(setup.producers.len(), setup.groups.len()),
            now: SimTime::ZERO,
            queue: EventQueue::new(),
            still: 0,
            journal: Vec::new(),
            offered: std::collections::BTreeMap::new(),
        };
        bench.act(|cluster, at| cluster.start(&rngs, at));
        bench
    }

    /// Does something to the cluster now.
    pub(super) fn act<T>(&mut self, act: impl FnOnce(&mut Cluster, &mut At<'_, '_>) -> T) -> T {
        let mut journal = Vec::new();
        let mut at = At {
            ctx: Ctx::new(self.now, &mut self.queue),
            ledger: &mut self.ledger,
            sinks: &mut [],
            overtaking: &|_, _, _| 1.0,
            journal: &mut journal,
        };
        let done = act(&mut self.cluster, &mut at);
        let now = self.now;
        self.journal.extend(journal.into_iter().map(|(a, b, c)| (now, a, b, c)));
        done
    }

    /// The next event, if it is due by then.
    fn step(&mut self, until: SimTime) -> bool {
        if self.queue.next_at().is_none_or(|at| at > until) {
            return false;
        }
        let next = self.queue.pop().unwrap();
        self.still = if next.at == self.now { self.still + 1 } else { 0 };
        assert!(self.still < 10_000, "time stands still at {:?}: {:?}", self.now, next.event);
        self.now = next.at;
        self.act(|cluster, at| cluster.handle(next.event, at));
        true
    }

    /// Everything up to that instant, and what is due at it.
    pub(super) fn run_until(&mut self, instant: SimTime) {
        assert!(instant >= self.now, "{instant:?} is over at {:?}", self.now);
        while self.step(instant) {}
        self.now = instant;
        self.audit();
    }

    pub(super) fn run_to(&mut self, millis: u64) {
        self.run_until(at(millis));
    }

    /// Everything before that instant.
    pub(super) fn run_before(&mut self, millis: u64) {
        self.run_until(SimTime(at(millis).0 - 1));
    }

    /// The instant at which something holds for the first time.
    pub(super) fn when(&mut self, what: &str, holds: impl Fn(&Self) -> bool) -> SimTime {
        let most = self.now + ms(600_000);
        while !holds(self) {
            assert!(self.step(most), "never happened: {what}");
        }
        self.audit();
        self.now
    }

    /// The books balance, and hold what the cluster holds (D-17, D-22).
    fn audit(&self) {
        let producers = 0..self.ledger.producers.len();
        let held: Vec<u64> = producers.map(|it| self.cluster.held(it)).collect();
        let groups = 0..self.ledger.consumers.len();
        let unread: Vec<u64> = groups.map(|it| self.cluster.count_unread(it)).collect();
        self.ledger.audit(&held, &unread);
        self.cluster.audit();
    }

    /// An application hands over records of one key to one partition of its topic.
    pub(super) fn offer(&mut self, flow: u16, partition: u32, records: u32) {
        let bytes = records * RECORD;
        self.ledger.offer(usize::from(flow), u64::from(records), u64::from(bytes));
        let first_seq = self.offered.entry((flow, partition)).or_default();
        let batch = Batch {
            offered_at: self.now,
            first_sent_at: SimTime::MAX,
            first_seq: *first_seq,
            backlog_ns: 0,
            count: records,
            bytes,
            class: KeyClass(partition),
            partition,
            flow: FlowId(flow),
            stride: 1,
            failures: 0,
            already_stored: false,
        };
        *first_seq += u64::from(records);
        self.act(|cluster, at| cluster.offer(FlowId(flow), &mut vec![batch], at));
    }

    pub(super) fn begin(&mut self, fault: &Fault) {
        let hit = self.act(|cluster, at| match fault {
            Fault::Cut(zone) => {
                cluster.cut_zone(*zone, at);
                true
            }
            Fault::Kill(brokers) => brokers.iter().all(|&it| cluster.kill_broker(it, at)),
            Fault::Pause(broker) => cluster.freeze_broker(*broker, at),
            Fault::Stop(broker) => cluster.stop_broker(*broker, at),
            Fault::KillController => cluster.kill_node(0, at),
        });
        assert!(hit, "{fault:?} hit nobody");
    }

    pub(super) fn end(&mut self, fault: &Fault) {
        self.act(|cluster, at| match fault {
            Fault::Cut(zone) => cluster.heal_zone(*zone, at),
            Fault::Kill(brokers) => brokers.iter().for_each(|&it| cluster.start_broker(it, at)),
            Fault::Pause(broker) => cluster.thaw_broker(*broker, at),
            Fault::Stop(broker) => cluster.start_broker(*broker, at),
            Fault::KillController => cluster.start_node(0, at),
        });
    }

    /// `min.insync.replicas` of topic 0 is altered.
    pub(super) fn alter_min_isr(&mut self, replicas: u32) {
        self.cluster.config.topics[0].min_insync_replicas = replicas;
    }

    pub(super) fn partition(&self, number: usize) -> &Partition {
        &self.cluster.partitions[number]
    }

    pub(super) fn log(&self, number: usize) -> &super::super::log::Log {
        &self.cluster.partitions[number].log
    }

    /// The log of a partition, entry by entry: (flow, number of its first record).
    pub(super) fn stored(&self, number: usize) -> Vec<(u16, u64)> {
        let log = self.log(number);
        let entries = (log.start_index()..log.end_index()).filter_map(|index| log.entry(index));
        entries.map(|entry| (entry.flow.0, entry.first_seq)).collect()
    }

    /// When something was written to the journal, whatever its subject.
    pub(super) fn noted(&self, kind: &str) -> Vec<SimTime> {
        self.journal.iter().filter(|it| it.1 == kind).map(|it| it.0).collect()
    }

    /// When a partition of a scenario's topic got the leader that it has.
    pub(super) fn elected(&self, partition: &str) -> SimTime {
        let of = |subject: &str| subject.ends_with(&format!("/{partition}"));
        let mut found = self.journal.iter().filter(|it| it.1 == "leader_elected" && of(&it.2));
        found.next_back().expect("a leader was elected").0
    }

    /// What a group's deliveries waited for, all together, in record-time by cause.
    pub(super) fn blame(&self, group: usize) -> Vec<(String, SimDuration)> {
        let total = self.cluster.groups[group].blame.total();
        total.into_iter().map(|(cause, seconds)| (cause, SimDuration(nanos(seconds)))).collect()
    }

    /// Compares what a group's deliveries waited for, cause by cause; the order does not matter.
    pub(super) fn assert_blame(&self, group: usize, expected: &[(&str, SimDuration)]) {
        let mut expected: Vec<_> =
            expected.iter().map(|(cause, time)| ((*cause).to_owned(), *time)).collect();
        expected.sort();
        assert_eq!(self.blame(group), expected);
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below 2^53")]
fn nanos(seconds: f64) -> u64 {
    (seconds * 1e9).round() as u64
}

/// What breaks.
#[derive(Debug)]
pub(super) enum Fault {
    Cut(usize),
    Kill(Vec<u32>),
    Pause(u32),
    Stop(u32),
    KillController,
}

pub(super) fn cut(zone: usize) -> Fault {
    Fault::Cut(zone)
}

pub(super) fn kill(brokers: &[u32]) -> Fault {
    Fault::Kill(brokers.to_vec())
}

pub(super) fn pause(broker: u32) -> Fault {
    Fault::Pause(broker)
}

pub(super) fn stop(broker: u32) -> Fault {
    Fault::Stop(broker)
}

pub(super) fn kill_controller() -> Fault {
    Fault::KillController
}
