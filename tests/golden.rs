//! Goldens: each shipped scenario as one short text of what a person would check.
//!
//! `UPDATE_GOLDENS=1 cargo test golden` rewrites them; the difference is the review. A golden
//! moves only in a commit that says why.

#![allow(clippy::unwrap_used, reason = "these are tests, their helpers too")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use rayon::prelude::*;
use scenarios::{Bound, Loaded, Outcome, SHIPPED, Shipped, Verdict};
use sim_core::result::{RunResult, Value};

/// What a person would check, in the order of the story.
const METRICS: [&str; 21] = [
    "records_offered",
    "records_accepted",
    "throttled_ratio",
    "records_refused",
    "records_lost",
    "records_delivered",
    "records_redelivered",
    "records_reordered",
    "lag_records_max",
    "lag_seconds_max",
    "lag_recovery_s",
    "e2e_latency_ms_p50",
    "e2e_latency_ms_p99",
    "consume_paused_s",
    "partition_paused_s",
    "partition_unavailable_s",
    "leader_elections",
    "isr_shrinks",
    "rebalances",
    "shards_max",
    "cost_usd_per_month",
];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn wants_update() -> bool {
    std::env::var_os("UPDATE_GOLDENS").is_some_and(|it| it == "1")
}

/// The scenario as it is shipped, on its own seed.
fn play(shipped: &Shipped) -> (Loaded, Vec<RunResult>) {
    let file = format!("{}.ron", shipped.name);
    let none = |name: &str| Err(format!("{name}: a shipped scenario stands alone"));
    let loaded = scenarios::load(&file, shipped.text, &[], &none).unwrap();
    let seed = loaded.scenario.seed;
    let run = |variant: &scenarios::Variant| {
        let mut result = sim_core::run::run(&loaded.lower(variant, seed), &|_| {});
        result.name.clone_from(&variant.name);
        result
    };
    let results = loaded.variants.par_iter().map(run).collect();
    (loaded, results)
}

fn text(loaded: &Loaded, results: &[RunResult], outcomes: &[Outcome]) -> String {
    let mut text = format!(
        "{}, seed {}, resolution {} ms\n",
        loaded.name,
        loaded.scenario.seed,
        loaded.resolution.0 / 1_000_000
    );
    for run in results {
        let _ = write!(text, "\n{}\n", run.name);
        let _ = writeln!(text, "  events {}", run.events_processed);
        for metric in METRICS {
            if let Some(value) = run.summary.get(metric) {
                let _ = writeln!(text, "  {metric} {}", number(*value));
            }
        }
    }
    text.push_str("\nexpectations\n");
    for outcome in outcomes {
        let _ = writeln!(text, "  {}", judged(outcome));
    }
    text
}

/// Six digits after the point: more than anybody checks, and less than all of a float's.
fn number(value: Value) -> String {
    match value {
        Value::Count(count) => count.to_string(),
        Value::Number(number) => format!("{number:.6}"),
        Value::Never => "never".to_owned(),
    }
}

fn judged(outcome: &Outcome) -> String {
    let verdict = match outcome.verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "FAIL",
        Verdict::Skipped => "skipped",
    };
    let of_run = |value: &Option<Value>| value.map_or_else(String::new, number);
    let bound = match &outcome.bound {
        Bound::Above(bound) => format!("above {bound}"),
        Bound::Below(bound) => format!("below {bound}"),
        Bound::Between(low, high) => format!("between {low} and {high}"),
        Bound::Higher(run, value) => format!("higher than {run}, {}", of_run(value)),
        Bound::Lower(run, value) => format!("lower than {run}, {}", of_run(value)),
    };
    let measured = outcome.measured.map_or("nothing".to_owned(), number);
    format!("{verdict} {}: {} {measured} {bound}", outcome.run, outcome.metric)
}

#[test]
fn every_shipped_scenario_matches_its_golden_and_meets_its_expectations() {
    let mut differing = Vec::new();
    for shipped in SHIPPED {
        let (loaded, results) = play(shipped);
        let outcomes = loaded.evaluate(&results);
        let text = text(&loaded, &results, &outcomes);
        let path = folder().join(format!("{}.txt", shipped.name));
        if wants_update() {
            fs::write(&path, &text).unwrap();
        }
        let golden = fs::read_to_string(&path).unwrap_or_default();
        if golden != text {
            differing.push(format!("{}: {}", shipped.name, first_change(&golden, &text)));
        }
        let unmet = outcomes.iter().filter(|it| it.verdict != Verdict::Pass);
        differing.extend(unmet.map(|it| format!("{}: {}", shipped.name, judged(it))));
    }
    assert!(
        differing.is_empty(),
        "{}\nif that is meant: UPDATE_GOLDENS=1 cargo test golden",
        differing.join("\n")
    );
}

/// The first line that is not as it was.
fn first_change(golden: &str, text: &str) -> String {
    let lines = golden.lines().zip(text.lines());
    let changed = lines.enumerate().find(|(_, (was, is))| was != is);
    match changed {
        Some((line, (was, is))) => format!("line {}: was `{was}`, is `{is}`", line + 1),
        None => format!("{} bytes, was {}", text.len(), golden.len()),
    }
}

#[test]
fn every_golden_is_of_a_shipped_scenario() {
    if wants_update() {
        // They are being written.
        return;
    }
    let goldens: BTreeSet<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let shipped: BTreeSet<String> = SHIPPED.iter().map(|it| format!("{}.txt", it.name)).collect();
    assert_eq!(goldens, shipped);
}
