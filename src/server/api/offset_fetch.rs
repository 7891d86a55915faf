//! OffsetFetch (key 9): how far groups have read; up to version 7 of one group, from 8 of several.
//! There are no transactions yet, so that every offset is stable (KIP-447).

use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::{NO_EPOCH, NO_OFFSET, TopicId};
use duramen_protocol::messages::offset_fetch::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchResponseGroup,
    OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use duramen_protocol::messages::{OffsetFetchRequest, OffsetFetchResponse};
use duramen_protocol::text::Text;

use crate::coordinator::Asked;
use crate::coordinator::command::{Command, Wanted};
use crate::metadata::MetadataImage;
use crate::server::context::RequestContext;
use crate::server::reply::Reply;

/// First version whose error stands for the whole answer.
const GROUP_ERROR_VERSION: i16 = 2;
/// First version that asks for several groups (KIP-709).
const BATCH_VERSION: i16 = 8;
/// First version that names topics by id.
const TOPIC_ID_VERSION: i16 = 10;

/// Serves a request.
pub(crate) fn handle(
    context: &RequestContext,
    request: OffsetFetchRequest,
) -> Reply<OffsetFetchResponse> {
    let version = context.api_version;
    if version >= BATCH_VERSION {
        let asked: Vec<_> = request.groups.into_iter().map(|group| ask(context, group)).collect();
        return Reply::overlapping(async move {
            let mut groups = Vec::with_capacity(asked.len());
            for group in asked {
                groups.push(group.answer().await);
            }
            OffsetFetchResponse { groups, ..OffsetFetchResponse::default() }
        });
    }
    let topics = request.topics.map(|topics| {
        let topic = |topic: duramen_protocol::messages::offset_fetch::OffsetFetchRequestTopic| {
            OffsetFetchRequestTopics {
                name: topic.name,
                partition_indexes: topic.partition_indexes,
                ..OffsetFetchRequestTopics::default()
            }
        };
        topics.into_iter().map(topic).collect()
    });
    let group_id = request.group_id;
    let group = OffsetFetchRequestGroup { group_id, topics, ..OffsetFetchRequestGroup::default() };
    let asked = ask(context, group);
    Reply::overlapping(async move { single(version, asked).await })
}

/// What was asked of one group.
struct AskedGroup {
    group_id: Text,
    asked: Asked<OffsetFetchResponseGroup>,
    /// The partitions, where they were named.
    wanted: Option<Wanted>,
    /// With topics by id: the answers for topics that nobody knows.
    unknown: Vec<OffsetFetchResponseTopics>,
    by_id: Option<std::sync::Arc<MetadataImage>>,
}

fn ask(context: &RequestContext, group: OffsetFetchRequestGroup) -> AskedGroup {
    let by_id = (context.api_version >= TOPIC_ID_VERSION).then(|| context.services.image());
    let mut unknown = Vec::new();
    let wanted: Option<Wanted> = group.topics.map(|topics| {
        let named = topics.into_iter().filter_map(|topic| match &by_id {
            None => Some((topic.name, topic.partition_indexes)),
            Some(image) => match image.topics().by_id(topic.topic_id) {
                Some(known) => Some((known.name().clone(), topic.partition_indexes)),
                None => {
                    let id = topic.topic_id;
                    unknown.push(refused(id, &topic.partition_indexes, ErrorCode::UnknownTopicId));
                    None
                }
            },
        });
        named.collect()
    });
    let group_id = group.group_id;
    let member = group.member_id.map(|member| (member, group.member_epoch));
    let command = Command::FetchOffsets { group: group_id.clone(), wanted: wanted.clone(), member };
    let asked = context.services.groups.ask(&group_id, command);
    AskedGroup { group_id, asked, wanted, unknown, by_id }
}

fn refused(topic_id: TopicId, partitions: &[i32], code: ErrorCode) -> OffsetFetchResponseTopics {
    let partitions = partitions.iter().map(|index| OffsetFetchResponsePartitions {
        partition_index: *index,
        committed_offset: NO_OFFSET,
        committed_leader_epoch: NO_EPOCH,
        metadata: Some(Text::EMPTY),
        error_code: code.code(),
    });
    OffsetFetchResponseTopics { topic_id, name: Text::EMPTY, partitions: partitions.collect() }
}

impl AskedGroup {
    async fn answer(self) -> OffsetFetchResponseGroup {
        let mut group = match self.asked.await {
            Ok(group) => group,
            Err(code) => {
                return OffsetFetchResponseGroup {
                    group_id: self.group_id,
                    error_code: code.code(),
                    ..OffsetFetchResponseGroup::default()
                };
            }
        };
        if let Some(image) = self.by_id {
            // A topic that has just gone has no id to be told.
            group.topics.retain_mut(|topic| {
                let found = image.topics().by_name(&topic.name);
                topic.topic_id = found.map(|it| it.id()).unwrap_or_default();
                found.is_some()
            });
            group.topics.extend(self.unknown);
        }
        group
    }
}

/// The answer in the form of the versions that ask for one group.
async fn single(version: i16, asked: AskedGroup) -> OffsetFetchResponse {
    let wanted = asked.wanted.clone();
    let group = asked.answer().await;
    if group.error_code == 0 || version >= GROUP_ERROR_VERSION {
        let topics = group.topics.into_iter().map(old_form).collect();
        let error_code = group.error_code;
        return OffsetFetchResponse { topics, error_code, ..OffsetFetchResponse::default() };
    }
    let code = ErrorCode::from_code(group.error_code);
    let topics = wanted.into_iter().flatten().map(|(name, partitions)| {
        let refused = refused(TopicId::nil(), &partitions, code);
        old_form(OffsetFetchResponseTopics { name, ..refused })
    });
    OffsetFetchResponse { topics: topics.collect(), ..OffsetFetchResponse::default() }
}

fn old_form(topic: OffsetFetchResponseTopics) -> OffsetFetchResponseTopic {
    let partition = |partition: OffsetFetchResponsePartitions| OffsetFetchResponsePartition {
        partition_index: partition.partition_index,
        committed_offset: partition.committed_offset,
        committed_leader_epoch: partition.committed_leader_epoch,
        metadata: partition.metadata,
        error_code: partition.error_code,
    };
    OffsetFetchResponseTopic {
        name: topic.name,
        partitions: topic.partitions.into_iter().map(partition).collect(),
    }
}
