//! Queueing theory that the engine, the workload and the books must match (V-01, V-02, V-03, V-07).

mod processors;

use sim_core::config::{Arrivals, ClientConfig, ProducerConfig, RateProfile, ServiceTime};
use sim_core::engine::dist::exponential;
use sim_core::engine::{NANOS_PER_SEC, Rngs, SimDuration, SimTime};
use sim_core::hash::HashRange;
use sim_core::metrics::latency::Latency;
use sim_core::service::Servers;
use sim_core::workload::Workload;

use crate::bench::{kcl, millis, producer, run, sdk, secs, stream, world};

/// Calls `each` with the instant of every record of a producer.
fn arrivals(config: &ProducerConfig, seed: u64, until: SimTime, mut each: impl FnMut(SimTime)) {
    let rngs = Rngs::new(seed);
    let mut workload = Workload::new(config, SimDuration::ZERO, (0, 1), &[], Vec::new(), &rngs);
    workload.reroute(vec![(0, HashRange { start: 0, end: u128::MAX })]);
    let mut now = SimTime::ZERO;
    while now <= until {
        workload.offer(now, |batch| (0..batch.count).for_each(|_| each(batch.offered_at)));
        now = workload.next_at(now);
    }
}

struct Measured {
    sojourn: Latency,
    sojourn_s: f64,
    wait_s: f64,
    waited: f64,
    idle: f64,
    rate: f64,
}

/// `servers` servers with the given service at Poisson arrivals of `rate` per second.
fn queue(rate: u64, servers: u32, service: ServiceTime, seed: u64, seconds: u64) -> Measured {
    let mut config = producer(rate);
    config.arrivals = Arrivals::Poisson;
    let mut luck = Rngs::new(seed).stream("service");
    let mut pool = Servers::new(servers);
    let (mut sojourn, mut wait, mut records, mut waited) = (0.0, 0.0, 0.0, 0.0);
    let mut latency = Latency::default();
    let until = SimTime::ZERO + secs(seconds);
    arrivals(&config, seed, until, |now| {
        let time = match service {
            ServiceTime::Fixed(time) => time,
            ServiceTime::Exponential(mean) => exponential(&mut luck, mean),
        };
        let served = pool.serve(now, time);
        latency.record(served.until.since(now), 1);
        sojourn += served.until.since(now).as_secs_f64();
        wait += served.from.since(now).as_secs_f64();
        waited += if served.from > now { 1.0 } else { 0.0 };
        records += 1.0;
    });
    Measured {
        sojourn: latency,
        sojourn_s: sojourn / records,
        wait_s: wait / records,
        waited: waited / records,
        idle: 1.0 - pool.busy().as_secs_f64() / f64::from(servers) / seconds as f64,
        rate: records / seconds as f64,
    }
}

/// Asserts T2: the mean of the seeds is within `tolerance` of theory, and theory within the seeds'
/// 99 % interval (2.756 standard errors at 29 degrees of freedom; 4 are allowed, as in D-21).
fn assert_t2(name: &str, values: &[f64], theory: f64, tolerance: f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / (n - 1.0);
    let error = (variance / n).sqrt();
    assert!((mean / theory - 1.0).abs() < tolerance, "{name}: {mean}, in theory {theory}");
    assert!((mean - theory).abs() < 4.0 * error, "{name}: {mean} ± {error}, in theory {theory}");
}

fn over_seeds(seeds: u64, measure: impl Fn(u64) -> Measured) -> Vec<Measured> {
    (1..=seeds).map(measure).collect()
}

fn column(measured: &[Measured], of: impl Fn(&Measured) -> f64) -> Vec<f64> {
    measured.iter().map(of).collect()
}

/// M/M/1 at 800/s and 1,000/s: mean sojourn 1/(mu-lambda) = 5 ms, p99 = 5 ms * ln 100 = 23.03 ms,
/// p99.9 = 34.54 ms, L = lambda W = 4, idle 0.2. And at two other loads.
#[test]
fn v_01_m_m_1() {
    for (rate, seconds) in [(800_u64, 250), (500, 100), (700, 150)] {
        let service = ServiceTime::Exponential(millis(1));
        let measured = over_seeds(30, |seed| queue(rate, 1, service, seed, seconds));
        let mean = 1.0 / (1_000.0 - rate as f64);
        assert_t2("W", &column(&measured, |m| m.sojourn_s), mean, 0.02);
        assert_t2("L", &column(&measured, |m| m.sojourn_s * m.rate), mean * rate as f64, 0.02);
        assert_t2("idle", &column(&measured, |m| m.idle), 1.0 - rate as f64 / 1_000.0, 0.02);
        // ln 100 and ln 1000.
        for (share, logarithm) in [(0.99, 4.605_17), (0.999, 6.907_76)] {
            let values = column(&measured, |m| m.sojourn.quantile_ms(share).unwrap() / 1e3);
            let error = values.iter().sum::<f64>() / 30.0 / (mean * logarithm) - 1.0;
            assert!(error.abs() < 0.05, "p{share} at {rate}: off by {error}");
        }
    }
}

