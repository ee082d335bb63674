//! Luck (decision D-9): what one system, producer or consumer draws does not depend on what else
//! there is, nor on the order in which a file names it.
//!
//! Each test plays two worlds that differ in something that cannot reach a part of them, and wants
//! that part to be the same to the last digit. No number is expected but equality.

use std::fmt::Write as _;

use sim_core::config::kafka::{Acks, Quorum};
use sim_core::config::*;
use sim_core::result::{RunResult, Summary};

use crate::bench::{self, at, count, millis, planned, run, secs};
use crate::kafka_bench::{cluster, group, producer as kafka_producer, topic, world};

/// All that a run says about these members: counts, causes, series, and events.
fn story(result: &RunResult, members: &[&str]) -> String {
    let mut story = String::new();
    for member in members {
        let (section, name) = member.split_once('.').expect("a section and a name");
        let summaries = match section {
            "producers" => &result.producers,
            "consumers" => &result.consumers,
            _ => &result.systems,
        };
        let summary: &Summary = &summaries[name];
        let _ = writeln!(story, "{member} {summary:?}");
        let _ = writeln!(story, "{:?} {:?}", result.blame.get(name), result.blame_total.get(name));
        let ours = |it: &str| it == *member || it.starts_with(&format!("{member}."));
        for series in result.series.iter().filter(|it| ours(&it.name)) {
            let _ = writeln!(story, "{} {:?}", series.name, series.points);
        }
        let ours = |it: &str| it == *member || it.starts_with(&format!("{member}/"));
        for event in result.events.iter().filter(|it| ours(&it.subject)) {
            let _ =
                writeln!(story, "{} {} {} {}", event.at, event.kind, event.subject, event.detail);
        }
    }
    story
}

/// Compares two stories and shows where they part.
fn same(one: &str, other: &str) {
    let differs = one.lines().zip(other.lines()).find(|(one, other)| one != other);
    let (one, other) = differs.unwrap_or_default();
    assert!(differs.is_none(), "{one:.2000}\n\nbut then\n\n{other:.2000}");
}

/// The number of flows before those of `b` in the whole world is no business of `b`'s.
#[test]
fn a_cluster_does_not_feel_another_instance_of_a_producer_of_another_cluster() {
    let instances = |n: &str| ("producers.a.instances".to_owned(), n.to_owned());
    let set = |path: &str, value: &str| (path.to_owned(), value.to_owned());
    let others = [
        vec![],
        vec![set("producers.b.rate", "2000/s"), set("systems.kb.topics.t.partitions", "12")],
        vec![set("producers.b.instances", "5"), set("consumers.g.members", "2"), instances("7")],
    ];
    let text = include_str!("../scenarios/tests/two_clusters.ron");
    for sets in others {
        let loaded = scenarios::load("two_clusters.ron", text, &sets, &|_| Err("none".into()));
        let loaded = loaded.unwrap_or_else(|problems| panic!("{problems}"));
        let stories: Vec<_> = loaded
            .variants
            .iter()
            .map(|variant| {
                let result = run(&loaded.lower(variant, 42));
                assert!(count(&result.consumers["g"], "records_delivered") > 100_000);
                story(&result, &["systems.kb", "producers.b", "consumers.g"])
            })
            .collect();
        same(&stories[0], &stories[1]);
    }
}

/// A world of one cluster that a producer and a group use, with a broker that dies for a while.
fn busy(rate: u64, partitions: u32, members: u32) -> WorldConfig {
    let mut config = world(secs(120), cluster(3, partitions));
    config.resolution = millis(50);
    let mut shop = kafka_producer(rate, Acks::Leader);
    (shop.name, shop.instances, shop.flows) = ("shop".into(), 2, 2);
    config.producers.push(shop);
    config.groups.push(group(members));
    let kill = Happening::Kill(Whom::brokers(0, &[1]));
    config.timeline.push(planned(at(40), Some(secs(30)), kill));
    config
}

const BUSY: [&str; 3] = ["systems.orders", "producers.shop", "consumers.billing"];

