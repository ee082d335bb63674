//! What can be read from the charts, and that they are well formed whatever the results.

use reports::{OutputFile, Report, charts};
use serde_json::Value::Null;
use sim_core::result::{Mark, MarkKind, RunResult, Series};

use crate::synthetic::{at, edges, gauge, hot_key, rate, report};

/// A run of 100 s with those series.
fn run(name: &str, series: Vec<Series>) -> RunResult {
    RunResult { name: name.to_owned(), series, series_step_s: 1.0, ..RunResult::default() }
}

fn lag(values: &[f64]) -> Vec<Series> {
    vec![
        gauge("consumers.app.lag_records", "records", values, 0.0),
        gauge("consumers.app.lag_seconds", "s", values, 0.0),
    ]
}

fn draw(runs: &[RunResult]) -> Vec<OutputFile> {
    let report = Report { duration_s: 100.0, ..report(runs, &[], &Null) };
    charts::all(&report).unwrap()
}

fn assert_well_formed(svg: &str) {
    roxmltree::Document::parse(svg).expect("the chart is well formed");
}

fn chart(runs: &[RunResult], name: &str) -> String {
    let files = draw(runs);
    let file = files.into_iter().find(|it| it.name == format!("charts/{name}.svg"));
    let svg = String::from_utf8(file.expect("the chart is drawn").bytes).unwrap();
    assert_well_formed(&svg);
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    svg
}

/// The opening tags of all curves of that run, in the order of drawing.
fn curves<'a>(svg: &'a str, run: &str) -> Vec<&'a str> {
    let title = format!("<title>{run}</title></path>");
    svg.lines().filter(|line| line.starts_with("<path") && line.ends_with(&title)).collect()
}

#[test]
fn the_same_results_give_the_same_bytes() {
    let runs = hot_key(6);
    assert_eq!(
        charts::all(&report(&runs, &[], &Null)).unwrap(),
        charts::all(&report(&runs, &[], &Null)).unwrap()
    );
}

#[test]
fn one_run_and_eight_runs_are_each_drawn_in_both_panels() {
    for mitigations in [0, 7] {
        let runs = hot_key(mitigations);
        let files = charts::all(&report(&runs, &[], &Null)).unwrap();
        let lag = String::from_utf8(files[0].bytes.clone()).unwrap();
        for run in &runs {
            assert_eq!(curves(&lag, &run.name).len(), 2, "{}", run.name);
        }
    }
}

#[test]
fn the_baseline_lies_thick_beneath_runs_that_are_equal_to_it() {
    let values: Vec<f64> = (0..100).map(f64::from).collect();
    let runs = ["baseline", "one", "two", "three"].map(|name| run(name, lag(&values)));
    let svg = chart(&runs, "lag");
    let first = svg.lines().find(|line| line.ends_with("</title></path>")).unwrap();
    assert!(first.contains("<title>baseline</title>"), "{first}");
    assert!(first.contains("stroke-width=\"3.6\""), "{first}");
    // Equal curves differ in hue and in dash, or all but the last would be hidden.
    let two = curves(&svg, "two")[0];
    let three = curves(&svg, "three")[0];
    let attribute = |tag: &str, name: &str| {
        tag.split(&format!("{name}=\"")).nth(1).map(|it| it.split('"').next().unwrap().to_owned())
    };
    assert_ne!(attribute(two, " stroke"), attribute(three, " stroke"));
    assert_ne!(attribute(two, "stroke-dasharray"), attribute(three, "stroke-dasharray"));
    assert_eq!(attribute(two, " d"), attribute(three, " d"));
}

#[test]
fn the_peak_is_told_with_its_moment() {
    let mut values = vec![10.0; 100];
    values[59] = 1_200.0;
    // Step 59 ends a minute into the run.
    let svg = chart(&[run("baseline", lag(&values))], "lag");
    assert!(svg.contains(">peak 1.20k records at 1:00<"), "{svg}");
    assert!(svg.contains(">peak 20m 00s at 1:00<"), "{svg}");
}

#[test]
fn a_mitigation_that_is_worse_than_the_baseline_is_told_too() {
    let runs = [run("baseline", lag(&[100.0; 100])), run("worse", lag(&[900.0; 100]))];
    let svg = chart(&runs, "lag");
    assert!(svg.contains(">peak 100 records at 0:01<"), "{svg}");
    assert!(svg.contains(">peak 900 records at 0:01<"), "{svg}");
}

