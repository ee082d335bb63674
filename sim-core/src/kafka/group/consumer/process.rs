//! The life of processes of a KIP-848 group, and of its coordinator.
//!
//! | Mechanism                                                       | Fact     |
//! |-----------------------------------------------------------------|----------|
//! | a clean close leaves with -1, a static member with -2           | K-848-3  |
//! | a coordinator that moves: all is in the log, timers start again | K-GRP-10 |
//! | commits are fenced by member epoch                              | K-848-3  |
//!
//! Simplification: a commit under an older epoch of the same member (STALE_MEMBER_EPOCH) counts as
//! accepted, since the client repeats it with the new epoch.

use super::client::{Client, Phase};
use super::{Consumer, Fate, Progress, SeatId};
use crate::engine::{Ctx, Timers};
use crate::kafka::group::assignor::TopicPartition;
use crate::kafka::group::beats::Beats;
use crate::kafka::group::{Change, Event, GroupState, MemberId, Pulse, Readers, Request};

impl Consumer {
    pub(in crate::kafka::group) fn kill(
        &mut self,
        member: MemberId,
        ctx: &mut Ctx<'_, Event>,
        changes: &mut Vec<Change>,
    ) {
        if self.client(member).pulse != Pulse::Down {
            self.lose_all(member, changes);
            self.go_down(member, ctx);
        }
    }

