//! Names that a file defines, for references to be held against.

use std::collections::{BTreeMap, BTreeSet};

use crate::path::{Path, root};
use crate::schema::{Named, Scenario};
use crate::span::{Kind, Scan};

/// The names of one section.
#[derive(Clone, Debug, Default)]
pub(crate) struct Section {
    names: BTreeSet<String>,
    /// The section could not be read: it may define any name.
    unread: bool,
}

impl Section {
    fn of<T>(names: &Named<T>) -> Self {
        Self { names: names.keys().cloned().collect(), unread: false }
    }

    /// Whether a reference to that name may stand.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.unread || self.names.contains(name)
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.unread && self.names.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> + Clone {
        self.names.iter().map(String::as_str)
    }

    /// Adds what stands in the file at a path, whether or not it could be read.
    fn read_from(&mut self, scan: &Scan, unread: &[Path], path: &Path) {
        self.unread |= unread.contains(path);
        let found = scan.find(path);
        if let Kind::Map(entries) = &found.node.kind
            && found.depth == path.0.len()
        {
            self.names.extend(entries.iter().map(|it| it.key.clone()));
        }
    }

    fn include(&mut self, other: &Self) {
        self.names.extend(other.names.iter().cloned());
        self.unread |= other.unread;
    }
}

/// Names that a scenario defines, whether or not what they stand for could be read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    pub(crate) systems: Section,
    pub(crate) producers: Section,
    pub(crate) consumers: Section,
    pub(crate) sinks: Section,
    /// Topics of each cluster.
    pub(crate) topics: BTreeMap<String, Section>,
    /// What stands in the file and could not be read.
    pub(crate) unread: Vec<Path>,
    /// `baseline` and the mitigations.
    pub(crate) runs: Section,
}

impl Names {
    pub(crate) fn of(scenario: &Scenario) -> Self {
        let mut runs = Section::of(&scenario.mitigations);
        runs.names.insert("baseline".to_owned());
        let clusters = scenario.systems.iter();
        let clusters = clusters.filter_map(|(name, it)| Some((name, it.as_kafka()?)));
        Self {
            systems: Section::of(&scenario.systems),
            producers: Section::of(&scenario.producers),
            consumers: Section::of(&scenario.consumers),
            sinks: Section::of(&scenario.sinks),
            topics: clusters.map(|(name, it)| (name.clone(), Section::of(&it.topics))).collect(),
            unread: Vec::new(),
            runs,
        }
    }

    /// Whether what a path holds is known, or left to a default because it could not be read.
    pub(crate) fn is_read(&self, path: &Path) -> bool {
        !self.unread.iter().any(|it| it.is_within(path))
    }

    /// Also what stands in a file but could not be read.
    pub(crate) fn with_unread(mut self, scan: &Scan, unread: &[Path]) -> Self {
        self.unread = unread.to_vec();
        for (cluster, section) in &mut self.topics {
            let path = root("systems").name(cluster).name("topics");
            section.read_from(scan, unread, &path);
        }
        for (name, section) in [
            ("systems", &mut self.systems),
            ("producers", &mut self.producers),
            ("consumers", &mut self.consumers),
            ("sinks", &mut self.sinks),
            ("mitigations", &mut self.runs),
        ] {
            section.read_from(scan, unread, &root(name));
        }
        self
    }

    pub(crate) fn include(&mut self, other: &Self) {
        self.systems.include(&other.systems);
        self.producers.include(&other.producers);
        self.consumers.include(&other.consumers);
        self.sinks.include(&other.sinks);
        self.unread.clone_from(&other.unread);
        for (cluster, topics) in &mut self.topics {
            if let Some(of_file) = other.topics.get(cluster) {
                topics.include(of_file);
            }
        }
        self.runs.include(&other.runs);
    }
}
