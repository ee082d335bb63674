//! The members' side of KIP-848: one kind of request, and reconciliation inside `poll()`.
//!
//! | Mechanism                                                         | Fact    |
//! |-------------------------------------------------------------------|---------|
//! | a heartbeat every interval, in the background                     | K-848-1 |
//! | revoke, then a heartbeat at once                                  | K-848-4 |
//! | FENCED_MEMBER_EPOCH, UNKNOWN_MEMBER_ID: drop all, join at epoch 0 | K-848-3 |
//! | poll gap, close: leave with -1, static with -2                    | K-848-3 |
//!
//! Simplification: a member takes a new assignment over in `poll()` even if it has nothing to
//! revoke; the real one may do so in the background, but cannot deliver a record before it polls.

use super::{Consumer, Fate, SeatId};
use crate::engine::{Ctx, RngStream, SimTime};
use crate::kafka::group::assignor::TopicPartition;
use crate::kafka::group::beats::Beats;
use crate::kafka::group::{Change, Event, MemberId, Pulse, Request, without};

/// How far a process has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Not in the group, or no longer: it joins in its next `poll()`.
    Out,
    /// Its first heartbeat is on its way.
    Joining,
    /// Its instance id is still in use: it tries again.
    Refused,
    /// It is in.
    Member,
}

/// What the coordinator answers to a heartbeat.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    /// All is well; the assignment comes when it changed.
    Fine { seat: SeatId, assigned: Option<Vec<TopicPartition>> },
    /// FENCED_MEMBER_EPOCH or UNKNOWN_MEMBER_ID.
    Fenced,
    /// UNRELEASED_INSTANCE_ID.
    Unreleased,
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
    /// Member id, which it chose itself.
    pub(super) id: String,
    pub(super) seat: Option<SeatId>,
    /// What it reads.
    pub(super) owned: Vec<TopicPartition>,
    /// What it is to read from its next `poll()` on.
    pub(super) target: Vec<TopicPartition>,
    /// What the request on its way names as owned, if it changed.
    pub(super) told: Option<Vec<TopicPartition>>,
    /// It must tell once more what it owns.
    changed: bool,
    /// A request is on its way.
    in_flight: bool,
    /// A request that could not be sent, or got no answer.
    pub(super) resend: Option<Request>,
    reply: Option<Reply>,
    /// It has complained of its instance id already.
    complained: bool,
    pub(super) beats: Beats,
    beat_armed: bool,
    pub(super) paused_at: SimTime,
    /// What came while it was frozen.
    pub(super) missed: Vec<Event>,
    pub(super) rng: RngStream,
}

impl Client {
    pub(super) fn new(instance: Option<u32>, id: String, beats: Beats, rng: RngStream) -> Self {
        Self {
            pulse: Pulse::Down,
            phase: Phase::Out,
            process: 0,
            attempt: 0,
            instance,
            id,
            seat: None,
            owned: Vec::new(),
            target: Vec::new(),
            told: None,
            changed: false,
            in_flight: false,
            resend: None,
            reply: None,
            complained: false,
            beats,
            beat_armed: false,
            paused_at: SimTime::ZERO,
            missed: Vec::new(),
            rng,
        }
    }

    /// Whether its heartbeats keep its session alive.
    pub(super) fn beats_now(&self) -> bool {
        self.phase == Phase::Member && self.pulse == Pulse::Running
    }

    /// Whether it goes on only inside `poll()`.
    pub(super) fn awaits_poll(&self) -> bool {
        self.phase == Phase::Out || self.phase == Phase::Member && self.target != self.owned
    }

    /// Whatever is on its way is void; it will be sent again.
    pub(super) fn lose_request(&mut self) {
        if self.in_flight {
            self.attempt += 1;
            self.in_flight = false;
            let joins = self.phase == Phase::Joining;
            self.resend = Some(if joins { Request::Join } else { Request::Heartbeat });
        }
    }
}

impl Consumer {
    pub(in crate::kafka::group) fn polled(
        &mut self,
        member: MemberId,
        ctx: &mut Ctx<'_, Event>,
        changes: &mut Vec<Change>,
    ) {
        let client = &mut self.clients[member.index()];
        if client.pulse != Pulse::Running {
            return;
        }
        match client.phase {
            Phase::Out => {
                self.lose_all(member, changes);
                self.send(member, Request::Join, ctx);
            }
            Phase::Member if client.target != client.owned => {
                let valid = self.is_valid(member);
                let client = &mut self.clients[member.index()];
                let lost = without(&client.owned, &client.target);
                let gained = without(&client.target, &client.owned);
                client.owned.clone_from(&client.target);
                client.changed = true;
                self.readers.revoke(member, &lost, changes);
                self.readers.assign(member, valid, &gained, changes);
                self.send(member, Request::Heartbeat, ctx);
            }
            Phase::Member | Phase::Joining | Phase::Refused => {}
        }
    }

    pub(in crate::kafka::group) fn poll_overdue(
        &mut self,
        member: MemberId,
        ctx: &mut Ctx<'_, Event>,
        changes: &mut Vec<Change>,
    ) {
        if self.client(member).beats_now() {
            self.say_goodbye(member, ctx);
            self.fall_silent(member, ctx);
            self.fall_out(member, changes);
        }
    }

    pub(super) fn lose_all(&mut self, member: MemberId, changes: &mut Vec<Change>) {
        let client = self.client_mut(member);
        client.target.clear();
        let owned = std::mem::take(&mut client.owned);
        self.readers.lose(member, &owned, changes);
    }

