//! The Raft quorum of KRaft controllers: who is the active one, and how long there is none.
//!
//! | Mechanism                                                                | Fact    |
//! |--------------------------------------------------------------------------|---------|
//! | Followers campaign once they have not fetched for the fetch timeout      | K-KR-1  |
//! | A split vote costs an election timeout and a back-off more               | K-KR-1  |
//! | A leader without majority resigns after 1.5 fetch timeouts               | K-KR-1  |
//! | An orderly stop: a successor campaigns at once                           | K-KR-1  |
//! | No state is loaded                                                       | K-KR-2  |
//! | Before 4.0 (no pre-vote) a node that was cut off unseats the leader      | K-KR-1  |
//!
//! Simplification: Raft messages are not played; timeouts are drawn per node and the first to
//! campaign wins unless another campaigns before its request for votes has arrived. A node whose log
//! is behind may win, as all logs count as level. An operator would see the same gaps, not the same
//! winner.

use crate::config::kafka::{KRaftConfig, KafkaVersion};
use crate::engine::{RngStream, SimDuration, Ticket, Timers};

use super::nodes::{Node, Now, majority, nodes};
use super::{Change, Event, Scene};

/// A follower's last successful fetch is at most this old: no-op records every 500 ms (K-KR-2)
/// answer its long poll.
const FETCH_INTERVAL: SimDuration = SimDuration::from_millis(500);
/// Two nodes that campaign within this time split the vote. An assumption.
const VOTE_TIME: SimDuration = SimDuration::from_millis(20);
/// From a won vote until the new leader has committed its first record: followers find it, fetch
/// twice, and the append lingers 25 ms. An assumption.
const CLAIM_TIME: SimDuration = SimDuration::from_millis(50);

/// The quorum.
#[derive(Clone)]
pub(super) struct Raft {
    config: KRaftConfig,
    pre_vote: bool,
    pub(super) nodes: Vec<Node>,
    active: Option<usize>,
    /// Those that can talk to each other and are a majority.
    quorum: Vec<usize>,
    /// Whether the journal says that the quorum is lost.
    lost: bool,
    turn: Turn,
    timer: Timers<Event>,
    rng: RngStream,
}

/// What the quorum is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Nothing,
    /// The leader will notice that it has no majority.
    Resign,
    /// A new leader.
    Elect {
        winner: usize,
    },
}

/// Why there is no leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Search {
    /// The leader is silent since now.
    Silent,
    /// It said that it goes.
    HandedOver,
    /// A node with a later epoch unseated it.
    Unseated,
    /// There has been none for some time.
    Open,
}

impl Raft {
    /// All nodes run; node 0 is active.
    pub(super) fn new(config: &KRaftConfig, version: KafkaVersion, rng: &RngStream) -> Self {
        let mut timer = Timers::new(Event::QuorumTurned);
        timer.add();
        Self {
            nodes: nodes(&config.nodes),
            active: (!config.nodes.is_empty()).then_some(0),
            quorum: (0..config.nodes.len()).collect(),
            lost: false,
            turn: Turn::Nothing,
            timer,
            rng: rng.clone(),
            pre_vote: KafkaVersion::V4_1 <= version,
            config: config.clone(),
        }
    }

    /// The active controller, able to commit or not.
    pub(super) fn active(&self) -> Option<usize> {
        self.active
    }

    /// Whether records can be committed.
    pub(super) fn can_commit(&self) -> bool {
        self.active.is_some_and(|active| self.quorum.contains(&active))
    }

    /// A node's process starts, stops (`orderly`: it hands over first) or freezes.
    pub(super) fn node_changed(&mut self, node: usize, now: Now, scene: &mut Scene<'_, '_>) {
        let state = &mut self.nodes[node];
        state.up = now == Now::Running || now == Now::Started;
        state.frozen = now == Now::Frozen;
        state.fresh |= now == Now::Started;
        state.alone_since = None;
        let mut search = Search::Silent;
        if self.active == Some(node) && matches!(now, Now::Dead { .. }) {
            self.set_active(None, scene);
            if now == (Now::Dead { orderly: true }) {
                search = Search::HandedOver;
            }
        } else if self.active.is_none() {
            search = Search::Open;
        }
        self.review_with(search, scene);
    }

    /// Links have changed.
    pub(super) fn links_changed(&mut self, scene: &mut Scene<'_, '_>) {
        let search = if self.active.is_none() { Search::Open } else { Search::Silent };
        self.review_with(search, scene);
    }

    fn review_with(&mut self, search: Search, scene: &mut Scene<'_, '_>) {
        self.quorum = majority(&self.nodes, scene.links);
        if self.quorum.is_empty() && !self.lost {
            self.lost = true;
            scene.changes.push(Change::QuorumLost);
        }
        let unseated = self.note_alone(scene);
        if self.can_commit() && unseated {
            self.set_active(None, scene);
            self.turn = Turn::Nothing;
            return self.plan(Search::Unseated, scene);
        }
        if self.can_commit() {
            self.turn = Turn::Nothing;
            self.timer.disarm(0);
            self.found(scene);
        } else {
            self.plan(search, scene);
        }
    }

