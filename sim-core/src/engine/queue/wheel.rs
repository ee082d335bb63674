//! The wheel: what lies beyond the front, in slots by the digits of its time.
//!
//! A time has sixteen digits of four bits; level `l` is digit `l`, counted from the lowest. An
//! entry lies at the level of the highest digit in which its time differs from `base`, the start
//! of the slot opened last, in the slot of that digit. So all of a level comes before all of the
//! next, and the slots of a level come in order of their digits. Levels below that of the slot
//! opened last are empty when it is opened, which is why `base` can move without moving entries.
//!
//! Slots are lists of chunks of 128 entries. Emptied chunks are used again, last freed first: a
//! million entries stay near their net size, and a steady state allocates nothing.

use std::collections::VecDeque;

use super::super::time::SimTime;
use super::Scheduled;

const DIGIT_BITS: u32 = 4;
const SLOTS: usize = 1 << DIGIT_BITS;
const LEVELS: usize = u64::BITS as usize / DIGIT_BITS as usize;

/// Entries of a chunk: 4 KiB if an entry has 32 bytes.
const CHUNK: usize = 128;

/// A slot with no more entries than that is sorted; a larger one is spread over finer slots.
const SORTED_MAX: usize = 32;

type Chunk<E> = Vec<Scheduled<E>>;

/// Entries from beyond the front, in no order but that of their slots.
#[derive(Clone)]
pub(super) struct Wheel<E> {
    /// Slot `digit` of level `level` is at `level * SLOTS + digit`.
    slots: Vec<Slot<E>>,
    /// Per level, which slots hold something.
    filled: [u16; LEVELS],
    /// Which levels hold something.
    levels: u16,
    /// The start of the slot opened last; at first that is the instant zero alone.
    base: u64,
    /// The level of the slot opened last.
    open_level: usize,
    len: usize,
    /// Empty chunks, to be used again.
    spare: Vec<Chunk<E>>,
}

/// The entries of one slot in the order in which they were scheduled.
#[derive(Clone)]
struct Slot<E> {
    full: Vec<Chunk<E>>,
    last: Chunk<E>,
}

impl<E> Wheel<E> {
    pub(super) fn new() -> Self {
        let empty = || Slot { full: Vec::new(), last: Vec::new() };
        Self {
            slots: std::iter::repeat_with(empty).take(LEVELS * SLOTS).collect(),
            filled: [0; LEVELS],
            levels: 0,
            base: 0,
            open_level: 0,
            len: 0,
            spare: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds an entry from beyond the slot opened last.
    #[inline]
    pub(super) fn push(&mut self, entry: Scheduled<E>) {
        let level = highest_digit(entry.at.0 ^ self.base);
        let digit = digit_at(entry.at.0, level);
        self.len += 1;
        self.levels |= 1 << level;
        self.filled[level] |= 1 << digit;
        self.slots[level * SLOTS + digit].push(entry, &mut self.spare);
    }

    /// Moves the earliest slot, sorted, into `front`, which is empty. Gives its last instant.
    pub(super) fn open_next(&mut self, front: &mut VecDeque<Scheduled<E>>) -> Option<SimTime> {
        while self.levels != 0 {
            let index = self.take_first_filled();
            let slot = &mut self.slots[index];
            if slot.full.is_empty() && slot.last.len() <= SORTED_MAX {
                self.len -= slot.last.len();
                if 1 < slot.last.len() {
                    slot.last.sort_by_key(|entry| entry.at);
                }
                front.extend(slot.last.drain(..));
                return Some(self.open_last());
            }
            let first = slot.last[0].at.0;
            let differing = slot.iter().fold(0, |bits, entry| bits | (entry.at.0 ^ first));
            if differing == 0 {
                // One instant, already in order.
                self.open_level = 0;
                self.base = first;
                self.len -= slot.len();
                slot.drain(&mut self.spare, |entry, _| front.push_back(entry));
                return Some(self.open_last());
            }
            self.spread(index, highest_digit(differing));
        }
        None
    }

    /// Narrows the slot opened last to the one, a level down, that `at` lies in. Gives its last
    /// instant, or nothing if it was of the lowest level. What lies beyond is to be pushed again.
    pub(super) fn narrow(&mut self, at: SimTime) -> Option<SimTime> {
        self.open_level = self.open_level.checked_sub(1)?;
        self.base = start_of_slot(at.0.max(self.base), self.open_level);
        Some(self.open_last())
    }

    /// Removes the entries that `keep` refuses.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&E) -> bool) {
        for index in 0..self.slots.len() {
            let slot = &mut self.slots[index];
            let before = slot.len();
            let mut kept = Slot::default();
            slot.drain(&mut self.spare, |entry, spare| {
                if keep(&entry.event) {
                    kept.push(entry, spare);
                }
            });
            let after = kept.len();
            *slot = kept;
            self.len -= before - after;
            if after == 0 {
                self.unmark(index / SLOTS, index % SLOTS);
            }
        }
    }

    /// Marks the earliest slot as empty and as the one opened last. Gives its index.
    fn take_first_filled(&mut self) -> usize {
        let level = self.levels.trailing_zeros() as usize;
        let digit = self.filled[level].trailing_zeros() as usize;
        self.unmark(level, digit);
        let above = start_of_slot(self.base, level + 1);
        self.base = above | (digit as u64) << shift_of(level);
        self.open_level = level;
        level * SLOTS + digit
    }

    fn unmark(&mut self, level: usize, digit: usize) {
        self.filled[level] &= !(1 << digit);
        if self.filled[level] == 0 {
            self.levels &= !(1 << level);
        }
    }

    /// Spreads the slot opened last over a lower level, the highest on which its entries differ.
    fn spread(&mut self, index: usize, level: usize) {
        let mut slot = std::mem::take(&mut self.slots[index]);
        self.base = start_of_slot(slot.last[0].at.0, level + 1);
        let mut filled = 0_u16;
        let targets = &mut self.slots[level * SLOTS..][..SLOTS];
        slot.drain(&mut self.spare, |entry, spare| {
            let digit = digit_at(entry.at.0, level);
            filled |= 1 << digit;
            targets[digit].push(entry, spare);
        });
        self.slots[index] = slot;
        self.filled[level] = filled;
        self.levels |= 1 << level;
    }

    /// The last instant of the slot opened last.
    fn open_last(&self) -> SimTime {
        SimTime(self.base | ((1 << shift_of(self.open_level)) - 1))
    }
}

impl<E> Default for Slot<E> {
    fn default() -> Self {
        Self { full: Vec::new(), last: Vec::new() }
    }
}

impl<E> Slot<E> {
    #[inline]
    fn push(&mut self, entry: Scheduled<E>, spare: &mut Vec<Chunk<E>>) {
        if CHUNK <= self.last.len() {
            let chunk = spare.pop().unwrap_or_else(|| Vec::with_capacity(CHUNK));
            self.full.push(std::mem::replace(&mut self.last, chunk));
        }
        self.last.push(entry);
    }

