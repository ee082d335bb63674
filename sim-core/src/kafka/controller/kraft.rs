//! KRaft: brokers by their heartbeats to the active controller.
//!
//! | Mechanism                                                                    | Fact            |
//! |------------------------------------------------------------------------------|-----------------|
//! | Heartbeats, session, stale check (4.x) or exact deadline (3.9)               | K-KR-3, K-VEC-5 |
//! | One broker fenced per run, the next 10 ms later                              | K-KR-3          |
//! | Fencing: out of all ISRs, another leads                                      | K-KR-4          |
//! | Registration; duplicates refused while the old session is valid              | K-KR-5          |
//! | An unclean restart leaves ISR and ELR                                        | K-ELC-4         |
//! | Shutdown: leaders moved, seen by all active brokers, granted                 | K-KR-5          |
//! | A new active controller gives every unfenced broker a fresh session          | K-KR-2          |
//! | Unheard heartbeats are repeated: at growing intervals in 3.9                 | K-KR-3          |
//! | Without quorum nothing changes; brokers never fence themselves               | K-KR-6          |
//! | Combined mode: controller i is broker i                                      | K-NUM-4         |
//!
//! Heartbeats are a grid per broker; an event is spent only on those that change something.
//!
//! Simplification: a broker that registered is unfenced as soon as it has seen that, its logs having
//! been recovered before it registered (really after: a recovery that is longer than the old session
//! is then added to it); a fence that was decided is carried through by the next controller; a
//! starting broker tries for ever (Kafka gives up after 60 s and is started again).

use crate::config::kafka::{ClusterConfig, KRaftConfig, KafkaVersion};
use crate::engine::{RngStream, SimDuration, SimTime, Ticket, Timers};
use crate::kafka::metadata::{BrokerId, BrokerSet};

use super::core::{Core, Milestone, Process, Rebalance};
use super::grid::Grid;
use super::links::Links;
use super::nodes::{Node, Now};
use super::raft::Raft;
use super::work::Proposal;
use super::{Change, Event, Scene};

/// Between two brokers that are fenced.
const FENCE_INTERVAL: SimDuration = SimDuration::from_millis(10);
/// After it registered a broker sends a heartbeat every 10 ms until it has seen its registration.
const CATCH_UP: SimDuration = SimDuration::from_millis(10);
/// The second heartbeat of a stopping broker comes early.
const SHUTDOWN_SECOND: SimDuration = SimDuration::from_millis(50);
/// First wait of a broker after a failed request, in 3.9; it doubles up to a session (its 2 % of
/// jitter is left out).
const FIRST_BACKOFF: SimDuration = SimDuration::from_millis(100);
/// How long a broker waits for its shutdown to be granted.
const SHUTDOWN_MAX: SimDuration = SimDuration::from_secs(300);
/// Stale checks in one session (4.0+).
const CHECKS_PER_SESSION: u64 = 8;

/// The controllers and what they know of brokers.
#[derive(Clone)]
pub(super) struct KRaft {
    config: KRaftConfig,
    raft: Raft,
    sessions: Vec<Session>,
    /// When stale brokers are looked for; `None`: exactly at their deadline.
    checks: Option<Grid>,
    /// Whether failed requests are repeated after growing waits (3.9).
    backs_off: bool,
    /// When the next broker may be fenced.
    next_fence: SimTime,
    fence: Timers<Event>,
    contact: Timers<Event>,
    start: Timers<Event>,
    shutdown: Timers<Event>,
}

#[derive(Clone, Copy, Debug)]
struct Session {
    heartbeats: Grid,
    /// Whether its heartbeats arrive.
    heard: bool,
    /// The last one, if they do not; at least when the session began.
    last: SimTime,
    /// And the first that was not heard.
    unheard_from: SimTime,
    /// The present process is registered.
    registered: bool,
    unclean: bool,
    /// Refused registrations of the present process.
    refusals: u32,
    stopping: Option<Stopping>,
}

