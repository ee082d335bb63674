//! One consumer group: its coordinator on a broker and its members' side of the protocol. Nothing
//! here knows records, logs or fetches; the reading side acts on [`Change`]s.
//!
//! | Mechanism                                                         | Fact                |
//! |-------------------------------------------------------------------|---------------------|
//! | classic: join and sync barriers, sessions, votes (`classic`)      | K-GRP-1 to K-GRP-10 |
//! | KIP-848: epochs and reconciliation, member by member (`consumer`) | K-848-1 to K-848-4  |
//! | who gets what (`assignor`)                                        | K-ASG, K-848-5      |
//! | healthy heartbeats are closed form, not events (`beats`)          | D-16                |
//!
//! What the reading side owes: after [`Change::AwaitsPoll`] it calls [`Group::polled`] as soon as
//! that member is inside `poll()`; the change may come again while it still waits. Each
//! [`Change::Assigned`] is ended by exactly one [`Change::Revoked`] or [`Change::Lost`], also when
//! the process is killed or stopped. A commit belongs before whatever it calls next.
//!
//! Simplification: a request takes half the round trip each way, and is lost only if its process
//! ends meanwhile. What reaches a coordinator that is not there is sent again once it is back, where
//! a client looks for the new one with backoff (100 ms). Commits that stall rebalances (K-GRP-10,
//! watermark stuck) are the caller's to express with [`Group::coordinator_lost`]. With a broken
//! network between some members and the coordinator an operator would see more than this shows.

pub mod assignor;
mod beats;
mod classic;
mod consumer;
#[cfg(test)]
mod tests;

use self::assignor::TopicPartition;
use self::classic::Classic;
use self::consumer::Consumer;
use crate::config::kafka::{BrokerSettings, GroupConfig, GroupProtocol, KafkaVersion};
use crate::engine::timer::Ticket;
use crate::engine::{Ctx, Rngs, SimDuration};

/// A process slot of a group. A restarted process keeps its slot, and its `group.instance.id` if it
/// is static; a dynamic one gets a new member id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MemberId(pub u32);

impl MemberId {
    fn index(self) -> usize {
        self.0 as usize
    }
}

/// Which request of a member reaches the coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// JoinGroup.
    Join,
    /// SyncGroup.
    Sync,
    /// KIP-848: a ConsumerGroupHeartbeat that says something.
    Heartbeat,
}

/// An event of the group.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// A request reaches the coordinator.
    Arrived {
        /// What it is.
        request: Request,
        /// Whose.
        member: MemberId,
        /// Which request of that member: an older one's events are void.
        attempt: u32,
    },
    /// The answer to a request reaches the member.
    Replied {
        /// Whose.
        member: MemberId,
        /// Which request of that member.
        attempt: u32,
    },
    /// A heartbeat that the answer makes notable has come back.
    Beat {
        /// Whose.
        member: MemberId,
        /// Which process in that slot.
        process: u32,
    },
    /// A member's word that it leaves reaches the coordinator.
    Left {
        /// The seat it gives up.
        seat: u32,
        /// KIP-848 static: it means to come back (epoch -2).
        for_now: bool,
    },
    /// A session, or the time that a new member may wait, is over.
    SessionExpired(Ticket),
    /// A join or sync barrier has waited long enough; KIP-848: a member's time to revoke is over.
    PatienceEnded(Ticket),
}
const _: () = assert!(size_of::<Event>() <= 12);

/// State of a group, as the broker reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupState {
    /// No members.
    Empty,
    /// Classic: waits for all to join.
    PreparingRebalance,
    /// Classic: waits for the leader's assignment.
    CompletingRebalance,
    /// KIP-848: a new target assignment is due; the next heartbeat of any member computes it.
    Assigning,
    /// KIP-848: some member is not yet at its target.
    Reconciling,
    /// All have what they should.
    Stable,
}

