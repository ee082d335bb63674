//! Replication: followers fetch from leaders, and the high watermark follows them (decision D-13).
//!
//! | Mechanism                                                              | Fact    |
//! |------------------------------------------------------------------------|---------|
//! | one fetch in flight per follower, leader and fetcher                   | K-LOG-1 |
//! | caps per response and per partition, the first batch always fits       | K-LOG-2 |
//! | a fetch says what the follower has; the leader learns a round trip late | K-LOG-3 |
//! | the watermark is the least LEO over the leader and the maximal ISR     | K-HW-1, K-HW-2 |
//! | below min ISR it stands still (3.7+)                                   | K-ISR-8 |
//! | when a follower counts as caught up                                    | K-ISR-1 |
//! | what a follower finds in memory, and what on disk                       | K-DSK-3 |
//!
//! A fetch loop's progress is one mark: the number of the leader's append up to which the follower
//! has everything. A partition that is behind the mark (after a restart or a new leader, or with
//! more unfetched than one fetch may take) is a laggard with a progress of its own until it is
//! level. Laggards take turns: one that got data goes to the end of the line. So the cost of a
//! fetch is that of the partitions with data, and idle partitions cost nothing; the mark means the
//! same as an LEO for each partition (tests compare the two).
//!
//! Simplifications: a parked fetch is answered the moment there is data, and the 500 ms after
//! which an idle one comes back are not played. The follower learns the watermark at once.

use std::collections::VecDeque;

use crate::engine::{SimDuration, SimTime};

use super::broker::Process;
use super::metadata::{BrokerId, BrokerSet, PartitionId};
use super::partition::Partition;
use super::{At, Cluster, Event};

/// What one fetcher of a follower has of one leader's logs.
#[derive(Clone, Debug)]
pub(crate) struct FetchLoop {
    pub(crate) follower: BrokerId,
    pub(crate) leader: BrokerId,
    /// The follower has every append up to this one, of partitions that are no laggards.
    pub(crate) mark: u64,
    /// What the leader knows of the mark.
    pub(crate) told: u64,
    /// The mark that the fetch under way will bring.
    reading: u64,
    pub(crate) state: LoopState,
    /// Events that carry another generation are stale.
    generation: u32,
    /// Bytes, and partitions, appended since `reading`; the most of one partition among them.
    fresh_bytes: u64,
    fresh_partitions: u64,
    fresh_largest: u64,
    pub(crate) laggards: VecDeque<Laggard>,
    /// Laggards at the front that the fetch under way brings data of.
    served: usize,
    /// Number of the fetch under way.
    turn: u64,
    /// Partitions whose watermark waits for this loop.
    waiting: Vec<PartitionId>,
    /// Partitions of which the follower is no in-sync replica.
    pub(crate) outsiders: Vec<PartitionId>,
    /// K-ISR-1, for partitions on the mark.
    pub(crate) caught_up_at: SimTime,
    fetched_at: SimTime,
    stamp_at_fetch: u64,
}

/// What a fetch loop is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoopState {
    /// Its fetch waits at the leader for data.
    Parked,
    /// Data is on its way; the follower appends it at that instant, the next fetch tells the
    /// leader a little later.
    UnderWay {
        /// When the follower has it.
        appended_at: SimTime,
    },
    /// One of the two does not run, or they cannot reach each other.
    Down,
}

/// A partition that is behind its loop's mark.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Laggard {
    pub(crate) partition: PartitionId,
    /// The follower's log end.
    pub(crate) end: u64,
    /// What the leader knows of it.
    pub(crate) told: Option<u64>,
    /// Where the fetch under way will bring it.
    reading: u64,
    /// The fetch that it last got data from: who waited longest is served first.
    turn: u64,
    /// K-ISR-1.
    pub(crate) caught_up_at: SimTime,
    fetched_at: SimTime,
    leader_end_at_fetch: u64,
}

/// What a fetch brings.
#[derive(Clone, Copy, Debug, Default)]
struct Served {
    bytes: u64,
    /// Those among them that the page cache has lost.
    from_disk: u64,
    partitions: u64,
}

impl FetchLoop {
    pub(crate) fn new(follower: BrokerId, leader: BrokerId) -> Self {
        Self {
            follower,
            leader,
            mark: 0,
            told: 0,
            reading: 0,
            state: LoopState::Parked,
            generation: 0,
            fresh_bytes: 0,
            fresh_partitions: 0,
            fresh_largest: 0,
            laggards: VecDeque::new(),
            served: 0,
            turn: 0,
            waiting: Vec::new(),
            outsiders: Vec::new(),
            caught_up_at: SimTime::ZERO,
            fetched_at: SimTime::ZERO,
            stamp_at_fetch: 0,
        }
    }

