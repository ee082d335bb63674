//! What passes retention before an application has read it.
//!
//! | Mechanism                                                              | Fact    |
//! |------------------------------------------------------------------------|---------|
//! | what is older than the retention period cannot be read any more         | N-R-7   |
//! | a reader that falls behind it goes on at the horizon, without an error  | N-R-7   |
//!
//! What a reader has fetched it processes all the same: the service does not reach into a worker's
//! memory. If that worker dies, nobody can read it again. The horizon is looked at when something
//! is about to be read, and each round.

use std::collections::VecDeque;

use crate::engine::SimTime;
use crate::kinesis::log::Log;
use crate::ledger::Seen;

use super::process::Reader;
use super::{App, AppCtx, SimDuration, Stream};

/// The positions of a shard that retention has taken unread, above what was delivered.
#[derive(Clone, Debug, Default)]
pub(super) struct Expired {
    /// The first position that can still be read.
    horizon: u64,
    /// Ranges, in order and apart.
    ranges: VecDeque<(u64, u64)>,
    /// Records that nobody was told of, and since when.
    untold: u64,
    told_at: Option<SimTime>,
}

/// No more often than this it is told that records have expired.
const TELLING_PERIOD: SimDuration = SimDuration::from_secs(60);

impl Expired {
    /// The first position that can be read at `now`.
    pub(super) fn horizon(&mut self, log: &Log, retention: SimDuration, now: SimTime) -> u64 {
        if now + log.age_at_start() < SimTime::ZERO + retention {
            return 0;
        }
        self.horizon = self.horizon.max(log.start());
        let mut number = log.extent_of(self.horizon);
        while let Some(extent) = log.extent(number).filter(|it| it.age(now) >= retention) {
            self.horizon = extent.end();
            number += 1;
        }
        self.horizon
    }

    /// Records of a log from `from` on, without those that have expired unread.
    pub(super) fn left(&self, log: &Log, from: u64) -> u64 {
        let (start, end) = (from.max(log.start()), log.end());
        let ranges = self.ranges.iter().filter(|range| range.1 > start);
        let gone: u64 = ranges.map(|&(a, b)| log.fresh_between(a.max(start), b.min(end))).sum();
        log.fresh_between(start, end) - gone
    }

    /// The position from which on something is undelivered, if everything before `delivered` is not.
    pub(super) fn skip(&mut self, mut delivered: u64) -> u64 {
        while let Some(&(_, until)) = self.ranges.front().filter(|range| range.0 <= delivered) {
            delivered = delivered.max(until);
            self.ranges.pop_front();
        }
        delivered
    }

    /// The parts of [from, horizon) that have not expired before and that are not in `hands`.
    fn lost(&self, from: u64, hands: impl Iterator<Item = (u64, u64)>) -> Vec<(u64, u64)> {
        let mut kept: Vec<(u64, u64)> = self.ranges.iter().copied().chain(hands).collect();
        kept.sort_unstable();
        kept.push((self.horizon, self.horizon));
        let mut lost = Vec::new();
        let mut from = from;
        for (begins, ends) in kept {
            if from < begins.min(self.horizon) {
                lost.push((from, begins.min(self.horizon)));
            }
            from = from.max(ends);
        }
        lost
    }

    fn add(&mut self, ranges: &[(u64, u64)]) {
        self.ranges.extend(ranges);
        self.ranges.make_contiguous().sort_unstable();
        let mut joined: VecDeque<(u64, u64)> = VecDeque::new();
        for &(from, until) in &self.ranges {
            match joined.back_mut().filter(|last| last.1 == from) {
                Some(last) => last.1 = until,
                None => joined.push_back((from, until)),
            }
        }
        self.ranges = joined;
    }
}

impl App {
    /// What retention has taken of each shard.
    pub(super) fn expire_all(&mut self, at: &mut AppCtx<'_, '_>) {
        let oldest = at.stream.config.history.map_or(SimDuration::ZERO, |it| it.age);
        if at.ctx.now + oldest < SimTime::ZERO + at.stream.config.retention {
            return;
        }
        for shard in 0..self.shards.len() {
            self.expire(u32::try_from(shard).expect("fewer than 2^32 shards"), at);
        }
    }

