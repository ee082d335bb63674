//! What a Kafka scenario becomes: every field of the lowered configuration, the profiles of the
//! versions, values that follow from others, and what the manifest says about their origin.

use scenarios::{Loaded, load};
use sim_core::config::kafka::{
    Acks, Assignor, ClusterConfig, DiskConfig, GroupConfig, GroupProtocol, KafkaProducerConfig,
    KafkaVersion, OffsetReset, Quorum, ServerAssignor, StateConfig,
};
use sim_core::config::{
    ClientConfig, Destination, Fleet, Happening, ServiceTime, Who, Whom, WorldConfig,
};
use sim_core::engine::SimDuration;

const ORDERS: &str = include_str!("orders.ron");

fn loaded(text: &str, sets: &[(&str, &str)]) -> Loaded {
    let sets: Vec<_> = sets.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect();
    let loaded = load("x.ron", text, &sets, &|_| Err("none".into()));
    loaded.unwrap_or_else(|problems| panic!("{problems}"))
}

fn world(sets: &[(&str, &str)]) -> WorldConfig {
    let loaded = loaded(ORDERS, sets);
    loaded.lower(&loaded.variants[0], 1)
}

/// A cluster of that version with nothing else said, its producer and its group.
fn plain(version: &str) -> (ClusterConfig, KafkaProducerConfig, GroupConfig) {
    let text = format!(
        r#"(title: "x", duration: "1m",
            systems: {{"c": Kafka(version: "{version}", topics: {{"t": (partitions: 6, replication_factor: 3)}})}},
            producers: {{"p": (to: "c", rate: "1/s")}},
            consumers: {{"g": KafkaGroup(from: "c", service_time: "1ms")}})"#
    );
    let loaded = loaded(&text, &[]);
    let mut world = loaded.lower(&loaded.variants[0], 1);
    let ClientConfig::Kafka(producer) = world.producers.remove(0).client else {
        panic!("a cluster's producers are Kafka's");
    };
    (world.clusters.remove(0), producer, world.groups.remove(0))
}

fn ms(millis: u64) -> SimDuration {
    SimDuration::from_millis(millis)
}

#[test]
fn a_version_is_a_profile_of_defaults() {
    let all = ["2.4", "3.9", "4.1"].map(plain);
    let versions = [KafkaVersion::V2_4, KafkaVersion::V3_9, KafkaVersion::V4_1];
    assert_eq!(all.each_ref().map(|it| it.0.version), versions);
    let lag = all.each_ref().map(|it| it.0.settings.replica_lag_time_max);
    assert_eq!(lag, [ms(10_000), ms(30_000), ms(30_000)]);
    assert_eq!(all.each_ref().map(|it| it.0.settings.num_recovery_threads), [1, 1, 2]);
    let elr = all.each_ref().map(|it| it.0.settings.eligible_leader_replicas);
    assert_eq!(elr, [false, false, true]);
    assert_eq!(all.each_ref().map(|it| it.1.acks), [Acks::Leader, Acks::All, Acks::All]);
    assert_eq!(all.each_ref().map(|it| it.1.idempotence), [false, true, true]);
    assert_eq!(all.each_ref().map(|it| it.1.linger), [ms(0), ms(0), ms(5)]);
    assert_eq!(all.each_ref().map(|it| it.1.retry_backoff_max), [ms(100), ms(1_000), ms(1_000)]);
    assert_eq!(all.each_ref().map(|it| it.1.learns_leader_from_errors), [false, true, true]);
    let session = all.each_ref().map(|it| it.2.session_timeout);
    assert_eq!(session, [ms(10_000), ms(45_000), ms(45_000)]);
    let eager = vec![Assignor::Range];
    let mixed = vec![Assignor::Range, Assignor::CooperativeSticky];
    let assignors = [eager, mixed.clone(), mixed];
    for ((.., group), assignors) in all.iter().zip(assignors) {
        assert_eq!(group.protocol, GroupProtocol::Classic { assignors });
        assert_eq!((group.topics.clone(), group.cluster), (vec![0], 0));
    }
}

