//! Where things stand in a file: a scanner of RON that maps paths to byte ranges (decision D-3).
//!
//! `ron` decides what is valid; this only finds places, so it is lenient: it goes on after a
//! missing comma and knows no types. It never panics, and refuses nesting beyond [`MAX_DEPTH`].

use std::ops::Range;

use crate::path::{Path, Step};

/// Deepest nesting of brackets and block comments.
pub const MAX_DEPTH: usize = 64;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its shape.
    pub kind: Kind,
    /// All of it, with its name if it has one.
    pub span: Range<usize>,
}

/// The shape of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A number, a character, bytes.
    Scalar,
    /// Text in quotes.
    Text,
    /// A name alone: `true`, `None`, `OnDemand`.
    Word,
    /// `Name(field: value)` or `(field: value)`.
    Fields(Option<String>, Vec<Entry>),
    /// `Name(value, value)` or `(value, value)`.
    Tuple(Option<String>, Vec<Node>),
    /// `[value, value]`.
    List(Vec<Node>),
    /// `{"name": value}`.
    Map(Vec<Entry>),
}

/// A field or an entry of a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub key: String,
    /// Where the name stands.
    pub key_span: Range<usize>,
    /// Its value.
    pub value: Node,
}

impl Entry {
    /// Name and value together.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.key_span.start..self.value.span.end
    }
}

/// Why a scan came to an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanError {
    /// What is wrong.
    pub message: String,
    /// Where.
    pub span: Range<usize>,
}

/// A scanned file.
#[derive(Clone, Debug)]
pub struct Scan {
    /// Its value.
    pub root: Node,
    /// Where an element ends that a comma should follow.
    pub missing_commas: Vec<usize>,
}

/// Something that can be taken out of a file: a field, an entry of a map, an element of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where it is in the scenario.
    pub path: Path,
    /// With its key.
    pub whole: Range<usize>,
    /// Without.
    pub value: Range<usize>,
}

impl Scan {
    /// The value at a path, or the innermost one on the way to it.
    #[must_use]
    pub fn find(&self, path: &Path) -> Found<'_> {
        let mut found = Found { node: &self.root, key: None, depth: 0 };
        for step in &path.0 {
            let Some((node, key)) = found.node.child(step) else {
                break;
            };
            found = Found { node, key, depth: found.depth + 1 };
        }
        found
    }

    /// Whether the file itself has a value at that path.
    #[must_use]
    pub fn has(&self, path: &Path) -> bool {
        self.find(path).depth == path.0.len()
    }

    /// The parts around a byte, from the outermost to the innermost.
    #[must_use]
    pub fn parts_at(&self, offset: usize) -> Vec<Part> {
        let mut parts = vec![Part {
            path: Path::default(),
            whole: self.root.span.clone(),
            value: self.root.span.clone(),
        }];
        self.root.parts_at(offset, &Path::default(), &mut parts);
        parts
    }

    /// Names that stand twice in one map or struct, each with its path and second place.
    #[must_use]
    pub fn duplicates(&self) -> Vec<(Path, Range<usize>)> {
        let mut found = Vec::new();
        self.root.duplicates(&Path::default(), &mut found);
        found
    }
}

/// What [`Scan::find`] found.
#[derive(Clone, Debug)]
pub struct Found<'a> {
    /// The value.
    pub node: &'a Node,
    /// Its key, if it has one.
    pub key: Option<&'a Entry>,
    /// Steps of the path that were found.
    pub depth: usize,
}

impl Node {
    fn child(&self, step: &Step) -> Option<(&Self, Option<&Entry>)> {
        match (&self.kind, step) {
            (Kind::Fields(_, entries) | Kind::Map(entries), Step::Name(name)) => {
                let entry = entries.iter().rev().find(|entry| entry.key == *name)?;
                Some((&entry.value, Some(entry)))
            }
            (Kind::List(items), Step::Index(index)) => items.get(*index).map(|node| (node, None)),
            (Kind::Tuple(_, items), _) => match (items.as_slice(), step) {
                // `Steps([..])`, `Some((..))`: the path goes on inside.
                ([only], _) if !only.is_leaf() => only.child(step),
                (items, Step::Index(index)) => items.get(*index).map(|node| (node, None)),
                (_, Step::Name(_)) => None,
            },
            _ => None,
        }
    }

