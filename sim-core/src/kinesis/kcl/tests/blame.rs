//! Each cause that a record of a stream can wait for, in a situation small enough for a pencil
//! (decision D-19). In every one the parts differ, so that no two causes can change places.

use super::*;

fn bench(change: impl FnOnce(&mut KclConfig, &mut StreamConfig)) -> Bench {
    let (mut config, mut stream) = (config(1), stream(1));
    change(&mut config, &mut stream);
    Bench::new(&config, &stream, 1)
}

/// ms: offered 0, its batch due at 100, behind others until 130, refused, sent again at 190, stored
/// at 200, pushed at 260 and processed for 50. Client: 100 to fill the batch, 30 behind others, 60
/// refused, 10 for the attempt that succeeded; then 60 until the push, and 50 of service: 310. A
/// stream has no replication that a reader waits for.
#[test]
fn a_record_waits_for_its_batch_then_others_then_throttling_then_its_put_then_the_push() {
    let mut bench = bench(|config, stream| {
        config.service = ServiceTime::Fixed(ms(50));
        stream.push_latency = ms(60);
    });
    bench.now = at_ms(200);
    let mut batch = bench.batch(KeyClass::REST, 1, 100);
    batch.offered_at = SimTime::ZERO;
    batch.first_sent_at = at_ms(130);
    batch.backlog_ns = ms(30).0;
    bench.put(0, at_ms(190), &[batch]);
    bench.run_until(before(at_ms(310)));
    assert_eq!(bench.delivered(), 0);
    bench.run_until(at_ms(310));
    assert_eq!(
        bench.longest(),
        [
            ("client_batching", 100),
            ("client_backlog", 30),
            ("throttled", 60),
            ("put", 10),
            ("poll_gap", 60),
            ("service", 50),
        ]
    );
    assert_eq!(sum(&bench.longest()), 310);
    assert_eq!(bench.total(), bench.longest());
}

/// The negative: stored by its first attempt, at once, a record has waited for its put alone.
#[test]
fn a_record_that_is_sent_at_once_and_stored_waits_for_its_put_alone() {
    let mut bench = bench(|config, _| config.service = ServiceTime::Fixed(ms(50)));
    bench.now = at_ms(10);
    let mut batch = bench.batch(KeyClass::REST, 1, 100);
    (batch.offered_at, batch.first_sent_at) = (SimTime::ZERO, SimTime::ZERO);
    bench.put(0, SimTime::ZERO, &[batch]);
    bench.run_until(at_ms(1_000));
    assert_eq!(bench.longest(), [("put", 10), ("service", 50)]);
}

/// ms: the first poll, at 0, finds nothing; with an idle time of 1,000 and 20 for a call the next one
/// leaves at 1,020. A record stored at 500 is found by it and arrives at 1,040: 540 of poll gap.
#[test]
fn a_stored_record_waits_for_the_next_poll_and_its_answer() {
    let mut bench = bench(|config, stream| {
        config.retrieval = polling(ms(1_000));
        config.service = ServiceTime::Fixed(ms(70));
        stream.get_latency = ms(20);
    });
    bench.run_until(at_ms(500));
    bench.append(0, 1);
    bench.run_until(at_ms(5_000));
    assert_eq!(bench.longest(), [("poll_gap", 540), ("service", 70)]);
}

/// s: stored at 10 on a cadence of 1.02, 2.02 .. 10.02. That call is refused, as is the one at
/// 11.02; the one at 12.02 is not and arrives at 12.04. 0.02 s until the first refusal, and 2.02 s
/// from it until a call has brought the record.
#[test]
fn a_record_whose_polls_are_refused_waits_for_read_throughput() {
    let mut bench = bench(|config, stream| {
        config.retrieval = polling(ms(1_000));
        config.service = ServiceTime::Fixed(ms(70));
        stream.get_latency = ms(20);
    });
    bench.run_until(at_ms(10_000));
    bench.faults.throttle_ppm = 1_000_000;
    bench.append(0, 1);
    bench.run_until(at_ms(11_500));
    bench.faults.throttle_ppm = 0;
    bench.run_until(at_ms(20_000));
    assert_eq!(bench.app.counts.get_records_throttled, 2);
    assert_eq!(bench.longest(), [("fetch_throttled", 2_020), ("poll_gap", 20), ("service", 70)]);
    assert_eq!(sum(&bench.longest()), 2_110);
}

/// ms: a record of 100 is in service from 0 to 100 when another one comes at 30: 70 behind it. No
/// interruption has been, so it is for want of capacity.
#[test]
fn a_record_behind_another_one_waits_for_capacity() {
    let mut bench = bench(|config, _| config.service = ServiceTime::Fixed(ms(100)));
    bench.append(0, 1);
    bench.run_until(at_ms(30));
    bench.append(0, 1);
    bench.run_until(at_ms(1_000));
    assert_eq!(bench.longest(), [("capacity", 70), ("service", 100)]);
    // The first one waited for nothing.
    assert_eq!(bench.total(), [("capacity", 70), ("service", 200)]);
}

