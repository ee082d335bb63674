//! The producer library on a bench without a world: buffers, limiter, collector, retries.

use super::*;
use crate::kinesis::client::Client;
use crate::kinesis::client::bench::{ClientBench, default_kpl};

fn bench(change: impl FnOnce(&mut KplConfig)) -> ClientBench {
    let mut config = default_kpl();
    change(&mut config);
    ClientBench::new(Client::Kpl(Box::new(Kpl::new(&config, 1))), 1)
}

/// Every record is an aggregate of its own, so that the limiter counts it.
fn one_record_aggregates(config: &mut KplConfig) {
    config.aggregation_max_count = 1;
    config.max_connections = 10_000;
}

/// 100 ms in the aggregator, and 20 in the collector: min(50, 0.2 * 100) (N-KPL-3).
#[test]
fn a_lone_record_of_a_quiet_stream_leaves_after_120_ms() {
    for (buffered_ms, leaves_ms) in [(100, 120), (50, 60), (1_000, 1_050)] {
        let mut kpl = bench(|config| {
            config.record_max_buffered_time = SimDuration::from_millis(buffered_ms);
        });
        kpl.offer(0, 1, 100);
        kpl.run_until(leaves_ms - 1);
        assert_eq!(kpl.requests(), []);
        kpl.run_until(5_000);
        assert_eq!(kpl.requests(), [(leaves_ms, 1)]);
        // It is sent plain (N-KPL-7).
        assert_eq!(kpl.sent[0].items[0].wire_bytes, 100);
    }
}

/// The negative: without aggregation the collector has no time of its own (N-KPL-3).
#[test]
fn a_lone_record_without_aggregation_leaves_after_100_ms() {
    let mut kpl = bench(|config| config.aggregation_enabled = false);
    kpl.offer(0, 1, 100);
    kpl.run_until(1_000);
    assert_eq!(kpl.requests(), [(100, 1)]);
}

/// What comes within the deadline of the first one leaves with it, as one Kinesis record (N-KPL-7);
/// what belongs to another shard is another one.
#[test]
fn records_of_one_shard_leave_as_one_aggregate() {
    let mut kpl = bench(|_| {});
    kpl.offer(0, 3, 100);
    kpl.run_until(99);
    kpl.offer(0, 2, 100);
    kpl.offer(1, 4, 100);
    kpl.run_until(1_000);
    // Shard 0 is due at 100 and leaves at 120; shard 1 is due at 199.
    assert_eq!(kpl.requests(), [(120, 1), (219, 1)]);
    let items = kpl.sent.iter().map(|request| &request.items[0]);
    assert_eq!(items.map(|item| item.users).collect::<Vec<_>>(), [5, 4]);
    // 5 records of 100 bytes and their framing: 8 each, and 20 around them.
    assert_eq!(kpl.sent[0].items[0].wire_bytes, 5 * 108 + 20);
}

/// AggregationMaxSize 51,200: with framing, 50 records of 1,000 bytes fit (50 * 1,008 + 20 =
/// 50,420) and 51 do not. In the collector the older deadline stays: max(100, 0 + 20).
#[test]
fn a_full_buffer_becomes_an_aggregate_at_once() {
    for (offered, aggregates, leaves_ms) in [(50, vec![50], 120), (51, vec![50, 1], 100)] {
        let mut kpl = bench(|_| {});
        kpl.offer(0, offered, 1_000);
        kpl.run_until(1_000);
        assert_eq!(kpl.sent.len(), 1);
        assert_eq!(kpl.sent[0].sent_at.0 / 1_000_000, leaves_ms);
        let users = kpl.sent[0].items.iter().map(|item| item.users);
        assert_eq!(users.collect::<Vec<_>>(), aggregates);
    }
}

/// AggregationMaxCount ends an aggregate as well.
#[test]
fn an_aggregate_holds_no_more_than_its_greatest_count() {
    let mut kpl = bench(|config| config.aggregation_max_count = 7);
    kpl.offer(0, 20, 10);
    kpl.run_until(1_000);
    let users = kpl.sent[0].items.iter().map(|item| item.users);
    assert_eq!(users.collect::<Vec<_>>(), [7, 7, 6]);
}

/// CollectionMaxCount 500 sends at once; what is left waits for its deadline.
#[test]
fn five_hundred_records_are_sent_at_once() {
    let mut kpl = bench(|config| config.aggregation_enabled = false);
    kpl.offer(0, 1_200, 10);
    assert_eq!(kpl.requests(), [(0, 500), (0, 500)]);
    kpl.run_until(1_000);
    assert_eq!(kpl.requests(), [(0, 500), (0, 500), (100, 200)]);
    // The negative: one fewer waits.
    let mut kpl = bench(|config| config.aggregation_enabled = false);
    kpl.offer(0, 499, 10);
    assert_eq!(kpl.requests(), []);
}

