//! What is planned: faults and operator actions. The plan is a list outside the queue; what is due
//! at an instant applies before the queued events of that instant (decision D-5).

use crate::config::kafka::Quorum;
use crate::config::{Capacity, Fleet, Happening, TimelineEntry, WorldConfig};
use crate::engine::{SimDuration, SimTime};
use crate::kafka::group::MemberId;
use crate::kafka::{self, Cluster};
use crate::kinesis::on_demand::{promised_capacity, shards_for};
use crate::kinesis::stream::Stream;
use crate::result::{Mark, MarkKind};
use crate::workload::HotKey;
use crate::workload::rate::Factor;

use super::World;

/// Time until warm throughput is there (N-C-10: "minutes"; an assumption).
const WARM_UP: SimDuration = SimDuration::from_secs(300);

/// A moment of a timeline entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(super) at: SimTime,
    entry: usize,
    moment: Moment,
}

/// Which moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    Begins,
    Ends,
    /// A worker of a fleet goes, by crash or by order.
    WorkerGoes(u32),
    /// Its replacement starts.
    WorkerComes(u32),
}

/// All beginnings and ends, in order of time and then of the file.
pub(super) fn steps(config: &WorldConfig) -> Vec<Step> {
    let mut steps = Vec::new();
    for (entry, planned) in config.timeline.iter().enumerate() {
        let mut add = |at: SimTime, moment: Moment| steps.push(Step { at, entry, moment });
        add(planned.at, Moment::Begins);
        restarts(config, planned, &mut add);
        if let Some(lasts) = planned.lasts {
            add(planned.at + lasts, Moment::Ends);
        }
    }
    steps.sort_by_key(|step| step.at);
    steps
}

/// The single restarts that an entry stands for.
fn restarts(config: &WorldConfig, planned: &TimelineEntry, add: &mut impl FnMut(SimTime, Moment)) {
    let end =
        planned.lasts.map_or(config.duration, |lasts| planned.at.since(SimTime::ZERO) + lasts);
    #[expect(clippy::wildcard_enum_match_arm, reason = "the rest are single moments")]
    match &planned.what {
        Happening::RestartLoop { workers, up, down, .. } => {
            let round = SimDuration((*up + *down).0.max(1));
            for worker in 0..*workers {
                let phase = round.0 * u64::from(worker) / u64::from(*workers).max(1);
                let mut goes = planned.at + SimDuration(phase);
                while goes.0 < end.0 && goes.0 < config.duration.0 {
                    add(goes, Moment::WorkerGoes(worker));
                    add(goes + *down, Moment::WorkerComes(worker));
                    goes += round;
                }
            }
        }
        Happening::RollingRestart { consumer, down, gap } => {
            let workers = match *consumer {
                Fleet::App(app) => config.consumers[app].workers,
                Fleet::Group(group) => config.groups[group].members,
            };
            for worker in 0..workers {
                let goes = planned.at + (*down + *gap).times(u64::from(worker));
                add(goes, Moment::WorkerGoes(worker));
                add(goes + *down, Moment::WorkerComes(worker));
            }
        }
        _ => {}
    }
}

/// What the timeline does to a producer's workload: known beforehand, since arrivals never depend
/// on what happens.
pub(super) fn shape_workload(config: &WorldConfig, producer: usize) -> (Vec<Factor>, Vec<HotKey>) {
    let always = config.producers[producer].hot_keys.iter().map(|(key, share_ppm)| HotKey {
        key: key.clone(),
        share_ppm: *share_ppm,
        from: SimTime::ZERO,
        until: SimTime::MAX,
    });
    let mut hot: Vec<HotKey> = always.collect();
    let mut factors = Vec::new();
    for entry in &config.timeline {
        let until = entry.lasts.map_or(SimTime::MAX, |lasts| entry.at + lasts);
        #[expect(clippy::wildcard_enum_match_arm, reason = "the rest does not shape workloads")]
        match &entry.what {
            Happening::HotKey { producer: of, key, share_ppm } if *of == producer => {
                let (key, share_ppm) = (key.clone(), *share_ppm);
                hot.push(HotKey { key, share_ppm, from: entry.at, until });
            }
            Happening::RateFactor { producer: of, factor_ppm, ramp } if *of == producer => {
                let full = entry.at + *ramp;
                factors.push(Factor { from: entry.at, full, until, ppm: *factor_ppm });
            }
            _ => {}
        }
    }
    (factors, hot)
}

