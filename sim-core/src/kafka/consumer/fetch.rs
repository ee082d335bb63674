//! Fetching: one request per member and broker, answered when there is something to read.
//!
//! | Mechanism                                                              | Fact    |
//! |------------------------------------------------------------------------|---------|
//! | the answer waits for fetch.min.bytes, at most fetch.max.wait.ms         | K-FET-1 |
//! | caps per partition and per answer                                       | K-FET-1 |
//! | 4.1: nothing from a broker while records of it are buffered             | K-FET-1 |
//! | readable is what the high watermark has passed                          | K-FET-2 |
//! | the nearest in-sync replica, if the brokers choose by rack              | K-FET-4 |
//! | what a reader finds in memory, and what on disk                         | K-DSK-3 |
//!
//! Simplifications: what an answer holds is settled when it leaves the broker; records that were
//! not there then wait for the next one. The 500 ms rounds of an idle consumer are not played. A
//! follower serves what the leader's watermark allows, a round trip early. A consumer learns of a
//! new leader as soon as the brokers do and asks it a round trip later.

use crate::config::kafka::KafkaVersion;
use crate::engine::{SimDuration, SimTime};
use crate::ledger::Seen;

use super::super::metadata::{BrokerId, PartitionId};
use super::super::{At, Cluster, Event};
use super::{Member, MemberId};

/// A member's fetches from one broker.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slot {
    /// Readers with something to fetch.
    ready: Vec<u32>,
    /// Readers that the answer under way brings something for: (reader, generation, up to).
    coming: Vec<(u32, u32, u64)>,
    under_way: bool,
    generation: u32,
    /// Its next request is at the broker from this instant on.
    asks_from: SimTime,
    /// The broker answers with less than fetch.min.bytes after this instant.
    waits_until: Option<SimTime>,
    /// Readers with buffered records of this broker.
    buffered: u32,
}

impl Member {
    /// Compares what slots count with the brokers that readers were counted at.
    pub(super) fn audit_slots(&self, counted_at: impl Iterator<Item = BrokerId>) {
        let mut counts = vec![0; self.slots.len()];
        counted_at.for_each(|broker| counts[broker.index()] += 1);
        for (slot, count) in self.slots.iter().zip(counts) {
            assert_eq!(slot.buffered, count, "readers with buffered records of a broker");
        }
    }
}

impl Cluster {
    /// Whoever could read something has asked for it, and whoever could answer has.
    ///
    /// # Panics
    /// If a reader waits for nothing.
    pub(in super::super) fn audit_fetches(&self, group: usize) {
        let consumers = &self.groups[group];
        let reached = |zone: Option<usize>, broker: BrokerId| {
            self.brokers[broker.index()].runs() && self.client_linked(zone, broker)
        };
        for reader in consumers.readers.iter().flatten() {
            let it = &consumers.members[reader.member.0 as usize];
            let of = &self.partitions[reader.partition.index()];
            let source = self.source_of(group, reader.member, reader.partition);
            let there = of.log.high_watermark() > reader.next_fetch
                && source.is_some_and(|broker| reached(it.zone, broker));
            let free = !it.frozen && !reader.restoring && reader.buffered <= reader.cursor;
            let asks = reader.asked || reader.listed_at == source;
            assert!(!there || !free || asks, "nobody fetches for {reader:?}");
        }
        let numbered = (0..).map(MemberId).zip(&consumers.members);
        for (number, it) in numbered.filter(|(_, it)| it.running && !it.frozen) {
            for (broker, slot) in (0..).map(BrokerId).zip(&it.slots) {
                let holds = self.config.version >= KafkaVersion::V4_1 && slot.buffered > 0;
                let live = |&id: &u32| {
                    consumers.readers[id as usize].as_ref().is_some_and(|reader| {
                        reader.member == number && reader.listed_at == Some(broker)
                    })
                };
                let idle = !slot.under_way && slot.waits_until.is_none() && !holds;
                let forgotten = idle && reached(it.zone, broker) && slot.ready.iter().any(live);
                assert!(!forgotten, "{broker:?} is not asked for {:?}", slot.ready);
            }
        }
    }

    /// New records of a partition can be read.
    pub(in super::super) fn became_visible(&mut self, partition: PartitionId) {
        let topic = self.partitions[partition.index()].topic;
        for place in 0..self.groups_of[topic].len() {
            let group = self.groups_of[topic][place];
            let Some(share) = &self.groups[group].shares[partition.index()] else { continue };
            if share.readers.is_empty() {
                self.paused.push((group, partition));
                continue;
            }
            for index in 0..share.readers.len() {
                let Some(share) = &self.groups[group].shares[partition.index()] else { break };
                let id = share.readers[index];
                self.offer_reader(group, id);
            }
        }
    }

