//! A KCL application: workers that hold leases, read their shards and process the records.
//!
//! | Mechanism                                                             | Fact     |
//! |-----------------------------------------------------------------------|----------|
//! | who holds which lease: see `coordination`                              | N-KCL-1 to 9, 16 to 23 |
//! | polling or fan-out, prefetch, expired iterators: see `fetch`            | N-KCL-3, N-KCL-11, N-R |
//! | processing, delivery, checkpoints: see `process`                        | N-KCL-10, D-14 |
//! | what retention takes unread: see `horizon`                            | N-R-7    |
//! | a child shard is read from its start, after its parents                 | N-KCL-14, N-KCL-15 |
//! | a zombie goes on processing until it learns that its lease is gone      | N-KCL-9  |
//!
//! Simplifications: one application reads one stream; lease-table throttling and the shard-sync
//! auditor (N-KCL-16) are left out: tables with thousands of leases on provisioned capacity could
//! tell. A worker that throws in processRecords (N-KCL-12) is not modelled.

mod begin;
pub mod coordination;
mod fetch;
mod fleet;
mod horizon;
mod process;

use crate::blame::{BlameBook, Cause, PlaceClock};
use crate::config::{KclConfig, KclVersion};
use crate::engine::{Ctx, NANOS_PER_SEC, Periodic, RngStream, Rngs, SimDuration, SimTime, Turn};
use crate::flow::FlowId;
use crate::ledger::Ledger;
use crate::metrics::latency::Latency;
use crate::order::{KeyOrder, RestOrder};

use super::ShardIndex;
use super::stream::Stream;
use crate::service::FULL_SPEED;
use crate::sink::Sink;
use coordination::{Change, Coordination, WorkerId};
pub use fleet::Pace;
use horizon::Expired;
use process::Reader;

/// An event inside an application.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// Of the lease coordination.
    Leases(coordination::Event),
    /// A reader asks for records, or is pushed some. Stale unless the generation is the reader's.
    Fetch(u32, u32),
    /// The records of a GetRecords call arrive.
    Arrived(u32, u32),
    /// A processor has finished what it began.
    Processed(u32, u32),
    /// What is finished is settled, and what retention has taken is lost.
    Round(Turn),
    /// Workers report what they read.
    Report(Turn),
}

/// What an application sees of the world while it handles something.
pub struct AppCtx<'a, 'q> {
    /// Time and queue.
    pub ctx: Ctx<'q, Event>,
    /// Its stream.
    pub stream: &'a mut Stream,
    /// The books.
    pub ledger: &'a mut Ledger,
    /// All sinks.
    pub sinks: &'a mut [Sink],
    /// The chance that a record of the flow, on the shard, is of the same key as one of the next
    /// so many.
    pub overtaking: &'a dyn Fn(FlowId, u32, u64) -> f64,
    /// Injected faults in force on the stream.
    pub faults: ReadFaults,
    /// What a person should see of it: (kind, subject within the application, detail).
    pub journal: &'a mut Vec<(&'static str, String, String)>,
}

/// Faults that FIS injects into reads (N-FIS-1), as shares in millionths.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadFaults {
    /// Calls that throw ProvisionedThroughputExceeded.
    pub throttle_ppm: u32,
    /// GetRecords calls that throw ExpiredIterator.
    pub expire_ppm: u32,
}

/// A KCL application.
#[derive(Clone)]
pub struct App {
    /// Its configuration.
    pub config: KclConfig,
    /// Its index, for the ledger.
    pub index: usize,
    coordination: Coordination,
    shards: Vec<Option<ShardState>>,
    readers: Vec<Option<Reader>>,
    workers: Vec<Worker>,
    /// Who runs in each slot, or ran in it last: a replacement is a new worker in an old slot.
    slots: Vec<WorkerId>,
    keys: KeyOrder,
    /// Why its records were late.
    pub blame: BlameBook,
    /// Offered to first delivery.
    pub latency: Latency,
    /// Counts of its own.
    pub counts: Counts,
    /// Factor on the processing time of all workers, in millionths.
    slow_ppm: u64,
    /// It has not begun: there are no workers, and nothing is checkpointed.
    waits: bool,
    /// Readers must ask at every idle time, since together they may be refused.
    polls_all: bool,
    luck: RngStream,
    service: RngStream,
    next_generation: u32,
    unread: u64,
    /// No closer look at the lag before this instant.
    next_look: SimTime,
    rounds: Periodic,
    reports: Periodic,
    changes: Vec<Change>,
}

