//! Which keys a workload has, and how much of it falls on each shard.

use std::cell::OnceCell;

use crate::config::KeyDistribution;
use crate::engine::RngStream;
use crate::engine::dist::{AliasTable, binomial, zipf_weights};
use crate::hash::{HashRange, hash_key};

/// The keys of a workload in order of their hash, with running mass.
#[derive(Clone, Debug)]
pub struct KeySpace {
    /// (hash key, mass of all keys up to and including it); empty if every record has a new key.
    by_hash: Vec<(u128, f64)>,
    /// Hash keys that are dealt in turn, record by record.
    in_turn: Vec<u128>,
    /// Masses in order of rank.
    masses: Vec<f64>,
    /// Neighbouring ranks of nearly equal mass: (mean mass of one, mass of all).
    groups: Vec<(f64, f64)>,
    /// Hash of the key of each rank, for record-exact runs.
    hashes: Vec<u128>,
    /// Chances of overtaking, computed when first asked for.
    chances: OnceCell<Vec<f64>>,
}

/// The table of chances: so many octaves of records ahead, so many steps each.
const CHANCE_OCTAVES: u32 = 40;
const CHANCE_STEPS: u32 = 4;

/// How a workload falls on the open shards of a stream.
#[derive(Clone, Debug)]
pub struct Routes {
    /// Open shards, by range.
    shards: Vec<(u32, HashRange)>,
    /// A topic's partitions instead: the hash modulo their number (K-PRT-1).
    modulo: Option<u32>,
    masses: Vec<f64>,
    table: AliasTable,
    counts: Vec<u64>,
}

impl KeySpace {
    /// The key space of a distribution, by a stream's hash of each key.
    #[must_use]
    pub fn new(keys: &KeyDistribution) -> Self {
        Self::hashed(keys, hash_key)
    }

    /// The same by another hash.
    #[must_use]
    pub fn hashed(keys: &KeyDistribution, hash: fn(&str) -> u128) -> Self {
        let (prefix, masses) = match keys {
            KeyDistribution::Random => (None, Vec::new()),
            KeyDistribution::HashKeys(hashes) => {
                let masses = vec![mean_share(hashes.len()); hashes.len()];
                return Self {
                    by_hash: Vec::new(),
                    in_turn: hashes.clone(),
                    groups: group(&masses),
                    masses,
                    hashes: hashes.clone(),
                    chances: OnceCell::new(),
                };
            }
            KeyDistribution::Uniform { prefix, keys } => {
                (Some(prefix), vec![mean_share(*keys as usize); *keys as usize])
            }
            KeyDistribution::Zipf { prefix, keys, exponent } => {
                (Some(prefix), zipf_weights(*keys, *exponent))
            }
        };
        let hashes: Vec<u128> = match prefix {
            Some(prefix) => (0..masses.len()).map(|i| hash(&format!("{prefix}{i}"))).collect(),
            None => Vec::new(),
        };
        let mut by_hash: Vec<(u128, f64)> =
            hashes.iter().copied().zip(masses.iter().copied()).collect();
        by_hash.sort_by_key(|(hash, _)| *hash);
        let mut sum = 0.0;
        for (_, mass) in &mut by_hash {
            sum += *mass;
            *mass = sum;
        }
        Self {
            by_hash,
            in_turn: Vec::new(),
            groups: group(&masses),
            masses,
            hashes,
            chances: OnceCell::new(),
        }
    }

    /// The share of the workload whose keys fall into `range`.
    #[must_use]
    pub fn mass(&self, range: HashRange) -> f64 {
        if !self.in_turn.is_empty() {
            let inside = self.in_turn.iter().filter(|hash| range.contains(**hash)).count();
            return mean_share(self.in_turn.len()) * to_f64(inside);
        }
        if self.by_hash.is_empty() {
            return range.share();
        }
        let below = |limit: u128| {
            let keys = self.by_hash.partition_point(|(hash, _)| *hash < limit);
            keys.checked_sub(1).map_or(0.0, |last| self.by_hash[last].1)
        };
        let total = self.by_hash[self.by_hash.len() - 1].1;
        let upto = range.end.checked_add(1).map_or(total, below);
        (upto - below(range.start)).max(0.0)
    }

    /// Whether every record has a key of its own.
    #[must_use]
    pub fn is_unique(&self) -> bool {
        self.masses.is_empty()
    }

    /// Whether hash keys are dealt in turn instead of drawn.
    #[must_use]
    pub fn is_in_turn(&self) -> bool {
        !self.in_turn.is_empty()
    }