    /// Lists a reader with its broker if it could fetch something.
    pub(super) fn offer_reader(&mut self, group: usize, id: u32) {
        let Some(reader) = self.groups[group].readers[id as usize].as_ref() else { return };
        let of = &self.partitions[reader.partition.index()];
        let idle = !reader.asked && !reader.restoring;
        if !idle || reader.buffered > reader.cursor {
            return;
        }
        let (partition, member) = (reader.partition, reader.member);
        if of.log.high_watermark() <= reader.next_fetch && reader.next_fetch >= of.log.start() {
            return;
        }
        let Some(broker) = self.source_of(group, member, partition) else { return };
        let consumers = &mut self.groups[group];
        let Some(reader) = consumers.readers[id as usize].as_mut() else { return };
        if reader.listed_at.replace(broker) == Some(broker) {
            return;
        }
        let slot = &mut consumers.members[member.0 as usize].slots[broker.index()];
        slot.ready.push(id);
        if !slot.under_way {
            self.woken_slots.push((group, member, broker));
        }
    }

    /// Which broker a member reads a partition from (K-FET-4).
    fn source_of(
        &self,
        group: usize,
        member: MemberId,
        partition: PartitionId,
    ) -> Option<BrokerId> {
        let of = &self.partitions[partition.index()];
        let leader = of.leader?;
        let zone = self.groups[group].members[member.0 as usize].zone;
        if !self.config.settings.rack_aware_selector {
            return Some(leader);
        }
        let near = |broker: &BrokerId| Some(self.brokers[broker.index()].zone) == zone;
        if near(&leader) {
            return Some(leader);
        }
        let mut followers = of.isr.without(leader).iter();
        let follower = followers.find(|it| near(it) && self.in_touch(leader, *it));
        Some(follower.unwrap_or(leader))
    }

    /// Fetches that waited are answered, and pauses noted.
    pub(in super::super) fn serve_readers(&mut self, at: &mut At<'_, '_>) {
        while let Some((group, partition)) = self.paused.pop() {
            self.note_pause(group, partition, at.ctx.now);
        }
        while let Some((group, member, broker)) = self.woken_slots.pop() {
            self.answer_member(group, member, broker, at);
        }
    }

    /// A broker answers a member's fetch, if it has something and both are there.
    pub(in super::super) fn answer_member(
        &mut self,
        group: usize,
        member: MemberId,
        broker: BrokerId,
        at: &mut At<'_, '_>,
    ) {
        let now = at.ctx.now;
        let it = &self.groups[group].members[member.0 as usize];
        let slot = &it.slots[broker.index()];
        let zone = it.zone;
        if slot.under_way || slot.ready.is_empty() || !it.running || it.frozen {
            return;
        }
        if !self.brokers[broker.index()].runs() || !self.client_linked(zone, broker) {
            return;
        }
        if self.config.version >= KafkaVersion::V4_1 && slot.buffered > 0 {
            return;
        }
        if self.waits_for_more(group, member, broker, at) {
            return;
        }
        let (bytes, from_disk) = self.fill_answer(group, member, broker, at);
        let slot = &mut self.groups[group].members[member.0 as usize].slots[broker.index()];
        if slot.coming.is_empty() {
            return;
        }
        slot.under_way = true;
        slot.waits_until = None;
        slot.generation += 1;
        let (generation, asks_from) = (slot.generation, slot.asks_from);
        let host = &mut self.brokers[broker.index()];
        let mut read_at = now.max(asks_from);
        if from_disk > 0 {
            read_at = host.disk.read(read_at, from_disk);
            host.cache.fill(now, from_disk);
        }
        let half = SimDuration(self.rtt_to(zone, broker).0 / 2);
        let handled = self.config.hardware.request_time;
        let host = &mut self.brokers[broker.index()];
        host.bytes_out += bytes;
        let arrives = host.network_out.pass(read_at, bytes) + handled + half;
        let slot = &mut self.groups[group].members[member.0 as usize].slots[broker.index()];
        slot.asks_from = arrives + half;
        let number = u16::try_from(group).expect("few groups");
        at.ctx.at(arrives, Event::Fetched(number, member, broker, generation));
    }

