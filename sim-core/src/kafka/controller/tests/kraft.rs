//! KRaft: detection, failover of controllers, start and stop of brokers.

use super::*;

fn three(version: KafkaVersion) -> ClusterConfig {
    cluster(version, kraft_quorum(&[0, 1, 2], false), 3, vec![listed(&[0, 1, 2])])
}

/// Crash to fence of broker 0, killed at `killed`.
fn detection(version: KafkaVersion, seed: u64, killed: SimTime) -> SimDuration {
    let mut bench = Bench::new(&three(version), seed);
    bench.run_until(killed);
    bench.kill(b(0));
    bench.run_for(secs(30));
    bench.when(Change::Fenced { broker: b(0) }).unwrap().since(killed)
}

/// K-VEC-5, V-57. The last heartbeat is up to 2 s old: the deadline is 7-9 s after the crash; 4.x
/// looks every 9/8 s: up to 10.125 s. Over 400 phases both ends are nearly reached.
#[test]
fn v57_a_crashed_broker_is_fenced_after_7_to_10_seconds() {
    for (version, longest) in [(KafkaVersion::V3_9, 9.0), (KafkaVersion::V4_1, 10.125)] {
        let waits: Vec<f64> = (0..400)
            .map(|seed| detection(version, seed, at(20.0 + 0.1 * (seed % 97) as f64)).as_secs_f64())
            .collect();
        let least = waits.iter().copied().fold(f64::MAX, f64::min);
        let most = waits.iter().copied().fold(0.0, f64::max);
        assert!((7.0..7.3).contains(&least), "{version:?}: {least}");
        assert!((longest - 0.4..=longest).contains(&most), "{version:?}: {most}");
    }
}

/// Sessions in closed form against heartbeats that are events: each moves the deadline.
#[test]
fn closed_form_sessions_end_like_sessions_played_heartbeat_by_heartbeat() {
    for seed in 0..50 {
        let killed = at(31.0 + 0.37 * seed as f64);
        let bench = Bench::new(&three(KafkaVersion::V3_9), seed);
        let Mode::KRaft(kraft) = &bench.controller.mode else { unreachable!() };
        let (mut heartbeat, mut deadline) = (kraft.first_heartbeat(b(0)), secs(9).0);
        while heartbeat <= killed {
            deadline = (heartbeat + secs(9)).0;
            heartbeat += secs(2);
        }
        let fenced = killed + detection(KafkaVersion::V3_9, seed, killed);
        assert_eq!(fenced, SimTime(deadline));
    }
}

#[test]
fn a_healthy_cluster_costs_no_events() {
    let mut bench = Bench::new(&three(KafkaVersion::V4_1), 1);
    bench.run_until(at(3_600.0));
    assert_eq!((bench.events, bench.log.len()), (0, 0));
}

/// K-KR-3: all that are due at one check are fenced 10 ms apart.
#[test]
fn brokers_that_died_together_are_fenced_one_by_one() {
    let config = cluster(KafkaVersion::V4_1, kraft_quorum(&[0, 1, 2], false), 9, vec![]);
    for seed in 0..20 {
        let mut bench = Bench::new(&config, seed);
        bench.run_until(at(60.0));
        (1..9).for_each(|broker| bench.kill(b(broker)));
        bench.run_for(secs(20));
        let mut fenced: Vec<SimTime> =
            (1..9).map(|id| bench.when(Change::Fenced { broker: b(id) }).unwrap()).collect();
        fenced.sort_unstable();
        assert!(fenced.windows(2).all(|pair| ms(10) <= pair[1].since(pair[0])), "{fenced:?}");
        assert!(fenced.iter().all(|at| (67.0..70.3).contains(&at.as_secs_f64())));
    }
}

