//! A set of numbers, as ranges that do not touch.

use std::collections::BTreeMap;

/// A set of numbers: few ranges of many.
#[derive(Clone, Debug, Default)]
pub(super) struct Ranges {
    /// From the first of each range to the number after its last.
    ends: BTreeMap<u64, u64>,
}

impl Ranges {
    /// Adds the numbers from `from` to before `until`.
    pub(super) fn add(&mut self, mut from: u64, mut until: u64) {
        if from >= until {
            return;
        }
        while let Some((&first, &end)) = self.ends.range(..=until).next_back() {
            if end < from {
                break;
            }
            self.ends.remove(&first);
            (from, until) = (from.min(first), until.max(end));
        }
        self.ends.insert(from, until);
    }

    /// Takes them out.
    pub(super) fn remove(&mut self, from: u64, until: u64) {
        while let Some((&first, &end)) = self.ends.range(..until).next_back() {
            if end <= from {
                break;
            }
            self.ends.remove(&first);
            if end > until {
                self.ends.insert(until, end);
            }
            if first < from {
                self.ends.insert(first, from);
            }
        }
    }

    /// One of the numbers that is in the set.
    pub(super) fn overlap(&self, from: u64, until: u64) -> Option<u64> {
        let (&first, &end) = self.ends.range(..until).next_back()?;
        (end > from).then_some(first.max(from))
    }

    /// The first of the numbers that is not in the set.
    pub(super) fn gap(&self, from: u64, until: u64) -> Option<u64> {
        let end = self.ends.range(..=from).next_back().map_or(from, |(_, &end)| end.max(from));
        (end < until).then_some(end)
    }

    /// Whether nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against a plain list of the numbers below 12, over every order of three ranges.
    #[test]
    fn a_set_of_ranges_is_a_set_of_numbers() {
        let ranges: Vec<(u64, u64)> =
            (0..12).flat_map(|from| [1, 3, 7].map(|len| (from, (from + len).min(12)))).collect();
        for &first in &ranges {
            for &second in &ranges {
                for &taken in &ranges {
                    let mut set = Ranges::default();
                    set.add(first.0, first.1);
                    set.add(second.0, second.1);
                    set.remove(taken.0, taken.1);
                    let within = |n: u64, it: (u64, u64)| it.0 <= n && n < it.1;
                    let holds =
                        |n: u64| (within(n, first) || within(n, second)) && !within(n, taken);
                    for n in 0..12 {
                        let case = (first, second, taken, n);
                        assert_eq!(set.overlap(n, n + 1).is_some(), holds(n), "{case:?}");
                        assert_eq!(set.gap(n, 12), (n..12).find(|&it| !holds(it)), "{case:?}");
                    }
                    assert_eq!(set.is_empty(), !(0..12).any(holds));
                }
            }
        }
    }

    /// Ranges that touch are one: what grows at its end takes no more room.
    #[test]
    fn ranges_that_touch_are_one() {
        let mut set = Ranges::default();
        (0..1_000).for_each(|n| set.add(n, n + 1));
        assert_eq!(set.ends.len(), 1);
    }
}
