//! Gauges, counts and audits of a cluster, and what it writes to the journal.
//!
//! | Mechanism                                                              | Fact    |
//! |------------------------------------------------------------------------|---------|
//! | UnderReplicatedPartitions: committed ISR, leaders only                   | K-ISR-6, K-MET-4 |
//! | a client's lag is counted from the watermark                            | K-TXN-4 |
//! | retention                                                              | K-RET-1 |
//! | the coordinator's partition of a group, a partition's fetcher           | K-GRP-1, K-LOG-1 |

use crate::config::kafka::{ClusterConfig, GroupConfig, TopicConfig};
use crate::config::{Happening, WorldConfig};
use crate::engine::{SimDuration, SimTime, Turn};
use crate::ledger::Seen;
use crate::metrics::latency::Latency;

use super::assignment::place;
use super::group::MemberId;
use super::metadata::{BrokerId, PartitionId};
use super::replication::LoopState;
use super::{At, Cluster, Event};

/// What a cluster counts, beyond the ledger: of the scenario's topics, without Kafka's own.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// New leaders.
    pub leader_elections: u64,
    /// New leaders that were not in sync.
    pub unclean_elections: u64,
    /// Committed removals from an ISR, whoever removed (D-27).
    pub isr_shrinks: u64,
    /// Committed additions to an ISR.
    pub isr_expands: u64,
    /// IsrShrinksPerSec and IsrExpandsPerSec, as counts: what leaders asked for and got. A removal
    /// by the controller is in neither (K-MET-1).
    pub leaders_shrinks: u64,
    /// See [`Self::leaders_shrinks`].
    pub leaders_expands: u64,
    /// Greatest UnderReplicatedPartitions that a monitor could have read, sampled.
    pub under_replicated_max: u64,
    /// Partition-time without a usable leader, as far as it is over.
    pub unavailable: SimDuration,
}

impl Counts {
    /// Adds another cluster's.
    pub fn add(&mut self, other: &Self) {
        self.leader_elections += other.leader_elections;
        self.unclean_elections += other.unclean_elections;
        self.isr_shrinks += other.isr_shrinks;
        self.isr_expands += other.isr_expands;
        self.under_replicated_max += other.under_replicated_max;
        self.unavailable = self.unavailable + other.unavailable;
    }
}

/// Levels of a cluster at one instant.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gauges {
    /// Partitions without a usable leader.
    pub unavailable: u64,
    /// UnderReplicatedPartitions, summed over the brokers that answer.
    pub under_replicated: u64,
    /// UnderMinIsrPartitionCount, likewise.
    pub under_min_isr: u64,
    /// In-sync replicas of all partitions, as committed.
    pub in_sync_replicas: u64,
    /// OfflinePartitionsCount, as the active controller knows it; 0 without one.
    pub offline: u64,
    /// ActiveControllerCount, summed over all nodes.
    pub active_controllers: u64,
    /// Bytes that producers have brought so far.
    pub bytes_in: u64,
}

/// Levels of a group at one instant.
#[derive(Clone, Copy, Debug, Default)]
pub struct GroupGauges {
    /// Records stored and never processed.
    pub unread: u64,
    /// Age of the oldest of them since its append.
    pub oldest: SimDuration,
    /// Partitions that an active member reads.
    pub assigned: u64,
    /// The client's own records-lag, summed: watermark minus position.
    pub client_lag: u64,
    /// 1 while the group is not Stable.
    pub rebalancing: bool,
    /// Records whose processing is over and that the ledger does not count as delivered yet.
    pub finished: u64,
}

/// The part of a group in the results.
pub struct GroupResult<'a> {
    /// Index in the ledger.
    pub index: usize,
    /// Offered to first delivery.
    pub latency: &'a Latency,
    /// Why its records were late.
    pub blame: &'a crate::blame::BlameBook,
    /// Completed generations after the first.
    pub rebalances: u64,
    /// Greatest number of unread records.
    pub lag_records_max: u64,
    /// Greatest time from append to the end of processing.
    pub lag_max: SimDuration,
    /// Longest that readable records had no active owner.
    pub paused_max: SimDuration,
    /// The same, summed over partitions.
    pub paused_total: SimDuration,
}

