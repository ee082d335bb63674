//! The core of `streamsim`: a deterministic discrete-event engine, the books of truth and blame,
//! and the models of the stream systems. No files, no scenario language, no plotting, no wall
//! clock.

pub mod blame;
mod checkers;
pub mod config;
pub mod engine;
pub mod flow;
pub mod hash;
pub mod kafka;
pub mod kinesis;
pub mod ledger;
pub mod metrics;
mod order;
pub mod result;
pub mod run;
pub mod service;
pub mod sink;
mod summary;
pub mod workload;
pub mod world;
