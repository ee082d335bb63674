//! Quantities as people write them: `"30s"`, `"6000/s"`, `"1MiB"`, `"40MB/s"`, `"35%"`.
//!
//! All are text in a scenario file: a bare number has no unit, so it is refused. All are exact
//! integers inside, and what they print is read back as the same value. MB and MiB differ.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};
use sim_core::engine::SimDuration;

/// Longest time that can be written: 10,000 h (a Kinesis retention is at most 8,760 h, N-R-7).
pub const MAX_DUR: Dur = Dur(10_000 * 3_600 * NANOS);
/// Greatest rate: 10^9 records per second.
pub const MAX_RATE: Rate = Rate(1_000_000_000 * MILLIONTHS);
/// Greatest throughput: 1 TB/s, a hundred times the on-demand ceiling (N-C-8).
pub const MAX_BYTE_RATE: ByteRate = ByteRate(1_000_000_000_000);
/// Greatest size: 1 TiB.
pub const MAX_BYTES: Bytes = Bytes(1 << 40);

const NANOS: u64 = 1_000_000_000;
const MILLIONTHS: u64 = 1_000_000;

/// A length of time, in nanoseconds: `"1h30m"`, `"250ms"`, `"300us"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dur(pub u64);

/// Records per second, in millionths: `"6000/s"`, `"5k/s"`, `"0.5/s"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(pub u64);

/// Bytes per second: `"10MB/s"`, `"1MiB/s"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteRate(pub u64);

/// Bytes: `"1KiB"`, `"1KB"`, `"512B"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

/// A share of a whole, in millionths, at most all of it: `"35%"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(pub u32);

/// Why a text is not the quantity that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnitError(pub String);

/// A quantity with a human form.
pub trait Quantity: Sized {
    /// What it is, with an example: for messages.
    const EXPECTED: &'static str;
    /// Reads the human form.
    ///
    /// # Errors
    /// If the text is not exactly one such quantity, or beyond its limit.
    fn read(text: &str) -> Result<Self, UnitError>;
}

impl Dur {
    /// Whole milliseconds.
    #[must_use]
    pub const fn millis(millis: u64) -> Self {
        Self(millis * 1_000_000)
    }

    /// Whole seconds.
    #[must_use]
    pub const fn secs(secs: u64) -> Self {
        Self(secs * NANOS)
    }

    /// As the simulator counts time.
    #[must_use]
    pub const fn sim(self) -> SimDuration {
        SimDuration(self.0)
    }
}

