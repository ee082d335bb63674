//! Sinks: where consumers apply records. A consumer writes what it has processed and goes on when the
//! answer is there; so a sink that is slow, full or failing holds it back, and what it has not
//! answered is not committed.
//!
//! | Mechanism                                                              | Source     |
//! |------------------------------------------------------------------------|------------|
//! | c writes at the same time, in the order in which they come              | V-03       |
//! | a rate beyond which writes wait                                         | V-07       |
//! | a failed write is repeated after a back-off, then given up              | C-POI-2, C-POI-3 |
//! | while a consumer waits it does not poll                                 | C-POI-2    |
//!
//! Simplifications: the records of one run (of one partition, offered together) are written one after
//! the other by one connection, which they hold until the last is answered; those that fail are
//! written again together, after all have been tried. Which of a run's records fail is not told,
//! only how many. A dead-letter queue takes everything at once.

use crate::config::{GivenUp, SinkConfig, SinkRetry, SinkUse};
use crate::engine::dist::binomial;
use crate::engine::{NANOS_PER_SEC, RngStream, Rngs, SimDuration, SimTime};
use crate::ledger::Ledger;
use crate::service::{FULL_SPEED, Servers, time_to_process};

/// A sink.
#[derive(Clone, Debug)]
pub struct Sink {
    config: SinkConfig,
    connections: Option<Servers>,
    /// When what was written so far has passed the rate limit.
    free_at: SimTime,
    luck: RngStream,
    /// Injected faults: factor on its latency, and writes that fail, in millionths.
    slow_ppm: u64,
    fails_ppm: u32,
}

/// A run of records on its way into a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Write {
    /// Records that are not in the sink yet.
    left: u64,
    attempts: u32,
    /// Its answer comes with the next look, not before.
    asked: bool,
}

/// How a write goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Look again then.
    At(SimTime),
    /// It is over; so many records were given up.
    Over(u64),
}

impl Write {
    /// `records` that are ready to be written.
    #[must_use]
    pub fn new(records: u64) -> Self {
        Self { left: records, attempts: 0, asked: false }
    }

    /// What comes next: a write, its answer, a wait before another one, or the end.
    pub fn next(&mut self, sink: &mut Sink, retry: &SinkRetry, now: SimTime) -> Progress {
        if !self.asked {
            let (answered, failed) = sink.take(self.left, now);
            self.left = failed;
            self.attempts = self.attempts.saturating_add(1);
            self.asked = true;
            return Progress::At(answered);
        }
        if self.left == 0 || self.attempts == retry.attempts {
            return Progress::Over(self.left);
        }
        self.asked = false;
        Progress::At(now + retry.wait_before(self.attempts + 1))
    }
}

impl SinkRetry {
    /// The wait before a write of that number, from 2 on.
    fn wait_before(&self, attempt: u32) -> SimDuration {
        let doublings = attempt.saturating_sub(2).min(63);
        let grown = u128::from(self.base.0) << doublings;
        SimDuration(u64::try_from(grown).unwrap_or(u64::MAX)).min(self.ceiling)
    }
}

impl Sink {
    /// An idle sink.
    #[must_use]
    pub fn new(config: &SinkConfig, rngs: &Rngs) -> Self {
        Self {
            connections: (config.concurrency > 0).then(|| Servers::new(config.concurrency)),
            free_at: SimTime::ZERO,
            luck: rngs.stream(&format!("sink/{}", config.name)),
            slow_ppm: FULL_SPEED,
            fails_ppm: 0,
            config: config.clone(),
        }
    }

    /// Injected faults in force, in millionths: a factor on its latency, a share of writes that fail.
    pub fn set_faults(&mut self, slow_ppm: u64, fails_ppm: u32) {
        (self.slow_ppm, self.fails_ppm) = (slow_ppm, fails_ppm);
    }

    /// `records` are written now: (when the last is answered, how many of them failed).
    fn take(&mut self, records: u64, now: SimTime) -> (SimTime, u64) {
        let takes = time_to_process(self.config.latency, records, self.slow_ppm, &mut self.luck);
        let answered = match &mut self.connections {
            Some(connections) => connections.serve(now, takes).until,
            None => now + takes,
        };
        let rate = self.config.capacity_milli_per_s;
        if rate > 0 {
            let nanos = u128::from(records) * u128::from(NANOS_PER_SEC) * 1_000 / u128::from(rate);
            let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
            self.free_at = self.free_at.max(now) + SimDuration(nanos);
        }
        let fails_ppm = self.config.errors_ppm.max(self.fails_ppm);
        let failed = match fails_ppm {
            0 => 0,
            1_000_000.. => records,
            ppm => binomial(&mut self.luck, records, f64::from(ppm) / 1e6),
        };
        (answered.max(self.free_at), failed)
    }
}

