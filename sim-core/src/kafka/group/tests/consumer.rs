//! KIP-848: handover without a barrier, fencing, leaving, static members.

use super::*;

fn static_config(members: u32) -> GroupConfig {
    let mut config = config(UNIFORM, members);
    config.static_membership = true;
    config
}

/// K-848-4: a newcomer has its share after the owner's heartbeat (5 s) and its own (5 s), 10 s at
/// most; V-69's counts: only what moves stops, floor(P / (m + 1)), and for less than a heartbeat
/// each (revoked, confirmed at once, taken at the newcomer's next). Ten phases, four sizes.
#[test]
fn a_handover_takes_two_heartbeats_and_stops_nothing_else() {
    for (partitions, members, moving) in [(9, 3, 2), (12, 2, 4), (30, 5, 5), (6, 5, 1)] {
        for seed in 0..10 {
            let mut scene = scene(config(UNIFORM, members), partitions);
            scene.seed = seed;
            let mut bench = Bench::new(&scene, SETTLED);
            bench.run_to(100);
            bench.start_member(members);
            bench.run_to(110);
            assert_eq!(bench.stopped_since(at(100)).len(), moving);
            assert_eq!(bench.group.owned_by(id(members)).len(), moving);
            assert!(bench.unread_since(at(100)).values().all(|&it| it <= 5.0));
            let (done, took, all) = bench.rebalances()[0];
            assert!((100.0..=110.0).contains(&done) && took <= 10.0 && all == members + 1);
            assert_eq!(bench.rebalances().len(), 1);
        }
    }
}

/// A member that does not poll keeps only its own partitions from moving: no barrier (K-848-1).
#[test]
fn a_busy_member_holds_up_only_what_it_has() {
    let mut bench = Bench::new(&scene(config(UNIFORM, 2), 12), SETTLED);
    bench.busy_until(1, at(160));
    bench.run_to(100);
    bench.start_member(2);
    bench.run_to(150);
    // 12 over 3: four each, two from each; those of member 1 have to wait.
    assert_eq!(bench.counts(), [4, 6, 2]);
    assert_eq!(bench.group.state(), GroupState::Reconciling);
    bench.run_to(165);
    assert_eq!(bench.counts(), [4, 4, 4]);
    assert_eq!(bench.group.state(), GroupState::Stable);
}

/// K-848-3: who does not revoke within max.poll.interval.ms of being asked is fenced. It was asked at
/// a heartbeat up to 5 s after the newcomer came.
#[test]
fn a_member_that_does_not_revoke_is_fenced() {
    for interval in [300, 60] {
        let mut config = config(UNIFORM, 2);
        config.max_poll_interval = secs(interval);
        let mut bench = Bench::new(&scene(config, 12), SETTLED);
        bench.busy_until(1, SimTime::MAX);
        bench.run_to(100);
        bench.start_member(2);
        bench.run_to(1_000);
        let (fenced, who, why) = bench.expelled()[0];
        assert_eq!((who, why), (1, "did not revoke in time"));
        let least = f64::from(u32::try_from(100 + interval).unwrap());
        assert!((least..=least + 5.0).contains(&fenced), "{fenced}");
        assert!(!bench.group.may_commit(id(1)), "what it still reads is not its own");
        assert_eq!(bench.counts(), [6, 6, 6]);
        bench.busy_until(1, at(1_000));
        bench.act(|group, ctx, changes| group.polled(id(1), ctx, changes));
        bench.run_to(1_020);
        assert_eq!(bench.counts(), [4, 4, 4]);
    }
}

/// K-848-1, -3: a crash costs the session, 45 s from the last heartbeat (up to 5 s before), and the
/// others' next heartbeats; a clean close with -1 only those.
#[test]
fn a_crash_costs_a_session_and_a_close_a_heartbeat() {
    for (clean, least, most) in [(true, 100.0, 105.0), (false, 140.0, 150.0)] {
        let mut bench = Bench::new(&scene(config(UNIFORM, 3), 9), SETTLED);
        let before = bench.group.owned_by(id(1)).to_vec();
        bench.run_to(100);
        if clean {
            bench.stop(1);
        } else {
            bench.kill(1);
        }
        bench.run_to(300);
        assert_eq!(bench.stopped_since(at(100)).len(), 3, "only its own");
        for partition in before {
            let told = |it: &&(SimTime, Change)| matches!(it.1, Change::Assigned { partition: p, .. } if p == partition);
            let told = bench.log.iter().rfind(told).unwrap().0.as_secs_f64();
            assert!((least..=most).contains(&told), "{told}");
        }
    }
}

