//! PURE. How a generation comes to be: members are called to join, one leads, an assignor is chosen.

use std::time::Duration;

use bytes::Bytes;
use duramen_protocol::error::ErrorCode;
use duramen_protocol::text::Text;

use super::{ClassicGroup, Gathering, INSTANT, State};
use crate::coordinator::command::{Now, Turn};

impl ClassicGroup {
    /// Someone came, went or changed: calls the members together, or, when that is under way, looks
    /// whether all are there.
    pub(super) fn rebalance_or_complete(&mut self, turn: &mut Turn<'_>) {
        match self.state {
            State::PreparingRebalance if self.gathering.is_none() && self.all_joined() => {
                self.complete_join(turn);
            }
            State::PreparingRebalance => {}
            State::Empty if self.members.is_empty() => {}
            _ => self.prepare_rebalance(turn),
        }
    }

    fn prepare_rebalance(&mut self, turn: &mut Turn<'_>) {
        if self.state == State::CompletingRebalance {
            for member in self.members.values_mut() {
                member.assignment = Bytes::new();
                if let Some(to) = member.sync.take() {
                    turn.refuse(to, ErrorCode::RebalanceInProgress);
                }
            }
        }
        self.sync_deadline = None;
        let first = self.state == State::Empty;
        self.enter(State::PreparingRebalance, turn.now);
        if first {
            let delay = turn.limits.initial_rebalance_delay;
            let remaining = self.rebalance_timeout().saturating_sub(delay);
            self.gathering = Some(Gathering { remaining, delay, grew: false });
            self.await_joins(turn.now, delay);
        } else if self.all_joined() {
            self.complete_join(turn);
        } else {
            self.await_joins(turn.now, self.rebalance_timeout());
        }
    }

    pub(super) fn await_joins(&mut self, now: Now, time: Duration) {
        // Never at once: what waits must not spin.
        let deadline = now.at + time.max(INSTANT);
        self.join_deadline = Some(deadline);
        self.wake_by(deadline);
    }

    /// The longest that any member takes to come.
    pub(super) fn rebalance_timeout(&self) -> Duration {
        self.members.values().map(|member| member.rebalance_timeout).max().unwrap_or_default()
    }

    fn all_joined(&self) -> bool {
        self.joining == self.members.len() && self.pending.is_empty()
    }

    /// The time for joining is over, unless a first generation may gather more members.
    pub(super) fn expire_joins(&mut self, turn: &mut Turn<'_>) {
        if self.join_deadline.is_none_or(|deadline| deadline > turn.now.at) {
            return;
        }
        self.join_deadline = None;
        if self.state != State::PreparingRebalance {
            return;
        }
        if let Some(gathering) = self.gathering.filter(|it| it.grew && !it.remaining.is_zero()) {
            let delay = turn.limits.initial_rebalance_delay.min(gathering.remaining);
            let remaining = gathering.remaining.saturating_sub(gathering.delay);
            self.gathering = Some(Gathering { remaining, delay, grew: false });
            self.await_joins(turn.now, delay);
            return;
        }
        self.complete_join(turn);
    }

    /// Begins the next generation with those who are here. A static member keeps its place.
    fn complete_join(&mut self, turn: &mut Turn<'_>) {
        self.join_deadline = None;
        self.gathering = None;
        let missing = self.members.values().filter(|it| it.join.is_none() && it.is_dynamic());
        let missing: Vec<Text> = missing.map(|member| member.id.clone()).collect();
        for id in missing {
            self.remove(&id);
        }
        if !self.members.is_empty() && !self.elect() {
            // Only static members, and none of them is back yet.
            self.await_joins(turn.now, self.rebalance_timeout());
            return;
        }
        if self.members.is_empty() && !self.recorded {
            // Whoever came left before there was a generation: nothing is worth a record.
            self.enter(State::Empty, turn.now);
            return;
        }
        self.generation = self.generation.wrapping_add(1).max(1);
        turn.out.rebalances += 1;
        if self.members.is_empty() {
            self.protocol = None;
            self.leader = None;
            self.enter(State::Empty, turn.now);
            turn.record(self.record(|_| Bytes::new()));
            return;
        }
        self.protocol = self.chosen_protocol();
        self.enter(State::CompletingRebalance, turn.now);
        self.tell_generation(turn);
    }

    fn tell_generation(&mut self, turn: &mut Turn<'_>) {
        let ids: Vec<Text> = self.members.keys().cloned().collect();
        for id in ids {
            if let Some(to) = self.take_join(&id) {
                turn.reply(to, self.generation_for(&id, self.is_leader(&id)));
            }
            if let Some(member) = self.members.get_mut(&id) {
                member.is_new = false;
                member.synced = false;
            }
            self.heard(&id, turn.now);
        }
        let deadline = turn.now.at + self.rebalance_timeout();
        self.sync_deadline = Some(deadline);
        self.wake_by(deadline);
    }

    /// Sees to it that a member leads that is here; false when nobody is.
    fn elect(&mut self) -> bool {
        let here = |id: &Text| self.members.get(id).is_some_and(|member| member.join.is_some());
        if self.leader.as_ref().is_some_and(here) {
            return true;
        }
        let next = self.members.values().find(|member| member.join.is_some());
        let Some(next) = next.map(|member| member.id.clone()) else { return false };
        self.leader = Some(next);
        true
    }

    /// Of the assignors that everyone speaks, the one that most members like best.
    pub(super) fn chosen_protocol(&self) -> Option<Text> {
        let everyone = |name: &Text| self.spoken.get(name) == Some(&self.members.len());
        let mut votes: std::collections::BTreeMap<&Text, usize> = std::collections::BTreeMap::new();
        for member in self.members.values() {
            let favourite =
                member.protocols.iter().map(|(name, _)| name).find(|name| everyone(name));
            if let Some(name) = favourite {
                *votes.entry(name).or_default() += 1;
            }
        }
        votes.into_iter().max_by_key(|(_, count)| *count).map(|(name, _)| name.clone())
    }

    /// Members that took their generation and never asked for their work are gone.
    pub(super) fn expire_syncs(&mut self, turn: &mut Turn<'_>) {
        if self.sync_deadline.is_none_or(|deadline| deadline > turn.now.at) {
            return;
        }
        self.sync_deadline = None;
        if !matches!(self.state, State::CompletingRebalance | State::Stable) {
            return;
        }
        let missing = self.members.values().filter(|member| !member.synced);
        let missing: Vec<Text> = missing.map(|member| member.id.clone()).collect();
        for id in &missing {
            self.remove(id);
        }
        if !missing.is_empty() {
            self.prepare_rebalance(turn);
        }
    }
}
