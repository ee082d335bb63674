//! Retention: a record is kept until it is as old as that, and no new call to a shard returns it
//! afterwards (N-R-7). Of a Kafka log no segment goes whose newest record is younger, unless the
//! rest is still as large as retention.bytes (K-RET-1).

use crate::config::WorldConfig;
use crate::engine::{SimDuration, SimTime};
use crate::ledger::Seen;

/// How long and how much is kept.
#[derive(Clone, Debug)]
pub(super) struct Retention {
    /// Of each application's stream; groups have none.
    of_consumer: Vec<SimDuration>,
    /// By cluster and topic: for so long, and so many bytes.
    of_topic: Vec<Vec<(Option<SimDuration>, Option<u64>)>>,
}

impl Retention {
    pub(super) fn new(config: &WorldConfig) -> Self {
        let topics = |it: &crate::config::kafka::ClusterConfig| {
            it.topics.iter().map(|it| (it.retention, it.retention_bytes)).collect()
        };
        Self {
            of_consumer: config
                .consumers
                .iter()
                .map(|it| config.streams[it.stream].retention)
                .collect(),
            of_topic: config.clusters.iter().map(topics).collect(),
        }
    }

    pub(super) fn see(&self, seen: &Seen, now: SimTime) -> Result<(), String> {
        if let Seen::Expired { consumer, partition, until, newest: Some(newest) } = *seen {
            let keep = self.of_consumer[consumer];
            if newest + keep > now {
                return Err(format!(
                    "consumer {consumer}, shard {partition}: the record before {until}, appended \
                     at {newest}, expired before it was {keep:?} old"
                ));
            }
        } else if let Seen::Fetched { consumer, partition, until, oldest, .. } = *seen {
            let keep = self.of_consumer.get(consumer);
            if let Some(keep) = keep.filter(|keep| oldest + **keep <= now) {
                return Err(format!(
                    "consumer {consumer}, shard {partition}: an answer up to {until} begins with a \
                     record appended at {oldest}, which is {keep:?} old"
                ));
            }
        } else if let Seen::Trimmed { topic: (cluster, topic), partition, newest, kept_bytes } =
            *seen
            && let Some(newest) = newest
        {
            let (keep, keep_bytes) =
                self.of_topic[cluster].get(topic).copied().unwrap_or((None, None));
            let is_old = keep.is_some_and(|keep| now.since(newest) > keep);
            if !is_old && keep_bytes.is_none_or(|least| kept_bytes < least) {
                return Err(format!(
                    "topic {topic}, partition {partition}: a record of {newest} is gone, and \
                     {kept_bytes} bytes are left"
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEEP: SimDuration = SimDuration::from_secs(100);

    fn checker() -> Retention {
        Retention {
            of_consumer: vec![KEEP],
            of_topic: vec![vec![(Some(KEEP), Some(1_000)), (None, None)]],
        }
    }

    fn at(secs: u64) -> SimTime {
        SimTime::ZERO + SimDuration::from_secs(secs)
    }

    fn expired(newest: u64) -> Seen {
        Seen::Expired { consumer: 0, partition: 1, until: 9, newest: Some(at(newest)) }
    }

    fn fetched(consumer: usize, oldest: u64) -> Seen {
        Seen::Fetched { consumer, partition: 1, until: 9, readable: 9, oldest: at(oldest) }
    }

    fn trimmed(topic: usize, newest: u64, kept_bytes: u64) -> Seen {
        Seen::Trimmed { topic: (0, topic), partition: 1, newest: Some(at(newest)), kept_bytes }
    }

    /// Appended at 50 s and kept for 100 s: gone from 150 s on, and no earlier.
    #[test]
    fn a_record_that_expires_early_is_found() {
        checker().see(&expired(50), at(150)).unwrap();
        let breach = checker().see(&expired(50), at(149)).unwrap_err();
        assert!(breach.contains("shard 1") && breach.contains("before 9"), "{breach}");
    }

    #[test]
    fn a_call_that_returns_an_expired_record_is_found() {
        checker().see(&fetched(0, 50), at(149)).unwrap();
        assert!(checker().see(&fetched(0, 50), at(150)).is_err());
        // A group's retention is its log's: what is there can be read.
        checker().see(&fetched(1, 50), at(150)).unwrap();
    }

    /// A segment goes by age, or by size; if it does neither, or its topic forgets nothing, it stays.
    #[test]
    fn a_segment_that_goes_early_is_found() {
        checker().see(&trimmed(0, 50, 0), at(151)).unwrap();
        checker().see(&trimmed(0, 50, 1_000), at(60)).unwrap();
        assert!(checker().see(&trimmed(0, 50, 999), at(150)).is_err());
        assert!(checker().see(&trimmed(1, 50, 1_000), at(500)).is_err());
    }
}
