//! Commits, sent one after another.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::text::Text;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::{Done, Identity, Task};
use crate::consumer::TopicPartition;
use crate::consumer::group::commit::{Commit, Why, own, sent};
use crate::consumer::group::member::Event;
use crate::consumer::group::refused;
use crate::coordinator::Coordinator;
use crate::coordinator::offsets::{CommittedOffset, Committer, TopicIds};
use crate::error::ClientError;

/// How long the epoch in which a commit is taken may be on its way.
const EPOCH_PATIENCE: Duration = Duration::from_secs(10);

impl Task {
    /// Commits what was read, if that is something new.
    pub(super) fn auto_commit(&mut self, why: Why) {
        let idle = self.commits.is_empty() && self.member.takes_commits();
        if matches!(why, Why::Auto) && !idle {
            return;
        }
        let offsets = self.positions.all();
        if matches!(why, Why::Auto) && self.commits.has(&offsets) {
            return;
        }
        self.commits.push(Commit { offsets, why });
    }

    /// Sends the next commit, if one waits and the group takes commits.
    pub(super) fn commit_next(&mut self) {
        while let Some(commit) = self.commits.pop() {
            let Commit { offsets, why } = commit;
            let (own, lost) = own(offsets, &self.given);
            if let (Why::Asked(_), Some(at)) = (&why, lost) {
                let words = format!("{at} was given to another member meanwhile");
                let error =
                    refused(&self.options.group, ErrorCode::IllegalGeneration, Some(words.into()));
                self.finish(Commit { offsets: own, why }, Err(error));
                continue;
            }
            let commit = Commit { offsets: own, why };
            if commit.offsets.is_empty() || self.commits.has(&commit.offsets) {
                self.finish(commit, Ok(()));
                continue;
            }
            if self.member.identity().is_none() {
                let error = refused(&self.options.group, ErrorCode::UnknownMemberId, None);
                self.finish(commit, Err(error));
                continue;
            }
            let hurries = self.close_by.is_some_and(|at| Instant::now() >= at);
            if !self.member.takes_commits() && !hurries {
                // Until the group has its assignments.
                self.commits.again(commit);
                return;
            }
            self.commits.in_flight = true;
            self.send_commit(commit);
        }
    }

    fn send_commit(&mut self, commit: Commit) {
        let coordinator = Arc::clone(&self.coordinator);
        let (identity, instance) = (self.identity.subscribe(), self.options.instance.clone());
        self.spawn(async move {
            let (offsets, ids) = sent(&commit.offsets);
            // Nobody waits for the others: those are sent again with what is read until then, or read again.
            let persists = matches!(commit.why, Why::Asked(_));
            let result = deliver(&coordinator, identity, instance, &offsets, &ids, persists).await;
            Done::Committed(commit, result)
        });
    }

    pub(super) fn take_committed(&mut self, mut commit: Commit, result: Result<Gone, ClientError>) {
        self.commits.in_flight = false;
        let gone = match result {
            Ok(gone) => gone,
            Err(error) => {
                self.step(Event::CommitRefused(error.clone()));
                return self.finish(commit, Err(error));
            }
        };
        commit.offsets.retain(|(at, _)| !gone.contains_key(at));
        self.commits.succeeded(&commit.offsets);
        let result = match (gone.into_values().next(), &commit.why) {
            (Some(error), Why::Asked(_)) => Err(error),
            (Some(error), _) => {
                tracing::debug!(group = %self.options.group, %error, "nothing is left to be committed of it");
                Ok(())
            }
            (None, _) => Ok(()),
        };
        self.finish(commit, result);
    }

    /// A commit is done, or will not be.
    fn finish(&mut self, commit: Commit, result: Result<(), ClientError>) {
        if let (Err(error), Why::Auto | Why::Release(_)) = (&result, &commit.why) {
            tracing::warn!(group = %self.options.group, %error, "offsets were not committed: what was read is read again");
        }
        match commit.why {
            Why::Auto => {}
            Why::Asked(reply) => {
                let _ = reply.send(result);
            }
            Why::Release(gone) => {
                self.given.retain(|at, _| !gone.contains(at));
                self.step(Event::Released);
            }
            Why::Close => {
                self.close_result = result;
                self.step(Event::Leave);
            }
        }
    }
}

/// Partitions of topics that are not there any more, which take no commit.
pub(super) type Gone = BTreeMap<TopicPartition, ClientError>;

