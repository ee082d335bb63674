//! What the swarm has found and what must not come back, as small as it gets: clusters, clients and
//! groups that do not find back to normal once a fault is over.

use sim_core::config::kafka::Acks;
use sim_core::config::*;
use sim_core::result::RunResult;

use crate::bench::{at, count, planned, run, secs};
use crate::kafka_bench::*;

/// The last value of a series.
fn last(result: &RunResult, name: &str) -> f64 {
    let series = result.series.iter().find(|series| series.name == name);
    series.and_then(|series| series.points.last()).expect("a sampled series").value
}

fn in_sync(result: &RunResult) -> f64 {
    last(result, "systems.orders.in_sync_replicas")
}

/// Both followers come back while the other one's wish to join is under way, and nothing is
/// appended any more that would make them fetch again.
#[test]
fn followers_that_return_together_to_a_silent_topic_are_all_in_sync() {
    let mut config = world(secs(120), cluster(3, 6));
    config.producers.push(producer_until(100, Acks::Leader, 25));
    let brokers = vec![0, 1];
    let kill = Happening::Kill(Whom::brokers(0, &brokers));
    config.timeline.push(planned(at(10), Some(secs(40)), kill));
    let result = run(&config);
    assert!((in_sync(&result) - 18.0).abs() < 0.5, "{} of 18 in sync", in_sync(&result));
}

/// A partition is added while one of its brokers is away; the broker has it all to fetch.
#[test]
fn a_partition_that_was_added_meanwhile_reaches_a_broker_that_returns() {
    let mut config = world(secs(120), cluster(3, 3));
    config.producers.push(producer_until(100, Acks::All, 100));
    let kill = Happening::Kill(Whom::brokers(0, &[0]));
    config.timeline.push(planned(at(10), Some(secs(40)), kill));
    let more = Happening::AddPartitions { cluster: 0, topic: 0, total: 6 };
    config.timeline.push(planned(at(30), None, more));
    let result = run(&config);
    assert!((in_sync(&result) - 18.0).abs() < 0.5, "{} of 18 in sync", in_sync(&result));
}

/// Each flow learns of new partitions by itself; none is dealt records of one it has not heard of.
#[test]
fn more_partitions_are_used_once_all_flows_of_a_producer_know_them() {
    let mut config = world(secs(120), cluster(3, 2));
    let mut producer = producer_until(200, Acks::All, 110);
    (producer.instances, producer.flows) = (3, 3);
    producer.keys = KeyDistribution::Uniform { prefix: "k".into(), keys: 100 };
    let ClientConfig::Kafka(client) = &mut producer.client else { unreachable!("a Kafka client") };
    client.metadata_max_age = secs(30);
    config.producers.push(producer);
    config.groups.push(group(2));
    let more = Happening::AddPartitions { cluster: 0, topic: 0, total: 4 };
    config.timeline.push(planned(at(20), None, more));
    let summary = run(&config).summary;
    assert_eq!(count(&summary, "records_delivered"), count(&summary, "records_offered"));
}

/// All members stand still when the last records come, and go on before their sessions end.
#[test]
fn a_group_that_was_paused_reads_what_came_meanwhile() {
    let mut config = world(secs(60), cluster(3, 3));
    config.producers.push(producer_until(100, Acks::All, 20));
    config.groups.push(group(2));
    let pause = Happening::Pause(Whom::workers(Fleet::Group(0), 2));
    config.timeline.push(planned(at(15), Some(secs(10)), pause));
    let summary = run(&config).summary;
    assert_eq!(count(&summary, "records_unread"), 0);
}
