//! What retention takes, how far the watermark goes, what readers see of a log.

mod memory;

use super::*;

fn secs(s: u64) -> SimDuration {
    SimDuration::from_secs(s)
}

fn at(s: u64) -> SimTime {
    SimTime::ZERO + secs(s)
}

/// Segments roll once they hold 2,000 bytes.
fn topic(retention: Option<SimDuration>, retention_bytes: Option<u64>) -> TopicConfig {
    TopicConfig {
        name: "orders".to_owned(),
        partitions: 1,
        replication_factor: 1,
        min_insync_replicas: 1,
        unclean_leader_election: false,
        retention,
        retention_bytes,
        segment_bytes: 2_000,
        segment_time: secs(86_400),
        assignment: Vec::new(),
        history: None,
    }
}

/// Ten records of together 1,000 bytes, offered at `offered`, in the request of that number.
fn append(log: &mut Log, offered: SimTime, stamp: u64, now: SimTime) {
    append_under(log, &topic(None, None), (offered, now), stamp);
}

fn append_under(
    log: &mut Log,
    topic: &TopicConfig,
    (offered, now): (SimTime, SimTime),
    stamp: u64,
) {
    let batch = Batch {
        offered_at: offered,
        first_sent_at: SimTime::MAX,
        first_seq: 0,
        backlog_ns: 0,
        count: 10,
        bytes: 1_000,
        class: KeyClass::REST,
        partition: 0,
        flow: FlowId(0),
        stride: 1,
        failures: 0,
        already_stored: false,
    };
    let serial = u32::try_from(stamp).unwrap();
    let detour = Detour::default();
    let arrival =
        Arrival { stamp, sent_at: offered, now, cache_step: SimTime::ZERO, serial, detour };
    log.append(&batch, &arrival, topic);
}

/// Batch i (from 0) at second i with stamp i + 1, all committed: five segments of two batches each,
/// the last of them active.
fn ten_batches() -> Log {
    let mut log = Log::new();
    for second in 0..10 {
        append(&mut log, at(second), second + 1, at(second));
    }
    log.commit(u64::MAX, u64::MAX, at(10));
    assert_eq!(log.segments.len(), 5);
    log
}

/// K-RET-1: the oldest segment goes while total - segment >= retention.bytes. Of 10,000 bytes in
/// segments of 2,000: a limit of 6,000 takes two (8,000 and 6,000 are enough without them, 4,000
/// would not be), one byte more leaves the second, and so on. Limit 0 takes the active one as well.
#[test]
fn retention_by_size_takes_segments_as_long_as_the_limit_is_left() {
    for (limit, segments) in [
        (10_000, 0),
        (8_001, 0),
        (8_000, 1),
        (6_001, 1),
        (6_000, 2),
        (5_000, 2),
        (4_000, 3),
        (1, 4),
        (0, 5),
    ] {
        let mut log = ten_batches();
        assert_eq!(log.retain(&topic(None, Some(limit)), at(10)), segments > 0, "{limit}");
        assert_eq!(log.start(), segments * 20, "of a limit of {limit} bytes");
        assert!(!log.retain(&topic(None, Some(limit)), at(11)), "a second look takes no more");
    }
}

/// K-RET-1: a segment goes when its newest record is older than retention.ms, and not a moment
/// before. The newest ones are of seconds 1, 3, 5, 7 and 9.
#[test]
fn retention_by_time_looks_at_the_newest_record_of_each_segment() {
    let keep = Some(secs(5));
    let moment = SimDuration(1);
    for (now, segments) in [
        (at(6), 0),
        (at(6) + moment, 1),
        (at(8), 1),
        (at(8) + moment, 2),
        (at(10), 2),
        (at(100), 5),
    ] {
        let mut log = ten_batches();
        log.retain(&topic(keep, None), now);
        assert_eq!(log.start(), segments * 20, "at {now:?}");
    }
}

/// The age is that of the largest timestamp: an old record that comes late makes its segment no
/// older.
#[test]
fn a_late_old_record_does_not_age_its_segment() {
    let mut log = Log::new();
    append(&mut log, at(8), 1, at(8));
    append(&mut log, at(0), 2, at(9));
    log.commit(u64::MAX, u64::MAX, at(9));
    let topic = topic(Some(secs(5)), None);
    assert!(!log.retain(&topic, at(13)), "the newest is 5 s old");
    assert!(log.retain(&topic, at(13) + SimDuration(1)));
    assert_eq!(log.start(), 20);
}

/// Neither rule: nothing ever goes.
#[test]
fn a_log_without_retention_keeps_everything() {
    let mut log = ten_batches();
    assert!(!log.retain(&topic(None, None), at(1_000_000)));
    assert_eq!((log.start(), log.end()), (0, 100));
}

