//! What is watched while a run goes on: series, sampled four times a second and kept per second.

use crate::config::kafka::ClusterConfig;
use crate::engine::{SimDuration, SimTime};
use crate::metrics::recorder::{Recorder, SeriesId};
use crate::result::Series;

use super::{Event, World};

/// The step of all series.
pub(crate) const STEP: SimDuration = SimDuration::from_secs(1);
/// When samples are taken inside a step, in milliseconds. Uneven on purpose: even ones would fall
/// into step with arrivals on a grid, and always see the same moment of their coming and going.
const SAMPLES_MS: [u64; 4] = [137, 391, 683, 1_000];

/// When sample `number` (from 0) is taken, and whether it ends a step.
pub(crate) fn sample_at(number: u64) -> (SimTime, bool) {
    let samples = SAMPLES_MS.len() as u64;
    let place = usize::try_from(number % samples).expect("below 4");
    let at = SimTime::ZERO + STEP.times(number / samples);
    (at + SimDuration::from_millis(SAMPLES_MS[place]), place + 1 == SAMPLES_MS.len())
}

/// The series of a run.
#[derive(Clone)]
pub(crate) struct Observer {
    recorder: Recorder,
    total: [SeriesId; 6],
    producers: Vec<[SeriesId; 4]>,
    streams: Vec<[SeriesId; 3]>,
    clusters: Vec<[SeriesId; 9]>,
    /// By cluster and broker: network bytes.
    brokers: Vec<Vec<SeriesId>>,
    /// Applications, then groups.
    consumers: Vec<[SeriesId; 3]>,
    groups: Vec<[SeriesId; 3]>,
}

impl Observer {
    /// Series for every member of the world.
    pub(crate) fn new(world: &World) -> Self {
        let mut recorder = Recorder::new(STEP.as_secs_f64());
        let flow = |recorder: &mut Recorder, prefix: &str, what: &str| {
            recorder.rate(format!("{prefix}.records_{what}_per_s"), "records/s")
        };
        let total = [
            flow(&mut recorder, "total", "offered"),
            flow(&mut recorder, "total", "accepted"),
            flow(&mut recorder, "total", "throttled"),
            flow(&mut recorder, "total", "delivered"),
            recorder.gauge("total.lag_records".into(), "records"),
            recorder.gauge("total.lag_seconds".into(), "s"),
        ];
        let config = &world.config;
        let mut of_producer = |name: &str| {
            let prefix = format!("producers.{name}");
            ["offered", "accepted", "throttled", "refused"]
                .map(|what| flow(&mut recorder, &prefix, what))
        };
        let producers = config.producers.iter().map(|p| of_producer(&p.name)).collect();
        let mut of_stream = |name: &str| {
            [
                recorder.gauge(format!("systems.{name}.shards"), "shards"),
                recorder.rate(format!("systems.{name}.bytes_accepted_per_s"), "B/s"),
                recorder.gauge(format!("systems.{name}.write_capacity"), "B/s"),
            ]
        };
        let streams = config.streams.iter().map(|s| of_stream(&s.name)).collect();
        let mut of_cluster = |name: &str| {
            let prefix = format!("systems.{name}");
            let mut level = |what: &str, unit| recorder.gauge(format!("{prefix}.{what}"), unit);
            [
                level("partitions_unavailable", "partitions"),
                level("under_replicated", "partitions"),
                level("under_min_isr", "partitions"),
                level("in_sync_replicas", "replicas"),
                level("jmx.OfflinePartitionsCount", "partitions"),
                level("jmx.ActiveControllerCount", "controllers"),
                recorder.rate(format!("{prefix}.jmx.IsrShrinksPerSec"), "1/s"),
                recorder.rate(format!("{prefix}.jmx.IsrExpandsPerSec"), "1/s"),
                recorder.rate(format!("{prefix}.bytes_accepted_per_s"), "B/s"),
            ]
        };
        let clusters = config.clusters.iter().map(|c| of_cluster(&c.name)).collect();
        let brokers = config.clusters.iter().map(|it| of_brokers(it, &mut recorder)).collect();
        let mut of_consumer = |name: &str| {
            let prefix = format!("consumers.{name}");
            [
                flow(&mut recorder, &prefix, "delivered"),
                recorder.gauge(format!("{prefix}.lag_records"), "records"),
                recorder.gauge(format!("{prefix}.lag_seconds"), "s"),
            ]
        };
        let apps = config.consumers.iter().map(|app| &app.name);
        let names = apps.chain(config.groups.iter().map(|group| &group.name));
        let consumers = names.map(|name| of_consumer(name)).collect();
        let mut of_group = |name: &str| {
            let prefix = format!("consumers.{name}");
            let mut level = |what: &str, unit| recorder.gauge(format!("{prefix}.{what}"), unit);
            [
                level("partitions_assigned", "partitions"),
                level("rebalancing", "0 or 1"),
                level("client_lag_records", "records"),
            ]
        };
        let groups = config.groups.iter().map(|group| of_group(&group.name)).collect();
        Self { recorder, total, producers, streams, clusters, brokers, consumers, groups }
    }

