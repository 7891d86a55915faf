//! ConsumerGroupDescribe (key 69): state and members of KIP-848 groups.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::consumer_group_describe::DescribedGroup;
use duramen_protocol::messages::{ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse};
use duramen_protocol::text::Text;

use crate::coordinator::Asked;
use crate::coordinator::command::Command;
use crate::server::context::RequestContext;
use crate::server::operations;
use crate::server::reply::Reply;

/// Serves a request.
pub(crate) fn handle(
    context: &RequestContext,
    request: ConsumerGroupDescribeRequest,
) -> Reply<ConsumerGroupDescribeResponse> {
    let ask = |group: Text| {
        let command = Command::DescribeConsumers { group: group.clone() };
        let asked: Asked<DescribedGroup> = context.services.groups.ask(&group, command);
        (group, asked)
    };
    let asked: Vec<_> = request.group_ids.into_iter().map(ask).collect();
    let with_operations = request.include_authorized_operations;
    Reply::overlapping(async move {
        let mut groups = Vec::with_capacity(asked.len());
        for (group_id, asked) in asked {
            let mut group = asked.await.unwrap_or_else(|code: ErrorCode| DescribedGroup {
                group_id,
                error_code: code.code(),
                ..DescribedGroup::default()
            });
            if with_operations && group.error_code == 0 {
                group.authorized_operations = operations::GROUP;
            }
            groups.push(group);
        }
        ConsumerGroupDescribeResponse { groups, ..ConsumerGroupDescribeResponse::default() }
    })
}
