//! The member of a consumer group (KIP-848), PURE: its heartbeats tell the coordinator what it reads, and
//! tell it what to read.
//!
//! ```text
//! Joining → Stable ⇄ Releasing
//! ```
//! It comes to its target in two steps: what the target lacks is given back first, and what the user had of
//! it is committed; then it takes what is new, and the next heartbeat, sent at once, says so. Partitions
//! that stay are read on meanwhile.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::TopicId;
use duramen_protocol::text::Text;

use super::{Action, Beat, Event, Habits, Heard, Parts, Place};
use crate::consumer::TopicPartition;
use crate::error::ClientError;
use crate::random::Random;

/// Epochs that say what the member is about to do.
const JOIN: i32 = 0;
const LEAVE: i32 = -1;
const LEAVE_FOR_A_WHILE: i32 = -2;
/// The time between heartbeats before the coordinator has named one.
const INTERVAL: Duration = Duration::from_secs(5);
/// Heartbeats without partitions after which it is believed that there are none for this member: others
/// may have to give them back first.
const NOTHING_AFTER: u32 = 3;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    /// To join, not before the time set.
    Joining,
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
pub(in crate::consumer::group) struct ConsumerMember {
    habits: Habits,
    phase: Phase,
    member_id: Text,
    /// 0 while it has no place.
    epoch: i32,
    /// What it is to read.
    target: BTreeSet<Place>,
    /// What it reads, by name.
    owned: BTreeMap<Place, TopicPartition>,
    names: BTreeMap<TopicId, Text>,
    /// Names are being asked for.
    naming: bool,
    /// What the coordinator was told that it reads.
    told: Option<BTreeSet<Place>>,
    /// Everything is to be told: the coordinator may not know what was told last, or something changed.
    full: bool,
    /// Answers in a row that gave it nothing.
    empty: u32,
    interval: Duration,
    attempt: u64,
    /// The heartbeat in flight.
    beating: Option<u64>,
    /// When the next one is due, also one that joins.
    beat_due: Duration,
    /// Until when it waits for a place that its former self has not left.
    unreleased: Option<Duration>,
    failures: u32,
    random: Random,
}

impl ConsumerMember {
    pub(super) fn new(habits: Habits, member_id: Text, random: Random) -> Self {
        Self {
            habits,
            phase: Phase::Joining,
            member_id,
            epoch: JOIN,
            target: BTreeSet::new(),
            owned: BTreeMap::new(),
            names: BTreeMap::new(),
            naming: false,
            told: None,
            full: true,
            empty: 0,
            interval: INTERVAL,
            attempt: 0,
            beating: None,
            beat_due: Duration::ZERO,
            unreleased: None,
            failures: 0,
            random,
        }
    }

    pub(super) fn identity(&self) -> Option<(&Text, i32)> {
        (self.epoch > JOIN).then_some((&self.member_id, self.epoch))
    }

    /// The id of the topic of a partition that it is to read, and reads.
    pub(super) fn topic_of(&self, at: &TopicPartition) -> Option<TopicId> {
        let mut owned = self.owned.iter().filter(|(place, _)| self.target.contains(place));
        owned.find(|(_, owned)| *owned == at).map(|((id, _), _)| *id)
    }

    pub(super) fn takes_commits(&self) -> bool {
        self.epoch > JOIN && matches!(self.phase, Phase::Stable | Phase::Releasing(_))
    }

    pub(super) fn is_stable(&self) -> bool {
        self.phase == Phase::Stable
    }

    pub(super) fn wake(&self) -> Option<Duration> {
        self.may_beat().then_some(self.beat_due)
    }

    fn may_beat(&self) -> bool {
        self.beating.is_none()
            && match self.phase {
                Phase::Joining => true,
                Phase::Stable | Phase::Releasing(_) => self.epoch > JOIN,
                Phase::Away | Phase::Leaving | Phase::Ended => false,
            }
    }

    /// Takes in what happened.
    pub(super) fn step(&mut self, now: Duration, event: Event) -> Vec<Action> {
        let mut todo = Vec::new();
        match event {
            Event::Heard(attempt, answer) if self.beating == Some(attempt) => {
                self.beating = None;
                match answer {
                    Ok(heard) => self.heard(now, heard, &mut todo),
                    Err(error) => self.beat_failed(now, error, &mut todo),
                }
            }
            Event::Named(names) => {
                self.names.extend(names);
                // What is not known still is asked for again behind the next heartbeat.
                self.naming = !self.unnamed().is_empty();
                self.reconcile(now, &mut todo);
            }
            Event::Released => self.released(now, &mut todo),
            Event::Changed => {
                self.full = true;
                if self.epoch > JOIN {
                    self.beat_due = self.beat_due.min(now);
                }
            }
            Event::CommitRefused(error) => self.commit_refused(now, error, &mut todo),
            Event::Quiet => self.quiet(&mut todo),
            Event::Back if self.phase == Phase::Away => self.join(now, Duration::ZERO),
            Event::Leave => self.leave(&mut todo),
            Event::Left if self.phase == Phase::Leaving => self.end(&mut todo),
            _ => {}
        }
        if self.may_beat() && now >= self.beat_due {
            todo.push(self.next_beat());
        }
        todo
    }