    /// Notes who hears no leader. Whether one that hears it again will unseat it.
    fn note_alone(&mut self, scene: &Scene<'_, '_>) -> bool {
        let leader = self.active.map(|active| self.nodes[active]).filter(|leader| leader.up);
        let mut unseated = false;
        for (index, node) in self.nodes.iter_mut().enumerate() {
            let hears = leader.is_some_and(|l| scene.links.connected(l.zone, node.zone));
            if !node.up || hears || self.active == Some(index) {
                let alone = node.alone_since.take();
                unseated |= alone.is_some_and(|since| {
                    self.config.fetch_timeout < scene.ctx.now.since(since) && hears
                });
            } else {
                node.alone_since.get_or_insert(scene.ctx.now);
            }
        }
        unseated && !self.pre_vote
    }

    fn plan(&mut self, search: Search, scene: &mut Scene<'_, '_>) {
        let planned = match self.turn {
            Turn::Elect { winner } => self.quorum.contains(&winner),
            Turn::Resign => self.quorum.is_empty() && self.active.is_some(),
            Turn::Nothing => false,
        };
        if planned {
            return;
        }
        let now = scene.ctx.now;
        let wait = if self.quorum.is_empty() {
            self.turn = if self.active.is_some() { Turn::Resign } else { Turn::Nothing };
            let patience = SimDuration(self.config.fetch_timeout.0 / 2 * 3);
            patience - SimDuration(self.rng.below(FETCH_INTERVAL.0))
        } else {
            let (winner, wait) = self.draw_winner(search);
            self.turn = Turn::Elect { winner };
            wait
        };
        self.timer.disarm(0);
        if self.turn != Turn::Nothing {
            self.timer.arm(0, now + wait, scene.ctx);
        }
    }

    /// Who of the majority campaigns first, and when it can commit.
    fn draw_winner(&mut self, search: Search) -> (usize, SimDuration) {
        let mut longer = SimDuration::ZERO;
        let mut search = search;
        loop {
            let mut campaigns: Vec<(SimDuration, usize)> = Vec::new();
            for at in 0..self.quorum.len() {
                let node = self.quorum[at];
                let wait = self.draw_wait(search, self.nodes[node].fresh);
                campaigns.push((wait, node));
            }
            campaigns.sort_unstable();
            let (first, winner) = campaigns[0];
            let second = campaigns.get(1).map(|&(second, _)| second);
            let split = second.is_some_and(|second| second < first + VOTE_TIME);
            if !split || search == Search::HandedOver {
                return (winner, longer + first + VOTE_TIME + CLAIM_TIME);
            }
            // Both wait for votes that do not come, and then a while longer.
            longer = longer + first + SimDuration(self.rng.below(self.backoff_max()));
            search = Search::Unseated;
        }
    }

    fn backoff_max(&self) -> u64 {
        self.config.election_backoff_max.0.max(1)
    }

    fn draw_wait(&mut self, search: Search, fresh: bool) -> SimDuration {
        let timeout = self.config.election_timeout;
        let fetch = self.config.fetch_timeout;
        match search {
            Search::Silent if !fresh => fetch - SimDuration(self.rng.below(FETCH_INTERVAL.0)),
            Search::HandedOver => SimDuration::ZERO,
            // Somewhere in a round of its own.
            Search::Open if !fresh => SimDuration(self.rng.below(timeout.0.max(1) * 2)),
            Search::Silent | Search::Open | Search::Unseated => {
                timeout + SimDuration(self.rng.below(timeout.0.max(1)))
            }
        }
    }

    /// Takes an event; whether there is a new active controller.
    pub(super) fn turned(&mut self, ticket: Ticket, scene: &mut Scene<'_, '_>) -> bool {
        if !self.timer.fires(ticket, scene.ctx) {
            return false;
        }
        match std::mem::replace(&mut self.turn, Turn::Nothing) {
            Turn::Nothing => false,
            Turn::Resign => {
                self.set_active(None, scene);
                self.note_alone(scene);
                false
            }
            Turn::Elect { winner } => {
                self.set_active(Some(winner), scene);
                for node in &mut self.nodes {
                    node.fresh = false;
                    // All follow it from now on; who was cut off longer is noted anew.
                    node.alone_since = None;
                }
                self.note_alone(scene);
                self.found(scene);
                true
            }
        }
    }

    fn found(&mut self, scene: &mut Scene<'_, '_>) {
        if self.lost {
            self.lost = false;
            scene.changes.push(Change::QuorumBack);
        }
    }

    fn set_active(&mut self, to: Option<usize>, scene: &mut Scene<'_, '_>) {
        if self.active != to {
            self.active = to;
            scene.changes.push(Change::ControllerChanged { to });
        }
    }
}
