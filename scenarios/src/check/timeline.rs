//! Checks of what is planned: targets, instants, durations, shares.

use crate::check::{Checker, MAX_PARTITIONS, MAX_SHARDS, MAX_TIMELINE, MAX_WORKERS};
use crate::effective::{cluster, quorum_places};
use crate::path::{Path, root};
use crate::schema::{Happening, Kafka, Planned, Scenario, Target};
use crate::units::{ByteRate, Dur, Share};

/// Greatest warm throughput (N-C-10).
const MAX_WARM: ByteRate = ByteRate(10 << 30);

/// Checks the timeline of a scenario.
pub(super) fn check(checker: &mut Checker<'_>) {
    let scenario = checker.scenario;
    let count = scenario.timeline.len();
    if count > MAX_TIMELINE {
        let message = format!("{count} entries are beyond the limit of {MAX_TIMELINE}");
        checker.error(root("timeline"), message);
        return;
    }
    for (index, planned) in scenario.timeline.iter().enumerate() {
        let path = root("timeline").index(index);
        entry(checker, &path, planned);
        target(checker, &path.name("what"), &planned.what);
        happening(checker, &path.name("what"), &planned.what);
        of_cluster(checker, &path.name("what"), planned);
        hot_shares(checker, &path, index);
    }
}

fn entry(checker: &mut Checker<'_>, path: &Path, planned: &Planned) {
    let end = checker.scenario.duration;
    if planned.at >= end {
        let message = format!("\"{}\" is not before the end of the run at \"{end}\"", planned.at);
        checker.error(path.name("at"), message);
        return;
    }
    let Some(lasts) = planned.lasts else {
        return;
    };
    if lasts.0 == 0 {
        checker.error(path.name("for"), "lasts no time at all".to_owned());
    } else if !planned.what.may_last() {
        let message = "this action has no duration".to_owned();
        checker.error(path.name("for"), message).help = Some("leave `for` out".to_owned());
    } else if Dur(planned.at.0.saturating_add(lasts.0)) > end {
        let message = format!("this lasts beyond the end of the run at \"{end}\"");
        checker.warning(path.name("for"), message);
    }
}

fn target(checker: &mut Checker<'_>, path: &Path, what: &Happening) {
    let names = checker.names;
    let (target, step) = what.target();
    let at = match (step, what) {
        (Some(step), _) => path.name(step),
        (None, Happening::SwitchMode(..)) => path.index(0),
        (None, _) => path.clone(),
    };
    match target {
        Target::Stream(name) => {
            checker.reference(at.clone(), name, "system", &names.systems);
            checker.stream_reference(at, name);
        }
        Target::Cluster(name) => {
            checker.reference(at.clone(), name, "system", &names.systems);
            let system = checker.scenario.systems.get(name);
            if system.is_some_and(|it| it.as_kinesis().is_some()) {
                checker.error(at, format!("`{name}` is a Kinesis stream, not a Kafka cluster"));
            }
        }
        Target::Producer(name) => checker.reference(at, name, "producer", &names.producers),
        Target::Consumer(name) => checker.reference(at, name, "consumer", &names.consumers),
    }
}

fn happening(checker: &mut Checker<'_>, path: &Path, what: &Happening) {
    match what {
        Happening::HotKey { key, share, .. } => {
            checker.key(path.name("key"), key);
            some(checker, path, *share);
        }
        Happening::ThrottleApi { share, .. }
        | Happening::ExpireIterators { share, .. }
        | Happening::LoseAnswers { share, .. } => some(checker, path, *share),
        Happening::RateFactor { ramp, .. } => {
            checker.range(path.name("ramp"), *ramp, Dur(0), checker.scenario.duration);
        }
        Happening::SlowConsumer { factor, .. } => {
            if factor.0 == 0 {
                let message = "a factor of 0 is not slow".to_owned();
                checker.error(path.name("factor"), message);
            }
        }
        Happening::KillWorkers { consumer, workers }
        | Happening::PauseWorkers { consumer, workers }
        | Happening::RestartLoop { consumer, workers, .. }
        | Happening::StopWorkers { consumer, workers } => {
            let most = workers_of(checker.scenario, consumer);
            checker.range(path.name("workers"), *workers, 1, most);
            if let Happening::RestartLoop { up, down, .. } = what {
                let end = checker.scenario.duration;
                checker.range(path.name("up"), *up, Dur::millis(1), end);
                checker.range(path.name("down"), *down, Dur::millis(1), end);
            }
        }
        Happening::RollingRestart { down, gap, .. } => {
            let end = checker.scenario.duration;
            checker.range(path.name("down"), *down, Dur(0), end);
            checker.range(path.name("gap"), *gap, Dur(0), end);
        }
        Happening::AddWorkers { workers, .. } => {
            checker.range(path.name("workers"), *workers, 1, MAX_WORKERS);
        }
        Happening::MergeShards { shard, adjacent, .. } => {
            if shard == adjacent {
                let message = "a shard cannot be merged with itself".to_owned();
                checker.error(path.name("adjacent"), message);
            }
        }
        Happening::UpdateShardCount { target, .. } => {
            checker.range(path.name("target"), *target, 1, MAX_SHARDS);
        }
        Happening::SwitchMode(_, capacity) => checker.capacity(&path.index(1), capacity),
        Happening::WarmThroughput { throughput, .. } => {
            checker.range(path.name("throughput"), *throughput, ByteRate(1), MAX_WARM);
        }
        Happening::SplitShard { .. }
        | Happening::SplitHottestShard(_)
        | Happening::KillBrokers { .. }
        | Happening::PauseBrokers { .. }
        | Happening::CutZone { .. }
        | Happening::SlowDisks { .. }
        | Happening::KillQuorumNodes { .. }
        | Happening::StopBrokers { .. }
        | Happening::AddPartitions { .. }
        | Happening::ElectUnclean { .. } => {}
    }
}

