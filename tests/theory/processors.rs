//! The same laws through the real processors: a worker of the KCL, a member of a Kafka group, and
//! the write budget of a shard.
//!
//! V-03 has no place here: no process of the models is c servers at one queue. The threads of a
//! KCL worker are none, since a shard has one processor and its records wait for it even while
//! other threads idle; and a broker's `num.io.threads` is not modelled.

use sim_core::config::kafka::Acks;
use sim_core::config::{
    Arrivals, ClientConfig, ProducerConfig, RateProfile, ServiceTime, WorldConfig,
};
use sim_core::engine::{NANOS_PER_SEC, SimDuration, SimTime};
use sim_core::result::{Point, RunResult};
use sim_core::service::Servers;

use super::arrivals;
use crate::bench::{at, count, kcl, metric, millis, one_key_per_shard, producer, run, sdk, secs};
use crate::bench::{stream, world};
use crate::kafka_bench;

/// When the load begins: leases and partitions have their owners by then.
const BEGINS_S: u64 = 30;

/// Silence until the load begins, then each rate (records per second) for its seconds, in turn.
fn profile(rates: &[(u64, u64)]) -> RateProfile {
    let mut now = at(BEGINS_S);
    let mut knots = vec![(SimTime::ZERO, 0), (now, 0)];
    for (rate, seconds) in rates {
        let until = now + secs(*seconds);
        knots.extend([(now, rate * 1_000_000), (until, rate * 1_000_000)]);
        now = until;
    }
    knots.push((now, 0));
    RateProfile { knots }
}

/// A world of one stream, without any latency, whose producer sends each record at once.
fn instant_world(seconds: u64, shards: u32, web: ProducerConfig) -> WorldConfig {
    let mut stream = stream(shards);
    (stream.put_latency, stream.push_latency) = (SimDuration::ZERO, SimDuration::ZERO);
    let mut config = world(secs(seconds), stream);
    let mut client = sdk(None);
    (client.batch_records, client.linger) = (1, SimDuration::ZERO);
    config.producers.push(ProducerConfig { client: ClientConfig::Sdk(client), ..web });
    config
}

fn points<'r>(result: &'r RunResult, name: &str) -> &'r [Point] {
    &result.series.iter().find(|series| series.name == name).expect("a series").points
}

/// V-02: with a fixed service a worker is the queue M/D/1, record for record: the ages of all
/// deliveries add up to the sojourns of the same arrivals at one server, to the nanosecond. That
/// those have the mean of theory, `v_02_m_d_1` tells.
#[test]
fn v_02_a_worker_of_the_kcl_is_m_d_1() {
    for (rate, seed) in [(500, 1), (800, 2), (900, 3)] {
        let mut web = producer(1);
        web.rate = profile(&[(rate, 40)]);
        web.arrivals = Arrivals::Poisson;
        let mut config = instant_world(120, 1, web.clone());
        (config.seed, config.resolution) = (seed, SimDuration::ZERO);
        let mut app = kcl(1);
        app.service = ServiceTime::Fixed(millis(1));
        config.consumers.push(app);
        let result = run(&config);
        let delivered = count(&result.summary, "records_delivered");
        assert_eq!(delivered, count(&result.summary, "records_offered"));
        let mut server = Servers::new(1);
        let (mut records, mut sojourn, mut longest) = (0, 0, SimDuration::ZERO);
        arrivals(&web, seed, at(BEGINS_S + 40), |now| {
            let age = server.serve(now, millis(1)).until.since(now);
            (records, sojourn, longest) = (records + 1, sojourn + age.0, longest.max(age));
        });
        assert_eq!(delivered, records);
        let blame = &result.blame_total["app"];
        let in_nanos = |seconds: f64| (seconds * NANOS_PER_SEC as f64).round();
        let total: f64 = blame.values().sum();
        assert!((in_nanos(total) / sojourn as f64 - 1.0).abs() < 1e-12, "{total} s, {sojourn} ns");
        let oldest: f64 = result.blame["app"].values().sum();
        assert!((in_nanos(oldest) - longest.0 as f64).abs() < 0.5, "{oldest} s, {longest:?}");
        // Nothing but the server is waited for.
        assert!((in_nanos(blame["service"]) / (records * 1_000_000) as f64 - 1.0).abs() < 1e-12);
        let capacity = in_nanos(blame["capacity"]) / (sojourn - records * 1_000_000) as f64;
        assert!((capacity - 1.0).abs() < 1e-12, "{blame:?}");
    }
}

/// A load beyond the capacity c for a while, and what follows it.
struct OnOff {
    capacity: u64,
    on: u64,
    on_s: u64,
    off: u64,
}

impl OnOff {
    fn backlog(&self) -> u64 {
        (self.on - self.capacity) * self.on_s
    }

    /// The second after the load in which the backlog is gone.
    fn drained_in_s(&self) -> u64 {
        self.backlog() / (self.capacity - self.off)
    }

    fn service(&self) -> ServiceTime {
        ServiceTime::Fixed(SimDuration(NANOS_PER_SEC / self.capacity))
    }

    /// On, off for two drains, then silence until all is read.
    fn rate(&self) -> RateProfile {
        profile(&[(self.on, self.on_s), (self.off, self.drained_in_s() * 2)])
    }

    fn ends_s(&self) -> u64 {
        BEGINS_S + self.on_s + self.drained_in_s() * 2 + 10
    }

