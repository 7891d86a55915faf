//! Produce.

use bytes::Bytes;
use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::produce::{ProduceRequest, TopicProduceData};
use duramen_protocol::records::{Attributes, BatchView, Compression};

use crate::support::batches::{forge, records_of};
use crate::support::client::{error, produce_request, topic_data, versions};
use crate::support::{Batch, Node, eventually, now_ms};

mod checks;
mod idempotence;
mod settings;

/// First version that names topics by id.
const BY_ID: i16 = 13;

#[tokio::test]
async fn every_version_appends_and_tells_the_offset() {
    let (_node, client) = Node::client().await;
    let id = client.create("orders", 1).await;
    for (version, at) in versions::<ProduceRequest>().zip(0..) {
        let batch = Batch::of([format!("v{version}, first"), format!("v{version}, second")]);
        let mut request = produce_request("orders", 0, &batch.build());
        if version >= BY_ID {
            request.topic_data[0].topic_id = id;
        }
        let response = client.call(version, &request).await;
        let topic = &response.responses[0];
        match version >= BY_ID {
            true => assert_eq!(topic.topic_id, id),
            false => assert_eq!(topic.name, "orders"),
        }
        let outcome = &topic.partition_responses[0];
        assert_eq!(error(outcome.error_code), ErrorCode::None, "v{version}");
        assert_eq!((outcome.index, outcome.base_offset), (0, 2 * at), "v{version}");
        assert_eq!(outcome.log_append_time_ms, -1, "the producer's time stays");
        assert_eq!(outcome.log_start_offset, if version >= 5 { 0 } else { -1 });
    }
    let read = client.read("orders", 0, 0).await;
    let served = versions::<ProduceRequest>();
    let expected = served.flat_map(|v| [format!("v{v}, first"), format!("v{v}, second")]);
    assert_eq!(read, expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn all_and_leader_acks_tell_the_offset() {
    let (_node, client) = Node::client().await;
    client.create("orders", 1).await;
    for (acks, at) in [(-1, 0), (1, 1)] {
        let mut request = produce_request("orders", 0, &Batch::of(["x"]).build());
        request.acks = acks;
        let response = client.call(9, &request).await;
        let outcome = &response.responses[0].partition_responses[0];
        assert_eq!((outcome.error_code, outcome.base_offset), (0, at), "acks={acks}");
    }
}

#[tokio::test]
async fn without_acks_nothing_is_answered_and_the_records_are_there() {
    let (_node, client) = Node::client().await;
    client.create("orders", 1).await;
    let mut request = produce_request("orders", 0, &Batch::of(["quiet"]).build());
    request.acks = 0;
    client.connection.begin_unanswered(9, &request).unwrap();
    // The next answer on this connection belongs to the next request.
    assert_eq!(client.send("orders", 0, &Batch::of(["loud"])).await, 1);
    assert_eq!(client.read("orders", 0, 0).await, ["quiet", "loud"]);
}

#[tokio::test]
async fn a_failure_without_acks_closes_the_connection() {
    let (node, client) = Node::client().await;
    client.create("orders", 1).await;
    let mut request = produce_request("orders", 9, &Batch::of(["x"]).build());
    request.acks = 0;
    let mut raw = node.raw().await;
    raw.send(&crate::support::raw::request_frame(9, 1, &request)).await;
    raw.closed().await;
    assert_eq!(client.end("orders", 0).await, 0);
}

#[tokio::test]
async fn other_acks_are_refused_for_every_partition() {
    let (_node, client) = Node::client().await;
    client.create("orders", 2).await;
    for acks in [2, -2, 7, i16::MAX] {
        let batch = Batch::of(["x"]).build();
        let request = ProduceRequest {
            acks,
            topic_data: vec![topic_data("orders", vec![(0, batch.clone()), (1, batch)])],
            ..Default::default()
        };
        let response = client.call(9, &request).await;
        for outcome in &response.responses[0].partition_responses {
            assert_eq!(error(outcome.error_code), ErrorCode::InvalidRequiredAcks);
            assert_eq!(outcome.base_offset, -1);
        }
    }
    assert_eq!(client.end("orders", 0).await, 0);
}

#[tokio::test]
async fn what_does_not_exist_is_named_partition_by_partition() {
    let (_node, client) = Node::client().await;
    let id = client.create("orders", 1).await;
    let batch = Batch::of(["x"]).build();
    let request = ProduceRequest {
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![
            topic_data("orders", vec![(1, batch.clone()), (0, batch.clone()), (-1, batch.clone())]),
            topic_data("none", vec![(0, batch.clone())]),
        ],
        ..Default::default()
    };
    let response = client.call(12, &request).await;
    let codes: Vec<_> = response
        .responses
        .iter()
        .flat_map(|topic| &topic.partition_responses)
        .map(|outcome| (outcome.index, error(outcome.error_code)))
        .collect();
    let unknown = ErrorCode::UnknownTopicOrPartition;
    assert_eq!(codes, [(1, unknown), (0, ErrorCode::None), (-1, unknown), (0, unknown)]);

    let by_id = |topic_id, index| ProduceRequest {
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![TopicProduceData {
            topic_id,
            ..topic_data("", vec![(index, batch.clone())])
        }],
        ..Default::default()
    };
    for (topic_id, index, expected) in
        [(uuid::Uuid::new_v4(), 0, ErrorCode::UnknownTopicId), (id, 5, unknown)]
    {
        let response = client.call(BY_ID, &by_id(topic_id, index)).await;
        let outcome = &response.responses[0].partition_responses[0];
        assert_eq!(error(outcome.error_code), expected);
        assert_eq!(response.responses[0].topic_id, topic_id);
    }
    assert_eq!(client.read("orders", 0, 0).await, ["x"]);
}

#[tokio::test]
async fn several_topics_and_partitions_are_answered_in_their_order() {
    let (_node, client) = Node::client().await;
    client.create("orders", 3).await;
    client.create("bills", 1).await;
    let batch = |value: &str| Batch::of([value]).build();
    let request = ProduceRequest {
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![
            topic_data("orders", vec![(2, batch("two")), (0, batch("zero"))]),
            topic_data("bills", vec![(0, batch("bill"))]),
        ],
        ..Default::default()
    };
    let response = client.call(9, &request).await;
    let order: Vec<_> = response
        .responses
        .iter()
        .map(|topic| {
            let indexes: Vec<_> = topic.partition_responses.iter().map(|p| p.index).collect();
            (topic.name.to_string(), indexes)
        })
        .collect();
    assert_eq!(order, [("orders".to_owned(), vec![2, 0]), ("bills".to_owned(), vec![0])]);
    assert_eq!(client.read("orders", 2, 0).await, ["two"]);
    assert_eq!(client.read("orders", 1, 0).await, Vec::<String>::new());
    assert_eq!(client.read("bills", 0, 0).await, ["bill"]);
}

#[tokio::test]
async fn many_in_flight_are_appended_and_answered_in_order() {
    let (_node, client) = Node::client().await;
    client.create("orders", 1).await;
    let mut pending = Vec::new();
    for n in 0..40 {
        let request = produce_request("orders", 0, &Batch::of([n.to_string()]).build());
        pending.push(client.connection.begin(9, &request, crate::support::PATIENCE).unwrap());
    }
    for (n, pending) in (0..).zip(pending) {
        let response = pending.await.unwrap();
        assert_eq!(response.responses[0].partition_responses[0].base_offset, n);
    }
    let expected: Vec<_> = (0..40).map(|n| n.to_string()).collect();
    assert_eq!(client.read("orders", 0, 0).await, expected);
}

#[tokio::test]
async fn batches_are_stored_as_they_came_but_for_offset_epoch() {
    let (_node, client) = Node::client().await;
    client.create("orders", 1).await;
    client.send("orders", 0, &Batch::of(["before"])).await;
    for codec in Compression::ALL {
        let sent = Batch::of(["a", "b", "c"]).codec(codec).build();
        let offset = client.produce("orders", 0, &sent).await.base_offset;
        let stored = client.fetch("orders", 0, offset).await.records.unwrap();
        let (batch, rest) = BatchView::split(&stored).unwrap();
        assert!(rest.is_empty());
        assert_eq!((batch.base_offset(), batch.partition_leader_epoch()), (offset, 0));
        assert_eq!(&stored[16..], &sent[16..], "{}: magic and all behind it", codec.name());
        assert_eq!(stored[8..12], sent[8..12]);
    }
}

#[tokio::test]
async fn an_empty_request_is_answered() {
    let (_node, client) = Node::client().await;
    let request = ProduceRequest { acks: -1, timeout_ms: 1000, ..Default::default() };
    for version in versions::<ProduceRequest>() {
        assert_eq!(client.call(version, &request).await.responses, []);
    }
}

#[tokio::test]
async fn old_versions_are_advertised_and_refused_when_sent() {
    let node = Node::start().await;
    for version in [0, 1, 2, 14, i16::MAX, -1] {
        let mut raw = node.raw().await;
        let mut body = crate::support::raw::header(0, version, 1, version >= 9);
        body.extend([0; 40]);
        raw.send(&crate::support::raw::framed(&body)).await;
        raw.closed().await;
    }
}
