//! Generations of Kafka and of the KCL: what defaults and modelled keys hang on.

use std::fmt;

use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize, Serializer};

use crate::units::shortened;

/// A release of Kafka: major and minor number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release(pub u8, pub u8);

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// A generation of Kafka: `"2.4"`, `"3.9"`, `"4.1"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KafkaVersion {
    /// ZooKeeper only.
    V2_4,
    /// ZooKeeper or KRaft.
    V3_9,
    /// KRaft only.
    V4_1,
}

impl KafkaVersion {
    /// All of them, the oldest first.
    pub const ALL: [Self; 3] = [Self::V2_4, Self::V3_9, Self::V4_1];

    /// The release that the profile is taken from.
    #[must_use]
    pub const fn release(self) -> Release {
        match self {
            Self::V2_4 => Release(2, 4),
            Self::V3_9 => Release(3, 9),
            Self::V4_1 => Release(4, 1),
        }
    }
}

impl fmt::Display for KafkaVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.release().fmt(f)
    }
}

impl Serialize for KafkaVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KafkaVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let found = Self::ALL.into_iter().find(|it| it.to_string() == text);
        found.ok_or_else(|| {
            de::Error::custom(format!(
                "expected a Kafka version, \"2.4\", \"3.9\" or \"4.1\", got \"{}\"",
                shortened(&text)
            ))
        })
    }
}

/// Generation of KCL lease management: `"2"` or `"3"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KclVersion {
    /// 2.x: every worker takes leases for itself.
    V2,
    /// 3.x: a leader assigns leases.
    #[default]
    V3,
}

impl Serialize for KclVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::V2 => "2",
            Self::V3 => "3",
        })
    }
}

impl<'de> Deserialize<'de> for KclVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "2" => Ok(Self::V2),
            "3" => Ok(Self::V3),
            other => Err(de::Error::custom(format!(
                "expected a KCL version, \"2\" or \"3\", got \"{}\"",
                shortened(other)
            ))),
        }
    }
}