/// An orderly stop.
#[derive(Clone, Copy, Debug)]
struct Stopping {
    since: SimTime,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// No controller has heard of it.
    Asking,
    /// Leaderships move.
    Moving,
    /// They have; the others are to learn of it.
    Moved,
}

impl KRaft {
    /// Everything runs; phases are drawn.
    pub(super) fn new(
        cluster: &ClusterConfig,
        config: &KRaftConfig,
        core: &mut Core,
        rng: &mut RngStream,
    ) -> Self {
        let mut session = || Session {
            heartbeats: Grid::drawn(SimTime::ZERO, config.heartbeat_interval, rng),
            heard: true,
            last: SimTime::ZERO,
            unheard_from: SimTime::ZERO,
            registered: true,
            refusals: 0,
            unclean: false,
            stopping: None,
        };
        let sessions: Vec<_> = core.broker_ids().map(|_| session()).collect();
        let timers = |event: fn(Ticket) -> Event| {
            let mut timers = Timers::new(event);
            for _ in &sessions {
                timers.add();
            }
            timers
        };
        let period = SimDuration(config.session_timeout.0 / CHECKS_PER_SESSION);
        let checks = Grid::drawn(SimTime::ZERO, period, rng);
        let settings = &cluster.settings;
        let interval = settings.leader_imbalance_check_interval;
        let looks = Grid::drawn(SimTime::ZERO, interval, rng);
        let by_grid = KafkaVersion::V4_1 <= cluster.version;
        if settings.auto_leader_rebalance {
            core.rebalance =
                if by_grid { Rebalance::On(looks) } else { Rebalance::Since(interval) };
        }
        core.sweep_from(rng);
        Self {
            raft: Raft::new(config, cluster.version, rng),
            checks: by_grid.then_some(checks),
            backs_off: !by_grid,
            next_fence: SimTime::ZERO,
            fence: timers(Event::SessionEnded),
            contact: timers(Event::ContactMade),
            start: timers(Event::StartTried),
            shutdown: timers(Event::ShutdownTried),
            sessions,
            config: config.clone(),
        }
    }

    /// A broker's first heartbeat.
    #[cfg(test)]
    pub(super) fn first_heartbeat(&self, broker: BrokerId) -> SimTime {
        self.sessions[broker.index()].heartbeats.next_from(SimTime::ZERO)
    }

    pub(super) fn quorum_available(&self) -> bool {
        self.raft.can_commit()
    }

    pub(super) fn nodes(&self) -> &[Node] {
        &self.raft.nodes
    }

    pub(super) fn active(&self) -> Option<usize> {
        self.raft.active()
    }

    pub(super) fn can_work(&self, _core: &Core, _scene: &Scene<'_, '_>) -> bool {
        self.raft.can_commit()
    }

    /// Whose wishes arrive.
    pub(super) fn heard(&self, core: &Core, scene: &Scene<'_, '_>) -> BrokerSet {
        if !self.raft.can_commit() {
            return BrokerSet::EMPTY;
        }
        core.broker_ids().filter(|&broker| self.reaches(core, broker, scene.links)).collect()
    }

    pub(super) fn send_waiting(
        &self,
        core: &mut Core,
        heard: BrokerSet,
        scene: &mut Scene<'_, '_>,
    ) {
        core.send_waiting(heard, scene.ctx);
    }

    pub(super) fn alter_isr(&self, core: &mut Core, wish: Proposal, scene: &mut Scene<'_, '_>) {
        let heard = self.raft.can_commit() && self.reaches(core, wish.leader, scene.links);
        core.propose(wish, heard, scene.ctx);
    }

    /// Whether a broker's requests reach the active controller.
    fn reaches(&self, core: &Core, broker: BrokerId, links: &Links) -> bool {
        core.runs(broker)
            && self.raft.active().is_some_and(|active| {
                let node = self.raft.nodes[active];
                node.up && links.connected(core.broker(broker).zone, node.zone)
            })
    }

