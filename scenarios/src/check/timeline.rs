//! Checks of what is planned: targets, instants, durations, shares.

use crate::check::{Checker, MAX_PARTITIONS, MAX_SHARDS, MAX_TIMELINE, MAX_WORKERS};
use crate::effective::{cluster, has_zookeeper, is_kip_848, quorum_places};
use crate::path::{Path, root};
use crate::schema::{Consumer, Happening, Hit, Kafka, Planned, Scenario, Target, Who};
use crate::units::{ByteRate, Dur, Share};
use crate::version::KclVersion;

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
        hit(checker, &path.name("what"), &planned.what);
        overlap(checker, &path.name("what"), index);
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
        Target::Sink(name) => checker.reference(at, name, "sink", &names.sinks),
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
        Happening::FailSink { share, .. } => some(checker, path, *share),
        Happening::SlowConsumer { factor, .. } | Happening::SlowSink { factor, .. } => {
            if factor.0 == 0 {
                let message = "a factor of 0 is not slow".to_owned();
                checker.error(path.name("factor"), message);
            }
        }
        Happening::RestartLoop { consumer, cluster, up, down, .. } => {
            let end = checker.scenario.duration;
            checker.range(path.name("up"), *up, Dur::millis(1), end);
            checker.range(path.name("down"), *down, Dur::millis(1), end);
            if consumer.is_some() == cluster.is_some() {
                let message = "a restart loop is of a consumer or of a cluster".to_owned();
                let help = "say `consumer: ..`, or `cluster: ..` with `brokers` or `nodes`";
                checker.error(path.clone(), message).help = Some(help.to_owned());
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
        | Happening::KillWorkers(_)
        | Happening::PauseWorkers(_)
        | Happening::StopWorkers(_)
        | Happening::KillBrokers(_)
        | Happening::PauseBrokers(_)
        | Happening::StopBrokers(_)
        | Happening::KillQuorumNodes(_)
        | Happening::PauseQuorumNodes(_)
        | Happening::CutZone { .. }
        | Happening::SlowDisks { .. }
        | Happening::AddPartitions { .. }
        | Happening::ElectUnclean { .. } => {}
    }
}

/// Whom something hits must be there.
fn hit(checker: &mut Checker<'_>, path: &Path, what: &Happening) {
    match what.hit() {
        None => {}
        Some(Hit::Workers(consumer, workers, who)) => {
            let most = workers_of(checker.scenario, consumer);
            match (workers, who) {
                (Some(workers), None) => {
                    checker.range(path.name("workers"), workers, 1, most);
                }
                (None, Some(Who::Numbers(numbers))) => {
                    let count = usize::try_from(most).unwrap_or(usize::MAX);
                    checker.machines_of(&path.name("who"), numbers, count, "worker");
                }
                (None, Some(Who::Random(count))) => {
                    checker.range(path.name("who"), *count, 1, most);
                }
                (None, Some(Who::Leader)) => leader_of_workers(checker, path, consumer),
                (None, Some(who)) => {
                    let message = format!("no worker is {}", role(who));
                    let help = "workers are chosen by `Numbers([..])`, `Random(n)` or `Leader`";
                    checker.error(path.name("who"), message).help = Some(help.to_owned());
                }
                (Some(_), Some(_)) | (None, None) => {
                    let message = "it says not which workers".to_owned();
                    let help = "give `workers: n` or `who: ..`, one of them";
                    checker.error(path.clone(), message).help = Some(help.to_owned());
                }
            }
        }
        Some(Hit::Brokers(name, brokers, who)) => {
            machines(checker, path, (name, "brokers", "broker"), brokers, who);
        }
        Some(Hit::Nodes(name, nodes, who)) => {
            machines(checker, path, (name, "nodes", "node"), nodes, who);
        }
    }
}

