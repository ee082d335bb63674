//! What controllers of both kinds have in common: the view of brokers and partitions, and the
//! carrying out of changes.
//!
//! | Mechanism                                                                  | Fact             |
//! |----------------------------------------------------------------------------|------------------|
//! | A broker's failure: another leader where it led, then out of the other ISRs | K-ZK-5, K-KR-4   |
//! | A broker's arrival: partitions without leader get one                      | K-ZK-5, K-ELC-2  |
//! | A leader's wish is checked against epochs and eligible members             | K-ISR-5, K-KR-7  |
//! | Leadership back to the first replica, periodically                         | K-ELC-5, K-ELC-6 |
//! | Unclean sweep of partitions without leader                                 | K-ELC-3          |
//!
//! Only what a broker hosts is looked at when it comes or goes; partitions without leader and those
//! led by another than their first replica are kept in sets.
//!
//! Simplification: a wish is not tried again every 50 ms but waits until it can be heard. The
//! operator's commands reach the controller from anywhere.

use std::collections::BTreeSet;

use crate::config::kafka::{ClusterConfig, ControllerCosts};
use crate::engine::{Ctx, RngStream, SimDuration, SimTime, Ticket, Timers};
use crate::kafka::assignment;
use crate::kafka::metadata::{BrokerId, BrokerSet, Metadata, PartitionId, PartitionState};

use super::election::{Election, Request, decide};
use super::grid::Grid;
use super::work::{Proposal, Step, Work};
use super::{Change, Event, Scene};

/// What KRaft moves in one pass of the rebalance or of the unclean sweep.
const MOVES_PER_PASS: usize = 1_000;
/// And when it goes on if that was not all.
const NEXT_PASS: SimDuration = SimDuration::from_millis(10);
/// `unclean.leader.election.interval.ms`.
const SWEEP_INTERVAL: SimDuration = SimDuration::from_secs(300);

/// What a broker's process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Process {
    /// Runs.
    Running,
    /// Does nothing, its connections stay.
    Frozen,
    /// Is not there.
    Dead,
}

/// A broker as a process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Broker {
    /// Its zone.
    pub(super) zone: usize,
    /// What it does.
    pub(super) process: Process,
    /// It may exit, or was told to: its end is an orderly one.
    pub(super) exiting: bool,
}

/// When leaderships are looked at.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rebalance {
    /// Never.
    Off,
    /// On a grid.
    On(Grid),
    /// An interval after the first partition is led by another than its first replica (KRaft 3.9).
    Since(SimDuration),
}

#[derive(Clone, Copy, Debug)]
struct Topic {
    min_isr: u32,
    unclean: bool,
}

/// Something that a step led to and that depends on the kind of controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Milestone {
    /// A new controller has read the state.
    Loaded,
    /// All that could be moved away from a broker has been.
    MovedAway(BrokerId),
    /// A broker counts as live.
    Joined(BrokerId),
}

/// The common part.
#[derive(Clone)]
pub(super) struct Core {
    config: ClusterConfig,
    pub(super) costs: ControllerCosts,
    pub(super) brokers: Vec<Broker>,
    /// Registered and, with KRaft, not fenced, as the controller sees it.
    pub(super) live: BrokerSet,
    /// In controlled shutdown: neither leader nor in-sync replica any more.
    pub(super) leaving: BrokerSet,
    topics: Vec<Topic>,
    /// By broker: the partitions that it is a replica of.
    hosted: Vec<Vec<PartitionId>>,
    /// By broker: of how many it is the first replica.
    preferred: Vec<u32>,
    leaderless: BTreeSet<PartitionId>,
    imbalanced: BTreeSet<PartitionId>,
    pub(super) work: Work,
    /// Wishes that no controller hears.
    waiting: Vec<Proposal>,
    pub(super) rebalance: Rebalance,
    rebalance_timer: Timers<Event>,
    /// Only KRaft sweeps.
    pub(super) sweep: Option<Grid>,
    sweep_timer: Timers<Event>,
    /// Whether a shutting-down broker keeps what nobody else can lead (ZooKeeper).
    pub(super) shutdown_keeps_last: bool,
}

