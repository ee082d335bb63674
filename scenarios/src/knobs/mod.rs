//! Configuration of real libraries under its real names: what is modelled, with ranges and
//! defaults, and what exists but is not modelled.

mod kafka;
mod kafka_keys;
mod kinesis;

use crate::units::{Bytes, Dur, Quantity, percent_of_text};
use crate::value::{ConfigValue, Named};
use crate::version::KclVersion;

pub use kafka::{
    BROKER, CONSUMER, KAFKA, KafkaKnob, KafkaLibrary, NONE, PRODUCER, Place, STREAMS, TOPIC,
    ZOOKEEPER, assignors,
};
pub use kinesis::{KCL, KPL};

/// The library that a `config` map belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Library {
    /// As in messages.
    pub name: &'static str,
    /// What the simulator follows.
    pub modelled: &'static [Knob],
    /// What exists, and has no effect here.
    pub known: &'static [&'static str],
}

/// A modelled configuration key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Knob {
    /// Its real name.
    pub name: &'static str,
    /// Type and range.
    pub kind: Kind,
    /// In canonical text.
    pub default: &'static str,
    /// The only generation that has it, if not all.
    pub only: Option<KclVersion>,
}

/// Type and range of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Flag,
    /// A bare number.
    Count(u64, u64),
    /// `"150%"`; whole per cents.
    Percent(u64, u64),
    /// `"100ms"`; a bare number where the name ends in its unit (`Millis`, `.ms`, `.hours`).
    Time(Dur, Dur),
    /// The same, or -1 for none.
    TimeOrNone(Dur, Dur),
    /// `"50KiB"`; for Kafka, which knows no units, also a bare number of bytes.
    Size(Bytes, Bytes),
    /// The same, or -1 for none.
    SizeOrNone(Bytes, Bytes),
    /// `acks`: 0, 1, -1 or `"all"`.
    Acks,
    /// `partition.assignment.strategy`: one or more assignors, separated by commas.
    Assignors,
    /// Words from a list, separated by commas; a bit for each.
    Words(&'static [&'static str]),
    /// Any text that is not empty.
    Name,
    /// One of some words.
    Choice(&'static [&'static str]),
}

/// The value of a key, in the unit of its kind: nanoseconds, bytes, per cents, a place in a list;
/// [`NONE`] where -1 stands for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting(pub u64);

const fn knob(name: &'static str, kind: Kind, default: &'static str) -> Knob {
    Knob { name, kind, default, only: None }
}

const fn only(version: KclVersion, knob: Knob) -> Knob {
    Knob { only: Some(version), ..knob }
}

const HOUR: Dur = Dur::secs(3_600);

impl Library {
    /// The modelled key of that name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&'static Knob> {
        self.modelled.iter().find(|knob| knob.name == name)
    }

    /// The value of a modelled key: that of the map if it is there and right, else the default.
    pub(crate) fn value(&self, config: &Named<ConfigValue>, name: &str) -> u64 {
        let Some(knob) = self.find(name) else {
            return 0;
        };
        let given = config.get(name).and_then(|value| knob.read(value).ok());
        given.unwrap_or_else(|| knob.default_setting()).0
    }
}

impl Knob {
    /// Reads a value of this key.
    ///
    /// # Errors
    /// A sentence: what was expected, what came.
    pub fn read(&self, value: &ConfigValue) -> Result<Setting, String> {
        let wrong = |expected: &str| format!("expected {expected}, got {value}");
        match self.kind {
            Kind::Flag => match value {
                ConfigValue::Bool(flag) => Ok(Setting(u64::from(*flag))),
                ConfigValue::Whole(_) | ConfigValue::Real(_) | ConfigValue::Text(_) => {
                    Err(wrong("true or false"))
                }
            },
            Kind::Count(low, high) => between(value.as_count(), low, high)
                .ok_or_else(|| wrong(&format!("a count from {low} to {high}"))),
            Kind::Percent(low, high) => {
                let millionths = value.as_text().and_then(percent_of_text);
                let per_cent = millionths
                    .filter(|millionths| millionths % 10_000 == 0)
                    .and_then(|millionths| u64::try_from(millionths / 10_000).ok());
                between(per_cent, low, high)
                    .ok_or_else(|| wrong(&format!("a percentage from \"{low}%\" to \"{high}%\"")))
            }
            Kind::Time(low, high) => self.read_time(value, low, high),
            Kind::TimeOrNone(..) if is_none(value) => Ok(Setting(NONE)),
            Kind::TimeOrNone(low, high) => {
                self.read_time(value, low, high).map_err(|it| format!("{it}; -1 is none"))
            }
            Kind::Size(low, high) => self.read_size(value, low, high),
            Kind::SizeOrNone(..) if is_none(value) => Ok(Setting(NONE)),
            Kind::SizeOrNone(low, high) => {
                self.read_size(value, low, high).map_err(|it| format!("{it}; -1 is none"))
            }
            Kind::Choice(words) => (0..)
                .zip(words)
                .find(|(_, word)| value.as_text() == Some(word))
                .map(|(place, _)| Setting(place))
                .ok_or_else(|| wrong(&format!("one of \"{}\"", words.join("\", \"")))),
            Kind::Acks => kafka::acks(value).ok_or_else(|| wrong("0, 1, -1 or \"all\"")),
            Kind::Assignors => {
                let text = value.as_text().ok_or_else(|| wrong("assignors such as \"range\""))?;
                assignors(text).map(|_| Setting(0))
            }
            Kind::Words(words) => kafka::words(value, words)
                .ok_or_else(|| wrong(&format!("some of \"{}\"", words.join(",")))),
            Kind::Name => match value.as_text() {
                Some(text) if !text.trim().is_empty() => Ok(Setting(1)),
                Some(_) | None => Err(wrong("text")),
            },
        }
    }

