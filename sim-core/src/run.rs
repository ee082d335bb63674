//! The loop: builds a world, runs it to its end, and returns what it left behind.

use crate::config::WorldConfig;
use crate::engine::SimTime;
use crate::result::RunResult;
use crate::world::{Observer, World, sample_at};

/// Runs one world to its end. `progress` is called with the simulated time, once a second of it.
///
/// # Panics
/// If an invariant is broken: a bug, with what was found.
pub fn run(config: &WorldConfig, progress: &dyn Fn(SimTime)) -> RunResult {
    let mut world = World::new(config);
    let mut observer = Observer::new(&world);
    world.start();
    let end = SimTime::ZERO + config.duration;
    let mut samples = 0_u64;
    loop {
        let (sampled_at, ends_step) = sample_at(samples);
        // At one instant: the plan, then the queue, then the observers.
        let step_at = world.next_step_at().unwrap_or(SimTime::MAX);
        let event_at = world.next_event_at().unwrap_or(SimTime::MAX);
        if step_at <= event_at.min(sampled_at) && step_at <= end {
            world.apply_step();
        } else if event_at <= sampled_at && event_at <= end {
            world.step();
        } else if sampled_at <= end {
            samples += 1;
            observer.sample(&mut world, sampled_at, ends_step);
            if ends_step {
                world.end_second(sampled_at);
                progress(sampled_at);
            }
        } else {
            break;
        }
    }
    world.finish(end);
    crate::summary::result(world, observer.finish())
}
