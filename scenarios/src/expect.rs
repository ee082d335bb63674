//! Claims about runs (decision D-6): reading their bounds, and judging them.
//!
//! All comparisons are strict. A bound carries the unit of its metric: `"25%"`, `"60s"`, `"150ms"`,
//! `"10MiB"`, `"$12.50"`; counts are bare. What never happened (a null time) is infinite, and
//! `"never"` is a bound as well.

use std::collections::BTreeMap;

use sim_core::metrics::catalogue::{self, METRICS, Metric, Unit};
use sim_core::result::{RunResult, Summary, Value};

use crate::check::{Finding, MAX_CLAIMS, Names};
use crate::diagnostics::Severity;
use crate::nearest;
use crate::path::{Path, root};
use crate::schema::{Claim, ConfigValue, Scenario};
use crate::units::{Bytes, Dur, Quantity, percent_of_text, shortened};

/// Whether a claim holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It does.
    Pass,
    /// It does not, or the metric was not measured.
    Fail,
    /// A run that it is about was left out.
    Skipped,
}

/// What a measured value is held against, in the unit that ends the metric's name; infinite for
/// never.
#[derive(Clone, Debug, PartialEq)]
pub enum Bound {
    /// measured > bound
    Above(f64),
    /// measured < bound
    Below(f64),
    /// low < measured < high
    Between(f64, f64),
    /// measured > what that other run measured
    Higher(String, Option<Value>),
    /// measured < what that other run measured
    Lower(String, Option<Value>),
}

impl Bound {
    fn holds(&self, measured: f64) -> bool {
        match self {
            Self::Above(bound) => measured > *bound,
            Self::Below(bound) => measured < *bound,
            Self::Between(low, high) => measured > *low && measured < *high,
            Self::Higher(_, than) => than.is_some_and(|it| measured > it.as_f64()),
            Self::Lower(_, than) => than.is_some_and(|it| measured < it.as_f64()),
        }
    }
}

/// A judged claim.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// `baseline`, or a mitigation.
    pub run: String,
    /// As in the claim: `throttled_ratio`, `producers.web.throttled_ratio`.
    pub metric: String,
    /// What it is held against.
    pub bound: Bound,
    /// What was measured; `None` if it was not.
    pub measured: Option<Value>,
    /// The judgement.
    pub verdict: Verdict,
}

/// A metric of a run: of the whole, or of one member.
struct MetricPath<'t> {
    member: Option<(&'t str, &'t str)>,
    metric: &'t str,
}

impl<'t> MetricPath<'t> {
    fn read(text: &'t str) -> Option<Self> {
        let parts: Vec<_> = text.split('.').collect();
        match parts.as_slice() {
            [metric] => Some(Self { member: None, metric }),
            [section, name, metric] => Some(Self { member: Some((section, name)), metric }),
            _ => None,
        }
    }

    fn summary<'r>(&self, run: &'r RunResult) -> Option<&'r Summary> {
        let of = |members: &'r BTreeMap<String, Summary>, name: &str| members.get(name);
        match self.member {
            None => Some(&run.summary),
            Some(("producers", name)) => of(&run.producers, name),
            Some(("systems", name)) => of(&run.systems, name),
            Some(("consumers", name)) => of(&run.consumers, name),
            Some(_) => None,
        }
    }
}

/// Reads a bound in the unit of its metric.
///
/// # Errors
/// What the unit looks like.
pub fn read_bound(unit: Unit, bound: &ConfigValue) -> Result<f64, String> {
    if bound.as_text() == Some("never")
        && matches!(unit, Unit::Seconds | Unit::PartitionSeconds | Unit::Millis)
    {
        return Ok(f64::INFINITY);
    }
    let text = bound.as_text();
    let time = || text.and_then(|it| Dur::read(it).ok()).map(|it| as_f64(it.0));
    let value = match unit {
        Unit::Count => bound.as_count().map(as_f64),
        Unit::Ratio => text
            .and_then(percent_of_text)
            .and_then(|millionths| u64::try_from(millionths).ok())
            .map(|millionths| as_f64(millionths) / 1e6),
        Unit::Seconds | Unit::PartitionSeconds => time().map(|nanos| nanos / 1e9),
        Unit::Millis => time().map(|nanos| nanos / 1e6),
        Unit::Bytes => text.and_then(|it| Bytes::read(it).ok()).map(|it| as_f64(it.0)),
        Unit::Usd => text
            .and_then(|it| it.strip_prefix('$'))
            .filter(|it| it.bytes().all(|b| b.is_ascii_digit() || b == b'.'))
            .and_then(|it| it.parse().ok()),
    };
    value.ok_or_else(|| {
        let example = match unit {
            Unit::Count => "a bare count such as 100",
            Unit::Ratio => "a share such as \"25%\"",
            Unit::Seconds | Unit::PartitionSeconds => "a duration such as \"60s\", or \"never\"",
            Unit::Millis => "a duration such as \"150ms\", or \"never\"",
            Unit::Bytes => "a size such as \"10MiB\"",
            Unit::Usd => "an amount such as \"$12.50\"",
        };
        format!("expected {example}, got {bound}")
    })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "compared with measured values that are doubles already"
)]
fn as_f64(number: u64) -> f64 {
    number as f64
}

