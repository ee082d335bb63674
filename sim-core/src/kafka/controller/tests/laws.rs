//! What must hold whatever happens, and the pure decisions.

use super::super::election::{Election, Request, decide};
use super::*;
use crate::kafka::metadata::PartitionState;

fn set(ids: &[u16]) -> BrokerSet {
    ids.iter().map(|&id| BrokerId(id)).collect()
}

fn state(replicas: &[u16], leader: Option<u16>, isr: &[u16]) -> PartitionState {
    PartitionState {
        topic: 0,
        number: 0,
        replicas: replicas.iter().map(|&id| BrokerId(id)).collect(),
        leader: leader.map(BrokerId),
        leader_epoch: 4,
        isr: set(isr),
        partition_epoch: 9,
        elr: BrokerSet::EMPTY,
        last_leader: None,
    }
}

fn ask(isr: &[u16], acceptable: &[u16]) -> Request {
    Request {
        isr: set(isr),
        acceptable: set(acceptable),
        unclean_restart: BrokerSet::EMPTY,
        election: Election::Clean,
        elr_below: None,
    }
}

/// Leader, ISR and ELR after a request.
fn after(state: &PartitionState, request: &Request) -> (Option<u16>, BrokerSet, BrokerSet) {
    let mut next = state.clone();
    decide(state, request).apply(&mut next);
    (next.leader.map(|leader| leader.0), next.isr, next.elr)
}

const NONE: BrokerSet = BrokerSet::EMPTY;

/// K-ELC-1: assignment order, not id order, not the fullest log.
#[test]
fn the_first_live_in_sync_replica_in_assignment_order_leads() {
    let before = state(&[5, 3, 1, 2], Some(5), &[5, 1, 2, 3]);
    assert_eq!(after(&before, &ask(&[1, 2, 3], &[1, 2, 3])), (Some(3), set(&[1, 2, 3]), NONE));
    let before = state(&[5, 3, 1, 2], Some(5), &[5, 1, 2]);
    assert_eq!(after(&before, &ask(&[1, 2], &[1, 2, 3])), (Some(1), set(&[1, 2]), NONE));
    // A leader that may stay stays.
    let before = state(&[5, 3, 1, 2], Some(1), &[5, 1, 2]);
    assert_eq!(after(&before, &ask(&[5, 1], &[1, 5])), (Some(1), set(&[1, 5]), NONE));
}

/// K-ELC-2.
#[test]
fn the_last_in_sync_replica_stays_in_sync_without_leading() {
    let before = state(&[0, 1, 2], Some(0), &[0]);
    assert_eq!(after(&before, &ask(&[], &[1, 2])), (None, set(&[0]), NONE));
    let dead = state(&[0, 1, 2], None, &[0]);
    assert_eq!(after(&dead, &ask(&[0], &[1, 2])), (None, set(&[0]), NONE));
    assert_eq!(after(&dead, &ask(&[0], &[0, 1, 2])), (Some(0), set(&[0]), NONE));
}

/// K-ELC-3.
#[test]
fn an_unclean_election_takes_the_first_live_replica_alone() {
    let before = state(&[0, 2, 1], Some(0), &[0]);
    let request = Request { election: Election::Unclean, ..ask(&[], &[1, 2]) };
    assert_eq!(after(&before, &request), (Some(2), set(&[2]), NONE));
    let mut next = before.clone();
    let effect = decide(&before, &request).apply(&mut next);
    assert!(effect.unclean && effect.elected);
    assert_eq!((next.leader_epoch, next.partition_epoch), (5, 10));
    // Not where a clean leader is to be had.
    let request = Request { election: Election::Unclean, ..ask(&[1], &[1, 2]) };
    assert_eq!(after(&state(&[0, 2, 1], Some(0), &[0, 1]), &request).0, Some(1));
}

