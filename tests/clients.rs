//! Producers' clients in a whole world: what neither a client nor a shard shows alone.

use sim_core::config::*;
use sim_core::engine::SimDuration;
use sim_core::result::RunResult;

use crate::bench::*;

/// One shard, `rate` records per second for 10 s, then a minute of silence; the answers of all
/// requests that are judged from 2 s to 4 s are lost.
fn with_lost_answers(rate: u64, client: ClientConfig) -> RunResult {
    let mut config = world(secs(70), stream(1));
    let mut web = producer(rate);
    web.client = client;
    web.rate = RateProfile {
        knots: vec![(at(0), rate * 1_000_000), (at(10), rate * 1_000_000), (at(10), 0)],
    };
    config.producers.push(web);
    config.consumers.push(kcl(1));
    let lost = Happening::LoseAnswers { stream: 0, share_ppm: 1_000_000 };
    config.timeline.push(planned(at(2), Some(secs(2)), lost));
    run(&config)
}

/// A request whose answer is lost was stored; its caller sends it again as a whole, and so every
/// record of it is stored twice and delivered twice (N-W-10): 2 s of 100, 200 and 300 records.
#[test]
fn a_caller_sends_an_unanswered_request_again_as_a_whole() {
    for rate in [100, 200, 300] {
        let retry = RetryConfig { attempts: 3, base: millis(100), ceiling: secs(1) };
        let result = with_lost_answers(rate, ClientConfig::Sdk(sdk(Some(retry))));
        let value = |name: &str| count(&result.summary, name);
        assert_eq!(value("records_offered"), rate * 10);
        assert_eq!(value("records_accepted"), rate * 10);
        assert_eq!(value("records_delivered"), rate * 10);
        // T1: one request of 20 ms.
        let copies = value("records_redelivered");
        assert!(copies.abs_diff(rate * 2) <= rate / 50, "{copies} at {rate}/s");
    }
}

/// The negative: a caller that gives up leaves them stored, unconfirmed, and delivered once.
#[test]
fn a_caller_that_gives_up_an_unanswered_request_leaves_it_stored_once() {
    let result = with_lost_answers(100, ClientConfig::Sdk(sdk(None)));
    let value = |name: &str| count(&result.summary, name);
    assert!(value("records_unconfirmed").abs_diff(200) <= 2);
    assert_eq!(value("records_delivered"), 1_000);
    assert_eq!(value("records_redelivered") + value("records_refused"), 0);
}

/// One shard, and a burst of `records` of 2 bytes at 101 s, on the grid of a second: the shard takes
/// 1,000 of them at once and one more each millisecond (N-W-5). Read at once and in no time.
fn burst(records: u64, client: ClientConfig, change: impl FnOnce(&mut WorldConfig)) -> RunResult {
    let mut stream = stream(1);
    stream.push_latency = SimDuration::ZERO;
    let mut config = world(secs(200), stream);
    config.resolution = secs(1);
    let mut web = producer(0);
    let rate = records * 1_000_000;
    web.rate =
        RateProfile { knots: vec![(at(100), 0), (at(100), rate), (at(101), rate), (at(101), 0)] };
    web.record_size = SizeDistribution::Fixed(1);
    web.keys = one_key_per_shard(1);
    web.client = client;
    config.producers.push(web);
    config.consumers.push(kcl(1));
    change(&mut config);
    let result = run(&config);
    assert_eq!(count(&result.summary, "records_offered"), records);
    result
}

/// Of so many attempts so many were refused; of the former the summary says the ratio alone.
fn assert_attempts(result: &RunResult, attempts: u64, refused: u64) {
    assert_eq!(count(&result.summary, "records_throttled"), refused);
    let expected = refused as f64 / attempts as f64;
    let ratio = metric(&result.summary, "throttled_ratio");
    assert!((ratio - expected).abs() < 1e-12, "{ratio} of {expected}");
}

/// The delivery of the greatest age, in whole milliseconds by cause.
fn longest(result: &RunResult) -> Vec<String> {
    let parts = &result.blame["app"];
    parts.iter().map(|(cause, seconds)| format!("{cause} {:.0}", seconds * 1e3)).collect()
}

/// Three requests of 500 are judged 10 ms after 101 s: two are stored, the third is refused as a whole
/// and ignored. 1,500 attempts, 500 of them refused.
#[test]
fn a_refused_attempt_of_a_caller_counts_once() {
    let result = burst(1_500, ClientConfig::Sdk(sdk(None)), |_| {});
    assert_attempts(&result, 1_500, 500);
    assert_eq!(count(&result.summary, "records_refused"), 500);
    assert_eq!(count(&result.summary, "records_accepted"), 1_000);
    assert_eq!(count(&result.summary, "records_delivered"), 1_000);
}

