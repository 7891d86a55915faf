//! Groups over restarts of the broker, and the topic that they are kept in.

use duramen_protocol::error::ErrorCode;

use crate::support::client::error;
use crate::support::groups::{
    GROUP, Member, TOPIC, commit_request, coordinator, coordinator_with, join_request, sync_request,
};
use crate::support::{Batch, eventually};

const OFFSETS_TOPIC: &str = "__consumer_offsets";

#[tokio::test]
async fn members_and_offsets_are_there_again_after_a_restart() {
    let (mut node, client) = coordinator().await;
    let member = client.member().await;
    assert_eq!(client.commit(Some(&member), 0, 5).await, ErrorCode::None);
    let client = node.restart().await;
    client.find_coordinator().await;
    assert_eq!(client.heartbeat(&member).await, ErrorCode::None);
    let synced = client.ask(&sync_request(&member, &[])).await;
    assert_eq!((synced.error_code, &*synced.assignment), (0, &b"everything"[..]));
    assert_eq!(client.committed(0).await, 5);
    let late = Member { generation: member.generation - 1, ..member.clone() };
    assert_eq!(client.commit(Some(&late), 0, 4).await, ErrorCode::IllegalGeneration);
    assert_eq!(client.commit(Some(&member), 0, 6).await, ErrorCode::None);
}

#[tokio::test]
async fn a_broker_dropped_in_a_rebalance_comes_back_with_the_generation_before() {
    let (mut node, client) = coordinator().await;
    let member = client.member().await;
    assert_eq!(client.commit(Some(&member), 0, 5).await, ErrorCode::None);
    let newcomer = node.connect().await;
    let waiting = tokio::spawn(async move {
        let request = join_request("");
        let _ = newcomer.connection.call_version(2, &request, crate::support::PATIENCE).await;
    });
    eventually("the rebalance has begun", async || {
        (client.heartbeat(&member).await == ErrorCode::RebalanceInProgress).then_some(())
    })
    .await;
    let client = node.drop_and_restart().await;
    waiting.await.unwrap();
    client.find_coordinator().await;
    assert_eq!(client.heartbeat(&member).await, ErrorCode::None);
    assert_eq!(client.committed(0).await, 5);
    assert_eq!(client.join(&member.id).await.generation_id, member.generation + 1);
}

#[tokio::test]
async fn what_was_answered_is_there_when_a_broker_is_dropped_in_the_middle_of_commits() {
    let (mut node, client) = coordinator().await;
    for round in 0..5_i64 {
        // More than are committed in a round, however late it is looked at.
        let first = round * 1_000_000;
        let committer = node.connect().await;
        let committing = tokio::spawn(async move {
            let mut answered = -1;
            for offset in first.. {
                let request = commit_request(None, &[(0, offset)]);
                let called =
                    committer.connection.call_version(9, &request, crate::support::PATIENCE);
                match called.await {
                    Ok(answer) if answer.topics[0].partitions[0].error_code == 0 => {
                        answered = offset
                    }
                    _ => break,
                }
            }
            answered
        });
        eventually("some are committed", async || {
            (client_of(&node).await.committed(0).await >= first + 20).then_some(())
        })
        .await;
        let client = node.drop_and_restart().await;
        client.find_coordinator().await;
        let answered = committing.await.unwrap();
        let kept = client.committed(0).await;
        // One more may have been written without its answer.
        assert!((answered..=answered + 1).contains(&kept), "{kept} for {answered}");
    }
    drop(client);
}

async fn client_of(node: &crate::support::Node) -> crate::support::Client {
    node.connect().await
}

#[tokio::test]
async fn a_topic_that_goes_takes_its_offsets_along() {
    let (mut node, client) = coordinator().await;
    client.create("other", 1).await;
    client.call(9, &commit_request(None, &[(0, 5)])).await;
    let mut other = commit_request(None, &[(0, 6)]);
    other.topics[0].name = "other".into();
    client.call(9, &other).await;
    client.delete(TOPIC).await;
    eventually("its offsets go", async || {
        let group = client.offsets(None).await;
        (group.topics.len() == 1 && group.topics[0].name == "other").then_some(())
    })
    .await;
    // Another topic of the same name begins anew, after a restart too.
    client.create(TOPIC, 4).await;
    assert_eq!(client.committed(0).await, -1);
    let client = node.restart().await;
    client.find_coordinator().await;
    assert_eq!(client.committed(0).await, -1);
    assert_eq!(client.offsets(None).await.topics.len(), 1);
}

#[tokio::test]
async fn clients_may_read_the_topic_and_not_write_to_it() {
    let (_node, client) = coordinator_with(&["offsets.topic.num.partitions=1"]).await;
    client.commit(None, 0, 5).await;
    let records = Batch::keyed(&[("forged", Some("offset"))]).build();
    client.refused(OFFSETS_TOPIC, &records, ErrorCode::InvalidTopicException).await;
    assert_eq!(client.end(OFFSETS_TOPIC, 0).await, 1);
    assert!(client.fetch(OFFSETS_TOPIC, 0, 0).await.records.is_some());
}

#[tokio::test]
async fn commits_are_answered_with_the_durability_that_the_topic_has() {
    let (mut node, client) = coordinator_with(&["log.durability=page-cache"]).await;
    for offset in 0..50 {
        assert_eq!(client.commit(None, 0, offset).await, ErrorCode::None);
    }
    let client = node.drop_and_restart().await;
    client.find_coordinator().await;
    assert_eq!(client.committed(0).await, 49, "the process died, not the machine");
    assert_eq!(error(0), ErrorCode::None);
    assert_eq!(GROUP, "payment-service");
}
