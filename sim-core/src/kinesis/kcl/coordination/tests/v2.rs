//! Stories of the 2.x taker: balance, stealing, loss, pauses, parents.

use super::*;

/// T of N-KCL-8 at F = 10 s.
const T: SimDuration = SimDuration::from_millis(20_050);
/// R of N-KCL-8 at F = 10 s.
const R: SimDuration = SimDuration::from_millis(3_308);

fn v2(workers: u32) -> KclConfig {
    config(KclVersion::V2, workers)
}

fn sorted(mut counts: Vec<usize>) -> Vec<usize> {
    counts.sort_unstable();
    counts
}

/// When `worker` became owner of something after `since`, each with the number of leases.
fn takes(bench: &Bench, worker: WorkerId, since: SimTime) -> BTreeMap<SimTime, usize> {
    let mut takes = BTreeMap::new();
    for &(at, owner) in bench.owners.values().flatten() {
        if owner == Some(worker) && since <= at {
            *takes.entry(at).or_default() += 1;
        }
    }
    takes
}

/// V-28. The second worker steals one lease at its first scan and one each T later; the split
/// replaces one lease by two, which the first scanner takes (N-KCL-6), and one more may be stolen.
/// And with two and six shards.
#[test]
fn v28_leases_spread_over_two_workers_and_one_more_after_a_split() {
    for (shards, half) in [(4, 2), (2, 1), (6, 3)] {
        for seed in 0..50 {
            let mut bench = Bench::new(&v2(1), shards, seed, COLD);
            bench.run_until(at(25));
            assert_eq!(bench.counts(), [half * 2]);

            bench.add_worker();
            bench.run_until(at(25) + T.times(half as u64 - 1) + secs(5));
            assert_eq!(bench.counts(), [half, half]);

            let (parents, low, high) = ([Some(shards - 1), None], shards, shards + 1);
            bench.end_shard(shards - 1, &[(low, parents), (high, parents)]);
            bench.run_until(bench.now + T.times(half as u64 + 1));
            assert_eq!(sorted(bench.counts()), [half, half + 1], "seed {seed}");
            let open = (0..shards - 1).chain([low, high]);
            assert!(open.into_iter().all(|n| bench.readers_of(n).len() == 1));
        }
    }
}

/// N-KCL-7: leases never seen owned are "very old", so the first scanner takes all nine; each other
/// worker then steals one per scan, up to its share.
#[test]
fn after_a_cold_start_the_first_scanner_has_all_and_others_steal_one_per_scan() {
    for seed in 0..20 {
        let mut bench = Bench::new(&v2(3), 9, seed, COLD);
        bench.run_until(at(300));

        let first = bench.owners.values().flatten().find(|(_, owner)| owner.is_some());
        let &(taken_at, winner) = first.expect("somebody took the leases");
        let winner = winner.expect("an owner");
        assert_eq!(takes(&bench, winner, SimTime::ZERO), BTreeMap::from([(taken_at, 9)]));

        for thief in (0..3).map(WorkerId).filter(|&w| w != winner) {
            let takes = takes(&bench, thief, SimTime::ZERO);
            assert_eq!(takes.len(), 3, "{takes:?}");
            assert!(takes.values().all(|&leases| leases == 1), "{takes:?}");
            let at: Vec<_> = takes.keys().copied().collect();
            assert!(at.windows(2).all(|pair| pair[1] == pair[0] + T), "{takes:?}");
        }
        assert_eq!(bench.counts(), [3, 3, 3]);
    }
}

