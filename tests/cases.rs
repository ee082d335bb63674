//! Small inputs that once gave wrong results, each at its own numbers and at others.

use scenarios::Variant;
use sim_core::result::RunResult;

use crate::bench::count;

/// Every run of a scenario, by name.
pub(crate) fn play(text: &str) -> Vec<RunResult> {
    let none = |name: &str| Err(format!("{name}: stands alone"));
    let loaded = scenarios::load("case.ron", text, &[], &none)
        .unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    let run = |variant: &Variant| {
        let mut result = sim_core::run::run(&loaded.lower(variant, 42), &|_| {});
        result.name.clone_from(&variant.name);
        result
    };
    loaded.variants.iter().map(run).collect()
}

/// The runs of `text` with `timeline`, one for each.
fn with_timelines<const N: usize>(text: &str, timelines: [&str; N]) -> [RunResult; N] {
    timelines.map(|it| {
        let text = format!("Scenario(title: \"t\", timeline: [{it}], {text})");
        play(&text).remove(0)
    })
}

/// A group is away for longer than the retention of 60 s, long after its broker has stood still or
/// was restarted. What is expired when it comes back does not depend on that: within a segment.
#[test]
fn retention_goes_on_after_a_pause_or_a_restart_of_its_broker() {
    for (rate, segment_s, interval_s, pause_s) in
        [(20, 10, 60, 120), (50, 5, 30, 200), (10, 20, 45, 90)]
    {
        let text = format!(
            r#"duration: "30m", resolution: "100ms",
            systems: {{"k": Kafka(version: "3.9", brokers: 1, quorum: KRaft(nodes: 1),
                config: {{"offsets.topic.replication.factor": 1, "log.retention.check.interval.ms": "{interval_s}s"}},
                topics: {{"t": (partitions: 1, replication_factor: 1,
                    config: {{"retention.ms": "60s", "segment.ms": "{segment_s}s"}})}})}},
            producers: {{"w": (to: "k", topic: "t", rate: "{rate}/s",
                client: Kafka(config: {{"acks": "1", "enable.idempotence": false}}))}},
            consumers: {{"g": KafkaGroup(from: "k", topics: ["t"], members: 1, service_time: "100us",
                config: {{"auto.offset.reset": "earliest"}})}}"#
        );
        let away = r#"(at: "8m", for: "15m", what: StopWorkers(consumer: "g", workers: 1))"#;
        let fault = |what: &str, lasts: u32| {
            format!(
                r#"(at: "3m", for: "{lasts}s", what: {what}(cluster: "k", brokers: [0])), {away}"#
            )
        };
        let (paused, killed) = (fault("PauseBrokers", pause_s), fault("KillBrokers", 5));
        let runs = with_timelines(&text, [away, &paused, &killed]);
        let [whole, paused, killed] = runs.map(|run| count(&run.consumers["g"], "records_lost"));
        // Away for 900 s; the last 60 s, a segment and a check's interval are kept at most.
        let least = rate * (900 - 60 - segment_s - interval_s);
        assert!(whole >= least, "{whole} of at least {least} expired");
        for other in [paused, killed] {
            // The checks of a restarted broker have another phase.
            let most =
                if other == killed { rate * (segment_s + interval_s) } else { rate * segment_s };
            assert!(whole.abs_diff(other) <= most, "{other} expired, {whole} without the fault");
        }
    }
}