    /// The laggard of that partition.
    pub(crate) fn laggard(&self, partition: PartitionId) -> Option<&Laggard> {
        self.laggards.iter().find(|laggard| laggard.partition == partition)
    }

    /// A partition has no longer this leader or this follower.
    fn forget(&mut self, partition: PartitionId) {
        if let Some(place) = self.laggards.iter().position(|it| it.partition == partition) {
            self.laggards.remove(place);
            if place < self.served {
                self.served -= 1;
            }
        }
        self.outsiders.retain(|&other| other != partition);
    }

    /// When it last counted as caught up: a parked fetch is as good as one just sent.
    pub(crate) fn caught_up(&self, now: SimTime) -> SimTime {
        if self.state == LoopState::Parked { now } else { self.caught_up_at }
    }
}

impl Cluster {
    /// The place of the loop by which `follower` fetches a partition from `leader`.
    pub(super) fn loop_of(&self, follower: BrokerId, leader: BrokerId, fetcher: u32) -> usize {
        let fetchers = self.config.settings.num_replica_fetchers as usize;
        (follower.index() * self.brokers.len() + leader.index()) * fetchers + fetcher as usize
    }

    /// Places of the loops that are wanted.
    fn loops_between(&self, mut wanted: impl FnMut(&FetchLoop) -> bool) -> Vec<usize> {
        let places = self.loops.iter().enumerate();
        places.filter(|(_, it)| wanted(it)).map(|(place, _)| place).collect()
    }

    /// Whether two brokers serve and reach each other.
    pub(super) fn in_touch(&self, a: BrokerId, b: BrokerId) -> bool {
        let (a, b) = (&self.brokers[a.index()], &self.brokers[b.index()]);
        a.runs() && b.runs() && self.links.connected(a.zone, b.zone)
    }

    /// A part was appended: its followers' loops have more to fetch. Loops that wait are listed.
    pub(super) fn note_fresh(&mut self, partition: PartitionId, bytes: u64, stamp: u64) {
        let of = &mut self.partitions[partition.index()];
        let Some(leader) = of.leader else { return };
        let fetchers = self.config.settings.num_replica_fetchers as usize;
        for place in 0..of.replicas.len() {
            let follower = of.replicas[place];
            if follower == leader {
                continue;
            }
            let index = (follower.index() * self.brokers.len() + leader.index()) * fetchers
                + of.fetcher as usize;
            let fetch_loop = &mut self.loops[index];
            if !of.off.has(follower) {
                if of.last_stamp <= fetch_loop.reading || of.unread[place] == 0 {
                    of.unread[place] = 0;
                    fetch_loop.fresh_partitions += 1;
                }
                of.unread[place] += bytes;
                fetch_loop.fresh_bytes += bytes;
                fetch_loop.fresh_largest = fetch_loop.fresh_largest.max(of.unread[place]);
            }
            if fetch_loop.state == LoopState::Parked && !self.woken_loops.contains(&index) {
                self.woken_loops.push(index);
            }
        }
        of.last_stamp = stamp;
    }

    /// Fetches that waited for data are answered.
    pub(super) fn answer_fetches(&mut self, at: &mut At<'_, '_>) {
        let mut woken = std::mem::take(&mut self.woken_loops);
        for index in woken.drain(..) {
            if self.loops[index].state == LoopState::Parked {
                self.begin_fetch(index, at);
            }
        }
        self.woken_loops = woken;
    }