/// K-RET-1: the high watermark must be past a segment, whatever its age and size. At 39 the second
/// segment, which ends at 40, stays.
#[test]
fn retention_takes_nothing_above_the_high_watermark() {
    for (bound, start) in [(0, 0), (19, 0), (20, 20), (39, 20), (40, 40), (99, 80), (100, 100)] {
        for topic in [topic(Some(secs(1)), None), topic(None, Some(0))] {
            let mut log = Log::new();
            for second in 0..10 {
                append(&mut log, at(second), second + 1, at(second));
            }
            log.commit(u64::MAX, bound, at(10));
            log.retain(&topic, at(100));
            assert_eq!(log.start(), start, "with a watermark of at most {bound}");
        }
    }
}

/// Offsets go on where they were after retention has taken everything, and size counts anew.
#[test]
fn a_log_that_was_emptied_goes_on_at_its_end() {
    let mut log = ten_batches();
    assert!(log.retain(&topic(None, Some(0)), at(10)));
    assert_eq!((log.start(), log.end(), log.active_size()), (100, 100, 0));
    append(&mut log, at(20), 11, at(20));
    assert_eq!((log.end(), log.active_size()), (110, 1_000));
    log.commit(u64::MAX, u64::MAX, at(20));
    assert!(!log.retain(&topic(None, Some(1_000)), at(20)), "1,000 bytes are the limit");
}

/// The active segment rolls by segment.ms as well as by size, on append only; only the first
/// append after it makes it old.
#[test]
fn segments_roll_by_age_on_append() {
    let mut log = Log::new();
    let daily = TopicConfig { segment_bytes: 1 << 30, ..topic(None, None) };
    let put = |log: &mut Log, second: u64| {
        append_under(log, &daily, (at(second), at(second)), 1);
        log.segments.len()
    };
    // The first record came at 1,000 s: the segment is a day old at 87,400 s.
    assert_eq!(put(&mut log, 1_000), 1);
    assert_eq!(put(&mut log, 87_399), 1);
    assert_eq!(put(&mut log, 87_400), 2);
    assert_eq!(put(&mut log, 87_401), 2);
}

/// K-HW-1: the watermark goes over whole entries that were appended by the stamp and end by the
/// bound, keeps the instant at which it first passed each, and never moves back.
#[test]
fn the_watermark_stops_at_the_least_of_stamp_and_bound() {
    for (stamp, bound, watermark) in
        [(0, 100, 0), (3, 100, 30), (10, 29, 20), (10, 30, 30), (3, 20, 20), (99, 1_000, 100)]
    {
        let mut log = Log::new();
        for second in 0..10 {
            append(&mut log, at(second), second + 1, at(second));
        }
        log.commit(stamp, bound, at(10));
        assert_eq!(log.high_watermark(), watermark, "stamp {stamp}, bound {bound}");
        log.commit(0, 0, at(11));
        assert_eq!(log.high_watermark(), watermark, "never back");
        log.commit(u64::MAX, u64::MAX, at(12));
        for index in 0..10 {
            let passed = if index * 10 < watermark { at(10) } else { at(12) };
            assert_eq!(log.entry(index).unwrap().visible_at, passed, "entry {index}");
        }
    }
}

/// K-FET-2: a consumer reads below the watermark only, but at least one entry, and stops before
/// what does not fit.
#[test]
fn a_consumer_reads_whole_entries_below_the_watermark() {
    let mut log = Log::new();
    for second in 0..10 {
        append(&mut log, at(second), second + 1, at(second));
    }
    assert_eq!(log.read_visible(0, 0, 1 << 20), (0, 0), "nothing is visible");
    log.commit(4, u64::MAX, at(10));
    assert_eq!(log.read_visible(0, 0, 1 << 20), (40, 4_000));
    assert_eq!(log.read_visible(0, 0, 2_999), (20, 2_000));
    assert_eq!(log.read_visible(0, 0, 3_000), (30, 3_000));
    assert_eq!(log.read_visible(20, 2, 1), (30, 1_000), "the first always fits");
    assert_eq!(log.read_visible(40, 4, 1 << 20), (40, 0));
}

/// K-EPO-1: a cut takes entries from the end, tells of each, and takes the watermark and emptied
/// segments with it; the next append is at the cut.
#[test]
fn a_cut_takes_the_tail_and_everything_that_was_said_of_it() {
    let mut log = ten_batches();
    let mut gone = Vec::new();
    log.truncate(50, |index, entry| gone.push((index, entry.base)));
    assert_eq!(gone, [(9, 90), (8, 80), (7, 70), (6, 60), (5, 50)]);
    assert_eq!((log.end(), log.high_watermark(), log.active_size()), (50, 50, 1_000));
    append(&mut log, at(20), 11, at(20));
    assert_eq!((log.end(), log.high_watermark()), (60, 50));
    assert_eq!(log.segments.len(), 3, "it goes into the segment that was cut");
    let mut whole = ten_batches();
    whole.truncate(100, |_, _| panic!("nothing lies behind the end"));
    assert_eq!(whole.high_watermark(), 100);
}