/// A freeze that ends before the session does nothing; a longer one is a fence, and the end of the
/// freeze the end of the fence.
#[test]
fn a_freeze_within_the_session_goes_unnoticed() {
    let mut bench = Bench::new(&three(KafkaVersion::V4_1), 3);
    bench.run_until(at(20.0));
    bench.freeze(b(1));
    bench.run_for(ms(6_900));
    bench.thaw(b(1));
    bench.run_for(secs(60));
    assert_eq!(bench.log, []);
    bench.freeze(b(1));
    bench.run_for(secs(20));
    assert!(!bench.controller.is_live(b(1)));
    assert_eq!(bench.isr(p(0)), [0, 2]);
    let thawed = bench.now;
    bench.thaw(b(1));
    bench.run_for(secs(3));
    assert_eq!(bench.when(Change::Unfenced { broker: b(1) }), Some(thawed));
    assert_eq!(bench.isr(p(0)), [0, 2], "back in the ISR by its leader only");
}

/// K-KR-1: the followers' last fetches are up to 0.5 s old, so the first of two campaigns 1.5-2 s
/// after the death of the leader; a split vote adds 1-2 s and up to 1 s of back-off at a time.
#[test]
fn another_controller_takes_over_within_seconds() {
    let mut waits: Vec<f64> = (0..300)
        .map(|seed| {
            let mut bench = Bench::new(&three(KafkaVersion::V4_1), seed);
            bench.run_until(at(10.0));
            bench.kill_node(0);
            assert_eq!(bench.controller.active_controller(), None);
            bench.run_for(secs(30));
            let to = bench.controller.active_controller();
            assert!(matches!(to, Some(1 | 2)));
            assert_eq!(bench.count(|change| change == Change::QuorumLost), 0);
            bench.when(Change::ControllerChanged { to }).unwrap().as_secs_f64() - 10.0
        })
        .collect();
    waits.sort_by(f64::total_cmp);
    assert!((1.5..1.65).contains(&waits[0]), "{waits:?}");
    assert!(waits[250] < 2.1, "{waits:?}");
    assert!(2.5 < waits[299], "some vote is split: {waits:?}");
}

/// K-KR-2: the new controller gives every broker a fresh session, dead ones too.
#[test]
fn a_new_controller_begins_all_sessions_anew() {
    let mut bench = Bench::new(&three(KafkaVersion::V3_9), 5);
    bench.run_until(at(10.0));
    bench.kill(b(0));
    bench.run_for(secs(6));
    bench.kill_node(0);
    bench.run_for(secs(30));
    let to = bench.controller.active_controller();
    let elected = bench.when(Change::ControllerChanged { to }).unwrap();
    assert_eq!(bench.when(Change::Fenced { broker: b(0) }), Some(elected + secs(9)));
    assert!(bench.controller.is_live(b(1)) && bench.controller.is_live(b(2)));
}

/// K-NUM-4, combined mode: the broker of the active controller dies: failover, then a full session.
#[test]
fn in_combined_mode_the_controller_dies_with_its_broker() {
    let config = cluster(
        KafkaVersion::V4_1,
        kraft_quorum(&[0, 1, 2], true),
        3,
        vec![listed(&[0, 1, 2]), listed(&[1, 0, 2])],
    );
    for seed in 0..50 {
        let mut bench = Bench::new(&config, seed);
        bench.run_until(at(50.0));
        bench.kill(b(0));
        bench.run_for(secs(30));
        let wait = bench.when(Change::Elected(p(0))).unwrap().as_secs_f64() - 50.0;
        assert!((10.5..15.0).contains(&wait), "{wait}");
        assert_eq!(bench.leader(p(0)), Some(b(1)));
        assert_eq!(bench.leader(p(1)), Some(b(1)), "it led all the time");
    }
}

