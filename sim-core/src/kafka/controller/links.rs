//! Who can talk to whom: availability zones, some of them cut off from all others.
//!
//! Simplification: a cut is of a whole zone, in both directions, and drops packets silently. A link
//! that works one way only, or between two of three zones, is not modelled; whoever expects a
//! broker that sees the controller but not its peers will not find it here.

use std::collections::BTreeSet;

/// Which zones are cut off. Inside a zone everything stays connected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    cut: BTreeSet<usize>,
}

impl Links {
    /// Whether a packet from one zone reaches the other.
    #[must_use]
    pub fn connected(&self, zone_a: usize, zone_b: usize) -> bool {
        zone_a == zone_b || !(self.cut.contains(&zone_a) || self.cut.contains(&zone_b))
    }

    /// Cuts a zone off from all others.
    pub fn cut(&mut self, zone: usize) {
        self.cut.insert(zone);
    }

    /// Ends the cut of a zone.
    pub fn heal(&mut self, zone: usize) {
        self.cut.remove(&zone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_zone_talks_to_itself_only() {
        let mut links = Links::default();
        links.cut(1);
        assert!(links.connected(1, 1) && links.connected(0, 2));
        assert!(!links.connected(0, 1) && !links.connected(1, 2));
        links.heal(1);
        assert_eq!(links, Links::default());
    }
}
