//! The documents keep their word: every example in them checks, what they list is complete, and
//! every id that code cites is in them.

use std::collections::BTreeSet;

use scenarios::knobs::{KAFKA, KCL, KPL};
use scenarios::schema::KafkaVersion;
use scenarios::{SHIPPED, TEMPLATE, load};
use sim_core::metrics::catalogue::METRICS;

use crate::tidy::files;

const REFERENCE: &str = include_str!("../docs/scenarios.md");
const README: &str = include_str!("../README.md");

/// What a fragment leaves out, section by section.
const REST: &[(&str, &str)] = &[
    ("title", r#"title: "A fragment","#),
    ("duration", r#"duration: "30m","#),
    ("systems", r#"systems: { "clicks": Kinesis(capacity: Provisioned(shards: 10)) },"#),
    (
        "producers",
        r#"producers: { "web": (to: "clicks", rate: "6000/s", hot_keys: {"user-1": "5%"}) },"#,
    ),
    (
        "consumers",
        r#"consumers: { "profiles": Kcl(from: "clicks", workers: 5, service_time: "300us") },"#,
    ),
    ("expect", r#"expect: [Below("baseline", "throttled_ratio", "90%")],"#),
];

/// The blocks of a document that are written in the scenario language.
fn examples(text: &str) -> Vec<String> {
    let blocks = text.split("\n```ron\n").skip(1);
    blocks.map(|block| block.split("\n```").next().unwrap_or("").to_owned()).collect()
}

/// A whole scenario of a block: itself, or its sections and those that it leaves out.
fn completed(block: &str) -> String {
    if block.contains("Scenario(") {
        return block.to_owned();
    }
    let has = |section: &str| {
        let start = format!("{section}:");
        block.lines().any(|line| line.starts_with(&start))
    };
    let rest = REST.iter().filter(|(section, _)| !has(section));
    let rest: Vec<&str> = rest.map(|(_, text)| *text).collect();
    format!("Scenario(\n{}\n{block}\n)", rest.join("\n"))
}

#[test]
fn every_example_checks_without_a_warning() {
    let mut count = 0;
    for (name, text) in [("scenarios.md", REFERENCE), ("README.md", README)] {
        for block in examples(text) {
            let read = |_: &str| Ok("0,1000\n600,4000\n".to_owned());
            let loaded = load(name, &completed(&block), &[], &read);
            let loaded = loaded.unwrap_or_else(|problems| panic!("{block}\n{problems}"));
            let warnings = &loaded.warnings;
            assert!(warnings.list.is_empty(), "{block}\n{warnings}");
            count += 1;
        }
    }
    assert!(count >= 10, "only {count} examples were found");
}

/// All names of fields in a tree, but not the names that authors choose.
fn fields(tree: &serde_json::Value, found: &mut BTreeSet<String>) {
    match tree {
        serde_json::Value::Object(object) => {
            for (key, value) in object {
                let of_author = ["systems", "producers", "consumers", "sinks", "topics"];
                found.insert(key.clone());
                match value.as_object() {
                    Some(named) if of_author.contains(&key.as_str()) => {
                        named.values().for_each(|it| fields(it, found));
                    }
                    _ if ["config", "hot_keys", "mitigations"].contains(&key.as_str()) => {}
                    _ => fields(value, found),
                }
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|it| fields(it, found)),
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::String(_) => {}
    }
}

#[test]
fn the_reference_names_every_field_key_and_metric() {
    let mut names: BTreeSet<String> = METRICS.iter().map(|it| it.name.to_owned()).collect();
    for knob in KPL.modelled.iter().chain(KCL.modelled) {
        names.insert(knob.name.to_owned());
    }
    names.extend(KAFKA.iter().flat_map(|it| it.modelled).map(|it| it.knob.name.to_owned()));
    let shipped = SHIPPED.iter().map(|it| it.text).chain([TEMPLATE]);
    let blocks = examples(REFERENCE).into_iter().map(|it| completed(&it));
    for text in shipped.map(ToOwned::to_owned).chain(blocks) {
        let read = |_: &str| Ok("0,1000\n600,4000\n".to_owned());
        let loaded = load("shipped.ron", &text, &[], &read).unwrap();
        fields(&scenarios::tree::to_tree(&loaded.scenario), &mut names);
    }
    let known = |name: &String| {
        let forms = [format!("`{name}`"), format!("`{name}("), format!(" {name}(..)`")];
        forms.iter().any(|it| REFERENCE.contains(it))
    };
    let missing: Vec<_> = names.iter().filter(|name| !known(name)).collect();
    assert!(missing.is_empty(), "not in docs/scenarios.md: {missing:?}");
}

/// Defaults and ranges of real configuration stand in the reference as they stand in the code.
#[test]
fn the_reference_gives_the_defaults_of_configuration_keys() {
    for knob in KPL.modelled.iter().chain(KCL.modelled) {
        let start = format!("| `{}` |", knob.name);
        let row = REFERENCE.lines().find(|line| line.starts_with(&start));
        let row = row.unwrap_or_else(|| panic!("no row for {}", knob.name));
        let default = knob.default_value().to_string();
        assert!(row.contains(&default), "{row}\ndefault is {default}");
    }
}

/// The same for Kafka, where each version has its own; topics follow their brokers instead.
#[test]
fn the_reference_gives_the_defaults_of_kafka_by_version() {
    for knob in KAFKA.iter().filter(|it| it.name != "Kafka topic").flat_map(|it| it.modelled) {
        let defaults = KafkaVersion::ALL.map(|version| match knob.of(version) {
            None => "-".to_owned(),
            Some(it) if it.default.is_empty() => "unset".to_owned(),
            Some(it) => it.default_value().to_string(),
        });
        let (start, end) =
            (format!("| `{}` | ", knob.knob.name), format!(" | {} |", defaults.join(" | ")));
        let is_row = |line: &&str| line.starts_with(&start) && line.ends_with(&end);
        assert!(REFERENCE.lines().any(|line| is_row(&line)), "no row `{start}..{end}`");
    }
}

#[test]
fn the_documents_list_the_shipped_scenarios() {
    let listed = [
        ("hot_key", "One key takes a third of the traffic"),
        ("on_demand_ramp", "A launch outruns on-demand capacity"),
        ("rebalance_storm", "One pod in a restart loop stops a whole consumer group"),
        ("zk_quorum_loss", "ZooKeeper loses its majority and nobody notices"),
    ];
    for shipped in SHIPPED {
        let line = listed.iter().find(|(name, _)| *name == shipped.name);
        let (name, story) = line.unwrap_or_else(|| panic!("{} is not listed", shipped.name));
        let row = format!("| `{name}` | {story}");
        assert!(README.contains(&row), "README.md has no row `{row}`");
    }
}

/// Whether a word is the id of a fact, a published result or a decision.
fn is_id(word: &str) -> bool {
    let is_number = |it: &str| !it.is_empty() && it.bytes().all(|b| b.is_ascii_digit());
    let is_family = |it: &str| !it.is_empty() && it.bytes().all(|b| b.is_ascii_uppercase());
    match word.split('-').collect::<Vec<_>>().as_slice() {
        ["D" | "V", number] => is_number(number),
        ["N" | "K", family, number] => is_family(family) && is_number(number),
        _ => false,
    }
}

/// The ids of one family from the first to the last.
fn between(first: &str, last: &str) -> Vec<String> {
    let trim = |it: &str| it.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned();
    let (first, last) = (trim(first), trim(last));
    let parts = first.rsplit_once('-').zip(last.rsplit_once('-'));
    let Some(((family, from), (of_last, to))) = parts.filter(|(a, b)| a.0 == b.0) else {
        return Vec::new();
    };
    debug_assert_eq!(family, of_last);
    let numbers = from.parse::<u32>().ok().zip(to.parse::<u32>().ok());
    let numbers = numbers.map_or(0..=0, |(from, to)| from..=to);
    numbers.filter(|_| is_id(&first)).map(|number| format!("{family}-{number}")).collect()
}

#[test]
fn cited_ids_resolve_and_facts_are_cited() {
    let rows = |of: &str| -> BTreeSet<String> {
        let text = files(&[of]).remove(0).1;
        let first = text.lines().filter_map(|line| line.strip_prefix("| ")?.split(' ').next());
        first.filter(|it| is_id(it)).map(ToOwned::to_owned).collect()
    };
    let (facts, decisions) = (rows("docs/facts.md"), rows("docs/decisions.md"));
    let mut cited = BTreeSet::new();
    for (name, text) in files(&[".rs", ".ron", ".md"]) {
        for word in
            text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').filter(|it| is_id(it))
        {
            let resolves = facts.contains(word) || decisions.contains(word);
            assert!(resolves, "{name} cites {word}: no such row in docs/");
            cited.extend(Some(word.to_owned()).filter(|_| !name.ends_with(".md")));
        }
        // `K-ZK-1 to K-ZK-7` cites what lies between as well.
        let words: Vec<&str> = text.split_whitespace().collect();
        for three in words.windows(3).filter(|it| it[1] == "to" && !name.ends_with(".md")) {
            cited.extend(between(three[0], three[2]));
        }
    }
    let idle: Vec<_> = facts.difference(&cited).collect();
    assert!(idle.is_empty(), "facts that nothing cites: {idle:?}");
}

#[test]
fn the_readme_shows_what_its_first_command_prints_and_draws() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = tempfile::tempdir().expect("a folder");
    let run = std::process::Command::new(env!("CARGO_BIN_EXE_streamsim"))
        .args(["run", "scenarios/hot_key.ron", "--out"])
        .arg(out.path())
        .current_dir(root)
        .output()
        .expect("streamsim runs");
    assert!(run.status.success(), "{run:?}");
    let printed = String::from_utf8_lossy(&run.stdout);
    let printed: BTreeSet<&str> = printed.lines().map(str::trim_end).collect();
    let excerpt = README.split("```text\n").nth(1).unwrap_or_default();
    let excerpt = excerpt.split("```").next().unwrap_or_default();
    let old: Vec<&str> = excerpt.lines().filter(|it| !printed.contains(it)).collect();
    assert!(old.is_empty(), "README.md shows what is no longer printed: {old:#?}");
    assert!(excerpt.lines().count() > 10, "README.md has no excerpt");
    let drawn = std::fs::read(out.path().join("hot_key/charts/throughput.svg"));
    let shown = std::fs::read(root.join("docs/hot_key_throughput.svg"));
    assert!(
        drawn.expect("a chart") == shown.expect("a chart"),
        "CONTRIBUTING.md says how to renew the chart"
    );
}