    /// Sees whose heartbeats arrive, and whose session will end for lack of them.
    fn review(&mut self, core: &Core, scene: &mut Scene<'_, '_>) {
        for broker in core.broker_ids() {
            self.review_one(core, broker, scene);
        }
    }

    fn review_one(&mut self, core: &Core, broker: BrokerId, scene: &mut Scene<'_, '_>) {
        let now = scene.ctx.now;
        let reaches = self.reaches(core, broker, scene.links);
        let timer = u32::from(broker.0);
        let session = &mut self.sessions[broker.index()];
        if !reaches {
            self.contact.disarm(timer);
            if session.heard {
                session.heard = false;
                let last = session.heartbeats.last_by(now).unwrap_or_default();
                session.last = session.last.max(last);
                session.unheard_from = session.heartbeats.next_after(now);
            }
        } else if !session.heard && session.registered && self.contact.deadline(timer).is_none() {
            let unheard_from = session.unheard_from;
            let next = self.next_heartbeat(unheard_from, now);
            self.contact.arm(timer, next, scene.ctx);
        }
        let Session { heard, last, .. } = self.sessions[broker.index()];
        if core.live.has(broker) && !heard && self.raft.can_commit() {
            self.fence.arm(timer, self.fenced_at(last), scene.ctx);
        } else {
            self.fence.disarm(timer);
        }
    }

    /// When a broker is heard that could be heard from `now` on and has tried since `from`: a request
    /// waits for the controller for a while, then fails and is repeated after another while.
    fn next_heartbeat(&self, from: SimTime, now: SimTime) -> SimTime {
        let interval = self.config.heartbeat_interval;
        let session = self.config.session_timeout;
        let waits = if self.backs_off { SimDuration(session.0 / 2) } else { interval };
        let mut sent = from;
        for failures in 0_u32.. {
            if now < sent + waits {
                break;
            }
            let pause = if self.backs_off { backoff(failures).min(session) } else { interval };
            sent += waits + pause.max(SimDuration(1));
        }
        sent.max(now)
    }

    /// When a broker is found stale that was last heard at `last`.
    fn fenced_at(&self, last: SimTime) -> SimTime {
        let deadline = last + self.config.session_timeout;
        self.checks.map_or(deadline, |checks| checks.next_after(deadline))
    }

    pub(super) fn on_session_ended(
        &mut self,
        core: &mut Core,
        ticket: Ticket,
        scene: &mut Scene<'_, '_>,
    ) {
        if !self.fence.fires(ticket, scene.ctx) {
            return;
        }
        if scene.ctx.now < self.next_fence {
            return self.fence.arm(ticket.timer(), self.next_fence, scene.ctx);
        }
        self.next_fence = scene.ctx.now + FENCE_INTERVAL;
        core.fail(broker_of(ticket), scene);
    }

