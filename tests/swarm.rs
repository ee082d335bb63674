//! A seed draws topology, configuration, workload and faults; the invariants of every event hold
//! (debug assertions and audits), and once the faults have stopped everything recovers.
//!
//! `STREAMSIM_SEED=17` runs one seed, `STREAMSIM_SEEDS=1000..3000` a night's worth of them.

pub(crate) mod draw;

use sim_core::config::*;
use sim_core::result::{RunResult, Summary};

use crate::bench::{count, run};
use draw::{Case, Mood};

/// Seeds of an ordinary test run.
const SEEDS: std::ops::Range<u64> = 0..250;

/// Tells how to run a seed again when it fails.
struct SeedGuard(u64);

impl Drop for SeedGuard {
    #[expect(clippy::print_stderr, reason = "tells a person how to run it again")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let seed = self.0;
            eprintln!("reproduce with: STREAMSIM_SEED={seed} cargo test --test integration swarm");
        }
    }
}

/// The seeds to run: all of them, or what the environment asks for.
fn seeds() -> std::ops::Range<u64> {
    let number = |text: &str| text.trim().parse::<u64>().expect("a seed is a number");
    if let Ok(seed) = std::env::var("STREAMSIM_SEED") {
        let seed = number(&seed);
        return seed..seed + 1;
    }
    match std::env::var("STREAMSIM_SEEDS") {
        Ok(range) => {
            let (from, until) = range.split_once("..").expect("two seeds, as in 0..300");
            number(from)..number(until)
        }
        Err(_) => SEEDS,
    }
}

/// Runs `check` on the drawn case of every seed; names all that failed.
fn for_each_seed(check: impl Fn(&Case) + std::panic::RefUnwindSafe) {
    let failed: Vec<u64> = seeds()
        .filter(|&seed| {
            let outcome = std::panic::catch_unwind(|| {
                let _guard = SeedGuard(seed);
                check(&draw::case(seed));
            });
            outcome.is_err()
        })
        .collect();
    assert!(failed.is_empty(), "failed with seeds {failed:?}");
}

/// Whatever is drawn: no invariant breaks, and the books of all members fit together.
#[test]
fn swarm_of_random_worlds_keeps_the_books() {
    for_each_seed(|case| {
        let result = run(&case.config);
        assert_books_fit(&case.config, &result);
        if let Mood::Calm = case.mood {
            assert_recovered(&case.config, &result);
        }
    });
}

/// The same world twice is the same run, to the last byte of what it leaves behind.
#[test]
fn swarm_runs_are_deterministic() {
    for_each_seed(|case| {
        if case.config.seed.is_multiple_of(8) {
            let (first, second) = (run(&case.config), run(&case.config));
            assert!(format!("{first:?}") == format!("{second:?}"));
        }
    });
}

/// Another client is offered the same records (decision D-9).
#[test]
fn swarm_offers_the_same_records_to_another_client() {
    for_each_seed(|case| {
        if case.config.seed % 8 != 1 {
            return;
        }
        let mut other = case.config.clone();
        for producer in &mut other.producers {
            producer.client = match producer.client {
                ClientConfig::Kpl(_) => ClientConfig::Sdk(crate::bench::sdk(None)),
                ClientConfig::Sdk(_) => ClientConfig::Kpl(crate::bench::kpl()),
                ClientConfig::Kafka(_) => unreachable!("only streams are drawn"),
            };
        }
        let (result, other) = (run(&case.config), run(&other));
        for (name, summary) in &result.producers {
            let of_other = &other.producers[name];
            let offered = |summary: &Summary| count(summary, "records_offered");
            assert_eq!(offered(summary), offered(of_other), "{name}");
        }
    });
}

/// What holds between the numbers of one run, whatever happened in it.
fn assert_books_fit(config: &WorldConfig, result: &RunResult) {
    let expires = |name: &str| {
        let subject = format!("consumers.{name}/");
        let mut events = result.events.iter();
        events.any(|event| event.kind == "records_expired" && event.subject.starts_with(&subject))
    };
    let of_stream = |stream: usize, metric: &str| -> u64 {
        let producers = config.producers.iter().filter(|p| p.to == Destination::Stream(stream));
        producers.map(|p| count(&result.producers[&p.name], metric)).sum()
    };
    for app in &config.consumers {
        let value = |metric: &str| count(&result.consumers[&app.name], metric);
        let stored = value("records_delivered") + value("records_lost") + value("records_unread");
        let offered = of_stream(app.stream, "records_offered");
        let refused = of_stream(app.stream, "records_refused");
        let accepted = of_stream(app.stream, "records_accepted");
        let unconfirmed = of_stream(app.stream, "records_unconfirmed");
        assert!(stored + refused <= offered, "{}: {stored} stored", app.name);
        assert!(stored >= accepted + unconfirmed, "{}: {stored} stored", app.name);
        assert!(value("records_lost") == 0 || expires(&app.name), "{} lost records", app.name);
    }
    // Readers of one stream see one and the same number of records.
    for stream in 0..config.streams.len() {
        let readers = config.consumers.iter().filter(|app| app.stream == stream);
        let stored = readers.map(|app| {
            let value = |metric: &str| count(&result.consumers[&app.name], metric);
            value("records_delivered") + value("records_lost") + value("records_unread")
        });
        let mut stored: Vec<u64> = stored.collect();
        stored.dedup();
        assert!(stored.len() <= 1, "readers of a stream disagree: {stored:?}");
    }
}

/// All faults ended long ago, and producers have been silent for a while: nothing is on its way,
/// nothing is unread, and every record went one of the ways that a record can go.
fn assert_recovered(config: &WorldConfig, result: &RunResult) {
    for producer in &config.producers {
        let value = |metric: &str| count(&result.producers[&producer.name], metric);
        let ended =
            value("records_accepted") + value("records_unconfirmed") + value("records_refused");
        assert_eq!(value("records_offered"), ended, "{} holds records", producer.name);
    }
    for app in &config.consumers {
        let value = |metric: &str| count(&result.consumers[&app.name], metric);
        assert_eq!(value("records_unread"), 0, "{}", app.name);
        assert_eq!(value("records_lost"), 0, "{}", app.name);
        let lag = format!("consumers.{}.lag_seconds", app.name);
        let lag = result.series.iter().find(|series| series.name == lag);
        let last = lag.and_then(|series| series.points.last());
        assert!(last.expect("a sampled lag").value < 1e-9, "{} lags", app.name);
    }
}
