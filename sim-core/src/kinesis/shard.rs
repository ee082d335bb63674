//! One shard: its range, its write budgets, its log, and its budget for shared readers.
//!
//! | Mechanism                                                               | Fact  |
//! |-------------------------------------------------------------------------|-------|
//! | 1 MiB/s and 1,000 records/s of writes                                    | N-W-4, N-W-5 |
//! | 5 GetRecords calls/s, shared by all polling consumers                    | N-R-3 |
//! | 2 MiB/s of shared reads; a response of b > 2 MiB blocks until b/(2 MiB/s) | N-R-3, V-16 |
//! | OPEN -> CLOSED by a split or merge; a closed shard stays readable        | N-C-4 |
//!
//! Simplification: the read budget below 2 MiB is a bucket of 2 MiB that may go into debt and
//! refuses calls until the debt is paid. AWS does not publish its shape; over a few seconds nobody
//! can tell.

use crate::engine::{NANOS_PER_SEC, SimDuration, SimTime};
use crate::hash::HashRange;

use super::limiter::TokenBucket;
use super::log::Log;

/// Bytes per second that a shard takes (N-W-4, D-23).
pub const WRITE_BYTES_PER_SEC: u64 = 1 << 20;
/// Kinesis records per second that a shard takes (N-W-4).
pub const WRITE_RECORDS_PER_SEC: u64 = 1_000;
/// Bytes per second that shared readers get from a shard, and a fan-out consumer by itself.
pub const READ_BYTES_PER_SEC: u64 = 2 << 20;
/// GetRecords calls per second and shard.
pub const READ_CALLS_PER_SEC: u64 = 5;
/// Seconds over which the writes of a shard are added up, and the one that has just begun.
const WINDOW_SECS: usize = 61;

/// A shard.
#[derive(Clone, Debug)]
pub struct Shard {
    /// The hash keys it owns, or owned while it was open.
    pub range: HashRange,
    /// When it was opened.
    pub opened_at: SimTime,
    /// When it was closed; `None` while it is open.
    pub closed_at: Option<SimTime>,
    /// The shards it came from.
    pub parents: [Option<u32>; 2],
    /// Its records.
    pub log: Log,
    records: TokenBucket,
    bytes: TokenBucket,
    reads: ReadBudget,
    writes: WriteWindow,
}

/// Why GetRecords was refused, and until when it is no use to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadRefused {
    /// Calls before this instant are refused as well.
    pub until: SimTime,
}

impl Shard {
    /// An open shard with full budgets.
    #[must_use]
    pub fn new(
        range: HashRange,
        parents: [Option<u32>; 2],
        burst_bytes: u64,
        now: SimTime,
    ) -> Self {
        let mut records = TokenBucket::full(WRITE_RECORDS_PER_SEC, WRITE_RECORDS_PER_SEC);
        let mut bytes = TokenBucket::full(WRITE_BYTES_PER_SEC, burst_bytes);
        records.refill(now);
        bytes.refill(now);
        Self {
            range,
            opened_at: now,
            closed_at: None,
            parents,
            log: Log::default(),
            records,
            bytes,
            reads: ReadBudget::new(now),
            writes: WriteWindow::new(now),
        }
    }

    /// Whether it takes writes.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.closed_at.is_none()
    }

    /// How much of a write of so many Kinesis records and bytes it can take at `now`: at most the
    /// whole of it.
    pub fn write_budget(&mut self, now: SimTime, records: u64, bytes: u64) -> (u64, u64) {
        self.records.refill(now);
        self.bytes.refill(now);
        if self.records.affords(records) && self.bytes.affords(bytes) {
            return (records, bytes);
        }
        (self.records.level().min(records), self.bytes.level().min(bytes))
    }

    /// Charges an admitted write. A throttled one costs nothing.
    pub fn charge_write(&mut self, now: SimTime, records: u64, bytes: u64) {
        self.records.spend(records);
        self.bytes.spend(bytes);
        self.writes.add(now, records, bytes);
    }

    /// Kinesis records and bytes accepted in the last sixty seconds.
    #[must_use]
    pub fn written_last_minute(&self, now: SimTime) -> (u64, u64) {
        self.writes.sum(now)
    }

    /// Judges a GetRecords call; an accepted one spends a call.
    ///
    /// # Errors
    /// If the shard refuses it for want of throughput.
    pub fn begin_read(&mut self, now: SimTime) -> Result<(), ReadRefused> {
        self.reads.begin(now)
    }

    /// Charges the bytes that an accepted call returned.
    pub fn charge_read(&mut self, now: SimTime, bytes: u64) {
        self.reads.charge(now, bytes);
    }
}

