//! What breaks, and what operators do.
//!
//! | Mechanism                                                              | Fact    |
//! |------------------------------------------------------------------------|---------|
//! | a killed process resets its connections, a frozen one does not           | K-PRD-3 |
//! | after an unclean stop segments past the recovery point are read again    | K-LOG-4 |
//! | a broker serves once it is registered                                   | K-KR-5, K-ZK-4 |
//! | controlled shutdown moves leaderships first                             | K-ZK-7, K-KR-5 |
//! | a group stands still without its coordinator                            | K-GRP-10 |
//!
//! Simplifications: a killed process loses nothing that it had appended, since the page cache
//! outlives it; power cuts are not modelled. Recovery reads the active segment of every replica,
//! at the disk's sustained bandwidth.

use crate::config::kafka::Quorum;
use crate::engine::{SimDuration, SimTime};

use super::broker::{Process, time_of};
use super::group::MemberId;
use super::metadata::{BrokerId, BrokerSet, PartitionId};
use super::{At, Cluster, Event};

/// From a broker's start to its first look for old segments (D-28).
const FIRST_RETENTION_CHECK: SimDuration = SimDuration::from_secs(30);

impl Cluster {
    /// How many brokers there are.
    #[must_use]
    pub fn broker_count(&self) -> u32 {
        u32::try_from(self.brokers.len()).expect("at most 128 brokers")
    }

    /// Whether a broker serves.
    #[must_use]
    pub fn broker_runs(&self, number: u32) -> bool {
        self.brokers[number as usize].runs()
    }

    /// How many ZooKeeper servers or KRaft controllers there are.
    #[must_use]
    pub fn node_count(&self) -> u32 {
        number_of(self.controller.node_count())
    }

    /// Whether a node of the quorum runs.
    #[must_use]
    pub fn node_runs(&self, number: u32) -> bool {
        self.controller.node_runs(number as usize)
    }

    /// The node that leads the quorum.
    #[must_use]
    pub fn quorum_leader(&self) -> Option<u32> {
        self.controller.quorum_leader().map(number_of)
    }

    /// The broker that is the active controller (ZooKeeper).
    #[must_use]
    pub fn controller_broker(&self) -> Option<u32> {
        let with_zookeeper = matches!(self.config.quorum, Quorum::ZooKeeper(_));
        self.controller.active_controller().filter(|_| with_zookeeper).map(number_of)
    }

    /// The node that is the active controller (KRaft).
    #[must_use]
    pub fn controller_node(&self) -> Option<u32> {
        let with_kraft = matches!(self.config.quorum, Quorum::KRaft(_));
        self.controller.active_controller().filter(|_| with_kraft).map(number_of)
    }

    /// The broker that coordinates a group: it leads the group's partition of the offsets topic.
    #[must_use]
    pub fn coordinator_of(&self, group: usize) -> Option<u32> {
        let leader = self.partitions[self.coordinators[group].index()].leader;
        leader.map(|broker| u32::from(broker.0))
    }

    /// The broker that leads a partition.
    #[must_use]
    pub fn leader_of(&self, topic: usize, partition: u32) -> Option<u32> {
        let partition = self.metadata.topics[topic].get(partition as usize)?;
        self.partitions[partition.index()].leader.map(|broker| u32::from(broker.0))
    }

    /// A broker's process dies without a word; whether there was one.
    pub fn kill_broker(&mut self, number: u32, at: &mut At<'_, '_>) -> bool {
        self.crash(broker_id(number as usize), at)
    }

    /// Controlled shutdown of a broker; whether it served.
    pub fn stop_broker(&mut self, number: u32, at: &mut At<'_, '_>) -> bool {
        self.shut_down(broker_id(number as usize), at)
    }

    /// A broker's process starts: it recovers its logs, then registers.
    pub fn start_broker(&mut self, number: u32, at: &mut At<'_, '_>) {
        self.start_process(broker_id(number as usize), at);
    }

    /// A broker's process stands still; whether it served.
    pub fn freeze_broker(&mut self, number: u32, at: &mut At<'_, '_>) -> bool {
        self.freeze(broker_id(number as usize), at)
    }

    /// A broker's process that stood still goes on.
    pub fn thaw_broker(&mut self, number: u32, at: &mut At<'_, '_>) {
        self.thaw(broker_id(number as usize), at);
    }

