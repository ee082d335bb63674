//! Member processes that come, go and stand still.

use crate::engine::SimTime;

use super::super::{At, Cluster, Event};
use super::MemberId;

impl Cluster {
    /// One member dies without a word; whether it ran, or was about to.
    pub fn kill_member(&mut self, group: usize, member: MemberId, at: &mut At<'_, '_>) -> bool {
        let was_coming = self.call_off_start(group, member);
        if !self.groups[group].member(member).running {
            return was_coming;
        }
        self.halt(group, member, at);
        self.groups[group].member(member).running = false;
        self.note_deaths(group, member);
        self.with_group(group, at, |it, ctx, changes| it.kill(member, ctx, changes));
        self.stop_all(group, member, at);
        self.name_orphans(group, at.ctx.now);
        true
    }

    /// One member closes its consumer and exits: what it has processed is committed. Whether it
    /// ran, or was about to.
    pub fn stop_member(&mut self, group: usize, member: MemberId, at: &mut At<'_, '_>) -> bool {
        let was_coming = self.call_off_start(group, member);
        if !self.groups[group].member(member).running {
            return was_coming;
        }
        self.halt(group, member, at);
        self.commit_all(group, member, at);
        self.note_deaths(group, member);
        self.with_group(group, at, |it, ctx, changes| it.stop(member, ctx, changes));
        self.groups[group].member(member).running = false;
        self.stop_all(group, member, at);
        self.name_orphans(group, at.ctx.now);
        true
    }

    /// A process that is about to start does not; whether there was one.
    fn call_off_start(&mut self, group: usize, member: MemberId) -> bool {
        let it = self.groups[group].member(member);
        it.starts += 1;
        std::mem::take(&mut it.comes)
    }

    /// A member stands still; whether it ran.
    pub fn pause_member(&mut self, group: usize, member: MemberId, at: &mut At<'_, '_>) -> bool {
        if !self.member_runs(group, member) {
            return false;
        }
        self.halt(group, member, at);
        self.groups[group].member(member).frozen = true;
        self.with_group(group, at, |it, ctx, _| it.pause(member, ctx));
        self.note_owned(group, member, at.ctx.now);
        true
    }

    /// A member goes on, not knowing what it missed.
    pub fn resume_member(&mut self, group: usize, member: MemberId, at: &mut At<'_, '_>) {
        let it = self.groups[group].member(member);
        if !it.running || !it.frozen {
            return;
        }
        it.frozen = false;
        self.with_group(group, at, |it, ctx, changes| it.resume(member, ctx, changes));
        self.note_owned(group, member, at.ctx.now);
        self.offer_all(group);
        // Readers that were listed while it stood still are not listed again.
        self.wake_slots(group);
        self.enter_poll(group, member, at);
        self.serve_readers(at);
    }

    /// A process starts in a slot whose process is gone.
    pub fn start_member(&mut self, group: usize, member: MemberId, at: &mut At<'_, '_>) {
        if self.groups[group].waits {
            // With all others.
            return;
        }
        let number = u16::try_from(group).expect("few groups");
        let takes = self.groups[group].config.start_time;
        let it = self.groups[group].member(member);
        it.starts += 1;
        it.comes = true;
        at.ctx.after(takes, Event::Started(number, member, it.starts));
    }

    /// More processes start.
    pub fn add_members(&mut self, group: usize, count: u32, at: &mut At<'_, '_>) {
        for _ in 0..count {
            let member = self.groups[group].add_member(self.brokers.len());
            self.groups[group].member(member).running = false;
            self.start_member(group, member, at);
        }
    }

    /// A process is up, and its consumer joins.
    pub(in super::super) fn on_started(
        &mut self,
        group: usize,
        member: MemberId,
        start: u32,
        at: &mut At<'_, '_>,
    ) {
        let consumers = &mut self.groups[group];
        let keeps = consumers.config.state.as_ref().is_some_and(|state| state.survives_restart);
        let interval = consumers.config.auto_commit;
        let it = consumers.member(member);
        if it.running || it.starts != start {
            return;
        }
        it.comes = false;
        it.restored_at = at.ctx.now;
        it.running = true;
        it.frozen = false;
        it.awaits_poll = false;
        it.commits_at = at.ctx.now + interval.unwrap_or_default();
        if !keeps {
            it.local.clear();
        }
        self.with_group(group, at, |it, ctx, changes| it.start_member(member, ctx, changes));
    }

    /// The pace of a member, or of all, is multiplied from the next poll on: factor in millionths.
    pub fn set_pace(&mut self, group: usize, member: Option<MemberId>, ppm: u64) {
        match member {
            None => self.groups[group].slow_ppm = ppm,
            Some(member) => self.groups[group].member(member).slow_ppm = ppm,
        }
    }

    /// The member that leads a group, if its protocol knows a leader.
    #[must_use]
    pub fn group_leader(&self, group: usize) -> Option<MemberId> {
        self.groups[group].coordination.leader()
    }

    /// Whether a member runs and does not stand still.
    #[must_use]
    pub fn member_runs(&self, group: usize, member: MemberId) -> bool {
        let it = self.groups[group].members.get(member.0 as usize);
        it.is_some_and(|it| it.running && !it.frozen)
    }

    /// How many members a group has had.
    #[must_use]
    pub fn member_count(&self, group: usize) -> u32 {
        u32::try_from(self.groups[group].members.len()).expect("fewer than 2^32 members")
    }

    /// What is in hand stops, what is under way never comes.
    fn halt(&mut self, group: usize, member: MemberId, at: &mut At<'_, '_>) {
        self.drop_poll(group, member, at);
        self.forget_fetches(group, member);
    }

    /// A process is gone, and with it every reader that it had.
    fn stop_all(&mut self, group: usize, member: MemberId, at: &mut At<'_, '_>) {
        for id in self.groups[group].readers_of(member) {
            let reader = self.groups[group].readers[id as usize].as_ref();
            if let Some(partition) = reader.map(|reader| reader.partition) {
                self.stop_reader(group, member, partition, at);
            }
        }
    }

    /// What a process leaves behind has no owner, though the group may think so for a while.
    fn note_deaths(&mut self, group: usize, member: MemberId) {
        for id in self.groups[group].readers_of(member) {
            let reader = self.groups[group].readers[id as usize].as_ref();
            if let Some(partition) = reader.map(|reader| reader.partition) {
                self.groups[group].share(partition).owner_died = true;
            }
        }
    }

    fn note_owned(&mut self, group: usize, member: MemberId, now: SimTime) {
        for id in self.groups[group].readers_of(member) {
            let reader = self.groups[group].readers[id as usize].as_ref();
            if let Some(partition) = reader.map(|reader| reader.partition) {
                self.choose_cause(group, partition, now);
                self.note_pause(group, partition, now);
            }
        }
    }
}
