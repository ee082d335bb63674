//! Readers in a whole world: interruptions that meet each other.

use sim_core::config::*;

use crate::bench::*;

/// 200/s on two shards until 120 s, read at a third of that; shard 0 is split at 60 s, with a
/// backlog, and all workers die at 70 s and are replaced.
fn killed_after_a_split(parents_first: bool, version: KclVersion) -> sim_core::result::RunResult {
    let mut config = world(secs(900), stream(2));
    let mut web = producer(200);
    web.rate =
        RateProfile { knots: vec![(at(0), 200_000_000), (at(120), 200_000_000), (at(120), 0)] };
    config.producers.push(web);
    let mut app = kcl(2);
    app.version = version;
    app.parents_first = parents_first;
    app.service = ServiceTime::Fixed(millis(15));
    config.consumers.push(app);
    let split = Happening::SplitShard { stream: 0, shard: 0 };
    config.timeline.push(planned(at(30), None, split));
    let kill = Happening::Kill(Whom::workers(Fleet::App(0), 2));
    config.timeline.push(planned(at(70), Some(secs(5)), kill));
    run(&config)
}

/// A closed shard that is not read to its end keeps its lease, also with a reader that does not
/// wait for parents: whoever comes next reads the rest of it.
#[test]
fn the_rest_of_a_closed_shard_is_read_after_its_reader_died() {
    for version in [KclVersion::V2, KclVersion::V3] {
        for parents_first in [true, false] {
            let result = killed_after_a_split(parents_first, version);
            let value = |name: &str| count(&result.summary, name);
            assert_eq!(value("shards_max"), 3);
            assert_eq!(value("records_unread"), 0, "{version:?} {parents_first}");
            assert_eq!(value("records_delivered"), value("records_offered"));
        }
    }
}

/// One worker with one thread and three shards, each with a chunk that takes a minute. A second
/// worker steals one lease; if its reader waited for the thread, the thread goes to the third one
/// when it is free, and all is read. Which lease is stolen is drawn by the seed.
#[test]
fn a_stolen_lease_does_not_keep_the_thread_from_the_others() {
    for seed in 1..=8 {
        let mut config = world(secs(600), stream(3));
        config.seed = seed;
        let mut web = producer(300);
        web.keys = one_key_per_shard(3);
        web.rate =
            RateProfile { knots: vec![(at(0), 300_000_000), (at(1), 300_000_000), (at(1), 0)] };
        config.producers.push(web);
        let mut app = kcl(1);
        app.worker_threads = 1;
        app.retrieval = polling(secs(2));
        app.service = ServiceTime::Fixed(millis(600));
        config.consumers.push(app);
        let another = Happening::AddWorkers { consumer: Fleet::App(0), workers: 1 };
        config.timeline.push(planned(at(10), None, another));
        let result = run(&config);
        assert!(count(&result.summary, "leases_taken") > 0);
        assert_eq!(count(&result.summary, "records_unread"), 0, "seed {seed}");
    }
}

/// KCL 3.x balances by what workers read (N-KCL-20). Two workers hold shards 0 and 2, and 1 and 3.
/// With six of nine records on shard 0 they read 7 and 2 of nine, far from an average of 4.5, and
/// the small lease of the busy worker moves. Read evenly, nothing does.
#[test]
fn the_kcl_3_moves_leases_away_from_the_worker_that_reads_most() {
    let moved = |shards: &[usize]| {
        let mut config = world(secs(300), stream(4));
        let mut web = producer(900);
        let KeyDistribution::HashKeys(middles) = one_key_per_shard(4) else { unreachable!() };
        web.keys = KeyDistribution::HashKeys(shards.iter().map(|shard| middles[*shard]).collect());
        config.producers.push(web);
        let mut app = kcl(2);
        app.version = KclVersion::V3;
        config.consumers.push(app);
        count(&run(&config).summary, "leases_taken")
    };
    assert!(moved(&[0, 0, 0, 0, 0, 0, 1, 2, 3]) > 0);
    assert_eq!(moved(&[0, 1, 2, 3]), 0);
}

/// All workers stand still when the last records come, and go on before their leases run out: no
/// later record wakes them.
#[test]
fn workers_that_were_paused_read_what_came_meanwhile() {
    for retrieval in [Retrieval::FanOut, polling(secs(1))] {
        let mut config = world(secs(60), stream(2));
        let mut web = producer(100);
        web.rate =
            RateProfile { knots: vec![(at(0), 100_000_000), (at(20), 100_000_000), (at(20), 0)] };
        config.producers.push(web);
        let mut app = kcl(2);
        app.retrieval = retrieval;
        config.consumers.push(app);
        let pause = Happening::Pause(Whom::workers(Fleet::App(0), 2));
        config.timeline.push(planned(at(15), Some(secs(6)), pause));
        let result = run(&config);
        assert_eq!(count(&result.summary, "leases_taken"), 0);
        assert_eq!(count(&result.summary, "records_unread"), 0, "{retrieval:?}");
    }
}
