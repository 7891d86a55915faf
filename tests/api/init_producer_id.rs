//! InitProducerId.

use std::collections::BTreeSet;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::init_producer_id::InitProducerIdRequest;

use crate::support::client::{Idempotent, error, versions};
use crate::support::{Batch, Node};

#[tokio::test]
async fn every_version_gives_an_id_of_its_own() {
    let (_node, client) = Node::client().await;
    client.create("orders", 1).await;
    let mut ids = BTreeSet::new();
    for version in versions::<InitProducerIdRequest>() {
        let response = client.call(version, &InitProducerIdRequest::default_idempotent()).await;
        assert_eq!(error(response.error_code), ErrorCode::None, "v{version}");
        assert!(response.producer_id >= 0 && response.producer_epoch == 0);
        assert!(ids.insert(response.producer_id), "given twice: {}", response.producer_id);
        client.send("orders", 0, &Batch::of(["x"]).producer(response.producer_id, 0, 0)).await;
    }
}

#[tokio::test]
async fn no_id_is_given_twice_whatever_happens() {
    let (mut node, mut client) = Node::client().await;
    let mut ids = BTreeSet::new();
    for round in 0..4 {
        for _ in 0..30 {
            let (id, epoch) = client.producer_id().await;
            assert_eq!(epoch, 0);
            assert!(ids.insert(id), "given twice: {id}");
        }
        drop(client);
        client = if round % 2 == 0 { node.restart().await } else { node.drop_and_restart().await };
    }
}

#[tokio::test]
async fn many_at_once_get_ids_beyond_the_end_of_a_block() {
    let (node, client) = Node::client().await;
    let other = node.connect().await;
    let mut ids = BTreeSet::new();
    let request = InitProducerIdRequest::default_idempotent();
    for _ in 0..60 {
        let mut pending = Vec::new();
        for connection in [&client.connection, &other.connection] {
            for _ in 0..20 {
                pending.push(connection.begin(4, &request, crate::support::PATIENCE).unwrap());
            }
        }
        for pending in pending {
            let response = pending.await.unwrap();
            assert_eq!(error(response.error_code), ErrorCode::None);
            assert!(ids.insert(response.producer_id));
        }
    }
    assert_eq!(ids.len(), 2400, "more than a block of 1,000");
}

#[tokio::test]
async fn transactions_are_refused_without_waiting() {
    let (_node, client) = Node::client().await;
    for version in versions::<InitProducerIdRequest>() {
        let request = InitProducerIdRequest {
            transactional_id: Some("tx".into()),
            transaction_timeout_ms: 60_000,
            ..Default::default()
        };
        let response = client.call(version, &request).await;
        assert_eq!(error(response.error_code), ErrorCode::CoordinatorNotAvailable);
        assert_eq!((response.producer_id, response.producer_epoch), (-1, -1));
        let nameless = InitProducerIdRequest { transactional_id: Some("".into()), ..request };
        let response = client.call(version, &nameless).await;
        assert_eq!(error(response.error_code), ErrorCode::InvalidRequest);
    }
}

#[tokio::test]
async fn half_an_identity_is_an_invalid_request() {
    let (_node, client) = Node::client().await;
    for version in 3..=5 {
        for (producer_id, producer_epoch) in [(7, -1), (-1, 7)] {
            let request = InitProducerIdRequest {
                producer_id,
                producer_epoch,
                ..InitProducerIdRequest::default_idempotent()
            };
            let response = client.call(version, &request).await;
            assert_eq!(error(response.error_code), ErrorCode::InvalidRequest);
            assert_eq!((response.producer_id, response.producer_epoch), (-1, -1));
        }
        // A producer that lost its way gets a new identity.
        let request = InitProducerIdRequest {
            producer_id: 7,
            producer_epoch: 7,
            ..InitProducerIdRequest::default_idempotent()
        };
        let response = client.call(version, &request).await;
        assert_eq!((response.error_code, response.producer_epoch), (0, 0));
    }
}