impl Cluster {
    /// The cluster's levels.
    pub fn gauges(&self) -> Gauges {
        let mut gauges = Gauges::default();
        let own = self.config.topics.len() - 1;
        for number in 0..self.partitions.len() {
            let of = &self.partitions[number];
            if of.topic == own {
                continue;
            }
            gauges.unavailable += u64::from(of.unusable_since.is_some());
            gauges.offline += u64::from(of.leader.is_none());
            gauges.in_sync_replicas += u64::from(of.isr.len());
            let reports = of.leader.is_some_and(|leader| self.brokers[leader.index()].runs());
            if reports {
                let id = PartitionId(u32::try_from(number).expect("fewer than 2^32"));
                let missing = (of.isr.len() as usize) < of.replicas.len();
                gauges.under_replicated += u64::from(missing);
                gauges.under_min_isr += u64::from(of.isr.len() < self.min_isr(id));
            }
        }
        gauges.active_controllers = u64::from(self.controller.active_controller().is_some());
        gauges.offline *= gauges.active_controllers;
        gauges.bytes_in = self.brokers.iter().map(|broker| broker.bytes_in).sum();
        gauges
    }

    /// Looks at what has no event of its own: the greatest number of partitions that monitoring
    /// could have seen under-replicated.
    pub fn look(&mut self) {
        let under_replicated = self.gauges().under_replicated;
        self.counts.under_replicated_max = self.counts.under_replicated_max.max(under_replicated);
    }

    /// Counts so far; partitions that are still unavailable count up to `now`.
    #[must_use]
    pub fn counts(&self, now: SimTime) -> Counts {
        let mut counts = self.counts.clone();
        let own = self.config.topics.len() - 1;
        for of in self.partitions.iter().filter(|of| of.topic != own) {
            if let Some(since) = of.unusable_since {
                counts.unavailable = counts.unavailable + now.since(since);
            }
        }
        counts
    }

    /// Bytes through each broker's network interface so far, both directions: (in, out).
    #[must_use]
    pub fn network_bytes(&self) -> Vec<(u64, u64)> {
        let both = |it: &super::broker::Broker| {
            (it.bytes_in + it.replication_bytes_in, it.bytes_out + it.replication_bytes_out)
        };
        self.brokers.iter().map(both).collect()
    }

