//! The shared mark of a fetch loop means the same as a progress of each partition (decision D-13):
//! a naive oracle keeps one follower LEO for every partition, walks all partitions at each fetch,
//! and is compared with the loops after every event.
//!
//! From the simulator the oracle takes the leaders' logs, who is in the ISR, and when fetches begin and
//! arrive; what a fetch brings (K-LOG-2), what the leader knows (K-LOG-3), and the watermark
//! (K-HW-1) it works out by itself.

use super::*;
use crate::config::kafka::*;
use crate::config::*;
use crate::engine::{Ctx, EventQueue, Rngs};
use crate::flow::FlowId;
use crate::kafka::log::Log;
use crate::ledger::Ledger;
use crate::workload::Workload;

const FOLLOWERS: usize = 2;
/// Arrivals come in clumps on this grid.
const CLUMPS: SimDuration = SimDuration::from_millis(5);

/// What one follower has of one partition.
#[derive(Clone, Copy, Default)]
struct Progress {
    end: u64,
    told: u64,
    reading: u64,
}

/// One fetcher of the oracle.
struct Fetcher {
    index: usize,
    state: LoopState,
    /// Its partitions, next one first.
    rotation: Vec<usize>,
    /// By partition.
    has: Vec<Progress>,
}

struct Oracle {
    fetchers: Vec<Fetcher>,
    high_watermarks: Vec<u64>,
    /// Fetches that could not bring all there was.
    capped: u64,
}

/// Batches of a log from `offset` on that were appended by `stamp`: (end, bytes) each.
fn batches(log: &Log, offset: u64, stamp: u64) -> Vec<(u64, u64)> {
    let mut found: Vec<(u64, u64)> = Vec::new();
    let mut last = None;
    for index in log.start_index()..log.end_index() {
        let entry = log.entry(index).expect("within the log");
        if entry.base < offset || entry.stamp > stamp {
            continue;
        }
        let bytes = u64::from(entry.bytes);
        match found.last_mut() {
            Some(batch) if last == Some((entry.flow, entry.serial)) => {
                *batch = (entry.end(), batch.1 + bytes);
            }
            Some(_) | None => found.push((entry.end(), bytes)),
        }
        last = Some((entry.flow, entry.serial));
    }
    found
}

impl Oracle {
    fn new(cluster: &Cluster) -> Self {
        let count = cluster.partitions.len();
        let fetcher = |(index, it): (usize, &FetchLoop)| {
            let mine = |&number: &usize| {
                let of = &cluster.partitions[number];
                of.leader == Some(it.leader)
                    && it.follower != it.leader
                    && of.replicas.contains(&it.follower)
            };
            Fetcher {
                index,
                state: it.state,
                rotation: (0..count).filter(mine).collect(),
                has: vec![Progress::default(); count],
            }
        };
        let fetchers = cluster.loops.iter().enumerate().map(fetcher);
        Self {
            fetchers: fetchers.filter(|it| !it.rotation.is_empty()).collect(),
            high_watermarks: vec![0; count],
            capped: 0,
        }
    }

    /// Follows the cluster over one event.
    fn follow(&mut self, cluster: &Cluster) {
        for fetcher in &mut self.fetchers {
            let now = cluster.loops[fetcher.index].state;
            let before = std::mem::replace(&mut fetcher.state, now);
            if before == now {
                continue;
            }
            // A fetch that was under way has come back, and the next one says what it brought.
            if matches!(before, LoopState::UnderWay { .. }) {
                for number in &fetcher.rotation {
                    let it = &mut fetcher.has[*number];
                    it.end = it.reading;
                    it.told = it.end;
                }
            }
            if matches!(now, LoopState::UnderWay { .. }) {
                self.capped += u64::from(fetcher.begin(cluster));
            }
        }
        for (number, of) in cluster.partitions.iter().enumerate() {
            let leader = of.leader.expect("nothing breaks here");
            let mut least = of.log.end();
            for fetcher in &self.fetchers {
                let it = &cluster.loops[fetcher.index];
                if it.leader == leader && fetcher.rotation.contains(&number) {
                    assert!(of.isr.has(it.follower), "nobody is behind for long");
                    least = least.min(fetcher.has[number].told);
                }
            }
            self.high_watermarks[number] = self.high_watermarks[number].max(least);
        }
    }

