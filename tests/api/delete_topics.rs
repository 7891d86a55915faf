//! DeleteTopics.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::TopicId;
use duramen_protocol::messages::delete_topics::{
    DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest,
};

use crate::support::client::{error, fetch_request, partition_of, versions};
use crate::support::{Batch, Client, Node, eventually};

/// First version that names topics by id or name, one by one.
const ONE_BY_ONE: i16 = 6;

fn named(name: &str) -> DeleteTopicState {
    DeleteTopicState { name: Some(name.into()), ..Default::default() }
}

fn by_id(topic_id: TopicId) -> DeleteTopicState {
    DeleteTopicState { topic_id, ..Default::default() }
}

async fn delete(client: &Client, topics: Vec<DeleteTopicState>) -> Vec<DeletableTopicResult> {
    let request = DeleteTopicsRequest { topics, timeout_ms: 30_000, ..Default::default() };
    client.ask(&request).await.responses
}

fn codes(results: &[DeletableTopicResult]) -> Vec<ErrorCode> {
    results.iter().map(|result| error(result.error_code)).collect()
}

#[tokio::test]
async fn every_version_deletes_by_name() {
    let (_node, client) = Node::client().await;
    for version in versions::<DeleteTopicsRequest>() {
        let name = format!("gone-in-{version}");
        client.create(&name, 2).await;
        client.send(&name, 0, &Batch::of(["x"])).await;
        let mut request = DeleteTopicsRequest { timeout_ms: 30_000, ..Default::default() };
        match version >= ONE_BY_ONE {
            true => request.topics = vec![named(&name)],
            false => request.topic_names = vec![name.as_str().into()],
        }
        let response = client.call(version, &request).await;
        assert_eq!(codes(&response.responses), [ErrorCode::None], "v{version}");
        assert_eq!(response.responses[0].name.as_deref(), Some(&*name));
        let unknown = ErrorCode::UnknownTopicOrPartition;
        client.refused(&name, &Batch::of(["x"]).build(), unknown).await;
        assert_eq!(error(client.fetch(&name, 0, 0).await.error_code), unknown);
        // What is gone can't be deleted again.
        let response = client.call(version, &request).await;
        assert_eq!(codes(&response.responses), [unknown], "v{version}");
    }
}

#[tokio::test]
async fn a_topic_is_deleted_by_id() {
    let (_node, client) = Node::client().await;
    let id = client.create("orders", 1).await;
    let results = delete(&client, vec![by_id(id)]).await;
    assert_eq!(codes(&results), [ErrorCode::None]);
    assert_eq!((results[0].name.as_deref(), results[0].topic_id), (Some("orders"), id));
    let results = delete(&client, vec![by_id(id)]).await;
    assert_eq!(codes(&results), [ErrorCode::UnknownTopicId]);
    assert_eq!((&results[0].name, results[0].topic_id), (&None, id));
}

#[tokio::test]
async fn a_topic_that_is_made_again_is_another_one() {
    let (node, client) = Node::client().await;
    let first = client.create("orders", 1).await;
    for n in 0..3 {
        client.send("orders", 0, &Batch::of([n.to_string()])).await;
    }
    client.delete("orders").await;
    let second = client.create("orders", 1).await;
    assert_ne!(first, second);
    assert_eq!((client.start("orders", 0).await, client.end("orders", 0).await), (0, 0));
    assert_eq!(client.send("orders", 0, &Batch::of(["new"])).await, 0);
    assert_eq!(client.read("orders", 0, 0).await, ["new"]);
    // Whoever still has the old id is told, and reads nothing of the new topic.
    let mut request = fetch_request("", 0, 0);
    request.topics[0].topic_id = first;
    let data = partition_of(client.ask(&request).await);
    assert_eq!(error(data.error_code), ErrorCode::UnknownTopicId);
    drop((node, client));
}

#[tokio::test]
async fn a_deleted_topic_stays_deleted_and_its_successor_stays() {
    let (mut node, client) = Node::client().await;
    client.create("gone", 1).await;
    client.create("again", 1).await;
    for topic in ["gone", "again"] {
        client.send(topic, 0, &Batch::of(["old"])).await;
        client.delete(topic).await;
    }
    let id = client.create("again", 1).await;
    client.send("again", 0, &Batch::of(["new"])).await;
    drop(client);
    for dropped in [true, false] {
        let client = if dropped { node.drop_and_restart().await } else { node.restart().await };
        assert_eq!(client.read("again", 0, 0).await, ["new"]);
        let mut request = fetch_request("", 0, 0);
        request.topics[0].topic_id = id;
        assert_eq!(partition_of(client.ask(&request).await).error_code, 0);
        let gone = client.fetch("gone", 0, 0).await;
        assert_eq!(error(gone.error_code), ErrorCode::UnknownTopicOrPartition);
    }
}

#[tokio::test]
async fn the_files_go() {
    let (node, client) = Node::client().await;
    client.create_with("orders", 2, &[("file.delete.delay.ms", "0")]).await;
    client.send("orders", 1, &Batch::noise(10_000)).await;
    client.delete("orders").await;
    eventually("the directories of the topic are removed", async || {
        let entries = std::fs::read_dir(node.log_dir()).unwrap();
        let left = entries.filter(|entry| {
            entry.as_ref().unwrap().file_name().to_string_lossy().contains("orders")
        });
        (left.count() == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused_one_by_one() {
    let (_node, client) = Node::client().await;
    let id = client.create("orders", 1).await;
    let other = client.create("bills", 1).await;
    let both = DeleteTopicState { topic_id: other, ..named("bills") };
    let results = delete(
        &client,
        vec![DeleteTopicState::default(), both, named("none"), by_id(uuid::Uuid::new_v4())],
    )
    .await;
    assert_eq!(
        codes(&results),
        [
            ErrorCode::InvalidRequest,
            ErrorCode::InvalidRequest,
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::UnknownTopicId,
        ]
    );
    // Named twice, in whatever way: nobody knows what was meant.
    for topics in [vec![named("orders"), named("orders")], vec![named("orders"), by_id(id)]] {
        let results = delete(&client, topics).await;
        assert!(codes(&results).iter().all(|code| *code == ErrorCode::InvalidRequest));
    }
    assert_eq!(client.send("orders", 0, &Batch::of(["still there"])).await, 0);
    assert_eq!(codes(&delete(&client, vec![named("bills"), by_id(id)]).await).len(), 2);
}

#[tokio::test]
async fn deletion_can_be_switched_off() {
    let node = Node::with(&["delete.topic.enable=false"]).await;
    let client = node.connect().await;
    client.create("orders", 1).await;
    let results = delete(&client, vec![named("orders")]).await;
    assert_eq!(codes(&results), [ErrorCode::TopicDeletionDisabled]);
    client.send("orders", 0, &Batch::of(["x"])).await;
}

#[tokio::test]
async fn the_brokers_own_log_is_not_for_clients() {
    let (_node, client) = Node::client().await;
    let metadata = duramen_protocol::ids::METADATA_TOPIC_ID;
    let results = delete(&client, vec![named("__cluster_metadata"), by_id(metadata)]).await;
    assert_eq!(codes(&results), [ErrorCode::UnknownTopicOrPartition, ErrorCode::UnknownTopicId]);
    client.create("orders", 1).await;
}
