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

use crate::config::Happening;
use crate::engine::{SimDuration, SimTime};

use super::broker::{Process, time_of};
use super::group::MemberId;
use super::metadata::{BrokerId, BrokerSet, PartitionId};
use super::{At, Cluster, Event};

/// From a broker's start to its first look for old segments (D-28).
const FIRST_RETENTION_CHECK: SimDuration = SimDuration::from_secs(30);

impl Cluster {
    /// A planned happening begins; returns how many things it hit.
    pub fn begin(&mut self, what: &Happening, at: &mut At<'_, '_>) -> u64 {
        let ids = |numbers: &[usize]| -> Vec<BrokerId> {
            numbers.iter().map(|&number| broker_id(number)).collect()
        };
        #[expect(clippy::wildcard_enum_match_arm, reason = "the others are not a cluster's")]
        match what {
            Happening::KillBrokers { brokers, .. } => {
                let hit = |it: &mut Self, broker, at: &mut At<'_, '_>| it.kill_broker(broker, at);
                self.each(&ids(brokers), hit, at)
            }
            Happening::PauseBrokers { brokers, .. } => {
                self.each(&ids(brokers), |it, broker, at| it.freeze_broker(broker, at), at)
            }
            Happening::StopBrokers { brokers, .. } => {
                self.each(&ids(brokers), |it, broker, at| it.stop_broker(broker, at), at)
            }
            Happening::SlowDisks { brokers, factor_ppm, .. } => {
                for &broker in brokers {
                    self.brokers[broker].disk.slow_down(at.ctx.now, *factor_ppm);
                }
                brokers.len() as u64
            }
            Happening::CutZone { zone, .. } => {
                self.links.cut(*zone);
                self.relink_all(at);
                1
            }
            Happening::KillQuorumNodes { nodes, .. } => {
                for &node in nodes {
                    self.with_controller(at, |controller, scene| {
                        controller.node_killed(node, scene);
                    });
                }
                nodes.len() as u64
            }
            Happening::AddPartitions { topic, total, .. } => {
                self.with_controller(at, |controller, scene| {
                    controller.add_partitions(*topic, *total, scene);
                });
                1
            }
            Happening::ElectUnclean { topic, .. } => {
                self.with_controller(at, |controller, scene| {
                    controller.elect_unclean(*topic, scene);
                });
                1
            }
            _ => 0,
        }
    }

    /// A planned happening ends.
    pub fn end(&mut self, what: &Happening, at: &mut At<'_, '_>) {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the others are not a cluster's")]
        match what {
            Happening::KillBrokers { brokers, .. } | Happening::StopBrokers { brokers, .. } => {
                for &broker in brokers {
                    self.start_broker(broker_id(broker), at);
                }
            }
            Happening::PauseBrokers { brokers, .. } => {
                for &broker in brokers {
                    self.thaw_broker(broker_id(broker), at);
                }
            }
            Happening::SlowDisks { brokers, .. } => {
                for &broker in brokers {
                    self.brokers[broker].disk.slow_down(at.ctx.now, 1_000_000);
                }
            }
            Happening::CutZone { zone, .. } => {
                self.links.heal(*zone);
                self.relink_all(at);
            }
            Happening::KillQuorumNodes { nodes, .. } => {
                for &node in nodes {
                    self.with_controller(at, |controller, scene| {
                        controller.node_started(node, scene);
                    });
                }
            }
            _ => {}
        }
    }

    fn each(
        &mut self,
        brokers: &[BrokerId],
        mut hit: impl FnMut(&mut Self, BrokerId, &mut At<'_, '_>) -> bool,
        at: &mut At<'_, '_>,
    ) -> u64 {
        brokers.iter().map(|&broker| u64::from(hit(self, broker, at))).sum()
    }

    fn kill_broker(&mut self, broker: BrokerId, at: &mut At<'_, '_>) -> bool {
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

    fn freeze_broker(&mut self, broker: BrokerId, at: &mut At<'_, '_>) -> bool {
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

    fn thaw_broker(&mut self, broker: BrokerId, at: &mut At<'_, '_>) {
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
    fn stop_broker(&mut self, broker: BrokerId, at: &mut At<'_, '_>) -> bool {
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
            self.start_broker(broker, at);
        }
    }

    /// A broker's process starts: it recovers its logs, then registers.
    fn start_broker(&mut self, broker: BrokerId, at: &mut At<'_, '_>) {
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
        self.partitions.push(super::partition::Partition::new(&state, fetcher));
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
