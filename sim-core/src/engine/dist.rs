//! Samplers on `libm`, so that every machine draws the same numbers (decision D-20).
//!
//! | Sampler       | Method                                            | Draws of 64 bits |
//! |---------------|---------------------------------------------------|------------------|
//! | `exponential` | inversion                                         | 1                |
//! | `normal`      | inversion (Wichura's AS 241)                      | 1                |
//! | `AliasTable`  | Vose's alias method                               | 1                |
//! | `poisson`     | inversion below a mean of 10, else Hörmann's PTRS | 1, else 2.3      |
//! | `binomial`    | inversion below a mean of 10, else Hörmann's BTRS | 1, else 2.3      |
//!
//! The rejection methods compare with the mass function in Loader's saddle-point form, which
//! stays exact to 1e-13 at means where differences of log-gammas lose half their digits.

use super::rng::RngStream;
use super::time::SimDuration;

/// From this mean on the rejection samplers hold (they are proved for 10 and more).
const REJECTION_MEAN_MIN: f64 = 10.0;

/// An exponential wait with the given mean, by inversion.
#[inline]
pub fn exponential(rng: &mut RngStream, mean: SimDuration) -> SimDuration {
    let waits = -libm::log1p(-rng.next_f64());
    SimDuration(truncate_u64(libm::round(waits * to_f64(mean.0))))
}

/// A standard normal number, by inversion.
#[inline]
pub fn normal(rng: &mut RngStream) -> f64 {
    // The middle of one of 2^52 cells: never 0 or 1.
    normal_quantile((to_f64(rng.next_u64() >> 12) + 0.5) / to_f64(1 << 52))
}

/// How many arrivals come where `mean` are expected. No mean, or none above zero, brings none.
#[inline]
pub fn poisson(rng: &mut RngStream, mean: f64) -> u64 {
    debug_assert!(mean.is_finite(), "a Poisson mean is a finite number");
    if mean <= 0.0 {
        0
    } else if mean < REJECTION_MEAN_MIN {
        poisson_by_inversion(rng.next_f64(), mean)
    } else {
        poisson_by_rejection(rng, mean)
    }
}

/// How many of `n` independent trials succeed, each with chance `p`. A chance outside 0..=1 counts
/// as the nearer end.
#[inline]
pub fn binomial(rng: &mut RngStream, n: u64, p: f64) -> u64 {
    debug_assert!(!p.is_nan(), "a chance is a number");
    if n == 0 || p <= 0.0 {
        0
    } else if p >= 1.0 {
        n
    } else if p <= 0.5 {
        rarer_successes(rng, n, p)
    } else {
        n - rarer_successes(rng, n, 1.0 - p)
    }
}

/// Draws indices in proportion to fixed weights, in constant time.
#[derive(Clone, Debug)]
pub struct AliasTable {
    columns: Vec<Column>,
}

/// One column: coins below the threshold keep it, the others go to the alias.
#[derive(Clone, Copy, Debug)]
struct Column {
    keep_below: u64,
    alias: u32,
}

impl AliasTable {
    /// A table over the indices of `weights`. An index of weight zero is never drawn.
    ///
    /// # Panics
    /// If there is no weight, or 2^32 or more, or one is negative or not finite, or all are zero.
    #[must_use]
    pub fn new(weights: &[f64]) -> Self {
        let len = u32::try_from(weights.len()).expect("fewer than 2^32 weights");
        let total: f64 = weights.iter().sum();
        assert!(
            weights.iter().all(|&weight| 0.0 <= weight) && 0.0 < total && total.is_finite(),
            "weights are not negative, and their sum {total} is positive and finite"
        );
        // In units of the mean weight: a column holds exactly one.
        let mut filled: Vec<f64> =
            weights.iter().map(|weight| weight / total * f64::from(len)).collect();
        let heaviest = (0..len).fold(0, |best, index| {
            let heavier = filled[best as usize] < filled[index as usize];
            if heavier { index } else { best }
        });
        let (mut light, mut heavy): (Vec<u32>, Vec<u32>) =
            (0..len).partition(|&index| filled[index as usize] < 1.0);
        // What rounding leaves over at the end stays with the heaviest or with itself.
        let mut columns: Vec<Column> = filled
            .iter()
            .map(|&fill| Column { keep_below: as_threshold(fill), alias: heaviest })
            .collect();
        while let (Some(&giver), Some(taker)) = (heavy.last(), light.pop()) {
            let missing = 1.0 - filled[taker as usize];
            columns[taker as usize] =
                Column { keep_below: as_threshold(filled[taker as usize]), alias: giver };
            filled[giver as usize] -= missing;
            if filled[giver as usize] < 1.0 {
                heavy.pop();
                light.push(giver);
            }
        }
        for index in heavy {
            columns[index as usize].alias = index;
        }
        Self { columns }
    }

