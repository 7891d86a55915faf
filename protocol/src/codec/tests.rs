//! What the declaration promises, on the messages that show it.

use bytes::Bytes;

use crate::api::{ApiKey, TABLE, VersionRange};
use crate::error::{DecodeErrorKind, EncodeErrorKind};
use crate::messages::fetch::{FetchPartition, FetchTopic};
use crate::messages::metadata::MetadataRequestTopic;
use crate::messages::produce::{LeaderIdAndEpoch, PartitionProduceResponse, TopicProduceResponse};
use crate::messages::*;
use crate::primitives::{Decoder, Encoder};
use crate::schema::{Schema, Type};
use crate::{for_each_api, for_each_unserved_api};

fn encode<M: Message>(message: &M, version: i16) -> Bytes {
    let mut encoder = Encoder::new();
    message.encode(&mut encoder, version).unwrap();
    assert_eq!(encoder.len(), message.size(version));
    encoder.finish().into_bytes()
}

fn refusal<M: Message>(message: &M, version: i16) -> (&'static str, EncodeErrorKind) {
    let error = message.encode(&mut Encoder::new(), version).unwrap_err();
    assert_eq!((error.api, error.version), (M::KEY, version));
    (error.field, error.kind)
}

#[test]
fn a_value_that_the_version_lacks_is_dropped_when_it_is_ignorable() {
    let request = FetchRequest { rack_id: "r1".into(), ..Default::default() };
    let back = FetchRequest::decode(&mut Decoder::new(encode(&request, 10)), 10).unwrap();
    assert_eq!(back.rack_id, "");
    let back = FetchRequest::decode(&mut Decoder::new(encode(&request, 11)), 11).unwrap();
    assert_eq!(back.rack_id, "r1");
}

#[test]
fn a_value_that_the_version_lacks_and_must_not_lose_is_an_error() {
    let partition = FetchPartition { last_fetched_epoch: 3, ..Default::default() };
    let topic = FetchTopic { partitions: vec![partition], ..Default::default() };
    let request = FetchRequest { topics: vec![topic], ..Default::default() };
    assert_eq!(
        refusal(&request, 11),
        ("FetchPartition.last_fetched_epoch", EncodeErrorKind::NotInVersion)
    );
    assert_eq!(
        request.encode(&mut Encoder::new(), 11).unwrap_err().to_string(),
        "cannot write FetchPartition.last_fetched_epoch of Fetch v11: this version lacks the \
         field: leave it at its default or use another version"
    );
}

#[test]
fn a_tagged_value_is_written_when_it_differs_from_its_default() {
    let mut partition = PartitionProduceResponse::default();
    let response = |partition: &PartitionProduceResponse| {
        let partition_responses = vec![partition.clone()];
        let topic = TopicProduceResponse { partition_responses, ..Default::default() };
        ProduceResponse { responses: vec![topic], ..Default::default() }
    };
    let without = encode(&response(&partition), 10).len();
    partition.current_leader = LeaderIdAndEpoch { leader_id: 1, leader_epoch: 2 };
    // A tag, a size, two numbers and an empty section of tags.
    assert_eq!(encode(&response(&partition), 10).len(), without + 2 + 8 + 1);
    assert_eq!(
        refusal(&response(&partition), 9),
        ("PartitionProduceResponse.current_leader", EncodeErrorKind::NotInVersion)
    );
}

#[test]
fn null_is_refused_both_ways_where_the_version_has_none() {
    let request = MetadataRequest { topics: None, ..Default::default() };
    assert_eq!(refusal(&request, 0), ("MetadataRequest.topics", EncodeErrorKind::NotNullable));
    let nulls = encode(&request, 1);
    assert_eq!(MetadataRequest::decode(&mut Decoder::new(nulls.clone()), 1).unwrap(), request);
    let error = MetadataRequest::decode(&mut Decoder::new(nulls), 0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot read MetadataRequest.topics of Metadata v0: is null, which this version does not allow"
    );

    let topic = MetadataRequestTopic { name: None, ..Default::default() };
    let request = MetadataRequest { topics: Some(vec![topic]), ..Default::default() };
    assert_eq!(refusal(&request, 9), ("MetadataRequestTopic.name", EncodeErrorKind::NotNullable));
    assert!(!encode(&request, 10).is_empty());
}