    fn next_beat(&mut self) -> Action {
        self.attempt += 1;
        self.beating = Some(self.attempt);
        let owned: BTreeSet<Place> = match self.epoch {
            // Whoever joins has nothing.
            JOIN => BTreeSet::new(),
            _ => self.owned.keys().copied().collect(),
        };
        // What changes from here on goes with the one after.
        let full = std::mem::take(&mut self.full) || self.epoch == JOIN;
        let news = full || self.told.as_ref() != Some(&owned);
        self.told = Some(owned.clone());
        let beat = Beat {
            member_id: self.member_id.clone(),
            epoch: self.epoch,
            full,
            owned: news.then_some(owned),
        };
        Action::Hear { attempt: self.attempt, beat }
    }

    /// Joins (again) after a while.
    fn join(&mut self, now: Duration, wait: Duration) {
        self.phase = Phase::Joining;
        self.beat_due = now + wait;
    }

    fn backoff(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.habits.backoff.wait(self.failures, &mut self.random)
    }

    fn heard(&mut self, now: Duration, heard: Heard, todo: &mut Vec<Action>) {
        if self.epoch > JOIN {
            self.failures = 0;
        }
        if let Some(id) = heard.member_id.filter(|id| !id.is_empty()) {
            self.member_id = id;
        }
        self.epoch = heard.epoch.max(JOIN);
        self.unreleased = None;
        self.interval = if heard.interval.is_zero() { INTERVAL } else { heard.interval };
        self.beat_due = if self.full { now } else { now + self.interval };
        if self.phase == Phase::Joining {
            self.phase = Phase::Stable;
        }
        if let Some(target) = heard.assignment {
            self.target = target;
            let used: BTreeSet<TopicId> =
                self.target.iter().chain(self.owned.keys()).map(|(id, _)| *id).collect();
            self.names.retain(|id, _| used.contains(id));
        }
        self.naming = false;
        let has_nothing = self.target.is_empty() && self.owned.is_empty();
        self.empty = if has_nothing { self.empty.saturating_add(1) } else { 0 };
        if self.empty == NOTHING_AFTER {
            todo.push(Action::Assign(Parts::new()));
        }
        self.reconcile(now, todo);
    }

    /// Topics of the target whose names are not known.
    fn unnamed(&self) -> BTreeSet<TopicId> {
        let ids = self.target.iter().map(|(id, _)| *id);
        ids.filter(|id| !self.names.contains_key(id)).collect()
    }

    /// Takes the next step to the target.
    fn reconcile(&mut self, now: Duration, todo: &mut Vec<Action>) {
        if self.phase != Phase::Stable || self.epoch <= JOIN {
            return;
        }
        let gone: Parts = self
            .owned
            .iter()
            .filter(|(place, _)| !self.target.contains(place))
            .map(|(_, at)| at.clone())
            .collect();
        if !gone.is_empty() {
            self.phase = Phase::Releasing(gone.clone());
            return todo.push(Action::Revoke(gone));
        }
        let mut added = Parts::new();
        for place in &self.target {
            if let (Some(name), Entry::Vacant(new)) =
                (self.names.get(&place.0), self.owned.entry(*place))
            {
                let at = TopicPartition::new(name.clone(), place.1);
                added.insert(new.insert(at).clone());
            }
        }
        if !added.is_empty() {
            todo.push(Action::Assign(added));
        }
        let unnamed = self.unnamed();
        if !unnamed.is_empty() && !self.naming {
            self.naming = true;
            todo.push(Action::Name(unnamed));
        }
        if !self.told.as_ref().is_some_and(|told| told.iter().eq(self.owned.keys())) {
            self.beat_due = now;
        }
    }

    fn released(&mut self, now: Duration, todo: &mut Vec<Action>) {
        let Phase::Releasing(gone) = &self.phase else { return };
        self.owned.retain(|_, at| !gone.contains(at));
        if self.epoch > JOIN {
            self.phase = Phase::Stable;
            self.reconcile(now, todo);
        } else {
            let wait = self.beat_due.saturating_sub(now);
            self.join(now, wait);
        }
    }

