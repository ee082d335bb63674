//! The verbs that run nothing: `check`, `list`, `show`, `new`, `completions`.

use super::Bench;

#[test]
fn check_says_ok_or_ok_with_warnings() {
    let bench = Bench::new();
    let ended = bench.call(&["check", "small.ron"]).with(0);
    assert_eq!((ended.out.as_str(), ended.err.as_str()), ("small.ron: ok\n", ""));
    // Real configuration that has no effect here is a warning.
    let text = super::SMALL.replace("Kpl()", "Kpl(config: {\"LogLevel\": \"info\"})");
    bench.write("warned.ron", text);
    let ended = bench.call(&["check", "warned.ron"]).with(0);
    assert_eq!(ended.out, "warned.ron: ok, with warnings\n");
    ended.says(&["warning: ", "LogLevel"]);
}

#[test]
fn check_tells_all_problems_with_line_column_and_caret() {
    let bench = Bench::new();
    let text = super::SMALL
        .replace("rate: \"2400/s\"", "rate: \"2400\"")
        .replace("shards: 2", "shards: 0")
        .replace("workers: 2", "wrokers: 2");
    bench.write("bad.ron", text);
    let ended = bench.refuse(&["check", "bad.ron"], 2);
    // Counted by hand in the text of the small scenario.
    ended.says(&["--> bad.ron:5:59", "--> bad.ron:7:30", "--> bad.ron:9:38"]);
    ended.says(&["^^^^", "did you mean `workers`?", "2400"]);
    assert_eq!(ended.out, "");

    let json = bench.refuse(&["check", "bad.ron", "--json"], 2);
    let document: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert!(document.to_string().contains("wrokers"));
    assert_eq!(json.err, "");
}

#[test]
fn list_names_what_show_prints_and_check_accepts() {
    let bench = Bench::new();
    let list = bench.call(&["list"]).with(0);
    assert!(list.out.lines().count() >= 2);
    for line in list.out.lines() {
        let (name, title) = line.split_once(' ').unwrap();
        assert!(!title.trim().is_empty(), "{line}");
        let shown = bench.call(&["show", name]).with(0);
        bench.call_with(&["check", "-"], &shown.out).with(0);
        bench.call(&["check", name]).with(0);
    }
    bench.refuse(&["show", "hotkey"], 2).says(&["did you mean `hot_key`?"]);
}

#[test]
fn the_template_is_written_once_and_meets_its_expectations() {
    let bench = Bench::new();
    let ended = bench.call(&["new", "mine.ron"]).with(0);
    ended.says(&["streamsim run mine.ron"]);
    assert_eq!(bench.read("mine.ron"), bench.call(&["new", "-"]).with(0).out);
    bench.write("mine.ron", "precious");
    bench.refuse(&["new", "mine.ron"], 74).says(&["mine.ron exists", "--force"]);
    bench.refuse(&["new", "no/such/folder.ron"], 74);
    bench.call(&["new", "mine.ron", "--force"]).with(0);
    bench.call(&["check", "mine.ron"]).with(0);
    bench.call(&["run", "mine.ron", "-q"]).with(0);
}

#[test]
fn completions_are_there_for_the_usual_shells() {
    let bench = Bench::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = bench.call(&["completions", shell]).with(0).out;
        assert!(script.contains("streamsim") && script.contains("replay"));
    }
    bench.refuse(&["completions", "tcsh"], 2);
}
