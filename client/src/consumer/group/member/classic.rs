//! The member of a classic group, PURE.
//!
//! ```text
//! Waiting → Joining → (Leading →) Syncing → Stable → Releasing → Waiting …
//! ```
//! An eager member gives everything back before it joins again, a cooperative one what the new share
//! lacks. What the user had of it is committed between Releasing and Waiting.

use std::time::Duration;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::text::Text;

use super::{Action, Assignments, Event, Habits, JoinAnswer, Parts};
use crate::error::ClientError;
use crate::random::Random;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    /// To join again, not before the time set.
    Waiting,
    Joining,
    Leading(Text),
    Syncing,
    Stable,
    /// These are being given back.
    Releasing(Parts),
    /// Not in the group: the user does not come for records.
    Away,
    Leaving,
    Ended,
}

/// See the top of the file.
#[derive(Debug)]
pub(in crate::consumer::group) struct ClassicMember {
    habits: Habits,
    phase: Phase,
    member_id: Text,
    generation: i32,
    leads: bool,
    owned: Parts,
    /// The last share, and the generation that gave it.
    last: (Parts, i32),
    attempt: u64,
    /// The heartbeat in flight.
    beating: Option<u64>,
    beat_due: Duration,
    /// Something asked to join again while that was not possible.
    again: bool,
    /// The same, of which the join under way knows nothing.
    changed: bool,
    failures: u32,
    not_before: Duration,
    random: Random,
}

impl ClassicMember {
    pub(super) fn new(habits: Habits, random: Random) -> Self {
        Self {
            habits,
            phase: Phase::Waiting,
            member_id: Text::EMPTY,
            generation: -1,
            leads: false,
            owned: Parts::new(),
            last: (Parts::new(), -1),
            attempt: 0,
            beating: None,
            beat_due: Duration::ZERO,
            again: false,
            changed: false,
            failures: 0,
            not_before: Duration::ZERO,
            random,
        }
    }

    /// Who to say that commits come from; `None` while the member has no place in the group.
    pub(super) fn identity(&self) -> Option<(&Text, i32)> {
        (self.generation >= 0).then_some((&self.member_id, self.generation))
    }

    /// Whether commits may be sent now: while the group hands out assignments it takes none.
    pub(super) fn takes_commits(&self) -> bool {
        matches!(self.phase, Phase::Stable | Phase::Releasing(_)) && self.generation >= 0
    }

    /// Whether the group takes commits as long as it waits for its members to gather: of what it gave in the
    /// last generation, which a cooperative member still reads.
    pub(super) fn may_commit(&self) -> bool {
        matches!(self.phase, Phase::Waiting | Phase::Joining) && self.generation >= 0
    }

    pub(super) fn is_stable(&self) -> bool {
        self.phase == Phase::Stable
    }

    pub(super) fn leads(&self) -> bool {
        self.leads
    }

    /// When to tell that time has passed.
    pub(super) fn wake(&self) -> Option<Duration> {
        match self.phase {
            Phase::Waiting => Some(self.not_before),
            Phase::Stable | Phase::Releasing(_) if self.beats() => Some(self.beat_due),
            _ => None,
        }
    }

    fn beats(&self) -> bool {
        self.beating.is_none() && self.generation >= 0
    }

    /// Takes in what happened.
    pub(super) fn step(&mut self, now: Duration, event: Event) -> Vec<Action> {
        let mut todo = Vec::new();
        match event {
            Event::Joined(attempt, answer) if self.awaits(attempt, &Phase::Joining) => {
                self.joined(now, answer, &mut todo);
            }
            Event::Led(attempt, shares) => self.led(now, attempt, shares, &mut todo),
            Event::Synced(attempt, share) if self.awaits(attempt, &Phase::Syncing) => {
                self.synced(now, share, &mut todo);
            }
            Event::Beat(attempt, answer) if self.beating == Some(attempt) => {
                self.beating = None;
                self.beat(now, answer, &mut todo);
            }
            Event::Released => self.released(now),
            Event::Changed => {
                self.changed = true;
                self.join_again(now, &mut todo);
            }
            Event::CommitRefused(error) => self.refused(now, error, &mut todo),
            Event::Quiet => self.quiet(&mut todo),
            Event::Back if self.phase == Phase::Away => self.wait(now, Duration::ZERO),
            Event::Leave => self.leave(&mut todo),
            Event::Left if self.phase == Phase::Leaving => self.end(&mut todo),
            _ => {}
        }
        self.go_on(now, &mut todo);
        todo
    }

