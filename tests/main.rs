//! Integration tests: published results by id, swarm, command line, goldens, tidiness.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]
#![allow(clippy::print_stderr, reason = "a failing seed says how to repeat it")]

mod bench;
mod cases;
mod cli;
mod clients;
mod clumps;
mod docs;
mod fork;
mod golden;
mod history;
mod kafka;
mod kafka_bench;
mod luck;
mod observer;
mod outages;
mod outset;
mod page_cache;
mod published;
mod published_kafka;
mod readers;
mod recovery;
mod sinks;
mod swarm;
mod theory;
mod tidy;