    pub(super) fn on_contact_made(
        &mut self,
        core: &mut Core,
        ticket: Ticket,
        scene: &mut Scene<'_, '_>,
    ) {
        if !self.contact.fires(ticket, scene.ctx) {
            return;
        }
        let broker = broker_of(ticket);
        let session = &mut self.sessions[broker.index()];
        session.heard = true;
        session.heartbeats = Grid::new(scene.ctx.now, self.config.heartbeat_interval);
        self.fence.disarm(ticket.timer());
        if !core.broker(broker).exiting && self.sessions[broker.index()].stopping.is_none() {
            core.join(broker, scene.ctx);
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
        let orderly = core.broker(broker).exiting;
        let now = match core.broker(broker).process {
            Process::Running => Now::Running,
            Process::Frozen => Now::Frozen,
            Process::Dead => Now::Dead { orderly },
        };
        let session = &mut self.sessions[broker.index()];
        match now {
            Now::Dead { .. } => {
                session.stopping = None;
                session.registered = false;
                self.start.disarm(timer);
                self.shutdown.disarm(timer);
            }
            // Its heartbeat is overdue.
            Now::Running | Now::Started => {
                session.unheard_from = scene.ctx.now;
                session.heartbeats = Grid::new(scene.ctx.now, self.config.heartbeat_interval);
            }
            Now::Frozen => {}
        }
        self.combined_node_changed(broker, now, scene);
        self.review(core, scene);
    }

    fn combined_node_changed(&mut self, broker: BrokerId, now: Now, scene: &mut Scene<'_, '_>) {
        if self.config.combined && broker.index() < self.raft.nodes.len() {
            self.raft.node_changed(broker.index(), now, scene);
        }
    }

    pub(super) fn broker_started(
        &mut self,
        core: &mut Core,
        broker: BrokerId,
        unclean: bool,
        scene: &mut Scene<'_, '_>,
    ) {
        let session = &mut self.sessions[broker.index()];
        session.registered = false;
        session.refusals = 0;
        session.unclean = unclean;
        self.combined_node_changed(broker, Now::Started, scene);
        self.review(core, scene);
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
        let again = scene.ctx.now + self.start_backoff(broker);
        if !core.runs(broker) {
            // Frozen while it starts.
            return self.start.arm(ticket.timer(), again, scene.ctx);
        }
        let heard = self.raft.can_commit() && self.reaches(core, broker, scene.links);
        let session = &mut self.sessions[broker.index()];
        if !heard || core.live.has(broker) {
            if session.refusals == 0 {
                scene.changes.push(Change::StartRefused { broker });
            }
            session.refusals += 1;
            return self.start.arm(ticket.timer(), again, scene.ctx);
        }
        session.registered = true;
        session.heard = false;
        let seen = scene.ctx.now + core.costs.propagation + CATCH_UP;
        session.unheard_from = seen;
        let unclean = session.unclean;
        if unclean {
            core.evict(broker, scene);
        }
        self.contact.arm(ticket.timer(), seen, scene.ctx);
    }

    /// Until a refused broker tries again.
    fn start_backoff(&self, broker: BrokerId) -> SimDuration {
        if !self.backs_off {
            return self.config.heartbeat_interval;
        }
        backoff(self.sessions[broker.index()].refusals).min(self.config.session_timeout)
    }

    pub(super) fn request_shutdown(
        &mut self,
        core: &mut Core,
        broker: BrokerId,
        scene: &mut Scene<'_, '_>,
    ) {
        let session = &mut self.sessions[broker.index()];
        if session.stopping.is_none() && core.runs(broker) {
            session.stopping = Some(Stopping { since: scene.ctx.now, stage: Stage::Asking });
            self.start.disarm(u32::from(broker.0));
            self.shutdown.arm(u32::from(broker.0), scene.ctx.now, scene.ctx);
        }
    }

    /// A stopping broker's heartbeat.
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
        let Some(stopping) = self.sessions[broker.index()].stopping else { return };
        let now = scene.ctx.now;
        let again = now + self.config.heartbeat_interval;
        let cap = stopping.since + SHUTDOWN_MAX;
        if !core.runs(broker) {
            return self.shutdown.arm(ticket.timer(), again, scene.ctx);
        }
        // Who never registered need not ask.
        if cap <= now || !self.sessions[broker.index()].registered {
            return self.grant(core, broker, scene);
        }
        if !(self.raft.can_commit() && self.reaches(core, broker, scene.links)) {
            return self.shutdown.arm(ticket.timer(), again.min(cap), scene.ctx);
        }
        let waits = core.live.has(broker) && core.leads(broker, scene.metadata);
        match stopping.stage {
            Stage::Asking if waits => {
                self.set_stage(broker, Stage::Moving);
                self.shutdown.arm(ticket.timer(), cap, scene.ctx);
                core.move_away(broker, scene);
            }
            Stage::Moving => self.shutdown.arm(ticket.timer(), again.min(cap), scene.ctx),
            Stage::Asking | Stage::Moved => {
                core.fail(broker, scene);
                self.grant(core, broker, scene);
            }
        }
    }

