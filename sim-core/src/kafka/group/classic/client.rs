//! The members' side: rejoin, revocation, heartbeats.
//!
//! | Mechanism                                                                | Fact        |
//! |--------------------------------------------------------------------------|-------------|
//! | no id: JoinGroup twice (MEMBER_ID_REQUIRED); static: once                | K-GRP-1     |
//! | heartbeats while a member, not while parked in JoinGroup                 | K-GRP-4, -5 |
//! | a rebalance is learned with a heartbeat, and joined inside `poll()`      | K-GRP-4     |
//! | poll gap: LeaveGroup; static: silence                                    | K-GRP-4     |
//! | ILLEGAL_GENERATION keeps the id, UNKNOWN_MEMBER_ID drops it: all is lost | K-GRP-7     |
//! | FENCED_INSTANCE_ID is the end of the process                             | K-GRP-7, -9 |
//! | eager gives up all before JoinGroup                                      | K-GRP-8     |
//! | cooperative gives up (owned - assigned) after SyncGroup, then rejoins    | K-GRP-8     |
//! | the leader watches the number of partitions                              | K-GRP-6     |
//!
//! Simplification: an answer to SyncGroup is taken over in the next `poll()`, also by an eager
//! member, which is in one. Heartbeat answers are judged when they come back, half a round trip
//! after the coordinator's. A leader that restarts under its static id still notices partitions
//! added meanwhile (KIP-814, 3.2+, is not that good; before, nobody noticed).

use super::coordinator::{Fate, SeatId};
use super::{Assignor, Beats, Classic, GroupState, MemberId, Pulse, Request};
use crate::config::kafka::KafkaVersion;
use crate::engine::{Ctx, RngStream, SimTime};
use crate::kafka::group::assignor::TopicPartition;
use crate::kafka::group::{Change, Event, without};

/// How far a process has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Not in the group, or no longer: it joins in its next `poll()`.
    Out,
    /// JoinGroup is on its way or parked.
    Joining,
    /// SyncGroup is on its way or parked.
    Syncing,
    /// It has an assignment to take over in its next `poll()`.
    Adopting,
    /// It reads what it was given.
    Member,
}

/// A process slot.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) pulse: Pulse,
    pub(super) phase: Phase,
    /// Which process of the slot.
    pub(super) process: u32,
    /// Number of its last request; what belongs to an older one is void.
    pub(super) attempt: u32,
    /// `group.instance.id`.
    pub(super) instance: Option<u32>,
    /// Its member id, while it believes in it.
    pub(super) seat: Option<SeatId>,
    /// 0 without a valid one.
    pub(super) generation: u32,
    /// Which generation it really is.
    pub(super) round: u32,
    /// What it reads.
    pub(super) owned: Vec<TopicPartition>,
    /// What SyncGroup gave it last, and in which generation: sticky's user data.
    pub(super) assignment: Vec<TopicPartition>,
    assignment_of: u32,
    /// Which generation that really was.
    pub(super) adopted: u32,
    /// It must join again in its next `poll()`.
    rejoin: bool,
    /// A request that could not be sent.
    pub(super) resend: Option<Request>,
    /// The answer that is on its way.
    reply: Option<Reply>,
    pub(super) beats: Beats,
    beat_armed: bool,
    pub(super) paused_at: SimTime,
    /// What came while it was frozen.
    pub(super) missed: Vec<Event>,
    pub(super) rng: RngStream,
}

impl Client {
    pub(super) fn new(instance: Option<u32>, beats: Beats, rng: RngStream) -> Self {
        Self {
            pulse: Pulse::Down,
            phase: Phase::Out,
            process: 0,
            attempt: 0,
            instance,
            seat: None,
            generation: 0,
            round: 0,
            owned: Vec::new(),
            assignment: Vec::new(),
            assignment_of: 0,
            adopted: 0,
            rejoin: false,
            resend: None,
            reply: None,
            beats,
            beat_armed: false,
            paused_at: SimTime::ZERO,
            missed: Vec::new(),
            rng,
        }
    }

    /// Whether its heartbeat thread works.
    pub(super) fn beats_now(&self) -> bool {
        let in_group = match self.phase {
            Phase::Syncing | Phase::Adopting | Phase::Member => true,
            Phase::Out | Phase::Joining => false,
        };
        in_group && self.pulse == Pulse::Running
    }

    /// Whether it goes on only inside `poll()`.
    pub(super) fn awaits_poll(&self) -> bool {
        match self.phase {
            Phase::Out | Phase::Adopting => true,
            Phase::Member => self.rejoin,
            Phase::Joining | Phase::Syncing => false,
        }
    }

