//! Which leases a 2.x worker takes after a scan: a pure decision.
//!
//! | Mechanism                                                              | Fact    |
//! |------------------------------------------------------------------------|---------|
//! | Target: leases over workers, rounded up, capped                        | N-KCL-6 |
//! | Very old leases first, ignoring the target, and nothing else           | N-KCL-6 |
//! | Available leases up to the target; stealing only when none is there    | N-KCL-6 |
//! | Only holders of leases and oneself count as workers                    | N-KCL-7 |
//!
//! Simplification: leases at SHARD_END are not part of the view, while the library counts them
//! until its cleanup deletes the row (N-KCL-17). In the minutes after a reshard a real target may
//! be one or two higher, so that leases move a little later.

use super::WorkerId;
use crate::engine::RngStream;
use crate::kinesis::ShardIndex;

/// One lease as the scanning worker judges it.
#[derive(Clone, Copy, Debug)]
pub(super) struct SeenLease {
    /// The lease.
    pub(super) shard: ShardIndex,
    /// leaseOwner in the row.
    pub(super) owner: Option<WorkerId>,
    /// Unowned, or unchanged for longer than F by the observer's clock.
    pub(super) available: bool,
    /// Unchanged for longer than 3F, or never seen owned.
    pub(super) very_old: bool,
}

/// What bounds a worker's appetite.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// `maxLeasesForWorker`.
    pub(super) max_leases_for_worker: u32,
    /// `maxLeasesToStealAtOneTime`.
    pub(super) max_leases_to_steal_at_one_time: u32,
}

/// The leases that `me` takes now. `worker_count` bounds the worker numbers in `leases`.
pub(super) fn leases_to_take(
    leases: &[SeenLease],
    me: WorkerId,
    worker_count: usize,
    limits: Limits,
    rng: &mut RngStream,
) -> Vec<ShardIndex> {
    if leases.is_empty() {
        return Vec::new();
    }
    let counts = lease_counts(leases, worker_count);
    let workers = 1
        + (0..)
            .zip(&counts)
            .filter(|&(n, &c)| c > 0 && n != me.0)
            .count();
    let mine = counts[index(me)];

    let very_old = pick(leases, |lease| lease.very_old);
    if !very_old.is_empty() {
        let room = limits.max_leases_for_worker.saturating_sub(mine);
        return sample(very_old, room, rng);
    }
    let target = lease_target(leases.len(), workers).min(limits.max_leases_for_worker);
    let needed = target.saturating_sub(mine);
    if needed == 0 {
        return Vec::new();
    }
    let available = pick(leases, |lease| lease.available);
    if !available.is_empty() {
        return sample(available, needed, rng);
    }
    let Some((victim, load)) = most_loaded(&counts) else {
        return Vec::new();
    };
    let stolen = leases_to_steal(load, target, needed, limits.max_leases_to_steal_at_one_time);
    let candidates = pick(leases, |lease| lease.owner == Some(victim));
    sample(candidates, stolen, rng)
}

/// Leases per worker, rounded up; one if there are at least as many workers.
pub(super) fn lease_target(leases: usize, workers: usize) -> u32 {
    if workers >= leases {
        return 1;
    }
    u32::try_from(leases.div_ceil(workers)).unwrap_or(u32::MAX)
}

/// How many leases to steal from the most loaded worker.
fn leases_to_steal(load: u32, target: u32, needed: u32, max_at_one_time: u32) -> u32 {
    if load < target {
        return 0;
    }
    let over = needed.min(load - target);
    let wanted = if over == 0 && needed > 1 { 1 } else { over };
    wanted.min(max_at_one_time)
}

fn lease_counts(leases: &[SeenLease], worker_count: usize) -> Vec<u32> {
    let mut counts = vec![0; worker_count];
    for lease in leases.iter().filter(|lease| !lease.available) {
        if let Some(owner) = lease.owner {
            counts[index(owner)] += 1;
        }
    }
    counts
}

/// The worker with most leases, the lowest number among equals.
fn most_loaded(counts: &[u32]) -> Option<(WorkerId, u32)> {
    let (mut best, mut load) = (None, 0);
    for (worker, &count) in (0..).zip(counts) {
        if count > load {
            (best, load) = (Some(WorkerId(worker)), count);
        }
    }
    best.map(|worker| (worker, load))
}

fn pick(leases: &[SeenLease], wanted: impl Fn(&SeenLease) -> bool) -> Vec<ShardIndex> {
    let chosen = leases.iter().filter(|lease| wanted(lease));
    chosen.map(|lease| lease.shard).collect()
}

/// Up to `most` of the shards, at random.
fn sample(mut shards: Vec<ShardIndex>, most: u32, rng: &mut RngStream) -> Vec<ShardIndex> {
    let most = usize::try_from(most)
        .unwrap_or(usize::MAX)
        .min(shards.len());
    shuffle_front(&mut shards, most, rng);
    shards.truncate(most);
    shards
}

/// Shuffles so that the first `front` items are a uniform sample in uniform order.
pub(super) fn shuffle_front<T>(items: &mut [T], front: usize, rng: &mut RngStream) {
    for at in 0..front.min(items.len()) {
        let rest = u64::try_from(items.len() - at).unwrap_or(u64::MAX);
        let step = usize::try_from(rng.below(rest)).unwrap_or(0);
        items.swap(at, at + step);
    }
}

fn index(worker: WorkerId) -> usize {
    worker.0 as usize
}
