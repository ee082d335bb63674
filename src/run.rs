//! `run`: the baseline and every mitigation side by side, on all cores, with the same results for
//! any number of jobs.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rayon::prelude::*;
use reports::{ExpectationRow, Output, OutputFile, Provenance, Report};
use scenarios::{Loaded, Outcome, Variant};
use sim_core::engine::{NANOS_PER_SEC, SimDuration};
use sim_core::result::{RunResult, Value};

use crate::args::RunArgs;
use crate::files::Source;
use crate::{Exit, Failure, Talk, print, say};

/// Version of the program, as manifests name it.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Hash of the model's sources, from the build script.
pub(crate) const MODEL_HASH: &str = env!("STREAMSIM_MODEL_HASH");

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
    for (_, loaded) in &sources {
        output(args, loaded)
            .check(&loaded.name)
            .map_err(unwritten)?;
    }
    let jobs = pool(args.jobs)?;
    let mut exit = Exit::Met;
    for (source, loaded) in sources {
        let seeds = match (args.seeds, args.seed) {
            (Some((first, last)), _) => (first..=last).collect(),
            (None, Some(seed)) => vec![seed],
            (None, None) => vec![loaded.scenario.seed],
        };
        let only = &args.only;
        let plan = Plan {
            source: &source,
            loaded,
            only,
            seeds,
            png: args.png,
        };
        exit = exit.max(run_one(&plan, args, &jobs, talk)?);
    }
    Ok(exit)
}

fn run_one(
    plan: &Plan<'_>,
    args: &RunArgs,
    jobs: &rayon::ThreadPool,
    talk: Talk,
) -> Result<Exit, Failure> {
    let played = play(plan, jobs, talk)?;
    let effective = plan.loaded.manifest();
    let inputs = plan.source.inputs.borrow();
    let report = report(plan, &played, &effective, &inputs);
    let files = render(&report, jobs)?;
    let output = output(args, &plan.loaded);
    output.write(&report, &files).map_err(unwritten)?;
    if args.json {
        let summary = files.iter().find(|file| file.name == "summary.json");
        print(&summary.map_or_else(String::new, |file| {
            String::from_utf8_lossy(&file.bytes).into_owned()
        }))?;
    } else if !talk.quiet {
        let width = terminal_width();
        print(&reports::table::summary(&report, width, talk.color_out))?;
    }
    if plan.loaded.scenario.expect.is_empty() && !talk.quiet {
        say("warning: the scenario expects nothing, so nothing was judged");
    }
    if !talk.quiet {
        say(&format!("charts and data: {}", output.dir().display()));
    }
    Ok(judge(&played.rows))
}

/// Every run of a plan; results are collected in the order of the plan.
pub(crate) fn play(
    plan: &Plan<'_>,
    jobs: &rayon::ThreadPool,
    talk: Talk,
) -> Result<Played, Failure> {
    let variants = chosen(&plan.loaded, plan.only);
    let runs: Vec<(u64, &Variant)> = plan
        .seeds
        .iter()
        .flat_map(|seed| variants.iter().map(move |variant| (*seed, *variant)))
        .collect();
    let bar = progress(&runs, talk);
    let loaded = &plan.loaded;
    let play_one = |(seed, variant): &(u64, &Variant)| {
        let config = loaded.lower(variant, *seed);
        let (outcome, took) = timed(|| {
            catch_unwind(AssertUnwindSafe(|| {
                sim_core::run::run(&config, &|_| bar.inc(1))
            }))
        });
        let mut result = outcome.map_err(|_| broken(&variant.name, *seed))?;
        result.name.clone_from(&variant.name);
        Ok((result, took))
    };
    let played: Result<Vec<(RunResult, Duration)>, Failure> =
        jobs.install(|| runs.par_iter().map(play_one).collect());
    bar.finish_and_clear();
    let played = played?;
    if talk.verbose {
        for ((seed, variant), (result, took)) in runs.iter().zip(&played) {
            say(&speed(&variant.name, *seed, result, *took));
        }
    }
    let results: Vec<RunResult> = played.into_iter().map(|(result, _)| result).collect();
    let rows = judge_seeds(&plan.loaded, &results, variants.len());
    let results = results.into_iter().take(variants.len()).collect();
    Ok(Played { results, rows })
}

/// The variants that were asked for: the baseline always, for it is what the others are held to.
fn chosen<'a>(loaded: &'a Loaded, only: &[String]) -> Vec<&'a Variant> {
    let wanted = |variant: &&Variant| {
        only.is_empty() || variant.name == "baseline" || only.contains(&variant.name)
    };
    loaded.variants.iter().filter(wanted).collect()
}

