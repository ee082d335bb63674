//! From a file and the changes of the command line to runs: everything is read, checked and
//! varied, and all problems come at once.
//!
//! A change (`--set`, or a part of a mitigation) is applied and the result checked again; what is
//! new then was caused by that change, and its problem points there (decision D-3).

use std::collections::BTreeMap;
use std::ops::Range;

use sim_core::config::WorldConfig;
use sim_core::engine::SimDuration;
use sim_core::result::RunResult;

use crate::check::{Finding, Names, check};
use crate::diagnostics::{Origin, Problem, Problems, Severity};
use crate::expect::{self, Outcome};
use crate::lower;
use crate::path::{Path, Step, parse_path, root};
use crate::rates::{Profiles, read_csv};
use crate::read::{error, parse};
use crate::schema::{Change, Planned, RateShape, Scenario};
use crate::span::{Kind, Scan};
use crate::tree::{SetError, set};
use crate::units::shortened;

/// Sections of a scenario that a mitigation may not change: all its runs share them.
const SHARED: [&str; 9] = [
    "title",
    "about",
    "duration",
    "seed",
    "resolution",
    "mitigations",
    "expect",
    "folklore",
    "sources",
];
/// Findings of a baseline beyond which its mitigations are not looked at.
const MOST_FINDINGS: usize = 100;
/// Changes that all mitigations together may make.
const MAX_CHANGES: usize = 1_000;

/// Reads a file that a scenario names, by its path as written there (relative to the scenario).
/// An error is a sentence.
pub type ReadFile<'a> = &'a dyn Fn(&str) -> Result<String, String>;

/// One run of a scenario, before a seed is chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Variant {
    /// `baseline`, or the name of the mitigation.
    pub name: String,
    /// The whole scenario of that run.
    pub scenario: Scenario,
}

/// A scenario that can be run.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The stem of the file's name: `hot_key`.
    pub name: String,
    /// The text of the file.
    pub text: String,
    /// Changes from the command line: path and value.
    pub sets: Vec<(String, String)>,
    /// The scenario with those changes.
    pub scenario: Scenario,
    /// The baseline, then each mitigation in the order of the file.
    pub variants: Vec<Variant>,
    /// The arrival grid W of all runs (decision D-8).
    pub resolution: SimDuration,
    /// What does not keep it from running.
    pub warnings: Problems,
    pub(crate) profiles: Profiles,
    pub(crate) scan: Scan,
    /// Paths of `sets` without names of variants.
    pub(crate) set_paths: Vec<Path>,
}

impl Loaded {
    /// What a world is built of, for one of the variants.
    #[must_use]
    pub fn lower(&self, variant: &Variant, seed: u64) -> WorldConfig {
        lower::lower(&variant.scenario, &self.profiles, self.resolution, seed)
    }

    /// The variant of that name.
    #[must_use]
    pub fn variant(&self, name: &str) -> Option<&Variant> {
        self.variants.iter().find(|it| it.name == name)
    }

    /// Judges the claims of the scenario on results of its runs.
    #[must_use]
    pub fn evaluate(&self, results: &[RunResult]) -> Vec<Outcome> {
        expect::evaluate(&self.scenario, results)
    }
}

/// Loads a file that may hold anything.
///
/// # Errors
/// All its problems, if one is an error.
pub fn load_bytes(
    file_name: &str,
    bytes: &[u8],
    sets: &[(String, String)],
    read_file: ReadFile<'_>,
) -> Result<Loaded, Problems> {
    match std::str::from_utf8(bytes) {
        Ok(text) => load(file_name, text, sets, read_file),
        Err(wrong) => {
            let mut problem = error(&Path::default(), 0..0, String::new());
            problem.message =
                format!("the file is not UTF-8 text from byte {}", wrong.valid_up_to());
            problem.span = None;
            Err(Problems::new(file_name, "", vec![problem]))
        }
    }
}

