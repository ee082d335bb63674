//! The Java producer of one client process: accumulator, sender, metadata.
//!
//! | Mechanism                                                              | Fact    |
//! |------------------------------------------------------------------------|---------|
//! | a batch is sent when full, followed, old enough, or room is wanted      | K-PRD-1 |
//! | requests in flight, back-off, delivery and request timeouts             | K-PRD-2, K-PRD-3 |
//! | a full buffer blocks the application, at most max.block.ms              | K-PRD-1, K-ACK-6 |
//! | metadata by age and after errors; some errors name the new leader       | K-PRD-4, K-ACK-5 |
//! | during retries only the lowest sequence drains                          | K-IDM-3 |
//! | keyless records stick to a partition for a batch                        | K-PRT-2 |
//! | more partitions are known only after a refresh                          | K-PRT-3 |
//!
//! Simplifications: a clump of the workload is one part and is not cut, so a batch holds at least
//! one part; a request takes one batch of a partition, as the real one does. Blocked applications
//! hand over clump by clump, and each clump waits max.block.ms by itself. When several processes
//! are one flow, they share one connection with that many times the limits. The sticky choice
//! weighs partitions by their queues as they were when the clump came.

use std::collections::{BTreeSet, VecDeque};

use crate::config::kafka::KafkaProducerConfig;
use crate::engine::{RngStream, SimDuration, SimTime};
use crate::flow::{Batch, FlowId, NO_PARTITION};
use crate::metrics::latency::Latency;

use super::detour::Detour;
use super::metadata::{BrokerId, PartitionId};
use super::request::{Head, Item, Refusal};

/// The client of one flow.
#[derive(Clone)]
pub(crate) struct Producer {
    pub(crate) flow: FlowId,
    /// Index in the ledger.
    pub(crate) producer: usize,
    /// Index of its topic within the cluster.
    pub(crate) topic: usize,
    pub(crate) config: KafkaProducerConfig,
    /// How many processes it stands for.
    pub(crate) processes: u32,
    /// The topic's partitions, as far as it knows.
    pub(crate) partitions: Vec<PartitionId>,
    pub(crate) queues: Vec<Queue>,
    pub(crate) connections: Vec<Connection>,
    /// Bytes queued and in flight.
    pub(crate) buffered: u64,
    /// What the application waits to hand over.
    pub(crate) blocked: VecDeque<Batch>,
    /// Batches given up of which a copy is stored: (partition number, serial).
    pub(crate) given_up: BTreeSet<(u32, u32)>,
    /// A metadata request is under way or planned.
    pub(crate) asked: bool,
    pub(crate) refreshed_at: SimTime,
    /// When its metadata is as old as it may get for the first time (D-28).
    pub(crate) metadata_phase: SimDuration,
    /// Metadata requests in a row after which something was still missing.
    pub(crate) refresh_failures: u32,
    /// When the sender is woken next.
    pub(crate) wakes_at: SimTime,
    /// When timeouts are looked at next; `SimTime::MAX`: nothing may time out.
    pub(crate) watched_at: SimTime,
    pub(crate) latency: Latency,
    pub(crate) rng: RngStream,
    /// The partition that sticks, and the bytes that it has taken.
    sticky: Option<(u32, u32)>,
    /// Bytes of a request at most: max.request.size, or on a grid whatever one clump brings, which
    /// stands for several requests.
    max_request: u32,
    /// Scratch: how a clump falls on partitions.
    dealt: Vec<(u32, u32)>,
    weights: Vec<u64>,
    next_serial: u32,
}

/// The batches of one partition that wait to be sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Queue {
    pub(crate) heads: VecDeque<Head>,
    pub(crate) parts: VecDeque<Batch>,
    /// Who leads it, as far as the client knows.
    pub(crate) leader: Option<BrokerId>,
    pub(crate) in_flight: u32,
    /// The lowest serial in flight, or one below it.
    lowest_in_flight: u32,
    /// A batch is in flight not for the first time.
    retrying: bool,
    /// It is in its connection's list.
    pub(crate) listed: bool,
    /// It could not be sent for want of a leader: from, until.
    outage: Option<(SimTime, SimTime)>,
}

