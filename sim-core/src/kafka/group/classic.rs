//! The classic group protocol: state, life of processes, and what both sides share.
//!
//! | Mechanism                                                                 | Fact                |
//! |---------------------------------------------------------------------------|---------------------|
//! | JoinGroup, SyncGroup, their barriers, votes, static seats (`coordinator`) | K-GRP-1, -2, -3, -9 |
//! | rejoin, eager and cooperative revocation, heartbeats (`client`)           | K-GRP-4, -7, -8     |
//! | sessions, and who counts as alive                                         | K-GRP-4, -5         |
//! | a clean close leaves, unless static or Streams                            | K-GRP-9, K-STR-1    |
//! | a coordinator that moves: generation kept, timers start again             | K-GRP-10            |
//!
//! A **seat** is a member id in the coordinator's books, a **client** a process slot. They part
//! company when a process dies: its seat stays until the session expires.
//!
//! A **round** numbers generations without ever going back; the generation itself is read back from
//! the log when the coordinator moves, and may then be used twice, as in Kafka.
//!
//! Simplification: all members have the same configuration and subscription, so the vote of
//! K-GRP-3 goes to the first assignor listed, and the rebalance timeout is everybody's
//! `max.poll.interval.ms`. Only a rolling change of `partition.assignment.strategy` would differ.

mod client;
mod coordinator;

use self::client::{Client, Phase};
use self::coordinator::{Fate, Initial, Persisted, Seat, SeatId};
use super::assignor::TopicPartition;
use super::beats::Beats;
use super::{Change, Event, GroupState, MemberId, Pulse, Readers, Request};
use crate::config::kafka::{Assignor, BrokerSettings, GroupConfig, KafkaVersion};
use crate::engine::{Ctx, RngStream, Rngs, SimDuration, SimTime, Timers};

/// What does not change.
#[derive(Clone, Debug)]
struct Settings {
    name: String,
    assignor: Assignor,
    /// Cooperative only if every listed assignor is (K-GRP-8).
    cooperative: bool,
    version: KafkaVersion,
    members: u32,
    static_membership: bool,
    leaves_on_close: bool,
    session_timeout: SimDuration,
    heartbeat_interval: SimDuration,
    /// `max.poll.interval.ms` of all members.
    rebalance_timeout: SimDuration,
    initial_delay: SimDuration,
    /// From a member to the coordinator.
    up: SimDuration,
    /// And back.
    down: SimDuration,
}

/// A classic group.
#[derive(Clone, Debug)]
pub(super) struct Classic {
    settings: Settings,
    rngs: Rngs,
    /// For member ids.
    ids: RngStream,
    /// Partitions by topic as clients see them.
    partitions: Vec<u32>,
    clients: Vec<Client>,
    readers: Readers,
    // The coordinator's books.
    available: bool,
    state: GroupState,
    generation: u32,
    /// Which generation it really is; never used again.
    round: u32,
    last_round: u32,
    seats: Vec<Seat>,
    leader: Option<SeatId>,
    /// The initial delay, while it runs (K-GRP-1).
    initial: Option<Initial>,
    rebalance_began: SimTime,
    /// Partitions by topic when the present assignment was made.
    assigned_for: Vec<u32>,
    /// Who held each partition last.
    held: Readers,
    persisted: Persisted,
    /// By seat.
    sessions: Timers<Event>,
    barriers: Timers<Event>,
}

/// Timer of the join barrier.
const JOIN: u32 = 0;
/// Timer of the sync barrier.
const SYNC: u32 = 1;

