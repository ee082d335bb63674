//! What is planned: names become indices.

use sim_core::config as sim;
use sim_core::engine::SimTime;

use super::kinesis::capacity;
use super::{cluster_index, index, index_among, stream_index};
use crate::effective::{cluster, topic_names};
use crate::schema::{Consumer, Happening, Hit, Planned, Scenario, Who};
use crate::units::Dur;

fn fleet(scenario: &Scenario, name: &str) -> sim::Fleet {
    let consumers = &scenario.consumers;
    match consumers.get(name) {
        Some(Consumer::KafkaGroup(_)) => {
            sim::Fleet::Group(index_among(consumers, name, |it| it.as_group().is_some()))
        }
        Some(Consumer::Kcl(_)) | None => {
            sim::Fleet::App(index_among(consumers, name, |it| it.as_kcl().is_some()))
        }
    }
}

pub(super) fn entry(scenario: &Scenario, planned: &Planned) -> sim::TimelineEntry {
    sim::TimelineEntry {
        at: SimTime(planned.at.0),
        lasts: planned.lasts.map(Dur::sim),
        what: happening(scenario, &planned.what),
    }
}

fn topic_number(scenario: &Scenario, name: &str, topic: &str) -> usize {
    let names = cluster(scenario, name).map(topic_names).unwrap_or_default();
    names.iter().position(|it| *it == topic).unwrap_or(0)
}

/// Which processes; `cluster` is that of brokers and nodes.
fn who(scenario: &Scenario, cluster: &str, who: &Who) -> sim::Who {
    match who {
        Who::Numbers(numbers) => sim::Who::Numbers(numbers.clone()),
        Who::Random(count) => sim::Who::Random(*count),
        Who::Leader => sim::Who::Leader,
        Who::Controller => sim::Who::Controller,
        Who::Coordinator(group) => {
            sim::Who::Coordinator(index_among(&scenario.consumers, group, |it| {
                it.as_group().is_some()
            }))
        }
        Who::LeaderOf(topic, partition) => sim::Who::LeaderOf {
            topic: topic_number(scenario, cluster, topic),
            partition: *partition,
        },
    }
}

/// Whom something hits.
fn whom(scenario: &Scenario, hit: Hit<'_>) -> sim::Whom {
    let numbers = |list: &[u32]| sim::Who::Numbers(list.to_vec());
    match hit {
        Hit::Workers(consumer, workers, which) => sim::Whom {
            of: sim::Processes::Workers(fleet(scenario, consumer)),
            who: which.map_or(sim::Who::First(workers.unwrap_or(1)), |it| who(scenario, "", it)),
        },
        Hit::Brokers(cluster, brokers, which) => sim::Whom {
            of: sim::Processes::Brokers(cluster_index(scenario, cluster)),
            who: which.map_or_else(|| numbers(brokers), |it| who(scenario, cluster, it)),
        },
        Hit::Nodes(cluster, nodes, which) => sim::Whom {
            of: sim::Processes::QuorumNodes(cluster_index(scenario, cluster)),
            who: which.map_or_else(|| numbers(nodes), |it| who(scenario, cluster, it)),
        },
    }
}

