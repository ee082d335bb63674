//! Who is in sync, what it takes to come level, and what a leader that is alone loses.

use sim_core::config::kafka::*;
use sim_core::config::*;
use sim_core::engine::{SimDuration, SimTime};

use super::*;
use crate::bench::{at, count, metric, millis, run, secs};
use crate::kafka_bench::*;

/// Two or more brokers whose network, of `bytes` per second each way, is the only narrow thing.
fn narrow(brokers: usize, assignment: Vec<Vec<usize>>, bytes: u64) -> ClusterConfig {
    let mut cluster = cluster(brokers, u32::try_from(assignment.len()).unwrap());
    cluster.topics[0].replication_factor = 2;
    cluster.topics[0].assignment = assignment;
    cluster.hardware.network = bytes;
    // A fetch brings at most half a second of it.
    cluster.settings.replica_fetch_response_max_bytes = bytes / 2;
    cluster.settings.replica_fetch_max_bytes = bytes / 10;
    cluster.settings.auto_leader_rebalance = false;
    cluster
}

/// V-54: a follower that was down for T while its leaders took U of what it can take in has
/// U T / (1 - U) to go from its registration to the full ISR: 120 s down at U = 0.5: 120 s. And
/// 30 s at 0.8: 120 s; 60 s at 0.25: 20 s. From one leader, and from two at once, which share the
/// follower's way in.
#[test]
fn v_54_catching_up_takes_the_backlog_over_what_is_left() {
    let bytes = 2_000_000;
    for (leaders, percent, down_s) in [(1, 50, 120), (1, 80, 30), (1, 25, 60), (2, 50, 60)] {
        let last = leaders;
        let assignment = (0..20).map(|number| vec![number % leaders, last]).collect();
        let cluster = narrow(leaders + 1, assignment, bytes);
        let utilisation = percent as f64 / 100.0;
        let mut web = producer(bytes * percent / 100 / 1_000, Acks::Leader);
        web.record_size = SizeDistribution::Fixed(1_000);
        let start_s = 10;
        let mut config = world(secs(10 + start_s + down_s + 200), cluster);
        config.resolution = millis(100);
        config.producers.push(web);
        let stop = Happening::Stop(Whom::brokers(0, &[u32::try_from(last).unwrap()]));
        config.timeline.push(planned(at(10), Some(secs(down_s - start_s)), stop));
        let result = run(&config);
        let name = format!("broker-{last}");
        let stopped = event(&result, at(10), "broker_stopped", &name).at;
        let registered = event(&result, stopped, "broker_registered", &name).at;
        let down = registered.since(stopped).as_secs_f64();
        let expected = utilisation * down / (1.0 - utilisation);
        let full = points(&result, "systems.orders.in_sync_replicas");
        let back = registered.as_secs_f64();
        let from = usize::try_from(registered.0.div_ceil(1_000_000_000)).unwrap();
        let second = full.iter().skip(from).position(|it| it.value > 39.5);
        let second = second.expect("it comes level") + from + 1;
        // T1: one fetch of half a second, and the series' step; record headers are not modelled.
        near(second as f64 - back, expected, 0.02 * expected + 2.0, "catching up");
    }
}