    /// The leader reads what the fetch at hand may take, or parks it.
    fn begin_fetch(&mut self, index: usize, at: &mut At<'_, '_>) {
        let now = at.ctx.now;
        let most = self.config.settings.replica_fetch_max_bytes;
        let response_most = self.config.settings.replica_fetch_response_max_bytes;
        let fetch_loop = &mut self.loops[index];
        if fetch_loop.state == LoopState::Parked {
            // A fetch that waits says all the time that its sender is level.
            fetch_loop.caught_up_at = now;
            fetch_loop.fetched_at = now;
        }
        let (follower, leader) = (fetch_loop.follower, fetch_loop.leader);
        fetch_loop.turn += 1;
        if fetch_loop.fresh_largest > most {
            self.part_laggards(index);
        }
        let mut served = self.serve_laggards(index);
        let fetch_loop = &self.loops[index];
        if served.bytes > 0 && served.bytes + fetch_loop.fresh_bytes > response_most
            || fetch_loop.fresh_bytes > response_most
        {
            // Not everything fits: from here on each partition has its turn.
            self.part_laggards(index);
            served = self.serve_laggards(index);
        }
        let stamp = self.brokers[leader.index()].stamp;
        let fetch_loop = &mut self.loops[index];
        served.bytes += fetch_loop.fresh_bytes;
        served.partitions += fetch_loop.fresh_partitions;
        fetch_loop.reading = stamp;
        fetch_loop.fresh_bytes = 0;
        fetch_loop.fresh_partitions = 0;
        fetch_loop.fresh_largest = 0;
        if served.partitions == 0 {
            // Nothing is behind: whoever still had a progress of its own is on the mark again.
            fetch_loop.state = LoopState::Parked;
            fetch_loop.mark = stamp;
            fetch_loop.told = stamp;
            fetch_loop.served = 0;
            for level in std::mem::take(&mut fetch_loop.laggards) {
                let of = &mut self.partitions[level.partition.index()];
                of.off = of.off.without(follower);
            }
            return;
        }
        let (appended_at, told_at) = self.fetch_times(index, &served, now);
        let fetch_loop = &mut self.loops[index];
        fetch_loop.state = LoopState::UnderWay { appended_at };
        let (number, generation) = (number_of(index), fetch_loop.generation);
        at.ctx.at(told_at, Event::Fetch(number, generation));
        self.brokers[leader.index()].replication_bytes_out += served.bytes;
        self.brokers[follower.index()].replication_bytes_in += served.bytes;
    }

    /// When the follower has appended what a fetch brings, and when its next fetch says so.
    fn fetch_times(&mut self, index: usize, served: &Served, now: SimTime) -> (SimTime, SimTime) {
        let Served { bytes, from_disk, partitions } = *served;
        let (follower, leader) = (self.loops[index].follower, self.loops[index].leader);
        let half = SimDuration(self.rtt(follower, leader).0 / 2);
        let source = &mut self.brokers[leader.index()];
        let mut read_at = now;
        if from_disk > 0 {
            read_at = source.disk.read(now, from_disk);
            source.cache.fill(now, from_disk);
        }
        let handled = self.config.hardware.request_time
            + self.config.hardware.fetch_time_per_partition.times(partitions);
        let sent_at = source.network_out.pass(read_at, bytes) + handled + half;
        let target = &mut self.brokers[follower.index()];
        // The bytes come in while they are sent; several leaders share the way in.
        let received_at = target.network_in.pass(now, bytes).max(sent_at);
        let waits = target.disk.write(received_at, bytes);
        target.cache.fill(now, bytes);
        let appended_at = received_at + waits;
        (appended_at, appended_at + half)
    }

    /// Laggards at the front get data up to the caps.
    fn serve_laggards(&mut self, index: usize) -> Served {
        let most = self.config.settings.replica_fetch_max_bytes;
        let response_most = self.config.settings.replica_fetch_response_max_bytes;
        let fetch_loop = &mut self.loops[index];
        let cache = &self.brokers[fetch_loop.leader.index()].cache;
        let mut all = Served::default();
        let mut served = 0;
        for laggard in &mut fetch_loop.laggards {
            if all.bytes >= response_most {
                break;
            }
            let log = &self.partitions[laggard.partition.index()].log;
            let (until, read) = log.read(laggard.end, most.min(response_most - all.bytes));
            // One that is level has a turn, too: it goes back to the mark with this fetch.
            let has_a_turn = until > laggard.end || laggard.told != Some(laggard.end);
            all.partitions += u64::from(has_a_turn);
            all.bytes += read;
            if !cache.holds(log.written_at(laggard.end)) {
                all.from_disk += read;
            }
            laggard.reading = until;
            served += 1;
        }
        fetch_loop.served = served;
        all
    }

    /// Every partition of the loop with unfetched data becomes a laggard.
    fn part_laggards(&mut self, index: usize) {
        let reading = self.loops[index].reading;
        self.part(index, |of| of.last_stamp > reading);
    }

