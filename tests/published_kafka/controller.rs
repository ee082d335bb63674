//! Who notices a broker's death, and how long its partitions wait for new leaders.

use sim_core::config::kafka::*;
use sim_core::config::*;
use sim_core::engine::SimDuration;

use super::*;
use crate::bench::{at, count, millis, run, secs};
use crate::kafka_bench::*;

/// From the controller's commit to the brokers, in the fixtures.
const PROPAGATION_S: f64 = 0.010;

/// A ZooKeeper cluster with that session and that price of an election; broker 0 is the controller.
fn keeper(brokers: usize, partitions: u32, replicas: u32, session_s: u64) -> ClusterConfig {
    let mut cluster = cluster(brokers, partitions);
    cluster.topics[0].replication_factor = replicas;
    let Quorum::ZooKeeper(mut config) = zookeeper(vec![0, 1, 2]) else { unreachable!() };
    config.session_timeout = secs(session_s);
    cluster.quorum = Quorum::ZooKeeper(config);
    cluster
}

/// V-46: 2 brokers, 2000 partitions, RF 2: the dead broker led n = 1000. Elections of c = 5 ms one
/// after the other: the k-th partition is back k c after detection, the last one after 5 s, on
/// average (n + 1) c / 2 = 2.5 s. So unavailable partition-seconds are n (detection + propagation) +
/// c n (n + 1) / 2. The same with 400 partitions at 20 ms, and 900 on three brokers at 2 ms.
#[test]
fn v_46_serial_elections_bring_partitions_back_linearly() {
    for (brokers, partitions, cost_ms) in [(2, 2_000, 5), (2, 400, 20), (3, 900, 2)] {
        let mut cluster = keeper(brokers, partitions, 2, 6);
        cluster.costs.election = millis(cost_ms);
        let n = led(&cluster, 1) as f64;
        let cost = cost_ms as f64 / 1e3;
        let mut config = world(secs(60), cluster);
        config.timeline.push(kill(20, 1));
        let result = run(&config);
        let detected = seconds_to(&result, at(20), "broker_fenced", "broker-1");
        let expected = n * (detected + PROPAGATION_S) + cost * n * (n + 1.0) / 2.0;
        near(unavailable(&result), expected, 1e-3, "partition-seconds");
        let series = points(&result, "systems.orders.partitions_unavailable");
        for (second, point) in series.iter().enumerate().skip(20) {
            let since = second as f64 + 1.0 - 20.0 - detected - PROPAGATION_S;
            let elected = (since / cost).floor().clamp(0.0, n);
            near(point.value, n - elected, 1.0, "partitions without leader");
        }
    }
}

/// The negative: where the dead broker led nothing, nothing is unavailable.
#[test]
fn a_dead_follower_makes_nothing_unavailable() {
    let mut cluster = keeper(2, 100, 2, 6);
    cluster.topics[0].assignment = vec![vec![0, 1]; 100];
    let mut config = world(secs(60), cluster);
    config.timeline.push(kill(20, 1));
    let result = run(&config);
    assert_eq!(unavailable(&result).to_bits(), 0.0_f64.to_bits());
    assert_eq!(count(&result.summary, "isr_shrinks"), 100);
}

/// V-48: a controlled shutdown takes its price per replica on the broker: 25,000 partitions with
/// RF 2 on five brokers are 10,000 a broker; at 39, 3.0 and 0.3 ms 390 s, 30 s and 3 s (13 and 10 to
/// one). And 3,000 and 600 replicas, at 0.3 and 3 ms: 0.9 s and 1.8 s.
#[test]
fn v_48_controlled_shutdown_takes_its_price_per_replica() {
    let sets = [
        (5, 25_000, 2, 39_000),
        (5, 25_000, 2, 3_000),
        (5, 25_000, 2, 300),
        (3, 3_000, 3, 300),
        (4, 1_200, 2, 3_000),
    ];
    for (brokers, partitions, replicas, cost_us) in sets {
        let mut cluster = keeper(brokers, partitions, replicas, 18);
        cluster.costs.controlled_shutdown = SimDuration::from_micros(cost_us);
        let hosted = held(&cluster, 1);
        let takes = hosted as f64 * cost_us as f64 / 1e6;
        let mut config = world(secs(10 + hosted * cost_us / 1_000_000 + 5), cluster);
        let stop = Happening::Stop(Whom::brokers(0, &[1]));
        config.timeline.push(planned(at(5), None, stop));
        let result = run(&config);
        let stopped = seconds_to(&result, at(5), "broker_stopped", "broker-1");
        near(stopped, takes + PROPAGATION_S, 1e-3, "shutdown");
        // Leaders move before the process ends: nobody misses one.
        assert_eq!(unavailable(&result).to_bits(), 0.0_f64.to_bits());
    }
}

