//! Who is in sync, and what happens to a partition when the controller has decided.
//!
//! | Mechanism                                                              | Fact    |
//! |------------------------------------------------------------------------|---------|
//! | the leader looks every half lag time and drops who is behind            | K-ISR-2 |
//! | an idle partition never shrinks                                         | K-ISR-2 |
//! | a follower that has the watermark and the epoch start joins             | K-ISR-4 |
//! | either needs the controller's commit; until then the larger ISR counts  | K-ISR-5, K-HW-2 |
//! | effective min ISR, frozen watermark                                     | K-ISR-7, K-ISR-8 |
//! | a new leader cuts what it does not have; waiting requests fail          | K-EPO-1, K-ACK-2 |
//!
//! Simplification: a new leader takes over the watermark of the old one, which in truth it knows a
//! round trip late (K-HW-3); consumers would see a millisecond without new records.

use crate::config::kafka::KafkaVersion;
use crate::engine::{SimTime, Turn};

use super::controller::Proposal;
use super::metadata::{BrokerId, BrokerSet, PartitionId};
use super::replication::LoopState;
use super::request::Refusal;
use super::{At, Cluster, Event};

impl Cluster {
    /// `min.insync.replicas` in effect; before 3.7 also more than there are replicas.
    pub(super) fn min_isr(&self, partition: PartitionId) -> u32 {
        let of = &self.partitions[partition.index()];
        let configured = self.config.topics[of.topic].min_insync_replicas;
        if self.config.version < KafkaVersion::V3_9 {
            return configured;
        }
        self.metadata.of(partition).min_isr(configured)
    }

    /// K-ISR-8.
    pub(super) fn freezes_below_min_isr(&self) -> bool {
        self.config.version >= KafkaVersion::V3_9
    }

    /// A leader looks for followers that are behind.
    pub(super) fn on_isr_check(&mut self, broker: BrokerId, turn: Turn, at: &mut At<'_, '_>) {
        let host = &self.brokers[broker.index()];
        let event = |turn| Event::IsrCheck(broker, turn);
        if !host.isr_checks.comes(turn, event, &mut at.ctx) || !host.runs() {
            return;
        }
        let now = at.ctx.now;
        let most = self.config.settings.replica_lag_time_max;
        let mut slow = Vec::new();
        for index in 0..self.loops.len() {
            let fetch_loop = &self.loops[index];
            if fetch_loop.leader != broker || fetch_loop.follower == broker {
                continue;
            }
            let follower = fetch_loop.follower;
            for laggard in &fetch_loop.laggards {
                let of = &self.partitions[laggard.partition.index()];
                let known = laggard.told.unwrap_or(laggard.end);
                if known < of.log.end() && now.since(laggard.caught_up_at) > most {
                    slow.push((laggard.partition, follower));
                }
            }
            if fetch_loop.state == LoopState::Parked || now.since(fetch_loop.caught_up(now)) <= most
            {
                continue;
            }
            for (number, of) in (0..).zip(&self.partitions) {
                if of.leader == Some(broker)
                    && of.isr.has(follower)
                    && !of.off.has(follower)
                    && of.last_stamp > fetch_loop.told
                    && self.loop_of(follower, broker, of.fetcher) == index
                {
                    slow.push((PartitionId(number), follower));
                }
            }
        }
        for (partition, follower) in slow {
            let of = &self.partitions[partition.index()];
            if of.leader == Some(broker) && of.proposed.is_none() && of.isr.has(follower) {
                self.propose(partition, of.isr.without(follower), at);
            }
        }
    }

    /// Followers out of the ISR that have come level join it.
    pub(super) fn propose_outsiders(&mut self, index: usize, at: &mut At<'_, '_>) {
        if self.loops[index].outsiders.is_empty() {
            return;
        }
        let follower = self.loops[index].follower;
        if !self.controller.is_live(follower) {
            return;
        }
        for place in 0..self.loops[index].outsiders.len() {
            let partition = self.loops[index].outsiders[place];
            let of = &self.partitions[partition.index()];
            if of.proposed.is_some() || of.isr.has(follower) {
                continue;
            }
            let told = if of.off.has(follower) {
                self.loops[index].laggard(partition).and_then(|laggard| laggard.told)
            } else {
                Some(of.log.end_at(self.loops[index].told))
            };
            let enough = of.log.high_watermark().max(of.epoch_start);
            if told.is_some_and(|end| end >= enough) {
                self.propose(partition, of.isr.with(follower), at);
            }
        }
    }