/// From one round to the next: so closely what the readers of several shards deliver is in order.
const ROUND: SimDuration = SimDuration::from_millis(250);

/// How often workers report their metrics (N-KCL-19).
const REPORT_PERIOD: SimDuration = SimDuration::from_secs(30);

/// Least time between two looks at a lag that may be the greatest so far.
const LOOK_PERIOD: SimDuration = SimDuration::from_millis(10);

/// What an application counts, beyond the ledger.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// GetRecords calls refused for want of throughput.
    pub get_records_throttled: u64,
    /// Iterators used too late.
    pub iterators_expired: u64,
    /// Leases that got another owner.
    pub leases_taken: u64,
    /// Greatest number of unread records, looked at no closer than every 10 ms.
    pub lag_records_max: u64,
    /// Greatest time from append to the end of processing.
    pub lag_max: SimDuration,
    /// Longest that readable records had no active owner.
    pub paused_max: SimDuration,
    /// The same, summed over shards.
    pub paused_total: SimDuration,
    /// Bytes read by GetRecords or pushed.
    pub bytes_read: u64,
}

/// What an application has not read yet.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lag {
    /// Records stored and not processed.
    pub unread: u64,
    /// Age of the oldest of them since its append.
    pub oldest: SimDuration,
    /// Records whose processing is over and that the ledger does not count as delivered yet.
    pub finished: u64,
}

/// What the application knows of one shard.
#[derive(Clone, Debug)]
struct ShardState {
    /// Next part that nobody has processed yet.
    delivered: u64,
    /// What retention has taken unread.
    expired: Expired,
    /// Where a new owner starts.
    checkpoint: u64,
    checkpointed_at: SimTime,
    clock: PlaceClock,
    /// Readers at work: more than one while a zombie lives.
    readers: Vec<u32>,
    /// An interruption has left a backlog.
    interrupted: bool,
    /// Records stored and never processed, without second copies.
    unread: u64,
    rest: RestOrder,
    /// Since when readable records have had no active owner.
    paused_since: Option<SimTime>,
    /// Read to its end.
    ended: bool,
    /// Bytes read since the last throughput report.
    bytes: u64,
}

#[derive(Clone, Debug)]
struct Worker {
    running: bool,
    /// Factor on its processing time, in millionths.
    slow_ppm: u64,
    paused: bool,
    /// Leases that it processes at this moment.
    busy: u32,
    /// Readers that wait for a thread.
    waiting: std::collections::VecDeque<u32>,
}

impl App {
    /// An application before the start of the run.
    #[must_use]
    pub fn new(config: &KclConfig, index: usize, stream: &Stream, rngs: &Rngs) -> Self {
        let waits = config.outset.begins.is_some();
        let open = stream.open.iter().filter(|_| config.outset.has_position());
        let shards: Vec<ShardIndex> = open.map(|&shard| ShardIndex(shard)).collect();
        let name = &config.name;
        let worker = Worker { running: !waits, ..Worker::new(FULL_SPEED) };
        Self {
            coordination: Coordination::new(config, &shards, rngs),
            shards: shards.iter().map(|_| Some(ShardState::new(SimTime::ZERO))).collect(),
            readers: Vec::new(),
            workers: vec![worker; config.workers as usize],
            slots: (0..config.workers).map(WorkerId).collect(),
            keys: KeyOrder::default(),
            blame: BlameBook::default(),
            latency: Latency::default(),
            counts: Counts::default(),
            slow_ppm: FULL_SPEED,
            waits,
            polls_all: false,
            luck: rngs.stream(&format!("consumer/{name}/luck")),
            service: rngs.stream(&format!("consumer/{name}/service")),
            next_generation: 0,
            unread: 0,
            next_look: SimTime::ZERO,
            rounds: Periodic::new(ROUND),
            reports: Periodic::new(REPORT_PERIOD),
            changes: Vec::new(),
            config: config.clone(),
            index,
        }
    }

