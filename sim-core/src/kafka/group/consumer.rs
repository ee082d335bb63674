//! The KIP-848 group protocol: the broker assigns, and members are reconciled one by one.
//!
//! | Mechanism                                                                          | Fact        |
//! |------------------------------------------------------------------------------------|-------------|
//! | interval and session are the broker's; group, target and member epochs             | K-848-1     |
//! | a change raises the group epoch; the next heartbeat of anybody computes the target | K-848-1     |
//! | reconciliation (`reconcile`)                                                       | K-848-2     |
//! | who does not revoke within `max.poll.interval.ms` is fenced                        | K-848-3     |
//! | leave with -1; static: -2 keeps the seat until the session ends                    | K-848-3     |
//! | a crashed static member's id is not released before its session ends               | K-848-3     |
//! | members' side (`client`)                                                           | K-848-3, -4 |
//! | a coordinator that moves: all is in the log, timers start again                    | K-GRP-10    |
//!
//! Simplification: a static process that is refused (UNRELEASED_INSTANCE_ID) dies in reality; here
//! it tries again every heartbeat interval, as if restarted by a supervisor without backoff. A
//! Kubernetes pod in CrashLoopBackOff comes back up to five minutes later.

mod client;
mod process;
mod reconcile;

use self::client::{Client, Phase, Reply};
use self::reconcile::{Progress, Standing, Target};
use super::assignor::{self, Member, TopicPartition};
use super::{ByPartition, Change, Event, GroupState, MemberId, Readers, Request, without};
use crate::config::kafka::{BrokerSettings, GroupConfig, ServerAssignor};
use crate::engine::{Ctx, RngStream, Rngs, SimDuration, SimTime, Timers};

/// A membership in the coordinator's books; numbers are never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct SeatId(u32);

/// What became of a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Present,
    /// A static member that means to come back (epoch -2).
    AwayForNow,
    Removed,
}

#[derive(Clone, Debug)]
struct Seat {
    /// The slot of its process.
    member: MemberId,
    id: String,
    instance: Option<u32>,
    fate: Fate,
    standing: Standing,
    target: Vec<TopicPartition>,
    /// Its last sign of life that was an event.
    contact: SimTime,
}

/// A group epoch that moved partitions and is not yet reached by all.
#[derive(Clone, Copy, Debug)]
struct Move {
    epoch: u32,
    moved: u32,
    began: SimTime,
}

/// A KIP-848 group.
#[derive(Clone, Debug)]
pub(super) struct Consumer {
    name: String,
    assignor: ServerAssignor,
    starts_with: u32,
    static_membership: bool,
    leaves_on_close: bool,
    interval: SimDuration,
    session_timeout: SimDuration,
    /// `max.poll.interval.ms` of all members.
    rebalance_timeout: SimDuration,
    /// From a member to the coordinator.
    up: SimDuration,
    /// And back.
    down: SimDuration,
    rngs: Rngs,
    /// For member ids.
    ids: RngStream,
    clients: Vec<Client>,
    readers: Readers,
    // The coordinator's books.
    available: bool,
    state: GroupState,
    /// Partitions by topic.
    partitions: Vec<u32>,
    epoch: u32,
    target_epoch: u32,
    /// When the epoch was raised.
    raised_at: SimTime,
    /// The numbers of partitions changed since the target was computed.
    refresh: bool,
    seats: Vec<Seat>,
    /// Whose each partition is or was and is not confirmed to be given up.
    taken: ByPartition<SeatId>,
    /// Whose target each partition was in last.
    held: Readers,
    moves: Vec<Move>,
    /// By seat.
    sessions: Timers<Event>,
    /// By seat: time to revoke.
    patience: Timers<Event>,
}

