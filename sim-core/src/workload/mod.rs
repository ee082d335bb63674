//! Workloads: when records are offered, of which keys, how large.
//!
//! Arrivals are a function of (seed, producer, cell of the grid W) and never of the client, so that
//! every run of a comparison is offered the same records (decision D-9). They come in clumps on the
//! grid (D-8); at W = 0 every record comes alone, at its own instant, with its own key.

pub mod keys;
pub mod rate;
pub mod sizes;

use crate::config::{Arrivals, Destination, KeyDistribution, ProducerConfig};
use crate::engine::dist::{AliasTable, binomial, poisson};
use crate::engine::{RngStream, Rngs, SimDuration, SimTime};
use crate::flow::{Batch, FlowId, KeyClass, NO_PARTITION};
use crate::hash::{HashRange, hash_key, kafka_hash};

use keys::{KeySpace, Routes};
use rate::{Factor, Rate};
use sizes::Sizes;

/// The width of the cells in which record-exact arrivals are drawn.
const EXACT_CELL: SimDuration = SimDuration::from_millis(100);

/// A key that takes a share of all records for a while.
#[derive(Clone, Debug)]
pub struct HotKey {
    /// The key, before salting.
    pub key: String,
    /// Share of all records, in millionths.
    pub share_ppm: u32,
    /// From when.
    pub from: SimTime,
    /// Until when.
    pub until: SimTime,
}

/// The arrivals of one producer.
#[derive(Clone, Debug)]
pub struct Workload {
    rate: Rate,
    arrivals: Arrivals,
    resolution: SimDuration,
    first_flow: u16,
    flows: u16,
    sizes: Sizes,
    key_bytes: u32,
    keys: KeySpace,
    /// Records of the rest have no key: the client chooses their partition.
    unkeyed: bool,
    routes: Option<Routes>,
    hot: Vec<HotKey>,
    /// Hash keys of each hot key's sub-keys.
    hot_hashes: Vec<Vec<u128>>,
    salt: u16,
    counts: RngStream,
    draws: RngStream,
    reroutes: RngStream,
    /// Next number of each flow's records, one per class: hot keys first, then the rest.
    next_seq: Vec<u64>,
    /// Records offered so far.
    offered: u64,
    /// Record-exact runs: keys by mass.
    exact_keys: Option<AliasTable>,
    /// Record-exact runs: instants of the present cell, latest first.
    upcoming: Vec<SimTime>,
    /// Record-exact runs: up to where instants are drawn.
    filled_until: SimTime,
    /// Scratch: how a clump fell on the shards.
    dealt: Vec<(u32, u32)>,
}

impl Workload {
    /// The workload of a producer whose flows are numbered from `first_flow`.
    #[must_use]
    pub fn new(
        config: &ProducerConfig,
        resolution: SimDuration,
        flows: (u16, u16),
        factors: &[Factor],
        hot: Vec<HotKey>,
        rngs: &Rngs,
    ) -> Self {
        let (first_flow, flows) = flows;
        let (hash, unkeyed): (fn(&str) -> u128, bool) = match config.to {
            Destination::Stream(_) => (hash_key, false),
            Destination::Topic { .. } => (kafka_hash, config.keys == KeyDistribution::Random),
        };
        let keys = KeySpace::hashed(&config.keys, hash);
        let salt = u16::try_from(config.salt.clamp(1, 65_535)).expect("clamped");
        let hot_hashes = hot.iter().map(|hot| salted_hashes(&hot.key, salt, hash)).collect();
        let exact_keys = (resolution.0 == 0 && !keys.ranks().0.is_empty())
            .then(|| AliasTable::new(keys.ranks().0));
        let name = &config.name;
        Self {
            rate: Rate::new(&config.rate, factors),
            arrivals: config.arrivals,
            resolution,
            first_flow,
            flows,
            sizes: Sizes::new(&config.record_size),
            key_bytes: mean_key_bytes(config),
            routes: None,
            next_seq: vec![0; usize::from(flows) * (hot.len() + 1)],
            hot_hashes,
            hot,
            salt,
            counts: rngs.stream(&format!("producer/{name}/arrivals")),
            draws: rngs.stream(&format!("producer/{name}/keys")),
            reroutes: rngs.stream(&format!("producer/{name}/reroutes")),
            keys,
            unkeyed,
            offered: 0,
            exact_keys,
            upcoming: Vec::new(),
            filled_until: SimTime::ZERO,
            dealt: Vec::new(),
        }
    }