    /// All that a follower has is as much as it should be.
    fn compare_sums(&self, cluster: &Cluster) {
        for fetcher in &self.fetchers {
            let follower = cluster.loops[fetcher.index].follower;
            let (mut has, mut should) = (0, 0);
            for &number in &fetcher.rotation {
                let id = PartitionId(u32::try_from(number).expect("few"));
                has += cluster.end_on(id, follower);
                should += fetcher.has[number].end;
            }
            assert_eq!(has, should, "{follower:?}");
        }
    }

    /// Watermarks and follower LEOs agree.
    fn compare(&self, cluster: &Cluster) {
        for (number, of) in cluster.partitions.iter().enumerate() {
            let expected = self.high_watermarks[number];
            assert_eq!(of.log.high_watermark(), expected, "watermark of {number}");
        }
        for fetcher in &self.fetchers {
            let follower = cluster.loops[fetcher.index].follower;
            for &number in &fetcher.rotation {
                let id = PartitionId(u32::try_from(number).expect("few"));
                let expected = fetcher.has[number].end;
                assert_eq!(cluster.end_on(id, follower), expected, "{follower:?} of {number}");
            }
        }
    }
}

impl Fetcher {
    /// Every partition in turn gets data up to the caps; returns whether anything was left.
    fn begin(&mut self, cluster: &Cluster) -> bool {
        let settings = &cluster.config.settings;
        let stamp = cluster.loops[self.index].reading;
        let mut room = settings.replica_fetch_response_max_bytes;
        let (mut served, mut waiting) = (Vec::new(), Vec::new());
        let mut left = false;
        for &number in &self.rotation {
            let it = &mut self.has[number];
            let most = settings.replica_fetch_max_bytes.min(room);
            let log = &cluster.partitions[number].log;
            let mut taken = 0;
            for (end, bytes) in batches(log, it.end, stamp) {
                // Of the first one to be served any batch fits.
                if room == 0 || taken > 0 && taken + bytes > most {
                    left = true;
                    break;
                }
                taken += bytes;
                it.reading = end;
            }
            room = room.saturating_sub(taken);
            if taken > 0 { served.push(number) } else { waiting.push(number) }
        }
        waiting.extend(served);
        self.rotation = waiting;
        left
    }
}

/// Three brokers in one zone, all partitions led by the first.
fn cluster(partitions: u32) -> ClusterConfig {
    let ms = SimDuration::from_millis;
    ClusterConfig {
        name: "orders".into(),
        version: KafkaVersion::V3_9,
        zones: vec!["a".into()],
        brokers: vec![0; 1 + FOLLOWERS],
        quorum: Quorum::KRaft(KRaftConfig {
            nodes: vec![0],
            combined: false,
            fetch_timeout: ms(2_000),
            election_timeout: ms(1_000),
            election_backoff_max: ms(1_000),
            heartbeat_interval: ms(2_000),
            session_timeout: ms(9_000),
        }),
        topics: vec![TopicConfig {
            name: "orders".into(),
            partitions,
            replication_factor: 3,
            min_insync_replicas: 1,
            unclean_leader_election: false,
            retention: None,
            retention_bytes: None,
            segment_bytes: 1 << 30,
            segment_time: SimDuration::from_secs(86_400),
            assignment: vec![vec![0, 1, 2]; partitions as usize],
            history: None,
        }],
        settings: BrokerSettings { auto_leader_rebalance: false, ..BrokerSettings::of_3_9() },
        hardware: Hardware {
            disk: DiskConfig {
                bandwidth: 1_000_000_000,
                burst_bandwidth: 1_000_000_000,
                burst_credits: 0,
            },
            network: 1_000_000_000,
            page_cache: 1 << 30,
            rtt_in_zone: ms(2),
            rtt_across_zones: ms(2),
            request_time: SimDuration::from_micros(100),
            fetch_time_per_partition: SimDuration::from_micros(20),
            broker_start_time: ms(1_000),
            max_map_count: 65_530,
        },
        costs: ControllerCosts {
            election: SimDuration::ZERO,
            state_load: SimDuration::ZERO,
            controlled_shutdown: SimDuration::ZERO,
            propagation: SimDuration::ZERO,
        },
    }
}

