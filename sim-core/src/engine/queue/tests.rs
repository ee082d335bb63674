//! The queue against the binary heap, pop for pop, and its promises one by one.

use proptest::prelude::*;

use super::super::rng::{RngStream, Rngs};
use super::oracle::HeapQueue;
use super::*;

const MILLI: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MILLI;
const HOUR: u64 = 3_600 * SECOND;

/// An entry is an event, its time and its cause, and nothing else: engine speed goes by size.
const _: () = assert!(size_of::<Scheduled<[u64; 2]>>() <= 32);

/// The queue and the oracle side by side: each step is done to both.
struct Pair {
    queue: EventQueue<u32>,
    oracle: HeapQueue<u32>,
    now: u64,
    scheduled: u32,
}

impl Pair {
    fn new() -> Self {
        Self { queue: EventQueue::new(), oracle: HeapQueue::new(), now: 0, scheduled: 0 }
    }

    fn schedule_at(&mut self, at: u64) {
        self.queue.schedule_at(SimTime(at), self.scheduled);
        self.oracle.schedule_at(at, self.scheduled);
        self.scheduled += 1;
    }

    fn schedule_after(&mut self, delay: u64) {
        self.schedule_at(self.now.saturating_add(delay));
    }

    /// Pops both; false if they are empty.
    fn pop(&mut self) -> bool {
        let popped = self.queue.pop().map(|popped| (popped.at.0, popped.event));
        assert_eq!(popped, self.oracle.pop());
        self.now = popped.map_or(self.now, |(at, _)| at);
        popped.is_some()
    }

    fn peek(&mut self) {
        let expected = self.oracle.next_at();
        assert_eq!(self.queue.next_at().map(|at| at.0), expected);
    }

    fn drain(&mut self) {
        while self.pop() {}
        assert!(self.queue.is_empty());
    }
}

/// Runs a hold model of `pending` events whose delays come from `delay`, peeking now and then.
fn hold(name: &str, pending: usize, steps: usize, mut delay: impl FnMut(&mut RngStream) -> u64) {
    let mut rng = Rngs::new(11).stream(name);
    let mut pair = Pair::new();
    for _ in 0..pending {
        pair.schedule_after(delay(&mut rng));
    }
    for _ in 0..steps {
        if rng.below(8) == 0 {
            pair.peek();
        }
        assert!(pair.pop());
        // Now two, now none: the number waiting wanders.
        let room = pair.queue.len() < 2 * pending;
        let successors = if room { rng.below(3) } else { 0 };
        for _ in 0..successors.max(u64::from(pair.queue.is_empty())) {
            pair.schedule_after(delay(&mut rng));
        }
        assert_eq!(pair.queue.len(), pair.oracle.len());
    }
    pair.drain();
}

#[test]
fn it_pops_as_the_heap_does_on_every_time_scale() {
    for scale in [2, 1_000, MILLI, SECOND, HOUR, u64::MAX / 100_000] {
        for pending in [1, 30, 3_000] {
            hold(&format!("{scale}/{pending}"), pending, 20_000, |rng| rng.below(scale));
        }
    }
}

#[test]
fn it_pops_as_the_heap_does_between_a_millisecond_and_45_seconds() {
    hold("bimodal", 2_000, 60_000, |rng| {
        let long = rng.below(10) == 0;
        if long { 45 * SECOND } else { MILLI + rng.below(100) }
    });
}

#[test]
fn it_pops_as_the_heap_does_when_most_events_tie() {
    // Delays of whole seconds, none included: ties with what waits and with the present.
    hold("ties", 500, 60_000, |rng| rng.below(4) * SECOND);
}

#[test]
fn it_pops_as_the_heap_does_when_scales_mix() {
    hold("mixed", 1_000, 60_000, |rng| {
        let scale = 1 << rng.below(44);
        rng.below(scale)
    });
}

/// A burst at one instant that is already within the front, again and again.
#[test]
fn bursts_into_the_front_keep_their_order() {
    let mut rng = Rngs::new(11).stream("bursts");
    let mut pair = Pair::new();
    for _ in 0..50 {
        for _ in 0..20 {
            pair.schedule_after(rng.below(1_000 * SECOND));
        }
        assert!(pair.pop());
        let shared = rng.below(SECOND);
        for _ in 0..500 {
            let delay = if rng.below(4) == 0 { rng.below(SECOND) } else { shared };
            pair.schedule_after(delay);
        }
        for _ in 0..400 {
            pair.pop();
        }
    }
    pair.drain();
}

/// Peeking opens a slot; what is scheduled before it still comes first.
#[test]
fn a_peek_does_not_hide_what_is_scheduled_before_the_peeked_event() {
    let mut pair = Pair::new();
    pair.schedule_at(HOUR);
    pair.peek();
    for at in [SECOND, 5, 2 * HOUR, SECOND, HOUR, HOUR - 1, HOUR + 1] {
        pair.schedule_at(at);
        pair.peek();
    }
    for at in (0..1_000).rev() {
        pair.schedule_at(at * MILLI);
    }
    pair.drain();
}

/// The front narrows while it holds something from before the slot it was opened from.
#[test]
fn a_front_with_something_early_in_it_narrows_to_the_later_slot() {
    let mut pair = Pair::new();
    for step in 0..30 {
        pair.schedule_at(0x5000_0000 + step * 0x1000);
        pair.schedule_at(0x5100_0000 + step);
    }
    pair.peek();
    pair.schedule_at(0x10);
    for step in 0..2 * FRONT_MAX as u64 {
        pair.schedule_at(0x5000_0000 + step * 0x800);
    }
    pair.drain();
}

