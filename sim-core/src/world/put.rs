//! PutRecords on its way: from a client through the shards' judgement back to the client.
//!
//! Simplification: a request is judged, stored and answered at one instant, `put_latency` after it
//! was sent (an assumption of 10 ms); the way back is part of it. Latencies below that could tell.

use crate::engine::SimTime;
use crate::flow::{Batch, FlowId};
use crate::kinesis::ShardIndex;
use crate::kinesis::client::{Client, ClientCtx};
use crate::kinesis::put::{PutItem, PutRequest};
use crate::ledger::{Records, Seen};

use super::{Event, Flow, Home, StreamClient, World};

/// Bytes of a PUT payload unit (N-P-1).
const PUT_UNIT: u64 = 25_000;

impl World {
    /// Lets a client act, and sends what it sends.
    pub(super) fn with_client(
        &mut self,
        flow: FlowId,
        now: SimTime,
        act: impl FnOnce(&mut Client, &mut ClientCtx<'_>),
    ) {
        let Flow { producer, home: Home::Stream(of) } = &mut self.flows[usize::from(flow.0)] else {
            unreachable!("a cluster keeps its clients itself");
        };
        let mut ctx = ClientCtx {
            now,
            flow,
            stream: of.stream,
            producer: usize::from(*producer),
            ledger: &mut self.ledger,
            outages: &mut self.producers[usize::from(*producer)].outages,
            rng: &mut of.rng,
            requests: &mut self.launched,
            timers: &mut self.timers,
            pool: &mut self.pool,
            item_pool: &mut self.item_pool,
        };
        act(&mut of.client, &mut ctx);
        for (at, event) in self.timers.drain(..) {
            self.queue.schedule_at(at, Event::Client(flow, event));
        }
        for request in self.launched.drain(..) {
            let latency = self.streams[usize::from(request.stream)].config.put_latency;
            let id = self.requests.insert(request);
            self.queue.schedule_at(now + latency, Event::Put(id));
        }
    }

    /// A request is judged, record by record (N-W-7).
    pub(super) fn on_put(&mut self, id: u32, now: SimTime) {
        let mut request = self.requests.remove(id);
        let stream = usize::from(request.stream);
        let faults = self.faults[stream];
        let refused = self.strikes(request.flow, faults.throttle_ppm);
        let unanswered = !refused && self.strikes(request.flow, faults.lose_answers_ppm);
        let spare = self.item_pool.pop().unwrap_or_default();
        let mut items = std::mem::replace(&mut request.items, spare);
        for item in items.drain(..) {
            if refused {
                // The whole call throws (N-FIS-1).
                let producer = usize::from(self.flows[usize::from(request.flow.0)].producer);
                self.ledger.judge(producer, u64::from(item.users), u64::from(item.users));
                self.note_failed(request.flow, item.shard, request.sent_at, now);
                request.items.push(item);
            } else if self.streams[stream].shards[item.shard.0 as usize].is_open() {
                self.judge(item, &mut request, unanswered, now);
            } else {
                self.judge_rerouted(item, &mut request, unanswered, now);
            }
        }
        self.item_pool.push(items);
        if unanswered {
            let timeout = self.request_timeout(request.flow);
            let at = request.sent_at + timeout;
            let id = self.requests.insert(request);
            self.queue.schedule_at(at, Event::AnswerTimedOut(id));
            return;
        }
        let items = request.items;
        self.with_client(request.flow, now, |client, ctx| client.answered(items, ctx));
    }

    /// The client gives up waiting for an answer: to it everything has failed.
    pub(super) fn on_answer_timed_out(&mut self, id: u32, now: SimTime) {
        let request = self.requests.remove(id);
        for item in &request.items {
            self.note_failed(request.flow, item.landed, request.sent_at, now);
        }
        let items = request.items;
        self.with_client(request.flow, now, |client, ctx| client.answered(items, ctx));
    }

    /// A producer's attempt on a shard has failed. One that is closed is no shard to write to.
    fn note_failed(&mut self, flow: FlowId, shard: ShardIndex, sent_at: SimTime, now: SimTime) {
        let stream = usize::from(self.stream_client(flow).stream);
        if self.streams[stream].shards[shard.0 as usize].is_open() {
            let producer = usize::from(self.flows[usize::from(flow.0)].producer);
            self.producers[producer].outages.fail(shard.0, sent_at, now);
        }
    }

    /// Indices of the stream and of the producer of a request.
    fn ends_of(&self, request: &PutRequest) -> (usize, usize) {
        let flow = &self.flows[usize::from(request.flow.0)];
        (usize::from(request.stream), usize::from(flow.producer))
    }

    /// Judges an item for an open shard; what fails, or stays unanswered, goes back to the request.
    fn judge(
        &mut self,
        mut item: PutItem,
        request: &mut PutRequest,
        unanswered: bool,
        now: SimTime,
    ) {
        let (stream, producer) = self.ends_of(request);
        let shard = item.landed.0;
        let target = &mut self.streams[stream].shards[shard as usize];
        let (record_budget, byte_budget) =
            target.write_budget(now, u64::from(item.wire_records), item.wire_bytes);
        let (attempts, offered_bytes) = (item.users, item.wire_bytes);
        let whole = (item.wire_records, item.wire_bytes, item.users);
        let mut stored = std::mem::take(&mut self.stored);
        let admission = item.admit(record_budget, byte_budget, &mut stored);
        self.ledger.judge(producer, u64::from(attempts), u64::from(item.users));
        if !unanswered {
            let outages = &mut self.producers[producer].outages;
            if attempts > item.users {
                outages.accept(shard, now);
            }
            if item.users > 0 {
                outages.fail(shard, request.sent_at, now);
            }
        }
        if admission.wire_records > 0 {
            let (records, bytes) = (u64::from(admission.wire_records), admission.wire_bytes);
            target.charge_write(now, records, bytes);
            target.log.append(request.sent_at, now, (admission.wire_records, bytes), &stored);
            self.charge(stream, admission.wire_records, bytes);
        }
        self.streams[stream].note_demand(now, offered_bytes);
        for batch in &stored {
            let (partition, batch, copy) = (shard, Records::run(batch), batch.already_stored);
            let (run, in_order) = (batch, false);
            self.ledger.saw(|| Seen::Appended { partition, batch, run, in_order, copy });
            if !unanswered {
                self.ledger.saw(|| Seen::Acknowledged { batch });
            }
        }
        let new = self.book_stored(producer, stream, &stored, unanswered, now);
        if admission.wire_records > 0 {
            for app in 0..self.readers[stream].len() {
                let app = self.readers[stream][app];
                self.with_app(app, now, |app, at| app.appended(shard, new, at));
            }
        }
        if unanswered {
            // Stored, but the client does not know: it holds the whole item still.
            (item.wire_records, item.wire_bytes, item.users) = whole;
            stored.iter_mut().for_each(|batch| batch.already_stored = true);
            item.batches.append(&mut stored);
        }
        stored.clear();
        self.stored = stored;
        request.items.push(item);
    }

    /// Books what was appended; returns the records that had not been stored before.
    fn book_stored(
        &mut self,
        producer: usize,
        stream: usize,
        stored: &[Batch],
        unanswered: bool,
        now: SimTime,
    ) -> u64 {
        let (mut new, mut copies, mut records, mut bytes) = (0_u64, 0_u64, 0_u64, 0_u64);
        for batch in stored {
            let count = u64::from(batch.count);
            if batch.already_stored {
                copies += count;
            } else {
                new += count;
            }
            records += count;
            bytes += u64::from(batch.bytes);
            if !unanswered {
                let latency = now.since(batch.offered_at);
                self.producers[producer].latency.record(latency, batch.count);
            }
        }
        self.ledger.append(producer, &self.readers[stream], new, false);
        if copies > 0 {
            self.ledger.append(producer, &self.readers[stream], copies, true);
        }
        if !unanswered {
            self.ledger.accept(producer, records, bytes);
        }
        new
    }

    /// Judges an item whose shard is closed: its records belong to shards that came after it.
    ///
    /// An aggregate goes as a whole to the shard of its first record; records of it that belong
    /// elsewhere are dropped by every KCL and sent again by the KPL (N-KPL-6, N-KPL-7), so this copy
    /// of them counts as never stored.
    fn judge_rerouted(
        &mut self,
        mut item: PutItem,
        request: &mut PutRequest,
        unanswered: bool,
        now: SimTime,
    ) {
        let (stream, producer) = self.ends_of(request);
        let mut pieces = self.pool.pop().unwrap_or_default();
        for batch in item.batches.drain(..) {
            let of = &self.streams[stream].shards[batch.partition as usize];
            if of.is_open() {
                pieces.push(batch);
            } else {
                let range = of.range;
                let workload = &mut self.producers[producer].workload;
                workload.settle(batch, range, |piece| pieces.push(piece));
            }
        }
        if item.aggregated {
            let landed = pieces.first().map_or(item.shard.0, |first| first.partition);
            let (home, strayed): (Vec<Batch>, Vec<Batch>) =
                pieces.iter().partition(|piece| piece.partition == landed);
            item.landed = ShardIndex(landed);
            item.batches.extend(home);
            let strays: u32 = strayed.iter().map(|batch| batch.count).sum();
            item.users -= strays;
            self.ledger.judge(producer, u64::from(strays), 0);
            let kept = request.items.len();
            self.judge(item, request, unanswered, now);
            request.items[kept].batches.extend(strayed);
            request.items[kept].users += strays;
        } else {
            pieces.sort_by_key(|piece| piece.partition);
            let mut rest = pieces.as_slice();
            while let Some(first) = rest.first() {
                let len = rest.iter().take_while(|b| b.partition == first.partition).count();
                let batches = rest[..len].to_vec();
                let users: u32 = batches.iter().map(|batch| batch.count).sum();
                let bytes: u64 = batches.iter().map(|batch| u64::from(batch.bytes)).sum();
                let shard = ShardIndex(first.partition);
                // A client without a map is not told that the shard is another one.
                let piece = PutItem {
                    shard,
                    landed: shard,
                    wire_records: users,
                    wire_bytes: bytes,
                    users,
                    batches,
                    ..item
                };
                self.judge(piece, request, unanswered, now);
                rest = &rest[len..];
            }
        }
        pieces.clear();
        self.pool.push(pieces);
    }

    /// Bills accepted Kinesis records.
    fn charge(&mut self, stream: usize, records: u32, bytes: u64) {
        let each = bytes.div_ceil(u64::from(records)).max(1);
        let records = u64::from(records);
        let usage = &mut self.usage[stream];
        usage.wire_records += records;
        usage.wire_bytes += bytes;
        match self.streams[stream].config.capacity {
            crate::config::Capacity::Provisioned { .. } => {
                usage.put_units += records * each.div_ceil(PUT_UNIT);
            }
            crate::config::Capacity::OnDemand(_) => {
                usage.on_demand_bytes += records * each.next_multiple_of(1_024);
            }
        }
    }

    /// Whether an injected fault of this share strikes a request of a flow now.
    fn strikes(&mut self, flow: FlowId, share_ppm: u32) -> bool {
        let luck = &mut self.stream_client(flow).fault_luck;
        share_ppm > 0 && luck.below(1_000_000) < u64::from(share_ppm)
    }

    /// The client of a flow that writes to a stream.
    fn stream_client(&mut self, flow: FlowId) -> &mut StreamClient {
        match &mut self.flows[usize::from(flow.0)].home {
            Home::Stream(client) => client,
            Home::Cluster(_) => unreachable!("a cluster keeps its clients itself"),
        }
    }

    fn request_timeout(&self, flow: FlowId) -> crate::engine::SimDuration {
        let producer = usize::from(self.flows[usize::from(flow.0)].producer);
        match &self.config.producers[producer].client {
            crate::config::ClientConfig::Kpl(kpl) => kpl.request_timeout,
            crate::config::ClientConfig::Sdk(sdk) => sdk.request_timeout,
            crate::config::ClientConfig::Kafka(kafka) => kafka.request_timeout,
        }
    }
}
