//! Commits, sent one after another.

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
use crate::coordinator::offsets::{CommittedOffset, Committer};
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
            let result = deliver(&coordinator, identity, instance, &sent(&commit.offsets)).await;
            Done::Committed(commit, result)
        });
    }

    pub(super) fn take_committed(&mut self, commit: Commit, result: Result<(), ClientError>) {
        self.commits.in_flight = false;
        match result {
            Ok(()) => self.commits.succeeded(&commit.offsets),
            Err(error) => {
                self.step(Event::CommitRefused(error.clone()));
                return self.finish(commit, Err(error));
            }
        }
        self.finish(commit, Ok(()));
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

/// Commits as the member that this is now; again when a heartbeat in flight has brought a newer epoch.
async fn deliver(
    coordinator: &Coordinator,
    mut identity: watch::Receiver<Identity>,
    instance: Option<Text>,
    offsets: &[(TopicPartition, CommittedOffset)],
) -> Result<(), ClientError> {
    loop {
        let Some((member_id, generation)) = identity.borrow_and_update().clone() else {
            return Err(coordinator.refused(ErrorCode::UnknownMemberId, None));
        };
        let what = format!("commit of {member_id}");
        let by = Committer { member_id, generation, instance: instance.clone() };
        let attempt = || async {
            let outcomes = coordinator.commit(&by, offsets).await?;
            outcomes.into_values().collect::<Result<(), ClientError>>()
        };
        let result = coordinator.cluster().retrying(&what, attempt).await;
        let stale =
            matches!(&result, Err(error) if error.code() == Some(ErrorCode::StaleMemberEpoch));
        if !stale || !matches!(timeout(EPOCH_PATIENCE, identity.changed()).await, Ok(Ok(()))) {
            return result;
        }
    }
}