    /// Partitions of the loop become laggards if `wanted`.
    fn part(&mut self, index: usize, wanted: impl Fn(&Partition) -> bool) {
        let (follower, leader) = (self.loops[index].follower, self.loops[index].leader);
        let reading = self.loops[index].reading;
        for number in 0..self.partitions.len() {
            let of = &self.partitions[number];
            let concerned = of.leader == Some(leader)
                && wanted(of)
                && of.replicas.contains(&follower)
                && !of.off.has(follower)
                && self.loop_of(follower, leader, of.fetcher) == index;
            if concerned {
                let end = of.log.end_at(reading);
                let id = PartitionId(u32::try_from(number).expect("fewer than 2^32"));
                let told = of.log.end_at(self.loops[index].told.min(reading));
                self.lag(index, id, end, Some(told));
            }
        }
        let fetch_loop = &mut self.loops[index];
        fetch_loop.fresh_bytes = 0;
        fetch_loop.fresh_partitions = 0;
        fetch_loop.fresh_largest = 0;
        let served = fetch_loop.served;
        fetch_loop.laggards.make_contiguous()[served..].sort_by_key(|laggard| laggard.turn);
    }

    /// A partition gets a progress of its own in a loop.
    pub(super) fn lag(
        &mut self,
        index: usize,
        partition: PartitionId,
        end: u64,
        told: Option<u64>,
    ) {
        let fetch_loop = &mut self.loops[index];
        let of = &mut self.partitions[partition.index()];
        of.off = of.off.with(fetch_loop.follower);
        let place = of.replicas.iter().position(|&it| it == fetch_loop.follower);
        fetch_loop.laggards.push_back(Laggard {
            partition,
            end,
            told,
            reading: end,
            turn: place.map_or(0, |place| of.turns[place]),
            caught_up_at: fetch_loop.caught_up_at,
            fetched_at: fetch_loop.fetched_at,
            leader_end_at_fetch: end,
        });
    }

    /// The next fetch of a loop arrives at its leader: what the last one brought is appended, and
    /// the leader learns of it.
    pub(super) fn on_fetch(&mut self, number: u32, generation: u32, at: &mut At<'_, '_>) {
        let index = number as usize;
        if self.loops[index].generation != generation {
            return;
        }
        let now = at.ctx.now;
        self.append_fetched(index);
        let leader = self.loops[index].leader;
        let leader_stamp = self.brokers[leader.index()].stamp;
        let fetch_loop = &mut self.loops[index];
        fetch_loop.told = fetch_loop.mark;
        if fetch_loop.mark >= leader_stamp {
            fetch_loop.caught_up_at = now;
        } else if fetch_loop.mark >= fetch_loop.stamp_at_fetch {
            fetch_loop.caught_up_at = fetch_loop.fetched_at;
        }
        fetch_loop.fetched_at = now;
        fetch_loop.stamp_at_fetch = leader_stamp;
        self.tell_laggards(index, now);
        self.advance(index, at);
        self.propose_outsiders(index, at);
        self.begin_fetch(index, at);
    }

    /// The follower has what the fetch under way brought.
    fn append_fetched(&mut self, index: usize) {
        let fetch_loop = &mut self.loops[index];
        fetch_loop.mark = fetch_loop.reading;
        for laggard in fetch_loop.laggards.iter_mut().take(fetch_loop.served) {
            laggard.end = laggard.reading;
        }
    }

    /// The leader learns where laggards are; those that are level go back to the mark, the others
    /// that got data to the end of the line.
    fn tell_laggards(&mut self, index: usize, now: SimTime) {
        let fetch_loop = &mut self.loops[index];
        let served = std::mem::take(&mut fetch_loop.served);
        let rest = fetch_loop.laggards.split_off(served);
        for mut laggard in std::mem::replace(&mut fetch_loop.laggards, rest) {
            let of = &mut self.partitions[laggard.partition.index()];
            laggard.told = Some(laggard.end);
            if laggard.end >= of.log.end() {
                laggard.caught_up_at = now;
            } else if laggard.end >= laggard.leader_end_at_fetch {
                laggard.caught_up_at = laggard.fetched_at;
            }
            laggard.fetched_at = now;
            laggard.turn = fetch_loop.turn;
            laggard.leader_end_at_fetch = of.log.end();
            if laggard.end >= of.log.end() {
                of.off = of.off.without(fetch_loop.follower);
                if let Some(place) = of.replicas.iter().position(|&it| it == fetch_loop.follower) {
                    of.turns[place] = laggard.turn;
                }
            } else {
                fetch_loop.laggards.push_back(laggard);
            }
        }
    }