    /// What has passed the horizon of a shard unread, and is in nobody's hands, is lost.
    pub(super) fn expire(&mut self, shard: u32, at: &mut AppCtx<'_, '_>) {
        let now = at.ctx.now;
        let Some(state) = self.shards[shard as usize].as_mut() else { return };
        let log = &at.stream.shards[shard as usize].log;
        let horizon = state.expired.horizon(log, at.stream.config.retention, now);
        if horizon == 0 {
            return;
        }
        state.checkpoint = state.checkpoint.max(horizon);
        if horizon > state.delivered {
            let last = log.extent(log.extent_of(horizon - 1));
            let last = last.filter(|it| it.before.0 == 0).map(|it| it.appended_at);
            let (consumer, partition, until) = (self.index, shard, horizon);
            at.ledger.saw(|| Seen::Expired { consumer, partition, until, newest: last });
            self.lose(shard, at);
        }
        // Whoever reads again what was processed before is overtaken likewise.
        for id in self.shards[shard as usize].as_ref().map_or(Vec::new(), |it| it.readers.clone()) {
            self.leap(id, horizon);
        }
        self.check_end(shard, at);
    }

    /// What nobody has in hand below the horizon is lost.
    fn lose(&mut self, shard: u32, at: &mut AppCtx<'_, '_>) {
        let now = at.ctx.now;
        let Some(state) = self.shards[shard as usize].as_mut() else { return };
        let log = &at.stream.shards[shard as usize].log;
        let readers = state.readers.iter().filter_map(|&id| self.readers[id as usize].as_ref());
        let lost = state.expired.lost(state.delivered, readers.map(Reader::in_hand));
        let records: u64 = lost.iter().map(|&(from, until)| log.fresh_between(from, until)).sum();
        if let Some(first) = lost.first().and_then(|it| log.extent(log.extent_of(it.0))) {
            self.counts.lag_max = self.counts.lag_max.max(first.age(now));
        }
        state.expired.add(&lost);
        state.delivered = state.expired.skip(state.delivered);
        state.unread -= records;
        self.unread -= records;
        at.ledger.expire(self.index, records);
        self.tell_expired(shard, records, at);
    }

    /// Says that records were lost, once a minute for each shard.
    fn tell_expired(&mut self, shard: u32, records: u64, at: &mut AppCtx<'_, '_>) {
        let now = at.ctx.now;
        let Some(state) = self.shards[shard as usize].as_mut() else { return };
        let expired = &mut state.expired;
        expired.untold += records;
        let quiet = expired.told_at.is_some_and(|told| now.since(told) < TELLING_PERIOD);
        if expired.untold == 0 || quiet {
            return;
        }
        let untold = std::mem::take(&mut expired.untold);
        expired.told_at = Some(now);
        let detail = format!("{untold} records passed retention unread");
        at.journal.push(("records_expired", Stream::shard_name(shard), detail));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expired(horizon: u64, ranges: &[(u64, u64)]) -> Expired {
        Expired { horizon, ranges: ranges.iter().copied().collect(), ..Expired::default() }
    }

    /// Delivered up to 10, horizon at 100; a reader has 20 to 40 in hand, a slower one 30 to 60, and
    /// 70 to 80 had expired before: lost are the gaps between them.
    #[test]
    fn what_is_in_hand_is_not_lost() {
        let it = expired(100, &[(70, 80)]);
        let lost = it.lost(10, [(20, 40), (30, 60)].into_iter());
        assert_eq!(lost, [(10, 20), (60, 70), (80, 100)]);
        // What is in hand beyond the horizon bounds nothing, and with all in hand nothing is lost.
        assert_eq!(it.lost(80, [(90, 300)].into_iter()), [(80, 90)]);
        assert!(it.lost(10, [(10, 300)].into_iter()).is_empty());
    }

    #[test]
    fn delivery_goes_on_behind_what_has_expired() {
        let mut it = expired(100, &[]);
        it.add(&[(60, 70), (20, 40)]);
        it.add(&[(40, 50)]);
        assert_eq!(it.ranges, [(20, 50), (60, 70)]);
        assert_eq!(it.skip(19), 19);
        assert_eq!(it.skip(20), 50);
        assert_eq!(it.skip(60), 70);
        assert!(it.ranges.is_empty());
    }
}
