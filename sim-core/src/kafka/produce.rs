//! Producing, on the broker's side: requests arrive, are judged partition by partition, appended,
//! and answered at once or when the watermark has come.
//!
//! | Mechanism                                                             | Fact    |
//! |-----------------------------------------------------------------------|---------|
//! | acks 0, 1, all; too small an ISR refuses before the append             | K-ACK-1 |
//! | what ends the wait for the watermark                                   | K-ACK-2, K-ACK-3 |
//! | one request at a time from a connection                                | K-ACK-2 |
//! | repeats are recognised, gaps refused, while the client is idempotent    | K-IDM-1, K-IDM-3 |
//! | what a leader change leaves of acknowledged records                    | K-DL-1 to K-DL-3 |
//!
//! Simplifications: that a repeat is recognised is taken from the truth (a live copy is in the
//! log), not from the last five batches of a producer; a repeat older than those would be refused.
//! A repeat waits for the end of the log as it is then, a little more than its own offset.
//! A request that its client has given up on vanishes, also where a frozen broker might still read
//! it from its socket. An isolated leader takes no more writes once another one is elected
//! (K-DL-6); acks 0 and 1 would lose what it took in the seconds until it learns.

use crate::config::kafka::{Acks, KafkaProducerConfig, KafkaVersion};
use crate::engine::{SimDuration, Slab};
use crate::flow::{Batch, FlowId};
use crate::ledger::{Records, Seen};

use super::broker::Process;
use super::log::Arrival;
use super::metadata::{BrokerId, PartitionId};
use super::request::{Head, Refusal, Request, Waiter};
use super::{At, Cluster, Event};

impl Cluster {
    /// A produce request has come to its broker.
    pub(super) fn on_arrive(&mut self, id: u32, generation: u32, at: &mut At<'_, '_>) {
        let Some(request) = self.requests.get_mut(id).filter(|it| it.generation == generation)
        else {
            return;
        };
        let (flow, broker) = (request.flow, request.broker);
        if request.received {
            return;
        }
        request.received = true;
        match self.brokers[broker.index()].process {
            Process::Dead | Process::Starting => {
                self.disconnect(flow, broker, at);
                return;
            }
            Process::Frozen | Process::Running => {}
        }
        let connection = self.connection_mut(flow, broker);
        connection.arrived.push_back((id, generation));
        self.read_connection(flow, broker, at);
    }

    /// The broker takes the next request of a connection, if it has answered the one before.
    pub(super) fn read_connection(&mut self, flow: FlowId, broker: BrokerId, at: &mut At<'_, '_>) {
        while self.brokers[broker.index()].runs() {
            let connection = self.connection_mut(flow, broker);
            if connection.processing.is_some() {
                return;
            }
            let Some((id, generation)) = connection.arrived.pop_front() else { return };
            if self.requests.get(id).is_none_or(|it| it.generation != generation) {
                continue;
            }
            self.connection_mut(flow, broker).processing = Some(id);
            let bytes = self.requests.get(id).map_or(0, |request| request.bytes);
            let host = &mut self.brokers[broker.index()];
            let waits = host.disk.write(at.ctx.now, bytes);
            host.cache.fill(at.ctx.now, bytes);
            if waits > SimDuration::ZERO {
                at.ctx.after(waits, Event::Append(id, generation));
                return;
            }
            self.append_request(id, at);
        }
    }

    /// There is room for what the request brings.
    pub(super) fn on_append(&mut self, id: u32, generation: u32, at: &mut At<'_, '_>) {
        let Some(request) = self.requests.get(id).filter(|it| it.generation == generation) else {
            return;
        };
        let (flow, broker) = (request.flow, request.broker);
        if self.brokers[broker.index()].runs() {
            self.append_request(id, at);
            self.read_connection(flow, broker, at);
        } else {
            // A frozen process goes on with it when it thaws.
            let connection = self.connection_mut(flow, broker);
            connection.processing = None;
            connection.arrived.push_front((id, generation));
        }
    }

