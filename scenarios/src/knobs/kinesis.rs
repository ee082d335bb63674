//! Keys of the Kinesis Producer Library and of the Kinesis Client Library.
//!
//! Sources: the KPL's own `default_config.properties` and `KinesisProducerConfiguration` (N-KPL-2),
//! the KCL's `docs/kcl-configurations.md` (N-KCL-2, N-KCL-3, N-KCL-19, N-KCL-22).

use super::{HOUR, Kind, Library, knob, only};
use crate::units::{Bytes, Dur};
use crate::version::KclVersion;

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

/// Values of `initialPositionInStreamExtended` (N-KCL-24).
const POSITIONS: &[&str] = &["LATEST", "TRIM_HORIZON"];

/// Kinesis Client Library 2.x and 3.x (N-KCL-2).
pub const KCL: Library = Library {
    name: "KCL",
    modelled: &[
        knob("initialPositionInStreamExtended", Kind::Choice(POSITIONS), "LATEST"),
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
