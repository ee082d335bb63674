//! From the books of a finished world to the metrics that people read (decision D-18, D-27).

use crate::config::{Destination, Retrieval};
use crate::engine::{NANOS_PER_SEC, SimTime};
use crate::kafka::GroupResult;
use crate::kinesis::price::Bill;
use crate::ledger::{ConsumerBook, ProducerBook};
use crate::metrics::latency::Latency;
use crate::result::{Mark, MarkKind, Point, RunResult, Series, Summary, Value};
use crate::world::{STEP, World, marks};

/// Hours of a month, for prices.
const MONTH_HOURS: f64 = 730.0;

/// The result of a finished run.
pub(crate) fn result(mut world: World, series: Vec<Series>) -> RunResult {
    world.warnings.extend(world.idle_faults());
    let marks = marks(&world.config);
    let mut result = RunResult {
        summary: total(&world, &series, &marks),
        series_step_s: STEP.as_secs_f64(),
        events_processed: world.events,
        ..RunResult::default()
    };
    for (index, producer) in world.config.producers.iter().enumerate() {
        result.producers.insert(producer.name.clone(), of_producer(&world, index));
    }
    for (index, cluster) in world.config.clusters.iter().enumerate() {
        result.systems.insert(cluster.name.clone(), of_cluster(&world, index));
    }
    for (index, group) in world.config.groups.iter().enumerate() {
        let name = &group.name;
        let mut summary = of_group(&world, index);
        let lag = series_of(&series, &format!("consumers.{name}.lag_seconds"));
        summary.insert("lag_recovery_s".into(), recovery(lag, &marks, world.config.duration.0));
        result.consumers.insert(name.clone(), summary);
        let (cluster, place) = world.groups[index];
        let blame = world.clusters[cluster].group_result(place).blame;
        result.blame.insert(name.clone(), blame.longest());
        result.blame_total.insert(name.clone(), blame.total());
    }
    for (index, stream) in world.config.streams.iter().enumerate() {
        result.systems.insert(stream.name.clone(), of_system(&world, index));
    }
    for (index, consumer) in world.config.consumers.iter().enumerate() {
        let name = &consumer.name;
        let mut summary = of_consumer(&world, index);
        let lag = series_of(&series, &format!("consumers.{name}.lag_seconds"));
        summary.insert("lag_recovery_s".into(), recovery(lag, &marks, world.config.duration.0));
        result.consumers.insert(name.clone(), summary);
        result.blame.insert(name.clone(), world.apps[index].blame.longest());
        result.blame_total.insert(name.clone(), world.apps[index].blame.total());
    }
    result.series = series;
    result.events = world.journal;
    result.marks = marks;
    result.warnings = world.warnings;
    result
}

fn total(world: &World, series: &[Series], marks: &[Mark]) -> Summary {
    let mut summary = Summary::new();
    let mut producers = ProducerBook::default();
    let mut produce = Latency::default();
    let mut unavailable = 0_u64;
    for (index, book) in world.ledger.producers.iter().enumerate() {
        add_producer(&mut producers, book);
        let (latency, longest) = world.producer_times(index);
        produce.merge(&latency);
        unavailable = unavailable.max(longest.0);
    }
    put_producer(&mut summary, &producers, &produce, unavailable);
    let mut consumers = ConsumerBook::default();
    let mut latency = Latency::default();
    world.ledger.consumers.iter().for_each(|book| add_consumer(&mut consumers, book));
    world.apps.iter().for_each(|app| latency.merge(&app.latency));
    groups(world).for_each(|group| latency.merge(group.latency));
    put_consumer(&mut summary, &consumers, &latency);
    // What the system lost, and what consumers lost beside it (D-17).
    count(&mut summary, "records_lost", producers.lost + consumers.lost - consumers.lost_with_log);
    let apps = &world.apps;
    let sum =
        |of: fn(&crate::kinesis::kcl::Counts) -> u64| apps.iter().map(|a| of(&a.counts)).sum();
    let max = |of: fn(&crate::kinesis::kcl::Counts) -> u64| {
        apps.iter().map(|a| of(&a.counts)).max().unwrap_or(0)
    };
    if !world.streams.is_empty() {
        count(&mut summary, "get_records_throttled", sum(|c| c.get_records_throttled));
        count(&mut summary, "iterators_expired", sum(|c| c.iterators_expired));
        count(&mut summary, "leases_taken", sum(|c| c.leases_taken));
    }
    count(&mut summary, "lag_records_max", world.lag_records_max);
    let lag_max = groups(world).map(|group| group.lag_max.0).max().unwrap_or(0);
    seconds(&mut summary, "lag_seconds_max", max(|c| c.lag_max.0).max(lag_max));
    let paused_max = groups(world).map(|group| group.paused_max.0).max().unwrap_or(0);
    seconds(&mut summary, "consume_paused_s", max(|c| c.paused_max.0).max(paused_max));
    let paused: u64 = groups(world).map(|group| group.paused_total.0).sum();
    seconds(&mut summary, "partition_paused_s", sum(|c| c.paused_total.0) + paused);
    if !world.clusters.is_empty() {
        let end = SimTime(world.config.duration.0);
        let mut all = crate::kafka::Counts::default();
        world.clusters.iter().for_each(|cluster| all.add(&cluster.counts(end)));
        put_cluster(&mut summary, &all);
        let rebalances = groups(world).map(|group| group.rebalances).sum();
        count(&mut summary, "rebalances", rebalances);
    }
    let lag = series_of(series, "total.lag_seconds");
    summary.insert("lag_recovery_s".into(), recovery(lag, marks, world.config.duration.0));
    if !world.streams.is_empty() {
        let shards = world.streams.iter().map(|stream| u64::from(stream.shards_max)).max();
        count(&mut summary, "shards_max", shards.unwrap_or(0));
        let cost: f64 = (0..world.streams.len()).map(|index| cost_per_month(world, index)).sum();
        summary.insert("cost_usd_per_month".into(), Value::Number(cost));
    }
    summary
}

