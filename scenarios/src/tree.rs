//! A scenario as a tree of JSON values, in which any field has a path and can be changed
//! (decision D-2): mitigations, `--set` and sweeps all go through [`set`].
//!
//! A variant is an object of one entry, `{"Provisioned": {"shards": 10}}`. Its name may be left
//! out of a path; naming another one replaces it. In the maps `config` and `hot_keys` all that
//! follows is one key.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use crate::effective::{client, quorum};
use crate::nearest;
use crate::path::{KEY_MAPS, Path, Step, parse_path};
use crate::schema::{Scenario, System};
use crate::source::{BARE_VARIANTS, short_for};
use crate::span::{Kind, Node, plain_text, scan};
use crate::units::shortened;

/// Maps from names that the author chose.
const NAME_MAPS: [&str; 5] = ["systems", "producers", "consumers", "sinks", "mitigations"];
/// Paths that are compared to find the nearest.
const MOST_COMPARED: usize = 1_000;

/// Why a change cannot be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetError {
    /// There is no such path.
    Path {
        /// A sentence.
        message: String,
        /// The nearest.
        help: Option<String>,
    },
    /// What stands there cannot have that value.
    Value {
        /// A sentence.
        message: String,
    },
}

/// The scenario with another value at a path, and that path without names of variants.
///
/// # Errors
/// If there is no such path, or the value does not fit it.
pub fn set(scenario: &Scenario, path: &str, text: &str) -> Result<(Scenario, Path), SetError> {
    let wrong_path = |(message, help)| SetError::Path { message, help };
    let path = parse_path(path).map_err(|message| wrong_path((message, None)))?;
    let tree = to_tree(&with_defaults(scenario, &path));
    let mut first_error = None;
    let mut plain = Path::default();
    for candidate in all_candidates(&tree, &path, text) {
        let mut changed = tree.clone();
        plain = Path::default();
        put(&mut changed, &path.0, &mut plain, candidate)
            .map_err(|wrong| wrong_path(wrong.explained(&tree, &path)))?;
        match serde_json::from_value(changed) {
            Ok(scenario) => return Ok((scenario, plain)),
            Err(error) => {
                let _ = first_error.get_or_insert(error);
            }
        }
    }
    let message = first_error.map_or_else(String::new, |error| error.to_string());
    Err(SetError::Value {
        message: format!("`{plain}` cannot be {}: {}", quoted(text), friendly(&message)),
    })
}

/// The scenario with what a path leads into, where the file leaves a whole variant to a default.
fn with_defaults<'s>(scenario: &'s Scenario, path: &Path) -> Cow<'s, Scenario> {
    let names = path.0.iter().map(|step| match step {
        Step::Name(name) => name.as_str(),
        Step::Index(_) => "",
    });
    let names: Vec<&str> = names.collect();
    let [section, member, inner @ .., _] = names.as_slice() else {
        return Cow::Borrowed(scenario);
    };
    let mut filled = Cow::Borrowed(scenario);
    if *section == "producers" && inner.contains(&"client") {
        let client = scenario.producers.get(*member).map(|it| client(scenario, it).into_owned());
        if let Some(producer) = filled.to_mut().producers.get_mut(*member) {
            producer.client = client;
        }
    } else if *section == "systems"
        && inner.contains(&"quorum")
        && let Some(System::Kafka(kafka)) = filled.to_mut().systems.get_mut(*member)
    {
        kafka.quorum = Some(quorum(kafka).into_owned());
    }
    filled
}

fn quoted(text: &str) -> String {
    format!("`{}`", shortened(text))
}

/// A scenario as a tree.
#[must_use]
pub fn to_tree(scenario: &Scenario) -> Value {
    // Every key of the schema is a string and every number finite, so this cannot fail.
    serde_json::to_value(scenario).unwrap_or(Value::Null)
}

