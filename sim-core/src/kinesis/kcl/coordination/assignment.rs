//! Which worker gets which lease in one run of a 3.x leader: a pure decision.
//!
//! | Mechanism                                                                    | Fact     |
//! |------------------------------------------------------------------------------|----------|
//! | Unowned and expired leases, oldest first, to the worker with most room       | N-KCL-19 |
//! | Where that is the present owner nothing is written and its room stays        | N-KCL-19 |
//! | Balance: outside the average by over 10 %; 60 % of the excess; one at least  | N-KCL-20 |
//! | LEASE_COUNT_BASED: up to leases over workers, rounded up                     | N-KCL-20 |
//!
//! All is exact in integers: a worker's load is in units of (throughput x throughput of all), so
//! that a lease's share of the average needs no division.
//!
//! Simplification: a worker's CPU utilisation is taken to be proportional to the throughput of its
//! leases at its last report, and below its operating range; reports are not smoothed. On hosts of
//! unequal size a real leader would give the smaller ones less.

use std::collections::BTreeMap;

use super::WorkerId;
use super::taker::{lease_target, shuffle_front};
use crate::engine::{RngStream, SimTime};
use crate::kinesis::ShardIndex;

/// One open lease as the leader loaded it.
#[derive(Clone, Copy, Debug)]
pub(super) struct AssignableLease {
    /// The lease.
    pub(super) shard: ShardIndex,
    /// The actual owner: checkpointOwner if set, else leaseOwner.
    pub(super) owner: Option<WorkerId>,
    /// Unowned or expired.
    pub(super) available: bool,
    /// When the leader last saw the counter change; `None`: never.
    pub(super) changed_at: Option<SimTime>,
    /// A graceful handoff runs.
    pub(super) handing_over: bool,
    /// It may change hands now: no handoff runs, or the owner is dead or out of time.
    pub(super) movable: bool,
    /// Bytes per second, if ever reported.
    pub(super) throughput: Option<u64>,
}

/// A worker with fresh metrics, dead or alive.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// Who.
    pub(super) worker: WorkerId,
    /// The leases that it held at its last report, by index: its metrics show their load.
    pub(super) reported: Vec<usize>,
}

/// Who may get leases.
#[derive(Clone, Debug)]
pub(super) struct Fleet {
    /// Workers with fresh metrics.
    pub(super) candidates: Vec<Candidate>,
    /// Bounds all worker numbers.
    pub(super) worker_count: usize,
    /// `maxLeasesForWorker`.
    pub(super) max_leases_for_worker: u32,
}

/// `leaseAssignmentStrategy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AssignmentStrategy {
    /// By what the leases carry.
    Throughput,
    /// By how many there are.
    LeaseCount,
}

/// The leases to assign in this run, by index into `leases`, each with its new owner.
pub(super) fn plan(
    leases: &[AssignableLease],
    mut fleet: Fleet,
    strategy: AssignmentStrategy,
    balances: bool,
    rng: &mut RngStream,
) -> BTreeMap<usize, WorkerId> {
    if leases.is_empty() || fleet.candidates.is_empty() {
        return BTreeMap::new();
    }
    // Real utilisations never tie; here equals come in an order drawn for this run.
    let all = fleet.candidates.len();
    shuffle_front(&mut fleet.candidates, all, rng);
    let mut view = View::new(leases, fleet);
    match strategy {
        AssignmentStrategy::Throughput => {
            let mut rooms = Rooms::new(&view);
            rooms.assign_available(&mut view);
            if balances {
                rooms.balance(&mut view, rng);
            }
        }
        AssignmentStrategy::LeaseCount => {
            view.assign_available_by_count();
            if balances {
                view.balance_by_count();
            }
        }
    }
    view.moves
}

