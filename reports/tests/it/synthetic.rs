//! Made-up results that look like those of an incident, for tests and for looking at.

use std::collections::BTreeMap;

use reports::{Bound, ExpectationRow, Provenance, Report, Verdict};
use sim_core::engine::SimTime;
use sim_core::result::{
    EventRecord, Mark, MarkKind, Point, RunResult, Series, SeriesKind, Summary, Value,
};

/// A moment so many seconds into the run.
pub fn at(seconds: f64) -> SimTime {
    SimTime((seconds * 1e9) as u64)
}

/// Mitigations with names as long as people write them.
pub const MITIGATIONS: [(&str, f64, Option<&str>); 6] = [
    ("salt the key x8", 0.0, None),
    ("switch to on-demand at +3m", 480.0, Some("switch clicks to on-demand")),
    ("split the hot shard at +3m", 480.0, Some("split the hottest shard")),
    ("double the shards at +3m", 480.0, Some("update shard count to 20")),
    ("enhanced fan-out", f64::INFINITY, None),
    ("retry budget of one minute", 600.0, Some("drop what is older than 60 s")),
];

/// A baseline and `mitigations` mitigations of a hot key from 5:00 to 20:00.
pub fn hot_key(mitigations: usize) -> Vec<RunResult> {
    let mut runs = vec![hot_key_run("baseline", f64::INFINITY, None, 0)];
    for index in 0..mitigations {
        let (name, helps_at, action) = MITIGATIONS[index % MITIGATIONS.len()];
        let name = if index < MITIGATIONS.len() {
            name.to_owned()
        } else {
            format!("{name} again, number {index}")
        };
        runs.push(hot_key_run(&name, helps_at, action, index + 1));
    }
    runs
}

fn flows_of_half_an_hour(helps_at: f64, index: usize) -> Flows {
    let mut flows = Flows::default();
    let mut waiting = 0.0;
    let mut luck = 12_345_u64;
    for step in 0..1_800 {
        luck = luck.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let noise = (luck >> 40) as f64 / (1u64 << 24) as f64 - 0.5;
        let second = f64::from(step);
        let hot = (300.0..1_200.0).contains(&second);
        let helped = second >= helps_at + 5.0 * index as f64;
        let offered = 6_000.0 * (1.0 + 0.05 * noise);
        let capacity = if !hot || helped { 9_000.0 } else { 4_700.0 + 60.0 * index as f64 };
        waiting += offered;
        let accepted = f64::min(waiting, capacity * (1.0 + 0.01 * noise));
        waiting -= accepted;
        let throttled = if waiting > 1.0 { waiting.min(40_000.0) * 0.3 } else { 0.0 };
        flows.push(offered, accepted, throttled, waiting + 300.0 * (noise + 0.5));
    }
    flows
}

fn hot_key_run(name: &str, helps_at: f64, action: Option<&str>, index: usize) -> RunResult {
    let flows = flows_of_half_an_hour(helps_at, index);
    let lag = |scale: f64| -> Vec<f64> { flows.waiting.iter().map(|it| it * scale).collect() };
    let series = vec![
        rate("total.records_offered_per_s", &flows.offered),
        rate("total.records_accepted_per_s", &flows.accepted),
        rate("total.records_throttled_per_s", &flows.throttled),
        rate("total.records_delivered_per_s", &flows.accepted),
        gauge("total.lag_records", "records", &lag(1.0), 0.3),
        gauge("total.lag_seconds", "s", &lag(1.0 / 4_000.0), 0.1),
        gauge("consumers.profiles.lag_records", "records", &lag(1.0), 0.3),
        gauge("consumers.profiles.lag_seconds", "s", &lag(1.0 / 4_000.0), 0.1),
        rate("producers.web.records_offered_per_s", &flows.offered),
        gauge("systems.clicks.shards", "shards", &[10.0; 1_800], 0.0),
    ];
    let mut marks = vec![Mark {
        kind: MarkKind::Fault,
        label: "hot key user-1 (33 %)".to_owned(),
        from: at(300.0),
        until: Some(at(1_200.0)),
    }];
    marks.extend(action.map(|label| Mark {
        kind: MarkKind::Action,
        label: label.to_owned(),
        from: at(480.0),
        until: None,
    }));
    RunResult {
        name: name.to_owned(),
        summary: summary(&flows, index),
        producers: BTreeMap::from([("web".to_owned(), summary(&flows, index))]),
        consumers: BTreeMap::from([("profiles".to_owned(), summary(&flows, index))]),
        blame: blame(1.0 / (1.0 + index as f64)),
        blame_total: blame(412_345.0 / (1.0 + index as f64)),
        series,
        series_step_s: 1.0,
        events: events(action),
        marks,
        warnings: if index == 5 {
            vec!["enhanced fan-out changed nothing: reads were never throttled".to_owned()]
        } else {
            Vec::new()
        },
        ..RunResult::default()
    }
}

