//! The coordinator's side: who is in, the two barriers, sessions.
//!
//! | Mechanism                                                       | Fact             |
//! |-----------------------------------------------------------------|------------------|
//! | from Empty: the initial delay, extended while members are added | K-GRP-1, K-VEC-5 |
//! | join barrier: until all have rejoined, or the rebalance timeout | K-GRP-2          |
//! | missing dynamic members are dropped, missing static ones kept   | K-GRP-2          |
//! | generation + 1, sync barrier, the leader's assignment           | K-GRP-3          |
//! | missing syncs are removed after the rebalance timeout           | K-GRP-3          |
//! | sessions; parked members are exempt, a new one for 5 minutes    | K-GRP-4, -5      |
//! | a join of the leader, or with another claim, begins a rebalance | K-GRP-6          |
//! | a static member's return; fencing                               | K-GRP-9          |
//! | a coordinator that moves reads the last complete generation     | K-GRP-10         |
//!
//! Follows from these rules, as in Kafka: what cooperative-sticky withholds for a static member that
//! missed the barrier stays unread if that member then returns to the stable group, since it has
//! nothing to revoke and nobody joins again; the next rebalance heals it.
//!
//! Simplification: the pending sync timeout (3.0+) holds in all versions; only a group whose
//! sessions outlast `max.poll.interval.ms` could tell. A static member's new seat is written at
//! once, so that a coordinator that moves knows it (Kafka writes it in the Stable state only).

use std::fmt::Write as _;

use super::client::{Claim, Reply};
use super::{Classic, JOIN, SYNC};
use crate::config::kafka::KafkaVersion;
use crate::engine::{Ctx, SimDuration, SimTime};
use crate::kafka::group::assignor::{self, Member, TopicPartition};
use crate::kafka::group::{Change, Event, GroupState, MemberId, Pulse};

/// How long a new member may be parked in its first JoinGroup.
const NEW_MEMBER_JOIN_TIMEOUT: SimDuration = SimDuration::from_secs(300);

/// A member id in the coordinator's books; numbers are never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SeatId(pub(super) u32);

/// What became of a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is a member, or will be with its next JoinGroup.
    Present,
    /// It left or was expelled.
    Removed,
    /// A later user of its `group.instance.id` took its place.
    Fenced,
}

/// A member id and what the coordinator knows of it.
#[derive(Clone, Debug)]
pub(super) struct Seat {
    /// The slot of its process.
    pub(super) member: MemberId,
    id: String,
    instance: Option<u32>,
    pub(super) fate: Fate,
    /// It has its id, but not joined with it yet.
    pending: bool,
    /// Its first JoinGroup is parked.
    is_new: bool,
    pub(super) awaiting_join: bool,
    awaiting_sync: bool,
    /// It has the generation, but has not asked for its assignment.
    pending_sync: bool,
    /// The request that is parked.
    attempt: u32,
    claim: Claim,
    pub(super) assignment: Vec<TopicPartition>,
    /// Its last sign of life that was an event.
    pub(super) contact: SimTime,
}

/// The initial delay while it runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Initial {
    remaining: SimDuration,
    /// Somebody was added since the delay was armed last.
    added: bool,
}

/// What the log knows of the group: its last complete generation.
#[derive(Clone, Debug, Default)]
pub(super) struct Persisted {
    generation: u32,
    round: u32,
    leader: Option<SeatId>,
    /// Members, and what they said of themselves.
    seats: Vec<(SeatId, Claim)>,
}

impl Classic {
    /// The slot of the member that leads.
    pub(in super::super) fn leading_member(&self) -> Option<MemberId> {
        self.leader.map(|seat| self.seat(seat).member)
    }

    pub(super) fn seat(&self, seat: SeatId) -> &Seat {
        &self.seats[seat.0 as usize]
    }

    pub(super) fn seat_mut(&mut self, seat: SeatId) -> &mut Seat {
        &mut self.seats[seat.0 as usize]
    }

    /// Members, those without a confirmed id left out.
    pub(super) fn present(&self) -> impl Iterator<Item = (SeatId, &Seat)> {
        let numbered = (0..).map(SeatId).zip(&self.seats);
        numbered.filter(|(_, seat)| seat.fate == Fate::Present && !seat.pending)
    }

