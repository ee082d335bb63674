//! What is planned: faults and operator actions. The plan is a list outside the queue; what is due
//! at an instant applies before the queued events of that instant (decision D-5).

use crate::config::kafka::Quorum;
use crate::config::{Capacity, Fleet, Happening, Processes, TimelineEntry, Who, Whom, WorldConfig};
use crate::engine::{SimDuration, SimTime};
use crate::kinesis::stream::Stream;
use crate::result::{Mark, MarkKind};
use crate::workload::HotKey;
use crate::workload::rate::Factor;

use super::World;
use super::active::Effect;

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
    /// The process of that place among those hit goes, by crash or by order.
    Goes(u32),
    /// It starts again.
    Comes(u32),
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
    if let Happening::RestartLoop { whom, up, down } = &planned.what {
        let round = SimDuration((*up + *down).0.max(1));
        let count = most_hit(config, whom);
        for place in 0..count {
            let phase = round.0 * u64::from(place) / u64::from(count);
            let mut goes = planned.at + SimDuration(phase);
            while goes.0 < end.0 && goes.0 < config.duration.0 {
                add(goes, Moment::Goes(place));
                add(goes + *down, Moment::Comes(place));
                goes += round;
            }
        }
    }
    if let Happening::RollingRestart { consumer, down, gap } = &planned.what {
        for place in 0..most_hit(config, &Whom::workers(*consumer, u32::MAX)) {
            let goes = planned.at + (*down + *gap).times(u64::from(place));
            add(goes, Moment::Goes(place));
            add(goes + *down, Moment::Comes(place));
        }
    }
}

/// How many processes a choice hits at most, of those that are there at the start.
fn most_hit(config: &WorldConfig, whom: &Whom) -> u32 {
    let there = match whom.of {
        Processes::Workers(Fleet::App(app)) => config.consumers[app].workers,
        Processes::Workers(Fleet::Group(group)) => config.groups[group].members,
        Processes::Brokers(_) | Processes::QuorumNodes(_) => u32::MAX,
    };
    match &whom.who {
        Who::First(count) | Who::Random(count) => (*count).min(there),
        Who::Numbers(numbers) => u32::try_from(numbers.len()).unwrap_or(u32::MAX),
        Who::Leader | Who::Controller | Who::Coordinator(_) | Who::LeaderOf { .. } => 1,
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
        Happening::SlowConsumer { consumer: index, who: None, factor_ppm } => {
            format!("{} slow {}", consumer(*index), times(*factor_ppm))
        }
        Happening::SlowConsumer { consumer: index, who: Some(who), factor_ppm } => {
            let whom = Whom { of: Processes::Workers(*index), who: who.clone() };
            format!("{} slow {}", named(config, &whom), times(*factor_ppm))
        }
        Happening::Kill(whom) => format!("{} killed", named(config, whom)),
        Happening::Pause(whom) => format!("{} paused", named(config, whom)),
        Happening::Stop(whom) => format!("{} stopped", named(config, whom)),
        Happening::RestartLoop { whom, .. } => {
            format!("{} crash again and again", named(config, whom))
        }
        Happening::ThrottleApi { share_ppm, .. } => {
            format!("API throttled {}", percent(*share_ppm))
        }
        Happening::ExpireIterators { share_ppm, .. } => {
            format!("iterators expired {}", percent(*share_ppm))
        }
        Happening::LoseAnswers { share_ppm, .. } => format!("answers lost {}", percent(*share_ppm)),
        Happening::SplitShard { .. }
        | Happening::SplitHottestShard { .. }
        | Happening::MergeShards { .. }
        | Happening::UpdateShardCount { .. }
        | Happening::SwitchMode { .. }
        | Happening::WarmThroughput { .. } => operation_label(what),
        Happening::AddWorkers { consumer: index, workers } => {
            format!("{workers} more of {}", consumer(*index))
        }
        Happening::RollingRestart { consumer: index, .. } => {
            format!("rolling restart of {}", consumer(*index))
        }
        Happening::SlowDisks { cluster, who, factor_ppm } => {
            let whom = Whom { of: Processes::Brokers(*cluster), who: who.clone() };
            format!("disk of {} slow {}", named(config, &whom), times(*factor_ppm))
        }
        Happening::SlowSink { sink, factor_ppm } => {
            format!("{} slow {}", config.sinks[*sink].name, times(*factor_ppm))
        }
        Happening::FailSink { sink, share_ppm } => {
            format!("{} of {} fails", percent(*share_ppm), config.sinks[*sink].name)
        }
        Happening::CutZone { cluster, zone } => {
            format!("zone {} cut off", config.clusters[*cluster].zones[*zone])
        }
        Happening::AddPartitions { cluster, topic, total } => {
            format!("{} to {total} partitions", config.clusters[*cluster].topics[*topic].name)
        }
        Happening::ElectUnclean { cluster, topic } => {
            format!("unclean election of {}", config.clusters[*cluster].topics[*topic].name)
        }
    }
}

