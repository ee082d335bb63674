//! Draws made-up results, to be looked at: `cargo run -p reports --example look -- DIR`.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a tool for developers"
)]

#[allow(dead_code, unreachable_pub, reason = "shared with the tests, which use all of it")]
#[path = "../tests/it/synthetic.rs"]
mod synthetic;

use reports::{Output, Report, render};

fn main() {
    let dir = std::env::args().nth(1).unwrap_or_else(|| "target/look".to_owned());
    let effective = serde_json::json!({"duration": "30m"});
    let expectations = synthetic::expectations();
    for (name, mitigations) in [("one", 0), ("three", 2), ("seven", 6), ("twelve", 11)] {
        let runs = synthetic::hot_key(mitigations);
        let report = Report { png: true, ..synthetic::report(&runs, &expectations, &effective) };
        let files = render(&report).unwrap();
        Output::new(format!("{dir}/{name}"), false).write(&report, &files).unwrap();
        println!("{dir}/{name}: {} files", files.len());
        let color = std::env::args().any(|arg| arg == "--color");
        println!("{}", reports::table::summary(&report, 100, color));
    }
    edges(&dir, &effective);
}

/// What seldom happens and must still be readable.
fn edges(dir: &str, effective: &serde_json::Value) {
    let runs = synthetic::edges();
    let report = Report {
        png: true,
        scenario: "edges",
        title: "A scenario with a title that goes on & on until there is no room left for what \
                the chart is about, let alone for <anything> else",
        duration_s: 14_400.0,
        resolution_ms: 0,
        ..synthetic::report(&runs, &[], effective)
    };
    let files = render(&report).unwrap();
    Output::new(format!("{dir}/edges"), false).write(&report, &files).unwrap();
    println!("{}", reports::table::summary(&report, 100, false));
}
