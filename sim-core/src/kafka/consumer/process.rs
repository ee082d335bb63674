//! Processing: one poll after the other on the member's only thread, delivery at the end of each
//! run of records (decision D-14), and what each had waited for (D-19).
//!
//! | Mechanism                                                              | Fact    |
//! |------------------------------------------------------------------------|---------|
//! | a poll returns at most max.poll.records of what is buffered             | K-FET-1 |
//! | a gap between polls beyond max.poll.interval.ms leaves the group        | K-GRP-4 |
//! | auto-commit at the first poll after the interval                        | K-OFF-1 |
//! | before 3.8 a thread with a restoring partition runs none                | K-STR-2 |
//!
//! When a poll begins, the instants at which its records will be done are laid down; whoever looks
//! settles what is over by then.

use crate::blame::{BlameBook, CAUSES, Cause, Clocks};
use crate::engine::dist::binomial;
use crate::engine::{Rngs, SimDuration, SimTime, Turn};
use crate::flow::KeyClass;
use crate::ledger::Seen;
use crate::order::Run;
use crate::service::{time_to_process, times_as_slow};
use crate::sink::{Progress, Write, book_given_up};

use super::super::log::Entry;
use super::super::metadata::PartitionId;
use super::super::{At, Cluster, Event};
use super::{Consumers, MemberId};

/// A run of records of one entry that a poll returned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    reader: u32,
    generation: u32,
    partition: PartitionId,
    /// Index of its entry.
    index: u64,
    /// Offsets.
    from: u64,
    until: u64,
    /// `SimTime::MAX` while a sink has not answered.
    done_at: SimTime,
    service: SimDuration,
    /// Time that the sink took, and records that it did not take in the end.
    sink: SimDuration,
    given_up: u64,
}

impl Piece {
    /// As checkers see it once it is done.
    fn seen(&self, consumer: usize, member: MemberId) -> Seen {
        Seen::processed(consumer, (self.partition.0, member.0), self.from, self.until)
    }
}

/// What is finished of a partition and not settled.
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct Finished {
    /// Offset after the last record, and index of its entry.
    pub(in super::super) until: u64,
    pub(in super::super) index: u64,
    /// Records that count as delivered by it.
    pub(in super::super) records: u64,
}

impl Cluster {
    /// The member polls: auto-commit, then what is buffered.
    pub(super) fn begin_poll(&mut self, group: usize, member: MemberId, at: &mut At<'_, '_>) {
        let now = at.ctx.now;
        let consumers = &mut self.groups[group];
        let it = &consumers.members[member.0 as usize];
        if it.busy || it.frozen || !it.running || it.awaits_poll {
            return;
        }
        self.auto_commit(group, member, at);
        let consumers = &mut self.groups[group];
        let halted = it_is_halted(consumers, member);
        if halted || consumers.members[member.0 as usize].buffer.is_empty() {
            let unread = consumers.unread;
            let it = consumers.member(member);
            if unread == 0 {
                it.interrupted = false;
            }
            it.place.set(now, Cause::PollGap);
            return;
        }
        let most = self.groups[group].config.max_poll_records;
        self.groups[group].member(member).room = u64::from(most);
        let done = self.lay_down(group, member, now);
        let consumers = &mut self.groups[group];
        let plan = consumers.fresh_generation();
        let most = consumers.config.max_poll_interval;
        // How long a sink will take is not known.
        let may_last = consumers.config.sink.is_some() || done.since(now) > most;
        let it = consumers.member(member);
        if it.pieces.is_empty() {
            it.place.set(now, Cause::PollGap);
            return;
        }
        it.busy = true;
        it.plan = plan;
        it.began_at = now;
        let cause = if it.interrupted { Cause::CatchUp } else { Cause::Capacity };
        it.place.set(now, cause);
        let number = u16::try_from(group).expect("few groups");
        at.ctx.at(done, Event::Processed(number, member, plan));
        if may_last {
            at.ctx.at(now + most, Event::PollOverdue(number, member, plan));
        }
    }

