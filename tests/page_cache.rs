//! What a reader that is behind finds in the page cache (K-DSK-3): what was written last, however
//! long the cluster has run, and whether or not the simulator still keeps the entries.

use sim_core::engine::SimTime;
use sim_core::result::RunResult;

use crate::bench::run;

/// The baseline and the same with a cache that holds the whole run.
fn played(sets: &[(&str, &str)]) -> [RunResult; 2] {
    let text = include_str!("../scenarios/tests/catch_up_from_memory.ron");
    let sets: Vec<_> = sets.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    let loaded = scenarios::load("catch_up.ron", text, &sets, &|_| Err("none".into()));
    let loaded = loaded.unwrap_or_else(|problems| panic!("{problems}"));
    [0, 1].map(|variant| run(&loaded.lower(&loaded.variants[variant], 42)))
}

/// Seconds from the return of the broker to that of the last partition to full strength.
fn catch_up_s(result: &RunResult) -> f64 {
    let last = |kind| {
        let found = result.events.iter().filter(|event| event.kind == kind);
        found.map(|event| event.at).max().unwrap_or(SimTime::MAX)
    };
    last("isr_expanded").since(last("broker_registered")).as_secs_f64()
}

/// All that a run says, but for how it is called.
fn story(result: &RunResult) -> String {
    format!("{:?} {:?} {:?}", result.summary, result.blame, result.series)
}

/// Bytes come in at the same rate on each broker, since each has a replica of all. They have missed
///
/// (with the 10 s of `broker_start_time`)
///
/// * 30 s of 61 MB/s: 1.8 GB of 17.2 GB that the cache holds; 600 s brought 37 GB;
/// * 30 s of 31 MB/s: 0.9 GB of 6.4 GB; 240 s brought 7.4 GB;
/// * 25 s of 82 MB/s: 2.0 GB of 12.9 GB; 180 s brought 14.7 GB.
///
/// So it is all in memory, and less than the fifth of it that may wait to be written: a larger cache
/// changes nothing.
#[test]
fn a_follower_that_was_away_finds_what_it_missed_in_memory() {
    for sets in [
        vec![],
        vec![
            ("duration", "6m"),
            ("timeline.0.at", "4m"),
            ("producers.w.rate", "30k/s"),
            ("systems.k.page_cache", "6GiB"),
        ],
        vec![
            ("duration", "5m"),
            ("timeline.0.at", "3m"),
            ("timeline.0.for", "15s"),
            ("systems.k.topics.t.partitions", "24"),
            ("producers.w.rate", "40k/s"),
            ("producers.w.record_size", "2KiB"),
            ("systems.k.page_cache", "12GiB"),
        ],
    ] {
        let [small, large] = played(&sets);
        let (one, other) = (catch_up_s(&small), catch_up_s(&large));
        assert!((one - other).abs() < 1e-9, "{one} s and {other} s with a large cache: {sets:?}");
        assert_eq!(story(&small), story(&large), "with {sets:?}");
    }
}

/// The negative: 256 MiB hold 4, 8 and 3 seconds of it, so most of what was missed comes from disk:
/// 1.8, 2.2 and 3.3 GB at 131 MB/s, of which writing back what comes in takes half, so 28 s and more.
#[test]
fn a_follower_that_missed_more_than_the_cache_holds_waits_for_the_disk() {
    for sets in [
        [("duration", "6m"), ("producers.w.rate", "60k/s"), ("timeline.0.for", "20s")],
        [("duration", "6m"), ("producers.w.rate", "30k/s"), ("timeline.0.for", "60s")],
        [("duration", "7m"), ("producers.w.rate", "50k/s"), ("timeline.0.for", "40s")],
    ] {
        let more = [("timeline.0.at", "2m"), ("systems.k.page_cache", "256MiB")];
        let all: Vec<_> = sets.into_iter().chain(more).collect();
        let [small, large] = played(&all);
        let (one, other) = (catch_up_s(&small), catch_up_s(&large));
        assert!(other < 10.0, "{other} s from memory");
        assert!(one > other + 10.0, "{one} s from disk, {other} s from memory");
    }
}
