//! What members read, commit, and read again after one of them is gone.

use super::bench::*;
use crate::config::ServiceTime;
use crate::config::kafka::{Acks, Assignor, GroupProtocol, OffsetReset, ServerAssignor};
use crate::engine::{SimDuration, SimTime};
use crate::kafka::group::MemberId;
use crate::kafka::group::assignor::TopicPartition;

/// One broker that leads so many partitions: what a client sends at 0 is visible at 5, and a member
/// whose fetch waits has it at 11.
fn single(partitions: usize) -> Setup {
    let replicas: Vec<&[usize]> = vec![&[0]; partitions];
    Setup::new(1, vec![topic("orders", &replicas)])
}

/// So many batches of one record each, sent together after 5 ms: visible 10 ms from now.
fn offer_singly(bench: &mut Bench, partition: u32, batches: u32) {
    for _ in 0..batches {
        bench.offer(0, partition, 1);
    }
}

fn committed(bench: &Bench, partition: usize) -> u64 {
    bench.cluster.groups[0].shares[partition].as_ref().unwrap().committed
}

fn owner(bench: &Bench, partition: u32) -> MemberId {
    let of = TopicPartition { topic: 0, partition };
    bench.cluster.groups[0].coordination.owner(of).unwrap()
}

fn service(millis: u64) -> ServiceTime {
    ServiceTime::Fixed(ms(millis))
}

/// How a member misses what comes, until retention has taken the first sixty of a hundred records.
#[derive(Clone, Copy, Debug)]
enum Misses {
    /// It is frozen, and goes on.
    Frozen,
    /// It dies, and another one takes over from its commit.
    Dead,
}

/// K-FET-3: of ten segments of ten records, 1,000 bytes each, retention.bytes 4,000 leaves four.
/// `earliest` goes on at the log's start and loses what is gone, `latest` at the watermark and skips
/// the rest of the backlog as well; what comes later is read by both.
#[test]
fn out_of_range_earliest_loses_what_is_gone_and_latest_the_whole_backlog() {
    for misses in [Misses::Frozen, Misses::Dead] {
        for (reset, delivered) in [(OffsetReset::Earliest, 40), (OffsetReset::Latest, 0)] {
            let mut setup = single(1);
            setup.cluster.topics[0].segment_bytes = 1_000;
            setup.group("billing", 2).auto_offset_reset = reset;
            let mut bench = Bench::new(&setup);
            let member = owner(&bench, 0);
            bench.act(|cluster, at| match misses {
                Misses::Frozen => {
                    for member in [0, 1] {
                        assert!(cluster.pause_member(0, MemberId(member), at));
                    }
                }
                Misses::Dead => assert!(cluster.kill_member(0, member, at)),
            });
            for batch in 0..10 {
                bench.run_to(100 + batch * 20);
                bench.offer(0, 0, 10);
            }
            bench.run_to(1_000);
            let mut topic = setup.cluster.topics[0].clone();
            topic.retention_bytes = Some(4_000);
            bench.cluster.partitions[0].log.retain(&topic, at(1_000));
            assert_eq!(bench.log(0).start(), 60);
            if matches!(misses, Misses::Frozen) {
                for member in [0, 1] {
                    bench.act(|it, at| it.resume_member(0, MemberId(member), at));
                }
            }
            bench.run_to(80_000);
            let book = bench.ledger.consumers[0];
            let case = format!("{misses:?} {reset:?}");
            assert_eq!((book.delivered, book.expired), (delivered, 60), "{case}");
            assert_eq!((book.lost, book.redelivered), (100 - delivered, 0), "{case}");
            assert_eq!(bench.cluster.groups[0].counts.resets, 1, "{case}");
            bench.offer(0, 0, 10);
            bench.run_to(81_000);
            assert_eq!(bench.ledger.consumers[0].delivered, delivered + 10, "{case}");
        }
    }
}

/// The negative: as long as retention has not overtaken the group, the policy does not matter.
#[test]
fn an_offset_in_range_is_never_reset() {
    for reset in [OffsetReset::Earliest, OffsetReset::Latest] {
        let mut setup = single(1);
        setup.group("billing", 2).auto_offset_reset = reset;
        let mut bench = Bench::new(&setup);
        let member = owner(&bench, 0);
        bench.act(|cluster, at| cluster.kill_member(0, member, at));
        bench.offer(0, 0, 10);
        bench.run_to(80_000);
        let book = bench.ledger.consumers[0];
        assert_eq!((book.delivered, book.lost, book.redelivered), (10, 0, 0));
        assert_eq!(bench.cluster.groups[0].counts.resets, 0);
    }
}