fn check_only(loaded: &Loaded, only: &[String]) -> Result<(), Failure> {
    let unknown: Vec<&String> = only
        .iter()
        .filter(|name| loaded.variant(name).is_none())
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = loaded
        .variants
        .iter()
        .map(|variant| format!("`{}`", variant.name))
        .collect();
    let lines = unknown.iter().map(|name| {
        format!(
            "error: {} has no run `{name}`\nhelp: its runs: {}",
            loaded.name,
            names.join(", ")
        )
    });
    Err(Failure::new(
        Exit::Bad,
        lines.collect::<Vec<_>>().join("\n"),
    ))
}

/// The claims over all seeds: what holds for each passes, what fails for each fails, the rest is
/// inconclusive. Shown is what the first seed measured.
fn judge_seeds(loaded: &Loaded, results: &[RunResult], runs: usize) -> Vec<ExpectationRow> {
    let mut rows: Vec<ExpectationRow> = Vec::new();
    for (index, of_seed) in results.chunks(runs).enumerate() {
        // Claims about runs that were not asked for are skipped.
        let outcomes = loaded.evaluate(of_seed);
        let of_seed: Vec<ExpectationRow> = outcomes.into_iter().filter_map(row).collect();
        if index == 0 {
            rows = of_seed;
            continue;
        }
        for (row, other) in rows.iter_mut().zip(of_seed) {
            if row.verdict != other.verdict {
                row.verdict = reports::Verdict::Inconclusive;
            }
        }
    }
    rows
}

fn row(outcome: Outcome) -> Option<ExpectationRow> {
    use reports::{Bound, Op, Verdict};
    let (bound, than) = match outcome.bound {
        scenarios::Bound::Number(number) => (Bound::One(number), None),
        scenarios::Bound::Range(low, high) => (Bound::Range(low, high), None),
        scenarios::Bound::Run(name, value) => (
            Bound::One(value.map_or(f64::INFINITY, Value::as_f64)),
            Some(name),
        ),
    };
    let verdict = match outcome.verdict {
        scenarios::Verdict::Pass => Verdict::Pass,
        scenarios::Verdict::Fail => Verdict::Fail,
        scenarios::Verdict::Skipped => return None,
    };
    Some(ExpectationRow {
        run: outcome.run,
        metric: outcome.metric,
        op: match outcome.op {
            scenarios::Op::Above => Op::Above,
            scenarios::Op::Below => Op::Below,
            scenarios::Op::Between => Op::Between,
            scenarios::Op::Higher => Op::Higher,
            scenarios::Op::Lower => Op::Lower,
        },
        bound,
        than,
        measured: outcome.measured.unwrap_or(Value::Never),
        verdict,
    })
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

fn progress(runs: &[(u64, &Variant)], talk: Talk) -> ProgressBar {
    let seconds = |variant: &Variant| variant.scenario.duration.0 / NANOS_PER_SEC;
    let total = runs.iter().map(|(_, variant)| seconds(variant)).sum();
    // Hidden unless standard error is a terminal.
    let target = if talk.quiet {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::stderr()
    };
    let style = ProgressStyle::with_template("{bar:40} {percent:>3} % of {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let runs = if runs.len() == 1 {
        "1 run".to_owned()
    } else {
        format!("{} runs", runs.len())
    };
    ProgressBar::with_draw_target(Some(total), target)
        .with_style(style)
        .with_message(runs)
}

#[expect(
    clippy::disallowed_types,
    reason = "the speed of the program itself is wall time"
)]
fn timed<R>(act: impl FnOnce() -> R) -> (R, Duration) {
    let began = std::time::Instant::now();
    let result = act();
    (result, began.elapsed())
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn speed(run: &str, seed: u64, result: &RunResult, took: Duration) -> String {
    let events = result.events_processed;
    let seconds = took.as_secs_f64().max(1e-9);
    let records = result
        .summary
        .get("records_offered")
        .map_or(0.0, |value| value.as_f64());
    format!(
        "{run}, seed {seed}: {events} events in {seconds:.3} s, {:.2} M events/s, {:.1} M records/s",
        events as f64 / seconds / 1e6,
        records / seconds / 1e6
    )
}

/// Columns of the terminal; 100 where there is none.
fn terminal_width() -> usize {
    let columns = std::env::var("COLUMNS")
        .ok()
        .and_then(|text| text.parse().ok());
    let terminal = console::Term::stdout()
        .size_checked()
        .map(|(_, columns)| usize::from(columns));
    columns.or(terminal).unwrap_or(100).clamp(60, 200)
}
