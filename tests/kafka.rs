//! Kafka through whole runs: what producers and consumers see of brokers that come and go.

use sim_core::config::kafka::Acks;
use sim_core::config::*;

use crate::bench::{at, count, metric, millis, planned, run, secs};
use crate::kafka_bench::*;

#[test]
fn a_healthy_cluster_delivers_everything_within_milliseconds() {
    for acks in [Acks::None, Acks::Leader, Acks::All] {
        let mut config = world(secs(60), cluster(3, 12));
        config.producers.push(producer_until(5_000, acks, 55));
        config.groups.push(group(4));
        let result = run(&config);
        let summary = &result.summary;
        println!("{acks:?} {summary:?}\n{:?}", result.events_processed);
        assert_eq!(count(summary, "records_delivered"), count(summary, "records_offered"));
        assert!(metric(summary, "e2e_latency_ms_p99") < 30.0);
        assert_eq!(count(summary, "records_lost"), 0);
    }
}

#[test]
fn a_dead_broker_costs_a_session_and_no_acknowledged_record() {
    let mut config = world(secs(180), cluster(3, 12));
    config.resolution = millis(10);
    config.producers.push(producer_until(5_000, Acks::All, 170));
    config.groups.push(group(4));
    let kill = Happening::Kill(Whom::brokers(0, &[0]));
    config.timeline.push(planned(at(30), Some(secs(60)), kill));
    let result = run(&config);
    let summary = &result.summary;
    for e in &result.events {
        println!("{} {} {} {}", e.at, e.kind, e.subject, e.detail);
    }
    println!("{summary:?} {:?} {}", result.blame, result.events_processed);
    assert_eq!(count(summary, "records_lost"), 0);
    assert_eq!(count(summary, "records_delivered"), count(summary, "records_offered"));
}
