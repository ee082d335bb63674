//! Values of what a scenario leaves out, each with its source. Configuration under real names has
//! its defaults in [`crate::knobs`].

use crate::units::{ByteRate, Bytes, Dur};

/// A number that people recognise; any would do.
pub(crate) const fn seed() -> u64 {
    42
}

pub(crate) const fn one() -> u32 {
    1
}

/// N-R-7.
pub(crate) const fn retention() -> Dur {
    Dur::secs(24 * 3_600)
}

/// N-W-6.
pub(crate) const fn max_record_size() -> Bytes {
    Bytes(1 << 20)
}

/// Assumption: a PutRecords round trip inside one region.
pub(crate) const fn put_latency() -> Dur {
    Dur::millis(10)
}

/// D-25.
pub(crate) const fn get_latency() -> Dur {
    Dur::millis(20)
}

/// Assumption: N-R-5 says 70 ms in all, of which `put_latency` are the first ten.
pub(crate) const fn push_latency() -> Dur {
    Dur::millis(60)
}

/// N-C-2: one split or merge at a time.
pub(crate) const fn reshard_serially() -> bool {
    true
}

/// N-C-2 for SplitShard and MergeShards.
pub(crate) const RESHARD_TIME_PROVISIONED: Dur = Dur::secs(30);

/// D-24: the split delay says it all.
pub(crate) const RESHARD_TIME_ON_DEMAND: Dur = Dur(0);

/// N-C-6: a new stream takes 4 MB/s, which is twice this.
pub(crate) const PEAK_HISTORY: ByteRate = ByteRate(2_000_000);

/// D-24.
pub(crate) const SPLIT_DELAY: Dur = Dur::secs(5 * 60);

/// N-C-8, us-east-1.
pub(crate) const CEILING: ByteRate = ByteRate(10_000_000_000);

pub(crate) const fn day() -> Dur {
    Dur::secs(24 * 3_600)
}

/// Assumption: the size that AWS's own sizing examples use.
pub(crate) const RECORD_SIZE: Bytes = Bytes(1 << 10);

/// A cluster of one zone, unless it says otherwise.
pub(crate) fn zones() -> Vec<String> {
    vec!["a".to_owned()]
}

/// The least that survives the loss of one: brokers and nodes of a quorum.
pub(crate) const MACHINES: u32 = 3;

/// K-DSK-1: what a gp3 volume has without paying more.
pub(crate) const fn gp3_throughput() -> ByteRate {
    ByteRate(125 << 20)
}

/// Assumption: 10 Gbit/s.
pub(crate) const fn network() -> ByteRate {
    ByteRate(1_250_000_000)
}

/// Assumption: half of a machine with 32 GiB.
pub(crate) const fn page_cache() -> Bytes {
    Bytes(16 << 30)
}

/// Assumption.
pub(crate) const fn rtt_in_zone() -> Dur {
    Dur(500_000)
}

/// Assumption: availability zones of one region.
pub(crate) const fn rtt_across_zones() -> Dur {
    Dur(1_500_000)
}

/// Assumption.
pub(crate) const fn request_time() -> Dur {
    Dur(100_000)
}

/// V-61: 1,000 partitions with data add 20 ms to a fetch cycle.
pub(crate) const fn fetch_time_per_partition() -> Dur {
    Dur(20_000)
}

/// Assumption.
pub(crate) const fn broker_start_time() -> Dur {
    Dur::secs(10)
}

/// V-79: the default of Linux.
pub(crate) const fn max_map_count() -> u32 {
    65_530
}

/// Assumption: a JVM and its application.
pub(crate) const fn member_start_time() -> Dur {
    Dur::secs(5)
}

/// Assumption.
pub(crate) const fn restore_rate() -> ByteRate {
    ByteRate(50_000_000)
}
