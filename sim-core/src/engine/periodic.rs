//! What happens again and again by itself: a broker's checks, a consumer's rounds, a service's
//! control loop.
//!
//! A periodic is a grid that its subject owns. Its turns go on while the subject stands still, which
//! then misses them; beginning again (a process that restarts) makes the turns of the earlier grid
//! void. So a pause ends no grid, and a restart doubles none.

use super::ctx::Ctx;
use super::time::{SimDuration, SimTime};

/// What an event of a periodic carries: which beginning it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn(u32);

/// A grid of instants, a period apart.
#[derive(Clone, Debug)]
pub struct Periodic {
    period: SimDuration,
    beginnings: u32,
}

impl Periodic {
    /// A grid that has not begun.
    ///
    /// # Panics
    /// If the period is zero: it would never let anything else happen.
    #[must_use]
    pub fn new(period: SimDuration) -> Self {
        assert!(period > SimDuration::ZERO, "a period of zero");
        Self { period, beginnings: 0 }
    }

    /// The time from one turn to the next.
    #[must_use]
    pub fn period(&self) -> SimDuration {
        self.period
    }

    /// Begins with a turn at `first`, or begins anew; `event` makes the event of a turn.
    pub fn begin<E>(&mut self, first: SimTime, event: impl Fn(Turn) -> E, ctx: &mut Ctx<'_, E>) {
        self.beginnings += 1;
        ctx.at(first, event(Turn(self.beginnings)));
    }

    /// Takes the event of `turn` from the queue, and schedules the next one; whether it is one of
    /// this grid. Each event of a turn must come through here once.
    #[must_use]
    pub fn comes<E>(&self, turn: Turn, event: impl Fn(Turn) -> E, ctx: &mut Ctx<'_, E>) -> bool {
        let holds = turn.0 == self.beginnings;
        if holds {
            ctx.after(self.period, event(turn));
        }
        holds
    }
}

#[cfg(test)]
mod tests {
    use super::super::queue::EventQueue;
    use super::*;

    fn secs(seconds: u64) -> SimDuration {
        SimDuration::from_secs(seconds)
    }

    /// The instants, in seconds, of the turns that hold until `end`. At each of `begins` (with the
    /// first turn so many seconds later) it begins anew.
    fn turns(period: u64, begins: &[(u64, u64)], end: u64) -> Vec<u64> {
        let mut queue = EventQueue::new();
        let mut grid = Periodic::new(secs(period));
        let mut found = Vec::new();
        let mut begins = begins.iter().peekable();
        loop {
            let next = queue.next_at().unwrap_or(SimTime::MAX);
            if let Some(&&(at, first)) = begins.peek()
                && SimTime::ZERO + secs(at) <= next
            {
                begins.next();
                let now = SimTime::ZERO + secs(at);
                grid.begin(now + secs(first), |turn| turn, &mut Ctx::new(now, &mut queue));
                continue;
            }
            let Some(event) = queue.pop().filter(|it| it.at <= SimTime::ZERO + secs(end)) else {
                return found;
            };
            if grid.comes(event.event, |turn| turn, &mut Ctx::new(event.at, &mut queue)) {
                found.push(event.at.0 / secs(1).0);
            }
        }
    }

    #[test]
    fn turns_are_a_period_apart_from_the_first() {
        assert_eq!(turns(10, &[(0, 3)], 35), [3, 13, 23, 33]);
    }

    /// Begun anew at 15 s, with the first turn at 17: that of 23 is void, and no turn comes twice.
    #[test]
    fn beginning_anew_replaces_the_grid() {
        assert_eq!(turns(10, &[(0, 3), (15, 2)], 40), [3, 13, 17, 27, 37]);
        // Twice within a period, and at the same instant.
        assert_eq!(turns(10, &[(0, 3), (14, 2), (15, 1), (15, 5)], 45), [3, 13, 20, 30, 40]);
    }

    #[test]
    fn without_a_beginning_there_is_no_turn() {
        assert!(turns(10, &[], 100).is_empty());
    }
}
