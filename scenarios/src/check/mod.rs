//! What a well-formed scenario may still get wrong: names that are not there, impossible
//! topologies, values out of range, sizes that no machine holds.
//!
//! All findings are collected; each says the limit that it is about.

mod cluster;
mod group;
mod kinesis;
mod names;
mod producer;
mod sinks;
mod timeline;

use std::collections::BTreeSet;

use crate::diagnostics::Severity;
use crate::effective::topic_of;
use crate::knobs::{KafkaLibrary, Library, Place};
use crate::lower::{mean_size, parts, records, resolution};
use crate::nearest;
use crate::path::{Path, root};
use crate::rates::{Profiles, profile, records_within};
use crate::schema::{
    ConfigValue, Consumer, KafkaVersion, KclVersion, Named, Producer, RateShape, Retrieval,
    Scenario, System,
};
use crate::units::{Bytes, Dur, MAX_RATE, shortened};

pub(crate) use names::{Names, Section};

/// Longest simulated time.
pub const MAX_DURATION: Dur = Dur::secs(31 * 86_400);
/// Most records that all producers together may offer.
pub const MAX_RECORDS: u128 = 100_000_000_000;
/// Most records of a record-exact run (resolution 0).
pub const MAX_EXACT_RECORDS: u128 = 50_000_000;
/// Most clumps times partitions (D-8) of a run.
pub const MAX_PARTS: u128 = 1_000_000_000;
/// Most data that one producer may offer at one instant of the grid (D-8).
pub const MAX_CLUMP: Bytes = Bytes(1 << 40);
/// Most shards of a stream (N-C-1).
pub const MAX_SHARDS: u32 = 10_000;
/// Most client processes of a producer.
pub const MAX_INSTANCES: u32 = 100_000;
/// Most workers of a consumer.
pub const MAX_WORKERS: u32 = 10_000;
/// Most distinct keys of a producer.
pub const MAX_KEYS: u32 = 10_000_000;
/// Most explicit hash keys of a producer.
pub const MAX_HASH_KEYS: usize = 100_000;
/// Most sub-keys of a hot key.
pub const MAX_SALT: u32 = 10_000;
/// Most systems, producers, consumers or sinks.
pub const MAX_MEMBERS: usize = 1_000;
/// Most entries of a timeline.
pub const MAX_TIMELINE: usize = 1_000;
/// Most mitigations.
pub const MAX_MITIGATIONS: usize = 100;
/// Most claims.
pub const MAX_CLAIMS: usize = 1_000;
/// Longest partition key (N-W-2), in characters.
pub const MAX_KEY_LENGTH: usize = 256;
/// Most partitions of a cluster (K-NUM-2).
pub const MAX_PARTITIONS: u64 = 200_000;
/// Most partition replicas of a cluster.
pub const MAX_REPLICAS: u64 = 1_000_000;
/// Most ZooKeeper servers or KRaft controllers.
pub const MAX_QUORUM: usize = 15;
/// Findings that get advice which takes time to find.
const MOST_ADVISED: usize = 200;
/// Most zones of a cluster.
pub const MAX_ZONES: usize = 32;
/// Enhanced fan-out consumers of a stream (N-R-6); 50 with On-demand Advantage.
pub const MAX_FAN_OUT: usize = 20;

/// Kafka's keys that are read and checked, and that the model does not act on yet.
const WITHOUT_EFFECT: [&str; 8] = [
    "num.io.threads",
    "num.recovery.threads.per.data.dir",
    "replica.fetch.wait.max.ms",
    "replica.fetch.backoff.ms",
    "replica.socket.timeout.ms",
    "isolation.level",
    "initLimit",
    "zookeeper.max.in.flight.requests",
];

/// Something wrong at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) path: Path,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    pub(crate) severity: Severity,
}

/// Collects findings.
pub(crate) struct Checker<'s> {
    pub(crate) scenario: &'s Scenario,
    pub(crate) names: &'s Names,
    findings: Vec<Finding>,
}

