//! Who is in sync, and what the high watermark waits for.

use super::bench::*;
use crate::config::kafka::Acks;
use crate::kafka::metadata::{BrokerId, BrokerSet};

/// A cluster whose controller misses nobody; lag time 10 s, checked each 5 s.
fn patient(brokers: usize) -> Setup {
    let mut setup = orders(brokers);
    setup.never_fence();
    setup
}

fn in_sync(bench: &Bench) -> Vec<u16> {
    bench.partition(0).isr.iter().map(|broker| broker.0).collect()
}

/// K-HW-1, K-FET-2: one follower has the batch at 11 and says so at 16; the other is cut off. The
/// watermark stays where the slower one is, and a group gets nothing, until that one is back: it
/// fetches at 3,010 and says so at 3,021.
#[test]
fn the_watermark_waits_for_every_member_of_the_isr_and_consumers_for_the_watermark() {
    let mut setup = patient(3);
    setup.producer(0).acks = Acks::Leader;
    setup.group("billing", 1);
    let mut bench = Bench::new(&setup);
    bench.offer(0, 0, 5);
    bench.run_to(1_000);
    bench.begin(&cut(2));
    bench.offer(0, 0, 10);
    bench.run_before(3_021);
    // So far nothing was healed: only the first five are visible.
    assert_eq!((bench.log(0).end(), bench.log(0).high_watermark()), (15, 5));
    assert_eq!(bench.ledger.consumers[0].delivered, 5);
    let mut bench = Bench::new(&setup);
    bench.run_to(1_000);
    bench.begin(&cut(2));
    bench.offer(0, 0, 10);
    bench.run_to(3_000);
    bench.end(&cut(2));
    bench.run_before(3_021);
    assert_eq!(bench.log(0).high_watermark(), 0);
    bench.run_to(3_021);
    assert_eq!(bench.log(0).high_watermark(), 10);
    bench.run_to(4_000);
    assert_eq!(bench.ledger.consumers[0].delivered, 10);
}

/// K-ISR-2: the leader looks each 5 s for followers that were level longer than 10 s ago. One that is
/// cut off at 1 s leaves between 11 and 16 s; with one that is back after 9.9 s nothing happens.
#[test]
fn a_follower_leaves_the_isr_between_the_lag_time_and_a_check_later() {
    let mut bench = Bench::new(&patient(3));
    bench.run_to(1_000);
    bench.begin(&cut(2));
    bench.run_to(1_500);
    bench.offer(0, 0, 10);
    bench.run_to(11_000);
    assert_eq!(in_sync(&bench), [0, 1, 2]);
    bench.run_to(16_100);
    assert_eq!(in_sync(&bench), [0, 1]);
    assert_eq!(bench.cluster.counts.leaders_shrinks, 1);

    let mut bench = Bench::new(&patient(3));
    bench.run_to(1_000);
    bench.begin(&cut(2));
    bench.run_to(1_500);
    bench.offer(0, 0, 10);
    bench.run_to(10_900);
    bench.end(&cut(2));
    bench.run_to(60_000);
    assert_eq!((in_sync(&bench), bench.cluster.counts.isr_shrinks), (vec![0, 1, 2], 0));
}

/// K-ISR-2: nothing was appended, so nobody is behind.
#[test]
fn an_idle_partition_never_shrinks() {
    let mut bench = Bench::new(&patient(3));
    bench.offer(0, 0, 10);
    bench.run_to(1_000);
    bench.begin(&cut(2));
    bench.run_to(300_000);
    assert_eq!((in_sync(&bench), bench.cluster.counts.isr_shrinks), (vec![0, 1, 2], 0));
}

/// K-HW-2, K-ISR-5: a shrink that the controller has not committed does not help: the watermark waits
/// for the old ISR, also when the leader appends more (acks=1, at 50 s). The controller is back at 60 s.
#[test]
fn a_pending_shrink_helps_only_when_the_controller_has_committed_it() {
    let mut setup = patient(2);
    setup.producers.push(setup.producers[0].clone());
    setup.producer(1).acks = Acks::Leader;
    let mut bench = Bench::new(&setup);
    bench.run_to(1_000);
    bench.begin(&kill_controller());
    bench.begin(&cut(1));
    bench.offer(0, 0, 10);
    bench.run_to(50_000);
    assert!(bench.partition(0).proposed.is_some(), "the leader has asked");
    bench.offer(1, 0, 10);
    bench.run_to(60_000);
    assert_eq!(in_sync(&bench), [0, 1]);
    assert_eq!((bench.log(0).end(), bench.log(0).high_watermark()), (20, 0));
    assert_eq!(bench.ledger.producers[0].accepted, 0);
    bench.end(&kill_controller());
    bench.run_to(90_000);
    assert_eq!((in_sync(&bench), bench.log(0).high_watermark()), (vec![0], 20));
    assert_eq!(bench.ledger.producers[0].accepted, 10);
}

