//! The data files: their shape to the byte.

use std::collections::BTreeMap;

use proptest::prelude::*;
use reports::{
    Bound, ExpectationRow, Report, Verdict, events_ndjson, manifest, render, series_csv,
    summary_json,
};
use serde_json::json;
use sim_core::result::{EventRecord, Point, RunResult, Series, SeriesKind, Summary, Value};

use crate::synthetic::{at, expectations, gauge, hot_key, rate, report};

fn summary<const N: usize>(values: [(&str, Value); N]) -> Summary {
    values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

const SUMMARY_JSON: &str = r#"{
  "schema": 1,
  "scenario": "hot_key",
  "seed": 42,
  "duration_s": 1800.0,
  "resolution_ms": 20,
  "runs": [
    {
      "name": "baseline",
      "summary": {
        "records_offered": 7,
        "throttled_ratio": 0.5,
        "lag_recovery_s": null,
        "a_metric_of_tomorrow": 0.0
      },
      "blame": {
        "app": {
          "throttled": 2.5
        }
      },
      "blame_total": {
        "app": {
          "throttled": null
        }
      },
      "systems": {},
      "producers": {},
      "consumers": {
        "app": {
          "records_delivered": 6
        }
      }
    }
  ],
  "expectations": [
    {
      "run": "baseline",
      "metric": "lag_recovery_s",
      "op": "between",
      "bound": [
        1.0,
        2.0
      ],
      "measured": null,
      "verdict": "fail"
    }
  ]
}
"#;

#[test]
fn summary_json_has_the_shape_of_its_contract() {
    let blame = |seconds| {
        let causes = BTreeMap::from([("throttled".to_owned(), seconds)]);
        BTreeMap::from([("app".to_owned(), causes)])
    };
    let runs = [RunResult {
        name: "baseline".to_owned(),
        summary: summary([
            ("lag_recovery_s", Value::Never),
            ("records_offered", Value::Count(7)),
            ("throttled_ratio", Value::Number(0.5)),
            ("a_metric_of_tomorrow", Value::Number(-0.0)),
        ]),
        consumers: BTreeMap::from([(
            "app".to_owned(),
            summary([("records_delivered", Value::Count(6))]),
        )]),
        blame: blame(2.5),
        blame_total: blame(f64::NAN),
        ..RunResult::default()
    }];
    let rows = [ExpectationRow {
        run: "baseline".to_owned(),
        metric: "lag_recovery_s".to_owned(),
        bound: Bound::Between(1.0, 2.0),
        than: None,
        measured: Value::Never,
        verdict: Verdict::Fail,
        over_seeds: None,
    }];
    let text = summary_json::document(&report(&runs, &rows, &json!(null))).unwrap();
    assert_eq!(text, SUMMARY_JSON);
}

#[test]
fn a_bound_that_is_another_runs_value_has_a_word_of_its_own() {
    let row = expectations().remove(0);
    let word = |bound, than: Option<&str>| {
        let rows = [ExpectationRow { bound, than: than.map(str::to_owned), ..row.clone() }];
        let text = summary_json::document(&report(&[], &rows, &json!(null))).unwrap();
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        document["expectations"][0]["op"].as_str().unwrap().to_owned()
    };
    assert_eq!(word(Bound::Above(1.0), None), "above");
    assert_eq!(word(Bound::Below(1.0), None), "below");
    assert_eq!(word(Bound::Between(1.0, 2.0), None), "between");
    assert_eq!(word(Bound::Above(1.0), Some("salt")), "higher");
    assert_eq!(word(Bound::Below(1.0), Some("salt")), "lower");
}

#[test]
fn a_bound_that_is_another_runs_value_names_the_run() {
    let rows = expectations();
    let text = summary_json::document(&report(&[], &rows, &json!(null))).unwrap();
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    let row = &document["expectations"][3];
    assert_eq!(row["op"], "higher");
    assert_eq!(row["than"], "baseline");
    assert_eq!(row["bound"], 1_095.0);
    assert_eq!(row["verdict"], "inconclusive");
}

#[test]
fn series_csv_has_a_row_for_each_step_of_each_run() {
    let level = Series {
        points: vec![
            Point { value: 1.0, min: 0.0, max: 2.5 },
            Point { value: f64::NAN, min: -0.0, max: 1e21 },
        ],
        ..gauge("lag", "records", &[], 0.0)
    };
    let run = |name: &str, series| RunResult {
        name: name.to_owned(),
        series,
        series_step_s: 0.1,
        ..RunResult::default()
    };
    let runs = [
        run("baseline", vec![level, rate("flow", &[10.0, 0.1])]),
        run("with, comma", vec![rate("other", &[3.0])]),
    ];
    let text = String::from_utf8(series_csv::document(&runs).unwrap()).unwrap();
    assert_eq!(
        text,
        "run,time_s,lag,lag.min,lag.max,flow,other\n\
         baseline,0.1,1,0,2.5,10,\n\
         baseline,0.2,,0,1000000000000000000000,0.1,\n\
         \"with, comma\",0.1,,,,,3\n"
    );
}