/// `rate` records per second of 1,000 bytes, over all keys or with one key.
fn producer(name: &str, rate: u64, acks: Acks, one_key: bool) -> ProducerConfig {
    let ms = SimDuration::from_millis;
    let keys = KeyDistribution::Uniform { prefix: "hot".into(), keys: 1 };
    ProducerConfig {
        name: name.into(),
        to: Destination::Topic { cluster: 0, topic: 0 },
        instances: 1,
        flows: 1,
        rate: RateProfile { knots: vec![(SimTime::ZERO, rate * 1_000_000)] },
        arrivals: Arrivals::Even,
        record_size: SizeDistribution::Fixed(1_000),
        keys: if one_key { keys } else { KeyDistribution::Random },
        hot_keys: Vec::new(),
        salt: 1,
        client: ClientConfig::Kafka(KafkaProducerConfig {
            acks,
            idempotence: false,
            linger: SimDuration::ZERO,
            batch_size: 16_384,
            buffer_memory: 32 << 20,
            max_block: ms(60_000),
            max_request_size: 1 << 20,
            max_in_flight: 5,
            retries: u32::MAX,
            retry_backoff: ms(100),
            retry_backoff_max: ms(1_000),
            request_timeout: ms(30_000),
            delivery_timeout: ms(120_000),
            metadata_max_age: ms(300_000),
            learns_leader_from_errors: true,
            zone: None,
        }),
    }
}

/// A cluster and its workloads on a queue of their own.
struct Bench {
    cluster: Cluster,
    queue: EventQueue<Event>,
    ledger: Ledger,
    /// With the instant of their next arrivals.
    workloads: Vec<(SimTime, Workload)>,
}

impl Bench {
    fn new(config: &WorldConfig) -> Self {
        let rngs = Rngs::new(config.seed);
        let mut bench = Self {
            cluster: Cluster::new(config, 0, &rngs),
            queue: EventQueue::new(),
            ledger: Ledger::new(config.producers.len(), 0),
            workloads: Vec::new(),
        };
        for (flow, producer) in (0..).zip(&config.producers) {
            let ClientConfig::Kafka(client) = &producer.client else { unreachable!() };
            let of_flow = (FlowId(flow), usize::from(flow), 0);
            let name = format!("client/{flow}");
            bench.cluster.add_producer(of_flow, client, 1, &rngs, &name);
            let (step, hot) = (config.resolution, Vec::new());
            let mut workload = Workload::new(producer, step, (flow, 1), &[], hot, &rngs);
            workload.reroute_partitions(config.clusters[0].topics[0].partitions);
            bench.workloads.push((SimTime::ZERO + step, workload));
        }
        bench.act(SimTime::ZERO, |cluster, at| cluster.start(&rngs, at));
        bench
    }

    fn act(&mut self, now: SimTime, act: impl FnOnce(&mut Cluster, &mut At<'_, '_>)) {
        let mut at = At {
            ctx: Ctx::new(now, &mut self.queue),
            ledger: &mut self.ledger,
            sinks: &mut [],
            overtaking: &|_, _, _| 0.0,
            journal: &mut Vec::new(),
        };
        act(&mut self.cluster, &mut at);
    }

    /// The next arrivals, or the next event; returns when.
    fn step(&mut self) -> SimTime {
        let arrivals = (0..self.workloads.len()).min_by_key(|&flow| self.workloads[flow].0);
        let flow = arrivals.expect("somebody produces");
        let arrive_at = self.workloads[flow].0;
        if self.queue.next_at().is_some_and(|at| at < arrive_at) {
            let next = self.queue.pop().expect("it is there");
            self.act(next.at, |cluster, at| cluster.handle(next.event, at));
            return next.at;
        }
        let (next_at, workload) = &mut self.workloads[flow];
        let mut offered = Vec::new();
        workload.offer(arrive_at, |batch| offered.push(batch));
        *next_at = workload.next_at(arrive_at);
        for batch in &offered {
            self.ledger.offer(flow, u64::from(batch.count), u64::from(batch.bytes));
        }
        let id = FlowId(u16::try_from(flow).expect("few"));
        self.act(arrive_at, |cluster, at| cluster.offer(id, &mut offered, at));
        arrive_at
    }
}

