//! Producers in their cluster: back-off, timeouts, full buffers, requests in flight, new leaders.

use super::bench::*;
use crate::config::kafka::Acks;
use crate::engine::{SimDuration, SimTime};
use crate::kafka::metadata::BrokerId;

/// A broker that refuses acks=all for want of replicas from 20 s on, until min ISR is altered to 1.
fn refusing(mut setup: Setup) -> Bench {
    setup.cluster.topics[0].min_insync_replicas = 2;
    let mut bench = Bench::new(&setup);
    bench.begin(&kill(&[1]));
    bench.run_to(20_000);
    bench
}

/// Instants of the next `count` judgements of a batch of ten records.
fn judged(bench: &mut Bench, count: u64) -> Vec<SimTime> {
    let before = bench.ledger.producers[0].attempts;
    let judged = |attempt: u64| before + (attempt + 1) * 10;
    let mut instants = Vec::new();
    for attempt in 0..count {
        let enough = judged(attempt);
        instants.push(bench.when("judged", |it| it.ledger.producers[0].attempts == enough));
    }
    instants
}

/// K-PRD-2: 100, 200, 400, 800 ms and then retry.backoff.max.ms, each within a fifth; an attempt and
/// its answer take 11 ms on top. A new batch begins at 100 again.
#[test]
fn back_off_doubles_up_to_its_ceiling_and_begins_anew_with_a_batch() {
    let mut setup = orders(2);
    setup.producer(0).retry_backoff_max = ms(1_000);
    let mut bench = refusing(setup);
    for _ in 0..2 {
        bench.offer(0, 0, 10);
        let instants = judged(&mut bench, 8);
        let waits: Vec<SimDuration> =
            instants.windows(2).map(|pair| pair[1].since(pair[0] + ms(11))).collect();
        for (&waited, plain) in waits.iter().zip([100, 200, 400, 800, 1_000, 1_000, 1_000]) {
            let least = ms(plain * 8 / 10);
            let most = ms(plain * 12 / 10);
            assert!(least <= waited && waited <= most, "{waited:?} instead of {plain} ms");
        }
        bench.alter_min_isr(1);
        let accepted = bench.ledger.producers[0].accepted + 10;
        bench.when("accepted", |it| it.ledger.producers[0].accepted == accepted);
        bench.alter_min_isr(2);
    }
}

/// Before 3.7 retry.backoff.max.ms equals retry.backoff.ms: every wait is the same, without jitter.
#[test]
fn back_off_without_a_higher_ceiling_is_constant() {
    let mut bench = refusing(orders(2));
    bench.offer(0, 0, 10);
    let start = bench.now;
    let expected: Vec<SimTime> = (0..8).map(|round| start + ms(5 + round * 111)).collect();
    assert_eq!(judged(&mut bench, 8), expected);
}

/// K-PRD-3: attempts to connect to a dead process come 100, 200, 400, 800 and then 1,000 ms apart, the
/// first 50 ms after the connection broke; and at once to one that is up again.
#[test]
fn reconnect_back_off_doubles_up_to_a_second_and_ends_with_success() {
    let mut bench = Bench::new(&orders(1));
    bench.offer(0, 0, 10);
    bench.run_to(2);
    bench.begin(&kill(&[0]));
    let retry_at = |it: &Bench| it.cluster.producers[0].connections[0].retry_at;
    assert_eq!(retry_at(&bench), at(52));
    let mut instant = at(52);
    for wait in [100, 200, 400, 800, 1_000, 1_000] {
        bench.run_until(instant);
        let next = retry_at(&bench);
        assert_eq!(next.since(instant), ms(wait));
        instant = next;
    }
    bench.end(&kill(&[0]));
    bench.when("accepted", |it| it.ledger.producers[0].accepted == 10);
    let connection = &bench.cluster.producers[0].connections[0];
    assert_eq!((connection.failures, connection.down_since), (0, None));
}