    /// Draws an index. One draw gives both: the column is the high half of its product with their
    /// number, the coin the low half.
    #[inline]
    pub fn sample(&self, rng: &mut RngStream) -> u32 {
        let product = u128::from(rng.next_u64()) * self.columns.len() as u128;
        #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
        let (column, coin) = ((product >> 64) as u32, product as u64);
        let Column { keep_below, alias } = self.columns[column as usize];
        if coin < keep_below { column } else { alias }
    }
}

/// The masses of `keys` keys by rank under a Zipf law: proportional to 1/(rank+1)^exponent, sum 1.
#[must_use]
pub fn zipf_weights(keys: u32, exponent: f64) -> Vec<f64> {
    let mut weights: Vec<f64> =
        (0..keys).map(|rank| libm::pow(f64::from(rank) + 1.0, -exponent)).collect();
    // Smallest first, for the sake of the last digits.
    let total: f64 = weights.iter().rev().sum();
    for weight in &mut weights {
        *weight /= total;
    }
    weights
}

/// The Poisson quantile of `u`, by adding masses up from zero.
fn poisson_by_inversion(mut u: f64, mean: f64) -> u64 {
    // Beyond this count the masses are below the grid of `u`, whatever the mean.
    const COUNT_MAX: u32 = 100;
    let mut mass = libm::exp(-mean);
    let mut count = 0_u32;
    while mass <= u && count < COUNT_MAX {
        u -= mass;
        count += 1;
        mass *= mean / f64::from(count);
    }
    u64::from(count)
}

/// Hörmann 1993, "The transformed rejection method for generating Poisson random variables".
fn poisson_by_rejection(rng: &mut RngStream, mean: f64) -> u64 {
    let b = 0.931 + 2.53 * mean.sqrt();
    let a = -0.059 + 0.02483 * b;
    let squeeze = 0.9277 - 3.6224 / (b - 2.0);
    loop {
        let u = rng.next_f64() - 0.5;
        let v = rng.next_f64();
        let from_edge = 0.5 - u.abs();
        let count = ((2.0 * a / from_edge + b) * u + mean + 0.43).floor();
        if 0.07 <= from_edge && v <= squeeze {
            return truncate_u64(count);
        }
        if count < 0.0 || (from_edge < 0.013 && from_edge < v) {
            continue;
        }
        let inverse_alpha = 1.1239 + 1.1328 / (b - 3.4);
        let height = v * inverse_alpha / (a / (from_edge * from_edge) + b);
        if libm::log(height) <= log_poisson_mass(count, mean) {
            return truncate_u64(count);
        }
    }
}

/// The binomial for chances up to one half.
fn rarer_successes(rng: &mut RngStream, n: u64, p: f64) -> u64 {
    if to_f64(n) * p < REJECTION_MEAN_MIN {
        binomial_by_inversion(rng.next_f64(), n, p)
    } else {
        binomial_by_rejection(rng, n, p)
    }
}

/// The binomial quantile of `u`, by adding masses up from zero.
fn binomial_by_inversion(mut u: f64, n: u64, p: f64) -> u64 {
    // Beyond this count the masses are below the grid of `u`, whatever the chance.
    const COUNT_MAX: u64 = 100;
    // Up to here squaring is faster than two functions of libm, and as exact.
    const POWER_MAX: u64 = 1 << 10;
    let q = 1.0 - p;
    if n == 1 {
        return u64::from(q <= u);
    }
    let trials = to_f64(n);
    let odds = p / q;
    let mut mass = if n <= POWER_MAX { power(q, n) } else { libm::exp(trials * libm::log1p(-p)) };
    let mut count = 0.0;
    let last = n.min(COUNT_MAX);
    for found in 0..last {
        if u < mass {
            return found;
        }
        u -= mass;
        mass *= odds * (trials - count) / (count + 1.0);
        count += 1.0;
    }
    last
}