    /// Tells it the open shards of its stream, in order of range.
    pub fn reroute(&mut self, shards: Vec<(u32, HashRange)>) {
        self.routes = Some(Routes::new(&self.keys, shards));
    }

    /// Tells it how many partitions its topic has.
    pub fn reroute_partitions(&mut self, partitions: u32) {
        self.routes = Some(Routes::over_partitions(&self.keys, partitions));
    }

    /// Instant of the next arrivals after those at `now`.
    #[must_use]
    pub fn next_at(&self, now: SimTime) -> SimTime {
        if self.resolution.0 > 0 {
            return now + self.resolution;
        }
        // An empty cell costs one event, so that a silent workload does not loop here.
        self.upcoming.last().copied().unwrap_or(self.filled_until)
    }

    /// The records offered at `now`: `each` gets every batch with its flow.
    pub fn offer(&mut self, now: SimTime, mut each: impl FnMut(Batch)) {
        if self.resolution.0 == 0 {
            self.offer_exactly(now, &mut each);
            return;
        }
        let cell = now.0 / self.resolution.0;
        let records = self.count(now - self.resolution, now, cell);
        for flow in 0..self.flows {
            let of_flow = dealt_in_turn(self.offered, records, flow, self.flows);
            if of_flow > 0 {
                self.draws.seek(cell * u64::from(self.flows) + u64::from(flow));
                self.offer_clump(now, flow, of_flow, &mut each);
            }
        }
        self.offered += records;
    }

    /// Records whose instants lie in (from, until].
    fn count(&mut self, from: SimTime, until: SimTime, cell: u64) -> u64 {
        match self.arrivals {
            Arrivals::Even => self.rate.records_by(until) - self.rate.records_by(from),
            Arrivals::Poisson => {
                self.counts.seek(cell);
                poisson(&mut self.counts, self.rate.mean_between(from, until))
            }
        }
    }

    fn offer_clump(&mut self, now: SimTime, flow: u16, records: u64, each: &mut impl FnMut(Batch)) {
        let mut left = records;
        let mut share_left = 1_000_000_u32;
        for hot in 0..self.hot.len() {
            let key = &self.hot[hot];
            if !(key.from < now && now <= key.until) || share_left == 0 {
                continue;
            }
            let chance = f64::from(key.share_ppm) / f64::from(share_left);
            let drawn = binomial(&mut self.draws, left, chance.min(1.0));
            share_left = share_left.saturating_sub(key.share_ppm);
            left -= drawn;
            self.offer_hot(now, flow, hot, drawn, each);
        }
        self.offer_rest(now, flow, left, each);
    }

    /// `records` of one hot key, dealt over its sub-keys in turn.
    fn offer_hot(
        &mut self,
        now: SimTime,
        flow: u16,
        hot: usize,
        records: u64,
        each: &mut impl FnMut(Batch),
    ) {
        let class = KeyClass(u32::try_from(hot).expect("few hot keys"));
        let first_seq = self.take_seqs(flow, hot, records);
        let salt = u64::from(self.salt);
        for step in 0..salt.min(records) {
            let seq = first_seq + step;
            let count = (records - step).div_ceil(salt);
            let sub_key = usize::try_from(seq % salt).expect("below the salt");
            let hash = self.hot_hashes[hot][sub_key];
            let shard = self.routes.as_ref().expect("routed before the start").shard_of(hash);
            let batch = self.batch(now, flow, class, (seq, self.salt), shard, count);
            each(batch);
        }
    }