    /// Sends a heartbeat: the first one, or one that says or learns something.
    pub(super) fn send(&mut self, member: MemberId, request: Request, ctx: &mut Ctx<'_, Event>) {
        let (available, up) = (self.available, self.up);
        let client = self.client_mut(member);
        if request == Request::Join {
            client.phase = Phase::Joining;
            client.changed = true;
        } else if client.in_flight {
            // It follows the answer.
            return;
        }
        client.attempt += 1;
        client.reply = None;
        if !available {
            client.resend = Some(request);
            return;
        }
        client.in_flight = true;
        client.told = std::mem::take(&mut client.changed).then(|| client.owned.clone());
        let attempt = client.attempt;
        ctx.after(up, Event::Arrived { request, member, attempt });
    }

    /// Sends again what got no answer: in full, as Kafka does after an error.
    pub(super) fn send_again(&mut self, member: MemberId, ctx: &mut Ctx<'_, Event>) {
        if let Some(request) = self.client_mut(member).resend.take() {
            self.client_mut(member).changed = true;
            self.send(member, request, ctx);
        }
    }

    /// Says that it leaves, a static member only for now; nobody waits for the answer.
    pub(super) fn say_goodbye(&mut self, member: MemberId, ctx: &mut Ctx<'_, Event>) {
        let client = self.client(member);
        let for_now = client.instance.is_some();
        if let Some(seat) = client.seat.filter(|_| self.available) {
            ctx.after(self.up, Event::Left { seat: seat.0, for_now });
        }
    }

    /// No heartbeat comes any more: the session runs from the last one.
    pub(super) fn fall_silent(&mut self, member: MemberId, ctx: &mut Ctx<'_, Event>) {
        let client = self.client(member);
        let Some(seat) = client.seat.filter(|_| client.beats_now() && self.available) else {
            return;
        };
        let beat = client.beats.last_by(ctx.now).map_or(SimTime::ZERO, |it| it + self.up);
        let it = self.seat_mut(seat);
        if it.fate == Fate::Present {
            it.contact = it.contact.max(beat);
            let expires = it.contact + self.session_timeout;
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
            self.send(member, Request::Heartbeat, ctx);
        }
        self.arm_beats(ctx);
    }

    /// Schedules the next heartbeat of each member that will learn something from it.
    pub(super) fn arm_beats(&mut self, ctx: &mut Ctx<'_, Event>) {
        for member in self.member_ids() {
            if self.client(member).beat_armed || !self.learns(member) {
                continue;
            }
            let client = self.client_mut(member);
            client.beat_armed = true;
            let process = client.process;
            ctx.at(client.beats.next_after(ctx.now), Event::Beat { member, process });
        }
    }

    /// Whether the member's next heartbeat tells it something new, or sets something off.
    fn learns(&self, member: MemberId) -> bool {
        let client = self.client(member);
        if !self.available || client.pulse != Pulse::Running || client.in_flight {
            return false;
        }
        match (client.phase, client.seat) {
            (Phase::Refused, _) => true,
            (Phase::Member, Some(seat)) => self.is_notable(seat),
            (Phase::Member | Phase::Out | Phase::Joining, _) => false,
        }
    }

    pub(super) fn on_beat(&mut self, member: MemberId, process: u32, ctx: &mut Ctx<'_, Event>) {
        let client = self.client_mut(member);
        if client.process != process {
            return;
        }
        if client.pulse == Pulse::Paused {
            return client.missed.push(Event::Beat { member, process });
        }
        client.beat_armed = false;
        if self.learns(member) {
            let refused = self.client(member).phase == Phase::Refused;
            let request = if refused { Request::Join } else { Request::Heartbeat };
            self.send(member, request, ctx);
        }
    }

    /// The coordinator answers the member's request of that number, if it still waits for it.
    pub(super) fn reply(
        &mut self,
        member: MemberId,
        attempt: u32,
        reply: Reply,
        ctx: &mut Ctx<'_, Event>,
    ) {
        let down = self.down;
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
        client.in_flight = false;
        let Some(reply) = client.reply.take() else { return };
        match reply {
            Reply::Fine { seat, assigned } => {
                client.phase = Phase::Member;
                client.seat = Some(seat);
                if let Some(assigned) = assigned {
                    client.target = assigned;
                }
                if client.awaits_poll() {
                    changes.push(Change::AwaitsPoll { member });
                }
                let says_more = client.changed;
                self.sessions.disarm(seat.0);
                if says_more {
                    self.send(member, Request::Heartbeat, ctx);
                }
                self.arm_beats(ctx);
            }
            Reply::Fenced => self.fall_out(member, changes),
            Reply::Unreleased => {
                client.phase = Phase::Refused;
                if !std::mem::replace(&mut client.complained, true) {
                    let why = "instance id not released";
                    changes.push(Change::Expelled { member, why });
                }
                self.arm_beats(ctx);
            }
        }
    }

    /// It is no member any more, and joins in its next `poll()`.
    fn fall_out(&mut self, member: MemberId, changes: &mut Vec<Change>) {
        let client = self.client_mut(member);
        client.phase = Phase::Out;
        client.seat = None;
        client.attempt += 1;
        client.in_flight = false;
        client.resend = None;
        changes.push(Change::AwaitsPoll { member });
    }
}