    /// The disk of a broker takes so many times as long from now on: factor in millionths.
    pub fn slow_disk(&mut self, number: u32, factor_ppm: u64, at: &mut At<'_, '_>) {
        self.brokers[number as usize].disk.slow_down(at.ctx.now, factor_ppm);
    }

    /// Nothing passes between a zone and the others any more.
    pub fn cut_zone(&mut self, zone: usize, at: &mut At<'_, '_>) {
        self.links.cut(zone);
        self.relink_all(at);
    }

    /// A zone that was cut off is reached again.
    pub fn heal_zone(&mut self, zone: usize, at: &mut At<'_, '_>) {
        self.links.heal(zone);
        self.relink_all(at);
    }

    /// A node of the quorum dies without a word; whether it ran.
    pub fn kill_node(&mut self, number: u32, at: &mut At<'_, '_>) -> bool {
        let node = number as usize;
        let there = self.controller.node_runs(node) || self.controller.node_is_frozen(node);
        if there {
            self.with_controller(at, |it, scene| it.node_killed(node, scene));
        }
        there
    }

    /// A node of the quorum starts.
    pub fn start_node(&mut self, number: u32, at: &mut At<'_, '_>) {
        self.with_controller(at, |it, scene| it.node_started(number as usize, scene));
    }

    /// A node of the quorum stands still; whether it ran.
    pub fn freeze_node(&mut self, number: u32, at: &mut At<'_, '_>) -> bool {
        let runs = self.node_runs(number);
        if runs {
            self.with_controller(at, |it, scene| it.node_frozen(number as usize, scene));
        }
        runs
    }

    /// A node of the quorum that stood still goes on.
    pub fn thaw_node(&mut self, number: u32, at: &mut At<'_, '_>) {
        if self.controller.node_is_frozen(number as usize) {
            self.with_controller(at, |it, scene| it.node_thawed(number as usize, scene));
        }
    }

    /// A topic gets more partitions, `total` in all (K-PRT-3).
    pub fn add_partitions(&mut self, topic: usize, total: u32, at: &mut At<'_, '_>) {
        self.with_controller(at, |it, scene| it.add_partitions(topic, total, scene));
    }

    /// Leaders are elected for a topic's leaderless partitions, in sync or not (K-ELC-3).
    pub fn elect_unclean(&mut self, topic: usize, at: &mut At<'_, '_>) {
        self.with_controller(at, |it, scene| it.elect_unclean(topic, scene));
    }

    fn crash(&mut self, broker: BrokerId, at: &mut At<'_, '_>) -> bool {
        if self.brokers[broker.index()].process == Process::Dead {
            return false;
        }
        let unflushed = self.active_segments(broker);
        let host = &mut self.brokers[broker.index()];
        host.unclean = true;
        host.unflushed = unflushed;
        self.end_process(broker, at);
        true
    }

    /// A broker's process is gone, one way or the other.
    fn end_process(&mut self, broker: BrokerId, at: &mut At<'_, '_>) {
        self.brokers[broker.index()].process = Process::Dead;
        self.brokers[broker.index()].stopping = false;
        self.starts[broker.index()] += 1;
        self.relink(BrokerSet::of(broker), at);
        self.forget_proposals(broker);
        self.forget_broker_fetches(broker);
        self.with_controller(at, |controller, scene| controller.broker_killed(broker, scene));
        self.reset_connections(broker, at);
        self.review_all(at);
        self.offer_everything(at);
    }

    fn freeze(&mut self, broker: BrokerId, at: &mut At<'_, '_>) -> bool {
        if !self.brokers[broker.index()].runs() {
            return false;
        }
        self.brokers[broker.index()].process = Process::Frozen;
        self.relink(BrokerSet::of(broker), at);
        self.forget_broker_fetches(broker);
        self.with_controller(at, |controller, scene| controller.broker_frozen(broker, scene));
        self.review_all(at);
        self.offer_everything(at);
        true
    }

    fn thaw(&mut self, broker: BrokerId, at: &mut At<'_, '_>) {
        if self.brokers[broker.index()].process != Process::Frozen {
            return;
        }
        self.brokers[broker.index()].process = Process::Running;
        self.with_controller(at, |controller, scene| controller.broker_thawed(broker, scene));
        self.serve_again(broker, at);
    }

    /// A broker that did not serve does so again.
    fn serve_again(&mut self, broker: BrokerId, at: &mut At<'_, '_>) {
        self.relink(BrokerSet::of(broker), at);
        self.review_all(at);
        self.resume_connections(broker, at);
        self.offer_everything(at);
    }

