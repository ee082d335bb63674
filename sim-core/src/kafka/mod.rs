//! A Kafka cluster with everything that talks to it: brokers, controllers, producers and consumer
//! groups. One subsystem, since all of it is one protocol; the world only hands in records and
//! faults.
//!
//! | Part                                  | What it knows                                      |
//! |---------------------------------------|----------------------------------------------------|
//! | `metadata`, `assignment`              | what a cluster agrees on, where partitions are     |
//! | `controller`                          | liveness, elections, ZooKeeper or KRaft            |
//! | `log`, `partition`, `broker`          | one partition's records; one machine               |
//! | `replication`, `isr`                  | fetch loops, watermarks, who is in sync            |
//! | `request`, `produce`                  | produce requests on the broker's side              |
//! | `producer`, `clients`                 | producers: accumulator, sender, broken connections |
//! | `group`                               | who owns which partition                           |
//! | `consumer`                            | what members fetch, process and commit             |
//! | `faults`                              | what breaks, what operators do                     |
//! | `history`                             | what is there when the run begins                  |
//! | `observe`                             | gauges, counts, audits                             |
//!
//! Everything acts on one truth: a partition's log and leader as the brokers that serve it know
//! them. Clients have their own, older view of who leads.

pub mod assignment;
mod broker;
mod clients;
mod consumer;
pub mod controller;
mod detour;
mod faults;
pub mod group;
mod history;
mod isr;
mod log;
pub mod metadata;
mod observe;
mod partition;
mod produce;
mod producer;
mod replication;
mod request;

use crate::config::WorldConfig;
use crate::config::kafka::{ClusterConfig, KafkaProducerConfig};
use crate::engine::{Ctx, Periodic, RngStream, Rngs, SimDuration, SimTime, Slab, Turn};
use crate::flow::{Batch, FlowId};
use crate::ledger::Ledger;
use crate::metrics::outages::Outages;
use crate::sink::Sink;

use broker::Broker;
use consumer::Consumers;
use controller::{Controller, Links, Scene};
use group::{Group, MemberId};
use metadata::{BrokerId, Metadata, PartitionId};
use partition::Partition;
use producer::Producer;
use replication::FetchLoop;
use request::{Item, Request, Waiter};

pub use observe::{Counts, GroupResult};

/// An event inside a cluster.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// Of the controller or its quorum.
    Controller(controller::Event),
    /// Of a group's coordination.
    Group(u16, group::Event),
    /// A produce request comes to its broker: (number, generation).
    Arrive(u32, u32),
    /// There is room for what a request brings.
    Append(u32, u32),
    /// A produce answer comes to its client.
    Answer(u32, u32),
    /// A client looks at a connection's timeouts.
    Check(u16, BrokerId),
    /// A client's sender wakes.
    Wake(u16),
    /// A client looks for expired batches.
    Expire(u16),
    /// Metadata comes to a client.
    Metadata(u16),
    /// A client's metadata is as old as it may get.
    MetadataAge(u16),
    /// A follower's next fetch comes to its leader: (loop, generation).
    Fetch(u32, u32),
    /// A leader looks for followers that are behind.
    IsrCheck(BrokerId, Turn),
    /// A broker looks for segments to delete.
    Retention(BrokerId, Turn),
    /// The members of a group poll, those that have nothing to do too.
    Round(u16, Turn),
    /// What nobody needs any more is forgotten.
    Tidy(Turn),
    /// A broker has recovered its logs: (broker, generation).
    Recovered(BrokerId, u32),
    /// Records come to a member: (group, member, broker, generation).
    Fetched(u16, MemberId, BrokerId, u32),
    /// fetch.max.wait.ms is over.
    FetchWait(u16, MemberId, BrokerId),
    /// A poll's records are processed: (group, member, plan).
    Processed(u16, MemberId, u32),
    /// max.poll.interval.ms is over.
    PollOverdue(u16, MemberId, u32),
    /// A partition's state is restored: (group, reader, generation).
    Restored(u16, u32, u32),
    /// A group begins.
    Begin(u16),
    /// A member process has started: (group, member, generation of the slot).
    Started(u16, MemberId, u32),
}