/// The table as it will be after this run.
struct View<'a> {
    leases: &'a [AssignableLease],
    fleet: Fleet,
    /// Actual owner by lease.
    owners: Vec<Option<WorkerId>>,
    /// Throughput by lease, at least such that not all are zero.
    weights: Vec<u128>,
    /// Throughput by worker.
    assigned: Vec<u128>,
    /// Leases by worker.
    counts: Vec<u32>,
    moves: BTreeMap<usize, WorkerId>,
}

impl<'a> View<'a> {
    fn new(leases: &'a [AssignableLease], fleet: Fleet) -> Self {
        let owners: Vec<_> = leases.iter().map(|lease| lease.owner).collect();
        let weights = weights(leases);
        let mut assigned = vec![0; fleet.worker_count];
        let mut counts = vec![0; fleet.worker_count];
        for (owner, weight) in owners.iter().zip(&weights) {
            if let Some(owner) = owner {
                assigned[owner.index()] += weight;
                counts[owner.index()] += 1;
            }
        }
        Self { leases, fleet, owners, weights, assigned, counts, moves: BTreeMap::new() }
    }

    /// Indices of the unowned and expired leases, oldest first.
    fn available(&self) -> Vec<usize> {
        let all = self.leases.iter().enumerate();
        let mut available: Vec<usize> =
            all.filter(|(_, l)| l.available).map(|(at, _)| at).collect();
        available.sort_by_key(|&at| self.leases[at].changed_at);
        available
    }

    fn leases_of(&self, worker: WorkerId) -> Vec<usize> {
        let all = self.owners.iter().enumerate();
        all.filter(|&(_, &owner)| owner == Some(worker)).map(|(at, _)| at).collect()
    }

    fn below_max(&self, worker: WorkerId) -> bool {
        self.counts[worker.index()] < self.fleet.max_leases_for_worker
    }

    fn give(&mut self, at: usize, worker: WorkerId) {
        if let Some(before) = self.owners[at] {
            self.assigned[before.index()] -= self.weights[at];
            self.counts[before.index()] -= 1;
        }
        self.assigned[worker.index()] += self.weights[at];
        self.counts[worker.index()] += 1;
        self.owners[at] = Some(worker);
        self.moves.insert(at, worker);
    }

    /// Candidates by number of leases, fewest first.
    fn by_count(&self) -> Vec<WorkerId> {
        let candidates = self.fleet.candidates.iter();
        let mut workers: Vec<_> = candidates.map(|c| c.worker).collect();
        workers.sort_by_key(|worker| self.counts[worker.index()]);
        workers
    }

    fn count_target(&self) -> u32 {
        let target = lease_target(self.leases.len(), self.fleet.candidates.len());
        target.min(self.fleet.max_leases_for_worker)
    }

    /// LEASE_COUNT_BASED: fills worker after worker up to the target. Each gets at least one, even
    /// beyond the target, and a dead one that still counts may "get" its own lease.
    fn assign_available_by_count(&mut self) {
        let target = self.count_target();
        let workers = self.by_count();
        let mut counts = self.counts.clone();
        let mut next = workers.iter().peekable();
        for at in self.available() {
            let Some(&&worker) = next.peek() else { break };
            self.give(at, worker);
            counts[worker.index()] += 1;
            if counts[worker.index()] >= target {
                next.next();
            }
        }
    }

    /// LEASE_COUNT_BASED: from the workers above the target to those below it, one lease at a time.
    fn balance_by_count(&mut self) {
        let target = self.count_target();
        let workers = self.by_count();
        let mut spare: Vec<Vec<usize>> = workers.iter().map(|&w| self.leases_of(w)).collect();
        for leases in &mut spare {
            leases.retain(|&at| self.leases[at].movable);
            leases.reverse();
        }
        let (mut low, mut high) = (0, workers.len() - 1);
        while low < high {
            if self.counts[workers[low].index()] >= target {
                low += 1;
            } else if self.counts[workers[high].index()] <= target {
                high -= 1;
            } else if let Some(at) = spare[high].pop() {
                self.give(at, workers[low]);
            } else {
                high -= 1;
            }
        }
    }
}

