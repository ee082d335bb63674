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
    let workers = 1 + (0..).zip(&counts).filter(|&(n, &c)| c > 0 && n != me.0).count();
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
    let most = usize::try_from(most).unwrap_or(usize::MAX).min(shards.len());
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::Rngs;

    const NO_LIMITS: Limits =
        Limits { max_leases_for_worker: u32::MAX, max_leases_to_steal_at_one_time: 1 };

    /// Leases by owner; a dot is unowned, capitals are expired, `!` makes the lease very old.
    fn table(text: &str) -> Vec<SeenLease> {
        let mut leases: Vec<SeenLease> = Vec::new();
        for letter in text.chars() {
            if letter == '!' {
                leases.last_mut().unwrap().very_old = true;
                continue;
            }
            let number = u32::from(letter.to_ascii_lowercase()).checked_sub(u32::from('a'));
            leases.push(SeenLease {
                shard: ShardIndex(u32::try_from(leases.len()).unwrap()),
                owner: number.map(WorkerId),
                available: !letter.is_ascii_lowercase(),
                very_old: false,
            });
        }
        leases
    }

    /// How many leases worker a takes, and from whom.
    fn a_takes(text: &str, limits: Limits) -> String {
        let leases = table(text);
        let mut rng = Rngs::new(1).stream("taker");
        let taken = leases_to_take(&leases, WorkerId(0), 26, limits, &mut rng);
        let letters: Vec<char> = text.chars().filter(|&c| c != '!').collect();
        let mut from: Vec<char> = taken.iter().map(|s| letters[s.0 as usize]).collect();
        from.sort_unstable();
        from.into_iter().collect()
    }

    /// N-KCL-6 (3), (5), (6): up to the target of all leases over holders and oneself.
    #[test]
    fn available_leases_are_taken_up_to_the_target() {
        assert_eq!(a_takes("abBBB", NO_LIMITS), "BB", "5 over 2: target 3");
        assert_eq!(a_takes("aabbCC", NO_LIMITS), "C", "6 over 2: c holds nothing any more");
        assert_eq!(a_takes("aabbc", NO_LIMITS), "", "target 2 is reached");
        assert_eq!(a_takes("Bcd", NO_LIMITS), "B", "3 workers, 3 leases: target 1");
        assert_eq!(a_takes("", NO_LIMITS), "");
    }

    /// N-KCL-6 (7): one at a time; from a worker at the target only if more than one is needed.
    #[test]
    fn stealing_takes_from_the_most_loaded_what_is_over_the_target() {
        assert_eq!(a_takes("bbbbb", NO_LIMITS), "b");
        assert_eq!(a_takes("bbcccc", NO_LIMITS), "c");
        assert_eq!(a_takes("bbbcccddd", NO_LIMITS), "b", "target 3, needs 3, none is over it");
        assert_eq!(a_takes("aabbbccc", NO_LIMITS), "", "needs 1, none is over the target of 3");
        assert_eq!(a_takes("bcd", NO_LIMITS), "");
        let ten = Limits { max_leases_to_steal_at_one_time: 10, ..NO_LIMITS };
        assert_eq!(a_takes("bbbbbb", ten), "bbb");
        assert_eq!(a_takes("bbbbcccccc", ten), "cc", "6 - 4");
    }

    #[test]
    fn nothing_is_stolen_while_an_expired_lease_is_there() {
        assert_eq!(a_takes("bbbbbbC", NO_LIMITS), "C");
    }

    /// N-KCL-6 (4).
    #[test]
    fn very_old_leases_are_all_taken_whatever_the_target_and_nothing_else() {
        assert_eq!(a_takes(".!.!.!.!", NO_LIMITS), "....");
        assert_eq!(a_takes("aabB!CC", NO_LIMITS), "B");
        let three = Limits { max_leases_for_worker: 3, ..NO_LIMITS };
        assert_eq!(a_takes("aa.!.!.!b", three), ".", "room for one");
        assert_eq!(a_takes("aaa.!BB", three), "", "and it stops there");
    }

    #[test]
    fn the_target_is_capped_by_max_leases_for_worker() {
        let two = Limits { max_leases_for_worker: 2, ..NO_LIMITS };
        assert_eq!(a_takes("aBBBBB", two), "B");
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        /// Without very old leases nobody takes beyond the target, nor what it has.
        #[test]
        fn a_worker_takes_at_most_what_it_needs_and_only_from_others(
            owners in prop::collection::vec((0..5_u32, any::<bool>()), 1..40),
            steal in 1..5_u32,
            seed in any::<u64>(),
        ) {
            let lease = |(shard, &(owner, available)): (usize, &(u32, bool))| SeenLease {
                shard: ShardIndex(u32::try_from(shard).unwrap()),
                owner: Some(WorkerId(owner)),
                available: available && owner != 0,
                very_old: false,
            };
            let leases: Vec<_> = owners.iter().enumerate().map(lease).collect();
            let limits = Limits { max_leases_to_steal_at_one_time: steal, ..NO_LIMITS };
            let mut rng = Rngs::new(seed).stream("taker");
            let taken = leases_to_take(&leases, WorkerId(0), 5, limits, &mut rng);

            let row = |shard: &ShardIndex| leases[shard.0 as usize];
            prop_assert!(taken.iter().all(|shard| row(shard).owner != Some(WorkerId(0))));
            let mut distinct = taken.clone();
            distinct.sort();
            distinct.dedup();
            prop_assert_eq!(distinct.len(), taken.len());

            let held = |w: u32| {
                let of = |l: &&SeenLease| !l.available && l.owner == Some(WorkerId(w));
                leases.iter().filter(of).count()
            };
            let workers = 1 + (1..5).filter(|&w| held(w) > 0).count();
            let target = leases.len().div_ceil(workers).max(1);
            prop_assert!(taken.is_empty() || held(0) + taken.len() <= target);
            let stolen = taken.iter().filter(|shard| !row(shard).available).count();
            prop_assert!(stolen == 0 || stolen == taken.len(), "either takes or steals");
            prop_assert!(stolen <= steal as usize);
        }
    }
}
