//! How far producer ids got in a topic, as the topic itself tells: the headers of its batches.

use std::collections::BTreeMap;

use duramen_protocol::text::Text;

use crate::cluster::Cluster;
use crate::consumer::{Assignment, Consumer, ConsumerOptions, Event, Isolation, Reset, Start};
use crate::error::ClientError;

/// A part of a partition to look through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stretch {
    /// The partition's number.
    pub partition: i32,
    /// The first offset.
    pub from: i64,
    /// The first offset that is not looked at: at most the high watermark.
    pub to: i64,
}

impl Stretch {
    /// Offsets `from` up to `to` of a partition, `to` not included.
    #[must_use]
    pub fn new(partition: i32, from: i64, to: i64) -> Self {
        Self { partition, from, to }
    }
}

/// Sequence number of the last record by producer id and partition.
pub type LastSequences = BTreeMap<(i64, i32), i32>;

/// Reads batch headers of a topic and tells the last sequence number of each producer id that `wanted`
/// names. What compaction has taken out of a batch does not matter: its header keeps the sequence.
///
/// # Errors
/// When the topic can't be read, or its records were deleted from where the look begins.
pub async fn last_sequences(
    cluster: &Cluster,
    topic: &Text,
    stretches: &[Stretch],
    wanted: impl Fn(i64) -> bool,
) -> Result<LastSequences, ClientError> {
    let assignments = stretches
        .iter()
        .filter(|stretch| stretch.from < stretch.to)
        .map(|stretch| {
            let start = Start::Offset(stretch.from);
            Assignment::new(topic.clone(), stretch.partition, start).end(stretch.to)
        })
        .collect();
    let options =
        ConsumerOptions::default().isolation(Isolation::ReadUncommitted).reset(Reset::Fail);
    let mut consumer = Consumer::start(cluster, options, assignments)?;
    let mut last = LastSequences::new();
    while let Some(event) = consumer.next().await {
        let Event::Records(fetched) = event? else { continue };
        for batch in fetched.batches().filter(|batch| wanted(batch.producer_id())) {
            // In a log the batches of one producer stand in the order of their sequences.
            last.insert((batch.producer_id(), fetched.partition), batch.last_sequence());
        }
    }
    Ok(last)
}
