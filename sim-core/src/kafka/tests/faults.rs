//! What breaks on the way between clients and brokers, one fault and two that overlap.

use super::bench::*;
use crate::config::kafka::Acks;

fn accepted(bench: &mut Bench) -> crate::engine::SimTime {
    bench.when("accepted", |it| it.ledger.producers[0].accepted == it.ledger.producers[0].offered)
}

/// A cut holds packets back: the batch is appended at 5, its answer, due at 11, meets a cut zone, and
/// comes 5 ms after the cut has healed. The client, which waits 30 s, sends nothing twice.
#[test]
fn an_answer_that_a_cut_held_back_arrives_when_it_heals() {
    for begins in [6, 10] {
        let mut bench = Bench::new(&orders(1));
        bench.offer(0, 0, 10);
        bench.run_to(begins);
        bench.begin(&cut(0));
        bench.run_to(1_000);
        assert_eq!((bench.log(0).end(), bench.ledger.producers[0].accepted), (10, 0));
        bench.end(&cut(0));
        assert_eq!(accepted(&mut bench), at(1_005));
        assert_eq!(bench.ledger.producers[0].attempts, 10);
    }
}

/// A request that was sent into the cut (the connection does not know of it) is at the broker 5 ms
/// after the cut has healed, and answered 6 ms later.
#[test]
fn a_request_that_a_cut_held_back_arrives_when_it_heals() {
    let mut bench = Bench::new(&orders(1));
    bench.run_to(100);
    bench.begin(&cut(0));
    bench.offer(0, 0, 10);
    bench.run_to(1_000);
    assert_eq!(bench.log(0).end(), 0);
    bench.end(&cut(0));
    assert_eq!(accepted(&mut bench), at(1_011));
    assert_eq!(bench.ledger.producers[0].attempts, 10);
}

/// A client inside the cut zone notices nothing.
#[test]
fn a_cut_is_none_inside_the_zone() {
    let mut setup = orders(1);
    setup.producer(0).zone = Some(0);
    let mut bench = Bench::new(&setup);
    bench.begin(&cut(0));
    bench.offer(0, 0, 10);
    assert_eq!(accepted(&mut bench), at(11));
}

/// Cut off from 100 ms to 1 s and frozen from 0.5 s to 2 s: what is sent at 0.6 s is at the broker at
/// 1.005 s, waits in its socket, and is appended the moment it thaws; 6 ms more to the client.
#[test]
fn a_pause_that_outlasts_a_cut_holds_what_the_cut_let_through() {
    let mut bench = Bench::new(&orders(1));
    bench.run_to(100);
    bench.begin(&cut(0));
    bench.run_to(500);
    bench.begin(&pause(0));
    bench.run_to(600);
    bench.offer(0, 0, 10);
    bench.run_to(1_000);
    bench.end(&cut(0));
    bench.run_before(2_000);
    assert_eq!(bench.log(0).end(), 0);
    bench.run_to(2_000);
    bench.end(&pause(0));
    assert_eq!(bench.log(0).end(), 10);
    assert_eq!(accepted(&mut bench), at(2_006));
    assert_eq!(bench.ledger.producers[0].attempts, 10);
}

/// The same the other way round: it thaws at 1 s and the cut heals at 2 s.
#[test]
fn a_cut_that_outlasts_a_pause_holds_what_was_sent() {
    let mut bench = Bench::new(&orders(1));
    bench.run_to(100);
    bench.begin(&pause(0));
    bench.run_to(500);
    bench.begin(&cut(0));
    bench.run_to(600);
    bench.offer(0, 0, 10);
    bench.run_to(1_000);
    bench.end(&pause(0));
    bench.run_to(2_000);
    assert_eq!(bench.log(0).end(), 0);
    bench.end(&cut(0));
    assert_eq!(accepted(&mut bench), at(2_011));
    assert_eq!(bench.ledger.producers[0].attempts, 10);
}

/// Two zones cut, one after the other: the watermark waits for both followers, and comes when the
/// second is back. A loop that resumes says where it is a round trip later, at + 10, and gets the
/// batch: leader 1 ms, 5 ms there, 5 ms back with the next fetch, at + 21.
#[test]
fn the_watermark_waits_for_the_last_of_two_cut_followers() {
    let mut setup = orders(3);
    setup.never_fence();
    setup.cluster.settings.replica_lag_time_max = ms(100_000);
    let mut bench = Bench::new(&setup);
    bench.begin(&cut(1));
    bench.begin(&cut(2));
    bench.offer(0, 0, 10);
    bench.run_to(1_000);
    bench.end(&cut(1));
    bench.run_to(2_000);
    assert_eq!((bench.log(0).end(), bench.log(0).high_watermark()), (10, 0));
    bench.end(&cut(2));
    bench.run_before(2_021);
    assert_eq!(bench.log(0).high_watermark(), 0);
    bench.run_to(2_021);
    assert_eq!(bench.log(0).high_watermark(), 10);
    assert_eq!(accepted(&mut bench), at(2_027));
}

/// Both brokers of a partition die, the leader last; only the leader was in sync then, and leads again
/// when it is back, with everything that was acknowledged.
#[test]
fn a_partition_whose_whole_isr_died_waits_for_its_last_leader() {
    let mut setup = orders(2);
    setup.producer(0).acks = Acks::Leader;
    let mut bench = Bench::new(&setup);
    bench.begin(&kill(&[1]));
    bench.run_to(20_000);
    bench.offer(0, 0, 10);
    assert_eq!(accepted(&mut bench), at(20_011));
    bench.begin(&kill(&[0]));
    bench.run_to(40_000);
    bench.end(&kill(&[1]));
    bench.run_to(60_000);
    assert_eq!(bench.partition(0).leader, None);
    bench.end(&kill(&[0]));
    bench.run_to(90_000);
    assert_eq!(bench.partition(0).leader, Some(crate::kafka::metadata::BrokerId(0)));
    assert_eq!((bench.log(0).end(), bench.ledger.producers[0].lost), (10, 0));
}
