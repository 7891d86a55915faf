//! The edges of partitions as their leaders tell them, for the offset grammar.

use duramen_client::ClientError;
use duramen_client::admin::offsets::{OffsetQuestion, list_offsets};
use duramen_client::cluster::Cluster;
use duramen_client::consumer::Isolation;
use duramen_protocol::ids::{EARLIEST, LATEST};
use duramen_protocol::text::Text;

use super::offsets::{OffsetRange, PartitionEdges};

/// A partition and its edges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edges {
    /// The topic's name.
    pub topic: Text,
    /// The partition's number.
    pub partition: i32,
    /// Where it starts and ends, and where the range's times fall.
    pub edges: PartitionEdges,
}

/// Asks for the edges of partitions, and for the offsets of the range's times.
///
/// # Errors
/// When a leader does not answer, or refuses.
pub async fn edges_of(
    cluster: &Cluster,
    isolation: Isolation,
    partitions: Vec<(Text, i32)>,
    range: Option<&OffsetRange>,
) -> Result<Vec<Edges>, ClientError> {
    let (from, to) = range.map_or((None, None), OffsetRange::times);
    let times = [Some(EARLIEST), Some(LATEST), from, to];
    let questions = partitions
        .iter()
        .flat_map(|(topic, partition)| {
            times
                .into_iter()
                .flatten()
                .map(|timestamp| OffsetQuestion::new(topic.clone(), *partition, timestamp))
        })
        .collect();
    let mut answers = list_offsets(cluster, isolation, questions).await?.into_iter();
    let mut all = Vec::with_capacity(partitions.len());
    for (topic, partition) in partitions {
        let mut offset = |asked: bool| match asked {
            true => answers.next().map_or(Ok(None), |answer| answer.offset),
            false => Ok(None),
        };
        let (start, end) = (offset(true)?.unwrap_or(0), offset(true)?.unwrap_or(0));
        let (from_time, to_time) = (offset(from.is_some())?, offset(to.is_some())?);
        let edges = PartitionEdges { start, end, from_time, to_time };
        all.push(Edges { topic, partition, edges });
    }
    Ok(all)
}
