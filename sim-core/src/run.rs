//! The loop: builds a world, runs it to its end, and returns what it left behind.

use crate::config::WorldConfig;
use crate::result::RunResult;

/// Runs one world to its end. `progress` is called with the simulated time, about once a second
/// of it.
pub fn run(config: &WorldConfig, progress: &dyn Fn(crate::engine::SimTime)) -> RunResult {
    let _ = (config, progress);
    RunResult::default()
}
