//! ApiVersions.

use bytes::Bytes;
use duramen_protocol::api::{self, ApiKey};
use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::Message;
use duramen_protocol::messages::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use duramen_protocol::primitives::Decoder;

use crate::support::Node;
use crate::support::client::{error, versions};
use crate::support::raw::{framed, header, request_frame};

fn named(name: &str, version: &str) -> ApiVersionsRequest {
    ApiVersionsRequest {
        client_software_name: name.into(),
        client_software_version: version.into(),
        ..Default::default()
    }
}

/// Reads an answer whose header has nothing but the correlation id, as ApiVersions always has.
fn read(frame: Bytes, version: i16, correlation: i32) -> ApiVersionsResponse {
    let mut decoder = Decoder::new(frame);
    assert_eq!(decoder.i32().unwrap(), correlation);
    let response = ApiVersionsResponse::decode(&mut decoder, version).unwrap();
    assert_eq!(decoder.remaining(), 0);
    response
}

#[tokio::test]
async fn every_version_tells_what_is_served_and_nothing_else() {
    let node = Node::start().await;
    let mut raw = node.raw().await;
    for version in versions::<ApiVersionsRequest>() {
        raw.send(&request_frame(version, 5, &named("test", "1.0"))).await;
        let response = read(raw.frame().await.unwrap(), version, 5);
        assert_eq!(error(response.error_code), ErrorCode::None);
        let told: Vec<_> = response
            .api_keys
            .iter()
            .map(|key| (key.api_key, key.min_version, key.max_version))
            .collect();
        let table: Vec<_> = api::TABLE
            .iter()
            .map(|spec| (spec.key.code(), spec.advertised_min, spec.max))
            .collect();
        assert_eq!(told, table, "v{version}");
    }
}

#[tokio::test]
async fn what_old_clients_look_for_is_there() {
    let node = Node::start().await;
    let response = node.connect().await.ask(&named("test", "1.0")).await;
    let range = |key: ApiKey| {
        let found = response.api_keys.iter().find(|found| found.api_key == key.code()).unwrap();
        (found.min_version, found.max_version)
    };
    // librdkafka turns compression off unless Produce 0 is advertised (KAFKA-18659).
    assert_eq!(range(ApiKey::Produce), (0, 13));
    // rskafka has Fetch 4 only, librdkafka looks for ListOffsets 1 and InitProducerId 0.
    assert_eq!(range(ApiKey::Fetch).0, 4);
    assert_eq!(range(ApiKey::ListOffsets).0, 1);
    assert_eq!(range(ApiKey::InitProducerId).0, 0);
    assert_eq!(range(ApiKey::FindCoordinator).0, 0);
    // Topic ids: Produce 13 and Fetch 13 go with Metadata 10 and up.
    assert!(range(ApiKey::Metadata).1 >= 12);
}

#[tokio::test]
async fn an_unknown_version_is_answered_in_version_0_with_the_range() {
    let node = Node::start().await;
    for version in [5, 6, 99, i16::MAX, -1, i16::MIN] {
        let mut raw = node.raw().await;
        // The header in the form of today, and a body in a form that nobody knows yet.
        let mut body = header(18, version, 77, true);
        body.extend([0xff, 0xfe, 0xfd]);
        raw.send(&framed(&body)).await;
        let response = read(raw.frame().await.unwrap(), 0, 77);
        assert_eq!(error(response.error_code), ErrorCode::UnsupportedVersion, "v{version}");
        let told: Vec<_> =
            response.api_keys.iter().map(|k| (k.api_key, k.min_version, k.max_version)).collect();
        assert_eq!(told, [(18, 0, 4)]);
        // The client tries again on the same connection.
        let response = raw.call(4, &named("test", "1.0")).await.unwrap();
        assert_eq!(error(response.error_code), ErrorCode::None);
    }
}

#[tokio::test]
async fn clients_with_impossible_names_are_refused_from_version_3_on() {
    let node = Node::start().await;
    let client = node.connect().await;
    for (name, version) in
        [("", "1"), ("a", ""), ("a b", "1"), ("-a", "1"), ("a", "1.0-"), ("ä", "1"), ("a\n", "1")]
    {
        for api_version in [3, 4] {
            let response = client.call(api_version, &named(name, version)).await;
            assert_eq!(error(response.error_code), ErrorCode::InvalidRequest, "{name} {version}");
        }
    }
    let response = client.call(2, &named("", "")).await;
    assert_eq!(error(response.error_code), ErrorCode::None);
    for (name, version) in [("librdkafka", "v2.0.2-1"), ("apache-kafka-java", "4.3.1"), ("a", "0")]
    {
        let response = client.call(4, &named(name, version)).await;
        assert_eq!(error(response.error_code), ErrorCode::None);
    }
}

#[tokio::test]
async fn no_feature_is_claimed_that_is_not_there() {
    let node = Node::start().await;
    let response = node.connect().await.ask(&named("test", "1.0")).await;
    // With transaction.version 2 clients would take the paths of KIP-890.
    let names: Vec<_> = response.finalized_features.iter().map(|f| f.name.as_str()).collect();
    assert!(!names.contains(&"transaction.version"), "{names:?}");
    assert!(!names.contains(&"group.version"), "{names:?}");
}

#[tokio::test]
async fn it_may_come_again_at_any_time() {
    let (_node, client) = Node::client().await;
    client.create("orders", 1).await;
    for _ in 0..3 {
        assert_eq!(client.ask(&named("test", "1.0")).await.error_code, 0);
        client.end("orders", 0).await;
    }
}
