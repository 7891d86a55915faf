//! PURE. A classic group taken apart into its members, and put together from some.

use std::collections::BTreeSet;

use bytes::Bytes;
use duramen_protocol::consumer_protocol::{ConsumerProtocolSubscription, PROTOCOL_TYPE};
use duramen_protocol::error::ErrorCode;
use duramen_protocol::group_records::GroupRecord;
use duramen_protocol::text::Text;

use super::member::Member;
use super::{ClassicGroup, State};
use crate::coordinator::command::Turn;
use crate::coordinator::group::consumer::{Assignment, ordered};
use crate::coordinator::group::migration::{Migrant, by_id, read_assignment, to_assignment};
use crate::coordinator::group::millis;
use crate::metadata::MetadataImage;

impl ClassicGroup {
    /// The members, with what they may be reading: what they were assigned and, where that was taken
    /// back for a rebalance, what they said they have. Whoever has never been told a generation has
    /// nothing, and joins again. An error says why they can't go on in a KIP-848 group.
    pub(in crate::coordinator::group) fn migrants(
        &self,
        image: &MetadataImage,
    ) -> Result<Vec<Migrant>, &'static str> {
        let mut migrants = Vec::with_capacity(self.members.len());
        let mut claims = Vec::with_capacity(self.members.len());
        let assignor = self.protocol.as_deref().unwrap_or_default();
        for member in self.members.values() {
            let subscription = ConsumerProtocolSubscription::from_bytes(&self.subscription(member));
            let subscription =
                subscription.map_err(|_| "the embedded consumer protocol is malformed")?;
            let held = read_assignment(&member.assignment, assignor, image)?;
            if !member.is_new {
                claims.push(by_id(&subscription.owned_partitions, image));
                migrants.push(member.to_migrant(subscription, held));
            }
        }
        let all = |held: &Assignment| -> Vec<_> {
            let topics = held.iter();
            topics.flat_map(|(topic, all)| all.iter().map(|index| (*topic, *index))).collect()
        };
        let mut taken: BTreeSet<_> = migrants.iter().flat_map(|it| all(&it.held)).collect();
        for (migrant, claims) in migrants.iter_mut().zip(&claims) {
            for (topic, index) in all(claims) {
                if taken.insert((topic, index)) {
                    migrant.held.entry(topic).or_default().insert(index);
                }
            }
        }
        Ok(migrants)
    }

    /// What a member says to the assignor of this generation; all are told the same.
    fn subscription(&self, member: &Member) -> Bytes {
        let current = member.metadata(self.protocol.as_deref().unwrap_or_default());
        match member.protocols.first() {
            Some((_, first)) if current.is_empty() => first.clone(),
            _ => current,
        }
    }

    /// The group is no more: whoever waits is to join the one that it has become.
    pub(in crate::coordinator::group) fn dissolve(&mut self, turn: &mut Turn<'_>) {
        for member in self.members.values_mut() {
            for to in [member.join.take(), member.sync.take()].into_iter().flatten() {
                turn.refuse(to, ErrorCode::RebalanceInProgress);
            }
        }
        self.joining = 0;
    }

    /// A group of these members, and its record; `None` when they have no assignor in common. Its
    /// members are called together, unless it is `settled`: all know the generation, read what they
    /// are to read, and were told of the same assignor.
    pub(in crate::coordinator::group) fn of_migrants(
        id: Text,
        generation: i32,
        migrants: Vec<Migrant>,
        settled: bool,
        turn: &Turn<'_>,
        image: &MetadataImage,
    ) -> Option<(Self, GroupRecord)> {
        let mut group = Self::new(id);
        group.generation = generation;
        group.protocol_type = Some(PROTOCOL_TYPE.into());
        let mut held = Vec::with_capacity(migrants.len());
        for migrant in migrants {
            held.push((migrant.id.clone(), migrant.held.clone()));
            group.insert(Member::of_migrant(migrant));
        }
        group.protocol = Some(group.chosen_protocol()?);
        for (id, held) in held {
            let subscription = group.members.get(&id).map(|member| group.subscription(member));
            let assignment = to_assignment(&held, &subscription.unwrap_or_default(), image);
            if let Some(member) = group.members.get_mut(&id) {
                member.assignment = assignment;
            }
        }
        let told = |member: &Member| member.protocols.first().map(|(name, _)| name.clone());
        let settled = settled && group.members.values().all(|it| told(it) == group.protocol);
        group.enter(State::Stable, turn.now);
        if !settled {
            // Without a leader the record says that the members are called together.
            group.leader = None;
            group.enter(State::PreparingRebalance, turn.now);
            group.await_joins(turn.now, group.rebalance_timeout());
        }
        let record = group.record(|member| member.assignment.clone());
        Some((group, record))
    }
}

impl Member {
    fn to_migrant(&self, subscription: ConsumerProtocolSubscription, held: Assignment) -> Migrant {
        Migrant {
            id: self.id.clone(),
            instance_id: self.instance_id.clone(),
            rack_id: subscription.rack_id.filter(|rack| !rack.is_empty()),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            topics: ordered(subscription.topics),
            rebalance_timeout_ms: super::member::as_millis(self.rebalance_timeout),
            session_timeout_ms: super::member::as_millis(self.session_timeout),
            protocols: self.protocols.clone(),
            held,
            deadline: self.deadline,
        }
    }

    fn of_migrant(migrant: Migrant) -> Self {
        Self {
            id: migrant.id,
            instance_id: migrant.instance_id,
            client_id: migrant.client_id,
            client_host: migrant.client_host,
            rebalance_timeout: millis(migrant.rebalance_timeout_ms),
            session_timeout: millis(migrant.session_timeout_ms),
            protocols: migrant.protocols,
            assignment: Bytes::new(),
            deadline: migrant.deadline,
            is_new: false,
            join: None,
            sync: None,
            synced: true,
        }
    }
}
