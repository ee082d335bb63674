//! Many seeds: verdicts, spreads, and that they can be replayed.

use super::{Bench, SMALL, tree};

/// The small one with that claim alone.
fn claiming(claim: &str) -> String {
    let (before, _) = SMALL.split_once("    expect: [").unwrap();
    format!("{before}    expect: [{claim}],\n)\n")
}

/// As luck has it, half the seeds offer more than the median and half of them less.
fn median_offered(bench: &Bench) -> u64 {
    let args = ["run", "small.ron", "--seeds", "1..6", "--only", "baseline"];
    bench.call(&args).with(0);
    let summary = bench.json("out/small/summary.json");
    let offered = &summary["seeds"]["metrics"]["baseline"]["records_offered"];
    assert!(offered["min"].as_u64() < offered["max"].as_u64());
    offered["median"].as_u64().unwrap()
}

#[test]
fn a_claim_on_which_seeds_disagree_is_inconclusive_and_exits_3() {
    let bench = Bench::new();
    let bound = median_offered(&bench);
    // Strictly above a median that was measured: not on all seeds, and not on none.
    let claim = format!("Above(\"baseline\", \"records_offered\", {bound})");
    bench.write("some.ron", claiming(&claim));
    let args = ["run", "some.ron", "--seeds", "1..6", "--only", "baseline"];
    let ended = bench.call(&args).with(3);
    ended.says(&[
        "? baseline: records_offered",
        "(the seeds disagree)",
        "over 6 seeds",
        "Expectations: 0 of 1 met",
    ]);
    let row = &bench.json("out/some/summary.json")["expectations"][0];
    assert_eq!(row["verdict"], "inconclusive");
    assert_eq!(row["over_seeds"]["of"], 6);
    let met = row["over_seeds"]["met"].as_u64().unwrap();
    assert!((1..6).contains(&met), "{met}");
}

#[test]
fn a_claim_that_fails_on_every_seed_fails_though_another_is_in_doubt() {
    let bench = Bench::new();
    let bound = median_offered(&bench);
    let claims = format!(
        "Above(\"baseline\", \"records_offered\", {bound}), \
         Above(\"baseline\", \"records_offered\", 1000000)"
    );
    bench.write("none.ron", claiming(&claims));
    let args = ["run", "none.ron", "--seeds", "1..6", "--only", "baseline"];
    bench.call(&args).with(1).says(&["met on 0", "(the seeds disagree)"]);
}

#[test]
fn what_seeds_spread_is_in_the_summary_and_replays() {
    let bench = Bench::new();
    let args = ["run", "small.ron", "--seeds", "3..5", "--only", "split"];
    for (out, jobs) in [("a", "1"), ("b", "2")] {
        let more = ["--out", out, "--jobs", jobs];
        bench.call(&[&args[..], &more[..]].concat()).with(0);
    }
    let written = tree(&bench.path("a"));
    assert!(written == tree(&bench.path("b")), "--jobs changed the bands");
    let summary = bench.json("a/small/summary.json");
    assert_eq!(summary["seed"], 3);
    assert_eq!(summary["seeds"]["first"], 3);
    assert_eq!(summary["seeds"]["last"], 5);
    let runs: Vec<_> = summary["seeds"]["metrics"].as_object().unwrap().keys().collect();
    assert_eq!(runs, ["baseline", "split"]);

    // The spread is that of the seeds run one by one.
    let mut each = Vec::new();
    for seed in ["3", "4", "5"] {
        let out = format!("s{seed}");
        bench.call(&["run", "small.ron", "--seed", seed, "--out", &out]).with(0);
        let summary = bench.json(&format!("{out}/small/summary.json"));
        assert!(summary.get("seeds").is_none());
        each.push(summary["runs"][0]["summary"]["records_throttled"].as_u64().unwrap());
    }
    each.sort_unstable();
    let spread = &summary["seeds"]["metrics"]["baseline"]["records_throttled"];
    let told = ["min", "median", "max"].map(|it| spread[it].as_u64().unwrap());
    assert_eq!(told.as_slice(), each);

    let lag = String::from_utf8(written["small/charts/lag.svg"].clone()).unwrap();
    assert!(lag.contains("seeds 3 to 5") && lag.contains("median of 3 seeds"));
    bench.call(&["replay", "a/small"]).with(0);
}

#[test]
fn a_bad_range_of_seeds_is_bad_usage() {
    let bench = Bench::new();
    for range in ["5", "5..2", "a..b", "1..1000000", ".."] {
        let ended = bench.refuse(&["run", "small.ron", "--seeds", range], 2);
        ended.says(&["--seeds"]);
    }
    bench.refuse(&["run", "small.ron", "--seeds", "1..2", "--seed", "1"], 2);
}
