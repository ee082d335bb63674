//! How many shards an on-demand stream has, and when one of them splits.
//!
//! | Mechanism                                                               | Fact   |
//! |-------------------------------------------------------------------------|--------|
//! | a new stream takes 4 MB/s: 4 shards                                      | N-C-6, V-30 |
//! | capacity is twice the peak of the last 30 days, and there at once         | N-C-6, V-29 |
//! | a shard whose minute's mean passes 500,000 B/s splits evenly, after a while | N-C-6, D-24 |
//! | nothing doubles on a timer                                               | N-C-6  |
//! | a key cannot be split                                                    | N-C-7  |
//! | warm throughput is capacity set aside beforehand                          | N-C-10 |
//!
//! Simplification: AWS splits "within 15 minutes"; the delay here is one parameter. The peak of 30
//! days is a parameter plus what the run itself has seen, as means over a minute.

use crate::config::OnDemandConfig;

/// Bytes per second that one on-demand shard stands for (D-23).
pub const BYTES_PER_SHARD: u64 = 1_000_000;
/// Mean bytes per second over a minute beyond which a shard splits (D-23).
pub const SPLIT_TRIGGER: u64 = 500_000;
/// A new on-demand stream's capacity, bytes per second (N-C-6).
const LEAST_CAPACITY: u64 = 4_000_000;

/// The write capacity that the documented rule promises for a peak, bytes per second (N-C-6).
#[must_use]
pub fn promised_capacity(config: &OnDemandConfig, peak: u64) -> u64 {
    let twice = peak.max(config.peak_history).saturating_mul(2);
    twice.max(config.warm_throughput).max(LEAST_CAPACITY).min(config.ceiling)
}

/// Shards that a capacity in bytes per second takes.
#[must_use]
pub fn shards_for(capacity: u64) -> u32 {
    u32::try_from(capacity.div_ceil(BYTES_PER_SHARD)).unwrap_or(u32::MAX)
}

/// Whether a shard that took `bytes` in the last minute is due to split.
#[must_use]
pub fn passes_trigger(bytes: u64) -> bool {
    bytes > SPLIT_TRIGGER * 60
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::OnDemandRule;
    use crate::engine::SimDuration;

    fn config(peak_history: u64) -> OnDemandConfig {
        OnDemandConfig {
            rule: OnDemandRule::Documented,
            peak_history,
            warm_throughput: 0,
            split_delay: SimDuration::from_secs(300),
            ceiling: 200_000_000,
        }
    }

    #[test]
    fn v_30_a_new_stream_takes_four_mb_per_second_in_four_shards() {
        let capacity = promised_capacity(&config(0), 0);
        assert_eq!(capacity, 4_000_000);
        assert_eq!(shards_for(capacity), 4);
        // A peak of 2 MB/s promises no more, and one of 7 MB/s is 14 shards.
        assert_eq!(shards_for(promised_capacity(&config(2_000_000), 0)), 4);
        assert_eq!(shards_for(promised_capacity(&config(7_000_000), 0)), 14);
        // The default ceiling of the 2023 docs.
        assert_eq!(promised_capacity(&config(150_000_000), 0), 200_000_000);
    }

    /// Writes of 10 to 40 MB/s: 80. Sustaining 50: 100. And at two other histories.
    #[test]
    fn v_29_capacity_is_twice_the_peak() {
        assert_eq!(promised_capacity(&config(40_000_000), 10_000_000), 80_000_000);
        assert_eq!(promised_capacity(&config(40_000_000), 50_000_000), 100_000_000);
        assert_eq!(promised_capacity(&config(3_000_000), 0), 6_000_000);
        assert_eq!(promised_capacity(&config(1_000_000), 0), 4_000_000);
    }

    #[test]
    fn a_minute_at_exactly_the_trigger_does_not_split() {
        assert!(!passes_trigger(30_000_000));
        assert!(passes_trigger(30_000_001));
    }
}
