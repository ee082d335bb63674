//! Commits: where a new owner of a partition starts.
//!
//! | Mechanism                                                              | Fact    |
//! |------------------------------------------------------------------------|---------|
//! | auto-commit at the first poll after the interval                        | K-OFF-1 |
//! | positions are committed as far as the group lets the member              | K-OFF-1, K-GRP-7 |
//!
//! Simplification: a commit takes no time.

use crate::ledger::Seen;

use super::super::metadata::PartitionId;
use super::super::{At, Cluster};
use super::{Consumers, MemberId};

impl Cluster {
    /// Commits if the interval is over.
    pub(in super::super) fn auto_commit(
        &mut self,
        group: usize,
        member: MemberId,
        at: &mut At<'_, '_>,
    ) {
        let now = at.ctx.now;
        let consumers = &mut self.groups[group];
        let Some(interval) = consumers.config.auto_commit else { return };
        let it = consumers.member(member);
        if it.commits_at <= now && it.running && !it.frozen {
            it.commits_at = now + interval;
            self.commit_all(group, member, at);
        }
    }

    /// Commits the positions of all of a member's partitions, if the group lets it.
    pub(super) fn commit_all(&mut self, group: usize, member: MemberId, at: &mut At<'_, '_>) {
        if !self.groups[group].may_commit(member) {
            return;
        }
        for id in self.groups[group].readers_of(member) {
            self.groups[group].commit(id, at);
        }
    }

    /// The same of one partition.
    pub(super) fn commit_one(
        &mut self,
        group: usize,
        member: MemberId,
        partition: PartitionId,
        at: &mut At<'_, '_>,
    ) {
        if !self.groups[group].may_commit(member) {
            return;
        }
        if let Some(id) = self.reader_of(group, member, partition) {
            self.groups[group].commit(id, at);
        }
    }
}

impl Consumers {
    fn may_commit(&self, member: MemberId) -> bool {
        self.commits && self.coordinated && self.coordination.may_commit(member)
    }

    /// A reader's position is where another one would start.
    fn commit(&mut self, id: u32, at: &mut At<'_, '_>) {
        let Some(reader) = self.readers[id as usize].as_ref() else { return };
        let (partition, member, position) = (reader.partition, reader.member.0, reader.cursor);
        self.share(partition).committed = position;
        let (consumer, partition) = (self.index, partition.0);
        at.ledger.saw(|| Seen::Committed { consumer, partition, reader: member, position });
    }
}
