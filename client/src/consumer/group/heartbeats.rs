//! The requests of a member of a consumer group (KIP-848), and how their answers are read.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::TopicId;
use duramen_protocol::messages::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, TopicPartitions,
};
use duramen_protocol::text::Text;

use super::member::{Beat, Heard, Place};
use super::requests::ms;
use super::{GroupOptions, Subscription};
use crate::cluster::Topics;
use crate::connection::CallError;
use crate::coordinator::{Coordinator, How};
use crate::error::ClientError;

/// The first version in which members make their ids, and subscribe by a pattern (KIP-1082).
const FIRST: i16 = 1;

/// ConsumerGroupHeartbeat. A broker that does not serve it refuses with UNSUPPORTED_VERSION here.
pub(super) async fn hear(
    coordinator: &Coordinator,
    options: &GroupOptions,
    subscription: &Subscription,
    beat: Beat,
) -> Result<Heard, ClientError> {
    let answer = coordinator
        .call(How::OWN, |version| match version {
            ..FIRST => Err(too_old(coordinator)),
            _ => Ok(request(options, subscription, beat)),
        })
        .await;
    let answer = answer.map_err(|error| match error {
        ClientError::Call(CallError::Unsupported { .. }) => too_old(coordinator),
        error => error,
    })?;
    coordinator.check(answer.error_code, answer.error_message.as_ref())?;
    Ok(Heard {
        member_id: answer.member_id,
        epoch: answer.member_epoch,
        interval: Duration::from_millis(answer.heartbeat_interval_ms.max(0).unsigned_abs().into()),
        assignment: answer.assignment.map(|it| places(&it.topic_partitions)),
    })
}

fn too_old(coordinator: &Coordinator) -> ClientError {
    let words =
        "the broker does not serve ConsumerGroupHeartbeat 1 (KIP-848): join as a classic member";
    coordinator.refused(ErrorCode::UnsupportedVersion, Some(words.into()))
}

fn request(
    options: &GroupOptions,
    subscription: &Subscription,
    Beat { member_id, epoch, full, owned }: Beat,
) -> ConsumerGroupHeartbeatRequest {
    let mut request = ConsumerGroupHeartbeatRequest {
        group_id: options.group.clone(),
        member_id,
        member_epoch: epoch,
        instance_id: options.instance.clone(),
        topic_partitions: owned.as_ref().map(by_topic),
        ..ConsumerGroupHeartbeatRequest::default()
    };
    if full {
        request.rebalance_timeout_ms = ms(options.max_poll_interval);
        request.server_assignor = options.server_assignor.clone();
        request.rack_id = options.consumer.rack.clone();
        // Both are said: what the member wanted before is not wanted any more.
        request.subscribed_topic_names = Some(subscription.names().to_vec());
        let pattern = subscription.pattern().map(|pattern| Text::from(pattern.as_str()));
        request.subscribed_topic_regex = Some(pattern.unwrap_or_default());
    }
    request
}

fn by_topic(owned: &BTreeSet<Place>) -> Vec<TopicPartitions> {
    let mut topics: BTreeMap<TopicId, Vec<i32>> = BTreeMap::new();
    for (topic, partition) in owned {
        topics.entry(*topic).or_default().push(*partition);
    }
    let topic = |(topic_id, partitions)| TopicPartitions { topic_id, partitions };
    topics.into_iter().map(topic).collect()
}

fn places(topics: &[TopicPartitions]) -> BTreeSet<Place> {
    let of = |topic: &TopicPartitions| {
        let id = topic.topic_id;
        topic.partitions.clone().into_iter().map(move |partition| (id, partition))
    };
    topics.iter().flat_map(of).collect()
}

/// The names of topics, as far as the brokers know them.
pub(super) async fn names(
    coordinator: &Coordinator,
    ids: BTreeSet<TopicId>,
) -> BTreeMap<TopicId, Text> {
    let cluster = coordinator.cluster();
    let known = |view: &crate::cluster::ClusterView| -> BTreeMap<TopicId, Text> {
        ids.iter().filter_map(|id| Some((*id, view.topic_name(id)?.clone()))).collect()
    };
    let found = known(&cluster.view());
    if found.len() == ids.len() {
        return found;
    }
    let asked: Vec<TopicId> = ids.iter().copied().collect();
    if let Err(error) = cluster.fetch_metadata(Topics::Ids(&asked)).await {
        tracing::debug!(group = %coordinator.group(), %error, "topics can't be named now");
    }
    known(&cluster.view())
}
