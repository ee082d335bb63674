//! Produce requests at their broker: when they are answered, what refuses them, and what
//! idempotence does with repeats and gaps.

use super::bench::*;
use crate::config::kafka::Acks;
use crate::engine::SimTime;

/// The followers are dead and the controller has taken them out of the ISR.
fn alone(setup: &Setup) -> Bench {
    let mut bench = Bench::new(setup);
    let others: Vec<u32> = (1..bench.cluster.broker_count()).collect();
    bench.begin(&kill(&others));
    bench.run_to(20_000);
    assert_eq!(bench.partition(0).isr.len(), 1);
    bench
}

fn accepted(bench: &mut Bench, records: u64) -> SimTime {
    bench.when("accepted", |it| it.ledger.producers[0].accepted == records)
}

/// K-ACK-1: acks=1 needs the append, at 5, all also the watermark, at 16; 6 ms later the client
/// knows. Without followers the watermark is there with the append.
#[test]
fn an_answer_comes_after_the_append_or_after_the_whole_isr() {
    for (brokers, acks, millis) in
        [(3, Acks::Leader, 11), (3, Acks::All, 22), (1, Acks::Leader, 11), (1, Acks::All, 11)]
    {
        let mut setup = orders(brokers);
        setup.producer(0).acks = acks;
        let mut bench = Bench::new(&setup);
        bench.offer(0, 0, 10);
        assert_eq!(accepted(&mut bench, 10), at(millis), "{acks:?} on {brokers}");
        assert_eq!(bench.ledger.producers[0].attempts, 10);
    }
}

/// K-ACK-4: min ISR is a floor, all is the whole ISR. Broker 1 is 1 ms from the leader and has said
/// at 5 + 1 + 1 + 1 = 8 that it has everything, which makes two; the client hears nothing before
/// broker 2, 5 ms away, has said so at 16.
#[test]
fn acks_all_waits_for_the_slowest_of_the_isr_though_min_isr_is_there() {
    let mut setup = orders(3);
    setup.cluster.brokers = vec![0, 0, 2];
    setup.cluster.hardware.rtt_in_zone = ms(2);
    setup.cluster.topics[0].min_insync_replicas = 2;
    let mut bench = Bench::new(&setup);
    bench.offer(0, 0, 10);
    bench.run_before(16);
    assert_eq!(bench.log(0).high_watermark(), 0);
    bench.run_to(16);
    assert_eq!(bench.log(0).high_watermark(), 10);
    assert_eq!(accepted(&mut bench, 10), at(22));
}

/// K-ACK-2: a request waits for its own offset. The first is answered at 22; the second, of another
/// producer, is appended at 8, when the fetch that the first one set off is under way, and comes with
/// the next one, which leaves at 16 and is told of at 27: answered at 33.
#[test]
fn a_watermark_answers_no_request_whose_offset_it_has_not_passed() {
    let mut setup = orders(2);
    setup.producers.push(setup.producers[0].clone());
    let mut bench = Bench::new(&setup);
    bench.offer(0, 0, 10);
    bench.run_to(3);
    bench.offer(1, 0, 10);
    assert_eq!(accepted(&mut bench, 10), at(22));
    assert_eq!((bench.log(0).end(), bench.log(0).high_watermark()), (20, 10));
    let second = bench.when("accepted", |it| it.ledger.producers[1].accepted == 10);
    assert_eq!(second, at(33));
}

/// K-ACK-1: acks=all is refused, and nothing appended, with fewer than min.insync.replicas in sync;
/// just as many are enough. acks=1 does not ask.
#[test]
fn acks_all_needs_min_insync_replicas_and_no_more() {
    for (acks, min_isr, alive, taken) in [
        (Acks::All, 1, 1, true),
        (Acks::All, 2, 1, false),
        (Acks::All, 2, 2, true),
        (Acks::All, 3, 2, false),
        (Acks::All, 3, 3, true),
        (Acks::Leader, 3, 1, true),
    ] {
        let mut setup = orders(3);
        setup.cluster.topics[0].min_insync_replicas = min_isr;
        setup.producer(0).acks = acks;
        let mut bench = Bench::new(&setup);
        bench.begin(&kill(&[1, 2][alive - 1..]));
        bench.run_to(20_000);
        assert_eq!(bench.partition(0).isr.len() as usize, alive);
        bench.offer(0, 0, 10);
        bench.run_to(21_000);
        let stored = if taken { 10 } else { 0 };
        let book = bench.ledger.producers[0];
        let case = format!("{acks:?}, {alive} of at least {min_isr}");
        assert_eq!(
            (bench.log(0).end(), book.stored, book.accepted),
            (stored, stored, stored),
            "{case}"
        );
        assert_eq!(book.attempts > 10, !taken, "{case}");
    }
}

