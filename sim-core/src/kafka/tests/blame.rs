//! What single records waited for, in milliseconds worked out by hand (D-19).

use super::bench::*;
use crate::config::ServiceTime;
use crate::config::kafka::{Acks, StateConfig};
use crate::kafka::group::MemberId;
use crate::kafka::group::assignor::TopicPartition;

/// One broker that leads so many partitions, and a member that takes `each` ms for a record.
fn single(partitions: usize, members: u32, each: u64) -> Setup {
    let replicas: Vec<&[usize]> = vec![&[0]; partitions];
    let mut setup = Setup::new(1, vec![topic("orders", &replicas)]);
    setup.group("billing", members).service = ServiceTime::Fixed(ms(each));
    setup
}

fn pair() -> Setup {
    let mut setup = orders(2);
    setup.group("billing", 1);
    setup
}

fn delivered(bench: &mut Bench, records: u64) -> crate::engine::SimTime {
    bench.when("delivered", |it| it.ledger.consumers[0].delivered == records)
}

fn owner(bench: &Bench, partition: u32) -> MemberId {
    let of = TopicPartition { topic: 0, partition };
    bench.cluster.groups[0].coordination.owner(of).unwrap()
}

/// Offered at 0, in its batch until 20, appended at 25, visible when the follower has said so at 36,
/// at the member at 42, processed in 3 ms for each record of the entry. Ten records wait ten times.
#[test]
fn a_record_on_its_way_through_a_healthy_cluster() {
    for records in [1, 10] {
        let mut setup = pair();
        setup.producer(0).linger = ms(20);
        setup.groups[0].service = ServiceTime::Fixed(ms(3));
        let mut bench = Bench::new(&setup);
        bench.offer(0, 0, records);
        let records = u64::from(records);
        assert_eq!(delivered(&mut bench, records), at(42 + 3 * records));
        let all = |millis: u64| ms(millis * records);
        bench.assert_blame(
            0,
            &[
                ("client_batching", all(20)),
                ("put", all(5)),
                ("replication", all(11)),
                ("poll_gap", all(6)),
                ("service", all(3 * records)),
            ],
        );
    }
}

/// Two records at 0. The first is answered at 22 (acks=all), and only then may the second go: because
/// one request may be in flight, or because the buffer holds one record. Due at once, it was behind
/// another for 22 ms; the rest is the same for both.
#[test]
fn client_backlog_is_the_wait_behind_others_in_the_client() {
    for full in [false, true] {
        let mut setup = pair();
        setup.producer(0).batch_size = 1;
        if full {
            setup.producer(0).buffer_memory = u64::from(RECORD);
        } else {
            setup.producer(0).max_in_flight = 1;
        }
        let mut bench = Bench::new(&setup);
        bench.offer(0, 0, 1);
        bench.offer(0, 0, 1);
        assert_eq!(delivered(&mut bench, 2), at(22 + 23));
        bench.assert_blame(
            0,
            &[
                ("client_backlog", ms(22)),
                ("put", ms(10)),
                ("replication", ms(22)),
                ("poll_gap", ms(12)),
                ("service", ms(2)),
            ],
        );
    }
}

/// Refused for want of replicas, sent again 111 ms after the first attempt, and taken: that attempt and
/// its back-off are `replicas_missing`, only the one that succeeded is `put`. The follower is dead and
/// out of the ISR, so the watermark comes with the append.
#[test]
fn replicas_missing_is_the_attempt_that_was_refused_and_its_back_off() {
    let mut setup = pair();
    setup.cluster.topics[0].min_insync_replicas = 2;
    let mut bench = Bench::new(&setup);
    bench.begin(&kill(&[1]));
    bench.run_to(20_000);
    bench.offer(0, 0, 1);
    bench.run_to(20_050);
    bench.alter_min_isr(1);
    assert_eq!(delivered(&mut bench, 1), at(20_000 + 111 + 5 + 6 + 1));
    bench.assert_blame(
        0,
        &[("replicas_missing", ms(111)), ("put", ms(5)), ("poll_gap", ms(6)), ("service", ms(1))],
    );
}

/// The leader is dead when the record is offered, at 1,500. The request that succeeds is sent after
/// the election, and all before it is `leader_unavailable`. The new leader is alone in sync.
#[test]
fn leader_unavailable_is_the_client_s_wait_for_a_leader() {
    let mut bench = Bench::new(&pair());
    bench.run_to(1_000);
    bench.begin(&kill(&[0]));
    bench.run_to(1_500);
    bench.offer(0, 0, 1);
    delivered(&mut bench, 1);
    let sent_at = bench.log(0).entry(0).unwrap().sent_at;
    assert!(sent_at > bench.elected("orders-0"));
    bench.assert_blame(
        0,
        &[
            ("leader_unavailable", sent_at.since(at(1_500))),
            ("put", ms(5)),
            ("poll_gap", ms(6)),
            ("service", ms(1)),
        ],
    );
}

