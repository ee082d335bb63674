//! Every kind of mistake in a scenario file: where it is pointed at, what is said, what is advised.
//!
//! A row replaces a piece of a good file; `⟦..⟧` in the replacement is what must be underlined, so
//! line and column follow from the row itself.

use scenarios::diagnostics::Origin;
use scenarios::{Problem, Problems, Severity, load, load_bytes};

const GOOD: &str = include_str!("hot_key.ron");

fn problems_of(text: &str) -> Problems {
    match load("bad.ron", text, &[], &|_| Err("no such file".to_owned())) {
        Ok(loaded) => loaded.warnings,
        Err(problems) => problems,
    }
}

fn replaced(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from} is not in the good file");
    GOOD.replacen(from, to, 1)
}

/// A text without its marks, and what they enclose.
fn unmarked(text: &str) -> (String, std::ops::Range<usize>) {
    let start = text.find('⟦').expect("a row marks what is wrong");
    let end = text.find('⟧').expect("a mark ends") - '⟦'.len_utf8();
    (text.replace(['⟦', '⟧'], ""), start..end)
}

struct Row {
    from: &'static str,
    to: &'static str,
    message: &'static str,
    help: Option<&'static str>,
}

const fn row(from: &'static str, to: &'static str, message: &'static str) -> Row {
    Row { from, to, message, help: None }
}

const fn advised(row: Row, help: &'static str) -> Row {
    Row { help: Some(help), ..row }
}

/// Exactly one error, at the mark, with that message and that help.
fn prove(row: &Row) {
    let (text, mark) = unmarked(&replaced(row.from, row.to));
    let problems = problems_of(&text);
    let is_error = |it: &&Problem| it.severity == Severity::Error;
    let errors: Vec<_> = problems.list.iter().filter(is_error).collect();
    let [only] = errors.as_slice() else {
        panic!("{}: {} errors\n{problems}", row.to, errors.len());
    };
    assert_eq!(only.span, Some(mark.clone()), "{}\n{problems}", row.to);
    assert_eq!(only.message, row.message, "{}", row.to);
    assert_eq!(only.help.as_deref(), row.help, "{}", row.to);
    let before = &text[..mark.start];
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    assert_eq!(problems.line_and_column(only), Some((line, column)));
    let shown = problems.to_string();
    assert!(shown.contains(&format!("bad.ron:{line}:{column}")), "{shown}");
}

#[test]
fn a_value_of_the_wrong_type_says_what_should_stand_there() {
    for row in [
        row("instances: 4", "instances: ⟦4.5⟧", "expected a whole number, got `4.5`"),
        row("instances: 4", "instances: ⟦\"4\"⟧", "expected a whole number, got `\"4\"`"),
        row("instances: 4", "instances:⟦four⟧", "expected a whole number, got `four`"),
        row("instances: 4", "instances: ⟦-4⟧", "`-4` is out of range here"),
        row("instances: 4", "instances: ⟦5000000000⟧", "`5000000000` is out of range here"),
        row("workers: 5", "workers: ⟦None⟧", "expected a whole number, got `None`"),
        row("exponent: 0.8", "exponent: ⟦\"x\"⟧", "expected a number, got `\"x\"`"),
        row("exponent: 0.8", "exponent: ⟦NaN⟧", "expected a finite number, got NaN"),
        row("to: \"clicks\"", "to: ⟦5⟧", "expected text in quotes, got `5`"),
        row("idempotent: true", "idempotent: ⟦1⟧", "expected true or false, got `1`"),
        row(
            "{\"RecordMaxBufferedTime\": \"100ms\"}",
            "{\"RecordMaxBufferedTime\": ⟦[⟧1]}",
            "expected a bool, a number or text in quotes, got a list",
        ),
    ] {
        prove(&row);
    }
    let short = replaced("At(\"8m\", SplitHottestShard(\"clicks\"))", "At(\"8m\")");
    let message = "expected At with 2 elements, got 1";
    assert_eq!(problems_of(&short).list[0].message, message);
}

