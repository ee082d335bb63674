//! What comes after the faults: how long a world is given to recover, and what never does.
//!
//! The bounds are coarse and on the safe side: what they let off is not checked, so they name only
//! what keeps a real system from recovering too.

use sim_core::config::kafka::{ClusterConfig, GroupConfig};
use sim_core::config::*;
use sim_core::engine::SimDuration;
use sim_core::result::RunResult;

use crate::bench::{count, millis, secs};

/// Time for everything of a fixed length to be over: sessions, deliveries, restarts, resharding.
const PAUSE: SimDuration = SimDuration::from_secs(900);
/// More than this beyond it is not waited for.
const MOST_WORK: SimDuration = SimDuration::from_secs(3_000);

/// How long a world is given to recover.
pub(super) fn time_for(config: &WorldConfig) -> SimDuration {
    let apps = config.consumers.iter().map(|app| work_of_app(config, app));
    let groups = config.groups.iter().map(|group| work_of_group(config, group));
    let longest = apps.chain(groups).max().unwrap_or(SimDuration::ZERO);
    PAUSE + longest.min(MOST_WORK)
}

/// Records that a producer can have offered when it falls silent.
fn records(config: &WorldConfig, index: usize) -> u64 {
    let producer = &config.producers[index];
    let per_second = producer.rate.knots.iter().map(|(_, rate)| rate.div_ceil(1_000_000)).max();
    #[expect(clippy::wildcard_enum_match_arm, reason = "nothing else makes more records")]
    let factor = |entry: &TimelineEntry| match &entry.what {
        Happening::RateFactor { producer, factor_ppm, .. } if *producer == index => {
            factor_ppm.div_ceil(1_000_000).max(1)
        }
        _ => 1,
    };
    let factors: u64 = config.timeline.iter().map(factor).product();
    let silent = producer.rate.knots.last().filter(|(_, rate)| *rate == 0);
    let until = silent.map_or(config.duration.0, |(at, _)| at.0);
    per_second.unwrap_or(0) * factors * until.div_ceil(1_000_000_000)
}

/// The same of all that write there.
fn records_to(config: &WorldConfig, to: impl Fn(Destination) -> bool) -> u64 {
    let writes = |index: &usize| to(config.producers[*index].to);
    (0..config.producers.len()).filter(writes).map(|index| records(config, index)).sum()
}

/// One worker alone processes everything.
fn work_of_app(config: &WorldConfig, app: &KclConfig) -> SimDuration {
    let records = records_to(config, |to| to == Destination::Stream(app.stream));
    times(mean(app.service), records)
}

/// One member alone restores and processes everything.
fn work_of_group(config: &WorldConfig, group: &GroupConfig) -> SimDuration {
    let records = records_to(config, |to| reads(group, to));
    times(mean(group.service), records) + restore(config, group)
}

fn reads(group: &GroupConfig, to: Destination) -> bool {
    matches!(to, Destination::Topic { cluster, topic }
        if cluster == group.cluster && group.topics.contains(&topic))
}

/// One member alone restores all partitions, those that may be added included.
fn restore(config: &WorldConfig, group: &GroupConfig) -> SimDuration {
    let Some(state) = &group.state else { return SimDuration::ZERO };
    let topics = &config.clusters[group.cluster].topics;
    let partitions: u32 = group.topics.iter().map(|topic| topics[*topic].partitions * 2 + 1).sum();
    let bytes = state.bytes_per_partition * u64::from(partitions) * u64::from(1 + state.standbys);
    SimDuration(bytes * 1_000 / (state.restore_rate / 1_000_000).max(1))
}

/// So many of them, up to for ever.
fn times(each: SimDuration, count: u64) -> SimDuration {
    SimDuration(each.0.saturating_mul(count))
}

fn mean(service: ServiceTime) -> SimDuration {
    match service {
        ServiceTime::Fixed(time) | ServiceTime::Exponential(time) => time,
    }
}

