//! Service with limited capacity: c servers behind one FIFO queue. Processors, broker threads and
//! disks are of this kind; theory says how long one waits at them (V-01 to V-03, V-07).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::config::ServiceTime;
use crate::engine::dist::exponential;
use crate::engine::{RngStream, SimDuration, SimTime};

/// Equal servers that take work in the order of its arrival.
#[derive(Clone, Debug)]
pub struct Servers {
    free_at: BinaryHeap<Reverse<SimTime>>,
    busy: SimDuration,
}

/// When a piece of work is in service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    /// Its service begins.
    pub from: SimTime,
    /// It is done.
    pub until: SimTime,
}

impl Servers {
    /// `count` idle servers, at least one.
    #[must_use]
    pub fn new(count: u32) -> Self {
        let free_at = (0..count.max(1)).map(|_| Reverse(SimTime::ZERO)).collect();
        Self { free_at, busy: SimDuration::ZERO }
    }

    /// Work arrives at `now`, no earlier than the work before it, and takes `service`.
    ///
    /// # Panics
    /// Never: there is at least one server.
    pub fn serve(&mut self, now: SimTime, service: SimDuration) -> Served {
        let Reverse(free) = self.free_at.pop().expect("at least one server");
        let from = free.max(now);
        let until = from + service;
        self.free_at.push(Reverse(until));
        self.busy = self.busy + service;
        Served { from, until }
    }

    /// Server-time of all work taken so far.
    #[must_use]
    pub fn busy(&self) -> SimDuration {
        self.busy
    }
}

/// The factor, in millionths, of what takes as long as usual.
pub const FULL_SPEED: u64 = 1_000_000;

/// The product of two factors, all in millionths.
pub(crate) fn times_as_slow(ppm: u64, other_ppm: u64) -> u64 {
    // The usual case, without a division of 128 bits.
    if other_ppm == FULL_SPEED {
        return ppm;
    }
    let product = u128::from(ppm) * u128::from(other_ppm) / u128::from(FULL_SPEED);
    u64::try_from(product).unwrap_or(u64::MAX)
}

/// Time to process `records` records one after the other, at `ppm` millionths of the usual pace.
pub(crate) fn time_to_process(
    service: ServiceTime,
    records: u64,
    ppm: u64,
    rng: &mut RngStream,
) -> SimDuration {
    let plain = match service {
        ServiceTime::Fixed(each) => each.times(records),
        ServiceTime::Exponential(mean) => {
            let mut sum = SimDuration::ZERO;
            for _ in 0..records {
                sum = sum + exponential(rng, mean);
            }
            sum
        }
    };
    if ppm == FULL_SPEED {
        return plain;
    }
    let scaled = u128::from(plain.0) * u128::from(ppm) / u128::from(FULL_SPEED);
    SimDuration(u64::try_from(scaled).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_third_piece_waits_for_the_first_of_two_servers_to_be_free() {
        let mut servers = Servers::new(2);
        let (now, second) = (SimTime::ZERO, SimDuration::from_secs(1));
        servers.serve(now, second.times(5));
        servers.serve(now, second.times(3));
        let third = servers.serve(now + second, second);
        assert_eq!(third.from, now + second.times(3));
        assert_eq!(third.until, now + second.times(4));
        assert_eq!(servers.busy(), second.times(9));
    }
}
