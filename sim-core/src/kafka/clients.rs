//! Producers at work in their cluster: launching requests, answers, broken connections, metadata.
//!
//! | Mechanism                                                              | Fact    |
//! |------------------------------------------------------------------------|---------|
//! | a dead process resets connections, a frozen one or a cut lets them time out | K-PRD-3 |
//! | every broken connection and some errors ask for metadata                | K-ACK-5, K-PRD-4 |
//! | metadata names a dead leader until the controller has another one       | K-ZKL-4 |
//! | expiry though a copy may be stored                                      | K-PRD-2 |
//!
//! Simplifications: reconnecting takes one round trip; a connection attempt into a cut takes ten
//! seconds. While a client is idle it reads a broker's REQUEST_TIMED_OUT, else it closes the
//! connection first (K-ACK-2).

use crate::config::kafka::Acks;
use crate::engine::{SimDuration, SimTime};
use crate::flow::{Batch, FlowId};
use crate::ledger::{Records, Seen};

use super::broker::Process;
use super::metadata::{BrokerId, PartitionId};
use super::produce::Fate;
use super::producer::{Connection, Producer};
use super::request::{Head, Item, Refusal, Request};
use super::{At, Cluster, Event};

/// First and greatest wait before another attempt to connect (K-PRD-3).
const RECONNECT: SimDuration = SimDuration::from_millis(50);
const RECONNECT_MAX: SimDuration = SimDuration::from_millis(1_000);
/// An attempt to connect that nobody answers (K-PRD-3).
const CONNECTION_SETUP: SimDuration = SimDuration::from_secs(10);
/// Ceiling of the wait between two metadata requests while something is missing.
const REFRESH_MAX: u64 = 1_000_000_000;

/// The zone of clients that are in none: every zone but a cut one is reached.
const OUTSIDE: usize = usize::MAX;

impl Cluster {
    pub(super) fn producer(&self, flow: FlowId) -> &Producer {
        &self.producers[self.place_of[usize::from(flow.0)]]
    }

    pub(super) fn connection_mut(&mut self, flow: FlowId, broker: BrokerId) -> &mut Connection {
        let place = self.place_of[usize::from(flow.0)];
        &mut self.producers[place].connections[broker.index()]
    }

    /// Whether packets pass between a client and a broker.
    pub(super) fn client_linked(&self, zone: Option<usize>, broker: BrokerId) -> bool {
        let to = self.brokers[broker.index()].zone;
        self.links.connected(zone.unwrap_or(OUTSIDE), to)
    }

    /// Round trip between a client and a broker.
    pub(super) fn rtt_to(&self, zone: Option<usize>, broker: BrokerId) -> SimDuration {
        if zone == Some(self.brokers[broker.index()].zone) {
            self.config.hardware.rtt_in_zone
        } else {
            self.config.hardware.rtt_across_zones
        }
    }

    pub(super) fn client_rtt(&self, flow: FlowId, broker: BrokerId) -> SimDuration {
        self.rtt_to(self.producer(flow).config.zone, broker)
    }

    /// The application of a flow hands over records.
    pub fn offer(&mut self, flow: FlowId, batches: &mut Vec<Batch>, at: &mut At<'_, '_>) {
        let place = self.place_of[usize::from(flow.0)];
        let producer = &mut self.producers[place];
        let blocks = producer.offer(batches, at.ctx.now);
        let config = &producer.config;
        let limit = if blocks {
            config.max_block.min(config.delivery_timeout)
        } else {
            config.delivery_timeout
        };
        self.watch(place, at.ctx.now + limit, at);
        self.send_all(place, at);
        if self.producers[place].wants_leaders() {
            self.ask_metadata(place, at);
        }
    }

    /// Sends whatever may be sent.
    pub(super) fn send_all(&mut self, place: usize, at: &mut At<'_, '_>) {
        for broker in 0..self.brokers.len() {
            if !self.producers[place].connections[broker].ready.is_empty() {
                let broker = BrokerId(u16::try_from(broker).expect("at most 128 brokers"));
                self.send_to(place, broker, at);
            }
        }
    }

