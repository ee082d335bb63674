//! How long a producer could not write to a partition or shard: `produce_unavailable_s`.
//!
//! It belongs to the producer whose attempts fail. What another one is told of the same partition is
//! no business of it: with acks=1 nothing may be wrong where acks=all is refused for minutes.
//!
//! An outage lasts from the sending of a failed attempt, or from the last accepted one if that came
//! later, to the next accepted one. If none is accepted any more, it lasts to the end of the run, or,
//! once nothing of the producer waits for the partition, to when the last that did was given up:
//! from then on nobody was refused anything.

use crate::engine::{SimDuration, SimTime};

/// The outages of one producer, by partition or shard.
#[derive(Clone, Debug, Default)]
pub struct Outages {
    places: Vec<Place>,
    longest: SimDuration,
}

/// One partition or shard, as its producer finds it.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    accepted_at: SimTime,
    failing: Option<Failing>,
}

#[derive(Clone, Copy, Debug)]
struct Failing {
    since: SimTime,
    /// When something last failed, or was given up.
    until: SimTime,
}

impl Outages {
    /// An attempt that was sent at `sent_at` fails.
    pub fn fail(&mut self, place: u32, sent_at: SimTime, now: SimTime) {
        let place = self.place(place);
        let since = sent_at.max(place.accepted_at);
        let failing = place.failing.get_or_insert(Failing { since, until: now });
        // Attempts may overlap, and the first to fail need not be the first that was sent.
        failing.since = failing.since.min(since);
        failing.until = now;
    }

    /// Records are given up that waited for another attempt.
    pub fn give_up(&mut self, place: u32, now: SimTime) {
        if let Some(failing) = &mut self.place(place).failing {
            failing.until = now;
        }
    }

    /// An attempt is accepted.
    pub fn accept(&mut self, place: u32, now: SimTime) {
        let place = self.place(place);
        place.accepted_at = now;
        if let Some(failing) = place.failing.take() {
            self.longest = self.longest.max(now.since(failing.since));
        }
    }

    /// Shards are replaced: what could not be written to the old ones is for the new ones.
    pub fn hand_on(&mut self, closed: &[u32], opened: &[u32]) {
        let failing = closed.iter().filter_map(|&old| self.place(old).failing.take());
        let join = |a: Failing, b: Failing| Failing {
            since: a.since.min(b.since),
            until: a.until.max(b.until),
        };
        if let Some(failing) = failing.reduce(join) {
            for &new in opened {
                self.place(new).failing = Some(failing);
            }
        }
    }

    /// The longest outage in a run that ends at `end`. `waits` says whether something of the
    /// producer waits for a partition then.
    #[must_use]
    pub fn longest(&self, end: SimTime, waits: impl Fn(u32) -> bool) -> SimDuration {
        let failing = (0..).zip(&self.places).filter_map(|(n, place)| Some((n, place.failing?)));
        let lasted = failing.map(|(place, failing)| {
            let until = if waits(place) { end } else { failing.until };
            until.since(failing.since)
        });
        lasted.fold(self.longest, SimDuration::max)
    }

    fn place(&mut self, place: u32) -> &mut Place {
        let place = place as usize;
        if self.places.len() <= place {
            self.places.resize(place + 1, Place::default());
        }
        &mut self.places[place]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> SimTime {
        SimTime::ZERO + SimDuration::from_secs(secs)
    }

    fn lasted(outages: &Outages, waits: bool) -> u64 {
        outages.longest(at(100), |_| waits).0 / 1_000_000_000
    }

    /// Sent at 10 and 11 s, failed at 40 and 41, accepted at 50: 40 s. Other partitions have a say
    /// in their own.
    #[test]
    fn an_outage_lasts_from_the_sending_of_a_failed_attempt_to_the_next_accepted() {
        let mut outages = Outages::default();
        outages.fail(3, at(11), at(40));
        outages.fail(3, at(10), at(41));
        outages.accept(2, at(45));
        outages.accept(3, at(50));
        assert_eq!(lasted(&outages, true), 40);
        // A shorter one later does not count.
        outages.fail(3, at(60), at(61));
        outages.accept(3, at(70));
        assert_eq!(lasted(&outages, true), 40);
    }

    /// Sent at 10 s and failed at 40, when another one had been accepted at 30: 45 - 30.
    #[test]
    fn what_was_accepted_meanwhile_shortens_it() {
        let mut outages = Outages::default();
        outages.accept(0, at(30));
        outages.fail(0, at(10), at(40));
        outages.accept(0, at(45));
        assert_eq!(lasted(&outages, true), 15);
    }

    /// Failing from 20 s on, given up at 60: 80 s to the end while something waits, else 40 s.
    #[test]
    fn without_another_attempt_it_lasts_until_nothing_waits() {
        let mut outages = Outages::default();
        outages.fail(0, at(20), at(25));
        outages.give_up(0, at(60));
        assert_eq!(lasted(&outages, true), 80);
        assert_eq!(lasted(&outages, false), 40);
        // Giving up what no attempt has failed of opens nothing.
        outages.give_up(1, at(60));
        assert_eq!(lasted(&outages, false), 40);
    }

    /// Shard 0 fails from 20 s on and is split at 30; one child accepts at 40, the other never does.
    #[test]
    fn the_heirs_of_a_shard_take_over_its_outage() {
        let mut outages = Outages::default();
        outages.fail(0, at(20), at(29));
        outages.hand_on(&[0], &[1, 2]);
        outages.accept(1, at(40));
        assert_eq!(lasted(&outages, false), 20);
        assert_eq!(lasted(&outages, true), 80);
    }
}
