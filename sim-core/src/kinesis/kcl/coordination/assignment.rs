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
pub(super) enum Strategy {
    /// By what the leases carry.
    Throughput,
    /// By how many there are.
    LeaseCount,
}

/// The leases to assign in this run, by index into `leases`, each with its new owner.
pub(super) fn plan(
    leases: &[AssignableLease],
    mut fleet: Fleet,
    strategy: Strategy,
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
        Strategy::Throughput => {
            let mut rooms = Rooms::new(&view);
            rooms.assign_available(&mut view);
            if balances {
                rooms.balance(&mut view, rng);
            }
        }
        Strategy::LeaseCount => {
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
        Self {
            leases,
            fleet,
            owners,
            weights,
            assigned,
            counts,
            moves: BTreeMap::new(),
        }
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
        all.filter(|&(_, &owner)| owner == Some(worker))
            .map(|(at, _)| at)
            .collect()
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

    /// The workers to take leases from, and how much throughput from each: 60 % of what is above
    /// the average. None while all are within 10 % of it.
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
            view.assigned[room.worker.index()].saturating_mul(share_ppm) / 1_000_000
        };
        let mut takes: Vec<_> = donors.iter().map(|r| (r.worker, surplus(r))).collect();
        takes.sort_by_key(|&(_, surplus)| std::cmp::Reverse(surplus));
        takes
    }
}

/// Random leases of `worker` that together stay below `surplus`, or else its smallest one.
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
        let fits = view.weights[at] < rest;
        if fits {
            rest -= view.weights[at];
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