/// The results of all groups.
fn groups(world: &World) -> impl Iterator<Item = GroupResult<'_>> {
    world.groups.iter().map(|&(cluster, place)| world.clusters[cluster].group_result(place))
}

/// What writes into a system, together: its book, latency, and longest outage.
fn into_system(
    world: &World,
    writes: impl Fn(Destination) -> bool,
) -> (ProducerBook, Latency, u64) {
    let mut book = ProducerBook::default();
    let mut latency = Latency::default();
    let mut unavailable = 0;
    for (producer, config) in world.config.producers.iter().enumerate() {
        if writes(config.to) {
            add_producer(&mut book, &world.ledger.producers[producer]);
            let (of_producer, longest) = world.producer_times(producer);
            latency.merge(&of_producer);
            unavailable = unavailable.max(longest.0);
        }
    }
    (book, latency, unavailable)
}

fn of_cluster(world: &World, index: usize) -> Summary {
    let mut summary = Summary::new();
    let (book, latency, unavailable) = into_system(
        world,
        |to| matches!(to, Destination::Topic { cluster, .. } if cluster == index),
    );
    put_producer(&mut summary, &book, &latency, unavailable);
    put_cluster(&mut summary, &world.clusters[index].counts(SimTime(world.config.duration.0)));
    summary
}

fn put_cluster(summary: &mut Summary, counts: &crate::kafka::Counts) {
    seconds(summary, "partition_unavailable_s", counts.unavailable.0);
    count(summary, "leader_elections", counts.leader_elections);
    count(summary, "unclean_elections", counts.unclean_elections);
    count(summary, "isr_shrinks", counts.isr_shrinks);
    count(summary, "isr_expands", counts.isr_expands);
    count(summary, "under_replicated_max", counts.under_replicated_max);
}

fn of_group(world: &World, index: usize) -> Summary {
    let mut summary = Summary::new();
    let (cluster, place) = world.groups[index];
    let group = world.clusters[cluster].group_result(place);
    put_consumer(&mut summary, &world.ledger.consumers[group.index], group.latency);
    count(&mut summary, "rebalances", group.rebalances);
    count(&mut summary, "lag_records_max", group.lag_records_max);
    seconds(&mut summary, "lag_seconds_max", group.lag_max.0);
    seconds(&mut summary, "consume_paused_s", group.paused_max.0);
    seconds(&mut summary, "partition_paused_s", group.paused_total.0);
    summary
}

fn of_producer(world: &World, index: usize) -> Summary {
    let mut summary = Summary::new();
    let (latency, unavailable) = world.producer_times(index);
    put_producer(&mut summary, &world.ledger.producers[index], &latency, unavailable.0);
    summary
}

fn of_system(world: &World, index: usize) -> Summary {
    let mut summary = Summary::new();
    let (book, latency, unavailable) = into_system(world, |to| to == Destination::Stream(index));
    put_producer(&mut summary, &book, &latency, unavailable);
    count(&mut summary, "shards_max", u64::from(world.streams[index].shards_max));
    summary.insert("cost_usd_per_month".into(), Value::Number(cost_per_month(world, index)));
    summary
}

