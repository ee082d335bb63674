use sim_core::config::*;
use sim_core::engine::*;
fn main() {
    let s = SimDuration::from_secs;
    let ms = SimDuration::from_millis;
    let config = WorldConfig {
        seed: 42,
        duration: s(1800),
        resolution: ms(20),
        streams: vec![StreamConfig {
            name: "clicks".into(),
            capacity: Capacity::Provisioned { shards: 10 },
            retention: s(86400),
            burst_bytes: 1 << 20,
            put_latency: ms(10),
            get_latency: ms(20),
            push_latency: ms(60),
            reshard_time: s(30),
            reshard_serially: true,
        }],
        producers: vec![ProducerConfig {
            name: "web".into(),
            stream: 0,
            instances: 4,
            flows: 4,
            rate: RateProfile {
                knots: vec![(SimTime::ZERO, 6_000_000_000)],
            },
            arrivals: Arrivals::Poisson,
            record_size: SizeDistribution::Fixed(1000),
            keys: KeyDistribution::Zipf {
                prefix: "user-".into(),
                keys: 100_000,
                exponent: 0.8,
            },
            hot_keys: vec![],
            salt: 1,
            client: ClientConfig::Kpl(KplConfig {
                aggregation_enabled: true,
                aggregation_max_size: 51200,
                aggregation_max_count: u32::MAX,
                collection_max_count: 500,
                collection_max_size: 5 << 20,
                record_max_buffered_time: ms(100),
                record_ttl: s(30),
                rate_limit: 150,
                max_connections: 24,
                request_timeout: s(6),
                fail_if_throttled: false,
            }),
        }],
        consumers: vec![KclConfig {
            name: "profiles".into(),
            stream: 0,
            workers: 5,
            version: KclVersion::V3,
            retrieval: Retrieval::FanOut,
            service: ServiceTime::Fixed(SimDuration::from_micros(300)),
            worker_threads: 0,
            failover_time: s(10),
            max_leases_for_worker: u32::MAX,
            max_leases_to_steal_at_one_time: 1,
            parent_shard_poll_interval: s(10),
            max_records: 10000,
            lease_count_based: false,
            graceful_handoff: true,
            graceful_handoff_timeout: s(30),
            checkpoint_interval: s(10),
            parents_first: true,
            renews_iterators: true,
            sink_idempotent: false,
        }],
        timeline: vec![
            TimelineEntry {
                at: SimTime(300_000_000_000),
                lasts: Some(s(900)),
                what: Happening::HotKey {
                    producer: 0,
                    key: "user-1".into(),
                    share_ppm: 330_000,
                },
            },
            TimelineEntry {
                at: SimTime(480_000_000_000),
                lasts: None,
                what: Happening::SplitHottestShard { stream: 0 },
            },
        ],
    };
    let mut config = config;
    if std::env::args().nth(1).as_deref() == Some("nosplit") {
        config.timeline.truncate(1);
    }
    let t = std::time::Instant::now();
    let r = sim_core::run::run(&config, &|_| {});
    let el = t.elapsed();
    for (k, v) in &r.summary {
        println!("{k:28} {v:?}");
    }
    println!("{:?}\n{:?}", r.blame, r.blame_total);
    for e in r.events.iter().take(60) {
        println!("{} {} {} {}", e.at, e.kind, e.subject, e.detail);
    }
    println!("{:?} {:?} events {}", r.warnings, el, r.events_processed);
}
