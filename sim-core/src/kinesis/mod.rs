//! Kinesis: placeholder for the module declarations.

pub mod kcl;

/// Index of a shard within its stream, in order of creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ShardIndex(pub u32);
