//! Kafka's controller with what it stands on, a ZooKeeper ensemble or a KRaft quorum: who is alive,
//! who leads, who is in sync, and when each of these becomes known.
//!
//! | Part        | Mechanism                                                         | Fact               |
//! |-------------|-------------------------------------------------------------------|--------------------|
//! | `election`  | Pure decisions about one partition                                | K-ELC-1 to K-ELC-4 |
//! | `core`      | Failures, arrivals, wishes, rebalance, partition by partition     | K-ZK-5, K-ELC-5    |
//! | `work`      | The controller's serial thread                                    | K-ZK-2, V-46       |
//! | `raft`      | Quorum of KRaft controllers: elections and their gaps             | K-KR-1, K-KR-2     |
//! | `kraft`     | Broker heartbeats, fencing, registration, shutdown                | K-KR-3 to K-KR-7   |
//! | `zookeeper` | Controller in ZooKeeper mode                                      | K-ZK-1 to K-ZK-7   |
//! | `ensemble`  | ZooKeeper quorum                                                  | K-ZK-3, K-ZKL-6    |
//! | `session`   | ZooKeeper sessions and their expiry                               | K-ZK-3, K-ZK-4     |
//!
//! It knows no records, logs or clients. Whoever runs the brokers tells it of processes and links,
//! and acts on the [`Change`]s. Healthy heartbeats and pings cost no events (decision D-16).
//!
//! For whoever runs the brokers. A change of a partition counts from its [`Change::Partition`] on, for
//! all brokers that can hear the controller; one that cannot goes on with what it knew. A leader has
//! one wish about a partition under way at a time; until the answer its watermark waits for the old
//! ISR and the new (K-HW-2). Up to 2.6 the leader writes its ISR itself and holds the lock of the
//! partition meanwhile: while its wish waits, produce and fetch of the partition block, and with
//! them, soon, its request handlers (K-ZKL-3).
//!
//! Simplification: the controller's requests reach every broker concerned after
//! `ControllerCosts::propagation`, all at once; a broker that is cut off hears nothing, which is up
//! to whoever runs the brokers. A broker that is slow to apply a change, or a request of the
//! controller that is lost and repeated, would make the change ragged.

mod core;
mod election;
mod ensemble;
mod grid;
mod kraft;
mod links;
mod nodes;
mod raft;
mod session;
#[cfg(test)]
mod tests;
mod work;
mod zookeeper;

pub use self::links::Links;
pub use self::work::Proposal;

use self::core::{Core, Process};
use self::kraft::KRaft;
use self::nodes::{Node, Now};
use self::zookeeper::ZooKeeper;
use crate::config::kafka::{ClusterConfig, Quorum};
use crate::engine::{Ctx, Rngs, Ticket};

use super::metadata::{BrokerId, BrokerSet, Metadata, PartitionId};

/// An event of the controller.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// The first of the planned changes reaches the brokers.
    StepDue(Ticket),
    /// Leaderships are looked at.
    RebalanceDue(Ticket),
    /// KRaft: partitions without leader are looked at.
    SweepDue(Ticket),
    /// A broker's session is over.
    SessionEnded(Ticket),
    /// A broker is heard again.
    ContactMade(Ticket),
    /// A starting broker tries to register.
    StartTried(Ticket),
    /// A stopping broker asks whether it may.
    ShutdownTried(Ticket),
    /// The quorum gets, or gives up, its leader.
    QuorumTurned(Ticket),
    /// ZooKeeper: a broker becomes the controller.
    ControllerRaced(Ticket),
    /// ZooKeeper, 2.4: a leader's own write of an ISR takes effect.
    WriteDue(Ticket),
}
const _: () = assert!(size_of::<Event>() <= 12);