    fn send_to(&mut self, place: usize, broker: BrokerId, at: &mut At<'_, '_>) {
        let now = at.ctx.now;
        loop {
            let producer = &self.producers[place];
            let connection = &producer.connections[broker.index()];
            if connection.ready.is_empty() {
                return;
            }
            if now < connection.retry_at {
                let retry_at = connection.retry_at;
                self.wake_sender(place, retry_at, at);
                return;
            }
            let most = producer.config.max_in_flight as usize * producer.processes as usize;
            if connection.in_flight.len() >= most {
                return;
            }
            if !self.may_connect(place, broker, at) {
                return;
            }
            let mut items = self.item_pool.pop().unwrap_or_default();
            let mut parts = self.part_pool.pop().unwrap_or_default();
            let later = self.producers[place].drain(broker, now, &mut items, &mut parts);
            if items.is_empty() {
                self.item_pool.push(items);
                self.part_pool.push(parts);
                if later < SimTime::MAX {
                    self.wake_sender(place, later, at);
                }
                return;
            }
            self.launch(place, broker, items, parts, at);
        }
    }

    /// Whether there is a connection, or one can be made; if not, when to try again is planned.
    fn may_connect(&mut self, place: usize, broker: BrokerId, at: &mut At<'_, '_>) -> bool {
        let now = at.ctx.now;
        let producer = &self.producers[place];
        let linked = self.client_linked(producer.config.zone, broker);
        let process = self.brokers[broker.index()].process;
        let connection = &self.producers[place].connections[broker.index()];
        let connected = connection.down_since.is_none();
        let wait = match (linked, process) {
            (true, Process::Running) => {
                let connection = &mut self.producers[place].connections[broker.index()];
                connection.down_since = None;
                connection.failures = 0;
                return true;
            }
            (true, Process::Dead | Process::Starting) => {
                let doubled = RECONNECT.times(1 << connection.failures.min(10));
                doubled.min(RECONNECT_MAX)
            }
            // Packets go and nothing comes back; an open connection does not know.
            (false, _) | (true, Process::Frozen) if connected => return true,
            (false, _) | (true, Process::Frozen) => CONNECTION_SETUP,
        };
        let connection = &mut self.producers[place].connections[broker.index()];
        connection.failures += 1;
        connection.retry_at = now + wait;
        connection.down_since.get_or_insert(now);
        let retry_at = connection.retry_at;
        self.note_stuck(place, broker, at);
        self.ask_metadata(place, at);
        self.wake_sender(place, retry_at, at);
        false
    }

    /// What waits for a broker that cannot be reached fails as far as one can tell (D-18).
    fn note_stuck(&mut self, place: usize, broker: BrokerId, at: &mut At<'_, '_>) {
        let now = at.ctx.now;
        let producer = &mut self.producers[place];
        let connection = &producer.connections[broker.index()];
        let since = connection.down_since.unwrap_or(now);
        for &number in &connection.ready {
            producer.queues[number as usize].begin_outage(since);
            self.outages[producer.producer].fail(number, now, now);
        }
    }

    fn launch(
        &mut self,
        place: usize,
        broker: BrokerId,
        items: Vec<Item>,
        parts: Vec<Batch>,
        at: &mut At<'_, '_>,
    ) {
        let now = at.ctx.now;
        self.next_request += 1;
        let generation = self.next_request;
        let flow = self.producers[place].flow;
        let bytes: u64 = items.iter().map(|item| u64::from(item.head.bytes)).sum();
        if self.producers[place].config.idempotence {
            for item in items.iter().filter(|item| !item.head.stored) {
                at.ledger.saw(|| Seen::Sent { batch: self.batch_of(flow, item) });
            }
        }
        let id = self.requests.insert(Request {
            flow,
            broker,
            generation,
            sent_at: now,
            items,
            parts,
            waiting: 0,
            bytes,
            received: false,
            answered: false,
        });
        self.producers[place].connections[broker.index()].in_flight.push_back((id, generation));
        if self.client_linked(self.producers[place].config.zone, broker) {
            let half = SimDuration(self.client_rtt(flow, broker).0 / 2);
            let arrives = self.brokers[broker.index()].network_in.pass(now + half, bytes);
            at.ctx.at(arrives, Event::Arrive(id, generation));
        }
        self.watch_connection(flow, broker, at);
    }

