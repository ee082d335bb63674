//! A seed draws topology, configuration, workload and faults; the invariants of every event hold
//! (debug assertions and audits), checkers outside the models find nothing in what they do, and once
//! the faults have stopped everything recovers.
//!
//! `STREAMSIM_SEED=17` runs one seed, `STREAMSIM_SEEDS=1000..3000` a night's worth of them.

pub(crate) mod draw;
mod kafka;
mod recovery;

use rayon::prelude::*;
use sim_core::config::kafka::{Acks, GroupConfig};
use sim_core::config::*;
use sim_core::engine::SimTime;
use sim_core::result::{RunResult, Summary};
use sim_core::run::Run;

use crate::bench::{count, run};
use draw::{Case, Mood};
use recovery::{app_recovers, cluster_recovers, group_recovers};

/// Seeds of an ordinary test run.
const SEEDS: std::ops::Range<u64> = 0..150;

/// One seed in so many is audited closely.
const AUDITED_ONE_IN: u64 = 13;
/// Events after the start, and after each moment of the plan, that have an audit each: of those, and
/// of the others. Small worlds have no more.
const AUDITED_EACH: [u64; 2] = [2_000, 20];

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
fn for_each_seed(check: impl Fn(&Case) + Sync + std::panic::RefUnwindSafe) {
    let failed: Vec<u64> = seeds()
        .into_par_iter()
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

/// A run whose books are compared with the models after every event, as far as that can be afforded:
/// from the start and from each moment of the plan on, and now and then in between.
fn run_audited(config: &WorldConfig) -> RunResult {
    let mut run = Run::checked(config);
    let of_entry = |entry: &TimelineEntry| [Some(entry.at), entry.lasts.map(|it| entry.at + it)];
    let mut moments: Vec<SimTime> = config.timeline.iter().flat_map(of_entry).flatten().collect();
    moments.push(SimTime::MAX);
    moments.sort();
    let of_kind = usize::from(!config.seed.is_multiple_of(AUDITED_ONE_IN));
    for moment in moments {
        let mut happened = 0_u64;
        while run.advance_once(moment, &|_| {}) {
            happened += 1;
            if happened <= AUDITED_EACH[of_kind] || happened.is_multiple_of(1_000) {
                run.audit();
            }
        }
    }
    run.finish()
}

/// By producer, a number for all that it was offered; no checker finds anything.
fn offered_digests(config: &WorldConfig) -> Vec<u64> {
    let mut run = Run::checked(config);
    run.advance(SimTime::MAX, &|_| {});
    run.offered_digests().to_vec()
}

/// Whatever is drawn: no invariant breaks, and the books of all members fit together.
#[test]
fn swarm_of_random_worlds_keeps_the_books() {
    for_each_seed(|case| {
        let result = run_audited(&case.config);
        assert_books_fit(&case.config, &result);
        assert_topics_fit(&case.config, &result);
        if case.mood != Mood::Open {
            assert_recovered(case, &result);
            assert_clusters_healthy(case, &result);
        }
    });
}

/// The same world twice is the same run, to the last byte of what it leaves behind.
#[test]
fn swarm_runs_are_deterministic() {
    for_each_seed(|case| {
        if matches!(case.config.seed % 32, 0 | 2) {
            let (first, second) = (run(&case.config), run(&case.config));
            assert!(format!("{first:?}") == format!("{second:?}"));
        }
    });
}

/// Another client is offered the same records: of the same flows and classes, at the same instants
/// (decision D-9).
#[test]
fn swarm_offers_the_same_records_to_another_client() {
    for_each_seed(|case| {
        if !matches!(case.config.seed % 16, 1 | 3) {
            return;
        }
        let mut other = case.config.clone();
        for producer in &mut other.producers {
            producer.client = match &producer.client {
                ClientConfig::Kpl(_) => ClientConfig::Sdk(crate::bench::sdk(None)),
                ClientConfig::Sdk(_) => ClientConfig::Kpl(crate::bench::kpl()),
                ClientConfig::Kafka(it) if it.acks == Acks::All => {
                    ClientConfig::Kafka(crate::kafka_bench::client(Acks::Leader))
                }
                ClientConfig::Kafka(_) => {
                    ClientConfig::Kafka(crate::kafka_bench::client(Acks::All))
                }
            };
        }
        assert_eq!(offered_digests(&case.config), offered_digests(&other));
    });
}

/// What a system does is its own: others in the same world, numbered before it, change nothing.
#[test]
fn swarm_systems_do_not_feel_others_beside_them() {
    for_each_seed(|case| {
        // Of Kafka's clients the random streams carry a number over all flows of the world.
        if !matches!(case.config.seed % 32, 4 | 9) {
            return;
        }
        let (alone, beside) = (run(&case.config), run(&with_others(&case.config)));
        let members = [
            (&alone.producers, &beside.producers),
            (&alone.systems, &beside.systems),
            (&alone.consumers, &beside.consumers),
        ];
        for (alone, beside) in members {
            for (name, summary) in alone {
                assert_eq!(format!("{summary:?}"), format!("{:?}", beside[name]), "{name}");
            }
        }
        for (name, blame) in &alone.blame_total {
            assert_eq!(format!("{blame:?}"), format!("{:?}", beside.blame_total[name]), "{name}");
        }
        for series in alone.series.iter().filter(|it| !it.name.starts_with("total.")) {
            let same = beside.series.iter().find(|it| it.name == series.name).expect("a series");
            assert!(series.points == same.points, "{}", series.name);
        }
    });
}

/// The same streams, and another one and a cluster in full use. Their producers come first.
fn with_others(config: &WorldConfig) -> WorldConfig {
    let mut config = config.clone();
    let mut to_stream = crate::bench::producer(300);
    to_stream.name = "to another stream".into();
    to_stream.to = Destination::Stream(config.streams.len());
    to_stream.client = ClientConfig::Kpl(crate::bench::kpl());
    let mut to_topic = crate::kafka_bench::producer(100, Acks::All);
    to_topic.name = "to a topic".into();
    config.producers.splice(0..0, [to_stream, to_topic]);
    let mut app = crate::bench::kcl(2);
    (app.name, app.stream) = ("another app".into(), config.streams.len());
    config.consumers.push(app);
    let mut stream = crate::bench::stream(2);
    stream.name = "another stream".into();
    config.streams.push(stream);
    config.clusters.push(crate::kafka_bench::cluster(3, 3));
    config.groups.push(crate::kafka_bench::group(2));
    for entry in &mut config.timeline {
        if let Happening::HotKey { producer, .. } | Happening::RateFactor { producer, .. } =
            &mut entry.what
        {
            *producer += 2;
        }
    }
    config
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

/// What holds between the members of a cluster, whatever happened in it.
fn assert_topics_fit(config: &WorldConfig, result: &RunResult) {
    let of = |summary: &Summary, metric: &str| count(summary, metric);
    for producer in &config.producers {
        let (ClientConfig::Kafka(client), Destination::Topic { cluster, .. }) =
            (&producer.client, producer.to)
        else {
            continue;
        };
        let summary = &result.producers[&producer.name];
        let value = |metric: &str| of(summary, metric);
        let ended =
            value("records_accepted") + value("records_unconfirmed") + value("records_refused");
        assert!(ended <= value("records_offered"), "{}: {ended} ended", producer.name);
        let system = &result.systems[&config.clusters[cluster].name];
        let safe = match client.acks {
            // Who leads is always one of those that have it.
            Acks::All => of(system, "unclean_elections") == 0,
            // K-DL-1: nothing is cut as long as nobody else leads.
            Acks::Leader => of(system, "leader_elections") == 0,
            // A connection that breaks takes what was on its way with it, and nobody learns.
            Acks::None => false,
        };
        assert!(!safe || value("records_lost") == 0, "{} lost records: {summary:?}", producer.name);
    }
    for group in &config.groups {
        let summary = &result.consumers[&group.name];
        let stored = stored_for(result, &group.name);
        let (mut offered, mut sure, mut blind) = (0, 0, false);
        for topic in &group.topics {
            let to = Destination::Topic { cluster: group.cluster, topic: *topic };
            for producer in config.producers.iter().filter(|it| it.to == to) {
                let book = &result.producers[&producer.name];
                blind |=
                    matches!(&producer.client, ClientConfig::Kafka(it) if it.acks == Acks::None);
                offered += of(book, "records_offered") - of(book, "records_refused");
                sure += of(book, "records_accepted") + of(book, "records_unconfirmed");
            }
        }
        assert!(stored <= offered, "{}: {stored} of {offered} stored", group.name);
        assert!(stored >= sure, "{}: {stored} stored, {sure} for sure", group.name);
        let cluster = &config.clusters[group.cluster];
        let forgets = |topic: &usize| {
            let topic = &cluster.topics[*topic];
            topic.retention.is_some() || topic.retention_bytes.is_some()
        };
        let cuts = of(&result.systems[&cluster.name], "leader_elections") > 0
            || harms_brokers(config, group.cluster);
        let safe = !cuts && !blind && !group.topics.iter().any(forgets);
        assert!(!safe || of(summary, "records_lost") == 0, "{} lost records", group.name);
        let same = config
            .groups
            .iter()
            .filter(|it| (it.cluster, &it.topics) == (group.cluster, &group.topics));
        for other in same {
            assert_eq!(stored, stored_for(result, &other.name), "{} {}", group.name, other.name);
        }
    }
}

fn stored_for(result: &RunResult, name: &str) -> u64 {
    let value = |metric: &str| count(&result.consumers[name], metric);
    value("records_delivered") + value("records_lost") + value("records_unread")
}

/// Whether the plan has anything in it that could make a broker refuse or forget.
fn harms_brokers(config: &WorldConfig, of: usize) -> bool {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others leave brokers alone")]
    let harms = |entry: &TimelineEntry| match &entry.what {
        Happening::CutZone { cluster, .. } | Happening::SlowDisks { cluster, .. } => *cluster == of,
        what => match what.whom().map(|whom| whom.of) {
            Some(Processes::Brokers(cluster) | Processes::QuorumNodes(cluster)) => cluster == of,
            Some(Processes::Workers(_)) | None => false,
        },
    };
    config.timeline.iter().any(harms)
}

/// The last value of a series.
fn last(result: &RunResult, name: &str) -> f64 {
    let series = result.series.iter().find(|series| series.name == name);
    let point = series.and_then(|series| series.points.last());
    point.unwrap_or_else(|| panic!("no series {name}")).value
}

/// All faults ended long ago: every partition has a leader and all its replicas in sync, and groups
/// are at rest.
fn assert_clusters_healthy(case: &Case, result: &RunResult) {
    let config = &case.config;
    let recovers = |index| case.mood == Mood::Calm || cluster_recovers(config, result, index);
    for (index, cluster) in config.clusters.iter().enumerate().filter(|(index, _)| recovers(*index))
    {
        for level in ["partitions_unavailable", "under_replicated"] {
            let name = format!("systems.{}.{level}", cluster.name);
            assert!(last(result, &name) < 0.5, "{name} is {}", last(result, &name));
        }
        let rests = |it: &&GroupConfig| {
            it.cluster == index && (case.mood == Mood::Calm || group_recovers(config, it))
        };
        for group in config.groups.iter().filter(rests) {
            let name = format!("consumers.{}.rebalancing", group.name);
            assert!(last(result, &name) < 0.5, "{name}");
        }
    }
}

/// All faults ended long ago, and producers have been silent for a while: nothing is on its way,
/// nothing is unread, and every record went one of the ways that a record can go.
fn assert_recovered(case: &Case, result: &RunResult) {
    let config = &case.config;
    let is_calm = case.mood == Mood::Calm;
    for producer in &config.producers {
        let value = |metric: &str| count(&result.producers[&producer.name], metric);
        let ended =
            value("records_accepted") + value("records_unconfirmed") + value("records_refused");
        assert_eq!(value("records_offered"), ended, "{} holds records", producer.name);
    }
    if is_calm {
        for app in &config.consumers {
            assert_eq!(count(&result.consumers[&app.name], "records_lost"), 0, "{}", app.name);
        }
    }
    let apps = config.consumers.iter();
    let apps = apps.filter(|app| is_calm || app_recovers(config, result, app));
    let groups = config.groups.iter().filter(|group| {
        let of_cluster = cluster_recovers(config, result, group.cluster);
        is_calm || of_cluster && group_recovers(config, group)
    });
    for name in apps.map(|app| &app.name).chain(groups.map(|group| &group.name)) {
        assert_eq!(count(&result.consumers[name], "records_unread"), 0, "{name}");
        let lag = last(result, &format!("consumers.{name}.lag_seconds"));
        assert!(lag < 1e-9, "{name} lags");
    }
}
