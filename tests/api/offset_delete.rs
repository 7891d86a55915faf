//! OffsetDelete.

use duramen_protocol::consumer_protocol::ConsumerProtocolSubscription;
use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
    OffsetDeleteResponse,
};

use crate::support::Node;
use crate::support::client::error;
use crate::support::groups::{GROUP, Member, TOPIC, coordinator, join_request, sync_request};

fn request(topics: &[&str]) -> OffsetDeleteRequest {
    let topic = |name: &&str| OffsetDeleteRequestTopic {
        name: (*name).into(),
        partitions: vec![OffsetDeleteRequestPartition { partition_index: 0 }],
    };
    OffsetDeleteRequest { group_id: GROUP.into(), topics: topics.iter().map(topic).collect() }
}

fn codes(response: &OffsetDeleteResponse) -> Vec<(String, ErrorCode)> {
    let code = |topic: &duramen_protocol::messages::offset_delete::OffsetDeleteResponseTopic| {
        (topic.name.to_string(), error(topic.partitions[0].error_code))
    };
    response.topics.iter().map(code).collect()
}

#[tokio::test]
async fn offsets_are_forgotten_and_stay_so() {
    let (mut node, client) = coordinator().await;
    assert_eq!(client.commit(None, 0, 5).await, ErrorCode::None);
    assert_eq!(client.commit(None, 1, 6).await, ErrorCode::None);
    let response = client.ask(&request(&[TOPIC, "nowhere"])).await;
    assert_eq!(error(response.error_code), ErrorCode::None);
    let expected = [
        (TOPIC.to_owned(), ErrorCode::None),
        ("nowhere".to_owned(), ErrorCode::UnknownTopicOrPartition),
    ];
    assert_eq!(codes(&response), expected);
    assert_eq!((client.committed(0).await, client.committed(1).await), (-1, 6));
    let client = node.restart().await;
    client.find_coordinator().await;
    assert_eq!((client.committed(0).await, client.committed(1).await), (-1, 6));
}

#[tokio::test]
async fn what_members_read_is_not_forgotten_under_their_hands() {
    let (_node, client) = coordinator().await;
    client.create("other", 1).await;
    let topics = vec![TOPIC.into()];
    let wants = ConsumerProtocolSubscription { topics, ..Default::default() };
    let mut join = join_request("");
    join.protocols[0].metadata = wants.to_bytes(1).unwrap();
    let joined = client.call(2, &join).await;
    let member = Member { id: joined.member_id, generation: joined.generation_id };
    client.ask(&sync_request(&member, &[(&member.id, "all")])).await;
    let response = client.ask(&request(&[TOPIC, "other"])).await;
    let expected = [
        (TOPIC.to_owned(), ErrorCode::GroupSubscribedToTopic),
        ("other".to_owned(), ErrorCode::None),
    ];
    assert_eq!(codes(&response), expected);
}

#[tokio::test]
async fn groups_that_are_not_there_or_not_of_consumers_are_refused() {
    let (_node, client) = coordinator().await;
    let response = client.ask(&request(&[TOPIC])).await;
    assert_eq!(error(response.error_code), ErrorCode::GroupIdNotFound);
    let mut join = join_request("");
    join.protocol_type = "connect".into();
    assert_eq!(client.call(2, &join).await.error_code, 0);
    let response = client.ask(&request(&[TOPIC])).await;
    assert_eq!(error(response.error_code), ErrorCode::NonEmptyGroup);
}

#[tokio::test]
async fn without_a_topic_for_groups_there_is_no_coordinator() {
    let (_node, client) = Node::client().await;
    let response = client.ask(&request(&[])).await;
    assert_eq!(error(response.error_code), ErrorCode::NotCoordinator);
}