impl Consumer {
    pub(super) fn new(
        config: &GroupConfig,
        assignor: ServerAssignor,
        broker: &BrokerSettings,
        partitions: Vec<u32>,
        rtt: SimDuration,
        rngs: &Rngs,
    ) -> Self {
        let up = SimDuration(rtt.0 / 2);
        let mut this = Self {
            name: config.name.clone(),
            assignor,
            starts_with: config.members,
            static_membership: config.static_membership,
            leaves_on_close: config.leaves_on_close,
            interval: broker.group_consumer_heartbeat_interval,
            session_timeout: broker.group_consumer_session_timeout,
            rebalance_timeout: config.max_poll_interval,
            up,
            down: rtt - up,
            rngs: *rngs,
            ids: rngs.stream(&format!("group/{}/ids", config.name)),
            clients: Vec::new(),
            readers: Readers::default(),
            available: true,
            state: GroupState::Empty,
            partitions,
            epoch: 0,
            target_epoch: 0,
            raised_at: SimTime::ZERO,
            refresh: false,
            seats: Vec::new(),
            taken: ByPartition::default(),
            held: Readers::default(),
            moves: Vec::new(),
            sessions: Timers::new(Event::SessionExpired),
            patience: Timers::new(Event::PatienceEnded),
        };
        for slot in 0..this.starts_with {
            this.add_slot(slot);
        }
        this
    }

    pub(super) fn start(
        &mut self,
        settled: bool,
        ctx: &mut Ctx<'_, Event>,
        changes: &mut Vec<Change>,
    ) {
        for member in self.member_ids() {
            self.boot(member);
            if settled {
                let seat = self.new_seat(member, changes);
                let client = self.client_mut(member);
                (client.seat, client.phase) = (Some(seat), Phase::Member);
            } else {
                self.send(member, Request::Join, ctx);
            }
        }
        if settled {
            self.raise_epoch(ctx.now);
            self.compute_target();
            for seat in self.present() {
                self.reconcile(seat, Some(&[]), ctx);
                let it = self.seat(seat);
                let (member, assigned) = (it.member, it.standing.assigned.clone());
                self.readers.assign(member, true, &assigned, changes);
                let client = self.client_mut(member);
                client.target.clone_from(&assigned);
                client.owned = assigned;
            }
            self.note_state(ctx.now, changes);
        }
    }

    pub(super) fn handle(
        &mut self,
        event: Event,
        ctx: &mut Ctx<'_, Event>,
        changes: &mut Vec<Change>,
    ) {
        match event {
            Event::Arrived { request, member, attempt } => {
                if self.available && self.client(member).attempt == attempt {
                    self.on_heartbeat(request, member, ctx, changes);
                }
            }
            Event::Replied { member, attempt } => self.on_replied(member, attempt, ctx, changes),
            Event::Beat { member, process } => self.on_beat(member, process, ctx),
            Event::Left { seat, for_now } => self.on_left(SeatId(seat), for_now, ctx, changes),
            Event::SessionExpired(ticket) => {
                if self.sessions.fires(ticket, ctx) {
                    self.expel(SeatId(ticket.timer()), "session expired", ctx, changes);
                }
            }
            Event::PatienceEnded(ticket) => {
                if self.patience.fires(ticket, ctx) {
                    self.expel(SeatId(ticket.timer()), "did not revoke in time", ctx, changes);
                }
            }
        }
    }

    /// A heartbeat reaches the coordinator, and says or sets off something.
    fn on_heartbeat(
        &mut self,
        request: Request,
        member: MemberId,
        ctx: &mut Ctx<'_, Event>,
        changes: &mut Vec<Change>,
    ) {
        let client = self.client(member);
        let (attempt, told) = (client.attempt, client.told.clone());
        let seat = match request {
            Request::Join => self.admit(member, ctx, changes),
            Request::Heartbeat | Request::Sync => {
                let valid = |seat: &SeatId| self.seat(*seat).fate == Fate::Present;
                client.seat.filter(valid).ok_or(Reply::Fenced)
            }
        };
        let seat = match seat {
            Ok(seat) => seat,
            Err(refusal) => return self.reply(member, attempt, refusal, ctx),
        };
        if self.refresh {
            self.raise_epoch(ctx.now);
        }
        if self.epoch > self.target_epoch {
            self.compute_target();
        }
        let changed = self.reconcile(seat, told.as_deref(), ctx);
        // A full request gets a full answer.
        let assigned =
            (changed || told.is_some()).then(|| self.seat(seat).standing.assigned.clone());
        self.seat_mut(seat).contact = ctx.now;
        let alive = self.client(member).beats_now() && self.client(member).seat == Some(seat);
        if !alive {
            self.sessions.arm(seat.0, ctx.now + self.session_timeout, ctx);
        }
        self.reply(member, attempt, Reply::Fine { seat, assigned }, ctx);
        self.note_state(ctx.now, changes);
        self.arm_beats(ctx);
    }