/// A connection to a broker.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    /// Requests without an answer, oldest first: (number, generation).
    pub(crate) in_flight: VecDeque<(u32, u32)>,
    /// Requests that the broker has received and not yet read.
    pub(crate) arrived: VecDeque<(u32, u32)>,
    /// The request that the broker works on.
    pub(crate) processing: Option<u32>,
    /// Numbers of partitions with something to send.
    pub(crate) ready: VecDeque<u32>,
    /// When its timeouts are looked at next; `SimTime::MAX`: never.
    pub(crate) checked_at: SimTime,
    /// No attempt to connect before this instant.
    pub(crate) retry_at: SimTime,
    /// Attempts to connect that failed in a row.
    pub(crate) failures: u32,
    /// Since when it cannot be used.
    pub(crate) down_since: Option<SimTime>,
}

impl Connection {
    pub(crate) fn new() -> Self {
        Self {
            in_flight: VecDeque::new(),
            arrived: VecDeque::new(),
            processing: None,
            ready: VecDeque::new(),
            checked_at: SimTime::MAX,
            retry_at: SimTime::ZERO,
            failures: 0,
            down_since: None,
        }
    }
}

impl Queue {
    /// From now on it has no leader to send to.
    pub(crate) fn begin_outage(&mut self, since: SimTime) {
        if self.outage.is_none_or(|(_, until)| until != SimTime::MAX) {
            self.outage = Some((since, SimTime::MAX));
        }
    }

    /// Puts a batch that failed back (K-IDM-3: in order, if the client keeps order).
    fn put_back(&mut self, head: Head, parts: &[Batch], ordered: bool) {
        let place = if ordered {
            self.heads.iter().take_while(|other| other.serial < head.serial).count()
        } else {
            0
        };
        let before: u32 = self.heads.iter().take(place).map(|head| head.parts).sum();
        let mut tail = self.parts.split_off(before as usize);
        self.parts.extend(parts);
        self.parts.append(&mut tail);
        self.heads.insert(place, head);
    }
}

impl Producer {
    #[expect(clippy::too_many_arguments, reason = "made in one place")]
    pub(crate) fn new(
        flow: FlowId,
        producer: usize,
        topic: usize,
        config: &KafkaProducerConfig,
        processes: u32,
        on_grid: bool,
        partitions: &[PartitionId],
        brokers: usize,
        rng: RngStream,
    ) -> Self {
        Self {
            flow,
            producer,
            topic,
            config: config.clone(),
            processes,
            partitions: partitions.to_vec(),
            queues: vec![Queue::default(); partitions.len()],
            connections: vec![Connection::new(); brokers],
            buffered: 0,
            blocked: VecDeque::new(),
            given_up: BTreeSet::new(),
            asked: false,
            refreshed_at: SimTime::ZERO,
            metadata_phase: SimDuration::ZERO,
            refresh_failures: 0,
            wakes_at: SimTime::MAX,
            watched_at: SimTime::MAX,
            latency: Latency::default(),
            rng,
            sticky: None,
            max_request: if on_grid { u32::MAX } else { config.max_request_size },
            dealt: Vec::new(),
            weights: Vec::new(),
            next_serial: 0,
        }
    }

    /// The application hands over records; what does not fit waits with it. Returns whether it
    /// waits.
    pub(crate) fn offer(&mut self, batches: &mut Vec<Batch>, now: SimTime) -> bool {
        self.weigh_queues();
        let blocks = !self.blocked.is_empty() || self.is_full();
        for batch in batches.drain(..) {
            if blocks {
                self.blocked.push_back(batch);
            } else {
                self.accumulate(batch, now);
            }
        }
        blocks
    }

    /// Whether the application must wait. What comes at one instant comes as a whole: a clump of
    /// the workload stands for records that come one after the other.
    fn is_full(&self) -> bool {
        self.buffered >= self.config.buffer_memory * u64::from(self.processes)
    }

    /// Room has come: the application goes on.
    pub(crate) fn unblock(&mut self, now: SimTime) {
        while !self.is_full() {
            let Some(mut batch) = self.blocked.pop_front() else { break };
            batch.backlog_ns += now.since(batch.offered_at).0;
            self.accumulate(batch, now);
        }
    }

