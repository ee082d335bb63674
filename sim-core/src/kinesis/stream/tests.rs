//! A stream alone: splits, merges, UpdateShardCount, and what on-demand capacity does.

use super::*;
use crate::kinesis::on_demand::SPLIT_TRIGGER;

fn secs(secs: u64) -> SimDuration {
    SimDuration::from_secs(secs)
}

fn at(secs: u64) -> SimTime {
    SimTime(secs * NANOS_PER_SEC)
}

fn stream(capacity: Capacity) -> Stream {
    Stream::new(&StreamConfig {
        name: "clicks".to_owned(),
        capacity,
        retention: secs(86_400),
        burst_bytes: 1 << 20,
        put_latency: SimDuration::ZERO,
        get_latency: SimDuration::ZERO,
        push_latency: SimDuration::ZERO,
        reshard_time: secs(30),
        reshard_serially: true,
        history: None,
    })
}

fn provisioned(shards: u32) -> Stream {
    stream(Capacity::Provisioned { shards })
}

/// The documented rule for a peak of 2 MB/s: 4 shards, which split 300 s after their trigger.
fn on_demand(rule: OnDemandRule, ceiling: u64) -> Stream {
    stream(Capacity::OnDemand(OnDemandConfig {
        rule,
        peak_history: 2_000_000,
        warm_throughput: 0,
        split_delay: secs(300),
        ceiling,
    }))
}

/// A quarter of the hash space (N-W-3).
const QUARTER: u128 = 1 << 126;

/// N-C-3, N-C-4: the parent closes, its halves open where it was, both with it as their only
/// parent.
#[test]
fn a_split_opens_two_halves_of_the_parent_in_its_place() {
    let mut stream = provisioned(4);
    assert_eq!(stream.split(1, at(10), secs(30)), Ok(at(40)));
    assert_eq!(stream.reshard_due(SimTime(at(40).0 - 1)), []);
    assert!(stream.shards[1].is_open());
    let change = Resharded { closed: vec![1], opened: vec![4, 5] };
    assert_eq!(stream.reshard_due(at(40)), [change]);
    assert_eq!(stream.open, [0, 4, 5, 2, 3]);
    let (low, high) = (&stream.shards[4], &stream.shards[5]);
    let middle = QUARTER + QUARTER / 2;
    assert_eq!(low.range, HashRange { start: QUARTER, end: middle - 1 });
    assert_eq!(high.range, HashRange { start: middle, end: 2 * QUARTER - 1 });
    assert_eq!([low.parents, high.parents], [[Some(1), None]; 2]);
    assert_eq!((stream.shards[1].closed_at, low.opened_at), (Some(at(40)), at(40)));
    assert_eq!(stream.shards_max, 5);
    stream.audit();
}

/// N-C-3: one child over both ranges, with both parents, the lower one first.
#[test]
fn a_merge_opens_one_shard_over_both_parents() {
    let mut stream = provisioned(4);
    assert_eq!(stream.merge(1, 2, at(10)), Ok(at(40)));
    let change = Resharded { closed: vec![1, 2], opened: vec![4] };
    assert_eq!(stream.reshard_due(at(40)), [change]);
    assert_eq!(stream.open, [0, 4, 3]);
    let child = &stream.shards[4];
    assert_eq!(child.range, HashRange { start: QUARTER, end: 3 * QUARTER - 1 });
    assert_eq!(child.parents, [Some(1), Some(2)]);
    assert!(!stream.shards[1].is_open() && !stream.shards[2].is_open());
    // The greatest number of open shards was before it.
    assert_eq!(stream.shards_max, 4);
    stream.audit();
}

/// The negatives: only open neighbours merge, in their order, and only an open shard splits.
#[test]
fn a_change_of_other_shards_is_refused() {
    let mut stream = provisioned(4);
    assert!(stream.merge(0, 2, at(0)).is_err());
    assert!(stream.merge(2, 1, at(0)).is_err());
    assert!(stream.merge(3, 0, at(0)).is_err());
    assert!(stream.split(4, at(0), secs(30)).is_err());
    assert!(stream.split(0, at(0), SimDuration::ZERO).is_ok());
    stream.reshard_due(at(0));
    assert!(stream.split(0, at(0), secs(30)).is_err());
    assert!(stream.merge(0, 1, at(0)).is_err());
    assert!(stream.merge(5, 1, at(0)).is_ok());
}

/// N-C-4: records stay where they are, and children begin empty, with full budgets.
#[test]
fn records_stay_with_the_parent() {
    let mut stream = provisioned(1);
    stream.shards[0].log.append(at(1), at(1), (3, 300), &[]);
    stream.shards[0].write_budget(at(1), 1_000, 1 << 20);
    stream.shards[0].charge_write(at(1), 1_000, 1 << 20);
    assert!(stream.split(0, at(1), SimDuration::ZERO).is_ok());
    stream.reshard_due(at(1));
    let holds = |shard: usize| stream.shards[shard].log.extent(0).is_some();
    assert_eq!([0, 1, 2].map(holds), [true, false, false]);
    for child in [1, 2] {
        let shard = &mut stream.shards[child];
        assert_eq!(shard.write_budget(at(1), 2_000, 2 << 20), (1_000, 1 << 20));
        assert_eq!(shard.written_last_minute(at(1)), (0, 0));
    }
}

