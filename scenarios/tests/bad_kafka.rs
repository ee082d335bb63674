//! Every mistake in a Kafka scenario: where it is pointed at, what is said, what is advised; and
//! what is accepted with a warning, as the real system accepts it.
//!
//! A row replaces a piece of a good file; `⟦..⟧` in the replacement is what must be underlined.

use scenarios::{Problem, Problems, Severity, load};

const GOOD: &str = include_str!("orders.ron");

fn problems_of(text: &str) -> Problems {
    match load("bad.ron", text, &[], &|_| Err("no such file".to_owned())) {
        Ok(loaded) => loaded.warnings,
        Err(problems) => problems,
    }
}

/// The good file without mitigations: what they bring about is not what a row is about.
fn good() -> String {
    let (start, rest) = GOOD.split_once("    mitigations: {").expect("mitigations");
    let (_, end) = rest.split_once("    expect:").expect("claims");
    format!("{start}    expect:{end}")
}

/// The good file with a piece replaced; and what must be marked.
fn marked(from: &str, to: &str) -> (String, std::ops::Range<usize>) {
    let good = good();
    assert!(good.contains(from), "{from} is not in the good file");
    let text = good.replacen(from, to, 1);
    let start = text.find('⟦').expect("a row marks what is wrong");
    let end = text.find('⟧').expect("a mark ends") - '⟦'.len_utf8();
    (text.replace(['⟦', '⟧'], ""), start..end)
}

struct Row {
    from: &'static str,
    to: &'static str,
    message: &'static str,
}

const fn row(from: &'static str, to: &'static str, message: &'static str) -> Row {
    Row { from, to, message }
}

/// Exactly one problem of that severity, at the mark, with that message; its line and column.
fn prove(row: &Row, severity: Severity) -> Problem {
    let (text, mark) = marked(row.from, row.to);
    let problems = problems_of(&text);
    let found: Vec<_> = problems.list.iter().filter(|it| it.severity == severity).collect();
    let [only] = found.as_slice() else {
        panic!("{}: {} found\n{problems}", row.to, found.len());
    };
    assert_eq!(only.message, row.message, "{}", row.to);
    assert_eq!(only.span, Some(mark.clone()), "{}\n{problems}", row.to);
    let before = &text[..mark.start];
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    assert_eq!(problems.line_and_column(only), Some((line, column)));
    (*only).clone()
}

fn refused(rows: &[Row]) {
    for row in rows {
        prove(row, Severity::Error);
    }
}

fn warned(rows: &[Row]) {
    for row in rows {
        let (text, _) = marked(row.from, row.to);
        assert!(!problems_of(&text).has_errors(), "{}\n{}", row.to, problems_of(&text));
        prove(row, Severity::Warning);
    }
}

#[test]
fn a_cluster_that_cannot_be_is_refused() {
    refused(&[
        row(
            "version: \"3.9\"",
            "version: ⟦\"3.8\"⟧",
            "expected a Kafka version, \"2.4\", \"3.9\" or \"4.1\", got \"3.8\"",
        ),
        row("brokers: 6", "brokers: ⟦0⟧", "0 brokers are out of range: 1 to 128"),
        row("brokers: 6", "brokers: ⟦129⟧", "129 brokers are out of range: 1 to 128"),
        row("brokers: 6", "brokers: [\"a\", \"b\", \"c\", \"c\", ⟦\"d\"⟧]", "there is no zone `d`"),
        row(
            "zones: [\"a\", \"b\", \"c\"],\n            brokers",
            "zones: [\"a\", \"b\", \"c\", ⟦\"d\"⟧],\n            brokers: [\"a\", \"b\", \"c\", \"a\", \"b\"],\n            //",
            "no broker and no node of the quorum is in zone `d`",
        ),
        row(
            "zones: [\"a\", \"b\", \"c\"],\n            brokers",
            "zones: [\"a\", \"b\", \"c\", ⟦\"a\"⟧],\n            brokers",
            "`a` is given twice",
        ),
    ]);
    refused(&[
        row(
            "nodes: 3",
            "nodes: ⟦7⟧, combined: true",
            "7 controllers cannot be combined with 6 brokers",
        ),
        row(
            "nodes: 3",
            "⟦nodes⟧: [\"b\", \"a\", \"c\"], combined: true",
            "combined controllers are in the zones of the first brokers",
        ),
        row("nodes: 3", "nodes: ⟦17⟧", "17 nodes are out of range: 1 to 15"),
        row(
            "disk: Gp3(throughput: \"250MiB/s\")",
            "disk: Gp3(throughput: ⟦\"100MiB/s\"⟧)",
            "100MiB/s is out of range: 125MiB/s to 1000MiB/s",
        ),
        row(
            "disk: Gp3(throughput: \"250MiB/s\")",
            "instance: ⟦\"m5.lage\"⟧",
            "no bandwidth is known for `m5.lage`",
        ),
    ]);
}

