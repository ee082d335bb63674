//! One step of a KIP-848 member towards its target: a pure decision, as the broker's
//! `CurrentAssignmentBuilder` takes it.
//!
//! | Mechanism                                                                                   | Fact    |
//! |---------------------------------------------------------------------------------------------|---------|
//! | keep current and target; what is to be revoked and still owned: UNREVOKED, at the old epoch | K-848-2 |
//! | once that is gone, add what nobody else owns: STABLE                                        | K-848-2 |
//! | or UNRELEASED, while something is owned elsewhere                                           | K-848-2 |

use crate::kafka::group::assignor::TopicPartition;
use crate::kafka::group::without;

/// How far the broker has brought a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// It has all of the target of its epoch.
    Stable,
    /// It was asked to give something up and has not confirmed it.
    Unrevoked,
    /// Something of its target is still owned elsewhere.
    Unreleased,
}

/// What a member has in the broker's books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) progress: Progress,
    /// Member epoch.
    pub(super) epoch: u32,
    pub(super) assigned: Vec<TopicPartition>,
    /// Asked back, and not confirmed.
    pub(super) revoking: Vec<TopicPartition>,
}

/// What the member is to reach.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target<'a> {
    pub(super) epoch: u32,
    pub(super) partitions: &'a [TopicPartition],
}

impl Standing {
    /// A member that has just joined.
    pub(super) fn new() -> Self {
        Self { progress: Progress::Stable, epoch: 0, assigned: Vec::new(), revoking: Vec::new() }
    }

    /// After a heartbeat that named what the member owns (`None`: no change since it last did).
    /// `is_free`: nobody has the partition.
    pub(super) fn next(
        &self,
        target: Target<'_>,
        owned: Option<&[TopicPartition]>,
        is_free: impl Fn(TopicPartition) -> bool,
    ) -> Self {
        let owns = |asked: &[TopicPartition]| {
            owned.is_none_or(|owned| asked.iter().any(|it| owned.contains(it)))
        };
        match self.progress {
            Progress::Stable if self.epoch == target.epoch => return self.clone(),
            Progress::Unrevoked if owns(&self.revoking) => return self.clone(),
            Progress::Stable | Progress::Unrevoked | Progress::Unreleased => {}
        }
        let revoking = without(&self.assigned, target.partitions);
        let mut assigned = without(&self.assigned, &revoking);
        if !revoking.is_empty() && owns(&revoking) {
            let epoch = self.epoch + u32::from(self.progress == Progress::Unrevoked);
            return Self { progress: Progress::Unrevoked, epoch, assigned, revoking };
        }
        let missing = without(target.partitions, &assigned);
        let before = assigned.len();
        assigned.extend(missing.iter().copied().filter(|&it| is_free(it)));
        let all = assigned.len() - before == missing.len();
        assigned.sort_unstable();
        let progress = if all { Progress::Stable } else { Progress::Unreleased };
        Self { progress, epoch: target.epoch, assigned, revoking: Vec::new() }
    }
}
