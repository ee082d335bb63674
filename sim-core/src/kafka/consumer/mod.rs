//! The consumers of one group: what its members fetch, process and commit. Who owns which
//! partition is the group's affair (`kafka::group`); this side acts on it.
//!
//! | Mechanism                                                              | Fact     |
//! |------------------------------------------------------------------------|----------|
//! | a new owner starts at the committed offset and redoes what came after   | K-OFF-1, K-OFF-2 |
//! | positions are committed before an orderly hand-off, not after a loss    | K-OFF-1, K-GRP-7 |
//! | auto-commit inside poll()                                              | K-OFF-1  |
//! | out of range: auto.offset.reset                                        | K-FET-3  |
//! | local state is restored before a moved partition runs; standbys         | K-STR-1, K-STR-2 |
//! | fetching: see `fetch`; processing and delivery: see `process`           | K-FET-1, D-14 |
//!
//! Simplifications: a commit takes no time. A restored partition has the same size all the run.
//! With standbys a moved partition is taken to land where a copy is, as long as fewer members than
//! copies are gone; warm-ups and probing rebalances are not played, so a scale-out moves state at
//! once. A commit fails while the group's offsets partition cannot be written; its records are read
//! again if the owner changes then.

mod begin;
mod commit;
mod fetch;
mod fleet;
mod place;
mod process;
mod restore;

use std::collections::{BTreeSet, VecDeque};

use crate::blame::{BlameBook, Cause};
use crate::config::kafka::{GroupConfig, OffsetReset};
use crate::engine::{Ctx, Periodic, RngStream, Rngs, SimDuration, SimTime};
use crate::ledger::Seen;
use crate::metrics::latency::Latency;
use crate::order::{KeyOrder, RestOrder};
use crate::service::FULL_SPEED;
use crate::sink::Write;

use super::group::assignor::TopicPartition;
use super::group::{self, Change, Group, GroupState, MemberId};
use super::log::Entry;
use super::metadata::{BrokerId, PartitionId};
use super::produce::Fate;
use super::{At, Cluster, Event};

pub(super) use fetch::Slot;
use place::Place;
use process::Piece;

/// The member processes of one group, and what they have read.
#[derive(Clone)]
pub(crate) struct Consumers {
    pub(crate) config: GroupConfig,
    /// Index in the ledger.
    pub(crate) index: usize,
    pub(crate) coordination: Group,
    /// It has not begun: there are no members, and nothing is committed.
    pub(crate) waits: bool,
    /// By partition of the cluster; `None` for those of other topics.
    pub(crate) shares: Vec<Option<Share>>,
    pub(crate) members: Vec<Member>,
    readers: Vec<Option<Reader>>,
    keys: KeyOrder,
    /// Why its records were late.
    pub(crate) blame: BlameBook,
    /// Offered to first delivery.
    pub(crate) latency: Latency,
    pub(crate) counts: Counts,
    /// Factor on the processing time, in millionths.
    pub(crate) slow_ppm: u64,
    luck: RngStream,
    service: RngStream,
    next_generation: u32,
    pub(crate) unread: u64,
    /// Whether its offsets can be committed.
    pub(crate) commits: bool,
    /// Its coordinator answers.
    pub(crate) coordinated: bool,
    changes: Vec<Change>,
    /// When members that have nothing to do poll, and what is finished is settled.
    pub(crate) rounds: Periodic,
}

/// From one round of polls to the next. An idle consumer polls at least each fetch.max.wait.ms of
/// 500 ms; twice as often keeps what several members deliver in order more closely.
const ROUND: SimDuration = SimDuration::from_millis(250);

/// What a group counts, beyond the ledger.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// Completed generations, or epochs that moved a partition, after the first (D-27).
    pub(crate) rebalances: u64,
    /// Partitions that changed hands.
    pub(crate) moved: u64,
    pub(crate) lag_records_max: u64,
    pub(crate) lag_max: SimDuration,
    pub(crate) paused_max: SimDuration,
    pub(crate) paused_total: SimDuration,
    /// Offsets that were out of range.
    pub(crate) resets: u64,
}