/// K-KR-6: no fence, however long; then a fresh session for all, and only then elections.
#[test]
fn without_quorum_nobody_is_fenced_and_afterwards_all_get_a_full_session() {
    let mut bench = Bench::new(&three(KafkaVersion::V3_9), 7);
    bench.run_until(at(10.0));
    bench.kill_node(0);
    bench.kill_node(1);
    bench.run_for(secs(2));
    bench.kill(b(0));
    bench.wish(p(0), &[0, 2]);
    bench.run_for(secs(3_600));
    assert!(bench.controller.is_live(b(0)) && !bench.controller.quorum_available());
    assert_eq!(bench.count(|change| matches!(change, Change::Partition(_))), 0);
    let started = bench.now;
    bench.start_node(0);
    bench.run_for(secs(60));
    let back = bench.when(Change::QuorumBack).unwrap();
    assert!(back.since(started) < secs(4), "{back}");
    assert_eq!(bench.when(Change::Fenced { broker: b(0) }), Some(back + secs(9)));
    assert_eq!(bench.when(Change::Elected(p(0))), Some(back + secs(9)));
}

/// Three zones: a cut leaves two controllers. The brokers of the cut zone are fenced, and come back
/// when it heals.
#[test]
fn a_cut_zone_loses_its_broker_and_keeps_the_quorum() {
    let mut bench = Bench::new(&three(KafkaVersion::V4_1), 11);
    bench.run_until(at(10.0));
    bench.cut(2);
    bench.run_for(secs(60));
    assert_eq!(bench.count(|change| change == Change::QuorumLost), 0);
    assert_eq!(bench.controller.active_controller(), Some(0));
    assert!(!bench.controller.is_live(b(2)));
    assert_eq!(bench.isr(p(0)), [0, 1]);
    bench.heal(2);
    bench.run_for(secs(3));
    assert!(bench.controller.is_live(b(2)));
    assert_eq!(bench.controller.active_controller(), Some(0), "pre-vote");
}

/// The zone of the active controller is cut: the others elect one, and fence its broker a session
/// later.
#[test]
fn the_active_controller_is_cut_off() {
    let mut bench = Bench::new(&three(KafkaVersion::V3_9), 12);
    bench.run_until(at(10.0));
    bench.cut(0);
    assert!(!bench.controller.quorum_available());
    bench.run_for(secs(60));
    let to = bench.controller.active_controller();
    assert!(matches!(to, Some(1 | 2)));
    let elected = bench.when(Change::ControllerChanged { to }).unwrap();
    assert_eq!(bench.when(Change::Fenced { broker: b(0) }), Some(elected + secs(9)));
    assert_ne!(bench.leader(p(0)), Some(b(0)));
}

/// Without pre-vote the node that was cut off comes back with a later epoch: the leader gives way,
/// another election of 1-2 s.
#[test]
fn before_pre_vote_a_node_that_comes_back_unseats_the_leader() {
    let mut bench = Bench::new(&three(KafkaVersion::V3_9), 13);
    bench.run_until(at(10.0));
    bench.cut(2);
    bench.run_for(secs(1));
    bench.heal(2);
    bench.run_for(secs(20));
    assert_eq!(bench.log, [], "its fetch timeout had not passed");
    bench.cut(2);
    bench.run_for(secs(5));
    bench.heal(2);
    assert_eq!(bench.controller.active_controller(), None);
    bench.run_for(secs(8));
    assert!(bench.controller.active_controller().is_some());
}

/// All controllers in one zone, which is cut off: they keep the quorum among themselves, and
/// everybody else is fenced. Brokers of their own zone lead.
#[test]
fn all_controllers_in_a_zone_that_is_cut_off() {
    let topics = vec![listed(&[1, 0, 2])];
    let config = cluster(KafkaVersion::V4_1, kraft_quorum(&[0, 0, 0], false), 3, topics);
    let mut bench = Bench::new(&config, 1);
    bench.run_until(at(10.0));
    bench.cut(0);
    bench.run_for(secs(30));
    assert_eq!((bench.leader(p(0)), bench.isr(p(0))), (Some(b(0)), vec![0]));
}

