//! `sticky` and `cooperative-sticky`: even numbers first, then as few moves as that allows.
//!
//! | Mechanism                                                                   | Fact    |
//! |-----------------------------------------------------------------------------|---------|
//! | The highest generation wins a claim; two claims of one generation both fail | K-ASG-3 |
//! | Equal subscriptions: everyone keeps up to its quota, the rest goes in turn  | K-ASG-3 |
//! | Unequal: free partitions to the least loaded, then moves that even out      | K-ASG-4 |
//! | Cooperative: what another member still owns is withheld                     | K-ASG-5 |
//!
//! Members come in the order of their ids, static ones too.
//!
//! Simplifications. Java drops a rebalancing of unequal subscriptions that did not improve the sum
//! of the differences between members; here every move lowers that sum, so there is nothing to
//! drop. Java also swaps partitions of one topic along chains of moves; here only a partition that
//! came from the receiver goes back in place of another. Both show, if at all, in which of a
//! topic's partitions a member gets.

use std::collections::BTreeSet;

use super::{Group, Member, Owners};

pub(super) fn assign(group: &Group<'_>) -> Owners {
    let claims = Claims::new(group);
    if group.subscriptions_are_equal() {
        assign_equal(group, &claims)
    } else {
        assign_unequal(group, &claims)
    }
}

/// What this round hands out (K-ASG-5).
pub(super) fn assign_cooperatively(group: &Group<'_>) -> Owners {
    let claims = Claims::new(group);
    let (mut owners, withheld) = if group.subscriptions_are_equal() {
        let owners = assign_equal(group, &claims);
        let withheld = claims.lost_by_owner(&owners);
        (owners, withheld)
    } else {
        let owners = assign_unequal(group, &claims);
        let withheld = claims.new_to_receiver(&owners);
        (owners, withheld)
    };
    for (owner, withheld) in owners.iter_mut().zip(withheld) {
        if withheld {
            *owner = None;
        }
    }
    owners
}

/// What the members say they own, by slot.
struct Claims {
    /// All who claim it, in the order of `members`.
    claimants: Vec<Vec<usize>>,
    /// Whose claim counts (K-ASG-3); nobody's if two of the highest generation claim it.
    owners: Owners,
    /// The claimant of the highest generation below the group's highest: the previous owner.
    previous: Owners,
    /// Two of the highest generation claim it.
    contested: Vec<bool>,
}

impl Claims {
    fn new(group: &Group<'_>) -> Self {
        let count = group.partitions.len();
        let mut claimants: Vec<Vec<usize>> = vec![Vec::new(); count];
        for (at, member) in group.members.iter().enumerate() {
            for slot in member.owned.iter().filter_map(|&partition| group.slot(partition)) {
                if claimants[slot].last() != Some(&at) {
                    claimants[slot].push(at);
                }
            }
        }
        let generation = |member: usize| group.members[member].generation;
        let newest = group.members.iter().map(|member| member.generation).max();
        let (mut owners, mut previous) = (Vec::new(), Vec::new());
        let mut contested = Vec::new();
        for claimants in &claimants {
            let highest = claimants.iter().map(|&it| generation(it)).max();
            let mut winners =
                claimants.iter().copied().filter(|&it| Some(generation(it)) == highest);
            let (first, second) = (winners.next(), winners.next());
            contested.push(second.is_some());
            owners.push(first.filter(|_| second.is_none()));
            let older = claimants.iter().copied().filter(|&it| Some(generation(it)) < newest);
            // `max_by_key` takes the last among equals; the first by id is wanted.
            let id = |it: usize| std::cmp::Reverse(&group.members[it].id);
            previous.push(older.max_by_key(|&it| (generation(it), id(it))));
        }
        Self { claimants, owners, previous, contested }
    }

    /// Equal subscriptions: what its owner must give up, and what two claimed, whoever gets it.
    fn lost_by_owner(&self, owners: &Owners) -> Vec<bool> {
        let moved = |slot: usize| self.owners[slot].is_some() && self.owners[slot] != owners[slot];
        (0..owners.len()).map(|slot| self.contested[slot] || moved(slot)).collect()
    }

    /// Unequal subscriptions: what somebody claims, but not the one who gets it.
    fn new_to_receiver(&self, owners: &Owners) -> Vec<bool> {
        let is_new = |(claimants, owner): (&Vec<usize>, &Option<usize>)| {
            !claimants.is_empty() && owner.is_none_or(|owner| !claimants.contains(&owner))
        };
        self.claimants.iter().zip(owners).map(is_new).collect()
    }
}

/// Members in the order of their ids.
fn by_id(members: &[Member]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..members.len()).collect();
    order.sort_by_key(|&at| &members[at].id);
    order
}