/// serde's words for Rust types, in the words of a scenario's author.
fn friendly(message: &str) -> String {
    let mut text = message.to_owned();
    for (from, to) in [
        ("invalid type: ", "got "),
        ("invalid value: ", "got "),
        ("integer `", "`"),
        ("floating point `", "`"),
        ("boolean `", "`"),
        ("expected u32", "expected a whole number"),
        ("expected u64", "expected a whole number"),
        ("expected f64", "expected a number"),
        ("expected a boolean", "expected true or false"),
        ("expected a string", "expected text"),
    ] {
        text = text.replace(from, to);
    }
    text
}

fn all_candidates(tree: &Value, path: &Path, text: &str) -> Vec<Value> {
    let (plain, there) = walk(tree, path);
    let mut found = candidates(&plain, text);
    let variant = there.and_then(|value| variant_of(value, &plain));
    let of_text = |it: &String| there.is_some_and(|value| value[it].is_string());
    // `Exponential("1ms")` stays exponential; a rate from a file does not stay one.
    if let Some(variant) = variant.filter(|it| it != "Csv" && of_text(it)) {
        found.insert(0, json!({ variant: text }));
    }
    found
}

/// A path without names of variants, and the value there.
fn walk<'t>(tree: &'t Value, path: &Path) -> (Path, Option<&'t Value>) {
    let mut plain = Path::default();
    let mut here = Some(tree);
    for step in &path.0 {
        let variant = here.and_then(|value| variant_of(value, &plain));
        let inside = match (&variant, here) {
            (Some(variant), Some(value)) => value.get(variant),
            (None, _) | (_, None) => here,
        };
        match step {
            Step::Name(name) => {
                let unit = here.is_some_and(Value::is_string);
                if is_variant_name(name) && (variant.is_some() || unit) {
                    let same = variant.as_ref() == Some(name);
                    here = if same { here } else { None };
                    continue;
                }
                here = inside.and_then(|value| value.get(name));
                plain = plain.name(name);
            }
            Step::Index(index) => {
                here = inside.and_then(|value| value.get(index));
                plain = plain.index(*index);
            }
        }
    }
    (plain, here)
}

/// What a text may stand for, the most likely first: number or bool, RON, text.
fn candidates(path: &Path, text: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let trimmed = text.trim();
    match trimmed {
        "true" => found.push(Value::Bool(true)),
        "false" => found.push(Value::Bool(false)),
        "None" => found.push(Value::Null),
        _ => {}
    }
    let numeric = trimmed.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '.');
    if numeric && let Ok(whole) = trimmed.parse::<i64>() {
        found.push(json!(whole));
    } else if numeric && let Ok(whole) = trimmed.parse::<u64>() {
        found.push(json!(whole));
    } else if numeric && let Ok(real) = trimmed.parse::<f64>() {
        found.push(json!(real));
    }
    let like_ron = |c: char| c.is_uppercase() || "([{\"".contains(c);
    if trimmed.starts_with(like_ron)
        && let Ok(scan) = scan(trimmed)
        && scan.missing_commas.is_empty()
    {
        if scan.root.kind == Kind::Word {
            found.push(json!({ trimmed: {} }));
        }
        found.push(value_of(&scan.root, trimmed, path));
    }
    if let Some(variant) = short_for(path) {
        found.push(json!({ variant: text }));
    }
    found.push(Value::String(text.to_owned()));
    found
}