/// One controller in each of two zones and none in the third: cut off from each other they have no
/// majority. The leader resigns, having had no majority for 2.5-3 s.
#[test]
fn a_cut_between_two_controllers_loses_the_quorum() {
    let config = cluster(KafkaVersion::V4_1, kraft_quorum(&[0, 1], false), 3, vec![]);
    let mut bench = Bench::new(&config, 1);
    bench.run_until(at(10.0));
    bench.cut(0);
    assert_eq!(bench.when(Change::QuorumLost), Some(at(10.0)));
    bench.run_for(secs(600));
    let resigned = bench.when(Change::ControllerChanged { to: None }).unwrap();
    assert!((12.5..=13.0).contains(&resigned.as_secs_f64()), "{resigned}");
    bench.heal(0);
    bench.run_for(secs(10));
    assert!(bench.controller.quorum_available());
    assert!((0..3).all(|broker| bench.controller.is_live(b(broker))));
}

/// K-KR-5: a process that starts while the old session is valid is refused: 4.x tries every 2 s, 3.9
/// after 0.1, 0.2, 0.4 ... s. It is unfenced once it has seen its registration, 10 ms.
#[test]
fn a_fast_restart_does_not_beat_the_fence() {
    for version in [KafkaVersion::V3_9, KafkaVersion::V4_1] {
        let mut bench = Bench::new(&three(version), 17);
        bench.run_until(at(20.0));
        bench.kill(b(0));
        bench.run_for(secs(1));
        bench.start(b(0));
        bench.run_for(secs(30));
        let fenced = bench.when(Change::Fenced { broker: b(0) }).unwrap();
        assert!((27.0..=30.2).contains(&fenced.as_secs_f64()));
        assert_eq!(bench.when(Change::StartRefused { broker: b(0) }), Some(at(21.0)));
        assert_eq!(bench.count(|change| matches!(change, Change::StartRefused { .. })), 1);
        let mut tries = (0_u32..).map(|n| match version {
            KafkaVersion::V4_1 => at(21.0) + secs(2).times(n.into()),
            KafkaVersion::V2_4 | KafkaVersion::V3_9 => at(21.0) + ms(100).times((1 << n) - 1),
        });
        let registered = tries.find(|tried| fenced < *tried).unwrap();
        let unfenced = bench.when(Change::Unfenced { broker: b(0) });
        assert_eq!(unfenced, Some(registered + ms(10)), "{version:?}");
    }
}

/// K-KR-5. 3,000 replicas at 1 ms: moved after 3 s; told by others within 2 s more, granted at the
/// next own heartbeat (at 0, 0.05, 2.05, 4.05 s and so on). Nothing is leaderless at any time.
#[test]
fn an_orderly_stop_moves_leaders_first() {
    let mut config = three(KafkaVersion::V4_1);
    config.topics = vec![topic("t", 3_000, 3)];
    config.costs.controlled_shutdown = ms(1);
    let mut bench = Bench::new(&config, 19);
    bench.run_until(at(20.0));
    bench.shut_down(b(0));
    bench.run_for(secs(3));
    assert!((0..3_000).all(|id| !bench.metadata.of(p(id)).isr.has(b(0))));
    bench.run_for(secs(10));
    let granted = bench.when(Change::ShutdownGranted { broker: b(0) }).unwrap();
    assert!(granted == at(24.05) || granted == at(26.05), "{granted}");
    assert_eq!(bench.count(|change| matches!(change, Change::Elected(_))), 1_000);
    assert!((0..3_000).all(|id| bench.leader(p(id)).is_some_and(|leader| leader != b(0))));
    bench.kill(b(0));
    bench.run_for(secs(60));
    assert_eq!(bench.count(|change| matches!(change, Change::Fenced { .. })), 1);
    // It comes back: no old session stands in the way.
    let started = bench.now;
    bench.start(b(0));
    bench.run_for(secs(10));
    assert_eq!(bench.when(Change::Unfenced { broker: b(0) }), Some(started + ms(10)));
    assert_eq!(bench.count(|change| matches!(change, Change::StartRefused { .. })), 0);
}

/// A stopping broker is neither elected nor let into an ISR.
#[test]
fn a_stopping_broker_is_not_eligible() {
    let mut config = three(KafkaVersion::V4_1);
    config.topics = vec![listed(&[0, 1, 2]), listed(&[1, 0, 2])];
    let mut bench = Bench::new(&config, 23);
    bench.shut_down(b(0));
    bench.run_for(ms(1));
    assert_eq!((bench.isr(p(0)), bench.leader(p(0))), (vec![1, 2], Some(b(1))));
    bench.wish(p(1), &[0, 1, 2]);
    bench.run_for(ms(1));
    assert_eq!(bench.isr(p(1)), [1, 2]);
    assert!(bench.when(Change::IsrRefused { partition: p(1) }).is_some());
}

