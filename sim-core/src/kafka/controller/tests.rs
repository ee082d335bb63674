//! A bench that runs the controller on a queue of its own and checks the laws after every event.

mod chaos;
mod kraft;
mod laws;
mod numbers;
mod zookeeper;

use std::collections::BTreeMap;

use super::*;
use crate::config::kafka::{
    BrokerSettings, ControllerCosts, DiskConfig, Hardware, KRaftConfig, KafkaVersion, TopicConfig,
    ZooKeeperConfig,
};
use crate::engine::{EventQueue, SimDuration, SimTime};

fn secs(s: u64) -> SimDuration {
    SimDuration::from_secs(s)
}

fn ms(ms: u64) -> SimDuration {
    SimDuration::from_millis(ms)
}

fn at(s: f64) -> SimTime {
    SimTime(ms_of(s) * 1_000_000)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "test instants")]
fn ms_of(s: f64) -> u64 {
    (s * 1e3).round() as u64
}

fn b(index: u16) -> BrokerId {
    BrokerId(index)
}

fn p(index: u32) -> PartitionId {
    PartitionId(index)
}

fn kraft_quorum(zones: &[usize], combined: bool) -> Quorum {
    Quorum::KRaft(KRaftConfig {
        nodes: zones.to_vec(),
        combined,
        fetch_timeout: secs(2),
        election_timeout: secs(1),
        election_backoff_max: secs(1),
        heartbeat_interval: secs(2),
        session_timeout: secs(9),
    })
}

fn zookeeper_quorum(zones: &[usize], session: u64) -> Quorum {
    Quorum::ZooKeeper(ZooKeeperConfig {
        nodes: zones.to_vec(),
        tick_time: secs(2),
        sync_limit: 5,
        init_limit: 10,
        session_timeout: secs(session),
        max_in_flight: 10,
    })
}

fn topic(name: &str, partitions: u32, replication_factor: u32) -> TopicConfig {
    TopicConfig {
        name: name.to_owned(),
        partitions,
        replication_factor,
        min_insync_replicas: 1,
        unclean_leader_election: false,
        retention: None,
        retention_bytes: None,
        segment_bytes: 1 << 30,
        segment_time: secs(7 * 86_400),
        assignment: Vec::new(),
        history: None,
    }
}

/// A topic with one listed partition.
fn listed(replicas: &[usize]) -> TopicConfig {
    let replication_factor = u32::try_from(replicas.len()).unwrap();
    TopicConfig { assignment: vec![replicas.to_vec()], ..topic("listed", 1, replication_factor) }
}

/// Three zones in turn, no cost but what a test sets.
fn cluster(
    version: KafkaVersion,
    quorum: Quorum,
    brokers: usize,
    topics: Vec<TopicConfig>,
) -> ClusterConfig {
    ClusterConfig {
        name: "main".to_owned(),
        version,
        zones: vec!["a".to_owned(), "b".to_owned(), "c".to_owned()],
        brokers: (0..brokers).map(|broker| broker % 3).collect(),
        quorum,
        topics,
        settings: BrokerSettings::of_3_9(),
        hardware: hardware(),
        costs: ControllerCosts {
            election: SimDuration::ZERO,
            state_load: SimDuration::ZERO,
            controlled_shutdown: SimDuration::ZERO,
            propagation: SimDuration::ZERO,
        },
    }
}

fn hardware() -> Hardware {
    Hardware {
        disk: DiskConfig { bandwidth: 1, burst_bandwidth: 1, burst_credits: 0 },
        network: 1,
        page_cache: 1,
        rtt_in_zone: SimDuration::ZERO,
        rtt_across_zones: SimDuration::ZERO,
        request_time: SimDuration::ZERO,
        fetch_time_per_partition: SimDuration::ZERO,
        broker_start_time: SimDuration::ZERO,
        max_map_count: 65_530,
    }
}

struct Bench {
    controller: Controller,
    metadata: Metadata,
    links: Links,
    queue: EventQueue<Event>,
    now: SimTime,
    log: Vec<(SimTime, Change)>,
    events: usize,
    /// Who led each partition in which epoch.
    epochs: BTreeMap<(PartitionId, u32), Option<BrokerId>>,
}

impl Bench {
    fn new(config: &ClusterConfig, seed: u64) -> Self {
        Self {
            controller: Controller::new(config, &Rngs::new(seed)),
            metadata: Metadata::new(config),
            links: Links::default(),
            queue: EventQueue::new(),
            now: SimTime::ZERO,
            log: Vec::new(),
            events: 0,
            epochs: BTreeMap::new(),
        }
    }