/// Checks all claims of a scenario: their runs, metrics, members and bounds.
pub(crate) fn check(scenario: &Scenario, names: &Names) -> Vec<Finding> {
    let mut findings = Vec::new();
    let count = scenario.expect.len();
    if count > MAX_CLAIMS {
        let message = format!("{count} claims are beyond the limit of {MAX_CLAIMS}");
        findings.push(finding(root("expect"), message, None));
        return findings;
    }
    for (index, claim) in scenario.expect.iter().enumerate() {
        check_claim(&root("expect").index(index), claim, names, &mut findings);
    }
    findings
}

fn finding(path: Path, message: String, help: Option<String>) -> Finding {
    Finding { path, message, help, severity: Severity::Error }
}

fn check_claim(path: &Path, claim: &Claim, names: &Names, findings: &mut Vec<Finding>) {
    let (run, metric) = claim.subject();
    check_run(path.index(0), run, names, findings);
    if let Some(than) = claim.than() {
        check_run(path.index(2), than, names, findings);
        if than == run {
            let message = "this compares a run with itself".to_owned();
            findings.push(finding(path.index(2), message, None));
        }
    }
    let Some(metric) = check_metric(path.index(1), metric, names, findings) else {
        return;
    };
    let mut bounds = Vec::new();
    for (place, bound) in (2..).zip(claim.bounds()) {
        match read_bound(metric.unit, bound) {
            Ok(bound) => bounds.push(bound),
            Err(message) => findings.push(finding(path.index(place), message, None)),
        }
    }
    if let [low, high] = bounds.as_slice()
        && low >= high
    {
        let message = "nothing is between these bounds: the first must be less".to_owned();
        findings.push(finding(path.index(3), message, None));
    }
}

fn check_run(path: Path, run: &str, names: &Names, findings: &mut Vec<Finding>) {
    if !names.runs.has(run) {
        let help = nearest::help(run, names.runs.iter());
        findings.push(finding(path, format!("there is no run `{}`", shortened(run)), help));
    }
}

fn check_metric(
    path: Path,
    text: &str,
    names: &Names,
    findings: &mut Vec<Finding>,
) -> Option<&'static Metric> {
    let Some(read) = MetricPath::read(text) else {
        let help = "write `lag_seconds_max`, or `consumers.NAME.lag_seconds_max`";
        let message = format!("`{}` is no metric", shortened(text));
        findings.push(finding(path, message, Some(help.to_owned())));
        return None;
    };
    if let Some((section, name)) = read.member {
        let members = match section {
            "producers" => &names.producers,
            "systems" => &names.systems,
            "consumers" => &names.consumers,
            _ => {
                let help =
                    nearest::help(section, ["producers", "systems", "consumers"].into_iter());
                let message = format!("metrics have no section `{}`", shortened(section));
                findings.push(finding(path, message, help));
                return None;
            }
        };
        if !members.has(name) {
            let help = nearest::help(name, members.iter());
            let message = format!("there is no `{}` in {section}", shortened(name));
            findings.push(finding(path.clone(), message, help));
        }
    }
    let metric = catalogue::find(read.metric);
    if metric.is_none() {
        let help = nearest::nearest(read.metric, METRICS.iter().map(|it| it.name));
        let help = help.map(|it| format!("did you mean `{it}`?"));
        let message = format!("there is no metric `{}`", shortened(read.metric));
        findings.push(finding(path, message, help));
    }
    metric
}

/// Judges all claims of a scenario on the results of its runs.
#[must_use]
pub fn evaluate(scenario: &Scenario, results: &[RunResult]) -> Vec<Outcome> {
    let claims = scenario.expect.iter();
    claims.map(|claim| judge(claim, results)).collect()
}