#[test]
fn a_series_csv_without_series_has_its_header() {
    let text = series_csv::document(&[RunResult::default()]).unwrap();
    assert_eq!(text, b"run,time_s\n");
}

proptest! {
    /// Every finite number in `series.csv` reads back as itself.
    #[test]
    fn numbers_survive_series_csv(value in prop::num::f64::NORMAL) {
        let series = Series { kind: SeriesKind::Rate, ..rate("x", &[value]) };
        let runs = [RunResult { series: vec![series], series_step_s: 1.0, ..RunResult::default() }];
        let text = String::from_utf8(series_csv::document(&runs).unwrap()).unwrap();
        let field = text.trim_end().rsplit(',').next().unwrap();
        prop_assert_eq!(field.parse::<f64>().unwrap(), value);
    }
}

#[test]
fn events_are_one_object_a_line_and_name_their_cause() {
    let event = |second, cause| EventRecord {
        at: at(second),
        kind: "lease_taken",
        subject: "consumers.app/worker-2".to_owned(),
        detail: "a \"quoted\"\nword".to_owned(),
        cause,
    };
    let run =
        |name: &str, events| RunResult { name: name.to_owned(), events, ..RunResult::default() };
    let runs = [run("baseline", vec![event(300.04, None)]), run("m", vec![event(1.0, Some(0))])];
    let text = String::from_utf8(events_ndjson::document(&runs).unwrap()).unwrap();
    assert_eq!(
        text,
        "{\"run\":\"baseline\",\"id\":0,\"t_s\":300.04,\"kind\":\"lease_taken\",\
         \"subject\":\"consumers.app/worker-2\",\"detail\":\"a \\\"quoted\\\"\\nword\",\
         \"cause\":null}\n\
         {\"run\":\"m\",\"id\":0,\"t_s\":1.0,\"kind\":\"lease_taken\",\
         \"subject\":\"consumers.app/worker-2\",\"detail\":\"a \\\"quoted\\\"\\nword\",\
         \"cause\":0}\n"
    );
}

#[test]
fn hashes_are_those_of_sha256sum() {
    // The vector of FIPS 180-4.
    assert_eq!(
        manifest::sha256(b"abc"),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
}

#[test]
fn the_manifest_lists_the_files_and_what_they_were_made_from() {
    let effective = json!({"duration": "30m"});
    let sets = [("seed".to_owned(), "43".to_owned())];
    let mut report = report(&[], &[], &effective);
    report.provenance.sets = &sets;
    let files = [reports::OutputFile::new("b.txt", "abc"), reports::OutputFile::new("a/c.txt", "")];
    let file = manifest::file(&report, &files).unwrap();
    assert_eq!(file.name, "manifest.json");
    let manifest: serde_json::Value = serde_json::from_slice(&file.bytes).unwrap();
    assert_eq!(manifest["scenario"], "hot_key");
    assert_eq!(manifest["seed"], 42);
    assert_eq!(manifest["model_hash"], "0123456789abcdef");
    assert_eq!(manifest["sets"], json!([{"path": "seed", "value": "43"}]));
    assert_eq!(manifest["effective"], effective);
    assert_eq!(manifest["files"][0]["name"], "a/c.txt");
    assert_eq!(manifest["files"][1]["bytes"], 3);
}

#[test]
fn all_files_are_the_same_when_they_are_made_again() {
    let runs = hot_key(3);
    let rows = expectations();
    let effective = json!({});
    let report = Report { png: cfg!(feature = "png"), ..report(&runs, &rows, &effective) };
    let files = render(&report).unwrap();
    let names: Vec<&str> = files.iter().map(|it| it.name.as_str()).collect();
    let mut expected = vec![
        "summary.json",
        "charts/lag.png",
        "charts/lag.svg",
        "charts/throughput.png",
        "charts/throughput.svg",
        "series.csv",
        "events.ndjson",
    ];
    expected.retain(|name| report.png || !name.ends_with(".png"));
    assert_eq!(names, expected);
    assert_eq!(files, render(&report).unwrap());
}

#[test]
fn a_report_without_runs_renders() {
    let effective = json!({});
    let files = render(&report(&[], &[], &effective)).unwrap();
    let names: Vec<&str> = files.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["summary.json", "series.csv", "events.ndjson"]);
}