#[test]
fn zookeeper_and_kraft_belong_to_versions() {
    let zookeeper = row("version: \"3.9\",", "version: \"4.1\",", "");
    let text = good().replacen(zookeeper.from, zookeeper.to, 1);
    let text = text.replacen("quorum: KRaft(nodes: 3)", "quorum: ZooKeeper", 1);
    let problems = problems_of(&text);
    let message = "Kafka 4.1 has no ZooKeeper: it was removed in 4.0";
    assert_eq!(problems.list[0].message, message, "{problems}");
    assert_eq!(problems.list[0].path, "systems.orders-cluster.quorum");
    refused(&[row(
        "version: \"3.9\",\n            zones: [\"a\", \"b\", \"c\"],\n            brokers: 6,\n            quorum",
        "version: \"2.4\",\n            zones: [\"a\", \"b\", \"c\"],\n            brokers: 6,\n            ⟦quorum⟧",
        "Kafka 2.4 has no KRaft: it is for production from 3.3 on",
    )]);
}

#[test]
fn topics_that_kafka_refuses_are_refused() {
    refused(&[
        row(
            "replication_factor: 3,\n",
            "replication_factor: ⟦7⟧,\n",
            "replication factor: 7 larger than available brokers: 6",
        ),
        row(
            "replication_factor: 3,\n",
            "replication_factor: ⟦0⟧,\n",
            "replication factor must be larger than 0",
        ),
        row("members: 6", "members: 6, lag: ⟦\"1h\"⟧", "nothing is there before the run begins"),
        row(
            "partitions: 4",
            "history: (bytes: \"1GiB\", age: ⟦\"25h\"⟧), partitions: 4",
            "retention of \"24h\" has taken what is older",
        ),
        row("members: 6", "members: 6, begins: ⟦\"99h\"⟧", "99h is out of range: 0s to 30m"),
        row("partitions: 4", "partitions: ⟦0⟧", "number of partitions must be larger than 0"),
        row(
            "topics: {\n                \"orders\": (\n                    partitions: 12",
            "⟦topics⟧: {\n                \"huge\": (partitions: 199985, replication_factor: 1),\n                \"orders\": (\n                    partitions: 12",
            "200001 partitions are beyond the limit of 200000",
        ),
        row(
            "\"audit\": (partitions: 4, replication_factor: 3)",
            "\"audit\": (partitions: 1, replication_factor: 2, assignment: [[0, ⟦6⟧]])",
            "broker 6 is out of range: 0 to 5",
        ),
        row(
            "\"audit\": (partitions: 4, replication_factor: 3)",
            "\"audit\": (partitions: 2, replication_factor: 2, ⟦assignment⟧: [[0, 1]])",
            "1 lists for 2 partitions",
        ),
    ]);
}

