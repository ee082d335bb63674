//! What is planned: names become indices.

use sim_core::config as sim;
use sim_core::engine::SimTime;

use super::kinesis::capacity;
use super::{cluster_index, index, index_among, stream_index};
use crate::effective::{cluster, topic_names};
use crate::schema::{Consumer, Happening, Planned, Scenario};
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

pub(super) fn entry(scenario: &Scenario, planned: &Planned) -> Option<sim::TimelineEntry> {
    Some(sim::TimelineEntry {
        at: SimTime(planned.at.0),
        lasts: planned.lasts.map(Dur::sim),
        what: fault(scenario, &planned.what)
            .or_else(|| action(scenario, &planned.what))
            .or_else(|| of_cluster(scenario, &planned.what))?,
    })
}

/// What breaks, but for what is about clusters.
fn fault(scenario: &Scenario, what: &Happening) -> Option<sim::Happening> {
    use sim::Happening as To;
    let of_stream = |name: &str| stream_index(scenario, name);
    let of_producer = |name: &str| index(&scenario.producers, name);
    let of_consumer = |name: &str| fleet(scenario, name);
    Some(match what {
        Happening::HotKey { producer, key, share } => {
            To::HotKey { producer: of_producer(producer), key: key.clone(), share_ppm: share.0 }
        }
        Happening::RateFactor { producer, factor, ramp } => To::RateFactor {
            producer: of_producer(producer),
            factor_ppm: factor.0,
            ramp: ramp.sim(),
        },
        Happening::SlowConsumer { consumer, factor } => {
            To::SlowConsumer { consumer: of_consumer(consumer), factor_ppm: factor.0 }
        }
        Happening::KillWorkers { consumer, workers } => {
            To::KillWorkers { consumer: of_consumer(consumer), workers: *workers }
        }
        Happening::PauseWorkers { consumer, workers } => {
            To::PauseWorkers { consumer: of_consumer(consumer), workers: *workers }
        }
        Happening::ThrottleApi { stream, share } => {
            To::ThrottleApi { stream: of_stream(stream), share_ppm: share.0 }
        }
        Happening::ExpireIterators { stream, share } => {
            To::ExpireIterators { stream: of_stream(stream), share_ppm: share.0 }
        }
        Happening::LoseAnswers { stream, share } => {
            To::LoseAnswers { stream: of_stream(stream), share_ppm: share.0 }
        }
        Happening::RestartLoop { consumer, workers, up, down } => To::RestartLoop {
            consumer: of_consumer(consumer),
            workers: *workers,
            up: up.sim(),
            down: down.sim(),
        },
        Happening::SplitShard { .. }
        | Happening::SplitHottestShard(_)
        | Happening::MergeShards { .. }
        | Happening::UpdateShardCount { .. }
        | Happening::SwitchMode(..)
        | Happening::WarmThroughput { .. }
        | Happening::AddWorkers { .. }
        | Happening::StopWorkers { .. }
        | Happening::RollingRestart { .. }
        | Happening::KillBrokers { .. }
        | Happening::PauseBrokers { .. }
        | Happening::CutZone { .. }
        | Happening::SlowDisks { .. }
        | Happening::KillQuorumNodes { .. }
        | Happening::StopBrokers { .. }
        | Happening::AddPartitions { .. }
        | Happening::ElectUnclean { .. } => return None,
    })
}

