//! Properties of consumers, in a group or not.

use duramen_protocol::text::Text;

use super::{Misread, Row, Take};
use crate::consumer::{Isolation, Reset, Start};
use crate::properties::kind::Kind::Consumer;
use crate::properties::value;

pub(super) const ROWS: &[Row] = &[
    Row::new(
        "auto.offset.reset",
        Consumer,
        Take::Other(
            "earliest, latest, none or by_duration: and a time as P7D or PT1H30M",
            |draft, value| {
                let age = value.strip_prefix("by_duration:").map(value::iso_duration);
                let (start, reset) = match (value.to_ascii_lowercase().as_str(), age) {
                    (_, Some(Some(age))) => (Some(Start::Ago(age)), Reset::Ago(age)),
                    ("earliest", _) => (Some(Start::Earliest), Reset::Earliest),
                    ("latest", _) => (Some(Start::Latest), Reset::Latest),
                    ("none", _) => (None, Reset::Fail),
                    _ => return Err(Misread::Unknown),
                };
                draft.group.start = start;
                draft.consumer.reset = reset;
                Ok(())
            },
        ),
        "Where to go on without an offset; unless set, members read from the earliest one, not the latest, \
         and other consumers end with the error: `reset`, `start`.",
    ),
    Row::new(
        "isolation.level",
        Consumer,
        Take::Other("read_uncommitted or read_committed", |draft, value| {
            draft.consumer.isolation = match value.to_ascii_lowercase().as_str() {
                "read_uncommitted" => Isolation::ReadUncommitted,
                "read_committed" => Isolation::ReadCommitted,
                _ => return Err(Misread::Unknown),
            };
            Ok(())
        }),
        "Which records of transactions are seen: `isolation`.",
    ),
    Row::new(
        "fetch.min.bytes",
        Consumer,
        Take::Bytes(0, |draft, bytes| draft.consumer.min_bytes = bytes),
        "What a broker waits for: `min_bytes`.",
    ),
    Row::new(
        "fetch.max.wait.ms",
        Consumer,
        Take::Ms(0, |draft, time| draft.consumer.max_wait = time),
        "How long it waits at most: `max_wait`.",
    ),
    Row::new(
        "fetch.max.bytes",
        Consumer,
        Take::Bytes(1, |draft, bytes| draft.consumer.fetch_bytes = bytes),
        "Size of an answer; 4194304 unless set, not 52428800: `fetch_bytes`.",
    ),
    Row::new(
        "max.partition.fetch.bytes",
        Consumer,
        Take::Bytes(1, |draft, bytes| draft.consumer.partition_bytes = bytes),
        "The share of a partition in it: `partition_bytes`.",
    ),
    Row::new(
        "check.crcs",
        Consumer,
        Take::Flag(|draft, on| draft.consumer.check_crc = on),
        "Whether checksums are checked: `check_crc`.",
    ),
    Row::new(
        "client.rack",
        Consumer,
        Take::Other("a name", |draft, value| {
            draft.consumer.rack = Some(Text::from(value)).filter(|rack| !rack.is_empty());
            Ok(())
        }),
        "Where this client is; a replica there is read from (KIP-392): `rack`.",
    ),
    ignored("allow.auto.create.topics", "a consumer never makes topics"),
    ignored("exclude.internal.topics", "a pattern finds the topics whose names it fits"),
    ignored("key.deserializer", "keys are bytes, or what ConsumerRecord::key_as makes of them"),
    ignored("max.poll.records", "poll is told how many"),
    ignored(
        "value.deserializer",
        "values are bytes, or what ConsumerRecord::value_as makes of them",
    ),
];

const fn ignored(name: &'static str, why: &'static str) -> Row {
    Row::new(name, Consumer, Take::Ignored(why), "")
}