/// The same inside one chunk: three batches of one request are processed one after the other, in
/// 100, 200 and 100 ms; the last waits 300, all together 100 + 300.
#[test]
fn a_batch_behind_others_of_its_chunk_waits_for_capacity() {
    let mut bench = bench(|config, _| config.service = ServiceTime::Fixed(ms(100)));
    let batches = [1, 2, 1].map(|count| bench.batch(KeyClass::REST, count, 100));
    bench.put(0, SimTime::ZERO, &batches);
    bench.run_until(at_ms(1_000));
    assert_eq!(bench.longest(), [("capacity", 300), ("service", 100)]);
    // Record-milliseconds: two records waited 100 each and were served 200 each.
    assert_eq!(bench.total(), [("capacity", 500), ("service", 600)]);
}

/// s: the worker stands still from 10 to 15, too short for anybody to notice, and two records come
/// at 11. Both wait 4 for the frozen owner; the second one then 1 behind the first, which is catching
/// up. A third comes at 14.5 and waits 0.5 and 2.
#[test]
fn a_backlog_that_a_frozen_owner_leaves_is_caught_up() {
    let mut bench = bench(|_, _| {});
    bench.run_until(at_ms(10_000));
    assert!(bench.act(|app, at| app.pause_worker(0, at)));
    for instant in [11_000, 11_000, 14_500] {
        bench.run_until(at_ms(instant));
        bench.append(0, 1);
    }
    bench.run_until(at_ms(15_000));
    bench.act(|app, at| app.resume_worker(0, at));
    bench.run_until(at_ms(17_500));
    assert_eq!(bench.longest(), [("owner_dead", 4_000), ("catch_up", 1_000), ("service", 1_000)]);
    bench.run_until(at_ms(18_000));
    assert_eq!(bench.total(), [("owner_dead", 8_500), ("catch_up", 3_000), ("service", 3_000)]);
}

/// Once nothing is unread the interruption is over: what queues up later is for want of capacity.
#[test]
fn a_queue_after_the_backlog_is_gone_waits_for_capacity_again() {
    let mut bench = bench(|_, _| {});
    bench.run_until(at_ms(10_000));
    assert!(bench.act(|app, at| app.pause_worker(0, at)));
    bench.append(0, 1);
    bench.run_until(at_ms(12_000));
    bench.act(|app, at| app.resume_worker(0, at));
    bench.run_until(at_ms(20_000));
    bench.append(0, 1);
    bench.append(0, 1);
    bench.run_until(at_ms(30_000));
    assert_eq!(bench.total(), [("owner_dead", 2_000), ("capacity", 1_000), ("service", 3_000)]);
}

/// s: the only worker dies at 60 and another one starts at 65: it scans at once, which only teaches
/// it, and takes the lease at its next scan, 20.05 later (N-KCL-8). Until then nobody has noticed: a
/// record stored at 61 waits 24.05 for its dead owner. The reader starts on the new worker's loop, at
/// most a second after: that is the gap between two readers.
#[test]
fn a_record_of_a_dead_worker_waits_until_its_lease_is_taken_and_then_for_the_loop() {
    for seed in 0..20 {
        let mut bench = Bench::new(&config(1), &stream(1), seed);
        bench.run_until(at_ms(60_000));
        bench.kill(1);
        bench.run_until(at_ms(61_000));
        bench.append(0, 1);
        bench.run_until(at_ms(65_000));
        bench.add_worker();
        bench.run_until(at_ms(90_000));
        let [started] = bench.noted("lease_taken")[..] else { panic!("one lease is taken once") };
        let gap = started.since(at_ms(85_050));
        assert!(SimDuration::ZERO < gap && gap <= ms(1_000), "{gap:?}");
        let blame = bench.app.blame.longest();
        let off = |cause: &str, expected: f64| (blame[cause] - expected).abs();
        assert!(off("owner_dead", 24.05) < 1e-9 && off("service", 1.0) < 1e-9, "{blame:?}");
        assert!(off("lease_gap", gap.as_secs_f64()) < 1e-9, "{blame:?}");
        assert_eq!(blame.len(), 3, "{blame:?}");
    }
}

/// A child shard has no owner before somebody scans (N-KCL-15): all that its first record waits for
/// before its service is a lease.
#[test]
fn the_first_record_of_a_child_shard_waits_for_a_lease() {
    let mut bench = bench(|_, _| {});
    bench.run_until(at_ms(60_000));
    bench.split(0);
    bench.append(1, 1);
    bench.run_until(at_ms(90_000));
    let causes: Vec<_> = bench.longest().into_iter().map(|(name, _)| name).collect();
    assert_eq!(causes, ["lease_gap", "service"]);
    assert_eq!(bench.delivered(), 1);
}
