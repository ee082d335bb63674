//! The command line: parse, call, render. Standard output is data, standard error is talk.

mod args;
mod files;
mod replay;
mod run;
mod seeds;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory, Parser};

use args::{Cli, Color, Verb};

/// How a call ends (design of the exit codes: see `--help`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    Met,
    Inconclusive,
    Failed,
    Bad,
    Unwritten,
    Broken,
}

impl Exit {
    fn code(self) -> u8 {
        match self {
            Self::Met => 0,
            Self::Failed => 1,
            Self::Bad => 2,
            Self::Inconclusive => 3,
            Self::Broken => 70,
            Self::Unwritten => 74,
        }
    }
}

/// What went wrong, in words, with how the call ends.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }
}

/// How to talk to the user.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Talk {
    pub(crate) quiet: bool,
    pub(crate) verbose: bool,
    pub(crate) color_out: bool,
    pub(crate) color_err: bool,
}

fn main() -> ExitCode {
    let cli = Cli::try_parse().unwrap_or_else(|error| refuse(&error));
    let talk = Talk {
        quiet: cli.quiet,
        verbose: cli.verbose,
        color_out: wants_color(cli.color, std::io::stdout().is_terminal()),
        color_err: wants_color(cli.color, std::io::stderr().is_terminal()),
    };
    let exit = act(cli.verb, talk).unwrap_or_else(|failure| {
        if !failure.message.is_empty() {
            say(&failure.message);
        }
        failure.exit
    });
    ExitCode::from(exit.code())
}

/// Says what is wrong with the call and ends it. Who names a scenario where the verb should be is
/// told the verb.
fn refuse(error: &clap::Error) -> ! {
    let word = match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(word)) => word.as_str(),
        Some(_) | None => error.exit(),
    };
    if files::is_scenario(word) {
        say(&format!(
            "error: `{word}` is a scenario, and what to do with it is missing\n\
             help: did you mean `streamsim run {word}`?"
        ));
        std::process::exit(i32::from(Exit::Bad.code()));
    }
    error.exit()
}

fn act(verb: Verb, talk: Talk) -> Result<Exit, Failure> {
    match verb {
        Verb::Run(args) => run::run(&args, talk),
        Verb::Check { scenarios, sets, json } => files::check(&scenarios, &sets, json, talk),
        Verb::List => files::list(),
        Verb::Show { name } => files::show(&name),
        Verb::New { file, force } => files::new(&file, force),
        Verb::Replay { run, jobs } => replay::replay(&run, jobs, talk),
        Verb::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "streamsim", &mut script);
            print(&String::from_utf8_lossy(&script))
        }
    }
}

/// Data for standard output. A reader that has gone away (`| head`) is no error.
pub(crate) fn print(text: &str) -> Result<Exit, Failure> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::new(
            Exit::Unwritten,
            format!("error: cannot write to standard output: {error}"),
        )),
        Ok(()) | Err(_) => Ok(Exit::Met),
    }
}

/// Talk for standard error; nothing can be done if nobody listens.
pub(crate) fn say(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

fn wants_color(color: Color, is_terminal: bool) -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto if set("NO_COLOR") => false,
        Color::Auto if set("CLICOLOR_FORCE") => true,
        Color::Auto => is_terminal && std::env::var_os("TERM").is_none_or(|term| term != "dumb"),
    }
}
