//! DescribeLogDirs (key 35): how large the replicas are, by directory (KIP-113, KIP-827).

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::TopicPartition;
use duramen_protocol::messages::describe_log_dirs::{
    DescribableLogDirTopic, DescribeLogDirsPartition, DescribeLogDirsRequest,
    DescribeLogDirsResponse, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use duramen_protocol::text::Text;

use crate::replication::Partition;
use crate::server::blocking;
use crate::server::context::{RequestContext, Services};
use crate::server::reply::Reply;

/// Serves a request; it asks the file system for its room, which may block.
pub(crate) fn handle(
    context: &RequestContext,
    request: DescribeLogDirsRequest,
) -> Reply<DescribeLogDirsResponse> {
    let services = Arc::clone(&context.services);
    Reply::exclusive(async move {
        let wanted = request.topics.map(|topics| topics.into_iter().flat_map(names).collect());
        blocking::run(move || answer(&services, wanted.as_ref())).await.unwrap_or_default()
    })
}

fn names(topic: DescribableLogDirTopic) -> impl Iterator<Item = TopicPartition> {
    let name = topic.topic;
    topic.partitions.into_iter().map(move |partition| TopicPartition::new(name.clone(), partition))
}

fn answer(
    services: &Services,
    wanted: Option<&HashSet<TopicPartition>>,
) -> DescribeLogDirsResponse {
    let mut results = Vec::new();
    for dir in services.replicas.directories() {
        let mut result = DescribeLogDirsResult {
            log_dir: Text::from(dir.path.display().to_string()),
            ..DescribeLogDirsResult::default()
        };
        if dir.offline {
            result.error_code = ErrorCode::KafkaStorageError.code();
        } else {
            if let Ok(space) = services.env.disk.space(&dir.path) {
                result.total_bytes = i64::try_from(space.total).unwrap_or(i64::MAX);
                result.usable_bytes = i64::try_from(space.free).unwrap_or(i64::MAX);
            }
            result.topics = topics(&dir.partitions, wanted);
        }
        results.push(result);
    }
    DescribeLogDirsResponse { results, ..DescribeLogDirsResponse::default() }
}

fn topics(
    partitions: &[Arc<Partition>],
    wanted: Option<&HashSet<TopicPartition>>,
) -> Vec<DescribeLogDirsTopic> {
    let is_wanted =
        |partition: &&Arc<Partition>| wanted.is_none_or(|wanted| wanted.contains(partition.name()));
    let mut by_topic: BTreeMap<Text, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
    for partition in partitions.iter().filter(is_wanted) {
        by_topic.entry(partition.name().topic.clone()).or_default().push(
            DescribeLogDirsPartition {
                partition_index: partition.name().partition,
                partition_size: i64::try_from(partition.size_bytes()).unwrap_or(i64::MAX),
                ..DescribeLogDirsPartition::default()
            },
        );
    }
    by_topic
        .into_iter()
        .map(|(name, mut partitions)| {
            partitions.sort_unstable_by_key(|partition| partition.partition_index);
            DescribeLogDirsTopic { name, partitions }
        })
        .collect()
}
