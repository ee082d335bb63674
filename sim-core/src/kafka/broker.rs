//! The machine under a broker: its process, disk, page cache and network.
//!
//! | Mechanism                                                            | Fact    |
//! |----------------------------------------------------------------------|---------|
//! | sustained and burst bandwidth, the smaller of volume and instance     | K-DSK-1, K-DSK-2 |
//! | a reader far behind reads disk and evicts the tail                    | K-DSK-3 |
//! | writes go to the page cache, no fsync                                 | K-LOG-4 |
//!
//! Simplifications: bandwidth only, no seeks and no IOPS; writeback begins at once and an append
//! waits only for what is beyond a fifth of the page cache (the kernel's `dirty_ratio`). While
//! there is writeback, reads get half of the bandwidth. The cache holds what was written or read
//! last, whatever the partition, to a thirty-second of its size; what a replica fetched late counts
//! as written when its leader appended it. Small random reads on a full disk could tell.

use std::collections::VecDeque;

use crate::config::kafka::{ClusterConfig, DiskConfig};
use crate::engine::{NANOS_PER_SEC, Periodic, SimDuration, SimTime};

/// What a broker's process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Process {
    /// Serves.
    Running,
    /// Stands still: sockets stay open, nothing is answered.
    Frozen,
    /// Is gone: sockets are reset.
    Dead,
    /// Recovers its logs, or waits for its registration.
    Starting,
}

/// A broker.
#[derive(Clone, Debug)]
pub(crate) struct Broker {
    /// Its zone.
    pub(crate) zone: usize,
    /// Its process.
    pub(crate) process: Process,
    /// It is asked to stop, and waits for its leaderships to move.
    pub(crate) stopping: bool,
    /// It is to start again as soon as it has stopped.
    pub(crate) restarts: bool,
    /// It stopped without a word: its logs must be recovered.
    pub(crate) unclean: bool,
    /// Bytes that it had in active segments then.
    pub(crate) unflushed: u64,
    /// Number of its last append.
    pub(crate) stamp: u64,
    pub(crate) disk: Disk,
    pub(crate) cache: PageCache,
    /// Network, received and sent.
    pub(crate) network_in: Pipe,
    pub(crate) network_out: Pipe,
    /// When it looks for followers that are behind.
    pub(crate) isr_checks: Periodic,
    /// When it looks for segments to delete.
    pub(crate) retention_checks: Periodic,
    /// Bytes appended by producers, and by its own fetches as a follower.
    pub(crate) bytes_in: u64,
    pub(crate) replication_bytes_in: u64,
    /// Bytes served to consumers, and to followers.
    pub(crate) bytes_out: u64,
    pub(crate) replication_bytes_out: u64,
}

impl Broker {
    pub(crate) fn new(zone: usize, config: &ClusterConfig) -> Self {
        let (hardware, settings) = (&config.hardware, &config.settings);
        // Followers are looked at each half of the time that they may lag (K-ISR-2).
        let half_lag = SimDuration(settings.replica_lag_time_max.0 / 2);
        Self {
            zone,
            process: Process::Running,
            stopping: false,
            restarts: false,
            unclean: false,
            unflushed: 0,
            stamp: 0,
            disk: Disk::new(&hardware.disk, hardware.page_cache / 5),
            cache: PageCache::since(hardware.page_cache, super::history::epoch(config)),
            network_in: Pipe::new(hardware.network),
            network_out: Pipe::new(hardware.network),
            isr_checks: Periodic::new(half_lag.max(SimDuration(1))),
            retention_checks: Periodic::new(settings.retention_check_interval),
            bytes_in: 0,
            replication_bytes_in: 0,
            bytes_out: 0,
            replication_bytes_out: 0,
        }
    }

    pub(crate) fn runs(&self) -> bool {
        self.process == Process::Running
    }
}

/// Bytes that go through one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Pipe {
    rate: u64,
    free_at: SimTime,
}

impl Pipe {
    fn new(rate: u64) -> Self {
        Self { rate: rate.max(1), free_at: SimTime::ZERO }
    }

    /// When `bytes` that come at `now` are through.
    pub(crate) fn pass(&mut self, now: SimTime, bytes: u64) -> SimTime {
        self.free_at = self.free_at.max(now) + time_of(bytes, self.rate);
        self.free_at
    }
}