/// Throughput of each lease; the average where none is known, one if all are idle.
fn weights(leases: &[AssignableLease]) -> Vec<u128> {
    let known = || leases.iter().filter_map(|lease| lease.throughput);
    let sum: u128 = known().map(u128::from).sum();
    if sum == 0 {
        return vec![1; leases.len()];
    }
    let average = sum / known().count().max(1) as u128;
    let weight = |lease: &AssignableLease| lease.throughput.map_or(average, u128::from);
    leases.iter().map(weight).collect()
}

/// A worker's load as the leader reckons it during a run.
struct Room {
    worker: WorkerId,
    load: u128,
    /// Whether the worker may get more in this run.
    open: bool,
}

/// The candidates' loads against their average.
struct Rooms {
    rooms: Vec<Room>,
    /// Load of all candidates; what one lease adds is its throughput times this.
    share: u128,
    /// Sum of the loads at the start, which is the average times the number of candidates.
    sum: u128,
}

impl Rooms {
    fn new(view: &View<'_>) -> Self {
        let total: u128 = view.weights.iter().sum();
        let load_of = |candidate: &Candidate| -> u128 {
            candidate.reported.iter().map(|&at| view.weights[at]).sum()
        };
        let loads: Vec<u128> = view.fleet.candidates.iter().map(load_of).collect();
        let sum: u128 = loads.iter().sum();
        // A fleet that owns nothing yet: an even share of all leases is the average.
        let share = if sum == 0 { total } else { sum };
        let room = |(candidate, load): (&Candidate, u128)| Room {
            worker: candidate.worker,
            load: load * total,
            open: view.below_max(candidate.worker),
        };
        Self {
            rooms: view.fleet.candidates.iter().zip(loads).map(room).collect(),
            share,
            sum: share * total,
        }
    }

    /// The open room that is farthest below the average, in proportion, the first among equals. An
    /// idle worker counts as one at half of the average.
    fn widest(&self) -> Option<usize> {
        let n = self.rooms.len() as u128;
        let key = |room: &Room| match room.load {
            0 => self.sum,
            load => 2 * n * load,
        };
        let open = self.rooms.iter().enumerate().filter(|(_, room)| room.open);
        open.min_by_key(|(_, room)| key(room)).map(|(at, _)| at)
    }

    /// Gives a lease to a worker, unless it has it. A lost handoff is written anew in any case.
    fn give(&mut self, view: &mut View<'_>, at: usize, room: usize) {
        let room = &mut self.rooms[room];
        let lease = &view.leases[at];
        let handoff_expired = lease.available && lease.handing_over;
        if !handoff_expired && view.owners[at] == Some(room.worker) {
            return;
        }
        room.load += view.weights[at] * self.share;
        view.give(at, room.worker);
        room.open = view.below_max(room.worker);
    }

    fn assign_available(&mut self, view: &mut View<'_>) {
        for at in view.available() {
            let Some(room) = self.widest() else { break };
            self.give(view, at, room);
        }
    }

    fn balance(&mut self, view: &mut View<'_>, rng: &mut RngStream) {
        for (worker, surplus) in self.surpluses(view) {
            for at in leases_worth(view, worker, surplus, rng) {
                let Some(room) = self.widest() else { break };
                let after = self.rooms[room].load + view.weights[at] * self.share;
                if after * self.rooms.len() as u128 > self.sum {
                    // The library does not look at this worker again either.
                    self.rooms[room].open = false;
                    break;
                }
                self.give(view, at, room);
            }
        }
    }

