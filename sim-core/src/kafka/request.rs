//! A produce request, from the client's launch to the answer.

use crate::engine::SimTime;
use crate::flow::{Batch, FlowId};

use super::detour::Detour;
use super::metadata::{BrokerId, PartitionId};

/// Why a batch was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// NOT_LEADER_OR_FOLLOWER: metadata is old.
    NotLeader,
    /// NOT_ENOUGH_REPLICAS: nothing was appended.
    NotEnoughReplicas,
    /// NOT_ENOUGH_REPLICAS_AFTER_APPEND: it was, and the ISR is too small (before 3.7).
    NotEnoughReplicasAfterAppend,
    /// OUT_OF_ORDER_SEQUENCE_NUMBER: an earlier batch is missing.
    OutOfOrder,
    /// REQUEST_TIMED_OUT: appended, and the watermark did not come.
    TimedOut,
    /// The connection broke before an answer.
    Disconnected,
}

/// What the client knows of a batch: one partition's records that are sent, stored and answered
/// together. Its parts are kept beside it, in the same order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    /// The flow's number of the batch.
    pub(crate) serial: u32,
    /// How many parts (runs of one class and offered instant).
    pub(crate) parts: u32,
    pub(crate) records: u32,
    pub(crate) bytes: u32,
    pub(crate) created_at: SimTime,
    /// When its first attempt was sent; `SimTime::MAX` before.
    pub(crate) first_sent_at: SimTime,
    /// When its last attempt was sent.
    pub(crate) launched_at: SimTime,
    /// Not before this instant again.
    pub(crate) retry_at: SimTime,
    /// Failed attempts.
    pub(crate) failures: u32,
    /// Why it waits for another attempt, and when the one that failed was sent.
    pub(crate) failed: Option<(Refusal, SimTime)>,
    pub(crate) detour: Detour,
    /// A live copy of it is in the log.
    pub(crate) stored: bool,
}

/// A batch in a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item {
    pub(crate) partition: PartitionId,
    pub(crate) head: Head,
    pub(crate) outcome: Option<Refusal>,
    /// It waits for the watermark.
    pub(crate) waits: bool,
    /// Its client has given it up while it was in flight.
    pub(crate) expired: bool,
}

/// A produce request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) flow: FlowId,
    pub(crate) broker: BrokerId,
    /// Numbers of requests are used again; events carry this as well.
    pub(crate) generation: u32,
    pub(crate) sent_at: SimTime,
    pub(crate) items: Vec<Item>,
    /// The parts of all items, item after item.
    pub(crate) parts: Vec<Batch>,
    /// Items that still wait for the watermark.
    pub(crate) waiting: u32,
    pub(crate) bytes: u64,
    /// It has come to the broker.
    pub(crate) received: bool,
    /// Its answer waits for the link to the client.
    pub(crate) answered: bool,
}

/// A request in the line for a partition's watermark.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiter {
    /// It waits until the watermark is here.
    pub(crate) offset: u64,
    pub(crate) request: u32,
    pub(crate) generation: u32,
    /// Which of its items.
    pub(crate) item: u32,
}