const TIME_UNITS: [(&str, u64); 7] = [
    ("d", 86_400 * NANOS),
    ("h", 3_600 * NANOS),
    ("m", 60 * NANOS),
    ("s", NANOS),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

const SIZE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

impl Quantity for Dur {
    const EXPECTED: &'static str = "a duration such as \"30s\", \"1h30m\" or \"250ms\"";

    fn read(text: &str) -> Result<Self, UnitError> {
        let wrong = || got(text, Self::EXPECTED);
        let mut rest = text;
        let mut total: u128 = 0;
        let mut last_unit = u64::MAX;
        while !rest.is_empty() {
            let (number, after) = leading_number(rest);
            let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
            let (name, next) = after.split_at(letters);
            let Some(&(_, unit)) = TIME_UNITS.iter().find(|(unit, _)| *unit == name) else {
                return Err(wrong());
            };
            // A fraction only stands alone ("1.5s"), and units go from great to small.
            if unit >= last_unit || (number.contains('.') && rest.len() != text.len()) {
                return Err(wrong());
            }
            last_unit = unit;
            total += scaled(number, u128::from(unit)).ok_or_else(wrong)?;
            if number.contains('.') && !next.is_empty() {
                return Err(wrong());
            }
            rest = next;
        }
        if last_unit == u64::MAX {
            return Err(wrong());
        }
        within(text, total, MAX_DUR.0, &MAX_DUR).map(Self)
    }
}

impl Quantity for Rate {
    const EXPECTED: &'static str = "a rate of records such as \"6000/s\" or \"5k/s\"";

    fn read(text: &str) -> Result<Self, UnitError> {
        let wrong = || got(text, Self::EXPECTED);
        let (number, after) = leading_number(text);
        let factor = match after {
            "/s" => 1,
            "k/s" => 1_000,
            "M/s" => 1_000_000,
            _ => return Err(wrong()),
        };
        let value = scaled(number, factor * u128::from(MILLIONTHS)).ok_or_else(wrong)?;
        within(text, value, MAX_RATE.0, &MAX_RATE).map(Self)
    }
}

impl Quantity for Bytes {
    const EXPECTED: &'static str = "a size such as \"1KiB\", \"1KB\" or \"512B\"";

    fn read(text: &str) -> Result<Self, UnitError> {
        let size = size_of_text(text).ok_or_else(|| got(text, Self::EXPECTED))?;
        within(text, size, MAX_BYTES.0, &MAX_BYTES).map(Self)
    }
}

impl Quantity for ByteRate {
    const EXPECTED: &'static str = "a throughput such as \"10MB/s\" or \"1MiB/s\"";

    fn read(text: &str) -> Result<Self, UnitError> {
        let size = text.strip_suffix("/s").and_then(size_of_text);
        let size = size.ok_or_else(|| got(text, Self::EXPECTED))?;
        within(text, size, MAX_BYTE_RATE.0, &MAX_BYTE_RATE).map(Self)
    }
}

impl Quantity for Share {
    const EXPECTED: &'static str = "a share such as \"35%\"";

    fn read(text: &str) -> Result<Self, UnitError> {
        let millionths = percent_of_text(text).ok_or_else(|| got(text, Self::EXPECTED))?;
        let all = Self(1_000_000);
        let value = within(text, millionths, u64::from(all.0), &all)?;
        u32::try_from(value).map(Self).map_err(|_| got(text, Self::EXPECTED))
    }
}

/// Millionths of a percentage without an upper limit: `"150%"` is 1,500,000.
#[must_use]
pub fn percent_of_text(text: &str) -> Option<u128> {
    scaled(text.strip_suffix('%')?, 10_000)
}

fn size_of_text(text: &str) -> Option<u128> {
    let (number, name) = leading_number(text);
    let (_, unit) = SIZE_UNITS.iter().find(|(unit, _)| *unit == name)?;
    scaled(number, u128::from(*unit))
}

fn leading_number(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    text.split_at(end)
}

/// A decimal number times a whole unit, if it is one and comes out whole.
fn scaled(number: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = match number.split_once('.') {
        None => (number, ""),
        Some((_, "")) => return None,
        Some(parts) => parts,
    };
    let digits = |s: &str| s.len() <= 18 && s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let whole: u128 = whole.parse().ok()?;
    let mut value = whole.checked_mul(unit)?;
    if !fraction.is_empty() {
        let parts = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        let scaled = fraction.parse::<u128>().ok()?.checked_mul(unit)?;
        if scaled % parts != 0 {
            return None;
        }
        value = value.checked_add(scaled / parts)?;
    }
    Some(value)
}

fn got(text: &str, expected: &str) -> UnitError {
    UnitError(format!("expected {expected}, got \"{}\"", shortened(text)))
}

fn within(text: &str, value: u128, limit: u64, shown: &dyn fmt::Display) -> Result<u64, UnitError> {
    match u64::try_from(value) {
        Ok(value) if value <= limit => Ok(value),
        Ok(_) | Err(_) => {
            Err(UnitError(format!("\"{}\" is beyond the limit of \"{shown}\"", shortened(text))))
        }
    }
}

/// A text cut to what fits in a message.
pub(crate) fn shortened(text: &str) -> String {
    const MOST: usize = 40;
    let mut out = String::new();
    for c in text.chars().take(MOST) {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    if text.chars().nth(MOST).is_some() {
        out.push_str("...");
    }
    out
}

impl fmt::Display for Dur {
    /// `1h30m`: hours and smaller, each unit at most once.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return write!(f, "0s");
        }
        let mut rest = self.0;
        for (name, unit) in TIME_UNITS.iter().skip(1) {
            let count = rest / unit;
            rest %= unit;
            if count > 0 {
                write!(f, "{count}{name}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_millionths(f, self.0)?;
        write!(f, "/s")
    }
}

impl fmt::Display for Bytes {
    /// The largest unit that divides it, binary first.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |unit: u64| self.0 != 0 && self.0.is_multiple_of(unit);
        let (name, unit) = SIZE_UNITS.iter().find(|(_, unit)| fits(*unit)).unwrap_or(&("B", 1));
        write!(f, "{}{name}", self.0 / unit)
    }
}

impl fmt::Display for ByteRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", Bytes(self.0))
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_millionths(f, u64::from(self.0) * 100)?;
        write!(f, "%")
    }
}

fn write_millionths(f: &mut fmt::Formatter<'_>, value: u64) -> fmt::Result {
    write!(f, "{}", value / MILLIONTHS)?;
    let rest = value % MILLIONTHS;
    if rest > 0 {
        let digits = format!("{rest:06}");
        write!(f, ".{}", digits.trim_end_matches('0'))?;
    }
    Ok(())
}

/// Reads a quantity from text and refuses everything else with a word about the unit.
struct QuantityVisitor<T>(std::marker::PhantomData<T>);

impl<T: Quantity> Visitor<'_> for QuantityVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        T::read(text).map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        Err(bare::<T, E>(&number))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        Err(bare::<T, E>(&number))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        Err(bare::<T, E>(&number))
    }
}

