//! How a consumer stands when the run begins: later than the run, or with leases placed by hand.

use sim_core::result::{RunResult, Summary};

use crate::bench::{count, metric, play};

/// 100 records a second for 20 minutes, and one consumer of them.
fn with_consumer(system: &str, consumer: &str) -> RunResult {
    let system = match system {
        "stream" => r#"Kinesis(capacity: Provisioned(shards: 2))"#,
        "cluster" => {
            r#"Kafka(version: "3.9", topics: {"t": (partitions: 4, replication_factor: 3)})"#
        }
        other => panic!("no such system: {other}"),
    };
    let text = format!(
        r#"Scenario(title: "t", duration: "20m", resolution: "100ms", systems: {{"s": {system}}},
        producers: {{"w": (to: "s", rate: "100/s", arrivals: Even)}}, consumers: {{"c": {consumer}}})"#
    );
    play(&text).remove(0)
}

fn of_consumer(run: &RunResult) -> (&Summary, u64, u64) {
    let own = &run.consumers["c"];
    (own, count(own, "records_delivered"), count(own, "records_unread"))
}

/// 100/s for 600 s are stored before it begins at 10 min, and as many after that. With TRIM_HORIZON
/// all are its, with LATEST the second half, but for what the KPL's 100 ms had under way: two grid
/// points of 10 at most. Until a reader has the shards more records wait, at most for the lock and
/// two runs of the leader (N-KCL-18, N-KCL-19): 30 + 2 x 20 s.
#[test]
fn an_application_that_begins_later_reads_from_its_initial_position_on() {
    for (version, most_wait_s) in [("2", 12), ("3", 71)] {
        for (position, before) in [("LATEST", 0), ("TRIM_HORIZON", 60_000)] {
            let run = with_consumer(
                "stream",
                &format!(
                    r#"Kcl(from: "s", workers: 2, version: "{version}", service_time: "1ms",
                    begins: "10m", config: {{"initialPositionInStreamExtended": "{position}"}})"#
                ),
            );
            let (own, delivered, unread) = of_consumer(&run);
            let (stored, expected) = (delivered + unread, before + 60_000);
            assert!(stored.abs_diff(expected) <= 20, "{position}: {stored}, derived {expected}");
            assert_eq!(count(own, "records_lost"), 0, "what is not its own is not lost");
            let lag = count(own, "lag_records_max");
            let most = before + 100 * most_wait_s;
            assert!(lag >= before && lag <= most, "{version} {position}: {lag}, most {most}");
            // 2 shards at 1,000/s each less the 100/s that come: 60,000 are read in 32 s.
            assert!(unread <= 100, "{version} {position}: {unread} unread after ten minutes");
        }
    }
}

/// The same of a group: members are up after 5 s (`start_time`), the first of them waits 3 s for others
/// (K-GRP-1), and with "latest" what comes meanwhile waits: 8 s of 100/s, and no more than a second
/// of requests besides.
#[test]
fn a_group_that_begins_later_reads_from_where_auto_offset_reset_says() {
    for (reset, before) in [("latest", 0), ("earliest", 60_000)] {
        for protocol in ["classic", "consumer"] {
            let run = play(&format!(
                r#"Scenario(title: "t", duration: "20m", resolution: "100ms",
                systems: {{"s": Kafka(version: "4.1",
                    topics: {{"t": (partitions: 4, replication_factor: 3)}})}},
                producers: {{"w": (to: "s", rate: "100/s", arrivals: Even)}},
                consumers: {{"c": KafkaGroup(from: "s", members: 2, service_time: "1ms", begins: "10m",
                    config: {{"auto.offset.reset": "{reset}", "group.protocol": "{protocol}"}})}})"#
            ))
            .remove(0);
            let (own, delivered, unread) = of_consumer(&run);
            let (stored, expected) = (delivered + unread, before + 60_000);
            assert!(stored.abs_diff(expected) <= 20, "{reset}: {stored}, derived {expected}");
            assert_eq!(count(own, "records_lost"), 0, "what is not its own is not lost");
            let lag = count(own, "lag_records_max");
            let waited = if protocol == "classic" { 800 } else { 500 };
            assert!(lag >= before + waited && lag <= before + waited + 600, "{reset}: {lag}");
            assert!(unread <= 100, "{reset}: {unread} unread after ten minutes");
        }
    }
}

/// The negative: who does not say when it begins is there from the first record on.
#[test]
fn a_consumer_that_begins_with_the_run_has_all_records_and_no_lag() {
    let of_stream = r#"Kcl(from: "s", workers: 2, service_time: "1ms")"#;
    let of_cluster = r#"KafkaGroup(from: "s", members: 2, service_time: "1ms")"#;
    for (system, consumer) in [("stream", of_stream), ("cluster", of_cluster)] {
        let run = with_consumer(system, consumer);
        let (own, delivered, unread) = of_consumer(&run);
        assert!((delivered + unread).abs_diff(120_000) <= 20, "{system}: {delivered}");
        assert!(metric(own, "lag_seconds_max") < 1.0, "{system}");
    }
}

