//! Produce requests and answers, pure: batches of many partitions into one message, and back.

use std::collections::BTreeMap;

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
}

/// The highest version in which all of these topics can be named.
pub(super) fn version_cap(parts: &[Part]) -> i16 {
    if parts.iter().any(|part| part.topic_id.is_nil()) { LAST_BY_NAME } else { i16::MAX }
}

/// The request; `batches` go with `parts`, one each.
pub(super) fn request(
    options: &ProducerOptions,
    version: i16,
    parts: &[Part],
    batches: Vec<Bytes>,
) -> ProduceRequest {
    let mut topics: BTreeMap<&Text, TopicProduceData> = BTreeMap::new();
    for (part, records) in parts.iter().zip(batches) {
        let topic = topics.entry(&part.topic).or_insert_with(|| TopicProduceData {
            name: if version > LAST_BY_NAME { Text::EMPTY } else { part.topic.clone() },
            topic_id: part.topic_id,
            partition_data: Vec::new(),
        });
        topic
            .partition_data
            .push(PartitionProduceData { index: part.partition, records: Some(records) });
    }
    ProduceRequest {
        transactional_id: None,
        acks: options.acks.code(),
        timeout_ms: i32::try_from(options.request_timeout.as_millis()).unwrap_or(i32::MAX),
        topic_data: topics.into_values().collect(),
    }
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

/// The answers to `parts`, in their order; `None` where the broker was silent.
pub(super) fn answers(parts: &[Part], response: ProduceResponse) -> Vec<Option<PartAnswer>> {
    let mut answers = vec![None; parts.len()];
    for topic in response.responses {
        for answered in topic.partition_responses {
            let at = parts.iter().position(|part| {
                let named = part.topic == topic.name
                    || (!topic.topic_id.is_nil() && part.topic_id == topic.topic_id);
                named && part.partition == answered.index
            });
            if let Some(slot) = at.and_then(|at| answers.get_mut(at)) {
                *slot = Some(part_answer(answered));
            }
        }
    }
    answers
}

fn part_answer(answered: PartitionProduceResponse) -> PartAnswer {
    PartAnswer {
        code: ErrorCode::from_code(answered.error_code),
        base_offset: answered.base_offset,
        append_time: Some(answered.log_append_time_ms).filter(|time| *time >= 0),
        message: answered.error_message,
        records: answered
            .record_errors
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
        }
    }

    #[test]
    fn batches_of_a_topic_travel_together_and_answers_find_their_way_back() {
        let parts = [part("a", 1, 0), part("b", 2, 5), part("a", 1, 3)];
        assert_eq!(version_cap(&parts), i16::MAX);
        assert_eq!(version_cap(&[part("a", 0, 0)]), 12);
        let options = ProducerOptions::default();
        let request = request(&options, 13, &parts, vec![Bytes::new(); 3]);
        assert_eq!(request.topic_data.len(), 2);
        assert_eq!(request.topic_data[0].partition_data.len(), 2);
        let response = ProduceResponse {
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
        let answers = answers(&parts, response);
        assert_eq!(answers[0].as_ref().map(|a| a.code), Some(ErrorCode::NotLeaderOrFollower));
        assert_eq!(answers[1], None);
        assert_eq!(answers[2].as_ref().map(|a| a.base_offset), Some(33));
    }
}