/// Ten leases, 5 + 5, a third worker: target ceil(10/3) = 4. It steals from 5, from the other 5,
/// then one from a 4 since it still needs two; at 3 it needs only one and leaves a 4 alone.
#[test]
fn a_newcomer_steals_one_lease_per_scan_until_it_lacks_only_one() {
    let mut bench = Bench::new(&v2(2), 10, 1, STEADY);
    bench.run_until(at(60));
    let newcomer = bench.add_worker();
    bench.run_until(at(300));

    let scans = [at(60), at(60) + T, at(60) + T.times(2)];
    assert_eq!(takes(&bench, newcomer, at(60)), scans.map(|scan| (scan, 1)).into());
    assert_eq!(sorted(bench.counts()), [3, 3, 4]);
}

#[test]
fn steal_batches_follow_max_leases_to_steal_at_one_time() {
    let mut config = v2(1);
    config.max_leases_to_steal_at_one_time = 10;
    let mut bench = Bench::new(&config, 8, 1, STEADY);
    bench.run_until(at(60));
    let newcomer = bench.add_worker();
    bench.run_until(at(61));
    // Target 4, the victim is 4 over it, 4 are needed.
    assert_eq!(takes(&bench, newcomer, at(60)), BTreeMap::from([(at(60), 4)]));
}

#[test]
fn a_balanced_fleet_leaves_its_leases_alone() {
    let mut bench = Bench::new(&v2(3), 10, 3, STEADY);
    bench.run_until(at(600));
    assert_eq!(bench.log.len(), 10, "only the first ten starts");
    assert_eq!(bench.counts(), [4, 3, 3]);
}

/// N-KCL-8: abrupt. Until the victim's next renewal, at most R later, both process.
#[test]
fn the_victim_of_a_theft_reads_on_until_its_next_renewal() {
    let mut overlapping = 0;
    for seed in 0..100 {
        let mut bench = Bench::new(&v2(1), 2, seed, STEADY);
        bench.run_until(at(60));
        let thief = bench.add_worker();
        bench.run_until(at(70));

        let stolen = (0..2).map(shard).find(|&s| bench.kcl.owner(s) == Some(thief));
        let shard = stolen.expect("one lease was stolen at once");
        let of_victim = Change::Lost { shard, worker: WorkerId(0) };
        let lost = bench.log.iter().find(|(_, change)| *change == of_victim);
        let &(lost_at, _) = lost.expect("the victim noticed");
        let renewal = bench.kcl.workers[0].threads.renewal.next_after(at(60));
        assert_eq!(lost_at, renewal);
        assert!(lost_at <= at(60) + R);

        let start = bench.starts(at(60));
        assert_eq!(start.len(), 1);
        assert!(start[0].0 <= at(61), "the thief starts on its 1 s loop");
        overlapping += usize::from(start[0].0 < lost_at);
        assert_eq!(bench.most_readers, if start[0].0 < lost_at { 2 } else { 1 });
    }
    // The loss is U(0, R) and the start U(0, 1 s) away: an overlap in 1 - 1/(2 x 3.308) = 85 %.
    assert!((70..=96).contains(&overlapping), "{overlapping}");
}

#[test]
fn a_victim_whose_checkpoint_is_refused_stops_at_once_and_only_once() {
    let mut bench = Bench::new(&v2(1), 2, 5, STEADY);
    bench.run_until(at(60));
    let thief = bench.add_worker();
    bench.run_until(at(60));
    let stolen = (0..2).map(shard).find(|&s| bench.kcl.owner(s) == Some(thief));
    let stolen = stolen.expect("one lease was stolen at once");
    assert!(!bench.kcl.may_checkpoint(stolen, WorkerId(0), at(60)));

    bench.act(|kcl, _, changes| kcl.checkpoint_refused(stolen, WorkerId(0), changes));
    let lost = Change::Lost { shard: stolen, worker: WorkerId(0) };
    assert_eq!(bench.log.last(), Some(&(at(60), lost)));
    bench.run_until(at(80));
    assert_eq!(bench.log.iter().filter(|(_, change)| *change == lost).count(), 1);
}