/// K-ELC-4: min ISR 2. Who leaves while the ISR is too small stays eligible; it leads when nobody
/// in sync is left; the last known leader is the last resort.
#[test]
fn eligible_leader_replicas() {
    let elr =
        |isr: &[u16], acceptable: &[u16]| Request { elr_below: Some(2), ..ask(isr, acceptable) };
    let mut now = state(&[0, 1, 2], Some(0), &[0, 1, 2]);
    decide(&now, &elr(&[0, 1], &[0, 1])).apply(&mut now);
    assert_eq!(now.elr, NONE, "two are enough");
    decide(&now.clone(), &elr(&[0], &[0])).apply(&mut now);
    assert_eq!((now.isr, now.elr), (set(&[0]), set(&[1])));
    decide(&now.clone(), &elr(&[], &[])).apply(&mut now);
    assert_eq!((now.leader, now.isr, now.elr), (None, NONE, set(&[0, 1])));
    assert_eq!(now.last_leader, Some(b(0)));
    assert_eq!(after(&now, &elr(&[], &[2])), (None, NONE, set(&[0, 1])));
    assert_eq!(after(&now, &elr(&[], &[1, 2])), (Some(1), set(&[1]), set(&[0])));
    // 0 comes back having lost its tail, then 1: nobody is known to have everything.
    let unclean = |id: u16| Request { unclean_restart: set(&[id]), ..elr(&[], &[]) };
    decide(&now.clone(), &unclean(0)).apply(&mut now);
    assert_eq!(now.elr, set(&[1]));
    decide(&now.clone(), &unclean(1)).apply(&mut now);
    assert_eq!(now.elr, NONE);
    assert_eq!(after(&now, &elr(&[], &[1, 2])), (None, NONE, NONE));
    let before = now.clone();
    let effect = decide(&before, &elr(&[], &[0, 1])).apply(&mut now);
    assert!(effect.unclean);
    assert_eq!((now.leader, now.isr, now.last_leader), (Some(b(0)), set(&[0]), None));
}

/// An unclean leader ends all claims to completeness.
#[test]
fn an_unclean_leader_leaves_nobody_eligible() {
    let mut before = state(&[0, 1, 2], None, &[]);
    before.elr = set(&[0]);
    let election = Election::Unclean;
    let request = Request { election, elr_below: Some(2), ..ask(&[], &[1, 2]) };
    assert_eq!(after(&before, &request), (Some(1), set(&[1]), NONE));
}

/// A preferred election moves only to the first replica, and only if it may lead.
#[test]
fn a_preferred_election_goes_to_the_first_replica_or_nowhere() {
    let request = |isr: &[u16], acceptable: &[u16]| Request {
        election: Election::Preferred,
        ..ask(isr, acceptable)
    };
    let before = state(&[0, 1, 2], Some(2), &[0, 1, 2]);
    assert_eq!(after(&before, &request(&[0, 1, 2], &[0, 1, 2])).0, Some(0));
    assert_eq!(after(&before, &request(&[0, 1, 2], &[1, 2])).0, Some(2));
    assert_eq!(
        after(&state(&[0, 1, 2], Some(2), &[1, 2]), &request(&[1, 2], &[0, 1, 2])).0,
        Some(2)
    );
}

/// Random states and requests against the rule in its plainest form.
#[test]
fn a_leader_is_live_and_in_sync_unless_unclean_and_the_first_of_those() {
    let mut rng = Rngs::new(1).stream("elections");
    for _ in 0..50_000 {
        let mut bits = |of: u64| -> Vec<u16> {
            let drawn = rng.below(1 << of);
            (0_u16..8).filter(|&bit| drawn >> bit & 1 == 1).collect()
        };
        let replicas: Vec<u16> = bits(8).into_iter().rev().collect();
        if replicas.is_empty() {
            continue;
        }
        let isr: Vec<u16> = bits(8).into_iter().filter(|id| replicas.contains(id)).collect();
        let target: Vec<u16> = bits(8).into_iter().filter(|id| isr.contains(id)).collect();
        let live = bits(8);
        if isr.is_empty() {
            continue;
        }
        let leader = isr.iter().copied().find(|id| live.contains(id) || id % 2 == 0);
        let election = if live.len() % 2 == 0 { Election::Clean } else { Election::Unclean };
        let before = state(&replicas, leader, &isr);
        let mut next = before.clone();
        let request = Request { election, ..ask(&target, &live) };
        let effect = decide(&before, &request).apply(&mut next);
        let may = |id: &u16| target.contains(id) && live.contains(id);
        let first = replicas.iter().copied().find(may);
        let clean = leader.filter(|id| may(id)).or(first);
        let any = replicas.iter().copied().find(|id| live.contains(id));
        let expected = if election == Election::Clean { clean } else { clean.or(any) };
        assert_eq!(next.leader.map(|leader| leader.0), expected);
        assert_eq!(next.leader_epoch > 4, next.leader != before.leader);
        assert_eq!(effect.unclean, clean.is_none() && expected.is_some() && effect.elected);
        assert!(!next.isr.is_empty());
        assert!(next.leader.is_none_or(|leader| next.isr.has(leader)));
    }
}