    /// The request that it waits to be answered.
    pub(super) fn waits_for(&self) -> Option<Request> {
        match self.phase {
            Phase::Joining => Some(Request::Join),
            Phase::Syncing => Some(Request::Sync),
            Phase::Out | Phase::Adopting | Phase::Member => None,
        }
    }
}

/// What a member says of itself in JoinGroup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Claim {
    /// Partitions that it owns, or sticky's former assignment.
    pub(super) owned: Vec<TopicPartition>,
    /// In which generation it got them.
    pub(super) generation: u32,
}

/// What the coordinator answers.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    /// MEMBER_ID_REQUIRED: join again under this id.
    IdRequired(SeatId),
    /// JoinGroup succeeded.
    Joined { seat: SeatId, generation: u32, round: u32 },
    /// SyncGroup succeeded.
    Synced { assignment: Vec<TopicPartition> },
    /// REBALANCE_IN_PROGRESS.
    RebalanceInProgress,
    /// ILLEGAL_GENERATION.
    IllegalGeneration,
    /// UNKNOWN_MEMBER_ID.
    UnknownMember,
    /// FENCED_INSTANCE_ID.
    Fenced,
}

/// What the coordinator would answer to a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Fine,
    RebalanceInProgress,
    IllegalGeneration,
    UnknownMember,
    Fenced,
}

impl Classic {
    pub(in crate::kafka::group) fn polled(
        &mut self,
        member: MemberId,
        ctx: &mut Ctx<'_, Event>,
        changes: &mut Vec<Change>,
    ) {
        if self.client(member).pulse != Pulse::Running {
            return;
        }
        match self.client(member).phase {
            Phase::Out => {
                self.lose_all(member, changes);
                self.send(member, Request::Join, ctx);
            }
            Phase::Adopting => {
                if self.take_over(member, changes) {
                    self.client_mut(member).rejoin = true;
                }
                self.check_metadata(changes);
                self.rejoin_if_needed(member, ctx, changes);
            }
            Phase::Member => self.rejoin_if_needed(member, ctx, changes),
            Phase::Joining | Phase::Syncing => {}
        }
    }

    fn rejoin_if_needed(
        &mut self,
        member: MemberId,
        ctx: &mut Ctx<'_, Event>,
        changes: &mut Vec<Change>,
    ) {
        if !self.client(member).rejoin {
            return;
        }
        if !self.settings.cooperative {
            self.revoke_all(member, changes);
        }
        self.send(member, Request::Join, ctx);
    }

    pub(in crate::kafka::group) fn poll_overdue(
        &mut self,
        member: MemberId,
        ctx: &mut Ctx<'_, Event>,
        changes: &mut Vec<Change>,
    ) {
        if !self.client(member).beats_now() {
            return;
        }
        if !self.settings.static_membership {
            self.say_goodbye(member, ctx);
        }
        self.fall_silent(member, ctx);
        self.fall_out(member, false, changes);
    }

    /// Takes the assignment over: whether something was given up, so that it must join again.
    pub(super) fn take_over(&mut self, member: MemberId, changes: &mut Vec<Change>) -> bool {
        let valid = self.is_valid(member);
        let client = &mut self.clients[member.index()];
        client.phase = Phase::Member;
        (client.assignment_of, client.adopted) = (client.generation, client.round);
        let lost = without(&client.owned, &client.assignment);
        let gained = without(&client.assignment, &client.owned);
        client.owned.clone_from(&client.assignment);
        self.readers.revoke(member, &lost, changes);
        self.readers.assign(member, valid, &gained, changes);
        !lost.is_empty()
    }

    pub(super) fn revoke_all(&mut self, member: MemberId, changes: &mut Vec<Change>) {
        let owned = std::mem::take(&mut self.client_mut(member).owned);
        self.readers.revoke(member, &owned, changes);
    }

    pub(super) fn lose_all(&mut self, member: MemberId, changes: &mut Vec<Change>) {
        let owned = std::mem::take(&mut self.client_mut(member).owned);
        self.readers.lose(member, &owned, changes);
    }

    /// Sends a request, or keeps it until there is a coordinator.
    pub(super) fn send(&mut self, member: MemberId, request: Request, ctx: &mut Ctx<'_, Event>) {
        match request {
            Request::Join => {
                self.fall_silent(member, ctx);
                let client = self.client_mut(member);
                client.phase = Phase::Joining;
                client.rejoin = false;
            }
            Request::Sync => self.client_mut(member).phase = Phase::Syncing,
            Request::Heartbeat => return,
        }
        let (available, up) = (self.available, self.settings.up);
        let client = self.client_mut(member);
        client.attempt += 1;
        client.reply = None;
        if available {
            let attempt = client.attempt;
            ctx.after(up, Event::Arrived { request, member, attempt });
        } else {
            client.resend = Some(request);
        }
    }

