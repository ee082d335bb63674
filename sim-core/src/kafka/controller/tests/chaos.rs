//! Random faults in both modes: the laws hold all the time (the bench checks them after every
//! event), and once everything is well again everything is as it was.

use super::*;
use crate::engine::RngStream;

const BROKERS: u16 = 5;

/// What has been done to the cluster.
#[derive(Default)]
struct Harm {
    frozen: BrokerSet,
    dead: BrokerSet,
    dead_nodes: Vec<usize>,
    cut: Vec<usize>,
}

fn configs() -> Vec<ClusterConfig> {
    let zones = [0, 1, 2];
    let mut configs = Vec::new();
    for (version, quorum) in [
        (KafkaVersion::V2_4, zookeeper_quorum(&zones, 6)),
        (KafkaVersion::V3_9, zookeeper_quorum(&zones, 18)),
        (KafkaVersion::V3_9, kraft_quorum(&zones, false)),
        (KafkaVersion::V4_1, kraft_quorum(&zones, false)),
        (KafkaVersion::V4_1, kraft_quorum(&zones, true)),
    ] {
        let mut config = cluster(version, quorum, usize::from(BROKERS), vec![topic("t", 20, 3)]);
        config.topics.push(TopicConfig { unclean_leader_election: true, ..topic("u", 7, 2) });
        config.topics[0].min_insync_replicas = 2;
        config.settings.eligible_leader_replicas = version == KafkaVersion::V4_1;
        config.costs.election = ms(20);
        config.costs.state_load = ms(10);
        config.costs.controlled_shutdown = ms(15);
        config.costs.propagation = ms(7);
        configs.push(config);
    }
    configs
}

/// One random deed.
fn meddle(bench: &mut Bench, harm: &mut Harm, combined: bool, rng: &mut RngStream) {
    let mut below = |bound: u64| usize::try_from(rng.below(bound)).unwrap();
    let broker = BrokerId(u16::try_from(below(u64::from(BROKERS))).unwrap());
    let node = below(3);
    match below(10) {
        0 | 1 if !harm.dead.has(broker) => {
            harm.frozen = harm.frozen.without(broker);
            harm.dead = harm.dead.with(broker);
            bench.kill(broker);
        }
        0 | 1 => {
            harm.dead = harm.dead.without(broker);
            if below(2) == 0 { bench.start(broker) } else { bench.start_unclean(broker) }
        }
        2 if !harm.dead.has(broker) && !harm.frozen.has(broker) => {
            harm.frozen = harm.frozen.with(broker);
            bench.freeze(broker);
        }
        2 | 3 if harm.frozen.has(broker) => {
            harm.frozen = harm.frozen.without(broker);
            bench.thaw(broker);
        }
        4 if !combined => match harm.dead_nodes.iter().position(|&dead| dead == node) {
            Some(at) => {
                harm.dead_nodes.remove(at);
                bench.start_node(node);
            }
            None => {
                harm.dead_nodes.push(node);
                bench.kill_node(node);
            }
        },
        5 => match harm.cut.iter().position(|&cut| cut == node) {
            Some(at) => {
                harm.cut.remove(at);
                bench.heal(node);
            }
            None => {
                harm.cut.push(node);
                bench.cut(node);
            }
        },
        6 if !harm.dead.has(broker) && !harm.frozen.has(broker) => bench.shut_down(broker),
        _ => {
            let partition = p(u32::try_from(below(27)).unwrap());
            let state = bench.metadata.of(partition);
            if state.leader.is_some() {
                let drawn = u16::try_from(below(1 << BROKERS)).unwrap();
                let wanted = |id: &u16| drawn >> id & 1 == 1;
                let isr = state.replicas.iter().map(|replica| replica.0);
                let isr: Vec<u16> =
                    isr.filter(|id| wanted(id) || state.leader == Some(b(*id))).collect();
                bench.wish(partition, &isr);
            }
        }
    }
    // A process that may exit does.
    let granted: Vec<BrokerId> = (0..BROKERS).map(BrokerId).collect();
    for broker in granted {
        let exits = bench.controller.core.broker(broker).exiting;
        if exits && !harm.dead.has(broker) && !harm.frozen.has(broker) {
            harm.dead = harm.dead.with(broker);
            bench.kill(broker);
        }
    }
}

fn repair(bench: &mut Bench, harm: &mut Harm) {
    harm.cut.drain(..).for_each(|zone| bench.heal(zone));
    harm.dead_nodes.drain(..).for_each(|node| bench.start_node(node));
    harm.frozen.iter().for_each(|broker| bench.thaw(broker));
    bench.run_for(secs(400));
    for broker in (0..BROKERS).map(BrokerId) {
        if bench.controller.core.broker(broker).exiting && !harm.dead.has(broker) {
            harm.dead = harm.dead.with(broker);
            bench.kill(broker);
        }
    }
    harm.dead.iter().for_each(|broker| bench.start(broker));
    *harm = Harm::default();
    bench.run_for(secs(60));
}

#[test]
fn whatever_happens_the_laws_hold_and_the_cluster_recovers() {
    let mut faults = [0_usize; 3];
    for (which, config) in configs().iter().enumerate() {
        let combined = matches!(&config.quorum, Quorum::KRaft(kraft) if kraft.combined);
        for seed in 0..40 {
            let mut bench = Bench::new(config, seed);
            let mut rng = Rngs::new(seed).stream("chaos");
            let mut harm = Harm::default();
            for _ in 0..60 {
                meddle(&mut bench, &mut harm, combined, &mut rng);
                let pause = if rng.below(4) == 0 { 30_000 } else { 3_000 };
                bench.run_for(ms(rng.below(pause)));
            }
            repair(&mut bench, &mut harm);
            let at = format!("configuration {which}, seed {seed}");
            assert!(bench.controller.quorum_available(), "{at}");
            assert!(bench.controller.active_controller().is_some(), "{at}");
            for broker in (0..BROKERS).map(BrokerId) {
                assert!(bench.controller.is_live(broker), "{at}: {broker:?}");
            }
            // With ELR and all logs damaged a partition may be left to the operator.
            for (id, state) in bench.metadata.iter() {
                let waits = state.isr.is_empty() && state.elr.is_empty();
                assert!(state.leader.is_some() || waits, "{at}: {id:?} {state:?}");
            }
            bench.controller.audit(&bench.metadata);
            faults[0] += bench.count(|change| change == Change::QuorumLost);
            faults[1] += bench.count(|change| matches!(change, Change::UncleanElection(_)));
            faults[2] += bench.count(|change| matches!(change, Change::ShutdownGranted { .. }));
        }
    }
    assert!(faults.iter().all(|&seen| 100 < seen), "all of it happened: {faults:?}");
}

/// The same seed, the same history, to the event.
#[test]
fn a_seed_determines_everything() {
    for config in &configs() {
        let history = |seed: u64| {
            let mut bench = Bench::new(config, seed);
            let mut rng = Rngs::new(seed).stream("chaos");
            let mut harm = Harm::default();
            for _ in 0..40 {
                meddle(&mut bench, &mut harm, true, &mut rng);
                bench.run_for(ms(rng.below(9_000)));
            }
            (bench.log, bench.events)
        };
        assert_eq!(history(3), history(3));
        assert_ne!(history(3), history(4));
    }
}
