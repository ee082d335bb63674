//! Events per second of the event queue, against a binary heap in the same interleaved run.
//!
//! `cargo bench -p sim-core --bench engine`; a word after `--` runs the rows that contain it.
//!
//! | Row          | Workload                                                                   |
//! |--------------|----------------------------------------------------------------------------|
//! | hold n       | n events wait; each popped one schedules another at now + exp(1 s)         |
//! | mm1          | M/M/1 at load 0.8: arrivals and departures                                 |
//! | phold        | 1,000 processes, 10 messages each, sent on to any after 0.1 + 0.9 exp(1) s |
//! | same tick    | 1,000 events at one instant, each schedules the next a millisecond later   |
//! | bimodal      | 10,000 events wait; nine in ten for 1 ms, the rest for 45 s                |
//!
//! Events have 16 bytes, queue entries 32. Delays and destinations come from a table of 2^16 draws
//! made beforehand: the figures are of the queue, without the generator. The rounds of the two
//! queues alternate; the figure is that of the best round (least disturbed by others on the
//! machine), the ratio the median over rounds.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

#[path = "../src/engine/queue/oracle.rs"]
mod oracle;

use std::hint::black_box;

use oracle::HeapQueue;
use sim_core::engine::{EventQueue, Rngs, SimDuration, SimTime, dist};

const ROUNDS: usize = 7;
const TABLE: usize = 1 << 16;
const SECOND: u64 = 1_000_000_000;

/// Sixteen bytes, as an event of the simulator has.
#[derive(Clone, Copy)]
struct Event {
    process: u64,
    hops: u64,
}

/// The two queues under one name.
trait Queue {
    fn new() -> Self;
    fn schedule(&mut self, at: u64, event: Event);
    fn pop(&mut self) -> (u64, Event);
    /// How many events wait, and when the next one comes.
    fn state(&mut self) -> (usize, Option<u64>);
}

impl Queue for EventQueue<Event> {
    fn new() -> Self {
        EventQueue::new()
    }
    #[inline]
    fn schedule(&mut self, at: u64, event: Event) {
        self.schedule_at(SimTime(at), event);
    }
    #[inline]
    fn pop(&mut self) -> (u64, Event) {
        let popped = EventQueue::pop(self).expect("never empty");
        (popped.at.0, popped.event)
    }
    fn state(&mut self) -> (usize, Option<u64>) {
        (self.len(), self.next_at().map(|at| at.0))
    }
}

impl Queue for HeapQueue<Event> {
    fn new() -> Self {
        HeapQueue::new()
    }
    #[inline]
    fn schedule(&mut self, at: u64, event: Event) {
        self.schedule_at(at, event);
    }
    #[inline]
    fn pop(&mut self) -> (u64, Event) {
        HeapQueue::pop(self).expect("never empty")
    }
    fn state(&mut self) -> (usize, Option<u64>) {
        (self.len(), self.next_at())
    }
}

/// A table of numbers drawn beforehand, read round and round.
struct Draws {
    table: Vec<u64>,
    next: usize,
}

impl Draws {
    fn new(draw: impl FnMut() -> u64) -> Self {
        let mut draw = draw;
        Self {
            table: (0..TABLE).map(|_| draw()).collect(),
            next: 0,
        }
    }

    fn exponential(name: &str, mean: u64) -> Self {
        let mut rng = Rngs::new(1).stream(name);
        Self::new(move || dist::exponential(&mut rng, SimDuration(mean)).0)
    }

    #[inline]
    fn next(&mut self) -> u64 {
        self.next = (self.next + 1) % TABLE;
        self.table[self.next]
    }
}

/// A workload on one queue: a step pops one event and schedules what follows.
trait Workload {
    fn step(&mut self);
    /// Of its queue: equal after equal steps, whatever the queue.
    fn state(&mut self) -> (usize, Option<u64>);
}

struct Hold<Q> {
    queue: Q,
    delays: Draws,
}

impl<Q: Queue> Hold<Q> {
    fn new(pending: u64, mut delays: Draws) -> Self {
        let mut queue = Q::new();
        for process in 0..pending {
            queue.schedule(delays.next(), Event { process, hops: 0 });
        }
        Self { queue, delays }
    }
}

impl<Q: Queue> Workload for Hold<Q> {
    #[inline]
    fn step(&mut self) {
        let (now, mut event) = self.queue.pop();
        event.hops += 1;
        self.queue.schedule(now + self.delays.next(), event);
    }

    fn state(&mut self) -> (usize, Option<u64>) {
        self.queue.state()
    }
}

struct Mm1<Q> {
    queue: Q,
    gaps: Draws,
    services: Draws,
    waiting: u64,
}

impl<Q: Queue> Mm1<Q> {
    fn new() -> Self {
        let mut queue = Q::new();
        queue.schedule(
            0,
            Event {
                process: 0,
                hops: 0,
            },
        );
        Self {
            queue,
            gaps: Draws::exponential("gaps", SECOND * 5 / 4),
            services: Draws::exponential("services", SECOND),
            waiting: 0,
        }
    }
}

impl<Q: Queue> Workload for Mm1<Q> {
    #[inline]
    fn step(&mut self) {
        let (now, event) = self.queue.pop();
        let serve = if event.process == 0 {
            self.queue.schedule(now + self.gaps.next(), event);
            self.waiting += 1;
            self.waiting == 1
        } else {
            self.waiting -= 1;
            0 < self.waiting
        };
        if serve {
            self.queue.schedule(
                now + self.services.next(),
                Event {
                    process: 1,
                    hops: now,
                },
            );
        }
    }

    fn state(&mut self) -> (usize, Option<u64>) {
        self.queue.state()
    }
}

struct Phold<Q> {
    queue: Q,
    delays: Draws,
    destinations: Draws,
    received: Vec<u64>,
}

