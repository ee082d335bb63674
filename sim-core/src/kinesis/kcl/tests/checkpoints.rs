//! Checkpoints: which of them count, and where the next owner begins.

use super::*;

/// s: a worker with two shards has, on both, a chunk of two records that begins at 59.9 and ends at
/// 60.001. A second worker starts at 60, sees a loaded one and steals a lease at once (N-KCL-6); the
/// first one learns of it at its next renewal, up to 3.3 s later (N-KCL-8). So one of the two chunks
/// is finished by a zombie.
fn robbed_in_the_middle_of_a_chunk(seed: u64) -> Bench {
    let mut config = config(1);
    config.service = ServiceTime::Fixed(SimDuration::from_micros(50_500));
    let mut bench = Bench::new(&config, &stream(2), seed);
    bench.run_until(at_ms(59_900));
    for shard in [0, 1] {
        bench.append(shard, 2);
    }
    bench.run_until(at_ms(60_000));
    bench
}

/// N-KCL-9: only checkpoints are fenced. The zombie processes its two records, but where it stands
/// does not count, so the thief processes them again; the other shard's checkpoint counts.
#[test]
fn a_checkpoint_of_a_worker_whose_lease_was_stolen_does_not_count() {
    for seed in 0..20 {
        let mut bench = robbed_in_the_middle_of_a_chunk(seed);
        bench.add_worker();
        bench.run_until(at_ms(60_001));
        assert_eq!((bench.delivered(), bench.redelivered()), (4, 0));
        let of_shard = |shard: usize| bench.app.shards[shard].as_ref().map(|it| it.checkpoint);
        let mut checkpoints = [of_shard(0), of_shard(1)];
        checkpoints.sort();
        assert_eq!(checkpoints, [Some(0), Some(1)], "seed {seed}");
        bench.run_until(at_ms(75_000));
        assert_eq!((bench.delivered(), bench.redelivered()), (4, 2), "seed {seed}");
    }
}

/// The negative: what an owner has checkpointed is not processed again by the next one.
#[test]
fn a_checkpoint_of_the_owner_counts() {
    let mut bench = robbed_in_the_middle_of_a_chunk(1);
    bench.run_until(at_ms(60_001));
    bench.kill(1);
    bench.add_worker();
    bench.run_until(at_ms(90_000));
    assert_eq!((bench.delivered(), bench.redelivered()), (4, 0));
}

/// SHARD_END is a checkpoint as well: the zombie reads its closed shard to the end, but only the
/// owner of the other one ends it.
#[test]
fn a_worker_whose_lease_was_stolen_does_not_end_a_shard() {
    for seed in 0..20 {
        let mut bench = robbed_in_the_middle_of_a_chunk(seed);
        bench.split(0);
        bench.split(1);
        bench.add_worker();
        bench.run_until(at_ms(60_001));
        assert_eq!(bench.delivered(), 4);
        assert_eq!(bench.noted("shard_ended").len(), 1, "seed {seed}");
        // The thief ends the other one, though the zombie stands at its end too.
        bench.run_until(at_ms(75_000));
        assert_eq!(bench.noted("shard_ended").len(), 2, "seed {seed}");
    }
}

/// A worker that stood still for longer than the failover time has no lease to checkpoint with: its
/// chunk of two, begun at 59.9 and interrupted at 60, is processed by the worker that took over, and
/// once more by nobody.
#[test]
fn a_worker_that_stood_still_beyond_the_failover_time_goes_on_with_nothing() {
    let mut bench = robbed_in_the_middle_of_a_chunk(1);
    assert!(bench.act(|app, at| app.pause_worker(0, at)));
    bench.add_worker();
    bench.run_until(at_ms(90_000));
    assert_eq!((bench.delivered(), bench.redelivered()), (4, 0));
    bench.act(|app, at| app.resume_worker(0, at));
    bench.run_until(at_ms(92_000));
    assert_eq!((bench.delivered(), bench.redelivered()), (4, 0));
}

/// Five records of a second each, from 60 s on, each a chunk of its own; the worker dies at `killed`
/// and another one starts at 70. Returns (processed by the first worker, processed twice).
fn killed_at(killed_ms: u64, checkpoint_interval: SimDuration) -> (u64, u64) {
    let mut config = config(1);
    config.checkpoint_interval = checkpoint_interval;
    let mut bench = Bench::new(&config, &stream(1), 1);
    bench.run_until(at_ms(60_000));
    for _ in 0..5 {
        bench.append_alone(0);
    }
    bench.run_until(at_ms(killed_ms));
    bench.kill(1);
    let first = bench.delivered();
    bench.run_until(at_ms(70_000));
    bench.add_worker();
    bench.run_until(at_ms(100_000));
    // Nothing between the two workers is skipped.
    assert_eq!((bench.delivered(), bench.unread()), (5, 0));
    (first, bench.redelivered())
}

/// N-KCL-10: with a checkpoint after each chunk the new owner begins with the record that was in
/// hand: three are processed by 63.5, four by 64.5, and none of them again.
#[test]
fn a_new_owner_begins_right_after_the_checkpoint() {
    assert_eq!(killed_at(60_500, SimDuration::ZERO), (0, 0));
    assert_eq!(killed_at(63_500, SimDuration::ZERO), (3, 0));
    assert_eq!(killed_at(64_500, SimDuration::ZERO), (4, 0));
}

/// Chunks end at 61, 62, 63, 64. With 2 s between checkpoints those at 61 and 63 are checkpointed:
/// at 62.5 and 64.5 one processed record is not. With 10 s only the first is: of four, three come
/// again.
#[test]
fn what_was_processed_since_the_last_checkpoint_is_processed_again() {
    assert_eq!(killed_at(62_500, ms(2_000)), (2, 1));
    assert_eq!(killed_at(63_500, ms(2_000)), (3, 0));
    assert_eq!(killed_at(64_500, ms(2_000)), (4, 1));
    assert_eq!(killed_at(64_500, ms(10_000)), (4, 3));
}

/// N-KCL-22: 3.x asks the old reader to finish its chunk and checkpoint before the lease moves, so
/// that nothing is processed twice. Without the handoff, what was in hand is.
#[test]
fn a_graceful_handoff_checkpoints_before_the_lease_moves() {
    let moved = |graceful: bool| {
        let mut config = config(1);
        config.version = KclVersion::V3;
        config.lease_count_based = true;
        config.graceful_handoff = graceful;
        config.checkpoint_interval = SimDuration::from_secs(86_400);
        let mut bench = Bench::new(&config, &stream(4), 1);
        bench.run_until(at_ms(60_000));
        for shard in 0..4 {
            bench.append(shard, 1);
        }
        bench.run_until(at_ms(62_000));
        assert_eq!(bench.delivered(), 4);
        bench.add_worker();
        bench.run_until(at_ms(400_000));
        assert_eq!(bench.delivered(), 4);
        (bench.noted("lease_taken").len() as u64, bench.redelivered())
    };
    // Two of four leases move: target ceil(4 / 2).
    assert_eq!(moved(true), (2, 0));
    assert_eq!(moved(false), (2, 2));
}