#[test]
fn a_quantity_without_its_unit_is_refused_with_an_example() {
    for row in [
        row(
            "duration: \"30m\"",
            "duration: ⟦30⟧",
            "expected a duration such as \"30s\", \"1h30m\" or \"250ms\", \
             got the bare number 30, which has no unit",
        ),
        row(
            "duration: \"30m\"",
            "duration: ⟦\"30 m\"⟧",
            "expected a duration such as \"30s\", \"1h30m\" or \"250ms\", got \"30 m\"",
        ),
        row(
            "duration: \"30m\"",
            "duration: ⟦fast⟧",
            "expected a duration such as \"30s\", \"1h30m\" or \"250ms\", got `fast`",
        ),
        row(
            "rate: \"6000/s\"",
            "rate: ⟦6000⟧",
            "expected a rate of records such as \"6000/s\" or \"5k/s\", \
             got the bare number 6000, which has no unit",
        ),
        row(
            "rate: \"6000/s\"",
            "rate: /* per */ ⟦\"6000/min\"⟧",
            "expected a rate of records such as \"6000/s\" or \"5k/s\", got \"6000/min\"",
        ),
        row(
            "record_size: \"1KiB\"",
            "record_size: ⟦\"1kib\"⟧",
            "expected a size such as \"1KiB\", \"1KB\" or \"512B\", got \"1kib\"",
        ),
        row(
            "share: \"33%\"",
            "share: ⟦0.33⟧",
            "expected a share such as \"35%\", got the bare number 0.33, which has no unit",
        ),
        row(
            "At(\"8m\", Split",
            "At(⟦\"8x\"⟧, Split",
            "expected a duration such as \"30s\", \"1h30m\" or \"250ms\", got \"8x\"",
        ),
        row(
            "version: \"3\"",
            "version: ⟦\"4\"⟧",
            "expected a KCL version, \"2\" or \"3\", got \"4\"",
        ),
    ] {
        prove(&row);
    }
}

const UNKNOWN_NAMES: &[Row] = &[
    advised(
        row("title: ", "⟦titel⟧: ", "unknown field `titel` in `Scenario`"),
        "did you mean `title`?",
    ),
    advised(
        row("shards: 10", "⟦shard⟧: 10", "unknown field `shard` in `Provisioned`"),
        "did you mean `shards`?",
    ),
    advised(row("Zipf(", "⟦Zif⟧(", "unknown variant `Zif`"), "did you mean `Zipf`?"),
    advised(row("[Set(", "[⟦Sett⟧(", "unknown variant `Sett`"), "did you mean `Set`?"),
    advised(
        row("what: HotKey", "⟦HotKey⟧", "unknown field `HotKey` in `Planned`"),
        "write `what: HotKey(..)`",
    ),
    advised(
        row("to: \"clicks\"", "to: ⟦\"click\"⟧", "there is no system `click`"),
        "did you mean `clicks`?",
    ),
    advised(
        row("producer: \"web\"", "producer: ⟦\"wbe\"⟧", "there is no producer `wbe`"),
        "did you mean `web`?",
    ),
    advised(
        row("sink: \"profile-store\"", "sink: ⟦\"store\"⟧", "there is no sink `store`"),
        "there is: `profile-store`",
    ),
    advised(
        row(
            "SplitHottestShard(\"clicks\")",
            "SplitHottestShard(⟦\"clix\"⟧)",
            "there is no system `clix`",
        ),
        "did you mean `clicks`?",
    ),
    advised(
        row(
            "\"RecordMaxBufferedTime\": \"100ms\"",
            "\"RecordMaxBufferTime\": ⟦\"100ms\"⟧",
            "the KPL has no `RecordMaxBufferTime`",
        ),
        "did you mean `RecordMaxBufferedTime`?",
    ),
    advised(
        row(
            "Set(\"producers.web.salt\"",
            "Set(⟦\"producers.web.slat\"⟧",
            "`producers.web` has no `slat`",
        ),
        "did you mean `producers.web.salt`?",
    ),
    advised(
        row(
            "\"throttled_ratio\", \"10%\"",
            "⟦\"throtled_ratio\"⟧, \"10%\"",
            "there is no metric `throtled_ratio`",
        ),
        "did you mean `throttled_ratio`?",
    ),
    advised(
        row("Above(\"baseline\"", "Above(⟦\"basline\"⟧", "there is no run `basline`"),
        "did you mean `baseline`?",
    ),
    advised(
        row(
            "\"throttled_ratio\", \"10%\"",
            "⟦\"producers.wep.throttled_ratio\"⟧, \"10%\"",
            "there is no `wep` in producers",
        ),
        "did you mean `web`?",
    ),
];

