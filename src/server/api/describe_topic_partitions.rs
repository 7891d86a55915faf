//! DescribeTopicPartitions (key 75): topics in pages, with eligible leaders (KIP-966).

use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::NO_NODE;
use duramen_protocol::messages::describe_topic_partitions::{
    Cursor, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use duramen_protocol::text::Text;

use crate::metadata::{MetadataImage, PartitionImage, TopicImage};
use crate::server::context::RequestContext;
use crate::server::operations;
use crate::server::reply::Reply;

/// Serves a request.
pub(crate) fn handle(
    context: &RequestContext,
    request: DescribeTopicPartitionsRequest,
) -> Reply<DescribeTopicPartitionsResponse> {
    let image = context.services.image();
    let asked = usize::try_from(request.response_partition_limit).unwrap_or(0);
    let at_most = context.services.config.network.described_partitions_max as usize;
    let mut page = Page {
        image: &image,
        room: asked.min(at_most).max(1),
        response: DescribeTopicPartitionsResponse::default(),
    };
    let cursor = request.cursor;
    let mut names: Vec<Text> = match request.topics.is_empty() {
        true => image.topics().iter().map(|topic| topic.name().clone()).collect(),
        false => request.topics.into_iter().map(|topic| topic.name).collect(),
    };
    names.sort_unstable();
    names.dedup();
    for name in names {
        let first = match &cursor {
            Some(cursor) if name < cursor.topic_name => continue,
            Some(cursor) if name == cursor.topic_name => cursor.partition_index,
            _ => 0,
        };
        if !page.topic(&name, first) {
            break;
        }
    }
    Reply::Now(page.response)
}

struct Page<'a> {
    image: &'a MetadataImage,
    room: usize,
    response: DescribeTopicPartitionsResponse,
}

impl Page<'_> {
    /// Adds a topic from partition `first` on; false when the page is full.
    fn topic(&mut self, name: &Text, first: i32) -> bool {
        let Some(topic) = self.image.topics().by_name(name) else {
            self.response.topics.push(DescribeTopicPartitionsResponseTopic {
                error_code: ErrorCode::UnknownTopicOrPartition.code(),
                name: Some(name.clone()),
                ..DescribeTopicPartitionsResponseTopic::default()
            });
            return true;
        };
        if self.room == 0 {
            self.next(name, first);
            return false;
        }
        let mut answer = header(topic);
        for (index, partition) in topic.partitions().filter(|(index, _)| *index >= first) {
            if self.room == 0 {
                self.next(name, index);
                self.response.topics.push(answer);
                return false;
            }
            self.room -= 1;
            answer.partitions.push(describe(index, partition, self.image));
        }
        self.response.topics.push(answer);
        true
    }

    fn next(&mut self, name: &Text, partition_index: i32) {
        let topic_name = name.clone();
        self.response.next_cursor = Some(Cursor { topic_name, partition_index });
    }
}

fn header(topic: &TopicImage) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic {
        name: Some(topic.name().clone()),
        topic_id: topic.id(),
        is_internal: topic.is_internal(),
        topic_authorized_operations: operations::TOPIC,
        ..DescribeTopicPartitionsResponseTopic::default()
    }
}

fn describe(
    index: i32,
    partition: &PartitionImage,
    image: &MetadataImage,
) -> DescribeTopicPartitionsResponsePartition {
    let offline = |id: &&i32| !image.brokers().is_active(**id);
    let leader = partition.leader().filter(|id| image.brokers().is_active(*id));
    let error = if leader.is_some() { ErrorCode::None } else { ErrorCode::LeaderNotAvailable };
    DescribeTopicPartitionsResponsePartition {
        error_code: error.code(),
        partition_index: index,
        leader_id: leader.unwrap_or(NO_NODE),
        leader_epoch: partition.leader_epoch,
        replica_nodes: partition.replicas.clone(),
        isr_nodes: partition.isr.clone(),
        eligible_leader_replicas: Some(partition.eligible_leader_replicas.clone()),
        last_known_elr: Some(partition.last_known_elr.clone()),
        offline_replicas: partition.replicas.iter().filter(offline).copied().collect(),
    }
}