/// What a cluster sees of the world while it handles something.
pub struct At<'a, 'q> {
    /// Time and queue.
    pub ctx: Ctx<'q, Event>,
    /// The books.
    pub ledger: &'a mut Ledger,
    /// All sinks.
    pub sinks: &'a mut [Sink],
    /// The chance that a record of the flow, in the partition of that number, is of the same key as
    /// one of the next so many.
    pub overtaking: &'a dyn Fn(FlowId, u32, u64) -> f64,
    /// What a person should see of it: (kind, subject, detail).
    pub journal: &'a mut Vec<(&'static str, String, String)>,
}

/// A cluster and its clients.
#[derive(Clone)]
pub struct Cluster {
    /// Its configuration.
    pub config: ClusterConfig,
    /// Its place among all clusters.
    place: usize,
    metadata: Metadata,
    controller: Controller,
    changes: Vec<controller::Change>,
    links: Links,
    brokers: Vec<Broker>,
    partitions: Vec<Partition>,
    loops: Vec<FetchLoop>,
    waiters: Vec<std::collections::VecDeque<Waiter>>,
    producers: Vec<Producer>,
    /// By flow of the world: place in `producers`.
    place_of: Vec<usize>,
    /// By producer of the ledger: how long it could not write.
    outages: Vec<Outages>,
    requests: Slab<Request>,
    next_request: u32,
    groups: Vec<Consumers>,
    tidying: Periodic,
    /// By topic: the groups that read it, and their indices in the ledger.
    groups_of: Vec<Vec<usize>>,
    readers_of: Vec<Vec<usize>>,
    /// Each group's partition of the offsets topic.
    coordinators: Vec<PartitionId>,
    counts: Counts,
    /// Producers that know of more partitions: (index, partitions). The world takes them.
    pub rerouted: Vec<(usize, u32)>,
    /// Arrivals come in clumps (D-8).
    on_grid: bool,
    /// Generations of starting brokers.
    starts: Vec<u32>,
    /// Whether records above the watermark may be lost to an unclean leader.
    keeps_tails: bool,
    woken_loops: Vec<usize>,
    woken_slots: Vec<(usize, MemberId, BrokerId)>,
    paused: Vec<(usize, PartitionId)>,
    settled: Vec<(u32, u32)>,
    scratch_partitions: Vec<PartitionId>,
    item_pool: Vec<Vec<Item>>,
    part_pool: Vec<Vec<Batch>>,
}

