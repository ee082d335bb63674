//! What a handler sees of the engine: the present instant, and a queue that takes its own events.

use super::queue::EventQueue;
use super::time::{SimDuration, SimTime};

/// Something that accepts events of one subsystem.
pub trait Schedule<E> {
    /// Schedules `event` at `at`; an instant already past counts as now.
    fn schedule_at(&mut self, at: SimTime, event: E);
}

impl<E> Schedule<E> for EventQueue<E> {
    fn schedule_at(&mut self, at: SimTime, event: E) {
        EventQueue::schedule_at(self, at, event);
    }
}

/// The world's queue as one subsystem sees it: it accepts that subsystem's events only.
pub struct Scoped<'q, W, L> {
    queue: &'q mut EventQueue<W>,
    lift: fn(L) -> W,
}

impl<'q, W, L> Scoped<'q, W, L> {
    /// Narrows `queue` to events that `lift` turns into the world's.
    pub fn new(queue: &'q mut EventQueue<W>, lift: fn(L) -> W) -> Self {
        Self { queue, lift }
    }
}

impl<W, L> Schedule<L> for Scoped<'_, W, L> {
    fn schedule_at(&mut self, at: SimTime, event: L) {
        self.queue.schedule_at(at, (self.lift)(event));
    }
}

/// The present instant and a way to schedule what follows from it.
pub struct Ctx<'a, E> {
    /// The instant of the event that is being handled.
    pub now: SimTime,
    queue: &'a mut dyn Schedule<E>,
}

impl<'a, E> Ctx<'a, E> {
    /// A context at `now` over `queue`.
    pub fn new(now: SimTime, queue: &'a mut dyn Schedule<E>) -> Self {
        Self { now, queue }
    }

    /// Schedules `event` at an instant; one already past counts as now.
    pub fn at(&mut self, at: SimTime, event: E) {
        self.queue.schedule_at(at.max(self.now), event);
    }

    /// Schedules `event` after a delay.
    pub fn after(&mut self, delay: SimDuration, event: E) {
        self.queue.schedule_at(self.now + delay, event);
    }
}