/// Books what a consumer has given up of `records`, lost unless it goes to a dead-letter queue;
/// returns how many are left.
pub(crate) fn book_given_up(
    ledger: &mut Ledger,
    consumer: usize,
    using: Option<&SinkUse>,
    (given_up, records): (u64, u64),
) -> u64 {
    let given_up = given_up.min(records);
    match using.map(|using| using.retry.then) {
        Some(GivenUp::DeadLetter) => ledger.dead_letter(consumer, given_up),
        Some(GivenUp::Skip) | None => ledger.skip(consumer, given_up),
    }
    records - given_up
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ServiceTime;

    fn ms(millis: u64) -> SimDuration {
        SimDuration::from_millis(millis)
    }

    fn at(millis: u64) -> SimTime {
        SimTime::ZERO + ms(millis)
    }

    fn sink(per_s: u64, concurrency: u32, latency_ms: u64, errors_ppm: u32) -> Sink {
        let config = SinkConfig {
            name: "db".into(),
            capacity_milli_per_s: per_s * 1_000,
            concurrency,
            latency: ServiceTime::Fixed(ms(latency_ms)),
            errors_ppm,
        };
        Sink::new(&config, &Rngs::new(1))
    }

    fn retry(attempts: u32) -> SinkRetry {
        SinkRetry { attempts, base: ms(100), ceiling: ms(350), then: GivenUp::Skip }
    }

    /// Follows a write of so many records that begins at 0: when it is over, and what was given up.
    fn follow(sink: &mut Sink, records: u64, retry: &SinkRetry) -> (SimTime, u64) {
        let (mut write, mut now) = (Write::new(records), SimTime::ZERO);
        loop {
            match write.next(sink, retry, now) {
                Progress::At(next) => now = next,
                Progress::Over(given_up) => return (now, given_up),
            }
        }
    }

    /// 10 records of 5 ms one after the other.
    #[test]
    fn a_run_takes_its_records_times_the_latency() {
        assert_eq!(follow(&mut sink(0, 0, 5, 0), 10, &retry(0)), (at(50), 0));
    }

    /// Two connections: of three runs of 50 ms that come at once the third waits for one.
    #[test]
    fn connections_are_shared_in_the_order_of_coming() {
        let mut sink = sink(0, 2, 5, 0);
        let ends = [0; 3].map(|_| follow(&mut sink, 10, &retry(0)).0);
        assert_eq!(ends, [at(50), at(50), at(100)]);
        // Without a limit none waits.
        let mut free = self::sink(0, 0, 5, 0);
        assert_eq!([0; 3].map(|_| follow(&mut free, 10, &retry(0)).0), [at(50); 3]);
    }

    /// 100 records a second: 10 take 100 ms though each is answered within 5, and the next 10 the next
    /// 100 ms.
    #[test]
    fn a_rate_holds_back_what_comes_faster() {
        let mut sink = sink(100, 0, 5, 0);
        assert_eq!(follow(&mut sink, 10, &retry(0)).0, at(100));
        assert_eq!(follow(&mut sink, 10, &retry(0)).0, at(200));
        // After a rest nothing is saved up: a second later it is 100 ms again.
        assert_eq!(sink.take(10, at(1_200)).0, at(1_300));
    }

    /// All fail: writes end at 10, 120, 330 and 690 ms (waits of 100, 200 and 350, 10 each), and the
    /// fourth is the last.
    #[test]
    fn a_failing_write_backs_off_doubling_up_to_the_ceiling_and_gives_up() {
        let mut broken = sink(0, 0, 5, 1_000_000);
        assert_eq!(follow(&mut broken, 2, &retry(4)), (at(10 + 110 + 210 + 360), 2));
        assert_eq!(follow(&mut broken, 2, &retry(1)), (at(10), 2));
    }

    /// A fault of 100 % ends at 1 s: whoever tries until it succeeds is through soon after, with
    /// nothing given up.
    #[test]
    fn who_never_gives_up_waits_until_the_fault_is_over() {
        let mut sink = sink(0, 0, 5, 0);
        sink.set_faults(FULL_SPEED, 1_000_000);
        let (mut write, mut now) = (Write::new(3), SimTime::ZERO);
        let over = loop {
            if now >= at(1_000) {
                sink.set_faults(FULL_SPEED, 0);
            }
            match write.next(&mut sink, &retry(0), now) {
                Progress::At(next) => now = next,
                Progress::Over(given_up) => break given_up,
            }
        };
        assert_eq!(over, 0);
        assert!(now >= at(1_000) && now <= at(1_000 + 350 + 30), "{now}");
    }

    /// Half of the writes fail: a record is given up after three with chance 1/8; 8,000 records, four
    /// standard errors of sqrt(8000 x 7)/8 = 30.
    #[test]
    fn each_record_fails_by_itself() {
        let given_up = follow(&mut sink(0, 0, 0, 500_000), 8_000, &retry(3)).1;
        assert!(given_up.abs_diff(1_000) < 120, "{given_up}");
    }
}
