//! A member of a classic group that does what it is told and nothing by itself, over a connection of its
//! own: to measure a coordinator, and to try it. Who wants to read takes a [`GroupConsumer`].
//!
//! [`GroupConsumer`]: super::GroupConsumer

use std::time::Duration;

use duramen_protocol::consumer_protocol::{ConsumerProtocolSubscription, PROTOCOL_TYPE};
use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::join_group::JoinGroupRequestProtocol;
use duramen_protocol::messages::leave_group::MemberIdentity;
use duramen_protocol::messages::offset_commit::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use duramen_protocol::messages::sync_group::SyncGroupRequestAssignment;
use duramen_protocol::messages::{
    HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, OffsetCommitRequest,
    Request, SyncGroupRequest,
};
use duramen_protocol::text::Text;
use tokio::time::sleep;

use super::requests::ms;
use crate::cluster::Cluster;
use crate::connection::Connection;
use crate::consumer::TopicPartition;
use crate::coordinator::find;
use crate::error::ClientError;

/// The newest version of OffsetCommit that names topics by name.
const COMMIT: i16 = 9;
/// The wait while a coordinator loads.
const LOADING: Duration = Duration::from_millis(50);

/// See the top of the file. It has no topics, and gives every member an empty share when it leads.
#[derive(Debug)]
pub struct BareMember {
    connection: Connection,
    group: Text,
    session: Duration,
    id: Text,
    generation: i32,
}

/// What a member was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MemberStanding {
    /// All is well.
    Stable,
    /// The group gathers anew, or has forgotten the member: it is to [`BareMember::join`].
    Called,
}

impl BareMember {
    /// Connects to the group's coordinator. `session` is how long the member may be silent, and how long
    /// it has to join again when it is called.
    ///
    /// # Errors
    /// When no coordinator is found or it can't be reached.
    pub async fn connect(
        cluster: &Cluster,
        group: &Text,
        session: Duration,
    ) -> Result<Self, ClientError> {
        let node = cluster
            .retrying("find the coordinator", || async {
                let found = find::find(cluster, std::slice::from_ref(group)).await?;
                let missing = ClientError::Incomplete("FindCoordinator");
                found.into_values().next().unwrap_or(Err(missing))
            })
            .await?;
        let connection = cluster.dedicated(node).await?;
        Ok(Self { connection, group: group.clone(), session, id: Text::EMPTY, generation: -1 })
    }

    /// The group's id.
    #[must_use]
    pub fn group(&self) -> &Text {
        &self.group
    }

    /// Joins and syncs until it has its part; each request waits for the others of the group.
    ///
    /// # Errors
    /// When the coordinator does not answer, or refuses for good.
    pub async fn join(&mut self) -> Result<(), ClientError> {
        loop {
            let joined = self.call(i16::MAX, &self.join_request()?).await?;
            self.id = joined.member_id.clone();
            if self.standing(joined.error_code).await? == MemberStanding::Called {
                continue;
            }
            self.generation = joined.generation_id;
            let synced = self.call(i16::MAX, &self.sync_request(&joined)).await?;
            if self.standing(synced.error_code).await? == MemberStanding::Stable {
                return Ok(());
            }
        }
    }

    /// Says that it is alive.
    ///
    /// # Errors
    /// As [`BareMember::join`].
    pub async fn heartbeat(&mut self) -> Result<MemberStanding, ClientError> {
        let request = HeartbeatRequest {
            group_id: self.group.clone(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            ..HeartbeatRequest::default()
        };
        let answer = self.call(i16::MAX, &request).await?;
        self.standing(answer.error_code).await
    }

    /// Commits an offset of one partition.
    ///
    /// # Errors
    /// When the coordinator does not answer, or refuses.
    pub async fn commit(&self, at: &TopicPartition, offset: i64) -> Result<(), ClientError> {
        let partition = OffsetCommitRequestPartition {
            partition_index: at.partition,
            committed_offset: offset,
            ..OffsetCommitRequestPartition::default()
        };
        let topic = OffsetCommitRequestTopic {
            name: at.topic.clone(),
            partitions: vec![partition],
            ..OffsetCommitRequestTopic::default()
        };
        let request = OffsetCommitRequest {
            group_id: self.group.clone(),
            generation_id_or_member_epoch: self.generation,
            member_id: self.id.clone(),
            topics: vec![topic],
            ..OffsetCommitRequest::default()
        };
        let answer = self.call(COMMIT, &request).await?;
        let first = answer.topics.first().and_then(|topic| topic.partitions.first());
        self.check(first.ok_or(ClientError::Incomplete("OffsetCommit"))?.error_code)
    }

    /// Leaves, so that whoever looks at the group next does not find it.
    ///
    /// # Errors
    /// When the coordinator does not answer, or refuses.
    pub async fn leave(self) -> Result<(), ClientError> {
        let member = MemberIdentity { member_id: self.id.clone(), ..MemberIdentity::default() };
        let request = LeaveGroupRequest {
            group_id: self.group.clone(),
            members: vec![member],
            ..LeaveGroupRequest::default()
        };
        self.check(self.call(i16::MAX, &request).await?.error_code)
    }

    fn join_request(&self) -> Result<JoinGroupRequest, ClientError> {
        let metadata = ConsumerProtocolSubscription::default()
            .to_bytes(0)
            .map_err(|_| ClientError::Incomplete("ConsumerProtocolSubscription"))?;
        Ok(JoinGroupRequest {
            group_id: self.group.clone(),
            session_timeout_ms: ms(self.session),
            rebalance_timeout_ms: ms(self.session),
            member_id: self.id.clone(),
            protocol_type: PROTOCOL_TYPE.into(),
            protocols: vec![JoinGroupRequestProtocol { name: "range".into(), metadata }],
            ..JoinGroupRequest::default()
        })
    }

    fn sync_request(&self, joined: &JoinGroupResponse) -> SyncGroupRequest {
        // What is assigned does not matter here, only that it is.
        let assign = |id: &Text| SyncGroupRequestAssignment {
            member_id: id.clone(),
            assignment: vec![0; 40].into(),
        };
        SyncGroupRequest {
            group_id: self.group.clone(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            protocol_type: joined.protocol_type.clone(),
            protocol_name: joined.protocol_name.clone(),
            assignments: joined.members.iter().map(|member| assign(&member.member_id)).collect(),
            ..SyncGroupRequest::default()
        }
    }

    /// What a code says; it waits where that makes sense.
    async fn standing(&mut self, code: i16) -> Result<MemberStanding, ClientError> {
        match ErrorCode::from_code(code) {
            ErrorCode::None => return Ok(MemberStanding::Stable),
            ErrorCode::MemberIdRequired
            | ErrorCode::RebalanceInProgress
            | ErrorCode::IllegalGeneration => {}
            ErrorCode::UnknownMemberId => self.id = Text::EMPTY,
            ErrorCode::CoordinatorLoadInProgress | ErrorCode::CoordinatorNotAvailable => {
                sleep(LOADING).await;
            }
            _ => self.check(code)?,
        }
        Ok(MemberStanding::Called)
    }

    fn check(&self, code: i16) -> Result<(), ClientError> {
        match ErrorCode::from_code(code) {
            ErrorCode::None => Ok(()),
            code => Err(find::refused(&self.group, code, None)),
        }
    }

    /// Sends a request in a version up to `cap`; a rebalance may take its whole time, and then some.
    async fn call<R: Request>(&self, cap: i16, request: &R) -> Result<R::Response, ClientError> {
        let version = self.connection.version_of::<R>(cap)?;
        Ok(self.connection.call_version(version, request, self.session * 3).await?)
    }
}