    /// What the member says of itself when it joins.
    pub(super) fn claim(&self, member: MemberId) -> Claim {
        let client = self.client(member);
        if self.settings.cooperative {
            return Claim { owned: client.owned.clone(), generation: client.generation };
        }
        if self.settings.assignor == Assignor::Sticky {
            let owned = client.assignment.clone();
            return Claim { owned, generation: client.assignment_of };
        }
        // The generation is part of the subscription since 3.4.
        let tells = self.settings.version >= KafkaVersion::V3_9;
        Claim { owned: Vec::new(), generation: if tells { client.generation } else { 0 } }
    }

    /// Sends LeaveGroup; nobody waits for the answer.
    pub(super) fn say_goodbye(&mut self, member: MemberId, ctx: &mut Ctx<'_, Event>) {
        if let Some(seat) = self.client(member).seat.filter(|_| self.available) {
            ctx.after(self.settings.up, Event::Left { seat: seat.0, for_now: false });
        }
    }

    /// No heartbeat comes any more: the session runs from the last sign of life.
    pub(super) fn fall_silent(&mut self, member: MemberId, ctx: &mut Ctx<'_, Event>) {
        let client = self.client(member);
        let Some(seat) = client.seat.filter(|_| client.beats_now() && self.available) else {
            return;
        };
        if self.seat(seat).fate != Fate::Present {
            return;
        }
        let beat = client.beats.last_by(ctx.now).map_or(SimTime::ZERO, |it| it + self.settings.up);
        let contact = self.seat(seat).contact.max(beat);
        self.seat_mut(seat).contact = contact;
        self.sessions.arm(seat.0, contact + self.settings.session_timeout, ctx);
    }

    /// Heartbeats were refused, which does not renew the session.
    fn resume_session(&mut self, member: MemberId, ctx: &mut Ctx<'_, Event>) {
        let Some(seat) = self.client(member).seat.filter(|_| self.available) else { return };
        if self.seat(seat).fate == Fate::Present {
            let expires = self.seat(seat).contact + self.settings.session_timeout;
            self.sessions.arm(seat.0, expires, ctx);
        }
    }

    /// Heartbeats of a process that was frozen go on; one that is overdue is sent at once.
    pub(super) fn beat_again(&mut self, member: MemberId, overdue: bool, ctx: &mut Ctx<'_, Event>) {
        let client = self.client(member);
        let Some(seat) = client.seat.filter(|_| client.beats_now()) else { return };
        if overdue && self.seat(seat).fate == Fate::Present {
            self.seat_mut(seat).contact = ctx.now;
        }
        self.sessions.disarm(seat.0);
        if overdue && self.learns(member) {
            let process = self.client(member).process;
            self.client_mut(member).beat_armed = true;
            ctx.after(self.settings.up + self.settings.down, Event::Beat { member, process });
        } else {
            self.arm_beats(ctx);
        }
    }

    /// Schedules the next heartbeat of each member that will learn something from it.
    pub(super) fn arm_beats(&mut self, ctx: &mut Ctx<'_, Event>) {
        let (up, down) = (self.settings.up, self.settings.down);
        for member in self.member_ids() {
            if self.client(member).beat_armed || !self.learns(member) {
                continue;
            }
            let client = self.client_mut(member);
            client.beat_armed = true;
            let sent = client.beats.next_after(SimTime(ctx.now.0.saturating_sub(up.0)));
            let process = client.process;
            ctx.at(sent + up + down, Event::Beat { member, process });
        }
    }

    /// Whether the member's next heartbeat tells it something new.
    fn learns(&self, member: MemberId) -> bool {
        let client = self.client(member);
        if !self.available || !client.beats_now() || client.phase == Phase::Syncing {
            return false;
        }
        match self.answer(client) {
            Answer::Fine => false,
            Answer::RebalanceInProgress => !client.rejoin,
            Answer::IllegalGeneration | Answer::UnknownMember | Answer::Fenced => true,
        }
    }

    /// The coordinator's answer to a heartbeat (K-GRP-7).
    fn answer(&self, client: &Client) -> Answer {
        let Some(seat) = client.seat else { return Answer::UnknownMember };
        match self.seat(seat).fate {
            Fate::Removed => Answer::UnknownMember,
            Fate::Fenced => Answer::Fenced,
            Fate::Present if client.round != self.round => Answer::IllegalGeneration,
            Fate::Present if self.state == GroupState::PreparingRebalance => {
                Answer::RebalanceInProgress
            }
            Fate::Present => Answer::Fine,
        }
    }

