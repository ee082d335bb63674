//! Keys that Kafka has and the simulator does not follow, by the releases that have them.
//!
//! Taken from the definitions in Kafka's own sources, each release from 2.4 to 4.1: `KafkaConfig`
//! and the classes that it was split into, `TopicConfig`, `ProducerConfig`, `ConsumerConfig`,
//! `StreamsConfig`, `SslConfigs`, `SaslConfigs`. Keys that Kafka itself calls internal are left
//! out. Those of `zoo.cfg` are from the administrator's guide of ZooKeeper.

use crate::version::Release;

/// Keys that exist and are not modelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys {
    /// First release that has them, or an older one.
    pub since: Release,
    /// First release that has them no more.
    pub removed: Option<Release>,
    /// Their names, separated by spaces.
    pub names: &'static str,
}

const fn always(names: &'static str) -> Keys {
    Keys { since: Release(2, 4), removed: None, names }
}

const fn since(since: Release, names: &'static str) -> Keys {
    Keys { since, removed: None, names }
}

const fn until(removed: Release, names: &'static str) -> Keys {
    Keys { since: Release(2, 4), removed: Some(removed), names }
}

const fn between(since: Release, removed: Release, names: &'static str) -> Keys {
    Keys { since, removed: Some(removed), names }
}

/// TLS and SASL, of brokers and clients.
pub(super) const SECURITY: &[Keys] = &[
    always(
        "sasl.client.callback.handler.class sasl.jaas.config sasl.kerberos.kinit.cmd \
         sasl.kerberos.min.time.before.relogin sasl.kerberos.service.name \
         sasl.kerberos.ticket.renew.jitter sasl.kerberos.ticket.renew.window.factor \
         sasl.login.callback.handler.class sasl.login.class sasl.login.refresh.buffer.seconds \
         sasl.login.refresh.min.period.seconds sasl.login.refresh.window.factor \
         sasl.login.refresh.window.jitter security.providers ssl.cipher.suites \
         ssl.enabled.protocols ssl.endpoint.identification.algorithm ssl.key.password \
         ssl.keymanager.algorithm ssl.keystore.location ssl.keystore.password \
         ssl.keystore.type ssl.protocol ssl.provider ssl.secure.random.implementation \
         ssl.trustmanager.algorithm ssl.truststore.location ssl.truststore.password \
         ssl.truststore.type",
    ),
    since(Release(2, 6), "ssl.engine.factory.class"),
    since(
        Release(2, 7),
        "ssl.keystore.certificate.chain ssl.keystore.key ssl.truststore.certificates",
    ),
    since(
        Release(3, 1),
        "sasl.login.connect.timeout.ms sasl.login.read.timeout.ms \
         sasl.login.retry.backoff.max.ms sasl.login.retry.backoff.ms \
         sasl.oauthbearer.clock.skew.seconds sasl.oauthbearer.expected.audience \
         sasl.oauthbearer.expected.issuer sasl.oauthbearer.jwks.endpoint.refresh.ms \
         sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms \
         sasl.oauthbearer.jwks.endpoint.retry.backoff.ms sasl.oauthbearer.jwks.endpoint.url \
         sasl.oauthbearer.scope.claim.name sasl.oauthbearer.sub.claim.name \
         sasl.oauthbearer.token.endpoint.url",
    ),
    since(
        Release(4, 1),
        "sasl.oauthbearer.assertion.algorithm sasl.oauthbearer.assertion.claim.aud \
         sasl.oauthbearer.assertion.claim.exp.seconds sasl.oauthbearer.assertion.claim.iss \
         sasl.oauthbearer.assertion.claim.jti.include \
         sasl.oauthbearer.assertion.claim.nbf.seconds sasl.oauthbearer.assertion.claim.sub \
         sasl.oauthbearer.assertion.file sasl.oauthbearer.assertion.private.key.file \
         sasl.oauthbearer.assertion.private.key.passphrase \
         sasl.oauthbearer.assertion.template.file \
         sasl.oauthbearer.client.credentials.client.id \
         sasl.oauthbearer.client.credentials.client.secret \
         sasl.oauthbearer.jwt.retriever.class sasl.oauthbearer.jwt.validator.class \
         sasl.oauthbearer.scope",
    ),
];