    /// How many hash keys are dealt in turn.
    #[must_use]
    pub fn turns(&self) -> u64 {
        self.in_turn.len() as u64
    }

    /// The hash key of the record of that number, when dealt in turn.
    #[must_use]
    pub fn in_turn(&self, number: u64) -> u128 {
        let index = number % self.turns();
        self.in_turn[usize::try_from(index).expect("below a length")]
    }

    /// The chance that a record's key is among the next `ahead` records of the same part of the key
    /// space, whose share of all mass is `share`: sum of p (1 - (1-p)^m), p = mass / share (D-10).
    /// Read from a table with four steps an octave, by straight lines.
    #[must_use]
    pub fn chance_of_overtaking(&self, ahead: u64, share: f64) -> f64 {
        if share <= 0.0 || ahead == 0 {
            return 0.0;
        }
        let table = self.chances.get_or_init(|| {
            (0..=CHANCE_OCTAVES * CHANCE_STEPS)
                .map(|step| {
                    self.chance_among(libm::exp2(f64::from(step) / f64::from(CHANCE_STEPS)))
                })
                .collect()
        });
        let place = libm::log2(to_f64_u64(ahead) / share) * f64::from(CHANCE_STEPS);
        let place = place.clamp(0.0, f64::from(CHANCE_OCTAVES * CHANCE_STEPS - 1));
        let (below, into) = (libm::floor(place), place - libm::floor(place));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to the table"
        )]
        let index = below as usize;
        table[index] + (table[index + 1] - table[index]) * into
    }

    /// The same for `ahead` records of the whole key space.
    fn chance_among(&self, ahead: f64) -> f64 {
        // A lone key is overtaken for certain: its logarithm has no value.
        let each = |mass: f64| {
            if mass >= 1.0 { 1.0 } else { -libm::expm1(ahead * libm::log1p(-mass)) }
        };
        self.groups.iter().map(|(mass, all)| all * each(*mass)).sum()
    }

    /// Masses by rank, and hash keys by rank; both empty if every record has a new key.
    #[must_use]
    pub fn ranks(&self) -> (&[f64], &[u128]) {
        (&self.masses, &self.hashes)
    }
}

impl Routes {
    /// The routes over open shards, given as (index, range) in order of range.
    ///
    /// # Panics
    /// If there is no shard.
    #[must_use]
    pub fn new(keys: &KeySpace, shards: Vec<(u32, HashRange)>) -> Self {
        let masses: Vec<f64> = shards.iter().map(|(_, range)| keys.mass(*range)).collect();
        let table = AliasTable::new(&masses);
        Self { counts: vec![0; shards.len()], shards, modulo: None, masses, table }
    }

    /// The routes over the partitions of a topic.
    ///
    /// # Panics
    /// If there is no partition.
    #[must_use]
    pub fn over_partitions(keys: &KeySpace, partitions: u32) -> Self {
        let share = 1.0 / f64::from(partitions);
        let unique = keys.is_unique();
        let mut masses = vec![if unique { share } else { 0.0 }; partitions as usize];
        for (hash, mass) in keys.hashes.iter().zip(&keys.masses) {
            let partition = usize::try_from(hash % u128::from(partitions)).expect("32 bits");
            masses[partition] += mass;
        }
        let whole = HashRange { start: 0, end: u128::MAX };
        Self {
            counts: vec![0; masses.len()],
            shards: (0..partitions).map(|number| (number, whole)).collect(),
            modulo: Some(partitions),
            table: AliasTable::new(&masses),
            masses,
        }
    }

    /// The open shard that owns `hash`.
    #[must_use]
    pub fn shard_of(&self, hash: u128) -> u32 {
        if let Some(partitions) = self.modulo {
            return u32::try_from(hash % u128::from(partitions)).expect("32 bits");
        }
        let above = self.shards.partition_point(|(_, range)| range.start <= hash);
        self.shards[above.saturating_sub(1)].0
    }

    /// The share of all mass on the shard.
    #[must_use]
    pub fn mass_on(&self, shard: u32) -> f64 {
        if self.modulo.is_some() {
            return self.masses.get(shard as usize).copied().unwrap_or(0.0);
        }
        self.shards
            .iter()
            .position(|(index, _)| *index == shard)
            .map_or(0.0, |position| self.masses[position])
    }

