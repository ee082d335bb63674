//! What a run leaves behind: plain data. Reports, tables and files are drawn from this alone.

use std::collections::BTreeMap;

use crate::engine::SimTime;

/// A measured value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// A count of things.
    Count(u64),
    /// A quantity in the unit that ends the metric's name.
    Number(f64),
    /// It never happened: `null` in JSON, infinite in comparisons (decision D-6).
    Never,
}

impl Value {
    /// As a number; never is infinite.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "for comparison and display only")]
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Count(n) => n as f64,
            Self::Number(x) => x,
            Self::Never => f64::INFINITY,
        }
    }
}

/// Values by metric name (see [`crate::metrics::catalogue`]).
pub type Summary = BTreeMap<String, Value>;

/// Seconds (or record-seconds) by cause, in the words of decision D-19.
pub type BlameMap = BTreeMap<String, f64>;

/// One whole run of one scenario variant.
#[derive(Clone, Debug, Default)]
pub struct RunResult {
    /// `baseline`, or the name of the mitigation.
    pub name: String,
    /// The whole run, all members together.
    pub summary: Summary,
    /// The same metrics for each producer, by name.
    pub producers: BTreeMap<String, Summary>,
    /// The same metrics for each stream or cluster, by name.
    pub systems: BTreeMap<String, Summary>,
    /// The same metrics for each consumer, by name.
    pub consumers: BTreeMap<String, Summary>,
    /// By consumer: what the delivery of the greatest age waited for, in seconds.
    pub blame: BTreeMap<String, BlameMap>,
    /// By consumer: the same over all deliveries, in record-seconds.
    pub blame_total: BTreeMap<String, BlameMap>,
    /// Time series at one fixed step, all of the same length.
    pub series: Vec<Series>,
    /// The step of the series, in seconds.
    pub series_step_s: f64,
    /// What happened when, in order.
    pub events: Vec<EventRecord>,
    /// Faults and operator actions as planned.
    pub marks: Vec<Mark>,
    /// Things that the user should know: a fault that never bit, an action that was refused.
    pub warnings: Vec<String>,
    /// Events popped from the queue.
    pub events_processed: u64,
}

/// How a series is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeriesKind {
    /// A level: the value at the end of each step, with the extremes inside it.
    Gauge,
    /// A flow: what happened inside each step, per second.
    Rate,
}

/// One time series.
#[derive(Clone, Debug)]
pub struct Series {
    /// Full name: `consumers.profiles.lag_records`, `producers.web.records_offered_per_s`.
    pub name: String,
    /// `records`, `s`, `records/s`, `shards`, `B/s`.
    pub unit: &'static str,
    /// Level or flow.
    pub kind: SeriesKind,
    /// Entry i covers (i·step, (i+1)·step].
    pub points: Vec<Point>,
}

/// One step of a series. For a rate all three are equal unless finer samples were taken.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point {
    /// Value at the end of the step (gauge) or mean over it (rate).
    pub value: f64,
    /// Least value inside the step.
    pub min: f64,
    /// Greatest value inside the step.
    pub max: f64,
}

/// A thing that happened and that a person reading the incident would want to see.
#[derive(Clone, Debug)]
pub struct EventRecord {
    /// When.
    pub at: SimTime,
    /// Machine-readable kind in snake case: `fault_started`, `shard_split`, `lease_taken`.
    pub kind: &'static str,
    /// What it happened to: `streams.clicks/shardId-000000000003`, `consumers.profiles/worker-2`.
    pub subject: String,
    /// One sentence of detail; may be empty.
    pub detail: String,
    /// Index in [`RunResult::events`] of the event that brought this about, if one did.
    pub cause: Option<u32>,
}

/// Whether a timeline entry is something that breaks or something that an operator does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkKind {
    /// Shaded in charts.
    Fault,
    /// Ticked in charts.
    Action,
}

/// A timeline entry, for shading and ticks.
#[derive(Clone, Debug)]
pub struct Mark {
    /// Fault or operator action.
    pub kind: MarkKind,
    /// A short label: `hot key user-1 (33%)`.
    pub label: String,
    /// When it begins.
    pub from: SimTime,
    /// When it ends, for what lasts.
    pub until: Option<SimTime>,
}