/// Sent at 0, and the leader dies at 2 with the request under way: the attempt that failed belongs to
/// the wait for a leader, from its launch to that of the one that succeeds.
#[test]
fn leader_unavailable_is_also_the_attempt_that_its_death_ended() {
    let mut bench = Bench::new(&pair());
    bench.offer(0, 0, 1);
    bench.run_to(2);
    bench.begin(&kill(&[0]));
    delivered(&mut bench, 1);
    let sent_at = bench.log(0).entry(0).unwrap().sent_at;
    assert!(sent_at > bench.elected("orders-0"));
    bench.assert_blame(
        0,
        &[
            ("leader_unavailable", sent_at.since(at(0))),
            ("put", ms(5)),
            ("poll_gap", ms(6)),
            ("service", ms(1)),
        ],
    );
}

/// The record is visible at 16; the leader dies at 18, with the fetch under way. Its partition has no
/// leader until one is elected, from which it comes 6 ms later: 2 + 6 ms of waiting for a fetch.
#[test]
fn leader_unavailable_is_the_consumer_s_wait_for_a_leader() {
    let mut setup = pair();
    setup.producer(0).acks = Acks::Leader;
    let mut bench = Bench::new(&setup);
    bench.offer(0, 0, 1);
    bench.run_to(18);
    bench.begin(&kill(&[0]));
    delivered(&mut bench, 1);
    let elected = bench.elected("orders-0");
    bench.assert_blame(
        0,
        &[
            ("put", ms(5)),
            ("replication", ms(11)),
            ("leader_unavailable", elected.since(at(18))),
            ("poll_gap", ms(2 + 6)),
            ("service", ms(1)),
        ],
    );
}

/// The follower is cut off until 1,000: what is appended at 5 is held for 995 ms. Then the follower says
/// where it is (10 ms), gets the batch and says so (11 ms), which is plain `replication`.
#[test]
fn watermark_held_ends_when_the_follower_is_back_and_replication_begins() {
    let mut setup = pair();
    setup.never_fence();
    let mut bench = Bench::new(&setup);
    bench.begin(&cut(1));
    bench.offer(0, 0, 1);
    bench.run_to(1_000);
    bench.end(&cut(1));
    delivered(&mut bench, 1);
    bench.assert_blame(
        0,
        &[
            ("put", ms(5)),
            ("watermark_held", ms(995)),
            ("replication", ms(21)),
            ("poll_gap", ms(6)),
            ("service", ms(1)),
        ],
    );
}

/// The owner of the record's partition dies at 1,000, the record is visible at 2,000 (packets take no
/// time here, a fetch the broker's 1 ms). `owner_dead` until its session has expired, 42 to 45 s after
/// its death; `rebalance` until the other member has the partition; if that comes with a state of 1,000
/// bytes at 1,000 bytes a second, `state_restore` for a second.
#[test]
fn owner_dead_until_the_session_expires_then_rebalance_then_state_restore() {
    for restore in [0, 1_000] {
        let mut setup = single(2, 2, 1);
        let state = StateConfig {
            bytes_per_partition: 1_000,
            restore_rate: 1_000,
            standbys: 0,
            survives_restart: false,
            others_run: true,
        };
        setup.groups[0].state = (restore > 0).then_some(state);
        setup.cluster.hardware.rtt_across_zones = ms(0);
        let mut bench = Bench::new(&setup);
        let member = owner(&bench, 1);
        bench.run_to(1_000);
        bench.act(|cluster, at| cluster.kill_member(0, member, at));
        bench.run_to(2_000);
        bench.offer(0, 1, 1);
        let done = delivered(&mut bench, 1);
        let expired = bench.noted("member_expelled")[0];
        assert!(at(1_000 + 42_000) <= expired && expired <= at(1_000 + 45_000), "{expired:?}");
        let mut expected = vec![
            ("owner_dead", expired.since(at(2_000))),
            ("rebalance", done.since(expired + ms(restore + 1 + 1))),
            ("poll_gap", ms(1)),
            ("service", ms(1)),
        ];
        if restore > 0 {
            expected.push(("state_restore", ms(restore)));
        }
        bench.assert_blame(0, &expected);
    }
}

/// Nobody dies: a third member joins at 1,500, while one of two has five records of a second each in
/// hand, from 1,011 to 6,011. The other has given its partition up by 4,600 and waits for the first; a
/// record that is visible in it at 5,005 waits for the rebalance only.
#[test]
fn rebalance_is_the_wait_for_a_new_owner_while_all_are_alive() {
    let mut bench = Bench::new(&single(2, 2, 1_000));
    bench.run_to(1_000);
    bench.offer(0, 0, 5);
    bench.run_to(1_500);
    bench.act(|cluster, at| cluster.add_members(0, 1, at));
    bench.run_to(5_000);
    bench.offer(0, 1, 1);
    let done = delivered(&mut bench, 6);
    let given_out = done.since(at(5_005) + ms(6 + 1_000));
    assert!(given_out > ms(1_006), "the busy member polls at 6,011: {given_out:?}");
    bench.assert_blame(
        0,
        &[
            ("put", ms(5 * 5 + 5)),
            ("rebalance", given_out),
            ("poll_gap", ms(5 * 6 + 6)),
            ("service", ms(5 * 5_000 + 1_000)),
        ],
    );
}

