//! Heartbeats in closed form (D-16): a healthy one is no event.
//!
//! | Mechanism                                                            | Fact    |
//! |----------------------------------------------------------------------|---------|
//! | a background thread sends one every interval, whatever `poll()` does | K-GRP-4 |
//!
//! Simplification: instants are phase + k intervals, with a phase drawn once per process (D-28). A
//! client's timer really starts again with each JoinGroup reply, so that after a rebalance all
//! members beat nearly together, and drifts by the round trip: who looks at when single members
//! learn of the next rebalance would see them closer together.

use crate::engine::rng::RngStream;
use crate::engine::{SimDuration, SimTime};

/// When one process sends its heartbeats.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beats {
    phase: u64,
    interval: u64,
}

impl Beats {
    /// With a phase drawn from `rng`.
    pub(super) fn drawn(interval: SimDuration, rng: &mut RngStream) -> Self {
        let interval = interval.0.max(1);
        Self { phase: rng.below(interval), interval }
    }

    /// The first heartbeat after `now`.
    pub(super) fn next_after(self, now: SimTime) -> SimTime {
        if now.0 < self.phase {
            return SimTime(self.phase);
        }
        let passed = (now.0 - self.phase) / self.interval;
        SimTime(self.phase + (passed + 1) * self.interval)
    }

    /// The last heartbeat up to `now`, if there was one.
    pub(super) fn last_by(self, now: SimTime) -> Option<SimTime> {
        let passed = now.0.checked_sub(self.phase)? / self.interval;
        Some(SimTime(self.phase + passed * self.interval))
    }
}
