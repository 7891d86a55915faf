//! Groups deleted, and members removed from outside.

use std::collections::BTreeMap;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::delete_groups::DeleteGroupsRequest;
use duramen_protocol::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use duramen_protocol::text::Text;

use super::{MemberName, at_coordinators};
use crate::admin::spread::in_order;
use crate::admin::{Admin, Outcome, check, outcomes};
use crate::connection::Connection;
use crate::coordinator::find::refused;
use crate::coordinator::{Coordinator, How};
use crate::error::ClientError;

impl Admin {
    /// Deletes groups without members, and all their offsets.
    ///
    /// # Errors
    /// When no broker answers; each group has an outcome of its own.
    pub async fn delete_groups(
        &self,
        groups: &[Text],
    ) -> Result<Vec<Outcome<Text, ()>>, ClientError> {
        Ok(outcomes(groups, at_coordinators(&self.cluster, groups, delete).await?))
    }

    /// Removes members from a group, which rebalances. One that is alive joins again.
    ///
    /// # Errors
    /// When the group's coordinator does not answer.
    pub async fn remove_members(
        &self,
        group: &Text,
        members: &[MemberName],
    ) -> Result<Vec<Outcome<MemberName, ()>>, ClientError> {
        let coordinator = Coordinator::new(&self.cluster, group);
        let identity = |member: &MemberName| MemberIdentity {
            member_id: match member {
                MemberName::Id(id) => id.clone(),
                MemberName::Instance(_) => Text::EMPTY,
            },
            group_instance_id: match member {
                MemberName::Id(_) => None,
                MemberName::Instance(instance) => Some(instance.clone()),
            },
            reason: None,
        };
        let request = LeaveGroupRequest {
            group_id: group.clone(),
            members: members.iter().map(identity).collect(),
            ..LeaveGroupRequest::default()
        };
        let answer = self
            .cluster
            .retrying("remove members", || async {
                let request = request.clone();
                let answer = coordinator.call(How::SHARED, |_| Ok(request)).await?;
                coordinator.check(answer.error_code, None)?;
                Ok(answer)
            })
            .await?;
        // The answers stand in the order of the members.
        let told = answer.members.into_iter();
        Ok(members
            .iter()
            .zip(told)
            .map(|(member, told)| {
                let what = match member {
                    MemberName::Id(name) | MemberName::Instance(name) => format!("member {name}"),
                };
                Outcome { about: member.clone(), result: check(&what, told.error_code, None) }
            })
            .collect())
    }
}

async fn delete(
    connection: Connection,
    asked: Vec<(Text, i32)>,
) -> Result<Vec<Result<(), ClientError>>, ClientError> {
    let groups_names: Vec<Text> = asked.into_iter().map(|(group, _)| group).collect();
    let request = DeleteGroupsRequest { groups_names };
    let answer = connection.call(&request).await?;
    let told: BTreeMap<Text, _> = answer
        .results
        .into_iter()
        .map(|told| {
            let deleted = match ErrorCode::from_code(told.error_code) {
                ErrorCode::None => Ok(()),
                code => Err(refused(&told.group_id, code, None)),
            };
            (told.group_id, deleted)
        })
        .collect();
    Ok(in_order(request.groups_names, &told, "DeleteGroups"))
}
