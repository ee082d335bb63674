//! What is there before the run: who reads it, and when it goes.

use sim_core::result::{RunResult, Summary};

use crate::bench::{count, metric, play};

const KIB: u64 = 1 << 10;

/// A stream of one shard that 100 records of 1 KiB a second have been written to for so many hours, and
/// go on to be; with one application.
fn stream(age_h: u64, duration: &str, app: &str) -> RunResult {
    let bytes = age_h * 3_600 * 100 * KIB;
    let history = if age_h == 0 {
        String::new()
    } else {
        format!(r#", history: (bytes: "{bytes}B", age: "{age_h}h")"#)
    };
    play(&format!(
        r#"Scenario(title: "t", duration: "{duration}", resolution: "100ms",
        systems: {{"s": Kinesis(capacity: Provisioned(shards: 1){history})}},
        producers: {{"w": (to: "s", rate: "100/s", arrivals: Even, record_size: "1KiB")}},
        consumers: {{"c": Kcl(from: "s", {app})}})"#
    ))
    .remove(0)
}

fn of_consumer(run: &RunResult) -> (&Summary, u64, u64) {
    let own = &run.consumers["c"];
    (own, count(own, "records_delivered"), count(own, "records_unread"))
}

/// Two hours behind at 100/s are 720,000 records. At 3.333 ms each 300/s are processed, 200/s more than
/// come: level after 3,600 s. A minute before, 12,000 are left. A slice is 64 records, and a second of
/// reading and writing is under way.
#[test]
fn an_application_two_hours_behind_at_three_times_the_rate_catches_up_in_one() {
    let app = r#"service_time: "3333333ns", lag: "2h""#;
    for (duration, left) in [("59m", 12_000), ("62m", 0)] {
        let run = stream(6, duration, app);
        let (own, delivered, unread) = of_consumer(&run);
        assert!(unread.abs_diff(left) < 400, "{unread} are left after {duration}, derived {left}");
        let minutes: u64 = duration[..2].parse().unwrap();
        let stored = 720_000 + minutes * 60 * 100;
        assert!((delivered + unread).abs_diff(stored) < 30, "{delivered} and {unread}");
        assert_eq!(count(own, "records_lost") + count(own, "records_redelivered"), 0);
        // The oldest is two hours old when the run begins, and the first to be processed.
        let lag = metric(own, "lag_seconds_max");
        assert!((7_200.0..7_210.0).contains(&lag), "{lag} s behind");
    }
}

