//! Named random streams: ChaCha8, one stream per name, so that a new draw in one component never
//! shifts another's (decision D-9: baseline and mitigations run on the same luck).

use std::hash::Hasher;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use siphasher::sip::SipHasher13;

/// The source of all random streams of a run.
#[derive(Clone, Copy, Debug)]
pub struct Rngs {
    seed: u64,
}

/// One component's random numbers. Positioned draws make a draw a function of (seed, name, cell).
#[derive(Clone, Debug)]
pub struct RngStream {
    chacha: ChaCha8Rng,
}

/// ChaCha words set aside for one cell: 2^16 draws of 64 bits.
const WORDS_PER_CELL: u128 = 1 << 17;

impl Rngs {
    /// The streams of the run with this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The stream of the component `name`, e.g. `"producer/web/keys"`.
    #[must_use]
    pub fn stream(&self, name: &str) -> RngStream {
        let mut hasher = SipHasher13::new();
        hasher.write(name.as_bytes());
        let mut chacha = ChaCha8Rng::seed_from_u64(self.seed);
        chacha.set_stream(hasher.finish());
        RngStream { chacha }
    }
}

impl RngStream {
    /// Moves to the start of `cell`: what follows depends on the seed, the name and the cell alone.
    /// This is a store; the next draw computes four blocks of ChaCha, 32 draws, at once.
    #[inline]
    pub fn seek(&mut self, cell: u64) {
        self.chacha.set_word_pos(u128::from(cell) * WORDS_PER_CELL);
    }

    /// 64 uniform bits.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        self.chacha.next_u64()
    }

    /// Uniform in [0, 1), on a grid of 2^-53.
    #[inline]
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
    pub fn next_f64(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in 0..bound (0 if bound is 0), by multiplication; the bias is below bound / 2^64.
    #[inline]
    pub fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.next_u64()) * u128::from(bound);
        (wide >> 64) as u64
    }
}
