//! The unit of flow is the batch, not the record (decision D-7): a run of records of one flow and
//! key class that were offered at one instant and share one fate.

use crate::engine::SimTime;

/// One client process of one producer (or all of them as one, decision D-11), over all producers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FlowId(pub u16);

/// Which keys a batch holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyClass(pub u32);

impl KeyClass {
    /// All keys but those that have a class of their own.
    pub const REST: Self = Self(u32::MAX);
    /// Every record has a key of its own: there is no order to keep.
    pub const UNIQUE: Self = Self(u32::MAX - 1);

    /// Whether this class is one single key (before salting).
    #[must_use]
    pub fn is_one_key(self) -> bool {
        self < Self::UNIQUE
    }
}

/// The partition of records that have no key and whose client chooses.
pub const NO_PARTITION: u32 = u32::MAX;

/// Records of one flow and key class, offered at one instant, even inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// When the application handed them to its client.
    pub offered_at: SimTime,
    /// When their first attempt was sent; `SimTime::MAX` before.
    pub first_sent_at: SimTime,
    /// Number of the first record within its flow and class.
    pub first_seq: u64,
    /// Nanoseconds that it was due, before its first attempt, and could not be sent.
    pub backlog_ns: u64,
    /// How many records, at least 1.
    pub count: u32,
    /// Their data and partition keys, bytes.
    pub bytes: u32,
    /// Which keys.
    pub class: KeyClass,
    /// The partition (its index within the stream) whose range held their keys when last known.
    pub partition: u32,
    /// Which client process.
    pub flow: FlowId,
    /// From one record's number to the next: the salt of a hot key, else 1.
    pub stride: u16,
    /// Failed attempts, for clients that count them; saturates.
    pub failures: u32,
    /// A copy of these records is already stored: this is a re-send after a lost answer.
    pub already_stored: bool,
}

impl Batch {
    /// Takes the first `count` records off; `self` keeps the rest.
    ///
    /// # Panics
    /// Unless 0 < `count` < `self.count`.
    pub fn split_front(&mut self, count: u32) -> Self {
        assert!(0 < count && count < self.count, "cannot take {count} of {} records", self.count);
        let bytes = u64::from(self.bytes) * u64::from(count) / u64::from(self.count);
        let bytes = u32::try_from(bytes).expect("a part is no larger than the whole");
        let front = Self { count, bytes, ..*self };
        self.count -= count;
        self.bytes -= bytes;
        self.first_seq += u64::from(count) * u64::from(self.stride);
        front
    }
}

/// Moves the first `users` records of `batches` to `taken`. Batches of one clump (offered at one
/// instant) are shared in proportion, as their records are interleaved on the wire (D-12).
///
/// # Panics
/// If there are fewer than `users` records.
pub fn split_prefix(batches: &mut Vec<Batch>, users: u32, taken: &mut Vec<Batch>) {
    let mut left = users;
    let mut whole = 0;
    while left > 0 {
        let clump_end = batches[whole..]
            .iter()
            .position(|batch| batch.offered_at != batches[whole].offered_at)
            .map_or(batches.len(), |len| whole + len);
        let counts = batches[whole..clump_end].iter().map(|batch| u64::from(batch.count));
        let clump: u64 = counts.sum();
        if clump <= u64::from(left) {
            left -= u32::try_from(clump).expect("at most `left`");
            taken.extend_from_slice(&batches[whole..clump_end]);
            whole = clump_end;
            continue;
        }
        let mut unseen = clump;
        for batch in &mut batches[whole..clump_end] {
            // Shares add up exactly: each batch takes its part of what is still to be dealt.
            let share = u64::from(left) * u64::from(batch.count) / unseen;
            let share = u32::try_from(share).expect("at most `left`");
            unseen -= u64::from(batch.count);
            left -= share;
            if share == batch.count {
                taken.push(*batch);
                batch.count = 0;
            } else if share > 0 {
                taken.push(batch.split_front(share));
            }
        }
        debug_assert_eq!(left, 0, "the last batch of a clump takes what is left");
    }
    batches.drain(..whole);
    batches.retain(|batch| batch.count > 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(offered_at: u64, class: KeyClass, count: u32) -> Batch {
        Batch {
            offered_at: SimTime(offered_at),
            first_sent_at: SimTime::MAX,
            first_seq: 0,
            backlog_ns: 0,
            count,
            bytes: count * 100,
            class,
            partition: 0,
            flow: FlowId(0),
            stride: 1,
            failures: 0,
            already_stored: false,
        }
    }

    #[test]
    fn a_prefix_takes_whole_clumps_first_and_shares_the_cut_one_between_classes() {
        let mut batches = vec![
            batch(1, KeyClass::REST, 4),
            batch(2, KeyClass(0), 6),
            batch(2, KeyClass::REST, 3),
        ];
        let mut taken = Vec::new();
        split_prefix(&mut batches, 10, &mut taken);
        // 4 of the first clump, then 6 of 9: floor(6 * 6 / 9) = 4 hot ones and 2 others.
        let counts: Vec<_> = taken.iter().map(|batch| batch.count).collect();
        assert_eq!(counts, [4, 4, 2]);
        let counts: Vec<_> = batches.iter().map(|batch| batch.count).collect();
        assert_eq!(counts, [2, 1]);
        assert_eq!(batches[0].first_seq, 4);
    }

    /// Three batches of 2^31 records of one instant are more than 32 bits count.
    #[test]
    fn a_prefix_of_a_clump_beyond_32_bits_is_shared_like_any_other() {
        let part = Batch { count: 1 << 31, bytes: 1 << 31, ..batch(1, KeyClass::REST, 1) };
        let mut batches = vec![part; 3];
        let mut taken = Vec::new();
        split_prefix(&mut batches, 3_000, &mut taken);
        let counts: Vec<_> = taken.iter().map(|batch| batch.count).collect();
        assert_eq!(counts, [1_000, 1_000, 1_000]);
        assert!(batches.iter().all(|batch| batch.count == (1 << 31) - 1_000));
    }

    #[test]
    fn a_prefix_of_everything_leaves_nothing() {
        let mut batches = vec![batch(1, KeyClass::REST, 4), batch(2, KeyClass(0), 6)];
        let mut taken = Vec::new();
        split_prefix(&mut batches, 10, &mut taken);
        assert!(batches.is_empty());
        assert_eq!(taken.len(), 2);
    }
}