/// K-PRD-2: the budget of a batch is delivery.timeout.ms from its creation, to the moment: refused,
/// since it was never stored.
#[test]
fn a_batch_is_given_up_at_delivery_timeout_and_not_before() {
    for timeout in [1_000, 3_000, 7_777] {
        let mut setup = orders(2);
        setup.producer(0).delivery_timeout = ms(timeout);
        let mut bench = refusing(setup);
        bench.offer(0, 0, 10);
        bench.run_to(20_500);
        bench.offer(0, 0, 7);
        bench.run_before(20_000 + timeout);
        assert_eq!(bench.ledger.producers[0].refused, 0, "{timeout}");
        bench.run_to(20_000 + timeout);
        assert_eq!(bench.ledger.producers[0].refused, 10, "{timeout}");
        bench.run_before(20_500 + timeout);
        assert_eq!(bench.ledger.producers[0].refused, 10, "the second has a budget of its own");
        bench.run_to(20_500 + timeout);
        let book = bench.ledger.producers[0];
        assert_eq!((book.refused, book.unconfirmed, book.accepted), (17, 0, 0), "{timeout}");
        assert_eq!(bench.cluster.producers[0].buffered, 0);
        bench.alter_min_isr(1);
        bench.run_to(60_000);
        assert_eq!(bench.log(0).end(), 0, "nothing is sent any more");
    }
}

/// K-PRD-2: expiry means an error though a copy was appended: stored, and unconfirmed. The follower is
/// cut off and nobody takes it out of the ISR.
#[test]
fn a_stored_batch_that_expires_is_unconfirmed_and_not_refused() {
    let mut setup = orders(2);
    setup.never_fence();
    setup.cluster.settings.replica_lag_time_max = ms(100_000);
    setup.producer(0).delivery_timeout = ms(3_000);
    let mut bench = Bench::new(&setup);
    bench.begin(&cut(1));
    bench.offer(0, 0, 10);
    bench.run_before(3_000);
    assert_eq!(bench.ledger.producers[0].unconfirmed, 0);
    bench.run_to(3_000);
    let book = bench.ledger.producers[0];
    assert_eq!((book.stored, book.unconfirmed, book.refused), (10, 10, 0));
    bench.end(&cut(1));
    bench.run_to(10_000);
    let book = bench.ledger.producers[0];
    assert_eq!((book.accepted, book.unconfirmed, bench.log(0).high_watermark()), (0, 10, 10));
}

/// K-ACK-6: `retries` attempts after the first, and no more.
#[test]
fn retries_bounds_the_attempts() {
    for retries in [0, 1, 4] {
        let mut setup = orders(2);
        setup.producer(0).retries = retries;
        let mut bench = refusing(setup);
        bench.offer(0, 0, 10);
        bench.run_to(30_000);
        let book = bench.ledger.producers[0];
        assert_eq!((book.attempts, book.refused), (u64::from(retries + 1) * 10, 10));
    }
}

/// K-PRD-1: with a full buffer the application waits; what waits for max.block.ms is refused then, and
/// what is in the buffer stays its delivery.timeout.ms.
#[test]
fn a_full_buffer_blocks_for_max_block_and_no_longer() {
    let mut setup = orders(2);
    setup.producer(0).buffer_memory = u64::from(10 * RECORD);
    setup.producer(0).max_block = ms(2_000);
    setup.producer(0).delivery_timeout = ms(5_000);
    let mut bench = refusing(setup);
    bench.offer(0, 0, 10);
    bench.run_to(20_100);
    bench.offer(0, 0, 7);
    assert_eq!(bench.cluster.producers[0].buffered, u64::from(10 * RECORD), "the seven wait");
    bench.run_before(22_100);
    assert_eq!(bench.ledger.producers[0].refused, 0);
    bench.run_to(22_100);
    assert_eq!(bench.ledger.producers[0].refused, 7);
    bench.run_before(25_000);
    assert_eq!(bench.ledger.producers[0].refused, 7);
    bench.run_to(25_000);
    assert_eq!(bench.ledger.producers[0].refused, 17);
}

