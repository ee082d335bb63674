//! Timers that are armed again far more often than they fire (decision D-16): session timeouts,
//! election timeouts, lease expiries.
//!
//! Each timer is a slot with a deadline, and has at most one live entry in the queue:
//!
//! | Request            | What happens                                                         |
//! |--------------------|----------------------------------------------------------------------|
//! | a later deadline   | a store; the entry, when it comes, schedules itself at the deadline  |
//! | an earlier one     | a new entry with the next generation; the old one is stale           |
//! | disarm             | a store; the entry, when it comes, does nothing                      |
//!
//! Events carry a [`Ticket`]; its generation tells a live entry from a stale one. Only earlier
//! deadlines leave stale entries behind. [`Timers::stale`] counts them; whoever owns the queue
//! hands the count to [`EventQueue::sweep`](super::EventQueue::sweep), which acts once the stale
//! outnumber the rest, and reports back through [`Timers::swept`].
//!
//! Among events of one instant, a timer comes in the order in which its entry was last scheduled,
//! which for a later deadline is when the entry came, not when the timer was armed.

use super::ctx::Ctx;
use super::time::SimTime;

/// What an event of a timer carries: which timer, and which arming of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    timer: u32,
    generation: u32,
}

impl Ticket {
    /// The timer it is for.
    #[must_use]
    pub fn timer(self) -> u32 {
        self.timer
    }
}

/// The timers of one kind in one subsystem, by dense id, e.g. one for each member of a group.
#[derive(Clone, Debug)]
pub struct Timers<E> {
    slots: Vec<Slot>,
    event: fn(Ticket) -> E,
    stale: usize,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// When it is to fire; never if disarmed.
    deadline: SimTime,
    /// When its live entry comes; never if it has none.
    queued_at: SimTime,
    /// That of the live entry.
    generation: u32,
}

/// No instant: nothing is scheduled there.
const NEVER: SimTime = SimTime::MAX;

impl<E> Timers<E> {
    /// No timers yet; `event` makes the event of a ticket, e.g. `Event::SessionExpired`.
    #[must_use]
    pub fn new(event: fn(Ticket) -> E) -> Self {
        Self { slots: Vec::new(), event, stale: 0 }
    }

    /// Adds a timer, disarmed, and gives its id: 0, 1, 2 and so on.
    ///
    /// # Panics
    /// If there are 2^32 already.
    pub fn add(&mut self) -> u32 {
        let timer = u32::try_from(self.slots.len()).expect("fewer than 2^32 timers");
        self.slots.push(Slot { deadline: NEVER, queued_at: NEVER, generation: 0 });
        timer
    }

    /// Arms `timer`, or arms it again, to fire at `deadline` and then only. A deadline already
    /// past counts as now.
    ///
    /// # Panics
    /// If there is no such timer.
    pub fn arm(&mut self, timer: u32, deadline: SimTime, ctx: &mut Ctx<'_, E>) {
        let slot = &mut self.slots[timer as usize];
        slot.deadline = deadline.max(ctx.now);
        if slot.queued_at <= slot.deadline {
            return;
        }
        if slot.queued_at < NEVER {
            slot.generation = slot.generation.wrapping_add(1);
            self.stale += 1;
        }
        slot.schedule(timer, self.event, ctx);
    }

    /// Disarms `timer`: until armed again it does not fire.
    ///
    /// # Panics
    /// If there is no such timer.
    pub fn disarm(&mut self, timer: u32) {
        self.slots[timer as usize].deadline = NEVER;
    }

    /// When `timer` will fire, if armed.
    ///
    /// # Panics
    /// If there is no such timer.
    #[must_use]
    pub fn deadline(&self, timer: u32) -> Option<SimTime> {
        let deadline = self.slots[timer as usize].deadline;
        (deadline < NEVER).then_some(deadline)
    }

    /// Takes the event of `ticket` from the queue: whether its timer fires now. Each event of a
    /// ticket must come through here once. A timer that fired is disarmed.
    ///
    /// # Panics
    /// If there is no such timer.
    #[must_use]
    pub fn fires(&mut self, ticket: Ticket, ctx: &mut Ctx<'_, E>) -> bool {
        let slot = &mut self.slots[ticket.timer as usize];
        if slot.generation != ticket.generation {
            self.stale -= 1;
            return false;
        }
        slot.queued_at = NEVER;
        if slot.deadline <= ctx.now {
            slot.deadline = NEVER;
            return true;
        }
        if slot.deadline < NEVER {
            slot.schedule(ticket.timer, self.event, ctx);
        }
        false
    }

