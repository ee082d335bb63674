//! ZooKeeper mode: one of the brokers is the controller, by an ephemeral node; brokers are
//! registered by theirs.
//!
//! | Mechanism                                                                    | Fact             |
//! |------------------------------------------------------------------------------|------------------|
//! | Registration and /controller end with their session                          | K-ZK-1, K-ZK-4   |
//! | An orderly end closes the session at once                                    | K-ZK-4           |
//! | A restart inside the old session has to wait for its end                     | K-ZK-4           |
//! | A new registration that the controller sees late is a failure and a start    | K-ZK-5           |
//! | Failover: race, state of every partition, then all that is due               | K-ZK-6, V-50     |
//! | The dead controller's own partitions are among that                          | K-NUM-4          |
//! | Controlled shutdown in three tries                                           | K-ZK-7, V-48     |
//! | Without quorum no change of any kind                                         | K-ZKL-2, K-ZKL-3 |
//! | Quorum back: a broker that died meanwhile expires one timeout later          | K-ZKL-6          |
//! | Up to 2.6 a leader writes its ISR to ZooKeeper itself                        | K-ISR-5, K-ZKL-3 |
//!
//! Simplification: a broker that was refused tries again every 2 s,
//! for ever; really its process exits and is started again. A broker that stops without quorum waits
//! for it (its ZooKeeper calls do not time out).

use std::collections::VecDeque;

use crate::config::kafka::{ClusterConfig, KafkaVersion, ZooKeeperConfig};
use crate::engine::{RngStream, SimDuration, SimTime, Ticket, Timers};
use crate::kafka::metadata::{BrokerId, BrokerSet};

use super::core::{Core, Milestone, Process, Rebalance};
use super::ensemble::Ensemble;
use super::grid::Grid;
use super::nodes::{Node, Now};
use super::session::{Sessions, broker_of};
use super::work::Proposal;
use super::{Change, Event, Scene};

/// From the end of /controller until another broker has created it. An assumption.
const RACE_TIME: SimDuration = SimDuration::from_millis(20);
/// Between two tries to register.
const START_RETRY: SimDuration = SimDuration::from_secs(2);
/// `controlled.shutdown.max.retries`.
const SHUTDOWN_TRIES: u8 = 3;
/// `controlled.shutdown.retry.backoff.ms`.
const SHUTDOWN_RETRY: SimDuration = SimDuration::from_secs(5);
/// `controller.socket.timeout.ms`: a try at a controller that is out of reach.
const SHUTDOWN_TIMEOUT: SimDuration = SimDuration::from_secs(30);
/// The first look at leaderships of a new controller.
const FIRST_LOOK: SimDuration = SimDuration::from_secs(5);

/// The ensemble, the sessions and the controller.
#[derive(Clone)]
pub(super) struct ZooKeeper {
    ensemble: Ensemble,
    sessions: Sessions,
    active: Option<BrokerId>,
    /// It has read the state.
    loaded: bool,
    /// Brokers came or went while it was out of touch.
    missed: bool,
    brokers: Vec<Starting>,
    /// Whether leaders write their ISRs themselves.
    direct_writes: bool,
    writes: VecDeque<(SimTime, Proposal)>,
    write: Timers<Event>,
    race: Timers<Event>,
    start: Timers<Event>,
    shutdown: Timers<Event>,
    controlled_shutdown: bool,
    rng: RngStream,
}

/// A broker that starts or stops.
#[derive(Clone, Copy, Debug, Default)]
struct Starting {
    refused: bool,
    /// It registered while nobody was there to see it.
    unseen: bool,
    /// Tries to stop so far.
    stopping: Option<u8>,
}