#[test]
fn the_quorum_follows_the_version_and_so_do_the_costs_of_controllers() {
    let (old, ..) = plain("2.4");
    let Quorum::ZooKeeper(zookeeper) = &old.quorum else {
        panic!("2.4 has ZooKeeper");
    };
    assert_eq!(zookeeper.nodes, [0, 0, 0]);
    assert_eq!((zookeeper.tick_time, zookeeper.session_timeout), (ms(2_000), ms(6_000)));
    assert_eq!((zookeeper.sync_limit, zookeeper.init_limit, zookeeper.max_in_flight), (5, 10, 10));
    assert_eq!((old.costs.election.0, old.costs.state_load.0), (250_000, 170_000));
    let (new, ..) = plain("4.1");
    let Quorum::KRaft(kraft) = &new.quorum else {
        panic!("4.1 has KRaft");
    };
    assert_eq!((kraft.nodes.clone(), kraft.combined), (vec![0, 0, 0], false));
    assert_eq!((kraft.fetch_timeout, kraft.election_timeout), (ms(2_000), ms(1_000)));
    assert_eq!((kraft.heartbeat_interval, kraft.session_timeout), (ms(2_000), ms(9_000)));
    assert_eq!((new.costs.election.0, new.costs.state_load.0), (20_000, 0));
    assert_eq!((new.costs.controlled_shutdown.0, new.costs.propagation), (70_000, ms(30)));
}