/// The plan as charts show it.
#[must_use]
pub(crate) fn marks(config: &WorldConfig) -> Vec<Mark> {
    let mark = |entry: &crate::config::TimelineEntry| {
        let mut ramp = SimDuration::ZERO;
        if let Happening::RateFactor { ramp: over, .. } = &entry.what {
            ramp = *over;
        }
        let until = match entry.lasts {
            Some(lasts) => Some(entry.at + lasts),
            None if ramp.0 > 0 => Some(entry.at + ramp),
            None => None,
        };
        Mark {
            kind: if entry.what.is_action() { MarkKind::Action } else { MarkKind::Fault },
            label: label(config, &entry.what),
            from: entry.at,
            until,
        }
    };
    config.timeline.iter().map(mark).collect()
}

/// A short name for what happens, as a person would call it.
fn label(config: &WorldConfig, what: &Happening) -> String {
    let percent = |ppm: u32| format!("{} %", f64::from(ppm) / 1e4);
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let times = |ppm: u64| format!("×{}", ppm as f64 / 1e6);
    let consumer = |fleet: Fleet| match fleet {
        Fleet::App(index) => &config.consumers[index].name,
        Fleet::Group(index) => &config.groups[index].name,
    };
    let producer = |index: usize| &config.producers[index].name;
    match what {
        Happening::HotKey { key, share_ppm, .. } => {
            format!("hot key {key} {}", percent(*share_ppm))
        }
        Happening::RateFactor { producer: index, factor_ppm, .. } => {
            format!("{} rate {}", producer(*index), times(*factor_ppm))
        }
        Happening::SlowConsumer { consumer: index, factor_ppm } => {
            format!("{} slow {}", consumer(*index), times(*factor_ppm))
        }
        Happening::KillWorkers { consumer: index, workers } => {
            format!("{workers} of {} killed", consumer(*index))
        }
        Happening::PauseWorkers { consumer: index, workers } => {
            format!("{workers} of {} paused", consumer(*index))
        }
        Happening::ThrottleApi { share_ppm, .. } => {
            format!("API throttled {}", percent(*share_ppm))
        }
        Happening::ExpireIterators { share_ppm, .. } => {
            format!("iterators expired {}", percent(*share_ppm))
        }
        Happening::LoseAnswers { share_ppm, .. } => format!("answers lost {}", percent(*share_ppm)),
        Happening::SplitShard { shard, .. } => format!("split shard {shard}"),
        Happening::SplitHottestShard { .. } => "split hottest shard".to_owned(),
        Happening::MergeShards { shard, adjacent, .. } => format!("merge {shard} and {adjacent}"),
        Happening::UpdateShardCount { target, .. } => format!("update to {target} shards"),
        Happening::SwitchMode { capacity, .. } => {
            let on_demand = matches!(capacity, Capacity::OnDemand(_));
            format!("switch to {}", if on_demand { "on-demand" } else { "provisioned" })
        }
        Happening::WarmThroughput { bytes_per_s, .. } => {
            format!("warm throughput {} MB/s", bytes_per_s / 1_000_000)
        }
        Happening::AddWorkers { consumer: index, workers } => {
            format!("{workers} more of {}", consumer(*index))
        }
        Happening::StopWorkers { consumer: index, workers } => {
            format!("{workers} of {} stopped", consumer(*index))
        }
        Happening::RestartLoop { consumer: index, workers, .. } => {
            format!("{workers} of {} crash again and again", consumer(*index))
        }
        Happening::RollingRestart { consumer: index, .. } => {
            format!("rolling restart of {}", consumer(*index))
        }
        Happening::KillBrokers { .. }
        | Happening::PauseBrokers { .. }
        | Happening::StopBrokers { .. }
        | Happening::SlowDisks { .. }
        | Happening::CutZone { .. }
        | Happening::KillQuorumNodes { .. }
        | Happening::AddPartitions { .. }
        | Happening::ElectUnclean { .. } => cluster_label(config, what),
    }
}

