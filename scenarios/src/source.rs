//! The short forms of the file language, written out before `ron` reads it.
//!
//! | In the file | What is read |
//! |---|---|
//! | `rate: "6000/s"` | `rate: Constant("6000/s")` |
//! | `record_size: "1KiB"` | `record_size: Fixed("1KiB")` |
//! | `service_time: "300us"` | `service_time: Fixed("300us")` |
//! | `latency: "5ms"` of a sink | `latency: Fixed("5ms")` |
//! | `OnDemand`, `Kpl`, `Sdk`, `Kafka`, `ZooKeeper`, `KRaft`, `Gp3` | `OnDemand()` and so on |
//!
//! Plain serde derives cannot take text or a variant in one place, and `untagged` would cost every
//! error its position (decision D-2). Writing out keeps both; positions are mapped back.

use ron::Options;
use ron::extensions::Extensions;

use crate::path::Path;
use crate::span::{Kind, Scan};

/// Variants whose fields all have defaults: they may stand without parentheses.
pub(crate) const BARE_VARIANTS: [&str; 7] =
    ["OnDemand", "Kpl", "Sdk", "Kafka", "ZooKeeper", "KRaft", "Gp3"];

/// The options of `ron` with which every text of a scenario is read.
#[must_use]
pub(crate) fn options() -> Options {
    Options::default().with_default_extension(
        Extensions::IMPLICIT_SOME
            | Extensions::UNWRAP_NEWTYPES
            | Extensions::UNWRAP_VARIANT_NEWTYPES,
    )
}

/// The variant that a text alone stands for at that path.
#[must_use]
pub(crate) fn short_for(path: &Path) -> Option<&'static str> {
    let names = path.names();
    match names.as_slice() {
        ["producers", _, "rate"] => Some("Constant"),
        ["producers", _, "record_size"]
        | ["consumers", _, "service_time"]
        | ["sinks", _, "latency"] => Some("Fixed"),
        _ => None,
    }
}

/// Text to insert at places of a file, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expansion {
    inserts: Vec<(usize, String)>,
    /// Inserted at one place whatever becomes of what stands there.
    assumed: Option<(usize, String)>,
}

/// A text with its short forms written out.
#[derive(Clone, Debug)]
pub(crate) struct Expanded {
    pub(crate) text: String,
    /// (place in this text, bytes inserted there)
    inserted: Vec<(usize, usize)>,
}

impl Expansion {
    pub(crate) fn of(scan: &Scan, text: &str) -> Self {
        let mut inserts = Vec::new();
        scan.root.visit(&Path::default(), &mut |path, node| {
            let token = text.get(node.span.clone()).unwrap_or("");
            match node.kind {
                // A number there is wrong, and so is told what it should be.
                Kind::Text | Kind::Scalar => {
                    if let Some(variant) = short_for(path) {
                        inserts.push((node.span.start, format!("{variant}(")));
                        inserts.push((node.span.end, ")".to_owned()));
                    }
                }
                Kind::Word if BARE_VARIANTS.contains(&token) => {
                    inserts.push((node.span.end, "()".to_owned()));
                }
                Kind::Word | Kind::Fields(..) | Kind::Tuple(..) | Kind::List(_) | Kind::Map(_) => {}
            }
        });
        Self { inserts, assumed: None }
    }

    /// Fields for the scenario to have; `place` is that of its first field, the same each time.
    pub(crate) fn assume(&mut self, place: usize, text: &str) {
        let (_, all) = self.assumed.get_or_insert((place, String::new()));
        all.push_str(text);
    }

    /// Writes the short forms out, but for those of parts that were blanked.
    pub(crate) fn apply(&self, text: &str, blanked: &[std::ops::Range<usize>]) -> Expanded {
        let mut out = String::with_capacity(text.len() + 16 * self.inserts.len());
        let mut inserted = Vec::new();
        let mut from = 0;
        let is_blanked =
            |place: usize| blanked.iter().any(|it| it.start <= place && place <= it.end);
        let written_out = self.inserts.iter().filter(|it| !is_blanked(it.0));
        for (place, insert) in self.assumed.iter().chain(written_out) {
            out.push_str(text.get(from..*place).unwrap_or(""));
            inserted.push((out.len(), insert.len()));
            out.push_str(insert);
            from = *place;
        }
        out.push_str(text.get(from..).unwrap_or(""));
        Expanded { text: out, inserted }
    }
}

impl Expanded {
    /// The place in the file of a place in this text.
    pub(crate) fn original(&self, offset: usize) -> usize {
        let mut shift = 0;
        for &(place, length) in &self.inserted {
            if offset < place {
                break;
            }
            // A place inside an insertion is where it was inserted.
            shift += length.min(offset - place);
        }
        offset - shift
    }
}

/// The byte at which `ron`'s line and column stand (both from 1; columns count characters).
#[must_use]
pub(crate) fn offset_of(text: &str, position: ron::error::Position) -> usize {
    let mut start = 0;
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        if number == position.line {
            let mut places = line.char_indices().map(|(at, _)| at);
            let column = places.nth(position.col.saturating_sub(1));
            return start + column.unwrap_or(line.len());
        }
        start += line.len();
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::scan;

    fn expanded(text: &str) -> Expanded {
        Expansion::of(&scan(text).unwrap(), text).apply(text, &[])
    }

    #[test]
    fn short_forms_are_written_out_where_they_mean_something() {
        let text = r#"(title: "1/s", producers: {"a": (rate: "1/s", client: Sdk)})"#;
        assert_eq!(
            expanded(text).text,
            r#"(title: "1/s", producers: {"a": (rate: Constant("1/s"), client: Sdk())})"#
        );
    }

    #[test]
    fn every_place_is_mapped_back() {
        let text = r#"(producers: {"a": (rate: "1/s", salt: 2)})"#;
        let expanded = expanded(text);
        for token in ["producers", "rate", "\"1/s\"", "salt", "2)"] {
            let there = expanded.text.find(token).unwrap();
            assert_eq!(expanded.original(there), text.find(token).unwrap(), "{token}");
        }
        assert_eq!(expanded.original(expanded.text.len()), text.len());
    }
}
