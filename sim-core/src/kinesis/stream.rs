//! A stream: its shards, and how they are split, merged and multiplied.
//!
//! | Mechanism                                                               | Fact   |
//! |-------------------------------------------------------------------------|--------|
//! | CreateStream(n) ranges; open shards tile the hash space                   | N-W-1, N-W-3 |
//! | SplitShard, MergeShards: parents close, children open, records stay       | N-C-3, N-C-4 |
//! | UpdateShardCount: uniform target, within half and double, 10,000 shards    | N-C-1, N-V-6 |
//! | one operation at a time, each takes its time; or all at once               | N-C-2  |
//! | on-demand: see `on_demand`                                                | N-C-6  |
//! | a mode switch keeps the shard count                                        | N-C-9  |
//!
//! Simplification: the ten changes per day (N-C-1) and account quotas (N-C-5) are not counted; a
//! scenario that changes the count more often than a day allows is not told so. UpdateShardCount
//! replaces all shards that do not already lie on the target's boundaries: first splits along the
//! new boundaries, then merges (AWS's own order is unpublished, N-V-6).

use std::collections::VecDeque;

use crate::config::{Capacity, OnDemandConfig, OnDemandRule, StreamConfig};
use crate::engine::{NANOS_PER_SEC, SimDuration, SimTime};
use crate::hash::{HashRange, create_ranges, uniform_boundaries};

use super::log::Log;
use super::on_demand::{BYTES_PER_SHARD, passes_trigger, promised_capacity, shards_for};
use super::shard::{Shard, WRITE_BYTES_PER_SEC, WRITE_RECORDS_PER_SEC};

/// A change of the shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reshard {
    /// Cut a shard before this hash key.
    Split {
        /// Index of the shard.
        shard: u32,
        /// First hash key of the upper child.
        new_start: u128,
    },
    /// Join the shards on both sides of this boundary.
    MergeAt {
        /// First hash key of the upper shard.
        boundary: u128,
    },
}

/// What a change of the shards brought about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resharded {
    /// Shards that closed.
    pub closed: Vec<u32>,
    /// Shards that opened.
    pub opened: Vec<u32>,
}

/// A Kinesis data stream.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Its configuration; the capacity is the one in force.
    pub config: StreamConfig,
    /// All shards ever, by index.
    pub shards: Vec<Shard>,
    /// Indices of the open shards, in order of range.
    pub open: Vec<u32>,
    /// Changes under way: (when done, what), in order.
    pub pending: VecDeque<(SimTime, Reshard)>,
    /// Greatest number of open shards.
    pub shards_max: u32,
    /// Shard-nanoseconds under provisioned capacity, for the bill.
    pub provisioned_shard_ns: u128,
    /// Nanoseconds under on-demand capacity.
    pub on_demand_ns: u128,
    billed_until: SimTime,
    /// Greatest mean write over a minute so far, bytes per second.
    peak: u64,
    /// Bytes that arrived in the present second, accepted or not, and the last whole second's.
    demand: (u64, u64, u64),
    /// When the folklore rule doubles next.
    doubles_at: Option<SimTime>,
}

impl Stream {
    /// A stream at the start of a run.
    #[must_use]
    pub fn new(config: &StreamConfig) -> Self {
        let count = match &config.capacity {
            Capacity::Provisioned { shards } => *shards,
            Capacity::OnDemand(on_demand) => shards_for(promised_capacity(on_demand, 0)),
        };
        let mut shards: Vec<Shard> = create_ranges(count)
            .into_iter()
            .map(|range| Shard::new(range, [None; 2], config.burst_bytes, SimTime::ZERO))
            .collect();
        if let Some(history) = &config.history {
            for (number, shard) in (0..).zip(&mut shards) {
                shard.log = Log::with_history(&history.share(number, u64::from(count)));
            }
        }
        Self {
            config: config.clone(),
            open: (0..count).collect(),
            shards,
            pending: VecDeque::new(),
            shards_max: count,
            provisioned_shard_ns: 0,
            on_demand_ns: 0,
            billed_until: SimTime::ZERO,
            peak: 0,
            demand: (0, 0, 0),
            doubles_at: None,
        }
    }