#[test]
fn a_taken_lease_is_told_from_one_that_nobody_had() {
    let mut bench = Bench::new(&v2(1), 2, 1, COLD);
    bench.run_until(at(25));
    bench.add_worker();
    bench.run_until(at(30));
    let taken: Vec<bool> = bench
        .log
        .iter()
        .filter_map(|(_, change)| match change {
            Change::Acquired { taken, .. } => Some(*taken),
            Change::Lost { .. }
            | Change::ShutdownRequested { .. }
            | Change::LeaderChanged { .. } => None,
        })
        .collect();
    assert_eq!(taken, [false, false, true]);
}

/// Its own lease, dropped after a pause and taken again, was not another worker's.
#[test]
fn a_lease_that_a_worker_takes_back_from_itself_is_not_taken() {
    let mut bench = Bench::new(&v2(2), 2, 1, STEADY);
    bench.run_until(at(60));
    bench.kill(0);
    bench.run_until(at(200));
    assert_eq!(bench.counts(), [0, 2]);
    bench.pause(1);
    bench.run_until(at(212));
    bench.resume(1);
    bench.run_until(at(300));
    let starts = bench.log.iter().filter_map(|(_, change)| match change {
        Change::Acquired { shard, taken, .. } if shard.0 == 0 => Some(*taken),
        Change::Acquired { .. }
        | Change::Lost { .. }
        | Change::ShutdownRequested { .. }
        | Change::LeaderChanged { .. } => None,
    });
    assert_eq!(starts.collect::<Vec<_>>(), [false, true, false]);
}

/// Stolen and stolen back before the first victim renewed: its old reader stops, a new one starts.
#[test]
fn a_worker_that_takes_a_lease_back_starts_a_new_reader() {
    let mut bench = Bench::new(&v2(2), 2, 1, STEADY);
    bench.run_until(at(60));
    bench.act(|kcl, ctx, changes| kcl.take(shard(0), WorkerId(1), ctx, changes));
    assert_eq!(bench.log.len(), 2, "nobody noticed yet");
    bench.act(|kcl, ctx, changes| kcl.take(shard(0), WorkerId(0), ctx, changes));
    let lost = Change::Lost { shard: shard(0), worker: WorkerId(0) };
    assert_eq!(bench.log[2..], [(at(60), lost)]);
    bench.run_until(at(65));
    assert_eq!(bench.readers_of(0), [WorkerId(0)]);
    assert_eq!(bench.log.len(), 4);
}

#[test]
fn max_leases_for_worker_leaves_leases_unread() {
    let mut config = v2(2);
    config.max_leases_for_worker = 3;
    for steady in [STEADY, COLD] {
        let mut bench = Bench::new(&config, 10, 2, steady);
        bench.run_until(at(200));
        assert_eq!(bench.counts(), [3, 3]);
    }
}

#[test]
fn a_pause_below_the_failover_time_costs_nothing() {
    for seed in 0..50 {
        let mut bench = Bench::new(&v2(2), 6, seed, STEADY);
        bench.run_until(at(100));
        bench.pause(1);
        // The last renewal is up to R before the pause, and F must not pass: 6.5 + 3.308 < 10 s.
        bench.run_until(at(106) + SimDuration::from_millis(500));
        bench.resume(1);
        bench.run_until(at(200));
        assert_eq!(bench.log.len(), 6, "seed {seed}: only the first starts");
        assert_eq!(bench.counts(), [3, 3]);
    }
}