#[test]
fn zero_has_a_place_on_the_log_axis() {
    let mut values = vec![0.0; 100];
    values[50] = 1_000.0;
    let svg = chart(&[run("baseline", lag(&values))], "lag");
    // The curve starts on the line that is labelled 0.
    let label = svg.lines().find(|line| line.ends_with(">0</text>")).unwrap();
    let label_y = number_after(label, "y=\"") - 11.5 * 0.727 / 2.0;
    let curve_y = number_after(curves(&svg, "baseline")[0].split_once(' ').unwrap().1, " ");
    assert!((label_y - curve_y).abs() < 0.2, "{label_y} {curve_y}");
}

fn number_after(text: &str, what: &str) -> f64 {
    let rest = text.split_once(what).unwrap().1;
    let end = rest.find(|it: char| !(it.is_ascii_digit() || it == '.')).unwrap();
    rest[..end].parse().unwrap()
}

#[test]
fn a_gap_splits_the_curve() {
    let mut values: Vec<f64> = (0..100).map(f64::from).collect();
    values[40..60].fill(f64::NAN);
    let svg = chart(&[run("baseline", lag(&values))], "lag");
    // Two pieces in each of two panels.
    assert_eq!(curves(&svg, "baseline").len(), 4);
}

#[test]
fn series_of_zeros_of_nothing_and_of_no_numbers_are_drawn() {
    for values in [vec![0.0; 100], vec![], vec![f64::NAN; 100], vec![f64::INFINITY; 100]] {
        let mut series = lag(&values);
        series.push(rate("total.records_throttled_per_s", &values));
        let runs = [run("baseline", series)];
        chart(&runs, "lag");
        chart(&runs, "throughput");
    }
}

#[test]
fn results_without_series_or_without_runs_have_no_charts() {
    assert!(draw(&[run("baseline", vec![])]).is_empty());
    assert!(draw(&[]).is_empty());
}

#[test]
fn a_panel_without_series_is_left_out() {
    let series = vec![
        rate("total.records_offered_per_s", &[5.0; 100]),
        rate("total.records_delivered_per_s", &[4.0; 100]),
    ];
    let svg = chart(&[run("baseline", series)], "throughput");
    assert!(svg.contains(">Offered, records/s<") && svg.contains(">Delivered, records/s<"));
    assert!(!svg.contains(">Accepted, records/s<") && !svg.contains(">Throttled, records/s<"));
}

#[test]
fn what_is_offered_is_drawn_once_where_it_is_the_same_in_all_runs() {
    let offered =
        |name, values: &[f64]| run(name, vec![rate("total.records_offered_per_s", values)]);
    let same = [offered("baseline", &[5.0; 100]), offered("other", &[5.0; 100])];
    let svg = chart(&same, "throughput");
    assert_eq!((curves(&svg, "baseline").len(), curves(&svg, "other").len()), (1, 0));
    assert!(svg.contains("the same in all runs"));
    let changed = [offered("baseline", &[5.0; 100]), offered("other", &[6.0; 100])];
    let svg = chart(&changed, "throughput");
    assert_eq!((curves(&svg, "baseline").len(), curves(&svg, "other").len()), (1, 1));
}

#[test]
fn each_of_several_consumers_has_its_chart_beside_that_of_all() {
    let series = ["a/b", "a.b", "A_B"]
        .iter()
        .map(|name| gauge(&format!("consumers.{name}.lag_records"), "records", &[5.0; 100], 0.0));
    let mut series: Vec<Series> = series.collect();
    series.push(gauge("total.lag_records", "records", &[15.0; 100], 0.0));
    let files = draw(&[run("baseline", series)]);
    let names: Vec<&str> = files.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(
        names,
        ["charts/lag.svg", "charts/lag_a_b.svg", "charts/lag_a_b_2.svg", "charts/lag_a_b_3.svg"]
    );
}