    /// What a replica has of a partition: its LEO.
    pub(super) fn end_on(&self, partition: PartitionId, broker: BrokerId) -> u64 {
        let of = &self.partitions[partition.index()];
        let Some(leader) = of.leader else {
            let place = of.replicas.iter().position(|&replica| replica == broker);
            return place.and_then(|place| of.ends.get(place)).copied().unwrap_or(0);
        };
        if leader == broker {
            return of.log.end();
        }
        let fetch_loop = &self.loops[self.loop_of(broker, leader, of.fetcher)];
        if of.off.has(broker) {
            return fetch_loop.laggard(partition).map_or(0, |laggard| laggard.end);
        }
        of.log.end_at(fetch_loop.mark)
    }

    /// A loop's progress is known anew: the watermarks that waited for it rise.
    ///
    /// A watermark stands at the least of its followers, and moves only when that one does. So a
    /// partition waits in the list of one loop at a time, and others' fetches cost it nothing.
    fn advance(&mut self, index: usize, at: &mut At<'_, '_>) {
        let mut waiting = std::mem::take(&mut self.loops[index].waiting);
        waiting.retain(|&partition| {
            if self.partitions[partition.index()].watched != Some(index) {
                return false;
            }
            self.commit(partition, at);
            let next = self.least_follower(partition);
            self.partitions[partition.index()].watched = next;
            match next {
                Some(other) if other != index => {
                    self.loops[other].waiting.push(partition);
                    false
                }
                Some(_) => true,
                None => false,
            }
        });
        waiting.append(&mut self.loops[index].waiting);
        self.loops[index].waiting = waiting;
        self.after_commits(at);
    }

    /// A partition may hold something above its watermark: it waits for its least follower.
    pub(super) fn watch_watermark(&mut self, partition: PartitionId) {
        if self.partitions[partition.index()].watched.is_some() {
            return;
        }
        let least = self.least_follower(partition);
        self.partitions[partition.index()].watched = least;
        if let Some(index) = least {
            self.loops[index].waiting.push(partition);
        }
    }

    /// The loop of the follower that is known to have the least of what is above the watermark.
    fn least_follower(&self, partition: PartitionId) -> Option<usize> {
        let of = &self.partitions[partition.index()];
        let leader = of.leader?;
        if of.log.is_committed() {
            return None;
        }
        let followers = of.maximal_isr().without(leader);
        let known = |follower: BrokerId| {
            let index = self.loop_of(follower, leader, of.fetcher);
            let told = self.loops[index].told;
            let least = match (of.off.is_empty(), of.off.has(follower)) {
                // All on the mark: their marks compare.
                (true, _) => told,
                (false, false) => of.log.end_at(told),
                (false, true) => {
                    let laggard = self.loops[index].laggard(partition);
                    laggard.and_then(|laggard| laggard.told).unwrap_or(0)
                }
            };
            (least, index)
        };
        followers.iter().map(known).min().map(|(_, index)| index)
    }

    /// Raises one partition's high watermark as far as it may go (K-HW-1, K-HW-2, K-ISR-8).
    pub(super) fn commit(&mut self, partition: PartitionId, at: &mut At<'_, '_>) {
        let of = &self.partitions[partition.index()];
        let Some(leader) = of.leader else { return };
        if self.is_frozen(partition) || self.brokers[leader.index()].process == Process::Dead {
            return;
        }
        let (mut stamp, mut bound) = (u64::MAX, u64::MAX);
        let needed = of.maximal_isr().union(self.joining(partition, leader, at.ctx.now));
        for follower in needed.without(leader).iter() {
            let fetch_loop = &self.loops[self.loop_of(follower, leader, of.fetcher)];
            if of.off.has(follower) {
                let told = fetch_loop.laggard(partition).and_then(|laggard| laggard.told);
                bound = bound.min(told.unwrap_or(0));
            } else {
                stamp = stamp.min(fetch_loop.told);
            }
        }
        let now = at.ctx.now;
        let log = &mut self.partitions[partition.index()].log;
        let before = log.high_watermark();
        log.commit(stamp, bound, now);
        if log.high_watermark() > before {
            self.settle_waiting(partition);
            self.became_visible(partition);
        }
    }