    /// Judges and appends a request's batches, and answers it unless it must wait.
    fn append_request(&mut self, id: u32, at: &mut At<'_, '_>) {
        let Some(request) = self.requests.get_mut(id) else { return };
        let broker = request.broker;
        let (mut items, parts) =
            (std::mem::take(&mut request.items), std::mem::take(&mut request.parts));
        let mut waiting = 0;
        let cache_step = self.brokers[broker.index()].cache.last_step();
        let stamp = self.brokers[broker.index()].stamp + 1;
        self.brokers[broker.index()].stamp = stamp;
        let mut first_part = 0;
        let mut appended_bytes = 0;
        let (flow, sent_at, generation) = (request.flow, request.sent_at, request.generation);
        let KafkaProducerConfig { acks, idempotence: idempotent, .. } = self.producer(flow).config;
        for (place, item) in (0..).zip(&mut items) {
            let of_item = first_part..first_part + item.head.parts as usize;
            first_part = of_item.end;
            item.outcome = self.judge(flow, broker, item.partition, &item.head, acks);
            let records = u64::from(item.head.records);
            at.ledger.judge(self.producer(flow).producer, records, 0);
            if item.outcome.is_some() {
                continue;
            }
            if !(item.head.stored && idempotent) {
                if item.expired && !item.head.stored {
                    self.note_regretted(flow, item.partition, &item.head, at);
                }
                let of = &mut self.partitions[item.partition.index()];
                let topic = &self.config.topics[of.topic];
                let serial = item.head.serial;
                let detour = item.head.detour;
                let now = at.ctx.now;
                let arrival = Arrival { stamp, sent_at, now, cache_step, serial, detour };
                for part in &parts[of_item] {
                    let part = Batch { already_stored: item.head.stored, ..*part };
                    of.log.append(&part, &arrival, topic);
                    let batch = Records::batch(flow, of.number, serial);
                    let (partition, run, copy) =
                        (item.partition.0, Records::run(&part), item.head.stored);
                    let in_order = idempotent;
                    at.ledger.saw(|| Seen::Appended { partition, batch, run, in_order, copy });
                }
                appended_bytes += u64::from(item.head.bytes);
                self.note_fresh(item.partition, u64::from(item.head.bytes), stamp);
                self.book_stored(flow, item.partition, item.head.records, item.head.stored, at);
                item.head.stored = true;
                self.watch_watermark(item.partition);
            }
            let of = &mut self.partitions[item.partition.index()];
            if acks == Acks::All {
                let offset = of.log.end();
                if of.log.high_watermark() < offset {
                    item.waits = true;
                    waiting += 1;
                    let waiter = Waiter { offset, request: id, generation, item: place };
                    self.waiters[item.partition.index()].push_back(waiter);
                }
            }
        }
        self.brokers[broker.index()].bytes_in += appended_bytes;
        if let Some(request) = self.requests.get_mut(id) {
            (request.items, request.parts, request.waiting) = (items, parts, waiting);
        }
        // A leader that is alone in sync, and every partition without replicas, commits at once.
        if appended_bytes > 0 {
            self.commit_lonely(id, at);
        }
        self.answer_fetches(at);
        self.park_or_answer((id, generation), waiting > 0, at);
    }

    /// A request that waits for the watermark is parked, any other answered.
    fn park_or_answer(&mut self, (id, generation): (u32, u32), waits: bool, at: &mut At<'_, '_>) {
        // What it waited for may have come at once, and its answer with it.
        let Some(request) = self.requests.get(id).filter(|it| it.generation == generation) else {
            return;
        };
        let (flow, broker, waiting) = (request.flow, request.broker, request.waiting);
        if waiting == 0 {
            if !waits {
                self.answer(id, at);
            }
            return;
        }
        self.watch_connection(flow, broker, at);
    }

    /// Whether a broker takes a batch now.
    fn judge(
        &self,
        flow: FlowId,
        broker: BrokerId,
        partition: PartitionId,
        head: &Head,
        acks: Acks,
    ) -> Option<Refusal> {
        let of = &self.partitions[partition.index()];
        if of.leader != Some(broker) {
            return Some(Refusal::NotLeader);
        }
        if acks == Acks::All && of.isr.len() < self.min_isr(partition) {
            return Some(Refusal::NotEnoughReplicas);
        }
        let producer = self.producer(flow);
        let misses_one = producer.misses_one_before(of.number, head.serial)
            || producer.has_several_in_flight(of.number)
                && self.misses_one_in_flight(flow, partition, head.serial);
        if producer.config.idempotence && misses_one {
            return Some(Refusal::OutOfOrder);
        }
        None
    }

