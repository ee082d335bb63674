//! Values of real configuration, of changes and of factors, how they are written, and things by name.

use std::fmt;

use indexmap::IndexMap;
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// Things by name, in the order of the file.
pub type Named<T> = IndexMap<String, T>;

/// A value of real configuration, or a bound: bool, number or text.
#[derive(Clone, Debug, PartialEq)]
pub enum ConfigValue {
    /// `true`, `false`.
    Bool(bool),
    /// A whole number.
    Whole(i64),
    /// Another number.
    Real(f64),
    /// Text, mostly with a unit.
    Text(String),
}

impl ConfigValue {
    /// Its text, if it is text.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// Its number, if it is a whole one that is not negative.
    #[must_use]
    pub fn as_count(&self) -> Option<u64> {
        if let Self::Whole(number) = self { u64::try_from(*number).ok() } else { None }
    }
}

impl fmt::Display for ConfigValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Whole(value) => write!(f, "{value}"),
            Self::Real(value) => write!(f, "{value}"),
            Self::Text(value) => write!(f, "\"{value}\""),
        }
    }
}

/// The value text of a `Set`; a bare bool or number is taken as its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct SetText(pub String);

/// A factor in millionths; a bare number in the file, for it has no unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Factor(pub u64);

impl Factor {
    /// Greatest factor: a million.
    pub const MAX: u64 = 1_000_000_000_000;
}

impl Serialize for Factor {
    #[expect(
        clippy::cast_precision_loss,
        reason = "at most 10^12, exact in the 53 bits of a double"
    )]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0 as f64 / 1e6)
    }
}

impl<'de> Deserialize<'de> for Factor {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be within 0 and a million just above"
    )]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let factor = f64::deserialize(deserializer)?;
        if !(0.0..=1e6).contains(&factor) {
            return Err(de::Error::custom(format!(
                "expected a factor from 0 to 1000000, such as 2.5, got {factor}"
            )));
        }
        Ok(Self((factor * 1e6).round() as u64))
    }
}

/// NaN and infinity have no place in a scenario, nor in JSON.
pub(crate) fn finite<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let number = f64::deserialize(deserializer)?;
    if number.is_finite() {
        Ok(number)
    } else {
        Err(de::Error::custom(format!("expected a finite number, got {number}")))
    }
}

impl Serialize for ConfigValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Whole(value) => serializer.serialize_i64(*value),
            Self::Real(value) => serializer.serialize_f64(*value),
            Self::Text(value) => serializer.serialize_str(value),
        }
    }
}

impl<'de> Deserialize<'de> for ConfigValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ConfigValueVisitor)
    }
}

impl<'de> Deserialize<'de> for SetText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = deserializer.deserialize_any(ConfigValueVisitor)?;
        Ok(Self(match value {
            ConfigValue::Text(text) => text,
            ConfigValue::Bool(_) | ConfigValue::Whole(_) | ConfigValue::Real(_) => {
                value.to_string()
            }
        }))
    }
}

struct ConfigValueVisitor;

impl Visitor<'_> for ConfigValueVisitor {
    type Value = ConfigValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a bool, a number or text in quotes")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<ConfigValue, E> {
        Ok(ConfigValue::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<ConfigValue, E> {
        Ok(ConfigValue::Whole(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<ConfigValue, E> {
        i64::try_from(value)
            .map(ConfigValue::Whole)
            .map_err(|_| E::custom(format!("{value} is beyond the limit of {}", i64::MAX)))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<ConfigValue, E> {
        if value.is_finite() {
            Ok(ConfigValue::Real(value))
        } else {
            Err(E::custom(format!("expected a finite number, got {value}")))
        }
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<ConfigValue, E> {
        Ok(ConfigValue::Text(value.to_owned()))
    }
}