    /// Followers out of the ISR that may join it and count as caught up: the watermark waits for
    /// them, or else they would chase a leader that appends all the time for ever (K-HW-1).
    fn joining(&self, partition: PartitionId, leader: BrokerId, now: SimTime) -> BrokerSet {
        let of = &self.partitions[partition.index()];
        let isr = of.maximal_isr();
        if isr.len() as usize == of.replicas.len() {
            return BrokerSet::EMPTY;
        }
        let most = self.config.settings.replica_lag_time_max;
        let outside = of.replicas.iter().copied().filter(|&it| it != leader && !isr.has(it));
        let caught_up = |&follower: &BrokerId| {
            let fetch_loop = &self.loops[self.loop_of(follower, leader, of.fetcher)];
            let since = if of.off.has(follower) {
                fetch_loop.laggard(partition).map_or(SimTime::ZERO, |it| it.caught_up_at)
            } else {
                fetch_loop.caught_up(now)
            };
            now.since(since) <= most && self.controller.is_live(follower)
        };
        outside.filter(caught_up).collect()
    }

    /// Whether the watermark stands still because too few replicas are in sync.
    pub(super) fn is_frozen(&self, partition: PartitionId) -> bool {
        let of = &self.partitions[partition.index()];
        self.freezes_below_min_isr() && of.isr.len() < self.min_isr(partition)
    }

    /// Connects, or disconnects, every loop of a broker as things are now.
    pub(super) fn relink(&mut self, concerned: BrokerSet, at: &mut At<'_, '_>) {
        let now = at.ctx.now;
        let places = self.loops_between(|it| {
            it.follower != it.leader && (concerned.has(it.follower) || concerned.has(it.leader))
        });
        for index in places {
            let (follower, leader) = (self.loops[index].follower, self.loops[index].leader);
            let in_touch = self.in_touch(follower, leader);
            let down = self.loops[index].state == LoopState::Down;
            if in_touch && down {
                self.resume_loop(index, at);
            } else if !in_touch && !down {
                self.stop_loop(index, now);
            }
        }
    }

    /// Nothing passes any more. What the follower had not appended yet never comes.
    fn stop_loop(&mut self, index: usize, now: SimTime) {
        let fetch_loop = &mut self.loops[index];
        match fetch_loop.state {
            LoopState::UnderWay { appended_at } if appended_at <= now => {
                self.append_fetched(index);
            }
            LoopState::Parked => {
                fetch_loop.caught_up_at = now;
                fetch_loop.fetched_at = now;
            }
            LoopState::UnderWay { .. } | LoopState::Down => {}
        }
        let fetch_loop = &mut self.loops[index];
        fetch_loop.served = 0;
        fetch_loop.reading = fetch_loop.mark;
        fetch_loop.state = LoopState::Down;
        fetch_loop.generation += 1;
        // From here on the leader goes on alone: what each partition has is kept with it.
        self.part(index, |_| true);
    }

    /// They reach each other again: the first fetch says where everything is.
    fn resume_loop(&mut self, index: usize, at: &mut At<'_, '_>) {
        let generation = self.loops[index].generation + 1;
        let fetch_loop = &mut self.loops[index];
        fetch_loop.generation = generation;
        let (follower, leader) = (fetch_loop.follower, fetch_loop.leader);
        fetch_loop.state = LoopState::UnderWay { appended_at: at.ctx.now };
        fetch_loop.reading = self.brokers[leader.index()].stamp;
        for laggard in &mut fetch_loop.laggards {
            laggard.told = None;
        }
        let first = at.ctx.now + self.rtt(follower, leader);
        at.ctx.at(first, Event::Fetch(number_of(index), generation));
    }

    /// A partition leaves all loops from a leader that it no longer has.
    pub(super) fn leave_loops(&mut self, partition: PartitionId, leader: BrokerId) {
        let of = &mut self.partitions[partition.index()];
        of.off = BrokerSet::EMPTY;
        of.last_stamp = 0;
        of.unread.fill(0);
        of.turns.fill(0);
        let (replicas, fetcher) = (of.replicas.clone(), of.fetcher);
        for follower in replicas {
            let index = self.loop_of(follower, leader, fetcher);
            self.loops[index].forget(partition);
        }
    }

    /// A loop has something that it did not have when its fetch was parked.
    pub(super) fn wake(&mut self, index: usize, at: &mut At<'_, '_>) {
        if self.loops[index].state == LoopState::Parked {
            self.begin_fetch(index, at);
        }
    }
}

fn number_of(index: usize) -> u32 {
    u32::try_from(index).expect("fewer than 2^32 loops")
}

#[cfg(test)]
mod tests;