    fn offer_rest(&mut self, now: SimTime, flow: u16, records: u64, each: &mut impl FnMut(Batch)) {
        let mut first_seq = self.take_seqs(flow, self.hot.len(), records);
        let class = if self.keys.is_unique() { KeyClass::UNIQUE } else { KeyClass::REST };
        if self.unkeyed {
            if records > 0 {
                each(self.batch(now, flow, class, (first_seq, 1), NO_PARTITION, records));
            }
            return;
        }
        let routes = self.routes.as_mut().expect("routed before the start");
        let mut dealt = std::mem::take(&mut self.dealt);
        if self.keys.is_in_turn() {
            for number in 0..records {
                let turn = self.offered + u64::from(flow) + number * u64::from(self.flows);
                dealt.push((routes.shard_of(self.keys.in_turn(turn)), 1));
            }
            // One batch per shard; keys that are dealt in turn have no order among each other.
            dealt.sort_unstable();
            dealt.dedup_by(|next, kept| {
                let same = next.0 == kept.0;
                if same {
                    kept.1 += next.1;
                }
                same
            });
        } else {
            let records = u32::try_from(records).expect("a clump is far below 2^32 records");
            routes.deal(&mut self.draws, records, |shard, count| dealt.push((shard, count)));
        }
        for (shard, count) in dealt.drain(..) {
            let place = (first_seq, 1);
            each(self.batch(now, flow, class, place, shard, u64::from(count)));
            first_seq += u64::from(count);
        }
        self.dealt = dealt;
    }

    /// One record at its own instant, with its own key.
    fn offer_exactly(&mut self, now: SimTime, each: &mut impl FnMut(Batch)) {
        while self.upcoming.last() == Some(&now) {
            self.upcoming.pop();
            let flow = u16::try_from(self.offered % u64::from(self.flows)).expect("few flows");
            self.draws.seek(self.offered);
            let before = self.hot.iter().position(|key| {
                key.from < now && now <= key.until && {
                    self.draws.below(1_000_000) < u64::from(key.share_ppm)
                }
            });
            match (before, &self.exact_keys) {
                (Some(hot), _) => self.offer_hot(now, flow, hot, 1, each),
                (None, Some(table)) if !self.keys.is_in_turn() => {
                    let rank = table.sample(&mut self.draws);
                    let hash = self.keys.ranks().1[rank as usize];
                    let shard =
                        self.routes.as_ref().expect("routed before the start").shard_of(hash);
                    let seq = self.take_seqs(flow, self.hot.len(), 1);
                    let class = KeyClass(u32::try_from(self.hot.len()).expect("few") + rank);
                    let batch = self.batch(now, flow, class, (seq, 1), shard, 1);
                    each(batch);
                }
                (None, _) => self.offer_rest(now, flow, 1, each),
            }
            self.offered += 1;
        }
        if now == self.filled_until {
            self.fill_cell(now);
        }
    }

    /// Draws the instants of the cell that begins at `now`.
    fn fill_cell(&mut self, now: SimTime) {
        let cell = now.0 / EXACT_CELL.0;
        let until = now + EXACT_CELL;
        let records = self.count(now, until, cell);
        let first = self.rate.records_by(now) + 1;
        self.upcoming = match self.arrivals {
            Arrivals::Even => (first..first + records)
                .map(|number| self.rate.offered_at(number, now, until))
                .collect(),
            Arrivals::Poisson => {
                (0..records).map(|_| SimTime(now.0 + 1 + self.counts.below(EXACT_CELL.0))).collect()
            }
        };
        self.upcoming.sort_unstable_by(|a, b| b.cmp(a));
        self.filled_until = until;
    }

    fn take_seqs(&mut self, flow: u16, class: usize, records: u64) -> u64 {
        let next = &mut self.next_seq[usize::from(flow) * (self.hot.len() + 1) + class];
        let first = *next;
        *next += records;
        first
    }

    fn batch(
        &mut self,
        now: SimTime,
        flow: u16,
        class: KeyClass,
        (first_seq, stride): (u64, u16),
        partition: u32,
        count: u64,
    ) -> Batch {
        let count = u32::try_from(count).expect("a clump is far below 2^32 records");
        let data = self.sizes.sum_of(&mut self.draws, count);
        let bytes = data + u64::from(count) * u64::from(self.key_bytes);
        Batch {
            offered_at: now,
            first_sent_at: SimTime::MAX,
            first_seq,
            backlog_ns: 0,
            count,
            bytes: u32::try_from(bytes).expect("a clump is below 4 GiB"),
            class,
            partition,
            flow: FlowId(self.first_flow + flow),
            stride,
            failures: 0,
            already_stored: false,
        }
    }

