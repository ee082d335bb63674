//! Configuration of real libraries under its real names: what is modelled, with ranges and
//! defaults, and what exists but is not modelled.
//!
//! Sources: the KPL's own `default_config.properties` and `KinesisProducerConfiguration` (N-KPL-2),
//! the KCL's `docs/kcl-configurations.md` (N-KCL-2, N-KCL-3, N-KCL-19, N-KCL-22).

use crate::schema::{ConfigValue, KclVersion, Named};
use crate::units::{Bytes, Dur, Quantity, percent_of_text};

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
    /// `"100ms"`; a bare number of milliseconds if the name ends in `Millis`.
    Time(Dur, Dur),
    /// `"50KiB"`.
    Size(Bytes, Bytes),
    /// One of some words.
    Choice(&'static [&'static str]),
}

/// The value of a key, in the unit of its kind: nanoseconds, bytes, per cents, a place in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting(pub u64);

const fn knob(name: &'static str, kind: Kind, default: &'static str) -> Knob {
    Knob { name, kind, default, only: None }
}

const fn only(version: KclVersion, knob: Knob) -> Knob {
    Knob { only: Some(version), ..knob }
}

const HOUR: Dur = Dur::secs(3_600);

/// Kinesis Producer Library 1.0 (N-KPL-2).
pub const KPL: Library = Library {
    name: "KPL",
    modelled: &[
        knob("AggregationEnabled", Kind::Flag, "true"),
        knob("AggregationMaxCount", Kind::Count(1, u32::MAX as u64), "4294967295"),
        knob("AggregationMaxSize", Kind::Size(Bytes(64), Bytes(1 << 20)), "50KiB"),
        knob("CollectionMaxCount", Kind::Count(1, 500), "500"),
        knob("CollectionMaxSize", Kind::Size(Bytes(52_224), Bytes(10 << 20)), "5MiB"),
        knob("FailIfThrottled", Kind::Flag, "false"),
        knob("MaxConnections", Kind::Count(1, 256), "24"),
        knob("RateLimit", Kind::Percent(1, 1_000_000), "150%"),
        knob("RecordMaxBufferedTime", Kind::Time(Dur(0), HOUR), "100ms"),
        knob("RecordTtl", Kind::Time(Dur::millis(100), Dur::secs(31 * 86_400)), "30s"),
        knob("RequestTimeout", Kind::Time(Dur::millis(100), Dur::secs(600)), "6s"),
    ],
    known: &[
        "CaCertPath",
        "CloudwatchEndpoint",
        "CloudwatchPort",
        "ConnectTimeout",
        "CredentialsRefreshDelay",
        "EnableCoreDumps",
        "EnableOldPipe",
        "GlueSchemaRegistryConfiguration",
        "KinesisEndpoint",
        "KinesisPort",
        "LogLevel",
        "MaxUserRecordSize",
        "MetricsGranularity",
        "MetricsLevel",
        "MetricsNamespace",
        "MetricsUploadDelay",
        "MinConnections",
        "NativeExecutable",
        "ProxyHost",
        "ProxyPassword",
        "ProxyPort",
        "ProxyUserName",
        "Region",
        "ReturnUserRecordInFuture",
        "StsEndpoint",
        "StsPort",
        "TempDirectory",
        "ThreadPoolSize",
        "ThreadingModel",
        "UserRecordTimeoutInMillis",
        "VerifyCertificate",
    ],
};

/// Values of `leaseAssignmentStrategy` (N-KCL-20).
const STRATEGIES: &[&str] = &["WORKER_UTILIZATION_AWARE", "LEASE_COUNT_BASED"];