    /// Starts at work, unless it begins later; `polls_all` if the polling consumers of the stream together
    /// could exceed the calls that a shard allows.
    pub fn start(&mut self, polls_all: bool, rngs: &Rngs, at: &mut AppCtx<'_, '_>) {
        self.polls_all = polls_all;
        let mut luck = rngs.stream(&format!("consumer/{}/rounds", self.config.name));
        let first = at.ctx.now + SimDuration(luck.below(ROUND.0));
        self.rounds.begin(first, Event::Round, &mut at.ctx);
        if self.config.version == KclVersion::V3 {
            let first = at.ctx.now + REPORT_PERIOD + SimDuration(luck.below(REPORT_PERIOD.0));
            self.reports.begin(first, Event::Report, &mut at.ctx);
        }
        self.take_position(at);
        if self.waits {
            return;
        }
        self.with_leases(at, |leases, ctx, changes| leases.start(true, ctx, changes));
        // Who owns what at the start was not taken from anybody.
        self.counts.leases_taken = 0;
    }

    /// An event of its own.
    pub fn handle(&mut self, event: Event, at: &mut AppCtx<'_, '_>) {
        match event {
            Event::Leases(event) => {
                self.with_leases(at, |leases, ctx, changes| leases.handle(event, ctx, changes));
            }
            Event::Fetch(reader, generation) => self.on_fetch(reader, generation, at),
            Event::Arrived(reader, generation) => self.on_arrived(reader, generation, at),
            Event::Processed(reader, generation) => self.on_processed(reader, generation, at),
            Event::Round(turn) => {
                if self.rounds.comes(turn, Event::Round, &mut at.ctx) {
                    self.settle_all(at);
                    self.expire_all(at);
                }
            }
            Event::Report(turn) => {
                if self.reports.comes(turn, Event::Report, &mut at.ctx) {
                    self.report_throughput();
                }
            }
        }
    }