    /// Whether the entry of `ticket` no longer does anything: a sweep may remove it.
    ///
    /// # Panics
    /// If there is no such timer.
    #[must_use]
    pub fn is_stale(&self, ticket: Ticket) -> bool {
        self.slots[ticket.timer as usize].generation != ticket.generation
    }

    /// How many stale entries wait in the queue.
    #[must_use]
    pub fn stale(&self) -> usize {
        self.stale
    }

    /// To be told that a sweep has removed all that [`Timers::is_stale`] names.
    pub fn swept(&mut self) {
        self.stale = 0;
    }
}

impl Slot {
    fn schedule<E>(&mut self, timer: u32, event: fn(Ticket) -> E, ctx: &mut Ctx<'_, E>) {
        self.queued_at = self.deadline;
        let generation = self.generation;
        ctx.at(self.deadline, event(Ticket { timer, generation }));
    }
}

#[cfg(test)]
mod tests {
    use super::super::queue::EventQueue;
    use super::super::rng::Rngs;
    use super::*;

    /// A queue that holds timer events only, and what fired.
    struct Bench {
        queue: EventQueue<Ticket>,
        timers: Timers<Ticket>,
        now: SimTime,
        fired: Vec<(u64, u32)>,
        popped: usize,
    }

    impl Bench {
        fn new(timers: u32) -> Self {
            let mut bench = Self {
                queue: EventQueue::new(),
                timers: Timers::new(|ticket| ticket),
                now: SimTime::ZERO,
                fired: Vec::new(),
                popped: 0,
            };
            for timer in 0..timers {
                assert_eq!(bench.timers.add(), timer);
            }
            bench
        }

        fn arm(&mut self, timer: u32, deadline: u64) {
            let mut ctx = Ctx::new(self.now, &mut self.queue);
            self.timers.arm(timer, SimTime(deadline), &mut ctx);
        }

        fn run_until(&mut self, end: u64) {
            while self.queue.next_at().is_some_and(|at| at.0 <= end) {
                let popped = self.queue.pop().unwrap();
                self.popped += 1;
                let mut ctx = Ctx::new(popped.at, &mut self.queue);
                if self.timers.fires(popped.event, &mut ctx) {
                    self.fired.push((popped.at.0, popped.event.timer()));
                }
            }
            self.now = SimTime(end);
        }

        fn sweep(&mut self) -> bool {
            let timers = &self.timers;
            let keep = |ticket: &Ticket| !timers.is_stale(*ticket);
            let swept = self.queue.sweep(timers.stale(), keep);
            if swept {
                self.timers.swept();
            }
            swept
        }
    }

    #[test]
    fn a_timer_fires_once_at_its_deadline() {
        let mut bench = Bench::new(2);
        bench.arm(1, 50);
        bench.arm(0, 70);
        assert_eq!(bench.timers.deadline(1), Some(SimTime(50)));
        bench.run_until(1_000);
        assert_eq!(bench.fired, [(50, 1), (70, 0)]);
        assert_eq!(bench.timers.deadline(1), None);
    }

    #[test]
    fn a_timer_that_was_never_armed_does_not_fire() {
        let mut bench = Bench::new(1);
        bench.run_until(1_000);
        assert_eq!(bench.fired, []);
    }

    /// A heartbeat every 3 s puts a timeout of 45 s off: at 0 s, 3 s ... 300 s.
    #[test]
    fn a_later_deadline_is_a_store() {
        let mut bench = Bench::new(1);
        for heartbeat in 0..=100 {
            bench.run_until(heartbeat * 3);
            bench.arm(0, heartbeat * 3 + 45);
            assert_eq!(bench.queue.len(), 1);
        }
        assert_eq!(bench.fired, []);
        // The entry comes at 45 s and finds the deadline of the heartbeat at 42 s, 87 s; and so on
        // every 42 s, seven times up to 297 s.
        assert_eq!(bench.popped, 7);
        bench.run_until(1_000);
        assert_eq!(bench.fired, [(345, 0)]);
        assert_eq!(bench.timers.stale(), 0);
    }

