//! The timestamp of the first record that a group has not read yet: one small fetch of each partition.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use duramen_client::cluster::Cluster;
use duramen_client::consumer::{
    Assignment, Consumer, ConsumerOptions, Event, Fetched, Reset, Start, TopicPartition,
};
use tokio::time::{Instant, timeout_at};

use super::standing::Standing;
use crate::cli::exit::Failure;

/// Bytes asked of a partition; a larger first batch comes all the same.
const PARTITION_BYTES: usize = 1024;
/// How long a look may wait for a partition whose leader does not answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The timestamps, in milliseconds since 1970, of those that lag. One that a leader does not tell in
/// time is left out, and one whose offsets hold nothing but markers and gaps.
pub(super) async fn first_unread(
    cluster: &Cluster,
    standings: &[Standing],
) -> Result<BTreeMap<TopicPartition, i64>, Failure> {
    let lagging: Vec<Assignment> = standings.iter().filter_map(assignment).collect();
    let mut found = BTreeMap::new();
    let count = lagging.len();
    let options = ConsumerOptions::default()
        .max_wait(Duration::from_millis(100))
        .partition_bytes(PARTITION_BYTES)
        .prefetch_bytes(PARTITION_BYTES * count.max(64))
        .reset(Reset::Earliest);
    let mut consumer = Consumer::start(cluster, options, lagging)?;
    let deadline = Instant::now() + PATIENCE;
    while found.len() < count {
        let Ok(Some(event)) = timeout_at(deadline, consumer.next()).await else { break };
        if let Event::Records(fetched) = event? {
            let at = TopicPartition::new(fetched.topic.clone(), fetched.partition);
            if let Some(timestamp) = first_timestamp(&fetched) {
                found.entry(at).or_insert(timestamp);
            }
        }
    }
    Ok(found)
}

fn assignment(standing: &Standing) -> Option<Assignment> {
    standing.lag().filter(|lag| *lag > 0)?;
    let ((first, end), committed) = (standing.edges?, standing.committed?);
    Some(
        Assignment::new(
            standing.at.topic.clone(),
            standing.at.partition,
            Start::Offset(committed.max(first)),
        )
        .end(end),
    )
}

fn first_timestamp(fetched: &Fetched) -> Option<i64> {
    let visited =
        fetched.visit(&mut Vec::new(), |_, record| ControlFlow::Break(record.timestamp)).ok()?;
    match visited {
        ControlFlow::Break(timestamp) => Some(timestamp).filter(|timestamp| *timestamp >= 0),
        ControlFlow::Continue(()) => None,
    }
}