#[test]
fn an_unknown_name_gets_the_nearest() {
    for row in UNKNOWN_NAMES {
        prove(row);
    }
}

#[test]
fn what_is_missing_or_there_twice_is_said_where_it_should_be() {
    for row in [
        advised(
            row("Provisioned(shards: 10)", "Provisioned()", "`shards` is missing here"),
            "add `shards: ..`",
        ),
        advised(row(", share: \"33%\"", "", "`share` is missing here"), "add `share: ..`"),
        advised(row("to: \"clicks\",", "", "`to` is missing here"), "add `to: ..`"),
        advised(row("duration: \"30m\",", "", "`duration` is missing here"), "add `duration: ..`"),
    ] {
        let problems = problems_of(&replaced(row.from, row.to));
        let [only] = problems.list.as_slice() else {
            panic!("{problems}");
        };
        assert_eq!(only.message, row.message);
        assert_eq!(only.help.as_deref(), row.help);
    }
    prove(&row("title: ", "title: \"a\", ⟦title⟧: ", "`title` is given twice"));
    prove(&advised(
        row(
            "\"profile-store\": Sink(idempotent: true),",
            "\"profile-store\": Sink(idempotent: true), ⟦\"profile-store\"⟧: Sink(idempotent: false)",
            "`sinks.profile-store` is there already",
        ),
        "a name stands for one thing; take another",
    ));
    prove(&advised(
        row("duration: \"30m\",", "duration: \"30m⟦\"⟧", "expected a comma after this"),
        "a list, map or struct separates its parts by `,`",
    ));
}

const OUT_OF_RANGE: &[Row] = &[
    row("shards: 10", "shards: ⟦1000000⟧", "1000000 is out of range: 1 to 10000"),
    row("shards: 10", "shards: ⟦0⟧", "0 is out of range: 1 to 10000"),
    row("workers: 5", "workers: ⟦0⟧", "0 is out of range: 1 to 10000"),
    row("\"24h\"", "⟦\"23h\"⟧", "23h is out of range: 24h to 8760h"),
    row("\"30m\",\n", "⟦\"32d\"⟧,\n", "768h is out of range: 1s to 744h"),
    row("keys: 100000", "keys: ⟦4000000000⟧", "4000000000 is out of range: 1 to 10000000"),
    row("exponent: 0.8", "exponent: ⟦-1⟧", "-1 is out of range: 0 to 10"),
    row("\"1KiB\"", "⟦\"2MiB\"⟧", "2MiB is out of range: 1B to 1MiB"),
    row("at: \"5m\"", "at: ⟦\"30m\"⟧", "\"30m\" is not before the end of the run at \"30m\""),
    row("share: \"33%\"", "share: ⟦\"0%\"⟧", "a share of 0% does nothing"),
    row("\"8\")", "⟦\"0\"⟧)", "with this, `producers.web.salt`: 0 is out of range: 1 to 10000"),
    row(
        "At(\"8m\", Split",
        "At(⟦\"45m\"⟧, Split",
        "\"45m\" is not before the end of the run at \"30m\"",
    ),
    row(
        "\"RecordMaxBufferedTime\": \"100ms\"",
        "\"RecordMaxBufferedTime\": ⟦100⟧",
        "expected a duration from \"0s\" to \"1h\", got 100",
    ),
    row(
        "\"throttled_ratio\", \"10%\"",
        "\"throttled_ratio\", ⟦0.1⟧",
        "expected a share such as \"25%\", got 0.1",
    ),
];

