//! Lease coordination of the Kinesis Client Library: who reads which shard, and when each worker
//! learns of it.
//!
//! | Mechanism                                                                 | Fact            |
//! |---------------------------------------------------------------------------|-----------------|
//! | 2.x: every worker scans and takes for itself (`taker`)                    | N-KCL-6, -7     |
//! | Cold start in 2.x: the first scanner takes all                            | N-KCL-7         |
//! | Expiry by the observer's clock (`table`); hence the failover time         | N-KCL-5, -8     |
//! | A stop gives no lease back                                                | N-KCL-8         |
//! | Loss is noticed at the next renewal; only checkpoints are fenced (`renewal`) | N-KCL-4, -8, -9 |
//! | A lease that was taken starts on the scheduler's 1 s loop                 | N-KCL-2, -8     |
//! | Child leases appear unowned; a child waits for its parents                | N-KCL-14, -15   |
//! | 3.x: a leader assigns and balances (`leader`, `assignment`)               | N-KCL-18 to -23 |
//!
//! [`Change::Acquired`] comes when a reader may start, that is on the loop; the lease itself
//! changed hands up to a second (3.x: eleven seconds) before. [`Change::Lost`] comes at the
//! renewal that fails: until then both workers process.
//!
//! Simplification: scans and writes of the lease table take no time and are never throttled
//! (D-25), so no two workers race for a row and the taker keeps its period. Rows at SHARD_END are
//! out of play at once, where the library keeps and counts them until its cleanup (N-KCL-17). A
//! blocked child polls every `parentShardPollIntervalMillis` flat; really each poll also waits for
//! the loop. With an overloaded lease table an operator would see slower failover than here.

mod assignment;
mod leader;
mod renewal;
mod table;
mod taker;
#[cfg(test)]
mod tests;
mod timing;

use self::leader::Lock;
use self::table::{Holder, Lease, Pulse, Stage, Worker, unchanged_for};
use self::taker::{Limits, SeenLease};
use self::timing::{Intervals, Threads};
use crate::config::{KclConfig, KclVersion};
use crate::engine::{Ctx, Rngs, SimDuration, SimTime};
use crate::kinesis::ShardIndex;

/// Which worker of one application; numbers are never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorkerId(pub u32);

impl WorkerId {
    fn index(self) -> usize {
        self.0 as usize
    }
}

/// An event of the coordination.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// 2.x: a worker's taker scans the lease table.
    TakerRan(WorkerId),
    /// A worker's renewal thread runs, and will notice something.
    Renewed(WorkerId),
    /// A worker's scheduler loop runs, and has leases to start.
    LoopRan(WorkerId),
    /// The blocked reader of a shard looks for the end of its parents.
    ParentsPolled {
        /// The child.
        shard: ShardIndex,
        /// Which acquisition of its lease; an older one's polls are void.
        acquisition: u32,
    },
    /// 3.x: a worker looks at the leader's lock.
    LockChecked(WorkerId),
    /// 3.x: the leader assigns leases.
    AssignerRan(WorkerId),
    /// 3.x: a worker looks for leases that were assigned to it.
    LeasesDiscovered(WorkerId),
    /// 3.x: a worker gives up waiting for a reader that was asked to shut down.
    HandoffTimedOut {
        /// The shard that is handed over.
        shard: ShardIndex,
        /// Which acquisition of its lease.
        acquisition: u32,
    },
}
const _: () = assert!(size_of::<Event>() <= 12);

/// What the coordination decided: the reading side acts on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// `worker` holds the lease and knows it: it may start reading from the checkpoint.
    Acquired {
        /// The shard.
        shard: ShardIndex,
        /// Its new reader.
        worker: WorkerId,
        /// Whether the lease had another owner before (counts as `leases_taken`).
        taken: bool,
    },
    /// `worker` noticed that it no longer holds the lease: it stops, without a checkpoint.
    Lost {
        /// The shard.
        shard: ShardIndex,
        /// Its former reader.
        worker: WorkerId,
    },
    /// 3.x graceful handoff: `worker` should finish its batch, checkpoint, and then call
    /// [`Coordination::handed_off`].
    ShutdownRequested {
        /// The shard.
        shard: ShardIndex,
        /// Its present reader.
        worker: WorkerId,
    },
    /// 3.x: `worker` got the leader's lock.
    LeaderChanged {
        /// The new leader.
        worker: WorkerId,
    },
}

