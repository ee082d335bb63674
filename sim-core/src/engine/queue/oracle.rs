//! What the queue must do, in the plainest way: a binary heap over (time, sequence number). Tests
//! compare the two pop for pop, the bench compares their speed. It stands on std alone.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// A queue of future events on a binary heap.
pub(crate) struct HeapQueue<E> {
    heap: BinaryHeap<Entry<E>>,
    next_seq: u64,
    now: u64,
}

struct Entry<E> {
    at: u64,
    seq: u64,
    event: E,
}

impl<E> Ord for Entry<E> {
    /// The earliest is the greatest: `BinaryHeap` pops the greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.seq).cmp(&(self.at, self.seq))
    }
}
impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl<E> Eq for Entry<E> {}

impl<E> HeapQueue<E> {
    /// An empty queue at instant zero.
    pub(crate) fn new() -> Self {
        Self { heap: BinaryHeap::new(), next_seq: 0, now: 0 }
    }

    /// Schedules `event` at `at` nanoseconds; an instant already past counts as now.
    #[inline]
    pub(crate) fn schedule_at(&mut self, at: u64, event: E) {
        let at = at.max(self.now);
        let seq = self.next_seq;
        self.next_seq += 1;
        self.heap.push(Entry { at, seq, event });
    }

    /// Takes the earliest event and moves the present to it.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<(u64, E)> {
        let Entry { at, event, .. } = self.heap.pop()?;
        self.now = at;
        Some((at, event))
    }

    /// When the earliest event happens.
    pub(crate) fn next_at(&self) -> Option<u64> {
        self.heap.peek().map(|entry| entry.at)
    }

    /// How many events wait.
    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }
}