    fn is_leaf(&self) -> bool {
        matches!(self.kind, Kind::Scalar | Kind::Text | Kind::Word)
    }

    fn parts_at(&self, offset: usize, path: &Path, parts: &mut Vec<Part>) {
        let reaches = |span: &Range<usize>| span.start <= offset && offset <= span.end;
        match &self.kind {
            Kind::Scalar | Kind::Text | Kind::Word => {}
            Kind::Fields(_, entries) | Kind::Map(entries) => {
                // A place between two parts belongs to the one that begins there.
                let Some(entry) = entries.iter().rev().find(|it| reaches(&it.span())) else {
                    return;
                };
                let path = path.name(&entry.key);
                parts.push(Part {
                    path: path.clone(),
                    whole: entry.span(),
                    value: entry.value.span.clone(),
                });
                entry.value.parts_at(offset, &path, parts);
            }
            Kind::List(items) => {
                let items = || items.iter().enumerate().rev();
                let Some((index, node)) = items().find(|(_, it)| reaches(&it.span)) else {
                    return;
                };
                let path = path.index(index);
                parts.push(Part {
                    path: path.clone(),
                    whole: node.span.clone(),
                    value: node.span.clone(),
                });
                node.parts_at(offset, &path, parts);
            }
            Kind::Tuple(_, items) => {
                let several = items.len() > 1;
                let items = || items.iter().enumerate().rev();
                if let Some((index, node)) = items().find(|(_, it)| reaches(&it.span)) {
                    let path = if several { path.index(index) } else { path.clone() };
                    node.parts_at(offset, &path, parts);
                }
            }
        }
    }

    fn duplicates(&self, path: &Path, found: &mut Vec<(Path, Range<usize>)>) {
        match &self.kind {
            Kind::Scalar | Kind::Text | Kind::Word => {}
            Kind::Fields(_, entries) | Kind::Map(entries) => {
                let mut seen = std::collections::BTreeSet::new();
                for entry in entries {
                    let path = path.name(&entry.key);
                    if !seen.insert(&entry.key) && matches!(self.kind, Kind::Map(_)) {
                        found.push((path.clone(), entry.key_span.clone()));
                    }
                    entry.value.duplicates(&path, found);
                }
            }
            Kind::List(items) | Kind::Tuple(_, items) => {
                for (index, node) in items.iter().enumerate() {
                    node.duplicates(&path.index(index), found);
                }
            }
        }
    }

    /// All nodes, this one first.
    pub fn visit<'a>(&'a self, path: &Path, visitor: &mut dyn FnMut(&Path, &'a Self)) {
        visitor(path, self);
        match &self.kind {
            Kind::Scalar | Kind::Text | Kind::Word => {}
            Kind::Fields(_, entries) | Kind::Map(entries) => {
                for entry in entries {
                    entry.value.visit(&path.name(&entry.key), visitor);
                }
            }
            Kind::List(items) | Kind::Tuple(_, items) => {
                for (index, node) in items.iter().enumerate() {
                    node.visit(&path.index(index), visitor);
                }
            }
        }
    }
}

/// The place of the comma that follows a part, if one does.
#[must_use]
pub fn comma_after(text: &str, offset: usize) -> Option<usize> {
    let mut scanner = Scanner { text, at: offset, missing_commas: Vec::new() };
    scanner.skip_space().ok()?;
    (scanner.peek() == Some(',')).then_some(scanner.at)
}

/// Scans a whole file.
///
/// # Errors
/// If brackets or quotes do not match, or it is nested too deeply.
pub fn scan(text: &str) -> Result<Scan, ScanError> {
    let mut scanner = Scanner { text, at: 0, missing_commas: Vec::new() };
    scanner.skip_attributes()?;
    scanner.skip_space()?;
    if scanner.at == text.len() {
        return Err(scanner.error("the file holds no scenario"));
    }
    let root = scanner.value(0)?;
    scanner.skip_space()?;
    if scanner.at < text.len() {
        return Err(ScanError {
            message: "nothing may follow the scenario".to_owned(),
            span: scanner.at..text.trim_end().len().max(scanner.at),
        });
    }
    Ok(Scan { root, missing_commas: scanner.missing_commas })
}

struct Scanner<'t> {
    text: &'t str,
    at: usize,
    missing_commas: Vec<usize>,
}

