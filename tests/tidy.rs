//! Rules that no compiler checks: who may import whom, headers, sizes, leftovers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

/// Modules of sim-core from the ground up; each may import those of lower layers only.
const LAYERS: &[&str] = &[
    "engine hash",
    "config flow result",
    "blame ledger metrics order service workload",
    "sink checkers",
    "kafka kinesis",
    "world",
    "summary",
    "run",
];
/// What a module may know, if it is less than its layer.
const KNOWS: &[(&str, &str)] = &[("checkers", "config engine flow ledger")];
/// What the crates around sim-core may see of it.
const SEEN: &[(&str, &str)] = &[
    ("reports/", "result metrics::catalogue engine::Sim"),
    ("scenarios/", "config engine result metrics::catalogue"),
];
/// Crates whose modules import each other in no circle; of sim-core the layers say so.
const WITHOUT_CIRCLES: &[&str] = &["reports/src/", "scenarios/src/"];
const MOST_LINES: usize = 800;
const MOST_LINES_OF_A_FUNCTION: usize = 70;

/// Every file whose name ends so, with its text, by its path from the root.
pub(crate) fn files(endings: &[&str]) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(root.join(&folder)).expect("a folder");
        for entry in entries.filter_map(Result::ok) {
            let path = folder.join(entry.file_name());
            let name = path.to_string_lossy().replace('\\', "/");
            if root.join(&path).is_dir() {
                folders.extend(Some(path).filter(|_| !["target", "out", ".git"].contains(&&*name)));
            } else if endings.iter().any(|it| name.ends_with(it)) {
                let bytes = std::fs::read(root.join(&path)).expect("a file");
                found.push((name, String::from_utf8_lossy(&bytes).into_owned()));
            }
        }
    }
    found.sort();
    found
}

/// What follows each `prefix` in the code of a text, comments left out.
fn after<'t>(text: &'t str, prefix: &'t str) -> impl Iterator<Item = &'t str> {
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    let lines = text.lines().filter(is_code);
    lines.flat_map(move |line| line.split(prefix).skip(1))
}

#[test]
fn modules_of_sim_core_import_lower_layers_only() {
    let layer = |name: &str| LAYERS.iter().position(|it| it.split(' ').any(|it| it == name));
    for (name, text) in files(&[".rs"]) {
        let Some(inside) = name.strip_prefix("sim-core/src/") else {
            continue;
        };
        let own = inside.split(['/', '.']).next().unwrap();
        for rest in after(&text, "crate::").filter(|_| own != "lib") {
            let module = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
            let knows = KNOWS.iter().find(|it| it.0 == own).map_or(module, |it| it.1);
            let is_lower = layer(module).is_some() && layer(module) < layer(own);
            let fine = module == own || is_lower && knows.split(' ').any(|it| it == module);
            assert!(fine, "{name}: `{own}` may not import `{module}`");
        }
    }
}

/// The word that a text begins with.
fn word(text: &str) -> &str {
    text.trim_start().split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap()
}

/// Words that begin the items of a path's end: `b::C` or `{b::C, d}`.
fn paths_in(rest: &str) -> Vec<&str> {
    match rest.strip_prefix('{') {
        Some(list) => list.split('}').next().unwrap().split(',').map(word).collect(),
        None => vec![word(rest)],
    }
}