impl Core {
    /// All brokers run and are registered.
    pub(super) fn new(config: &ClusterConfig) -> Self {
        let running = |&zone| Broker { zone, process: Process::Running, exiting: false };
        let brokers: Vec<Broker> = config.brokers.iter().map(running).collect();
        let topic = |t: &crate::config::kafka::TopicConfig| Topic {
            min_isr: t.min_insync_replicas,
            unclean: t.unclean_leader_election,
        };
        let one = |event: fn(Ticket) -> Event| {
            let mut timers = Timers::new(event);
            timers.add();
            timers
        };
        let mut this = Self {
            costs: config.costs.clone(),
            live: broker_ids(brokers.len()).collect(),
            leaving: BrokerSet::EMPTY,
            topics: config.topics.iter().map(topic).collect(),
            hosted: vec![Vec::new(); brokers.len()],
            preferred: vec![0; brokers.len()],
            leaderless: BTreeSet::new(),
            imbalanced: BTreeSet::new(),
            work: Work::new(config.costs.propagation, Event::StepDue),
            waiting: Vec::new(),
            rebalance: Rebalance::Off,
            rebalance_timer: one(Event::RebalanceDue),
            sweep: None,
            sweep_timer: one(Event::SweepDue),
            shutdown_keeps_last: false,
            config: config.clone(),
            brokers,
        };
        for (partition, state) in Metadata::new(config).iter() {
            this.note_replicas(partition, state);
        }
        this
    }

    fn note_replicas(&mut self, partition: PartitionId, state: &PartitionState) {
        for replica in &state.replicas {
            self.hosted[replica.index()].push(partition);
        }
        if let Some(first) = state.replicas.first() {
            self.preferred[first.index()] += 1;
        }
    }

    /// Every broker, registered or not.
    pub(super) fn broker_ids(&self) -> impl Iterator<Item = BrokerId> + use<> {
        broker_ids(self.brokers.len())
    }

    /// A broker's process.
    pub(super) fn broker(&self, broker: BrokerId) -> &Broker {
        &self.brokers[broker.index()]
    }

    /// Whether a broker's process runs.
    pub(super) fn runs(&self, broker: BrokerId) -> bool {
        self.broker(broker).process == Process::Running
    }

    fn push(&mut self, step: Step, cost: SimDuration, ctx: &mut Ctx<'_, Event>) {
        self.work.push(step, cost, ctx);
    }

    /// A broker is gone as far as the controller is concerned: first others lead where it led, then
    /// it leaves the other ISRs.
    pub(super) fn fail(&mut self, broker: BrokerId, scene: &mut Scene<'_, '_>) {
        self.work.forget_join(broker);
        self.leaving = self.leaving.without(broker);
        if !self.live.has(broker) {
            return;
        }
        self.live = self.live.without(broker);
        scene.changes.push(Change::Fenced { broker });
        self.remove_everywhere(broker, scene);
    }

    /// The steps of a broker's failure, for all that still names it.
    pub(super) fn remove_everywhere(&mut self, broker: BrokerId, scene: &mut Scene<'_, '_>) {
        let cost = self.costs.election;
        for partition in self.led_then_followed(broker, scene.metadata) {
            self.push(Step::Remove { broker, partition }, cost, scene.ctx);
        }
    }

    /// The partitions whose ISR has the broker, those that it leads first.
    fn led_then_followed(&self, broker: BrokerId, metadata: &Metadata) -> Vec<PartitionId> {
        let hosted = self.hosted[broker.index()].iter().copied();
        let in_sync = hosted.filter(|&p| {
            let state = metadata.of(p);
            state.isr.has(broker) || state.leader == Some(broker)
        });
        let (mut led, followed): (Vec<_>, Vec<_>) =
            in_sync.partition(|&p| metadata.of(p).leader == Some(broker));
        led.extend(followed);
        led
    }

    /// A broker is there again, after all that is still to be done about its absence.
    pub(super) fn join(&mut self, broker: BrokerId, ctx: &mut Ctx<'_, Event>) {
        if !self.live.has(broker) && !self.work.has_join(broker) {
            self.push(Step::Join { broker }, SimDuration::ZERO, ctx);
        }
    }

    /// A new controller finds a broker that came while there was none: it is told its partitions,
    /// whether or not the last controller had noticed that it was gone.
    pub(super) fn join_again(&mut self, broker: BrokerId, ctx: &mut Ctx<'_, Event>) {
        self.push(Step::Join { broker }, SimDuration::ZERO, ctx);
    }

    /// A broker wants to stop: the steps that take its leaderships and its places in ISRs.
    pub(super) fn move_away(&mut self, broker: BrokerId, scene: &mut Scene<'_, '_>) {
        self.leaving = self.leaving.with(broker);
        let cost = self.costs.controlled_shutdown;
        for partition in self.led_then_followed(broker, scene.metadata) {
            if scene.metadata.of(partition).replicas.len() > 1 || !self.shutdown_keeps_last {
                self.push(Step::MoveAway { broker, partition }, cost, scene.ctx);
            }
        }
        self.push(Step::MovedAway { broker }, SimDuration::ZERO, scene.ctx);
    }

