//! `range`, of clients and of the server (K-ASG-1): each topic is cut into contiguous ranges, and
//! the extra partitions of every topic hit the first members.
//!
//! Topics are cut each on its own, so topics of equal size are cut alike: equal numbers meet at one
//! member, and so do the extra partitions.

use super::{Group, Owners, ranks};

pub(super) fn assign(group: &Group<'_>) -> Owners {
    let mut owners = vec![None; group.partitions.len()];
    let ranks = ranks(&group.static_first());
    for topic in group.topics() {
        let mut subscribers = group.subscribers[topic].clone();
        subscribers.sort_by_key(|&member| ranks[member]);
        let mut slots = group.slots(topic);
        let (each, extra) = (slots.len() / subscribers.len(), slots.len() % subscribers.len());
        for (at, member) in subscribers.into_iter().enumerate() {
            let share = each + usize::from(at < extra);
            for slot in slots.by_ref().take(share) {
                owners[slot] = Some(member);
            }
        }
    }
    owners
}
