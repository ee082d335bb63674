//! The loop: builds a world, runs it to its end, and returns what it left behind.

use crate::config::WorldConfig;
use crate::engine::SimTime;
use crate::result::RunResult;
use crate::world::{Observer, SAMPLES_MS, World};

/// A run under way. It is plain data: a clone goes on from the same instant on the same luck.
#[derive(Clone)]
pub struct Run {
    world: World,
    observer: Observer,
    end: SimTime,
}

/// Runs one world to its end. `progress` is called with the simulated time, once a second of it.
///
/// # Panics
/// If an invariant is broken: a bug, with what was found.
#[must_use]
pub fn run(config: &WorldConfig, progress: &dyn Fn(SimTime)) -> RunResult {
    let mut run = Run::new(config);
    run.advance(SimTime::MAX, progress);
    run.finish()
}

impl Run {
    /// A run at its first instant.
    #[must_use]
    pub fn new(config: &WorldConfig) -> Self {
        Self::observed_at(config, SAMPLES_MS)
    }

    /// A run whose series are sampled at these milliseconds of each second, in order, the last of
    /// them at most 1,000. Nothing else depends on them.
    #[must_use]
    pub fn observed_at(config: &WorldConfig, instants_ms: [u64; 4]) -> Self {
        let world = World::new(config);
        let checked = cfg!(debug_assertions);
        Self::of(world, checked, instants_ms)
    }

    /// A run that checkers judge from outside, also in a build without assertions.
    #[must_use]
    pub fn checked(config: &WorldConfig) -> Self {
        Self::of(World::new(config), true, SAMPLES_MS)
    }

    fn of(mut world: World, checked: bool, instants_ms: [u64; 4]) -> Self {
        if checked {
            world.check();
        }
        let observer = Observer::new(&world, instants_ms);
        world.start();
        let end = SimTime::ZERO + world.config.duration;
        Self { world, observer, end }
    }

    /// Lets everything happen that happens by `until`, or by the end of the run.
    pub fn advance(&mut self, until: SimTime, progress: &dyn Fn(SimTime)) {
        while self.advance_once(until, progress) {}
    }

    /// Lets one thing happen, if there is one by `until` and by the end of the run: a step of the
    /// plan, an event, or a sample.
    pub fn advance_once(&mut self, until: SimTime, progress: &dyn Fn(SimTime)) -> bool {
        let until = until.min(self.end);
        let (sampled_at, ends_step) = self.observer.next_at();
        // At one instant: the plan, then the queue, then the observers.
        let step_at = self.world.next_step_at().unwrap_or(SimTime::MAX);
        let event_at = self.world.next_event_at().unwrap_or(SimTime::MAX);
        if step_at <= event_at.min(sampled_at) && step_at <= until {
            self.world.apply_step();
        } else if event_at <= sampled_at && event_at <= until {
            self.world.step();
        } else if sampled_at <= until {
            self.observer.sample(&self.world);
            if ends_step {
                progress(sampled_at);
            }
        } else {
            return false;
        }
        true
    }

    /// Compares the books with what the models hold (decision D-22).
    ///
    /// # Panics
    /// If an invariant is broken.
    pub fn audit(&self) {
        self.world.audit();
    }

    /// By producer, a number for all that it was offered: two runs on the same luck have the same.
    ///
    /// # Panics
    /// If no checkers see the run.
    #[must_use]
    pub fn offered_digests(&self) -> &[u64] {
        self.world.offered_digests().expect("a run that is checked")
    }

    /// Runs to the end and closes the books.
    #[must_use]
    pub fn finish(mut self) -> RunResult {
        self.advance(SimTime::MAX, &|_| {});
        self.world.finish(self.end);
        crate::summary::result(self.world, self.observer.finish())
    }
}
