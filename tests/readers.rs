//! Readers in a whole world: interruptions that meet each other.

use sim_core::config::*;

use crate::bench::*;

/// 200/s on two shards until 120 s, read at a third of that; shard 0 is split at 60 s, with a
/// backlog, and all workers die at 70 s and are replaced.
fn killed_after_a_split(parents_first: bool, version: KclVersion) -> sim_core::result::RunResult {
    let mut config = world(secs(900), stream(2));
    let mut web = producer(200);
    web.rate = RateProfile {
        knots: vec![(at(0), 200_000_000), (at(120), 200_000_000), (at(120), 0)],
    };
    config.producers.push(web);
    let mut app = kcl(2);
    app.version = version;
    app.parents_first = parents_first;
    app.service = ServiceTime::Fixed(millis(15));
    config.consumers.push(app);
    let split = Happening::SplitShard {
        stream: 0,
        shard: 0,
    };
    config.timeline.push(planned(at(30), None, split));
    let kill = Happening::KillWorkers {
        consumer: 0,
        workers: 2,
    };
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