    /// Whether the answer waits for fetch.min.bytes.
    fn waits_for_more(
        &mut self,
        group: usize,
        member: MemberId,
        broker: BrokerId,
        at: &mut At<'_, '_>,
    ) -> bool {
        let least = self.groups[group].config.fetch_min_bytes;
        if least <= 1 {
            return false;
        }
        let now = at.ctx.now;
        let slot = &self.groups[group].members[member.0 as usize].slots[broker.index()];
        if slot.waits_until.is_some_and(|until| until <= now) {
            return false;
        }
        let mut there = 0;
        for &id in &slot.ready {
            if let Some(reader) = self.groups[group].readers[id as usize].as_ref() {
                let log = &self.partitions[reader.partition.index()].log;
                let index = log.index_near(reader.next_fetch, reader.fetch_index);
                there += log.read_visible(reader.next_fetch, index, least).1;
            }
        }
        if there >= least {
            return false;
        }
        let max_wait = self.groups[group].config.fetch_max_wait;
        let slot = &mut self.groups[group].members[member.0 as usize].slots[broker.index()];
        if slot.waits_until.is_none() {
            // It has been at the broker since it was sent, or since it last was answered.
            let until = now.max(slot.asks_from) + max_wait;
            slot.waits_until = Some(until);
            let number = u16::try_from(group).expect("few groups");
            at.ctx.at(until, Event::FetchWait(number, member, broker));
        }
        true
    }

    /// Puts together what an answer holds; returns its bytes, and those that the page cache has lost.
    fn fill_answer(
        &mut self,
        group: usize,
        member: MemberId,
        broker: BrokerId,
        at: &mut At<'_, '_>,
    ) -> (u64, u64) {
        let config = &self.groups[group].config;
        let (most, most_of_one) = (config.fetch_max_bytes, config.max_partition_fetch_bytes);
        let (mut bytes, mut from_disk) = (0, 0);
        let slot = &mut self.groups[group].members[member.0 as usize].slots[broker.index()];
        let mut ready = std::mem::take(&mut slot.ready);
        let mut taken = 0;
        for &id in &ready {
            if bytes >= most {
                break;
            }
            taken += 1;
            let Some(reader) = self.groups[group].readers[id as usize].as_mut() else { continue };
            if reader.member != member || reader.listed_at != Some(broker) {
                continue;
            }
            reader.listed_at = None;
            let (partition, from, hint) = (reader.partition, reader.next_fetch, reader.fetch_index);
            let log = &self.partitions[partition.index()].log;
            if from < log.start() {
                let to = self.reset_offset(group, partition, from, at);
                if let Some(reader) = self.groups[group].readers[id as usize].as_mut() {
                    (reader.next_fetch, reader.cursor, reader.buffered) = (to, to, to);
                }
                self.offer_reader(group, id);
                continue;
            }
            if self.source_of(group, member, partition) != Some(broker) {
                self.offer_reader(group, id);
                continue;
            }
            let log = &self.partitions[partition.index()].log;
            let index = log.index_near(from, hint);
            let (until, read) = log.read_visible(from, index, most_of_one.min(most - bytes));
            if until == from {
                continue;
            }
            if !self.brokers[broker.index()].cache.holds(log.written_at(from)) {
                from_disk += read;
            }
            bytes += read;
            let consumers = &mut self.groups[group];
            at.ledger.saw(|| Seen::Fetched {
                consumer: consumers.index,
                partition: partition.0,
                until,
                readable: log.high_watermark(),
                oldest: log.entry(index).map_or(at.ctx.now, |entry| entry.appended_at),
            });
            let Some(reader) = consumers.readers[id as usize].as_mut() else { continue };
            reader.asked = true;
            reader.fetch_index = index;
            let generation = reader.generation;
            let slot = &mut consumers.members[member.0 as usize].slots[broker.index()];
            slot.coming.push((id, generation, until));
        }
        ready.drain(..taken);
        let slot = &mut self.groups[group].members[member.0 as usize].slots[broker.index()];
        ready.append(&mut slot.ready);
        slot.ready = ready;
        (bytes, from_disk)
    }