    fn awaits(&self, attempt: u64, phase: &Phase) -> bool {
        self.attempt == attempt && self.phase == *phase
    }

    fn next_attempt(&mut self) -> u64 {
        self.attempt += 1;
        self.attempt
    }

    /// What is due by the time alone.
    fn go_on(&mut self, now: Duration, todo: &mut Vec<Action>) {
        match self.phase {
            Phase::Waiting if now >= self.not_before => {
                self.phase = Phase::Joining;
                self.changed = false;
                todo.push(Action::Join {
                    attempt: self.next_attempt(),
                    member_id: self.member_id.clone(),
                    generation: self.generation,
                    owned: self.owned.clone(),
                    last: self.last.clone(),
                });
            }
            Phase::Stable | Phase::Releasing(_) if self.beats() && now >= self.beat_due => {
                let attempt = self.next_attempt();
                self.beating = Some(attempt);
                let (member_id, generation) = (self.member_id.clone(), self.generation);
                todo.push(Action::Beat { attempt, member_id, generation });
            }
            _ => {}
        }
    }

    fn wait(&mut self, now: Duration, wait: Duration) {
        self.phase = Phase::Waiting;
        self.not_before = now + wait;
    }

    fn backoff(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.habits.backoff.wait(self.failures, &mut self.random)
    }

    fn joined(
        &mut self,
        now: Duration,
        answer: Result<JoinAnswer, ClientError>,
        todo: &mut Vec<Action>,
    ) {
        let joined = match answer {
            Ok(JoinAnswer::Member(joined)) => joined,
            Ok(JoinAnswer::Id(id)) => {
                self.member_id = id;
                return self.wait(now, Duration::ZERO);
            }
            Err(error) => return self.join_failed(now, error, todo),
        };
        self.member_id = joined.member_id.clone();
        self.generation = joined.generation;
        self.leads = joined.leads;
        self.beating = None;
        self.again = false;
        if joined.leads && !joined.skip_assignment {
            self.phase = Phase::Leading(joined.protocol.clone());
            todo.push(Action::Lead { attempt: self.attempt, joined });
        } else {
            self.sync(joined.protocol, Vec::new(), todo);
        }
    }

    fn sync(&mut self, protocol: Text, shares: Assignments, todo: &mut Vec<Action>) {
        self.phase = Phase::Syncing;
        todo.push(Action::Sync {
            attempt: self.next_attempt(),
            member_id: self.member_id.clone(),
            generation: self.generation,
            protocol,
            shares,
        });
    }

    fn led(
        &mut self,
        now: Duration,
        attempt: u64,
        shares: Result<Assignments, ClientError>,
        todo: &mut Vec<Action>,
    ) {
        let Phase::Leading(protocol) = &self.phase else { return };
        if attempt != self.attempt {
            return;
        }
        let protocol = protocol.clone();
        match shares {
            Ok(shares) => self.sync(protocol, shares, todo),
            Err(error) => self.join_failed(now, error, todo),
        }
    }

    fn synced(&mut self, now: Duration, share: Result<Parts, ClientError>, todo: &mut Vec<Action>) {
        let share = match share {
            Ok(share) => share,
            Err(error) => return self.join_failed(now, error, todo),
        };
        self.failures = 0;
        self.beat_due = now + self.habits.heartbeat;
        let added: Parts = share.difference(&self.owned).cloned().collect();
        let gone: Parts = self.owned.difference(&share).cloned().collect();
        self.last = (share.clone(), self.generation);
        self.owned.extend(share);
        self.phase = if gone.is_empty() { Phase::Stable } else { Phase::Releasing(gone.clone()) };
        if !gone.is_empty() {
            todo.push(Action::Revoke(gone));
        }
        todo.push(Action::Assign(added));
        if self.again || self.changed {
            self.join_again(now, todo);
        }
    }

    /// A step of joining failed.
    fn join_failed(&mut self, now: Duration, error: ClientError, todo: &mut Vec<Action>) {
        let wait = match error.code() {
            Some(ErrorCode::RebalanceInProgress) => self.habits.backoff.first,
            Some(ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration) => {
                self.lose(error.code(), todo);
                self.backoff()
            }
            Some(ErrorCode::InconsistentGroupProtocol) if self.habits.either => {
                self.lose(None, todo);
                self.phase = Phase::Ended;
                return todo.push(Action::ChangeSides(error));
            }
            _ if error.is_retriable() => self.backoff(),
            _ => return self.fail(error, todo),
        };
        self.wait(now, wait);
    }

