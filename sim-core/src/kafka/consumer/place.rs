//! What records wait for at a place: its causes, one at a time (decision D-19). A member's
//! processor is one place for all its partitions; a partition is one while it has a cause of its
//! own.

use std::collections::VecDeque;

use crate::blame::Cause;
use crate::engine::SimTime;

/// Changes kept: what waited for longer counts for the first of those.
const MOST_CHANGES: usize = 4_096;

/// The causes of a place over time.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// From each instant on, that cause.
    changes: VecDeque<(SimTime, Cause)>,
}

impl Place {
    pub(super) fn new(cause: Cause) -> Self {
        Self { changes: VecDeque::from([(SimTime::ZERO, cause)]) }
    }

    /// From now on, this cause is active.
    pub(super) fn set(&mut self, now: SimTime, cause: Cause) {
        let &(at, active) = self.changes.back().expect("never empty");
        if active == cause {
            return;
        }
        // Two changes at one instant: only the last one has any extent.
        if at == now && self.changes.len() > 1 {
            self.changes.pop_back();
            if self.changes.back().is_some_and(|(_, before)| *before == cause) {
                return;
            }
        }
        self.changes.push_back((now, cause));
        if self.changes.len() > MOST_CHANGES {
            self.changes.pop_front();
        }
    }

    /// What a wait between two instants was for, in nanoseconds by cause, all of it.
    pub(super) fn between(&self, from: SimTime, until: SimTime, mut each: impl FnMut(Cause, u64)) {
        let &(last_at, last) = self.changes.back().expect("never empty");
        if last_at <= from {
            each(last, until.since(from).0);
            return;
        }
        let after = self.changes.partition_point(|(at, _)| *at <= from);
        let mut since = from;
        let mut cause = self.changes[after.saturating_sub(1)].1;
        for &(at, next) in self.changes.iter().skip(after) {
            if at >= until {
                break;
            }
            each(cause, at.since(since).0);
            (since, cause) = (since.max(at), next);
        }
        each(cause, until.since(since).0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Polling until 10, behind others until 30, polling again: a wait from 5 to 40 is 5 + 10 of
    /// the one and 20 of the other.
    #[test]
    fn a_wait_is_cut_where_the_cause_changes() {
        let mut place = Place::new(Cause::PollGap);
        place.set(SimTime(10), Cause::Capacity);
        place.set(SimTime(30), Cause::PollGap);
        for (from, until, polling, behind) in
            [(5, 40, 15, 20), (20, 25, 0, 5), (31, 35, 4, 0), (0, 10, 10, 0), (30, 30, 0, 0)]
        {
            let mut found = (0, 0);
            place.between(SimTime(from), SimTime(until), |cause, nanos| {
                if cause == Cause::Capacity { found.1 += nanos } else { found.0 += nanos }
            });
            assert_eq!(found, (polling, behind), "{from} to {until}");
        }
    }

    #[test]
    fn a_change_without_extent_leaves_no_trace() {
        let mut place = Place::new(Cause::PollGap);
        place.set(SimTime(10), Cause::Rebalance);
        place.set(SimTime(10), Cause::PollGap);
        place.between(SimTime(0), SimTime(20), |cause, _| assert_eq!(cause, Cause::PollGap));
    }
}