/// What a group knows of one partition.
#[derive(Clone, Debug)]
pub(crate) struct Share {
    /// Offset after the last record that was ever processed.
    pub(crate) delivered: u64,
    /// About where that is in the log: index of an entry.
    pub(crate) delivered_index: u64,
    /// Where a new owner starts.
    pub(crate) committed: u64,
    /// Records stored and never processed, without second copies.
    pub(crate) unread: u64,
    rest: RestOrder,
    place: Place,
    /// Readers at work: more than one while a member does not know that it has lost it.
    readers: Vec<u32>,
    paused_since: Option<SimTime>,
    /// Who had it last.
    last_owner: Option<MemberId>,
    /// That process is gone without the group's having noticed.
    owner_died: bool,
}

/// A member process.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) running: bool,
    pub(crate) frozen: bool,
    zone: Option<usize>,
    /// Readers with fetched records, in the order in which they came: (reader, generation).
    buffer: VecDeque<(u32, u32)>,
    /// What the poll in hand returned; with a sink only the run in hand.
    pieces: VecDeque<Piece>,
    /// The run in hand on its way into the sink, and since when.
    write: Option<(Write, SimTime)>,
    /// Records that the poll in hand still has room for.
    room: u64,
    busy: bool,
    /// Processed events of another plan are stale.
    plan: u32,
    began_at: SimTime,
    /// It must enter poll() for the group to go on.
    awaits_poll: bool,
    place: Place,
    /// An interruption has left a backlog.
    interrupted: bool,
    commits_at: SimTime,
    /// Partitions whose state is on its disk.
    local: BTreeSet<PartitionId>,
    /// Numbers the starts of its processes: an older one's is void.
    starts: u32,
    /// A process is about to start.
    comes: bool,
    /// Factor on its processing time, in millionths.
    slow_ppm: u64,
    /// When all restoring so far is done.
    restored_at: SimTime,
    restoring: u32,
    /// By broker.
    slots: Vec<Slot>,
}

/// A member's reading of one partition.
#[derive(Clone, Debug)]
struct Reader {
    partition: PartitionId,
    member: MemberId,
    /// Events that carry another generation are stale.
    generation: u32,
    /// Next offset to fetch.
    next_fetch: u64,
    /// Next offset to process.
    cursor: u64,
    /// About where these two are in the log: indices of entries.
    fetch_index: u64,
    cursor_index: u64,
    /// Fetched up to here.
    buffered: u64,
    /// The broker whose slot counts it among those with buffered records.
    counted_at: Option<BrokerId>,
    /// Asked for by the fetch under way.
    asked: bool,
    /// The broker in whose slot's list it is.
    listed_at: Option<BrokerId>,
    restoring: bool,
    began_at: SimTime,
}

impl Consumers {
    pub(crate) fn new(
        config: &GroupConfig,
        index: usize,
        coordination: Group,
        brokers: usize,
        rngs: &Rngs,
    ) -> Self {
        let name = &config.name;
        let mut consumers = Self {
            index,
            coordination,
            waits: config.outset.begins.is_some(),
            shares: Vec::new(),
            members: Vec::new(),
            readers: Vec::new(),
            keys: KeyOrder::default(),
            blame: BlameBook::default(),
            latency: Latency::default(),
            counts: Counts::default(),
            slow_ppm: FULL_SPEED,
            luck: rngs.stream(&format!("consumer/{name}/luck")),
            service: rngs.stream(&format!("consumer/{name}/service")),
            next_generation: 0,
            unread: 0,
            commits: true,
            coordinated: true,
            changes: Vec::new(),
            rounds: Periodic::new(ROUND),
            config: config.clone(),
        };
        for _ in 0..config.members {
            consumers.add_member(brokers);
        }
        consumers
    }

