//! A scenario for the record: every default filled in, and where each value comes from.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::defaults;
use crate::knobs::{KCL, KPL, Library};
use crate::load::{Loaded, Variant};
use crate::path::Path;
use crate::schema::{
    Capacity, Client, ConfigValue, Consumer, KclVersion, Named, RateShape, Scenario, System,
};
use crate::tree::{collect, to_tree};
use crate::units::Dur;

/// Sections that decide what a run does.
const RUNNING: [&str; 8] =
    ["duration", "seed", "resolution", "systems", "producers", "consumers", "sinks", "timeline"];

impl Loaded {
    /// The scenario as `manifest.json` holds it:
    ///
    /// * `scenario`: the whole tree, every default filled in;
    /// * `provenance`: for each value of it `file`, `set` or `default`;
    /// * `runs`: for each mitigation the paths that it changes, with both values.
    #[must_use]
    pub fn manifest(&self) -> Value {
        let filled = self.filled(&self.scenario);
        let mut provenance = Map::new();
        for path in leaves(&filled).into_keys() {
            let origin = self.origin(&path);
            provenance.insert(path.to_string(), json!(origin));
        }
        let runs = self.variants.iter().skip(1);
        let runs: Map<_, _> =
            runs.map(|variant| (variant.name.clone(), json!(self.differences(variant)))).collect();
        json!({
            "scenario": to_tree(&filled),
            "provenance": provenance,
            "runs": runs,
        })
    }

    /// What a mitigation changes, by path: `[baseline, here]`; null where it is not.
    #[must_use]
    pub fn differences(&self, variant: &Variant) -> BTreeMap<String, [Value; 2]> {
        let before = leaves(&self.filled(&self.scenario));
        let after = leaves(&self.filled(&variant.scenario));
        let paths = before.keys().chain(after.keys());
        paths
            .filter(|path| before.get(path) != after.get(path))
            .map(|path| {
                let value = |leaves: &BTreeMap<Path, Value>| {
                    leaves.get(path).cloned().unwrap_or(Value::Null)
                };
                (path.to_string(), [value(&before), value(&after)])
            })
            .collect()
    }

    fn origin(&self, path: &Path) -> &'static str {
        if self.set_paths.iter().any(|set| path.is_within(set)) {
            "set"
        } else if self.scan.has(path) {
            "file"
        } else {
            "default"
        }
    }

    fn filled(&self, scenario: &Scenario) -> Scenario {
        let mut scenario = scenario.clone();
        scenario.resolution = Some(Dur(self.resolution.0));
        for System::Kinesis(kinesis) in scenario.systems.values_mut() {
            let reshard_time = match kinesis.capacity {
                Capacity::Provisioned { .. } => defaults::RESHARD_TIME_PROVISIONED,
                Capacity::OnDemand(_) => defaults::RESHARD_TIME_ON_DEMAND,
            };
            kinesis.reshard_time.get_or_insert(reshard_time);
        }
        for producer in scenario.producers.values_mut() {
            if let RateShape::Diurnal { period, peak_at, .. } = &mut producer.rate {
                peak_at.get_or_insert(Dur(period.0 / 2));
            }
            if let Client::Kpl(kpl) = &mut producer.client {
                fill_config(&mut kpl.config, &KPL, None);
            }
        }
        for Consumer::Kcl(kcl) in scenario.consumers.values_mut() {
            fill_config(&mut kcl.config, &KCL, Some(kcl.version));
        }
        scenario
    }
}

fn fill_config(config: &mut Named<ConfigValue>, library: &Library, version: Option<KclVersion>) {
    for knob in library.modelled {
        let applies = knob.only.is_none() || knob.only == version;
        if applies && !config.contains_key(knob.name) {
            config.insert(knob.name.to_owned(), knob.default_value());
        }
    }
}

/// All values that decide what a run does, by path.
fn leaves(scenario: &Scenario) -> BTreeMap<Path, Value> {
    let mut found = BTreeMap::new();
    let tree = to_tree(scenario);
    for section in RUNNING {
        if let Some(value) = tree.get(section) {
            collect(value, &Path::default().name(section), &mut |path, value| {
                found.insert(path.clone(), value.clone());
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::load;

    fn loaded(sets: &[(&str, &str)]) -> Loaded {
        let sets: Vec<_> = sets.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect();
        let text = include_str!("../tests/hot_key.ron");
        load("hot_key.ron", text, &sets, &|_| Err("none".into())).unwrap()
    }

    #[test]
    fn every_value_says_whether_it_is_from_the_file_the_command_line_or_a_default() {
        let manifest = loaded(&[("producers.web.instances", "2")]).manifest();
        let provenance = &manifest["provenance"];
        let web = "producers.web";
        assert_eq!(provenance["systems.clicks.capacity.shards"], "file");
        assert_eq!(provenance["systems.clicks.put_latency"], "default");
        assert_eq!(provenance[format!("{web}.instances")], "set");
        assert_eq!(provenance[format!("{web}.rate")], "file");
        assert_eq!(provenance[format!("{web}.client.config.RecordMaxBufferedTime")], "file");
        assert_eq!(provenance[format!("{web}.client.config.RateLimit")], "default");
        assert_eq!(provenance["timeline[0].what.share"], "file");
    }

    #[test]
    fn the_recorded_scenario_reads_back_as_one_that_has_all_defaults() {
        let loaded = loaded(&[]);
        let manifest = loaded.manifest();
        let read: Scenario = serde_json::from_value(manifest["scenario"].clone()).unwrap();
        let (a, b) = (&loaded.scenario, &read);
        let world = |it| crate::lower::lower(it, &loaded.profiles, loaded.resolution, 1);
        assert_eq!(format!("{:?}", world(a)), format!("{:?}", world(b)));
        // 1,800 s x 4 flows x 10 shards: 50 ms makes 1.44 M parts, 20 ms more than 2 M.
        assert_eq!(manifest["scenario"]["resolution"], "50ms");
    }

    #[test]
    fn a_mitigation_is_recorded_as_what_it_changes() {
        let loaded = loaded(&[]);
        let salted = loaded.variant("salt the key x8").unwrap();
        let differences = loaded.differences(salted);
        let expected = [("producers.web.salt".to_owned(), [json!(1), json!(8)])];
        assert_eq!(differences, BTreeMap::from(expected));
    }
}