    /// The workers to take leases from, and how much throughput from each, in millionths: 60 % of
    /// what is above the average. None while all are within 10 % of it.
    fn surpluses(&self, view: &View<'_>) -> Vec<(WorkerId, u128)> {
        let n = self.rooms.len() as u128;
        let scaled = |room: &Room| 10 * n * room.load;
        let outside = |room: &Room| scaled(room) > 11 * self.sum || scaled(room) < 9 * self.sum;
        if !self.rooms.iter().any(outside) {
            return Vec::new();
        }
        let heavy = |room: &&Room| scaled(room) >= 11 * self.sum;
        let mut donors: Vec<&Room> = self.rooms.iter().filter(heavy).collect();
        if donors.is_empty() {
            // `max_by_key` takes the last among equals, the library the first.
            donors.extend(self.rooms.iter().rev().max_by_key(|room| room.load));
        }
        let surplus = |room: &Room| {
            let excess = (n * room.load).saturating_sub(self.sum);
            let share_ppm = excess.saturating_mul(600_000) / (n * room.load).max(1);
            view.assigned[room.worker.index()].saturating_mul(share_ppm)
        };
        let mut takes: Vec<_> = donors.iter().map(|r| (r.worker, surplus(r))).collect();
        takes.sort_by_key(|&(_, surplus)| std::cmp::Reverse(surplus));
        takes
    }
}