    /// Takes records off the buffer and says when each run of them will be done.
    fn lay_down(&mut self, group: usize, member: MemberId, now: SimTime) -> SimTime {
        let consumers = &mut self.groups[group];
        let has_sink = consumers.config.sink.is_some();
        let mut room = consumers.member(member).room;
        let mut done = now;
        let mut pieces = std::mem::take(&mut consumers.member(member).pieces);
        pieces.clear();
        while room > 0 {
            let Some(&(id, generation)) = consumers.member(member).buffer.front() else { break };
            let Some(reader) = consumers.live(id, generation) else {
                consumers.member(member).buffer.pop_front();
                continue;
            };
            let (partition, buffered) = (reader.partition, reader.buffered);
            let mut from = reader.cursor;
            let log = &self.partitions[partition.index()].log;
            let mut index = log.index_near(from, reader.cursor_index);
            while room > 0 && from < buffered {
                let Some(entry) = log.entry(index) else { break };
                let until = entry.end().min(buffered).min(from + room);
                let (config, of_member) =
                    (&consumers.config, &consumers.members[member.0 as usize]);
                let ppm = times_as_slow(consumers.slow_ppm, of_member.slow_ppm);
                let rng = &mut consumers.service;
                let service = time_to_process(config.service, until - from, ppm, rng);
                done += service;
                let done_at = if has_sink { SimTime::MAX } else { done };
                pieces.push_back(Piece {
                    reader: id,
                    generation,
                    partition,
                    index,
                    from,
                    until,
                    done_at,
                    service,
                    sink: SimDuration::ZERO,
                    given_up: 0,
                });
                room -= until - from;
                from = until;
                index += 1;
                if has_sink {
                    break;
                }
            }
            if from < buffered && (room == 0 || has_sink) {
                break;
            }
            consumers.member(member).buffer.pop_front();
            if has_sink && !pieces.is_empty() {
                break;
            }
        }
        consumers.member(member).pieces = pieces;
        consumers.member(member).room = room;
        done
    }

    /// The poll's records are all processed.
    pub(in super::super) fn on_processed(
        &mut self,
        group: usize,
        member: MemberId,
        plan: u32,
        at: &mut At<'_, '_>,
    ) {
        let it = self.groups[group].member(member);
        if it.plan != plan || !it.busy || it.frozen || self.writes_on(group, member, at) {
            return;
        }
        self.settle(group, member, at);
        let it = self.groups[group].member(member);
        it.busy = false;
        if self.groups[group].config.auto_commit.is_none() {
            self.commit_all(group, member, at);
        }
        self.enter_poll(group, member, at);
        self.serve_readers(at);
    }

    /// With a sink: the run in hand goes on into it, and the next one of the poll follows; whether
    /// that has to be waited for before the poll is done.
    fn writes_on(&mut self, group: usize, member: MemberId, at: &mut At<'_, '_>) -> bool {
        let now = at.ctx.now;
        let consumers = &mut self.groups[group];
        let Some(using) = consumers.config.sink.clone() else { return false };
        let it = consumers.member(member);
        let plan = it.plan;
        let number = u16::try_from(group).expect("few groups");
        let Some(piece) = it.pieces.front_mut() else { return false };
        let records = piece.until - piece.from;
        let (mut write, since) = it.write.take().unwrap_or((Write::new(records), now));
        match write.next(&mut at.sinks[using.sink], &using.retry, now) {
            Progress::At(next) => {
                it.write = Some((write, since));
                at.ctx.at(next, Event::Processed(number, member, plan));
                return true;
            }
            Progress::Over(given_up) => {
                (piece.done_at, piece.sink, piece.given_up) = (now, now.since(since), given_up);
            }
        }
        self.settle(group, member, at);
        let it = self.groups[group].member(member);
        if it.room == 0 || it.buffer.is_empty() {
            return false;
        }
        let done = self.lay_down(group, member, now);
        if self.groups[group].member(member).pieces.is_empty() {
            return false;
        }
        at.ctx.at(done, Event::Processed(number, member, plan));
        true
    }