    /// The backlog when the load ends, the second in which it is gone, and the greatest age:
    /// `slack` is what the way to the consumer and from one chunk to the next takes.
    fn assert_fluid(&self, result: &RunResult, name: &str, slack: SimDuration, age: SimDuration) {
        let lag = points(result, &format!("consumers.{name}.lag_records"));
        let off = usize::try_from(BEGINS_S + self.on_s).unwrap();
        let records = self.on as f64 * slack.as_secs_f64() + 1.0;
        let peak = lag[off - 1].value;
        assert!((peak - self.backlog() as f64).abs() <= records, "{peak} of {}", self.backlog());
        let few = self.off as f64 * slack.as_secs_f64() + 1.0;
        let drained = lag[off..].iter().position(|point| point.min <= few).expect("drained");
        assert_eq!(drained as u64, self.drained_in_s());
        let oldest = metric(&result.summary, "lag_seconds_max");
        let expected = self.backlog() as f64 / self.capacity as f64;
        assert!((oldest - expected).abs() <= age.as_secs_f64(), "{oldest} s, {expected} in theory");
        assert_eq!(count(&result.summary, "records_unread"), 0);
    }
}

/// V-07: (a-c) t behind at the end, gone after backlog/(c-b), the oldest waits backlog/c. One shard
/// and one processor: 14,000, 37.838 s, 28 s; 15,000, 53.571 s, 37.5 s. T1: a cell of 1 ms, and one
/// service.
#[test]
fn v_07_fluid_on_off_through_a_worker_of_the_kcl() {
    for case in [
        OnOff { capacity: 500, on: 850, on_s: 40, off: 130 },
        OnOff { capacity: 400, on: 900, on_s: 30, off: 120 },
    ] {
        let mut web = producer(1);
        web.rate = case.rate();
        let mut config = instant_world(case.ends_s(), 1, web);
        let mut app = kcl(1);
        app.service = case.service();
        config.consumers.push(app);
        let result = run(&config);
        case.assert_fluid(&result, "app", millis(2), millis(5));
    }
}

/// V-07 in its own figures, beyond one shard: 1,000/s by the only thread of a worker, 60 s at
/// 1,500/s on two shards, then 300/s: 30,000, 42.857 s, 30 s. The thread takes the shards in turn,
/// so the age is out by at most a chunk of each: 256 KiB of records of 136 bytes are 1.928 s.
#[test]
fn v_07_fluid_on_off_through_one_thread_over_two_shards() {
    let case = OnOff { capacity: 1_000, on: 1_500, on_s: 60, off: 300 };
    let mut web = producer(1);
    web.rate = case.rate();
    web.keys = one_key_per_shard(2);
    let mut config = instant_world(case.ends_s(), 2, web);
    let mut app = kcl(1);
    (app.service, app.worker_threads) = (case.service(), 1);
    config.consumers.push(app);
    case.assert_fluid(&run(&config), "app", millis(2), millis(2 * 1_928));
}

/// V-07 through the member of a group: 30,000, 42.857 s, 30 s; 60,000, 38.710 s, 30 s. T1: produce,
/// replication and fetch take some milliseconds; each answer of 1 MiB is followed by a round trip.
#[test]
fn v_07_fluid_on_off_through_a_member_of_a_group() {
    for case in [
        OnOff { capacity: 1_000, on: 1_500, on_s: 60, off: 300 },
        OnOff { capacity: 2_000, on: 5_000, on_s: 20, off: 450 },
    ] {
        let mut config = kafka_bench::world(secs(case.ends_s()), kafka_bench::cluster(3, 1));
        let web = kafka_bench::producer(1, Acks::All);
        config.producers.push(ProducerConfig { rate: case.rate(), ..web });
        let mut group = kafka_bench::group(1);
        group.service = case.service();
        config.groups.push(group);
        let result = run(&config);
        case.assert_fluid(&result, "billing", millis(50), millis(50));
    }
}

/// V-09 as a fluid with pauses: a bucket that refills at r, empty after the first load, gains
/// (r-b) y in a pause of y seconds at b (up to its depth), and so refuses (a-r) x - (r-b) y of
/// the next x seconds at a. r = 1,000 records/s of depth 1,000; or 1 MiB/s of depth 1 MiB, which
/// are 100 records of 10,485 bytes and 76 over.
#[test]
fn v_09_the_write_budget_of_a_shard_is_a_fluid_bucket() {
    for (r, bytes, (a, x), (b, y)) in [
        (1_000_i64, 100, (2_000_i64, 1_i64), (600_i64, 1_i64)),
        (1_000, 100, (1_800, 2), (100, 1)),
        (1_000, 100, (3_000, 1), (0, 3)),
        (100, 10_485 - 36, (250, 2), (50, 1)),
    ] {
        const CYCLES: i64 = 10;
        let rates = [(a.unsigned_abs(), x.unsigned_abs()), (b.unsigned_abs(), y.unsigned_abs())];
        let mut web = producer(1);
        web.rate = profile(&rates.repeat(10));
        web.record_size = sim_core::config::SizeDistribution::Fixed(bytes);
        let mut config = instant_world(120, 1, web);
        config.resolution = SimDuration::ZERO;
        let result = run(&config);
        let depth = r;
        let first = ((a - r) * x - depth).max(0);
        let saved = ((r - b) * y).min(depth);
        let later = ((a - r) * x - saved).max(0);
        let expected = first + later * (CYCLES - 1);
        let refused = count(&result.summary, "records_refused").cast_signed();
        // T1: one record at each end of a load.
        let off = (refused - expected).abs();
        assert!(
            off <= 2 * CYCLES,
            "{refused} refused of {expected}: {a}/s for {x} s, {b}/s for {y}"
        );
    }
}