    /// Open shards with their ranges, in order of range.
    #[must_use]
    pub fn routes(&self) -> Vec<(u32, HashRange)> {
        self.open.iter().map(|&index| (index, self.shards[index as usize].range)).collect()
    }

    /// The shard's number as AWS writes it.
    #[must_use]
    pub fn shard_name(index: u32) -> String {
        format!("shardId-{index:012}")
    }

    /// The open shard that was used most in the last minute, by the budget it used most of.
    #[must_use]
    pub fn hottest(&self, now: SimTime) -> u32 {
        let use_of = |index: &u32| {
            let (records, bytes) = self.shards[*index as usize].written_last_minute(now);
            // Both as shares of the budget, in common units.
            (records * WRITE_BYTES_PER_SEC).max(bytes * WRITE_RECORDS_PER_SEC)
        };
        // The first of equals.
        let best = self.open.iter().rev().max_by_key(|index| use_of(index));
        best.copied().expect("a stream has an open shard")
    }

    /// Starts a split; returns when it will be done.
    ///
    /// # Errors
    /// A sentence that says why the service refuses it.
    pub fn split(
        &mut self,
        shard: u32,
        now: SimTime,
        takes: SimDuration,
    ) -> Result<SimTime, String> {
        let Some(target) = self.shards.get(shard as usize) else {
            return Err(format!("there is no {}", Self::shard_name(shard)));
        };
        if !target.is_open() {
            return Err(format!("{} is closed", Self::shard_name(shard)));
        }
        let new_start = target.range.middle();
        if target.range.split_at(new_start).is_none() {
            return Err(format!("{} is too narrow to split", Self::shard_name(shard)));
        }
        let done = now + takes;
        self.schedule(done, Reshard::Split { shard, new_start });
        Ok(done)
    }

    /// Starts a merge of two adjacent shards; returns when it will be done.
    ///
    /// # Errors
    /// A sentence that says why the service refuses it.
    pub fn merge(&mut self, lower: u32, upper: u32, now: SimTime) -> Result<SimTime, String> {
        for shard in [lower, upper] {
            if !self.open.contains(&shard) {
                return Err(format!("{} is not open", Self::shard_name(shard)));
            }
        }
        let (low, high) = (&self.shards[lower as usize], &self.shards[upper as usize]);
        if low.range.merge(high.range).is_none() {
            return Err(format!(
                "{} does not end where {} begins",
                Self::shard_name(lower),
                Self::shard_name(upper)
            ));
        }
        let done = now + self.config.reshard_time;
        self.schedule(done, Reshard::MergeAt { boundary: high.range.start });
        Ok(done)
    }

    /// Starts UpdateShardCount; returns when its last step will be done.
    ///
    /// # Errors
    /// A sentence that says why the service refuses it (N-C-1).
    pub fn update_shard_count(&mut self, target: u32, now: SimTime) -> Result<SimTime, String> {
        let present = u32::try_from(self.open.len()).expect("at most 10,000 shards");
        if !self.pending.is_empty() {
            return Err("the stream is UPDATING (ResourceInUseException)".to_owned());
        }
        if target > present * 2 || target * 2 < present || target == 0 {
            return Err(format!(
                "{target} is not between half and double of {present} (InvalidArgumentException)"
            ));
        }
        if target > 10_000 {
            return Err("more than 10,000 shards (LimitExceededException)".to_owned());
        }
        let wanted = uniform_boundaries(target);
        let existing: Vec<u128> =
            self.open.iter().skip(1).map(|&i| self.shards[i as usize].range.start).collect();
        let mut done = now;
        let step = self.config.reshard_time;
        let serially = self.config.reshard_serially;
        let advance = |done: &mut SimTime| {
            *done = if serially { *done + step } else { now + step };
            *done
        };
        let near = |boundary: u128, list: &[u128]| list.iter().any(|b| b.abs_diff(boundary) <= 8);
        for &boundary in wanted.iter().filter(|boundary| !near(**boundary, &existing)) {
            let shard = u32::MAX; // Found by its range when its turn comes.
            let at = advance(&mut done);
            self.schedule(at, Reshard::Split { shard, new_start: boundary });
        }
        for &boundary in existing.iter().filter(|boundary| !near(**boundary, &wanted)) {
            let at = advance(&mut done);
            self.schedule(at, Reshard::MergeAt { boundary });
        }
        Ok(done)
    }