/// The producer's books know nothing of what was there before: 100/s for an hour.
#[test]
fn what_was_there_before_is_no_producers() {
    let run = stream(6, "1h", r#"service_time: "1ms", lag: "5h""#);
    let producer = &run.producers["w"];
    assert_eq!(count(producer, "records_offered"), 360_000);
    assert!(count(producer, "records_accepted") <= 360_000);
}

/// 24 h old is all that retention of 24 h has left, so it takes 100/s of the history from the first
/// second on, as they were written: 360,000 until workers come after an hour. They read 2 MiB/s, 2,048
/// records, and pass the horizon within the seconds until they have a lease.
#[test]
fn retention_takes_the_history_at_the_pace_at_which_it_was_written() {
    let app = r#"version: "2", service_time: "1us", lag: "24h", begins: "1h""#;
    let lost = |age_h, app: &str| {
        let run = stream(age_h, "61m", app);
        count(of_consumer(&run).0, "records_lost")
    };
    let of_day = lost(24, app);
    assert!((360_000..362_000).contains(&of_day), "{of_day} lost of a day");
    // The negative: of 12 h nothing is as old as that within the hour.
    assert_eq!(lost(12, r#"version: "2", service_time: "1us", lag: "12h", begins: "1h""#), 0);
}

/// Who has read all that is there sees no difference: every number is as without a history.
#[test]
fn a_history_that_is_read_changes_nothing() {
    let app = r#"service_time: "1ms""#;
    let (with, without) = (stream(24, "20m", app), stream(0, "20m", app));
    assert_eq!(with.consumers, without.consumers);
    assert_eq!(with.producers, without.producers);
    assert_eq!(with.summary, without.summary);
}

/// An application without checkpoints begins with the oldest of 6 h: 2,160,000 records. Its longest
/// delivery waited 6 h before the start. Exact to the record as on a grid.
#[test]
fn an_application_without_checkpoints_reads_the_history_from_the_trim_horizon() {
    let app = r#"version: "2", service_time: "1us", begins: "0s",
        config: {"initialPositionInStreamExtended": "TRIM_HORIZON"}"#;
    let run = stream(6, "30m", app);
    let (own, delivered, unread) = of_consumer(&run);
    let stored = 2_160_000 + 180_000;
    assert!((delivered + unread).abs_diff(stored) < 30, "{delivered} and {unread}");
    assert!(unread < 100 && count(own, "records_lost") == 0, "{unread} unread");
    let before = run.blame["c"]["before_start"];
    assert!((before - 21_600.0).abs() < 1e-6, "{before} s before the start");
}

/// Two streams with other histories: 1 h of 50/s and 3 h of 200/s are 180,000 and 2,160,000 records;
/// each application is an hour behind in its own, which is 180,000 and 720,000.
#[test]
fn each_stream_has_a_history_of_its_own() {
    let run = play(&format!(
        r#"Scenario(title: "t", duration: "10m", resolution: "0s",
        systems: {{
            "a": Kinesis(capacity: Provisioned(shards: 1), history: (bytes: "{}B", age: "1h")),
            "b": Kinesis(capacity: Provisioned(shards: 2), history: (bytes: "{}B", age: "3h")),
        }},
        producers: {{
            "wa": (to: "a", rate: "10/s", arrivals: Even, record_size: "1KiB"),
            "wb": (to: "b", rate: "10/s", arrivals: Even, record_size: "1KiB"),
        }},
        consumers: {{
            "ca": Kcl(from: "a", service_time: "10us", lag: "1h"),
            "cb": Kcl(from: "b", service_time: "10us", lag: "1h"),
        }})"#,
        180_000 * KIB,
        2_160_000 * KIB
    ))
    .remove(0);
    for (name, behind) in [("ca", 180_000), ("cb", 720_000)] {
        let own = &run.consumers[name];
        let stored = count(own, "records_delivered") + count(own, "records_unread");
        assert!(stored.abs_diff(behind + 6_000) < 150, "{name}: {stored}");
        assert_eq!(count(own, "records_unread") / 100, 0, "{name}");
    }
}

/// The history is in the shard that is split: its children wait until it is read, and nothing is
/// lost or out of order.
#[test]
fn the_history_of_a_shard_that_is_split_is_read_before_its_children() {
    let bytes = 3_600 * 100 * KIB;
    let run = play(&format!(
        r#"Scenario(title: "t", duration: "40m", resolution: "100ms",
        systems: {{"s": Kinesis(capacity: Provisioned(shards: 1),
            history: (bytes: "{bytes}B", age: "1h"))}},
        producers: {{"w": (to: "s", rate: "100/s", arrivals: Even, record_size: "1KiB",
            keys: Uniform(prefix: "k", keys: 1000))}},
        consumers: {{"c": Kcl(from: "s", workers: 2, version: "2", service_time: "1ms", lag: "1h")}},
        timeline: [(at: "2m", what: SplitShard(stream: "s", shard: 0))])"#
    ))
    .remove(0);
    let (own, delivered, unread) = of_consumer(&run);
    assert!((delivered + unread).abs_diff(360_000 + 240_000) < 30, "{delivered}");
    assert!(unread < 100, "{unread} unread");
    for none in ["records_lost", "records_reordered"] {
        assert_eq!(count(own, none), 0, "{none}");
    }
}

/// A topic of four partitions that 200 records of 1 KiB a second have been written to for so many hours,
/// and go on to be; with one group. `config` is the topic's.
fn topic(age_h: u64, config: &str, duration: &str, group: &str) -> RunResult {
    let bytes = age_h * 3_600 * 200 * KIB;
    let history = if age_h == 0 {
        String::new()
    } else {
        format!(r#", history: (bytes: "{bytes}B", age: "{age_h}h")"#)
    };
    play(&format!(
        r#"Scenario(title: "t", duration: "{duration}", resolution: "100ms",
        systems: {{"s": Kafka(version: "3.9", topics: {{
            "t": (partitions: 4, replication_factor: 3, config: {{{config}}}{history})}})}},
        producers: {{"w": (to: "s", rate: "200/s", arrivals: Even, record_size: "1KiB")}},
        consumers: {{"c": KafkaGroup(from: "s", {group})}})"#
    ))
    .remove(0)
}

/// Two hours behind at 200/s are 1,440,000 records. Two members at 3.333 ms each process 600/s, 400/s
/// more than come: level after 3,600 s. A minute before, 24,000 are left; a poll of each is in hand.
#[test]
fn a_group_two_hours_behind_at_three_times_the_rate_catches_up_in_one() {
    let group = r#"members: 2, service_time: "3333333ns", lag: "2h""#;
    for (duration, left) in [("59m", 24_000), ("62m", 0)] {
        let run = topic(6, "", duration, group);
        let (own, delivered, unread) = of_consumer(&run);
        assert!(
            unread.abs_diff(left) < 1_500,
            "{unread} are left after {duration}, derived {left}"
        );
        let minutes: u64 = duration[..2].parse().unwrap();
        let stored = 1_440_000 + minutes * 60 * 200;
        assert!((delivered + unread).abs_diff(stored) < 60, "{delivered} and {unread}");
        assert_eq!(count(own, "records_lost") + count(own, "records_redelivered"), 0);
        let lag = metric(own, "lag_seconds_max");
        assert!((7_199.0..7_210.0).contains(&lag), "{lag} s behind");
        let before = run.blame["c"]["before_start"];
        assert!(before <= 7_200.0 && before > 0.0, "{before} s before the start");
    }
}

/// A group that was never there reads all of 6 h from the earliest offset, and nothing of it from the
/// latest one.
#[test]
fn a_new_group_reads_the_history_from_the_earliest_offset() {
    for (reset, before) in [("earliest", 6 * 3_600 * 200), ("latest", 0)] {
        let group = format!(
            r#"members: 4, service_time: "10us", begins: "0s", config: {{"auto.offset.reset": "{reset}"}}"#
        );
        let run = topic(6, "", "30m", &group);
        let (own, delivered, unread) = of_consumer(&run);
        let stored = before + 360_000;
        assert!((delivered + unread).abs_diff(stored) < 60, "{reset}: {delivered} and {unread}");
        assert!(unread < 400 && count(own, "records_lost") == 0, "{reset}: {unread} unread");
        assert_eq!(count(&run.producers["w"], "records_offered"), 360_000);
    }
}

/// A segment of 10 minutes (`segment.ms`) goes once its newest record is 12 h old, looked for every five
/// minutes (K-RET-1): of 12 h, what was written in the first hour less the 10 and 5 minutes is
/// gone after an hour, in whole segments. At 200/s that is from 45 to 60 minutes: 540,000 to 720,000.
#[test]
fn retention_takes_segments_of_the_history_at_the_pace_at_which_they_were_written() {
    let config = r#""segment.ms": "10m", "retention.ms": "12h""#;
    let group = r#"members: 4, service_time: "10us", lag: "{}", begins: "1h",
        config: {"auto.offset.reset": "earliest"}"#;
    let lost = |age_h: u64| {
        let run = topic(age_h, config, "80m", &group.replace("{}", &format!("{age_h}h")));
        let (own, delivered, unread) = of_consumer(&run);
        let lost = count(own, "records_lost");
        let stored = age_h * 720_000 + 80 * 60 * 200;
        assert!((delivered + unread + lost).abs_diff(stored) < 60, "{delivered} {unread} {lost}");
        lost
    };
    let of_all = lost(12);
    assert!((539_000..=721_000).contains(&of_all), "{of_all} lost");
    // The negative: of 6 h nothing is as old.
    assert_eq!(lost(6), 0);
}

/// Who has read all that is there sees no difference.
#[test]
fn a_history_that_is_read_changes_nothing_for_a_group_either() {
    let group = r#"members: 2, service_time: "1ms""#;
    let (with, without) = (topic(12, "", "20m", group), topic(0, "", "20m", group));
    assert_eq!(with.consumers, without.consumers);
    assert_eq!(with.producers, without.producers);
}

/// A broker that stops without a word has what is in its active segments to recover, a history's too:
/// 4 partitions of 1 GiB on one broker at 125 MiB/s take 33 s, where without them it takes none.
#[test]
fn a_broker_recovers_the_active_segments_of_the_history() {
    let run = |history: &str| {
        let result = play(&format!(
            r#"Scenario(title: "t", duration: "5m", resolution: "100ms",
            systems: {{"s": Kafka(version: "3.9", brokers: 1, quorum: KRaft(nodes: 1),
                config: {{"offsets.topic.replication.factor": 1}},
                topics: {{"t": (partitions: 4, replication_factor: 1,
                    config: {{"segment.bytes": 2147483647}}{history})}})}},
            producers: {{"w": (to: "s", rate: "10/s", arrivals: Even, record_size: "1KiB")}},
            timeline: [(at: "1m", for: "1s", what: KillBrokers(cluster: "s", brokers: [0]))])"#
        ))
        .remove(0);
        metric(&result.summary, "partition_unavailable_s") / 4.0
    };
    let with = run(r#", history: (bytes: "4GiB", age: "6h")"#);
    let without = run("");
    let longer = with - without;
    assert!((longer - 4_096.0 / 125.0).abs() < 2.5, "{longer} s longer, derived 32.8");
}

/// Of two topics each has its own: an hour of 50/s and 3 h of 200/s; a group that is an hour behind has
/// 180,000 of one and 720,000 of the other. At resolution 0, exact to the record.
#[test]
fn each_topic_has_a_history_of_its_own() {
    let run = play(&format!(
        r#"Scenario(title: "t", duration: "10m", resolution: "0s",
        systems: {{"s": Kafka(version: "3.9", topics: {{
            "a": (partitions: 2, replication_factor: 3, history: (bytes: "{}B", age: "1h")),
            "b": (partitions: 4, replication_factor: 3, history: (bytes: "{}B", age: "3h")),
        }})}},
        producers: {{
            "wa": (to: "s", topic: "a", rate: "10/s", arrivals: Even, record_size: "1KiB"),
            "wb": (to: "s", topic: "b", rate: "10/s", arrivals: Even, record_size: "1KiB"),
        }},
        consumers: {{
            "ca": KafkaGroup(from: "s", topics: ["a"], service_time: "10us", lag: "1h"),
            "cb": KafkaGroup(from: "s", topics: ["b"], service_time: "10us", lag: "1h"),
        }})"#,
        180_000 * KIB,
        2_160_000 * KIB
    ))
    .remove(0);
    for (name, behind) in [("ca", 180_000), ("cb", 720_000)] {
        let own = &run.consumers[name];
        let stored = count(own, "records_delivered") + count(own, "records_unread");
        assert!(stored.abs_diff(behind + 6_000) < 10, "{name}: {stored}");
        assert_eq!(count(own, "records_unread") / 100, 0, "{name}");
    }
}
