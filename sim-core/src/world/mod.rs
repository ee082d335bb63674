//! The world of one run: every subsystem as a plain struct, and the only place that knows two of
//! them at once. It is plain data and can be cloned: a run can be forked at any instant.

mod active;
mod observe;
mod processes;
mod put;
mod timeline;
mod upkeep;

use std::collections::BTreeSet;

use crate::checkers::Checkers;
use crate::config::{ClientConfig, Destination, KclConfig, ProducerConfig, Retrieval, WorldConfig};
use crate::engine::{
    Ctx, EventQueue, Periodic, RngStream, Rngs, Scheduled, SimDuration, SimTime, Slab, Turn,
};
use crate::flow::{Batch, FlowId};
use crate::kafka::{self, Cluster};
use crate::kinesis::client::{Client, ClientEvent};
use crate::kinesis::kcl::{self, App, AppCtx, ReadFaults};
use crate::kinesis::kpl::Kpl;
use crate::kinesis::put::{PutItem, PutRequest};
use crate::kinesis::sdk::Sdk;
use crate::kinesis::stream::Stream;
use crate::ledger::{Ledger, Seen};
use crate::metrics::latency::Latency;
use crate::metrics::outages::Outages;
use crate::result::EventRecord;
use crate::sink::Sink;
use crate::workload::Workload;

use active::{Active, Process};

pub(crate) use observe::{Observer, SAMPLES_MS, STEP};
pub(crate) use timeline::marks;

/// Everything that can happen.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// Records are offered by a producer.
    Arrivals(u16),
    /// Inside the client of a flow.
    Client(FlowId, ClientEvent),
    /// A PutRecords request is judged, stored and answered.
    Put(u32),
    /// The answer of a request that was stored never came.
    AnswerTimedOut(u32),
    /// Inside an application.
    App(u16, kcl::Event),
    /// An application begins.
    Begin(u16),
    /// Inside a cluster.
    Kafka(u16, kafka::Event),
    /// A stream's shards change.
    Reshard(u16),
    /// Capacity follows the load, and what nobody reads any more is forgotten.
    Upkeep(Turn),
}

/// The size of an event decides the speed of the queue.
const _: () = assert!(size_of::<Scheduled<Event>>() <= 32);

/// One producer.
#[derive(Clone)]
struct Producer {
    workload: Workload,
    to: Destination,
    latency: Latency,
    /// How long it could not write to a shard; for a topic, its cluster knows.
    outages: Outages,
}

/// Where the records of one flow go.
#[derive(Clone)]
struct Flow {
    producer: u16,
    home: Home,
}

/// Who keeps the client of a flow.
#[derive(Clone)]
enum Home {
    /// The world, for a stream.
    Stream(Box<StreamClient>),
    /// A cluster.
    Cluster(u16),
}

/// The client of a flow that writes to a stream.
#[derive(Clone)]
struct StreamClient {
    stream: u16,
    client: Client,
    rng: RngStream,
    /// Whether an injected fault strikes its requests.
    fault_luck: RngStream,
}

/// Faults in force on a stream, as shares in millionths.
#[derive(Clone, Copy, Default)]
struct StreamFaults {
    throttle_ppm: u32,
    expire_ppm: u32,
    lose_answers_ppm: u32,
}

/// What a stream is billed for, beyond its shards.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// PUT payload units of 25 KB while provisioned (N-P-1).
    pub(crate) put_units: u64,
    /// Bytes in while on-demand, each record rounded up to 1,024 (N-P-2).
    pub(crate) on_demand_bytes: u64,
    /// Kinesis records accepted.
    pub(crate) wire_records: u64,
    /// Bytes accepted, as on the wire.
    pub(crate) wire_bytes: u64,
}