/// A piece of RON as a tree.
fn value_of(node: &Node, text: &str, path: &Path) -> Value {
    let token = text.get(node.span.clone()).unwrap_or("");
    let named = |name: &Option<String>, value: Value| match name.as_deref() {
        Some("Some") | None => value,
        Some(name) => json!({ name: value }),
    };
    let entries = |entries: &[crate::span::Entry]| {
        let pairs = entries.iter().map(|entry| {
            let path = path.name(&entry.key);
            (entry.key.clone(), value_of(&entry.value, text, &path))
        });
        Value::Object(pairs.collect::<Map<_, _>>())
    };
    let items = |items: &[Node]| {
        let values = items.iter().enumerate();
        let values = values.map(|(index, item)| value_of(item, text, &path.index(index)));
        values.collect::<Vec<_>>()
    };
    match &node.kind {
        Kind::Scalar => scalar(token),
        Kind::Text => match short_for(path) {
            Some(variant) => json!({ variant: plain_text(token) }),
            None => Value::String(plain_text(token)),
        },
        Kind::Word => match token {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            "None" => Value::Null,
            bare if BARE_VARIANTS.contains(&bare) => json!({ bare: {} }),
            word => Value::String(word.to_owned()),
        },
        Kind::Fields(name, fields) => named(name, entries(fields)),
        Kind::Tuple(name, parts) => {
            let mut values = items(parts);
            let value = match (values.len(), name) {
                (0, _) => Value::Object(Map::new()),
                (1, Some(_)) => values.remove(0),
                _ => Value::Array(values),
            };
            named(name, value)
        }
        Kind::List(parts) => Value::Array(items(parts)),
        Kind::Map(fields) => entries(fields),
    }
}

fn scalar(token: &str) -> Value {
    let digits = token.replace('_', "");
    if let Ok(whole) = digits.parse::<i64>() {
        json!(whole)
    } else if let Ok(whole) = digits.parse::<u64>() {
        json!(whole)
    } else if let Ok(real) = digits.parse::<f64>() {
        json!(real)
    } else {
        Value::String(token.to_owned())
    }
}

/// A step that leads nowhere.
struct NoWay {
    at: Path,
    step: Step,
    siblings: Vec<String>,
}

impl NoWay {
    fn explained(self, tree: &Value, wanted: &Path) -> (String, Option<String>) {
        let place =
            if self.at.0.is_empty() { "a scenario".to_owned() } else { format!("`{}`", self.at) };
        let message = match &self.step {
            Step::Name(name) => format!("{place} has no `{}`", shortened(name)),
            Step::Index(index) => {
                format!("{place} has no element {index}, only {}", self.siblings.len())
            }
        };
        let Step::Name(name) = &self.step else {
            return (message, None);
        };
        let siblings = || self.siblings.iter().map(String::as_str);
        if let Some(near) = nearest::nearest(name, siblings()) {
            let path = self.at.name(near);
            return (message, Some(format!("did you mean `{path}`?")));
        }
        let mut paths = Vec::new();
        collect(tree, &Path::default(), &mut |path, _| paths.push(path.to_string()));
        let near = nearest_paths(&wanted.to_string(), &paths);
        let help = (!near.is_empty()).then(|| format!("near it: `{}`", near.join("`, `")));
        (message, help.or_else(|| nearest::help(name, siblings())))
    }
}

/// Up to three paths that end alike, or look alike.
fn nearest_paths<'a>(wanted: &str, paths: &'a [String]) -> Vec<&'a str> {
    let last = |path: &str| path.rsplit(['.', ']']).next().unwrap_or("").to_owned();
    let wanted_last = last(wanted);
    let start = |path: &str| path.chars().take(60).collect::<String>();
    let wanted_start = start(wanted);
    let mut ranked: Vec<_> = paths
        .iter()
        .take(MOST_COMPARED)
        .map(|path| {
            let ends_alike = last(path) == wanted_last;
            let distance = strsim::damerau_levenshtein(&wanted_start, &start(path));
            (!ends_alike, distance, path.as_str())
        })
        .filter(|(differs, distance, path)| !differs || *distance <= 1 + path.len() / 4)
        .collect();
    ranked.sort();
    ranked.into_iter().take(3).map(|it| it.2).collect()
}

fn is_name_map(at: &Path) -> bool {
    match at.0.as_slice() {
        [Step::Name(only)] => NAME_MAPS.contains(&only.as_str()),
        [Step::Name(section), _, Step::Name(field)] if field == "topics" => section == "systems",
        _ => is_key_map(at),
    }
}

fn is_key_map(at: &Path) -> bool {
    let last_is_key_map =
        matches!(at.0.last(), Some(Step::Name(name)) if KEY_MAPS.contains(&name.as_str()));
    // A producer may well be called `config`.
    last_is_key_map && at.0.len() > 2
}

