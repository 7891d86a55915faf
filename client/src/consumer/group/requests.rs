//! The requests of a member of a classic group, and how their answers are read.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use duramen_protocol::consumer_protocol::PROTOCOL_TYPE;
use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::HeartbeatRequest;
use duramen_protocol::messages::join_group::{
    JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse,
};
use duramen_protocol::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use duramen_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};
use duramen_protocol::text::Text;

use super::assignor::Candidate;
use super::blobs::{read_assignment, read_subscription, write_assignment, write_subscription};
use super::member::{Assignments, JoinAnswer, Joined, Parts};
use super::{Assignor, GroupOptions, Subscription};
use crate::cluster::Topics;
use crate::coordinator::{Coordinator, How};
use crate::error::ClientError;

/// From this version on a member can leave under several names.
const LEAVE_MEMBERS_SINCE: i16 = 3;
/// A rebalance may take its whole time, and the answer some more.
const GRACE: std::time::Duration = std::time::Duration::from_secs(5);

/// A member's place in a generation.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) member_id: Text,
    pub(super) generation: i32,
}

/// Milliseconds of the protocol.
pub(super) fn ms(duration: std::time::Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

/// The names of the topics that a member wants now.
pub(super) async fn topics(
    coordinator: &Coordinator,
    subscription: &Subscription,
) -> Result<Vec<Text>, ClientError> {
    let Some(pattern) = subscription.pattern() else { return Ok(subscription.names().to_vec()) };
    let answer = coordinator.cluster().fetch_metadata(Topics::All).await?;
    let there =
        answer.topics.into_iter().filter(|topic| topic.error_code == 0 && !topic.is_internal);
    let mut names: Vec<Text> =
        there.filter_map(|topic| topic.name).filter(|name| pattern.matches(name)).collect();
    names.sort_unstable();
    Ok(names)
}

/// JoinGroup: waits until the group has gathered.
pub(super) async fn join(
    coordinator: &Coordinator,
    options: &GroupOptions,
    topics: &[Text],
    place: Place,
    (owned, last): (Parts, &(Parts, i32)),
) -> Result<JoinAnswer, ClientError> {
    // What an eager member had it has given back.
    let owned = if options.is_cooperative() { owned } else { Parts::new() };
    let protocols = options
        .assignors
        .iter()
        .map(|assignor| {
            let owned = (&owned, place.generation);
            let metadata = write_subscription(*assignor, topics, owned, last)?;
            Ok(JoinGroupRequestProtocol { name: assignor.name().into(), metadata })
        })
        .collect::<Result<Vec<_>, ClientError>>()?;
    let how = How { patience: options.max_poll_interval + GRACE, ..How::OWN };
    let reason = (place.generation >= 0).then(|| Text::from("the group rebalances"));
    let answer = coordinator
        .call(how, |_| {
            Ok(JoinGroupRequest {
                group_id: options.group.clone(),
                session_timeout_ms: ms(options.session_timeout),
                rebalance_timeout_ms: ms(options.max_poll_interval),
                member_id: place.member_id,
                group_instance_id: options.instance.clone(),
                protocol_type: PROTOCOL_TYPE.into(),
                protocols,
                reason,
            })
        })
        .await?;
    if answer.error_code == ErrorCode::MemberIdRequired.code() {
        return Ok(JoinAnswer::Id(answer.member_id));
    }
    coordinator.check(answer.error_code, None)?;
    Ok(JoinAnswer::Member(joined(answer)))
}

fn joined(answer: JoinGroupResponse) -> Joined {
    Joined {
        leads: answer.leader == answer.member_id,
        member_id: answer.member_id,
        generation: answer.generation_id,
        protocol: answer.protocol_name.unwrap_or_default(),
        skip_assignment: answer.skip_assignment,
        members: answer
            .members
            .into_iter()
            .map(|member| (member.member_id, member.group_instance_id, member.metadata))
            .collect(),
    }
}

/// How many partitions each topic has.
pub(super) type Counts = BTreeMap<Text, i32>;

/// Shares the partitions out among the members.
pub(super) async fn lead(
    coordinator: &Coordinator,
    joined: &Joined,
) -> Result<(Assignments, Counts), ClientError> {
    let assignor = Assignor::named(&joined.protocol).ok_or_else(|| {
        let words = format!("this client does not know the assignor {}", joined.protocol);
        coordinator.refused(ErrorCode::InconsistentGroupProtocol, Some(words.into()))
    })?;
    let candidates: Vec<Candidate> =
        joined.members.iter().map(|member| candidate(assignor, member)).collect();
    let topics: BTreeSet<Text> =
        candidates.iter().flat_map(|candidate| candidate.topics.iter().cloned()).collect();
    let counts = count(coordinator, topics.into_iter().collect()).await?;
    let shares = assignor.assign(&candidates, &counts);
    let shares = shares
        .into_iter()
        .map(|(member, share)| Ok((member, write_assignment(&share)?)))
        .collect::<Result<Assignments, ClientError>>()?;
    Ok((shares, counts))
}

/// What a member says of itself. One that says nothing that can be read gets nothing, and does not hold
/// up the others.
fn candidate(
    assignor: Assignor,
    (member, instance, blob): &(Text, Option<Text>, Bytes),
) -> Candidate {
    read_subscription(assignor, member, instance.as_ref(), blob).unwrap_or_else(|error| {
        tracing::warn!(%member, %error, "a member is left out");
        Candidate {
            member_id: member.clone(),
            instance_id: instance.clone(),
            topics: Vec::new(),
            owned: Vec::new(),
            generation: -1,
        }
    })
}

/// Asks how many partitions topics have; those that do not exist, or may not be seen, have none.
pub(super) async fn count(
    coordinator: &Coordinator,
    topics: Vec<Text>,
) -> Result<Counts, ClientError> {
    let answer = coordinator.cluster().fetch_metadata(Topics::Named(&topics)).await?;
    let mut counts = Counts::new();
    for topic in answer.topics {
        let name = topic.name.unwrap_or_default();
        match ErrorCode::from_code(topic.error_code) {
            ErrorCode::None => {
                let partitions = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
                counts.insert(name, partitions);
            }
            code if code.is_retriable() && code != ErrorCode::UnknownTopicOrPartition => {
                return Err(ClientError::refused(format!("topic {name}"), code, None));
            }
            code => {
                tracing::debug!(topic = %name, code = code.name(), "a topic has nothing to read");
                counts.insert(name, 0);
            }
        }
    }
    Ok(counts)
}

/// SyncGroup: gives the leader's shares, and gets the member's own.
pub(super) async fn sync(
    coordinator: &Coordinator,
    options: &GroupOptions,
    place: Place,
    protocol: Text,
    shares: Assignments,
) -> Result<Parts, ClientError> {
    // A follower waits for the leader.
    let how = How { patience: options.max_poll_interval + GRACE, ..How::OWN };
    let answer = coordinator
        .call(how, |_| {
            Ok(SyncGroupRequest {
                group_id: options.group.clone(),
                generation_id: place.generation,
                member_id: place.member_id,
                group_instance_id: options.instance.clone(),
                protocol_type: Some(PROTOCOL_TYPE.into()),
                protocol_name: Some(protocol),
                assignments: shares
                    .into_iter()
                    .map(|(member_id, assignment)| SyncGroupRequestAssignment {
                        member_id,
                        assignment,
                    })
                    .collect(),
            })
        })
        .await?;
    coordinator.check(answer.error_code, None)?;
    read_assignment(&answer.assignment)
}

/// Heartbeat.
pub(super) async fn beat(
    coordinator: &Coordinator,
    options: &GroupOptions,
    place: Place,
) -> Result<(), ClientError> {
    let request = HeartbeatRequest {
        group_id: options.group.clone(),
        generation_id: place.generation,
        member_id: place.member_id,
        group_instance_id: options.instance.clone(),
    };
    let answer = coordinator.call(How::OWN, |_| Ok(request)).await?;
    coordinator.check(answer.error_code, None)
}

/// LeaveGroup.
pub(super) async fn leave(
    coordinator: &Coordinator,
    options: &GroupOptions,
    member_id: Text,
) -> Result<(), ClientError> {
    let answer = coordinator
        .call(How::SHARED, |version| {
            let several = version >= LEAVE_MEMBERS_SINCE;
            let identity = MemberIdentity {
                member_id: member_id.clone(),
                group_instance_id: options.instance.clone(),
                reason: Some("the consumer was closed".into()),
            };
            Ok(LeaveGroupRequest {
                group_id: options.group.clone(),
                member_id: if several { Text::EMPTY } else { member_id },
                members: if several { vec![identity] } else { Vec::new() },
            })
        })
        .await?;
    coordinator.check(answer.error_code, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_talks_nonsense_gets_nothing_and_stops_nobody() {
        let nothing = (Parts::new(), -1);
        let blob = write_subscription(Assignor::Range, &["t".into()], (&nothing.0, -1), &nothing);
        let members = [
            (Text::from("sound"), None, blob.unwrap()),
            (Text::from("broken"), Some(Text::from("i")), Bytes::from_static(b"\0\x03\x7f")),
        ];
        let candidates: Vec<Candidate> =
            members.iter().map(|member| candidate(Assignor::Range, member)).collect();
        let shares = Assignor::Range.assign(&candidates, &[("t".into(), 2)].into());
        assert_eq!(shares.get("sound").map(Vec::len), Some(2));
        assert_eq!(shares.get("broken").map(Vec::len), Some(0));
    }
}
