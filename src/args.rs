//! What the command line understands.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Offline, deterministic simulator of streaming incidents.
#[derive(Debug, Parser)]
#[command(name = "streamsim", version, max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: Verb,
    /// Colour on the terminal.
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    pub(crate) color: Color,
    /// Say less: no table, no progress; only what went wrong.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say more: events and speed of each run.
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
}

const EXIT_CODES: &str = "Exit codes: 0 all expectations met; 1 an expectation failed, or a replay \
differed; 2 bad usage or scenario; 3 inconclusive over seeds; 70 a bug in streamsim; 74 output \
could not be written; 130 interrupted";

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Run a scenario and all its mitigations, side by side.
    Run(RunArgs),
    /// Tell all problems of scenario files, without running them.
    #[command(visible_alias = "validate")]
    Check {
        /// Files, names of shipped scenarios, or - for standard input.
        #[arg(required = true)]
        scenarios: Vec<String>,
        /// Change a field before checking.
        #[arg(long = "set", value_name = "PATH=VALUE", value_parser = path_value)]
        sets: Vec<(String, String)>,
        /// Problems as one JSON document on standard output.
        #[arg(long)]
        json: bool,
    },
    /// List the shipped scenarios.
    List,
    /// Print a shipped scenario.
    Show {
        /// Its name.
        name: String,
    },
    /// Write a commented scenario to start from.
    #[command(visible_alias = "init")]
    New {
        /// The file to create; - for standard output.
        file: PathBuf,
        /// Overwrite it if it is there.
        #[arg(long)]
        force: bool,
    },
    /// Run again from the saved inputs of an output directory, and compare byte for byte.
    Replay {
        /// An output directory of `run`.
        run: PathBuf,
        /// Runs at the same time; never changes results.
        #[arg(long, value_name = "N")]
        jobs: Option<usize>,
    },
    /// Print a completion script.
    Completions {
        /// For which shell.
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Files, names of shipped scenarios, or - for standard input.
    #[arg(required = true)]
    pub(crate) scenarios: Vec<String>,
    /// Folder for the output; each scenario gets a folder of its name in it.
    #[arg(short, long, value_name = "DIR", default_value = "out")]
    pub(crate) out: PathBuf,
    /// Overwrite whatever the output folder holds.
    #[arg(long)]
    pub(crate) force: bool,
    /// Seed of all random streams; the scenario's own by default.
    #[arg(long, value_name = "N", conflicts_with = "seeds", allow_negative_numbers = true)]
    pub(crate) seed: Option<u64>,
    /// Run every seed from A to B, both included: expectations must hold for all.
    #[arg(long, value_name = "A..B", value_parser = seed_range)]
    pub(crate) seeds: Option<(u64, u64)>,
    /// Change a field of the scenario before running: producers.web.rate=5k/s.
    #[arg(long = "set", value_name = "PATH=VALUE", value_parser = path_value)]
    pub(crate) sets: Vec<(String, String)>,
    /// Run only these mitigations, beside the baseline.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Runs at the same time; never changes results.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) jobs: Option<usize>,
    /// One JSON document on standard output instead of the table: that of `summary.json`, or a
    /// list of them for several scenarios.
    #[arg(long)]
    pub(crate) json: bool,
    /// A PNG beside each SVG.
    #[arg(long)]
    pub(crate) png: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// If the output is a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Most seeds of one call.
const MOST_SEEDS: u64 = 10_000;

fn path_value(text: &str) -> Result<(String, String), String> {
    let (path, value) = text.split_once('=').ok_or("write PATH=VALUE")?;
    Ok((path.trim().to_owned(), value.trim().to_owned()))
}

fn seed_range(text: &str) -> Result<(u64, u64), String> {
    let (first, last) = text.split_once("..").ok_or("write A..B, e.g. 1..30")?;
    let read = |text: &str| text.trim().parse::<u64>().map_err(|error| error.to_string());
    let (first, last) = (read(first)?, read(last.trim_start_matches('='))?);
    if last < first || last - first >= MOST_SEEDS {
        return Err(format!("write A..B with A not above B, and at most {MOST_SEEDS} seeds"));
    }
    Ok((first, last))
}