/// Loads a file: reads it, applies `sets` (path and value), checks it and all its mitigations.
///
/// # Errors
/// All problems, if one is an error.
pub fn load(
    file_name: &str,
    text: &str,
    sets: &[(String, String)],
    read_file: ReadFile<'_>,
) -> Result<Loaded, Problems> {
    let parsed = parse(text);
    let mut problems = parsed.problems;
    let (Some(file_scenario), Some(scan)) = (parsed.scenario, parsed.scan) else {
        return Err(Problems::new(file_name, text, problems));
    };
    let mut loader = Loader {
        names: Names::of(&file_scenario).with_unread(&scan, &parsed.blanked),
        text,
        unread: parsed.blanked,
        scan: &scan,
        read_file,
        profiles: Profiles::new(),
        unreadable: BTreeMap::new(),
        causes: Vec::new(),
        problems: Vec::new(),
    };
    let (scenario, set_paths) = loader.baseline(file_scenario, sets);
    let variants = loader.variants(&scenario);
    let broken = !problems.is_empty();
    // What is only odd may be so because of what could not be read.
    let found = std::mem::take(&mut loader.problems);
    let keep = |it: &Problem| it.severity == Severity::Error || !broken;
    problems.extend(found.into_iter().filter(keep));
    let profiles = loader.profiles;
    let problems = Problems::new(file_name, text, problems);
    if problems.has_errors() {
        return Err(problems);
    }
    let stem = std::path::Path::new(file_name).file_stem();
    Ok(Loaded {
        name: stem.map_or_else(|| file_name.into(), |it| it.to_string_lossy().into_owned()),
        text: text.to_owned(),
        sets: sets.to_vec(),
        resolution: lower::resolution(&scenario, &profiles),
        scenario,
        variants,
        warnings: problems,
        profiles,
        scan,
        set_paths,
    })
}

/// What a finding comes from.
#[derive(Clone, Debug)]
enum Cause {
    File,
    Set(String, String),
    Change(Path, Change),
}

struct Loader<'l> {
    names: Names,
    text: &'l str,
    /// Parts of the file that could not be read: what is about them follows from that.
    unread: Vec<Path>,
    scan: &'l Scan,
    read_file: ReadFile<'l>,
    profiles: Profiles,
    unreadable: BTreeMap<String, String>,
    /// The findings so far, and what each came from.
    causes: Vec<(Finding, Cause)>,
    problems: Vec<Problem>,
}