#[test]
fn unknown_tagged_fields_are_passed_over_within_their_size() {
    // No name, no version, and three tagged fields of which two are empty.
    let known = [1, 1, 0];
    let unknown = [1, 1, 3, 9, 2, b'h', b'i', 200, 1, 0, 7, 0];
    let read = |bytes: &[u8]| {
        let mut decoder = Decoder::new(Bytes::copy_from_slice(bytes));
        let request = ApiVersionsRequest::decode(&mut decoder, 3)?;
        assert_eq!(decoder.finish(), Ok(()));
        Ok::<_, crate::error::DecodeError>(request)
    };
    assert_eq!(read(&unknown).unwrap(), read(&known).unwrap());
    let beyond = read(&[1, 1, 1, 9, 3, b'h', b'i']).unwrap_err();
    assert_eq!(beyond.field, "ApiVersionsRequest");
    assert_eq!(beyond.kind, DecodeErrorKind::Truncated { needed: 3, remaining: 2 });
}

#[test]
fn an_error_names_the_field_it_was_met_in() {
    // One topic named "t", and then a count of partitions that can't be.
    let bytes = Bytes::from_static(b"\xff\xff\xff\xff\0\0\0\x01\0\x01t\x7f\xff\xff\xff");
    let error = ListOffsetsRequest::decode(&mut Decoder::new(bytes), 1).unwrap_err();
    assert_eq!((error.api, error.version), (ApiKey::ListOffsets, 1));
    assert_eq!(error.field, "ListOffsetsTopic.partitions");
    assert_eq!(error.kind, DecodeErrorKind::CountTooLarge { count: 0x7fff_ffff, remaining: 0 });
}

#[test]
fn an_absent_field_reads_as_kafkas_default() {
    let request = ProduceRequest::default();
    assert_eq!((request.transactional_id, request.acks), (None, 0));
    assert!(MetadataRequest::default().allow_auto_topic_creation);
    assert_eq!(FetchPartition::default().high_watermark, i64::MAX);
    assert_eq!(MetadataResponse::default().cluster_authorized_operations, i32::MIN);
    assert_eq!(InitProducerIdRequest::default().transactional_id, Some("".into()));
}

/// Calls `check` with each struct of a message.
fn each_struct(schema: &'static Schema, check: &mut impl FnMut(&'static Schema)) {
    check(schema);
    for field in schema.fields {
        let mut ty = field.ty;
        while let Type::Array(element) = ty {
            ty = *element;
        }
        if let Type::Struct(inner) = ty {
            each_struct(inner, check);
        }
    }
}

#[test]
fn tags_are_declared_in_rising_order_from_zero() {
    let mut in_order = |schema: &'static Schema| {
        let tags: Vec<u32> = schema.fields.iter().filter_map(|field| field.tag).collect();
        assert_eq!(tags, (0..tags.len() as u32).collect::<Vec<u32>>(), "{}", schema.name);
    };
    macro_rules! each {
        ($( $key:ident $request:ident, $min:literal - $max:literal (from $advertised:literal),
            $listeners:ident, $throttle:ident, $note:literal; )*) => {$(
            each_struct($request::SCHEMA, &mut in_order);
            each_struct(<<$request as Request>::Response as Message>::SCHEMA, &mut in_order);
        )*};
    }
    for_each_api!(each);
    for_each_unserved_api!(each);
}

#[test]
fn what_the_table_serves_can_be_read_and_answered() {
    let mut rows = TABLE.iter();
    macro_rules! each {
        ($( $key:ident $request:ident, $min:literal - $max:literal (from $advertised:literal),
            $listeners:ident, $throttle:ident, $note:literal; )*) => {$(
            let row = rows.next().unwrap();
            for versions in [$request::VERSIONS, <<$request as Request>::Response as Message>::VERSIONS] {
                assert_eq!(versions, VersionRange::new(row.min, row.max), "{}", row.name);
            }
            assert_eq!(($request::KEY, $request::NAME), (row.key, stringify!($request)));
        )*};
    }
    for_each_api!(each);
}

#[test]
fn every_error_code_is_told_however_deep_it_lies() {
    let partition =
        |code| PartitionProduceResponse { error_code: code, index: 9, ..Default::default() };
    let topic = TopicProduceResponse {
        partition_responses: vec![partition(0), partition(7)],
        ..Default::default()
    };
    let response = ProduceResponse { responses: vec![topic], ..Default::default() };
    let mut codes = Vec::new();
    response.error_codes(&mut |code| codes.push(code));
    assert_eq!(codes, [0, 7], "and no other number of two bytes");
}
