//! Scenario files: where they come from, and the verbs that do not run them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use scenarios::{Loaded, Problems};

use crate::{Exit, Failure, Talk, print, say};

/// Bytes of the largest scenario or CSV file that is read.
const MOST_BYTES: u64 = 64 << 20;

/// A scenario as it was read, with the other files that it names.
pub(crate) struct Source {
    /// As problems call it.
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    /// Other files by the name that the scenario gives them; where to look for the rest.
    pub(crate) inputs: RefCell<BTreeMap<String, String>>,
    folder: Option<std::path::PathBuf>,
}

impl Source {
    /// From a file, a shipped scenario's name, or `-` for standard input.
    pub(crate) fn open(scenario: &str) -> Result<Self, Failure> {
        let bad = |message: String| Failure::new(Exit::Bad, message);
        let source = |name: &str, bytes, folder| Self {
            name: name.to_owned(),
            bytes,
            inputs: RefCell::default(),
            folder,
        };
        if scenario == "-" {
            let mut bytes = Vec::new();
            let mut limited = std::io::stdin().lock().take(MOST_BYTES);
            limited
                .read_to_end(&mut bytes)
                .map_err(|error| bad(format!("error: cannot read standard input: {error}")))?;
            return Ok(source("stdin.ron", bytes, None));
        }
        let path = Path::new(scenario);
        // A plain word that is no file is a shipped scenario's name.
        let is_name = path.components().count() == 1 && path.extension().is_none();
        if is_name && !path.is_file() {
            let shipped = scenarios::shipped::find(scenario).map_err(|help| {
                let help = help_with_folder(path).unwrap_or(help);
                bad(format!(
                    "error: `{scenario}` is neither a file nor a shipped scenario\nhelp: {help}"
                ))
            })?;
            return Ok(source(&format!("{scenario}.ron"), shipped.text.into(), None));
        }
        let bytes = read_limited(path).map_err(|error| {
            bad(format!("error: cannot read {scenario}: {error}{}", help(path)))
        })?;
        let folder = path.parent().map(Path::to_path_buf);
        Ok(source(scenario, bytes, folder))
    }

    /// From what a manifest has saved.
    pub(crate) fn saved(name: &str, text: &str, inputs: BTreeMap<String, String>) -> Self {
        Self {
            name: name.to_owned(),
            bytes: text.into(),
            inputs: RefCell::new(inputs),
            folder: None,
        }
    }

    /// Reads and checks it.
    pub(crate) fn load(&self, sets: &[(String, String)]) -> Result<Loaded, Box<Problems>> {
        scenarios::load_bytes(&self.name, &self.bytes, sets, &|name| self.input(name))
            .map_err(Box::new)
    }

    /// Another file that the scenario names, relative to the scenario.
    fn input(&self, name: &str) -> Result<String, String> {
        if let Some(text) = self.inputs.borrow().get(name) {
            return Ok(text.clone());
        }
        let Some(folder) = &self.folder else {
            return Err("a scenario without a folder of its own cannot name other files".into());
        };
        let bytes = read_limited(&folder.join(name)).map_err(|error| error.to_string())?;
        let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())?;
        self.inputs.borrow_mut().insert(name.to_owned(), text.clone());
        Ok(text)
    }
}

/// Whether that is a scenario that can be opened, by its looks.
pub(crate) fn is_scenario(word: &str) -> bool {
    word.ends_with(".ron") || scenarios::SHIPPED.iter().any(|it| it.name == word)
}

/// What to name instead of a path that cannot be read.
fn help(path: &Path) -> String {
    if let Some(help) = help_with_folder(path) {
        return format!("\nhelp: {help}");
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    match scenarios::SHIPPED.iter().find(|it| it.name == stem) {
        Some(shipped) if !path.exists() => {
            format!("\nhelp: `{}` is shipped, and needs no file", shipped.name)
        }
        Some(_) | None => String::new(),
    }
}

/// If it is a folder: which scenarios it holds.
fn help_with_folder(path: &Path) -> Option<String> {
    const SHOWN: usize = 5;
    let entries = std::fs::read_dir(path).ok()?;
    let mut found: Vec<String> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|it| it == "ron"))
        .map(|path| path.display().to_string())
        .collect();
    found.sort();
    let more = if found.len() > SHOWN { " ..." } else { "" };
    found.truncate(SHOWN);
    Some(if found.is_empty() {
        "it is a folder, without scenarios in it".to_owned()
    } else {
        format!("it is a folder; name the files: {}{more}", found.join(" "))
    })
}

fn read_limited(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MOST_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// `check`: all problems of files, no run.
pub(crate) fn check(
    scenarios: &[String],
    sets: &[(String, String)],
    json: bool,
    talk: Talk,
) -> Result<Exit, Failure> {
    let mut exit = Exit::Met;
    let mut documents = Vec::new();
    for scenario in scenarios {
        let problems = match Source::open(scenario) {
            Ok(source) => match source.load(sets) {
                Ok(loaded) => loaded.warnings,
                Err(problems) => {
                    exit = Exit::Bad;
                    *problems
                }
            },
            Err(failure) => {
                exit = failure.exit;
                say(&failure.message);
                continue;
            }
        };
        if json {
            documents.push(problems.to_json());
        } else if problems.list.is_empty() {
            if !talk.quiet {
                print(&format!("{scenario}: ok\n"))?;
            }
        } else {
            say(&problems.render(talk.color_err));
            if !problems.has_errors() && !talk.quiet {
                print(&format!("{scenario}: ok, with warnings\n"))?;
            }
        }
    }
    if json {
        print(&format!("{:#}\n", serde_json::Value::from(documents)))?;
    }
    Ok(exit)
}

/// `list`: the shipped scenarios with their titles.
pub(crate) fn list() -> Result<Exit, Failure> {
    let mut text = String::new();
    for shipped in scenarios::SHIPPED {
        let file = format!("{}.ron", shipped.name);
        let source = Source::saved(&file, shipped.text, BTreeMap::new());
        let title = source.load(&[]).map(|loaded| loaded.scenario.title).unwrap_or_default();
        text.push_str(&format!("{:<20} {title}\n", shipped.name));
    }
    print(&text)
}

/// `show`: a shipped scenario as it is.
pub(crate) fn show(name: &str) -> Result<Exit, Failure> {
    let name = name.strip_suffix(".ron").unwrap_or(name);
    match scenarios::shipped::find(name) {
        Ok(shipped) => print(shipped.text),
        Err(help) => {
            let message = format!("error: no shipped scenario is called `{name}`\nhelp: {help}");
            Err(Failure::new(Exit::Bad, message))
        }
    }
}

/// `new`: a commented scenario to start from; nothing is overwritten unasked.
pub(crate) fn new(file: &Path, force: bool) -> Result<Exit, Failure> {
    if file == Path::new("-") {
        return print(scenarios::TEMPLATE);
    }
    let written = if force {
        std::fs::write(file, scenarios::TEMPLATE)
    } else {
        std::fs::File::create_new(file).and_then(|mut created| {
            use std::io::Write;
            created.write_all(scenarios::TEMPLATE.as_bytes())
        })
    };
    match written {
        Ok(()) => {
            say(&format!("wrote {0}; try: streamsim run {0}", file.display()));
            Ok(Exit::Met)
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let message = format!("error: {} exists; overwrite it with --force", file.display());
            Err(Failure::new(Exit::Unwritten, message))
        }
        Err(error) => {
            let message = format!("error: cannot write {}: {error}", file.display());
            Err(Failure::new(Exit::Unwritten, message))
        }
    }
}