/// What shared readers may still take.
#[derive(Clone, Debug)]
struct ReadBudget {
    calls: TokenBucket,
    bytes: TokenBucket,
    /// Calls are refused up to and including this instant.
    blocked_until: Option<SimTime>,
}

impl ReadBudget {
    fn new(now: SimTime) -> Self {
        let mut calls = TokenBucket::full(READ_CALLS_PER_SEC, READ_CALLS_PER_SEC);
        let mut bytes = TokenBucket::full(READ_BYTES_PER_SEC, READ_BYTES_PER_SEC);
        calls.refill(now);
        bytes.refill(now);
        Self { calls, bytes, blocked_until: None }
    }

    fn begin(&mut self, now: SimTime) -> Result<(), ReadRefused> {
        if let Some(until) = self.blocked_until.filter(|until| now <= *until) {
            return Err(ReadRefused { until });
        }
        self.blocked_until = None;
        self.calls.refill(now);
        if self.calls.level() == 0 {
            let wait = self.calls.time_until(1).unwrap_or(SimDuration::from_secs(1));
            return Err(ReadRefused { until: now + wait });
        }
        self.calls.spend(1);
        Ok(())
    }

    fn charge(&mut self, now: SimTime, bytes: u64) {
        self.bytes.refill(now);
        let level = self.bytes.level();
        if bytes <= level {
            self.bytes.spend(bytes);
            return;
        }
        self.bytes.spend(level);
        // A response beyond 2 MiB is paid for from its own instant on, whatever was saved (V-16).
        let debt = if bytes > READ_BYTES_PER_SEC { bytes } else { bytes - level };
        let wait = SimDuration(nanos_at(debt, READ_BYTES_PER_SEC));
        self.blocked_until = Some(now + wait);
        // What refills meanwhile pays the debt.
        self.bytes = TokenBucket::full(READ_BYTES_PER_SEC, READ_BYTES_PER_SEC);
        self.bytes.refill(now + wait);
        let saved = self.bytes.level();
        self.bytes.spend(saved);
    }
}

/// Nanoseconds that `amount` takes at `rate` per second, rounded up.
#[must_use]
pub fn nanos_at(amount: u64, rate: u64) -> u64 {
    let nanos = (u128::from(amount) * u128::from(NANOS_PER_SEC)).div_ceil(u128::from(rate.max(1)));
    u64::try_from(nanos).unwrap_or(u64::MAX)
}

/// Accepted writes by second, over a sliding minute.
#[derive(Clone, Debug)]
struct WriteWindow {
    seconds: Vec<(u64, u64)>,
    /// The second that was written last.
    last: u64,
}

impl WriteWindow {
    fn new(now: SimTime) -> Self {
        Self { seconds: vec![(0, 0); WINDOW_SECS], last: now.0 / NANOS_PER_SEC }
    }

    fn add(&mut self, now: SimTime, records: u64, bytes: u64) {
        let second = now.0 / NANOS_PER_SEC;
        for stale in self.last + 1..=second.min(self.last + WINDOW_SECS as u64) {
            self.seconds[slot(stale)] = (0, 0);
        }
        self.last = second;
        let entry = &mut self.seconds[slot(second)];
        entry.0 += records;
        entry.1 += bytes;
    }

