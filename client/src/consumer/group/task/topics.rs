//! Topics that come, grow and go, as a classic member has to notice itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use duramen_protocol::text::Text;
use tokio::time::Instant;

use super::{Done, Task};
use crate::consumer::group::member::Event;
use crate::consumer::group::requests::{self, Counts};
use crate::error::ClientError;

/// How often topics are looked for that are not there yet.
const MISSING: Duration = Duration::from_secs(5);

/// What was seen.
pub(super) struct Looked {
    /// The topics that the member wants, of one with a pattern.
    topics: Option<Vec<Text>>,
    /// The partitions of the topics of all, of the leader.
    counts: Option<Counts>,
}

impl Task {
    /// The leader looks whether the topics have grown, or have come into being; one with a pattern,
    /// whether others match.
    pub(super) fn looks(&self) -> bool {
        let leads = self.member.leads() && self.counts.is_some();
        let matches = self.subscription.pattern().is_some();
        leads || (matches && self.member.is_classic() && self.member.is_stable())
    }

    pub(super) fn look(&mut self) {
        self.look_due = Instant::now() + self.look_interval();
        let counts = self.counts.as_ref().filter(|_| self.member.leads());
        let counted: Option<Vec<Text>> = counts.map(|counts| counts.keys().cloned().collect());
        let (coordinator, subscription) =
            (Arc::clone(&self.coordinator), Arc::clone(&self.subscription));
        self.spawn(async move {
            let look = async {
                let topics = match subscription.pattern() {
                    Some(_) => Some(requests::topics(&coordinator, &subscription).await?),
                    None => None,
                };
                let counts = match counted {
                    Some(names) => Some(requests::count(&coordinator, names).await?),
                    None => None,
                };
                Ok(Looked { topics, counts })
            };
            Done::Looked(look.await)
        });
    }

    pub(super) fn look_interval(&self) -> Duration {
        let age = self.coordinator.cluster().options().metadata_max_age;
        let missing = |counts: &BTreeMap<Text, i32>| counts.values().any(|count| *count == 0);
        if self.counts.as_ref().is_some_and(missing) { age.min(MISSING) } else { age }
    }

    pub(super) fn take_looked(&mut self, looked: Result<Looked, ClientError>) {
        // What failed is asked again when it is due.
        let Ok(Looked { topics, counts }) = looked else { return };
        if !self.looks() {
            return;
        }
        let others = topics.is_some_and(|topics| topics != self.topics);
        let grown = self.member.leads() && counts.is_some() && counts != self.counts;
        if others || grown {
            tracing::info!(group = %self.options.group, "the topics have other partitions: the group rebalances");
            self.step(Event::Changed);
        }
    }
}