/// K-848-3: a static member that closes (-2) and is back within the session has its partitions back
/// with its first heartbeat, without a new epoch; later it is a newcomer.
#[test]
fn a_static_member_that_is_back_in_time_finds_its_partitions() {
    for (down, in_time) in [(20, true), (60, false)] {
        let mut bench = Bench::new(&scene(static_config(3), 9), SETTLED);
        let before = bench.group.owned_by(id(1)).to_vec();
        bench.run_to(100);
        bench.stop(1);
        bench.run_to(100 + down);
        assert_eq!(bench.group.holder(before[0]) == Some(id(1)), in_time);
        bench.start_member(1);
        bench.run_until(bench.now + SimDuration(1));
        assert_eq!(bench.group.owned_by(id(1)) == before, in_time);
        bench.run_to(300);
        assert_eq!(bench.group.generation(), if in_time { 1 } else { 3 });
        assert_eq!(bench.counts(), [3, 3, 3]);
        assert_eq!(bench.group.state(), GroupState::Stable);
    }
}

/// K-848-3: without that word (a crash) the id is not released, and the restarted process is refused
/// until the session is over. The classic protocol would have let it in.
#[test]
fn a_static_member_that_crashed_is_refused_until_its_session_ends() {
    let mut bench = Bench::new(&scene(static_config(3), 9), SETTLED);
    bench.run_to(100);
    bench.kill(1);
    bench.run_to(110);
    bench.start_member(1);
    bench.run_to(139);
    assert_eq!(bench.counts(), [3, 0, 3]);
    bench.run_to(170);
    assert_eq!(bench.counts(), [3, 3, 3]);
    let expelled = bench.expelled();
    assert_eq!(expelled[0], (110.0, 1, "instance id not released"));
    assert_eq!(expelled[1].2, "session expired");
    assert_eq!(expelled.len(), 2);
}

/// K-848-3, K-848-1: a poll gap leaves the group; the reader goes on until it polls and loses all.
#[test]
fn a_member_that_exceeds_its_poll_interval_leaves() {
    let mut bench = Bench::new(&scene(config(UNIFORM, 2), 4), SETTLED);
    bench.busy_until(1, at(400));
    bench.run_to(300);
    bench.poll_overdue(1);
    bench.run_to(399);
    assert_eq!(bench.counts(), [4, 2]);
    assert!(!bench.group.may_commit(id(1)));
    bench.run_to(420);
    assert_eq!(bench.counts(), [2, 2]);
    let lost = bench.log.iter().filter(|it| matches!(it.1, Change::Lost { .. })).count();
    assert_eq!(lost, 2);
}

/// K-PRT-3: the broker sees new partitions; the next heartbeat of any member hands them out.
#[test]
fn added_partitions_are_given_out_within_two_heartbeats() {
    let mut bench = Bench::new(&scene(config(UNIFORM, 3), 6), SETTLED);
    bench.run_to(100);
    bench.act(|group, ctx, changes| group.partitions_added(0, 12, ctx, changes));
    bench.run_to(110);
    assert_eq!(bench.counts(), [4, 4, 4]);
    assert_eq!(bench.stopped_since(at(100)), []);
}

/// K-GRP-10: a coordinator that moves expels nobody and forgets nothing.
#[test]
fn a_coordinator_that_moves_restarts_sessions() {
    let mut bench = Bench::new(&scene(config(UNIFORM, 3), 9), SETTLED);
    bench.run_to(100);
    bench.kill(2);
    bench.run_to(120);
    bench.act(|group, ctx, _| group.coordinator_lost(ctx));
    bench.start_member(3);
    bench.run_to(200);
    bench.act(|group, ctx, changes| group.coordinator_back(ctx, changes));
    bench.run_to(400);
    assert_eq!(bench.expelled(), [(245.0, 2, "session expired")]);
    assert_eq!(bench.counts(), [3, 3, 0, 3]);
}

/// D-16.
#[test]
fn healthy_heartbeats_are_no_events() {
    let mut bench = Bench::new(&scene(config(UNIFORM, 20), 40), SETTLED);
    bench.run_to(86_400);
    assert_eq!(bench.events, 0);
}
