//! Properties of producers.

use duramen_protocol::records::Compression;

use super::{Draft, Misread, Row, Take};
use crate::producer::{Acks, Partitioner};
use crate::properties::kind::Kind::Producer;

pub(super) const ROWS: &[Row] = &[
    Row::new(
        "acks",
        Producer,
        Take::Other("all, 1 or 0", |draft, value| {
            draft.producer.acks = match value {
                "all" | "-1" => Acks::All,
                "1" => Acks::Leader,
                "0" => Acks::None,
                _ => return Err(Misread::Unknown),
            };
            Ok(())
        }),
        "Who must have a batch: `acks`.",
    ),
    Row::new(
        "enable.idempotence",
        Producer,
        Take::Flag(|draft, on| draft.idempotent = Some(on)),
        "Each record once and in order; on unless others exclude it: `idempotent`.",
    ),
    Row::new(
        "max.in.flight.requests.per.connection",
        Producer,
        Take::Count(1, |draft, count| draft.producer.max_in_flight = count),
        "Requests on their way to a broker, with idempotence 5 at most: `max_in_flight`.",
    ),
    Row::new(
        "linger.ms",
        Producer,
        Take::Ms(0, |draft, time| draft.producer.linger = time),
        "How long a batch waits for more records: `linger`.",
    ),
    Row::new(
        "batch.size",
        Producer,
        Take::Bytes(1, |draft, bytes| draft.producer.batch_bytes = bytes),
        "Size of a batch; 65536 unless set, not 16384: `batch_bytes`.",
    ),
    Row::new(
        "max.request.size",
        Producer,
        Take::Bytes(1, |draft, bytes| draft.producer.request_bytes = bytes),
        "Size of a request; 262144 unless set, and a larger batch goes alone: `request_bytes`.",
    ),
    Row::new(
        "buffer.memory",
        Producer,
        Take::Bytes(1, |draft, bytes| draft.producer.buffer_bytes = bytes),
        "Memory for records on their way; beyond it callers wait: `buffer_bytes`.",
    ),
    Row::new(
        "compression.type",
        Producer,
        Take::Other("none, gzip, snappy, lz4 or zstd", |draft, value| {
            draft.producer.compression = Compression::from_name(value).ok_or(Misread::Unknown)?;
            Ok(())
        }),
        "Codec of the batches: `compression`.",
    ),
    Row::new(
        "compression.gzip.level",
        Producer,
        Take::Other("-1, or 1 to 9", |draft, value| level(draft, value, Compression::Gzip)),
        "Level where gzip is the codec: `compression_level`.",
    ),
    Row::new(
        "compression.lz4.level",
        Producer,
        Take::Other("1 to 17", |draft, value| level(draft, value, Compression::Lz4)),
        "Level where lz4 is the codec: `compression_level`.",
    ),
    Row::new(
        "compression.zstd.level",
        Producer,
        Take::Other("-131072 to 22", |draft, value| level(draft, value, Compression::Zstd)),
        "Level where zstd is the codec: `compression_level`.",
    ),
    Row::new(
        "delivery.timeout.ms",
        Producer,
        Take::Ms(1, |draft, time| draft.producer.delivery_timeout = time),
        "How long delivery is tried: `delivery_timeout`.",
    ),
    Row::new(
        "partitioner.class",
        Producer,
        Take::Other(
            "nothing, or one of Kafka's DefaultPartitioner and UniformStickyPartitioner",
            |draft, value| {
                draft.producer.partitioner = match value.rsplit('.').next().unwrap_or_default() {
                    "" | "null" | "DefaultPartitioner" => Partitioner::Murmur2,
                    "UniformStickyPartitioner" => Partitioner::IgnoreKeys,
                    "RoundRobinPartitioner" => {
                        let words =
                            "there is no round-robin: choose partitions with Partitioner::by";
                        return Err(Misread::NotHere(words));
                    }
                    _ => return Err(Misread::Unknown),
                };
                Ok(())
            },
        ),
        "Where records go that name no partition: `partitioner`.",
    ),
    Row::new(
        "partitioner.ignore.keys",
        Producer,
        Take::Flag(|draft, on| {
            if on {
                draft.producer.partitioner = Partitioner::IgnoreKeys;
            }
        }),
        "As if no record had a key: `partitioner`.",
    ),
    refused(
        "transactional.id",
        "there are no transactions yet: leave it out, and have idempotence",
    ),
    refused("transaction.two.phase.commit.enable", "there are no transactions yet"),
    ignored("key.serializer", "keys are bytes, or what Producer::typed makes of them"),
    ignored("value.serializer", "values are bytes, or what Producer::typed makes of them"),
    ignored(
        "max.block.ms",
        "default.api.timeout.ms bounds the wait for metadata; bound the wait for memory with a timeout around the call",
    ),
    ignored("metadata.max.idle.ms", "topics stay known as long as the producer"),
    ignored(
        "partitioner.adaptive.partitioning.enable",
        "partitions without a leader are left out, and else shares are even",
    ),
    ignored(
        "partitioner.availability.timeout.ms",
        "partitions without a leader are left out at once",
    ),
    ignored("retries", "it is tried until delivery.timeout.ms is over"),
    ignored("transaction.timeout.ms", "there are no transactions yet"),
];

fn level(draft: &mut Draft, value: &str, codec: Compression) -> Result<(), Misread> {
    let level: i32 = value.parse().map_err(|_| Misread::Unknown)?;
    if !codec.levels().is_some_and(|(levels, _)| levels.contains(&level)) {
        return Err(Misread::Unknown);
    }
    draft.levels.push((codec, level));
    Ok(())
}

const fn ignored(name: &'static str, why: &'static str) -> Row {
    Row::new(name, Producer, Take::Ignored(why), "")
}

const fn refused(name: &'static str, why: &'static str) -> Row {
    Row::new(name, Producer, Take::Refused(why), "")
}
