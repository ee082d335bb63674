//! The local state of a partition that moves: replayed before it runs, unless a copy is at hand.

use super::super::broker::time_of;
use super::super::{At, Cluster, Event};

impl Cluster {
    /// A moved partition's state is replayed unless a copy is at hand (K-STR-2).
    pub(super) fn begin_restore(&mut self, group: usize, id: u32, at: &mut At<'_, '_>) {
        let now = at.ctx.now;
        let consumers = &mut self.groups[group];
        let Some(state) = consumers.config.state.clone() else { return };
        let Some(reader) = consumers.readers[id as usize].as_ref() else { return };
        let (partition, member, generation) = (reader.partition, reader.member, reader.generation);
        let gone = consumers.members.iter().filter(|it| !it.running || it.frozen).count();
        let has_standby = gone <= state.standbys as usize && state.standbys > 0;
        let first = consumers.share(partition).last_owner.is_none();
        let it = consumers.member(member);
        if first || has_standby || it.local.contains(&partition) {
            it.local.insert(partition);
            return;
        }
        let takes = time_of(state.bytes_per_partition, state.restore_rate);
        it.restored_at = it.restored_at.max(now) + takes;
        it.restoring += 1;
        let until = it.restored_at;
        if let Some(reader) = consumers.readers[id as usize].as_mut() {
            reader.restoring = true;
        }
        let number = u16::try_from(group).expect("few groups");
        at.ctx.at(until, Event::Restored(number, id, generation));
    }

    /// A partition's state is there.
    pub(in super::super) fn on_restored(
        &mut self,
        group: usize,
        id: u32,
        generation: u32,
        at: &mut At<'_, '_>,
    ) {
        let consumers = &mut self.groups[group];
        let Some(reader) = consumers.live(id, generation) else { return };
        reader.restoring = false;
        reader.began_at = at.ctx.now;
        let (partition, member) = (reader.partition, reader.member);
        let it = consumers.member(member);
        it.restoring -= 1;
        it.local.insert(partition);
        self.choose_cause(group, partition, at.ctx.now);
        self.note_pause(group, partition, at.ctx.now);
        self.offer_reader(group, id);
        self.enter_poll(group, member, at);
        self.serve_readers(at);
    }
}