    fn read_time(&self, value: &ConfigValue, low: Dur, high: Dur) -> Result<Setting, String> {
        let unit = BARE_UNITS.iter().find(|(ending, ..)| self.name.ends_with(ending));
        let written = value.as_text().and_then(|text| Dur::read(text).ok());
        let bare = unit.and_then(|(_, unit, _)| value.as_count()?.checked_mul(*unit));
        let nanos = written.map(|dur| dur.0).or(bare);
        between(nanos, low.0, high.0).ok_or_else(|| {
            let bare = unit.map_or_else(String::new, |it| format!(" (a bare number is {})", it.2));
            format!("expected a duration from \"{low}\" to \"{high}\"{bare}, got {value}")
        })
    }

    fn read_size(&self, value: &ConfigValue, low: Bytes, high: Bytes) -> Result<Setting, String> {
        // Only keys of Kafka have dots in their names.
        let bare_allowed = self.name.contains('.');
        let written = value.as_text().and_then(|text| Bytes::read(text).ok());
        let bare = value.as_count().filter(|_| bare_allowed);
        between(written.map(|size| size.0).or(bare), low.0, high.0).ok_or_else(|| {
            let bare = if bare_allowed { " (a bare number is bytes)" } else { "" };
            format!("expected a size from \"{low}\" to \"{high}\"{bare}, got {value}")
        })
    }

    /// The default as a value of a `config` map.
    #[must_use]
    pub fn default_value(&self) -> ConfigValue {
        match self.kind {
            Kind::Flag => ConfigValue::Bool(self.default == "true"),
            Kind::Count(..) => self
                .default
                .parse()
                .map_or_else(|_| ConfigValue::Text(self.default.to_owned()), ConfigValue::Whole),
            Kind::TimeOrNone(..) | Kind::SizeOrNone(..) if self.default == "-1" => {
                ConfigValue::Whole(-1)
            }
            Kind::Percent(..)
            | Kind::Time(..)
            | Kind::TimeOrNone(..)
            | Kind::Size(..)
            | Kind::SizeOrNone(..)
            | Kind::Choice(_)
            | Kind::Acks
            | Kind::Assignors
            | Kind::Words(_)
            | Kind::Name => ConfigValue::Text(self.default.to_owned()),
        }
    }

    pub(crate) fn default_setting(&self) -> Setting {
        self.read(&self.default_value()).unwrap_or(Setting(0))
    }
}

/// Endings of names that carry a unit, with its nanoseconds.
const BARE_UNITS: [(&str, u64, &str); 5] = [
    ("Millis", 1_000_000, "milliseconds"),
    (".ms", 1_000_000, "milliseconds"),
    (".seconds", 1_000_000_000, "seconds"),
    (".minutes", 60_000_000_000, "minutes"),
    (".hours", 3_600_000_000_000, "hours"),
];

fn is_none(value: &ConfigValue) -> bool {
    *value == ConfigValue::Whole(-1) || value.as_text() == Some("-1")
}

fn between(value: Option<u64>, low: u64, high: u64) -> Option<Setting> {
    value.filter(|value| (low..=high).contains(value)).map(Setting)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_reads_and_is_canonical() {
        for knob in KPL.modelled.iter().chain(KCL.modelled) {
            let setting = knob.read(&knob.default_value());
            assert!(setting.is_ok(), "{}: {setting:?}", knob.name);
            if let Kind::Time(..) = knob.kind {
                assert_eq!(knob.default.parse::<Dur>().unwrap().to_string(), knob.default);
            }
        }
    }

    #[test]
    fn no_key_is_listed_twice() {
        for library in [KPL, KCL] {
            let modelled = library.modelled.iter().map(|knob| knob.name);
            let mut names: Vec<_> = modelled.chain(library.known.iter().copied()).collect();
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count);
        }
    }

    #[test]
    fn a_bare_number_is_a_time_only_where_the_name_says_millis() {
        let failover = KCL.find("failoverTimeMillis").unwrap();
        let ten_seconds = Ok(Setting(10_000_000_000));
        assert_eq!(failover.read(&ConfigValue::Whole(10_000)), ten_seconds);
        assert_eq!(failover.read(&ConfigValue::Text("10s".into())), ten_seconds);
        let buffered = KPL.find("RecordMaxBufferedTime").unwrap();
        assert!(buffered.read(&ConfigValue::Whole(100)).is_err());
    }
}
