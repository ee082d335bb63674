//! A caller of PutRecords on a bench without a world.

use super::*;
use crate::config::RetryConfig;
use crate::kinesis::client::Client;
use crate::kinesis::client::bench::ClientBench;

fn bench(retry_failed: Option<RetryConfig>, seed: u64) -> ClientBench {
    let config = SdkConfig {
        batch_records: 500,
        linger: SimDuration::from_millis(20),
        max_in_flight: 3,
        request_timeout: SimDuration::from_secs(6),
        retry_failed,
    };
    ClientBench::new(Client::Sdk(Box::new(Sdk::new(&config, 1))), seed)
}

/// 100 ms doubled each time, at most a second, three times.
fn three_times() -> Option<RetryConfig> {
    Some(RetryConfig {
        attempts: 3,
        base: SimDuration::from_millis(100),
        ceiling: SimDuration::from_millis(300),
    })
}

/// PutRecords takes 500 records (N-W-6): what is more leaves with the next request.
#[test]
fn a_request_holds_500_records() {
    let mut sdk = bench(None, 1);
    sdk.offer(0, 1_200, 10);
    assert_eq!(sdk.requests(), [(0, 500), (0, 500)]);
    sdk.run_until(1_000);
    assert_eq!(sdk.requests(), [(0, 500), (0, 500), (20, 200)]);
}

/// A request lingers for its first record, not for its last.
#[test]
fn a_request_leaves_when_its_first_record_is_20_ms_old() {
    let mut sdk = bench(None, 1);
    sdk.run_until(5);
    sdk.offer(0, 1, 10);
    sdk.run_until(24);
    sdk.offer(0, 2, 10);
    assert_eq!(sdk.requests(), []);
    sdk.run_until(100);
    assert_eq!(sdk.requests(), [(25, 3)]);
    // The negative: nothing leaves when nothing waits.
    sdk.run_until(1_000);
    assert_eq!(sdk.sent.len(), 1);
}

/// With every request refused at once: the waits before re-sends 1, 2 and 3 are between nothing and
/// 100, 200 and 300 ms (400 is beyond the ceiling), and fill these ranges evenly (D-26).
#[test]
fn waits_are_full_jitter_below_a_doubling_ceiling() {
    const SEEDS: u64 = 400;
    let mut waits: [Vec<f64>; 3] = Default::default();
    for seed in 0..SEEDS {
        let mut sdk = bench(three_times(), seed);
        sdk.offer(0, 500, 10);
        for waits in &mut waits {
            let refused_at = sdk.now;
            sdk.refuse();
            let mut ms = refused_at.0 / 1_000_000;
            while sdk.sent.is_empty() {
                ms += 1;
                sdk.run_until(ms);
            }
            waits.push(sdk.sent[0].sent_at.since(refused_at).as_secs_f64() * 1e3);
        }
    }
    for (waits, ceiling) in waits.iter().zip([100.0, 200.0, 300.0]) {
        assert!(waits.iter().all(|wait| *wait <= ceiling));
        // Mean c/2 with a standard error of c / sqrt(12 * 400): 4 of them are 5.8 % of c.
        let mean = waits.iter().sum::<f64>() / SEEDS as f64;
        assert!((mean / ceiling - 0.5).abs() < 0.058, "{mean} of {ceiling}");
        let below = waits.iter().filter(|wait| **wait < ceiling / 10.0).count();
        // A tenth of 400 with a deviation of 6.
        assert!(below.abs_diff(40) <= 24, "{below} below a tenth of {ceiling}");
    }
}

/// Three re-sends, then the caller gives up.
#[test]
fn a_caller_sends_as_often_as_it_is_told_and_then_gives_up() {
    let mut sdk = bench(three_times(), 1);
    sdk.offer(0, 500, 10);
    for second in 1..=3 {
        sdk.refuse();
        assert_eq!(sdk.refused(), 0);
        sdk.run_until(second * 1_000);
        assert_eq!(sdk.users(), 500);
    }
    sdk.refuse();
    assert_eq!(sdk.refused(), 500);
    sdk.run_until(60_000);
    assert!(sdk.sent.is_empty());
}

/// V-14 at its root: a caller that ignores failed entries sends nothing again.
#[test]
fn without_a_retry_failed_entries_are_refused_at_once() {
    let mut sdk = bench(None, 1);
    sdk.offer(0, 500, 10);
    let mut items = sdk.sent.remove(0).items;
    let stored = items[0].batches[0].split_front(400);
    assert_eq!(stored.count, 400);
    sdk.answer(items);
    assert_eq!(sdk.refused(), 100);
    sdk.run_until(60_000);
    assert!(sdk.sent.is_empty());
}

/// The negative: what is stored is neither sent again nor refused.
#[test]
fn a_stored_request_is_done() {
    let mut sdk = bench(three_times(), 1);
    sdk.offer(0, 500, 10);
    sdk.store();
    sdk.run_until(60_000);
    assert_eq!((sdk.sent.len(), sdk.refused()), (0, 0));
}

/// Three requests may be under way; a fourth waits for an answer, and that wait is backlog.
#[test]
fn a_request_waits_while_as_many_as_allowed_are_under_way() {
    let mut sdk = bench(None, 1);
    sdk.offer(0, 2_000, 10);
    assert_eq!(sdk.sent.len(), 3);
    sdk.run_until(50);
    sdk.store();
    assert_eq!(sdk.requests()[2], (50, 500));
    let last = &sdk.sent[2].items[0].batches[0];
    assert_eq!(last.backlog_ns, 50_000_000);
}

/// Attempts are counted beyond what a byte holds: 300 re-sends, then the records are given up.
#[test]
fn three_hundred_attempts_are_three_hundred() {
    let retry = RetryConfig {
        attempts: 300,
        base: SimDuration::from_millis(1),
        ceiling: SimDuration::from_millis(1),
    };
    let mut sdk = bench(Some(retry), 1);
    sdk.offer(0, 500, 10);
    let mut sent = 0;
    for ms in 0..1_000 {
        sdk.run_until(ms);
        if !sdk.sent.is_empty() {
            sent += 1;
            sdk.refuse();
        }
    }
    // The first attempt and 300 more.
    assert_eq!(sent, 301);
    assert_eq!(sdk.refused(), 500);
}

/// What a record waits for from its first attempt on is throttling: the next one does not begin anew.
#[test]
fn a_record_that_is_sent_again_keeps_the_instant_of_its_first_attempt() {
    let mut sdk = bench(three_times(), 1);
    sdk.run_until(40);
    sdk.offer(0, 500, 10);
    sdk.run_until(50);
    sdk.refuse();
    sdk.run_until(1_000);
    let batch = &sdk.sent[0].items[0].batches[0];
    assert_eq!((batch.first_sent_at, batch.offered_at), (SimTime(40_000_000), SimTime(40_000_000)));
    assert!(sdk.sent[0].sent_at > SimTime(50_000_000));
}
