//! The settings of a broker that take effect, by part.

use crate::config::setting::{Importance, Kind, Level, Mode, Setting, Unit, Valid};

const FOREVER: &str = "9223372036854775807";
const MAX_INT: &str = "2147483647";

const fn unset(name: &'static str, kind: Kind) -> Setting {
    Setting::unset(Level::Broker, name, kind)
}

/// The node and what it listens on.
pub(super) const NODE: &[Setting] = &[
    Setting::broker("node.id", Kind::Int, "1")
        .valid(Valid::AtLeast(0))
        .importance(Importance::High)
        .doc("This node's number; no two nodes of a cluster share one. Kafka has no default."),
    unset("broker.rack", Kind::String)
        .doc("Where this broker stands; replicas are spread over racks, and clients told of them."),
    Setting::broker("process.roles", Kind::List, "broker,controller")
        .valid(Valid::ListOf(&["broker", "controller"]))
        .importance(Importance::High)
        .doc("What this node is: both, so far. Kafka has no default."),
    Setting::broker("listeners", Kind::List, "PLAINTEXT://127.0.0.1:9092")
        .valid(Valid::Distinct)
        .importance(Importance::High)
        .doc(
            "Where clients connect, as NAME://HOST:PORT. An empty host is every address of this \
             machine. Kafka's default is every address; here that must be asked for. `off` is for a \
             broker inside another program, which only that program reaches.",
        ),
    unset("advertised.listeners", Kind::List).importance(Importance::High).doc(
        "What clients are told to connect to. Unset, each client is told the address that it \
             has connected to, which is right unless a proxy stands between.",
    ),
    Setting::broker(
        "listener.security.protocol.map",
        Kind::String,
        "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT",
    )
    .importance(Importance::Low)
    .doc("The protocol behind each listener name, as NAME:PROTOCOL."),
    unset("controller.listener.names", Kind::List)
        .importance(Importance::High)
        .doc("Listeners for controllers alone. A single node has no need of them and opens none."),
    unset("inter.broker.listener.name", Kind::String)
        .doc("The listener on which brokers talk to each other. Unset: the first PLAINTEXT one."),
    Setting::broker("http.listener", Kind::String, "127.0.0.1:9644")
        .importance(Importance::High)
        .doc("HOST:PORT of metrics, health and the console, or `off`."),
];

/// Connections and requests.
pub(super) const NETWORK: &[Setting] = &[
    Setting::broker("socket.request.max.bytes", Kind::Int, "104857600")
        .valid(Valid::AtLeast(1))
        .unit(Unit::Bytes)
        .importance(Importance::High)
        .doc("The largest request that is read; a larger one closes its connection."),
    Setting::broker("socket.send.buffer.bytes", Kind::Int, "102400")
        .unit(Unit::Bytes)
        .importance(Importance::High)
        .doc("Send buffer of a connection; -1 is the operating system's choice."),
    Setting::broker("socket.receive.buffer.bytes", Kind::Int, "102400")
        .unit(Unit::Bytes)
        .importance(Importance::High)
        .doc("Receive buffer of a connection; -1 is the operating system's choice."),
    Setting::broker("socket.listen.backlog.size", Kind::Int, "50")
        .valid(Valid::AtLeast(1))
        .doc("Connections that may wait to be accepted."),
    Setting::broker("connections.max.idle.ms", Kind::Long, "600000")
        .unit(Unit::Ms)
        .doc("A connection that sends nothing for this long is closed."),
    Setting::broker("max.connections", Kind::Int, MAX_INT)
        .valid(Valid::AtLeast(0))
        .mode(Mode::ClusterWide)
        .doc("Connections at any one time."),
    Setting::broker("max.connections.per.ip", Kind::Int, MAX_INT)
        .valid(Valid::AtLeast(0))
        .mode(Mode::ClusterWide)
        .doc("Connections at any one time from one address."),
    Setting::broker("max.connections.per.ip.overrides", Kind::String, "")
        .mode(Mode::ClusterWide)
        .doc("Exceptions from `max.connections.per.ip`, as `host1:100,host2:200`."),
    Setting::broker("connection.max.inflight.requests", Kind::Int, "100")
        .valid(Valid::AtLeast(1))
        .doc("Requests of one connection that may wait for their answer; more are not read."),
    Setting::broker("connection.max.inflight.bytes", Kind::Long, "134217728")
        .valid(Valid::AtLeast(1))
        .unit(Unit::Bytes)
        .doc("Bytes of one connection's requests that wait and answers that it has not taken; above \
             it no more are read."),
    Setting::broker("queued.max.request.bytes", Kind::Long, "1073741824").unit(Unit::Bytes).doc(
        "Bytes of all requests and answers in memory, beyond the little that each connection may \
             always hold; above it connections are not read. -1 is no limit, which is Kafka's default.",
    ),
    Setting::broker("fetch.max.bytes", Kind::Int, "57671680")
        .valid(Valid::AtLeast(1024))
        .unit(Unit::Bytes)
        .doc("The largest answer to a fetch, whatever the client asks for."),
    Setting::broker("max.incremental.fetch.session.cache.slots", Kind::Int, "1000")
        .valid(Valid::AtLeast(0))
        .doc("Incremental fetch sessions that are remembered; other consumers fetch in full."),
    Setting::broker("max.request.partition.size.limit", Kind::Int, "2000")
        .valid(Valid::AtLeast(1))
        .doc("Partitions in one answer to DescribeTopicPartitions; clients page through them."),
    Setting::broker("request.timeout.ms", Kind::Int, "30000")
        .unit(Unit::Ms)
        .importance(Importance::High)
        .doc("How long a request that has no timeout of its own may wait for its answer."),
];