/// V-50: the controller's broker dies, another one reads the state of every partition before it does
/// anything: 100,000 x 0.63 ms = 63 s, x 0.17 ms = 17 s (3.7 to one), after a race of 20 ms. Then
/// it sees who is gone. And 5,000 and 20,000 partitions.
#[test]
fn v_50_a_new_zookeeper_controller_reads_every_partition_first() {
    for (partitions, cost_us) in [(100_000, 630), (100_000, 170), (5_000, 630), (20_000, 170)] {
        let mut cluster = keeper(5, partitions, 1, 6);
        cluster.costs.state_load = SimDuration::from_micros(cost_us);
        let takes = f64::from(partitions) * cost_us as f64 / 1e6;
        let takes_s = u64::from(partitions) * cost_us / 1_000_000;
        let mut config = world(secs(16 + takes_s), cluster);
        config.timeline.push(kill(5, 0));
        let result = run(&config);
        let vacant = event(&result, at(5), "controller_changed", "").at;
        let loaded = seconds_to(&result, vacant, "broker_fenced", "broker-0");
        near(loaded, takes + 0.020 + PROPAGATION_S, 1e-3, "state load");
    }
}

/// The same with replicas: partitions of the dead controller's broker wait for detection, state
/// load and their election; KRaft has nothing to read (K-KR-2).
#[test]
fn v_50_elections_wait_for_the_state() {
    for (partitions, cost_us) in [(3_000, 630), (6_000, 170)] {
        let mut cluster = keeper(3, partitions, 3, 6);
        cluster.costs.state_load = SimDuration::from_micros(cost_us);
        let n = led(&cluster, 0) as f64;
        let election = cluster.costs.election.as_secs_f64();
        let mut config = world(secs(40), cluster.clone());
        config.timeline.push(kill(5, 0));
        let result = run(&config);
        let detected = seconds_to(&result, at(5), "controller_changed", "");
        let load = f64::from(partitions) * cost_us as f64 / 1e6;
        // The load and the elections are steps of one thread; both take the way to the brokers.
        let wait = detected + 0.020 + load + 2.0 * PROPAGATION_S;
        let expected = n * wait + election * n * (n + 1.0) / 2.0;
        near(unavailable(&result), expected, 1e-3, "partition-seconds");
        cluster.quorum = kraft();
        let mut config = world(secs(40), cluster);
        config.timeline.push(kill(5, 0));
        let result = run(&config);
        let detected = seconds_to(&result, at(5), "broker_fenced", "broker-0");
        let expected = n * (detected + PROPAGATION_S) + election * n * (n + 1.0) / 2.0;
        near(unavailable(&result), expected, 1e-3, "partition-seconds with KRaft");
    }
}

fn raft(session_s: u64, heartbeat_s: u64) -> Quorum {
    let Quorum::KRaft(mut config) = kraft() else { unreachable!() };
    config.session_timeout = secs(session_s);
    config.heartbeat_interval = secs(heartbeat_s);
    Quorum::KRaft(config)
}

/// Least and greatest time from a broker's death to its detection, over seeds; each time the new
/// leaders come right after it (V-46).
fn detections(quorum: &Quorum, version: KafkaVersion, broker: u16) -> (f64, f64) {
    let (mut least, mut most) = (f64::INFINITY, 0.0_f64);
    let name = format!("broker-{broker}");
    for seed in 1..=60 {
        let mut cluster = cluster(3, 30);
        cluster.quorum = quorum.clone();
        cluster.version = version;
        let n = led(&cluster, broker) as f64;
        let election = cluster.costs.election.as_secs_f64();
        let mut config = world(secs(80), cluster);
        config.seed = seed;
        config.timeline.push(kill(40, u32::from(broker)));
        let result = run(&config);
        let detected = seconds_to(&result, at(40), "broker_fenced", &name);
        let mean = detected + PROPAGATION_S + election * (n + 1.0) / 2.0;
        near(unavailable(&result) / n, mean, 1e-3, "until the new leaders");
        (least, most) = (least.min(detected), most.max(detected));
    }
    (least, most)
}