#[test]
fn names_that_look_like_markup_are_shown_as_they_are() {
    let nasty = "<b>\"R&D\" 'x'</b>]]>\u{7}";
    let escaped = "&lt;b&gt;&quot;R&amp;D&quot; &#39;x&#39;&lt;/b&gt;]]&gt;\u{fffd}";
    let mut baseline = run(nasty, lag(&[5.0; 100]));
    baseline.marks = vec![Mark {
        kind: MarkKind::Fault,
        label: nasty.to_owned(),
        from: at(10.0),
        until: Some(at(20.0)),
    }];
    let runs = [baseline];
    let report =
        Report { duration_s: 100.0, title: nasty, scenario: nasty, ..report(&runs, &[], &Null) };
    let files = charts::all(&report).unwrap();
    let svg = String::from_utf8(files[0].bytes.clone()).unwrap();
    assert_well_formed(&svg);
    assert!(!svg.contains("<b>"));
    // Title, caption, label of the fault, hover texts and more.
    assert!(svg.matches(escaped).count() >= 5, "{svg}");
}

#[test]
fn a_fault_shades_each_panel_and_an_action_is_labelled_for_its_run_alone() {
    let fault = Mark {
        kind: MarkKind::Fault,
        label: "hot key".to_owned(),
        from: at(25.0),
        until: Some(at(75.0)),
    };
    let action =
        Mark { kind: MarkKind::Action, label: "split".to_owned(), from: at(50.0), until: None };
    let with = |name, marks: Vec<Mark>| RunResult { marks, ..run(name, lag(&[5.0; 100])) };
    let runs = [with("baseline", vec![fault.clone()]), with("splits", vec![fault.clone(), action])];
    let svg = chart(&runs, "lag");
    let shades: Vec<(f64, f64)> = svg
        .lines()
        .filter(|line| line.contains("fill=\"#c83c32\" fill-opacity=\"0.10\""))
        .map(|line| (number_after(line, "x=\""), number_after(line, "width=\"")))
        .collect();
    // Two panels and the legend. From a quarter to three quarters of the time: the axis begins
    // half of the shade's width before it.
    let [first, second, _] = shades[..] else { panic!("{shades:?}") };
    assert_eq!(first, second);
    let axis = format!("<path d=\"M{} ", first.0 - first.1 / 2.0);
    assert!(svg.contains(&axis), "{axis}: {svg}");
    assert_eq!(svg.matches(">hot key</text>").count(), 1);
    assert_eq!(svg.matches(">split</text>").count(), 1);
    // The line of the action has the colour of its run, the first mitigation's blue.
    let line = svg.lines().find(|line| line.ends_with("<title>split</title></path>")).unwrap();
    assert!(line.contains("stroke=\"#0072b2\""), "{line}");
}

#[test]
fn a_long_run_is_told_in_hours() {
    let runs = [run("baseline", lag(&[5.0; 100]))];
    let long = Report { duration_s: 86_400.0, ..report(&runs, &[], &Null) };
    let files = charts::all(&long).unwrap();
    let svg = String::from_utf8(files[0].bytes.clone()).unwrap();
    assert!(svg.contains(">simulated time, h:mm<") && svg.contains(">3:00<"));
}

#[cfg(feature = "png")]
#[test]
fn a_picture_comes_beside_each_chart_on_request() {
    let runs = [run("baseline", lag(&[5.0; 100]))];
    let with = Report { png: true, duration_s: 100.0, ..report(&runs, &[], &Null) };
    let files = charts::all(&with).unwrap();
    let names: Vec<&str> = files.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["charts/lag.png", "charts/lag.svg"]);
    assert!(files[0].bytes.starts_with(b"\x89PNG"));
}

#[test]
fn what_seldom_happens_is_drawn_well_formed() {
    let runs = edges();
    let report = Report { duration_s: 14_400.0, ..report(&runs, &[], &Null) };
    let files = charts::all(&report).unwrap();
    let names: Vec<&str> = files.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(
        names,
        ["charts/lag.svg", "charts/lag_fast.svg", "charts/lag_slow.svg", "charts/throughput.svg"]
    );
    let svg = String::from_utf8(files[0].bytes.clone()).unwrap();
    assert_well_formed(&svg);
    assert!(svg.contains(">pod restarts ×40<"));
}

/// A cluster of 8 partitions, 2 of them unavailable from 40 s to 60 s while monitoring reads zero.
fn ailing(name: &str, unavailable: f64) -> RunResult {
    let level = |usual: f64, then: f64| -> Vec<f64> {
        (0..100).map(|second| if (40..60).contains(&second) { then } else { usual }).collect()
    };
    let of = |name: &str, usual, then| {
        gauge(&format!("systems.orders.{name}"), "partitions", &level(usual, then), 0.0)
    };
    let series = vec![
        of("partitions_unavailable", 0.0, unavailable),
        of("under_replicated", 0.0, 0.0),
        of("under_min_isr", 0.0, 0.0),
        of("in_sync_replicas", 24.0, 24.0),
    ];
    run(name, series)
}