    /// A batch in a request, as checkers know it.
    pub(super) fn batch_of(&self, flow: FlowId, item: &Item) -> Records {
        let number = self.partitions[item.partition.index()].number;
        Records::batch(flow, number, item.head.serial)
    }

    /// An answer has come to the client.
    pub(super) fn on_answer(&mut self, id: u32, generation: u32, at: &mut At<'_, '_>) {
        let Some(request) = self.requests.get_mut(id).filter(|it| it.generation == generation)
        else {
            return;
        };
        let (flow, broker) = (request.flow, request.broker);
        if !self.client_linked(self.producer(flow).config.zone, broker) {
            // It comes when the link is back, unless the client gives up first.
            if let Some(request) = self.requests.get_mut(id) {
                request.answered = true;
            }
            return;
        }
        self.conclude(id, at);
    }

    /// The client takes the outcome of a request to its books.
    fn conclude(&mut self, id: u32, at: &mut At<'_, '_>) {
        let now = at.ctx.now;
        let request = self.requests.remove(id);
        let place = self.place_of[usize::from(request.flow.0)];
        let in_flight = &mut self.producers[place].connections[request.broker.index()].in_flight;
        in_flight.retain(|&(other, _)| other != id);
        let mut first_part = 0;
        for item in &request.items {
            let parts = &request.parts[first_part..first_part + item.head.parts as usize];
            first_part += item.head.parts as usize;
            let number = self.partitions[item.partition.index()].number;
            self.producers[place].landed(number);
            if item.expired {
                continue;
            }
            let Some(refusal) = item.outcome else {
                let producer = &mut self.producers[place];
                producer.buffered -= u64::from(item.head.bytes);
                for part in parts {
                    producer.latency.record(now.since(part.offered_at), part.count);
                }
                let (records, bytes) = (u64::from(item.head.records), u64::from(item.head.bytes));
                if !item.head.stored {
                    // Another leader cut it while its answer was on the way (K-DL-1).
                    let topic = self.partitions[item.partition.index()].topic;
                    at.ledger.lose_unstored(producer.producer, &self.readers_of[topic], records);
                }
                self.outages[producer.producer].accept(number, now);
                at.ledger.accept(producer.producer, records, bytes);
                let serial = item.head.serial;
                let batch = || Records::batch(request.flow, number, serial);
                at.ledger.saw(|| Seen::Acknowledged { batch: batch() });
                continue;
            };
            self.retry_or_give_up(place, item, parts, refusal, at);
        }
        self.recycle(request);
        self.producers[place].unblock(now);
        self.send_all(place, at);
    }

    fn recycle(&mut self, mut request: Request) {
        request.items.clear();
        request.parts.clear();
        self.item_pool.push(request.items);
        self.part_pool.push(request.parts);
    }

    /// A batch failed: once more, or never again (K-PRD-2).
    fn retry_or_give_up(
        &mut self,
        place: usize,
        item: &Item,
        parts: &[Batch],
        refusal: Refusal,
        at: &mut At<'_, '_>,
    ) {
        let now = at.ctx.now;
        let number = self.partitions[item.partition.index()].number;
        let producer = &self.producers[place];
        self.outages[producer.producer].fail(number, item.head.launched_at, now);
        let config = &producer.config;
        let expired = item.head.created_at + config.delivery_timeout <= now;
        let hints = config.learns_leader_from_errors;
        if expired || item.head.failures >= config.retries {
            self.give_up(place, number, &item.head, at);
        } else {
            self.producers[place].retry(number, item.head, parts, refusal, now);
            let retry_at = self.producers[place].queues[number as usize]
                .heads
                .front()
                .map_or(now, |head| head.retry_at);
            self.wake_sender(place, retry_at, at);
        }
        match refusal {
            Refusal::NotLeader if hints => {
                let leader = self.partitions[item.partition.index()].leader;
                self.producers[place].learn_one(number, leader);
                self.ask_metadata(place, at);
            }
            Refusal::NotLeader | Refusal::Disconnected => self.ask_metadata(place, at),
            Refusal::NotEnoughReplicas
            | Refusal::NotEnoughReplicasAfterAppend
            | Refusal::OutOfOrder
            | Refusal::TimedOut => {}
        }
    }