/// Brokers, or nodes of a quorum, by number or by role.
fn machines(
    checker: &mut Checker<'_>,
    path: &Path,
    (name, field, what): (&str, &str, &str),
    numbers: &[u32],
    who: Option<&Who>,
) {
    let Some(kafka) = cluster(checker.scenario, name) else { return };
    let counted = if what == "broker" { "brokers" } else { "quorum" };
    let is_read = checker.names.is_read(&root("systems").name(name).name(counted));
    let all = if what == "broker" { kafka.brokers.count() } else { quorum_places(kafka).len() };
    let count = if is_read { all } else { 0 };
    let at = path.name("who");
    match who {
        None => checker.machines_of(&path.name(field), numbers, count, what),
        Some(_) if !numbers.is_empty() => {
            let message = format!("give `{field}` or `who`, not both");
            checker.error(at, message);
        }
        Some(Who::Numbers(numbers)) => checker.machines_of(&at, numbers, count, what),
        Some(Who::Random(wanted)) => {
            let most = u32::try_from(count).unwrap_or(u32::MAX);
            checker.range(at, *wanted, 1, most);
        }
        Some(Who::Controller) if (what == "broker") == has_zookeeper(kafka) => {}
        Some(Who::Leader) if what == "node" => {}
        Some(Who::Coordinator(group)) if what == "broker" => {
            let names = checker.names;
            checker.reference(at.clone(), group, "consumer", &names.consumers);
            let reads_here = checker
                .scenario
                .consumers
                .get(group)
                .is_none_or(|it| it.as_group().is_some_and(|it| it.from == name));
            if !reads_here {
                checker.error(at, format!("`{group}` is no group of `{name}`"));
            }
        }
        Some(Who::LeaderOf(topic, partition)) if what == "broker" => {
            if let Some(topics) = checker.names.topics.get(name) {
                checker.reference(at.clone(), topic, "topic", topics);
            }
            if kafka.topics.get(topic).is_some_and(|it| *partition >= it.partitions) {
                checker.error(at, format!("`{topic}` has no partition {partition}"));
            }
        }
        Some(who) => {
            let message = format!("no {what} of `{name}` is {}", role(who));
            checker.error(at, message);
        }
    }
}

/// A consumer has a leader: a classic group, or the KCL from 3.x on.
fn leader_of_workers(checker: &mut Checker<'_>, path: &Path, name: &str) {
    let why = match checker.scenario.consumers.get(name) {
        Some(Consumer::Kcl(kcl)) if kcl.version == KclVersion::V2 => {
            "the workers of KCL 2.x have no leader"
        }
        Some(Consumer::KafkaGroup(group)) => {
            let version = cluster(checker.scenario, &group.from).map(|it| it.version);
            if version.is_none_or(|version| !is_kip_848(group, version)) {
                return;
            }
            "a group of the consumer protocol (KIP-848) has no leader"
        }
        Some(Consumer::Kcl(_)) | None => return,
    };
    checker.error(path.name("who"), why.to_owned());
}

/// What an entry does to processes, as far as two of them can contradict each other.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Does {
    Kills,
    Stops,
    Pauses,
    Restarts,
}

fn does(what: &Happening) -> Option<Does> {
    match what {
        Happening::KillWorkers(_) | Happening::KillBrokers(_) | Happening::KillQuorumNodes(_) => {
            Some(Does::Kills)
        }
        Happening::StopWorkers(_) | Happening::StopBrokers(_) => Some(Does::Stops),
        Happening::PauseWorkers(_)
        | Happening::PauseBrokers(_)
        | Happening::PauseQuorumNodes(_) => Some(Does::Pauses),
        Happening::RestartLoop { .. } | Happening::RollingRestart { .. } => Some(Does::Restarts),
        Happening::HotKey { .. }
        | Happening::RateFactor { .. }
        | Happening::SlowConsumer { .. }
        | Happening::ThrottleApi { .. }
        | Happening::ExpireIterators { .. }
        | Happening::LoseAnswers { .. }
        | Happening::SlowSink { .. }
        | Happening::FailSink { .. }
        | Happening::CutZone { .. }
        | Happening::SlowDisks { .. }
        | Happening::SplitShard { .. }
        | Happening::SplitHottestShard(_)
        | Happening::MergeShards { .. }
        | Happening::UpdateShardCount { .. }
        | Happening::SwitchMode(..)
        | Happening::WarmThroughput { .. }
        | Happening::AddWorkers { .. }
        | Happening::AddPartitions { .. }
        | Happening::ElectUnclean { .. } => None,
    }
}

