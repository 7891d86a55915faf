//! ConsumerGroupDescribe.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::ConsumerGroupDescribeRequest;

use crate::consumer_group_heartbeat::enter;
use crate::support::client::{error, versions};
use crate::support::groups::{GROUP, TOPIC, coordinator};

#[tokio::test]
async fn every_version_tells_of_a_group_and_of_one_that_is_not_there() {
    let (_node, client) = coordinator().await;
    client.ask(&enter("reader")).await;
    let request = ConsumerGroupDescribeRequest {
        group_ids: vec![GROUP.into(), "nothing".into()],
        include_authorized_operations: true,
    };
    for version in versions::<ConsumerGroupDescribeRequest>() {
        let answer = client.call(version, &request).await;
        let [group, absent] = answer.groups.as_slice() else { panic!("{answer:?}") };
        assert_eq!((group.error_code, &*group.group_state), (0, "Stable"), "v{version}");
        assert_eq!((group.group_epoch, group.assignment_epoch), (1, 1));
        assert_eq!(group.assignor_name, "uniform");
        assert!(group.authorized_operations > 0);
        let member = &group.members[0];
        assert_eq!(member.member_type, if version >= 1 { 1 } else { -1 });
        assert_eq!(member.assignment.topic_partitions[0].topic_name, TOPIC);
        assert_eq!(member.assignment, member.target_assignment);
        assert_eq!(error(absent.error_code), ErrorCode::GroupIdNotFound);
    }
}