/// K-PRD-1: room ends the wait: the answer to the first batch, at 22, lets the second go, whose answer
/// comes 22 ms later. A byte less in the buffer and nobody waits.
#[test]
fn room_in_the_buffer_lets_the_application_go_on() {
    for (memory, blocked) in [(1_000, true), (1_001, false)] {
        let mut setup = orders(2);
        setup.producer(0).buffer_memory = memory;
        let mut bench = Bench::new(&setup);
        bench.offer(0, 0, 10);
        bench.offer(0, 0, 10);
        assert_eq!(bench.cluster.producers[0].blocked.len(), usize::from(blocked));
        bench.run_to(100);
        let book = bench.ledger.producers[0];
        assert_eq!((book.accepted, book.refused), (20, 0));
        let sent = bench.log(0).entry(1).unwrap().sent_at;
        assert_eq!(sent, if blocked { at(22) } else { at(0) });
    }
}

/// K-PRD-1: a batch goes when it is full, when linger.ms is over, or when a second one is queued.
#[test]
fn a_batch_goes_when_full_or_followed_or_old_enough() {
    for (records, sent) in [([5, 0], 50), ([10, 0], 0), ([5, 6], 20), ([5, 5], 20), ([5, 4], 50)] {
        let mut setup = orders(1);
        setup.producer(0).linger = ms(50);
        setup.producer(0).batch_size = 10 * RECORD;
        let mut bench = Bench::new(&setup);
        bench.offer(0, 0, records[0]);
        bench.run_to(20);
        if records[1] > 0 {
            bench.offer(0, 0, records[1]);
        }
        bench.run_to(200);
        assert_eq!(bench.log(0).entry(0).unwrap().sent_at, at(sent), "{records:?}");
    }
}

/// K-PRD-2: no more than max.in.flight.requests.per.connection wait for an answer; the answers let the
/// others go, and none is left behind.
#[test]
fn no_more_than_max_in_flight_requests_are_unanswered() {
    for most in [1, 2, 5] {
        let mut setup = orders(2);
        setup.producer(0).max_in_flight = most;
        setup.producer(0).batch_size = 1;
        let mut bench = Bench::new(&setup);
        bench.begin(&pause(0));
        for _ in 0..8 {
            bench.offer(0, 0, 1);
        }
        bench.run_to(1_000);
        let in_flight = |it: &Bench| it.cluster.producers[0].connections[0].in_flight.len();
        assert_eq!(in_flight(&bench), most as usize);
        bench.end(&pause(0));
        bench.when("accepted", |it| {
            assert!(in_flight(it) <= most as usize);
            it.ledger.producers[0].accepted == 8
        });
        let order: Vec<(u16, u64)> = (0..8).map(|number| (0, number)).collect();
        assert_eq!(bench.stored(0), order);
    }
}

/// K-IDM-3: after a failure only the lowest sequence is in flight until it is stored; then the others
/// follow, in order.
#[test]
fn retries_drain_the_lowest_sequence_alone() {
    let mut setup = orders(2);
    setup.producer(0).batch_size = 1;
    let mut bench = refusing(setup);
    let start = bench.now;
    for _ in 0..4 {
        bench.offer(0, 0, 10);
    }
    // All four were refused at 5, and known to be at 11.
    bench.run_until(start + ms(11));
    assert_eq!(bench.ledger.producers[0].attempts, 40);
    // From here on one at a time: 111, 222.
    bench.run_until(start + ms(111 + 5));
    assert_eq!(bench.ledger.producers[0].attempts, 50);
    bench.run_until(start + ms(222 + 5));
    assert_eq!(bench.ledger.producers[0].attempts, 60);
    bench.alter_min_isr(1);
    bench.when("accepted", |it| it.ledger.producers[0].accepted == 40);
    assert_eq!(bench.stored(0), [(0, 0), (0, 10), (0, 20), (0, 30)]);
    assert_eq!(bench.ledger.producers[0].attempts, 100);
}

