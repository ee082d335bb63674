//! `roundrobin` (K-ASG-2): the partitions of all topics in turn, each to the next member round the
//! circle that subscribes to it.

use super::{Group, Owners, ranks};

pub(super) fn assign(group: &Group<'_>) -> Owners {
    let mut owners = vec![None; group.partitions.len()];
    let order = group.static_first();
    let ranks = ranks(&order);
    // The place in `order` where the search begins; it carries over from topic to topic.
    let mut next = 0;
    for topic in group.topics() {
        let mut circle: Vec<usize> =
            group.subscribers[topic].iter().map(|&member| ranks[member]).collect();
        circle.sort_unstable();
        // Past the last subscriber the circle begins anew.
        let start = circle.partition_point(|&rank| rank < next);
        let turns = circle.iter().cycle().skip(start);
        for (slot, &rank) in group.slots(topic).zip(turns) {
            owners[slot] = Some(order[rank]);
            next = rank + 1;
        }
    }
    owners
}
