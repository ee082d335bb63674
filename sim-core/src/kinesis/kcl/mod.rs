//! The Kinesis Client Library: placeholder for the module declarations.

pub mod coordination;