/// All that a run consists of.
#[derive(Clone)]
pub struct World {
    /// Its configuration.
    pub config: WorldConfig,
    queue: EventQueue<Event>,
    pub(crate) ledger: Ledger,
    sinks: Vec<Sink>,
    producers: Vec<Producer>,
    flows: Vec<Flow>,
    pub(crate) streams: Vec<Stream>,
    faults: Vec<StreamFaults>,
    pub(crate) usage: Vec<Usage>,
    pub(crate) apps: Vec<App>,
    pub(crate) clusters: Vec<Cluster>,
    /// By group of the configuration: (cluster, its place there).
    pub(crate) groups: Vec<(usize, usize)>,
    /// Indices of the applications that read each stream and have begun.
    readers: Vec<Vec<usize>>,
    requests: Slab<PutRequest>,
    offered: Vec<Batch>,
    stored: Vec<Batch>,
    launched: Vec<PutRequest>,
    timers: Vec<(SimTime, ClientEvent)>,
    pool: Vec<Vec<Batch>>,
    item_pool: Vec<Vec<PutItem>>,
    notes: Vec<(&'static str, String, String)>,
    pub(crate) journal: Vec<EventRecord>,
    /// Place in the journal, plus one, of what brought about the event in hand; 0 for nothing.
    cause: u32,
    /// The same for the last change of each application's fleet or shards.
    last_change: Vec<u32>,
    pub(crate) warnings: Vec<String>,
    steps: Vec<timeline::Step>,
    next_step: usize,
    /// What the entries of the timeline hold.
    active: Active,
    /// By entry: the processes that it restarts.
    chosen: Vec<Vec<Process>>,
    injected: Vec<u64>,
    /// Places in the journal, plus one, where planned entries began.
    begun: Vec<u32>,
    upkeep: Periodic,
    pub(crate) lag_records_max: u64,
    pub(crate) events: u64,
    /// Who judges from outside what the models do, if anybody does.
    checkers: Option<Box<Checkers>>,
}

impl World {
    /// A world before its first instant.
    #[must_use]
    pub fn new(config: &WorldConfig) -> Self {
        let rngs = Rngs::new(config.seed);
        let streams: Vec<Stream> = config.streams.iter().map(Stream::new).collect();
        let mut world = Self {
            queue: EventQueue::new(),
            ledger: Ledger::new(
                config.producers.len(),
                config.consumers.len() + config.groups.len(),
            ),
            sinks: config.sinks.iter().map(|sink| Sink::new(sink, &rngs)).collect(),
            clusters: (0..config.clusters.len())
                .map(|index| Cluster::new(config, index, &rngs))
                .collect(),
            groups: places_of_groups(config),
            producers: Vec::new(),
            flows: Vec::new(),
            faults: vec![StreamFaults::default(); streams.len()],
            usage: vec![Usage::default(); streams.len()],
            apps: config
                .consumers
                .iter()
                .enumerate()
                .map(|(index, app)| App::new(app, index, &streams[app.stream], &rngs))
                .collect(),
            readers: (0..streams.len())
                .map(|stream| {
                    let of_stream = config.consumers.iter().enumerate();
                    let reads = |app: &KclConfig| app.stream == stream && app.outset.has_position();
                    of_stream.filter(|(_, app)| reads(app)).map(|(i, _)| i).collect()
                })
                .collect(),
            streams,
            requests: Slab::default(),
            offered: Vec::new(),
            stored: Vec::new(),
            launched: Vec::new(),
            timers: Vec::new(),
            pool: Vec::new(),
            item_pool: Vec::new(),
            notes: Vec::new(),
            journal: Vec::new(),
            cause: 0,
            last_change: vec![0; config.consumers.len()],
            warnings: Vec::new(),
            steps: timeline::steps(config),
            next_step: 0,
            active: Active::default(),
            chosen: vec![Vec::new(); config.timeline.len()],
            injected: vec![0; config.timeline.len()],
            begun: vec![0; config.timeline.len()],
            upkeep: Periodic::new(SimDuration::from_secs(1)),
            lag_records_max: 0,
            events: 0,
            checkers: None,
            config: config.clone(),
        };
        for index in 0..config.producers.len() {
            world.add_producer(index, &rngs);
        }
        world
    }