/// Topics and what a new one gets.
pub(super) const TOPICS: &[Setting] = &[
    Setting::broker("auto.create.topics.enable", Kind::Boolean, "true")
        .importance(Importance::High)
        .doc("Create a topic when a client asks for its metadata, if the client agrees."),
    Setting::broker("num.partitions", Kind::Int, "1")
        .valid(Valid::AtLeast(1))
        .doc("Partitions of a new topic that does not say how many."),
    Setting::broker("default.replication.factor", Kind::Int, "1")
        .doc("Replicas of a new topic that does not say how many."),
    Setting::broker("delete.topic.enable", Kind::Boolean, "true")
        .importance(Importance::High)
        .doc("Whether topics can be deleted at all."),
];

/// The log directories and their upkeep.
pub(super) const LOG: &[Setting] = &[
    Setting::broker("log.dir", Kind::List, "./duramen-data")
        .valid(Valid::Distinct)
        .importance(Importance::High)
        .doc("The data directory, if `log.dirs` is unset. Kafka's default is /tmp/kafka-logs."),
    unset("log.dirs", Kind::List)
        .valid(Valid::Distinct)
        .importance(Importance::High)
        .doc("The data directories; partitions are spread over them."),
    Setting::broker("log.free.low.bytes", Kind::Long, "268435456")
        .valid(Valid::AtLeast(0))
        .unit(Unit::Bytes)
        .importance(Importance::High)
        .doc(
            "Free disk space below which produce is refused (with an error that clients retry), \
             so that deletes and metadata still have room.",
        ),
    Setting::broker("log.free.high.bytes", Kind::Long, "536870912")
        .valid(Valid::AtLeast(0))
        .unit(Unit::Bytes)
        .doc("Free disk space from which produce is taken again after it was refused."),
    Setting::broker("log.retention.check.interval.ms", Kind::Long, "300000")
        .valid(Valid::AtLeast(1))
        .unit(Unit::Ms)
        .doc("How often logs are looked through for segments to delete."),
    Setting::broker("log.flush.scheduler.interval.ms", Kind::Long, FOREVER)
        .unit(Unit::Ms)
        .importance(Importance::High)
        .doc("How often logs are looked through for what `flush.ms` wants flushed."),
    Setting::broker("log.flush.offset.checkpoint.interval.ms", Kind::Int, "60000")
        .valid(Valid::AtLeast(0))
        .unit(Unit::Ms)
        .importance(Importance::High)
        .doc("How often the recovery point is noted; a restart scans from there."),
    Setting::broker("log.flush.start.offset.checkpoint.interval.ms", Kind::Int, "60000")
        .valid(Valid::AtLeast(0))
        .unit(Unit::Ms)
        .importance(Importance::High)
        .doc("How often the log start offsets are noted."),
    Setting::broker("replica.high.watermark.checkpoint.interval.ms", Kind::Long, "5000")
        .unit(Unit::Ms)
        .importance(Importance::High)
        .doc("How often the high watermarks are noted."),
    Setting::broker("num.recovery.threads.per.data.dir", Kind::Int, "2")
        .valid(Valid::AtLeast(1))
        .importance(Importance::High)
        .doc("Threads that load and recover the logs of a directory at start."),
    Setting::broker("producer.id.expiration.ms", Kind::Int, "86400000")
        .valid(Valid::AtLeast(1))
        .unit(Unit::Ms)
        .mode(Mode::ClusterWide)
        .importance(Importance::Low)
        .doc("An idempotent producer that writes nothing for this long is forgotten."),
    Setting::broker("producer.id.expiration.check.interval.ms", Kind::Int, "600000")
        .valid(Valid::AtLeast(1))
        .unit(Unit::Ms)
        .importance(Importance::Low)
        .doc("How often producers to forget are looked for."),
];

