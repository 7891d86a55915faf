//! OffsetCommit.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::OffsetCommitRequest;

use crate::support::Node;
use crate::support::client::{error, versions};
use crate::support::groups::{BY_NAME, Member, TOPIC, commit_request, coordinator, join_request};

#[tokio::test]
async fn every_version_commits() {
    let (_node, client) = coordinator().await;
    let topic = client.topic_id(TOPIC).await;
    let member = client.member().await;
    for version in versions::<OffsetCommitRequest>() {
        let mut request = commit_request(Some(&member), &[(1, version.into()), (2, 7)]);
        if version > BY_NAME {
            request.topics[0].name = "".into();
            request.topics[0].topic_id = topic;
        }
        let answer = client.call(version, &request).await;
        let codes: Vec<_> =
            answer.topics[0].partitions.iter().map(|it| error(it.error_code)).collect();
        assert_eq!(codes, [ErrorCode::None, ErrorCode::None], "v{version}");
        assert_eq!(client.committed(1).await, i64::from(version));
    }
}

#[tokio::test]
async fn what_is_not_of_this_generation_is_refused() {
    let (node, client) = coordinator().await;
    let nobody = Member { id: "nobody".into(), generation: 1 };
    assert_eq!(client.commit(Some(&nobody), 0, 1).await, ErrorCode::GroupIdNotFound);
    let old = client.call(8, &commit_request(Some(&nobody), &[(0, 1)])).await;
    let code = error(old.topics[0].partitions[0].error_code);
    assert_eq!(code, ErrorCode::IllegalGeneration, "before version 9");

    let member = client.member().await;
    assert_eq!(client.commit(Some(&member), 0, 5).await, ErrorCode::None);
    assert_eq!(client.commit(Some(&nobody), 0, 6).await, ErrorCode::UnknownMemberId);
    assert_eq!(client.commit(None, 0, 6).await, ErrorCode::UnknownMemberId);
    let late = Member { generation: member.generation - 1, ..member.clone() };
    assert_eq!(client.commit(Some(&late), 0, 6).await, ErrorCode::IllegalGeneration);
    // The leader was told its generation and has not assigned.
    let again = client.join(&member.id).await;
    let member = Member { generation: again.generation_id, ..member };
    assert_eq!(client.commit(Some(&member), 0, 6).await, ErrorCode::RebalanceInProgress);
    assert_eq!(client.committed(0).await, 5);
    drop(node);
}

#[tokio::test]
async fn a_static_member_that_was_replaced_is_fenced() {
    let (_node, client) = coordinator().await;
    let mut join = join_request("");
    join.group_instance_id = Some("reader-1".into());
    let first = client.ask(&join).await;
    client.ask(&join).await;
    let first = Member { id: first.member_id, generation: first.generation_id };
    let mut request = commit_request(Some(&first), &[(0, 1)]);
    request.group_instance_id = Some("reader-1".into());
    let answer = client.call(BY_NAME, &request).await;
    let code = error(answer.topics[0].partitions[0].error_code);
    assert_eq!(code, ErrorCode::FencedInstanceId);
}

#[tokio::test]
async fn each_topic_and_partition_has_its_own_outcome_in_its_own_place() {
    let (_node, client) = coordinator().await;
    let mut request = commit_request(None, &[(0, 1), (1, 2)]);
    let known = request.topics[0].clone();
    let mut unknown = known.clone();
    unknown.name = "nowhere".into();
    let mut long = known.clone();
    long.partitions[1].committed_metadata = Some("x".repeat(4097).as_str().into());
    request.topics = vec![unknown, known, long];
    let answer = client.call(BY_NAME, &request).await;
    let codes: Vec<Vec<_>> = answer
        .topics
        .iter()
        .map(|topic| topic.partitions.iter().map(|it| error(it.error_code)).collect())
        .collect();
    let (none, long) = (ErrorCode::None, ErrorCode::OffsetMetadataTooLarge);
    let unknown = ErrorCode::UnknownTopicOrPartition;
    assert_eq!(codes, [[unknown, unknown], [none, none], [none, long]]);
    assert_eq!(answer.topics[0].name, "nowhere");

    let mut request = commit_request(None, &[(0, 9)]);
    request.topics[0].topic_id = uuid::Uuid::from_u128(42);
    let answer = client.ask(&request).await;
    let code = error(answer.topics[0].partitions[0].error_code);
    assert_eq!(code, ErrorCode::UnknownTopicId);
}

#[tokio::test]
async fn what_no_batch_can_hold_is_refused_as_a_whole() {
    let (_node, client) = coordinator().await;
    client.create("wide", 400).await;
    let offsets: Vec<(i32, i64)> = (0..400).map(|partition| (partition, 1)).collect();
    let mut request = commit_request(None, &offsets);
    request.topics[0].name = "wide".into();
    for partition in &mut request.topics[0].partitions {
        partition.committed_metadata = Some("x".repeat(4000).as_str().into());
    }
    let answer = client.call(BY_NAME, &request).await;
    let refused = ErrorCode::InvalidCommitOffsetSize.code();
    assert!(answer.topics[0].partitions.iter().all(|it| it.error_code == refused));
    assert_eq!(client.committed(0).await, -1);
}

#[tokio::test]
async fn commits_that_are_pipelined_are_kept_in_their_order() {
    let (_node, client) = coordinator().await;
    let requests: Vec<_> = (0..200).map(|offset| commit_request(None, &[(0, offset)])).collect();
    let sent = requests.iter().map(|request| client.call(BY_NAME, request));
    let mut sent: Vec<_> = sent.map(Box::pin).collect();
    for answer in &mut sent {
        let answer = answer.await;
        assert_eq!(answer.topics[0].partitions[0].error_code, 0);
    }
    assert_eq!(client.committed(0).await, 199);
}

#[tokio::test]
async fn without_a_topic_for_groups_there_is_no_coordinator() {
    let (_node, client) = Node::client().await;
    client.create(TOPIC, 1).await;
    assert_eq!(client.commit(None, 0, 1).await, ErrorCode::NotCoordinator);
}
