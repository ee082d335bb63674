//! The output directory: files appear whole or not at all, and another scenario's directory is
//! left alone.
//!
//! All files are first written to a hidden directory beside their places, then renamed into them,
//! the manifest last. What can go wrong with a disk goes wrong before the first rename, and leaves
//! the files of an earlier run as they were. Files that an earlier run of the same scenario wrote
//! and this one did not are removed, unless somebody has changed them since. (Whole means: for any
//! reader, and if this process is killed. We do not sync, so a power cut may still lose files.)

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::manifest::{self, Earlier};
use crate::report::{OutputFile, Report};

/// Prefix of the hidden directory in which files are written before they are renamed.
const STAGING: &str = ".streamsim-tmp-";

/// Why the output was not written; exit code 74.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The directory holds another scenario.
    #[error(
        "{} holds the output of scenario `{found}`, not of `{scenario}`; \
         choose another directory with --out, or overwrite it with --force", dir.display()
    )]
    OtherScenario {
        /// The directory.
        dir: PathBuf,
        /// The scenario to be written.
        scenario: String,
        /// The scenario that is there.
        found: String,
    },
    /// The directory holds something that streamsim did not write.
    #[error(
        "{} is not empty and holds no streamsim output; \
         choose another directory with --out, or write into it with --force", dir.display()
    )]
    NotOurs {
        /// The directory.
        dir: PathBuf,
    },
    /// Something that is not a directory is in the way.
    #[error("{} is not a directory; remove it or choose another with --out", path.display())]
    NotADirectory {
        /// What is in the way.
        path: PathBuf,
    },
    /// The name of a file leads out of the directory, or is taken twice. A bug of ours.
    #[error("`{name}` cannot be the name of an output file; please report this")]
    BadName {
        /// The name.
        name: String,
    },
    /// The manifest could not be made. A bug of ours.
    #[error("cannot write the manifest: {0}; please report this")]
    Manifest(#[from] serde_json::Error),
    /// The system refused.
    #[error(
        "cannot {action} {}: {source}; check permissions and free space, \
         or choose another directory with --out", path.display()
    )]
    Io {
        /// What was tried: `write`, `create`, `read`, `rename`.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// An output directory.
#[derive(Clone, Debug)]
pub struct Output {
    dir: PathBuf,
    force: bool,
}

impl Output {
    /// The directory `dir`, which need not exist yet. With `force` it may hold anything.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>, force: bool) -> Self {
        Self { dir: dir.into(), force }
    }

    /// Where the files go.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether the output of `scenario` may be written here: to be asked before hours of work.
    pub fn check(&self, scenario: &str) -> Result<(), OutputError> {
        self.earlier(scenario).map(|_| ())
    }

    /// Writes the files and the manifest that lists them, or nothing.
    pub fn write(&self, report: &Report<'_>, files: &[OutputFile]) -> Result<(), OutputError> {
        check_names(files)?;
        let manifest = manifest::file(report, files)?;
        let earlier = self.earlier(report.scenario)?;
        fs::create_dir_all(&self.dir).map_err(io_error("create", &self.dir))?;
        self.remove_leftovers();

        let staging = self.dir.join(format!("{STAGING}{}", std::process::id()));
        let result = self.stage_and_rename(&staging, files, &manifest, earlier.as_ref());
        // Whatever happened, nothing half-made stays behind; a failure to tidy up is no failure
        // to write.
        let _ = fs::remove_dir_all(&staging);
        result
    }

    fn stage_and_rename(
        &self,
        staging: &Path,
        files: &[OutputFile],
        manifest: &OutputFile,
        earlier: Option<&Earlier>,
    ) -> Result<(), OutputError> {
        fs::create_dir_all(staging).map_err(io_error("create", staging))?;
        let all = || files.iter().chain([manifest]);
        for (index, file) in all().enumerate() {
            let path = staging.join(index.to_string());
            fs::write(&path, &file.bytes).map_err(io_error("write", &self.dir.join(&file.name)))?;
        }
        // In case a directory cannot be made, or one stands where a file should: now, not halfway.
        for file in all() {
            self.make_room(&file.name)?;
        }
        for (index, file) in files.iter().enumerate() {
            self.rename(&staging.join(index.to_string()), &file.name)?;
        }
        if let Some(earlier) = earlier {
            self.remove_stale(earlier, files);
        }
        self.rename(&staging.join(files.len().to_string()), &manifest.name)
    }

    fn make_room(&self, name: &str) -> Result<(), OutputError> {
        let path = self.dir.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(io_error("create", parent))?;
        }
        if path.is_dir() {
            return Err(OutputError::Io {
                action: "write",
                path,
                source: io::Error::from(io::ErrorKind::IsADirectory),
            });
        }
        Ok(())
    }

    fn rename(&self, from: &Path, name: &str) -> Result<(), OutputError> {
        let path = self.dir.join(name);
        fs::rename(from, &path).map_err(io_error("write", &path))
    }

    /// Removes what the earlier run listed and this one does not write, where the bytes are still
    /// those that were listed. A file that cannot be removed is left; the next run tries again no
    /// more, for it is not in the manifest.
    fn remove_stale(&self, earlier: &Earlier, files: &[OutputFile]) {
        for entry in &earlier.files {
            if files.iter().any(|file| file.name == entry.name) || !is_inside(&entry.name) {
                continue;
            }
            let path = self.dir.join(&entry.name);
            let unchanged = fs::read(&path).is_ok_and(|it| manifest::sha256(&it) == entry.sha256);
            if unchanged {
                let _ = fs::remove_file(&path);
                // Only an empty directory goes.
                let _ = path.parent().filter(|it| *it != self.dir).map(fs::remove_dir);
            }
        }
    }

    /// Removes what a killed run was still writing.
    fn remove_leftovers(&self) {
        let Ok(entries) = fs::read_dir(&self.dir) else {
            return;
        };
        for entry in entries.flatten() {
            if is_staging(&entry) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }

    /// The manifest of an earlier run of this scenario, or an error if the directory is not ours
    /// to write.
    fn earlier(&self, scenario: &str) -> Result<Option<Earlier>, OutputError> {
        match fs::metadata(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                return Err(OutputError::NotADirectory { path: self.in_the_way() });
            }
            Err(error) => return Err(io_error("read", &self.dir)(error)),
            Ok(found) if !found.is_dir() => {
                return Err(OutputError::NotADirectory { path: self.dir.clone() });
            }
            Ok(_) => {}
        }
        let earlier =
            fs::read(self.dir.join(manifest::NAME)).ok().and_then(|bytes| manifest::parse(&bytes));
        let found = match &earlier {
            Some(earlier) => Some(earlier.scenario.clone()),
            None => self.scenario_of_summary(),
        };
        match found {
            Some(found) if found == scenario => Ok(earlier),
            _ if self.force => Ok(earlier),
            Some(found) => Err(OutputError::OtherScenario {
                dir: self.dir.clone(),
                scenario: scenario.to_owned(),
                found,
            }),
            None if self.is_empty()? => Ok(None),
            None => Err(OutputError::NotOurs { dir: self.dir.clone() }),
        }
    }

    /// The file that stands where a directory above ours should be.
    fn in_the_way(&self) -> PathBuf {
        let file = self.dir.ancestors().find(|it| it.is_file());
        file.unwrap_or(&self.dir).to_path_buf()
    }

    /// A run that was killed between its first rename and its manifest has a summary at least.
    fn scenario_of_summary(&self) -> Option<String> {
        #[derive(serde::Deserialize)]
        struct Head {
            #[serde(rename = "schema")]
            _schema: u32,
            scenario: String,
        }
        let bytes = fs::read(self.dir.join("summary.json")).ok()?;
        let head: Head = serde_json::from_slice(&bytes).ok()?;
        Some(head.scenario)
    }

    fn is_empty(&self) -> Result<bool, OutputError> {
        let mut entries = fs::read_dir(&self.dir).map_err(io_error("read", &self.dir))?;
        Ok(entries.all(|entry| entry.is_ok_and(|it| is_staging(&it))))
    }
}

fn is_staging(entry: &fs::DirEntry) -> bool {
    entry.file_name().to_string_lossy().starts_with(STAGING)
}

fn io_error<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> OutputError + use<'a> {
    move |source| OutputError::Io { action, path: path.to_path_buf(), source }
}

/// A name must stay inside the directory, and no two files may share one.
fn check_names(files: &[OutputFile]) -> Result<(), OutputError> {
    let mut seen = std::collections::BTreeSet::from([manifest::NAME]);
    for file in files {
        if !is_inside(&file.name) || !seen.insert(&file.name) {
            return Err(OutputError::BadName { name: file.name.clone() });
        }
    }
    Ok(())
}

fn is_inside(name: &str) -> bool {
    !name.is_empty()
        && !name.contains('\\')
        && Path::new(name).components().all(|part| matches!(part, Component::Normal(_)))
}
