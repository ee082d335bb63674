//! A client alone: a clock, its timers, and what it has sent. Nothing is answered by itself.

use std::collections::BTreeMap;

use super::{Client, ClientCtx, ClientEvent};
use crate::config::KplConfig;
use crate::engine::{RngStream, Rngs, SimDuration, SimTime};
use crate::flow::{Batch, FlowId, KeyClass};
use crate::kinesis::put::{PutItem, PutRequest};
use crate::ledger::Ledger;
use crate::metrics::outages::Outages;

pub(crate) fn at_ms(ms: u64) -> SimTime {
    SimTime(ms * 1_000_000)
}

/// KPL with the defaults of N-KPL-2.
pub(crate) fn default_kpl() -> KplConfig {
    KplConfig {
        aggregation_enabled: true,
        aggregation_max_size: 51_200,
        aggregation_max_count: u32::MAX,
        collection_max_count: 500,
        collection_max_size: 5 << 20,
        record_max_buffered_time: SimDuration::from_millis(100),
        record_ttl: SimDuration::from_secs(30),
        rate_limit: 150,
        max_connections: 24,
        request_timeout: SimDuration::from_secs(6),
        fail_if_throttled: false,
    }
}

/// A client and its surroundings.
pub(crate) struct ClientBench {
    pub(crate) client: Client,
    pub(crate) now: SimTime,
    pub(crate) ledger: Ledger,
    outages: Outages,
    /// Requests that it has sent and that are not answered yet.
    pub(crate) sent: Vec<PutRequest>,
    timers: BTreeMap<(SimTime, u64), ClientEvent>,
    timers_set: u64,
    rng: RngStream,
    pool: Vec<Vec<Batch>>,
    item_pool: Vec<Vec<PutItem>>,
}

impl ClientBench {
    pub(crate) fn new(client: Client, seed: u64) -> Self {
        Self {
            client,
            now: SimTime::ZERO,
            ledger: Ledger::new(1, 0),
            outages: Outages::default(),
            sent: Vec::new(),
            timers: BTreeMap::new(),
            timers_set: 0,
            rng: Rngs::new(seed).stream("client"),
            pool: Vec::new(),
            item_pool: Vec::new(),
        }
    }

    fn act(&mut self, act: impl FnOnce(&mut Client, &mut ClientCtx<'_>)) {
        let mut timers = Vec::new();
        let mut ctx = ClientCtx {
            now: self.now,
            flow: FlowId(0),
            stream: 0,
            producer: 0,
            ledger: &mut self.ledger,
            outages: &mut self.outages,
            rng: &mut self.rng,
            requests: &mut self.sent,
            timers: &mut timers,
            pool: &mut self.pool,
            item_pool: &mut self.item_pool,
        };
        act(&mut self.client, &mut ctx);
        for (at, event) in timers {
            self.timers.insert((at, self.timers_set), event);
            self.timers_set += 1;
        }
    }

    /// Lets everything happen that is due by `ms`.
    pub(crate) fn run_until(&mut self, ms: u64) {
        while let Some(entry) = self.timers.first_entry() {
            let (at, _) = *entry.key();
            if at > at_ms(ms) {
                break;
            }
            let event = entry.remove();
            self.now = at;
            self.act(|client, ctx| client.handle(event, ctx));
        }
        self.now = at_ms(ms);
    }

    /// The application hands over records for a shard, now.
    pub(crate) fn offer(&mut self, shard: u32, count: u32, bytes_each: u32) {
        let bytes = count * bytes_each;
        self.ledger.offer(0, u64::from(count), u64::from(bytes));
        let mut batches = vec![Batch {
            offered_at: self.now,
            first_sent_at: SimTime::MAX,
            first_seq: 0,
            backlog_ns: 0,
            count,
            bytes,
            class: KeyClass::REST,
            partition: shard,
            flow: FlowId(0),
            stride: 1,
            failures: 0,
            already_stored: false,
        }];
        self.act(|client, ctx| client.offer(&mut batches, ctx));
    }

    /// The oldest request under way fails in every record.
    pub(crate) fn refuse(&mut self) {
        let request = self.sent.remove(0);
        self.answer(request.items);
    }

    /// The oldest request under way succeeds in every record.
    pub(crate) fn store(&mut self) {
        let mut request = self.sent.remove(0);
        for item in &mut request.items {
            item.batches.clear();
        }
        self.answer(request.items);
    }

    /// A request is answered with these items, now.
    pub(crate) fn answer(&mut self, items: Vec<PutItem>) {
        self.act(|client, ctx| client.answered(items, ctx));
    }

    /// When each request under way was sent, in milliseconds, and its Kinesis records.
    pub(crate) fn requests(&self) -> Vec<(u64, u32)> {
        let of = |request: &PutRequest| {
            let records = request.items.iter().map(|item| item.wire_records).sum();
            (request.sent_at.0 / 1_000_000, records)
        };
        self.sent.iter().map(of).collect()
    }

    /// Application records in the requests under way.
    pub(crate) fn users(&self) -> u32 {
        let items = self.sent.iter().flat_map(|request| &request.items);
        items.map(|item| item.users).sum()
    }

    /// Records that the client has given up.
    pub(crate) fn refused(&self) -> u64 {
        self.ledger.producers[0].refused
    }
}