/// Compaction.
pub(super) const CLEANER: &[Setting] = &[
    Setting::broker("log.cleaner.enable", Kind::Boolean, "true")
        .doc("Whether logs are compacted whose topic asks for it. Without it they only grow."),
    Setting::broker("log.cleaner.threads", Kind::Int, "1")
        .valid(Valid::AtLeast(0))
        .mode(Mode::ClusterWide)
        .doc("Data directories that are compacted at the same time, at most one thread each."),
    Setting::broker("log.cleaner.backoff.ms", Kind::Long, "15000")
        .valid(Valid::AtLeast(0))
        .unit(Unit::Ms)
        .mode(Mode::ClusterWide)
        .doc("How long compaction waits when there is nothing to do, or after an error."),
    Setting::broker("log.cleaner.dedupe.buffer.size", Kind::Long, "134217728")
        .unit(Unit::Bytes)
        .mode(Mode::ClusterWide)
        .doc(
            "Memory for the keys of one pass, 24 bytes each, of all threads together. A log with \
             more new keys takes several passes.",
        ),
    Setting::broker("log.cleaner.io.buffer.load.factor", Kind::Double, "0.9")
        .mode(Mode::ClusterWide)
        .doc("How full the table of keys may become; above 0.9 it becomes slow."),
    Setting::broker("log.cleaner.io.buffer.size", Kind::Int, "524288")
        .valid(Valid::AtLeast(0))
        .unit(Unit::Bytes)
        .mode(Mode::ClusterWide)
        .doc("Bytes that compaction reads and writes at once, of all threads together."),
    Setting::broker("log.cleaner.io.max.bytes.per.second", Kind::Double, "1.7976931348623157E308")
        .mode(Mode::ClusterWide)
        .doc("Bytes that compaction reads and writes a second at most, all threads together."),
];

/// The metadata log.
pub(super) const METADATA: &[Setting] = &[
    unset("metadata.log.dir", Kind::String)
        .importance(Importance::High)
        .doc("Where the metadata log lives. Unset: in the first data directory."),
    Setting::broker("metadata.log.segment.bytes", Kind::Int, "1073741824")
        .valid(Valid::AtLeast(8_388_608))
        .unit(Unit::Bytes)
        .importance(Importance::High)
        .doc("Size at which the metadata log begins a new segment."),
    Setting::broker("metadata.log.segment.ms", Kind::Long, "604800000")
        .unit(Unit::Ms)
        .importance(Importance::High)
        .doc("Age at which the metadata log begins a new segment."),
    Setting::broker("metadata.log.max.record.bytes.between.snapshots", Kind::Long, "20971520")
        .valid(Valid::AtLeast(1))
        .unit(Unit::Bytes)
        .importance(Importance::High)
        .doc("Metadata written since the last snapshot from which a new one is made."),
    Setting::broker("metadata.log.max.snapshot.interval.ms", Kind::Long, "3600000")
        .valid(Valid::AtLeast(0))
        .unit(Unit::Ms)
        .importance(Importance::High)
        .doc("Longest time between two metadata snapshots if anything changed; 0 is no limit."),
    Setting::broker("metadata.max.retention.bytes", Kind::Long, "104857600")
        .unit(Unit::Bytes)
        .importance(Importance::High)
        .doc("Size of metadata log and snapshots from which old ones are deleted."),
    Setting::broker("metadata.max.retention.ms", Kind::Long, "604800000")
        .unit(Unit::Ms)
        .importance(Importance::High)
        .doc("Age from which old metadata segments and snapshots are deleted."),
];

