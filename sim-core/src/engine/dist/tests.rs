//! The samplers against theory, and golden vectors that pin their values.

use super::super::rng::Rngs;
use super::*;

fn stream(name: &str) -> RngStream {
    Rngs::new(7).stream(name)
}

/// The first draws of a fixed stream, as text: a change of any digit shows.
fn first<T: std::fmt::Debug>(name: &str, mut draw: impl FnMut(&mut RngStream) -> T) -> String {
    let mut rng = stream(name);
    let draws: Vec<T> = (0..6).map(|_| draw(&mut rng)).collect();
    format!("{draws:?}")
}

/// Asserts that mean and variance of `draws` numbers lie within four standard errors of theory.
/// `fourth` is the fourth central moment: it sets the error of the variance.
fn assert_moments(what: &str, sample: &[f64], mean: f64, variance: f64, fourth: f64) {
    let len = to_f64(sample.len() as u64);
    let found_mean = sample.iter().sum::<f64>() / len;
    let found_variance = sample.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / len;
    let mean_error = 4.0 * (variance / len).sqrt();
    let variance_error = 4.0 * ((fourth - variance * variance) / len).sqrt();
    assert!(
        (found_mean - mean).abs() <= mean_error,
        "{what}: mean {found_mean}, expected {mean} within {mean_error}"
    );
    assert!(
        (found_variance - variance).abs() <= variance_error,
        "{what}: variance {found_variance}, expected {variance} within {variance_error}"
    );
}

/// Asserts that counts per outcome fit their chances: chi square within four of its deviations.
/// Outcomes expected fewer than ten times are pooled.
fn assert_fits(what: &str, counts: &[u64], chances: &[f64]) {
    let draws = to_f64(counts.iter().sum());
    let (mut chi_square, mut outcomes) = (0.0, 0.0);
    let (mut rare_count, mut rare_expected) = (0.0, 0.0);
    let mut add = |count: f64, expected: f64| {
        chi_square += (count - expected) * (count - expected) / expected;
        outcomes += 1.0;
    };
    for (&count, &chance) in counts.iter().zip(chances) {
        let expected = chance * draws;
        if expected < 10.0 {
            rare_count += to_f64(count);
            rare_expected += expected;
        } else {
            add(to_f64(count), expected);
        }
    }
    if 10.0 <= rare_expected {
        add(rare_count, rare_expected);
    }
    let freedom: f64 = outcomes - 1.0;
    assert!(
        chi_square <= freedom + 4.0 * (2.0 * freedom).sqrt(),
        "{what}: chi square {chi_square} at {freedom} degrees of freedom"
    );
}

fn counts_of(draws: u32, outcomes: usize, mut draw: impl FnMut() -> u64) -> Vec<u64> {
    let mut counts = vec![0; outcomes];
    for _ in 0..draws {
        let outcome = usize::try_from(draw()).unwrap();
        counts[outcome.min(outcomes - 1)] += 1;
    }
    counts
}