impl Cluster {
    /// A healthy cluster before its first instant, with the groups that read from it; producers
    /// are added with [`Self::add_producer`].
    #[must_use]
    pub fn new(world: &WorldConfig, index: usize, rngs: &Rngs) -> Self {
        let mut config = world.clusters[index].clone();
        let topics = config.topics.len();
        let of_cluster = |group: &&crate::config::kafka::GroupConfig| group.cluster == index;
        let group_configs: Vec<_> = world.groups.iter().filter(of_cluster).cloned().collect();
        config.topics.push(observe::offsets_topic(&config, &group_configs));
        let metadata = Metadata::new(&config);
        let brokers: Vec<Broker> =
            config.brokers.iter().map(|&zone| Broker::new(zone, &config)).collect();
        let mut cluster = Self {
            place: index,
            controller: Controller::new(&config, rngs),
            changes: Vec::new(),
            links: Links::default(),
            loops: all_loops(&config),
            partitions: Vec::new(),
            waiters: Vec::new(),
            producers: Vec::new(),
            place_of: Vec::new(),
            outages: Vec::new(),
            requests: Slab::default(),
            next_request: 0,
            groups: Vec::new(),
            tidying: Periodic::new(SimDuration::from_secs(1)),
            groups_of: vec![Vec::new(); config.topics.len()],
            readers_of: vec![Vec::new(); config.topics.len()],
            coordinators: Vec::new(),
            counts: Counts::default(),
            rerouted: Vec::new(),
            on_grid: world.resolution > SimDuration::ZERO,
            starts: vec![0; brokers.len()],
            keeps_tails: observe::may_lose_tails(world, index),
            woken_loops: Vec::new(),
            woken_slots: Vec::new(),
            paused: Vec::new(),
            settled: Vec::new(),
            scratch_partitions: Vec::new(),
            item_pool: Vec::new(),
            part_pool: Vec::new(),
            brokers,
            metadata,
            config,
        };
        for (_, state) in cluster.metadata.iter() {
            let topic = &cluster.config.topics[usize::from(state.topic)];
            let name = &topic.name;
            let fetchers = cluster.config.settings.num_replica_fetchers;
            let fetcher = observe::fetcher_of(name, state.number, fetchers);
            let log = history::log_of(&cluster.config, topic, state.number);
            cluster.partitions.push(Partition::new(state, fetcher, log));
            cluster.waiters.push(std::collections::VecDeque::new());
        }
        cluster.warm_caches();
        for group in group_configs {
            let ledger_index = world.consumers.len()
                + world.groups.iter().position(|it| it.name == group.name).unwrap_or(0);
            cluster.add_group(&group, ledger_index, topics, rngs);
        }
        cluster
    }

    /// A group, in the order of the configuration.
    fn add_group(
        &mut self,
        config: &crate::config::kafka::GroupConfig,
        ledger_index: usize,
        offsets_topic: usize,
        rngs: &Rngs,
    ) {
        let place = self.groups.len();
        let counts: Vec<u32> = config
            .topics
            .iter()
            .map(|&topic| {
                u32::try_from(self.metadata.topics[topic].len()).expect("fewer than 2^32")
            })
            .collect();
        let rtt = self.config.hardware.rtt_across_zones;
        let (settings, version) = (&self.config.settings, self.config.version);
        let coordination = Group::new(config, settings, version, counts, rtt, rngs);
        let mut consumers =
            Consumers::new(config, ledger_index, coordination, self.brokers.len(), rngs);
        let begun = if config.outset.has_position() { config.topics.as_slice() } else { &[] };
        for &topic in begun {
            self.groups_of[topic].push(place);
            self.readers_of[topic].push(ledger_index);
            for &partition in &self.metadata.topics[topic] {
                consumers.take_position(partition, &self.partitions[partition.index()].log);
            }
        }
        self.groups.push(consumers);
        self.coordinators.push(self.metadata.topics[offsets_topic][place]);
    }

    /// The client of one flow of the world, for `processes` processes. Its luck goes by `name`.
    pub fn add_producer(
        &mut self,
        (flow, producer, topic): (FlowId, usize, usize),
        config: &KafkaProducerConfig,
        processes: u32,
        rngs: &Rngs,
        name: &str,
    ) {
        let place = usize::from(flow.0);
        if self.place_of.len() <= place {
            self.place_of.resize(place + 1, usize::MAX);
        }
        self.place_of[place] = self.producers.len();
        let known = self.outages.len().max(producer + 1);
        self.outages.resize(known, Outages::default());
        let partitions = &self.metadata.topics[topic];
        let mut client = Producer::new(
            flow,
            producer,
            topic,
            config,
            processes,
            self.on_grid,
            partitions,
            self.brokers.len(),
            rngs.stream(name),
        );
        let mut phases = rngs.stream(&format!("{name}/phases"));
        client.metadata_phase = phase(&mut phases, config.metadata_max_age);
        let leaders: Vec<_> =
            partitions.iter().map(|&id| (id, self.partitions[id.index()].leader)).collect();
        client.learn(leaders.into_iter(), SimTime::ZERO);
        self.producers.push(client);
    }