    /// Whether a broker leads anything that another replica could lead.
    pub(super) fn leads(&self, broker: BrokerId, metadata: &Metadata) -> bool {
        self.hosted[broker.index()].iter().any(|&p| {
            let state = metadata.of(p);
            let counts = state.replicas.len() > 1 || !self.shutdown_keeps_last;
            counts && state.leader == Some(broker)
        })
    }

    /// A broker came back without having closed its logs (only matters with ELR).
    pub(super) fn evict(&mut self, broker: BrokerId, scene: &mut Scene<'_, '_>) {
        if !self.config.settings.eligible_leader_replicas {
            return;
        }
        let cost = self.costs.election;
        for at in 0..self.hosted[broker.index()].len() {
            let partition = self.hosted[broker.index()][at];
            let state = scene.metadata.of(partition);
            if state.isr.has(broker) || state.elr.has(broker) {
                self.push(Step::Evict { broker, partition }, cost, scene.ctx);
            }
        }
    }

    /// A leader's wish: to the controller if it is heard, else it waits.
    pub(super) fn propose(&mut self, wish: Proposal, heard: bool, ctx: &mut Ctx<'_, Event>) {
        if heard {
            self.push(Step::Alter(wish), self.costs.election, ctx);
        } else {
            self.waiting.push(wish);
        }
    }

    /// Whether any wish waits to be heard.
    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Sends the wishes that are heard now; those of dead processes are gone.
    pub(super) fn send_waiting(&mut self, heard: BrokerSet, ctx: &mut Ctx<'_, Event>) {
        for wish in self.take_heard(heard) {
            self.push(Step::Alter(wish), self.costs.election, ctx);
        }
    }

    /// The same without sending them.
    pub(super) fn take_heard(&mut self, heard: BrokerSet) -> Vec<Proposal> {
        let brokers = &self.brokers;
        self.waiting.retain(|wish| brokers[wish.leader.index()].process != Process::Dead);
        let (now, later) = self.waiting.iter().partition(|wish| heard.has(wish.leader));
        self.waiting = later;
        now
    }

    /// More partitions of a topic.
    pub(super) fn create(&mut self, topic: usize, total: u32, scene: &mut Scene<'_, '_>) {
        let has = u32::try_from(scene.metadata.topics[topic].len()).unwrap_or(u32::MAX);
        let cost = self.costs.election.times(u64::from(total.saturating_sub(has)));
        self.push(Step::Create { topic, total }, cost, scene.ctx);
    }

    /// The operator accepts losses.
    pub(super) fn elect_unclean(&mut self, topic: usize, scene: &mut Scene<'_, '_>) {
        let cost = self.costs.election;
        for &partition in &scene.metadata.topics[topic] {
            if self.leaderless.contains(&partition) {
                self.work.push(Step::ElectUnclean { partition }, cost, scene.ctx);
            }
        }
    }

    /// ZooKeeper mode: what a controller had begun is lost with it. Wishes are sent again by their
    /// leaders, the operator's commands are written down; the rest its successor finds by itself.
    pub(super) fn resign(&mut self, scene: &mut Scene<'_, '_>) {
        for step in self.work.forget_uncommitted(scene.ctx) {
            match step {
                Step::Alter(wish) => self.waiting.push(wish),
                Step::Create { topic, total } => self.create(topic, total, scene),
                Step::ElectUnclean { partition } => {
                    let cost = self.costs.election;
                    self.push(Step::ElectUnclean { partition }, cost, scene.ctx);
                }
                Step::Remove { .. }
                | Step::MoveAway { .. }
                | Step::Evict { .. }
                | Step::Join { .. }
                | Step::Elect { .. }
                | Step::Prefer { .. }
                | Step::Loaded
                | Step::MovedAway { .. } => {}
            }
        }
        self.leaving = BrokerSet::EMPTY;
    }

    /// A leader for every partition without one, if there is one to be had.
    pub(super) fn elect_leaderless(&mut self, scene: &mut Scene<'_, '_>) {
        let cost = self.costs.election;
        for &partition in &self.leaderless {
            self.work.push(Step::Elect { partition }, cost, scene.ctx);
        }
    }