/// N-KCL-4: what is locally older than F is dropped even if nobody took it. The table still names
/// the worker, whose own taker must see its leases expire before it, or another, takes them.
#[test]
fn after_a_pause_beyond_the_failover_time_a_worker_drops_what_nobody_took() {
    for seed in 0..50 {
        let mut bench = Bench::new(&v2(2), 6, seed, STEADY);
        bench.run_until(at(100));
        bench.pause(1);
        // Observers need at least T from the last renewal: nobody takes within 12 s.
        bench.run_until(at(112));
        assert_eq!(bench.counts(), [3, 3]);
        assert_eq!(bench.log.len(), 6);
        bench.resume(1);
        let lost: Vec<_> = bench.log[6..].iter().map(|&(when, change)| (when, change)).collect();
        let expected = [1, 3, 5].map(|n| {
            let lost = Change::Lost { shard: shard(n), worker: WorkerId(1) };
            (at(112), lost)
        });
        assert_eq!(lost, expected);

        bench.run_until(at(200));
        assert_eq!(sorted(bench.counts()), [3, 3]);
        assert!((0..6).all(|n| bench.readers_of(n).len() == 1));
    }
}

/// A zombie: it learns only at the end of its pause that others read its shards.
#[test]
fn a_paused_worker_loses_its_leases_and_notices_when_it_resumes() {
    for seed in 0..50 {
        let mut bench = Bench::new(&v2(2), 6, seed, STEADY);
        bench.run_until(at(100));
        bench.pause(1);
        bench.run_until(at(160));
        assert_eq!(bench.counts(), [6, 0]);
        assert_eq!(bench.readers_of(1), [WorkerId(1), WorkerId(0)]);

        bench.resume(1);
        assert_eq!(bench.readers_of(1), [WorkerId(0)]);
        assert!(bench.log.iter().rev().take(3).all(|&(when, _)| when == at(160)));
        bench.run_until(at(300));
        assert_eq!(bench.counts(), [3, 3], "it steals its share back");
    }
}

/// N-KCL-9, to the nanosecond: F after the last renewal a checkpoint still succeeds.
#[test]
fn a_checkpoint_is_fenced_once_the_lease_is_older_than_the_failover_time() {
    let mut bench = Bench::new(&v2(2), 2, 8, STEADY);
    bench.run_until(at(100));
    let worker = WorkerId(1);
    let renewed_at = bench.kcl.workers[1].threads.renewal.last_by(at(100));
    let deadline = renewed_at.expect("it has renewed") + secs(10);
    bench.pause(1);
    assert!(bench.kcl.may_checkpoint(shard(1), worker, deadline));
    assert!(!bench.kcl.may_checkpoint(shard(1), worker, deadline + SimDuration(1)));
    assert!(!bench.kcl.may_checkpoint(shard(0), worker, at(100)), "another's lease");
}

/// N-KCL-4: the local clock and the counter both move with a checkpoint.
#[test]
fn a_checkpoint_renews_the_lease() {
    let mut bench = Bench::new(&v2(2), 2, 8, STEADY);
    bench.run_until(at(100));
    let worker = WorkerId(1);
    let counter = |bench: &Bench| {
        let renewals = bench.kcl.renewals_by(bench.now);
        let lease = bench.kcl.lease(shard(1)).expect("a lease");
        lease.counter_with(|w| renewals[w.index()])
    };
    let before = counter(&bench);
    bench.kcl.note_checkpoint(shard(1), worker, at(100));
    assert_eq!(counter(&bench), before + 1);
    bench.pause(1);
    assert!(bench.kcl.may_checkpoint(shard(1), worker, at(110)));
    assert!(!bench.kcl.may_checkpoint(shard(1), worker, SimTime(at(110).0 + 1)));
    bench.kcl.note_checkpoint(shard(1), WorkerId(0), at(100));
    assert_eq!(counter(&bench), before + 1, "another worker's checkpoint is none");
}