/// A slot is sorted, with ties in it, at every size up to that from which it is spread.
#[test]
fn ties_in_a_small_slot_come_out_in_the_order_of_scheduling() {
    for size in 1..40 {
        let mut pair = Pair::new();
        for step in 0..size {
            pair.schedule_at(SECOND + step * 7 % 3);
        }
        pair.drain();
    }
}

#[test]
fn ties_come_out_in_the_order_of_scheduling() {
    let mut queue = EventQueue::new();
    for event in 0..1_000 {
        queue.schedule_at(SimTime(SECOND), event);
    }
    for event in 0..1_000 {
        let expected = Scheduled { at: SimTime(SECOND), cause: 0, event };
        assert_eq!(queue.pop(), Some(expected));
    }
    assert_eq!(queue.pop(), None);
}

#[test]
fn the_last_instant_of_all_keeps_its_order() {
    let mut pair = Pair::new();
    for _ in 0..100 {
        pair.schedule_at(u64::MAX);
        pair.schedule_at(u64::MAX - 1);
    }
    for _ in 0..150 {
        assert!(pair.pop());
        pair.schedule_after(0);
        pair.schedule_after(1);
    }
    pair.drain();
}

/// The front gives entries of the last instant back to the wheel: they stay before later ones.
#[test]
fn the_last_instant_of_all_keeps_its_order_when_the_front_narrows() {
    let mut pair = Pair::new();
    for back in 0..20 {
        pair.schedule_at(u64::MAX - 3 * back);
    }
    assert!(pair.pop());
    pair.schedule_at(u64::MAX);
    for _ in 0..2 * FRONT_MAX {
        pair.schedule_at(u64::MAX - 40);
    }
    pair.schedule_at(u64::MAX);
    pair.drain();
}

#[test]
fn an_instant_already_past_counts_as_now() {
    let mut queue = EventQueue::new();
    queue.schedule_at(SimTime(SECOND), 'a');
    queue.schedule_at(SimTime(SECOND), 'b');
    assert!(queue.pop().is_some());
    queue.schedule_at(SimTime(3), 'c');
    let rest: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
    let rest: Vec<_> = rest.iter().map(|popped| (popped.at.0, popped.event)).collect();
    assert_eq!(rest, [(SECOND, 'b'), (SECOND, 'c')]);
}

#[test]
fn an_event_keeps_the_cause_that_was_set_when_it_was_scheduled() {
    let mut queue = EventQueue::new();
    queue.schedule_at(SimTime(2), 'a');
    queue.set_cause(7);
    queue.schedule_at(SimTime(1), 'b');
    queue.set_cause(8);
    let causes: Vec<_> = std::iter::from_fn(|| queue.pop()).map(|popped| popped.cause).collect();
    assert_eq!(causes, [7, 0]);
}

#[test]
fn a_clone_goes_on_as_the_original_does() {
    let mut rng = Rngs::new(11).stream("clone");
    let mut queue = EventQueue::new();
    for event in 0..5_000_u32 {
        queue.schedule_at(SimTime(rng.below(HOUR)), event);
        if event % 3 == 0 {
            queue.pop();
        }
    }
    let mut twin = queue.clone();
    for event in 0..5_000 {
        let at = SimTime(rng.below(2 * HOUR));
        queue.schedule_at(at, event);
        twin.schedule_at(at, event);
        assert_eq!(queue.pop(), twin.pop());
    }
    while let Some(popped) = queue.pop() {
        assert_eq!(Some(popped), twin.pop());
    }
    assert!(twin.is_empty());
}

#[test]
fn a_sweep_removes_what_is_stale_and_nothing_else() {
    let mut rng = Rngs::new(11).stream("sweep");
    let mut queue = EventQueue::new();
    let mut expected = HeapQueue::new();
    let mut stale = 0;
    for event in 0..10_000_u32 {
        let at = rng.below(HOUR);
        queue.schedule_at(SimTime(at), event);
        if event % 4 == 0 {
            expected.schedule_at(at, event);
        } else {
            stale += 1;
        }
    }
    // Some of them are in the front.
    assert!(queue.next_at().is_some());
    assert!(queue.sweep(stale, |event| event % 4 == 0));
    assert_eq!(queue.len(), 2_500);
    while let Some(popped) = queue.pop() {
        assert_eq!(Some((popped.at.0, popped.event)), expected.pop());
    }
    assert_eq!(expected.pop(), None);
}

#[test]
fn a_sweep_waits_until_the_stale_outnumber_the_live() {
    let mut queue = EventQueue::new();
    for event in 0..10 {
        queue.schedule_at(SimTime(event), event);
    }
    assert!(!queue.sweep(5, |event| 5 <= *event));
    assert_eq!(queue.len(), 10);
    assert!(queue.sweep(6, |event| 6 <= *event));
    assert_eq!(queue.len(), 4);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    After(u64),
    Burst(u64),
    Peek,
    Pop,
}

fn any_step() -> impl Strategy<Value = Step> {
    let delay = prop_oneof![0..3_u64, 0..MILLI, 0..100 * SECOND, Just(45 * SECOND), any::<u64>(),];
    prop_oneof![
        5 => delay.clone().prop_map(Step::After),
        1 => delay.prop_map(Step::Burst),
        1 => Just(Step::Peek),
        5 => Just(Step::Pop),
    ]
}

proptest! {
    #[test]
    fn any_schedule_pops_as_from_the_heap(steps in prop::collection::vec(any_step(), 1..400)) {
        let mut pair = Pair::new();
        for step in steps {
            match step {
                Step::After(delay) => pair.schedule_after(delay),
                Step::Burst(delay) => (0..40).for_each(|_| pair.schedule_after(delay)),
                Step::Peek => pair.peek(),
                Step::Pop => {
                    pair.pop();
                }
            }
        }
        pair.drain();
    }
}
