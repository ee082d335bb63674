//! What is planned: faults and operator actions. The plan is a list outside the queue; what is due
//! at an instant applies before the queued events of that instant (decision D-5).

use crate::config::kafka::Quorum;
use crate::config::{Capacity, Fleet, Happening, WorldConfig};
use crate::engine::{SimDuration, SimTime};
use crate::kinesis::on_demand::{promised_capacity, shards_for};
use crate::kinesis::stream::Stream;
use crate::result::{Mark, MarkKind};
use crate::workload::HotKey;
use crate::workload::rate::Factor;

use super::World;

/// Time until warm throughput is there (N-C-10: "minutes"; an assumption).
const WARM_UP: SimDuration = SimDuration::from_secs(300);

/// The beginning or the end of a timeline entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(super) at: SimTime,
    entry: usize,
    begins: bool,
}

/// All beginnings and ends, in order of time and then of the file.
pub(super) fn steps(config: &WorldConfig) -> Vec<Step> {
    let mut steps = Vec::new();
    for (entry, planned) in config.timeline.iter().enumerate() {
        steps.push(Step { at: planned.at, entry, begins: true });
        if let Some(lasts) = planned.lasts {
            steps.push(Step { at: planned.at + lasts, entry, begins: false });
        }
    }
    steps.sort_by_key(|step| step.at);
    steps
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
    let list =
        |numbers: &[usize]| numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
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
        let kind = match (what.is_action(), step.begins) {
            (true, true) => "action",
            (true, false) => "action_ended",
            (false, true) => "fault_started",
            (false, false) => "fault_ended",
        };
        // A plan has no cause; its end comes of its beginning.
        self.set_cause(if step.begins { 0 } else { self.begun[step.entry] });
        let label = label(&self.config, &what);
        self.note(step.at, kind, "timeline".to_owned(), label.clone());
        if step.begins {
            self.begun[step.entry] = self.cause;
        }
        if let Some(Fleet::App(app)) = what.fleet_of() {
            self.last_change[app] = self.cause;
        }
        if step.begins {
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
            Happening::SlowConsumer { consumer: Fleet::Group(_), .. }
            | Happening::KillWorkers { consumer: Fleet::Group(_), .. }
            | Happening::PauseWorkers { consumer: Fleet::Group(_), .. }
            | Happening::AddWorkers { consumer: Fleet::Group(_), .. }
            | Happening::StopWorkers { consumer: Fleet::Group(_), .. }
            | Happening::RestartLoop { .. }
            | Happening::RollingRestart { .. }
            | Happening::KillBrokers { .. }
            | Happening::PauseBrokers { .. }
            | Happening::CutZone { .. }
            | Happening::SlowDisks { .. }
            | Happening::KillQuorumNodes { .. }
            | Happening::StopBrokers { .. }
            | Happening::AddPartitions { .. }
            | Happening::ElectUnclean { .. } => {}
        }
        Ok(())
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
            Happening::SlowConsumer { consumer: Fleet::Group(_), .. }
            | Happening::KillWorkers { consumer: Fleet::Group(_), .. }
            | Happening::PauseWorkers { consumer: Fleet::Group(_), .. }
            | Happening::StopWorkers { consumer: Fleet::Group(_), .. }
            | Happening::RestartLoop { .. }
            | Happening::RollingRestart { .. }
            | Happening::KillBrokers { .. }
            | Happening::PauseBrokers { .. }
            | Happening::CutZone { .. }
            | Happening::SlowDisks { .. }
            | Happening::KillQuorumNodes { .. }
            | Happening::StopBrokers { .. }
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
