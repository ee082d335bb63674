//! What a seed stands for: a world, drawn to be odd rather than likely.

use sim_core::config::*;
use sim_core::engine::{RngStream, Rngs, SimDuration, SimTime};

use super::{kafka, recovery};
use crate::bench::{millis, planned, secs};

/// What is asked of a run beyond its invariants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Anything goes, to the last instant: overload, faults that never end, dead readers.
    Open,
    /// Anything goes, until all faults end and all producers fall silent. Then there is time for
    /// everything to recover that can (`recovery`).
    Wild,
    /// A third of the capacity is used, every fault ends by 180 s, and producers are silent from
    /// 480 s of 700 s on: by the end everything must be read, and everything in order.
    Calm,
}

/// A drawn world.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) config: WorldConfig,
    pub(crate) mood: Mood,
}

/// Batches that a case may bring about: its duration follows.
const WORK: u64 = 60_000;
const CALM_FAULTS_BY_S: u64 = 180;
const CALM_SILENT_FROM_S: u64 = 480;
const CALM_ENDS_S: u64 = 700;

/// The world of a seed: streams and clusters in turn, two seeds each.
pub(crate) fn case(seed: u64) -> Case {
    let mood = match seed % 6 {
        0 | 3 => Mood::Calm,
        5 => Mood::Open,
        _ => Mood::Wild,
    };
    let luck = Luck(Rngs::new(seed).stream("swarm"));
    let mut config = if seed % 4 < 2 {
        world_of_streams(luck, seed, mood)
    } else {
        kafka::world_of_clusters(luck, seed, mood)
    };
    let (silent_from, end) = match mood {
        Mood::Open => return Case { config, mood },
        Mood::Wild => (config.duration, config.duration + recovery::time_for(&config)),
        Mood::Calm => (secs(CALM_SILENT_FROM_S), secs(CALM_ENDS_S)),
    };
    for producer in &mut config.producers {
        fall_silent(&mut producer.rate, SimTime::ZERO + silent_from);
    }
    config.duration = end;
    Case { config, mood }
}

/// No record is offered from an instant on.
fn fall_silent(profile: &mut RateProfile, at: SimTime) {
    // The last knots may lie beyond it: the rate is cut, not sloped down.
    let before = profile.knots.iter().rfind(|(knot, _)| *knot < at);
    let rate = before.map_or(profile.knots[0].1, |(_, rate)| *rate);
    profile.knots.retain(|(knot, _)| *knot < at);
    profile.knots.extend([(at, rate), (at, 0)]);
}

fn world_of_streams(mut luck: Luck, seed: u64, mood: Mood) -> WorldConfig {
    let resolution = luck.resolution(mood);
    let mut config = WorldConfig {
        seed,
        duration: secs(0),
        resolution,
        streams: (0..luck.of(&[1, 1, 1, 2, 3])).map(|number| luck.stream(number, mood)).collect(),
        clusters: Vec::new(),
        producers: Vec::new(),
        consumers: Vec::new(),
        groups: Vec::new(),
        sinks: Vec::new(),
        timeline: Vec::new(),
    };
    for number in 0..luck.of(&[1, 1, 2, 3]) {
        let producer = luck.producer(number, &config, mood);
        config.producers.push(producer);
    }
    let per_second: u64 = config.producers.iter().map(|it| batches_per_s(it, &config)).sum();
    config.duration = luck.duration(&config, mood, WORK / per_second.max(1));
    for number in 0..luck.of(&[0, 1, 1, 1, 2, 3]) {
        let consumer = luck.consumer(number, &config, mood);
        config.consumers.push(consumer);
    }
    for _ in 0..luck.of(&[0, 1, 2, 3, 5, 8]) {
        let entry = luck.entry(&config, mood);
        let entries = luck.with_another(entry, &config, mood);
        config.timeline.extend(entries);
    }
    config
}