    fn add_producer(&mut self, index: usize, rngs: &Rngs) {
        let config = self.config.producers[index].clone();
        let flows = u16::try_from(config.flows).expect("at most 8 flows a producer");
        let processes = config.instances / config.flows;
        let first_flow = u16::try_from(self.flows.len()).expect("at most 8 flows a producer");
        let (factors, hot) = timeline::shape_workload(&self.config, index);
        let mut workload = Workload::new(
            &config,
            self.config.resolution,
            (first_flow, flows),
            &factors,
            hot,
            rngs,
        );
        match config.to {
            Destination::Stream(stream) => workload.reroute(self.streams[stream].routes()),
            Destination::Topic { cluster, topic } => {
                workload.reroute_partitions(self.config.clusters[cluster].topics[topic].partitions);
            }
        }
        let producer = u16::try_from(index).expect("few producers");
        for flow in 0..flows {
            let home = self.add_client(&config, first_flow + flow, flow, processes, index, rngs);
            self.flows.push(Flow { producer, home });
        }
        self.producers.push(Producer {
            workload,
            to: config.to,
            latency: Latency::default(),
            outages: Outages::default(),
        });
    }

    /// The client of a flow, numbered over all producers and within its own.
    fn add_client(
        &mut self,
        config: &ProducerConfig,
        flow: u16,
        of_producer: u16,
        processes: u32,
        producer: usize,
        rngs: &Rngs,
    ) -> Home {
        // By number within its producer: other producers move nobody's luck (D-9).
        let name = format!("producer/{}/client/{of_producer}", config.name);
        let client = match &config.client {
            ClientConfig::Kpl(kpl) => Client::Kpl(Box::new(Kpl::new(kpl, processes))),
            ClientConfig::Sdk(sdk) => Client::Sdk(Box::new(Sdk::new(sdk, processes))),
            ClientConfig::Kafka(kafka) => {
                let Destination::Topic { cluster, topic } = config.to else {
                    unreachable!("a Kafka producer writes to a topic");
                };
                let of_flow = (FlowId(flow), producer, topic);
                self.clusters[cluster].add_producer(of_flow, kafka, processes, rngs, &name);
                return Home::Cluster(u16::try_from(cluster).expect("few clusters"));
            }
        };
        let Destination::Stream(stream) = config.to else {
            unreachable!("a Kinesis client writes to a stream");
        };
        let stream = u16::try_from(stream).expect("few streams");
        let rng = rngs.stream(&name);
        let fault_luck = rngs.stream(&format!("{name}/faults"));
        Home::Stream(Box::new(StreamClient { stream, client, rng, fault_luck }))
    }

    /// From now on checkers judge all that happens.
    ///
    /// # Panics
    /// If something has happened already.
    pub(crate) fn check(&mut self) {
        assert_eq!(self.events, 0, "checkers see a run from its first event on");
        self.checkers = Some(Box::new(Checkers::new(&self.config)));
        self.ledger.listen();
    }

    /// Checkers see what has happened since the last time.
    fn tell_checkers(&mut self, now: SimTime) {
        if let Some(checkers) = &mut self.checkers {
            self.ledger.tell(|seen| checkers.see(seen, now));
        }
    }

    /// By producer, a number for all that it was offered, if checkers see the run.
    pub(crate) fn offered_digests(&self) -> Option<&[u64]> {
        self.checkers.as_ref().map(|checkers| checkers.digests())
    }

