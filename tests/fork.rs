//! A run is plain data: forked at any instant, both halves go on to the same end.

use sim_core::config::{ClientConfig, Fleet, Happening, Whom};
use sim_core::engine::SimTime;
use sim_core::run::Run;

use crate::bench::{at, kcl, kpl, planned, producer, run, secs, stream, world};

#[test]
fn a_fork_ends_as_the_run_that_it_was_taken_from() {
    let mut config = world(secs(300), stream(2));
    let mut web = producer(1_900);
    web.client = ClientConfig::Kpl(kpl());
    config.producers.push(web);
    config.consumers.push(kcl(2));
    let kill = Happening::Kill(Whom::workers(Fleet::App(0), 1));
    config.timeline.push(planned(at(60), Some(secs(30)), kill));
    let split = Happening::SplitHottestShard { stream: 0 };
    config.timeline.push(planned(at(100), None, split));
    let whole = format!("{:?}", run(&config));
    for second in [0, 59, 60, 101, 131, 250] {
        let mut first = Run::new(&config);
        first.advance(SimTime(at(second).0 + 12_345), &|_| {});
        let fork = first.clone();
        assert_eq!(format!("{:?}", first.finish()), whole, "forked at {second} s");
        assert_eq!(format!("{:?}", fork.finish()), whole, "fork of {second} s");
    }
}
