//! Worker processes that come, go and stand still. A worker is known by its slot, which its
//! replacement takes over: the KCL itself gives each process an identifier of its own.

use std::collections::VecDeque;

use super::coordination::{Coordination, WorkerId};
use super::{App, AppCtx, Worker};

/// How fast records are processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Slot of the worker; `None`: all of them.
    pub of: Option<u32>,
    /// Factor on the processing time, in millionths.
    pub factor_ppm: u64,
}

impl Worker {
    pub(super) fn new(slow_ppm: u64) -> Self {
        Self { running: true, paused: false, slow_ppm, busy: 0, waiting: VecDeque::new() }
    }
}

impl App {
    /// How many slots there are.
    #[must_use]
    pub fn slots(&self) -> u32 {
        u32::try_from(self.slots.len()).expect("fewer than 2^32 workers")
    }

    /// Whether the worker of a slot runs and does not stand still.
    #[must_use]
    pub fn is_running(&self, slot: u32) -> bool {
        let worker = &self.workers[self.worker_in(slot).0 as usize];
        worker.running && !worker.paused
    }

    /// The slot of the worker that holds the leader's lock (3.x).
    #[must_use]
    pub fn leader(&self) -> Option<u32> {
        let leader = self.coordination.leader()?;
        (0..self.slots()).find(|&slot| self.worker_in(slot) == leader)
    }

    fn worker_in(&self, slot: u32) -> WorkerId {
        self.slots[slot as usize]
    }

    /// A worker dies without a word, or stops cleanly; whether it ran.
    pub fn end_worker(&mut self, slot: u32, clean: bool, at: &mut AppCtx<'_, '_>) -> bool {
        let worker = self.worker_in(slot);
        if !self.workers[worker.0 as usize].running {
            return false;
        }
        let how = if clean { Coordination::stop } else { Coordination::kill };
        how(&mut self.coordination, worker, at.ctx.now);
        self.workers[worker.0 as usize].running = false;
        for reader in self.readers_of_worker(worker) {
            self.stop_reader(reader, at);
        }
        self.name_orphans(at.ctx.now);
        true
    }

    /// A new process starts in a slot whose worker is gone.
    pub fn start_worker(&mut self, slot: u32, at: &mut AppCtx<'_, '_>) {
        let before = self.worker_in(slot);
        if self.waits || self.workers[before.0 as usize].running {
            return;
        }
        let slow_ppm = self.workers[before.0 as usize].slow_ppm;
        self.slots[slot as usize] = self.spawn(slow_ppm, at);
    }

    /// New processes start in slots of their own; before the application has begun, with the others.
    pub fn add_workers(&mut self, workers: u32, at: &mut AppCtx<'_, '_>) {
        for _ in 0..workers {
            if self.waits {
                self.slots.push(WorkerId(self.slots()));
                self.workers.push(Worker { running: false, ..Worker::new(super::FULL_SPEED) });
                continue;
            }
            let worker = self.spawn(super::FULL_SPEED, at);
            self.slots.push(worker);
        }
    }

    fn spawn(&mut self, slow_ppm: u64, at: &mut AppCtx<'_, '_>) -> WorkerId {
        self.workers.push(Worker::new(slow_ppm));
        let expected = self.workers.len() - 1;
        let mut spawned = None;
        self.with_leases(at, |leases, ctx, _| spawned = Some(leases.add_worker(ctx)));
        let worker = spawned.expect("the coordination numbers its workers");
        assert_eq!(worker.0 as usize, expected, "workers are numbered in order");
        worker
    }

    /// A worker stands still; whether it ran.
    pub fn pause_worker(&mut self, slot: u32, at: &mut AppCtx<'_, '_>) -> bool {
        if !self.is_running(slot) {
            return false;
        }
        let worker = self.worker_in(slot);
        self.coordination.pause(worker, at.ctx.now);
        self.workers[worker.0 as usize].paused = true;
        for reader in self.readers_of_worker(worker) {
            self.freeze_reader(reader, at);
        }
        self.name_orphans(at.ctx.now);
        true
    }

    /// A worker that stood still goes on.
    pub fn resume_worker(&mut self, slot: u32, at: &mut AppCtx<'_, '_>) {
        let worker = self.worker_in(slot);
        let state = &mut self.workers[worker.0 as usize];
        if !state.running || !state.paused {
            return;
        }
        state.paused = false;
        self.with_leases(at, |leases, ctx, changes| leases.resume(worker, ctx, changes));
        for reader in self.readers_of_worker(worker) {
            self.thaw_reader(reader, at);
        }
    }

    /// Processing takes so many times as long from now on.
    pub fn set_pace(&mut self, pace: Pace, at: &mut AppCtx<'_, '_>) {
        let worker = pace.of.map(|slot| self.worker_in(slot));
        match worker {
            None => self.slow_ppm = pace.factor_ppm,
            Some(worker) => self.workers[worker.0 as usize].slow_ppm = pace.factor_ppm,
        }
        let readers = u32::try_from(self.readers.len()).expect("fewer than 2^32 readers");
        for id in 0..readers {
            let of = self.readers[id as usize].as_ref().map(|reader| reader.worker);
            if worker.is_none() || of == worker {
                self.replan(id, at);
            }
        }
    }
}