#[test]
fn the_first_draws_of_each_sampler_are_pinned() {
    let table = AliasTable::new(&zipf_weights(1_000, 1.1));
    let mean = SimDuration::from_millis(5);
    let golden = [
        ("below", first("below", |rng| rng.below(1_000)), "[119, 303, 635, 714, 989, 500]"),
        (
            "exp",
            first("exp", |rng| exponential(rng, mean).0),
            "[623066, 869996, 638418, 1568578, 7066024, 373916]",
        ),
        (
            "normal",
            first("normal", normal),
            "[-1.3988329627703158, 0.4378716923164141, -0.7085640523654919, \
             -0.41609879052475884, 0.6363403122454534, -0.5306856021706523]",
        ),
        ("poisson/3", first("poisson/3", |rng| poisson(rng, 3.0)), "[2, 2, 0, 9, 3, 3]"),
        (
            "poisson/1e6",
            first("poisson/1e6", |rng| poisson(rng, 1e6)),
            "[999695, 1000576, 999066, 999593, 1001609, 1000874]",
        ),
        ("binomial/1", first("binomial/1", |rng| binomial(rng, 1, 0.3)), "[1, 0, 0, 1, 0, 0]"),
        (
            "binomial/30",
            first("binomial/30", |rng| binomial(rng, 30, 0.9)),
            "[30, 27, 26, 26, 27, 28]",
        ),
        (
            "binomial/1000",
            first("binomial/1000", |rng| binomial(rng, 1_000, 0.3)),
            "[309, 337, 303, 286, 306, 287]",
        ),
        ("alias", first("alias", |rng| table.sample(rng)), "[0, 0, 1, 0, 546, 0]"),
    ];
    for (name, found, expected) in golden {
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn exponential_has_the_moments_of_theory() {
    let mut rng = stream("exponential");
    let mean = SimDuration::from_secs(1);
    let sample: Vec<f64> =
        (0..200_000).map(|_| exponential(&mut rng, mean).as_secs_f64()).collect();
    assert_moments("exponential", &sample, 1.0, 1.0, 9.0);
}

#[test]
fn normal_has_the_moments_of_theory() {
    let mut rng = stream("normal");
    let sample: Vec<f64> = (0..200_000).map(|_| normal(&mut rng)).collect();
    assert_moments("normal", &sample, 0.0, 1.0, 3.0);
}

#[test]
fn normal_quantiles_are_those_of_the_tables() {
    let table = [
        (0.5, 0.0),
        (0.841_344_746_068_542_9, 1.0),
        (0.977_249_868_051_820_8, 2.0),
        (0.001_349_898_031_630_094_5, -3.0),
        (7.619_853_024_160_525e-24, -10.0),
    ];
    for (share, expected) in table {
        let found = normal_quantile(share);
        assert!((found - expected).abs() < 1e-12, "{share}: {found}");
    }
}

#[test]
fn poisson_has_the_moments_of_theory_at_every_size() {
    for mean in [1e-3, 0.1, 1.0, 9.99, 10.0, 30.0, 1e3, 1e6, 1e9] {
        let mut rng = stream("poisson/moments");
        let sample: Vec<f64> = (0..200_000).map(|_| to_f64(poisson(&mut rng, mean))).collect();
        let fourth = mean + 3.0 * mean * mean;
        assert_moments(&format!("poisson {mean}"), &sample, mean, mean, fourth);
    }
}

#[test]
fn poisson_fits_its_masses() {
    for mean in [0.5, 9.9, 10.0, 12.5, 40.0, 400.0] {
        let mut rng = stream("poisson/fit");
        let counts = counts_of(500_000, 600, || poisson(&mut rng, mean));
        let chances: Vec<f64> =
            (0..600).map(|k| libm::exp(log_poisson_mass(f64::from(k), mean))).collect();
        assert_fits(&format!("poisson {mean}"), &counts, &chances);
    }
}

#[test]
fn poisson_of_a_tiny_mean_counts_one_exactly_where_its_mass_begins() {
    let mean = 1e-9;
    assert_eq!(poisson_by_inversion(1.0 - 1.01e-9, mean), 0);
    assert_eq!(poisson_by_inversion(1.0 - 0.99e-9, mean), 1);
    // The last cell of the grid of `u` is heavier than the mass of two.
    assert_eq!(poisson_by_inversion(1.0 - 1e-16, mean), 1);
}

#[test]
fn poisson_by_inversion_ends_in_the_last_cell_of_its_grid() {
    for mean in [1e-9, 1.0, 5.0, 9.999] {
        let count = poisson_by_inversion(1.0 - f64::EPSILON / 2.0, mean);
        assert!(count <= 100, "mean {mean}: {count}");
    }
}

#[test]
fn no_mean_brings_no_arrivals() {
    let mut rng = stream("poisson/none");
    assert_eq!(poisson(&mut rng, 0.0), 0);
    assert_eq!(poisson(&mut rng, -1.0), 0);
}

#[test]
fn binomial_has_the_moments_of_theory_at_every_size() {
    let cases = [
        (1, 0.3),
        (7, 0.5),
        (30, 0.02),
        (30, 0.9),
        (100, 0.1),
        (1_000, 0.3),
        (1_000, 0.999),
        (1_000_000, 1e-6),
        (1_000_000_000_000, 0.25),
    ];
    for (n, p) in cases {
        let mut rng = stream("binomial/moments");
        // Measured from the mean, which at 10^12 trials would drown the deviations.
        let mean = to_f64(n) * p;
        let sample: Vec<f64> =
            (0..200_000).map(|_| to_f64(binomial(&mut rng, n, p)) - mean).collect();
        let variance = mean * (1.0 - p);
        let fourth = 3.0 * variance * variance + variance * (1.0 - 6.0 * p * (1.0 - p));
        assert_moments(&format!("binomial {n} {p}"), &sample, 0.0, variance, fourth);
    }
}

#[test]
fn binomial_fits_its_masses() {
    for (n, p) in [(1, 0.2), (19, 0.5), (20, 0.5), (33, 0.3), (50, 0.7), (900, 0.02), (900, 0.4)] {
        let mut rng = stream("binomial/fit");
        let outcomes = usize::try_from(n).unwrap() + 1;
        let counts = counts_of(500_000, outcomes, || binomial(&mut rng, n, p));
        let chances: Vec<f64> =
            (0..=n).map(|k| libm::exp(log_binomial_mass(to_f64(k), to_f64(n), p))).collect();
        assert_fits(&format!("binomial {n} {p}"), &counts, &chances);
    }
}

#[test]
fn binomial_is_certain_at_its_ends() {
    let mut rng = stream("binomial/ends");
    let before = rng.clone().next_u64();
    assert_eq!(binomial(&mut rng, 0, 0.5), 0);
    for n in [1, 10, 1_000_000] {
        assert_eq!(binomial(&mut rng, n, 0.0), 0);
        assert_eq!(binomial(&mut rng, n, -0.5), 0);
        assert_eq!(binomial(&mut rng, n, 1.0), n);
        assert_eq!(binomial(&mut rng, n, 1.5), n);
    }
    assert_eq!(rng.next_u64(), before, "what is certain draws nothing");
}

#[test]
fn binomial_never_exceeds_its_trials() {
    let mut rng = stream("binomial/range");
    for n in 1..200 {
        for p in [1e-300, 1e-9, 0.05, 0.5, 0.95, 1.0 - 1e-16] {
            assert!(binomial(&mut rng, n, p) <= n);
        }
    }
    // Trials whose number no double holds exactly.
    assert!(binomial(&mut rng, u64::MAX, 0.5).abs_diff(u64::MAX / 2) < 1 << 40);
    assert!(binomial(&mut rng, u64::MAX, 1e-19) < 100);
}

/// The masses themselves, against products and quotients of small whole numbers.
#[test]
fn masses_are_those_of_the_definition() {
    let mut mass = libm::exp(-6.5);
    for k in 0..60 {
        let found = libm::exp(log_poisson_mass(f64::from(k), 6.5));
        assert!((found / mass - 1.0).abs() < 1e-12, "poisson {k}: {found} {mass}");
        mass *= 6.5 / f64::from(k + 1);
    }
    let mut mass = libm::pow(0.7, 50.0);
    for k in 0..=50 {
        let found = libm::exp(log_binomial_mass(f64::from(k), 50.0, 0.3));
        assert!((found / mass - 1.0).abs() < 1e-12, "binomial {k}: {found} {mass}");
        mass *= f64::from(50 - k) / f64::from(k + 1) * 0.3 / 0.7;
    }
}

#[test]
fn masses_near_the_mode_are_the_same_by_products_and_by_logarithms() {
    for (n, p) in [(40.0, 0.3), (1_000.0, 0.013), (1e9, 0.5)] {
        let mode: f64 = ((n + 1.0_f64) * p).floor();
        for step in -8..=20 {
            let k = mode + f64::from(step);
            let found = binomial_mass_over_mode(k, mode, n, p);
            let expected = libm::exp(log_binomial_mass(k, n, p) - log_binomial_mass(mode, n, p));
            assert!((found / expected - 1.0).abs() < 1e-9, "{n} {p} {step}: {found} {expected}");
        }
    }
}

#[test]
fn the_alias_table_draws_in_proportion() {
    let cases = [
        vec![1.0],
        vec![1.0, 3.0],
        vec![0.2; 7],
        zipf_weights(100, 1.1),
        (0..37).map(f64::from).collect(),
    ];
    for weights in cases {
        let mut rng = stream("alias/fit");
        let table = AliasTable::new(&weights);
        let counts = counts_of(500_000, weights.len(), || u64::from(table.sample(&mut rng)));
        let total: f64 = weights.iter().sum();
        let chances: Vec<f64> = weights.iter().map(|weight| weight / total).collect();
        if 1 < weights.len() {
            assert_fits(&format!("alias over {}", weights.len()), &counts, &chances);
        }
    }
}

/// The table holds each mass to rounding, whatever the draws say.
#[test]
fn the_alias_table_holds_the_exact_masses() {
    let weights = zipf_weights(10_000, 1.3);
    let table = AliasTable::new(&weights);
    let mut masses = vec![0.0; weights.len()];
    let column_mass = 1.0 / 10_000.0;
    for (index, column) in table.columns.iter().enumerate() {
        let kept = to_f64(column.keep_below) / 18_446_744_073_709_551_616.0;
        masses[index] += kept * column_mass;
        masses[column.alias as usize] += (1.0 - kept) * column_mass;
    }
    for (rank, (mass, weight)) in masses.iter().zip(&weights).enumerate() {
        assert!((mass - weight).abs() < 1e-13, "rank {rank}: {mass} {weight}");
    }
}

#[test]
fn the_alias_table_never_draws_an_index_of_weight_zero() {
    let mut weights = vec![0.0; 301];
    for (index, weight) in weights.iter_mut().enumerate() {
        if index % 3 == 1 {
            *weight = 0.1;
        }
    }
    let table = AliasTable::new(&weights);
    let mut rng = stream("alias/zero");
    for _ in 0..100_000 {
        assert_eq!(table.sample(&mut rng) % 3, 1);
    }
    for (index, column) in table.columns.iter().enumerate() {
        assert!(column.keep_below == 0 || index % 3 == 1);
        assert_eq!(column.alias % 3, 1);
    }
}

#[test]
#[should_panic(expected = "positive and finite")]
fn weights_that_are_all_zero_are_refused() {
    let _ = AliasTable::new(&[0.0, 0.0]);
}

#[test]
fn zipf_masses_fall_with_the_rank_and_add_up_to_one() {
    let weights = zipf_weights(5, 1.0);
    // Harmonic number 137/60.
    for (rank, weight) in (1..=5).zip(&weights) {
        assert!((weight - 60.0 / 137.0 / f64::from(rank)).abs() < 1e-15);
    }
    assert!(zipf_weights(4, 0.0).iter().all(|weight| (weight - 0.25).abs() < 1e-15));
    assert!((zipf_weights(100_000, 1.1).iter().sum::<f64>() - 1.0).abs() < 1e-12);
    assert_eq!(zipf_weights(0, 1.0), []);
}

/// A cell's draws are a function of the cell, not of what was drawn before (D-9).
#[test]
fn draws_of_a_cell_do_not_depend_on_the_draws_before() {
    let mut rng = stream("cells");
    rng.seek(3);
    let at_three = poisson(&mut rng, 1e4);
    rng.seek(900);
    let _ = binomial(&mut rng, 1_000, 0.3);
    rng.seek(3);
    assert_eq!(poisson(&mut rng, 1e4), at_three);
}