fn of_consumer(world: &World, index: usize) -> Summary {
    let mut summary = Summary::new();
    let app = &world.apps[index];
    put_consumer(&mut summary, &world.ledger.consumers[index], &app.latency);
    let lost = world.ledger.consumers[index].lost;
    count(&mut summary, "records_lost", lost);
    count(&mut summary, "get_records_throttled", app.counts.get_records_throttled);
    count(&mut summary, "iterators_expired", app.counts.iterators_expired);
    count(&mut summary, "leases_taken", app.counts.leases_taken);
    count(&mut summary, "lag_records_max", app.counts.lag_records_max);
    seconds(&mut summary, "lag_seconds_max", app.counts.lag_max.0);
    seconds(&mut summary, "consume_paused_s", app.counts.paused_max.0);
    seconds(&mut summary, "partition_paused_s", app.counts.paused_total.0);
    summary
}

fn add_producer(sum: &mut ProducerBook, book: &ProducerBook) {
    sum.offered += book.offered;
    sum.offered_bytes += book.offered_bytes;
    sum.accepted += book.accepted;
    sum.accepted_bytes += book.accepted_bytes;
    sum.attempts += book.attempts;
    sum.throttled += book.throttled;
    sum.refused += book.refused;
    sum.unconfirmed += book.unconfirmed;
    sum.stored += book.stored;
    sum.copies += book.copies;
    sum.lost += book.lost;
}

fn add_consumer(sum: &mut ConsumerBook, book: &ConsumerBook) {
    sum.stored += book.stored;
    sum.delivered += book.delivered;
    sum.delivered_bytes += book.delivered_bytes;
    sum.lost += book.lost;
    sum.expired += book.expired;
    sum.lost_with_log += book.lost_with_log;
    sum.dead_lettered += book.dead_lettered;
    sum.redelivered += book.redelivered;
    sum.reordered += book.reordered;
    sum.effects_duplicated += book.effects_duplicated;
}

fn put_producer(summary: &mut Summary, book: &ProducerBook, latency: &Latency, unavailable: u64) {
    count(summary, "records_offered", book.offered);
    count(summary, "records_accepted", book.accepted);
    count(summary, "records_throttled", book.throttled);
    summary.insert("throttled_ratio".into(), ratio(book.throttled, book.attempts));
    count(summary, "records_refused", book.refused);
    count(summary, "records_unconfirmed", book.unconfirmed);
    count(summary, "records_lost", book.lost);
    count(summary, "bytes_offered", book.offered_bytes);
    count(summary, "bytes_accepted", book.accepted_bytes);
    seconds(summary, "produce_unavailable_s", unavailable);
    for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
        millis(summary, &format!("produce_latency_ms_{name}"), latency.quantile_ms(share));
    }
    millis(summary, "produce_latency_ms_max", latency.longest_ms());
}

fn put_consumer(summary: &mut Summary, book: &ConsumerBook, latency: &Latency) {
    count(summary, "records_delivered", book.delivered);
    count(summary, "bytes_delivered", book.delivered_bytes);
    count(summary, "records_redelivered", book.redelivered);
    count(summary, "records_reordered", book.reordered);
    count(summary, "effects_duplicated", book.effects_duplicated);
    count(summary, "records_dead_lettered", book.dead_lettered);
    count(summary, "records_filtered", 0);
    count(summary, "records_unread", book.unread());
    // Retention is no loss of the stream's, but it is one of the consumer's (D-17).
    count(summary, "records_lost", book.lost);
    for (name, share) in [("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("p999", 0.999)] {
        millis(summary, &format!("e2e_latency_ms_{name}"), latency.quantile_ms(share));
    }
    millis(summary, "e2e_latency_ms_max", latency.longest_ms());
}

fn count(summary: &mut Summary, name: &str, value: u64) {
    summary.insert(name.to_owned(), Value::Count(value));
}

#[expect(clippy::cast_precision_loss, reason = "for reports only")]
fn seconds(summary: &mut Summary, name: &str, nanos: u64) {
    summary.insert(name.to_owned(), Value::Number(nanos as f64 / NANOS_PER_SEC as f64));
}

fn millis(summary: &mut Summary, name: &str, value: Option<f64>) {
    summary.insert(name.to_owned(), value.map_or(Value::Never, Value::Number));
}

#[expect(clippy::cast_precision_loss, reason = "for reports only")]
fn ratio(part: u64, whole: u64) -> Value {
    Value::Number(if whole == 0 { 0.0 } else { part as f64 / whole as f64 })
}

#[expect(clippy::cast_precision_loss, reason = "for reports only")]
fn cost_per_month(world: &World, index: usize) -> f64 {
    let stream = &world.streams[index];
    let usage = &world.usage[index];
    let hours = |nanos: u128| nanos as f64 / (NANOS_PER_SEC * 3_600) as f64;
    let mut bill = Bill {
        shard_hours: hours(stream.provisioned_shard_ns),
        on_demand_hours: hours(stream.on_demand_ns),
        put_units: usage.put_units as f64,
        on_demand_bytes_in: usage.on_demand_bytes as f64,
        long_retention: stream.config.retention.0 > 24 * 3_600 * NANOS_PER_SEC,
        ..Bill::default()
    };
    for app in world.apps.iter().filter(|app| app.config.stream == index) {
        match app.config.retrieval {
            Retrieval::FanOut => {
                bill.fan_out_consumers += 1.0;
                bill.fan_out_bytes += app.counts.bytes_read as f64;
            }
            Retrieval::Polling { .. } => bill.shared_bytes_out += app.counts.bytes_read as f64,
        }
    }
    let run_hours = world.config.duration.as_secs_f64() / 3_600.0;
    if run_hours > 0.0 { bill.usd() * MONTH_HOURS / run_hours } else { 0.0 }
}

fn series_of<'a>(series: &'a [Series], name: &str) -> &'a [Point] {
    series.iter().find(|series| series.name == name).map_or(&[], |series| &series.points)
}

