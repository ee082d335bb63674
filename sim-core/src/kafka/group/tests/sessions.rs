//! Sessions: crashes, pauses, static members, coordinators that move, heartbeats in closed form.

use super::*;

fn static_config(members: u32) -> GroupConfig {
    let mut config = config(classic(RANGE), members);
    config.static_membership = true;
    config
}

/// K-GRP-5: a rebalance that another's start begins waits for a crashed member until its session
/// expires: 45 s after its last heartbeat, which was at most 3 s before the crash. Three sessions.
#[test]
fn a_rebalance_waits_for_the_session_of_a_crashed_member() {
    for session in [45, 10, 120] {
        let mut config = config(classic(RANGE), 3);
        config.session_timeout = secs(session);
        let mut bench = Bench::new(&scene(config, 9), SETTLED);
        bench.run_to(100);
        bench.kill(1);
        bench.run_to(104);
        bench.start_member(3);
        bench.run_to(400);
        let (expired, who, why) = bench.expelled()[0];
        assert_eq!((who, why), (1, "session expired"));
        let session = f64::from(u32::try_from(session).unwrap());
        assert!((97.0 + session..=100.0 + session).contains(&expired), "{expired}");
        let (at, took, members) = bench.rebalances()[0];
        assert_eq!((at, members, bench.rebalances().len()), (expired, 3, 1));
        assert!((took - (expired - 104.0)).abs() < 1e-6, "{took}");
        assert_eq!(bench.counts(), [3, 0, 3, 3]);
    }
}

/// A clean close is noticed at once; K-STR-1: Kafka Streams does not leave, and costs a session.
#[test]
fn a_stop_costs_a_heartbeat_and_without_leave_a_session() {
    for (leaves, least, most) in [(true, 100.0, 103.0), (false, 142.0, 148.0)] {
        let mut config = config(classic(RANGE), 3);
        config.leaves_on_close = leaves;
        let mut bench = Bench::new(&scene(config, 9), SETTLED);
        bench.run_to(100);
        bench.stop(1);
        assert_eq!(bench.stopped_since(at(100)), [3, 4, 5], "revoked, to be committed");
        bench.run_to(400);
        let (at, _, members) = bench.rebalances()[0];
        assert!((least..=most).contains(&at) && members == 2, "{at}");
    }
}

/// K-GRP-9: back within the session, the same assignment and no rebalance; later, a rebalance when
/// the session expires and one for its return.
#[test]
fn a_static_member_that_is_back_in_time_finds_its_partitions() {
    for (down, rebalances) in [(20, 0), (41, 0), (60, 2)] {
        let mut bench = Bench::new(&scene(static_config(3), 9), SETTLED);
        let before = bench.group.owned_by(id(1)).to_vec();
        bench.run_to(100);
        bench.stop(1);
        bench.run_to(100 + down);
        bench.start_member(1);
        bench.run_to(400);
        assert_eq!(bench.rebalances().len(), rebalances, "{down}");
        assert_eq!(bench.group.owned_by(id(1)), before);
        let others = bench.stopped_since(at(100)).iter().filter(|&&it| it / 3 != 1).count();
        assert_eq!(others == 0, rebalances == 0, "{down}");
    }
}

/// The same without static membership: two rebalances even for a short stop.
#[test]
fn a_dynamic_member_that_restarts_costs_two_rebalances() {
    let mut bench = Bench::new(&scene(config(classic(RANGE), 3), 9), SETTLED);
    bench.run_to(100);
    bench.stop(1);
    bench.run_to(120);
    bench.start_member(1);
    bench.run_to(400);
    assert_eq!(bench.rebalances().len(), 2);
}

/// K-GRP-9: a static member that comes back while a rebalance is prepared takes part in it.
#[test]
fn a_static_member_that_is_back_during_a_rebalance_ends_it() {
    let mut bench = Bench::new(&scene(static_config(3), 9), SETTLED);
    bench.run_to(100);
    bench.kill(1);
    bench.run_to(105);
    bench.start_member(3);
    bench.run_to(120);
    assert_eq!(bench.group.state(), GroupState::PreparingRebalance, "held up (K-GRP-5)");
    bench.start_member(1);
    bench.run_to(400);
    assert_eq!(bench.rebalances(), [(120.0, 15.0, 4)]);
    assert_eq!(bench.expelled(), []);
}

/// K-GRP-4: a static member that does not poll just falls silent; its seat lasts a session more,
/// from its last heartbeat before 300 s.
#[test]
fn a_static_member_that_exceeds_its_poll_interval_falls_silent() {
    let mut bench = Bench::new(&scene(static_config(2), 9), SETTLED);
    bench.busy_until(0, SimTime::MAX);
    bench.run_to(300);
    bench.poll_overdue(0);
    bench.run_to(400);
    let (expired, who, why) = bench.expelled()[0];
    assert_eq!((who, why), (0, "session expired"));
    assert!((342.0..=345.0).contains(&expired), "{expired}");
}