    /// One more process slot; it does not run yet.
    pub(crate) fn add_member(&mut self, brokers: usize) -> MemberId {
        let number = u32::try_from(self.members.len()).expect("fewer than 2^32 members");
        let zones = &self.config.zones;
        let zone = zones.get(number as usize % zones.len().max(1)).copied();
        self.members.push(Member {
            running: !self.waits,
            frozen: false,
            zone,
            buffer: VecDeque::new(),
            pieces: VecDeque::new(),
            write: None,
            room: 0,
            busy: false,
            plan: 0,
            began_at: SimTime::ZERO,
            awaits_poll: false,
            place: Place::new(Cause::PollGap),
            interrupted: false,
            commits_at: SimTime::ZERO + self.config.auto_commit.unwrap_or(SimDuration::ZERO),
            local: BTreeSet::new(),
            starts: 0,
            comes: false,
            slow_ppm: FULL_SPEED,
            restored_at: SimTime::ZERO,
            restoring: 0,
            slots: vec![Slot::default(); brokers],
        });
        MemberId(number)
    }

    /// A partition that the group reads.
    pub(crate) fn add_share(&mut self, partition: PartitionId, from: u64) {
        let number = partition.index();
        if self.shares.len() <= number {
            self.shares.resize(number + 1, None);
        }
        self.shares[number] = Some(Share {
            delivered: from,
            delivered_index: 0,
            committed: from,
            unread: 0,
            rest: RestOrder::default(),
            place: Place::new(Cause::Rebalance),
            readers: Vec::new(),
            paused_since: None,
            last_owner: None,
            owner_died: false,
        });
    }

    /// The lowest offset of a partition that it may still ask for, or that a member which does not
    /// know that it has lost it may still process.
    pub(crate) fn needs_from(&self, partition: PartitionId) -> u64 {
        let share = self.shares.get(partition.index()).and_then(Option::as_ref);
        let Some(share) = share else { return u64::MAX };
        let readers = share.readers.iter().filter_map(|&id| self.readers[id as usize].as_ref());
        let behind = readers.map(|reader| reader.cursor).min().unwrap_or(u64::MAX);
        share.committed.min(share.delivered).min(behind)
    }

    fn share(&mut self, partition: PartitionId) -> &mut Share {
        self.shares[partition.index()].as_mut().expect("a partition of the group")
    }

    fn live(&mut self, id: u32, generation: u32) -> Option<&mut Reader> {
        let reader = self.readers.get_mut(id as usize)?.as_mut()?;
        (reader.generation == generation).then_some(reader)
    }

    fn member(&mut self, member: MemberId) -> &mut Member {
        &mut self.members[member.0 as usize]
    }

    fn fresh_generation(&mut self) -> u32 {
        self.next_generation += 1;
        self.next_generation
    }

    /// Places of a member's readers.
    fn readers_of(&self, member: MemberId) -> Vec<u32> {
        let numbered = (0..).zip(&self.readers);
        numbered
            .filter(|(_, reader)| reader.as_ref().is_some_and(|it| it.member == member))
            .map(|(id, _)| id)
            .collect()
    }

    /// Checks what can be checked without the logs.
    pub(crate) fn audit(&self) {
        self.coordination.audit();
        self.blame.audit();
        let unread: u64 = self.shares.iter().flatten().map(|share| share.unread).sum();
        assert_eq!(unread, self.unread, "the unread of a group must add up");
        for (number, it) in (0..).map(MemberId).zip(&self.members) {
            let own = || self.readers.iter().flatten().filter(|reader| reader.member == number);
            let restoring = own().filter(|reader| reader.restoring).count();
            assert_eq!(it.restoring as usize, restoring, "{number:?} restores something else");
            it.audit_slots(own().filter_map(|reader| reader.counted_at));
        }
    }
}

/// A group's events as its cluster's.
struct Lift<'a, 'q> {
    ctx: &'a mut Ctx<'q, Event>,
    group: u16,
}

impl crate::engine::Schedule<group::Event> for Lift<'_, '_> {
    fn schedule_at(&mut self, at: SimTime, event: group::Event) {
        self.ctx.at(at, Event::Group(self.group, event));
    }
}

