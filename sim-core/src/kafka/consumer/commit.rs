//! Commits: where a new owner of a partition starts.
//!
//! | Mechanism                                                              | Fact    |
//! |------------------------------------------------------------------------|---------|
//! | auto-commit at the first poll after the interval                        | K-OFF-1 |
//! | positions are committed as far as the group lets the member              | K-OFF-1, K-GRP-7 |
//!
//! Simplification: a commit takes no time.

use crate::engine::SimTime;

use super::super::Cluster;
use super::super::metadata::PartitionId;
use super::{Consumers, MemberId};

impl Cluster {
    /// Commits if the interval is over.
    pub(in super::super) fn auto_commit(&mut self, group: usize, member: MemberId, now: SimTime) {
        let consumers = &mut self.groups[group];
        let Some(interval) = consumers.config.auto_commit else { return };
        let it = consumers.member(member);
        if it.commits_at <= now && it.running && !it.frozen {
            it.commits_at = now + interval;
            self.commit_all(group, member);
        }
    }

    /// Commits the positions of all of a member's partitions, if the group lets it.
    pub(super) fn commit_all(&mut self, group: usize, member: MemberId) {
        if !self.groups[group].may_commit(member) {
            return;
        }
        for id in self.groups[group].readers_of(member) {
            let consumers = &mut self.groups[group];
            let Some(reader) = consumers.readers[id as usize].as_ref() else { continue };
            let (partition, cursor) = (reader.partition, reader.cursor);
            consumers.share(partition).committed = cursor;
        }
    }

    pub(super) fn commit_one(&mut self, group: usize, member: MemberId, partition: PartitionId) {
        if !self.groups[group].may_commit(member) {
            return;
        }
        let Some(id) = self.reader_of(group, member, partition) else { return };
        let consumers = &mut self.groups[group];
        if let Some(reader) = consumers.readers[id as usize].as_ref() {
            let cursor = reader.cursor;
            consumers.share(partition).committed = cursor;
        }
    }
}

impl Consumers {
    fn may_commit(&self, member: MemberId) -> bool {
        self.commits && self.coordinated && self.coordination.may_commit(member)
    }
}
