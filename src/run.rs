//! `run`: the baseline and every mitigation side by side, on all cores, with the same results for
//! any number of jobs.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rayon::prelude::*;
use reports::{ExpectationRow, Output, OutputFile, Provenance, Report, Seeds};
use scenarios::{Loaded, Variant};
use sim_core::engine::{NANOS_PER_SEC, SimDuration};
use sim_core::result::RunResult;

use crate::args::RunArgs;
use crate::files::Source;
use crate::seeds::Collected;
use crate::{Exit, Failure, Talk, print, say};

/// Version of the program, as manifests name it.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Hash of the model's sources, from the build script.
pub(crate) const MODEL_HASH: &str = env!("STREAMSIM_MODEL_HASH");

/// Seeds that are run before their results are reduced to what is kept of them.
const SEEDS_AT_A_TIME: usize = 16;

/// What to run of a scenario, and on which luck.
pub(crate) struct Plan<'a> {
    pub(crate) source: &'a Source,
    pub(crate) loaded: Loaded,
    pub(crate) only: &'a [String],
    pub(crate) seeds: Vec<u64>,
    pub(crate) png: bool,
}

/// What came out of a plan: results of its first seed, and what all seeds say.
pub(crate) struct Played {
    pub(crate) results: Vec<RunResult>,
    pub(crate) rows: Vec<ExpectationRow>,
    /// What all seeds measured, if there are several.
    pub(crate) seeds: Option<Seeds>,
}

/// Runs scenarios one after the other; the worst outcome is the outcome.
pub(crate) fn run(args: &RunArgs, talk: Talk) -> Result<Exit, Failure> {
    let mut sources = Vec::new();
    let mut broken = false;
    // All files are checked before the first run.
    for scenario in &args.scenarios {
        let source = Source::open(scenario)?;
        match source.load(&args.sets) {
            Ok(loaded) => {
                if !loaded.warnings.list.is_empty() && !talk.quiet {
                    say(&loaded.warnings.render(talk.color_err));
                }
                check_only(&loaded, &args.only)?;
                sources.push((source, loaded));
            }
            Err(problems) => {
                say(&problems.render(talk.color_err));
                broken = true;
            }
        }
    }
    if broken {
        return Ok(Exit::Bad);
    }
    check_names(&sources)?;
    check_png(args.png)?;
    for (_, loaded) in &sources {
        output(args, loaded).check(&loaded.name).map_err(unwritten)?;
    }
    let jobs = pool(args.jobs)?;
    let mut exit = Exit::Met;
    let mut documents = Vec::new();
    for (source, loaded) in sources {
        let seeds = match (args.seeds, args.seed) {
            (Some((first, last)), _) => (first..=last).collect(),
            (None, Some(seed)) => vec![seed],
            (None, None) => vec![loaded.scenario.seed],
        };
        let only = &args.only;
        let plan = Plan { source: &source, loaded, only, seeds, png: args.png };
        let (outcome, summary) = run_one(&plan, args, &jobs, talk)?;
        exit = exit.max(outcome);
        documents.push(summary);
    }
    if args.json {
        print(&one_document(&documents))?;
    }
    Ok(exit)
}

/// One scenario's summary as it is, or a list of several.
fn one_document(summaries: &[String]) -> String {
    match summaries {
        [one] => one.clone(),
        several => {
            let items: Vec<&str> = several.iter().map(|it| it.trim_end()).collect();
            format!("[\n{}\n]\n", items.join(",\n"))
        }
    }
}

/// Pictures need the part of the program that makes them.
pub(crate) fn check_png(wanted: bool) -> Result<(), Failure> {
    if wanted && !cfg!(feature = "png") {
        let message = "error: this build makes no PNG\nhelp: build it with `--features png`";
        return Err(Failure::new(Exit::Bad, message.to_owned()));
    }
    Ok(())
}

/// Each scenario gets a folder of its name, so two of one name would overwrite each other.
fn check_names(sources: &[(Source, Loaded)]) -> Result<(), Failure> {
    for (index, (source, loaded)) in sources.iter().enumerate() {
        let earlier = sources[..index].iter();
        if let Some((other, _)) = earlier.clone().find(|it| it.1.name == loaded.name) {
            let message = format!(
                "error: {} and {} are both called `{}`, and would share an output folder\n\
                 help: run them one by one, with different --out",
                other.name, source.name, loaded.name
            );
            return Err(Failure::new(Exit::Bad, message));
        }
    }
    Ok(())
}