    /// A clump goes to the accumulator; one without a key is dealt by the sticky partitioner.
    fn accumulate(&mut self, mut batch: Batch, now: SimTime) {
        self.buffered += u64::from(batch.bytes);
        if batch.partition != NO_PARTITION {
            self.add(batch.partition, batch, now);
            return;
        }
        let each = (batch.bytes / batch.count).max(1);
        let mut left = batch.count;
        while left > 0 {
            let (number, taken) = match self.sticky {
                Some((number, taken)) if taken < self.config.batch_size => (number, taken),
                _ => (self.choose(), 0),
            };
            let room = (self.config.batch_size - taken).div_ceil(each).clamp(1, left);
            left -= room;
            self.sticky = Some((number, taken.saturating_add(room.saturating_mul(each))));
            self.dealt.push((number, room));
        }
        // What one clump brings a partition is one part, however often it was chosen.
        let mut dealt = std::mem::take(&mut self.dealt);
        if dealt.len() > 1 {
            dealt.sort_unstable_by_key(|(number, _)| *number);
            dealt.dedup_by(|next, kept| {
                let same = next.0 == kept.0;
                kept.1 += if same { next.1 } else { 0 };
                same
            });
        }
        for (number, records) in dealt.drain(..) {
            let mut part = if records == batch.count { batch } else { batch.split_front(records) };
            part.partition = number;
            self.add(number, part, now);
        }
        self.dealt = dealt;
    }

    /// How likely each partition is to be chosen next, by its queue (K-PRT-2).
    fn weigh_queues(&mut self) {
        self.weights.clear();
        let longest = self.queues.iter().map(|queue| queue.heads.len()).max().unwrap_or(0);
        let leaderless = self.queues.iter().any(|queue| queue.leader.is_none());
        if longest == 0 && !leaderless {
            return;
        }
        let mut sum = 0;
        for queue in &self.queues {
            let weight = if queue.leader.is_some() { longest + 1 - queue.heads.len() } else { 0 };
            sum += weight as u64;
            self.weights.push(sum);
        }
    }

    fn choose(&mut self) -> u32 {
        let all = self.queues.len() as u64;
        let total = self.weights.last().copied().unwrap_or(0);
        let chosen = if total == 0 {
            self.rng.below(all)
        } else {
            let ticket = self.rng.below(total);
            self.weights.partition_point(|&upto| upto <= ticket) as u64
        };
        u32::try_from(chosen).expect("fewer than 2^32 partitions")
    }

    fn add(&mut self, number: u32, batch: Batch, now: SimTime) {
        let queue = &mut self.queues[number as usize];
        match queue.heads.back_mut() {
            Some(open)
                if open.failures == 0
                    && open.bytes.saturating_add(batch.bytes) <= self.config.batch_size =>
            {
                open.parts += 1;
                open.records += batch.count;
                open.bytes += batch.bytes;
            }
            _ => {
                self.next_serial += 1;
                queue.heads.push_back(Head {
                    serial: self.next_serial,
                    parts: 1,
                    records: batch.count,
                    bytes: batch.bytes,
                    created_at: now,
                    first_sent_at: SimTime::MAX,
                    launched_at: SimTime::ZERO,
                    retry_at: SimTime::ZERO,
                    failures: 0,
                    failed: None,
                    detour: Detour::default(),
                    stored: false,
                });
            }
        }
        queue.parts.push_back(batch);
        if !queue.listed
            && let Some(leader) = queue.leader
        {
            queue.listed = true;
            self.connections[leader.index()].ready.push_back(number);
        }
    }

    /// When the first batch of a partition may be sent: now or later; `None`: not before something
    /// else happens.
    fn sendable_at(&self, number: u32) -> Option<SimTime> {
        let queue = &self.queues[number as usize];
        let head = queue.heads.front()?;
        if self.config.idempotence && queue.in_flight > 0 {
            // During retries only the lowest sequence drains.
            let lowest = head.serial < queue.lowest_in_flight;
            if queue.retrying || head.failures > 0 && !lowest {
                return None;
            }
        }
        if head.failures > 0 {
            return Some(head.retry_at);
        }
        let full = head.bytes >= self.config.batch_size || queue.heads.len() > 1;
        let wanted = full || !self.blocked.is_empty();
        Some(if wanted { SimTime::ZERO } else { head.created_at + self.config.linger })
    }