    /// A new controller reads the state of every partition before it does anything else.
    pub(super) fn load(&mut self, scene: &mut Scene<'_, '_>) {
        let partitions = u64::try_from(scene.metadata.partitions.len()).unwrap_or(u64::MAX);
        self.push(Step::Loaded, self.costs.state_load.times(partitions), scene.ctx);
    }

    /// Carries out a step that has come into effect.
    pub(super) fn carry_out(&mut self, step: Step, scene: &mut Scene<'_, '_>) -> Option<Milestone> {
        match step {
            Step::Remove { broker, partition } => self.remove(broker, partition, scene),
            Step::MoveAway { broker, partition } => self.move_one_away(broker, partition, scene),
            Step::Evict { broker, partition } => {
                let mut request = self.request(scene.metadata.of(partition));
                request.isr = request.isr.without(broker);
                request.acceptable = request.acceptable.without(broker);
                request.unclean_restart = BrokerSet::of(broker);
                self.change(partition, &request, scene);
            }
            Step::Join { broker } => {
                self.joined(broker, scene);
                return Some(Milestone::Joined(broker));
            }
            Step::Elect { partition } => {
                let request = self.request(scene.metadata.of(partition));
                self.change(partition, &request, scene);
            }
            Step::ElectUnclean { partition } => {
                let mut request = self.request(scene.metadata.of(partition));
                request.election = Election::Unclean;
                self.change(partition, &request, scene);
            }
            Step::Prefer { partition } => {
                let mut request = self.request(scene.metadata.of(partition));
                request.election = Election::Preferred;
                self.change(partition, &request, scene);
            }
            Step::Alter(wish) => self.alter(&wish, scene),
            Step::Create { topic, total } => self.created(topic, total, scene),
            Step::Loaded => return Some(Milestone::Loaded),
            Step::MovedAway { broker } => return Some(Milestone::MovedAway(broker)),
        }
        None
    }

    /// Asks for nothing but a leader.
    fn request(&self, state: &PartitionState) -> Request {
        let topic = self.topics[usize::from(state.topic)];
        let elr = self.config.settings.eligible_leader_replicas;
        Request {
            isr: state.isr,
            acceptable: self.eligible(),
            unclean_restart: BrokerSet::EMPTY,
            election: if topic.unclean { Election::Unclean } else { Election::Clean },
            elr_below: elr.then(|| state.min_isr(topic.min_isr)),
        }
    }

    /// Who may lead and be in sync.
    pub(super) fn eligible(&self) -> BrokerSet {
        self.live.iter().filter(|&broker| !self.leaving.has(broker)).collect()
    }

    fn remove(&mut self, broker: BrokerId, partition: PartitionId, scene: &mut Scene<'_, '_>) {
        let mut request = self.request(scene.metadata.of(partition));
        request.isr = request.isr.without(broker);
        request.acceptable = request.acceptable.without(broker);
        self.change(partition, &request, scene);
    }

    fn move_one_away(
        &mut self,
        broker: BrokerId,
        partition: PartitionId,
        scene: &mut Scene<'_, '_>,
    ) {
        let state = scene.metadata.of(partition);
        let eligible = self.eligible();
        let others = state.isr.intersection(eligible).without(broker);
        if others.is_empty() && self.shutdown_keeps_last {
            return;
        }
        self.remove(broker, partition, scene);
    }

    fn joined(&mut self, broker: BrokerId, scene: &mut Scene<'_, '_>) {
        self.live = self.live.with(broker);
        scene.changes.push(Change::Unfenced { broker });
        let cost = self.costs.election;
        let leaderless: Vec<_> = {
            let hosted = self.hosted[broker.index()].iter().copied();
            hosted.filter(|p| self.leaderless.contains(p)).collect()
        };
        for partition in leaderless {
            self.push(Step::Elect { partition }, cost, scene.ctx);
        }
    }

    /// A leader's wish arrives: committed or refused.
    pub(super) fn alter(&mut self, wish: &Proposal, scene: &mut Scene<'_, '_>) {
        let partition = wish.partition;
        let state = scene.metadata.of(partition);
        let current = state.leader == Some(wish.leader)
            && state.leader_epoch == wish.leader_epoch
            && state.partition_epoch == wish.partition_epoch;
        let eligible = wish.isr.intersection(self.eligible()) == wish.isr;
        let sane =
            wish.isr.has(wish.leader) && wish.isr.intersection(state.replica_set()) == wish.isr;
        if !(current && eligible && sane) {
            scene.changes.push(Change::IsrRefused { partition });
            return;
        }
        let mut request = self.request(state);
        request.isr = wish.isr;
        request.election = Election::Clean;
        if !self.change(partition, &request, scene) {
            // Nothing to change is an answer too.
            scene.changes.push(Change::Partition(partition));
        }
    }