/// K-GRP-9, K-GRP-7: a second live user of the id takes the seat; the first learns it with its next
/// heartbeat, cannot commit, and is at its end.
#[test]
fn a_second_user_of_an_instance_id_fences_the_first() {
    let mut bench = Bench::new(&scene(static_config(2), 4), SETTLED);
    bench.run_to(100);
    let twin = bench.act(|group, ctx, changes| group.start_twin(id(0), ctx, changes));
    bench.run_until(at(100) + SimDuration(1));
    assert!(!bench.group.may_commit(id(0)) && bench.group.may_commit(twin));
    assert_eq!(bench.group.owned_by(twin), [part(0), part(1)]);
    assert_eq!(bench.group.owned_by(id(0)), [part(0), part(1)], "both read");
    bench.run_to(104);
    let (fenced, who, why) = bench.expelled()[0];
    assert_eq!((who, why), (0, "fenced instance"));
    assert!((100.0..=103.0).contains(&fenced), "{fenced}");
    assert!(!bench.group.is_up(id(0)));
    assert_eq!(bench.rebalances(), []);
}

/// K-GRP-4: a pause shorter than the session goes unnoticed. A longer one: the zombie reads on when
/// it wakes, cannot commit (K-GRP-7), learns of it with the heartbeat it sends at once, and loses.
#[test]
fn a_paused_member_is_noticed_if_its_session_ends() {
    for (pause, expelled) in [(41, false), (49, true)] {
        let mut scene = scene(config(classic(RANGE), 2), 4);
        scene.rtt = SimDuration::from_millis(2);
        let mut bench = Bench::new(&scene, SETTLED);
        bench.run_to(100);
        bench.pause(1);
        bench.run_to(100 + pause);
        bench.resume(1);
        assert_eq!(bench.group.may_commit(id(1)), !expelled);
        assert_eq!(bench.group.owned_by(id(1)).len(), 2, "it does not know yet");
        bench.run_until(at(100 + pause) + SimDuration::from_millis(3));
        assert_eq!(bench.group.owned_by(id(1)).len(), if expelled { 0 } else { 2 });
        bench.run_to(300);
        assert_eq!(bench.counts(), [2, 2]);
        // It expires, and comes back: two rebalances.
        assert_eq!(bench.rebalances().len(), if expelled { 2 } else { 0 });
    }
}

/// K-GRP-5: a member that dies while it is parked counts as alive: it gets its share, which nobody
/// reads until a session after the reply.
#[test]
fn a_member_that_dies_while_parked_still_gets_its_share() {
    let mut bench = Bench::new(&scene(config(classic(RANGE), 2), 9), SETTLED);
    bench.busy_until(0, at(200));
    bench.run_to(100);
    bench.start_member(2);
    bench.run_to(110);
    bench.kill(2);
    bench.run_to(199);
    assert_eq!(bench.rebalances(), [], "90 s later its seat still stands");
    bench.run_to(210);
    assert_eq!(bench.rebalances(), [(200.0, 100.0, 3)]);
    assert_eq!(bench.counts(), [3, 3, 0]);
    bench.run_to(400);
    assert_eq!(bench.expelled(), [(245.0, 2, "session expired")]);
    assert_eq!(bench.counts().iter().sum::<usize>(), 9);
}

/// K-GRP-5: if it is the leader, the whole group waits for that session.
#[test]
fn a_leader_that_dies_while_parked_holds_up_the_group() {
    let mut bench = Bench::new(&scene(config(classic(RANGE), 3), 9), SETTLED);
    bench.busy_until(1, at(200));
    bench.run_to(100);
    bench.start_member(3);
    bench.run_to(110);
    // Member 0 is the leader: it was first.
    bench.kill(0);
    bench.run_to(244);
    assert_eq!(bench.group.state(), GroupState::CompletingRebalance);
    assert_eq!(bench.counts(), [0, 0, 0, 0], "eager: all have given up theirs");
    assert!(!bench.group.may_commit(id(1)), "REBALANCE_IN_PROGRESS (K-GRP-7)");
    bench.run_to(400);
    assert_eq!(bench.expelled(), [(245.0, 0, "session expired")]);
    let (at, _, members) = bench.rebalances()[0];
    assert!((245.0..=248.0).contains(&at) && members == 3, "{at}");
}

/// K-GRP-3: with a session longer than the rebalance timeout, who has the generation and does not
/// ask for its assignment is removed after that timeout. The first barrier ends when member 0 polls.
#[test]
fn a_member_that_does_not_sync_is_removed_after_the_rebalance_timeout() {
    for interval in [300, 60] {
        let mut config = config(classic(RANGE), 2);
        (config.session_timeout, config.max_poll_interval) = (secs(1_800), secs(interval));
        let mut bench = Bench::new(&scene(config, 9), SETTLED);
        bench.busy_until(0, at(120));
        bench.run_to(100);
        bench.start_member(2);
        bench.run_to(110);
        bench.kill(2);
        bench.run_to(1_000);
        let removed = f64::from(u32::try_from(120 + interval).unwrap());
        assert_eq!(bench.expelled(), [(removed, 2, "did not sync in time")]);
        assert_eq!(bench.rebalances().len(), 2);
    }
}