    /// Whether a batch before this one is on its way and not stored: to a broker that no longer
    /// leads, or refused with the answer on its way back.
    fn misses_one_in_flight(&self, flow: FlowId, partition: PartitionId, serial: u32) -> bool {
        let in_flight = self.producer(flow).connections.iter().flat_map(|it| &it.in_flight);
        let items = in_flight.filter_map(|(id, _)| self.requests.get(*id)).flat_map(|it| &it.items);
        items.into_iter().any(|item| {
            let missing = !item.head.stored && !item.expired;
            item.partition == partition && item.head.serial < serial && missing
        })
    }

    /// What only its leader needs to commit is visible with the append.
    fn commit_lonely(&mut self, id: u32, at: &mut At<'_, '_>) {
        let Some(request) = self.requests.get(id) else { return };
        let mut lonely = std::mem::take(&mut self.scratch_partitions);
        for item in &request.items {
            let of = &self.partitions[item.partition.index()];
            if of.maximal_isr().len() <= 1 && of.leader == Some(request.broker) {
                lonely.push(item.partition);
            }
        }
        for partition in lonely.drain(..) {
            self.commit(partition, at);
        }
        self.scratch_partitions = lonely;
        self.after_commits(at);
    }

    /// Requests whose offset the watermark has passed need not wait for this partition any more.
    pub(super) fn settle_waiting(&mut self, partition: PartitionId) {
        let high_watermark = self.partitions[partition.index()].log.high_watermark();
        let too_few = self.config.version < KafkaVersion::V3_9
            && self.partitions[partition.index()].maximal_isr().len() < self.min_isr(partition);
        let waiters = &mut self.waiters[partition.index()];
        while let Some(first) = waiters.front().filter(|first| first.offset <= high_watermark) {
            let first = *first;
            waiters.pop_front();
            let refusal = too_few.then_some(Refusal::NotEnoughReplicasAfterAppend);
            settle(&mut self.requests, &mut self.settled, first, refusal);
        }
    }

    /// Requests that wait for a partition fail: its leader is another one, or nobody.
    pub(super) fn refuse_waiting(
        &mut self,
        partition: PartitionId,
        refusal: Refusal,
        at: &mut At<'_, '_>,
    ) {
        let waiters = std::mem::take(&mut self.waiters[partition.index()]);
        for waiter in waiters {
            settle(&mut self.requests, &mut self.settled, waiter, Some(refusal));
        }
        self.after_commits(at);
    }

    /// Requests that need not wait any more are answered, readers that waited are served.
    pub(super) fn after_commits(&mut self, at: &mut At<'_, '_>) {
        while let Some((id, generation)) = self.settled.pop() {
            let done = self.requests.get(id).filter(|it| it.generation == generation);
            let Some((flow, broker)) = done.map(|it| (it.flow, it.broker)) else { continue };
            self.answer(id, at);
            self.read_connection(flow, broker, at);
        }
        self.serve_readers(at);
    }

    /// The answer leaves the broker; the connection is free for the next request.
    fn answer(&mut self, id: u32, at: &mut At<'_, '_>) {
        let Some(request) = self.requests.get(id) else { return };
        let (flow, broker, generation) = (request.flow, request.broker, request.generation);
        self.connection_mut(flow, broker).processing = None;
        if self.producer(flow).config.acks == Acks::None {
            self.finish_unacknowledged(id, at);
            return;
        }
        let half = SimDuration(self.client_rtt(flow, broker).0 / 2);
        let handled = self.config.hardware.request_time;
        at.ctx.after(half + handled, Event::Answer(id, generation));
    }

