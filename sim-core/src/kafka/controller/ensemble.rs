//! A ZooKeeper ensemble: which server leads, and how long nothing can be committed.
//!
//! | Mechanism                                                                      | Fact    |
//! |--------------------------------------------------------------------------------|---------|
//! | A killed leader is dropped at once, a silent one after 9-10 s                  | K-ZK-3  |
//! | A leader without majority abdicates at its next tick, or after 10-12 s of silence | K-ZK-3 |
//! | Election after a leader's death about 0.3 s                                    | K-ZK-3  |
//! | Election after killed servers are back 0.3-0.6 s, after a healed cut 0.3-16 s  | K-ZKL-6 |
//! | A leader's clock has ticks of its own                                          | K-ZK-3  |
//!
//! Servers started in order elect the one that completes the majority; later the highest id wins.
//! Nothing can be committed from the instant at which the majority is gone, whoever still believes
//! to lead.
//!
//! Simplification: ballots are not played, election times are drawn from the measured ranges; a
//! server that comes back counts at once (really 5-26 s later after a cut), so that a second fault
//! within that time is survived here and not there.

use crate::config::kafka::ZooKeeperConfig;
use crate::engine::{RngStream, SimDuration, SimTime, Ticket, Timers};

use super::grid::Grid;
use super::nodes::{Node, Now, majority, nodes};
use super::{Change, Event, Scene};

/// Shortest election with its synchronisation.
const ELECTION_MIN: SimDuration = SimDuration::from_millis(300);
/// What chance adds once killed servers listen again.
const AFTER_RESTART: SimDuration = SimDuration::from_millis(300);
/// What back-off, retransmission and waiting for the old quorum add after a healed cut.
const AFTER_CUT: SimDuration = SimDuration::from_millis(15_700);

/// The servers.
#[derive(Clone)]
pub(super) struct Ensemble {
    config: ZooKeeperConfig,
    pub(super) nodes: Vec<Node>,
    leader: Option<usize>,
    /// Those that can talk to each other and are a majority.
    quorum: Vec<usize>,
    lost: bool,
    turn: Turn,
    /// The leader's clock.
    ticks: Grid,
    half_ticks: Grid,
    timer: Timers<Event>,
    rng: RngStream,
}

/// What the ensemble is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Nothing,
    Abdicate,
    Elect { winner: usize },
}

/// What made the leader go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// Sockets closed.
    Killed,
    /// Packets do not arrive, or only now arrive again.
    Cut,
}

impl Ensemble {
    /// All servers run, after a start in order.
    pub(super) fn new(config: &ZooKeeperConfig, rng: &mut RngStream) -> Self {
        let mut timer = Timers::new(Event::QuorumTurned);
        timer.add();
        let base = Grid::drawn(SimTime::ZERO, config.tick_time, rng).next_after(SimTime::ZERO);
        let half = SimDuration(config.tick_time.0 / 2);
        Self {
            nodes: nodes(&config.nodes),
            leader: (!config.nodes.is_empty()).then_some(config.nodes.len() / 2),
            quorum: (0..config.nodes.len()).collect(),
            lost: false,
            turn: Turn::Nothing,
            ticks: Grid::new(SimTime(base.0 % config.tick_time.0.max(1)), config.tick_time),
            half_ticks: Grid::new(SimTime(base.0 % half.0.max(1)), half),
            timer,
            rng: rng.clone(),
            config: config.clone(),
        }
    }

    /// Whether anything can be committed.
    pub(super) fn serves(&self) -> bool {
        self.leader.is_some_and(|leader| self.quorum.contains(&leader))
    }

    /// The server that leads, or still believes so.
    pub(super) fn leader(&self) -> Option<usize> {
        self.leader
    }

    /// The servers that take part.
    pub(super) fn quorum(&self) -> &[usize] {
        &self.quorum
    }

    /// When a session ends that the leader last heard of at `last`: (floor((last + T) / tick) + 1)
    /// ticks of its clock.
    pub(super) fn expiry(&self, last: SimTime) -> SimTime {
        self.ticks.next_after(last + self.config.session_timeout)
    }

    /// When the leader hears of a packet that reached a follower at `packet`: with the follower's
    /// answer to the next ping.
    pub(super) fn told(&self, packet: SimTime) -> SimTime {
        self.half_ticks.next_from(packet)
    }

    /// The last time before `now` at which followers told the leader.
    pub(super) fn last_told(&self, now: SimTime) -> SimTime {
        self.half_ticks.last_by(now).unwrap_or_default()
    }