fn run_one(
    plan: &Plan<'_>,
    args: &RunArgs,
    jobs: &rayon::ThreadPool,
    talk: Talk,
) -> Result<(Exit, String), Failure> {
    let played = play(plan, jobs, talk)?;
    let effective = plan.loaded.manifest();
    let inputs = plan.source.inputs.borrow();
    let report = report(plan, &played, &effective, &inputs);
    let files = render(&report, jobs)?;
    let output = output(args, &plan.loaded);
    output.write(&report, &files).map_err(unwritten)?;
    if args.json || talk.quiet {
        // Where no table tells it.
        let unmet = reports::table::unmet(&report, talk.color_err);
        if !unmet.is_empty() {
            say(unmet.trim_end());
        }
    } else {
        let width = terminal_width();
        print(&reports::table::summary(&report, width, talk.color_out))?;
    }
    if plan.loaded.scenario.expect.is_empty() && !talk.quiet {
        say("warning: the scenario expects nothing, so nothing was judged");
    }
    if !talk.quiet {
        say(&format!("charts and data: {}", output.dir().display()));
    }
    let summary = files.iter().find(|file| file.name == "summary.json");
    let summary =
        summary.map_or_else(String::new, |file| String::from_utf8_lossy(&file.bytes).into_owned());
    Ok((judge(&played.rows), summary))
}

/// Every run of a plan; results are collected in the order of the plan.
pub(crate) fn play(
    plan: &Plan<'_>,
    jobs: &rayon::ThreadPool,
    talk: Talk,
) -> Result<Played, Failure> {
    let variants = chosen(&plan.loaded, plan.only);
    let bar = progress(&variants, plan.seeds.len(), talk);
    let loaded = &plan.loaded;
    let mut collected = Collected::default();
    // So many at a time that no thread waits long, and no memory for all results is needed.
    for seeds in plan.seeds.chunks(SEEDS_AT_A_TIME) {
        let runs: Vec<(u64, &Variant)> = seeds
            .iter()
            .flat_map(|seed| variants.iter().map(move |variant| (*seed, *variant)))
            .collect();
        let one = |(seed, variant): &(u64, &Variant)| play_one(loaded, variant, *seed, &bar);
        let played: Result<Vec<(RunResult, Duration)>, Failure> =
            jobs.install(|| runs.par_iter().with_max_len(1).map(one).collect());
        let mut played = played.inspect_err(|_| bar.finish_and_clear())?.into_iter().zip(&runs);
        for _ in seeds {
            let mut of_seed = Vec::new();
            for ((result, took), (seed, variant)) in played.by_ref().take(variants.len()) {
                if talk.verbose {
                    let told = speed(&variant.name, *seed, &result, took);
                    bar.suspend(|| say(&told));
                }
                of_seed.push(result);
            }
            collected.add(loaded, of_seed);
        }
    }
    bar.finish_and_clear();
    let (results, rows, seeds) = collected.finish();
    Ok(Played { results, rows, seeds })
}

fn play_one(
    loaded: &Loaded,
    variant: &Variant,
    seed: u64,
    bar: &ProgressBar,
) -> Result<(RunResult, Duration), Failure> {
    let config = loaded.lower(variant, seed);
    let (outcome, took) =
        timed(|| catch_unwind(AssertUnwindSafe(|| sim_core::run::run(&config, &|_| bar.inc(1)))));
    let mut result = outcome.map_err(|_| broken(&variant.name, seed))?;
    result.name.clone_from(&variant.name);
    Ok((result, took))
}

/// The variants that were asked for: the baseline always, for it is what the others are held to.
fn chosen<'a>(loaded: &'a Loaded, only: &[String]) -> Vec<&'a Variant> {
    let wanted = |variant: &&Variant| {
        only.is_empty() || variant.name == "baseline" || only.contains(&variant.name)
    };
    loaded.variants.iter().filter(wanted).collect()
}

fn check_only(loaded: &Loaded, only: &[String]) -> Result<(), Failure> {
    let unknown: Vec<&String> = only.iter().filter(|name| loaded.variant(name).is_none()).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let names: Vec<_> =
        loaded.variants.iter().map(|variant| format!("`{}`", variant.name)).collect();
    let lines = unknown.iter().map(|name| {
        format!("error: {} has no run `{name}`\nhelp: its runs: {}", loaded.name, names.join(", "))
    });
    Err(Failure::new(Exit::Bad, lines.collect::<Vec<_>>().join("\n")))
}