    /// A batch ends in an error for the application, stored or not.
    fn give_up(&mut self, place: usize, number: u32, head: &Head, at: &mut At<'_, '_>) {
        let producer = &mut self.producers[place];
        producer.buffered -= u64::from(head.bytes);
        if head.stored {
            producer.given_up.insert((number, head.serial));
        }
        self.outages[producer.producer].give_up(number, at.ctx.now);
        at.ledger.give_up(producer.producer, u64::from(head.records), head.stored);
        let batch = || Records::batch(producer.flow, number, head.serial);
        at.ledger.saw(|| Seen::GaveUp { batch: batch(), stored: head.stored });
    }

    /// acks=0: there is no answer, and an error reaches nobody (K-ACK-1).
    pub(super) fn finish_unacknowledged(&mut self, id: u32, at: &mut At<'_, '_>) {
        let now = at.ctx.now;
        let request = self.requests.remove(id);
        let place = self.place_of[usize::from(request.flow.0)];
        let in_flight = &mut self.producers[place].connections[request.broker.index()].in_flight;
        in_flight.retain(|&(other, _)| other != id);
        let mut first_part = 0;
        for item in &request.items {
            let parts = &request.parts[first_part..first_part + item.head.parts as usize];
            first_part += item.head.parts as usize;
            let number = self.partitions[item.partition.index()].number;
            let topic = self.partitions[item.partition.index()].topic;
            let producer = &mut self.producers[place];
            producer.landed(number);
            if item.expired {
                continue;
            }
            producer.buffered -= u64::from(item.head.bytes);
            let (records, bytes) = (u64::from(item.head.records), u64::from(item.head.bytes));
            let outages = &mut self.outages[producer.producer];
            if item.head.stored {
                outages.accept(number, now);
            } else {
                // Nobody tells the client, but the partition has not taken it.
                outages.fail(number, item.head.launched_at, now);
                at.ledger.lose_unstored(producer.producer, &self.readers_of[topic], records);
            }
            at.ledger.accept(producer.producer, records, bytes);
            let batch = || Records::batch(request.flow, number, item.head.serial);
            at.ledger.saw(|| Seen::Acknowledged { batch: batch() });
            for part in parts {
                producer.latency.record(now.since(part.offered_at), part.count);
            }
        }
        let refused = request.items.iter().any(|item| item.outcome.is_some());
        let (flow, broker) = (request.flow, request.broker);
        self.recycle(request);
        if refused {
            // The only answer is that the connection closes.
            self.disconnect(flow, broker, at);
            return;
        }
        self.producers[place].unblock(now);
        self.send_all(place, at);
    }

    /// A connection breaks: everything in flight on it fails (K-PRD-3).
    pub(super) fn disconnect(&mut self, flow: FlowId, broker: BrokerId, at: &mut At<'_, '_>) {
        let now = at.ctx.now;
        let place = self.place_of[usize::from(flow.0)];
        let acks = self.producers[place].config.acks;
        let connection = &mut self.producers[place].connections[broker.index()];
        let in_flight = std::mem::take(&mut connection.in_flight);
        connection.arrived.clear();
        connection.processing = None;
        connection.retry_at = now + RECONNECT;
        connection.failures += 1;
        connection.down_since.get_or_insert(now);
        for (id, generation) in in_flight {
            if self.requests.get(id).is_none_or(|request| request.generation != generation) {
                continue;
            }
            if acks == Acks::None {
                self.finish_unacknowledged(id, at);
                continue;
            }
            let request = self.requests.remove(id);
            let mut first_part = 0;
            for item in &request.items {
                let parts = &request.parts[first_part..first_part + item.head.parts as usize];
                first_part += item.head.parts as usize;
                let number = self.partitions[item.partition.index()].number;
                self.producers[place].landed(number);
                if item.expired {
                    continue;
                }
                // One that waited for the watermark failed for want of replicas, however the client
                // learns of it.
                let refusal = if item.waits { Refusal::TimedOut } else { Refusal::Disconnected };
                self.retry_or_give_up(place, item, parts, refusal, at);
            }
            self.recycle(request);
        }
        self.ask_metadata(place, at);
        self.producers[place].unblock(now);
        self.send_all(place, at);
    }