    /// Something that kept followers out of the ISR is over: those whose fetch waits at the leader
    /// do not come by themselves.
    fn propose_parked(&mut self, partition: PartitionId, at: &mut At<'_, '_>) {
        let of = &self.partitions[partition.index()];
        let Some(leader) = of.leader else { return };
        let (isr, fetcher) = (of.isr, of.fetcher);
        for place in 0..of.replicas.len() {
            let follower = self.partitions[partition.index()].replicas[place];
            let index = self.loop_of(follower, leader, fetcher);
            if !isr.has(follower) && self.loops[index].state == LoopState::Parked {
                self.propose_outsiders(index, at);
            }
        }
    }

    /// The controller counts on a broker again: what it has may be in sync.
    pub(super) fn propose_returned(&mut self, follower: BrokerId, at: &mut At<'_, '_>) {
        for index in 0..self.loops.len() {
            let fetch_loop = &self.loops[index];
            if fetch_loop.follower == follower && fetch_loop.state == LoopState::Parked {
                self.propose_outsiders(index, at);
            }
        }
    }

    fn propose(&mut self, partition: PartitionId, isr: BrokerSet, at: &mut At<'_, '_>) {
        let state = self.metadata.of(partition);
        let (leader_epoch, partition_epoch) = (state.leader_epoch, state.partition_epoch);
        let of = &mut self.partitions[partition.index()];
        let Some(leader) = of.leader else { return };
        of.proposed = Some(isr);
        let wish = Proposal { leader, partition, leader_epoch, partition_epoch, isr };
        self.with_controller(at, |controller, scene| controller.alter_isr(wish, scene));
    }

    /// The controller refused a proposal: the committed ISR holds.
    pub(super) fn isr_refused(&mut self, partition: PartitionId, at: &mut At<'_, '_>) {
        self.partitions[partition.index()].proposed = None;
        self.note_held(partition, at.ctx.now);
        self.try_commit(partition, at);
    }

    /// The committed state of a partition has changed, and its brokers act on it.
    pub(super) fn on_partition_changed(&mut self, partition: PartitionId, at: &mut At<'_, '_>) {
        let number = partition.index();
        if number >= self.partitions.len() {
            self.add_partition(partition, at);
            return;
        }
        let state = self.metadata.of(partition).clone();
        let of = &mut self.partitions[number];
        let (old_leader, old_isr) = (of.leader, of.isr);
        let granted = of.proposed.take().is_some_and(|wish| wish == state.isr);
        if granted {
            let grown = state.isr.len() > old_isr.len();
            self.counts.leaders_expands += u64::from(grown);
            self.counts.leaders_shrinks += u64::from(state.isr.len() < old_isr.len());
        }
        self.note_isr(partition, old_isr, state.isr, at);
        if self.is_users(partition) {
            self.counts.isr_shrinks += u64::from(old_isr.len().saturating_sub(state.isr.len()));
            self.counts.isr_expands += u64::from(state.isr.len().saturating_sub(old_isr.len()));
        }
        let led_anew =
            old_leader != state.leader || self.partitions[number].leader_epoch < state.leader_epoch;
        let epoch = self.partitions[number].leader_epoch;
        debug_assert!(state.leader_epoch >= epoch, "an older leader epoch of {partition:?}");
        debug_assert!(
            old_leader == state.leader || state.leader_epoch > epoch,
            "two leaders of {partition:?} in epoch {epoch}"
        );
        if led_anew {
            self.change_leader(partition, at);
        }
        let of = &mut self.partitions[number];
        of.isr = state.isr;
        self.note_outsiders(partition);
        self.review(partition, at);
        if let Some(leader) = state.leader {
            if old_leader != state.leader {
                self.greet_followers(partition, leader, at);
            }
            self.try_commit(partition, at);
            self.offer_readers_of(partition, at);
            self.propose_parked(partition, at);
        }
    }

    /// A person should see who left, or joined, the ISR.
    fn note_isr(
        &self,
        partition: PartitionId,
        old: BrokerSet,
        new: BrokerSet,
        at: &mut At<'_, '_>,
    ) {
        let kind = match new.len().cmp(&old.len()) {
            std::cmp::Ordering::Less => "isr_shrunk",
            std::cmp::Ordering::Greater => "isr_expanded",
            std::cmp::Ordering::Equal => return,
        };
        let brokers: Vec<String> = new.iter().map(|broker| broker.0.to_string()).collect();
        let detail = format!("to brokers {}", brokers.join(", "));
        self.note(at, kind, self.partition_name(partition), detail);
    }