    pub(super) fn present_ids(&self) -> Vec<SeatId> {
        self.present().map(|(seat, _)| seat).collect()
    }

    /// A new member id for the process in the slot.
    pub(super) fn new_seat(&mut self, member: MemberId) -> SeatId {
        let seat = SeatId(self.sessions.add());
        let mut id = format!("consumer-{}-", member.0);
        // Writing to a string cannot fail.
        let _ = write!(id, "{:016x}{:016x}", self.ids.next_u64(), self.ids.next_u64());
        let client = self.client(member);
        let (instance, attempt) = (client.instance, client.attempt);
        self.seats.push(Seat {
            member,
            id,
            instance,
            fate: Fate::Present,
            pending: true,
            is_new: false,
            awaiting_join: false,
            awaiting_sync: false,
            pending_sync: false,
            attempt,
            claim: Claim::default(),
            assignment: Vec::new(),
            contact: SimTime::ZERO,
        });
        seat
    }

    /// The seat becomes a member with a JoinGroup that is parked.
    pub(super) fn take_in(&mut self, seat: SeatId, changes: &mut Vec<Change>) {
        let it = self.seat_mut(seat);
        it.pending = false;
        it.awaiting_join = true;
        changes.push(Change::Joined { member: it.member });
    }

    pub(super) fn on_join(
        &mut self,
        member: MemberId,
        ctx: &mut Ctx<'_, Event>,
        changes: &mut Vec<Change>,
    ) {
        let client = self.client(member);
        let (attempt, instance) = (client.attempt, client.instance);
        let Some(seat) = client.seat else {
            return match instance {
                Some(instance) => self.on_static_join(member, instance, ctx, changes),
                None => {
                    let seat = self.new_seat(member);
                    self.sessions.arm(seat.0, ctx.now + self.settings.session_timeout, ctx);
                    self.reply(member, attempt, Reply::IdRequired(seat), ctx);
                }
            };
        };
        match self.seat(seat).fate {
            Fate::Removed => self.reply(member, attempt, Reply::UnknownMember, ctx),
            Fate::Fenced => self.reply(member, attempt, Reply::Fenced, ctx),
            Fate::Present if self.seat(seat).pending => self.add_member(seat, ctx, changes),
            Fate::Present => self.on_rejoin(seat, ctx, changes),
        }
    }

    /// A static member without a member id: a new one, or a process that comes back (K-GRP-9).
    fn on_static_join(
        &mut self,
        member: MemberId,
        instance: u32,
        ctx: &mut Ctx<'_, Event>,
        changes: &mut Vec<Change>,
    ) {
        let holder = self.present().find(|(_, seat)| seat.instance == Some(instance));
        let Some(before) = holder.map(|(seat, _)| seat) else {
            let seat = self.new_seat(member);
            return self.add_member(seat, ctx, changes);
        };
        let seat = self.replace(before, member, ctx);
        changes.push(Change::Joined { member });
        match self.state {
            GroupState::Stable => self.tell_generation(seat, ctx),
            GroupState::CompletingRebalance => {
                self.park(seat, member, ctx);
                self.prepare(ctx, changes);
                self.complete_join_if_all(ctx, changes);
            }
            GroupState::PreparingRebalance => {
                self.park(seat, member, ctx);
                self.complete_join_if_all(ctx, changes);
            }
            GroupState::Empty | GroupState::Assigning | GroupState::Reconciling => {}
        }
        // A former user of the id that still runs is about to learn of it.
        self.arm_beats(ctx);
    }

    /// A new member id takes the place of another of the same instance.
    fn replace(&mut self, before: SeatId, member: MemberId, ctx: &mut Ctx<'_, Event>) -> SeatId {
        let seat = self.new_seat(member);
        let old = self.seat_mut(before);
        old.fate = Fate::Fenced;
        let parked = (old.awaiting_join || old.awaiting_sync).then_some((old.member, old.attempt));
        let (assignment, pending_sync) = (old.assignment.clone(), old.pending_sync);
        self.sessions.disarm(before.0);
        if let Some((user, attempt)) = parked {
            self.reply(user, attempt, Reply::Fenced, ctx);
        }
        let claim = self.claim(member);
        for (id, known) in self.persisted.seats.iter_mut().filter(|(id, _)| *id == before) {
            (*id, *known) = (seat, claim.clone());
        }
        let new = self.seat_mut(seat);
        (new.claim, new.assignment, new.pending_sync) = (claim, assignment, pending_sync);
        new.pending = false;
        let heirs = self.leader.iter_mut().chain(&mut self.persisted.leader);
        heirs.filter(|it| **it == before).for_each(|it| *it = seat);
        seat
    }

