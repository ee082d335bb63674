//! What a report is made of.

use std::collections::BTreeMap;

use sim_core::result::{RunResult, Value};

use crate::seeds::{Seeds, Spread};

/// Everything that the files and the table of one scenario are drawn from.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// The scenario's name: its file's stem, and the name of the output directory.
    pub scenario: &'a str,
    /// The scenario's title, for people.
    pub title: &'a str,
    /// The seed of the runs shown.
    pub seed: u64,
    /// All seeds that the expectations were judged on: first and last.
    pub seeds: (u64, u64),
    /// What all seeds measured, if there are several.
    pub spread: Option<&'a Seeds>,
    /// Simulated seconds.
    pub duration_s: f64,
    /// The grid on which records arrive, in milliseconds; 0 is record by record.
    pub resolution_ms: u64,
    /// The runs, baseline first.
    pub runs: &'a [RunResult],
    /// What the scenario expects, and what was measured.
    pub expectations: &'a [ExpectationRow],
    /// Whether to add a PNG beside each SVG; needs the feature `png`.
    pub png: bool,
    /// What the runs were made from, for the manifest.
    pub provenance: Provenance<'a>,
}

/// What the runs were made from: enough to make them again.
#[derive(Clone, Copy, Debug)]
pub struct Provenance<'a> {
    /// Version of streamsim.
    pub version: &'a str,
    /// Hash of the model's sources (decision D-20).
    pub model_hash: &'a str,
    /// The scenario file as it was read.
    pub scenario_source: &'a str,
    /// Changes from outside the file, as (path, value) in the order given.
    pub sets: &'a [(String, String)],
    /// Names of the runs that were asked for; empty for all.
    pub only: &'a [String],
    /// Other files that the scenario names, by the name it gives them.
    pub inputs: &'a BTreeMap<String, String>,
    /// The scenario with every default filled in.
    pub effective: &'a serde_json::Value,
}

/// One expectation of the scenario, checked against one run.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpectationRow {
    /// The run it speaks of.
    pub run: String,
    /// A summary name, or a qualified one: `producers.web.throttled_ratio`.
    pub metric: String,
    /// What it is compared with.
    pub bound: Bound,
    /// The run whose value is the bound, if it is another run's.
    pub than: Option<String>,
    /// What the run did.
    pub measured: Value,
    /// The outcome.
    pub verdict: Verdict,
    /// What the other seeds say, if there are several.
    pub over_seeds: Option<OverSeeds>,
}

/// An expectation on several seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OverSeeds {
    /// On so many it was met.
    pub met: usize,
    /// So many there are.
    pub of: usize,
    /// What they measured.
    pub measured: Spread,
}

/// What an expectation compares with; all comparisons are strict (decision D-6). Infinite if
/// another run's value is never.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// Greater than this.
    Above(f64),
    /// Less than this.
    Below(f64),
    /// Greater than the first and less than the second.
    Between(f64, f64),
}

/// The outcome of an expectation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As expected.
    Pass,
    /// Otherwise than expected.
    Fail,
    /// The seeds disagree.
    Inconclusive,
}

impl Verdict {
    /// The word in `summary.json`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// A file of the report, not yet written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputFile {
    /// Path inside the output directory, parts joined with `/`.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

impl OutputFile {
    /// A file of that name and content.
    #[must_use]
    pub fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), bytes: bytes.into() }
    }
}