impl Loader<'_> {
    /// Applies the changes of the command line; the findings that remain become problems.
    fn baseline(&mut self, file: Scenario, sets: &[(String, String)]) -> (Scenario, Vec<Path>) {
        let mut scenario = file;
        let mut set_paths = Vec::new();
        self.look(&scenario, true, &Cause::File);
        for (path, value) in sets {
            let cause = Cause::Set(path.clone(), value.clone());
            match set(&scenario, path, value) {
                Ok((changed, plain)) => {
                    scenario = changed;
                    set_paths.push(plain);
                    self.look(&scenario, true, &cause);
                }
                Err(wrong) => self.refuse(&cause, wrong),
            }
        }
        for (finding, cause) in self.causes.clone() {
            self.report(finding, &cause);
        }
        (scenario, set_paths)
    }

    fn variants(&mut self, baseline: &Scenario) -> Vec<Variant> {
        let mut variants =
            vec![Variant { name: "baseline".to_owned(), scenario: baseline.clone() }];
        let count: usize = baseline.mitigations.values().map(Vec::len).sum();
        if count > MAX_CHANGES {
            let message = format!("{count} changes are beyond the limit of {MAX_CHANGES}");
            self.problem(&root("mitigations"), message);
            return variants;
        }
        if self.causes.len() > MOST_FINDINGS {
            return variants;
        }
        let known = self.causes.clone();
        for (name, changes) in &baseline.mitigations {
            self.causes.clone_from(&known);
            let mut scenario = baseline.clone();
            for (index, change) in changes.iter().enumerate() {
                let path = self.in_file(&root("mitigations").name(name).index(index));
                let cause = Cause::Change(path, change.clone());
                match changed(&scenario, change) {
                    Ok(changed) => {
                        scenario = changed;
                        self.look(&scenario, false, &cause);
                    }
                    Err(wrong) => self.refuse(&cause, wrong),
                }
            }
            let caused = self.causes.clone();
            for (finding, cause) in caused.into_iter().filter(|it| !known.contains(it)) {
                self.report(finding, &cause);
            }
            let path = root("mitigations").name(name);
            if changes.is_empty() && !self.unread.iter().any(|it| it.is_within(&path)) {
                self.problem(&path, format!("`{}` changes nothing", shortened(name)));
            }
            variants.push(Variant { name: name.clone(), scenario });
        }
        variants
    }

    /// Checks a scenario; what was not found before was brought about by `cause`.
    fn look(&mut self, scenario: &Scenario, with_claims: bool, cause: &Cause) {
        let unreadable = self.read_profiles(scenario);
        let mut names = Names::of(scenario);
        names.include(&self.names);
        let mut findings = check(scenario, &names, &self.profiles);
        findings.extend(unreadable);
        if with_claims {
            findings.extend(expect::check(scenario, &names));
            if scenario.expect.is_empty() {
                findings.push(Finding {
                    path: Path::default(),
                    message: "there is no `expect`: the runs are not checked".to_owned(),
                    help: None,
                    severity: Severity::Warning,
                });
            }
        }
        let before = std::mem::take(&mut self.causes);
        let with_cause = |finding: Finding| {
            let known = before.iter().find(|it| it.0 == finding);
            let cause = known.map_or_else(|| cause.clone(), |it| it.1.clone());
            (finding, cause)
        };
        self.causes = findings.into_iter().map(with_cause).collect();
    }

    fn read_profiles(&mut self, scenario: &Scenario) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (name, producer) in &scenario.producers {
            let RateShape::Csv(file) = &producer.rate else {
                continue;
            };
            if !self.profiles.contains_key(file) && !self.unreadable.contains_key(file) {
                match (self.read_file)(file).and_then(|text| read_csv(&text)) {
                    Ok(points) => {
                        self.profiles.insert(file.clone(), points);
                    }
                    Err(wrong) => {
                        self.unreadable.insert(file.clone(), wrong);
                    }
                }
            }
            if let Some(wrong) = self.unreadable.get(file) {
                findings.push(Finding {
                    path: root("producers").name(name).name("rate"),
                    message: format!("cannot use `{}`: {wrong}", shortened(file)),
                    help: Some("the path is relative to the scenario file".to_owned()),
                    severity: Severity::Error,
                });
            }
        }
        findings
    }

    fn problem(&mut self, path: &Path, message: String) {
        let span = self.mark(path);
        self.problems.push(error(path, span, message));
    }

    fn is_unread(&self, path: &Path) -> bool {
        self.unread.iter().any(|it| path.is_within(it))
    }

    /// A path of the scenario as one of the file, where elements of lists may be unread.
    fn in_file(&self, path: &Path) -> Path {
        let mut found = Path::default();
        for step in &path.0 {
            found = match step {
                Step::Name(name) => found.name(name),
                Step::Index(index) => found.index(self.place_in_file(&found, *index)),
            };
        }
        found
    }

    /// The place in a list of the file of an element that was read.
    fn place_in_file(&self, list: &Path, index: usize) -> usize {
        let mut unread: Vec<usize> = Vec::new();
        for path in &self.unread {
            if let Some((Step::Index(place), parent)) = path.0.split_last()
                && parent == list.0.as_slice()
            {
                unread.push(*place);
            }
        }
        unread.sort_unstable();
        unread.dedup();
        let pass = |place: usize, unread: usize| place + usize::from(unread <= place);
        unread.into_iter().fold(index, pass)
    }

    fn report(&mut self, mut finding: Finding, cause: &Cause) {
        if matches!(cause, Cause::File) {
            finding.path = self.in_file(&finding.path);
        }
        let of_action = matches!(cause, Cause::Change(_, Change::At(..)));
        if !of_action && self.is_unread(&finding.path) {
            return;
        }
        let mut problem = match cause {
            Cause::File => error(&finding.path, self.mark(&finding.path), finding.message),
            Cause::Set(..) => {
                let message = format!("`{}`: {}", finding.path, finding.message);
                caused_by_set(cause, &finding.path, message, false)
            }
            Cause::Change(path, change) => {
                let (place, of_action) = place_of(path, change, &finding.path);
                let message = if of_action {
                    finding.message
                } else {
                    format!("with this, `{}`: {}", finding.path, finding.message)
                };
                error(&place, self.mark(&place), message)
            }
        };
        problem.help = finding.help;
        problem.severity = finding.severity;
        self.problems.push(problem);
    }

    /// A change that could not be made.
    fn refuse(&mut self, cause: &Cause, wrong: SetError) {
        let (of_path, message, help) = match wrong {
            SetError::Path { message, help } => (true, message, help),
            SetError::Value { message } => (false, message, None),
        };
        let at = match cause {
            Cause::Set(path, _) | Cause::Change(_, Change::Set(path, _)) => {
                parse_path(path).unwrap_or_default()
            }
            Cause::File | Cause::Change(..) => Path::default(),
        };
        if of_path && self.is_unread(&at) {
            return;
        }
        let mut problem = match cause {
            Cause::File => return,
            Cause::Set(..) => caused_by_set(cause, &at, message, of_path),
            Cause::Change(path, change) => {
                let place = match (change, of_path) {
                    (Change::Set(..), true) => path.index(0),
                    (Change::Set(..), false) | (Change::At(..), _) => path.index(1),
                };
                error(&place, self.mark(&place), message)
            }
        };
        problem.help = help;
        self.problems.push(problem);
    }

    /// What to underline for a path: its value; of what spans lines, its key or first line.
    fn mark(&self, path: &Path) -> Range<usize> {
        let found = self.scan.find(path);
        // `Exponential("2h")` is about the one value in it.
        let node = match &found.node.kind {
            Kind::Tuple(_, items) if items.len() == 1 => &items[0],
            Kind::Scalar
            | Kind::Text
            | Kind::Word
            | Kind::Fields(..)
            | Kind::Tuple(..)
            | Kind::List(_)
            | Kind::Map(_) => found.node,
        };
        let span = node.span.clone();
        let leaf = matches!(node.kind, Kind::Scalar | Kind::Text | Kind::Word);
        match found.key {
            Some(entry) if !leaf || found.depth < path.0.len() => entry.key_span.clone(),
            _ if leaf => span,
            _ => {
                let text = self.text.get(span.clone()).unwrap_or("");
                let first_line = text.lines().next().map_or(0, str::len);
                span.start..span.start + first_line
            }
        }
    }
}

