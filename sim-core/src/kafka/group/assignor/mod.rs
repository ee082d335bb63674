//! Which member of a group reads which partition: pure decisions.
//!
//! | Mechanism                                                              | Fact    |
//! |------------------------------------------------------------------------|---------|
//! | range: contiguous partitions per topic, the extra ones to the first    | K-ASG-1 |
//! | roundrobin: all partitions in turn to the next subscriber              | K-ASG-2 |
//! | sticky, equal subscriptions: keep up to a quota, the rest in turn      | K-ASG-3 |
//! | sticky, unequal subscriptions: least loaded, then even out             | K-ASG-4 |
//! | cooperative: a partition that moves is withheld until it is given back | K-ASG-5 |
//! | KIP-848 uniform: keep up to a quota, the rest to whoever has room      | K-848-5 |
//!
//! Where Java walks a hash map the order here is the sorted one. The client's range and roundrobin
//! and the server's range put static members first, by instance id; sticky knows only member ids.
//!
//! Simplification: no racks. Only a group that sets `client.rack` could tell.

mod range;
mod round_robin;
mod sticky;
#[cfg(test)]
mod tests;
mod uniform;

use std::ops::Range;

pub use crate::config::kafka::{Assignor, ServerAssignor};

/// A partition of a topic. `topic` is an index; indices are in the order of the topics' names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TopicPartition {
    /// Index of the topic.
    pub topic: u16,
    /// Number of the partition within its topic, from 0.
    pub partition: u32,
}

/// A member as the assignor sees it.
#[derive(Clone, Debug)]
pub struct Member {
    /// `member.id`.
    pub id: String,
    /// `group.instance.id` of a static member.
    pub instance: Option<String>,
    /// Subscribed topics, in any order; topics that do not exist count for nothing.
    pub topics: Vec<u16>,
    /// Classic: the partitions that it says it owns. KIP-848: its current target assignment.
    pub owned: Vec<TopicPartition>,
    /// The generation in which it came to own them (K-ASG-3); KIP-848 does not look at it.
    pub generation: u32,
}

/// Partitions per member, in the order of `members` given; each sorted. `partitions[t]` is the
/// number of partitions of topic t.
/// Cooperative-sticky: what this round hands out (K-ASG-5 withholding applied).
#[must_use]
pub fn assign(
    assignor: Assignor,
    partitions: &[u32],
    members: &[Member],
) -> Vec<Vec<TopicPartition>> {
    let group = Group::new(partitions, members);
    group.by_member(&match assignor {
        Assignor::Range => range::assign(&group),
        Assignor::RoundRobin => round_robin::assign(&group),
        Assignor::Sticky => sticky::assign(&group),
        Assignor::CooperativeSticky => sticky::assign_cooperatively(&group),
    })
}

/// The target assignment of a KIP-848 group, in the shape that [`assign`] returns. `owned` is the
/// current target assignment of the member; members are in the coordinator's order.
#[must_use]
pub fn target(
    assignor: ServerAssignor,
    partitions: &[u32],
    members: &[Member],
) -> Vec<Vec<TopicPartition>> {
    let group = Group::new(partitions, members);
    group.by_member(&match assignor {
        ServerAssignor::Uniform => uniform::assign(&group),
        ServerAssignor::Range => range::assign(&group),
    })
}

/// The member, by index, that gets each partition, by slot.
type Owners = Vec<Option<usize>>;

/// What every assignor looks up. A slot is the index of a partition among all those of subscribed
/// topics, in the order (topic, number).
struct Group<'a> {
    members: &'a [Member],
    /// The partition of each slot.
    partitions: Vec<TopicPartition>,
    /// The first slot of each topic, and of the one after the last.
    first_slots: Vec<usize>,
    /// Members by topic, in the order given.
    subscribers: Vec<Vec<usize>>,
}

impl<'a> Group<'a> {
    fn new(counts: &[u32], members: &'a [Member]) -> Self {
        let mut subscribers: Vec<Vec<usize>> = vec![Vec::new(); counts.len()];
        for (at, member) in members.iter().enumerate() {
            for &topic in &member.topics {
                let Some(list) = subscribers.get_mut(usize::from(topic)) else { continue };
                if list.last() != Some(&at) {
                    list.push(at);
                }
            }
        }
        let mut partitions = Vec::new();
        let mut first_slots = vec![0];
        for ((topic, &count), subscribers) in (0..=u16::MAX).zip(counts).zip(&subscribers) {
            if !subscribers.is_empty() {
                partitions.extend((0..count).map(|partition| TopicPartition { topic, partition }));
            }
            first_slots.push(partitions.len());
        }
        // Further topics have no index that a subscription could name.
        subscribers.truncate(first_slots.len() - 1);
        Self { members, partitions, first_slots, subscribers }
    }

    /// The slots of a topic; none if nobody subscribes to it.
    fn slots(&self, topic: usize) -> Range<usize> {
        self.first_slots[topic]..self.first_slots[topic + 1]
    }

    /// Topics that somebody subscribes to and that have partitions, in the order of their names.
    fn topics(&self) -> impl Iterator<Item = usize> {
        (0..self.subscribers.len()).filter(|&topic| !self.slots(topic).is_empty())
    }

    /// The slot of a partition; `None` if nobody subscribes to it or it does not exist.
    fn slot(&self, of: TopicPartition) -> Option<usize> {
        let topic = usize::from(of.topic);
        let slots = (topic < self.subscribers.len()).then(|| self.slots(topic))?;
        let number = usize::try_from(of.partition).ok()?;
        (number < slots.len()).then_some(slots.start + number)
    }

    /// The topic of a slot.
    fn topic(&self, slot: usize) -> usize {
        usize::from(self.partitions[slot].topic)
    }

    fn subscribes(&self, member: usize, topic: usize) -> bool {
        self.subscribers[topic].binary_search(&member).is_ok()
    }

    /// Whether all members subscribe to the same topics.
    fn subscriptions_are_equal(&self) -> bool {
        let all = self.members.len();
        self.subscribers.iter().all(|list| list.is_empty() || list.len() == all)
    }

    /// Members in the order of range and roundrobin: static ones by instance id, then dynamic ones
    /// by member id.
    fn static_first(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.members.len()).collect();
        order.sort_by_key(|&at| {
            let Member { id, instance, .. } = &self.members[at];
            (instance.is_none(), instance.as_ref().unwrap_or(id), id)
        });
        order
    }

    fn by_member(&self, owners: &Owners) -> Vec<Vec<TopicPartition>> {
        let mut lists = vec![Vec::new(); self.members.len()];
        for (&partition, owner) in self.partitions.iter().zip(owners) {
            if let &Some(owner) = owner {
                lists[owner].push(partition);
            }
        }
        lists
    }
}

/// Where each of `order` stands in it.
fn ranks(order: &[usize]) -> Vec<usize> {
    let mut ranks = vec![0; order.len()];
    for (rank, &at) in order.iter().enumerate() {
        ranks[at] = rank;
    }
    ranks
}