/// Time from the end of the last fault until the lag in seconds stays, for 60 s or to the end, at
/// most 1 s above its maximum in the minute before the first fault.
fn recovery(lag: &[Point], marks: &[Mark], duration_ns: u64) -> Value {
    let faults = || marks.iter().filter(|mark| mark.kind == MarkKind::Fault);
    let Some(first) = faults().map(|mark| mark.from).min() else {
        return Value::Number(0.0);
    };
    let ended = |mark: &Mark| mark.until.unwrap_or(mark.from).min(SimTime(duration_ns));
    let last = faults().map(ended).max().unwrap_or(first);
    // Point i covers the second that ends at i + 1.
    let second = |at: SimTime| usize::try_from(at.0 / NANOS_PER_SEC).unwrap_or(usize::MAX);
    let before = second(first).saturating_sub(60)..second(first).min(lag.len());
    let usual = lag[before].iter().map(|point| point.max).fold(0.0, f64::max) + 1.0;
    let after = lag.get(second(last)..).unwrap_or(&[]);
    let mut calm = 0;
    for (index, point) in after.iter().enumerate() {
        calm = if point.max <= usual { calm + 1 } else { 0 };
        if calm == 60 || (calm > 0 && index + 1 == after.len()) {
            #[expect(clippy::cast_precision_loss, reason = "for reports only")]
            return Value::Number((index + 1 - calm) as f64);
        }
    }
    if after.is_empty() { Value::Number(0.0) } else { Value::Never }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(from: u64, until: u64) -> Mark {
        let at = |secs: u64| SimTime(secs * NANOS_PER_SEC);
        Mark { kind: MarkKind::Fault, label: String::new(), from: at(from), until: Some(at(until)) }
    }

    fn lag(values: &[(usize, f64)]) -> Vec<Point> {
        values
            .iter()
            .flat_map(|(times, lag)| vec![Point { value: *lag, min: *lag, max: *lag }; *times])
            .collect()
    }

    /// A fault from 100 to 200 s; the lag is back 50 s after it.
    #[test]
    fn recovery_counts_from_the_end_of_the_last_fault() {
        let lag = lag(&[(100, 0.5), (150, 20.0), (150, 0.5)]);
        let value = recovery(&lag, &[mark(100, 200)], 400 * NANOS_PER_SEC);
        assert_eq!(value, Value::Number(50.0));
    }

    /// A calm of 59 s that ends does not count; one that lasts to the end does.
    #[test]
    fn a_calm_must_last_a_minute_or_to_the_end() {
        let faults = [mark(10, 20)];
        let relapse = lag(&[(20, 0.0), (59, 0.0), (1, 9.0), (30, 0.0)]);
        assert_eq!(recovery(&relapse, &faults, 110 * NANOS_PER_SEC), Value::Number(60.0));
        let never = lag(&[(20, 0.0), (59, 0.0), (31, 9.0)]);
        assert_eq!(recovery(&never, &faults, 110 * NANOS_PER_SEC), Value::Never);
        assert_eq!(recovery(&lag(&[(90, 0.0)]), &faults, 90 * NANOS_PER_SEC), Value::Number(0.0));
    }

    #[test]
    fn without_a_fault_there_is_nothing_to_recover_from() {
        assert_eq!(recovery(&lag(&[(10, 50.0)]), &[], 10 * NANOS_PER_SEC), Value::Number(0.0));
    }
}