    /// The member has not polled for max.poll.interval.ms.
    pub(in super::super) fn on_poll_overdue(
        &mut self,
        group: usize,
        member: MemberId,
        plan: u32,
        at: &mut At<'_, '_>,
    ) {
        let it = self.groups[group].member(member);
        if it.plan == plan && it.busy && it.running {
            self.with_group(group, at, |it, ctx, changes| it.poll_overdue(member, ctx, changes));
        }
    }

    /// Begins the rounds of a group, at an instant of its own.
    pub(in super::super) fn begin_rounds(
        &mut self,
        group: usize,
        rngs: &Rngs,
        at: &mut At<'_, '_>,
    ) {
        let number = u16::try_from(group).expect("few groups");
        let consumers = &mut self.groups[group];
        let mut luck = rngs.stream(&format!("consumer/{}/rounds", consumers.config.name));
        let first = at.ctx.now + SimDuration(luck.below(consumers.rounds.period().0));
        consumers.rounds.begin(first, |turn| Event::Round(number, turn), &mut at.ctx);
    }

    /// A round of polls.
    pub(in super::super) fn on_round(&mut self, group: usize, turn: Turn, at: &mut At<'_, '_>) {
        let number = u16::try_from(group).expect("few groups");
        let rounds = &self.groups[group].rounds;
        if rounds.comes(turn, |turn| Event::Round(number, turn), &mut at.ctx) {
            self.poll_all(group, at);
        }
    }

    /// Settles what is finished; members that are idle commit if it is time.
    pub(in super::super) fn poll_all(&mut self, group: usize, at: &mut At<'_, '_>) {
        for number in 0..self.groups[group].members.len() {
            let member = MemberId(u32::try_from(number).expect("fewer than 2^32 members"));
            self.settle(group, member, at);
            if !self.groups[group].is_busy(member) {
                self.auto_commit(group, member, at);
            }
        }
        self.serve_readers(at);
    }

    /// What members have finished by `now` and nobody has settled: by partition, or nothing at all
    /// if there is none.
    pub(in super::super) fn finished(&self, group: usize, now: SimTime) -> Vec<Finished> {
        let consumers = &self.groups[group];
        let done = |it: &'_ Piece| it.done_at <= now;
        let pieces =
            consumers.members.iter().flat_map(|it| it.pieces.iter().take_while(|p| done(p)));
        let mut all = Vec::new();
        for piece in pieces {
            let number = piece.partition.index();
            let entry = self.partitions[number].log.entry(piece.index);
            let share = consumers.shares[number].as_ref();
            let (Some(entry), Some(share)) = (entry, share) else { continue };
            if entry.base > piece.from || entry.end() < piece.until {
                continue;
            }
            all.resize(self.partitions.len(), Finished::default());
            let of = &mut all[number];
            let delivered = of.until.max(share.delivered);
            if piece.until > delivered {
                let new = piece.until - delivered.max(piece.from);
                of.records += if entry.copy { 0 } else { new };
                (of.until, of.index) = (piece.until, piece.index);
            }
        }
        all
    }

    /// Delivers what a member has finished by now.
    pub(in super::super) fn settle(&mut self, group: usize, member: MemberId, at: &mut At<'_, '_>) {
        let now = at.ctx.now;
        let mut sums = Sums::default();
        loop {
            let consumers = &mut self.groups[group];
            if sums.age >= FULL {
                sums.flush(&mut consumers.blame);
            }
            let it = consumers.member(member);
            let Some(&piece) = it.pieces.front().filter(|piece| piece.done_at <= now) else {
                break;
            };
            it.pieces.pop_front();
            self.deliver(group, member, &piece, &mut sums, at);
            let consumers = &mut self.groups[group];
            if let Some(reader) = consumers.live(piece.reader, piece.generation) {
                reader.cursor = piece.until;
                reader.cursor_index = piece.index;
                if reader.buffered <= reader.cursor {
                    self.emptied(group, piece.reader);
                }
            }
        }
        sums.flush(&mut self.groups[group].blame);
        at.ledger.saw(|| self.groups[group].blamed());
    }