/// 256 KiB for one shard send the batch: 262,144 bytes are 6 aggregates of 50 records of 1,000
/// bytes (50,420 each), so the 301st record brings the sixth.
#[test]
fn a_quarter_of_a_mib_for_one_shard_is_sent_at_once() {
    let mut kpl = bench(|_| {});
    kpl.offer(0, 300, 1_000);
    assert_eq!(kpl.requests(), []);
    kpl.offer(0, 1, 1_000);
    assert_eq!(kpl.requests(), [(0, 6)]);
}

/// The negative: the same bytes for two shards wait for their deadline.
#[test]
fn a_quarter_of_a_mib_for_two_shards_waits() {
    let mut kpl = bench(|_| {});
    for shard in [0, 1] {
        kpl.offer(shard, 151, 1_000);
    }
    assert_eq!(kpl.requests(), []);
    kpl.run_until(99);
    assert_eq!(kpl.requests(), []);
    kpl.run_until(1_000);
    assert_eq!(kpl.users(), 302);
}

/// The limiter begins full: 1,000 records pass at once (N-KPL-4). The other 500 pass at 1,500/s, so
/// within 333 ms; by 75 ms 112 of them have, and they leave at 100 ms with the collector.
#[test]
fn a_burst_of_1000_records_passes_and_then_1500_a_second() {
    let mut kpl = bench(one_record_aggregates);
    kpl.offer(0, 1_500, 10);
    kpl.run_until(99);
    assert_eq!(kpl.users(), 1_000);
    kpl.run_until(100);
    // A drain at 100 ms may come before the send or after it.
    assert!((1_112..=1_150).contains(&kpl.users()), "{}", kpl.users());
    kpl.run_until(330);
    assert!(kpl.users() < 1_500);
    // The drain at 350 ms, and 20 ms in the collector.
    kpl.run_until(370);
    assert_eq!(kpl.users(), 1_500);
}

/// After 7 s of rest it is full again.
#[test]
fn a_rested_limiter_lets_a_burst_pass_again() {
    let mut kpl = bench(one_record_aggregates);
    kpl.offer(0, 1_000, 10);
    kpl.run_until(100);
    kpl.offer(0, 1_000, 10);
    kpl.run_until(120);
    // 150 records refilled in 100 ms, and 25 ms more by the drain at 125.
    assert!(kpl.users() < 1_200, "{}", kpl.users());
    kpl.run_until(10_000);
    let before = kpl.users();
    kpl.offer(0, 1_000, 10);
    kpl.run_until(10_001);
    assert_eq!(kpl.users(), before + 1_000);
}

/// 10 MiB pass at once and then 1.5 MiB/s: of 200 records of 100,000 bytes 104 in the burst, and
/// all after (20,000,000 - 10,485,760) / 1,572,864 = 6.05 s.
#[test]
fn a_burst_of_10_mib_passes_and_then_one_and_a_half_a_second() {
    let mut kpl = bench(one_record_aggregates);
    kpl.offer(0, 200, 100_000);
    // Three records are 256 KiB: 34 times three are sent, two wait in the collector.
    assert_eq!(kpl.users(), 102);
    kpl.run_until(6_000);
    assert!(kpl.users() < 200);
    kpl.run_until(6_150);
    assert_eq!(kpl.users(), 200);
}

/// Shards do not share a limiter, and one whose records are not aggregated has none (N-KPL-4).
#[test]
fn the_limiter_holds_no_unaggregated_record_and_no_other_shard() {
    let mut kpl = bench(|config| config.aggregation_enabled = false);
    kpl.offer(0, 3_000, 10);
    assert_eq!(kpl.users(), 3_000);
    let mut kpl = bench(one_record_aggregates);
    kpl.offer(0, 1_000, 10);
    kpl.offer(1, 1_000, 10);
    assert_eq!(kpl.users(), 2_000);
}

/// The queue is drained every 25 ms and not between: at 1,500/s, 37 records by 25 ms, with which
/// the collector has 500 (463 came before them).
#[test]
fn the_limiter_is_drained_every_25_ms() {
    let mut kpl = bench(one_record_aggregates);
    kpl.offer(1, 463, 10);
    kpl.offer(0, 1_100, 10);
    // 1,463 of 1,563 have passed: two requests of 500, and 463 wait in the collector.
    assert_eq!(kpl.requests(), [(0, 500), (0, 500)]);
    kpl.run_until(24);
    assert_eq!(kpl.sent.len(), 2);
    kpl.run_until(25);
    assert_eq!(kpl.requests()[2..], [(25, 500)]);
}