impl Classic {
    pub(super) fn new(
        config: &GroupConfig,
        assignors: &[Assignor],
        broker: &BrokerSettings,
        version: KafkaVersion,
        partitions: Vec<u32>,
        rtt: SimDuration,
        rngs: &Rngs,
    ) -> Self {
        let up = SimDuration(rtt.0 / 2);
        let settings = Settings {
            name: config.name.clone(),
            assignor: assignors.first().copied().unwrap_or(Assignor::Range),
            cooperative: assignors.iter().all(|&it| it == Assignor::CooperativeSticky),
            version,
            members: config.members,
            static_membership: config.static_membership,
            leaves_on_close: config.leaves_on_close,
            session_timeout: config.session_timeout,
            heartbeat_interval: config.heartbeat_interval,
            rebalance_timeout: config.max_poll_interval,
            initial_delay: broker.group_initial_rebalance_delay,
            up,
            down: rtt - up,
        };
        let mut barriers = Timers::new(Event::PatienceEnded);
        assert_eq!((barriers.add(), barriers.add()), (JOIN, SYNC), "timers are dense");
        let mut this = Self {
            ids: rngs.stream(&format!("group/{}/ids", config.name)),
            settings,
            rngs: *rngs,
            partitions,
            clients: Vec::new(),
            readers: Readers::default(),
            available: true,
            state: GroupState::Empty,
            generation: 0,
            round: 0,
            last_round: 0,
            seats: Vec::new(),
            leader: None,
            initial: None,
            rebalance_began: SimTime::ZERO,
            assigned_for: Vec::new(),
            held: Readers::default(),
            persisted: Persisted::default(),
            sessions: Timers::new(Event::SessionExpired),
            barriers,
        };
        for slot in 0..this.settings.members {
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
        let members: Vec<MemberId> = self.member_ids().collect();
        for &member in &members {
            self.boot(member);
            if !settled {
                self.send(member, Request::Join, ctx);
            }
        }
        if settled {
            self.settle(&members, ctx.now, changes);
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
                if !self.available || self.client(member).attempt != attempt {
                    return;
                }
                match request {
                    Request::Join => self.on_join(member, ctx, changes),
                    Request::Sync => self.on_sync(member, ctx, changes),
                    Request::Heartbeat => {}
                }
            }
            Event::Replied { member, attempt } => self.on_replied(member, attempt, ctx, changes),
            Event::Beat { member, process } => self.on_beat(member, process, ctx, changes),
            Event::Left { seat, .. } => self.on_left(SeatId(seat), ctx, changes),
            Event::SessionExpired(ticket) => {
                if self.sessions.fires(ticket, ctx) {
                    self.on_session_expired(SeatId(ticket.timer()), ctx, changes);
                }
            }
            Event::PatienceEnded(ticket) => {
                if !self.barriers.fires(ticket, ctx) {
                    return;
                }
                if ticket.timer() == JOIN {
                    self.on_join_barrier(ctx, changes);
                } else {
                    self.on_sync_barrier(ctx, changes);
                }
            }
        }
    }

    pub(super) fn kill(
        &mut self,
        member: MemberId,
        ctx: &mut Ctx<'_, Event>,
        changes: &mut Vec<Change>,
    ) {
        if self.client(member).pulse == Pulse::Down {
            return;
        }
        self.lose_all(member, changes);
        self.go_down(member, ctx);
    }

    pub(super) fn stop(
        &mut self,
        member: MemberId,
        ctx: &mut Ctx<'_, Event>,
        changes: &mut Vec<Change>,
    ) {
        let client = self.client(member);
        if client.pulse != Pulse::Running {
            return self.kill(member, ctx, changes);
        }
        // What was lost without the client's user knowing it yet cannot be committed either.
        if client.phase == Phase::Out {
            self.lose_all(member, changes);
        } else {
            self.revoke_all(member, changes);
            if self.settings.leaves_on_close && !self.settings.static_membership {
                self.say_goodbye(member, ctx);
            }
        }
        self.go_down(member, ctx);
    }

    /// The process ends. Its seat stays, and its session runs from the last sign of life.
    fn go_down(&mut self, member: MemberId, ctx: &mut Ctx<'_, Event>) {
        self.fall_silent(member, ctx);
        let client = self.client_mut(member);
        client.pulse = Pulse::Down;
        client.phase = Phase::Out;
        client.attempt += 1;
        client.resend = None;
        client.missed.clear();
    }