    /// Schedules what happens by itself.
    pub fn start(&mut self, rngs: &Rngs, at: &mut At<'_, '_>) {
        for number in 0..self.brokers.len() {
            let broker = BrokerId(u16::try_from(number).expect("at most 128 brokers"));
            // Each has phases of its own (D-28): what else there is moves none of them.
            let name = format!("kafka/{}/broker/{number}/phases", self.config.name);
            let mut phases = rngs.stream(&name);
            let host = &mut self.brokers[number];
            let first = SimTime::ZERO + phase(&mut phases, host.isr_checks.period());
            host.isr_checks.begin(first, |turn| Event::IsrCheck(broker, turn), &mut at.ctx);
            let first = phase(&mut phases, host.retention_checks.period());
            if self.expires() {
                self.begin_retention(broker, first, at);
            }
        }
        self.tidying.begin(SimTime::ZERO, Event::Tidy, &mut at.ctx);
        for place in 0..self.producers.len() {
            let number = u16::try_from(place).expect("few flows");
            at.ctx.after(self.producers[place].metadata_phase, Event::MetadataAge(number));
        }
        for group in 0..self.groups.len() {
            self.tell_positions(group, at);
            let consumers = &mut self.groups[group];
            at.ledger.begin(consumers.index, consumers.unread);
            consumers.counts.lag_records_max = consumers.unread;
            if let Some(begins) = self.groups[group].config.outset.begins {
                let number = u16::try_from(group).expect("few groups");
                at.ctx.at(begins, Event::Begin(number));
                self.begin_rounds(group, rngs, at);
                continue;
            }
            self.with_group(group, at, |it, ctx, changes| it.start(true, ctx, changes));
            self.begin_rounds(group, rngs, at);
            self.groups[group].counts.rebalances = 0;
            self.groups[group].counts.moved = 0;
        }
    }

    /// An event of its own.
    pub fn handle(&mut self, event: Event, at: &mut At<'_, '_>) {
        match event {
            Event::Controller(event) => {
                self.with_controller(at, |controller, scene| controller.handle(event, scene));
            }
            Event::Group(group, event) => {
                self.with_group(usize::from(group), at, |it, ctx, changes| {
                    it.handle(event, ctx, changes);
                });
            }
            Event::Arrive(id, generation) => self.on_arrive(id, generation, at),
            Event::Append(id, generation) => self.on_append(id, generation, at),
            Event::Answer(id, generation) => self.on_answer(id, generation, at),
            Event::Check(place, broker) => self.on_check(usize::from(place), broker, at),
            Event::Wake(place) => self.on_wake(usize::from(place), at),
            Event::Expire(place) => self.on_expire(usize::from(place), at),
            Event::Metadata(place) => self.on_metadata(usize::from(place), at),
            Event::MetadataAge(place) => self.on_metadata_age(usize::from(place), at),
            Event::Fetch(number, generation) => self.on_fetch(number, generation, at),
            Event::IsrCheck(broker, turn) => self.on_isr_check(broker, turn, at),
            Event::Retention(broker, turn) => self.on_retention(broker, turn, at),
            Event::Round(group, turn) => self.on_round(usize::from(group), turn, at),
            Event::Tidy(turn) => self.on_tidy(turn, at),
            Event::Recovered(broker, start) => self.on_recovered(broker, start, at),
            Event::Fetched(group, member, broker, generation) => {
                self.on_fetched(usize::from(group), member, broker, generation, at);
            }
            Event::FetchWait(group, member, broker) => {
                self.on_fetch_wait(usize::from(group), member, broker, at);
            }
            Event::Processed(group, member, plan) => {
                self.on_processed(usize::from(group), member, plan, at);
            }
            Event::PollOverdue(group, member, plan) => {
                self.on_poll_overdue(usize::from(group), member, plan, at);
            }
            Event::Restored(group, reader, generation) => {
                self.on_restored(usize::from(group), reader, generation, at);
            }
            Event::Begin(group) => self.begin_group(usize::from(group), at),
            Event::Started(group, member, start) => {
                self.on_started(usize::from(group), member, start, at);
            }
        }
    }

