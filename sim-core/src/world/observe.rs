//! What is watched while a run goes on: series, sampled four times a second and kept per second.

use crate::config::kafka::ClusterConfig;
use crate::engine::{SimDuration, SimTime};
use crate::metrics::recorder::{Recorder, SeriesId};
use crate::result::Series;

use super::World;

/// The step of all series.
pub(crate) const STEP: SimDuration = SimDuration::from_secs(1);
/// When samples are taken inside a step, in milliseconds. Uneven on purpose: even ones would fall
/// into step with arrivals on a grid, and always see the same moment of their coming and going.
pub(crate) const SAMPLES_MS: [u64; 4] = [137, 391, 683, 1_000];

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
    /// When samples are taken inside a step, in milliseconds; the last one ends it.
    instants_ms: [u64; 4],
    taken: u64,
}

impl Observer {
    /// Series for every member of the world, sampled at these milliseconds of each step.
    pub(crate) fn new(world: &World, instants_ms: [u64; 4]) -> Self {
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
        let clusters =
            config.clusters.iter().map(|it| of_cluster(&it.name, &mut recorder)).collect();
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
        Self {
            recorder,
            total,
            producers,
            streams,
            clusters,
            brokers,
            consumers,
            groups,
            instants_ms,
            taken: 0,
        }
    }

    /// When the next sample is taken, and whether it ends a step.
    pub(crate) fn next_at(&self) -> (SimTime, bool) {
        let samples = self.instants_ms.len();
        let place = usize::try_from(self.taken % samples as u64).expect("below 4");
        let step = SimTime::ZERO + STEP.times(self.taken / samples as u64);
        (step + SimDuration::from_millis(self.instants_ms[place]), place + 1 == samples)
    }

    /// Takes the next sample; the last one of a step ends it. Whoever looks changes nothing.
    pub(crate) fn sample(&mut self, world: &World) {
        let (now, ends_step) = self.next_at();
        self.taken += 1;
        let (mut lag, mut oldest) = (0, SimDuration::ZERO);
        let mut finished = Vec::with_capacity(self.consumers.len());
        for (app, ids) in world.apps.iter().zip(&self.consumers) {
            let of_app = app.lag(&world.streams[app.config.stream], now);
            lag += of_app.unread;
            oldest = oldest.max(of_app.oldest);
            finished.push(of_app.finished);
            self.recorder.level(ids[1], to_f64(of_app.unread));
            self.recorder.level(ids[2], of_app.oldest.as_secs_f64());
        }
        let of_groups = &self.consumers[world.apps.len()..];
        for ((&(cluster, place), ids), of_group) in
            world.groups.iter().zip(of_groups).zip(&self.groups)
        {
            let gauges = world.clusters[cluster].group_gauges(place, now);
            lag += gauges.unread;
            oldest = oldest.max(gauges.oldest);
            finished.push(gauges.finished);
            self.recorder.level(ids[1], to_f64(gauges.unread));
            self.recorder.level(ids[2], gauges.oldest.as_secs_f64());
            self.recorder.level(of_group[0], to_f64(gauges.assigned));
            self.recorder.level(of_group[1], if gauges.rebalancing { 1.0 } else { 0.0 });
            self.recorder.level(of_group[2], to_f64(gauges.client_lag));
        }
        self.recorder.level(self.total[4], to_f64(lag));
        self.recorder.level(self.total[5], oldest.as_secs_f64());
        if ends_step {
            self.count_clusters(world, now);
            self.count(world, &finished);
            self.recorder.end_step();
        }
    }

    /// Levels of a cluster change with events that a second does not hide: once a step is enough.
    fn count_clusters(&mut self, world: &World, now: SimTime) {
        for (index, ids) in self.clusters.iter().enumerate() {
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
    }

    /// `finished` is what each consumer has processed and the ledger does not count yet.
    fn count(&mut self, world: &World, finished: &[u64]) {
        let mut sums = [0_u64; 4];
        for (book, ids) in world.ledger.producers.iter().zip(&self.producers) {
            let counts = [book.offered, book.accepted, book.throttled, book.refused];
            for (id, count) in ids.iter().zip(counts) {
                self.recorder.count(*id, count);
            }
            sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
        sums[3] = 0;
        let books = world.ledger.consumers.iter().zip(finished);
        for ((book, finished), ids) in books.zip(&self.consumers) {
            self.recorder.count(ids[0], book.delivered + finished);
            sums[3] += book.delivered + finished;
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

/// The levels of a cluster, and what its leaders counted.
fn of_cluster(name: &str, recorder: &mut Recorder) -> [SeriesId; 9] {
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
}

/// Bytes through the network interface of each broker.
fn of_brokers(cluster: &ClusterConfig, recorder: &mut Recorder) -> Vec<SeriesId> {
    let prefix = format!("systems.{}.broker", cluster.name);
    let name = |broker: usize| format!("{prefix}-{broker}.network_bytes_per_s");
    (0..cluster.brokers.len()).map(|broker| recorder.rate(name(broker), "B/s")).collect()
}

#[expect(clippy::cast_precision_loss, reason = "series are for reports only")]
fn to_f64(n: u64) -> f64 {
    n as f64
}