/// A failed record is back after 50 ms in the aggregator and 20 in the collector, without any
/// back-off (N-KPL-5): refused 10 ms after each send, it is sent every 80 ms from 120 ms on.
#[test]
fn a_failed_record_comes_back_every_70_ms_until_it_expires() {
    let mut kpl = bench(|_| {});
    kpl.offer(0, 1, 100);
    let mut sent_at = Vec::new();
    for ms in (10..40_000).step_by(10) {
        kpl.run_until(ms);
        if let [(sent, _)] = kpl.requests()[..]
            && sent + 10 == ms
        {
            sent_at.push(sent);
            kpl.refuse();
        }
    }
    // Refused at 29,970 it is back in its buffer, but at the limiter, at 30,020, it has expired.
    let expected: Vec<u64> = (120..=29_960).step_by(80).collect();
    assert_eq!(sent_at, expected);
    assert_eq!(kpl.refused(), 1);
}

/// RecordTtl (N-KPL-5): a record that is refused when it is a second old, at a TTL of a second, fails;
/// a millisecond before it comes back.
#[test]
fn a_record_that_is_refused_at_its_ttl_fails_at_once() {
    for (refused_ms, refused) in [(999, 0), (1_000, 1)] {
        let mut kpl = bench(|config| config.record_ttl = SimDuration::from_secs(1));
        kpl.offer(0, 1, 100);
        kpl.run_until(refused_ms);
        kpl.refuse();
        assert_eq!(kpl.refused(), refused, "at {refused_ms}");
    }
}

/// RateLimit (N-KPL-4): of 5,000 one-record aggregates 1,000 pass at once and then that many per cent
/// of 1,000 a second; by 1 s 1,500, 2,000, 2,500 and 4,000 have.
#[test]
fn the_rate_limit_is_a_share_of_what_a_shard_takes() {
    for (percent, passed) in [(50, 1_500), (100, 2_000), (150, 2_500), (300, 4_000_u32)] {
        let mut kpl = bench(|config| {
            one_record_aggregates(config);
            config.rate_limit = percent;
        });
        kpl.offer(0, 5_000, 10);
        // 20 ms in the collector, and no later drain.
        kpl.run_until(1_020);
        let users = kpl.users();
        // A drain of 25 ms may not have left the collector yet.
        let drain = percent * 10 / 40 + 1;
        assert!(users <= passed && passed <= users + drain, "{users} at {percent} %");
    }
}

/// The same for bytes: 100 records of 200,000 bytes, 52 of them in the burst of 10 MiB. By 2 s
/// another 2 MiB at 100 % have passed, 10 records, and 6 MiB at 300 %, 31 records.
#[test]
fn the_rate_limit_is_a_share_of_the_bytes_that_a_shard_takes() {
    for (percent, passed) in [(100, 62), (300, 83)] {
        let mut kpl = bench(|config| {
            one_record_aggregates(config);
            config.rate_limit = percent;
        });
        kpl.offer(0, 100, 200_000);
        kpl.run_until(2_020);
        let users = kpl.users();
        // Of the last drain or two one record may still be in the collector.
        assert!(users <= passed && passed <= users + 1, "{users} at {percent} %");
    }
}

/// The negative: what is stored does not come back.
#[test]
fn a_stored_record_is_sent_once() {
    let mut kpl = bench(|_| {});
    kpl.offer(0, 1, 100);
    kpl.run_until(130);
    kpl.store();
    kpl.run_until(60_000);
    assert_eq!((kpl.sent.len(), kpl.refused()), (0, 0));
}

/// FailIfThrottled gives the first refusal to the caller.
#[test]
fn fail_if_throttled_refuses_at_once() {
    let mut kpl = bench(|config| config.fail_if_throttled = true);
    kpl.offer(0, 5, 100);
    kpl.run_until(130);
    kpl.refuse();
    assert_eq!(kpl.refused(), 5);
}

