//! Something periodic in closed form (decision D-16): heartbeats, pings, checks, ticks. No event is
//! spent on those that find nothing.

use crate::engine::{RngStream, SimDuration, SimTime};

/// The instants `base`, `base + period`, `base + 2 period` and so on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    base: SimTime,
    period: SimDuration,
}

impl Grid {
    /// First at `base`. A period of zero counts as the shortest one.
    pub(super) fn new(base: SimTime, period: SimDuration) -> Self {
        Self { base, period: period.max(SimDuration(1)) }
    }

    /// First at a random instant of the period that begins at `from` (decision D-28).
    pub(super) fn drawn(from: SimTime, period: SimDuration, rng: &mut RngStream) -> Self {
        Self::new(from + SimDuration(rng.below(period.0)), period)
    }

    /// The last instant by `until`, inclusive.
    pub(super) fn last_by(&self, until: SimTime) -> Option<SimTime> {
        let whole = until.since(self.base).0 / self.period.0;
        (self.base <= until).then(|| self.base + self.period.times(whole))
    }

    /// The first instant strictly after `now`.
    pub(super) fn next_after(&self, now: SimTime) -> SimTime {
        self.last_by(now).map_or(self.base, |last| last + self.period)
    }

    /// The first instant at `now` or later.
    pub(super) fn next_from(&self, now: SimTime) -> SimTime {
        if self.last_by(now) == Some(now) { now } else { self.next_after(now) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_has_its_base_and_every_period_after() {
        let grid = Grid::new(SimTime(5), SimDuration(10));
        assert_eq!(grid.last_by(SimTime(4)), None);
        assert_eq!(grid.last_by(SimTime(5)), Some(SimTime(5)));
        assert_eq!(grid.last_by(SimTime(24)), Some(SimTime(15)));
        assert_eq!(grid.next_after(SimTime(4)), SimTime(5));
        assert_eq!(grid.next_after(SimTime(15)), SimTime(25));
        assert_eq!(grid.next_from(SimTime(15)), SimTime(15));
        assert_eq!(grid.next_from(SimTime(16)), SimTime(25));
    }
}
