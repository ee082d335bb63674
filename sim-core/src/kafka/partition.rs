//! One partition as its leader serves it.

use std::collections::VecDeque;

use crate::engine::SimTime;

use super::log::Log;
use super::metadata::{BrokerId, BrokerSet, PartitionState};

/// The data of a partition, and what its leader knows of it.
#[derive(Clone, Debug)]
pub(crate) struct Partition {
    pub(crate) log: Log,
    /// Index of its topic within the cluster.
    pub(crate) topic: usize,
    /// Its number within the topic.
    pub(crate) number: u32,
    pub(crate) replicas: Vec<BrokerId>,
    /// Who acts as its leader, as far as the brokers know.
    pub(crate) leader: Option<BrokerId>,
    pub(crate) leader_epoch: u32,
    /// The committed ISR, as the leader knows it.
    pub(crate) isr: BrokerSet,
    /// What the leader has asked the controller to make of it.
    pub(crate) proposed: Option<BrokerSet>,
    /// Followers with a progress of their own: laggards of their loops.
    pub(crate) off: BrokerSet,
    /// Number of its last append on the leader; 0 if this leader has appended nothing.
    pub(crate) last_stamp: u64,
    /// Bytes since the last fetch, by place in `replicas`.
    pub(crate) unread: Vec<u64>,
    /// The fetch that each replica last got data from on its own turn, by place in `replicas`.
    pub(crate) turns: Vec<u64>,
    /// Which of a broker's fetchers fetches it (K-LOG-1).
    pub(crate) fetcher: u32,
    /// LEO of each replica while nobody leads, by place in `replicas`.
    pub(crate) ends: Vec<u64>,
    /// The log end when its leader was elected: one must have this much to join the ISR (K-ISR-4).
    pub(crate) epoch_start: u64,
    /// The fetch loop that its watermark waits for: that of the follower with the least.
    pub(crate) watched: Option<usize>,
    /// Since when it has no usable leader.
    pub(crate) unusable_since: Option<SimTime>,
    /// When the watermark could not move since a replica that it needs was dead, frozen or out.
    pub(crate) held: Held,
}

impl Partition {
    pub(crate) fn new(state: &PartitionState, fetcher: u32, log: Log) -> Self {
        Self {
            ends: vec![log.end(); state.replicas.len()],
            epoch_start: log.end(),
            log,
            topic: usize::from(state.topic),
            number: state.number,
            leader: state.leader,
            leader_epoch: state.leader_epoch,
            isr: state.isr,
            proposed: None,
            off: BrokerSet::EMPTY,
            last_stamp: 0,
            unread: vec![0; state.replicas.len()],
            turns: vec![0; state.replicas.len()],
            fetcher,
            watched: None,
            unusable_since: None,
            held: Held::default(),
            replicas: state.replicas.clone(),
        }
    }

    /// The ISR that the watermark waits for: with who is joining, and with who is still leaving
    /// (K-HW-2).
    pub(crate) fn maximal_isr(&self) -> BrokerSet {
        self.proposed.map_or(self.isr, |proposed| self.isr.union(proposed))
    }
}

/// Intervals, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    over: VecDeque<(SimTime, SimTime)>,
    since: Option<SimTime>,
}

impl Held {
    /// From now on the watermark is held, or not.
    pub(crate) fn set(&mut self, now: SimTime, held: bool) {
        match (self.since, held) {
            (None, true) => self.since = Some(now),
            (Some(since), false) => {
                self.since = None;
                if since < now {
                    self.over.push_back((since, now));
                }
            }
            (None, false) | (Some(_), true) => {}
        }
    }

    /// Whether it is held now.
    pub(crate) fn is_held(&self) -> bool {
        self.since.is_some()
    }

    /// Nanoseconds between two instants during which it was held.
    pub(crate) fn within(&self, from: SimTime, until: SimTime) -> u64 {
        if self.over.is_empty() && self.since.is_none() {
            return 0;
        }
        let cut = |since: SimTime, end: SimTime| end.min(until).since(since.max(from)).0;
        let over: u64 = self.over.iter().map(|&(since, end)| cut(since, end)).sum();
        over + self.since.map_or(0, |since| cut(since, until))
    }

    /// Forgets what ended before.
    pub(crate) fn forget_before(&mut self, instant: SimTime) {
        while self.over.front().is_some_and(|(_, end)| *end < instant) {
            self.over.pop_front();
        }
    }
}