/// The same for what an operator does to a stream.
fn operation_label(what: &Happening) -> String {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the caller has named those that come here")]
    match what {
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
        _ => String::new(),
    }
}

/// Whom something hits, as a person would call them.
fn named(config: &WorldConfig, whom: &Whom) -> String {
    let (kind, fleet) = match whom.of {
        Processes::Workers(Fleet::App(app)) => ("worker", Some(&config.consumers[app].name)),
        Processes::Workers(Fleet::Group(group)) => ("member", Some(&config.groups[group].name)),
        Processes::Brokers(_) => ("broker", None),
        Processes::QuorumNodes(cluster) => match config.clusters[cluster].quorum {
            Quorum::ZooKeeper(_) => ("zookeeper", None),
            Quorum::KRaft(_) => ("controller", None),
        },
    };
    let of = fleet.map_or(String::new(), |name| format!(" of {name}"));
    let list = |numbers: &[u32]| numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    match &whom.who {
        Who::First(count) if fleet.is_some() => format!("{count}{of}"),
        Who::First(count) => format!("{count} {kind}"),
        Who::Numbers(numbers) => format!("{kind} {}{of}", list(numbers)),
        Who::Random(count) => format!("{count} random {kind}{of}"),
        Who::Leader => format!("the leading {kind}{of}"),
        Who::Controller => "the controller".to_owned(),
        Who::Coordinator(group) => format!("the coordinator of {}", config.groups[*group].name),
        Who::LeaderOf { topic, partition } => match whom.of {
            Processes::Brokers(cluster) | Processes::QuorumNodes(cluster) => {
                format!(
                    "the leader of {}-{partition}",
                    config.clusters[cluster].topics[*topic].name
                )
            }
            Processes::Workers(_) => format!("the leader of partition {partition}"),
        },
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
        self.take_step(step);
        self.tell_checkers(step.at);
    }

    fn take_step(&mut self, step: Step) {
        let what = self.config.timeline[step.entry].what.clone();
        let begins = step.moment == Moment::Begins;
        // A plan has no cause; what follows comes of its beginning.
        self.set_cause(if begins { 0 } else { self.begun[step.entry] });
        let kind = match (what.is_action(), step.moment) {
            (true, Moment::Begins) => "action",
            (true, Moment::Ends) => "action_ended",
            (false, Moment::Begins) => "fault_started",
            (false, Moment::Ends) => "fault_ended",
            (clean, Moment::Goes(place)) => {
                self.process_goes(&what, clean, place, step.entry, step.at);
                return;
            }
            (_, Moment::Comes(place)) => {
                self.process_comes(&what, place, step.entry, step.at);
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
            self.release_all(step.entry, step.at);
        }
    }

    fn begin(&mut self, what: &Happening, entry: usize, now: SimTime) -> Result<(), String> {
        match what {
            Happening::HotKey { .. } | Happening::RateFactor { .. } => {}
            Happening::SlowConsumer { consumer, who, factor_ppm } => {
                self.slow_down(*consumer, who.as_ref(), *factor_ppm, (entry, now));
            }
            Happening::Kill(whom) | Happening::Stop(whom) => {
                for process in self.find_all(whom, entry) {
                    self.hold(entry, Effect::Down(process, what.is_action()), now);
                }
            }
            Happening::Pause(whom) => {
                for process in self.find_all(whom, entry) {
                    self.hold(entry, Effect::Frozen(process), now);
                }
            }
            // Their single restarts are steps of their own.
            Happening::RestartLoop { whom, .. } => {
                self.chosen[entry] = self.find_all(whom, entry);
            }
            Happening::RollingRestart { consumer, .. } => {
                self.chosen[entry] = self.find_all(&Whom::workers(*consumer, u32::MAX), entry);
            }
            Happening::ThrottleApi { stream, share_ppm } => {
                self.hold(entry, Effect::Throttled(*stream, *share_ppm), now);
            }
            Happening::ExpireIterators { stream, share_ppm } => {
                self.hold(entry, Effect::Expiring(*stream, *share_ppm), now);
            }
            Happening::LoseAnswers { stream, share_ppm } => {
                self.hold(entry, Effect::Unanswered(*stream, *share_ppm), now);
            }
            Happening::SlowSink { sink, factor_ppm } => {
                self.hold(entry, Effect::SlowSink(*sink, *factor_ppm), now);
            }
            Happening::FailSink { sink, share_ppm } => {
                self.hold(entry, Effect::FailingSink(*sink, *share_ppm), now);
            }
            Happening::CutZone { cluster, zone } => {
                self.hold(entry, Effect::Cut(*cluster, *zone), now);
            }
            Happening::SlowDisks { cluster, who, factor_ppm } => {
                let whom = Whom { of: Processes::Brokers(*cluster), who: who.clone() };
                for broker in self.find(&whom, entry) {
                    self.hold(entry, Effect::SlowDisk(*cluster, broker, *factor_ppm), now);
                }
            }
            Happening::AddWorkers { consumer, workers } => {
                self.add_workers(*consumer, *workers, now);
            }
            Happening::SplitShard { .. }
            | Happening::SplitHottestShard { .. }
            | Happening::MergeShards { .. }
            | Happening::UpdateShardCount { .. }
            | Happening::SwitchMode { .. }
            | Happening::WarmThroughput { .. } => self.operate(what, now)?,
            Happening::AddPartitions { cluster, topic, total } => {
                self.with_cluster(*cluster, now, |it, at| it.add_partitions(*topic, *total, at));
            }
            Happening::ElectUnclean { cluster, topic } => {
                self.with_cluster(*cluster, now, |it, at| it.elect_unclean(*topic, at));
            }
        }
        Ok(())
    }

    /// A fleet takes longer, or those of it who are meant.
    fn slow_down(
        &mut self,
        consumer: Fleet,
        who: Option<&Who>,
        factor_ppm: u64,
        (entry, now): (usize, SimTime),
    ) {
        let Some(who) = who else {
            return self.hold(entry, Effect::SlowConsumer(consumer, None, factor_ppm), now);
        };
        let whom = Whom { of: Processes::Workers(consumer), who: who.clone() };
        for number in self.find(&whom, entry) {
            self.hold(entry, Effect::SlowConsumer(consumer, Some(number), factor_ppm), now);
        }
    }

    /// A process of a restart loop crashes, or one of a rolling restart stops.
    fn process_goes(
        &mut self,
        what: &Happening,
        clean: bool,
        place: u32,
        entry: usize,
        now: SimTime,
    ) {
        let Some(&process) = self.chosen[entry].get(place as usize) else { return };
        let kind = match (process.of, clean) {
            (Processes::Workers(_), true) => "worker_stopped",
            (Processes::Workers(_), false) => "worker_crashed",
            (Processes::Brokers(_), true) => "broker_stopping",
            (Processes::Brokers(_), false) => "broker_crashed",
            (Processes::QuorumNodes(_), _) => "quorum_node_crashed",
        };
        self.note(now, kind, self.subject_of(process), String::new());
        if let Some(Fleet::App(app)) = what.fleet_of() {
            self.last_change[app] = self.cause;
        }
        self.hold(entry, Effect::Down(process, clean), now);
    }

    /// It starts again.
    fn process_comes(&mut self, what: &Happening, place: u32, entry: usize, now: SimTime) {
        let Some(&process) = self.chosen[entry].get(place as usize) else { return };
        self.release(entry, Effect::Down(process, what.is_action()), now);
    }

    /// What an operator does to a stream.
    fn operate(&mut self, what: &Happening, now: SimTime) -> Result<(), String> {
        let Some(stream) = what.stream_operated() else { return Ok(()) };
        if let Some(hottest) = self.streams[stream].operate(what, now)? {
            let subject = self.stream_subject(stream, &Stream::shard_name(hottest));
            self.note(now, "split_ordered", subject, String::new());
        }
        self.plan_reshard(stream);
        Ok(())
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