#[test]
fn what_nobody_can_use_is_drawn_above_what_monitoring_makes_of_it() {
    let svg = chart(&[ailing("baseline", 2.0), ailing("better", 0.0)], "availability");
    assert!(svg.contains(">at most 2 unavailable<") && svg.contains(">none unavailable<"));
    assert!(svg.contains(">under-replicated: 0 for 20.0 s<"), "{svg}");
    // The truth lies beneath the gauge, to be compared with.
    assert_eq!(curves(&svg, "unavailable in baseline").len(), 1);
    // What is never other than well has no panel.
    assert!(!svg.contains(">Partitions under min ISR") && !svg.contains(">In-sync replicas"));
    // Both panels have the same scale.
    let ticks = |label: &str| svg.matches(&format!(">{label}</text>")).count();
    assert_eq!((ticks("1"), ticks("2")), (2, 2), "{svg}");
}

#[test]
fn a_cluster_and_a_group_that_are_well_have_no_charts() {
    let mut well = ailing("baseline", 0.0);
    // More partitions are no harm.
    let grown: Vec<f64> = (0..100).map(|second| if second < 50 { 24.0 } else { 48.0 }).collect();
    well.series[3] = gauge("systems.orders.in_sync_replicas", "replicas", &grown, 0.0);
    well.series.push(gauge("consumers.app.partitions_assigned", "partitions", &[8.0; 100], 0.0));
    well.series.push(gauge("consumers.app.rebalancing", "0 or 1", &[0.0; 100], 0.0));
    assert!(draw(&[well]).is_empty());
}

/// A group of 8 partitions that reads none of them in the first second of every ten, and
/// rebalances in the second after it.
fn stormy(name: &str, storms: bool) -> RunResult {
    let each = |at: i32, other: f64, then: f64| -> Vec<f64> {
        (0..100).map(|second| if storms && second % 10 == at { then } else { other }).collect()
    };
    let series = vec![
        gauge("consumers.app.partitions_assigned", "partitions", &each(0, 8.0, 0.0), 0.0),
        gauge("consumers.app.rebalancing", "0 or 1", &each(1, 0.0, 1.0), 0.0),
    ];
    run(name, series)
}

#[test]
fn each_run_has_its_strip_of_the_group_with_its_spells() {
    let svg = chart(&[stormy("baseline", true), stormy("static", false)], "group");
    assert!(svg.contains("rebalancing 10 times, 10.0 s in all; at worst 0 of 8 read"), "{svg}");
    assert!(svg.contains("never rebalancing; at worst 8 of 8 read"), "{svg}");
    // Ten bars, of a hundredth of the panel each, and the sample in the legend is a line.
    let bars = svg.lines().filter(|line| line.contains("fill=\"#1e222a\" fill-opacity=\"0.90\""));
    assert_eq!(bars.count(), 10, "{svg}");
    let same = chart(&[stormy("baseline", true), stormy("other", true)], "group");
    assert!(same.contains(">Partitions read: all runs"), "{same}");
}

#[test]
fn the_lag_that_a_client_reports_is_drawn_where_it_hides_what_is_unread() {
    let with = |client: f64| {
        let mut series = lag(&[5_000.0; 100]);
        series.push(gauge("consumers.app.client_lag_records", "records", &[client; 100], 0.0));
        chart(&[run("baseline", series)], "lag")
    };
    let heading = ">Lag in records, as the client reports it";
    let blind = with(0.0);
    assert!(blind.contains(heading) && blind.contains("the truth in baseline"), "{blind}");
    assert!(!with(4_000.0).contains(heading));
}

#[test]
fn where_nobody_reads_there_is_no_lag_to_draw() {
    let series = vec![
        gauge("total.lag_records", "records", &[0.0; 100], 0.0),
        rate("total.records_offered_per_s", &[5.0; 100]),
    ];
    let files = draw(&[run("baseline", series)]);
    let names: Vec<&str> = files.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["charts/throughput.svg"]);
}