    pub(super) fn pause(&mut self, member: MemberId, ctx: &mut Ctx<'_, Event>) {
        if self.client(member).pulse == Pulse::Running {
            self.fall_silent(member, ctx);
            let client = self.client_mut(member);
            client.pulse = Pulse::Paused;
            client.paused_at = ctx.now;
        }
    }

    pub(super) fn resume(
        &mut self,
        member: MemberId,
        ctx: &mut Ctx<'_, Event>,
        changes: &mut Vec<Change>,
    ) {
        if self.client(member).pulse != Pulse::Paused {
            return;
        }
        let client = self.client_mut(member);
        client.pulse = Pulse::Running;
        let overdue = client.beats.next_after(client.paused_at) <= ctx.now;
        for event in std::mem::take(&mut client.missed) {
            ctx.at(ctx.now, event);
        }
        if let Some(request) = self.client_mut(member).resend.take() {
            self.send(member, request, ctx);
        }
        self.beat_again(member, overdue, ctx);
        self.check_metadata(changes);
        if self.client(member).awaits_poll() {
            changes.push(Change::AwaitsPoll { member });
        }
    }

    pub(super) fn start_member(
        &mut self,
        member: MemberId,
        ctx: &mut Ctx<'_, Event>,
        _changes: &mut Vec<Change>,
    ) {
        if member.0 == self.members() {
            self.add_slot(member.0);
        }
        if self.client(member).pulse == Pulse::Down {
            self.boot(member);
            self.send(member, Request::Join, ctx);
        }
    }

    pub(super) fn start_twin(
        &mut self,
        of: MemberId,
        ctx: &mut Ctx<'_, Event>,
        changes: &mut Vec<Change>,
    ) -> MemberId {
        let twin = MemberId(self.members());
        self.add_slot(twin.0);
        self.client_mut(twin).instance = self.client(of).instance;
        self.start_member(twin, ctx, changes);
        twin
    }

    pub(super) fn partitions_added(
        &mut self,
        topic: u16,
        total: u32,
        _ctx: &mut Ctx<'_, Event>,
        changes: &mut Vec<Change>,
    ) {
        let topic = usize::from(topic);
        if self.partitions.len() <= topic {
            self.partitions.resize(topic + 1, 0);
        }
        self.partitions[topic] = self.partitions[topic].max(total);
        self.check_metadata(changes);
    }

    pub(super) fn may_commit(&self, member: MemberId) -> bool {
        let completing = self.state == GroupState::CompletingRebalance;
        self.available && self.is_valid(member) && !completing
    }

    /// Whether the process is a member of the present generation.
    fn is_valid(&self, member: MemberId) -> bool {
        let client = self.client(member);
        let present = |seat: SeatId| self.seat(seat).fate == Fate::Present;
        client.seat.is_some_and(present) && client.round == self.round
    }

    pub(super) fn readers(&self) -> &Readers {
        &self.readers
    }

    pub(super) fn holder(&self, partition: TopicPartition) -> Option<MemberId> {
        let holds = |seat: &&Seat| seat.assignment.binary_search(&partition).is_ok();
        let present = self.seats.iter().filter(|it| it.fate == Fate::Present);
        let mut holders = present.filter(holds);
        holders.next().map(|seat| seat.member)
    }

    pub(super) fn owned_by(&self, member: MemberId) -> &[TopicPartition] {
        self.clients.get(member.index()).map_or(&[], |client| &client.owned)
    }