/// Sent again at once, and judged every 10 ms: 10 of the 500 are stored each time, so the k-th try
/// is one of 500 - 10(k-1) records, and the 50th stores the last. 1,500 + 10 * (1 + .. + 50) = 14,250
/// attempts, all but 1,500 refused. The last record was first sent at 0 and last at 500 ms.
#[test]
fn a_retried_attempt_of_a_caller_counts_once_more_and_its_record_once() {
    let retry =
        RetryConfig { attempts: 1_000, base: SimDuration::ZERO, ceiling: SimDuration::ZERO };
    let result = burst(1_500, ClientConfig::Sdk(sdk(Some(retry))), |_| {});
    assert_attempts(&result, 14_250, 12_750);
    assert_eq!(count(&result.summary, "records_refused"), 0);
    assert_eq!(count(&result.summary, "records_accepted"), 1_500);
    assert_eq!(count(&result.summary, "records_delivered"), 1_500);
    assert_eq!(longest(&result), ["put 10", "throttled 500"]);
}

/// The KPL without aggregation sends 500 refused records again at once, for they fill a collection,
/// and after that every 60 ms: 50 of waiting and 10 of the put (N-KPL-5). Refused at 10 ms: 500; at
/// 20: 490; then 60 are stored each time: 430, 370, .. 10, and none at 560. In all 500 + 2,250
/// refusals.
#[test]
fn a_retried_attempt_of_the_kpl_counts_once_more_and_its_record_once() {
    let mut client = kpl();
    client.aggregation_enabled = false;
    let result = burst(1_500, ClientConfig::Kpl(client), |_| {});
    assert_attempts(&result, 1_500 + 2_750, 2_750);
    assert_eq!(count(&result.summary, "records_refused"), 0);
    assert_eq!(count(&result.summary, "records_accepted"), 1_500);
    assert_eq!(count(&result.summary, "records_delivered"), 1_500);
    assert_eq!(longest(&result), ["put 10", "throttled 550"]);
}

/// A call that throws as a whole (N-FIS-1) is one refused attempt of each of its records.
#[test]
fn a_call_that_throws_refuses_each_of_its_records_once() {
    let result = burst(700, ClientConfig::Sdk(sdk(None)), |config| {
        let throttle = Happening::ThrottleApi { stream: 0, share_ppm: 1_000_000 };
        config.timeline.push(planned(at(50), None, throttle));
    });
    assert_attempts(&result, 700, 700);
    assert_eq!(count(&result.summary, "records_refused"), 700);
}

/// With one request at a time the second of two waits for the answer to the first: 10 ms of backlog.
/// A lone record of the SDK lingers for 20 ms, one of the KPL for 100 + 20 (N-KPL-3).
#[test]
fn records_wait_in_the_client_for_their_batch_or_for_their_turn() {
    let mut client = sdk(None);
    client.max_in_flight = 1;
    let result = burst(1_000, ClientConfig::Sdk(client.clone()), |_| {});
    assert_eq!(longest(&result), ["client_backlog 10", "put 10"]);
    let result = burst(1, ClientConfig::Sdk(client), |_| {});
    assert_eq!(longest(&result), ["client_batching 20", "put 10"]);
    let result = burst(1, ClientConfig::Kpl(kpl()), |_| {});
    assert_eq!(longest(&result), ["client_batching 120", "put 10"]);
}

/// A shard is split, and the KPL does not know: ten records of two keys, one for each child, leave as
/// one aggregate and land in the child of the first one (N-KPL-6, N-KPL-7). The five of the other key
/// are not stored there; they come back after 50 ms and are stored 60 ms later than the others:
/// batching 120, put 10 and 60 in between are 190. Each is stored, accepted and delivered once.
#[test]
fn a_record_in_the_wrong_child_of_a_split_is_not_stored_before_it_is_sent_again() {
    let ages = [true, false].map(|is_split| {
        let result = burst(10, ClientConfig::Kpl(kpl()), |config| {
            config.producers[0].keys = one_key_per_shard(2);
            if is_split {
                let split = Happening::SplitShard { stream: 0, shard: 0 };
                config.timeline.push(planned(at(1), None, split));
            }
        });
        assert_eq!(count(&result.summary, "shards_max"), if is_split { 2 } else { 1 });
        assert_eq!(count(&result.summary, "records_accepted"), 10);
        assert_eq!(count(&result.summary, "records_delivered"), 10);
        assert_eq!(count(&result.summary, "records_redelivered"), 0);
        assert_eq!(count(&result.summary, "records_throttled"), 0);
        format!("{:.0}", result.blame["app"].values().sum::<f64>() * 1e3)
    });
    assert_eq!(ages, ["190", "130"]);
}