    /// Answers a JoinGroup with the present generation, without a rebalance.
    fn tell_generation(&mut self, seat: SeatId, ctx: &mut Ctx<'_, Event>) {
        let (generation, round) = (self.generation, self.round);
        let it = self.seat(seat);
        let (member, attempt) = (it.member, self.client(it.member).attempt);
        self.reply(member, attempt, Reply::Joined { seat, generation, round }, ctx);
        self.note_contact(seat, ctx);
    }

    /// The session of the seat begins anew.
    fn note_contact(&mut self, seat: SeatId, ctx: &mut Ctx<'_, Event>) {
        self.seat_mut(seat).contact = ctx.now;
        if !self.has_heartbeat(seat) {
            self.sessions.arm(seat.0, ctx.now + self.settings.session_timeout, ctx);
        }
    }

    /// The JoinGroup of the member in the seat is parked, which counts as alive.
    fn park(&mut self, seat: SeatId, member: MemberId, ctx: &mut Ctx<'_, Event>) {
        let attempt = self.client(member).attempt;
        let claim = self.claim(member);
        let it = self.seat_mut(seat);
        it.awaiting_join = true;
        it.attempt = attempt;
        it.claim = claim;
        if it.is_new {
            self.sessions.arm(seat.0, ctx.now + NEW_MEMBER_JOIN_TIMEOUT, ctx);
        } else {
            self.sessions.disarm(seat.0);
        }
    }

    fn add_member(&mut self, seat: SeatId, ctx: &mut Ctx<'_, Event>, changes: &mut Vec<Change>) {
        // A group that emptied extends its initial delay only from 4.0 on (K-GRP-1).
        let extends = self.settings.version >= KafkaVersion::V4_1 || self.generation == 0;
        if let Some(initial) = self.initial.as_mut().filter(|_| extends) {
            initial.added = true;
        }
        self.take_in(seat, changes);
        self.seat_mut(seat).is_new = true;
        self.park(seat, self.seat(seat).member, ctx);
        self.leader = self.leader.or(Some(seat));
        self.prepare(ctx, changes);
        self.complete_join_if_all(ctx, changes);
    }

    /// A known member joins again.
    fn on_rejoin(&mut self, seat: SeatId, ctx: &mut Ctx<'_, Event>, changes: &mut Vec<Change>) {
        let member = self.seat(seat).member;
        let same = self.claim(member) == self.seat(seat).claim;
        let leads = self.leader == Some(seat);
        let up_to_date = match self.state {
            GroupState::Stable => same && !leads,
            GroupState::CompletingRebalance => same,
            GroupState::Empty
            | GroupState::PreparingRebalance
            | GroupState::Assigning
            | GroupState::Reconciling => false,
        };
        if up_to_date {
            return self.tell_generation(seat, ctx);
        }
        self.park(seat, member, ctx);
        self.prepare(ctx, changes);
        self.complete_join_if_all(ctx, changes);
    }

    /// Begins a rebalance, if none is being prepared.
    fn prepare(&mut self, ctx: &mut Ctx<'_, Event>, changes: &mut Vec<Change>) {
        if self.state == GroupState::PreparingRebalance {
            return;
        }
        if self.state == GroupState::CompletingRebalance {
            for seat in self.present_ids() {
                self.answer_sync(seat, Reply::RebalanceInProgress, ctx);
                self.seat_mut(seat).pending_sync = false;
            }
        }
        self.barriers.disarm(SYNC);
        let (delay, timeout) = (self.settings.initial_delay, self.settings.rebalance_timeout);
        let patience = if self.state == GroupState::Empty {
            self.initial = Some(Initial { remaining: timeout - delay, added: false });
            delay
        } else {
            timeout
        };
        self.barriers.arm(JOIN, ctx.now + patience, ctx);
        self.rebalance_began = ctx.now;
        self.set_state(GroupState::PreparingRebalance, changes);
        self.arm_beats(ctx);
    }