/// What an operator does, but for what is about clusters.
fn action(scenario: &Scenario, what: &Happening) -> Option<sim::Happening> {
    use sim::Happening as To;
    let of_stream = |name: &str| stream_index(scenario, name);
    let of_consumer = |name: &str| fleet(scenario, name);
    Some(match what {
        Happening::SplitShard { stream, shard } => {
            To::SplitShard { stream: of_stream(stream), shard: *shard }
        }
        Happening::SplitHottestShard(stream) => To::SplitHottestShard { stream: of_stream(stream) },
        Happening::MergeShards { stream, shard, adjacent } => {
            To::MergeShards { stream: of_stream(stream), shard: *shard, adjacent: *adjacent }
        }
        Happening::UpdateShardCount { stream, target } => {
            To::UpdateShardCount { stream: of_stream(stream), target: *target }
        }
        Happening::SwitchMode(stream, mode) => {
            To::SwitchMode { stream: of_stream(stream), capacity: capacity(mode) }
        }
        Happening::WarmThroughput { stream, throughput } => {
            To::WarmThroughput { stream: of_stream(stream), bytes_per_s: throughput.0 }
        }
        Happening::AddWorkers { consumer, workers } => {
            To::AddWorkers { consumer: of_consumer(consumer), workers: *workers }
        }
        Happening::StopWorkers { consumer, workers } => {
            To::StopWorkers { consumer: of_consumer(consumer), workers: *workers }
        }
        Happening::RollingRestart { consumer, down, gap } => {
            To::RollingRestart { consumer: of_consumer(consumer), down: down.sim(), gap: gap.sim() }
        }
        Happening::HotKey { .. }
        | Happening::RateFactor { .. }
        | Happening::SlowConsumer { .. }
        | Happening::KillWorkers { .. }
        | Happening::PauseWorkers { .. }
        | Happening::ThrottleApi { .. }
        | Happening::ExpireIterators { .. }
        | Happening::LoseAnswers { .. }
        | Happening::RestartLoop { .. }
        | Happening::KillBrokers { .. }
        | Happening::PauseBrokers { .. }
        | Happening::CutZone { .. }
        | Happening::SlowDisks { .. }
        | Happening::KillQuorumNodes { .. }
        | Happening::StopBrokers { .. }
        | Happening::AddPartitions { .. }
        | Happening::ElectUnclean { .. } => return None,
    })
}

/// What is about Kafka clusters, be it a fault or an action.
fn of_cluster(scenario: &Scenario, what: &Happening) -> Option<sim::Happening> {
    use sim::Happening as To;
    let number = |name: &str| cluster_index(scenario, name);
    let topic_number = |name: &str, topic: &str| {
        let names = cluster(scenario, name).map(topic_names).unwrap_or_default();
        names.iter().position(|it| *it == topic).unwrap_or(0)
    };
    let all = |list: &[u32]| list.iter().filter_map(|it| usize::try_from(*it).ok()).collect();
    Some(match what {
        Happening::KillBrokers { cluster, brokers } => {
            To::KillBrokers { cluster: number(cluster), brokers: all(brokers) }
        }
        Happening::PauseBrokers { cluster, brokers } => {
            To::PauseBrokers { cluster: number(cluster), brokers: all(brokers) }
        }
        Happening::StopBrokers { cluster, brokers } => {
            To::StopBrokers { cluster: number(cluster), brokers: all(brokers) }
        }
        Happening::CutZone { cluster: name, zone } => {
            let zones = cluster(scenario, name).map(|it| it.zones.as_slice()).unwrap_or_default();
            let zone = zones.iter().position(|it| it == zone).unwrap_or(0);
            To::CutZone { cluster: number(name), zone }
        }
        Happening::SlowDisks { cluster, brokers, factor } => {
            To::SlowDisks { cluster: number(cluster), brokers: all(brokers), factor_ppm: factor.0 }
        }
        Happening::KillQuorumNodes { cluster, nodes } => {
            To::KillQuorumNodes { cluster: number(cluster), nodes: all(nodes) }
        }
        Happening::AddPartitions { cluster, topic, total } => To::AddPartitions {
            cluster: number(cluster),
            topic: topic_number(cluster, topic),
            total: *total,
        },
        Happening::ElectUnclean { cluster, topic } => {
            To::ElectUnclean { cluster: number(cluster), topic: topic_number(cluster, topic) }
        }
        Happening::HotKey { .. }
        | Happening::RateFactor { .. }
        | Happening::SlowConsumer { .. }
        | Happening::KillWorkers { .. }
        | Happening::PauseWorkers { .. }
        | Happening::ThrottleApi { .. }
        | Happening::ExpireIterators { .. }
        | Happening::LoseAnswers { .. }
        | Happening::RestartLoop { .. }
        | Happening::SplitShard { .. }
        | Happening::SplitHottestShard(_)
        | Happening::MergeShards { .. }
        | Happening::UpdateShardCount { .. }
        | Happening::SwitchMode(..)
        | Happening::WarmThroughput { .. }
        | Happening::AddWorkers { .. }
        | Happening::StopWorkers { .. }
        | Happening::RollingRestart { .. } => return None,
    })
}
