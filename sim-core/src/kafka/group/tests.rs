//! A bench that runs a group on a queue of its own and keeps the reading side honest.

mod classic;
mod consumer;
mod laws;
mod sessions;

use std::collections::BTreeMap;

use super::*;
use crate::config::kafka::{Assignor, OffsetReset, ServerAssignor};
use crate::config::{Outset, ServiceTime};
use crate::engine::ctx::Scoped;
use crate::engine::{EventQueue, NANOS_PER_SEC, SimTime};

const SETTLED: bool = true;
const COLD: bool = false;

fn secs(s: u64) -> SimDuration {
    SimDuration::from_secs(s)
}

fn at(s: u64) -> SimTime {
    SimTime(s * NANOS_PER_SEC)
}

fn id(member: u32) -> MemberId {
    MemberId(member)
}

fn part(partition: u32) -> TopicPartition {
    TopicPartition { topic: 0, partition }
}

fn classic(assignors: &[Assignor]) -> GroupProtocol {
    GroupProtocol::Classic { assignors: assignors.to_vec() }
}

const UNIFORM: GroupProtocol = GroupProtocol::Consumer { assignor: ServerAssignor::Uniform };
const RANGE: &[Assignor] = &[Assignor::Range];
const COOPERATIVE: &[Assignor] = &[Assignor::CooperativeSticky];
/// `partition.assignment.strategy` as shipped (K-GRP-8).
const SHIPPED: &[Assignor] = &[Assignor::Range, Assignor::CooperativeSticky];

/// The defaults of K-GRP-2 and K-GRP-4.
fn config(protocol: GroupProtocol, members: u32) -> GroupConfig {
    GroupConfig {
        name: "orders".to_owned(),
        cluster: 0,
        topics: vec![0],
        members,
        protocol,
        static_membership: false,
        session_timeout: secs(45),
        heartbeat_interval: secs(3),
        max_poll_interval: secs(300),
        max_poll_records: 500,
        auto_commit: Some(secs(5)),
        fetch_min_bytes: 1,
        fetch_max_wait: SimDuration::from_millis(500),
        fetch_max_bytes: 50 << 20,
        max_partition_fetch_bytes: 1 << 20,
        read_committed: false,
        auto_offset_reset: OffsetReset::Latest,
        metadata_max_age: secs(300),
        zones: Vec::new(),
        service: ServiceTime::Fixed(SimDuration::from_millis(1)),
        sink_idempotent: false,
        sink: None,
        leaves_on_close: true,
        start_time: SimDuration::ZERO,
        state: None,
        outset: Outset::default(),
    }
}

/// What the broker has besides, and who is around.
#[derive(Clone, Debug)]
struct Scene {
    config: GroupConfig,
    partitions: Vec<u32>,
    version: KafkaVersion,
    initial_delay: SimDuration,
    rtt: SimDuration,
    seed: u64,
}

/// 3.9, an initial delay of 3 s, no time on the wire: instants are whole.
fn scene(config: GroupConfig, partitions: u32) -> Scene {
    Scene {
        config,
        partitions: vec![partitions],
        version: KafkaVersion::V3_9,
        initial_delay: secs(3),
        rtt: SimDuration::ZERO,
        seed: 1,
    }
}

/// K-GRP, K-848-1; what a group does not look at is anything.
fn broker(initial_delay: SimDuration) -> BrokerSettings {
    BrokerSettings { group_initial_rebalance_delay: initial_delay, ..BrokerSettings::of_3_9() }
}

enum BenchEvent {
    Group(Event),
    /// A member that was busy enters `poll()`.
    Poll(MemberId),
    /// A member that is busy until the instant has exceeded its poll interval.
    Overdue(MemberId, SimTime),
}

struct Bench {
    group: Group,
    queue: EventQueue<BenchEvent>,
    now: SimTime,
    log: Vec<(SimTime, Change)>,
    /// Until when members process and do not poll; others are always in `poll()`.
    busy: BTreeMap<MemberId, SimTime>,
    /// Who reads, as the changes say.
    readers: BTreeMap<TopicPartition, Vec<MemberId>>,
    events: usize,
}