/// K-ISR-8: from 3.7 on the watermark stands still below min ISR, for any acks: what acks=1 brings is
/// accepted and invisible. Before 3.7 it is visible.
#[test]
fn below_min_isr_the_watermark_stands_still() {
    for old in [false, true] {
        let mut setup = orders(2);
        setup.cluster.topics[0].min_insync_replicas = 2;
        setup.producer(0).acks = Acks::Leader;
        setup.group("billing", 1);
        if old {
            setup.of_2_4();
        }
        let mut bench = Bench::new(&setup);
        bench.begin(&kill(&[1]));
        bench.run_to(40_000);
        assert_eq!(in_sync(&bench), [0]);
        bench.offer(0, 0, 10);
        bench.run_to(50_000);
        let visible = if old { 10 } else { 0 };
        assert_eq!((bench.log(0).end(), bench.log(0).high_watermark()), (10, visible));
        assert_eq!(bench.ledger.producers[0].accepted, 10);
        assert_eq!(bench.ledger.consumers[0].delivered, visible);
        bench.end(&kill(&[1]));
        bench.run_to(90_000);
        assert_eq!((in_sync(&bench), bench.log(0).high_watermark()), (vec![0, 1], 10));
        assert_eq!(bench.ledger.consumers[0].delivered, 10);
    }
}

/// K-ISR-4: a follower that is back joins when it has everything up to the watermark. It has missed
/// fifty batches of 1,000 bytes and gets one with each fetch (replica.fetch.max.bytes): a round trip to
/// say where it is, and 11 ms for each of fifty fetches. It leads by then if its leader dies.
#[test]
fn a_follower_joins_the_isr_when_it_has_what_is_committed() {
    let mut setup = orders(2);
    setup.cluster.settings.replica_fetch_max_bytes = 1_000;
    let mut bench = Bench::new(&setup);
    bench.begin(&kill(&[1]));
    bench.run_to(20_000);
    for batch in 0..50 {
        bench.run_to(20_000 + batch * 20);
        bench.offer(0, 0, 10);
    }
    bench.run_to(22_000);
    assert_eq!((in_sync(&bench), bench.log(0).high_watermark()), (vec![0], 500));
    bench.end(&kill(&[1]));
    let joined = bench.when("joined", |it| it.partition(0).isr.len() == 2);
    let registered = *bench.noted("broker_registered").last().unwrap();
    assert!(joined >= registered + ms(10 + 50 * 11), "{registered:?} {joined:?}");
    bench.begin(&kill(&[0]));
    bench.run_to(60_000);
    assert_eq!((bench.partition(0).leader, bench.log(0).end()), (Some(BrokerId(1)), 500));
}

/// K-ELC-1, K-ISR-4: only a member of the ISR is elected: broker 1, next in order, is out.
#[test]
fn a_leader_is_elected_from_the_isr_only() {
    let mut bench = Bench::new(&orders(3));
    bench.begin(&kill(&[1]));
    bench.run_to(20_000);
    bench.offer(0, 0, 10);
    bench.run_to(21_000);
    bench.begin(&kill(&[0]));
    bench.run_to(40_000);
    assert_eq!(bench.partition(0).leader, Some(BrokerId(2)));
    let isr: BrokerSet = [BrokerId(2)].into_iter().collect();
    assert_eq!((bench.partition(0).isr, bench.log(0).end()), (isr, 10));
}

/// K-ACK-2, K-ACK-3: the leader of a waiting request is gone: the client is told, sends again, and is
/// answered by the next one, with the old leader's copy cut or recognised.
#[test]
fn a_request_that_waits_fails_when_its_leader_changes() {
    let mut setup = patient(3);
    setup.producer(0).request_timeout = ms(60_000);
    let mut bench = Bench::new(&setup);
    bench.run_to(1_000);
    bench.begin(&cut(2));
    bench.offer(0, 0, 10);
    bench.run_to(2_000);
    assert_eq!((bench.log(0).end(), bench.log(0).high_watermark()), (10, 0));
    bench.begin(&stop(0));
    bench.when("elected", |it| it.partition(0).leader == Some(BrokerId(1)));
    bench.end(&cut(2));
    bench.when("accepted", |it| it.ledger.producers[0].accepted == 10);
    let book = bench.ledger.producers[0];
    assert_eq!((book.stored, book.copies, book.attempts), (10, 0, 20));
    assert_eq!((bench.log(0).end(), bench.log(0).high_watermark()), (10, 10));
}
