//! What is there before the run: who reads it, and when it goes.

use sim_core::result::{RunResult, Summary};

use crate::bench::{count, metric};
use crate::cases::play;

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