    fn sum(&self, now: SimTime) -> (u64, u64) {
        let second = now.0 / NANOS_PER_SEC;
        let oldest = second.saturating_sub(WINDOW_SECS as u64 - 1);
        (oldest..=second.min(self.last))
            .filter(|second| self.last.saturating_sub(*second) < WINDOW_SECS as u64)
            .map(|second| self.seconds[slot(second)])
            .fold((0, 0), |sum, entry| (sum.0 + entry.0, sum.1 + entry.1))
    }
}

fn slot(second: u64) -> usize {
    usize::try_from(second % WINDOW_SECS as u64).expect("below 61")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard() -> Shard {
        Shard::new(HashRange { start: 0, end: u128::MAX }, [None; 2], 1 << 20, SimTime::ZERO)
    }

    fn at_ms(ms: u64) -> SimTime {
        SimTime(ms * 1_000_000)
    }

    /// V-16: a call that returns 10 MiB blocks calls for 10 / 2 = 5 s; 7 MiB block 3.5 s and 3 MiB
    /// block 1.5 s.
    #[test]
    fn v_16_a_large_response_blocks_the_shard_for_its_own_time() {
        for (mib, blocked_ms) in [(10, 5_000), (7, 3_500), (3, 1_500)] {
            let mut shard = shard();
            shard.begin_read(at_ms(1_000)).unwrap();
            shard.charge_read(at_ms(1_000), mib << 20);
            let until = at_ms(1_000 + blocked_ms);
            assert_eq!(shard.begin_read(at_ms(1_001)), Err(ReadRefused { until }));
            assert_eq!(shard.begin_read(until), Err(ReadRefused { until }));
            shard.begin_read(SimTime(until.0 + 1)).unwrap();
        }
    }

    /// The negative: up to 2 MiB nothing is blocked, not even at its own instant.
    #[test]
    fn a_response_of_two_mib_blocks_nobody() {
        let mut shard = shard();
        shard.begin_read(at_ms(1_000)).unwrap();
        shard.charge_read(at_ms(1_000), 2 << 20);
        shard.begin_read(at_ms(1_000)).unwrap();
        shard.begin_read(at_ms(1_001)).unwrap();
    }

    #[test]
    fn the_sixth_call_of_an_instant_is_refused() {
        let mut shard = shard();
        for _ in 0..5 {
            shard.begin_read(at_ms(500)).unwrap();
        }
        // One call comes back each 200 ms.
        assert_eq!(shard.begin_read(at_ms(500)), Err(ReadRefused { until: at_ms(700) }));
        shard.begin_read(at_ms(700)).unwrap();
    }

    /// V-19: however shared readers take turns, over a minute they get 2 MiB/s and no more.
    #[test]
    fn v_19_shared_reads_add_up_to_two_mib_per_second() {
        for (readers, response_kib) in [(5_u64, 700_u64), (3, 1_500), (2, 5_000)] {
            let mut shard = shard();
            let mut bytes = 0;
            for ms in 0..60_000 {
                // Each reader asks once a second, spread over it.
                if ms % (1_000 / readers) == 0 && shard.begin_read(at_ms(ms)).is_ok() {
                    shard.charge_read(at_ms(ms), response_kib << 10);
                    bytes += response_kib << 10;
                }
            }
            // One burst of the bucket and one response over.
            let most = 60 * READ_BYTES_PER_SEC + READ_BYTES_PER_SEC + (response_kib << 10);
            assert!(bytes <= most, "{bytes} of {most}");
            let asked = 60 * readers * (response_kib << 10);
            assert!(bytes >= asked.min(60 * READ_BYTES_PER_SEC) * 9 / 10, "{bytes}");
        }
    }

    /// N-W-4, N-W-5: 1,000 records and 1 MiB, each budget by itself.
    #[test]
    fn a_rested_shard_takes_a_thousand_records_and_a_mib() {
        assert_eq!(shard().write_budget(at_ms(0), 1_000, 1 << 20), (1_000, 1 << 20));
        assert_eq!(shard().write_budget(at_ms(0), 1_001, 2_002), (1_000, 2_002));
        assert_eq!(shard().write_budget(at_ms(0), 2, (1 << 20) + 1), (2, 1 << 20));
    }

    /// Records are charged to the records, bytes to the bytes: 600 of 10 bytes leave 400 records and
    /// 1,048,576 - 6,000 bytes. Asking alone costs nothing.
    #[test]
    fn an_admitted_write_is_charged_to_both_budgets() {
        let mut shard = shard();
        shard.write_budget(at_ms(0), 600, 6_000);
        shard.charge_write(at_ms(0), 600, 6_000);
        for _ in 0..2 {
            assert_eq!(shard.write_budget(at_ms(0), 5_000, 5 << 20), (400, 1_042_576));
        }
        assert_eq!(shard.written_last_minute(at_ms(0)), (600, 6_000));
    }

    /// An empty shard has one record and 1,048.576 bytes after a millisecond, half of everything after
    /// 500, and never more than a second's worth. With a deep bucket (N-W-5) the bytes go on to 10 MiB.
    #[test]
    fn write_budgets_refill_at_a_thousand_records_and_a_mib_per_second() {
        for (burst, after_a_minute) in [(1 << 20, 1 << 20), (10 << 20, 10 << 20)] {
            let whole = HashRange { start: 0, end: u128::MAX };
            let mut shard = Shard::new(whole, [None; 2], burst, SimTime::ZERO);
            shard.write_budget(at_ms(0), 1_000, burst);
            shard.charge_write(at_ms(0), 1_000, burst);
            let mut budget = |ms| shard.write_budget(at_ms(ms), 1 << 40, 1 << 40);
            assert_eq!(budget(0), (0, 0));
            assert_eq!(budget(1), (1, 1_048));
            assert_eq!(budget(500), (500, 524_288));
            assert_eq!(budget(1_000), (1_000, 1 << 20));
            assert_eq!(budget(60_000), (1_000, after_a_minute));
        }
    }

    /// One byte more than 2 MiB is more than the bucket holds: it blocks for its own time, just over
    /// a second.
    #[test]
    fn a_response_of_one_byte_over_two_mib_blocks_the_shard() {
        let mut shard = shard();
        shard.begin_read(at_ms(1_000)).unwrap();
        shard.charge_read(at_ms(1_000), (2 << 20) + 1);
        assert!(shard.begin_read(at_ms(2_000)).is_err());
        shard.begin_read(at_ms(2_001)).unwrap();
    }

    /// 1.5 and 1 MiB at once are half a MiB more than the bucket holds, which takes 250 ms.
    #[test]
    fn small_responses_share_two_mib_and_then_block_for_the_rest() {
        let mut shard = shard();
        for kib in [1_536, 1_024] {
            shard.begin_read(at_ms(1_000)).unwrap();
            shard.charge_read(at_ms(1_000), kib << 10);
        }
        let until = at_ms(1_250);
        assert_eq!(shard.begin_read(until), Err(ReadRefused { until }));
        shard.begin_read(SimTime(until.0 + 1)).unwrap();
    }

    /// Five calls a second, however long they last: in the ten seconds after the first five, fifty.
    #[test]
    fn calls_come_back_at_five_a_second() {
        let mut shard = shard();
        let taken = (0..=10_000).filter(|ms| shard.begin_read(at_ms(*ms)).is_ok()).count();
        assert_eq!(taken, 5 + 50);
    }

    #[test]
    fn the_window_forgets_after_a_minute() {
        let mut shard = shard();
        shard.write_budget(at_ms(500), 1, 100);
        shard.charge_write(at_ms(500), 1, 100);
        // Seconds are forgotten whole: at 60 s the sixty before it count, at 61 s the first no longer.
        assert_eq!(shard.written_last_minute(at_ms(60_000)), (1, 100));
        assert_eq!(shard.written_last_minute(at_ms(61_000)), (0, 0));
        shard.write_budget(at_ms(200_000), 1, 7);
        shard.charge_write(at_ms(200_000), 1, 7);
        assert_eq!(shard.written_last_minute(at_ms(200_500)), (1, 7));
    }
}