    /// Lets the controller act, and acts on what it decides.
    fn with_controller(
        &mut self,
        at: &mut At<'_, '_>,
        act: impl FnOnce(&mut Controller, &mut Scene<'_, '_>),
    ) {
        let now = at.ctx.now;
        let mut changes = std::mem::take(&mut self.changes);
        {
            let mut lift = Lift { ctx: &mut at.ctx };
            let mut ctx = Ctx::new(now, &mut lift);
            let mut scene = Scene {
                metadata: &mut self.metadata,
                links: &self.links,
                ctx: &mut ctx,
                changes: &mut changes,
            };
            act(&mut self.controller, &mut scene);
        }
        for change in changes.drain(..) {
            self.on_controller_change(change, at);
        }
        self.changes = changes;
    }

    fn on_controller_change(&mut self, change: controller::Change, at: &mut At<'_, '_>) {
        use controller::Change;
        match change {
            Change::Partition(partition) => self.on_partition_changed(partition, at),
            Change::IsrRefused { partition } => self.isr_refused(partition, at),
            Change::Fenced { broker } => self.note_broker(at, broker, "broker_fenced"),
            Change::Unfenced { broker } => self.on_unfenced(broker, at),
            Change::ShutdownGranted { broker } => self.on_shutdown_granted(broker, at),
            Change::StartRefused { broker } => self.note_broker(at, broker, "broker_start_refused"),
            Change::ControllerChanged { to } => {
                let detail = to.map_or("nobody".to_owned(), |to| format!("{to}"));
                self.note(at, "controller_changed", String::new(), detail);
            }
            Change::QuorumLost => self.note(at, "quorum_lost", String::new(), String::new()),
            Change::QuorumBack => self.note(at, "quorum_back", String::new(), String::new()),
            Change::Elected(partition) => {
                self.counts.leader_elections += u64::from(self.is_users(partition));
                let leader = self.metadata.of(partition).leader;
                let detail = leader.map_or(String::new(), |it| format!("broker {}", it.0));
                self.note(at, "leader_elected", self.partition_name(partition), detail);
            }
            Change::UncleanElection(partition) => {
                self.counts.unclean_elections += u64::from(self.is_users(partition));
                let name = self.partition_name(partition);
                self.note(at, "unclean_election", name, String::new());
            }
        }
    }

    /// Round trip between two brokers.
    fn rtt(&self, a: BrokerId, b: BrokerId) -> SimDuration {
        if self.brokers[a.index()].zone == self.brokers[b.index()].zone {
            self.config.hardware.rtt_in_zone
        } else {
            self.config.hardware.rtt_across_zones
        }
    }
}

/// When something periodic happens first.
fn phase(phases: &mut RngStream, period: SimDuration) -> SimDuration {
    SimDuration(phases.below(period.0.max(1)))
}

/// A fetch loop for each ordered pair of brokers and each fetcher.
fn all_loops(config: &ClusterConfig) -> Vec<FetchLoop> {
    let count = u16::try_from(config.brokers.len()).expect("at most 128 brokers");
    let mut loops = Vec::new();
    for follower in (0..count).map(BrokerId) {
        for leader in (0..count).map(BrokerId) {
            for _ in 0..config.settings.num_replica_fetchers {
                loops.push(FetchLoop::new(follower, leader));
            }
        }
    }
    loops
}

/// The controller's events as its cluster's.
struct Lift<'a, 'q> {
    ctx: &'a mut Ctx<'q, Event>,
}

impl crate::engine::Schedule<controller::Event> for Lift<'_, '_> {
    fn schedule_at(&mut self, at: SimTime, event: controller::Event) {
        self.ctx.at(at, Event::Controller(event));
    }
}

#[cfg(test)]
mod tests;
