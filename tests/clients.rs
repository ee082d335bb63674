//! Producers' clients in a whole world: what neither a client nor a shard shows alone.

use sim_core::config::*;

use crate::bench::*;

/// One shard, `rate` records per second for 10 s, then a minute of silence; the answers of all
/// requests that are judged from 2 s to 4 s are lost.
fn with_lost_answers(rate: u64, client: ClientConfig) -> sim_core::result::RunResult {
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