    #[test]
    fn an_earlier_deadline_fires_early_and_the_old_entry_does_nothing() {
        let mut bench = Bench::new(1);
        bench.arm(0, 100);
        bench.arm(0, 40);
        assert_eq!((bench.queue.len(), bench.timers.stale()), (2, 1));
        bench.run_until(40);
        assert_eq!(bench.fired, [(40, 0)]);
        bench.run_until(1_000);
        assert_eq!(bench.fired, [(40, 0)]);
        assert_eq!(bench.timers.stale(), 0);
    }

    #[test]
    fn a_stale_entry_does_not_fire_a_timer_that_was_armed_again_at_its_instant() {
        let mut bench = Bench::new(1);
        bench.arm(0, 100);
        bench.arm(0, 40);
        bench.arm(0, 100);
        bench.run_until(1_000);
        assert_eq!(bench.fired, [(100, 0)]);
    }

    #[test]
    fn a_disarmed_timer_does_not_fire() {
        let mut bench = Bench::new(1);
        bench.arm(0, 100);
        bench.timers.disarm(0);
        assert_eq!(bench.timers.deadline(0), None);
        bench.run_until(1_000);
        assert_eq!(bench.fired, []);
        assert!(bench.queue.is_empty());
    }

    #[test]
    fn a_disarmed_timer_can_be_armed_again_over_its_old_entry() {
        let mut bench = Bench::new(1);
        bench.arm(0, 100);
        bench.timers.disarm(0);
        bench.arm(0, 130);
        assert_eq!(bench.queue.len(), 1);
        bench.run_until(1_000);
        assert_eq!(bench.fired, [(130, 0)]);
    }

    #[test]
    fn a_timer_that_fired_can_be_armed_again() {
        let mut bench = Bench::new(1);
        bench.arm(0, 100);
        bench.run_until(100);
        bench.arm(0, 150);
        bench.run_until(1_000);
        assert_eq!(bench.fired, [(100, 0), (150, 0)]);
    }

    #[test]
    fn a_deadline_already_past_counts_as_now() {
        let mut bench = Bench::new(1);
        bench.run_until(500);
        bench.arm(0, 3);
        bench.run_until(1_000);
        assert_eq!(bench.fired, [(500, 0)]);
    }

    #[test]
    fn a_deadline_that_never_comes_leaves_the_timer_disarmed() {
        let mut bench = Bench::new(1);
        bench.arm(0, u64::MAX);
        assert_eq!(bench.timers.deadline(0), None);
        assert!(bench.queue.is_empty());
    }

    #[test]
    fn stale_entries_are_swept_once_they_outnumber_the_live() {
        let mut bench = Bench::new(1);
        bench.arm(0, 100);
        bench.arm(0, 90);
        assert!(!bench.sweep(), "one stale, one live");
        bench.arm(0, 80);
        assert!(bench.sweep(), "two stale, one live");
        assert_eq!((bench.queue.len(), bench.timers.stale()), (1, 0));
        bench.run_until(1_000);
        assert_eq!(bench.fired, [(80, 0)]);
    }

    /// Random requests, against a plain list of deadlines; a sweep after each.
    #[test]
    fn timers_fire_exactly_when_their_last_request_says() {
        let mut rng = Rngs::new(5).stream("timers");
        let mut bench = Bench::new(20);
        let mut deadlines = [u64::MAX; 20];
        let mut expected = Vec::new();
        for now in 0..20_000 {
            bench.run_until(now);
            for (timer, deadline) in (0..).zip(&mut deadlines) {
                if *deadline == now {
                    expected.push((now, timer));
                    *deadline = u64::MAX;
                }
            }
            let timer = rng.below(20);
            let deadline = &mut deadlines[usize::try_from(timer).unwrap()];
            let timer = u32::try_from(timer).unwrap();
            if rng.below(10) == 0 {
                bench.timers.disarm(timer);
                *deadline = u64::MAX;
            } else {
                *deadline = now + 1 + rng.below(60);
                bench.arm(timer, *deadline);
            }
            bench.sweep();
            assert!(bench.queue.len() <= 2 * 20);
        }
        // Among those of one instant the order is that of their entries, not of their ids.
        bench.fired.sort_unstable();
        assert_eq!(bench.fired, expected);
        assert!(1_000 < expected.len());
    }
}
