//! Polls and pushes: cadence, room, iterators (N-KCL-11, N-R-2, N-R-3).

use super::*;

/// One record a call, an idle time of a second and a processor that takes `service_s` for each: four
/// calls by 4 s fill the queue, and the next one waits until the first record is processed. Six
/// records in all.
fn full_queue(service_s: u64, renews_iterators: bool) -> Bench {
    let mut config = config(1);
    config.retrieval = polling(ms(1_000));
    config.max_records = 1;
    config.renews_iterators = renews_iterators;
    config.service = ServiceTime::Fixed(SimDuration::from_secs(service_s));
    let mut bench = Bench::new(&config, &stream(1), 1);
    for _ in 0..6 {
        bench.append(0, 1);
    }
    bench.run_until(at_ms(10_000));
    bench
}

/// N-KCL-11: the queue holds four chunks, the one in hand included; no call is made meanwhile.
#[test]
fn no_call_is_made_while_four_chunks_wait() {
    let mut bench = full_queue(100, true);
    // The first call is at 0 and brings one record; calls follow at 1, 2 and 3 s.
    assert_eq!(bench.app.counts.bytes_read, 4 * 100);
    bench.run_until(before(at_ms(100_000)));
    assert_eq!(bench.app.counts.bytes_read, 4 * 100);
    bench.run_until(at_ms(100_000));
    assert_eq!(bench.app.counts.bytes_read, 5 * 100);
}

/// N-R-2: the iterator of the call at 3 s is good until 303. With 304 s for a record the next call
/// comes at 304: expired. The KCL gets another one and calls again an idle time later; nothing is
/// lost (V-23).
#[test]
fn an_iterator_that_outlives_five_minutes_is_renewed_after_the_idle_time() {
    let mut bench = full_queue(304, true);
    bench.run_until(at_ms(304_999));
    assert_eq!(bench.app.counts.iterators_expired, 1);
    assert_eq!(bench.app.counts.bytes_read, 4 * 100);
    bench.run_until(at_ms(305_000));
    assert_eq!(bench.app.counts.bytes_read, 5 * 100);
    bench.run_until(at_ms(6 * 304_000));
    assert_eq!((bench.delivered(), bench.unread()), (6, 0));
}

/// The negative: a naive reader stops for ever with what it has.
#[test]
fn a_reader_that_does_not_renew_its_iterator_stops_for_ever() {
    let mut bench = full_queue(304, false);
    bench.run_until(at_ms(10_000_000));
    assert_eq!((bench.delivered(), bench.unread()), (4, 2));
    assert_eq!(bench.app.counts.iterators_expired, 1);
}

/// The other negative: after exactly five minutes an iterator is still good.
#[test]
fn an_iterator_of_five_minutes_is_good() {
    // A call follows each record that is processed.
    for service_s in [100, 300] {
        let mut bench = full_queue(service_s, false);
        bench.run_until(at_ms(6 * 300_000));
        assert_eq!(bench.app.counts.iterators_expired, 0);
        assert_eq!(bench.delivered(), 6);
    }
}

/// A call brings at most `maxRecords` Kinesis records: 1,200 of them, in requests of 100, take three
/// calls of 500, 500 and 200 at 0, 1 and 2 s.
#[test]
fn a_call_brings_no_more_than_its_greatest_number_of_records() {
    let mut config = config(1);
    config.retrieval = polling(ms(1_000));
    config.max_records = 500;
    config.service = ServiceTime::Fixed(SimDuration::ZERO);
    let mut bench = Bench::new(&config, &stream(1), 1);
    for _ in 0..12 {
        bench.append(0, 100);
    }
    let by_second = [0, 1_000, 2_000].map(|instant| {
        bench.run_until(at_ms(instant));
        bench.delivered()
    });
    assert_eq!(by_second, [500, 1_000, 1_200]);
}

/// N-R-3: a response of more than 2 MiB blocks the shard for as long as it takes at 2 MiB/s. 3 MiB at
/// once block 1.5 s, so of the calls at 1 and 2 s the first is refused.
#[test]
fn a_large_response_makes_the_next_call_be_refused() {
    let mut config = config(1);
    config.retrieval = polling(ms(1_000));
    config.service = ServiceTime::Fixed(SimDuration::ZERO);
    let mut bench = Bench::new(&config, &stream(1), 1);
    for _ in 0..3 {
        let batch = bench.batch(KeyClass::REST, 1, 1 << 20);
        bench.put(0, SimTime::ZERO, &[batch]);
    }
    bench.run_until(SimTime::ZERO);
    assert_eq!(bench.delivered(), 3);
    bench.append(0, 1);
    bench.run_until(at_ms(1_999));
    assert_eq!((bench.app.counts.get_records_throttled, bench.delivered()), (1, 3));
    bench.run_until(at_ms(2_000));
    assert_eq!((bench.app.counts.get_records_throttled, bench.delivered()), (1, 4));
}

/// N-R-6: fan-out has 2 MiB/s of its own: pushes of 256 KiB come 125 ms apart.
#[test]
fn pushes_come_at_two_mib_per_second() {
    let mut config = config(1);
    config.service = ServiceTime::Fixed(SimDuration::ZERO);
    let mut bench = Bench::new(&config, &stream(1), 1);
    for _ in 0..4 {
        let batch = bench.batch(KeyClass::REST, 1, 256 << 10);
        bench.put(0, SimTime::ZERO, &[batch]);
    }
    let by_ms = [0, 124, 125, 249, 250, 374, 375].map(|instant| {
        bench.run_until(at_ms(instant));
        bench.delivered()
    });
    assert_eq!(by_ms, [1, 1, 2, 2, 3, 3, 4]);
}