/// K-ISR-7: from 3.7 on min ISR is at most the number of replicas; before, one replica never makes
/// two.
#[test]
fn min_isr_is_no_more_than_there_are_replicas() {
    for old in [false, true] {
        let mut setup = orders(1);
        setup.cluster.topics[0].min_insync_replicas = 2;
        if old {
            setup.of_2_4();
        }
        let mut bench = Bench::new(&setup);
        bench.offer(0, 0, 10);
        bench.run_to(1_000);
        assert_eq!(bench.ledger.producers[0].accepted, if old { 0 } else { 10 });
    }
}

/// K-ACK-1, K-PRD-2: a refused request is judged at 5, known at 11, sent again at 111: each round
/// takes 111 ms and is one attempt of ten records, stored once in the end. Rounds begin at 0, 111 ..
/// 999; after the tenth, judged at 1,004 with one replica enough, it is taken.
#[test]
fn every_attempt_is_counted_once_and_the_records_once() {
    let mut setup = orders(2);
    setup.cluster.topics[0].min_insync_replicas = 2;
    let mut bench = alone(&setup);
    let start = bench.now;
    bench.offer(0, 0, 10);
    for round in 0..9 {
        bench.run_until(start + ms(round * 111 + 4));
        assert_eq!(bench.ledger.producers[0].attempts, round * 10);
        bench.run_until(start + ms(round * 111 + 5));
        assert_eq!(bench.ledger.producers[0].attempts, (round + 1) * 10);
    }
    bench.alter_min_isr(1);
    assert_eq!(accepted(&mut bench, 10), start + ms(999 + 11));
    bench.run_to(60_000);
    let book = bench.ledger.producers[0];
    assert_eq!((book.offered, book.attempts, book.throttled), (10, 100, 0));
    assert_eq!((book.stored, book.accepted, book.copies, book.refused), (10, 10, 0, 0));
}

/// K-IDM-1: the answer to an append is lost, the client sends again, and the broker finds the batch
/// in its log: nothing is appended, and the repeat is no copy. Without idempotence it is one, which
/// a group gets a second time.
#[test]
fn a_repeat_is_recognised_while_the_client_is_idempotent() {
    for (idempotence, copies) in [(true, 0), (false, 10)] {
        let mut setup = orders(1);
        setup.producer(0).idempotence = idempotence;
        setup.producer(0).request_timeout = ms(500);
        setup.group("billing", 1);
        let mut bench = Bench::new(&setup);
        bench.offer(0, 0, 10);
        bench.run_to(8);
        bench.begin(&cut(0));
        bench.run_to(1_000);
        bench.end(&cut(0));
        bench.run_to(30_000);
        let book = bench.ledger.producers[0];
        assert_eq!((book.attempts, book.stored, book.copies), (20, 10, copies), "{idempotence}");
        assert_eq!((book.accepted, book.refused, book.unconfirmed), (10, 0, 0));
        assert_eq!(bench.log(0).end(), 10 + copies);
        let reader = bench.ledger.consumers[0];
        assert_eq!((reader.delivered, reader.redelivered), (10, copies));
    }
}

/// K-IDM-2: what the new leader has in its log it recognises as well. The leader dies when both
/// followers have the batch, at 11, and nobody has said so yet.
#[test]
fn a_repeat_is_recognised_by_the_next_leader() {
    for (idempotence, copies) in [(true, 0), (false, 10)] {
        let mut setup = orders(3);
        setup.producer(0).idempotence = idempotence;
        let mut bench = Bench::new(&setup);
        bench.offer(0, 0, 10);
        bench.run_to(12);
        bench.begin(&kill(&[0]));
        assert!(accepted(&mut bench, 10) > bench.elected("orders-0"));
        let book = bench.ledger.producers[0];
        assert_eq!((book.stored, book.copies, book.lost), (10, copies, 0));
        assert_eq!(bench.log(0).end(), 10 + copies);
    }
}