#[test]
fn machines_are_dealt_over_zones_or_stand_where_the_file_says() {
    let cluster = |sets: &[(&str, &str)]| world(sets).clusters.remove(0);
    assert_eq!(cluster(&[]).brokers, [0, 1, 2, 0, 1, 2]);
    let listed = [("systems.orders-cluster.brokers", r#"["a", "a", "b", "c", "c"]"#)];
    assert_eq!(cluster(&listed).brokers, [0, 0, 1, 2, 2]);
    let one = [
        ("systems.orders-cluster.brokers", r#"["a", "a", "b", "c", "c"]"#),
        ("systems.orders-cluster.brokers[1]", "b"),
    ];
    assert_eq!(cluster(&one).brokers, [0, 1, 1, 2, 2]);
    let combined = [("systems.orders-cluster.quorum.combined", "true"), listed[0]];
    let Quorum::KRaft(kraft) = cluster(&combined).quorum else {
        panic!("KRaft");
    };
    // Controllers are the first brokers, wherever those are.
    assert_eq!(kraft.nodes, [0, 0, 1]);
}

#[test]
fn topics_are_in_order_of_name_and_follow_their_brokers() {
    let world = world(&[("systems.orders-cluster.config.log.segment.bytes", "512MiB")]);
    let [audit, orders] = world.clusters[0].topics.as_slice() else {
        panic!("two topics");
    };
    assert_eq!((audit.name.as_str(), orders.name.as_str()), ("audit", "orders"));
    assert_eq!((orders.min_insync_replicas, audit.min_insync_replicas), (2, 1));
    let hours = |hours: u64| Some(SimDuration::from_secs(hours * 3_600));
    // The topic's own "7d", and the brokers' 24 hours.
    assert_eq!((orders.retention, audit.retention), (hours(168), hours(24)));
    assert_eq!((audit.segment_bytes, Some(audit.segment_time)), (512 << 20, hours(168)));
    assert_eq!((audit.retention_bytes, audit.unclean_leader_election), (None, false));
    assert_eq!(world.producers[0].to, Destination::Topic { cluster: 0, topic: 1 });
    assert_eq!(world.producers[1].to, Destination::Topic { cluster: 0, topic: 0 });
    assert_eq!(world.groups[0].topics, [1]);
    assert_eq!(world.groups[1].topics, [0, 1]);
}

#[test]
fn kafka_keeps_for_ever_with_minus_one_and_the_finer_key_wins() {
    let retention = |sets: &[(&str, &str)]| world(sets).clusters[0].topics[0].retention;
    let hours = "systems.orders-cluster.config.log.retention.hours";
    let millis = "systems.orders-cluster.config.log.retention.ms";
    let minutes = "systems.orders-cluster.config.log.retention.minutes";
    assert_eq!(retention(&[(hours, "-1")]), None);
    assert_eq!(retention(&[(minutes, "90")]), Some(SimDuration::from_secs(5_400)));
    assert_eq!(retention(&[(minutes, "90"), (millis, "60000")]), Some(ms(60_000)));
}

#[test]
fn a_group_has_all_its_fields() {
    let world = world(&[]);
    let [billing, totals] = world.groups.as_slice() else {
        panic!("two groups");
    };
    assert_eq!((billing.name.as_str(), billing.members), ("billing", 6));
    let assignors = vec![Assignor::Range, Assignor::CooperativeSticky];
    assert_eq!(billing.protocol, GroupProtocol::Classic { assignors });
    assert!(!billing.static_membership && billing.leaves_on_close && !billing.sink_idempotent);
    assert_eq!((billing.session_timeout, billing.heartbeat_interval), (ms(45_000), ms(3_000)));
    assert_eq!((billing.max_poll_interval, billing.max_poll_records), (ms(300_000), 500));
    assert_eq!(billing.auto_commit, Some(ms(5_000)));
    assert_eq!((billing.fetch_min_bytes, billing.fetch_max_wait), (1, ms(500)));
    let fetch = (billing.fetch_max_bytes, billing.max_partition_fetch_bytes);
    assert_eq!(fetch, (50 << 20, 1 << 20));
    assert_eq!(billing.auto_offset_reset, OffsetReset::Latest);
    assert_eq!((billing.zones.clone(), billing.start_time), (vec![0, 1, 2], ms(5_000)));
    assert_eq!(billing.service, ServiceTime::Fixed(SimDuration(100_000)));
    assert_eq!(billing.state, None);
    // Kafka Streams changes its consumers (K-STR-1).
    let assignors = vec![Assignor::CooperativeSticky];
    assert_eq!(totals.protocol, GroupProtocol::Classic { assignors });
    assert_eq!((totals.max_poll_records, totals.auto_offset_reset), (1_000, OffsetReset::Earliest));
    assert_eq!((totals.auto_commit, totals.leaves_on_close), (Some(ms(30_000)), false));
    let state = StateConfig {
        bytes_per_partition: 1 << 30,
        restore_rate: 50_000_000,
        standbys: 1,
        survives_restart: false,
        others_run: true,
    };
    assert_eq!(totals.state, Some(state));
}

#[test]
fn the_consumer_protocol_names_a_server_side_assignor() {
    let protocol = |sets: &[(&str, &str)]| {
        let text = r#"(title: "x", duration: "1m",
            systems: {"c": Kafka(version: "4.1", topics: {"t": (partitions: 6, replication_factor: 3)})},
            producers: {"p": (to: "c", rate: "1/s")},
            consumers: {"g": KafkaGroup(from: "c", service_time: "1ms", config: {"group.protocol": "consumer"})})"#;
        let loaded = loaded(text, sets);
        loaded.lower(&loaded.variants[0], 1).groups.remove(0).protocol
    };
    let of = |assignor| GroupProtocol::Consumer { assignor };
    assert_eq!(protocol(&[]), of(ServerAssignor::Uniform));
    let range = [("consumers.g.config.group.remote.assignor", "range")];
    assert_eq!(protocol(&range), of(ServerAssignor::Range));
}

#[test]
fn idempotence_in_effect_is_lowered_and_a_short_delivery_timeout_raised() {
    let producer = |sets: &[(&str, &str)]| match world(sets).producers.remove(0).client {
        ClientConfig::Kafka(producer) => producer,
        ClientConfig::Kpl(_) | ClientConfig::Sdk(_) => panic!("not Kafka's producer"),
    };
    let of = |key: &'static str| format!("producers.web.client.config.{key}");
    let (acks, request) = (of("acks"), of("request.timeout.ms"));
    assert!(producer(&[]).idempotence);
    let weak = producer(&[(acks.as_str(), "1")]);
    assert_eq!((weak.acks, weak.idempotence), (Acks::Leader, false));
    assert_eq!(producer(&[]).delivery_timeout, ms(120_000));
    // 3 min and the 5 ms of linger.
    let patient = producer(&[(request.as_str(), "3m")]);
    assert_eq!(patient.delivery_timeout, ms(180_005));
    assert_eq!(producer(&[]).zone, Some(0));
}

#[test]
fn a_disk_is_the_lesser_of_its_volume_and_its_instance() {
    let disk = |sets: &[(&str, &str)]| world(sets).clusters.remove(0).hardware.disk;
    let steady = |bandwidth| DiskConfig { bandwidth, burst_bandwidth: bandwidth, burst_credits: 0 };
    let (volume, instance) = ("systems.orders-cluster.disk", "systems.orders-cluster.instance");
    assert_eq!(disk(&[]), steady(250 << 20));
    assert_eq!(disk(&[(volume, "Gp3")]), steady(125 << 20));
    assert_eq!(disk(&[(volume, "Gp2(size: \"334GiB\")")]), steady(250 << 20));
    // K-DSK-1: 300 I/O operations of 256 KiB, 5.4 M credits of as much.
    let gp2 = DiskConfig {
        bandwidth: 75 << 20,
        burst_bandwidth: 128 << 20,
        burst_credits: 5_400_000 * (256 << 10),
    };
    assert_eq!(disk(&[(volume, "Gp2(size: \"100GiB\")")]), gp2);
    // K-DSK-2: 630 Mbit/s, and up to the volume's rate for half an hour of 9,370 Mbit/s.
    let limited = DiskConfig {
        bandwidth: 78_750_000,
        burst_bandwidth: 250 << 20,
        burst_credits: 9_370 * 125_000 * 1_800,
    };
    assert_eq!(disk(&[(instance, "m7g.large")]), limited);
    assert_eq!(disk(&[(instance, "m7g.16xlarge")]), steady(250 << 20));
}

#[test]
fn what_is_planned_gets_its_numbers() {
    let what: Vec<_> = world(&[]).timeline.into_iter().map(|it| it.what).collect();
    let (billing, totals) = (Fleet::Group(0), Fleet::Group(1));
    let expected = [
        Happening::Kill(Whom::brokers(0, &[1, 2])),
        Happening::Pause(Whom::brokers(0, &[0])),
        Happening::CutZone { cluster: 0, zone: 1 },
        Happening::SlowDisks { cluster: 0, who: Who::Numbers(vec![3]), factor_ppm: 10_000_000 },
        Happening::Kill(Whom::nodes(0, &[0, 1])),
        Happening::RestartLoop {
            whom: Whom::workers(billing, 2),
            up: ms(20_000),
            down: ms(10_000),
        },
        Happening::Kill(Whom::workers(totals, 1)),
        Happening::SlowConsumer { consumer: billing, who: None, factor_ppm: 4_000_000 },
        Happening::Stop(Whom::brokers(0, &[4])),
        Happening::RollingRestart { consumer: totals, down: ms(5_000), gap: ms(20_000) },
        Happening::AddPartitions { cluster: 0, topic: 1, total: 24 },
    ];
    assert_eq!(what, expected);
}

#[test]
fn places_are_counted_among_their_own_kind() {
    let text = r#"(title: "x", duration: "1m",
        systems: {"k": Kinesis(capacity: Provisioned(shards: 1)),
                  "c": Kafka(version: "4.1", topics: {"t": (partitions: 6, replication_factor: 3)}),
                  "l": Kinesis(capacity: Provisioned(shards: 2))},
        producers: {"p": (to: "c", rate: "1/s"), "q": (to: "l", rate: "1/s"), "r": (to: "k", rate: "1/s")},
        consumers: {"g": KafkaGroup(from: "c", service_time: "1ms"),
                    "a": Kcl(from: "l", service_time: "1ms")},
        timeline: [(at: "1s", what: SplitHottestShard("l")), (at: "2s", what: AddWorkers(consumer: "a", workers: 1)),
                   (at: "3s", what: AddWorkers(consumer: "g", workers: 1))])"#;
    let loaded = loaded(text, &[]);
    let world = loaded.lower(&loaded.variants[0], 1);
    let to: Vec<_> = world.producers.iter().map(|it| it.to).collect();
    let topic = Destination::Topic { cluster: 0, topic: 0 };
    assert_eq!(to, [topic, Destination::Stream(1), Destination::Stream(0)]);
    assert!(matches!(world.producers[1].client, ClientConfig::Kpl(_)));
    assert_eq!(world.consumers[0].stream, 1);
    assert_eq!(world.timeline[0].what, Happening::SplitHottestShard { stream: 1 });
    let fleets: Vec<_> = world.timeline.iter().filter_map(|it| it.what.fleet_of()).collect();
    assert_eq!(fleets, [Fleet::App(0), Fleet::Group(0)]);
}

#[test]
fn the_grid_counts_partitions() {
    // D-8: 1,800 s x (2 flows x 12 + 1 x 4) partitions = 50,400 s. A part of Kafka counts four
    // times: 100 ms makes 2.016 M, 250 ms 0.8 M.
    assert_eq!(world(&[]).resolution, ms(250));
}

#[test]
fn the_manifest_says_where_each_value_comes_from() {
    let manifest = loaded(ORDERS, &[("systems.orders-cluster.brokers", "9")]).manifest();
    let origin = |path: &str| manifest["provenance"][path].as_str().unwrap_or("none").to_owned();
    let cluster = "systems.orders-cluster";
    assert_eq!(origin(&format!("{cluster}.brokers")), "set");
    assert_eq!(origin(&format!("{cluster}.version")), "file");
    assert_eq!(origin(&format!("{cluster}.page_cache")), "default");
    assert_eq!(origin(&format!("{cluster}.config.replica.lag.time.max.ms")), "file");
    assert_eq!(origin(&format!("{cluster}.config.num.io.threads")), "Kafka 3.9");
    assert_eq!(origin(&format!("{cluster}.topics.orders.config.retention.ms")), "file");
    assert_eq!(origin(&format!("{cluster}.topics.audit.config.retention.ms")), "brokers");
    assert_eq!(origin("producers.auditor.client.config.acks"), "Kafka 3.9");
    assert_eq!(origin("consumers.totals.config.auto.offset.reset"), "Kafka Streams");
    assert_eq!(origin("consumers.totals.config.fetch.min.bytes"), "Kafka 3.9");
    let recorded = &manifest["scenario"]["systems"]["orders-cluster"]["Kafka"];
    assert_eq!(recorded["topics"]["audit"]["config"]["retention.ms"], "24h");
    assert_eq!(recorded["config"].get("zookeeper.session.timeout.ms"), None);
    assert_eq!(recorded["controller_costs"]["election"], "20us");
}

#[test]
fn the_recorded_scenario_lowers_to_the_same() {
    for set in [
        ("producers.web.client.config.acks", "1"),
        ("producers.web.client.config.request.timeout.ms", "3m"),
        ("systems.orders-cluster.quorum", "ZooKeeper(nodes: [\"a\", \"b\", \"c\"])"),
        ("systems.orders-cluster.config.log.retention.hours", "-1"),
    ] {
        let before = loaded(ORDERS, &[set]);
        let manifest = before.manifest();
        let read = serde_json::from_value(manifest["scenario"].clone()).unwrap();
        let mut again = before.clone();
        again.variants[0].scenario = read;
        let world = |it: &Loaded| format!("{:?}", it.lower(&it.variants[0], 1));
        assert_eq!(world(&before), world(&again), "{set:?}");
    }
}

#[test]
fn a_path_leads_into_what_the_file_leaves_out() {
    let text = r#"(title: "x", duration: "1m",
        systems: {"c": Kafka(version: "3.9", topics: {"T": (partitions: 6, replication_factor: 3)})},
        producers: {"p": (to: "c", rate: "1/s")})"#;
    let sets = [
        ("producers.p.client.config.linger.ms", "10ms"),
        ("systems.c.quorum.nodes", "5"),
        ("systems.c.topics.T.partitions", "8"),
        ("systems.c.topics.T.config.min.insync.replicas", "2"),
    ];
    let loaded = loaded(text, &sets);
    let world = loaded.lower(&loaded.variants[0], 1);
    let ClientConfig::Kafka(producer) = &world.producers[0].client else {
        panic!("not Kafka's producer");
    };
    assert_eq!(producer.linger, ms(10));
    let Quorum::KRaft(kraft) = &world.clusters[0].quorum else {
        panic!("KRaft");
    };
    assert_eq!(kraft.nodes.len(), 5);
    let topic = &world.clusters[0].topics[0];
    assert_eq!((topic.partitions, topic.min_insync_replicas), (8, 2));
}