/// The same for what happens to a cluster.
fn cluster_label(config: &WorldConfig, what: &Happening) -> String {
    let list =
        |numbers: &[usize]| numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let times = |ppm: u64| format!("×{}", ppm as f64 / 1e6);
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others have their labels")]
    match what {
        Happening::KillBrokers { brokers, .. } => format!("broker {} killed", list(brokers)),
        Happening::PauseBrokers { brokers, .. } => format!("broker {} paused", list(brokers)),
        Happening::StopBrokers { brokers, .. } => format!("broker {} stopped", list(brokers)),
        Happening::SlowDisks { brokers, factor_ppm, .. } => {
            format!("disk of broker {} slow {}", list(brokers), times(*factor_ppm))
        }
        Happening::CutZone { cluster, zone } => {
            format!("zone {} cut off", config.clusters[*cluster].zones[*zone])
        }
        Happening::KillQuorumNodes { cluster, nodes } => {
            let kind = match config.clusters[*cluster].quorum {
                Quorum::ZooKeeper(_) => "zookeeper",
                Quorum::KRaft(_) => "controller",
            };
            format!("{kind} {} killed", list(nodes))
        }
        Happening::AddPartitions { cluster, topic, total } => {
            format!("{} to {total} partitions", config.clusters[*cluster].topics[*topic].name)
        }
        Happening::ElectUnclean { cluster, topic } => {
            format!("unclean election of {}", config.clusters[*cluster].topics[*topic].name)
        }
        _ => String::new(),
    }
}

impl World {
    /// When the next planned step is.
    pub(crate) fn next_step_at(&self) -> Option<SimTime> {
        self.steps.get(self.next_step).map(|step| step.at)
    }

    /// Carries out the next planned step.
    pub(crate) fn apply_step(&mut self) {
        let step = self.steps[self.next_step];
        self.next_step += 1;
        let what = self.config.timeline[step.entry].what.clone();
        let begins = step.moment == Moment::Begins;
        // A plan has no cause; what follows comes of its beginning.
        self.set_cause(if begins { 0 } else { self.begun[step.entry] });
        let kind = match (what.is_action(), step.moment) {
            (true, Moment::Begins) => "action",
            (true, Moment::Ends) => "action_ended",
            (false, Moment::Begins) => "fault_started",
            (false, Moment::Ends) => "fault_ended",
            (_, Moment::WorkerGoes(worker)) => {
                self.worker_goes(&what, worker, step.entry, step.at);
                return;
            }
            (_, Moment::WorkerComes(worker)) => {
                self.worker_comes(&what, worker, step.at);
                return;
            }
        };
        let label = label(&self.config, &what);
        self.note(step.at, kind, "timeline".to_owned(), label.clone());
        if begins {
            self.begun[step.entry] = self.cause;
        }
        if let Some(Fleet::App(app)) = what.fleet_of() {
            self.last_change[app] = self.cause;
        }
        if begins {
            if let Err(refusal) = self.begin(&what, step.entry, step.at) {
                self.warnings.push(format!("{}: {label} was refused: {refusal}", step.at));
                self.note(step.at, "action_refused", "timeline".to_owned(), refusal);
            }
        } else {
            self.end(&what, step.entry, step.at);
        }
    }

