//! `summary.json`, and what `--json` prints: every metric of every run, and the expectations.
//!
//! Metrics come in the catalogue's order. A count is an integer; never, and what is not a finite
//! number, is `null`.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use serde::ser::{Serialize, SerializeMap, Serializer};
use sim_core::metrics::catalogue::METRICS;
use sim_core::result::{BlameMap, RunResult, Summary, Value};

use crate::report::{Bound, ExpectationRow, OverSeeds, Report};
use crate::seeds::{Seeds, Spread};

/// The version of the document's shape.
pub const SCHEMA: u32 = 1;

/// The document, ending in a newline.
pub fn document(report: &Report<'_>) -> Result<String, serde_json::Error> {
    let document = Document {
        schema: SCHEMA,
        scenario: report.scenario,
        seed: report.seed,
        duration_s: Number(report.duration_s),
        resolution_ms: report.resolution_ms,
        runs: report.runs.iter().map(Run::of).collect(),
        expectations: report.expectations.iter().map(Expectation::of).collect(),
        seeds: report.spread.map(|it| SeedsJson::of(report.seeds, it)),
    };
    let mut text = serde_json::to_string_pretty(&document)?;
    text.push('\n');
    Ok(text)
}

#[derive(serde::Serialize)]
struct Document<'a> {
    schema: u32,
    scenario: &'a str,
    seed: u64,
    duration_s: Number,
    resolution_ms: u64,
    runs: Vec<Run<'a>>,
    expectations: Vec<Expectation<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seeds: Option<SeedsJson<'a>>,
}

/// What all seeds measured: run, metric, spread.
#[derive(serde::Serialize)]
struct SeedsJson<'a> {
    first: u64,
    last: u64,
    metrics: Spreads<'a>,
}

impl<'a> SeedsJson<'a> {
    fn of((first, last): (u64, u64), seeds: &'a Seeds) -> Self {
        let metrics = Spreads(seeds);
        Self { first, last, metrics }
    }
}

struct Spreads<'a>(&'a Seeds);

impl Serialize for Spreads<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.metrics().map(|(run, it)| (run, SpreadsOfRun(it))))
    }
}

struct SpreadsOfRun<'a>(BTreeMap<&'a str, Spread>);

impl Serialize for SpreadsOfRun<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let spreads = in_order(&self.0).map(|(name, it)| (name, SpreadJson::of(it)));
        serializer.collect_map(spreads)
    }
}

#[derive(serde::Serialize)]
struct SpreadJson {
    min: Measured,
    median: Measured,
    max: Measured,
}

impl SpreadJson {
    fn of(spread: Spread) -> Self {
        Self {
            min: Measured(spread.min),
            median: Measured(spread.median),
            max: Measured(spread.max),
        }
    }
}

#[derive(serde::Serialize)]
struct Run<'a> {
    name: &'a str,
    summary: Metrics<'a>,
    blame: Blame<'a>,
    blame_total: Blame<'a>,
    systems: Members<'a>,
    producers: Members<'a>,
    consumers: Members<'a>,
}

impl<'a> Run<'a> {
    fn of(run: &'a RunResult) -> Self {
        Self {
            name: &run.name,
            summary: Metrics(&run.summary),
            blame: Blame(&run.blame),
            blame_total: Blame(&run.blame_total),
            systems: Members(&run.systems),
            producers: Members(&run.producers),
            consumers: Members(&run.consumers),
        }
    }
}

#[derive(serde::Serialize)]
struct Expectation<'a> {
    run: &'a str,
    metric: &'a str,
    op: &'static str,
    bound: BoundJson,
    #[serde(skip_serializing_if = "Option::is_none")]
    than: Option<&'a str>,
    measured: Measured,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    over_seeds: Option<OverSeedsJson>,
}

#[derive(serde::Serialize)]
struct OverSeedsJson {
    met: usize,
    of: usize,
    measured: SpreadJson,
}

impl OverSeedsJson {
    fn of(over: OverSeeds) -> Self {
        Self { met: over.met, of: over.of, measured: SpreadJson::of(over.measured) }
    }
}

impl<'a> Expectation<'a> {
    fn of(row: &'a ExpectationRow) -> Self {
        let one = |bound| BoundJson::One(Number(bound));
        let (op, bound) = match (row.bound, &row.than) {
            (Bound::Above(bound), None) => ("above", one(bound)),
            (Bound::Above(bound), Some(_)) => ("higher", one(bound)),
            (Bound::Below(bound), None) => ("below", one(bound)),
            (Bound::Below(bound), Some(_)) => ("lower", one(bound)),
            (Bound::Between(low, high), _) => {
                ("between", BoundJson::Range([Number(low), Number(high)]))
            }
        };
        Self {
            run: &row.run,
            metric: &row.metric,
            op,
            bound,
            than: row.than.as_deref(),
            measured: Measured(row.measured),
            verdict: row.verdict.as_str(),
            over_seeds: row.over_seeds.map(OverSeedsJson::of),
        }
    }
}

#[derive(serde::Serialize)]
#[serde(untagged)]
enum BoundJson {
    One(Number),
    Range([Number; 2]),
}

/// A number that JSON can hold: `null` if it is not finite, and no negative zero.
#[derive(Clone, Copy)]
struct Number(f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_finite() {
            serializer.serialize_f64(self.0 + 0.0)
        } else {
            serializer.serialize_none()
        }
    }
}

struct Measured(Value);

impl Serialize for Measured {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Count(count) => serializer.serialize_u64(count),
            Value::Number(number) => Number(number).serialize(serializer),
            Value::Never => serializer.serialize_none(),
        }
    }
}

/// The metrics of a summary in the catalogue's order, then those that it does not know by name.
pub(crate) fn in_order<K: Borrow<str> + Ord, V: Copy>(
    summary: &BTreeMap<K, V>,
) -> impl Iterator<Item = (&str, V)> {
    let known = METRICS.iter().filter_map(|metric| Some((metric.name, *summary.get(metric.name)?)));
    let unknown = summary
        .iter()
        .map(|(name, value)| (name.borrow(), *value))
        .filter(|(name, _)| METRICS.iter().all(|metric| metric.name != *name));
    known.chain(unknown)
}

struct Metrics<'a>(&'a Summary);

impl Serialize for Metrics<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in in_order(self.0) {
            map.serialize_entry(name, &Measured(value))?;
        }
        map.end()
    }
}

struct Members<'a>(&'a BTreeMap<String, Summary>);

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, it)| (name, Metrics(it))))
    }
}

struct Blame<'a>(&'a BTreeMap<String, BlameMap>);

impl Serialize for Blame<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, it)| (name, Causes(it))))
    }
}

struct Causes<'a>(&'a BlameMap);

impl Serialize for Causes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(cause, it)| (cause, Number(*it))))
    }
}