/// Without a controller a stop waits, five minutes at most.
#[test]
fn a_stop_without_controller_gives_up_after_five_minutes() {
    let mut bench = Bench::new(&three(KafkaVersion::V4_1), 29);
    bench.run_until(at(10.0));
    (0..3).for_each(|node| bench.kill_node(node));
    bench.shut_down(b(0));
    bench.run_for(secs(900));
    assert_eq!(bench.when(Change::ShutdownGranted { broker: b(0) }), Some(at(310.0)));
    assert_eq!(bench.leader(p(0)), Some(b(0)));
}

/// K-ELC-5, K-ELC-6: leaderships go back at the next look, up to 300 s later, once the first replica
/// is in sync again.
#[test]
fn leadership_returns_at_the_next_look() {
    for version in [KafkaVersion::V3_9, KafkaVersion::V4_1] {
        let mut bench = Bench::new(&three(version), 31);
        bench.run_until(at(20.0));
        bench.kill(b(0));
        bench.run_for(secs(20));
        let moved = bench.when(Change::Elected(p(0))).unwrap();
        bench.start(b(0));
        bench.run_for(secs(10));
        assert_eq!(bench.leader(p(0)), Some(b(1)));
        bench.wish(p(0), &[0, 1, 2]);
        bench.run_for(secs(300));
        assert_eq!(bench.leader(p(0)), Some(b(0)), "{version:?}");
        if version == KafkaVersion::V3_9 {
            let again = bench.when_from(at(41.0), Change::Elected(p(0)));
            assert_eq!(again, Some(moved + secs(300)));
        }
    }
}

/// K-ELC-4, min ISR 2: the last two leave one after the other and are both eligible. The one that
/// died last comes back from a power failure and is passed over for the other, however late that
/// one is; without ELR it leads, and what it lost is lost.
#[test]
fn a_log_that_was_not_closed_does_not_lead_while_another_may_have_everything() {
    for elr in [true, false] {
        let mut config = three(KafkaVersion::V4_1);
        config.topics[0].min_insync_replicas = 2;
        config.settings.eligible_leader_replicas = elr;
        let mut bench = Bench::new(&config, 37);
        bench.run_until(at(20.0));
        bench.wish(p(0), &[0, 1]);
        bench.run_for(ms(1));
        bench.kill(b(1));
        bench.run_for(secs(20));
        bench.kill(b(0));
        bench.run_for(secs(20));
        let (isr, eligible) = if elr { (vec![], vec![0, 1]) } else { (vec![0], vec![]) };
        assert_eq!((bench.leader(p(0)), bench.isr(p(0)), bench.elr(p(0))), (None, isr, eligible));
        bench.start_unclean(b(0));
        bench.run_for(secs(10));
        assert_eq!(bench.leader(p(0)), (!elr).then_some(b(0)));
        bench.start(b(1));
        bench.run_for(secs(10));
        assert_eq!(bench.leader(p(0)), Some(b(if elr { 1 } else { 0 })));
        assert_eq!(bench.count(|change| matches!(change, Change::UncleanElection(_))), 0);
    }
}

/// More partitions: announced when they are committed, led by the first replica that is there.
#[test]
fn added_partitions_are_led_by_who_is_there() {
    let mut config = three(KafkaVersion::V4_1);
    config.topics = vec![topic("t", 3, 3)];
    config.costs.election = ms(2);
    config.costs.propagation = ms(30);
    let mut bench = Bench::new(&config, 41);
    bench.run_until(at(20.0));
    bench.kill(b(0));
    bench.run_for(secs(20));
    bench.call(|c, scene| c.add_partitions(0, 6, scene));
    bench.run_for(ms(35));
    assert_eq!(bench.metadata.topics[0].len(), 3);
    bench.run_for(ms(1));
    assert_eq!(bench.metadata.topics[0].len(), 6);
    for id in 3..6 {
        let state = bench.metadata.of(p(id));
        let first = state.replicas.iter().copied().find(|&replica| replica != b(0));
        assert_eq!((state.leader, bench.isr(p(id))), (first, vec![1, 2]));
        assert_eq!(bench.when(Change::Partition(p(id))), Some(at(40.036)));
    }
}

