//! Admin calls on two played brokers: what goes where, what is asked again, and what one failing hides
//! (nothing).

use std::sync::{Arc, Mutex};

use duramen_protocol::api::ApiKey;
use duramen_protocol::messages::consumer_group_describe::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, DescribedGroup,
};
use duramen_protocol::messages::delete_records::{
    DeleteRecordsPartitionResult, DeleteRecordsRequest, DeleteRecordsResponse,
    DeleteRecordsTopicResult,
};
use duramen_protocol::messages::describe_groups::{
    DescribeGroupsResponse, DescribedGroup as ClassicGroup,
};
use duramen_protocol::messages::find_coordinator::{
    Coordinator, FindCoordinatorRequest, FindCoordinatorResponse,
};
use duramen_protocol::messages::list_groups::{ListGroupsResponse, ListedGroup as Listed};
use duramen_protocol::messages::metadata::{
    MetadataRequest, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition,
    MetadataResponseTopic,
};

use super::*;
use crate::cluster::ClusterOptions;
use crate::testing::{Answer, Asked, played};

/// Brokers 1 and 2, and the topic `t` with two partitions that `leaders` lead.
fn metadata(asked: &Asked, leaders: [i32; 2]) -> Answer {
    let request: MetadataRequest = asked.read();
    let broker = |id: i32| MetadataResponseBroker {
        node_id: id,
        host: "played".into(),
        port: id,
        ..MetadataResponseBroker::default()
    };
    let partitions = (0..).zip(leaders).map(|(index, leader)| MetadataResponsePartition {
        partition_index: index,
        leader_id: leader,
        ..MetadataResponsePartition::default()
    });
    let partitions: Vec<_> = partitions.collect();
    let topics = request.topics.into_iter().flatten().map(|topic| {
        let known = topic.name.as_deref() == Some("t");
        let code = if known { ErrorCode::None } else { ErrorCode::UnknownTopicOrPartition };
        MetadataResponseTopic {
            error_code: code.code(),
            name: topic.name,
            partitions: if known { partitions.clone() } else { Vec::new() },
            ..MetadataResponseTopic::default()
        }
    });
    asked.answer(&MetadataResponse {
        brokers: vec![broker(1), broker(2)],
        controller_id: 1,
        topics: topics.collect(),
        ..MetadataResponse::default()
    })
}

/// What was asked of which broker, in order.
type Calls = Arc<Mutex<Vec<(u16, ApiKey)>>>;

fn admin(mut play: impl FnMut(u16, &Asked) -> Answer + Send + 'static) -> (Admin, Calls) {
    let calls = Calls::default();
    let noted = Arc::clone(&calls);
    let cluster = played(ClusterOptions::default(), move |broker, asked| {
        noted.lock().unwrap().push((broker, asked.header.api));
        play(broker, asked)
    });
    (Admin::new(&cluster), calls)
}

fn count(calls: &Calls, broker: u16, api: ApiKey) -> usize {
    calls.lock().unwrap().iter().filter(|call| **call == (broker, api)).count()
}

#[tokio::test(start_paused = true)]
async fn each_leader_is_asked_once_and_again_where_it_has_moved() {
    let mut moved = false;
    let (admin, calls) = admin(move |broker, asked| match asked.header.api {
        ApiKey::Metadata => metadata(asked, if moved { [2, 2] } else { [1, 2] }),
        _ => {
            let request: DeleteRecordsRequest = asked.read();
            moved |= broker == 1;
            let code = if broker == 1 { ErrorCode::NotLeaderOrFollower } else { ErrorCode::None };
            let topic = &request.topics[0];
            let partitions = topic.partitions.iter().map(|asked| DeleteRecordsPartitionResult {
                partition_index: asked.partition_index,
                low_watermark: asked.offset,
                error_code: code.code(),
            });
            let partitions = partitions.collect();
            let topics = vec![DeleteRecordsTopicResult { name: topic.name.clone(), partitions }];
            asked.answer(&DeleteRecordsResponse { topics, ..DeleteRecordsResponse::default() })
        }
    });
    let before = [
        RecordsBefore::new("missing", 0, 1),
        RecordsBefore::new("t", 1, 5),
        RecordsBefore::new("t", 0, 6),
        RecordsBefore::new("t", 9, 7),
        RecordsBefore::new("t", 1, 8),
    ];
    let told = admin.delete_records(&before).await.unwrap();
    let about: Vec<_> = told.iter().map(|outcome| outcome.about.clone()).collect();
    assert_eq!(about, before);
    let starts: Vec<_> = told
        .iter()
        .map(|outcome| outcome.result.as_ref().ok().map(|deleted| deleted.log_start_offset))
        .collect();
    assert_eq!(starts, [None, Some(5), Some(6), None, Some(8)]);
    let code = |at: usize| told[at].result.as_ref().unwrap_err().code();
    assert_eq!(code(0), Some(ErrorCode::UnknownTopicOrPartition));
    assert!(matches!(told[3].result, Err(ClientError::NoPartition { partition: 9, count: 2, .. })));
    // a partition that is named twice goes with a second request
    assert_eq!(count(&calls, 1, ApiKey::DeleteRecords), 1);
    assert_eq!(count(&calls, 2, ApiKey::DeleteRecords), 3);
}

