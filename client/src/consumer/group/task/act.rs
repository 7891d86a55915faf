//! What the member asks for, done.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use duramen_protocol::error::ErrorCode;

use super::{Control, Done, Task, member};
use crate::consumer::TopicPartition;
use crate::consumer::group::heartbeats;
use crate::consumer::group::member::{Action, Event};
use crate::consumer::group::positions::Position;
use crate::consumer::group::requests::{self, Place};
use crate::consumer::group::stands::stands;
use crate::error::ClientError;

/// How often in a row a group may turn out to be one of the other protocol.
const SIDES: u32 = 3;

impl Task {
    pub(super) fn act(&mut self, action: Action) {
        let (coordinator, options) = (Arc::clone(&self.coordinator), Arc::clone(&self.options));
        match action {
            Action::Join { attempt, member_id, generation, owned, last } => {
                let subscription = Arc::clone(&self.subscription);
                let place = Place { member_id, generation };
                self.spawn(async move {
                    let topics = match requests::topics(&coordinator, &subscription).await {
                        Ok(topics) => topics,
                        Err(error) => return Done::Joined(attempt, Vec::new(), Err(error)),
                    };
                    let read = (owned, &last);
                    let joined = requests::join(&coordinator, &options, &topics, place, read).await;
                    Done::Joined(attempt, topics, joined)
                });
            }
            Action::Lead { attempt, joined } => self.spawn(async move {
                Done::Led(attempt, requests::lead(&coordinator, &joined).await)
            }),
            Action::Sync { attempt, member_id, generation, protocol, shares } => {
                let place = Place { member_id, generation };
                self.spawn(async move {
                    let share = requests::sync(&coordinator, &options, place, protocol, shares);
                    Done::Event(Event::Synced(attempt, share.await))
                });
            }
            Action::Beat { attempt, member_id, generation } => {
                let place = Place { member_id, generation };
                self.spawn(async move {
                    let beaten = requests::beat(&coordinator, &options, place).await;
                    Done::Event(Event::Beat(attempt, beaten))
                });
            }
            Action::Hear { attempt, beat } => {
                let subscription = Arc::clone(&self.subscription);
                self.spawn(async move {
                    let heard = heartbeats::hear(&coordinator, &options, &subscription, beat).await;
                    Done::Event(Event::Heard(attempt, heard))
                });
            }
            Action::Name(ids) => self.spawn(async move {
                Done::Event(Event::Named(heartbeats::names(&coordinator, ids).await))
            }),
            other => self.act_alone(other),
        }
    }

    /// What no answer is waited for, but that it was done.
    fn act_alone(&mut self, action: Action) {
        let (coordinator, options) = (Arc::clone(&self.coordinator), Arc::clone(&self.options));
        match action {
            Action::LeaveGroup(member_id) => self.spawn(async move {
                left(&options, requests::leave(&coordinator, &options, member_id).await)
            }),
            Action::Depart(beat) => {
                let subscription = Arc::clone(&self.subscription);
                self.spawn(async move {
                    let heard = heartbeats::hear(&coordinator, &options, &subscription, beat).await;
                    left(&options, heard.map(|_| ()))
                });
            }
            Action::ChangeSides(error) => self.change_sides(error),
            Action::Assign(added) => self.assign(added),
            Action::Revoke(gone) => self.revoke(&gone),
            Action::Lose(gone) => self.lose(&gone),
            Action::Fail(error) => {
                self.tell(Control::Failed(error));
                self.ended = true;
            }
            Action::End => self.ended = true,
            // Done already.
            _ => {}
        }
    }

    /// Goes on as a member of the other protocol, unless the group keeps changing.
    fn change_sides(&mut self, error: ClientError) {
        self.sides_changed += 1;
        if self.sides_changed > SIDES {
            self.tell(Control::Failed(error));
            self.ended = true;
            return;
        }
        let to_classic = !self.member.is_classic();
        tracing::debug!(group = %self.options.group, %error, to_classic, "a member of the other protocol from now on");
        self.member = member(self.habits, to_classic);
        self.step(Event::Wake);
    }

    pub(super) fn assign(&mut self, added: BTreeSet<TopicPartition>) {
        self.sides_changed = 0;
        if added.is_empty() {
            if self.given.is_empty() && self.awaited.is_empty() {
                self.tell(Control::Assigned(Vec::new()));
            }
            return;
        }
        self.assignments += 1;
        self.awaited.extend(added.iter().map(|at| (at.clone(), self.assignments)));
        self.find_stands(self.assignments, added, Duration::ZERO);
    }

    fn find_stands(&mut self, given: u64, asked: BTreeSet<TopicPartition>, wait: Duration) {
        let (coordinator, options) = (Arc::clone(&self.coordinator), Arc::clone(&self.options));
        let identity = self.identity.subscribe();
        let classic = self.member.is_classic();
        self.spawn(async move {
            tokio::time::sleep(wait).await;
            let partitions = asked.iter().cloned().collect();
            // In a classic group nobody asks who it is that wants to know.
            let by = identity.borrow().clone().filter(|_| !classic);
            let by = by.as_ref().map(|(member, epoch)| (member, *epoch));
            let found = stands(&coordinator, &options, by, partitions, given).await;
            Done::Stands(given, asked, found)
        });
    }

