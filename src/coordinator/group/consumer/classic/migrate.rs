//! PURE. A group taken apart into classic members, and put together from some.

use std::collections::BTreeSet;

use bytes::Bytes;
use duramen_protocol::group_records::{
    ClassicMemberMetadata, ClassicProtocol, ConsumerGroupMemberMetadataValue, GroupRecord,
};
use duramen_protocol::text::Text;

use super::super::assignor::Assignment;
use super::super::leave::gone;
use super::super::member::{Member, MemberState, Position};
use super::super::{ConsumerGroup, records, subscription};
use crate::coordinator::command::Turn;
use crate::coordinator::group::Group;
use crate::coordinator::group::classic::ClassicGroup;
use crate::coordinator::group::migration::Migrant;
use crate::metadata::MetadataImage;

/// A classic member that comes in the place of the last one that was none.
pub(in super::super) struct Arrival<'a> {
    /// The member, in the position of the other.
    pub(super) member: &'a Member,
    /// Nothing changes but its protocol: there is no need to call the members together.
    pub(super) settled: bool,
}

impl ConsumerGroup {
    /// A group of these members, which have what they had, in the epoch that was their generation.
    /// Its records are the turn's, and its state already.
    pub(in crate::coordinator::group) fn of_migrants(
        id: Text,
        epoch: i32,
        migrants: &[Migrant],
        turn: &mut Turn<'_>,
        image: &MetadataImage,
    ) -> Self {
        let mut group = Self::new(id);
        let members: Vec<Member> =
            migrants.iter().map(|it| Member::of_migrant(it, epoch)).collect();
        for record in group.birth(epoch, migrants, &members, turn.now.wall_ms, image) {
            turn.record(record.clone());
            group.replay(record);
        }
        let session = group.session_timeout(turn.limits, image);
        for member in &members {
            group.timers.heard(&member.id, turn.now.at + member.session_timeout(session));
        }
        group
    }

    fn birth(
        &self,
        epoch: i32,
        migrants: &[Migrant],
        members: &[Member],
        wall_ms: i64,
        image: &MetadataImage,
    ) -> Vec<GroupRecord> {
        let hash = subscription::hash(members.iter(), &self.regexes, image);
        let mut records: Vec<GroupRecord> =
            members.iter().map(|it| records::member(&self.id, &it.id, Some(it))).collect();
        records.push(records::group(&self.id, epoch, hash));
        let target = |it: &Migrant| records::target(&self.id, &it.id, Some(&it.held));
        records.extend(migrants.iter().map(target));
        records.push(records::target_epoch(&self.id, Some((epoch, wall_ms))));
        let position = |it: &Member| records::position(&self.id, &it.id, Some(&it.position));
        records.extend(members.iter().map(position));
        records
    }

    /// Without these members, and with the one that arrives, the group becomes a classic one, when
    /// only classic members are left and it may.
    pub(in super::super) fn downgrade(
        &self,
        turn: &mut Turn<'_>,
        out: &BTreeSet<Text>,
        arrival: Option<&Arrival<'_>>,
        image: &MetadataImage,
    ) -> bool {
        let left = || self.members.values().filter(|member| !out.contains(&member.id));
        let count = left().count() + usize::from(arrival.is_some());
        if count == 0
            || !left().all(Member::is_classic)
            || !turn.limits.consumer.migration.downgrades()
            || count > turn.limits.members_max
        {
            return false;
        }
        let members = left().chain(arrival.map(|arrival| arrival.member));
        let migrants: Vec<Migrant> =
            members.map(|member| self.migrant(turn, member, image)).collect();
        let settled = arrival.is_some_and(|arrival| arrival.settled);
        let id = self.id.clone();
        let classic = ClassicGroup::of_migrants(id, self.epoch, migrants, settled, turn, image);
        let Some((group, record)) = classic else { return false };
        let before = turn.out.records.len();
        for id in self.members.keys() {
            turn.out.records.extend(gone(&self.id, id));
        }
        self.bury(turn);
        turn.record(record);
        let size: usize = turn.out.records.iter().skip(before).map(size_of).sum();
        if size > turn.limits.member_bytes_max {
            // A group that can't be written must not keep a member from going.
            turn.out.records.truncate(before);
            return false;
        }
        turn.begin(Group::Classic(group));
        true
    }

    fn migrant(&self, turn: &Turn<'_>, member: &Member, image: &MetadataImage) -> Migrant {
        let about = member.about.clone();
        let classic = about.classic_member_metadata.unwrap_or_default();
        let session = member.session_timeout(self.session_timeout(turn.limits, image));
        let mut held = Assignment::new();
        for (topic, index) in member.position.held() {
            held.entry(topic).or_default().insert(index);
        }
        let protocols = classic.supported_protocols.into_iter();
        Migrant {
            id: member.id.clone(),
            instance_id: about.instance_id,
            rack_id: about.rack_id,
            client_id: about.client_id,
            client_host: about.client_host,
            topics: about.subscribed_topic_names,
            rebalance_timeout_ms: about.rebalance_timeout_ms,
            session_timeout_ms: classic.session_timeout_ms,
            protocols: protocols.map(|protocol| (protocol.name, protocol.metadata)).collect(),
            held,
            deadline: self
                .timers
                .sessions
                .get(&member.id)
                .copied()
                .unwrap_or(turn.now.at + session),
        }
    }
}

/// What a record takes in a batch, about.
fn size_of(record: &GroupRecord) -> usize {
    let size = |(key, value): (Bytes, Option<Bytes>)| key.len() + value.map_or(0, |it| it.len());
    record.encode().map_or(0, size) + RECORD_OVERHEAD
}

/// Lengths, offset, timestamp and the like.
const RECORD_OVERHEAD: usize = 32;

impl Member {
    fn of_migrant(migrant: &Migrant, epoch: i32) -> Self {
        let protocol = |(name, metadata): &(Text, _)| ClassicProtocol {
            name: name.clone(),
            metadata: Bytes::clone(metadata),
        };
        let given = migrant.held.iter().map(|(topic, partitions)| {
            (*topic, partitions.iter().map(|index| (*index, epoch)).collect())
        });
        Self {
            id: migrant.id.clone(),
            about: ConsumerGroupMemberMetadataValue {
                instance_id: migrant.instance_id.clone(),
                rack_id: migrant.rack_id.clone(),
                client_id: migrant.client_id.clone(),
                client_host: migrant.client_host.clone(),
                subscribed_topic_names: migrant.topics.clone(),
                rebalance_timeout_ms: migrant.rebalance_timeout_ms,
                classic_member_metadata: Some(ClassicMemberMetadata {
                    session_timeout_ms: migrant.session_timeout_ms,
                    supported_protocols: migrant.protocols.iter().map(protocol).collect(),
                }),
                ..ConsumerGroupMemberMetadataValue::default()
            },
            position: Position {
                epoch,
                previous_epoch: epoch,
                state: MemberState::Stable,
                assigned: given.collect(),
                ..Position::default()
            },
        }
    }
}