impl<Q: Queue> Phold<Q> {
    fn new() -> Self {
        let mut rng = Rngs::new(1).stream("destinations");
        let mut exponentials = Draws::exponential("hops", SECOND * 9 / 10);
        let mut delays = Draws::new(|| SECOND / 10 + exponentials.next());
        let mut queue = Q::new();
        for message in 0..10_000 {
            queue.schedule(
                delays.next(),
                Event {
                    process: message % 1_000,
                    hops: 0,
                },
            );
        }
        Self {
            queue,
            delays,
            destinations: Draws::new(move || rng.below(1_000)),
            received: vec![0; 1_000],
        }
    }
}

impl<Q: Queue> Workload for Phold<Q> {
    #[inline]
    fn step(&mut self) {
        let (now, event) = self.queue.pop();
        self.received[usize::try_from(event.process).unwrap_or(0)] += 1;
        let process = self.destinations.next();
        self.queue.schedule(
            now + self.delays.next(),
            Event {
                process,
                hops: event.hops + 1,
            },
        );
    }

    fn state(&mut self) -> (usize, Option<u64>) {
        self.queue.state()
    }
}

struct SameTick<Q> {
    queue: Q,
    expected: u64,
}

impl<Q: Queue> SameTick<Q> {
    fn new() -> Self {
        let mut queue = Q::new();
        for process in 0..1_000 {
            queue.schedule(0, Event { process, hops: 0 });
        }
        Self { queue, expected: 0 }
    }
}

impl<Q: Queue> Workload for SameTick<Q> {
    #[inline]
    fn step(&mut self) {
        let (now, event) = self.queue.pop();
        assert_eq!(
            event.process, self.expected,
            "ties come out in the order of scheduling"
        );
        self.expected = if event.process == 999 {
            0
        } else {
            event.process + 1
        };
        self.queue.schedule(now + 1_000_000, event);
    }

    fn state(&mut self) -> (usize, Option<u64>) {
        self.queue.state()
    }
}

fn bimodal() -> Draws {
    let mut rng = Rngs::new(1).stream("bimodal");
    Draws::new(move || {
        let long = rng.below(10) == 0;
        let mean = if long { 45 * SECOND } else { SECOND / 1_000 };
        mean + rng.below(mean / 10)
    })
}

#[expect(clippy::disallowed_types, reason = "a bench measures wall time")]
fn rate(steps: u64, workload: &mut impl Workload) -> f64 {
    let started = std::time::Instant::now();
    for _ in 0..steps {
        workload.step();
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate for print")]
    let steps = steps as f64;
    steps / started.elapsed().as_secs_f64() / 1e6
}

/// Runs both in turns and prints one row.
fn compare(name: &str, steps: u64, mut wheel: impl Workload, mut heap: impl Workload) {
    if !chosen(name) {
        return;
    }
    rate(steps / 2, black_box(&mut wheel));
    rate(steps / 2, black_box(&mut heap));
    let mut rounds: Vec<(f64, f64)> = (0..ROUNDS)
        .map(|_| (rate(steps, &mut wheel), rate(steps, &mut heap)))
        .collect();
    assert_eq!(
        wheel.state(),
        heap.state(),
        "{name}: both queues did the same"
    );
    let best = |of: fn(&(f64, f64)) -> f64| rounds.iter().map(of).fold(0.0, f64::max);
    let (wheel_best, heap_best) = (best(|round| round.0), best(|round| round.1));
    rounds.sort_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
    let (wheel_median, heap_median) = rounds[ROUNDS / 2];
    let ratio = wheel_median / heap_median;
    println!("{name:<14} {wheel_best:>10.1} {heap_best:>10.1} {ratio:>10.2}");
}

fn chosen(name: &str) -> bool {
    let mut words = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'));
    words.next().is_none_or(|word| name.contains(&word))
}

/// Resident memory in MiB, where the system tells.
fn resident_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024.0)
}

fn memory_at_a_million() {
    let delays = Draws::exponential("delays", SECOND);
    let before = resident_mib();
    let mut hold = Hold::<EventQueue<Event>>::new(1_000_000, delays);
    for _ in 0..5_000_000 {
        hold.step();
    }
    if let (Some(before), Some(after)) = (before, resident_mib()) {
        println!(
            "\nmemory at 1M pending, after 5M events: {:.0} MiB",
            after - before
        );
    }
}

type Wheel = EventQueue<Event>;
type Heap = HeapQueue<Event>;

fn main() {
    if chosen("memory") {
        memory_at_a_million();
    }
    println!(
        "\n{:<14} {:>10} {:>10} {:>10}",
        "M events/s", "queue", "heap", "ratio"
    );
    for (name, pending, steps) in [
        ("hold 100", 100, 4_000_000),
        ("hold 10k", 10_000, 4_000_000),
        ("hold 1M", 1_000_000, 4_000_000),
    ] {
        if !chosen(name) {
            continue;
        }
        let delays = || Draws::exponential("delays", SECOND);
        let wheel = Hold::<Wheel>::new(pending, delays());
        compare(name, steps, wheel, Hold::<Heap>::new(pending, delays()));
    }
    compare("mm1", 6_000_000, Mm1::<Wheel>::new(), Mm1::<Heap>::new());
    compare(
        "phold",
        4_000_000,
        Phold::<Wheel>::new(),
        Phold::<Heap>::new(),
    );
    compare(
        "same tick",
        4_000_000,
        SameTick::<Wheel>::new(),
        SameTick::<Heap>::new(),
    );
    compare(
        "bimodal",
        4_000_000,
        Hold::<Wheel>::new(10_000, bimodal()),
        Hold::<Heap>::new(10_000, bimodal()),
    );
}
