//! `produce_unavailable_s`: how long a producer could not write, and that it is the producer's own.

use sim_core::config::kafka::{Acks, ClusterConfig};
use sim_core::config::*;
use sim_core::engine::SimDuration;
use sim_core::result::RunResult;

use crate::bench::{self, at, count, metric, millis, planned, run, secs};
use crate::kafka_bench;

fn unavailable(result: &RunResult, producer: &str) -> f64 {
    metric(&result.producers[producer], "produce_unavailable_s")
}

/// The follower is away for `lasts`, and comes back 10 s later (`broker_start_time`); 20 s more are
/// enough to register, to fetch what it has missed and to join the ISR. The first attempt that fails
/// is sent within a record's time of the death.
#[test]
fn two_producers_of_one_partition_have_outages_of_their_own() {
    let set = |path: &str, value: &str| (path.to_owned(), value.to_owned());
    let text = include_str!("../scenarios/tests/two_producers_one_refused.ron");
    for (lasts, sets) in [
        (240.0, vec![]),
        (90.0, vec![set("timeline.0.for", "90s"), set("producers.strict.rate", "20/s")]),
        (400.0, vec![set("timeline.0.for", "400s"), set("producers.loose.rate", "200/s")]),
    ] {
        let loaded = scenarios::load("outage.ron", text, &sets, &|_| Err("none".into()));
        let loaded = loaded.unwrap_or_else(|problems| panic!("{problems}"));
        for variant in &loaded.variants {
            let result = run(&loaded.lower(variant, 42));
            let (strict, loose) = (unavailable(&result, "strict"), unavailable(&result, "loose"));
            assert!(lasts < strict && strict < lasts + 30.0, "{}: {strict} s", variant.name);
            assert!(loose.abs() < 1e-9, "{}: {loose} s of one that nobody refused", variant.name);
            assert_eq!(count(&result.producers["loose"], "records_refused"), 0);
        }
    }
}

/// A second of 5,000 records for a shard that takes 1,000, by a caller that gives up what fails at
/// once; ten seconds later another one begins to write. Nothing of it is refused. (Whoever burst had
/// to wait for no longer than its answers, 10 ms, and a second between two that brought something.)
#[test]
fn two_producers_of_one_shard_have_outages_of_their_own() {
    for (rate, from) in [(1, 20), (10, 15), (200, 30)] {
        let mut config = bench::world(secs(60), bench::stream(1));
        let mut hot = bench::producer(1);
        hot.name = "hot".into();
        let burst = 5_000 * 1_000_000;
        let knots = vec![(at(0), 0), (at(10), 0), (at(10), burst), (at(11), burst), (at(11), 0)];
        hot.rate = RateProfile { knots };
        let mut cold = bench::producer(1);
        cold.name = "cold".into();
        let knots = vec![(at(0), 0), (at(from), 0), (at(from), rate * 1_000_000)];
        cold.rate = RateProfile { knots };
        config.producers = vec![hot, cold];
        let result = run(&config);
        assert!(count(&result.producers["hot"], "records_refused") > 2_000);
        assert_eq!(count(&result.producers["cold"], "records_refused"), 0);
        let (hot, cold) = (unavailable(&result, "hot"), unavailable(&result, "cold"));
        assert!(cold.abs() < 1e-9, "{cold} s of one that nobody refused");
        assert!(0.0 < hot && hot < 1.1, "{hot} s");
    }
}

/// Every call is refused, or none is answered, for a while. The first that fails is sent within the
/// 20 ms in which a request is gathered, or was under way for 10 ms; the first to be accepted leaves
/// within 20 ms of the end. An answer that is lost fails after its 6 s; what is sent meanwhile fails
/// as well.
#[test]
fn calls_that_are_refused_or_not_answered_have_failed() {
    for lasts in [20, 30, 60] {
        for fault in [
            Happening::ThrottleApi { stream: 0, share_ppm: 1_000_000 },
            Happening::LoseAnswers { stream: 0, share_ppm: 1_000_000 },
        ] {
            let mut config = bench::world(secs(120), bench::stream(2));
            let mut web = bench::producer(200);
            web.keys = bench::one_key_per_shard(2);
            let retry = RetryConfig { attempts: 1_000, base: millis(100), ceiling: secs(1) };
            web.client = ClientConfig::Sdk(bench::sdk(Some(retry)));
            config.producers.push(web);
            config.timeline.push(planned(at(20), Some(secs(lasts)), fault));
            let lasted = unavailable(&run(&config), "producer");
            let lasts = lasts as f64;
            assert!((lasted - lasts).abs() < 0.1, "{lasted} s of {lasts}");
        }
    }
}

/// A shard is split while every call is refused: its children go on where it was.
#[test]
fn an_outage_outlives_the_shard_that_it_began_on() {
    for (split_at, lasts) in [(30, 40), (25, 20), (50, 60)] {
        let mut config = bench::world(secs(120), bench::stream(1));
        let mut web = bench::producer(200);
        web.keys = bench::one_key_per_shard(2);
        let retry = RetryConfig { attempts: 1_000, base: millis(100), ceiling: secs(1) };
        web.client = ClientConfig::Sdk(bench::sdk(Some(retry)));
        config.streams[0].reshard_time = secs(1);
        config.producers.push(web);
        let refused = Happening::ThrottleApi { stream: 0, share_ppm: 1_000_000 };
        config.timeline.push(planned(at(20), Some(secs(lasts)), refused));
        let split = Happening::SplitShard { stream: 0, shard: 0 };
        config.timeline.push(planned(at(split_at), None, split));
        let lasted = unavailable(&run(&config), "producer");
        let lasts = lasts as f64;
        assert!((lasted - lasts).abs() < 0.1, "{lasted} s of {lasts}");
    }
}

/// One partition without replicas, whose broker dies at 50 s and stays away.
fn with_a_broker_gone(stop: u64, delivery: SimDuration, end: u64) -> RunResult {
    let mut hosts: ClusterConfig = kafka_bench::cluster(3, 1);
    hosts.topics[0].replication_factor = 1;
    hosts.topics[0].assignment = vec![vec![1]];
    let mut config = kafka_bench::world(secs(end), hosts);
    let mut web = kafka_bench::producer_until(100, Acks::Leader, stop);
    let ClientConfig::Kafka(client) = &mut web.client else { unreachable!("a Kafka client") };
    client.delivery_timeout = delivery;
    client.request_timeout = secs(5);
    config.producers.push(web);
    let kill = Happening::Kill(Whom::brokers(0, &[1]));
    config.timeline.push(planned(at(50), None, kill));
    run(&config)
}

/// The last record is offered at `stop` and given up after delivery.timeout.ms; then nothing waits
/// any more. While something does, the outage lasts to the end of the run. (A batch is as old as its
/// first record, and 16 KiB hold 163 records of 100 B, 1.6 s.)
#[test]
fn an_outage_that_nothing_ends_lasts_until_nothing_waits() {
    for (stop, delivery) in [(60, 30), (100, 20), (55, 60)] {
        for end in [stop + delivery - 2, 300] {
            let result = with_a_broker_gone(stop, secs(delivery), end);
            let lasted = unavailable(&result, "producer");
            let expected = (stop + delivery).min(end) as f64 - 50.0;
            let early = expected - lasted;
            assert!(-0.1 < early && early < 1.7, "{lasted} s, not {expected}");
        }
    }
}
