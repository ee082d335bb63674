//! Checks of Kinesis: streams, callers of the SDK, KCL applications.

use crate::check::{Checker, MAX_SHARDS, MAX_WORKERS};
use crate::defaults;
use crate::knobs::KCL;
use crate::lower::{LEAST_IDLE_TIME_V3, shards_on_demand};
use crate::path::Path;
use crate::schema::{
    Capacity, History, Kcl, KclVersion, Kinesis, Retrieval, Sdk, ServiceTime, System,
};
use crate::units::{ByteRate, Bytes, Dur, MAX_BYTES};

impl Checker<'_> {
    pub(super) fn stream(&mut self, path: &Path, kinesis: &Kinesis) {
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
        if let Some(history) = kinesis.history {
            self.history_of_stream(&path.name("history"), kinesis, history);
        }
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

    pub(super) fn sdk(&mut self, path: &Path, sdk: &Sdk) {
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

    pub(super) fn application(&mut self, path: &Path, kcl: &Kcl) {
        self.reference(path.name("from"), &kcl.from, "system", &self.names.systems);
        self.stream_reference(path.name("from"), &kcl.from);
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
        self.begins(path, kcl.begins);
        self.lease_room(path, kcl);
    }

    fn history_of_stream(&mut self, path: &Path, kinesis: &Kinesis, history: History) {
        self.history(path, history);
        if history.age > kinesis.retention {
            let message = format!("retention \"{}\" has taken what is older", kinesis.retention);
            self.error(path.name("age"), message).help =
                Some("lower `age`, or raise `retention`".to_owned());
        }
        let shards = shards_of(kinesis);
        let nanos = u128::from(history.age.0) * u128::from(shards) * (1 << 20);
        let most = Bytes(u64::try_from(nanos / 1_000_000_000).unwrap_or(u64::MAX));
        if history.bytes > most && history.age.0 > 0 {
            let message = format!(
                "{shards} shards take no more than {most} in \"{}\", 1 MiB/s each",
                history.age
            );
            self.error(path.name("bytes"), message).help =
                Some("lower `bytes`, or raise `age` or the shards".to_owned());
        }
    }

    pub(super) fn history(&mut self, path: &Path, history: History) {
        let (second, most) = (Dur::secs(1), Dur::secs(10_000 * 3_600));
        self.range(path.name("age"), history.age, second, most);
        self.range(path.name("bytes"), history.bytes, Bytes(1), MAX_BYTES);
    }

    /// How far behind a consumer is when the run begins; `age` is how far what is there reaches back.
    pub(super) fn lag(&mut self, path: &Path, lag: Option<Dur>, age: Option<Dur>) {
        let Some(lag) = lag else { return };
        let (message, help) = match age {
            None => ("nothing is there before the run begins".to_owned(), "add a `history`"),
            Some(age) if lag > age => (
                format!("the history reaches back no more than \"{age}\""),
                "lower `lag`, or raise the `age` of the history",
            ),
            Some(_) => return,
        };
        self.error(path.name("lag"), message).help = Some(help.to_owned());
    }

    /// A consumer that begins later.
    pub(super) fn begins(&mut self, path: &Path, begins: Option<Dur>) {
        if let Some(begins) = begins {
            self.range(path.name("begins"), begins, Dur(0), self.scenario.duration);
        }
    }

    /// Leases that are placed by hand.
    fn leases(&mut self, path: &Path, kcl: &Kcl, shards: u32) {
        if kcl.leases.is_empty() {
            return;
        }
        let of_leases = path.name("leases");
        if kcl.begins.is_some() {
            let message = "nobody holds a lease before the workers start".to_owned();
            self.error(of_leases, message).help = Some("leave `leases` or `begins` out".to_owned());
            return;
        }
        let workers = usize::try_from(kcl.workers).unwrap_or(usize::MAX);
        let most = KCL.value(&kcl.config, "maxLeasesForWorker");
        let mut taken = std::collections::BTreeSet::new();
        for (worker, list) in kcl.leases.iter().enumerate() {
            let path = of_leases.index(worker);
            if worker >= workers {
                let message = format!("there is no worker {worker}: there are {workers}, from 0");
                self.error(path, message).help = Some(format!("set `workers: {}`", worker + 1));
                return;
            }
            if list.len() as u64 > most {
                let message = format!("{} leases are more than maxLeasesForWorker", list.len());
                self.error(path.clone(), message);
            }
            for (place, shard) in list.iter().enumerate() {
                let path = path.index(place);
                if *shard >= shards {
                    let message = format!("there is no shard {shard}: there are {shards}, from 0");
                    self.error(path, message);
                } else if !taken.insert(*shard) {
                    self.error(path, format!("the lease of shard {shard} is given twice"));
                }
            }
        }
    }

    fn lease_room(&mut self, path: &Path, kcl: &Kcl) {
        let Some(kinesis) = self.scenario.systems.get(&kcl.from).and_then(System::as_kinesis)
        else {
            return;
        };
        let shards = shards_of(kinesis);
        self.lag(path, kcl.lag, kinesis.history.map(|it| it.age));
        self.leases(path, kcl, shards);
        let each = KCL.value(&kcl.config, "maxLeasesForWorker");
        let room = each.saturating_mul(u64::from(kcl.workers));
        if room < u64::from(shards) {
            let message = format!("all workers together take {room} leases of {shards} shards");
            let path = path.name("config").name("maxLeasesForWorker");
            self.warning(path, message).help = Some("the other shards are not read".to_owned());
        }
    }

    /// A name that is that of a system must be that of a stream.
    pub(crate) fn stream_reference(&mut self, path: Path, name: &str) {
        if self.scenario.systems.get(name).and_then(System::as_kafka).is_some() {
            self.error(path, format!("`{name}` is a Kafka cluster, not a Kinesis stream"));
        }
    }
}

/// Shards of a stream when the run begins.
fn shards_of(kinesis: &Kinesis) -> u32 {
    match &kinesis.capacity {
        Capacity::Provisioned { shards } => *shards,
        Capacity::OnDemand(on_demand) => shards_on_demand(on_demand),
    }
}