/// Nanoseconds for so many bytes.
pub(crate) fn time_of(bytes: u64, rate: u64) -> SimDuration {
    let nanos = u128::from(bytes) * u128::from(NANOS_PER_SEC) / u128::from(rate.max(1));
    SimDuration(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// Bytes that pass in that time.
fn bytes_in(time: SimDuration, rate: u64) -> u64 {
    let bytes = u128::from(time.0) * u128::from(rate) / u128::from(NANOS_PER_SEC);
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// A disk that writes behind.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    config: DiskConfig,
    /// Bytes that may wait to be written before appends wait.
    most_dirty: u64,
    /// Bytes handed over and not written yet, as of an instant.
    dirty: u64,
    drained_at: SimTime,
    /// When all that was asked for is read.
    read_at: SimTime,
    credits: u64,
    /// Factor on the time of each access, in millionths.
    slow_ppm: u64,
    /// Bytes read because the page cache had lost them.
    pub(crate) bytes_read: u64,
}

impl Disk {
    fn new(config: &DiskConfig, most_dirty: u64) -> Self {
        Self {
            credits: config.burst_credits,
            config: config.clone(),
            most_dirty,
            dirty: 0,
            drained_at: SimTime::ZERO,
            read_at: SimTime::ZERO,
            slow_ppm: 1_000_000,
            bytes_read: 0,
        }
    }

    /// From now on each access takes `ppm` millionths of its time.
    pub(crate) fn slow_down(&mut self, now: SimTime, ppm: u64) {
        self.drain(now);
        let left = u128::from(self.read_at.since(now).0) * u128::from(ppm)
            / u128::from(self.slow_ppm.max(1));
        self.read_at = now + SimDuration(u64::try_from(left).unwrap_or(u64::MAX));
        self.slow_ppm = ppm;
    }

    /// Hands bytes over to be written; returns how long the append waits for room.
    pub(crate) fn write(&mut self, now: SimTime, bytes: u64) -> SimDuration {
        self.drain(now);
        self.dirty = self.dirty.saturating_add(bytes);
        let beyond = self.dirty.saturating_sub(self.most_dirty);
        self.time_of(beyond)
    }

    /// Writes behind what it can until now.
    fn drain(&mut self, now: SimTime) {
        let elapsed = now.since(self.drained_at);
        self.drained_at = self.drained_at.max(now);
        if elapsed.0 == 0 {
            return;
        }
        let DiskConfig { bandwidth, burst_bandwidth, burst_credits } = self.config;
        let pace = SimDuration(self.unslowed(elapsed.0));
        let plain = bytes_in(pace, bandwidth);
        let above = bytes_in(pace, burst_bandwidth).saturating_sub(plain).min(self.credits);
        let written = self.dirty.min(plain.saturating_add(above));
        self.dirty -= written;
        self.credits -= written.saturating_sub(plain);
        let saved = plain.saturating_sub(written);
        self.credits = self.credits.saturating_add(saved).min(burst_credits);
    }

    /// When bytes that the page cache does not hold are there.
    pub(crate) fn read(&mut self, now: SimTime, bytes: u64) -> SimTime {
        self.drain(now);
        let takes = self.time_of(bytes);
        let contended = self.dirty > 0;
        self.read_at = self.read_at.max(now) + takes.times(if contended { 2 } else { 1 });
        if contended {
            // The disk is a reader's for half of that time.
            self.drained_at = self.drained_at.max(now) + takes;
        }
        self.bytes_read += bytes;
        self.read_at
    }

    /// Time for the bytes, at burst bandwidth while credits last: they are bytes above the
    /// sustained bandwidth.
    fn time_of(&self, bytes: u64) -> SimDuration {
        let DiskConfig { bandwidth, burst_bandwidth, .. } = self.config;
        let above = burst_bandwidth.saturating_sub(bandwidth);
        if above == 0 || self.credits == 0 {
            return self.slowed(time_of(bytes, bandwidth));
        }
        let lasts = time_of(self.credits, above);
        let fast = bytes.min(bytes_in(lasts, burst_bandwidth));
        self.slowed(time_of(fast, burst_bandwidth) + time_of(bytes - fast, bandwidth))
    }

    /// What of a time is left for work when each access takes longer.
    fn unslowed(&self, nanos: u64) -> u64 {
        let left = u128::from(nanos) * 1_000_000 / u128::from(self.slow_ppm.max(1));
        u64::try_from(left).unwrap_or(u64::MAX)
    }

    fn slowed(&self, time: SimDuration) -> SimDuration {
        let nanos = u128::from(time.0) * u128::from(self.slow_ppm) / 1_000_000;
        SimDuration(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// What of the logs is in memory: everything that was written since a moving instant.
#[derive(Clone, Debug)]
pub(crate) struct PageCache {
    /// Instants are counted from so long before the start of the run.
    epoch: SimDuration,
    capacity: u64,
    filled: u64,
    /// (instant, bytes that had come into the cache by then).
    steps: VecDeque<(SimTime, u64)>,
}

/// Into so many steps a cache is divided.
pub(crate) const CACHE_STEPS: u64 = 32;

impl PageCache {
    pub(crate) fn new(capacity: u64) -> Self {
        Self { epoch: SimDuration::ZERO, capacity, filled: 0, steps: VecDeque::new() }
    }

    /// One that knows of what was written in the time before the run.
    pub(crate) fn since(capacity: u64, epoch: SimDuration) -> Self {
        Self { epoch, ..Self::new(capacity) }
    }

    /// Bytes of a step.
    pub(crate) fn step(&self) -> u64 {
        (self.capacity / CACHE_STEPS).max(1)
    }

    /// Bytes come in, written or read from disk, and push out what came in longest ago.
    pub(crate) fn fill(&mut self, now: SimTime, bytes: u64) {
        self.fill_at(now + self.epoch, bytes);
    }

    /// The same, at an instant counted from the epoch.
    pub(crate) fn fill_at(&mut self, clock: SimTime, bytes: u64) {
        let step = self.step();
        if self.steps.back().is_none_or(|(_, by)| self.filled - by >= step) {
            self.steps.push_back((clock, self.filled));
        }
        self.filled += bytes;
        // The oldest step that is still inside bounds what is cached.
        while self.steps.get(1).is_some_and(|(_, by)| self.filled - by > self.capacity) {
            self.steps.pop_front();
        }
    }

    /// When its last step began, counted from the epoch.
    pub(crate) fn last_step(&self) -> SimTime {
        self.steps.back().map_or(SimTime::ZERO, |(at, _)| *at)
    }

    /// Whether what was written at that instant, counted from the epoch, is still there.
    pub(crate) fn holds(&self, written_at: SimTime) -> bool {
        let Some(&(oldest, by)) = self.steps.front() else {
            return true;
        };
        self.filled - by <= self.capacity || written_at > oldest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(bandwidth: u64, burst: u64, credits: u64) -> Disk {
        let config = DiskConfig { bandwidth, burst_bandwidth: burst, burst_credits: credits };
        Disk::new(&config, 0)
    }

    /// Ten seconds of the bandwidth at once take ten seconds; twice as slow, twenty.
    #[test]
    fn a_write_takes_its_bytes_over_the_bandwidth() {
        let mut plain = disk(100, 100, 0);
        assert_eq!(plain.write(SimTime::ZERO, 1_000), SimDuration::from_secs(10));
        let mut slow = disk(100, 100, 0);
        slow.slow_down(SimTime::ZERO, 2_000_000);
        assert_eq!(slow.write(SimTime::ZERO, 1_000), SimDuration::from_secs(20));
    }

    /// 1,000 bytes at 100/s, of which five seconds pass at a hundredth of that: 995 are left, and
    /// take 9.95 s from then on.
    #[test]
    fn what_waits_to_be_written_goes_at_the_pace_of_the_moment() {
        let at = |secs| SimTime::ZERO + SimDuration::from_secs(secs);
        let mut disk = disk(100, 100, 0);
        disk.slow_down(SimTime::ZERO, 100_000_000);
        disk.write(SimTime::ZERO, 1_000);
        disk.slow_down(at(5), 1_000_000);
        assert_eq!(disk.write(at(5), 0), SimDuration::from_millis(9_950));
    }

    /// 500 bytes of credit above 100/s last 500 / 900 s at 1,000/s, which is 555.6 bytes; the other
    /// 444.4 take 4.444 s: 5 s together.
    #[test]
    fn a_burst_lasts_as_long_as_its_credits() {
        let mut burst = disk(100, 1_000, 500);
        let takes = burst.write(SimTime::ZERO, 1_000).0.abs_diff(5_000_000_000);
        assert!(takes < 10_000_000, "whole bytes only: {takes} ns off");
    }

    /// 1,000 bytes of memory at 100 B/s hold the last ten seconds; reading 500 old bytes leaves
    /// room for the last five.
    #[test]
    fn the_cache_holds_what_came_last_and_a_far_reader_evicts_it() {
        let at = |secs| SimTime::ZERO + SimDuration::from_secs(secs);
        let mut cache = PageCache::new(1_000);
        for second in 0..60 {
            cache.fill(at(second), 100);
        }
        assert!(cache.holds(at(52)) && !cache.holds(at(48)));
        cache.fill(at(59), 500);
        assert!(cache.holds(at(57)) && !cache.holds(at(52)));
    }

    /// A day of 100 B/s in a cache of 1,000 B: one step for each 31 B or more, so at most 32 inside,
    /// and one that is out.
    #[test]
    fn a_cache_remembers_as_many_steps_as_it_is_divided_into() {
        for each in [1, 100, 5_000] {
            let mut cache = PageCache::new(1_000);
            for second in 0..86_400 {
                cache.fill(SimTime::ZERO + SimDuration::from_secs(second), each);
                assert!(cache.steps.len() as u64 <= CACHE_STEPS + 2, "{}", cache.steps.len());
            }
        }
    }
}