/// M/D/1: Wq/S = rho / (2 (1 - rho)): half the wait of M/M/1.
#[test]
fn v_02_m_d_1() {
    for (rate, waits, seconds) in [(500_u64, 0.5, 100), (800, 2.0, 150), (900, 4.5, 400)] {
        let service = ServiceTime::Fixed(millis(1));
        let measured = over_seeds(30, |seed| queue(rate, 1, service, seed, seconds));
        assert_t2("Wq/S", &column(&measured, |m| m.wait_s * 1e3), waits, 0.02);
    }
}

/// M/M/c: P(wait) by Erlang C and Wq/S = C / (c - a).
#[test]
fn v_03_m_m_c() {
    for (c, rate, p_wait) in [(3_u32, 2_400_u32, 0.64719), (5, 4_000, 0.55411), (8, 6_400, 0.45765)]
    {
        let a = f64::from(rate) / 1e3;
        let service = ServiceTime::Exponential(millis(1));
        let measured = over_seeds(30, |seed| queue(u64::from(rate), c, service, seed, 100));
        assert_t2("P(wait)", &column(&measured, |m| m.waited), p_wait, 0.02);
        let waits = p_wait / (f64::from(c) - a);
        assert_t2("Wq/S", &column(&measured, |m| m.wait_s * 1e3), waits, 0.02);
    }
}

/// Capacity c, `a` per second for t seconds, then `b`: backlog (a-c) t, drained in backlog/(c-b),
/// and the oldest waits backlog/c. 1,000/s, 60 s at 1,500/s, then 300/s: 30,000, 42.857 s, 30 s.
#[test]
fn v_07_fluid_on_off() {
    for (c, a, on_s, b) in
        [(1_000_u64, 1_500_u64, 60_u64, 300_u64), (800, 2_000, 30, 400), (500, 600, 90, 50)]
    {
        let mut config = producer(a);
        let on = SimTime::ZERO + secs(on_s);
        config.rate = RateProfile {
            knots: vec![(SimTime::ZERO, a * 1_000_000), (on, a * 1_000_000), (on, b * 1_000_000)],
        };
        let service = SimDuration(NANOS_PER_SEC / c);
        let records = (a - c) * on_s;
        let backlog = records as f64;
        let drain = backlog / (c - b) as f64;
        let mut servers = Servers::new(1);
        let (mut oldest, mut done, mut arrived_on) = (SimDuration::ZERO, Vec::new(), 0_u64);
        let mut calm = None;
        arrivals(&config, 1, on + secs(records / (c - b) + 10), |now| {
            let served = servers.serve(now, service);
            oldest = oldest.max(served.from.since(now));
            done.push(served.until);
            arrived_on += u64::from(now <= on);
            if now > on && served.from == now && calm.is_none() {
                calm = Some(now);
            }
        });
        let served_on = done.iter().filter(|until| **until <= on).count() as u64;
        // T1: one record, one service time.
        assert!((arrived_on - served_on).abs_diff(records) <= 1);
        assert!((oldest.as_secs_f64() - backlog / c as f64).abs() <= 2.0 / c as f64);
        let drained = calm.expect("the backlog is drained").since(on).as_secs_f64();
        assert!((drained - drain).abs() <= 2.0 / b as f64, "{drained} against {drain}");
    }
}

/// The same M/M/1 through the whole model: fan-out and requests without latency, one shard, one
/// worker that takes exponential times.
#[test]
fn v_01_over_fan_out_at_zero_latency() {
    let mut means = Vec::new();
    for seed in 1..=10 {
        let mut shard = stream(1);
        (shard.put_latency, shard.push_latency) = (SimDuration::ZERO, SimDuration::ZERO);
        let mut config = world(secs(120), shard);
        (config.seed, config.resolution) = (seed, SimDuration::ZERO);
        let mut web = producer(800);
        web.arrivals = Arrivals::Poisson;
        let mut client = sdk(None);
        (client.batch_records, client.linger) = (1, SimDuration::ZERO);
        web.client = ClientConfig::Sdk(client);
        config.producers.push(web);
        let mut app = kcl(1);
        app.service = ServiceTime::Exponential(millis(1));
        config.consumers.push(app);
        let result = run(&config);
        let total: f64 = result.blame_total["app"].values().sum();
        let delivered = result.summary["records_delivered"].as_f64();
        assert_eq!(crate::bench::count(&result.summary, "records_throttled"), 0);
        means.push(total / delivered);
    }
    let mean = means.iter().sum::<f64>() / 10.0;
    assert!((mean / 0.005 - 1.0).abs() < 0.05, "mean sojourn {mean} s, in theory 5 ms");
}
