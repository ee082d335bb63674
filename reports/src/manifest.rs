//! `manifest.json`: what a directory holds and what it was made from. Written last, so that a
//! directory whose files match its manifest is whole.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::report::{OutputFile, Report};

/// The manifest's name in the output directory.
pub const NAME: &str = "manifest.json";

/// The version of the manifest's shape.
pub const SCHEMA: u32 = 1;

const TOOL: &str = "streamsim";

#[derive(Serialize)]
struct Manifest<'a> {
    schema: u32,
    tool: &'static str,
    version: &'a str,
    model_hash: &'a str,
    scenario: &'a str,
    seed: u64,
    seeds: (u64, u64),
    sets: Vec<Set>,
    only: &'a [String],
    files: Vec<Entry>,
    scenario_source: &'a str,
    inputs: &'a BTreeMap<String, String>,
    effective: &'a serde_json::Value,
}

/// A change of the scenario from outside its file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Set {
    /// Where.
    pub path: String,
    /// What, as it was written.
    pub value: String,
}

/// A file as the manifest lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Path inside the directory, parts joined with `/`.
    pub name: String,
    /// Hash of its bytes, as `sha256sum` prints it.
    pub sha256: String,
    /// Its length.
    pub bytes: usize,
}

/// What the manifest of an earlier run tells: enough to know its directory, and to run it again.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Earlier {
    /// `streamsim`; other tools have manifests too.
    pub tool: String,
    /// The scenario that the directory belongs to.
    pub scenario: String,
    /// What it held.
    #[serde(default)]
    pub files: Vec<Entry>,
    /// Version of streamsim that wrote it.
    #[serde(default)]
    pub version: String,
    /// Hash of its model.
    #[serde(default)]
    pub model_hash: String,
    /// First and last seed.
    #[serde(default)]
    pub seeds: (u64, u64),
    /// Changes from the command line.
    #[serde(default)]
    pub sets: Vec<Set>,
    /// Names of the runs that were asked for; empty for all.
    #[serde(default)]
    pub only: Vec<String>,
    /// The scenario file.
    #[serde(default)]
    pub scenario_source: String,
    /// Other files that the scenario names.
    #[serde(default)]
    pub inputs: BTreeMap<String, String>,
}

impl Earlier {
    /// All seeds that were run.
    #[must_use]
    pub fn seeds(&self) -> Vec<u64> {
        (self.seeds.0..=self.seeds.1.max(self.seeds.0)).collect()
    }
}

/// The manifest of those files.
pub fn file(report: &Report<'_>, files: &[OutputFile]) -> Result<OutputFile, serde_json::Error> {
    let mut entries: Vec<Entry> = files.iter().map(entry).collect();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let manifest = Manifest {
        schema: SCHEMA,
        tool: TOOL,
        version: report.provenance.version,
        model_hash: report.provenance.model_hash,
        scenario: report.scenario,
        seed: report.seed,
        seeds: report.seeds,
        sets: report
            .provenance
            .sets
            .iter()
            .map(|(path, value)| Set { path: path.clone(), value: value.clone() })
            .collect(),
        only: report.provenance.only,
        files: entries,
        scenario_source: report.provenance.scenario_source,
        inputs: report.provenance.inputs,
        effective: report.provenance.effective,
    };
    let mut text = serde_json::to_string_pretty(&manifest)?;
    text.push('\n');
    Ok(OutputFile::new(NAME, text))
}

/// The earlier manifest in these bytes, if they are one.
#[must_use]
pub fn parse(bytes: &[u8]) -> Option<Earlier> {
    let earlier: Earlier = serde_json::from_slice(bytes).ok()?;
    (earlier.tool == TOOL).then_some(earlier)
}

/// The hash of a file, as `sha256sum` prints it.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn entry(file: &OutputFile) -> Entry {
    Entry { name: file.name.clone(), sha256: sha256(&file.bytes), bytes: file.bytes.len() }
}