/// Kinesis Client Library 2.x and 3.x (N-KCL-2).
pub const KCL: Library = Library {
    name: "KCL",
    modelled: &[
        knob("failoverTimeMillis", Kind::Time(Dur::secs(1), HOUR), "10s"),
        knob("maxLeasesForWorker", Kind::Count(1, i32::MAX as u64), "2147483647"),
        only(KclVersion::V2, knob("maxLeasesToStealAtOneTime", Kind::Count(1, 10_000), "1")),
        knob("parentShardPollIntervalMillis", Kind::Time(Dur::millis(100), HOUR), "10s"),
        knob("maxRecords", Kind::Count(1, 10_000), "10000"),
        knob("idleTimeBetweenReadsInMillis", Kind::Time(Dur::millis(1), HOUR), "1s500ms"),
        only(
            KclVersion::V3,
            knob("leaseAssignmentStrategy", Kind::Choice(STRATEGIES), "WORKER_UTILIZATION_AWARE"),
        ),
        only(KclVersion::V3, knob("isGracefulLeaseHandoffEnabled", Kind::Flag, "true")),
        only(
            KclVersion::V3,
            knob("gracefulLeaseHandoffTimeoutMillis", Kind::Time(Dur(0), HOUR), "30s"),
        ),
    ],
    known: &[
        "ClientVersionConfig",
        "allowThroughputOvershoot",
        "applicationName",
        "billingMode",
        "callProcessRecordsEvenForEmptyRecordList",
        "cleanupLeasesUponShardCompletion",
        "dampeningPercentage",
        "disableWorkerMetrics",
        "enablePriorityLeaseAssignment",
        "epsilonMillis",
        "ignoreUnexpectedChildShards",
        "initialLeaseTableReadCapacity",
        "initialLeaseTableWriteCapacity",
        "initialPositionInStream",
        "initialPositionInStreamExtended",
        "listShardsBackoffTimeInMillis",
        "logWarningForTaskAfterMillis",
        "maxCacheMissesBeforeReload",
        "maxGetRecordsThreadPool",
        "maxLeaseRenewalThreads",
        "maxListShardsRetryAttempts",
        "maxThroughputPerHostKBps",
        "metricsBufferTimeMillis",
        "metricsEnabledDimensions",
        "metricsLevel",
        "metricsMaxQueueSize",
        "reBalanceThresholdPercentage",
        "retryGetRecordsInSeconds",
        "shardConsumerDispatchPollIntervalMillis",
        "shardPrioritization",
        "shardSyncIntervalMillis",
        "skipShardSyncAtWorkerInitializationIfLeasesExist",
        "streamName",
        "tableName",
        "taskBackoffTimeMillis",
        "workerIdentifier",
    ],
};

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
            Kind::Size(low, high) => {
                let size = value.as_text().and_then(|text| Bytes::read(text).ok());
                between(size.map(|size| size.0), low.0, high.0)
                    .ok_or_else(|| wrong(&format!("a size from \"{low}\" to \"{high}\"")))
            }
            Kind::Choice(words) => (0..)
                .zip(words)
                .find(|(_, word)| value.as_text() == Some(word))
                .map(|(place, _)| Setting(place))
                .ok_or_else(|| wrong(&format!("one of \"{}\"", words.join("\", \"")))),
        }
    }

    fn read_time(&self, value: &ConfigValue, low: Dur, high: Dur) -> Result<Setting, String> {
        let bare_allowed = self.name.ends_with("Millis");
        let written = value.as_text().and_then(|text| Dur::read(text).ok());
        let bare = value.as_count().filter(|_| bare_allowed);
        let bare = bare.and_then(|millis| millis.checked_mul(1_000_000));
        let nanos = written.map(|dur| dur.0).or(bare);
        between(nanos, low.0, high.0).ok_or_else(|| {
            let bare = if bare_allowed { " (a bare number is milliseconds)" } else { "" };
            format!("expected a duration from \"{low}\" to \"{high}\"{bare}, got {value}")
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
            Kind::Percent(..) | Kind::Time(..) | Kind::Size(..) | Kind::Choice(_) => {
                ConfigValue::Text(self.default.to_owned())
            }
        }
    }

    fn default_setting(&self) -> Setting {
        self.read(&self.default_value()).unwrap_or(Setting(0))
    }
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