impl Scanner<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn error(&self, message: &str) -> ScanError {
        let width = self.peek().map_or(0, char::len_utf8);
        ScanError { message: message.to_owned(), span: self.at..self.at + width }
    }

    fn skip_attributes(&mut self) -> Result<(), ScanError> {
        loop {
            self.skip_space()?;
            if !self.rest().starts_with("#!") {
                return Ok(());
            }
            let Some(length) = self.rest().find(']') else {
                return Err(self.error("this attribute is not closed"));
            };
            self.at += length + 1;
        }
    }

    fn skip_space(&mut self) -> Result<(), ScanError> {
        loop {
            let rest = self.rest();
            let space = rest.len() - rest.trim_start().len();
            self.at += space;
            if self.rest().starts_with("//") {
                let length = self.rest().find('\n');
                self.at += length.unwrap_or(self.rest().len());
            } else if self.rest().starts_with("/*") {
                self.skip_block_comment()?;
            } else {
                return Ok(());
            }
        }
    }

    fn skip_block_comment(&mut self) -> Result<(), ScanError> {
        let opened_at = self.at;
        let bytes = self.text.as_bytes();
        let mut depth = 0_usize;
        loop {
            match bytes.get(self.at..self.at + 2) {
                Some(b"/*") => (depth, self.at) = (depth + 1, self.at + 2),
                Some(b"*/") => (depth, self.at) = (depth - 1, self.at + 2),
                Some(_) => self.at += 1,
                None => {
                    return Err(ScanError {
                        message: "this comment is not closed".to_owned(),
                        span: opened_at..opened_at + 2,
                    });
                }
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<Node, ScanError> {
        let start = self.at;
        if depth > MAX_DEPTH {
            return Err(self.error(&format!("nested deeper than {MAX_DEPTH} brackets")));
        }
        let kind = match self.peek() {
            Some('(') => self.group(None, depth)?,
            Some('[') => Kind::List(self.list(depth)?),
            Some('{') => Kind::Map(self.map(depth)?),
            Some('\'') => self.character()?,
            _ if self.skip_text()? => Kind::Text,
            Some(first) if is_word(first) && !first.is_ascii_digit() => {
                let word = self.word().to_owned();
                let end = self.at;
                self.skip_space()?;
                if self.peek() == Some('(') {
                    self.group(Some(word), depth)?
                } else {
                    self.at = end;
                    Kind::Word
                }
            }
            Some(first) if first.is_ascii_digit() || "+-.".contains(first) => {
                let number = |c: char| is_word(c) || "+-.".contains(c);
                let rest = self.rest();
                self.at += rest.find(|c| !number(c)).unwrap_or(rest.len());
                Kind::Scalar
            }
            Some(_) => return Err(self.error("expected a value")),
            None => return Err(self.error("the file ends where a value should stand")),
        };
        Ok(Node { kind, span: start..self.at })
    }

    fn word(&mut self) -> &str {
        let start = self.at;
        if self.rest().starts_with("r#") {
            self.at += 2;
        }
        let rest = self.rest();
        self.at += rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        self.text.get(start..self.at).unwrap_or("")
    }

    fn character(&mut self) -> Result<Kind, ScanError> {
        let bytes = self.text.as_bytes();
        let mut end = self.at + 1;
        while let Some(&byte) = bytes.get(end) {
            match byte {
                b'\\' => end += 2,
                b'\'' if end > self.at + 1 => {
                    self.at = end + 1;
                    return Ok(Kind::Scalar);
                }
                b'\n' => break,
                _ => end += 1,
            }
        }
        Err(self.error("this character is not closed"))
    }

    /// Skips a text in any of its forms, if one stands here.
    fn skip_text(&mut self) -> Result<bool, ScanError> {
        let start = self.at;
        let rest = self.rest();
        let after_b = rest.strip_prefix('b').unwrap_or(rest);
        let raw = after_b.strip_prefix('r');
        let after_r = raw.unwrap_or(after_b);
        let hashes = after_r.len() - after_r.trim_start_matches('#').len();
        let opened = after_r.get(hashes..).unwrap_or("");
        if !opened.starts_with('"') || (raw.is_none() && hashes > 0) {
            return Ok(false);
        }
        let body = start + (rest.len() - opened.len()) + 1;
        let length = if raw.is_some() {
            let end = format!("\"{}", "#".repeat(hashes));
            self.text.get(body..).and_then(|it| it.find(&end)).map(|at| at + end.len())
        } else {
            end_of_text(self.text.as_bytes().get(body..).unwrap_or(&[]))
        };
        match length {
            Some(length) => {
                self.at = body + length;
                Ok(true)
            }
            None => Err(ScanError {
                message: "this text is not closed".to_owned(),
                span: start..start + 1,
            }),
        }
    }

    /// Goes to the next element of a bracket, or past its end.
    fn next_element(&mut self, open: usize, close: char, first: bool) -> Result<bool, ScanError> {
        let element_end = self.at;
        self.skip_space()?;
        let comma = self.peek() == Some(',') && !first;
        if comma {
            self.at += 1;
            self.skip_space()?;
        }
        match self.peek() {
            Some(c) if c == close => {
                self.at += 1;
                Ok(false)
            }
            Some(c) if ")]}".contains(c) => {
                let line = self.text.get(..open).map_or(0, |it| it.matches('\n').count()) + 1;
                Err(ScanError {
                    message: format!("expected `{close}` for what opens in line {line}, got `{c}`"),
                    span: self.at..self.at + 1,
                })
            }
            Some(_) => {
                if !comma && !first {
                    self.missing_commas.push(element_end);
                }
                Ok(true)
            }
            None => Err(ScanError {
                message: format!("the file ends before this is closed by `{close}`"),
                span: open..open + 1,
            }),
        }
    }

    fn group(&mut self, name: Option<String>, depth: usize) -> Result<Kind, ScanError> {
        let open = self.at;
        self.at += 1;
        let (mut entries, mut items) = (Vec::new(), Vec::new());
        while self.next_element(open, ')', entries.is_empty() && items.is_empty())? {
            match self.field_name()? {
                Some((key, key_span)) => {
                    let value = self.value(depth + 1)?;
                    entries.push(Entry { key, key_span, value });
                }
                None => items.push(self.value(depth + 1)?),
            }
        }
        Ok(if entries.is_empty() { Kind::Tuple(name, items) } else { Kind::Fields(name, entries) })
    }

    /// Takes `name:` and what space follows it, if that stands here.
    fn field_name(&mut self) -> Result<Option<(String, Range<usize>)>, ScanError> {
        let start = self.at;
        if self.peek().is_some_and(|c| is_word(c) && !c.is_ascii_digit()) {
            let word = self.word().trim_start_matches("r#").to_owned();
            let span = start..self.at;
            self.skip_space()?;
            if self.peek() == Some(':') {
                self.at += 1;
                self.skip_space()?;
                return Ok(Some((word, span)));
            }
        }
        self.at = start;
        Ok(None)
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, ScanError> {
        let open = self.at;
        self.at += 1;
        let mut items = Vec::new();
        while self.next_element(open, ']', items.is_empty())? {
            let item = self.value(depth + 1)?;
            items.push(self.behind_colon(item, depth)?);
        }
        Ok(items)
    }

    /// The value after a colon, if one follows `before`; else `before` itself. A list has no
    /// colons and a map has them everywhere: `ron` says so where a type expects the one or other.
    fn behind_colon(&mut self, before: Node, depth: usize) -> Result<Node, ScanError> {
        let end = self.at;
        self.skip_space()?;
        if self.peek() == Some(':') {
            self.at += 1;
            self.skip_space()?;
            self.value(depth + 1)
        } else {
            self.at = end;
            Ok(before)
        }
    }

    fn map(&mut self, depth: usize) -> Result<Vec<Entry>, ScanError> {
        let open = self.at;
        self.at += 1;
        let mut entries = Vec::new();
        while self.next_element(open, '}', entries.is_empty())? {
            let key = self.value(depth + 1)?;
            let key_span = key.span.clone();
            let value = self.behind_colon(key, depth)?;
            entries.push(Entry {
                key: plain_text(self.text.get(key_span.clone()).unwrap_or("")),
                key_span,
                value,
            });
        }
        Ok(entries)
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Bytes up to and with the closing quote.
fn end_of_text(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match bytes.get(at)? {
            b'\\' => at += 2,
            b'"' => return Some(at + 1),
            _ => at += 1,
        }
    }
}

/// What a text token says, or the token itself if it is none.
#[must_use]
pub fn plain_text(token: &str) -> String {
    ron::from_str(token).unwrap_or_else(|_| token.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(text: &str) -> Path {
        crate::path::parse_path(text).unwrap()
    }

    fn at<'t>(text: &'t str, wanted: &str) -> &'t str {
        let scan = scan(text).unwrap();
        let wanted = path(wanted);
        assert!(scan.has(&wanted), "{wanted}");
        &text[scan.find(&wanted).node.span.clone()]
    }

    #[test]
    fn a_path_leads_to_its_value_through_comments_and_names() {
        let text = r##"/* a /* nested */ comment */ Scenario( // to the end: )
            producers: { "web": (rate: /* here */ "6000/s", keys: Zipf(prefix: "u)", keys: 3)) },
            timeline: [ (at: "5m"), (at: r#"6"m"#) ],
            note: "an escaped \" quote, a bracket ] and a \\",
        )"##;
        assert_eq!(at(text, "producers.web.rate"), "\"6000/s\"");
        assert_eq!(at(text, "producers.web.keys.keys"), "3");
        assert_eq!(at(text, "timeline[1].at"), r##"r#"6"m"#"##);
        assert!(at(text, "note").ends_with("\\\\\""));
    }

    #[test]
    fn a_path_goes_through_a_variant_with_one_value() {
        let text = r#"(rate: Steps([("0s", "1/s"), ("5m", "2/s")]), retry: Some((attempts: 3)),
            change: At("8m", SplitHottestShard("clicks")))"#;
        assert_eq!(at(text, "rate[1][0]"), "\"5m\"");
        assert_eq!(at(text, "retry.attempts"), "3");
        assert_eq!(at(text, "change[1]"), "SplitHottestShard(\"clicks\")");
    }

    #[test]
    fn a_missing_path_yields_the_innermost_value_on_the_way() {
        let text = "(producers: {\"web\": (salt: 1)})";
        let scan = scan(text).unwrap();
        let found = scan.find(&path("producers.web.instances"));
        assert_eq!(&text[found.node.span.clone()], "(salt: 1)");
        assert_eq!(found.depth, 2);
    }

    #[test]
    fn a_missing_comma_is_noted_where_it_should_stand() {
        let text = "(seed: 7\n title: \"x\")";
        assert_eq!(scan(text).unwrap().missing_commas, [8]);
    }

    #[test]
    fn a_name_that_stands_twice_in_a_map_is_found() {
        let text = "(producers: {\"web\": 1, \"app\": 2, \"web\": 3})";
        let duplicates = scan(text).unwrap().duplicates();
        assert_eq!(duplicates.len(), 1);
        assert_eq!(duplicates[0].0.to_string(), "producers.web");
        assert_eq!(duplicates[0].1.start, text.rfind("\"web\"").unwrap());
    }

    #[test]
    fn brackets_and_quotes_that_do_not_match_are_said_where_they_open_or_clash() {
        let wrong = |text: &str| {
            let error = scan(text).unwrap_err();
            (error.message, error.span.start)
        };
        assert_eq!(wrong("(a: ["), ("the file ends before this is closed by `]`".into(), 4));
        assert_eq!(wrong("(a: [1)"), ("expected `]` for what opens in line 1, got `)`".into(), 6));
        assert_eq!(wrong("(a: \"x"), ("this text is not closed".into(), 4));
        assert_eq!(wrong("(a: /* 1"), ("this comment is not closed".into(), 4));
        assert_eq!(wrong("(a: 1) b"), ("nothing may follow the scenario".into(), 7));
        assert_eq!(wrong("// nothing"), ("the file holds no scenario".into(), 10));
    }

    #[test]
    fn nesting_has_a_limit() {
        let deep = |n: usize| format!("{}1{}", "[".repeat(n), "]".repeat(n));
        assert!(scan(&deep(MAX_DEPTH)).is_ok());
        assert!(scan(&deep(MAX_DEPTH + 1)).is_err());
        assert!(scan(&deep(100_000)).is_err());
        assert!(scan(&"/*".repeat(100_000)).is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics_and_all_spans_are_inside(text in r#"[(){}\[\],:"'r#b/*\\ \na-zé0-9.]{0,80}"#) {
            if let Ok(scan) = scan(&text) {
                scan.root.visit(&Path::default(), &mut |_, node| {
                    assert!(text.get(node.span.clone()).is_some());
                });
                for offset in 0..=text.len() {
                    let _ = scan.parts_at(offset);
                }
            }
        }
    }
}