/// Producers and consumers.
pub(super) const CLIENT: &[Keys] = &[
    always(
        "bootstrap.servers client.dns.lookup client.id connections.max.idle.ms \
         interceptor.classes metric.reporters metrics.num.samples metrics.recording.level \
         metrics.sample.window.ms receive.buffer.bytes reconnect.backoff.max.ms \
         reconnect.backoff.ms sasl.mechanism security.protocol send.buffer.bytes",
    ),
    since(
        Release(2, 7),
        "socket.connection.setup.timeout.max.ms socket.connection.setup.timeout.ms",
    ),
    between(Release(3, 4), Release(4, 0), "auto.include.jmx.reporter"),
    since(Release(3, 7), "enable.metrics.push"),
    since(Release(3, 8), "metadata.recovery.strategy"),
    since(Release(3, 9), "sasl.oauthbearer.header.urlencode"),
    since(Release(4, 0), "metadata.recovery.rebootstrap.trigger.ms"),
];

/// Producers only.
pub(super) const PRODUCER: &[Keys] = &[
    always(
        "compression.type key.serializer partitioner.class transaction.timeout.ms \
         transactional.id value.serializer",
    ),
    since(Release(2, 5), "metadata.max.idle.ms"),
    since(
        Release(3, 3),
        "partitioner.adaptive.partitioning.enable partitioner.availability.timeout.ms \
         partitioner.ignore.keys",
    ),
    since(Release(3, 8), "compression.gzip.level compression.lz4.level compression.zstd.level"),
    since(Release(4, 1), "transaction.two.phase.commit.enable"),
];

/// Consumers only.
pub(super) const CONSUMER: &[Keys] = &[
    always(
        "allow.auto.create.topics check.crcs client.rack default.api.timeout.ms \
         exclude.internal.topics group.id internal.leave.group.on.close key.deserializer \
         request.timeout.ms retry.backoff.ms value.deserializer",
    ),
    since(Release(3, 7), "retry.backoff.max.ms"),
    since(Release(4, 1), "share.acknowledgement.mode"),
];

/// Kafka Streams, beyond those of its consumers.
pub(super) const STREAMS: &[Keys] = &[
    always(
        "application.id application.server buffered.records.per.partition \
         cache.max.bytes.buffering default.deserialization.exception.handler \
         default.key.serde default.production.exception.handler default.timestamp.extractor \
         default.value.serde max.task.idle.ms num.stream.threads poll.ms processing.guarantee \
         replication.factor rocksdb.config.setter state.cleanup.delay.ms state.dir \
         topology.optimization upgrade.from windowstore.changelog.additional.retention.ms",
    ),
    until(Release(3, 0), "partition.grouper"),
    until(Release(4, 0), "retries"),
    since(Release(2, 5), "built.in.metrics.version"),
    since(
        Release(2, 6),
        "acceptable.recovery.lag max.warmup.replicas probing.rebalance.interval.ms",
    ),
    between(
        Release(2, 6),
        Release(3, 0),
        "default.windowed.key.serde.inner default.windowed.value.serde.inner",
    ),
    since(Release(2, 7), "task.timeout.ms"),
    since(Release(2, 8), "window.size.ms"),
    since(
        Release(3, 0),
        "default.list.key.serde.inner default.list.key.serde.type \
         default.list.value.serde.inner default.list.value.serde.type \
         windowed.inner.class.serde",
    ),
    since(
        Release(3, 2),
        "default.dsl.store rack.aware.assignment.tags repartition.purge.interval.ms",
    ),
    since(Release(3, 4), "statestore.cache.max.bytes"),
    since(Release(3, 5), "default.client.supplier"),
    since(
        Release(3, 6),
        "rack.aware.assignment.non_overlap_cost rack.aware.assignment.strategy \
         rack.aware.assignment.traffic_cost",
    ),
    since(Release(3, 7), "dsl.store.suppliers.class"),
    since(Release(3, 8), "task.assignor.class"),
    since(Release(3, 9), "log.summary.interval.ms processing.exception.handler"),
    since(
        Release(4, 0),
        "deserialization.exception.handler processor.wrapper.class \
         production.exception.handler",
    ),
    since(Release(4, 1), "ensure.explicit.internal.resource.naming"),
];