    /// A process joins at epoch 0.
    fn admit(
        &mut self,
        member: MemberId,
        ctx: &mut Ctx<'_, Event>,
        changes: &mut Vec<Change>,
    ) -> Result<SeatId, Reply> {
        let client = self.client(member);
        let same = |seat: &Seat| match client.instance {
            Some(instance) => seat.instance == Some(instance),
            None => seat.id == client.id,
        };
        let before = self.present().into_iter().find(|&seat| same(self.seat(seat)));
        let Some(before) = before else {
            let seat = self.new_seat(member, changes);
            self.raise_epoch(ctx.now);
            return Ok(seat);
        };
        let own = self.seat(before).id == client.id;
        if self.seat(before).fate == Fate::Present && !own {
            return Err(Reply::Unreleased);
        }
        // It takes over where it left, without a new epoch.
        let seat = self.new_seat(member, changes);
        let old = self.seat_mut(before);
        old.fate = Fate::Removed;
        let (assigned, target) =
            (std::mem::take(&mut old.standing.assigned), std::mem::take(&mut old.target));
        self.free(before);
        self.sessions.disarm(before.0);
        self.patience.disarm(before.0);
        for &partition in &assigned {
            self.taken.note(partition, Some(seat));
        }
        let new = self.seat_mut(seat);
        (new.standing.assigned, new.target) = (assigned, target);
        Ok(seat)
    }

    /// Brings the member a step further: whether its assignment changed.
    fn reconcile(
        &mut self,
        seat: SeatId,
        owned: Option<&[TopicPartition]>,
        ctx: &mut Ctx<'_, Event>,
    ) -> bool {
        let it = self.seat(seat);
        let target = Target { epoch: self.target_epoch, partitions: &it.target };
        let next = it.standing.next(target, owned, |it| self.taken.of(it).is_none());
        if next == it.standing {
            return false;
        }
        self.free(seat);
        for &partition in next.assigned.iter().chain(&next.revoking) {
            self.taken.note(partition, Some(seat));
        }
        if next.progress == Progress::Unrevoked {
            self.patience.arm(seat.0, ctx.now + self.rebalance_timeout, ctx);
        } else {
            self.patience.disarm(seat.0);
        }
        let before = std::mem::replace(&mut self.seat_mut(seat).standing, next);
        before.assigned != self.seat(seat).standing.assigned
    }

    /// What the seat had is nobody's.
    fn free(&mut self, seat: SeatId) {
        let standing = &self.seats[seat.0 as usize].standing;
        for &partition in standing.assigned.iter().chain(&standing.revoking) {
            if self.taken.of(partition) == Some(seat) {
                self.taken.note(partition, None);
            }
        }
    }

    /// Whether the next heartbeat of the member in the seat changes anything.
    fn is_notable(&self, seat: SeatId) -> bool {
        let it = self.seat(seat);
        if it.fate != Fate::Present || self.refresh || self.epoch > self.target_epoch {
            return true;
        }
        let behind = it.standing.epoch != self.target_epoch;
        match it.standing.progress {
            Progress::Stable => behind,
            Progress::Unrevoked => false,
            Progress::Unreleased => {
                let missing = without(&it.target, &it.standing.assigned);
                behind || missing.iter().any(|&it| self.taken.of(it).is_none())
            }
        }
    }

    fn raise_epoch(&mut self, now: SimTime) {
        self.epoch += 1;
        self.raised_at = now;
        self.refresh = false;
    }

    /// The assignor runs over all members, those that are away for now too.
    fn compute_target(&mut self) {
        let mut seats = self.present();
        seats.sort_by(|&a, &b| self.seat(a).id.cmp(&self.seat(b).id));
        let topics = 0..u16::try_from(self.partitions.len()).unwrap_or(u16::MAX);
        let member = |&seat: &SeatId| {
            let it = self.seat(seat);
            Member {
                id: it.id.clone(),
                instance: it.instance.map(|number| format!("{}-{number}", self.name)),
                topics: topics.clone().collect(),
                owned: it.target.clone(),
                generation: 0,
            }
        };
        let members: Vec<Member> = seats.iter().map(member).collect();
        let targets = assignor::target(self.assignor, &self.partitions, &members);
        let mut moved = 0;
        for (&seat, target) in seats.iter().zip(targets) {
            let member = self.seat(seat).member;
            for &partition in &target {
                moved += u32::from(self.held.of(partition).is_some_and(|it| it != member));
                self.held.note(partition, Some(member));
            }
            self.seat_mut(seat).target = target;
        }
        self.target_epoch = self.epoch;
        if moved > 0 {
            self.moves.push(Move { epoch: self.epoch, moved, began: self.raised_at });
        }
    }