/// What the group decided: the reading side acts on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// `member` may read the partition from now on, from the committed offset.
    Assigned {
        /// The new reader.
        member: MemberId,
        /// What it reads.
        partition: TopicPartition,
    },
    /// `member` gives the partition up in an orderly way: its position is committed first.
    Revoked {
        /// The reader until now.
        member: MemberId,
        /// What it read.
        partition: TopicPartition,
    },
    /// `member` stops reading without a word: `onPartitionsLost`, or its process is gone.
    Lost {
        /// The reader until now.
        member: MemberId,
        /// What it read.
        partition: TopicPartition,
    },
    /// The client goes on only inside `poll()`: to rejoin, or to take over a new assignment.
    AwaitsPoll {
        /// Whose `poll()`.
        member: MemberId,
    },
    /// The group is in another state.
    State(GroupState),
    /// A rebalance is complete: a generation, or KIP-848 a group epoch that moved a partition.
    Rebalanced {
        /// The generation, or the epoch.
        generation: u32,
        /// How many members it has.
        members: u32,
        /// Partitions that went from one member to another.
        moved: u32,
        /// Since it began.
        took: SimDuration,
    },
    /// The coordinator took the member in.
    Joined {
        /// Who.
        member: MemberId,
    },
    /// The coordinator took the member out. A fenced process has ended, as after [`Group::kill`].
    Expelled {
        /// Who.
        member: MemberId,
        /// For the journal.
        why: &'static str,
    },
}

/// A consumer group.
#[derive(Clone, Debug)]
pub struct Group {
    inner: Inner,
}

#[derive(Clone, Debug)]
enum Inner {
    Classic(Box<Classic>),
    Consumer(Box<Consumer>),
}

/// Does the same with the group of either protocol.
macro_rules! of {
    ($group:expr, $it:ident => $what:expr) => {
        match $group {
            Inner::Classic($it) => $what,
            Inner::Consumer($it) => $what,
        }
    };
}

impl Group {
    /// The group of `config`, not yet started. `partitions` are the numbers of partitions of
    /// `config.topics`, in that order, by which [`TopicPartition::topic`] counts.
    #[must_use]
    pub fn new(
        config: &GroupConfig,
        settings: &BrokerSettings,
        version: KafkaVersion,
        partitions: Vec<u32>,
        rtt: SimDuration,
        rngs: &Rngs,
    ) -> Self {
        let inner = match &config.protocol {
            GroupProtocol::Classic { assignors } => Inner::Classic(Box::new(Classic::new(
                config, assignors, settings, version, partitions, rtt, rngs,
            ))),
            GroupProtocol::Consumer { assignor } => Inner::Consumer(Box::new(Consumer::new(
                config, *assignor, settings, partitions, rtt, rngs,
            ))),
        };
        Self { inner }
    }

    /// The beginning. `settled`: all members are in a stable generation 1. Otherwise all of them
    /// start to join now.
    pub fn start(&mut self, settled: bool, ctx: &mut Ctx<'_, Event>, changes: &mut Vec<Change>) {
        of!(&mut self.inner, it => it.start(settled, ctx, changes));
    }

    /// Reacts to an event.
    pub fn handle(&mut self, event: Event, ctx: &mut Ctx<'_, Event>, changes: &mut Vec<Change>) {
        of!(&mut self.inner, it => it.handle(event, ctx, changes));
    }

    /// The member is inside `poll()` now.
    pub fn polled(
        &mut self,
        member: MemberId,
        ctx: &mut Ctx<'_, Event>,
        changes: &mut Vec<Change>,
    ) {
        of!(&mut self.inner, it => it.polled(member, ctx, changes));
    }

    /// The member has exceeded `max.poll.interval.ms`: its heartbeat thread leaves the group, or
    /// just falls silent if it is a classic static member (K-GRP-4).
    pub fn poll_overdue(
        &mut self,
        member: MemberId,
        ctx: &mut Ctx<'_, Event>,
        changes: &mut Vec<Change>,
    ) {
        of!(&mut self.inner, it => it.poll_overdue(member, ctx, changes));
    }

    /// The process is gone without a word: what it read is lost.
    pub fn kill(&mut self, member: MemberId, ctx: &mut Ctx<'_, Event>, changes: &mut Vec<Change>) {
        of!(&mut self.inner, it => it.kill(member, ctx, changes));
    }

    /// A clean close: what it read is revoked, and a dynamic member leaves if the configuration
    /// says so. A paused process cannot close: it is killed.
    pub fn stop(&mut self, member: MemberId, ctx: &mut Ctx<'_, Event>, changes: &mut Vec<Change>) {
        of!(&mut self.inner, it => it.stop(member, ctx, changes));
    }

