//! Sinks hold consumers back: rates, connections, failures, and what a consumer does about them.

use sim_core::result::{RunResult, Summary};

use crate::bench::{count, play};

/// 1,000 a second for 100 s.
const RATE: &str = r#"Steps([("0s", "1000/s"), ("100s", "0/s")])"#;

/// A world of 1,000 records a second for 100 s, then silence, read by both kinds of consumer in turn.
/// `rest` is said of the consumer, `world` of the scenario.
fn both(sink: &str, rest: &str, world: &str) -> [RunResult; 2] {
    let kinesis = (
        r#"Kinesis(capacity: Provisioned(shards: 2))"#,
        r#"Kcl(from: "s", workers: 2, version: "2", "#,
    );
    let kafka = (
        r#"Kafka(version: "3.9", brokers: 3, topics: {"t": (partitions: 2, replication_factor: 3)})"#,
        r#"KafkaGroup(from: "s", members: 2, "#,
    );
    [kinesis, kafka].map(|(system, consumer)| {
        let text = format!(
            r#"Scenario(title: "t", duration: "10m", resolution: "20ms",
            systems: {{"s": {system}}},
            producers: {{"w": (to: "s", rate: {RATE}, arrivals: Even)}},
            consumers: {{"c": {consumer} service_time: "10us", sink: "db", {rest})}},
            sinks: {{"db": {sink}}}, {world})"#
        );
        play(&text).remove(0)
    })
}

fn value(summary: &Summary, metric: &str) -> f64 {
    summary[metric].as_f64()
}