/// What each module at the root of a crate imports of the others; its tests may import anything.
fn imports(folder: &str) -> BTreeMap<String, BTreeSet<String>> {
    let of_crate: Vec<(String, String)> = files(&[".rs"])
        .into_iter()
        .filter_map(|(name, text)| {
            let inside = name.strip_prefix(folder)?.to_owned();
            let code = text.split("#[cfg(test)]\nmod tests {").next()?;
            let lines = code.lines().filter(|it| !it.trim_start().starts_with("//"));
            Some((inside, lines.collect::<Vec<_>>().join("\n")))
        })
        .collect();
    let (roots, inside) = of_crate.iter().partition::<Vec<_>, _>(|it| it.0 == "lib.rs");
    // Names that the root passes on, and the modules that have them.
    let mut homes: BTreeMap<&str, &str> = BTreeMap::new();
    for rest in roots.iter().flat_map(|it| it.1.split("pub use ").skip(1)) {
        let (home, names) = rest.split_once("::").unwrap();
        homes.extend(paths_in(names).into_iter().map(|it| (it, home)));
    }
    let modules: BTreeSet<&str> = inside.iter().map(|it| word(&it.0)).collect();
    let mut imports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, text) in inside {
        let own = word(name);
        let depth = name.trim_end_matches("/mod.rs").split('/').count();
        let text = text.replace(&"super::".repeat(depth), "crate::");
        for word in text.split("crate::").skip(1).flat_map(paths_in).filter(|it| !it.is_empty()) {
            let to = homes.get(word).copied().unwrap_or(word);
            assert!(modules.contains(to), "{folder}{name}: `{word}` is of no module");
            if to != own {
                imports.entry(own.to_owned()).or_default().insert(to.to_owned());
            }
        }
    }
    imports
}

/// The shortest circle through a module: from it over what it imports back to it.
fn circle(imports: &BTreeMap<String, BTreeSet<String>>, start: &str) -> Option<Vec<String>> {
    let mut seen = BTreeSet::new();
    let mut paths = VecDeque::from([vec![start.to_owned()]]);
    while let Some(path) = paths.pop_front() {
        for next in imports.get(path.last()?).into_iter().flatten() {
            let longer = [path.as_slice(), std::slice::from_ref(next)].concat();
            if next == start {
                return Some(longer);
            }
            if seen.insert(next) {
                paths.push_back(longer);
            }
        }
    }
    None
}

#[test]
fn modules_of_scenarios_and_of_reports_import_each_other_in_no_circle() {
    for folder in WITHOUT_CIRCLES {
        let imports = imports(folder);
        assert!(imports.len() > 5, "{folder} has modules that import others");
        for module in imports.keys() {
            let circle = circle(&imports, module).map(|it| it.join(" -> "));
            assert_eq!(circle, None, "{folder}");
        }
    }
}

#[test]
fn crates_around_sim_core_see_only_their_part_of_it() {
    for (name, text) in files(&[".rs", "reports/Cargo.toml"]) {
        let Some((folder, seen)) = SEEN.iter().find(|it| name.starts_with(it.0)) else {
            continue;
        };
        for rest in after(&text, "sim_core::") {
            let fine = seen.split(' ').any(|it| rest.starts_with(it));
            assert!(fine, "{name}: {folder} may not import sim_core::{rest}");
        }
        let fine =
            *folder != "reports/" || !text.contains("scenarios::") && !text.contains("scenarios.");
        assert!(fine, "{name}: reports knows no scenario language");
    }
}

/// A text without its comments.
fn code(text: &str) -> String {
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}

/// The words of a code, each with whether a keyword before it says that it is defined there.
fn words(code: &str) -> impl Iterator<Item = (&str, bool)> {
    let is_outside = |c: char| !c.is_alphanumeric() && c != '_';
    let words = code.split(is_outside).filter(|word| !word.is_empty());
    words.scan("", |last, word| {
        let before = std::mem::replace(last, word);
        Some((word, ["fn", "struct", "enum", "const", "type"].contains(&before)))
    })
}

/// Names of the `pub` items that a code defines, and whether each is a type.
fn public_items<'c>(code: &'c str) -> Vec<(&'c str, bool)> {
    let after_pub = code.lines().filter_map(|line| line.trim_start().strip_prefix("pub "));
    let item = |rest: &'c str| {
        // The third word is the name of a `const fn`.
        let (name, _) = words(rest).take(3).find(|(word, defines)| *defines && *word != "fn")?;
        Some((name, ["struct ", "enum ", "type "].iter().any(|it| rest.starts_with(it))))
    };
    after_pub.filter_map(item).collect()
}

/// Whether a `pub` function or field of the code has a type of this name in its signature.
fn is_in_a_signature(code: &str, name: &str) -> bool {
    code.split("pub ").skip(1).any(|rest| {
        let is_function = rest.starts_with("fn ") || rest.starts_with("const fn ");
        let is_field = rest.split('\n').next().is_some_and(|line| line.contains(": "));
        let end = if is_function { ['{', ';'] } else { ['\n', '='] };
        let signature = rest.split(end).next().unwrap_or(rest);
        (is_function || is_field) && words(signature).any(|(word, _)| word == name)
    })
}