/// What the controller decided, or what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The committed state of a partition has just changed, and the brokers concerned act on it
    /// from now on. Also the answer to a wish that changed nothing.
    Partition(PartitionId),
    /// The controller no longer counts on a broker: fenced (KRaft), or its registration is gone
    /// (ZooKeeper). Its partitions follow one by one.
    Fenced {
        /// Which.
        broker: BrokerId,
    },
    /// The controller counts on a broker again: unfenced (KRaft), or registered (ZooKeeper). It
    /// knows its partitions from now on.
    Unfenced {
        /// Which.
        broker: BrokerId,
    },
    /// A leader's wish was refused: old epoch, or a member that may not be in sync.
    IsrRefused {
        /// Of which partition.
        partition: PartitionId,
    },
    /// The process may exit now: its leaderships are moved, or it gave up waiting for that.
    ShutdownGranted {
        /// Which.
        broker: BrokerId,
    },
    /// A starting broker cannot register for now; it tries again by itself. Told once per start.
    StartRefused {
        /// Which.
        broker: BrokerId,
    },
    /// Another controller: the index of a broker (ZooKeeper) or of a node (KRaft), or nobody.
    ControllerChanged {
        /// Who.
        to: Option<usize>,
    },
    /// No majority of the nodes can talk to each other: nothing can be committed.
    QuorumLost,
    /// The quorum has a leader again.
    QuorumBack,
    /// A new leader that may lack committed records. Comes with [`Change::Elected`].
    UncleanElection(PartitionId),
    /// A new leader. Comes after its [`Change::Partition`].
    Elected(PartitionId),
}

/// What surrounds the controller during a call.
pub struct Scene<'a, 'q> {
    /// The committed state, which the controller writes.
    pub metadata: &'a mut Metadata,
    /// Who can talk to whom.
    pub links: &'a Links,
    /// The present instant, and the queue.
    pub ctx: &'a mut Ctx<'q, Event>,
    /// Where the controller says what it did.
    pub changes: &'a mut Vec<Change>,
}

/// The controller of a cluster, and its quorum.
#[derive(Clone)]
pub struct Controller {
    core: Core,
    mode: Mode,
}

#[derive(Clone)]
enum Mode {
    KRaft(Box<KRaft>),
    ZooKeeper(Box<ZooKeeper>),
}

/// Calls a method of whichever mode it is.
macro_rules! mode {
    ($this:expr, $method:ident($($argument:expr),*)) => {
        match &mut $this.mode {
            Mode::KRaft(kraft) => kraft.$method(&mut $this.core, $($argument),*),
            Mode::ZooKeeper(zookeeper) => zookeeper.$method(&mut $this.core, $($argument),*),
        }
    };
}

impl Controller {
    /// The controller of a healthy cluster: all brokers and nodes run and are registered. It needs
    /// no events until something happens.
    ///
    /// # Panics
    /// If there are more brokers than [`crate::config::kafka::MOST_BROKERS`].
    #[must_use]
    pub fn new(config: &ClusterConfig, rngs: &Rngs) -> Self {
        let mut core = Core::new(config);
        let mut rng = rngs.stream(&format!("kafka/{}/controller", config.name));
        let mode = match &config.quorum {
            Quorum::KRaft(kraft) => {
                Mode::KRaft(Box::new(KRaft::new(config, kraft, &mut core, &mut rng)))
            }
            Quorum::ZooKeeper(zookeeper) => {
                Mode::ZooKeeper(Box::new(ZooKeeper::new(config, zookeeper, &mut core, &mut rng)))
            }
        };
        Self { core, mode }
    }

