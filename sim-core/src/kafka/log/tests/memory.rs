//! What of a log is in the page cache, also when its entries are forgotten.

use super::super::*;
use crate::kafka::broker::PageCache;

fn topic() -> TopicConfig {
    TopicConfig {
        name: "t".into(),
        partitions: 1,
        replication_factor: 1,
        min_insync_replicas: 1,
        unclean_leader_election: false,
        retention: None,
        retention_bytes: None,
        segment_bytes: 1 << 30,
        segment_time: SimDuration::from_secs(86_400),
        assignment: Vec::new(),
        history: None,
    }
}

fn at(secs: u64) -> SimTime {
    SimTime::ZERO + SimDuration::from_secs(secs)
}

/// `each` records of a byte a second, for `secs` seconds, on a broker whose cache is `capacity`.
fn written(each: u32, secs: u64, capacity: u64) -> (Log, PageCache) {
    let (mut log, mut cache) = (Log::new(), PageCache::new(capacity));
    for second in 0..secs {
        let now = at(second);
        cache.fill(now, u64::from(each));
        let batch = Batch {
            offered_at: now,
            first_sent_at: now,
            first_seq: 0,
            backlog_ns: 0,
            count: each,
            bytes: each,
            class: KeyClass::REST,
            partition: 0,
            flow: FlowId(0),
            stride: 1,
            failures: 0,
            already_stored: false,
        };
        let (cache_step, detour) = (cache.last_step(), Detour::default());
        let arrival = Arrival { stamp: second, sent_at: now, now, cache_step, serial: 0, detour };
        log.append(&batch, &arrival, &topic());
    }
    (log, cache)
}

/// What has come in the last `capacity` bytes is held, and older is not, to a step and a second's
/// bytes; that the entries are forgotten changes nothing.
#[test]
fn a_log_knows_what_of_it_is_in_memory_when_its_entries_are_forgotten() {
    for (each, secs, capacity) in [(100, 1_000, 32_000), (10, 5_000, 3_200), (7, 900, 640)] {
        let (mut log, cache) = written(each, secs, capacity);
        let end = log.end();
        log.commit(secs, end, at(secs));
        log.drop_before(end);
        assert!(log.entry(log.start_index()).is_none(), "nothing is kept");
        let slack = 2 * capacity / CACHE_STEPS + 2 * u64::from(each);
        assert!(cache.holds(log.written_at(end - capacity + slack)));
        assert!(!cache.holds(log.written_at(end - capacity - slack)));
        assert!(log.written.len() as u64 <= 2 * CACHE_STEPS);
    }
}

/// What is cut is not remembered: what comes in its place is as old as it is.
#[test]
fn a_cut_forgets_when_what_it_cuts_was_written() {
    let (mut log, _) = written(100, 100, 3_200);
    log.truncate(5_000, |_, _| {});
    assert!(log.written.iter().all(|(at, from)| *from < 5_000 && *at < self::at(50)));
}
