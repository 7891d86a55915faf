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
            let tries = self.member.may_commit() && !self.commits.refused;
            if !self.member.takes_commits() && !self.hurries() && !tries {
                // Until the group has its assignments.
                self.commits.again(commit);
                return;
            }
            self.commits.in_flight = true;
            self.commits.refused = false;
            self.send_commit(commit);
        }
    }

    fn send_commit(&mut self, commit: Commit) {
        let coordinator = Arc::clone(&self.coordinator);
        let (identity, instance) = (self.identity.subscribe(), self.options.instance.clone());
        self.commits.sent_by.clone_from(&identity.borrow());
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
                let late = self.is_late(&error);
                if !late {
                    self.step(Event::CommitRefused(error.clone()));
                }
                if (late || self.is_between(&error)) && !self.hurries() {
                    // It goes again with the next generation, if all of it is still the member's then.
                    self.commits.refused = true;
                    return self.commits.again(commit);
                }
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

    /// Whether the member closes, and has waited long enough.
    fn hurries(&self) -> bool {
        self.close_by.is_some_and(|at| Instant::now() >= at)
    }

    /// Whether the group was a generation further already, which the member knows by now or is about to hear.
    fn is_late(&self, error: &ClientError) -> bool {
        let joins = self.member.may_commit() || *self.identity.borrow() != self.commits.sent_by;
        self.member.is_classic() && joins && error.code() == Some(ErrorCode::IllegalGeneration)
    }

    /// Whether the group hands out assignments, so that it takes commits when it has done so.
    fn is_between(&self, error: &ClientError) -> bool {
        let rebalances = error.code() == Some(ErrorCode::RebalanceInProgress);
        self.member.is_classic() && rebalances && !self.member.takes_commits()
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
    use std::sync::Mutex;

    use duramen_protocol::api::ApiKey;
    use duramen_protocol::messages::find_coordinator::{
        Coordinator as Found, FindCoordinatorRequest, FindCoordinatorResponse,
    };
    use duramen_protocol::messages::metadata::{MetadataResponse, MetadataResponseBroker};
    use duramen_protocol::messages::offset_commit::{
        OffsetCommitRequest, OffsetCommitResponse, OffsetCommitResponsePartition,
        OffsetCommitResponseTopic,
    };

    use duramen_protocol::messages::offset_fetch::OffsetFetchResponse;
    use tokio::sync::{mpsc, oneshot};

    use super::*;
    use crate::cluster::ClusterOptions;
    use crate::consumer::group::member::{JoinAnswer, Joined};
    use crate::consumer::group::positions::Position;
    use crate::consumer::group::{Assignor, GroupOptions, GroupProtocol};
    use crate::testing::{Answer, Asked, away_for, played};

    fn answer(asked: &Asked) -> Answer {
        match asked.header.api {
            ApiKey::FindCoordinator => {
                let keys = asked.read::<FindCoordinatorRequest>().coordinator_keys;
                let found = |key| Found { key, node_id: 1, ..Found::default() };
                let coordinators = keys.into_iter().map(found).collect();
                asked.answer(&FindCoordinatorResponse { coordinators, ..Default::default() })
            }
            ApiKey::OffsetCommit => committed(asked, ErrorCode::None),
            _ => {
                let host = "played".into();
                let broker =
                    MetadataResponseBroker { node_id: 1, host, port: 1, ..Default::default() };
                asked.answer(&MetadataResponse { brokers: vec![broker], ..Default::default() })
            }
        }
    }

    fn committed(asked: &Asked, code: ErrorCode) -> Answer {
        let topics = asked.read::<OffsetCommitRequest>().topics.into_iter();
        let error_code = code.code();
        let topics = topics.map(|topic| OffsetCommitResponseTopic {
            name: topic.name,
            partitions: vec![OffsetCommitResponsePartition { error_code, ..Default::default() }],
            ..Default::default()
        });
        let topics = topics.collect();
        asked.answer(&OffsetCommitResponse { topics, ..Default::default() })
    }

    /// A cooperative member of generation 1 that reads `t-0`, while the group gathers for the next one; and
    /// what it hears of each commit, and says its generation is.
    fn gathering(codes: Vec<ErrorCode>) -> (Task, Arc<Mutex<Vec<i32>>>) {
        let mut codes = codes.into_iter();
        let said: Arc<Mutex<Vec<i32>>> = Arc::default();
        let heard = Arc::clone(&said);
        let cluster = played(ClusterOptions::default(), move |_, asked| match asked.header.api {
            ApiKey::OffsetCommit => {
                let request = asked.read::<OffsetCommitRequest>();
                heard.lock().unwrap().push(request.generation_id_or_member_epoch);
                committed(asked, codes.next().unwrap_or(ErrorCode::None))
            }
            ApiKey::FindCoordinator | ApiKey::Metadata => answer(asked),
            ApiKey::OffsetFetch => asked.answer(&OffsetFetchResponse::default()),
            // The group gathers for ever.
            _ => Answer::Silence,
        });
        let channels = (mpsc::unbounded_channel().0, mpsc::unbounded_channel().1);
        let options = GroupOptions::new("g").protocol(GroupProtocol::Classic);
        let options = Arc::new(options.assignors(vec![Assignor::CooperativeSticky]));
        let shared = (Default::default(), Arc::new(super::super::Presence::new()));
        let mut task = Task::new(cluster, options, "t".into(), channels, shared);
        task.step(Event::Wake);
        gathered(&mut task, 1);
        let given = [(TopicPartition::new("t", 0), at(0).1)];
        task.take_stands(1, given.iter().map(|(at, _)| at.clone()).collect(), Ok(given.to_vec()));
        task.step(Event::Changed);
        assert!(task.member.may_commit() && !task.member.takes_commits());
        (task, said)
    }

    /// The group has gathered, and the share is as before.
    fn gathered(task: &mut Task, generation: i32) {
        let joined = Joined {
            member_id: "m".into(),
            generation,
            protocol: "cooperative-sticky".into(),
            leads: false,
            skip_assignment: false,
            members: Vec::new(),
        };
        // Each join, and each sync, is an attempt.
        let attempt = u64::try_from(generation).unwrap() * 2;
        task.step(Event::Joined(attempt - 1, Ok(JoinAnswer::Member(joined))));
        task.step(Event::Synced(attempt, Ok([TopicPartition::new("t", 0)].into())));
        assert!(task.member.is_stable());
    }

    fn at(next: i64) -> (TopicPartition, Position) {
        let topic_id = duramen_protocol::ids::TopicId::nil();
        let position = Position { next, leader_epoch: -1, given: 1, end: None, topic_id };
        (TopicPartition::new("t", 0), position)
    }

    /// Asks for a commit, and waits until the coordinator has said something of it.
    async fn ask(task: &mut Task) -> oneshot::Receiver<Result<(), ClientError>> {
        let (reply, done) = oneshot::channel();
        task.commits.push(Commit { offsets: vec![at(7)], why: Why::Asked(reply) });
        task.commit_next();
        hear(task).await;
        done
    }

    async fn hear(task: &mut Task) {
        assert!(task.commits.in_flight);
        while task.commits.in_flight {
            let done = task.done.join_next().await.unwrap().unwrap();
            task.take_done(done);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_commit_does_not_wait_for_a_group_that_gathers() {
        let (mut task, said) = gathering(vec![ErrorCode::None]);
        assert!(ask(&mut task).await.try_recv().unwrap().is_ok());
        assert_eq!(*said.lock().unwrap(), [1]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_commit_that_comes_in_the_middle_of_a_rebalance_goes_again_behind_it() {
        for code in [ErrorCode::RebalanceInProgress, ErrorCode::IllegalGeneration] {
            let (mut task, said) = gathering(vec![code]);
            let mut done = ask(&mut task).await;
            task.commit_next();
            assert!(!task.commits.in_flight && done.try_recv().is_err(), "it is not tried at once");
            gathered(&mut task, 2);
            task.commit_next();
            hear(&mut task).await;
            assert!(done.try_recv().unwrap().is_ok());
            assert_eq!(*said.lock().unwrap(), [1, 2]);
            assert_eq!(task.given.len(), 1, "nothing was lost meanwhile");
        }
        // The answer comes when the member is of the next generation already.
        let (mut task, said) = gathering(vec![ErrorCode::IllegalGeneration]);
        let (reply, mut done) = oneshot::channel();
        task.commits.push(Commit { offsets: vec![at(7)], why: Why::Asked(reply) });
        task.commit_next();
        while said.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        gathered(&mut task, 2);
        hear(&mut task).await;
        task.commit_next();
        hear(&mut task).await;
        assert!(done.try_recv().unwrap().is_ok());
        assert_eq!((&*said.lock().unwrap(), task.given.len()), (&vec![1, 2], 1));
    }

    #[tokio::test(start_paused = true)]
    async fn who_closes_does_not_try_for_ever() {
        let (mut task, said) = gathering(vec![ErrorCode::IllegalGeneration; 2]);
        task.close_by = Some(Instant::now());
        assert!(ask(&mut task).await.try_recv().unwrap().is_err());
        assert_eq!(*said.lock().unwrap(), [1]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_commit_outlasts_a_coordinator_that_starts_again() {
        let cluster = played(ClusterOptions::default(), |_, asked| answer(asked));
        let away = away_for(Duration::from_secs(5), &cluster);
        let coordinator = Coordinator::new(&away, &"g".into());
        let (_sender, identity) = watch::channel(Some(("m".into(), 1)));
        let offsets = [(TopicPartition::new("t", 0), CommittedOffset::at(7))];
        let gone = deliver(&coordinator, identity, None, &offsets, &TopicIds::new(), true).await;
        assert!(gone.unwrap().is_empty());
    }
}
