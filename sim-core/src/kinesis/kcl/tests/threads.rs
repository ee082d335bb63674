//! Threads of a worker: how many leases it processes at a time.

use super::*;

/// One worker whose `threads` threads process one record of a second each on three shards, all
/// stored at 60 s. How many are processed by 61, 62 and 63 s.
fn by_second(threads: u32) -> [u64; 3] {
    let mut config = config(1);
    config.worker_threads = threads;
    let mut bench = Bench::new(&config, &stream(3), 1);
    bench.run_until(at_ms(60_000));
    for shard in 0..3 {
        bench.append(shard, 1);
    }
    [61_000, 62_000, 63_000].map(|end| {
        bench.run_until(at_ms(end));
        bench.delivered()
    })
}

#[test]
fn a_worker_processes_no_more_leases_at_a_time_than_it_has_threads() {
    assert_eq!(by_second(1), [1, 2, 3]);
    assert_eq!(by_second(2), [2, 3, 3]);
    // The negative: without a limit, or with one that is not reached, nobody waits.
    assert_eq!(by_second(0), [3, 3, 3]);
    assert_eq!(by_second(3), [3, 3, 3]);
}

/// The threads of one worker are not another's: two workers with a thread each hold shards 0 and 2,
/// and 1.
#[test]
fn workers_do_not_share_threads() {
    let mut config = config(2);
    config.worker_threads = 1;
    let mut bench = Bench::new(&config, &stream(3), 1);
    bench.run_until(at_ms(60_000));
    for shard in 0..3 {
        bench.append(shard, 1);
    }
    bench.run_until(at_ms(61_000));
    assert_eq!(bench.delivered(), 2);
    bench.run_until(at_ms(62_000));
    assert_eq!(bench.delivered(), 3);
}

/// A freed thread goes to the lease that has waited longest, and only then back: shard 0 has two
/// chunks, and its second one, which ends last, waits for shards 1 and 2.
#[test]
fn a_freed_thread_goes_to_the_lease_that_has_waited_longest() {
    let mut config = config(1);
    config.worker_threads = 1;
    let mut bench = Bench::new(&config, &stream(3), 1);
    bench.run_until(at_ms(60_000));
    for shard in [0, 0, 1, 2] {
        bench.append_alone(shard);
    }
    let unread = |bench: &Bench| {
        [0, 1, 2].map(|shard| bench.app.shards[shard].as_ref().map_or(0, |it| it.unread))
    };
    let by_second = [61_000, 62_000, 63_000, 64_000].map(|end| {
        bench.run_until(at_ms(end));
        unread(&bench)
    });
    assert_eq!(by_second, [[1, 1, 1], [1, 0, 1], [1, 0, 0], [0, 0, 0]]);
}

/// What waits for a thread waits for capacity: 0, 1 and 2 s on three shards.
#[test]
fn a_record_that_waits_for_a_thread_waits_for_capacity() {
    let mut config = config(1);
    config.worker_threads = 1;
    let mut bench = Bench::new(&config, &stream(3), 1);
    bench.run_until(at_ms(60_000));
    for shard in 0..3 {
        bench.append(shard, 1);
    }
    bench.run_until(at_ms(70_000));
    assert_eq!(bench.longest(), [("capacity", 2_000), ("service", 1_000)]);
    assert_eq!(bench.total(), [("capacity", 3_000), ("service", 3_000)]);
}

/// Two shards with a chunk of 100 s each and one thread: at 60 s one is in service and one waits. A
/// second worker steals a lease at once. Either it is the waiting one, or the thread is freed when
/// its reader stops, at the next renewal (3.3 s) at most: both are done by 165 s, where one thread
/// alone would need 260.
#[test]
fn a_thread_is_given_on_when_the_lease_in_service_is_stolen() {
    let mut in_service_stolen = 0;
    for seed in 0..20 {
        let mut config = config(1);
        config.worker_threads = 1;
        config.service = ServiceTime::Fixed(ms(100_000));
        let mut bench = Bench::new(&config, &stream(2), seed);
        bench.run_until(at_ms(60_000));
        for shard in [0, 1] {
            bench.append(shard, 1);
        }
        bench.add_worker();
        bench.run_until(at_ms(60_000));
        let is_first = bench.app.coordination.owner(ShardIndex(0)) == Some(WorkerId(1));
        in_service_stolen += u32::from(is_first);
        bench.run_until(at_ms(165_000));
        assert_eq!(bench.delivered(), 2, "seed {seed}");
    }
    assert!((1..20).contains(&in_service_stolen), "{in_service_stolen} of 20");
}

/// A worker that stands still keeps no thread: afterwards it has as many as before.
#[test]
fn a_pause_neither_adds_nor_takes_a_thread() {
    let mut config = config(1);
    config.worker_threads = 1;
    let mut bench = Bench::new(&config, &stream(2), 1);
    bench.run_until(at_ms(60_000));
    for shard in [0, 1] {
        bench.append(shard, 1);
    }
    bench.run_until(at_ms(60_500));
    assert!(bench.act(|app, at| app.pause_worker(0, at)));
    bench.run_until(at_ms(62_000));
    bench.act(|app, at| app.resume_worker(0, at));
    // Both are begun anew, one after the other.
    for (end, delivered) in [(62_999, 0), (63_000, 1), (63_999, 1), (64_000, 2)] {
        bench.run_until(at_ms(end));
        assert_eq!(bench.delivered(), delivered, "at {end}");
    }
}