/// Ten records of 100 ms each, at the member at 16, four to a poll: polls end at 416, 816 and 1,016. The
/// member dies at `dies`, and the next owner begins at what was committed: with commits by hand after
/// the last poll that ended, with auto-commit before the first poll after the interval. Nothing is
/// lost, and what was processed beyond the commit is processed again (K-OFF-1, K-OFF-2).
#[test]
fn after_a_crash_the_next_owner_begins_at_the_commit_and_nothing_is_missed() {
    let hour = Some(ms(3_600_000));
    for (auto_commit, dies, processed, commit) in [
        (None, 366, 3, 0),
        (None, 666, 6, 4),
        (None, 1_000, 9, 8),
        (hour, 666, 6, 0),
        // Due at 400: committed when the second poll begins, at 416.
        (Some(ms(400)), 666, 6, 4),
        (Some(ms(400)), 300, 2, 0),
    ] {
        let mut setup = single(1);
        setup.producer(0).linger = ms(5);
        let group = setup.group("billing", 2);
        group.auto_commit = auto_commit;
        group.max_poll_records = 4;
        group.service = service(100);
        let mut bench = Bench::new(&setup);
        offer_singly(&mut bench, 0, 10);
        bench.run_to(dies);
        let member = owner(&bench, 0);
        bench.act(|cluster, at| cluster.kill_member(0, member, at));
        let case = format!("{auto_commit:?}, dead at {dies}");
        assert_eq!(bench.ledger.consumers[0].delivered, processed, "{case}");
        assert_eq!(committed(&bench, 0), commit, "{case}");
        bench.run_to(80_000);
        let book = bench.ledger.consumers[0];
        assert_eq!((book.delivered, book.lost), (10, 0), "{case}");
        assert_eq!(book.redelivered, processed - commit, "{case}");
    }
}

/// K-OFF-1: auto-commit is part of poll(), and commits what earlier polls returned. A record is polled
/// at 11, 111, ..; the interval of a second is over with the poll at 1,011, which commits ten, and
/// again with that at 2,011. Without it, each poll is committed when it is processed, 1 ms later.
#[test]
fn auto_commit_comes_with_the_first_poll_after_its_interval() {
    for (auto_commit, expected) in [
        (Some(ms(1_000)), [(500, 0), (1_010, 0), (1_011, 10), (2_010, 10), (2_011, 20)]),
        (None, [(11, 0), (12, 1), (111, 1), (112, 2), (2_012, 21)]),
    ] {
        let mut setup = single(1);
        setup.group("billing", 1).auto_commit = auto_commit;
        let mut bench = Bench::new(&setup);
        let mut expected = expected.into_iter().peekable();
        for tick in 0..2_100 {
            bench.run_to(tick);
            if tick % 100 == 0 {
                bench.offer(0, 0, 1);
            }
            if let Some((_, commit)) = expected.next_if(|(instant, _)| *instant == tick) {
                assert_eq!(committed(&bench, 0), commit, "{auto_commit:?} at {tick}");
            }
        }
        assert_eq!(expected.next(), None);
    }
}

/// Twenty records processed by one member, none of them committed by the interval (an hour), when a
/// second one joins and takes a partition: K-OFF-1, it was committed as it was revoked, so nothing is
/// processed again. So for the classic eager protocol and for KIP-848.
#[test]
fn what_is_revoked_in_an_orderly_way_is_committed() {
    for protocol in [
        GroupProtocol::Classic { assignors: vec![Assignor::Range] },
        GroupProtocol::Consumer { assignor: ServerAssignor::Uniform },
    ] {
        let mut setup = single(2);
        let group = setup.group("billing", 1);
        group.auto_commit = Some(ms(3_600_000));
        group.protocol = protocol.clone();
        let mut bench = Bench::new(&setup);
        bench.offer(0, 0, 10);
        bench.offer(0, 1, 10);
        bench.run_to(1_000);
        assert_eq!([committed(&bench, 0), committed(&bench, 1)], [0, 0]);
        bench.act(|cluster, at| cluster.add_members(0, 1, at));
        bench.run_to(60_000);
        assert_ne!(owner(&bench, 0), owner(&bench, 1), "{protocol:?}");
        let book = bench.ledger.consumers[0];
        assert_eq!((book.delivered, book.redelivered), (20, 0), "{protocol:?}");
    }
}

