//! A caller of the plain SDK's PutRecords.
//!
//! | Mechanism                                                                | Fact    |
//! |--------------------------------------------------------------------------|---------|
//! | at most 500 records per request                                           | N-W-6   |
//! | the SDK does not send failed entries again: that is the caller's job       | N-W-12  |
//! | the caller waits with full jitter before it does                           | D-26    |
//! | a caller that ignores FailedRecordCount loses exactly those records        | V-14    |
//!
//! Simplification: the caller's own queue is unbounded, and its requests are cut from that queue in
//! the order of arrival. A real application may block or drop instead.

use crate::config::SdkConfig;
use crate::engine::{SimDuration, SimTime, Slab};
use crate::flow::{Batch, split_prefix};

use super::ShardIndex;
use super::client::{ClientCtx, ClientEvent, Connections};
use super::put::PutItem;

/// One process that calls PutRecords, or several folded into one.
#[derive(Clone, Debug)]
pub struct Sdk {
    config: SdkConfig,
    most_records: u32,
    waiting: Vec<Batch>,
    users: u64,
    number: u32,
    connections: Connections,
    backing_off: Slab<Vec<PutItem>>,
}

impl Sdk {
    /// A caller of `processes` equal processes.
    #[must_use]
    pub fn new(config: &SdkConfig, processes: u32) -> Self {
        Self {
            most_records: config.batch_records.clamp(1, 500).saturating_mul(processes),
            connections: Connections::new(config.max_in_flight.saturating_mul(processes)),
            config: config.clone(),
            waiting: Vec::new(),
            users: 0,
            number: 0,
            backing_off: Slab::default(),
        }
    }

    /// The application hands over records.
    pub fn offer(&mut self, batches: &mut Vec<Batch>, ctx: &mut ClientCtx<'_>) {
        let was_empty = self.users == 0;
        self.users += batches.iter().map(|batch| u64::from(batch.count)).sum::<u64>();
        self.waiting.append(batches);
        let mut cut = false;
        while self.users >= u64::from(self.most_records) {
            self.send(self.most_records, ctx);
            cut = true;
        }
        if self.users > 0 && (was_empty || cut) {
            let due = ctx.now + self.config.linger;
            ctx.timers.push((due, ClientEvent::CollectionDue(self.number)));
        }
    }

    /// An event of its own.
    pub fn handle(&mut self, event: ClientEvent, ctx: &mut ClientCtx<'_>) {
        match event {
            ClientEvent::CollectionDue(number) => {
                if number == self.number && self.users > 0 {
                    let users = u32::try_from(self.users).expect("less than a full request");
                    self.send(users, ctx);
                }
            }
            ClientEvent::Resend(id) => {
                let items = self.backing_off.remove(id);
                self.connections.send(items, ctx);
            }
            ClientEvent::BufferDue | ClientEvent::Drain | ClientEvent::MapRefreshed => {
                unreachable!("the SDK has no aggregator, limiter or shard map")
            }
        }
    }

    /// A request is answered: failed entries are sent again after a wait, or given up (D-26).
    pub fn answered(&mut self, mut items: Vec<PutItem>, ctx: &mut ClientCtx<'_>) {
        self.connections.release(ctx);
        let failed = |item: &PutItem| !item.batches.is_empty();
        for stored in items.extract_if(.., |item| !failed(item)) {
            ctx.recycle(stored.batches);
        }
        let Some(first) = items.first() else {
            ctx.item_pool.push(items);
            return;
        };
        // All records of a request have failed equally often.
        let failures = first.batches[0].failures;
        let retry = self.config.retry_failed.as_ref().filter(|retry| failures < retry.attempts);
        let Some(retry) = retry else {
            for item in items.drain(..) {
                item.batches.iter().for_each(|batch| ctx.give_up(batch));
                ctx.recycle(item.batches);
            }
            ctx.item_pool.push(items);
            return;
        };
        let doubled = retry.base.times(1_u64.checked_shl(failures).unwrap_or(u64::MAX));
        let ceiling = doubled.min(retry.ceiling);
        let wait = SimDuration(ctx.rng.below(ceiling.0.saturating_add(1)));
        for item in &mut items {
            item.shard = item.landed;
            for batch in &mut item.batches {
                batch.failures = batch.failures.saturating_add(1);
            }
        }
        let id = self.backing_off.insert(items);
        ctx.timers.push((ctx.now + wait, ClientEvent::Resend(id)));
    }

    /// Calls `each` with every batch that it holds.
    pub fn for_each_held(&self, each: &mut dyn FnMut(&Batch)) {
        self.waiting.iter().for_each(&mut *each);
        let items = self.backing_off.iter().flatten();
        items.flat_map(|item| &item.batches).for_each(&mut *each);
        self.connections.for_each_held(each);
    }

    /// Sends the first `users` records as one request, an item per shard.
    fn send(&mut self, users: u32, ctx: &mut ClientCtx<'_>) {
        let mut taken = ctx.empty();
        if u64::from(users) == self.users {
            std::mem::swap(&mut taken, &mut self.waiting);
        } else {
            split_prefix(&mut self.waiting, users, &mut taken);
        }
        self.users -= u64::from(users);
        self.number = self.number.wrapping_add(1);
        taken.sort_by_key(|batch| batch.partition);
        let mut items: Vec<PutItem> = ctx.item_pool.pop().unwrap_or_default();
        for batch in taken.drain(..) {
            if items.last().is_none_or(|item| item.shard.0 != batch.partition) {
                let shard = ShardIndex(batch.partition);
                let batches = ctx.empty();
                let (now, deadline) = (ctx.now, SimTime::MAX);
                let item = PutItem {
                    shard,
                    landed: shard,
                    queued_at: now,
                    deadline,
                    batches,
                    ..PutItem::default()
                };
                items.push(item);
            }
            let item = items.last_mut().expect("just pushed");
            item.wire_records += batch.count;
            item.users += batch.count;
            item.wire_bytes += u64::from(batch.bytes);
            item.batches.push(batch);
        }
        ctx.recycle(taken);
        self.connections.send(items, ctx);
    }
}

#[cfg(test)]
mod tests;
