//! What the terminal shows.

use reports::table::summary;
use serde_json::Value::Null;
use sim_core::result::{RunResult, Value};
use unicode_width::UnicodeWidthStr;

use crate::synthetic::{expectations, hot_key, report};

fn text(runs: &[RunResult], width: usize, color: bool) -> String {
    summary(&report(runs, &expectations(), &Null), width, color)
}

/// The lines of the table itself, between the caption and the text that follows it.
fn table_lines(text: &str) -> Vec<&str> {
    text.lines().skip(3).take_while(|line| !line.starts_with("Why")).collect()
}

/// The text without escape sequences.
fn stripped(text: &str) -> String {
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        if char == '\u{1b}' {
            chars.by_ref().find(|it| *it == 'm');
        } else {
            plain.push(char);
        }
    }
    plain
}

#[test]
fn seven_runs_with_long_names_fit_a_hundred_columns_in_one_table() {
    let text = text(&hot_key(6), 100, false);
    let lines = table_lines(&text);
    assert!(lines.iter().all(|line| line.width() <= 100), "{text}");
    let metrics = lines.iter().filter(|line| line.starts_with("lag_seconds_max"));
    assert_eq!(metrics.count(), 1, "{text}");
    // No word of a name is broken.
    for word in ["baseline", "enhanced", "on-demand", "budget"] {
        assert!(lines.iter().any(|line| line.contains(word)), "{word}: {text}");
    }
}

#[test]
fn more_runs_than_fit_are_told_in_blocks_that_begin_with_the_baseline() {
    for width in [60, 80, 100] {
        let text = text(&hot_key(11), width, false);
        let lines = table_lines(&text);
        assert!(lines.iter().all(|line| line.width() <= width), "{width}: {text}");
        let count = |what: &str| lines.iter().filter(|line| line.contains(what)).count();
        assert!(count("lag_seconds_max") > 1, "{text}");
        assert_eq!(count("baseline"), count("lag_seconds_max"), "{text}");
    }
}

#[test]
fn colour_adds_nothing_but_colour() {
    let runs = hot_key(3);
    let colored = text(&runs, 100, true);
    assert!(colored.contains('\u{1b}'));
    assert_eq!(stripped(&colored), text(&runs, 100, false));
    assert!(!text(&runs, 100, false).contains('\u{1b}'));
}

#[test]
fn best_and_worst_carry_signs_that_are_explained() {
    let text = text(&hot_key(2), 100, false);
    let line = text.lines().find(|line| line.starts_with("throttled_ratio")).unwrap();
    assert!(line.contains("58.5 % !") && line.contains("0 % *"), "{line}");
    assert!(text.contains("* best of all runs   ! worst"));
}

#[test]
fn metrics_that_all_runs_share_are_counted_rather_than_shown() {
    let text = text(&hot_key(2), 100, false);
    assert!(!text.contains("leases_taken"), "{text}");
    assert!(text.contains("more metrics are the same in all runs"), "{text}");
    // But for those whose absence would be a question.
    assert!(text.contains("records_lost"), "{text}");
}

#[test]
fn a_single_run_shows_what_happened_in_it_and_what_that_means() {
    let text = text(&hot_key(0), 100, false);
    assert!(text.contains("leases_taken"), "{text}");
    assert!(text.contains("leases that got another owner"), "{text}");
    assert!(!text.contains("worst\n"), "{text}");
}

#[test]
fn the_longest_delivery_is_taken_apart_by_cause() {
    let text = text(&hot_key(1), 100, false);
    // 29.8 of 31.14 s.
    let line = text.lines().find(|line| line.starts_with("  throttled ")).unwrap();
    assert!(line.contains("29.8 s") && line.contains("██") && line.contains("96 %"), "{line}");
    assert!(text.contains("took 31.1 s"), "{text}");
}

#[test]
fn expectations_tell_measured_beside_expected() {
    let text = text(&hot_key(2), 100, false);
    for line in [
        "Expectations: 2 of 4 met",
        "  ✓ baseline: throttled_ratio is 31.2 %, expected above 25 %",
        "  ✗ baseline: lag_recovery_s is never, expected between 60 s and 5m 00s",
        "  ? switch to on-demand at +3m: cost_usd_per_month is $1,695, \
         expected above that of baseline, $1,095 (the seeds disagree)",
    ] {
        assert!(text.lines().any(|it| it == line), "{line}\n{text}");
    }
}

#[test]
fn a_scenario_without_expectations_says_so() {
    let runs = hot_key(0);
    let text = summary(&report(&runs, &[], &Null), 100, false);
    assert!(text.contains("No expectations in this scenario."));
}

#[test]
fn warnings_and_the_timeline_are_told() {
    let text = text(&hot_key(5), 100, false);
    assert!(text.contains("5:00–20:00   fault   hot key user-1 (33 %)"), "{text}");
    assert!(text.contains("! enhanced fan-out: enhanced fan-out changed nothing"), "{text}");
}

#[test]
fn names_cannot_steer_the_terminal() {
    let mut runs = hot_key(1);
    runs[1].name = "\u{1b}[31mred\u{7}".to_owned();
    runs[1].warnings = vec!["\u{1b}[2J".to_owned()];
    assert!(!text(&runs, 100, false).contains(['\u{1b}', '\u{7}']));
}

#[test]
fn nothing_at_all_and_values_that_are_no_numbers_are_told_without_fail() {
    text(&[], 100, false);
    text(&[RunResult::default()], 10, true);
    let mut runs = hot_key(1);
    for run in &mut runs {
        run.summary.insert("lag_seconds_max".to_owned(), Value::Number(f64::NAN));
        run.blame.values_mut().flat_map(|it| it.values_mut()).for_each(|it| *it = f64::NAN);
    }
    text(&runs, 100, false);
}

#[test]
fn causes_of_kafka_are_told_in_words_and_partition_seconds_as_what_they_are() {
    let mut runs = hot_key(1);
    for run in &mut runs {
        let blame = [("watermark_held".to_owned(), 243.0), ("service".to_owned(), 2.0)];
        run.blame.insert("profiles".to_owned(), blame.into());
    }
    for (run, seconds) in runs.iter_mut().zip([1_988.2, 61.9]) {
        let value = Value::Number(seconds);
        run.summary.insert("partition_unavailable_s".to_owned(), value);
    }
    let text = text(&runs, 100, false);
    let line = text.lines().find(|line| line.starts_with("partition_unavailable_s")).unwrap();
    assert!(line.contains("1,988 partition-s !") && line.contains("61.9 partition-s *"), "{line}");
    assert!(text.contains("    watermark_held: stored, yet hidden"), "{text}");
    assert!(!text.contains("    service:"), "{text}");
}

#[test]
fn where_nobody_reads_lag_is_no_row() {
    let mut runs = hot_key(0);
    assert!(text(&runs, 100, false).lines().any(|line| line.starts_with("lag_recovery_s")));
    runs[0].consumers.clear();
    runs[0].summary.retain(|name, _| !name.starts_with("lag_"));
    runs[0].summary.insert("lag_recovery_s".to_owned(), Value::Number(0.0));
    assert!(!text(&runs, 100, false).lines().any(|line| line.starts_with("lag_recovery_s")));
}