    /// The broker's own time for the request in hand is over (K-ACK-2): its data stays in the log.
    pub(super) fn expire_request(&mut self, id: u32, at: &mut At<'_, '_>) {
        let Some(request) = self.requests.get_mut(id) else { return };
        for item in &mut request.items {
            if std::mem::take(&mut item.waits) {
                item.outcome = Some(Refusal::TimedOut);
            }
        }
        request.waiting = 0;
        let (flow, broker) = (request.flow, request.broker);
        self.answer(id, at);
        self.read_connection(flow, broker, at);
    }

    /// The books learn of appended records.
    fn book_stored(
        &mut self,
        flow: FlowId,
        partition: PartitionId,
        records: u32,
        copy: bool,
        at: &mut At<'_, '_>,
    ) {
        let producer = self.producer(flow).producer;
        let topic = self.partitions[partition.index()].topic;
        at.ledger.append(producer, &self.readers_of[topic], u64::from(records), copy);
        for place in 0..self.groups_of[topic].len() {
            let group = self.groups_of[topic][place];
            self.appended_for(group, partition, if copy { 0 } else { u64::from(records) }, at);
        }
    }

    /// A batch is stored that its client has given up meanwhile (K-PRD-2).
    fn note_regretted(
        &mut self,
        flow: FlowId,
        partition: PartitionId,
        head: &Head,
        at: &mut At<'_, '_>,
    ) {
        let number = self.partitions[partition.index()].number;
        let place = self.place_of[usize::from(flow.0)];
        self.producers[place].given_up.insert((number, head.serial));
        at.ledger.regret(self.producers[place].producer, u64::from(head.records));
        at.ledger.saw(|| Seen::Regretted { batch: Records::batch(flow, number, head.serial) });
    }

    /// Cuts a log at `offset`, and tells the books and the clients what that means.
    pub(super) fn cut(&mut self, partition: PartitionId, offset: u64, at: &mut At<'_, '_>) {
        let number = partition.index();
        if self.partitions[number].log.end() <= offset {
            return;
        }
        let mut gone = Vec::new();
        self.partitions[number].log.truncate(offset, |_, entry| gone.push(*entry));
        let (topic, partition_number) =
            (self.partitions[number].topic, self.partitions[number].number);
        let mut lost = 0;
        for entry in &gone {
            let records = u64::from(entry.count);
            let place = self.place_of[usize::from(entry.flow.0)];
            let fate = self.fate_of(entry.flow, partition, partition_number, entry.serial);
            let producer = self.producers[place].producer;
            let delivered = self.cut_for_readers(partition, topic, entry, fate, at);
            if entry.copy {
                continue;
            }
            match fate {
                Fate::Acknowledged => {
                    at.ledger.lose_acknowledged(producer, records);
                    lost += records;
                }
                Fate::Held if !delivered => at.ledger.unstore(producer, records),
                Fate::GivenUp if !delivered => at.ledger.unstore_given_up(producer, records),
                Fate::Held | Fate::GivenUp => {}
            }
            let held = fate == Fate::Held && !delivered;
            if held {
                self.forget_stored(entry.flow, partition, partition_number, entry.serial);
            }
            at.ledger.saw(|| Seen::Unstored {
                partition: partition.0,
                batch: Records::batch(entry.flow, partition_number, entry.serial),
                run: entry.run(),
                held,
            });
        }
        let records: u64 = gone.iter().map(|entry| u64::from(entry.count)).sum();
        let detail = format!("{records} records, {lost} of them acknowledged");
        self.note(at, "log_truncated", self.partition_name(partition), detail);
    }
}

/// What had become of a batch whose records are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Its client was told that it is stored.
    Acknowledged,
    /// Its client holds it still.
    Held,
    /// Its client has given it up.
    GivenUp,
}

/// A waiter has its answer.
fn settle(
    requests: &mut Slab<Request>,
    settled: &mut Vec<(u32, u32)>,
    waiter: Waiter,
    refusal: Option<Refusal>,
) {
    let Some(request) =
        requests.get_mut(waiter.request).filter(|it| it.generation == waiter.generation)
    else {
        return;
    };
    let item = &mut request.items[waiter.item as usize];
    if !std::mem::take(&mut item.waits) {
        return;
    }
    item.outcome = refusal;
    request.waiting -= 1;
    if request.waiting == 0 {
        settled.push((waiter.request, waiter.generation));
    }
}
