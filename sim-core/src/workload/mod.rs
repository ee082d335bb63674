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

/// Bytes, and records, of one batch at most: a clump that holds more is several batches.
const MOST_OF_A_BATCH: u64 = 1 << 31;

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
    dealt: Vec<(u32, u64)>,
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
            self.offer_run(now, flow, class, (seq, self.salt), (shard, count), each);
        }
    }

    fn offer_rest(&mut self, now: SimTime, flow: u16, records: u64, each: &mut impl FnMut(Batch)) {
        let mut first_seq = self.take_seqs(flow, self.hot.len(), records);
        let class = if self.keys.is_unique() { KeyClass::UNIQUE } else { KeyClass::REST };
        if self.unkeyed {
            if records > 0 {
                self.offer_run(now, flow, class, (first_seq, 1), (NO_PARTITION, records), each);
            }
            return;
        }
        let routes = self.routes.as_mut().expect("routed before the start");
        let mut dealt = std::mem::take(&mut self.dealt);
        if self.keys.is_in_turn() {
            // After so many records it is the same key's turn again.
            let turns = self.keys.turns();
            for number in 0..records.min(turns) {
                let turn = self.offered + u64::from(flow) + number * u64::from(self.flows);
                let count = (records - number).div_ceil(turns);
                dealt.push((routes.shard_of(self.keys.in_turn(turn)), count));
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
            routes.deal(&mut self.draws, records, |shard, count| dealt.push((shard, count)));
        }
        for part in dealt.drain(..) {
            self.offer_run(now, flow, class, (first_seq, 1), part, each);
            first_seq += part.1;
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
                    self.offer_run(now, flow, class, (seq, 1), (shard, 1), each);
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

    /// `count` records of one class for one partition, cut so that each batch can hold its bytes.
    fn offer_run(
        &mut self,
        now: SimTime,
        flow: u16,
        class: KeyClass,
        (mut first_seq, stride): (u64, u16),
        (partition, count): (u32, u64),
        each: &mut impl FnMut(Batch),
    ) {
        let data = self.sizes.sum_of(&mut self.draws, count);
        let bytes = data + count * u64::from(self.key_bytes);
        let (mut records_left, mut bytes_left) = (count, bytes);
        let batches = bytes.max(count).div_ceil(MOST_OF_A_BATCH);
        for batches_left in (1..=batches).rev() {
            let records = records_left.div_ceil(batches_left);
            let bytes = part_of(bytes_left, records, records_left);
            each(Batch {
                offered_at: now,
                first_sent_at: SimTime::MAX,
                first_seq,
                backlog_ns: 0,
                count: u32::try_from(records).expect("at most 2^31 records"),
                bytes: u32::try_from(bytes).expect("at most 2^31 bytes and a record"),
                class,
                partition,
                flow: FlowId(self.first_flow + flow),
                stride,
                failures: 0,
                already_stored: false,
            });
            records_left -= records;
            bytes_left -= bytes;
            first_seq += records * u64::from(stride);
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

/// `whole * part / of`, rounded down.
fn part_of(whole: u64, part: u64, of: u64) -> u64 {
    // The usual case, without a division of 128 bits.
    if let Some(product) = whole.checked_mul(part) {
        return product / of.max(1);
    }
    let share = u128::from(whole) * u128::from(part) / u128::from(of.max(1));
    u64::try_from(share).expect("a part is no larger than the whole")
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

    /// A workload of one flow on a grid of a second.
    fn workload(rate: u64, size: u32, keys: KeyDistribution, to: Destination) -> Workload {
        use crate::config::{ClientConfig, RateProfile, SdkConfig, SizeDistribution};
        let config = ProducerConfig {
            name: "producer".into(),
            to,
            instances: 1,
            flows: 1,
            rate: RateProfile { knots: vec![(SimTime::ZERO, rate * 1_000_000)] },
            arrivals: Arrivals::Even,
            record_size: SizeDistribution::Fixed(size),
            keys,
            hot_keys: Vec::new(),
            salt: 1,
            client: ClientConfig::Sdk(SdkConfig {
                batch_records: 1,
                linger: SimDuration::ZERO,
                max_in_flight: 1,
                request_timeout: SimDuration::ZERO,
                retry_failed: None,
            }),
        };
        Workload::new(&config, CELL, (0, 1), &[], Vec::new(), &Rngs::new(1))
    }

    const CELL: SimDuration = SimDuration::from_secs(1);

    /// What one cell brings a single partition: (batches, records, bytes, last number).
    fn one_cell(rate: u64, size: u32, keys: KeyDistribution) -> (usize, u64, u64, u64) {
        let mut workload = workload(rate, size, keys, Destination::Topic { cluster: 0, topic: 0 });
        workload.reroute_partitions(1);
        let (mut batches, mut next_seq, mut bytes) = (0, 0, 0);
        workload.offer(SimTime::ZERO + CELL, |batch| {
            assert_eq!(batch.first_seq, next_seq, "numbers go on where the last batch ended");
            assert!(u64::from(batch.bytes) <= MOST_OF_A_BATCH + u64::from(size));
            (batches, bytes) = (batches + 1, bytes + u64::from(batch.bytes));
            next_seq += u64::from(batch.count);
        });
        (batches, workload.offered, bytes, next_seq)
    }

    /// Keys 0, 1 and 2^128 - 1 on two shards: the lower one gets two turns of three, and the first of
    /// what is left over. However many records there are, it takes three steps.
    #[test]
    fn hash_keys_are_dealt_in_turn_by_the_billion() {
        let shards: Vec<_> = (0..2).zip(crate::hash::create_ranges(2)).collect();
        for (rate, lower) in [(7, 5), (3_000, 2_000), (1_000_000_000, 666_666_667)] {
            let keys = KeyDistribution::HashKeys(vec![0, 1, u128::MAX]);
            let mut workload = workload(rate, 1, keys, Destination::Stream(0));
            workload.reroute(shards.clone());
            let mut dealt = [0, 0];
            workload.offer(SimTime::ZERO + CELL, |batch| {
                dealt[batch.partition as usize] += u64::from(batch.count);
            });
            assert_eq!(dealt, [lower, rate - lower]);
        }
    }

    /// 20,000 MiB are 9.8 times 2 GiB, so ten batches; 50,000 times 10 MiB 244.1, so 245; the most
    /// that a file may ask for, 10^9 records a second, at 1,010 B 470.3, so 471, and with a key of one
    /// byte 470.8. Below 2 GiB it is one.
    #[test]
    fn a_clump_of_any_size_is_offered_whole_in_batches_that_can_hold_it() {
        for (rate, size, batches) in [
            (20_000, 1 << 20, 10),
            (50_000, 10 << 20, 245),
            (1_000_000_000, 1_010, 471),
            (2_000, 1 << 20, 1),
        ] {
            let keyed = KeyDistribution::Uniform { prefix: String::new(), keys: 1 };
            for (keys, key_bytes) in [(KeyDistribution::Random, 0), (keyed, 1)] {
                let bytes = rate * (u64::from(size) + key_bytes);
                assert_eq!(one_cell(rate, size, keys), (batches, rate, bytes, rate));
            }
        }
    }

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
