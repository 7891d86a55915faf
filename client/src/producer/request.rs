//! Produce requests and answers, pure: batches of many partitions into one message, and back.

use bytes::Bytes;
use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::TopicId;
use duramen_protocol::messages::produce::{
    PartitionProduceData, PartitionProduceResponse, ProduceRequest, ProduceResponse,
    TopicProduceData,
};
use duramen_protocol::text::Text;

use super::accumulator::BufferId;
use super::options::ProducerOptions;

/// The last version that names topics by name (KIP-516).
const LAST_BY_NAME: i16 = 12;

/// A batch that goes with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) buffer: BufferId,
    pub(super) batch: u64,
    pub(super) topic: Text,
    pub(super) topic_id: TopicId,
    pub(super) partition: i32,
    /// The batch as it goes onto the wire.
    pub(super) records: Bytes,
}

/// The highest version in which all of these topics can be named.
pub(super) fn version_cap(parts: &[Part]) -> i16 {
    if parts.iter().any(|part| part.topic_id.is_nil()) { LAST_BY_NAME } else { i16::MAX }
}

/// The request with the records of all parts, which leave them. Its lists are those of a `former` one.
pub(super) fn request(
    options: &ProducerOptions,
    version: i16,
    parts: &mut [Part],
    former: &mut Vec<TopicProduceData>,
) -> ProduceRequest {
    let (mut topics, mut used) = (std::mem::take(former), 0);
    let by_id = version > LAST_BY_NAME;
    for part in parts {
        // Of most topics the parts come in a row; the last one is looked at first.
        let known = topics.iter().take(used).rposition(|topic| match by_id {
            true => topic.topic_id == part.topic_id,
            false => topic.name == part.topic,
        });
        let at = known.unwrap_or(used);
        if at == topics.len() {
            topics.push(TopicProduceData::default());
        }
        let Some(topic) = topics.get_mut(at) else { continue };
        if at == used {
            used += 1;
            topic.name = if by_id { Text::EMPTY } else { part.topic.clone() };
            topic.topic_id = part.topic_id;
            topic.partition_data.clear();
        }
        topic.partition_data.push(PartitionProduceData {
            index: part.partition,
            records: Some(std::mem::take(&mut part.records)),
        });
    }
    topics.truncate(used);
    ProduceRequest {
        transactional_id: None,
        acks: options.acks.code(),
        timeout_ms: i32::try_from(options.request_timeout.as_millis()).unwrap_or(i32::MAX),
        topic_data: topics,
    }
}

/// The lists of a request that is written, for the next one; its records are let go of.
pub(super) fn lists(request: ProduceRequest) -> Vec<TopicProduceData> {
    let mut topics = request.topic_data;
    topics.iter_mut().for_each(|topic| topic.partition_data.clear());
    topics
}

/// What the broker said of one batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PartAnswer {
    pub(super) code: ErrorCode,
    pub(super) base_offset: i64,
    pub(super) append_time: Option<i64>,
    pub(super) message: Option<Text>,
    pub(super) records: Vec<(i32, Option<Text>)>,
}

/// Shows each part with the broker's answer to it, and takes it out: those left met with silence.
pub(super) fn take_answers(
    parts: &mut Vec<Part>,
    response: &mut ProduceResponse,
    mut show: impl FnMut(&Part, PartAnswer),
) {
    for topic in &mut response.responses {
        for answered in &mut topic.partition_responses {
            let at = parts.iter().position(|part| {
                let named = part.topic == topic.name
                    || (!topic.topic_id.is_nil() && part.topic_id == topic.topic_id);
                named && part.partition == answered.index
            });
            if let Some(at) = at {
                show(&parts.swap_remove(at), part_answer(answered));
            }
        }
    }
}

fn part_answer(answered: &mut PartitionProduceResponse) -> PartAnswer {
    PartAnswer {
        code: ErrorCode::from_code(answered.error_code),
        base_offset: answered.base_offset,
        append_time: Some(answered.log_append_time_ms).filter(|time| *time >= 0),
        message: answered.error_message.take(),
        records: std::mem::take(&mut answered.record_errors)
            .into_iter()
            .map(|record| (record.batch_index, record.batch_index_error_message))
            .collect(),
    }
}

/// Errors after which the leaders should be asked for again.
pub(super) fn is_stale_metadata(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::NotLeaderOrFollower
            | ErrorCode::UnknownTopicOrPartition
            | ErrorCode::UnknownTopicId
            | ErrorCode::InconsistentTopicId
            | ErrorCode::LeaderNotAvailable
            | ErrorCode::FencedLeaderEpoch
            | ErrorCode::UnknownLeaderEpoch
            | ErrorCode::ReplicaNotAvailable
            | ErrorCode::ListenerNotFound
            | ErrorCode::KafkaStorageError
            | ErrorCode::NetworkException
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use duramen_protocol::messages::produce::TopicProduceResponse;

    fn part(topic: &str, id: u128, partition: i32) -> Part {
        Part {
            buffer: 0,
            batch: 0,
            topic: topic.into(),
            topic_id: TopicId::from_u128(id),
            partition,
            records: Bytes::new(),
        }
    }

    #[test]
    fn a_request_is_made_of_the_lists_of_the_one_before_and_of_nothing_else_of_it() {
        let options = ProducerOptions::default();
        let parts = [part("a", 1, 0), part("b", 2, 5), part("a", 1, 3)];
        let first = request(&options, 13, &mut parts.clone(), &mut Vec::new());
        let (list, expected) = (first.topic_data[0].partition_data.as_ptr(), first.clone());
        let second = request(&options, 13, &mut parts.clone(), &mut lists(first));
        assert_eq!(second, expected);
        assert_eq!(second.topic_data[0].partition_data.as_ptr(), list);
        let other = request(&options, 12, &mut [part("c", 3, 1)], &mut lists(second));
        assert_eq!(other, request(&options, 12, &mut [part("c", 3, 1)], &mut Vec::new()));
    }

    #[test]
    fn batches_of_a_topic_travel_together_and_answers_find_their_way_back() {
        let parts = [part("a", 1, 0), part("b", 2, 5), part("a", 1, 3)];
        assert_eq!(version_cap(&parts), i16::MAX);
        assert_eq!(version_cap(&[part("a", 0, 0)]), 12);
        let options = ProducerOptions::default();
        let request = request(&options, 13, &mut parts.clone(), &mut Vec::new());
        assert_eq!(request.topic_data.len(), 2);
        assert_eq!(request.topic_data[0].partition_data.len(), 2);
        let mut response = ProduceResponse {
            responses: vec![TopicProduceResponse {
                topic_id: TopicId::from_u128(1),
                partition_responses: vec![
                    PartitionProduceResponse { index: 3, base_offset: 33, ..Default::default() },
                    PartitionProduceResponse { index: 0, error_code: 6, ..Default::default() },
                ],
                ..TopicProduceResponse::default()
            }],
            ..ProduceResponse::default()
        };
        let (mut left, mut answers) = (parts.to_vec(), Vec::new());
        take_answers(&mut left, &mut response, |part, answer| {
            answers.push((part.partition, answer.code, answer.base_offset));
        });
        let moved = ErrorCode::NotLeaderOrFollower;
        assert_eq!(answers, [(3, ErrorCode::None, 33), (0, moved, 0)]);
        assert_eq!(left, [part("b", 2, 5)]);
    }
}