    /// Schedules what happens by itself.
    pub fn start(&mut self) {
        for index in 0..self.producers.len() {
            let at = match self.config.resolution {
                SimDuration::ZERO => SimTime::ZERO,
                step => SimTime::ZERO + step,
            };
            let producer = u16::try_from(index).expect("few producers");
            self.queue.schedule_at(at, Event::Arrivals(producer));
        }
        let first = SimTime::ZERO + self.upkeep.period();
        self.upkeep.begin(first, Event::Upkeep, &mut Ctx::new(SimTime::ZERO, &mut self.queue));
        let rngs = Rngs::new(self.config.seed);
        for index in 0..self.clusters.len() {
            self.with_cluster(index, SimTime::ZERO, |cluster, at| cluster.start(&rngs, at));
        }
        for index in 0..self.apps.len() {
            let polls_all = self.polls_may_be_refused(self.config.consumers[index].stream);
            self.with_app(index, SimTime::ZERO, |app, at| app.start(polls_all, &rngs, at));
            if let Some(begins) = self.config.consumers[index].outset.begins {
                let app = u16::try_from(index).expect("few applications");
                self.queue.schedule_at(begins, Event::Begin(app));
            }
        }
    }

    /// Whether the polling applications of a stream ask more often than a shard allows.
    fn polls_may_be_refused(&self, stream: usize) -> bool {
        let calls_per_ks: u64 = self
            .config
            .consumers
            .iter()
            .filter(|app| app.stream == stream)
            .map(|app| match app.retrieval {
                Retrieval::FanOut => 0,
                Retrieval::Polling { idle_time_between_reads } => {
                    let period = idle_time_between_reads + self.streams[stream].config.get_latency;
                    1_000_000_000_000 / period.0.max(1)
                }
            })
            .sum();
        calls_per_ks > crate::kinesis::shard::READ_CALLS_PER_SEC * 1_000
    }

    /// When the next queued event happens.
    pub fn next_event_at(&mut self) -> Option<SimTime> {
        self.queue.next_at()
    }

    /// Takes the next event and lets it happen.
    pub fn step(&mut self) {
        let Some(next) = self.queue.pop() else { return };
        self.events += 1;
        let now = next.at;
        self.set_cause(next.cause);
        match next.event {
            Event::Arrivals(producer) => self.on_arrivals(usize::from(producer), now),
            Event::Client(flow, event) => {
                self.with_client(flow, now, |client, ctx| client.handle(event, ctx));
            }
            Event::Put(request) => self.on_put(request, now),
            Event::AnswerTimedOut(request) => self.on_answer_timed_out(request, now),
            Event::App(app, event) => {
                self.with_app(usize::from(app), now, |app, at| app.handle(event, at));
            }
            Event::Begin(app) => self.on_begin(usize::from(app), now),
            Event::Kafka(cluster, event) => {
                self.with_cluster(usize::from(cluster), now, |it, at| it.handle(event, at));
            }
            Event::Reshard(stream) => self.on_reshard(usize::from(stream), now),
            Event::Upkeep(turn) => self.on_upkeep(turn, now),
        }
        self.tell_checkers(now);
        if cfg!(debug_assertions) && self.events.is_multiple_of(1_000) {
            self.audit();
        }
    }

    /// An application begins: from now on its stream's records are for it too.
    fn on_begin(&mut self, index: usize, now: SimTime) {
        let config = &self.config.consumers[index];
        let (stream, subject) = (config.stream, format!("consumers.{}", config.name));
        if let Err(place) = self.readers[stream].binary_search(&index) {
            self.readers[stream].insert(place, index);
        }
        self.note(now, "consumer_began", subject, String::new());
        self.with_app(index, now, kcl::App::begin);
    }