/// `base` to the power of `exponent`, by squaring.
fn power(mut base: f64, mut exponent: u64) -> f64 {
    let mut product = 1.0;
    while 0 < exponent {
        if exponent & 1 == 1 {
            product *= base;
        }
        base *= base;
        exponent >>= 1;
    }
    product
}

/// Hörmann 1993, "The generation of binomial random variates" (BTRS).
fn binomial_by_rejection(rng: &mut RngStream, n: u64, p: f64) -> u64 {
    let trials = to_f64(n);
    let mean = trials * p;
    let deviation = (mean * (1.0 - p)).sqrt();
    let b = 1.15 + 2.53 * deviation;
    let a = -0.0873 + 0.0248 * b + 0.01 * p;
    let squeeze = 0.92 - 4.2 / b;
    loop {
        let u = rng.next_f64() - 0.5;
        let v = rng.next_f64();
        let from_edge = 0.5 - u.abs();
        let count = ((2.0 * a / from_edge + b) * u + mean + 0.5).floor();
        if 0.07 <= from_edge && v <= squeeze {
            return truncate_u64(count).min(n);
        }
        if count < 0.0 || trials < count {
            continue;
        }
        let alpha = (2.83 + 5.1 / b) * deviation;
        let height = v * alpha / (a / (from_edge * from_edge) + b);
        let mode = ((trials + 1.0) * p).floor();
        if height <= binomial_mass_over_mode(count, mode, trials, p) {
            return truncate_u64(count).min(n);
        }
    }
}

/// The mass of `k` over the mass of `mode`.
fn binomial_mass_over_mode(k: f64, mode: f64, n: f64, p: f64) -> f64 {
    // Near the mode a product of ratios is faster than logarithms. At these means twenty factors
    // stay far below the largest double.
    const STEPS_MAX: f64 = 20.0;
    const MEAN_MAX: f64 = 1e9;
    if STEPS_MAX < (k - mode).abs() || MEAN_MAX < n * p {
        return libm::exp(log_binomial_mass(k, n, p) - log_binomial_mass(mode, n, p));
    }
    let (mut upward, mut downward) = (1.0, 1.0);
    let mut at = k.min(mode);
    let end = k.max(mode);
    while at < end {
        upward *= (n - at) * p;
        at += 1.0;
        downward *= at * (1.0 - p);
    }
    if mode < k { upward / downward } else { downward / upward }
}

/// ln of mean^k e^-mean / k!.
fn log_poisson_mass(k: f64, mean: f64) -> f64 {
    if k < 0.5 {
        return -mean;
    }
    let peak = -0.5 * libm::log(std::f64::consts::TAU * k);
    peak - stirling_error(k) - deviance(k, mean)
}

/// ln of C(n, k) p^k (1-p)^(n-k).
fn log_binomial_mass(k: f64, n: f64, p: f64) -> f64 {
    let rest = n - k;
    if k < 0.5 {
        return n * libm::log1p(-p);
    }
    if rest < 0.5 {
        return n * libm::log(p);
    }
    let peak = 0.5 * libm::log(n / (std::f64::consts::TAU * k * rest));
    peak + stirling_error(n)
        - stirling_error(k)
        - stirling_error(rest)
        - deviance(k, n * p)
        - deviance(rest, n * (1.0 - p))
}

/// k ln(k/mean) + mean - k, without cancellation near the mean (Loader 2000).
fn deviance(k: f64, mean: f64) -> f64 {
    let difference = k - mean;
    if 0.1 * (k + mean) <= difference.abs() {
        return k * libm::log(k / mean) - difference;
    }
    let ratio = difference / (k + mean);
    let mut sum = difference * ratio;
    let mut term = 2.0 * k * ratio;
    let mut odd = 3.0;
    loop {
        term *= ratio * ratio;
        let next = sum + term / odd;
        if (next - sum).abs() <= 0.0 {
            return next;
        }
        sum = next;
        odd += 2.0;
    }
}