    pub(super) fn on_beat(
        &mut self,
        member: MemberId,
        process: u32,
        ctx: &mut Ctx<'_, Event>,
        changes: &mut Vec<Change>,
    ) {
        let client = self.client_mut(member);
        if client.process != process {
            return;
        }
        if client.pulse == Pulse::Paused {
            return client.missed.push(Event::Beat { member, process });
        }
        client.beat_armed = false;
        if !self.learns(member) {
            return;
        }
        match self.answer(self.client(member)) {
            Answer::Fine => {}
            Answer::RebalanceInProgress => {
                self.client_mut(member).rejoin = true;
                changes.push(Change::AwaitsPoll { member });
            }
            Answer::IllegalGeneration => {
                self.fall_out(member, true, changes);
                self.resume_session(member, ctx);
            }
            Answer::UnknownMember => self.fall_out(member, false, changes),
            Answer::Fenced => self.fail(member, ctx, changes),
        }
    }

    /// The generation is gone, and perhaps the member id with it; it joins in its next `poll()`.
    fn fall_out(&mut self, member: MemberId, keeps_id: bool, changes: &mut Vec<Change>) {
        let client = self.client_mut(member);
        client.phase = Phase::Out;
        client.rejoin = false;
        // Whatever it had asked is void.
        client.attempt += 1;
        client.resend = None;
        (client.generation, client.round) = (0, 0);
        if !keeps_id {
            client.seat = None;
        }
        changes.push(Change::AwaitsPoll { member });
    }

    /// `poll()` throws, which the application does not survive.
    fn fail(&mut self, member: MemberId, ctx: &mut Ctx<'_, Event>, changes: &mut Vec<Change>) {
        changes.push(Change::Expelled { member, why: "fenced instance" });
        self.kill(member, ctx, changes);
    }

    /// The coordinator answers the member's request of that number, if it still waits for it.
    pub(super) fn reply(
        &mut self,
        member: MemberId,
        attempt: u32,
        reply: Reply,
        ctx: &mut Ctx<'_, Event>,
    ) {
        let down = self.settings.down;
        let client = self.client_mut(member);
        if client.attempt == attempt && client.pulse != Pulse::Down {
            client.reply = Some(reply);
            ctx.after(down, Event::Replied { member, attempt });
        }
    }

    pub(super) fn on_replied(
        &mut self,
        member: MemberId,
        attempt: u32,
        ctx: &mut Ctx<'_, Event>,
        changes: &mut Vec<Change>,
    ) {
        let client = self.client_mut(member);
        if client.attempt != attempt {
            return;
        }
        if client.pulse == Pulse::Paused {
            return client.missed.push(Event::Replied { member, attempt });
        }
        let Some(reply) = client.reply.take() else { return };
        match reply {
            Reply::IdRequired(seat) => {
                client.seat = Some(seat);
                self.send(member, Request::Join, ctx);
            }
            Reply::Joined { seat, generation, round } => {
                client.seat = Some(seat);
                (client.generation, client.round) = (generation, round);
                self.send(member, Request::Sync, ctx);
                self.sessions.disarm(seat.0);
            }
            Reply::Synced { assignment } => {
                client.assignment = assignment;
                client.phase = Phase::Adopting;
                changes.push(Change::AwaitsPoll { member });
                self.arm_beats(ctx);
            }
            Reply::RebalanceInProgress => {
                client.phase = Phase::Member;
                client.rejoin = true;
                changes.push(Change::AwaitsPoll { member });
                self.arm_beats(ctx);
            }
            Reply::IllegalGeneration => {
                self.fall_out(member, true, changes);
                self.resume_session(member, ctx);
            }
            Reply::UnknownMember => self.fall_out(member, false, changes),
            Reply::Fenced => self.fail(member, ctx, changes),
        }
    }

    /// The leader compares the numbers of partitions with those that it assigned (K-GRP-6).
    pub(super) fn check_metadata(&mut self, changes: &mut Vec<Change>) {
        if self.state != GroupState::Stable || self.assigned_for == self.partitions {
            return;
        }
        let Some(seat) = self.leader else { return };
        let member = self.seat(seat).member;
        let client = self.client_mut(member);
        let leads = client.seat == Some(seat) && client.phase == Phase::Member;
        if leads && client.pulse == Pulse::Running && !client.rejoin {
            client.rejoin = true;
            changes.push(Change::AwaitsPoll { member });
        }
    }
}
