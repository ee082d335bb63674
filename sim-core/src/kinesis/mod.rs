//! Kinesis Data Streams.

pub mod client;
pub mod kcl;
pub mod kpl;
pub mod limiter;
pub mod log;
pub mod on_demand;
mod operate;
pub mod price;
pub mod put;
pub mod sdk;
pub mod shard;
pub mod stream;

/// Index of a shard within its stream, in order of creation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ShardIndex(pub u32);