#[derive(Default)]
struct Flows {
    offered: Vec<f64>,
    accepted: Vec<f64>,
    throttled: Vec<f64>,
    waiting: Vec<f64>,
}

impl Flows {
    fn push(&mut self, offered: f64, accepted: f64, throttled: f64, waiting: f64) {
        self.offered.push(offered);
        self.accepted.push(accepted);
        self.throttled.push(throttled);
        self.waiting.push(waiting);
    }
}

fn summary(flows: &Flows, index: usize) -> Summary {
    let total = |of: &[f64]| Value::Count(of.iter().sum::<f64>() as u64);
    let greatest = |of: &[f64]| of.iter().copied().fold(0.0, f64::max);
    let throttled = flows.throttled.iter().sum::<f64>();
    let attempts = throttled + flows.accepted.iter().sum::<f64>();
    let lag = greatest(&flows.waiting);
    Summary::from(
        [
            ("records_offered", total(&flows.offered)),
            ("records_accepted", total(&flows.accepted)),
            ("records_throttled", Value::Count(throttled as u64)),
            ("throttled_ratio", Value::Number(throttled / attempts)),
            ("records_refused", Value::Count(if index == 6 { 912_345 } else { 0 })),
            ("records_lost", Value::Count(0)),
            ("records_delivered", total(&flows.accepted)),
            ("records_reordered", Value::Count([0, 1_234_567, 0, 88, 91, 0, 0][index % 7])),
            ("lag_records_max", Value::Count(lag as u64)),
            ("lag_seconds_max", Value::Number(lag / 4_000.0)),
            (
                "lag_recovery_s",
                if lag > 1e6 { Value::Never } else { Value::Number(lag / 10_000.0) },
            ),
            ("e2e_latency_ms_p50", Value::Number(212.3 + index as f64)),
            ("e2e_latency_ms_p99", Value::Number(lag / 5.0)),
            ("e2e_latency_ms_max", Value::Number(lag / 3.9)),
            ("leases_taken", Value::Count(5)),
            ("shards_max", Value::Count([10, 10, 16, 11, 20, 10, 10][index % 7])),
            ("cost_usd_per_month", Value::Number(1_095.0 + 300.0 * index as f64)),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    )
}

fn blame(scale: f64) -> BTreeMap<String, BTreeMap<String, f64>> {
    let causes = [
        ("throttled", 29.8),
        ("client_batching", 0.1),
        ("service", 0.3),
        ("put", 0.04),
        ("poll_gap", 0.9),
    ];
    let causes = causes.map(|(cause, seconds)| (cause.to_owned(), seconds * scale));
    BTreeMap::from([("profiles".to_owned(), BTreeMap::from(causes))])
}

fn events(action: Option<&str>) -> Vec<EventRecord> {
    let event = |second, kind, detail: &str, cause| EventRecord {
        at: at(second),
        kind,
        subject: "systems.clicks".to_owned(),
        detail: detail.to_owned(),
        cause,
    };
    let mut events = vec![event(300.0, "fault_started", "hot key user-1 (33 %)", None)];
    events.push(event(300.04, "first_throttle", "records budget of one shard", Some(0)));
    events.extend(action.map(|it| event(480.0, "action", it, None)));
    events
}

/// A flow, one step a second.
pub fn rate(name: &str, values: &[f64]) -> Series {
    Series {
        name: name.to_owned(),
        unit: "records/s",
        kind: SeriesKind::Rate,
        points: values.iter().map(|it| Point { value: *it, min: *it, max: *it }).collect(),
    }
}

/// A level, one step a second, that moves by the share `inside` within each.
pub fn gauge(name: &str, unit: &'static str, values: &[f64], inside: f64) -> Series {
    let point = |value: &f64| Point {
        value: *value,
        min: *value * (1.0 - inside),
        max: *value * (1.0 + inside / 3.0),
    };
    Series {
        name: name.to_owned(),
        unit,
        kind: SeriesKind::Gauge,
        points: values.iter().map(point).collect(),
    }
}

/// Expectations, met and not.
pub fn expectations() -> Vec<ExpectationRow> {
    let row = |run: &str, metric: &str, bound, measured, verdict| ExpectationRow {
        run: run.to_owned(),
        metric: metric.to_owned(),
        bound,
        than: None,
        measured,
        verdict,
        over_seeds: None,
    };
    vec![
        row("baseline", "throttled_ratio", Bound::Above(0.25), Value::Number(0.312), Verdict::Pass),
        row(
            "salt the key x8",
            "records_reordered",
            Bound::Above(0.0),
            Value::Count(1_234_567),
            Verdict::Pass,
        ),
        row("baseline", "lag_recovery_s", Bound::Between(60.0, 300.0), Value::Never, Verdict::Fail),
        ExpectationRow {
            than: Some("baseline".to_owned()),
            ..row(
                "switch to on-demand at +3m",
                "cost_usd_per_month",
                Bound::Above(1_095.0),
                Value::Number(1_695.0),
                Verdict::Inconclusive,
            )
        },
    ]
}

/// A report of those runs.
static NO_INPUTS: std::collections::BTreeMap<String, String> = std::collections::BTreeMap::new();

pub fn report<'a>(
    runs: &'a [RunResult],
    expectations: &'a [ExpectationRow],
    effective: &'a serde_json::Value,
) -> Report<'a> {
    Report {
        scenario: "hot_key",
        title: "Hot key on a provisioned Kinesis stream",
        seed: 42,
        seeds: (42, 42),
        spread: None,
        duration_s: 1_800.0,
        resolution_ms: 20,
        runs,
        expectations,
        png: false,
        provenance: Provenance {
            only: &[],
            inputs: &NO_INPUTS,
            version: "0.1.0",
            model_hash: "0123456789abcdef",
            scenario_source: "Scenario(title: \"Hot key\")\n",
            sets: &[],
            effective,
        },
    }
}