fn judge(rows: &[ExpectationRow]) -> Exit {
    let has = |verdict| rows.iter().any(|row| row.verdict == verdict);
    if has(reports::Verdict::Fail) {
        Exit::Failed
    } else if has(reports::Verdict::Inconclusive) {
        Exit::Inconclusive
    } else {
        Exit::Met
    }
}

/// What the files and the table are drawn from.
pub(crate) fn report<'a>(
    plan: &'a Plan<'_>,
    played: &'a Played,
    effective: &'a serde_json::Value,
    inputs: &'a std::collections::BTreeMap<String, String>,
) -> Report<'a> {
    let scenario = &plan.loaded.scenario;
    Report {
        scenario: &plan.loaded.name,
        title: &scenario.title,
        seed: plan.seeds[0],
        seeds: (plan.seeds[0], plan.seeds[plan.seeds.len() - 1]),
        spread: played.seeds.as_ref(),
        duration_s: SimDuration(scenario.duration.0).as_secs_f64(),
        resolution_ms: plan.loaded.resolution.0 / 1_000_000,
        runs: &played.results,
        expectations: &played.rows,
        png: plan.png,
        provenance: Provenance {
            version: VERSION,
            model_hash: MODEL_HASH,
            scenario_source: &plan.loaded.text,
            sets: &plan.loaded.sets,
            only: plan.only,
            inputs,
            effective,
        },
    }
}

/// All files of a report but the manifest.
pub(crate) fn render(
    report: &Report<'_>,
    jobs: &rayon::ThreadPool,
) -> Result<Vec<OutputFile>, Failure> {
    jobs.install(|| reports::render(report))
        .map_err(|error| Failure::new(Exit::Broken, format!("error: {error}; please report this")))
}

/// A pool of so many threads, all cores by default.
pub(crate) fn pool(jobs: Option<usize>) -> Result<rayon::ThreadPool, Failure> {
    let threads = jobs.unwrap_or(0);
    if jobs == Some(0) {
        return Err(Failure::new(Exit::Bad, "error: --jobs must be at least 1"));
    }
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads.min(1_024))
        .build()
        .map_err(|error| Failure::new(Exit::Broken, format!("error: no threads: {error}")))
}

fn output(args: &RunArgs, loaded: &Loaded) -> Output {
    Output::new(args.out.join(&loaded.name), args.force)
}

pub(crate) fn unwritten(error: reports::OutputError) -> Failure {
    Failure::new(Exit::Unwritten, format!("error: {error}"))
}

fn broken(run: &str, seed: u64) -> Failure {
    Failure::new(
        Exit::Broken,
        format!(
            "error: an invariant of the model broke in `{run}` at seed {seed}; please report this with the scenario"
        ),
    )
}

fn progress(variants: &[&Variant], seeds: usize, talk: Talk) -> ProgressBar {
    let seconds = |variant: &&Variant| variant.scenario.duration.0 / NANOS_PER_SEC;
    let of_seed: u64 = variants.iter().map(seconds).sum();
    let total = of_seed.saturating_mul(u64::try_from(seeds).unwrap_or(u64::MAX));
    // Hidden unless standard error is a terminal.
    let target =
        if talk.quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let style = ProgressStyle::with_template("{bar:40} {percent:>3} % of {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let runs = match variants.len() * seeds {
        1 => "1 run".to_owned(),
        runs => format!("{runs} runs"),
    };
    ProgressBar::with_draw_target(Some(total), target).with_style(style).with_message(runs)
}

#[expect(clippy::disallowed_types, reason = "the speed of the program itself is wall time")]
fn timed<R>(act: impl FnOnce() -> R) -> (R, Duration) {
    let began = std::time::Instant::now();
    let result = act();
    (result, began.elapsed())
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn speed(run: &str, seed: u64, result: &RunResult, took: Duration) -> String {
    let events = result.events_processed;
    let seconds = took.as_secs_f64().max(1e-9);
    let records = result.summary.get("records_offered").map_or(0.0, |value| value.as_f64());
    format!(
        "{run}, seed {seed}: {events} events in {seconds:.3} s, {:.2} M events/s, {:.1} M records/s",
        events as f64 / seconds / 1e6,
        records / seconds / 1e6
    )
}

/// Columns of the terminal; 100 where there is none.
fn terminal_width() -> usize {
    let columns = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    let terminal = console::Term::stdout().size_checked().map(|(_, columns)| usize::from(columns));
    columns.or(terminal).unwrap_or(100).clamp(60, 200)
}
