//! Published results of Kafka, by their ids (`docs/facts.md`), through whole runs.

mod controller;
mod groups;
mod replication;

use sim_core::config::kafka::ClusterConfig;
use sim_core::config::*;
use sim_core::engine::SimTime;
use sim_core::result::{EventRecord, Point, RunResult};

use crate::bench::{at, metric, planned};

/// The first event of that kind about that subject (the end of it), not before `from`.
fn event<'a>(result: &'a RunResult, from: SimTime, kind: &str, subject: &str) -> &'a EventRecord {
    let mut events = result.events.iter();
    let wanted =
        |it: &&EventRecord| it.at >= from && it.kind == kind && it.subject.ends_with(subject);
    events.find(wanted).unwrap_or_else(|| panic!("no {kind} of {subject:?}"))
}

/// Seconds from `from` to that event.
fn seconds_to(result: &RunResult, from: SimTime, kind: &str, subject: &str) -> f64 {
    event(result, from, kind, subject).at.since(from).as_secs_f64()
}

/// A series by its full name.
fn points<'a>(result: &'a RunResult, name: &str) -> &'a [Point] {
    let found = result.series.iter().find(|it| it.name == name);
    &found.unwrap_or_else(|| panic!("no series {name}")).points
}

/// Broker `broker` of the only cluster dies at that second and stays dead.
fn kill(second: u64, broker: u32) -> TimelineEntry {
    let what = Happening::Kill(Whom::brokers(0, &[broker]));
    planned(at(second), None, what)
}

/// How many partitions of the only topic have that broker as their first replica, which leads.
fn led(cluster: &ClusterConfig, broker: u16) -> u64 {
    let all = sim_core::kafka::assignment::of_topic(cluster, 0);
    all.iter().filter(|replicas| replicas[0].0 == broker).count() as u64
}

/// How many replicas of the only topic the broker holds.
fn held(cluster: &ClusterConfig, broker: u16) -> u64 {
    let all = sim_core::kafka::assignment::of_topic(cluster, 0);
    all.iter().filter(|replicas| replicas.iter().any(|it| it.0 == broker)).count() as u64
}

fn near(value: f64, expected: f64, tolerance: f64, what: &str) {
    assert!((value - expected).abs() <= tolerance, "{what}: {value}, expected {expected}");
}

fn unavailable(result: &RunResult) -> f64 {
    metric(&result.summary, "partition_unavailable_s")
}
