//! What producers' clients have in common: what they see of the world, and how many requests they
//! may have under way.

use std::collections::VecDeque;

use crate::engine::{RngStream, SimTime};
use crate::flow::{Batch, FlowId};
use crate::ledger::{Ledger, Records, Seen};
use crate::metrics::outages::Outages;

use super::kpl::Kpl;
use super::put::{PutItem, PutRequest};
use super::sdk::Sdk;

#[cfg(test)]
pub(crate) mod bench;

/// An event inside a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientEvent {
    /// KPL: an aggregation buffer has reached its deadline.
    BufferDue,
    /// A request is due by time. Stale unless the number is the present collection's.
    CollectionDue(u32),
    /// KPL: the limiter looks at its queues.
    Drain,
    /// KPL: the shard map has been read again.
    MapRefreshed,
    /// SDK: the wait before a re-send is over.
    Resend(u32),
}

/// The client library of one flow.
#[derive(Clone, Debug)]
pub enum Client {
    /// Kinesis Producer Library.
    Kpl(Box<Kpl>),
    /// Plain SDK.
    Sdk(Box<Sdk>),
}

/// What a client sees of the world while it handles something.
pub struct ClientCtx<'a> {
    /// The present instant.
    pub now: SimTime,
    /// The flow that this client serves.
    pub flow: FlowId,
    /// Index of its stream.
    pub stream: u16,
    /// Index of its producer, for the ledger.
    pub producer: usize,
    /// The books.
    pub ledger: &'a mut Ledger,
    /// How long its producer could not write.
    pub outages: &'a mut Outages,
    /// Random numbers of its own.
    pub rng: &'a mut RngStream,
    /// Requests that leave now.
    pub requests: &'a mut Vec<PutRequest>,
    /// Events of its own that it wants later.
    pub timers: &'a mut Vec<(SimTime, ClientEvent)>,
    /// Empty vectors for batches, to be used again.
    pub pool: &'a mut Vec<Vec<Batch>>,
    /// Empty vectors for items, to be used again.
    pub item_pool: &'a mut Vec<Vec<PutItem>>,
}

impl ClientCtx<'_> {
    /// Records are given up.
    pub fn give_up(&mut self, batch: &Batch) {
        self.outages.give_up(batch.partition, self.now);
        self.ledger.give_up(self.producer, u64::from(batch.count), batch.already_stored);
        let stored = batch.already_stored;
        self.ledger.saw(|| Seen::GaveUp { batch: Records::run(batch), stored });
    }

    /// An empty vector for batches.
    pub fn empty(&mut self) -> Vec<Batch> {
        self.pool.pop().unwrap_or_default()
    }

    /// Gives a vector back.
    pub fn recycle(&mut self, mut batches: Vec<Batch>) {
        batches.clear();
        self.pool.push(batches);
    }
}

impl Client {
    /// The application hands over records; `batches` is drained.
    pub fn offer(&mut self, batches: &mut Vec<Batch>, ctx: &mut ClientCtx<'_>) {
        match self {
            Self::Kpl(kpl) => kpl.offer(batches, ctx),
            Self::Sdk(sdk) => sdk.offer(batches, ctx),
        }
    }

    /// An event of its own.
    pub fn handle(&mut self, event: ClientEvent, ctx: &mut ClientCtx<'_>) {
        match self {
            Self::Kpl(kpl) => kpl.handle(event, ctx),
            Self::Sdk(sdk) => sdk.handle(event, ctx),
        }
    }

    /// A request is answered, or has timed out: its items hold what failed.
    pub fn answered(&mut self, items: Vec<PutItem>, ctx: &mut ClientCtx<'_>) {
        match self {
            Self::Kpl(kpl) => kpl.answered(items, ctx),
            Self::Sdk(sdk) => sdk.answered(items, ctx),
        }
    }

    /// Shards were replaced; a client with a map of its own does not know yet.
    pub fn resharded(&mut self, closed: &[u32], opened: &[u32]) {
        match self {
            Self::Kpl(kpl) => kpl.resharded(closed, opened),
            Self::Sdk(_) => {}
        }
    }

    /// Calls `each` with every batch that the client holds.
    pub fn for_each_held(&self, each: &mut dyn FnMut(&Batch)) {
        match self {
            Self::Kpl(kpl) => kpl.for_each_held(each),
            Self::Sdk(sdk) => sdk.for_each_held(each),
        }
    }
}

/// Requests under way, up to a limit; the others wait in line.
#[derive(Clone, Debug)]
pub struct Connections {
    most: u32,
    used: u32,
    waiting: VecDeque<(SimTime, Vec<PutItem>)>,
}

impl Connections {
    /// No request under way, at most `most` at a time.
    #[must_use]
    pub fn new(most: u32) -> Self {
        Self { most: most.max(1), used: 0, waiting: VecDeque::new() }
    }

    /// Sends a request now, or as soon as a connection is free.
    pub fn send(&mut self, items: Vec<PutItem>, ctx: &mut ClientCtx<'_>) {
        if self.used < self.most {
            self.used += 1;
            ctx.requests.push(launch(items, ctx));
        } else {
            self.waiting.push_back((ctx.now, items));
        }
    }

    /// A connection is free again.
    pub fn release(&mut self, ctx: &mut ClientCtx<'_>) {
        self.used -= 1;
        let Some((since, mut items)) = self.waiting.pop_front() else {
            return;
        };
        self.used += 1;
        note_backlog(&mut items, ctx.now.since(since).0);
        ctx.requests.push(launch(items, ctx));
    }

    /// Calls `each` with every batch that waits in line.
    pub fn for_each_held(&self, each: &mut dyn FnMut(&Batch)) {
        for (_, items) in &self.waiting {
            items.iter().flat_map(|item| &item.batches).for_each(&mut *each);
        }
    }
}

/// Batches that were never sent have waited for `ns` although they were due.
pub fn note_backlog(items: &mut [PutItem], ns: u64) {
    for batch in items.iter_mut().flat_map(|item| &mut item.batches) {
        if batch.first_sent_at == SimTime::MAX {
            batch.backlog_ns += ns;
        }
    }
}

fn launch(mut items: Vec<PutItem>, ctx: &ClientCtx<'_>) -> PutRequest {
    for batch in items.iter_mut().flat_map(|item| &mut item.batches) {
        batch.first_sent_at = batch.first_sent_at.min(ctx.now);
    }
    PutRequest { flow: ctx.flow, stream: ctx.stream, sent_at: ctx.now, items }
}