    /// Plans the next look at a connection's timeouts.
    pub(super) fn watch_connection(&mut self, flow: FlowId, broker: BrokerId, at: &mut At<'_, '_>) {
        let place = self.place_of[usize::from(flow.0)];
        let timeout = self.producers[place].config.request_timeout;
        let connection = &mut self.producers[place].connections[broker.index()];
        let Some(&(first, _)) = connection.in_flight.front() else { return };
        let Some(oldest) = self.requests.get(first) else { return };
        let due = oldest.sent_at + timeout;
        if connection.checked_at > due {
            connection.checked_at = due;
            let number = u16::try_from(place).expect("few flows");
            at.ctx.at(due, Event::Check(number, broker));
        }
    }

    /// Looks at a connection's timeouts.
    pub(super) fn on_check(&mut self, place: usize, broker: BrokerId, at: &mut At<'_, '_>) {
        let now = at.ctx.now;
        let connection = &mut self.producers[place].connections[broker.index()];
        if connection.checked_at != now {
            return;
        }
        connection.checked_at = SimTime::MAX;
        let flow = self.producers[place].flow;
        let timeout = self.producers[place].config.request_timeout;
        let Some(&(first, _)) = self.producers[place].connections[broker.index()].in_flight.front()
        else {
            return;
        };
        let Some(oldest) = self.requests.get(first) else { return };
        if oldest.sent_at + timeout <= now {
            let parked = oldest.waiting > 0 && self.brokers[broker.index()].runs();
            let idle = self.producers[place].queues.iter().all(|queue| queue.heads.is_empty());
            let linked = self.client_linked(self.producers[place].config.zone, broker);
            if parked && idle && linked {
                // The broker's clock began with the append, a little later than the client's.
                self.expire_request(first, at);
            } else {
                self.disconnect(flow, broker, at);
            }
        }
        self.watch_connection(flow, broker, at);
    }

    /// Plans the sender's next look, unless an earlier one is planned.
    fn wake_sender(&mut self, place: usize, instant: SimTime, at: &mut At<'_, '_>) {
        let producer = &mut self.producers[place];
        if instant < producer.wakes_at {
            producer.wakes_at = instant;
            let number = u16::try_from(place).expect("few flows");
            at.ctx.at(instant, Event::Wake(number));
        }
    }

    pub(super) fn on_wake(&mut self, place: usize, at: &mut At<'_, '_>) {
        if self.producers[place].wakes_at <= at.ctx.now {
            self.producers[place].wakes_at = SimTime::MAX;
            self.send_all(place, at);
        }
    }

    /// Plans a look at what expires, unless an earlier one is planned.
    fn watch(&mut self, place: usize, due: SimTime, at: &mut At<'_, '_>) {
        let producer = &mut self.producers[place];
        if due < producer.watched_at {
            producer.watched_at = due;
            let number = u16::try_from(place).expect("few flows");
            at.ctx.at(due, Event::Expire(number));
        }
    }