    pub(super) fn members(&self) -> u32 {
        u32::try_from(self.clients.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn is_up(&self, member: MemberId) -> bool {
        self.clients.get(member.index()).is_some_and(|client| client.pulse != Pulse::Down)
    }

    pub(super) fn state(&self) -> GroupState {
        self.state
    }

    pub(super) fn generation(&self) -> u32 {
        self.generation
    }

    /// When the process in the slot sends its heartbeats.
    #[cfg(test)]
    pub(super) fn beats_of(&self, member: MemberId) -> Beats {
        self.client(member).beats
    }

    pub(super) fn timers(&self) -> (&Timers<Event>, &Timers<Event>) {
        (&self.sessions, &self.barriers)
    }

    pub(super) fn swept(&mut self) {
        self.sessions.swept();
        self.barriers.swept();
    }

    pub(super) fn audit(&self) {
        let mut seen = Vec::new();
        for (member, client) in (0..).map(MemberId).zip(&self.clients) {
            assert!(client.owned.is_sorted(), "{member:?} owns in order");
            assert!(client.pulse != Pulse::Down || client.owned.is_empty(), "{member:?} is down");
            let valid = client.seat.is_some_and(|seat| self.seat(seat).fate == Fate::Present);
            // Who joins again under an old claim owns it until SyncGroup tells otherwise: an
            // assignment counts for the generation in which it was taken over.
            if valid && client.round > 0 {
                seen.extend(client.owned.iter().map(|&partition| (client.adopted, partition)));
            }
        }
        seen.sort_unstable_by_key(|&(round, it)| (round, it.topic, it.partition));
        let twice = seen.windows(2).find(|pair| pair[0] == pair[1]);
        assert_eq!(twice, None, "a partition has two readers of one generation");
        let mut given: Vec<_> = self.present().flat_map(|(_, s)| s.assignment.iter()).collect();
        let in_all = given.len();
        given.sort_unstable();
        given.dedup();
        let settled = self.state == GroupState::Stable;
        assert!(!settled || given.len() == in_all, "a partition is assigned twice");
        let leads = self.leader.is_some_and(|seat| self.seat(seat).fate == Fate::Present);
        assert!(!settled || leads, "a stable group has a leader");
    }

    /// All members in a stable generation 1.
    fn settle(&mut self, members: &[MemberId], now: SimTime, changes: &mut Vec<Change>) {
        for &member in members {
            let seat = self.new_seat(member);
            self.take_in(seat, changes);
            self.seat_mut(seat).awaiting_join = false;
            self.seat_mut(seat).contact = now;
            self.client_mut(member).seat = Some(seat);
        }
        self.leader = self.present_ids().first().copied();
        self.open_round();
        self.distribute();
        self.state = GroupState::Stable;
        changes.push(Change::State(self.state));
        self.persist();
        for &member in members {
            let (generation, round) = (self.generation, self.round);
            let Some(seat) = self.client(member).seat else { continue };
            let assignment = self.seat(seat).assignment.clone();
            let client = self.client_mut(member);
            (client.generation, client.round) = (generation, round);
            client.assignment = assignment;
            client.phase = Phase::Member;
            self.take_over(member, changes);
        }
    }

    fn add_slot(&mut self, slot: u32) {
        let instance = self.settings.static_membership.then_some(slot);
        let interval = self.settings.heartbeat_interval;
        let name = format!("group/{}/member/{slot}", self.settings.name);
        let mut rng = self.rngs.stream(&name);
        let beats = Beats::drawn(interval, &mut rng);
        self.clients.push(Client::new(instance, beats, rng));
    }

    /// A new process in the slot, with its own phase.
    fn boot(&mut self, member: MemberId) {
        let interval = self.settings.heartbeat_interval;
        let client = self.client_mut(member);
        let mut rng = client.rng.clone();
        let beats = Beats::drawn(interval, &mut rng);
        let (process, attempt) = (client.process + 1, client.attempt + 1);
        *client = Client::new(client.instance, beats, rng);
        (client.process, client.attempt) = (process, attempt);
        client.pulse = Pulse::Running;
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

    fn set_state(&mut self, state: GroupState, changes: &mut Vec<Change>) {
        if self.state != state {
            self.state = state;
            changes.push(Change::State(state));
        }
    }
}