    fn beat_failed(&mut self, now: Duration, error: ClientError, todo: &mut Vec<Action>) {
        let joins = self.epoch == JOIN;
        match error.code() {
            Some(ErrorCode::GroupIdNotFound | ErrorCode::UnsupportedVersion)
                if joins && self.habits.either =>
            {
                self.phase = Phase::Ended;
                return todo.push(Action::ChangeSides(error));
            }
            Some(ErrorCode::FencedMemberEpoch | ErrorCode::UnknownMemberId) => {
                return self.fenced(now, todo);
            }
            Some(ErrorCode::GroupIdNotFound) if !joins => return self.fenced(now, todo),
            // The place is free when its session has ended.
            Some(ErrorCode::UnreleasedInstanceId)
                if now < *self.unreleased.get_or_insert(now + self.habits.session_timeout) => {}
            _ if error.is_retriable() => {}
            _ => return self.fail(error, todo),
        }
        // Whether it was heard is not known.
        (self.full, self.told) = (true, None);
        self.beat_due = now + self.backoff();
    }

    fn commit_refused(&mut self, now: Duration, error: ClientError, todo: &mut Vec<Action>) {
        if !self.takes_commits() {
            return;
        }
        match error.code() {
            Some(
                ErrorCode::UnknownMemberId
                | ErrorCode::FencedMemberEpoch
                | ErrorCode::GroupIdNotFound,
            ) => self.fenced(now, todo),
            Some(ErrorCode::FencedInstanceId | ErrorCode::GroupAuthorizationFailed) => {
                self.fail(error, todo);
            }
            // A heartbeat brings the epoch.
            Some(ErrorCode::StaleMemberEpoch) => self.beat_due = self.beat_due.min(now),
            // A commit's own fault is its caller's.
            _ => {}
        }
    }

    /// The coordinator knows it no more: all is lost, and it joins anew.
    fn fenced(&mut self, now: Duration, todo: &mut Vec<Action>) {
        self.lose(todo);
        self.beat_due = now + self.backoff();
        if self.phase == Phase::Stable {
            self.phase = Phase::Joining;
        }
    }

    /// Everything belongs to others.
    fn lose(&mut self, todo: &mut Vec<Action>) {
        self.epoch = JOIN;
        self.beating = None;
        (self.full, self.told, self.empty) = (true, None, 0);
        self.target.clear();
        // The user knows already that these go.
        let going = match &self.phase {
            Phase::Releasing(going) => going.clone(),
            _ => Parts::new(),
        };
        let gone: Parts = self.owned.values().filter(|at| !going.contains(at)).cloned().collect();
        self.owned.retain(|_, at| going.contains(at));
        if !gone.is_empty() {
            todo.push(Action::Lose(gone));
        }
    }

    /// The heartbeat that says goodbye; a join in flight may still be heard.
    fn goodbye(&self) -> Option<Action> {
        let heard_of = self.epoch > JOIN || self.beating.is_some();
        heard_of.then(|| {
            let epoch = if self.habits.is_static { LEAVE_FOR_A_WHILE } else { LEAVE };
            let member_id = self.member_id.clone();
            Action::Depart(Beat { member_id, epoch, full: false, owned: None })
        })
    }

    fn quiet(&mut self, todo: &mut Vec<Action>) {
        if matches!(self.phase, Phase::Away | Phase::Leaving | Phase::Ended) {
            return;
        }
        todo.extend(self.goodbye());
        self.lose(todo);
        // What is being given back is let go of when the user comes: it joins again then.
        if !matches!(self.phase, Phase::Releasing(_)) {
            self.phase = Phase::Away;
        }
    }

    fn leave(&mut self, todo: &mut Vec<Action>) {
        if matches!(self.phase, Phase::Leaving | Phase::Ended) {
            return;
        }
        let goodbye = self.goodbye();
        self.beating = None;
        match goodbye {
            Some(goodbye) => {
                self.phase = Phase::Leaving;
                todo.push(goodbye);
            }
            None => self.end(todo),
        }
    }

    fn fail(&mut self, error: ClientError, todo: &mut Vec<Action>) {
        self.lose(todo);
        self.phase = Phase::Ended;
        todo.push(Action::Fail(error));
    }

    fn end(&mut self, todo: &mut Vec<Action>) {
        self.phase = Phase::Ended;
        self.epoch = JOIN;
        todo.push(Action::End);
    }
}

#[cfg(test)]
#[path = "consumer_tests.rs"]
mod tests;