    pub(super) fn on_join_barrier(&mut self, ctx: &mut Ctx<'_, Event>, changes: &mut Vec<Change>) {
        let configured = self.settings.initial_delay;
        if let Some(initial) = &mut self.initial
            && initial.added
            && initial.remaining > SimDuration::ZERO
        {
            let delay = configured.min(initial.remaining);
            initial.remaining = initial.remaining - delay;
            initial.added = false;
            return self.barriers.arm(JOIN, ctx.now + delay, ctx);
        }
        self.complete_join(ctx, changes);
    }

    fn complete_join_if_all(&mut self, ctx: &mut Ctx<'_, Event>, changes: &mut Vec<Change>) {
        let mut seats = self.seats.iter().filter(|seat| seat.fate == Fate::Present);
        let all = seats.all(|seat| seat.awaiting_join && !seat.pending);
        if self.state == GroupState::PreparingRebalance && self.initial.is_none() && all {
            self.complete_join(ctx, changes);
        }
    }

    /// The end of the join barrier.
    fn complete_join(&mut self, ctx: &mut Ctx<'_, Event>, changes: &mut Vec<Change>) {
        self.initial = None;
        self.barriers.disarm(JOIN);
        for seat in self.present_ids() {
            let it = self.seat(seat);
            if !it.awaiting_join && it.instance.is_none() {
                self.remove(seat, "did not rejoin in time", ctx, changes);
            }
        }
        let joined = |this: &Self, seat: SeatId| {
            this.seat(seat).fate == Fate::Present && this.seat(seat).awaiting_join
        };
        if !self.leader.is_some_and(|seat| joined(self, seat)) {
            let first = self.present().find(|(_, seat)| seat.awaiting_join);
            let elected = first.map(|(seat, _)| seat);
            if elected.is_none() && self.present().next().is_some() {
                // Only absent static members: wait until their sessions remove them.
                let patience = self.settings.rebalance_timeout;
                return self.barriers.arm(JOIN, ctx.now + patience, ctx);
            }
            self.leader = elected;
        }
        self.open_round();
        if self.leader.is_none() {
            self.persist();
            return self.set_state(GroupState::Empty, changes);
        }
        self.set_state(GroupState::CompletingRebalance, changes);
        self.barriers.arm(SYNC, ctx.now + self.settings.rebalance_timeout, ctx);
        let (generation, round) = (self.generation, self.round);
        for seat in self.present_ids() {
            let it = self.seat_mut(seat);
            it.pending_sync = true;
            it.is_new = false;
            if std::mem::take(&mut it.awaiting_join) {
                let (member, attempt) = (it.member, it.attempt);
                self.reply(member, attempt, Reply::Joined { seat, generation, round }, ctx);
            }
            self.note_contact(seat, ctx);
        }
        self.arm_beats(ctx);
    }

    /// The next generation begins.
    pub(super) fn open_round(&mut self) {
        self.generation += 1;
        self.last_round += 1;
        self.round = self.last_round;
    }

    pub(super) fn on_sync(
        &mut self,
        member: MemberId,
        ctx: &mut Ctx<'_, Event>,
        changes: &mut Vec<Change>,
    ) {
        let client = self.client(member);
        let (attempt, round) = (client.attempt, client.round);
        let Some(seat) = client.seat else { return };
        let refusal = match self.seat(seat).fate {
            Fate::Removed => Some(Reply::UnknownMember),
            Fate::Fenced => Some(Reply::Fenced),
            Fate::Present if round != self.round => Some(Reply::IllegalGeneration),
            Fate::Present => match self.state {
                GroupState::PreparingRebalance => Some(Reply::RebalanceInProgress),
                GroupState::CompletingRebalance | GroupState::Stable => None,
                GroupState::Empty | GroupState::Assigning | GroupState::Reconciling => {
                    Some(Reply::UnknownMember)
                }
            },
        };
        if let Some(refusal) = refusal {
            return self.reply(member, attempt, refusal, ctx);
        }
        let it = self.seat_mut(seat);
        it.awaiting_sync = true;
        it.pending_sync = false;
        it.attempt = attempt;
        if self.state == GroupState::CompletingRebalance && self.leader == Some(seat) {
            self.complete_sync(ctx, changes);
        } else if self.state == GroupState::Stable {
            let assignment = self.seat(seat).assignment.clone();
            self.answer_sync(seat, Reply::Synced { assignment }, ctx);
        }
        if self.state == GroupState::Stable && self.present().all(|(_, seat)| !seat.pending_sync) {
            self.barriers.disarm(SYNC);
        }
    }