/// N-V-6: from 4 to 6 by four splits and two merges, 30 s each: boundaries within 8 of i/6, 14 shards
/// ever. To 8 by four splits, to 2 by two merges, to 5 by four and three.
#[test]
fn update_shard_count_ends_with_uniform_shards() {
    for (target, steps, ever) in [(6, 6, 14), (8, 4, 12), (2, 2, 6), (5, 7, 15)] {
        let mut stream = provisioned(4);
        assert_eq!(stream.update_shard_count(target, at(0)), Ok(at(30 * steps)), "{target}");
        stream.reshard_due(SimTime(at(30 * steps).0 - 1));
        assert_ne!(stream.shards.len(), ever);
        stream.reshard_due(at(30 * steps));
        assert_eq!((stream.open.len(), stream.shards.len()), (target as usize, ever), "{target}");
        let starts = stream.routes().into_iter().skip(1).map(|(_, range)| range.start);
        for (start, wanted) in starts.zip(uniform_boundaries(target)) {
            assert!(start.abs_diff(wanted) <= 8, "{start} of {wanted}");
        }
        stream.audit();
    }
}

/// N-C-1: within half and double, one change at a time; all steps at once if so configured.
#[test]
fn update_shard_count_is_refused_beyond_half_and_double() {
    for (target, allowed) in [(0, false), (1, false), (2, true), (8, true), (9, false)] {
        assert_eq!(provisioned(4).update_shard_count(target, at(0)).is_ok(), allowed, "{target}");
    }
    let mut stream = provisioned(4);
    stream.config.reshard_serially = false;
    assert_eq!(stream.update_shard_count(8, at(0)), Ok(at(30)));
    assert!(stream.update_shard_count(8, at(10)).is_err());
}

/// Writes that many bytes to a shard in each second of a minute, and one more byte if so.
fn write_for_a_minute(stream: &mut Stream, shard: usize, per_second: u64, more: u64) {
    for second in 0..60 {
        let bytes = per_second + if second == 0 { more } else { 0 };
        stream.shards[shard].write_budget(at(second), 1, bytes);
        stream.shards[shard].charge_write(at(second), 1, bytes);
    }
}

/// D-24: the shard whose mean over a minute passes 500,000 B/s, and no other, splits evenly a fixed
/// delay later; it is not told to split twice.
#[test]
fn an_on_demand_shard_splits_once_its_minute_passes_the_trigger() {
    let mut stream = on_demand(OnDemandRule::Documented, 200_000_000);
    assert_eq!(stream.open.len(), 4);
    write_for_a_minute(&mut stream, 1, SPLIT_TRIGGER, 0);
    write_for_a_minute(&mut stream, 2, SPLIT_TRIGGER, 1);
    assert_eq!(stream.scale(at(60)), [2]);
    assert_eq!(stream.scale(at(60)), [0_u32; 0]);
    assert_eq!(stream.reshard_due(SimTime(at(360).0 - 1)), []);
    stream.reshard_due(at(360));
    assert_eq!(stream.open, [0, 1, 4, 5, 3]);
    assert_eq!(stream.shards[4].range.start, 2 * QUARTER);
    assert_eq!(stream.shards[5].range.start, 2 * QUARTER + QUARTER / 2);
}

/// The negatives: a provisioned stream does not grow, nor does one at its ceiling.
#[test]
fn a_provisioned_stream_and_one_at_its_ceiling_do_not_split() {
    let mut stream = provisioned(4);
    write_for_a_minute(&mut stream, 2, SPLIT_TRIGGER, 1);
    assert_eq!(stream.scale(at(60)), [0_u32; 0]);
    let mut stream = on_demand(OnDemandRule::Documented, 4_000_000);
    write_for_a_minute(&mut stream, 2, SPLIT_TRIGGER, 1);
    assert_eq!(stream.scale(at(60)), [0_u32; 0]);
    // Room for one more shard: the first of two that pass.
    let mut stream = on_demand(OnDemandRule::Documented, 5_000_000);
    for shard in [1, 2] {
        write_for_a_minute(&mut stream, shard, SPLIT_TRIGGER, 1);
    }
    assert_eq!(stream.scale(at(60)), [1]);
}

/// The folklore rule: 15 minutes after the demand first exceeds 4 MB/s everything doubles, if it still
/// does.
#[test]
fn by_folklore_all_shards_double_after_fifteen_minutes_of_too_much_demand() {
    for (last_demand, splits) in [(4_000_001, vec![0, 1, 2, 3]), (4_000_000, vec![])] {
        let mut stream = on_demand(OnDemandRule::DoublesEvery15Minutes, 200_000_000);
        stream.note_demand(at(99), 4_000_001);
        assert_eq!(stream.scale(at(100)), [0_u32; 0]);
        assert_eq!(stream.scale(at(999)), [0_u32; 0]);
        stream.note_demand(SimTime(at(1_000).0 - 1), last_demand);
        assert_eq!(stream.scale(at(1_000)), splits);
    }
}

/// Provisioned: 1 MiB/s for each open shard. On-demand: twice the peak, of history or of a minute's
/// mean in the run (V-29).
#[test]
fn write_capacity_is_that_of_the_open_shards_or_twice_the_peak() {
    let mut stream = provisioned(5);
    assert_eq!(stream.write_capacity(), 5 << 20);
    assert!(stream.split(0, at(0), SimDuration::ZERO).is_ok());
    stream.reshard_due(at(0));
    assert_eq!(stream.write_capacity(), 6 << 20);
    let mut stream = on_demand(OnDemandRule::Documented, 200_000_000);
    assert_eq!(stream.write_capacity(), 4_000_000);
    // Four shards of 800,000 B/s are 3.2 MB/s, a new peak; before a whole minute it is none.
    for shard in 0..4 {
        write_for_a_minute(&mut stream, shard, 800_000, 0);
    }
    stream.scale(at(59));
    assert_eq!(stream.write_capacity(), 4_000_000);
    stream.scale(at(60));
    assert_eq!(stream.write_capacity(), 6_400_000);
    // And it stays when the traffic has gone.
    stream.scale(at(600));
    assert_eq!(stream.write_capacity(), 6_400_000);
}
