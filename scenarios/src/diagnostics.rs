//! Problems of a scenario, and how a person sees them: the file, the line, a caret, what to do.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde_json::json;

/// Problems that are shown; the rest are counted.
const MOST_SHOWN: usize = 50;

/// Whether a scenario can be run in spite of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can, but probably not as it was meant.
    Warning,
}

/// Which text a problem stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The scenario file.
    File,
    /// A change from the command line, as it was written: `producers.web.salt=x`.
    Set(String),
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where in the scenario: `producers.web.rate`; empty for the file as a whole.
    pub path: String,
    /// What is wrong: one sentence, lower case, no full stop.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Error or warning.
    pub severity: Severity,
    /// The text that the span refers to.
    pub origin: Origin,
    /// Bytes of that text.
    pub span: Option<Range<usize>>,
}

/// All problems of a file, in the order in which they stand in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    /// As the user gave it.
    pub file_name: String,
    /// The text of the file.
    pub text: String,
    /// The problems.
    pub list: Vec<Problem>,
}

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl Problems {
    pub(crate) fn new(file_name: &str, text: &str, mut list: Vec<Problem>) -> Self {
        // What is wrong in the file comes first, top down; a stable sort keeps the rest.
        list.sort_by_key(|problem| match (&problem.origin, &problem.span) {
            (Origin::File, Some(span)) => (0, span.start),
            (Origin::File, None) => (1, 0),
            (Origin::Set(_), _) => (2, 0),
        });
        Self { file_name: file_name.to_owned(), text: text.to_owned(), list }
    }

    /// Whether one of them is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|it| it.severity == Severity::Error)
    }

    /// Line and column (both from 1, columns in characters) of a problem in the file.
    #[must_use]
    pub fn line_and_column(&self, problem: &Problem) -> Option<(usize, usize)> {
        let span = problem.span.as_ref()?;
        if problem.origin != Origin::File {
            return None;
        }
        let before = self.text.get(..span.start)?;
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.matches('\n').count() + 1;
        let column = before.get(line_start..)?.chars().count() + 1;
        Some((line, column))
    }

    /// For a terminal, with or without colour.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let mut out = String::new();
        for problem in self.list.iter().take(MOST_SHOWN) {
            out.push_str(&renderer.render(&[self.group(problem)]));
            out.push_str("\n\n");
        }
        if self.list.len() > MOST_SHOWN {
            let more = self.list.len() - MOST_SHOWN;
            out.push_str(&format!("... and {more} more\n\n"));
        }
        out.truncate(out.trim_end().len());
        out
    }

    fn group<'a>(&'a self, problem: &'a Problem) -> Group<'a> {
        let level = match problem.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let (name, text) = match &problem.origin {
            Origin::File => (self.file_name.as_str(), self.text.as_str()),
            Origin::Set(text) => ("--set", text.as_str()),
        };
        let title = level.primary_title(problem.message.as_str());
        let span = problem.span.clone().filter(|it| text.get(it.clone()).is_some());
        let mut group = match span {
            Some(span) => {
                let mut mark = AnnotationKind::Primary.span(span);
                if !problem.path.is_empty() && problem.origin == Origin::File {
                    mark = mark.label(format!("at {}", problem.path));
                }
                title.element(Snippet::source(text).path(name).annotation(mark))
            }
            None => title.element(annotate_snippets::Origin::path(name)),
        };
        if let Some(help) = &problem.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        group
    }

    /// The same as data.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let problems: Vec<_> = self
            .list
            .iter()
            .map(|problem| {
                let place = self.line_and_column(problem);
                json!({
                    "severity": match problem.severity {
                        Severity::Error => "error",
                        Severity::Warning => "warning",
                    },
                    "path": problem.path,
                    "message": problem.message,
                    "help": problem.help,
                    "file": match &problem.origin {
                        Origin::File => self.file_name.as_str(),
                        Origin::Set(_) => "--set",
                    },
                    "line": place.map(|it| it.0),
                    "column": place.map(|it| it.1),
                })
            })
            .collect();
        serde_json::Value::Array(problems)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems() -> Problems {
        let text = "(\n    título: 1, rate: \"fast\",\n)";
        let at = text.find("\"fast\"").unwrap();
        let problem = Problem {
            path: "producers.web.rate".into(),
            message: "expected a rate".into(),
            help: Some("write \"6000/s\"".into()),
            severity: Severity::Error,
            origin: Origin::File,
            span: Some(at..at + 6),
        };
        Problems::new("x.ron", text, vec![problem])
    }

    #[test]
    fn a_problem_shows_file_line_column_caret_and_help() {
        let rendered = problems().to_string();
        // The accent is one column but two bytes.
        assert!(rendered.contains("--> x.ron:2:22"), "{rendered}");
        assert!(rendered.contains("^^^^^^ at producers.web.rate"), "{rendered}");
        assert!(rendered.contains("help: write \"6000/s\""), "{rendered}");
    }

    #[test]
    fn columns_count_characters() {
        let problems = problems();
        assert_eq!(problems.line_and_column(&problems.list[0]), Some((2, 22)));
        assert_eq!(problems.to_json()[0]["column"], 22);
    }
}