/// The lease table of one application and the workers around it.
#[derive(Clone)]
pub struct Coordination {
    config: KclConfig,
    intervals: Intervals,
    rngs: Rngs,
    workers: Vec<Worker>,
    /// Rows by shard index; `None` where there is none.
    leases: Vec<Option<Lease>>,
    /// Shards whose lease is not at SHARD_END, in order.
    open: Vec<ShardIndex>,
    /// Children whose lease must wait for the lease of their other parent to exist.
    unborn: Vec<(ShardIndex, [Option<ShardIndex>; 2])>,
    lock: Lock,
}

impl Coordination {
    /// An application over the shards that are open now, not yet started.
    #[must_use]
    pub fn new(config: &KclConfig, shards: &[ShardIndex], rngs: &Rngs) -> Self {
        Self::new_at(config, shards, rngs, SimTime::ZERO)
    }

    fn new_at(config: &KclConfig, shards: &[ShardIndex], rngs: &Rngs, now: SimTime) -> Self {
        let mut this = Self {
            config: config.clone(),
            intervals: Intervals::of(config.failover_time),
            rngs: *rngs,
            workers: Vec::new(),
            leases: Vec::new(),
            open: Vec::new(),
            unborn: Vec::new(),
            lock: Lock::default(),
        };
        for _ in 0..config.workers {
            this.spawn(now);
        }
        for &shard in shards {
            this.insert_lease(shard, [None, None]);
        }
        this
    }

    /// An application that was not there before begins: so many workers start at once, and find
    /// these shards without an owner.
    pub fn begin(
        &mut self,
        workers: u32,
        shards: &[ShardIndex],
        ctx: &mut Ctx<'_, Event>,
        changes: &mut Vec<Change>,
    ) {
        let config = KclConfig { workers, ..self.config.clone() };
        *self = Self::new_at(&config, shards, &self.rngs, ctx.now);
        self.start(false, ctx, changes);
    }

    /// Schedules the first scans. With `steady_start` the fleet is found at work: leases are held as
    /// the configuration says, or dealt to the workers in turn (within `maxLeasesForWorker`), and in
    /// 3.x worker 0 is the leader. Without it the table is empty (cold start).
    pub fn start(
        &mut self,
        steady_start: bool,
        ctx: &mut Ctx<'_, Event>,
        changes: &mut Vec<Change>,
    ) {
        if steady_start {
            self.deal_leases(ctx.now, changes);
        }
        for worker in self.worker_ids() {
            let threads = self.workers[worker.index()].threads;
            match self.config.version {
                KclVersion::V2 => ctx.at(threads.taker.next_from(ctx.now), Event::TakerRan(worker)),
                KclVersion::V3 if steady_start && worker == WorkerId(0) => {
                    self.lock.seize(worker, ctx.now);
                    ctx.at(threads.assigner.next_from(ctx.now), Event::AssignerRan(worker));
                }
                KclVersion::V3 => {
                    let check = if steady_start { threads.lock_check } else { threads.scheduler };
                    ctx.at(check.next_from(ctx.now), Event::LockChecked(worker));
                }
            }
        }
    }

    /// Shards whose lease is not at SHARD_END, in order.
    #[must_use]
    pub fn open_leases(&self) -> &[ShardIndex] {
        &self.open
    }

    /// Reacts to an event. A paused worker's events wait for its end of pause; a dead one's are
    /// void.
    pub fn handle(&mut self, event: Event, ctx: &mut Ctx<'_, Event>, changes: &mut Vec<Change>) {
        let Some(worker) = self.worker_of(event) else {
            return;
        };
        match self.workers[worker.index()].pulse {
            Pulse::Gone => return,
            Pulse::Paused => return self.workers[worker.index()].missed.push(event),
            Pulse::Running => {}
        }
        match event {
            Event::TakerRan(_) => self.on_taker_ran(worker, ctx, changes),
            Event::Renewed(_) => self.on_renewed(worker, ctx, changes),
            Event::LoopRan(_) => self.on_loop_ran(worker, ctx, changes),
            Event::ParentsPolled { shard, .. } => self.start_reader(shard, ctx, changes),
            Event::LockChecked(_) => self.on_lock_checked(worker, ctx, changes),
            Event::AssignerRan(_) => self.on_assigner_ran(worker, ctx),
            Event::LeasesDiscovered(_) => self.on_leases_discovered(worker, ctx),
            Event::HandoffTimedOut { shard, .. } => self.on_handoff_timed_out(shard, ctx),
        }
    }