    /// How many groups read from it.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.groups.len()
    }

    /// Index in the ledger of a group.
    #[must_use]
    pub fn ledger_index(&self, group: usize) -> usize {
        self.groups[group].index
    }

    /// Records of a group that nobody has finished by `now`.
    #[must_use]
    pub fn unread(&self, group: usize, now: SimTime) -> u64 {
        let finished: u64 = self.finished(group, now).iter().map(|it| it.records).sum();
        self.groups[group].unread - finished
    }

    /// A group's levels. What members have finished and nobody has settled counts as done.
    #[must_use]
    pub fn group_gauges(&self, group: usize, now: SimTime) -> GroupGauges {
        let consumers = &self.groups[group];
        let mut gauges =
            GroupGauges { rebalancing: !consumers.is_stable(), ..GroupGauges::default() };
        let finished = self.finished(group, now);
        for (number, share) in consumers.shares.iter().enumerate() {
            let Some(share) = share else { continue };
            let log = &self.partitions[number].log;
            let mut delivered = (share.delivered, share.delivered_index);
            let mut unread = share.unread;
            if let Some(done) = finished.get(number).filter(|done| done.until > delivered.0) {
                delivered = (done.until, done.index);
                unread -= done.records;
                gauges.finished += done.records;
            }
            gauges.unread += unread;
            gauges.assigned += u64::from(consumers.is_read(share));
            gauges.client_lag += log.high_watermark().saturating_sub(delivered.0);
            if unread > 0
                && let Some(entry) = log.entry(log.index_near(delivered.0, delivered.1))
            {
                let age = now.since(entry.appended_at) + log.before(delivered.0);
                gauges.oldest = gauges.oldest.max(age);
            }
        }
        gauges
    }

    /// A group's part of the results.
    #[must_use]
    pub fn group_result(&self, group: usize) -> GroupResult<'_> {
        let it = &self.groups[group];
        GroupResult {
            index: it.index,
            latency: &it.latency,
            blame: &it.blame,
            rebalances: it.counts.rebalances,
            lag_records_max: it.counts.lag_records_max,
            lag_max: it.counts.lag_max,
            paused_max: it.counts.paused_max,
            paused_total: it.counts.paused_total,
        }
    }

    /// Latency of what a producer of the ledger was told, and the longest that one of its
    /// partitions took nothing of it.
    #[must_use]
    pub fn producer_times(&self, producer: usize, end: SimTime) -> (Latency, SimDuration) {
        let mut latency = Latency::default();
        for flow in self.producers.iter().filter(|it| it.producer == producer) {
            latency.merge(&flow.latency);
        }
        (latency, self.outages[producer].longest(end, |number| self.waits(producer, number)))
    }

    /// Whether something of a producer waits for a partition of its topic.
    fn waits(&self, producer: usize, number: u32) -> bool {
        let mut flows = self.producers.iter().filter(|it| it.producer == producer);
        let queued = flows.any(|it| {
            let queue = it.queues.get(number as usize);
            let blocked = it.blocked.iter().any(|batch| batch.partition == number);
            blocked || queue.is_some_and(|queue| !queue.heads.is_empty())
        });
        let of_producer =
            |request: &&super::Request| self.producer(request.flow).producer == producer;
        let mut items = self.requests.iter().filter(of_producer).flat_map(|it| &it.items);
        let number_of = |item: &super::Item| self.partitions[item.partition.index()].number;
        queued || items.any(|item| !item.expired && number_of(item) == number)
    }

    /// Forgets what nobody needs any more, a quarter of the partitions each time.
    pub(super) fn on_tidy(&mut self, turn: Turn, at: &mut At<'_, '_>) {
        if !self.tidying.comes(turn, Event::Tidy, &mut at.ctx) {
            return;
        }
        let turns = at.ctx.now.0 / self.tidying.period().0;
        let quarter = usize::try_from(turns % 4).expect("below 4");
        for number in (quarter..self.partitions.len()).step_by(4) {
            let id = PartitionId(u32::try_from(number).expect("fewer than 2^32"));
            let topic = self.partitions[number].topic;
            let groups = self.groups_of[topic].iter();
            let mut needed =
                groups.map(|&group| self.groups[group].needs_from(id)).min().unwrap_or(u64::MAX);
            if self.keeps_tails {
                for place in 0..self.partitions[number].replicas.len() {
                    let replica = self.partitions[number].replicas[place];
                    needed = needed.min(self.end_on(id, replica));
                }
            }
            if self.groups.iter().any(|it| it.waits_for_all(topic)) {
                needed = needed.min(self.partitions[number].log.start());
            }
            let of = &mut self.partitions[number];
            of.log.drop_before(needed);
            if let Some(first) = of.log.entry(of.log.start_index()) {
                let first = first.appended_at;
                of.held.forget_before(first);
            }
        }
    }

    /// A broker looks for old segments from now on, first after so long.
    pub(super) fn begin_retention(
        &mut self,
        broker: BrokerId,
        first: SimDuration,
        at: &mut At<'_, '_>,
    ) {
        let first = at.ctx.now + first;
        let event = |turn| Event::Retention(broker, turn);
        self.brokers[broker.index()].retention_checks.begin(first, event, &mut at.ctx);
    }

    /// A broker deletes old segments of what it leads (K-RET-1).
    pub(super) fn on_retention(&mut self, broker: BrokerId, turn: Turn, at: &mut At<'_, '_>) {
        let host = &self.brokers[broker.index()];
        let event = |turn| Event::Retention(broker, turn);
        if !host.retention_checks.comes(turn, event, &mut at.ctx) || !host.runs() {
            return;
        }
        for number in 0..self.partitions.len() {
            let of = &mut self.partitions[number];
            if of.leader != Some(broker) {
                continue;
            }
            let topic = &self.config.topics[of.topic];
            let before = of.log.start();
            if of.log.retain(topic, at.ctx.now) {
                at.ledger.saw(|| Seen::Trimmed {
                    topic: (self.place, of.topic),
                    partition: of.number,
                    newest: of.log.newest_between(before, of.log.start()),
                    kept_bytes: of.log.kept_bytes(),
                });
            }
        }
    }

    /// Whether any topic forgets.
    pub(super) fn expires(&self) -> bool {
        let forgets =
            |topic: &TopicConfig| topic.retention.is_some() || topic.retention_bytes.is_some();
        self.config.topics.iter().any(forgets)
    }

    /// Whether a partition is of the scenario's topics, not of Kafka's own.
    pub(super) fn is_users(&self, partition: PartitionId) -> bool {
        self.partitions[partition.index()].topic + 1 < self.config.topics.len()
    }

    /// Writes what a person should see.
    pub(super) fn note(
        &self,
        at: &mut At<'_, '_>,
        kind: &'static str,
        subject: String,
        detail: String,
    ) {
        let of = format!("systems.{}", self.config.name);
        let subject = if subject.is_empty() { of } else { format!("{of}/{subject}") };
        at.journal.push((kind, subject, detail));
    }

    pub(super) fn note_broker(&self, at: &mut At<'_, '_>, broker: BrokerId, kind: &'static str) {
        self.note(at, kind, format!("broker-{}", broker.0), String::new());
    }

    pub(super) fn note_group(
        &self,
        at: &mut At<'_, '_>,
        group: usize,
        kind: &'static str,
        detail: String,
    ) {
        let subject = format!("consumers.{}", self.groups[group].config.name);
        at.journal.push((kind, subject, detail));
    }

    pub(super) fn note_member(
        &self,
        at: &mut At<'_, '_>,
        group: usize,
        member: MemberId,
        kind: &'static str,
        detail: String,
    ) {
        let name = &self.groups[group].config.name;
        at.journal.push((kind, format!("consumers.{name}/member-{}", member.0), detail));
    }

    pub(super) fn partition_name(&self, partition: PartitionId) -> String {
        let of = &self.partitions[partition.index()];
        format!("{}-{}", self.config.topics[of.topic].name, of.number)
    }

    /// Records that a producer's clients hold and that are not stored.
    #[must_use]
    pub fn held(&self, producer: usize) -> u64 {
        let flows = self.producers.iter().filter(|it| it.producer == producer);
        let queued: u64 = flows.map(super::Producer::held).sum();
        let of_producer =
            |request: &&super::Request| self.producer(request.flow).producer == producer;
        let items = self.requests.iter().filter(of_producer).flat_map(|request| &request.items);
        let in_flight = items.filter(|item| !item.head.stored && !item.expired);
        queued + in_flight.map(|item| u64::from(item.head.records)).sum::<u64>()
    }

    /// Records of a group's topics that it has not processed, counted one by one in the logs.
    #[must_use]
    pub fn count_unread(&self, group: usize) -> u64 {
        let mut unread = 0;
        for (number, share) in self.groups[group].shares.iter().enumerate() {
            let Some(share) = share else { continue };
            unread += self.partitions[number].log.fresh_from(share.delivered);
        }
        unread
    }

    /// Checks what must always hold (decision D-22).
    ///
    /// # Panics
    /// If an invariant is broken.
    pub fn audit(&self) {
        self.controller.audit(&self.metadata);
        for (number, of) in (0..).zip(&self.partitions) {
            let id = PartitionId(number);
            assert!(of.log.high_watermark() <= of.log.end(), "the watermark is within the log");
            let Some(leader) = of.leader else { continue };
            for &replica in &of.replicas {
                let end = self.end_on(id, replica);
                assert!(end <= of.log.end(), "{replica:?} has more of {id:?} than its leader");
                let counted = of.isr.has(replica) && replica != leader;
                let hw = of.log.high_watermark();
                assert!(!counted || end >= hw, "{replica:?} is in sync below the watermark");
            }
        }
        for fetch_loop in self.loops.iter().filter(|it| it.follower != it.leader) {
            let in_touch = self.in_touch(fetch_loop.follower, fetch_loop.leader);
            let down = fetch_loop.state == LoopState::Down;
            assert_eq!(in_touch, !down, "{:?} {:?}", fetch_loop.follower, fetch_loop.leader);
            let parked = fetch_loop.state == LoopState::Parked;
            assert!(!parked || fetch_loop.laggards.is_empty(), "a parked loop has laggards");
        }
        self.audit_clients();
        for (number, group) in self.groups.iter().enumerate() {
            group.audit();
            self.audit_fetches(number);
        }
    }

    /// The buffers of producers hold what is queued and in flight, and requests wait for what their
    /// items wait for.
    fn audit_clients(&self) {
        let queued = |it: &super::Producer| -> u64 {
            let heads = it.queues.iter().flat_map(|queue| &queue.heads);
            heads.map(|head| u64::from(head.bytes)).sum()
        };
        let mut bytes: Vec<u64> = self.producers.iter().map(queued).collect();
        for request in self.requests.iter() {
            let place = self.place_of[usize::from(request.flow.0)];
            let held = request.items.iter().filter(|item| !item.expired);
            bytes[place] += held.map(|item| u64::from(item.head.bytes)).sum::<u64>();
            let waiting = request.items.iter().filter(|item| item.waits).count();
            assert_eq!(request.waiting as usize, waiting, "items that wait for the watermark");
        }
        for (producer, bytes) in self.producers.iter().zip(bytes) {
            assert_eq!(producer.buffered, bytes, "the buffer of flow {:?}", producer.flow);
        }
    }

    /// Brings every clock up to the end of the run.
    pub fn finish(&mut self, at: &mut At<'_, '_>) {
        for group in 0..self.groups.len() {
            self.poll_all(group, at);
            let oldest = self.group_gauges(group, at.ctx.now).oldest;
            self.groups[group].note_lag(oldest);
            for number in 0..self.groups[group].shares.len() {
                self.groups[group].close_pause(number, at.ctx.now);
            }
        }
    }
}