/// V-59: a follower that stops fetching at t leaves the ISR at the leader's first look after t + T,
/// looks come every T/2: within [T, 1.5 T], uniformly over the phases of brokers. The follower's
/// disk all but stops, so that its fetch never comes to an end, and it stays alive. T = 30 s, 10 s
/// (up to 2.4), 4 s.
#[test]
fn v_59_a_follower_that_stops_fetching_leaves_within_one_and_a_half_lag_times() {
    for lag_s in [30_u64, 10, 4] {
        let mut sum = 0.0;
        let seeds = 40_u32;
        let (mut least, mut most) = (f64::INFINITY, 0.0_f64);
        for seed in 1..=seeds {
            let mut cluster = cluster(3, 1);
            cluster.topics[0].assignment = vec![vec![0, 1, 2]];
            cluster.settings.replica_lag_time_max = secs(lag_s);
            // Appends wait for the disk: there is no room for what is not written.
            cluster.hardware.page_cache = 0;
            let mut config = world(secs(22 + lag_s * 3 / 2), cluster);
            config.seed = u64::from(seed);
            config.producers.push(producer(100, Acks::Leader));
            let slow = Happening::SlowDisks {
                cluster: 0,
                who: Who::Numbers(vec![1]),
                factor_ppm: 1_000_000_000_000,
            };
            config.timeline.push(planned(at(20), None, slow));
            let result = run(&config);
            assert_eq!(count(&result.summary, "isr_shrinks"), 1);
            let series = points(&result, "systems.orders.in_sync_replicas");
            let second = series.iter().position(|it| it.value < 2.5).unwrap() as f64;
            // Point i is the level at i + 1; the shrink happened in the second before.
            let after = second + 1.0 - 20.0;
            let (low, high) = (lag_s as f64, 1.5 * lag_s as f64);
            assert!(low <= after && after - 1.0 <= high + 0.02, "{after} s, T = {lag_s} s");
            (least, most) = (least.min(after), most.max(after));
            sum += after - 0.5;
        }
        // Uniform: mean 1.25 T, standard error T / 2 / sqrt(12 n).
        let (mean, lag) = (sum / f64::from(seeds), lag_s as f64);
        let error = lag / 2.0 / (12.0 * f64::from(seeds)).sqrt();
        near(mean, 1.25 * lag, 4.0 * error, "mean");
        // The outer eighths of the interval are met, each with 1 - (7/8)^40 = 99.5 %.
        assert!(least < lag * 17.0 / 16.0 + 1.0 && most > lag * 23.0 / 16.0, "{least} to {most} s");
    }
}

/// The negative: an idle partition's follower is level, whatever its disk does.
#[test]
fn v_59_an_idle_partition_never_shrinks() {
    let mut cluster = cluster(3, 1);
    cluster.hardware.page_cache = 0;
    let mut config = world(secs(120), cluster);
    config.producers.push(producer_until(100, Acks::Leader, 10));
    let slow = Happening::SlowDisks {
        cluster: 0,
        who: Who::Numbers(vec![1]),
        factor_ppm: 1_000_000_000_000,
    };
    config.timeline.push(planned(at(20), None, slow));
    assert_eq!(count(&run(&config).summary, "isr_shrinks"), 0);
}

/// A record each 67 s, over links with a round trip of one second: followers are healthy, also
/// when a look at them, each 15 s, falls into the second in which the record is on its way (K-ISR-1: a fetch
/// that waits for data says all the time that its sender is level).
#[test]
fn a_record_after_a_long_silence_is_no_lag() {
    let mut cluster = cluster(3, 1);
    cluster.hardware.rtt_across_zones = secs(1);
    let mut config = world(secs(3_600), cluster);
    config.resolution = millis(250);
    let mut web = producer(1, Acks::Leader);
    web.rate = RateProfile { knots: vec![(SimTime::ZERO, 1_000_000 / 67)] };
    config.producers.push(web);
    assert_eq!(count(&run(&config).summary, "isr_shrinks"), 0);
}

/// A follower that comes back joins the ISR although its leader appends all the time: the
/// watermark waits for who is caught up by time (K-HW-1), so there is a moment at which both agree.
#[test]
fn a_follower_joins_under_steady_load() {
    for rate in [2_000, 10_000] {
        let mut cluster = cluster(3, 1);
        cluster.topics[0].replication_factor = 2;
        cluster.topics[0].assignment = vec![vec![0, 1]];
        let mut config = world(secs(90), cluster);
        config.producers.push(producer(rate, Acks::All));
        let stop = Happening::Stop(Whom::brokers(0, &[1]));
        config.timeline.push(planned(at(10), Some(secs(5)), stop));
        let result = run(&config);
        let last = points(&result, "systems.orders.in_sync_replicas")[60].value;
        near(last, 2.0, 0.1, "in-sync replicas");
    }
}