    /// Lets the coordination act, and acts on what it decides.
    fn with_leases(
        &mut self,
        at: &mut AppCtx<'_, '_>,
        act: impl FnOnce(&mut Coordination, &mut Ctx<'_, coordination::Event>, &mut Vec<Change>),
    ) {
        let now = at.ctx.now;
        let mut changes = std::mem::take(&mut self.changes);
        {
            let mut lift = Lift { ctx: &mut at.ctx };
            act(&mut self.coordination, &mut Ctx::new(now, &mut lift), &mut changes);
        }
        for change in changes.drain(..) {
            self.on_change(change, at);
        }
        self.changes = changes;
        self.name_orphans(now);
    }

    fn on_change(&mut self, change: Change, at: &mut AppCtx<'_, '_>) {
        match change {
            Change::Acquired { shard, worker, taken } => {
                if taken {
                    self.counts.leases_taken += 1;
                    let subject = format!("{}/worker-{}", Stream::shard_name(shard.0), worker.0);
                    at.journal.push(("lease_taken", subject, String::new()));
                }
                self.start_reader(shard.0, worker, at);
            }
            Change::Lost { shard, worker } => {
                if let Some(reader) = self.reader_of(shard.0, worker) {
                    self.stop_reader(reader, at);
                }
            }
            Change::ShutdownRequested { shard, worker } => match self.reader_of(shard.0, worker) {
                Some(reader) => self.request_shutdown(reader, at),
                None => self.hand_off(shard, at),
            },
            Change::LeaderChanged { worker } => {
                at.journal.push((
                    "kcl_leader_changed",
                    format!("worker-{}", worker.0),
                    String::new(),
                ));
            }
        }
    }

    fn hand_off(&mut self, shard: ShardIndex, at: &mut AppCtx<'_, '_>) {
        self.with_leases(at, |leases, ctx, changes| leases.handed_off(shard, ctx, changes));
    }

    fn reader_of(&self, shard: u32, worker: WorkerId) -> Option<u32> {
        let state = self.shards.get(shard as usize)?.as_ref()?;
        state.readers.iter().copied().find(|&reader| {
            self.readers[reader as usize].as_ref().is_some_and(|r| r.worker == worker)
        })
    }

    /// Shards were replaced. Children are known once a parent has been read to its end, or at once
    /// to an application that does not wait for parents.
    pub fn resharded(&mut self, opened: &[u32], at: &mut AppCtx<'_, '_>) {
        let now = at.ctx.now;
        for &shard in opened {
            if self.shards.len() <= shard as usize {
                self.shards.resize(shard as usize + 1, None);
            }
            let mut state = ShardState::new(now);
            for parent in at.stream.shards[shard as usize].parents.into_iter().flatten() {
                if let Some(parent) = &self.shards[parent as usize] {
                    state.rest.inherit(&parent.rest);
                }
            }
            self.shards[shard as usize] = Some(state);
        }
        let mut closed: Vec<u32> = opened
            .iter()
            .flat_map(|&shard| at.stream.shards[shard as usize].parents)
            .flatten()
            .collect();
        closed.sort_unstable();
        closed.dedup();
        if !self.config.parents_first {
            // A naive reader begins with them at once; the parents stay in its table until read.
            let found: Vec<ShardIndex> = opened.iter().map(|&shard| ShardIndex(shard)).collect();
            self.with_leases(at, |leases, _, _| leases.shards_found(&found));
        }
        for parent in closed {
            self.check_end(parent, at);
        }
    }

    /// A request was appended to a shard: `records` of them new to the application.
    pub fn appended(&mut self, shard: u32, records: u64, at: &mut AppCtx<'_, '_>) {
        let Some(state) = self.shards[shard as usize].as_mut() else {
            return;
        };
        state.unread += records;
        self.unread += records;
        if self.unread > self.counts.lag_records_max && self.next_look <= at.ctx.now {
            // What processors have finished is not counted until somebody looks.
            self.next_look = at.ctx.now + LOOK_PERIOD;
            self.settle_all(at);
            self.counts.lag_records_max = self.counts.lag_records_max.max(self.unread);
        }
        let Some(state) = self.shards[shard as usize].as_mut() else {
            return;
        };
        if state.readers.is_empty() {
            self.note_pause(shard, at.ctx.now);
            return;
        }
        for i in 0..self.shards[shard as usize].as_ref().map_or(0, |state| state.readers.len()) {
            let reader = self.shards[shard as usize].as_ref().expect("just seen").readers[i];
            self.plan_fetch(reader, at);
        }
        self.note_pause(shard, at.ctx.now);
    }

    fn readers_of_worker(&self, worker: WorkerId) -> Vec<u32> {
        let numbered = self.readers.iter().zip(0..);
        numbered
            .filter(|(reader, _)| reader.as_ref().is_some_and(|r| r.worker == worker))
            .map(|(_, id)| id)
            .collect()
    }

    /// The cause of waiting at shards that nobody reads: a dead owner, or none.
    fn name_orphans(&mut self, now: SimTime) {
        for index in 0..self.shards.len() {
            let Some(state) = &self.shards[index] else {
                continue;
            };
            if state.ended || state.readers.iter().any(|&reader| self.is_awake(reader)) {
                continue;
            }
            let shard = u32::try_from(index).expect("fewer than 2^32 shards");
            let owner = self.coordination.owner(ShardIndex(shard));
            let unnoticed = owner.is_some_and(|worker| {
                let worker = &self.workers[worker.0 as usize];
                !worker.running || worker.paused
            });
            let cause = if unnoticed { Cause::OwnerDead } else { Cause::LeaseGap };
            let state = self.shards[index].as_mut().expect("just seen");
            state.clock.set(now, cause);
            state.interrupted = true;
            self.note_pause(shard, now);
        }
    }

    fn is_awake(&self, reader: u32) -> bool {
        let reader = self.readers[reader as usize].as_ref();
        reader.is_some_and(|reader| !self.workers[reader.worker.0 as usize].paused)
    }

    /// Keeps the time that readable records have no active owner.
    fn note_pause(&mut self, shard: u32, now: SimTime) {
        let Some(state) = self.shards[shard as usize].as_ref() else {
            return;
        };
        let active = state.readers.iter().any(|&reader| self.is_awake(reader));
        let paused = !active && state.unread > 0;
        let state = self.shards[shard as usize].as_mut().expect("just seen");
        match state.paused_since {
            None if paused => state.paused_since = Some(now),
            Some(since) if !paused => {
                state.paused_since = None;
                let lasted = now.since(since);
                self.counts.paused_max = self.counts.paused_max.max(lasted);
                self.counts.paused_total = self.counts.paused_total + lasted;
            }
            None | Some(_) => {}
        }
    }

    /// Unread records and the age of the oldest since its append. What processors have finished and
    /// nobody has settled counts as done.
    #[must_use]
    pub fn lag(&self, stream: &Stream, now: SimTime) -> Lag {
        let mut lag = Lag { unread: self.unread, ..Lag::default() };
        for (index, state) in self.shards.iter().enumerate() {
            let Some(state) = state.as_ref().filter(|state| state.unread > 0) else { continue };
            let log = &stream.shards[index].log;
            let (delivered, finished) = self.finished(state, log, now);
            lag.finished += finished;
            if state.unread > finished
                && let Some(extent) = log.extent(log.extent_of(delivered))
            {
                lag.oldest = lag.oldest.max(extent.age(now));
            }
        }
        lag.unread -= lag.finished;
        lag
    }

    /// What each shard gave its reader since the last report, for the balancing of 3.x (N-KCL-20).
    fn report_throughput(&mut self) {
        for (state, shard) in self.shards.iter_mut().zip(0..) {
            let Some(state) = state.as_mut().filter(|state| !state.readers.is_empty()) else {
                continue;
            };
            let bytes = std::mem::take(&mut state.bytes);
            let per_second = bytes * NANOS_PER_SEC / REPORT_PERIOD.0;
            self.coordination.report_throughput(ShardIndex(shard), per_second);
        }
    }

    fn settle_all(&mut self, at: &mut AppCtx<'_, '_>) {
        for reader in 0..self.readers.len() {
            self.settle(u32::try_from(reader).expect("fewer than 2^32 readers"), at);
        }
    }

    /// Checkpoints and times at the end of the run.
    pub fn finish(&mut self, at: &mut AppCtx<'_, '_>) {
        self.settle_all(at);
        self.expire_all(at);
        let now = at.ctx.now;
        let lag = self.lag(at.stream, now);
        self.counts.lag_records_max = self.counts.lag_records_max.max(lag.unread);
        self.counts.lag_max = self.counts.lag_max.max(lag.oldest);
        for index in 0..self.shards.len() {
            let Some(state) = self.shards[index].as_mut() else {
                continue;
            };
            if let Some(since) = state.paused_since.take() {
                let lasted = now.since(since);
                self.counts.paused_max = self.counts.paused_max.max(lasted);
                self.counts.paused_total = self.counts.paused_total + lasted;
            }
        }
    }

    /// The lowest position that it may read again.
    #[must_use]
    pub fn needs_from(&self, shard: u32) -> u64 {
        match self.shards.get(shard as usize) {
            Some(Some(state)) => {
                let readers =
                    state.readers.iter().filter_map(|&id| self.readers[id as usize].as_ref());
                readers.map(Reader::position).chain([state.checkpoint]).min().unwrap_or(0)
            }
            _ => u64::MAX,
        }
    }

    /// Unread records by the logs themselves, for the audit.
    #[must_use]
    pub fn count_unread(&self, stream: &Stream) -> u64 {
        let states = self.shards.iter().enumerate();
        states
            .filter_map(|(index, state)| Some((index, state.as_ref()?)))
            .map(|(index, state)| state.expired.left(&stream.shards[index].log, state.delivered))
            .sum()
    }

    /// Checks its books (decision D-22).
    ///
    /// # Panics
    /// If an invariant is broken.
    pub fn audit(&self) {
        self.blame.audit();
        self.coordination.audit();
        let unread: u64 = self.shards.iter().flatten().map(|state| state.unread).sum();
        assert_eq!(unread, self.unread, "unread of all shards");
    }
}

impl ShardState {
    fn new(now: SimTime) -> Self {
        let mut clock = PlaceClock::new(Cause::LeaseGap);
        clock.set(now, Cause::LeaseGap);
        Self {
            delivered: 0,
            expired: Expired::default(),
            checkpoint: 0,
            checkpointed_at: now,
            clock,
            readers: Vec::new(),
            interrupted: false,
            unread: 0,
            rest: RestOrder::default(),
            paused_since: None,
            ended: false,
            bytes: 0,
        }
    }
}

/// The coordination's view of the application's queue.
struct Lift<'a, 'q> {
    ctx: &'a mut Ctx<'q, Event>,
}

impl crate::engine::Schedule<coordination::Event> for Lift<'_, '_> {
    fn schedule_at(&mut self, at: SimTime, event: coordination::Event) {
        self.ctx.at(at, Event::Leases(event));
    }
}

#[cfg(test)]
mod tests;
