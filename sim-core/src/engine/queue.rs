//! The event queue: pops in order of (time, order of scheduling).
//!
//! Nothing is scheduled before the present, so a radix structure serves: a wheel (`wheel.rs`)
//! holds what is far away in slots, unsorted, and the *front* holds the one slot that was opened
//! last, sorted. A slot is sorted once, when it is opened, and by then it is small.
//!
//! | Step                      | Cost                                                          |
//! |---------------------------|---------------------------------------------------------------|
//! | schedule beyond the front | a push to a slot                                              |
//! | schedule into the front   | a search, and a shift of the shorter side                     |
//! | pop                       | a pop; when the front is empty, the next slot is opened       |
//! | open a slot               | up to 32 events: a stable sort; more: spread over finer slots |
//! | open, all at one instant  | a move: they are in order                                     |
//!
//! Slots keep the order of scheduling and sorting is stable, so ties come out first in, first out
//! and no sequence number is stored: an entry is the event, its time and its cause.

mod wheel;

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use super::time::SimTime;
use wheel::Wheel;

/// The number of a popped event; 0 stands for "no cause" (the start of the run).
pub type CauseId = u32;

/// An event taken from the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scheduled<E> {
    /// When it happens.
    pub at: SimTime,
    /// Which event scheduled it; 0 unless tracing is on.
    pub cause: CauseId,
    /// What happens.
    pub event: E,
}

/// A queue of future events. Ties come out in the order in which they were scheduled.
#[derive(Clone)]
pub struct EventQueue<E> {
    /// What comes up to `front_last`, earliest first.
    front: VecDeque<Scheduled<E>>,
    /// The last instant of the slot that was opened last; all that comes later is in the wheel.
    front_last: SimTime,
    wheel: Wheel<E>,
    now: SimTime,
    cause: CauseId,
}

/// From this size on the front gives its later part back to the wheel rather than shift it.
const FRONT_MAX: usize = 64;

impl<E> Default for EventQueue<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E> EventQueue<E> {
    /// An empty queue at instant zero.
    #[must_use]
    pub fn new() -> Self {
        Self {
            front: VecDeque::new(),
            front_last: SimTime::ZERO,
            wheel: Wheel::new(),
            now: SimTime::ZERO,
            cause: 0,
        }
    }

    /// Schedules `event` at `at`; an instant already past counts as now.
    #[inline]
    pub fn schedule_at(&mut self, at: SimTime, event: E) {
        let entry = Scheduled { at: at.max(self.now), cause: self.cause, event };
        if entry.at <= self.front_last {
            self.insert_into_front(entry);
        } else {
            self.wheel.push(entry);
        }
    }

    /// Takes the earliest event and moves the present to it.
    #[inline]
    pub fn pop(&mut self) -> Option<Scheduled<E>> {
        if self.front.is_empty() {
            self.open_next();
        }
        let entry = self.front.pop_front()?;
        self.now = entry.at;
        Some(entry)
    }

    /// When the earliest event happens.
    #[inline]
    pub fn next_at(&mut self) -> Option<SimTime> {
        if self.front.is_empty() {
            self.open_next();
        }
        self.front.front().map(|entry| entry.at)
    }

    /// What is scheduled from now on was caused by `cause`.
    #[inline]
    pub fn set_cause(&mut self, cause: CauseId) {
        self.cause = cause;
    }

    /// How many events wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.front.len() + self.wheel.len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes the events that `keep` refuses, if `stale` events, as the caller counted them,
    /// outnumber the others. So a removal costs no more than the scheduling did. Says whether it
    /// swept.
    pub fn sweep(&mut self, stale: usize, mut keep: impl FnMut(&E) -> bool) -> bool {
        if stale <= self.len() / 2 {
            return false;
        }
        self.front.retain(|entry| keep(&entry.event));
        self.wheel.retain(keep);
        true
    }

    fn open_next(&mut self) {
        if let Some(last) = self.wheel.open_next(&mut self.front) {
            self.front_last = last;
        }
    }

    fn insert_into_front(&mut self, entry: Scheduled<E>) {
        if FRONT_MAX <= self.front.len() {
            self.narrow_front();
            if self.front_last < entry.at {
                return self.wheel.push(entry);
            }
        }
        let later = self.front.iter().rev();
        let later = later.take_while(|other| entry.at < other.at).count();
        self.front.insert(self.front.len() - later, entry);
    }

    /// Gives the later part of the front back to the wheel. At most one step per level and opened
    /// slot: what remains large then is one instant, where inserting costs nothing.
    #[cold]
    fn narrow_front(&mut self) {
        while FRONT_MAX <= self.front.len() {
            let Some(last) = self.wheel.narrow(self.front[0].at) else {
                return;
            };
            self.front_last = last;
            let kept = self.front.partition_point(|entry| entry.at <= last);
            for entry in self.front.drain(kept..) {
                self.wheel.push(entry);
            }
        }
    }
}
