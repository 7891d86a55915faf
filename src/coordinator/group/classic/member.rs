//! PURE. A member of a classic group.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use duramen_protocol::group_records::MemberMetadata;
use duramen_protocol::messages::describe_groups::DescribedGroupMember;
use duramen_protocol::messages::join_group::{JoinGroupRequestProtocol, JoinGroupResponseMember};
use duramen_protocol::text::Text;

use crate::coordinator::command::{Join, ReplyTo};
use crate::coordinator::group::millis;

/// A member.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) id: Text,
    /// The name of a static member (KIP-345).
    pub(super) instance_id: Option<Text>,
    pub(super) client_id: Text,
    pub(super) client_host: Text,
    pub(super) rebalance_timeout: Duration,
    pub(super) session_timeout: Duration,
    /// The assignors that it speaks, the best first, and what it has to say to each.
    pub(super) protocols: Vec<(Text, Bytes)>,
    pub(super) assignment: Bytes,
    /// When it is taken for dead.
    pub(super) deadline: Duration,
    /// It has joined and was never told a generation.
    pub(super) is_new: bool,
    /// Its JoinGroup that waits for the generation.
    pub(super) join: Option<ReplyTo>,
    /// Its SyncGroup that waits for the leader's.
    pub(super) sync: Option<ReplyTo>,
    /// It has asked for its assignment of this generation.
    pub(super) synced: bool,
}

impl Member {
    /// A member as its request describes it.
    pub(super) fn new(id: Text, join: &Join) -> Self {
        let mut member = Self {
            id,
            instance_id: join.request.group_instance_id.clone(),
            client_id: join.client_id.clone(),
            client_host: join.client_host.clone(),
            rebalance_timeout: Duration::ZERO,
            session_timeout: Duration::ZERO,
            protocols: Vec::new(),
            assignment: Bytes::new(),
            deadline: Duration::ZERO,
            is_new: true,
            join: None,
            sync: None,
            synced: false,
        };
        member.update(join);
        member
    }

    /// Takes what a newer request says.
    pub(super) fn update(&mut self, join: &Join) {
        self.session_timeout = millis(join.request.session_timeout_ms);
        self.rebalance_timeout = millis(join.rebalance_timeout_ms());
        self.protocols = join.protocols().collect();
    }

    /// The assignors that it speaks; one that it names twice counts once.
    pub(super) fn spoken(&self) -> BTreeSet<&Text> {
        self.protocols.iter().map(|(name, _)| name).collect()
    }

    /// What it has to say to an assignor; nothing when it does not speak it.
    pub(super) fn metadata(&self, protocol: &str) -> Bytes {
        let found = self.protocols.iter().find(|(name, _)| *name == protocol);
        found.map(|(_, metadata)| metadata.clone()).unwrap_or_default()
    }

    /// Whether a request says the same of the assignors.
    pub(super) fn matches(&self, protocols: &[JoinGroupRequestProtocol]) -> bool {
        self.protocols.len() == protocols.len()
            && self
                .protocols
                .iter()
                .zip(protocols)
                .all(|(own, new)| own.0 == new.name && own.1 == new.metadata)
    }

    /// A member without a name lives as long as it is heard of.
    pub(super) fn is_dynamic(&self) -> bool {
        self.instance_id.is_none()
    }

    /// Waits for something that the group owes it, and so can't send heartbeats.
    pub(super) fn is_held(&self) -> bool {
        !self.is_new && (self.join.is_some() || self.sync.is_some())
    }

    /// As the leader sees it.
    pub(super) fn for_leader(&self, protocol: &str) -> JoinGroupResponseMember {
        JoinGroupResponseMember {
            member_id: self.id.clone(),
            group_instance_id: self.instance_id.clone(),
            metadata: self.metadata(protocol),
        }
    }

    /// As DescribeGroups shows it; `protocol` is that of a stable group.
    pub(super) fn describe(&self, protocol: Option<&str>) -> DescribedGroupMember {
        DescribedGroupMember {
            member_id: self.id.clone(),
            group_instance_id: self.instance_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            member_metadata: protocol.map(|name| self.metadata(name)).unwrap_or_default(),
            member_assignment: protocol.map(|_| self.assignment.clone()).unwrap_or_default(),
        }
    }

    /// As it is kept.
    pub(super) fn to_record(&self, protocol: &str, assignment: Bytes) -> MemberMetadata {
        MemberMetadata {
            member_id: self.id.clone(),
            group_instance_id: self.instance_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            rebalance_timeout: as_millis(self.rebalance_timeout),
            session_timeout: as_millis(self.session_timeout),
            subscription: self.metadata(protocol),
            assignment,
        }
    }

    /// As a record tells; what no record holds stays as it is.
    pub(super) fn replay(existing: Option<Self>, record: MemberMetadata, protocol: &Text) -> Self {
        let known = existing.filter(|member| member.metadata(protocol) == record.subscription);
        let session_timeout = millis(record.session_timeout);
        let rebalance_timeout = match record.rebalance_timeout {
            negative if negative < 0 => session_timeout,
            ms => millis(ms),
        };
        let base = known.unwrap_or(Self {
            id: record.member_id.clone(),
            instance_id: None,
            client_id: Text::EMPTY,
            client_host: Text::EMPTY,
            rebalance_timeout,
            session_timeout,
            protocols: vec![(protocol.clone(), record.subscription)],
            assignment: Bytes::new(),
            deadline: Duration::ZERO,
            is_new: false,
            join: None,
            sync: None,
            synced: true,
        });
        Self {
            instance_id: record.group_instance_id,
            client_id: record.client_id,
            client_host: record.client_host,
            rebalance_timeout,
            session_timeout,
            assignment: record.assignment,
            ..base
        }
    }
}

/// As it is kept.
pub(super) fn as_millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