/// Defaults for topics: each names its topic setting, which holds the explanation.
pub(super) const TOPIC_DEFAULTS: &[Setting] = &[
    default("compression.gzip.level", Kind::Int, "-1").valid(Valid::GzipLevel),
    default("compression.lz4.level", Kind::Int, "9").valid(Valid::Between(1, 17)),
    default("compression.type", Kind::String, "producer")
        .valid(Valid::OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]))
        .importance(Importance::High),
    default("compression.zstd.level", Kind::Int, "3").valid(Valid::Between(-131_072, 22)),
    default("log.cleaner.delete.retention.ms", Kind::Long, "86400000")
        .valid(Valid::AtLeast(0))
        .unit(Unit::Ms),
    default("log.cleaner.max.compaction.lag.ms", Kind::Long, FOREVER)
        .valid(Valid::AtLeast(1))
        .unit(Unit::Ms),
    default("log.cleaner.min.cleanable.ratio", Kind::Double, "0.5").valid(Valid::Ratio),
    default("log.cleaner.min.compaction.lag.ms", Kind::Long, "0")
        .valid(Valid::AtLeast(0))
        .unit(Unit::Ms),
    default("log.cleanup.policy", Kind::List, "delete")
        .valid(Valid::ListOf(&["compact", "delete"])),
    default("log.durability", Kind::String, "disk")
        .valid(Valid::OneOf(&["disk", "page-cache"]))
        .importance(Importance::High),
    default("log.flush.interval.messages", Kind::Long, FOREVER)
        .valid(Valid::AtLeast(1))
        .importance(Importance::High),
    no_default("log.flush.interval.ms", Kind::Long).unit(Unit::Ms).importance(Importance::High),
    default("log.index.interval.bytes", Kind::Int, "4096")
        .valid(Valid::AtLeast(0))
        .unit(Unit::Bytes),
    default("log.index.size.max.bytes", Kind::Int, "10485760")
        .valid(Valid::AtLeast(4))
        .unit(Unit::Bytes),
    default("log.local.retention.bytes", Kind::Long, "-2")
        .valid(Valid::AtLeast(-2))
        .unit(Unit::Bytes),
    default("log.local.retention.ms", Kind::Long, "-2").valid(Valid::AtLeast(-2)).unit(Unit::Ms),
    default("log.message.timestamp.after.max.ms", Kind::Long, "3600000")
        .valid(Valid::AtLeast(0))
        .unit(Unit::Ms),
    default("log.message.timestamp.before.max.ms", Kind::Long, FOREVER)
        .valid(Valid::AtLeast(0))
        .unit(Unit::Ms),
    default("log.message.timestamp.type", Kind::String, "CreateTime")
        .valid(Valid::OneOf(&["CreateTime", "LogAppendTime"])),
    default("log.preallocate", Kind::Boolean, "false"),
    default("log.retention.bytes", Kind::Long, "-1").unit(Unit::Bytes).importance(Importance::High),
    default("log.retention.hours", Kind::Int, "168")
        .unit(Unit::Hours)
        .mode(Mode::ReadOnly)
        .importance(Importance::High),
    no_default("log.retention.minutes", Kind::Int)
        .unit(Unit::Minutes)
        .mode(Mode::ReadOnly)
        .importance(Importance::High),
    no_default("log.retention.ms", Kind::Long).unit(Unit::Ms).importance(Importance::High),
    default("log.roll.hours", Kind::Int, "168")
        .valid(Valid::AtLeast(1))
        .unit(Unit::Hours)
        .mode(Mode::ReadOnly)
        .importance(Importance::High),
    default("log.roll.jitter.hours", Kind::Int, "0")
        .valid(Valid::AtLeast(0))
        .unit(Unit::Hours)
        .mode(Mode::ReadOnly)
        .importance(Importance::High),
    no_default("log.roll.jitter.ms", Kind::Long).unit(Unit::Ms).importance(Importance::High),
    no_default("log.roll.ms", Kind::Long).unit(Unit::Ms).importance(Importance::High),
    default("log.segment.bytes", Kind::Int, "1073741824")
        .valid(Valid::AtLeast(1_048_576))
        .unit(Unit::Bytes)
        .importance(Importance::High),
    default("log.segment.delete.delay.ms", Kind::Long, "60000")
        .valid(Valid::AtLeast(0))
        .unit(Unit::Ms)
        .importance(Importance::High),
    default("log.validate.records", Kind::Boolean, "false"),
    default("message.max.bytes", Kind::Int, "1048588")
        .valid(Valid::AtLeast(0))
        .unit(Unit::Bytes)
        .importance(Importance::High),
    default("min.insync.replicas", Kind::Int, "1")
        .valid(Valid::AtLeast(1))
        .importance(Importance::High),
    default("unclean.leader.election.enable", Kind::Boolean, "false").importance(Importance::High),
];

const fn default(name: &'static str, kind: Kind, default: &'static str) -> Setting {
    Setting::broker(name, kind, default).mode(Mode::ClusterWide)
}

const fn no_default(name: &'static str, kind: Kind) -> Setting {
    unset(name, kind).mode(Mode::ClusterWide)
}
