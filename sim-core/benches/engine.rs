//! Events per second of the event queue, against a binary heap in the same interleaved run.
//!
//! `cargo bench -p sim-core --bench engine`; a word after `--` runs the rows that contain it.
//!
//! | Row            | Workload                                                                   |
//! |----------------|----------------------------------------------------------------------------|
//! | hold n         | n events wait; each popped one schedules another at now + exp(1 s)         |
//! | mm1            | M/M/1 at load 0.8: arrivals and departures                                 |
//! | phold          | 1,000 processes, 10 messages each, sent on to any after 0.1 + 0.9 exp(1) s |
//! | same tick      | 1,000 events at one instant, each schedules the next a millisecond later   |
//! | bimodal        | 10,000 events wait; nine in ten for 1 ms, the rest for 45 s                |
//! | re-arm plain   | 10,000 sessions; a heartbeat every 3 s schedules another timeout at 45 s   |
//! | re-arm timers  | the same with `Timers`; both rows count heartbeats                         |
//!
//! Events have 16 bytes, queue entries 32. Delays and destinations come from a table of 2^16 draws
//! made beforehand: the figures are of the queue, without the generator. The rounds of the two
//! queues alternate; the figure is that of the best round (least disturbed by others on the
//! machine), the ratio the median over rounds.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

#[path = "../src/engine/queue/oracle.rs"]
mod oracle;

use oracle::HeapQueue;
use sim_core::engine::{Ctx, EventQueue, Rngs, Schedule, SimDuration, SimTime, Ticket, Timers};
use sim_core::engine::{NANOS_PER_SEC, dist};

const ROUNDS: usize = 7;
const TABLE: usize = 1 << 16;

/// Sixteen bytes, as an event of the simulator has.
#[derive(Clone, Copy)]
struct Event {
    process: u64,
    hops: u64,
}

/// An event of the re-arm rows.
#[derive(Clone, Copy)]
enum Beat {
    Heartbeat { session: u32 },
    Expired(Ticket),
    PlainExpired { session: u32, generation: u64 },
}

/// The two queues under one name.
trait Queue<E>: Schedule<E> {
    fn new() -> Self;
    fn pop(&mut self) -> (SimTime, E);
    /// How many events wait, and when the next one comes.
    fn state(&mut self) -> (usize, Option<u64>);
}

impl<E> Queue<E> for EventQueue<E> {
    fn new() -> Self {
        EventQueue::new()
    }

    #[inline]
    fn pop(&mut self) -> (SimTime, E) {
        let popped = EventQueue::pop(self).expect("never empty");
        (popped.at, popped.event)
    }

    fn state(&mut self) -> (usize, Option<u64>) {
        (self.len(), self.next_at().map(|at| at.0))
    }
}

impl<E> Schedule<E> for HeapQueue<E> {
    #[inline]
    fn schedule_at(&mut self, at: SimTime, event: E) {
        HeapQueue::schedule_at(self, at.0, event);
    }
}

impl<E> Queue<E> for HeapQueue<E> {
    fn new() -> Self {
        HeapQueue::new()
    }

    #[inline]
    fn pop(&mut self) -> (SimTime, E) {
        let (at, event) = HeapQueue::pop(self).expect("never empty");
        (SimTime(at), event)
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
        Self { table: std::iter::repeat_with(draw).take(TABLE).collect(), next: 0 }
    }

    fn exponential(name: &str, mean: SimDuration) -> Self {
        let mut rng = Rngs::new(1).stream(name);
        Self::new(move || dist::exponential(&mut rng, mean).0)
    }

    fn bimodal() -> Self {
        let mut rng = Rngs::new(1).stream("bimodal");
        Self::new(move || {
            let long = rng.below(10) == 0;
            let shortest = if long { 45 * NANOS_PER_SEC } else { NANOS_PER_SEC / 1_000 };
            shortest + rng.below(shortest / 10)
        })
    }

    #[inline]
    fn next(&mut self) -> u64 {
        self.next = (self.next + 1) % TABLE;
        self.table[self.next]
    }

