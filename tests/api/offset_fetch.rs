//! OffsetFetch.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::OffsetFetchRequest;
use duramen_protocol::messages::offset_fetch::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};

use crate::support::Node;
use crate::support::client::{error, versions};
use crate::support::groups::{GROUP, TOPIC, commit_request, coordinator};

fn one_group(partitions: &[i32]) -> OffsetFetchRequest {
    let topic =
        OffsetFetchRequestTopic { name: TOPIC.into(), partition_indexes: partitions.to_vec() };
    OffsetFetchRequest {
        group_id: GROUP.into(),
        topics: Some(vec![topic]),
        ..OffsetFetchRequest::default()
    }
}

#[tokio::test]
async fn every_version_tells_what_was_committed() {
    let (_node, client) = coordinator().await;
    let id = client.topic_id(TOPIC).await;
    let mut commit = commit_request(None, &[(1, 17)]);
    commit.topics[0].partitions[0].committed_leader_epoch = 3;
    client.call(9, &commit).await;
    for version in versions::<OffsetFetchRequest>() {
        if version < 8 {
            let response = client.call(version, &one_group(&[1, 2])).await;
            let partitions = &response.topics[0].partitions;
            assert_eq!((partitions[0].committed_offset, partitions[1].committed_offset), (17, -1));
            assert_eq!(partitions[0].metadata.as_deref(), Some("note"));
            assert_eq!(partitions[0].committed_leader_epoch, if version >= 5 { 3 } else { -1 });
            continue;
        }
        let topic = OffsetFetchRequestTopics {
            name: if version < 10 { TOPIC.into() } else { "".into() },
            topic_id: if version < 10 { uuid::Uuid::nil() } else { id },
            partition_indexes: vec![1, 2],
        };
        let group = |name: &str, topics| OffsetFetchRequestGroup {
            group_id: name.into(),
            topics,
            ..OffsetFetchRequestGroup::default()
        };
        let groups =
            vec![group(GROUP, Some(vec![topic])), group(GROUP, None), group("stranger", None)];
        let request = OffsetFetchRequest { groups, require_stable: true, ..Default::default() };
        let response = client.call(version, &request).await;
        let [asked, all, stranger] = &response.groups[..] else { panic!("{response:?}") };
        let offsets: Vec<_> =
            asked.topics[0].partitions.iter().map(|it| it.committed_offset).collect();
        assert_eq!(offsets, [17, -1], "v{version}");
        assert_eq!((all.topics.len(), all.topics[0].partitions.len()), (1, 1));
        assert_eq!(all.topics[0].topic_id, if version < 10 { uuid::Uuid::nil() } else { id });
        assert_eq!((stranger.topics.len(), stranger.error_code), (0, 0));
    }
}

#[tokio::test]
async fn without_topics_all_that_was_committed_is_told() {
    let (_node, client) = coordinator().await;
    client.call(9, &commit_request(None, &[(0, 1), (3, 4)])).await;
    let request = OffsetFetchRequest { topics: None, ..one_group(&[]) };
    let response = client.call(2, &request).await;
    let told: Vec<_> = response.topics[0]
        .partitions
        .iter()
        .map(|it| (it.partition_index, it.committed_offset))
        .collect();
    assert_eq!(told, [(0, 1), (3, 4)]);
}

#[tokio::test]
async fn a_topic_id_that_nobody_knows_is_told_so() {
    let (_node, client) = coordinator().await;
    let topic = OffsetFetchRequestTopics {
        topic_id: uuid::Uuid::from_u128(42),
        partition_indexes: vec![5],
        ..OffsetFetchRequestTopics::default()
    };
    let group = OffsetFetchRequestGroup {
        group_id: GROUP.into(),
        topics: Some(vec![topic]),
        ..Default::default()
    };
    let request = OffsetFetchRequest { groups: vec![group], ..Default::default() };
    let response = client.ask(&request).await;
    let partition = &response.groups[0].topics[0].partitions[0];
    assert_eq!(error(partition.error_code), ErrorCode::UnknownTopicId);
    assert_eq!((partition.partition_index, partition.committed_offset), (5, -1));
}

#[tokio::test]
async fn without_a_topic_for_groups_there_is_no_coordinator() {
    let (_node, client) = Node::client().await;
    for version in versions::<OffsetFetchRequest>() {
        if version >= 8 {
            let group = OffsetFetchRequestGroup { group_id: GROUP.into(), ..Default::default() };
            let request = OffsetFetchRequest { groups: vec![group], ..Default::default() };
            let response = client.call(version, &request).await;
            assert_eq!(error(response.groups[0].error_code), ErrorCode::NotCoordinator);
            continue;
        }
        let response = client.call(version, &one_group(&[0])).await;
        match version {
            1 => {
                let code = response.topics[0].partitions[0].error_code;
                assert_eq!(error(code), ErrorCode::NotCoordinator);
            }
            _ => assert_eq!(error(response.error_code), ErrorCode::NotCoordinator),
        }
    }
}
