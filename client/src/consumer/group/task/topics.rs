//! Topics that come, grow and go, as a classic member has to notice itself: a coordinator that assigns tells
//! it in time. What a broker said to be missing is looked for again by both, as long as it is assigned.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use duramen_protocol::ids::TopicId;
use duramen_protocol::text::Text;
use tokio::time::Instant;

use super::{Control, Done, Task};
use crate::consumer::TopicPartition;
use crate::consumer::group::member::Event;
use crate::consumer::group::requests::{self, Counts};
use crate::error::ClientError;

/// How often topics are looked for that are not there yet; what is assigned sooner at first, each time twice as
/// late.
const MISSING: Duration = Duration::from_secs(5);
const MISSING_FIRST: Duration = Duration::from_millis(500);

/// What was seen.
pub(super) struct Looked {
    /// The topics that the member wants, of one with a pattern.
    topics: Option<Vec<Text>>,
    /// How many partitions topics have that are missing, and of the leader those of all members.
    counts: Counts,
}

impl Task {
    /// The leader looks whether the topics have grown, or have come into being; one with a pattern,
    /// whether others match.
    pub(super) fn looks(&self) -> bool {
        let leads = self.member.leads() && self.counts.is_some();
        let matches = self.subscription.pattern().is_some();
        let missing = !self.missing.is_empty();
        leads || ((missing || matches && self.member.is_classic()) && self.member.is_stable())
    }

    /// The topic of a partition that the user reads was deleted, or made again. What is its by the group
    /// is read again when it is there.
    pub(super) fn gone(&mut self, at: TopicPartition) {
        if self.given.remove(&at).is_none() {
            return;
        }
        tracing::info!(group = %self.options.group, partition = %at, "the topic is gone");
        self.tell(Control::Lost(vec![at.clone()]));
        if let Some(id) = self.member.topic_of(&at) {
            self.missing.insert(at, id);
            self.looked = 0;
            self.look_due = Instant::now();
        }
    }

    pub(super) fn look(&mut self) {
        self.look_due = Instant::now() + self.look_interval();
        self.looked = self.looked.saturating_add(1);
        let counts = self.counts.as_ref().filter(|_| self.member.leads());
        let led = counts.into_iter().flat_map(BTreeMap::keys);
        let missing = self.missing.keys().map(|at| &at.topic);
        let counted: BTreeSet<Text> = led.chain(missing).cloned().collect();
        let (coordinator, subscription) =
            (Arc::clone(&self.coordinator), Arc::clone(&self.subscription));
        self.spawn(async move {
            let look = async {
                let topics = match subscription.pattern() {
                    Some(_) => Some(requests::topics(&coordinator, &subscription).await?),
                    None => None,
                };
                let counts = match counted.is_empty() {
                    true => Counts::new(),
                    false => requests::count(&coordinator, counted.into_iter().collect()).await?,
                };
                Ok(Looked { topics, counts })
            };
            Done::Looked(look.await)
        });
    }

    pub(super) fn look_interval(&self) -> Duration {
        let age = self.coordinator.cluster().options().metadata_max_age;
        let lacks = |counts: &Counts| counts.values().any(|count| *count == 0);
        if !self.missing.is_empty() {
            age.min(MISSING).min(MISSING_FIRST.saturating_mul(1 << self.looked.min(8)))
        } else if self.counts.as_ref().is_some_and(lacks) {
            age.min(MISSING)
        } else {
            age
        }
    }