/// The internal topic that holds groups' offsets. Only the partitions that groups use are there,
/// one for each group, where Kafka would place the one that the group's name hashes to.
pub(super) fn offsets_topic(config: &ClusterConfig, groups: &[GroupConfig]) -> TopicConfig {
    let settings = &config.settings;
    let brokers = u32::try_from(config.brokers.len()).expect("at most 128 brokers");
    let mut topic = TopicConfig {
        name: "__consumer_offsets".to_owned(),
        partitions: u32::try_from(groups.len()).expect("few groups"),
        replication_factor: settings.offsets_topic_replication_factor.clamp(1, brokers),
        min_insync_replicas: settings.offsets_topic_min_insync_replicas,
        unclean_leader_election: false,
        retention: None,
        retention_bytes: None,
        segment_bytes: 100 << 20,
        segment_time: SimDuration::from_secs(7 * 86_400),
        assignment: Vec::new(),
        history: None,
    };
    let mut with_topic = config.clone();
    with_topic.topics.push(topic.clone());
    for group in groups {
        let number = java_hash(&group.name).unsigned_abs() % settings.offsets_topic_partitions;
        let replicas = place(&with_topic, config.topics.len(), number);
        topic.assignment.push(replicas.iter().map(|broker| broker.index()).collect());
    }
    topic
}

/// Whether records that are above some replica may be lost: by an unclean election.
pub(super) fn may_lose_tails(world: &WorldConfig, index: usize) -> bool {
    let by_config = world.clusters[index].topics.iter().any(|it| it.unclean_leader_election);
    let by_hand = world.timeline.iter().any(
        |entry| matches!(&entry.what, Happening::ElectUnclean { cluster, .. } if *cluster == index),
    );
    by_config || by_hand
}

/// `String.hashCode` of Java, for ASCII.
pub(super) fn java_hash(text: &str) -> i32 {
    text.bytes().fold(0_i32, |hash, byte| hash.wrapping_mul(31).wrapping_add(i32::from(byte)))
}

/// K-LOG-1: abs(31 * hash(topic) + partition) mod fetchers.
pub(super) fn fetcher_of(topic: &str, number: u32, fetchers: u32) -> u32 {
    let number = i32::try_from(number).unwrap_or(i32::MAX);
    let hash = java_hash(topic).wrapping_mul(31).wrapping_add(number);
    hash.unsigned_abs() % fetchers.max(1)
}