    fn on_arrivals(&mut self, index: usize, now: SimTime) {
        let producer = &mut self.producers[index];
        let mut offered = std::mem::take(&mut self.offered);
        producer.workload.offer(now, |batch| offered.push(batch));
        let next = producer.workload.next_at(now);
        for batch in &offered {
            self.ledger.offer(index, u64::from(batch.count), u64::from(batch.bytes));
            self.ledger.saw(|| Seen::Offered { producer: index, batch: *batch });
        }
        // The workload gives the flows one after the other.
        let mut of_flow = self.pool.pop().unwrap_or_default();
        let mut rest = offered.as_slice();
        while let Some(first) = rest.first() {
            let len = rest.iter().take_while(|batch| batch.flow == first.flow).count();
            of_flow.extend_from_slice(&rest[..len]);
            match self.flows[usize::from(first.flow.0)].home {
                Home::Stream(_) => {
                    self.with_client(first.flow, now, |it, ctx| it.offer(&mut of_flow, ctx));
                }
                Home::Cluster(cluster) => {
                    self.with_cluster(usize::from(cluster), now, |it, at| {
                        it.offer(first.flow, &mut of_flow, at);
                    });
                }
            }
            rest = &rest[len..];
        }
        self.pool.push(of_flow);
        offered.clear();
        self.offered = offered;
        if next.0 <= self.config.duration.0 {
            let producer = u16::try_from(index).expect("few producers");
            self.queue.schedule_at(next, Event::Arrivals(producer));
        }
    }

    /// Lets an application act, and keeps what a person should see of it.
    fn with_app<R>(
        &mut self,
        index: usize,
        now: SimTime,
        act: impl FnOnce(&mut App, &mut AppCtx<'_, '_>) -> R,
    ) -> R {
        let stream = self.config.consumers[index].stream;
        let faults = self.faults[stream];
        // An application's events carry its index, so that the lift is a plain function.
        let number = u16::try_from(index).expect("few applications");
        let mut lift = AppQueue { queue: &mut self.queue, app: number };
        let (producers, flows) = (&self.producers, &self.flows);
        let overtaking = |flow: FlowId, shard: u32, ahead: u64| {
            let workload = &producers[usize::from(flows[usize::from(flow.0)].producer)].workload;
            workload.keys().chance_of_overtaking(ahead, workload.mass_on(shard))
        };
        let mut at = AppCtx {
            ctx: Ctx::new(now, &mut lift),
            stream: &mut self.streams[stream],
            ledger: &mut self.ledger,
            sinks: &mut self.sinks,
            overtaking: &overtaking,
            faults: ReadFaults { throttle_ppm: faults.throttle_ppm, expire_ppm: faults.expire_ppm },
            journal: &mut self.notes,
        };
        let result = act(&mut self.apps[index], &mut at);
        if !self.notes.is_empty() {
            let ancestor = self.cause;
            for (kind, subject, detail) in std::mem::take(&mut self.notes) {
                let name = &self.config.consumers[index].name;
                let subject = format!("consumers.{name}/{subject}");
                // What no event brought about answers the last change of its fleet or shards.
                self.cause = match ancestor {
                    0 => self.last_change[index],
                    known => known,
                };
                self.note(now, kind, subject, detail);
            }
        }
        result
    }

    /// Lets a cluster act, and keeps what a person should see of it.
    fn with_cluster<R>(
        &mut self,
        index: usize,
        now: SimTime,
        act: impl FnOnce(&mut Cluster, &mut kafka::At<'_, '_>) -> R,
    ) -> R {
        let number = u16::try_from(index).expect("few clusters");
        let mut lift = ClusterQueue { queue: &mut self.queue, cluster: number };
        let (producers, flows) = (&self.producers, &self.flows);
        let overtaking = |flow: FlowId, partition: u32, ahead: u64| {
            let workload = &producers[usize::from(flows[usize::from(flow.0)].producer)].workload;
            workload.keys().chance_of_overtaking(ahead, workload.mass_on(partition))
        };
        let mut at = kafka::At {
            ctx: Ctx::new(now, &mut lift),
            ledger: &mut self.ledger,
            sinks: &mut self.sinks,
            overtaking: &overtaking,
            journal: &mut self.notes,
        };
        let result = act(&mut self.clusters[index], &mut at);
        if !self.notes.is_empty() {
            for (kind, subject, detail) in std::mem::take(&mut self.notes) {
                self.note(now, kind, subject, detail);
            }
        }
        for (producer, partitions) in std::mem::take(&mut self.clusters[index].rerouted) {
            self.producers[producer].workload.reroute_partitions(partitions);
        }
        result
    }

