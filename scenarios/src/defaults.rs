//! Values of what a scenario leaves out, each with its source. Configuration under real names has
//! its defaults in [`crate::knobs`].

use crate::units::{ByteRate, Bytes, Dur};

use crate::schema::RecordSize;

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
pub(crate) const fn record_size() -> RecordSize {
    RecordSize::Fixed(Bytes(1 << 10))
}