/// K-ASG-3.
fn assign_equal(group: &Group<'_>, claims: &Claims) -> Owners {
    let mut owners: Owners = vec![None; group.partitions.len()];
    if group.members.is_empty() {
        return owners;
    }
    let count = group.members.len();
    let (quota, mut extra) = (owners.len() / count, owners.len() % count);

    let mut owned = vec![Vec::new(); count];
    for (slot, owner) in claims.owners.iter().enumerate() {
        if let &Some(owner) = owner {
            owned[owner].push(slot);
        }
    }
    // Members below their quota, with what they lack, and members with exactly their quota.
    let (mut under, mut exact) = (Vec::new(), Vec::new());
    for at in by_id(group.members) {
        let owned = &mut owned[at];
        owned.sort_by_key(|&slot| (group.partitions[slot].partition, slot));
        if owned.len() < quota {
            under.push((at, quota - owned.len()));
        } else if extra > 0 && owned.len() > quota {
            extra -= 1;
            owned.truncate(quota + 1);
        } else {
            exact.push(at);
            owned.truncate(quota);
        }
        for &slot in &*owned {
            owners[slot] = Some(at);
        }
    }
    let free: Vec<usize> = (0..owners.len()).filter(|&slot| owners[slot].is_none()).collect();
    let mut free = free.into_iter();
    while !under.is_empty() {
        under.retain_mut(|(at, lacking)| {
            let Some(slot) = free.next() else { return false };
            owners[slot] = Some(*at);
            *lacking -= 1;
            if *lacking == 0 {
                exact.push(*at);
            }
            *lacking > 0
        });
    }
    for (slot, at) in free.zip(exact) {
        owners[slot] = Some(at);
    }
    owners
}

/// K-ASG-4.
fn assign_unequal(group: &Group<'_>, claims: &Claims) -> Owners {
    let mut plan = Plan::new(group, claims);
    let mut topics: Vec<usize> = group.topics().collect();
    topics.sort_by_key(|&topic| group.subscribers[topic].len());
    let slots: Vec<usize> = topics.into_iter().flat_map(|topic| group.slots(topic)).collect();

    let is_free = |slot: &usize| plan.owners[*slot].is_none();
    let free: Vec<usize> = slots.iter().copied().filter(is_free).collect();
    for &slot in &free {
        if let Some(member) = plan.least_loaded(group.topic(slot)) {
            plan.owners[slot] = Some(member);
            plan.loads[member] += 1;
        }
    }
    // New partitions move before owned ones, unless something must be revoked anyway.
    if !plan.must_revoke {
        plan.even_out(&free, claims);
    }
    plan.even_out(&slots, claims);
    plan.owners
}

struct Plan<'a> {
    group: &'a Group<'a>,
    owners: Owners,
    /// Partitions by member.
    loads: Vec<usize>,
    /// The place of each member in the order of ids.
    ranks: Vec<usize>,
    /// An owner no longer subscribes to what it owns.
    must_revoke: bool,
    /// Where each slot was before this run moved it.
    origins: Owners,
    /// The slots that this run moved, as (topic, origin, owner, slot).
    moved: BTreeSet<(usize, usize, usize, usize)>,
}

impl<'a> Plan<'a> {
    fn new(group: &'a Group<'a>, claims: &Claims) -> Self {
        let mut plan = Self {
            group,
            owners: claims.owners.clone(),
            loads: vec![0; group.members.len()],
            ranks: super::ranks(&by_id(group.members)),
            must_revoke: false,
            origins: vec![None; group.partitions.len()],
            moved: BTreeSet::new(),
        };
        for (slot, owner) in plan.owners.iter_mut().enumerate() {
            let Some(member) = *owner else { continue };
            if group.subscribes(member, group.topic(slot)) {
                plan.loads[member] += 1;
            } else {
                *owner = None;
                plan.must_revoke = true;
            }
        }
        plan
    }

    fn least_loaded(&self, topic: usize) -> Option<usize> {
        let subscribers = self.group.subscribers[topic].iter().copied();
        subscribers.min_by_key(|&member| (self.loads[member], self.ranks[member]))
    }

    /// Moves partitions to members with at least two fewer, until no more can. Every move brings
    /// two members closer, so there is an end.
    fn even_out(&mut self, slots: &[usize], claims: &Claims) {
        loop {
            let mut modified = false;
            for &slot in slots {
                let Some(owner) = self.owners[slot] else { continue };
                let topic = self.group.topic(slot);
                let has_room = |&member: &usize| self.loads[member] + 1 < self.loads[owner];
                let previous = claims.previous[slot].filter(|&it| self.group.subscribes(it, topic));
                let receiver =
                    previous.filter(has_room).or_else(|| self.least_loaded(topic).filter(has_room));
                if let Some(receiver) = receiver {
                    self.relocate(slot, owner, receiver);
                    modified = true;
                }
            }
            if !modified {
                return;
            }
        }
    }

    /// Moves `slot`, or rather one of the same topic that this run took from `to`.
    fn relocate(&mut self, slot: usize, from: usize, to: usize) {
        let topic = self.group.topic(slot);
        let back = self.moved.range((topic, to, from, 0)..=(topic, to, from, usize::MAX)).next();
        let slot = back.map_or(slot, |&(.., slot)| slot);
        let origin = self.origins[slot].unwrap_or(from);
        self.moved.remove(&(topic, origin, from, slot));
        if origin == to {
            self.origins[slot] = None;
        } else {
            self.origins[slot] = Some(origin);
            self.moved.insert((topic, origin, to, slot));
        }
        self.owners[slot] = Some(to);
        self.loads[from] -= 1;
        self.loads[to] += 1;
    }
}
