//! Faults take hold of their targets and let go of them again: who is meant, and what that does.

use crate::config::{Fleet, Processes, Who, Whom};
use crate::engine::{Rngs, SimTime};
use crate::kafka::group::MemberId;
use crate::kinesis::kcl::Pace;

use super::World;
use super::active::{Effect, Process};

impl World {
    /// The processes that are meant by an entry of the timeline, as things stand.
    pub(super) fn find_all(&mut self, whom: &Whom, entry: usize) -> Vec<Process> {
        let numbers = self.find(whom, entry);
        numbers.into_iter().map(|number| Process { of: whom.of, number }).collect()
    }

    /// The same, by number alone.
    pub(super) fn find(&mut self, whom: &Whom, entry: usize) -> Vec<u32> {
        let of = whom.of;
        let count = self.slots(of);
        let running = |world: &Self| -> Vec<u32> {
            (0..count).filter(|&number| world.runs(Process { of, number })).collect()
        };
        match &whom.who {
            Who::First(most) => running(self).into_iter().take(*most as usize).collect(),
            Who::Numbers(numbers) => numbers.iter().copied().filter(|it| *it < count).collect(),
            Who::Random(most) => {
                let mut all = running(self);
                let mut luck = Rngs::new(self.config.seed).stream(&format!("timeline/{entry}"));
                let mut chosen = Vec::new();
                while !all.is_empty() && chosen.len() < *most as usize {
                    let place = luck.below(all.len() as u64);
                    chosen.push(all.remove(usize::try_from(place).expect("within the list")));
                }
                chosen.sort_unstable();
                chosen
            }
            Who::Leader | Who::Controller | Who::Coordinator(_) | Who::LeaderOf { .. } => {
                self.in_role(of, &whom.who).into_iter().collect()
            }
        }
    }

    /// Who has a role now, if anybody.
    fn in_role(&self, of: Processes, role: &Who) -> Option<u32> {
        match (of, role) {
            (Processes::Workers(Fleet::App(app)), Who::Leader) => self.apps[app].leader(),
            (Processes::Workers(Fleet::Group(group)), Who::Leader) => {
                let (cluster, place) = self.groups[group];
                self.clusters[cluster].group_leader(place).map(|member| member.0)
            }
            (Processes::QuorumNodes(cluster), Who::Leader) => {
                self.clusters[cluster].quorum_leader()
            }
            (Processes::QuorumNodes(cluster), Who::Controller) => {
                self.clusters[cluster].controller_node()
            }
            (Processes::Brokers(cluster), Who::Controller) => {
                self.clusters[cluster].controller_broker()
            }
            (Processes::Brokers(cluster), Who::Coordinator(group)) => {
                self.clusters[cluster].coordinator_of(self.groups[*group].1)
            }
            (Processes::Brokers(cluster), Who::LeaderOf { topic, partition }) => {
                self.clusters[cluster].leader_of(*topic, *partition)
            }
            (_, _) => None,
        }
    }

    /// How many slots there are for processes of a kind.
    fn slots(&self, of: Processes) -> u32 {
        match of {
            Processes::Workers(Fleet::App(app)) => self.apps[app].slots(),
            Processes::Workers(Fleet::Group(group)) => {
                let (cluster, place) = self.groups[group];
                self.clusters[cluster].member_count(place)
            }
            Processes::Brokers(cluster) => self.clusters[cluster].broker_count(),
            Processes::QuorumNodes(cluster) => self.clusters[cluster].node_count(),
        }
    }

    /// Whether a process runs and does not stand still.
    fn runs(&self, Process { of, number }: Process) -> bool {
        match of {
            Processes::Workers(Fleet::App(app)) => self.apps[app].is_running(number),
            Processes::Workers(Fleet::Group(group)) => {
                let (cluster, place) = self.groups[group];
                self.clusters[cluster].member_runs(place, MemberId(number))
            }
            Processes::Brokers(cluster) => self.clusters[cluster].broker_runs(number),
            Processes::QuorumNodes(cluster) => self.clusters[cluster].node_runs(number),
        }
    }