/// Runs a world with the oracle beside it; `look` sees both after each event. Returns how many
/// fetches were capped.
fn check(
    cluster: ClusterConfig,
    producers: Vec<ProducerConfig>,
    (resolution, until): (SimDuration, SimDuration),
    mut look: impl FnMut(&Cluster, &Oracle),
) -> u64 {
    let config = WorldConfig {
        seed: 7,
        duration: until,
        resolution,
        streams: Vec::new(),
        clusters: vec![cluster],
        producers,
        consumers: Vec::new(),
        groups: Vec::new(),
        sinks: Vec::new(),
        timeline: Vec::new(),
    };
    let mut bench = Bench::new(&config);
    let mut oracle = Oracle::new(&bench.cluster);
    while bench.step() <= SimTime::ZERO + until {
        oracle.follow(&bench.cluster);
        look(&bench.cluster, &oracle);
    }
    let total: u64 = oracle.high_watermarks.iter().sum();
    assert!(total > 1_000, "only {total} records were replicated");
    oracle.capped
}

/// As long as a fetch takes everything there is, nobody leaves the mark.
#[test]
fn the_mark_is_the_leo_of_each_partition() {
    for (partitions, rate, acks) in
        [(12, 2_000, Acks::All), (5, 10_000, Acks::Leader), (40, 500, Acks::None)]
    {
        let producers = vec![producer("web", rate, acks, false)];
        let look = |it: &Cluster, oracle: &Oracle| {
            oracle.compare(it);
            assert!(it.partitions.iter().all(|of| of.off.is_empty()));
        };
        assert_eq!(
            check(cluster(partitions), producers, (CLUMPS, SimDuration::from_secs(3)), look),
            0
        );
    }
}

/// One partition gets 2 MB for each fetch (a round trip of 100 ms at 20 MB/s), half of which may be
/// taken: it has a progress of its own while all others stay on the mark.
#[test]
fn a_hot_partition_has_its_own_progress() {
    let mut cluster = cluster(6);
    cluster.hardware.rtt_in_zone = SimDuration::from_millis(100);
    let producers = vec![
        producer("hot", 20_000, Acks::Leader, true),
        producer("web", 500, Acks::Leader, false),
    ];
    let (mut events, mut alone, mut last_with_others) = (0, 0, 0);
    let capped = check(cluster, producers, (CLUMPS, SimDuration::from_secs(3)), |it, oracle| {
        oracle.compare(it);
        events += 1;
        let off = it.partitions.iter().filter(|of| !of.off.is_empty()).count();
        alone += u64::from(off == 1);
        if off > 1 {
            last_with_others = events;
        }
    });
    assert!(capped > 10, "{capped}");
    // When the first fetch cannot take everything, all that have data wait for one turn.
    assert!(last_with_others < events / 2, "{last_with_others} of {events}");
    assert!(alone > events / 2, "{alone} of {events}");
}

/// The response cap binds now and then, with batches of one record: each fetch is full, whoever's
/// turn it is. (Who of several that wait goes first may differ from the oracle's order.)
#[test]
fn fetches_are_full_under_the_response_cap() {
    for (partitions, rate, response) in [(8, 4_000, 36_000), (20, 6_000, 55_000)] {
        let mut cluster = cluster(partitions);
        // A cycle of 8.3 ms and more takes 36 records (55): bursts of twice the rate are too many,
        // and the silence after them lets everybody come level.
        cluster.hardware.rtt_in_zone = SimDuration::from_millis(8);
        cluster.settings.replica_fetch_response_max_bytes = response;
        let mut web = producer("web", rate, Acks::Leader, false);
        let (at, high) = (|ms: u64| SimTime(ms * 1_000_000), rate * 2_000_000);
        let bursts = (0..10).flat_map(|number| {
            let (from, until) = (at(number * 200), at(number * 200 + 90));
            [(from, 0), (from, high), (until, high), (until, 0)]
        });
        web.rate = RateProfile { knots: bursts.collect() };
        if let ClientConfig::Kafka(client) = &mut web.client {
            client.batch_size = 1;
            client.max_in_flight = 1_000;
        }
        let compare = |it: &Cluster, oracle: &Oracle| oracle.compare_sums(it);
        let until = (SimDuration::ZERO, SimDuration::from_secs(2));
        let capped = check(cluster, vec![web], until, compare);
        assert!(capped > 10, "{capped}");
    }
}