    fn len(&self) -> usize {
        self.full.len() * CHUNK + self.last.len()
    }

    fn iter(&self) -> impl Iterator<Item = &Scheduled<E>> {
        self.full.iter().flatten().chain(&self.last)
    }

    /// Takes all entries in order; the chunks they leave can be used again at once.
    fn drain(
        &mut self,
        spare: &mut Vec<Chunk<E>>,
        mut each: impl FnMut(Scheduled<E>, &mut Vec<Chunk<E>>),
    ) {
        for mut chunk in self.full.drain(..) {
            for entry in chunk.drain(..) {
                each(entry, spare);
            }
            spare.push(chunk);
        }
        for entry in self.last.drain(..) {
            each(entry, spare);
        }
    }
}

/// The level of the highest digit that is set; the lowest level if none is.
#[inline]
fn highest_digit(difference: u64) -> usize {
    ((difference | 1).ilog2() / DIGIT_BITS) as usize
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the lowest four bits are kept")]
fn digit_at(time: u64, level: usize) -> usize {
    (time >> shift_of(level)) as usize & (SLOTS - 1)
}

/// `time` with all digits below `level` zero; zero at the level above the highest.
fn start_of_slot(time: u64, level: usize) -> u64 {
    if level < LEVELS { time & (u64::MAX << shift_of(level)) } else { 0 }
}

#[inline]
fn shift_of(level: usize) -> usize {
    level * DIGIT_BITS as usize
}

#[cfg(test)]
mod tests {
    use super::super::super::rng::Rngs;
    use super::*;

    fn entry(at: u64) -> Scheduled<u32> {
        Scheduled { at: SimTime(at), cause: 0, event: 0 }
    }

    /// Chunks in use or spare, and entries for which slots have room beside those.
    fn chunks_and_room(wheel: &Wheel<u32>) -> (usize, usize) {
        let full: usize = wheel.slots.iter().map(|slot| slot.full.len()).sum();
        let room = wheel.slots.iter().map(|slot| slot.last.capacity()).sum();
        (full + wheel.spare.len(), room)
    }

    #[test]
    fn chunks_are_used_again_in_a_steady_state() {
        let mut rng = Rngs::new(3).stream("wheel/steady");
        let mut wheel = Wheel::new();
        let mut front = VecDeque::new();
        for _ in 0..20_000 {
            wheel.push(entry(rng.below(1 << 30)));
        }
        for _ in 0..500_000 {
            while front.is_empty() {
                assert!(wheel.open_next(&mut front).is_some());
            }
            let popped = front.pop_front().unwrap();
            // Far enough for never landing in the front.
            wheel.push(entry(popped.at.0 + (1 << 24) + rng.below(1 << 30)));
        }
        let (chunks, room) = chunks_and_room(&wheel);
        assert!(chunks * CHUNK <= 20_000 + SLOTS * CHUNK, "{chunks} chunks");
        assert!(room <= LEVELS * SLOTS * CHUNK, "{room} entries");
    }

    #[test]
    fn the_level_is_that_of_the_highest_digit_that_differs() {
        assert_eq!(highest_digit(0), 0);
        assert_eq!(highest_digit(0xf), 0);
        assert_eq!(highest_digit(0x10), 1);
        assert_eq!(highest_digit(u64::MAX), LEVELS - 1);
    }

    #[test]
    fn a_slot_starts_where_its_lower_digits_are_zero() {
        assert_eq!(start_of_slot(0x1234, 0), 0x1234);
        assert_eq!(start_of_slot(0x1234, 2), 0x1200);
        assert_eq!(start_of_slot(u64::MAX, LEVELS), 0);
    }
}
