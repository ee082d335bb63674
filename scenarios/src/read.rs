//! Reading a file: all structural problems in one pass, and what is left of the scenario.
//!
//! `ron` stops at its first error. So each is reported, the part of the file that holds it is
//! blanked with spaces, and the file is read again until it is clean (decision D-3). A field that
//! is missing only because it was blanked is not reported; the part that lacks it goes too.

use std::ops::Range;

use crate::diagnostics::{Origin, Problem, Severity};
use crate::nearest;
use crate::path::Path;
use crate::schema::Scenario;
use crate::source::{Expansion, offset_of, options};
use crate::span::{Kind, Part, Scan, comma_after, scan};
use crate::units::{Bytes, shortened};

/// Largest file that is read.
pub(crate) const MAX_FILE: Bytes = Bytes(1 << 20);
/// Times that a file is read, each without what was wrong before.
const MOST_READS: usize = 200;

/// What a text holds.
#[derive(Clone, Debug)]
pub(crate) struct Parsed {
    /// The scenario without the parts that could not be read; `None` if nothing is left of it.
    pub(crate) scenario: Option<Scenario>,
    /// Where things stand; `None` if brackets or quotes do not match.
    pub(crate) scan: Option<Scan>,
    /// Structural problems.
    pub(crate) problems: Vec<Problem>,
    /// What could not be read.
    pub(crate) blanked: Vec<Path>,
}

pub(crate) fn error(path: &Path, span: Range<usize>, message: String) -> Problem {
    Problem {
        path: path.to_string(),
        message,
        help: None,
        severity: Severity::Error,
        origin: Origin::File,
        span: Some(span),
    }
}

/// Reads a text as far as possible.
pub(crate) fn parse(text: &str) -> Parsed {
    let mut parsed =
        Parsed { scenario: None, scan: None, problems: Vec::new(), blanked: Vec::new() };
    if let Some(problem) = not_a_scenario(text) {
        parsed.problems.push(problem);
        return parsed;
    }
    match scan(text) {
        Ok(scan) => {
            let mut reader = Reader {
                text,
                scan: &scan,
                working: text.to_owned(),
                blanked_spans: Vec::new(),
                parsed,
            };
            reader.commas_and_names();
            reader.read();
            parsed = reader.parsed;
            parsed.scan = Some(scan);
        }
        Err(wrong) => {
            let problem = error(&Path::default(), wrong.span, wrong.message);
            parsed.problems.push(problem);
        }
    }
    parsed
}

/// What can be told without looking at the syntax.
fn not_a_scenario(text: &str) -> Option<Problem> {
    let refuse = |message: String, help: Option<&str>| {
        Some(Problem {
            path: String::new(),
            message,
            help: help.map(str::to_owned),
            severity: Severity::Error,
            origin: Origin::File,
            span: None,
        })
    };
    let size = Bytes(u64::try_from(text.len()).unwrap_or(u64::MAX));
    if size > MAX_FILE {
        return refuse(
            format!("the file has {} bytes, which is beyond the limit of {MAX_FILE}", size.0),
            None,
        );
    }
    if text.contains('\0') {
        return refuse("the file is binary, not a scenario".to_owned(), None);
    }
    if text.trim().is_empty() {
        return refuse(
            "the file is empty".to_owned(),
            Some("`streamsim new` writes a commented template"),
        );
    }
    None
}

struct Reader<'t> {
    text: &'t str,
    scan: &'t Scan,
    /// The text with what was reported replaced by spaces, byte for byte.
    working: String,
    blanked_spans: Vec<Range<usize>>,
    parsed: Parsed,
}

/// What to do about one error of `ron`.
struct Diagnosis {
    part: Part,
    mark: Range<usize>,
    message: Option<String>,
    help: Option<String>,
}

