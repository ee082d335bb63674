//! Samplers on `libm`, so that every machine draws the same numbers (decision D-20).

use super::rng::RngStream;
use super::time::SimDuration;

/// An exponential wait with the given mean, by inversion.
pub fn exponential(rng: &mut RngStream, mean: SimDuration) -> SimDuration {
    let waits = -libm::log1p(-rng.next_f64());
    SimDuration(round_u64(waits * to_f64(mean.0)))
}

#[expect(clippy::cast_precision_loss, reason = "draws need 53 bits")]
fn to_f64(n: u64) -> f64 {
    n as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates by design"
)]
fn round_u64(x: f64) -> u64 {
    libm::round(x) as u64
}