fn is_variant_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase())
}

/// The name of the variant that a value is, if it is one with something inside.
fn variant_of(value: &Value, at: &Path) -> Option<String> {
    let object = value.as_object()?;
    let only = object.keys().next()?;
    let is_variant = object.len() == 1 && is_variant_name(only) && !is_name_map(at);
    is_variant.then(|| only.clone())
}

/// Puts a value at a path; `at` becomes that path without names of variants.
fn put(value: &mut Value, rest: &[Step], at: &mut Path, new: Value) -> Result<(), NoWay> {
    let Some((step, further)) = rest.split_first() else {
        *value = new;
        return Ok(());
    };
    let named = match step {
        Step::Name(name) => name.as_str(),
        Step::Index(_) => "",
    };
    if let Some(variant) = variant_of(value, at) {
        if named == variant && further.is_empty() {
            *value = json!({ variant: new });
            return Ok(());
        }
        if is_variant_name(named) && named != variant {
            *value = json!({ named: {} });
        }
        let (inner_rest, key) =
            if is_variant_name(named) { (further, named) } else { (rest, variant.as_str()) };
        return match value.get_mut(key) {
            Some(inner) => put_inside(inner, inner_rest, at, new),
            None => Err(no_way(value, at, step)),
        };
    }
    // A unit variant (`"Random"`) gives way to another one.
    if value.is_string() && is_variant_name(named) {
        let mut inner = json!({});
        put_inside(&mut inner, further, at, new)?;
        *value = json!({ named: inner });
        return Ok(());
    }
    put_inside(value, rest, at, new)
}

/// The same, inside what is no variant itself.
fn put_inside(value: &mut Value, rest: &[Step], at: &mut Path, new: Value) -> Result<(), NoWay> {
    let Some((step, further)) = rest.split_first() else {
        *value = new;
        return Ok(());
    };
    if value.is_null() {
        *value = json!({});
    }
    if is_key_map(at)
        && new.is_null()
        && let ([], Step::Name(name), Value::Object(keys)) = (further, step, &mut *value)
    {
        // A key that is cleared is as if it had not been set.
        if keys.shift_remove(name).is_none() {
            return Err(no_way(value, at, step));
        }
        at.0.push(step.clone());
        return Ok(());
    }
    let open = is_key_map(at) || value.as_object().is_some_and(Map::is_empty);
    let closed = is_name_map(at) && !is_key_map(at);
    let failed = no_way(value, at, step);
    let inner = match (value, step) {
        (Value::Object(object), Step::Name(name)) => match object.get_mut(name) {
            Some(_) => object.get_mut(name),
            None if open && !closed => Some(object.entry(name).or_insert(Value::Null)),
            None => None,
        },
        (Value::Array(items), Step::Index(index)) => items.get_mut(*index),
        (Value::Object(object), Step::Index(index)) => object.get_mut(&index.to_string()),
        (
            Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_),
            _,
        ) => None,
    };
    let Some(inner) = inner else {
        return Err(failed);
    };
    at.0.push(step.clone());
    put(inner, further, at, new)
}

