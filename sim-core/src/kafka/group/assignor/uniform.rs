//! The server's `uniform` (K-848-5): even numbers first, then as few moves as that allows.
//!
//! Equal subscriptions are 4.1's: a member that does not use an extra partition leaves it to those
//! behind it (KAFKA-18688), so that a balanced group stays as it is.
//!
//! Unequal subscriptions: topics with most partitions per subscriber first; each free partition to
//! the subscriber with fewest; then topic by topic from the most to the least loaded subscriber,
//! until they differ by one at most.
//!
//! Simplification: topics come in the order of their names where the server has that of their
//! random ids. Only which partitions of equal topics a member gets could tell.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::{Group, Owners};

/// The server gives up on perfect balance after so many rounds over all topics.
const MAX_ROUNDS: usize = 16;

pub(super) fn assign(group: &Group<'_>) -> Owners {
    if group.members.is_empty() {
        Owners::new()
    } else if group.subscriptions_are_equal() {
        assign_equal(group)
    } else {
        assign_unequal(group)
    }
}

/// The present target as far as its members still subscribe to it.
fn retained(group: &Group<'_>) -> Owners {
    let mut owners = vec![None; group.partitions.len()];
    for (at, member) in group.members.iter().enumerate() {
        for slot in member.owned.iter().filter_map(|&partition| group.slot(partition)) {
            if group.subscribes(at, group.topic(slot)) {
                owners[slot].get_or_insert(at);
            }
        }
    }
    owners
}

fn assign_equal(group: &Group<'_>) -> Owners {
    let count = group.members.len();
    let (all, mut owners) = (group.partitions.len(), retained(group));
    let (each, mut extra) = (all / count, all % count);

    // What is free comes before what this run takes away.
    let mut free = Vec::new();
    let mut owned = vec![Vec::new(); count];
    for (slot, owner) in owners.iter().enumerate() {
        owner.map_or(&mut free, |owner| &mut owned[owner]).push(slot);
    }
    let mut rooms = Vec::new();
    for (at, owned) in owned.iter().enumerate() {
        let quota = each + usize::from(extra > 0);
        let kept = owned.len().min(quota);
        for &slot in &owned[kept..] {
            owners[slot] = None;
            free.push(slot);
        }
        let mut room = quota - kept;
        if extra > 0 {
            // As many members are left as extra partitions: nobody to pass it on to.
            let must_take = count - at <= extra;
            if room > 0 && !must_take {
                room -= 1;
            } else {
                extra -= 1;
            }
        }
        rooms.push(room);
    }
    let mut free = free.into_iter();
    for (at, room) in rooms.into_iter().enumerate() {
        for slot in free.by_ref().take(room) {
            owners[slot] = Some(at);
        }
    }
    owners
}

fn assign_unequal(group: &Group<'_>) -> Owners {
    let owners = retained(group);
    let mut loads = vec![0; group.members.len()];
    for owner in owners.iter().flatten() {
        loads[*owner] += 1;
    }
    let mut plan = Plan { group, owners, loads };
    let mut topics: Vec<usize> = group.topics().collect();
    // Partitions per subscriber, compared as fractions: a/b > c/d as a*d > c*b.
    topics.sort_by(|&a, &b| {
        let size = |topic: usize| (group.slots(topic).len(), group.subscribers[topic].len());
        let ((slots_a, members_a), (slots_b, members_b)) = (size(a), size(b));
        let by_ratio = (slots_b * members_a).cmp(&(slots_a * members_b));
        by_ratio.then(members_a.cmp(&members_b))
    });
    for &topic in &topics {
        plan.fill(topic);
    }
    topics.retain(|&topic| group.subscribers[topic].len() > 1);
    plan.balance(&topics);
    plan.owners
}

struct Plan<'a> {
    group: &'a Group<'a>,
    owners: Owners,
    /// Partitions by member, of all topics.
    loads: Vec<usize>,
}

impl Plan<'_> {
    /// The subscribers of a topic, least loaded first, as (partitions, place, member). The place
    /// keeps equals in one order while their numbers change.
    fn by_load(&self, topic: usize) -> BTreeSet<(usize, usize, usize)> {
        let mut members = self.group.subscribers[topic].clone();
        members.sort_by_key(|&member| self.loads[member]);
        let places = members.into_iter().enumerate();
        places.map(|(place, member)| (self.loads[member], place, member)).collect()
    }

    /// Gives the free partitions of a topic to the least loaded subscribers.
    fn fill(&mut self, topic: usize) {
        let mut ranking = self.by_load(topic);
        for slot in self.group.slots(topic) {
            if self.owners[slot].is_some() {
                continue;
            }
            let Some((load, place, member)) = ranking.pop_first() else { return };
            self.owners[slot] = Some(member);
            self.loads[member] += 1;
            ranking.insert((load + 1, place, member));
        }
    }

    fn balance(&mut self, topics: &[usize]) {
        // Where the last move was: a whole round without one is the end.
        let mut moved_last = None;
        for _ in 0..MAX_ROUNDS {
            for &topic in topics {
                if moved_last == Some(topic) {
                    return;
                }
                if self.balance_topic(topic) || moved_last.is_none() {
                    moved_last = Some(topic);
                }
            }
        }
    }

    /// Moves partitions of a topic until its subscribers differ by one at most; whether any moved.
    fn balance_topic(&mut self, topic: usize) -> bool {
        let mut owned: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for slot in self.group.slots(topic) {
            if let Some(owner) = self.owners[slot] {
                owned.entry(owner).or_default().push(slot);
            }
        }
        let mut ranking = self.by_load(topic);
        // Those with partitions of this topic to give, most loaded first.
        let has_some = |it: &&(usize, usize, usize)| owned.contains_key(&it.2);
        let mut givers: BTreeSet<_> =
            ranking.iter().filter(has_some).map(|&it| Reverse(it)).collect();
        let mut moved = false;
        while let Some(Reverse(giver)) = givers.pop_first() {
            let Some(taker) = ranking.pop_first() else { break };
            if giver.0 <= taker.0 + 1 {
                break;
            }
            let Some(slot) = owned.get_mut(&giver.2).and_then(Vec::pop) else {
                ranking.insert(taker);
                continue;
            };
            owned.entry(taker.2).or_default().push(slot);
            self.owners[slot] = Some(taker.2);
            self.loads[giver.2] -= 1;
            self.loads[taker.2] += 1;
            let (less, more) = ((giver.0 - 1, giver.1, giver.2), (taker.0 + 1, taker.1, taker.2));
            ranking.remove(&giver);
            ranking.extend([less, more]);
            givers.remove(&Reverse(taker));
            givers.extend([Reverse(less), Reverse(more)]);
            moved = true;
        }
        moved
    }
}