    /// Controlled shutdown: leaderships move first.
    fn shut_down(&mut self, broker: BrokerId, at: &mut At<'_, '_>) -> bool {
        if !self.brokers[broker.index()].runs() || self.brokers[broker.index()].stopping {
            return false;
        }
        self.brokers[broker.index()].stopping = true;
        if self.config.settings.controlled_shutdown {
            self.with_controller(at, |controller, scene| {
                controller.request_shutdown(broker, scene);
            });
        } else {
            self.end_process(broker, at);
        }
        true
    }

    pub(super) fn on_shutdown_granted(&mut self, broker: BrokerId, at: &mut At<'_, '_>) {
        self.note_broker(at, broker, "broker_stopped");
        let restarts = self.brokers[broker.index()].restarts;
        self.end_process(broker, at);
        if restarts {
            self.start_process(broker, at);
        }
    }

    /// A broker's process starts: it recovers its logs, then registers.
    fn start_process(&mut self, broker: BrokerId, at: &mut At<'_, '_>) {
        let host = &mut self.brokers[broker.index()];
        if host.stopping {
            host.restarts = true;
            return;
        }
        if host.process != Process::Dead {
            return;
        }
        host.restarts = false;
        host.process = Process::Starting;
        self.starts[broker.index()] += 1;
        let start = self.starts[broker.index()];
        let mut takes = self.config.hardware.broker_start_time;
        if self.brokers[broker.index()].unclean {
            let bytes = self.brokers[broker.index()].unflushed;
            takes = takes + time_of(bytes, self.config.hardware.disk.bandwidth);
        }
        at.ctx.after(takes, Event::Recovered(broker, start));
    }

    /// Bytes of the active segments of a broker's replicas: what is read again after a crash.
    fn active_segments(&self, broker: BrokerId) -> u64 {
        let held = self.partitions.iter().filter(|it| it.replicas.contains(&broker));
        held.map(|it| it.log.active_size()).sum()
    }

    pub(super) fn on_recovered(&mut self, broker: BrokerId, start: u32, at: &mut At<'_, '_>) {
        let host = &mut self.brokers[broker.index()];
        if host.process != Process::Starting || self.starts[broker.index()] != start {
            return;
        }
        let unclean = std::mem::take(&mut host.unclean);
        self.note_broker(at, broker, "broker_started");
        self.with_controller(at, |controller, scene| {
            controller.broker_started(broker, unclean, scene);
        });
    }

    /// The controller counts on a broker: one that was starting serves from now on.
    pub(super) fn on_unfenced(&mut self, broker: BrokerId, at: &mut At<'_, '_>) {
        self.note_broker(at, broker, "broker_registered");
        if self.brokers[broker.index()].process == Process::Starting {
            self.brokers[broker.index()].process = Process::Running;
            if self.expires() {
                self.begin_retention(broker, FIRST_RETENTION_CHECK, at);
            }
            self.serve_again(broker, at);
        }
        self.propose_returned(broker, at);
    }

    /// Links have changed: everything is looked at anew.
    fn relink_all(&mut self, at: &mut At<'_, '_>) {
        let all: BrokerSet = (0..self.brokers.len()).map(broker_id).collect();
        self.relink(all, at);
        self.with_controller(at, |controller, scene| controller.links_changed(scene));
        self.review_all(at);
        for broker in all.iter() {
            self.resume_connections(broker, at);
        }
        self.offer_everything(at);
    }

    /// A proposal is lost with the process that made it.
    fn forget_proposals(&mut self, broker: BrokerId) {
        for of in self.partitions.iter_mut().filter(|of| of.leader == Some(broker)) {
            of.proposed = None;
        }
    }

    /// Answers of a broker that does not serve never come.
    fn forget_broker_fetches(&mut self, broker: BrokerId) {
        for group in 0..self.groups.len() {
            for member in 0..self.groups[group].members.len() {
                let member = MemberId(u32::try_from(member).expect("fewer than 2^32 members"));
                self.forget_fetch(group, member, broker.index());
            }
        }
    }

    /// Readers look anew where they can fetch.
    pub(super) fn offer_everything(&mut self, at: &mut At<'_, '_>) {
        for group in 0..self.groups.len() {
            self.offer_all(group);
            self.wake_slots(group);
        }
        self.serve_readers(at);
    }

