//! Topics that come, grow and go, as a classic member has to notice itself: a coordinator that assigns tells
//! it in time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use duramen_protocol::text::Text;
use tokio::time::Instant;

use super::{Control, Done, Task};
use crate::consumer::TopicPartition;
use crate::consumer::group::member::Event;
use crate::consumer::group::requests::{self, Counts};
use crate::error::ClientError;

/// How often topics are looked for that are not there yet.
const MISSING: Duration = Duration::from_secs(5);

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
        leads || ((matches || missing) && self.member.is_classic() && self.member.is_stable())
    }

    /// The topic of a partition that the user reads was deleted, or made again. What is its by the group
    /// is read again when it is there.
    pub(super) fn gone(&mut self, at: TopicPartition) {
        if self.given.remove(&at).is_none() {
            return;
        }
        tracing::info!(group = %self.options.group, partition = %at, "the topic is gone");
        self.tell(Control::Lost(vec![at.clone()]));
        if self.member.is_classic() {
            self.missing.insert(at);
            self.look_due = Instant::now();
        }
    }

    pub(super) fn look(&mut self) {
        self.look_due = Instant::now() + self.look_interval();
        let counts = self.counts.as_ref().filter(|_| self.member.leads());
        let led = counts.into_iter().flat_map(BTreeMap::keys);
        let missing = self.missing.iter().map(|at| &at.topic);
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
        match !self.missing.is_empty() || self.counts.as_ref().is_some_and(lacks) {
            true => age.min(MISSING),
            false => age,
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
        let is_back =
            |at: &TopicPartition| counts.get(&at.topic).is_some_and(|count| at.partition < *count);
        let (back, missing) = std::mem::take(&mut self.missing).into_iter().partition(is_back);
        self.missing = missing;
        if !BTreeSet::is_empty(&back) {
            self.assign(back);
        }
    }
}