#[test]
fn a_key_is_modelled_or_refused_and_belongs_to_a_version() {
    refused(&[
        row(
            "\"replica.lag.time.max.ms\": \"30s\"",
            "\"replica.lag.time.max\": ⟦\"30s\"⟧",
            "the Kafka broker has no `replica.lag.time.max`",
        ),
        row(
            "\"min.insync.replicas\": 2",
            "\"min.insync.replica\": ⟦2⟧",
            "the Kafka topic has no `min.insync.replica`",
        ),
        row("\"linger.ms\": 5", "\"linger\": ⟦5⟧", "the Kafka producer has no `linger`"),
        row(
            "\"session.timeout.ms\": \"45s\"",
            "\"session.timeout\": ⟦\"45s\"⟧",
            "the Kafka consumer has no `session.timeout`",
        ),
        row(
            "\"session.timeout.ms\": \"45s\"",
            "\"num.standby.replicas\": ⟦1⟧",
            "the Kafka consumer has no `num.standby.replicas`",
        ),
        row(
            "\"linger.ms\": 5",
            "\"metadata.recovery.rebootstrap.trigger.ms\": ⟦5⟧",
            "Kafka 3.9 has no `metadata.recovery.rebootstrap.trigger.ms`: it came with 4.0",
        ),
        row(
            "\"log.retention.hours\": 24",
            "\"advertised.port\": ⟦9092⟧",
            "Kafka 3.9 has no `advertised.port`: it was removed in 3.0",
        ),
        row("\"acks\": \"all\"", "\"acks\": ⟦2⟧", "expected 0, 1, -1 or \"all\", got 2"),
        row(
            "\"linger.ms\": 5",
            "\"linger.ms\": ⟦\"5\"⟧",
            "expected a duration from \"0s\" to \"1h\" (a bare number is milliseconds), got \"5\"",
        ),
        row(
            "\"log.retention.hours\": 24",
            "\"log.retention.hours\": ⟦-2⟧",
            "expected a duration from \"0s\" to \"10000h\" (a bare number is hours), got -2; -1 is none",
        ),
        row(
            "\"range,cooperative-sticky\"",
            "⟦\"range,fair\"⟧",
            "expected \"range\", \"roundrobin\", \"sticky\" or \"cooperative-sticky\", or their \
             classes, separated by commas, got \"fair\"",
        ),
    ]);
}

#[test]
fn a_key_that_is_not_modelled_or_means_nothing_here_is_a_warning() {
    warned(&[
        row(
            "\"linger.ms\": 5",
            "\"compression.type\": ⟦\"lz4\"⟧",
            "`compression.type` is not modelled: it has no effect here",
        ),
        row(
            "\"log.retention.hours\": 24",
            "\"message.max.bytes\": ⟦1048588⟧",
            "`message.max.bytes` is not modelled: it has no effect here",
        ),
        row(
            "\"num.standby.replicas\": 1",
            "\"acceptable.recovery.lag\": ⟦1⟧",
            "`acceptable.recovery.lag` is not modelled: it has no effect here",
        ),
        row(
            "\"num.standby.replicas\": 1",
            "\"partition.assignment.strategy\": ⟦\"range\"⟧",
            "`partition.assignment.strategy` has no effect: Kafka Streams sets it itself",
        ),
        row(
            "\"log.retention.hours\": 24",
            "\"zookeeper.session.timeout.ms\": ⟦6000⟧",
            "`zookeeper.session.timeout.ms` has no effect in KRaft mode",
        ),
    ]);
}

#[test]
fn a_client_belongs_to_its_system() {
    refused(&[
        row(
            "client: Kafka(zone: \"a\", config: {\"acks\": \"all\", \"linger.ms\": 5})",
            "⟦client⟧: Kpl()",
            "`web` writes to a Kafka cluster, which this client cannot",
        ),
        row("topic: \"audit\"", "topic: ⟦\"adit\"⟧", "there is no topic `adit`"),
        row(
            "to: \"orders-cluster\", topic: \"audit\"",
            "to: ⟦\"orders-cluster\"⟧",
            "`orders-cluster` has several topics",
        ),
        row("topics: [\"orders\"]", "topics: [⟦\"order\"⟧]", "there is no topic `order`"),
        row("zone: \"a\"", "zone: ⟦\"z\"⟧", "`orders-cluster` has no zone `z`"),
        row(
            "keys: Uniform(prefix: \"customer-\", keys: 10000)",
            "⟦keys⟧: HashKeys([\"1\"])",
            "Kafka has no explicit hash keys",
        ),
    ]);
}