    fn begin(&mut self, what: &Happening, entry: usize, now: SimTime) -> Result<(), String> {
        match what {
            Happening::HotKey { .. } | Happening::RateFactor { .. } => {}
            Happening::SlowConsumer { consumer: Fleet::App(consumer), factor_ppm } => {
                self.with_app(*consumer, now, |app, at| app.slow_down(*factor_ppm, at));
                self.injected[entry] += 1;
            }
            Happening::KillWorkers { consumer: Fleet::App(consumer), workers } => {
                let killed =
                    self.with_app(*consumer, now, |app, at| app.kill_workers(*workers, at));
                self.injected[entry] += u64::from(killed);
            }
            Happening::PauseWorkers { consumer: Fleet::App(consumer), workers } => {
                let paused =
                    self.with_app(*consumer, now, |app, at| app.pause_workers(*workers, at));
                self.injected[entry] += paused.len() as u64;
                self.paused.push((entry, paused));
            }
            Happening::ThrottleApi { stream, share_ppm } => {
                self.faults[*stream].throttle_ppm = *share_ppm;
                self.injected[entry] += 1;
            }
            Happening::ExpireIterators { stream, share_ppm } => {
                self.faults[*stream].expire_ppm = *share_ppm;
                self.injected[entry] += 1;
            }
            Happening::LoseAnswers { stream, share_ppm } => {
                self.faults[*stream].lose_answers_ppm = *share_ppm;
                self.injected[entry] += 1;
            }
            Happening::AddWorkers { consumer: Fleet::App(consumer), workers } => {
                self.with_app(*consumer, now, |app, at| app.add_workers(*workers, at));
            }
            Happening::StopWorkers { consumer: Fleet::App(consumer), workers } => {
                self.with_app(*consumer, now, |app, at| app.stop_workers(*workers, at));
            }
            Happening::SplitShard { .. }
            | Happening::SplitHottestShard { .. }
            | Happening::MergeShards { .. }
            | Happening::UpdateShardCount { .. }
            | Happening::SwitchMode { .. }
            | Happening::WarmThroughput { .. } => self.operate(what, now)?,
            Happening::SlowConsumer { consumer: Fleet::Group(group), .. }
            | Happening::KillWorkers { consumer: Fleet::Group(group), .. }
            | Happening::PauseWorkers { consumer: Fleet::Group(group), .. }
            | Happening::AddWorkers { consumer: Fleet::Group(group), .. }
            | Happening::StopWorkers { consumer: Fleet::Group(group), .. } => {
                self.injected[entry] += self.begin_group(*group, what, entry, now);
            }
            // Their single restarts are steps of their own.
            Happening::RestartLoop { .. } | Happening::RollingRestart { .. } => {}
            Happening::KillBrokers { cluster, .. }
            | Happening::PauseBrokers { cluster, .. }
            | Happening::CutZone { cluster, .. }
            | Happening::SlowDisks { cluster, .. }
            | Happening::KillQuorumNodes { cluster, .. }
            | Happening::StopBrokers { cluster, .. }
            | Happening::AddPartitions { cluster, .. }
            | Happening::ElectUnclean { cluster, .. } => {
                let hit = self.with_cluster(*cluster, now, |it, at| it.begin(what, at));
                self.injected[entry] += hit;
            }
        }
        Ok(())
    }

    /// A worker of a restart loop crashes, or one of a rolling restart stops.
    fn worker_goes(&mut self, what: &Happening, worker: u32, entry: usize, now: SimTime) {
        let clean = what.is_action();
        self.injected[entry] += 1;
        let (kind, detail) = if clean { ("worker_stopped", "") } else { ("worker_crashed", "") };
        match what.fleet_of() {
            Some(Fleet::App(app)) => {
                let subject = format!("consumers.{}", self.config.consumers[app].name);
                self.note(now, kind, subject, detail.to_owned());
                self.last_change[app] = self.cause;
                self.with_app(app, now, |app, at| {
                    if clean { app.stop_workers(1, at) } else { app.kill_workers(1, at) }
                });
            }
            Some(Fleet::Group(group)) => {
                let name = &self.config.groups[group].name;
                let subject = format!("consumers.{name}/member-{worker}");
                self.note(now, kind, subject, detail.to_owned());
                self.with_group(group, now, |cluster, place, at| {
                    if clean {
                        cluster.stop_member(place, MemberId(worker), at);
                    } else {
                        cluster.kill_member(place, MemberId(worker), at);
                    }
                });
            }
            None => {}
        }
    }