    fn on_reshard(&mut self, index: usize, now: SimTime) {
        let changes = self.streams[index].reshard_due(now);
        for change in changes {
            let names = |shards: &[u32]| {
                shards.iter().map(|&s| Stream::shard_name(s)).collect::<Vec<_>>().join(" and ")
            };
            let kind = if change.opened.len() > 1 { "shard_split" } else { "shards_merged" };
            let detail = format!("into {}", names(&change.opened));
            self.note(now, kind, self.stream_subject(index, &names(&change.closed)), detail);
            for &app in &self.readers[index] {
                self.last_change[app] = self.cause;
            }
            let routes = self.streams[index].routes();
            for producer in &mut self.producers {
                if producer.to == Destination::Stream(index) {
                    producer.workload.reroute(routes.clone());
                    producer.outages.hand_on(&change.closed, &change.opened);
                }
            }
            for flow in &mut self.flows {
                if let Home::Stream(it) = &mut flow.home
                    && usize::from(it.stream) == index
                {
                    it.client.resharded(&change.closed, &change.opened);
                }
            }
            for app in self.readers[index].clone() {
                self.with_app(app, now, |app, at| app.resharded(&change.opened, at));
            }
        }
        self.plan_reshard(index);
    }

    /// Plans the event for the next change of a stream's shards.
    fn plan_reshard(&mut self, index: usize) {
        if let Some((at, _)) = self.streams[index].pending.front() {
            let stream = u16::try_from(index).expect("few streams");
            self.queue.schedule_at(*at, Event::Reshard(stream));
        }
    }

    fn stream_subject(&self, index: usize, shard: &str) -> String {
        format!("systems.{}/{shard}", self.config.streams[index].name)
    }

    /// Lets a group's cluster act on it.
    fn with_group<R>(
        &mut self,
        group: usize,
        now: SimTime,
        act: impl FnOnce(&mut Cluster, usize, &mut kafka::At<'_, '_>) -> R,
    ) -> R {
        let (cluster, place) = self.groups[group];
        self.with_cluster(cluster, now, |cluster, at| act(cluster, place, at))
    }

    /// Writes what a person should see, with what brought it about. What is scheduled from now on
    /// was brought about by this.
    fn note(&mut self, at: SimTime, kind: &'static str, subject: String, detail: String) {
        let cause = self.cause.checked_sub(1);
        let record = EventRecord { at, kind, subject, detail, cause };
        self.journal.push(record);
        self.set_cause(u32::try_from(self.journal.len()).unwrap_or(u32::MAX));
    }

    /// What happens from now on was brought about by this place in the journal, plus one.
    fn set_cause(&mut self, cause: u32) {
        self.cause = cause;
        self.queue.set_cause(cause);
    }

    /// Compares the books with what the models hold (decision D-22).
    ///
    /// # Panics
    /// If an invariant is broken.
    pub fn audit(&self) {
        let mut held = vec![0_u64; self.producers.len()];
        for flow in &self.flows {
            let held = &mut held[usize::from(flow.producer)];
            if let Home::Stream(it) = &flow.home {
                it.client.for_each_held(&mut |batch| *held += not_stored(batch));
            }
        }
        for (producer, held) in held.iter_mut().enumerate() {
            *held += self.clusters.iter().map(|cluster| cluster.held(producer)).sum::<u64>();
        }
        for request in self.requests.iter() {
            let producer = self.flows[usize::from(request.flow.0)].producer;
            let batches = request.items.iter().flat_map(|item| &item.batches);
            held[usize::from(producer)] += batches.map(not_stored).sum::<u64>();
        }
        let of_apps =
            self.apps.iter().map(|app| app.count_unread(&self.streams[app.config.stream]));
        let of_groups =
            self.groups.iter().map(|&(cluster, place)| self.clusters[cluster].count_unread(place));
        let unread: Vec<u64> = of_apps.chain(of_groups).collect();
        self.ledger.audit(&held, &unread);
        self.apps.iter().for_each(App::audit);
        self.streams.iter().for_each(Stream::audit);
        self.clusters.iter().for_each(Cluster::audit);
    }

