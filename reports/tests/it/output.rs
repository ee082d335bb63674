//! The output directory: whose it is, what is in it afterwards, and what a failure leaves.

use std::fs;
use std::path::Path;

use reports::{Output, OutputError, OutputFile, Report};
use serde_json::Value::Null;
use tempfile::TempDir;

use crate::synthetic::report;

fn scenario(name: &'static str) -> Report<'static> {
    Report { scenario: name, ..report(&[], &[], &Null) }
}

fn files(of: &[(&str, &str)]) -> Vec<OutputFile> {
    of.iter().map(|(name, text)| OutputFile::new(*name, *text)).collect()
}

/// Every file below the directory, with its content.
fn contents(dir: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
                found.push((name, fs::read_to_string(path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

fn names(dir: &Path) -> Vec<String> {
    contents(dir).into_iter().map(|it| it.0).collect()
}

#[test]
fn a_new_directory_holds_the_files_and_the_manifest_and_nothing_else() {
    let temp = TempDir::new().unwrap();
    let dir = temp.path().join("out/hot_key");
    let output = Output::new(&dir, false);
    let written = files(&[("summary.json", "{}"), ("charts/lag.svg", "<svg/>")]);
    output.write(&scenario("hot_key"), &written).unwrap();
    assert_eq!(names(&dir), ["charts/lag.svg", "manifest.json", "summary.json"]);
    assert_eq!(contents(&dir)[0].1, "<svg/>");
}

#[test]
fn an_empty_directory_may_be_written() {
    let temp = TempDir::new().unwrap();
    let output = Output::new(temp.path(), false);
    output.write(&scenario("hot_key"), &files(&[("a", "1")])).unwrap();
    assert_eq!(names(temp.path()), ["a", "manifest.json"]);
}

#[test]
fn a_second_run_replaces_the_first_and_removes_what_it_no_longer_makes() {
    let temp = TempDir::new().unwrap();
    let output = Output::new(temp.path(), false);
    let first = files(&[("summary.json", "1"), ("charts/lag_a.svg", "1"), ("gone/x", "1")]);
    output.write(&scenario("hot_key"), &first).unwrap();
    let second = files(&[("summary.json", "2"), ("charts/lag_b.svg", "2")]);
    output.write(&scenario("hot_key"), &second).unwrap();
    assert_eq!(names(temp.path()), ["charts/lag_b.svg", "manifest.json", "summary.json"]);
    assert_eq!(contents(temp.path())[2].1, "2");
    assert!(!temp.path().join("gone").exists());
}

#[test]
fn what_a_person_changed_or_added_is_not_removed() {
    let temp = TempDir::new().unwrap();
    let output = Output::new(temp.path(), false);
    let first = files(&[("summary.json", "1"), ("runbook.md", "generated")]);
    output.write(&scenario("hot_key"), &first).unwrap();
    fs::write(temp.path().join("runbook.md"), "generated, and noted by hand").unwrap();
    fs::write(temp.path().join("notes.txt"), "mine").unwrap();
    output.write(&scenario("hot_key"), &files(&[("summary.json", "2")])).unwrap();
    assert_eq!(names(temp.path()), ["manifest.json", "notes.txt", "runbook.md", "summary.json"]);
}

#[test]
fn another_scenarios_directory_is_refused_and_left_alone() {
    let temp = TempDir::new().unwrap();
    let output = Output::new(temp.path(), false);
    output.write(&scenario("hot_key"), &files(&[("summary.json", "1")])).unwrap();
    let before = contents(temp.path());
    let error = output.write(&scenario("az_cut"), &files(&[("summary.json", "2")])).unwrap_err();
    assert!(matches!(&error, OutputError::OtherScenario { found, .. } if found == "hot_key"));
    assert!(error.to_string().contains("--force"), "{error}");
    assert!(output.check("az_cut").is_err() && output.check("hot_key").is_ok());
    assert_eq!(contents(temp.path()), before);
}

#[test]
fn force_overwrites_another_scenario_and_removes_its_files() {
    let temp = TempDir::new().unwrap();
    let first = files(&[("summary.json", "1"), ("old.svg", "1")]);
    Output::new(temp.path(), false).write(&scenario("hot_key"), &first).unwrap();
    let second = files(&[("summary.json", "2")]);
    Output::new(temp.path(), true).write(&scenario("az_cut"), &second).unwrap();
    assert_eq!(names(temp.path()), ["manifest.json", "summary.json"]);
}

#[test]
fn a_directory_of_something_else_is_refused_also_if_it_has_a_manifest() {
    for (name, text) in [
        ("thesis.tex", "years of work"),
        ("manifest.json", "{\"name\": \"an app\", \"scenario\": \"hot_key\"}"),
        ("manifest.json", "not json"),
        ("summary.json", "{\"scenario\": \"hot_key\"}"),
    ] {
        let temp = TempDir::new().unwrap();
        fs::write(temp.path().join(name), text).unwrap();
        let output = Output::new(temp.path(), false);
        let error = output.write(&scenario("hot_key"), &files(&[("a", "1")])).unwrap_err();
        assert!(matches!(error, OutputError::NotOurs { .. }), "{name}: {error}");
        assert_eq!(contents(temp.path()), [(name.to_owned(), text.to_owned())]);
    }
}

#[test]
fn a_run_that_was_killed_before_its_manifest_can_be_repeated() {
    let temp = TempDir::new().unwrap();
    fs::write(temp.path().join("summary.json"), "{\"schema\": 1, \"scenario\": \"hot_key\"}")
        .unwrap();
    fs::create_dir(temp.path().join(".streamsim-tmp-1")).unwrap();
    fs::write(temp.path().join(".streamsim-tmp-1/0"), "half").unwrap();
    let output = Output::new(temp.path(), false);
    output.write(&scenario("hot_key"), &files(&[("summary.json", "{}")])).unwrap();
    assert_eq!(names(temp.path()), ["manifest.json", "summary.json"]);
}

#[test]
fn a_run_that_was_killed_before_any_file_can_be_repeated() {
    let temp = TempDir::new().unwrap();
    fs::create_dir(temp.path().join(".streamsim-tmp-1")).unwrap();
    let output = Output::new(temp.path(), false);
    output.write(&scenario("hot_key"), &files(&[("a", "1")])).unwrap();
    assert_eq!(names(temp.path()), ["a", "manifest.json"]);
    assert!(!temp.path().join(".streamsim-tmp-1").exists());
}

#[test]
fn a_file_in_the_place_of_the_directory_is_refused() {
    let temp = TempDir::new().unwrap();
    let path = temp.path().join("out");
    fs::write(&path, "a file").unwrap();
    for force in [false, true] {
        let output = Output::new(&path, force);
        let error = output.write(&scenario("hot_key"), &files(&[("a", "1")])).unwrap_err();
        assert!(matches!(error, OutputError::NotADirectory { .. }), "{error}");
    }
    // Nor can a directory be made beneath it.
    let output = Output::new(path.join("hot_key"), false);
    let error = output.write(&scenario("hot_key"), &files(&[("a", "1")])).unwrap_err();
    let OutputError::NotADirectory { path: told } = error else {
        panic!("{error}");
    };
    // What is in the way is named, and not what could not be made.
    assert_eq!(told, path);
    assert_eq!(fs::read_to_string(&path).unwrap(), "a file");
}

/// The second file cannot be put in its place; the first, and all of the earlier run, must be as
/// they were.
#[test]
fn a_failure_leaves_the_earlier_run_whole() {
    let temp = TempDir::new().unwrap();
    let output = Output::new(temp.path(), false);
    let first = files(&[("summary.json", "1"), ("series.csv", "1")]);
    output.write(&scenario("hot_key"), &first).unwrap();
    fs::create_dir_all(temp.path().join("charts/lag.svg/in the way")).unwrap();
    let before = contents(temp.path());
    let second = files(&[("summary.json", "2"), ("charts/lag.svg", "2")]);
    let error = output.write(&scenario("hot_key"), &second).unwrap_err();
    assert!(error.to_string().contains("lag.svg"), "{error}");
    assert_eq!(contents(temp.path()), before);
    let hidden = fs::read_dir(temp.path()).unwrap().flatten();
    assert!(hidden.into_iter().all(|it| !it.file_name().to_string_lossy().starts_with('.')));
}

#[cfg(unix)]
#[test]
fn a_directory_without_permission_is_an_error_that_names_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let temp = TempDir::new().unwrap();
    let dir = temp.path().join("locked");
    fs::create_dir(&dir).unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o555)).unwrap();
    // The superuser may write anywhere; then there is nothing to see here.
    if fs::write(dir.join("probe"), "").is_ok() {
        return;
    }
    let output = Output::new(&dir, false);
    let error = output.write(&scenario("hot_key"), &files(&[("a", "1")])).unwrap_err();
    assert!(matches!(&error, OutputError::Io { .. }), "{error}");
    assert!(error.to_string().contains("locked"), "{error}");
    assert!(names(&dir).is_empty());
}

#[test]
fn names_that_lead_out_of_the_directory_or_meet_are_refused() {
    for of in [
        &[("../x", "1")][..],
        &[("/etc/x", "1")],
        &[("a/../../x", "1")],
        &[("", "1")],
        &[("a", "1"), ("a", "2")],
        &[("manifest.json", "1")],
    ] {
        let temp = TempDir::new().unwrap();
        let output = Output::new(temp.path().join("out"), false);
        let error = output.write(&scenario("hot_key"), &files(of)).unwrap_err();
        assert!(matches!(error, OutputError::BadName { .. }), "{of:?}: {error}");
        assert!(names(temp.path()).is_empty());
    }
}

#[test]
fn a_forged_manifest_removes_nothing_outside() {
    let temp = TempDir::new().unwrap();
    let victim = temp.path().join("victim");
    fs::write(&victim, "abc").unwrap();
    let dir = temp.path().join("out");
    fs::create_dir(&dir).unwrap();
    let sha256 = reports::manifest::sha256(b"abc");
    let manifest = serde_json::json!({
        "tool": "streamsim",
        "scenario": "hot_key",
        "files": [{"name": "../victim", "sha256": sha256, "bytes": 3}],
    });
    fs::write(dir.join("manifest.json"), manifest.to_string()).unwrap();
    let output = Output::new(&dir, false);
    output.write(&scenario("hot_key"), &files(&[("a", "1")])).unwrap();
    assert!(victim.exists());
}
