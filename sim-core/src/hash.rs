//! Hash keys and the ranges that shards own. Apart from `kinesis`, because a workload needs to know
//! where its keys fall and must not know streams.
//!
//! | Mechanism                                                         | Fact    |
//! |-------------------------------------------------------------------|---------|
//! | a partition key's hash is its MD5, read as a big-endian integer   | N-W-2   |
//! | CreateStream(n) cuts 0..2^128-1 into n ranges, the last one wider | N-W-3   |
//! | SplitShard cuts a range in two, MergeShards joins neighbours      | N-C-3   |
//! | UpdateShardCount aims at boundaries floor(i * 2^128 / n)          | N-V-6   |
//! | a Kafka key's hash is its murmur2; the partition is it mod n      | K-PRT-1 |

use md5::{Digest, Md5};

/// An inclusive range of hash keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HashRange {
    /// First hash key.
    pub start: u128,
    /// Last hash key.
    pub end: u128,
}

/// The hash key of a partition key (N-W-2).
#[must_use]
pub fn hash_key(partition_key: &str) -> u128 {
    u128::from_be_bytes(Md5::digest(partition_key.as_bytes()).into())
}

/// The murmur2 of a Kafka record's key (K-PRT-1); Java prints the same bits as a signed number.
fn murmur2(key: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;
    let mix = |k: u32| {
        let k = k.wrapping_mul(M);
        (k ^ (k >> R)).wrapping_mul(M)
    };
    // murmur2 knows lengths of 32 bits; Kafka's records are shorter.
    let length = u32::try_from(key.len()).unwrap_or(u32::MAX);
    let (words, tail) = key.as_chunks::<4>();
    let mut hash = words
        .iter()
        .fold(SEED ^ length, |hash, &word| hash.wrapping_mul(M) ^ mix(u32::from_le_bytes(word)));
    if !tail.is_empty() {
        let little_endian = |word, &byte| (word << 8) | u32::from(byte);
        hash = (hash ^ tail.iter().rev().fold(0, little_endian)).wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// What Kafka takes modulo the number of partitions (K-PRT-1).
#[must_use]
pub fn kafka_hash(key: &str) -> u128 {
    // The sign is cut off, not the magnitude taken.
    u128::from(murmur2(key.as_bytes()) & 0x7fff_ffff)
}

/// The ranges of a stream created with `shards` shards (N-W-3); at least one.
#[must_use]
pub fn create_ranges(shards: u32) -> Vec<HashRange> {
    let n = u128::from(shards.max(1));
    // floor(2^128 / n) without leaving 128 bits.
    let width = if n == 1 { u128::MAX } else { (u128::MAX - (n - 1)) / n + 1 };
    (0..n)
        .map(|i| HashRange {
            start: i * width,
            end: if i + 1 == n { u128::MAX } else { (i + 1) * width - 1 },
        })
        .collect()
}

/// The inner boundaries of a uniform stream of `shards` shards: floor(i * 2^128 / n), i = 1..n
/// (N-V-6).
#[must_use]
pub fn uniform_boundaries(shards: u32) -> Vec<u128> {
    let n = u128::from(shards.max(1));
    // 2^128 = n * q + r, so floor(i * 2^128 / n) = i * q + floor(i * r / n).
    let (mut q, mut r) = (u128::MAX / n, u128::MAX % n + 1);
    if r == n {
        q = q.wrapping_add(1);
        r = 0;
    }
    (1..n).map(|i| i * q + i * r / n).collect()
}

impl HashRange {
    /// Whether `hash` belongs to this range.
    #[must_use]
    pub fn contains(self, hash: u128) -> bool {
        self.start <= hash && hash <= self.end
    }

    /// Whether some hash belongs to both.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.start <= other.end && other.start <= self.end
    }

    /// The share of the whole hash space.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share needs 53 bits")]
    pub fn share(self) -> f64 {
        ((self.end - self.start) as f64 + 1.0) / (u128::MAX as f64)
    }

    /// The children of a split at `new_start`, or `None` outside (start + 1, end) (N-C-3).
    #[must_use]
    pub fn split_at(self, new_start: u128) -> Option<[Self; 2]> {
        let allowed = self.start.checked_add(1)? < new_start && new_start < self.end;
        allowed.then(|| {
            [
                Self { start: self.start, end: new_start - 1 },
                Self { start: new_start, end: self.end },
            ]
        })
    }

    /// The middle of the range: where an even split cuts.
    #[must_use]
    pub fn middle(self) -> u128 {
        self.start + (self.end - self.start) / 2 + 1
    }

    /// The range of both, if `above` begins where this one ends (N-C-3).
    #[must_use]
    pub fn merge(self, above: Self) -> Option<Self> {
        (self.end.checked_add(1)? == above.start)
            .then_some(Self { start: self.start, end: above.end })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const N_V_1: [(&str, u128, [usize; 3]); 14] = [
        ("a", 16955237001963240173058271559858726497, [0, 0, 0]),
        ("b", 195289424170611159128911017612795795343, [2, 5, 3]),
        ("user-0", 234079413770792230875862003829230776425, [2, 6, 4]),
        ("user-1", 285573413173782752570879317399258818820, [3, 8, 5]),
        ("user-2", 81544010656874607678696621737415172275, [0, 2, 1]),
        ("user-42", 157107139746365290205026809710278036035, [1, 4, 2]),
        ("user-1000", 283264128083027545686117767335274551332, [3, 8, 4]),
        ("order-1", 146877212252092102612564579855103022916, [1, 4, 2]),
        ("order-2", 32616010838029787760902727458227244750, [0, 0, 0]),
        ("device-7", 82854626076645082116509365037338430615, [0, 2, 1]),
        ("hot", 52123424389524434543810875721202177151, [0, 1, 0]),
        ("partitionKey", 193318062818912349798954611745638949166, [2, 5, 3]),
        ("é", 136732923097551493579404309126273812335, [1, 4, 2]),
        ("日本", 103341369634063465466164320543046703539, [1, 3, 1]),
    ];

    #[test]
    fn n_v_1_keys_hash_and_route_as_the_service_does() {
        for (key, hash, shards) in N_V_1 {
            assert_eq!(hash_key(key), hash, "{key}");
            for (count, shard) in [4, 10, 6].into_iter().zip(shards) {
                let owner =
                    create_ranges(count).iter().position(|range| range.contains(hash)).unwrap();
                assert_eq!(owner, shard, "{key} among {count}");
            }
        }
    }

    const K_VEC_1: [(&str, i32, [u32; 5]); 15] = [
        ("", 275646681, [0, 3, 9, 25, 31]),
        ("a", -1563381124, [1, 4, 4, 28, 24]),
        ("21", -973932308, [0, 0, 0, 12, 40]),
        ("foobar", -790332482, [0, 0, 6, 30, 16]),
        ("abc", 479470107, [0, 3, 3, 27, 7]),
        ("user-1", 1404122828, [2, 2, 8, 12, 28]),
        ("user-2", -324981792, [2, 2, 8, 0, 6]),
        ("user-42", 1459644460, [1, 4, 4, 12, 10]),
        ("order-1000", 1995156302, [2, 2, 2, 14, 2]),
        ("kafka", -798503068, [1, 4, 4, 4, 30]),
        ("hello world", 1221641059, [1, 1, 7, 3, 9]),
        ("a-little-bit-long-string", -985981536, [2, 2, 8, 0, 12]),
        ("0", 971027396, [2, 2, 8, 4, 46]),
        ("key", -1079937367, [1, 1, 1, 9, 31]),
        ("é", 186971271, [0, 3, 3, 7, 21]),
    ];

    #[test]
    fn k_vec_1_keys_hash_and_partition_as_kafkas_clients_do() {
        for (key, hash, partitions) in K_VEC_1 {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
            let of = |count| kafka_hash(key) % count;
            assert_eq!([3, 6, 12, 32, 50].map(of), partitions.map(u128::from), "{key}");
        }
    }

    #[test]
    fn n_v_2_to_4_created_ranges_start_at_multiples_of_the_width_and_tile_the_space() {
        assert_eq!(create_ranges(4)[1].start, 85070591730234615865843651857942052864);
        let ten = create_ranges(10);
        assert_eq!(ten[1].start, 34028236692093846346337460743176821145);
        assert_eq!(ten[9].start, 306254130228844617117037146688591390305);
        assert_eq!(create_ranges(3)[1].start, 113427455640312821154458202477256070485);
        assert_eq!(create_ranges(3)[2].start, 226854911280625642308916404954512140970);
        for count in [1, 2, 3, 7, 10, 999] {
            let ranges = create_ranges(count);
            assert_eq!(ranges[0].start, 0);
            assert_eq!(ranges.last().unwrap().end, u128::MAX);
            for pair in ranges.windows(2) {
                assert_eq!(pair[0].end + 1, pair[1].start);
            }
        }
    }

    #[test]
    fn n_v_5_a_middle_split_of_the_first_of_four_shards() {
        let range = create_ranges(4)[0];
        let [low, high] = range.split_at(range.middle()).unwrap();
        assert_eq!(low, HashRange { start: 0, end: 42535295865117307932921825928971026431 });
        assert_eq!(
            high,
            HashRange {
                start: 42535295865117307932921825928971026432,
                end: 85070591730234615865843651857942052863
            }
        );
    }

    #[test]
    fn n_v_6_uniform_boundaries_of_six_shards() {
        let expected = [
            56713727820156410577229101238628035242,
            113427455640312821154458202477256070485,
            170141183460469231731687303715884105728,
            226854911280625642308916404954512140970,
            283568639100782052886145506193140176213,
        ];
        assert_eq!(uniform_boundaries(6), expected);
    }

    #[test]
    fn a_split_needs_two_hash_keys_below_and_one_above_the_cut() {
        // N-C-3: start + 1 < key < end.
        let range = HashRange { start: 10, end: 20 };
        assert!(range.split_at(11).is_none());
        assert!(range.split_at(12).is_some());
        assert!(range.split_at(19).is_some());
        assert!(range.split_at(20).is_none());
        assert!(range.merge(HashRange { start: 22, end: 30 }).is_none());
        assert_eq!(
            range.merge(HashRange { start: 21, end: 30 }),
            Some(HashRange { start: 10, end: 30 })
        );
    }
}
