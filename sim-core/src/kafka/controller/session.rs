//! The brokers' ZooKeeper sessions: which server hears them, and when a silent one ends.
//!
//! | Mechanism                                                                  | Fact    |
//! |----------------------------------------------------------------------------|---------|
//! | Pings at a third of the timeout                                            | K-ZK-3  |
//! | Expiry on the leader's ticks; a follower's clients up to half a tick later | K-ZK-3, K-ZK-4 |
//! | No expiry without quorum                                                   | K-ZKL-1 |
//! | A new leader gives every session a full fresh timeout                      | K-ZKL-6 |
//!
//! Pings are a grid per broker; an event is spent only where silence begins or ends.
//!
//! Simplification: a client whose server goes away, or is cut off, while others are within reach
//! changes over without a gap (really within 1 s, or after two thirds of the timeout when the server
//! fell silent; never so late that the session ends). Its writes to ZooKeeper wait that long in
//! reality and not here.

use crate::config::kafka::ZooKeeperConfig;
use crate::engine::{RngStream, SimDuration, SimTime, Ticket, Timers};
use crate::kafka::metadata::BrokerId;

use super::core::Core;
use super::ensemble::Ensemble;
use super::grid::Grid;
use super::links::Links;
use super::{Event, Scene};

/// A client that lost its connection tries a server within this time.
const RECONNECT: SimDuration = SimDuration::from_secs(1);

/// All sessions.
#[derive(Clone)]
pub(super) struct Sessions {
    sessions: Vec<Session>,
    ping_interval: SimDuration,
    expiry: Timers<Event>,
    contact: Timers<Event>,
    rng: RngStream,
}

#[derive(Clone, Copy, Debug)]
struct Session {
    /// The ensemble holds it, and with it the broker's registration.
    open: bool,
    /// The present process has a client that keeps it, or will open another.
    wanted: bool,
    /// Whether its pings arrive.
    heard: bool,
    pings: Grid,
    /// The server that it is connected to.
    server: usize,
    /// When the leader last heard of it, if it is silent; at least when it began.
    last: SimTime,
}

impl Sessions {
    /// Every broker has one; phases are drawn.
    pub(super) fn new(config: &ZooKeeperConfig, brokers: usize, rng: &mut RngStream) -> Self {
        let ping_interval = SimDuration(config.session_timeout.0 / 3);
        let (mut expiry, mut contact) =
            (Timers::new(Event::SessionEnded), Timers::new(Event::ContactMade));
        let mut sessions = Vec::new();
        for broker in 0..brokers {
            expiry.add();
            contact.add();
            sessions.push(Session {
                open: true,
                wanted: true,
                heard: true,
                pings: Grid::drawn(SimTime::ZERO, ping_interval, rng),
                server: broker % config.nodes.len().max(1),
                last: SimTime::ZERO,
            });
        }
        Self { sessions, ping_interval, expiry, contact, rng: rng.clone() }
    }

    /// Whether a broker is registered.
    pub(super) fn open(&self, broker: BrokerId) -> bool {
        self.sessions[broker.index()].open
    }

    /// Whether the present process has, or had, a session of its own.
    pub(super) fn wanted(&self, broker: BrokerId) -> bool {
        self.sessions[broker.index()].wanted
    }

    /// Whether a broker's own client talks to the ensemble within an open session.
    pub(super) fn connected(&self, broker: BrokerId) -> bool {
        let session = &self.sessions[broker.index()];
        session.open && session.heard && session.wanted
    }

    /// A server that a broker reaches: its own if possible, else another of the majority, dealt in
    /// turn. Without majority only a leader that still believes to lead keeps its clients.
    fn server(
        &self,
        core: &Core,
        broker: BrokerId,
        ensemble: &Ensemble,
        links: &Links,
    ) -> Option<usize> {
        if !core.runs(broker) {
            return None;
        }
        let zone = core.broker(broker).zone;
        let current = self.sessions[broker.index()].server;
        let reached = |server: &usize| {
            let node = ensemble.nodes[*server];
            node.up && links.connected(zone, node.zone)
        };
        if !ensemble.serves() {
            let keeps = |server: &usize| *server == current && reached(server);
            return ensemble.leader().filter(keeps);
        }
        let all = ensemble.quorum().iter().copied();
        let servers: Vec<usize> = all.filter(|server| reached(server)).collect();
        if servers.contains(&current) {
            return Some(current);
        }
        servers.get(broker.index() % servers.len().max(1)).copied()
    }