/// A broker that was cut off for ten minutes and is heard again: in 4.x its request waits 2 s for
/// the controller, then pauses 2 s: heard within 2 s, half of them at once. In 3.9 it waits 4.5 s and
/// pauses 9 s by then: two of three are heard late, up to 9 s.
#[test]
fn a_broker_that_was_cut_off_for_long_is_heard_late() {
    for (version, longest, late) in
        [(KafkaVersion::V3_9, 9.0, 0.67), (KafkaVersion::V4_1, 2.0, 0.5)]
    {
        // One controller, in a zone of its own: no election meddles.
        let config = cluster(version, kraft_quorum(&[0], false), 3, vec![]);
        let waits: Vec<f64> = (0..300)
            .map(|seed| {
                let mut bench = Bench::new(&config, seed);
                bench.run_until(at(10.0));
                bench.cut(2);
                bench.run_for(secs(600) + ms(43 * seed));
                let healed = bench.now;
                bench.heal(2);
                bench.run_for(secs(20));
                bench.when(Change::Unfenced { broker: b(2) }).unwrap().since(healed).as_secs_f64()
            })
            .collect();
        let most = waits.iter().copied().fold(0.0, f64::max);
        assert!((longest - 0.3..=longest).contains(&most), "{most}");
        let share = waits.iter().filter(|&&wait| 0.0 < wait).count() as f64 / 300.0;
        assert!((share - late).abs() < 0.1, "{share}");
    }
}

/// A frozen active controller is replaced like a dead one, and is none when it wakes.
#[test]
fn a_frozen_controller_is_replaced() {
    let mut bench = Bench::new(&three(KafkaVersion::V4_1), 43);
    bench.run_until(at(10.0));
    bench.call(|c, scene| c.node_frozen(0, scene));
    assert!(!bench.controller.quorum_available());
    bench.run_for(secs(10));
    let to = bench.controller.active_controller();
    assert!(matches!(to, Some(1 | 2)) && bench.controller.quorum_available());
    bench.call(|c, scene| c.node_thawed(0, scene));
    bench.run_for(secs(60));
    assert_eq!(bench.controller.active_controller(), to);
    assert_eq!(bench.log.len(), 1, "{:?}", bench.log);
}

/// K-KR-5: the stop is granted at the first own heartbeat (0.05, 2.05 s ...) after each other broker
/// has sent one since the moves, which end after 3 s.
#[test]
fn a_stop_is_granted_once_all_others_have_told_that_they_know() {
    let mut config = three(KafkaVersion::V4_1);
    config.topics = vec![topic("t", 300, 3)];
    config.costs.controlled_shutdown = ms(10);
    let mut late = 0;
    for seed in 0..30 {
        let mut bench = Bench::new(&config, seed);
        let Mode::KRaft(kraft) = &bench.controller.mode else { unreachable!() };
        let told = |broker: u16| {
            let mut heartbeat = kraft.first_heartbeat(b(broker));
            while heartbeat <= at(23.0) {
                heartbeat += secs(2);
            }
            heartbeat
        };
        let all = told(1).max(told(2));
        let expected = if all < at(24.05) { at(24.05) } else { at(26.05) };
        late += usize::from(expected == at(26.05));
        bench.run_until(at(20.0));
        bench.shut_down(b(0));
        bench.run_for(secs(10));
        assert_eq!(bench.when(Change::ShutdownGranted { broker: b(0) }), Some(expected));
    }
    assert!((5..28).contains(&late), "both happen: {late}");
}