    fn set_stage(&mut self, broker: BrokerId, stage: Stage) {
        if let Some(stopping) = &mut self.sessions[broker.index()].stopping {
            stopping.stage = stage;
        }
    }

    fn grant(&mut self, core: &mut Core, broker: BrokerId, scene: &mut Scene<'_, '_>) {
        core.brokers[broker.index()].exiting = true;
        scene.changes.push(Change::ShutdownGranted { broker });
    }

    /// Leaders write nothing themselves.
    pub(super) fn on_write_due(
        &mut self,
        _core: &mut Core,
        _ticket: Ticket,
        _scene: &mut Scene<'_, '_>,
    ) {
    }

    /// No broker races for an office.
    pub(super) fn on_controller_raced(
        &mut self,
        _core: &mut Core,
        _ticket: Ticket,
        _scene: &mut Scene<'_, '_>,
    ) {
    }

    pub(super) fn on_milestone(
        &mut self,
        core: &mut Core,
        milestone: Milestone,
        scene: &mut Scene<'_, '_>,
    ) {
        match milestone {
            Milestone::Loaded => {}
            Milestone::Joined(broker) => self.review_one(core, broker, scene),
            Milestone::MovedAway(broker) => self.on_moved_away(core, broker, scene),
        }
    }

    /// Granted at the first heartbeat of the broker after every other one has told by a heartbeat
    /// that it has seen the moves.
    fn on_moved_away(&mut self, core: &Core, broker: BrokerId, scene: &mut Scene<'_, '_>) {
        let Some(stopping) = self.sessions[broker.index()].stopping else { return };
        if stopping.stage != Stage::Moving {
            return;
        }
        self.set_stage(broker, Stage::Moved);
        let now = scene.ctx.now;
        let others = core.eligible();
        let told = others.iter().map(|other| self.sessions[other.index()].heartbeats);
        let seen = told.map(|heartbeats| heartbeats.next_after(now)).max().unwrap_or(now);
        let second = stopping.since + SHUTDOWN_SECOND;
        let own = Grid::new(second, self.config.heartbeat_interval);
        self.shutdown.arm(u32::from(broker.0), own.next_after(seen), scene.ctx);
    }

    pub(super) fn node_changed(
        &mut self,
        core: &mut Core,
        node: usize,
        now: Now,
        scene: &mut Scene<'_, '_>,
    ) {
        self.raft.node_changed(node, now, scene);
        self.review(core, scene);
    }

    pub(super) fn links_changed(&mut self, core: &mut Core, scene: &mut Scene<'_, '_>) {
        self.raft.links_changed(scene);
        self.review(core, scene);
    }

    pub(super) fn on_quorum_turned(
        &mut self,
        core: &mut Core,
        ticket: Ticket,
        scene: &mut Scene<'_, '_>,
    ) {
        if self.raft.turned(ticket, scene) {
            let now = scene.ctx.now;
            for session in &mut self.sessions {
                session.last = now;
            }
            let period = SimDuration(self.config.session_timeout.0 / CHECKS_PER_SESSION);
            self.checks = self.checks.map(|_| Grid::new(now, period));
            core.restart_looks(now, SimDuration::ZERO);
        }
        self.review(core, scene);
    }
}

/// The wait after so many failed requests, in 3.9.
fn backoff(failures: u32) -> SimDuration {
    FIRST_BACKOFF.times(1 << failures.min(30))
}

fn broker_of(ticket: Ticket) -> BrokerId {
    BrokerId(u16::try_from(ticket.timer()).expect("at most 128 brokers"))
}