/// Whether an application must have read everything by the end.
pub(super) fn app_recovers(config: &WorldConfig, result: &RunResult, app: &KclConfig) -> bool {
    let book = &result.consumers[&app.name];
    // A reader that does not renew an expired iterator stands still for ever (V-23).
    let is_stuck = !app.renews_iterators && count(book, "iterators_expired") > 0;
    // Workers that may hold fewer leases than there are shards leave the others alone.
    let changes = result.events.iter().filter(|it| it.kind.starts_with("shard"));
    let shards = count(&result.systems[&config.streams[app.stream].name], "shards_max");
    let leases = u64::from(app.workers) * u64::from(app.max_leases_for_worker);
    let is_capped = leases < shards * (1 + u64::from(changes.count() > 0));
    // A shard gives few records to who asks rarely for few of them, and five calls a second to all.
    let period = match app.retrieval {
        Retrieval::FanOut => SimDuration::ZERO,
        Retrieval::Polling { idle_time_between_reads: idle } => {
            let readers = config.consumers.iter().filter(|it| it.stream == app.stream).count();
            (idle + config.streams[app.stream].get_latency).max(millis(200).times(readers as u64))
        }
    };
    let records = records_to(config, |to| to == Destination::Stream(app.stream));
    let calls = records / u64::from(app.max_records) + 1;
    let is_slow = times(period, calls) > PAUSE || work_of_app(config, app) > MOST_WORK;
    !(is_stuck || is_capped || is_slow)
}

/// Whether a cluster must be healthy by the end.
pub(super) fn cluster_recovers(config: &WorldConfig, result: &RunResult, index: usize) -> bool {
    let cluster = &config.clusters[index];
    let book = &result.systems[&cluster.name];
    let (records, bytes) = (count(book, "records_offered"), count(book, "bytes_offered"));
    // Its disks and links must have moved every replica, and answered all groups. What a client has
    // given up waits there too.
    let hardware = &cluster.hardware;
    let slowest = hardware.disk.bandwidth.min(hardware.network) / 1_000;
    let copies = 3 + config.groups.len() as u64;
    let moved = times(SimDuration(1_000_000), bytes * copies / slowest.max(1));
    // At worst a fetch brings one record.
    let fetched = if is_starved(cluster) {
        times(hardware.rtt_across_zones.times(2) + hardware.request_time.times(2), records)
    } else {
        SimDuration::ZERO
    };
    moved + fetched < PAUSE
}

/// Whether followers get next to nothing from a fetch.
fn is_starved(cluster: &ClusterConfig) -> bool {
    let settings = &cluster.settings;
    settings.replica_fetch_max_bytes.min(settings.replica_fetch_response_max_bytes) < 1 << 20
}

/// Whether a group must be at rest, and have read everything, by the end.
pub(super) fn group_recovers(config: &WorldConfig, group: &GroupConfig) -> bool {
    let settings = &config.clusters[group.cluster].settings;
    // A poll that takes longer than max.poll.interval.ms ends the membership, every time.
    let poll = mean(group.service).times(2 * u64::from(group.max_poll_records));
    // It is also the time that members have to join in: they learn of a join with a heartbeat.
    let beats = group.heartbeat_interval.max(settings.group_consumer_heartbeat_interval);
    let storms = group.max_poll_interval < poll.max(beats) + secs(5);
    // One record a fetch, and each may wait for more than it may bring.
    let most = group.fetch_max_bytes.min(group.max_partition_fetch_bytes);
    let waits = group.fetch_min_bytes >= most && group.fetch_min_bytes > 1;
    let is_starved = most < 1 << 20 || waits;
    let hardware = &config.clusters[group.cluster].hardware;
    let wait = if waits { group.fetch_max_wait } else { SimDuration::ZERO };
    let fetch = wait + hardware.rtt_across_zones.times(2) + millis(1);
    let fetches = if is_starved { records_to(config, |to| reads(group, to)) } else { 1 };
    !(storms || times(fetch, fetches) > PAUSE || work_of_group(config, group) > MOST_WORK)
}