/// Inside the bounds, and into the outer quarters: over 60 seeds it spreads.
fn spread_over((least, most): (f64, f64), (low, high): (f64, f64)) {
    assert!(low <= least && most <= high, "{least} to {most} s, bounds {low} to {high}");
    let quarter = (high - low) / 4.0;
    assert!(least < low + quarter && most > high - quarter, "only {least} to {most} s");
}

/// V-57, ZooKeeper: the last ping is up to T/3 old, and the session ends at the leader's next tick
/// after it has lasted T: (2T/3, T + tick] after the death. T = 6 s: 4 to 8 s; 18 s: 12 to 20 s;
/// also 12 s at ticks of 1 s. A follower tells the leader at half ticks: up to half a tick later,
/// and the tick that follows is then half a tick away or a whole one.
#[test]
fn v_57_zookeeper_notices_a_death_within_its_session() {
    for (session, tick) in [(6, 2), (18, 2), (12, 1)] {
        let Quorum::ZooKeeper(mut config) = zookeeper(vec![0, 1, 2]) else { unreachable!() };
        config.session_timeout = secs(session);
        config.tick_time = secs(tick);
        let quorum = Quorum::ZooKeeper(config);
        let (session, tick) = (session as f64, tick as f64);
        let low = session * 2.0 / 3.0;
        // Broker i talks to server i, and server 1, which completed the majority, leads.
        let of_leader = detections(&quorum, KafkaVersion::V3_9, 1);
        spread_over(of_leader, (low, session + tick));
        let of_follower = detections(&quorum, KafkaVersion::V3_9, 2);
        spread_over(of_follower, (low + tick / 2.0, session + 1.5 * tick));
    }
}

/// V-57, KRaft: the last heartbeat is up to its interval old, and 3.9 looks just when the session is
/// over: (session - heartbeat, session]. 4.1 looks every eighth of the session: up to that later.
/// The check takes one broker a run of 10 ms.
#[test]
fn v_57_kraft_notices_a_death_within_its_session() {
    for (session, heartbeat) in [(9, 2), (18, 3), (6, 1)] {
        for (version, late) in [(KafkaVersion::V3_9, 0.0), (KafkaVersion::V4_1, 0.125)] {
            let found = detections(&raft(session, heartbeat), version, 1);
            let (low, high) = ((session - heartbeat) as f64, session as f64 * (1.0 + late));
            spread_over(found, (low - 0.011, high + 0.011));
        }
    }
}

/// V-79: two maps a partition replica: 65,530 / 2 = 32,765 on one broker load without a word, one
/// more gets a warning. With 20,000 maps 10,000; with RF 3 on three brokers 32,765 each again.
#[test]
fn v_79_more_partitions_than_half_the_maps_are_warned_of() {
    let warned = |brokers: u32, replicas: u32, maps: u32, partitions: u32| {
        let file = format!(
            r#"Scenario(
    title: "As many partitions as maps allow",
    duration: "1m",
    systems: {{
        "orders": Kafka(
            version: "3.9",
            brokers: {brokers},
            max_map_count: {maps},
            topics: {{
                "orders": (partitions: {partitions}, replication_factor: {replicas}),
            }},
        ),
    }},
    producers: {{
        "web": (to: "orders", topic: "orders", rate: "1/s", client: Kafka()),
    }},
)"#
        );
        let loaded = scenarios::load("maps.ron", &file, &[], &|_| Err("none".into()));
        let loaded = loaded.unwrap_or_else(|problems| panic!("{problems}"));
        format!("{:?}", loaded.warnings).contains("max_map_count / 2")
    };
    for (brokers, replicas, maps, most) in
        [(1, 1, 65_530, 32_765), (1, 1, 20_000, 10_000), (3, 3, 65_530, 32_765)]
    {
        assert!(!warned(brokers, replicas, maps, most));
        assert!(warned(brokers, replicas, maps, most + 1));
    }
}