    /// A process, as the journal names it.
    pub(super) fn subject_of(&self, Process { of, number }: Process) -> String {
        let config = &self.config;
        match of {
            Processes::Workers(Fleet::App(app)) => {
                format!("consumers.{}/worker-{number}", config.consumers[app].name)
            }
            Processes::Workers(Fleet::Group(group)) => {
                format!("consumers.{}/member-{number}", config.groups[group].name)
            }
            Processes::Brokers(cluster) => {
                format!("systems.{}/broker-{number}", config.clusters[cluster].name)
            }
            Processes::QuorumNodes(cluster) => {
                format!("systems.{}/node-{number}", config.clusters[cluster].name)
            }
        }
    }

    /// An entry of the timeline takes hold of a target.
    pub(super) fn hold(&mut self, entry: usize, effect: Effect, now: SimTime) {
        let held = self.active.is_held(effect);
        let bites = match effect {
            // What is down already, and by nobody's doing here, is not hit.
            Effect::Down(process, clean) => held || self.end_process(process, clean, now),
            Effect::Frozen(process) => held || self.freeze(process, now),
            Effect::Cut(cluster, zone) => {
                if !held {
                    self.with_cluster(cluster, now, |it, at| it.cut_zone(zone, at));
                }
                true
            }
            Effect::SlowConsumer(..)
            | Effect::SlowDisk(..)
            | Effect::SlowSink(..)
            | Effect::FailingSink(..)
            | Effect::Throttled(..)
            | Effect::Expiring(..)
            | Effect::Unanswered(..) => true,
        };
        if bites {
            self.injected[entry] += 1;
            self.active.hold(entry, effect);
            self.fold(effect, now);
        }
    }

    /// An entry lets go of a target.
    pub(super) fn release(&mut self, entry: usize, effect: Effect, now: SimTime) {
        if !self.active.release(entry, effect) {
            return;
        }
        if !self.active.is_held(effect) {
            match effect {
                Effect::Down(process, _) => self.start_process(process, now),
                Effect::Frozen(process) => self.thaw(process, now),
                Effect::Cut(cluster, zone) => {
                    self.with_cluster(cluster, now, |it, at| it.heal_zone(zone, at));
                }
                Effect::SlowConsumer(..)
                | Effect::SlowDisk(..)
                | Effect::SlowSink(..)
                | Effect::FailingSink(..)
                | Effect::Throttled(..)
                | Effect::Expiring(..)
                | Effect::Unanswered(..) => {}
            }
        }
        self.fold(effect, now);
    }

    /// An entry ends.
    pub(super) fn release_all(&mut self, entry: usize, now: SimTime) {
        // A restart loop ends with the last start that follows a crash.
        if !self.chosen[entry].is_empty() {
            return;
        }
        for effect in self.active.held_by(entry) {
            self.release(entry, effect, now);
        }
    }

    /// What all that is held amounts to on the target of an effect.
    fn fold(&mut self, effect: Effect, now: SimTime) {
        match effect {
            Effect::Throttled(stream, _) => {
                self.faults[stream].throttle_ppm = self.active.greatest(effect);
            }
            Effect::Expiring(stream, _) => {
                self.faults[stream].expire_ppm = self.active.greatest(effect);
            }
            Effect::Unanswered(stream, _) => {
                self.faults[stream].lose_answers_ppm = self.active.greatest(effect);
            }
            Effect::SlowSink(sink, _) | Effect::FailingSink(sink, _) => {
                let slow_ppm = self.active.product(Effect::SlowSink(sink, 0));
                let fails_ppm = self.active.greatest(Effect::FailingSink(sink, 0));
                self.sinks[sink].set_faults(slow_ppm, fails_ppm);
            }
            Effect::SlowDisk(cluster, broker, _) => {
                let factor_ppm = self.active.product(effect);
                self.with_cluster(cluster, now, |it, at| it.slow_disk(broker, factor_ppm, at));
            }
            Effect::SlowConsumer(fleet, number, _) => {
                let pace = Pace { of: number, factor_ppm: self.active.product(effect) };
                match fleet {
                    Fleet::App(app) => self.with_app(app, now, |app, at| app.set_pace(pace, at)),
                    Fleet::Group(group) => self.with_group(group, now, |it, place, _| {
                        it.set_pace(place, pace.of.map(MemberId), pace.factor_ppm);
                    }),
                }
            }
            Effect::Down(..) | Effect::Frozen(_) | Effect::Cut(..) => {}
        }
    }