fn stream_of<'c>(producer: &ProducerConfig, config: &'c WorldConfig) -> &'c StreamConfig {
    match producer.to {
        Destination::Stream(stream) => &config.streams[stream],
        Destination::Topic { .. } => unreachable!("only streams are drawn"),
    }
}

/// About how many batches of one producer meet a stream in a second.
fn batches_per_s(producer: &ProducerConfig, config: &WorldConfig) -> u64 {
    let most = producer.rate.knots.iter().map(|(_, rate)| *rate).max();
    let records = most.unwrap_or(0) / 1_000_000;
    if config.resolution.0 == 0 {
        return records;
    }
    let cells = 1_000_000_000 / config.resolution.0;
    let shards = u64::from(shards_of(stream_of(producer, config)));
    let batches = records.min(cells * u64::from(producer.flows) * shards);
    match &producer.client {
        // What is throttled then comes back with every round trip (N-KPL-4, N-KPL-5).
        ClientConfig::Kpl(kpl) if !kpl.aggregation_enabled => batches * 100,
        ClientConfig::Kpl(_) | ClientConfig::Sdk(_) | ClientConfig::Kafka(_) => batches * 2,
    }
}

/// Shards at the start.
fn shards_of(stream: &StreamConfig) -> u32 {
    match &stream.capacity {
        Capacity::Provisioned { shards } => *shards,
        Capacity::OnDemand(on_demand) => {
            let twice = on_demand.peak_history * 2;
            let bytes = twice.max(on_demand.warm_throughput).max(4_000_000);
            u32::try_from(bytes.min(on_demand.ceiling) / 1_000_000).expect("few shards")
        }
    }
}

/// When the last fault is over.
fn latest(config: &WorldConfig, mood: Mood) -> SimTime {
    let by = if mood == Mood::Calm { secs(CALM_FAULTS_BY_S) } else { config.duration };
    SimTime::ZERO + by
}

/// Random choices.
pub(super) struct Luck(RngStream);

impl Luck {
    /// One of the values.
    pub(super) fn of<T: Copy>(&mut self, values: &[T]) -> T {
        let below = self.0.below(values.len() as u64);
        values[usize::try_from(below).expect("an index")]
    }

    /// The coarsest of all is for runs of hours.
    pub(super) fn resolution(&mut self, mood: Mood) -> SimDuration {
        if mood != Mood::Calm && self.chance(4) {
            return secs(1);
        }
        millis(self.of(&[0, 1, 5, 20, 20, 100, 100, 250]))
    }

    /// From `low` to `high`, both included.
    pub(super) fn within(&mut self, low: u64, high: u64) -> u64 {
        low + self.0.below(high - low + 1)
    }