    /// Tells the state if it is another, and what is complete.
    fn note_state(&mut self, now: SimTime, changes: &mut Vec<Change>) {
        let present = self.present();
        let reached = |&seat: &SeatId| {
            let standing = &self.seat(seat).standing;
            standing.progress == Progress::Stable && standing.epoch == self.target_epoch
        };
        let state = if present.is_empty() {
            GroupState::Empty
        } else if self.epoch > self.target_epoch {
            GroupState::Assigning
        } else if present.iter().all(reached) {
            GroupState::Stable
        } else {
            GroupState::Reconciling
        };
        if state != self.state {
            self.state = state;
            changes.push(Change::State(state));
        }
        if state == GroupState::Stable {
            let members = u32::try_from(present.len()).unwrap_or(u32::MAX);
            changes.extend(self.moves.drain(..).map(|it| Change::Rebalanced {
                generation: it.epoch,
                members,
                moved: it.moved,
                took: now.since(it.began),
            }));
        }
    }

    fn on_left(
        &mut self,
        seat: SeatId,
        for_now: bool,
        ctx: &mut Ctx<'_, Event>,
        changes: &mut Vec<Change>,
    ) {
        if !self.available || self.seat(seat).fate != Fate::Present {
            return;
        }
        if !for_now {
            return self.expel(seat, "left", ctx, changes);
        }
        self.free(seat);
        let it = self.seat_mut(seat);
        it.fate = Fate::AwayForNow;
        it.standing.revoking.clear();
        it.standing.progress = Progress::Stable;
        it.standing.epoch = 0;
        for partition in it.standing.assigned.clone() {
            self.taken.note(partition, Some(seat));
        }
        self.patience.disarm(seat.0);
        self.note_state(ctx.now, changes);
        self.arm_beats(ctx);
    }

    fn expel(
        &mut self,
        seat: SeatId,
        why: &'static str,
        ctx: &mut Ctx<'_, Event>,
        changes: &mut Vec<Change>,
    ) {
        if self.seat(seat).fate == Fate::Removed {
            return;
        }
        self.free(seat);
        let it = self.seat_mut(seat);
        it.fate = Fate::Removed;
        changes.push(Change::Expelled { member: it.member, why });
        self.sessions.disarm(seat.0);
        self.patience.disarm(seat.0);
        self.raise_epoch(ctx.now);
        self.note_state(ctx.now, changes);
        self.arm_beats(ctx);
    }

    fn new_seat(&mut self, member: MemberId, changes: &mut Vec<Change>) -> SeatId {
        let seat = SeatId(self.sessions.add());
        assert_eq!(self.patience.add(), seat.0, "timers go by seat");
        let client = self.client(member);
        let (id, instance) = (client.id.clone(), client.instance);
        self.seats.push(Seat {
            member,
            id,
            instance,
            fate: Fate::Present,
            standing: Standing::new(),
            target: Vec::new(),
            contact: SimTime::ZERO,
        });
        changes.push(Change::Joined { member });
        seat
    }

    /// All members, those that are away for now too.
    fn present(&self) -> Vec<SeatId> {
        let numbered = (0..).map(SeatId).zip(&self.seats);
        numbered.filter(|(_, seat)| seat.fate != Fate::Removed).map(|(id, _)| id).collect()
    }

    fn seat(&self, seat: SeatId) -> &Seat {
        &self.seats[seat.0 as usize]
    }

    fn seat_mut(&mut self, seat: SeatId) -> &mut Seat {
        &mut self.seats[seat.0 as usize]
    }

    fn client(&self, member: MemberId) -> &Client {
        &self.clients[member.index()]
    }

    fn client_mut(&mut self, member: MemberId) -> &mut Client {
        &mut self.clients[member.index()]
    }

    fn member_ids(&self) -> impl Iterator<Item = MemberId> + use<> {
        (0..self.members()).map(MemberId)
    }
}