    /// The process freezes: no heartbeats, and what arrives waits.
    pub fn pause(&mut self, member: MemberId, ctx: &mut Ctx<'_, Event>) {
        of!(&mut self.inner, it => it.pause(member, ctx));
    }

    /// A frozen process goes on: a heartbeat that is overdue is sent at once. If it waits to be in
    /// `poll()`, [`Change::AwaitsPoll`] comes again.
    pub fn resume(
        &mut self,
        member: MemberId,
        ctx: &mut Ctx<'_, Event>,
        changes: &mut Vec<Change>,
    ) {
        of!(&mut self.inner, it => it.resume(member, ctx, changes));
    }

    /// A process enters its first `poll()` (start it `start_time` earlier): of a slot that is down,
    /// or of the next new one.
    pub fn start_member(
        &mut self,
        member: MemberId,
        ctx: &mut Ctx<'_, Event>,
        changes: &mut Vec<Change>,
    ) {
        of!(&mut self.inner, it => it.start_member(member, ctx, changes));
    }

    /// A process starts in a new slot with the `group.instance.id` of `of`, which may still run.
    /// Without static membership it is just another member.
    pub fn start_twin(
        &mut self,
        of: MemberId,
        ctx: &mut Ctx<'_, Event>,
        changes: &mut Vec<Change>,
    ) -> MemberId {
        of!(&mut self.inner, it => it.start_twin(of, ctx, changes))
    }

    /// The coordinator is gone, or cannot write: nobody gets an answer (K-GRP-10).
    pub fn coordinator_lost(&mut self, ctx: &mut Ctx<'_, Event>) {
        of!(&mut self.inner, it => it.coordinator_lost(ctx));
    }

    /// A coordinator is back, with what was last written: the last complete generation.
    pub fn coordinator_back(&mut self, ctx: &mut Ctx<'_, Event>, changes: &mut Vec<Change>) {
        of!(&mut self.inner, it => it.coordinator_back(ctx, changes));
    }

    /// The topic has `total` partitions now, and the metadata of the leader (KIP-848: of the
    /// broker) says so (K-PRT-3).
    pub fn partitions_added(
        &mut self,
        topic: u16,
        total: u32,
        ctx: &mut Ctx<'_, Event>,
        changes: &mut Vec<Change>,
    ) {
        of!(&mut self.inner, it => it.partitions_added(topic, total, ctx, changes));
    }

    /// Whether a commit of the member would be accepted (K-GRP-7). After a clean stop, until its
    /// LeaveGroup has arrived, still so.
    #[must_use]
    pub fn may_commit(&self, member: MemberId) -> bool {
        of!(&self.inner, it => it.may_commit(member))
    }

    /// Who reads the partition: the process that was told last, unless it has given it up. One that
    /// was told before and does not know yet that it lost the partition may read it besides.
    #[must_use]
    pub fn owner(&self, partition: TopicPartition) -> Option<MemberId> {
        of!(&self.inner, it => it.readers().of(partition))
    }

    /// Whose the partition is in the coordinator's eyes, alive or not.
    #[must_use]
    pub fn holder(&self, partition: TopicPartition) -> Option<MemberId> {
        of!(&self.inner, it => it.holder(partition))
    }

    /// What the process reads, in order.
    #[must_use]
    pub fn owned_by(&self, member: MemberId) -> &[TopicPartition] {
        of!(&self.inner, it => it.owned_by(member))
    }

    /// The slot of the leader (classic); KIP-848 knows none.
    #[must_use]
    pub fn leader(&self) -> Option<MemberId> {
        match &self.inner {
            Inner::Classic(classic) => classic.leading_member(),
            Inner::Consumer(_) => None,
        }
    }

    /// How many slots there have been.
    #[must_use]
    pub fn members(&self) -> u32 {
        of!(&self.inner, it => it.members())
    }

    /// Whether the slot has a process, frozen or not.
    #[must_use]
    pub fn is_up(&self, member: MemberId) -> bool {
        of!(&self.inner, it => it.is_up(member))
    }

    /// How many slots have a process, frozen or not.
    #[must_use]
    pub fn members_alive(&self) -> u32 {
        let up = (0..self.members()).filter(|&member| self.is_up(MemberId(member)));
        u32::try_from(up.count()).unwrap_or(u32::MAX)
    }