impl ZooKeeper {
    /// Everything runs, broker 0 is the controller; phases are drawn.
    pub(super) fn new(
        cluster: &ClusterConfig,
        config: &ZooKeeperConfig,
        core: &mut Core,
        rng: &mut RngStream,
    ) -> Self {
        let ensemble = Ensemble::new(config, rng);
        let sessions = Sessions::new(config, core.brokers.len(), rng);
        let settings = &cluster.settings;
        if settings.auto_leader_rebalance {
            let interval = settings.leader_imbalance_check_interval;
            core.rebalance = Rebalance::On(Grid::drawn(SimTime::ZERO, interval, rng));
        }
        core.shutdown_keeps_last = true;
        let timers = |count: usize, event: fn(Ticket) -> Event| {
            let mut timers = Timers::new(event);
            for _ in 0..count {
                timers.add();
            }
            timers
        };
        let brokers = core.brokers.len();
        Self {
            ensemble,
            sessions,
            active: core.broker_ids().next(),
            loaded: true,
            missed: false,
            brokers: vec![Starting::default(); brokers],
            direct_writes: cluster.version == KafkaVersion::V2_4,
            writes: VecDeque::new(),
            write: timers(1, Event::WriteDue),
            race: timers(1, Event::ControllerRaced),
            start: timers(brokers, Event::StartTried),
            shutdown: timers(brokers, Event::ShutdownTried),
            controlled_shutdown: settings.controlled_shutdown,
            rng: rng.clone(),
        }
    }

    pub(super) fn quorum_available(&self) -> bool {
        self.ensemble.serves()
    }

    pub(super) fn nodes(&self) -> &[Node] {
        &self.ensemble.nodes
    }

    pub(super) fn ensemble_leader(&self) -> Option<usize> {
        self.ensemble.leader()
    }

    pub(super) fn active(&self) -> Option<usize> {
        self.active.map(BrokerId::index)
    }

    /// Whether the controller can write.
    pub(super) fn can_work(&self, core: &Core, _scene: &Scene<'_, '_>) -> bool {
        let connected = |broker: BrokerId| core.runs(broker) && self.sessions.connected(broker);
        self.ensemble.serves() && self.active.is_some_and(connected)
    }

    /// Whose wishes arrive: at the controller, or at ZooKeeper itself.
    pub(super) fn heard(&self, core: &Core, scene: &Scene<'_, '_>) -> BrokerSet {
        core.broker_ids().filter(|&broker| self.hears(core, broker, scene)).collect()
    }

    fn hears(&self, core: &Core, broker: BrokerId, scene: &Scene<'_, '_>) -> bool {
        if !core.runs(broker) {
            return false;
        }
        if self.direct_writes {
            return self.ensemble.serves() && self.sessions.connected(broker);
        }
        let zone = |of: BrokerId| core.broker(of).zone;
        let linked = |to: BrokerId| scene.links.connected(zone(broker), zone(to));
        self.can_work(core, scene) && self.active.is_some_and(linked)
    }

    pub(super) fn alter_isr(&mut self, core: &mut Core, wish: Proposal, scene: &mut Scene<'_, '_>) {
        let heard = self.hears(core, wish.leader, scene);
        if heard && self.direct_writes {
            self.write(core, wish, scene);
        } else {
            core.propose(wish, heard, scene.ctx);
        }
    }

    pub(super) fn send_waiting(
        &mut self,
        core: &mut Core,
        heard: BrokerSet,
        scene: &mut Scene<'_, '_>,
    ) {
        if self.direct_writes {
            for wish in core.take_heard(heard) {
                self.write(core, wish, scene);
            }
        } else {
            core.send_waiting(heard, scene.ctx);
        }
    }

    fn write(&mut self, core: &Core, wish: Proposal, scene: &mut Scene<'_, '_>) {
        let due = scene.ctx.now + core.costs.propagation;
        self.writes.push_back((due, wish));
        self.arm_write(scene);
    }

    fn arm_write(&mut self, scene: &mut Scene<'_, '_>) {
        if let Some(&(due, _)) = self.writes.front() {
            self.write.arm(0, due, scene.ctx);
        }
    }

    /// A leader's own write takes effect.
    pub(super) fn on_write_due(
        &mut self,
        core: &mut Core,
        ticket: Ticket,
        scene: &mut Scene<'_, '_>,
    ) {
        if !self.write.fires(ticket, scene.ctx) {
            return;
        }
        while let Some(&(due, wish)) = self.writes.front() {
            if scene.ctx.now < due {
                break;
            }
            self.writes.pop_front();
            core.alter_unchecked(&wish, scene);
        }
        self.arm_write(scene);
    }