#[test]
fn a_value_out_of_range_names_the_range() {
    for row in OUT_OF_RANGE {
        prove(row);
    }
    prove(&advised(
        row(
            "keys: Zipf(prefix: \"user-\", keys: 100000, exponent: 0.8)",
            // 2^128.
            "keys: HashKeys([\"0\", ⟦\"340282366920938463463374607431768211456\"⟧])",
            "`340282366920938463463374607431768211456` is no hash key",
        ),
        "a decimal number below 2^128, in quotes (N-W-2)",
    ));
}

#[test]
fn sizes_that_no_machine_holds_are_refused_with_the_limit_named() {
    // 30 min x 900 M/s = 1.62 x 10^12 records.
    let problems = problems_of(&replaced("\"6000/s\"", "\"900M/s\""));
    let expected = "up to 1620000000000 records are beyond the limit of 100000000000";
    assert_eq!(problems.list[0].message, expected);
    // A factor of a thousand makes 6000/s x 1800 s x 1000 = 1.08 x 10^10: allowed; 10^5 not.
    let fault = |factor: &str| {
        let to = format!("what: RateFactor(producer: \"web\", factor: {factor})");
        problems_of(&replaced(
            "what: HotKey(producer: \"web\", key: \"user-1\", share: \"33%\")",
            &to,
        ))
    };
    assert!(!fault("1000").has_errors());
    assert!(fault("100000").list[0].message.contains("beyond the limit of 100000000000"));
    // 6000/s x 200,000 = 1.2 x 10^9/s.
    let expected =
        "faults raise this to 1200000000 records a second, beyond the limit of 1000000000/s";
    assert!(fault("200000").list.iter().any(|it| it.message == expected));
    // 31 days in cells of 250 ms x 10,000 shards = 1.07 x 10^11 clumps.
    let text = replaced("shards: 10", "shards: 10000").replacen("\"30m\"", "\"31d\"", 1);
    let message = &problems_of(&text).list[0].message;
    assert_eq!(message, "107136000000 clumps times shards are beyond the limit of 1000000000");
}

/// A clump of 10^6 records of 1 MiB is 2^20 * 10^6 B, below 2^40; one of 2 * 10^6 is beyond it.
#[test]
fn more_data_at_one_instant_than_the_limit_is_refused_and_less_is_not() {
    let clump = |rate: &str, size: &str, grid: &str| {
        let text = replaced("\"6000/s\"", rate).replacen("\"1KiB\"", size, 1).replacen(
            "duration: \"30m\"",
            &format!("duration: \"30m\", resolution: {grid}"),
            1,
        );
        problems_of(&text)
    };
    for (rate, grid) in [("\"1M/s\"", "\"1s\""), ("\"2M/s\"", "\"500ms\"")] {
        let problems = clump(rate, "\"1MiB\"", grid);
        assert!(!problems.has_errors(), "{problems}");
    }
    let message = "2000000 records at once, as the resolution \"1s\" has it, are 2097152000000 bytes, \
                   beyond the limit of 1TiB";
    let problems = clump("\"2M/s\"", "\"1MiB\"", "\"1s\"");
    assert_eq!(problems.list[0].message, message);
    // The mean of 100 B to 1 MiB is 524,338 B: 3M of them are 1.57e12 B.
    let sizes = "Uniform(min: \"100B\", max: \"1MiB\")";
    assert!(!clump("\"2M/s\"", sizes, "\"1s\"").has_errors());
    assert!(clump("\"3M/s\"", sizes, "\"1s\"").has_errors());
}

#[test]
fn what_is_no_scenario_at_all_is_said_plainly() {
    let first = |text: &str| problems_of(text).list[0].message.clone();
    assert_eq!(first(""), "the file is empty");
    assert_eq!(first(" \n\t\n"), "the file is empty");
    assert_eq!(first("// only a comment"), "the file holds no scenario");
    assert_eq!(first("\u{7f}ELF\0\0"), "the file is binary, not a scenario");
    assert!(first(&"[".repeat(500)).starts_with("nested deeper than 64"));
    let large = format!("{GOOD}// {}", "x".repeat(1 << 20));
    let message = format!("the file has {} bytes, which is beyond the limit of 1MiB", large.len());
    assert_eq!(first(&large), message);
    let bytes = load_bytes("bad.ron", b"Scenario(\xff)", &[], &|_| Err(String::new()));
    assert_eq!(bytes.unwrap_err().list[0].message, "the file is not UTF-8 text from byte 9");
    let cut = &GOOD[..GOOD.find("consumers").unwrap()];
    assert!(first(cut).starts_with("the file ends before this is closed by `)`"));
    assert_eq!(first("Szenario(title: \"x\")"), "expected `Scenario(..)`, got `Szenario`");
}

