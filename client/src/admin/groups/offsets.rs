//! The offsets that groups have committed: read, set and deleted from outside.

use std::collections::BTreeMap;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use duramen_protocol::text::Text;

use super::{CommittedOffset, at_coordinators};
use crate::admin::leaders::by_topic;
use crate::admin::{Admin, Outcome, check, outcomes};
use crate::connection::Connection;
use crate::consumer::TopicPartition;
use crate::coordinator::offsets::{Committer, PerPartition, TopicIds, fetch_groups};
use crate::coordinator::{Coordinator, How};
use crate::error::ClientError;

impl Admin {
    /// The offsets that groups have committed. A group that does not exist has none.
    ///
    /// # Errors
    /// When no broker answers; each group has an outcome of its own.
    pub async fn committed_offsets(
        &self,
        groups: &[Text],
    ) -> Result<Vec<Outcome<Text, BTreeMap<TopicPartition, CommittedOffset>>>, ClientError> {
        let timeout = self.cluster.options().connection.request_timeout;
        let ask = move |connection: Connection, asked: Vec<(Text, i32)>| async move {
            let groups: Vec<Text> = asked.into_iter().map(|(group, _)| group).collect();
            fetch_groups(&connection, &groups, timeout).await
        };
        let fetched = at_coordinators(&self.cluster, groups, ask).await?.into_iter();
        let whole = |fetched: PerPartition<CommittedOffset>| {
            fetched.into_iter().map(|(at, offset)| Ok((at, offset?))).collect()
        };
        Ok(outcomes(groups, fetched.map(|fetched| fetched.and_then(whole)).collect()))
    }

    /// Sets the offsets of a group that has no members; it is made when it does not exist.
    ///
    /// # Errors
    /// When the group has members, or its coordinator does not answer.
    pub async fn alter_offsets(
        &self,
        group: &Text,
        offsets: &[(TopicPartition, CommittedOffset)],
    ) -> Result<Vec<Outcome<TopicPartition, ()>>, ClientError> {
        let coordinator = Coordinator::new(&self.cluster, group);
        let by = Committer { generation: -1, ..Committer::default() };
        let by_name = TopicIds::new();
        let altered = self
            .cluster
            .retrying("alter offsets", || coordinator.commit(&by, offsets, &by_name))
            .await
            .map_err(|error| match error.code() {
                // What Kafka answers to a stranger's commit in a group with members.
                Some(ErrorCode::UnknownMemberId | ErrorCode::StaleMemberEpoch) => {
                    coordinator.refused(ErrorCode::NonEmptyGroup, None)
                }
                _ => error,
            })?;
        Ok(per_partition(altered))
    }

    /// Deletes the offsets of partitions that no member of the group subscribes to.
    ///
    /// # Errors
    /// When the group does not exist, or its coordinator does not answer.
    pub async fn delete_offsets(
        &self,
        group: &Text,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Outcome<TopicPartition, ()>>, ClientError> {
        let coordinator = Coordinator::new(&self.cluster, group);
        let parts = partitions.iter().map(|at| (at.clone(), ()));
        let partition = |(partition_index, ())| OffsetDeleteRequestPartition { partition_index };
        let topics =
            by_topic(parts).into_iter().map(|(name, partitions)| OffsetDeleteRequestTopic {
                name,
                partitions: partitions.into_iter().map(partition).collect(),
            });
        let request = OffsetDeleteRequest { group_id: group.clone(), topics: topics.collect() };
        let answer = self
            .cluster
            .retrying("delete offsets", || async {
                let request = request.clone();
                let answer = coordinator.call(How::SHARED, |_| Ok(request)).await?;
                coordinator.check(answer.error_code, None)?;
                Ok(answer)
            })
            .await?;
        let mut deleted = PerPartition::new();
        for topic in answer.topics {
            for partition in topic.partitions {
                let at = TopicPartition::new(topic.name.clone(), partition.partition_index);
                let result = check(&format!("partition {at}"), partition.error_code, None);
                deleted.insert(at, result);
            }
        }
        Ok(per_partition(deleted))
    }
}

fn per_partition<T>(all: PerPartition<T>) -> Vec<Outcome<TopicPartition, T>> {
    all.into_iter().map(|(about, result)| Outcome { about, result }).collect()
}