    /// Takes a sample; the last one of a step ends it.
    pub(crate) fn sample(&mut self, world: &mut World, now: SimTime, ends_step: bool) {
        let (mut lag, mut oldest) = (0, SimDuration::ZERO);
        for index in 0..world.apps.len() {
            let (unread, age) = world.with_app(index, now, |app, at| app.sample(at));
            lag += unread;
            oldest = oldest.max(age);
            self.recorder.level(self.consumers[index][1], to_f64(unread));
            self.recorder.level(self.consumers[index][2], age.as_secs_f64());
        }
        let apps = world.apps.len();
        for index in 0..world.groups.len() {
            let gauges = world.with_group(index, now, |it, place, at| it.sample(place, at));
            lag += gauges.unread;
            oldest = oldest.max(gauges.oldest);
            let of_consumer = &self.consumers[apps + index];
            self.recorder.level(of_consumer[1], to_f64(gauges.unread));
            self.recorder.level(of_consumer[2], gauges.oldest.as_secs_f64());
            let of_group = &self.groups[index];
            self.recorder.level(of_group[0], to_f64(gauges.assigned));
            self.recorder.level(of_group[1], if gauges.rebalancing { 1.0 } else { 0.0 });
            self.recorder.level(of_group[2], to_f64(gauges.client_lag));
        }
        // Levels of a cluster change with events that a second does not hide: once a step is enough.
        for (index, ids) in self.clusters.iter().enumerate().filter(|_| ends_step) {
            let gauges = world.clusters[index].gauges();
            let levels = [
                gauges.unavailable,
                gauges.under_replicated,
                gauges.under_min_isr,
                gauges.in_sync_replicas,
                gauges.offline,
                gauges.active_controllers,
            ];
            for (id, level) in ids.iter().zip(levels) {
                self.recorder.level(*id, to_f64(level));
            }
            let counts = world.clusters[index].counts(now);
            self.recorder.count(ids[6], counts.leaders_shrinks);
            self.recorder.count(ids[7], counts.leaders_expands);
            self.recorder.count(ids[8], gauges.bytes_in);
            let bytes = world.clusters[index].network_bytes();
            for (id, (received, sent)) in self.brokers[index].iter().zip(bytes) {
                self.recorder.count(*id, received + sent);
            }
        }
        let of_apps = world.apps.iter().map(|app| app.counts.lag_records_max);
        let of_groups = world
            .groups
            .iter()
            .map(|&(cluster, place)| world.clusters[cluster].group_result(place).lag_records_max);
        let highest = of_apps.chain(of_groups).max();
        world.lag_records_max = world.lag_records_max.max(lag).max(highest.unwrap_or(0));
        self.recorder.level(self.total[4], to_f64(lag));
        self.recorder.level(self.total[5], oldest.as_secs_f64());
        if ends_step {
            self.count(world);
            self.recorder.end_step();
        }
    }

    fn count(&mut self, world: &World) {
        let mut sums = [0_u64; 4];
        for (book, ids) in world.ledger.producers.iter().zip(&self.producers) {
            let counts = [book.offered, book.accepted, book.throttled, book.refused];
            for (id, count) in ids.iter().zip(counts) {
                self.recorder.count(*id, count);
            }
            sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
        sums[3] = 0;
        for (book, ids) in world.ledger.consumers.iter().zip(&self.consumers) {
            self.recorder.count(ids[0], book.delivered);
            sums[3] += book.delivered;
        }
        for (id, sum) in self.total.iter().zip(sums) {
            self.recorder.count(*id, sum);
        }
        for ((stream, usage), ids) in world.streams.iter().zip(&world.usage).zip(&self.streams) {
            self.recorder.level(ids[0], to_f64(stream.open.len() as u64));
            self.recorder.count(ids[1], usage.wire_bytes);
            self.recorder.level(ids[2], to_f64(stream.write_capacity()));
        }
    }

    /// All series.
    pub(crate) fn finish(self) -> Vec<Series> {
        self.recorder.finish()
    }
}

/// Bytes through the network interface of each broker.
fn of_brokers(cluster: &ClusterConfig, recorder: &mut Recorder) -> Vec<SeriesId> {
    let prefix = format!("systems.{}.broker", cluster.name);
    let name = |broker: usize| format!("{prefix}-{broker}.network_bytes_per_s");
    (0..cluster.brokers.len()).map(|broker| recorder.rate(name(broker), "B/s")).collect()
}

impl World {
    /// What happens at the end of each second: capacity follows, logs forget.
    pub(crate) fn end_second(&mut self, now: SimTime) {
        self.set_cause(0);
        let second = now.0 / STEP.0;
        self.clusters.iter_mut().for_each(|cluster| cluster.tidy(second));
        for index in 0..self.streams.len() {
            if !self.streams[index].scale(now).is_empty() {
                let stream = u16::try_from(index).expect("few streams");
                if let Some((at, _)) = self.streams[index].pending.front() {
                    self.queue.schedule_at(*at, Event::Reshard(stream));
                }
            }
            for shard in 0..self.streams[index].shards.len() {
                let number = u32::try_from(shard).expect("fewer than 2^32 shards");
                let apps = self.readers[index].iter().map(|&app| &self.apps[app]);
                let needed = apps.map(|app| app.needs_from(number)).min();
                let log = &mut self.streams[index].shards[shard].log;
                log.drop_before(needed.unwrap_or_else(|| log.end()).min(log.end()));
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "series are for reports only")]
fn to_f64(n: u64) -> f64 {
    n as f64
}