fn judge(claim: &Claim, results: &[RunResult]) -> Outcome {
    let (run, metric) = claim.subject();
    let result_of = |name: &str| results.iter().find(|it| it.name == name);
    let measured_in = |name: &str| {
        let path = MetricPath::read(metric)?;
        path.summary(result_of(name)?)?.get(path.metric).copied()
    };
    let unit = MetricPath::read(metric)
        .and_then(|it| catalogue::find(it.metric))
        .map_or(Unit::Count, |it| it.unit);
    // A claim that was checked has bounds that read; one that was not fails.
    let number = |bound| read_bound(unit, bound).unwrap_or(f64::NAN);
    let bound = match claim {
        Claim::Above(_, _, bound) => Bound::Above(number(bound)),
        Claim::Below(_, _, bound) => Bound::Below(number(bound)),
        Claim::Between(_, _, low, high) => Bound::Between(number(low), number(high)),
        Claim::Higher(_, _, than) => Bound::Higher(than.clone(), measured_in(than)),
        Claim::Lower(_, _, than) => Bound::Lower(than.clone(), measured_in(than)),
    };
    let left_out =
        [Some(run), claim.than()].into_iter().flatten().any(|it| result_of(it).is_none());
    let measured = measured_in(run);
    let verdict = match measured {
        _ if left_out => Verdict::Skipped,
        Some(measured) if bound.holds(measured.as_f64()) => Verdict::Pass,
        Some(_) | None => Verdict::Fail,
    };
    Outcome { run: run.to_owned(), metric: metric.to_owned(), bound, measured, verdict }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(name: &str, metric: &str, value: Value) -> RunResult {
        RunResult {
            name: name.to_owned(),
            summary: Summary::from([(metric.to_owned(), value)]),
            ..RunResult::default()
        }
    }

    fn claims(text: &str) -> Vec<Claim> {
        crate::source::options().from_str(text).unwrap()
    }

    fn verdicts(claims_text: &str, results: &[RunResult]) -> Vec<Verdict> {
        let claims = claims(claims_text);
        claims.iter().map(|it| judge(it, results).verdict).collect()
    }

    use Verdict::{Fail, Pass, Skipped};

    #[test]
    fn comparisons_are_strict() {
        let results = [run("baseline", "throttled_ratio", Value::Number(0.25))];
        let text = r#"[
            Above("baseline", "throttled_ratio", "24.9%"),
            Above("baseline", "throttled_ratio", "25%"),
            Below("baseline", "throttled_ratio", "25%"),
            Between("baseline", "throttled_ratio", "20%", "30%"),
            Between("baseline", "throttled_ratio", "25%", "30%"),
        ]"#;
        assert_eq!(verdicts(text, &results), [Pass, Fail, Fail, Pass, Fail]);
    }

    #[test]
    fn what_never_happened_is_infinite() {
        let results = [run("baseline", "lag_recovery_s", Value::Never)];
        let text = r#"[
            Above("baseline", "lag_recovery_s", "1h"),
            Below("baseline", "lag_recovery_s", "1h"),
            Below("baseline", "lag_recovery_s", "never"),
        ]"#;
        assert_eq!(verdicts(text, &results), [Pass, Fail, Fail]);
        let results = [run("baseline", "lag_recovery_s", Value::Number(59.0))];
        assert_eq!(verdicts(text, &results), [Fail, Pass, Pass]);
    }

    #[test]
    fn a_run_is_compared_with_another_and_skipped_if_one_was_left_out() {
        let text = r#"[
            Lower("salt", "records_lost", "baseline"),
            Higher("salt", "records_lost", "baseline"),
        ]"#;
        let both = [
            run("baseline", "records_lost", Value::Count(5)),
            run("salt", "records_lost", Value::Count(4)),
        ];
        assert_eq!(verdicts(text, &both), [Pass, Fail]);
        assert_eq!(verdicts(text, &both[1..]), [Skipped, Skipped]);
    }

    #[test]
    fn a_metric_that_was_not_measured_fails() {
        let results = [run("baseline", "records_lost", Value::Count(5))];
        let text = r#"[Below("baseline", "records_refused", 5)]"#;
        assert_eq!(verdicts(text, &results), [Fail]);
    }

    #[test]
    fn a_member_is_addressed_by_section_and_name() {
        let mut result = run("baseline", "records_lost", Value::Count(5));
        let of_web = Summary::from([("records_lost".to_owned(), Value::Count(7))]);
        result.producers.insert("web".to_owned(), of_web);
        let text = r#"[Above("baseline", "producers.web.records_lost", 6)]"#;
        let outcome = judge(&claims(text)[0], &[result]);
        assert_eq!(outcome.measured, Some(Value::Count(7)));
        assert_eq!(outcome.bound, Bound::Above(6.0));
        assert_eq!(outcome.verdict, Pass);
    }

    #[test]
    fn a_bound_is_read_in_the_unit_of_its_metric() {
        let text = |text: &str| ConfigValue::Text(text.to_owned());
        assert_eq!(read_bound(Unit::Ratio, &text("25%")), Ok(0.25));
        assert_eq!(read_bound(Unit::Seconds, &text("1m30s")), Ok(90.0));
        assert_eq!(read_bound(Unit::Millis, &text("1m")), Ok(60_000.0));
        assert_eq!(read_bound(Unit::Bytes, &text("1KiB")), Ok(1_024.0));
        assert_eq!(read_bound(Unit::Usd, &text("$12.50")), Ok(12.5));
        assert_eq!(read_bound(Unit::Count, &ConfigValue::Whole(7)), Ok(7.0));
        assert_eq!(read_bound(Unit::Millis, &text("never")), Ok(f64::INFINITY));
        for (unit, bound) in [
            (Unit::Count, text("7")),
            (Unit::Count, ConfigValue::Whole(-1)),
            (Unit::Count, text("never")),
            (Unit::Ratio, ConfigValue::Real(0.25)),
            (Unit::Seconds, ConfigValue::Whole(60)),
            (Unit::Usd, text("12.50")),
            (Unit::Usd, text("$-1")),
            (Unit::Usd, text("$inf")),
        ] {
            assert!(read_bound(unit, &bound).is_err(), "{bound}");
        }
    }
}