    /// A worker dies without a word: its leases stay in its name until others see them expire.
    pub fn kill(&mut self, worker: WorkerId, now: SimTime) {
        let worker = &mut self.workers[worker.index()];
        worker.freeze(now);
        worker.pulse = Pulse::Gone;
        worker.forget_plans();
    }

    /// A clean stop. No version gives leases back (N-KCL-8); a 3.x leader releases its lock.
    pub fn stop(&mut self, worker: WorkerId, now: SimTime) {
        self.kill(worker, now);
        self.lock.release(worker);
    }

    /// A new worker process joins. It scans (2.x) or looks at the leader's lock (3.x) at once.
    pub fn add_worker(&mut self, ctx: &mut Ctx<'_, Event>) -> WorkerId {
        let worker = self.spawn(ctx.now);
        let first = match self.config.version {
            KclVersion::V2 => Event::TakerRan(worker),
            KclVersion::V3 => Event::LockChecked(worker),
        };
        ctx.at(ctx.now, first);
        worker
    }

    /// The reader of `shard` has read it to its end and checkpointed SHARD_END. The leases of its
    /// children, each given with its parents, are created unowned; that of a merged child only once
    /// both parents have one (N-KCL-15).
    pub fn shard_ended(
        &mut self,
        shard: ShardIndex,
        parents_of_children: &[(ShardIndex, [Option<ShardIndex>; 2])],
        ctx: &mut Ctx<'_, Event>,
    ) {
        let workers = &self.workers;
        let Some(lease) = self.leases.get_mut(shard.0 as usize).and_then(Option::as_mut) else {
            return;
        };
        lease.settle(ctx.now, None, workers);
        lease.ended = true;
        self.open.retain(|&open| open != shard);
        self.unborn.extend_from_slice(parents_of_children);
        // A new lease may be the parent that another child waits for.
        while let Some(ready) = self.unborn.iter().position(|(_, p)| self.have_leases(p)) {
            let (child, parents) = self.unborn.remove(ready);
            self.insert_lease(child, parents);
        }
    }

    /// Shards whose lease is made without regard to their parents: for readers that do not wait.
    pub fn shards_found(&mut self, shards: &[ShardIndex]) {
        for &shard in shards {
            self.insert_lease(shard, [None; 2]);
        }
    }

    /// The owner by the table, as other workers believe it; during a handoff still the old one.
    #[must_use]
    pub fn owner(&self, shard: ShardIndex) -> Option<WorkerId> {
        self.lease(shard).and_then(Lease::actual_owner)
    }

    /// 3.x: who holds the leader's lock, alive or not.
    #[must_use]
    pub fn leader(&self) -> Option<WorkerId> {
        self.lock.holder()
    }

    /// Notes the throughput of a shard as its reader measured it, for balancing in 3.x.
    pub fn report_throughput(&mut self, shard: ShardIndex, bytes_per_s: u64) {
        if let Some(lease) = self.lease_mut(shard) {
            lease.throughput = Some(bytes_per_s);
        }
    }

    /// Checks what must always hold: a lease has one holder, which is its owner; the holder has not
    /// also lost it; leases at SHARD_END are out of play. (That counters only grow is checked at
    /// each write.)
    pub fn audit(&self) {
        for (shard, lease) in (0..).map(ShardIndex).zip(&self.leases) {
            let Some(lease) = lease else { continue };
            let open = self.open.binary_search(&shard).is_ok();
            assert_ne!(open, lease.ended, "{shard:?} is open, or at its end");
            if let Some(holder) = lease.holder {
                assert!(open, "{shard:?} has ended and is held");
                assert_eq!(Some(holder.worker), lease.actual_owner(), "holder of {shard:?}");
                let stale = &self.workers[holder.worker.index()].stale;
                assert!(!stale.contains(&shard), "{shard:?} is both held and lost");
            }
        }
    }

    /// The worker that an event belongs to, or `None` if it is out of date.
    fn worker_of(&self, event: Event) -> Option<WorkerId> {
        match event {
            Event::TakerRan(worker)
            | Event::Renewed(worker)
            | Event::LoopRan(worker)
            | Event::LockChecked(worker)
            | Event::AssignerRan(worker)
            | Event::LeasesDiscovered(worker) => Some(worker),
            Event::ParentsPolled { shard, acquisition } => {
                self.holder_if(shard, acquisition, Stage::WaitingOnParents)
            }
            Event::HandoffTimedOut { shard, acquisition } => {
                self.holder_if(shard, acquisition, Stage::ShutdownRequested)
            }
        }
    }