    /// A leader's wish, written by the leader itself: nobody looks at its members (2.4).
    pub(super) fn alter_unchecked(&mut self, wish: &Proposal, scene: &mut Scene<'_, '_>) {
        let partition = wish.partition;
        let state = scene.metadata.of_mut(partition);
        let current = state.leader == Some(wish.leader)
            && state.partition_epoch == wish.partition_epoch
            && wish.isr.has(wish.leader);
        if !current {
            scene.changes.push(Change::IsrRefused { partition });
            return;
        }
        state.isr = wish.isr;
        state.partition_epoch += 1;
        scene.changes.push(Change::Partition(partition));
    }

    fn created(&mut self, topic: usize, total: u32, scene: &mut Scene<'_, '_>) {
        let has = u32::try_from(scene.metadata.topics[topic].len()).unwrap_or(u32::MAX);
        for number in has..total {
            let listed = self.config.topics[topic].assignment.get(number as usize);
            let replicas = match listed {
                Some(ids) => ids.iter().map(|&id| broker_id(id)).collect(),
                None => assignment::place(&self.config, topic, number),
            };
            let partition = scene.metadata.add(topic, replicas);
            // A new partition begins with those of its replicas that are there.
            let eligible = self.eligible();
            let state = scene.metadata.of_mut(partition);
            let there = state.replica_set().intersection(eligible);
            if !there.is_empty() {
                state.isr = there;
            }
            state.leader = state.replicas.iter().copied().find(|&broker| there.has(broker));
            let state = scene.metadata.of(partition);
            self.note_replicas(partition, state);
            self.note_leader(partition, state);
            scene.changes.push(Change::Partition(partition));
        }
    }

    /// Decides and commits; whether anything changed.
    fn change(
        &mut self,
        partition: PartitionId,
        request: &Request,
        scene: &mut Scene<'_, '_>,
    ) -> bool {
        let state = scene.metadata.of_mut(partition);
        let effect = decide(state, request).apply(state);
        if !effect.changed {
            return false;
        }
        self.note_leader(partition, scene.metadata.of(partition));
        scene.changes.push(Change::Partition(partition));
        if effect.elected {
            scene.changes.push(Change::Elected(partition));
        }
        if effect.unclean {
            scene.changes.push(Change::UncleanElection(partition));
        }
        true
    }

    fn note_leader(&mut self, partition: PartitionId, state: &PartitionState) {
        if state.leader.is_none() {
            self.leaderless.insert(partition);
        } else {
            self.leaderless.remove(&partition);
        }
        if state.leader == state.replicas.first().copied() {
            self.imbalanced.remove(&partition);
        } else {
            self.imbalanced.insert(partition);
        }
    }

    /// Takes note of a leader that a test has set.
    #[cfg(test)]
    pub(super) fn note_for_test(&mut self, partition: PartitionId, metadata: &Metadata) {
        self.note_leader(partition, metadata.of(partition));
    }

    /// Plans the next periodic looks at leaders, if they would find anything.
    pub(super) fn plan_looks(&mut self, ctx: &mut Ctx<'_, Event>) {
        if !self.imbalanced.is_empty() && self.rebalance_timer.deadline(0).is_none() {
            match self.rebalance {
                Rebalance::Off => {}
                Rebalance::On(grid) => {
                    self.rebalance_timer.arm(0, grid.next_after(ctx.now), ctx);
                }
                Rebalance::Since(interval) => {
                    self.rebalance_timer.arm(0, ctx.now + interval, ctx);
                }
            }
        }
        if let Some(grid) = self.sweep
            && !self.leaderless.is_empty()
            && self.sweep_timer.deadline(0).is_none()
            && self.topics.iter().any(|topic| topic.unclean)
        {
            self.sweep_timer.arm(0, grid.next_after(ctx.now), ctx);
        }
    }

    /// A new controller has its own periods.
    pub(super) fn restart_looks(&mut self, now: SimTime, after: SimDuration) {
        self.rebalance_timer.disarm(0);
        self.sweep_timer.disarm(0);
        if let Rebalance::On(_) = self.rebalance {
            let interval = self.config.settings.leader_imbalance_check_interval;
            self.rebalance = Rebalance::On(Grid::new(now + after, interval));
        }
        if self.sweep.is_some() {
            self.sweep = Some(Grid::new(now + SWEEP_INTERVAL, SWEEP_INTERVAL));
        }
    }

