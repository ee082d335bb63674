//! Standard output is data, standard error is talk; colour only where it is wanted.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use super::{Bench, SMALL, ended};

const ESCAPE: char = '\u{1b}';

#[test]
fn json_is_one_document_and_nothing_else() {
    let bench = Bench::new();
    let ended = bench.call(&["run", "small.ron", "--json"]).with(0);
    assert_eq!(ended.out, bench.read("out/small/summary.json"));
    let document: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(document["schema"], 1);

    bench.write("other.ron", SMALL);
    let args = ["run", "small.ron", "other.ron", "--only", "baseline", "--json"];
    let document: serde_json::Value = serde_json::from_str(&bench.call(&args).with(0).out).unwrap();
    let names = [&document[0]["scenario"], &document[1]["scenario"]];
    assert_eq!(names, ["small", "other"]);

    // Nor does a failure put anything else there.
    let set = ["--set", "producers.p.rate=1200/s"];
    let failed = bench.call(&[&["run", "small.ron", "--json"], &set[..]].concat()).with(1);
    serde_json::from_str::<serde_json::Value>(&failed.out).unwrap();
    let refused = bench.refuse(&["run", "nosuch.ron", "--json"], 2);
    assert_eq!(refused.out, "");
}

#[test]
fn without_a_terminal_there_is_neither_progress_nor_colour() {
    let bench = Bench::new();
    let ended = bench.call(&["run", "small.ron"]).with(0);
    assert_eq!(ended.err, "charts and data: out/small\n");
    assert!(!ended.out.contains(ESCAPE));
    let quiet = bench.call(&["run", "small.ron", "-q"]).with(0);
    assert_eq!((quiet.out.as_str(), quiet.err.as_str()), ("", ""));
    let verbose = bench.call(&["run", "small.ron", "-v"]).with(0);
    verbose.says(&["baseline, seed 42:", "M events/s"]);
}

#[test]
fn colour_follows_the_flag_then_the_environment() {
    let bench = Bench::new();
    let colours = |flag: &[&str], set: &[(&str, &str)]| {
        let args = ["run", "small.ron", "--only", "baseline"];
        let mut command = bench.command(&[&args[..], flag].concat());
        let ended = ended(command.envs(set.iter().copied())).with(0);
        ended.out.contains(ESCAPE)
    };
    assert!(colours(&["--color", "always"], &[]));
    assert!(colours(&["--color", "always"], &[("NO_COLOR", "1")]));
    assert!(colours(&[], &[("CLICOLOR_FORCE", "1")]));
    assert!(!colours(&[], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
    assert!(!colours(&["--color", "never"], &[("CLICOLOR_FORCE", "1")]));
}

/// As in `streamsim run small.ron | head -1`.
#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let bench = Bench::new();
    for args in [&["run", "small.ron"][..], &["completions", "zsh"], &["list"]] {
        let mut child =
            bench.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut reader = BufReader::with_capacity(1, child.stdout.take().unwrap());
        reader.read_line(&mut line).unwrap();
        drop(reader);
        let output = child.wait_with_output().unwrap();
        let talk = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{args:?}: {talk}");
        assert!(!talk.contains("panicked"), "{talk}");
        assert!(!line.is_empty());
    }
}