/// Whoever offers nothing takes nothing from the cluster, wherever the file names it.
#[test]
fn a_silent_producer_before_or_behind_another_one_moves_nothing() {
    for (rate, partitions, members) in [(2_000, 6, 3), (500, 12, 2), (5_000, 4, 4)] {
        let config = busy(rate, partitions, members);
        let alone = story(&run(&config), &BUSY);
        for place in [0, 1] {
            let mut more = config.clone();
            let mut silent = kafka_producer(0, Acks::Leader);
            (silent.name, silent.instances, silent.flows) = ("silent".into(), 3, 3);
            more.producers.insert(place, silent);
            same(&alone, &story(&run(&more), &BUSY));
        }
    }
}

/// A cluster of its own with its own group, named first.
#[test]
fn a_cluster_with_its_producer_and_group_before_another_one_moves_nothing() {
    for (rate, partitions, members) in [(2_000, 6, 3), (500, 12, 2), (5_000, 4, 4)] {
        let config = busy(rate, partitions, members);
        let alone = story(&run(&config), &BUSY);
        let mut more = config.clone();
        let mut other = cluster(3, 3);
        other.name = "other".into();
        more.clusters.insert(0, other);
        more.producers[0].to = Destination::Topic { cluster: 1, topic: 0 };
        more.groups[0].cluster = 1;
        let kill = Happening::Kill(Whom::brokers(1, &[1]));
        more.timeline[0].what = kill;
        let mut writer = kafka_producer(700, Acks::All);
        writer.name = "writer".into();
        more.producers.insert(0, writer);
        let mut reader = group(2);
        reader.name = "reader".into();
        more.groups.insert(0, reader);
        same(&alone, &story(&run(&more), &BUSY));
    }
}

/// Leaders look for replicas that are behind every 15 s, each at its own phase, which a second kind
/// of periodic check must not move. A broker freezes for 50 s, and its session lasts longer, so that
/// it is the leaders who let it go.
#[test]
fn retention_of_a_topic_that_nobody_writes_to_moves_no_check_of_the_isr() {
    for (brokers, frozen, partitions) in [(3, 2, 6), (3, 1, 12), (6, 4, 12)] {
        let shrinks = |retention| {
            let mut hosts = cluster(brokers, partitions);
            let mut idle = topic("idle", 1);
            idle.retention = retention;
            hosts.topics.push(idle);
            let Quorum::KRaft(quorum) = &mut hosts.quorum else { unreachable!("a KRaft cluster") };
            quorum.session_timeout = secs(80);
            let mut config = world(secs(100), hosts);
            config.resolution = millis(50);
            config.producers.push(kafka_producer(1_000, Acks::Leader));
            let pause = Happening::Pause(Whom::brokers(0, &[frozen]));
            config.timeline.push(planned(at(20), Some(secs(60)), pause));
            let result = run(&config);
            assert!(count(&result.summary, "isr_shrinks") > 0, "the leaders let it go");
            let of_isr = |it: &&sim_core::result::Series| it.name.ends_with("in_sync_replicas");
            format!("{:?}", result.series.iter().find(of_isr).expect("a series").points)
        };
        same(&shrinks(None), &shrinks(Some(secs(3_600))));
    }
}

/// Two producers of one stream that is far from its limits, under a fault that refuses a share of
/// all requests: which of the first one's are struck is its own luck.
#[test]
fn injected_faults_strike_a_producer_as_if_it_were_alone() {
    for (share_ppm, rate) in [(300_000, 200), (50_000, 500), (800_000, 100)] {
        for fault in [
            Happening::ThrottleApi { stream: 0, share_ppm },
            Happening::LoseAnswers { stream: 0, share_ppm },
        ] {
            let mut config = bench::world(secs(60), bench::stream(8));
            let mut first = bench::producer(rate);
            first.name = "first".into();
            config.producers.push(first.clone());
            config.timeline.push(planned(at(10), Some(secs(30)), fault));
            let alone = run(&config);
            let struck = count(&alone.summary, "records_throttled")
                + count(&alone.summary, "records_unconfirmed");
            assert!(struck > 0, "{share_ppm} of a million");
            for place in [0, 1] {
                let mut more = config.clone();
                let mut second = first.clone();
                second.name = "second".into();
                more.producers.insert(place, second);
                let both = run(&more);
                same(&story(&alone, &["producers.first"]), &story(&both, &["producers.first"]));
            }
        }
    }
}
