//! What a well-formed scenario may still get wrong: names that are not there, impossible
//! topologies, values out of range, sizes that no machine holds.
//!
//! All findings are collected; each says the limit that it is about.

use crate::defaults;
use crate::diagnostics::Severity;
use crate::knobs::{KCL, KPL, Library};
use crate::lower::{LEAST_IDLE_TIME_V3, parts, records, resolution, shards_on_demand};
use crate::names::{Names, Section};
use crate::nearest;
use crate::path::Path;
use crate::rates::{MOST_CSV_LINES, MOST_WAVES, Profiles, profile, records_within};
use crate::schema::{
    Capacity, Client, ConfigValue, Consumer, Kcl, KclVersion, Keys, Kinesis, Named, Producer,
    RateShape, RecordSize, Retrieval, Scenario, Sdk, ServiceTime, System,
};
use crate::timeline;
use crate::units::{ByteRate, Bytes, Dur, shortened};

/// Longest simulated time.
pub const MAX_DURATION: Dur = Dur::secs(31 * 86_400);
/// Most records that all producers together may offer.
pub const MAX_RECORDS: u128 = 100_000_000_000;
/// Most records of a record-exact run (resolution 0).
pub const MAX_EXACT_RECORDS: u128 = 50_000_000;
/// Most clumps times partitions (D-8) of a run.
pub const MAX_PARTS: u128 = 1_000_000_000;
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
/// Enhanced fan-out consumers of a stream (N-R-6); 50 with On-demand Advantage.
pub const MAX_FAN_OUT: usize = 20;

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
    for (name, System::Kinesis(kinesis)) in &scenario.systems {
        checker.stream(&root("systems").name(name), kinesis);
    }
    for (name, producer) in &scenario.producers {
        checker.producer(&root("producers").name(name), producer);
    }
    for (name, Consumer::Kcl(kcl)) in &scenario.consumers {
        checker.consumer(&root("consumers").name(name), kcl);
    }
    checker.topology();
    timeline::check(&mut checker);
    // Sums only make sense of numbers that are in range.
    if !checker.findings.iter().any(|it| it.severity == Severity::Error) {
        checker.size(profiles);
    }
    checker.findings
}