    /// The leader's assignment is here.
    fn complete_sync(&mut self, ctx: &mut Ctx<'_, Event>, changes: &mut Vec<Change>) {
        let moved = self.distribute();
        self.set_state(GroupState::Stable, changes);
        self.persist();
        let seats = self.present_ids();
        changes.push(Change::Rebalanced {
            generation: self.generation,
            members: u32::try_from(seats.len()).unwrap_or(u32::MAX),
            moved,
            took: ctx.now.since(self.rebalance_began),
        });
        for seat in seats {
            let assignment = self.seat(seat).assignment.clone();
            self.answer_sync(seat, Reply::Synced { assignment }, ctx);
        }
    }

    /// Answers a parked SyncGroup.
    fn answer_sync(&mut self, seat: SeatId, reply: Reply, ctx: &mut Ctx<'_, Event>) {
        let it = self.seat_mut(seat);
        if std::mem::take(&mut it.awaiting_sync) {
            let (member, attempt) = (it.member, it.attempt);
            self.reply(member, attempt, reply, ctx);
            self.note_contact(seat, ctx);
        }
    }

    /// Assigns the partitions of the present topics to the present members: how many went from one
    /// to another.
    pub(super) fn distribute(&mut self) -> u32 {
        let seats = self.present_ids();
        let topics = 0..u16::try_from(self.partitions.len()).unwrap_or(u16::MAX);
        let member = |&seat: &SeatId| {
            let it = self.seat(seat);
            Member {
                id: it.id.clone(),
                instance: it.instance.map(|number| format!("{}-{number}", self.settings.name)),
                topics: topics.clone().collect(),
                owned: it.claim.owned.clone(),
                generation: it.claim.generation,
            }
        };
        let members: Vec<Member> = seats.iter().map(member).collect();
        let assigned = assignor::assign(self.settings.assignor, &self.partitions, &members);
        self.assigned_for.clone_from(&self.partitions);
        let mut moved = 0;
        for (&seat, partitions) in seats.iter().zip(assigned) {
            let member = self.seat(seat).member;
            for &partition in &partitions {
                moved += u32::from(self.held.of(partition).is_some_and(|it| it != member));
                self.held.note(partition, Some(member));
            }
            self.seat_mut(seat).assignment = partitions;
        }
        moved
    }

    pub(super) fn on_sync_barrier(&mut self, ctx: &mut Ctx<'_, Event>, changes: &mut Vec<Change>) {
        for seat in self.present_ids() {
            if self.seat(seat).pending_sync {
                self.expel(seat, "did not sync in time", ctx, changes);
            }
        }
    }

    pub(super) fn on_left(
        &mut self,
        seat: SeatId,
        ctx: &mut Ctx<'_, Event>,
        changes: &mut Vec<Change>,
    ) {
        if self.available {
            self.expel(seat, "left", ctx, changes);
        }
    }

    pub(super) fn on_session_expired(
        &mut self,
        seat: SeatId,
        ctx: &mut Ctx<'_, Event>,
        changes: &mut Vec<Change>,
    ) {
        let it = self.seat(seat);
        // A first JoinGroup may wait as long as the default join barrier: at the same instant Kafka
        // has a race, which here the barrier wins.
        let barrier_ends = self.barriers.deadline(JOIN).is_some_and(|end| end <= ctx.now);
        let parked = it.awaiting_join && (!it.is_new || barrier_ends) || it.awaiting_sync;
        if !parked {
            let why = if it.awaiting_join { "parked too long" } else { "session expired" };
            self.expel(seat, why, ctx, changes);
        }
    }

