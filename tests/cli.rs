//! The command line from outside: what it writes, what it says, and how it ends.

#![allow(clippy::unwrap_used, reason = "these are tests, their helpers too")]

mod bad;
mod run;
mod seeds;
mod talk;
mod verbs;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// Two shards take at most 2 MiB/s of the 2,400 KiB/s that come, so that something is throttled;
/// eight take 8 MiB/s, so that nothing is. Ten seconds, so that it takes no time.
const SMALL: &str = r#"Scenario(
    title: "A small one",
    duration: "10s",
    resolution: "20ms",
    systems: { "s": Kinesis(capacity: Provisioned(shards: 2)) },
    producers: {
        "p": (to: "s", rate: "2400/s", record_size: "1KiB", keys: Random, client: Kpl()),
    },
    consumers: { "c": Kcl(from: "s", workers: 2, service_time: "100us") },
    timeline: [(at: "4s", for: "3s", what: SlowConsumer(consumer: "c", factor: 4))],
    mitigations: {
        "more shards": [Set("systems.s.capacity.shards", "8")],
        "split": [At("5s", SplitHottestShard("s"))],
    },
    expect: [
        Above("baseline", "records_throttled", 0),
        Below("more shards", "records_throttled", 1),
        Lower("more shards", "throttled_ratio", "baseline"),
    ],
)
"#;

/// A directory of its own in which the program is called.
struct Bench {
    dir: TempDir,
}

/// How a call ended.
struct Ended {
    code: i32,
    out: String,
    err: String,
}

impl Bench {
    /// With `small.ron` in it.
    fn new() -> Self {
        let bench = Self { dir: TempDir::new().unwrap() };
        bench.write("small.ron", SMALL);
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn json(&self, name: &str) -> serde_json::Value {
        serde_json::from_str(&self.read(name)).unwrap()
    }

    /// The program, here, in an environment that says nothing of colours or terminals.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_streamsim"));
        command.current_dir(self.dir.path()).args(args);
        for name in ["NO_COLOR", "CLICOLOR_FORCE", "COLUMNS"] {
            command.env_remove(name);
        }
        command
    }

    fn call(&self, args: &[&str]) -> Ended {
        ended(self.command(args).stdin(Stdio::null()))
    }

    fn call_with(&self, args: &[&str], input: &str) -> Ended {
        let mut command = self.command(args);
        command.stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // A refusal may come before all is read.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        Ended::of(&output)
    }

    /// Calls it, expects that exit code, and that nothing was written but what was there.
    fn refuse(&self, args: &[&str], code: i32) -> Ended {
        let before = tree(self.dir.path());
        let ended = self.call(args);
        assert_eq!(ended.code, code, "{args:?}: {}{}", ended.out, ended.err);
        assert!(!ended.err.contains("panicked"), "{}", ended.err);
        let after = tree(self.dir.path());
        let names = |it: &BTreeMap<String, Vec<u8>>| it.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&after), names(&before), "{args:?}");
        assert!(after == before, "{args:?} changed a file");
        ended
    }
}

fn ended(command: &mut Command) -> Ended {
    Ended::of(&command.output().unwrap())
}

impl Ended {
    fn of(output: &std::process::Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout.clone()).unwrap(),
            err: String::from_utf8(output.stderr.clone()).unwrap(),
        }
    }

    /// Itself, if it ended so.
    fn with(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        self
    }

    /// Both streams hold these words, in one or the other.
    fn says(&self, words: &[&str]) {
        for word in words {
            let told = self.out.contains(word) || self.err.contains(word);
            assert!(told, "`{word}` is not in: {}{}", self.out, self.err);
        }
    }
}

/// Every file below the directory by its path, with its bytes.
fn tree(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![dir.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                open.push(path);
            } else {
                found.insert(name, fs::read(path).unwrap());
            }
        }
    }
    found
}