    /// Brings everything up to the end of the run.
    pub fn finish(&mut self, end: SimTime) {
        for index in 0..self.apps.len() {
            self.with_app(index, end, |app, at| app.finish(at));
        }
        for stream in &mut self.streams {
            stream.bill(end);
        }
        for index in 0..self.clusters.len() {
            self.with_cluster(index, end, |cluster, at| cluster.finish(at));
        }
        self.note_lag(end);
        self.tell_checkers(end);
        self.audit();
    }

    /// Latency of what a producer's client was told, and the longest that a shard or partition took
    /// nothing of it.
    pub(crate) fn producer_times(&self, index: usize) -> (Latency, SimDuration) {
        let it = &self.producers[index];
        let end = SimTime(self.config.duration.0);
        match it.to {
            Destination::Stream(stream) => {
                let held = self.shards_waited_for(index);
                let range = |shard: u32| self.streams[stream].shards[shard as usize].range;
                // What was meant for a shard that has been replaced is for whoever has its range.
                let waits = |shard| held.iter().any(|&it| range(it).overlaps(range(shard)));
                (it.latency.clone(), it.outages.longest(end, waits))
            }
            Destination::Topic { cluster, .. } => self.clusters[cluster].producer_times(index, end),
        }
    }

    /// The shards that records wait for which a producer's clients hold.
    fn shards_waited_for(&self, producer: usize) -> BTreeSet<u32> {
        let is_ours = |flow: &Flow| usize::from(flow.producer) == producer;
        let mut shards = BTreeSet::new();
        for flow in self.flows.iter().filter(|flow| is_ours(flow)) {
            if let Home::Stream(it) = &flow.home {
                it.client.for_each_held(&mut |batch| _ = shards.insert(batch.partition));
            }
        }
        let of_producer = |request: &&PutRequest| is_ours(&self.flows[usize::from(request.flow.0)]);
        let items = self.requests.iter().filter(of_producer).flat_map(|it| &it.items);
        shards.extend(items.flat_map(|item| &item.batches).map(|batch| batch.partition));
        shards
    }
}

fn not_stored(batch: &Batch) -> u64 {
    if batch.already_stored { 0 } else { u64::from(batch.count) }
}

/// The world's queue as one cluster sees it.
struct ClusterQueue<'a> {
    queue: &'a mut EventQueue<Event>,
    cluster: u16,
}

impl crate::engine::Schedule<kafka::Event> for ClusterQueue<'_> {
    fn schedule_at(&mut self, at: SimTime, event: kafka::Event) {
        self.queue.schedule_at(at, Event::Kafka(self.cluster, event));
    }
}

/// Where each group of the configuration is: (cluster, place among its groups).
fn places_of_groups(config: &WorldConfig) -> Vec<(usize, usize)> {
    let mut counts = vec![0; config.clusters.len()];
    let mut place = |cluster: usize| {
        counts[cluster] += 1;
        (cluster, counts[cluster] - 1)
    };
    config.groups.iter().map(|group| place(group.cluster)).collect()
}

/// The world's queue as one application sees it.
struct AppQueue<'a> {
    queue: &'a mut EventQueue<Event>,
    app: u16,
}

impl crate::engine::Schedule<kcl::Event> for AppQueue<'_> {
    fn schedule_at(&mut self, at: SimTime, event: kcl::Event) {
        self.queue.schedule_at(at, Event::App(self.app, event));
    }
}
