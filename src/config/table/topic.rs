//! The settings of a topic: all of Kafka 4.3's, and two of our own.

use crate::config::setting::{Kind, Level, Setting, Synonym, Unit, Valid};

const HOURS: i64 = 3_600_000;
const MINUTES: i64 = 60_000;
const FOREVER: &str = "9223372036854775807";
const CODECS: &[&str] = &["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"];

const fn same(name: &'static str) -> Synonym {
    Synonym { name, factor: 1 }
}

const fn times(factor: i64, name: &'static str) -> Synonym {
    Synonym { name, factor }
}

/// The rows, by name.
pub(super) const ROWS: &[Setting] = &[
    Setting::topic("cleanup.policy", Kind::List, "delete")
        .valid(Valid::ListOf(&["compact", "delete"]))
        .from(&[same("log.cleanup.policy")])
        .doc(
            "What happens to old data: `delete` drops whole segments by age and size, `compact` \
             keeps the newest record of each key, both do both, an empty list keeps everything.",
        ),
    Setting::topic("compression.gzip.level", Kind::Int, "-1")
        .valid(Valid::GzipLevel)
        .from(&[same("compression.gzip.level")])
        .doc("Level when `compression.type` is `gzip`; -1 is the codec's own choice."),
    Setting::topic("compression.lz4.level", Kind::Int, "9")
        .valid(Valid::Between(1, 17))
        .from(&[same("compression.lz4.level")])
        .doc("Level when `compression.type` is `lz4`."),
    Setting::topic("compression.type", Kind::String, "producer")
        .valid(Valid::OneOf(CODECS))
        .from(&[same("compression.type")])
        .doc(
            "How batches are stored. `producer` keeps what the producer chose and costs nothing; \
             any other value recompresses the batches that differ.",
        ),
    Setting::topic("compression.zstd.level", Kind::Int, "3")
        .valid(Valid::Between(-131_072, 22))
        .from(&[same("compression.zstd.level")])
        .doc("Level when `compression.type` is `zstd`."),
    Setting::topic("delete.retention.ms", Kind::Long, "86400000")
        .valid(Valid::AtLeast(0))
        .unit(Unit::Ms)
        .from(&[same("log.cleaner.delete.retention.ms")])
        .doc(
            "How long a compacted topic keeps the record that deletes a key, which is also how \
             long a consumer that starts at the beginning has to read to the end.",
        ),
    Setting::topic("durability", Kind::String, "disk")
        .valid(Valid::OneOf(&["disk", "page-cache"]))
        .from(&[same("log.durability")])
        .doc(
            "What an `acks=all` answer promises. `disk`: every in-sync replica has the batch on \
             disk. `page-cache`: every in-sync replica has it in memory, as in Kafka, so that a \
             power loss of all of them can lose it.",
        ),
    Setting::topic("file.delete.delay.ms", Kind::Long, "60000")
        .valid(Valid::AtLeast(0))
        .unit(Unit::Ms)
        .from(&[same("log.segment.delete.delay.ms")])
        .doc(
            "Taken as in Kafka, and needless: the files of a deleted segment go at once, and a reader \
             that is at it keeps what it holds.",
        ),
    Setting::topic("flush.messages", Kind::Long, FOREVER)
        .valid(Valid::AtLeast(1))
        .from(&[same("log.flush.interval.messages")])
        .doc("Flush to disk after this many records. `durability=disk` makes it needless."),
    Setting::topic("flush.ms", Kind::Long, FOREVER)
        .valid(Valid::AtLeast(0))
        .unit(Unit::Ms)
        .from(&[same("log.flush.interval.ms"), same("log.flush.scheduler.interval.ms")])
        .doc(
            "Flush to disk when the oldest unflushed record is this old. `durability=disk` makes \
             it needless.",
        ),
    Setting::topic("follower.replication.throttled.replicas", Kind::List, "")
        .valid(Valid::ThrottledReplicas)
        .doc("Replicas whose fetching is throttled, as partition:broker, or `*` for all."),
    Setting::topic("index.interval.bytes", Kind::Int, "4096")
        .valid(Valid::AtLeast(0))
        .unit(Unit::Bytes)
        .from(&[same("log.index.interval.bytes")])
        .doc("Data between two entries of the offset index."),
    Setting::unset(Level::Topic, "internal.segment.bytes", Kind::Int)
        .valid(Valid::AtLeast(1))
        .unit(Unit::Bytes)
        .internal()
        .doc("Overrides `segment.bytes` without its lower bound: for tests."),
    Setting::topic("leader.replication.throttled.replicas", Kind::List, "")
        .valid(Valid::ThrottledReplicas)
        .doc("Replicas whose sending to followers is throttled, as partition:broker, or `*`."),
    Setting::topic("local.retention.bytes", Kind::Long, "-2")
        .valid(Valid::AtLeast(-2))
        .unit(Unit::Bytes)
        .from(&[same("log.local.retention.bytes")])
        .doc("With tiered storage, the size kept on the local disk; -2 is `retention.bytes`."),
    Setting::topic("local.retention.ms", Kind::Long, "-2")
        .valid(Valid::AtLeast(-2))
        .unit(Unit::Ms)
        .from(&[same("log.local.retention.ms")])
        .doc("With tiered storage, the time kept on the local disk; -2 is `retention.ms`."),
    Setting::topic("max.compaction.lag.ms", Kind::Long, FOREVER)
        .valid(Valid::AtLeast(1))
        .unit(Unit::Ms)
        .from(&[same("log.cleaner.max.compaction.lag.ms")])
        .doc("A compacted topic compacts a record at the latest after this time."),
    Setting::topic("max.message.bytes", Kind::Int, "1048588")
        .valid(Valid::AtLeast(0))
        .unit(Unit::Bytes)
        .from(&[same("message.max.bytes")])
        .doc("The largest record batch that is taken, as it comes (compressed)."),
    Setting::topic("message.timestamp.after.max.ms", Kind::Long, "3600000")
        .valid(Valid::AtLeast(0))
        .unit(Unit::Ms)
        .from(&[same("log.message.timestamp.after.max.ms")])
        .doc("With `CreateTime`, how far a timestamp may lie ahead of the broker's clock."),
    Setting::topic("message.timestamp.before.max.ms", Kind::Long, FOREVER)
        .valid(Valid::AtLeast(0))
        .unit(Unit::Ms)
        .from(&[same("log.message.timestamp.before.max.ms")])
        .doc("With `CreateTime`, how far a timestamp may lie behind the broker's clock."),
    Setting::topic("message.timestamp.type", Kind::String, "CreateTime")
        .valid(Valid::OneOf(&["CreateTime", "LogAppendTime"]))
        .from(&[same("log.message.timestamp.type")])
        .doc("Whose time a record has: the producer's, or the leader's when it appends."),
    Setting::topic("min.cleanable.dirty.ratio", Kind::Double, "0.5")
        .valid(Valid::Ratio)
        .from(&[same("log.cleaner.min.cleanable.ratio")])
        .doc("Share of not yet compacted data from which a compacted log is worth cleaning."),
    Setting::topic("min.compaction.lag.ms", Kind::Long, "0")
        .valid(Valid::AtLeast(0))
        .unit(Unit::Ms)
        .from(&[same("log.cleaner.min.compaction.lag.ms")])
        .doc("A compacted topic leaves a record alone for at least this time."),
    Setting::topic("min.insync.replicas", Kind::Int, "1")
        .valid(Valid::AtLeast(1))
        .from(&[same("min.insync.replicas")])
        .doc(
            "How many replicas, the leader included, must be in sync for `acks=all` to be taken \
             and for records to become visible to consumers.",
        ),
    Setting::topic("preallocate", Kind::Boolean, "false")
        .from(&[same("log.preallocate")])
        .doc("Reserve the disk space of a whole segment when it is created."),
    Setting::topic("remote.log.copy.disable", Kind::Boolean, "false")
        .doc("With tiered storage, stop copying new segments to the remote tier."),
    Setting::topic("remote.log.delete.on.disable", Kind::Boolean, "false")
        .doc("With tiered storage, delete the remote data when it is turned off."),
    Setting::topic("remote.storage.enable", Kind::Boolean, "false")
        .doc("Tiered storage for this topic. Not supported: only `false` is taken."),
    Setting::topic("retention.bytes", Kind::Long, "-1")
        .unit(Unit::Bytes)
        .from(&[same("log.retention.bytes")])
        .doc(
            "Size of a partition from which its oldest segments are deleted, if `cleanup.policy` \
             holds `delete`; -1 is no limit.",
        ),
    Setting::topic("retention.ms", Kind::Long, "604800000")
        .valid(Valid::AtLeast(-1))
        .unit(Unit::Ms)
        .from(&[
            same("log.retention.ms"),
            times(MINUTES, "log.retention.minutes"),
            times(HOURS, "log.retention.hours"),
        ])
        .doc(
            "Age of its newest record from which a segment is deleted, if `cleanup.policy` holds \
             `delete`; -1 is never.",
        ),
    Setting::topic("segment.bytes", Kind::Int, "1073741824")
        .valid(Valid::AtLeast(1_048_576))
        .unit(Unit::Bytes)
        .from(&[same("log.segment.bytes")])
        .doc("Size at which a new segment begins. Retention and compaction work by segment."),
    Setting::topic("segment.index.bytes", Kind::Int, "10485760")
        .valid(Valid::AtLeast(4))
        .unit(Unit::Bytes)
        .from(&[same("log.index.size.max.bytes")])
        .doc("Largest offset index of a segment; a new segment begins when it is full."),
    Setting::topic("segment.jitter.ms", Kind::Long, "0")
        .valid(Valid::AtLeast(0))
        .unit(Unit::Ms)
        .from(&[same("log.roll.jitter.ms"), times(HOURS, "log.roll.jitter.hours")])
        .doc("Random time taken off `segment.ms`, so that not all segments roll at once."),
    Setting::topic("segment.ms", Kind::Long, "604800000")
        .valid(Valid::AtLeast(1))
        .unit(Unit::Ms)
        .from(&[same("log.roll.ms"), times(HOURS, "log.roll.hours")])
        .doc("Age at which a new segment begins even though the last one is not full."),
    Setting::topic("unclean.leader.election.enable", Kind::Boolean, "false")
        .from(&[same("unclean.leader.election.enable")])
        .doc("Whether a replica that lacks records may lead when no other can: loses data."),
    Setting::topic("validate.records", Kind::Boolean, "false")
        .from(&[same("log.validate.records")])
        .doc(
            "Open every batch and check each record in it, as Kafka does. Off, a batch is checked \
             by its header and checksum, at no cost per record.",
        ),
];