/// Faults before a consumer begins find nobody, workers that are added before it begins start with the
/// others, and a second of its kind that has run for long is not touched by it.
#[test]
fn what_happens_before_a_consumer_begins_does_not_bring_it_about_earlier() {
    let of_stream = r#"Kcl(from: "s", workers: 1, service_time: "1ms""#;
    let of_cluster = r#"KafkaGroup(from: "s", service_time: "1ms""#;
    for (system, of) in [
        (r#"Kinesis(capacity: Provisioned(shards: 2))"#, of_stream),
        (
            r#"Kafka(version: "3.9", topics: {"t": (partitions: 2, replication_factor: 3)})"#,
            of_cluster,
        ),
    ] {
        let run = play(&format!(
            r#"Scenario(title: "t", duration: "20m", resolution: "100ms",
            systems: {{"s": {system}}}, producers: {{"w": (to: "s", rate: "100/s", arrivals: Even)}},
            consumers: {{"c": {of}, begins: "10m"), "other": {of})}},
            timeline: [
                (at: "1m", for: "1m", what: KillWorkers(consumer: "c", workers: 1)),
                (at: "3m", for: "1m", what: PauseWorkers(consumer: "c", workers: 1)),
                (at: "5m", what: AddWorkers(consumer: "c", workers: 1)),
                (at: "6m", what: RollingRestart(consumer: "c", down: "5s", gap: "5s")),
            ])"#
        ))
        .remove(0);
        let (own, delivered, unread) = of_consumer(&run);
        assert!((delivered + unread).abs_diff(60_000) <= 20, "{delivered} of the second half");
        assert!(unread <= 100, "{unread} unread");
        assert_eq!(count(own, "records_redelivered"), 0);
        let other = &run.consumers["other"];
        let all = count(other, "records_delivered") + count(other, "records_unread");
        assert!(all.abs_diff(120_000) <= 20, "{all} of the other");
    }
}

/// A stream that was split before an application begins: with LATEST the closed parent is not read,
/// with TRIM_HORIZON it is read first. Parents are read in order, so nothing is out of order.
#[test]
fn an_application_that_begins_after_a_split_reads_the_parent_only_from_the_trim_horizon() {
    for (position, before) in [("LATEST", 0), ("TRIM_HORIZON", 60_000)] {
        let run = play(&format!(
            r#"Scenario(title: "t", duration: "20m", resolution: "100ms",
            systems: {{"s": Kinesis(capacity: Provisioned(shards: 1))}},
            producers: {{"w": (to: "s", rate: "100/s", arrivals: Even, keys: Uniform(prefix: "k", keys: 1000))}},
            consumers: {{"c": Kcl(from: "s", version: "2", service_time: "1ms", begins: "10m",
                config: {{"initialPositionInStreamExtended": "{position}"}})}},
            timeline: [(at: "5m", what: SplitShard(stream: "s", shard: 0))])"#
        ))
        .remove(0);
        let (own, delivered, unread) = of_consumer(&run);
        let expected = before + 60_000;
        assert!((delivered + unread).abs_diff(expected) <= 20, "{position}: {delivered}");
        assert!(unread <= 100 && count(own, "records_reordered") == 0, "{position}: {unread}");
    }
}

/// Four shards with 300/s each at 1 ms, one at a time for each worker. Dealt evenly a worker has
/// 600/s of its 1,000/s. With three leases it has 900/s and still keeps up, but the other steals one (2
/// each are its target: N-KCL-6). With all four it has 1,200/s: a backlog grows until the other has
/// stolen one, and two are stolen.
#[test]
fn leases_placed_by_hand_are_an_uneven_start_that_2_x_evens_out_lease_by_lease() {
    for (leases, taken, falls_behind) in [
        ("", 0..=0, false),
        ("leases: [[0, 2], [1, 3]],", 0..=0, false),
        // Whoever scans first takes the lease without an owner, beyond its target too.
        ("leases: [[0, 1], [3]],", 0..=1, false),
        ("leases: [[0, 1, 2], [3]],", 1..=1, false),
        ("leases: [[], [3, 1, 2, 0]],", 2..=2, true),
    ] {
        let run = play(&format!(
            r#"Scenario(title: "t", duration: "10m", resolution: "0s",
            systems: {{"s": Kinesis(capacity: Provisioned(shards: 4))}},
            producers: {{"w": (to: "s", rate: "1200/s", arrivals: Even, keys: HashKeys(["0",
                "85070591730234615865843651857942052864", "170141183460469231731687303715884105728",
                "255211775190703847597530955573826158592"]))}},
            consumers: {{"c": Kcl(from: "s", version: "2", workers: 2, {leases} worker_threads: 1,
                service_time: "1ms")}})"#
        ))
        .remove(0);
        let (own, _, unread) = of_consumer(&run);
        let moved = count(own, "leases_taken");
        assert!(taken.contains(&moved), "{leases}: {moved}");
        let lag = metric(own, "lag_seconds_max");
        if falls_behind {
            // 200/s too many for the 5 s at least until a taker runs are 1,000 records.
            assert!(lag > 1.0, "{leases} {lag} s behind");
        } else if *taken.end() == 0 {
            assert!(lag < 0.5, "{leases} {lag} s behind");
        }
        assert!(unread < 2_000, "{leases} {unread} unread at the end");
    }
}
