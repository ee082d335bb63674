//! The data path, claim by claim: what producers, brokers and members do with single batches, at
//! instants that are worked out by hand (see [`bench`] for what a request takes).

mod bench;
mod blame;
mod clients;
mod consumer;
mod faults;
mod isr;
mod produce;