    fn schedule(&mut self, done: SimTime, reshard: Reshard) {
        let after = self.pending.partition_point(|(at, _)| *at <= done);
        self.pending.insert(after, (done, reshard));
    }

    /// Carries out the changes that are done by `now`.
    pub fn reshard_due(&mut self, now: SimTime) -> Vec<Resharded> {
        let mut all = Vec::new();
        while self.pending.front().is_some_and(|(at, _)| *at <= now) {
            let (_, reshard) = self.pending.pop_front().expect("just seen");
            all.extend(self.reshard(reshard, now));
        }
        all
    }

    fn reshard(&mut self, reshard: Reshard, now: SimTime) -> Option<Resharded> {
        self.bill(now);
        let owner_of = |hash: u128| {
            self.open.iter().position(|&i| self.shards[i as usize].range.contains(hash))
        };
        let (parents, ranges) = match reshard {
            Reshard::Split { shard, new_start } => {
                let position = owner_of(new_start)?;
                let parent = self.open[position];
                // A shard that was replaced since the order was given is split where it is now.
                let wanted = shard == u32::MAX || shard == parent;
                let children = self.shards[parent as usize].range.split_at(new_start)?;
                wanted.then_some(())?;
                (vec![position], children.to_vec())
            }
            Reshard::MergeAt { boundary } => {
                let upper = owner_of(boundary)?;
                let lower = upper.checked_sub(1)?;
                let low = self.shards[self.open[lower] as usize].range;
                let high = self.shards[self.open[upper] as usize].range;
                (vec![lower, upper], vec![low.merge(high)?])
            }
        };
        let closed: Vec<u32> = parents.iter().map(|&position| self.open[position]).collect();
        for &parent in &closed {
            self.shards[parent as usize].closed_at = Some(now);
        }
        let parent_of = |i: usize| closed.get(i).copied();
        let lineage = [parent_of(0), parent_of(1)];
        let mut opened = Vec::new();
        for range in ranges {
            opened.push(u32::try_from(self.shards.len()).expect("fewer than 2^32 shards"));
            self.shards.push(Shard::new(range, lineage, self.config.burst_bytes, now));
        }
        self.open.splice(parents[0]..parents[0] + parents.len(), opened.iter().copied());
        let count = u32::try_from(self.open.len()).expect("at most 10,000 shards");
        self.shards_max = self.shards_max.max(count);
        Some(Resharded { closed, opened })
    }

    /// Bytes that reached the service at `now`, accepted or not.
    pub fn note_demand(&mut self, now: SimTime, bytes: u64) {
        let second = now.0 / NANOS_PER_SEC;
        if self.demand.0 != second {
            let last = if self.demand.0 + 1 == second { self.demand.1 } else { 0 };
            self.demand = (second, 0, last);
        }
        self.demand.1 += bytes;
    }

    /// What on-demand capacity does at the end of a second: splits to start now, as (shard, when
    /// done).
    pub fn scale(&mut self, now: SimTime) -> Vec<u32> {
        let minute: u64 =
            self.open.iter().map(|&i| self.shards[i as usize].written_last_minute(now).1).sum();
        if now.0 >= 60 * NANOS_PER_SEC {
            self.peak = self.peak.max(minute / 60);
        }
        let Capacity::OnDemand(config) = self.config.capacity.clone() else {
            return Vec::new();
        };
        match config.rule {
            OnDemandRule::Documented => self.scale_documented(&config, now),
            OnDemandRule::DoublesEvery15Minutes => self.scale_folklore(&config, now),
        }
    }

    fn scale_documented(&mut self, config: &OnDemandConfig, now: SimTime) -> Vec<u32> {
        let room = shards_for(config.ceiling).saturating_sub(self.open_or_pending());
        let due: Vec<u32> = self
            .open
            .iter()
            .copied()
            .filter(|&i| passes_trigger(self.shards[i as usize].written_last_minute(now).1))
            .filter(|&i| !self.is_pending(i))
            .take(room as usize)
            .collect();
        let takes = config.split_delay;
        due.into_iter().filter(|&shard| self.split(shard, now, takes).is_ok()).collect()
    }