    /// Where the records of a batch belong now that the range of its shard has been cut or joined:
    /// `each` gets its pieces, each with an open shard. One key goes whole; the rest is dealt by
    /// mass.
    pub fn settle(&mut self, mut batch: Batch, range: HashRange, mut each: impl FnMut(Batch)) {
        let routes = self.routes.as_ref().expect("routed before the start");
        let hot = usize::try_from(batch.class.0).expect("32 bits");
        let exact = hot.checked_sub(self.hot.len()).and_then(|rank| self.keys.ranks().1.get(rank));
        let one_hash = match self.hot_hashes.get(hot) {
            Some(hashes) => {
                let sub_key = batch.first_seq % u64::from(self.salt);
                Some(hashes[usize::try_from(sub_key).expect("below the salt")])
            }
            None if batch.class.is_one_key() => exact.copied(),
            None => None,
        };
        if let Some(hash) = one_hash {
            batch.partition = routes.shard_of(hash);
            each(batch);
            return;
        }
        let heirs = routes.within(range);
        let mut mass_left: f64 = heirs.iter().map(|(_, mass)| mass).sum();
        for (position, (shard, mass)) in heirs.iter().enumerate() {
            let chance = if mass_left > 0.0 { (mass / mass_left).clamp(0.0, 1.0) } else { 0.0 };
            mass_left -= mass;
            let take = if position + 1 == heirs.len() {
                batch.count
            } else {
                let drawn = binomial(&mut self.reroutes, u64::from(batch.count), chance);
                u32::try_from(drawn).expect("no more than asked for")
            };
            if take == batch.count {
                batch.partition = *shard;
                each(batch);
                return;
            }
            if take > 0 {
                each(Batch { partition: *shard, ..batch.split_front(take) });
            }
        }
    }

    /// The key space, for the chances of overtaking.
    #[must_use]
    pub fn keys(&self) -> &KeySpace {
        &self.keys
    }

    /// The share of the workload's mass on an open shard.
    #[must_use]
    pub fn mass_on(&self, shard: u32) -> f64 {
        self.routes.as_ref().map_or(0.0, |routes| routes.mass_on(shard))
    }

    /// Whether records of this hot key have been offered.
    #[must_use]
    pub fn has_offered(&self, key: &str) -> bool {
        let classes = self.hot.len() + 1;
        let of_key = |index: usize| self.next_seq.iter().skip(index).step_by(classes);
        let keys = self.hot.iter().enumerate().filter(|(_, hot)| hot.key == key);
        keys.into_iter().any(|(index, _)| of_key(index).any(|next| *next > 0))
    }
}

/// Hash keys of the sub-keys of a hot key: `key#0` .. `key#(n-1)`, or the key itself.
fn salted_hashes(key: &str, salt: u16, hash: fn(&str) -> u128) -> Vec<u128> {
    if salt == 1 {
        return vec![hash(key)];
    }
    (0..salt).map(|i| hash(&format!("{key}#{i}"))).collect()
}

/// Of `records` records numbered from `first`, those whose number is `turn` modulo `of`.
fn dealt_in_turn(first: u64, records: u64, turn: u16, of: u16) -> u64 {
    let (turn, of) = (u64::from(turn), u64::from(of));
    let below = |limit: u64| (limit + of - 1 - turn) / of;
    below(first + records) - below(first)
}

/// Mean bytes of a partition key: they count towards the limits (D-23).
fn mean_key_bytes(config: &ProducerConfig) -> u32 {
    use crate::config::KeyDistribution as Keys;
    let to_topic = matches!(config.to, Destination::Topic { .. });
    let length = match &config.keys {
        // Without a key.
        Keys::Random if to_topic => 0,
        // A UUID as text.
        Keys::Random => 36,
        Keys::HashKeys(_) => 1,
        Keys::Uniform { prefix, keys } | Keys::Zipf { prefix, keys, .. } => {
            prefix.len() + keys.saturating_sub(1).to_string().len()
        }
    };
    u32::try_from(length).unwrap_or(256)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dealing_in_turn_gives_every_record_to_one_flow() {
        for first in [0, 1, 7] {
            for records in [0, 1, 2, 10] {
                let sum: u64 = (0..4).map(|flow| dealt_in_turn(first, records, flow, 4)).sum();
                assert_eq!(sum, records);
            }
        }
        // Records 5, 6, 7: flow 1 gets 5, flow 2 gets 6, flow 3 gets 7.
        assert_eq!(dealt_in_turn(5, 3, 0, 4), 0);
        assert_eq!(dealt_in_turn(5, 3, 1, 4), 1);
    }
}