    pub(super) fn on_session_ended(
        &mut self,
        core: &mut Core,
        ticket: Ticket,
        scene: &mut Scene<'_, '_>,
    ) {
        if let Some(broker) = self.sessions.expired(ticket, scene) {
            self.end_session(core, broker, scene);
        }
    }

    /// A session is over, and with it what it registered.
    fn end_session(&mut self, core: &mut Core, broker: BrokerId, scene: &mut Scene<'_, '_>) {
        self.sessions.close(broker);
        if self.active == Some(broker) {
            self.active = None;
            self.loaded = false;
            scene.changes.push(Change::ControllerChanged { to: None });
            core.resign(scene);
            self.ask_again_to_stop(core, scene);
            self.race.arm(0, scene.ctx.now + RACE_TIME, scene.ctx);
        } else if self.watches(core) {
            core.fail(broker, scene);
        } else {
            self.missed = true;
        }
    }

    /// Whether there is a controller that sees who comes and goes.
    fn watches(&self, core: &Core) -> bool {
        let connected = |broker: BrokerId| core.runs(broker) && self.sessions.connected(broker);
        self.loaded && self.active.is_some_and(connected)
    }

    /// Brokers that waited for the controller's answer get none.
    fn ask_again_to_stop(&mut self, core: &Core, scene: &mut Scene<'_, '_>) {
        let again = scene.ctx.now + SHUTDOWN_RETRY;
        for broker in core.broker_ids() {
            let timer = u32::from(broker.0);
            let asked = self.brokers[broker.index()].stopping.is_some();
            let granted = core.broker(broker).exiting;
            if asked && !granted && self.shutdown.deadline(timer).is_none() {
                self.shutdown.arm(timer, again, scene.ctx);
            }
        }
    }

    /// Whoever is there creates /controller.
    pub(super) fn on_controller_raced(
        &mut self,
        core: &mut Core,
        ticket: Ticket,
        scene: &mut Scene<'_, '_>,
    ) {
        if !self.race.fires(ticket, scene.ctx) || self.active.is_some() {
            return;
        }
        let fit = |broker: &BrokerId| {
            let leaving = core.broker(*broker).exiting;
            core.runs(*broker) && self.sessions.connected(*broker) && !leaving
        };
        let racing: Vec<BrokerId> = core.broker_ids().filter(fit).collect();
        if !self.ensemble.serves() || racing.is_empty() {
            return;
        }
        let drawn = self.rng.below(u64::try_from(racing.len()).unwrap_or(u64::MAX));
        let winner = racing[usize::try_from(drawn).unwrap_or_default()];
        self.active = Some(winner);
        scene.changes.push(Change::ControllerChanged { to: Some(winner.index()) });
        core.load(scene);
    }

    /// A vacant /controller is noticed by whoever comes.
    fn race_if_vacant(&mut self, scene: &mut Scene<'_, '_>) {
        let vacant = self.active.is_none() && self.ensemble.serves();
        if vacant && self.race.deadline(0).is_none() {
            self.race.arm(0, scene.ctx.now + RACE_TIME, scene.ctx);
        }
    }

    pub(super) fn on_contact_made(
        &mut self,
        core: &mut Core,
        ticket: Ticket,
        scene: &mut Scene<'_, '_>,
    ) {
        let contact = self.sessions.contact(core, ticket, &self.ensemble, scene);
        let Some(broker) = contact else { return };
        if !self.sessions.open(broker) {
            self.register(core, broker, scene);
        }
        if self.missed && self.active == Some(broker) && self.watches(core) {
            self.compare(core, true, scene);
        }
        self.race_if_vacant(scene);
    }

    /// A broker registers in a session of its own.
    fn register(&mut self, core: &mut Core, broker: BrokerId, scene: &mut Scene<'_, '_>) {
        self.sessions.begin(core, broker, &self.ensemble, scene);
        if self.watches(core) {
            core.join(broker, scene.ctx);
        } else {
            self.brokers[broker.index()].unseen = true;
            self.missed = true;
        }
        self.race_if_vacant(scene);
    }

