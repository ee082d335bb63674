//! What cannot be run is refused with words, at once, and leaves nothing behind.

use super::{Bench, SMALL};

#[test]
fn a_file_that_is_no_scenario_is_refused() {
    let bench = Bench::new();
    let half = &SMALL[..SMALL.len() / 2];
    let nested = format!("Scenario(title: {}", "[".repeat(1_000_000));
    let cases: [(&str, Vec<u8>); 7] = [
        ("empty.ron", Vec::new()),
        ("blank.ron", b"  \n// nothing\n".to_vec()),
        ("binary.ron", vec![0, 159, 146, 150, 255]),
        ("truncated.ron", half.into()),
        ("nested.ron", nested.into()),
        ("huge.ron", vec![b'('; 20 << 20]),
        ("other.json", b"{\"apiVersion\": \"v1\", \"kind\": \"Pod\"}".to_vec()),
    ];
    for (name, bytes) in cases {
        bench.write(name, bytes);
        for verb in ["check", "run"] {
            let ended = bench.refuse(&[verb, name], 2);
            ended.says(&["error", name]);
            let words = ended.err.len();
            assert!(words < 20_000, "{verb} {name}: {words} bytes of talk");
        }
    }
}

#[test]
fn what_is_not_there_is_told_with_what_is() {
    let bench = Bench::new();
    bench.refuse(&["run", "nosuch.ron"], 2).says(&["cannot read nosuch.ron"]);
    bench
        .refuse(&["run", "nosuch"], 2)
        .says(&["neither a file nor a shipped scenario", "`hot_key`"]);
    bench.refuse(&["run", "hotkey"], 2).says(&["did you mean `hot_key`?"]);
    // A path of the repository, from where it is not.
    bench.refuse(&["run", "scenarios/hot_key.ron"], 2).says(&["`hot_key` is shipped"]);
    std::fs::create_dir(bench.path("mine")).unwrap();
    bench.write("mine/a.ron", SMALL);
    for folder in ["mine", "mine/"] {
        bench.refuse(&["run", folder], 2).says(&["it is a folder", "mine/a.ron"]);
    }
    // One that is missing keeps the other from being run.
    bench.refuse(&["run", "small.ron", "nosuch.ron"], 2);
}

#[test]
fn a_scenario_where_the_verb_should_be_is_told_the_verb() {
    let bench = Bench::new();
    for scenario in ["hot_key", "small.ron"] {
        let help = format!("`streamsim run {scenario}`");
        bench.refuse(&[scenario], 2).says(&[&help]);
    }
    bench.refuse(&["frobnicate"], 2).says(&["unrecognized"]);
    bench.refuse(&[], 2).says(&["Usage"]);
}

#[test]
fn bad_usage_exits_2_and_says_why() {
    let bench = Bench::new();
    for (args, words) in [
        (&["run"][..], &["<SCENARIOS>"][..]),
        (&["run", "small.ron", "--jobs", "0"], &["--jobs", "1"]),
        (&["run", "small.ron", "--jobs", "many"], &["--jobs"]),
        (&["run", "small.ron", "--seed", "-1"], &["seed"]),
        (&["run", "small.ron", "--colour", "never"], &["--color"]),
        (&["run", "small.ron", "-q", "-v"], &["--quiet"]),
    ] {
        bench.refuse(args, 2).says(words);
    }
}
