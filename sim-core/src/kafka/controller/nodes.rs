//! The machines that keep the metadata, ZooKeeper servers or KRaft controllers: which of them make
//! a majority.

use crate::engine::SimTime;

use super::links::Links;

/// One of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    /// Its zone.
    pub(super) zone: usize,
    /// Whether it runs and does not stand still.
    pub(super) up: bool,
    /// Whether its process is there and stands still.
    pub(super) frozen: bool,
    /// Whether it was started since there was last a leader.
    pub(super) fresh: bool,
    /// Since when it has run without hearing a leader.
    pub(super) alone_since: Option<SimTime>,
}

/// What has become of a node's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Now {
    /// It goes on after a freeze.
    Running,
    /// It was started.
    Started,
    /// It does nothing.
    Frozen,
    /// It is gone.
    Dead {
        /// After it handed over.
        orderly: bool,
    },
}

/// All of them, running.
pub(super) fn nodes(zones: &[usize]) -> Vec<Node> {
    let up = |&zone| Node { zone, up: true, frozen: false, fresh: false, alone_since: None };
    zones.iter().map(up).collect()
}

/// The running nodes that can all talk to each other and are more than half of all, ascending; empty
/// if there is no such group. There is never more than one.
pub(super) fn majority(nodes: &[Node], links: &Links) -> Vec<usize> {
    let group = |of: &Node| -> Vec<usize> {
        let all = nodes.iter().enumerate();
        let reached = all.filter(|(_, node)| node.up && links.connected(of.zone, node.zone));
        reached.map(|(index, _)| index).collect()
    };
    let running = nodes.iter().filter(|node| node.up);
    running.map(group).find(|group| nodes.len() < 2 * group.len()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two of three zones are a majority of three nodes; one zone with two of three nodes is one
    /// even when it is the one that is cut off.
    #[test]
    fn more_than_half_of_all_and_mutually_reachable() {
        let mut links = Links::default();
        links.cut(0);
        assert_eq!(majority(&nodes(&[0, 1, 2]), &links), [1, 2]);
        assert_eq!(majority(&nodes(&[0, 0, 1]), &links), [0, 1]);
        links.cut(1);
        assert_eq!(majority(&nodes(&[0, 1, 2]), &links), [0_usize; 0]);
        let mut four = nodes(&[2, 2, 2, 2]);
        assert_eq!(majority(&four, &links).len(), 4);
        four[0].up = false;
        four[1].up = false;
        assert_eq!(majority(&four, &links), [0_usize; 0], "half is not a majority");
    }
}