    pub(super) fn on_milestone(
        &mut self,
        core: &mut Core,
        milestone: Milestone,
        scene: &mut Scene<'_, '_>,
    ) {
        match milestone {
            Milestone::Joined(_) => {}
            Milestone::Loaded => self.on_loaded(core, scene),
            Milestone::MovedAway(broker) => self.on_moved_away(core, broker, scene),
        }
    }

    /// A new controller knows the state.
    fn on_loaded(&mut self, core: &mut Core, scene: &mut Scene<'_, '_>) {
        self.loaded = true;
        self.compare(core, false, scene);
        core.elect_leaderless(scene);
        core.restart_looks(scene.ctx.now, FIRST_LOOK);
    }

    /// The controller compares who is registered with what it knew. One that was out of touch takes a
    /// new registration of a broker that it knew for a failure and a start (bounce); a new one does
    /// not know better.
    fn compare(&mut self, core: &mut Core, bounces: bool, scene: &mut Scene<'_, '_>) {
        self.missed = false;
        let (there, gone): (Vec<_>, Vec<_>) =
            core.broker_ids().partition(|&broker| self.sessions.open(broker));
        for broker in gone {
            if core.live.has(broker) {
                core.fail(broker, scene);
            } else if !bounces {
                core.remove_everywhere(broker, scene);
            }
        }
        for broker in there {
            let unseen = std::mem::replace(&mut self.brokers[broker.index()].unseen, false);
            if unseen && bounces {
                core.fail(broker, scene);
            }
            if unseen {
                core.join_again(broker, scene.ctx);
            } else {
                core.join(broker, scene.ctx);
            }
        }
    }

    /// A broker's process stopped, froze or goes on.
    pub(super) fn broker_changed(
        &mut self,
        core: &mut Core,
        broker: BrokerId,
        scene: &mut Scene<'_, '_>,
    ) {
        let timer = u32::from(broker.0);
        match core.broker(broker).process {
            Process::Running => {
                self.sessions.reconnect_if_late(core, broker, &self.ensemble, scene)
            }
            Process::Frozen => {}
            Process::Dead => {
                self.start.disarm(timer);
                self.shutdown.disarm(timer);
                self.brokers[broker.index()].stopping = None;
                let said_so = core.broker(broker).exiting && self.ensemble.serves();
                let closes = said_so && self.sessions.connected(broker);
                self.sessions.abandon(broker);
                if closes {
                    self.end_session(core, broker, scene);
                }
            }
        }
        self.sessions.review(core, &self.ensemble, scene);
    }

    pub(super) fn broker_started(
        &mut self,
        _core: &mut Core,
        broker: BrokerId,
        _unclean: bool,
        scene: &mut Scene<'_, '_>,
    ) {
        self.brokers[broker.index()] = Starting::default();
        self.start.arm(u32::from(broker.0), scene.ctx.now, scene.ctx);
    }

    pub(super) fn on_start_tried(
        &mut self,
        core: &mut Core,
        ticket: Ticket,
        scene: &mut Scene<'_, '_>,
    ) {
        if !self.start.fires(ticket, scene.ctx) {
            return;
        }
        let broker = broker_of(ticket);
        let taken = self.sessions.open(broker);
        if !taken && self.sessions.reaches(core, broker, &self.ensemble, scene) {
            return self.register(core, broker, scene);
        }
        let refused = &mut self.brokers[broker.index()].refused;
        if core.runs(broker) && !std::mem::replace(refused, true) {
            scene.changes.push(Change::StartRefused { broker });
        }
        self.start.arm(ticket.timer(), scene.ctx.now + START_RETRY, scene.ctx);
    }