    /// The processing of one run of records is complete.
    fn deliver(
        &mut self,
        group: usize,
        member: MemberId,
        piece: &Piece,
        sums: &mut Sums,
        at: &mut At<'_, '_>,
    ) {
        let of = &self.partitions[piece.partition.index()];
        let Some(entry) = of.log.entry(piece.index).copied() else { return };
        if entry.base > piece.from || entry.end() < piece.until {
            // It was cut while it was in hand.
            return;
        }
        let consumers = &mut self.groups[group];
        at.ledger.saw(|| piece.seen(consumers.index, member));
        let share = consumers.share(piece.partition);
        let first = share.delivered.clamp(piece.from, piece.until);
        let (old, new) = (first - piece.from, piece.until - first);
        if piece.until > share.delivered {
            share.delivered = piece.until;
            share.delivered_index = piece.index;
        }
        let idempotent = consumers.config.sink_idempotent;
        let index = consumers.index;
        let repeated = if entry.copy { old + new } else { old };
        if repeated > 0 {
            at.ledger.redeliver(index, repeated, idempotent);
        }
        if entry.copy || new == 0 {
            return;
        }
        let share = consumers.share(piece.partition);
        share.unread -= new;
        consumers.unread -= new;
        let using = consumers.config.sink.as_ref();
        let new = book_given_up(at.ledger, index, using, (piece.given_up, new));
        if new == 0 {
            return;
        }
        let bytes = u64::from(entry.bytes) * new / u64::from(entry.count);
        at.ledger.deliver(index, new, bytes);
        let before = of.log.before(piece.from);
        at.ledger.saw(|| Seen::delivered(index, new, (entry.offered_at, before), piece.done_at));
        let consumers = &mut self.groups[group];
        let age = piece.done_at.since(entry.offered_at) + before;
        let records = u32::try_from(new).expect("an entry holds fewer than 2^32 records");
        consumers.latency.record(age, records);
        consumers.note_lag(piece.done_at.since(entry.appended_at) + before);
        let late = self.late(group, piece, &entry, first, records, at);
        at.ledger.consumers[index].reordered += late;
        self.blame(group, member, piece, &entry, new, sums);
    }

    /// How many of the records come after a later one of their key (D-10).
    fn late(
        &mut self,
        group: usize,
        piece: &Piece,
        entry: &Entry,
        first: u64,
        records: u32,
        at: &At<'_, '_>,
    ) -> u64 {
        if entry.class == KeyClass::UNIQUE {
            return 0;
        }
        let run = Run {
            flow: entry.flow,
            class: entry.class,
            first_seq: entry.first_seq + (first - entry.base) * u64::from(entry.stride),
            stride: entry.stride,
            count: records,
            offered_at: entry.offered_at,
        };
        let consumers = &mut self.groups[group];
        if entry.class.is_one_key() {
            return consumers.keys.deliver(&run);
        }
        if self.producers[self.place_of[usize::from(entry.flow.0)]].config.idempotence {
            // Within a partition nothing overtakes (K-IDM-3).
            return 0;
        }
        let share = consumers.shares[piece.partition.index()].as_mut().expect("a partition read");
        match share.rest.deliver(&run) {
            0 => 0,
            ahead => {
                let number = self.partitions[piece.partition.index()].number;
                let chance = (at.overtaking)(entry.flow, number, ahead);
                binomial(&mut consumers.luck, u64::from(records), chance)
            }
        }
    }