/// Brokers and controllers.
pub(super) const BROKER: &[Keys] = &[
    always(
        "advertised.listeners alter.config.policy.class.name \
         alter.log.dirs.replication.quota.window.num \
         alter.log.dirs.replication.quota.window.size.seconds authorizer.class.name \
         auto.create.topics.enable background.threads broker.id broker.rack \
         client.quota.callback.class compression.type \
         connection.failed.authentication.delay.ms connections.max.idle.ms \
         connections.max.reauth.ms controller.socket.timeout.ms \
         create.topic.policy.class.name default.replication.factor \
         delegation.token.expiry.check.interval.ms delegation.token.expiry.time.ms \
         delegation.token.max.lifetime.ms delete.records.purgatory.purge.interval.requests \
         delete.topic.enable fetch.purgatory.purge.interval.requests \
         inter.broker.listener.name kafka.metrics.polling.interval.secs \
         kafka.metrics.reporters listener.security.protocol.map listeners \
         log.cleaner.backoff.ms log.cleaner.dedupe.buffer.size \
         log.cleaner.delete.retention.ms log.cleaner.enable log.cleaner.io.buffer.load.factor \
         log.cleaner.io.buffer.size log.cleaner.io.max.bytes.per.second \
         log.cleaner.max.compaction.lag.ms log.cleaner.min.cleanable.ratio \
         log.cleaner.min.compaction.lag.ms log.cleaner.threads log.cleanup.policy log.dir \
         log.dirs log.flush.interval.messages log.flush.interval.ms \
         log.flush.offset.checkpoint.interval.ms log.flush.scheduler.interval.ms \
         log.flush.start.offset.checkpoint.interval.ms log.index.interval.bytes \
         log.index.size.max.bytes log.message.timestamp.type log.preallocate \
         log.roll.jitter.hours log.roll.jitter.ms log.segment.delete.delay.ms max.connections \
         max.connections.per.ip max.connections.per.ip.overrides message.max.bytes \
         metric.reporters metrics.num.samples metrics.recording.level \
         metrics.sample.window.ms num.network.threads num.partitions \
         num.replica.alter.log.dirs.threads offset.metadata.max.bytes \
         offsets.commit.timeout.ms offsets.load.buffer.size \
         offsets.retention.check.interval.ms offsets.retention.minutes \
         offsets.topic.compression.codec offsets.topic.segment.bytes principal.builder.class \
         producer.purgatory.purge.interval.requests queued.max.request.bytes \
         queued.max.requests quota.window.num quota.window.size.seconds \
         replica.fetch.min.bytes replica.high.watermark.checkpoint.interval.ms \
         replica.socket.receive.buffer.bytes replication.quota.window.num \
         replication.quota.window.size.seconds request.timeout.ms sasl.enabled.mechanisms \
         sasl.kerberos.principal.to.local.rules sasl.mechanism.inter.broker.protocol \
         sasl.server.callback.handler.class security.inter.broker.protocol \
         socket.receive.buffer.bytes socket.request.max.bytes socket.send.buffer.bytes \
         ssl.client.auth ssl.principal.mapping.rules \
         transaction.abort.timed.out.transaction.cleanup.interval.ms \
         transaction.max.timeout.ms \
         transaction.remove.expired.transaction.cleanup.interval.ms \
         transaction.state.log.load.buffer.size transaction.state.log.min.isr \
         transaction.state.log.num.partitions transaction.state.log.replication.factor \
         transaction.state.log.segment.bytes transactional.id.expiration.ms",
    ),
    until(
        Release(3, 0),
        "advertised.host.name advertised.port host.name port quota.consumer.default \
         quota.producer.default",
    ),
    until(Release(3, 2), "zookeeper.sync.time.ms"),
    until(
        Release(4, 0),
        "broker.id.generation.enable control.plane.listener.name \
         controlled.shutdown.max.retries controlled.shutdown.retry.backoff.ms \
         delegation.token.master.key inter.broker.protocol.version \
         log.message.downconversion.enable log.message.format.version \
         log.message.timestamp.difference.max.ms offsets.commit.required.acks \
         password.encoder.cipher.algorithm password.encoder.iterations \
         password.encoder.key.length password.encoder.keyfactory.algorithm \
         password.encoder.old.secret password.encoder.secret reserved.broker.max.id \
         zookeeper.connect zookeeper.connection.timeout.ms zookeeper.set.acl",
    ),
    between(
        Release(2, 5),
        Release(4, 0),
        "zookeeper.clientCnxnSocket zookeeper.ssl.cipher.suites zookeeper.ssl.client.enable \
         zookeeper.ssl.crl.enable zookeeper.ssl.enabled.protocols \
         zookeeper.ssl.endpoint.identification.algorithm zookeeper.ssl.keystore.location \
         zookeeper.ssl.keystore.password zookeeper.ssl.keystore.type \
         zookeeper.ssl.ocsp.enable zookeeper.ssl.protocol zookeeper.ssl.truststore.location \
         zookeeper.ssl.truststore.password zookeeper.ssl.truststore.type",
    ),
    since(
        Release(2, 7),
        "controller.quota.window.num controller.quota.window.size.seconds \
         max.connection.creation.rate socket.connection.setup.timeout.max.ms \
         socket.connection.setup.timeout.ms",
    ),
    between(
        Release(2, 7),
        Release(2, 8),
        "quorum.election.backoff.max.ms quorum.election.timeout.ms quorum.fetch.timeout.ms \
         quorum.voters",
    ),
    since(Release(2, 8), "delegation.token.secret.key sasl.server.max.receive.size"),
    since(
        Release(3, 0),
        "controller.listener.names controller.quorum.append.linger.ms \
         controller.quorum.request.timeout.ms controller.quorum.retry.backoff.ms \
         controller.quorum.voters initial.broker.registration.timeout.ms metadata.log.dir \
         metadata.log.max.record.bytes.between.snapshots metadata.log.segment.bytes \
         metadata.log.segment.ms metadata.max.retention.bytes metadata.max.retention.ms \
         node.id process.roles sasl.mechanism.controller.protocol",
    ),
    since(Release(3, 2), "socket.listen.backlog.size"),
    since(Release(3, 3), "early.start.listeners metadata.max.idle.interval.ms"),
    since(Release(3, 4), "metadata.log.max.snapshot.interval.ms producer.id.expiration.ms"),
    between(
        Release(3, 4),
        Release(4, 0),
        "auto.include.jmx.reporter zookeeper.metadata.migration.enable",
    ),
    since(
        Release(3, 6),
        "log.local.retention.bytes log.local.retention.ms log.message.timestamp.after.max.ms \
         log.message.timestamp.before.max.ms remote.log.manager.task.interval.ms \
         remote.log.manager.thread.pool.size remote.log.metadata.custom.metadata.max.bytes \
         remote.log.metadata.manager.class.name remote.log.metadata.manager.class.path \
         remote.log.metadata.manager.impl.prefix remote.log.metadata.manager.listener.name \
         remote.log.reader.max.pending.tasks remote.log.reader.threads \
         remote.log.storage.manager.class.name remote.log.storage.manager.class.path \
         remote.log.storage.manager.impl.prefix remote.log.storage.system.enable \
         transaction.partition.verification.enable",
    ),
    since(
        Release(3, 7),
        "group.consumer.assignors group.consumer.max.size group.coordinator.threads \
         remote.log.index.file.cache.total.size.bytes telemetry.max.bytes",
    ),
    between(Release(3, 7), Release(4, 0), "eligible.leader.replicas.enable"),
    since(
        Release(3, 8),
        "compression.gzip.level compression.lz4.level compression.zstd.level fetch.max.bytes \
         group.coordinator.append.linger.ms log.dir.failure.timeout.ms \
         max.incremental.fetch.session.cache.slots max.request.partition.size.limit \
         remote.fetch.max.wait.ms remote.log.manager.copy.max.bytes.per.second \
         remote.log.manager.copy.quota.window.num \
         remote.log.manager.copy.quota.window.size.seconds \
         remote.log.manager.fetch.max.bytes.per.second \
         remote.log.manager.fetch.quota.window.num \
         remote.log.manager.fetch.quota.window.size.seconds ssl.allow.dn.changes \
         ssl.allow.san.changes",
    ),
    since(
        Release(3, 9),
        "controller.quorum.bootstrap.servers group.share.delivery.count.limit \
         group.share.heartbeat.interval.ms group.share.max.heartbeat.interval.ms \
         group.share.max.record.lock.duration.ms group.share.max.session.timeout.ms \
         group.share.max.size group.share.min.heartbeat.interval.ms \
         group.share.min.record.lock.duration.ms group.share.min.session.timeout.ms \
         group.share.partition.max.record.locks group.share.record.lock.duration.ms \
         group.share.session.timeout.ms remote.log.manager.copier.thread.pool.size \
         remote.log.manager.expiration.thread.pool.size",
    ),
    between(Release(3, 9), Release(4, 1), "group.share.max.groups"),
    since(
        Release(4, 0),
        "add.partitions.to.txn.retry.backoff.max.ms add.partitions.to.txn.retry.backoff.ms \
         group.consumer.migration.policy remote.list.offsets.request.timeout.ms \
         share.coordinator.append.linger.ms share.coordinator.load.buffer.size \
         share.coordinator.snapshot.update.records.per.snapshot \
         share.coordinator.state.topic.compression.codec \
         share.coordinator.state.topic.min.isr share.coordinator.state.topic.num.partitions \
         share.coordinator.state.topic.replication.factor \
         share.coordinator.state.topic.segment.bytes share.coordinator.threads \
         share.coordinator.write.timeout.ms share.fetch.purgatory.purge.interval.requests",
    ),
    since(
        Release(4, 1),
        "group.share.assignors group.share.max.share.sessions \
         group.streams.heartbeat.interval.ms group.streams.max.heartbeat.interval.ms \
         group.streams.max.session.timeout.ms group.streams.max.size \
         group.streams.max.standby.replicas group.streams.min.heartbeat.interval.ms \
         group.streams.min.session.timeout.ms group.streams.num.standby.replicas \
         group.streams.session.timeout.ms transaction.two.phase.commit.enable",
    ),
];