fn happening(scenario: &Scenario, what: &Happening) -> sim::Happening {
    use sim::Happening as To;
    let stream = |name: &str| stream_index(scenario, name);
    let cluster = |name: &str| cluster_index(scenario, name);
    let producer = |name: &str| index(&scenario.producers, name);
    let fleet = |name: &str| fleet(scenario, name);
    let hit = || whom(scenario, what.hit().expect("checked: it says whom"));
    match what {
        Happening::KillWorkers(_) | Happening::KillBrokers(_) | Happening::KillQuorumNodes(_) => {
            To::Kill(hit())
        }
        Happening::PauseWorkers(_)
        | Happening::PauseBrokers(_)
        | Happening::PauseQuorumNodes(_) => To::Pause(hit()),
        Happening::StopWorkers(_) | Happening::StopBrokers(_) => To::Stop(hit()),
        Happening::RestartLoop { up, down, .. } => {
            To::RestartLoop { whom: hit(), up: up.sim(), down: down.sim() }
        }
        Happening::SlowConsumer { consumer, factor, who } => To::SlowConsumer {
            consumer: fleet(consumer),
            who: who.as_ref().map(|_| hit().who),
            factor_ppm: factor.0,
        },
        Happening::SlowDisks { cluster: name, factor, .. } => {
            To::SlowDisks { cluster: cluster(name), who: hit().who, factor_ppm: factor.0 }
        }
        Happening::HotKey { producer: name, key, share } => {
            To::HotKey { producer: producer(name), key: key.clone(), share_ppm: share.0 }
        }
        Happening::RateFactor { producer: name, factor, ramp } => {
            To::RateFactor { producer: producer(name), factor_ppm: factor.0, ramp: ramp.sim() }
        }
        Happening::AddWorkers { consumer, workers } => {
            To::AddWorkers { consumer: fleet(consumer), workers: *workers }
        }
        Happening::RollingRestart { consumer, down, gap } => {
            To::RollingRestart { consumer: fleet(consumer), down: down.sim(), gap: gap.sim() }
        }
        Happening::SlowSink { sink, factor } => {
            To::SlowSink { sink: index(&scenario.sinks, sink), factor_ppm: factor.0 }
        }
        Happening::FailSink { sink, share } => {
            To::FailSink { sink: index(&scenario.sinks, sink), share_ppm: share.0 }
        }
        Happening::ThrottleApi { stream: name, share } => {
            To::ThrottleApi { stream: stream(name), share_ppm: share.0 }
        }
        Happening::ExpireIterators { stream: name, share } => {
            To::ExpireIterators { stream: stream(name), share_ppm: share.0 }
        }
        Happening::LoseAnswers { stream: name, share } => {
            To::LoseAnswers { stream: stream(name), share_ppm: share.0 }
        }
        Happening::SplitShard { .. }
        | Happening::SplitHottestShard(_)
        | Happening::MergeShards { .. }
        | Happening::UpdateShardCount { .. }
        | Happening::SwitchMode(..)
        | Happening::WarmThroughput { .. }
        | Happening::CutZone { .. }
        | Happening::AddPartitions { .. }
        | Happening::ElectUnclean { .. } => operation(scenario, what),
    }
}

/// What is about a stream or a cluster as a whole.
fn operation(scenario: &Scenario, what: &Happening) -> sim::Happening {
    use sim::Happening as To;
    let of = |name: &str| stream_index(scenario, name);
    let topic = |name: &str, topic: &str| topic_number(scenario, name, topic);
    #[expect(clippy::wildcard_enum_match_arm, reason = "the caller has named those that come here")]
    match what {
        Happening::SplitShard { stream, shard } => {
            To::SplitShard { stream: of(stream), shard: *shard }
        }
        Happening::SplitHottestShard(stream) => To::SplitHottestShard { stream: of(stream) },
        Happening::MergeShards { stream, shard, adjacent } => {
            To::MergeShards { stream: of(stream), shard: *shard, adjacent: *adjacent }
        }
        Happening::UpdateShardCount { stream, target } => {
            To::UpdateShardCount { stream: of(stream), target: *target }
        }
        Happening::SwitchMode(stream, mode) => {
            To::SwitchMode { stream: of(stream), capacity: capacity(mode) }
        }
        Happening::WarmThroughput { stream, throughput } => {
            To::WarmThroughput { stream: of(stream), bytes_per_s: throughput.0 }
        }
        Happening::CutZone { cluster: name, zone } => {
            let zones = cluster(scenario, name).map(|it| it.zones.as_slice()).unwrap_or_default();
            let zone = zones.iter().position(|it| it == zone).unwrap_or(0);
            To::CutZone { cluster: cluster_index(scenario, name), zone }
        }
        Happening::AddPartitions { cluster: name, topic: of, total } => To::AddPartitions {
            cluster: cluster_index(scenario, name),
            topic: topic(name, of),
            total: *total,
        },
        Happening::ElectUnclean { cluster: name, topic: of } => {
            To::ElectUnclean { cluster: cluster_index(scenario, name), topic: topic(name, of) }
        }
        _ => unreachable!("named by the caller"),
    }
}