    /// Reacts to an event.
    pub fn handle(&mut self, event: Event, scene: &mut Scene<'_, '_>) {
        match event {
            Event::StepDue(ticket) => self.on_step_due(ticket, scene),
            Event::RebalanceDue(ticket) => {
                let runs = self.quorum_available();
                self.core.on_rebalance_due(ticket, runs, scene);
            }
            Event::SweepDue(ticket) => {
                let runs = self.quorum_available();
                self.core.on_sweep_due(ticket, runs, scene);
            }
            Event::SessionEnded(ticket) => mode!(self, on_session_ended(ticket, scene)),
            Event::ContactMade(ticket) => mode!(self, on_contact_made(ticket, scene)),
            Event::StartTried(ticket) => mode!(self, on_start_tried(ticket, scene)),
            Event::ShutdownTried(ticket) => mode!(self, on_shutdown_tried(ticket, scene)),
            Event::QuorumTurned(ticket) => mode!(self, on_quorum_turned(ticket, scene)),
            Event::ControllerRaced(ticket) => mode!(self, on_controller_raced(ticket, scene)),
            Event::WriteDue(ticket) => mode!(self, on_write_due(ticket, scene)),
        }
        self.settle(scene);
    }

    /// A broker's process is gone. If it was told that it may exit, this is its orderly end.
    pub fn broker_killed(&mut self, broker: BrokerId, scene: &mut Scene<'_, '_>) {
        self.core.brokers[broker.index()].process = Process::Dead;
        mode!(self, broker_changed(broker, scene));
        self.settle(scene);
    }

    /// A broker's process does nothing any more, and its connections stay.
    pub fn broker_frozen(&mut self, broker: BrokerId, scene: &mut Scene<'_, '_>) {
        self.core.brokers[broker.index()].process = Process::Frozen;
        mode!(self, broker_changed(broker, scene));
        self.settle(scene);
    }

    /// A frozen process goes on.
    pub fn broker_thawed(&mut self, broker: BrokerId, scene: &mut Scene<'_, '_>) {
        self.core.brokers[broker.index()].process = Process::Running;
        mode!(self, broker_changed(broker, scene));
        self.settle(scene);
    }

    /// A process was started and wants to register. `unclean`: its logs had not been closed.
    pub fn broker_started(&mut self, broker: BrokerId, unclean: bool, scene: &mut Scene<'_, '_>) {
        let state = &mut self.core.brokers[broker.index()];
        state.process = Process::Running;
        state.exiting = false;
        mode!(self, broker_started(broker, unclean, scene));
        self.settle(scene);
    }

    /// A ZooKeeper server or KRaft controller is gone. (In combined mode the end of the broker is
    /// enough.)
    pub fn node_killed(&mut self, node: usize, scene: &mut Scene<'_, '_>) {
        mode!(self, node_changed(node, Now::Dead { orderly: false }, scene));
        self.settle(scene);
    }

    /// A ZooKeeper server or KRaft controller was started.
    pub fn node_started(&mut self, node: usize, scene: &mut Scene<'_, '_>) {
        mode!(self, node_changed(node, Now::Started, scene));
        self.settle(scene);
    }

    /// A ZooKeeper server or KRaft controller does nothing any more, and its connections stay.
    pub fn node_frozen(&mut self, node: usize, scene: &mut Scene<'_, '_>) {
        mode!(self, node_changed(node, Now::Frozen, scene));
        self.settle(scene);
    }

    /// A frozen ZooKeeper server or KRaft controller goes on.
    pub fn node_thawed(&mut self, node: usize, scene: &mut Scene<'_, '_>) {
        mode!(self, node_changed(node, Now::Running, scene));
        self.settle(scene);
    }

    /// The links in the scene are new.
    pub fn links_changed(&mut self, scene: &mut Scene<'_, '_>) {
        mode!(self, links_changed(scene));
        self.settle(scene);
    }

    /// A broker wants to stop in an orderly way; [`Change::ShutdownGranted`] tells when it may.
    pub fn request_shutdown(&mut self, broker: BrokerId, scene: &mut Scene<'_, '_>) {
        mode!(self, request_shutdown(broker, scene));
        self.settle(scene);
    }

    /// A leader wants another ISR. Answered by [`Change::Partition`] or [`Change::IsrRefused`],
    /// once the controller hears it and can commit; an answer may be long in coming. It is lost
    /// with the leader's process.
    pub fn alter_isr(&mut self, wish: Proposal, scene: &mut Scene<'_, '_>) {
        mode!(self, alter_isr(wish, scene));
        self.settle(scene);
    }