    pub(in crate::kafka::group) fn stop(
        &mut self,
        member: MemberId,
        ctx: &mut Ctx<'_, Event>,
        changes: &mut Vec<Change>,
    ) {
        let client = self.client(member);
        if client.pulse != Pulse::Running || client.phase == Phase::Out {
            return self.kill(member, ctx, changes);
        }
        let owned = std::mem::take(&mut self.client_mut(member).owned);
        self.readers.revoke(member, &owned, changes);
        if self.leaves_on_close || self.static_membership {
            self.say_goodbye(member, ctx);
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

    pub(in crate::kafka::group) fn pause(&mut self, member: MemberId, ctx: &mut Ctx<'_, Event>) {
        if self.client(member).pulse == Pulse::Running {
            self.fall_silent(member, ctx);
            let client = self.client_mut(member);
            client.pulse = Pulse::Paused;
            client.paused_at = ctx.now;
        }
    }

    pub(in crate::kafka::group) fn resume(
        &mut self,
        member: MemberId,
        ctx: &mut Ctx<'_, Event>,
        changes: &mut Vec<Change>,
    ) {
        let client = self.client_mut(member);
        if client.pulse != Pulse::Paused {
            return;
        }
        client.pulse = Pulse::Running;
        let overdue = client.beats.next_after(client.paused_at) <= ctx.now;
        for event in std::mem::take(&mut client.missed) {
            ctx.at(ctx.now, event);
        }
        self.send_again(member, ctx);
        self.beat_again(member, overdue, ctx);
        if self.client(member).awaits_poll() {
            changes.push(Change::AwaitsPoll { member });
        }
    }

    pub(in crate::kafka::group) fn start_member(
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

    pub(in crate::kafka::group) fn start_twin(
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

    pub(in crate::kafka::group) fn coordinator_lost(&mut self, _ctx: &mut Ctx<'_, Event>) {
        self.available = false;
        for seat in 0..u32::try_from(self.seats.len()).unwrap_or(u32::MAX) {
            self.sessions.disarm(seat);
            self.patience.disarm(seat);
        }
        for client in &mut self.clients {
            client.lose_request();
        }
    }

    pub(in crate::kafka::group) fn coordinator_back(
        &mut self,
        ctx: &mut Ctx<'_, Event>,
        _changes: &mut Vec<Change>,
    ) {
        if self.available {
            return;
        }
        self.available = true;
        for seat in self.present() {
            self.seat_mut(seat).contact = ctx.now;
            let client = self.client(self.seat(seat).member);
            if client.seat != Some(seat) || !client.beats_now() {
                self.sessions.arm(seat.0, ctx.now + self.session_timeout, ctx);
            }
            if self.seat(seat).standing.progress == Progress::Unrevoked {
                self.patience.arm(seat.0, ctx.now + self.rebalance_timeout, ctx);
            }
        }
        for member in self.member_ids() {
            if self.client(member).pulse == Pulse::Running {
                self.send_again(member, ctx);
            }
        }
        self.arm_beats(ctx);
    }

    pub(in crate::kafka::group) fn partitions_added(
        &mut self,
        topic: u16,
        total: u32,
        ctx: &mut Ctx<'_, Event>,
        _changes: &mut Vec<Change>,
    ) {
        let topic = usize::from(topic);
        if self.partitions.len() <= topic {
            self.partitions.resize(topic + 1, 0);
        }
        if self.partitions[topic] < total {
            self.partitions[topic] = total;
            self.refresh = true;
            self.arm_beats(ctx);
        }
    }

    pub(in crate::kafka::group) fn may_commit(&self, member: MemberId) -> bool {
        self.available && self.is_valid(member)
    }

    /// Whether the coordinator knows the process as a member.
    pub(super) fn is_valid(&self, member: MemberId) -> bool {
        let seat = self.client(member).seat;
        seat.is_some_and(|seat| self.seat(seat).fate == Fate::Present)
    }

    pub(in crate::kafka::group) fn readers(&self) -> &Readers {
        &self.readers
    }

    pub(in crate::kafka::group) fn holder(&self, partition: TopicPartition) -> Option<MemberId> {
        self.taken.of(partition).map(|seat| self.seat(seat).member)
    }

    pub(in crate::kafka::group) fn owned_by(&self, member: MemberId) -> &[TopicPartition] {
        self.clients.get(member.index()).map_or(&[], |client| &client.owned)
    }

    pub(in crate::kafka::group) fn members(&self) -> u32 {
        u32::try_from(self.clients.len()).unwrap_or(u32::MAX)
    }

    pub(in crate::kafka::group) fn is_up(&self, member: MemberId) -> bool {
        self.clients.get(member.index()).is_some_and(|client| client.pulse != Pulse::Down)
    }

    pub(in crate::kafka::group) fn state(&self) -> GroupState {
        self.state
    }

    pub(in crate::kafka::group) fn generation(&self) -> u32 {
        self.epoch
    }

    /// When the process in the slot sends its heartbeats.
    #[cfg(test)]
    pub(in crate::kafka::group) fn beats_of(&self, member: MemberId) -> Beats {
        self.client(member).beats
    }

    pub(in crate::kafka::group) fn timers(&self) -> (&Timers<Event>, &Timers<Event>) {
        (&self.sessions, &self.patience)
    }

    pub(in crate::kafka::group) fn swept(&mut self) {
        self.sessions.swept();
        self.patience.swept();
    }

    pub(in crate::kafka::group) fn audit(&self) {
        // Two valid members never read the same: what one has is in nobody else's books.
        let mut seen = Vec::new();
        for (member, client) in (0..).map(MemberId).zip(&self.clients) {
            assert!(client.owned.is_sorted(), "{member:?} owns in order");
            assert!(client.pulse != Pulse::Down || client.owned.is_empty(), "{member:?} is down");
            let valid = |seat: &SeatId| self.seat(*seat).fate == Fate::Present;
            let Some(seat) = client.seat.filter(valid).filter(|_| client.phase == Phase::Member)
            else {
                continue;
            };
            for &partition in &client.owned {
                seen.push(partition);
                let holder = self.taken.of(partition);
                assert_eq!(holder, Some(seat), "{member:?} reads {partition:?} of another");
            }
        }
        seen.sort_unstable();
        let twice = seen.windows(2).find(|pair| pair[0] == pair[1]);
        assert_eq!(twice, None, "a partition has two readers of one generation");
        let present = self.present();
        let targets = present.iter().flat_map(|&seat| &self.seat(seat).target);
        let mut targets: Vec<_> = targets.collect();
        let in_all = targets.len();
        targets.sort_unstable();
        targets.dedup();
        assert_eq!(targets.len(), in_all, "a partition is in two targets");
    }

    pub(super) fn add_slot(&mut self, slot: u32) {
        let instance = self.static_membership.then_some(slot);
        let mut rng = self.rngs.stream(&format!("group/{}/member/{slot}", self.name));
        let beats = Beats::drawn(self.interval, &mut rng);
        self.clients.push(Client::new(instance, String::new(), beats, rng));
    }

    /// A new process in the slot, with its own id and phase.
    pub(super) fn boot(&mut self, member: MemberId) {
        let id = format!("{:016x}{:016x}", self.ids.next_u64(), self.ids.next_u64());
        let interval = self.interval;
        let client = self.client_mut(member);
        let mut rng = client.rng.clone();
        let beats = Beats::drawn(interval, &mut rng);
        let (process, attempt) = (client.process + 1, client.attempt + 1);
        *client = Client::new(client.instance, id, beats, rng);
        (client.process, client.attempt) = (process, attempt);
        client.pulse = Pulse::Running;
    }
}
