//! Groups: what a rebalance waits for, how many there are, and who stands still meanwhile.

use sim_core::config::kafka::*;
use sim_core::config::*;

use super::*;
use crate::bench::{at, count, metric, millis, run, secs};
use crate::kafka_bench::*;

fn eager() -> GroupProtocol {
    GroupProtocol::Classic { assignors: vec![Assignor::Sticky] }
}

fn cooperative() -> GroupProtocol {
    GroupProtocol::Classic { assignors: vec![Assignor::CooperativeSticky] }
}

/// `more` members come at that second.
fn add(second: u64, more: u32) -> TimelineEntry {
    let what = Happening::AddWorkers { consumer: Fleet::Group(0), workers: more };
    planned(at(second), None, what)
}

/// V-65: member 1 works on what it polled for longer than max.poll.interval = 30 min; member 2
/// comes at 60 s and joins after its 2 s of starting; the rebalance completes when member 1 is
/// expelled, 30 min after its last poll (within the first second). And with the default of 5 min,
/// and 10 min. A member that is busy for 90 s is waited for only until its next poll.
#[test]
fn v_65_a_rebalance_waits_for_who_does_not_poll() {
    for (interval_s, busy_s) in [(1_800, 7_200), (300, 7_200), (600, 7_200), (300, 90)] {
        let mut config = world(secs(interval_s + 120), cluster(3, 6));
        config.resolution = millis(100);
        // One record, at the beginning, is all that there is to work on.
        let mut web = producer(1, Acks::All);
        let first = at(1);
        web.rate = RateProfile { knots: vec![(at(0), 1_000_000), (first, 1_000_000), (first, 0)] };
        config.producers.push(web);
        let mut group = group(1);
        group.protocol = eager();
        group.max_poll_interval = secs(interval_s);
        group.service = ServiceTime::Fixed(secs(busy_s));
        config.groups.push(group);
        config.timeline.push(add(60, 1));
        let result = run(&config);
        let stable = seconds_to(&result, at(60), "group_stable", "billing");
        let joins = 60.0 + 2.0;
        let polls = interval_s.min(busy_s) as f64;
        // The record is polled within its first second and a little.
        let stable = 60.0 + stable;
        assert!(polls < stable && stable < polls + 1.2, "{stable} s of {polls} s");
        assert!(joins < stable);
    }
}

/// V-67: from Empty the first generation waits 3 s; if members came meanwhile, another 3 s, and so
/// on (K-GRP-1): joiners 0, 2, 4 s after the first make one rebalance 9 s after it; 0 and 2: 6 s; alone:
/// 3 s. With a delay of 0 each of them is a rebalance.
#[test]
fn v_67_the_initial_delay_gathers_members() {
    let outcome = |delay_s: u64, gaps: &[u64]| {
        let mut cluster = cluster(3, 12);
        // 4.0 and later wait at every start from Empty; groups begin with a stable generation here.
        cluster.version = KafkaVersion::V4_1;
        cluster.settings.group_initial_rebalance_delay = secs(delay_s);
        let mut config = world(secs(90), cluster);
        config.producers.push(producer(100, Acks::All));
        config.groups.push(group(1));
        let stop = Happening::Stop(Whom::workers(Fleet::Group(0), 1));
        config.timeline.push(planned(at(10), None, stop));
        config.timeline.extend(gaps.iter().map(|gap| add(30 + gap, 1)));
        let result = run(&config);
        let rebalanced = result.events.iter().filter(|it| it.kind == "group_rebalanced");
        let times: Vec<f64> = rebalanced.map(|it| it.at.since(at(32)).as_secs_f64()).collect();
        assert_eq!(count(&result.summary, "rebalances"), times.len() as u64);
        times
    };
    for (delay, gaps, after) in
        [(3, &[0, 2, 4][..], 9.0), (3, &[0, 2], 6.0), (3, &[0], 3.0), (10, &[0, 2, 4, 6], 20.0)]
    {
        let times = outcome(delay, gaps);
        assert_eq!(times.len(), 1, "{delay} s, {gaps:?}: {times:?}");
        // A few round trips of 1.5 ms: id, join, sync.
        near(times[0], after, 0.02, "first assignment");
    }
    for gaps in [&[0, 5, 10][..], &[0, 5, 10, 15, 20]] {
        assert_eq!(outcome(0, gaps).len(), gaps.len());
    }
}

/// What one more member costs a group: (rebalances, longest pause of a partition, pause of all
/// partitions together).
fn one_more(protocol: &GroupProtocol, members: u32, partitions: u32, seed: u64) -> (u64, f64, f64) {
    let mut config = world(secs(40), cluster(3, partitions));
    config.seed = seed;
    config.resolution = millis(10);
    config.producers.push(producer(u64::from(partitions) * 500, Acks::All));
    let mut group = group(members);
    group.protocol = protocol.clone();
    config.groups.push(group);
    config.timeline.push(add(20, 1));
    let result = run(&config);
    assert_eq!(count(&result.summary, "records_lost"), 0);
    let value = |name: &str| metric(&result.summary, name);
    let rebalances = count(&result.summary, "rebalances");
    (rebalances, value("consume_paused_s"), value("partition_paused_s"))
}

/// V-69: 9 partitions, 3 members, a fourth comes: the sticky assignor gives it floor(9 / 4) = 2.
/// Eager: all 9 stop, each owner's from its heartbeat (within R = 3 s of the join) until all have
/// joined, one rebalance. Cooperative: only those 2 stop, two rebalances, at most 2 x 2R. Also 16
/// over 4 + 1 (3 move) and 30 over 5 + 1 (5 move). Which heartbeat is last is luck: an eager owner waits
/// R (m / (m + 1) - 1/2) on average, a moved partition less than R m / (m + 1); so over ten seeds
/// eager costs more.
#[test]
fn v_69_cooperative_members_stop_only_what_moves() {
    let round = 3.1;
    for (members, partitions) in [(3, 9), (4, 16), (5, 30)] {
        let moves = f64::from(partitions / (members + 1));
        let (mut sum_eager, mut sum_cooperative) = (0.0, 0.0);
        for seed in 1..=10 {
            let (once, longest, all) = one_more(&eager(), members, partitions, seed);
            assert_eq!(once, 1);
            assert!(0.0 < longest && longest <= round, "{longest} s");
            // More stop than move.
            let bounds = moves * longest..=f64::from(partitions) * longest;
            assert!(bounds.contains(&all), "{all} s of {longest} s");
            let (twice, longest, moved) = one_more(&cooperative(), members, partitions, seed);
            assert_eq!(twice, 2);
            assert!(longest <= 2.0 * round, "{longest} s");
            assert!(0.0 < moved && moved <= moves * longest + 1e-9, "{moved} s of {longest} s");
            sum_eager += all;
            sum_cooperative += moved;
        }
        assert!(sum_cooperative < sum_eager, "{sum_cooperative} s against {sum_eager} s");
    }
}

/// The negative: a group that nobody joins or leaves never stops.
#[test]
fn without_change_nothing_stops() {
    let mut config = world(secs(60), cluster(3, 9));
    config.producers.push(producer(900, Acks::All));
    config.groups.push(group(3));
    let result = run(&config);
    assert_eq!(count(&result.summary, "rebalances"), 0);
    assert_eq!(metric(&result.summary, "partition_paused_s").to_bits(), 0.0_f64.to_bits());
}