/// ln k! less Stirling's formula for it, for whole k of 1 and more.
fn stirling_error(k: f64) -> f64 {
    const EXACT: [f64; 16] = [
        0.0,
        0.08106146679532726,
        0.0413406959554093,
        0.02767792568499834,
        0.020790672103765093,
        0.016644691189821193,
        0.013876128823070748,
        0.01189670994589177,
        0.010411265261972096,
        0.009255462182712733,
        0.00833056343336287,
        0.007573675487951841,
        0.00694284010720953,
        0.006408994188004207,
        0.0059513701127588475,
        0.005554733551962801,
    ];
    if k < 15.5 {
        return EXACT[usize::try_from(truncate_u64(k)).unwrap_or(0)];
    }
    let square = k * k;
    (1.0 / 12.0 - (1.0 / 360.0 - (1.0 / 1260.0 - 1.0 / 1680.0 / square) / square) / square) / k
}

/// The normal number below which a share `p` lies; `p` strictly between 0 and 1. Wichura's AS 241,
/// exact to about 1e-16.
fn normal_quantile(p: f64) -> f64 {
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        let r = 0.180_625 - q * q;
        return q * polynomial(&CENTRE_ABOVE, r) / polynomial(&CENTRE_BELOW, r);
    }
    let tail = if q < 0.0 { p } else { 1.0 - p };
    let r = (-libm::log(tail)).sqrt();
    let size = if r <= 5.0 {
        polynomial(&FLANK_ABOVE, r - 1.6) / polynomial(&FLANK_BELOW, r - 1.6)
    } else {
        polynomial(&TAIL_ABOVE, r - 5.0) / polynomial(&TAIL_BELOW, r - 5.0)
    };
    size.copysign(q)
}

/// The polynomial with these coefficients, highest power first.
fn polynomial(coefficients: &[f64; 8], x: f64) -> f64 {
    coefficients.iter().fold(0.0, |sum, c| sum * x + c)
}

const CENTRE_ABOVE: [f64; 8] = [
    2509.0809287301227,
    33430.57558358813,
    67265.7709270087,
    45921.95393154987,
    13731.69376550946,
    1971.5909503065513,
    133.14166789178438,
    3.3871328727963665,
];
const CENTRE_BELOW: [f64; 8] = [
    5226.495278852854,
    28729.085735721943,
    39307.89580009271,
    21213.794301586597,
    5394.196021424751,
    687.1870074920579,
    42.31333070160091,
    1.0,
];
const FLANK_ABOVE: [f64; 8] = [
    0.0007745450142783414,
    0.022723844989269184,
    0.2417807251774506,
    1.2704582524523684,
    3.6478483247632045,
    5.769497221460691,
    4.630337846156546,
    1.4234371107496835,
];
const FLANK_BELOW: [f64; 8] = [
    1.0507500716444169e-09,
    0.0005475938084995345,
    0.015198666563616457,
    0.14810397642748008,
    0.6897673349851,
    1.6763848301838038,
    2.053191626637759,
    1.0,
];
const TAIL_ABOVE: [f64; 8] = [
    2.0103343992922881e-07,
    2.7115555687434876e-05,
    0.0012426609473880784,
    0.026532189526576124,
    0.29656057182850487,
    1.7848265399172913,
    5.463784911164114,
    6.657904643501103,
];
const TAIL_BELOW: [f64; 8] = [
    2.0442631033899397e-15,
    1.421511758316446e-07,
    1.8463183175100548e-05,
    0.0007868691311456133,
    0.014875361290850615,
    0.1369298809227358,
    0.599832206555888,
    1.0,
];

/// A share of a column as a bound on its 64-bit coin.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates by design")]
fn as_threshold(share: f64) -> u64 {
    (share * 18_446_744_073_709_551_616.0) as u64
}

#[expect(clippy::cast_precision_loss, reason = "draws need 53 bits")]
fn to_f64(n: u64) -> f64 {
    n as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates by design")]
fn truncate_u64(x: f64) -> u64 {
    x as u64
}

#[cfg(test)]
mod tests;