    /// Takes the age of delivered records apart.
    fn blame(
        &mut self,
        group: usize,
        member: MemberId,
        piece: &Piece,
        entry: &Entry,
        records: u64,
        sums: &mut Sums,
    ) {
        let of = &self.partitions[piece.partition.index()];
        let consumers = &mut self.groups[group];
        let (age, before) = (piece.done_at.since(entry.offered_at).0, of.log.before(piece.from).0);
        let mut common = [0; CAUSES.len()];
        common[Cause::BeforeStart as usize] = before;
        let mut parts = consumers.blame.is_longest(age + before).then_some(common);
        if before > 0 {
            // So old that 64 bits do not hold the sums.
            let all = u128::from(records) * u128::from(before);
            consumers.blame.add(records, &common, &[0; CAUSES.len()], all);
        }
        let mut add = |cause: Cause, nanos: u64| {
            sums.own[cause as usize] += records * nanos;
            if let Some(parts) = &mut parts {
                parts[cause as usize] += nanos;
            }
        };
        let add = &mut add;
        let mut left = entry.sent_at.since(entry.offered_at).0;
        if entry.detoured {
            let detour = of.log.detour(piece.index);
            for (cause, nanos) in [
                (Cause::LeaderUnavailable, detour.unavailable_ns),
                (Cause::ReplicasMissing, detour.replicas_ns),
                (Cause::ClientBacklog, detour.backlog_ns),
            ] {
                add(cause, nanos.min(left));
                left -= nanos.min(left);
            }
        }
        add(Cause::ClientBatching, left);
        add(Cause::Put, entry.appended_at.since(entry.sent_at).0);
        let hidden = entry.visible_at.since(entry.appended_at).0;
        let held = of.held.within(entry.appended_at, entry.visible_at).min(hidden);
        add(Cause::WatermarkHeld, held);
        add(Cause::Replication, hidden - held);
        let it = &consumers.members[member.0 as usize];
        let share = consumers.shares[piece.partition.index()].as_ref().expect("a partition read");
        let began = it.began_at.max(entry.visible_at);
        let mut followed = 0;
        share.place.between(entry.visible_at, began, |cause, nanos| {
            if cause == Cause::PollGap {
                followed += nanos;
            } else {
                add(cause, nanos);
            }
        });
        // The rest it waited for its owner; an own cause mostly comes before that.
        it.place.between(SimTime(began.0 - followed), began, &mut *add);
        let busy = if it.interrupted { Cause::CatchUp } else { Cause::Capacity };
        let mut left = piece.done_at.since(began).0;
        for (cause, nanos) in [(Cause::Service, piece.service.0), (Cause::Sink, piece.sink.0)] {
            add(cause, nanos.min(left));
            left -= nanos.min(left);
        }
        add(busy, left);
        sums.age += u128::from(records) * u128::from(age);
        if let Some(parts) = parts {
            consumers.blame.set_longest(age + before, parts);
        }
    }

    /// A member stops where it is: what is not done now is never done.
    pub(in super::super) fn drop_poll(
        &mut self,
        group: usize,
        member: MemberId,
        at: &mut At<'_, '_>,
    ) {
        self.settle(group, member, at);
        let it = self.groups[group].member(member);
        it.pieces.clear();
        it.write = None;
        it.buffer.clear();
        it.busy = false;
        it.place.set(at.ctx.now, Cause::PollGap);
        for id in self.groups[group].readers_of(member) {
            self.uncount(group, id);
            if let Some(reader) = self.groups[group].readers[id as usize].as_mut() {
                reader.next_fetch = reader.cursor;
                reader.buffered = reader.cursor;
            }
        }
    }
}

/// Record-nanoseconds of deliveries by cause, and of all together.
#[derive(Default)]
struct Sums {
    own: Clocks,
    age: u128,
}

/// Sums of this much go to the book, so that long polls of old records stay within 64 bits.
const FULL: u128 = 1 << 60;

impl Sums {
    fn flush(&mut self, book: &mut BlameBook) {
        if self.age > 0 {
            book.add(0, &[0; CAUSES.len()], &self.own, self.age);
            *self = Self::default();
        }
    }
}

/// Before 3.8 a thread that restores one partition processes none (K-STR-2).
fn it_is_halted(consumers: &Consumers, member: MemberId) -> bool {
    let together = consumers.config.state.as_ref().is_some_and(|state| !state.others_run);
    together && consumers.members[member.0 as usize].restoring > 0
}