impl PartialEq for Cause {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File, Self::File) => true,
            (Self::Set(path, value), Self::Set(other, it)) => path == other && value == it,
            (Self::Change(path, _), Self::Change(other, _)) => path == other,
            (Self::File | Self::Set(..) | Self::Change(..), _) => false,
        }
    }
}

fn caused_by_set(cause: &Cause, path: &Path, message: String, of_path: bool) -> Problem {
    let Cause::Set(at, value) = cause else {
        return error(path, 0..0, message);
    };
    let text = format!("{at}={value}");
    let span = if of_path { 0..at.len() } else { at.len() + 1..text.len() };
    Problem {
        path: path.to_string(),
        message,
        help: None,
        severity: Severity::Error,
        origin: Origin::Set(text),
        span: Some(span),
    }
}

/// Where a mitigation's change says what a finding is about, and whether it says it itself.
fn place_of(path: &Path, change: &Change, finding: &Path) -> (Path, bool) {
    let inside = match (change, finding.0.as_slice()) {
        (Change::At(..), [Step::Name(section), Step::Index(_), Step::Name(field), rest @ ..])
            if section == "timeline" =>
        {
            let place = usize::from(field != "at");
            let mut path = path.index(place);
            path.0.extend(rest.iter().cloned());
            Some(path)
        }
        (Change::At(..) | Change::Set(..), _) => None,
    };
    let of_action = inside.is_some();
    let value = || match change {
        Change::Set(..) | Change::At(..) => path.index(1),
    };
    (inside.unwrap_or_else(value), of_action)
}

