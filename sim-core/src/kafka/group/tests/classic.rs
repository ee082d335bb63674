//! Rebalances of a classic group: the initial delay, who must rejoin, eager and cooperative.

use super::*;

/// A group in which processes start at the given seconds; the rebalances that followed in 100 s.
fn joins_at(version: KafkaVersion, delay: u64, starts: &[u64]) -> Vec<(f64, f64, u32)> {
    let mut scene = scene(config(classic(RANGE), 1), 9);
    (scene.version, scene.initial_delay) = (version, secs(delay));
    let mut bench = Bench::new(&scene, COLD);
    for (member, &start) in (1..).zip(&starts[1..]) {
        bench.run_to(start);
        bench.start_member(member);
    }
    bench.run_to(100);
    bench.rebalances()
}

/// K-VEC-5: a lone joiner waits 3 s; joins at 0 and 2 s: 6 s; at 0, 2 and 4 s: 9 s.
#[test]
fn a_new_group_waits_3_s_and_3_more_while_others_come() {
    for version in [KafkaVersion::V2_4, KafkaVersion::V3_9, KafkaVersion::V4_1] {
        assert_eq!(joins_at(version, 3, &[0]), [(3.0, 3.0, 1)]);
        assert_eq!(joins_at(version, 3, &[0, 2]), [(6.0, 6.0, 2)]);
        assert_eq!(joins_at(version, 3, &[0, 2, 4]), [(9.0, 9.0, 3)]);
        // Not in the second three seconds: they end the delay.
        assert_eq!(joins_at(version, 3, &[0, 2, 7])[0], (6.0, 6.0, 2));
    }
}

/// K-GRP-1: total at most the rebalance timeout. A joiner every 2 s for 5 min: with 300 s the delay
/// ends at 300 s although one was added in the last 3 s; without the cap it would go on to 303 s.
#[test]
fn the_initial_delay_ends_with_the_rebalance_timeout() {
    let starts: Vec<u64> = (0..200).map(|n| n * 2).collect();
    let scene = scene(config(classic(RANGE), 1), 9);
    let mut bench = Bench::new(&scene, COLD);
    for (member, &start) in (1..).zip(&starts[1..]) {
        bench.run_to(start);
        bench.start_member(member);
    }
    // 0, 2 ... 298 s: 150 members; the one of 300 s begins the next rebalance.
    assert_eq!(bench.rebalances()[0], (300.0, 300.0, 150));
}

/// V-67: without the delay each joiner costs a rebalance; n = 3 and n = 5. The members are polling,
/// so each rebalance takes as long as the others need to hear of it: at most a heartbeat, 3 s.
#[test]
fn without_the_delay_every_joiner_costs_a_rebalance() {
    for starts in [&[0, 10, 20][..], &[0, 10, 20, 30, 40]] {
        let rebalances = joins_at(KafkaVersion::V3_9, 0, starts);
        assert_eq!(rebalances.len(), starts.len());
        assert_eq!(rebalances[0], (0.0, 0.0, 1));
        for ((&start, &(_, took, members)), n) in starts.iter().zip(&rebalances).zip(1..) {
            assert!(took <= 3.0 && members == n, "{start}: {rebalances:?}");
        }
    }
}

/// K-GRP-1, K-VEC-5: a group that emptied waits 3 s once up to 3.9, then rebalances per late joiner;
/// 4.0+ extends as in a new group.
#[test]
fn a_group_that_emptied_extends_its_delay_only_from_4_0_on() {
    for (version, first, members, in_all) in [
        (KafkaVersion::V2_4, 103.0, 2, 2),
        (KafkaVersion::V3_9, 103.0, 2, 2),
        (KafkaVersion::V4_1, 109.0, 3, 1),
    ] {
        let mut scene = scene(config(classic(RANGE), 1), 9);
        scene.version = version;
        let mut bench = Bench::new(&scene, SETTLED);
        bench.run_to(50);
        bench.stop(0);
        bench.run_to(60);
        assert_eq!(bench.group.state(), GroupState::Empty);
        for (member, start) in [(0, 100), (1, 102), (2, 104)] {
            bench.run_to(start);
            bench.start_member(member);
        }
        bench.run_to(200);
        let rebalances = bench.rebalances();
        assert_eq!((rebalances[0].0, rebalances[0].2), (first, members), "{version:?}");
        assert_eq!(rebalances.len(), in_all, "{version:?}: {rebalances:?}");
    }
}

/// V-65: member 0 processes and never polls, member 1 joins at 10 s. The rebalance ends when member
/// 0 is dropped, max.poll.interval after it began. At 5 min, 30 min and 90 s.
#[test]
fn a_rebalance_waits_max_poll_interval_for_a_member_that_does_not_poll() {
    for interval in [300, 1_800, 90] {
        let mut config = config(classic(RANGE), 1);
        config.max_poll_interval = secs(interval);
        let mut bench = Bench::new(&scene(config, 9), SETTLED);
        bench.busy_until(0, SimTime::MAX);
        bench.run_to(10);
        bench.start_member(1);
        bench.run_to(3_000);
        let expected = 10.0 + f64::from(u32::try_from(interval).unwrap());
        let (at, took, members) = bench.rebalances()[0];
        assert_eq!(members, 1);
        assert_eq!((at, took), (expected, expected - 10.0));
        // In 30 min the newcomer is thrown out every 5 min and comes again (K-GRP-5), which puts
        // nothing off.
        let parked = bench.expelled().iter().filter(|it| it.2 == "parked too long").count();
        assert_eq!(parked, if interval == 1_800 { 5 } else { 0 });
        assert!(bench.expelled().contains(&(expected, 0, "did not rejoin in time")));
    }
}