pub(crate) fn root(name: &str) -> Path {
    Path::default().name(name)
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

    fn stream(&mut self, path: &Path, kinesis: &Kinesis) {
        let minute = Dur::secs(60);
        self.capacity(&path.name("capacity"), &kinesis.capacity);
        let (day, year) = (defaults::retention(), Dur::secs(8_760 * 3_600));
        self.range(path.name("retention"), kinesis.retention, day, year);
        let sizes = (defaults::max_record_size(), Bytes(10 << 20));
        let size_path = path.name("max_record_size");
        self.range(size_path, kinesis.max_record_size, sizes.0, sizes.1);
        self.range(path.name("put_latency"), kinesis.put_latency, Dur(0), minute);
        self.range(path.name("get_latency"), kinesis.get_latency, Dur(0), minute);
        self.range(path.name("push_latency"), kinesis.push_latency, Dur(0), minute);
        if let Some(time) = kinesis.reshard_time {
            self.range(path.name("reshard_time"), time, Dur(0), Dur::secs(3_600));
        }
    }

    pub(crate) fn capacity(&mut self, path: &Path, capacity: &Capacity) {
        match capacity {
            Capacity::Provisioned { shards } => {
                self.range(path.name("shards"), *shards, 1, MAX_SHARDS);
            }
            Capacity::OnDemand(on_demand) => {
                let most = defaults::CEILING;
                let ceiling = on_demand.ceiling;
                self.range(path.name("ceiling"), ceiling, ByteRate(4_000_000), most);
                let half = ByteRate(ceiling.0 / 2);
                let peak = on_demand.peak_history;
                self.range(path.name("peak_history"), peak, ByteRate(0), half);
                if let Some(warm) = on_demand.warm_throughput {
                    self.range(path.name("warm_throughput"), warm, ByteRate(0), ceiling);
                }
                let (delay, most) = (on_demand.split_delay, Dur::secs(15 * 60));
                self.range(path.name("split_delay"), delay, Dur(0), most);
            }
        }
    }

    fn producer(&mut self, path: &Path, producer: &Producer) {
        self.reference(path.name("to"), &producer.to, "system", &self.names.systems);
        self.range(path.name("instances"), producer.instances, 1, MAX_INSTANCES);
        self.range(path.name("salt"), producer.salt, 1, MAX_SALT);
        self.rate(&path.name("rate"), &producer.rate);
        self.record_size(path, producer);
        self.keys(&path.name("keys"), &producer.keys);
        let mut total = 0_u64;
        for (key, share) in &producer.hot_keys {
            let path = path.name("hot_keys").name(key);
            self.key(path.clone(), key);
            total += u64::from(share.0);
            if share.0 == 0 {
                self.error(path, "a share of 0% is no hot key".to_owned());
            }
        }
        if total > 1_000_000 {
            let message = "the shares of hot keys add up to more than 100%".to_owned();
            self.error(path.name("hot_keys"), message);
        }
        match &producer.client {
            Client::Kpl(kpl) => {
                self.config(&path.name("client").name("config"), &KPL, &kpl.config, None);
            }
            Client::Sdk(sdk) => self.sdk(&path.name("client"), sdk),
        }
    }

    pub(crate) fn key(&mut self, path: Path, key: &str) {
        let length = key.chars().count();
        if !(1..=MAX_KEY_LENGTH).contains(&length) {
            let message = format!("a partition key has 1 to {MAX_KEY_LENGTH} characters (N-W-2)");
            self.error(path, message);
        }
    }

    fn rate(&mut self, path: &Path, rate: &RateShape) {
        match rate {
            RateShape::Constant(_) | RateShape::Csv(_) => {}
            RateShape::Steps(points) | RateShape::Ramps(points) => {
                self.at_most(path.clone(), points.len(), MOST_CSV_LINES, "points");
                if points.is_empty() {
                    self.error(path.clone(), "there is no point of the rate".to_owned());
                }
                for (index, pair) in points.windows(2).enumerate() {
                    if pair[1].0 < pair[0].0 {
                        let message = format!("\"{}\" is before the point above it", pair[1].0);
                        self.error(path.index(index + 1), message);
                    }
                }
            }
            RateShape::Spikes { spikes, .. } => {
                let path = path.name("spikes");
                self.at_most(path.clone(), spikes.len(), MOST_CSV_LINES, "spikes");
                let mut free_at = Dur(0);
                for (index, spike) in spikes.iter().enumerate() {
                    if spike.at < free_at {
                        let message = "begins before the spike above it has ended".to_owned();
                        self.error(path.index(index), message);
                    }
                    free_at = Dur(spike.at.0.saturating_add(spike.lasts.0));
                }
            }
            RateShape::Diurnal { period, .. } => {
                let least = Dur((self.scenario.duration.0 / MOST_WAVES).max(1_000_000_000));
                let most = Dur::secs(366 * 86_400);
                self.range(path.name("period"), *period, least, most);
            }
        }
    }

    fn record_size(&mut self, path: &Path, producer: &Producer) {
        let size_path = path.name("record_size");
        let limit = match self.scenario.systems.get(&producer.to) {
            Some(System::Kinesis(kinesis)) => kinesis.max_record_size,
            None => defaults::max_record_size(),
        };
        let limit = Bytes(limit.0.min(10 << 20));
        match &producer.record_size {
            RecordSize::Fixed(size) => self.range(size_path, *size, Bytes(1), limit),
            RecordSize::Uniform { min, max } => {
                self.range(size_path.name("max"), *max, Bytes(1), limit);
                self.range(size_path.name("min"), *min, Bytes(1), *max);
            }
            RecordSize::LogNormal { median, sigma, max } => {
                self.range(size_path.name("max"), *max, Bytes(1), limit);
                self.range(size_path.name("median"), *median, Bytes(1), *max);
                self.range(size_path.name("sigma"), *sigma, 0.0, 10.0);
            }
        }
    }

    fn keys(&mut self, path: &Path, keys: &Keys) {
        match keys {
            Keys::Random => {}
            Keys::Uniform { prefix, keys } => {
                self.numbered_keys(path, prefix, *keys);
            }
            Keys::Zipf { prefix, keys, exponent } => {
                self.numbered_keys(path, prefix, *keys);
                self.range(path.name("exponent"), *exponent, 0.0, 10.0);
            }
            Keys::HashKeys(hash_keys) => {
                self.at_most(path.clone(), hash_keys.len(), MAX_HASH_KEYS, "hash keys");
                if hash_keys.is_empty() {
                    self.error(path.clone(), "there is no hash key".to_owned());
                }
                let wrong = |key: &str| {
                    let decimal = key.bytes().all(|it| it.is_ascii_digit());
                    let canonical = key == "0" || !key.starts_with('0');
                    !decimal || !canonical || key.parse::<u128>().is_err()
                };
                // One mistake is often made throughout: a few of them say it.
                let all = hash_keys.iter().enumerate();
                for (index, key) in all.filter(|it| wrong(it.1)).take(5) {
                    let message = format!("`{}` is no hash key", shortened(key));
                    self.error(path.index(index), message).help =
                        Some("a decimal number below 2^128, in quotes (N-W-2)".to_owned());
                }
            }
        }
    }

    fn numbered_keys(&mut self, path: &Path, prefix: &str, keys: u32) {
        self.range(path.name("keys"), keys, 1, MAX_KEYS);
        // The number takes up to eight more.
        if prefix.chars().count() > MAX_KEY_LENGTH - 8 {
            let message =
                format!("a partition key has at most {MAX_KEY_LENGTH} characters (N-W-2)");
            self.error(path.name("prefix"), message);
        }
    }

    fn sdk(&mut self, path: &Path, sdk: &Sdk) {
        let hour = Dur::secs(3_600);
        self.range(path.name("batch_records"), sdk.batch_records, 1, 500);
        self.range(path.name("linger"), sdk.linger, Dur(0), hour);
        self.range(path.name("max_in_flight"), sdk.max_in_flight, 1, 10_000);
        self.range(path.name("request_timeout"), sdk.request_timeout, Dur::millis(1), hour);
        if let Some(retry) = &sdk.retry_failed {
            let path = path.name("retry_failed");
            self.range(path.name("attempts"), retry.attempts, 1, 1_000_000);
            self.range(path.name("ceiling"), retry.ceiling, Dur(0), hour);
            self.range(path.name("base"), retry.base, Dur(0), retry.ceiling);
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

    fn consumer(&mut self, path: &Path, kcl: &Kcl) {
        self.reference(path.name("from"), &kcl.from, "system", &self.names.systems);
        if let Some(sink) = &kcl.sink {
            self.reference(path.name("sink"), sink, "sink", &self.names.sinks);
        }
        self.range(path.name("workers"), kcl.workers, 1, MAX_WORKERS);
        self.range(path.name("worker_threads"), kcl.worker_threads, 0, 1_000_000);
        let (ServiceTime::Fixed(time) | ServiceTime::Exponential(time)) = kcl.service_time;
        self.range(path.name("service_time"), time, Dur(0), Dur::secs(3_600));
        let interval_path = path.name("checkpoint_interval");
        self.range(interval_path, kcl.checkpoint_interval, Dur(0), defaults::day());
        let config_path = path.name("config");
        self.config(&config_path, &KCL, &kcl.config, Some(kcl.version));
        let polling_only = ["idleTimeBetweenReadsInMillis", "maxRecords"];
        for key in polling_only {
            if kcl.retrieval == Retrieval::FanOut && kcl.config.contains_key(key) {
                let message = format!("`{key}` has no effect with fan-out");
                self.warning(config_path.name(key), message).help =
                    Some("add `retrieval: Polling` (KCL >= 2 uses fan-out by default)".to_owned());
            }
        }
        let idle = Dur(KCL.value(&kcl.config, "idleTimeBetweenReadsInMillis"));
        if kcl.version == KclVersion::V3 && idle < LEAST_IDLE_TIME_V3 {
            let message = format!("KCL 3.x raises this to \"{LEAST_IDLE_TIME_V3}\" (N-KCL-3)");
            self.warning(config_path.name("idleTimeBetweenReadsInMillis"), message);
        }
        self.lease_room(path, kcl);
    }

    fn lease_room(&mut self, path: &Path, kcl: &Kcl) {
        let Some(System::Kinesis(kinesis)) = self.scenario.systems.get(&kcl.from) else {
            return;
        };
        let shards = match &kinesis.capacity {
            Capacity::Provisioned { shards } => *shards,
            Capacity::OnDemand(on_demand) => shards_on_demand(on_demand),
        };
        let each = KCL.value(&kcl.config, "maxLeasesForWorker");
        let room = each.saturating_mul(u64::from(kcl.workers));
        if room < u64::from(shards) {
            let message = format!("all workers together take {room} leases of {shards} shards");
            let path = path.name("config").name("maxLeasesForWorker");
            self.warning(path, message).help = Some("the other shards are not read".to_owned());
        }
    }

    fn topology(&mut self) {
        let scenario = self.scenario;
        for name in scenario.systems.keys() {
            let path = root("systems").name(name);
            if !scenario.producers.values().any(|it| it.to == *name) {
                self.warning(path.clone(), format!("nothing writes to `{name}`"));
            }
            let reads = |Consumer::Kcl(kcl): &&Consumer| kcl.from == *name;
            let readers = || scenario.consumers.values().filter(reads);
            let fan_out = |Consumer::Kcl(kcl): &&Consumer| kcl.retrieval == Retrieval::FanOut;
            let subscribers = readers().filter(fan_out).count();
            if subscribers > MAX_FAN_OUT {
                let message = format!(
                    "{subscribers} fan-out consumers are beyond the limit of {MAX_FAN_OUT} (N-R-6)"
                );
                self.error(path, message).help =
                    Some("let some of them poll: `retrieval: Polling`".to_owned());
            }
        }
        for name in scenario.sinks.keys() {
            let applies = |Consumer::Kcl(kcl): &Consumer| kcl.sink.as_ref() == Some(name);
            if !scenario.consumers.values().any(applies) {
                let message = format!("no consumer has `{name}` as its sink");
                self.warning(root("sinks").name(name), message);
            }
        }
    }

    fn size(&mut self, profiles: &Profiles) {
        let scenario = self.scenario;
        for (name, producer) in &scenario.producers {
            let path = root("producers").name(name).name("rate");
            if matches!(&producer.rate, RateShape::Csv(file) if !profiles.contains_key(file)) {
                continue;
            }
            let knots = profile(&producer.rate, scenario.duration, profiles);
            if records_within(&knots, scenario.duration) == 0 {
                self.error(path, "this offers not one record in the whole run".to_owned());
            }
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
        let grid = Dur(resolution(scenario, profiles).0);
        if grid.0 == 0 && with_faults > MAX_EXACT_RECORDS {
            let message = format!(
                "{with_faults} records are beyond the limit of {MAX_EXACT_RECORDS} at resolution 0"
            );
            self.error(root("resolution"), message).help =
                Some("leave `resolution` out: it is then chosen by size".to_owned());
        }
        let parts = if grid.0 == 0 { 0 } else { parts(scenario, grid) };
        if parts > MAX_PARTS {
            let message =
                format!("{parts} clumps times shards are beyond the limit of {MAX_PARTS}");
            self.error(root("duration"), message).help =
                Some("shorten the run, or take fewer shards".to_owned());
        }
    }
}