    /// What the change of leader does to the log, to requests and to readers.
    fn change_leader(&mut self, partition: PartitionId, at: &mut At<'_, '_>) {
        let number = partition.index();
        let state = self.metadata.of(partition).clone();
        let old_leader = self.partitions[number].leader;
        let replicas = self.partitions[number].replicas.clone();
        let ends: Vec<u64> =
            replicas.iter().map(|&replica| self.end_on(partition, replica)).collect();
        if let Some(old) = old_leader {
            self.leave_loops(partition, old);
        }
        let of = &mut self.partitions[number];
        of.ends = ends;
        of.leader = state.leader;
        of.leader_epoch = state.leader_epoch;
        of.watched = None;
        let Some(leader) = state.leader else {
            self.refuse_waiting(partition, Refusal::NotLeader, at);
            return;
        };
        let place = of.replicas.iter().position(|&replica| replica == leader);
        let end = place.map_or(0, |place| of.ends[place]);
        debug_assert!(
            end >= of.log.high_watermark() || !of.isr.has(leader),
            "{leader:?} was in sync and has not all that was committed of {partition:?}"
        );
        let of = &mut self.partitions[number];
        for own in &mut of.ends {
            *own = (*own).min(end);
        }
        of.epoch_start = end;
        self.refuse_waiting(partition, Refusal::NotLeader, at);
        self.cut(partition, end, at);
        let of = &mut self.partitions[number];
        let high_watermark = of.log.high_watermark().min(end);
        of.log.restamp(high_watermark);
    }

    /// Followers of a new leader begin where they are, and say so with their next fetch.
    pub(super) fn greet_followers(
        &mut self,
        partition: PartitionId,
        leader: BrokerId,
        at: &mut At<'_, '_>,
    ) {
        let of = &self.partitions[partition.index()];
        let fetcher = of.fetcher;
        let followers: Vec<(BrokerId, u64)> = of
            .replicas
            .iter()
            .copied()
            .zip(of.ends.iter().copied())
            .filter(|(replica, _)| *replica != leader)
            .collect();
        for (follower, end) in followers {
            let index = self.loop_of(follower, leader, fetcher);
            self.lag(index, partition, end, None);
            // It had everything when the old leader fell, as far as the new one can tell.
            let in_sync = self.partitions[partition.index()].isr.has(follower);
            let now = at.ctx.now;
            if let Some(laggard) = self.loops[index].laggards.back_mut() {
                laggard.caught_up_at = if in_sync { now } else { SimTime::ZERO };
            }
            self.wake(index, at);
        }
    }

    /// Keeps the lists of followers that are not in sync.
    pub(super) fn note_outsiders(&mut self, partition: PartitionId) {
        let of = &self.partitions[partition.index()];
        let Some(leader) = of.leader else { return };
        let (isr, fetcher) = (of.isr, of.fetcher);
        for place in 0..of.replicas.len() {
            let follower = self.partitions[partition.index()].replicas[place];
            if follower == leader {
                continue;
            }
            let index = self.loop_of(follower, leader, fetcher);
            let outsiders = &mut self.loops[index].outsiders;
            let known = outsiders.iter().position(|&other| other == partition);
            match (known, isr.has(follower)) {
                (None, false) => outsiders.push(partition),
                (Some(place), true) => {
                    outsiders.swap_remove(place);
                }
                (None, true) | (Some(_), false) => {}
            }
        }
    }

    /// Tries to raise the watermark after something other than a fetch has changed.
    pub(super) fn try_commit(&mut self, partition: PartitionId, at: &mut At<'_, '_>) {
        self.commit(partition, at);
        self.partitions[partition.index()].watched = None;
        self.watch_watermark(partition);
        self.after_commits(at);
    }

    /// Whether the watermark waits for a replica that is dead, frozen or out: what invisible
    /// records wait for then (D-19).
    pub(super) fn note_held(&mut self, partition: PartitionId, now: SimTime) {
        let of = &self.partitions[partition.index()];
        let gone = |leader: BrokerId| {
            let needed = of.maximal_isr().without(leader);
            needed.iter().any(|follower| !self.in_touch(leader, follower))
        };
        let held = of.leader.is_none_or(gone) || self.is_frozen(partition);
        self.partitions[partition.index()].held.set(now, held);
    }
}