    fn holder_if(&self, shard: ShardIndex, acquisition: u32, stage: Stage) -> Option<WorkerId> {
        let lease = self.lease(shard)?;
        let holder = lease.holder.filter(|h| h.stage == stage)?;
        (lease.acquisition == acquisition).then_some(holder.worker)
    }

    /// 2.x: one run of a worker's taker.
    fn on_taker_ran(&mut self, me: WorkerId, ctx: &mut Ctx<'_, Event>, changes: &mut Vec<Change>) {
        let seen = self.scan(me, ctx.now);
        let limits = Limits {
            max_leases_for_worker: self.config.max_leases_for_worker,
            max_leases_to_steal_at_one_time: self.config.max_leases_to_steal_at_one_time,
        };
        let worker_count = self.workers.len();
        let rng = &mut self.workers[me.index()].rng;
        for shard in taker::leases_to_take(&seen, me, worker_count, limits, rng) {
            self.take(shard, me, ctx, changes);
        }
        ctx.after(self.intervals.take, Event::TakerRan(me));
    }

    /// Scans the table and judges every open lease by the worker's own clock.
    fn scan(&mut self, me: WorkerId, now: SimTime) -> Vec<SeenLease> {
        let renewals = self.renewals_by(now);
        let failover = self.intervals.failover;
        let observer = &mut self.workers[me.index()].observer;
        let mut seen = Vec::with_capacity(self.open.len());
        for &shard in &self.open {
            let Some(lease) = &self.leases[shard.0 as usize] else {
                continue;
            };
            let owner = lease.lease_owner;
            let counter = lease.counter_with(|worker| renewals[worker.index()]);
            let changed_at = observer.note(shard, counter, owner.is_some(), now);
            seen.push(SeenLease {
                shard,
                owner,
                available: owner.is_none() || unchanged_for(changed_at, failover, now),
                very_old: unchanged_for(changed_at, failover.times(3), now),
            });
        }
        seen
    }

    /// 2.x: writes `me` into the row and holds the lease.
    fn take(
        &mut self,
        shard: ShardIndex,
        me: WorkerId,
        ctx: &mut Ctx<'_, Event>,
        changes: &mut Vec<Change>,
    ) {
        self.evict(shard, ctx);
        self.notice_loss(shard, me, changes);
        let holder = Holder { worker: me, stage: Stage::Held };
        self.write_owner(shard, me, Some(holder), ctx.now);
        self.wait_for_loop(shard, me, ctx);
    }

    /// Writes a new owner into the row, which adds one to the counter.
    fn write_owner(
        &mut self,
        shard: ShardIndex,
        owner: WorkerId,
        holder: Option<Holder>,
        now: SimTime,
    ) {
        let workers = &self.workers;
        let Some(lease) = self.leases[shard.0 as usize].as_mut() else {
            return;
        };
        lease.taken |= lease.actual_owner().is_some_and(|before| before != owner);
        lease.write(now, holder, workers);
        lease.lease_owner = Some(owner);
        lease.checkpoint_owner = None;
    }

    /// A lease that `worker` came to hold waits for its scheduler's loop.
    fn wait_for_loop(&mut self, shard: ShardIndex, worker: WorkerId, ctx: &mut Ctx<'_, Event>) {
        if let Some(lease) = self.lease_mut(shard) {
            lease.acquisition += 1;
        }
        let state = &mut self.workers[worker.index()];
        state.waiting.push(shard);
        if !state.loop_armed {
            state.loop_armed = true;
            let next = state.threads.scheduler.next_after(ctx.now);
            ctx.at(next, Event::LoopRan(worker));
        }
    }

    fn on_loop_ran(
        &mut self,
        worker: WorkerId,
        ctx: &mut Ctx<'_, Event>,
        changes: &mut Vec<Change>,
    ) {
        let state = &mut self.workers[worker.index()];
        state.loop_armed = false;
        for shard in std::mem::take(&mut state.waiting) {
            let holder = self.lease(shard).and_then(|lease| lease.holder);
            if holder.is_some_and(|h| h.worker == worker && h.stage == Stage::Held) {
                self.start_reader(shard, ctx, changes);
            }
        }
    }