    fn scale_folklore(&mut self, config: &OnDemandConfig, now: SimTime) -> Vec<u32> {
        let capacity = self.open.len() as u64 * BYTES_PER_SHARD;
        let exceeded = self.demand.1.max(self.demand.2) > capacity;
        match self.doubles_at {
            None if exceeded => {
                self.doubles_at = Some(now + SimDuration::from_secs(900));
                Vec::new()
            }
            Some(at) if at <= now => {
                self.doubles_at = exceeded.then_some(now + SimDuration::from_secs(900));
                let room = shards_for(config.ceiling).saturating_sub(self.open_or_pending());
                let shards: Vec<u32> = if exceeded {
                    self.open.iter().copied().take(room as usize).collect()
                } else {
                    Vec::new()
                };
                let takes = SimDuration::ZERO;
                shards.into_iter().filter(|&s| self.split(s, now, takes).is_ok()).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The write capacity that the service promises now, bytes per second: that of the open shards,
    /// or what on-demand mode gives for the peak so far (V-29).
    #[must_use]
    pub fn write_capacity(&self) -> u64 {
        match &self.config.capacity {
            Capacity::Provisioned { .. } => self.open.len() as u64 * WRITE_BYTES_PER_SEC,
            Capacity::OnDemand(config) => promised_capacity(config, self.peak),
        }
    }

    /// Splits the widest shards until there are `target` of them: capacity that is set aside.
    pub fn grow_to(&mut self, target: u32, done: SimTime) {
        let mut widths: Vec<HashRange> =
            self.open.iter().map(|&i| self.shards[i as usize].range).collect();
        while widths.len() < target as usize {
            let widest = (0..widths.len())
                .rev()
                .max_by_key(|&i| widths[i].end - widths[i].start)
                .expect("a stream has an open shard");
            let new_start = widths[widest].middle();
            let Some(children) = widths[widest].split_at(new_start) else {
                return;
            };
            widths.splice(widest..=widest, children);
            self.schedule(done, Reshard::Split { shard: u32::MAX, new_start });
        }
    }

    /// Puts another capacity in force; the shards stay (N-C-9).
    pub fn switch_mode(&mut self, capacity: Capacity, now: SimTime) {
        self.bill(now);
        self.config.capacity = capacity;
    }

    fn is_pending(&self, shard: u32) -> bool {
        let range = self.shards[shard as usize].range;
        self.pending.iter().any(|(_, reshard)| match reshard {
            Reshard::Split { shard: other, new_start } => {
                *other == shard || range.contains(*new_start)
            }
            Reshard::MergeAt { boundary } => {
                range.contains(*boundary) || range.contains(boundary - 1)
            }
        })
    }

    fn open_or_pending(&self) -> u32 {
        u32::try_from(self.open.len() + self.pending.len()).unwrap_or(u32::MAX)
    }

    /// Brings the bill up to `now`.
    pub fn bill(&mut self, now: SimTime) {
        let elapsed = u128::from(now.since(self.billed_until).0);
        self.billed_until = now;
        match self.config.capacity {
            Capacity::Provisioned { .. } => {
                self.provisioned_shard_ns += elapsed * self.open.len() as u128;
            }
            Capacity::OnDemand(_) => self.on_demand_ns += elapsed,
        }
    }

    /// Checks that the open shards tile the hash space.
    ///
    /// # Panics
    /// If they leave a hole or overlap.
    pub fn audit(&self) {
        let ranges = self.routes();
        assert_eq!(ranges[0].1.start, 0, "the first shard begins at 0");
        assert_eq!(ranges[ranges.len() - 1].1.end, u128::MAX, "the last shard ends at 2^128-1");
        for pair in ranges.windows(2) {
            assert_eq!(pair[0].1.end + 1, pair[1].1.start, "shards must tile the hash space");
        }
    }
}

#[cfg(test)]
mod tests;