    /// What is too old ends in an error for the application: queued, in flight, or not even
    /// handed over (K-PRD-1, K-PRD-2).
    pub(super) fn on_expire(&mut self, place: usize, at: &mut At<'_, '_>) {
        let now = at.ctx.now;
        if self.producers[place].watched_at > now {
            return;
        }
        let producer = &mut self.producers[place];
        producer.watched_at = SimTime::MAX;
        let ledger = &mut *at.ledger;
        let (index, flow) = (producer.producer, producer.flow);
        let outages = &mut self.outages[index];
        producer.expire(now, |number, head| {
            outages.give_up(number, now);
            ledger.give_up(index, u64::from(head.records), head.stored);
            let batch = || Records::batch(flow, number, head.serial);
            ledger.saw(|| Seen::GaveUp { batch: batch(), stored: head.stored });
        });
        let refused = producer.expire_blocked(now);
        at.ledger.give_up(index, refused, false);
        let oldest = self.expire_in_flight(place, at);
        self.producers[place].unblock(now);
        self.send_all(place, at);
        let due = self.producers[place].next_expiry().min(oldest);
        if due < SimTime::MAX {
            self.watch(place, due, at);
        }
    }

    /// Batches in flight expire as well; returns when the next one does.
    fn expire_in_flight(&mut self, place: usize, at: &mut At<'_, '_>) -> SimTime {
        let now = at.ctx.now;
        let (flow, timeout) =
            (self.producers[place].flow, self.producers[place].config.delivery_timeout);
        let mut next = SimTime::MAX;
        let mut expired = Vec::new();
        for request in self.requests.iter_mut().filter(|request| request.flow == flow) {
            for item in request.items.iter_mut().filter(|item| !item.expired) {
                let due = item.head.created_at + timeout;
                if due <= now {
                    item.expired = true;
                    expired.push((item.partition, item.head));
                } else {
                    next = next.min(due);
                }
            }
        }
        for (partition, head) in expired {
            let number = self.partitions[partition.index()].number;
            let producer = self.producers[place].producer;
            self.outages[producer].fail(number, head.launched_at, now);
            self.give_up(place, number, &head, at);
        }
        next
    }

    /// Asks for metadata, unless that is under way.
    pub(super) fn ask_metadata(&mut self, place: usize, at: &mut At<'_, '_>) {
        let rtt = self.config.hardware.rtt_across_zones;
        let producer = &mut self.producers[place];
        if producer.asked {
            return;
        }
        producer.asked = true;
        let earliest = producer.refreshed_at + producer.refresh_wait();
        let due = earliest.max(at.ctx.now) + rtt;
        let number = u16::try_from(place).expect("few flows");
        at.ctx.at(due, Event::Metadata(number));
    }

    /// Metadata comes: who leads what, as far as the brokers know.
    pub(super) fn on_metadata(&mut self, place: usize, at: &mut At<'_, '_>) {
        let now = at.ctx.now;
        let zone = self.producers[place].config.zone;
        self.producers[place].asked = false;
        self.producers[place].refreshed_at = now;
        let mut brokers = (0..).map(BrokerId).take(self.brokers.len());
        let reached =
            brokers.any(|it| self.brokers[it.index()].runs() && self.client_linked(zone, it));
        if reached {
            let topic = self.producers[place].topic;
            let known = self.known_to_all(self.producers[place].producer);
            let ids: Vec<PartitionId> = self.metadata.topics[topic]
                .iter()
                .copied()
                .filter(|id| id.index() < self.partitions.len())
                .collect();
            let leaders: Vec<_> =
                ids.iter().map(|&id| (id, self.partitions[id.index()].leader)).collect();
            self.producers[place].learn(leaders.into_iter(), now);
            let producer = self.producers[place].producer;
            for number in self.producers[place].leaderless() {
                // LEADER_NOT_AVAILABLE: what waits for it cannot even be tried.
                self.outages[producer].fail(number, now, now);
            }
            let now_known = self.known_to_all(producer);
            if now_known > known {
                let count = u32::try_from(now_known).expect("fewer than 2^32 partitions");
                self.rerouted.push((producer, count));
            }
        }
        if !reached || self.producers[place].wants_leaders() {
            self.producers[place].refresh_failures += 1;
            self.ask_metadata(place, at);
        } else {
            self.producers[place].refresh_failures = 0;
        }
        self.send_all(place, at);
    }

