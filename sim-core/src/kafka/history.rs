//! What a cluster holds when the run begins: its logs, and what of them is in memory.
//!
//! Simplification: what was read before the run has pushed nothing out of a page cache, which holds
//! what was written last (K-DSK-3).

use crate::config::HistoryConfig;
use crate::config::kafka::{ClusterConfig, TopicConfig};
use crate::engine::{SimDuration, SimTime};

use super::Cluster;
use super::broker::{CACHE_STEPS, PageCache};
use super::log::Log;

/// Most entries of all histories of a cluster, and of one partition.
const MOST_ENTRIES: u64 = 1 << 20;
const MOST_OF_ONE: u64 = 256;

/// How long before the start of the run the oldest record of a cluster was written.
pub(super) fn epoch(config: &ClusterConfig) -> SimDuration {
    let ages = config.topics.iter().filter_map(|topic| topic.history).map(|it| it.age);
    ages.max().unwrap_or(SimDuration::ZERO)
}

/// The log of a partition that is there when the run begins.
pub(super) fn log_of(config: &ClusterConfig, topic: &TopicConfig, number: u32) -> Log {
    let epoch = epoch(config);
    let Some(history) = topic.history else { return Log::since(epoch) };
    let partitions: u64 = config.topics.iter().map(|it| u64::from(it.partitions)).sum();
    let most = (MOST_ENTRIES / partitions.max(1)).clamp(2, MOST_OF_ONE);
    let own = history.share(u64::from(number), u64::from(topic.partitions));
    Log::with_history(&own, topic, epoch, most)
}

impl Cluster {
    /// The page caches hold what was written last before the run.
    pub(super) fn warm_caches(&mut self) {
        let epoch = epoch(&self.config);
        let mut shares = vec![Vec::new(); self.brokers.len()];
        for of in &self.partitions {
            let topic = &self.config.topics[of.topic];
            let Some(history) = topic.history else { continue };
            let own = history.share(u64::from(of.number), u64::from(topic.partitions));
            for replica in &of.replicas {
                shares[replica.index()].push(own);
            }
        }
        for (broker, shares) in self.brokers.iter_mut().zip(&shares) {
            warm(&mut broker.cache, epoch, shares);
        }
    }
}

/// A cache gets twice what it holds, step by step, in the order in which it was written.
fn warm(cache: &mut PageCache, epoch: SimDuration, shares: &[HistoryConfig]) {
    let step = cache.step();
    let total = bytes_since(shares, epoch);
    let mut written = 2 * CACHE_STEPS;
    while written > 0 {
        let (from, until) = (written.saturating_mul(step).min(total), (written - 1) * step);
        if from > until {
            let began = epoch - time_before(shares, epoch, from);
            cache.fill_at(SimTime::ZERO + began, from - until);
        }
        written -= 1;
    }
}

/// Bytes that were written in so long before the start.
fn bytes_since(shares: &[HistoryConfig], time: SimDuration) -> u64 {
    let of = |it: &HistoryConfig| {
        u128::from(it.bytes) * u128::from(time.0.min(it.age.0)) / u128::from(it.age.0.max(1))
    };
    u64::try_from(shares.iter().map(of).sum::<u128>()).unwrap_or(u64::MAX)
}

/// How long before the start the writing of the last so many bytes began.
fn time_before(shares: &[HistoryConfig], epoch: SimDuration, bytes: u64) -> SimDuration {
    let (mut low, mut high) = (0, epoch.0);
    while low < high {
        let middle = low.midpoint(high);
        if bytes_since(shares, SimDuration(middle)) < bytes {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    SimDuration(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 100 B/s for 100 s, of which half by one partition, and before that a quarter of it for another
    /// 100 s: 1,000 B of memory hold the last 10 s, to a thirty-second; 4,000 B hold the last 40 s. What
    /// comes in a second pushes out a second.
    #[test]
    fn a_cache_begins_with_what_was_written_last() {
        let share = |bytes, secs| {
            let age = SimDuration::from_secs(secs);
            HistoryConfig { records: bytes, bytes, age }
        };
        let shares = [share(10_000, 200), share(5_000, 100)];
        let epoch = SimDuration::from_secs(200);
        let before = |secs: u64| SimTime::ZERO + SimDuration::from_secs(200 - secs);
        for (capacity, holds, lost) in [(1_000, 9, 11), (4_000, 38, 42), (1 << 30, 200, 201)] {
            let mut cache = PageCache::since(capacity, epoch);
            warm(&mut cache, epoch, &shares);
            assert!(cache.holds(before(holds)), "{capacity}");
            assert!(lost > 200 || !cache.holds(before(lost)), "{capacity}");
        }
        let mut cache = PageCache::since(1_000, epoch);
        warm(&mut cache, epoch, &shares);
        cache.fill(SimTime::ZERO + SimDuration::from_secs(1), 500);
        assert!(cache.holds(before(4)) && !cache.holds(before(6)));
    }
}
