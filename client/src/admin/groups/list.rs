//! ListGroups: every broker tells of the groups that it looks after.

use std::collections::BTreeMap;

use duramen_protocol::messages::list_groups::ListGroupsRequest;
use duramen_protocol::text::Text;

use super::{GroupListing, ListedGroup};
use crate::admin::spread::{Batches, Open, call_each};
use crate::admin::{Admin, check};
use crate::cluster::Topics;
use crate::connection::Connection;
use crate::error::ClientError;

impl Admin {
    /// Lists groups, asking each broker; empty filters let all through. States and types are Kafka's
    /// words: `Stable`, `PreparingRebalance`, …; `classic`, `consumer`, …
    ///
    /// # Errors
    /// When no broker answers; one that does not is in [`GroupListing::silent`], and so is one that is too
    /// old for a filter.
    pub async fn list_groups(
        &self,
        states: &[Text],
        types: &[Text],
    ) -> Result<GroupListing, ClientError> {
        let brokers = || async { self.cluster.fetch_metadata(Topics::None).await };
        self.cluster.retrying("list groups", brokers).await?;
        let brokers: Vec<i32> = self.cluster.view().brokers.keys().copied().collect();
        let mut open = Open::fixed(&self.cluster, brokers.len());
        let request =
            ListGroupsRequest { states_filter: states.to_vec(), types_filter: types.to_vec() };
        loop {
            let left = open.left(&self.cluster).await;
            if left.is_empty() {
                break;
            }
            let mut batches = Batches::new();
            for at in left {
                let Some(broker) = brokers.get(at).copied() else { continue };
                batches.insert((0, Some(broker)), vec![(at, request.clone())]);
            }
            call_each(&self.cluster, batches, &mut open, ask).await?;
        }
        let (mut groups, mut silent) = (BTreeMap::new(), Vec::new());
        for (broker, told) in brokers.into_iter().zip(open.done()) {
            match told {
                Ok(told) => groups.extend(told.into_iter().map(|it| (it.group.clone(), it))),
                Err(error) => silent.push((broker, error)),
            }
        }
        Ok(GroupListing { groups: groups.into_values().collect(), silent })
    }
}

/// Asks one broker; `asked` holds the request alone.
async fn ask(
    connection: Connection,
    asked: Vec<ListGroupsRequest>,
) -> Result<Vec<Result<Vec<ListedGroup>, ClientError>>, ClientError> {
    let mut all = Vec::new();
    for request in asked {
        let answer = connection.call(&request).await?;
        let groups = answer.groups.into_iter().map(|group| ListedGroup {
            group: group.group_id,
            kind: group.group_type,
            state: group.group_state,
            protocol_type: group.protocol_type,
        });
        all.push(check("list groups", answer.error_code, None).map(|()| groups.collect()));
    }
    Ok(all)
}