impl Reader<'_> {
    /// What the scanner sees and `ron` does not: names that stand twice, and all missing commas.
    fn commas_and_names(&mut self) {
        for &place in &self.scan.missing_commas {
            let parts = self.scan.parts_at(place.saturating_sub(1));
            let path = parts.last().map(|part| part.path.clone()).unwrap_or_default();
            let mark = place.saturating_sub(1)..place;
            let mark = if self.text.get(mark.clone()).is_some() { mark } else { place..place };
            let mut problem = error(&path, mark, "expected a comma after this".to_owned());
            problem.help = Some("a list, map or struct separates its parts by `,`".to_owned());
            self.parsed.problems.push(problem);
            // A space becomes the comma, so that reading can go on and no place moves.
            if self.working.get(place..).is_some_and(|it| it.starts_with(char::is_whitespace)) {
                self.overwrite(place..place + 1, ",");
            }
        }
        for (path, span) in self.scan.duplicates() {
            let message = format!("`{}` is there already", shortened(&path.to_string()));
            let mut problem = error(&path, span, message);
            problem.help = Some("a name stands for one thing; take another".to_owned());
            self.parsed.problems.push(problem);
        }
    }

    fn read(&mut self) {
        let mut expansion = Expansion::of(self.scan, self.text);
        for _ in 0..MOST_READS {
            let expanded = expansion.apply(&self.working, &self.blanked_spans);
            let wrong = match options().from_str::<Scenario>(&expanded.text) {
                Ok(scenario) => {
                    self.parsed.scenario = Some(scenario);
                    return;
                }
                Err(wrong) => wrong,
            };
            let offset = expanded.original(offset_of(&expanded.text, wrong.span.start));
            let found = self.diagnose(&wrong.code, offset);
            let of_root = found.part.path.0.is_empty();
            if let Some(message) = found.message {
                let mut problem = error(&found.part.path, found.mark, message);
                problem.help = found.help;
                self.parsed.problems.push(problem);
            }
            let assumed = if let ron::Error::MissingStructField { field, .. } = &wrong.code
                && of_root
            {
                self.assumed(field)
            } else {
                None
            };
            if let Some((place, text)) = assumed {
                expansion.assume(place, &text);
            } else if of_root || is_syntax(&wrong.code) || !self.blank(&found.part) {
                return;
            }
        }
        let end = self.text.len();
        let message = format!("more may be wrong: looking stopped after {MOST_READS} rounds");
        let problem = error(&Path::default(), end..end, message);
        self.parsed.problems.push(problem);
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "ron has many errors and may get more; what is not named is a wrong value"
    )]
    fn diagnose(&mut self, code: &ron::Error, offset: usize) -> Diagnosis {
        let parts = self.parts_near(offset);
        let innermost = parts.last().cloned().unwrap_or_else(|| self.root());
        match code {
            ron::Error::MissingStructField { field, .. } => self.missing(field, offset),
            ron::Error::NoSuchStructField { expected, found, outer } => {
                self.unknown_field(&parts, offset, found, expected, outer.as_deref())
            }
            ron::Error::NoSuchEnumVariant { expected, found, .. } => Diagnosis {
                mark: self.word_at(offset, found),
                message: Some(format!("unknown variant `{}`", shortened(found))),
                help: nearest::help(found, expected.iter().copied()),
                part: innermost,
            },
            ron::Error::ExpectedDifferentStructName { expected, found } => Diagnosis {
                mark: self.word_at(offset, found),
                message: Some(format!("expected `{expected}(..)`, got `{}`", shortened(found))),
                help: None,
                part: innermost,
            },
            ron::Error::DuplicateStructField { field, .. } => Diagnosis {
                mark: self.word_at(offset, field),
                message: Some(format!("`{field}` is given twice")),
                help: None,
                part: innermost,
            },
            _ => {
                let mark = self.mark_of(&innermost, offset);
                let token = self.described(&innermost, &mark);
                Diagnosis {
                    message: Some(wrong_value(code, &token)),
                    help: None,
                    mark,
                    part: innermost,
                }
            }
        }
    }

    fn unknown_field(
        &mut self,
        parts: &[Part],
        offset: usize,
        found: &str,
        expected: &[&str],
        outer: Option<&str>,
    ) -> Diagnosis {
        let part = parts.iter().rev().find(|part| self.key_is(part, found));
        let part = part.or(parts.last()).cloned().unwrap_or_else(|| self.root());
        // What was meant is not to be reported as missing, too.
        if let Some(meant) = nearest::nearest(found, expected.iter().copied()) {
            let mut path = part.path.clone();
            path.0.pop();
            self.parsed.blanked.push(path.name(meant));
        }
        let happening = outer == Some("Planned") && found.starts_with(char::is_uppercase);
        let help = if happening {
            Some(format!("write `what: {found}(..)`"))
        } else {
            nearest::help(found, expected.iter().copied())
        };
        let of = outer.map_or(String::new(), |outer| format!(" in `{outer}`"));
        Diagnosis {
            mark: self.word_at(offset, found),
            message: Some(format!("unknown field `{}`{of}", shortened(found))),
            help,
            part,
        }
    }

    /// What stands for a field that a scenario must have, so that the rest can still be checked.
    fn assumed(&mut self, field: &str) -> Option<(usize, String)> {
        let value = match field {
            "title" => "\"?\"",
            "duration" => "\"744h\"",
            "systems" | "producers" => "{}",
            _ => return None,
        };
        let Kind::Fields(_, entries) = &self.scan.root.kind else {
            return None;
        };
        self.parsed.blanked.push(Path::default().name(field));
        let first = entries.first()?.key_span.start;
        Some((first, format!("{field}: {value}, ")))
    }

    fn root(&self) -> Part {
        Part {
            path: Path::default(),
            whole: self.scan.root.span.clone(),
            value: self.scan.root.span.clone(),
        }
    }

    /// The parts around an error. `ron` points one column before a token of the wrong type, and
    /// behind a token that it has read whole.
    fn parts_near(&self, offset: usize) -> Vec<Part> {
        let rest = self.text.get(offset..).unwrap_or("");
        let before = self.text.get(..offset).unwrap_or("");
        if rest.starts_with(char::is_whitespace) {
            let ahead = offset + rest.len() - rest.trim_start().len();
            return self.scan.parts_at(ahead);
        }
        let here = self.scan.parts_at(offset);
        let behind = self.scan.parts_at(before.trim_end().len());
        if behind.len() > here.len() && rest.starts_with([',', ')', ']', '}']) {
            behind
        } else {
            here
        }
    }

    fn missing(&self, field: &str, offset: usize) -> Diagnosis {
        // The error stands at the closing bracket, which belongs to the part that lacks the field.
        let parts = self.scan.parts_at(offset);
        let inside = |part: &Part| part.value.start <= offset && offset < part.value.end;
        let part = parts.into_iter().rev().find(inside).unwrap_or_else(|| self.root());
        let known = self.parsed.blanked.contains(&part.path.name(field));
        let key = if part.whole.start == part.value.start {
            let text = self.text.get(part.value.clone()).unwrap_or("");
            let first_line = text.lines().next().map_or(0, str::len);
            part.value.start..part.value.start + first_line
        } else {
            let key = self.text.get(part.whole.start..part.value.start).unwrap_or("");
            let key = key.trim_end().trim_end_matches(':').trim_end();
            part.whole.start..part.whole.start + key.len()
        };
        Diagnosis {
            part,
            mark: key,
            message: (!known).then(|| format!("`{field}` is missing here")),
            help: Some(format!("add `{field}: ..`")),
        }
    }

    fn key_is(&self, part: &Part, name: &str) -> bool {
        let whole = self.text.get(part.whole.clone()).unwrap_or("");
        part.whole.start != part.value.start && whole.starts_with(name)
    }

    fn word_at(&self, offset: usize, word: &str) -> Range<usize> {
        let rest = self.text.get(offset..).unwrap_or("");
        let place = rest.find(word).filter(|at| *at <= 2).map_or(offset, |at| offset + at);
        let end = (place + word.len()).min(self.text.len());
        if self.text.get(place..end).is_some() { place..end } else { offset..offset }
    }

    /// What to underline: a leaf whole, of anything else the innermost token.
    fn mark_of(&self, part: &Part, offset: usize) -> Range<usize> {
        let node = self.scan.find(&part.path).node;
        match &node.kind {
            Kind::Scalar | Kind::Text | Kind::Word => part.value.clone(),
            Kind::Tuple(_, items) => items
                .iter()
                .find(|item| item.span.start <= offset && offset <= item.span.end)
                .map_or_else(|| self.token_at(offset), |item| item.span.clone()),
            Kind::Fields(..) | Kind::List(_) | Kind::Map(_) => self.token_at(offset),
        }
    }

    fn token_at(&self, offset: usize) -> Range<usize> {
        let rest = self.text.get(offset..).unwrap_or("");
        let start = offset + rest.len() - rest.trim_start().len();
        let width = self.text.get(start..).and_then(|it| it.chars().next());
        start..start + width.map_or(0, char::len_utf8)
    }

    fn described(&self, part: &Part, mark: &Range<usize>) -> String {
        let whole = *mark == part.value;
        let kind = &self.scan.find(&part.path).node.kind;
        if matches!(kind, Kind::List(_)) && !whole {
            "a list".to_owned()
        } else if matches!(kind, Kind::Map(_)) && !whole {
            "a map".to_owned()
        } else {
            format!("`{}`", shortened(self.text.get(mark.clone()).unwrap_or("")))
        }
    }

    /// Replaces a part, and the comma after it, by spaces. Whether anything changed.
    fn blank(&mut self, part: &Part) -> bool {
        let span = part.whole.clone();
        if self.blanked_spans.contains(&span) {
            return false;
        }
        self.overwrite(span.clone(), " ");
        if let Some(comma) = comma_after(&self.working, span.end) {
            self.overwrite(comma..comma + 1, " ");
        }
        self.blanked_spans.push(span);
        self.parsed.blanked.push(part.path.clone());
        true
    }

    fn overwrite(&mut self, span: Range<usize>, with: &str) {
        let Some(old) = self.working.get(span.clone()) else {
            return;
        };
        let keep_lines = |byte: u8| {
            if byte == b'\n' && with == " " { "\n" } else { with }
        };
        let new: String = old.bytes().map(keep_lines).collect();
        self.working.replace_range(span, &new);
    }
}

