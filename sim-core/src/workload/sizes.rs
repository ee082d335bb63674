//! Bytes of data per record.
//!
//! Simplification: the bytes of a clump of more than 16 records are drawn as one normal number with
//! the mean and variance of their sum. A batch is even inside, so nobody sees single sizes; the
//! tail of a small clump of log-normal sizes is a little thin.

use crate::config::SizeDistribution;
use crate::engine::RngStream;
use crate::engine::dist::normal;

/// A distribution of record sizes.
#[derive(Clone, Debug)]
pub struct Sizes {
    distribution: SizeDistribution,
    mean: f64,
    deviation: f64,
}

impl Sizes {
    /// From its configuration.
    #[must_use]
    pub fn new(distribution: &SizeDistribution) -> Self {
        let (mean, deviation) = match *distribution {
            SizeDistribution::Fixed(bytes) => (f64::from(bytes), 0.0),
            SizeDistribution::Uniform { min, max } => {
                let width = f64::from(max) - f64::from(min) + 1.0;
                let mean = f64::midpoint(f64::from(min), f64::from(max));
                (mean, libm::sqrt((width * width - 1.0) / 12.0))
            }
            SizeDistribution::LogNormal { median, sigma, .. } => {
                let variance = sigma * sigma;
                let mean = f64::from(median) * libm::exp(variance / 2.0);
                (mean, mean * libm::sqrt(libm::expm1(variance)))
            }
        };
        Self { distribution: distribution.clone(), mean, deviation }
    }

    /// Bytes of `count` records together, at least one each.
    pub fn sum_of(&self, rng: &mut RngStream, count: u64) -> u64 {
        if let SizeDistribution::Fixed(bytes) = self.distribution {
            return u64::from(bytes) * count;
        }
        if count <= 16 {
            return (0..count).map(|_| u64::from(self.one(rng))).sum();
        }
        let n = to_f64(count);
        let sum = self.mean * n + self.deviation * libm::sqrt(n) * normal(rng);
        let (least, most) = match self.distribution {
            SizeDistribution::Fixed(bytes) => (bytes, bytes),
            SizeDistribution::Uniform { min, max } => (min, max),
            SizeDistribution::LogNormal { max, .. } => (1, max),
        };
        round(sum.clamp(f64::from(least.max(1)) * n, f64::from(most.max(1)) * n))
    }

    fn one(&self, rng: &mut RngStream) -> u32 {
        match self.distribution {
            SizeDistribution::Fixed(bytes) => bytes,
            SizeDistribution::Uniform { min, max } => {
                let width = u64::from(max.saturating_sub(min)) + 1;
                min + u32::try_from(rng.below(width)).expect("below a 32-bit width")
            }
            SizeDistribution::LogNormal { median, sigma, max } => {
                let size = f64::from(median) * libm::exp(sigma * normal(rng));
                u32::try_from(round(size.clamp(1.0, f64::from(max)))).unwrap_or(max)
            }
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to a positive range by the callers"
)]
fn round(x: f64) -> u64 {
    libm::round(x) as u64
}

#[expect(clippy::cast_precision_loss, reason = "a sum is drawn to 53 bits")]
fn to_f64(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Rngs;

    /// 100..=300 bytes, mean 200: a sum of n has the standard error 58 * sqrt(n).
    #[test]
    fn sums_have_the_mean_of_the_distribution_however_they_are_drawn() {
        let sizes = Sizes::new(&SizeDistribution::Uniform { min: 100, max: 300 });
        let mut rng = Rngs::new(3).stream("sizes");
        for count in [4, 400] {
            let sum: u64 = (0..1_000).map(|_| sizes.sum_of(&mut rng, count)).sum();
            let n = to_f64(count) * 1_000.0;
            let error = (sum as f64 - 200.0 * n).abs();
            assert!(error < 4.0 * 58.03 * libm::sqrt(n), "{count}: {error}");
        }
    }
}