/// Four hours, two consumers, a gap, a pod that restarts forty times, long and odd names.
pub fn edges() -> Vec<RunResult> {
    let names = [
        "baseline",
        "a name <with> \"markup\" & an unreasonable length of nearly ninety c",
        "σ → ∞ λ",
        "short",
    ];
    let runs = names.iter().enumerate().map(|(index, name)| {
        let scale = 1.0 + index as f64 * 0.5;
        let values: Vec<f64> = (0..14_400)
            .map(|second| match second {
                3_000..3_600 if index == 1 => f64::NAN,
                _ if second % 360 < 40 => f64::from(second % 360) * 900.0 * scale,
                _ => 0.0,
            })
            .collect();
        let lag = |consumer: &str, scale: f64| {
            let scaled: Vec<f64> = values.iter().map(|it| it * scale).collect();
            [
                gauge(&format!("{consumer}.lag_records"), "records", &scaled, 0.0),
                gauge(
                    &format!("{consumer}.lag_seconds"),
                    "s",
                    &scaled.iter().map(|it| it / 9_000.0).collect::<Vec<_>>(),
                    0.0,
                ),
            ]
        };
        let mut series = Vec::new();
        series.extend(lag("total", 1.0));
        series.extend(lag("consumers.fast", 0.001));
        series.extend(lag("consumers.slow", 0.999));
        series.push(rate("total.records_offered_per_s", &vec![1e6 * scale; 14_400]));
        RunResult {
            name: (*name).to_owned(),
            series,
            series_step_s: 1.0,
            marks: edge_marks(index),
            summary: Summary::from([("lag_seconds_max".to_owned(), Value::Number(4.0 * scale))]),
            ..RunResult::default()
        }
    });
    runs.collect()
}

fn edge_marks(run: usize) -> Vec<Mark> {
    let mut marks: Vec<Mark> = (0..40)
        .map(|restart| Mark {
            kind: MarkKind::Fault,
            label: "pod restarts".to_owned(),
            from: at(f64::from(restart) * 360.0),
            until: Some(at(f64::from(restart) * 360.0 + 40.0)),
        })
        .collect();
    let mut add = |kind, label: &str, from| {
        marks.push(Mark { kind, label: label.to_owned(), from: at(from), until: None });
    };
    add(MarkKind::Fault, "broker 2 is killed", 13_900.0);
    if run > 0 {
        add(MarkKind::Action, "restart it", 14_200.0 + run as f64);
    }
    if run == 2 {
        add(MarkKind::Fault, "a fault of one run alone", 7_000.0);
    }
    marks
}