#[tokio::test(start_paused = true)]
async fn each_coordinator_is_asked_about_its_groups_together() {
    let mut moved = false;
    let (admin, calls) = admin(move |broker, asked| match asked.header.api {
        ApiKey::Metadata => metadata(asked, [1, 2]),
        ApiKey::FindCoordinator => {
            let request: FindCoordinatorRequest = asked.read();
            let place = |key: &Text| Coordinator {
                key: key.clone(),
                node_id: if key == "b" && !moved { 2 } else { 1 },
                error_code: if key == "x" { ErrorCode::GroupAuthorizationFailed.code() } else { 0 },
                ..Coordinator::default()
            };
            asked.answer(&FindCoordinatorResponse {
                coordinators: request.coordinator_keys.iter().map(place).collect(),
                ..FindCoordinatorResponse::default()
            })
        }
        _ => {
            let request: ConsumerGroupDescribeRequest = asked.read();
            moved |= broker == 2;
            let code = if broker == 2 { ErrorCode::NotCoordinator } else { ErrorCode::None };
            let group = |id: &Text| DescribedGroup {
                error_code: code.code(),
                group_id: id.clone(),
                group_state: "Stable".into(),
                ..DescribedGroup::default()
            };
            asked.answer(&ConsumerGroupDescribeResponse {
                groups: request.group_ids.iter().map(group).collect(),
                ..ConsumerGroupDescribeResponse::default()
            })
        }
    });
    let groups = ["a", "x", "b", "c", "d"].map(Text::from);
    let told = admin.describe_groups(&groups).await.unwrap();
    for (outcome, group) in told.iter().zip(&groups) {
        assert_eq!(outcome.about, *group);
        match &outcome.result {
            Ok(described) => {
                assert_eq!(described.group, *group);
                assert_eq!(described.coordinator.as_ref().map(|broker| broker.id), Some(1));
            }
            Err(error) => {
                assert_eq!(
                    (group.as_str(), error.code()),
                    ("x", Some(ErrorCode::GroupAuthorizationFailed))
                );
            }
        }
    }
    assert_eq!(told.iter().filter(|outcome| outcome.result.is_ok()).count(), 4);
    // `a`, `c` and `d` together, and `b` when it has moved
    assert_eq!(count(&calls, 1, ApiKey::ConsumerGroupDescribe), 2);
    assert_eq!(count(&calls, 2, ApiKey::ConsumerGroupDescribe), 1);
}

#[tokio::test(start_paused = true)]
async fn a_group_that_changes_its_protocol_between_two_questions_is_found() {
    let mut became = false;
    let (admin, calls) = admin(move |_, asked| match asked.header.api {
        ApiKey::Metadata => metadata(asked, [1, 2]),
        ApiKey::FindCoordinator => {
            let key = Text::from("g");
            let coordinator = Coordinator { key, node_id: 1, ..Coordinator::default() };
            asked.answer(&FindCoordinatorResponse {
                coordinators: vec![coordinator],
                ..FindCoordinatorResponse::default()
            })
        }
        ApiKey::DescribeGroups => {
            became = true;
            let (group_id, group_state) = ("g".into(), "Dead".into());
            let gone = ClassicGroup { group_id, group_state, ..ClassicGroup::default() };
            asked.answer(&DescribeGroupsResponse {
                groups: vec![gone],
                ..DescribeGroupsResponse::default()
            })
        }
        _ => {
            let code = if became { ErrorCode::None } else { ErrorCode::GroupIdNotFound };
            let group = DescribedGroup {
                error_code: code.code(),
                group_id: "g".into(),
                group_state: "Stable".into(),
                ..DescribedGroup::default()
            };
            asked.answer(&ConsumerGroupDescribeResponse {
                groups: vec![group],
                ..ConsumerGroupDescribeResponse::default()
            })
        }
    });
    let told = admin.describe_groups(&["g".into()]).await.unwrap();
    let state = told[0].result.as_ref().map(|group| &*group.state);
    assert!(matches!(state, Ok("Stable")), "{state:?}");
    assert_eq!(count(&calls, 1, ApiKey::ConsumerGroupDescribe), 2);
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_does_not_answer_hides_no_other() {
    let (admin, _) = admin(move |broker, asked| match (broker, asked.header.api) {
        (_, ApiKey::Metadata) => metadata(asked, [1, 2]),
        (2, _) => Answer::Close,
        _ => {
            let group = Listed { group_id: "a".into(), ..Listed::default() };
            asked.answer(&ListGroupsResponse {
                groups: vec![group],
                ..ListGroupsResponse::default()
            })
        }
    });
    let listing = admin.list_groups(&[], &[]).await.unwrap();
    assert_eq!(listing.groups.iter().map(|group| group.group.as_str()).collect::<Vec<_>>(), ["a"]);
    let [(broker, error)] = &listing.silent[..] else { panic!("{listing:?}") };
    assert!(*broker == 2 && error.is_retriable(), "{error}");
    assert!(listing.complete().is_err());
}