impl Cluster {
    /// Lets a group's coordination act, and acts on what it decides.
    pub(super) fn with_group(
        &mut self,
        group: usize,
        at: &mut At<'_, '_>,
        act: impl FnOnce(&mut Group, &mut Ctx<'_, group::Event>, &mut Vec<Change>),
    ) {
        let now = at.ctx.now;
        let number = u16::try_from(group).expect("few groups");
        let mut changes = std::mem::take(&mut self.groups[group].changes);
        let before = changes.len();
        {
            let mut lift = Lift { ctx: &mut at.ctx, group: number };
            let coordination = &mut self.groups[group].coordination;
            act(coordination, &mut Ctx::new(now, &mut lift), &mut changes);
        }
        let mut polls = Vec::new();
        for change in changes.drain(before..) {
            self.on_group_change(group, change, &mut polls, at);
        }
        self.groups[group].changes = changes;
        self.name_orphans(group, now);
        for member in polls {
            self.enter_poll(group, member, at);
        }
        self.serve_readers(at);
    }

    fn on_group_change(
        &mut self,
        group: usize,
        change: Change,
        polls: &mut Vec<MemberId>,
        at: &mut At<'_, '_>,
    ) {
        match change {
            Change::Assigned { member, partition } => {
                let partition = self.partition_of(group, partition);
                self.start_reader(group, member, partition, at);
            }
            Change::Revoked { member, partition } => {
                let partition = self.partition_of(group, partition);
                self.settle(group, member, at);
                self.commit_one(group, member, partition, at);
                self.stop_reader(group, member, partition, at);
            }
            Change::Lost { member, partition } => {
                let partition = self.partition_of(group, partition);
                self.settle(group, member, at);
                self.stop_reader(group, member, partition, at);
            }
            Change::AwaitsPoll { member } => {
                self.groups[group].member(member).awaits_poll = true;
                polls.push(member);
            }
            Change::State(state) => {
                let kind = match state {
                    GroupState::Empty => "group_empty",
                    GroupState::PreparingRebalance => "group_preparing_rebalance",
                    GroupState::CompletingRebalance => "group_completing_rebalance",
                    GroupState::Assigning => "group_assigning",
                    GroupState::Reconciling => "group_reconciling",
                    GroupState::Stable => "group_stable",
                };
                self.note_group(at, group, kind, String::new());
            }
            Change::Rebalanced { generation, members, moved, took } => {
                let counts = &mut self.groups[group].counts;
                counts.rebalances += 1;
                counts.moved += u64::from(moved);
                let took = took.as_secs_f64();
                let detail = format!(
                    "generation {generation}: {members} members, {moved} partitions moved, \
                     {took:.1} s"
                );
                self.note_group(at, group, "group_rebalanced", detail);
            }
            Change::Joined { member } => {
                self.note_member(at, group, member, "member_joined", String::new());
            }
            Change::Expelled { member, why } => {
                self.note_member(at, group, member, "member_expelled", why.to_owned());
            }
        }
    }

    /// A member enters poll() if it is not processing: the group may be waiting for that.
    pub(super) fn enter_poll(&mut self, group: usize, member: MemberId, at: &mut At<'_, '_>) {
        let it = self.groups[group].member(member);
        if !it.running || it.frozen || it.busy {
            return;
        }
        if std::mem::take(&mut it.awaits_poll) {
            self.with_group(group, at, |it, ctx, changes| it.polled(member, ctx, changes));
        }
        self.begin_poll(group, member, at);
    }

    /// The cluster's partition of a group's.
    fn partition_of(&self, group: usize, of: TopicPartition) -> PartitionId {
        let topic = self.groups[group].config.topics[usize::from(of.topic)];
        self.metadata.topics[topic][of.partition as usize]
    }

    /// The group's name for a partition.
    pub(super) fn group_name_of(&self, group: usize, partition: PartitionId) -> TopicPartition {
        let of = &self.partitions[partition.index()];
        let topics = &self.groups[group].config.topics;
        let topic = topics.iter().position(|&topic| topic == of.topic).unwrap_or(0);
        TopicPartition { topic: u16::try_from(topic).expect("few topics"), partition: of.number }
    }

    /// A member starts to read a partition from the committed offset.
    fn start_reader(
        &mut self,
        group: usize,
        member: MemberId,
        partition: PartitionId,
        at: &mut At<'_, '_>,
    ) {
        let now = at.ctx.now;
        if !self.groups[group].member(member).running
            || self.reader_of(group, member, partition).is_some()
        {
            return;
        }
        let start = self.start_offset(group, partition, at);
        let consumers = &mut self.groups[group];
        let generation = consumers.fresh_generation();
        let reader = Reader {
            partition,
            member,
            generation,
            next_fetch: start,
            cursor: start,
            fetch_index: 0,
            cursor_index: 0,
            buffered: start,
            counted_at: None,
            asked: false,
            listed_at: None,
            restoring: false,
            began_at: now,
        };
        let id = match consumers.readers.iter().position(Option::is_none) {
            Some(free) => {
                consumers.readers[free] = Some(reader);
                u32::try_from(free).expect("fewer than 2^32 readers")
            }
            None => {
                consumers.readers.push(Some(reader));
                u32::try_from(consumers.readers.len() - 1).expect("fewer than 2^32 readers")
            }
        };
        consumers.share(partition).readers.push(id);
        let (consumer, reader) = (consumers.index, member.0);
        at.ledger.saw(|| Seen::Assigned { consumer, partition: partition.0, reader });
        self.begin_restore(group, id, at);
        let share = self.groups[group].share(partition);
        share.last_owner = Some(member);
        share.owner_died = false;
        self.choose_cause(group, partition, now);
        self.note_pause(group, partition, now);
        self.offer_reader(group, id);
    }

    /// Where a new owner starts; what retention has taken is lost (K-FET-3).
    fn start_offset(&mut self, group: usize, partition: PartitionId, at: &mut At<'_, '_>) -> u64 {
        let committed = self.groups[group].share(partition).committed;
        if committed >= self.partitions[partition.index()].log.start() {
            return committed;
        }
        self.reset_offset(group, partition, committed, at)
    }

    /// An offset is out of range: the backlog, or what is gone of it, is skipped (K-FET-3).
    fn reset_offset(
        &mut self,
        group: usize,
        partition: PartitionId,
        from: u64,
        at: &mut At<'_, '_>,
    ) -> u64 {
        let log = &self.partitions[partition.index()].log;
        let to = match self.groups[group].config.auto_offset_reset {
            OffsetReset::Earliest => log.start(),
            OffsetReset::Latest => log.high_watermark(),
        };
        let share = self.groups[group].share(partition);
        let skipped_from = share.delivered.max(from);
        let (mut lost, mut expired) = (0, 0);
        let start = log.start();
        let mut index = log.index_of(skipped_from);
        let mut oldest = SimDuration::ZERO;
        while let Some(entry) = log.entry(index).filter(|entry| entry.base < to) {
            if !entry.copy {
                let from = entry.base.max(skipped_from);
                oldest = oldest.max(at.ctx.now.since(entry.appended_at) + log.before(from));
                lost += entry.end().min(to) - from;
                // Retention cuts a history inside an entry.
                expired += entry.end().min(to).min(start).saturating_sub(from);
            }
            index += 1;
        }
        share.delivered = share.delivered.max(to);
        share.committed = share.committed.max(to);
        share.unread -= lost;
        let consumers = &mut self.groups[group];
        consumers.unread -= lost;
        consumers.counts.resets += 1;
        consumers.note_lag(oldest);
        at.ledger.expire(consumers.index, expired);
        at.ledger.skip(consumers.index, lost - expired);
        let (consumer, partition_number) = (consumers.index, partition.0);
        at.ledger.saw(|| Seen::Skipped {
            consumer,
            partition: partition_number,
            from: skipped_from,
            until: to,
        });
        let name = self.partition_name(partition);
        let detail = format!("{name}: from {from} to {to}, {lost} records unread");
        self.note_group(at, group, "offset_reset", detail);
        to
    }

    /// A member stops reading a partition where it is.
    fn stop_reader(
        &mut self,
        group: usize,
        member: MemberId,
        partition: PartitionId,
        at: &mut At<'_, '_>,
    ) {
        let Some(id) = self.reader_of(group, member, partition) else { return };
        self.uncount(group, id);
        let consumers = &mut self.groups[group];
        let Some(reader) = consumers.readers[id as usize].take() else { return };
        if reader.restoring {
            let it = consumers.member(member);
            it.restoring -= 1;
            if it.restoring == 0 {
                it.restored_at = at.ctx.now;
            }
        }
        consumers.share(partition).readers.retain(|&other| other != id);
        let (consumer, reader) = (consumers.index, member.0);
        at.ledger.saw(|| Seen::Stopped { consumer, partition: partition.0, reader });
        self.choose_cause(group, partition, at.ctx.now);
        self.note_pause(group, partition, at.ctx.now);
    }

    fn reader_of(&self, group: usize, member: MemberId, partition: PartitionId) -> Option<u32> {
        let consumers = &self.groups[group];
        let share = consumers.shares.get(partition.index())?.as_ref()?;
        share.readers.iter().copied().find(|&id| {
            consumers.readers[id as usize].as_ref().is_some_and(|it| it.member == member)
        })
    }

    /// Names what waits at a partition that nobody reads, since its owner may have died.
    pub(super) fn name_orphans(&mut self, group: usize, now: SimTime) {
        for number in 0..self.groups[group].shares.len() {
            let orphan = self.groups[group].shares[number]
                .as_ref()
                .is_some_and(|share| share.readers.is_empty());
            if orphan {
                let id = PartitionId(u32::try_from(number).expect("fewer than 2^32"));
                self.choose_cause(group, id, now);
            }
        }
    }

    /// The cause of waiting at a partition that is its own, and not its owner's (D-19).
    pub(super) fn choose_cause(&mut self, group: usize, partition: PartitionId, now: SimTime) {
        let name = self.group_name_of(group, partition);
        let usable = self.partitions[partition.index()].unusable_since.is_none();
        let consumers = &mut self.groups[group];
        let Some(share) = consumers.shares[partition.index()].as_ref() else { return };
        let mut cause = None;
        for reader in share.readers.iter().filter_map(|&id| consumers.readers[id as usize].as_ref())
        {
            let member = &consumers.members[reader.member.0 as usize];
            if member.frozen {
                continue;
            }
            cause = Some(if reader.restoring { Cause::StateRestore } else { Cause::PollGap });
            if !reader.restoring {
                break;
            }
        }
        let cause = match cause {
            Some(Cause::PollGap) if !usable => Cause::LeaderUnavailable,
            Some(cause) => cause,
            None => {
                let owner = consumers.coordination.holder(name);
                // Another process may already run in the slot of the one that died.
                let unnoticed = owner.is_some_and(|owner| {
                    let owner = &consumers.members[owner.0 as usize];
                    share.owner_died || !owner.running || owner.frozen
                });
                if unnoticed { Cause::OwnerDead } else { Cause::Rebalance }
            }
        };
        let members: Vec<MemberId> = share
            .readers
            .iter()
            .filter_map(|&id| consumers.readers[id as usize].as_ref())
            .map(|reader| reader.member)
            .collect();
        consumers.share(partition).place.set(now, cause);
        if cause != Cause::PollGap {
            for member in members {
                consumers.member(member).interrupted = true;
            }
        }
    }

    /// Keeps the time during which readable records have no active owner (D-18, D-27).
    pub(super) fn note_pause(&mut self, group: usize, partition: PartitionId, now: SimTime) {
        let high_watermark = self.partitions[partition.index()].log.high_watermark();
        let consumers = &mut self.groups[group];
        let Some(share) = consumers.shares[partition.index()].as_ref() else { return };
        let active = share.readers.iter().any(|&id| {
            consumers.readers[id as usize].as_ref().is_some_and(|reader| {
                !reader.restoring && !consumers.members[reader.member.0 as usize].frozen
            })
        });
        let paused = !active && high_watermark > share.delivered;
        let share = consumers.share(partition);
        match (share.paused_since, paused) {
            (None, true) => share.paused_since = Some(now),
            (Some(since), false) => {
                share.paused_since = None;
                let lasted = now.since(since);
                consumers.counts.paused_total = consumers.counts.paused_total + lasted;
                consumers.counts.paused_max = consumers.counts.paused_max.max(lasted);
            }
            (None, false) | (Some(_), true) => {}
        }
    }

    /// Records were appended to a partition of a group: so many of them new.
    pub(super) fn appended_for(
        &mut self,
        group: usize,
        partition: PartitionId,
        records: u64,
        _at: &mut At<'_, '_>,
    ) {
        let consumers = &mut self.groups[group];
        consumers.share(partition).unread += records;
        consumers.unread += records;
        consumers.counts.lag_records_max = consumers.counts.lag_records_max.max(consumers.unread);
    }

    /// An entry was cut from a log; returns whether some group has processed any of it.
    pub(super) fn cut_for_readers(
        &mut self,
        partition: PartitionId,
        topic: usize,
        entry: &Entry,
        fate: Fate,
        at: &mut At<'_, '_>,
    ) -> bool {
        let groups = self.groups_of[topic].clone();
        let any_delivered =
            groups.iter().any(|&group| self.groups[group].share(partition).delivered > entry.base);
        for group in groups {
            let consumers = &mut self.groups[group];
            let share = consumers.share(partition);
            let delivered = share.delivered.clamp(entry.base, entry.end()) - entry.base;
            share.delivered = share.delivered.min(entry.base);
            share.committed = share.committed.min(entry.base);
            let rest = if entry.copy { 0 } else { u64::from(entry.count) - delivered };
            share.unread -= rest;
            consumers.unread -= rest;
            let (consumer, from) = (consumers.index, entry.base);
            at.ledger.saw(|| Seen::Cut { consumer, partition: partition.0, from });
            let gone = fate == Fate::Acknowledged || any_delivered;
            if gone {
                at.ledger.lose(consumers.index, rest);
            } else {
                at.ledger.unstore_for(consumers.index, rest);
            }
            for id in consumers.share(partition).readers.clone() {
                self.cut_reader(group, id, entry.base);
            }
        }
        any_delivered
    }
}

impl Consumers {
    /// What its deliveries have waited for so far, as checkers see it.
    pub(crate) fn blamed(&self) -> Seen {
        Seen::Blamed { consumer: self.index, nanos: self.blame.sum() }
    }

    /// A record that waited so long since its append.
    pub(crate) fn note_lag(&mut self, lag: SimDuration) {
        self.counts.lag_max = self.counts.lag_max.max(lag);
    }

    /// Whether a member is processing.
    pub(crate) fn is_busy(&self, member: MemberId) -> bool {
        self.members[member.0 as usize].busy
    }

    /// Whether the group is at rest.
    pub(crate) fn is_stable(&self) -> bool {
        self.waits || self.coordination.state() == GroupState::Stable
    }

    /// Whether somebody reads a partition.
    pub(crate) fn is_read(&self, share: &Share) -> bool {
        share.readers.iter().any(|&id| {
            self.readers[id as usize].as_ref().is_some_and(|reader| {
                !reader.restoring && !self.members[reader.member.0 as usize].frozen
            })
        })
    }

    /// The run is over: a pause that lasts counts up to now.
    pub(crate) fn close_pause(&mut self, number: usize, now: SimTime) {
        let Some(share) = self.shares[number].as_mut() else { return };
        if let Some(since) = share.paused_since.take() {
            let lasted = now.since(since);
            self.counts.paused_total = self.counts.paused_total + lasted;
            self.counts.paused_max = self.counts.paused_max.max(lasted);
        }
    }
}
