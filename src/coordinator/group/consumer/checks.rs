//! PURE. What a heartbeat must be before the group is looked at, as Kafka checks it.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::ConsumerGroupHeartbeatRequest;
use duramen_protocol::text::Text;

use super::{AssignorKind, Refusal};
use crate::coordinator::command::{ConsumerBeat, Limits};

/// A member joins.
pub(crate) const JOIN: i32 = 0;
/// A static member leaves, and will be back; -1 is to leave for good.
pub(super) const LEAVE_FOR_A_WHILE: i32 = -2;

/// First version in which clients make their member ids (KIP-1082).
const CLIENT_MADE_ID_VERSION: i16 = 1;

/// Whether a heartbeat is one that a group can look at.
pub(crate) fn check(beat: &ConsumerBeat, limits: &Limits) -> Result<(), Refusal> {
    let request = &beat.request;
    let epoch = request.member_epoch;
    let joins = epoch == JOIN;
    let empty = |text: &Option<Text>| text.as_ref().is_some_and(|text| text.is_empty());
    let names_itself = !joins || beat.version >= CLIENT_MADE_ID_VERSION;
    let wrong = if request.group_id.is_empty() {
        Some("GroupId can't be empty.")
    } else if names_itself && request.member_id.is_empty() {
        Some("MemberId can't be empty.")
    } else if empty(&request.instance_id) {
        Some("InstanceId can't be empty.")
    } else if empty(&request.rack_id) {
        Some("RackId can't be empty.")
    } else if epoch < LEAVE_FOR_A_WHILE {
        Some("MemberEpoch is invalid.")
    } else if epoch == LEAVE_FOR_A_WHILE && request.instance_id.is_none() {
        Some("InstanceId can't be null.")
    } else if joins {
        wrong_of_join(request)
    } else {
        None
    };
    if let Some(wrong) = wrong {
        return Err(Refusal::new(ErrorCode::InvalidRequest, wrong));
    }
    check_assignor(request, limits)
}

fn wrong_of_join(request: &ConsumerGroupHeartbeatRequest) -> Option<&'static str> {
    if request.rebalance_timeout_ms == -1 {
        Some("RebalanceTimeoutMs must be provided in first request.")
    } else if request.topic_partitions.as_ref().is_none_or(|owned| !owned.is_empty()) {
        Some("TopicPartitions must be empty when (re-)joining.")
    } else if request.subscribed_topic_names.is_none() && request.subscribed_topic_regex.is_none() {
        Some(
            "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.",
        )
    } else {
        None
    }
}

fn check_assignor(request: &ConsumerGroupHeartbeatRequest, limits: &Limits) -> Result<(), Refusal> {
    let Some(name) = &request.server_assignor else { return Ok(()) };
    let served = limits.consumer.assignors.iter().flatten();
    if AssignorKind::from_name(name).is_some_and(|kind| served.clone().any(|it| *it == kind)) {
        return Ok(());
    }
    let names: Vec<&str> = served.map(|kind| kind.name()).collect();
    let message = format!(
        "ServerAssignor {name} is not supported. Supported assignors: {}.",
        names.join(", ")
    );
    Err(Refusal::new(ErrorCode::UnsupportedAssignor, message))
}