    /// Its replacement starts.
    fn worker_comes(&mut self, what: &Happening, worker: u32, now: SimTime) {
        match what.fleet_of() {
            Some(Fleet::App(app)) => self.with_app(app, now, |app, at| app.add_workers(1, at)),
            Some(Fleet::Group(group)) => self.with_group(group, now, |cluster, place, at| {
                cluster.start_members(place, &[MemberId(worker)], at);
            }),
            None => {}
        }
    }

    /// Lets a group's cluster act on it.
    pub(super) fn with_group<R>(
        &mut self,
        group: usize,
        now: SimTime,
        act: impl FnOnce(&mut Cluster, usize, &mut kafka::At<'_, '_>) -> R,
    ) -> R {
        let (cluster, place) = self.groups[group];
        self.with_cluster(cluster, now, |cluster, at| act(cluster, place, at))
    }

    /// What begins for the members of a group; returns how many it hit.
    fn begin_group(&mut self, group: usize, what: &Happening, entry: usize, now: SimTime) -> u64 {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the others do not concern members")]
        let hit = match what {
            Happening::SlowConsumer { factor_ppm, .. } => {
                self.with_group(group, now, |it, place, _| it.slow_members(place, *factor_ppm));
                return 1;
            }
            Happening::AddWorkers { workers, .. } => {
                self.with_group(group, now, |it, place, at| it.add_members(place, *workers, at));
                return 1;
            }
            Happening::KillWorkers { workers, .. } => {
                self.with_group(group, now, |it, place, at| it.kill_members(place, *workers, at))
            }
            Happening::StopWorkers { workers, .. } => {
                self.with_group(group, now, |it, place, at| it.stop_members(place, *workers, at))
            }
            Happening::PauseWorkers { workers, .. } => {
                self.with_group(group, now, |it, place, at| it.pause_members(place, *workers, at))
            }
            _ => return 0,
        };
        let count = hit.len() as u64;
        self.gone.push((entry, hit));
        count
    }

    /// What ends for the members of a group: those that were hit come back.
    fn end_group(&mut self, group: usize, what: &Happening, entry: usize, now: SimTime) {
        if let Happening::SlowConsumer { .. } = what {
            self.with_group(group, now, |it, place, _| it.slow_members(place, 1_000_000));
            return;
        }
        let Some(index) = self.gone.iter().position(|(of, _)| *of == entry) else {
            return;
        };
        let (_, hit) = self.gone.swap_remove(index);
        let paused = matches!(what, Happening::PauseWorkers { .. });
        self.with_group(group, now, |it, place, at| {
            if paused {
                it.resume_members(place, &hit, at);
            } else {
                it.start_members(place, &hit, at);
            }
        });
    }

    /// What an operator does to a stream.
    fn operate(&mut self, what: &Happening, now: SimTime) -> Result<(), String> {
        if let Happening::SplitShard { stream, .. }
        | Happening::SplitHottestShard { stream }
        | Happening::MergeShards { stream, .. } = what
            && !self.streams[*stream].pending.is_empty()
        {
            // One change at a time (N-C-3).
            return Err("the stream is UPDATING (ResourceInUseException)".to_owned());
        }
        #[expect(clippy::wildcard_enum_match_arm, reason = "only stream operations come here")]
        let stream = match what {
            Happening::SplitShard { stream, shard } => {
                let target = &mut self.streams[*stream];
                let takes = target.config.reshard_time;
                target.split(*shard, now, takes)?;
                *stream
            }
            Happening::SplitHottestShard { stream } => {
                let target = &mut self.streams[*stream];
                let takes = target.config.reshard_time;
                let hottest = target.hottest(now);
                target.split(hottest, now, takes)?;
                let subject = self.stream_subject(*stream, &Stream::shard_name(hottest));
                self.note(now, "split_ordered", subject, String::new());
                *stream
            }
            Happening::MergeShards { stream, shard, adjacent } => {
                self.streams[*stream].merge(*shard, *adjacent, now)?;
                *stream
            }
            Happening::UpdateShardCount { stream, target } => {
                self.streams[*stream].update_shard_count(*target, now)?;
                *stream
            }
            Happening::SwitchMode { stream, capacity } => {
                self.streams[*stream].switch_mode(capacity.clone(), now);
                *stream
            }
            Happening::WarmThroughput { stream, bytes_per_s } => {
                let target = &mut self.streams[*stream];
                let Capacity::OnDemand(config) = &mut target.config.capacity else {
                    return Err("warm throughput needs an on-demand stream".to_owned());
                };
                config.warm_throughput = *bytes_per_s;
                let shards = shards_for(promised_capacity(config, 0));
                target.grow_to(shards, now + WARM_UP);
                *stream
            }
            _ => return Ok(()),
        };
        self.plan_reshard(stream);
        Ok(())
    }

