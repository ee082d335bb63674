//! `replay`: runs again from what an output directory has saved, and compares byte for byte.

use std::path::Path;

use reports::{OutputFile, manifest};

use crate::files::Source;
use crate::run::{MODEL_HASH, Plan, check_png, play, pool, render, report};
use crate::{Exit, Failure, Talk, print, say};

pub(crate) fn replay(dir: &Path, jobs: Option<usize>, talk: Talk) -> Result<Exit, Failure> {
    let earlier = saved(dir)?;
    let file = format!("{}.ron", earlier.scenario);
    let source = Source::saved(&file, &earlier.scenario_source, earlier.inputs.clone());
    let sets: Vec<(String, String)> =
        earlier.sets.iter().map(|set| (set.path.clone(), set.value.clone())).collect();
    let loaded = source.load(&sets).map_err(|problems| {
        let problems = problems.render(talk.color_err);
        let message = format!("{problems}\nerror: the saved scenario does not load");
        Failure::new(Exit::Bad, message)
    })?;
    let png = earlier.files.iter().any(|file| file.name.ends_with(".png"));
    check_png(png)?;
    let plan = Plan { source: &source, loaded, only: &earlier.only, seeds: earlier.seeds(), png };
    let jobs = pool(jobs)?;
    let played = play(&plan, &jobs, talk)?;
    let effective = plan.loaded.manifest();
    let inputs = source.inputs.borrow();
    let report = report(&plan, &played, &effective, &inputs);
    let mut files = render(&report, &jobs)?;
    let again = manifest::file(&report, &files).map_err(|error| {
        Failure::new(Exit::Broken, format!("error: {error}; please report this"))
    })?;
    files.push(again);
    verdict(dir, &files)
}

/// The manifest of an earlier run.
fn saved(dir: &Path) -> Result<manifest::Earlier, Failure> {
    let path = dir.join("manifest.json");
    let bad = |message: String| Failure::new(Exit::Bad, message);
    let bytes = std::fs::read(&path).map_err(|error| {
        bad(format!(
            "error: cannot read {}: {error}\nhelp: name an output directory of `streamsim run`",
            path.display()
        ))
    })?;
    let earlier = manifest::parse(&bytes)
        .ok_or_else(|| bad(format!("error: {} is no manifest of streamsim", path.display())))?;
    if earlier.model_hash != MODEL_HASH {
        say(&format!(
            "warning: {} was made by version {} with model {}; this is model {MODEL_HASH}",
            dir.display(),
            earlier.version,
            earlier.model_hash
        ));
    }
    Ok(earlier)
}

/// Compares what came out now with what lies there.
fn verdict(dir: &Path, files: &[OutputFile]) -> Result<Exit, Failure> {
    let mut differing = Vec::new();
    for file in files {
        match std::fs::read(dir.join(&file.name)) {
            Ok(bytes) if bytes == file.bytes => {}
            Ok(_) => differing.push(format!("{} differs", file.name)),
            Err(error) => differing.push(format!("{} cannot be read: {error}", file.name)),
        }
    }
    if differing.is_empty() {
        print(&format!("{}: {} files, byte for byte the same\n", dir.display(), files.len()))?;
        return Ok(Exit::Met);
    }
    for line in &differing {
        say(&format!("{}: {line}", dir.display()));
    }
    print(&format!("{}: {} of {} files differ\n", dir.display(), differing.len(), files.len()))?;
    Ok(Exit::Failed)
}