/// Random leases of `worker` that together stay below `surplus`, in millionths, or else its smallest
/// one.
fn leases_worth(
    view: &View<'_>,
    worker: WorkerId,
    surplus: u128,
    rng: &mut RngStream,
) -> Vec<usize> {
    let mut leases = view.leases_of(worker);
    if view.assigned[worker.index()] == 0 {
        leases.truncate(1);
        return leases;
    }
    let all = leases.len();
    shuffle_front(&mut leases, all, rng);
    let mut rest = surplus;
    let fitting = leases.iter().copied().filter(|&at| {
        let weight = view.weights[at].saturating_mul(1_000_000);
        let fits = weight < rest;
        if fits {
            rest -= weight;
        }
        fits
    });
    let fitting: Vec<usize> = fitting.collect();
    if fitting.is_empty() {
        let smallest = leases.into_iter().min_by_key(|&at| view.weights[at]);
        return smallest.into_iter().collect();
    }
    fitting
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::Rngs;

    fn lease(shard: u32, owner: Option<u32>, available: bool, throughput: u64) -> AssignableLease {
        AssignableLease {
            shard: ShardIndex(shard),
            owner: owner.map(WorkerId),
            available,
            changed_at: owner.map(|_| SimTime::ZERO),
            handing_over: false,
            movable: true,
            throughput: Some(throughput),
        }
    }

    /// All workers report, each the leases that it owns.
    fn fleet(leases: &[AssignableLease], workers: u32) -> Fleet {
        let reported = |worker| {
            let owned = |(_, l): &(usize, &AssignableLease)| l.owner == Some(worker);
            leases.iter().enumerate().filter(owned).map(|(at, _)| at).collect()
        };
        let candidate = |worker| Candidate { worker, reported: reported(worker) };
        Fleet {
            candidates: (0..workers).map(WorkerId).map(candidate).collect(),
            worker_count: workers as usize,
            max_leases_for_worker: u32::MAX,
        }
    }

    fn shares(leases: &[AssignableLease], moves: &BTreeMap<usize, WorkerId>) -> Vec<u64> {
        let mut shares = vec![0; 16];
        for (at, lease) in leases.iter().enumerate() {
            let owner = moves.get(&at).copied().or(lease.owner);
            if let Some(owner) = owner {
                shares[owner.index()] += lease.throughput.unwrap_or(0);
            }
        }
        shares
    }

    fn rng() -> RngStream {
        Rngs::new(1).stream("leader")
    }

    /// N-KCL-19: the room shrinks with each lease, so six equal leases go round.
    #[test]
    fn unowned_leases_spread_evenly_over_an_idle_fleet() {
        let leases: Vec<_> = (0..6).map(|n| lease(n, None, true, 100)).collect();
        for strategy in [AssignmentStrategy::Throughput, AssignmentStrategy::LeaseCount] {
            let moves = plan(&leases, fleet(&leases, 3), strategy, false, &mut rng());
            assert_eq!(shares(&leases, &moves)[..3], [200, 200, 200]);
        }
    }

    #[test]
    fn an_orphan_goes_to_the_worker_with_most_room() {
        let mut leases = vec![lease(0, Some(0), false, 300), lease(1, Some(1), false, 100)];
        leases.push(lease(2, None, true, 50));
        leases.push(lease(3, Some(2), false, 250));
        let moves =
            plan(&leases, fleet(&leases, 3), AssignmentStrategy::Throughput, false, &mut rng());
        assert_eq!(moves, BTreeMap::from([(2, WorkerId(1))]));
    }

    /// N-KCL-19: a dead worker that still counts has the most room once the others have got one
    /// lease each; its own leases stay with it.
    #[test]
    fn a_dead_candidate_absorbs_its_own_leases() {
        let mut moved = std::collections::BTreeSet::new();
        for seed in 0..50 {
            let owned = |n: u32| lease(n, Some(n % 3), n % 3 == 2, 100);
            let leases: Vec<_> = (0..30).map(owned).collect();
            let mut rng = Rngs::new(seed).stream("leader");
            let moves =
                plan(&leases, fleet(&leases, 3), AssignmentStrategy::Throughput, false, &mut rng);
            moved.insert(moves.len());
        }
        // As many as come before it among the equals.
        assert_eq!(moved, std::collections::BTreeSet::from([0, 1, 2]));
    }

    /// N-KCL-19: with room for two, the unowned one and then the one that expired first.
    #[test]
    fn the_oldest_orphans_go_first() {
        let mut leases = vec![lease(0, Some(1), true, 1), lease(1, Some(1), true, 1)];
        leases.push(lease(2, None, true, 1));
        leases[0].changed_at = Some(SimTime(9));
        leases[1].changed_at = Some(SimTime(5));
        for strategy in [AssignmentStrategy::Throughput, AssignmentStrategy::LeaseCount] {
            let mut one = fleet(&leases, 1);
            one.worker_count = 2;
            one.max_leases_for_worker = 2;
            let moves = plan(&leases, one, strategy, false, &mut rng());
            assert_eq!(moves.into_keys().collect::<Vec<_>>(), [1, 2]);
        }
    }

    #[test]
    fn an_expired_handoff_is_written_even_to_its_present_owner() {
        let mut stuck = lease(0, Some(0), true, 100);
        stuck.handing_over = true;
        let moves =
            plan(&[stuck], fleet(&[stuck], 1), AssignmentStrategy::Throughput, false, &mut rng());
        assert_eq!(moves, BTreeMap::from([(0, WorkerId(0))]));
    }

    /// N-KCL-20: 109 and 91 against 100 are inside, 111 and 89 are outside.
    #[test]
    fn balance_begins_ten_percent_off_the_average() {
        let spread = |a: u64, b: u64| {
            let mut leases: Vec<_> = (0..a).map(|_| lease(0, Some(0), false, 1)).collect();
            leases.extend((0..b).map(|_| lease(0, Some(1), false, 1)));
            plan(&leases, fleet(&leases, 2), AssignmentStrategy::Throughput, true, &mut rng()).len()
        };
        assert_eq!(spread(109, 91), 0);
        // 60 % of 11 is 6.6: six leases stay below that.
        assert_eq!(spread(111, 89), 6);
    }

    /// Taken as a whole: 60 % of the excess of 300 over 200, in random leases that fit.
    #[test]
    fn balance_takes_sixty_percent_of_the_excess() {
        let mut leases: Vec<_> = (0..300).map(|n| lease(n, Some(0), false, 1)).collect();
        leases.extend((300..400).map(|n| lease(n, Some(1), false, 1)));
        let moves =
            plan(&leases, fleet(&leases, 2), AssignmentStrategy::Throughput, true, &mut rng());
        // 60 exactly, and the leases must stay below it.
        assert_eq!(shares(&leases, &moves)[..2], [300 - 59, 100 + 59]);
    }

    #[test]
    fn a_lease_that_would_lift_its_receiver_above_the_average_stays() {
        // One shard carries most: moving it would only move the problem.
        let leases = [lease(0, Some(0), false, 900), lease(1, Some(1), false, 100)];
        let moves =
            plan(&leases, fleet(&leases, 2), AssignmentStrategy::Throughput, true, &mut rng());
        assert_eq!(moves, BTreeMap::new());
    }

    #[test]
    fn counting_balances_counts_and_not_throughput() {
        let mut leases: Vec<_> = (0..7).map(|n| lease(n, Some(0), false, 1)).collect();
        leases.push(lease(7, Some(1), false, 1_000));
        let moves =
            plan(&leases, fleet(&leases, 2), AssignmentStrategy::LeaseCount, true, &mut rng());
        // Target 4: three of the seven go.
        assert_eq!(moves.len(), 3);
        assert!(moves.values().all(|&worker| worker == WorkerId(1)));
    }

    #[test]
    fn counting_leaves_running_handoffs_alone() {
        let mut leases: Vec<_> = (0..4).map(|n| lease(n, Some(0), false, 1)).collect();
        for lease in &mut leases {
            lease.handing_over = true;
            lease.movable = false;
        }
        let moves =
            plan(&leases, fleet(&leases, 2), AssignmentStrategy::LeaseCount, true, &mut rng());
        assert_eq!(moves, BTreeMap::new());
    }

    #[test]
    fn nobody_gets_more_than_max_leases_for_worker() {
        let leases: Vec<_> = (0..9).map(|n| lease(n, None, true, 10)).collect();
        for strategy in [AssignmentStrategy::Throughput, AssignmentStrategy::LeaseCount] {
            let mut fleet = fleet(&leases, 2);
            fleet.max_leases_for_worker = 3;
            let moves = plan(&leases, fleet, strategy, true, &mut rng());
            assert_eq!(shares(&leases, &moves)[..2], [30, 30]);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        /// With a live fleet every orphan gets an owner, and balancing never makes the spread of
        /// the loads wider.
        #[test]
        fn a_plan_leaves_no_orphan_and_narrows_the_spread(
            leases in prop::collection::vec((prop::option::of(0..4_u32), 0..1_000_u64), 1..40),
            counting in any::<bool>(),
            seed in any::<u64>(),
        ) {
            let row = |(n, &(owner, rate)): (u32, &(Option<u32>, u64))| {
                lease(n, owner, owner.is_none(), rate)
            };
            let leases: Vec<_> = (0..).zip(&leases).map(row).collect();
            let strategy = if counting { AssignmentStrategy::LeaseCount } else { AssignmentStrategy::Throughput };
            let mut rng = Rngs::new(seed).stream("leader");
            let assigned = plan(&leases, fleet(&leases, 4), strategy, false, &mut rng);
            if !counting {
                let orphans = leases.iter().filter(|l| l.owner.is_none()).count();
                prop_assert_eq!(assigned.len(), orphans);
            }

            let owned: Vec<_> = leases.iter().enumerate().filter_map(|(at, l)| {
                let owner = l.owner.or(assigned.get(&at).map(|w| WorkerId(w.0)));
                owner.map(|w| AssignableLease { owner: Some(w), available: false, ..*l })
            }).collect();
            let moves = plan(&owned, fleet(&owned, 4), strategy, true, &mut rng);
            let load = |moves| {
                let loads = shares(&owned, moves);
                loads[..4].iter().copied().max().unwrap()
            };
            if !counting {
                prop_assert!(load(&moves) <= load(&BTreeMap::new()));
            }
        }
    }
}