#[test]
fn what_the_producer_refuses_is_refused_in_its_words() {
    refused(&[
        row(
            "\"linger.ms\": 5",
            "\"delivery.timeout.ms\": ⟦20000⟧",
            "delivery.timeout.ms should be equal to or larger than linger.ms + \
             request.timeout.ms, which are \"30s\" (K-PRD-2)",
        ),
        row(
            "\"acks\": \"all\"",
            "\"enable.idempotence\": true, \"acks\": ⟦1⟧",
            "must set acks to all in order to use the idempotent producer. Otherwise we cannot \
             guarantee idempotence (K-IDM-4)",
        ),
        row(
            "\"acks\": \"all\"",
            "\"enable.idempotence\": true, \"max.in.flight.requests.per.connection\": ⟦6⟧",
            "must set max.in.flight.requests.per.connection to at most 5 to use the idempotent \
             producer (K-IDM-4)",
        ),
        row(
            "\"acks\": \"all\"",
            "\"enable.idempotence\": true, \"retries\": ⟦0⟧",
            "must set retries to non-zero when using the idempotent producer (K-IDM-4)",
        ),
    ]);
    let off = "idempotence is off: Kafka switches it off without a word (K-IDM-4)";
    warned(&[
        row("\"acks\": \"all\"", "\"acks\": ⟦1⟧", off),
        row("\"acks\": \"all\"", "\"retries\": ⟦0⟧", off),
        row("\"acks\": \"all\"", "\"max.in.flight.requests.per.connection\": ⟦6⟧", off),
    ]);
}

#[test]
fn more_than_five_in_flight_is_an_error_from_4_0_on() {
    let text = good().replacen("version: \"3.9\"", "version: \"4.1\"", 1);
    let from = "\"acks\": \"all\"";
    let text = text.replacen(from, "\"max.in.flight.requests.per.connection\": 6", 1);
    let problems = problems_of(&text);
    assert!(problems.has_errors());
    let message = &problems.list[0].message;
    assert!(message.starts_with("must set max.in.flight.requests.per.connection"), "{message}");
}

#[test]
fn what_groups_are_refused_is_refused_in_kafkas_words() {
    refused(&[
        row(
            "\"session.timeout.ms\": \"45s\"",
            "\"session.timeout.ms\": ⟦\"5s\"⟧",
            "the session timeout \"5s\" is not within the range allowed by the broker (as \
             configured by group.min.session.timeout.ms and group.max.session.timeout.ms): \
             \"6s\" to \"30m\"",
        ),
        row(
            "\"session.timeout.ms\": \"45s\"",
            "\"heartbeat.interval.ms\": ⟦45000⟧",
            "heartbeat must be set lower than the session timeout, which is \"45s\"",
        ),
        row(
            "\"session.timeout.ms\": \"45s\"",
            "\"group.protocol\": ⟦\"consumer\"⟧",
            "the brokers do not speak group.protocol=consumer (KIP-848)",
        ),
        row(
            "\"session.timeout.ms\": \"45s\"",
            "\"group.remote.assignor\": ⟦\"range\"⟧",
            "group.remote.assignor cannot be set when group.protocol=CLASSIC",
        ),
        row("members: 6", "members: ⟦10001⟧", "10001 is out of range: 1 to 10000"),
    ]);
    warned(&[row(
        "members: 6",
        "members: ⟦15⟧",
        "3 of 15 members are idle: there are 12 partitions to share",
    )]);
}