    /// The state as the broker reports it.
    #[must_use]
    pub fn state(&self) -> GroupState {
        of!(&self.inner, it => it.state())
    }

    /// The generation, or the group epoch.
    #[must_use]
    pub fn generation(&self) -> u32 {
        of!(&self.inner, it => it.generation())
    }

    /// Whether the queued event no longer does anything: a sweep may remove it.
    #[must_use]
    pub fn is_stale(&self, event: &Event) -> bool {
        let (sessions, patience) = of!(&self.inner, it => it.timers());
        match *event {
            Event::SessionExpired(ticket) => sessions.is_stale(ticket),
            Event::PatienceEnded(ticket) => patience.is_stale(ticket),
            Event::Arrived { .. }
            | Event::Replied { .. }
            | Event::Beat { .. }
            | Event::Left { .. } => false,
        }
    }

    /// How many stale events wait in the queue.
    #[must_use]
    pub fn stale(&self) -> usize {
        let (sessions, patience) = of!(&self.inner, it => it.timers());
        sessions.stale() + patience.stale()
    }

    /// To be told that a sweep has removed all that [`Group::is_stale`] names.
    pub fn swept(&mut self) {
        of!(&mut self.inner, it => it.swept());
    }

    /// Checks what must always hold: no partition has two readers of one generation (KIP-848: two
    /// holders), and nobody is in the group twice.
    ///
    /// # Panics
    /// If it does not.
    pub fn audit(&self) {
        of!(&self.inner, it => it.audit());
    }
}

/// Something about each partition.
#[derive(Clone, Debug)]
struct ByPartition<T> {
    /// By topic and number.
    by_topic: Vec<Vec<Option<T>>>,
}

/// Who reads each partition.
type Readers = ByPartition<MemberId>;

impl<T> Default for ByPartition<T> {
    fn default() -> Self {
        Self { by_topic: Vec::new() }
    }
}

impl<T: Copy> ByPartition<T> {
    fn of(&self, partition: TopicPartition) -> Option<T> {
        let topic = self.by_topic.get(usize::from(partition.topic))?;
        topic.get(partition.partition as usize).copied().flatten()
    }

    fn note(&mut self, partition: TopicPartition, what: Option<T>) {
        let topic = usize::from(partition.topic);
        if self.by_topic.len() <= topic {
            self.by_topic.resize_with(topic + 1, Vec::new);
        }
        let number = partition.partition as usize;
        let numbers = &mut self.by_topic[topic];
        if numbers.len() <= number {
            numbers.resize(number + 1, None);
        }
        numbers[number] = what;
    }
}

impl ByPartition<MemberId> {
    /// `member` no longer reads the partition; whoever was told later still does.
    fn drop(&mut self, partition: TopicPartition, member: MemberId) {
        if self.of(partition) == Some(member) {
            self.note(partition, None);
        }
    }

    /// `member` starts to read `partitions`. One that the coordinator has thrown out meanwhile
    /// (not `valid`) does not count beside another reader.
    fn assign(
        &mut self,
        member: MemberId,
        valid: bool,
        partitions: &[TopicPartition],
        changes: &mut Vec<Change>,
    ) {
        for &partition in partitions {
            if valid || self.of(partition).is_none() {
                self.note(partition, Some(member));
            }
            changes.push(Change::Assigned { member, partition });
        }
    }

    /// `member` gives `partitions` up in an orderly way.
    fn revoke(
        &mut self,
        member: MemberId,
        partitions: &[TopicPartition],
        changes: &mut Vec<Change>,
    ) {
        for &partition in partitions {
            self.drop(partition, member);
            changes.push(Change::Revoked { member, partition });
        }
    }

    /// `member` has lost `partitions`.
    fn lose(&mut self, member: MemberId, partitions: &[TopicPartition], changes: &mut Vec<Change>) {
        for &partition in partitions {
            self.drop(partition, member);
            changes.push(Change::Lost { member, partition });
        }
    }
}

/// Members whose process is in which condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pulse {
    Down,
    Running,
    Paused,
}

/// The partitions of `these` that are not among `those`; both sorted.
fn without(these: &[TopicPartition], those: &[TopicPartition]) -> Vec<TopicPartition> {
    these.iter().copied().filter(|it| those.binary_search(it).is_err()).collect()
}
