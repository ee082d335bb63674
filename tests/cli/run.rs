//! `run` and `replay`: what they write, on which luck, and what changes it.

use std::fs;

use super::{Bench, SMALL, tree};

/// `run` with pictures, where this build makes them.
fn run_with_png<'a>(args: &[&'a str]) -> Vec<&'a str> {
    let png: &[&str] = if cfg!(feature = "png") { &["--png"] } else { &[] };
    [&["run"], png, args].concat()
}

#[cfg(not(feature = "png"))]
#[test]
fn a_build_without_pictures_says_so_and_writes_nothing() {
    let bench = Bench::new();
    let ended = bench.call(&["run", "small.ron", "--png"]).with(2);
    assert!(ended.err.contains("--features png"), "{}", ended.err);
    assert!(!bench.path("out").exists());
}

#[test]
fn run_writes_the_documented_files_and_says_where() {
    let bench = Bench::new();
    let ended = bench.call(&run_with_png(&["small.ron"])).with(0);
    ended.says(&["A small one", "Expectations: 3 of 3 met", "out/small"]);
    let names: Vec<String> = tree(&bench.path("out/small")).into_keys().collect();
    let mut expected = vec![
        "charts/lag.png",
        "charts/lag.svg",
        "charts/throughput.png",
        "charts/throughput.svg",
        "events.ndjson",
        "manifest.json",
        "series.csv",
        "summary.json",
    ];
    expected.retain(|name| cfg!(feature = "png") || !name.ends_with(".png"));
    assert_eq!(names, expected);
    let summary = bench.json("out/small/summary.json");
    assert_eq!(summary["scenario"], "small");
    assert_eq!(summary["duration_s"], 10.0);
    assert_eq!(summary["resolution_ms"], 20);
    let runs = summary["runs"].as_array().unwrap();
    let names: Vec<_> = runs.iter().map(|run| run["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["baseline", "more shards", "split"]);
}

#[test]
fn two_runs_and_any_number_of_jobs_write_the_same_bytes() {
    let bench = Bench::new();
    for (out, jobs) in [("a", "1"), ("b", "1"), ("c", "2")] {
        bench.call(&run_with_png(&["small.ron", "--out", out, "--jobs", jobs])).with(0);
    }
    let first = tree(&bench.path("a"));
    assert!(first.len() > 5);
    assert!(first == tree(&bench.path("b")), "the second run differs");
    assert!(first == tree(&bench.path("c")), "--jobs changed a byte");
    let again = bench.call(&run_with_png(&["small.ron", "--out", "a"]));
    again.with(0);
    assert!(first == tree(&bench.path("a")), "a run over a run differs");
}

#[test]
fn a_replay_says_that_nothing_differs_until_a_byte_does() {
    let bench = Bench::new();
    let args = ["--set", "producers.p.rate=2300/s", "--only", "more shards"];
    bench.call(&[&run_with_png(&["small.ron", "--seed", "9"]), &args[..]].concat()).with(0);
    // The scenario itself is not needed again.
    fs::remove_file(bench.path("small.ron")).unwrap();
    let same = bench.call(&["replay", "out/small"]).with(0);
    let files = if cfg!(feature = "png") { 8 } else { 6 };
    same.says(&[&format!("{files} files, byte for byte the same")]);

    let csv = bench.path("out/small/series.csv");
    let mut bytes = fs::read(&csv).unwrap();
    bytes.push(b'\n');
    fs::write(&csv, bytes).unwrap();
    fs::remove_file(bench.path("out/small/charts/lag.svg")).unwrap();
    let differs = bench.call(&["replay", "out/small"]).with(1);
    differs.says(&[
        "series.csv differs",
        "charts/lag.svg cannot be read",
        &format!("2 of {files} files differ"),
    ]);
}

#[test]
fn a_replay_of_what_is_no_output_is_bad_usage() {
    let bench = Bench::new();
    bench.refuse(&["replay", "nowhere"], 2).says(&["manifest.json", "an output directory"]);
    bench.write("manifest.json", "{\"tool\": \"another\"}");
    bench.refuse(&["replay", "."], 2).says(&["no manifest of streamsim"]);
}

#[test]
fn another_seed_is_other_luck_and_is_recorded() {
    let bench = Bench::new();
    bench.call(&["run", "small.ron", "--out", "a", "--seed", "1"]).with(0);
    bench.call(&["run", "small.ron", "--out", "b", "--seed", "2"]).with(0);
    let [a, b] = ["a", "b"].map(|out| bench.json(&format!("{out}/small/summary.json")));
    assert_eq!((&a["seed"], &b["seed"]), (&1.into(), &2.into()));
    assert_ne!(a["runs"], b["runs"]);
    // Which runs belong together is the seed's alone: the workload is equal within one.
    let offered = |it: &serde_json::Value, run: usize| {
        it["runs"][run]["summary"]["records_offered"].as_u64().unwrap()
    };
    assert_eq!(offered(&a, 0), offered(&a, 1));
}

#[test]
fn only_runs_the_baseline_and_the_named() {
    let bench = Bench::new();
    let ended = bench.call(&["run", "small.ron", "--only", "split"]).with(0);
    // The claims about the other run are left out.
    ended.says(&["Expectations: 1 of 1 met"]);
    let summary = bench.json("out/small/summary.json");
    let runs = summary["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 2);
    assert_eq!(runs[1]["name"], "split");
    assert_eq!(bench.json("out/small/manifest.json")["only"][0], "split");

    let names = ["`baseline`", "`more shards`", "`split`"];
    let ended = Bench::new().refuse(&["run", "small.ron", "--only", "splitt"], 2);
    ended.says(&["`splitt`"]);
    ended.says(&names);
}

#[test]
fn set_changes_results_and_is_recorded() {
    let bench = Bench::new();
    // Half the rate fits into two shards.
    let set = ["--set", "producers.p.rate=1200/s"];
    bench.call(&[&["run", "small.ron", "--out", "a"], &set[..]].concat()).with(1);
    let summary = bench.json("a/small/summary.json");
    assert_eq!(summary["runs"][0]["summary"]["records_throttled"], 0);
    let manifest = bench.json("a/small/manifest.json");
    assert_eq!(manifest["sets"][0]["path"], "producers.p.rate");
    assert_eq!(manifest["sets"][0]["value"], "1200/s");
    assert_eq!(manifest["scenario_source"], SMALL);
}

/// A seed is any number of 64 bits, from wherever it comes.
#[test]
fn the_greatest_seed_is_a_seed() {
    let bench = Bench::new();
    let set = format!("seed={}", u64::MAX);
    bench.call(&["run", "small.ron", "--only", "split", "--set", &set]).with(0);
    let summary = bench.json("out/small/summary.json");
    assert_eq!(summary["seed"], u64::MAX);
    bench.call(&["replay", "out/small"]).with(0);
}

#[test]
fn set_of_what_is_not_there_tells_the_nearest() {
    let bench = Bench::new();
    for (set, near) in [
        ("producers.p.rat=5k/s", "producers.p.rate"),
        ("producers.q.rate=5k/s", "producers.p.rate"),
        ("durations=5s", "duration"),
        ("consumers.c.config.failoverTimeMilis=9", "failoverTimeMillis"),
    ] {
        let ended = bench.refuse(&["run", "small.ron", "--set", set], 2);
        ended.says(&[set, near, "= help: "]);
    }
    bench
        .refuse(&["run", "small.ron", "--set", "producers.p.rate=2400"], 2)
        .says(&["6000/s", "2400"]);
    bench.refuse(&["run", "small.ron", "--set", "duration"], 2).says(&["PATH=VALUE"]);
}

#[test]
fn an_expectation_that_fails_is_told_and_exits_1() {
    let bench = Bench::new();
    let set = "producers.p.rate=1200/s";
    let ended = bench.call(&["run", "small.ron", "--set", set]).with(1);
    ended.says(&["✗ baseline: records_throttled is 0, expected above 0"]);
    ended.says(&["Expectations: 1 of 3 met"]);
    // Quiet means no table, not no reason.
    let quiet = bench.call(&["run", "small.ron", "--set", set, "-q"]).with(1);
    assert_eq!(quiet.out, "");
    quiet.says(&["✗ baseline: records_throttled is 0"]);
    let summary = bench.json("out/small/summary.json");
    assert_eq!(summary["expectations"][0]["verdict"], "fail");
}

#[test]
fn a_scenario_may_come_from_standard_input() {
    let bench = Bench::new();
    let ended = bench.call_with(&["run", "-", "--only", "baseline"], SMALL);
    ended.with(0).says(&["A small one"]);
    assert!(bench.path("out/stdin/summary.json").is_file());
    bench.call_with(&["check", "-"], SMALL).with(0);
    bench.call_with(&["run", "-"], "").with(2).says(&["empty"]);
}

#[test]
fn several_scenarios_run_in_one_call_each_in_its_own_folder() {
    let bench = Bench::new();
    bench.write("other.ron", SMALL);
    let args = ["run", "small.ron", "other.ron", "--only", "baseline"];
    bench.call(&args).with(0);
    for name in ["small", "other"] {
        assert!(bench.path(&format!("out/{name}/manifest.json")).is_file());
    }
    // Two of one name would overwrite each other.
    fs::create_dir(bench.path("sub")).unwrap();
    bench.write("sub/small.ron", SMALL);
    let ended = bench.refuse(&["run", "small.ron", "sub/small.ron"], 2);
    ended.says(&["both called `small`", "--out"]);
}

#[test]
fn an_occupied_output_directory_is_left_alone_without_force() {
    let bench = Bench::new();
    fs::create_dir_all(bench.path("out/small")).unwrap();
    bench.write("out/small/thesis.txt", "years of work");
    let ended = bench.refuse(&["run", "small.ron"], 74);
    ended.says(&["out/small", "--force"]);
    bench.call(&["run", "small.ron", "--force"]).with(0);
    assert_eq!(bench.read("out/small/thesis.txt"), "years of work");
}

#[test]
fn a_blocked_output_path_exits_74_and_leaves_nothing() {
    let bench = Bench::new();
    bench.write("file", "");
    let ended = bench.refuse(&["run", "small.ron", "--out", "file"], 74);
    ended.says(&["file is not a directory", "--out"]);
    bench
        .refuse(&["run", "small.ron", "--out", "file/below"], 74)
        .says(&["file is not a directory"]);
    // Where a chart should go stands a directory: nothing else is written either.
    fs::create_dir_all(bench.path("out/small/charts/lag.svg")).unwrap();
    let ended = bench.refuse(&["run", "small.ron", "--force"], 74);
    ended.says(&["charts/lag.svg"]);
}

/// What a killed run was writing is swept away by the next.
#[test]
fn leftovers_of_a_killed_run_do_not_stay_and_do_not_hinder() {
    let bench = Bench::new();
    fs::create_dir_all(bench.path("out/small/.streamsim-tmp-1")).unwrap();
    bench.write("out/small/.streamsim-tmp-1/0", "half");
    bench.call(&["run", "small.ron", "--only", "baseline"]).with(0);
    let names: Vec<String> = tree(&bench.path("out/small")).into_keys().collect();
    assert!(names.iter().all(|it| !it.contains("tmp")), "{names:?}");
}

/// Ten thousand seeds take far longer than it takes to interrupt them.
#[cfg(unix)]
#[test]
fn an_interrupted_run_leaves_nothing_and_the_next_one_works() {
    use std::os::unix::process::ExitStatusExt;
    let bench = Bench::new();
    let mut child = bench.command(&["run", "small.ron", "--seeds", "1..10000"]).spawn().unwrap();
    let id = child.id().to_string();
    let mut kill = std::process::Command::new("kill");
    assert!(kill.args(["-INT", &id]).status().unwrap().success());
    // Ended by the signal itself, which shells tell as 130.
    assert_eq!(child.wait().unwrap().signal(), Some(2));
    assert!(!bench.path("out").exists());
    bench.call(&["run", "small.ron", "--only", "baseline"]).with(0);
}