/// What is about a cluster: its brokers, nodes, zones and topics must be there.
fn of_cluster(checker: &mut Checker<'_>, path: &Path, planned: &Planned) {
    let (Target::Cluster(name), _) = planned.what.target() else {
        return;
    };
    let Some(kafka) = cluster(checker.scenario, name) else {
        return;
    };
    if let Happening::KillBrokers { brokers, .. }
    | Happening::PauseBrokers { brokers, .. }
    | Happening::StopBrokers { brokers, .. }
    | Happening::SlowDisks { brokers, .. } = &planned.what
    {
        let is_read = checker.names.is_read(&root("systems").name(name).name("brokers"));
        let count = if is_read { kafka.brokers.count() } else { 0 };
        checker.machines_of(&path.name("brokers"), brokers, count, "broker");
    }
    if let Happening::SlowDisks { factor, .. } = &planned.what
        && factor.0 <= 1_000_000
    {
        checker.error(path.name("factor"), "a factor of 1 or less is not slow".to_owned());
    }
    if let Happening::KillQuorumNodes { nodes, .. } = &planned.what {
        let is_read = checker.names.is_read(&root("systems").name(name).name("quorum"));
        let count = if is_read { quorum_places(kafka).len() } else { 0 };
        checker.machines_of(&path.name("nodes"), nodes, count, "node");
    }
    if let Happening::CutZone { zone, .. } = &planned.what {
        checker.zone(path.name("zone"), zone, name, kafka);
    }
    if let Happening::AddPartitions { topic, .. } | Happening::ElectUnclean { topic, .. } =
        &planned.what
        && let Some(topics) = checker.names.topics.get(name)
    {
        checker.reference(path.name("topic"), topic, "topic", topics);
    }
    if let Happening::AddPartitions { topic, total, .. } = &planned.what
        && let Some(before) = partitions_before(checker.scenario, planned, name, kafka, topic)
    {
        let (total, most) = (u64::from(*total), MAX_PARTITIONS);
        if total <= u64::from(before) {
            let message = format!(
                "the topic currently has {before} partition(s); {total} would not be an increase"
            );
            checker.error(path.name("total"), message);
        } else if total > most {
            let message = format!("{total} partitions are beyond the limit of {most}");
            checker.error(path.name("total"), message);
        }
    }
}

/// Partitions that a topic has when something about it is due.
fn partitions_before(
    scenario: &Scenario,
    planned: &Planned,
    name: &str,
    kafka: &Kafka,
    topic: &str,
) -> Option<u32> {
    let mut before = kafka.topics.get(topic)?.partitions;
    for other in scenario.timeline.iter().take_while(|it| !std::ptr::eq(*it, planned)) {
        if let Happening::AddPartitions { cluster, topic: of, total } = &other.what
            && cluster == name
            && of == topic
            && other.at <= planned.at
        {
            before = before.max(*total);
        }
    }
    Some(before)
}

fn some(checker: &mut Checker<'_>, path: &Path, share: Share) {
    if share.0 == 0 {
        checker.error(path.name("share"), "a share of 0% does nothing".to_owned());
    }
}

/// Workers that a consumer has at most: at the start, and what actions add.
fn workers_of(scenario: &Scenario, name: &str) -> u32 {
    let Some(consumer) = scenario.consumers.get(name) else {
        return MAX_WORKERS;
    };
    let mut most = consumer.workers();
    for planned in &scenario.timeline {
        if let Happening::AddWorkers { consumer, workers } = &planned.what
            && consumer == name
        {
            most = most.saturating_add(*workers);
        }
    }
    most
}

/// When a hot key begins, all that are hot then must not take more than all records.
fn hot_shares(checker: &mut Checker<'_>, path: &Path, index: usize) {
    let scenario = checker.scenario;
    let planned = &scenario.timeline[index];
    let Happening::HotKey { producer, .. } = &planned.what else {
        return;
    };
    let mut total: u64 = scenario
        .producers
        .get(producer)
        .map_or(0, |it| it.hot_keys.values().map(|share| u64::from(share.0)).sum());
    for other in &scenario.timeline {
        if let Happening::HotKey { producer: of, share, .. } = &other.what
            && of == producer
        {
            let ends = other.lasts.map_or(u64::MAX, |lasts| other.at.0.saturating_add(lasts.0));
            if other.at <= planned.at && planned.at.0 < ends {
                total += u64::from(share.0);
            }
        }
    }
    if total > 1_000_000 {
        let message = format!("the hot keys of `{producer}` take more than 100% together");
        checker.error(path.name("what").name("share"), message);
    }
}

/// What rate faults can multiply a workload by, in millionths, at least 1,000,000.
pub(super) fn greatest_rate_factor(scenario: &Scenario) -> u64 {
    let mut greatest = 1_000_000;
    for planned in &scenario.timeline {
        if let Happening::RateFactor { factor, .. } = &planned.what {
            greatest = factor.0.max(greatest);
        }
    }
    greatest
}