/// The files whose speed the README tells: they check clean, on the grids that it names. 1,800 s x
/// 12 partitions x 4 is 1.73 M parts on 50 ms; 5,000 partitions are beyond every grid, and get the
/// coarsest.
#[test]
fn the_files_of_the_readme_s_speeds_check_clean() {
    let small = include_str!("twelve_partitions.ron");
    let large = include_str!("five_thousand_partitions.ron");
    for (text, grid) in [(small, 50), (large, 1_000)] {
        let loaded = loaded(text, &[]);
        assert!(loaded.warnings.list.is_empty(), "{}", loaded.warnings);
        assert_eq!(loaded.lower(&loaded.variants[0], 1).resolution, ms(grid));
    }
}

/// `None` takes a key back, so that its default holds again: a member without `group.instance.id`
/// is dynamic. What is not set cannot be taken back.
#[test]
fn none_clears_a_key_of_a_configuration() {
    let text = r#"Scenario(title: "t", duration: "1m",
        systems: { "c": Kafka(version: "3.9", zones: ["a"], brokers: 1, topics: { "t": (partitions: 1, replication_factor: 1) },
            config: {"offsets.topic.replication.factor": 1}) },
        producers: { "p": (to: "c", rate: "1/s") },
        consumers: { "g": KafkaGroup(from: "c", service_time: "1ms", config: {"group.instance.id": "g-"}) },
        expect: [Below("baseline", "records_lost", 1)])"#;
    let is_static = |sets: &[(&str, &str)]| {
        let loaded = loaded(text, sets);
        loaded.lower(&loaded.variants[0], 1).groups[0].static_membership
    };
    assert!(is_static(&[]));
    assert!(!is_static(&[("consumers.g.config.group.instance.id", "None")]));
    let unset = [("consumers.g.config.client.id".to_owned(), "None".to_owned())];
    assert!(load("x.ron", text, &unset, &|_| Err("none".into())).is_err());
}