    /// Sees whose pings arrive, and whose session will end for lack of them.
    pub(super) fn review(&mut self, core: &Core, ensemble: &Ensemble, scene: &mut Scene<'_, '_>) {
        for broker in core.broker_ids() {
            let timer = u32::from(broker.0);
            let server = self.server(core, broker, ensemble, scene.links);
            let session = &mut self.sessions[broker.index()];
            match server {
                None => {
                    self.contact.disarm(timer);
                    if session.heard {
                        session.fall_silent(ensemble, scene);
                    }
                }
                Some(server) if session.heard => session.server = server,
                Some(_) if session.wanted && self.contact.deadline(timer).is_none() => {
                    let wait = SimDuration(self.rng.below(RECONNECT.0));
                    self.contact.arm(timer, scene.ctx.now + wait, scene.ctx);
                }
                Some(_) => {}
            }
            if session.open && !session.heard && ensemble.serves() {
                self.expiry.arm(timer, ensemble.expiry(session.last), scene.ctx);
            } else {
                self.expiry.disarm(timer);
            }
        }
    }

    /// A client that was frozen notices at once that it is late.
    pub(super) fn reconnect_if_late(
        &mut self,
        core: &Core,
        broker: BrokerId,
        ensemble: &Ensemble,
        scene: &mut Scene<'_, '_>,
    ) {
        let session = &self.sessions[broker.index()];
        let late = session.wanted && !session.heard;
        if late && self.server(core, broker, ensemble, scene.links).is_some() {
            self.contact.arm(u32::from(broker.0), scene.ctx.now, scene.ctx);
        }
    }

    /// A process is gone: nobody will come back for its session.
    pub(super) fn abandon(&mut self, broker: BrokerId) {
        self.sessions[broker.index()].wanted = false;
    }

    /// Ends a session: at its expiry, or as its client asks.
    pub(super) fn close(&mut self, broker: BrokerId) {
        self.sessions[broker.index()].open = false;
        self.expiry.disarm(u32::from(broker.0));
    }

    /// A process that starts, or finds its session expired, opens one.
    pub(super) fn begin(
        &mut self,
        core: &Core,
        broker: BrokerId,
        ensemble: &Ensemble,
        scene: &mut Scene<'_, '_>,
    ) {
        let server = self.server(core, broker, ensemble, scene.links);
        let session = &mut self.sessions[broker.index()];
        session.server = server.unwrap_or(session.server);
        session.open = true;
        session.wanted = true;
        session.hear(scene.ctx.now, self.ping_interval);
        self.expiry.disarm(u32::from(broker.0));
        self.contact.disarm(u32::from(broker.0));
    }

    /// Whether a starting process reaches the ensemble.
    pub(super) fn reaches(
        &self,
        core: &Core,
        broker: BrokerId,
        ensemble: &Ensemble,
        scene: &Scene<'_, '_>,
    ) -> bool {
        ensemble.serves() && self.server(core, broker, ensemble, scene.links).is_some()
    }

    /// Takes an event of an expiry; whose session it ends.
    pub(super) fn expired(
        &mut self,
        ticket: Ticket,
        scene: &mut Scene<'_, '_>,
    ) -> Option<BrokerId> {
        self.expiry.fires(ticket, scene.ctx).then(|| broker_of(ticket))
    }

    /// Takes an event of a reconnection; whose.
    pub(super) fn contact(
        &mut self,
        core: &Core,
        ticket: Ticket,
        ensemble: &Ensemble,
        scene: &mut Scene<'_, '_>,
    ) -> Option<BrokerId> {
        if !self.contact.fires(ticket, scene.ctx) {
            return None;
        }
        let broker = broker_of(ticket);
        let server = self.server(core, broker, ensemble, scene.links)?;
        let session = &mut self.sessions[broker.index()];
        session.server = server;
        session.hear(scene.ctx.now, self.ping_interval);
        self.expiry.disarm(ticket.timer());
        Some(broker)
    }

    /// A new leader of the ensemble knows every session as of now.
    pub(super) fn begin_anew(&mut self, now: SimTime) {
        for session in &mut self.sessions {
            session.last = now;
        }
    }

    /// A broker's first ping.
    #[cfg(test)]
    pub(super) fn first_ping(&self, broker: BrokerId) -> (SimTime, usize) {
        let session = &self.sessions[broker.index()];
        (session.pings.next_from(SimTime::ZERO), session.server)
    }
}

impl Session {
    fn hear(&mut self, now: SimTime, ping_interval: SimDuration) {
        self.heard = true;
        self.last = now;
        self.pings = Grid::new(now, ping_interval);
    }

    /// The pings end: what of them the leader has heard of, or will.
    fn fall_silent(&mut self, ensemble: &Ensemble, scene: &Scene<'_, '_>) {
        self.heard = false;
        let now = scene.ctx.now;
        let last = |by: SimTime| self.pings.last_by(by).unwrap_or_default();
        let told = if ensemble.leader() == Some(self.server) {
            last(now)
        } else if ensemble.quorum().contains(&self.server) {
            ensemble.told(last(now))
        } else {
            // The follower went away together with the client: what it had not passed on is lost.
            ensemble.told(last(ensemble.last_told(now)))
        };
        self.last = self.last.max(told);
    }
}

/// The broker whose timer it is.
pub(super) fn broker_of(ticket: Ticket) -> BrokerId {
    BrokerId(u16::try_from(ticket.timer()).expect("at most 128 brokers"))
}