fn bare<T: Quantity, E: de::Error>(number: &dyn fmt::Display) -> E {
    E::custom(format!("expected {}, got the bare number {number}, which has no unit", T::EXPECTED))
}

macro_rules! as_text {
    ($($name:ident),*) => {$(
        impl FromStr for $name {
            type Err = UnitError;
            fn from_str(text: &str) -> Result<Self, UnitError> {
                Self::read(text)
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(QuantityVisitor(std::marker::PhantomData))
            }
        }
    )*};
}
as_text!(Dur, Rate, ByteRate, Bytes, Share);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_unit_of_time_has_its_length() {
        let nanos = |text: &str| text.parse::<Dur>().unwrap().0;
        assert_eq!(nanos("1d"), 24 * 3_600 * NANOS);
        assert_eq!(nanos("1h30m"), 5_400 * NANOS);
        assert_eq!(nanos("1m30s"), 90 * NANOS);
        assert_eq!(nanos("1.5s"), 1_500_000_000);
        assert_eq!(nanos("250ms"), 250_000_000);
        assert_eq!(nanos("300us"), 300_000);
        assert_eq!(nanos("0s"), 0);
    }

    #[test]
    fn a_decimal_prefix_and_a_binary_prefix_differ() {
        assert_eq!("1KB".parse(), Ok(Bytes(1_000)));
        assert_eq!("1KiB".parse(), Ok(Bytes(1_024)));
        assert_eq!("40MB/s".parse(), Ok(ByteRate(40_000_000)));
        assert_eq!("1MiB/s".parse(), Ok(ByteRate(1_048_576)));
        assert_eq!("0.5MiB".parse(), Ok(Bytes(524_288)));
    }

    #[test]
    fn rates_and_shares_are_exact_in_millionths() {
        assert_eq!("6000/s".parse(), Ok(Rate(6_000_000_000)));
        assert_eq!("5k/s".parse(), Ok(Rate(5_000_000_000)));
        assert_eq!("0.000001/s".parse(), Ok(Rate(1)));
        assert_eq!("33.3333%".parse(), Ok(Share(333_333)));
        assert_eq!(percent_of_text("150%"), Some(1_500_000));
    }

    #[test]
    fn what_is_not_exactly_one_quantity_is_refused() {
        for text in [
            "",
            "30",
            "s",
            "30 s",
            " 30s",
            "30S",
            "1h2h",
            "30s1m",
            "1.5h30m",
            "1h.5m",
            "1.s",
            "-1s",
            "1e3s",
            "+1s",
            "30parsecs",
            "٣s",
        ] {
            assert!(text.parse::<Dur>().is_err(), "{text:?}");
        }
        for text in ["6000", "6000/min", "/s", "5K/s", "NaN/s", "inf/s", "0.0000001/s"] {
            assert!(text.parse::<Rate>().is_err(), "{text:?}");
        }
        for text in ["1", "1kb", "1mb", "1M", "0.1B", "1MB/s"] {
            assert!(text.parse::<Bytes>().is_err(), "{text:?}");
        }
        assert!("101%".parse::<Share>().is_err());
        assert!("1MB".parse::<ByteRate>().is_err());
    }

    #[test]
    fn absurd_sizes_are_refused_with_the_limit_named() {
        let message = "20000h".parse::<Dur>().unwrap_err().0;
        assert_eq!(message, "\"20000h\" is beyond the limit of \"10000h\"");
        let message = "999999999999999999TiB".parse::<Bytes>().unwrap_err().0;
        assert!(message.ends_with("beyond the limit of \"1TiB\""), "{message}");
        assert!("9".repeat(400).parse::<Dur>().is_err());
    }

    #[test]
    fn a_message_says_what_came_and_what_should_have_come() {
        assert_eq!(
            "30 parsecs".parse::<Dur>().unwrap_err().0,
            "expected a duration such as \"30s\", \"1h30m\" or \"250ms\", got \"30 parsecs\""
        );
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(n in 0..=MAX_DUR.0, share in 0..=1_000_000_u32) {
            prop_assert_eq!(Dur(n).to_string().parse(), Ok(Dur(n)));
            prop_assert_eq!(Rate(n % MAX_RATE.0).to_string().parse(), Ok(Rate(n % MAX_RATE.0)));
            prop_assert_eq!(Bytes(n % MAX_BYTES.0).to_string().parse(), Ok(Bytes(n % MAX_BYTES.0)));
            let byte_rate = ByteRate(n % MAX_BYTE_RATE.0);
            prop_assert_eq!(byte_rate.to_string().parse(), Ok(byte_rate));
            prop_assert_eq!(Share(share).to_string().parse(), Ok(Share(share)));
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = (text.parse::<Dur>(), text.parse::<Rate>(), text.parse::<Bytes>());
            let _ = (text.parse::<ByteRate>(), text.parse::<Share>());
        }
    }
}