/// Records that expire before the limiter lets them pass fail there (N-KPL-4): of 4,000 one-record
/// aggregates at a TTL of 1 s, 1,000 pass at once and 1,500 in the second.
#[test]
fn records_expire_in_the_queue_of_the_limiter() {
    let mut kpl = bench(|config| {
        one_record_aggregates(config);
        config.record_ttl = SimDuration::from_secs(1);
    });
    kpl.offer(0, 4_000, 10);
    kpl.run_until(5_000);
    let refused = kpl.refused();
    // One drain of 25 ms is 37.5 records.
    assert!(refused.abs_diff(1_500) <= 38, "{refused} refused");
    assert_eq!(u64::from(kpl.users()) + refused, 4_000);
}

/// Sends records of shard 1, a child of shard 0 that the map does not show yet, and answers that
/// they landed on shard 1 with two of them strayed there from shard 2.
fn sent_to_the_wrong_shard() -> ClientBench {
    let mut kpl = bench(|_| {});
    kpl.client.resharded(&[0], &[1, 2]);
    kpl.offer(1, 3, 100);
    kpl.offer(2, 2, 100);
    kpl.run_until(120);
    // For the KPL they are all for shard 0, and so one aggregate.
    assert_eq!(kpl.requests(), [(120, 1)]);
    assert_eq!(kpl.sent[0].items[0].shard, ShardIndex(0));
    let mut items = kpl.sent.remove(0).items;
    items[0].landed = ShardIndex(1);
    items[0].batches.retain(|batch| batch.partition == 2);
    kpl.answer(items);
    kpl
}

/// Records that another shard than the predicted one should have are sent again (N-KPL-6). While
/// the map is invalid they go unaggregated, each as a Kinesis record of its own.
#[test]
fn a_record_in_the_wrong_shard_is_sent_again_unaggregated() {
    let mut kpl = sent_to_the_wrong_shard();
    kpl.run_until(1_000);
    // 50 ms after the answer at 120; the collector's 20 ms end before that.
    assert_eq!(kpl.requests(), [(170, 2)]);
    let item = &kpl.sent[0].items[0];
    assert_eq!((item.shard, item.aggregated), (ShardIndex(2), false));
}

/// While the map is invalid the limiter is not asked (N-KPL-6): 3,000 records pass at once.
#[test]
fn an_invalid_map_leaves_the_limiter_out() {
    let mut kpl = sent_to_the_wrong_shard();
    kpl.offer(1, 3_000, 10);
    assert_eq!(kpl.users(), 3_000);
}

/// After the refresh (100 ms, an assumption) records are aggregated for the shards that there are.
#[test]
fn a_new_map_predicts_the_new_shards() {
    let mut kpl = sent_to_the_wrong_shard();
    kpl.run_until(1_000);
    kpl.sent.clear();
    kpl.offer(1, 3, 100);
    kpl.offer(2, 2, 100);
    kpl.run_until(2_000);
    assert_eq!(kpl.requests(), [(1_120, 2)]);
    assert!(kpl.sent[0].items.iter().all(|item| item.aggregated));
}

/// What was still on its way to the closed shard lands elsewhere as well, but the map no longer shows
/// that shard: it is not read a second time, and nothing goes past the limiter again.
#[test]
fn old_news_of_a_closed_shard_does_not_invalidate_the_new_map() {
    let mut kpl = sent_to_the_wrong_shard();
    kpl.offer(1, 3, 100);
    kpl.run_until(1_000);
    let mut items = kpl.sent.remove(0).items;
    items.truncate(1);
    items[0].shard = ShardIndex(0);
    items[0].landed = ShardIndex(1);
    items[0].batches.clear();
    kpl.sent.clear();
    kpl.answer(items);
    kpl.offer(1, 3, 100);
    kpl.run_until(2_000);
    assert!(kpl.sent[0].items[0].aggregated);
}

/// The negative: as long as nothing lands on a wrong shard, the old map stays.
#[test]
fn a_map_is_not_read_again_without_a_wrong_shard() {
    let mut kpl = bench(|_| {});
    kpl.client.resharded(&[0], &[1, 2]);
    kpl.offer(1, 3, 100);
    kpl.run_until(130);
    kpl.store();
    kpl.run_until(10_000);
    kpl.offer(1, 3, 100);
    kpl.run_until(20_000);
    assert_eq!(kpl.sent[0].items[0].shard, ShardIndex(0));
}

/// MaxConnections 24: the 25th request waits until one is answered.
#[test]
fn the_twenty_fifth_request_waits_for_a_connection() {
    let mut kpl = bench(|config| config.aggregation_enabled = false);
    kpl.offer(0, 25 * 500, 10);
    assert_eq!(kpl.sent.len(), 24);
    kpl.store();
    assert_eq!(kpl.sent.len(), 24);
    kpl.store();
    assert_eq!(kpl.sent.len(), 23);
}