    pub(super) fn take_stands(
        &mut self,
        given: u64,
        mut asked: BTreeSet<TopicPartition>,
        found: Result<Vec<(TopicPartition, Position)>, ClientError>,
    ) {
        asked.retain(|at| self.awaited.get(at) == Some(&given));
        match found {
            _ if asked.is_empty() => self.asking.is_given_up(),
            Ok(mut found) => {
                self.asking.is_well();
                found.retain(|(at, _)| asked.contains(at));
                for at in asked {
                    self.awaited.remove(&at);
                    self.given.insert(at, given);
                }
                self.tell(Control::Assigned(found));
            }
            Err(error) if passes(&error) => {
                tracing::debug!(group = %self.options.group, %error, "committed offsets are asked for again");
                self.asking.failed(&error);
                let wait = self.coordinator.cluster().backoff(2);
                self.find_stands(given, asked, wait);
            }
            Err(error) => {
                self.tell(Control::Failed(error));
                self.step(Event::Leave);
            }
        }
    }

    /// Those of the partitions that the user knows of.
    fn known(&mut self, gone: &BTreeSet<TopicPartition>) -> Vec<TopicPartition> {
        self.awaited.retain(|at, _| !gone.contains(at));
        self.missing.retain(|at, _| !gone.contains(at));
        gone.iter().filter(|at| self.given.contains_key(at)).cloned().collect()
    }

    fn revoke(&mut self, gone: &BTreeSet<TopicPartition>) {
        let known = self.known(gone);
        if known.is_empty() {
            self.step(Event::Released);
        } else {
            self.tell(Control::Revoked(known));
        }
    }

    fn lose(&mut self, gone: &BTreeSet<TopicPartition>) {
        let known = self.known(gone);
        self.given.retain(|at, _| !gone.contains(at));
        if !known.is_empty() {
            self.tell(Control::Lost(known));
        }
    }
}

fn left(options: &crate::consumer::group::GroupOptions, result: Result<(), ClientError>) -> Done {
    if let Err(error) = result {
        tracing::debug!(group = %options.group, %error, "leaving was not heard");
    }
    Done::Event(Event::Left)
}

/// Whether offsets may be had later: a member that is out of date hears so with its next heartbeat, and a
/// broker may not know yet of a partition that the coordinator has given.
fn passes(error: &ClientError) -> bool {
    let of_members = [ErrorCode::StaleMemberEpoch, ErrorCode::UnknownMemberId];
    let is_young = matches!(error, ClientError::NoPartition { .. });
    error.is_retriable() || is_young || error.code().is_some_and(|code| of_members.contains(&code))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use duramen_protocol::ids::TopicId;
    use tokio::sync::mpsc;
    use tokio::time::timeout;

    use super::*;
    use crate::cluster::ClusterOptions;
    use crate::consumer::group::GroupOptions;
    use crate::testing::{Answer, played};

    fn task()
    -> (Task, mpsc::UnboundedReceiver<Control>, mpsc::UnboundedSender<super::super::Command>) {
        let cluster = played(ClusterOptions::default(), |_, _| Answer::Silence);
        let (to_user, control) = mpsc::unbounded_channel();
        let (commands, from_user) = mpsc::unbounded_channel();
        let options = GroupOptions::new("g").stop_at_end(true).into();
        let channels = (to_user, from_user);
        let shared = (Default::default(), Arc::new(super::super::Presence::new()));
        (Task::new(cluster, options, "t".into(), channels, shared), control, commands)
    }

    #[tokio::test(start_paused = true)]
    async fn a_group_that_gathers_and_can_not_decide_is_in_trouble() {
        let (mut task, _control, _commands) = task();
        let error = task.coordinator.refused(ErrorCode::CoordinatorNotAvailable, None);
        for _ in 0..5 {
            let joined = Ok(crate::consumer::group::member::JoinAnswer::Id("m".into()));
            task.take_done(Done::Joined(0, Vec::new(), joined));
            task.take_done(Done::Event(Event::Synced(0, Err(error.clone()))));
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        let told = task.coordinator.cluster().troubles();
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].lasting, Duration::from_secs(5));
        task.take_done(Done::Event(Event::Synced(0, Ok([].into()))));
        let cluster = task.coordinator.cluster().clone();
        assert_eq!((cluster.troubles().len(), cluster.troubles_over()), (0, 1));
        // It has forgotten the member, which joins again: it decides, then. What it never will is given up.
        for (code, over) in [(ErrorCode::UnknownMemberId, 2), (ErrorCode::InvalidGroupId, 2)] {
            task.take_done(Done::Event(Event::Beat(0, Err(error.clone()))));
            assert_eq!(cluster.troubles().len(), 1);
            let refused = task.coordinator.refused(code, None);
            task.take_done(Done::Event(Event::Beat(0, Err(refused))));
            assert_eq!((cluster.troubles().len(), cluster.troubles_over()), (0, over));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_assignment_that_adds_nothing_hides_none_that_is_looked_up() {
        let (mut task, mut control, _commands) = task();
        let at = TopicPartition::new("t", 0);
        task.assign([at.clone()].into());
        // The group rebalanced, and the share is the same.
        task.assign(BTreeSet::new());
        assert!(control.try_recv().is_err(), "it is not known yet that there is nothing to read");
        let position =
            Position { next: 0, leader_epoch: -1, given: 1, end: None, topic_id: TopicId::nil() };
        task.take_stands(1, [at.clone()].into(), Ok(vec![(at, position)]));
        let told = timeout(Duration::from_secs(1), control.recv()).await.unwrap();
        assert!(matches!(told, Some(Control::Assigned(added)) if added.len() == 1));
    }
}