    pub(super) fn request_shutdown(
        &mut self,
        core: &mut Core,
        broker: BrokerId,
        scene: &mut Scene<'_, '_>,
    ) {
        if !self.controlled_shutdown {
            return self.grant(core, broker, scene);
        }
        let stopping = &mut self.brokers[broker.index()].stopping;
        if stopping.is_none() && core.runs(broker) {
            *stopping = Some(0);
            self.start.disarm(u32::from(broker.0));
            self.shutdown.arm(u32::from(broker.0), scene.ctx.now, scene.ctx);
        }
    }

    /// A stopping broker finds the controller and asks it.
    pub(super) fn on_shutdown_tried(
        &mut self,
        core: &mut Core,
        ticket: Ticket,
        scene: &mut Scene<'_, '_>,
    ) {
        if !self.shutdown.fires(ticket, scene.ctx) {
            return;
        }
        let broker = broker_of(ticket);
        let Some(tries) = self.brokers[broker.index()].stopping else { return };
        let now = scene.ctx.now;
        if !self.sessions.wanted(broker) {
            // It never registered: nobody counts on it.
            return self.grant(core, broker, scene);
        }
        if !(core.runs(broker) && self.ensemble.serves() && self.sessions.connected(broker)) {
            return self.shutdown.arm(ticket.timer(), now + START_RETRY, scene.ctx);
        }
        if tries == SHUTDOWN_TRIES {
            return self.grant(core, broker, scene);
        }
        self.brokers[broker.index()].stopping = Some(tries + 1);
        let asked = self.active.filter(|&active| {
            let zone = |of: BrokerId| core.broker(of).zone;
            core.runs(active) && scene.links.connected(zone(active), zone(broker))
        });
        if asked.is_some() && self.loaded {
            core.move_away(broker, scene);
        } else {
            let silent =
                self.active.is_some_and(|active| core.broker(active).process != Process::Dead);
            let timeout = if silent { SHUTDOWN_TIMEOUT } else { SimDuration::ZERO };
            self.shutdown.arm(ticket.timer(), now + timeout + SHUTDOWN_RETRY, scene.ctx);
        }
    }

    fn on_moved_away(&mut self, core: &mut Core, broker: BrokerId, scene: &mut Scene<'_, '_>) {
        if self.brokers[broker.index()].stopping.is_none() {
            return;
        }
        if core.leads(broker, scene.metadata) {
            let again = scene.ctx.now + SHUTDOWN_RETRY;
            self.shutdown.arm(u32::from(broker.0), again, scene.ctx);
        } else {
            self.grant(core, broker, scene);
        }
    }

    fn grant(&mut self, core: &mut Core, broker: BrokerId, scene: &mut Scene<'_, '_>) {
        core.brokers[broker.index()].exiting = true;
        scene.changes.push(Change::ShutdownGranted { broker });
    }

    pub(super) fn node_changed(
        &mut self,
        core: &mut Core,
        node: usize,
        now: Now,
        scene: &mut Scene<'_, '_>,
    ) {
        self.ensemble.node_changed(node, now, scene);
        self.sessions.review(core, &self.ensemble, scene);
        self.race_if_vacant(scene);
    }

    pub(super) fn links_changed(&mut self, core: &mut Core, scene: &mut Scene<'_, '_>) {
        self.ensemble.links_changed(scene);
        self.sessions.review(core, &self.ensemble, scene);
        self.race_if_vacant(scene);
    }

    pub(super) fn on_quorum_turned(
        &mut self,
        core: &mut Core,
        ticket: Ticket,
        scene: &mut Scene<'_, '_>,
    ) {
        if self.ensemble.turned(ticket, scene) {
            self.sessions.begin_anew(scene.ctx.now);
        }
        self.sessions.review(core, &self.ensemble, scene);
        self.race_if_vacant(scene);
    }

    /// A broker's first ping, and whether the leader's clients or a follower's it is among.
    #[cfg(test)]
    pub(super) fn first_ping(&self, broker: BrokerId) -> (SimTime, bool) {
        let (ping, server) = self.sessions.first_ping(broker);
        (ping, self.ensemble.leader() == Some(server))
    }

    /// The first tick of the present leader's clock.
    #[cfg(test)]
    pub(super) fn first_tick(&self) -> SimTime {
        self.ensemble.first_tick()
    }
}