    pub(super) fn within_u32(&mut self, low: u32, high: u32) -> u32 {
        u32::try_from(self.within(u64::from(low), u64::from(high))).expect("32 bits")
    }

    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.0.below(100) < percent
    }

    /// As long as there is an end to what may happen: `affordable` seconds by the budget of work.
    pub(super) fn duration(
        &mut self,
        config: &WorldConfig,
        mood: Mood,
        affordable: u64,
    ) -> SimDuration {
        let coarse = config.resolution >= secs(1);
        let most = if coarse { self.within(1, 6) * 3_600 } else { 500 };
        match mood {
            Mood::Calm => secs(CALM_SILENT_FROM_S),
            Mood::Open | Mood::Wild => secs(affordable.clamp(30, most)),
        }
    }

    pub(super) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.0.below(len as u64)).expect("an index")
    }

    fn stream(&mut self, number: usize, mood: Mood) -> StreamConfig {
        let calm = mood == Mood::Calm;
        let day = secs(86_400);
        StreamConfig {
            name: format!("stream{number}"),
            capacity: self.capacity(),
            retention: if calm || self.chance(60) { day } else { secs(self.within(20, 200)) },
            burst_bytes: self.of(&[1 << 20, 10 << 20]),
            put_latency: millis(self.of(&[1, 5, 10, 10, 80])),
            get_latency: millis(self.of(&[0, 20, 20, 200])),
            push_latency: millis(self.of(&[0, 60, 60, 500])),
            reshard_time: millis(self.of(&[0, 500, 5_000, 30_000])),
            reshard_serially: self.chance(50) && !calm,
            history: None,
        }
    }

    fn capacity(&mut self) -> Capacity {
        if self.chance(70) {
            let most = self.of(&[1, 4, 4, 10, 40]);
            return Capacity::Provisioned { shards: self.within_u32(1, most) };
        }
        Capacity::OnDemand(OnDemandConfig {
            rule: self.of(&[OnDemandRule::Documented, OnDemandRule::DoublesEvery15Minutes]),
            peak_history: self.of(&[0, 1_000_000, 7_000_000]),
            warm_throughput: self.of(&[0, 0, 12_000_000]),
            split_delay: secs(self.of(&[0, 1, 30, 60])),
            ceiling: self.of(&[20_000_000, 200_000_000]),
        })
    }

    fn producer(&mut self, number: usize, config: &WorldConfig, mood: Mood) -> ProducerConfig {
        let stream = match config.producers.last().map(|before| before.to) {
            Some(Destination::Stream(same)) if self.chance(50) => same,
            _ => self.index(config.streams.len()),
        };
        let shards = u64::from(shards_of(&config.streams[stream]));
        let record_size = self.record_size(mood);
        let keys = self.keys();
        let bytes = mean_bytes(&record_size) + 40;
        // Records per second that the stream takes, of this size and without aggregation.
        let capacity = shards * (1_000.min((1 << 20) / bytes)).max(1);
        let percent = match mood {
            // Up to three producers share a stream.
            Mood::Calm => self.within(1, 10),
            Mood::Open | Mood::Wild => self.of(&[1, 10, 50, 80, 110, 110, 200]),
        };
        let most = if config.resolution.0 == 0 { 60 } else { 6_000 };
        let rate = (capacity * percent / 100).clamp(1, most);
        let instances = self.of(&[1, 1, 2, 3, 8, 9, 20, 500]);
        let flows = if instances > 8 { 1 } else { instances };
        let hot = self.of(&[0, 0, 0, 1, 2]);
        ProducerConfig {
            name: format!("producer{number}"),
            to: Destination::Stream(stream),
            instances,
            flows,
            rate: self.rate(rate),
            arrivals: self.of(&[Arrivals::Even, Arrivals::Poisson]),
            record_size,
            keys,
            hot_keys: (0..hot)
                .map(|key| (format!("k{key}"), self.within_u32(0, 600_000)))
                .collect(),
            salt: self.of(&[1, 1, 2, 7]),
            client: self.client(mood == Mood::Calm || rate > 100),
        }
    }

    pub(super) fn record_size(&mut self, mood: Mood) -> SizeDistribution {
        let top = match mood {
            // One large record a second is more than a tenth of a shard.
            Mood::Calm => self.of(&[20, 200, 2_000]),
            Mood::Open | Mood::Wild => self.of(&[20, 200, 200, 2_000, 30_000, 200_000, 1_000_000]),
        };
        match self.0.below(3) {
            0 => SizeDistribution::Fixed(self.within_u32(1, top)),
            1 => SizeDistribution::Uniform { min: 1 + top / 10, max: top },
            _ => SizeDistribution::LogNormal {
                median: top,
                sigma: self.of(&[0.1, 1.0, 2.0]),
                max: 1 << 20,
            },
        }
    }

    pub(super) fn keys(&mut self) -> KeyDistribution {
        let keys = self.of(&[1, 2, 30, 1_000]);
        let prefix = "k".to_owned();
        match self.0.below(4) {
            0 => KeyDistribution::Random,
            1 => KeyDistribution::Uniform { prefix, keys },
            2 => KeyDistribution::Zipf { prefix, keys, exponent: self.of(&[0.5, 1.0, 1.5]) },
            _ => {
                let count = self.within(1, 40);
                let mut hash =
                    || (u128::from(self.0.next_u64()) << 64) | u128::from(self.0.next_u64());
                KeyDistribution::HashKeys((0..count).map(|_| hash()).collect())
            }
        }
    }

    pub(super) fn rate(&mut self, most: u64) -> RateProfile {
        let mut knots = vec![(SimTime::ZERO, self.within(0, most) * 1_000_000 + 500_000)];
        let mut now = 0;
        for _ in 0..self.of(&[0, 0, 1, 3]) {
            now += self.within(0, 100);
            knots.push((SimTime::ZERO + secs(now), self.within(0, most) * 1_000_000));
        }
        RateProfile { knots }
    }

    /// A narrow client under a heavy load is only slow: its queue grows for ever.
    fn client(&mut self, wide: bool) -> ClientConfig {
        if self.chance(40) {
            return ClientConfig::Sdk(SdkConfig {
                batch_records: if wide { 500 } else { self.of(&[1, 10, 500]) },
                linger: millis(self.of(&[0, 5, 20, 1_000])),
                max_in_flight: if wide { 1_000 } else { self.of(&[1, 5]) },
                request_timeout: millis(self.of(&[1, 500, 6_000])),
                retry_failed: self.chance(70).then(|| RetryConfig {
                    attempts: self.of(&[0, 1, 3, 20]),
                    base: millis(self.of(&[0, 10, 100])),
                    ceiling: millis(self.of(&[0, 100, 5_000])),
                }),
            });
        }
        let mut kpl = crate::bench::kpl();
        if self.chance(50) {
            return ClientConfig::Kpl(kpl);
        }
        kpl.aggregation_enabled = self.chance(70);
        kpl.aggregation_max_size = self.of(&[64, 1_000, 51_200]);
        kpl.aggregation_max_count = self.of(&[1, 3, 100, u32::MAX]);
        if !wide {
            kpl.collection_max_count = self.of(&[1, 7, 500]);
            kpl.max_connections = self.of(&[1, 3, 24]);
            kpl.rate_limit = self.of(&[1, 50]);
        }
        kpl.collection_max_size = self.of(&[52_224, 1 << 20, 5 << 20]);
        kpl.record_max_buffered_time = millis(self.of(&[10, 100, 100, 1_000]));
        kpl.record_ttl = millis(self.of(&[100, 1_000, 30_000, 60_000]));
        kpl.rate_limit = kpl.rate_limit.min(self.of(&[100, 150, 300]));
        kpl.request_timeout = millis(self.of(&[100, 1_000, 6_000]));
        kpl.fail_if_throttled = self.chance(20);
        ClientConfig::Kpl(kpl)
    }

    fn consumer(&mut self, number: usize, config: &WorldConfig, mood: Mood) -> KclConfig {
        let calm = mood == Mood::Calm;
        let stream = self.index(config.streams.len());
        let version = self.of(&[KclVersion::V2, KclVersion::V3]);
        let retrieval = if self.chance(50) {
            Retrieval::FanOut
        } else {
            let idle: &[u64] =
                if calm { &[1_000, 1_500] } else { &[50, 200, 1_000, 1_500, 10_000] };
            crate::bench::polling(millis(self.of(idle)))
        };
        let workers = self.of(&[1, 2, 3, 8]);
        let shards = shards_of(&config.streams[stream]);
        KclConfig {
            name: format!("app{number}"),
            stream,
            workers,
            version,
            retrieval,
            service: self.service(stream, config, calm),
            worker_threads: self.of(&[0, 0, 1, 2]),
            failover_time: millis(self.of(&[2_000, 5_000, 10_000])),
            max_leases_for_worker: match mood {
                Mood::Calm => u32::MAX,
                Mood::Wild => self.of(&[shards, 2 * shards, u32::MAX]),
                Mood::Open => self.of(&[1, 3, u32::MAX, u32::MAX]),
            },
            max_leases_to_steal_at_one_time: self.of(&[1, 1, 5]),
            parent_shard_poll_interval: millis(self.of(&[0, 1_000, 10_000])),
            max_records: match mood {
                Mood::Calm => 10_000,
                Mood::Wild => self.of(&[100, 1_000, 10_000]),
                Mood::Open => self.of(&[1, 10, 1_000, 10_000]),
            },
            lease_count_based: self.chance(50),
            graceful_handoff: self.chance(60),
            graceful_handoff_timeout: secs(self.of(&[1, 30])),
            checkpoint_interval: millis(self.of(&[0, 0, 1_000, 60_000])),
            parents_first: self.chance(80),
            renews_iterators: calm || self.chance(80),
            sink_idempotent: self.chance(50),
            sink: None,
            outset: Outset::default(),
            initial_position: InitialPosition::Latest,
            leases: Vec::new(),
        }
    }

    /// In calm worlds one thread could process everything in a fifth of its time.
    fn service(&mut self, stream: usize, config: &WorldConfig, calm: bool) -> ServiceTime {
        let producers = config.producers.iter().filter(|p| p.to == Destination::Stream(stream));
        let most: u64 = producers
            .filter_map(|p| p.rate.knots.iter().map(|(_, rate)| *rate / 1_000_000).max())
            .sum();
        let percent = if calm { 20 } else { self.of(&[0, 10, 50, 100, 300]) };
        let each = SimDuration(10_000_000 * percent / most.max(1));
        let each = if calm { each.min(SimDuration::from_micros(200)) } else { each };
        if self.chance(50) { ServiceTime::Fixed(each) } else { ServiceTime::Exponential(each) }
    }

    fn entry(&mut self, config: &WorldConfig, mood: Mood) -> TimelineEntry {
        let calm = mood == Mood::Calm;
        let (at, lasts) = self.times(config, mood);
        let what = loop {
            let what = self.happening(config, calm);
            // There may be no consumer to hit.
            if let Some(what) = what {
                break what;
            }
        };
        let endless = mood == Mood::Open && self.chance(30);
        planned(at, (!endless).then_some(lasts), what)
    }

    /// The same fault twice, one begun while the other one is in force.
    pub(super) fn with_another(
        &mut self,
        first: TimelineEntry,
        config: &WorldConfig,
        mood: Mood,
    ) -> Vec<TimelineEntry> {
        let Some(lasts) = first.lasts.filter(|lasts| lasts.0 > 1 && self.chance(20)) else {
            return vec![first];
        };
        let at = first.at + SimDuration(self.within(0, lasts.0 - 1));
        let most = latest(config, mood).since(at);
        let second = planned(at, Some(SimDuration(self.within(0, most.0))), first.what.clone());
        vec![first, second]
    }

    /// When something begins, and how long it lasts: sometimes from the first instant on, and to the
    /// last one.
    pub(super) fn times(&mut self, config: &WorldConfig, mood: Mood) -> (SimTime, SimDuration) {
        let until = latest(config, mood);
        let at = match self.within(0, 9) {
            0 => SimTime::ZERO,
            1 | 2 => return self.beyond_the_last_record(until),
            _ => SimTime(self.within(0, until.0 / 1_000_000 - 1_000) * 1_000_000),
        };
        let at_most = until.since(at);
        let lasts = match self.within(0, 9) {
            0 => at_most,
            _ => SimDuration(self.within(1_000_000, at_most.0)),
        };
        (at, lasts)
    }

    /// Short, and over when the last record has come: no later one makes good what it did.
    fn beyond_the_last_record(&mut self, silent_from: SimTime) -> (SimTime, SimDuration) {
        let before = millis(self.within(500, 12_000));
        (SimTime(silent_from.0 - before.0), before + millis(self.within(0, 12_000)))
    }

    fn happening(&mut self, config: &WorldConfig, calm: bool) -> Option<Happening> {
        if self.chance(45) {
            return Some(self.operation(config));
        }
        let producer = self.index(config.producers.len());
        let stream = self.index(config.streams.len());
        let share_ppm = self.of(&[1_000, 300_000, 1_000_000]);
        if self.chance(50) && !config.consumers.is_empty() {
            return Some(self.worker_fault(config));
        }
        Some(match self.0.below(5) {
            0 => Happening::HotKey { producer, key: format!("k{}", self.0.below(3)), share_ppm },
            1 => Happening::RateFactor {
                producer,
                factor_ppm: if calm {
                    self.of(&[0, 2_000_000])
                } else {
                    self.of(&[0, 300_000, 5_000_000])
                },
                ramp: millis(self.of(&[0, 500, 20_000])),
            },
            2 => Happening::ThrottleApi { stream, share_ppm },
            3 => Happening::ExpireIterators { stream, share_ppm },
            _ => Happening::LoseAnswers { stream, share_ppm },
        })
    }

    fn worker_fault(&mut self, config: &WorldConfig) -> Happening {
        let app = self.index(config.consumers.len());
        let workers = self.within_u32(1, config.consumers[app].workers);
        let consumer = Fleet::App(app);
        match self.0.below(7) {
            0 => Happening::SlowConsumer {
                consumer,
                who: None,
                factor_ppm: self.of(&[0, 500_000, 3_000_000, 20_000_000]),
            },
            1 => Happening::Kill(Whom::workers(consumer, workers)),
            2 => Happening::Pause(Whom::workers(consumer, workers)),
            3 => Happening::AddWorkers { consumer, workers },
            4 => Happening::Stop(Whom::workers(consumer, workers)),
            5 => self.restart_loop(consumer, workers),
            _ => self.rolling_restart(consumer),
        }
    }

    pub(super) fn restart_loop(&mut self, consumer: Fleet, workers: u32) -> Happening {
        Happening::RestartLoop {
            whom: Whom::workers(consumer, workers),
            up: millis(self.of(&[500, 5_000, 30_000])),
            down: millis(self.of(&[100, 2_000, 20_000])),
        }
    }

    /// It has no end but its own.
    pub(super) fn rolling_restart(&mut self, consumer: Fleet) -> Happening {
        Happening::RollingRestart {
            consumer,
            down: millis(self.of(&[100, 1_000, 5_000])),
            gap: millis(self.of(&[100, 2_000, 5_000])),
        }
    }

    fn operation(&mut self, config: &WorldConfig) -> Happening {
        let stream = self.index(config.streams.len());
        let shards = shards_of(&config.streams[stream]);
        match self.0.below(6) {
            0 => Happening::SplitShard { stream, shard: self.within_u32(0, shards + 2) },
            1 => Happening::SplitHottestShard { stream },
            2 => {
                let shard = self.within_u32(0, shards);
                Happening::MergeShards { stream, shard, adjacent: shard + 1 }
            }
            3 => Happening::UpdateShardCount { stream, target: self.within_u32(1, shards * 2) },
            4 => Happening::SwitchMode { stream, capacity: self.capacity() },
            _ => Happening::WarmThroughput {
                stream,
                bytes_per_s: self.within(1_000_000, 50_000_000),
            },
        }
    }
}

/// Mean bytes of data of a record.
pub(super) fn mean_bytes(size: &SizeDistribution) -> u64 {
    match *size {
        SizeDistribution::Fixed(bytes) => u64::from(bytes),
        SizeDistribution::Uniform { min, max } => u64::from(min).midpoint(u64::from(max)),
        // Generous: the tail of these is long.
        SizeDistribution::LogNormal { median, .. } => u64::from(median) * 8,
    }
}