    #[inline]
    fn next_delay(&mut self) -> SimDuration {
        SimDuration(self.next())
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

impl<Q: Queue<Event>> Hold<Q> {
    fn new(pending: u64, mut delays: Draws) -> Self {
        let mut queue = Q::new();
        for process in 0..pending {
            queue.schedule_at(SimTime(delays.next()), Event { process, hops: 0 });
        }
        Self { queue, delays }
    }
}

impl<Q: Queue<Event>> Workload for Hold<Q> {
    #[inline]
    fn step(&mut self) {
        let (now, mut event) = self.queue.pop();
        event.hops += 1;
        self.queue.schedule_at(now + self.delays.next_delay(), event);
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

impl<Q: Queue<Event>> Mm1<Q> {
    fn new() -> Self {
        let mut queue = Q::new();
        queue.schedule_at(SimTime::ZERO, Event { process: 0, hops: 0 });
        Self {
            queue,
            gaps: Draws::exponential("gaps", SimDuration::from_millis(1_250)),
            services: Draws::exponential("services", SimDuration::from_secs(1)),
            waiting: 0,
        }
    }
}

impl<Q: Queue<Event>> Workload for Mm1<Q> {
    #[inline]
    fn step(&mut self) {
        let (now, event) = self.queue.pop();
        let serve = if event.process == 0 {
            self.queue.schedule_at(now + self.gaps.next_delay(), event);
            self.waiting += 1;
            self.waiting == 1
        } else {
            self.waiting -= 1;
            0 < self.waiting
        };
        if serve {
            let departure = Event { process: 1, hops: event.hops + 1 };
            self.queue.schedule_at(now + self.services.next_delay(), departure);
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

impl<Q: Queue<Event>> Phold<Q> {
    fn new() -> Self {
        let mut rng = Rngs::new(1).stream("destinations");
        let mut waits = Draws::exponential("hops", SimDuration::from_millis(900));
        let mut delays = Draws::new(|| NANOS_PER_SEC / 10 + waits.next());
        let mut queue = Q::new();
        for message in 0..10_000 {
            let event = Event { process: message % 1_000, hops: 0 };
            queue.schedule_at(SimTime(delays.next()), event);
        }
        Self {
            queue,
            delays,
            destinations: Draws::new(move || rng.below(1_000)),
            received: vec![0; 1_000],
        }
    }
}

impl<Q: Queue<Event>> Workload for Phold<Q> {
    #[inline]
    fn step(&mut self) {
        let (now, event) = self.queue.pop();
        self.received[usize::try_from(event.process).unwrap_or(0)] += 1;
        let process = self.destinations.next();
        let hops = event.hops + 1;
        self.queue.schedule_at(now + self.delays.next_delay(), Event { process, hops });
    }

    fn state(&mut self) -> (usize, Option<u64>) {
        self.queue.state()
    }
}

struct SameTick<Q> {
    queue: Q,
    expected: u64,
}

impl<Q: Queue<Event>> SameTick<Q> {
    fn new() -> Self {
        let mut queue = Q::new();
        for process in 0..1_000 {
            queue.schedule_at(SimTime::ZERO, Event { process, hops: 0 });
        }
        Self { queue, expected: 0 }
    }
}

impl<Q: Queue<Event>> Workload for SameTick<Q> {
    #[inline]
    fn step(&mut self) {
        let (now, event) = self.queue.pop();
        assert_eq!(event.process, self.expected, "ties come in the order of scheduling");
        self.expected = if event.process == 999 { 0 } else { event.process + 1 };
        self.queue.schedule_at(now + SimDuration::from_millis(1), event);
    }

    fn state(&mut self) -> (usize, Option<u64>) {
        self.queue.state()
    }
}

/// Sessions whose heartbeats put their timeouts off; with timers, or with an entry each time.
struct Rearm<Q> {
    queue: Q,
    timers: Option<Timers<Beat>>,
    generations: Vec<u64>,
}

impl<Q: Queue<Beat>> Rearm<Q> {
    const SESSIONS: u32 = 10_000;
    const INTERVAL: SimDuration = SimDuration::from_secs(3);
    const TIMEOUT: SimDuration = SimDuration::from_secs(45);

    fn new(timers: Option<Timers<Beat>>) -> Self {
        let mut rng = Rngs::new(1).stream("phases");
        let mut timers = timers;
        let mut queue = Q::new();
        for session in 0..Self::SESSIONS {
            let phase = SimTime(rng.below(Self::INTERVAL.0));
            queue.schedule_at(phase, Beat::Heartbeat { session });
            if let Some(timers) = &mut timers {
                timers.add();
            }
        }
        Self { queue, timers, generations: vec![0; Self::SESSIONS as usize] }
    }

    fn on_heartbeat(&mut self, session: u32, now: SimTime) {
        self.queue.schedule_at(now + Self::INTERVAL, Beat::Heartbeat { session });
        let deadline = now + Self::TIMEOUT;
        if let Some(timers) = &mut self.timers {
            timers.arm(session, deadline, &mut Ctx::new(now, &mut self.queue));
        } else {
            let generation = self.generations[session as usize] + 1;
            self.generations[session as usize] = generation;
            self.queue.schedule_at(deadline, Beat::PlainExpired { session, generation });
        }
    }
}

impl<Q: Queue<Beat>> Workload for Rearm<Q> {
    /// Up to the next heartbeat.
    #[inline]
    fn step(&mut self) {
        loop {
            let (now, event) = self.queue.pop();
            match event {
                Beat::Heartbeat { session } => return self.on_heartbeat(session, now),
                Beat::Expired(ticket) => {
                    let timers = self.timers.as_mut().expect("a ticket is of a timer");
                    let fires = timers.fires(ticket, &mut Ctx::new(now, &mut self.queue));
                    assert!(!fires, "heartbeats come in time");
                }
                Beat::PlainExpired { session, generation } => {
                    let current = self.generations[session as usize];
                    assert!(generation < current, "heartbeats come in time");
                }
            }
        }
    }

    fn state(&mut self) -> (usize, Option<u64>) {
        self.queue.state()
    }
}

#[expect(clippy::disallowed_types, reason = "a bench measures wall time")]
fn rate(steps: u32, workload: &mut impl Workload) -> f64 {
    let started = std::time::Instant::now();
    for _ in 0..steps {
        workload.step();
    }
    f64::from(steps) / started.elapsed().as_secs_f64() / 1e6
}

/// Runs both in turns and prints one row.
fn compare(name: &str, steps: u32, mut wheel: impl Workload, mut heap: impl Workload) {
    rate(steps / 2, &mut wheel);
    rate(steps / 2, &mut heap);
    let mut rounds: Vec<(f64, f64)> =
        (0..ROUNDS).map(|_| (rate(steps, &mut wheel), rate(steps, &mut heap))).collect();
    assert_eq!(wheel.state(), heap.state(), "{name}: both queues did the same");
    let best = |of: fn(&(f64, f64)) -> f64| rounds.iter().map(of).fold(0.0, f64::max);
    let (wheel_best, heap_best) = (best(|round| round.0), best(|round| round.1));
    rounds.sort_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
    let (wheel_median, heap_median) = rounds[ROUNDS / 2];
    let ratio = wheel_median / heap_median;
    println!("{name:<14} {wheel_best:>10.1} {heap_best:>10.1} {ratio:>10.2}");
}

/// Resident memory in MiB, where the system tells.
fn resident_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024.0)
}

fn memory_at_a_million(steps: u32) {
    let delays = Draws::exponential("delays", SimDuration::from_secs(1));
    let before = resident_mib();
    let mut hold = Hold::<EventQueue<Event>>::new(1_000_000, delays);
    for _ in 0..steps {
        hold.step();
    }
    if let (Some(before), Some(after)) = (before, resident_mib()) {
        println!("memory at 1M   {:.0} MiB after {steps} events", after - before);
    }
}

fn main() {
    type Wheel<E> = EventQueue<E>;
    type Heap<E> = HeapQueue<E>;

    // Cargo says `--bench` when it benches; under `cargo test` a short run shows that it works.
    let benching = std::env::args().any(|argument| argument == "--bench");
    let steps = if benching { 4_000_000 } else { 4_000 };
    let word = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let chosen = |name: &str| word.as_ref().is_none_or(|word| name.contains(word));

    // First, while nothing freed by another row can be used again.
    if chosen("memory") {
        memory_at_a_million(steps);
    }
    println!("{:<14} {:>10} {:>10} {:>10}", "M events/s", "queue", "heap", "ratio");
    for (name, pending) in [("hold 100", 100), ("hold 10k", 10_000), ("hold 1M", 1_000_000)] {
        if chosen(name) {
            let delays = || Draws::exponential("delays", SimDuration::from_secs(1));
            let wheel = Hold::<Wheel<_>>::new(pending, delays());
            compare(name, steps, wheel, Hold::<Heap<_>>::new(pending, delays()));
        }
    }
    if chosen("mm1") {
        compare("mm1", steps, Mm1::<Wheel<_>>::new(), Mm1::<Heap<_>>::new());
    }
    if chosen("phold") {
        compare("phold", steps, Phold::<Wheel<_>>::new(), Phold::<Heap<_>>::new());
    }
    if chosen("same tick") {
        let wheel = SameTick::<Wheel<_>>::new();
        compare("same tick", steps, wheel, SameTick::<Heap<_>>::new());
    }
    if chosen("bimodal") {
        let wheel = Hold::<Wheel<_>>::new(10_000, Draws::bimodal());
        let heap = Hold::<Heap<_>>::new(10_000, Draws::bimodal());
        compare("bimodal", steps, wheel, heap);
    }
    if chosen("re-arm plain") {
        let (wheel, heap) = (Rearm::<Wheel<_>>::new(None), Rearm::<Heap<_>>::new(None));
        compare("re-arm plain", steps, wheel, heap);
    }
    if chosen("re-arm timers") {
        let timers = || Some(Timers::new(Beat::Expired));
        let wheel = Rearm::<Wheel<_>>::new(timers());
        compare("re-arm timers", steps, wheel, Rearm::<Heap<_>>::new(timers()));
    }
}