    /// A process goes, by crash or cleanly; whether it was there.
    fn end_process(&mut self, process: Process, clean: bool, now: SimTime) -> bool {
        let number = process.number;
        match process.of {
            Processes::Workers(Fleet::App(app)) => {
                self.with_app(app, now, |app, at| app.end_worker(number, clean, at))
            }
            Processes::Workers(Fleet::Group(group)) => {
                let member = MemberId(number);
                self.with_group(group, now, |it, place, at| {
                    if clean {
                        it.stop_member(place, member, at)
                    } else {
                        it.kill_member(place, member, at)
                    }
                })
            }
            Processes::Brokers(cluster) => self.with_cluster(cluster, now, |it, at| {
                if clean { it.stop_broker(number, at) } else { it.kill_broker(number, at) }
            }),
            Processes::QuorumNodes(cluster) => {
                self.with_cluster(cluster, now, |it, at| it.kill_node(number, at))
            }
        }
    }

    fn start_process(&mut self, Process { of, number }: Process, now: SimTime) {
        match of {
            Processes::Workers(Fleet::App(app)) => {
                self.with_app(app, now, |app, at| app.start_worker(number, at));
            }
            Processes::Workers(Fleet::Group(group)) => {
                self.with_group(group, now, |it, place, at| {
                    it.start_member(place, MemberId(number), at);
                });
            }
            Processes::Brokers(cluster) => {
                self.with_cluster(cluster, now, |it, at| it.start_broker(number, at));
            }
            Processes::QuorumNodes(cluster) => {
                self.with_cluster(cluster, now, |it, at| it.start_node(number, at));
            }
        }
    }

    /// A process stands still; whether it ran.
    fn freeze(&mut self, Process { of, number }: Process, now: SimTime) -> bool {
        match of {
            Processes::Workers(Fleet::App(app)) => {
                self.with_app(app, now, |app, at| app.pause_worker(number, at))
            }
            Processes::Workers(Fleet::Group(group)) => {
                self.with_group(group, now, |it, place, at| {
                    it.pause_member(place, MemberId(number), at)
                })
            }
            Processes::Brokers(cluster) => {
                self.with_cluster(cluster, now, |it, at| it.freeze_broker(number, at))
            }
            Processes::QuorumNodes(cluster) => {
                self.with_cluster(cluster, now, |it, at| it.freeze_node(number, at))
            }
        }
    }

    fn thaw(&mut self, Process { of, number }: Process, now: SimTime) {
        match of {
            Processes::Workers(Fleet::App(app)) => {
                self.with_app(app, now, |app, at| app.resume_worker(number, at));
            }
            Processes::Workers(Fleet::Group(group)) => {
                self.with_group(group, now, |it, place, at| {
                    it.resume_member(place, MemberId(number), at);
                });
            }
            Processes::Brokers(cluster) => {
                self.with_cluster(cluster, now, |it, at| it.thaw_broker(number, at));
            }
            Processes::QuorumNodes(cluster) => {
                self.with_cluster(cluster, now, |it, at| it.thaw_node(number, at));
            }
        }
    }

    /// More workers start, in slots of their own.
    pub(super) fn add_workers(&mut self, fleet: Fleet, workers: u32, now: SimTime) {
        match fleet {
            Fleet::App(app) => self.with_app(app, now, |app, at| app.add_workers(workers, at)),
            Fleet::Group(group) => self.with_group(group, now, |it, place, at| {
                it.add_members(place, workers, at);
            }),
        }
    }
}