/// The member has four of ten records in hand, of a second each, when a second one joins: it revokes
/// its partitions when it polls next, with six fetched and not processed. They are not committed:
/// each is processed once, by whoever has the partition then.
#[test]
fn what_is_fetched_and_not_processed_is_not_committed_at_a_revocation() {
    let mut setup = single(2);
    setup.producer(0).linger = ms(5);
    let group = setup.group("billing", 1);
    group.max_poll_records = 4;
    group.service = service(1_000);
    let mut bench = Bench::new(&setup);
    for partition in [0, 1] {
        offer_singly(&mut bench, partition, 10);
    }
    bench.run_to(20);
    bench.act(|cluster, at| cluster.add_members(0, 1, at));
    bench.run_to(4_020);
    assert_eq!(bench.ledger.consumers[0].delivered, 4);
    bench.run_to(80_000);
    assert_ne!(owner(&bench, 0), owner(&bench, 1));
    let book = bench.ledger.consumers[0];
    assert_eq!((book.delivered, book.redelivered, book.lost), (20, 0, 0));
}

/// A member that closes with a poll of ten records in hand, none or three of them processed, commits
/// just those; the other one gets the rest.
#[test]
fn a_close_in_the_middle_of_a_poll_commits_what_is_processed() {
    for (closes, processed) in [(100, 0), (366, 3)] {
        let mut setup = single(1);
        setup.producer(0).linger = ms(5);
        setup.group("billing", 2).service = service(100);
        let mut bench = Bench::new(&setup);
        offer_singly(&mut bench, 0, 10);
        bench.run_to(closes);
        let member = owner(&bench, 0);
        bench.act(|cluster, at| cluster.stop_member(0, member, at));
        assert_eq!(committed(&bench, 0), processed);
        assert_eq!(bench.ledger.consumers[0].delivered, processed);
        bench.run_to(80_000);
        let book = bench.ledger.consumers[0];
        assert_eq!((book.delivered, book.redelivered, book.lost), (10, 0, 0));
    }
}

/// K-OFF-1: close() commits, a crash does not: the ten records of one of two members, processed and
/// never committed by the interval, are processed again after the crash only.
#[test]
fn a_close_commits_and_a_crash_does_not() {
    for (crashes, redelivered) in [(false, 0), (true, 10)] {
        let mut setup = single(2);
        setup.group("billing", 2).auto_commit = Some(ms(3_600_000));
        let mut bench = Bench::new(&setup);
        bench.offer(0, 0, 10);
        bench.offer(0, 1, 10);
        bench.run_to(1_000);
        let member = owner(&bench, 1);
        bench.act(|cluster, at| {
            if crashes {
                cluster.kill_member(0, member, at);
            } else {
                cluster.stop_member(0, member, at);
            }
        });
        bench.run_to(80_000);
        let book = bench.ledger.consumers[0];
        assert_eq!((book.delivered, book.redelivered), (20, redelivered), "crash: {crashes}");
    }
}

/// K-GRP-4, K-GRP-7: a poll of ten seconds with max.poll.interval.ms of five: the member leaves five
/// seconds into it, its partition is lost and what it had processed (10 records, uncommitted) is done
/// again by the other, and so are the ten in hand, once by each. A poll of 4.9 s costs nothing.
#[test]
fn a_poll_beyond_max_poll_interval_loses_its_partitions_uncommitted() {
    for (each, expelled, redelivered) in [(1_000, true, 20), (490, false, 0)] {
        let mut setup = single(2);
        let group = setup.group("billing", 2);
        group.auto_commit = Some(ms(3_600_000));
        group.max_poll_interval = ms(5_000);
        group.service = service(10);
        let mut bench = Bench::new(&setup);
        bench.offer(0, 0, 10);
        bench.run_to(1_000);
        bench.act(|cluster, _| cluster.set_pace(0, None, each * 100_000));
        bench.offer(0, 0, 10);
        bench.run_to(1_020);
        bench.act(|cluster, _| cluster.set_pace(0, None, 1_000_000));
        bench.run_to(60_000);
        // The poll began at 1,011; LeaveGroup takes 5 ms.
        let left = if expelled { vec![at(1_011 + 5_000 + 5)] } else { Vec::new() };
        assert_eq!(bench.noted("member_expelled"), left);
        let book = bench.ledger.consumers[0];
        assert_eq!((book.delivered, book.redelivered, book.lost), (20, redelivered, 0));
    }
}

/// K-GRP-10: while the group's partition of the offsets topic has fewer replicas in sync than it needs,
/// no commit succeeds, not even that of close().
#[test]
fn commits_fail_while_the_offsets_topic_is_under_min_isr() {
    for (min_isr, redelivered) in [(1, 0), (2, 10)] {
        let mut setup = orders(2);
        setup.cluster.settings.offsets_topic_min_insync_replicas = min_isr;
        setup.group("billing", 2);
        let mut bench = Bench::new(&setup);
        bench.begin(&kill(&[1]));
        bench.run_to(20_000);
        bench.offer(0, 0, 10);
        bench.run_to(21_000);
        let member = owner(&bench, 0);
        bench.act(|cluster, at| cluster.stop_member(0, member, at));
        bench.run_to(80_000);
        let book = bench.ledger.consumers[0];
        assert_eq!((book.delivered, book.redelivered), (10, redelivered), "{min_isr}");
    }
}