    fn beat(&mut self, now: Duration, answer: Result<(), ClientError>, todo: &mut Vec<Action>) {
        self.beat_due = now + self.habits.heartbeat;
        match answer {
            Ok(()) => self.failures = 0,
            Err(error) if error.is_retriable() => self.beat_due = now + self.backoff(),
            Err(error) => self.refused(now, error, todo),
        }
    }

    /// A heartbeat or a commit was refused.
    fn refused(&mut self, now: Duration, error: ClientError, todo: &mut Vec<Action>) {
        if !matches!(self.phase, Phase::Stable | Phase::Releasing(_)) {
            return;
        }
        match error.code() {
            Some(ErrorCode::RebalanceInProgress) => self.join_again(now, todo),
            Some(ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration) => {
                self.lose(error.code(), todo);
                if self.phase == Phase::Stable {
                    self.wait(now, Duration::ZERO);
                }
            }
            Some(ErrorCode::FencedInstanceId | ErrorCode::GroupAuthorizationFailed) => {
                self.fail(error, todo);
            }
            // A commit's own fault is its caller's; a heartbeat has no other.
            _ => {}
        }
    }

    /// Everything belongs to others.
    fn lose(&mut self, why: Option<ErrorCode>, todo: &mut Vec<Action>) {
        self.generation = -1;
        self.beating = None;
        if why == Some(ErrorCode::UnknownMemberId) {
            self.member_id = Text::EMPTY;
        }
        // The user knows already that these go.
        let told = match &self.phase {
            Phase::Releasing(told) => told.clone(),
            _ => Parts::new(),
        };
        let gone: Parts = self.owned.difference(&told).cloned().collect();
        self.owned = told;
        if !gone.is_empty() {
            todo.push(Action::Lose(gone));
        }
    }

    fn join_again(&mut self, now: Duration, todo: &mut Vec<Action>) {
        match self.phase {
            Phase::Stable if self.habits.cooperative || self.owned.is_empty() => {
                self.wait(now, Duration::ZERO);
            }
            Phase::Stable => {
                self.phase = Phase::Releasing(self.owned.clone());
                todo.push(Action::Revoke(self.owned.clone()));
            }
            Phase::Joining | Phase::Leading(_) | Phase::Syncing => self.again = true,
            // These join again anyway, or not at all.
            Phase::Waiting | Phase::Releasing(_) | Phase::Away | Phase::Leaving | Phase::Ended => {}
        }
    }

    fn released(&mut self, now: Duration) {
        if let Phase::Releasing(gone) = &self.phase {
            self.owned.retain(|partition| !gone.contains(partition));
            self.wait(now, Duration::ZERO);
        }
    }

    fn quiet(&mut self, todo: &mut Vec<Action>) {
        if matches!(self.phase, Phase::Away | Phase::Leaving | Phase::Ended) {
            return;
        }
        if !self.habits.is_static && !self.member_id.is_empty() {
            todo.push(Action::LeaveGroup(self.member_id.clone()));
        }
        self.lose(Some(ErrorCode::UnknownMemberId), todo);
        self.attempt += 1;
        // What is being given back is let go of when the user comes: it joins again then.
        if !matches!(self.phase, Phase::Releasing(_)) {
            self.phase = Phase::Away;
        }
    }

    fn leave(&mut self, todo: &mut Vec<Action>) {
        if matches!(self.phase, Phase::Leaving | Phase::Ended) {
            return;
        }
        self.attempt += 1;
        self.beating = None;
        if self.habits.is_static || self.member_id.is_empty() {
            return self.end(todo);
        }
        self.phase = Phase::Leaving;
        todo.push(Action::LeaveGroup(self.member_id.clone()));
    }

    fn fail(&mut self, error: ClientError, todo: &mut Vec<Action>) {
        self.lose(None, todo);
        self.phase = Phase::Ended;
        todo.push(Action::Fail(error));
    }

    fn end(&mut self, todo: &mut Vec<Action>) {
        self.phase = Phase::Ended;
        self.generation = -1;
        todo.push(Action::End);
    }
}

#[cfg(test)]
#[path = "classic_tests.rs"]
mod tests;
