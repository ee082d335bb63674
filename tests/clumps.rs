//! Clumps of any size that `check` lets pass: they run, and every record and byte is in the books.
//! (Debug builds compare the books with what the models hold; numbers that are too wide panic.)

use sim_core::result::RunResult;

use crate::bench::{count, run};

fn played(text: &str, sets: &[(&str, &str)]) -> RunResult {
    let even = ("producers.w.arrivals", "Even");
    let sets = sets.iter().chain([&even]).map(|(a, b)| ((*a).to_owned(), (*b).to_owned()));
    let sets: Vec<_> = sets.collect();
    let loaded = scenarios::load("clump.ron", text, &sets, &|_| Err("none".into()));
    let loaded = loaded.unwrap_or_else(|problems| panic!("{problems}"));
    run(&loaded.lower(&loaded.variants[0], 1))
}

/// `rate` records of `size` and of `key` bytes of key for ten seconds.
fn prove(result: &RunResult, rate: u64, size: u64, key: u64) {
    let value = |name: &str| count(&result.summary, name);
    assert_eq!(value("records_offered"), rate * 10);
    assert_eq!(value("bytes_offered"), rate * 10 * (size + key));
    let accepted = value("records_accepted");
    assert!(accepted > 0 && accepted <= rate * 10, "{accepted} accepted");
}

/// A second's 20,000, 50,000 and 5,000 records of 1 MiB, and 10^9 small ones, 28 GB or more.
#[test]
fn a_kafka_producer_offers_more_than_4_gib_at_once() {
    let text = include_str!("../scenarios/tests/clump_above_4_gib.ron");
    prove(&played(text, &[]), 20_000, 1 << 20, 0);
    let partitions = ("systems.k.topics.t.partitions", "3");
    prove(&played(text, &[("producers.w.rate", "50000/s"), partitions]), 50_000, 1 << 20, 0);
    let small = [("producers.w.rate", "1000M/s"), ("producers.w.record_size", "30B"), partitions];
    prove(&played(text, &small), 1_000_000_000, 30, 0);
    // `k0` to `k9` are two bytes.
    let keyed = [
        ("producers.w.rate", "5000/s"),
        ("producers.w.keys", "Uniform(prefix: \"k\", keys: 10)"),
        ("producers.w.hot_keys.hot", "90%"),
    ];
    prove(&played(text, &keyed), 5_000, 1 << 20, 2);
}

/// The same on Kinesis, whose shards take 1 MiB/s each: most of it waits in the client.
#[test]
fn a_kinesis_client_offers_more_than_4_gib_at_once() {
    let text = |client: &str| {
        format!(
            r#"(title: "x", duration: "10s", resolution: "1s",
            systems: {{"s": Kinesis(capacity: Provisioned(shards: 4))}},
            producers: {{"w": (to: "s", rate: "5000/s", record_size: "1MB", client: {client})}})"#
        )
    };
    for client in ["Sdk()", "Kpl()", "Kpl(config: {\"AggregationEnabled\": false})"] {
        for rate in [5_000, 12_000, 20_000] {
            let result = played(&text(client), &[("producers.w.rate", &format!("{rate}/s"))]);
            // A key of its own is 36 bytes of text.
            prove(&result, rate, 1_000_000, 36);
        }
    }
}