/// 100,000 records at 500/s take 200 s: the last one waits 100 s, nearly all of it at the sink or
/// behind others that are there. At 250/s it takes 400 s, and at 2,000/s nobody waits.
#[test]
fn a_sink_below_the_rate_of_its_records_holds_its_consumer_back() {
    for (per_s, last_s) in [(500, 100.0), (250, 300.0), (2_000, 0.0)] {
        let sink = format!(r#"Sink(idempotent: true, capacity: "{per_s}/s")"#);
        for run in both(&sink, "", "") {
            assert_eq!(count(&run.summary, "records_delivered"), 100_000);
            let longest = value(&run.summary, "e2e_latency_ms_max") / 1_000.0;
            assert!((longest - last_s).abs() < 0.03 * last_s + 2.0, "{per_s}/s: {longest} s");
            let blame = &run.blame["c"];
            let waited = blame.get("sink").copied().unwrap_or(0.0)
                + blame.get("capacity").copied().unwrap_or(0.0);
            assert!(last_s < 1.0 || waited > 0.9 * longest, "{blame:?}");
        }
    }
}

/// Two shards or partitions are two writers. With one connection of 2 ms they share 500/s and take
/// 200 s together; with two they have 1,000/s, which is what comes.
#[test]
fn writers_share_the_connections_of_a_sink() {
    for (connections, last_s) in [(1, 100.0), (2, 0.0)] {
        let sink =
            format!(r#"Sink(idempotent: true, concurrency: {connections}, latency: "1950us")"#);
        for run in both(&sink, "", "") {
            assert_eq!(count(&run.summary, "records_delivered"), 100_000);
            let longest = value(&run.summary, "e2e_latency_ms_max") / 1_000.0;
            // 1.96 ms each, the 10 us of processing included.
            assert!((longest - last_s).abs() < 0.05 * last_s + 6.0, "{connections}: {longest} s");
        }
    }
}

/// A tenth of the writes fails. What is given up at once is a tenth of all, in a dead-letter queue or
/// lost; after three writes a thousandth; with `Block` nothing. Four standard errors of sqrt(n p).
#[test]
fn what_a_sink_does_not_take_goes_where_the_consumer_says() {
    let sink = r#"Sink(idempotent: true, errors: "10%")"#;
    for (rest, dead, lost) in [
        ("on_failure: DeadLetter", 10_000.0, 0.0),
        ("on_failure: Skip", 0.0, 10_000.0),
        (r#"on_failure: Retry(attempts: 3, base: "1ms", then: DeadLetter)"#, 100.0, 0.0),
        (r#"on_failure: Retry(attempts: 2, base: "1ms", then: Skip)"#, 0.0, 1_000.0),
        (r#"on_failure: Block(base: "1ms", ceiling: "5ms")"#, 0.0, 0.0),
    ] {
        for run in both(sink, rest, "") {
            let of = &run.consumers["c"];
            for (metric, expected) in [("records_dead_lettered", dead), ("records_lost", lost)] {
                let off = (value(of, metric) - expected).abs();
                assert!(off <= 4.0 * f64::sqrt(expected), "{rest}: {metric} off by {off}");
            }
            let ended = ["records_delivered", "records_dead_lettered", "records_lost"];
            assert_eq!(ended.iter().map(|it| count(of, it)).sum::<u64>(), 100_000, "{rest}");
            assert_eq!(count(of, "records_unread"), 0);
        }
    }
}

/// All writes fail from 40 s on, for a minute: who blocks stands still, loses nothing and repeats
/// nothing, and the record that came first is at least a minute old when it is applied.
#[test]
fn a_consumer_that_blocks_stands_still_until_its_sink_is_back() {
    let world = r#"timeline: [(at: "40s", for: "1m", what: FailSink(sink: "db", share: "100%"))]"#;
    for run in both("Sink(idempotent: false)", r#"on_failure: Block(ceiling: "1s")"#, world) {
        let of = &run.consumers["c"];
        assert_eq!(count(of, "records_delivered"), 100_000);
        assert_eq!((count(of, "records_redelivered"), count(of, "records_lost")), (0, 0));
        let longest = value(of, "e2e_latency_ms_max") / 1_000.0;
        assert!((60.0..63.0).contains(&longest), "{longest} s");
        assert!(run.blame["c"]["sink"] > 50.0, "{:?}", run.blame["c"]);
    }
}

/// What is not answered is not committed: while the sink is away for two minutes, the members of a
/// group do not poll and are expelled after 30 s; what they hold is processed again, and their
/// group rebalances. A group that may take its time is left alone.
#[test]
fn a_group_that_waits_for_its_sink_too_long_is_expelled() {
    let world = r#"timeline: [(at: "40s", for: "2m", what: FailSink(sink: "db", share: "100%"))]"#;
    for (interval, expelled) in [("30s", true), ("10m", false)] {
        let rest = format!(
            r#"on_failure: Block(ceiling: "1s"), config: {{"max.poll.interval.ms": "{interval}"}}"#
        );
        let text = format!(
            r#"Scenario(title: "t", duration: "10m", resolution: "20ms",
            systems: {{"s": Kafka(version: "3.9", brokers: 3, topics: {{"t": (partitions: 2, replication_factor: 3)}})}},
            producers: {{"w": (to: "s", rate: {RATE}, arrivals: Even)}},
            consumers: {{"c": KafkaGroup(from: "s", members: 2, service_time: "10us", sink: "db", {rest})}},
            sinks: {{"db": Sink(idempotent: false)}}, {world})"#
        );
        let run = play(&text).remove(0);
        assert_eq!(count(&run.consumers["c"], "rebalances") > 0, expelled);
        assert_eq!(count(&run.consumers["c"], "records_delivered"), 100_000);
        assert_eq!(count(&run.consumers["c"], "records_unread"), 0);
    }
}

/// A sink without limits, latency or errors changes nothing at all.
#[test]
fn a_sink_that_takes_everything_at_once_is_not_felt() {
    let plain = both("Sink(idempotent: true)", "", "");
    let felt = both(r#"Sink(idempotent: true, capacity: "100000/s")"#, "", "");
    for (plain, felt) in plain.iter().zip(&felt) {
        for metric in ["records_delivered", "records_accepted"] {
            assert_eq!(plain.summary[metric], felt.summary[metric]);
        }
        assert!(!plain.blame_total["c"].contains_key("sink"), "{:?}", plain.blame_total["c"]);
    }
}