/// The counter grows by one per renewal: closed form against counting the instants.
#[test]
fn the_counter_counts_renewals_also_across_a_pause() {
    let mut bench = Bench::new(&v2(1), 1, 4, STEADY);
    let counter = |bench: &Bench| {
        let renewals = bench.kcl.renewals_by(bench.now);
        let lease = bench.kcl.lease(shard(0)).expect("a lease");
        lease.counter_with(|w| renewals[w.index()])
    };
    bench.run_until(at(100));
    let at_100 = counter(&bench);
    // 331 s hold 100 renewals of 3.308 s, and 0.2 s of the next.
    bench.run_until(at(100) + R.times(100));
    assert_eq!(counter(&bench), at_100 + 100);

    bench.pause(0);
    bench.run_until(bench.now + secs(5));
    assert_eq!(counter(&bench), at_100 + 100);
    // At least one renewal was missed in 5 s; the overdue one makes up for all.
    bench.resume(0);
    assert_eq!(counter(&bench), at_100 + 101);
    bench.run_until(bench.now + R.times(10));
    assert_eq!(counter(&bench), at_100 + 111);
}

/// N-KCL-15: created unowned, so taken at the next scan; N-KCL-14: its parent has ended.
#[test]
fn children_of_a_split_are_read_after_one_scan_and_the_loop() {
    for seed in 0..50 {
        let mut bench = Bench::new(&v2(1), 1, seed, STEADY);
        bench.run_until(at(100));
        bench.end_shard(0, &[(1, [Some(0), None]), (2, [Some(0), None])]);
        assert_eq!(bench.kcl.owner(shard(1)), None);
        bench.run_until(at(122));
        let starts = bench.starts(at(100));
        assert_eq!(starts.len(), 2);
        assert!(starts.iter().all(|&(start, _)| start <= at(101) + T));
    }
}

/// N-KCL-14: taken soon, read only after the other parent's end, at a poll every 10 s.
#[test]
fn a_merge_child_waits_for_both_parents() {
    for seed in 0..50 {
        let mut bench = Bench::new(&v2(2), 2, seed, STEADY);
        bench.run_until(at(100));
        let child = [(2, [Some(0), Some(1)])];
        bench.end_shard(0, &child);
        bench.run_until(at(150));
        assert!(bench.kcl.owner(shard(2)).is_some());
        assert!(bench.readers_of(2).is_empty());

        bench.end_shard(1, &child);
        bench.run_until(at(160));
        let starts = bench.starts(at(100));
        let start = starts.iter().find(|(_, started)| *started == shard(2));
        let &(started_at, _) = start.expect("the child is read");
        assert!(at(150) < started_at, "seed {seed}");
    }
}

#[test]
fn a_poll_of_an_earlier_acquisition_is_void() {
    let mut bench = Bench::new(&v2(2), 2, 1, STEADY);
    bench.run_until(at(100));
    bench.end_shard(0, &[(2, [Some(0), Some(1)])]);
    bench.run_until(at(150));
    let acquisition = bench.kcl.lease(shard(2)).expect("a lease").acquisition;
    let waiting = bench.queue.len();
    let poll = |acquisition| Event::ParentsPolled { shard: shard(2), acquisition };
    bench.act(|kcl, ctx, changes| kcl.handle(poll(acquisition - 1), ctx, changes));
    assert_eq!(bench.queue.len(), waiting);
    bench.act(|kcl, ctx, changes| kcl.handle(poll(acquisition), ctx, changes));
    assert_eq!(bench.queue.len(), waiting + 1);
}

/// N-KCL-15: a merge child whose other parent has no lease yet has to wait for that lease.
#[test]
fn a_merge_child_has_no_lease_before_both_parents_have_one() {
    let mut bench = Bench::new(&v2(1), 2, 1, STEADY);
    bench.run_until(at(100));
    // Shard 1 merges with shard 2, a child of shard 0 that nobody has seen yet.
    bench.end_shard(1, &[(4, [Some(1), Some(2)])]);
    assert!(bench.kcl.lease(shard(4)).is_none());
    bench.end_shard(0, &[(2, [Some(0), None]), (3, [Some(0), None])]);
    assert!(bench.kcl.lease(shard(4)).is_some());
    bench.run_until(at(160));
    assert_eq!(bench.readers_of(2), [WorkerId(0)]);
    assert!(bench.readers_of(4).is_empty());
}