fn no_way(value: &Value, at: &Path, step: &Step) -> NoWay {
    let siblings = match value {
        Value::Object(object) => object.keys().cloned().collect(),
        Value::Array(items) => (0..items.len()).map(|it| it.to_string()).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    NoWay { at: at.clone(), step: step.clone(), siblings }
}

/// Visits every value that holds no other, with its path without names of variants.
pub(crate) fn collect(value: &Value, at: &Path, visit: &mut dyn FnMut(&Path, &Value)) {
    if let Some(variant) = variant_of(value, at)
        && let Some(inner) = value.get(&variant)
        && (inner.is_object() || inner.is_array())
        && inner.as_object().is_none_or(|it| !it.is_empty())
    {
        collect_inside(inner, at, visit);
    } else {
        collect_inside(value, at, visit);
    }
}

fn collect_inside(value: &Value, at: &Path, visit: &mut dyn FnMut(&Path, &Value)) {
    match value {
        Value::Object(object) if !object.is_empty() && variant_of(value, at).is_none() => {
            for (key, inner) in object {
                collect(inner, &at.name(key), visit);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, inner) in items.iter().enumerate() {
                collect(inner, &at.index(index), visit);
            }
        }
        Value::Object(_)
        | Value::Array(_)
        | Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_) => visit(at, value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::parse;
    use crate::schema::{Capacity, Client, Keys, RateShape};

    fn scenario() -> Scenario {
        parse(include_str!("../tests/hot_key.ron")).scenario.unwrap()
    }

    fn changed(path: &str, text: &str) -> Scenario {
        set(&scenario(), path, text).unwrap().0
    }

    fn capacity(scenario: &Scenario) -> &Capacity {
        &scenario.systems["clicks"].as_kinesis().unwrap().capacity
    }

    fn why(path: &str, text: &str) -> String {
        match set(&scenario(), path, text).unwrap_err() {
            SetError::Path { message, help } => format!("{message}; {}", help.unwrap_or_default()),
            SetError::Value { message } => message,
        }
    }

    #[test]
    fn a_plain_field_takes_numbers_and_text() {
        assert_eq!(changed("producers.web.salt", "8").producers["web"].salt, 8);
        assert_eq!(changed("duration", "1h").duration.to_string(), "1h");
        assert_eq!(changed("title", "42").title, "42");
    }

    #[test]
    fn every_leaf_can_be_set_to_what_it_is() {
        let scenario = scenario();
        collect(&to_tree(&scenario), &Path::default(), &mut |path, value| {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Null => "None".to_owned(),
                Value::Object(object) => match object.iter().next() {
                    None => "{}".to_owned(),
                    Some((_, inner)) => inner.as_str().unwrap_or_default().to_owned(),
                },
                Value::Bool(_) | Value::Number(_) | Value::Array(_) => value.to_string(),
            };
            let (same, plain) = set(&scenario, &path.to_string(), &text).unwrap();
            assert_eq!(same, scenario, "{path} = {text}");
            assert_eq!(plain, *path);
        });
    }

    #[test]
    fn the_name_of_a_variant_may_be_left_out_or_named() {
        let twenty = Capacity::Provisioned { shards: 20 };
        for path in [
            "systems.clicks.capacity.shards",
            "systems.clicks.capacity.Provisioned.shards",
            "systems.clicks.Kinesis.capacity.shards",
        ] {
            let (scenario, plain) = set(&scenario(), path, "20").unwrap();
            assert_eq!(*capacity(&scenario), twenty, "{path}");
            assert_eq!(plain.to_string(), "systems.clicks.capacity.shards");
        }
    }

    #[test]
    fn naming_another_variant_replaces_the_one_there() {
        let on_demand = Capacity::OnDemand(crate::schema::OnDemand::default());
        let path = "systems.clicks.capacity";
        assert_eq!(*capacity(&changed(path, "OnDemand")), on_demand);
        assert_eq!(
            *capacity(&changed(path, "Provisioned(shards: 7)")),
            Capacity::Provisioned { shards: 7 }
        );
        let with_peak = changed("systems.clicks.capacity.OnDemand.peak_history", "40MB/s");
        let Capacity::OnDemand(on_demand) = capacity(&with_peak) else {
            panic!("still provisioned");
        };
        assert_eq!(on_demand.peak_history.to_string(), "40MB/s");
        assert_eq!(changed("producers.web.keys", "Random").producers["web"].keys, Keys::Random);
    }

    #[test]
    fn a_short_form_means_what_it_means_in_a_file() {
        let rate = RateShape::Constant("9000/s".parse().unwrap());
        assert_eq!(changed("producers.web.rate", "9000/s").producers["web"].rate, rate);
        let text = "(to: \"clicks\", rate: \"9000/s\", client: Sdk)";
        let web = &changed("producers.web", text).producers["web"];
        assert_eq!(web.rate, rate);
        assert!(matches!(web.client, Some(Client::Sdk(_))));
    }

    #[test]
    fn a_variant_of_one_value_keeps_its_name_unless_another_is_given() {
        let exponential = changed("consumers.profiles.service_time", "Exponential(\"1ms\")");
        let path = "consumers.profiles.service_time";
        let (longer, _) = set(&exponential, path, "2ms").unwrap();
        let (fixed, _) = set(&exponential, path, "Fixed(\"2ms\")").unwrap();
        let time =
            |scenario: &Scenario| scenario.consumers["profiles"].as_kcl().unwrap().service_time;
        let two = "2ms".parse().unwrap();
        assert_eq!(time(&longer), crate::schema::ServiceTime::Exponential(two));
        assert_eq!(time(&fixed), crate::schema::ServiceTime::Fixed(two));
        let from_file = changed("producers.web.rate", "Csv(\"rates.csv\")");
        let (constant, _) = set(&from_file, "producers.web.rate", "9000/s").unwrap();
        let rate = RateShape::Constant("9000/s".parse().unwrap());
        assert_eq!(constant.producers["web"].rate, rate);
    }

    #[test]
    fn a_value_may_be_a_whole_struct_in_the_language_of_the_file() {
        let text = "Sdk(retry_failed: (attempts: 10, base: \"100ms\", ceiling: \"5s\"))";
        let web = &changed("producers.web.client", text).producers["web"];
        let Some(Client::Sdk(sdk)) = &web.client else {
            panic!("still the KPL");
        };
        assert_eq!(sdk.retry_failed.as_ref().map(|retry| retry.attempts), Some(10));
        let none = changed("producers.web.client", "Sdk(retry_failed: None)");
        let Some(Client::Sdk(sdk)) = &none.producers["web"].client else {
            panic!("still the KPL");
        };
        assert_eq!(sdk.retry_failed, None);
    }

    #[test]
    fn all_after_config_is_one_key() {
        let scenario = changed("producers.web.client.config.a.dotted.key", "7");
        let Some(Client::Kpl(kpl)) = &scenario.producers["web"].client else {
            panic!("no KPL");
        };
        assert_eq!(kpl.config["a.dotted.key"].to_string(), "7");
        let hot = changed("producers.web.hot_keys.user.1", "10%");
        assert_eq!(hot.producers["web"].hot_keys["user.1"].to_string(), "10%");
    }

    #[test]
    fn an_unknown_path_names_the_nearest() {
        assert_eq!(
            why("producers.web.slat", "8"),
            "`producers.web` has no `slat`; did you mean `producers.web.salt`?"
        );
        assert_eq!(
            why("producers.wbe.salt", "8"),
            "`producers` has no `wbe`; did you mean `producers.web`?"
        );
        assert_eq!(why("web.salt", "8"), "a scenario has no `web`; near it: `producers.web.salt`");
        assert_eq!(why("timeline[7].at", "8m"), "`timeline` has no element 7, only 1; ");
        assert!(why("producers.web.salt.more", "8").starts_with("`producers.web.salt` has no"));
        for path in ["", ".", "a..b", "a[", "a[x]", "producers.web.client.config."] {
            assert!(why(path, "1").contains("is no path"), "{path}");
        }
    }

    #[test]
    fn a_value_that_does_not_fit_is_refused_with_the_reason() {
        assert_eq!(
            why("producers.web.salt", "x"),
            "`producers.web.salt` cannot be `x`: got string \"x\", expected a whole number"
        );
        assert_eq!(
            why("producers.web.rate", "9000/min"),
            "`producers.web.rate` cannot be `9000/min`: \
             expected a rate of records such as \"6000/s\" or \"5k/s\", got \"9000/min\""
        );
        assert!(why("duration", "30").contains("the bare number 30, which has no unit"));
        assert!(why("systems.clicks.capacity", "Provisioned").contains("missing field `shards`"));
    }
}