/// A record of 100 ms is in hand from 11 to 111. One of another partition, visible at 25, waits for it:
/// 86 ms, fetched or not. Two that are polled together: the second waits 100 ms for the first.
#[test]
fn capacity_is_the_wait_behind_other_records_of_the_member() {
    let mut bench = Bench::new(&single(2, 1, 100));
    bench.offer(0, 0, 1);
    bench.run_to(20);
    bench.offer(0, 1, 1);
    assert_eq!(delivered(&mut bench, 2), at(211));
    bench.assert_blame(
        0,
        &[("put", ms(10)), ("poll_gap", ms(6)), ("capacity", ms(86)), ("service", ms(200))],
    );

    let mut setup = single(2, 1, 100);
    setup.producer(0).linger = ms(5);
    let mut bench = Bench::new(&setup);
    bench.offer(0, 0, 1);
    bench.offer(0, 1, 1);
    assert_eq!(delivered(&mut bench, 2), at(216));
    bench.assert_blame(
        0,
        &[
            ("client_batching", ms(10)),
            ("put", ms(10)),
            ("poll_gap", ms(12)),
            ("capacity", ms(100)),
            ("service", ms(200)),
        ],
    );
}

/// The same two records while the member stands still until 1,000: nobody notices for 990 ms, the fetch
/// takes 6, and the second is behind a backlog that an interruption left.
#[test]
fn catch_up_is_the_wait_behind_a_backlog_that_an_interruption_left() {
    let mut setup = single(2, 1, 100);
    setup.producer(0).linger = ms(5);
    let mut bench = Bench::new(&setup);
    bench.act(|cluster, at| cluster.pause_member(0, MemberId(0), at));
    bench.offer(0, 0, 1);
    bench.offer(0, 1, 1);
    bench.run_to(1_000);
    bench.act(|cluster, at| cluster.resume_member(0, MemberId(0), at));
    assert_eq!(delivered(&mut bench, 2), at(1_206));
    bench.assert_blame(
        0,
        &[
            ("client_batching", ms(10)),
            ("put", ms(10)),
            ("owner_dead", ms(2 * 990)),
            ("poll_gap", ms(12)),
            ("catch_up", ms(100)),
            ("service", ms(200)),
        ],
    );
    // The backlog is worked off: whoever waits now waits for capacity.
    bench.run_to(2_000);
    bench.offer(0, 0, 1);
    bench.offer(0, 1, 1);
    delivered(&mut bench, 4);
    let of = |cause: &str| bench.blame(0).iter().find(|it| it.0 == cause).map(|it| it.1);
    assert_eq!((of("catch_up"), of("capacity")), (Some(ms(100)), Some(ms(100))));
}

/// A fetch that waits for fetch.min.bytes is a wait for a fetch: 500 ms more of `poll_gap`.
#[test]
fn poll_gap_is_the_wait_for_a_fetch() {
    let mut setup = single(1, 1, 1);
    setup.groups[0].fetch_min_bytes = 1_000;
    let mut bench = Bench::new(&setup);
    bench.offer(0, 0, 1);
    delivered(&mut bench, 1);
    bench.assert_blame(0, &[("put", ms(5)), ("poll_gap", ms(506)), ("service", ms(1))]);
}

/// Two groups: one stands still, the other does not wait for it.
#[test]
fn each_group_is_late_for_reasons_of_its_own() {
    let mut setup = single(1, 1, 1);
    setup.group("audit", 1);
    let mut bench = Bench::new(&setup);
    bench.act(|cluster, at| cluster.pause_member(1, MemberId(0), at));
    bench.offer(0, 0, 1);
    bench.run_to(1_000);
    bench.act(|cluster, at| cluster.resume_member(1, MemberId(0), at));
    bench.run_to(2_000);
    bench.assert_blame(0, &[("put", ms(5)), ("poll_gap", ms(6)), ("service", ms(1))]);
    let late = [("put", ms(5)), ("owner_dead", ms(995)), ("poll_gap", ms(6)), ("service", ms(1))];
    bench.assert_blame(1, &late);
}

/// Two faults at once: the follower is cut off until 1,000 and the member stands still until 2,000. The
/// record is in one place at a time: invisible until 1,021, then without an owner until 2,000.
#[test]
fn of_two_faults_the_one_where_the_record_is_counts() {
    let mut setup = pair();
    setup.never_fence();
    let mut bench = Bench::new(&setup);
    bench.begin(&cut(1));
    bench.act(|cluster, at| cluster.pause_member(0, MemberId(0), at));
    bench.offer(0, 0, 1);
    bench.run_to(1_000);
    bench.end(&cut(1));
    bench.run_to(2_000);
    bench.act(|cluster, at| cluster.resume_member(0, MemberId(0), at));
    delivered(&mut bench, 1);
    bench.assert_blame(
        0,
        &[
            ("put", ms(5)),
            ("watermark_held", ms(995)),
            ("replication", ms(21)),
            ("owner_dead", ms(979)),
            ("poll_gap", ms(6)),
            ("service", ms(1)),
        ],
    );
}