    /// A topic shall have this many partitions. Waits until it can be committed.
    pub fn add_partitions(&mut self, topic: usize, total: u32, scene: &mut Scene<'_, '_>) {
        self.core.create(topic, total, scene);
        self.settle(scene);
    }

    /// The operator accepts losses: partitions of a topic without leader get one among whichever
    /// replicas are live. Waits until it can be committed.
    pub fn elect_unclean(&mut self, topic: usize, scene: &mut Scene<'_, '_>) {
        self.core.elect_unclean(topic, scene);
        self.settle(scene);
    }

    /// Whether the controller counts on a broker: registered and not fenced.
    #[must_use]
    pub fn is_live(&self, broker: BrokerId) -> bool {
        self.core.live.has(broker)
    }

    /// Whether the quorum has a leader that can commit now.
    #[must_use]
    pub fn quorum_available(&self) -> bool {
        match &self.mode {
            Mode::KRaft(kraft) => kraft.quorum_available(),
            Mode::ZooKeeper(zookeeper) => zookeeper.quorum_available(),
        }
    }

    /// How many ZooKeeper servers or KRaft controllers there are.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.nodes().len()
    }

    /// Whether a ZooKeeper server or KRaft controller runs and does not stand still.
    #[must_use]
    pub fn node_runs(&self, node: usize) -> bool {
        self.nodes()[node].up
    }

    /// Whether the process of a ZooKeeper server or KRaft controller stands still.
    #[must_use]
    pub fn node_is_frozen(&self, node: usize) -> bool {
        self.nodes()[node].frozen
    }

    /// The ZooKeeper server or KRaft controller that leads the quorum.
    #[must_use]
    pub fn quorum_leader(&self) -> Option<usize> {
        match &self.mode {
            Mode::KRaft(kraft) => kraft.active(),
            Mode::ZooKeeper(zookeeper) => zookeeper.ensemble_leader(),
        }
    }

    fn nodes(&self) -> &[Node] {
        match &self.mode {
            Mode::KRaft(kraft) => kraft.nodes(),
            Mode::ZooKeeper(zookeeper) => zookeeper.nodes(),
        }
    }

    /// Who is the controller, by index of broker (ZooKeeper) or node (KRaft).
    #[must_use]
    pub fn active_controller(&self) -> Option<usize> {
        match &self.mode {
            Mode::KRaft(kraft) => kraft.active(),
            Mode::ZooKeeper(zookeeper) => zookeeper.active(),
        }
    }

    /// Checks what must always hold: a leader is in its ISR, ISR and ELR are replicas, and the
    /// controller's own books fit the metadata.
    ///
    /// # Panics
    /// If something does not hold.
    pub fn audit(&self, metadata: &Metadata) {
        self.core.audit(metadata);
    }

    fn on_step_due(&mut self, ticket: Ticket, scene: &mut Scene<'_, '_>) {
        if !self.core.work.fires(ticket, scene.ctx) {
            return;
        }
        while let Some(step) = self.core.work.pop_due(scene.ctx.now) {
            if let Some(milestone) = self.core.carry_out(step, scene) {
                mode!(self, on_milestone(milestone, scene));
            }
        }
        self.core.work.arm(scene.ctx);
    }

    /// After every call: the thread runs if it can, wishes that are heard now are sent, and the
    /// next periodic looks are planned.
    fn settle(&mut self, scene: &mut Scene<'_, '_>) {
        let runs = mode!(self, can_work(scene));
        self.core.work.set_running(runs, scene.ctx);
        if self.core.has_waiting() {
            let heard: BrokerSet = mode!(self, heard(scene));
            mode!(self, send_waiting(heard, scene));
        }
        if runs {
            self.core.plan_looks(scene.ctx);
        }
    }
}
