//! Retention: to the nanosecond when an unread record is lost (N-R-7).

use super::*;

/// Nobody reads from 5 s on; a record is stored at 10 s and two at 20 s, and kept for `retention`.
fn unread(retention: SimDuration) -> Bench {
    let mut stream = stream(1);
    stream.retention = retention;
    let mut bench = Bench::new(&config(1), &stream, 1);
    bench.run_until(at_ms(5_000));
    bench.kill(1);
    for (instant, records) in [(10_000, 1), (20_000, 2)] {
        bench.run_until(at_ms(instant));
        bench.append(0, records);
    }
    bench
}

#[test]
fn an_unread_record_is_lost_as_soon_as_it_is_as_old_as_retention() {
    for retention in [100, 86_400] {
        let mut bench = unread(SimDuration::from_secs(retention));
        let lost_at = [at_ms(10_000 + retention * 1_000), at_ms(20_000 + retention * 1_000)];
        for (instant, lost) in
            [(before(lost_at[0]), 0), (lost_at[0], 1), (before(lost_at[1]), 1), (lost_at[1], 3)]
        {
            bench.run_until(instant);
            let book = bench.ledger.consumers[0];
            assert_eq!((book.lost, book.expired, book.unread()), (lost, lost, 3 - lost));
            assert_eq!(book.delivered, 0);
        }
    }
}

/// The negative: what was processed in time is not lost, however old it grows.
#[test]
fn a_processed_record_does_not_expire() {
    let mut stream = stream(1);
    stream.retention = SimDuration::from_secs(100);
    let mut bench = Bench::new(&config(1), &stream, 1);
    bench.append(0, 3);
    bench.run_until(at_ms(500_000));
    let book = bench.ledger.consumers[0];
    assert_eq!((book.delivered, book.lost), (3, 0));
}

/// N-R-7: a reader that retention has overtaken goes on at the horizon, without an error. Of records
/// at 10 and 20 s, a worker that starts at 95 and takes over at 115 to 116 s finds the latter two.
#[test]
fn a_reader_that_retention_has_overtaken_goes_on_at_the_horizon() {
    let mut bench = unread(SimDuration::from_secs(100));
    bench.run_until(at_ms(95_000));
    bench.add_worker();
    bench.run_until(at_ms(110_000));
    bench.run_until(at_ms(119_000));
    let book = bench.ledger.consumers[0];
    assert_eq!((book.delivered, book.lost, book.unread()), (2, 1, 0));
    assert_eq!(book.redelivered, 0);
}

/// What is unread at the end of a run is not lost: it can still be read.
#[test]
fn what_is_unread_at_the_horizon_of_a_run_is_not_lost() {
    let mut bench = unread(SimDuration::from_secs(100));
    bench.run_until(at_ms(50_000));
    bench.act(|app, at| app.finish(at));
    let book = bench.ledger.consumers[0];
    assert_eq!((book.lost, book.unread(), book.delivered), (0, 3, 0));
}

/// What a worker has fetched it processes, although it passes retention meanwhile: a record of 200 s
/// in service from before 10.3 s on is kept for 100 s, and delivered; the one behind it in hand as
/// well. If the worker dies at 150 s, nobody can read them again.
#[test]
fn what_is_in_hand_outlives_retention_and_dies_with_its_worker() {
    for dies in [false, true] {
        let mut stream = stream(1);
        stream.retention = SimDuration::from_secs(100);
        let mut config = config(1);
        config.service = crate::config::ServiceTime::Fixed(SimDuration::from_secs(200));
        let mut bench = Bench::new(&config, &stream, 1);
        bench.run_until(at_ms(10_000));
        bench.append(0, 1);
        bench.append(0, 1);
        bench.run_until(at_ms(149_000));
        assert_eq!((bench.ledger.consumers[0].lost, bench.unread()), (0, 2));
        if dies {
            bench.run_until(at_ms(150_000));
            bench.kill(1);
        }
        bench.run_until(at_ms(450_000));
        let book = bench.ledger.consumers[0];
        let expected = if dies { (0, 2, 0) } else { (2, 0, 0) };
        assert_eq!((book.delivered, book.lost, book.unread()), expected);
    }
}