impl Bench {
    fn new(scene: &Scene, settled: bool) -> Self {
        let group = Group::new(
            &scene.config,
            &broker(scene.initial_delay),
            scene.version,
            scene.partitions.clone(),
            scene.rtt,
            &Rngs::new(scene.seed),
        );
        let mut bench = Self {
            group,
            queue: EventQueue::new(),
            now: SimTime::ZERO,
            log: Vec::new(),
            busy: BTreeMap::new(),
            readers: BTreeMap::new(),
            events: 0,
        };
        bench.act(|group, ctx, changes| group.start(settled, ctx, changes));
        bench
    }

    /// Calls the group as the world would, and acts on what it answers.
    fn act<T>(
        &mut self,
        what: impl FnOnce(&mut Group, &mut Ctx<'_, Event>, &mut Vec<Change>) -> T,
    ) -> T {
        let mut changes = Vec::new();
        let mut scoped = Scoped::new(&mut self.queue, BenchEvent::Group);
        let mut ctx = Ctx::new(self.now, &mut scoped);
        let result = what(&mut self.group, &mut ctx, &mut changes);
        for change in changes {
            if std::env::var("TRACE").is_ok() {
                eprintln!("{} {change:?}", self.now);
            }
            self.on_change(change);
        }
        self.group.audit();
        self.compare_readers();
        result
    }

    fn on_change(&mut self, change: Change) {
        self.log.push((self.now, change));
        match change {
            Change::Assigned { member, partition } => {
                let readers = self.readers.entry(partition).or_default();
                assert!(!readers.contains(&member), "{member:?} reads {partition:?} already");
                readers.push(member);
            }
            Change::Revoked { member, partition } | Change::Lost { member, partition } => {
                let readers = self.readers.entry(partition).or_default();
                let before = readers.len();
                readers.retain(|&it| it != member);
                assert!(readers.len() < before, "{member:?} did not read {partition:?}");
            }
            Change::AwaitsPoll { member } => {
                let polls = self.busy.get(&member).copied().unwrap_or(self.now);
                if polls < SimTime::MAX {
                    self.queue.schedule_at(polls, BenchEvent::Poll(member));
                }
            }
            Change::State(_)
            | Change::Rebalanced { .. }
            | Change::Joined { .. }
            | Change::Expelled { .. } => {}
        }
    }

    /// What the group says its members read is what its changes said.
    fn compare_readers(&self) {
        for member in (0..self.group.members()).map(MemberId) {
            let told = self.readers.iter().filter(|(_, readers)| readers.contains(&member));
            let told: Vec<_> = told.map(|(&partition, _)| partition).collect();
            assert_eq!(self.group.owned_by(member), told, "{member:?}");
        }
        for (&partition, readers) in &self.readers {
            let owner = self.group.owner(partition);
            assert!(owner.is_none_or(|it| readers.contains(&it)), "{partition:?}");
        }
    }

    fn run_until(&mut self, end: SimTime) {
        while self.queue.next_at().is_some_and(|at| at <= end) {
            let popped = self.queue.pop().expect("there is one");
            self.now = popped.at;
            self.events += 1;
            match popped.event {
                BenchEvent::Group(event) => {
                    self.act(|group, ctx, changes| group.handle(event, ctx, changes));
                }
                BenchEvent::Overdue(member, until) => {
                    if self.busy.get(&member) == Some(&until) {
                        self.poll_overdue(member.0);
                    }
                }
                BenchEvent::Poll(member) => {
                    let until = self.busy.get(&member).copied().unwrap_or(self.now);
                    if until <= self.now {
                        self.act(|group, ctx, changes| group.polled(member, ctx, changes));
                    } else if until < SimTime::MAX {
                        self.queue.schedule_at(until, BenchEvent::Poll(member));
                    }
                }
            }
        }
        self.now = end;
    }

    fn run_to(&mut self, s: u64) {
        self.run_until(at(s));
    }

    fn kill(&mut self, member: u32) {
        self.act(|group, ctx, changes| group.kill(id(member), ctx, changes));
    }

    fn stop(&mut self, member: u32) {
        self.act(|group, ctx, changes| group.stop(id(member), ctx, changes));
    }

    fn start_member(&mut self, member: u32) {
        self.act(|group, ctx, changes| group.start_member(id(member), ctx, changes));
    }

    fn pause(&mut self, member: u32) {
        self.act(|group, ctx, _| group.pause(id(member), ctx));
    }

    fn resume(&mut self, member: u32) {
        self.act(|group, ctx, changes| group.resume(id(member), ctx, changes));
    }

    fn poll_overdue(&mut self, member: u32) {
        self.act(|group, ctx, changes| group.poll_overdue(id(member), ctx, changes));
    }

    /// From now until then the member processes; then it polls if the group waits for it.
    fn busy_until(&mut self, member: u32, until: SimTime) {
        self.busy.insert(id(member), until);
    }

    /// Instants, took and number of members of all rebalances.
    fn rebalances(&self) -> Vec<(f64, f64, u32)> {
        let rebalanced = |&(at, change): &(SimTime, Change)| match change {
            Change::Rebalanced { members, took, .. } => {
                Some((at.as_secs_f64(), took.as_secs_f64(), members))
            }
            Change::Assigned { .. }
            | Change::Revoked { .. }
            | Change::Lost { .. }
            | Change::AwaitsPoll { .. }
            | Change::State(_)
            | Change::Joined { .. }
            | Change::Expelled { .. } => None,
        };
        self.log.iter().filter_map(rebalanced).collect()
    }

    /// When, and why, each member was expelled.
    fn expelled(&self) -> Vec<(f64, u32, &'static str)> {
        let expelled = |&(at, change): &(SimTime, Change)| match change {
            Change::Expelled { member, why } => Some((at.as_secs_f64(), member.0, why)),
            Change::Assigned { .. }
            | Change::Revoked { .. }
            | Change::Lost { .. }
            | Change::AwaitsPoll { .. }
            | Change::State(_)
            | Change::Rebalanced { .. }
            | Change::Joined { .. } => None,
        };
        self.log.iter().filter_map(expelled).collect()
    }

    /// Partitions that some reader stopped to read since the instant, whoever went on.
    fn stopped_since(&self, since: SimTime) -> Vec<u32> {
        let stopped = self.log.iter().filter(|(at, _)| *at >= since);
        let stopped = stopped.filter_map(|(_, change)| match change {
            Change::Revoked { partition, .. } | Change::Lost { partition, .. } => {
                Some(partition.partition)
            }
            Change::Assigned { .. }
            | Change::AwaitsPoll { .. }
            | Change::State(_)
            | Change::Rebalanced { .. }
            | Change::Joined { .. }
            | Change::Expelled { .. } => None,
        });
        let mut stopped: Vec<u32> = stopped.collect();
        stopped.sort_unstable();
        stopped
    }

    /// How many partitions each member reads.
    fn counts(&self) -> Vec<usize> {
        (0..self.group.members()).map(|it| self.group.owned_by(id(it)).len()).collect()
    }

    /// Seconds for which each partition had no reader since the instant, until now.
    fn unread_since(&self, since: SimTime) -> BTreeMap<u32, f64> {
        let mut unread = BTreeMap::new();
        let mut free: BTreeMap<u32, SimTime> = BTreeMap::new();
        for &(at, change) in &self.log {
            match change {
                Change::Revoked { partition, .. } | Change::Lost { partition, .. } => {
                    free.insert(partition.partition, at);
                }
                Change::Assigned { partition, .. } => {
                    if let Some(from) = free.remove(&partition.partition).filter(|it| *it >= since)
                    {
                        *unread.entry(partition.partition).or_insert(0.0) +=
                            at.since(from).as_secs_f64();
                    }
                }
                Change::AwaitsPoll { .. }
                | Change::State(_)
                | Change::Rebalanced { .. }
                | Change::Joined { .. }
                | Change::Expelled { .. } => {}
            }
        }
        unread
    }
}