    /// An answer has come to a member.
    pub(in super::super) fn on_fetched(
        &mut self,
        group: usize,
        member: MemberId,
        broker: BrokerId,
        generation: u32,
        at: &mut At<'_, '_>,
    ) {
        let consumers = &mut self.groups[group];
        let it = &mut consumers.members[member.0 as usize];
        let slot = &mut it.slots[broker.index()];
        if slot.generation != generation || !slot.under_way {
            return;
        }
        slot.under_way = false;
        let mut coming = std::mem::take(&mut slot.coming);
        let mut came = 0;
        for (id, generation, until) in coming.drain(..) {
            let Some(reader) = consumers.live(id, generation) else { continue };
            reader.asked = false;
            reader.next_fetch = until;
            reader.buffered = until;
            debug_assert!(
                reader.counted_at.is_none(),
                "it had records left when it asked for more"
            );
            reader.counted_at = Some(broker);
            came += 1;
            consumers.members[member.0 as usize].buffer.push_back((id, generation));
        }
        let slot = &mut consumers.members[member.0 as usize].slots[broker.index()];
        slot.coming = coming;
        slot.buffered += came;
        self.enter_poll(group, member, at);
        self.answer_member(group, member, broker, at);
    }

    /// fetch.max.wait.ms is over.
    pub(in super::super) fn on_fetch_wait(
        &mut self,
        group: usize,
        member: MemberId,
        broker: BrokerId,
        at: &mut At<'_, '_>,
    ) {
        self.answer_member(group, member, broker, at);
    }

    /// A reader has used up what was buffered of it.
    pub(super) fn emptied(&mut self, group: usize, id: u32) {
        self.offer_reader(group, id);
        self.uncount(group, id);
    }

    /// Nothing of a reader is buffered any more: the broker that it came from may be asked again.
    pub(super) fn uncount(&mut self, group: usize, id: u32) {
        let consumers = &mut self.groups[group];
        let Some(reader) = consumers.readers[id as usize].as_mut() else { return };
        let Some(broker) = reader.counted_at.take() else { return };
        let member = reader.member;
        let slot = &mut consumers.members[member.0 as usize].slots[broker.index()];
        slot.buffered -= 1;
        if slot.buffered == 0 && !slot.under_way && !slot.ready.is_empty() {
            self.woken_slots.push((group, member, broker));
        }
    }

    /// A log ends at `offset` now: a reader that was beyond goes on from there.
    pub(super) fn cut_reader(&mut self, group: usize, id: u32, offset: u64) {
        let consumers = &mut self.groups[group];
        let generation = consumers.fresh_generation();
        let Some(reader) = consumers.readers[id as usize].as_mut() else { return };
        reader.cursor = reader.cursor.min(offset);
        reader.buffered = reader.buffered.min(offset);
        if reader.next_fetch > offset {
            reader.next_fetch = offset;
            reader.generation = generation;
            reader.asked = false;
            reader.listed_at = None;
        }
        if reader.buffered <= reader.cursor {
            self.uncount(group, id);
        }
    }

    /// What a member asked for, or was to get, never comes: it asks again when it can.
    pub(in super::super) fn forget_fetches(&mut self, group: usize, member: MemberId) {
        for broker in 0..self.brokers.len() {
            self.forget_fetch(group, member, broker);
        }
    }

    pub(in super::super) fn forget_fetch(&mut self, group: usize, member: MemberId, broker: usize) {
        let consumers = &mut self.groups[group];
        let slot = &mut consumers.members[member.0 as usize].slots[broker];
        slot.under_way = false;
        slot.generation += 1;
        slot.waits_until = None;
        let coming = std::mem::take(&mut slot.coming);
        let ready = std::mem::take(&mut slot.ready);
        let ids = coming.iter().map(|(id, ..)| *id).chain(ready);
        for id in ids {
            let Some(reader) = consumers.readers[id as usize].as_mut() else { continue };
            if reader.member == member {
                reader.asked = false;
                reader.listed_at = reader.listed_at.filter(|at| at.index() != broker);
            }
        }
    }

    /// The readers of a partition look anew where to fetch it.
    pub(in super::super) fn offer_readers_of(
        &mut self,
        partition: PartitionId,
        at: &mut At<'_, '_>,
    ) {
        self.became_visible(partition);
        self.serve_readers(at);
    }

    /// Brokers with something for a member are asked.
    pub(in super::super) fn wake_slots(&mut self, group: usize) {
        for (member, it) in (0..).map(MemberId).zip(&self.groups[group].members) {
            for (broker, slot) in (0..).map(BrokerId).zip(&it.slots) {
                if !slot.under_way && !slot.ready.is_empty() {
                    self.woken_slots.push((group, member, broker));
                }
            }
        }
    }

    /// Every reader of a broker's partitions, or of a partition, looks anew where to fetch.
    pub(in super::super) fn offer_all(&mut self, group: usize) {
        let readers = u32::try_from(self.groups[group].readers.len()).expect("fewer than 2^32");
        for id in 0..readers {
            self.offer_reader(group, id);
        }
    }
}
