//! The one serial thread of a controller: changes take their turn, each with its own cost, and
//! reach the brokers a fixed time after they are committed.
//!
//! | Mechanism                                                      | Fact                    |
//! |----------------------------------------------------------------|-------------------------|
//! | One thread; changes one after the other at a cost each         | K-ZK-2, K-NUM-1, V-46   |
//! | Without controller or quorum nothing is committed              | K-ZKL-2, K-KR-6         |
//!
//! Simplification: a change is decided on the state at the instant at which it reaches the brokers,
//! so decision, commit and spread cannot interleave with those of another change. A change that was
//! begun and not committed when the quorum was lost starts anew.

use std::collections::VecDeque;

use crate::engine::{Ctx, SimDuration, SimTime, Ticket, Timers};

use super::super::metadata::{BrokerId, BrokerSet, PartitionId};
use super::Event;

/// A leader's wish for another ISR (K-ISR-5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Who asks.
    pub leader: BrokerId,
    /// About which partition.
    pub partition: PartitionId,
    /// Its leader epoch as the leader knows it.
    pub leader_epoch: u32,
    /// Its partition epoch as the leader knows it.
    pub partition_epoch: u32,
    /// The new ISR.
    pub isr: BrokerSet,
}

/// One thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A broker is gone: out of the ISR, another leads.
    Remove { broker: BrokerId, partition: PartitionId },
    /// A broker wants to stop: the same, but where ZooKeeper mode finds no other leader it stays.
    MoveAway { broker: BrokerId, partition: PartitionId },
    /// A broker came back without having closed its logs: out of ISR and ELR.
    Evict { broker: BrokerId, partition: PartitionId },
    /// A broker is there.
    Join { broker: BrokerId },
    /// A leader for a partition without one.
    Elect { partition: PartitionId },
    /// The same, at the price of records.
    ElectUnclean { partition: PartitionId },
    /// The leadership back to the first replica.
    Prefer { partition: PartitionId },
    /// A leader's wish.
    Alter(Proposal),
    /// More partitions of a topic.
    Create { topic: usize, total: u32 },
    /// A new controller has read the state.
    Loaded,
    /// All that could be moved away from a broker has been.
    MovedAway { broker: BrokerId },
}

/// The thread's queue.
#[derive(Clone, Debug)]
pub(super) struct Work {
    planned: VecDeque<Planned>,
    /// When the thread is done with all that is planned.
    free_at: SimTime,
    running: bool,
    propagation: SimDuration,
    timer: Timers<Event>,
}

#[derive(Clone, Copy, Debug)]
struct Planned {
    step: Step,
    cost: SimDuration,
    /// When it reaches the brokers; never while the thread stands still.
    due: SimTime,
}

impl Work {
    /// Nothing to do. `event` comes when the first step is due.
    pub(super) fn new(propagation: SimDuration, event: fn(Ticket) -> Event) -> Self {
        let mut timer = Timers::new(event);
        timer.add();
        Self { planned: VecDeque::new(), free_at: SimTime::ZERO, running: true, propagation, timer }
    }

    /// Puts a step at the end.
    pub(super) fn push(&mut self, step: Step, cost: SimDuration, ctx: &mut Ctx<'_, Event>) {
        let due = if self.running { self.plan(cost, ctx.now) } else { SimTime::MAX };
        self.planned.push_back(Planned { step, cost, due });
        if self.planned.len() == 1 {
            self.arm(ctx);
        }
    }

    fn plan(&mut self, cost: SimDuration, now: SimTime) -> SimTime {
        self.free_at = self.free_at.max(now) + cost;
        self.free_at + self.propagation
    }

    /// Lets the thread run or stand still. What was committed spreads in any case.
    pub(super) fn set_running(&mut self, running: bool, ctx: &mut Ctx<'_, Event>) {
        if self.running == running {
            return;
        }
        self.running = running;
        self.free_at = ctx.now;
        if running {
            let mut free_at = ctx.now;
            for planned in self.planned.iter_mut().filter(|planned| planned.due == SimTime::MAX) {
                free_at += planned.cost;
                planned.due = free_at + self.propagation;
            }
            self.free_at = free_at;
        } else {
            let spreading = ctx.now + self.propagation;
            for planned in self.planned.iter_mut().filter(|planned| spreading < planned.due) {
                planned.due = SimTime::MAX;
            }
        }
        self.arm(ctx);
    }

    /// Forgets what is not committed, as a controller does that resigns; gives it to its successor.
    pub(super) fn forget_uncommitted(&mut self, ctx: &mut Ctx<'_, Event>) -> Vec<Step> {
        let spreading = ctx.now + self.propagation;
        let (kept, forgotten): (VecDeque<_>, VecDeque<_>) =
            self.planned.drain(..).partition(|planned| planned.due <= spreading);
        self.planned = kept;
        self.free_at = ctx.now;
        self.arm(ctx);
        forgotten.iter().map(|planned| planned.step).collect()
    }

    /// Forgets a broker's entry.
    pub(super) fn forget_join(&mut self, broker: BrokerId) {
        self.planned.retain(|planned| planned.step != Step::Join { broker });
    }

    /// Whether a broker's entry waits for its turn.
    pub(super) fn has_join(&self, broker: BrokerId) -> bool {
        self.planned.iter().any(|planned| planned.step == Step::Join { broker })
    }

    /// Takes an event: whether a step may be due.
    pub(super) fn fires(&mut self, ticket: Ticket, ctx: &mut Ctx<'_, Event>) -> bool {
        self.timer.fires(ticket, ctx)
    }

    /// The next step that is due.
    pub(super) fn pop_due(&mut self, now: SimTime) -> Option<Step> {
        let due = self.planned.front().is_some_and(|planned| planned.due <= now);
        if due { self.planned.pop_front().map(|planned| planned.step) } else { None }
    }

    /// Arms the event of the first step.
    pub(super) fn arm(&mut self, ctx: &mut Ctx<'_, Event>) {
        match self.planned.front() {
            Some(first) if first.due < SimTime::MAX => self.timer.arm(0, first.due, ctx),
            Some(_) | None => self.timer.disarm(0),
        }
    }
}