    /// The unclean sweep of KRaft, on a grid with the given phase.
    pub(super) fn sweep_from(&mut self, rng: &mut RngStream) {
        self.sweep = Some(Grid::drawn(SimTime::ZERO, SWEEP_INTERVAL, rng));
    }

    /// KRaft looks at leaderships: all that is imbalanced, a thousand at a time.
    pub(super) fn on_rebalance_due(
        &mut self,
        ticket: Ticket,
        runs: bool,
        scene: &mut Scene<'_, '_>,
    ) {
        if !self.rebalance_timer.fires(ticket, scene.ctx) || !runs {
            return;
        }
        let (eligible, metadata) = (self.eligible(), &*scene.metadata);
        let all = self.imbalanced.iter().copied();
        let mut movable: Vec<PartitionId> =
            all.filter(|&p| may_go_back(metadata.of(p), eligible)).collect();
        if self.shutdown_keeps_last {
            let over = self.over_limit(metadata);
            movable.retain(|&p| over.has(metadata.of(p).replicas[0]));
        } else if MOVES_PER_PASS < movable.len() {
            movable.truncate(MOVES_PER_PASS);
            let moves = u64::try_from(movable.len()).unwrap_or(u64::MAX);
            let spent = self.costs.election.times(moves) + self.costs.propagation;
            self.rebalance_timer.arm(0, scene.ctx.now + NEXT_PASS + spent, scene.ctx);
        }
        let cost = self.costs.election;
        for partition in movable {
            self.push(Step::Prefer { partition }, cost, scene.ctx);
        }
    }

    /// ZooKeeper mode: the brokers that lead too little of what they are the first replica of.
    fn over_limit(&self, metadata: &Metadata) -> BrokerSet {
        let mut missing = vec![0_u64; self.brokers.len()];
        for &partition in &self.imbalanced {
            if let Some(first) = metadata.of(partition).replicas.first() {
                missing[first.index()] += 1;
            }
        }
        let percent = u64::from(self.config.settings.leader_imbalance_percent);
        let over = |broker: &BrokerId| {
            missing[broker.index()] * 100 > percent * u64::from(self.preferred[broker.index()])
        };
        self.broker_ids().filter(over).collect()
    }

    /// KRaft looks for partitions without leader whose topics accept losses.
    pub(super) fn on_sweep_due(&mut self, ticket: Ticket, runs: bool, scene: &mut Scene<'_, '_>) {
        if !self.sweep_timer.fires(ticket, scene.ctx) || !runs {
            return;
        }
        let cost = self.costs.election;
        for &partition in self.leaderless.iter().take(MOVES_PER_PASS) {
            if self.topics[usize::from(scene.metadata.of(partition).topic)].unclean {
                self.work.push(Step::ElectUnclean { partition }, cost, scene.ctx);
            }
        }
    }

    /// Checks what must always hold.
    pub(super) fn audit(&self, metadata: &Metadata) {
        for (partition, state) in metadata.iter() {
            let replicas = state.replica_set();
            let within = |set: BrokerSet| set.intersection(replicas) == set;
            assert!(within(state.isr) && within(state.elr), "{partition:?}: {state:?}");
            assert!(state.isr.intersection(state.elr).is_empty(), "{partition:?}: {state:?}");
            if let Some(leader) = state.leader {
                assert!(state.isr.has(leader), "{partition:?}: {state:?}");
            }
            let elr = self.config.settings.eligible_leader_replicas;
            assert!(elr || !state.isr.is_empty(), "{partition:?}: {state:?}");
            assert_eq!(self.leaderless.contains(&partition), state.leader.is_none());
            let first_leads = state.leader == state.replicas.first().copied();
            assert_ne!(self.imbalanced.contains(&partition), first_leads, "{partition:?}");
        }
    }
}

/// Whether the first replica can lead again.
fn may_go_back(state: &PartitionState, eligible: BrokerSet) -> bool {
    state.replicas.first().is_some_and(|&first| {
        eligible.has(first) && state.isr.has(first) && state.leader != Some(first)
    })
}

fn broker_id(index: usize) -> BrokerId {
    BrokerId(u16::try_from(index).expect("at most 128 brokers"))
}

fn broker_ids(count: usize) -> impl Iterator<Item = BrokerId> {
    (0..count).map(broker_id)
}