/// V-61: each partition with data adds 20 us to a fetch: 1000 partitions with one fetcher 20 ms (here
/// against ten partitions: 19.8 ms); with the followers spread over ten brokers 2 ms. Linear:
/// 100, 500, 1000. And at 50 us.
#[test]
fn v_61_replication_adds_twenty_microseconds_a_partition() {
    let latency = |partitions: usize, followers: usize, each_us: u64| {
        let mut cluster = cluster(followers + 1, u32::try_from(partitions).unwrap());
        cluster.zones = vec!["a".into()];
        cluster.brokers = vec![0; followers + 1];
        cluster.quorum = one_zone();
        cluster.topics[0].replication_factor = 2;
        cluster.topics[0].assignment =
            (0..partitions).map(|number| vec![0, 1 + number % followers]).collect();
        cluster.hardware.fetch_time_per_partition = SimDuration::from_micros(each_us);
        // So wide that bytes cost nothing.
        cluster.hardware.network = u64::MAX / 1_000;
        let mut config = world(secs(60), cluster);
        // All partitions get ten records at one instant, once a second.
        config.resolution = secs(1);
        let mut web = producer(10 * partitions as u64, Acks::All);
        web.record_size = SizeDistribution::Fixed(20);
        // Records with keys; without, a clump would go to a partition or two.
        web.keys = KeyDistribution::Uniform { prefix: "key-".into(), keys: 100_000 };
        // One request with a batch of each partition.
        web.client =
            ClientConfig::Kafka(KafkaProducerConfig { linger: millis(5), ..client(Acks::All) });
        config.producers.push(web);
        metric(&run(&config).summary, "produce_latency_ms_p50")
    };
    for (followers, each_us) in [(1, 20), (1, 50), (10, 20)] {
        let base = latency(10, followers, each_us);
        for partitions in [100, 500, 1_000] {
            let of_one_loop = (partitions - 10) as f64 / followers as f64;
            let added = of_one_loop * each_us as f64 / 1e3;
            let measured = latency(partitions, followers, each_us) - base;
            near(measured, added, 0.02 * added + 0.05, "added latency, ms");
        }
    }
}

fn one_zone() -> Quorum {
    let Quorum::KRaft(mut config) = kraft() else { unreachable!() };
    config.nodes = vec![0, 0, 0];
    Quorum::KRaft(config)
}

/// A leader in the zone of the controllers is cut off from both followers at 30 s, and dies at
/// `dies`; then the cuts heal. The producer is silent around the cut and the death: nothing is under
/// way. Returns the result.
fn lonely_leader(
    quorum: Quorum,
    version: KafkaVersion,
    unclean: bool,
    rate: u64,
    dies: u64,
) -> RunResult {
    let mut cluster = cluster(3, 1);
    cluster.quorum = quorum;
    cluster.version = version;
    cluster.topics[0].assignment = vec![vec![0, 1, 2]];
    cluster.topics[0].unclean_leader_election = unclean;
    let mut config = world(secs(dies + 60), cluster);
    let mut web = producer(rate, Acks::Leader);
    let full = rate * 1_000_000;
    web.rate.knots = vec![
        (at(0), full),
        (at(28), full),
        (at(28), 0),
        (at(31), 0),
        (at(31), full),
        (at(dies - 2), full),
        (at(dies - 2), 0),
    ];
    config.producers.push(web);
    for zone in [1, 2] {
        let cut = Happening::CutZone { cluster: 0, zone };
        config.timeline.push(planned(at(30), Some(secs(dies + 1 - 30)), cut));
    }
    config.timeline.push(kill(dies, 0));
    run(&config)
}

/// V-63: a leader that is alone in its ISR goes on acknowledging; then it dies, and an unclean election
/// loses exactly what it acknowledged while it was alone: rate x (death - 2 s - 31 s). Without unclean
/// elections nothing is lost, and the partition stays unavailable.
#[test]
fn v_63_what_a_lonely_leader_acknowledged_is_lost_by_an_unclean_election() {
    let controllers = |version| match version {
        KafkaVersion::V2_4 => zookeeper(vec![0, 0, 0]),
        KafkaVersion::V3_9 | KafkaVersion::V4_1 => one_zone(),
    };
    for (version, rate, dies) in [
        (KafkaVersion::V3_9, 100, 90),
        (KafkaVersion::V2_4, 40, 120),
        (KafkaVersion::V4_1, 1_000, 75),
    ] {
        let alone = rate * (dies - 2 - 31);
        let result = lonely_leader(controllers(version), version, true, rate, dies);
        let value = |name: &str| count(&result.summary, name);
        assert_eq!(value("records_accepted"), value("records_offered"));
        assert_eq!(value("records_offered"), rate * 28 + alone);
        assert_eq!((value("records_lost"), value("unclean_elections")), (alone, 1), "{version:?}");
        let result = lonely_leader(controllers(version), version, false, rate, dies);
        let value = |name: &str| count(&result.summary, name);
        assert_eq!((value("records_lost"), value("unclean_elections")), (0, 0));
        assert_eq!(value("records_accepted"), value("records_offered"));
        // From the death to the end of the run.
        near(unavailable(&result), 60.0, 0.01, "unavailable");
    }
}