/// Errors after which nothing can be said about the rest.
fn is_syntax(code: &ron::Error) -> bool {
    matches!(
        code,
        ron::Error::Eof
            | ron::Error::UnclosedBlockComment
            | ron::Error::TrailingCharacters
            | ron::Error::ExceededRecursionLimit
            | ron::Error::ExpectedAttribute
            | ron::Error::ExpectedAttributeEnd
            | ron::Error::NoSuchExtension(_)
    )
}

/// A sentence about a value that is not what should stand there.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "ron has many errors and may get more; what is not named speaks for itself"
)]
fn wrong_value(code: &ron::Error, token: &str) -> String {
    let expected = match code {
        ron::Error::Message(message) => return message.clone(),
        ron::Error::IntegerOutOfBounds => {
            return format!("{token} is out of range here");
        }
        ron::Error::InvalidValueForType { expected, .. } => expected,
        ron::Error::ExpectedInteger
        | ron::Error::InvalidIntegerDigit { .. }
        | ron::Error::ExpectedComma => "a whole number",
        ron::Error::ExpectedFloat => "a number",
        ron::Error::ExpectedString => "text in quotes",
        ron::Error::ExpectedBoolean => "true or false",
        ron::Error::ExpectedArray => "a list `[..]`",
        ron::Error::ExpectedMap => "a map `{\"name\": ..}`",
        ron::Error::ExpectedIdentifier
        | ron::Error::InvalidIdentifier(_)
        | ron::Error::SuggestRawIdentifier(_) => "a name",
        // serde says "tuple variant Change::At with 2 elements".
        ron::Error::ExpectedDifferentLength { expected, found } => {
            let expected = expected.rsplit("::").next().unwrap_or(expected);
            return format!("expected {expected}, got {found}");
        }
        ron::Error::ExpectedStructLike | ron::Error::ExpectedNamedStructLike(_) => "`(..)`",
        ron::Error::ExpectedStructLikeEnd => "`)`: this holds more than it can take",
        other => {
            let text = other.to_string();
            let mut letters = text.chars();
            let first = letters.next().map(|c| c.to_lowercase().to_string());
            return format!("{}{}", first.unwrap_or_default(), letters.as_str());
        }
    };
    format!("expected {expected}, got {token}")
}