    /// Starts the reader of a held lease, or lets it wait for the end of its parents.
    fn start_reader(
        &mut self,
        shard: ShardIndex,
        ctx: &mut Ctx<'_, Event>,
        changes: &mut Vec<Change>,
    ) {
        let blocked = self.lease(shard).is_some_and(|lease| {
            let mut parents = lease.parents.iter().flatten();
            parents.any(|&parent| self.lease(parent).is_some_and(|p| !p.ended))
        });
        let poll_interval = self.config.parent_shard_poll_interval;
        let Some(lease) = self.lease_mut(shard) else {
            return;
        };
        let Some(holder) = lease.holder.as_mut() else {
            return;
        };
        if blocked {
            holder.stage = Stage::WaitingOnParents;
            let acquisition = lease.acquisition;
            let wait = poll_interval.max(SimDuration::from_millis(1));
            ctx.after(wait, Event::ParentsPolled { shard, acquisition });
            return;
        }
        holder.stage = Stage::Reading;
        changes.push(Change::Acquired { shard, worker: holder.worker, taken: lease.taken });
        lease.taken = false;
    }

    /// Deals the open leases to the workers in turn, as a balanced fleet holds them.
    fn deal_leases(&mut self, now: SimTime, changes: &mut Vec<Change>) {
        for (shard, worker) in self.first_owners() {
            let holder = Holder { worker, stage: Stage::Reading };
            self.write_owner(shard, worker, Some(holder), now);
            changes.push(Change::Acquired { shard, worker, taken: false });
        }
    }

    /// Who holds which lease at a steady start. A shard that the configuration leaves out has no
    /// owner.
    fn first_owners(&self) -> Vec<(ShardIndex, WorkerId)> {
        if !self.config.leases.is_empty() {
            let lists = (0..).map(WorkerId).zip(&self.config.leases);
            let leases = lists.flat_map(|(worker, list)| list.iter().map(move |it| (*it, worker)));
            return leases.map(|(shard, worker)| (ShardIndex(shard), worker)).collect();
        }
        let workers = self.config.workers.max(1);
        let most = u64::from(self.config.max_leases_for_worker) * u64::from(workers);
        let numbered = (0..).zip(&self.open).take_while(|(n, _)| u64::from(*n) < most);
        numbered.map(|(n, shard)| (*shard, WorkerId(n % workers))).collect()
    }

    /// Starts a worker process with its own phases and draws.
    fn spawn(&mut self, now: SimTime) -> WorkerId {
        let number = u32::try_from(self.workers.len()).expect("fewer than 2^32 workers");
        let prefix = format!("consumer/{}/worker/{number}", self.config.name);
        let mut phases = self.rngs.stream(&format!("{prefix}/phases"));
        let threads = Threads::drawn(&self.intervals, now, &mut phases);
        let rng = self.rngs.stream(&format!("{prefix}/coordination"));
        self.workers.push(Worker::started(threads, rng, now));
        WorkerId(number)
    }

    fn insert_lease(&mut self, shard: ShardIndex, parents: [Option<ShardIndex>; 2]) {
        let at = shard.0 as usize;
        if self.leases.len() <= at {
            self.leases.resize(at + 1, None);
        }
        if self.leases[at].is_none() {
            self.leases[at] = Some(Lease::unowned(parents));
            let place = self.open.partition_point(|&open| open < shard);
            self.open.insert(place, shard);
        }
    }

    fn have_leases(&self, shards: &[Option<ShardIndex>; 2]) -> bool {
        shards.iter().flatten().all(|&s| self.lease(s).is_some())
    }

    fn lease(&self, shard: ShardIndex) -> Option<&Lease> {
        self.leases.get(shard.0 as usize)?.as_ref()
    }

    fn lease_mut(&mut self, shard: ShardIndex) -> Option<&mut Lease> {
        self.leases.get_mut(shard.0 as usize)?.as_mut()
    }

    fn worker_ids(&self) -> impl Iterator<Item = WorkerId> + use<> {
        let count = u32::try_from(self.workers.len()).unwrap_or(u32::MAX);
        (0..count).map(WorkerId)
    }

    /// How often each worker's renewal thread has run by `now`.
    fn renewals_by(&self, now: SimTime) -> Vec<u64> {
        self.workers.iter().map(|w| w.renewals_by(now)).collect()
    }
}