/// Two groups on one topic: each gets everything, and what one has committed, missed or read twice is
/// nothing to the other.
#[test]
fn two_groups_read_commit_and_crash_apart() {
    let mut setup = single(1);
    setup.group("billing", 2);
    setup.group("audit", 2);
    let mut bench = Bench::new(&setup);
    bench.offer(0, 0, 10);
    bench.run_to(15);
    // Both have the records, and neither has processed all ten.
    let member = owner(&bench, 0);
    bench.act(|cluster, at| cluster.kill_member(0, member, at));
    bench.run_to(1_000);
    let [first, second] = [0, 1].map(|it| bench.ledger.consumers[it]);
    assert_eq!((first.delivered, second.delivered), (0, 10));
    bench.offer(0, 0, 10);
    bench.run_to(80_000);
    for book in &bench.ledger.consumers {
        assert_eq!((book.delivered, book.redelivered, book.stored), (20, 0, 20));
    }
}

/// Two producers and two consumers at once: every record of both is delivered once to each group, in
/// the order of its producer.
#[test]
fn two_producers_reach_two_groups_in_order() {
    let mut setup = orders(2);
    setup.producers.push(setup.producers[0].clone());
    setup.producer(1).acks = Acks::Leader;
    setup.group("billing", 1);
    setup.group("audit", 1);
    let mut bench = Bench::new(&setup);
    for round in 0..20 {
        bench.run_to(round * 7);
        bench.offer(0, 0, 3);
        bench.offer(1, 0, 2);
    }
    bench.run_to(1_000);
    let [first, second] = [0, 1].map(|it| bench.ledger.producers[it]);
    assert_eq!((first.accepted, second.accepted), (60, 40));
    for book in &bench.ledger.consumers {
        assert_eq!((book.delivered, book.redelivered, book.reordered), (100, 0, 0));
    }
}

/// K-FET-1: with fetch.min.bytes of 501 the broker holds five records (500 bytes), visible at 5, back for
/// fetch.max.wait.ms, 500 ms; then 6 ms to the member and 1 ms for each record. With 500, or with one
/// record more at once, there is nothing to wait for.
#[test]
fn a_fetch_waits_for_its_least_bytes_and_no_longer_than_max_wait() {
    for (least, records, held) in [(501, 5, 500), (500, 5, 0), (501, 6, 0), (1, 1, 0)] {
        let mut setup = single(1);
        setup.group("billing", 1).fetch_min_bytes = least;
        let mut bench = Bench::new(&setup);
        bench.offer(0, 0, records);
        let processed = bench.when("delivered", |it| it.ledger.consumers[0].delivered > 0);
        assert_eq!(processed, at(5 + held + 6 + u64::from(records)), "{records} of {least} bytes");
    }
}

/// K-FET-1: max.partition.fetch.bytes cuts what one answer brings of a partition: of ten entries of 100
/// bytes three, so that four answers are needed.
#[test]
fn an_answer_brings_no_more_of_a_partition_than_allowed() {
    for (most, polls) in [(1 << 20, 1), (300, 4), (1, 10)] {
        let mut setup = single(1);
        setup.producer(0).linger = ms(5);
        setup.group("billing", 1).max_partition_fetch_bytes = most;
        let mut bench = Bench::new(&setup);
        offer_singly(&mut bench, 0, 10);
        let mut seen = vec![0];
        bench.when("delivered", |it| it.ledger.consumers[0].delivered > 0);
        while *seen.last().unwrap() < 10 {
            let last = *seen.last().unwrap();
            bench.when("delivered", |it| it.ledger.consumers[0].delivered > last);
            seen.push(bench.ledger.consumers[0].delivered);
        }
        assert_eq!(seen.len() - 1, polls, "{most}: {seen:?}");
    }
}

/// A member's own view of time: nothing is delivered before the end of its processing.
#[test]
fn a_record_is_delivered_when_its_processing_ends() {
    let mut setup = single(1);
    setup.group("billing", 1).service = service(40);
    let mut bench = Bench::new(&setup);
    bench.offer(0, 0, 3);
    bench.run_before(11 + 3 * 40);
    assert_eq!(bench.ledger.consumers[0].delivered, 0);
    let delivered: SimTime = bench.when("delivered", |it| it.ledger.consumers[0].delivered == 3);
    assert_eq!(delivered.since(at(11)), SimDuration::from_millis(120));
}