/// Commits as the member that this is now; again when a heartbeat in flight has brought a newer epoch. One that
/// `persists` waits for a coordinator that can't be reached, within the operation's time.
async fn deliver(
    coordinator: &Coordinator,
    mut identity: watch::Receiver<Identity>,
    instance: Option<Text>,
    offsets: &[(TopicPartition, CommittedOffset)],
    ids: &TopicIds,
    persists: bool,
) -> Result<Gone, ClientError> {
    loop {
        let Some((member_id, generation)) = identity.borrow_and_update().clone() else {
            return Err(coordinator.refused(ErrorCode::UnknownMemberId, None));
        };
        let what = format!("commit of {member_id}");
        let by = Committer { member_id, generation, instance: instance.clone() };
        let attempt = || async {
            let mut gone = Gone::new();
            for (at, outcome) in coordinator.commit(&by, offsets, ids).await? {
                match outcome {
                    Err(error) if is_gone(&error) => drop(gone.insert(at, error)),
                    outcome => outcome?,
                }
            }
            Ok(gone)
        };
        let cluster = coordinator.cluster();
        let result = match persists {
            true => cluster.persisting(&what, attempt).await,
            false => cluster.retrying(&what, attempt).await,
        };
        let code = result.as_ref().err().and_then(ClientError::code);
        if code != Some(ErrorCode::StaleMemberEpoch)
            || !matches!(timeout(EPOCH_PATIENCE, identity.changed()).await, Ok(Ok(())))
        {
            return result;
        }
    }
}

fn is_gone(error: &ClientError) -> bool {
    matches!(error.code(), Some(ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId))
}

#[cfg(test)]
mod tests {
    use duramen_protocol::messages::find_coordinator::{
        Coordinator as Found, FindCoordinatorRequest, FindCoordinatorResponse,
    };
    use duramen_protocol::messages::metadata::{MetadataResponse, MetadataResponseBroker};
    use duramen_protocol::messages::offset_commit::{
        OffsetCommitRequest, OffsetCommitResponse, OffsetCommitResponsePartition,
        OffsetCommitResponseTopic,
    };

    use super::*;
    use crate::cluster::{Cluster, ClusterOptions};
    use crate::testing::{Asked, played};
    use crate::transport::Connector;

    fn answer(asked: &Asked) -> crate::testing::Answer {
        use duramen_protocol::api::ApiKey;
        match asked.header.api {
            ApiKey::FindCoordinator => {
                let keys = asked.read::<FindCoordinatorRequest>().coordinator_keys;
                let found = |key| Found { key, node_id: 1, ..Found::default() };
                let coordinators = keys.into_iter().map(found).collect();
                asked.answer(&FindCoordinatorResponse { coordinators, ..Default::default() })
            }
            ApiKey::OffsetCommit => {
                let topics = asked.read::<OffsetCommitRequest>().topics.into_iter();
                let topics = topics.map(|topic| OffsetCommitResponseTopic {
                    name: topic.name,
                    partitions: vec![OffsetCommitResponsePartition::default()],
                    ..Default::default()
                });
                let topics = topics.collect();
                asked.answer(&OffsetCommitResponse { topics, ..Default::default() })
            }
            _ => {
                let host = "played".into();
                let broker =
                    MetadataResponseBroker { node_id: 1, host, port: 1, ..Default::default() };
                asked.answer(&MetadataResponse { brokers: vec![broker], ..Default::default() })
            }
        }
    }

    /// A cluster whose broker takes no connections for a while.
    fn away_for(time: Duration) -> Cluster {
        let options = played(ClusterOptions::default(), |_, asked| answer(asked)).options().clone();
        let (connector, back) = (options.connector.clone(), Instant::now() + time);
        let connector = Connector::by(move |target| {
            let connector = connector.clone();
            async move {
                match Instant::now() < back {
                    true => Err(std::io::ErrorKind::ConnectionRefused.into()),
                    false => connector.connect(target).await,
                }
            }
        });
        Cluster::new("played:1", options.connector(connector)).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_commit_outlasts_a_coordinator_that_starts_again() {
        let coordinator = Coordinator::new(&away_for(Duration::from_secs(5)), &"g".into());
        let (_sender, identity) = watch::channel(Some(("m".into(), 1)));
        let offsets = [(TopicPartition::new("t", 0), CommittedOffset::at(7))];
        let gone = deliver(&coordinator, identity, None, &offsets, &TopicIds::new(), true).await;
        assert!(gone.unwrap().is_empty());
    }
}