/// Topics.
pub(super) const TOPIC: &[Keys] = &[
    always(
        "cleanup.policy compression.type delete.retention.ms file.delete.delay.ms \
         flush.messages flush.ms follower.replication.throttled.replicas index.interval.bytes \
         leader.replication.throttled.replicas max.compaction.lag.ms max.message.bytes \
         message.downconversion.enable message.timestamp.type min.cleanable.dirty.ratio \
         min.compaction.lag.ms preallocate segment.index.bytes segment.jitter.ms",
    ),
    until(Release(4, 0), "message.format.version message.timestamp.difference.max.ms"),
    since(Release(3, 0), "local.retention.bytes local.retention.ms remote.storage.enable"),
    since(Release(3, 6), "message.timestamp.after.max.ms message.timestamp.before.max.ms"),
    since(Release(3, 8), "compression.gzip.level compression.lz4.level compression.zstd.level"),
    since(Release(3, 9), "remote.log.copy.disable remote.log.delete.on.disable"),
];

/// ZooKeeper servers.
pub(super) const ZOOKEEPER: &[Keys] = &[always(
    "4lw.commands.whitelist admin.enableServer admin.serverPort autopurge.purgeInterval \
         autopurge.snapRetainCount clientPort clientPortAddress cnxTimeout \
         connectToLearnerMasterLimit dataDir dataLogDir electionAlg fsync.warningthresholdms \
         globalOutstandingLimit jute.maxbuffer leaderServes localSessionsEnabled \
         maxClientCnxns maxCnxns maxSessionTimeout metricsProvider.className \
         minSessionTimeout peerType preAllocSize quorumListenOnAllIPs reconfigEnabled \
         secureClientPort skipACL snapCount standaloneEnabled syncEnabled",
)];