    /// Takes a member out, and lets the group go on without it.
    fn expel(
        &mut self,
        seat: SeatId,
        why: &'static str,
        ctx: &mut Ctx<'_, Event>,
        changes: &mut Vec<Change>,
    ) {
        if self.seat(seat).fate != Fate::Present {
            return;
        }
        let was_member = !self.seat(seat).pending;
        self.remove(seat, why, ctx, changes);
        match self.state {
            GroupState::Stable | GroupState::CompletingRebalance if was_member => {
                self.prepare(ctx, changes);
            }
            GroupState::Stable
            | GroupState::CompletingRebalance
            | GroupState::Empty
            | GroupState::PreparingRebalance
            | GroupState::Assigning
            | GroupState::Reconciling => {}
        }
        self.complete_join_if_all(ctx, changes);
        self.arm_beats(ctx);
    }

    fn remove(
        &mut self,
        seat: SeatId,
        why: &'static str,
        ctx: &mut Ctx<'_, Event>,
        changes: &mut Vec<Change>,
    ) {
        self.sessions.disarm(seat.0);
        let it = self.seat_mut(seat);
        it.fate = Fate::Removed;
        it.pending_sync = false;
        let parked = std::mem::take(&mut it.awaiting_join) | std::mem::take(&mut it.awaiting_sync);
        let (member, attempt) = (it.member, it.attempt);
        if !it.pending {
            changes.push(Change::Expelled { member, why });
        }
        if parked {
            self.reply(member, attempt, Reply::UnknownMember, ctx);
        }
        if self.leader == Some(seat) {
            self.leader = self.present_ids().first().copied();
        }
    }

    /// Whether the process that this seat belongs to sends heartbeats for it.
    fn has_heartbeat(&self, seat: SeatId) -> bool {
        let client = self.client(self.seat(seat).member);
        client.seat == Some(seat) && client.beats_now()
    }

    pub(super) fn persist(&mut self) {
        self.persisted = Persisted {
            generation: self.generation,
            round: self.round,
            leader: self.leader,
            seats: self.present().map(|(id, seat)| (id, seat.claim.clone())).collect(),
        };
    }

    pub(in crate::kafka::group) fn coordinator_lost(&mut self, _ctx: &mut Ctx<'_, Event>) {
        self.available = false;
        for seat in 0..u32::try_from(self.seats.len()).unwrap_or(u32::MAX) {
            self.sessions.disarm(seat);
        }
        self.barriers.disarm(JOIN);
        self.barriers.disarm(SYNC);
        for client in &mut self.clients {
            if let Some(request) = client.waits_for() {
                // Whatever is on its way is void.
                client.attempt += 1;
                client.resend = Some(request);
            }
        }
    }

    pub(in crate::kafka::group) fn coordinator_back(
        &mut self,
        ctx: &mut Ctx<'_, Event>,
        changes: &mut Vec<Change>,
    ) {
        if self.available {
            return;
        }
        self.available = true;
        self.restore(changes);
        for seat in self.present_ids() {
            self.note_contact(seat, ctx);
        }
        for member in self.member_ids() {
            let client = self.client_mut(member);
            if client.pulse == Pulse::Running
                && let Some(request) = client.resend.take()
            {
                self.send(member, request, ctx);
            }
        }
        self.arm_beats(ctx);
        self.check_metadata(changes);
    }

    /// The books as the log has them.
    fn restore(&mut self, changes: &mut Vec<Change>) {
        let Persisted { generation, round, leader, seats } = self.persisted.clone();
        for (id, seat) in (0..).map(SeatId).zip(&mut self.seats) {
            if let Some((_, claim)) = seats.iter().find(|(known, _)| *known == id) {
                seat.fate = Fate::Present;
                seat.claim.clone_from(claim);
            } else if seat.fate == Fate::Present {
                seat.fate = Fate::Removed;
            }
            seat.pending = false;
            seat.is_new = false;
            (seat.awaiting_join, seat.awaiting_sync, seat.pending_sync) = (false, false, false);
        }
        (self.generation, self.round, self.leader) = (generation, round, leader);
        self.initial = None;
        let state = if seats.is_empty() { GroupState::Empty } else { GroupState::Stable };
        self.set_state(state, changes);
    }
}
