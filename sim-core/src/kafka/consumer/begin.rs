//! Where a group stands when the run begins, and how it begins during the run.
//!
//! | Mechanism                                             | Fact    |
//! |-------------------------------------------------------|---------|
//! | without a committed offset: auto.offset.reset          | K-FET-3 |
//!
//! A group that has run for long, or has only been away, has committed offsets: so long before the start
//! of the run, in what its partitions held by then. One that was never there has none.
//!
//! What was stored before its first position is not the group's: neither unread nor lost.
//!
//! Simplification: the position is taken when the processes start. Really a consumer asks for it once
//! a partition is assigned to it, some seconds later: who counts the records of these seconds with
//! `auto.offset.reset` "latest" could tell.

use crate::config::kafka::OffsetReset;
use crate::engine::SimDuration;
use crate::ledger::Seen;

use super::super::log::Log;
use super::super::metadata::PartitionId;
use super::super::{At, Cluster};
use super::{Consumers, MemberId};

impl Consumers {
    /// Whether it has yet to begin and will then read what is stored now of a topic.
    pub(crate) fn waits_for_all(&self, topic: usize) -> bool {
        self.waits
            && !self.config.outset.has_position()
            && self.config.auto_offset_reset == OffsetReset::Earliest
            && self.config.topics.contains(&topic)
    }

    /// What it has not read of what a partition held before the run.
    pub(crate) fn take_position(&mut self, partition: PartitionId, log: &Log) {
        let lag = self.config.outset.lag.unwrap_or(SimDuration::ZERO);
        self.begin_at(partition, log.offset_before_start(lag), log);
    }

    /// It begins at an offset; returns the records from there on.
    fn begin_at(&mut self, partition: PartitionId, first: u64, log: &Log) -> u64 {
        let unread = log.fresh_from(first);
        self.add_share(partition, first);
        self.share(partition).unread = unread;
        self.unread += unread;
        unread
    }
}

impl Cluster {
    /// Checkers learn from where on a group reads.
    pub(in super::super) fn tell_positions(&self, group: usize, at: &mut At<'_, '_>) {
        let consumers = &self.groups[group];
        for (share, partition) in consumers.shares.iter().zip(0..) {
            if let Some(first) = share.as_ref().map(|it| it.delivered).filter(|it| *it > 0) {
                at.ledger.saw(|| Seen::begins(consumers.index, partition, first));
            }
        }
    }

    /// The members of a group start.
    pub(in super::super) fn begin_group(&mut self, group: usize, at: &mut At<'_, '_>) {
        self.groups[group].waits = false;
        self.note_group(at, group, "consumer_began", String::new());
        if !self.groups[group].config.outset.has_position() {
            self.take_first_positions(group, at);
        }
        let consumers = &mut self.groups[group];
        let unread = consumers.unread;
        consumers.counts.lag_records_max = consumers.counts.lag_records_max.max(unread);
        for number in 0..self.member_count(group) {
            self.start_member(group, MemberId(number), at);
        }
    }

    /// Where a group begins to read without committed offsets.
    fn take_first_positions(&mut self, group: usize, at: &mut At<'_, '_>) {
        let ledger_index = self.groups[group].index;
        for (within, topic) in (0..).zip(self.groups[group].config.topics.clone()) {
            // Both lists are in the order of the groups.
            let place = self.groups_of[topic].partition_point(|&other| other < group);
            self.groups_of[topic].insert(place, group);
            self.readers_of[topic].insert(place, ledger_index);
            let there = self.partitions.len();
            let partitions = self.metadata.topics[topic].iter().copied();
            let known: Vec<PartitionId> = partitions.filter(|it| it.index() < there).collect();
            for &partition in &known {
                self.take_first_position(group, partition, at);
            }
            let total = u32::try_from(known.len()).expect("fewer than 2^32");
            self.with_group(group, at, |it, ctx, changes| {
                it.partitions_added(within, total, ctx, changes);
            });
        }
    }

    /// Where a group begins to read a partition.
    fn take_first_position(&mut self, group: usize, partition: PartitionId, at: &mut At<'_, '_>) {
        let log = &self.partitions[partition.index()].log;
        let first = match self.groups[group].config.auto_offset_reset {
            OffsetReset::Latest => log.high_watermark(),
            OffsetReset::Earliest => log.start(),
        };
        let consumers = &mut self.groups[group];
        let unread = consumers.begin_at(partition, first, log);
        at.ledger.begin(consumers.index, unread);
        let (consumer, number) = (consumers.index, partition.0);
        at.ledger.saw(|| Seen::begins(consumer, number, first));
        self.choose_cause(group, partition, at.ctx.now);
        self.note_pause(group, partition, at.ctx.now);
    }
}