    /// A server stops, starts, freezes or goes on. A frozen leader is a silent one.
    pub(super) fn node_changed(&mut self, node: usize, now: Now, scene: &mut Scene<'_, '_>) {
        let (up, cause) = match now {
            Now::Running => (true, Cause::Cut),
            Now::Started => (true, Cause::Killed),
            Now::Frozen => (false, Cause::Cut),
            Now::Dead { .. } => (false, Cause::Killed),
        };
        self.nodes[node].up = up;
        self.nodes[node].frozen = now == Now::Frozen;
        if matches!(now, Now::Dead { .. }) && self.leader == Some(node) {
            self.leader = None;
            self.turn = Turn::Nothing;
        }
        self.review(cause, scene);
    }

    /// Links have changed.
    pub(super) fn links_changed(&mut self, scene: &mut Scene<'_, '_>) {
        self.review(Cause::Cut, scene);
    }

    fn review(&mut self, cause: Cause, scene: &mut Scene<'_, '_>) {
        self.quorum = majority(&self.nodes, scene.links);
        if self.quorum.is_empty() && !self.lost {
            self.lost = true;
            scene.changes.push(Change::QuorumLost);
        }
        if self.serves() {
            self.turn = Turn::Nothing;
            self.timer.disarm(0);
            self.found(scene);
        } else {
            self.plan(cause, scene);
        }
    }

    fn plan(&mut self, cause: Cause, scene: &mut Scene<'_, '_>) {
        let planned = match self.turn {
            Turn::Elect { winner } => self.quorum.contains(&winner),
            Turn::Abdicate => self.quorum.is_empty(),
            Turn::Nothing => false,
        };
        if planned {
            return;
        }
        let now = scene.ctx.now;
        let silence = self.config.tick_time.times(u64::from(self.config.sync_limit));
        let winner = self.quorum.last().copied();
        let at = match (self.leader, winner) {
            (Some(_), None) => {
                self.turn = Turn::Abdicate;
                match cause {
                    Cause::Killed => self.ticks.next_after(now),
                    Cause::Cut => self.ticks.next_after(now + silence),
                }
            }
            // The others wait for a leader that is cut off, up to half a tick less than it waits.
            (Some(_), Some(winner)) => {
                self.turn = Turn::Elect { winner };
                let early = self.rng.below(self.config.tick_time.0 / 2);
                now + (silence - SimDuration(early)) + self.election(AFTER_RESTART)
            }
            (None, Some(winner)) => {
                self.turn = Turn::Elect { winner };
                match cause {
                    Cause::Killed => now + self.election(AFTER_RESTART),
                    Cause::Cut => now + self.election(AFTER_CUT),
                }
            }
            (None, None) => {
                self.turn = Turn::Nothing;
                return self.timer.disarm(0);
            }
        };
        self.timer.disarm(0);
        self.timer.arm(0, at, scene.ctx);
    }

    fn election(&mut self, chance: SimDuration) -> SimDuration {
        ELECTION_MIN + SimDuration(self.rng.below(chance.0))
    }

    /// Takes an event; whether there is a new leader, and so all sessions begin anew.
    pub(super) fn turned(&mut self, ticket: Ticket, scene: &mut Scene<'_, '_>) -> bool {
        if !self.timer.fires(ticket, scene.ctx) {
            return false;
        }
        match std::mem::replace(&mut self.turn, Turn::Nothing) {
            Turn::Nothing => false,
            Turn::Abdicate => {
                self.leader = None;
                false
            }
            Turn::Elect { winner } => {
                self.leader = Some(winner);
                let (now, tick) = (scene.ctx.now, self.config.tick_time);
                let first = now + SimDuration(self.rng.below(tick.0));
                self.ticks = Grid::new(first, tick);
                let half = SimDuration(tick.0 / 2);
                self.half_ticks =
                    Grid::new(now + SimDuration(first.since(now).0 % half.0.max(1)), half);
                self.found(scene);
                true
            }
        }
    }

    /// The first tick of the present leader's clock.
    #[cfg(test)]
    pub(super) fn first_tick(&self) -> SimTime {
        self.ticks.next_from(SimTime::ZERO)
    }

    fn found(&mut self, scene: &mut Scene<'_, '_>) {
        if self.lost {
            self.lost = false;
            scene.changes.push(Change::QuorumBack);
        }
    }
}