    /// Calls the controller at the present instant.
    fn call(&mut self, what: impl FnOnce(&mut Controller, &mut Scene<'_, '_>)) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut ctx = Ctx::new(self.now, &mut self.queue);
        let mut scene = Scene {
            metadata: &mut self.metadata,
            links: &self.links,
            ctx: &mut ctx,
            changes: &mut changes,
        };
        what(&mut self.controller, &mut scene);
        if self.metadata.partitions.len() < 100 || self.events.is_multiple_of(100) {
            self.controller.audit(&self.metadata);
        }
        self.log.extend(changes.iter().map(|&change| (self.now, change)));
        self.check_epochs(&changes);
        changes
    }

    /// One leader in an epoch, and epochs only grow.
    fn check_epochs(&mut self, changes: &[Change]) {
        for change in changes {
            let Change::Partition(id) = *change else { continue };
            let state = self.metadata.of(id);
            let leader = *self.epochs.entry((id, state.leader_epoch)).or_insert(state.leader);
            assert_eq!(leader, state.leader, "{id:?} in epoch {}", state.leader_epoch);
            let latest = self.epochs.range((id, 0)..=(id, u32::MAX)).next_back();
            assert_eq!(latest.map(|(&(_, epoch), _)| epoch), Some(state.leader_epoch));
        }
    }

    /// Handles an event without the audit, for clusters with very many partitions.
    fn quick(&mut self, event: Event) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut ctx = Ctx::new(self.now, &mut self.queue);
        let mut scene = Scene {
            metadata: &mut self.metadata,
            links: &self.links,
            ctx: &mut ctx,
            changes: &mut changes,
        };
        self.controller.handle(event, &mut scene);
        changes
    }

    fn run_until(&mut self, end: SimTime) {
        while self.queue.next_at().is_some_and(|at| at <= end) {
            let popped = self.queue.pop().unwrap();
            self.now = popped.at;
            self.events += 1;
            self.call(|controller, scene| controller.handle(popped.event, scene));
        }
        self.now = end;
    }

    fn run_for(&mut self, time: SimDuration) {
        self.run_until(self.now + time);
    }

    fn kill(&mut self, broker: BrokerId) {
        self.call(|c, scene| c.broker_killed(broker, scene));
    }

    fn freeze(&mut self, broker: BrokerId) {
        self.call(|c, scene| c.broker_frozen(broker, scene));
    }

    fn thaw(&mut self, broker: BrokerId) {
        self.call(|c, scene| c.broker_thawed(broker, scene));
    }

    fn start(&mut self, broker: BrokerId) {
        self.call(|c, scene| c.broker_started(broker, false, scene));
    }

    fn start_unclean(&mut self, broker: BrokerId) {
        self.call(|c, scene| c.broker_started(broker, true, scene));
    }

    fn kill_node(&mut self, node: usize) {
        self.call(|c, scene| c.node_killed(node, scene));
    }

    fn start_node(&mut self, node: usize) {
        self.call(|c, scene| c.node_started(node, scene));
    }

    fn cut(&mut self, zone: usize) {
        self.links.cut(zone);
        self.call(|c, scene| c.links_changed(scene));
    }

    fn heal(&mut self, zone: usize) {
        self.links.heal(zone);
        self.call(|c, scene| c.links_changed(scene));
    }

    fn shut_down(&mut self, broker: BrokerId) {
        self.call(|c, scene| c.request_shutdown(broker, scene));
    }

    fn wish(&mut self, partition: PartitionId, isr: &[u16]) {
        let state = self.metadata.of(partition);
        let wish = Proposal {
            leader: state.leader.unwrap(),
            partition,
            leader_epoch: state.leader_epoch,
            partition_epoch: state.partition_epoch,
            isr: isr.iter().map(|&id| BrokerId(id)).collect(),
        };
        self.call(|c, scene| c.alter_isr(wish, scene));
    }

    /// When a change first came at `from` or later.
    fn when_from(&self, from: SimTime, change: Change) -> Option<SimTime> {
        let mut found = self.log.iter().filter(|&&(at, c)| from <= at && c == change);
        found.next().map(|&(at, _)| at)
    }

    fn when(&self, change: Change) -> Option<SimTime> {
        self.when_from(SimTime::ZERO, change)
    }

    fn count(&self, wanted: impl Fn(Change) -> bool) -> usize {
        self.log.iter().filter(|&&(_, change)| wanted(change)).count()
    }

    fn leader(&self, partition: PartitionId) -> Option<BrokerId> {
        self.metadata.of(partition).leader
    }

    fn isr(&self, partition: PartitionId) -> Vec<u16> {
        self.metadata.of(partition).isr.iter().map(|broker| broker.0).collect()
    }

    fn elr(&self, partition: PartitionId) -> Vec<u16> {
        self.metadata.of(partition).elr.iter().map(|broker| broker.0).collect()
    }
}