/// K-GRP-10: while the coordinator is away nobody is expelled and nothing can be committed; with the
/// new one the generation stands, and sessions begin anew.
#[test]
fn a_coordinator_that_moves_keeps_the_generation_and_restarts_timers() {
    let mut bench = Bench::new(&scene(config(classic(RANGE), 3), 9), SETTLED);
    bench.run_to(100);
    bench.kill(2);
    bench.run_to(120);
    bench.act(|group, ctx, _| group.coordinator_lost(ctx));
    assert!(!bench.group.may_commit(id(0)));
    bench.run_to(200);
    bench.act(|group, ctx, changes| group.coordinator_back(ctx, changes));
    assert!(bench.group.may_commit(id(0)));
    assert_eq!((bench.group.generation(), bench.group.state()), (1, GroupState::Stable));
    bench.run_to(400);
    assert_eq!(bench.expelled(), [(245.0, 2, "session expired")]);
    assert_eq!(bench.stopped_since(at(101)).len(), 6, "once, with that rebalance");
}

/// A rebalance that the loss interrupts is forgotten; those who were parked ask again.
#[test]
fn a_rebalance_that_lost_its_coordinator_begins_again() {
    let mut bench = Bench::new(&scene(config(classic(RANGE), 3), 9), SETTLED);
    bench.busy_until(0, at(150));
    bench.run_to(100);
    bench.start_member(3);
    bench.run_to(110);
    bench.act(|group, ctx, _| group.coordinator_lost(ctx));
    bench.run_to(120);
    bench.act(|group, ctx, changes| group.coordinator_back(ctx, changes));
    bench.run_to(400);
    assert_eq!(bench.rebalances(), [(150.0, 30.0, 4)]);
    assert_eq!(bench.expelled(), []);
}

/// K-GRP-7: commits stand while a rebalance is prepared, not while it is completed, and not for who
/// missed it.
#[test]
fn commits_are_fenced_by_generation() {
    let mut bench = Bench::new(&scene(static_config(3), 9), SETTLED);
    bench.busy_until(0, SimTime::MAX);
    bench.run_to(100);
    bench.start_member(3);
    bench.run_to(150);
    assert_eq!(bench.group.state(), GroupState::PreparingRebalance);
    assert!(bench.group.may_commit(id(0)));
    bench.run_to(400);
    // At 400 s the rebalance timeout has passed without member 0; being static it is kept.
    assert_eq!(bench.rebalances(), [(400.0, 300.0, 4)]);
    assert!(!bench.group.may_commit(id(0)) && bench.group.may_commit(id(1)));
    assert_eq!(bench.group.holder(part(0)), Some(id(0)), "still in the assignment");
}

/// D-16: a day of a healthy group of twenty, 576,000 heartbeats, is no event at all.
#[test]
fn healthy_heartbeats_are_no_events() {
    let mut bench = Bench::new(&scene(config(classic(RANGE), 20), 40), SETTLED);
    bench.run_to(86_400);
    assert_eq!(bench.events, 0);
}

/// The closed form against heartbeats one by one: each renews the session when it arrives; the
/// session expires at the last arrival + 45 s, unless one arrives before.
#[test]
fn expiry_is_as_if_every_heartbeat_were_an_event() {
    for seed in 0..80 {
        let protocol = if seed % 2 == 0 { classic(RANGE) } else { UNIFORM };
        let mut scene = scene(config(protocol, 2), 4);
        scene.seed = seed;
        scene.rtt = SimDuration::from_millis(40);
        let mut rng = Rngs::new(seed).stream("test");
        // Pauses of member 1, then its death.
        let mut instants = Vec::new();
        let mut now = 0;
        for n in 0..9 {
            let longest = if n % 2 == 0 { 50_000 } else { 39_000 };
            now += 1 + rng.below(longest);
            instants.push(SimTime(now * 1_000_000));
        }
        let mut bench = Bench::new(&scene, SETTLED);
        let beats = match &bench.group.inner {
            Inner::Classic(group) => group.beats_of(id(1)),
            Inner::Consumer(group) => group.beats_of(id(1)),
        };
        for (n, &instant) in instants.iter().enumerate() {
            bench.run_until(instant);
            match n {
                8 => bench.kill(1),
                _ if n % 2 == 0 => bench.pause(1),
                _ => bench.resume(1),
            }
        }
        bench.run_until(*instants.last().unwrap() + secs(100));
        let up = SimDuration::from_millis(20);
        let mut last_arrival = SimTime::ZERO;
        let mut beat = beats.next_after(SimTime::ZERO);
        let frozen = |t: SimTime| instants.iter().filter(|it| **it <= t).count() % 2 == 1;
        while beat < *instants.last().unwrap() {
            if frozen(beat) {
                // The overdue one is sent at the end of the pause, and arrives then.
                let end = *instants.iter().find(|it| **it > beat).unwrap();
                last_arrival = last_arrival.max(end);
            } else {
                last_arrival = last_arrival.max(beat + up);
            }
            beat = beats.next_after(beat);
        }
        let expected = (last_arrival + secs(45)).as_secs_f64();
        assert_eq!(bench.expelled(), [(expected, 1, "session expired")], "seed {seed}");
    }
}
