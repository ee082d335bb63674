//! Member processes that come, go and stand still.

use crate::engine::SimTime;

use super::super::{At, Cluster, Event};
use super::MemberId;

impl Cluster {
    /// The first `count` members that run, lowest number first.
    fn running(&self, group: usize, count: u32) -> Vec<MemberId> {
        let members = (0..).map(MemberId).zip(&self.groups[group].members);
        let running = members.filter(|(_, it)| it.running && !it.frozen);
        running.map(|(member, _)| member).take(count as usize).collect()
    }

    /// Members die without a word; returns which.
    pub fn kill_members(&mut self, group: usize, count: u32, at: &mut At<'_, '_>) -> Vec<MemberId> {
        let hit = self.running(group, count);
        for &member in &hit {
            self.kill_member(group, member, at);
        }
        hit
    }

    /// One member dies without a word.
    pub fn kill_member(&mut self, group: usize, member: MemberId, at: &mut At<'_, '_>) {
        self.groups[group].member(member).starts += 1;
        if !self.is_running(group, member) {
            return;
        }
        self.halt(group, member, at);
        self.groups[group].member(member).running = false;
        self.note_deaths(group, member);
        self.with_group(group, at, |it, ctx, changes| it.kill(member, ctx, changes));
        self.stop_all(group, member, at);
        self.name_orphans(group, at.ctx.now);
    }

    /// Members close their consumers and exit; returns which.
    pub fn stop_members(&mut self, group: usize, count: u32, at: &mut At<'_, '_>) -> Vec<MemberId> {
        let hit = self.running(group, count);
        for &member in &hit {
            self.stop_member(group, member, at);
        }
        hit
    }

    /// One member closes its consumer and exits: what it has processed is committed.
    pub fn stop_member(&mut self, group: usize, member: MemberId, at: &mut At<'_, '_>) {
        self.groups[group].member(member).starts += 1;
        if !self.is_running(group, member) {
            return;
        }
        self.halt(group, member, at);
        self.commit_all(group, member);
        self.note_deaths(group, member);
        self.with_group(group, at, |it, ctx, changes| it.stop(member, ctx, changes));
        self.groups[group].member(member).running = false;
        self.stop_all(group, member, at);
        self.name_orphans(group, at.ctx.now);
    }

    /// Members stand still; returns which.
    pub fn pause_members(
        &mut self,
        group: usize,
        count: u32,
        at: &mut At<'_, '_>,
    ) -> Vec<MemberId> {
        let hit = self.running(group, count);
        for &member in &hit {
            self.halt(group, member, at);
            self.groups[group].member(member).frozen = true;
            self.with_group(group, at, |it, ctx, _| it.pause(member, ctx));
            self.note_owned(group, member, at.ctx.now);
        }
        hit
    }

    /// Members go on, not knowing what they missed.
    pub fn resume_members(&mut self, group: usize, members: &[MemberId], at: &mut At<'_, '_>) {
        for &member in members {
            let it = self.groups[group].member(member);
            if !it.running || !it.frozen {
                continue;
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
    }

    /// Processes start in slots whose processes are gone.
    pub fn start_members(&mut self, group: usize, members: &[MemberId], at: &mut At<'_, '_>) {
        for &member in members {
            let number = u16::try_from(group).expect("few groups");
            let takes = self.groups[group].config.start_time;
            let it = self.groups[group].member(member);
            it.starts += 1;
            at.ctx.after(takes, Event::Started(number, member, it.starts));
        }
    }

    /// More processes start.
    pub fn add_members(&mut self, group: usize, count: u32, at: &mut At<'_, '_>) {
        for _ in 0..count {
            let member = self.groups[group].add_member(self.brokers.len());
            self.groups[group].member(member).running = false;
            self.start_members(group, &[member], at);
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

    /// Every member's pace is multiplied from its next poll on.
    pub fn slow_members(&mut self, group: usize, ppm: u64) {
        self.groups[group].slow_ppm = ppm;
    }

    fn is_running(&mut self, group: usize, member: MemberId) -> bool {
        self.groups[group].members.get(member.0 as usize).is_some_and(|it| it.running)
    }

    /// What is in hand stops, what is under way never comes.
    fn halt(&mut self, group: usize, member: MemberId, at: &mut At<'_, '_>) {
        self.auto_commit(group, member, at.ctx.now);
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
