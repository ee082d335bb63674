//! The event queue: pops in order of (time, order of scheduling).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::time::SimTime;

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
    heap: BinaryHeap<Reverse<Entry<E>>>,
    next_seq: u64,
    now: SimTime,
    cause: CauseId,
}

#[derive(Clone)]
struct Entry<E> {
    at: SimTime,
    seq: u64,
    cause: CauseId,
    event: E,
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.seq) == (other.at, other.seq)
    }
}
impl<E> Eq for Entry<E> {}
impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.seq).cmp(&(other.at, other.seq))
    }
}

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
            heap: BinaryHeap::new(),
            next_seq: 0,
            now: SimTime::ZERO,
            cause: 0,
        }
    }

    /// Schedules `event` at `at`; an instant already past counts as now.
    pub fn schedule_at(&mut self, at: SimTime, event: E) {
        let entry = Entry {
            at: at.max(self.now),
            seq: self.next_seq,
            cause: self.cause,
            event,
        };
        self.next_seq += 1;
        self.heap.push(Reverse(entry));
    }

    /// Takes the earliest event and moves the present to it.
    pub fn pop(&mut self) -> Option<Scheduled<E>> {
        let Reverse(entry) = self.heap.pop()?;
        self.now = entry.at;
        Some(Scheduled {
            at: entry.at,
            cause: entry.cause,
            event: entry.event,
        })
    }

    /// When the earliest event happens.
    pub fn next_at(&mut self) -> Option<SimTime> {
        self.heap.peek().map(|Reverse(entry)| entry.at)
    }

    /// What is scheduled from now on was caused by `cause`.
    pub fn set_cause(&mut self, cause: CauseId) {
        self.cause = cause;
    }

    /// How many events wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}