#[test]
fn all_problems_come_at_once_in_the_order_of_the_file() {
    let text = GOOD
        .replacen("duration: \"30m\"", "duration: 30", 1)
        .replacen("instances: 4", "instances: many", 1)
        .replacen("workers: 5", "wrokers: 5", 1)
        .replacen("share: \"33%\"", "share: 33", 1)
        .replacen("SplitHottestShard(\"clicks\")", "SplitHottestShard(\"clix\")", 1)
        .replacen("\"throttled_ratio\", \"10%\"", "\"throttled_ratio\", 10", 1);
    let problems = problems_of(&text);
    let paths: Vec<_> = problems.list.iter().map(|it| it.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "duration",
            "producers.web.instances",
            "consumers.profiles.wrokers",
            "timeline[0].what.share",
            "mitigations.split the hot shard at +3m[0][1]",
            "expect[0][2]",
        ],
        "{problems}"
    );
}

#[test]
fn a_field_that_every_scenario_has_may_be_wrong_without_hiding_the_rest() {
    for (from, to) in [
        ("title: ", "titel: "),
        ("duration: \"30m\",", ""),
        ("duration: \"30m\"", "duration: 30"),
        ("systems: {", "sistems: {"),
        ("producers: {", "producers: 7, timeline: [], mitigations: {"),
    ] {
        let text = replaced(from, to).replacen("service_time: \"300us\"", "service_time: 300", 1);
        let text = text.replacen("\"throttled_ratio\", \"10%\"", "\"throttled_ratio\", 10", 1);
        let problems = problems_of(&text);
        let last = problems.list.last().map(|it| it.path.as_str());
        assert!(problems.list.len() >= 3, "{to}: {problems}");
        if from != "producers: {" {
            assert_eq!(problems.list.len(), 3, "{to}: {problems}");
            assert_eq!(last, Some("expect[0][2]"), "{to}: {problems}");
        }
    }
}

#[test]
fn a_problem_of_the_command_line_points_at_the_command_line() {
    for (path, value, marked, message) in [
        ("producers.web.slat", "8", "producers.web.slat", "`producers.web` has no `slat`"),
        ("producers.web.salt", "0", "0", "`producers.web.salt`: 0 is out of range: 1 to 10000"),
        (
            "producers.web.to",
            "nowhere",
            "nowhere",
            "`producers.web.to`: there is no system `nowhere`",
        ),
    ] {
        let sets = [(path.to_owned(), value.to_owned())];
        let problems = load("good.ron", GOOD, &sets, &|_| Err(String::new())).unwrap_err();
        let problem = &problems.list[0];
        let Origin::Set(text) = &problem.origin else {
            panic!("{problems}");
        };
        assert_eq!(*text, format!("{path}={value}"));
        assert_eq!(&text[problem.span.clone().unwrap()], marked);
        assert_eq!(problem.message, message);
        assert!(problems.to_string().contains("--> --set:1:"), "{problems}");
    }
}

#[test]
fn a_change_on_the_command_line_may_mend_a_file() {
    let text = replaced("to: \"clicks\"", "to: \"click\"");
    let sets = [("producers.web.to".to_owned(), "clicks".to_owned())];
    assert!(load("bad.ron", &text, &sets, &|_| Err(String::new())).is_ok());
}