/// The public items of some files that no other one of all files uses.
fn unused(files: &[(String, String)], of: &str) -> Vec<String> {
    let codes: Vec<String> = files.iter().map(|(_, text)| code(text)).collect();
    let uses = |code| words(code).filter(|(_, defines)| !defines).map(|(word, _)| word).collect();
    let used: Vec<BTreeSet<&str>> = codes.iter().map(|code| uses(code)).collect();
    let mut found = Vec::new();
    for (own, (file, _)) in files.iter().enumerate().filter(|(_, it)| it.0.starts_with(of)) {
        for (name, is_type) in public_items(&codes[own]) {
            let mut others = used.iter().enumerate().filter(|(index, _)| *index != own);
            let is_used = others.any(|(_, words)| words.contains(name));
            if !(is_used || is_type && is_in_a_signature(&codes[own], name)) {
                found.push(format!("{file}: {name}"));
            }
        }
    }
    found
}

/// By the word alone: a method whose name another file uses for something else passes.
#[test]
fn every_public_item_of_sim_core_is_used_outside_its_file() {
    let found = unused(&files(&[".rs"]), "sim-core/src/");
    assert!(found.is_empty(), "remove, or make private: {found:#?}");
}

#[test]
fn a_public_item_that_nobody_uses_is_found() {
    let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let library = "pub struct Seen;\npub struct Returned;\npub struct Hidden;
        pub const fn idle() {}\n pub const LIMIT: u8 = 1;\npub fn get(
            it: Seen,\n) -> Returned {}\n pub field: Hide,\npub fn own() { idle(); Hidden }";
    let user = "get(Seen) // idle LIMIT\n fn own() {}";
    let found = unused(&[file("a/lib.rs", library), file("b/main.rs", user)], "a/");
    assert_eq!(found, ["Hidden", "idle", "LIMIT", "own"].map(|it| format!("a/lib.rs: {it}")));
}

#[test]
fn files_have_a_header_and_stay_short() {
    for (name, text) in files(&[".rs"]) {
        let lines: Vec<&str> = text.lines().collect();
        assert!(text.starts_with("//! "), "{name} has no header");
        assert!(lines.len() <= MOST_LINES, "{name} is too long");
        for (start, line) in lines.iter().enumerate() {
            let head = line.trim_start();
            let is_function = ["fn ", "pub fn "].iter().any(|it| head.starts_with(it));
            if !(is_function || head.starts_with("pub(") && head.contains(" fn ")) {
                continue;
            }
            let indent = &line[..line.len() - head.len()];
            let end = format!("{indent}}}");
            let is_end = |it: &&str| it.starts_with(&end);
            let length = lines[start..].iter().position(is_end).unwrap_or(0) + 1;
            let fine = length <= MOST_LINES_OF_A_FUNCTION;
            assert!(fine, "{name}:{}: {length} lines", start + 1);
        }
    }
}

#[test]
fn every_shipped_scenario_is_named_in_a_test() {
    let mut tests = files(&[""]);
    tests.retain(|it| it.0.starts_with("tests/"));
    for (name, _) in files(&[".ron"]) {
        let name = name.strip_prefix("scenarios/").unwrap_or("a/folder");
        let stem = name.trim_end_matches(".ron");
        let mut texts = tests.iter().flat_map(|it| [&it.0, &it.1]);
        let is_named = texts.any(|it| it.contains(stem));
        assert!(stem.contains('/') || is_named, "no test of {stem}");
    }
}

#[test]
fn nothing_is_left_behind() {
    let leftovers = ["FIX ME", "TO DO", "/ home/", "/ root/"];
    for (name, text) in files(&[".rs", ".ron", ".md", ".toml", ".ci/run"]) {
        for word in leftovers.map(|it| it.replace(' ', "")) {
            assert!(!text.contains(&word), "{name} holds `{word}`");
        }
    }
}