#[test]
fn the_consumer_protocol_of_4_1_has_no_session_of_the_client() {
    let text = good().replacen("version: \"3.9\"", "version: \"4.1\"", 1);
    let text = text.replacen(
        "config: {\"session.timeout.ms\": \"45s\", \"partition",
        "config: {\"group.protocol\": \"consumer\", \"session.timeout.ms\": \"45s\", \"partition",
        1,
    );
    let problems = problems_of(&text);
    let errors = problems.list.iter().filter(|it| it.severity == Severity::Error);
    let messages: Vec<_> = errors.map(|it| it.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "session.timeout.ms cannot be set when group.protocol=CONSUMER",
            "partition.assignment.strategy cannot be set when group.protocol=CONSUMER",
        ]
    );
}

#[test]
fn a_group_needs_an_offsets_topic_that_fits_the_brokers() {
    let text = good().replacen("brokers: 6", "brokers: 2", 1);
    let text = text.replace("replication_factor: 3", "replication_factor: 1");
    let problems = problems_of(&text);
    let message = "the offsets topic has replication factor 3, larger than available brokers: 2; \
                   no group would find its coordinator";
    assert!(problems.list.iter().any(|it| it.message == message), "{problems}");
}

#[test]
fn what_kafka_accepts_and_lives_to_regret_is_a_warning() {
    warned(&[
        row(
            "nodes: 3",
            "nodes: ⟦4⟧",
            "4 controllers survive the loss of 1, no more than 3 do: a majority is 3",
        ),
        row(
            "quorum: KRaft(nodes: 3)",
            "quorum: ZooKeeper(⟦nodes⟧: [\"a\", \"b\", \"b\", \"c\"])",
            "4 ZooKeeper servers survive the loss of 1, no more than 3 do: a majority is 3",
        ),
        row(
            "quorum: KRaft(nodes: 3)",
            "⟦quorum⟧: ZooKeeper(config: {\"tickTime\": 500})",
            "ZooKeeper makes \"10s\" of `zookeeper.session.timeout.ms` = \"18s\": within 2 to 20 \
             ticks (K-ZK-3)",
        ),
        row(
            "\"min.insync.replicas\": 2",
            "\"min.insync.replicas\": ⟦4⟧",
            "min.insync.replicas 4 is above the replication factor 3: 3 is in effect (3.7+, K-ISR-7)",
        ),
        row(
            "topics: {\n                \"orders\": (\n                    partitions: 12",
            "max_map_count: 22, ⟦topics⟧: {\n                \"orders\": (\n                    partitions: 20",
            "12 partition replicas a broker are more than max_map_count / 2 = 11: brokers die of \
             `Map failed` (V-79)",
        ),
    ]);
}

#[test]
fn what_is_planned_for_a_cluster_must_be_there() {
    refused(&[
        row("brokers: [1, 2]", "brokers: [1, ⟦6⟧]", "broker 6 is out of range: 0 to 5"),
        row("brokers: [1, 2]", "brokers: [1, ⟦1⟧]", "broker 1 is given twice"),
        row("brokers: [1, 2]", "⟦brokers⟧: []", "there is no broker"),
        row("nodes: [0, 1]", "nodes: [0, ⟦3⟧]", "node 3 is out of range: 0 to 2"),
        row("zone: \"b\"", "zone: ⟦\"x\"⟧", "`orders-cluster` has no zone `x`"),
        row("factor: 10", "factor: ⟦1⟧", "a factor of 1 or less is not slow"),
        row(
            "topic: \"orders\", total: 24",
            "topic: ⟦\"order\"⟧, total: 24",
            "there is no topic `order`",
        ),
        row(
            "total: 24",
            "total: ⟦12⟧",
            "the topic currently has 12 partition(s); 12 would not be an increase",
        ),
        row("workers: 2, up", "workers: ⟦7⟧, up", "7 is out of range: 1 to 6"),
        row("down: \"5s\", gap", "down: ⟦\"2h\"⟧, gap", "2h is out of range: 0s to 30m"),
        row(
            "CutZone(cluster: \"orders-cluster\"",
            "CutZone(cluster: ⟦\"orders\"⟧",
            "there is no system `orders`",
        ),
        row(
            "SlowConsumer(consumer: \"billing\", factor: 4)",
            "ThrottleApi(stream: ⟦\"orders-cluster\"⟧, share: \"5%\")",
            "`orders-cluster` is a Kafka cluster, not a Kinesis stream",
        ),
    ]);
}