/// K-IDM-1, K-IDM-3: the first batch is refused at 5, which its client learns at 11; the second is on
/// its way by then, sent at 8, and from 9 on one replica is enough. A gap in the sequence is not taken:
/// the second waits for the first, which comes at 111. Without idempotence the second is first.
#[test]
fn a_gap_in_the_sequence_is_refused() {
    for (idempotence, order) in [(true, [(0, 0), (0, 10)]), (false, [(0, 10), (0, 0)])] {
        let mut setup = orders(2);
        setup.cluster.topics[0].min_insync_replicas = 2;
        setup.producer(0).idempotence = idempotence;
        setup.group("billing", 1);
        let mut bench = alone(&setup);
        let start = bench.now;
        bench.offer(0, 0, 10);
        bench.run_until(start + ms(8));
        bench.offer(0, 0, 10);
        bench.run_until(start + ms(9));
        bench.alter_min_isr(1);
        bench.run_until(start + ms(13));
        assert_eq!(bench.log(0).end(), if idempotence { 0 } else { 10 });
        accepted(&mut bench, 20);
        bench.run_until(start + ms(1_000));
        assert_eq!(bench.stored(0), order);
        let book = bench.ledger.producers[0];
        assert_eq!((book.stored, book.copies), (20, 0));
        assert_eq!(book.attempts, if idempotence { 40 } else { 30 });
        let reader = bench.ledger.consumers[0];
        assert_eq!((reader.delivered, reader.reordered), (20, if idempotence { 0 } else { 10 }));
    }
}

/// K-IDM-1 is per producer: another's batches, with the same numbers in the same partition, are
/// neither repeats nor gaps.
#[test]
fn sequences_of_two_producers_do_not_meddle() {
    let mut setup = orders(2);
    setup.cluster.topics[0].min_insync_replicas = 2;
    setup.producers.push(setup.producers[0].clone());
    setup.producer(1).acks = Acks::Leader;
    let mut bench = alone(&setup);
    let start = bench.now;
    bench.offer(0, 0, 10);
    bench.run_until(start + ms(50));
    // The first producer's only batch has been refused; the second's are taken all the same.
    bench.offer(1, 0, 5);
    bench.run_until(start + ms(60));
    bench.offer(1, 0, 5);
    bench.run_until(start + ms(70));
    bench.alter_min_isr(1);
    accepted(&mut bench, 10);
    assert_eq!(bench.stored(0), [(1, 0), (1, 5), (0, 0)]);
    let [first, second] = [0, 1].map(|it| bench.ledger.producers[it]);
    assert_eq!((first.attempts, first.stored, first.copies), (20, 10, 0));
    assert_eq!((second.attempts, second.stored, second.accepted), (10, 10, 10));
}

/// K-ACK-2: a broker reads the next request of a connection when it has answered the one before. The
/// second, for another partition, is at the broker at 6, and appended when the first one's watermark
/// has come at 16. With acks=1 it is appended as it comes; so it is from another producer.
#[test]
fn a_request_that_waits_for_the_watermark_holds_the_next_of_its_connection() {
    for (acks, flow, millis) in [(Acks::All, 0, 16), (Acks::Leader, 0, 6), (Acks::All, 1, 6)] {
        let topics = vec![topic("orders", &[&[0, 1], &[0, 1]])];
        let mut setup = Setup::new(2, topics);
        setup.producers.push(setup.producers[0].clone());
        setup.producer(0).acks = acks;
        let mut bench = Bench::new(&setup);
        bench.offer(0, 0, 10);
        bench.run_to(1);
        bench.offer(flow, 1, 10);
        let appended = bench.when("appended", |it| it.log(1).end() == 10);
        assert_eq!(appended, at(millis), "{acks:?} of {flow}");
    }
}

/// K-DL-1: acks=1, the client near its leader has its answer at 1 + 1 + 1 = 3, the followers the batch
/// at 1 + 1 + 5 = 7. A leader that dies at 5 takes acknowledged records with it; at 8 it does not. With
/// acks=all nothing was acknowledged, and the client sends again.
#[test]
fn a_leader_that_dies_before_its_followers_fetched_loses_what_acks_1_was_told() {
    for (acks, dies, lost) in [(Acks::Leader, 5, 10), (Acks::Leader, 8, 0), (Acks::All, 5, 0)] {
        let mut setup = orders(3);
        setup.producer(0).acks = acks;
        setup.producer(0).zone = Some(0);
        setup.cluster.hardware.rtt_in_zone = ms(2);
        let mut bench = Bench::new(&setup);
        bench.offer(0, 0, 10);
        bench.run_to(dies);
        assert_eq!(bench.ledger.producers[0].accepted, if acks == Acks::All { 0 } else { 10 });
        bench.begin(&kill(&[0]));
        bench.run_to(30_000);
        let book = bench.ledger.producers[0];
        assert_eq!((book.accepted, book.lost, book.stored), (10, lost, 10), "{acks:?} at {dies}");
        assert_eq!(bench.log(0).end(), 10 - lost);
    }
}