    /// Takes what one request to a broker may carry now; returns when more may be sent.
    pub(crate) fn drain(
        &mut self,
        broker: BrokerId,
        now: SimTime,
        items: &mut Vec<Item>,
        parts: &mut Vec<Batch>,
    ) -> SimTime {
        let mut later = SimTime::MAX;
        let mut bytes = 0_u32;
        let turns = self.connections[broker.index()].ready.len();
        for _ in 0..turns {
            let Some(number) = self.connections[broker.index()].ready.pop_front() else { break };
            match self.sendable_at(number) {
                Some(at) if at <= now => {
                    let size = self.queues[number as usize].heads[0].bytes;
                    if !items.is_empty() && bytes.saturating_add(size) > self.max_request {
                        self.connections[broker.index()].ready.push_front(number);
                        return now;
                    }
                    bytes = bytes.saturating_add(size);
                    self.take_batch(number, now, items, parts);
                }
                Some(at) => later = later.min(at),
                None => {}
            }
            let queue = &mut self.queues[number as usize];
            queue.listed = !queue.heads.is_empty();
            if queue.listed {
                self.connections[broker.index()].ready.push_back(number);
            }
        }
        // A second batch of a partition goes with the next request.
        if items.is_empty() { later } else { now }
    }

    fn take_batch(
        &mut self,
        number: u32,
        now: SimTime,
        items: &mut Vec<Item>,
        parts: &mut Vec<Batch>,
    ) {
        let queue = &mut self.queues[number as usize];
        let Some(mut head) = queue.heads.pop_front() else { return };
        head.note_launch(now, self.config.linger, queue.outage);
        if let Some((_, until @ SimTime::MAX)) = &mut queue.outage {
            *until = now;
        }
        if queue.in_flight == 0 {
            queue.lowest_in_flight = head.serial;
        }
        queue.in_flight += 1;
        queue.retrying = head.failures > 0;
        parts.extend(queue.parts.drain(..head.parts as usize));
        items.push(Item {
            partition: self.partitions[number as usize],
            head,
            outcome: None,
            waits: false,
            expired: false,
        });
    }

    /// A batch has its answer, or none will come: it is in flight no longer.
    pub(crate) fn landed(&mut self, number: u32) {
        let queue = &mut self.queues[number as usize];
        queue.in_flight -= 1;
        queue.retrying &= queue.in_flight > 0;
    }

    /// A batch failed and is to be sent again.
    pub(crate) fn retry(
        &mut self,
        number: u32,
        mut head: Head,
        parts: &[Batch],
        refusal: Refusal,
        now: SimTime,
    ) {
        let delay = self.backoff(head.failures);
        head.failures += 1;
        head.failed = Some((refusal, head.launched_at));
        head.retry_at = now + delay;
        let ordered = self.config.idempotence;
        self.queues[number as usize].put_back(head, parts, ordered);
        self.list(number);
    }

    /// 100 * 2^n ms up to the ceiling, plus or minus a fifth where it grows (K-PRD-2).
    fn backoff(&mut self, failures: u32) -> SimDuration {
        let (base, most) = (self.config.retry_backoff.0, self.config.retry_backoff_max.0);
        if most <= base {
            return SimDuration(base);
        }
        let plain = base.saturating_mul(1 << failures.min(20)).min(most);
        let jitter = self.rng.below((plain / 5 * 2).max(1));
        SimDuration(plain - plain / 5 + jitter)
    }

    /// Puts a partition with something to send into its connection's list.
    pub(crate) fn list(&mut self, number: u32) {
        let queue = &mut self.queues[number as usize];
        if !queue.listed
            && !queue.heads.is_empty()
            && let Some(leader) = queue.leader
        {
            queue.listed = true;
            self.connections[leader.index()].ready.push_back(number);
        }
    }

    /// Whether a batch before this one is with the client and not stored.
    pub(crate) fn misses_one_before(&self, number: u32, serial: u32) -> bool {
        let Some(queue) = self.queues.get(number as usize) else { return false };
        let mut heads = queue.heads.iter().take_while(|head| head.serial < serial);
        heads.any(|head| head.failures > 0 && !head.stored)
    }

    /// Whether more than one batch of a partition is on its way.
    pub(crate) fn has_several_in_flight(&self, number: u32) -> bool {
        self.queues.get(number as usize).is_some_and(|queue| queue.in_flight > 1)
    }

    /// The metadata says who leads which partition.
    pub(crate) fn learn(
        &mut self,
        leaders: impl Iterator<Item = (PartitionId, Option<BrokerId>)>,
        now: SimTime,
    ) {
        for (number, (partition, leader)) in leaders.enumerate() {
            if number == self.partitions.len() {
                self.partitions.push(partition);
                self.queues.push(Queue::default());
            }
            let queue = &mut self.queues[number];
            if queue.leader != leader {
                let since = queue.leader.and_then(|old| self.connections[old.index()].down_since);
                if let Some(since) = since.or(leader.is_none().then_some(now)) {
                    queue.begin_outage(since);
                }
                queue.leader = leader;
                queue.listed = false;
            }
        }
        for connection in &mut self.connections {
            connection.ready.clear();
        }
        for number in (0..).take(self.queues.len()) {
            self.queues[number as usize].listed = false;
            self.list(number);
        }
    }

