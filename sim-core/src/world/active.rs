//! Faults in force. A fault holds its effects from its beginning to its end, and what is in effect is
//! folded from all that are held: of shares the greatest, of factors the product, of cuts and of
//! processes that are down or stand still the union. So the end of one takes only itself away.

use crate::config::{Fleet, Processes};
use crate::service::{FULL_SPEED, times_as_slow};

/// One process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Process {
    /// Its kind.
    pub(super) of: Processes,
    /// Its slot.
    pub(super) number: u32,
}

/// What one fault does to one target. Shares and factors are in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// A process does not run; whether it was stopped cleanly.
    Down(Process, bool),
    /// A process stands still.
    Frozen(Process),
    /// A fleet, or one slot of it, takes longer for each record.
    SlowConsumer(Fleet, Option<u32>, u64),
    /// A broker's disk takes longer: cluster, broker, factor.
    SlowDisk(usize, u32, u64),
    /// The writes of a sink take longer.
    SlowSink(usize, u64),
    /// A share of the writes of a sink fails.
    FailingSink(usize, u32),
    /// A zone of a cluster is cut off.
    Cut(usize, usize),
    /// A share of a stream's calls is throttled.
    Throttled(usize, u32),
    /// A share of a stream's iterators is expired.
    Expiring(usize, u32),
    /// A share of a stream's answers is lost.
    Unanswered(usize, u32),
}

impl Effect {
    /// Whether the other does the same to the same target, however strongly.
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Down(a, _), Self::Down(b, _)) | (Self::Frozen(a), Self::Frozen(b)) => a == b,
            (Self::SlowConsumer(a, x, _), Self::SlowConsumer(b, y, _)) => (a, x) == (b, y),
            (Self::SlowDisk(a, x, _), Self::SlowDisk(b, y, _)) => (a, x) == (b, y),
            (Self::Cut(a, x), Self::Cut(b, y)) => (a, x) == (b, y),
            (Self::Throttled(a, _), Self::Throttled(b, _))
            | (Self::Expiring(a, _), Self::Expiring(b, _))
            | (Self::Unanswered(a, _), Self::Unanswered(b, _))
            | (Self::FailingSink(a, _), Self::FailingSink(b, _))
            | (Self::SlowSink(a, _), Self::SlowSink(b, _)) => a == b,
            _ => false,
        }
    }

    /// How strong it is, in millionths; what is or is not has no strength.
    fn strength(&self) -> u64 {
        match *self {
            Self::SlowConsumer(.., ppm) | Self::SlowDisk(.., ppm) | Self::SlowSink(_, ppm) => ppm,
            Self::Throttled(_, ppm)
            | Self::Expiring(_, ppm)
            | Self::Unanswered(_, ppm)
            | Self::FailingSink(_, ppm) => u64::from(ppm),
            Self::Down(..) | Self::Frozen(_) | Self::Cut(..) => 0,
        }
    }
}

/// All effects in force, by the entry of the timeline that holds them.
#[derive(Clone, Debug, Default)]
pub(super) struct Active {
    held: Vec<(usize, Effect)>,
}

impl Active {
    /// An entry holds an effect from now on.
    pub(super) fn hold(&mut self, entry: usize, effect: Effect) {
        self.held.push((entry, effect));
    }

    /// An entry lets go of an effect; whether it held it.
    pub(super) fn release(&mut self, entry: usize, effect: Effect) -> bool {
        let place = self.held.iter().position(|held| *held == (entry, effect));
        place.map(|place| self.held.remove(place)).is_some()
    }

    /// What an entry holds.
    pub(super) fn held_by(&self, entry: usize) -> Vec<Effect> {
        self.held.iter().filter(|held| held.0 == entry).map(|held| held.1).collect()
    }

    /// Whether anybody holds an effect on the target of this one.
    pub(super) fn is_held(&self, like: Effect) -> bool {
        self.like(like).next().is_some()
    }

    /// The greatest of the shares on the target of this effect, in millionths.
    pub(super) fn greatest(&self, like: Effect) -> u32 {
        let greatest = self.like(like).map(Effect::strength).max().unwrap_or(0);
        u32::try_from(greatest).unwrap_or(u32::MAX)
    }

    /// The product of the factors on the target of this effect, in millionths.
    pub(super) fn product(&self, like: Effect) -> u64 {
        self.like(like).fold(FULL_SPEED, |product, it| times_as_slow(product, it.strength()))
    }

    fn like(&self, like: Effect) -> impl Iterator<Item = &Effect> {
        self.held.iter().map(|held| &held.1).filter(move |effect| effect.is_like(&like))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 20 % over all, 80 % for a while inside it, on another stream 5 %.
    #[test]
    fn of_shares_the_greatest_is_in_effect_and_each_end_takes_its_own_away() {
        let mut active = Active::default();
        let any = Effect::Throttled(0, 0);
        active.hold(7, Effect::Throttled(0, 200_000));
        active.hold(8, Effect::Throttled(1, 50_000));
        active.hold(9, Effect::Throttled(0, 800_000));
        assert_eq!(active.greatest(any), 800_000);
        assert!(active.release(9, Effect::Throttled(0, 800_000)));
        assert_eq!(active.greatest(any), 200_000);
        assert!(active.release(7, Effect::Throttled(0, 200_000)));
        assert!(!active.release(7, Effect::Throttled(0, 200_000)), "it was let go of before");
        assert_eq!((active.greatest(any), active.is_held(any)), (0, false));
        assert_eq!(active.greatest(Effect::Throttled(1, 0)), 50_000);
    }

    /// Twice and three times as slow is six times; one slot beside its fleet is a target of its own.
    #[test]
    fn factors_multiply() {
        let mut active = Active::default();
        let all = Effect::SlowConsumer(Fleet::Group(0), None, 0);
        assert_eq!(active.product(all), 1_000_000);
        active.hold(1, Effect::SlowConsumer(Fleet::Group(0), None, 2_000_000));
        active.hold(2, Effect::SlowConsumer(Fleet::Group(0), None, 3_000_000));
        active.hold(3, Effect::SlowConsumer(Fleet::Group(0), Some(1), 5_000_000));
        active.hold(4, Effect::SlowConsumer(Fleet::App(0), None, 7_000_000));
        assert_eq!(active.product(all), 6_000_000);
        assert_eq!(active.product(Effect::SlowConsumer(Fleet::Group(0), Some(1), 0)), 5_000_000);
        active.release(1, Effect::SlowConsumer(Fleet::Group(0), None, 2_000_000));
        assert_eq!(active.product(all), 3_000_000);
    }

    #[test]
    fn a_process_is_down_as_long_as_anybody_holds_it_down() {
        let process = Process { of: Processes::Brokers(0), number: 2 };
        let other = Process { of: Processes::QuorumNodes(0), number: 2 };
        let mut active = Active::default();
        active.hold(1, Effect::Down(process, false));
        active.hold(2, Effect::Down(process, true));
        active.hold(2, Effect::Frozen(other));
        assert!(active.is_held(Effect::Down(process, false)));
        assert!(
            !active.is_held(Effect::Frozen(process)) && !active.is_held(Effect::Down(other, true))
        );
        active.release(1, Effect::Down(process, false));
        assert!(active.is_held(Effect::Down(process, false)));
        assert_eq!(active.held_by(2), [Effect::Down(process, true), Effect::Frozen(other)]);
        active.release(2, Effect::Down(process, true));
        assert!(!active.is_held(Effect::Down(process, false)));
    }
}