    /// How many partitions all flows of a producer know of: its records are dealt to no others.
    fn known_to_all(&self, producer: usize) -> usize {
        let flows = self.producers.iter().filter(|it| it.producer == producer);
        flows.map(|it| it.partitions.len()).min().unwrap_or(0)
    }

    /// Metadata is as old as it may get.
    pub(super) fn on_metadata_age(&mut self, place: usize, at: &mut At<'_, '_>) {
        self.ask_metadata(place, at);
        let period = self.producers[place].config.metadata_max_age;
        let number = u16::try_from(place).expect("few flows");
        at.ctx.after(period, Event::MetadataAge(number));
    }

    /// A broker's process is gone: every connection to it is reset.
    pub(super) fn reset_connections(&mut self, broker: BrokerId, at: &mut At<'_, '_>) {
        for place in 0..self.producers.len() {
            let zone = self.producers[place].config.zone;
            let open = !self.producers[place].connections[broker.index()].in_flight.is_empty();
            if open && self.client_linked(zone, broker) {
                let flow = self.producers[place].flow;
                self.disconnect(flow, broker, at);
            }
        }
    }

    /// Broker and clients reach each other again: what was on its way arrives.
    pub(super) fn resume_connections(&mut self, broker: BrokerId, at: &mut At<'_, '_>) {
        for place in 0..self.producers.len() {
            let zone = self.producers[place].config.zone;
            if !self.client_linked(zone, broker) {
                continue;
            }
            let flow = self.producers[place].flow;
            let half = SimDuration(self.client_rtt(flow, broker).0 / 2);
            let in_flight = self.producers[place].connections[broker.index()].in_flight.clone();
            for (id, generation) in in_flight {
                let Some(request) = self.requests.get(id) else { continue };
                if request.generation != generation {
                    continue;
                }
                if request.answered {
                    at.ctx.after(half, Event::Answer(id, generation));
                } else if !request.received {
                    at.ctx.after(half, Event::Arrive(id, generation));
                }
            }
            self.read_connection(flow, broker, at);
            let connection = &mut self.producers[place].connections[broker.index()];
            connection.retry_at = connection.retry_at.min(at.ctx.now + RECONNECT_MAX);
            self.send_all(place, at);
        }
    }

    /// What has become of a batch of which a copy was stored.
    pub(super) fn fate_of(
        &self,
        flow: FlowId,
        partition: PartitionId,
        number: u32,
        serial: u32,
    ) -> Fate {
        let producer = self.producer(flow);
        if producer.given_up.contains(&(number, serial)) {
            return Fate::GivenUp;
        }
        let queued = producer.queues.get(number as usize);
        let queued =
            queued.is_some_and(|queue| queue.heads.iter().any(|head| head.serial == serial));
        let mut in_flight = self.requests.iter().filter(|request| request.flow == flow);
        let held = queued
            || in_flight.any(|request| {
                request
                    .items
                    .iter()
                    .any(|item| item.partition == partition && item.head.serial == serial)
            });
        if held { Fate::Held } else { Fate::Acknowledged }
    }

    /// No copy of a batch is stored any more.
    pub(super) fn forget_stored(
        &mut self,
        flow: FlowId,
        partition: PartitionId,
        number: u32,
        serial: u32,
    ) {
        let place = self.place_of[usize::from(flow.0)];
        let heads = &mut self.producers[place].queues[number as usize].heads;
        for head in heads.iter_mut().filter(|head| head.serial == serial) {
            head.stored = false;
        }
        for request in self.requests.iter_mut().filter(|request| request.flow == flow) {
            for item in &mut request.items {
                if item.partition == partition && item.head.serial == serial {
                    item.head.stored = false;
                }
            }
        }
    }
}

impl Producer {
    /// Wait before the next metadata request: longer while something stays missing.
    fn refresh_wait(&self) -> SimDuration {
        let base = self.config.retry_backoff.0.max(1);
        let grown = base.saturating_mul(1 << self.refresh_failures.min(10));
        SimDuration(grown.min(REFRESH_MAX.max(base)))
    }
}