#[test]
fn a_consumer_belongs_to_its_system() {
    let text = r#"(title: "x", duration: "1m",
        systems: {"s": Kinesis(capacity: Provisioned(shards: 1)),
                  "c": Kafka(version: "4.1", topics: {"t": (partitions: 6, replication_factor: 3)})},
        producers: {"p": (to: "c", rate: "1/s"), "q": (to: "s", topic: "t", rate: "1/s")},
        consumers: {"g": KafkaGroup(from: "s", service_time: "1ms"), "k": Kcl(from: "c", service_time: "1ms")},
        timeline: [(at: "1s", what: CutZone(cluster: "s", zone: "a"))])"#;
    let problems = problems_of(text);
    let errors = problems.list.iter().filter(|it| it.severity == Severity::Error);
    let found: Vec<_> = errors.map(|it| (it.path.as_str(), it.message.as_str())).collect();
    let expected = [
        ("producers.q.topic", "`s` is a Kinesis stream: it has no topics"),
        ("consumers.g.from", "`s` is a Kinesis stream, not a Kafka cluster"),
        ("consumers.k.from", "`c` is a Kafka cluster, not a Kinesis stream"),
        ("timeline[0].what.cluster", "`s` is a Kinesis stream, not a Kafka cluster"),
    ];
    assert_eq!(found, expected);
}

#[test]
fn machines_are_a_count_or_a_list_of_zones() {
    let expected = "a count such as 6, or a list of zones such as [\"a\", \"a\", \"b\"]";
    for (wrong, shown) in [("\"six\"", "`\"six\"`"), ("6.5", "`6.5`"), ("-6", "`-6`")] {
        let text = good().replacen("brokers: 6", &format!("brokers: {wrong}"), 1);
        let problems = problems_of(&text);
        let problem = &problems.list[0];
        assert_eq!(problem.message, format!("expected {expected}, got {shown}"), "{problems}");
        assert_eq!(problem.path, "systems.orders-cluster.brokers");
    }
}

#[test]
fn what_cannot_be_read_is_reported_once_and_not_for_what_hangs_on_it() {
    for (from, to) in [
        (
            "zones: [\"a\", \"b\", \"c\"],\n            brokers: 6",
            "zones: 3,\n            brokers: [\"a\", \"a\", \"b\", \"b\", \"c\"]",
        ),
        ("brokers: 6", "brokers: \"six\""),
        ("quorum: KRaft(nodes: 3)", "quorum: KRaft(nodes: \"three\")"),
        ("partitions: 4, replication_factor: 3", "partitions: \"four\", replication_factor: 3"),
    ] {
        let text = good().replacen(from, to, 1);
        assert_ne!(text, good(), "{from}");
        let problems = problems_of(&text);
        assert_eq!(problems.list.len(), 1, "{to}\n{problems}");
    }
}

#[test]
fn sizes_that_no_machine_holds_are_refused_at_once() {
    let many = |item: &str| vec![item; 20_000].join(", ");
    for (from, to) in [
        ("brokers: 6", "brokers: 4294967295".to_owned()),
        ("brokers: 6", format!("brokers: [{}]", many("\"a\""))),
        ("nodes: 3", "nodes: 4294967295, combined: true".to_owned()),
        (
            "zones: [\"a\", \"b\", \"c\"],\n            brokers",
            format!("zones: [{}],\n            brokers", many("\"a\"")),
        ),
        ("brokers: [1, 2]", format!("brokers: [{}]", many("1"))),
        ("topics: [\"orders\"]", format!("topics: [{}]", many("\"orders\""))),
    ] {
        let text = good().replacen(from, &to, 1);
        assert!(problems_of(&text).has_errors(), "{from}");
    }
}