/// K-GRP-4: the client that has exceeded the interval leaves by itself, and nobody waits longer:
/// V-65's min(max poll gap, max.poll.interval), the gap counted from its last poll at 0 s.
#[test]
fn a_member_that_exceeds_its_poll_interval_leaves() {
    let mut bench = Bench::new(&scene(config(classic(RANGE), 1), 9), SETTLED);
    bench.busy_until(0, SimTime::MAX);
    bench.run_to(10);
    bench.start_member(1);
    bench.run_to(300);
    bench.poll_overdue(0);
    bench.run_to(400);
    assert_eq!(bench.rebalances(), [(300.0, 290.0, 1)]);
    assert_eq!(bench.expelled(), [(300.0, 0, "left")]);
    // It reads on, until it polls: then its partitions are lost, not revoked.
    assert_eq!(bench.counts(), [9, 9]);
    assert!(!bench.group.may_commit(id(0)) && bench.group.may_commit(id(1)));
    bench.busy_until(0, at(400));
    bench.act(|group, ctx, changes| group.polled(id(0), ctx, changes));
    bench.run_to(500);
    assert_eq!(bench.counts(), [5, 4]);
}

/// A member that is busy for a while holds the rebalance up just so long.
#[test]
fn a_rebalance_waits_for_a_busy_member_until_it_polls() {
    let mut bench = Bench::new(&scene(config(classic(RANGE), 2), 9), SETTLED);
    bench.busy_until(0, at(100));
    bench.run_to(10);
    bench.start_member(2);
    bench.run_to(200);
    assert_eq!(bench.rebalances(), [(100.0, 90.0, 3)]);
}

/// V-69 (K-GRP-8): P partitions, m members, one more joins. Eager: all P stop, in one round.
/// Cooperative: only what moves stops, floor(P / (m + 1)) for the newcomer, in two rounds.
#[test]
fn cooperative_stops_only_what_moves_and_eager_stops_all() {
    for (partitions, members, moving) in [(9, 3, 2), (12, 2, 4), (30, 5, 5), (6, 5, 1)] {
        let listed_with_range = &[Assignor::CooperativeSticky, Assignor::Range][..];
        for (assignors, rounds, stopped) in [
            (COOPERATIVE, 2, moving),
            (RANGE, 1, partitions),
            (SHIPPED, 1, partitions),
            (listed_with_range, 1, partitions),
        ] {
            let scene = scene(config(classic(assignors), members), partitions);
            let mut bench = Bench::new(&scene, SETTLED);
            bench.run_to(10);
            bench.start_member(members);
            bench.run_to(100);
            assert_eq!(bench.rebalances().len(), rounds, "{assignors:?}");
            let stopped_now = bench.stopped_since(at(10));
            assert_eq!(stopped_now.len(), stopped as usize, "{assignors:?} {stopped_now:?}");
            assert_eq!(bench.counts().iter().sum::<usize>(), partitions as usize);
            assert!(bench.counts().iter().all(|&it| it > 0));
        }
    }
}

/// V-69, the other half: partition-seconds without a reader, eager P x R against at most moved x 2R.
#[test]
fn cooperative_pauses_are_a_fraction_of_eager_ones() {
    let pause = |assignors: &[Assignor]| {
        let mut bench = Bench::new(&scene(config(classic(assignors), 3), 9), SETTLED);
        // The last to poll does so 40 s later: R is 40 s for eager.
        bench.busy_until(2, at(50));
        bench.run_to(10);
        bench.start_member(3);
        bench.run_to(200);
        bench.unread_since(at(10)).values().sum::<f64>()
    };
    // Members 0 and 1 stop within 3 s of 10 s, member 2 at 50 s when all is over.
    let eager = pause(RANGE);
    assert!((6.0 * 37.0..=6.0 * 40.0).contains(&eager), "{eager}");
    // Revoked at 50 s, rejoined at once, and the others hear within 3 s.
    let cooperative = pause(COOPERATIVE);
    assert!(cooperative > 0.0 && cooperative <= 2.0 * 3.0, "{cooperative}");
}

/// K-GRP-6, K-PRT-3: the leader sees new partitions and joins again; they are all given out.
#[test]
fn added_partitions_are_given_out_once_the_leader_sees_them() {
    for assignors in [RANGE, COOPERATIVE] {
        let mut bench = Bench::new(&scene(config(classic(assignors), 3), 6), SETTLED);
        bench.run_to(10);
        bench.act(|group, ctx, changes| group.partitions_added(0, 12, ctx, changes));
        bench.run_to(30);
        assert_eq!(bench.counts(), [4, 4, 4]);
        assert_eq!(bench.rebalances().len(), 1);
    }
}

/// K-GRP-1: MEMBER_ID_REQUIRED costs a dynamic member a second round trip, a static one nothing.
/// With 1 s there and back: JoinGroup arrives at 0.5 s, the second at 1.5 s, the delay ends 3 s
/// later, the generation is known at 5 s, the assignment at 6 s.
#[test]
fn a_dynamic_member_joins_in_two_round_trips_and_a_static_one_in_one() {
    for (static_membership, assigned) in [(false, 6), (true, 5)] {
        let mut config = config(classic(RANGE), 1);
        config.static_membership = static_membership;
        let mut scene = scene(config, 1);
        scene.rtt = secs(1);
        let mut bench = Bench::new(&scene, COLD);
        bench.run_to(20);
        let told = bench.log.iter().find(|it| matches!(it.1, Change::Assigned { .. })).unwrap();
        assert_eq!(told.0, at(assigned));
    }
}