    fn end(&mut self, what: &Happening, entry: usize, now: SimTime) {
        match what {
            Happening::SlowConsumer { consumer: Fleet::App(consumer), .. } => {
                self.with_app(*consumer, now, |app, at| app.slow_down(1_000_000, at));
            }
            Happening::KillWorkers { consumer: Fleet::App(consumer), workers }
            | Happening::StopWorkers { consumer: Fleet::App(consumer), workers } => {
                self.with_app(*consumer, now, |app, at| app.add_workers(*workers, at));
            }
            Happening::PauseWorkers { consumer: Fleet::App(consumer), .. } => {
                let Some(index) = self.paused.iter().position(|(of, _)| *of == entry) else {
                    return;
                };
                let (_, workers) = self.paused.swap_remove(index);
                self.with_app(*consumer, now, |app, at| app.resume_workers(&workers, at));
            }
            Happening::ThrottleApi { stream, .. } => self.faults[*stream].throttle_ppm = 0,
            Happening::ExpireIterators { stream, .. } => self.faults[*stream].expire_ppm = 0,
            Happening::LoseAnswers { stream, .. } => self.faults[*stream].lose_answers_ppm = 0,
            Happening::SlowConsumer { consumer: Fleet::Group(group), .. }
            | Happening::KillWorkers { consumer: Fleet::Group(group), .. }
            | Happening::PauseWorkers { consumer: Fleet::Group(group), .. }
            | Happening::StopWorkers { consumer: Fleet::Group(group), .. } => {
                self.end_group(*group, what, entry, now);
            }
            Happening::KillBrokers { cluster, .. }
            | Happening::PauseBrokers { cluster, .. }
            | Happening::CutZone { cluster, .. }
            | Happening::SlowDisks { cluster, .. }
            | Happening::KillQuorumNodes { cluster, .. }
            | Happening::StopBrokers { cluster, .. } => {
                self.with_cluster(*cluster, now, |it, at| it.end(what, at));
            }
            Happening::RestartLoop { .. }
            | Happening::RollingRestart { .. }
            | Happening::AddPartitions { .. }
            | Happening::ElectUnclean { .. }
            | Happening::HotKey { .. }
            | Happening::RateFactor { .. }
            | Happening::SplitShard { .. }
            | Happening::SplitHottestShard { .. }
            | Happening::MergeShards { .. }
            | Happening::UpdateShardCount { .. }
            | Happening::SwitchMode { .. }
            | Happening::WarmThroughput { .. }
            | Happening::AddWorkers { .. } => {}
        }
    }

    /// Faults that never bit anything, as sentences.
    pub(crate) fn idle_faults(&self) -> Vec<String> {
        let mut idle = Vec::new();
        for (entry, planned) in self.config.timeline.iter().enumerate() {
            #[expect(clippy::wildcard_enum_match_arm, reason = "the others count what they hit")]
            let bit = match &planned.what {
                what if what.is_action() => true,
                Happening::HotKey { producer, key, .. } => {
                    self.producers[*producer].workload.has_offered(key)
                }
                Happening::RateFactor { factor_ppm, .. } => {
                    *factor_ppm != 1_000_000 && planned.at.0 < self.config.duration.0
                }
                _ => self.injected[entry] > 0,
            };
            if !bit {
                let label = label(&self.config, &planned.what);
                idle.push(format!("{}: the fault never bit: {label}", planned.at));
            }
        }
        idle
    }
}