/// V-64: min.insync.replicas above the number of replicas: in effect the smaller of the two from
/// 3.7 on, so writes are accepted; before, none with acks=all. RF 1 under 2, RF 2 under 3, RF 1
/// under 3. The negative: acks=1 does not ask.
#[test]
fn v_64_min_isr_is_at_most_the_replicas_since_3_7() {
    for (replicas, min_isr) in [(1, 2), (2, 3), (1, 3)] {
        let accepted = |version: KafkaVersion, acks: Acks| {
            let mut cluster = cluster(3, 3);
            cluster.version = version;
            cluster.quorum = zookeeper(vec![0, 1, 2]);
            cluster.topics[0].replication_factor = replicas;
            cluster.topics[0].min_insync_replicas = min_isr;
            let mut config = world(secs(30), cluster);
            config.producers.push(producer_until(100, acks, 20));
            let result = run(&config);
            assert_eq!(count(&result.summary, "records_offered"), 2_000);
            count(&result.summary, "records_accepted")
        };
        assert_eq!(accepted(KafkaVersion::V3_9, Acks::All), 2_000);
        assert_eq!(accepted(KafkaVersion::V2_4, Acks::All), 0);
        assert_eq!(accepted(KafkaVersion::V2_4, Acks::Leader), 2_000);
    }
}

/// V-81: with I bytes per second into each leader's broker, RF replicas and C groups, a broker's
/// network carries I in and (RF - 1) I in as a follower, (RF - 1) I out to followers and C I out:
/// I (2 RF - 1 + C). RF 3 with three groups 8 I, with six 11 I; RF 2 with one 4 I. Without one of the six brokers
/// the others lead 6/5 I, and half of the partitions have one follower instead of two: 6/5 I (1 + 2 x
/// 1.5 + 3) = 8.4 I.
#[test]
fn v_81_a_brokers_network_carries_each_byte_for_each_replica_and_group() {
    let bytes_in = 100_000;
    for (replicas, groups, dead, factor) in
        [(3, 3, false, 8.0), (3, 6, false, 11.0), (2, 1, false, 4.0), (3, 3, true, 8.4)]
    {
        let mut cluster = cluster(6, 60);
        cluster.topics[0].replication_factor = replicas;
        cluster.settings.auto_leader_rebalance = false;
        // Each pair of brokers comes up equally often.
        let pairs = (0..60).map(|number| {
            let (first, step) = (number % 6, 1 + number / 6 % 5);
            let third = 1 + step % 5;
            let all = [first, (first + step) % 6, (first + third) % 6];
            all[..replicas as usize].to_vec()
        });
        cluster.topics[0].assignment = pairs.collect();
        let mut config = world(secs(90), cluster);
        config.resolution = millis(10);
        let mut web = producer(6 * bytes_in / 1_000, Acks::All);
        web.record_size = SizeDistribution::Fixed(1_000);
        config.producers.push(web);
        for number in 0..groups {
            let mut group = group(3);
            group.name = format!("group-{number}");
            config.groups.push(group);
        }
        if dead {
            config.timeline.push(kill(10, 5));
        }
        let result = run(&config);
        let mut all = 0.0;
        for broker in 0..6 {
            let name = format!("systems.orders.broker-{broker}.network_bytes_per_s");
            let last = &points(&result, &name)[40..];
            let mean = last.iter().map(|it| it.value).sum::<f64>() / last.len() as f64;
            if dead && broker == 5 {
                assert_eq!(mean.to_bits(), 0.0_f64.to_bits());
                continue;
            }
            // Keys spread by hash: no broker is far from the mean.
            near(mean, factor * bytes_in as f64, 0.15 * factor * bytes_in as f64, "a broker");
            all += mean;
        }
        let brokers = if dead { 5.0 } else { 6.0 };
        near(all / brokers, factor * bytes_in as f64, 0.01 * factor * bytes_in as f64, "all");
    }
}