/// K-PRD-3: a killed process resets its connections, a frozen one is found out by request.timeout.ms.
#[test]
fn a_dead_broker_fails_requests_at_once_and_a_frozen_one_after_the_timeout() {
    for (fault, fails) in [(kill(&[0]), 2), (pause(0), 1_000), (cut(0), 1_000)] {
        let mut setup = orders(1);
        setup.producer(0).request_timeout = ms(1_000);
        let mut bench = Bench::new(&setup);
        bench.offer(0, 0, 10);
        bench.run_to(2);
        bench.begin(&fault);
        let failed = bench.when("failed", |it| {
            it.cluster.producers[0].queues[0].heads.front().is_some_and(|head| head.failures == 1)
        });
        assert_eq!(failed, at(fails), "{fault:?}");
    }
}

/// K-ACK-5: every broken connection asks for metadata, which is a round trip away, though the leader
/// is alive: its answer did not come within request.timeout.ms, for want of a follower.
#[test]
fn a_broken_connection_asks_for_metadata() {
    let mut setup = orders(2);
    setup.never_fence();
    setup.producer(0).request_timeout = ms(1_000);
    setup.producer(0).max_in_flight = 1;
    setup.producer(0).batch_size = 1;
    let mut bench = Bench::new(&setup);
    bench.begin(&cut(1));
    bench.offer(0, 0, 10);
    bench.offer(0, 0, 10);
    bench.run_before(1_010);
    assert_eq!(bench.cluster.producers[0].refreshed_at, SimTime::ZERO);
    bench.run_to(1_010);
    assert_eq!(bench.cluster.producers[0].refreshed_at, at(1_010));
}

/// K-PRD-4, K-ACK-5: the connection to a dead leader breaks, metadata names it until the controller has
/// elected broker 1, which the next refresh, at most a second and a round trip later, tells the
/// client; the batch is with the new leader 5 ms after that.
#[test]
fn a_client_sends_again_to_the_new_leader() {
    for acks in [Acks::Leader, Acks::All] {
        let mut setup = orders(3);
        setup.producer(0).acks = acks;
        let mut bench = Bench::new(&setup);
        bench.run_to(1_000);
        bench.begin(&kill(&[0]));
        bench.run_to(1_500);
        bench.offer(0, 0, 10);
        let stored = bench.when("stored", |it| it.log(0).end() == 10);
        let elected = bench.elected("orders-0");
        assert_eq!(bench.partition(0).leader, Some(BrokerId(1)));
        assert!(elected + ms(5) <= stored, "{elected:?} {stored:?}");
        assert!(stored <= elected + ms(1_000 + 10 + 5), "{elected:?} {stored:?}");
        bench.when("accepted", |it| it.ledger.producers[0].accepted == 10);
    }
}

/// K-ACK-5: after a controlled shutdown the client's next request is for a leader that is none any
/// more: its connection is refused and it asks for metadata; nothing is stored twice or lost.
#[test]
fn a_client_finds_the_leader_after_a_controlled_shutdown() {
    let mut bench = Bench::new(&orders(3));
    bench.offer(0, 0, 10);
    bench.run_to(1_000);
    bench.begin(&stop(0));
    bench.when("stopped", |it| !it.noted("broker_stopped").is_empty());
    bench.offer(0, 0, 10);
    bench.when("accepted", |it| it.ledger.producers[0].accepted == 20);
    assert_ne!(bench.partition(0).leader, Some(BrokerId(0)));
    assert_eq!((bench.log(0).end(), bench.ledger.producers[0].copies), (20, 0));
}