/// All findings of a scenario. Claims are checked in [`crate::expect`].
pub(crate) fn check(scenario: &Scenario, names: &Names, profiles: &Profiles) -> Vec<Finding> {
    let mut checker = Checker { scenario, names, findings: Vec::new() };
    checker.whole();
    if checker.is_crowded() {
        return checker.findings;
    }
    for (name, system) in &scenario.systems {
        let path = root("systems").name(name);
        match system {
            System::Kinesis(kinesis) => checker.stream(&path, kinesis),
            System::Kafka(kafka) => checker.cluster(&path, name, kafka),
        }
    }
    for (name, producer) in &scenario.producers {
        checker.producer(&root("producers").name(name), name, producer);
    }
    for (name, consumer) in &scenario.consumers {
        let path = root("consumers").name(name);
        match consumer {
            Consumer::Kcl(kcl) => checker.application(&path, kcl),
            Consumer::KafkaGroup(group) => checker.group(&path, group),
        }
    }
    checker.topology();
    timeline::check(&mut checker);
    // Sums only make sense of numbers that are in range.
    if !checker.findings.iter().any(|it| it.severity == Severity::Error) {
        checker.size(profiles);
    }
    checker.findings
}

impl Checker<'_> {
    pub(crate) fn error(&mut self, path: Path, message: String) -> &mut Finding {
        self.find(path, message, Severity::Error)
    }

    pub(crate) fn warning(&mut self, path: Path, message: String) -> &mut Finding {
        self.find(path, message, Severity::Warning)
    }

    fn find(&mut self, path: Path, message: String, severity: Severity) -> &mut Finding {
        self.findings.push(Finding { path, message, help: None, severity });
        let last = self.findings.len() - 1;
        &mut self.findings[last]
    }

    /// A value between two others, both included.
    pub(crate) fn range<T: PartialOrd + std::fmt::Display>(
        &mut self,
        path: Path,
        value: T,
        low: T,
        high: T,
    ) {
        if !(value >= low && value <= high) {
            self.error(path, format!("{value} is out of range: {low} to {high}"));
        }
    }

    fn at_most(&mut self, path: Path, count: usize, most: usize, what: &str) {
        if count > most {
            let message = format!("{count} {what} are beyond the limit of {most}");
            self.error(path, message);
        }
    }

    /// A name that must be defined elsewhere in the file.
    pub(crate) fn reference(&mut self, path: Path, name: &str, kind: &str, names: &Section) {
        if !names.has(name) {
            let help = nearest::help(name, names.iter());
            let message = format!("there is no {kind} `{}`", shortened(name));
            self.error(path, message).help = help;
        }
    }

    fn whole(&mut self) {
        let scenario = self.scenario;
        if scenario.title.trim().is_empty() {
            self.error(root("title"), "the title is empty".to_owned());
        }
        self.range(root("duration"), scenario.duration, Dur::secs(1), MAX_DURATION);
        if let Some(resolution) = scenario.resolution {
            self.range(root("resolution"), resolution, Dur(0), Dur::secs(1));
        }
        let members = [
            ("systems", scenario.systems.keys().collect::<Vec<_>>()),
            ("producers", scenario.producers.keys().collect()),
            ("consumers", scenario.consumers.keys().collect()),
            ("sinks", scenario.sinks.keys().collect()),
        ];
        for (section, names) in members {
            self.at_most(root(section), names.len(), MAX_MEMBERS, section);
            for name in names {
                self.name(root(section).name(name), name);
            }
        }
        if self.names.systems.is_empty() {
            self.error(root("systems"), "there is no system".to_owned());
        }
        if self.names.producers.is_empty() {
            self.error(root("producers"), "there is no producer".to_owned());
        }
        let mitigations = scenario.mitigations.len();
        self.at_most(root("mitigations"), mitigations, MAX_MITIGATIONS, "mitigations");
        for name in scenario.mitigations.keys() {
            let path = root("mitigations").name(name);
            if name == "baseline" {
                let message = "`baseline` is the run without mitigation".to_owned();
                self.error(path, message).help = Some("give it another name".to_owned());
            } else if name.trim().is_empty() || name.chars().count() > 100 {
                self.error(path, "a mitigation's name has 1 to 100 characters".to_owned());
            } else if name.contains(char::is_control) {
                self.error(path, "a name holds no control characters".to_owned());
            }
        }
    }

    /// Whether there is so much of something that looking at each would take long.
    fn is_crowded(&self) -> bool {
        let scenario = self.scenario;
        let most = [
            scenario.systems.len(),
            scenario.producers.len(),
            scenario.consumers.len(),
            scenario.sinks.len(),
        ];
        most.into_iter().any(|count| count > MAX_MEMBERS)
    }

    fn name(&mut self, path: Path, name: &str) {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > 128 || !name.chars().all(fits) {
            let message = format!("`{}` cannot be a name", shortened(name));
            self.error(path, message).help =
                Some("a name is 1 to 128 letters, digits, `-` and `_`".to_owned());
        }
    }

    fn config(
        &mut self,
        path: &Path,
        library: &Library,
        config: &Named<ConfigValue>,
        version: Option<KclVersion>,
    ) {
        for (key, value) in config {
            let path = path.name(key);
            if let Some(knob) = library.find(key) {
                if let Err(message) = knob.read(value) {
                    self.error(path.clone(), message);
                }
                if knob.only.is_some() && version.is_some() && knob.only != version {
                    let message = format!("`{key}` has no effect in this {} version", library.name);
                    self.warning(path, message);
                }
            } else if library.known.contains(&key.as_str()) {
                let message = format!("`{key}` is not modelled: it has no effect here");
                self.warning(path, message);
            } else {
                let modelled = library.modelled.iter().map(|knob| knob.name);
                let all = modelled.chain(library.known.iter().copied());
                let help = nearest::nearest(key, all);
                let message = format!("the {} has no `{}`", library.name, shortened(key));
                self.error(path, message).help = help.map(|it| format!("did you mean `{it}`?"));
            }
        }
    }

    /// Configuration of Kafka: each key belongs to one of the libraries.
    fn kafka_config(
        &mut self,
        path: &Path,
        libraries: &[KafkaLibrary],
        config: &Named<ConfigValue>,
        version: KafkaVersion,
    ) {
        let Some(first) = libraries.first() else {
            return;
        };
        for (key, value) in config {
            let path = path.name(key);
            let mut places = libraries.iter().map(|it| it.place(key, version));
            let place = places.find(|it| *it != Place::Unknown).unwrap_or(Place::Unknown);
            match place {
                Place::Modelled(knob) => {
                    if let Err(message) = knob.read(value) {
                        self.error(path, message);
                    } else if WITHOUT_EFFECT.contains(&key.as_str()) {
                        let message = format!("`{key}` is checked, and has no effect here yet");
                        self.warning(path, message);
                    }
                }
                Place::Known => {
                    let message = format!("`{key}` is not modelled: it has no effect here");
                    self.warning(path, message);
                }
                Place::NotYet(since) => {
                    let message = format!("Kafka {version} has no `{key}`: it came with {since}");
                    self.error(path, message);
                }
                Place::Removed(removed) => {
                    let message =
                        format!("Kafka {version} has no `{key}`: it was removed in {removed}");
                    self.error(path, message);
                }
                Place::Unknown => {
                    let all = libraries.iter().flat_map(KafkaLibrary::names);
                    // Hundreds of names are compared: only what is shown gets advice.
                    let advised = self.findings.len() < MOST_ADVISED;
                    let help = advised.then(|| nearest::nearest(key, all)).flatten();
                    let help = help.map(|it| format!("did you mean `{it}`?"));
                    let message = format!("the {} has no `{}`", first.name, shortened(key));
                    self.error(path, message).help = help;
                }
            }
        }
    }

    fn topology(&mut self) {
        let scenario = self.scenario;
        for (name, system) in &scenario.systems {
            let path = root("systems").name(name);
            match system {
                System::Kinesis(_) => {
                    if !scenario.producers.values().any(|it| it.to == *name) {
                        self.warning(path.clone(), format!("nothing writes to `{name}`"));
                    }
                    self.fan_out(path, name);
                }
                System::Kafka(kafka) => {
                    let writers = scenario.producers.values().filter(|it| it.to == *name);
                    let written: BTreeSet<_> =
                        writers.filter_map(|it| topic_of(kafka, it)).collect();
                    for topic in kafka.topics.keys().filter(|it| !written.contains(it.as_str())) {
                        let path = path.name("topics").name(topic);
                        self.warning(path, format!("nothing writes to topic `{topic}`"));
                    }
                }
            }
        }
        for (name, sink) in &scenario.sinks {
            let path = root("sinks").name(name);
            sinks::check(self, &path, sink);
            if !scenario.consumers.values().any(|it| it.sink() == Some(name.as_str())) {
                let message = format!("no consumer has `{name}` as its sink");
                self.warning(path, message);
            }
        }
        for (name, consumer) in &scenario.consumers {
            sinks::check_use(self, &root("consumers").name(name), consumer);
        }
    }

    fn fan_out(&mut self, path: Path, name: &str) {
        let applications = self.scenario.consumers.values().filter_map(Consumer::as_kcl);
        let readers = applications.filter(|it| it.from == name);
        let subscribers = readers.filter(|it| it.retrieval == Retrieval::FanOut).count();
        if subscribers > MAX_FAN_OUT {
            let message = format!(
                "{subscribers} fan-out consumers are beyond the limit of {MAX_FAN_OUT} (N-R-6)"
            );
            self.error(path, message).help =
                Some("let some of them poll: `retrieval: Polling`".to_owned());
        }
    }

    fn size(&mut self, profiles: &Profiles) {
        let scenario = self.scenario;
        let grid = Dur(resolution(scenario, profiles).0);
        for (name, producer) in &scenario.producers {
            let path = root("producers").name(name).name("rate");
            if matches!(&producer.rate, RateShape::Csv(file) if !profiles.contains_key(file)) {
                continue;
            }
            let knots = profile(&producer.rate, scenario.duration, profiles);
            if records_within(&knots, scenario.duration) == 0 {
                self.error(path.clone(), "this offers not one record in the whole run".to_owned());
            }
            let highest = knots.knots.iter().map(|knot| u128::from(knot.1)).max().unwrap_or(0);
            let factor = timeline::greatest_rate_factor_of(scenario, name);
            self.peak(path, highest.saturating_mul(factor) / 1_000_000, producer, grid);
        }
        let total = records(scenario, profiles);
        let greatest = timeline::greatest_rate_factor(scenario);
        let with_faults = total.saturating_mul(u128::from(greatest)) / 1_000_000;
        let with_faults = with_faults.max(total);
        if with_faults > MAX_RECORDS {
            let message =
                format!("up to {with_faults} records are beyond the limit of {MAX_RECORDS}");
            self.error(root("duration"), message).help =
                Some("shorten the run, or lower a rate".to_owned());
        }
        if grid.0 == 0 && with_faults > MAX_EXACT_RECORDS {
            let message = format!(
                "{with_faults} records are beyond the limit of {MAX_EXACT_RECORDS} at resolution 0"
            );
            self.error(root("resolution"), message).help =
                Some("leave `resolution` out: it is then chosen by size".to_owned());
        }
        let parts = if grid.0 == 0 { 0 } else { parts(scenario, grid) };
        if parts > MAX_PARTS {
            let any_kafka = scenario.systems.values().any(|it| it.as_kafka().is_some());
            let what = if any_kafka { "partitions" } else { "shards" };
            let message =
                format!("{parts} clumps times {what} are beyond the limit of {MAX_PARTS}");
            self.error(root("duration"), message).help =
                Some(format!("shorten the run, or take fewer {what}"));
        }
    }

    /// The highest rate of a producer, in millionths of a record per second, and the data that it
    /// brings at one instant of the grid.
    fn peak(&mut self, path: Path, rate: u128, producer: &Producer, grid: Dur) {
        if rate > u128::from(MAX_RATE.0) {
            let per_second = rate / 1_000_000;
            let message = format!(
                "faults raise this to {per_second} records a second, beyond the limit of {MAX_RATE}"
            );
            self.error(path, message).help = Some("lower the rate, or a factor on it".to_owned());
            return;
        }
        let records = rate * u128::from(grid.0) / (1_000_000 * 1_000_000_000);
        let bytes = records * u128::from(mean_size(&producer.record_size).0);
        if bytes > u128::from(MAX_CLUMP.0) {
            let message = format!(
                "{records} records at once, as the resolution \"{grid}\" has it, are {bytes} bytes, \
                 beyond the limit of {MAX_CLUMP}"
            );
            self.error(path, message).help =
                Some("set a finer `resolution`, or lower the rate or the size".to_owned());
        }
    }
}
