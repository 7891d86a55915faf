//! What honest bytes cost: no record bytes are copied, and memory is taken per request, topic and
//! partition, never per record.

use allocation_counter::{AllocationInfo, measure};
use bytes::Bytes;
use duramen_protocol::api::TABLE;
use duramen_protocol::frame;
use duramen_protocol::messages::api_versions::{ApiVersion, ApiVersionsResponse};
use duramen_protocol::messages::delete_topics::DeleteTopicsRequest;
use duramen_protocol::messages::fetch::{FetchResponse, FetchableTopicResponse, PartitionData};
use duramen_protocol::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use duramen_protocol::messages::{Message, Request};
use duramen_protocol::primitives::Decoder;

const PARTITIONS: i32 = 8;
const RECORDS_LEN: usize = 100_000;

fn records() -> Bytes {
    Bytes::from(vec![7; RECORDS_LEN])
}

fn measured<T>(work: impl FnOnce() -> T) -> (T, AllocationInfo) {
    let mut result = None;
    let memory = measure(|| result = Some(work()));
    (result.unwrap(), memory)
}

/// The body of a frame as it came from a socket.
fn body<R: Request>(version: i16, request: &R) -> Bytes {
    let mut encoder = duramen_protocol::primitives::Encoder::new();
    request.encode(&mut encoder, version).unwrap();
    encoder.finish().into_bytes()
}

#[test]
fn reading_a_produce_request_copies_no_records() {
    let partition_data = (0..PARTITIONS)
        .map(|index| PartitionProduceData { index, records: Some(records()) })
        .collect();
    let topic = TopicProduceData { name: "orders".into(), partition_data, ..Default::default() };
    let request = ProduceRequest { topic_data: vec![topic], acks: -1, ..Default::default() };
    let frame = body(9, &request);
    let span = frame.as_ptr_range();

    let (read, memory) = measured(|| ProduceRequest::decode(&mut Decoder::new(frame.clone()), 9));
    for partition in &read.unwrap().topic_data[0].partition_data {
        let records = partition.records.as_ref().unwrap();
        assert!(span.contains(&records.as_ptr()) && records.len() == RECORDS_LEN);
    }
    // The arrays of topics and of partitions, the topic's name, and the frame's counter.
    assert!(memory.count_total <= 4, "{memory:?}");
    assert!(memory.bytes_total < 1024, "{memory:?}");
}

#[test]
fn writing_a_fetch_response_copies_no_records() {
    let partitions: Vec<PartitionData> = (0..PARTITIONS)
        .map(|partition_index| PartitionData {
            partition_index,
            records: Some(records()),
            ..Default::default()
        })
        .collect();
    let span: Vec<*const u8> =
        partitions.iter().map(|partition| partition.records.as_ref().unwrap().as_ptr()).collect();
    let topic = FetchableTopicResponse { partitions, ..Default::default() };
    let response = FetchResponse { responses: vec![topic], ..Default::default() };

    let (chunks, memory) = measured(|| frame::response(16, 1, &response).unwrap());
    let shared: Vec<*const u8> = chunks
        .as_slice()
        .iter()
        .filter(|chunk| chunk.len() == RECORDS_LEN)
        .map(|chunk| chunk.as_ptr())
        .collect();
    assert_eq!(shared, span);
    // One buffer for all that is not records, its counter, the list of chunks, and a counter for
    // each of the records that never had one.
    assert!(memory.count_total <= 3 + PARTITIONS as u64, "{memory:?}");
    assert!(memory.bytes_total < 2048, "{memory:?}");
}

#[test]
fn a_small_answer_takes_one_buffer() {
    let api_keys = TABLE
        .iter()
        .map(|row| ApiVersion {
            api_key: row.key.code(),
            min_version: row.advertised_min,
            max_version: row.max,
        })
        .collect();
    let response = ApiVersionsResponse { api_keys, ..Default::default() };
    let (chunks, memory) = measured(|| frame::response(3, 1, &response).unwrap());
    assert_eq!(chunks.as_slice().len(), 1);
    // The buffer, its counter, and the list of the one chunk.
    assert!(memory.count_total <= 3, "{memory:?}");
}

#[test]
fn a_long_array_of_nothing_stays_in_proportion() {
    let request =
        DeleteTopicsRequest { topic_names: vec!["".into(); 50_000], ..Default::default() };
    let frame = body(4, &request);
    let (read, memory) = measured(|| DeleteTopicsRequest::decode(&mut Decoder::new(frame), 4));
    assert_eq!(read.unwrap(), request);
    assert!(memory.bytes_max < 64 * 50_000, "{memory:?}");
}