    /// One partition's leader, as an error reply names it (K-PRD-4).
    pub(crate) fn learn_one(&mut self, number: u32, leader: Option<BrokerId>) {
        let queue = &mut self.queues[number as usize];
        if queue.leader != leader && leader.is_some() {
            if let Some(old) = queue.leader {
                self.connections[old.index()].ready.retain(|&other| other != number);
            }
            queue.leader = leader;
            queue.listed = false;
            self.list(number);
        }
    }

    /// Whether something waits for a leader that it does not know.
    pub(crate) fn wants_leaders(&self) -> bool {
        self.leaderless().next().is_some()
    }

    /// Numbers of partitions with something that waits for a leader that it does not know.
    pub(crate) fn leaderless(&self) -> impl Iterator<Item = u32> {
        let waits = |queue: &Queue| !queue.heads.is_empty() && queue.leader.is_none();
        (0..).zip(&self.queues).filter(move |(_, queue)| waits(queue)).map(|(number, _)| number)
    }

    /// The instant at which the oldest batch that is queued here expires.
    pub(crate) fn next_expiry(&self) -> SimTime {
        let queued = self.queues.iter().filter_map(|queue| queue.heads.front());
        let oldest = queued.map(|head| head.created_at + self.config.delivery_timeout).min();
        let blocked = self.blocked.front().map(|batch| batch.offered_at + self.config.max_block);
        oldest.unwrap_or(SimTime::MAX).min(blocked.unwrap_or(SimTime::MAX))
    }

    /// Takes every queued batch that has expired.
    pub(crate) fn expire(&mut self, now: SimTime, mut each: impl FnMut(u32, &Head)) {
        let timeout = self.config.delivery_timeout;
        for (number, queue) in (0..).zip(&mut self.queues) {
            while let Some(&head) =
                queue.heads.front().filter(|head| head.created_at + timeout <= now)
            {
                queue.heads.pop_front();
                queue.parts.drain(..head.parts as usize);
                self.buffered -= u64::from(head.bytes);
                if head.stored {
                    self.given_up.insert((number, head.serial));
                }
                each(number, &head);
            }
        }
    }

    /// Takes what the application could not hand over within max.block.ms: its records.
    pub(crate) fn expire_blocked(&mut self, now: SimTime) -> u64 {
        let mut refused = 0;
        while let Some(first) = self.blocked.front() {
            if first.offered_at + self.config.max_block > now {
                break;
            }
            refused += u64::from(first.count);
            self.blocked.pop_front();
        }
        refused
    }

    /// Records that the client holds and that are not stored, but for those in requests.
    pub(crate) fn held(&self) -> u64 {
        let blocked: u64 = self.blocked.iter().map(|batch| u64::from(batch.count)).sum();
        let heads = self.queues.iter().flat_map(|queue| &queue.heads);
        let queued: u64 =
            heads.filter(|head| !head.stored).map(|head| u64::from(head.records)).sum();
        blocked + queued
    }
}

impl Head {
    /// It is sent: what it has waited for, beyond its own linger, goes to the books (D-19).
    fn note_launch(
        &mut self,
        now: SimTime,
        linger: SimDuration,
        outage: Option<(SimTime, SimTime)>,
    ) {
        if let Some((refusal, since)) = self.failed.take() {
            // An error's attempt and the back-off after it belong together.
            let waited = now.since(since).0;
            match refusal {
                Refusal::NotLeader | Refusal::Disconnected | Refusal::OutOfOrder => {
                    self.detour.unavailable_ns += waited;
                }
                Refusal::NotEnoughReplicas
                | Refusal::NotEnoughReplicasAfterAppend
                | Refusal::TimedOut => self.detour.replicas_ns += waited,
            }
        } else {
            let due = (self.created_at + linger).min(now);
            let unavailable =
                outage.map_or(0, |(from, until)| until.min(now).since(from.max(due)).0);
            self.detour.unavailable_ns += unavailable;
            self.detour.backlog_ns += now.since(due).0 - unavailable;
        }
        if self.first_sent_at == SimTime::MAX {
            self.first_sent_at = now;
        }
        self.launched_at = now;
    }
}