    pub(super) fn take_looked(&mut self, looked: Result<Looked, ClientError>) {
        // What failed is asked again when it is due.
        let Ok(Looked { topics, counts }) = looked else { return };
        if !self.looks() {
            return;
        }
        let others = topics.is_some_and(|topics| topics != self.topics);
        let known = self.counts.as_ref().filter(|_| self.member.leads());
        let grown = known.is_some_and(|known| {
            known.iter().any(|(topic, count)| counts.get(topic).is_some_and(|now| now != count))
        });
        if others || grown {
            tracing::info!(group = %self.options.group, "the topics have other partitions: the group rebalances");
            return self.step(Event::Changed);
        }
        let view = self.coordinator.cluster().view();
        let is_back = |at: &TopicPartition, id: &TopicId| {
            let there = counts.get(&at.topic).is_some_and(|count| at.partition < *count);
            // One that has the name of what is assigned is another topic; that is for the coordinator to give.
            there && (id.is_nil() || view.topic(&at.topic).is_some_and(|topic| topic.id == *id))
        };
        let back = self.missing.iter().filter(|(at, id)| is_back(at, id));
        let back: BTreeSet<TopicPartition> = back.map(|(at, _)| at.clone()).collect();
        self.missing.retain(|at, _| !back.contains(at));
        if !back.is_empty() {
            self.assign(back);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use duramen_protocol::api::ApiKey;
    use duramen_protocol::error::ErrorCode;
    use duramen_protocol::messages::metadata::{
        MetadataRequest, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition,
        MetadataResponseTopic,
    };
    use tokio::sync::mpsc;

    use super::*;
    use crate::cluster::ClusterOptions;
    use crate::consumer::group::member::Heard;
    use crate::consumer::group::positions::Position;
    use crate::consumer::group::{GroupOptions, GroupProtocol};
    use crate::testing::{Answer, Asked, played};

    const ID: TopicId = TopicId::from_u128(5);
    const OTHER: TopicId = TopicId::from_u128(6);

    /// Metadata of a broker that knows topics by this id; none at all without one.
    fn answer(asked: &Asked, id: Option<TopicId>) -> Answer {
        let named = asked.read::<MetadataRequest>().topics.unwrap_or_default();
        let unknown = ErrorCode::UnknownTopicOrPartition;
        let topics = named.into_iter().map(|topic| MetadataResponseTopic {
            error_code: id.map_or(unknown, |_| ErrorCode::None).code(),
            name: topic.name,
            topic_id: id.unwrap_or_default(),
            partitions: vec![MetadataResponsePartition { leader_id: 1, ..Default::default() }],
            ..Default::default()
        });
        let broker = MetadataResponseBroker {
            node_id: 1,
            host: "played".into(),
            port: 1,
            ..Default::default()
        };
        let (brokers, topics) = (vec![broker], topics.collect());
        asked.answer(&MetadataResponse { brokers, topics, ..Default::default() })
    }

    /// Waits for what was looked for.
    async fn looked(task: &mut Task) {
        while let Some(done) = task.done.join_next().await {
            let done = done.unwrap();
            let is_it = matches!(done, Done::Looked(_));
            task.take_done(done);
            if is_it {
                return;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_lagging_broker_does_not_know_is_looked_for_as_long_as_it_is_assigned() {
        let known: Arc<Mutex<Option<TopicId>>> = Arc::default();
        let told = Arc::clone(&known);
        let cluster = played(ClusterOptions::default(), move |_, asked| match asked.header.api {
            ApiKey::Metadata => answer(asked, *told.lock().unwrap()),
            _ => Answer::Close,
        });
        let (to_user, mut control) = mpsc::unbounded_channel();
        let (_commands, from_user) = mpsc::unbounded_channel();
        let options = GroupOptions::new("g").protocol(GroupProtocol::Consumer).into();
        let shared = (Default::default(), Arc::new(super::super::Presence::new()));
        let mut task = Task::new(cluster, options, "t".into(), (to_user, from_user), shared);
        // Whichever heartbeat it is that waits for it.
        let hear = |task: &mut Task, epoch, assignment: &[(TopicId, i32)]| {
            let heard = Heard {
                member_id: None,
                epoch,
                interval: Duration::from_secs(100_000),
                assignment: Some(assignment.iter().copied().collect()),
            };
            (1..100).for_each(|attempt| task.step(Event::Heard(attempt, Ok(heard.clone()))));
        };
        let at = TopicPartition::new("t", 0);
        task.step(Event::Wake);
        hear(&mut task, 1, &[(ID, 0)]);
        task.step(Event::Named([(ID, "t".into())].into()));
        let position =
            |given| Position { next: 0, leader_epoch: -1, given, end: None, topic_id: ID };
        task.take_stands(1, [at.clone()].into(), Ok(vec![(at.clone(), position(1))]));
        assert!(matches!(control.try_recv(), Ok(Control::Assigned(_))));

        task.gone(at.clone());
        assert!(matches!(control.try_recv(), Ok(Control::Lost(_))));
        // Not there, and then another of the same name.
        for id in [None, None, Some(OTHER), Some(OTHER)] {
            *known.lock().unwrap() = id;
            assert!(task.looks() && task.wake() <= Instant::now() + MISSING);
            tokio::time::sleep_until(task.look_due).await;
            task.look();
            looked(&mut task).await;
            assert!(task.awaited.is_empty(), "{id:?}");
        }
        assert!(task.look_due > Instant::now() + MISSING_FIRST, "less and less often");
        *known.lock().unwrap() = Some(ID);
        task.look();
        looked(&mut task).await;
        assert!(task.awaited.contains_key(&at) && !task.looks());
        task.take_stands(2, [at.clone()].into(), Ok(vec![(at.clone(), position(2))]));
        assert!(matches!(control.try_recv(), Ok(Control::Assigned(_))));

        // What the group takes away is not looked for.
        task.gone(at.clone());
        assert!(task.looks());
        hear(&mut task, 2, &[]);
        assert!(!task.looks() && task.missing.is_empty());
    }
}
