//! Kinesis Data Streams.

pub mod hash;
pub mod limiter;
pub mod log;
pub mod put;

/// Index of a shard within its stream, in order of creation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ShardIndex(pub u32);
