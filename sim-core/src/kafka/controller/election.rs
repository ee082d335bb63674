//! What becomes of one partition when its replicas come and go: a pure decision.
//!
//! | Mechanism                                                              | Fact    |
//! |------------------------------------------------------------------------|---------|
//! | First replica in assignment order that is live and in the ISR          | K-ELC-1 |
//! | A preferred election: the first replica or nobody                      | K-ELC-1 |
//! | The last member of an ISR stays in it, without leader                  | K-ELC-2 |
//! | Unclean: first live replica in order, ISR is that replica alone        | K-ELC-3 |
//! | Eligible leader replicas, the last known leader, unclean restarts      | K-ELC-4 |
//!
//! The leader epoch is raised when the leader changes, also to nobody. Simplification: ZooKeeper
//! mode really raises it at every change by the controller, which only costs followers one refused
//! fetch.

use super::super::metadata::{BrokerId, BrokerSet, PartitionState};

/// How a leader is sought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Election {
    /// Among the in-sync replicas, and only if there is none.
    Clean,
    /// The same, and if that fails among all replicas.
    Unclean,
    /// The first replica, if it may lead; else as it is.
    Preferred,
}

/// What is asked of a partition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    /// Who shall be in sync. Empty without ELR: the old ISR stays.
    pub(super) isr: BrokerSet,
    /// Who may lead: registered, and not on its way out.
    pub(super) acceptable: BrokerSet,
    /// Who came back without having closed its logs.
    pub(super) unclean_restart: BrokerSet,
    /// How a leader is sought.
    pub(super) election: Election,
    /// With ELR: `min.insync.replicas` in effect.
    pub(super) elr_below: Option<u32>,
}

/// What a partition becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    leader: Option<BrokerId>,
    isr: BrokerSet,
    elr: BrokerSet,
    last_leader: Option<BrokerId>,
    unclean: bool,
}

/// What a decision did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Effect {
    /// Something changed at all.
    pub(super) changed: bool,
    /// There is a new leader.
    pub(super) elected: bool,
    /// And records may be lost by it.
    pub(super) unclean: bool,
}

/// Decides.
pub(super) fn decide(state: &PartitionState, request: &Request) -> Decision {
    let mut elr = eligible(state, request);
    let mut isr = request.isr;
    let (leader, unclean) = elect(state, request, isr, elr);
    if let Some(leader) = leader {
        if unclean {
            isr = BrokerSet::of(leader);
            elr = BrokerSet::EMPTY;
        } else if elr.has(leader) {
            isr = BrokerSet::of(leader);
            elr = elr.without(leader);
        }
    }
    if isr.is_empty() && request.elr_below.is_none() {
        isr = state.isr;
    }
    // Noted when nobody leads any more, which may be before the ISR becomes empty: of brokers that
    // fall together each leaves by itself. Forgotten once somebody leads.
    let last_leader = match leader {
        None if request.elr_below.is_some() => state.leader.or(state.last_leader),
        Some(_) | None => None,
    };
    Decision { leader, isr, elr, last_leader, unclean }
}

/// Those who left the ISR while it was too small, and so have all that was committed.
fn eligible(state: &PartitionState, request: &Request) -> BrokerSet {
    match request.elr_below {
        Some(min) if request.isr.len() < min => {
            let had = state.elr.union(state.isr);
            had.iter().filter(|&b| !request.isr.has(b) && !request.unclean_restart.has(b)).collect()
        }
        Some(_) | None => BrokerSet::EMPTY,
    }
}

/// The leader, and whether records may be lost by it.
fn elect(
    state: &PartitionState,
    request: &Request,
    isr: BrokerSet,
    elr: BrokerSet,
) -> (Option<BrokerId>, bool) {
    let acceptable = request.acceptable;
    let has_all = if isr.is_empty() { elr } else { isr };
    let may_lead = |&broker: &BrokerId| has_all.has(broker) && acceptable.has(broker);
    if request.election == Election::Preferred
        && let Some(&first) = state.replicas.first()
        && may_lead(&first)
    {
        return (Some(first), false);
    }
    if let Some(leader) = state.leader.filter(may_lead) {
        return (Some(leader), false);
    }
    if let Some(leader) = state.replicas.iter().copied().find(may_lead) {
        return (Some(leader), false);
    }
    // With ELR and nobody left who is known to have everything.
    if request.elr_below.is_some() && has_all.is_empty() {
        let last = state.last_leader.filter(|&last| acceptable.has(last));
        if last.is_some() {
            return (last, true);
        }
    }
    match request.election {
        Election::Unclean => {
            let any = state.replicas.iter().copied().find(|&broker| acceptable.has(broker));
            (any, any.is_some())
        }
        Election::Clean | Election::Preferred => (None, false),
    }
}

impl Decision {
    /// Makes it so.
    pub(super) fn apply(self, state: &mut PartitionState) -> Effect {
        let same = (self.leader, self.isr) == (state.leader, state.isr)
            && (self.elr, self.last_leader) == (state.elr, state.last_leader);
        if same {
            return Effect::default();
        }
        let moved = self.leader != state.leader;
        if moved {
            state.leader_epoch += 1;
        }
        state.partition_epoch += 1;
        state.leader = self.leader;
        state.isr = self.isr;
        state.elr = self.elr;
        state.last_leader = self.last_leader;
        let elected = moved && self.leader.is_some();
        Effect { changed: true, elected, unclean: elected && self.unclean }
    }
}