/// The processes that an entry names by number: (kind, of whom, numbers).
fn named(what: &Happening) -> Option<(&'static str, &str, &[u32])> {
    match what.hit()? {
        Hit::Workers(name, _, Some(Who::Numbers(numbers))) => Some(("worker", name, numbers)),
        Hit::Brokers(name, _, Some(Who::Numbers(numbers))) => Some(("broker", name, numbers)),
        Hit::Nodes(name, _, Some(Who::Numbers(numbers))) => Some(("node", name, numbers)),
        Hit::Brokers(name, numbers, None) => Some(("broker", name, numbers)),
        Hit::Nodes(name, numbers, None) => Some(("node", name, numbers)),
        Hit::Workers(..) | Hit::Brokers(..) | Hit::Nodes(..) => None,
    }
}

/// What is down cannot stand still or be stopped, and is not restarted by two at once.
fn overlap(checker: &mut Checker<'_>, path: &Path, index: usize) {
    let timeline = &checker.scenario.timeline;
    let it = &timeline[index];
    let Some(own) = does(&it.what) else { return };
    let ends = |other: &Planned| {
        let restarts = does(&other.what) == Some(Does::Restarts);
        match other.lasts {
            Some(lasts) => other.at.0.saturating_add(lasts.0),
            None if restarts && matches!(other.what, Happening::RollingRestart { .. }) => {
                other.at.0
            }
            None => u64::MAX,
        }
    };
    for (place, other) in timeline.iter().enumerate() {
        let before = (other.at, place) < (it.at, index) && it.at.0 < ends(other);
        let Some(theirs) = does(&other.what).filter(|_| before) else { continue };
        let consumer = |what: &Happening| match what.target() {
            (Target::Consumer(name), _) => Some(name.to_owned()),
            _ => None,
        };
        let same_fleet = consumer(&it.what).is_some_and(|name| consumer(&other.what) == Some(name));
        let common = match (named(&it.what), named(&other.what)) {
            (Some((kind, name, own)), Some((theirs_kind, of, theirs))) => {
                let same = (kind, name) == (theirs_kind, of);
                own.iter().find(|number| same && theirs.contains(number)).map(|it| (kind, *it))
            }
            _ => None,
        };
        let message = match (theirs, own, common) {
            (Does::Kills | Does::Stops, Does::Pauses | Does::Stops, Some((kind, number))) => {
                format!("{kind} {number} is down then, since \"{}\"", other.at)
            }
            (Does::Restarts, Does::Restarts, Some((kind, number))) => {
                format!("{kind} {number} is restarted already, since \"{}\"", other.at)
            }
            (Does::Restarts, Does::Restarts, None) if same_fleet => {
                format!("the consumer is being restarted already, since \"{}\"", other.at)
            }
            _ => continue,
        };
        checker.error(path.clone(), message);
        return;
    }
}

/// A role in words.
fn role(who: &Who) -> &'static str {
    match who {
        Who::Numbers(_) => "of that number",
        Who::Random(_) => "chosen at random",
        Who::Leader => "a leader",
        Who::Controller => "the controller",
        Who::Coordinator(_) => "a group's coordinator",
        Who::LeaderOf(..) => "the leader of a partition",
    }
}

/// What is about a cluster: its zones and topics must be there.
fn of_cluster(checker: &mut Checker<'_>, path: &Path, planned: &Planned) {
    let (Target::Cluster(name), _) = planned.what.target() else {
        return;
    };
    let Some(kafka) = cluster(checker.scenario, name) else {
        return;
    };
    if let Happening::SlowDisks { factor, .. } = &planned.what
        && factor.0 <= 1_000_000
    {
        checker.error(path.name("factor"), "a factor of 1 or less is not slow".to_owned());
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

/// What rate faults multiply a producer by at most, all that overlap together, in millionths: at
/// least 1,000,000.
pub(super) fn greatest_rate_factor_of(scenario: &Scenario, name: &str) -> u128 {
    let mut factors = Vec::new();
    for planned in &scenario.timeline {
        if let Happening::RateFactor { producer, factor, .. } = &planned.what
            && producer == name
        {
            let lasts = planned.lasts.map_or(u64::MAX, |lasts| lasts.0);
            let until = planned.at.0.saturating_add(lasts);
            factors.push((planned.at.0, until, u128::from(factor.0.max(1_000_000))));
        }
    }
    // The product is greatest when one of them begins.
    let together = |at: u64| {
        let lasting = factors.iter().filter(|(from, until, _)| *from <= at && at < *until);
        lasting.fold(1_000_000_u128, |product, it| product.saturating_mul(it.2) / 1_000_000)
    };
    factors.iter().map(|it| together(it.0)).max().unwrap_or(1_000_000)
}