/// The scenario with one change of a mitigation.
fn changed(scenario: &Scenario, change: &Change) -> Result<Scenario, SetError> {
    match change {
        Change::Set(path, value) => {
            let first = parse_path(path).ok().and_then(|it| it.0.into_iter().next());
            if let Some(Step::Name(first)) = first
                && SHARED.contains(&first.as_str())
            {
                return Err(SetError::Path {
                    message: format!("all runs of a scenario share its `{first}`"),
                    help: Some("a mitigation changes what runs, not how it is judged".to_owned()),
                });
            }
            set(scenario, path, &value.0).map(|(scenario, _)| scenario)
        }
        Change::At(_, what) if !what.is_action() => Err(SetError::Value {
            message: "a mitigation acts; what breaks stands in the timeline".to_owned(),
        }),
        Change::At(at, what) => {
            let mut scenario = scenario.clone();
            scenario.timeline.push(Planned { at: *at, lasts: None, what: what.clone() });
            Ok(scenario)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Happening;

    const GOOD: &str = include_str!("../tests/hot_key.ron");

    fn no_file(_: &str) -> Result<String, String> {
        Err("no such file".to_owned())
    }

    #[test]
    fn the_baseline_comes_first_and_mitigations_in_the_order_of_the_file() {
        let loaded = load("a/hot_key.ron", GOOD, &[], &no_file).unwrap();
        assert_eq!(loaded.name, "hot_key");
        let names: Vec<_> = loaded.variants.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "baseline",
                "salt the key x8",
                "switch to on-demand at +3m",
                "split the hot shard at +3m"
            ]
        );
    }

    #[test]
    fn an_action_of_a_mitigation_follows_the_timeline_of_the_file() {
        let loaded = load("x.ron", GOOD, &[], &no_file).unwrap();
        let split = loaded.variant("split the hot shard at +3m").unwrap();
        let timeline = &split.scenario.timeline;
        assert_eq!(timeline.len(), 2);
        assert_eq!(timeline[0], loaded.scenario.timeline[0]);
        assert_eq!(timeline[1].what, Happening::SplitHottestShard("clicks".into()));
        assert_eq!(timeline[1].at.to_string(), "8m");
    }

    #[test]
    fn a_change_of_the_command_line_holds_in_all_runs() {
        let sets = [("producers.web.instances".to_owned(), "2".to_owned())];
        let loaded = load("x.ron", GOOD, &sets, &no_file).unwrap();
        for variant in &loaded.variants {
            assert_eq!(variant.scenario.producers["web"].instances, 2, "{}", variant.name);
        }
    }

    #[test]
    fn rates_are_read_from_the_file_that_the_scenario_names() {
        let text = GOOD.replacen("\"6000/s\"", "Csv(\"rates/web.csv\")", 1);
        let read = |path: &str| match path {
            "rates/web.csv" => Ok("seconds,rate\n0,100\n60,200\n".to_owned()),
            _ => Err("no such file".to_owned()),
        };
        let loaded = load("x.ron", &text, &[], &read).unwrap();
        let world = loaded.lower(&loaded.variants[0], 1);
        // Millionths of a record per second.
        let rates: Vec<_> = world.producers[0].rate.knots.iter().map(|it| it.1).collect();
        assert_eq!(rates, [100_000_000, 200_000_000]);
        let problems = load("x.ron", &text, &[], &no_file).unwrap_err();
        assert_eq!(problems.list[0].message, "cannot use `rates/web.csv`: no such file");
    }

    #[test]
    fn a_mitigation_changes_what_runs_and_not_how_it_is_judged() {
        for path in ["duration", "seed", "expect[0]", "mitigations"] {
            let text = GOOD.replacen("producers.web.salt", path, 1);
            let problems = load("x.ron", &text, &[], &no_file).unwrap_err();
            let message = &problems.list[0].message;
            assert!(message.starts_with("all runs of a scenario share its"), "{message}");
        }
        let text = GOOD.replacen(
            "SplitHottestShard(\"clicks\")",
            "KillWorkers(consumer: \"profiles\", workers: 1)",
            1,
        );
        let problems = load("x.ron", &text, &[], &no_file).unwrap_err();
        let message = "a mitigation acts; what breaks stands in the timeline";
        assert_eq!(problems.list[0].message, message);
    }

    #[test]
    fn each_change_answers_for_what_it_brings_about() {
        // The first change is fine; the second asks for more workers than there are.
        let from = "[Set(\"producers.web.salt\", \"8\")]";
        let to = "[Set(\"consumers.profiles.workers\", \"3\"), \
                  At(\"8m\", StopWorkers(consumer: \"profiles\", workers: 4))]";
        let text = GOOD.replacen(from, to, 1);
        let problems = load("x.ron", &text, &[], &no_file).unwrap_err();
        assert_eq!(problems.list.len(), 1, "{problems}");
        let problem = &problems.list[0];
        assert_eq!(problem.path, "mitigations.salt the key x8[1][1].workers");
        assert_eq!(problem.message, "4 is out of range: 1 to 3");
        assert_eq!(&text[problem.span.clone().unwrap()], "4");
    }

    #[test]
    fn a_place_in_a_list_is_that_of_the_file_even_behind_what_cannot_be_read() {
        let from = "timeline: [";
        let to = "timeline: [(at: \"1m\", what: Nonsense), \
                  (at: \"40m\", what: SplitHottestShard(\"clicks\")),";
        let text = GOOD.replacen(from, to, 1);
        let problems = load("x.ron", &text, &[], &no_file).unwrap_err();
        let paths: Vec<_> = problems.list.iter().map(|it| it.path.as_str()).collect();
        assert_eq!(paths, ["timeline[0].what", "timeline[1].at"], "{problems}");
    }
}
