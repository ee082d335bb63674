//! Which brokers hold a topic's partitions, as Kafka places them when nobody says otherwise.
//!
//! Brokers are taken in an order in which zones alternate; the first replica of partition i is the
//! i-th broker of that order, the others follow at a distance that grows by one each time the
//! order has been gone through, a zone at a time where there is a choice. Kafka starts at a random
//! broker; here topic t starts at broker t, so that a file always means the same cluster.

use crate::config::kafka::ClusterConfig;

use super::metadata::{BrokerId, BrokerSet};

/// The replicas of each partition of a topic, in assignment order.
#[must_use]
pub fn of_topic(config: &ClusterConfig, topic: usize) -> Vec<Vec<BrokerId>> {
    let of = &config.topics[topic];
    if !of.assignment.is_empty() || of.partitions == 0 {
        let broker = |&id: &usize| BrokerId(u16::try_from(id).expect("at most 128 brokers"));
        return of.assignment.iter().map(|ids| ids.iter().map(broker).collect()).collect();
    }
    (0..of.partitions).map(|number| place(config, topic, number)).collect()
}

/// The replicas of one partition.
#[must_use]
pub fn place(config: &ClusterConfig, topic: usize, number: u32) -> Vec<BrokerId> {
    let order = alternate_zones(&config.brokers);
    let brokers = order.len();
    let number = number as usize;
    let wanted = (config.topics[topic].replication_factor as usize).min(brokers);
    let first = (topic + number) % brokers;
    let shift = number / brokers;
    let mut replicas = vec![order[first]];
    let mut taken = BrokerSet::of(order[first]);
    let zone = |broker: BrokerId| config.brokers[broker.index()];
    let zones_in_all = config.brokers.iter().collect::<std::collections::BTreeSet<_>>().len();
    let mut zones = vec![zone(order[first])];
    for step in 0.. {
        if replicas.len() == wanted {
            break;
        }
        let candidate = order[(first + 1 + (shift + step) % (brokers - 1).max(1)) % brokers];
        let new_zone = !zones.contains(&zone(candidate));
        if !taken.has(candidate) && (new_zone || zones.len() == zones_in_all) {
            taken = taken.with(candidate);
            replicas.push(candidate);
            if new_zone {
                zones.push(zone(candidate));
            }
        }
    }
    replicas
}

/// Brokers in an order in which neighbours are in different zones as long as possible.
fn alternate_zones(zone_of: &[usize]) -> Vec<BrokerId> {
    let zones = zone_of.iter().copied().max().map_or(0, |highest| highest + 1);
    let mut of_zone: Vec<std::collections::VecDeque<BrokerId>> = vec![Default::default(); zones];
    for (index, &zone) in zone_of.iter().enumerate() {
        of_zone[zone].push_back(BrokerId(u16::try_from(index).expect("at most 128 brokers")));
    }
    let mut order = Vec::new();
    while order.len() < zone_of.len() {
        order.extend(of_zone.iter_mut().filter_map(std::collections::VecDeque::pop_front));
    }
    order
}