    /// What every partition's state means for its users is looked at anew.
    pub(super) fn review_all(&mut self, at: &mut At<'_, '_>) {
        for number in 0..self.partitions.len() {
            let id = PartitionId(u32::try_from(number).expect("fewer than 2^32 partitions"));
            self.review(id, at);
        }
    }

    /// Whether a partition can be used, and what that means for the groups.
    pub(super) fn review(&mut self, partition: PartitionId, at: &mut At<'_, '_>) {
        let now = at.ctx.now;
        let changed = self.note_usable(partition, now);
        self.note_held(partition, now);
        let topic = self.partitions[partition.index()].topic;
        if changed {
            for place in 0..self.groups_of[topic].len() {
                let group = self.groups_of[topic][place];
                self.choose_cause(group, partition, now);
            }
        }
        if topic + 1 == self.config.topics.len() {
            for group in 0..self.groups.len() {
                if self.coordinators[group] == partition {
                    self.review_coordinator(group, at);
                }
            }
        }
    }

    /// A group's coordinator leads its partition of the offsets topic (K-GRP-10).
    fn review_coordinator(&mut self, group: usize, at: &mut At<'_, '_>) {
        let partition = self.coordinators[group];
        let of = &self.partitions[partition.index()];
        let usable = of.unusable_since.is_none();
        let writable = usable && !of.held.is_held() && of.isr.len() >= self.min_isr(partition);
        self.groups[group].commits = writable;
        let was = std::mem::replace(&mut self.groups[group].coordinated, usable);
        if was && !usable {
            self.note_group(at, group, "coordinator_lost", String::new());
            self.with_group(group, at, |it, ctx, _| it.coordinator_lost(ctx));
        } else if usable && !was {
            self.note_group(at, group, "coordinator_back", String::new());
            self.with_group(group, at, |it, ctx, changes| it.coordinator_back(ctx, changes));
        }
    }

    /// Keeps the time during which a partition has no usable leader; returns whether that changed.
    pub(super) fn note_usable(&mut self, partition: PartitionId, now: SimTime) -> bool {
        let of = &self.partitions[partition.index()];
        let usable = of.leader.is_some_and(|leader| {
            let host = &self.brokers[leader.index()];
            host.runs() && self.links.connected(usize::MAX, host.zone)
        });
        let of = &mut self.partitions[partition.index()];
        match (of.unusable_since, usable) {
            (None, false) => {
                of.unusable_since = Some(now);
                true
            }
            (Some(since), true) => {
                of.unusable_since = None;
                if of.topic + 1 < self.config.topics.len() {
                    let lasted = now.since(since);
                    self.counts.unavailable = self.counts.unavailable + lasted;
                }
                true
            }
            (None, true) | (Some(_), false) => false,
        }
    }

    /// A partition was added to a topic (K-PRT-3).
    pub(super) fn add_partition(&mut self, partition: PartitionId, at: &mut At<'_, '_>) {
        while self.partitions.len() <= partition.index() {
            let next = PartitionId(u32::try_from(self.partitions.len()).expect("few"));
            self.open_partition(next, at);
        }
    }

    fn open_partition(&mut self, partition: PartitionId, at: &mut At<'_, '_>) {
        let state = self.metadata.of(partition).clone();
        let topic = usize::from(state.topic);
        let fetchers = self.config.settings.num_replica_fetchers;
        let name = &self.config.topics[topic].name;
        let fetcher = super::observe::fetcher_of(name, state.number, fetchers);
        let log = super::log::Log::since(super::history::epoch(&self.config));
        self.partitions.push(super::partition::Partition::new(&state, fetcher, log));
        self.waiters.push(std::collections::VecDeque::new());
        for place in 0..self.groups_of[topic].len() {
            let group = self.groups_of[topic][place];
            self.groups[group].add_share(partition, 0);
            let topics = &self.groups[group].config.topics;
            let within = topics.iter().position(|&other| other == topic).unwrap_or(0);
            let within = u16::try_from(within).expect("few topics");
            let total = state.number + 1;
            self.with_group(group, at, |it, ctx, changes| {
                it.partitions_added(within, total, ctx, changes);
            });
        }
        self.note_outsiders(partition);
        if let Some(leader) = state.leader {
            self.greet_followers(partition, leader, at);
        }
        self.review(partition, at);
    }
}

fn broker_id(number: usize) -> BrokerId {
    BrokerId(u16::try_from(number).expect("at most 128 brokers"))
}

fn number_of(place: usize) -> u32 {
    u32::try_from(place).expect("few machines")
}