    /// Deals `records` over the shards by mass, by single draws or by conditional binomials,
    /// whichever are fewer (D-9), and calls `each(shard, records)` in order of range.
    pub fn deal(&mut self, rng: &mut RngStream, records: u64, mut each: impl FnMut(u32, u64)) {
        if records <= self.shards.len() as u64 * 4 {
            for _ in 0..records {
                self.counts[self.table.sample(rng) as usize] += 1;
            }
            for ((shard, _), count) in self.shards.iter().zip(&mut self.counts) {
                if *count > 0 {
                    each(*shard, std::mem::take(count));
                }
            }
            return;
        }
        let (mut left, mut mass_left) = (records, self.masses.iter().sum::<f64>());
        let last = self.shards.len() - 1;
        for (position, ((shard, _), mass)) in self.shards.iter().zip(&self.masses).enumerate() {
            let count = if position == last {
                left
            } else {
                let chance = if mass_left > 0.0 { mass / mass_left } else { 0.0 };
                binomial(rng, left, chance.clamp(0.0, 1.0))
            };
            mass_left -= mass;
            left -= count;
            if count > 0 {
                each(*shard, count);
            }
        }
    }

    /// The open shards inside `range` with their masses: where the records of a closed shard go.
    #[must_use]
    pub fn within(&self, range: HashRange) -> Vec<(u32, f64)> {
        self.shards
            .iter()
            .zip(&self.masses)
            .filter(|((_, shard), _)| shard.start <= range.end && range.start <= shard.end)
            .map(|((index, _), mass)| (*index, *mass))
            .collect()
    }
}

/// Neighbouring ranks whose masses differ by less than 2 %, as (mean mass, mass of all).
fn group(masses: &[f64]) -> Vec<(f64, f64)> {
    let mut groups = Vec::new();
    let mut rest = masses;
    while let Some(first) = rest.first() {
        let keys = rest.partition_point(|mass| mass * 1.02 >= *first).max(1);
        let all: f64 = rest[..keys].iter().sum();
        groups.push((all / to_f64(keys), all));
        rest = &rest[keys..];
    }
    groups
}

fn mean_share(keys: usize) -> f64 {
    1.0 / to_f64(keys.max(1))
}

#[expect(clippy::cast_precision_loss, reason = "masses need 53 bits")]
fn to_f64(n: usize) -> f64 {
    n as f64
}

#[expect(clippy::cast_precision_loss, reason = "chances need 53 bits")]
fn to_f64_u64(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Rngs;
    use crate::hash::create_ranges;

    fn shards(count: u32) -> Vec<(u32, HashRange)> {
        (0..count).zip(create_ranges(count)).collect()
    }

    #[test]
    fn masses_of_all_shards_add_up_to_one() {
        for keys in [
            KeyDistribution::Random,
            KeyDistribution::Uniform { prefix: "k".into(), keys: 1_000 },
            KeyDistribution::Zipf { prefix: "k".into(), keys: 1_000, exponent: 1.1 },
        ] {
            let space = KeySpace::new(&keys);
            let sum: f64 = create_ranges(7).into_iter().map(|range| space.mass(range)).sum();
            assert!((sum - 1.0).abs() < 1e-9, "{keys:?}: {sum}");
        }
    }

    /// `user-1` is on shard 3 of 4 and `a` on shard 0 (N-V-1): a one-key space has all its mass
    /// there.
    #[test]
    fn one_key_is_all_on_the_shard_of_its_hash() {
        let keys = KeyDistribution::HashKeys(vec![hash_key("user-1")]);
        let space = KeySpace::new(&keys);
        let routes = Routes::new(&space, shards(4));
        assert_eq!(routes.shard_of(hash_key("user-1")), 3);
        assert!((routes.mass_on(3) - 1.0).abs() < 1e-12);
        assert!(routes.mass_on(0).abs() < 1e-12);
    }

    #[test]
    fn dealing_loses_no_record_by_either_way() {
        let space = KeySpace::new(&KeyDistribution::Random);
        let mut routes = Routes::new(&space, shards(10));
        let mut rng = Rngs::new(1).stream("test");
        for records in [1, 39, 41, 10_000] {
            let mut sum = 0;
            routes.deal(&mut rng, records, |_, count| sum += count);
            assert_eq!(sum, records);
        }
    }

    /// Two keys of equal mass, one record ahead: half of the time it has the same key.
    #[test]
    fn the_chance_of_overtaking_one_record_among_two_keys_is_a_half() {
        let space = KeySpace::new(&KeyDistribution::Uniform { prefix: "k".into(), keys: 2 });
        assert!((space.chance_of_overtaking(1, 1.0) - 0.5).abs() < 1e-9);
        assert!(space.chance_of_overtaking(0, 1.0).abs() < 1e-12);
        // Every record its own key: nothing can be overtaken.
        assert!(KeySpace::new(&KeyDistribution::Random).chance_of_overtaking(9, 1.0) < 1e-12);
    }
}