#[test]
fn what_is_only_odd_is_a_warning() {
    for (from, to, message) in [
        (
            "\"RecordMaxBufferedTime\": \"100ms\"",
            "\"LogLevel\": \"info\"",
            "`LogLevel` is not modelled: it has no effect here",
        ),
        (
            "sink: \"profile-store\"",
            "config: {\"idleTimeBetweenReadsInMillis\": 1000}, sink: \"profile-store\"",
            "`idleTimeBetweenReadsInMillis` has no effect with fan-out",
        ),
        (
            "version: \"3\"",
            "version: \"2\", config: {\"isGracefulLeaseHandoffEnabled\": true}",
            "`isGracefulLeaseHandoffEnabled` has no effect in this KCL version",
        ),
        (
            "version: \"3\"",
            "version: \"3\", config: {\"maxLeasesForWorker\": 1}",
            "all workers together take 5 leases of 10 shards",
        ),
        (", sink: \"profile-store\"", "", "no consumer has `profile-store` as its sink"),
        ("for: \"15m\"", "for: \"26m\"", "this lasts beyond the end of the run at \"30m\""),
    ] {
        let problems = problems_of(&replaced(from, to));
        assert!(!problems.has_errors(), "{problems}");
        assert_eq!(problems.list[0].message, message, "{problems}");
    }
}

#[test]
fn leases_are_of_shards_that_are_there_each_once_and_held_by_workers_that_are_there() {
    for row in [
        row(
            "workers: 5",
            "workers: 5, leases: [[0, ⟦10⟧]]",
            "there is no shard 10: there are 10, from 0",
        ),
        row(
            "workers: 5",
            "workers: 5, leases: [[0], [1, ⟦0⟧]]",
            "the lease of shard 0 is given twice",
        ),
        advised(
            row(
                "workers: 5",
                "workers: 2, leases: [[0], [1], ⟦[2]⟧]",
                "there is no worker 2: there are 2, from 0",
            ),
            "set `workers: 3`",
        ),
        row(
            "workers: 5",
            "workers: 5, config: {\"maxLeasesForWorker\": 2}, leases: [⟦[0, 1, 2]⟧]",
            "3 leases are more than maxLeasesForWorker",
        ),
        advised(
            row(
                "workers: 5",
                "workers: 5, begins: \"5m\", ⟦leases⟧: [[0]]",
                "nobody holds a lease before the workers start",
            ),
            "leave `leases` or `begins` out",
        ),
        row("workers: 5", "workers: 5, begins: ⟦\"31m\"⟧", "31m is out of range: 0s to 30m"),
    ] {
        prove(&row);
    }
}

#[test]
fn a_history_is_no_larger_than_what_retention_and_shards_have_left() {
    let stream = "retention: \"24h\"";
    for row in [
        advised(
            row(
                stream,
                "retention: \"24h\", history: (bytes: \"1GiB\", age: ⟦\"25h\"⟧)",
                "retention \"24h\" has taken what is older",
            ),
            "lower `age`, or raise `retention`",
        ),
        // Ten shards take 10 MiB a second: 36,000 MiB in an hour are 35.15625 GiB.
        advised(
            row(
                stream,
                "retention: \"24h\", history: (bytes: ⟦\"36GiB\"⟧, age: \"1h\")",
                "10 shards take no more than 36000MiB in \"1h\", 1 MiB/s each",
            ),
            "lower `bytes`, or raise `age` or the shards",
        ),
        row(
            stream,
            "retention: \"24h\", history: (bytes: ⟦\"0B\"⟧, age: \"1h\")",
            "0B is out of range: 1B to 1TiB",
        ),
        row(
            stream,
            "retention: \"24h\", history: (bytes: \"1GiB\", age: ⟦\"0s\"⟧)",
            "0s is out of range: 1s to 10000h",
        ),
        advised(
            row(
                "workers: 5",
                "workers: 5, lag: ⟦\"1h\"⟧",
                "nothing is there before the run begins",
            ),
            "add a `history`",
        ),
    ] {
        prove(&row);
    }
    let with = "retention: \"24h\", history: (bytes: \"1GiB\", age: \"1h\")";
    let text = replaced(stream, with).replace("workers: 5", "workers: 5, lag: \"61m\"");
    let problems = problems_of(&text);
    assert_eq!(problems.list.len(), 1, "{problems}");
    assert_eq!(problems.list[0].message, "the history reaches back no more than \"1h\"");
    let within = replaced(stream, with).replace("workers: 5", "workers: 5, lag: \"1h\"");
    assert!(problems_of(&within).list.is_empty());
}