/// A second fault inside the first adds to it and takes only itself away: more is throttled than by
/// the first alone, of iterators more expire, and a slow consumer is slower.
#[test]
fn two_overlapping_faults_of_one_kind_compose() {
    let text = r#"duration: "10m", resolution: "100ms",
        systems: {"s": Kinesis(capacity: Provisioned(shards: 2))},
        producers: {"w": (to: "s", rate: "200/s", client: Sdk)},
        consumers: {"c": Kcl(from: "s", workers: 1, version: "2", retrieval: Polling, service_time: "1ms")}"#;
    for (outer, inner) in [(50, 60), (30, 80), (60, 20)] {
        for (what, metric) in
            [("ThrottleApi", "records_throttled"), ("ExpireIterators", "iterators_expired")]
        {
            let first =
                format!(r#"(at: "1m", for: "8m", what: {what}(stream: "s", share: "{outer}%"))"#);
            let second =
                format!(r#"(at: "2m", for: "1m", what: {what}(stream: "s", share: "{inner}%"))"#);
            let [alone, both] = with_timelines(text, [&first, &format!("{first}, {second}")]);
            let [alone, both] = [alone, both].map(|run| count(&run.summary, metric));
            if inner > outer {
                assert!(both > alone, "{what}: {both} with a second one, {alone} without");
            } else {
                // The greater share holds: a weaker one inside it changes nothing.
                assert_eq!(both, alone, "{what}");
            }
        }
    }
}

/// Twice and three times as slow at once is six times, and each end takes its own factor away: 100/s
/// come, 1 ms each: of a group, and of a KCL worker. At 12 ms each (2 x 6) 83/s are processed, at
/// 6 ms or 2 ms all: after the inner fault of `lasts` the backlog is (100 - 83.3) x lasts.
#[test]
fn factors_of_overlapping_faults_multiply_and_end_alone() {
    for (outer, inner, lasts) in [(2, 6, 60), (3, 4, 120), (6, 2, 90)] {
        let text = r#"duration: "20m", resolution: "0s",
            systems: {"s": Kinesis(capacity: Provisioned(shards: 1))},
            producers: {"w": (to: "s", rate: "100/s", client: Sdk)},
            consumers: {"c": Kcl(from: "s", workers: 1, service_time: "1ms")}"#;
        let timeline = format!(
            r#"(at: "1m", for: "15m", what: SlowConsumer(consumer: "c", factor: {outer})),
            (at: "2m", for: "{lasts}s", what: SlowConsumer(consumer: "c", factor: {inner}))"#
        );
        let [run] = with_timelines(text, [&timeline]);
        let backlog = (100.0 - 1_000.0 / 12.0) * f64::from(lasts);
        let most = count(&run.summary, "lag_records_max") as f64;
        // Up to 60 ms of pushing and a second's chunk are unread besides.
        assert!((most - backlog).abs() < 0.05 * backlog + 30.0, "{most}, derived {backlog}");
        assert_eq!(count(&run.summary, "records_unread"), 0);
    }
}

/// Nobody is hit, nobody comes back: to kill or to stop what is dead already adds no worker later.
#[test]
fn no_more_come_back_than_were_hit() {
    let kinesis = r#"duration: "20m", resolution: "100ms",
        systems: {"s": Kinesis(capacity: Provisioned(shards: 2))},
        producers: {"w": (to: "s", rate: "20/s", client: Sdk)},
        consumers: {"c": Kcl(from: "s", workers: 2, service_time: "1ms")}"#;
    let kafka = r#"duration: "20m", resolution: "100ms",
        systems: {"s": Kafka(version: "3.9", brokers: 3, topics: {"t": (partitions: 4)})},
        producers: {"w": (to: "s", rate: "20/s")},
        consumers: {"c": KafkaGroup(from: "s", members: 2, service_time: "1ms")}"#;
    for text in [kinesis, kafka] {
        for (first, second) in [("Kill", "Kill"), ("Kill", "Stop"), ("Stop", "Kill")] {
            let dead = format!(r#"(at: "2m", what: {first}Workers(consumer: "c", workers: 2))"#);
            let again = format!(
                r#"{dead}, (at: "4m", for: "1m", what: {second}Workers(consumer: "c", workers: 2))"#
            );
            let [once, twice] = with_timelines(text, [&dead, &again]);
            let [once, twice] = [once, twice].map(|run| count(&run.summary, "records_delivered"));
            assert!(once > 2_000, "two minutes at 20/s were delivered: {once}");
            assert_eq!(once, twice, "{first}, then {second}");
        }
    }
}

/// What comes back is what was hit: of four, two are killed for a while; before they come back
/// another one is stopped for good. Three run in the end, and read everything.
#[test]
fn the_end_of_a_fault_brings_back_only_whom_it_took() {
    let text = r#"duration: "20m", resolution: "100ms",
        systems: {"s": Kafka(version: "3.9", brokers: 3, topics: {"t": (partitions: 12)})},
        producers: {"w": (to: "s", rate: "50/s")},
        consumers: {"c": KafkaGroup(from: "s", members: 4, service_time: "1ms")}"#;
    for (hit, other) in [("[0, 1]", 3), ("[2]", 0), ("[1, 3]", 2)] {
        let timeline = format!(
            r#"(at: "2m", for: "4m", what: KillWorkers(consumer: "c", who: Numbers({hit}))),
            (at: "4m", what: StopWorkers(consumer: "c", who: Numbers([{other}])))"#
        );
        let [run] = with_timelines(text, [&timeline]);
        let last = run.events.iter().rfind(|it| it.kind == "group_rebalanced").unwrap();
        assert!(last.detail.contains("3 members"), "{}", last.detail);
        assert_eq!(count(&run.summary, "records_unread"), 0);
    }
}

/// A crash loop keeps to its slot: the first worker by default, or the one named, of a group too. It
/// crashes each `up + down` from its beginning on: of 20 minutes at 4:30 each, 5 times.
#[test]
fn a_crash_loop_keeps_to_its_slot() {
    let kinesis = r#"duration: "30m", resolution: "100ms",
        systems: {"s": Kinesis(capacity: Provisioned(shards: 8))},
        producers: {"w": (to: "s", rate: "80/s", client: Sdk)},
        consumers: {"c": Kcl(from: "s", workers: 4, service_time: "1ms", version: "2")}"#;
    let kafka = r#"duration: "30m", resolution: "100ms",
        systems: {"s": Kafka(version: "3.9", brokers: 3, topics: {"t": (partitions: 8)})},
        producers: {"w": (to: "s", rate: "80/s")},
        consumers: {"c": KafkaGroup(from: "s", members: 4, service_time: "1ms")}"#;
    for (text, kind) in [(kinesis, "worker"), (kafka, "member")] {
        for (who, slot) in [("workers: 1", 0), ("who: Numbers([2])", 2), ("who: Numbers([3])", 3)] {
            let timeline = format!(
                r#"(at: "2m", for: "20m", what: RestartLoop(consumer: "c", {who}, up: "4m", down: "30s"))"#
            );
            let [run] = with_timelines(text, [&timeline]);
            let crashed = run.events.iter().filter(|it| it.kind == "worker_crashed");
            let subjects: Vec<&str> = crashed.map(|it| it.subject.as_str()).collect();
            assert_eq!(subjects, vec![format!("consumers.c/{kind}-{slot}"); 5]);
            assert_eq!(count(&run.summary, "records_unread"), 0);
        }
    }
}

/// Roles are looked for when it begins: with ZooKeeper the controller is a broker, a group's
/// coordinator leads its partition of the offsets topic, a partition has a leader. A chosen one at
/// random is the same in each run of a seed.
#[test]
fn a_fault_finds_whom_a_role_names() {
    let text = r#"duration: "6m", resolution: "100ms",
        systems: {"k": Kafka(version: "2.4", brokers: 3, topics: {"t": (partitions: 6)})},
        producers: {"w": (to: "k", rate: "50/s")},
        consumers: {"c": KafkaGroup(from: "k", members: 3, service_time: "1ms")}"#;
    let kill = |who: &str| {
        format!(r#"(at: "2m", for: "1m", what: KillBrokers(cluster: "k", who: {who}))"#)
    };
    let [controller, coordinator, leader, random, again] = with_timelines(
        text,
        [
            &kill("Controller"),
            &kill("Coordinator(\"c\")"),
            &kill("LeaderOf(\"t\", 3)"),
            &kill("Random(1)"),
            &kill("Random(1)"),
        ],
    );
    let has = |run: &RunResult, kind: &str| run.events.iter().any(|it| it.kind == kind);
    let after = |run: &RunResult| {
        let changed = run.events.iter().filter(|it| it.kind == "controller_changed");
        changed.filter(|it| it.at.as_secs_f64() >= 120.0).count()
    };
    assert!(after(&controller) > 0, "the controller moved");
    assert!(has(&coordinator, "coordinator_lost"));
    assert!(
        leader.events.iter().any(|it| it.kind == "leader_elected" && it.subject.ends_with("t-3"))
    );
    assert_eq!(format!("{:?}", random.events), format!("{:?}", again.events));
    for run in [controller, coordinator, leader, random] {
        assert_eq!(count(&run.summary, "records_unread"), 0);
    }
}

/// A reader of 1/service that falls behind for `r` times its own rate meets the end of retention when
/// it is 24 h behind: at age share (1 - 1/r) t. From then on the difference of the rates is lost:
/// 6/s from 64 h to 90 h. It delivers at its own pace all the same, and a grid changes nothing.
#[test]
fn a_reader_at_the_end_of_retention_loses_the_difference_of_the_rates() {
    // (records per 100 s, service in ms, size in KiB, hours, in hand at most)
    for (rate, service_ms, size, hours, in_hand) in
        [(1_600, 100, 1, 90, 20_000_u64), (160, 1_000, 100, 90, 400), (200, 1_000, 100, 60, 400)]
    {
        let text = |resolution: &str| {
            format!(
                r#"duration: "{hours}h", {resolution}
                systems: {{"s": Kinesis(capacity: Provisioned(shards: 1), retention: "24h")}},
                producers: {{"w": (to: "s", rate: "{}/s", record_size: "{size}KiB")}},
                consumers: {{"c": Kcl(from: "s", workers: 1, version: "2", retrieval: Polling,
                    service_time: "{service_ms}ms")}}"#,
                f64::from(rate) / 100.0
            )
        };
        let own = 100_000 / service_ms;
        let meets_h = 24.0 / (1.0 - f64::from(own) / f64::from(rate));
        let lost = f64::from(rate - own) / 100.0 * 3_600.0 * (f64::from(hours) - meets_h);
        let mut losses = Vec::new();
        // Record by record where they are few enough for a test.
        for resolution in ["", "resolution: \"0s\","].iter().take(if rate < 1_000 { 2 } else { 1 })
        {
            let [run] = with_timelines(&text(resolution), [""]);
            let value = |metric: &str| count(&run.summary, metric) as f64;
            let delivered = f64::from(own) / 100.0 * 3_600.0 * f64::from(hours);
            assert!((value("records_delivered") / delivered - 1.0).abs() < 0.001);
            let off = (value("records_lost") - lost).abs();
            assert!(off < in_hand as f64 + 0.01 * lost, "{off} off {lost}");
            losses.push(value("records_lost"));
        }
        assert!((losses[0] / losses[losses.len() - 1] - 1.0).abs() < 0.03, "{losses:?}");
    }
}
